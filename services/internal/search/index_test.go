package search_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/blevesearch/bleve/v2"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/search"
)

func open(t testing.TB, dir string) *search.Index {
	t.Helper()
	x, err := search.Open(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { x.Close() })
	return x
}

func apply(t testing.TB, x *search.Index, changes []search.Change, upTo search.Position) {
	t.Helper()
	if err := x.Apply(t.Context(), changes, upTo); err != nil {
		t.Fatal(err)
	}
}

func total(t testing.TB, x *search.Index, q string) int {
	t.Helper()
	return find(t, x, &registryv1.SearchRequest{Q: q}, public).Total
}

var somewhere = search.Position{Epoch: []byte("epoch"), Revision: 7, Digest: []byte{1, 2}}

func TestIndexSurvivesReopening(t *testing.T) {
	dir := t.TempDir()
	x := open(t, dir)
	if diff := cmp.Diff(search.Position{}, x.Position()); diff != "" {
		t.Errorf("position of a new index (-want +got):\n%s", diff)
	}
	for i := range 20 { // several segments, some with records that are gone
		apply(t, x, changesOf(service("one", "Gita"), service(fmt.Sprintf("s%02d", i), "Corso")), search.Position{Revision: int64(i)})
	}
	apply(t, x, changesOf(service("two", "Mare")), somewhere)
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	x = open(t, dir)
	if diff := cmp.Diff(somewhere, x.Position()); diff != "" {
		t.Errorf("position (-want +got):\n%s", diff)
	}
	if got := []int{total(t, x, "gita"), total(t, x, "corso"), total(t, x, "mare"), total(t, x, "")}; !slices.Equal(got, []int{1, 20, 1, 22}) {
		t.Errorf("totals %v, want [1 20 1 22]", got)
	}
}

func TestApplyIsIdempotent(t *testing.T) {
	x := open(t, "")
	changes := append(changesOf(service("one", "Gita"), service("two", "Gita")), search.Change{Name: "comuni/marsala/services/two"}, search.Change{Name: "comuni/marsala/services/never"})
	for range 3 {
		apply(t, x, changes, somewhere)
		if got := total(t, x, "gita"); got != 1 {
			t.Errorf("%d hits, want 1", got)
		}
	}
}

func TestApplyReplacesAndRemoves(t *testing.T) {
	x := open(t, "")
	apply(t, x, changesOf(service("one", "Gita", called("barca"))), somewhere)
	apply(t, x, changesOf(service("one", "Corso")), somewhere)
	if got := []int{total(t, x, "gita"), total(t, x, "barca"), total(t, x, "corso")}; !slices.Equal(got, []int{0, 0, 1}) {
		t.Errorf("totals %v after a replacement, want [0 0 1]", got)
	}
	deleted := service("one", "Corso")
	deleted.DeleteTime = timestamppb.Now()
	apply(t, x, changesOf(deleted), somewhere)
	if got := total(t, x, ""); got != 0 {
		t.Errorf("%d records after a deletion", got)
	}
	// The last change of a record in a batch counts.
	apply(t, x, changesOf(deleted, service("one", "Gita"), service("two", "Gita"), deleted), somewhere)
	if got := ids(find(t, x, &registryv1.SearchRequest{}, public)); !slices.Equal(got, []string{"two"}) {
		t.Errorf("records %v, want two", got)
	}
}

