package store_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/proto/gen/feedv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/store"
)

var ofMarsala = store.Scope{Comuni: []string{"marsala"}}

// take takes a snapshot of a server into a copy, as a follower does.
func take(t failer, to, from *store.Store, scope store.Scope) {
	t.Helper()
	first, err := from.SnapshotPage(nil)
	must(t, err)
	must(t, to.BeginSnapshot(context.Background(), from.ServerID(), first.At))
	for page := first; ; {
		var ended store.Position
		if page.Next == nil {
			ended = page.At
		}
		must(t, to.StagePage(context.Background(), from.ServerID(), scope, page.Records, page.LastKey, ended))
		if page.Next == nil {
			break
		}
		page, err = from.SnapshotPage(page.Next)
		must(t, err)
	}
	catchUp(t, to, from, scope)
	must(t, to.FinishSnapshot(context.Background(), from.ServerID(), to.Now()))
}

// catchUp applies all revisions that a copy lacks.
func catchUp(t failer, to, from *store.Store, scope store.Scope) {
	t.Helper()
	u, err := to.Upstream(from.ServerID())
	must(t, err)
	must(t, to.ApplyRevisions(context.Background(), from.ServerID(), scope, revisions(t, from, u.At()), to.Now()))
}

func TestCopyIsTheSameByteForByte(t *testing.T) {
	c := newClock()
	node, lower, upper := marsala(t, c), office(t, "cid-trapani", c), office(t, "regione", c)
	write(t, node, organization("aias"), service("one", provided("aias")), service("rete", visible(registryv1.Visibility_NETWORK)))
	take(t, lower, node, ofMarsala)
	take(t, upper, lower, store.Scope{})
	steps := []func(){
		func() { write(t, node, service("two", provided("aias")), service("one")) },
		func() { write(t, node, service("two", visible(registryv1.Visibility_LOCAL))) },
		func() { purge(t, node, "comuni/marsala/services/one") },
		func() { write(t, node, service("three"), service("two")) },
	}
	for i, step := range steps {
		step()
		c.pass(time.Second)
		catchUp(t, lower, node, ofMarsala)
		catchUp(t, upper, lower, store.Scope{})
		for _, s := range []*store.Store{lower, upper} {
			if diff := cmp.Diff(holdings(t, node), holdings(t, s)); diff != "" {
				t.Errorf("step %d: the copy at %s differs:\n%s", i, s.ServerID(), diff)
			}
			if diff := cmp.Diff(holdings(t, s), replayed(t, s)); diff != "" {
				t.Errorf("step %d: feed and snapshot of %s differ:\n%s", i, s.ServerID(), diff)
			}
			sound(t, s)
		}
	}
	// Each server that passes a change on is named, in the feed as in a snapshot.
	for s, want := range map[*store.Store][]string{node: nil, lower: {"cid-trapani"}, upper: {"cid-trapani", "regione"}} {
		all := changes(t, s, beginning(s))
		for _, page := range snapshot(t, s) {
			all = append(all, page.Records...)
		}
		for _, change := range all {
			if !slices.Equal(change.GetHops(), want) {
				t.Errorf("%s tells of %s by %v", s.ServerID(), change.GetName(), change.GetHops())
			}
		}
	}
	u, err := lower.Upstream("marsala")
	must(t, err)
	if !u.Position.Equal(node.Head()) || !u.AsOf.Equal(c.Now()) || u.Snapshots != 1 || u.Snapshot != nil {
		t.Errorf("the copy stands at %+v, the node at %s", u, node.Head())
	}
	must(t, lower.View(func(r store.Reader) error {
		referrers, err := r.Referrers("comuni/marsala/organizations/aias", 10)
		if len(referrers) != 0 {
			t.Errorf("the copy's index still has %v", referrers)
		}
		return err
	}))
}

// packed makes a record of a change.
func packed(t failer, name string, record proto.Message, hops ...string) *feedv1.Change {
	t.Helper()
	body, err := anypb.New(record)
	must(t, err)
	return &feedv1.Change{Name: name, Hops: hops, State: &feedv1.Change_Record{Record: body}}
}

