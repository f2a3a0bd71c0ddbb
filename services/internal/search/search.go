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
	err := x.read(func(index snapshot) error {
		s := &searching{ctx: ctx, index: index, scope: scope, filters: filtersOf(req), counting: req.GetFacets()}
		if err := s.expand(askedIn(req.GetQ())); err != nil {
			return err
		}
		result.AlsoSearched = s.alsoSearched()
		if len(s.words) == 0 {
			return s.browse(result)
		}
		return s.find(result)
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

// searching is one search under way, over one state of the index.
type searching struct {
	ctx      context.Context
	index    snapshot
	scope    Scope
	filters  []filter
	counting bool // facets are wanted
	words    []*expanded
	relaxed  bool
}

func (s *searching) expand(list []asked) error {
	for _, a := range list {
		e, err := expand(s.index, textField, a, toleranceOf(a.text))
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

// browse fills in the result of a search without words: all that is in the
// scope and passes the filters, by name.
func (s *searching) browse(result *Result) error {
	unfiltered, err := s.scope.records(s.index)
	if err != nil {
		return err
	}
	hits, err := s.filtered()
	if err != nil {
		return err
	}
	result.Total = hits.count()
	if s.counting {
		if result.Facets, err = s.facets(unfiltered); err != nil {
			return err
		}
	}
	from, size := s.scope.page()
	names, err := s.index.firstNames(hits, from, size)
	if err != nil {
		return err
	}
	for _, name := range names {
		f, err := load(s.index, name)
		if err != nil {
			return err
		}
		result.Hits = append(result.Hits, f.hit)
	}
	return nil
}

// filtered are the records of the scope that pass the filters.
func (s *searching) filtered() (records, error) {
	set, err := s.scope.records(s.index)
	if err != nil {
		return nil, err
	}
	for _, f := range s.filters {
		passing, err := s.index.havingAny(facetField, f.terms()...)
		if err != nil {
			return nil, err
		}
		set.narrow(passing)
	}
	return set, nil
}

// find fills in the result of a search with words: the records with all words,
// or where there are none, those with some.
func (s *searching) find(result *Result) error {
	top, found, err := s.top()
	if err != nil {
		return err
	}
	if top.Total() == 0 && len(s.words) > 1 {
		s.relaxed = true
		if top, found, err = s.top(); err != nil {
			return err
		}
	}
	result.Total, result.Relaxed = int(top.Total()), s.relaxed && top.Total() > 0
	for _, match := range top.Results() {
		f, err := load(s.index, match.ID)
		if err != nil {
			return err
		}
		f.hit.Score = match.Score
		f.hit.Snippet = snippet(f, s.words)
		result.Hits = append(result.Hits, f.hit)
	}
	if !s.counting {
		return nil
	}
	if len(s.filters) > 0 {
		if _, found, err = collect(s.ctx, s.index, s.query(nil), 0, 0); err != nil {
			return err
		}
	}
	result.Facets, err = s.facets(found)
	return err
}

// page is what is wanted of the hits, within the depth.
func (s Scope) page() (from, size int) {
	from = min(max(s.From, 0), MaxDepth)
	return from, min(max(s.Size, 0), MaxDepth-from)
}

func (s *searching) top() (*collector.TopNCollector, records, error) {
	from, size := s.scope.page()
	return collect(s.ctx, s.index, s.query(s.filters), from, size)
}

// byScore is the order of hits; names make it the same on every page.
var byScore = search.SortOrder{&search.SortScore{Desc: true}, &search.SortDocID{}}

// collect runs a query: the hits from one on in the right order, and the set of
// all.
func collect(ctx context.Context, index snapshot, q query.Query, from, size int) (*collector.TopNCollector, records, error) {
	options := search.SearcherOptions{}
	order := byScore
	if size == 0 {
		options.Score, order = "none", search.SortOrder{}
	}
	searcher, err := q.Searcher(ctx, index, noMapping, options)
	if err != nil {
		return nil, nil, err
	}
	defer searcher.Close()
	recorder := index.record(searcher)
	top := collector.NewTopNCollector(size, from, order)
	if err := top.Collect(ctx, recorder, index); err != nil {
		return nil, nil, err
	}
	return top, recorder.found, nil
}

// noMapping is what bleve wants where fields and terms are given already.
var noMapping = mapping.NewIndexMapping()

// query is for the records that match and pass the filters.
func (s *searching) query(filters []filter) query.Query {
	parts := []query.Query{s.scope.query(filters)}
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

func load(in snapshot, name string) (*found, error) {
	stored, err := in.Document(name)
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
