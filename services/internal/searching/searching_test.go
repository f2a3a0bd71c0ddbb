package searching_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/search"
	"cidsistem.example/services/internal/searching"
	"cidsistem.example/services/internal/store"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func service(id string) *registryv1.Service {
	return &registryv1.Service{Name: "comuni/marsala/services/" + id, Title: &registryv1.LocalizedText{It: "Trasporto " + id}}
}

func options(t testing.TB) store.Options {
	return store.Options{Path: filepath.Join(t.TempDir(), "registry.db"), ServerID: "marsala", Comune: "marsala", NoSync: true, Logger: quiet()}
}

func open(t testing.TB, o store.Options) *store.Store {
	t.Helper()
	s, err := store.Open(o)
	must(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func write(t testing.TB, s *store.Store, outcome store.Outcome) {
	t.Helper()
	_, err := s.Commit(t.Context(), store.Request{}, nil, func(store.Reader, store.Stamp) (store.Outcome, error) { return outcome, nil })
	must(t, err)
}

func fill(t testing.TB, s *store.Store, n int) {
	for i := range n {
		write(t, s, store.Outcome{Put: []proto.Message{service(fmt.Sprintf("s-%03d", i))}})
	}
}

// run runs a searcher until the returned function is called.
func run(t testing.TB, s *searching.Searcher) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("ended with %v", err)
		}
	}
}

func found(t testing.TB, s *searching.Searcher) int32 {
	t.Helper()
	answer, err := s.Search(t.Context(), &registryv1.SearchRequest{Q: "trasporto"}, searching.Scope{Comuni: []string{"marsala"}, Reader: registryv1.Visibility_PUBLIC}, 0, 10)
	must(t, err)
	return answer.GetTotalSize()
}

func TestIndexFollowsTheStore(t *testing.T) {
	s := open(t, options(t))
	fill(t, s, 300)
	dir := filepath.Join(t.TempDir(), "search")
	// What a rebuild that was cut short left behind.
	index, err := search.Open(dir, quiet())
	must(t, err)
	must(t, index.Apply(t.Context(), []search.Change{{Name: "comuni/marsala/services/ghost", Record: service("ghost")}}, search.Position{}))
	must(t, index.Close())

	searcher, err := searching.Open(dir, s, quiet())
	must(t, err)
	stop := run(t, searcher)
	must(t, searcher.Wait(t.Context()))
	if got := found(t, searcher); got != 300 {
		t.Errorf("finds %d of 300", got)
	}
	write(t, s, store.Outcome{Put: []proto.Message{service("new"), service("hidden-later")}})
	hidden := service("hidden-later")
	hidden.Visibility = registryv1.Visibility_LOCAL
	write(t, s, store.Outcome{Put: []proto.Message{hidden}})
	must(t, searcher.Wait(t.Context()))
	if got := found(t, searcher); got != 301 {
		t.Errorf("finds %d of 301", got)
	}
	stop()
	must(t, searcher.Close())

	// What was written while it was not running is found when it runs again.
	write(t, s, store.Outcome{Put: []proto.Message{service("meanwhile")}})
	searcher, err = searching.Open(dir, s, quiet())
	must(t, err)
	defer func() { must(t, searcher.Close()) }()
	defer run(t, searcher)()
	must(t, searcher.Wait(t.Context()))
	if got := found(t, searcher); got != 302 {
		t.Errorf("finds %d of 302", got)
	}
}

// An index of a history that is no more is made anew.
func TestIndexOfAnotherHistory(t *testing.T) {
	o := options(t)
	s := open(t, o)
	fill(t, s, 10)
	backup := filepath.Join(t.TempDir(), "backup.db")
	must(t, s.Backup(backup))
	write(t, s, store.Outcome{Put: []proto.Message{service("lost")}})
	dir := filepath.Join(t.TempDir(), "search")
	searcher, err := searching.Open(dir, s, quiet())
	must(t, err)
	stop := run(t, searcher)
	must(t, searcher.Wait(t.Context()))
	if got := found(t, searcher); got != 11 {
		t.Errorf("finds %d of 11", got)
	}
	stop()
	must(t, searcher.Close())
	must(t, s.Close())
	must(t, store.Restore(t.Context(), backup, o))

	s = open(t, o)
	searcher, err = searching.Open(dir, s, quiet())
	must(t, err)
	defer func() { must(t, searcher.Close()) }()
	short, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if searcher.Wait(short) == nil {
		t.Error("the index of the old history is said to be that of the new one")
	}
	defer run(t, searcher)()
	must(t, searcher.Wait(t.Context()))
	if got := found(t, searcher); got != 10 {
		t.Errorf("after the restore it finds %d of 10", got)
	}
}

func TestIndexThatLagsIsNotCurrent(t *testing.T) {
	s := open(t, options(t))
	fill(t, s, 3)
	searcher, err := searching.Open("", s, quiet())
	must(t, err)
	defer func() { must(t, searcher.Close()) }()
	coverage := func() []*registryv1.Coverage {
		return []*registryv1.Coverage{
			{Comune: "comuni/marsala", State: registryv1.Coverage_CURRENT, AsOfTime: timestamppb.Now()},
			{Comune: "comuni/pantelleria", State: registryv1.Coverage_MISSING},
		}
	}
	got := searcher.Freshness(t.Context(), coverage())
	if got[0].GetState() != registryv1.Coverage_STALE || got[0].GetAsOfTime() != nil || got[1].GetState() != registryv1.Coverage_MISSING {
		t.Errorf("an index that was never made: %v", got)
	}
	stop := run(t, searcher)
	must(t, searcher.Wait(t.Context()))
	if got := searcher.Freshness(t.Context(), coverage()); got[0].GetState() != registryv1.Coverage_CURRENT {
		t.Errorf("an index in step: %v", got)
	}
	stop()
	last := time.Now()
	fill(t, s, 1)
	got = searcher.Freshness(t.Context(), coverage())
	if asOf := got[0].GetAsOfTime(); got[0].GetState() != registryv1.Coverage_STALE || asOf == nil || asOf.AsTime().After(last) {
		t.Errorf("an index that stopped at %s: %v", last, got)
	}
}

func TestPages(t *testing.T) {
	request := &registryv1.SearchRequest{Q: "x", PageSize: 30}
	page, err := searching.PageOf(request)
	must(t, err)
	for from := 0; ; from += 30 {
		if page.From != from || page.Size != min(30, searching.MaxDepth-from) {
			t.Fatalf("page %+v where %d is next", page, from)
		}
		request.PageToken = page.Next(request, 5000)
		if request.GetPageToken() == "" {
			if from+page.Size != searching.MaxDepth {
				t.Errorf("ends at %d", from+page.Size)
			}
			break
		}
		page, err = searching.PageOf(request)
		must(t, err)
	}
	if next := (searching.Page{From: 0, Size: 30}).Next(request, 30); next != "" {
		t.Error("a full last page has a next one")
	}
	if _, err := searching.PageOf(&registryv1.SearchRequest{PageToken: "x"}); apierror.Reason(err) != registryv1.ErrorReason_INVALID_PAGE_TOKEN {
		t.Errorf("a token that is none: %v", err)
	}
	if page, err := searching.PageOf(&registryv1.SearchRequest{PageSize: 5000}); page.Size != 100 || err != nil {
		t.Errorf("the largest page is %+v, %v", page, err)
	}
}
