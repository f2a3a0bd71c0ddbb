package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"google.golang.org/grpc"

	"cidsistem.example/deploy/demo"
	"cidsistem.example/proto/gen/adminv1"
	"cidsistem.example/proto/gen/exchangev1"
	"cidsistem.example/proto/gen/registryv1"
)

// TestImportedWhileKilled proves that an import whose node is killed again and again goes on by itself where it was, and one that
// somebody stops when they say so: every row is accounted for, every row has made one record, and the same file once more changes
// nothing. CID_IMPORT_ROWS sets how many rows there are.
func TestImportedWhileKilled(t *testing.T) {
	const comune, kills = "marsala", 4
	rows := int64(6000)
	if asked := os.Getenv("CID_IMPORT_ROWS"); asked != "" {
		var err error
		if rows, err = strconv.ParseInt(asked, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	f := start(t, demo.Options{})
	node, ctx := f.Nodes[comune], t.Context()
	imports := exchangev1.NewImportServiceClient(f.local(t, comune))
	before := countOf(ctx, t, f, comune)

	var file bytes.Buffer
	file.WriteString("Codice;Nome del servizio;Descrizione;Telefono;Stato\n")
	for i := range rows {
		fmt.Fprintf(&file, "S%05d;Servizio di prova %d;Che cosa offre il servizio %d;0923 %06d;attivo\n", i, i, i, 100000+i)
	}
	made, err := imports.CreateImport(ctx, &exchangev1.CreateImportRequest{Parent: "comuni/" + comune, Import: &exchangev1.Import{
		File: sendFile(t, f.local(t, comune), "comuni/"+comune, file.Bytes()), FileName: "servizi.csv", Source: "elenco", Collection: "services",
	}})
	if err != nil {
		t.Fatal(err)
	}
	run := func(killed int) *exchangev1.Import {
		if _, err := imports.RunImport(ctx, &exchangev1.RunImportRequest{Name: made.GetName()}); err != nil {
			t.Fatal(err)
		}
		var now *exchangev1.Import
		for range killed {
			at := now.GetLinesDone()
			soon(t, 60*time.Second, func(ctx context.Context) (err error) {
				now, err = imports.GetImport(ctx, &exchangev1.GetImportRequest{Name: made.GetName()})
				if err == nil && now.GetState() == exchangev1.Import_RUNNING && now.GetLinesDone() <= at {
					err = fmt.Errorf("%d lines done", now.GetLinesDone())
				}
				return err
			})
			if now.GetState() != exchangev1.Import_RUNNING {
				t.Fatalf("%s after %d lines, before it was killed", now.GetState(), now.GetLinesDone())
			}
			pause(t, rand.N(40*time.Millisecond))
			node.Kill()
			if err := f.Resume(ctx, comune); err != nil {
				t.Fatal(err)
			}
		}
		if killed > 0 {
			stopped, err := imports.CancelImport(ctx, &exchangev1.CancelImportRequest{Name: made.GetName()})
			if err != nil {
				t.Fatal(err)
			}
			soon(t, 20*time.Second, func(ctx context.Context) (err error) {
				if stopped, err = imports.GetImport(ctx, &exchangev1.GetImportRequest{Name: made.GetName()}); err == nil && stopped.GetState() == exchangev1.Import_RUNNING {
					err = fmt.Errorf("it goes on at line %d", stopped.GetLinesDone())
				}
				return err
			})
			if stopped.GetState() != exchangev1.Import_CANCELLED || stopped.GetLinesDone() >= rows {
				t.Errorf("stopped: %s after %d lines", stopped.GetState(), stopped.GetLinesDone())
			}
			if _, err := imports.RunImport(ctx, &exchangev1.RunImportRequest{Name: made.GetName()}); err != nil {
				t.Fatal(err)
			}
		}
		soon(t, 5*time.Minute, func(ctx context.Context) (err error) {
			now, err = imports.GetImport(ctx, &exchangev1.GetImportRequest{Name: made.GetName()})
			if err == nil && now.GetState() == exchangev1.Import_RUNNING {
				err = fmt.Errorf("%d of %d lines", now.GetLinesDone(), now.GetLinesTotal())
			}
			return err
		})
		counts := now.GetCounts()
		sum := counts.GetCreated() + counts.GetUpdated() + counts.GetUnchanged() + counts.GetQuarantined() + counts.GetRepeated()
		if now.GetState() != exchangev1.Import_DONE || counts.GetRows() != rows || sum != rows {
			t.Fatalf("%s: %s, %v", now.GetState(), now.GetError(), counts)
		}
		return now
	}

	if counts := run(kills).GetCounts(); counts.GetCreated() != rows {
		t.Errorf("killed %d times: %v", kills, counts)
	}
	after := countOf(ctx, t, f, comune)
	if after-before != rows {
		t.Errorf("%d rows made %d records", rows, after-before)
	}
	if counts := run(0).GetCounts(); counts.GetUnchanged() != rows {
		t.Errorf("once more: %v", counts)
	}
	if again := countOf(ctx, t, f, comune); again != after {
		t.Errorf("once more: %d records, were %d", again, after)
	}
	problems, err := adminv1.NewStoreServiceClient(f.local(t, comune)).CheckStore(ctx, &adminv1.CheckStoreRequest{})
	if err != nil || len(problems.GetProblems()) > 0 {
		t.Errorf("the store: %v, %v", problems.GetProblems(), err)
	}
}

// countOf is how many services a comune's node has.
func countOf(ctx context.Context, t *testing.T, f *federation, comune string) int64 {
	t.Helper()
	stats, err := adminv1.NewStoreServiceClient(f.local(t, comune)).GetStoreStats(ctx, &adminv1.GetStoreStatsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	return stats.GetRecords()["services"]
}

// sendFile uploads bytes and returns the name of the file.
func sendFile(t *testing.T, conn *grpc.ClientConn, parent string, data []byte) string {
	t.Helper()
	stream, err := registryv1.NewFileServiceClient(conn).UploadFile(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256(data)
	parts := []*registryv1.UploadFileRequest{{Part: &registryv1.UploadFileRequest_Header_{
		Header: &registryv1.UploadFileRequest_Header{Parent: parent, Sha256: hex.EncodeToString(digest[:])},
	}}}
	for len(data) > 0 {
		n := min(len(data), 1<<20)
		parts = append(parts, &registryv1.UploadFileRequest{Part: &registryv1.UploadFileRequest_Data{Data: data[:n]}})
		data = data[n:]
	}
	for _, part := range parts {
		if err := stream.Send(part); err != nil {
			t.Fatal(err)
		}
	}
	file, err := stream.CloseAndRecv()
	if err != nil {
		t.Fatal(err)
	}
	return file.GetName()
}
