package ufficiocomune_test

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"

	"cidsistem.example/proto/gen/registryv1"
)

// The office shows each reader what is for them, whether it answers from its
// copies or asks the owners.
func TestReadersOfTheOffice(t *testing.T) {
	f := start(t)
	conn := f.nodes[marsala].Conn(t)
	phone := func(value string, v registryv1.Visibility) *registryv1.ContactPoint {
		return &registryv1.ContactPoint{Kind: registryv1.ContactPoint_PHONE, Value: value, Visibility: v}
	}
	hide := func(title string, v registryv1.Visibility, group registryv1.TargetGroup) func(*registryv1.Service) {
		return func(s *registryv1.Service) {
			s.Title, s.Visibility, s.TargetGroups = italian("Trasporto "+title), v, []registryv1.TargetGroup{group}
			s.Contacts = []*registryv1.ContactPoint{phone("0923 111111", registryv1.Visibility_PUBLIC), phone("0923 222222", registryv1.Visibility_NETWORK), phone("0923 333333", registryv1.Visibility_LOCAL)}
		}
	}
	create(t, conn, marsala, "aperto", hide("aperto", registryv1.Visibility_PUBLIC, registryv1.TargetGroup_DISABILITY))
	create(t, conn, marsala, "riservato", hide("riservato", registryv1.Visibility_NETWORK, registryv1.TargetGroup_AUTISM))
	create(t, conn, marsala, "interno", hide("interno", registryv1.Visibility_LOCAL, registryv1.TargetGroup_ADDICTION))
	f.synced(t, f.nodes[marsala])
	if !strings.Contains(protojson.Format(f.listed(t, registryv1.Visibility_NETWORK, whatever)), "riservato") {
		t.Fatal("the copy has nothing to hide")
	}
	for reader, want := range map[registryv1.Visibility][]string{
		registryv1.Visibility_PUBLIC:  {"aperto"},
		registryv1.Visibility_NETWORK: {"aperto", "riservato"},
	} {
		hidden := []string{"interno", "333333", "addiction"}
		if reader == registryv1.Visibility_PUBLIC {
			hidden = append(hidden, "riservato", "222222", "autism")
		}
		ctx := as(t.Context(), reader)
		for _, preference := range []registryv1.ReadPreference{whatever, liveOnly, preferLive, copyOnly} {
			t.Run(reader.String()+" "+preference.String(), func(t *testing.T) {
				for _, id := range []string{"aperto", "riservato", "interno"} {
					_, err := f.services.GetService(ctx, &registryv1.GetServiceRequest{Name: "comuni/marsala/services/" + id, ReadPreference: preference})
					if slices.Contains(want, id) {
						must(t, err)
						continue
					}
					refused(t, err, registryv1.ErrorReason_RESOURCE_NOT_FOUND)
				}
				got, err := f.services.GetService(ctx, &registryv1.GetServiceRequest{Name: "comuni/marsala/services/aperto", ReadPreference: preference})
				must(t, err)
				found, err := f.search.Search(ctx, &registryv1.SearchRequest{Q: "trasporto", Kinds: []string{"services"}, Facets: true, ReadPreference: preference})
				must(t, err)
				suggested, err := f.search.Suggest(ctx, &registryv1.SuggestRequest{Q: "trasp"})
				must(t, err)
				list := f.listed(t, reader, preference)
				if len(list.GetServices()) != len(want) || int(found.GetTotalSize()) != len(want) {
					t.Errorf("%d listed, %d found", len(list.GetServices()), found.GetTotalSize())
				}
				for what, text := range map[string]string{
					"a record": protojson.Format(got), "a list": protojson.Format(list), "a search": protojson.Format(found), "suggestions": protojson.Format(suggested),
				} {
					for _, word := range hidden {
						if strings.Contains(text, word) {
							t.Errorf("%s tells of %q: %s", what, word, text)
						}
					}
				}
			})
		}
	}
}

func (f *federation) listed(t testing.TB, reader registryv1.Visibility, preference registryv1.ReadPreference) *registryv1.ListServicesResponse {
	t.Helper()
	list, err := f.services.ListServices(as(t.Context(), reader), &registryv1.ListServicesRequest{Parent: "comuni/-", ReadPreference: preference, PageSize: 100})
	must(t, err)
	return list
}
