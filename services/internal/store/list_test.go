package store_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/store"
)

// list walks all pages of a query.
func list(t failer, s *store.Store, q store.Query) (names []string, pages int) {
	t.Helper()
	for {
		var records []proto.Message
		must(t, s.View(func(r store.Reader) (err error) { records, q.After, err = r.List(q); return err }))
		if len(records) > q.Limit {
			t.Fatalf("a page of %d has %d records", q.Limit, len(records))
		}
		for _, record := range records {
			names = append(names, nameOf(record))
		}
		if pages++; q.After == nil {
			return names, pages
		}
		if pages > 10_000 {
			t.Fatal("the list has no end")
		}
	}
}

// town fills a store with records of several kinds, deleted ones, hidden ones
// and due ones.
func town(t testing.TB, s *store.Store, c *clock) {
	var records []proto.Message
	for i := range 30 {
		records = append(records, organization(fmt.Sprintf("o-%02d", i)))
		records = append(records, service(fmt.Sprintf("s-%02d", i), func(s *registryv1.Service) {
			s.Visibility = registryv1.Visibility(1 + i%3)
			if i%5 == 0 {
				s.DeleteTime = timestamppb.New(c.Now())
			}
			if i%2 == 0 {
				s.ResponsibleOrganization = "comuni/marsala/organizations/o-00"
			}
			if i%4 == 0 {
				provided("o-00")(s)
				provided("o-01")(s)
			}
			if i%3 != 1 {
				s.Provenance = &registryv1.Provenance{VerifyByTime: timestamppb.New(c.Now().Add(time.Duration(30-i) * time.Hour))}
			}
		}))
		records = append(records, service(fmt.Sprintf("s-%02d", i), of("pantelleria")))
	}
	for _, plan := range []string{"p-1", "p-2", "p-22"} {
		records = append(records, &registryv1.Plan{Name: "comuni/marsala/plans/" + plan, Title: italian(plan)})
		for i := range 4 {
			records = append(records, &registryv1.Action{Name: fmt.Sprintf("comuni/marsala/plans/%s/actions/a-%d", plan, i), Title: italian("azione")})
		}
	}
	write(t, s, records...)
}

func TestListsAreTheSameInAnyPages(t *testing.T) {
	c := newClock()
	s := marsala(t, c)
	town(t, s, c)
	services := store.Query{Kind: kind("services"), Within: []string{"marsala"}, Sight: catalog.Sight{Reads: registryv1.Visibility_LOCAL}}
	with := func(q store.Query, edit func(*store.Query)) store.Query { edit(&q); return q }
	for name, test := range map[string]struct {
		query store.Query
		want  func(i int) bool // which of s-00 to s-29
	}{
		"living":  {services, func(i int) bool { return i%5 != 0 }},
		"all":     {with(services, func(q *store.Query) { q.ShowDeleted = true }), func(int) bool { return true }},
		"public":  {with(services, func(q *store.Query) { q.Sight.Reads = registryv1.Visibility_PUBLIC }), func(i int) bool { return i%5 != 0 && i%3 == 0 }},
		"network": {with(services, func(q *store.Query) { q.Sight.Reads = registryv1.Visibility_NETWORK }), func(i int) bool { return i%5 != 0 && i%3 != 2 }},
		"refers to": {
			with(services, func(q *store.Query) { q.RefersTo = "comuni/marsala/organizations/o-00" }),
			func(i int) bool { return i%5 != 0 && i%2 == 0 },
		},
		"refers to, deep": {
			with(services, func(q *store.Query) { q.RefersTo, q.ShowDeleted = "comuni/marsala/organizations/o-01", true }),
			func(i int) bool { return i%4 == 0 },
		},
		"refers to a prefix": {
			with(services, func(q *store.Query) { q.RefersTo = "comuni/marsala/organizations/o-0" }),
			func(int) bool { return false },
		},
		"refers to and due": {
			with(services, func(q *store.Query) {
				q.RefersTo, q.DueBefore = "comuni/marsala/organizations/o-00", c.Now().Add(15*time.Hour)
			}),
			func(i int) bool { return i%5 != 0 && i%2 == 0 && i%3 != 1 && 30-i < 15 },
		},
		"refers to, public": {
			with(services, func(q *store.Query) {
				q.RefersTo, q.Sight.Reads = "comuni/marsala/organizations/o-00", registryv1.Visibility_PUBLIC
			}),
			func(i int) bool { return i%5 != 0 && i%2 == 0 && i%3 == 0 },
		},
		"other comune": {with(services, func(q *store.Query) { q.Within = []string{"pantelleria"} }), nil},
		"no comune":    {with(services, func(q *store.Query) { q.Within = []string{"mazara"} }), func(int) bool { return false }},
	} {
		t.Run(name, func(t *testing.T) {
			var want []string
			for i := range 30 {
				switch {
				case test.want == nil:
					want = append(want, fmt.Sprintf("comuni/pantelleria/services/s-%02d", i))
				case test.want(i):
					want = append(want, fmt.Sprintf("comuni/marsala/services/s-%02d", i))
				}
			}
			for _, size := range []int{1, 2, 3, 7, 100} {
				q := test.query
				q.Limit = size
				got, _ := list(t, s, q)
				if !slices.Equal(got, want) {
					t.Errorf("in pages of %d:\n got %v\nwant %v", size, got, want)
				}
			}
		})
	}
}

