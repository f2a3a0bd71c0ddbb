package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"cidsistem.example/proto/gen/adminv1"
	"cidsistem.example/proto/gen/auditv1"
	"cidsistem.example/proto/gen/deskv1"
	"cidsistem.example/services/internal/audit"
	"cidsistem.example/services/internal/desk"
	"cidsistem.example/services/internal/persons"
	"cidsistem.example/services/internal/policy"
	"cidsistem.example/services/internal/store"
	"cidsistem.example/services/internal/storeadmin"
	"cidsistem.example/services/internal/vault"
	"cidsistem.example/services/platform/cli"
	"cidsistem.example/services/platform/grpcserver"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A node is a server with one entry in its audit log and one request.
type node struct {
	t           *testing.T
	data        string
	socket      string
	store       *store.Store
	key         ed25519.PublicKey
	desk        *desk.Desk
	requestName string
	requestCode string
}

func startNode(t *testing.T) *node {
	t.Helper()
	dir, err := os.MkdirTemp("", "cidctl") // short enough for a socket
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	n := &node{t: t, data: filepath.Join(dir, "registry.db"), socket: filepath.Join(dir, "admin.sock")}
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	n.store, err = store.Open(store.Options{Path: n.data, ServerID: "marsala", Comune: "marsala", NoSync: true, Logger: log})
	must(t, err)
	t.Cleanup(func() { _ = n.store.Close() })
	v, err := vault.Open(t.Context(), n.store, filepath.Join(dir, "master.key"))
	must(t, err)
	d, err := desk.Open(t.Context(), desk.Options{Store: n.store, Vault: v, Comune: "marsala", Logger: log})
	must(t, err)
	made, err := d.CreateRequest(t.Context(), &deskv1.CreateRequestRequest{
		Parent: "comuni/marsala", Request: &deskv1.Request{Text: "Chiedo un pulmino", Contact: &deskv1.Contact{FullName: "Nome Cognome"}},
		Attachments: []*deskv1.AttachedFile{{FileName: "foglio.txt", Data: []byte("un foglio")}},
	})
	must(t, err)
	n.desk, n.requestName, n.requestCode = d, made.GetRequest().GetName(), made.GetCode()

	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{'a'}, ed25519.SeedSize))
	n.key = key.Public().(ed25519.PublicKey)
	recorder := audit.NewRecorder(n.store, func(end store.AuditPlace, stamp store.Stamp) (*auditv1.AuditHead, error) {
		return audit.SignHead(key, "nodes/marsala", end, stamp), nil
	}, log)
	recorder.Refused(&policy.Caller{}, "/s/Refused", "", "NOT_SIGNED_IN")
	must(t, recorder.Flush(t.Context()))

	g := grpcserver.New(grpcserver.Options{Insecure: true, Logger: log})
	d.Register(g.Registrar())
	auditv1.RegisterAuditServiceServer(g.Registrar(), audit.NewServer(n.store, "nodes/marsala"))
	adminv1.RegisterPersonServiceServer(g.Registrar(), persons.NewServer(n.store, d.Persons()))
	adminv1.RegisterStoreServiceServer(g.Registrar(), storeadmin.NewServer(n.store, n.data, nil).WithVault(v))
	listener, err := new(net.ListenConfig).Listen(t.Context(), "unix", n.socket)
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.Serve(ctx, listener) }()
	t.Cleanup(func() {
		cancel()
		must(t, <-ended)
	})
	return n
}

// run runs a command as a person types it.
func (n *node) run(input string, args ...string) (code int, out, errOut string) {
	n.t.Helper()
	link := &connection{socket: n.socket, timeout: 10 * time.Second}
	root := cli.Root("cidctl", "")
	root.AddCommand(auditCommand(link), personsCommand(link), requestsCommand(link))
	var stdout, stderr bytes.Buffer
	root.SetIn(strings.NewReader(input))
	root.SetOut(&stdout)
	root.SetErr(&stderr)
	root.SetArgs(args)
	code = cli.Run(n.t.Context(), root)
	return code, stdout.String(), stderr.String()
}

