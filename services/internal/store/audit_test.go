package store_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"cidsistem.example/proto/gen/auditv1"
	"cidsistem.example/services/internal/boltkit"
	"cidsistem.example/services/internal/store"
)

func did(action string) *auditv1.AuditEntry {
	return &auditv1.AuditEntry{Actor: "local", Action: action, Outcome: auditv1.AuditEntry_DONE}
}

func audited(t testing.TB, s *store.Store, actions ...string) {
	t.Helper()
	var outcome store.Outcome
	for _, action := range actions {
		outcome.Audit = append(outcome.Audit, did(action))
	}
	_, err := commit(t, s, store.Request{}, outcome)
	must(t, err)
}

// log reads the audit log from an entry on.
func log(t failer, s *store.Store, from int64, backwards bool) (all []*auditv1.AuditEntry) {
	t.Helper()
	must(t, s.View(func(r store.Reader) error {
		for entry, err := range r.AuditEntries(from, backwards) {
			if err != nil {
				return err
			}
			all = append(all, entry)
		}
		return nil
	}))
	return all
}

func checkAudit(t failer, s *store.Store) (problems []string, entries int64) {
	t.Helper()
	must(t, s.View(func(r store.Reader) (err error) {
		problems, entries, err = r.CheckAudit(context.Background())
		return err
	}))
	return problems, entries
}

func TestAuditEntries(t *testing.T) {
	c := newClock()
	s := marsala(t, c)
	if problems, entries := checkAudit(t, s); len(problems) > 0 || entries != 0 {
		t.Errorf("an empty log: %v", problems)
	}
	mine := did("a")
	mine.Sequence, mine.Hash, mine.Count = 99, []byte("mine"), 7
	kept := proto.CloneOf(mine)
	_, err := commit(t, s, store.Request{}, store.Outcome{Audit: []*auditv1.AuditEntry{mine, did("b")}})
	must(t, err)
	if !proto.Equal(mine, kept) {
		t.Error("the caller's entry was changed")
	}
	first := c.Now()
	c.pass(time.Hour)
	audited(t, s, "c")
	all := log(t, s, 0, false)
	var told []string
	for i, entry := range all {
		told = append(told, entry.GetAction())
		if entry.GetSequence() != int64(i+1) || len(entry.GetHash()) != 32 {
			t.Errorf("entry %d is %v", i+1, entry)
		}
	}
	if strings.Join(told, "") != "abc" || all[0].GetCount() != 7 || all[1].GetCount() != 1 {
		t.Errorf("the log has %v", all)
	}
	if !all[1].GetTime().AsTime().Equal(first) || !all[2].GetTime().AsTime().Equal(first.Add(time.Hour)) {
		t.Errorf("the times are %v and %v", all[1].GetTime(), all[2].GetTime())
	}
	for _, test := range []struct {
		from      int64
		backwards bool
		want      string
	}{
		{0, false, "abc"},
		{1, false, "abc"},
		{2, false, "bc"},
		{4, false, ""},
		{-5, false, "abc"},
		{1, true, ""},
		{3, true, "ba"},
		{4, true, "cba"},
		{1 << 62, true, "cba"},
	} {
		got := ""
		for _, entry := range log(t, s, test.from, test.backwards) {
			got += entry.GetAction()
		}
		if got != test.want {
			t.Errorf("from %d, backwards %v: %q, want %q", test.from, test.backwards, got, test.want)
		}
	}
	if s.Head().Revision != 0 || mentions(t, s, "local") != "" {
		t.Error("the audit log travels")
	}
	sound(t, s)
}

