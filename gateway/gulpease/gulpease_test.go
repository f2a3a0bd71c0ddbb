package gulpease_test

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cidsistem.example/gateway/gulpease"
)

func TestCountsAndIndex(t *testing.T) {
	tests := []struct {
		name, text string
		counts     gulpease.Counts
		index      float64
	}{
		{"nothing", "", gulpease.Counts{}, 100},
		{"marks only", " … – !\n", gulpease.Counts{}, 100},
		{"one word", "Sì", gulpease.Counts{Letters: 2, Words: 1, Sentences: 1}, 100},
		{"more than 100 is 100", "Il cane corre.", gulpease.Counts{Letters: 11, Words: 3, Sentences: 1}, 100},
		{"less than 0 is 0", "Precipitevolissimevolmente intergovernativizzazioni.", gulpease.Counts{Letters: 50, Words: 2, Sentences: 1}, 0},
		{"two sentences", "Il centro apre alle 9. Si entra dal cortile.", gulpease.Counts{Letters: 34, Words: 9, Sentences: 2}, 89 + (300*2-10*34)/9.0},
		{"no stop at the end", "Il centro apre alle 9. Si entra dal cortile", gulpease.Counts{Letters: 34, Words: 9, Sentences: 2}, 89 + (300*2-10*34)/9.0},
		{"abbreviations and numbers end nothing", "Serve il verbale della L. 104/1992, art. 3, comma 3.", gulpease.Counts{Letters: 37, Words: 11, Sentences: 1}, 89 + (300*1-10*37)/11.0},
		{"thousands", "Costa 1.500 euro, più o meno.", gulpease.Counts{Letters: 21, Words: 7, Sentences: 1}, 89 + (300*1-10*21)/7.0},
		{"quotation marks", "«Che cosa ti serve?» Diccelo tu.", gulpease.Counts{Letters: 23, Words: 6, Sentences: 2}, 100},
		{"lines", "Chiama.\n1 euro al giorno.\n\nTelefona prima", gulpease.Counts{Letters: 32, Words: 7, Sentences: 3}, 100},
		{"apostrophes part words", "L'ufficio dell'ospedale", gulpease.Counts{Letters: 20, Words: 4, Sentences: 1}, 89 + (300*1-10*20)/4.0},
		{"one letter at the end", "Vai alla porta. A", gulpease.Counts{Letters: 13, Words: 4, Sentences: 2}, 100},
		{"accents apart", "Perche\u0301 no", gulpease.Counts{Letters: 8, Words: 2, Sentences: 1}, 100},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.counts, gulpease.Count(test.text)); diff != "" {
				t.Errorf("%q (-want +got):\n%s", test.text, diff)
			}
			if want, got := min(test.index, 100), gulpease.Index(test.text); math.Abs(want-got) > 0.001 {
				t.Errorf("%q: %.3f, want %.3f", test.text, got, want)
			}
		})
	}
}

func TestTextsAreMeasuredAsOne(t *testing.T) {
	one, two := "Il centro apre alle 9.", "Si entra dal cortile, che si trova dietro la scuola."
	if sum, whole := gulpease.Count(one).Add(gulpease.Count(two)), gulpease.Count(one+" "+two); sum != whole {
		t.Errorf("%+v added up, %+v as one text", sum, whole)
	}
}

func FuzzIndex(f *testing.F) {
	for _, text := range []string{"", "Il centro apre alle 9. Si entra dal cortile.", "«Sì.»\n\n1", "\xff. A", "...A"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c := gulpease.Count(text)
		if index := c.Index(); index < 0 || index > 100 || math.IsNaN(index) {
			t.Errorf("index %v", index)
		}
		if c.Words > c.Letters || (c.Words == 0) != (c.Sentences == 0) {
			t.Errorf("%+v", c)
		}
	})
}
