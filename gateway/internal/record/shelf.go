package record

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

// walkWithin is how long a walk over a collection may take.
const walkWithin = 8 * time.Second

// A Shelf keeps for a while what takes long to gather, for everybody who asks meanwhile.
type Shelf[T any] struct {
	// Keep is for how long.
	Keep time.Duration
	// Gather makes it anew. Its context outlives the request that asked.
	Gather func(context.Context) (T, error)

	flight singleflight.Group
	mu     sync.Mutex
	last   T
	taken  time.Time
}

// Get returns what is kept; what was gathered last when gathering fails.
func (s *Shelf[T]) Get(ctx context.Context) (T, error) {
	s.mu.Lock()
	last, taken := s.last, s.taken
	s.mu.Unlock()
	if time.Since(taken) < s.Keep {
		return last, nil
	}
	got, err, _ := s.flight.Do("", func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), walkWithin)
		defer cancel()
		fresh, err := s.Gather(ctx)
		if err != nil {
			return last, err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.last, s.taken = fresh, time.Now()
		return fresh, nil
	})
	if err != nil && !taken.IsZero() {
		return last, nil
	}
	fresh, _ := got.(T)
	return fresh, err
}
