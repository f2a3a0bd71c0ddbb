package backups_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/adminv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/federationtest"
	"cidsistem.example/services/registry"
	"cidsistem.example/services/ufficiocomune"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func refused(t testing.TB, err error, reason registryv1.ErrorReason) {
	t.Helper()
	if apierror.Reason(err) != reason {
		t.Errorf("got %v, want %s", err, reason)
	}
}

// A node that takes backups.
type node struct {
	*federationtest.Node
	t        testing.TB
	dir      string // of the backups
	data     string
	client   adminv1.BackupServiceClient
	services registryv1.ServiceServiceClient
	clock    *clock
}

// A clock that only a test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

const parent = "nodes/marsala"

func start(t testing.TB, keep int) *node {
	t.Helper()
	n := &node{t: t, dir: filepath.Join(t.TempDir(), "copie"), data: filepath.Join(t.TempDir(), "marsala"), clock: &clock{now: time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)}}
	settings := federationtest.NodeSettings("marsala", n.data)
	settings.Backups.Dir, settings.Backups.Keep = n.dir, keep
	n.Node = federationtest.StartNode(t, settings, registry.Options{Now: n.clock.Now})
	conn := n.Conn(t)
	n.client, n.services = adminv1.NewBackupServiceClient(conn), registryv1.NewServiceServiceClient(conn)
	return n
}

func (n *node) service(id string) {
	n.t.Helper()
	_, err := n.services.CreateService(n.t.Context(), &registryv1.CreateServiceRequest{Parent: "comuni/marsala", ServiceId: id, Service: &registryv1.Service{
		Title: &registryv1.LocalizedText{It: "Trasporto"}, Status: &registryv1.Status{State: registryv1.Status_ACTIVE},
	}})
	must(n.t, err)
}

// document writes a document with a file of its own, and returns the file's sum.
func (n *node) document(id, content string) string {
	n.t.Helper()
	conn := n.Conn(n.t)
	stream, err := registryv1.NewFileServiceClient(conn).UploadFile(n.t.Context())
	must(n.t, err)
	must(n.t, stream.Send(&registryv1.UploadFileRequest{Part: &registryv1.UploadFileRequest_Header_{Header: &registryv1.UploadFileRequest_Header{Parent: "comuni/marsala"}}}))
	must(n.t, stream.Send(&registryv1.UploadFileRequest{Part: &registryv1.UploadFileRequest_Data{Data: []byte(content)}}))
	file, err := stream.CloseAndRecv()
	must(n.t, err)
	_, err = registryv1.NewDocumentServiceClient(conn).CreateDocument(n.t.Context(), &registryv1.CreateDocumentRequest{Parent: "comuni/marsala", DocumentId: id, Document: &registryv1.Document{
		Title: &registryv1.LocalizedText{It: "Avviso"}, Kind: registryv1.Document_REGULATION,
		Files: []*registryv1.FileReference{{Sha256: file.GetSha256(), FileName: "avviso.txt", MediaType: "text/plain", SizeBytes: file.GetSizeBytes()}},
	}})
	must(n.t, err)
	return file.GetSha256()
}

func (n *node) create() *adminv1.Backup {
	n.t.Helper()
	made, err := n.client.CreateBackup(n.t.Context(), &adminv1.CreateBackupRequest{Parent: parent})
	must(n.t, err)
	return made
}

func (n *node) list() []*adminv1.Backup {
	n.t.Helper()
	var all []*adminv1.Backup
	for call := (&adminv1.ListBackupsRequest{Parent: parent, PageSize: 1}); ; {
		page, err := n.client.ListBackups(n.t.Context(), call)
		must(n.t, err)
		all = append(all, page.GetBackups()...)
		if call.PageToken = page.GetNextPageToken(); call.GetPageToken() == "" {
			return all
		}
	}
}

func (n *node) verify(name string) *adminv1.Backup {
	n.t.Helper()
	got, err := n.client.VerifyBackup(n.t.Context(), &adminv1.VerifyBackupRequest{Name: name})
	must(n.t, err)
	return got
}

func (n *node) rehearse(name string) *adminv1.Backup {
	n.t.Helper()
	got, err := n.client.RehearseRestore(n.t.Context(), &adminv1.RehearseRestoreRequest{Name: name})
	must(n.t, err)
	return got
}

// dataFile is that of a backup.
func (n *node) dataFile(backup *adminv1.Backup) string {
	name := backup.GetName()
	return filepath.Join(n.dir, name[strings.LastIndexByte(name, '/')+1:], "data.db")
}

