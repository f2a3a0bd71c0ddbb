package bench

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestRun(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and runs whole federations")
	}
	dir := t.TempDir()
	build := exec.Command("go", "build", "-o", dir+"/",
		"../../services/registry/cmd/registryd", "../../services/ufficiocomune/cmd/ufficiod", "../../gateway/cmd/gatewayd", "../cmd/cid-bench")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the programs: %v\n%s", err, out)
	}
	t.Run("measures every part", func(t *testing.T) { measuresEveryPart(t, dir) })
	t.Run("stops when told", func(t *testing.T) { stopsWhenTold(t, dir) })
}

// Every part gives its table, with numbers in it, and nothing is left behind.
func measuresEveryPart(t *testing.T, bin string) {
	data := t.TempDir()
	var out, progress bytes.Buffer
	err := Run(t.Context(), Options{
		Bin: bin, Dir: data, Records: []int{200}, Duration: 200 * time.Millisecond, Runs: 1, Out: &out, Progress: &progress,
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, progress.String())
	}
	text := out.String()
	for _, row := range []string{
		`node`, `node, ufficio comune follows`, `bare bbolt, Update`, `bare bbolt, group commit`,
		`until all copies are in sync`, `until search finds all of them`,
		`gRPC, node`, `gRPC, ufficio comune`, `REST, gateway and ufficio comune`, `bare grpc-go`, `bare net/http`,
		`sent, until acknowledged by the node`, `acknowledged, until Get from the copy has it`, `acknowledged, until Search finds it by a new word`,
		`ufficio comune`,
	} {
		if !regexp.MustCompile(`(?m)^\| ` + regexp.QuoteMeta(row) + ` \|( [0-9,.]+ \| [0-9,.–]+ \|)+`).MatchString(text) {
			t.Errorf("no row %q with numbers", row)
		}
	}
	for _, title := range []string{"## 3 × 200 records", "### Lists of 50 services", "### Searches of two words (", "### Searches of two words with", "one mistyped", "### Suggestions"} {
		if !strings.Contains(text, title) {
			t.Errorf("no heading with %q", title)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
	if left, err := os.ReadDir(data); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// A run that is broken off ends soon, and leaves neither files nor processes.
func stopsWhenTold(t *testing.T, bin string) {
	data := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	broken := make(chan error, 1)
	var out bytes.Buffer
	// The first line of progress that tells of a measurement breaks the run off.
	watch := writerFunc(func(text []byte) (int, error) {
		if bytes.Contains(text, []byte("run 1 of")) {
			cancel()
		}
		return len(text), nil
	})
	go func() {
		broken <- Run(ctx, Options{Bin: bin, Dir: data, Only: []string{"writes"}, Records: []int{200}, Duration: 100 * time.Millisecond, Runs: 50, Out: &out, Progress: watch})
	}()
	select {
	case err := <-broken:
		if err == nil {
			t.Error("a run that was broken off returned no error")
		}
	case <-time.After(time.Minute):
		t.Fatal("the run goes on")
	}
	if left, err := filepath.Glob(filepath.Join(data, "*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if pids, err := children(); err != nil || len(pids) > 0 {
		t.Errorf("processes left behind: %v, %v", pids, err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(text []byte) (int, error) { return f(text) }

func TestOptionsAreChecked(t *testing.T) {
	good := Options{Records: []int{1000}, Duration: time.Second, Runs: 1}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*Options){
		"unknown part": func(o *Options) { o.Only = []string{"reads", "everything"} },
		"no size":      func(o *Options) { o.Records = nil },
		"size 0":       func(o *Options) { o.Records = []int{1000, 0} },
		"duration 0":   func(o *Options) { o.Duration = 0 },
		"no runs":      func(o *Options) { o.Runs = 0 },
	} {
		t.Run(name, func(t *testing.T) {
			o := good
			spoil(&o)
			if err := o.Validate(); err == nil {
				t.Error("was accepted")
			}
		})
	}
}
