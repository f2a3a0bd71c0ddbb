package duplicates

import (
	"context"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/gateway/internal/editing/fields"
	"cidsistem.example/gateway/internal/record"
	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/gateway/internal/workbench"
	"cidsistem.example/proto/gen/annotationsv1"
	"cidsistem.example/proto/gen/editorialv1"
	"cidsistem.example/proto/gen/registryv1"
)

// callWithin is how long the server may take for one thing that a person does.
const callWithin = 8 * time.Second

// A side is one of the two records.
type side struct {
	Name, Title, Path string
	// Comune is its title, Source where what it says comes from.
	Comune  string
	Source  string
	Updated time.Time
	Etag    string
	// Mine: it is of the comune for which the person works.
	Mine bool
}

// A row is a field of both.
type row struct {
	// Field is its name in the form.
	Field, Label  string
	First, Second []string
	// Same: both say the same.
	Same bool
	// Chosen is "seconda" when the value of the second was chosen.
	Chosen string
}

type pairPage struct {
	First, Second side
	Rows          []row
	Reasons       []*editorialv1.Duplicate_Reason
	Different     bool
	// Across: they are of different comuni. Pointing: the person's card is an organisation that can point to the other.
	Across, Pointing bool
	// SameAs says that it does already.
	SameAs bool
	// Writes: the person may write.
	Writes bool
}

// pair shows two records side by side, and does what was decided about them.
func (d *Duplicates) pair(v *workbench.Visit) (*site.Page, error) {
	ctx, cancel := context.WithTimeout(v.Upstream(), callWithin)
	defer cancel()
	q := v.URL.Query()
	sent := v.Sent()
	if sent != nil {
		q = sent.Values
	}
	first, err := d.records.Get(ctx, q.Get(fieldFirst))
	if err != nil {
		return nil, err
	}
	second, err := d.records.Get(ctx, q.Get(fieldSecond))
	if err != nil {
		return nil, err
	}
	data := pairPage{
		First: sideOf(v, first), Second: sideOf(v, second), Rows: rowsOf(v, first, second), Across: comuneOf(q.Get(fieldFirst)) != comuneOf(q.Get(fieldSecond)),
		Writes: v.Has(annotationsv1.Role_EDITOR, annotationsv1.Role_PUBLISHER),
	}
	if sent != nil {
		for i := range data.Rows {
			data.Rows[i].Chosen = q.Get("campo." + data.Rows[i].Field)
		}
		page, err := d.decide(ctx, v, q.Get(buttonAct), data, first, second)
		if page != nil || err != nil {
			return page, err
		}
	}
	mine, other := first, second
	if data.Second.Mine && !data.First.Mine {
		mine, other = second, first
	}
	if body, ok := mine.(*registryv1.Organization); ok && data.Across && (data.First.Mine || data.Second.Mine) {
		data.Pointing, data.SameAs = data.Writes, body.GetSameAs() == nameOf(other)
	}
	parent := "comuni/" + comuneOf(data.First.Name)
	answer, err := d.duplicates.ListDuplicates(ctx, &editorialv1.ListDuplicatesRequest{Parent: parent, Record: data.First.Name, ShowDecided: true, PageSize: 1000})
	if err == nil { // why they look alike is not worth refusing the page for
		for _, one := range answer.GetDuplicates() {
			if one.GetFirst() == data.Second.Name || one.GetSecond() == data.Second.Name {
				data.Reasons, data.Different = one.GetReasons(), one.GetDecidedDifferent()
			}
		}
	}
	return &site.Page{
		Template: "pair", Title: v.Say("duplicates.pair"), Data: data,
		Crumbs: []site.Link{{Path: workbench.Root, Text: v.Say("lavoro.nav.home")}, {Path: root, Text: v.Say("duplicates.title")}},
	}, nil
}

// decide does what was decided; a nil page and no error: it was refused, and the pair is shown again.
func (d *Duplicates) decide(ctx context.Context, v *workbench.Visit, act string, data pairPage, first, second proto.Message) (*site.Page, error) {
	var err error
	done := ""
	target := root
	switch act {
	case "diverse", "guarda":
		done = map[string]string{"diverse": "different", "guarda": "look_again"}[act]
		_, err = d.duplicates.DecideDuplicate(ctx, &editorialv1.DecideDuplicateRequest{
			Parent: v.Comune, First: data.First.Name, Second: data.Second.Name, Different: act == "diverse",
		})
	case "unisci":
		var merged *anypb.Any
		if merged, err = anypb.New(chosen(first, second, data.Rows)); err != nil {
			return nil, err
		}
		_, err = d.duplicates.MergeRecords(ctx, &editorialv1.MergeRecordsRequest{
			Parent: v.Comune, Keep: data.First.Name, Drop: data.Second.Name, Merged: merged,
			KeepEtag: v.Sent().Values.Get("versione.prima"), DropEtag: v.Sent().Values.Get("versione.seconda"),
		})
		done, target = "merged", root+"?"+fieldMerged+"="+data.Second.Name
	case "rimanda", "slega":
		mine, other := data.First, data.Second
		if data.Second.Mine && !data.First.Mine {
			mine, other = other, mine
		}
		body := &registryv1.Organization{Name: mine.Name, Etag: mine.Etag}
		done = "unpointed"
		if act == "rimanda" {
			body.SameAs, done = other.Name, "pointed"
		}
		_, err = d.organizations.UpdateOrganization(ctx, &registryv1.UpdateOrganizationRequest{Organization: body, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"same_as"}}})
	default:
		return nil, site.ErrNoPage
	}
	if err == nil {
		return v.Go(target, done), nil
	}
	v.Refused(err, nil)
	return nil, nil
}

