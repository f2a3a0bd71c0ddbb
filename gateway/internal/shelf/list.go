package shelf

import (
	"context"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/gateway/internal/record"
	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/gateway/internal/workbench"
	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/editorialv1"
	"cidsistem.example/proto/gen/registryv1"
)

const (
	// lookFor is how long a page goes on looking for records that a filter lets through and no index knows.
	lookFor = 2 * time.Second
	// deepest is how many hits the search goes through.
	deepest = 1000
	// countWithin is how long it waits for the numbers on its tabs.
	countWithin = time.Second
)

// Buttons of a list; each has the name of a record as its value.
const (
	buttonSuspend  = "sospendi"
	buttonResume   = "riprendi"
	buttonWithdraw = "ritira"
	buttonUndelete = "ripristina"
)

// A row is a record in a list.
type row struct {
	Name, Title, Collection string
	// Path of the record on the signed-in side, its History, and its page for the public; empty: it has none.
	Path, History, Public string
	// StatusList has the words of its Status; empty: it has none.
	StatusList, Status string
	Visibility         registryv1.Visibility
	Verified, Due      *timestamppb.Timestamp
	// Late: it must be verified again.
	Late, Deleted bool
	// Writes and Publishes are what the person may do with it.
	Writes, Publishes bool
}

type tab struct {
	Path, Collection string
	Count            int
	Current          bool
}

type listPage struct {
	Filter   filter
	Tabs     []tab
	Statuses []string
	// Languages that can be chosen: those that records have.
	Languages []string
	Sizes     []int
	Rows      []row
	// Total is how many there are, where it is known; Looked how many records were looked at for a filter that no index knows.
	Total, Looked int
	Known         bool
	// Action is the address of the page, Next of the one after it, First of the first; All of the same page with all rows chosen.
	Action, Next, First, All string
	// Chosen: all rows are; Picked are those that were.
	Chosen bool
	Picked map[string]bool
	// Fields that can be changed in many records.
	Fields []string
	Field  string
	// New is where a record of the kind begins; empty: the person writes none.
	New string
	// Deep: the search goes no deeper; Cut: there are more records that only the comune sees.
	Deep, Cut bool
}

// list shows records, and takes one out of sight or puts it back.
func (s *Shelf) list(v *workbench.Visit) (*site.Page, error) {
	q := v.URL.Query()
	f, ok := filterOf(q)
	if !ok {
		return nil, site.ErrNoPage
	}
	data := listPage{
		Filter: f, Statuses: f.statuses(), Sizes: sizes, Chosen: q.Get(fieldAll) != "", Picked: map[string]bool{},
		Action: address(f.Query(), q.Get(fieldPage)),
	}
	if sent := v.Sent(); sent != nil {
		done, err := s.act(v, sent.Values)
		if err == nil {
			return v.Go(data.Action, done), nil
		}
		v.Refused(err, nil)
		for _, name := range sent.Values[fieldRecord] {
			data.Picked[name] = true
		}
		data.Field = sent.Values.Get(fieldField)
	}
	if f.Kind != nil && writes(v, f.Kind) {
		data.Fields = changeable(v, f.Kind)
	}
	if f.Kind == nil || writes(v, f.Kind) && f.Kind.Depth() == 2 {
		data.New = root + "nuova"
		if f.Kind != nil {
			data.New += "?" + url.Values{"tipo": {f.Kind.Collection}}.Encode()
		}
	}
	counted := make(chan counts, 1)
	go func() { counted <- s.counts(v) }()
	found, err := s.find(v, f, q.Get(fieldPage))
	known := <-counted
	data.Tabs, data.Languages = tabs(f, known["kinds"]), slices.Sorted(maps.Keys(known["languages"]))
	if err != nil {
		return nil, err
	}
	for _, m := range found.records {
		data.Rows = append(data.Rows, s.row(v, m))
	}
	data.Total, data.Known, data.Looked = found.total, found.known, found.looked
	if found.next != "" {
		data.Next = address(f.Query(), found.next)
	}
	data.Deep, data.Cut = found.known && found.next == "" && found.total > deepest, found.cut
	if q.Get(fieldPage) != "" {
		data.First = address(f.Query(), "")
	}
	all := f.Query()
	all.Set(fieldAll, "1")
	data.All = address(all, q.Get(fieldPage)) + "#elenco"
	return &site.Page{Template: "list", Title: v.Say("shelf.title"), Data: data}, nil
}

