package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"cidsistem.example/proto/gen/annotationsv1"
)

// A contract is what the generator reads before it writes anything.
type contract struct {
	methods  []method
	messages map[protoreflect.FullName]*protogen.Message
	enums    map[protoreflect.FullName]*protogen.Enum
	// ids of a name pattern by its shape: comuni/*/services/* has comune and
	// service.
	ids map[string][]string
	// idRules are the validation patterns of those ids, by shape.
	idRules map[string][]string
	// kinds by the id that names their records: service.
	kinds map[string]*annotationsv1.KindOptions
	// patterns of names by resource type.
	patterns map[string]string
	// jsonNames of all fields with more than one word.
	jsonNames map[string]string
}

// A method with its place on the web.
type method struct {
	*protogen.Method
	binding
	// input has the fields of path, query and JSON body.
	input *protogen.Message
	// about says what it does.
	about string
	// twin is true for an additional binding.
	twin bool
	// reads tells that the first binding is a GET: nothing is changed.
	reads bool
}

// A binding is a google.api.http rule, or what stands for one.
type binding struct {
	verb     string
	template string
	body     string // field, "*" or empty
}

// unbound methods are on the web although google.api.http cannot say so. About
// says what they do there: their comments speak of the stream. Header is the
// field of the request that path and query fill.
var unbound = map[protoreflect.FullName]struct {
	binding
	about, header string
}{
	// A client stream cannot be transcoded: the edge takes the bytes as the body
	// of one request and makes the stream itself.
	"cidsistem.registry.v1.FileService.UploadFile": {
		binding: binding{verb: "POST", template: "/v1/{parent=comuni/*}/files"},
		header:  "header",
		about:   "Takes the bytes of a file. The same bytes twice are one file.",
	},
}

func read(plugin *protogen.Plugin) (*contract, error) {
	c := &contract{
		messages:  map[protoreflect.FullName]*protogen.Message{},
		enums:     map[protoreflect.FullName]*protogen.Enum{},
		ids:       map[string][]string{},
		idRules:   map[string][]string{},
		kinds:     map[string]*annotationsv1.KindOptions{},
		patterns:  map[string]string{},
		jsonNames: map[string]string{},
	}
	for _, file := range plugin.Files {
		c.addEnums(file.Enums)
		c.addMessages(file.Messages)
		if !file.Generate {
			continue
		}
		for _, service := range file.Services {
			for _, m := range service.Methods {
				if err := c.addMethod(m); err != nil {
					return nil, fmt.Errorf("%s: %w", m.Desc.FullName(), err)
				}
			}
		}
	}
	for _, m := range c.methods {
		if err := c.addIDRules(m); err != nil {
			return nil, fmt.Errorf("%s: %w", m.Desc.FullName(), err)
		}
	}
	return c, nil
}

func (c *contract) addEnums(enums []*protogen.Enum) {
	for _, e := range enums {
		c.enums[e.Desc.FullName()] = e
	}
}

func (c *contract) addMessages(messages []*protogen.Message) {
	for _, m := range messages {
		c.messages[m.Desc.FullName()] = m
		c.addEnums(m.Enums)
		c.addMessages(m.Messages)
		for _, f := range m.Fields {
			if strings.Contains(string(f.Desc.Name()), "_") {
				c.jsonNames[string(f.Desc.Name())] = f.Desc.JSONName()
			}
		}
		resource := resourceOf(m)
		if len(resource.GetPattern()) == 0 {
			continue
		}
		pattern := resource.GetPattern()[0]
		c.patterns[resource.GetType()] = pattern
		c.ids[idSyntax.ReplaceAllString(pattern, "*")] = idsOf(pattern)
		if kind, _ := proto.GetExtension(m.Desc.Options(), annotationsv1.E_Kind).(*annotationsv1.KindOptions); kind != nil {
			c.kinds[resource.GetSingular()] = kind
		}
	}
}

var idSyntax = regexp.MustCompile(`\{([a-z0-9_]+)\}`)

// idsOf lists the ids of a name pattern: comuni/{comune} has comune.
func idsOf(pattern string) []string {
	var ids []string
	for _, match := range idSyntax.FindAllStringSubmatch(pattern, -1) {
		ids = append(ids, match[1])
	}
	return ids
}

// exampleName makes a believable name of a resource type, empty for a type that
// the contract does not define, and for one with ids that nobody can guess.
func (c *contract) exampleName(resourceType string) string {
	pattern := c.patterns[resourceType]
	if slices.ContainsFunc(idsOf(pattern), func(id string) bool { return c.exampleID(id) == "" }) {
		return ""
	}
	return idSyntax.ReplaceAllStringFunc(pattern, func(id string) string { return c.exampleID(strings.Trim(id, "{}")) })
}

