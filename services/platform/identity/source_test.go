package identity_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"cidsistem.example/services/platform/grpcclient"
	"cidsistem.example/services/platform/grpcserver"
	"cidsistem.example/services/platform/identity"
	"cidsistem.example/services/platform/identity/identitytest"
)

const domain = "cidsistem.example"

var node = identity.ID{TrustDomain: domain, Role: identity.RoleComune, Name: "pantelleria"}

func TestHandshake(t *testing.T) {
	ca := identitytest.NewCA(t, domain)
	elsewhere := identitytest.NewCA(t, "altrove.example")
	impostor := identitytest.NewCA(t, domain) // signs for our trust domain, but nobody trusts it
	office := identity.ID{TrustDomain: domain, Role: identity.RoleUfficio, Name: "centrale"}

	good := func(t *testing.T) *tls.Config { return ca.Source(t, office.Role, office.Name).ClientTLS(node) }
	// trusting presents a certificate that identity.Load might refuse, and trusts every server.
	trusting := func(t *testing.T, by *identitytest.CA, path string, end time.Time) *tls.Config {
		dir := t.TempDir()
		files := identity.Files{Cert: filepath.Join(dir, "c"), Key: filepath.Join(dir, "k"), CA: filepath.Join(dir, "a")}
		by.Write(t, files, path, end)
		pair, err := tls.LoadX509KeyPair(files.Cert, files.Key)
		if err != nil {
			t.Fatal(err)
		}
		return &tls.Config{Certificates: []tls.Certificate{pair}, InsecureSkipVerify: true, MinVersion: tls.VersionTLS13}
	}
	inAnHour, anHourAgo := time.Now().Add(time.Hour), time.Now().Add(-time.Hour)

	for _, test := range []struct {
		name          string
		client        func(t *testing.T) *tls.Config
		serverExpired bool
		accepted      bool
	}{
		{name: "same trust domain, wanted server", accepted: true, client: good},
		{name: "any certificate of the trust domain", accepted: true, client: func(t *testing.T) *tls.Config {
			return trusting(t, ca, "/ufficio/centrale", inAnHour)
		}},
		{name: "server is another comune than wanted", client: func(t *testing.T) *tls.Config {
			other := node
			other.Name = "favignana"
			return ca.Source(t, office.Role, office.Name).ClientTLS(other)
		}},
		{name: "server has the name in another role", client: func(t *testing.T) *tls.Config {
			other := node
			other.Role = identity.RoleGateway
			return ca.Source(t, office.Role, office.Name).ClientTLS(other)
		}},
		{name: "client of another trust domain", client: func(t *testing.T) *tls.Config {
			return trusting(t, elsewhere, "/ufficio/centrale", inAnHour)
		}},
		{name: "client signed by an unknown authority", client: func(t *testing.T) *tls.Config {
			return trusting(t, impostor, "/ufficio/centrale", inAnHour)
		}},
		{name: "server signed by an authority the client does not know", client: func(t *testing.T) *tls.Config {
			return impostor.Source(t, office.Role, office.Name).ClientTLS(node)
		}},
		{name: "client with an unknown role", client: func(t *testing.T) *tls.Config {
			return trusting(t, ca, "/regione/sicilia", inAnHour)
		}},
		{name: "client without a certificate", client: func(*testing.T) *tls.Config {
			return &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13}
		}},
		{name: "client with an expired certificate", client: func(t *testing.T) *tls.Config {
			return trusting(t, ca, "/ufficio/centrale", anHourAgo)
		}},
		{name: "server with an expired certificate", serverExpired: true, client: good},
		{name: "client that speaks TLS 1.2", client: func(t *testing.T) *tls.Config {
			config := trusting(t, ca, "/ufficio/centrale", inAnHour)
			config.MinVersion, config.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
			return config
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			files := ca.Files(t, node.Role, node.Name)
			if test.serverExpired {
				ca.Write(t, files, "/"+node.Role+"/"+node.Name, anHourAgo)
			}
			server := start(t, load(t, files))
			_, err := server.check(t, test.client(t))
			if test.accepted {
				if err != nil {
					t.Fatalf("refused: %v", err)
				}
				if got := server.peers(); !slices.Equal(got, []identity.ID{office}) {
					t.Errorf("the handler saw the peers %v, want %v", got, office)
				}
				return
			}
			if status.Code(err) != codes.Unavailable {
				t.Errorf("the call ended with %v, want UNAVAILABLE", err)
			}
			if got := server.peers(); len(got) != 0 {
				t.Errorf("a handler ran for %v", got)
			}
		})
	}
}