func TestTakenVerifiedAndRehearsed(t *testing.T) {
	n := start(t, 0)
	n.service("uno")
	sum := n.document("avviso", "testo dell'avviso")
	made := n.create()
	if made.GetRecords()["services"] != 1 || made.GetRecords()["documents"] != 1 || made.GetRevision() != n.Node.Node.Store().Head().Revision || made.GetSizeBytes() == 0 ||
		len(made.GetSha256()) != 64 || !made.GetCreateTime().AsTime().Equal(n.clock.Now()) || made.GetVerifyTime() != nil {
		t.Errorf("it is %v", made)
	}
	if _, err := os.Stat(filepath.Join(n.dir, "files", sum[:2], sum)); err != nil {
		t.Errorf("the file of the document is not there: %v", err)
	}
	n.service("due") // is not in the backup
	n.clock.pass(time.Hour)
	before := n.Node.Node.Store().Head()
	verified := n.verify(made.GetName())
	rehearsed := n.rehearse(made.GetName())
	if len(verified.GetProblems())+len(rehearsed.GetProblems()) > 0 || !verified.GetVerifyTime().AsTime().Equal(n.clock.Now()) || !rehearsed.GetRehearseTime().AsTime().Equal(n.clock.Now()) {
		t.Errorf("verified it is %v, rehearsed %v", verified, rehearsed)
	}
	if !n.Node.Node.Store().Head().Equal(before) {
		t.Error("the rehearsal changed the server's own data")
	}
	left, err := filepath.Glob(filepath.Join(n.data, ".*"))
	must(t, err)
	if len(left) > 0 {
		t.Errorf("it left %v behind", left)
	}
	// What was found stays, also when the server starts anew.
	n.Halt(t)
	n.Start(t)
	n.client = adminv1.NewBackupServiceClient(n.Conn(t))
	if all := n.list(); len(all) != 1 || all[0].GetVerifyTime() == nil || all[0].GetSha256() != made.GetSha256() {
		t.Errorf("the list is %v", all)
	}
	if again := n.verify(made.GetName()); len(again.GetProblems()) > 0 {
		t.Errorf("the second time it has %v", again.GetProblems())
	}
}

func TestBackupsThatAreNotGood(t *testing.T) {
	for what, c := range map[string]struct {
		damage func(n *node, made *adminv1.Backup, sum string)
		want   string
	}{
		"a bit that changed": {func(n *node, made *adminv1.Backup, _ string) {
			data, err := os.ReadFile(n.dataFile(made))
			must(n.t, err)
			data[len(data)/2] ^= 1
			must(n.t, os.WriteFile(n.dataFile(made), data, 0o600))
		}, "other bytes"},
		"an end that is missing": {func(n *node, made *adminv1.Backup, _ string) {
			must(n.t, os.Truncate(n.dataFile(made), made.GetSizeBytes()/2))
		}, "other bytes"},
		"no data file": {func(n *node, made *adminv1.Backup, _ string) { must(n.t, os.Remove(n.dataFile(made))) }, "is missing"},
		"a file is missing": {func(n *node, _ *adminv1.Backup, sum string) {
			must(n.t, os.Remove(filepath.Join(n.dir, "files", sum[:2], sum)))
		}, "is missing"},
		"a file has changed": {func(n *node, _ *adminv1.Backup, sum string) {
			must(n.t, os.WriteFile(filepath.Join(n.dir, "files", sum[:2], sum), []byte("x"), 0o600))
		}, "have changed"},
	} {
		t.Run(what, func(t *testing.T) {
			n := start(t, 0)
			n.service("uno")
			sum := n.document("avviso", "testo dell'avviso")
			made := n.create()
			c.damage(n, made, sum)
			for _, got := range []*adminv1.Backup{n.verify(made.GetName()), n.rehearse(made.GetName())} {
				if text := fmt.Sprint(got.GetProblems()); !strings.Contains(text, c.want) || strings.Contains(text, n.dir) || strings.Contains(text, n.data) {
					t.Errorf("the problems are %s", text)
				}
			}
		})
	}
}

