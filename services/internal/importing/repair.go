package importing

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/runes"
	"golang.org/x/text/transform"
	"golang.org/x/text/unicode/norm"

	"cidsistem.example/proto/gen/registryv1"
)

// plain is a text as it is compared: small letters without accents, words with
// single spaces between them.
func plain(text string) string {
	decomposed, _, err := transform.String(transform.Chain(norm.NFD, runes.Remove(runes.In(unicode.Mn))), text)
	if err != nil {
		decomposed = text
	}
	return strings.Join(strings.FieldsFunc(strings.ToLower(decomposed), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r)
	}), " ")
}

// oneLine has single spaces between its words.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

var months = map[string]int32{
	"gennaio": 1, "febbraio": 2, "marzo": 3, "aprile": 4, "maggio": 5, "giugno": 6, "luglio": 7, "agosto": 8,
	"settembre": 9, "ottobre": 10, "novembre": 11, "dicembre": 12,
}

var (
	dayFirst  = regexp.MustCompile(`^(\d{1,2})[/.\-](\d{1,2})[/.\-](\d{4}|\d{2})$`)
	yearFirst = regexp.MustCompile(`^(\d{4})[/.\-](\d{1,2})[/.\-](\d{1,2})(?:[T ].*)?$`)
	monthYear = regexp.MustCompile(`^(\d{1,2})[/.\-](\d{4})$`)
	bareYear  = regexp.MustCompile(`^(?:anno )?(\d{4})$`)
)

// parseDate reads a date as Italians write it, to the precision that it has.
func parseDate(text string) (*registryv1.PartialDate, error) {
	text = strings.TrimSpace(text)
	date := func(year, month, day string) (*registryv1.PartialDate, error) {
		number := func(s string) int32 {
			n, _ := strconv.ParseInt(s, 10, 32)
			return int32(n)
		}
		d := &registryv1.PartialDate{Year: number(year), Month: number(month), Day: number(day)}
		if len(year) == 2 {
			d.Year += 2000
		}
		switch {
		case d.GetYear() < 1800 || d.GetYear() > 2200:
			return nil, fmt.Errorf("l'anno %d non è possibile", d.GetYear())
		case month != "" && (d.GetMonth() < 1 || d.GetMonth() > 12):
			return nil, fmt.Errorf("il mese %s non esiste", month)
		case day != "" && time.Date(int(d.GetYear()), time.Month(d.GetMonth()), int(d.GetDay()), 0, 0, 0, 0, time.UTC).Day() != int(d.GetDay()):
			return nil, fmt.Errorf("il giorno %s non esiste in quel mese", day)
		case day != "" && d.GetDay() == 0:
			return nil, fmt.Errorf("il giorno %s non esiste in quel mese", day)
		}
		return d, nil
	}
	if m := dayFirst.FindStringSubmatch(text); m != nil {
		return date(m[3], m[2], m[1])
	}
	if m := yearFirst.FindStringSubmatch(text); m != nil {
		return date(m[1], m[2], m[3])
	}
	if m := monthYear.FindStringSubmatch(text); m != nil {
		return date(m[2], m[1], "")
	}
	words := strings.Fields(plain(text))
	if m := bareYear.FindStringSubmatch(strings.Join(words, " ")); m != nil {
		return date(m[1], "", "")
	}
	if len(words) == 2 || len(words) == 3 {
		year, name, day := words[len(words)-1], words[len(words)-2], ""
		if len(words) == 3 {
			day = strings.TrimSuffix(words[0], "o")
		}
		for month, number := range months {
			if len(name) >= 3 && strings.HasPrefix(month, name) && len(year) == 4 {
				return date(year, strconv.Itoa(int(number)), day)
			}
		}
	}
	return nil, fmt.Errorf("non è una data")
}

var (
	thousands = regexp.MustCompile(`^[+-]?\d{1,3}(\.\d{3})+$`)
	numeral   = regexp.MustCompile(`\d[\d.,' ]*`)
)

// parseDecimal reads a number as Italians write it, and as programs do, in
// hundredths.
func parseDecimal(text string) (int64, error) {
	text = strings.NewReplacer("€", "", "euro", "", "EUR", "", "'", "", " ", "").Replace(text)
	switch {
	case strings.Contains(text, ",") && strings.LastIndexByte(text, ',') > strings.LastIndexByte(text, '.'):
		text = strings.ReplaceAll(strings.ReplaceAll(text, ".", ""), ",", ".")
	case strings.Contains(text, ","):
		text = strings.ReplaceAll(text, ",", "")
	case thousands.MatchString(text):
		text = strings.ReplaceAll(text, ".", "")
	}
	number, err := strconv.ParseFloat(text, 64)
	if err != nil || number < -1e12 || number > 1e12 || number != number {
		return 0, fmt.Errorf("non è un numero")
	}
	if number < 0 {
		return int64(number*100 - 0.5), nil
	}
	return int64(number*100 + 0.5), nil
}

// parseCoordinate reads degrees.
func parseCoordinate(text string, most float64) (float64, error) {
	number, err := strconv.ParseFloat(strings.ReplaceAll(strings.TrimSpace(text), ",", "."), 64)
	if err != nil || number < -most || number > most || number != number {
		return 0, fmt.Errorf("non è una coordinata in gradi")
	}
	return number, nil
}

