package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"

	"cidsistem.example/deploy/demo"
)

// bin has the programs, built once for the whole run.
var bin string

func TestMain(m *testing.M) {
	code, err := runAll(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	os.Exit(code)
}

func runAll(m *testing.M) (code int, err error) {
	dir, err := os.MkdirTemp("", "cid-e2e-")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	bin = filepath.Join(dir, "bin")
	build := exec.Command("go", "build", "-o", bin+string(filepath.Separator),
		"./services/registry/cmd/registryd", "./services/ufficiocomune/cmd/ufficiod", "./gateway/cmd/gatewayd", "./deploy/cmd/cid-demo")
	build.Dir = filepath.Join("..", "..")
	if err := os.Mkdir(bin, 0o700); err != nil {
		return 0, err
	}
	if out, err := build.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("build the programs: %w\n%s", err, out)
	}
	// What is set for who runs the tests is not for the servers under test.
	if err := os.Setenv("CID_DATA_DIR", filepath.Join(dir, "of-somebody-else")); err != nil {
		return 0, err
	}
	code = m.Run()
	return code, stopShared()
}

// A federation that runs, and what tests need of it beyond the demo.
type federation struct {
	*demo.Federation
	dir string

	mu    sync.Mutex
	conns map[string]*grpc.ClientConn // by role and server, see as
}

// newFederation starts a federation.
func newFederation(ctx context.Context, options demo.Options) (*federation, error) {
	// Not the test's own folder: the paths of local sockets are bounded.
	dir, err := os.MkdirTemp("", "cid-e2e-")
	if err != nil {
		return nil, err
	}
	options.Dir, options.Bin, options.HTTP = dir, bin, "127.0.0.1:0"
	started, err := demo.Start(ctx, options)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return &federation{Federation: started, dir: dir}, nil
}

// stop also fails when a process ended by itself.
func (f *federation) stop() error {
	return errors.Join(f.Stop(context.Background()), os.RemoveAll(f.dir))
}

// start starts a federation without sample data for one test.
func start(t *testing.T, options demo.Options) *federation {
	t.Helper()
	options.Empty = true
	return startAs(t, options)
}

// startAs starts a federation for one test.
func startAs(t *testing.T, options demo.Options) *federation {
	t.Helper()
	f, err := newFederation(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			f.showLogs(t)
		}
		if err := f.stop(); err != nil {
			t.Error(err)
		}
	})
	return f
}

// showLogs prints what the processes of a test that failed complained about.
func (f *federation) showLogs(t *testing.T) {
	logs, _ := filepath.Glob(filepath.Join(f.dir, "logs", "*.log"))
	for _, path := range logs {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Log(err)
			continue
		}
		lines := slices.DeleteFunc(strings.Split(string(text), "\n"), func(line string) bool { return strings.Contains(line, `"level":"INFO"`) })
		const shown = 20
		t.Logf("%s:\n%s", filepath.Base(path), strings.Join(lines[max(0, len(lines)-shown):], "\n"))
	}
}

// logs are those of all processes, by name.
func (f *federation) logs(t *testing.T) map[string][]byte {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(f.dir, "logs", "*.log"))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]byte{}
	for _, path := range paths {
		if all[filepath.Base(path)], err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// conn connects to a server as the administrator.
func (f *federation) conn(t *testing.T, id string) *grpc.ClientConn {
	t.Helper()
	conn, err := f.Conn(id)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// local connects to the local socket of a server.
func (f *federation) local(t *testing.T, id string) *grpc.ClientConn {
	t.Helper()
	conn, err := f.LocalConn(id)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// settle waits until the ufficio comune has everything that the nodes have.
func (f *federation) settle(t *testing.T) {
	t.Helper()
	if err := f.Settle(t.Context(), demo.Office, "marsala", "mazara-del-vallo", "pantelleria"); err != nil {
		t.Fatal(err)
	}
}

// shared is one federation for the tests that leave it as it was for the next,
// with a gateway in front of the node of Marsala too.
var shared struct {
	once        sync.Once
	federation  *federation
	nodeGateway string
	err         error
}

func sharedFederation(t *testing.T) (f *federation, nodeGateway string) {
	t.Helper()
	shared.once.Do(func() {
		// It outlives the test that asks for it first.
		ctx := context.Background()
		if shared.federation, shared.err = newFederation(ctx, demo.Options{Empty: true}); shared.err == nil {
			shared.nodeGateway, shared.err = shared.federation.AddGateway(ctx, "marsala")
		}
	})
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			shared.federation.showLogs(t)
		}
	})
	return shared.federation, shared.nodeGateway
}

// rounds counts what left records in the shared federation.
var rounds atomic.Int64

// unique makes a word that no earlier test used, so that -count works too.
func unique(word string) string { return word + strconv.FormatInt(rounds.Add(1), 10) }

func stopShared() error {
	if shared.federation == nil {
		return nil
	}
	return shared.federation.stop()
}

// soon repeats a check until it is content, at most for a while; a check that
// never is tells the last reason why.
func soon(t *testing.T, within time.Duration, check func(ctx context.Context) error) time.Duration {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	began := time.Now()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check(ctx)
		if err == nil {
			return time.Since(began)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("not within %s: %v", within, err)
		}
	}
}
