package federationtest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/auditv1"
	"cidsistem.example/proto/gen/deskv1"
	"cidsistem.example/proto/gen/federationv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/federationtest"
	"cidsistem.example/services/internal/store"
	"cidsistem.example/services/registry"
	"cidsistem.example/services/ufficiocomune"
)

// overheard collects bytes from several sides.
type overheard struct {
	mu    sync.Mutex
	bytes bytes.Buffer
}

func (o *overheard) listen(b []byte) { _, _ = o.Write(b) }

func (o *overheard) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.bytes.Write(b)
}

func (o *overheard) has(word string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return bytes.Contains(bytes.ToLower(o.bytes.Bytes()), []byte(word))
}

// Words that mark what is for whom; each field adds a number of its own.
const (
	localCanary   = "canarinolocale"
	networkCanary = "canarinorete"
	publicCanary  = "canarinopubblico"
)

// A cage fills records with canaries.
type cage struct{ birds int }

func (c *cage) bird(word string) string {
	c.birds++
	return fmt.Sprintf("%s%d", word, c.birds)
}

// record makes a record of a kind with a canary in every text, for readers of a
// visibility, and contacts for all three.
func (c *cage) record(kind *catalog.Kind, name catalog.Name, v registryv1.Visibility) proto.Message {
	word := map[registryv1.Visibility]string{
		registryv1.Visibility_PUBLIC: publicCanary, registryv1.Visibility_NETWORK: networkCanary, registryv1.Visibility_LOCAL: localCanary,
	}[v]
	record := kind.New()
	c.fill(record.ProtoReflect(), word, 6)
	m := record.ProtoReflect()
	m.Set(m.Descriptor().Fields().ByName("visibility"), protoreflect.ValueOfEnum(protoreflect.EnumNumber(v)))
	catalog.RecordOf(record).SetName(name.String())
	for _, field := range []protoreflect.Name{"delete_time", "purge_time", "revision", "etag"} {
		m.Clear(m.Descriptor().Fields().ByName(field))
	}
	return record
}

func (c *cage) fill(m protoreflect.Message, word string, depth int) {
	for i := range m.Descriptor().Fields().Len() {
		fd := m.Descriptor().Fields().Get(i)
		switch {
		case fd.IsMap() || (fd.ContainingOneof() != nil && m.WhichOneof(fd.ContainingOneof()) != nil):
		case fd.Message() != nil && fd.Message().FullName() == contactName && fd.IsList():
			for _, v := range []registryv1.Visibility{registryv1.Visibility_PUBLIC, registryv1.Visibility_NETWORK, registryv1.Visibility_LOCAL} {
				contact := map[registryv1.Visibility]string{
					registryv1.Visibility_PUBLIC: word, registryv1.Visibility_NETWORK: networkCanary, registryv1.Visibility_LOCAL: localCanary,
				}[v]
				if word == localCanary {
					contact = localCanary
				}
				item := m.Mutable(fd).List().AppendMutable().Message()
				c.fill(item, contact, depth-1)
				item.Set(item.Descriptor().Fields().ByName("visibility"), protoreflect.ValueOfEnum(protoreflect.EnumNumber(v)))
			}
		case fd.Message() != nil && strings.HasPrefix(string(fd.Message().FullName()), "cidsistem.") && depth > 0:
			if fd.IsList() {
				c.fill(m.Mutable(fd).List().AppendMutable().Message(), word, depth-1)
			} else {
				c.fill(m.Mutable(fd).Message(), word, depth-1)
			}
		case fd.Kind() != protoreflect.StringKind:
		case fd.IsList():
			m.Mutable(fd).List().Append(protoreflect.ValueOfString(c.bird(word)))
		default:
			m.Set(fd, protoreflect.ValueOfString(c.bird(word)))
		}
	}
}

var contactName = (&registryv1.ContactPoint{}).ProtoReflect().Descriptor().FullName()

