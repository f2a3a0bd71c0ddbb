package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
)

// An httpRequest is a call as google.api.http maps it.
type httpRequest struct {
	verb, target string
	header       http.Header
	body         []byte // nil for none
}

var pathVariable = regexp.MustCompile(`\{([a-z_.]+)(?:=[^}]*)?\}`)

// transcode maps a request to HTTP: what the path names goes into the path, what
// the rule's body names into the body, everything else into the query.
func transcode(rule *annotations.HttpRule, request proto.Message) (httpRequest, error) {
	var r httpRequest
	var template string
	switch pattern := rule.GetPattern().(type) {
	case *annotations.HttpRule_Get:
		r.verb, template = http.MethodGet, pattern.Get
	case *annotations.HttpRule_Post:
		r.verb, template = http.MethodPost, pattern.Post
	case *annotations.HttpRule_Patch:
		r.verb, template = http.MethodPatch, pattern.Patch
	case *annotations.HttpRule_Delete:
		r.verb, template = http.MethodDelete, pattern.Delete
	default:
		return r, fmt.Errorf("an HTTP rule of an unknown kind: %v", rule)
	}
	rest := proto.Clone(request).ProtoReflect()
	path := pathVariable.ReplaceAllStringFunc(template, func(variable string) string {
		return takeText(rest, pathVariable.FindStringSubmatch(variable)[1])
	})
	switch rule.GetBody() {
	case "":
	case "*":
		body, err := protojson.Marshal(rest.Interface())
		if err != nil {
			return r, err
		}
		r.target, r.body = path, body
		return r, nil
	default:
		field := rest.Descriptor().Fields().ByName(protoreflect.Name(rule.GetBody()))
		body, err := protojson.Marshal(rest.Get(field).Message().Interface())
		if err != nil {
			return r, err
		}
		r.body = body
		rest.Clear(field)
	}
	query := url.Values{}
	if err := addQuery(query, "", rest); err != nil {
		return r, err
	}
	r.target = path
	if len(query) > 0 {
		r.target += "?" + query.Encode()
	}
	return r, nil
}

// takeText removes a text field from a message and returns it, escaped for a
// path.
func takeText(m protoreflect.Message, path string) string {
	names := strings.Split(path, ".")
	for _, name := range names[:len(names)-1] {
		m = m.Mutable(m.Descriptor().Fields().ByName(protoreflect.Name(name))).Message()
	}
	field := m.Descriptor().Fields().ByName(protoreflect.Name(names[len(names)-1]))
	segments := strings.Split(m.Get(field).String(), "/")
	for i, segment := range segments {
		segments[i] = url.PathEscape(segment)
	}
	m.Clear(field)
	return strings.Join(segments, "/")
}

// addQuery writes the fields that are set as parameters with JSON names, nested
// ones with dots.
func addQuery(query url.Values, prefix string, m protoreflect.Message) (err error) {
	m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		name := prefix + field.JSONName()
		if !field.IsList() && field.Message() != nil && field.Message().ParentFile().Package() != "google.protobuf" {
			err = addQuery(query, name+".", value.Message())
			return err == nil
		}
		var texts []string
		if texts, err = queryTexts(m, field); err == nil {
			query[name] = texts
		}
		return err == nil
	})
	return err
}

// queryTexts are the values of a field as protojson writes them, without quotes.
func queryTexts(m protoreflect.Message, field protoreflect.FieldDescriptor) ([]string, error) {
	if field.Message() != nil {
		if mask, is := m.Get(field).Message().Interface().(*fieldmaskpb.FieldMask); is && slices.Equal(mask.GetPaths(), []string{"*"}) {
			return mask.GetPaths(), nil
		}
	}
	alone := m.New()
	alone.Set(field, m.Get(field))
	text, err := protojson.Marshal(alone.Interface())
	if err != nil {
		return nil, err
	}
	document, err := decodeJSON(text)
	if err != nil {
		return nil, err
	}
	values, isList := find(document, field.JSONName()).([]any)
	if !isList {
		values = []any{find(document, field.JSONName())}
	}
	texts := make([]string, len(values))
	for i, value := range values {
		texts[i] = fmt.Sprint(value)
	}
	return texts, nil
}
