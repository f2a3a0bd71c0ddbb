package e2e

import (
	"cmp"
	"context"
	"os"
	"os/exec"
	"path/filepath"
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

	// One file after the other: some of them cut a comune off.
	tests := exec.CommandContext(ctx, "node", "--test", "--test-concurrency=1", "--test-reporter=spec")
	tests.Dir = "browser"
	tests.Env = append(os.Environ(), "CID_DEMO="+filepath.Join(bin, "cid-demo"), "CID_DATA_DIR="+f.dir, "CID_HTTP_ADDR="+f.HTTP(), "CID_DESK_ADDR="+desk)
	tests.Stdout, tests.Stderr = t.Output(), t.Output()
	tests.Cancel = func() error { return tests.Process.Signal(syscall.SIGTERM) }
	tests.WaitDelay = 10 * time.Second
	if err := tests.Run(); err != nil {
		t.Errorf("in the browser: %v", err)
	}
}