// address of a page of a list.
func address(q url.Values, token string) string {
	if token != "" {
		q.Set(fieldPage, token)
	}
	return root + "?" + q.Encode()
}

// tabs lead to the kinds.
func tabs(f filter, counts map[string]int) []tab {
	var all []tab
	for _, collection := range append(slices.Clone(kinds), anyKind) {
		q := url.Values{fieldKind: {collection}}
		if f.Words != "" {
			q.Set(fieldWords, f.Words)
		}
		count := counts[collection]
		all = append(all, tab{Path: root + "?" + q.Encode(), Collection: collection, Count: count, Current: f.Collection() == collection})
	}
	return all
}

// counts are how many records there are by facet and code.
type counts map[string]map[string]int

// counts the records of all kinds, as far as the search knows in time; a page does without.
func (s *Shelf) counts(v *workbench.Visit) counts {
	ctx, cancel := context.WithTimeout(v.Upstream(), countWithin)
	defer cancel()
	request := filter{Rows: 1}.search(v)
	request.Facets = true
	answer, err := s.search.Search(ctx, request)
	if err != nil {
		return nil
	}
	all := counts{}
	for _, facet := range answer.GetFacets() {
		all[facet.GetFacet()] = map[string]int{}
		for _, count := range facet.GetCounts() {
			all[facet.GetFacet()][count.GetCode()] = int(count.GetCount())
		}
	}
	if all["kinds"] != nil {
		all["kinds"][anyKind] = int(answer.GetTotalSize())
	}
	return all
}

// found are records of a page.
type found struct {
	records []proto.Message
	next    string
	// total is how many there are, where that is known; looked how many were looked at for a filter that no index knows.
	total, looked int
	known         bool
	// cut tells that there are more records that only the comune sees.
	cut bool
}

// find reads a page: from the search where it knows what is looked for, else from the lists of the kind. What neither knows is looked
// for record by record, for a while; the page then says how far it came, and goes on from there. The first page of a search has the
// records that only the comune sees first: the search does not know them.
func (s *Shelf) find(v *workbench.Visit, f filter, token string) (found, error) {
	ctx, cancel := within(v)
	defer cancel()
	if !f.searched() {
		return s.sift(ctx, v, f, token, lookFor)
	}
	var hidden found
	if token == "" && (f.Visibility == "" || f.Visibility == onlyHere) {
		hidden = s.hidden(ctx, v, f)
	}
	if f.Visibility == onlyHere {
		return hidden, nil
	}
	all, err := s.sift(ctx, v, f, token, lookFor)
	all.records = append(hidden.records, slices.DeleteFunc(all.records, func(m proto.Message) bool {
		r := catalog.RecordOf(m)
		return r.Visibility() == registryv1.Visibility_LOCAL && writes(v, r.Kind()) // they are on the first page
	})...)
	all.total, all.cut = all.total+len(hidden.records), hidden.cut
	return all, err
}

// hidden finds records that only the comune sees, for those who write some. What cannot be read in time is left out.
func (s *Shelf) hidden(ctx context.Context, v *workbench.Visit, f filter) found {
	var all found
	began := s.now()
	for _, collection := range kinds {
		kind := catalog.ByCollection(collection)
		if f.Kind != nil && f.Kind != kind || !writes(v, kind) {
			continue
		}
		one := f
		one.Kind, one.Visibility = kind, onlyHere
		some, err := s.sift(ctx, v, one, "", lookFor-s.now().Sub(began))
		if err != nil {
			continue
		}
		all.records = append(all.records, some.records...)
		all.looked += some.looked
		all.cut = all.cut || some.next != ""
	}
	return all
}

