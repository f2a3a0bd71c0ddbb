package search

import (
	"errors"
	"fmt"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/blevesearch/bleve/v2"
	"github.com/blevesearch/bleve/v2/index/scorch"
	"github.com/blevesearch/bleve/v2/search"
	segment "github.com/blevesearch/scorch_segment_api/v2"
)

// snapshot is one state of the index, with its segments in reach: counting by
// bitmaps, which bleve keeps per term and segment, is many times faster than
// its facets, which read every hit.
type snapshot struct{ *scorch.IndexSnapshot }

func snapshotOf(opened bleve.Index) (snapshot, error) {
	inner, err := opened.Advanced()
	if err != nil {
		return snapshot{}, err
	}
	reader, err := inner.Reader()
	if err != nil {
		return snapshot{}, err
	}
	present, ok := reader.(*scorch.IndexSnapshot)
	if !ok {
		return snapshot{}, errors.Join(fmt.Errorf("%T is not the kind of index that this version makes", reader), reader.Close())
	}
	return snapshot{present}, nil
}

// records is a set of living records: for each segment the numbers in it.
type records []*roaring.Bitmap

func (s snapshot) none() records {
	set := make(records, len(s.Segments()))
	for i := range set {
		set[i] = roaring.New()
	}
	return set
}

func (r records) count() (n int) {
	for _, bitmap := range r {
		n += int(bitmap.GetCardinality())
	}
	return n
}

// narrow keeps what is in the other set too.
func (r records) narrow(to records) {
	for i := range r {
		r[i].And(to[i])
	}
}

func (r records) clone() records {
	c := make(records, len(r))
	for i := range r {
		c[i] = r[i].Clone()
	}
	return c
}

// havingAny is the set of the records that have any of the terms in a field.
func (s snapshot) havingAny(field string, terms ...string) (records, error) {
	set := s.none()
	for i, part := range s.Segments() {
		dict, err := part.Segment().Dictionary(field)
		if err != nil {
			return nil, fmt.Errorf("open the words of a segment: %w", err)
		}
		for _, term := range terms {
			list, err := dict.PostingsList([]byte(term), part.Deleted(), nil)
			if err != nil {
				return nil, fmt.Errorf("read the records with %.70q: %w", term, err)
			}
			if err := addAll(set[i], list.Iterator(false, false, false, nil)); err != nil {
				return nil, fmt.Errorf("read the records with %.70q: %w", term, err)
			}
		}
	}
	return set, nil
}

func addAll(to *roaring.Bitmap, from segment.PostingsIterator) error {
	if whole, ok := from.(segment.OptimizablePostingsIterator); ok {
		if bitmap := whole.ActualBitmap(); bitmap != nil {
			to.Or(bitmap)
			return nil
		}
	}
	for {
		posting, err := from.Next()
		if err != nil {
			return err
		}
		if posting == nil {
			return nil
		}
		to.Add(uint32(posting.Number()))
	}
}

// countTerms counts for each term of a field that begins in some way the records
// of a set that have it, segment by segment.
func (s snapshot) countTerms(field, prefix string, in records, f func(term string, n int)) error {
	var start, end []byte
	if prefix != "" {
		start = []byte(prefix)
		end = append([]byte(prefix[:len(prefix)-1]), prefix[len(prefix)-1]+1)
	}
	for i, part := range s.Segments() {
		dict, err := part.Segment().Dictionary(field)
		if err != nil {
			return fmt.Errorf("open the words of a segment: %w", err)
		}
		if in[i].IsEmpty() {
			continue
		}
		others := roaring.Flip(in[i], 0, uint64(part.FullSize()))
		var list segment.PostingsList
		for terms := dict.AutomatonIterator(nil, start, end); ; {
			entry, err := terms.Next()
			if err != nil {
				return fmt.Errorf("read the words of a segment: %w", err)
			}
			if entry == nil {
				break
			}
			if list, err = dict.PostingsList([]byte(entry.Term), others, list); err != nil {
				return fmt.Errorf("read the records with %.70q: %w", entry.Term, err)
			}
			if n := list.Count(); n > 0 {
				f(entry.Term, int(n))
			}
		}
	}
	return nil
}

// recorder notes the records that a search finds. They must be read with Next,
// as bleve's collectors do.
type recorder struct {
	search.Searcher
	found records
	ends  []uint64 // of the numbers of each segment
	at    int
}

func (s snapshot) record(what search.Searcher) *recorder {
	r := &recorder{Searcher: what, found: s.none()}
	end := uint64(0)
	for _, part := range s.Segments() {
		end += uint64(part.FullSize())
		r.ends = append(r.ends, end)
	}
	return r
}

// Next is the next record, noted.
func (r *recorder) Next(ctx *search.SearchContext) (*search.DocumentMatch, error) {
	match, err := r.Searcher.Next(ctx)
	if err != nil || match == nil {
		return nil, err
	}
	number := match.IndexInternalID.Value()
	for number >= r.ends[r.at] {
		r.at++
	}
	if r.at > 0 {
		number -= r.ends[r.at-1]
	}
	r.found[r.at].Add(uint32(number))
	return match, nil
}

// firstNames lists the names of the first records of a set by name, after
// leaving some out.
func (s snapshot) firstNames(of records, from, size int) ([]string, error) {
	names, err := s.walkNames(of, from+size)
	if errors.Is(err, errTooFar) {
		names, err = s.allNames(of)
	}
	if err != nil {
		return nil, fmt.Errorf("list names: %w", err)
	}
	from = min(from, len(names))
	return names[from:min(from+size, len(names))], nil
}

func (s snapshot) allNames(of records) ([]string, error) {
	var names []string
	for i, part := range s.Segments() {
		for numbers := of[i].Iterator(); numbers.HasNext(); {
			name, err := part.DocID(uint64(numbers.Next()))
			if err != nil {
				return nil, err
			}
			names = append(names, string(name))
		}
	}
	slices.Sort(names)
	return names, nil
}

// errTooFar says that it is faster to sort all names.
var errTooFar = errors.New("too many other names")

// walkNames goes through the names of all records, which the index has sorted.
func (s snapshot) walkNames(of records, wanted int) ([]string, error) {
	steps := of.count() / 8
	if steps <= wanted {
		return nil, errTooFar
	}
	dict, err := s.FieldDict("_id")
	if err != nil {
		return nil, err
	}
	defer dict.Close()
	var names []string
	for len(names) < wanted {
		entry, err := dict.Next()
		if err != nil {
			return nil, err
		}
		if entry == nil {
			break
		}
		if steps--; steps == 0 {
			return nil, errTooFar
		}
		in, err := s.contains(of, entry.Term)
		if err != nil {
			return nil, err
		}
		if in {
			names = append(names, entry.Term)
		}
	}
	return names, nil
}

func (s snapshot) contains(set records, name string) (bool, error) {
	for i, part := range s.Segments() {
		numbers, err := part.DocNumbers([]string{name})
		if err != nil {
			return false, err
		}
		if numbers.Intersects(set[i]) {
			return true, nil
		}
	}
	return false, nil
}