func ended(name string, hops ...string) *feedv1.Change {
	return &feedv1.Change{Name: name, Hops: hops, State: &feedv1.Change_Tombstone{Tombstone: &feedv1.Tombstone{Revision: 1}}}
}

// chained makes the revision that follows a position.
func chained(t failer, after store.Position, changes ...*feedv1.Change) *feedv1.Revision {
	t.Helper()
	body, err := proto.Marshal(&feedv1.RevisionBody{CommitTime: timestamppb.Now(), Changes: changes})
	must(t, err)
	return &feedv1.Revision{Position: after.Next(body).Message(), Body: body}
}

func TestChangesThatAreRefused(t *testing.T) {
	c := newClock()
	const one = "comuni/marsala/services/one"
	garbled := packed(t, one, service("one"))
	garbled.GetRecord().Value = []byte("\xff\xff\xff")
	var far []string
	for i := range 17 {
		far = append(far, fmt.Sprintf("ufficio-%d", i))
	}
	badChanges := map[string][]*feedv1.Change{
		"unreadable record":        {garbled},
		"record of another name":   {packed(t, one, service("two"))},
		"record of another comune": {packed(t, one, service("one", of("pantelleria")))},
		"record without a name":    {packed(t, one, &registryv1.Service{})},
		"too many hops":            {packed(t, one, service("one"), far...)},
		"too many hops to the end": {ended(one, far...)},
		"hop that is no server":    {packed(t, one, service("one"), "NO SERVER")},
		"hop of great length":      {packed(t, one, service("one"), strings.Repeat("a", 300))},
		"one bad among good ones":  {packed(t, "comuni/marsala/services/good", service("good")), garbled, packed(t, "comuni/marsala/services/last", service("last"))},
	}
	copied := func(t *testing.T) (to, from *store.Store) {
		from, to = marsala(t, c), office(t, "cid-trapani", c)
		write(t, from, service("one"))
		take(t, to, from, ofMarsala)
		return to, from
	}
	unchanged := func(t *testing.T, s *store.Store, do func() error) {
		t.Helper()
		before, head := holdings(t, s), s.Head()
		u, err := s.Upstream("marsala")
		must(t, err)
		if err := do(); !errors.Is(err, store.ErrBrokenChain) {
			t.Errorf("answered %v", err)
		}
		if err := s.Err(); err != nil {
			t.Fatalf("the store is fenced: %v", err)
		}
		after, err := s.Upstream("marsala")
		must(t, err)
		if diff := cmp.Diff(u, after); diff != "" || !s.Head().Equal(head) {
			t.Errorf("the copy moved to %s:\n%s", s.Head(), diff)
		}
		if diff := cmp.Diff(before, holdings(t, s)); diff != "" {
			t.Errorf("the copy changed:\n%s", diff)
		}
		sound(t, s)
	}
	for name, bad := range badChanges {
		t.Run("revision with "+name, func(t *testing.T) {
			to, from := copied(t)
			unchanged(t, to, func() error {
				return to.ApplyRevisions(t.Context(), "marsala", ofMarsala, []*feedv1.Revision{chained(t, from.Head(), bad...)}, c.Now())
			})
		})
		t.Run("page with "+name, func(t *testing.T) {
			to, from := copied(t)
			must(t, to.BeginSnapshot(t.Context(), "marsala", from.Head()))
			unchanged(t, to, func() error { return to.StagePage(t.Context(), "marsala", ofMarsala, bad, []byte("k"), from.Head()) })
		})
	}
	for name, broken := range map[string]func(from *store.Store) []*feedv1.Revision{
		"one is missing": func(from *store.Store) []*feedv1.Revision { return revisions(t, from, from.Head())[:0] },
		"the first is missing": func(from *store.Store) []*feedv1.Revision {
			all := revisions(t, from, beginning(from))
			return all[len(all)-1:]
		},
		"out of order": func(from *store.Store) []*feedv1.Revision {
			all := revisions(t, from, beginning(from))
			return []*feedv1.Revision{all[2], all[1]}
		},
		"twice": func(from *store.Store) []*feedv1.Revision {
			all := revisions(t, from, beginning(from))
			return []*feedv1.Revision{all[1], all[1]}
		},
		"another body": func(from *store.Store) []*feedv1.Revision {
			r := revisions(t, from, beginning(from))[1]
			r.Body = append(r.Body, 0)
			return []*feedv1.Revision{r}
		},
		"another digest": func(from *store.Store) []*feedv1.Revision {
			r := revisions(t, from, beginning(from))[1]
			r.Position.Digest[0]++
			return []*feedv1.Revision{r}
		},
		"another epoch": func(from *store.Store) []*feedv1.Revision {
			r := revisions(t, from, beginning(from))[1]
			r.Position.Epoch[0]++
			return []*feedv1.Revision{r}
		},
		"no position": func(from *store.Store) []*feedv1.Revision {
			return []*feedv1.Revision{{Body: revisions(t, from, beginning(from))[1].GetBody()}}
		},
		"a body that is none": func(from *store.Store) []*feedv1.Revision {
			return []*feedv1.Revision{{Position: positions(t, from)[1].Next([]byte("\xff")).Message(), Body: []byte("\xff")}}
		},
		"nothing at all": func(*store.Store) []*feedv1.Revision { return []*feedv1.Revision{nil} },
	} {
		t.Run(name, func(t *testing.T) {
			to, from := copied(t)
			write(t, from, service("two"))
			write(t, from, service("three"))
			list := broken(from)
			if len(list) == 0 {
				list = revisions(t, from, beginning(from))[2:]
			}
			unchanged(t, to, func() error { return to.ApplyRevisions(t.Context(), "marsala", ofMarsala, list, c.Now()) })
			catchUp(t, to, from, ofMarsala)
			if diff := cmp.Diff(holdings(t, from), holdings(t, to)); diff != "" {
				t.Errorf("it cannot go on afterwards:\n%s", diff)
			}
		})
	}
	t.Run("without a copy", func(t *testing.T) {
		from, to := marsala(t, c), office(t, "cid-trapani", c)
		write(t, from, service("one"))
		unchanged(t, to, func() error {
			return to.ApplyRevisions(t.Context(), "marsala", ofMarsala, revisions(t, from, beginning(from)), c.Now())
		})
		if err := to.StagePage(t.Context(), "marsala", ofMarsala, nil, nil, from.Head()); err == nil || to.Err() != nil {
			t.Errorf("a page without a snapshot: %v, %v", err, to.Err())
		}
		if err := to.FinishSnapshot(t.Context(), "marsala", c.Now()); err == nil || to.Err() != nil {
			t.Errorf("the end of no snapshot: %v, %v", err, to.Err())
		}
	})
}

