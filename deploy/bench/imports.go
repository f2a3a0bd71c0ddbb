package bench

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/exchangev1"
	"cidsistem.example/proto/gen/registryv1"
)

const (
	// importBatch is how many records the bare store writes in a transaction: as
	// many as the node does when it imports.
	importBatch = 250
	// importPoll is how often the progress of an import is asked for.
	importPoll = 100 * time.Millisecond
)

// imports measures how fast a node takes a spreadsheet over, beside a bare store
// that writes the same records, and what memory it takes.
func (b *bench) imports(ctx context.Context, count int) (err error) {
	b.progress.say("import of %d rows: start", count)
	f, err := startFederation(ctx, filepath.Join(b.dir, "import"), b.Bin, nil, b.progress)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.stop(ctx)) }()
	node := comuni()[0]
	pid, err := f.pid(node)
	if err != nil {
		return err
	}
	// Imports are for people, and for who works on the node's machine.
	conn, err := f.LocalConn(node)
	if err != nil {
		return err
	}
	parent := catalog.ComuneName(node)
	file, err := uploadTo(ctx, conn, parent, spreadsheet(count))
	if err != nil {
		return fmt.Errorf("upload the spreadsheet: %w", err)
	}
	imports := exchangev1.NewImportServiceClient(conn)
	made, err := imports.CreateImport(ctx, &exchangev1.CreateImportRequest{Parent: parent, Import: &exchangev1.Import{
		File: file, Source: "misura", Collection: "services", Visibility: registryv1.Visibility_PUBLIC,
	}})
	if err != nil {
		return fmt.Errorf("look at the spreadsheet: %w", err)
	}
	var rows [][]string
	var first time.Duration
	for _, times := range []string{"once", "once more, nothing new"} {
		b.progress.say("import of %d rows: %s", count, times)
		began := time.Now()
		if _, err := imports.RunImport(ctx, &exchangev1.RunImportRequest{Name: made.GetName()}); err != nil {
			return err
		}
		err := until(ctx, importPoll, func() (bool, error) {
			made, err = imports.GetImport(ctx, &exchangev1.GetImportRequest{Name: made.GetName()})
			return made.GetState() != exchangev1.Import_RUNNING, err
		})
		took := time.Since(began)
		if err != nil {
			return err
		}
		if c := made.GetCounts(); made.GetState() != exchangev1.Import_DONE || c.GetCreated()+c.GetUnchanged() != int64(count) {
			return fmt.Errorf("the import ended as %s: %v %s", made.GetState(), c, made.GetError())
		}
		if first == 0 {
			first = took
		}
		memory, err := memoryOf(pid)
		if err != nil {
			return err
		}
		rows = append(rows, []string{times, seconds(took), whole(float64(count) / took.Seconds()), mebibytes(memory.peak), mebibytes(memory.own)})
	}
	b.progress.say("the same records into a bare store")
	bare, written, err := b.bareImport(ctx, conn, parent)
	if err != nil {
		return err
	}
	rows = append(rows, []string{fmt.Sprintf("bare store, %d a transaction", importBatch), seconds(bare), whole(float64(written) / bare.Seconds()), "", ""})
	return errors.Join(
		b.document.heading(2, fmt.Sprintf("Import of %s rows", whole(float64(count)))),
		b.document.table([]string{"", "seconds", "rows/s", "most memory of the node", "own memory after"}, rows),
		b.document.paragraph("The import takes %s times as long as the bare store.", decimals(first.Seconds()/bare.Seconds())),
	)
}

// spreadsheet is a list of services as an office has it.
func spreadsheet(rows int) []byte {
	var text bytes.Buffer
	text.WriteString("Codice;Servizio;Descrizione;Telefono;E-mail;Stato;Destinatari;Aggiornato al\n")
	for i := range rows {
		fmt.Fprintf(&text, "S%d;Servizio numero %d;Aiuto a chi lo chiede, sportello %d;0923 %06d;sportello%d@example.it;attivo;anziani;31/12/2025\n", i, i, i%100, i, i%100)
	}
	return text.Bytes()
}

func uploadTo(ctx context.Context, conn *grpc.ClientConn, parent string, data []byte) (string, error) {
	stream, err := registryv1.NewFileServiceClient(conn).UploadFile(ctx)
	if err != nil {
		return "", err
	}
	digest := sha256.Sum256(data)
	header := &registryv1.UploadFileRequest_Header{Parent: parent, Sha256: hex.EncodeToString(digest[:])}
	err = stream.Send(&registryv1.UploadFileRequest{Part: &registryv1.UploadFileRequest_Header_{Header: header}})
	for piece := range slices.Chunk(data, 256<<10) {
		if err == nil {
			err = stream.Send(&registryv1.UploadFileRequest{Part: &registryv1.UploadFileRequest_Data{Data: piece}})
		}
	}
	if err != nil {
		return "", err
	}
	file, err := stream.CloseAndRecv()
	return file.GetName(), err
}

// bareImport writes the services of a node into a bare store.
func (b *bench) bareImport(ctx context.Context, conn *grpc.ClientConn, parent string) (took time.Duration, written int, err error) {
	var keys, values [][]byte
	call := &registryv1.ListServicesRequest{Parent: parent, PageSize: 1000}
	for {
		page, err := registryv1.NewServiceServiceClient(conn).ListServices(ctx, call)
		if err != nil {
			return 0, 0, err
		}
		for _, service := range page.GetServices() {
			value, err := proto.Marshal(service)
			if err != nil {
				return 0, 0, err
			}
			keys, values = append(keys, []byte(service.GetName())), append(values, value)
		}
		if call.PageToken = page.GetNextPageToken(); call.PageToken == "" {
			break
		}
	}
	s, err := openBareStore(filepath.Join(b.dir, "bare-import.db"))
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	began := time.Now()
	for from := 0; from < len(keys); from += importBatch {
		err := s.db.Update(func(tx *bolt.Tx) error {
			for i := from; i < min(from+importBatch, len(keys)); i++ {
				if err := s.put(tx, keys[i], values[i]); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return 0, 0, err
		}
	}
	return time.Since(began), len(keys), nil
}
