package e2e

import (
	"cmp"
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"cidsistem.example/deploy/demo"
)

// TestPortalInABrowser runs the tests in browser/ against a federation with the sample data: what people do on the portal, in
// Chromium. They print what they measured, so use -v to read it. BROWSER_FULL=1 runs the whole of them.
func TestPortalInABrowser(t *testing.T) {
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

	f := startAs(t, demo.Options{})
	// The desk answers at its own node.
	desk, err := f.AddGateway(t.Context(), "marsala")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	controlled := make(chan error, 1)
	go func() { controlled <- f.Control(ctx) }()
	defer func() {
		cancel()
		if err := <-controlled; err != nil {
			t.Error(err)
		}
	}()

	files, err := fs.Glob(os.DirFS("browser"), "*.test.js")
	if err != nil {
		t.Fatal(err)
	}
	// A comune that is away, and Lighthouse, need the federation for themselves.
	alone := []string{"away.test.js", "lighthouse.test.js"}
	together := slices.DeleteFunc(files, func(file string) bool { return slices.Contains(alone, file) })
	for _, run := range [][]string{together, alone[:1], alone[1:]} {
		tests := exec.CommandContext(ctx, "node", append([]string{"--test", "--test-concurrency=2", "--test-reporter=spec"}, run...)...)
		tests.Dir = "browser"
		tests.Env = append(os.Environ(), "CID_DEMO="+filepath.Join(bin, "cid-demo"), "CID_DATA_DIR="+f.dir, "CID_HTTP_ADDR="+f.HTTP(), "CID_DESK_ADDR="+desk)
		tests.Stdout, tests.Stderr = t.Output(), t.Output()
		tests.Cancel = func() error { return tests.Process.Signal(syscall.SIGTERM) }
		tests.WaitDelay = 10 * time.Second
		if err := tests.Run(); err != nil {
			t.Errorf("in the browser: %v", err)
		}
	}
}
