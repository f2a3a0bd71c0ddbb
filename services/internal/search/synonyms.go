package search

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
)

// A meaning is one thing that people, offices and laws call by different words.
// Each entry is a word or a phrase; inflections, accents and the small words
// inside a phrase need not be listed.
type meaning struct {
	// words are Italian. A query with one of them finds texts with any of them,
	// and the others are told to the reader. The first one identifies the meaning.
	words []string
	// understood are found and find like words, but are not told: spellings,
	// dialect, other languages.
	understood []string
	// also are found by the others, but do not find them: wider terms.
	also []string
}

func (m *meaning) id() string { return m.words[0] }

// version names what the index was made with: the way of analysing texts, to be
// raised by hand, and the table of synonyms.
var version = func() string {
	sum := sha256.Sum256([]byte(fmt.Sprintf("%q", meanings)))
	return "1-" + hex.EncodeToString(sum[:8])
}()

// phrases finds the entries of the table in texts: a tree by the roots of words.
type phrases struct {
	next map[string]*phrases
	// asked are the meanings that a query with this phrase asks for, told those
	// that a text with it tells of.
	asked, told []*meaning
}

var synonyms = func() *phrases {
	tree := &phrases{}
	for i := range meanings {
		m := &meanings[i]
		for _, entry := range slices.Concat(m.words, m.understood) {
			node := tree.node(entry)
			node.asked = append(node.asked, m)
			node.told = append(node.told, m)
		}
		for _, entry := range m.also {
			node := tree.node(entry)
			node.told = append(node.told, m)
		}
	}
	return tree
}()

func (p *phrases) node(entry string) *phrases {
	for _, w := range words(entry) {
		key := root(string(w.folded))
		if p.next == nil {
			p.next = map[string]*phrases{}
		}
		if p.next[key] == nil {
			p.next[key] = &phrases{}
		}
		p = p.next[key]
	}
	return p
}

// A span is an entry of the table in a text: the words from first up to, but
// not including, end.
type span struct {
	first, end  int
	asked, told []*meaning
}

// find calls f for the entries in a text, from left to right, of two that
// overlap the longer one.
func (p *phrases) find(list []word, f func(span)) {
	for i := 0; i < len(list); {
		found := p.longestAt(list, i)
		if found.end == 0 {
			i++
			continue
		}
		f(found)
		i = found.end
	}
}

func (p *phrases) longestAt(list []word, first int) (longest span) {
	node := p
	for i := first; i < len(list); i++ {
		next := node.next[root(string(list[i].folded))]
		switch {
		case next != nil:
			node = next
		case i > first && stopWords[string(list[i].folded)]:
			continue // small words inside a phrase may differ
		default:
			return longest
		}
		if len(node.told) > 0 {
			longest = span{first, i + 1, node.asked, node.told}
		}
	}
	return longest
}
