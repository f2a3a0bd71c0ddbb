package edge

import (
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"
)

// A template is a path of the contract: /v1/{parent=comuni/*}/services, perhaps with a custom verb as in :undelete.
type template struct {
	segments  []string // a literal, or "*" for one id
	verb      string   // without its colon
	variables []variable
}

// A variable of a template takes some of its segments.
type variable struct {
	path     string // field of the request, in proto names with dots
	from, to int
}

// parseTemplate reads the templates that the contract uses: literals, ids and variables made of both, no "**".
func parseTemplate(text string) (template, error) {
	rest, found := strings.CutPrefix(text, "/")
	if !found {
		return template{}, fmt.Errorf("path template %q does not begin with a slash", text)
	}
	var t template
	if colon := strings.LastIndexByte(rest, ':'); colon > strings.LastIndexAny(rest, "/}") {
		rest, t.verb = rest[:colon], rest[colon+1:]
	}
	for rest != "" {
		if inner, found := strings.CutPrefix(rest, "{"); found {
			inner, after, closed := strings.Cut(inner, "}")
			path, pattern, hasPattern := strings.Cut(inner, "=")
			if !hasPattern {
				pattern = "*"
			}
			if !closed || path == "" {
				return template{}, fmt.Errorf("path template %q has a broken variable", text)
			}
			from := len(t.segments)
			t.segments = append(t.segments, strings.Split(pattern, "/")...)
			t.variables = append(t.variables, variable{path, from, len(t.segments)})
			rest = after
		} else {
			literal, _, _ := strings.Cut(rest, "/")
			t.segments = append(t.segments, literal)
			rest = rest[len(literal):]
		}
		if after, found := strings.CutPrefix(rest, "/"); found {
			rest = after
		} else if rest != "" {
			return template{}, fmt.Errorf("path template %q: no slash before %q", text, rest)
		}
	}
	for _, segment := range t.segments {
		if segment == "" || strings.Contains(segment, "**") || strings.ContainsAny(segment, "{}:") {
			return template{}, fmt.Errorf("path template %q has the segment %q, which the edge cannot match", text, segment)
		}
	}
	return t, nil
}

// A requestPath is the path of a request, taken apart and decoded.
type requestPath struct {
	segments []string
	verb     string
}

// parsePath takes an escaped path apart. It is false for a path that no template can match: one with an empty segment, or with
// a slash, a colon, a control character or bytes other than UTF-8 hidden in an escape.
func parsePath(escaped string) (requestPath, bool) {
	rest, found := strings.CutPrefix(escaped, "/")
	if !found {
		return requestPath{}, false
	}
	var p requestPath
	if colon := strings.LastIndexByte(rest, ':'); colon > strings.LastIndexByte(rest, '/') {
		rest, p.verb = rest[:colon], rest[colon+1:]
		if p.verb == "" {
			return requestPath{}, false
		}
	}
	for segment := range strings.SplitSeq(rest, "/") {
		decoded, err := url.PathUnescape(segment)
		if err != nil || decoded == "" || !utf8.ValidString(decoded) || strings.ContainsFunc(decoded, structural) {
			return requestPath{}, false
		}
		p.segments = append(p.segments, decoded)
	}
	return p, true
}

// structural tells whether a character has a meaning in paths, and so cannot be part of an id.
func structural(r rune) bool { return r < ' ' || r == 0x7f || r == '/' || r == ':' }

// match returns the values of the variables by their paths.
func (t template) match(p requestPath) (map[string]string, bool) {
	if t.verb != p.verb || len(t.segments) != len(p.segments) {
		return nil, false
	}
	for i, want := range t.segments {
		if want != "*" && want != p.segments[i] {
			return nil, false
		}
	}
	values := make(map[string]string, len(t.variables))
	for _, v := range t.variables {
		values[v.path] = strings.Join(p.segments[v.from:v.to], "/")
	}
	return values, true
}
