package ufficiocomune_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"cidsistem.example/proto/gen/federationv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/federationtest"
	"cidsistem.example/services/ufficiocomune"
)

// above starts a second level over an office, and perhaps others.
func above(t testing.TB, f *federation, others ...federationtest.Below) *office {
	t.Helper()
	return connect(t, federationtest.StartOffice(t, "regione", ufficiocomune.Options{}, append([]federationtest.Below{f.Member()}, others...)...))
}

// sees waits until an office answers for a record from its copy as a condition
// wants it.
func (o *office) sees(t testing.TB, name string, wanted func(*registryv1.Service, error) bool) {
	t.Helper()
	federationtest.Eventually(t, name+" is at "+o.Settings.ID, func() <-chan struct{} { return o.changed(t) }, func() bool {
		return wanted(o.services.GetService(t.Context(), &registryv1.GetServiceRequest{Name: name, ReadPreference: copyOnly}))
	})
}

// changed is closed when the copy changes, or what the office thinks of a member:
// what it answers depends on both, and one comes a moment after the other.
func (o *office) changed(t testing.TB) <-chan struct{} {
	copied, member := o.Office.Office.Store().After(o.Office.Office.Store().Head().Revision), o.Office.Office.Changed()
	either := make(chan struct{})
	go func() {
		defer close(either)
		select {
		case <-copied:
		case <-member:
		case <-t.Context().Done():
		}
	}()
	return either
}

func there(_ *registryv1.Service, err error) bool { return err == nil }

func TestTwoLevels(t *testing.T) {
	f := start(t)
	names := f.fill(t, 2)
	top := above(t, f)
	for _, name := range names {
		top.sees(t, name, there)
	}
	nodes, err := top.federation.ListNodes(t.Context(), &federationv1.ListNodesRequest{})
	must(t, err)
	if len(nodes.GetNodes()) != 1 || !slices.Equal(nodes.GetNodes()[0].GetComuni(), []string{marsala, mazara, pantelleria}) {
		t.Errorf("the level above federates %v", nodes.GetNodes())
	}

	// A write through the top reaches its owner, and is read at once at each level.
	made := create(t, top.conn, pantelleria, "dall-alto")
	own, err := registryv1.NewServiceServiceClient(f.nodes[pantelleria].Conn(t)).GetService(t.Context(), &registryv1.GetServiceRequest{Name: made.GetName()})
	must(t, err)
	same(t, own, made)
	for _, o := range []*office{f.office, top} {
		got, err := o.services.GetService(t.Context(), &registryv1.GetServiceRequest{Name: made.GetName()})
		must(t, err)
		same(t, got, made)
	}

	// So does a deletion; and what is hidden from the federation ends everywhere.
	deleted, err := top.services.DeleteService(t.Context(), &registryv1.DeleteServiceRequest{Name: made.GetName()})
	must(t, err)
	top.sees(t, made.GetName(), func(s *registryv1.Service, err error) bool { return err == nil && s.GetEtag() == deleted.GetEtag() })
	first, err := registryv1.NewServiceServiceClient(f.nodes[marsala].Conn(t)).GetService(t.Context(), &registryv1.GetServiceRequest{Name: names[0]})
	must(t, err)
	first.Visibility = registryv1.Visibility_LOCAL
	_, err = registryv1.NewServiceServiceClient(f.nodes[marsala].Conn(t)).UpdateService(t.Context(), &registryv1.UpdateServiceRequest{Service: first})
	must(t, err)
	top.sees(t, names[0], func(_ *registryv1.Service, err error) bool { return err != nil })

	list, err := top.services.ListServices(t.Context(), &registryv1.ListServicesRequest{Parent: "comuni/-", PageSize: 2, ReadPreference: liveOnly})
	must(t, err)
	if got := stands(list.GetCoverage()); len(list.GetServices()) != 2 || got[marsala] != "live" {
		t.Errorf("asked live through two levels: %d records, %v", len(list.GetServices()), got)
	}
	_, err = top.services.CreateService(t.Context(), &registryv1.CreateServiceRequest{Parent: "comuni/favignana", Service: service()})
	refused(t, err, registryv1.ErrorReason_RESOURCE_NOT_FOUND, "name", "comuni/favignana")
}

