package edge

import (
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// wanted says in words what a field takes. Of a list or a map it describes one value.
func wanted(fd protoreflect.FieldDescriptor) string {
	switch fd.Kind() {
	case protoreflect.BoolKind:
		return "must be true or false"
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind,
		protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return "must be a whole number in range"
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind, protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return "must be a whole number in range, not negative"
	case protoreflect.FloatKind, protoreflect.DoubleKind:
		return "must be a number"
	case protoreflect.StringKind:
		return "must be a text in UTF-8"
	case protoreflect.BytesKind:
		return "must be bytes in base64"
	case protoreflect.EnumKind:
		return "must be one of " + strings.Join(valueNames(fd.Enum()), ", ")
	}
	switch fd.Message().FullName() {
	case "google.protobuf.Timestamp":
		return "must be a time as in RFC 3339, for example 2026-03-01T08:30:00Z"
	case "google.protobuf.Duration":
		return "must be seconds followed by s, for example 10s"
	case "google.protobuf.FieldMask":
		return "must be names of fields, separated by commas"
	}
	return "must be an object"
}

// valueNames lists the values of an enum that one can ask for.
func valueNames(ed protoreflect.EnumDescriptor) []string {
	var names []string
	for i := range ed.Values().Len() {
		if value := ed.Values().Get(i); !strings.HasSuffix(string(value.Name()), "_UNSPECIFIED") {
			names = append(names, string(value.Name()))
		}
	}
	return names
}