// What is strange and does no harm is taken as it is, or passed over.
func TestStrangeChanges(t *testing.T) {
	c := newClock()
	const one = "comuni/marsala/services/one"
	refer := func(to string) func(*registryv1.Service) {
		return func(s *registryv1.Service) { s.ResponsibleOrganization = to }
	}
	for name, test := range map[string]struct {
		change *feedv1.Change
		there  string // a name that must be there afterwards
	}{
		"a kind that is not known here":    {change: packed(t, "comuni/marsala/wonders/one", &registryv1.Service{Name: "comuni/marsala/wonders/one"})},
		"no name":                          {change: packed(t, "", &registryv1.Service{})},
		"a very long name":                 {change: packed(t, strings.Repeat("comuni/", 1<<16), &registryv1.Service{})},
		"no state":                         {change: &feedv1.Change{Name: one}},
		"the end of what never was":        {change: ended(one)},
		"a reference of great length":      {change: packed(t, one, service("one", refer(strings.Repeat("x", 40_000)))), there: one},
		"a reference with a zero":          {change: packed(t, one, service("one", refer("comuni/marsala/organizations/aias\x00x"))), there: one},
		"a reference to an unknown kind":   {change: packed(t, one, service("one", refer("comuni/marsala/wonders/one"))), there: one},
		"times out of this world":          {change: packed(t, one, strange()), there: one},
		"a record that travelled this way": {change: packed(t, one, service("one"), "cid-trapani")},
		"another comune's record":          {change: packed(t, "comuni/pantelleria/services/one", service("one", of("pantelleria")))},
	} {
		t.Run(name, func(t *testing.T) {
			from, to := marsala(t, c), office(t, "cid-trapani", c)
			write(t, from, service("known"))
			take(t, to, from, ofMarsala)
			last := chained(t, from.Head(), test.change)
			must(t, to.ApplyRevisions(t.Context(), "marsala", ofMarsala, []*feedv1.Revision{last}, c.Now()))
			want := []string{"comuni/marsala/services/known"}
			if test.there != "" {
				want = append(want, test.there)
			}
			if got := slices.Sorted(maps.Keys(holdings(t, to))); !slices.Equal(got, want) {
				t.Errorf("the copy has %v", got)
			}
			sound(t, to)
			must(t, to.View(func(r store.Reader) error {
				_, err := r.Referrers("comuni/marsala/organizations/aias", 10)
				return err
			}))
			u, err := to.Upstream("marsala")
			must(t, err)
			if !u.Position.Equal(store.PositionFrom(last.GetPosition())) {
				t.Errorf("the copy stands at %s", u.Position)
			}
			// The same in a snapshot.
			must(t, to.BeginSnapshot(t.Context(), "marsala", u.Position))
			must(t, to.StagePage(t.Context(), "marsala", ofMarsala, []*feedv1.Change{packed(t, "comuni/marsala/services/known", service("known")), test.change}, nil, u.Position))
			must(t, to.FinishSnapshot(t.Context(), "marsala", c.Now()))
			if got := slices.Sorted(maps.Keys(holdings(t, to))); !slices.Equal(got, want) {
				t.Errorf("after a snapshot the copy has %v", got)
			}
			sound(t, to)
			// Nothing of it is in the way of what follows.
			must(t, to.ApplyRevisions(t.Context(), "marsala", ofMarsala, []*feedv1.Revision{chained(t, u.Position, ended(one))}, c.Now()))
			sound(t, to)
		})
	}
}

