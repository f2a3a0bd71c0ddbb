// Package searching keeps the full-text index in step with the store, and
// answers searches from it. The index follows the store's own feed, so it holds
// what travels and nothing else; when it cannot follow, it is made anew.
package searching

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/feedv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/pagetoken"
	"cidsistem.example/services/internal/search"
	"cidsistem.example/services/internal/store"
)

// MaxDepth is how many hits deep a search can be paged.
const MaxDepth = 1000

// A Searcher answers searches over the records of a store.
type Searcher struct {
	store *store.Store
	index *search.Index
	log   *slog.Logger

	mu   sync.Mutex
	bell chan struct{} // closed and replaced when the index moves
	asOf time.Time     // the index has all that was in the store then; zero: not known
}

// Open opens the index in a folder; an empty folder name keeps it in memory.
func Open(dir string, s *store.Store, log *slog.Logger) (*Searcher, error) {
	index, err := search.Open(dir, log)
	if err != nil {
		return nil, err
	}
	return &Searcher{store: s, index: index, log: log, bell: make(chan struct{})}, nil
}

// Close closes the index.
func (s *Searcher) Close() error { return s.index.Close() }

// Run keeps the index in step until ctx ends.
func (s *Searcher) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		at := fromIndex(s.index.Position())
		revisions, _, err := s.store.Revisions(at)
		if wrong(err) {
			s.log.Info("search index is made anew", "cause", err)
			if err := s.rebuild(ctx); err != nil {
				return ended(ctx, fmt.Errorf("make the search index: %w", err))
			}
			continue
		}
		if err != nil {
			return ended(ctx, err)
		}
		if len(revisions) == 0 {
			select {
			case <-s.store.After(at.Revision):
			case <-s.store.Fenced():
				return s.store.Err()
			case <-ctx.Done():
			}
			continue
		}
		if err := s.follow(ctx, revisions); err != nil {
			return ended(ctx, err)
		}
		gather(ctx)
	}
	return nil
}

// gatherTime is the pause between two changes of the index. A change of it costs
// milliseconds whatever its size, so that a storm of writes must share them; one
// write alone is found at once.
const gatherTime = 25 * time.Millisecond

// gather lets writes gather.
func gather(ctx context.Context) {
	pause := time.NewTimer(gatherTime)
	defer pause.Stop()
	select {
	case <-pause.C:
	case <-ctx.Done():
	}
}

// ended hides the errors of a stop that was asked for.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func wrong(err error) bool {
	for _, cause := range []error{store.ErrEpochChanged, store.ErrTrimmed, store.ErrAhead, store.ErrDiverged} {
		if errors.Is(err, cause) {
			return true
		}
	}
	return false
}

func fromIndex(p search.Position) store.Position {
	return store.Position{Epoch: p.Epoch, Revision: p.Revision, Digest: p.Digest}
}

func toIndex(p store.Position) search.Position {
	return search.Position{Epoch: p.Epoch, Revision: p.Revision, Digest: p.Digest}
}

// follow takes revisions into the index.
func (s *Searcher) follow(ctx context.Context, revisions []*feedv1.Revision) error {
	var changes []search.Change
	var body feedv1.RevisionBody
	for _, revision := range revisions {
		body.Reset()
		if err := proto.Unmarshal(revision.GetBody(), &body); err != nil {
			return fmt.Errorf("read revision %d: %w", revision.GetPosition().GetRevision(), err)
		}
		some, err := indexable(body.GetChanges())
		if err != nil {
			return err
		}
		changes = append(changes, some...)
	}
	return s.apply(ctx, changes, store.PositionFrom(revisions[len(revisions)-1].GetPosition()), body.GetCommitTime().AsTime())
}

