package federationtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/feedv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/store"
)

const (
	// readerSilence is how long a reader waits for a word.
	readerSilence = 15 * time.Second
	// readerPause is between two attempts of a reader.
	readerPause = 300 * time.Millisecond
)

// A reader keeps a copy of a feed in memory, by code of its own, and checks
// what it is sent. What it was let do and what it was refused is noted, to be
// held against the truth by whoever knows it.
type reader struct {
	client feedv1.FeedServiceClient

	mu      sync.Mutex
	at      store.Position // zero: it needs a snapshot
	copy    contents
	half    *half
	resumed []store.Position
	refused []refusal
	broken  error
	stalled time.Time
	// compared is where the copy was last held against the truth.
	compared store.Position
}

// half is a snapshot that is being read.
type half struct {
	began, at, ended store.Position
	lastKey          []byte
	contents         contents
}

// A refusal is what a server answered to a reader that wanted to go on.
type refusal struct {
	at     store.Position
	reason registryv1.ErrorReason
}

func newReader(conn grpc.ClientConnInterface) *reader {
	return &reader{client: feedv1.NewFeedServiceClient(conn)}
}

// run reads until ctx ends or a promise is broken.
func (r *reader) run(ctx context.Context) {
	for ctx.Err() == nil {
		err := r.read(ctx)
		if broken(err) {
			r.mu.Lock()
			r.broken = err
			r.mu.Unlock()
			return
		}
		pause := time.NewTimer(readerPause)
		select {
		case <-pause.C:
		case <-ctx.Done():
		}
		pause.Stop()
	}
}

// broken tells whether an error is a broken promise, and no fault of a link.
func broken(err error) bool {
	_, is := errors.AsType[Promise](err)
	return is
}

// stall makes the reader take nothing for a time.
func (r *reader) stall(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stalled = time.Now().Add(d)
}

// rest waits for as long as the reader is stalled.
func (r *reader) rest(ctx context.Context) {
	for {
		r.mu.Lock()
		left := time.Until(r.stalled)
		r.mu.Unlock()
		if left <= 0 || ctx.Err() != nil {
			return
		}
		select {
		case <-time.After(left):
		case <-ctx.Done():
		}
	}
}

// read connects once and reads until something fails.
func (r *reader) read(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	silence := time.AfterFunc(readerSilence, cancel)
	defer silence.Stop()
	next := func() {
		silence.Stop()
		r.rest(ctx)
		silence.Reset(readerSilence)
	}
	r.mu.Lock()
	needed := r.at.Zero() && (r.half == nil || r.half.ended.Zero())
	r.mu.Unlock()
	if needed {
		if err := r.snapshot(ctx, next); err != nil {
			return err
		}
	}
	return r.watch(ctx, next)
}

func (r *reader) snapshot(ctx context.Context, wait func()) error {
	request := &feedv1.StreamSnapshotRequest{}
	r.mu.Lock()
	if r.half != nil {
		request.BeganAt, request.ResumeAfter = r.half.began.Message(), r.half.lastKey
	}
	r.mu.Unlock()
	stream, err := r.client.StreamSnapshot(ctx, request)
	for first := true; err == nil; first = false {
		var page *feedv1.StreamSnapshotResponse
		wait()
		if page, err = stream.Recv(); err == nil {
			err = r.takePage(page, first && request.GetBeganAt() == nil)
		}
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	if !broken(err) {
		r.startOver(apierror.Reason(err))
	}
	return err
}

func (r *reader) takePage(page *feedv1.StreamSnapshotResponse, first bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if (page.GetBeganAt() != nil) != first {
		return fmt.Errorf("%w: the first page of a snapshot, and no other, says where it began", ErrBookmarkable)
	}
	if first {
		began := store.PositionFrom(page.GetBeganAt())
		r.half = &half{began: began, at: began, contents: contents{}}
	}
	for _, change := range page.GetRecords() {
		if change.GetRecord() == nil {
			return fmt.Errorf("%w: a snapshot has %s, which is gone", ErrVisible, change.GetName())
		}
		if _, twice := r.half.contents[change.GetName()]; twice {
			return fmt.Errorf("%w: %s twice in one snapshot", ErrUnique, change.GetName())
		}
		r.half.contents[change.GetName()] = version{string(change.GetRecord().GetValue()), strings.Join(change.GetHops(), " ")}
	}
	if page.GetLastKey() != nil {
		r.half.lastKey = page.GetLastKey()
	}
	r.half.ended = store.PositionFrom(page.GetEndedAt())
	return r.settle()
}

// settle puts a snapshot in the place of the copy once it is exact.
func (r *reader) settle() error {
	if r.half == nil || r.half.ended.Zero() || r.half.at.Revision < r.half.ended.Revision {
		return nil
	}
	if !r.half.at.Equal(r.half.ended) {
		r.half = nil // the source has another history than when the snapshot was taken
		return errOtherHistory
	}
	r.at, r.copy, r.half, r.compared = r.half.at, r.half.contents, nil, store.Position{}
	return r.copy.whole()
}

var errOtherHistory = errors.New("the source has another history than its snapshot")

// watch follows the feed.
func (r *reader) watch(ctx context.Context, wait func()) error {
	r.mu.Lock()
	after := r.at
	if r.half != nil {
		after = r.half.at
	}
	r.mu.Unlock()
	stream, err := r.client.WatchChanges(ctx, &feedv1.WatchChangesRequest{After: after.Message()})
	for first := true; err == nil; first = false {
		var message *feedv1.WatchChangesResponse
		wait()
		if message, err = stream.Recv(); err == nil {
			if first {
				r.mu.Lock()
				r.resumed = append(r.resumed, after)
				r.mu.Unlock()
			}
			err = r.takeMessage(message)
		}
	}
	if !broken(err) {
		r.startOver(apierror.Reason(err))
	}
	return err
}

func (r *reader) takeMessage(message *feedv1.WatchChangesResponse) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, revision := range message.GetRevisions() {
		if err := r.takeRevision(revision); err != nil {
			return err
		}
	}
	at := r.at
	if r.half != nil {
		at = r.half.at
	}
	progress, head := store.PositionFrom(message.GetProgress()), store.PositionFrom(message.GetHead())
	switch {
	case !progress.Equal(at):
		return fmt.Errorf("%w: progress says %s, sent was %s", ErrBookmarkable, progress, at)
	case head.Revision < progress.Revision, head.Revision == progress.Revision && !head.Equal(progress):
		return fmt.Errorf("%w: progress says %s, the head is %s", ErrBookmarkable, progress, head)
	case r.half != nil && head.Equal(progress):
		r.half = nil
		return errOtherHistory
	}
	return nil
}

