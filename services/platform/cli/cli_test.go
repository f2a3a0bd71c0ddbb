package cli_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cidsistem.example/services/platform/cli"
	"cidsistem.example/services/platform/config"
)

type settings struct {
	Listen  string          `yaml:"listen" env:"CID_TEST_LISTEN"`
	Timeout config.Duration `yaml:"timeout"`
}

func TestDaemon(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good, broken := file("good.yaml", "listen: from-file\n"), file("broken.yaml", "listn: x\n")

	for _, test := range []struct {
		name       string
		args       []string
		fails      error
		wantCode   int
		wantRun    string // the Listen that run saw
		wantOut    string
		wantErrOut string
	}{
		{name: "defaults", wantRun: "default"},
		{name: "settings file", args: []string{"--config", good}, wantRun: "from-file"},
		{name: "print settings", args: []string{"--config", good, "--print-config"}, wantOut: "listen: from-file\ntimeout: 10s\n"},
		{name: "version", args: []string{"version"}, wantOut: "\n"},
		{name: "version flag", args: []string{"--version"}, wantOut: "registryd version"},
		{name: "help", args: []string{"--help"}, wantOut: "--print-config"},
		{name: "failure", fails: errors.New("disk full"), wantCode: cli.ExitFailure, wantRun: "default", wantErrOut: "registryd: disk full\n"},
		{name: "usage error found late", fails: cli.UsageError(errors.New("two of one kind")), wantCode: cli.ExitUsage, wantRun: "default", wantErrOut: "two of one kind"},
		{name: "unknown flag", args: []string{"--confg", good}, wantCode: cli.ExitUsage, wantErrOut: "unknown flag: --confg"},
		{name: "argument", args: []string{"start"}, wantCode: cli.ExitUsage, wantErrOut: `unknown command "start"`},
		{name: "wrong settings", args: []string{"-c", broken}, wantCode: cli.ExitUsage, wantErrOut: `broken.yaml: line 1: unknown key "listn"`},
		{name: "no settings file", args: []string{"-c", good + "x"}, wantCode: cli.ExitUsage, wantErrOut: "no such file"},
	} {
		t.Run(test.name, func(t *testing.T) {
			ran := ""
			current := settings{Listen: "default", Timeout: config.Duration(10 * time.Second)}
			command := cli.Daemon("registryd", "A comune's node", &current, func(ctx context.Context) error {
				if ctx.Err() != nil {
					t.Error("run was given a context that has ended")
				}
				ran = current.Listen
				return test.fails
			})
			var out, errOut bytes.Buffer
			command.SetOut(&out)
			command.SetErr(&errOut)
			command.SetArgs(test.args)
			if code := cli.Run(t.Context(), command); code != test.wantCode {
				t.Errorf("exit code %d, want %d; errors: %s", code, test.wantCode, errOut.String())
			}
			if ran != test.wantRun {
				t.Errorf("run saw %q, want %q", ran, test.wantRun)
			}
			if !strings.Contains(out.String(), test.wantOut) || (test.wantOut == "") != (out.Len() == 0) {
				t.Errorf("printed %q, want %q", out.String(), test.wantOut)
			}
			if !strings.Contains(errOut.String(), test.wantErrOut) || (test.wantErrOut == "") != (errOut.Len() == 0) {
				t.Errorf("complained %q, want %q", errOut.String(), test.wantErrOut)
			}
			if strings.Contains(errOut.String(), "Usage:") {
				t.Errorf("an error printed the usage text:\n%s", errOut.String())
			}
		})
	}
}
