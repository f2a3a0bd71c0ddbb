package search

import (
	"html"
	"math/bits"
	"slices"
	"strings"
	"unicode/utf8"
)

// A snippet has at most snippetWords words, contextWords of them before the
// first that is marked, and about snippetBytes bytes.
const (
	snippetWords = 32
	contextWords = 8
	snippetBytes = 320
)

// A mark is a part of a text that answers words of the query.
type mark struct {
	first, end int    // words
	answers    uint32 // bit set of the words of the query
}

// snippet shows the part of a record's texts that answers most words of the
// query, escaped, with <mark> around what does; empty when no text does.
func snippet(f *found, asked []*sought) string {
	if len(asked) == 0 {
		return ""
	}
	texts := slices.Concat([]string{f.hit.Summary}, f.passages, f.keywords, []string{f.hit.Title})
	var (
		best     string
		bestList []word
		bestFrom int
		marks    []mark
		most     int
	)
	for _, text := range texts {
		list := words(text)
		found := marksIn(list, asked)
		if from, answered := densest(found); answered > most {
			best, bestList, bestFrom, marks, most = text, list, from, found, answered
		}
	}
	if most == 0 {
		return ""
	}
	return show(best, bestList, marks[bestFrom:])
}

// marksIn lists the marks of a text from left to right.
func marksIn(list []word, asked []*sought) []mark {
	var marks []mark
	for i, w := range list {
		var answers uint32
		for n, a := range asked {
			if _, ok := a.terms[string(w.folded)]; ok {
				answers |= 1 << n
			}
		}
		if answers != 0 {
			marks = append(marks, mark{i, i + 1, answers})
		}
	}
	synonyms.eachTold(list, func(s span) {
		var answers uint32
		for n, a := range asked {
			if slices.ContainsFunc(a.meanings, func(m *meaning) bool { return slices.Contains(s.meanings, m) }) {
				answers |= 1 << n
			}
		}
		if answers != 0 {
			marks = append(marks, mark{s.first, s.end, answers})
		}
	})
	slices.SortStableFunc(marks, func(a, b mark) int { return a.first - b.first })
	return joined(marks)
}

// joined makes one mark of those that overlap.
func joined(marks []mark) []mark {
	kept := marks[:0]
	for _, m := range marks {
		if last := len(kept) - 1; last >= 0 && m.first < kept[last].end {
			kept[last].end = max(kept[last].end, m.end)
			kept[last].answers |= m.answers
			continue
		}
		kept = append(kept, m)
	}
	return kept
}

// densest finds the mark from which on a snippet answers most words.
func densest(marks []mark) (from, answered int) {
	for i, first := range marks {
		var answers uint32
		for _, m := range marks[i:] {
			if m.end-first.first > snippetWords-contextWords {
				break
			}
			answers |= m.answers
		}
		if i == 0 || bits.OnesCount32(answers) > answered {
			from, answered = i, max(1, bits.OnesCount32(answers))
		}
	}
	return from, answered
}

// show cuts the part of a text around its first mark out.
func show(text string, list []word, marks []mark) string {
	first := max(0, marks[0].first-contextWords)
	for first < marks[0].first && list[marks[0].first].start-list[first].start > snippetBytes/3 {
		first++
	}
	end := first + 1
	for end < len(list) && end-first < snippetWords && list[end].end-list[first].start <= snippetBytes {
		end++
	}
	at, to := list[first].start, list[end-1].end
	if first == 0 {
		at = 0
	}
	if end == len(list) {
		to = len(text)
	}
	at, to = max(at, list[first].start-snippetBytes/4), min(to, list[end-1].end+snippetBytes/4)
	var out strings.Builder
	if at > 0 {
		out.WriteString("…")
	}
	for _, m := range marks {
		if m.first >= end {
			break
		}
		from, upTo := list[m.first].start, list[min(m.end, end)-1].end
		out.WriteString(escaped(text[at:from]))
		out.WriteString("<mark>")
		out.WriteString(escaped(text[from:upTo]))
		out.WriteString("</mark>")
		at = upTo
	}
	out.WriteString(escaped(text[at:max(at, to)]))
	if to < len(text) {
		out.WriteString("…")
	}
	return out.String()
}

// escaped makes a part of a text fit for HTML, cut where it is absurdly long.
func escaped(part string) string {
	if len(part) > 2*snippetBytes {
		end := 2 * snippetBytes
		for !utf8.RuneStart(part[end]) {
			end--
		}
		part = part[:end]
	}
	return html.EscapeString(strings.ToValidUTF8(part, ""))
}