func (s *Searcher) apply(ctx context.Context, changes []search.Change, at store.Position, asOf time.Time) error {
	if err := s.index.Apply(ctx, changes, toIndex(at)); err != nil {
		return fmt.Errorf("change the search index: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asOf = asOf
	close(s.bell)
	s.bell = make(chan struct{})
	return nil
}

func indexable(changes []*feedv1.Change) ([]search.Change, error) {
	var out []search.Change
	for _, change := range changes {
		c := search.Change{Name: change.GetName()}
		if change.GetRecord() != nil {
			record, err := change.GetRecord().UnmarshalNew()
			if err != nil {
				return nil, fmt.Errorf("read %s: %w", change.GetName(), err)
			}
			c.Record = record
		}
		out = append(out, c)
	}
	return out, nil
}

// rebuild makes the index from all records, then stands where the feed stood
// when it began; the revisions since then follow as any others.
func (s *Searcher) rebuild(ctx context.Context) error {
	// What a rebuild that was cut short left may have gone since.
	if err := s.index.Reset(); err != nil {
		return err
	}
	began, asOf := s.store.Head(), s.store.Now()
	started := time.Now()
	var after []byte
	total := 0
	for {
		page, err := s.store.SnapshotPage(after)
		if err != nil {
			return err
		}
		changes, err := indexable(page.Records)
		if err != nil {
			return err
		}
		if page.Next == nil {
			if err := s.apply(ctx, changes, began, asOf); err != nil {
				return err
			}
			s.log.Info("search index made", "records", total+len(changes), "took", time.Since(started).Round(time.Millisecond))
			return nil
		}
		// Position zero: a rebuild that is cut short begins again.
		if err := s.apply(ctx, changes, store.Position{}, time.Time{}); err != nil {
			return err
		}
		total += len(changes)
		after = page.Next
	}
}

// Wait returns when the index has all that the store has now, or when ctx ends.
func (s *Searcher) Wait(ctx context.Context) error {
	head := s.store.Head()
	for {
		s.mu.Lock()
		bell := s.bell
		s.mu.Unlock()
		if at := s.index.Position(); at.Revision >= head.Revision && bytes.Equal(at.Epoch, head.Epoch) {
			return nil
		}
		select {
		case <-bell:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// A Scope is what a search may look at.
type Scope struct {
	// Comuni, by slug; none: nothing.
	Comuni []string
	// Reader is who asks.
	Reader registryv1.Visibility
}

// settleWithin is how long a search is held back for the index to have what the
// store has.
const settleWithin = 250 * time.Millisecond

// Freshness tells how fresh an answer from the index is that is asked for next:
// the given coverage, or a staler one when the index does not catch up in a
// moment.
func (s *Searcher) Freshness(ctx context.Context, coverage []*registryv1.Coverage) []*registryv1.Coverage {
	ctx, cancel := context.WithTimeout(ctx, settleWithin)
	defer cancel()
	if s.Wait(ctx) == nil {
		return coverage
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range coverage {
		if c.GetState() == registryv1.Coverage_MISSING {
			continue
		}
		c.State = registryv1.Coverage_STALE
		if s.asOf.IsZero() {
			c.AsOfTime = nil
		} else if s.asOf.Before(c.GetAsOfTime().AsTime()) {
			c.AsOfTime = timestamppb.New(s.asOf)
		}
	}
	return coverage
}

// Search answers a search from the index, without coverage and next page.
func (s *Searcher) Search(ctx context.Context, request *registryv1.SearchRequest, scope Scope, from, size int) (*registryv1.SearchResponse, error) {
	if len(scope.Comuni) == 0 {
		return &registryv1.SearchResponse{}, nil
	}
	found, err := s.index.Search(ctx, request, search.Scope{Comuni: scope.Comuni, Visibility: scope.Reader, From: from, Size: size})
	if err != nil {
		return nil, fmt.Errorf("search: %w", err)
	}
	return &registryv1.SearchResponse{
		Hits: found.Hits, TotalSize: int32(found.Total), Facets: found.Facets,
		AlsoSearched: found.AlsoSearched, Relaxed: found.Relaxed,
	}, nil
}

// Suggest answers a suggestion from the index.
func (s *Searcher) Suggest(ctx context.Context, request *registryv1.SuggestRequest, scope Scope) (*registryv1.SuggestResponse, error) {
	if len(scope.Comuni) == 0 {
		return &registryv1.SuggestResponse{}, nil
	}
	found, err := s.index.Suggest(ctx, request, search.Scope{Comuni: scope.Comuni, Visibility: scope.Reader})
	if err != nil {
		return nil, fmt.Errorf("suggest: %w", err)
	}
	return &registryv1.SuggestResponse{Suggestions: found}, nil
}

// A Page is the part of the hits that a search request asks for.
type Page struct{ From, Size int }

// PageOf reads the page of a request: 20 hits by default, at most 100, at most
// MaxDepth deep.
func PageOf(request *registryv1.SearchRequest) (Page, error) {
	token, err := pagetoken.Decode(request, request.GetPageToken())
	if err != nil {
		return Page{}, err
	}
	from, _ := binary.Uvarint(token.Key)
	page := Page{From: int(min(from, MaxDepth)), Size: pagetoken.Size(request.GetPageSize(), 20, 100)}
	page.Size = min(page.Size, MaxDepth-page.From)
	return page, nil
}

// Next is the token of the page after this one, empty when there is none.
func (p Page) Next(request *registryv1.SearchRequest, total int) string {
	end := p.From + p.Size
	if end >= total || end >= MaxDepth {
		return ""
	}
	return pagetoken.Encode(request, pagetoken.Token{Key: binary.AppendUvarint(nil, uint64(end))})
}

// Comuni narrows the comuni that a server answers for to those that a request
// names; none named: all.
func Comuni(asked, known []string) []string {
	if len(asked) == 0 {
		return known
	}
	return slices.DeleteFunc(slices.Clone(known), func(c string) bool { return !slices.Contains(asked, c) })
}

// Names turns slugs into resource names.
func Names(slugs []string) []string {
	var names []string
	for _, slug := range slugs {
		names = append(names, catalog.ComuneName(slug))
	}
	return names
}
