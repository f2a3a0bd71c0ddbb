package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"

	"go.yaml.in/yaml/v3"
	"google.golang.org/grpc"

	"cidsistem.example/deploy/pki"
	"cidsistem.example/services/platform/grpcclient"
	"cidsistem.example/services/platform/identity"
)

// A Federation that runs.
type Federation struct {
	options Options
	admin   *identity.Source
	conns   []*grpc.ClientConn

	// Nodes and Links by comune.
	Nodes map[string]*Process
	Links map[string]*Link
	// Office and Gateway, the processes.
	Office, Gateway *Process

	addresses map[string]string // of gRPC servers by id
	http      string
}

// Start starts everything and returns when it answers. On an error, and when
// ctx ends, everything that was started is stopped.
func Start(ctx context.Context, options Options) (f *Federation, err error) {
	if options.Out == nil {
		options.Out = io.Discard
	}
	f = &Federation{options: options, Nodes: map[string]*Process{}, Links: map[string]*Link{}, addresses: map[string]string{}}
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
	certificates, err := f.certificates()
	if err != nil {
		return f, err
	}
	if f.admin, err = identity.Load(certificates["admin"]); err != nil {
		return f, err
	}
	if err := f.startNodes(ctx, certificates); err != nil {
		return f, err
	}
	if err := f.startOffice(ctx, certificates[Office]); err != nil {
		return f, err
	}
	if err := f.startGateway(ctx, certificates["gateway"]); err != nil {
		return f, err
	}
	if !options.Empty {
		if err := f.importSample(ctx); err != nil {
			return f, err
		}
	}
	return f, f.settle(ctx)
}

func (f *Federation) say(format string, args ...any) {
	_, _ = fmt.Fprintf(f.options.Out, "  "+format+"\n", args...)
}

// certificates makes the authority of the demo once, and fresh certificates at
// every start.
func (f *Federation) certificates() (map[string]identity.Files, error) {
	dir := filepath.Join(f.options.Dir, "pki")
	authority, err := pki.Open(dir)
	if errors.Is(err, os.ErrNotExist) {
		authority, err = pki.Init(dir, TrustDomain)
	}
	if err != nil {
		return nil, err
	}
	files := map[string]identity.Files{}
	issue := func(key, role, name string) {
		if err != nil {
			return
		}
		files[key], err = authority.Issue(pki.Request{Role: role, Name: name, IP: []netip.Addr{netip.MustParseAddr("127.0.0.1")}})
	}
	for _, comune := range Comuni {
		issue(comune.ID, identity.RoleComune, comune.ID)
	}
	issue(Office, identity.RoleUfficio, Office)
	issue("gateway", identity.RoleGateway, "portale")
	issue("admin", identity.RoleAdmin, "demo")
	return files, err
}

func (f *Federation) startNodes(ctx context.Context, certificates map[string]identity.Files) error {
	for i, comune := range Comuni {
		address, err := f.pick(ctx, 1+i)
		if err != nil {
			return err
		}
		f.addresses[comune.ID] = address
		f.Nodes[comune.ID], err = f.start(comune.ID, "registryd", map[string]any{
			"comune":   map[string]string{"id": comune.ID, "title": comune.Title, "istat_code": comune.IstatCode},
			"data_dir": filepath.Join(f.options.Dir, comune.ID),
			"listen":   address,
			"tls":      certificates[comune.ID],
		})
		if err != nil {
			return err
		}
		linkAddress, err := f.pick(ctx, 11+i)
		if err != nil {
			return err
		}
		if f.Links[comune.ID], err = newLink(ctx, linkAddress, address); err != nil {
			return fmt.Errorf("open the link to %s: %w", comune.ID, err)
		}
	}
	for _, comune := range Comuni {
		if err := f.serving(ctx, comune.ID, f.Nodes[comune.ID]); err != nil {
			return err
		}
		f.say("Node of %s at %s", comune.Title, f.addresses[comune.ID])
	}
	return nil
}

