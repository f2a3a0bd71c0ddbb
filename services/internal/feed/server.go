// Package feed carries records from the server that has them to servers that
// keep a copy: the server's side of FeedService, and the follower that keeps
// the copy.
package feed

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/feedv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/store"
	"cidsistem.example/services/platform/grpcserver"
)

const (
	// heartbeat is the longest silence of a watch. It keeps address translation
	// on island links alive and turns silence into a fault.
	heartbeat = 5 * time.Second
	// sendTimeout ends a reader that does not take a message.
	sendTimeout = 30 * time.Second
)

// Server serves the feed of a store.
type Server struct {
	feedv1.UnimplementedFeedServiceServer
	store   *store.Store
	origins func() []*feedv1.OriginStatus
}

// NewServer serves the feed of a store; origins tells what the server knows of
// each comune that it answers for.
func NewServer(s *store.Store, origins func() []*feedv1.OriginStatus) *Server {
	return &Server{store: s, origins: origins}
}

// GetFeedState tells where the feed is.
func (s *Server) GetFeedState(context.Context, *feedv1.GetFeedStateRequest) (*feedv1.GetFeedStateResponse, error) {
	floor, err := s.store.Floor()
	if err != nil {
		return nil, err
	}
	return &feedv1.GetFeedStateResponse{
		ServerId: s.store.ServerID(), Head: s.store.Head().Message(), Floor: floor.Message(),
		SchemaVersion: int32(store.SchemaVersion()), Origins: s.origins(),
	}, nil
}

// StreamSnapshot sends all records, a page to a message. Nothing is sent while
// a read of the store is open.
func (s *Server) StreamSnapshot(request *feedv1.StreamSnapshotRequest, stream grpc.ServerStreamingServer[feedv1.StreamSnapshotResponse]) error {
	began, after, err := s.resume(request)
	if err != nil {
		return refusal(err)
	}
	for {
		page, err := s.store.SnapshotPage(after)
		if err != nil {
			return err
		}
		message := &feedv1.StreamSnapshotResponse{Records: page.Records}
		if len(page.LastKey) > 0 {
			if message.LastKey, err = encodeMark(page); err != nil {
				return err
			}
		}
		if began == nil {
			began = page.At.Message()
			message.BeganAt = began
		}
		if page.Next == nil {
			message.EndedAt = page.At.Message()
		}
		if err := send(stream, message); err != nil || page.Next == nil {
			return err
		}
		after = page.Next
	}
}

// resume finds where a snapshot goes on. Where it began must still be kept, and
// the moment of its last page be part of the history: an old file that was put
// back since does not have all that was sent.
func (s *Server) resume(request *feedv1.StreamSnapshotRequest) (began *feedv1.FeedPosition, after []byte, err error) {
	if request.GetBeganAt() == nil {
		return nil, nil, nil
	}
	marks := []*feedv1.FeedPosition{request.GetBeganAt()}
	if len(request.GetResumeAfter()) > 0 {
		var mark feedv1.StreamSnapshotRequest
		if proto.Unmarshal(request.GetResumeAfter(), &mark) != nil {
			return nil, nil, store.ErrDiverged // no mark of this program
		}
		marks, after = append(marks, mark.GetBeganAt()), mark.GetResumeAfter()
	}
	for _, mark := range marks {
		if _, _, err := s.store.Revisions(store.PositionFrom(mark)); err != nil {
			return nil, nil, err
		}
	}
	return request.GetBeganAt(), after, nil
}

// encodeMark tells a reader where to go on after a page: behind which record,
// and at which position of the feed the page was read.
func encodeMark(page store.Page) ([]byte, error) {
	return proto.Marshal(&feedv1.StreamSnapshotRequest{ResumeAfter: page.LastKey, BeganAt: page.At.Message()})
}

// WatchChanges sends what follows a position, and a heartbeat when there is
// nothing to send.
func (s *Server) WatchChanges(request *feedv1.WatchChangesRequest, stream grpc.ServerStreamingServer[feedv1.WatchChangesResponse]) error {
	at := store.PositionFrom(request.GetAfter())
	silence := time.NewTimer(0)
	defer silence.Stop()
	for {
		// Before the read, so that it never tells of more than has been sent.
		origins := s.origins()
		revisions, head, err := s.store.Revisions(at)
		if err != nil {
			return refusal(err)
		}
		if n := len(revisions); n > 0 {
			at = store.PositionFrom(revisions[n-1].GetPosition())
		}
		message := &feedv1.WatchChangesResponse{Revisions: revisions, Progress: at.Message(), Head: head.Message(), Origins: origins}
		if err := send(stream, message); err != nil {
			return err
		}
		if at.Revision < head.Revision {
			continue
		}
		silence.Reset(heartbeat)
		select {
		case <-s.store.After(at.Revision):
		case <-silence.C:
		case <-s.store.Fenced():
			return apierror.New(registryv1.ErrorReason_STORE_FENCED, "the store stopped after a failed commit", apierror.RetryAfter(time.Second))
		case <-grpcserver.Draining(stream.Context()):
			return apierror.New(registryv1.ErrorReason_NOT_READY, "the server is stopping", apierror.RetryAfter(time.Second))
		case <-stream.Context().Done():
			return stream.Context().Err()
		}
	}
}

// send gives a reader a bounded time to take a message; nothing is kept for it
// beyond what the transport holds.
func send[T any](stream grpc.ServerStreamingServer[T], message *T) error {
	sent := make(chan error, 1)
	go func() { sent <- stream.Send(message) }()
	timeout := time.NewTimer(sendTimeout)
	defer timeout.Stop()
	select {
	case err := <-sent:
		return err
	case <-timeout.C:
		return apierror.New(registryv1.ErrorReason_FEED_READER_TOO_SLOW, "the reader did not take a message for "+sendTimeout.String())
	}
}

// refusal turns the reason why a position cannot be continued into an answer.
func refusal(err error) error {
	for cause, reason := range map[error]registryv1.ErrorReason{
		store.ErrEpochChanged: registryv1.ErrorReason_FEED_EPOCH_CHANGED,
		store.ErrTrimmed:      registryv1.ErrorReason_FEED_POSITION_TRIMMED,
		store.ErrAhead:        registryv1.ErrorReason_FEED_POSITION_AHEAD,
		store.ErrDiverged:     registryv1.ErrorReason_FEED_DIVERGED,
	} {
		if errors.Is(err, cause) {
			return apierror.New(reason, cause.Error()+"; take a snapshot")
		}
	}
	return err
}
