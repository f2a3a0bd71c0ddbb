package registry_test

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/federationtest"
	"cidsistem.example/services/registry"
)

// indexed waits until the node's search finds so many services.
func (n *node) indexed(t testing.TB, want int32) {
	t.Helper()
	federationtest.Eventually(t, "the index has all records", func() <-chan struct{} { return closed }, func() bool {
		found, err := n.search.Search(t.Context(), &registryv1.SearchRequest{Kinds: []string{"services"}})
		return err == nil && found.GetTotalSize() == want
	})
}

var closed = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// guarded is a node with a public service, one for operators of the federation,
// and one that never leaves.
func guarded(t testing.TB) *node {
	n := marsala(t, registry.Options{})
	n.create(t, "aperto", func(s *registryv1.Service) {
		s.Title = italian("Trasporto aperto")
		s.TargetGroups = []registryv1.TargetGroup{registryv1.TargetGroup_DISABILITY}
		s.Contacts = []*registryv1.ContactPoint{phone("0923 111111", registryv1.Visibility_PUBLIC), phone("0923 222222", registryv1.Visibility_NETWORK), phone("0923 333333", registryv1.Visibility_LOCAL)}
	})
	n.create(t, "rete", func(s *registryv1.Service) {
		s.Title, s.Visibility = italian("Trasporto rete"), registryv1.Visibility_NETWORK
		s.TargetGroups = []registryv1.TargetGroup{registryv1.TargetGroup_DISABILITY, registryv1.TargetGroup_AUTISM}
		s.RelatedServices = []string{"comuni/marsala/services/aperto"}
	})
	n.create(t, "interno", func(s *registryv1.Service) {
		s.Title, s.Visibility = italian("Trasporto interno"), registryv1.Visibility_LOCAL
		s.TargetGroups = []registryv1.TargetGroup{registryv1.TargetGroup_ADDICTION}
		s.RelatedServices = []string{"comuni/marsala/services/aperto"}
	})
	n.indexed(t, 2)
	return n
}

func TestReadersSeeWhatIsForThem(t *testing.T) {
	n := guarded(t)
	for reader, want := range map[registryv1.Visibility]struct {
		ids      []string
		contacts int
		groups   []string
	}{
		registryv1.Visibility_PUBLIC:  {[]string{"aperto"}, 1, []string{"disability"}},
		registryv1.Visibility_NETWORK: {[]string{"aperto", "rete"}, 2, []string{"autism", "disability"}},
		registryv1.Visibility_LOCAL:   {[]string{"aperto", "interno", "rete"}, 3, []string{"autism", "disability"}},
	} {
		t.Run(reader.String(), func(t *testing.T) {
			ctx := as(t.Context(), reader)
			for _, id := range []string{"aperto", "rete", "interno"} {
				got, err := n.services.GetService(ctx, &registryv1.GetServiceRequest{Name: "comuni/marsala/services/" + id})
				if !slices.Contains(want.ids, id) {
					refused(t, err, registryv1.ErrorReason_RESOURCE_NOT_FOUND)
					continue
				}
				must(t, err)
				if id == "aperto" && len(got.GetContacts()) != want.contacts {
					t.Errorf("contacts %v", got.GetContacts())
				}
			}
			var listed []string
			for token := ""; ; {
				page, err := n.services.ListServices(ctx, &registryv1.ListServicesRequest{Parent: "comuni/marsala", PageSize: 1, PageToken: token})
				must(t, err)
				for _, s := range page.GetServices() {
					listed = append(listed, s.GetName()[len("comuni/marsala/services/"):])
					if len(s.GetContacts()) > want.contacts {
						t.Errorf("a list has the contacts %v", s.GetContacts())
					}
				}
				if token = page.GetNextPageToken(); token == "" {
					break
				}
			}
			if !slices.Equal(listed, want.ids) {
				t.Errorf("lists %v", listed)
			}
			found, err := n.search.Search(ctx, &registryv1.SearchRequest{Q: "trasporto", Kinds: []string{"services"}, Facets: true})
			must(t, err)
			// What is LOCAL is not in the index at all.
			if travelling := min(len(want.ids), 2); int(found.GetTotalSize()) != travelling || len(found.GetHits()) != travelling {
				t.Errorf("finds %d: %v", found.GetTotalSize(), found.GetHits())
			}
			var groups []string
			for _, facet := range found.GetFacets() {
				for _, count := range facet.GetCounts() {
					if facet.GetFacet() == "target_groups" {
						groups = append(groups, count.GetCode())
					}
				}
			}
			if slices.Sort(groups); !slices.Equal(groups, want.groups) {
				t.Errorf("counts the groups %v", groups)
			}
			hidden := []string{"interno", "333333"}
			if reader == registryv1.Visibility_PUBLIC {
				hidden = append(hidden, "rete", "222222")
			}
			for _, word := range hidden {
				if text := protojson.Format(found); strings.Contains(text, word) {
					t.Errorf("the answer tells of %q, which is hidden: %s", word, text)
				}
			}
			suggested, err := n.search.Suggest(ctx, &registryv1.SuggestRequest{Q: "tra"})
			must(t, err)
			if text := protojson.Format(suggested); strings.Contains(text, "interno") || strings.Contains(text, "rete") != (reader != registryv1.Visibility_PUBLIC) {
				t.Errorf("suggests %s", text)
			}
		})
	}
}