func (r *reader) takeRevision(revision *feedv1.Revision) error {
	if r.half == nil {
		to, changes, err := next(r.at, revision)
		if err != nil {
			return err
		}
		r.copy, err = r.copy.after(changes)
		r.at = to
		return err
	}
	to, changes, err := next(r.half.at, revision)
	if err != nil {
		return err
	}
	// Pages may have been read after the change, so what it ends may be gone.
	for _, change := range changes {
		if change.GetRecord() == nil {
			delete(r.half.contents, change.GetName())
			continue
		}
		r.half.contents[change.GetName()] = version{string(change.GetRecord().GetValue()), strings.Join(change.GetHops(), " ")}
	}
	r.half.at = to
	return r.settle()
}

// startOver forgets the copy when its source says that it cannot be continued.
func (r *reader) startOver(reason registryv1.ErrorReason) {
	switch reason {
	case registryv1.ErrorReason_FEED_EPOCH_CHANGED, registryv1.ErrorReason_FEED_POSITION_TRIMMED,
		registryv1.ErrorReason_FEED_POSITION_AHEAD, registryv1.ErrorReason_FEED_DIVERGED:
	default:
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.half == nil {
		r.refused = append(r.refused, refusal{r.at, reason})
	}
	r.at, r.half = store.Position{}, nil
}

// verdict holds what the reader saw since the last time against the truth.
func (r *reader) verdict(truth *journal, floor store.Position) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.broken != nil {
		return r.broken
	}
	for _, p := range r.resumed {
		if !truth.holds(p) {
			return fmt.Errorf("%w: resumed at %s, which is no part of the history", ErrResumable, p)
		}
	}
	for _, no := range r.refused {
		if truth.holds(no.at) && no.at.Revision >= floor.Revision {
			return fmt.Errorf("%w: %s at %s, which is kept", ErrResumable, no.reason, no.at)
		}
		if want := truth.reasons(no.at, floor); !slices.Contains(want, no.reason) {
			return fmt.Errorf("%w: %s at %s, not one of %v", ErrResumable, no.reason, no.at, want)
		}
	}
	r.resumed, r.refused = nil, nil
	if r.at.Zero() || r.at.Equal(r.compared) {
		return nil
	}
	want, known := truth.states[string(r.at.Digest)]
	if !known {
		return fmt.Errorf("%w: a reader stands at %s, which never was", ErrReliable, r.at)
	}
	if differs := r.copy.differs(want); differs != "" {
		return fmt.Errorf("%w: a reader at %s %s", ErrEqual, r.at, differs)
	}
	r.compared = r.at
	return nil
}

// forget drops what was noted: it is of a history that ends here.
func (r *reader) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.resumed, r.refused = nil, nil
}

// stands is where the reader is.
func (r *reader) stands() store.Position {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.at
}
