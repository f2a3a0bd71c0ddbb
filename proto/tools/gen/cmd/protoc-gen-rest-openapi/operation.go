package main

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"cidsistem.example/proto/gen/annotationsv1"
)

// operation describes one binding of a method and tells its path.
func (g *generator) operation(m method) (string, *operation, error) {
	path, params, err := g.path(m)
	if err != nil {
		return "", nil, err
	}
	tag, err := tagOf(m.Parent)
	if err != nil {
		return "", nil, err
	}
	op := &operation{
		OperationID: lowerFirst(m.GoName),
		Tags:        []string{tag},
		Description: m.about,
		Parameters:  params,
	}
	op.Summary = firstClause(op.Description)
	if m.twin {
		op.OperationID += "By" + upperFirst(strings.ToLower(m.verb))
	}
	if err := g.request(op, m); err != nil {
		return "", nil, err
	}
	op.Parameters = append(op.Parameters, conditions(m)...)
	if err := g.answers(op, m, path); err != nil {
		return "", nil, err
	}
	return path, op, nil
}

// request describes the query and the body.
func (g *generator) request(op *operation, m method) error {
	if m.Desc.IsStreamingClient() {
		op.RequestBody = &requestBody{Description: "The bytes.", Required: true, Content: content(octets, &mediaType{})}
	}
	var rest []*protogen.Field
	for _, field := range m.input.Fields {
		if name := string(field.Desc.Name()); name != m.body && !m.inPath(name) {
			rest = append(rest, field)
		}
	}
	if m.body == "*" {
		return g.wholeBody(op, m, rest)
	}
	params, err := g.query(rest, "", nil)
	if err != nil {
		return err
	}
	op.Parameters = append(op.Parameters, params...)
	if len(params) > 0 && m.body == "" {
		op.Description = sentences(op.Description, g.aboutRequest(m.input))
	}
	if m.body == "" {
		return nil
	}
	field, err := fieldAt(m.input, m.body)
	if err != nil {
		return err
	}
	build := g.message
	if m.verb == "PATCH" {
		build = g.patch
	}
	s, err := build(field.Message)
	if err != nil {
		return err
	}
	full, err := g.message(field.Message)
	if err != nil {
		return err
	}
	op.RequestBody = &requestBody{
		Description: g.prose(field.Comments),
		Required:    true,
		Content:     content("application/json", &mediaType{Schema: s, Example: g.example(full)}),
	}
	return nil
}

// wholeBody describes a request that is all in the body.
func (g *generator) wholeBody(op *operation, m method, fields []*protogen.Field) error {
	if len(fields) == 0 {
		return nil
	}
	s, err := g.body(m.input, fields)
	if err != nil {
		return err
	}
	op.RequestBody = &requestBody{
		Description: "The request; it may be left out when nothing in it is set.",
		Required:    slices.ContainsFunc(fields, required),
		Content:     content("application/json", &mediaType{Schema: s, Example: g.example(s)}),
	}
	return nil
}

// aboutRequest is what the comment of a request says beyond its name.
func (g *generator) aboutRequest(m *protogen.Message) string {
	_, rest, _ := strings.Cut(g.prose(m.Comments), ". ")
	return rest
}

func (m method) inPath(field string) bool {
	return slices.ContainsFunc(variables(m.template), func(v variable) bool {
		first, _, _ := strings.Cut(v.field, ".")
		return first == field
	})
}

// creates tells whether the method makes a new resource.
func (m method) creates() bool {
	return strings.HasPrefix(m.GoName, "Create") || m.Desc.IsStreamingClient()
}

// conditional tells whether the method changes a record that has an etag.
func (m method) conditional() bool {
	if m.reads || m.creates() {
		return false
	}
	input := m.input
	if field, err := fieldAt(m.input, m.body); err == nil {
		input = field.Message
	}
	return has(input, "etag")
}

func has(m *protogen.Message, field protoreflect.Name) bool {
	return m.Desc.Fields().ByName(field) != nil
}

// labels of the services that serve no kind of record.
var labels = map[protoreflect.FullName]string{
	"cidsistem.registry.v1.SearchService":       "Ricerca",
	"cidsistem.audit.v1.AuditService":           "Registro degli accessi",
	"cidsistem.desk.v1.RequestService":          "Sportello",
	"cidsistem.desk.v1.FeedbackService":         "Giudizi sulle pagine",
	"cidsistem.identity.v1.AccountService":      "Utenze",
	"cidsistem.identity.v1.SessionService":      "Accesso",
	"cidsistem.registry.v1.FileService":         "File",
	"cidsistem.editorial.v1.DraftService":       "Bozze",
	"cidsistem.editorial.v1.RecordService":      "Storia e verifica delle schede",
	"cidsistem.editorial.v1.CorrectionService":  "Correzioni e conferme",
	"cidsistem.editorial.v1.DuplicateService":   "Doppioni",
	"cidsistem.exchange.v1.ImportService":       "Importazioni",
	"cidsistem.admin.v1.MessageService":         "Messaggi di posta",
	"cidsistem.admin.v1.BackupService":          "Copie di sicurezza",
	"cidsistem.federation.v1.FederationService": "Federazione",
}

// tagOf is the Italian label of a service: that of the kind it serves, in the
// plural.
func tagOf(service *protogen.Service) (string, error) {
	for _, m := range service.Methods {
		kind, _ := proto.GetExtension(m.Output.Desc.Options(), annotationsv1.E_Kind).(*annotationsv1.KindOptions)
		if kind != nil {
			return upperFirst(kind.GetLabelPlural()), nil
		}
	}
	if label, is := labels[service.Desc.FullName()]; is {
		return label, nil
	}
	return "", fmt.Errorf("%s serves no kind of record: give it an Italian label", service.Desc.FullName())
}