// What is LOCAL leaves its node in no way at all, and what is for the federation
// is never in an answer to the public: not in the bytes of the wires, the
// office's files, answers, errors or logs.
func TestCanaries(t *testing.T) {
	wire, log := &overheard{}, &overheard{}
	logger := slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	node := federationtest.StartNode(t, federationtest.NodeSettings("marsala", filepath.Join(t.TempDir(), "marsala")), registry.Options{Logger: logger})
	node.Link.Tap(wire.listen)
	office := federationtest.StartOffice(t, "cid-trapani", ufficiocomune.Options{Logger: logger}, node.Member())

	cage := &cage{}
	var names []catalog.Name
	_, err := node.Node.Store().Commit(t.Context(), store.Request{}, nil, func(store.Reader, store.Stamp) (store.Outcome, error) {
		var outcome store.Outcome
		for _, kind := range catalog.Kinds() {
			for v := registryv1.Visibility_PUBLIC; v <= registryv1.Visibility_LOCAL; v++ {
				ids := []string{"marsala"}
				for range kind.Depth() - 1 {
					ids = append(ids, strings.ToLower(v.String()))
				}
				name := catalog.Name{Kind: kind, IDs: ids}
				if kind.Singleton && v != registryv1.Visibility_PUBLIC {
					continue
				}
				names, outcome.Put = append(names, name), append(outcome.Put, cage.record(kind, name, v))
			}
		}
		return outcome, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	// Somebody asks the desk, and the desk reads it: at the node.
	atNode := node.Conn(t)
	desk := deskv1.NewRequestServiceClient(atNode)
	asked, err := desk.CreateRequest(t.Context(), &deskv1.CreateRequestRequest{Parent: "comuni/marsala", Request: &deskv1.Request{
		Text: cage.bird(localCanary), Contact: &deskv1.Contact{FullName: cage.bird(localCanary), Telephone: cage.bird(localCanary), Email: cage.bird(localCanary) + "@example.org"},
		PreferredChannel: deskv1.Request_EMAIL, ContactHours: cage.bird(localCanary), Representation: &deskv1.Representation{Role: deskv1.Representation_CAREGIVER, Basis: cage.bird(localCanary)},
	}, Attachments: []*deskv1.AttachedFile{{FileName: cage.bird(localCanary), Data: []byte(cage.bird(localCanary))}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := desk.GetRequest(t.Context(), &deskv1.GetRequestRequest{Name: asked.GetRequest().GetName()}); err != nil {
		t.Fatal(err)
	}

	// What the desk writes stays there too, and so does the message that tells of it.
	if _, err := desk.AddNote(t.Context(), &deskv1.AddNoteRequest{Name: asked.GetRequest().GetName(), Text: cage.bird(localCanary)}); err != nil {
		t.Fatal(err)
	}
	if _, err := desk.AnswerRequest(t.Context(), &deskv1.AnswerRequestRequest{Name: asked.GetRequest().GetName(), Text: cage.bird(localCanary)}); err != nil {
		t.Fatal(err)
	}
	if _, err := desk.SuspendRequest(t.Context(), &deskv1.SuspendRequestRequest{
		Name: asked.GetRequest().GetName(), Reason: deskv1.Suspension_WAITING_FOR_ADMINISTRATION, Note: cage.bird(localCanary),
	}); err != nil {
		t.Fatal(err)
	}

	conn := office.Conn(t)
	nodes := federationv1.NewFederationServiceClient(conn)
	federationtest.Eventually(t, "the office has its copy", office.Office.Changed, func() bool {
		n, err := nodes.GetNode(t.Context(), &federationv1.GetNodeRequest{Name: "nodes/marsala"})
		return err == nil && n.GetState() == federationv1.Node_IN_SYNC && n.GetRevision() == node.Node.Store().Head().Revision
	})

	answers := map[registryv1.Visibility]*overheard{registryv1.Visibility_PUBLIC: {}, registryv1.Visibility_NETWORK: {}}
	for reader, heard := range answers {
		for _, server := range []*grpc.ClientConn{conn, atNode} {
			ask(t, server, reader, names, heard)
		}
	}
	if public := answers[registryv1.Visibility_PUBLIC]; !public.has(publicCanary) || public.has(networkCanary) || public.has(localCanary) {
		t.Errorf("to the public: public %t, network %t, local %t", public.has(publicCanary), public.has(networkCanary), public.has(localCanary))
	}
	if network := answers[registryv1.Visibility_NETWORK]; !network.has(networkCanary) || network.has(localCanary) {
		t.Errorf("to the federation: network %t, local %t", network.has(networkCanary), network.has(localCanary))
	}
	if !wire.has(networkCanary) || wire.has(localCanary) {
		t.Errorf("over the wire: network %t, local %t", wire.has(networkCanary), wire.has(localCanary))
	}
	// The export of the audit log, by who may have it, and the metrics.
	export, metrics := &overheard{}, &overheard{}
	exportAudit(t, atNode, export)
	for _, process := range []*federationtest.Process{node.Process, office.Process} {
		families, err := process.Metrics.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, family := range families {
			metrics.listen([]byte(family.String()))
		}
	}
	if !export.has("createrequest") || !metrics.has("createrequest") {
		t.Error("the export or the metrics tell of nothing at all")
	}
	for name, told := range map[string]*overheard{"the logs": log, "the export of the audit log": export, "the metrics": metrics} {
		for _, word := range []string{publicCanary, networkCanary, localCanary} {
			if told.has(word) {
				t.Errorf("%s tell of %s", name, word)
			}
		}
	}
	files := &overheard{}
	err = filepath.WalkDir(office.Settings.DataDir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		files.listen(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if !files.has(networkCanary) || files.has(localCanary) {
		t.Errorf("in the office's files: network %t, local %t", files.has(networkCanary), files.has(localCanary))
	}
	t.Logf("%d canaries in %d records of %d kinds and a request", cage.birds, len(names), len(catalog.Kinds()))
}

// exportAudit reads the whole audit log of a node.
func exportAudit(t *testing.T, conn *grpc.ClientConn, heard *overheard) {
	t.Helper()
	stream, err := auditv1.NewAuditServiceClient(conn).ExportAuditEntries(t.Context(), &auditv1.ExportAuditEntriesRequest{Parent: "nodes/marsala"})
	if err != nil {
		t.Fatal(err)
	}
	for {
		piece, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		heard.listen([]byte(protojson.Format(piece)))
	}
}

// ask reads everything that there is to read, as somebody, errors too.
func ask(t *testing.T, conn *grpc.ClientConn, reader registryv1.Visibility, names []catalog.Name, heard *overheard) {
	t.Helper()
	ctx := metadata.AppendToOutgoingContext(context.WithoutCancel(t.Context()), "cid-reader", reader.String())
	call := func(method string, request, answer proto.Message) {
		if err := conn.Invoke(ctx, method, request, answer); err != nil {
			heard.listen([]byte(err.Error()))
			return
		}
		heard.listen([]byte(protojson.Format(answer)))
	}
	preferences := []registryv1.ReadPreference{registryv1.ReadPreference_REPLICA_ONLY, registryv1.ReadPreference_LIVE_ONLY}
	for _, name := range names {
		for _, preference := range preferences {
			get, _ := name.Kind.Method(catalog.Get)
			request := get.NewRequest()
			set(request, "name", protoreflect.ValueOfString(name.String()))
			set(request, "read_preference", protoreflect.ValueOfEnum(preference.Number()))
			call(get.Full, request, get.NewResponse())

			list, _ := name.Kind.Method(catalog.List)
			request = list.NewRequest()
			set(request, "read_preference", protoreflect.ValueOfEnum(preference.Number()))
			if name.Kind.Parent != nil {
				set(request, "parent", protoreflect.ValueOfString("comuni/-"+strings.Repeat("/plans/-", name.Kind.Depth()-2)))
			}
			call(list.Full, request, list.NewResponse())
		}
	}
	for _, preference := range preferences {
		// What is asked for is not to be found in the answer for that reason.
		call(registryv1.SearchService_Search_FullMethodName, &registryv1.SearchRequest{Q: "canarino", Facets: true, PageSize: 100, ReadPreference: preference}, &registryv1.SearchResponse{})
		call(registryv1.SearchService_Search_FullMethodName, &registryv1.SearchRequest{Facets: true, PageSize: 100, ReadPreference: preference}, &registryv1.SearchResponse{})
	}
	call(registryv1.SearchService_Suggest_FullMethodName, &registryv1.SuggestRequest{Q: "canarino"}, &registryv1.SuggestResponse{})
	call(federationv1.FederationService_ListNodes_FullMethodName, &federationv1.ListNodesRequest{}, &federationv1.ListNodesResponse{})
}

func set(m proto.Message, field protoreflect.Name, value protoreflect.Value) {
	m.ProtoReflect().Set(m.ProtoReflect().Descriptor().Fields().ByName(field), value)
}
