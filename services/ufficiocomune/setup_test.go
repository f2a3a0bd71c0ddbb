package ufficiocomune_test

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/federationv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/federationtest"
	"cidsistem.example/services/registry"
	"cidsistem.example/services/ufficiocomune"
)

const (
	marsala     = "marsala"
	mazara      = "mazara-del-vallo"
	pantelleria = "pantelleria"
)

// An office of a test, and what it answers.
type office struct {
	*federationtest.Office
	conn       *grpc.ClientConn
	services   registryv1.ServiceServiceClient
	search     registryv1.SearchServiceClient
	files      registryv1.FileServiceClient
	federation federationv1.FederationServiceClient
}

func connect(t testing.TB, o *federationtest.Office) *office {
	c := o.Conn(t)
	return &office{
		o, c, registryv1.NewServiceServiceClient(c), registryv1.NewSearchServiceClient(c), registryv1.NewFileServiceClient(c),
		federationv1.NewFederationServiceClient(c),
	}
}

// A federation is three nodes and their office.
type federation struct {
	*office
	nodes map[string]*federationtest.Node
}

func startNodes(t testing.TB) map[string]*federationtest.Node {
	nodes := map[string]*federationtest.Node{}
	for _, comune := range []string{marsala, mazara, pantelleria} {
		nodes[comune] = federationtest.StartNode(t, federationtest.NodeSettings(comune, filepath.Join(t.TempDir(), comune)), registry.Options{})
	}
	return nodes
}

func start(t testing.TB) *federation {
	t.Helper()
	f := &federation{nodes: startNodes(t)}
	var members []federationtest.Below
	for _, comune := range slices.Sorted(maps.Keys(f.nodes)) {
		members = append(members, f.nodes[comune].Member())
	}
	f.office = connect(t, federationtest.StartOffice(t, "cid-trapani", ufficiocomune.Options{Patience: 5 * time.Second}, members...))
	for _, n := range f.nodes {
		f.synced(t, n)
	}
	return f
}

// synced waits until the office's copy and its index have what a node has.
func (o *office) synced(t testing.TB, n *federationtest.Node) {
	t.Helper()
	id := n.Settings.Comune.ID
	federationtest.Eventually(t, "the copy of "+id+" is the node's", o.Office.Office.Changed, func() bool {
		u, err := o.Office.Office.Store().Upstream(id)
		return err == nil && u.Snapshot == nil && u.Position.Equal(n.Node.Store().Head()) && o.state(t, id) == federationv1.Node_IN_SYNC
	})
}

func (o *office) state(t testing.TB, id string) federationv1.Node_State {
	t.Helper()
	node, err := o.federation.GetNode(t.Context(), &federationv1.GetNodeRequest{Name: "nodes/" + id})
	must(t, err)
	return node.GetState()
}

// away cuts a node off and waits until the office knows.
func (f *federation) away(t testing.TB, comune string) {
	t.Helper()
	f.nodes[comune].Link.Cut()
	federationtest.Eventually(t, comune+" is away", f.Office.Office.Changed, func() bool {
		return f.state(t, comune) == federationv1.Node_UNREACHABLE
	})
}

func as(ctx context.Context, reader registryv1.Visibility) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "cid-reader", reader.String())
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func refused(t testing.TB, err error, reason registryv1.ErrorReason, about ...string) {
	t.Helper()
	if got := apierror.Reason(err); got != reason {
		t.Errorf("answered %s (%v), want %s", got, err, reason)
		return
	}
	for i := 0; i+1 < len(about); i += 2 {
		if got := apierror.Info(err).GetMetadata()[about[i]]; got != about[i+1] {
			t.Errorf("metadata %s is %q, not %q", about[i], got, about[i+1])
		}
	}
	if reason == registryv1.ErrorReason_OWNER_UNREACHABLE && apierror.Retry(err) == 0 {
		t.Error("it does not say when to try again")
	}
}

func italian(text string) *registryv1.LocalizedText { return &registryv1.LocalizedText{It: text} }

func service(edits ...func(*registryv1.Service)) *registryv1.Service {
	s := &registryv1.Service{Title: italian("Trasporto"), Status: &registryv1.Status{State: registryv1.Status_ACTIVE}}
	for _, edit := range edits {
		edit(s)
	}
	return s
}

// create creates a service at whoever answers on a connection.
func create(t testing.TB, conn grpc.ClientConnInterface, comune, id string, edits ...func(*registryv1.Service)) *registryv1.Service {
	t.Helper()
	s, err := registryv1.NewServiceServiceClient(conn).CreateService(t.Context(), &registryv1.CreateServiceRequest{
		Parent: "comuni/" + comune, ServiceId: id, Service: service(edits...),
	})
	must(t, err)
	return s
}

// fill creates some services at each node, past the office.
func (f *federation) fill(t testing.TB, each int, edits ...func(*registryv1.Service)) (names []string) {
	t.Helper()
	for _, comune := range slices.Sorted(maps.Keys(f.nodes)) {
		conn := f.nodes[comune].Conn(t)
		for i := range each {
			names = append(names, create(t, conn, comune, fmt.Sprintf("s-%03d", i), edits...).GetName())
		}
		f.synced(t, f.nodes[comune])
	}
	return names
}

// stands says in a word how fresh each comune is: "current", "live", "stale" or
// "missing".
func stands(list []*registryv1.Coverage) map[string]string {
	all := map[string]string{}
	for _, c := range list {
		state := strings.ToLower(c.GetState().String())
		if c.GetLive() {
			state = "live"
		}
		all[strings.TrimPrefix(c.GetComune(), "comuni/")] = state
	}
	return all
}

func same(t testing.TB, got, want proto.Message) {
	t.Helper()
	if !proto.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}
