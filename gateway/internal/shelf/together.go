package shelf

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/gateway/internal/workbench"
	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/editorialv1"
)

// Fields of the form with which many records change.
const (
	fieldRecord  = "scheda"
	fieldField   = "campo"
	fieldBack    = "da"
	fieldNote    = "perche"
	fieldRequest = "richiesta"
	buttonAct    = "azione"
	actLook      = "guarda"
	actChange    = "cambia"
	fieldChanged = "schede"
)

// mostTogether is how many records change together.
const mostTogether = 1000

// A chosen record.
type chosen struct{ Name, Title string }

// A result is what a change does to one record, in words.
type result struct {
	Name, Title, Path, Before, After, Problem string
	Changed                                   bool
}

type togetherPage struct {
	Kind   *catalog.Kind
	Fields []string
	Value  value
	// Offers are what the value can be chosen from.
	Offers  offers
	Records []chosen
	Back    string
	// Results of a look at the change; the Hidden fields are those of the value. Changing are the records that do change.
	Results  []result
	Hidden   []hidden
	Changing []string
	Request  string
	Changed  int
	Same     int
	Failed   int
}

type hidden struct{ Name, Value string }

// together changes one field of many records: what and how, a look before, and the change.
func (s *Shelf) together(v *workbench.Visit) (*site.Page, error) {
	sent := v.Sent()
	if sent == nil {
		return v.Go(root, ""), nil
	}
	kind := catalog.ByCollection(sent.Values.Get(fieldKind))
	if kind == nil || !slices.Contains(kinds, kind.Collection) {
		return nil, site.ErrNoPage
	}
	data := togetherPage{Kind: kind, Fields: changeable(v, kind), Back: back(sent.Values.Get(fieldBack), kind), Value: valueOf(sent.Values), Request: sent.Values.Get(fieldRequest)}
	names := sent.Values[fieldRecord]
	if len(names) == 0 {
		v.Alert = &site.Alert{Title: v.Say("shelf.noneChosen"), Text: v.Say("shelf.noneChosenText")}
	}
	names = names[:min(len(names), mostTogether)]
	if !slices.Contains(data.Fields, data.Value.Field) {
		data.Value.Field = ""
	}
	act := sent.Values.Get(buttonAct)
	if len(names) > 0 && data.Value.Field != "" && (act == actLook || act == actChange) {
		page, err := s.tried(v, &data, names, act == actChange)
		if page != nil || err != nil {
			return page, err
		}
	}
	data.Records = s.titled(v, names)
	data.Offers = s.offers(v, kind, data.Value.Field)
	return shown(v, "together", v.Say("shelf.togetherTitle"), data), nil
}

// tried looks at a change, or makes it; nothing when the form must be shown again.
func (s *Shelf) tried(v *workbench.Visit, data *togetherPage, names []string, earnest bool) (*site.Page, error) {
	change, ok := data.Value.change(v, data.Kind)
	if !ok {
		return nil, nil
	}
	values, err := anypb.New(change.record)
	if err != nil {
		return nil, err
	}
	call := &editorialv1.ChangeRecordsRequest{
		Parent: v.Comune, Records: names, Values: values, UpdateMask: &fieldmaskpb.FieldMask{Paths: change.paths}, Note: data.Value.Note,
		ValidateOnly: !earnest, AddToLists: change.adds,
	}
	if earnest && uuid.Validate(data.Request) == nil {
		call.RequestId = data.Request
	}
	ctx, cancel := within(v)
	defer cancel()
	answer, err := s.records.ChangeRecords(ctx, call)
	if err != nil {
		v.Refused(err, data.Value.elements())
		return nil, nil
	}
	if answer.GetChange() != "" {
		count := 0
		for _, one := range answer.GetResults() {
			if one.GetChanged() {
				count++
			}
		}
		return v.Go(changes+answer.GetChange()+"?"+url.Values{fieldChanged: {strconv.Itoa(count)}, fieldBack: {data.Back}}.Encode(), ""), nil
	}
	if earnest {
		v.Alert = &site.Alert{Title: v.Say("shelf.nothingChanged"), Text: v.Say("shelf.nothingChangedText")}
	}
	for _, one := range answer.GetResults() {
		told := s.told(v, data.Kind, data.Value.Field, one)
		switch {
		case told.Problem != "":
			data.Failed++
		case told.Changed:
			data.Changed++
			data.Changing = append(data.Changing, told.Name)
		default:
			data.Same++
		}
		data.Results = append(data.Results, told)
	}
	if data.Value.Field == changeOrganization {
		s.nameBodies(v, data.Results)
	}
	data.Hidden, data.Request = data.Value.hidden(), uuid.NewString()
	for _, name := range names {
		data.Records = append(data.Records, chosen{Name: name})
	}
	return shown(v, "preview", v.Say("shelf.previewTitle"), *data), nil
}

