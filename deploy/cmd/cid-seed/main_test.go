package main

import (
	"bytes"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"cidsistem.example/deploy/pki"
	"cidsistem.example/services/federationtest"
	"cidsistem.example/services/platform/cli"
	"cidsistem.example/services/platform/grpcserver"
	"cidsistem.example/services/platform/identity"
	"cidsistem.example/services/registry"
)

func run(t *testing.T, arguments ...string) (code int, out string) {
	t.Helper()
	var buffer bytes.Buffer
	c := command()
	c.SetArgs(arguments)
	c.SetOut(&buffer)
	c.SetErr(&buffer)
	return cli.Run(t.Context(), c), buffer.String()
}

func TestCheckCountsAndMeasures(t *testing.T) {
	code, out := run(t, "check")
	if want := regexp.MustCompile(`(?m)^marsala: \d+ records, 2 files, \d+ texts with a mean Gulpease index of \d\d, 0 below 60$`); code != cli.ExitOK || !want.MatchString(out) {
		t.Errorf("exit code %d, output:\n%s", code, out)
	}
}

func TestCheckNamesHardTexts(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "lists.yaml", "areas: {}")
	write(t, dir, "erice.yaml", `
sources: {s: {sourceKind: OWN, sourceLabel: Prova}}
comune:
  title: Erice
  istatCode: "081008"
  summary: L'amministrazione comunale provvede all'erogazione dei trasferimenti monetari subordinatamente all'accertamento istruttorio delle condizioni economico-patrimoniali
  provenance: s
`)
	code, out := run(t, "check", "--data", dir)
	if code != cli.ExitOK || !strings.Contains(out, "1 below 60") || !strings.Contains(out, "comuni/erice summary: L'amministrazione") {
		t.Errorf("exit code %d, output:\n%s", code, out)
	}
}

func TestCheckFailsWithFileAndLine(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "lists.yaml", "areas: {}")
	write(t, dir, "erice.yaml", "sources: {}\ncomune:\n  titolo: Erice\n")
	code, out := run(t, "check", "--data", dir)
	if code != cli.ExitFailure || !strings.Contains(out, `erice.yaml:3: comuni/erice: unknown field "titolo"`) {
		t.Errorf("exit code %d, output:\n%s", code, out)
	}
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestImportRefusesWrongArguments(t *testing.T) {
	common := []string{"--address", "127.0.0.1:1", "--cert", "c", "--key", "k", "--ca", "a"}
	for want, arguments := range map[string][]string{
		"there are data of marsala, mazara-del-vallo, pantelleria": {"--comune", "erice", "--server-id", "spiffe://cidsistem.example/comune/erice"},
		"--server-id: ": {"--comune", "marsala", "--server-id", "marsala"},
	} {
		code, out := run(t, append(append([]string{"import"}, common...), arguments...)...)
		if code != cli.ExitUsage || !strings.Contains(out, want) {
			t.Errorf("%v: exit code %d, output:\n%s", arguments, code, out)
		}
	}
}

func TestImportOverMutualTLS(t *testing.T) {
	authority, err := pki.Init(t.TempDir(), "cidsistem.example")
	if err != nil {
		t.Fatal(err)
	}
	issue := func(role, name string) identity.Files {
		files, err := authority.Issue(pki.Request{Role: role, Name: name, IP: []netip.Addr{netip.MustParseAddr("127.0.0.1")}})
		if err != nil {
			t.Fatal(err)
		}
		return files
	}
	address := serve(t, issue(identity.RoleComune, "pantelleria"))
	admin := issue(identity.RoleAdmin, "prova")
	arguments := []string{
		"import", "--comune", "pantelleria", "--address", address, "--server-id", "spiffe://cidsistem.example/comune/pantelleria",
		"--cert", admin.Cert, "--key", admin.Key, "--ca", admin.CA,
	}
	for _, step := range []struct {
		extra, want string
	}{
		{"--only-empty", ", 0 unchanged"},
		{"", "pantelleria: 0 created, 0 changed"},
		{"--only-empty", "pantelleria: the node has services already; nothing was changed"},
	} {
		all := arguments
		if step.extra != "" {
			all = append(all[:len(all):len(all)], step.extra)
		}
		if code, out := run(t, all...); code != cli.ExitOK || !strings.Contains(out, step.want) {
			t.Fatalf("exit code %d, output without %q:\n%s", code, step.want, out)
		}
	}
}

// serve runs a node as registryd does, with certificates.
func serve(t *testing.T, files identity.Files) string {
	t.Helper()
	settings := federationtest.NodeSettings("pantelleria", t.TempDir())
	node, err := registry.Open(t.Context(), settings, registry.Options{NoSync: true, Logger: federationtest.Quiet()})
	if err != nil {
		t.Fatal(err)
	}
	source, err := identity.Load(files)
	if err != nil {
		t.Fatal(err)
	}
	unary, stream := node.Interceptors()
	server := grpcserver.New(grpcserver.Options{TLS: source.ServerTLS(), Unary: unary, Stream: stream, Logger: federationtest.Quiet()})
	node.Register(server.Registrar())
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(t.Context(), listener) }()
	t.Cleanup(func() { // the test's context has ended: the server is stopping
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := node.Close(); err != nil {
			t.Error(err)
		}
	})
	return listener.Addr().String()
}
