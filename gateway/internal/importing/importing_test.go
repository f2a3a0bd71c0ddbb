package importing_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/gateway/internal/portaltest"
	"cidsistem.example/proto/gen/annotationsv1"
	"cidsistem.example/proto/gen/exchangev1"
	"cidsistem.example/proto/gen/identityv1"
	"cidsistem.example/proto/gen/registryv1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	root = "/lavoro/importazioni/"
	name = "comuni/marsala/imports/i1"
	evil = portaltest.Injection
)

// A node stands for the comune's: it knows who has a session, keeps a file and an import, and remembers what it was asked.
type node struct {
	identityv1.UnimplementedSessionServiceServer
	registryv1.UnimplementedFileServiceServer
	exchangev1.UnimplementedImportServiceServer

	mu      sync.Mutex
	role    annotationsv1.Role
	state   *exchangev1.Import
	rows    []*exchangev1.ImportRow
	file    []byte
	created *exchangev1.Import
	updated *exchangev1.Import
	runs    []*exchangev1.RunImportRequest
	listed  []*exchangev1.ListImportRowsRequest
	fails   error
	deleted bool
	stopped bool
}

func (n *node) RefreshSession(_ context.Context, request *identityv1.RefreshSessionRequest) (*identityv1.Session, error) {
	if request.GetRefreshToken() != "token" {
		return nil, status.Error(codes.Unauthenticated, "no such session")
	}
	soon := timestamppb.New(time.Now().Add(time.Hour))
	return &identityv1.Session{Account: "nodes/marsala/accounts/a", AccessToken: "access", RefreshToken: "token", AccessExpireTime: soon, ExpireTime: soon}, nil
}

func (n *node) GetOwnAccount(context.Context, *identityv1.GetOwnAccountRequest) (*identityv1.Account, error) {
	return &identityv1.Account{Name: "nodes/marsala/accounts/a", DisplayName: "Redazione", Grants: []*identityv1.Grant{{Role: n.role, Scope: "comuni/marsala"}}}, nil
}