// sift reads what the server knows of the filter, and looks at each record for the rest of it, until a page is full or for so long.
func (s *Shelf) sift(ctx context.Context, v *workbench.Visit, f filter, token string, long time.Duration) (found, error) {
	var all found
	began := s.now()
	sifted := f.Visibility != "" || f.Deleted || f.Checked == checked || f.searched() && f.Checked == late
	for {
		records, next, total, err := s.read(ctx, v, f, token)
		if err != nil {
			return found{}, err
		}
		for _, m := range records {
			if !sifted || s.lets(f, m) {
				all.records = append(all.records, m)
			}
		}
		if sifted {
			all.looked += len(records)
		} else if f.searched() {
			all.total, all.known = total, true
		}
		all.next, token = next, next
		if next == "" || len(all.records) >= f.Rows || s.now().Sub(began) > long {
			return all, nil
		}
	}
}

// lets tells whether a filter lets a record through, as to what no index knows.
func (s *Shelf) lets(f filter, m proto.Message) bool {
	r := catalog.RecordOf(m)
	switch {
	case f.Deleted != r.Deleted():
		return false
	case f.Visibility != "" && strings.ToLower(r.Visibility().String()) != f.Visibility:
		return false
	case f.Checked != "" && s.overdue(m) != (f.Checked == late):
		return false
	}
	return f.searched() || f.matches(m)
}

// matches tells whether a record has the words, the state and the language of a filter, for those that the search does not know.
func (f filter) matches(m proto.Message) bool {
	if _, code := statusOf(m); f.Status != "" && strings.ToLower(code) != f.Status {
		return false
	}
	var text strings.Builder
	spoken := f.Language == ""
	catalog.SearchValues(m, func(value catalog.SearchValue) {
		switch said := value.Value.Interface().(type) {
		case string:
			spoken = spoken || value.Facet == "languages" && said == f.Language
			text.WriteString(strings.ToLower(said) + " ")
		case protoreflect.Message:
			if t, ok := said.Interface().(*registryv1.LocalizedText); ok {
				text.WriteString(strings.ToLower(t.GetIt()) + " ")
			}
		}
	})
	for word := range strings.FieldsSeq(strings.ToLower(f.Words)) {
		if !strings.Contains(text.String(), word) {
			return false
		}
	}
	return spoken
}

// overdue tells whether a record must be verified again.
func (s *Shelf) overdue(m proto.Message) bool {
	due, ok := catalog.DueTime(m)
	return ok && due.Before(s.now())
}

// read reads one page of what the server knows; total is known of what was searched.
func (s *Shelf) read(ctx context.Context, v *workbench.Visit, f filter, token string) (records []proto.Message, next string, total int, err error) {
	if f.searched() {
		request := f.search(v)
		request.PageToken = token
		answer, err := s.search.Search(ctx, request)
		if err != nil {
			return nil, "", 0, err
		}
		names := make([]string, len(answer.GetHits()))
		for i, hit := range answer.GetHits() {
			names[i] = hit.GetName()
		}
		return s.reader.InOrder(ctx, names...), answer.GetNextPageToken(), int(answer.GetTotalSize()), nil
	}
	kind := f.Kind
	if kind == nil {
		kind = catalog.ByCollection(kinds[0])
	}
	method, ok := kind.Method(catalog.List)
	if !ok {
		return nil, "", 0, site.ErrNoPage
	}
	request, answer := method.NewRequest(), method.NewResponse()
	set(request, "parent", protoreflect.ValueOfString(parentOf(v, kind)))
	set(request, "page_token", protoreflect.ValueOfString(token))
	set(request, "page_size", protoreflect.ValueOfInt32(int32(max(f.Rows, sizes[0]))))
	set(request, "show_deleted", protoreflect.ValueOfBool(f.Deleted))
	if f.Checked == late {
		set(request, "due_before_time", protoreflect.ValueOfMessage(timestamppb.New(s.now()).ProtoReflect()))
	}
	if err := s.conn.Invoke(ctx, method.Full, request, answer); err != nil {
		return nil, "", 0, err
	}
	m := answer.ProtoReflect()
	list := m.Get(m.Descriptor().Fields().ByName(protoreflect.Name(kind.Collection))).List()
	for i := range list.Len() {
		records = append(records, list.Get(i).Message().Interface())
	}
	return records, m.Get(m.Descriptor().Fields().ByName("next_page_token")).String(), 0, nil
}

