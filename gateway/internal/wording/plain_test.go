package wording_test

import (
	"strings"
	"testing"

	"cidsistem.example/gateway/gulpease"
	"cidsistem.example/gateway/internal/wording"
)

const (
	// sentence is the number of words from which a text counts as a sentence, not a label.
	sentence = 5
	// long is the number of words from which a text is measured on its own.
	long = 12
	// hardest is the index that a long text must reach on its own: one hard word weighs much in so few.
	hardest = 50
)

func TestItalianIsPlain(t *testing.T) {
	areas := map[string]gulpease.Counts{}
	for id, m := range read(t, wording.Italian) {
		text := m.texts["other"]
		counts := gulpease.Count(gap.ReplaceAllString(strings.ReplaceAll(text, "{{.Count}}", "20"), "parola"))
		if counts.Words >= sentence {
			areas[m.area] = areas[m.area].Add(counts)
		}
		if counts.Words >= long && counts.Index() < hardest {
			t.Errorf("%s %s: Gulpease %.0f, want %d: %s", m.area, id, counts.Index(), hardest, text)
		}
	}
	if len(areas) == 0 {
		t.Fatal("no sentence found")
	}
	for area, counts := range areas {
		t.Logf("%s: %d words, Gulpease %.0f", area, counts.Words, counts.Index())
		if counts.Index() < gulpease.Plain {
			t.Errorf("%s: Gulpease %.0f, want %d", area, counts.Index(), gulpease.Plain)
		}
	}
}
