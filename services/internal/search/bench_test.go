package search_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/search"
)

// corpus makes synthetic records, the same for the same seed: made-up words with
// the frequencies of a language (a word's rank times its frequency is constant).
type corpus struct {
	random *rand.Rand
	zipf   *rand.Zipf
	words  []string
}

func newCorpus() *corpus {
	random := rand.New(rand.NewPCG(1, 2))
	c := &corpus{random: random}
	syllables := strings.Fields("ma re lo sci tra ni po de vi gu che sto an bel cor fi nu sal ten zo pra mi ca ri tu ge lla tto sse nde")
	seen := map[string]bool{}
	for len(c.words) < 30000 {
		var word strings.Builder
		for range 2 + random.IntN(4) {
			word.WriteString(syllables[random.IntN(len(syllables))])
		}
		if !seen[word.String()] {
			seen[word.String()] = true
			c.words = append(c.words, word.String())
		}
	}
	c.zipf = rand.NewZipf(random, 1.07, 8, uint64(len(c.words)-1))
	return c
}

func (c *corpus) text(n int) *registryv1.LocalizedText {
	var text strings.Builder
	for i := range n {
		switch {
		case i > 0 && i%12 == 0:
			text.WriteString(". ")
		case i > 0:
			text.WriteByte(' ')
		}
		text.WriteString(c.words[c.zipf.Uint64()])
	}
	return &registryv1.LocalizedText{It: text.String()}
}

// service makes a service with about so many words.
func (c *corpus) service(i, words int) search.Change {
	comune := []string{"marsala", "mazara-del-vallo", "pantelleria"}[c.random.IntN(3)]
	s := &registryv1.Service{
		Name:         fmt.Sprintf("comuni/%s/services/s%07d", comune, i),
		Title:        c.text(6),
		Summary:      c.text(24),
		Description:  c.text((words - 30) / 2),
		HowTo:        c.text((words - 30) / 4),
		Conditions:   c.text((words - 30) / 4),
		Keywords:     []string{c.words[c.random.IntN(3000)], c.words[c.random.IntN(3000)]},
		Status:       &registryv1.Status{State: registryv1.Status_State(1 + c.random.IntN(8))},
		TargetGroups: []registryv1.TargetGroup{registryv1.TargetGroup(1 + c.random.IntN(8)), registryv1.TargetGroup(1 + c.random.IntN(8))},
		Categories:   []*registryv1.CodedValue{{Scheme: "inps-prestazioni-isee", Code: fmt.Sprintf("A1.%02d", c.random.IntN(40))}},
		Languages:    []string{"it"},
		Access:       []*registryv1.AccessChannel{{Kind: registryv1.AccessChannel_Kind(1 + c.random.IntN(8))}},
		Costs:        []*registryv1.CostOption{{Kind: registryv1.CostOption_Kind(1 + c.random.IntN(6))}},
		Visibility:   registryv1.Visibility_PUBLIC,
	}
	return search.Change{Name: s.Name, Record: s}
}

const (
	benchRecords = 100_000
	benchBatch   = 500
	benchWords   = 300
)

// benched is an index of benchRecords records, made once.
var benched = sync.OnceValues(func() (*search.Index, error) {
	dir, err := os.MkdirTemp("", "search")
	if err != nil {
		return nil, err
	}
	x, err := search.Open(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	c := newCorpus()
	for first := 0; first < benchRecords; first += benchBatch {
		changes := make([]search.Change, benchBatch)
		for i := range changes {
			changes[i] = c.service(first+i, benchWords)
		}
		if err := x.Apply(context.Background(), changes, search.Position{Revision: int64(first + benchBatch)}); err != nil {
			return nil, err
		}
	}
	return x, nil
})

func BenchmarkApply(b *testing.B) {
	for _, words := range []int{35, 100, benchWords} {
		b.Run(fmt.Sprintf("%d words", words), func(b *testing.B) {
			x := open(b, b.TempDir())
			c := newCorpus()
			changes := make([]search.Change, benchBatch)
			indexed := 0
			for b.Loop() {
				b.StopTimer()
				for i := range changes {
					changes[i] = c.service(indexed+i, words)
				}
				b.StartTimer()
				apply(b, x, changes, search.Position{Revision: int64(indexed)})
				indexed += len(changes)
			}
			b.ReportMetric(float64(indexed)/b.Elapsed().Seconds(), "records/s")
		})
	}
}

func BenchmarkSearch(b *testing.B) {
	x, err := benched()
	if err != nil {
		b.Fatal(err)
	}
	c := newCorpus()
	for _, kind := range []struct {
		name string
		req  func() *registryv1.SearchRequest
	}{
		{"two words and facets", func() *registryv1.SearchRequest {
			return &registryv1.SearchRequest{Q: c.words[20+c.random.IntN(500)] + " " + c.words[20+c.random.IntN(500)], Facets: true}
		}},
		{"two common words and facets", func() *registryv1.SearchRequest {
			return &registryv1.SearchRequest{Q: c.words[c.random.IntN(20)] + " " + c.words[c.random.IntN(20)], Facets: true}
		}},
		{"two words", func() *registryv1.SearchRequest {
			return &registryv1.SearchRequest{Q: c.words[20+c.random.IntN(500)] + " " + c.words[20+c.random.IntN(500)]}
		}},
		{"one word, facets, two filters", func() *registryv1.SearchRequest {
			return &registryv1.SearchRequest{Q: c.words[20+c.random.IntN(500)], Statuses: []string{"active"}, Access: []string{"desk", "online"}, Facets: true}
		}},
		{"misspelt word", func() *registryv1.SearchRequest {
			word := c.words[20+c.random.IntN(3000)]
			return &registryv1.SearchRequest{Q: word[:len(word)-2] + word[len(word)-1:]}
		}},
		{"300 letters, 30 misspelt words", func() *registryv1.SearchRequest {
			var q strings.Builder
			for q.Len() < 290 {
				word := c.words[c.random.IntN(len(c.words))]
				q.WriteString(word[:len(word)-1] + "k ")
			}
			return &registryv1.SearchRequest{Q: q.String(), Facets: true}
		}},
		{"everything, facets", func() *registryv1.SearchRequest {
			return &registryv1.SearchRequest{Facets: true}
		}},
		{"everything of a state, facets", func() *registryv1.SearchRequest {
			return &registryv1.SearchRequest{Statuses: []string{"active"}, Facets: true}
		}},
	} {
		b.Run(kind.name, func(b *testing.B) {
			var took []time.Duration
			hits := 0
			for b.Loop() {
				start := time.Now()
				result, err := x.Search(b.Context(), kind.req(), search.Scope{Visibility: registryv1.Visibility_PUBLIC, Size: 20})
				if err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(start))
				hits += result.Total
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
			b.ReportMetric(float64(took[len(took)*95/100].Microseconds())/1000, "p95-ms")
			b.ReportMetric(float64(hits/len(took)), "hits/op")
		})
	}
}

func BenchmarkSuggest(b *testing.B) {
	x, err := benched()
	if err != nil {
		b.Fatal(err)
	}
	c := newCorpus()
	for b.Loop() {
		word := c.words[c.random.IntN(3000)]
		if _, err := x.Suggest(b.Context(), &registryv1.SuggestRequest{Q: word[:min(len(word), 5)]}, search.Scope{}); err != nil {
			b.Fatal(err)
		}
	}
}
