package feed_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"

	"cidsistem.example/proto/gen/federationv1"
	"cidsistem.example/proto/gen/feedv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/feed"
	"cidsistem.example/services/internal/store"
	"cidsistem.example/services/platform/grpcclient"
	"cidsistem.example/services/platform/grpcserver"
)

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A source is a node whose feed is served; everything runs in fake time.
type source struct {
	options store.Options
	store   *store.Store
	broken  bool // commits fail

	mu       sync.Mutex
	listener *bufconn.Listener // nil: nobody listens
	halt     func()
	sending  func(method string, message any) error // may hold a message back, or fail
}

func newSource(t *testing.T) *source {
	s := &source{}
	s.options = store.Options{
		Path: filepath.Join(t.TempDir(), "registry.db"), ServerID: "marsala", Comune: "marsala", NoSync: true, Logger: quiet(),
		BeforeCommit: func() error {
			if s.broken {
				return fmt.Errorf("the disk broke")
			}
			return nil
		},
	}
	s.open(t)
	t.Cleanup(func() {
		s.stop()
		_ = s.store.Close()
	})
	return s
}

func (s *source) open(t *testing.T) {
	t.Helper()
	opened, err := store.Open(s.options)
	must(t, err)
	s.store = opened
}

func (s *source) origins() []*feedv1.OriginStatus {
	return []*feedv1.OriginStatus{{Comune: "marsala", Revision: s.store.Head().Revision}}
}

// serve serves the feed until stop.
func (s *source) serve() {
	g := grpcserver.New(grpcserver.Options{Insecure: true, Logger: quiet(), Stream: []grpc.StreamServerInterceptor{s.watch}})
	feedv1.RegisterFeedServiceServer(g.Registrar(), feed.NewServer(s.store, s.origins))
	listener := bufconn.Listen(1 << 16)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = g.Serve(ctx, listener)
	}()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listener = listener
	s.halt = func() { cancel(); <-ended }
}

func (s *source) stop() {
	s.mu.Lock()
	halt := s.halt
	s.listener, s.halt = nil, nil
	s.mu.Unlock()
	if halt != nil {
		halt()
	}
}

func (s *source) dial(ctx context.Context, _ string) (net.Conn, error) {
	s.mu.Lock()
	listener := s.listener
	s.mu.Unlock()
	if listener == nil {
		return nil, fmt.Errorf("nobody listens")
	}
	return listener.DialContext(ctx)
}

// meanwhile sets what happens before each message that the source sends.
func (s *source) meanwhile(sending func(method string, message any) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sending = sending
}

func (s *source) watch(server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
	return handle(server, &watched{stream, s, info.FullMethod})
}

type watched struct {
	grpc.ServerStream
	source *source
	method string
}

func (w *watched) SendMsg(message any) error {
	w.source.mu.Lock()
	sending := w.source.sending
	w.source.mu.Unlock()
	if sending != nil {
		if err := sending(w.method, message); err != nil {
			return err
		}
	}
	return w.ServerStream.SendMsg(message)
}

// client connects to the source.
func (s *source) client(t *testing.T) feedv1.FeedServiceClient {
	t.Helper()
	conn, err := grpcclient.Dial("marsala:1", grpcclient.Options{Insecure: true, Dialer: s.dial})
	must(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return feedv1.NewFeedServiceClient(conn)
}

func service(id string, edits ...func(*registryv1.Service)) *registryv1.Service {
	r := &registryv1.Service{Name: "comuni/marsala/services/" + id, Title: &registryv1.LocalizedText{It: "Servizio " + id}}
	for _, edit := range edits {
		edit(r)
	}
	return r
}

func (s *source) write(t testing.TB, records ...proto.Message) {
	t.Helper()
	_, err := s.store.Commit(context.Background(), store.Request{}, nil, func(store.Reader, store.Stamp) (store.Outcome, error) {
		return store.Outcome{Put: records}, nil
	})
	must(t, err)
}

func (s *source) fill(t testing.TB, n int) {
	t.Helper()
	for i := range n {
		s.write(t, service(fmt.Sprintf("s-%04d", i)))
	}
}

// A copy is an office that follows the source.
type copied struct {
	store    *store.Store
	follower *feed.Follower
	slow     atomic.Int64 // what a commit takes, in nanoseconds
	passed   []federationv1.Node_State
	stop     func()
}

func (s *source) follow(t *testing.T) *copied {
	t.Helper()
	c := &copied{}
	opened, err := store.Open(store.Options{
		Path: filepath.Join(t.TempDir(), "ufficio.db"), ServerID: "cid-trapani", NoSync: true, Logger: quiet(),
		BeforeCommit: func() error { time.Sleep(time.Duration(c.slow.Load())); return nil },
	})
	must(t, err)
	c.store = opened
	c.follower, err = feed.NewFollower(opened, "marsala", store.Scope{Comuni: []string{"marsala"}}, s.client(t), quiet(), func() {
		if now := c.follower.Status().State; len(c.passed) == 0 || c.passed[len(c.passed)-1] != now {
			c.passed = append(c.passed, now)
		}
	})
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.follower.Run(ctx) }()
	var once sync.Once
	c.stop = func() {
		once.Do(func() {
			cancel()
			if err := <-ended; err != nil {
				t.Errorf("the follower ended with %v", err)
			}
			if err := c.store.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(c.stop)
	return c
}

// state after some time.
func (c *copied) after(d time.Duration) feed.Status {
	time.Sleep(d)
	synctest.Wait()
	return c.follower.Status()
}

func (c *copied) wants(t *testing.T, d time.Duration, state federationv1.Node_State) feed.Status {
	t.Helper()
	got := c.after(d)
	if got.State != state {
		t.Fatalf("the copy is %s (%s), want %s", got.State, got.LastError, state)
	}
	return got
}

// holdings is what a store offers: name to bytes.
func holdings(t testing.TB, s *store.Store) map[string]string {
	t.Helper()
	all := map[string]string{}
	for after := []byte(nil); ; {
		page, err := s.SnapshotPage(after)
		must(t, err)
		for _, change := range page.Records {
			all[change.GetName()] = string(change.GetRecord().GetValue())
		}
		if after = page.Next; after == nil {
			return all
		}
	}
}

func (c *copied) equals(t *testing.T, s *source) {
	t.Helper()
	got, want := holdings(t, c.store), holdings(t, s.store)
	if !maps.Equal(got, want) {
		t.Errorf("the copy has %d records, the source %d, or they differ", len(got), len(want))
	}
	report, err := c.store.Check(context.Background())
	must(t, err)
	if len(report.Problems) > 0 {
		t.Errorf("check: %v", report.Problems)
	}
}

// denied is what a server answers that does not know the caller.
var denied = status.Error(codes.PermissionDenied, "not a member")
