// Package gulpease measures how easy an Italian text is to read. The Gulpease index (P. Lucisano, M. E. Piemontese, "GULPEASE: una formula
// per la predizione della difficoltà dei testi in lingua italiana", Scuola e città 3, 1988) was made for Italian; it says little of others.
package gulpease

import (
	"regexp"
	"strings"
	"unicode"
)

// Plain is the index that texts for the public should reach: people with eight years of school read them without help.
const Plain = 60

// Counts are what the index is made of. Those of several texts can be added up, to measure them as one.
type Counts struct {
	// Letters and digits.
	Letters int
	// Words: an apostrophe or a hyphen parts two words.
	Words int
	// Sentences, at least 1 where there are words.
	Sentences int
}

// Index of a text, from 0 to 100. Below 80 it is hard for people with five years of school, below 60 with eight, below 40 with thirteen.
// It means something from about ten words on. A text without words has 100: there is nothing to understand.
func Index(text string) float64 { return Count(text).Index() }

// Index is 89 + (300 × sentences - 10 × letters) / words, kept between 0 and 100.
func (c Counts) Index() float64 {
	if c.Words == 0 {
		return 100
	}
	return min(max(89+float64(300*c.Sentences-10*c.Letters)/float64(c.Words), 0), 100)
}

// Add gives the counts of two texts, one after the other.
func (c Counts) Add(other Counts) Counts {
	return Counts{c.Letters + other.Letters, c.Words + other.Words, c.Sentences + other.Sentences}
}

// boundary of two sentences: a mark, perhaps the quotation mark or bracket that closes the first, and then a capital letter or a new line.
// So the stops of abbreviations and numbers ("art. 3", "1.500") part nothing, as long as no capital letter follows ("dott. Rossi").
var boundary = regexp.MustCompile(`[.!?…]["»”)]?(\s+["«“(]?\p{Lu}|[^\S\n]*\n)`)

// Count counts the letters, words and sentences of a text. Its last sentence needs no full stop.
func Count(text string) Counts {
	var c Counts
	for word := range strings.FieldsFuncSeq(text, func(r rune) bool { return !unicode.In(r, unicode.L, unicode.M, unicode.Nd) }) {
		before := c.Letters
		for _, r := range word {
			if !unicode.IsMark(r) { // an accent of its own
				c.Letters++
			}
		}
		if c.Letters > before {
			c.Words++
		}
	}
	if c.Words > 0 {
		c.Sentences = 1 + len(boundary.FindAllStringIndex(strings.TrimSpace(text), -1))
	}
	return c
}
