package seed_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/fstest"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"cidsistem.example/deploy/seed"
	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/federationtest"
	"cidsistem.example/services/registry"
	"cidsistem.example/services/ufficiocomune"
)

func node(t *testing.T, comune string) *federationtest.Node {
	t.Helper()
	return federationtest.StartNode(t, federationtest.NodeSettings(comune, t.TempDir()), registry.Options{NoSync: true, Logger: federationtest.Quiet()})
}

func sampleOf(t *testing.T, slug string) seed.Comune {
	t.Helper()
	for _, comune := range sample(t) {
		if comune.Slug == slug {
			return comune
		}
	}
	t.Fatalf("no sample data of %s", slug)
	return seed.Comune{}
}

func TestImportIsCompleteAndMayBeRepeated(t *testing.T) {
	for _, comune := range sample(t) {
		t.Run(comune.Slug, func(t *testing.T) {
			conn := node(t, comune.Slug).Conn(t)
			if empty, err := seed.Empty(t.Context(), conn, comune.Slug); err != nil || !empty {
				t.Fatalf("a new node is empty: %v, %v", empty, err)
			}
			var progress bytes.Buffer
			report, err := seed.Import(t.Context(), conn, comune, &progress)
			if err != nil {
				t.Fatal(err)
			}
			want := seed.Report{Created: len(comune.Records) - 1, Changed: 1, FilesSent: len(comune.Files)} // the node made the comune's own record
			if report != want {
				t.Errorf("first run: %v, want %v", report, want)
			}
			if lines := strings.Count(progress.String(), "\n"); lines != len(comune.Records)+len(comune.Files) {
				t.Errorf("%d lines of progress, want one for each record and file", lines)
			}
			for _, record := range comune.Records {
				stored := read(t, conn, catalog.RecordOf(record.Message))
				if !proto.Equal(stored, record.Message) {
					t.Errorf("stored is\n%v\nwant\n%v", stored, record.Message)
				}
			}
			if empty, err := seed.Empty(t.Context(), conn, comune.Slug); err != nil || empty {
				t.Errorf("after the import it is empty: %v, %v", empty, err)
			}

			report, err = seed.Import(t.Context(), conn, comune, io.Discard)
			if want := (seed.Report{Unchanged: len(comune.Records)}); err != nil || report != want {
				t.Errorf("second run: %v, %v, want %v", report, err, want)
			}
		})
	}
}

// read returns a stored record as it would be in the data: without what only
// the server writes.
func read(t *testing.T, conn grpc.ClientConnInterface, r catalog.Record) proto.Message {
	t.Helper()
	method, _ := r.Kind().Method(catalog.Get)
	request := method.NewRequest()
	request.ProtoReflect().Set(request.ProtoReflect().Descriptor().Fields().ByName("name"), protoreflect.ValueOfString(r.Name()))
	stored := method.NewResponse()
	if err := conn.Invoke(t.Context(), method.Full, request, stored); err != nil {
		t.Fatalf("reading %s: %v", r.Name(), err)
	}
	for _, name := range []string{"create_time", "update_time", "revision", "etag"} {
		m := stored.ProtoReflect()
		m.Clear(m.Descriptor().Fields().ByTextName(name))
	}
	return stored
}

func TestImportThroughTheOfficeReachesTheNode(t *testing.T) {
	pantelleria := node(t, "pantelleria")
	office := federationtest.StartOffice(t, "cid-trapani", ufficiocomune.Options{}, pantelleria.Member())
	comune := sampleOf(t, "pantelleria")
	for run, want := range []seed.Report{
		{Created: len(comune.Records) - 1, Changed: 1, FilesSent: 1},
		{Unchanged: len(comune.Records)},
	} {
		report, err := seed.Import(t.Context(), office.Conn(t), comune, io.Discard)
		if err != nil || report != want {
			t.Fatalf("run %d: %v, %v, want %v", run+1, report, err, want)
		}
	}
	read(t, pantelleria.Conn(t), catalog.RecordOf(comune.Records[len(comune.Records)-1].Message))
}