func (f *Federation) startOffice(ctx context.Context, certificate identity.Files) (err error) {
	if f.addresses[Office], err = f.pick(ctx, 0); err != nil {
		return err
	}
	var members []map[string]string
	for _, comune := range Comuni {
		members = append(members, map[string]string{
			"id": comune.ID, "address": f.Links[comune.ID].Address(),
			"identity": identity.ID{TrustDomain: TrustDomain, Role: identity.RoleComune, Name: comune.ID}.String(),
		})
	}
	f.Office, err = f.start(Office, "ufficiod", map[string]any{
		"id": Office, "data_dir": filepath.Join(f.options.Dir, Office), "listen": f.addresses[Office],
		"tls": certificate, "members": members,
	})
	if err != nil {
		return err
	}
	if err := f.serving(ctx, Office, f.Office); err != nil {
		return err
	}
	f.say("Ufficio comune at %s", f.addresses[Office])
	return nil
}

func (f *Federation) startGateway(ctx context.Context, certificate identity.Files) (err error) {
	f.http = f.options.HTTP
	if host, port, err := net.SplitHostPort(f.http); err == nil && port == "0" {
		if f.http, err = freeAddress(ctx, host); err != nil {
			return err
		}
	}
	f.Gateway, err = f.start("gateway", "gatewayd", map[string]any{
		"listen": f.http, "tls": certificate, "limits": map[string]any{"rate": f.options.Rate, "burst": max(1, 4*f.options.Rate)},
		"upstream": map[string]string{
			"address":  f.addresses[Office],
			"identity": identity.ID{TrustDomain: TrustDomain, Role: identity.RoleUfficio, Name: Office}.String(),
		},
	})
	if err != nil {
		return err
	}
	if err := f.answering(ctx); err != nil {
		return err
	}
	f.say("Gateway at http://%s", f.http)
	return nil
}

// start writes the settings of a process and runs it.
func (f *Federation) start(name, program string, settings map[string]any) (*Process, error) {
	text, err := yaml.Marshal(settings)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(f.options.Dir, "settings", name+".yaml")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return nil, fmt.Errorf("write the settings of %s: %w", name, err)
	}
	p := &Process{
		name: name, binary: filepath.Join(f.options.Bin, program), args: []string{"--config", path},
		log: filepath.Join(f.options.Dir, "logs", name+".log"),
	}
	return p, p.Start()
}

// pick chooses the address of a gRPC server.
func (f *Federation) pick(ctx context.Context, offset int) (string, error) {
	if f.options.BasePort == 0 {
		return freeAddress(ctx, "127.0.0.1")
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(f.options.BasePort+offset)), nil
}

func freeAddress(ctx context.Context, host string) (string, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	return listener.Addr().String(), listener.Close()
}

// HTTP is the address of the gateway.
func (f *Federation) HTTP() string { return f.http }

// Address is that of the gRPC server of a comune, or of the Office.
func (f *Federation) Address(id string) string { return f.addresses[id] }

// Conn connects to the gRPC server of a comune, or of the Office, as the
// administrator of the demo.
func (f *Federation) Conn(id string) (*grpc.ClientConn, error) {
	role := identity.RoleComune
	if id == Office {
		role = identity.RoleUfficio
	}
	conn, err := grpcclient.Dial(f.addresses[id], grpcclient.Options{
		TLS: f.admin.ClientTLS(identity.ID{TrustDomain: TrustDomain, Role: role, Name: id}),
	})
	if err == nil {
		f.conns = append(f.conns, conn)
	}
	return conn, err
}

// Stop stops everything, the edge first.
func (f *Federation) Stop(ctx context.Context) error {
	var problems []error
	for _, conn := range f.conns {
		problems = append(problems, conn.Close())
	}
	for _, p := range f.all() {
		problems = append(problems, p.Stop(ctx))
	}
	for _, link := range f.Links {
		link.Close()
	}
	return errors.Join(problems...)
}

// all lists the processes that were started, the edge first.
func (f *Federation) all() []*Process {
	var all []*Process
	for _, p := range []*Process{f.Gateway, f.Office} {
		if p != nil {
			all = append(all, p)
		}
	}
	for _, comune := range Comuni {
		if p := f.Nodes[comune.ID]; p != nil {
			all = append(all, p)
		}
	}
	return all
}

// Wait returns when ctx ends, or with an error when a process ends by itself.
func (f *Federation) Wait(ctx context.Context) error {
	failed := make(chan error, len(f.all()))
	for _, p := range f.all() {
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