func (n *node) UploadFile(stream registryv1.FileService_UploadFileServer) error {
	var content bytes.Buffer
	for {
		part, err := stream.Recv()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		content.Write(part.GetData())
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.fails != nil {
		return n.fails
	}
	n.file = content.Bytes()
	digest := sha256.Sum256(n.file)
	return stream.SendAndClose(&registryv1.File{Name: "comuni/marsala/files/" + hex.EncodeToString(digest[:]), SizeBytes: int64(len(n.file))})
}

func (n *node) CreateImport(_ context.Context, request *exchangev1.CreateImportRequest) (*exchangev1.Import, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.created = request.GetImport()
	if n.fails != nil {
		return nil, n.fails
	}
	return n.state, nil
}

func (n *node) GetImport(_ context.Context, request *exchangev1.GetImportRequest) (*exchangev1.Import, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if request.GetName() != name || n.deleted {
		return nil, status.Error(codes.NotFound, "no such import")
	}
	return proto.CloneOf(n.state), nil
}

func (n *node) ListImports(context.Context, *exchangev1.ListImportsRequest) (*exchangev1.ListImportsResponse, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return &exchangev1.ListImportsResponse{Imports: []*exchangev1.Import{n.state}, NextPageToken: "next&page"}, nil
}

func (n *node) UpdateImport(_ context.Context, request *exchangev1.UpdateImportRequest) (*exchangev1.Import, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.updated = request.GetImport()
	return n.state, n.fails
}

func (n *node) RunImport(_ context.Context, request *exchangev1.RunImportRequest) (*exchangev1.Import, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.runs = append(n.runs, request)
	return n.state, n.fails
}

func (n *node) CancelImport(context.Context, *exchangev1.CancelImportRequest) (*exchangev1.Import, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.stopped = true
	return n.state, nil
}

func (n *node) DeleteImport(context.Context, *exchangev1.DeleteImportRequest) (*exchangev1.DeleteImportResponse, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.deleted = true
	return &exchangev1.DeleteImportResponse{}, nil
}

func (n *node) ListImportRows(_ context.Context, request *exchangev1.ListImportRowsRequest) (*exchangev1.ListImportRowsResponse, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.listed = append(n.listed, request)
	from := 0
	if request.GetPageToken() != "" {
		_, _ = fmt.Sscanf(request.GetPageToken(), "from %d", &from)
	}
	to := min(len(n.rows), from+int(request.GetPageSize()))
	answer := &exchangev1.ListImportRowsResponse{Rows: n.rows[from:to]}
	if to < len(n.rows) {
		answer.NextPageToken = fmt.Sprintf("from %d", to)
	}
	return answer, nil
}

// ready is an import of a hostile file.
func ready() *exchangev1.Import {
	return &exchangev1.Import{
		Name: name, File: "comuni/marsala/files/" + strings.Repeat("a", 64), FileName: "elenco " + evil + ".csv", Source: "elenco-servizi", Collection: "services",
		Encoding: "windows-1252", State: exchangev1.Import_READY, Etag: `"e1"`, Table: evil, HeadingLine: 3,
		Tables: []*exchangev1.Import_Table{{Name: evil, LineCount: 40}, {Name: "Foglio2", LineCount: 1}},
		Columns: []*exchangev1.Import_Column{
			{Index: 0, Heading: "Denominazione " + evil, Target: "title", Confidence: 95, Samples: []string{evil + " cella", "Trasporto"}},
			{Index: 1, Heading: "", Target: "", Confidence: 0},
			{Index: 27, Heading: "Tel.", Target: "contacts.phone", Confidence: 60, Samples: []string{"0923 993111"}},
		},
		Targets: []*exchangev1.Import_Target{{Target: "title", Label: "Nome " + evil, Required: true}, {Target: "summary", Label: "Descrizione", Required: true}, {Target: "contacts.phone", Label: "Telefono"}},
	}
}

func start(t *testing.T, role annotationsv1.Role) (*browser, *node) {
	t.Helper()
	n := &node{role: role, state: ready()}
	p := portaltest.Start(t, []proto.Message{portaltest.Marsala()}, func(server *grpc.Server) {
		identityv1.RegisterSessionServiceServer(server, n)
		registryv1.RegisterFileServiceServer(server, n)
		exchangev1.RegisterImportServiceServer(server, n)
	})
	return &browser{t, p.Base(), "marsala.token"}, n
}

// A browser has a session.
type browser struct {
	t       *testing.T
	base    string
	session string
}

func (b *browser) send(method, path, mediaType string, body io.Reader) portaltest.Answer {
	b.t.Helper()
	request, err := http.NewRequestWithContext(b.t.Context(), method, b.base+path, body)
	if err != nil {
		b.t.Fatal(err)
	}
	request.Header.Set("Accept", "text/html")
	if mediaType != "" {
		request.Header.Set("Content-Type", mediaType)
	}
	if b.session != "" {
		request.Header.Set("Cookie", "__Host-cid-session="+b.session)
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	answer, err := transport.RoundTrip(request)
	if err != nil {
		b.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return portaltest.Answer{Status: answer.StatusCode, Header: answer.Header, Body: string(text)}
}

func (b *browser) get(path string) portaltest.Answer {
	b.t.Helper()
	return b.send(http.MethodGet, path, "", http.NoBody)
}

func (b *browser) post(path string, form url.Values) portaltest.Answer {
	b.t.Helper()
	return b.send(http.MethodPost, path, "application/x-www-form-urlencoded", strings.NewReader(form.Encode()))
}

// upload sends the form of a new import.
func (b *browser) upload(fields map[string]string, fileName string, content io.Reader) portaltest.Answer {
	b.t.Helper()
	from, into := io.Pipe()
	form := multipart.NewWriter(into)
	go func() {
		for field, value := range fields {
			_ = form.WriteField(field, value)
		}
		part, err := form.CreateFormFile("file", fileName)
		if err == nil {
			_, err = io.Copy(part, content)
		}
		if err == nil {
			err = form.Close()
		}
		_ = into.CloseWithError(err)
	}()
	answer := b.send(http.MethodPost, root, form.FormDataContentType(), from)
	_ = from.Close()
	return answer
}

func TestUpload(t *testing.T) {
	b, n := start(t, annotationsv1.Role_EDITOR)
	content := bytes.Repeat([]byte("nome;telefono\r\n"), 200_000) // 3 MB: more than is kept of other forms
	got := b.upload(map[string]string{"tipo": "organizations", "fonte": ""}, `C:\Ufficio\Élenco Associazioni 2026-03 (def).xlsx`, bytes.NewReader(content))
	if got.Status != http.StatusSeeOther || got.Header.Get("Location") != root+"i1?fatto=importReady" {
		t.Fatalf("status %d to %s: %s", got.Status, got.Header.Get("Location"), got.Text())
	}
	if !bytes.Equal(n.file, content) {
		t.Errorf("%d bytes of %d arrived", len(n.file), len(content))
	}
	digest := sha256.Sum256(content)
	want := &exchangev1.Import{
		File: "comuni/marsala/files/" + hex.EncodeToString(digest[:]), FileName: "Élenco Associazioni 2026-03 (def).xlsx", Source: "elenco-associazioni", Collection: "organizations",
	}
	if !proto.Equal(n.created, want) {
		t.Errorf("made %v, want %v", n.created, want)
	}
}

// endless is a file of any length.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func TestRefusedUploadKeepsWhatWasTyped(t *testing.T) {
	typed := map[string]string{"tipo": "locations", "fonte": "elenco-luoghi"}
	const large = 26 << 20
	tests := []struct {
		name   string
		fields map[string]string
		file   string
		body   io.Reader
		fails  error
		status int
		says   string
	}{
		{"large", typed, "a.csv", io.LimitReader(endless{}, large), nil, http.StatusBadRequest, "Il file è troppo grande. Può avere al massimo 25 MB."},
		{"empty", typed, "a.csv", strings.NewReader(""), nil, http.StatusBadRequest, "Il file è vuoto"},
		{"missing", typed, "", strings.NewReader(""), nil, http.StatusBadRequest, "Scegli un file."},
		{"source", map[string]string{"tipo": "locations", "fonte": `elenco-luoghi"><script>alert(1)</script>`}, "a.csv", strings.NewReader("a"), nil, http.StatusBadRequest, "La fonte comincia con una lettera"},
		{"kind", map[string]string{"tipo": "segreti", "fonte": "elenco-luoghi"}, "a.csv", strings.NewReader("a"), nil, http.StatusBadRequest, "Scegli che cosa c'è nel foglio"},
		{"away", typed, "a.csv", strings.NewReader("a"), status.Error(codes.Unavailable, "away"), http.StatusServiceUnavailable, "Il nodo non risponde"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b, n := start(t, annotationsv1.Role_EDITOR)
			n.fails = test.fails
			got := b.upload(test.fields, test.file, test.body)
			if got.Status != test.status || !strings.Contains(got.Text(), test.says) || got.Scripts() != 0 {
				t.Fatalf("status %d, %d scripts: %s", got.Status, got.Scripts(), got.Text())
			}
			if !strings.Contains(got.Body, "elenco-luoghi") || test.name != "kind" && !strings.Contains(got.Body, `<option value="locations" selected>`) {
				t.Errorf("what was typed is lost:\n%s", got.Body)
			}
			if n.created != nil {
				t.Errorf("made %v", n.created)
			}
		})
	}
}

func TestStoredFileIsNotSentAgain(t *testing.T) {
	b, n := start(t, annotationsv1.Role_EDITOR)
	stored := "comuni/marsala/files/" + strings.Repeat("b", 64)
	got := b.post(root, url.Values{"arrivato": {stored}, "nome": {"elenco.csv"}, "tipo": {"services"}, "fonte": {""}})
	if got.Status != http.StatusSeeOther || n.created.GetFile() != stored || n.created.GetSource() != "elenco" || n.file != nil {
		t.Errorf("status %d, made %v", got.Status, n.created)
	}
}

func TestNobodysFileIsNotKept(t *testing.T) {
	b, n := start(t, annotationsv1.Role_EDITOR)
	b.session = ""
	got := b.upload(map[string]string{"tipo": "locations", "fonte": "elenco-luoghi"}, "a.csv", strings.NewReader("a;b"))
	if got.Status != http.StatusForbidden || !strings.Contains(got.Body, `value="elenco-luoghi"`) || n.file != nil {
		t.Errorf("status %d, %d bytes kept: %s", got.Status, len(n.file), got.Text())
	}
}

func TestOtherRolesImportNothing(t *testing.T) {
	b, n := start(t, annotationsv1.Role_SUPPORT_DESK)
	for _, path := range []string{root, root + "i1", root + "i1/righe", root + "i1/rapporto.csv"} {
		if got := b.get(path); got.Status != http.StatusForbidden {
			t.Errorf("%s: status %d", path, got.Status)
		}
	}
	if got := b.post(root+"i1", url.Values{"azione": {"cancella"}}); got.Status != http.StatusForbidden || n.deleted {
		t.Errorf("status %d", got.Status)
	}
}

func TestColumns(t *testing.T) {
	b, _ := start(t, annotationsv1.Role_EDITOR)
	got := b.get(root + "i1")
	if got.Status != http.StatusOK || got.Scripts() != 0 || strings.Contains(got.Body, "<script>alert") {
		t.Fatalf("status %d, %d scripts", got.Status, got.Scripts())
	}
	for _, want := range []string{
		evil + " cella · Trasporto", "Siamo sicuri", "Non l'abbiamo capita", "È probabile", "Colonna B, senza nome", "Manca ancora: Descrizione", "windows-1252",
		"Le schede le vede solo il tuo comune",
	} {
		if !strings.Contains(got.Text(), want) {
			t.Errorf("the page does not say %q:\n%s", want, got.Text())
		}
	}
	if strings.Contains(got.Body, `name="visibile"`) || strings.Contains(got.Body, `value="importa"`) {
		t.Error("an editor may show records to all, or import without a try")
	}
	if publisher, _ := start(t, annotationsv1.Role_PUBLISHER); !strings.Contains(publisher.get(root+"i1").Body, `name="visibile"`) {
		t.Error("a publisher cannot say who sees the records")
	}
}

// typed is the form of an import as it is shown.
func typed(action string) url.Values {
	return url.Values{
		"azione": {action}, "etag": {`"e1"`}, "tipo": {"services"}, "tabella": {evil}, "intestazione": {"3"}, "fonte": {"elenco-servizi"},
		"colonna-0": {"title"}, "colonna-1": {"summary"}, "colonna-27": {""},
	}
}

func TestTryAndRun(t *testing.T) {
	for action, dry := range map[string]bool{"prova": true, "importa": false} {
		t.Run(action, func(t *testing.T) {
			b, n := start(t, annotationsv1.Role_PUBLISHER)
			form := typed(action)
			form.Set("tutto", "1")
			form.Set("visibile", "public")
			got := b.post(root+"i1", form)
			if got.Status != http.StatusSeeOther || got.Header.Get("Location") != root+"i1" {
				t.Fatalf("status %d to %s: %s", got.Status, got.Header.Get("Location"), got.Text())
			}
			var targets []string
			for _, column := range n.updated.GetColumns() {
				targets = append(targets, column.GetTarget())
			}
			if strings.Join(targets, ",") != "title,summary," || !n.updated.GetAllOrNothing() || n.updated.GetVisibility() != registryv1.Visibility_PUBLIC || n.updated.GetEtag() != `"e1"` {
				t.Errorf("updated to %v", n.updated)
			}
			if len(n.runs) != 1 || n.runs[0].GetDryRun() != dry {
				t.Errorf("ran %v", n.runs)
			}
		})
	}
}

func TestOtherTableIsReadAnew(t *testing.T) {
	for field, value := range map[string]string{"tabella": "Foglio2", "intestazione": "5", "tipo": "operators"} {
		t.Run(field, func(t *testing.T) {
			b, n := start(t, annotationsv1.Role_EDITOR)
			form := typed("prova")
			form.Set(field, value)
			got := b.post(root+"i1", form)
			if got.Header.Get("Location") != root+"i1?fatto=importReread#colonne" {
				t.Errorf("status %d to %q", got.Status, got.Header.Get("Location"))
			}
			if len(n.updated.GetColumns()) != 0 || len(n.runs) != 0 {
				t.Errorf("old columns of another table are used: %v, %v", n.updated, n.runs)
			}
		})
	}
}

func TestRefusedColumnsAreShownAgain(t *testing.T) {
	tests := []struct {
		name        string
		field, bad  string
		fails       error
		says        string
		status      int
		reachesNode bool
	}{
		{"target", "colonna-1", evil, nil, "Questa voce non c'è più", http.StatusBadRequest, false},
		{"lacking", "colonna-0", "contacts.phone", nil, "Nessuna colonna riempie: Nome", http.StatusBadRequest, false},
		{"heading", "intestazione", "tre" + evil, nil, "Scrivi un numero di riga", http.StatusBadRequest, false},
		{"source", "fonte", "Ufficio 1" + evil, nil, "La fonte comincia con una lettera", http.StatusBadRequest, false},
		{"away", "fonte", "altra-fonte", status.Error(codes.Unavailable, "away"), "Il nodo non risponde", http.StatusServiceUnavailable, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b, n := start(t, annotationsv1.Role_EDITOR)
			n.fails = test.fails
			form := typed("prova")
			form.Set("colonna-27", "summary")
			form.Set(test.field, test.bad)
			got := b.post(root+"i1", form)
			if got.Status != test.status || !strings.Contains(got.Text(), test.says) || got.Scripts() != 0 || strings.Contains(got.Body, "<script>alert") {
				t.Fatalf("status %d: %s", got.Status, got.Text())
			}
			if strings.Count(got.Body, `<option value="summary" selected>`) < 1 {
				t.Error("a column that was chosen is lost")
			}
			if (n.updated != nil) != test.reachesNode || len(n.runs) != 0 {
				t.Errorf("the node got %v, %v", n.updated, n.runs)
			}
		})
	}
}

