package editorial_test

import (
	"context"
	"crypto/ed25519"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/annotationsv1"
	"cidsistem.example/proto/gen/editorialv1"
	"cidsistem.example/proto/gen/identityv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/federationtest"
	"cidsistem.example/services/internal/store"
	"cidsistem.example/services/internal/tokens"
	"cidsistem.example/services/registry"
)

const (
	parent = "comuni/marsala"
	aias   = parent + "/organizations/aias"
	day    = 24 * time.Hour
)

// A clock that only a test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

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

// A node of marsala with its editorial office, and people.
type node struct {
	*federationtest.Node
	*clock
	t             testing.TB
	key           ed25519.PrivateKey
	keyID         string
	drafts        editorialv1.DraftServiceClient
	records       editorialv1.RecordServiceClient
	corrections   editorialv1.CorrectionServiceClient
	services      registryv1.ServiceServiceClient
	organizations registryv1.OrganizationServiceClient
	plans         registryv1.PlanServiceClient
	operators     registryv1.OperatorServiceClient
}

func start(t testing.TB, edits ...func(*registry.Settings)) *node {
	t.Helper()
	c := &clock{now: time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)}
	settings := federationtest.NodeSettings("marsala", filepath.Join(t.TempDir(), "marsala"))
	settings.PortalURL = "https://cid.example.it"
	for _, edit := range edits {
		edit(&settings)
	}
	n := &node{Node: federationtest.StartNode(t, settings, registry.Options{Now: c.Now}), clock: c, t: t}
	n.key = ed25519.NewKeyFromSeed([]byte("seed of the key of these tests.."))
	var err error
	n.keyID, err = tokens.KeyID(n.key.Public().(ed25519.PublicKey))
	must(t, err)
	key := &identityv1.SigningKey{Id: n.keyID, PublicKey: n.key.Public().(ed25519.PublicKey)}
	must(t, n.Node.Node.Trust().Verifier.Believe("nodes/marsala", []*identityv1.SigningKey{key}, nil))
	conn := n.Conn(t)
	n.connect(conn)
	return n
}

func (n *node) connect(conn grpc.ClientConnInterface) {
	n.drafts = editorialv1.NewDraftServiceClient(conn)
	n.records = editorialv1.NewRecordServiceClient(conn)
	n.corrections = editorialv1.NewCorrectionServiceClient(conn)
	n.services = registryv1.NewServiceServiceClient(conn)
	n.organizations = registryv1.NewOrganizationServiceClient(conn)
	n.plans = registryv1.NewPlanServiceClient(conn)
	n.operators = registryv1.NewOperatorServiceClient(conn)
}

// Roles in these tests.
const (
	editor    = annotationsv1.Role_EDITOR
	publisher = annotationsv1.Role_PUBLISHER
	planner   = annotationsv1.Role_PLANNER
)

// as is the context of a call by somebody with a role over a scope.
func (n *node) as(id string, role annotationsv1.Role, scope string) context.Context {
	n.t.Helper()
	return n.with(id, &identityv1.Grant{Role: role, Scope: scope})
}

// with is the context of a call by somebody with grants.
func (n *node) with(id string, grants ...*identityv1.Grant) context.Context {
	n.t.Helper()
	token, err := tokens.Sign(n.key, n.keyID, tokens.Claims{
		Issuer: "nodes/marsala", Account: account(id), Session: "nodes/marsala/sessions/s1", Audience: []string{"marsala"},
		Grants: grants, IssueTime: n.Now(), ExpireTime: n.Now().Add(tokens.Lifetime),
	})
	must(n.t, err)
	return metadata.AppendToOutgoingContext(n.t.Context(), "authorization", "Bearer "+token)
}

func account(id string) string { return "nodes/marsala/accounts/" + id }

// The people of these tests.
func (n *node) anna() context.Context  { return n.as("anna", editor, parent) }
func (n *node) paola() context.Context { return n.as("paola", publisher, parent) }
func (n *node) piero() context.Context { return n.as("piero", planner, parent) }

