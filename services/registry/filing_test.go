package registry_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/files"
	"cidsistem.example/services/registry"
)

func sumOf(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// upload sends a header and pieces.
func (n *node) upload(t testing.TB, parent, sum string, pieces ...[]byte) (*registryv1.File, error) {
	t.Helper()
	stream, err := n.files.UploadFile(t.Context())
	must(t, err)
	parts := []*registryv1.UploadFileRequest{{Part: &registryv1.UploadFileRequest_Header_{Header: &registryv1.UploadFileRequest_Header{Parent: parent, Sha256: sum}}}}
	for _, piece := range pieces {
		parts = append(parts, &registryv1.UploadFileRequest{Part: &registryv1.UploadFileRequest_Data{Data: piece}})
	}
	return send(t, stream, parts...)
}

func send(t testing.TB, stream registryv1.FileService_UploadFileClient, parts ...*registryv1.UploadFileRequest) (*registryv1.File, error) {
	t.Helper()
	for _, part := range parts {
		if err := stream.Send(part); err != nil {
			break // the answer says why
		}
	}
	return stream.CloseAndRecv()
}

func (n *node) download(t testing.TB, name string, offset int64) ([]byte, error) {
	t.Helper()
	stream, err := n.files.DownloadFile(t.Context(), &registryv1.DownloadFileRequest{Name: name, Offset: offset})
	must(t, err)
	var all []byte
	for {
		piece, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		all = append(all, piece.GetData()...)
	}
}

func TestFiles(t *testing.T) {
	n := marsala(t, registry.Options{})
	content := bytes.Repeat([]byte("Regolamento comunale. "), 30_000) // more than two pieces
	file, err := n.upload(t, "comuni/marsala", sumOf(content), slices.Collect(slices.Chunk(content, 100_000))...)
	must(t, err)
	if file.GetName() != "comuni/marsala/files/"+sumOf(content) || file.GetSha256() != sumOf(content) || file.GetSizeBytes() != int64(len(content)) {
		t.Errorf("uploaded %v", file)
	}
	again, err := n.upload(t, "comuni/marsala", "", content[:5], content[5:], nil)
	must(t, err)
	if again.GetName() != file.GetName() {
		t.Errorf("the same bytes are %s and %s", again.GetName(), file.GetName())
	}
	var stored int
	must(t, filepath.WalkDir(filepath.Join(n.Settings.DataDir, "files"), func(_ string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			stored++
		}
		return err
	}))
	if stored != 1 {
		t.Errorf("the same bytes are stored %d times", stored)
	}
	empty, err := n.upload(t, "comuni/marsala", "")
	must(t, err)
	if empty.GetSizeBytes() != 0 || empty.GetSha256() != sumOf(nil) {
		t.Errorf("an empty file is %v", empty)
	}
	for _, offset := range []int64{0, 1, 256 << 10, 256<<10 + 7, int64(len(content)) - 1, int64(len(content)), int64(len(content)) + 100} {
		got, err := n.download(t, file.GetName(), offset)
		must(t, err)
		if want := content[min(offset, int64(len(content))):]; !bytes.Equal(got, want) {
			t.Errorf("from byte %d came %d bytes, not %d", offset, len(got), len(want))
		}
	}
	got, err := n.files.GetFile(t.Context(), &registryv1.GetFileRequest{Name: file.GetName()})
	must(t, err)
	if got.GetSizeBytes() != file.GetSizeBytes() {
		t.Errorf("got %v", got)
	}
}

