package feed_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/feedv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/store"
)

func (s *source) watchFrom(t *testing.T, after *feedv1.FeedPosition) grpc.ServerStreamingClient[feedv1.WatchChangesResponse] {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	stream, err := s.client(t).WatchChanges(ctx, &feedv1.WatchChangesRequest{After: after})
	must(t, err)
	return stream
}

func next(t *testing.T, stream grpc.ServerStreamingClient[feedv1.WatchChangesResponse]) *feedv1.WatchChangesResponse {
	t.Helper()
	message, err := stream.Recv()
	must(t, err)
	return message
}

func TestHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(t)
		s.fill(t, 3)
		s.serve()
		began := time.Now()
		stream := s.watchFrom(t, s.store.Head().Message())
		for beat := range 4 {
			message := next(t, stream)
			if got, want := time.Since(began), time.Duration(beat)*5*time.Second; got != want {
				t.Errorf("message %d comes after %s, not after %s", beat, got, want)
			}
			if len(message.GetRevisions()) > 0 || message.GetProgress().GetRevision() != 3 || message.GetHead().GetRevision() != 3 || message.GetOrigins()[0].GetRevision() != 3 {
				t.Errorf("a heartbeat says %v", message)
			}
		}
		// What is written comes at once, and moves the next heartbeat.
		time.Sleep(2 * time.Second) // of the bubble: no real time passes
		written := time.Now()
		s.write(t, service("new"))
		message := next(t, stream)
		if len(message.GetRevisions()) != 1 || message.GetProgress().GetRevision() != 4 || time.Since(written) != 0 {
			t.Errorf("after %s comes %v", time.Since(written), message)
		}
		next(t, stream)
		if time.Since(written) != 5*time.Second {
			t.Errorf("the next heartbeat comes %s after a write", time.Since(written))
		}
	})
}

func TestWatchSendsEverythingOnceInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(t)
		s.fill(t, 700)
		s.serve()
		stream := s.watchFrom(t, store.Position{Epoch: s.store.Head().Epoch}.Message())
		at := store.Position{Epoch: s.store.Head().Epoch}
		for messages := 1; at.Revision < 700; messages++ {
			message := next(t, stream)
			for _, revision := range message.GetRevisions() {
				at = at.Next(revision.GetBody())
				if !at.Equal(store.PositionFrom(revision.GetPosition())) {
					t.Fatalf("%s where %s should be", store.PositionFrom(revision.GetPosition()), at)
				}
			}
			if !at.Equal(store.PositionFrom(message.GetProgress())) {
				t.Errorf("message %d says that %s was sent, %s was", messages, store.PositionFrom(message.GetProgress()), at)
			}
			if size := proto.Size(message); size > 4<<20 {
				t.Errorf("a message has %d bytes", size)
			}
		}
	})
}

func TestSlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(t)
		text := strings.Repeat("x", 20_000)
		for i := range 60 {
			s.write(t, service(fmt.Sprintf("s-%02d", i), func(r *registryv1.Service) { r.Description = &registryv1.LocalizedText{It: text} }))
		}
		s.serve()
		stream := s.watchFrom(t, store.Position{Epoch: s.store.Head().Epoch}.Message())
		// The reader takes nothing; writes go on.
		time.Sleep(29 * time.Second) // of the bubble: no real time passes
		for i := range 20 {
			s.write(t, service(fmt.Sprintf("meanwhile-%d", i)))
		}
		time.Sleep(2 * time.Second) // of the bubble: no real time passes
		var err error
		for err == nil {
			_, err = stream.Recv()
		}
		if apierror.Reason(err) != registryv1.ErrorReason_FEED_READER_TOO_SLOW {
			t.Errorf("a reader that took nothing for 31 s is answered %v", err)
		}
	})
}

func TestWatchEndsWithItsServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(t)
		s.serve()
		stream := s.watchFrom(t, s.store.Head().Message())
		next(t, stream)
		began := time.Now()
		s.stop()
		if took := time.Since(began); took > time.Second {
			t.Errorf("an idle watch held the stop up for %s", took)
		}
		if _, err := stream.Recv(); apierror.Reason(err) != registryv1.ErrorReason_NOT_READY || apierror.Retry(err) == 0 {
			t.Errorf("the reader is told %v", err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		s := newSource(t)
		s.serve()
		stream := s.watchFrom(t, s.store.Head().Message())
		next(t, stream)
		s.broken = true
		_, err := s.store.Commit(context.Background(), store.Request{}, nil, func(store.Reader, store.Stamp) (store.Outcome, error) {
			return store.Outcome{Put: []proto.Message{service("lost")}}, nil
		})
		if err == nil {
			t.Fatal("the commit did not fail")
		}
		if _, err := stream.Recv(); apierror.Reason(err) != registryv1.ErrorReason_STORE_FENCED || apierror.Retry(err) == 0 {
			t.Errorf("the reader of a fenced store is told %v", err)
		}
	})
}

