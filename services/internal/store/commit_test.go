package store_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/store"
)

func TestRevisionsHaveNoGap(t *testing.T) {
	s := marsala(t, newClock())
	refusal := errors.New("refused")
	for i := range 10 {
		write(t, s, service(fmt.Sprintf("s-%d", i)), service("same"))
		_, err := s.Commit(t.Context(), store.Request{}, nil, func(store.Reader, store.Stamp) (store.Outcome, error) {
			return store.Outcome{Put: []proto.Message{service("refused")}}, refusal
		})
		if !errors.Is(err, refusal) {
			t.Fatalf("the refusal became %v", err)
		}
		_, err = commit(t, s, store.Request{}, store.Outcome{Put: []proto.Message{service("dry")}, DryRun: true})
		must(t, err)
		_, err = commit(t, s, store.Request{}, store.Outcome{})
		must(t, err)
	}
	if s.Head().Revision != 10 {
		t.Errorf("the head is %s after 10 writes", s.Head())
	}
	at := beginning(s)
	for _, revision := range revisions(t, s, at) {
		at = at.Next(revision.GetBody())
		if !at.Equal(store.PositionFrom(revision.GetPosition())) {
			t.Fatalf("%s where %s should be", store.PositionFrom(revision.GetPosition()), at)
		}
		for _, change := range body(t, revision).GetChanges() {
			record, err := change.GetRecord().UnmarshalNew()
			must(t, err)
			if got := catalog.RecordOf(record).Revision(); got != at.Revision {
				t.Errorf("%s of revision %d says revision %d", change.GetName(), at.Revision, got)
			}
		}
	}
	if !at.Equal(s.Head()) {
		t.Errorf("the feed ends at %s, the head is %s", at, s.Head())
	}
	for _, id := range []string{"refused", "dry"} {
		if record := read(t, s, "comuni/marsala/services/"+id); record != nil {
			t.Errorf("%s was stored", id)
		}
	}
	sound(t, s)
}

func TestStamp(t *testing.T) {
	c := newClock()
	s := marsala(t, c)
	seen := map[string]bool{}
	var last string
	for range 20 {
		c.pass(time.Second)
		stored := catalog.RecordOf(write(t, s, service("same"))[0])
		if seen[stored.Etag()] || !strings.HasPrefix(stored.Etag(), `"`) || !strings.HasSuffix(stored.Etag(), `"`) {
			t.Fatalf("etag %s", stored.Etag())
		}
		seen[stored.Etag()] = true
		if stored.Revision() != s.Head().Revision || !stored.UpdateTime().Equal(c.Now()) {
			t.Errorf("revision %d at %s", stored.Revision(), stored.UpdateTime())
		}
		last = stored.Etag()
	}
	read := catalog.RecordOf(read(t, s, "comuni/marsala/services/same"))
	if read.Etag() != last {
		t.Errorf("stored with etag %s, read with %s", last, read.Etag())
	}
	dry, err := commit(t, s, store.Request{}, store.Outcome{Put: []proto.Message{service("same")}, DryRun: true})
	must(t, err)
	if got := catalog.RecordOf(dry.Put[0]); got.Etag() == "" || got.Etag() == last || got.Revision() != s.Head().Revision+1 {
		t.Errorf("a dry run is stamped %d %s", got.Revision(), got.Etag())
	}
}

