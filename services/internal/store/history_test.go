package store_test

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
	"google.golang.org/protobuf/proto"

	"cidsistem.example/proto/gen/editorialv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/store"
)

const one = "comuni/marsala/services/one"

func history(t failer, s *store.Store, name string, before int64, limit int) (changes []*editorialv1.RecordChange, more bool) {
	t.Helper()
	must(t, s.View(func(r store.Reader) (err error) {
		changes, more, err = r.History(named(t, name), before, limit)
		return err
	}))
	return changes, more
}

func version(t failer, s *store.Store, name string, revision int64) (found *store.Version) {
	t.Helper()
	must(t, s.View(func(r store.Reader) (err error) { found, err = r.Version(named(t, name), revision); return err }))
	return found
}

func titled(title string) func(*registryv1.Service) {
	return func(s *registryv1.Service) { s.Title = italian(title) }
}

func TestHistoryTellsWhatHappened(t *testing.T) {
	c := newClock()
	s := marsala(t, c)
	created := write(t, s, service("one"))[0]
	c.pass(time.Hour)
	_, err := commit(t, s, store.Request{}, store.Outcome{
		Put: []proto.Message{service("one", titled("Due"), visible(registryv1.Visibility_LOCAL))},
		Why: store.Why{Action: editorialv1.RecordChange_PUBLISHED, Actor: "nodes/marsala/accounts/a1", Note: "nuovo nome", Cause: "comuni/marsala/drafts/d1"},
	})
	must(t, err)
	write(t, s, service("another"))
	gone := service("one", titled("Due"))
	gone.DeleteTime = created.(*registryv1.Service).GetUpdateTime()
	write(t, s, gone)
	write(t, s, service("one", titled("Due")))

	changes, more := history(t, s, one, 0, 10)
	var actions []string
	for _, change := range changes {
		actions = append(actions, change.GetAction().String())
	}
	if want := []string{"UNDELETED", "DELETED", "PUBLISHED", "CREATED"}; !slices.Equal(actions, want) || more {
		t.Errorf("the history says %v, more %v", actions, more)
	}
	published := changes[2]
	if want := []string{"title.it", "visibility"}; !slices.Equal(published.GetFields(), want) {
		t.Errorf("changed %v", published.GetFields())
	}
	if published.GetActor() != "nodes/marsala/accounts/a1" || published.GetNote() != "nuovo nome" || published.GetCause() != "comuni/marsala/drafts/d1" || !published.GetChangeTime().AsTime().Equal(c.Now()) {
		t.Errorf("published: %v", published)
	}
	if changes[3].GetActor() != "nodes/marsala" {
		t.Errorf("created by %q", changes[3].GetActor())
	}
	if rest, more := history(t, s, one, published.GetRevision(), 10); len(rest) != 1 || more {
		t.Errorf("before the publication %v, more %v", rest, more)
	}
	if some, more := history(t, s, one, 0, 2); len(some) != 2 || !more {
		t.Errorf("a page has %d, more %v", len(some), more)
	}
	if v := version(t, s, one, 1); v == nil || !proto.Equal(v.Record, created) || v.Before != nil {
		t.Errorf("the first version is %+v", v)
	}
	if v := version(t, s, one, 2); v.Record.(*registryv1.Service).GetTitle().GetIt() != "Due" || !proto.Equal(v.Before, created) {
		t.Errorf("the second version is %+v", v)
	}
	if v := version(t, s, one, 3); v != nil {
		t.Errorf("a version of a revision of another record: %+v", v)
	}
	if where := mentions(t, s, "nuovo nome"); where != "" {
		t.Errorf("%s tells the note", where)
	}
	sound(t, s)
	purge(t, s, one)
	if changes, _ := history(t, s, one, 0, 10); len(changes) != 0 {
		t.Errorf("a purged record has a history: %v", changes)
	}
	sound(t, s)
}

