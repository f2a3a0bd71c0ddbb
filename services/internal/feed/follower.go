package feed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/federationv1"
	"cidsistem.example/proto/gen/feedv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/store"
)

const (
	// silenceLimit is how long a followed server may say nothing: three
	// heartbeats.
	silenceLimit = 3 * heartbeat
	// retryMin and retryMax bound the wait before the next attempt: a link that
	// heals must be in use again within two seconds.
	retryMin, retryMax = 100 * time.Millisecond, time.Second
	// noteEvery is how often the moment of completeness is written down while
	// nothing changes.
	noteEvery = time.Minute
)

// A Follower keeps a copy of one server's records in a store.
type Follower struct {
	store  *store.Store
	server string
	scope  store.Scope
	client feedv1.FeedServiceClient
	log    *slog.Logger
	notify func()
	resync chan struct{}

	// released is true while the copy claims no comune that the server gave up.
	released bool

	mu     sync.Mutex
	status Status
	noted  time.Time
}

// Status is how a copy stands.
type Status struct {
	// State in words of the contract, since when.
	State     federationv1.Node_State
	StateTime time.Time
	// AsOf is when the copy was last known to be complete, by this server's clock.
	AsOf time.Time
	// Revision that the copy equals and Head that the server told of.
	Revision, Head int64
	// LastError is the last failure since the last success.
	LastError     string
	LastErrorTime time.Time
	// Snapshots counts how often the copy was taken anew.
	Snapshots int64
	// Origins is what the server told of each comune at AsOf.
	Origins []*feedv1.OriginStatus
	// Offers are the comuni that the server last said it answers for; nil: it never
	// said so.
	Offers []string
}

// NewFollower follows a server; notify is called after every change of Status.
func NewFollower(s *store.Store, server string, scope store.Scope, client feedv1.FeedServiceClient, log *slog.Logger, notify func()) (*Follower, error) {
	u, err := s.Upstream(server)
	if err != nil {
		return nil, err
	}
	return &Follower{
		store: s, server: server, scope: scope, client: client, notify: notify,
		log:    log.With("server", server),
		resync: make(chan struct{}, 1),
		status: Status{
			State: federationv1.Node_CONNECTING, StateTime: s.Now(), AsOf: u.AsOf,
			Revision: u.Position.Revision, Head: u.Position.Revision, Snapshots: u.Snapshots, Offers: u.Offers,
		},
	}, nil
}

// Status tells how the copy stands.
func (f *Follower) Status() Status {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.status
}

func (f *Follower) change(edit func(*Status)) {
	f.mu.Lock()
	before := f.status.State
	edit(&f.status)
	if f.status.State != before {
		f.status.StateTime = f.store.Now()
		f.log.Info("copy", "state", f.status.State.String(), "revision", f.status.Revision, "head", f.status.Head)
	}
	f.mu.Unlock()
	f.notify()
}

// Resync makes the follower take the copy anew.
func (f *Follower) Resync(ctx context.Context) error {
	if err := f.store.ForgetCopy(ctx, f.server); err != nil {
		return err
	}
	select {
	case f.resync <- struct{}{}:
	default:
	}
	return nil
}

// Run follows until ctx ends.
func (f *Follower) Run(ctx context.Context) error {
	wait := retryMin
	for ctx.Err() == nil {
		began := f.store.Now()
		err := f.follow(ctx)
		if ctx.Err() != nil {
			break
		}
		if errors.Is(err, errResync) {
			continue
		}
		if f.Status().AsOf.After(began) {
			wait = retryMin
		}
		if wrongHistory(err) {
			f.log.Warn("copy must be taken anew", "cause", err)
			if err := f.store.ForgetCopy(ctx, f.server); err != nil {
				return fmt.Errorf("forget the copy of %s: %w", f.server, err)
			}
		}
		if f.store.Err() != nil {
			return f.store.Err()
		}
		f.fail(err)
		pause := time.NewTimer(wait/2 + rand.N(wait/2))
		select {
		case <-pause.C:
		case <-ctx.Done():
		}
		pause.Stop()
		wait = min(2*wait, retryMax)
	}
	f.note(context.WithoutCancel(ctx))
	return nil
}