func TestRefusedPositions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(t)
		s.fill(t, 10)
		at5 := s.store.Head()
		s.fill(t, 10)
		_, err := s.store.Trim(context.Background(), store.Retention{Revisions: 12})
		must(t, err)
		s.serve()
		head := s.store.Head()
		other := func(edit func(p *feedv1.FeedPosition)) *feedv1.FeedPosition {
			p := proto.CloneOf(head.Message())
			edit(p)
			return p
		}
		trimmed := other(func(p *feedv1.FeedPosition) { p.Revision = 3 })
		for name, test := range map[string]struct {
			after  *feedv1.FeedPosition
			reason registryv1.ErrorReason
		}{
			"epoch":    {other(func(p *feedv1.FeedPosition) { p.Epoch[0]++ }), registryv1.ErrorReason_FEED_EPOCH_CHANGED},
			"trimmed":  {trimmed, registryv1.ErrorReason_FEED_POSITION_TRIMMED},
			"ahead":    {other(func(p *feedv1.FeedPosition) { p.Revision++ }), registryv1.ErrorReason_FEED_POSITION_AHEAD},
			"diverged": {other(func(p *feedv1.FeedPosition) { p.Digest[0]++ }), registryv1.ErrorReason_FEED_DIVERGED},
		} {
			if _, err := s.watchFrom(t, test.after).Recv(); apierror.Reason(err) != test.reason {
				t.Errorf("%s: a watch is answered %v", name, err)
			}
			stream, err := s.client(t).StreamSnapshot(context.Background(), &feedv1.StreamSnapshotRequest{BeganAt: test.after})
			must(t, err)
			if _, err := stream.Recv(); apierror.Reason(err) != test.reason {
				t.Errorf("%s: a snapshot that goes on is answered %v", name, err)
			}
		}
		if _, err := s.watchFrom(t, at5.Message()).Recv(); err != nil {
			t.Errorf("a good position is answered %v", err)
		}
	})
}

func TestSnapshotStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(t)
		s.fill(t, 600)
		s.serve()
		read := func(request *feedv1.StreamSnapshotRequest) (names int, pages []*feedv1.StreamSnapshotResponse) {
			stream, err := s.client(t).StreamSnapshot(context.Background(), request)
			must(t, err)
			for {
				page, err := stream.Recv()
				if errors.Is(err, io.EOF) {
					return names, pages
				}
				must(t, err)
				names += len(page.GetRecords())
				pages = append(pages, page)
			}
		}
		names, pages := read(&feedv1.StreamSnapshotRequest{})
		if names != 600 || len(pages) < 3 {
			t.Errorf("%d records in %d pages", names, len(pages))
		}
		for i, page := range pages {
			if (page.GetBeganAt() != nil) != (i == 0) || (page.GetEndedAt() != nil) != (i == len(pages)-1) {
				t.Errorf("page %d of %d begins at %v, ends at %v", i, len(pages), page.GetBeganAt(), page.GetEndedAt())
			}
		}
		rest, again := read(&feedv1.StreamSnapshotRequest{BeganAt: pages[0].GetBeganAt(), ResumeAfter: pages[0].GetLastKey()})
		if rest != 600-len(pages[0].GetRecords()) || again[0].GetBeganAt() != nil {
			t.Errorf("%d records after the first page, which has %d", rest, len(pages[0].GetRecords()))
		}
		// A place without the moment that it belongs to is none.
		if all, fresh := read(&feedv1.StreamSnapshotRequest{ResumeAfter: pages[0].GetLastKey()}); all != 600 || fresh[0].GetBeganAt() == nil {
			t.Errorf("%d records, from %v", all, fresh[0].GetBeganAt())
		}
		stream, err := s.client(t).StreamSnapshot(context.Background(), &feedv1.StreamSnapshotRequest{BeganAt: pages[0].GetBeganAt(), ResumeAfter: []byte("nonsense")})
		must(t, err)
		if _, err := stream.Recv(); err == nil {
			t.Error("goes on after nonsense")
		} else if _, known := status.FromError(err); !known {
			t.Error(err)
		}
		state, err := s.client(t).GetFeedState(context.Background(), &feedv1.GetFeedStateRequest{})
		must(t, err)
		if state.GetServerId() != "marsala" || state.GetHead().GetRevision() != 600 || state.GetFloor().GetRevision() != 0 || state.GetSchemaVersion() != int32(store.SchemaVersion()) || len(state.GetOrigins()) != 1 {
			t.Errorf("state %v", state)
		}
	})
}
