package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"cidsistem.example/services/platform/cli"
)

func TestCommands(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "pki")
	out := filepath.Join(t.TempDir(), "node")
	for _, step := range []struct {
		args     []string
		wantCode int
		want     string
	}{
		{[]string{"issue", "--dir", dir, "--role", "comune", "--name", "pantelleria"}, cli.ExitFailure, "make one with cid-pki init"},
		{[]string{"init", "--dir", dir}, cli.ExitUsage, `required flag(s) "trust-domain" not set`},
		{[]string{"init", "--dir", dir, "--trust-domain", "cidsistem.example"}, cli.ExitOK, "Next: cid-pki issue --dir " + dir},
		{[]string{"init", "--dir", dir, "--trust-domain", "cidsistem.example"}, cli.ExitFailure, "it was left as it is"},
		{[]string{"issue", "--dir", dir, "--role", "sindaco", "--name", "x"}, cli.ExitFailure, "the roles are comune"},
		{[]string{"issue", "--dir", dir, "--role", "comune", "--name", "x", "--ip", "localhost"}, cli.ExitUsage, `"localhost" is not an IP address`},
		{[]string{"issue", "--dir", dir, "--role", "comune", "--name", "x", "--days", "a few"}, cli.ExitUsage, "invalid argument"},
		{
			[]string{"issue", "--dir", dir, "--role", "comune", "--name", "pantelleria", "--dns", "a.example", "--dns", "b.example", "--ip", "::1", "--days", "7", "--out", out},
			cli.ExitOK, "spiffe://cidsistem.example/comune/pantelleria for 7 days",
		},
		{[]string{"show", filepath.Join(out, "tls.crt")}, cli.ExitOK, "dns          a.example b.example\nip           ::1\n"},
		{[]string{"show", filepath.Join(out, "tls.key")}, cli.ExitFailure, "PRIVATE KEY stands where certificates were expected"},
		{[]string{"show"}, cli.ExitUsage, "accepts 1 arg(s), received 0"},
	} {
		var text bytes.Buffer
		command := command()
		command.SetOut(&text)
		command.SetErr(&text)
		command.SetArgs(step.args)
		if code := cli.Run(t.Context(), command); code != step.wantCode || !strings.Contains(text.String(), step.want) {
			t.Errorf("%v: exit code %d, want %d with %q, printed\n%s", step.args, code, step.wantCode, step.want, text.String())
		}
	}
}
