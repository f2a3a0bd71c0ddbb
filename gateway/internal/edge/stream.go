package edge

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"cidsistem.example/proto/gen/registryv1"
)

// writeWithin is how long the client of a stream may take to accept one message.
const writeWithin = 10 * time.Second

// serveStream answers with the messages of a server stream, as server-sent events or as one JSON document a line.
func (a *API) serveStream(w http.ResponseWriter, r *http.Request) {
	c := callOf(r.Context())
	format, err := chooseType(r, typeLines, typeEvents)
	if err != nil {
		a.fail(w, r, c, err)
		return
	}
	select {
	case <-a.ending:
		a.fail(w, r, c, stopping())
		return
	case a.streams <- struct{}{}:
		defer func() { <-a.streams }()
	default:
		a.fail(w, r, c, newProblem(reasonTooManyStreams, "as many streams are open as the service allows"))
		return
	}
	a.metrics.streams.Inc()
	defer a.metrics.streams.Dec()

	ctx, cancel := context.WithCancel(r.Context())
	received := make(chan received)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c.receive(ctx, a.upstream, r.URL.RawQuery, received)
	}()
	defer func() {
		cancel()
		<-ended
	}()
	s := &streamWriter{w: w, connection: http.NewResponseController(w), events: format == typeEvents}
	if err := a.relay(ctx, s, received); err != nil {
		if !s.began {
			a.fail(w, r, c, err)
			return
		}
		x := exchangeOf(ctx)
		p := c.failed(err)
		x.reason, x.cause = p.Reason, p.cause
		_ = s.problem(p.document(x)) // the client may be gone
	}
}

func stopping() *problem {
	return newProblem(registryv1.ErrorReason_NOT_READY.String(), "the service is stopping; try again in a moment")
}

// A received is one message of a stream, or its end.
type received struct {
	message proto.Message
	err     error // io.EOF when the server ended the stream in order
}

// receive makes the call and passes on what comes, until the stream or the context ends.
func (c *call) receive(ctx context.Context, conn grpc.ClientConnInterface, rawQuery string, to chan<- received) {
	pass := func(one received) bool {
		select {
		case to <- one:
			return one.err == nil
		case <-ctx.Done():
			return false
		}
	}
	stream, err := c.open(ctx, conn, rawQuery)
	if err != nil {
		pass(received{err: err})
		return
	}
	for {
		one := received{message: c.route.output.New().Interface()}
		one.err = stream.RecvMsg(one.message)
		if !pass(one) {
			return
		}
	}
}

// open sends the request of a server stream.
func (c *call) open(ctx context.Context, conn grpc.ClientConnInterface, rawQuery string) (grpc.ClientStream, error) {
	request := c.route.input.New().Interface()
	if err := c.route.readQuery(rawQuery, request); err != nil {
		return nil, err
	}
	for path, value := range c.variables {
		if err := runtime.PopulateFieldFromPath(request, path, value); err != nil {
			return nil, invalid(fieldError{jsonPath(c.route.input.Descriptor(), path), "does not fit"})
		}
	}
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, c.route.grpcMethod)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(stream.SendMsg(request), stream.CloseSend()); err != nil && !errors.Is(err, io.EOF) {
		return nil, err // with io.EOF the first receive tells why
	}
	return stream, nil
}

// relay writes messages, and signs of life between them, until the stream ends. The error is the server's; when a stream that has
// begun ends because its client goes, there is none.
func (a *API) relay(ctx context.Context, s *streamWriter, from <-chan received) error {
	heartbeat := time.NewTicker(a.limits.Heartbeat)
	defer heartbeat.Stop()
	for {
		select {
		case one := <-from:
			if errors.Is(one.err, io.EOF) {
				return s.begin()
			}
			if one.err != nil && ctx.Err() != nil && s.began {
				return nil // the server only says that the client has gone
			}
			if one.err != nil {
				return one.err
			}
			if s.message(one.message) != nil {
				return nil
			}
			heartbeat.Reset(a.limits.Heartbeat)
		case <-heartbeat.C:
			if s.alive() != nil {
				return nil
			}
		case <-a.ending:
			if s.began {
				return nil
			}
			return stopping()
		case <-ctx.Done():
			if s.began {
				return nil
			}
			return ctx.Err()
		}
	}
}

// A streamWriter writes a stream in one of its two formats, each message in time and at once.
type streamWriter struct {
	w          http.ResponseWriter
	connection *http.ResponseController
	events     bool // server-sent events, else lines of JSON
	began      bool
}

// begin sends the headers, if they were not sent yet.
func (s *streamWriter) begin() error {
	if s.began {
		return nil
	}
	s.began = true
	header := s.w.Header()
	header.Set("Content-Type", typeLines)
	if s.events {
		header.Set("Content-Type", typeEvents)
	}
	header.Set("Cache-Control", "no-store")
	header.Set("X-Accel-Buffering", "no")
	s.w.WriteHeader(http.StatusOK)
	return s.connection.Flush()
}

func (s *streamWriter) message(m proto.Message) error {
	text, err := marshaler.Marshal(m)
	if err != nil {
		return err
	}
	if s.events {
		return s.write("data: ", string(text), "\n\n")
	}
	return s.write(string(text), "\n")
}

// problem ends a stream that has begun.
func (s *streamWriter) problem(document []byte) error {
	if s.events {
		return s.write("event: error\ndata: ", string(document), "\n\n")
	}
	line, err := json.Marshal(map[string]json.RawMessage{"error": document})
	if err != nil {
		return err
	}
	return s.write(string(line), "\n")
}

// alive shows that an idle stream is not dead. Lines of JSON have no room for it.
func (s *streamWriter) alive() error {
	if s.events {
		return s.write(": vivo\n\n")
	}
	return s.begin()
}

func (s *streamWriter) write(parts ...string) error {
	if err := s.begin(); err != nil {
		return err
	}
	_ = s.connection.SetWriteDeadline(time.Now().Add(writeWithin)) // not every connection can
	for _, part := range parts {
		if _, err := io.WriteString(s.w, part); err != nil {
			return err
		}
	}
	return s.connection.Flush()
}