func TestApplyRefusesWhatIsNoRecord(t *testing.T) {
	x := open(t, "")
	for name, change := range map[string]search.Change{
		"no kind":       {Name: "comuni/marsala/services/one", Record: &registryv1.SearchHit{}},
		"no name":       {Name: "comuni/marsala/services/one", Record: &registryv1.Service{}},
		"another name":  {Name: "comuni/marsala/services/two", Record: service("one", "Gita")},
		"not of a kind": {Name: "comuni/marsala", Record: &registryv1.Service{Name: "comuni/marsala/unknown/one"}},
	} {
		changes := append(changesOf(service("fine", "Gita")), change)
		if err := x.Apply(t.Context(), changes, somewhere); err == nil {
			t.Errorf("%s: applied", name)
		}
	}
	if diff := cmp.Diff(search.Position{}, x.Position()); diff != "" || total(t, x, "") != 0 {
		t.Errorf("something was applied; position (-want +got):\n%s", diff)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := x.Apply(ctx, changesOf(service("one", "Gita")), somewhere); !errors.Is(err, context.Canceled) {
		t.Errorf("after the cancellation: %v", err)
	}
}

func TestSearchEndsWithItsContext(t *testing.T) {
	x := indexOf(t, service("one", "Gita"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, searched := x.Search(ctx, &registryv1.SearchRequest{Q: "gita"}, public)
	_, suggested := x.Suggest(ctx, &registryv1.SuggestRequest{Q: "gita"}, public)
	for what, err := range map[string]error{"search": searched, "suggest": suggested} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v, want the cancellation", what, err)
		}
	}
}

func TestReset(t *testing.T) {
	dir := t.TempDir()
	for _, x := range []*search.Index{open(t, ""), open(t, dir)} {
		apply(t, x, changesOf(service("one", "Gita")), somewhere)
		if err := x.Reset(); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(search.Position{}, x.Position()); diff != "" || total(t, x, "") != 0 {
			t.Errorf("position (-want +got):\n%s", diff)
		}
		apply(t, x, changesOf(service("two", "Gita")), somewhere)
		if got := total(t, x, ""); got != 1 {
			t.Errorf("%d records after the reset, want 1", got)
		}
		if err := x.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if x := open(t, dir); total(t, x, "") != 1 || x.Position().Revision != somewhere.Revision {
		t.Error("the index did not survive reopening after a reset")
	}
}

func TestClosedIndexSaysSo(t *testing.T) {
	x := open(t, "")
	for range 2 {
		if err := x.Close(); err != nil {
			t.Fatal(err)
		}
	}
	_, searched := x.Search(t.Context(), &registryv1.SearchRequest{Q: "gita"}, public)
	_, suggested := x.Suggest(t.Context(), &registryv1.SuggestRequest{Q: "gita"}, public)
	for what, err := range map[string]error{
		"search": searched, "suggest": suggested, "reset": x.Reset(), "apply": x.Apply(t.Context(), nil, somewhere),
	} {
		if !errors.Is(err, search.ErrClosed) {
			t.Errorf("%s: %v, want that the index is closed", what, err)
		}
	}
}

// filesOf lists the files of an index by kind of name.
func filesOf(t *testing.T, dir string) map[string][]string {
	t.Helper()
	files := map[string][]string{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files[filepath.Ext(path)] = append(files[filepath.Ext(path)], path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestDamagedIndexIsReplaced(t *testing.T) {
	damage := func(ext string, how func(content []byte) []byte) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			files := filesOf(t, dir)[ext]
			if len(files) == 0 {
				t.Fatalf("the index has no %s file: %v", ext, filesOf(t, dir))
			}
			for _, path := range files {
				content, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, how(bytes.Clone(content)), 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	cut := func(content []byte) []byte { return content[:len(content)/2] }
	empty := func([]byte) []byte { return nil }
	noise := func(content []byte) []byte {
		random := rand.New(rand.NewPCG(3, 4))
		for i := range content {
			content[i] = byte(random.Uint32())
		}
		return content
	}
	flip := func(content []byte) []byte { content[len(content)/3] ^= 4; return content }
	for name, harm := range map[string]func(*testing.T, string){
		"segment cut":       damage(".zap", cut),
		"segment empty":     damage(".zap", empty),
		"segment noise":     damage(".zap", noise),
		"segment bit":       damage(".zap", flip),
		"segment gone":      func(t *testing.T, dir string) { remove(t, filesOf(t, dir)[".zap"]...) },
		"root noise":        damage(".bolt", noise),
		"root empty":        damage(".bolt", empty),
		"root gone":         func(t *testing.T, dir string) { remove(t, filesOf(t, dir)[".bolt"]...) },
		"description noise": damage(".json", noise),
		"description gone":  func(t *testing.T, dir string) { remove(t, filesOf(t, dir)[".json"]...) },
		"made by another version": func(t *testing.T, dir string) {
			inner, err := bleve.OpenUsing(filepath.Join(dir, "bleve"), map[string]any{"unsafe_batch": false})
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(inner.SetInternal([]byte("version"), []byte("0")), inner.Close()); err != nil {
				t.Fatal(err)
			}
		},
		"a file in its place": func(t *testing.T, dir string) {
			path := filepath.Join(dir, "bleve")
			if err := os.RemoveAll(path); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte("?"), 0o600); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			x := open(t, dir)
			apply(t, x, changesOf(service("one", "Gita")), somewhere)
			if err := x.Close(); err != nil {
				t.Fatal(err)
			}
			kept := filepath.Join(dir, "kept")
			if err := os.WriteFile(kept, []byte("not the index"), 0o600); err != nil {
				t.Fatal(err)
			}
			harm(t, dir)
			x = open(t, dir)
			if diff := cmp.Diff(search.Position{}, x.Position()); diff != "" || total(t, x, "") != 0 {
				t.Fatalf("the damaged index was used; position (-want +got):\n%s", diff)
			}
			apply(t, x, changesOf(service("one", "Gita")), somewhere)
			if err := x.Close(); err != nil {
				t.Fatal(err)
			}
			if x = open(t, dir); total(t, x, "gita") != 1 || x.Position().Revision != somewhere.Revision {
				t.Error("the new index did not survive")
			}
			if _, err := os.Stat(kept); err != nil {
				t.Errorf("another file of the folder went along: %v", err)
			}
		})
	}
}

func remove(t *testing.T, paths ...string) {
	t.Helper()
	for _, path := range paths {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

func TestIndexInUseIsLeftAlone(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for the lock")
	}
	dir := t.TempDir()
	x := open(t, dir)
	apply(t, x, changesOf(service("one", "Gita")), somewhere)
	if second, err := search.Open(dir, slog.New(slog.DiscardHandler)); err == nil {
		second.Close()
		t.Fatal("opened twice")
	}
	if total(t, x, "gita") != 1 {
		t.Error("the index in use lost its records")
	}
}

// The index finds exactly the living records, each by a word of its own.
func TestIndexHasWhatLives(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		x, err := search.Open("", slog.New(slog.DiscardHandler))
		if err != nil {
			rt.Fatal(err)
		}
		defer x.Close()
		living := map[string]string{} // id to its word
		next := 0
		for range rapid.IntRange(1, 12).Draw(rt, "batches") {
			var changes []search.Change
			for range rapid.IntRange(0, 6).Draw(rt, "changes") {
				id := fmt.Sprintf("record-%d", rapid.IntRange(0, 9).Draw(rt, "id"))
				next++
				token := fmt.Sprintf("segno%d", next) // digits are never taken for misspelt
				record := service(id, "Gita "+token)
				switch rapid.IntRange(0, 3).Draw(rt, "change") {
				case 0:
					changes = append(changes, search.Change{Name: record.Name})
					delete(living, id)
				case 1:
					record.DeleteTime = timestamppb.Now()
					changes = append(changes, search.Change{Name: record.Name, Record: record})
					delete(living, id)
				default:
					changes = append(changes, search.Change{Name: record.Name, Record: record})
					living[id] = token
				}
			}
			if err := x.Apply(context.Background(), changes, search.Position{Revision: int64(next)}); err != nil {
				rt.Fatal(err)
			}
		}
		all, err := x.Search(context.Background(), &registryv1.SearchRequest{Facets: true}, public)
		if err != nil {
			rt.Fatal(err)
		}
		if diff := cmp.Diff(slices.Sorted(maps.Keys(living)), ids(all)); diff != "" {
			rt.Fatalf("records (-want +got):\n%s", diff)
		}
		for n := 1; n <= next; n++ {
			token := fmt.Sprintf("segno%d", n)
			found, err := x.Search(context.Background(), &registryv1.SearchRequest{Q: token + " gita"}, public)
			if err != nil {
				rt.Fatal(err)
			}
			var want []string
			for id, has := range living {
				if has == token {
					want = append(want, id)
				}
			}
			got := ids(found)
			if found.Relaxed {
				got = nil
			}
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				rt.Fatalf("%s finds %v, want %v", token, got, want)
			}
		}
	})
}

func TestSearchWhileTheIndexChanges(t *testing.T) {
	x := open(t, t.TempDir())
	apply(t, x, changesOf(service("still", "Gita")), somewhere)
	var readers sync.WaitGroup
	done := make(chan struct{})
	for range 3 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				result, err := x.Search(t.Context(), &registryv1.SearchRequest{Q: "gita", Facets: true}, public)
				if err != nil {
					t.Error(err)
					return
				}
				counted := countsOf(result, "comuni")
				if result.Total != len(result.Hits) || len(counted) != 1 || counted[0] != fmt.Sprintf("marsala %d", result.Total) {
					t.Errorf("total %d, %d hits, counts %v", result.Total, len(result.Hits), counted)
					return
				}
			}
		})
	}
	for i := range 60 {
		change := search.Change{Name: "comuni/marsala/services/moving"}
		if i%2 == 0 {
			change.Record = service("moving", "Gita")
		}
		apply(t, x, []search.Change{change}, somewhere)
	}
	close(done)
	readers.Wait()
}