func TestRunningShowsProgress(t *testing.T) {
	b, n := start(t, annotationsv1.Role_EDITOR)
	n.state.State, n.state.DryRun, n.state.LinesDone, n.state.LinesTotal = exchangev1.Import_RUNNING, true, 250, 1000
	got := b.get(root + "i1")
	for _, want := range []string{`<noscript><meta http-equiv="refresh" content="5"></noscript>`, `max="100" value="25"`, `value="ferma"`, `data-import="/v1/comuni/marsala/imports/i1"`, "righe lette 250 su 1000", "Prova in corso"} {
		if !strings.Contains(got.Body, want) {
			t.Errorf("the page has no %s", want)
		}
	}
	if strings.Contains(got.Body, "colonna-0") {
		t.Error("columns of a running import can be changed")
	}
	if got := b.post(root+"i1", url.Values{"azione": {"ferma"}}); got.Status != http.StatusSeeOther || !n.stopped {
		t.Errorf("status %d, stopped %t", got.Status, n.stopped)
	}
	n.state.State = exchangev1.Import_CANCELLED
	if got := b.get(root + "i1"); !strings.Contains(got.Body, `value="riprendi"`) || strings.Contains(got.Body, `http-equiv="refresh"`) {
		t.Error("a stopped import cannot go on, or is looked at again and again")
	}
	if got := b.post(root+"i1", url.Values{"azione": {"riprendi"}}); got.Status != http.StatusSeeOther || len(n.runs) != 1 || !n.runs[0].GetDryRun() {
		t.Errorf("status %d, ran %v", got.Status, n.runs)
	}
}

