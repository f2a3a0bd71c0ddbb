package ufficiocomune_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"cidsistem.example/proto/gen/registryv1"
)

// A search of copies and owners together is the search of all.
func TestSearchOfCopiesAndOwners(t *testing.T) {
	f := start(t)
	for i, comune := range []string{marsala, mazara, pantelleria} {
		conn := f.nodes[comune].Conn(t)
		for j := range 5 + 5*i {
			create(t, conn, comune, fmt.Sprintf("s-%02d", j), func(s *registryv1.Service) {
				s.TargetGroups = []registryv1.TargetGroup{registryv1.TargetGroup_DISABILITY}
				if j%2 == 0 {
					s.TargetGroups = append(s.TargetGroups, registryv1.TargetGroup_ELDERLY)
				}
			})
		}
		f.synced(t, f.nodes[comune])
	}
	for _, test := range []struct {
		name       string
		preference registryv1.ReadPreference
		away       string
		want       map[string]string
	}{
		{"copies", copyOnly, "", map[string]string{marsala: "current", mazara: "current", pantelleria: "current"}},
		{"owners", liveOnly, "", map[string]string{marsala: "live", mazara: "live", pantelleria: "live"}},
		{"both", preferLive, mazara, map[string]string{marsala: "live", mazara: "stale", pantelleria: "live"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.away != "" {
				f.away(t, test.away)
			}
			for _, size := range []int32{4, 7, 100} {
				var names []string
				for token := ""; ; {
					page, err := f.search.Search(t.Context(), &registryv1.SearchRequest{
						Q: "trasporto", Kinds: []string{"services"}, Facets: true, PageSize: size, PageToken: token, ReadPreference: test.preference,
					})
					must(t, err)
					if page.GetTotalSize() != 30 || !maps.Equal(stands(page.GetCoverage()), test.want) || len(page.GetHits()) > int(size) {
						t.Errorf("a page of %d: %d hits of %d, %v", size, len(page.GetHits()), page.GetTotalSize(), stands(page.GetCoverage()))
					}
					for _, facet := range page.GetFacets() {
						if facet.GetFacet() != "target_groups" {
							continue
						}
						counts := map[string]int32{}
						for _, c := range facet.GetCounts() {
							counts[c.GetCode()] = c.GetCount()
						}
						if !maps.Equal(counts, map[string]int32{"disability": 30, "elderly": 16}) {
							t.Errorf("counts %v", counts)
						}
					}
					for _, hit := range page.GetHits() {
						names = append(names, hit.GetName())
					}
					if token = page.GetNextPageToken(); token == "" {
						break
					}
				}
				slices.Sort(names)
				if len(names) != 30 || len(slices.Compact(names)) != 30 {
					t.Errorf("in pages of %d: %d hits, %d of them different", size, len(names), len(slices.Compact(names)))
				}
			}
		})
	}
	only, err := f.search.Search(t.Context(), &registryv1.SearchRequest{Comuni: []string{pantelleria}, Kinds: []string{"services"}, ReadPreference: liveOnly})
	must(t, err)
	if only.GetTotalSize() != 15 || !maps.Equal(stands(only.GetCoverage()), map[string]string{pantelleria: "live"}) {
		t.Errorf("of one comune: %d, %v", only.GetTotalSize(), stands(only.GetCoverage()))
	}
}
