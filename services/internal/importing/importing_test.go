package importing_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/encoding/charmap"

	"cidsistem.example/proto/gen/exchangev1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/federationtest"
	"cidsistem.example/services/registry"
)

const parent = "comuni/marsala"

type node struct {
	*federationtest.Node
	t        testing.TB
	imports  exchangev1.ImportServiceClient
	files    registryv1.FileServiceClient
	services registryv1.ServiceServiceClient
	bodies   registryv1.OrganizationServiceClient
}

func start(t testing.TB) *node {
	t.Helper()
	settings := federationtest.NodeSettings("marsala", filepath.Join(t.TempDir(), "marsala"))
	n := &node{Node: federationtest.StartNode(t, settings, registry.Options{}), t: t}
	n.connect()
	return n
}

func (n *node) connect() {
	conn := n.Conn(n.t)
	n.imports, n.files = exchangev1.NewImportServiceClient(conn), registryv1.NewFileServiceClient(conn)
	n.services, n.bodies = registryv1.NewServiceServiceClient(conn), registryv1.NewOrganizationServiceClient(conn)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// upload keeps a file and returns its name.
func (n *node) upload(data []byte) string {
	n.t.Helper()
	stream, err := n.files.UploadFile(n.t.Context())
	must(n.t, err)
	digest := sha256.Sum256(data)
	must(n.t, stream.Send(&registryv1.UploadFileRequest{Part: &registryv1.UploadFileRequest_Header_{Header: &registryv1.UploadFileRequest_Header{Parent: parent, Sha256: hex.EncodeToString(digest[:])}}}))
	for len(data) > 0 {
		size := min(len(data), 256<<10)
		must(n.t, stream.Send(&registryv1.UploadFileRequest{Part: &registryv1.UploadFileRequest_Data{Data: data[:size]}}))
		data = data[size:]
	}
	file, err := stream.CloseAndRecv()
	must(n.t, err)
	return file.GetName()
}

func (n *node) create(data []byte, edits ...func(*exchangev1.Import)) *exchangev1.Import {
	n.t.Helper()
	asked := &exchangev1.Import{File: n.upload(data), FileName: "elenco.csv", Source: "elenco", Collection: "services"}
	for _, edit := range edits {
		edit(asked)
	}
	made, err := n.imports.CreateImport(n.t.Context(), &exchangev1.CreateImportRequest{Parent: parent, Import: asked})
	must(n.t, err)
	return made
}

// run runs an import to its end.
func (n *node) run(name string, dry bool) *exchangev1.Import {
	n.t.Helper()
	_, err := n.imports.RunImport(n.t.Context(), &exchangev1.RunImportRequest{Name: name, DryRun: dry})
	must(n.t, err)
	return n.wait(name, func(i *exchangev1.Import) bool { return i.GetState() != exchangev1.Import_RUNNING })
}

func (n *node) wait(name string, until func(*exchangev1.Import) bool) *exchangev1.Import {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), time.Minute)
	defer cancel()
	for tick := time.NewTicker(5 * time.Millisecond); ; {
		now, err := n.imports.GetImport(ctx, &exchangev1.GetImportRequest{Name: name})
		must(n.t, err)
		if until(now) {
			return now
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			n.t.Fatalf("the import stands at %v", now)
		}
	}
}

// report reads the whole report, in small pages.
func (n *node) report(name string) (all []*exchangev1.ImportRow) {
	n.t.Helper()
	call := &exchangev1.ListImportRowsRequest{Name: name, PageSize: 7}
	for {
		page, err := n.imports.ListImportRows(n.t.Context(), call)
		must(n.t, err)
		all = append(all, page.GetRows()...)
		if call.PageToken = page.GetNextPageToken(); call.PageToken == "" {
			return all
		}
	}
}

// accounted fails unless the counts add up, to the last line.
func (n *node) accounted(i *exchangev1.Import) {
	n.t.Helper()
	c := i.GetCounts()
	if sum := c.GetCreated() + c.GetUpdated() + c.GetUnchanged() + c.GetQuarantined() + c.GetRepeated(); sum != c.GetRows() {
		n.t.Errorf("the counts make %d, there are %d rows: %v", sum, c.GetRows(), c)
	}
	if got := i.GetHeadingLine() + c.GetRows() + c.GetEmpty(); got != i.GetLinesTotal() {
		n.t.Errorf("%d lines are accounted for, there are %d: %v", got, i.GetLinesTotal(), c)
	}
	if rows := n.report(i.GetName()); int64(len(rows)) != c.GetRows() {
		n.t.Errorf("the report has %d rows of %d", len(rows), c.GetRows())
	}
}