// However many levels there are, nobody calls old data new.
func TestLevelsAreHonest(t *testing.T) {
	f := start(t)
	f.fill(t, 1)
	top := above(t, f)
	name := "comuni/pantelleria/services/s-000"
	top.sees(t, name, there)
	f.away(t, pantelleria)
	cut := time.Now()
	for _, preference := range []registryv1.ReadPreference{whatever, preferLive, copyOnly} {
		// The office below tells within a heartbeat.
		if preference != preferLive {
			federationtest.Eventually(t, "the top knows that pantelleria is away", top.Office.Office.Changed, func() bool {
				list, err := top.services.ListServices(t.Context(), &registryv1.ListServicesRequest{Parent: "comuni/-", ReadPreference: preference})
				return err == nil && stands(list.GetCoverage())[pantelleria] == "stale"
			})
		}
		var header metadata.MD
		_, err := top.services.GetService(t.Context(), &registryv1.GetServiceRequest{Name: name, ReadPreference: preference}, grpc.Header(&header))
		must(t, err)
		if !slices.Equal(header.Get("cid-coverage"), []string{"stale"}) {
			t.Errorf("%s: the record comes with %v", preference, header)
		}
		list, err := top.services.ListServices(t.Context(), &registryv1.ListServicesRequest{Parent: "comuni/-", ReadPreference: preference})
		must(t, err)
		found, err := top.search.Search(t.Context(), &registryv1.SearchRequest{Kinds: []string{"services"}, ReadPreference: preference})
		must(t, err)
		for what, coverage := range map[string][]*registryv1.Coverage{"list": list.GetCoverage(), "search": found.GetCoverage()} {
			others := "current"
			if preference == preferLive {
				others = "live"
			}
			if got := stands(coverage); got[pantelleria] != "stale" || got[marsala] != others {
				t.Errorf("%s: the %s says %v", preference, what, got)
			}
			for _, c := range coverage {
				if c.GetComune() == "comuni/"+pantelleria && (c.GetAsOfTime() == nil || c.GetAsOfTime().AsTime().After(cut)) {
					t.Errorf("%s: the %s is as of %s, the node was cut off at %s", preference, what, c.GetAsOfTime().AsTime(), cut)
				}
			}
		}
		if len(list.GetServices()) != 3 || found.GetTotalSize() != 3 {
			t.Errorf("%s: %d listed, %d found", preference, len(list.GetServices()), found.GetTotalSize())
		}
	}
	_, err := top.services.GetService(t.Context(), &registryv1.GetServiceRequest{Name: name, ReadPreference: liveOnly})
	refused(t, err, registryv1.ErrorReason_OWNER_UNREACHABLE, "comune", pantelleria)
	_, err = top.services.DeleteService(t.Context(), &registryv1.DeleteServiceRequest{Name: name})
	refused(t, err, registryv1.ErrorReason_OWNER_UNREACHABLE, "comune", pantelleria)
	all, err := top.services.ListServices(t.Context(), &registryv1.ListServicesRequest{Parent: "comuni/-", ReadPreference: liveOnly})
	must(t, err)
	if got := stands(all.GetCoverage()); got[pantelleria] != "missing" || got[marsala] != "live" || !slices.Equal(all.GetUnreachable(), []string{"comuni/" + pantelleria}) {
		t.Errorf("asked live: %v, unreachable %v", got, all.GetUnreachable())
	}
}

func TestMembersThatLeave(t *testing.T) {
	f := start(t)
	names := f.fill(t, 1)
	top := above(t, f)
	for _, name := range names {
		top.sees(t, name, there)
	}
	f.Halt(t)
	f.WithoutMember(mazara)
	f.Start(t)
	f.office = connect(t, f.Office)
	_, err := f.services.GetService(t.Context(), &registryv1.GetServiceRequest{Name: "comuni/mazara-del-vallo/services/s-000"})
	refused(t, err, registryv1.ErrorReason_RESOURCE_NOT_FOUND)
	list, err := f.services.ListServices(t.Context(), &registryv1.ListServicesRequest{Parent: "comuni/-", ReadPreference: copyOnly})
	must(t, err)
	if got := slices.Sorted(maps.Keys(stands(list.GetCoverage()))); !slices.Equal(got, []string{marsala, pantelleria}) || len(list.GetServices()) != 2 {
		t.Errorf("the office answers for %v with %d records", got, len(list.GetServices()))
	}
	federationtest.Eventually(t, "its records leave the search", func() <-chan struct{} { return f.Office.Office.Store().After(-1) }, func() bool {
		found, err := f.search.Search(t.Context(), &registryv1.SearchRequest{Kinds: []string{"services"}})
		return err == nil && found.GetTotalSize() == 2
	})
	top.sees(t, "comuni/mazara-del-vallo/services/s-000", func(_ *registryv1.Service, err error) bool { return err != nil })
}

