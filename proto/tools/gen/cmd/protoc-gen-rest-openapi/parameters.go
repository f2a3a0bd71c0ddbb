package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// path writes the path of a method with named ids, and its parameters.
func (g *generator) path(m method) (string, []*parameter, error) {
	path := m.template
	var params []*parameter
	for _, v := range variables(m.template) {
		ids, err := g.idsOf(m, v)
		if err != nil {
			return "", nil, err
		}
		rules, err := g.rulesOfIDs(m, v)
		if err != nil {
			return "", nil, err
		}
		named := v.shape
		for i, id := range ids {
			named = strings.Replace(named, "*", "{"+id+"}", 1)
			params = append(params, g.pathParameter(m, id, rules[i]))
		}
		path = strings.Replace(path, v.text, named, 1)
	}
	return path, params, nil
}

var formatSyntax = regexp.MustCompile(`Format: ([^\s;]+)`)

// idsOf names the ids of a path variable: from the name pattern of the resource,
// or for what is no resource from the format that the field's comment gives.
func (g *generator) idsOf(m method, v variable) ([]string, error) {
	if ids, is := g.ids[v.shape]; is {
		return ids, nil
	}
	field, err := fieldAt(m.input, v.field)
	if err != nil {
		return nil, err
	}
	format := formatSyntax.FindStringSubmatch(string(field.Comments.Leading))
	if format == nil || idSyntax.ReplaceAllString(format[1], "*") != v.shape {
		return nil, fmt.Errorf("no resource has the pattern %q, and the comment of %s gives no such format", v.shape, v.field)
	}
	return idsOf(format[1]), nil
}

// rulesOfIDs finds the patterns of the ids of a path variable.
func (g *generator) rulesOfIDs(m method, v variable) ([]string, error) {
	field, err := fieldAt(m.input, v.field)
	if err != nil {
		return nil, err
	}
	if pattern := rulesOf(field).GetString().GetPattern(); pattern != "" {
		return splitPattern(pattern, v.shape)
	}
	if rules, is := g.idRules[v.shape]; is {
		return rules, nil
	}
	return nil, fmt.Errorf("nothing says which characters the ids of %q may have", v.shape)
}

func (g *generator) pathParameter(m method, id, pattern string) *parameter {
	p := &parameter{Name: id, In: "path", Required: true, Schema: &schema{Type: "string", Pattern: pattern}}
	boundText(p.Schema)
	p.Description = g.aboutID(m.Parent, id)
	if strings.HasPrefix(pattern, "^"+wildcard) {
		p.Description = "Id of the " + id + "; `-` stands for all of them."
	}
	if p.Example = g.exampleID(id); p.Example == "" {
		p.Example = shortest(pattern)
	}
	return p
}

// aboutID says what an id is: of a resource, or a field of something that the
// service returns.
func (g *generator) aboutID(service *protogen.Service, id string) string {
	for _, m := range service.Methods {
		if field, err := fieldAt(m.Output, id); err == nil {
			return g.prose(field.Comments)
		}
	}
	return "Id of the " + id + "."
}

// query makes query parameters of fields: lists are repeated, the fields of a
// message follow its name and a dot.
func (g *generator) query(fields []*protogen.Field, prefix string, within []protoreflect.FullName) ([]*parameter, error) {
	var params []*parameter
	for _, field := range fields {
		name := prefix + field.Desc.JSONName()
		if field.Message != nil && wellKnown(field.Message.Desc.FullName(), nil) == nil {
			if field.Desc.IsList() || field.Desc.IsMap() || slices.Contains(within, field.Message.Desc.FullName()) {
				continue // has no place in an address
			}
			inner, err := g.query(field.Message.Fields, name+".", append(within, field.Message.Desc.FullName()))
			if err != nil {
				return nil, err
			}
			params = append(params, inner...)
			continue
		}
		s, err := g.field(field)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", field.Desc.Name(), err)
		}
		p := &parameter{Name: name, In: "query", Required: required(field), Schema: s}
		p.Description = sentences(g.prose(field.Comments), s.Description)
		s.Description = ""
		if field.Desc.IsList() {
			p.Style, p.Explode = "form", to(true)
		}
		if p.Required {
			p.Example = g.example(s)
		}
		params = append(params, p)
	}
	return params, nil
}