func TestOutcome(t *testing.T) {
	b, n := start(t, annotationsv1.Role_EDITOR)
	n.state.State = exchangev1.Import_DONE
	n.state.Counts = &exchangev1.Import_Counts{Rows: 5, Created: 2, Quarantined: 3, Vanished: 1}
	n.state.VanishedRecords = []string{"comuni/marsala/services/sparito"}
	got := b.get(root + "i1")
	for _, want := range []string{"Schede nuove", "Una scheda non è più nel file", "Non le cancelliamo", "sparito"} {
		if !strings.Contains(got.Text(), want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	for _, want := range []string{root + "i1/righe?esito=quarantined", root + "i1/rapporto.csv", "/lavoro/schede/scheda?nome=comuni%2Fmarsala%2Fservices%2Fsparito"} {
		if !strings.Contains(got.Body, want) {
			t.Errorf("the page does not lead to %s", want)
		}
	}
	if asked := b.get(root + "i1?azione=cancella"); !strings.Contains(asked.Text(), "Le schede restano") || n.deleted {
		t.Error("an import is forgotten without a question")
	}
	if got := b.post(root+"i1", url.Values{"azione": {"cancella"}}); got.Header.Get("Location") != root+"?fatto=importDeleted" || !n.deleted {
		t.Errorf("status %d to %s", got.Status, got.Header.Get("Location"))
	}
	if got := b.get(root + "i1"); got.Status != http.StatusNotFound {
		t.Errorf("an import that is forgotten: status %d", got.Status)
	}
}

func rows(count int) []*exchangev1.ImportRow {
	var all []*exchangev1.ImportRow
	for i := range count {
		all = append(all, &exchangev1.ImportRow{
			Line: int64(i + 4), Outcome: exchangev1.ImportRow_QUARANTINED, Title: fmt.Sprintf("Riga %d %s", i, evil),
			Remarks: []*exchangev1.ImportRow_Remark{{Column: "Tel. " + evil, Value: "=1+1 " + evil, Repaired: "+39 0923 1" + evil, Description: "numero " + evil}, {Description: "altro; \"motivo\"\nsu due righe"}},
		})
	}
	return all
}

func TestRows(t *testing.T) {
	b, n := start(t, annotationsv1.Role_EDITOR)
	n.rows = rows(120)
	got := b.get(root + "i1/righe?esito=quarantined&note=1")
	if got.Status != http.StatusOK || got.Scripts() != 0 || strings.Contains(got.Body, "<script>alert") {
		t.Fatalf("status %d, %d scripts", got.Status, got.Scripts())
	}
	if strings.Count(got.Body, `<td role="cell"><span class="state state-bad">Non presa`) != 50 || !strings.Contains(got.Text(), "com'era: =1+1 "+evil+" → com'è: +39 0923 1"+evil) {
		t.Errorf("%d rows: %.2000s", strings.Count(got.Body, `<td role="cell"><span class="state state-bad">Non presa`), got.Text())
	}
	asked := n.listed[0]
	if asked.GetOutcome() != exchangev1.ImportRow_QUARANTINED || !asked.GetRemarked() || asked.GetPageSize() != 50 {
		t.Errorf("asked for %v", asked)
	}
	if !strings.Contains(got.Body, "pagina=from&#43;50") && !strings.Contains(got.Body, "pagina=from+50") {
		t.Error("there is no next page")
	}
	if last := b.get(root + "i1/righe?pagina=from+100"); strings.Count(last.Body, `<td role="cell"><span class="state state-bad">Non presa`) != 20 {
		t.Errorf("%d rows on the last page", strings.Count(last.Body, `<td role="cell"><span class="state state-bad">Non presa`))
	}
	for _, path := range []string{root + "i1/righe?esito=" + url.QueryEscape(evil), root + "altro/righe"} {
		if got := b.get(path); got.Status != http.StatusNotFound {
			t.Errorf("%s: status %d", path, got.Status)
		}
	}
}

func TestReport(t *testing.T) {
	b, n := start(t, annotationsv1.Role_EDITOR)
	n.rows = rows(1500)
	got := b.get(root + "i1/rapporto.csv")
	if got.Status != http.StatusOK || !strings.HasPrefix(got.Header.Get("Content-Type"), "text/csv") || !strings.Contains(got.Header.Get("Content-Disposition"), "rapporto-elenco-servizi.csv") || got.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("status %d, %v", got.Status, got.Header)
	}
	if count := strings.Count(got.Body, ";Non presa;"); count != 3000 {
		t.Errorf("%d lines for 1500 rows with two remarks each", count)
	}
	for _, want := range []string{"\ufeffRiga;Esito;", `;"'=1+1 `, `;"'+39 0923 1`, `"altro; ""motivo""` + "\r\nsu due righe\""} {
		if !strings.Contains(got.Body, want) {
			t.Errorf("the report has no %q: %.600s", want, got.Body)
		}
	}
}

func TestListLeadsToImports(t *testing.T) {
	b, n := start(t, annotationsv1.Role_EDITOR)
	n.state.Counts = &exchangev1.Import_Counts{Rows: 12, Quarantined: 1}
	got := b.get(root)
	if got.Status != http.StatusOK || got.Scripts() != 0 || strings.Contains(got.Body, "<script>alert") {
		t.Fatalf("status %d, %d scripts", got.Status, got.Scripts())
	}
	for _, want := range []string{`href="/lavoro/importazioni/i1"`, `<option value="elenco-servizi">`, "una riga non presa", "pagina=next%26page", "Al massimo 25 MB"} {
		if !strings.Contains(got.Body, want) {
			t.Errorf("the page has no %s", want)
		}
	}
}
