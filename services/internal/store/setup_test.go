package store_test

import (
	"bytes"
	"io"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/feedv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/store"
)

// A clock that only a test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func options(path, server, comune string, c *clock) store.Options {
	return store.Options{
		Path: path, ServerID: server, Comune: comune, Now: c.Now, NoSync: true,
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
}

func open(t testing.TB, o store.Options) *store.Store {
	t.Helper()
	s, err := store.Open(o)
	must(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// marsala opens the empty store of a comune's node.
func marsala(t testing.TB, c *clock) *store.Store {
	t.Helper()
	return open(t, options(filepath.Join(t.TempDir(), "registry.db"), "marsala", "marsala", c))
}

// office opens the empty store of an ufficio comune.
func office(t testing.TB, id string, c *clock) *store.Store {
	t.Helper()
	return open(t, options(filepath.Join(t.TempDir(), "ufficio.db"), id, "", c))
}

type failer interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

func must(t failer, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func italian(text string) *registryv1.LocalizedText { return &registryv1.LocalizedText{It: text} }

func service(id string, edits ...func(*registryv1.Service)) *registryv1.Service {
	s := &registryv1.Service{Name: "comuni/marsala/services/" + id, Title: italian("Servizio " + id)}
	for _, edit := range edits {
		edit(s)
	}
	return s
}

func organization(id string) *registryv1.Organization {
	return &registryv1.Organization{Name: "comuni/marsala/organizations/" + id, Title: italian("Ente " + id)}
}

// of makes a service of a node that is marsala's the service of another comune.
func of(comune string) func(*registryv1.Service) {
	return func(s *registryv1.Service) {
		s.Name = "comuni/" + comune + s.GetName()[len("comuni/marsala"):]
	}
}

func visible(v registryv1.Visibility) func(*registryv1.Service) {
	return func(s *registryv1.Service) { s.Visibility = v }
}

func provided(by string) func(*registryv1.Service) {
	return func(s *registryv1.Service) {
		s.Provisions = append(s.Provisions, &registryv1.Provision{Organization: "comuni/marsala/organizations/" + by})
	}
}

func named(t failer, name string) catalog.Name {
	t.Helper()
	n, err := catalog.ParseName(name)
	must(t, err)
	return n
}

// write commits records and returns them as they were stored.
func write(t testing.TB, s *store.Store, records ...proto.Message) []proto.Message {
	t.Helper()
	stored, err := commit(t, s, store.Request{}, store.Outcome{Put: records})
	must(t, err)
	return stored.Put
}

func commit(t testing.TB, s *store.Store, request store.Request, outcome store.Outcome) (store.Outcome, error) {
	t.Helper()
	for i, record := range outcome.Put {
		outcome.Put[i] = proto.Clone(record)
	}
	_, err := s.Commit(t.Context(), request, nil, func(store.Reader, store.Stamp) (store.Outcome, error) { return outcome, nil })
	return outcome, err
}

func purge(t testing.TB, s *store.Store, names ...string) {
	t.Helper()
	var outcome store.Outcome
	for _, name := range names {
		outcome.Purge = append(outcome.Purge, named(t, name))
	}
	_, err := commit(t, s, store.Request{}, outcome)
	must(t, err)
}

func read(t failer, s *store.Store, name string) proto.Message {
	t.Helper()
	var record proto.Message
	must(t, s.View(func(r store.Reader) (err error) { record, err = r.Get(named(t, name)); return err }))
	return record
}

// beginning is the position before the first revision.
func beginning(s *store.Store) store.Position { return store.Position{Epoch: s.Head().Epoch} }

// revisions reads the feed after a position up to its head.
func revisions(t failer, s *store.Store, after store.Position) []*feedv1.Revision {
	t.Helper()
	var all []*feedv1.Revision
	for {
		some, head, err := s.Revisions(after)
		must(t, err)
		all = append(all, some...)
		if len(some) > 0 {
			after = store.PositionFrom(some[len(some)-1].GetPosition())
		}
		if after.Revision == head.Revision {
			return all
		}
	}
}

func body(t failer, revision *feedv1.Revision) *feedv1.RevisionBody {
	t.Helper()
	var b feedv1.RevisionBody
	must(t, proto.Unmarshal(revision.GetBody(), &b))
	return &b
}

// changes reads all changes of the feed after a position.
func changes(t failer, s *store.Store, after store.Position) []*feedv1.Change {
	t.Helper()
	var all []*feedv1.Change
	for _, revision := range revisions(t, s, after) {
		all = append(all, body(t, revision).GetChanges()...)
	}
	return all
}

// snapshot reads all pages of a snapshot.
func snapshot(t failer, s *store.Store) []store.Page {
	t.Helper()
	var pages []store.Page
	var after []byte
	for {
		page, err := s.SnapshotPage(after)
		must(t, err)
		pages = append(pages, page)
		if page.Next == nil {
			return pages
		}
		after = page.Next
	}
}

// holdings is what a reader of the whole snapshot has: name to bytes.
func holdings(t failer, s *store.Store) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, page := range snapshot(t, s) {
		for _, change := range page.Records {
			all[change.GetName()] = string(change.GetRecord().GetValue())
		}
	}
	return all
}

// replayed is what a reader of the whole feed has.
func replayed(t failer, s *store.Store) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, change := range changes(t, s, beginning(s)) {
		if change.GetTombstone() != nil {
			delete(all, change.GetName())
			continue
		}
		all[change.GetName()] = string(change.GetRecord().GetValue())
	}
	return all
}

// sound fails the test when Check finds anything.
func sound(t testing.TB, s *store.Store) store.Report {
	t.Helper()
	report, err := s.Check(t.Context())
	must(t, err)
	for _, problem := range report.Problems {
		t.Errorf("check: %s", problem)
	}
	return report
}

// mentions tells whether a text is anywhere in what readers of the feed get.
func mentions(t failer, s *store.Store, text string) (where string) {
	t.Helper()
	for _, revision := range revisions(t, s, beginning(s)) {
		if bytes.Contains(revision.GetBody(), []byte(text)) {
			return store.PositionFrom(revision.GetPosition()).String()
		}
	}
	for _, page := range snapshot(t, s) {
		if bytes.Contains(page.LastKey, []byte(text)) {
			return "the key of a snapshot page"
		}
		for _, change := range page.Records {
			if raw, err := proto.Marshal(change); err != nil || bytes.Contains(raw, []byte(text)) {
				return "a snapshot page"
			}
		}
	}
	return ""
}

func kind(collection string) *catalog.Kind { return catalog.ByCollection(collection) }

func nameOf(record proto.Message) string { return catalog.RecordOf(record).Name() }
