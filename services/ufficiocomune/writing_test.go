package ufficiocomune_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/federationtest"
	"cidsistem.example/services/registry"
	"cidsistem.example/services/ufficiocomune"
)

func TestWritesGoToTheOwner(t *testing.T) {
	f := start(t)
	made := create(t, f.conn, mazara, "trasporto")
	own := registryv1.NewServiceServiceClient(f.nodes[mazara].Conn(t))
	atNode, err := own.GetService(t.Context(), &registryv1.GetServiceRequest{Name: made.GetName()})
	must(t, err)
	same(t, atNode, made)

	made.Summary = italian("In città")
	updated, err := f.services.UpdateService(t.Context(), &registryv1.UpdateServiceRequest{Service: made})
	must(t, err)
	read, err := f.services.GetService(t.Context(), &registryv1.GetServiceRequest{Name: made.GetName()})
	must(t, err)
	same(t, read, updated)
	deleted, err := f.services.DeleteService(t.Context(), &registryv1.DeleteServiceRequest{Name: made.GetName(), Etag: updated.GetEtag()})
	must(t, err)
	list, err := f.services.ListServices(t.Context(), &registryv1.ListServicesRequest{Parent: "comuni/-"})
	must(t, err)
	if len(list.GetServices()) != 0 || deleted.GetDeleteTime() == nil {
		t.Errorf("after the deletion the office lists %v", list.GetServices())
	}
	back, err := f.services.UndeleteService(t.Context(), &registryv1.UndeleteServiceRequest{Name: made.GetName()})
	must(t, err)
	read, err = f.services.GetService(t.Context(), &registryv1.GetServiceRequest{Name: made.GetName()})
	must(t, err)
	same(t, read, back)

	// A check passes through, too, and changes nothing.
	checked, err := f.services.CreateService(t.Context(), &registryv1.CreateServiceRequest{Parent: "comuni/marsala", ServiceId: "new", Service: service(), ValidateOnly: true})
	must(t, err)
	_, err = f.services.GetService(t.Context(), &registryv1.GetServiceRequest{Name: checked.GetName()})
	refused(t, err, registryv1.ErrorReason_RESOURCE_NOT_FOUND)
}

// What the owner says to a write reaches the caller as it is.
func TestRefusalsOfTheOwner(t *testing.T) {
	f := start(t)
	made := create(t, f.conn, marsala, "trasporto")
	stale := proto.CloneOf(made)
	made.Summary = italian("nuovo")
	current, err := f.services.UpdateService(t.Context(), &registryv1.UpdateServiceRequest{Service: made})
	must(t, err)
	stale.Summary = italian("altro")
	_, err = f.services.UpdateService(t.Context(), &registryv1.UpdateServiceRequest{Service: stale})
	refused(t, err, registryv1.ErrorReason_ETAG_MISMATCH, "name", made.GetName(), "current_etag", current.GetEtag())
	_, err = f.services.CreateService(t.Context(), &registryv1.CreateServiceRequest{
		Parent: "comuni/marsala", Service: service(func(s *registryv1.Service) { s.Documents = []string{"comuni/marsala/documents/none"} }),
	})
	refused(t, err, registryv1.ErrorReason_DANGLING_REFERENCE)
	if fields := apierror.Fields(err); len(fields) != 1 || fields[0].GetField() != "service.documents[0]" {
		t.Errorf("names the fields %v", fields)
	}
	_, err = f.services.CreateService(t.Context(), &registryv1.CreateServiceRequest{Parent: "comuni/marsala", Service: &registryv1.Service{}})
	refused(t, err, registryv1.ErrorReason_INVALID_FIELDS)
	_, err = f.services.CreateService(t.Context(), &registryv1.CreateServiceRequest{Parent: "comuni/-", Service: service()})
	refused(t, err, registryv1.ErrorReason_INVALID_FIELDS)
}

func TestRepeatedWritesThroughTheOffice(t *testing.T) {
	f := start(t)
	request := &registryv1.CreateServiceRequest{Parent: "comuni/marsala", Service: service(), RequestId: "7f0f1fd4-9d3c-4f43-9b6b-1c5d0f7a3c10"}
	first, err := f.services.CreateService(t.Context(), request)
	must(t, err)
	again, err := f.services.CreateService(t.Context(), request)
	must(t, err)
	same(t, again, first)
	// The same request at the node itself is the same request.
	own, err := registryv1.NewServiceServiceClient(f.nodes[marsala].Conn(t)).CreateService(t.Context(), request)
	must(t, err)
	same(t, own, first)
	request.Parent = "comuni/pantelleria"
	_, err = f.services.CreateService(t.Context(), request)
	must(t, err) // another node, another memory
}

