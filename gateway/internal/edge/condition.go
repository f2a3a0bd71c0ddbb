package edge

import (
	"strings"

	"github.com/google/uuid"
)

// An ifMatch is the header If-Match of a change: one tag, or "*" for anything that exists. The zero value is no condition.
type ifMatch struct {
	tag string // with its quotes, as records carry it
	any bool
}

func (m ifMatch) given() bool { return m.any || m.tag != "" }

// parseIfMatch reads the header. A record has one etag, so one tag is all that can be asked for.
func parseIfMatch(values []string) (ifMatch, error) {
	header := strings.Join(values, ",")
	if len(values) == 0 {
		return ifMatch{}, nil
	}
	tags, anything, ok := parseTags(header)
	switch {
	case !ok:
		return ifMatch{}, invalid(fieldError{"If-Match", `must be an entity tag in quotes, as in the header ETag, or *`})
	case anything:
		return ifMatch{any: true}, nil
	case len(tags) > 1:
		return ifMatch{}, invalid(fieldError{"If-Match", "must be one entity tag: a record has no more"})
	case tags[0].weak:
		return ifMatch{}, invalid(fieldError{"If-Match", "must be a strong entity tag: a weak one never matches"})
	}
	return ifMatch{tag: tags[0].bare()}, nil
}

// An entityTag of RFC 9110, 8.8.3.
type entityTag struct {
	value string // with quotes, without W/
	weak  bool
}

// parseTags reads a list of entity tags or "*", as in If-Match and If-None-Match; ok is false when the header is neither.
func parseTags(header string) (tags []entityTag, anything, ok bool) {
	rest := strings.Trim(header, " \t")
	if rest == "*" {
		return nil, true, true
	}
	for rest != "" {
		var tag entityTag
		if after, weak := strings.CutPrefix(rest, "W/"); weak {
			rest, tag.weak = after, true
		}
		if !strings.HasPrefix(rest, `"`) {
			return nil, false, false
		}
		end := strings.IndexByte(rest[1:], '"')
		if end < 0 {
			return nil, false, false
		}
		tag.value, rest = rest[:end+2], strings.TrimLeft(rest[end+2:], " \t")
		if strings.ContainsFunc(tag.value, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
			return nil, false, false
		}
		tags = append(tags, tag)
		if rest == "" {
			break
		}
		after, comma := strings.CutPrefix(rest, ",")
		rest = strings.TrimLeft(after, " \t")
		if !comma || rest == "" {
			return nil, false, false
		}
	}
	return tags, false, len(tags) > 0
}

// bare is the tag without the suffix that compression adds: the record is the same in every encoding.
func (t entityTag) bare() string {
	inner := strings.TrimSuffix(t.value, `"`)
	for _, encoding := range []string{"gzip", "zstd"} {
		if cut, found := strings.CutSuffix(inner, encodedTagMark+encoding); found {
			return cut + `"`
		}
	}
	return t.value
}

// noneMatch evaluates If-None-Match against the ETag of an answer. When the client has the answer already, matched is the tag
// by which it knows it.
func noneMatch(header []string, etag string) (matched string, unchanged bool) {
	tags, anything, ok := parseTags(strings.Join(header, ","))
	if !ok || etag == "" {
		return "", false
	}
	if anything {
		return etag, true
	}
	have := strings.TrimPrefix(etag, "W/")
	for _, tag := range tags {
		if tag.bare() == have {
			if tag.weak || strings.HasPrefix(etag, "W/") {
				return "W/" + tag.value, true
			}
			return tag.value, true
		}
	}
	return "", false
}

// parseIdempotencyKey reads the header: a UUID of version 4, as request_id of the contract is. Without the header it is empty.
func parseIdempotencyKey(values []string) (string, error) {
	if len(values) == 0 {
		return "", nil
	}
	// The header is a quoted string in the draft standard, and bare in practice.
	text := strings.Trim(values[0], `"`)
	id, err := uuid.Parse(text)
	if err != nil || len(values) > 1 || len(text) != 36 || id.Version() != 4 {
		return "", invalid(fieldError{"Idempotency-Key", "must be one UUID of version 4, for example 3f0c5e1e-8f4e-4c63-9a5e-2f6f3f1d7a10"})
	}
	return id.String(), nil
}