// A backup whose local data the server's key does not open is not good, however
// whole it is.
func TestAnotherMasterKey(t *testing.T) {
	n := start(t, 0)
	made := n.create()
	other := start(t, 0)
	key, err := os.ReadFile(filepath.Join(other.data, "master.key"))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(n.data, "master.key"), key, 0o600))
	got := n.rehearse(made.GetName())
	if text := fmt.Sprint(got.GetProblems()); !strings.Contains(text, "local data") || strings.Contains(text, n.data) {
		t.Errorf("the problems are %s", text)
	}
}

func TestTheOldestGo(t *testing.T) {
	n := start(t, 2)
	first := n.document("uno", "il primo")
	n.create()
	must(t, second(registryv1.NewDocumentServiceClient(n.Conn(t)).DeleteDocument(t.Context(), &registryv1.DeleteDocumentRequest{Name: "comuni/marsala/documents/uno"})))
	n.clock.pass(31 * 24 * time.Hour)
	must(t, n.Node.Node.Tidy(t.Context())) // the document goes for good
	kept := n.document("due", "il secondo")
	for range 3 {
		n.clock.pass(24 * time.Hour)
		n.create()
	}
	all := n.list()
	if len(all) != 2 || !all[0].GetCreateTime().AsTime().Equal(n.clock.Now()) || !all[1].GetCreateTime().AsTime().Equal(n.clock.Now().Add(-24*time.Hour)) {
		t.Errorf("there are %v", all)
	}
	for sum, want := range map[string]bool{first: false, kept: true} {
		if _, err := os.Stat(filepath.Join(n.dir, "files", sum[:2], sum)); errors.Is(err, fs.ErrNotExist) == want {
			t.Errorf("the file %.8s: %v", sum, err)
		}
	}
	for _, backup := range all {
		if got := n.verify(backup.GetName()); len(got.GetProblems()) > 0 {
			t.Errorf("%s has %v", backup.GetName(), got.GetProblems())
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestWhatIsRefused(t *testing.T) {
	n := start(t, 0)
	made := n.create()
	for _, name := range []string{parent + "/backups/nessuno", parent + "/backups/files", "nodes/trapani/backups/" + made.GetName()[len(parent+"/backups/"):]} {
		_, err := n.client.VerifyBackup(t.Context(), &adminv1.VerifyBackupRequest{Name: name})
		refused(t, err, registryv1.ErrorReason_RESOURCE_NOT_FOUND)
	}
	for _, name := range []string{parent + "/backups/..", parent + "/backups/../marsala"} {
		_, err := n.client.RehearseRestore(t.Context(), &adminv1.RehearseRestoreRequest{Name: name})
		refused(t, err, registryv1.ErrorReason_INVALID_FIELDS)
	}
	bare := federationtest.StartNode(t, federationtest.NodeSettings("pantelleria", filepath.Join(t.TempDir(), "pantelleria")), registry.Options{})
	_, err := adminv1.NewBackupServiceClient(bare.Conn(t)).CreateBackup(t.Context(), &adminv1.CreateBackupRequest{Parent: "nodes/pantelleria"})
	refused(t, err, registryv1.ErrorReason_NOT_SUPPORTED_HERE)
}

// What a killed server left behind goes at the next start.
func TestLeftBehind(t *testing.T) {
	n := start(t, 0)
	n.create()
	n.Halt(t)
	left := []string{filepath.Join(n.dir, ".new-1"), filepath.Join(n.data, ".backup-1"), filepath.Join(n.data, ".rehearsal-1")}
	for _, folder := range left {
		must(t, os.MkdirAll(filepath.Join(folder, "x"), 0o700))
	}
	n.Start(t)
	for _, folder := range left {
		if _, err := os.Stat(folder); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is there still (%v)", filepath.Base(folder), err)
		}
	}
}

func TestTheOfficeTakesBackupsToo(t *testing.T) {
	n := start(t, 0)
	n.service("uno")
	office := federationtest.StartOffice(t, "ufficio", ufficiocomune.Options{}, n.Member())
	office.Halt(t)
	office.Settings.Backups.Dir = filepath.Join(t.TempDir(), "copie")
	office.Start(t)
	client := adminv1.NewBackupServiceClient(office.Conn(t))
	made, err := client.CreateBackup(t.Context(), &adminv1.CreateBackupRequest{Parent: "nodes/ufficio"})
	must(t, err)
	got, err := client.RehearseRestore(t.Context(), &adminv1.RehearseRestoreRequest{Name: made.GetName()})
	must(t, err)
	if len(got.GetProblems()) > 0 || got.GetRehearseTime() == nil {
		t.Errorf("it is %v", got)
	}
}
