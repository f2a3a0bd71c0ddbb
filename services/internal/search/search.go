package search

import (
	"context"
	"errors"
	"fmt"
	"slices"

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
	// Hits, in the order of the request: best first, equals by name, or newest first.
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
		s := &searching{ctx: ctx, index: index, scope: scope, filters: filtersOf(req), counting: req.GetFacets(), order: req.GetOrder()}
		if err := s.expand(askedIn(req.GetQ())); err != nil {
			return err
		}
		result.AlsoSearched = s.alsoSearched()
		return s.run(result)
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
	synonyms.eachAsked(list, func(s span) {
		for i := s.first; i < s.end; i++ {
			meant[i] = s.meanings
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
	order    registryv1.SearchRequest_Order
	words    []*sought
}

func (s *searching) expand(list []asked) error {
	for _, a := range list {
		if err := s.ctx.Err(); err != nil {
			return err
		}
		e, err := s.index.expand(textField, a, toleranceOf(a.text))
		if err != nil {
			return err
		}
		w, err := s.index.seek(textField, e)
		if err != nil {
			return err
		}
		s.words = append(s.words, w)
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

// run fills in hits, total and facets: of the records with all words, or where
// there are none, of those with some.
func (s *searching) run(result *Result) error {
	visible, err := s.index.inScope(s.scope)
	if err != nil {
		return err
	}
	passing := make([]records, len(s.filters))
	for i, f := range s.filters {
		if passing[i], err = s.index.passing(f); err != nil {
			return err
		}
	}
	unfiltered := s.withAll(visible)
	hits := unfiltered.narrowed(passing...)
	if hits.count() == 0 && len(s.words) > 1 {
		unfiltered = s.withSome(visible)
		hits = unfiltered.narrowed(passing...)
		result.Relaxed = hits.count() > 0
	}
	result.Total = hits.count()
	if s.counting {
		if result.Facets, err = s.facets(unfiltered, passing); err != nil {
			return err
		}
	}
	return s.show(hits, result)
}

// withAll are the records of a set that answer all words.
func (s *searching) withAll(set records) records {
	set = set.clone()
	for _, w := range s.words {
		set.narrow(w.in)
	}
	return set
}

// withSome are the records of a set that answer some of the words.
func (s *searching) withSome(set records) records {
	some := s.index.none()
	for _, w := range s.words {
		some.widen(w.in)
	}
	return some.narrowed(set)
}

// show adds the hits that are wanted, in the order that is wanted.
func (s *searching) show(hits records, result *Result) error {
	from := min(max(s.scope.From, 0), MaxDepth)
	size := min(max(s.scope.Size, 0), MaxDepth-from)
	var page []ranked
	var err error
	switch {
	case s.order == registryv1.SearchRequest_NEWEST_FIRST:
		page, err = s.index.newest(s.ctx, hits, from, size)
	case len(s.words) == 0:
		page, err = s.index.firstByName(s.ctx, hits, from, size)
	default:
		page, err = s.index.best(s.ctx, hits, s.words, from, size)
	}
	if err != nil {
		return err
	}
	for _, r := range page {
		f, err := s.index.load(r)
		if err != nil {
			return err
		}
		f.hit.Score = r.score
		f.hit.Snippet = snippet(f, s.words)
		result.Hits = append(result.Hits, f.hit)
	}
	return nil
}

// found is a record that was found, as the index has it.
type found struct {
	hit      *registryv1.SearchHit
	keywords []string
	passages []string
}

func (s snapshot) load(r ranked) (*found, error) {
	f := &found{hit: &registryv1.SearchHit{}}
	var damaged error
	err := s.Segments()[r.segment].VisitDocument(uint64(r.number), func(field string, _ byte, value []byte, _ []uint64) bool {
		switch field {
		case hitField:
			damaged = proto.Unmarshal(value, f.hit)
		case keywordField:
			f.keywords = append(f.keywords, string(value))
		case passageField:
			f.passages = append(f.passages, string(value))
		}
		return true
	})
	if err := errors.Join(err, damaged); err != nil {
		return nil, fmt.Errorf("read %s: %w", r.name, err)
	}
	return f, nil
}