// wrongHistory tells whether only a snapshot helps.
func wrongHistory(err error) bool {
	switch apierror.Reason(err) {
	case registryv1.ErrorReason_FEED_EPOCH_CHANGED, registryv1.ErrorReason_FEED_POSITION_TRIMMED,
		registryv1.ErrorReason_FEED_POSITION_AHEAD, registryv1.ErrorReason_FEED_DIVERGED:
		return true
	default:
		return errors.Is(err, store.ErrBrokenChain)
	}
}

func (f *Follower) fail(err error) {
	f.change(func(s *Status) {
		if err == nil {
			return
		}
		switch status.Code(err) {
		case codes.PermissionDenied, codes.Unauthenticated, codes.Unimplemented:
			s.State = federationv1.Node_REFUSED
		default:
			s.State = federationv1.Node_UNREACHABLE
		}
		s.LastError, s.LastErrorTime = err.Error(), f.store.Now()
	})
}

// follow connects once and keeps the copy until something fails.
func (f *Follower) follow(ctx context.Context) error {
	// What was asked for until now is done by connecting.
	select {
	case <-f.resync:
	default:
	}
	// A cancel on silence ends whatever call is under way. The time that this
	// server takes over a message is not silence of the other.
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(silenceLimit, func() { cancel(errSilent) })
	defer silence.Stop()
	heard := func(take func() error) error {
		silence.Stop()
		defer silence.Reset(silenceLimit)
		return take()
	}

	err := f.snapshotIfNeeded(ctx, heard)
	if err == nil {
		err = f.watch(ctx, heard)
	}
	if cause := context.Cause(ctx); errors.Is(cause, errSilent) {
		return cause
	}
	return err
}

var errSilent = fmt.Errorf("silent for %s", silenceLimit)

// snapshotIfNeeded takes the pages of a snapshot when there is no copy to
// continue, or goes on with a broken one.
func (f *Follower) snapshotIfNeeded(ctx context.Context, heard func(func() error) error) error {
	u, err := f.store.Upstream(f.server)
	if err != nil {
		return err
	}
	request := &feedv1.StreamSnapshotRequest{}
	switch {
	case u.Snapshot == nil && !u.Position.Zero(), u.Snapshot != nil && !u.Snapshot.Ended.Zero():
		return nil
	case u.Snapshot != nil:
		request.BeganAt, request.ResumeAfter = u.Snapshot.Began.Message(), u.Snapshot.LastKey
	}
	stream, err := f.client.StreamSnapshot(ctx, request)
	if err != nil {
		return err
	}
	f.change(func(s *Status) { s.State = federationv1.Node_SNAPSHOT })
	for {
		page, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := heard(func() error { return f.stage(ctx, page) }); err != nil {
			return err
		}
	}
}

// stage takes one page into the snapshot.
func (f *Follower) stage(ctx context.Context, page *feedv1.StreamSnapshotResponse) error {
	if page.GetBeganAt() != nil {
		if err := f.store.BeginSnapshot(ctx, f.server, store.PositionFrom(page.GetBeganAt())); err != nil {
			return err
		}
	}
	return f.store.StagePage(ctx, f.server, f.scope, page.GetRecords(), page.GetLastKey(), store.PositionFrom(page.GetEndedAt()))
}

// watch applies changes as they come.
func (f *Follower) watch(ctx context.Context, heard func(func() error) error) error {
	u, err := f.store.Upstream(f.server)
	if err != nil {
		return err
	}
	stream, err := f.client.WatchChanges(ctx, &feedv1.WatchChangesRequest{After: u.At().Message()})
	if err != nil {
		return err
	}
	messages, failed := receive(ctx, stream.Recv)
	for {
		select {
		case <-f.resync:
			return errResync
		case err := <-failed:
			return err
		case message := <-messages:
			if err := heard(func() error { return f.apply(ctx, message) }); err != nil {
				return err
			}
		}
	}
}

var errResync = errors.New("a new copy was asked for")