// exampleID makes a believable id: of a comune of the federation, or from the
// Italian label of a kind; empty for other ids.
func (c *contract) exampleID(id string) string {
	kind := c.kinds[id]
	switch {
	case id == "comune" || id == "node":
		return "marsala"
	case kind == nil:
		return ""
	default:
		return strings.ReplaceAll(kind.GetLabel(), " ", "-") + "-1"
	}
}

func (c *contract) addMethod(m *protogen.Method) error {
	if b, is := unbound[m.Desc.FullName()]; is {
		header, err := fieldAt(m.Input, b.header)
		if err != nil {
			return err
		}
		c.methods = append(c.methods, method{Method: m, binding: b.binding, input: header.Message, about: b.about})
	}
	rule, _ := proto.GetExtension(m.Desc.Options(), annotations.E_Http).(*annotations.HttpRule)
	if rule == nil {
		return nil
	}
	for i, r := range slices.Concat([]*annotations.HttpRule{rule}, rule.GetAdditionalBindings()) {
		c.methods = append(c.methods, method{Method: m, binding: bindingOf(r), input: m.Input, about: c.prose(m.Comments), twin: i > 0, reads: rule.GetGet() != ""})
	}
	return nil
}

func bindingOf(rule *annotations.HttpRule) binding {
	b := binding{body: rule.GetBody()}
	switch p := rule.GetPattern().(type) {
	case *annotations.HttpRule_Get:
		b.verb, b.template = "GET", p.Get
	case *annotations.HttpRule_Post:
		b.verb, b.template = "POST", p.Post
	case *annotations.HttpRule_Put:
		b.verb, b.template = "PUT", p.Put
	case *annotations.HttpRule_Patch:
		b.verb, b.template = "PATCH", p.Patch
	case *annotations.HttpRule_Delete:
		b.verb, b.template = "DELETE", p.Delete
	case *annotations.HttpRule_Custom:
		b.verb, b.template = p.Custom.GetKind(), p.Custom.GetPath()
	}
	return b
}

// addIDRules learns the patterns of ids from a request that must name one
// record; a field of a record itself has none.
func (c *contract) addIDRules(m method) error {
	for _, v := range variables(m.template) {
		field, err := fieldAt(m.input, v.field)
		if err != nil {
			return err
		}
		pattern := rulesOf(field).GetString().GetPattern()
		if pattern == "" || strings.Contains(pattern, wildcard) {
			continue
		}
		rules, err := splitPattern(pattern, v.shape)
		if err != nil {
			return err
		}
		c.idRules[v.shape] = rules
	}
	return nil
}

// wildcard starts the pattern of an id for which "-" may stand.
const wildcard = "(-|"

// A variable of a path template: {name=comuni/*/services/*}.
type variable struct {
	text  string // with its braces
	field string // name
	shape string // comuni/*/services/*
}

var variableSyntax = regexp.MustCompile(`\{([a-z0-9_.]+)(?:=([^}]+))?\}`)

func variables(template string) []variable {
	var found []variable
	for _, match := range variableSyntax.FindAllStringSubmatch(template, -1) {
		v := variable{text: match[0], field: match[1], shape: match[2]}
		if v.shape == "" {
			v.shape = "*"
		}
		found = append(found, v)
	}
	return found
}

// splitPattern cuts the pattern of a name into those of its ids.
func splitPattern(pattern, shape string) ([]string, error) {
	parts := strings.Split(strings.TrimSuffix(strings.TrimPrefix(pattern, "^"), "$"), "/")
	segments := strings.Split(shape, "/")
	if len(parts) != len(segments) {
		return nil, fmt.Errorf("the pattern %q does not follow the path %q", pattern, shape)
	}
	var ids []string
	for i, segment := range segments {
		switch segment {
		case "*":
			ids = append(ids, "^"+parts[i]+"$")
		case parts[i]:
		default:
			return nil, fmt.Errorf("the pattern %q does not follow the path %q", pattern, shape)
		}
	}
	return ids, nil
}

// fieldAt finds a field by its path from a message.
func fieldAt(message *protogen.Message, path string) (*protogen.Field, error) {
	first, rest, nested := strings.Cut(path, ".")
	for _, field := range message.Fields {
		if string(field.Desc.Name()) != first {
			continue
		}
		if nested {
			return fieldAt(field.Message, rest)
		}
		return field, nil
	}
	return nil, fmt.Errorf("%s has no field %q", message.Desc.FullName(), first)
}

func resourceOf(m *protogen.Message) *annotations.ResourceDescriptor {
	resource, _ := proto.GetExtension(m.Desc.Options(), annotations.E_Resource).(*annotations.ResourceDescriptor)
	return resource
}
