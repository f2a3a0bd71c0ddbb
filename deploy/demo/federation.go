package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"google.golang.org/grpc"

	"cidsistem.example/deploy/pki"
	"cidsistem.example/proto/gen/identityv1"
	"cidsistem.example/services/platform/grpcclient"
	"cidsistem.example/services/platform/identity"
)

// A Federation that runs.
type Federation struct {
	options   Options
	authority *pki.Authority
	admin     *identity.Source

	mu      sync.Mutex
	conns   map[string]*grpc.ClientConn // by address
	servers map[string]server           // gRPC servers by id
	started []*Process                  // in this order

	people   map[string]Person              // see ReadPeople
	sessions map[string]*identityv1.Session // the last of each

	// Nodes and Links by comune.
	Nodes map[string]*Process
	Links map[string]*Link
	// Office and Gateway, the processes.
	Office, Gateway *Process
	// Above is the process of the ufficio comune above, nil for none.
	Above *Process

	http  string
	desks map[string]string // addresses of the gateways at the nodes, by comune
}

// A server is a process that answers gRPC.
type server struct {
	process *Process
	address string // HOST:PORT
	id      identity.ID
}

// Start starts everything and returns when it answers. On an error, and when
// ctx ends, everything that was started is stopped.
func Start(ctx context.Context, options Options) (f *Federation, err error) {
	if options.Out == nil {
		options.Out = io.Discard
	}
	f = &Federation{
		options: options, conns: map[string]*grpc.ClientConn{}, servers: map[string]server{},
		Nodes: map[string]*Process{}, Links: map[string]*Link{}, sessions: map[string]*identityv1.Session{},
		desks: map[string]string{},
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Stop(context.WithoutCancel(ctx)))
			f = nil
		}
	}()
	for _, dir := range []string{"logs", "settings"} {
		if err := os.MkdirAll(filepath.Join(options.Dir, dir), 0o700); err != nil {
			return f, fmt.Errorf("make the folder of the demo: %w", err)
		}
	}
	f.say("Certificates of the federation")
	if err := f.openAuthority(); err != nil {
		return f, err
	}
	if err := f.startNodes(ctx); err != nil {
		return f, err
	}
	if err := f.startOffices(ctx); err != nil {
		return f, err
	}
	if err := f.enrol(ctx); err != nil {
		return f, err
	}
	if f.Gateway, f.http, err = f.startGateway(ctx, "gateway", "portale", Office, options.HTTP); err != nil {
		return f, err
	}
	if options.Workbench {
		if err := f.startDesks(ctx); err != nil {
			return f, err
		}
	}
	if !options.Empty {
		if err := f.importSample(ctx); err != nil {
			return f, err
		}
	}
	return f, f.settleAll(ctx)
}

func (f *Federation) say(format string, args ...any) {
	_, _ = fmt.Fprintf(f.options.Out, "  "+format+"\n", args...)
}

// DeskHTTP is the address of the gateway at the node of a comune, where its
// people work; empty: it has none.
func (f *Federation) DeskHTTP(comune string) string { return f.desks[comune] }

// HTTP is the address of the gateway.
func (f *Federation) HTTP() string { return f.http }

// Address is that of the gRPC server of a comune, or of an ufficio comune.
func (f *Federation) Address(id string) string { return f.server(id).address }

// DataDir is where the server of a comune, or an ufficio comune, keeps its data.
func (f *Federation) DataDir(id string) string { return filepath.Join(f.options.Dir, id) }

// Authority signs the certificates of the federation.
func (f *Federation) Authority() *pki.Authority { return f.authority }

func (f *Federation) server(id string) server {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.servers[id]
}

// Conn is a connection to the gRPC server of a comune, or of an ufficio comune,
// as the administrator of the demo: always the same one, closed by Stop.
func (f *Federation) Conn(id string) (*grpc.ClientConn, error) {
	s := f.server(id)
	return f.connect(s.address, grpcclient.Options{TLS: f.admin.ClientTLS(s.id)})
}

// LocalConn is a connection to the local socket of a comune's server, or of an
// ufficio comune's: always the same one, closed by Stop.
func (f *Federation) LocalConn(id string) (*grpc.ClientConn, error) {
	return f.connect("unix:"+filepath.Join(f.DataDir(id), "admin.sock"), grpcclient.Options{Insecure: true})
}

func (f *Federation) connect(address string, options grpcclient.Options) (*grpc.ClientConn, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.conns[address] == nil {
		conn, err := grpcclient.Dial(address, options)
		if err != nil {
			return nil, err
		}
		f.conns[address] = conn
	}
	return f.conns[address], nil
}

// Resume starts a server that was stopped or killed, and returns when it serves,
// also over the connections that Conn and LocalConn gave away.
func (f *Federation) Resume(ctx context.Context, id string) error {
	p := f.server(id).process
	if err := p.Start(); err != nil {
		return err
	}
	if err := f.serving(ctx, id); err != nil {
		return err
	}
	for _, connect := range []func(string) (*grpc.ClientConn, error){f.Conn, f.LocalConn} {
		conn, err := connect(id)
		if err != nil {
			return err
		}
		conn.ResetConnectBackoff()
		if err := healthy(ctx, conn); err != nil {
			return fmt.Errorf("reach %s again: %w", id, err)
		}
	}
	return nil
}

// Stop stops everything, the edge first.
func (f *Federation) Stop(ctx context.Context) error {
	var problems []error
	for _, conn := range f.conns {
		problems = append(problems, conn.Close())
	}
	for _, p := range slices.Backward(f.started) {
		problems = append(problems, p.Stop(ctx))
	}
	for _, link := range f.Links {
		link.Close()
	}
	return errors.Join(problems...)
}

// Wait returns when ctx ends, or with an error when a process ends by itself.
func (f *Federation) Wait(ctx context.Context) error {
	failed := make(chan error, len(f.started))
	for _, p := range f.started {
		go func() {
			select {
			case <-p.Ended():
				failed <- p.failure()
			case <-ctx.Done():
			}
		}()
	}
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		return nil
	}
}
