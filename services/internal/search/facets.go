package search

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/blevesearch/bleve/v2/search"

	"cidsistem.example/proto/gen/registryv1"
)

// maxCodes is how many codes of a facet are counted out.
const maxCodes = 50

// facets counts the codes of the hits. The filter of a facet does not narrow
// its own counts, so that one sees what else could be chosen.
func (s *searching) facets() ([]*registryv1.Facet, error) {
	counts, err := s.count("")
	if err != nil {
		return nil, err
	}
	for _, f := range s.filters {
		own, err := s.count(f.facet)
		if err != nil {
			return nil, err
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

// count counts all facets of the hits without the filter of one.
func (s *searching) count(but string) (map[string]map[string]int32, error) {
	counter := &facetCounter{terms: map[string]*int32{}}
	if but != "" {
		counter.prefix = []byte(facetTerm(but, ""))
	}
	if _, err := collect(s.ctx, s.reader, s.query(but), 0, 0, counter); err != nil {
		return nil, fmt.Errorf("count facets: %w", err)
	}
	counts := map[string]map[string]int32{}
	for term, n := range counter.terms {
		facet, code, _ := strings.Cut(term, "=")
		if counts[facet] == nil {
			counts[facet] = map[string]int32{}
		}
		counts[facet][code] = *n
	}
	return counts, nil
}

func highest(counts map[string]int32) []*registryv1.FacetCount {
	list := make([]*registryv1.FacetCount, 0, len(counts))
	for code, n := range counts {
		list = append(list, &registryv1.FacetCount{Code: code, Count: n})
	}
	slices.SortFunc(list, func(a, b *registryv1.FacetCount) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Code, b.Code))
	})
	return list[:min(len(list), maxCodes)]
}

// facetCounter counts the terms of facetField, all facets in one go.
type facetCounter struct {
	prefix []byte // only these; empty: all
	terms  map[string]*int32
}

var _ search.FacetBuilder = (*facetCounter)(nil)

func (c *facetCounter) Field() string { return facetField }
func (c *facetCounter) StartDoc()     {}
func (c *facetCounter) EndDoc()       {}
func (c *facetCounter) Size() int     { return len(c.terms) }

func (c *facetCounter) UpdateVisitor(term []byte) {
	if len(c.prefix) > 0 && !bytes.HasPrefix(term, c.prefix) {
		return
	}
	if n := c.terms[string(term)]; n != nil {
		*n++
		return
	}
	one := int32(1)
	c.terms[string(term)] = &one
}

// Result is not used: the counts are read from terms.
func (c *facetCounter) Result() *search.FacetResult { return &search.FacetResult{Field: facetField} }
