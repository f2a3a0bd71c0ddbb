package wording_test

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"cidsistem.example/gateway/internal/wording"
)

// forms are those that CLDR has for whole numbers of each language. Its "many" of Italian and French begins at a million, which nothing reaches.
var forms = map[wording.Language][]string{
	wording.Italian: {"one", "other"},
	wording.English: {"one", "other"},
	wording.French:  {"one", "other"},
	wording.Arabic:  {"few", "many", "one", "other", "two", "zero"},
}

// A message as its file has it: its texts by plural form; one that is not plural has "other" alone.
type message struct {
	area   string
	plural bool
	texts  map[string]string
}

// read has the messages of a language by ID, from the files themselves.
func read(t *testing.T, l wording.Language) map[string]message {
	t.Helper()
	dir := os.DirFS("words")
	names, err := fs.Glob(dir, "*."+string(l)+".yaml")
	if err != nil || len(names) == 0 {
		t.Fatalf("words in %s: %d files, %v", l, len(names), err)
	}
	messages := map[string]message{}
	for _, name := range names {
		text, err := fs.ReadFile(dir, name)
		if err != nil {
			t.Fatal(err)
		}
		var tree map[string]any
		if err := yaml.Unmarshal(text, &tree); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		area, _, _ := strings.Cut(name, ".")
		flatten(t, area, "", tree, messages)
	}
	return messages
}

func flatten(t *testing.T, area, prefix string, tree map[string]any, into map[string]message) {
	t.Helper()
	for key, value := range tree {
		id := prefix + key
		switch v := value.(type) {
		case string:
			into[id] = message{area, false, map[string]string{"other": v}}
		case map[string]any:
			if _, plural := v["other"].(string); !plural {
				flatten(t, area, id+".", v, into)
				continue
			}
			texts := map[string]string{}
			for form, text := range v {
				texts[form] = fmt.Sprint(text)
			}
			into[id] = message{area, true, texts}
		default:
			t.Errorf("%s: %s is %v, want a text in quotation marks", area, id, value)
		}
	}
}

func load(t *testing.T) *wording.Words {
	t.Helper()
	words, err := wording.Load()
	if err != nil {
		t.Fatal(err)
	}
	return words
}

// forOperators tells that a message is of the signed-in side of the portal, which is Italian: its area begins with "lavoro".
func forOperators(m message) bool { return strings.HasPrefix(m.area, "lavoro") }

func TestEveryLanguageHasTheItalianMessages(t *testing.T) {
	words := load(t)
	everybody := words.IDs(wording.Italian)
	inFiles := read(t, wording.Italian)
	public := slices.DeleteFunc(slices.Clone(everybody), func(id string) bool { return forOperators(inFiles[id]) })
	if len(public) == 0 {
		t.Fatal("no words at all")
	}
	for _, l := range wording.Languages() {
		t.Run(string(l), func(t *testing.T) {
			italian := public
			if l == wording.Italian {
				italian = everybody
			}
			if diff := cmp.Diff(italian, words.IDs(l)); diff != "" {
				t.Errorf("messages (-Italian +%s):\n%s", l, diff)
			}
			if diff := cmp.Diff(slices.Sorted(maps.Keys(read(t, l))), words.IDs(l)); diff != "" {
				t.Errorf("messages (-files +loaded): is a reserved word used as a name?\n%s", diff)
			}
		})
	}
}

var (
	gap   = regexp.MustCompile(`{{\.(\w+)}}`)
	brace = regexp.MustCompile(`{{|}}`)
)

// gaps of a text, sorted.
func gaps(text string) []string {
	var names []string
	for _, found := range gap.FindAllStringSubmatch(text, -1) {
		names = append(names, found[1])
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func TestTextsAreWholeAndHaveTheGapsOfTheItalian(t *testing.T) {
	italian := read(t, wording.Italian)
	for _, l := range wording.Languages() {
		t.Run(string(l), func(t *testing.T) {
			for id, m := range read(t, l) {
				original, ok := italian[id]
				if !ok {
					continue // the test above says it
				}
				if m.plural != original.plural {
					t.Errorf("%s: plural is %t, in Italian %t", id, m.plural, original.plural)
					continue
				}
				if got := slices.Sorted(maps.Keys(m.texts)); m.plural && !slices.Equal(got, forms[l]) {
					t.Errorf("%s: forms %v, want %v", id, got, forms[l])
				}
				for form, text := range m.texts {
					if strings.TrimSpace(text) == "" || strings.TrimSpace(text) != text {
						t.Errorf("%s (%s): %q is empty, or has space at an end", id, form, text)
					}
					if brace.MatchString(gap.ReplaceAllString(text, "")) {
						t.Errorf("%s (%s): %q, gaps are written {{.Name}}", id, form, text)
					}
					got, want := gaps(text), gaps(original.texts["other"])
					if m.plural && form != "other" { // "one thing", "two things" can do without the number
						got, want = without(got, "Count"), without(want, "Count")
					}
					if !slices.Equal(got, want) {
						t.Errorf("%s (%s): gaps %v, in Italian %v", id, form, got, want)
					}
				}
			}
		})
	}
}

func without(names []string, one string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return name == one })
}

