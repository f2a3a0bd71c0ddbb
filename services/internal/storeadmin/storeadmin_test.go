package storeadmin_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/adminv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/files"
	"cidsistem.example/services/internal/store"
	"cidsistem.example/services/internal/storeadmin"
	"cidsistem.example/services/internal/vault"
	"cidsistem.example/services/platform/grpcclient"
	"cidsistem.example/services/platform/grpcserver"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func TestStoreService(t *testing.T) {
	dir := t.TempDir()
	options := store.Options{Path: filepath.Join(dir, "registry.db"), ServerID: "marsala", Comune: "marsala", NoSync: true, Logger: quiet()}
	s, err := store.Open(options)
	must(t, err)
	defer func() { _ = s.Close() }()
	folder, err := files.Open(filepath.Join(dir, "files"))
	must(t, err)
	write := func(n int) {
		for i := range n {
			_, err := s.Commit(t.Context(), store.Request{}, nil, func(store.Reader, store.Stamp) (store.Outcome, error) {
				return store.Outcome{Put: []proto.Message{&registryv1.Service{Name: fmt.Sprintf("comuni/marsala/services/s-%d", i), Keywords: []string{strings.Repeat("x", 1000)}}}}, nil
			})
			must(t, err)
		}
	}
	write(300)
	client := serve(t, storeadmin.NewServer(s, options.Path, folder))

	stats, err := client.GetStoreStats(t.Context(), &adminv1.GetStoreStatsRequest{})
	must(t, err)
	if stats.GetServerId() != "marsala" || stats.GetHeadRevision() != 300 || stats.GetFloorRevision() != 0 || stats.GetRecords()["services"] != 300 || stats.GetSchemaVersion() != int32(store.SchemaVersion()) {
		t.Errorf("stats %v", stats)
	}
	info, err := os.Stat(options.Path)
	must(t, err)
	if stats.GetFileBytes() != info.Size() || stats.GetFreeBytes() < 0 || stats.GetFreeBytes() >= stats.GetFileBytes() {
		t.Errorf("the file has %d bytes; stats %v", info.Size(), stats)
	}

	for _, piece := range []int32{0, 1000, 1 << 20} {
		stream, err := client.StreamBackup(t.Context(), &adminv1.StreamBackupRequest{PieceBytes: piece})
		must(t, err)
		write(5) // writes go on meanwhile
		var bytes []byte
		var last *adminv1.StreamBackupResponse
		for {
			message, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				break
			}
			must(t, err)
			if last.GetSha256() != nil || (piece > 0 && len(message.GetData()) > int(piece)) {
				t.Errorf("a piece of %d bytes after %v", len(message.GetData()), last.GetSha256())
			}
			bytes, last = append(bytes, message.GetData()...), message
		}
		if sum := sha256.Sum256(bytes); string(sum[:]) != string(last.GetSha256()) || last.GetBackupTime() == nil {
			t.Errorf("in pieces of %d the sum does not fit", piece)
		}
		// A backup is proved by restoring it.
		saved := filepath.Join(t.TempDir(), "backup.db")
		must(t, os.WriteFile(saved, bytes, 0o600))
		restored := options
		restored.Path = filepath.Join(t.TempDir(), "registry.db")
		must(t, store.Restore(t.Context(), saved, restored))
		again, err := store.Open(restored)
		must(t, err)
		report, err := again.Check(t.Context())
		if err != nil || len(report.Problems) > 0 || report.Records != 300 {
			t.Errorf("the restored backup: %+v %v", report, err)
		}
		must(t, again.Close())
	}
	entries, err := os.ReadDir(dir)
	must(t, err)
	if len(entries) != 2 {
		t.Errorf("backups left %v", entries)
	}

	check := func() []string {
		t.Helper()
		report, err := client.CheckStore(t.Context(), &adminv1.CheckStoreRequest{})
		must(t, err)
		if report.GetRecords() != 300 || report.GetRevisions() != 315 {
			t.Errorf("checked %d records, %d revisions", report.GetRecords(), report.GetRevisions())
		}
		return report.GetProblems()
	}
	if problems := check(); len(problems) > 0 {
		t.Errorf("check: %v", problems)
	}
	file, err := folder.Put(t.Context(), strings.NewReader("content"), "")
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "files", file.SHA256[:2], file.SHA256), []byte("contenT"), 0o600))
	if problems := check(); len(problems) != 1 || !strings.Contains(problems[0], file.SHA256) {
		t.Errorf("a file whose bytes have changed: %v", problems)
	}
}

// RotateKeys leaves what is sealed readable, and says in the audit log that it
// began and that it ended.
func TestRotateKeys(t *testing.T) {
	dir := t.TempDir()
	options := store.Options{Path: filepath.Join(dir, "registry.db"), ServerID: "marsala", Comune: "marsala", NoSync: true, Logger: quiet()}
	s, err := store.Open(options)
	must(t, err)
	defer func() { _ = s.Close() }()
	without := serve(t, storeadmin.NewServer(s, options.Path, nil))
	if _, err := without.RotateKeys(t.Context(), &adminv1.RotateKeysRequest{}); apierror.Reason(err) != registryv1.ErrorReason_NOT_SUPPORTED_HERE {
		t.Errorf("a server without a vault: %v", err)
	}
	v, err := vault.Open(t.Context(), s, filepath.Join(dir, "master.key"))
	must(t, err)
	key := store.LocalKey{Area: "requests", ID: "r1"}
	_, err = s.Commit(t.Context(), store.Request{}, nil, func(store.Reader, store.Stamp) (store.Outcome, error) {
		sealed, err := v.Seal(key, []byte("value"))
		return store.Outcome{Local: []store.LocalPut{{Key: key, Value: sealed}}}, err
	})
	must(t, err)
	read := func() (sealed []byte) {
		must(t, s.View(func(r store.Reader) error { sealed = r.Local(key); return nil }))
		return sealed
	}
	before := read()
	client := serve(t, storeadmin.NewServer(s, options.Path, nil).WithVault(v))
	answer, err := client.RotateKeys(t.Context(), &adminv1.RotateKeysRequest{})
	must(t, err)
	if answer.GetEntries() != 1 || string(read()) == string(before) {
		t.Errorf("%d entries have new keys", answer.GetEntries())
	}
	if value, err := v.Open(key, read()); err != nil || string(value) != "value" {
		t.Errorf("the entry opens as %q (%v)", value, err)
	}
	var stages []string
	must(t, s.View(func(r store.Reader) error {
		for entry, err := range r.AuditEntries(0, false) {
			if err != nil || entry.GetAction() != "cidsistem.admin.v1.StoreService/RotateKeys" || entry.GetActor() != "local" {
				t.Errorf("the audit log has %v (%v)", entry, err)
			}
			stages = append(stages, entry.GetReason())
		}
		return nil
	}))
	if strings.Join(stages, " ") != "begun done" {
		t.Errorf("the audit log has %v", stages)
	}
}

func serve(t *testing.T, server adminv1.StoreServiceServer) adminv1.StoreServiceClient {
	t.Helper()
	g := grpcserver.New(grpcserver.Options{Insecure: true, Logger: quiet()})
	adminv1.RegisterStoreServiceServer(g.Registrar(), server)
	listener := bufconn.Listen(1 << 16)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.Serve(ctx, listener) }()
	conn, err := grpcclient.Dial("admin:1", grpcclient.Options{Insecure: true, Dialer: func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }})
	must(t, err)
	t.Cleanup(func() {
		_ = conn.Close()
		cancel()
		must(t, <-ended)
	})
	return adminv1.NewStoreServiceClient(conn)
}
