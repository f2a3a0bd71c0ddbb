// Package correctable knows what of a record others may propose to put right, how it is called, and what the record says there: for
// the public that proposes, the bodies that confirm, and the office that decides.
package correctable

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	"cidsistem.example/gateway/internal/wording"
	"cidsistem.example/proto/gen/editorialv1"
)

const (
	// Most is the length of a value, in characters.
	Most = 4000
	// mostChanges is how many changes a correction has.
	mostChanges = 50
)

// Words are what pages say. A [site.Request] has them.
type Words interface {
	In(l wording.Language, id string, values ...any) string
	Knows(id string) bool
}

// A Field of a record as a form shows it: what it says, and what somebody thinks that it should say.
type Field struct {
	// Key is a path with JSON names below the record; or one of the topics, on which a form takes words alone.
	Key string
	// Label in the language of the page.
	Label string
	// Shown is what the record says, as the page has it; Value is the same as the contract has it: the Italian text.
	Shown, Value string
	// Language of what is shown.
	Language wording.Language
	// Typed is what it should say; the Value until somebody types, for a topic nothing.
	Typed string
	// Long has more than a line; Code is written from left to right.
	Long, Code bool

	italian string // label
}

// Topic tells that the field takes words alone.
func (f Field) Topic() bool { return strings.HasPrefix(f.Key, topicMark) }

// ID of the element that takes what is typed, after a prefix for its card.
func (f Field) ID(prefix string) string {
	return prefix + "nuovo-" + strings.NewReplacer("[", "-", "]", "", ".", "-", topicMark, "").Replace(f.Key)
}

// SeenName is that of the form's field with what the person saw.
func (f Field) SeenName(prefix string) string { return prefix + seenName + f.Key }

// TypedName is that of the form's field with what the person typed.
func (f Field) TypedName(prefix string) string { return prefix + typedName + f.Key }

// Changed tells whether something else than the record's value was typed.
func (f Field) Changed() bool {
	if f.Topic() {
		return f.Typed != ""
	}
	return plain(f.Typed) != plain(f.Value)
}

const (
	topicMark           = "@"
	seenName, typedName = "ora.", "nuovo."
)

// TooLong counts the characters that are too many.
func (f Field) TooLong() int { return max(utf8.RuneCountInString(f.Typed)-Most, 0) }

// keyForm is what the key of a field looks like.
var keyForm = regexp.MustCompile(`^(@[a-z]{1,20}|[A-Za-z][A-Za-z0-9]{0,60}(\[[0-9]{1,4}\])?(\.[A-Za-z][A-Za-z0-9]{0,60}(\[[0-9]{1,4}\])?){0,5})$`)

// Read takes what was typed from a form, with the names of its fields after a prefix, in the order of the record's own fields; without
// the record, which may be away, in that of the names. The value of a field stays what the person saw.
func Read(w Words, l wording.Language, record proto.Message, values url.Values, prefix string) []Field {
	var fields []Field
	if record != nil {
		fields = Of(w, l, record)
	}
	var names []string
	for name := range values {
		if key, ok := strings.CutPrefix(name, prefix+seenName); ok && keyForm.MatchString(key) {
			names = append(names, key)
		}
	}
	slices.Sort(names)
	for _, key := range names {
		if len(fields) < 2*mostChanges && !slices.ContainsFunc(fields, func(f Field) bool { return f.Key == key }) {
			fields = append(fields, newField(w, l, key, ""))
		}
	}
	for i := range fields {
		f := &fields[i]
		if !values.Has(f.TypedName(prefix)) {
			continue
		}
		f.Typed = Clean(values.Get(f.TypedName(prefix)))
		if seen := Clean(values.Get(f.SeenName(prefix))); seen != f.Value {
			f.Value, f.Shown, f.Language = seen, seen, wording.Italian
		}
		f.Long = f.Long || isLong(f.Typed)
	}
	return fields
}

// Changes are what a correction says of fields, with the field of each: -1 for the words that fit none.
func Changes(w Words, fields []Field, other string) (changes []*editorialv1.Correction_Change, places []int) {
	add := func(place int, change *editorialv1.Correction_Change) {
		if len(changes) < mostChanges {
			changes, places = append(changes, change), append(places, place)
		}
	}
	for i, f := range fields {
		switch {
		case !f.Changed():
		case f.Topic():
			add(i, &editorialv1.Correction_Change{Current: Shortened(f.italian + ": " + f.Value), Proposed: f.Typed})
		case f.Typed == "":
			add(i, &editorialv1.Correction_Change{
				Current: Shortened(f.italian + ": " + f.Value), Proposed: w.In(wording.Italian, "correct.drop", "Field", f.italian),
			})
		default:
			add(i, &editorialv1.Correction_Change{Field: f.Key, Current: Shortened(f.Value), Proposed: f.Typed})
		}
	}
	if other != "" {
		add(-1, &editorialv1.Correction_Change{Proposed: other})
	}
	return changes, places
}

// Shortened is the beginning of a text, as long as the contract has room for.
func Shortened(text string) string {
	if utf8.RuneCountInString(text) <= Most {
		return text
	}
	return string([]rune(text)[:Most-1]) + "…"
}

// Clean makes a text that the contract admits of whatever a browser sent.
func Clean(text string) string {
	text = strings.ToValidUTF8(strings.ReplaceAll(text, "\r\n", "\n"), "\uFFFD")
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r == 0x7f {
			return -1
		}
		return r
	}, text))
}

// plain is a text without what a browser may change in it.
func plain(text string) string { return strings.Join(strings.Fields(text), " ") }

func isLong(text string) bool {
	return utf8.RuneCountInString(text) > 60 || strings.Contains(text, "\n")
}