// A comune that a member answers for by name is not taken from one that offers
// it as well.
func TestComuneOfTwoMembers(t *testing.T) {
	f := start(t)
	f.fill(t, 1)
	top := above(t, f, f.nodes[marsala].Member())
	for _, comune := range []string{marsala, mazara, pantelleria} {
		top.sees(t, "comuni/"+comune+"/services/s-000", there)
	}
	holders, err := top.Office.Office.Store().Holders()
	must(t, err)
	if want := map[string]string{marsala: marsala, mazara: "cid-trapani", pantelleria: "cid-trapani"}; !maps.Equal(holders, want) {
		t.Errorf("holders %v", holders)
	}
	list, err := top.services.ListServices(t.Context(), &registryv1.ListServicesRequest{Parent: "comuni/-"})
	must(t, err)
	if len(list.GetServices()) != 3 {
		t.Errorf("lists %v", list.GetServices())
	}
}

func TestResync(t *testing.T) {
	f := start(t)
	names := f.fill(t, 2)
	before, err := f.federation.GetNode(t.Context(), &federationv1.GetNodeRequest{Name: "nodes/marsala"})
	must(t, err)
	_, err = f.federation.ResyncNode(t.Context(), &federationv1.ResyncNodeRequest{Name: "nodes/marsala"})
	must(t, err)
	for {
		list, err := f.services.ListServices(t.Context(), &registryv1.ListServicesRequest{Parent: "comuni/-", ReadPreference: copyOnly})
		must(t, err)
		if len(list.GetServices()) != len(names) {
			t.Fatalf("while the copy is taken anew the office has %d records", len(list.GetServices()))
		}
		after, err := f.federation.GetNode(t.Context(), &federationv1.GetNodeRequest{Name: "nodes/marsala"})
		must(t, err)
		if after.GetSnapshots() == before.GetSnapshots()+1 && after.GetState() == federationv1.Node_IN_SYNC {
			break
		}
	}
	_, err = f.federation.ResyncNode(t.Context(), &federationv1.ResyncNodeRequest{Name: "nodes/favignana"})
	refused(t, err, registryv1.ErrorReason_RESOURCE_NOT_FOUND)
}

func TestBoardOfNodes(t *testing.T) {
	f := start(t)
	stream, err := f.federation.WatchNodes(t.Context(), &federationv1.WatchNodesRequest{})
	must(t, err)
	first, err := stream.Recv()
	must(t, err)
	if len(first.GetNodes()) != 3 {
		t.Errorf("the board begins with %v", first.GetNodes())
	}
	f.nodes[pantelleria].Link.Cut()
	for away := false; !away; {
		message, err := stream.Recv()
		must(t, err)
		for _, node := range message.GetNodes() {
			away = away || node.GetName() == "nodes/pantelleria" && node.GetState() == federationv1.Node_UNREACHABLE && node.GetLastError() != ""
		}
	}
	page, err := f.federation.ListNodes(t.Context(), &federationv1.ListNodesRequest{PageSize: 2})
	must(t, err)
	rest, err := f.federation.ListNodes(t.Context(), &federationv1.ListNodesRequest{PageSize: 2, PageToken: page.GetNextPageToken()})
	must(t, err)
	if len(page.GetNodes()) != 2 || len(rest.GetNodes()) != 1 || rest.GetNextPageToken() != "" || rest.GetNodes()[0].GetName() != "nodes/pantelleria" {
		t.Errorf("pages %v, %v", page, rest)
	}
}

// A comune that was assigned to a member and never copied is missing, not empty.
func TestComuneThatWasNeverCopied(t *testing.T) {
	f := start(t)
	f.fill(t, 1)
	top := above(t, f)
	for _, comune := range []string{marsala, mazara, pantelleria} {
		top.sees(t, "comuni/"+comune+"/services/s-000", there)
	}
	top.Halt(t)
	f.Link.Cut()
	top.Settings.Members[0].Comuni = []string{"favignana", marsala, mazara, pantelleria}
	top.Start(t)
	top = connect(t, top.Office)
	_, err := top.services.ListServices(t.Context(), &registryv1.ListServicesRequest{Parent: "comuni/favignana", ReadPreference: copyOnly})
	refused(t, err, registryv1.ErrorReason_OWNER_UNREACHABLE, "comune", "favignana")
	list, err := top.services.ListServices(t.Context(), &registryv1.ListServicesRequest{Parent: "comuni/-", ReadPreference: copyOnly})
	must(t, err)
	if want := map[string]string{"favignana": "missing", marsala: "stale", mazara: "stale", pantelleria: "stale"}; !maps.Equal(stands(list.GetCoverage()), want) || len(list.GetServices()) != 3 {
		t.Errorf("%d records, %v", len(list.GetServices()), stands(list.GetCoverage()))
	}
}