// What was not done is not told as done: an entry stands or falls with its
// write.
func TestAuditIsOneWithTheWrite(t *testing.T) {
	c := newClock()
	o := options(filepath.Join(t.TempDir(), "registry.db"), "marsala", "marsala", c)
	var failing atomic.Bool
	o.BeforeCommit = func() error {
		if failing.Load() {
			return errors.New("disk fault")
		}
		return nil
	}
	s := open(t, o)
	audited(t, s, "kept")
	refusal := errors.New("refused")
	_, err := s.Commit(t.Context(), store.Request{}, nil, func(store.Reader, store.Stamp) (store.Outcome, error) {
		return store.Outcome{Audit: []*auditv1.AuditEntry{did("refused")}}, refusal
	})
	if !errors.Is(err, refusal) {
		t.Errorf("got %v", err)
	}
	_, err = commit(t, s, store.Request{}, store.Outcome{Audit: []*auditv1.AuditEntry{did("tried")}, DryRun: true})
	must(t, err)
	failing.Store(true)
	if _, err := commit(t, s, store.Request{}, store.Outcome{
		Put: []proto.Message{service("s-1")}, Local: []store.LocalPut{local("a", "1", "x")}, Audit: []*auditv1.AuditEntry{did("lost")},
	}); !errors.Is(err, boltkit.ErrFenced) {
		t.Errorf("a commit that failed: %v", err)
	}
	must(t, s.Close())
	failing.Store(false)
	s = open(t, o)
	if all := log(t, s, 0, false); len(all) != 1 || all[0].GetAction() != "kept" {
		t.Errorf("the log has %v", all)
	}
	if read(t, s, "comuni/marsala/services/s-1") != nil || walked(t, s, "a", "") != nil {
		t.Error("a write that failed is there")
	}
	sound(t, s)
}

func TestSignAudit(t *testing.T) {
	c := newClock()
	s := marsala(t, c)
	calls := 0
	sign := func(end store.AuditPlace, stamp store.Stamp) (*auditv1.AuditHead, error) {
		calls++
		if !stamp.Time.Equal(c.Now()) {
			t.Errorf("signed at %v", stamp.Time)
		}
		return &auditv1.AuditHead{Node: "nodes/marsala", Sequence: end.Sequence, Hash: end.Hash}, nil
	}
	must(t, s.SignAudit(t.Context(), sign))
	if calls != 0 {
		t.Error("an empty log is signed")
	}
	for i, actions := range [][]string{{"a"}, {"b", "c"}} {
		want := i + 1
		audited(t, s, actions...)
		must(t, s.SignAudit(t.Context(), sign))
		must(t, s.SignAudit(t.Context(), sign))
		if calls != want {
			t.Errorf("signed %d times, want %d", calls, want)
		}
	}
	fault := errors.New("no key")
	audited(t, s, "d")
	if err := s.SignAudit(t.Context(), func(store.AuditPlace, store.Stamp) (*auditv1.AuditHead, error) { return nil, fault }); !errors.Is(err, fault) {
		t.Errorf("got %v", err)
	}
	third := log(t, s, 3, false)[0]
	must(t, s.View(func(r store.Reader) error {
		var sequences []int64
		for head, err := range r.AuditHeads() {
			must(t, err)
			sequences = append(sequences, head.GetSequence())
		}
		last, err := r.LastAuditHead()
		must(t, err)
		if len(sequences) != 2 || sequences[0] != 1 || sequences[1] != 3 || last.GetSequence() != 3 || !bytes.Equal(last.GetHash(), third.GetHash()) {
			t.Errorf("heads of %v, the last %v", sequences, last)
		}
		return nil
	}))
}

// tampered opens a log of five entries in which something was changed.
func tampered(t *testing.T, change func(entries *bolt.Bucket, meta *bolt.Bucket)) *store.Store {
	t.Helper()
	o := options(filepath.Join(t.TempDir(), "registry.db"), "marsala", "marsala", newClock())
	s := open(t, o)
	audited(t, s, "a", "b", "c", "d", "e")
	must(t, s.Close())
	db, err := bolt.Open(o.Path, 0o600, nil)
	must(t, err)
	must(t, db.Update(func(tx *bolt.Tx) error { change(tx.Bucket([]byte("audit")), tx.Bucket([]byte("meta"))); return nil }))
	must(t, db.Close())
	return open(t, o)
}

