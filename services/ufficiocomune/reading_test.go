package ufficiocomune_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/federationtest"
	"cidsistem.example/services/ufficiocomune"
)

const (
	whatever   = registryv1.ReadPreference_READ_PREFERENCE_UNSPECIFIED
	preferLive = registryv1.ReadPreference_PREFER_LIVE
	liveOnly   = registryv1.ReadPreference_LIVE_ONLY
	copyOnly   = registryv1.ReadPreference_REPLICA_ONLY
)

// How each read is answered: while the node is there, while it is away, and when
// there never was a copy of it.
func TestReadPlan(t *testing.T) {
	for _, plan := range []struct {
		name       string
		preference registryv1.ReadPreference
		staleness  *durationpb.Duration
		// there and away are how fresh pantelleria is; "missing" is an error when
		// nothing else is asked for.
		there, away string
	}{
		{"default", whatever, nil, "current", "stale"},
		{"prefer live", preferLive, nil, "live", "stale"},
		{"live only", liveOnly, nil, "live", "missing"},
		{"copy only", copyOnly, nil, "current", "stale"},
		{"no older than an hour", whatever, durationpb.New(time.Hour), "current", "stale"},
		{"not old at all", whatever, durationpb.New(0), "live", "missing"},
		{"live, or no older than an hour", preferLive, durationpb.New(time.Hour), "live", "stale"},
		{"live, or not old at all", preferLive, durationpb.New(0), "live", "missing"},
	} {
		t.Run(plan.name, func(t *testing.T) {
			t.Parallel()
			f := start(t)
			name := create(t, f.nodes[pantelleria].Conn(t), pantelleria, "sportello").GetName()
			f.synced(t, f.nodes[pantelleria])
			check := func(want string) {
				t.Helper()
				var header metadata.MD
				got, err := f.services.GetService(t.Context(), &registryv1.GetServiceRequest{Name: name, ReadPreference: plan.preference, MaxStaleness: plan.staleness}, grpc.Header(&header))
				one, listing := f.services.ListServices(t.Context(), &registryv1.ListServicesRequest{Parent: "comuni/" + pantelleria, ReadPreference: plan.preference, MaxStaleness: plan.staleness})
				if want == "missing" {
					refused(t, err, registryv1.ErrorReason_OWNER_UNREACHABLE, "comune", pantelleria)
					refused(t, listing, registryv1.ErrorReason_OWNER_UNREACHABLE, "comune", pantelleria)
				} else {
					must(t, err)
					must(t, listing)
					state := strings.Replace(want, "live", "current", 1)
					if got.GetName() != name || !slices.Equal(header.Get("cid-coverage"), []string{state}) || len(header.Get("cid-as-of")) != 1 {
						t.Errorf("read %s with %v", got.GetName(), header)
					}
					if len(one.GetServices()) != 1 || stands(one.GetCoverage())[pantelleria] != want {
						t.Errorf("lists %v", one)
					}
				}
				all, err := f.services.ListServices(t.Context(), &registryv1.ListServicesRequest{Parent: "comuni/-", ReadPreference: plan.preference, MaxStaleness: plan.staleness})
				must(t, err)
				found, err := f.search.Search(t.Context(), &registryv1.SearchRequest{Kinds: []string{"services"}, ReadPreference: plan.preference, MaxStaleness: plan.staleness})
				must(t, err)
				expected := map[string]string{marsala: plan.there, mazara: plan.there, pantelleria: want}
				for what, answer := range map[string]interface {
					GetCoverage() []*registryv1.Coverage
					GetUnreachable() []string
				}{"list": all, "search": found} {
					if got := stands(answer.GetCoverage()); !maps.Equal(got, expected) {
						t.Errorf("the %s of all says %v, want %v", what, got, expected)
					}
					if (want == "missing") != slices.Equal(answer.GetUnreachable(), []string{"comuni/" + pantelleria}) {
						t.Errorf("the %s of all cannot reach %v", what, answer.GetUnreachable())
					}
				}
				if records := len(all.GetServices()); (records == 0) != (want == "missing") || int(found.GetTotalSize()) != records {
					t.Errorf("%d listed, %d found", records, found.GetTotalSize())
				}
				for _, c := range all.GetCoverage() {
					if (c.GetState() == registryv1.Coverage_MISSING) != (c.GetAsOfTime() == nil) || c.GetAsOfTime().AsTime().After(time.Now()) {
						t.Errorf("coverage %v", c)
					}
				}
			}
			check(plan.there)
			f.away(t, pantelleria)
			check(plan.away)
			f.nodes[pantelleria].Link.Heal()
			f.synced(t, f.nodes[pantelleria])
			check(plan.there)
		})
	}
}

