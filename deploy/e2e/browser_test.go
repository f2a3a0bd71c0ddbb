package e2e

import (
	"cmp"
	"context"
	"encoding/json"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"cidsistem.example/deploy/demo"
)

// needsBrowser fails a test on a machine on which there is no browser to drive.
func needsBrowser(t *testing.T) {
	t.Helper()
	for _, needed := range []struct{ program, install string }{
		{"node", "apt-get install nodejs npm"},
		{cmp.Or(os.Getenv("CHROMIUM"), "/usr/bin/chromium"), "apt-get install --no-install-recommends chromium, or name it in CHROMIUM"},
	} {
		if _, err := exec.LookPath(needed.program); err != nil {
			t.Fatalf("the portal cannot be tried in a browser: %v; %s", err, needed.install)
		}
	}
	if _, err := os.Stat("browser/node_modules/playwright-core"); err != nil {
		t.Fatalf("what drives the browser is not installed: %v; make e2e does it, or npm ci in deploy/e2e/browser", err)
	}
}

// inBrowser runs tests in browser/ against a federation, some files at a time, one run after the other.
func (f *federation) inBrowser(t *testing.T, runs [][]string, environment ...string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	controlled := make(chan error, 1)
	go func() { controlled <- f.Control(ctx) }()
	defer func() {
		cancel()
		if err := <-controlled; err != nil {
			t.Error(err)
		}
	}()
	for _, run := range runs {
		tests := exec.CommandContext(ctx, "node", append([]string{"--test", "--test-concurrency=2", "--test-reporter=spec"}, run...)...)
		tests.Dir = "browser"
		tests.Env = append(os.Environ(), "CID_DEMO="+filepath.Join(bin, "cid-demo"), "CID_DATA_DIR="+f.dir, "CID_HTTP_ADDR="+f.HTTP())
		tests.Env = append(tests.Env, environment...)
		tests.Stdout, tests.Stderr = t.Output(), t.Output()
		tests.Cancel = func() error { return tests.Process.Signal(syscall.SIGTERM) }
		tests.WaitDelay = 10 * time.Second
		if err := tests.Run(); err != nil {
			t.Errorf("in the browser: %v", err)
		}
	}
}

// browserTests are the files in browser/ that match a pattern.
func browserTests(t *testing.T, pattern string) []string {
	t.Helper()
	files, err := fs.Glob(os.DirFS("browser"), pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no tests are called browser/%s: %v", pattern, err)
	}
	return files
}

// TestPortalInABrowser runs the tests in browser/ against a federation with the sample data: what people do on the portal, in
// Chromium. They print what they measured, so use -v to read it. BROWSER_FULL=1 runs the whole of them.
func TestPortalInABrowser(t *testing.T) {
	needsBrowser(t)
	f := startAs(t, demo.Options{})
	// The desk answers at its own node.
	desk, err := f.AddGateway(t.Context(), "marsala")
	if err != nil {
		t.Fatal(err)
	}
	// A comune that is away, and Lighthouse, need the federation for themselves.
	alone := []string{"away.test.js", "lighthouse.test.js"}
	together := slices.DeleteFunc(browserTests(t, "*.test.js"), func(file string) bool {
		return slices.Contains(alone, file) || strings.HasPrefix(file, "workbench-")
	})
	f.inBrowser(t, [][]string{together, alone[:1], alone[1:]}, "CID_DESK_ADDR="+desk)
}

// TestWorkbenchInABrowser runs the tests of the signed-in side: people with one role each, at the portals of their own nodes, and a
// real mail server.
func TestWorkbenchInABrowser(t *testing.T) {
	needsBrowser(t)
	mail := startMailbox(t)
	f := startAs(t, demo.Options{Workbench: true, Mail: mail.address})
	people, err := json.Marshal(f.People())
	if err != nil {
		t.Fatal(err)
	}
	control := httptest.NewServer(f.nodeControl(t))
	defer control.Close()
	// A node that stops, and one with thousands of cards more, are a nuisance for everybody else.
	alone := []string{"workbench-restart.test.js", "workbench-large.test.js"}
	together := slices.DeleteFunc(browserTests(t, "workbench-*.test.js"), func(file string) bool { return slices.Contains(alone, file) })
	f.inBrowser(t, [][]string{together, alone[:1], alone[1:]}, "CID_DESK_ADDR="+f.DeskHTTP("marsala"), "CID_PEOPLE="+string(people), "CID_MAIL="+mail.http,
		"CID_NODE_CONTROL="+control.URL)
}

// nodeControl stops and starts the node of Marsala.
func (f *federation) nodeControl(t *testing.T) http.Handler {
	mux := http.NewServeMux()
	answer := func(w http.ResponseWriter, err error) {
		if err != nil {
			t.Error(err)
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	}
	mux.HandleFunc("POST /stop", func(w http.ResponseWriter, r *http.Request) { answer(w, f.Nodes["marsala"].Stop(r.Context())) })
	mux.HandleFunc("POST /start", func(w http.ResponseWriter, r *http.Request) {
		answer(w, f.Resume(context.WithoutCancel(r.Context()), "marsala"))
	})
	return mux
}
