package bench

import (
	"bufio"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"cidsistem.example/deploy/demo"
	"cidsistem.example/deploy/pki"
	"cidsistem.example/proto/catalog"
	"cidsistem.example/services/platform/grpcclient"
	"cidsistem.example/services/platform/identity"
)

// A Bare server is what ours are held against: grpc-go and net/http that return
// ready bytes out of memory, with the same certificates, and do nothing else.
type Bare struct {
	// TLS of the gRPC server.
	TLS identity.Files
	// Records are the answers to Get over gRPC, serialised, by name.
	Records map[string][]byte
	// Bodies are the answers over HTTP, by path.
	Bodies map[string][]byte
}

// Serve reads a Bare from a file, serves it on two free ports of loopback, writes
// their addresses to out as one line, and ends when in does.
func Serve(file string, in io.Reader, out io.Writer) error {
	f, err := os.Open(filepath.Clean(file))
	if err != nil {
		return err
	}
	var b Bare
	err = errors.Join(gob.NewDecoder(bufio.NewReader(f)).Decode(&b), f.Close())
	if err != nil {
		return fmt.Errorf("read the answers of the bare server: %w", err)
	}
	source, err := identity.Load(b.TLS)
	if err != nil {
		return err
	}
	forGRPC, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	forHTTP, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	g := grpc.NewServer(grpc.Creds(credentials.NewTLS(source.ServerTLS())), grpc.ForceServerCodecV2(passThrough{}))
	b.register(g)
	h := &http.Server{Handler: http.HandlerFunc(b.answer), ReadHeaderTimeout: time.Second}
	ended := make(chan error, 3)
	go func() { ended <- g.Serve(forGRPC) }()
	go func() { ended <- h.Serve(forHTTP) }()
	go func() {
		_, err := io.Copy(io.Discard, in)
		ended <- err
	}()
	if _, err := fmt.Fprintln(out, forGRPC.Addr(), forHTTP.Addr()); err != nil {
		return err
	}
	err = <-ended
	g.Stop()
	return errors.Join(err, h.Close())
}

// register serves the Get of each kind.
func (b Bare) register(server *grpc.Server) {
	for _, kind := range catalog.Kinds() {
		method, ok := kind.Method(catalog.Get)
		if !ok {
			continue
		}
		service, name, _ := strings.Cut(strings.TrimPrefix(method.Full, "/"), "/")
		server.RegisterService(&grpc.ServiceDesc{
			ServiceName: service, HandlerType: (*any)(nil),
			Methods: []grpc.MethodDesc{{MethodName: name, Handler: b.get}},
		}, b)
	}
}

func (b Bare) get(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
	var request []byte
	if err := decode(&request); err != nil {
		return nil, err
	}
	if len(request) < 3 {
		return nil, fmt.Errorf("a request of %d bytes has no name", len(request))
	}
	// Tag and length of the name are a byte each: it is the request's only field.
	record, ok := b.Records[string(request[2:])]
	if !ok {
		return nil, fmt.Errorf("there is no %.200q", request[2:])
	}
	return record, nil
}

func (b Bare) answer(w http.ResponseWriter, r *http.Request) {
	body, ok := b.Bodies[r.RequestURI]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body) // a client that went away is no fault of ours
}

// A bareProcess is a Bare that runs as a process of its own.
type bareProcess struct {
	pid  int
	conn *grpc.ClientConn
	http string // its address
	stop func() error
}

// startBare runs the bare server with the answers, as a member of the federation
// that lives in dir.
func startBare(ctx context.Context, program, dir string, b Bare) (*bareProcess, error) {
	authority, err := pki.Open(filepath.Join(dir, "pki"))
	if err != nil {
		return nil, err
	}
	if b.TLS, err = authority.Issue(pki.Request{Role: bareID.Role, Name: bareID.Name, IP: []netip.Addr{netip.MustParseAddr("127.0.0.1")}}); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "bare.gob")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(gob.NewEncoder(f).Encode(b), f.Close()); err != nil {
		return nil, fmt.Errorf("write the answers of the bare server: %w", err)
	}
	command := exec.Command(program, "bare", path)
	command.Stderr = os.Stderr
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	in, err := command.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("start the bare server: %w", err)
	}
	unblock := context.AfterFunc(ctx, func() { _ = in.Close() })
	p := &bareProcess{pid: command.Process.Pid, stop: func() error {
		unblock()
		_ = in.Close()
		return command.Wait()
	}}
	var address string
	if _, err := fmt.Fscanln(out, &address, &p.http); err != nil {
		return nil, errors.Join(fmt.Errorf("the bare server does not say where it is: %w", err), p.stop())
	}
	source, err := identity.Load(b.TLS)
	if err == nil {
		p.conn, err = grpcclient.Dial(address, grpcclient.Options{TLS: source.ClientTLS(bareID)})
	}
	if err != nil {
		return nil, errors.Join(err, p.stop())
	}
	end := p.stop
	p.stop = func() error { return errors.Join(p.conn.Close(), end()) }
	return p, nil
}

// bareID is who the bare server is, and who asks it.
var bareID = identity.ID{TrustDomain: demo.TrustDomain, Role: identity.RoleComune, Name: "bare"}
