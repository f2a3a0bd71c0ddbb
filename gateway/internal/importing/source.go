package importing

import (
	"regexp"
	"strings"
	"unicode"

	"golang.org/x/text/runes"
	"golang.org/x/text/transform"
	"golang.org/x/text/unicode/norm"
)

// sourceForm is what a source looks like.
var sourceForm = regexp.MustCompile(`^[a-z][a-z0-9-]{1,40}$`)

// sourceOf proposes the source of a file from its name: what stays the same from one file to the next. "Elenco Servizi 2026-03.xlsx" is
// "elenco-servizi".
func sourceOf(fileName string) string {
	stem := fileName
	if dot := strings.LastIndexByte(fileName, '.'); dot > 0 {
		stem = fileName[:dot]
	}
	if plain, _, err := transform.String(transform.Chain(norm.NFD, runes.Remove(runes.In(unicode.Mn)), norm.NFC), stem); err == nil {
		stem = plain
	}
	words := strings.FieldsFunc(strings.ToLower(stem), func(r rune) bool { return r < 'a' || r > 'z' })
	var kept []string
	for _, word := range words {
		// Words that tell one version from the next.
		switch word {
		case "v", "ver", "rev", "def", "definitivo", "copia", "nuovo", "nuova", "bozza", "agg", "aggiornato", "al", "del":
			continue
		}
		kept = append(kept, word)
	}
	source := strings.Join(kept, "-")
	if len(source) > 41 {
		source = strings.TrimRight(source[:41], "-")
	}
	if !sourceForm.MatchString(source) {
		return "foglio-del-comune"
	}
	return source
}
