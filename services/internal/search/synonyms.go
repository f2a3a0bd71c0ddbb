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
	// idioms are those of the phrases above whose words alone would mean
	// something else: an indennità di accompagnamento takes nobody anywhere.
	idioms []string
}

func (m *meaning) id() string { return m.words[0] }

// version names what the index was made with: the way of analysing texts, to be
// raised by hand, and the table of synonyms.
var version = func() string {
	sum := sha256.Sum256([]byte(fmt.Sprintf("%q", meanings)))
	return "3-" + hex.EncodeToString(sum[:8])
}()

// phrases finds the entries of the table in texts: a tree by the roots of words.
type phrases struct {
	next map[string]*phrases
	// asked are the meanings that a query with this phrase asks for, told those
	// that a text with it tells of.
	asked, told []*meaning
	idiom       bool
}

var synonyms = func() *phrases {
	tree := &phrases{}
	for i := range meanings {
		m := &meanings[i]
		for _, entry := range slices.Concat(m.words, m.understood) {
			node := tree.node(entry)
			node.asked = withOne(node.asked, m)
			node.told = withOne(node.told, m)
		}
		for _, entry := range m.also {
			node := tree.node(entry)
			node.told = withOne(node.told, m)
		}
		for _, entry := range m.idioms {
			tree.node(entry).idiom = true
		}
	}
	return tree
}()

func withOne(list []*meaning, m *meaning) []*meaning {
	if slices.Contains(list, m) {
		return list
	}
	return append(list, m)
}

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
	first, end int
	meanings   []*meaning
}

// eachAsked calls f for what a query asks for: its entries from left to right, of
// two that overlap the longer one.
func (p *phrases) eachAsked(query []word, f func(span)) {
	for i := 0; i < len(query); {
		longest := span{end: i + 1}
		p.from(query, i, func(node *phrases, end int) {
			if len(node.asked) > 0 {
				longest = span{i, end, node.asked}
			}
		})
		if len(longest.meanings) > 0 {
			f(longest)
		}
		i = longest.end
	}
}

// eachTold calls f for what a text tells of: all its entries, but for those that are
// a part of an idiom.
func (p *phrases) eachTold(text []word, f func(span)) {
	idiomEnd := 0
	for i := range text {
		p.from(text, i, func(node *phrases, end int) {
			if node.idiom {
				idiomEnd = max(idiomEnd, end)
			}
		})
		p.from(text, i, func(node *phrases, end int) {
			if len(node.told) > 0 && (node.idiom || end > idiomEnd) {
				f(span{i, end, node.told})
			}
		})
	}
}

// from calls f for each entry that begins with a word, the shortest first.
func (p *phrases) from(list []word, first int, f func(node *phrases, end int)) {
	node := p
	for i := first; i < len(list); i++ {
		next := node.next[root(string(list[i].folded))]
		switch {
		case next != nil:
			node = next
		case i > first && stopWords[string(list[i].folded)]:
			continue // small words inside a phrase may differ
		default:
			return
		}
		f(node, i+1)
	}
}