func TestCheckAudit(t *testing.T) {
	key := func(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }
	flip := func(n uint64, at int) func(*bolt.Bucket, *bolt.Bucket) {
		return func(entries, _ *bolt.Bucket) {
			v := bytes.Clone(entries.Get(key(n)))
			v[at] ^= 1
			must(t, entries.Put(key(n), v))
		}
	}
	for name, test := range map[string]struct {
		change func(entries, meta *bolt.Bucket)
		want   string
	}{
		"a hash":            {flip(3, 1), "the hash of entry 3"},
		"an entry":          {flip(3, 40), "entry 3"},
		"a format":          {flip(3, 0), "entry 3 of the audit log cannot be read"},
		"the last entry":    {flip(5, 40), "entry 5"},
		"a missing entry":   {func(e, _ *bolt.Bucket) { must(t, e.Delete(key(3))) }, "entry 4 after 2"},
		"the first is away": {func(e, _ *bolt.Bucket) { must(t, e.Delete(key(1))) }, "entry 2 after 0"},
		"the last is away":  {func(e, _ *bolt.Bucket) { must(t, e.Delete(key(5))) }, "ends with entry 4, it should end with entry 5"},
		"all are away": {func(e, _ *bolt.Bucket) {
			for n := range uint64(5) {
				must(t, e.Delete(key(n+1)))
			}
		}, "ends with entry 0, it should end with entry 5"},
		"a copy of an entry": {func(e, _ *bolt.Bucket) { must(t, e.Put(key(6), bytes.Clone(e.Get(key(5))))) }, "entry 6 of the audit log is not the one"},
		"a damaged key":      {func(e, _ *bolt.Bucket) { must(t, e.Put([]byte("key"), []byte("value"))) }, "damaged key"},
		"a damaged end":      {func(_, m *bolt.Bucket) { must(t, m.Put([]byte("audit"), []byte("end"))) }, "the end of the audit log"},
		"an end that is not": {func(_, m *bolt.Bucket) {
			v := bytes.Clone(m.Get([]byte("audit")))
			v[len(v)-1] ^= 1
			must(t, m.Put([]byte("audit"), v))
		}, "it should end"},
	} {
		s := tampered(t, test.change)
		problems, _ := checkAudit(t, s)
		if !strings.Contains(strings.Join(problems, "\n"), test.want) {
			t.Errorf("%s: %q, want %q", name, problems, test.want)
		}
		report, err := s.Check(t.Context())
		must(t, err)
		if !strings.Contains(strings.Join(report.Problems, "\n"), test.want) {
			t.Errorf("%s: the check of the store finds %q", name, report.Problems)
		}
		must(t, s.Close())
	}
}

