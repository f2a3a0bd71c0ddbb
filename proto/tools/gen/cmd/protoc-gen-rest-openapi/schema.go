package main

import (
	"fmt"
	"strings"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// A generator writes the document of a contract.
type generator struct {
	*contract
	doc document
	// described are the schemas so far: component name to what it describes.
	described map[string]protoreflect.FullName
}

// componentName is the name of a message or enum without its package.
func componentName(d protoreflect.Descriptor) string {
	return strings.TrimPrefix(string(d.FullName()), string(d.ParentFile().Package())+".")
}

// component refers to a schema, and makes it with build when it is new.
func (g *generator) component(name string, of protoreflect.FullName, build func(*schema) error) (*schema, error) {
	if known, is := g.described[name]; !is {
		s := &schema{}
		g.described[name] = of
		g.doc.Components.Schemas.set(name, s)
		if err := build(s); err != nil {
			return nil, fmt.Errorf("%s: %w", of, err)
		}
	} else if known != of {
		return nil, fmt.Errorf("%s and %s would both be the schema %s: rename one", known, of, name)
	}
	return &schema{Ref: ref("schemas", name)}, nil
}

func (g *generator) message(m *protogen.Message) (*schema, error) {
	return g.component(componentName(m.Desc), m.Desc.FullName(), func(s *schema) error {
		return g.object(s, m, m.Fields)
	})
}

// body is a request message without the fields that the path carries.
func (g *generator) body(m *protogen.Message, fields []*protogen.Field) (*schema, error) {
	return g.component(componentName(m.Desc), m.Desc.FullName(), func(s *schema) error {
		return g.object(s, m, fields)
	})
}

// patch is a record of which only some fields are sent, none of them those that
// the server sets.
func (g *generator) patch(m *protogen.Message) (*schema, error) {
	name := componentName(m.Desc) + "Patch"
	return g.component(name, protoreflect.FullName(name), func(s *schema) error {
		var fields []*protogen.Field
		for _, field := range m.Fields {
			if !serverSets(field) {
				fields = append(fields, field)
			}
		}
		if err := g.object(s, m, fields); err != nil {
			return err
		}
		s.Description = sentences("The fields of", componentName(m.Desc), "that a change sets; those left out stay as they are. Objects within are merged field by field; lists and maps are replaced.")
		s.Required = nil
		return nil
	})
}

func serverSets(field *protogen.Field) bool {
	return behaves(field, annotations.FieldBehavior_OUTPUT_ONLY) || behaves(field, annotations.FieldBehavior_IDENTIFIER)
}

// object fills the schema of a message.
func (g *generator) object(s *schema, m *protogen.Message, fields []*protogen.Field) error {
	s.Type = "object"
	s.Description = g.prose(m.Comments)
	for _, field := range fields {
		property, err := g.field(field)
		if err != nil {
			return fmt.Errorf("%s: %w", field.Desc.Name(), err)
		}
		property.Description = sentences(g.prose(field.Comments), property.Description)
		property.ReadOnly = serverSets(field)
		s.Properties.set(field.Desc.JSONName(), property)
		if required(field) {
			s.Required = append(s.Required, field.Desc.JSONName())
		}
	}
	for _, oneof := range m.Oneofs {
		s.Description = sentences(s.Description, choice(oneof))
	}
	return nil
}

// choice says which properties exclude each other.
func choice(oneof *protogen.Oneof) string {
	if oneof.Desc.IsSynthetic() {
		return ""
	}
	var names []string
	for _, field := range oneof.Fields {
		names = append(names, "`"+field.Desc.JSONName()+"`")
	}
	most := "At most"
	if rules, _ := proto.GetExtension(oneof.Desc.Options(), validate.E_Oneof).(*validate.OneofRules); rules.GetRequired() {
		most = "Exactly"
	}
	return fmt.Sprintf("%s one of %s is set.", most, strings.Join(names, ", "))
}

// field is the schema of a field, lists and maps included, without the field's
// comment.
func (g *generator) field(field *protogen.Field) (*schema, error) {
	rules := rulesOf(field)
	switch {
	case field.Desc.IsMap():
		return g.pairs(field, rules.GetMap())
	case field.Desc.IsList():
		return g.list(field, rules.GetRepeated())
	default:
		return g.value(field, rules)
	}
}

func (g *generator) list(field *protogen.Field, rules *validate.RepeatedRules) (*schema, error) {
	items, err := g.value(field, rules.GetItems())
	if err != nil {
		return nil, err
	}
	s := &schema{Type: "array", Items: items, UniqueItems: rules.GetUnique(), MaxItems: to[uint64](mostItems)}
	if rules.GetMinItems() > 0 {
		s.MinItems = to(rules.GetMinItems())
	}
	if rules.GetMaxItems() > 0 {
		s.MaxItems = to(rules.GetMaxItems())
	}
	return s, nil
}

func (g *generator) pairs(field *protogen.Field, rules *validate.MapRules) (*schema, error) {
	key, err := g.value(field.Message.Fields[0], rules.GetKeys())
	if err != nil {
		return nil, err
	}
	value, err := g.value(field.Message.Fields[1], rules.GetValues())
	if err != nil {
		return nil, err
	}
	s := &schema{Type: "object", PropertyNames: key, AdditionalProperties: value, MaxProperties: to[uint64](mostPairs)}
	if rules.GetMinPairs() > 0 {
		s.MinProperties = to(rules.GetMinPairs())
	}
	if rules.GetMaxPairs() > 0 {
		s.MaxProperties = to(rules.GetMaxPairs())
	}
	return s, nil
}

// value is the schema of one value of a field.
func (g *generator) value(field *protogen.Field, rules *validate.FieldRules) (*schema, error) {
	switch {
	case field.Enum != nil:
		return g.enum(field.Enum)
	case field.Message != nil:
		if s := wellKnown(field.Message.Desc.FullName(), rules); s != nil {
			return s, nil
		}
		if strings.HasPrefix(string(field.Message.Desc.FullName()), "google.") {
			return nil, fmt.Errorf("no schema is known for %s", field.Message.Desc.FullName())
		}
		return g.message(field.Message)
	}
	s := &schema{}
	if err := bind(s, typeRules(rules)); err != nil {
		return nil, err
	}
	switch kind := field.Desc.Kind(); kind {
	case protoreflect.StringKind:
		s.Type = "string"
		boundText(s)
		if name := g.exampleReference(field); name != "" {
			s.Examples = []any{name}
		}
	case protoreflect.BytesKind:
		s.Type, s.ContentEncoding = "string", "base64"
		boundText(s)
		s.MaxLength = to((*s.MaxLength + 2) / 3 * 4)
	case protoreflect.BoolKind:
		s.Type = "boolean"
	case protoreflect.DoubleKind, protoreflect.FloatKind:
		s.Type, s.Format = "number", kind.String()
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		s.Type, s.Format = "integer", "int32"
		boundWhole(s)
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		s.Description = asText(s)
		boundText(s)
	default:
		return nil, fmt.Errorf("no schema is known for the type %s", kind)
	}
	return s, nil
}

// exampleReference is the name of a record that a field could refer to.
func (g *generator) exampleReference(field *protogen.Field) string {
	reference, _ := proto.GetExtension(field.Desc.Options(), annotations.E_ResourceReference).(*annotations.ResourceReference)
	return g.exampleName(reference.GetType())
}

// enum lists the values by name. The zero value is left out: it is what a field
// means that is not sent.
func (g *generator) enum(e *protogen.Enum) (*schema, error) {
	return g.component(componentName(e.Desc), e.Desc.FullName(), func(s *schema) error {
		s.Type = "string"
		lines := []string{g.prose(e.Comments), ""}
		for _, value := range e.Values {
			meaning := g.prose(value.Comments)
			if value.Desc.Number() == 0 {
				if meaning != "Not set." {
					lines = append(lines, "- not sent: "+meaning)
				}
				continue
			}
			name := string(value.Desc.Name())
			s.Enum = append(s.Enum, name)
			lines = append(lines, "- `"+name+"`: "+meaning)
		}
		s.Description = strings.Join(lines, "\n")
		return nil
	})
}

// wellKnown is the JSON form of a message that is not written as an object of
// its fields, or that comes without comments; nil for all others.
func wellKnown(name protoreflect.FullName, rules *validate.FieldRules) *schema {
	switch name {
	case "google.protobuf.Timestamp":
		return &schema{Type: "string", Format: "date-time", MaxLength: to[uint64](40)}
	case "google.protobuf.Duration":
		s := &schema{Type: "string", Pattern: `^-?[0-9]{1,12}(\.[0-9]{1,9})?s$`, Description: "Seconds, followed by `s`.", Examples: []any{"10s"}}
		if d := rules.GetDuration(); d.GetGte().AsDuration() >= 0 && d.GetGte() != nil {
			s.Pattern = strings.Replace(s.Pattern, "-?", "", 1)
		}
		boundText(s)
		return s
	case "google.protobuf.FieldMask":
		return &schema{Type: "string", Pattern: `^[A-Za-z0-9_.,*]*$`, MaxLength: to[uint64](4000), Description: "Separated by commas.", Examples: []any{"title,summary"}}
	case "google.protobuf.Any":
		s := &schema{Type: "object", Description: "A record of any kind: its fields, and `@type`."}
		s.Properties.set("@type", &schema{Type: "string", MaxLength: to[uint64](200), Examples: []any{"type.googleapis.com/cidsistem.registry.v1.Service"}})
		return s
	case "google.type.LatLng":
		s := &schema{Type: "object", Description: "Degrees."}
		s.Properties.set("latitude", &schema{Type: "number", Format: "double", Description: "North is positive.", Minimum: -90, Maximum: 90})
		s.Properties.set("longitude", &schema{Type: "number", Format: "double", Description: "East is positive.", Minimum: -180, Maximum: 180})
		return s
	default:
		return nil
	}
}