// receive reads a stream in a goroutine that ends with ctx.
func receive[T any](ctx context.Context, recv func() (T, error)) (<-chan T, <-chan error) {
	messages, failed := make(chan T), make(chan error, 1)
	go func() {
		for {
			message, err := recv()
			if err != nil {
				failed <- err
				return
			}
			select {
			case messages <- message:
			case <-ctx.Done():
				failed <- ctx.Err()
				return
			}
		}
	}()
	return messages, failed
}

// apply takes one message of the feed into the copy.
func (f *Follower) apply(ctx context.Context, message *feedv1.WatchChangesResponse) error {
	now := f.store.Now()
	progress, head := store.PositionFrom(message.GetProgress()), store.PositionFrom(message.GetHead())
	inSync := progress.Revision == head.Revision
	var asOf time.Time
	if inSync {
		asOf = now.Add(-oldest(message.GetOrigins()))
	}
	if err := f.noteOffers(ctx, message.GetOrigins()); err != nil {
		return err
	}
	if len(message.GetRevisions()) > 0 {
		if err := f.store.ApplyRevisions(ctx, f.server, f.scope, message.GetRevisions(), asOf); err != nil {
			return err
		}
	}
	u, err := f.store.Upstream(f.server)
	if err != nil {
		return err
	}
	if at := u.At(); !at.Equal(progress) {
		return fmt.Errorf("%w: %s is said to be sent, %s came", store.ErrBrokenChain, progress, at)
	}
	if u.Snapshot != nil {
		if !u.Snapshot.Complete() {
			if inSync {
				return fmt.Errorf("%w: the snapshot ended at %s, the head is %s", store.ErrBrokenChain, u.Snapshot.Ended, head)
			}
			f.change(func(s *Status) { s.State, s.Head = federationv1.Node_SNAPSHOT, head.Revision })
			return nil
		}
		if err := f.store.FinishSnapshot(ctx, f.server, asOf); err != nil {
			return err
		}
		u.Snapshots++
	}
	f.change(func(s *Status) {
		s.State = federationv1.Node_CATCHING_UP
		if inSync {
			s.State, s.AsOf, s.Origins = federationv1.Node_IN_SYNC, now, message.GetOrigins()
		}
		s.Revision, s.Head, s.Snapshots = progress.Revision, head.Revision, u.Snapshots
		s.LastError, s.LastErrorTime = "", time.Time{}
	})
	if now.Sub(f.noted) >= noteEvery {
		f.note(ctx)
	}
	if inSync && !f.released {
		f.released, err = f.store.Release(ctx, f.server)
	}
	return err
}

// note writes down when the copy was last complete, so that a restart does not
// forget it.
func (f *Follower) note(ctx context.Context) {
	if status := f.Status(); !status.AsOf.IsZero() {
		if err := f.store.NoteAsOf(ctx, f.server, status.AsOf.Add(-oldest(status.Origins))); err != nil {
			f.log.Warn("completeness not written down", "error", err)
		}
		f.noted = f.store.Now()
	}
}

// noteOffers writes down which comuni the server answers for when that changes,
// before the end of the records of one that it gave up is taken into the copy.
func (f *Follower) noteOffers(ctx context.Context, origins []*feedv1.OriginStatus) error {
	offers := make([]string, 0, len(origins))
	for _, origin := range origins {
		offers = append(offers, origin.GetComune())
	}
	slices.Sort(offers)
	if known := f.Status().Offers; known != nil && slices.Equal(known, offers) {
		return nil
	}
	if err := f.store.NoteOffers(ctx, f.server, offers); err != nil {
		return err
	}
	f.released = false
	f.change(func(s *Status) { s.Offers = offers })
	return nil
}

// oldest is the greatest age of what a server has of any comune. The time that
// is written down has to hold for all of them: after a restart the copy is used
// before the server tells their ages again.
func oldest(origins []*feedv1.OriginStatus) time.Duration {
	var age time.Duration
	for _, origin := range origins {
		if !origin.GetMissing() {
			age = max(age, origin.GetAge().AsDuration())
		}
	}
	return age
}