func strange() *registryv1.Service {
	s := service("one")
	s.Provenance = &registryv1.Provenance{VerifyByTime: &timestamppb.Timestamp{Seconds: 1 << 62, Nanos: -5}}
	s.PurgeTime = &timestamppb.Timestamp{Seconds: -1 << 62, Nanos: 2_000_000_000}
	return s
}

func TestLoopsEnd(t *testing.T) {
	c := newClock()
	node, a, b := marsala(t, c), office(t, "aa", c), office(t, "bb", c)
	write(t, node, service("one"))
	take(t, a, node, ofMarsala)
	take(t, b, a, store.Scope{})
	take(t, a, b, store.Scope{}) // a ring
	for i := range 5 {
		write(t, node, service("one"), service(fmt.Sprintf("s-%d", i)))
		catchUp(t, a, node, ofMarsala)
		catchUp(t, b, a, store.Scope{})
		before := a.Head()
		catchUp(t, a, b, store.Scope{})
		if !a.Head().Equal(before) {
			t.Fatalf("a change came back to where it had been: %s after %s", a.Head(), before)
		}
	}
	// What it dropped does not come back from those who had it from there.
	must(t, a.Keep(t.Context(), map[string]store.Scope{"bb": {}}))
	take(t, a, b, store.Scope{})
	if got := holdings(t, a); len(got) > 0 {
		t.Errorf("what was dropped came back: %v", got)
	}
	// A node that follows takes nothing of its own comune from others.
	foreign := packed(t, "comuni/marsala/services/forged", service("forged"))
	must(t, node.BeginSnapshot(t.Context(), "bb", b.Head()))
	must(t, node.StagePage(t.Context(), "bb", store.Scope{}, []*feedv1.Change{foreign}, nil, b.Head()))
	must(t, node.FinishSnapshot(t.Context(), "bb", c.Now()))
	if read(t, node, "comuni/marsala/services/forged") != nil || read(t, node, "comuni/marsala/services/one") == nil {
		t.Error("others write into the node's own comune")
	}
	sound(t, node)
}