// told says what a change does to one record.
func (s *Shelf) told(v *workbench.Visit, kind *catalog.Kind, field string, one *editorialv1.ChangeRecordsResponse_Result) result {
	r := result{Name: one.GetRecord(), Title: one.GetTitle(), Path: cardPath(one.GetRecord()), Problem: one.GetProblem(), Changed: one.GetChanged()}
	if r.Title == "" {
		r.Title = r.Name
	}
	r.Before, r.After = said(v, kind, field, one.GetBefore()), said(v, kind, field, one.GetAfter())
	return r
}

// said says the fields of a record in words; they come as JSON.
func said(v *workbench.Visit, kind *catalog.Kind, field, text string) string {
	if text == "" {
		return ""
	}
	m := kind.New()
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal([]byte(text), m); err != nil {
		return text
	}
	if words := inWords(v, field, m); words != "" {
		return words
	}
	return v.Say("shelf.nothing")
}

// nameBodies puts the titles of bodies where their names are.
func (s *Shelf) nameBodies(v *workbench.Visit, results []result) {
	var names []string
	for _, one := range results {
		names = append(names, one.Before, one.After)
	}
	bodies := s.reader.All(v.Upstream(), names...)
	for i := range results {
		for _, text := range []*string{&results[i].Before, &results[i].After} {
			if body := bodies[*text]; body != nil {
				*text = titleOf(body)
			}
		}
	}
}

// titled finds the titles of records.
func (s *Shelf) titled(v *workbench.Visit, names []string) []chosen {
	records := s.reader.All(v.Upstream(), names...)
	all := make([]chosen, 0, len(names))
	for _, name := range names {
		one := chosen{name, name}
		if m := records[name]; m != nil {
			one.Title = titleOf(m)
		}
		all = append(all, one)
	}
	return all
}

func titleOf(m proto.Message) string {
	r := catalog.RecordOf(m)
	if r.Title() == "" {
		return r.Name()
	}
	return r.Title()
}

// back is the address of the list that somebody came from.
func back(address string, kind *catalog.Kind) string {
	if strings.HasPrefix(address, root+"?") {
		return address
	}
	if kind == nil {
		return root
	}
	return root + "?" + url.Values{fieldKind: {kind.Collection}}.Encode()
}

type undoPage struct {
	Change, Back string
	// Count of the records that changed; 0: not known.
	Count int
	// Undone: it was taken back, of those records that were still as it left them.
	Undone  bool
	Results []result
	Failed  int
}

// undo takes a change of many records back.
func (s *Shelf) undo(v *workbench.Visit) (*site.Page, error) {
	q := v.URL.Query()
	data := undoPage{Change: v.PathValue("id"), Back: back(q.Get(fieldBack), nil)}
	if !catalog.ValidID(data.Change) {
		return nil, site.ErrNoPage
	}
	if n, err := strconv.Atoi(q.Get(fieldChanged)); err == nil && n > 0 && n <= mostTogether {
		data.Count = n
	}
	if v.Sent() != nil {
		ctx, cancel := within(v)
		defer cancel()
		answer, err := s.records.UndoChange(ctx, &editorialv1.UndoChangeRequest{Parent: v.Comune, Change: data.Change})
		if err != nil {
			v.Refused(err, nil)
			return shown(v, "undo", v.Say("shelf.undoTitle"), data), nil
		}
		data.Undone = true
		for _, one := range answer.GetResults() {
			r := result{Name: one.GetRecord(), Title: one.GetTitle(), Path: cardPath(one.GetRecord()), Problem: one.GetProblem(), Changed: one.GetChanged()}
			if r.Title == "" {
				r.Title = r.Name
			}
			if r.Problem != "" {
				data.Failed++
			}
			data.Results = append(data.Results, r)
		}
	}
	return shown(v, "undo", v.Say("shelf.undoTitle"), data), nil
}

// shown makes a page that leads back to the lists.
func shown(v *workbench.Visit, template, title string, data any) *site.Page {
	return &site.Page{Template: template, Title: title, Data: data, Crumbs: []site.Link{
		{Path: workbench.Root, Text: v.Say("lavoro.nav.home")}, {Path: root, Text: v.Say("shelf.title")},
	}}
}