func TestRepeatedRequests(t *testing.T) {
	c := newClock()
	s := marsala(t, c)
	request := store.Request{ID: []byte("0123456789abcdef"), Digest: sha256.Sum256([]byte("one"))}
	decided := 0
	do := func(request store.Request, outcome func() store.Outcome) (proto.Message, error) {
		return s.Commit(t.Context(), request, &registryv1.Service{}, func(store.Reader, store.Stamp) (store.Outcome, error) {
			decided++
			return outcome(), nil
		})
	}
	put := func() store.Outcome {
		record := service("one")
		return store.Outcome{Put: []proto.Message{record}, Answer: record}
	}
	first, err := do(request, put)
	must(t, err)
	write(t, s, service("one", func(s *registryv1.Service) { s.Title = italian("changed since") }))
	head := s.Head()
	again, err := do(request, put)
	must(t, err)
	if diff := cmp.Diff(first, again, protocmp.Transform()); diff != "" || decided != 1 {
		t.Errorf("decided %d times; the repetition got another answer:\n%s", decided, diff)
	}
	if !s.Head().Equal(head) {
		t.Error("the repetition moved the feed")
	}
	_, err = do(store.Request{ID: request.ID, Digest: sha256.Sum256([]byte("two"))}, put)
	if !errors.Is(err, store.ErrRequestReused) || decided != 1 {
		t.Errorf("another request with the same id: %v", err)
	}

	// A write that changes nothing is remembered too, without a revision.
	idle := store.Request{ID: []byte("idle..........id"), Digest: sha256.Sum256([]byte("idle"))}
	_, err = do(idle, func() store.Outcome { return store.Outcome{Answer: service("as-it-was")} })
	must(t, err)
	again, err = do(idle, put)
	must(t, err)
	if got := again.(*registryv1.Service).GetName(); got != "comuni/marsala/services/as-it-was" || decided != 2 {
		t.Errorf("the repetition of a write without effect got %s", got)
	}
	if !s.Head().Equal(head) {
		t.Error("a write without effect moved the feed")
	}

	// A dry run is not: its request id is still free.
	dry := store.Request{ID: []byte("dry...........id"), Digest: sha256.Sum256([]byte("dry"))}
	_, err = do(dry, func() store.Outcome { o := put(); o.DryRun = true; return o })
	must(t, err)
	_, err = do(dry, put)
	must(t, err)
	if decided != 4 {
		t.Errorf("decided %d times", decided)
	}

	// What is forgotten is decided again; what is younger is not.
	c.pass(time.Hour)
	late := store.Request{ID: []byte("late..........id"), Digest: sha256.Sum256([]byte("late"))}
	_, err = do(late, put)
	must(t, err)
	forgotten, err := s.ForgetRequests(t.Context(), c.Now())
	must(t, err)
	if forgotten != 3 {
		t.Errorf("forgot %d requests, not the three that are older", forgotten)
	}
	decided = 0
	for _, r := range []store.Request{request, late} {
		_, err = do(r, put)
		must(t, err)
	}
	if decided != 1 {
		t.Errorf("decided %d times after forgetting one", decided)
	}
	sound(t, s)
}

func TestConcurrentDuplicates(t *testing.T) {
	s := marsala(t, newClock())
	const requests, copies = 8, 8
	answers := make([][]proto.Message, requests)
	var mu sync.Mutex
	var running sync.WaitGroup
	for i := range requests {
		request := store.Request{ID: fmt.Appendf(nil, "request id %05d", i), Digest: sha256.Sum256([]byte{byte(i)})}
		for range copies {
			running.Go(func() {
				answer, err := s.Commit(t.Context(), request, &registryv1.Service{}, func(_ store.Reader, stamp store.Stamp) (store.Outcome, error) {
					record := service(fmt.Sprintf("r%d-%d", i, stamp.Revision))
					return store.Outcome{Put: []proto.Message{record}, Answer: record}, nil
				})
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				answers[i] = append(answers[i], answer)
			})
		}
	}
	running.Wait()
	if s.Head().Revision != requests {
		t.Errorf("%d requests, each %d times, made %d revisions", requests, copies, s.Head().Revision)
	}
	for i, same := range answers {
		for _, answer := range same {
			if !proto.Equal(answer, same[0]) {
				t.Errorf("request %d was answered %v and %v", i, same[0], answer)
			}
		}
	}
}

func TestRecordThatCannotBeStored(t *testing.T) {
	s := marsala(t, newClock())
	large := service("large", func(s *registryv1.Service) {
		for range 60 {
			s.Conditions = italian(strings.Repeat("x", 20_000))
			s.Keywords = append(s.Keywords, s.GetConditions().GetIt())
		}
	})
	_, err := commit(t, s, store.Request{}, store.Outcome{Put: []proto.Message{large}})
	if !errors.Is(err, store.ErrTooLarge) {
		t.Errorf("a record of %d bytes: %v", proto.Size(large), err)
	}
	if _, err := commit(t, s, store.Request{}, store.Outcome{Put: []proto.Message{service("NO ID")}}); err == nil {
		t.Error("a record without a valid name was stored")
	}
	if err := s.Err(); err != nil || s.Head().Revision != 0 {
		t.Errorf("after the refusals: %v, head %s", err, s.Head())
	}
}

// secret are words that must never leave the node.
const secret = "segreto"

