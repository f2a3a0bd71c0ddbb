// Package wording has the words of the portal in its languages. Italian comes first: what another language lacks is said in Italian.
package wording

import (
	"embed"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"github.com/nicksnyder/go-i18n/v2/i18n"
	"go.yaml.in/yaml/v3"
	"golang.org/x/text/language"
)

//go:embed words/*.yaml
var files embed.FS

// A Language of the portal, as BCP 47 writes it.
type Language string

// The languages, in the order in which they are offered.
const (
	Italian Language = "it"
	English Language = "en"
	French  Language = "fr"
	Arabic  Language = "ar"
)

// Languages lists all of them, Italian first.
func Languages() []Language { return []Language{Italian, English, French, Arabic} }

// Direction is how the language is written: "ltr" or "rtl".
func (l Language) Direction() string {
	if l == Arabic {
		return "rtl"
	}
	return "ltr"
}

// OwnName is what its speakers call it.
func (l Language) OwnName() string {
	return map[Language]string{Italian: "Italiano", English: "English", French: "Français", Arabic: "العربية"}[l]
}

// Words are the words of all languages.
type Words struct {
	plain map[Language]map[string]string
	bound map[Language]*i18n.Localizer
}

// Load reads the words.
func Load() (*Words, error) { return load() }

var load = sync.OnceValues(func() (*Words, error) {
	bundle := i18n.NewBundle(language.Italian)
	bundle.RegisterUnmarshalFunc("yaml", yaml.Unmarshal)
	w := &Words{plain: map[Language]map[string]string{}, bound: map[Language]*i18n.Localizer{}}
	for _, l := range Languages() {
		w.plain[l] = map[string]string{}
	}
	names, err := fs.Glob(files, "words/*.yaml")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		file, err := bundle.LoadMessageFileFS(files, name)
		if err != nil {
			return nil, fmt.Errorf("words: %w", err)
		}
		l := Language(file.Tag.String())
		if !slices.Contains(Languages(), l) {
			return nil, fmt.Errorf("words: %s is in no language of the portal", name)
		}
		for _, message := range file.Messages {
			if _, twice := w.plain[l][message.ID]; twice {
				return nil, fmt.Errorf("words: %s says %q a second time", name, message.ID)
			}
			w.plain[l][message.ID] = message.Other
		}
	}
	for _, l := range Languages() {
		w.bound[l] = i18n.NewLocalizer(bundle, string(l))
	}
	return w, nil
})

// IDs of all messages that a language has, sorted.
func (w *Words) IDs(l Language) []string {
	ids := make([]string, 0, len(w.plain[l]))
	for id := range w.plain[l] {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// Has tells whether any language has a message.
func (w *Words) Has(id string) bool { _, ok := w.plain[Italian][id]; return ok }

// Say says a message, with values for its gaps: name, value, name, value.
func (w *Words) Say(l Language, id string, values ...any) (string, error) {
	text, ok := w.plain[l][id]
	if !ok {
		if text, ok = w.plain[Italian][id]; !ok {
			return "", fmt.Errorf("words: nothing is called %q", id)
		}
		l = Italian
	}
	if !strings.Contains(text, "{{") {
		return text, nil
	}
	return w.bound[l].Localize(&i18n.LocalizeConfig{MessageID: id, TemplateData: gaps(values)})
}

// Count says a message about a number of things, in the form that the number asks for; the number is {{.Count}}.
func (w *Words) Count(l Language, id string, count int, values ...any) (string, error) {
	if !w.Has(id) {
		return "", fmt.Errorf("words: nothing is called %q", id)
	}
	if _, ok := w.plain[l][id]; !ok {
		l = Italian
	}
	filled := gaps(values)
	filled["Count"] = count
	text, err := w.bound[l].Localize(&i18n.LocalizeConfig{MessageID: id, TemplateData: filled, PluralCount: count})
	if err != nil {
		// Round millions have a form of their own in Italian and French ("un milione di"), which no message here needs.
		return w.bound[l].Localize(&i18n.LocalizeConfig{MessageID: id, TemplateData: filled})
	}
	return text, nil
}

func gaps(values []any) map[string]any {
	filled := map[string]any{}
	for i := 0; i+1 < len(values); i += 2 {
		filled[fmt.Sprint(values[i])] = values[i+1]
	}
	return filled
}
