package audit_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/auditv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/audit"
	"cidsistem.example/services/internal/store"
	"cidsistem.example/services/platform/grpcclient"
	"cidsistem.example/services/platform/grpcserver"
)

func serve(t *testing.T, server auditv1.AuditServiceServer) auditv1.AuditServiceClient {
	t.Helper()
	g := grpcserver.New(grpcserver.Options{Insecure: true, Logger: quiet()})
	auditv1.RegisterAuditServiceServer(g.Registrar(), server)
	listener := bufconn.Listen(1 << 16)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.Serve(ctx, listener) }()
	conn, err := grpcclient.Dial("node:1", grpcclient.Options{Insecure: true, Dialer: func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }})
	must(t, err)
	t.Cleanup(func() {
		_ = conn.Close()
		cancel()
		must(t, <-ended)
	})
	return auditv1.NewAuditServiceClient(conn)
}

// history commits entries a minute apart.
func history(t *testing.T, s *store.Store, c *clock, entries ...*auditv1.AuditEntry) {
	t.Helper()
	r := audit.NewRecorder(s, signer(key('a')), quiet())
	for _, entry := range entries {
		must(t, r.Record(t.Context(), entry))
		c.pass(time.Minute)
	}
}

// listed follows all pages.
func listed(t *testing.T, client auditv1.AuditServiceClient, request *auditv1.ListAuditEntriesRequest) (sequences []int64, pages int) {
	t.Helper()
	request = proto.CloneOf(request)
	request.Parent = node
	for {
		page, err := client.ListAuditEntries(t.Context(), request)
		must(t, err)
		if size := int(request.GetPageSize()); size > 0 && len(page.GetEntries()) > size {
			t.Errorf("a page of %d has %d", size, len(page.GetEntries()))
		}
		for _, entry := range page.GetEntries() {
			sequences = append(sequences, entry.GetSequence())
		}
		pages++
		if request.PageToken = page.GetNextPageToken(); request.GetPageToken() == "" {
			return sequences, pages
		}
	}
}

