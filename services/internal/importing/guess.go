package importing

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"slices"
	"strings"

	"cidsistem.example/proto/gen/exchangev1"
	"cidsistem.example/services/internal/tables"
)

const (
	// looked is how many lines of a table are looked at to find the heading.
	looked = 40
	// sampled is how many lines after the heading are looked at to guess what the
	// columns mean.
	sampled = 200
	// shownSamples is how many values of a column are shown, sampleLength how long.
	shownSamples, sampleLength = 5, 80
	// headings over several lines are at most so many above the last.
	headingsAbove = 2
)

// knownHeading is how sure it is, 0 to 100, that a heading stands for a target.
func knownHeading(heading string, t target) int {
	heading = plain(heading)
	best := 0
	for _, known := range t.heads {
		switch {
		case heading == known:
			return 95
		case len(known) > 3 && (strings.HasPrefix(heading, known+" ") || strings.HasSuffix(heading, " "+known)):
			best = max(best, 70+min(len(known), 15))
		case len(known) > 3 && strings.Contains(" "+heading+" ", " "+known+" "):
			best = max(best, 60)
		}
	}
	return best
}

func bestHeading(heading, collection string) int {
	best := 0
	for _, t := range targets[collection] {
		best = max(best, knownHeading(heading, t))
	}
	return best
}

// filled counts the cells of a line that carry something.
func filled(cells []string) (n int) {
	for _, cell := range cells {
		if cell != "" {
			n++
		}
	}
	return n
}

// valueWeight is what a cell that looks like data takes from a line's score as a
// heading.
const valueWeight = 40

// guessHeading finds the line of the (last) heading, from 1; 0: there is none.
// The rows are the first of the table.
func guessHeading(rows []tables.Row, collection string) int64 {
	best, at := 0, -1
	for i, row := range rows {
		score := 0
		for _, cell := range row.Cells {
			switch {
			case cell == "":
			case len(cell) >= 80 || strings.ContainsAny(cell, "0123456789@"):
				score -= valueWeight // data, in which a heading's words may occur too
			default:
				score += bestHeading(cell, collection)
			}
		}
		// A single word that is known may be anywhere.
		if filled(row.Cells) > 1 && score > best && score >= 90 {
			best, at = score, i
		}
	}
	if at < 0 {
		for i, row := range rows {
			if n := filled(row.Cells); n > 1 && n > best {
				best, at = n, i
			}
		}
		if at < 0 {
			return 0
		}
		return rows[at].Line
	}
	// The parts of merged headings are below.
	if at+1 < len(rows) {
		below := rows[at+1]
		known, other := 0, 0
		for _, cell := range below.Cells {
			switch {
			case cell == "":
			case bestHeading(cell, collection) >= 70:
				known++
			default:
				other++
			}
		}
		if known > 0 && other == 0 {
			at++
		}
	}
	return rows[at].Line
}

// headings joins the lines of a heading down to the last: a cell over several
// columns stands over all of them.
func headings(rows []tables.Row, last int64) []string {
	at := slices.IndexFunc(rows, func(r tables.Row) bool { return r.Line == last })
	if at < 0 {
		return nil
	}
	joined := slices.Clone(rows[at].Cells)
	below := slices.Clone(joined)
	for i := at - 1; i >= 0 && i >= at-headingsAbove && rows[i].Line == rows[i+1].Line-1; i-- {
		above := rows[i].Cells
		if filled(above) < 2 {
			break // a title
		}
		for len(joined) < len(above) {
			joined, below = append(joined, ""), append(below, "")
		}
		over := ""
		for c := range joined {
			switch {
			case c < len(above) && above[c] != "":
				over = above[c]
				joined[c] = strings.TrimSpace(above[c] + " " + joined[c])
			case below[c] != "" && over != "" && joined[c] != "":
				joined[c] = over + " " + joined[c]
			default:
				over = ""
			}
		}
		below = slices.Clone(above)
		for len(below) < len(joined) {
			below = append(below, "")
		}
	}
	for c := range joined {
		joined[c] = shortened(oneLine(joined[c]), 500)
	}
	return joined
}

func shortened(text string, most int) string {
	runes := []rune(text)
	if len(runes) <= most {
		return text
	}
	return string(runes[:most-1]) + "…"
}

// contents are the looks of values that say what a column is, with how sure.
var contents = []struct {
	target  string
	looks   *regexp.Regexp
	certain int
}{
	{"contacts.pec", regexp.MustCompile(`(?i)^\S+@(\S+\.)?(pec|legalmail|postecert|arubapec|cert)\.?\S*$`), 85},
	{"contacts.email", regexp.MustCompile(`^\S+@\S+\.\S+$`), 80},
	{"contacts.web", regexp.MustCompile(`(?i)^(https?://|www\.)\S+$`), 80},
	{"identifiers.codice-fiscale-ente", regexp.MustCompile(`^\d{11}$`), 60},
	{"postal_code", regexp.MustCompile(`^\d{5}$`), 60},
	{"provenance.as_of", regexp.MustCompile(`^\d{1,2}/\d{1,2}/\d{4}$`), 50},
	{"contacts.phone", regexp.MustCompile(`^(\+39)?[\d][\d ./\-]{6,}([;,/].*)?$`), 65},
}

// guessColumns guesses what the columns mean, from their headings and from what
// is in them; each target is guessed once, but for those that several columns
// may fill.
func guessColumns(heads []string, rows []tables.Row, collection string) []*exchangev1.Import_Column {
	width := len(heads)
	for _, row := range rows {
		width = max(width, len(row.Cells))
	}
	columns := make([]*exchangev1.Import_Column, 0, width)
	type guess struct {
		column, certain int
		target          target
	}
	var guesses []guess
	for c := range width {
		column := &exchangev1.Import_Column{Index: int32(c)}
		if c < len(heads) {
			column.Heading = heads[c]
		}
		var values []string
		for _, row := range rows {
			if c < len(row.Cells) && row.Cells[c] != "" {
				values = append(values, row.Cells[c])
				if sample := shortened(oneLine(row.Cells[c]), sampleLength); len(column.Samples) < shownSamples && !slices.Contains(column.Samples, sample) {
					column.Samples = append(column.Samples, sample)
				}
			}
		}
		columns = append(columns, column)
		for _, t := range targets[collection] {
			if certain := max(knownHeading(column.Heading, t), knownContent(values, t)); certain > 0 {
				guesses = append(guesses, guess{c, certain, t})
			}
		}
	}
	slices.SortStableFunc(guesses, func(a, b guess) int { return b.certain - a.certain })
	taken := map[string]bool{}
	for _, g := range guesses {
		if column := columns[g.column]; column.Target == "" && (g.target.several || !taken[g.target.name]) {
			column.Target, column.Confidence = g.target.name, int32(g.certain)
			taken[g.target.name] = true
		}
	}
	return columns
}

func knownContent(values []string, t target) int {
	for _, content := range contents {
		if t.name != content.target && !strings.HasSuffix(t.name, "."+content.target) {
			continue
		}
		n := 0
		for _, value := range values {
			if content.looks.MatchString(value) {
				n++
			}
		}
		if len(values) > 0 && n*10 >= len(values)*7 {
			return content.certain
		}
	}
	return 0
}

// signature tells the headings of one kind of file from those of others.
func signature(columns []*exchangev1.Import_Column) string {
	digest := sha256.New()
	for _, column := range columns {
		digest.Write([]byte(plain(column.GetHeading()) + "\x00"))
	}
	return hex.EncodeToString(digest.Sum(nil)[:12])
}