// Two records that name each other cannot both come last; neither may lose its
// half when the import is repeated.
func TestImportOfRecordsThatNameEachOther(t *testing.T) {
	comuni, err := seed.Load(files(head + `
services:
  - {id: uno, title: Uno, status: {state: ACTIVE}, relatedServices: [services/due, services/tre], provenance: gazzetta}
  - {id: due, title: Due, status: {state: ACTIVE}, relatedServices: [services/uno], provenance: gazzetta}
  - {id: tre, title: Tre, status: {state: ACTIVE}, relatedServices: [services/tre], provenance: gazzetta}
`))
	if err != nil {
		t.Fatal(err)
	}
	n := node(t, "marsala")
	conn := n.Conn(t)
	if _, err := seed.Import(t.Context(), conn, comuni[0], io.Discard); err != nil {
		t.Fatal(err)
	}
	services := registryv1.NewServiceServiceClient(conn)
	before, err := services.ListServices(t.Context(), &registryv1.ListServicesRequest{Parent: "comuni/marsala"})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range before.GetServices() {
		if len(s.GetRelatedServices()) == 0 {
			t.Errorf("%s names no other service", s.GetName())
		}
	}
	report, err := seed.Import(t.Context(), conn, comuni[0], io.Discard)
	if err != nil || report.Changed != 0 || report.Created != 0 {
		t.Errorf("second run: %v, %v", report, err)
	}
	after, err := services.ListServices(t.Context(), &registryv1.ListServicesRequest{Parent: "comuni/marsala"})
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range after.GetServices() {
		if s.GetRevision() != before.GetServices()[i].GetRevision() {
			t.Errorf("%s was written again", s.GetName())
		}
	}
}

func TestImportLeavesAloneWhatTheComuneMadeItsOwn(t *testing.T) {
	comune := sampleOf(t, "pantelleria")
	conn := node(t, "pantelleria").Conn(t)
	if _, err := seed.Import(t.Context(), conn, comune, io.Discard); err != nil {
		t.Fatal(err)
	}
	services := registryv1.NewServiceServiceClient(conn)
	change := func(id string, f func(*registryv1.Service)) *registryv1.Service {
		t.Helper()
		service, err := services.GetService(t.Context(), &registryv1.GetServiceRequest{Name: "comuni/pantelleria/services/" + id})
		if err != nil {
			t.Fatal(err)
		}
		f(service)
		service, err = services.UpdateService(t.Context(), &registryv1.UpdateServiceRequest{Service: service, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"*"}}})
		if err != nil {
			t.Fatal(err)
		}
		return service
	}
	own := change("serd", func(s *registryv1.Service) {
		s.Title.It = "SerD riaperto"
		s.Provenance = &registryv1.Provenance{SourceKind: registryv1.Provenance_OWN, SourceLabel: "Comune"}
	})
	change("campo-estivo", func(s *registryv1.Service) { s.Title.It = "Campo" })

	report, err := seed.Import(t.Context(), conn, comune, io.Discard)
	if want := (seed.Report{Unchanged: len(comune.Records) - 2, Changed: 1, Kept: 1}); err != nil || report != want {
		t.Errorf("%v, %v, want %v", report, err, want)
	}
	kept, err := services.GetService(t.Context(), &registryv1.GetServiceRequest{Name: own.GetName()})
	if err != nil || !proto.Equal(kept, own) {
		t.Errorf("%s is %v, %v; want it as the comune left it", own.GetName(), kept, err)
	}
}

func TestImportSaysThatARecordIsDeleted(t *testing.T) {
	comune := sampleOf(t, "pantelleria")
	conn := node(t, "pantelleria").Conn(t)
	if _, err := seed.Import(t.Context(), conn, comune, io.Discard); err != nil {
		t.Fatal(err)
	}
	const name = "comuni/pantelleria/events/marcia-blu-2025"
	if _, err := registryv1.NewEventServiceClient(conn).DeleteEvent(t.Context(), &registryv1.DeleteEventRequest{Name: name}); err != nil {
		t.Fatal(err)
	}
	if _, err := seed.Import(t.Context(), conn, comune, io.Discard); err == nil || !strings.Contains(err.Error(), name+" is deleted") {
		t.Errorf("error is %v", err)
	}
}

