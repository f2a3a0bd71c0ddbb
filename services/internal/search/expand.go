package search

import (
	"cmp"
	"fmt"
	"slices"
	"unicode/utf8"

	index "github.com/blevesearch/bleve_index_api"
)

// A grade says how well a word of the index answers a word of the query. The
// score of a word is its level, and base to base+span by where in the record
// the word stands.
type grade struct {
	level, base, span float64
}

// asWritten is the level of all that is not misspelt: it outweighs all else, so
// that a record with the words as written always comes before one with words
// like them.
const asWritten = 10

var (
	exact    = grade{asWritten, 0.60, 0.90}
	sameRoot = grade{asWritten, 0.55, 0.85}
	synonym  = grade{asWritten, 0.30, 0.70}
	begun    = grade{asWritten, 0.25, 0.30}
	misspelt = [...]grade{1: {0, 0.15, 0.30}, 2: {0, 0.05, 0.20}} // by distance
)

func (g grade) better(than grade) bool { return g.level+g.base > than.level+than.base }

// How many words of the index may stand for one word of the query.
const (
	maxBegun    = 128
	maxMisspelt = 64
)

// An asked word is a word of the query and what it may stand for.
type asked struct {
	text     string
	last     bool // may be the beginning of a word only
	meanings []*meaning
}

// An expanded word is an asked word with the words of the index that answer it.
type expanded struct {
	asked
	terms map[string]grade
}

// expand looks up which words of a field answer a word of the query.
func (s snapshot) expand(field string, a asked, tolerance int) (*expanded, error) {
	e := &expanded{asked: a, terms: map[string]grade{a.text: exact}}
	stem := root(a.text)
	if utf8.RuneCountInString(stem) >= 3 {
		err := s.beginning(field, stem, func(entry *index.DictEntry) {
			if root(entry.Term) == stem {
				e.add(entry.Term, sameRoot)
			}
		})
		if err != nil {
			return nil, err
		}
	}
	if a.last {
		var found []index.DictEntry
		err := s.beginning(field, a.text, func(entry *index.DictEntry) { found = append(found, *entry) })
		if err != nil {
			return nil, err
		}
		slices.SortFunc(found, func(a, b index.DictEntry) int {
			return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Term, b.Term))
		})
		for _, entry := range found[:min(len(found), maxBegun)] {
			e.add(entry.Term, begun)
		}
	}
	if tolerance > 0 {
		if err := e.addMisspelt(s, field, tolerance); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// add notes a term with the best of its grades.
func (e *expanded) add(term string, g grade) {
	if known, ok := e.terms[term]; !ok || g.better(known) {
		e.terms[term] = g
	}
}

// longest is the number of letters from which on a word is no word that somebody
// mistyped, and looking for similar ones would only take long.
const longest = 32

// toleranceOf is the number of typing errors that are forgiven in a word, the
// wrong order of two letters counting as one.
func toleranceOf(word string) int {
	letters := 0
	for _, r := range word {
		if '0' <= r && r <= '9' {
			return 0 // another number is another thing
		}
		letters++
	}
	switch {
	case letters >= longest:
		return 0
	case letters >= 9:
		return 2
	case letters >= 5:
		return 1
	}
	return 0
}

func (e *expanded) addMisspelt(in snapshot, field string, tolerance int) error {
	dict, automaton, err := in.FieldDictFuzzyAutomaton(field, e.text, tolerance, "")
	if err != nil {
		return fmt.Errorf("find words like %.70q: %w", e.text, err)
	}
	type similar struct {
		term     string
		distance uint8
	}
	var found []similar
	err = eachEntry(dict, func(entry *index.DictEntry) {
		if ok, distance := automaton.MatchAndDistance(entry.Term); ok && distance > 0 {
			found = append(found, similar{entry.Term, distance})
		}
	})
	if err != nil {
		return err
	}
	slices.SortFunc(found, func(a, b similar) int {
		return cmp.Or(cmp.Compare(a.distance, b.distance), cmp.Compare(a.term, b.term))
	})
	for _, s := range found[:min(len(found), maxMisspelt)] {
		e.add(s.term, misspelt[s.distance])
	}
	return nil
}

func (s snapshot) beginning(field, with string, f func(*index.DictEntry)) error {
	dict, err := s.FieldDictPrefix(field, []byte(with))
	if err != nil {
		return fmt.Errorf("find words that begin with %.70q: %w", with, err)
	}
	return eachEntry(dict, f)
}

func eachEntry(dict index.FieldDict, f func(*index.DictEntry)) error {
	defer func() { _ = dict.Close() }()
	for {
		entry, err := dict.Next()
		if err != nil {
			return fmt.Errorf("read the words of the index: %w", err)
		}
		if entry == nil {
			return nil
		}
		f(entry)
	}
}
