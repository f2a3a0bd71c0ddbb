package apidoc

import (
	"bytes"
	"fmt"
	"html/template"
	"slices"
	"strings"

	"github.com/yuin/goldmark"
)

// What the template shows. Texts of the contract are Markdown in the document
// and HTML here.

type view struct {
	Title, Version      string
	About               template.HTML
	Terms               string
	ContactName         string
	ContactURL, License string
	Tags                []tagView
	Errors              []errorView
	Headers             []fieldView
	Schemas             []schemaView
}

type tagView struct {
	Name, Anchor string
	About        template.HTML
	Operations   []operationView
}

type operationView struct {
	ID, Method, Summary string
	Path                template.HTML
	About               template.HTML
	IDs, Query          []fieldView
	RequestHeaders      []string
	Body                *bodyView
	Answers             []answerView
	Errors              []errorLink
	Curl                string
}

type bodyView struct {
	About    template.HTML
	Required bool
	Content  []contentView
}

type contentView struct {
	MediaType string
	Type      typeText
}

type answerView struct {
	Status  string
	About   template.HTML
	Content []contentView
	Headers []string
}

type errorLink struct{ Status, Name string }

type errorView struct {
	Name, Status string
	About        template.HTML
	Headers      []string
}

type fieldView struct {
	Name     string
	Anchor   string // empty for none
	Type     typeText
	Required bool
	ReadOnly bool
	Values   []string
	Limits   []string
	Pattern  string
	About    template.HTML
}

type schemaView struct {
	Name   string
	About  template.HTML
	Type   typeText
	Fields []fieldView
}

func viewOf(doc *document) (*view, error) {
	v := &view{
		Title:       doc.Info.Title,
		Version:     doc.Info.Version,
		Terms:       doc.Info.TermsOfService,
		ContactName: doc.Info.Contact.Name,
		ContactURL:  doc.Info.Contact.URL,
		License:     doc.Info.License.Name,
		About:       markdown(doc.Info.Description),
	}
	byTag := map[string][]operationView{}
	statuses := map[string]string{}
	for path, item := range doc.Paths.all {
		for method, op := range item.all {
			if len(op.Tags) != 1 {
				return nil, fmt.Errorf("the operation %s has %d tags, want one", op.ID, len(op.Tags))
			}
			byTag[op.Tags[0]] = append(byTag[op.Tags[0]], doc.operationView(strings.ToUpper(method), path, op))
			for status, answer := range op.Responses.all {
				if answer.Ref != "" {
					statuses[target(answer.Ref)] = status
				}
			}
		}
	}
	for _, tag := range doc.Tags {
		v.Tags = append(v.Tags, tagView{
			Name:       tag.Name,
			Anchor:     "gruppo-" + strings.ReplaceAll(strings.ToLower(tag.Name), " ", "-"),
			About:      markdown(tag.Description),
			Operations: byTag[tag.Name],
		})
	}
	for name, answer := range doc.Components.Responses.all {
		if !answer.isProblem() {
			continue
		}
		v.Errors = append(v.Errors, errorView{Name: name, Status: statusText(statuses[name]), About: markdown(answer.Description), Headers: answer.Headers.names})
	}
	slices.SortFunc(v.Errors, func(a, b errorView) int { return strings.Compare(a.Status, b.Status) })
	for name, p := range doc.Components.Parameters.all {
		v.Headers = append(v.Headers, fieldOf(name, p.Schema, p.Description))
	}
	for name, h := range doc.Components.Headers.all {
		v.Headers = append(v.Headers, fieldOf(name, h.Schema, h.Description))
	}
	for i := range v.Headers {
		v.Headers[i].Anchor = "intestazione-" + v.Headers[i].Name
	}
	slices.SortFunc(v.Headers, func(a, b fieldView) int { return strings.Compare(a.Name, b.Name) })
	for name, s := range doc.Components.Schemas.all {
		v.Schemas = append(v.Schemas, schemaView{Name: name, About: markdown(s.Description), Type: typeOf(s), Fields: fieldsOf(s)})
	}
	return v, nil
}

func (d *document) operationView(method, path string, op *operation) operationView {
	v := operationView{
		ID:      op.ID,
		Method:  method,
		Path:    breakable(path),
		Summary: op.Summary,
		About:   markdown(beyond(op.Summary, op.Description)),
		Curl:    d.curl(method, path, op),
	}
	for _, p := range op.Parameters {
		p = d.parameter(p)
		field := fieldOf(p.Name, p.Schema, p.Description)
		field.Required = p.Required
		switch p.In {
		case "path":
			v.IDs = append(v.IDs, field)
		case "query":
			v.Query = append(v.Query, field)
		case "header":
			v.RequestHeaders = append(v.RequestHeaders, p.Name)
		}
	}
	if op.Body != nil {
		v.Body = &bodyView{About: markdown(op.Body.Description), Required: op.Body.Required, Content: contentOf(op.Body.Content)}
	}
	for status, answer := range op.Responses.all {
		if shared := d.Components.Responses.members[target(answer.Ref)]; shared.isProblem() {
			v.Errors = append(v.Errors, errorLink{statusText(status), target(answer.Ref)})
			continue
		} else if shared != nil {
			answer = shared
		}
		v.Answers = append(v.Answers, answerView{status, markdown(answer.Description), contentOf(answer.Content), answer.Headers.names})
	}
	return v
}

// isProblem tells whether an answer is an error.
func (r *response) isProblem() bool {
	return r != nil && slices.Contains(r.Content.names, "application/problem+json")
}

// breakable lets a path break before its segments.
func breakable(path string) template.HTML {
	return template.HTML(strings.ReplaceAll(template.HTMLEscapeString(path), "/", "<wbr>/")) //nolint:gosec // G203: what is inside is escaped here
}

// beyond is what a description says after its summary.
func beyond(summary, description string) string {
	rest, found := strings.CutPrefix(description, summary+".")
	if !found {
		return description
	}
	return strings.TrimSpace(rest)
}

func statusText(status string) string {
	if status == "default" {
		return "altri"
	}
	return status
}

func contentOf(content object[*mediaType]) []contentView {
	var all []contentView
	for name, media := range content.all {
		all = append(all, contentView{name, typeOf(media.Schema)})
	}
	return all
}

func fieldsOf(s *schema) []fieldView {
	var fields []fieldView
	for name, property := range s.Properties.all {
		field := fieldOf(name, property, property.Description)
		field.Required = slices.Contains(s.Required, name)
		fields = append(fields, field)
		// An object without a schema of its own is told where it is used.
		inner, prefix := property, name+"."
		if property.Items != nil {
			inner, prefix = property.Items, name+"[]."
		}
		for _, within := range fieldsOf(inner) {
			within.Name = prefix + within.Name
			fields = append(fields, within)
		}
	}
	return fields
}

func fieldOf(name string, s *schema, description string) fieldView {
	return fieldView{
		Name:     name,
		Type:     typeOf(s),
		ReadOnly: s.ReadOnly,
		Values:   valuesOf(s),
		Limits:   limitsOf(s),
		Pattern:  patternOf(s),
		About:    markdown(description),
	}
}

// markdown makes HTML of a text of the document; markup in it is left out.
func markdown(text string) template.HTML {
	var out bytes.Buffer
	if err := goldmark.Convert([]byte(text), &out); err != nil {
		panic(err) // a buffer takes everything
	}
	return template.HTML(out.String()) //nolint:gosec // G203: from the contract's own comments, without raw HTML
}