// messy is a spreadsheet as an office has it: a title, headings over two lines,
// empty lines, rows that are there twice, telephones in one cell, dates and
// prices as Italians write them, in Windows-1252.
func messy(t testing.TB) []byte {
	t.Helper()
	text := strings.Join([]string{
		"ELENCO DEI SERVIZI SOCIALI;;;;;;;;;;",
		"",
		"Codice;Servizio;;Recapiti;;;Costo;Stato;Destinatari;Aggiornato al;Ente gestore",
		";Denominazione;Descrizione;Telefono;E-mail;Sito web;;;;;",
		`S1;TRASPORTO DELLE PERSONE CON DISABILITÀ;"Accompagnamento a scuola
e ai centri";0923 111111 - 320/1111111;Trasporto@Comune.example.it;www.comune.example.it/trasporto;"€ 1.234,50 al mese";attivo;disabili gravi, anziani;31/12/2025;Cooperativa Alfa`,
		"S2;Centro diurno;Attività;0923/222222;;;gratuito;sospeso;minori e famiglie;dicembre 2025;Cooperativa Beta",
		"",
		"S1;TRASPORTO DELLE PERSONE CON DISABILITÀ;\"Accompagnamento a scuola\ne ai centri\";0923 111111 - 320/1111111;Trasporto@Comune.example.it;www.comune.example.it/trasporto;\"€ 1.234,50 al mese\";attivo;disabili gravi, anziani;31/12/2025;Cooperativa Alfa",
		"S3;;senza titolo;0923 333333;;;;attivo;;;",
		"S4;Telesoccorso;;da chiedere;;;12,5;attivo;anziani;2025;",
		"S5;Segretariato sociale;;800123456;;;0;attivo;tutti;31/02/2025;",
		";;;;;;;;;;",
		"S6;Pronto intervento;;0923 444444;;;;attivo;tutti;1/2/2026;",
	}, "\r\n") + "\r\n"
	data, err := charmap.Windows1252.NewEncoder().Bytes([]byte(text))
	must(t, err)
	return data
}

func TestAMessySpreadsheetBecomesRecords(t *testing.T) {
	n := start(t)
	_, err := n.bodies.CreateOrganization(t.Context(), &registryv1.CreateOrganizationRequest{Parent: parent, OrganizationId: "alfa", Organization: &registryv1.Organization{
		Title: &registryv1.LocalizedText{It: "Cooperativa Alfa"}, Kind: registryv1.Organization_SOCIAL_COOPERATIVE,
	}})
	must(t, err)
	made := n.create(messy(t), func(i *exchangev1.Import) { i.Visibility = registryv1.Visibility_PUBLIC })
	if made.GetEncoding() != "windows-1252" || made.GetFormat() != exchangev1.Import_CSV {
		t.Errorf("it is %s, %s", made.GetFormat(), made.GetEncoding())
	}
	want := map[string]string{
		"Codice": "external_id", "Servizio Denominazione": "title", "Servizio Descrizione": "description", "Recapiti Telefono": "contacts.phone", "Recapiti E-mail": "contacts.email",
		"Recapiti Sito web": "contacts.web", "Costo": "costs", "Stato": "status", "Destinatari": "target_groups", "Aggiornato al": "provenance.as_of", "Ente gestore": "organization",
	}
	for _, column := range made.GetColumns() {
		if want[column.GetHeading()] != column.GetTarget() {
			t.Errorf("%q is guessed to be %q", column.GetHeading(), column.GetTarget())
		}
	}
	if made.GetHeadingLine() != 4 || len(made.GetColumns()) != len(want) {
		t.Errorf("heading in line %d, %d columns", made.GetHeadingLine(), len(made.GetColumns()))
	}
	if t.Failed() {
		return
	}

	checked := n.run(made.GetName(), true)
	if checked.GetState() != exchangev1.Import_CHECKED || checked.GetCounts().GetCreated() != 3 {
		t.Errorf("the dry run says %v, %v", checked.GetState(), checked.GetCounts())
	}
	if list, err := n.services.ListServices(t.Context(), &registryv1.ListServicesRequest{Parent: parent}); err != nil || len(list.GetServices()) > 0 {
		t.Errorf("a dry run wrote %v, %v", list, err)
	}

	done := n.run(made.GetName(), false)
	c := done.GetCounts()
	if done.GetState() != exchangev1.Import_DONE || c.GetCreated() != 3 || c.GetQuarantined() != 3 || c.GetRepeated() != 1 {
		t.Errorf("it says %v, %v, %q", done.GetState(), c, done.GetError())
	}
	rows := n.report(made.GetName())
	if got := len(rows); got != 7 {
		t.Fatalf("the report has %d rows", got)
	}
	trasporto, err := n.services.GetService(t.Context(), &registryv1.GetServiceRequest{Name: rows[0].GetRecord()})
	must(t, err)
	if trasporto.GetTitle().GetIt() != "Trasporto delle Persone con Disabilità" {
		t.Errorf("the title is %q", trasporto.GetTitle().GetIt())
	}
	var contacts []string
	for _, contact := range trasporto.GetContacts() {
		contacts = append(contacts, contact.GetKind().String()+" "+contact.GetValue())
	}
	if got := strings.Join(contacts, ", "); got != "PHONE +390923111111, MOBILE +393201111111, EMAIL trasporto@comune.example.it, WEB https://www.comune.example.it/trasporto" {
		t.Errorf("the contacts are %s", got)
	}
	if trasporto.GetCosts()[0].GetAmountCents() != 123450 || trasporto.GetCosts()[0].GetUnit() != "mese" || trasporto.GetResponsibleOrganization() != parent+"/organizations/alfa" {
		t.Errorf("cost %v, by %q", trasporto.GetCosts(), trasporto.GetResponsibleOrganization())
	}
	if at := trasporto.GetProvenance(); at.GetSourceKind() != registryv1.Provenance_IMPORT || at.GetAsOf().GetDay() != 31 || at.GetAsOf().GetMonth() != 12 {
		t.Errorf("from %v", at)
	}
	for _, row := range rows[3:6] {
		if row.GetOutcome() != exchangev1.ImportRow_QUARANTINED || len(row.GetRemarks()) == 0 {
			t.Errorf("line %d: %v", row.GetLine(), row)
		}
	}

	// Once more: nothing is written.
	before := n.Node.Node.Store().Head().Revision
	again := n.run(n.create(messy(t), func(i *exchangev1.Import) { i.Visibility = registryv1.Visibility_PUBLIC }).GetName(), false)
	if c := again.GetCounts(); c.GetUnchanged() != 3 || c.GetCreated()+c.GetUpdated() != 0 || n.Node.Node.Store().Head().Revision != before {
		t.Errorf("the second time: %v, %d revisions", c, n.Node.Node.Store().Head().Revision-before)
	}
	// All or nothing.
	none := n.run(n.create(bytes.ReplaceAll(messy(t), []byte("S6;"), []byte("S7;")), func(i *exchangev1.Import) { i.AllOrNothing = true }).GetName(), false)
	if none.GetState() != exchangev1.Import_CHECKED || none.GetError() == "" || n.Node.Node.Store().Head().Revision != before {
		t.Errorf("all or nothing: %v, %q", none.GetState(), none.GetError())
	}
	// What is not in the file any more is told, and stays.
	fewer := n.run(n.create([]byte("Codice;Servizio;Stato\nS1;Trasporto;attivo\n")).GetName(), false)
	if fewer.GetCounts().GetVanished() != 2 || len(fewer.GetVanishedRecords()) != 2 {
		t.Errorf("vanished: %v", fewer.GetVanishedRecords())
	}
	if list, err := n.services.ListServices(t.Context(), &registryv1.ListServicesRequest{Parent: parent}); err != nil || len(list.GetServices()) != 3 {
		t.Errorf("there are %d services, %v", len(list.GetServices()), err)
	}
}