func TestUnixSocketHasNoPeer(t *testing.T) {
	dir, err := os.MkdirTemp("", "cid") // shorter than t.TempDir, a socket's path is limited
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	listener, err := new(net.ListenConfig).Listen(t.Context(), "unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := serve(t, listener, grpcserver.Options{Insecure: true})
	connection, err := grpcclient.Dial("unix:"+socket, grpcclient.Options{Insecure: true})
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	if _, err := grpc_health_v1.NewHealthClient(connection).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{}); err != nil {
		t.Fatal(err)
	}
	if got := server.peers(); !slices.Equal(got, []identity.ID{{}}) {
		t.Errorf("the handler saw %v, want one call without a peer", got)
	}
}

func TestRotation(t *testing.T) {
	logs := captureLogs(t)
	ca := identitytest.NewCA(t, domain)
	files := ca.Files(t, node.Role, node.Name)
	source := load(t, files)
	source.CheckAlways()
	server := start(t, source)
	client := ca.Source(t, identity.RoleUfficio, "centrale").ClientTLS(node)

	old := server.dial(t, client)
	first, err := serial(t, old)
	if err != nil {
		t.Fatal(err)
	}
	presented := func() *big.Int {
		t.Helper()
		got, err := server.check(t, client)
		if err != nil {
			t.Fatalf("a new connection: %v", err)
		}
		return got
	}

	end := time.Now().Add(90 * time.Minute)
	ca.Write(t, files, "/comune/pantelleria", end)
	second := presented()
	if second.Cmp(first) == 0 {
		t.Error("a new connection got the old certificate")
	}
	if got := source.Expires(); !got.Equal(end.Truncate(time.Second)) {
		t.Errorf("Expires = %v, want %v", got, end)
	}
	if again, err := serial(t, old); err != nil || again.Cmp(first) != 0 {
		t.Errorf("the old connection answered %v, %v, want it to live on with %v", again, err, first)
	}

	for _, broken := range []struct {
		name  string
		write func()
	}{
		{"garbage", func() { writeFile(t, files.Cert, "no certificate") }},
		{"a key of another certificate", func() { copyFile(t, ca.Files(t, node.Role, node.Name).Key, files.Key) }},
		{"another identity", func() { ca.Write(t, files, "/comune/favignana", end) }},
		{"an authority that did not sign it", func() { copyFile(t, identitytest.NewCA(t, domain).Files(t, node.Role, node.Name).CA, files.CA) }},
		{"a missing file", func() { remove(t, files.Key) }},
	} {
		t.Run(broken.name, func(t *testing.T) {
			before := logs.count("new certificate files refused")
			broken.write()
			for range 3 {
				if got := presented(); got.Cmp(second) != 0 {
					t.Errorf("a new connection got certificate %v, want the last good one, %v", got, second)
				}
			}
			if got := logs.count("new certificate files refused") - before; got != 1 {
				t.Errorf("the broken files were logged %d times, want once", got)
			}
			ca.Write(t, files, "/comune/pantelleria", end)
			repaired := presented()
			if repaired.Cmp(second) == 0 {
				t.Error("the repaired files were not taken")
			}
			second = repaired
		})
	}
}

func TestFilesAreLookedAtOnceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := identitytest.NewCA(t, domain)
		files := ca.Files(t, node.Role, node.Name)
		source := load(t, files)
		before, after := source.Expires(), time.Now().Add(24*time.Hour)
		ca.Write(t, files, "/comune/pantelleria", after)
		<-time.After(time.Second - 1)
		if got := source.Expires(); !got.Equal(before) {
			t.Error("the files were read within the second")
		}
		<-time.After(1)
		if got := source.Expires(); !got.Equal(after) {
			t.Errorf("after a second the certificate ends %v, want the new one's %v", got, after)
		}
	})
}

// A client that may no longer connect must not come back by resuming a session.
func TestNoResumptionPastTheAuthority(t *testing.T) {
	captureLogs(t)
	ca, next := identitytest.NewCA(t, domain), identitytest.NewCA(t, domain)
	files := ca.Files(t, node.Role, node.Name)
	source := load(t, files)
	source.CheckAlways()
	server := start(t, source)

	pair := ca.Files(t, identity.RoleUfficio, "centrale")
	certificate, err := tls.LoadX509KeyPair(pair.Cert, pair.Key)
	if err != nil {
		t.Fatal(err)
	}
	client := &tls.Config{
		Certificates:       []tls.Certificate{certificate},
		InsecureSkipVerify: true,
		MinVersion:         tls.VersionTLS13,
		ServerName:         "pantelleria",
		ClientSessionCache: tls.NewLRUClientSessionCache(4),
	}
	if _, err := server.check(t, client); err != nil {
		t.Fatal(err)
	}
	next.Write(t, files, "/comune/pantelleria", time.Now().Add(time.Hour))
	if _, err := server.check(t, client); status.Code(err) != codes.Unavailable {
		t.Errorf("a client of the replaced authority got %v, want UNAVAILABLE", err)
	}
}