func TestFilesAreRefused(t *testing.T) {
	n := marsala(t, registry.Options{})
	_, err := n.upload(t, "comuni/marsala", sumOf([]byte("announced")), []byte("sent"))
	refused(t, err, registryv1.ErrorReason_INVALID_FIELDS, "header.sha256")
	_, err = n.upload(t, "comuni/marsala", "no sum", []byte("sent"))
	refused(t, err, registryv1.ErrorReason_INVALID_FIELDS, "header.sha256")
	_, err = n.upload(t, "comuni/pantelleria", "", []byte("sent"))
	refused(t, err, registryv1.ErrorReason_NOT_THE_OWNER)
	_, err = n.upload(t, "marsala", "", []byte("sent"))
	refused(t, err, registryv1.ErrorReason_INVALID_FIELDS, "header.parent")
	_, err = n.upload(t, "comuni/marsala", "", bytes.Repeat([]byte("x"), 1<<20+1))
	refused(t, err, registryv1.ErrorReason_INVALID_FIELDS, "data")

	large := make([][]byte, files.MaxBytes>>20+1)
	for i := range large {
		large[i] = make([]byte, 1<<20)
	}
	_, err = n.upload(t, "comuni/marsala", "", large...)
	refused(t, err, registryv1.ErrorReason_TOO_LARGE)
	if got := apierror.Info(err).GetMetadata()["limit_bytes"]; got != strconv.Itoa(files.MaxBytes) {
		t.Errorf("metadata limit_bytes %q", got)
	}
	_, err = n.upload(t, "comuni/marsala", "", large[1:]...)
	must(t, err)

	header := &registryv1.UploadFileRequest{Part: &registryv1.UploadFileRequest_Header_{Header: &registryv1.UploadFileRequest_Header{Parent: "comuni/marsala"}}}
	data := &registryv1.UploadFileRequest{Part: &registryv1.UploadFileRequest_Data{Data: []byte("x")}}
	for name, test := range map[string]struct {
		parts []*registryv1.UploadFileRequest
		field string
	}{
		"nothing":      {nil, "header"},
		"data first":   {[]*registryv1.UploadFileRequest{data}, "header"},
		"header twice": {[]*registryv1.UploadFileRequest{header, data, header}, "header"},
		"empty part":   {[]*registryv1.UploadFileRequest{header, {}}, "part"},
	} {
		stream, err := n.files.UploadFile(t.Context())
		must(t, err)
		_, err = send(t, stream, test.parts...)
		t.Log(name)
		refused(t, err, registryv1.ErrorReason_INVALID_FIELDS, test.field)
	}

	sum := sumOf([]byte("never sent"))
	for _, name := range []string{"comuni/marsala/files/" + sum, "comuni/pantelleria/files/" + sum} {
		_, err = n.files.GetFile(t.Context(), &registryv1.GetFileRequest{Name: name})
		refused(t, err, registryv1.ErrorReason_RESOURCE_NOT_FOUND)
		_, err = n.download(t, name, 0)
		refused(t, err, registryv1.ErrorReason_RESOURCE_NOT_FOUND)
	}
	_, err = n.download(t, "comuni/marsala/files/../../registry.db", 0)
	refused(t, err, registryv1.ErrorReason_INVALID_FIELDS, "name")
	_, err = n.download(t, "comuni/marsala/files/"+sum, -1)
	refused(t, err, registryv1.ErrorReason_INVALID_FIELDS, "offset")

	entries, err := os.ReadDir(filepath.Join(n.Settings.DataDir, "files", "incoming"))
	if err != nil || len(entries) > 0 {
		t.Errorf("refused uploads left %v, %v", entries, err)
	}
}