func TestEachComuneHasOneSource(t *testing.T) {
	c := newClock()
	to := office(t, "regione", c)
	offer := func(server string, scope store.Scope, records ...*registryv1.Service) {
		t.Helper()
		at := store.Position{Epoch: []byte(server + "..............")[:16], Revision: 1, Digest: make([]byte, 32)}
		var all []*feedv1.Change
		for _, record := range records {
			all = append(all, packed(t, record.GetName(), record, server))
		}
		must(t, to.BeginSnapshot(t.Context(), server, at))
		must(t, to.StagePage(t.Context(), server, scope, all, nil, at))
		must(t, to.FinishSnapshot(t.Context(), server, c.Now()))
	}
	have := func() []string { return slices.Sorted(maps.Keys(holdings(t, to))) }
	const m, p, z = "comuni/marsala/services/", "comuni/pantelleria/services/", "comuni/mazara/services/"
	everywhere := func(id string) []*registryv1.Service {
		return []*registryv1.Service{service(id), service(id, of("pantelleria")), service(id, of("mazara"))}
	}

	offer("first", store.Scope{Comuni: []string{"marsala"}}, everywhere("by-first")...)
	if got := have(); !slices.Equal(got, []string{m + "by-first"}) {
		t.Errorf("beyond its scope: %v", got)
	}
	offer("second", store.Scope{Except: []string{"pantelleria"}}, everywhere("by-second")...)
	if got := have(); !slices.Equal(got, []string{m + "by-first", z + "by-second"}) {
		t.Errorf("what others answer for: %v", got)
	}
	offer("third", store.Scope{}, everywhere("by-third")...)
	if got := have(); !slices.Equal(got, []string{m + "by-first", z + "by-second", p + "by-third"}) {
		t.Errorf("what others have: %v", got)
	}
	holders, err := to.Holders()
	must(t, err)
	if !maps.Equal(holders, map[string]string{"marsala": "first", "mazara": "second", "pantelleria": "third"}) {
		t.Errorf("holders %v", holders)
	}
	// The end of a record is no claim to its comune.
	at := store.Position{Epoch: []byte("fourth.........."), Digest: []byte{}}
	must(t, to.BeginSnapshot(t.Context(), "fourth", at))
	must(t, to.StagePage(t.Context(), "fourth", store.Scope{}, nil, nil, at))
	must(t, to.FinishSnapshot(t.Context(), "fourth", c.Now()))
	last := chained(t, at, ended("comuni/favignana/services/gone"))
	must(t, to.ApplyRevisions(t.Context(), "fourth", store.Scope{}, []*feedv1.Revision{last}, c.Now()))
	if holders, err := to.Holders(); err != nil || holders["favignana"] != "" {
		t.Errorf("holders %v, %v", holders, err)
	}
	// A second snapshot of one leaves the others alone.
	offer("second", store.Scope{}, service("again", of("mazara")))
	if got := have(); !slices.Equal(got, []string{m + "by-first", z + "again", p + "by-third"}) {
		t.Errorf("after the second snapshot: %v", got)
	}
	sound(t, to)
}