func TestMemberThatWasNeverReached(t *testing.T) {
	nodes := startNodes(t)
	create(t, nodes[marsala].Conn(t), marsala, "trasporto")
	nodes[pantelleria].Link.Cut()
	o := connect(t, federationtest.StartOffice(t, "cid-trapani", ufficiocomune.Options{}, nodes[marsala].Member(), nodes[pantelleria].Member()))
	o.synced(t, nodes[marsala])
	for _, preference := range []registryv1.ReadPreference{whatever, preferLive, liveOnly, copyOnly} {
		_, err := o.services.GetService(t.Context(), &registryv1.GetServiceRequest{Name: "comuni/pantelleria/services/sportello", ReadPreference: preference})
		refused(t, err, registryv1.ErrorReason_OWNER_UNREACHABLE, "comune", pantelleria)
		_, err = o.services.ListServices(t.Context(), &registryv1.ListServicesRequest{Parent: "comuni/pantelleria", ReadPreference: preference})
		refused(t, err, registryv1.ErrorReason_OWNER_UNREACHABLE, "comune", pantelleria)
		all, err := o.services.ListServices(t.Context(), &registryv1.ListServicesRequest{Parent: "comuni/-", ReadPreference: preference})
		must(t, err)
		found, err := o.search.Search(t.Context(), &registryv1.SearchRequest{Kinds: []string{"services"}, ReadPreference: preference})
		must(t, err)
		if len(all.GetServices()) != 1 || found.GetTotalSize() != 1 {
			t.Errorf("%s: %d listed, %d found", preference, len(all.GetServices()), found.GetTotalSize())
		}
		for _, unreachable := range [][]string{all.GetUnreachable(), found.GetUnreachable()} {
			if !slices.Equal(unreachable, []string{"comuni/pantelleria"}) {
				t.Errorf("%s: unreachable %v", preference, unreachable)
			}
		}
	}
	// When nobody can be reached there is nothing to answer with.
	nodes[marsala].Link.Cut()
	_, err := o.services.ListServices(t.Context(), &registryv1.ListServicesRequest{Parent: "comuni/-", ReadPreference: liveOnly})
	refused(t, err, registryv1.ErrorReason_OWNER_UNREACHABLE)
}

// pages walks a list and checks what every page says.
func (f *federation) pages(t testing.TB, request *registryv1.ListServicesRequest, between func(page int)) (names []string) {
	t.Helper()
	for page := 1; ; page++ {
		answer, err := f.services.ListServices(t.Context(), request)
		must(t, err)
		for _, s := range answer.GetServices() {
			names = append(names, s.GetName())
		}
		if request.GetPageSize() > 0 && len(answer.GetServices()) > int(request.GetPageSize()) {
			t.Errorf("a page of %d has %d records", request.GetPageSize(), len(answer.GetServices()))
		}
		if size := proto.Size(answer); size > 5<<19 {
			t.Errorf("page %d has %d bytes", page, size)
		}
		if len(answer.GetCoverage()) != 3 {
			t.Errorf("page %d tells of %v", page, answer.GetCoverage())
		}
		if request.PageToken = answer.GetNextPageToken(); request.GetPageToken() == "" {
			return names
		}
		between(page)
	}
}

func TestPagesOverAllComuni(t *testing.T) {
	f := start(t)
	want := f.fill(t, 6)
	for _, preference := range []registryv1.ReadPreference{whatever, liveOnly, preferLive, copyOnly} {
		for _, size := range []int32{1, 2, 3, 7, 100} {
			got := f.pages(t, &registryv1.ListServicesRequest{Parent: "comuni/-", PageSize: size, ReadPreference: preference}, func(int) {})
			if !slices.Equal(got, want) {
				t.Errorf("%s, in pages of %d: %v", preference, size, got)
			}
		}
	}
}

