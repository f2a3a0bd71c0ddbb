package edge

import (
	"cmp"
	"maps"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"github.com/grpc-ecosystem/grpc-gateway/v2/utilities"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// noFilter lets every field through; which may come from the query is checked before.
var noFilter = utilities.NewDoubleArray(nil)

// readQuery reads the query parameters of a request into its message: every field that is not in the path or the body, by JSON
// or proto name, with dots for nested fields. Parameters that are none, values that do not fit and anything given twice are errors.
func (r *route) readQuery(rawQuery string, into proto.Message) error {
	values, err := url.ParseQuery(rawQuery)
	if err != nil {
		return invalid(fieldError{"", "the query string is damaged: a % must be followed by two hexadecimal digits, and parameters are separated by &"})
	}
	var wrong []fieldError
	seen := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if slices.Contains(r.extra, name) {
			continue
		}
		path, problem := r.queryField(name)
		switch {
		case problem != "":
			wrong = append(wrong, fieldError{shown(name), problem})
			continue
		case seen[pathText(path)]:
			wrong = append(wrong, fieldError{shown(name), "is given twice"})
			continue
		}
		seen[pathText(path)] = true
		leaf := path[len(path)-1]
		if len(values[name]) > 1 && !leaf.IsList() {
			wrong = append(wrong, fieldError{shown(name), "is given twice"})
			continue
		}
		if !slices.ContainsFunc(values[name], invalidText) {
			if err := runtime.PopulateQueryParameters(into, url.Values{pathText(path): values[name]}, noFilter); err == nil {
				continue
			}
		}
		wrong = append(wrong, fieldError{shown(name), wanted(leaf)})
	}
	if len(wrong) > 0 {
		return invalid(wrong...)
	}
	return nil
}

// queryField finds the field that a parameter names. When there is none, problem says why.
func (r *route) queryField(name string) (path []protoreflect.FieldDescriptor, problem string) {
	const unknown = "is not a parameter of this request"
	if r.body == "*" {
		return nil, "is not read from the address: put it into the body"
	}
	md := r.input.Descriptor()
	for segment := range strings.SplitSeq(name, ".") {
		if md == nil {
			return nil, unknown
		}
		fd := cmp.Or(md.Fields().ByJSONName(segment), md.Fields().ByName(protoreflect.Name(segment)))
		if fd == nil || fd.IsMap() {
			return nil, unknown
		}
		path, md = append(path, fd), nil
		if !fd.IsList() && fd.Message() != nil && !isWellKnown(fd.Message()) {
			md = fd.Message()
		}
	}
	if md != nil {
		return nil, unknown // a message as a whole
	}
	text := pathText(path)
	for _, v := range r.template.variables {
		if text == v.path {
			return nil, "is already in the path"
		}
	}
	if string(path[0].Name()) == r.body {
		return nil, "is not read from the address: it is the body"
	}
	return path, ""
}

// pathText is a field path in proto names.
func pathText(path []protoreflect.FieldDescriptor) string {
	names := make([]string, len(path))
	for i, fd := range path {
		names[i] = string(fd.Name())
	}
	return strings.Join(names, ".")
}

func isWellKnown(md protoreflect.MessageDescriptor) bool {
	return md.ParentFile().Package() == "google.protobuf"
}

// invalidText tells whether a value cannot be text in a message.
func invalidText(s string) bool { return !utf8.ValidString(s) }

// shown is a name from outside as problems repeat it: short, and text.
func shown(name string) string {
	name = strings.ToValidUTF8(name, "\uFFFD")
	if runes := []rune(name); len(runes) > 60 {
		return string(runes[:60]) + "…"
	}
	return name
}
