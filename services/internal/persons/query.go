package persons

import (
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// fewDigits is how many digits may be the beginning of something else than a
// telephone number.
const fewDigits = 6

// A Query is what is known of a person: all of its words must be there.
type Query struct {
	words  []string
	digits string // of a telephone number, however it is written; empty: none
}

// NewQuery reads what somebody typed.
func NewQuery(text string) Query {
	q := Query{words: strings.FieldsFunc(fold(text), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("@._-+'", r)
	})}
	q.words = slices.DeleteFunc(q.words, func(w string) bool {
		return !strings.ContainsFunc(w, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) })
	})
	if digits := onlyDigits(text); len(digits) >= fewDigits && !strings.ContainsFunc(text, unicode.IsLetter) {
		q.digits = digits
	}
	return q
}

func (q Query) empty() bool { return len(q.words) == 0 }

// A Field is a text and where it stands.
type Field struct{ Path, Text string }

// In returns the paths of the fields that have the telephone number or any of the
// words, nil when not all words are in some field.
func (q Query) In(fields ...Field) []string {
	var paths []string
	missing := slices.Clone(q.words)
	for _, field := range fields {
		if q.digits != "" {
			if strings.Contains(onlyDigits(field.Text), q.digits) {
				paths = append(paths, field.Path)
			}
			continue
		}
		text := fold(field.Text)
		has := func(word string) bool { return strings.Contains(text, word) }
		if slices.ContainsFunc(q.words, has) {
			missing = slices.DeleteFunc(missing, has)
			paths = append(paths, field.Path)
		}
	}
	if q.digits == "" && len(missing) > 0 {
		return nil
	}
	return paths
}

// fold makes texts equal that differ in case and accents only.
func fold(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) {
			return -1
		}
		return r
	}, norm.NFD.String(cases.Fold().String(text)))
}

func onlyDigits(text string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, text)
}
