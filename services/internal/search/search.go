package search

import (
	"context"
	"fmt"
	"slices"

	"github.com/blevesearch/bleve/v2/mapping"
	"github.com/blevesearch/bleve/v2/search"
	"github.com/blevesearch/bleve/v2/search/collector"
	"github.com/blevesearch/bleve/v2/search/query"
	index "github.com/blevesearch/bleve_index_api"
	"google.golang.org/protobuf/proto"

	"cidsistem.example/proto/gen/registryv1"
)

// MaxDepth is how many hits deep a search goes.
const MaxDepth = 1000

// maxWords is how many different words of a query count.
const maxWords = 32

// Scope is what a reader may see, and which part of the hits is wanted.
type Scope struct {
	// Comuni by slug; empty: all.
	Comuni []string
	// Visibility of the reader: PUBLIC sees PUBLIC records only, NETWORK those
	// and NETWORK ones, LOCAL all; unspecified is PUBLIC.
	Visibility registryv1.Visibility
	// From is how many hits are left out, Size how many follow at most; what is
	// deeper than MaxDepth is not returned. Size 0: no hits, only the totals.
	From, Size int
}

// Result of a search.
type Result struct {
	// Hits, best first; equals by name.
	Hits []*registryv1.SearchHit
	// Total number of hits.
	Total int
	// Facets, where asked for, in the order of the filters of SearchRequest.
	Facets []*registryv1.Facet
	// AlsoSearched are the synonyms that were searched too.
	AlsoSearched []string
	// Relaxed is true when no record has all the words, and the hits have some.
	Relaxed bool
}