// What a caller may not see is not there for them, in errors too.
func TestErrorsTellNothingOfWhatIsHidden(t *testing.T) {
	n := guarded(t)
	plan := n.plan(t, "pz")
	plan.Visibility = registryv1.Visibility_NETWORK
	plan, err := n.plans.UpdatePlan(t.Context(), &registryv1.UpdatePlanRequest{Plan: plan})
	must(t, err)
	public := as(t.Context(), registryv1.Visibility_PUBLIC)
	const rete = "comuni/marsala/services/rete"
	silent := func(err error) {
		t.Helper()
		for _, field := range apierror.Fields(err) {
			if strings.Contains(field.GetDescription(), "interno") {
				t.Errorf("tells of what is hidden: %v", err)
			}
		}
	}

	n.unchanged(t, func() {
		hidden := service()
		hidden.Name = rete
		_, err = n.services.UpdateService(public, &registryv1.UpdateServiceRequest{Service: hidden})
		refused(t, err, registryv1.ErrorReason_RESOURCE_NOT_FOUND)
		_, err = n.services.UpdateService(public, &registryv1.UpdateServiceRequest{Service: hidden, AllowMissing: true})
		refused(t, err, registryv1.ErrorReason_RESOURCE_NOT_FOUND)
		_, err = n.services.DeleteService(public, &registryv1.DeleteServiceRequest{Name: rete, Etag: `"wrong"`})
		refused(t, err, registryv1.ErrorReason_RESOURCE_NOT_FOUND)
		_, err = n.services.UndeleteService(public, &registryv1.UndeleteServiceRequest{Name: rete})
		refused(t, err, registryv1.ErrorReason_RESOURCE_NOT_FOUND)
		gone, err := n.services.DeleteService(public, &registryv1.DeleteServiceRequest{Name: rete, AllowMissing: true})
		must(t, err)
		same(t, gone, &registryv1.Service{Name: rete})

		for reader, want := range map[registryv1.Visibility][]string{
			registryv1.Visibility_PUBLIC:  nil,
			registryv1.Visibility_NETWORK: {rete},
			registryv1.Visibility_LOCAL:   {"comuni/marsala/services/interno", rete},
		} {
			_, err = n.services.DeleteService(as(t.Context(), reader), &registryv1.DeleteServiceRequest{Name: "comuni/marsala/services/aperto"})
			refused(t, err, registryv1.ErrorReason_STILL_REFERRED_TO)
			if got := blockers(err); !slices.Equal(got, want) {
				t.Errorf("%s reads that %v are in the way", reader, got)
			}
			silent(err)
		}

		_, err = n.services.CreateService(public, &registryv1.CreateServiceRequest{Parent: "comuni/marsala", Service: service(func(s *registryv1.Service) { s.RelatedServices = []string{rete} })})
		refused(t, err, registryv1.ErrorReason_DANGLING_REFERENCE, "service.relatedServices[0]")
		_, err = n.actions.CreateAction(public, &registryv1.CreateActionRequest{
			Parent: plan.GetName(), Action: &registryv1.Action{Title: italian("Azione"), State: registryv1.Action_PLANNED},
		})
		refused(t, err, registryv1.ErrorReason_RESOURCE_NOT_FOUND)
	})

	// A reference that is there already does not keep them from changing the rest.
	aperto := n.create(t, "con-rimando", func(s *registryv1.Service) { s.RelatedServices = []string{rete} })
	changed := proto.CloneOf(aperto)
	changed.Summary = italian("nuovo")
	_, err = n.services.UpdateService(public, &registryv1.UpdateServiceRequest{Service: changed})
	must(t, err)
}

// A caller can ask for less than it may see, never for more.
func TestUnknownReadersAreNobody(t *testing.T) {
	n := guarded(t)
	for _, name := range []string{"", "ADMIN", "VISIBILITY_UNSPECIFIED", "3"} {
		page, err := n.services.ListServices(metadata.AppendToOutgoingContext(t.Context(), "cid-reader", name), &registryv1.ListServicesRequest{Parent: "comuni/marsala"})
		must(t, err)
		if got := len(page.GetServices()); got != 1 {
			t.Errorf("reader %q on the local socket sees %d", name, got)
		}
	}
}