func TestANodeWithDeletedServicesIsNotEmpty(t *testing.T) {
	conn := node(t, "marsala").Conn(t)
	services := registryv1.NewServiceServiceClient(conn)
	service, err := services.CreateService(t.Context(), &registryv1.CreateServiceRequest{
		Parent: "comuni/marsala", ServiceId: "uno",
		Service: &registryv1.Service{Title: &registryv1.LocalizedText{It: "Uno"}, Status: &registryv1.Status{State: registryv1.Status_ACTIVE}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := services.DeleteService(t.Context(), &registryv1.DeleteServiceRequest{Name: service.GetName()}); err != nil {
		t.Fatal(err)
	}
	if empty, err := seed.Empty(t.Context(), conn, "marsala"); err != nil || empty {
		t.Errorf("empty is %v, %v", empty, err)
	}
}

func TestImportWritesWhatContainsBeforeWhatIsContained(t *testing.T) {
	comuni, err := seed.Load(files(head + `
actions:
  - {id: azione, plan: piano, title: Azione, state: PLANNED, provenance: gazzetta}
plans:
  - {id: piano, title: Piano, state: DRAFT, firstYear: 2020, lastYear: 2021, provenance: gazzetta}
`))
	if err != nil {
		t.Fatal(err)
	}
	var progress bytes.Buffer
	if _, err := seed.Import(t.Context(), node(t, "marsala").Conn(t), comuni[0], &progress); err != nil {
		t.Fatal(err)
	}
	plan, action := strings.Index(progress.String(), "plans/piano\n"), strings.Index(progress.String(), "actions/azione\n")
	if plan < 0 || action < plan {
		t.Errorf("the order is\n%s", &progress)
	}
}

// An import that a broken line ends is finished by another one.
func TestInterruptedImportGoesOn(t *testing.T) {
	comune := sampleOf(t, "pantelleria")
	conn := node(t, "pantelleria").Conn(t)
	broken := &breaking{ClientConnInterface: conn, calls: 61}
	first, err := seed.Import(t.Context(), broken, comune, io.Discard)
	if status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "comuni/pantelleria/") {
		t.Fatalf("error is %v; want one that names the record and the cause", err)
	}
	second, err := seed.Import(t.Context(), conn, comune, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if first.Created == 0 || first.Created+second.Created != len(comune.Records)-1 || second.FilesSent != 0 {
		t.Errorf("first %v, then %v, of %d records", first, second, len(comune.Records))
	}
}

// breaking is a line that breaks after some calls.
type breaking struct {
	grpc.ClientConnInterface
	calls int
}

func (b *breaking) Invoke(ctx context.Context, method string, request, response any, options ...grpc.CallOption) error {
	if b.calls--; b.calls < 0 {
		return status.Error(codes.Unavailable, "the line broke")
	}
	return b.ClientConnInterface.Invoke(ctx, method, request, response, options...)
}

func TestImportIntoTheWrongNodeIsRefused(t *testing.T) {
	conn := node(t, "marsala").Conn(t)
	report, err := seed.Import(t.Context(), conn, sampleOf(t, "pantelleria"), io.Discard)
	if err == nil || report != (seed.Report{}) {
		t.Errorf("%v, %v; want an error and nothing written", report, err)
	}
}

func TestImportEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := seed.Import(ctx, node(t, "pantelleria").Conn(t), sampleOf(t, "pantelleria"), io.Discard)
	if status.Code(err) != codes.Canceled && !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
}

// A file that is larger than one piece arrives whole.
func TestImportSendsLargeFilesInPieces(t *testing.T) {
	data := files(head + `
documents:
  - {id: grande, title: Grande, kind: SERVICE_CHARTER, files: [{fileName: grande.bin, mediaType: application/octet-stream}], provenance: gazzetta}
`)
	data["files/grande.bin"] = &fstest.MapFile{Data: bytes.Repeat([]byte("0123456789abcdef"), 50_000)}
	comuni, err := seed.Load(data)
	if err != nil {
		t.Fatal(err)
	}
	conn := node(t, "marsala").Conn(t)
	if _, err := seed.Import(t.Context(), conn, comuni[0], io.Discard); err != nil {
		t.Fatal(err)
	}
	stream, err := registryv1.NewFileServiceClient(conn).DownloadFile(t.Context(), &registryv1.DownloadFileRequest{
		Name: "comuni/marsala/files/" + comuni[0].Files[0].SHA256,
	})
	if err != nil {
		t.Fatal(err)
	}
	var got []byte
	for {
		piece, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, piece.GetData()...)
	}
	if !bytes.Equal(got, comuni[0].Files[0].Data) {
		t.Errorf("%d bytes came back, %d were sent", len(got), len(comuni[0].Files[0].Data))
	}
}