func TestOwnerThatIsAway(t *testing.T) {
	f := start(t)
	made := create(t, f.conn, pantelleria, "sportello")
	f.nodes[pantelleria].Link.Cut()
	for range 2 { // before and after the office knows
		_, err := f.services.UpdateService(t.Context(), &registryv1.UpdateServiceRequest{Service: made})
		refused(t, err, registryv1.ErrorReason_OWNER_UNREACHABLE, "comune", pantelleria)
		_, err = f.services.CreateService(t.Context(), &registryv1.CreateServiceRequest{Parent: "comuni/pantelleria", Service: service()})
		refused(t, err, registryv1.ErrorReason_OWNER_UNREACHABLE, "comune", pantelleria)
		_, err = f.files.GetFile(t.Context(), &registryv1.GetFileRequest{Name: "comuni/pantelleria/files/" + strings.Repeat("a", 64)})
		refused(t, err, registryv1.ErrorReason_OWNER_UNREACHABLE, "comune", pantelleria)
		f.away(t, pantelleria)
	}
	create(t, f.conn, marsala, "trasporto") // the others are not touched

	// An owner that stopped after a failed commit is away like any other.
	var broken bool
	node := federationtest.StartNode(t, federationtest.NodeSettings("favignana", t.TempDir()), registry.Options{BeforeCommit: func() error {
		if broken {
			return errors.New("the disk broke")
		}
		return nil
	}})
	o := connect(t, federationtest.StartOffice(t, "cid-isole", ufficiocomune.Options{}, node.Member()))
	o.synced(t, node)
	broken = true
	_, err := o.services.CreateService(t.Context(), &registryv1.CreateServiceRequest{Parent: "comuni/favignana", Service: service()})
	refused(t, err, registryv1.ErrorReason_OWNER_UNREACHABLE, "comune", "favignana")
}

// The directory of an office may be wrong; the node knows what it owns.
func TestNodeOfAnotherComune(t *testing.T) {
	nodes := startNodes(t)
	wrong := nodes[marsala].Member()
	wrong.ID = pantelleria
	o := connect(t, federationtest.StartOffice(t, "cid-trapani", ufficiocomune.Options{}, wrong))
	_, err := o.services.CreateService(t.Context(), &registryv1.CreateServiceRequest{Parent: "comuni/pantelleria", Service: service()})
	refused(t, err, registryv1.ErrorReason_NOT_THE_OWNER, "comune", pantelleria)
	holders, err := o.Office.Office.Store().Holders()
	if err != nil || len(holders) > 0 {
		t.Errorf("the office took records of %v, %v", holders, err)
	}
}

func TestFilesThroughTheOffice(t *testing.T) {
	f := start(t)
	content := bytes.Repeat([]byte("Regolamento. "), 50_000)
	sum := sha256.Sum256(content)
	upload := func(sum string, pieces ...[]byte) (*registryv1.File, error) {
		stream, err := f.files.UploadFile(t.Context())
		must(t, err)
		parts := []*registryv1.UploadFileRequest{{Part: &registryv1.UploadFileRequest_Header_{Header: &registryv1.UploadFileRequest_Header{Parent: "comuni/marsala", Sha256: sum}}}}
		for _, piece := range pieces {
			parts = append(parts, &registryv1.UploadFileRequest{Part: &registryv1.UploadFileRequest_Data{Data: piece}})
		}
		for _, part := range parts {
			if stream.Send(part) != nil {
				break
			}
		}
		return stream.CloseAndRecv()
	}
	file, err := upload(hex.EncodeToString(sum[:]), slices.Collect(slices.Chunk(content, 200_000))...)
	must(t, err)
	got, err := f.files.GetFile(t.Context(), &registryv1.GetFileRequest{Name: file.GetName()})
	must(t, err)
	same(t, got, file)
	for _, offset := range []int64{0, 300_000} {
		stream, err := f.files.DownloadFile(t.Context(), &registryv1.DownloadFileRequest{Name: file.GetName(), Offset: offset})
		must(t, err)
		var all []byte
		for {
			piece, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				break
			}
			must(t, err)
			all = append(all, piece.GetData()...)
		}
		if !bytes.Equal(all, content[offset:]) {
			t.Errorf("from byte %d came %d bytes", offset, len(all))
		}
	}
	_, err = upload(hex.EncodeToString(sum[:]), []byte("others"))
	refused(t, err, registryv1.ErrorReason_INVALID_FIELDS)
	large := make([][]byte, 26)
	for i := range large {
		large[i] = make([]byte, 1<<20)
	}
	_, err = upload("", large...)
	refused(t, err, registryv1.ErrorReason_TOO_LARGE)

	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	stream, err := f.files.UploadFile(ctx)
	must(t, err)
	must(t, stream.Send(&registryv1.UploadFileRequest{Part: &registryv1.UploadFileRequest_Data{Data: []byte("x")}}))
	_, err = stream.CloseAndRecv()
	refused(t, err, registryv1.ErrorReason_INVALID_FIELDS)
}