func set(request proto.Message, field protoreflect.Name, value protoreflect.Value) {
	m := request.ProtoReflect()
	m.Set(m.Descriptor().Fields().ByName(field), value)
}

// row is a record as a list shows it.
func (s *Shelf) row(v *workbench.Visit, m proto.Message) row {
	r := catalog.RecordOf(m)
	one := row{
		Name: r.Name(), Title: r.Title(), Collection: r.Kind().Collection, Path: cardPath(r.Name()), History: historyPath(r.Name()),
		Visibility: r.Visibility(), Verified: r.Provenance().GetVerifyTime(), Late: s.overdue(m), Deleted: r.Deleted(),
		Writes: writes(v, r.Kind()), Publishes: publishes(v, r.Kind()),
	}
	if one.Title == "" {
		one.Title = r.Name()
	}
	if due, ok := catalog.DueTime(m); ok {
		one.Due = timestamppb.New(due)
	}
	if !one.Deleted && one.Visibility == registryv1.Visibility_PUBLIC {
		one.Public = record.Path(r.Name())
	}
	one.StatusList, one.Status = statusOf(m)
	return one
}

// statusOf a record: the list with its words, and its code; empty: it has none.
func statusOf(m proto.Message) (list, code string) {
	switch m := m.(type) {
	case *registryv1.Plan:
		return "plan_states", m.GetState().String()
	case *registryv1.Action:
		return "action_states", m.GetState().String()
	case interface{ GetStatus() *registryv1.Status }:
		if state := m.GetStatus().GetState(); state != 0 {
			return "statuses", state.String()
		}
	}
	return "", ""
}

// act does what a button of a list says, and returns the name of what was done.
func (s *Shelf) act(v *workbench.Visit, values url.Values) (string, error) {
	ctx, cancel := within(v)
	defer cancel()
	for _, button := range []string{buttonSuspend, buttonResume, buttonWithdraw, buttonUndelete} {
		name := values.Get(button)
		if name == "" {
			continue
		}
		var err error
		switch button {
		case buttonSuspend:
			_, err = s.records.SuspendRecord(ctx, &editorialv1.SuspendRecordRequest{Parent: v.Comune, Record: name})
		case buttonResume:
			_, err = s.records.ResumeRecord(ctx, &editorialv1.ResumeRecordRequest{Parent: v.Comune, Record: name})
		case buttonWithdraw:
			err = s.call(ctx, catalog.Delete, name)
		case buttonUndelete:
			err = s.call(ctx, catalog.Undelete, name)
		}
		return "shelf_" + button, err
	}
	return "", site.ErrNoPage
}

// call calls a standard method that takes the name of a record alone.
func (s *Shelf) call(ctx context.Context, verb catalog.Verb, name string) error {
	parsed, err := catalog.ParseName(name)
	if err != nil {
		return site.ErrNoPage
	}
	method, ok := parsed.Kind.Method(verb)
	if !ok {
		return site.ErrNoPage
	}
	request := method.NewRequest()
	set(request, "name", protoreflect.ValueOfString(name))
	return s.conn.Invoke(ctx, method.Full, request, method.NewResponse())
}
