package exporting_test

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	"cidsistem.example/proto/gen/exchangev1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/federationtest"
	"cidsistem.example/services/registry"
)

const parent = "comuni/marsala"

type node struct {
	*federationtest.Node
	t testing.TB
}

func start(t testing.TB) *node {
	t.Helper()
	settings := federationtest.NodeSettings("marsala", filepath.Join(t.TempDir(), "marsala"))
	return &node{Node: federationtest.StartNode(t, settings, registry.Options{}), t: t}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (n *node) export(format exchangev1.ExportFormat, collections ...string) []byte {
	n.t.Helper()
	stream, err := exchangev1.NewExportServiceClient(n.Conn(n.t)).ExportRecords(n.t.Context(), &exchangev1.ExportRecordsRequest{Parent: parent, Format: format, Collections: collections})
	must(n.t, err)
	var all bytes.Buffer
	for {
		piece, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return all.Bytes()
		}
		must(n.t, err)
		all.Write(piece.GetData())
	}
}

func (n *node) upload(data []byte) string {
	n.t.Helper()
	stream, err := registryv1.NewFileServiceClient(n.Conn(n.t)).UploadFile(n.t.Context())
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

// take imports a file whole, as everybody may see it.
func (n *node) take(data []byte) *exchangev1.Import {
	n.t.Helper()
	imports := exchangev1.NewImportServiceClient(n.Conn(n.t))
	made, err := imports.CreateImport(n.t.Context(), &exchangev1.CreateImportRequest{Parent: parent, Import: &exchangev1.Import{
		File: n.upload(data), Source: "altro-nodo", Visibility: registryv1.Visibility_PUBLIC,
	}})
	must(n.t, err)
	_, err = imports.RunImport(n.t.Context(), &exchangev1.RunImportRequest{Name: made.GetName()})
	must(n.t, err)
	ctx, cancel := context.WithTimeout(n.t.Context(), time.Minute)
	defer cancel()
	for tick := time.NewTicker(5 * time.Millisecond); ; {
		now, err := imports.GetImport(ctx, &exchangev1.GetImportRequest{Name: made.GetName()})
		must(n.t, err)
		if now.GetState() != exchangev1.Import_RUNNING {
			if now.GetState() != exchangev1.Import_DONE || now.GetCounts().GetQuarantined() > 0 {
				rows, err := imports.ListImportRows(ctx, &exchangev1.ListImportRowsRequest{Name: made.GetName(), Outcome: exchangev1.ImportRow_QUARANTINED})
				n.t.Fatalf("it says %s, %q, %v: %v, %v", now.GetState(), now.GetError(), now.GetCounts(), rows, err)
			}
			return now
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			n.t.Fatal("the import takes too long")
		}
	}
}

func italian(text string) *registryv1.LocalizedText { return &registryv1.LocalizedText{It: text} }

// fill writes records that refer to each other in a ring, to hidden ones, and a
// document with its file.
func (n *node) fill() {
	n.t.Helper()
	ctx, conn := n.t.Context(), n.Conn(n.t)
	bodies, places := registryv1.NewOrganizationServiceClient(conn), registryv1.NewLocationServiceClient(conn)
	services, documents := registryv1.NewServiceServiceClient(conn), registryv1.NewDocumentServiceClient(conn)
	body := &registryv1.Organization{
		Title: italian("Cooperativa Alfa"), Kind: registryv1.Organization_SOCIAL_COOPERATIVE, Identifiers: []*registryv1.Identifier{{Scheme: "runts", Value: "12345"}},
		Contacts: []*registryv1.ContactPoint{{Kind: registryv1.ContactPoint_PHONE, Value: "+390923111111"}, {Kind: registryv1.ContactPoint_EMAIL, Value: "alfa@example.it", Visibility: registryv1.Visibility_LOCAL}},
	}
	alfa, err := bodies.CreateOrganization(ctx, &registryv1.CreateOrganizationRequest{Parent: parent, OrganizationId: "alfa", Organization: body})
	must(n.t, err)
	hidden, err := bodies.CreateOrganization(ctx, &registryv1.CreateOrganizationRequest{Parent: parent, OrganizationId: "hidden", Organization: &registryv1.Organization{
		Title: italian("Ente nascosto"), Kind: registryv1.Organization_ASSOCIATION, Visibility: registryv1.Visibility_LOCAL,
	}})
	must(n.t, err)
	week := &registryv1.Schedule{Weekly: []*registryv1.WeeklyHours{{Days: []registryv1.Weekday{registryv1.Weekday_MONDAY, registryv1.Weekday_FRIDAY}, Hours: []*registryv1.TimeRange{{Opens: "09:00", Closes: "13:00"}}}}}
	seat, err := places.CreateLocation(ctx, &registryv1.CreateLocationRequest{Parent: parent, LocationId: "sede", Location: &registryv1.Location{
		Title: italian("Sede"), Organization: alfa.GetName(), Opening: week, Address: &registryv1.Address{Street: "Via Roma 1", PostalCode: "91025", Municipality: "Marsala", IstatCode: "081011"},
	}})
	must(n.t, err)
	alfa.Locations = []string{seat.GetName()}
	_, err = bodies.UpdateOrganization(ctx, &registryv1.UpdateOrganizationRequest{Organization: alfa})
	must(n.t, err)
	text := []byte("# Regolamento\n\nTesto.\n")
	digest := sha256.Sum256(text)
	n.upload(text)
	document := &registryv1.Document{Title: italian("Regolamento"), Files: []*registryv1.FileReference{{Sha256: hex.EncodeToString(digest[:]), SizeBytes: int64(len(text)), MediaType: "text/plain", FileName: "regolamento.txt"}}, Kind: registryv1.Document_Kind(1)}
	_, err = documents.CreateDocument(ctx, &registryv1.CreateDocumentRequest{Parent: parent, DocumentId: "regolamento", Document: document})
	must(n.t, err)
	for i := range 20 {
		s := &registryv1.Service{
			Title: italian(fmt.Sprintf("Servizio %d", i)), Summary: italian("=1+1"), Status: &registryv1.Status{State: registryv1.Status_State(1 + i%8)},
			Places: []*registryv1.ServicePlace{{Location: seat.GetName(), Hours: week}}, Documents: []string{parent + "/documents/regolamento"}, Languages: []string{"it", "ar"},
			Costs: []*registryv1.CostOption{{Kind: registryv1.CostOption_FIXED, AmountCents: 1250, Unit: "mese"}}, Categories: []*registryv1.CodedValue{{Scheme: "istat-spesa-sociale", Code: "HOMECARE"}},
			TargetGroups: []registryv1.TargetGroup{registryv1.TargetGroup_ELDERLY},
		}
		switch {
		case i%5 == 4:
			s.ResponsibleOrganization = hidden.GetName()
		case i%5 != 3:
			s.ResponsibleOrganization = alfa.GetName()
		}
		if i > 0 {
			s.RelatedServices = []string{fmt.Sprintf("%s/services/s%02d", parent, i-1)}
		}
		_, err := services.CreateService(ctx, &registryv1.CreateServiceRequest{Parent: parent, ServiceId: fmt.Sprintf("s%02d", i), Service: s})
		must(n.t, err)
	}
}

func TestWhatIsExportedComesBackTheSame(t *testing.T) {
	from := start(t)
	from.fill()
	for _, format := range []exchangev1.ExportFormat{exchangev1.ExportFormat_PACKAGE, exchangev1.ExportFormat_JSON_LINES} {
		t.Run(format.String(), func(t *testing.T) {
			first := from.export(format)
			if !bytes.Equal(first, from.export(format)) {
				t.Error("two exports of the same records differ")
			}
			to := start(t)
			to.t = t
			if format == exchangev1.ExportFormat_JSON_LINES {
				to.upload([]byte("# Regolamento\n\nTesto.\n"))
			}
			to.take(first)
			if second := to.export(format); !bytes.Equal(first, second) {
				t.Errorf("it came back as\n%s\nof\n%s", lines(second), lines(first))
			}
			before := to.Node.Node.Store().Head().Revision
			again := to.take(first)
			if again.GetCounts().GetUnchanged() != again.GetCounts().GetRows() || to.Node.Node.Store().Head().Revision != before {
				t.Errorf("the second time wrote: %v", again.GetCounts())
			}
		})
	}
	text := string(from.export(exchangev1.ExportFormat_JSON_LINES))
	for _, secret := range []string{"hidden", "Ente nascosto", "alfa@example.it", "etag", "revision", "createTime"} {
		if strings.Contains(text, secret) {
			t.Errorf("the export tells %q", secret)
		}
	}
	for line := range strings.Lines(text) {
		if strings.Contains(line, "/services/") {
			if err := protojson.Unmarshal([]byte(line), &registryv1.Service{}); err != nil {
				t.Error(err)
			}
			break
		}
	}
}

func lines(data []byte) string {
	if packed, err := zip.NewReader(bytes.NewReader(data), int64(len(data))); err == nil {
		var all strings.Builder
		for _, entry := range packed.File {
			fmt.Fprintf(&all, "%s %d %08x\n", entry.Name, entry.UncompressedSize64, entry.CRC32)
		}
		return all.String()
	}
	return string(data)
}

func TestTablesOpenInSpreadsheets(t *testing.T) {
	n := start(t)
	n.fill()
	text := string(n.export(exchangev1.ExportFormat_CSV, "services"))
	rest, marked := strings.CutPrefix(text, "\ufeff")
	reader := csv.NewReader(strings.NewReader(rest))
	reader.Comma = ';'
	rows, err := reader.ReadAll()
	must(t, err)
	if !marked || len(rows) != 21 || rows[0][0] != "name" || rows[1][1] != "Servizio 0" || rows[1][2] != "'=1+1" {
		t.Errorf("it has %d rows: %v", len(rows), rows[:2])
	}
	book := n.export(exchangev1.ExportFormat_XLSX)
	if !bytes.Equal(book, n.export(exchangev1.ExportFormat_XLSX)) {
		t.Error("two workbooks of the same records differ")
	}
	if got := string(n.export(exchangev1.ExportFormat_ISTAT)); !strings.Contains(got, "marsala;ELD;anziani;HOMECARE;;20") {
		t.Errorf("ISTAT: %s", got)
	}
	if got := string(n.export(exchangev1.ExportFormat_SIOSS)); !strings.Contains(got, "equivalenti_a_tempo_pieno") {
		t.Errorf("SIOSS: %s", got)
	}
	_, err = exchangev1.NewExportServiceClient(n.Conn(t)).ExportRecords(t.Context(), &exchangev1.ExportRecordsRequest{Parent: parent, Format: exchangev1.ExportFormat_CSV})
	must(t, err)
}

var uuidForm = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// tabular reads a package: rows by file.
func tabular(t testing.TB, data []byte) map[string][]map[string]string {
	t.Helper()
	packed, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	must(t, err)
	found := map[string][]map[string]string{}
	for _, entry := range packed.File {
		from, err := entry.Open()
		must(t, err)
		if !strings.HasSuffix(entry.Name, ".csv") {
			continue
		}
		rows, err := csv.NewReader(from).ReadAll()
		must(t, err)
		name := strings.TrimSuffix(entry.Name, ".csv")
		found[name] = nil
		for _, row := range rows[1:] {
			record := map[string]string{}
			for i, value := range row {
				record[rows[0][i]] = value
			}
			found[name] = append(found[name], record)
		}
	}
	return found
}

func TestHSDSHasNoOrphans(t *testing.T) {
	n := start(t)
	n.fill()
	data := n.export(exchangev1.ExportFormat_HSDS_TABULAR)
	tables := tabular(t, data)
	ids := map[string]bool{}
	for name, rows := range tables {
		for _, row := range rows {
			if !uuidForm.MatchString(row["id"]) || ids[row["id"]] {
				t.Errorf("%s: id %q is no UUID, or is there twice", name, row["id"])
			}
			ids[row["id"]] = true
		}
	}
	required := map[string][]string{
		"services": {"name", "status", "organization_id"}, "organizations": {"name", "description"}, "locations": {"location_type"}, "phones": {"number"},
		"addresses": {"address_1", "city", "state_province", "postal_code", "country", "address_type"}, "service_at_location": {"service_id", "location_id"},
		"cost_options": {"service_id"}, "organization_identifiers": {"organization_id", "identifier_type", "identifier"},
	}
	for name, rows := range tables {
		for _, row := range rows {
			for _, field := range required[name] {
				if row[field] == "" {
					t.Errorf("%s: %s is missing: %v", name, field, row)
				}
			}
			for field, value := range row {
				if strings.HasSuffix(field, "_id") && value != "" && !ids[value] {
					t.Errorf("%s: %s leads nowhere", name, field)
				}
			}
			if status := row["status"]; name == "services" && !slices.Contains([]string{"active", "inactive", "defunct", "temporarily closed"}, status) {
				t.Errorf("status %q", status)
			}
		}
	}
	if len(tables["services"]) != 20 || len(tables["service_at_location"]) != 20 || len(tables["addresses"]) != 1 {
		t.Errorf("%d services, %d places, %d addresses", len(tables["services"]), len(tables["service_at_location"]), len(tables["addresses"]))
	}
	var page struct {
		Contents []map[string]any `json:"contents"`
	}
	must(t, json.Unmarshal(n.export(exchangev1.ExportFormat_HSDS_JSON), &page))
	if len(page.Contents) != 20 || page.Contents[0]["organization"] == nil {
		t.Errorf("%d services: %v", len(page.Contents), page.Contents[0])
	}
}

func TestHSDSIsTakenOver(t *testing.T) {
	from := start(t)
	from.fill()
	for _, format := range []exchangev1.ExportFormat{exchangev1.ExportFormat_HSDS_JSON, exchangev1.ExportFormat_HSDS_TABULAR} {
		t.Run(format.String(), func(t *testing.T) {
			to := start(t)
			to.t = t
			data := from.export(format)
			imports := exchangev1.NewImportServiceClient(to.Conn(t))
			made, err := imports.CreateImport(t.Context(), &exchangev1.CreateImportRequest{Parent: parent, Import: &exchangev1.Import{File: to.upload(data), Source: "hsds", Visibility: registryv1.Visibility_PUBLIC}})
			must(t, err)
			_, err = imports.RunImport(t.Context(), &exchangev1.RunImportRequest{Name: made.GetName()})
			must(t, err)
			federationtest.Eventually(t, "the import ends", func() <-chan struct{} { return after(5 * time.Millisecond) }, func() bool {
				made, err = imports.GetImport(t.Context(), &exchangev1.GetImportRequest{Name: made.GetName()})
				must(t, err)
				return made.GetState() != exchangev1.Import_RUNNING
			})
			// The body that stands for the comune says of itself no kind that is known.
			if c := made.GetCounts(); c.GetCreated() < 22 {
				t.Errorf("it says %v, %v, %q", made.GetState(), c, made.GetError())
			}
			list, err := registryv1.NewServiceServiceClient(to.Conn(t)).ListServices(t.Context(), &registryv1.ListServicesRequest{Parent: parent, PageSize: 50})
			must(t, err)
			linked := 0
			for _, s := range list.GetServices() {
				if s.GetResponsibleOrganization() != "" && len(s.GetPlaces()) == 1 {
					linked++
				}
			}
			if len(list.GetServices()) != 20 || linked < 12 {
				t.Errorf("%d services, %d with their references", len(list.GetServices()), linked)
			}
		})
	}
}

func after(d time.Duration) <-chan struct{} {
	bell := make(chan struct{})
	time.AfterFunc(d, func() { close(bell) })
	return bell
}
