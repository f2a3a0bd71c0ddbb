package search

import (
	"cmp"
	"container/heap"
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"
	segment "github.com/blevesearch/scorch_segment_api/v2"
)

// A ranked record is one that was found: its place in the index, and how well it
// answers the query.
type ranked struct {
	segment int
	number  uint32
	score   float64
	name    string
}

// A sought word is an expanded word with the records that answer it.
type sought struct {
	*expanded
	field  string
	in     records
	rarity float64
}

// seek finds the records that answer a word by any of its terms and meanings.
func (s snapshot) seek(field string, e *expanded) (*sought, error) {
	w := &sought{expanded: e, field: field}
	var plain, other []string
	for term, g := range e.terms {
		if g == exact || g == sameRoot {
			plain = append(plain, term)
		} else {
			other = append(other, term)
		}
	}
	var err error
	if w.in, err = s.havingAny(field, plain...); err != nil {
		return nil, err
	}
	having := w.in.count()
	more, err := s.havingAny(field, other...)
	if err != nil {
		return nil, err
	}
	w.in.widen(more)
	if having == 0 {
		having = w.in.count()
	}
	all, err := s.DocCount()
	if err != nil {
		return nil, fmt.Errorf("count the records: %w", err)
	}
	w.rarity = rarity(float64(all), float64(having))
	var meant []string
	for _, m := range e.meanings {
		meant = append(meant, m.id())
	}
	if more, err = s.havingAny(meaningField, meant...); err != nil {
		return nil, err
	}
	w.in.widen(more)
	return w, nil
}

// rarity weighs a word of the query, between 0.3 for a word that every record
// has and 1 for one that hardly any has.
func rarity(records, having float64) float64 {
	return 0.3 + 0.7*math.Log1p(records/(1+having))/math.Log1p(max(records, 1))
}

// halfway is the weight at which a term reaches half of its span.
const halfway = 4

func (g grade) score(weight, rarity float64) float64 {
	return g.level + rarity*(g.base+g.span*weight/(weight+halfway))
}

// best lists the records of a set that answer the words best, after leaving
// some out; equals by name.
func (s snapshot) best(ctx context.Context, hits records, words []*sought, from, size int) ([]ranked, error) {
	if size == 0 {
		return nil, nil
	}
	var all []ranked
	for i := range hits {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		numbers := hits[i].ToArray()
		scores := make([]float64, len(numbers))
		for _, w := range words {
			if err := s.score(i, hits[i], numbers, w, scores); err != nil {
				return nil, err
			}
		}
		for k, number := range numbers {
			all = append(all, ranked{segment: i, number: number, score: scores[k]})
		}
	}
	least := leastOfBest(all, from+size)
	all = slices.DeleteFunc(all, func(r ranked) bool { return r.score < least })
	for i := range all {
		name, err := s.Segments()[all[i].segment].DocID(uint64(all[i].number))
		if err != nil {
			return nil, fmt.Errorf("read the name of a record: %w", err)
		}
		all[i].name = string(name)
	}
	slices.SortFunc(all, func(a, b ranked) int {
		return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(a.name, b.name))
	})
	from = min(from, len(all))
	return all[from:min(from+size, len(all))], nil
}

// score adds to the scores of the hits of a segment those for a word: that of
// the best term each record has.
func (s snapshot) score(segmentIndex int, hits *roaring.Bitmap, numbers []uint32, w *sought, scores []float64) error {
	if len(numbers) == 0 {
		return nil
	}
	part := s.Segments()[segmentIndex]
	others := roaring.Flip(hits, 0, uint64(part.FullSize()))
	best := make([]float64, len(numbers))
	take := func(dict segment.TermDictionary, term string, g grade) error {
		list, err := dict.PostingsList([]byte(term), others, nil)
		if err != nil {
			return fmt.Errorf("read the records with %.70q: %w", term, err)
		}
		at := 0
		for postings := list.Iterator(true, false, false, nil); ; {
			posting, err := postings.Next()
			if err != nil {
				return fmt.Errorf("read the records with %.70q: %w", term, err)
			}
			if posting == nil {
				return nil
			}
			for uint64(numbers[at]) < posting.Number() {
				at++
			}
			best[at] = max(best[at], g.score(float64(posting.Frequency()), w.rarity))
		}
	}
	dict, err := part.Segment().Dictionary(w.field)
	if err != nil {
		return fmt.Errorf("open the words of a segment: %w", err)
	}
	for term, g := range w.terms {
		if err := take(dict, term, g); err != nil {
			return err
		}
	}
	if len(w.meanings) > 0 {
		if dict, err = part.Segment().Dictionary(meaningField); err != nil {
			return fmt.Errorf("open the words of a segment: %w", err)
		}
		for _, m := range w.meanings {
			if err := take(dict, m.id(), synonym); err != nil {
				return err
			}
		}
	}
	for k := range scores {
		scores[k] += best[k]
	}
	return nil
}

// leastOfBest is the score that the n best records have at least.
func leastOfBest(all []ranked, n int) float64 {
	var best lowestFirst
	for _, r := range all {
		switch {
		case len(best) < n:
			heap.Push(&best, r.score)
		case r.score > best[0]:
			best[0] = r.score
			heap.Fix(&best, 0)
		}
	}
	if len(best) == 0 {
		return 0
	}
	return best[0]
}

type lowestFirst []float64

func (h lowestFirst) Len() int           { return len(h) }
func (h lowestFirst) Less(i, j int) bool { return h[i] < h[j] }
func (h lowestFirst) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *lowestFirst) Push(x any)        { *h = append(*h, x.(float64)) }
func (h *lowestFirst) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}