// chosen is the first record with the fields of the second that were chosen.
func chosen(first, second proto.Message, rows []row) proto.Message {
	merged := proto.Clone(first)
	into, from := merged.ProtoReflect(), proto.Clone(second).ProtoReflect()
	for _, r := range rows {
		fd := into.Descriptor().Fields().ByName(protoreflect.Name(r.Field))
		if r.Chosen != "seconda" || fd == nil {
			continue
		}
		if from.Has(fd) {
			into.Set(fd, from.Get(fd))
		} else {
			into.Clear(fd)
		}
	}
	return merged
}

func nameOf(m proto.Message) string {
	return m.ProtoReflect().Get(m.ProtoReflect().Descriptor().Fields().ByName("name")).String()
}

func sideOf(v *workbench.Visit, m proto.Message) side {
	r := m.ProtoReflect()
	text := func(field protoreflect.Name) string {
		if fd := r.Descriptor().Fields().ByName(field); fd != nil {
			return r.Get(fd).String()
		}
		return ""
	}
	s := side{
		Name: text("name"), Title: record.Text(m, "title").GetIt(), Path: record.Path(text("name")), Etag: text("etag"),
	}
	s.Comune, s.Mine = v.Comuni().Name(comuneOf(s.Name)), comuneOf(s.Name) == v.Slug()
	if with, ok := m.(interface{ GetProvenance() *registryv1.Provenance }); ok {
		s.Source = with.GetProvenance().GetSourceLabel()
	}
	if with, ok := m.(interface{ GetUpdateTime() *timestamppb.Timestamp }); ok {
		s.Updated = with.GetUpdateTime().AsTime()
	}
	return s
}

// rowsOf are the fields that people write, of two records of one kind.
func rowsOf(v *workbench.Visit, first, second proto.Message) []row {
	a, b := first.ProtoReflect(), second.ProtoReflect()
	if a.Descriptor() != b.Descriptor() {
		return nil
	}
	var rows []row
	for i := range a.Descriptor().Fields().Len() {
		fd := a.Descriptor().Fields().Get(i)
		if fields.Kept(fd) || !a.Has(fd) && !b.Has(fd) || fd.Name() == "same_as" {
			continue
		}
		rows = append(rows, row{
			Field: string(fd.Name()), Label: fields.Label(v, fd), First: said(v, a, fd), Second: said(v, b, fd),
			Same: a.Has(fd) && b.Has(fd) && a.Get(fd).Equal(b.Get(fd)),
		})
	}
	return rows
}

// said is what a field says, a line for each of its values.
func said(v *workbench.Visit, m protoreflect.Message, fd protoreflect.FieldDescriptor) []string {
	if !m.Has(fd) {
		return nil
	}
	value := m.Get(fd)
	if fd.IsMap() {
		return nil
	}
	if !fd.IsList() {
		return []string{line(v, fd, value)}
	}
	var all []string
	for i := range value.List().Len() {
		all = append(all, line(v, fd, value.List().Get(i)))
	}
	return all
}

// line is one value in words.
func line(v *workbench.Visit, fd protoreflect.FieldDescriptor, value protoreflect.Value) string {
	switch {
	case fd.Enum() != nil:
		number := fd.Enum().Values().ByNumber(value.Enum())
		if number == nil {
			return value.String()
		}
		if id := fields.EnumID(fd.Enum(), number); v.Knows(id) {
			return v.Say(id)
		}
		return string(number.Name())
	case fd.Kind() == protoreflect.BoolKind:
		return v.Say(map[bool]string{true: "duplicates.yes", false: "duplicates.no"}[value.Bool()])
	case fd.Message() == nil:
		return value.String()
	}
	switch m := value.Message().Interface().(type) {
	case *registryv1.LocalizedText:
		return m.GetIt()
	case *registryv1.PartialDate:
		parts := []string{fmt.Sprintf("%04d", m.GetYear())}
		for _, number := range []int32{m.GetMonth(), m.GetDay()} {
			if number > 0 {
				parts = append([]string{fmt.Sprintf("%02d", number)}, parts...)
			}
		}
		return strings.Join(parts, "/")
	case interface{ AsTime() time.Time }:
		return m.AsTime().In(site.Rome).Format("02/01/2006 15:04")
	}
	var parts []string
	inner := value.Message()
	for i := range inner.Descriptor().Fields().Len() {
		of := inner.Descriptor().Fields().Get(i)
		if of.IsMap() || !inner.Has(of) {
			continue
		}
		parts = append(parts, said(v, inner, of)...)
	}
	return strings.Join(parts, ", ")
}
