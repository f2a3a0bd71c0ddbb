// Package grpcserver is the gRPC server every process of a federation runs: its transport, limits, health, metrics and orderly end.
package grpcserver

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	grpcprom "github.com/grpc-ecosystem/go-grpc-middleware/providers/prometheus"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	_ "google.golang.org/grpc/encoding/gzip" // answers a client that asks for gzip
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"
)

const (
	defaultMaxMessageBytes = 4 << 20
	defaultTimeout         = 10 * time.Second
	drainWithin            = 10 * time.Second
	handshakeWithin        = 10 * time.Second
	// maxStreams bounds the calls in flight on one connection: many more than a gateway or an ufficio comune has at a time.
	maxStreams = 2000

	// workers keep the stacks that calls made them grow, which a new goroutine for each call would pay for again; a call that finds
	// none idle still gets one of its own.
	workers = 32
)

// Options of a server. The zero value of each field has the meaning given beside it.
type Options struct {
	TLS      *tls.Config // as made by identity.Source.ServerTLS; nil only together with Insecure
	Insecure bool        // plain text; [Server.Serve] then accepts only a Unix socket, an in-process listener or loopback

	// Unary and Stream run in order, after the server's own: metrics, access log, recovery, default deadline.
	Unary  []grpc.UnaryServerInterceptor
	Stream []grpc.StreamServerInterceptor

	// Panic makes the error that the caller gets when a handler panicked; nil answers INTERNAL without details.
	Panic func(recovered any) error

	// Unknown makes the error of a call to a method that is not there, by its full name; nil answers UNIMPLEMENTED without details.
	Unknown func(method string) error

	Logger          *slog.Logger          // nil: slog.Default()
	Metrics         prometheus.Registerer // nil: no metrics; servers may share one
	MaxMessageBytes int                   // of one message, received or sent; 0: 4 MiB
	DefaultTimeout  time.Duration         // of a unary call that came without a deadline; 0: 10 s
}

// Server is a gRPC server with health and reflection services. Register services on it, then call [Server.Serve] once.
type Server struct {
	*grpc.Server
	health   *health.Server
	logger   *slog.Logger
	insecure bool
	draining chan struct{} // closed when the drain begins
}

// New makes a server. It panics if the options have neither TLS nor Insecure, or both: whether a port is protected must be decided.
func New(options Options) *Server {
	if (options.TLS == nil) != options.Insecure {
		panic("grpcserver.New: exactly one of TLS and Insecure must be given")
	}
	if options.Logger == nil {
		options.Logger = slog.Default()
	}
	if options.MaxMessageBytes == 0 {
		options.MaxMessageBytes = defaultMaxMessageBytes
	}
	if options.DefaultTimeout == 0 {
		options.DefaultTimeout = defaultTimeout
	}
	server := &Server{
		health:   health.NewServer(),
		logger:   options.Logger,
		insecure: options.Insecure,
		draining: make(chan struct{}),
	}
	unary, stream := server.interceptors(options)
	grpcOptions := []grpc.ServerOption{
		grpc.ChainUnaryInterceptor(unary...),
		grpc.ChainStreamInterceptor(stream...),
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.MaxRecvMsgSize(options.MaxMessageBytes),
		grpc.MaxSendMsgSize(options.MaxMessageBytes),
		grpc.ConnectionTimeout(handshakeWithin),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 15 * time.Second, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 20 * time.Second, Timeout: 5 * time.Second}),
		grpc.WaitForHandlers(true), // what the handlers use is closed after Serve
		grpc.NumStreamWorkers(workers),
		grpc.ForceServerCodecV2(newCodec()),
	}
	if options.Unknown != nil {
		grpcOptions = append(grpcOptions, grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
			method, _ := grpc.MethodFromServerStream(stream)
			return options.Unknown(method)
		}))
	}
	if options.TLS != nil {
		grpcOptions = append(grpcOptions, grpc.Creds(newReporting(credentials.NewTLS(options.TLS), options.Logger)))
	}
	server.Server = grpc.NewServer(grpcOptions...)
	grpc_health_v1.RegisterHealthServer(server.Server, server.health)
	reflection.RegisterV1(server.Server)
	return server
}

// Registrar is where services are registered, before [Server.Serve].
func (s *Server) Registrar() grpc.ServiceRegistrar { return s.Server }

// SetServing sets what the health service says of the whole server. It says SERVING from the start; after the drain began it says
// NOT_SERVING for good.
func (s *Server) SetServing(serving bool) {
	status := grpc_health_v1.HealthCheckResponse_NOT_SERVING
	if serving {
		status = grpc_health_v1.HealthCheckResponse_SERVING
	}
	s.health.SetServingStatus("", status)
}

// Serve accepts connections until ctx ends. Then new calls are refused, health says NOT_SERVING, and calls in flight have
// 10 seconds to complete before they are cancelled; handlers of endless streams should watch [Draining]. It returns nil after
// an orderly end. In every case the listener is closed and no handler runs any more.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	address := listener.Addr()
	if s.insecure && !private(address) {
		_ = listener.Close() // it has accepted nothing
		return fmt.Errorf("serve gRPC on %s: plain text is only for a Unix socket or loopback: give certificate files or another address", address)
	}
	s.logger.Info("serving gRPC", "address", address.String(), "tls", !s.insecure)
	ended := make(chan error, 1)
	go func() { ended <- s.Server.Serve(listener) }()
	select {
	case err := <-ended:
		s.Stop()
		return fmt.Errorf("serve gRPC on %s: %w", address, err)
	case <-ctx.Done():
	}
	s.drain()
	if err := <-ended; err != nil && !errors.Is(err, grpc.ErrServerStopped) {
		return fmt.Errorf("serve gRPC on %s: %w", address, err)
	}
	return nil
}

func (s *Server) drain() {
	s.health.Shutdown()
	close(s.draining)
	forced := time.AfterFunc(drainWithin, func() {
		s.logger.Warn("calls still in flight are cancelled", "after", drainWithin)
		s.Stop()
	})
	defer forced.Stop()
	s.GracefulStop()
}

func private(address net.Addr) bool {
	tcp, ok := address.(*net.TCPAddr)
	return !ok || tcp.IP.IsLoopback()
}

// metrics returns the collector of all servers that share a registerer.
func metrics(registerer prometheus.Registerer) *grpcprom.ServerMetrics {
	collector := grpcprom.NewServerMetrics(grpcprom.WithServerHandlingTimeHistogram())
	err := registerer.Register(collector)
	if already, ok := errors.AsType[prometheus.AlreadyRegisteredError](err); ok {
		if shared, ok := already.ExistingCollector.(*grpcprom.ServerMetrics); ok {
			return shared
		}
	}
	if err != nil {
		panic(fmt.Sprintf("grpcserver.New: register metrics: %v", err)) // two definitions of one name, in the program itself
	}
	return collector
}