func FuzzSearch(f *testing.F) {
	x := indexOf(f,
		service("one", "Trasporto sociale", called("pulmino"), described("Per chi ha l'accompagno, <b>città</b> di Marsala")),
		service("two", "Assistenza domiciliare", func(s *registryv1.Service) { translated(s.Title, "ar", "مساعدة منزلية") }),
	)
	for _, q := range []string{
		"", " ", "trasporto", "il la di", "+title:x^2~ -\"a b\" (OR) /re.*/ [a TO b] *?\\", "\x00\xff\xfe", "à\u0301\u0301\u0301",
		"نقل", "ـــــ", "👩🏽‍🦽 carrozzina", "\u202eartsulli", "ﬁsioterapia", "ＡＢＣ", "İstanbul", "A.B.C.", "a.b", "....", "''''",
		strings.Repeat("a", 300), strings.Repeat("è ", 150), strings.Repeat("trasporto ", 30), "\u00ad\u200d", "1e9 0x7f 12345678901234567890",
		"legge 104 art. 3 comma 3", "comuni=marsala", "日本語 テスト", "ß ǆ ŉ", "\U0001d400",
	} {
		f.Add(q)
	}
	f.Fuzz(func(t *testing.T, q string) {
		result, err := x.Search(t.Context(), &registryv1.SearchRequest{Q: q, Facets: true, Comuni: []string{q, "marsala"}}, public)
		if err != nil {
			t.Fatal(err)
		}
		if len(result.Hits) != result.Total {
			t.Errorf("%d hits of %d", len(result.Hits), result.Total)
		}
		for _, hit := range result.Hits {
			plain := strings.NewReplacer("<mark>", "", "</mark>", "").Replace(hit.Snippet)
			if strings.ContainsAny(plain, "<>") {
				t.Errorf("snippet %q is not escaped", hit.Snippet)
			}
		}
		if _, err := x.Suggest(t.Context(), &registryv1.SuggestRequest{Q: q}, public); err != nil {
			t.Fatal(err)
		}
		// What stands in a text is found by it, and shows it.
		if err := x.Apply(t.Context(), changesOf(service("fuzzed", "Prova", described(q))), somewhere); err != nil {
			t.Skip(err) // not valid UTF-8: no record has that
		}
		result, err = x.Search(t.Context(), &registryv1.SearchRequest{Q: q}, public)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(ids(result), "fuzzed") {
			t.Errorf("%q does not find itself: %v", q, ids(result))
		}
	})
}
