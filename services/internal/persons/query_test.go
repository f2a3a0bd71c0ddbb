package persons_test

import (
	"slices"
	"testing"

	"cidsistem.example/services/internal/persons"
)

func TestQuery(t *testing.T) {
	fields := []persons.Field{
		{Path: "name", Text: "Nòme D'Esempio"},
		{Path: "telephone", Text: "+39 0923/12.34-56"},
		{Path: "email", Text: "Posta.Mia@Example.org"},
		{Path: "text", Text: "Il nome sta anche qui, 1234."},
	}
	for query, want := range map[string][]string{
		"nome":                  {"name", "text"},
		"NOME d'esempio":        {"name", "text"},
		"esempio nome":          {"name", "text"},
		"nome posta.mia":        {"name", "email", "text"},
		"posta.mia@example.org": {"email"},
		"092312 3456":           {"telephone"},
		"0923 12 34 56":         {"telephone"},
		"+39 0923 123456":       {"telephone"},
		"1234":                  {"text"},
		"nome altro":            nil,
		"altro":                 nil,
		"0923 99 99 99":         nil,
	} {
		if got := persons.NewQuery(query).In(fields...); !slices.Equal(got, want) {
			t.Errorf("%q is in %v, want %v", query, got, want)
		}
	}
}

func FuzzQuery(f *testing.F) {
	for _, text := range []string{"nome", "+39 0923 123456", "è ' @", "\xff", ""} {
		f.Add(text, text)
	}
	f.Fuzz(func(t *testing.T, query, text string) {
		fields := persons.NewQuery(query).In(persons.Field{Path: "a", Text: text}, persons.Field{Path: "b", Text: text})
		if len(fields) == 1 {
			t.Errorf("%q is in one of two fields with the text %q", query, text)
		}
	})
}
