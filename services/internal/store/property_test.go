package store_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/feedv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/store"
)

// scratch opens a store that lives as long as one history.
func scratch(t *rapid.T, server, comune string, c *clock) *store.Store {
	dir, err := os.MkdirTemp("", "store")
	must(t, err)
	s, err := store.Open(options(filepath.Join(dir, "data.db"), server, comune, c))
	must(t, err)
	t.Cleanup(func() {
		_ = s.Close()
		_ = os.RemoveAll(dir)
	})
	return s
}

// A model is a store, and what it must hold.
type model struct {
	s       *store.Store
	c       *clock
	records map[string]proto.Message
}

var ids = rapid.SampledFrom([]string{"aa", "ab", "abc", "b0", "zz"})

func name(t *rapid.T, label string) string {
	id := ids.Draw(t, label)
	switch rapid.IntRange(0, 3).Draw(t, label+" kind") {
	case 0:
		return "comuni/marsala/organizations/" + id
	case 1:
		return "comuni/marsala/plans/" + id
	case 2:
		return "comuni/marsala/plans/" + id + "/actions/" + ids.Draw(t, label+" action")
	default:
		return "comuni/marsala/services/" + id
	}
}

// record draws a record with anything that has an index or hides something.
func (m *model) record(t *rapid.T) proto.Message {
	text := name(t, "record")
	record := named(t, text).Kind.New()
	r := catalog.RecordOf(record)
	r.SetName(text)
	provenance := &registryv1.Provenance{}
	if rapid.Bool().Draw(t, "due") {
		provenance.VerifyByTime = timestamppb.New(m.c.Now().Add(time.Duration(rapid.IntRange(-2, 5).Draw(t, "due in")) * time.Hour))
	}
	visibility := registryv1.Visibility(rapid.IntRange(0, 3).Draw(t, "visibility"))
	switch record := record.(type) {
	case *registryv1.Service:
		record.Provenance, record.Visibility = provenance, visibility
		for range rapid.IntRange(0, 3).Draw(t, "providers") {
			record.Provisions = append(record.Provisions, &registryv1.Provision{Organization: "comuni/marsala/organizations/" + ids.Draw(t, "provider")})
		}
		for range rapid.IntRange(0, 2).Draw(t, "contacts") {
			record.Contacts = append(record.Contacts, &registryv1.ContactPoint{Value: "0923", Visibility: registryv1.Visibility(rapid.IntRange(0, 3).Draw(t, "contact"))})
		}
	case *registryv1.Organization:
		record.Provenance, record.Visibility = provenance, visibility
		record.ParentOrganization = "comuni/marsala/organizations/" + ids.Draw(t, "parent")
	case *registryv1.Plan:
		record.Provenance, record.Visibility = provenance, visibility
	case *registryv1.Action:
		record.Provenance, record.Visibility = provenance, visibility
		record.Services = []string{"comuni/marsala/services/" + ids.Draw(t, "service")}
	}
	if rapid.IntRange(0, 4).Draw(t, "deleted") == 0 {
		r.SetDeleteTime(m.c.Now())
		r.SetPurgeTime(m.c.Now().Add(time.Duration(rapid.IntRange(0, 5).Draw(t, "purge in")) * time.Hour))
	}
	return record
}

func (m *model) write(t *rapid.T) {
	var outcome store.Outcome
	seen := map[string]bool{}
	for range rapid.IntRange(1, 4).Draw(t, "records") {
		record := m.record(t)
		if seen[nameOf(record)] {
			continue
		}
		seen[nameOf(record)] = true
		outcome.Put = append(outcome.Put, record)
	}
	if text := name(t, "purged"); m.records[text] != nil && !seen[text] && rapid.Bool().Draw(t, "purge") {
		outcome.Purge = append(outcome.Purge, named(t, text))
		delete(m.records, text)
	}
	_, err := m.s.Commit(context.Background(), store.Request{}, nil, func(store.Reader, store.Stamp) (store.Outcome, error) { return outcome, nil })
	must(t, err)
	for _, record := range outcome.Put {
		m.records[nameOf(record)] = record
	}
}

func (m *model) purge(t *rapid.T) {
	m.c.pass(time.Duration(rapid.IntRange(0, 3).Draw(t, "hours")) * time.Hour)
	_, err := m.s.Purge(context.Background())
	must(t, err)
	for text, record := range m.records {
		// Purge times count in whole seconds.
		if purge := catalog.RecordOf(record).PurgeTime(); !purge.IsZero() && purge.Before(m.c.Now()) {
			delete(m.records, text)
		}
	}
}

