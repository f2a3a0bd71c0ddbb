package search

import (
	"context"
	"errors"
	"fmt"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/blevesearch/bleve/v2"
	"github.com/blevesearch/bleve/v2/index/scorch"
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

// narrowed is what all of the sets have.
func (r records) narrowed(to ...records) records {
	if len(to) == 0 {
		return r
	}
	r = r.clone()
	for _, set := range to {
		r.narrow(set)
	}
	return r
}

// widen adds what is in the other set.
func (r records) widen(by records) {
	for i := range r {
		r[i].Or(by[i])
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

// firstByName lists the first records of a set by name, after leaving some out.
func (s snapshot) firstByName(ctx context.Context, of records, from, size int) ([]ranked, error) {
	if size == 0 {
		return nil, nil
	}
	first, err := s.walk(of, from+size)
	if errors.Is(err, errTooFar) {
		// With nothing to answer, all are equals.
		return s.best(ctx, of, nil, from, size)
	}
	if err != nil {
		return nil, fmt.Errorf("list names: %w", err)
	}
	from = min(from, len(first))
	return first[from:min(from+size, len(first))], nil
}

// errTooFar says that it is faster to sort all names.
var errTooFar = errors.New("too many other names")

// walk goes through the names of all records, which the index has sorted.
func (s snapshot) walk(of records, wanted int) ([]ranked, error) {
	steps := of.count() / 8
	if steps <= wanted {
		return nil, errTooFar
	}
	dict, err := s.FieldDict("_id")
	if err != nil {
		return nil, err
	}
	defer func() { _ = dict.Close() }()
	var first []ranked
	for ; len(first) < wanted; steps-- {
		entry, err := dict.Next()
		if err != nil {
			return nil, err
		}
		if entry == nil {
			break
		}
		if steps == 0 {
			return nil, errTooFar
		}
		for i, part := range s.Segments() {
			numbers, err := part.DocNumbers([]string{entry.Term})
			if err != nil {
				return nil, err
			}
			if numbers.And(of[i]); !numbers.IsEmpty() {
				first = append(first, ranked{segment: i, number: numbers.Minimum(), name: entry.Term})
			}
		}
	}
	return first, nil
}

// newest lists the records of a set that changed last, after leaving some out. It walks through the times of all records, which
// the index has sorted.
func (s snapshot) newest(ctx context.Context, of records, from, size int) ([]ranked, error) {
	wanted := min(from+size, of.count())
	if size == 0 || wanted <= from {
		return nil, nil
	}
	times, err := s.FieldDict(newestField)
	if err != nil {
		return nil, fmt.Errorf("list times: %w", err)
	}
	defer func() { _ = times.Close() }()
	dictionaries := make([]segment.TermDictionary, len(s.Segments()))
	others := make(records, len(dictionaries))
	for i, part := range s.Segments() {
		if dictionaries[i], err = part.Segment().Dictionary(newestField); err != nil {
			return nil, fmt.Errorf("open the times of a segment: %w", err)
		}
		others[i] = roaring.Flip(of[i], 0, uint64(part.FullSize()))
	}
	var found []ranked
	for len(found) < wanted {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		entry, err := times.Next()
		if err != nil {
			return nil, fmt.Errorf("list times: %w", err)
		}
		if entry == nil {
			break
		}
		for i, dictionary := range dictionaries {
			if of[i].IsEmpty() {
				continue
			}
			list, err := dictionary.PostingsList([]byte(entry.Term), others[i], nil)
			if err != nil {
				return nil, fmt.Errorf("read the records of a time: %w", err)
			}
			changed := roaring.New()
			if err := addAll(changed, list.Iterator(false, false, false, nil)); err != nil {
				return nil, fmt.Errorf("read the records of a time: %w", err)
			}
			for _, number := range changed.ToArray() {
				if of[i].Contains(number) {
					found = append(found, ranked{segment: i, number: number})
				}
			}
		}
	}
	from = min(from, len(found))
	return found[from:min(from+size, len(found))], nil
}