func TestListAuditEntries(t *testing.T) {
	c := newClock()
	began := c.Now()
	s := fresh(t, c)
	done, refused := auditv1.AuditEntry_DONE, auditv1.AuditEntry_REFUSED
	history(t, s, c,
		person("a1").Entry("/s.RecordService/CreateService", "comuni/marsala/services/x", done),      // 1
		person("a2").Entry("/s.RecordService/UpdateService", "comuni/marsala/services/x", done),      // 2
		person("a1").Entry("/s.RequestService/GetRequest", "comuni/marsala/requests/r1", refused),    // 3
		person("a1").Entry("/s.RecordService/UpdateService", "comuni/marsala/services/x-2", done),    // 4
		server.Entry("/s.AuditService/GetAuditHead", "nodes/marsala", done),                          // 5
		person("a1").Entry("/s.RecordService/DeleteService", "comuni/marsala/organizations/x", done), // 6
	)
	client := serve(t, audit.NewServer(s, node))
	minute := func(n int) *timestamppb.Timestamp { return timestamppb.New(began.Add(time.Duration(n) * time.Minute)) }
	for name, test := range map[string]struct {
		request *auditv1.ListAuditEntriesRequest
		want    []int64
	}{
		"all":                   {&auditv1.ListAuditEntriesRequest{}, []int64{6, 5, 4, 3, 2, 1}},
		"of an actor":           {&auditv1.ListAuditEntriesRequest{Actor: "nodes/marsala/accounts/a1"}, []int64{6, 4, 3, 1}},
		"on a resource":         {&auditv1.ListAuditEntriesRequest{Resource: "comuni/marsala/services/x"}, []int64{2, 1}},
		"inside a resource":     {&auditv1.ListAuditEntriesRequest{Resource: "comuni/marsala"}, []int64{6, 4, 3, 2, 1}},
		"an action":             {&auditv1.ListAuditEntriesRequest{Action: "UpdateService"}, []int64{4, 2}},
		"refusals":              {&auditv1.ListAuditEntriesRequest{Outcome: refused}, []int64{3}},
		"from a time":           {&auditv1.ListAuditEntriesRequest{StartTime: minute(4)}, []int64{6, 5}},
		"before a time":         {&auditv1.ListAuditEntriesRequest{EndTime: minute(2)}, []int64{2, 1}},
		"within a time":         {&auditv1.ListAuditEntriesRequest{StartTime: minute(1), EndTime: minute(3), Actor: "nodes/marsala/accounts/a1"}, []int64{3}},
		"nothing is like this":  {&auditv1.ListAuditEntriesRequest{Actor: "nobody"}, nil},
		"the start is far away": {&auditv1.ListAuditEntriesRequest{StartTime: minute(5000)}, nil},
	} {
		for _, size := range []int32{0, 1, 2, 100} {
			test.request.PageSize = size
			if got, _ := listed(t, client, test.request); !slices.Equal(got, test.want) {
				t.Errorf("%s, in pages of %d: %v, want %v", name, size, got, test.want)
			}
		}
	}
	page, err := client.ListAuditEntries(t.Context(), &auditv1.ListAuditEntriesRequest{Parent: node, PageSize: 2})
	must(t, err)
	for name, request := range map[string]*auditv1.ListAuditEntriesRequest{
		"a token of another list": {Parent: node, PageToken: page.GetNextPageToken(), Actor: "nodes/marsala/accounts/a1"},
		"no token":                {Parent: node, PageToken: "token"},
	} {
		if _, err := client.ListAuditEntries(t.Context(), request); apierror.Reason(err) != registryv1.ErrorReason_INVALID_PAGE_TOKEN {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A list that finds little in a long log comes in pages that are short, and ends.
func TestListsDoNotLast(t *testing.T) {
	c := newClock()
	s := fresh(t, c)
	r := audit.NewRecorder(s, signer(key('a')), quiet())
	must(t, r.Record(t.Context(), person("a1").Entry("/s/First", "", auditv1.AuditEntry_DONE)))
	many := make([]*auditv1.AuditEntry, 6000)
	for i := range many {
		many[i] = server.Entry("/s/Other", "", auditv1.AuditEntry_DONE)
	}
	must(t, r.Record(t.Context(), many...))
	client := serve(t, audit.NewServer(s, node))
	got, pages := listed(t, client, &auditv1.ListAuditEntriesRequest{Action: "First"})
	if !slices.Equal(got, []int64{1}) || pages != 2 {
		t.Errorf("found %v in %d pages", got, pages)
	}
	if all, _ := export(t, client, &auditv1.ExportAuditEntriesRequest{Parent: node}); len(all) != 6001 {
		t.Errorf("exported %d entries", len(all))
	}
}

func export(t *testing.T, client auditv1.AuditServiceClient, request *auditv1.ExportAuditEntriesRequest) (all []*auditv1.AuditEntry, head *auditv1.AuditHead) {
	t.Helper()
	stream, err := client.ExportAuditEntries(t.Context(), request)
	must(t, err)
	for {
		message, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return all, head
		}
		must(t, err)
		if head != nil {
			t.Error("the head is not on the last message")
		}
		all, head = append(all, message.GetEntries()...), message.GetHead()
	}
}

func TestExportAuditEntries(t *testing.T) {
	c := newClock()
	began := c.Now()
	s := fresh(t, c)
	client := serve(t, audit.NewServer(s, node))
	if all, head := export(t, client, &auditv1.ExportAuditEntriesRequest{Parent: node}); len(all) != 0 || head != nil {
		t.Errorf("an empty log exports %v %v", all, head)
	}
	for i := range 5 {
		history(t, s, c, person("a1").Entry(fmt.Sprintf("/s/M%d", i), "", auditv1.AuditEntry_DONE))
	}
	must(t, audit.NewRecorder(s, signer(key('a')), quiet()).Flush(t.Context()))
	all, head := export(t, client, &auditv1.ExportAuditEntriesRequest{Parent: node})
	if diff := cmp.Diff(entries(t, s), all, protocmp.Transform()); diff != "" {
		t.Errorf("exported (-stored +exported):\n%s", diff)
	}
	got, err := client.GetAuditHead(t.Context(), &auditv1.GetAuditHeadRequest{Parent: node})
	must(t, err)
	if diff := cmp.Diff(got, head, protocmp.Transform()); diff != "" || head.GetSequence() != 5 {
		t.Errorf("heads differ:\n%s", diff)
	}
	some, _ := export(t, client, &auditv1.ExportAuditEntriesRequest{
		Parent: node, StartTime: timestamppb.New(began.Add(time.Minute)), EndTime: timestamppb.New(began.Add(3 * time.Minute)),
	})
	if len(some) != 2 || some[0].GetSequence() != 2 {
		t.Errorf("exported %v", some)
	}
}

func TestAuditOfAnotherServer(t *testing.T) {
	client := serve(t, audit.NewServer(fresh(t, newClock()), node))
	const other = "nodes/cid-trapani"
	_, err := client.ListAuditEntries(t.Context(), &auditv1.ListAuditEntriesRequest{Parent: other})
	_, headErr := client.GetAuditHead(t.Context(), &auditv1.GetAuditHeadRequest{Parent: other})
	stream, exportErr := client.ExportAuditEntries(t.Context(), &auditv1.ExportAuditEntriesRequest{Parent: other})
	must(t, exportErr)
	_, exportErr = stream.Recv()
	for _, err := range []error{err, headErr, exportErr} {
		if apierror.Reason(err) != registryv1.ErrorReason_NOT_THE_OWNER || apierror.Info(err).GetMetadata()["node"] != other {
			t.Errorf("got %v", err)
		}
	}
	if _, err := client.GetAuditHead(t.Context(), &auditv1.GetAuditHeadRequest{Parent: node}); apierror.Reason(err) != registryv1.ErrorReason_RESOURCE_NOT_FOUND {
		t.Errorf("the head of an empty log: %v", err)
	}
}
