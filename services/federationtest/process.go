package federationtest

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/test/bufconn"

	"cidsistem.example/services/platform/grpcclient"
	"cidsistem.example/services/platform/grpcserver"
	"cidsistem.example/services/platform/lifecycle"
)

// server is what a node and an office have in common.
type server interface {
	Interceptors() ([]grpc.UnaryServerInterceptor, []grpc.StreamServerInterceptor)
	RegisterLocal(registrar grpc.ServiceRegistrar)
	Tasks() []lifecycle.Task
	Close() error
}

// A Process is a running server of a test.
type Process struct {
	listener *bufconn.Listener
	stop     context.CancelFunc
	done     chan error
	conns    []*grpc.ClientConn

	// Metrics are what the process tells of itself.
	Metrics *prometheus.Registry
}

// Quiet is a logger that says nothing.
func Quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func start(s server) *Process {
	unary, stream := s.Interceptors()
	registry := prometheus.NewRegistry()
	g := grpcserver.New(grpcserver.Options{Insecure: true, Unary: unary, Stream: stream, Logger: Quiet(), Metrics: registry})
	s.RegisterLocal(g.Registrar())
	ctx, stop := context.WithCancel(context.Background())
	p := &Process{listener: bufconn.Listen(1 << 16), stop: stop, done: make(chan error, 1), Metrics: registry}
	var tasks sync.WaitGroup
	for _, task := range s.Tasks() {
		tasks.Go(func() { _ = task.Run(ctx) })
	}
	go func() {
		err := g.Serve(ctx, p.listener)
		tasks.Wait()
		p.done <- errors.Join(err, s.Close())
	}()
	return p
}

// stopWithin is how long an orderly stop may take: calls in flight get ten
// seconds, commits what the disk takes.
const stopWithin = time.Minute

// halt stops the process in an orderly way.
func (p *Process) halt() error {
	p.stop()
	for _, conn := range p.conns {
		_ = conn.Close()
	}
	select {
	case err := <-p.done:
		return err
	case <-time.After(stopWithin):
		return errors.New("not stopped within " + stopWithin.String())
	}
}

// Stop stops the process in an orderly way.
func (p *Process) Stop(t testing.TB) {
	t.Helper()
	if err := p.halt(); err != nil {
		t.Errorf("a server did not stop in order: %v", err)
	}
}

// dial connects to the process, past all links.
func (p *Process) dial() (*grpc.ClientConn, error) {
	conn, err := grpcclient.Dial("past-all-links:1", grpcclient.Options{
		Insecure: true,
		Dialer:   func(ctx context.Context, _ string) (net.Conn, error) { return p.listener.DialContext(ctx) },
	})
	if err == nil {
		p.conns = append(p.conns, conn)
	}
	return conn, err
}

// Conn connects to the process, past all links.
func (p *Process) Conn(t testing.TB) *grpc.ClientConn {
	t.Helper()
	conn, err := p.dial()
	if err != nil {
		t.Fatal(err)
	}
	return conn
}