func TestEveryLineIsAccountedFor(t *testing.T) {
	n := start(t)
	var text strings.Builder
	text.WriteString("Codice;Servizio;Telefono\n")
	for i := range 1200 {
		switch {
		case i%7 == 3:
			text.WriteString("\n")
		case i%11 == 5:
			fmt.Fprintf(&text, "C%d;;1\n", i)
		case i%13 == 6:
			text.WriteString("C0;Servizio 0;0923 000000\n")
		default:
			fmt.Fprintf(&text, "C%d;Servizio %d;0923 %06d\n", i, i, i)
		}
	}
	for _, dry := range []bool{true, false, false} {
		done := n.run(n.create([]byte(text.String())).GetName(), dry)
		n.accounted(done)
	}
}

func TestTheMappingIsRemembered(t *testing.T) {
	n := start(t)
	data := []byte("Uno;Due;Tre\nA1;Ascolto;sospeso\n")
	made := n.create(data)
	made.Columns[0].Target, made.Columns[1].Target, made.Columns[2].Target = "external_id", "title", "status"
	_, err := n.imports.UpdateImport(t.Context(), &exchangev1.UpdateImportRequest{Import: made})
	must(t, err)
	next := n.create([]byte("Uno;Due;Tre\nA2;Consulenza;sospeso\n"))
	for i, want := range []string{"external_id", "title", "status"} {
		if column := next.GetColumns()[i]; column.GetTarget() != want || column.GetConfidence() != 100 {
			t.Errorf("column %d: %v", i, column)
		}
	}
	made.Etag = `"old"`
	if _, err := n.imports.UpdateImport(t.Context(), &exchangev1.UpdateImportRequest{Import: made}); err == nil {
		t.Error("an old state was changed")
	}
	_, err = n.imports.DeleteImport(t.Context(), &exchangev1.DeleteImportRequest{Name: made.GetName()})
	must(t, err)
	list, err := n.imports.ListImports(t.Context(), &exchangev1.ListImportsRequest{Parent: parent})
	must(t, err)
	if len(list.GetImports()) != 1 || list.GetImports()[0].GetName() != next.GetName() {
		t.Errorf("the list has %v", list.GetImports())
	}
}