func TestEveryMessageCanBeSaid(t *testing.T) {
	words := load(t)
	values := func(m message) []any {
		var values []any
		for _, name := range gaps(m.texts["other"]) {
			values = append(values, name, "‹"+name+"›")
		}
		return values
	}
	check := func(t *testing.T, id, text string, err error, m message) {
		t.Helper()
		if err != nil || text == "" || strings.Contains(text, "<no value>") {
			t.Errorf("%s: %q, %v", id, text, err)
		}
		for _, name := range without(gaps(m.texts["other"]), "Count") {
			if !strings.Contains(text, "‹"+name+"›") {
				t.Errorf("%s: %q lacks %s", id, text, name)
			}
		}
	}
	for _, l := range wording.Languages() {
		t.Run(string(l), func(t *testing.T) {
			for id, m := range read(t, l) {
				if !m.plural {
					text, err := words.Say(l, id, values(m)...)
					check(t, id, text, err, m)
					continue
				}
				for _, count := range []int{0, 1, 2, 3, 10, 11, 99, 100, 102, 103, 111, 1000, 999_999} {
					text, err := words.Count(l, id, count, values(m)...)
					check(t, id, text, err, m)
				}
			}
		})
	}
}

func TestSay(t *testing.T) {
	words := load(t)
	tests := []struct {
		language wording.Language
		id       string
		values   []any
		want     string
	}{
		{wording.Italian, "fit.yes", nil, "Sì"},
		{wording.Arabic, "fit.yes", nil, "نعم"},
		{wording.Italian, "results.titleFor", []any{"Words", "pulmino"}, "Servizi per «pulmino»"},
		{wording.English, "results.titleFor", []any{"Words", "<script>"}, "Services for “<script>”"}, // the templates escape
		{wording.French, "card.since", []any{"Date", "3 mars 2026"}, "depuis le 3 mars 2026"},
		{wording.English, "date.day", []any{"Day", 3, "Month", "March", "Year", 2026}, "3 March 2026"},
	}
	for _, test := range tests {
		t.Run(string(test.language)+" "+test.id, func(t *testing.T) {
			if got, err := words.Say(test.language, test.id, test.values...); err != nil || got != test.want {
				t.Errorf("%q, %v, want %q", got, err, test.want)
			}
		})
	}
}

func TestCount(t *testing.T) {
	words := load(t)
	tests := []struct {
		language wording.Language
		count    int
		want     string
	}{
		{wording.Italian, 0, "0 risultati per «bus»"},
		{wording.Italian, 1, "1 risultato per «bus»"},
		{wording.Italian, 21, "21 risultati per «bus»"},
		{wording.Italian, 2_000_000, "2000000 risultati per «bus»"},
		{wording.English, 0, "0 results for “bus”"},
		{wording.English, 1, "1 result for “bus”"},
		{wording.French, 0, "0 résultat pour «\u00a0bus\u00a0»"},
		{wording.French, 2, "2 résultats pour «\u00a0bus\u00a0»"},
		{wording.French, 1_000_000, "1000000 résultats pour «\u00a0bus\u00a0»"},
		{wording.Arabic, 0, "لا نتائج عن «bus»"},
		{wording.Arabic, 1, "نتيجة واحدة عن «bus»"},
		{wording.Arabic, 2, "نتيجتان عن «bus»"},
		{wording.Arabic, 3, "3 نتائج عن «bus»"},
		{wording.Arabic, 11, "11 نتيجة عن «bus»"},
		{wording.Arabic, 103, "103 نتائج عن «bus»"},
	}
	for _, test := range tests {
		t.Run(fmt.Sprint(test.language, test.count), func(t *testing.T) {
			if got, err := words.Count(test.language, "find.countFor", test.count, "Words", "bus"); err != nil || got != test.want {
				t.Errorf("%q, %v, want %q", got, err, test.want)
			}
		})
	}
}

func TestWhatNothingIsCalledIsAnError(t *testing.T) {
	words := load(t)
	for _, l := range wording.Languages() {
		if text, err := words.Say(l, "no.such"); err == nil || !strings.Contains(err.Error(), "no.such") {
			t.Errorf("said in %s: %q, %v", l, text, err)
		}
		if text, err := words.Count(l, "no.such", 2); err == nil || !strings.Contains(err.Error(), "no.such") {
			t.Errorf("counted in %s: %q, %v", l, text, err)
		}
	}
	if words.Has("no.such") || !words.Has("home.title") {
		t.Error("Has tells neither what is there nor what is not")
	}
}
