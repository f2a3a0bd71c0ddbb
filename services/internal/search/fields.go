package search

import (
	index "github.com/blevesearch/bleve_index_api"

	"cidsistem.example/proto/gen/annotationsv1"
)

// A word counts once for each role in which it occurs, in the text up to
// bodyTimes; so a word in the title always beats one in the text, however often.
const bodyTimes = 3

var roleWeight = [...]int{
	annotationsv1.SearchRole_TITLE:   24,
	annotationsv1.SearchRole_KEYWORD: 12,
	annotationsv1.SearchRole_SUMMARY: 6,
	annotationsv1.SearchRole_BODY:    1,
}

// weights counts the words of a record by the roles in which they occur.
type weights struct {
	at    map[string]int // in words
	words []occurrence
}

type occurrence struct {
	word   string
	weight int
	roles  uint8 // bit set
	body   uint8
}

func newWeights(size int) *weights {
	return &weights{make(map[string]int, size), make([]occurrence, 0, size)}
}

func (w *weights) add(word []byte, role annotationsv1.SearchRole) {
	at, known := w.at[string(word)]
	if !known {
		at = len(w.words)
		w.words = append(w.words, occurrence{word: string(word)})
		w.at[w.words[at].word] = at
	}
	o := &w.words[at]
	switch {
	case role == annotationsv1.SearchRole_BODY:
		if o.body == bodyTimes {
			return
		}
		o.body++
	case o.roles&(1<<role) != 0:
		return
	}
	o.roles |= 1 << role
	o.weight += roleWeight[role]
}

// field is a field of a document whose terms are known already, or one that is
// only stored.
type field struct {
	name    string
	options index.FieldIndexingOptions
	value   []byte
	terms   index.TokenFrequencies
}

func newTermsField(name string, weights *weights) *field {
	f := &field{name: name, options: index.IndexField, terms: make(index.TokenFrequencies, len(weights.words))}
	entries := make([]index.TokenFreq, len(weights.words))
	for i, o := range weights.words {
		entries[i].Term = []byte(o.word)
		entries[i].SetFrequency(o.weight)
		f.terms[o.word] = &entries[i]
	}
	return f
}

func newCodesField(name string, codes []string) *field {
	f := &field{name: name, options: index.IndexField | index.SkipFreqNorm, terms: make(index.TokenFrequencies, len(codes))}
	for _, code := range codes {
		f.terms[code] = &index.TokenFreq{Term: []byte(code)}
	}
	return f
}

func newStoredField(name string, value []byte) *field {
	return &field{name: name, options: index.StoreField, value: value}
}

// The methods that bleve wants of a field.

func (f *field) Name() string                                     { return f.name }
func (f *field) ArrayPositions() []uint64                         { return nil }
func (f *field) Options() index.FieldIndexingOptions              { return f.options }
func (f *field) Analyze()                                         {}
func (f *field) Value() []byte                                    { return f.value }
func (f *field) NumPlainTextBytes() uint64                        { return uint64(len(f.value)) }
func (f *field) Size() int                                        { return len(f.value) + f.terms.Size() }
func (f *field) EncodedFieldType() byte                           { return 't' }
func (f *field) AnalyzedLength() int                              { return len(f.terms) }
func (f *field) AnalyzedTokenFrequencies() index.TokenFrequencies { return f.terms }