func TestLoadRefuses(t *testing.T) {
	ca := identitytest.NewCA(t, domain)
	for _, test := range []struct {
		name    string
		spoil   func(files *identity.Files)
		wantErr string
	}{
		{"no key given", func(files *identity.Files) { files.Key = "" }, "no file of the key"},
		{"no such file", func(files *identity.Files) { files.CA += "x" }, "find the file of the authorities"},
		{"no PEM", func(files *identity.Files) { writeFile(t, files.Cert, "hello") }, "read certificate"},
		{"empty authorities", func(files *identity.Files) { writeFile(t, files.CA, "") }, "the file is empty"},
		{"key of another certificate", func(files *identity.Files) { files.Key = ca.Files(t, node.Role, node.Name).Key }, "private key"},
		{"unknown role", func(files *identity.Files) { ca.Write(t, *files, "/regione/sicilia", time.Now().Add(time.Hour)) }, `unknown role "regione"`},
		{"another authority", func(files *identity.Files) {
			files.CA = identitytest.NewCA(t, domain).Files(t, node.Role, node.Name).CA
		}, "was not signed by an authority of"},
	} {
		t.Run(test.name, func(t *testing.T) {
			files := ca.Files(t, node.Role, node.Name)
			test.spoil(&files)
			_, err := identity.Load(files)
			if err == nil || !strings.Contains(err.Error(), test.wantErr) {
				t.Errorf("Load: %v, want an error with %q", err, test.wantErr)
			}
		})
	}
}

func TestEndOfLifeIsLogged(t *testing.T) {
	for _, test := range []struct {
		name string
		left time.Duration
		want string
	}{
		{"in the last quarter", 10 * time.Minute, "certificate expires soon"},
		{"over", -time.Minute, "certificate has expired"},
	} {
		t.Run(test.name, func(t *testing.T) {
			logs := captureLogs(t)
			ca := identitytest.NewCA(t, domain)
			files := ca.Files(t, node.Role, node.Name)
			ca.Write(t, files, "/comune/pantelleria", time.Now().Add(test.left))
			source := load(t, files)
			source.CheckAlways()
			source.Expires()
			if got := logs.count(test.want); got != 1 {
				t.Errorf("%q was logged %d times, want once", test.want, got)
			}
		})
	}
}

// running is a server with the health service, that notes who called.
type running struct {
	address string

	mu   sync.Mutex
	seen []identity.ID
}

func start(t *testing.T, source *identity.Source) *running {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return serve(t, listener, grpcserver.Options{TLS: source.ServerTLS()})
}

func serve(t *testing.T, listener net.Listener, options grpcserver.Options) *running {
	t.Helper()
	server := &running{address: listener.Addr().String()}
	options.Logger = slog.New(slog.DiscardHandler)
	options.Unary = []grpc.UnaryServerInterceptor{
		func(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
			id, _ := identity.PeerID(ctx)
			server.mu.Lock()
			server.seen = append(server.seen, id)
			server.mu.Unlock()
			return handler(ctx, request)
		},
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- grpcserver.New(options).Serve(ctx, listener) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return server
}

func (r *running) peers() []identity.ID {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.seen)
}

func (r *running) dial(t *testing.T, config *tls.Config) *grpc.ClientConn {
	t.Helper()
	connection, err := grpcclient.Dial(r.address, grpcclient.Options{TLS: config})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = connection.Close() })
	return connection
}

// check makes a call over a new connection, and returns the serial number of the server's certificate.
func (r *running) check(t *testing.T, config *tls.Config) (*big.Int, error) {
	t.Helper()
	connection := r.dial(t, config)
	defer connection.Close()
	return serial(t, connection)
}

func serial(t *testing.T, connection *grpc.ClientConn) (*big.Int, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var server peer.Peer
	_, err := grpc_health_v1.NewHealthClient(connection).Check(ctx, &grpc_health_v1.HealthCheckRequest{}, grpc.Peer(&server))
	if err != nil {
		return nil, err
	}
	return server.AuthInfo.(credentials.TLSInfo).State.PeerCertificates[0].SerialNumber, nil
}

func load(t *testing.T, files identity.Files) *identity.Source {
	t.Helper()
	source, err := identity.Load(files)
	if err != nil {
		t.Fatal(err)
	}
	return source
}

type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) count(message string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Count(b.text.String(), message)
}

// captureLogs takes the default logger's output until the test ends.
func captureLogs(t *testing.T) *logBuffer {
	before := slog.Default()
	t.Cleanup(func() { slog.SetDefault(before) })
	buffer := new(logBuffer)
	slog.SetDefault(slog.New(slog.NewTextHandler(buffer, nil)))
	return buffer
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, to, string(text))
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}