// A check of a log that cannot be trusted still ends when nobody waits for it.
func TestCheckAuditEnds(t *testing.T) {
	s := marsala(t, newClock())
	audited(t, s, "a", "b")
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	err := s.View(func(r store.Reader) error { _, _, err := r.CheckAudit(gone); return err })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// Whatever is written, refused, tried and purged, in whatever batches, the chain
// verifies and has what was done, in order, after a restart too.
func TestAuditChainsUnderAnyWrites(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := newClock()
		s := scratch(t, "marsala", "marsala", c)
		var want []string
		t.Repeat(map[string]func(*rapid.T){
			"write": func(t *rapid.T) {
				var outcome store.Outcome
				var actions []string
				for range rapid.IntRange(0, 4).Draw(t, "entries") {
					entry := did(rapid.StringMatching(`[a-z/.]{0,12}`).Draw(t, "action"))
					entry.Count = rapid.Int64Range(-1, 9).Draw(t, "count")
					entry.Sequence = rapid.Int64Range(0, 99).Draw(t, "sequence")
					outcome.Audit = append(outcome.Audit, entry)
					actions = append(actions, entry.GetAction())
				}
				if rapid.Bool().Draw(t, "record") {
					outcome.Put = []proto.Message{service(ids.Draw(t, "id"))}
				}
				if rapid.Bool().Draw(t, "local") {
					outcome.Local = []store.LocalPut{local("a", "1", "x")}
				}
				outcome.DryRun = rapid.IntRange(0, 3).Draw(t, "try") == 0
				var refusal error
				if rapid.IntRange(0, 3).Draw(t, "refuse") == 0 {
					refusal = errors.New("refused")
				}
				_, err := s.Commit(t.Context(), store.Request{}, nil, func(store.Reader, store.Stamp) (store.Outcome, error) { return outcome, refusal })
				if !errors.Is(err, refusal) {
					t.Fatal(err)
				}
				if refusal == nil && !outcome.DryRun {
					want = append(want, actions...)
				}
				c.pass(time.Duration(rapid.Int64Range(-5, 60).Draw(t, "pass")) * time.Second)
			},
			"": func(t *rapid.T) {
				problems, entries := checkAudit(t, s)
				if len(problems) > 0 || entries != int64(len(want)) {
					t.Fatalf("%d entries, want %d; problems %v", entries, len(want), problems)
				}
				var end store.AuditPlace
				must(t, s.View(func(r store.Reader) (err error) { end, err = r.AuditEnd(); return err }))
				for i, entry := range log(t, s, 0, false) {
					if entry.GetAction() != want[i] || entry.GetSequence() != int64(i+1) || entry.GetCount() < 1 {
						t.Fatalf("entry %d is %v, want %q", i+1, entry, want[i])
					}
					if last := i+1 == len(want); last && (end.Sequence != entry.GetSequence() || !bytes.Equal(end.Hash, entry.GetHash())) {
						t.Fatalf("the end is %v, the last entry %v", end, entry)
					}
				}
			},
		})
	})
}

func TestViewFile(t *testing.T) {
	c := newClock()
	o := options(filepath.Join(t.TempDir(), "registry.db"), "marsala", "marsala", c)
	s := open(t, o)
	audited(t, s, "a")
	view := func(path string) (server string, entries int64, err error) {
		err = store.ViewFile(path, func(id string, r store.Reader) (err error) {
			server = id
			_, entries, err = r.CheckAudit(t.Context())
			return err
		})
		return server, entries, err
	}
	if _, _, err := view(o.Path); !errors.Is(err, boltkit.ErrLocked) {
		t.Errorf("the file of a running server: %v", err)
	}
	backup := filepath.Join(t.TempDir(), "backup.db")
	must(t, s.Backup(backup))
	must(t, s.Close())
	for _, path := range []string{o.Path, backup} {
		if server, entries, err := view(path); server != "marsala" || entries != 1 || err != nil {
			t.Errorf("a file of %q with %d entries: %v", server, entries, err)
		}
	}
	edit := func(change func(tx *bolt.Tx) error) string {
		t.Helper()
		db, err := bolt.Open(backup, 0o600, nil)
		must(t, err)
		must(t, db.Update(change))
		must(t, db.Close())
		return backup
	}
	empty := filepath.Join(t.TempDir(), "empty.db")
	db, err := bolt.Open(empty, 0o600, nil)
	must(t, err)
	must(t, db.Close())
	schema := func(n uint64) func(tx *bolt.Tx) error {
		return func(tx *bolt.Tx) error {
			return tx.Bucket([]byte("meta")).Put([]byte("schema"), binary.BigEndian.AppendUint64(nil, n))
		}
	}
	for _, test := range []struct {
		path string
		want error
	}{
		{empty, store.ErrNoStore},
		{edit(schema(1)), store.ErrOlderSchema},
	} {
		if _, _, err := view(test.path); !errors.Is(err, test.want) {
			t.Errorf("got %v, want %v", err, test.want)
		}
	}
	if _, _, err := view(edit(schema(99))); !errors.Is(err, store.ErrNewerSchema) {
		t.Errorf("a newer layout: %v", err)
	}
	edit(schema(uint64(store.SchemaVersion())))
	if _, _, err := view(edit(func(tx *bolt.Tx) error { return tx.DeleteBucket([]byte("audit")) })); !errors.Is(err, boltkit.ErrDamaged) {
		t.Errorf("a file without a bucket: %v", err)
	}
}
