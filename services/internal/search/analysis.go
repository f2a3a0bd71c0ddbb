package search

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/blevesearch/bleve/v2/analysis"
	"github.com/blevesearch/bleve/v2/analysis/char/asciifolding"
	"github.com/blevesearch/bleve/v2/analysis/lang/ar"
	"github.com/blevesearch/bleve/v2/analysis/lang/it"
	"golang.org/x/text/unicode/norm"
)

// maxWordBytes is where longer words are cut, in texts and in queries alike.
const maxWordBytes = 64

// A word is one word of a text in its folded form: lower case, without accents
// and other marks; start and end are where it stands in the text, in bytes.
type word struct {
	folded     []byte
	start, end int
}

// words takes a text apart, whatever its language. An apostrophe ends a word
// (dell'infanzia is dell and infanzia); letters with full stops are one word
// (A.S.P. is asp). The folded forms stay valid.
func words(text string) []word {
	list := make([]word, 0, len(text)/6+1)
	arena := make([]byte, 0, len(text)+8)
	for at := 0; at < len(text); {
		r, size := utf8.DecodeRuneInString(text[at:])
		if !startsWord(r) {
			at += size
			continue
		}
		start, from := at, len(arena)
		if end := acronymEnd(text[at:]); end > 0 {
			for _, r := range text[at : at+end] {
				if r != '.' {
					arena = appendFolded(arena, r)
				}
			}
			at += end
		} else {
			for at < len(text) {
				r, size = utf8.DecodeRuneInString(text[at:])
				if !startsWord(r) && !continuesWord(r) {
					break
				}
				arena = appendFolded(arena, r)
				at += size
			}
		}
		if folded := shorten(stemArabic(arena[from:len(arena):len(arena)])); len(folded) > 0 {
			list = append(list, word{folded, start, at})
		}
	}
	return list
}

func startsWord(r rune) bool {
	if r < utf8.RuneSelf {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
	}
	return r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsNumber(r))
}

// continuesWord is true for what may stand inside a word but is not seen:
// combining marks, soft hyphens, joiners.
func continuesWord(r rune) bool {
	return r >= utf8.RuneSelf && (unicode.IsMark(r) || unicode.Is(unicode.Cf, r))
}

// acronymEnd is the length of the acronym with full stops at the beginning of a
// text, 0 when there is none.
func acronymEnd(text string) int {
	letters, end := 0, 0
	for {
		r, size := utf8.DecodeRuneInString(text[end:])
		if size == 0 || !unicode.IsLetter(r) {
			break
		}
		if end+size >= len(text) || text[end+size] != '.' {
			next, _ := utf8.DecodeRuneInString(text[end+size:])
			if startsWord(next) {
				return 0
			}
			letters, end = letters+1, end+size
			break
		}
		letters, end = letters+1, end+size+1
	}
	if letters < 2 {
		return 0
	}
	return end
}

// folds has the folded form of the letters that occur most.
var folds = func() (table [0x700]string) {
	for r := range table {
		table[r] = foldRune(rune(r))
	}
	return table
}()

func foldRune(r rune) string {
	var plain strings.Builder
	for _, r := range norm.NFKD.String(string(unicode.ToLower(r))) {
		switch {
		case unicode.IsMark(r), unicode.Is(unicode.Cf, r), r == 'ـ': // the last one only stretches a word
		case r == 'ى':
			plain.WriteRune('ي')
		case r == 'ة':
			plain.WriteRune('ه')
		default:
			plain.WriteRune(unicode.ToLower(r))
		}
	}
	return string(asciifolding.New().Filter([]byte(plain.String())))
}

func appendFolded(to []byte, r rune) []byte {
	switch {
	case 'A' <= r && r <= 'Z':
		return append(to, byte(r-'A'+'a'))
	case r < utf8.RuneSelf:
		return append(to, byte(r))
	case int(r) < len(folds):
		return append(to, folds[r]...)
	default:
		return append(to, foldRune(r)...)
	}
}

// stemArabic takes article and endings off an Arabic word, since they hide the
// beginning by which other languages are compared.
func stemArabic(folded []byte) []byte {
	if first, _ := utf8.DecodeRune(folded); !unicode.Is(unicode.Arabic, first) {
		return folded
	}
	stream := ar.NewArabicStemmerFilter().Filter(analysis.TokenStream{{Term: folded}})
	return stream[0].Term
}

func shorten(folded []byte) []byte {
	if len(folded) <= maxWordBytes {
		return folded
	}
	end := maxWordBytes
	for !utf8.RuneStart(folded[end]) {
		end--
	}
	return folded[:end]
}

// stopWords are the words that carry no meaning in a query, folded.
var stopWords = func() map[string]bool {
	listed := analysis.NewTokenMap()
	for _, list := range [][]byte{it.ItalianStopWords, it.ItalianArticles} {
		if err := listed.LoadBytes(list); err != nil {
			panic(err)
		}
	}
	stop := map[string]bool{"quell": true, "quest": true, "sant": true, "senz": true, "anch": true}
	for entry := range listed {
		for _, w := range words(entry) {
			stop[string(w.folded)] = true
		}
	}
	return stop
}()

// root is what the forms of an Italian word share: nido and nidi, disabile,
// disabili and disabilità. It is always the beginning of the folded word.
func root(folded string) string {
	n := len(folded)
	if strings.HasSuffix(folded, "bilita") || strings.HasSuffix(folded, "idita") && n >= 8 {
		return folded[:n-3]
	}
	if n < 4 || !strings.ContainsRune("aeio", rune(folded[n-1])) {
		return folded
	}
	switch last, before := folded[n-1], folded[n-2]; {
	case n >= 6 && before == 'i', n >= 5 && before == 'h' && (last == 'e' || last == 'i'):
		return folded[:n-2]
	default:
		return folded[:n-1]
	}
}
