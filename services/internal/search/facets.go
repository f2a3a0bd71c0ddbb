package search

import (
	"cmp"
	"fmt"
	"slices"

	"cidsistem.example/proto/gen/registryv1"
)

// maxCodes is how many codes of a facet are counted out.
const maxCodes = 50

// facets counts the codes of the hits, given the hits without the filters and
// what each filter lets through. The filter of a facet does not narrow its own counts, so that one sees what else
// could be chosen.
func (s *searching) facets(unfiltered records, passing []records) ([]*registryv1.Facet, error) {
	counts, err := s.count(unfiltered, passing, "")
	if err != nil {
		return nil, fmt.Errorf("count facets: %w", err)
	}
	for i, f := range s.filters {
		others := slices.Delete(slices.Clone(passing), i, i+1)
		own, err := s.count(unfiltered, others, f.facet)
		if err != nil {
			return nil, fmt.Errorf("count facets: %w", err)
		}
		counts[f.facet] = own[f.facet]
	}
	var facets []*registryv1.Facet
	for _, name := range facetNames {
		if len(counts[name]) > 0 {
			facets = append(facets, &registryv1.Facet{Facet: name, Counts: highest(counts[name])})
		}
	}
	return facets, nil
}

// count counts the codes by facet, of one facet or of all.
func (s *searching) count(unfiltered records, filters []records, only string) (map[string]map[string]int, error) {
	hits := unfiltered.narrowed(filters...)
	counts := map[string]map[string]int{}
	err := s.index.countTerms(facetField, facetTerm(only, ""), hits, func(term string, n int) {
		facet, code := splitFacetTerm(term)
		if counts[facet] == nil {
			counts[facet] = map[string]int{}
		}
		counts[facet][code] += n
	})
	return counts, err
}

func highest(counts map[string]int) []*registryv1.FacetCount {
	list := make([]*registryv1.FacetCount, 0, len(counts))
	for code, n := range counts {
		list = append(list, &registryv1.FacetCount{Code: code, Count: int32(n)})
	}
	slices.SortFunc(list, func(a, b *registryv1.FacetCount) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Code, b.Code))
	})
	return list[:min(len(list), maxCodes)]
}
