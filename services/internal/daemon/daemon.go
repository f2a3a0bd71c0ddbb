// Package daemon serves a server of the contract: on the network with mutual
// TLS, and on a local socket for the administrator.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/platform/grpcserver"
	"cidsistem.example/services/platform/identity"
	"cidsistem.example/services/platform/lifecycle"
	"cidsistem.example/services/platform/telemetry"
)

// A Server is a node or an ufficio comune.
type Server interface {
	// Interceptors are those that every server of it runs.
	Interceptors() ([]grpc.UnaryServerInterceptor, []grpc.StreamServerInterceptor)
	// Register registers what members of the federation may call.
	Register(registrar grpc.ServiceRegistrar)
	// RegisterLocal registers what the local socket answers.
	RegisterLocal(registrar grpc.ServiceRegistrar)
	// Tasks are what it does by itself.
	Tasks() []lifecycle.Task
	// Ready tells why it cannot serve, nil when it can.
	Ready() error
}

// Options of Run.
type Options struct {
	// Listen is the address of the gRPC server, HOST:PORT.
	Listen string
	// Admin is the address of health and metrics, empty for none.
	Admin string
	// DataDir is where the local socket is made.
	DataDir string
	// Identity of the process.
	Identity *identity.Source
	Logger   *slog.Logger
}

// Socket is the local socket of a server.
func Socket(dataDir string) string { return filepath.Join(dataDir, "admin.sock") }

// localMessageBytes bounds a message on the local socket, where a person's data
// are given out with the files that came with them.
const localMessageBytes = 64 << 20

// Run serves until ctx ends, a signal comes, or a part fails.
func Run(ctx context.Context, server Server, options Options) error {
	registry := telemetry.NewRegistry()
	network := newServer(server, options, registry, grpcserver.Options{TLS: options.Identity.ServerTLS()})
	server.Register(network.Registrar())
	local := newServer(server, options, nil, grpcserver.Options{Insecure: true, MaxMessageBytes: localMessageBytes})
	server.RegisterLocal(local.Registrar())

	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", options.Listen)
	if err != nil {
		return fmt.Errorf("listen for gRPC: %w", err)
	}
	socket, err := listenLocal(ctx, Socket(options.DataDir))
	if err != nil {
		return errors.Join(fmt.Errorf("listen on the local socket: %w", err), listener.Close())
	}
	tasks := append(server.Tasks(),
		lifecycle.Task{Name: "grpc", Run: func(ctx context.Context) error { return network.Serve(ctx, listener) }},
		lifecycle.Task{Name: "local socket", Run: func(ctx context.Context) error { return local.Serve(ctx, socket) }},
	)
	if options.Admin != "" {
		tasks = append(tasks, telemetry.Admin(options.Admin, registry, server.Ready))
	}
	return lifecycle.Run(ctx, options.Logger, tasks...)
}

func newServer(server Server, options Options, registry prometheus.Registerer, with grpcserver.Options) *grpcserver.Server {
	with.Unary, with.Stream = server.Interceptors()
	with.Logger, with.Metrics = options.Logger, registry
	with.Panic = func(any) error {
		return apierror.New(registryv1.ErrorReason_INTERNAL_ERROR, "the server has a defect; its log has the cause")
	}
	with.Unknown = func(method string) error {
		return apierror.New(registryv1.ErrorReason_UNKNOWN_METHOD, fmt.Sprintf("this server has no method %.200q", method))
	}
	return grpcserver.New(with)
}

// listenLocal makes a socket that only the server's user can use. One that a
// killed process left behind is replaced; the data file's lock tells whether
// another process still runs.
func listenLocal(ctx context.Context, path string) (net.Listener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	return listener, nil
}
