package registry_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/proto/gen/adminv1"
	"cidsistem.example/proto/gen/federationv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/registry"
)

func TestLists(t *testing.T) {
	n := marsala(t, registry.Options{})
	n.organization(t, "aias")
	var all, due, users []string
	for i := range 25 {
		id := fmt.Sprintf("s-%02d", i)
		n.create(t, id, func(s *registryv1.Service) {
			if i%2 == 0 {
				s.ResponsibleOrganization = "comuni/marsala/organizations/aias"
				users = append(users, id)
			}
			if i%5 == 0 {
				s.Provenance = &registryv1.Provenance{VerifyByTime: timestamppb.New(n.Now().Add(time.Duration(100-i) * time.Hour))}
				due = append([]string{id}, due...)
			}
		})
		all = append(all, id)
	}
	for _, size := range []int32{1, 2, 3, 7, 100, 0, 5000} {
		for name, test := range map[string]struct {
			request *registryv1.ListServicesRequest
			want    []string
		}{
			"all":       {&registryv1.ListServicesRequest{}, all},
			"refers to": {&registryv1.ListServicesRequest{RefersTo: "comuni/marsala/organizations/aias"}, users},
			"due":       {&registryv1.ListServicesRequest{DueBeforeTime: timestamppb.New(n.Now().Add(100 * time.Hour))}, due[:4]},
		} {
			test.request.PageSize = size
			if got := n.list(t, test.request); !slices.Equal(got, test.want) {
				t.Errorf("%s in pages of %d: %v", name, size, got)
			}
		}
	}
	page, err := n.services.ListServices(t.Context(), &registryv1.ListServicesRequest{Parent: "comuni/-", PageSize: 3})
	must(t, err)
	if len(page.GetServices()) != 3 || len(page.GetCoverage()) != 1 || page.GetCoverage()[0].GetComune() != "comuni/marsala" ||
		page.GetCoverage()[0].GetState() != registryv1.Coverage_CURRENT || !page.GetCoverage()[0].GetLive() || len(page.GetUnreachable()) != 0 {
		t.Errorf("page %v", page)
	}
	const invalid = registryv1.ErrorReason_INVALID_FIELDS
	for name, test := range map[string]struct {
		request *registryv1.ListServicesRequest
		reason  registryv1.ErrorReason
		fields  []string
	}{
		"another comune":         {&registryv1.ListServicesRequest{Parent: "comuni/pantelleria"}, registryv1.ErrorReason_RESOURCE_NOT_FOUND, nil},
		"no parent":              {&registryv1.ListServicesRequest{}, invalid, []string{"parent"}},
		"negative size":          {&registryv1.ListServicesRequest{Parent: "comuni/-", PageSize: -1}, invalid, []string{"pageSize"}},
		"token of another list":  {&registryv1.ListServicesRequest{Parent: "comuni/marsala", PageToken: page.GetNextPageToken()}, registryv1.ErrorReason_INVALID_PAGE_TOKEN, []string{"pageToken"}},
		"damaged token":          {&registryv1.ListServicesRequest{Parent: "comuni/-", PageToken: page.GetNextPageToken()[1:]}, registryv1.ErrorReason_INVALID_PAGE_TOKEN, []string{"pageToken"}},
		"unknown preference":     {&registryv1.ListServicesRequest{Parent: "comuni/-", ReadPreference: 9}, invalid, []string{"readPreference"}},
		"refers to no name":      {&registryv1.ListServicesRequest{Parent: "comuni/-", RefersTo: "AIAS"}, invalid, []string{"refersTo"}},
		"token, another filter":  {&registryv1.ListServicesRequest{Parent: "comuni/-", ShowDeleted: true, PageToken: page.GetNextPageToken()}, registryv1.ErrorReason_INVALID_PAGE_TOKEN, []string{"pageToken"}},
		"token of another kinds": {&registryv1.ListServicesRequest{Parent: "comuni/-", PageToken: "AAAA"}, registryv1.ErrorReason_INVALID_PAGE_TOKEN, []string{"pageToken"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := n.services.ListServices(t.Context(), test.request)
			refused(t, err, test.reason, test.fields...)
		})
	}
	next, err := n.services.ListServices(t.Context(), &registryv1.ListServicesRequest{Parent: "comuni/-", PageSize: 10, PageToken: page.GetNextPageToken()})
	must(t, err)
	if next.GetServices()[0].GetName() != "comuni/marsala/services/s-03" {
		t.Errorf("another page size goes on at %s", next.GetServices()[0].GetName())
	}
}