func TestSnapshotTellsOnlyWhatDiffers(t *testing.T) {
	c := newClock()
	from, to := marsala(t, c), office(t, "cid-trapani", c)
	for i := range 20 {
		write(t, from, service(fmt.Sprintf("s-%02d", i)))
	}
	take(t, to, from, ofMarsala)
	at := to.Head()
	take(t, to, from, ofMarsala)
	if got := changes(t, to, at); len(got) != 0 {
		t.Errorf("an equal snapshot changes %v", got)
	}
	write(t, from, service("s-03"), service("new"))
	purge(t, from, "comuni/marsala/services/s-05")
	at = to.Head()
	take(t, to, from, ofMarsala)
	var told []string
	for _, change := range changes(t, to, at) {
		what := "+"
		if change.GetTombstone() != nil {
			what = "-"
		}
		told = append(told, what+strings.TrimPrefix(change.GetName(), "comuni/marsala/services/"))
	}
	if slices.Sort(told); !slices.Equal(told, []string{"+new", "+s-03", "-s-05"}) {
		t.Errorf("the snapshot changes %v", told)
	}
	if u, err := to.Upstream("marsala"); err != nil || u.Snapshots != 3 {
		t.Errorf("%d snapshots were taken, %v", u.Snapshots, err)
	}
	sound(t, to)
}

func TestSnapshotOfManyIsPassedOnInParts(t *testing.T) {
	c := newClock()
	from, to := marsala(t, c), office(t, "cid-trapani", c)
	text := strings.Repeat("x", 20_000)
	var records []proto.Message
	for i := range 1200 {
		records = append(records, service(fmt.Sprintf("s-%04d", i), func(s *registryv1.Service) {
			if i < 300 {
				s.Description = italian(text)
			}
		}))
	}
	for part := range slices.Chunk(records, 40) {
		write(t, from, part...)
	}
	take(t, to, from, ofMarsala)
	for _, revision := range revisions(t, to, beginning(to)) {
		if n, size := len(body(t, revision).GetChanges()), len(revision.GetBody()); n > 500 || size > 2<<20 {
			t.Errorf("a revision has %d changes, %d bytes", n, size)
		}
	}
	if diff := cmp.Diff(len(holdings(t, from)), len(replayed(t, to))); diff != "" {
		t.Error(diff)
	}
	sound(t, to)
}

func TestSnapshotThatBrokeGoesOn(t *testing.T) {
	c := newClock()
	from := marsala(t, c)
	o := options(filepath.Join(t.TempDir(), "ufficio.db"), "cid-trapani", "", c)
	to := open(t, o)
	for i := range 600 {
		write(t, from, service(fmt.Sprintf("s-%03d", i)))
	}
	first, err := from.SnapshotPage(nil)
	must(t, err)
	must(t, to.BeginSnapshot(t.Context(), "marsala", first.At))
	must(t, to.StagePage(t.Context(), "marsala", ofMarsala, first.Records, first.LastKey, store.Position{}))
	if got := len(holdings(t, to)); got != 0 {
		t.Errorf("%d records of half a snapshot are in use", got)
	}
	if err := to.FinishSnapshot(t.Context(), "marsala", c.Now()); err == nil {
		t.Error("half a snapshot was put in place")
	}
	must(t, to.Close())

	to = open(t, o)
	u, err := to.Upstream("marsala")
	must(t, err)
	if u.Snapshot == nil || u.Snapshot.Complete() || !u.Snapshot.Began.Equal(first.At) {
		t.Fatalf("after a restart: %+v", u)
	}
	// Meanwhile what was sent changes, and so does what was not.
	purge(t, from, "comuni/marsala/services/s-001", "comuni/marsala/services/s-500")
	write(t, from, service("s-002"), service("s-501"), service("zz"))
	for after := u.Snapshot.LastKey; ; {
		page, err := from.SnapshotPage(after)
		must(t, err)
		var ended store.Position
		if page.Next == nil {
			ended = page.At
		}
		must(t, to.StagePage(t.Context(), "marsala", ofMarsala, page.Records, page.LastKey, ended))
		if after = page.Next; after == nil {
			break
		}
	}
	catchUp(t, to, from, ofMarsala)
	if u, err := to.Upstream("marsala"); err != nil || !u.AsOf.IsZero() || !u.Snapshot.Complete() {
		t.Errorf("before it is put in place: %+v, %v", u, err)
	}
	must(t, to.FinishSnapshot(t.Context(), "marsala", time.Time{}))
	if diff := cmp.Diff(holdings(t, from), holdings(t, to)); diff != "" {
		t.Errorf("the copy differs:\n%s", diff)
	}
	if u, err := to.Upstream("marsala"); err != nil || !u.AsOf.IsZero() {
		t.Errorf("a copy that was not known to be complete says %v, %v", u.AsOf, err)
	}
	sound(t, to)
}

