package ufficiocomune

import (
	"context"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"cidsistem.example/proto/catalog"
	"cidsistem.example/services/internal/store"
)

// recentWrites remembers the writes that went through the office until its copy
// has them, so that whoever wrote reads what was written: while one is pending,
// reads of its comune go to the owner.
type recentWrites struct {
	mu       sync.Mutex
	byComune map[string]map[string]recentWrite // by comune, by name
}

// A recentWrite is what the copy of a record must have, and until when that is
// waited for: a node that went back to a backup never has it.
type recentWrite struct {
	revision int64
	until    time.Time
}

func newRecentWrites() *recentWrites {
	return &recentWrites{byComune: map[string]map[string]recentWrite{}}
}

const (
	// maxPending bounds what is remembered of one comune.
	maxPending = 10_000
	// pendingFor bounds for how long.
	pendingFor = time.Minute
)

func (w *recentWrites) add(comune, name string, revision int64, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.byComune[comune] == nil {
		w.byComune[comune] = map[string]recentWrite{}
	}
	if len(w.byComune[comune]) < maxPending {
		revision = max(revision, w.byComune[comune][name].revision)
		w.byComune[comune][name] = recentWrite{revision, now.Add(pendingFor)}
	}
}

// pending tells whether the copy of a comune still lacks a write.
func (w *recentWrites) pending(s *store.Store, comune string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for name, write := range w.byComune[comune] {
		if s.Now().Before(write.until) && !has(s, name, write.revision) {
			return true
		}
		delete(w.byComune[comune], name)
	}
	return false
}

// has tells whether the copy of a record is at least of a revision.
func has(s *store.Store, text string, revision int64) bool {
	name, err := catalog.ParseName(text)
	if err != nil {
		return true
	}
	var record proto.Message
	err = s.View(func(r store.Reader) error {
		record, err = r.Get(name)
		return err
	})
	return err == nil && record != nil && catalog.RecordOf(record).Revision() >= revision
}

// settleWithin is how long a write is held back for the copy to have it.
const settleWithin = time.Second

// settle waits until the copy has a write, for a moment.
func settle(ctx context.Context, s *store.Store, name string, revision int64) (caughtUp bool) {
	ctx, cancel := context.WithTimeout(ctx, settleWithin)
	defer cancel()
	for {
		bell := s.After(s.Head().Revision)
		if has(s, name, revision) {
			return true
		}
		select {
		case <-bell:
		case <-ctx.Done():
			return false
		}
	}
}