func TestSearchOfANode(t *testing.T) {
	n := marsala(t, registry.Options{})
	for i := range 25 {
		n.create(t, fmt.Sprintf("s-%02d", i))
	}
	n.indexed(t, 25)
	var names []string
	for token := ""; ; {
		page, err := n.search.Search(t.Context(), &registryv1.SearchRequest{Q: "trasporto", PageSize: 7, PageToken: token})
		must(t, err)
		if page.GetTotalSize() != 25 || len(page.GetCoverage()) != 1 {
			t.Errorf("page %v", page)
		}
		for _, hit := range page.GetHits() {
			names = append(names, hit.GetName())
		}
		if token = page.GetNextPageToken(); token == "" {
			break
		}
	}
	if slices.Sort(names); len(slices.Compact(names)) != 25 {
		t.Errorf("%d different hits", len(slices.Compact(names)))
	}
	found, err := n.search.Search(t.Context(), &registryv1.SearchRequest{Comuni: []string{"pantelleria", "marsala"}})
	must(t, err)
	if !slices.Equal(found.GetUnreachable(), []string{"comuni/pantelleria"}) || len(found.GetCoverage()) != 2 || found.GetTotalSize() < 25 {
		t.Errorf("of another comune too: %v %v", found.GetUnreachable(), found.GetCoverage())
	}
	_, err = n.search.Search(t.Context(), &registryv1.SearchRequest{PageToken: "nonsense"})
	refused(t, err, registryv1.ErrorReason_INVALID_PAGE_TOKEN, "pageToken")

	// The index follows, also what is deleted and what is made anew.
	n.delete(t, "comuni/marsala/services/s-03")
	n.indexed(t, 24)
	n.Halt(t)
	n.Start(t)
	n.connect(t)
	n.create(t, "after-restart")
	n.indexed(t, 25)
}

func TestNodeOfItself(t *testing.T) {
	n := marsala(t, registry.Options{})
	federation := federationv1.NewFederationServiceClient(n.conn)
	list, err := federation.ListNodes(t.Context(), &federationv1.ListNodesRequest{})
	must(t, err)
	if len(list.GetNodes()) != 1 || !list.GetNodes()[0].GetSelf() || list.GetNodes()[0].GetState() != federationv1.Node_IN_SYNC || !slices.Equal(list.GetNodes()[0].GetComuni(), []string{"marsala"}) {
		t.Errorf("nodes %v", list.GetNodes())
	}
	_, err = federation.ResyncNode(t.Context(), &federationv1.ResyncNodeRequest{Name: "nodes/marsala"})
	refused(t, err, registryv1.ErrorReason_NOT_SUPPORTED_HERE)
	_, err = federation.GetNode(t.Context(), &federationv1.GetNodeRequest{Name: "nodes/pantelleria"})
	refused(t, err, registryv1.ErrorReason_RESOURCE_NOT_FOUND)

	stats, err := adminv1.NewStoreServiceClient(n.conn).GetStoreStats(t.Context(), &adminv1.GetStoreStatsRequest{})
	must(t, err)
	if stats.GetServerId() != "marsala" || stats.GetRecords()["comuni"] != 1 || stats.GetHeadRevision() != 1 || stats.GetFileBytes() == 0 || len(stats.GetEpoch()) != 32 {
		t.Errorf("stats %v", stats)
	}
}