func TestOldCopyStaysInUse(t *testing.T) {
	c := newClock()
	from, to := marsala(t, c), office(t, "cid-trapani", c)
	write(t, from, service("one"))
	take(t, to, from, ofMarsala)
	want := holdings(t, to)
	before, err := to.Upstream("marsala")
	must(t, err)

	must(t, to.ForgetCopy(t.Context(), "marsala"))
	u, err := to.Upstream("marsala")
	must(t, err)
	if !u.Position.Zero() || !u.AsOf.Equal(before.AsOf) || u.Snapshots != 1 {
		t.Errorf("a forgotten copy: %+v", u)
	}
	write(t, from, service("two"))
	page, err := from.SnapshotPage(nil)
	must(t, err)
	must(t, to.BeginSnapshot(t.Context(), "marsala", page.At))
	must(t, to.StagePage(t.Context(), "marsala", ofMarsala, page.Records, page.LastKey, page.At))
	if diff := cmp.Diff(want, holdings(t, to)); diff != "" {
		t.Errorf("the old copy is not in use while a new one is taken:\n%s", diff)
	}
	must(t, to.FinishSnapshot(t.Context(), "marsala", c.Now()))
	if diff := cmp.Diff(holdings(t, from), holdings(t, to)); diff != "" {
		t.Errorf("the new copy:\n%s", diff)
	}
	c.pass(time.Hour)
	must(t, to.NoteAsOf(t.Context(), "marsala", c.Now()))
	if u, err := to.Upstream("marsala"); err != nil || !u.AsOf.Equal(c.Now()) || u.Position.Zero() {
		t.Errorf("%+v %v", u, err)
	}
}