func TestDocumentsNeedTheirFiles(t *testing.T) {
	n := marsala(t, registry.Options{})
	content := []byte("Regolamento")
	document := func(edit func(*registryv1.FileReference)) (*registryv1.Document, error) {
		ref := &registryv1.FileReference{Sha256: sumOf(content), FileName: "regolamento.txt", MediaType: "text/plain", SizeBytes: int64(len(content))}
		edit(ref)
		return n.documents.CreateDocument(t.Context(), &registryv1.CreateDocumentRequest{
			Parent: "comuni/marsala", Document: &registryv1.Document{Title: italian("Regolamento"), Kind: registryv1.Document_REGULATION, Files: []*registryv1.FileReference{ref}},
		})
	}
	as := func(*registryv1.FileReference) {}
	_, err := document(as)
	refused(t, err, registryv1.ErrorReason_DANGLING_REFERENCE, "document.files[0].sha256")
	_, err = n.upload(t, "comuni/marsala", "", content)
	must(t, err)
	_, err = document(func(r *registryv1.FileReference) { r.SizeBytes++ })
	refused(t, err, registryv1.ErrorReason_INVALID_FIELDS, "document.files[0].sizeBytes")
	_, err = document(func(r *registryv1.FileReference) { r.FileName = "../regolamento.pdf" })
	refused(t, err, registryv1.ErrorReason_INVALID_FIELDS, "document.files[0].fileName")
	made, err := document(as)
	must(t, err)

	// Files stay as long as a document has them, deleted or not; others for seven
	// days. Their age is that of the disk.
	_, err = n.upload(t, "comuni/marsala", "", []byte("of no document"))
	must(t, err)
	there := func(content []byte) bool {
		_, err := n.files.GetFile(t.Context(), &registryv1.GetFileRequest{Name: "comuni/marsala/files/" + sumOf(content)})
		return err == nil
	}
	old := n.Now().Add(-8 * 24 * time.Hour)
	age := func() {
		must(t, filepath.WalkDir(filepath.Join(n.Settings.DataDir, "files"), func(path string, entry os.DirEntry, err error) error {
			if err == nil && !entry.IsDir() {
				err = os.Chtimes(path, old, old)
			}
			return err
		}))
	}
	must(t, n.Node.Node.Tidy(t.Context()))
	if !there(content) || !there([]byte("of no document")) {
		t.Error("young files were removed")
	}
	_, err = n.documents.DeleteDocument(t.Context(), &registryv1.DeleteDocumentRequest{Name: made.GetName()})
	must(t, err)
	age()
	must(t, n.Node.Node.Tidy(t.Context()))
	if !there(content) || there([]byte("of no document")) {
		t.Errorf("after eight days: of a deleted document %t, of none %t", there(content), there([]byte("of no document")))
	}
	n.pass(31 * 24 * time.Hour)
	must(t, n.Node.Node.Tidy(t.Context()))
	if there(content) {
		t.Error("the file of a purged document is still there")
	}
}

// A file is as public as the most public of its documents, and of no other.
func TestFilesAreAsPublicAsTheirDocuments(t *testing.T) {
	n := marsala(t, registry.Options{})
	content := []byte("Verbale della riunione")
	file, err := n.upload(t, "comuni/marsala", "", content)
	must(t, err)
	var documents []*registryv1.Document
	for _, v := range []registryv1.Visibility{registryv1.Visibility_LOCAL, registryv1.Visibility_NETWORK, registryv1.Visibility_PUBLIC} {
		for _, reader := range []registryv1.Visibility{registryv1.Visibility_PUBLIC, registryv1.Visibility_NETWORK, registryv1.Visibility_LOCAL} {
			// Before there is a document of this visibility, those before it decide.
			_, err := n.files.GetFile(as(t.Context(), reader), &registryv1.GetFileRequest{Name: file.GetName()})
			if seen := reader > v || reader == registryv1.Visibility_LOCAL; (err == nil) != seen {
				t.Errorf("before a %s document a %s reader gets %v", v, reader, err)
			}
		}
		made, err := n.documents.CreateDocument(t.Context(), &registryv1.CreateDocumentRequest{Parent: "comuni/marsala", Document: &registryv1.Document{
			Title: italian("Verbale"), Kind: registryv1.Document_REGULATION, Visibility: v,
			Files: []*registryv1.FileReference{{Sha256: file.GetSha256(), FileName: "verbale.txt", MediaType: "text/plain", SizeBytes: int64(len(content))}},
		}})
		must(t, err)
		documents = append(documents, made)
		_, err = n.files.GetFile(as(t.Context(), v), &registryv1.GetFileRequest{Name: file.GetName()})
		must(t, err)
	}
	// A document that is deleted shows its file no longer.
	_, err = n.documents.DeleteDocument(t.Context(), &registryv1.DeleteDocumentRequest{Name: documents[2].GetName()})
	must(t, err)
	_, err = n.files.GetFile(as(t.Context(), registryv1.Visibility_PUBLIC), &registryv1.GetFileRequest{Name: file.GetName()})
	refused(t, err, registryv1.ErrorReason_RESOURCE_NOT_FOUND)
}