func TestWhatIsLocalNeverTravels(t *testing.T) {
	c := newClock()
	s := marsala(t, c)
	hidden := service(secret, visible(registryv1.Visibility_LOCAL))
	contact := func(v registryv1.Visibility, value string) *registryv1.ContactPoint {
		return &registryv1.ContactPoint{Kind: registryv1.ContactPoint_PHONE, Value: value, Visibility: v}
	}
	open := service("aperto", func(s *registryv1.Service) {
		s.Contacts = []*registryv1.ContactPoint{
			contact(registryv1.Visibility_LOCAL, secret+" 1"), contact(registryv1.Visibility_PUBLIC, "0923 1"),
			contact(registryv1.Visibility_NETWORK, "0923 2"), contact(registryv1.Visibility_LOCAL, secret+" 2"),
		}
	})
	write(t, s, hidden, open, service("rete", visible(registryv1.Visibility_NETWORK)))
	write(t, s, hidden)
	deleted := proto.CloneOf(hidden)
	deleted.DeleteTime, deleted.PurgeTime = timestamppb.New(c.Now()), timestamppb.New(c.Now())
	write(t, s, deleted)
	c.pass(time.Minute)
	if n, err := s.Purge(t.Context()); n != 1 || err != nil {
		t.Errorf("purged %d, %v", n, err)
	}
	// Enough others that a page of the snapshot ends at hidden ones.
	var more []proto.Message
	for i := range 600 {
		more = append(more, service(fmt.Sprintf("%s-%03d", secret, i), visible(registryv1.Visibility_LOCAL)))
	}
	write(t, s, more...)

	if where := mentions(t, s, secret); where != "" {
		t.Errorf("what is LOCAL is in %s", where)
	}
	want := []string{"comuni/marsala/services/aperto", "comuni/marsala/services/rete"}
	if got := slices.Sorted(maps.Keys(holdings(t, s))); !slices.Equal(got, want) {
		t.Errorf("the snapshot has %v", got)
	}
	if diff := cmp.Diff(replayed(t, s), holdings(t, s)); diff != "" {
		t.Errorf("feed and snapshot differ:\n%s", diff)
	}
	for _, change := range changes(t, s, beginning(s)) {
		if record, err := change.GetRecord().UnmarshalNew(); err == nil && change.GetName() == open.GetName() {
			if got := record.(*registryv1.Service).GetContacts(); len(got) != 2 {
				t.Errorf("contacts that travel: %v", got)
			}
		}
	}
	if got := read(t, s, open.GetName()).(*registryv1.Service).GetContacts(); len(got) != 4 {
		t.Errorf("the node itself has %d contacts", len(got))
	}
	if report := sound(t, s); report.Records != 602 || report.Revisions != s.Head().Revision {
		t.Errorf("%+v", report)
	}
}

func TestRecordThatCeasesToTravel(t *testing.T) {
	s := marsala(t, newClock())
	record := service("one")
	kinds := func(after store.Position) string {
		var out []string
		for _, revision := range revisions(t, s, after) {
			what := "nothing"
			for _, change := range body(t, revision).GetChanges() {
				what = "record"
				if change.GetTombstone() != nil {
					what = fmt.Sprintf("end at %d", change.GetTombstone().GetRevision())
				}
			}
			out = append(out, what)
		}
		return strings.Join(out, ", ")
	}
	for _, v := range []registryv1.Visibility{
		registryv1.Visibility_PUBLIC, registryv1.Visibility_LOCAL, registryv1.Visibility_LOCAL,
		registryv1.Visibility_NETWORK, registryv1.Visibility_LOCAL,
	} {
		record.Visibility = v
		write(t, s, record)
	}
	purge(t, s, record.GetName())
	record.Visibility = registryv1.Visibility_PUBLIC
	write(t, s, record)
	purge(t, s, record.GetName())
	if got, want := kinds(beginning(s)), "record, end at 2, nothing, record, end at 5, nothing, record, end at 8"; got != want {
		t.Errorf("readers of the feed see %s\nwant %s", got, want)
	}
	sound(t, s)
}

func TestPurge(t *testing.T) {
	c := newClock()
	s := marsala(t, c)
	var records []proto.Message
	for i := range 1200 {
		record := service(fmt.Sprintf("s-%04d", i))
		if i >= 100 {
			record.DeleteTime = timestamppb.New(c.Now())
			record.PurgeTime = timestamppb.New(c.Now().Add(time.Duration(i) * time.Second))
		}
		records = append(records, record)
	}
	write(t, s, records...)
	c.pass(1150 * time.Second)
	purged, err := s.Purge(t.Context())
	must(t, err)
	if purged != 1050 {
		t.Errorf("purged %d", purged)
	}
	for i, record := range records {
		there := read(t, s, catalog.RecordOf(record).Name()) != nil
		if want := i < 100 || i >= 1150; there != want {
			t.Errorf("record %d is there: %t", i, there)
		}
	}
	if got := len(replayed(t, s)); got != 150 {
		t.Errorf("copies keep %d records", got)
	}
	sound(t, s)
}