// Search finds the records that have all words of a request, or synonyms of
// them, or words like them. No text makes it fail.
func (x *Index) Search(ctx context.Context, req *registryv1.SearchRequest, scope Scope) (*Result, error) {
	result := &Result{}
	known := x.counts.now()
	err := x.read(func(reader index.IndexReader) error {
		s := &searching{ctx: ctx, reader: reader, scope: scope, filters: filtersOf(req)}
		if err := s.expand(askedIn(req.GetQ())); err != nil {
			return err
		}
		result.AlsoSearched = s.alsoSearched()
		if err := s.run(result); err != nil {
			return err
		}
		if !req.GetFacets() {
			return nil
		}
		var err error
		if len(s.words) > 0 {
			result.Facets, err = s.facets()
		} else {
			result.Facets, err = known.facets(s)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("search: %w", err)
	}
	return result, nil
}

// askedIn lists the different words of a query with what they ask for. Stop
// words do not count unless there are no others.
func askedIn(q string) []asked {
	list := words(q)
	meant := make([][]*meaning, len(list))
	synonyms.find(list, func(s span) {
		for i := s.first; i < s.end; i++ {
			meant[i] = s.asked
		}
	})
	var telling, stop []asked
	for i, w := range list {
		a := asked{text: string(w.folded), last: i == len(list)-1 && len(w.folded) >= 2, meanings: meant[i]}
		to := &telling
		if stopWords[a.text] {
			to = &stop
		}
		same := func(b asked) bool { return b.text == a.text }
		if at := slices.IndexFunc(*to, same); at >= 0 {
			(*to)[at].last = (*to)[at].last || a.last
			(*to)[at].meanings = append(slices.Clip((*to)[at].meanings), a.meanings...)
		} else if len(*to) < maxWords {
			*to = append(*to, a)
		}
	}
	if len(telling) == 0 {
		return stop
	}
	return telling
}

// searching is one search under way, over one snapshot of the index.
type searching struct {
	ctx     context.Context
	reader  index.IndexReader
	scope   Scope
	filters []filter
	words   []*expanded
	relaxed bool
}

func (s *searching) expand(list []asked) error {
	for _, a := range list {
		e, err := expand(s.reader, textField, a, toleranceOf(a.text))
		if err != nil {
			return err
		}
		s.words = append(s.words, e)
	}
	return nil
}

// alsoSearched lists the words of the meanings that the query asks for, without
// those that it has.
func (s *searching) alsoSearched() []string {
	given := map[string]bool{}
	for _, w := range s.words {
		given[root(w.text)] = true
	}
	var also []string
	for _, w := range s.words {
		for _, m := range w.meanings {
			for _, entry := range m.words {
				if !slices.Contains(also, entry) && !allGiven(entry, given) {
					also = append(also, entry)
				}
			}
		}
	}
	return also
}

func allGiven(entry string, given map[string]bool) bool {
	for _, w := range words(entry) {
		if folded := string(w.folded); !given[root(folded)] && !stopWords[folded] {
			return false
		}
	}
	return true
}

// run fills in hits and total: of the records with all words, or where there
// are none, of those with some.
func (s *searching) run(result *Result) error {
	matches, err := s.top()
	if err != nil {
		return err
	}
	if matches.Total() == 0 && len(s.words) > 1 {
		s.relaxed = true
		if matches, err = s.top(); err != nil {
			return err
		}
		s.relaxed = matches.Total() > 0
	}
	result.Total, result.Relaxed = int(matches.Total()), s.relaxed
	for _, match := range matches.Results() {
		found, err := load(s.reader, match.ID)
		if err != nil {
			return err
		}
		found.hit.Score = match.Score
		found.hit.Snippet = snippet(found, s.words)
		result.Hits = append(result.Hits, found.hit)
	}
	return nil
}

func (s *searching) top() (*collector.TopNCollector, error) {
	from := min(max(s.scope.From, 0), MaxDepth)
	size := min(max(s.scope.Size, 0), MaxDepth-from)
	return collect(s.ctx, s.reader, s.query(""), size, from, nil)
}

// byScore is the order of hits; names make it the same on every page.
var byScore = search.SortOrder{&search.SortScore{Desc: true}, &search.SortDocID{}}

func collect(ctx context.Context, reader index.IndexReader, q query.Query, size, from int, facet search.FacetBuilder) (*collector.TopNCollector, error) {
	options := search.SearcherOptions{}
	order := byScore
	if size == 0 {
		options.Score, order = "none", search.SortOrder{}
	}
	searcher, err := q.Searcher(ctx, reader, noMapping, options)
	if err != nil {
		return nil, err
	}
	defer searcher.Close()
	top := collector.NewTopNCollector(size, from, order)
	if facet != nil {
		builder := search.NewFacetsBuilder(reader)
		builder.Add(facet.Field(), facet)
		top.SetFacetsBuilder(builder)
	}
	if err := top.Collect(ctx, searcher, reader); err != nil {
		return nil, err
	}
	return top, nil
}

// noMapping is what bleve wants where fields and terms are given already.
var noMapping = mapping.NewIndexMapping()

// query is for the records that match, all filters considered but that of one
// facet.
func (s *searching) query(but string) query.Query {
	parts := []query.Query{narrowed(s.scope, s.filters, but)}
	var found []query.Query
	for _, w := range s.words {
		found = append(found, wordQuery{textField, w})
	}
	if s.relaxed {
		parts = append(parts, query.NewDisjunctionQuery(found))
	} else {
		parts = append(parts, found...)
	}
	return query.NewConjunctionQuery(parts)
}

// found is a record that was found, as the index has it.
type found struct {
	hit      *registryv1.SearchHit
	keywords []string
	passages []string
}

func load(reader index.IndexReader, name string) (*found, error) {
	stored, err := reader.Document(name)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if stored == nil {
		return nil, fmt.Errorf("read %s: not in the index", name)
	}
	f := &found{hit: &registryv1.SearchHit{}}
	stored.VisitFields(func(field index.Field) {
		switch field.Name() {
		case hitField:
			err = proto.Unmarshal(field.Value(), f.hit)
		case keywordField:
			f.keywords = append(f.keywords, string(field.Value()))
		case passageField:
			f.passages = append(f.passages, string(field.Value()))
		}
	})
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return f, nil
}