func TestAuditCommands(t *testing.T) {
	n := startNode(t)
	code, head, _ := n.run("", "audit", "head", "nodes/marsala")
	if code != cli.ExitOK || !strings.Contains(head, `"publicKey"`) {
		t.Fatalf("head: %d %s", code, head)
	}
	witness := filepath.Join(t.TempDir(), "head.json")
	must(t, os.WriteFile(witness, []byte(head), 0o600))

	for _, test := range []struct {
		args []string
		code int
		want string // in what is written
	}{
		{[]string{"audit", "list", "nodes/marsala"}, cli.ExitOK, "s/Refused"},
		{[]string{"audit", "list", "nodes/marsala", "--refused"}, cli.ExitOK, "NOT_SIGNED_IN"},
		{[]string{"audit", "list", "nodes/marsala", "--action", "CreateRequest"}, cli.ExitOK, n.requestName},
		{[]string{"audit", "list", "nodes/marsala", "--most", "1"}, cli.ExitOK, "s/Refused"},
		{[]string{"audit", "list", "nodes/pantelleria"}, cli.ExitFailure, "NOT_THE_OWNER"},
		{[]string{"audit", "list", "nodes/marsala", "--from", "yesterday"}, cli.ExitUsage, "neither a date"},
		{[]string{"audit", "export", "nodes/marsala"}, cli.ExitOK, `{"head":`},
		{[]string{"audit", "export", "nodes/marsala", "--to", "2020-01-01"}, cli.ExitOK, `{"head":`},
		{[]string{"audit", "verify"}, cli.ExitUsage, "--data FILE"},
		{[]string{"audit", "verify", "--data", n.data, "--key", "abc"}, cli.ExitUsage, "--key"},
		{[]string{"audit", "verify", "--data", n.data, "--witness", n.data + "x"}, cli.ExitUsage, "--witness"},
		{[]string{"audit", "verify", "--data", n.data}, cli.ExitFailure, "in use by another process"},
	} {
		code, out, errOut := n.run("", test.args...)
		if code != test.code || !strings.Contains(out+errOut, test.want) {
			t.Errorf("%v: exit code %d, wrote %q, %q", test.args, code, out, errOut)
		}
	}

	must(t, n.store.Close())
	key := hex.EncodeToString(n.key)
	verify := []string{"audit", "verify", "--data", n.data, "--witness", witness, "--key", key}
	if code, out, errOut := n.run("", verify...); code != cli.ExitOK || !strings.HasPrefix(out, "sound: nodes/marsala, 2 entries") || !strings.Contains(out, key) {
		t.Errorf("a sound log: exit code %d, wrote %q, %q", code, out, errOut)
	}
	db, err := bolt.Open(n.data, 0o600, nil)
	must(t, err)
	must(t, db.Update(func(tx *bolt.Tx) error {
		b := tx.Bucket([]byte("audit"))
		k, v := b.Cursor().First()
		v = bytes.Clone(v)
		v[len(v)-1] ^= 1
		return b.Put(bytes.Clone(k), v)
	}))
	must(t, db.Close())
	if code, out, errOut := n.run("", verify...); code != cli.ExitFailure || !strings.Contains(errOut, "\n  ") || !strings.Contains(errOut, "entry 1") || out != "" {
		t.Errorf("a changed entry: exit code %d, wrote %q, %q", code, out, errOut)
	}
}

func TestPersonsCommands(t *testing.T) {
	n := startNode(t)
	find := func(query string) string {
		t.Helper()
		code, out, errOut := n.run(query, "persons", "find")
		if code != cli.ExitOK {
			t.Fatalf("find: %d %s", code, errOut)
		}
		return out
	}
	if out := find("cognome\n"); !strings.Contains(out, n.requestName) || !strings.Contains(out, "contact.fullName") || strings.Contains(out, "Cognome") {
		t.Errorf("found %s", out)
	}
	if code, _, errOut := n.run("", "persons", "find"); code != cli.ExitUsage {
		t.Errorf("nothing to find: %d %s", code, errOut)
	}
	if code, out, _ := n.run("", "persons", "export", n.requestName); code != cli.ExitOK || !strings.Contains(out, "Nome Cognome") {
		t.Errorf("export: %d %s", code, out)
	}
	if code, _, errOut := n.run("", "persons", "erase", n.requestName); code != cli.ExitUsage || !strings.Contains(errOut, "--yes") {
		t.Errorf("erase without --yes: %d %s", code, errOut)
	}
	if out := find("cognome\n"); !strings.Contains(out, n.requestName) {
		t.Error("it was erased without --yes")
	}
	if code, out, _ := n.run("", "persons", "erase", n.requestName, "--yes"); code != cli.ExitOK || !strings.HasPrefix(out, "1 erased") {
		t.Errorf("erase: %d %s", code, out)
	}
	if out := find("cognome\n"); strings.Contains(out, n.requestName) {
		t.Errorf("after it was erased, found %s", out)
	}
	if code, _, errOut := n.run("", "persons", "export", n.requestName); code != cli.ExitFailure || !strings.Contains(errOut, "RESOURCE_NOT_FOUND") {
		t.Errorf("export after it was erased: %d %s", code, errOut)
	}
}
