package registry_test

import (
	"context"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/federationtest"
	"cidsistem.example/services/registry"
)

// A clock that only a test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)} }

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

// A node of marsala and everything that it answers.
type node struct {
	*federationtest.Node
	*clock
	conn          *grpc.ClientConn
	comuni        registryv1.ComuneServiceClient
	organizations registryv1.OrganizationServiceClient
	services      registryv1.ServiceServiceClient
	locations     registryv1.LocationServiceClient
	documents     registryv1.DocumentServiceClient
	plans         registryv1.PlanServiceClient
	actions       registryv1.ActionServiceClient
	files         registryv1.FileServiceClient
	search        registryv1.SearchServiceClient
}

func marsala(t testing.TB, options registry.Options) *node {
	t.Helper()
	c := newClock()
	if options.Now == nil {
		options.Now = c.Now
	}
	n := &node{
		Node:  federationtest.StartNode(t, federationtest.NodeSettings("marsala", filepath.Join(t.TempDir(), "marsala")), options),
		clock: c,
	}
	n.connect(t)
	return n
}

func (n *node) connect(t testing.TB) {
	n.conn = n.Conn(t)
	n.comuni = registryv1.NewComuneServiceClient(n.conn)
	n.organizations = registryv1.NewOrganizationServiceClient(n.conn)
	n.services = registryv1.NewServiceServiceClient(n.conn)
	n.locations = registryv1.NewLocationServiceClient(n.conn)
	n.documents = registryv1.NewDocumentServiceClient(n.conn)
	n.plans = registryv1.NewPlanServiceClient(n.conn)
	n.actions = registryv1.NewActionServiceClient(n.conn)
	n.files = registryv1.NewFileServiceClient(n.conn)
	n.search = registryv1.NewSearchServiceClient(n.conn)
}

// as is a call on behalf of a reader.
func as(ctx context.Context, reader registryv1.Visibility) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "cid-reader", reader.String())
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// refused fails the test unless an error has a reason, and names just these
// fields.
func refused(t testing.TB, err error, reason registryv1.ErrorReason, fields ...string) {
	t.Helper()
	if got := apierror.Reason(err); got != reason {
		t.Errorf("answered %s (%v), want %s", got, err, reason)
		return
	}
	var named []string
	for _, field := range apierror.Fields(err) {
		named = append(named, field.GetField())
		if field.GetDescription() == "" {
			t.Errorf("nothing is said about %s", field.GetField())
		}
	}
	if !slices.Equal(named, fields) {
		t.Errorf("names the fields %q, not %q: %v", named, fields, err)
	}
}

func italian(text string) *registryv1.LocalizedText { return &registryv1.LocalizedText{It: text} }

func active() *registryv1.Status { return &registryv1.Status{State: registryv1.Status_ACTIVE} }

func service(edits ...func(*registryv1.Service)) *registryv1.Service {
	s := &registryv1.Service{Title: italian("Trasporto"), Status: active()}
	for _, edit := range edits {
		edit(s)
	}
	return s
}

func phone(value string, v registryv1.Visibility) *registryv1.ContactPoint {
	return &registryv1.ContactPoint{Kind: registryv1.ContactPoint_PHONE, Value: value, Visibility: v}
}

// create creates a service.
func (n *node) create(t testing.TB, id string, edits ...func(*registryv1.Service)) *registryv1.Service {
	t.Helper()
	s, err := n.services.CreateService(t.Context(), &registryv1.CreateServiceRequest{Parent: "comuni/marsala", ServiceId: id, Service: service(edits...)})
	must(t, err)
	return s
}

func (n *node) organization(t testing.TB, id string) *registryv1.Organization {
	t.Helper()
	o, err := n.organizations.CreateOrganization(t.Context(), &registryv1.CreateOrganizationRequest{
		Parent: "comuni/marsala", OrganizationId: id,
		Organization: &registryv1.Organization{Title: italian("Ente " + id), Kind: registryv1.Organization_ASSOCIATION},
	})
	must(t, err)
	return o
}

func (n *node) plan(t testing.TB, id string) *registryv1.Plan {
	t.Helper()
	p, err := n.plans.CreatePlan(t.Context(), &registryv1.CreatePlanRequest{
		Parent: "comuni/marsala", PlanId: id,
		Plan: &registryv1.Plan{Title: italian("Piano " + id), State: registryv1.Plan_DRAFT, FirstYear: 2025, LastYear: 2027},
	})
	must(t, err)
	return p
}

func (n *node) action(t testing.TB, plan, id string) (*registryv1.Action, error) {
	t.Helper()
	return n.actions.CreateAction(t.Context(), &registryv1.CreateActionRequest{
		Parent: "comuni/marsala/plans/" + plan, ActionId: id,
		Action: &registryv1.Action{Title: italian("Azione " + id), State: registryv1.Action_PLANNED},
	})
}

func (n *node) read(t testing.TB, name string) *registryv1.Service {
	t.Helper()
	s, err := n.services.GetService(t.Context(), &registryv1.GetServiceRequest{Name: name})
	must(t, err)
	return s
}

// unchanged fails the test when a call moved the feed.
func (n *node) unchanged(t testing.TB, do func()) {
	t.Helper()
	before := n.Node.Node.Store().Head()
	do()
	if after := n.Node.Node.Store().Head(); !after.Equal(before) {
		t.Errorf("something was written: %s after %s", after, before)
	}
}

func same(t testing.TB, got, want proto.Message) {
	t.Helper()
	if !proto.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}