// check compares the store with the model, from every side.
func (m *model) check(t *rapid.T) {
	report, err := m.s.Check(context.Background())
	must(t, err)
	for _, problem := range report.Problems {
		// That targets exist is the business of whoever writes.
		if !strings.HasSuffix(problem, "is not there") {
			t.Fatalf("check: %s", problem)
		}
	}
	travelling := map[string]bool{}
	for text, record := range m.records {
		if got := read(t, m.s, text); !proto.Equal(got, record) {
			t.Fatalf("%s is %v, not %v", text, got, record)
		}
		if catalog.Narrow(record, registryv1.Visibility_NETWORK) != nil {
			travelling[text] = true
		}
	}
	if report.Records != int64(len(m.records)) {
		t.Fatalf("%d records, not %d", report.Records, len(m.records))
	}
	for what, held := range map[string]map[string]string{"snapshot": holdings(t, m.s), "feed": replayed(t, m.s)} {
		if !maps.EqualFunc(held, travelling, func(string, bool) bool { return true }) {
			t.Fatalf("the %s holds %v, not %v", what, slices.Sorted(maps.Keys(held)), slices.Sorted(maps.Keys(travelling)))
		}
	}
	if !maps.Equal(holdings(t, m.s), replayed(t, m.s)) {
		t.Fatal("feed and snapshot differ")
	}
	m.lists(t)
}

// lists draws a query and compares its pages with the model.
func (m *model) lists(t *rapid.T) {
	q := store.Query{
		Kind: kind(rapid.SampledFrom([]string{"services", "organizations", "plans", "actions"}).Draw(t, "kind")), Within: []string{"marsala"},
		Limit: rapid.IntRange(1, 5).Draw(t, "limit"), ShowDeleted: rapid.Bool().Draw(t, "show deleted"),
		Sight: catalog.Sight{Reads: registryv1.Visibility(rapid.IntRange(1, 3).Draw(t, "reader"))},
	}
	if rapid.Bool().Draw(t, "refers") {
		q.RefersTo = name(t, "target")
	}
	if rapid.Bool().Draw(t, "due") {
		q.DueBefore = m.c.Now().Add(time.Duration(rapid.IntRange(-1, 4).Draw(t, "before")) * time.Hour)
	}
	var want []string
	for text, record := range m.records {
		r := catalog.RecordOf(record)
		due, hasDue := catalog.DueTime(record)
		refers := slices.ContainsFunc(catalog.References(record), func(ref catalog.Reference) bool { return ref.Target == q.RefersTo })
		switch {
		case r.Kind() != q.Kind, r.Visibility() > q.Sight.Reads,
			r.Deleted() && (!q.ShowDeleted || !q.DueBefore.IsZero()),
			q.RefersTo != "" && !refers,
			!q.DueBefore.IsZero() && (!hasDue || !due.Before(q.DueBefore)):
		default:
			want = append(want, text)
		}
	}
	got, _ := list(t, m.s, q)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Fatalf("%+v lists %v, not %v", q, got, want)
	}
}

func TestStoreIsWhatWasWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := newClock()
		m := &model{s: scratch(t, "marsala", "marsala", c), c: c, records: map[string]proto.Message{}}
		t.Repeat(map[string]func(*rapid.T){"write": m.write, "purge": m.purge, "": m.check})
	})
}

// A snapshot whose pages mix moments, taken while the source is written to, with
// revisions applied late: it must be the source in the end.
func TestSnapshotUnderWrites(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := newClock()
		m := &model{s: scratch(t, "marsala", "marsala", c), c: c, records: map[string]proto.Message{}}
		to := scratch(t, "cid-trapani", "", c)
		var many []proto.Message
		for i := range 280 {
			many = append(many, &registryv1.Event{Name: fmt.Sprintf("comuni/marsala/events/e-%03d", i)})
		}
		_, err := m.s.Commit(context.Background(), store.Request{}, nil, func(store.Reader, store.Stamp) (store.Outcome, error) {
			return store.Outcome{Put: many}, nil
		})
		must(t, err)
		busy := func(label string) {
			for range rapid.IntRange(0, 3).Draw(t, label) {
				m.write(t)
			}
			m.purge(t)
		}
		for round := range 2 {
			busy("before")
			page, err := m.s.SnapshotPage(nil)
			must(t, err)
			must(t, to.BeginSnapshot(context.Background(), "marsala", page.At))
			for {
				busy("between pages")
				var ended store.Position
				if page.Next == nil {
					ended = page.At
				}
				must(t, to.StagePage(context.Background(), "marsala", ofMarsala, page.Records, page.LastKey, ended))
				if page.Next == nil {
					break
				}
				if rapid.Bool().Draw(t, "broke") {
					page.Next = page.LastKey
				}
				page, err = m.s.SnapshotPage(page.Next)
				must(t, err)
			}
			u, err := to.Upstream("marsala")
			must(t, err)
			for _, revision := range revisions(t, m.s, u.At()) {
				must(t, to.ApplyRevisions(context.Background(), "marsala", ofMarsala, []*feedv1.Revision{revision}, c.Now()))
			}
			must(t, to.FinishSnapshot(context.Background(), "marsala", c.Now()))
			if !maps.Equal(holdings(t, m.s), holdings(t, to)) || !maps.Equal(holdings(t, to), replayed(t, to)) {
				t.Fatalf("round %d: the copy is not the source", round)
			}
			busy("after")
			catchUp(t, to, m.s, ofMarsala)
			if !maps.Equal(holdings(t, m.s), holdings(t, to)) || !maps.Equal(holdings(t, to), replayed(t, to)) {
				t.Fatalf("round %d: the copy does not follow", round)
			}
			report, err := to.Check(context.Background())
			must(t, err)
			if len(report.Problems) > 0 {
				t.Fatalf("check: %v", report.Problems)
			}
		}
	})
}