// dora is of the association, and may write its cards.
func (n *node) dora() context.Context { return n.as("dora", editor, aias) }

// public is a call of somebody who is not signed in.
func (n *node) public() context.Context {
	return metadata.AppendToOutgoingContext(n.t.Context(), "cid-reader", "PUBLIC")
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func got[T any](answer T, err error) func(t testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		must(t, err)
		return answer
	}
}

func refused(t testing.TB, err error, reason registryv1.ErrorReason) {
	t.Helper()
	if apierror.Reason(err) != reason {
		t.Errorf("answered %v, want %s", err, reason)
	}
}

func italian(text string) *registryv1.LocalizedText { return &registryv1.LocalizedText{It: text} }

func service(title string, edits ...func(*registryv1.Service)) *registryv1.Service {
	s := &registryv1.Service{Title: italian(title), Status: &registryv1.Status{State: registryv1.Status_ACTIVE}}
	for _, edit := range edits {
		edit(s)
	}
	return s
}

func packed(t testing.TB, record proto.Message) *anypb.Any {
	t.Helper()
	a, err := anypb.New(record)
	must(t, err)
	return a
}

func unpacked[T proto.Message](t testing.TB, a *anypb.Any) T {
	t.Helper()
	m, err := a.UnmarshalNew()
	must(t, err)
	found, ok := m.(T)
	if !ok {
		t.Fatalf("it is a %T", m)
	}
	return found
}

func (n *node) service(id string, edits ...func(*registryv1.Service)) *registryv1.Service {
	n.t.Helper()
	made, err := n.services.CreateService(n.t.Context(), &registryv1.CreateServiceRequest{Parent: parent, ServiceId: id, Service: service("Servizio "+id, edits...)})
	must(n.t, err)
	return made
}

func (n *node) organization(id string, edits ...func(*registryv1.Organization)) *registryv1.Organization {
	n.t.Helper()
	o := &registryv1.Organization{Title: italian("Ente " + id), Kind: registryv1.Organization_ASSOCIATION}
	for _, edit := range edits {
		edit(o)
	}
	made, err := n.organizations.CreateOrganization(n.t.Context(), &registryv1.CreateOrganizationRequest{Parent: parent, OrganizationId: id, Organization: o})
	must(n.t, err)
	return made
}

func (n *node) read(name string) *registryv1.Service {
	n.t.Helper()
	s, err := n.services.GetService(n.t.Context(), &registryv1.GetServiceRequest{Name: name})
	must(n.t, err)
	return s
}

// history tells what happened to a record, the newest first.
func (n *node) history(name string) []*editorialv1.RecordChange {
	n.t.Helper()
	answer, err := n.records.ListRecordChanges(n.t.Context(), &editorialv1.ListRecordChangesRequest{Parent: parent, Record: name})
	must(n.t, err)
	return answer.GetChanges()
}

func actions(changes []*editorialv1.RecordChange) (all []string) {
	for _, change := range changes {
		all = append(all, change.GetAction().String())
	}
	return all
}

func wantActions(t testing.TB, changes []*editorialv1.RecordChange, want ...string) {
	t.Helper()
	if !slices.Equal(actions(changes), want) {
		t.Errorf("the history says %v, want %v", actions(changes), want)
	}
}

// sound fails the test when the store is not.
func (n *node) sound() {
	n.t.Helper()
	report, err := n.Node.Node.Store().Check(n.t.Context())
	must(n.t, err)
	for _, problem := range report.Problems {
		n.t.Errorf("check: %s", problem)
	}
}

// kept tells whether a text is anywhere in the data file of the node.
func (n *node) local(area string) (entries int) {
	n.t.Helper()
	must(n.t, n.Node.Node.Store().View(func(r store.Reader) error {
		for range r.LocalKeys(area) {
			entries++
		}
		return nil
	}))
	return entries
}