var (
	phoneSplit = regexp.MustCompile(`\s*(?:[;,|\n]|\s+[-–/]+\s+|\s+e\s+|\s+o\s+)\s*`)
	phoneGlue  = regexp.MustCompile(`[\s./()\-–]+`)
	phoneWords = regexp.MustCompile(`(?i)\b(tel(efono)?|cell(ulare)?|fax|mobile|num(ero)?( verde)?|centralino|n)\b\.?:?`)
	digits     = regexp.MustCompile(`^\+?\d{3,15}$`)
)

// parsePhones reads the telephone numbers in a cell, in the form +39 and digits,
// short numbers as they are, and what could not be read.
func parsePhones(text string) (numbers, bad []string) {
	for _, part := range phoneSplit.Split(text, -1) {
		part = strings.TrimSpace(phoneWords.ReplaceAllString(part, ""))
		if part == "" {
			continue
		}
		for _, piece := range apart(part) {
			number := phoneGlue.ReplaceAllString(piece, "")
			if strings.HasPrefix(number, "00") {
				number = "+" + number[2:]
			}
			// Short and toll-free numbers have no country code.
			if !strings.HasPrefix(number, "+") && len(number) > 6 && !strings.HasPrefix(number, "800") {
				number = "+39" + number
			}
			if digits.MatchString(number) {
				numbers = append(numbers, number)
			} else {
				bad = append(bad, part)
			}
		}
	}
	return numbers, bad
}

// apart takes two whole numbers apart that only a slash or a hyphen separates.
func apart(part string) []string {
	for _, between := range []string{"/", "-"} {
		pieces := strings.Split(part, between)
		whole := len(pieces) > 1
		for _, piece := range pieces {
			if len(phoneGlue.ReplaceAllString(piece, "")) < 8 {
				whole = false
			}
		}
		if whole {
			return pieces
		}
	}
	return []string{part}
}

// isMobile tells whether an Italian number is that of a mobile telephone.
func isMobile(number string) bool { return strings.HasPrefix(number, "+393") }

var (
	listSplit = regexp.MustCompile(`\s*[;,|\n]\s*`)
	emailForm = regexp.MustCompile(`^[A-Za-z0-9.!#$%&'*+/=?^_{|}~-]+@[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)+$`)
	webForm   = regexp.MustCompile(`^(?i)(https?://)?([a-z0-9-]+\.)+[a-z]{2,}(:\d+)?([/?#]\S*)?$`)
)

// parseEmails reads the addresses of electronic mail in a cell, and what could
// not be read.
func parseEmails(text string) (addresses, bad []string) {
	for _, part := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(";, |\n", r) }) {
		address := strings.ToLower(strings.Trim(strings.TrimPrefix(strings.ToLower(part), "mailto:"), "<>()."))
		if emailForm.MatchString(address) {
			addresses = append(addresses, address)
		} else if plain(part) != "e" && plain(part) != "pec" && plain(part) != "email" {
			bad = append(bad, part)
		}
	}
	return addresses, bad
}

// parseWeb reads the addresses of pages in a cell, and what could not be read.
func parseWeb(text string) (addresses, bad []string) {
	for _, part := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune("; |\n", r) }) {
		part = strings.Trim(part, "<>(),")
		switch {
		case !webForm.MatchString(part):
			bad = append(bad, part)
		case !strings.Contains(part, "://"):
			addresses = append(addresses, "https://"+part)
		default:
			addresses = append(addresses, part)
		}
	}
	return addresses, bad
}

// small are the words that a name has in small letters, and as are those that
// keep their capitals.
var (
	small = words("di del della dello dei degli delle da dal e ed il lo la i gli le a al alla allo ai alle per con in nel nella su tra fra o")
	as    = words("aias anffas asp asl aps odv ets onlus adi uepe caf cgil cisl uil acli inps inail isee asacom sai cas spa srl s.r.l. s.p.a. ii iii iv vi uici ens auser")
)

func words(list string) map[string]bool {
	set := map[string]bool{}
	for _, word := range strings.Fields(list) {
		set[word] = true
	}
	return set
}

// calmed writes a name that is all in capitals as names are written.
func calmed(name string) string {
	letters := 0
	for _, r := range name {
		if unicode.IsLower(r) {
			return name
		}
		if unicode.IsUpper(r) {
			letters++
		}
	}
	if letters < 5 || !strings.Contains(name, " ") {
		return name
	}
	fields := strings.Split(strings.ToLower(name), " ")
	for i, word := range fields {
		switch {
		case as[strings.Trim(word, `"'().,`)]:
			fields[i] = strings.ToUpper(word)
		case i > 0 && small[word]:
		default:
			fields[i] = capital(word)
		}
	}
	return strings.Join(fields, " ")
}

// capital writes the first letter large, and the one after an apostrophe.
func capital(word string) string {
	next := true
	return strings.Map(func(r rune) rune {
		if next && unicode.IsLetter(r) {
			next = false
			return unicode.ToUpper(r)
		}
		if r == '\'' || r == '’' || r == '-' || r == '.' {
			next = true
		}
		return r
	}, word)
}