// Whatever the changes, every version that is kept is the record of that time.
func TestEveryVersionIsTheRecordOfItsTime(t *testing.T) {
	s := marsala(t, newClock())
	random := rand.New(rand.NewPCG(5, 2026))
	was := map[string]map[int64]proto.Message{}
	for range 600 {
		var put []proto.Message
		for _, id := range []string{"one", "two", "one-more"} {
			if random.IntN(2) == 0 {
				put = append(put, service(id, titled(fmt.Sprint(random.IntN(5))), func(s *registryv1.Service) {
					for range random.IntN(3) {
						s.Topics = append(s.Topics, &registryv1.CodedValue{Code: fmt.Sprint(random.IntN(9))})
					}
				}))
			}
		}
		for _, stored := range write(t, s, put...) {
			name := nameOf(stored)
			if was[name] == nil {
				was[name] = map[int64]proto.Message{}
			}
			was[name][stored.(*registryv1.Service).GetRevision()] = stored
		}
	}
	for name, versions := range was {
		changes, _ := history(t, s, name, 0, 1000)
		if len(changes) != store.HistoryKept {
			t.Errorf("%s: %d changes are kept of %d", name, len(changes), len(versions))
		}
		for _, change := range changes {
			if v := version(t, s, name, change.GetRevision()); v == nil || !proto.Equal(v.Record, versions[change.GetRevision()]) {
				t.Errorf("%s at %d is %v", name, change.GetRevision(), v)
			}
		}
	}
	sound(t, s)
}

func TestCheckFindsDamageInTheHistory(t *testing.T) {
	key := func(revision uint64) []byte { return append([]byte(one+"\x00"), number(revision)...) }
	for name, test := range map[string]struct {
		damage func(b *bolt.Bucket) error
		says   string
	}{
		"none":             {func(*bolt.Bucket) error { return nil }, ""},
		"the last is gone": {func(b *bolt.Bucket) error { return b.Delete(key(3)) }, "is of revision 3, its history ends at 2"},
		"one is missing":   {func(b *bolt.Bucket) error { return b.Delete(key(2)) }, "lacks a change before 3"},
		"no change":        {func(b *bolt.Bucket) error { return b.Put(key(2), []byte{1}) }, "cannot be read at 2"},
		"of another": {func(b *bolt.Bucket) error {
			return b.Put(append([]byte("comuni/marsala/services/two\x00"), number(2)...), b.Get(key(1)))
		}, "damaged change at 2"},
		"of nothing": {func(b *bolt.Bucket) error {
			return b.Put(append([]byte("comuni/marsala/services/two\x00"), number(1)...), b.Get(key(1)))
		}, "services/two has a history, and is not there"},
		"no key": {func(b *bolt.Bucket) error { return b.Put([]byte("x"), []byte{1}) }, "a damaged key"},
	} {
		t.Run(name, func(t *testing.T) {
			o := options(filepath.Join(t.TempDir(), "registry.db"), "marsala", "marsala", newClock())
			s := open(t, o)
			for _, title := range []string{"Uno", "Due", "Tre"} {
				write(t, s, service("one", titled(title)))
			}
			must(t, s.Close())
			inspect(t, o.Path, func(tx *bolt.Tx) error { return test.damage(tx.Bucket([]byte("history"))) })
			report, err := open(t, o).Check(t.Context())
			must(t, err)
			problems := strings.Join(report.Problems, "\n")
			if (test.says == "") != (problems == "") || !strings.Contains(problems, test.says) {
				t.Errorf("check says:\n%s\nit should say: %s", problems, test.says)
			}
		})
	}
}

// The file of layout 2 was written before there was a history.
func TestLayout2OfANode(t *testing.T) {
	s := open(t, options(kept(t, "layout-2-node.db"), "marsala", "marsala", newClock()))
	if report := sound(t, s); report.Records != 3 || report.Revisions != 3 {
		t.Errorf("%+v", report)
	}
	const trasporto = "comuni/marsala/services/trasporto"
	if changes, _ := history(t, s, trasporto, 0, 10); len(changes) != 0 {
		t.Errorf("the history says %v", changes)
	}
	before := read(t, s, trasporto)
	write(t, s, service("trasporto", titled("Navetta")))
	if v := version(t, s, trasporto, 3); v == nil || !proto.Equal(v.Record, before) {
		t.Errorf("the version of before there was a history is %+v", v)
	}
	sound(t, s)
}

func BenchmarkCommitChange(b *testing.B) {
	s := marsala(b, newClock())
	record := service("one", func(s *registryv1.Service) {
		for i := range 40 {
			s.Topics = append(s.Topics, &registryv1.CodedValue{Code: fmt.Sprint(i), Label: "Una voce piuttosto lunga"})
		}
	})
	for i := 0; b.Loop(); i++ {
		record.Title = italian(fmt.Sprint(i))
		write(b, s, record)
	}
}
