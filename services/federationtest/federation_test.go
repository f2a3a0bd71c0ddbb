package federationtest_test

import (
	"path/filepath"
	"testing"

	"google.golang.org/protobuf/proto"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/federationtest"
	"cidsistem.example/services/registry"
	"cidsistem.example/services/ufficiocomune"
)

// three starts three comuni and their office.
func three(t *testing.T) (map[string]*federationtest.Node, *federationtest.Office) {
	nodes := map[string]*federationtest.Node{}
	var members []federationtest.Below
	for _, comune := range []string{"marsala", "mazara-del-vallo", "pantelleria"} {
		nodes[comune] = federationtest.StartNode(t, federationtest.NodeSettings(comune, filepath.Join(t.TempDir(), comune)), registry.Options{})
		members = append(members, nodes[comune].Member())
	}
	return nodes, federationtest.StartOffice(t, "cid-trapani", ufficiocomune.Options{}, members...)
}

func italian(text string) *registryv1.LocalizedText { return &registryv1.LocalizedText{It: text} }

func active() *registryv1.Status { return &registryv1.Status{State: registryv1.Status_ACTIVE} }

func TestWriteThroughTheOfficeIsReadAtOnce(t *testing.T) {
	nodes, office := three(t)
	services := registryv1.NewServiceServiceClient(office.Conn(t))
	created, err := services.CreateService(t.Context(), &registryv1.CreateServiceRequest{
		Parent: "comuni/marsala", ServiceId: "trasporto",
		Service: &registryv1.Service{Title: italian("Trasporto delle persone con disabilità"), Status: active()},
	})
	if err != nil {
		t.Fatal(err)
	}
	if created.GetName() != "comuni/marsala/services/trasporto" || created.GetEtag() == "" {
		t.Errorf("created %v", created)
	}
	for range 20 {
		created.Summary = italian("In città e verso i centri")
		updated, err := services.UpdateService(t.Context(), &registryv1.UpdateServiceRequest{Service: created})
		if err != nil {
			t.Fatal(err)
		}
		read, err := services.GetService(t.Context(), &registryv1.GetServiceRequest{Name: created.GetName()})
		if err != nil {
			t.Fatal(err)
		}
		if !proto.Equal(read, updated) {
			t.Fatalf("read %v after writing %v", read, updated)
		}
		created = read
	}
	search := registryv1.NewSearchServiceClient(office.Conn(t))
	found, err := search.Search(t.Context(), &registryv1.SearchRequest{Q: "trasporto disabili"})
	if err != nil {
		t.Fatal(err)
	}
	if found.GetTotalSize() != 1 || len(found.GetCoverage()) != 3 {
		t.Errorf("search found %v", found)
	}
	name, _ := catalog.ParseName(created.GetName())
	atNode, atOffice := raw(t, nodes["marsala"].Node.Store(), name), raw(t, office.Office.Store(), name)
	if string(atNode) != string(atOffice) {
		t.Error("the copy differs from the node's bytes")
	}
}

func TestOfficeStaysHonestWhenANodeIsCut(t *testing.T) {
	nodes, office := three(t)
	services := registryv1.NewServiceServiceClient(office.Conn(t))
	if _, err := services.CreateService(t.Context(), &registryv1.CreateServiceRequest{
		Parent: "comuni/pantelleria", ServiceId: "sportello",
		Service: &registryv1.Service{Title: italian("Sportello di ascolto"), Status: active()},
	}); err != nil {
		t.Fatal(err)
	}
	nodes["pantelleria"].Link.Cut()

	federationtest.Eventually(t, "the answer says that Pantelleria is away", office.Office.Changed, func() bool {
		list, err := services.ListServices(t.Context(), &registryv1.ListServicesRequest{Parent: "comuni/-"})
		if err != nil {
			t.Fatal(err)
		}
		if len(list.GetServices()) != 1 {
			t.Fatalf("the last known services are gone: %v", list)
		}
		states := map[string]registryv1.Coverage_State{}
		for _, c := range list.GetCoverage() {
			states[c.GetComune()] = c.GetState()
		}
		return states["comuni/pantelleria"] == registryv1.Coverage_STALE && states["comuni/marsala"] == registryv1.Coverage_CURRENT
	})
	_, err := services.DeleteService(t.Context(), &registryv1.DeleteServiceRequest{Name: "comuni/pantelleria/services/sportello"})
	if apierror.Reason(err) != registryv1.ErrorReason_OWNER_UNREACHABLE || apierror.Retry(err) == 0 {
		t.Errorf("write to a node that is away: %v", err)
	}

	// The node works on alone, and the office has it all after healing.
	own := registryv1.NewServiceServiceClient(nodes["pantelleria"].Conn(t))
	changed, err := own.UpdateService(t.Context(), &registryv1.UpdateServiceRequest{
		Service: &registryv1.Service{Name: "comuni/pantelleria/services/sportello", Summary: italian("Ogni martedì")},
	})
	if err != nil {
		t.Fatal(err)
	}
	nodes["pantelleria"].Link.Heal()
	federationtest.Eventually(t, "the change made meanwhile is at the office", office.Office.Changed, func() bool {
		got, err := services.GetService(t.Context(), &registryv1.GetServiceRequest{
			Name: changed.GetName(), ReadPreference: registryv1.ReadPreference_REPLICA_ONLY,
		})
		return err == nil && proto.Equal(got, changed)
	})
}