func TestDueRecordsComeByTime(t *testing.T) {
	c := newClock()
	s := marsala(t, c)
	town(t, s, c)
	var want []string
	for i := 29; i >= 0; i-- {
		if i%3 != 1 && i%5 != 0 && 30-i < 20 {
			want = append(want, fmt.Sprintf("comuni/marsala/services/s-%02d", i))
		}
	}
	for _, size := range []int{1, 2, 3, 7, 100} {
		got, _ := list(t, s, store.Query{
			Kind: kind("services"), Within: []string{"marsala"}, Limit: size, Sight: catalog.Sight{Reads: registryv1.Visibility_LOCAL},
			DueBefore: c.Now().Add(20 * time.Hour), ShowDeleted: true,
		})
		if !slices.Equal(got, want) {
			t.Errorf("in pages of %d:\n got %v\nwant %v", size, got, want)
		}
	}
	// To the nanosecond, and before 1970.
	for id, due := range map[string]time.Time{
		"just-before": c.Now().Add(500*time.Millisecond - 1), "just-then": c.Now().Add(500 * time.Millisecond), "long-ago": time.Unix(-5, 0),
	} {
		write(t, s, service(id, func(s *registryv1.Service) { s.Provenance = &registryv1.Provenance{VerifyByTime: timestamppb.New(due)} }))
	}
	got, _ := list(t, s, store.Query{
		Kind: kind("services"), Within: []string{"marsala"}, Limit: 10, Sight: catalog.Sight{Reads: registryv1.Visibility_LOCAL}, DueBefore: c.Now().Add(500 * time.Millisecond),
	})
	if want := []string{"comuni/marsala/services/long-ago", "comuni/marsala/services/just-before"}; !slices.Equal(got, want) {
		t.Errorf("due before an instant: %v", got)
	}
}

func TestRecordsInsideARecord(t *testing.T) {
	c := newClock()
	s := marsala(t, c)
	town(t, s, c)
	for plan, want := range map[string]int{"": 12, "p-1": 4, "p-2": 4, "p-22": 4, "p-3": 0} {
		q := store.Query{Kind: kind("actions"), Within: []string{"marsala"}, Limit: 3, Sight: catalog.Sight{Reads: registryv1.Visibility_LOCAL}}
		if plan != "" {
			q.Within = append(q.Within, plan)
		}
		got, _ := list(t, s, q)
		if len(got) != want || slices.ContainsFunc(got, func(name string) bool { return !strings.HasPrefix(name, "comuni/marsala/plans/"+plan) }) {
			t.Errorf("actions of plan %q: %v", plan, got)
		}
	}
	must(t, s.View(func(r store.Reader) error {
		inside, err := r.Inside(named(t, "comuni/marsala/plans/p-2"), 3)
		if len(inside) != 3 || !strings.HasPrefix(inside[0], "comuni/marsala/plans/p-2/") {
			t.Errorf("inside p-2: %v", inside)
		}
		return err
	}))
}

// However many records there are that a list does not show, one page looks at a
// bounded number of them.
func TestPageLooksAtABoundedNumber(t *testing.T) {
	c := newClock()
	s := marsala(t, c)
	due := &registryv1.Provenance{VerifyByTime: timestamppb.New(c.Now())}
	for n := range 6 {
		var records []proto.Message
		for i := range 1000 {
			records = append(records, &registryv1.Event{Name: fmt.Sprintf("comuni/marsala/events/e-%d-%d", n, i), Provenance: due})
			records = append(records, service(fmt.Sprintf("h-%d-%d", n, i), visible(registryv1.Visibility_LOCAL), func(s *registryv1.Service) { s.Provenance = due }))
		}
		write(t, s, records...)
	}
	write(t, s, service("zz-last", func(s *registryv1.Service) { s.Provenance = due }))
	for _, q := range []store.Query{
		{Kind: kind("services"), Within: []string{"marsala"}, Limit: 10, Sight: catalog.Sight{Reads: registryv1.Visibility_PUBLIC}},
		{Kind: kind("services"), Within: []string{"marsala"}, Limit: 10, Sight: catalog.Sight{Reads: registryv1.Visibility_PUBLIC}, DueBefore: c.Now().Add(time.Second)},
	} {
		names, pages := list(t, s, q)
		if len(names) != 1 || pages < 2 {
			t.Errorf("%v in %d pages", names, pages)
		}
	}
}

func TestPageFitsIntoAMessage(t *testing.T) {
	s := marsala(t, newClock())
	text := strings.Repeat("x", 20_000)
	for i := range 300 {
		write(t, s, service(fmt.Sprintf("s-%03d", i), func(s *registryv1.Service) { s.Description = italian(text) }))
	}
	names, pages := list(t, s, store.Query{Kind: kind("services"), Within: []string{"marsala"}, Limit: 1000, Sight: catalog.Sight{Reads: registryv1.Visibility_LOCAL}})
	if len(names) != 300 || pages < 6 {
		t.Errorf("%d records of 20 kB in %d pages", len(names), pages)
	}
	for _, page := range snapshot(t, s) {
		size := 0
		for _, change := range page.Records {
			size += proto.Size(change)
		}
		if size > 2<<20 {
			t.Errorf("a page of the snapshot has %d bytes", size)
		}
	}
	if got := len(holdings(t, s)); got != 300 {
		t.Errorf("the snapshot has %d records", got)
	}
}