func TestMembersThatChange(t *testing.T) {
	c := newClock()
	pantelleria := open(t, options(filepath.Join(t.TempDir(), "p.db"), "pantelleria", "pantelleria", c))
	node := marsala(t, c)
	write(t, node, service("one"), organization("aias"))
	write(t, pantelleria, service("one", of("pantelleria")))
	ofPantelleria := store.Scope{Comuni: []string{"pantelleria"}}
	start := func(t *testing.T) *store.Store {
		s := office(t, "cid-trapani", c)
		must(t, s.Keep(t.Context(), map[string]store.Scope{"marsala": ofMarsala, "pantelleria": ofPantelleria}))
		take(t, s, node, ofMarsala)
		take(t, s, pantelleria, ofPantelleria)
		return s
	}
	zero := func(t *testing.T, s *store.Store, server string) bool {
		u, err := s.Upstream(server)
		must(t, err)
		return u.Position.Zero()
	}

	t.Run("none", func(t *testing.T) {
		s := start(t)
		head := s.Head()
		must(t, s.Keep(t.Context(), map[string]store.Scope{"marsala": ofMarsala, "pantelleria": ofPantelleria}))
		if !s.Head().Equal(head) || zero(t, s, "marsala") || zero(t, s, "pantelleria") {
			t.Error("the same members change something")
		}
	})
	t.Run("one leaves", func(t *testing.T) {
		s := start(t)
		upper := office(t, "regione", c)
		take(t, upper, s, store.Scope{})
		must(t, s.Keep(t.Context(), map[string]store.Scope{"pantelleria": ofPantelleria}))
		if got := slices.Collect(maps.Keys(holdings(t, s))); !slices.Equal(got, []string{"comuni/pantelleria/services/one"}) {
			t.Errorf("the office has %v", got)
		}
		catchUp(t, upper, s, store.Scope{})
		if diff := cmp.Diff(holdings(t, s), holdings(t, upper)); diff != "" {
			t.Errorf("the level above:\n%s", diff)
		}
		holders, err := s.Holders()
		must(t, err)
		if !maps.Equal(holders, map[string]string{"pantelleria": "pantelleria"}) {
			t.Errorf("holders %v", holders)
		}
		if u, err := s.Upstream("marsala"); err != nil || !u.AsOf.IsZero() || u.Snapshots != 0 {
			t.Errorf("remembered of the former member: %+v %v", u, err)
		}
		if zero(t, s, "pantelleria") {
			t.Error("the other member's copy is taken anew for nothing")
		}
		sound(t, s)
		// It comes back.
		must(t, s.Keep(t.Context(), map[string]store.Scope{"marsala": ofMarsala, "pantelleria": ofPantelleria}))
		take(t, s, node, ofMarsala)
		if got := len(holdings(t, s)); got != 3 {
			t.Errorf("after it came back the office has %d records", got)
		}
		sound(t, s)
	})
	t.Run("one leaves that had sent nothing", func(t *testing.T) {
		s := start(t)
		must(t, s.Keep(t.Context(), map[string]store.Scope{"marsala": ofMarsala, "pantelleria": ofPantelleria, "new": {}}))
		must(t, s.BeginSnapshot(t.Context(), "new", node.Head()))
		must(t, s.Keep(t.Context(), map[string]store.Scope{"marsala": ofMarsala, "pantelleria": ofPantelleria}))
		if u, err := s.Upstream("new"); err != nil || u.Snapshot != nil {
			t.Errorf("remembered of the former member: %+v %v", u, err)
		}
		if err := s.StagePage(t.Context(), "new", store.Scope{}, nil, nil, node.Head()); err == nil || s.Err() != nil {
			t.Errorf("a page of a former member: %v, %v", err, s.Err())
		}
	})
	t.Run("a comune moves to another server", func(t *testing.T) {
		lower := office(t, "lower", c)
		take(t, lower, pantelleria, ofPantelleria)
		s := start(t)
		must(t, s.Keep(t.Context(), map[string]store.Scope{"marsala": ofMarsala, "pantelleria": ofPantelleria, "lower": {}}))
		take(t, s, lower, store.Scope{})
		must(t, s.Keep(t.Context(), map[string]store.Scope{"marsala": ofMarsala, "lower": {}}))
		if !zero(t, s, "lower") || zero(t, s, "marsala") {
			t.Error("the copy of a server that may now hold more must be taken anew, and no other")
		}
		take(t, s, lower, store.Scope{})
		if got := len(holdings(t, s)); got != 3 {
			t.Errorf("the office has %d records", got)
		}
		// And back to a server that answers for it by name.
		except := store.Scope{Except: []string{"pantelleria"}}
		must(t, s.Keep(t.Context(), map[string]store.Scope{"marsala": ofMarsala, "lower": except, "pantelleria": ofPantelleria}))
		if got := len(holdings(t, s)); got != 2 {
			t.Errorf("the office has %d records", got)
		}
		take(t, s, pantelleria, ofPantelleria)
		take(t, s, lower, except)
		holders, err := s.Holders()
		must(t, err)
		if holders["pantelleria"] != "pantelleria" || len(holdings(t, s)) != 3 {
			t.Errorf("holders %v, %d records", holders, len(holdings(t, s)))
		}
		sound(t, s)
	})
	t.Run("a scope grows while a snapshot is under way", func(t *testing.T) {
		s := start(t)
		must(t, s.BeginSnapshot(t.Context(), "pantelleria", pantelleria.Head()))
		wider := store.Scope{Comuni: []string{"pantelleria", "favignana"}}
		must(t, s.Keep(t.Context(), map[string]store.Scope{"marsala": ofMarsala, "pantelleria": wider}))
		if u, err := s.Upstream("pantelleria"); err != nil || u.Snapshot != nil || !u.Position.Zero() {
			t.Errorf("%+v %v", u, err)
		}
		if got := len(holdings(t, s)); got != 3 {
			t.Errorf("the old copies are not in use: %d records", got)
		}
	})
}
