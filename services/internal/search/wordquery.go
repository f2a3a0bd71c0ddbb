package search

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/blevesearch/bleve/v2/mapping"
	"github.com/blevesearch/bleve/v2/search"
	"github.com/blevesearch/bleve/v2/search/query"
	index "github.com/blevesearch/bleve_index_api"
)

// wordQuery finds the records that answer one word of the query by any of its
// terms or meanings, and scores each by the best of them.
type wordQuery struct {
	field string
	word  *expanded
}

var _ query.Query = wordQuery{}

// Searcher opens the postings of all terms.
func (q wordQuery) Searcher(ctx context.Context, reader index.IndexReader, _ mapping.IndexMapping, _ search.SearcherOptions) (search.Searcher, error) {
	s := &wordSearcher{}
	records, err := reader.DocCount()
	if err != nil {
		return nil, fmt.Errorf("count the records: %w", err)
	}
	var having, havingLike uint64
	for term, g := range q.word.terms {
		p, err := s.open(ctx, reader, q.field, term, g)
		if err != nil {
			return nil, errors.Join(err, s.Close())
		}
		if g == exact || g == sameRoot {
			having += p.reader.Count()
		} else {
			havingLike += p.reader.Count()
		}
	}
	for _, m := range q.word.meanings {
		if _, err := s.open(ctx, reader, meaningField, m.id(), synonym); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	if having == 0 {
		having = havingLike
	}
	s.rarity = rarity(records, having)
	return s, nil
}

// rarity weighs a word of the query, between 0.3 for a word that every record
// has and 1 for one that hardly any has.
func rarity(records, having uint64) float64 {
	n := float64(records)
	return 0.3 + 0.7*min(1, math.Log1p(n/(1+float64(having)))/math.Log1p(n))
}

// wordSearcher merges postings: a heap of those that have a next record, the
// one with the first record on top.
type wordSearcher struct {
	rarity   float64
	count    uint64
	fresh    []*postings // not read yet
	heap     postingsHeap
	finished []*postings
}

type postings struct {
	reader index.TermFieldReader
	grade  grade
	at     index.TermFieldDoc
	record uint64
}

// halfway is the weight at which a term reaches half of its span.
const halfway = 4

func (p *postings) score(rarity float64) float64 {
	weight := float64(p.at.Freq)
	return p.grade.level + rarity*(p.grade.base+p.grade.span*weight/(weight+halfway))
}

func (s *wordSearcher) open(ctx context.Context, reader index.IndexReader, field, term string, g grade) (*postings, error) {
	terms, err := reader.TermFieldReader(ctx, []byte(term), field, true, false, false)
	if err != nil {
		return nil, fmt.Errorf("read the records with %.70q: %w", term, err)
	}
	p := &postings{reader: terms, grade: g}
	s.fresh = append(s.fresh, p)
	s.count += terms.Count()
	return p, nil
}

// Next is the next record by internal number.
func (s *wordSearcher) Next(ctx *search.SearchContext) (*search.DocumentMatch, error) {
	if err := s.start(func(p *postings) (*index.TermFieldDoc, error) { return p.reader.Next(p.at.Reset()) }); err != nil {
		return nil, err
	}
	return s.match(ctx)
}

// Advance is the first record at or after a number.
func (s *wordSearcher) Advance(ctx *search.SearchContext, id index.IndexInternalID) (*search.DocumentMatch, error) {
	advance := func(p *postings) (*index.TermFieldDoc, error) { return p.reader.Advance(id, p.at.Reset()) }
	if err := s.start(advance); err != nil {
		return nil, err
	}
	for to := id.Value(); len(s.heap) > 0 && s.heap[0].record < to; {
		if err := s.moveTop(advance); err != nil {
			return nil, err
		}
	}
	return s.match(ctx)
}

func (s *wordSearcher) start(first func(*postings) (*index.TermFieldDoc, error)) error {
	for len(s.fresh) > 0 {
		p := s.fresh[len(s.fresh)-1]
		s.fresh = s.fresh[:len(s.fresh)-1]
		s.finished = append(s.finished, p)
		found, err := first(p)
		if err != nil {
			return err
		}
		if found != nil {
			p.record = found.ID.Value()
			s.finished = s.finished[:len(s.finished)-1]
			heap.Push(&s.heap, p)
		}
	}
	return nil
}

func (s *wordSearcher) moveTop(next func(*postings) (*index.TermFieldDoc, error)) error {
	p := s.heap[0]
	found, err := next(p)
	if err != nil {
		return err
	}
	if found == nil {
		s.finished = append(s.finished, heap.Pop(&s.heap).(*postings))
		return nil
	}
	p.record = found.ID.Value()
	heap.Fix(&s.heap, 0)
	return nil
}

// match takes the record on top with its best score, and moves on.
func (s *wordSearcher) match(ctx *search.SearchContext) (*search.DocumentMatch, error) {
	if len(s.heap) == 0 {
		return nil, nil
	}
	record := s.heap[0].record
	match := ctx.DocumentMatchPool.Get()
	match.IndexInternalID = index.NewIndexInternalIDFrom(match.IndexInternalID, s.heap[0].at.ID)
	for len(s.heap) > 0 && s.heap[0].record == record {
		p := s.heap[0]
		match.Score = max(match.Score, p.score(s.rarity))
		err := s.moveTop(func(p *postings) (*index.TermFieldDoc, error) { return p.reader.Next(p.at.Reset()) })
		if err != nil {
			return nil, err
		}
	}
	return match, nil
}

// Close lets the postings go.
func (s *wordSearcher) Close() error {
	var failed []error
	for _, list := range [][]*postings{s.fresh, s.heap, s.finished} {
		for _, p := range list {
			failed = append(failed, p.reader.Close())
		}
	}
	s.fresh, s.heap, s.finished = nil, nil, nil
	return errors.Join(failed...)
}

// The scores of words stand for themselves: bleve's norms do not apply.

func (s *wordSearcher) Weight() float64            { return 1 }
func (s *wordSearcher) SetQueryNorm(float64)       {}
func (s *wordSearcher) Count() uint64              { return s.count }
func (s *wordSearcher) Min() int                   { return 0 }
func (s *wordSearcher) Size() int                  { return len(s.fresh) + len(s.heap) + len(s.finished) }
func (s *wordSearcher) DocumentMatchPoolSize() int { return 1 }

type postingsHeap []*postings

func (h postingsHeap) Len() int           { return len(h) }
func (h postingsHeap) Less(i, j int) bool { return h[i].record < h[j].record }
func (h postingsHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *postingsHeap) Push(p any)        { *h = append(*h, p.(*postings)) }
func (h *postingsHeap) Pop() any {
	last := len(*h) - 1
	p := (*h)[last]
	*h = (*h)[:last]
	return p
}
