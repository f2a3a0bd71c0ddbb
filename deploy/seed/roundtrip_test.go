package seed_test

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"time"

	"cidsistem.example/deploy/seed"
	"cidsistem.example/proto/gen/exchangev1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/federationtest"
)

func export(t *testing.T, n *federationtest.Node, format exchangev1.ExportFormat) []byte {
	t.Helper()
	stream, err := exchangev1.NewExportServiceClient(n.Conn(t)).ExportRecords(t.Context(), &exchangev1.ExportRecordsRequest{Parent: "comuni/" + n.Settings.Comune.ID, Format: format})
	if err != nil {
		t.Fatal(err)
	}
	var all bytes.Buffer
	for {
		piece, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return all.Bytes()
		}
		if err != nil {
			t.Fatal(err)
		}
		all.Write(piece.GetData())
	}
}

// TestSampleDataGoOutAndComeBack exports the sample data of each comune, takes
// the package into an empty node, and exports that: the same bytes.
func TestSampleDataGoOutAndComeBack(t *testing.T) {
	for _, comune := range sample(t) {
		t.Run(comune.Slug, func(t *testing.T) {
			t.Parallel()
			from, to := node(t, comune.Slug), node(t, comune.Slug)
			if _, err := seed.Import(t.Context(), from.Conn(t), comune, io.Discard); err != nil {
				t.Fatal(err)
			}
			whole, lines := export(t, from, exchangev1.ExportFormat_PACKAGE), export(t, from, exchangev1.ExportFormat_JSON_LINES)
			parent := "comuni/" + comune.Slug
			stream, err := registryv1.NewFileServiceClient(to.Conn(t)).UploadFile(t.Context())
			if err == nil {
				err = stream.Send(&registryv1.UploadFileRequest{Part: &registryv1.UploadFileRequest_Header_{Header: &registryv1.UploadFileRequest_Header{Parent: parent}}})
			}
			for rest := whole; err == nil && len(rest) > 0; {
				n := min(len(rest), 256<<10)
				err = stream.Send(&registryv1.UploadFileRequest{Part: &registryv1.UploadFileRequest_Data{Data: rest[:n]}})
				rest = rest[n:]
			}
			if err != nil {
				t.Fatal(err)
			}
			file, err := stream.CloseAndRecv()
			if err != nil {
				t.Fatal(err)
			}
			imports := exchangev1.NewImportServiceClient(to.Conn(t))
			made, err := imports.CreateImport(t.Context(), &exchangev1.CreateImportRequest{Parent: parent, Import: &exchangev1.Import{
				File: file.GetName(), Source: "pacchetto", Visibility: registryv1.Visibility_PUBLIC,
			}})
			if err == nil {
				made, err = imports.RunImport(t.Context(), &exchangev1.RunImportRequest{Name: made.GetName()})
			}
			for tick := time.NewTicker(10 * time.Millisecond); err == nil && made.GetState() == exchangev1.Import_RUNNING; {
				select {
				case <-tick.C:
					made, err = imports.GetImport(t.Context(), &exchangev1.GetImportRequest{Name: made.GetName()})
				case <-t.Context().Done():
					err = t.Context().Err()
				}
			}
			if err != nil {
				t.Fatal(err)
			}
			if made.GetState() != exchangev1.Import_DONE || made.GetCounts().GetQuarantined() > 0 {
				rows, err := imports.ListImportRows(t.Context(), &exchangev1.ListImportRowsRequest{Name: made.GetName(), Outcome: exchangev1.ImportRow_QUARANTINED, PageSize: 3})
				t.Fatalf("it says %s, %v: %v, %v", made.GetState(), made.GetCounts(), rows, err)
			}
			if !bytes.Equal(lines, export(t, to, exchangev1.ExportFormat_JSON_LINES)) {
				t.Error("the lines came back as others")
			}
			if !bytes.Equal(whole, export(t, to, exchangev1.ExportFormat_PACKAGE)) {
				t.Error("the package came back as another")
			}
		})
	}
}
