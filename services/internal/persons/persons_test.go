package persons_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/adminv1"
	"cidsistem.example/proto/gen/deskv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/desk"
	"cidsistem.example/services/internal/persons"
	"cidsistem.example/services/internal/store"
	"cidsistem.example/services/internal/vault"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// open opens the rights over the requests of a desk.
func open(t *testing.T) (*persons.Server, *desk.Desk, *store.Store) {
	t.Helper()
	dir, log := t.TempDir(), slog.New(slog.NewTextHandler(io.Discard, nil))
	s, err := store.Open(store.Options{Path: filepath.Join(dir, "registry.db"), ServerID: "marsala", Comune: "marsala", NoSync: true, Logger: log})
	must(t, err)
	t.Cleanup(func() { _ = s.Close() })
	v, err := vault.Open(t.Context(), s, filepath.Join(dir, "master.key"))
	must(t, err)
	d, err := desk.Open(t.Context(), desk.Options{Store: s, Vault: v, Comune: "marsala", Logger: log})
	must(t, err)
	return persons.NewServer(s, d.Persons()), d, s
}

func ask(t *testing.T, d *desk.Desk, request *deskv1.Request) *deskv1.CreateRequestResponse {
	t.Helper()
	made, err := d.CreateRequest(t.Context(), &deskv1.CreateRequestRequest{Parent: "comuni/marsala", Request: request})
	must(t, err)
	return made
}

// told is what the audit log says.
func told(t *testing.T, s *store.Store) []string {
	t.Helper()
	var lines []string
	must(t, s.View(func(r store.Reader) error {
		for e, err := range r.AuditEntries(0, false) {
			if err != nil {
				return err
			}
			lines = append(lines, e.String())
		}
		return nil
	}))
	return lines
}

func find(t *testing.T, p *persons.Server, query string) *adminv1.FindPersonalDataResponse {
	t.Helper()
	found, err := p.FindPersonalData(t.Context(), &adminv1.FindPersonalDataRequest{Query: query})
	must(t, err)
	return found
}

func TestRightsOfAPerson(t *testing.T) {
	p, d, s := open(t)
	contact := &deskv1.Contact{FullName: "Nome Cognome", Telephone: "0923 123456", Email: "posta@example.org"}
	first := ask(t, d, &deskv1.Request{Text: "Primo", Contact: contact}).GetRequest().GetName()
	second := ask(t, d, &deskv1.Request{Text: "Scrivo per Cognome, Nome"}).GetRequest().GetName()
	other := ask(t, d, &deskv1.Request{Text: "Altro"})
	_, err := d.AnswerRequest(t.Context(), &deskv1.AnswerRequestRequest{Name: first, Text: "Gentile Cognome"})
	must(t, err)

	found := map[string]string{}
	for _, data := range find(t, p, "nome COGNOME").GetFound() {
		found[data.GetName()] = data.GetKind() + " " + strings.Join(data.GetFields(), " ")
	}
	if len(found) != 2 || found[first] != "request contact.fullName messages[0].text" || found[second] != "request text" {
		t.Errorf("found %v", found)
	}
	if _, err := p.FindPersonalData(t.Context(), &adminv1.FindPersonalDataRequest{Query: "...."}); apierror.Reason(err) != registryv1.ErrorReason_INVALID_FIELDS {
		t.Errorf("a query without words: %v", err)
	}

	names := []string{second, first}
	exported, err := p.ExportPersonalData(t.Context(), &adminv1.ExportPersonalDataRequest{Names: names})
	must(t, err)
	for i, document := range exported.GetDocuments() {
		request := &deskv1.Request{}
		must(t, protojson.Unmarshal([]byte(document.GetJson()), request))
		if document.GetName() != names[i] || request.GetName() != names[i] || document.GetKind() != "request" {
			t.Errorf("document %d is %v", i, document)
		}
	}

	// All or nothing.
	missing := "comuni/marsala/requests/none"
	for _, name := range []string{missing, "comuni/pantelleria/requests/x", "nodes/marsala", ""} {
		_, err := p.ErasePersonalData(t.Context(), &adminv1.ErasePersonalDataRequest{Names: []string{first, name}})
		_, exportErr := p.ExportPersonalData(t.Context(), &adminv1.ExportPersonalDataRequest{Names: []string{first, name}})
		for _, err := range []error{err, exportErr} {
			if apierror.Reason(err) != registryv1.ErrorReason_RESOURCE_NOT_FOUND {
				t.Errorf("%q: %v", name, err)
			}
		}
	}
	if n := len(find(t, p, "cognome").GetFound()); n != 2 {
		t.Errorf("an erasure that was refused left %d", n)
	}
	before := len(told(t, s))
	erased, err := p.ErasePersonalData(t.Context(), &adminv1.ErasePersonalDataRequest{Names: names})
	must(t, err)
	if log := told(t, s)[before:]; erased.GetErased() != 2 || len(log) != 2 || !strings.Contains(log[0], second) || !strings.Contains(log[1], "ErasePersonalData") {
		t.Errorf("erased %v, the audit log has %q", erased, log)
	}
	if found := find(t, p, "cognome").GetFound(); len(found) > 0 {
		t.Errorf("what is left is %v", found)
	}
	if _, err := d.LookUpRequest(t.Context(), &deskv1.LookUpRequestRequest{Parent: "comuni/marsala", Code: other.GetCode()}); err != nil {
		t.Errorf("somebody else's request: %v", err)
	}
	log := strings.ToLower(strings.Join(told(t, s), "\n"))
	for _, secret := range []string{"cognome", "0923", "posta@"} {
		if strings.Contains(log, secret) {
			t.Errorf("the audit log has %q", secret)
		}
	}
	if strings.Count(log, "findpersonaldata") != 3 || strings.Count(log, "exportpersonaldata") != 2 {
		t.Errorf("the audit log has\n%s", log)
	}
}

func TestFindIsBounded(t *testing.T) {
	p, d, _ := open(t)
	for i := range 1001 {
		ask(t, d, &deskv1.Request{Text: fmt.Sprintf("Scrive Cognome, numero %d", i)})
	}
	if found := find(t, p, "cognome"); len(found.GetFound()) != 1000 || !found.GetMore() {
		t.Errorf("found %d, more %v", len(found.GetFound()), found.GetMore())
	}
	if found := find(t, p, "cognome numero 1000"); len(found.GetFound()) != 1 || found.GetMore() {
		t.Errorf("found %v", found)
	}
}

// What the audit log does not have is not given out.
func TestNothingWithoutAudit(t *testing.T) {
	p, d, s := open(t)
	name := ask(t, d, &deskv1.Request{Text: "Scrive Cognome"}).GetRequest().GetName()
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	before := len(told(t, s))
	_, findErr := p.FindPersonalData(gone, &adminv1.FindPersonalDataRequest{Query: "cognome"})
	_, exportErr := p.ExportPersonalData(gone, &adminv1.ExportPersonalDataRequest{Names: []string{name}})
	for _, err := range []error{findErr, exportErr} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	}
	if len(told(t, s)) != before {
		t.Error("the audit log has an entry of a call that was not answered")
	}
}