// A node that goes away between two pages costs nothing that the copy has.
func TestNodeGoesAwayBetweenPages(t *testing.T) {
	for _, test := range []struct {
		preference registryv1.ReadPreference
		lost       bool // what the node still had to tell
	}{{whatever, false}, {preferLive, false}, {copyOnly, false}, {liveOnly, true}} {
		for _, size := range []int32{2, 3} { // in the middle of a comune, at its end
			t.Run(fmt.Sprintf("%s in pages of %d", test.preference, size), func(t *testing.T) {
				t.Parallel()
				f := start(t)
				all := f.fill(t, 6)
				cutAfter := 4
				if size == 3 {
					cutAfter = 3 // marsala is done, mazara half told
				}
				got := f.pages(t, &registryv1.ListServicesRequest{Parent: "comuni/-", PageSize: size, ReadPreference: test.preference}, func(page int) {
					if page == cutAfter {
						f.away(t, mazara)
					}
				})
				want := all
				if test.lost {
					told := cutAfter * int(size)
					want = slices.Concat(all[:told], all[12:])
				}
				if !slices.Equal(got, want) {
					t.Errorf("listed %v", got)
				}
			})
		}
	}
}

func TestPagesFitIntoMessages(t *testing.T) {
	f := start(t)
	text := strings.Repeat("x", 19_000)
	want := f.fill(t, 50, func(s *registryv1.Service) { s.Description = italian(text) })
	for _, preference := range []registryv1.ReadPreference{whatever, liveOnly} {
		got := f.pages(t, &registryv1.ListServicesRequest{Parent: "comuni/-", PageSize: 1000, ReadPreference: preference}, func(int) {})
		if !slices.Equal(got, want) {
			t.Errorf("%s: %d of %d listed", preference, len(got), len(want))
		}
	}
}

func TestUnknownComune(t *testing.T) {
	f := start(t)
	const name = "comuni/favignana"
	_, err := f.services.GetService(t.Context(), &registryv1.GetServiceRequest{Name: name + "/services/trasporto"})
	refused(t, err, registryv1.ErrorReason_RESOURCE_NOT_FOUND, "name", name)
	_, err = f.services.ListServices(t.Context(), &registryv1.ListServicesRequest{Parent: name})
	refused(t, err, registryv1.ErrorReason_RESOURCE_NOT_FOUND, "name", name)
	_, err = f.services.CreateService(t.Context(), &registryv1.CreateServiceRequest{Parent: name, Service: service()})
	refused(t, err, registryv1.ErrorReason_RESOURCE_NOT_FOUND, "name", name)
	_, err = f.files.GetFile(t.Context(), &registryv1.GetFileRequest{Name: name + "/files/" + strings.Repeat("a", 64)})
	refused(t, err, registryv1.ErrorReason_RESOURCE_NOT_FOUND, "name", name)
	found, err := f.search.Search(t.Context(), &registryv1.SearchRequest{Comuni: []string{"favignana", marsala}})
	must(t, err)
	if got := stands(found.GetCoverage()); !maps.Equal(got, map[string]string{"favignana": "missing", marsala: "current"}) || !slices.Equal(found.GetUnreachable(), []string{name}) {
		t.Errorf("search says %v, unreachable %v", got, found.GetUnreachable())
	}
	_, err = f.services.GetService(t.Context(), &registryv1.GetServiceRequest{Name: "comuni/marsala/services/none"})
	refused(t, err, registryv1.ErrorReason_RESOURCE_NOT_FOUND, "name", "comuni/marsala/services/none")
}

// What the office held before a restart it answers with after it, and says how
// old it is.
func TestOfficeRemembers(t *testing.T) {
	f := start(t)
	want := f.fill(t, 2)
	f.away(t, pantelleria)
	before, err := f.services.ListServices(t.Context(), &registryv1.ListServicesRequest{Parent: "comuni/-", ReadPreference: copyOnly})
	must(t, err)
	f.Halt(t)
	f.Start(t)
	f.office = connect(t, f.Office)
	after, err := f.services.ListServices(t.Context(), &registryv1.ListServicesRequest{Parent: "comuni/-", ReadPreference: copyOnly})
	must(t, err)
	var got []string
	for _, s := range after.GetServices() {
		got = append(got, s.GetName())
	}
	if !slices.Equal(got, want) || stands(after.GetCoverage())[pantelleria] != "stale" {
		t.Errorf("after a restart %v, %v", got, after.GetCoverage())
	}
	asOf := func(list *registryv1.ListServicesResponse) time.Time {
		for _, c := range list.GetCoverage() {
			if c.GetComune() == "comuni/"+pantelleria {
				return c.GetAsOfTime().AsTime()
			}
		}
		return time.Time{}
	}
	if was, is := asOf(before), asOf(after); !is.Equal(was) {
		t.Errorf("as of %s before the restart, of %s after it", was, is)
	}
}
