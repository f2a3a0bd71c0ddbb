package editing

import (
	"context"
	"net/url"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"cidsistem.example/gateway/internal/editing/fields"
	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/gateway/internal/workbench"
	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/registryv1"
)

const (
	// offered is how many records a list offers to choose from, found how many a search finds.
	offered, foundMost = 100, 12
)

// find searches records for a field that names one.
func (e *Editing) find(ctx context.Context, v *workbench.Visit, kind *catalog.Kind, path, words string) []fields.Option {
	collection := collectionAt(kind.Descriptor(), path)
	if collection == "" {
		return nil
	}
	request := &registryv1.SearchRequest{Q: short(words), PageSize: foundMost}
	if collection != "*" {
		request.Kinds = []string{collection}
	}
	if !strings.HasPrefix(path, "sameAs") { // the same body in another comune
		request.Comuni = []string{v.Slug()}
	}
	answer, err := e.search.Search(ctx, request)
	if err != nil {
		v.Refused(err, nil)
		return nil
	}
	var all []fields.Option
	for _, hit := range answer.GetHits() {
		all = append(all, fields.Option{Value: hit.GetName(), Text: hit.GetTitle()})
	}
	return all
}

func short(words string) string {
	if runes := []rune(words); len(runes) > 200 {
		return string(runes[:200])
	}
	return words
}

// collectionAt is what a field of a record leads to, by its path.
func collectionAt(md protoreflect.MessageDescriptor, path string) string {
	var fd protoreflect.FieldDescriptor
	for name := range strings.SplitSeq(path, ".") {
		name, _, _ = strings.Cut(name, "[")
		if md == nil {
			return ""
		}
		if fd = md.Fields().ByJSONName(name); fd == nil {
			return ""
		}
		md = fd.Message()
	}
	return fields.Refers(fd)
}

// each visits all controls of sections, those of rows and groups too.
func each(sections []fields.Section, visit func(*fields.Control)) {
	var walk func(*fields.Control)
	walk = func(c *fields.Control) {
		visit(c)
		for _, inside := range c.Controls {
			walk(inside)
		}
		for _, row := range c.Rows {
			walk(row.Control)
		}
	}
	for _, section := range sections {
		for _, c := range section.Controls {
			walk(c)
		}
	}
}

// references fills in what a form offers to choose from, and the titles of what is chosen. What cannot be read is left out: a name
// can be searched for all the same.
func (e *Editing) references(ctx context.Context, v *workbench.Visit, data *draftPage) {
	data.Lists, data.Titles = map[string][]fields.Option{}, map[string]string{}
	var names []string
	each(data.Sections, func(c *fields.Control) {
		if c.Shape != "reference" {
			return
		}
		names = append(names, c.Value)
		if _, there := data.Lists[c.Of]; !there && c.Of != "*" {
			data.Lists[c.Of] = nil
		}
	})
	for collection := range data.Lists {
		answer, err := e.search.Search(ctx, &registryv1.SearchRequest{Kinds: []string{collection}, Comuni: []string{v.Slug()}, PageSize: offered})
		if err != nil {
			continue
		}
		for _, hit := range answer.GetHits() {
			data.Lists[collection] = append(data.Lists[collection], fields.Option{Value: hit.GetName(), Text: hit.GetTitle()})
			data.Titles[hit.GetName()] = hit.GetTitle()
		}
	}
	var unknown []string
	for _, name := range names {
		if _, known := data.Titles[name]; !known && strings.HasPrefix(name, "comuni/") {
			unknown = append(unknown, name)
		}
	}
	for _, link := range e.reader.Links(ctx, unknown...) {
		data.Titles[link.Name] = site.In(v.Language, link.Title).Text
	}
}

// resolve puts names where somebody typed the title of a record.
func (e *Editing) resolve(ctx context.Context, v *workbench.Visit, content proto.Message, values url.Values) {
	kind := catalog.Of(content)
	form := fields.NewForm(v, values, nil)
	each(form.Sections(kind.Descriptor()), func(c *fields.Control) {
		typed := strings.TrimSpace(c.Value)
		if c.Shape != "reference" || typed == "" || strings.HasPrefix(typed, "comuni/") {
			return
		}
		var same []string
		for _, one := range e.find(ctx, v, kind, c.Name, typed) {
			if strings.EqualFold(one.Text, typed) {
				same = append(same, one.Value)
			}
		}
		if len(same) == 1 {
			values.Set(c.Name, same[0])
		}
	})
}

// titled says records by their titles where a line or a leaf has their names.
func (e *Editing) titled(ctx context.Context, v *workbench.Visit, texts ...*string) {
	var names []string
	for _, text := range texts {
		if strings.HasPrefix(*text, "comuni/") {
			names = append(names, *text)
		}
	}
	titles := map[string]string{}
	for _, link := range e.reader.Links(ctx, names...) {
		titles[link.Name] = site.In(v.Language, link.Title).Text
	}
	for _, text := range texts {
		if title := titles[*text]; title != "" {
			*text = title
		}
	}
}

// differences between two records, with the titles of what they lead to.
func (e *Editing) differences(ctx context.Context, v *workbench.Visit, before, after proto.Message) []fields.Difference {
	all := fields.Differences(v, before, after)
	var texts []*string
	for i := range all {
		for j := range all[i].Lines {
			texts = append(texts, &all[i].Lines[j].Before, &all[i].Lines[j].After)
		}
	}
	e.titled(ctx, v, texts...)
	return all
}

// A saidPart is a field of a record, and what the record says there.
type saidPart struct {
	Label  string
	Leaves []fields.Leaf
}

// foldedFrom is from how many lines on what a field says is folded away.
const foldedFrom = 6

// Long tells whether the field is folded away.
func (p saidPart) Long() bool { return len(p.Leaves) >= foldedFrom }

// said is what a record says, field by field, with the titles of what it leads to.
func (e *Editing) said(ctx context.Context, v *workbench.Visit, m proto.Message) []saidPart {
	var parts []saidPart
	for _, leaf := range fields.Leaves(v, m) {
		if len(parts) == 0 || parts[len(parts)-1].Leaves[0].Field != leaf.Field {
			fd := m.ProtoReflect().Descriptor().Fields().ByJSONName(leaf.Field)
			parts = append(parts, saidPart{Label: fields.Label(v, fd)})
		}
		last := &parts[len(parts)-1]
		last.Leaves = append(last.Leaves, leaf)
	}
	var texts []*string
	for i := range parts {
		for j := range parts[i].Leaves {
			texts = append(texts, &parts[i].Leaves[j].Text)
		}
	}
	e.titled(ctx, v, texts...)
	return parts
}
