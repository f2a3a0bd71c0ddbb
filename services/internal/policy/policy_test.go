package policy_test

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"net/url"
	"testing"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/protobuf/proto"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/adminv1"
	"cidsistem.example/proto/gen/annotationsv1"
	"cidsistem.example/proto/gen/auditv1"
	"cidsistem.example/proto/gen/deskv1"
	"cidsistem.example/proto/gen/feedv1"
	"cidsistem.example/proto/gen/identityv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/policy"
	"cidsistem.example/services/internal/tokens"
)

// A world has the policies of a node and of an office, which believe the people
// of two nodes.
type world struct {
	node, office *policy.Policy
	keys         map[string]ed25519.PrivateKey
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{keys: map[string]ed25519.PrivateKey{}}
	atNode, atOffice := tokens.NewVerifier("marsala", time.Now), tokens.NewVerifier("cid-trapani", time.Now)
	for _, issuer := range []string{"nodes/marsala", "nodes/pantelleria", "nodes/cid-trapani"} {
		public, private, err := ed25519.GenerateKey(nil)
		if err != nil {
			t.Fatal(err)
		}
		w.keys[issuer] = private
		for _, verifier := range []*tokens.Verifier{atNode, atOffice} {
			if err := verifier.Believe(issuer, []*identityv1.SigningKey{{Id: "k", PublicKey: public}}, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	var err error
	if w.node, err = policy.New("marsala", "marsala", atNode); err != nil {
		t.Fatal(err)
	}
	if w.office, err = policy.New("cid-trapani", "", atOffice); err != nil {
		t.Fatal(err)
	}
	return w
}

// person is a token of somebody of Marsala with a role over a scope.
func (w *world) person(t *testing.T, role annotationsv1.Role, scope string) string {
	t.Helper()
	return w.personOf(t, "nodes/marsala", role, scope)
}

func (w *world) personOf(t *testing.T, issuer string, role annotationsv1.Role, scope string) string {
	t.Helper()
	now := time.Now()
	token, err := tokens.Sign(w.keys[issuer], "k", tokens.Claims{
		Issuer: issuer, Account: issuer + "/accounts/a1", Audience: []string{"marsala", "cid-trapani"}, Session: "s1",
		Grants: []*identityv1.Grant{{Role: role, Scope: scope}}, IssueTime: now, ExpireTime: now.Add(tokens.Lifetime),
	})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// from is the context of a call by whoever has a certificate, with a token and
// the metadata of a call that is passed on; no role: the local socket.
func from(role, token string, reader ...string) context.Context {
	ctx := context.Background()
	if role != "" {
		id := &url.URL{Scheme: "spiffe", Host: "cidsistem.example", Path: "/" + role + "/somebody"}
		state := tls.ConnectionState{PeerCertificates: []*x509.Certificate{{URIs: []*url.URL{id}}}}
		ctx = peer.NewContext(ctx, &peer.Peer{AuthInfo: credentials.TLSInfo{State: state}})
	}
	var pairs []string
	for _, r := range reader {
		pairs = append(pairs, "cid-reader", r)
	}
	if token != "" {
		pairs = append(pairs, "authorization", "Bearer "+token)
	}
	return metadata.NewIncomingContext(ctx, metadata.Pairs(pairs...))
}

const (
	public  = registryv1.Visibility_PUBLIC
	network = registryv1.Visibility_NETWORK
	local   = registryv1.Visibility_LOCAL
)

func TestWhatCallersSee(t *testing.T) {
	w := newWorld(t)
	editor := w.person(t, annotationsv1.Role_EDITOR, "comuni/marsala")
	for name, test := range map[string]struct {
		role, token   string
		asks          []string
		atNode, there registryv1.Visibility
	}{
		"the local socket":             {"", "", nil, local, local},
		"an administrator":             {"admin", "", nil, local, local},
		"a comune's server":            {"comune", "", nil, network, network},
		"an ufficio":                   {"ufficio", "", nil, network, network},
		"the web":                      {"gateway", "", nil, public, public},
		"less, at the socket":          {"", "", []string{"PUBLIC"}, public, public},
		"less, for the public":         {"ufficio", "", []string{"PUBLIC"}, public, public},
		"more than a server":           {"ufficio", "", []string{"LOCAL"}, network, network},
		"more than the web":            {"gateway", "", []string{"LOCAL"}, public, public},
		"the least of several":         {"ufficio", "", []string{"LOCAL", "PUBLIC"}, public, public},
		"nonsense":                     {"ufficio", "", []string{"nonsense"}, public, public},
		"an editor":                    {"gateway", editor, nil, local, network},
		"an editor through the office": {"ufficio", editor, []string{"NETWORK"}, network, network},
		"an editor, told LOCAL":        {"ufficio", editor, []string{"LOCAL"}, network, network},
		"a reader of the network":      {"gateway", w.person(t, annotationsv1.Role_READER, "comuni/-"), nil, network, network},
		"an editor of another comune":  {"gateway", w.personOf(t, "nodes/pantelleria", annotationsv1.Role_EDITOR, "comuni/pantelleria"), nil, network, network},
		"a forged reach":               {"gateway", w.personOf(t, "nodes/pantelleria", annotationsv1.Role_EDITOR, "comuni/marsala"), nil, public, public},
		"a body of the third sector":   {"gateway", w.person(t, annotationsv1.Role_EDITOR, "comuni/marsala/organizations/aias"), nil, public, public},
		"the desk":                     {"gateway", w.person(t, annotationsv1.Role_SUPPORT_DESK, "comuni/marsala"), nil, network, network},
		"an auditor":                   {"gateway", w.person(t, annotationsv1.Role_AUDITOR, "nodes/marsala"), nil, public, public},
		"an administrator's account":   {"gateway", w.person(t, annotationsv1.Role_NODE_ADMINISTRATOR, "nodes/marsala"), nil, public, public},
	} {
		for server, want := range map[*policy.Policy]registryv1.Visibility{w.node: test.atNode, w.office: test.there} {
			caller, err := server.Authenticate(from(test.role, test.token, test.asks...))
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if got := caller.Reads(); got != want {
				t.Errorf("%s sees %s at the %s, want %s", name, got, map[*policy.Policy]string{w.node: "node", w.office: "office"}[server], want)
			}
		}
	}
}

func TestWhoMayCall(t *testing.T) {
	w := newWorld(t)
	const (
		ok        = registryv1.ErrorReason_ERROR_REASON_UNSPECIFIED
		forbidden = registryv1.ErrorReason_NOT_ALLOWED
		unknown   = registryv1.ErrorReason_NOT_SIGNED_IN
	)
	editor := w.person(t, annotationsv1.Role_EDITOR, "comuni/marsala")
	planner := w.person(t, annotationsv1.Role_PLANNER, "comuni/marsala")
	body := w.person(t, annotationsv1.Role_EDITOR, "comuni/marsala/organizations/aias")
	create := &registryv1.CreateServiceRequest{Parent: "comuni/marsala"}
	for _, test := range []struct {
		who, role, token string
		asks             []string
		method           string
		request          proto.Message
		want             registryv1.ErrorReason
	}{
		{"the web", "gateway", "", nil, registryv1.ServiceService_GetService_FullMethodName, &registryv1.GetServiceRequest{}, ok},
		{"the web", "gateway", "", nil, registryv1.ServiceService_CreateService_FullMethodName, create, unknown},
		{"the office by itself", "ufficio", "", nil, registryv1.ServiceService_CreateService_FullMethodName, create, forbidden},
		{"the office for the web", "ufficio", "", []string{"PUBLIC"}, registryv1.ServiceService_CreateService_FullMethodName, create, unknown},
		{"the office for the web", "ufficio", "", []string{"PUBLIC"}, feedv1.FeedService_WatchChanges_FullMethodName, &feedv1.WatchChangesRequest{}, forbidden},
		{"the office", "ufficio", "", nil, feedv1.FeedService_WatchChanges_FullMethodName, &feedv1.WatchChangesRequest{}, ok},
		{"another comune", "comune", "", nil, feedv1.FeedService_WatchChanges_FullMethodName, &feedv1.WatchChangesRequest{}, forbidden},
		{"the web", "gateway", "", nil, feedv1.FeedService_WatchChanges_FullMethodName, &feedv1.WatchChangesRequest{}, forbidden},
		{"an editor", "gateway", editor, nil, feedv1.FeedService_WatchChanges_FullMethodName, &feedv1.WatchChangesRequest{}, forbidden},
		{"an administrator", "admin", "", nil, registryv1.ServiceService_CreateService_FullMethodName, create, ok},
		{"an administrator", "admin", "", nil, adminv1.StoreService_StreamBackup_FullMethodName, &adminv1.StreamBackupRequest{}, forbidden},
		{"the socket", "", "", nil, adminv1.StoreService_StreamBackup_FullMethodName, &adminv1.StreamBackupRequest{}, ok},
		{"an editor", "gateway", editor, nil, adminv1.StoreService_StreamBackup_FullMethodName, &adminv1.StreamBackupRequest{}, forbidden},
		{"an editor", "gateway", editor, nil, registryv1.ServiceService_CreateService_FullMethodName, create, ok},
		{"an editor through the office", "ufficio", editor, []string{"NETWORK"}, registryv1.ServiceService_CreateService_FullMethodName, create, ok},
		{"an editor elsewhere", "gateway", editor, nil, registryv1.ServiceService_CreateService_FullMethodName, &registryv1.CreateServiceRequest{Parent: "comuni/pantelleria"}, forbidden},
		{"an editor of nothing", "gateway", editor, nil, registryv1.ServiceService_CreateService_FullMethodName, &registryv1.CreateServiceRequest{}, registryv1.ErrorReason_INVALID_FIELDS},
		{"a planner", "gateway", planner, nil, registryv1.ServiceService_CreateService_FullMethodName, create, forbidden},
		{"a planner", "gateway", planner, nil, registryv1.PlanService_CreatePlan_FullMethodName, &registryv1.CreatePlanRequest{Parent: "comuni/marsala"}, ok},
		{"a body", "gateway", body, nil, registryv1.ServiceService_CreateService_FullMethodName, create, ok},
		{"an editor", "gateway", editor, nil, deskv1.RequestService_GetRequest_FullMethodName, &deskv1.GetRequestRequest{Name: "comuni/marsala/requests/r1"}, forbidden},
		{"the desk", "gateway", w.person(t, annotationsv1.Role_SUPPORT_DESK, "comuni/marsala"), nil, deskv1.RequestService_GetRequest_FullMethodName, &deskv1.GetRequestRequest{Name: "comuni/marsala/requests/r1"}, ok},
		{"an administrator's certificate", "admin", "", nil, deskv1.RequestService_GetRequest_FullMethodName, &deskv1.GetRequestRequest{Name: "comuni/marsala/requests/r1"}, forbidden},
		{"an editor", "gateway", editor, nil, identityv1.SessionService_SignOut_FullMethodName, &identityv1.SignOutRequest{Parent: "nodes/marsala"}, ok},
		{"an editor, of others", "gateway", editor, nil, identityv1.SessionService_SignOut_FullMethodName, &identityv1.SignOutRequest{Parent: "nodes/pantelleria"}, forbidden},
		{"the web", "gateway", "", nil, identityv1.SessionService_SignOut_FullMethodName, &identityv1.SignOutRequest{Parent: "nodes/marsala"}, unknown},
		{"an auditor", "gateway", w.person(t, annotationsv1.Role_AUDITOR, "nodes/marsala"), nil, auditv1.AuditService_ListAuditEntries_FullMethodName, &auditv1.ListAuditEntriesRequest{Parent: "nodes/marsala"}, ok},
		{"the desk, of the node's messages", "gateway", w.person(t, annotationsv1.Role_SUPPORT_DESK, "comuni/marsala"), nil, adminv1.MessageService_ListMessages_FullMethodName, &adminv1.ListMessagesRequest{Parent: "nodes/marsala"}, ok},
		{"the desk, of another node's", "gateway", w.person(t, annotationsv1.Role_SUPPORT_DESK, "comuni/marsala"), nil, adminv1.MessageService_ListMessages_FullMethodName, &adminv1.ListMessagesRequest{Parent: "nodes/pantelleria"}, forbidden},
		{"a body, of the node's messages", "gateway", w.person(t, annotationsv1.Role_PUBLISHER, "comuni/marsala/organizations/aias"), nil, adminv1.MessageService_ListMessages_FullMethodName, &adminv1.ListMessagesRequest{Parent: "nodes/marsala"}, forbidden},
		{"another comune hands over a request", "comune", "", nil, deskv1.TransferService_ReceiveRequest_FullMethodName, &deskv1.ReceiveRequestRequest{}, ok},
		{"the office hands over a request", "ufficio", "", nil, deskv1.TransferService_ReceiveRequest_FullMethodName, &deskv1.ReceiveRequestRequest{}, forbidden},
		{"an auditor elsewhere", "gateway", w.person(t, annotationsv1.Role_AUDITOR, "nodes/marsala"), nil, auditv1.AuditService_ListAuditEntries_FullMethodName, &auditv1.ListAuditEntriesRequest{Parent: "nodes/pantelleria"}, forbidden},
	} {
		caller, err := w.node.Authenticate(from(test.role, test.token, test.asks...))
		if err != nil {
			t.Errorf("%s: %v", test.who, err)
			continue
		}
		rule, known := w.node.Rule(test.method)
		if !known {
			t.Fatalf("no rule of %s", test.method)
		}
		if err = w.node.Admit(caller, rule); err == nil {
			err = w.node.Decide(caller, rule, test.request)
		}
		if got := apierror.Reason(err); got != test.want {
			t.Errorf("%s calls %s: %v, want %s", test.who, test.method, err, test.want)
		}
	}
}

func TestBadAuthorizationIsNobody(t *testing.T) {
	w := newWorld(t)
	for _, value := range []string{"", "Bearer", "Bearer ", "Basic YTpi", "Bearer x", "Bearer a.b.c"} {
		ctx := metadata.NewIncomingContext(context.Background(), metadata.Pairs("authorization", value))
		if _, err := w.node.Authenticate(ctx); apierror.Reason(err) != registryv1.ErrorReason_NOT_SIGNED_IN {
			t.Errorf("authorization %q: %v", value, err)
		}
	}
	twice := metadata.NewIncomingContext(context.Background(), metadata.Pairs("authorization", "Bearer a", "authorization", "Bearer b"))
	if _, err := w.node.Authenticate(twice); apierror.Reason(err) != registryv1.ErrorReason_NOT_SIGNED_IN {
		t.Errorf("two tokens: %v", err)
	}
}

// Who may change a record is not always who may show it, and a body of the third
// sector changes its own cards alone.
func TestWhoMayChangeAndShow(t *testing.T) {
	w := newWorld(t)
	of := func(v registryv1.Visibility, organization string) proto.Message {
		return &registryv1.Service{Name: "comuni/marsala/services/s1", Visibility: v, ResponsibleOrganization: organization}
	}
	const aias, other = "comuni/marsala/organizations/aias", "comuni/marsala/organizations/other"
	for _, test := range []struct {
		role          annotationsv1.Role
		scope         string
		before, after proto.Message
		may           bool
	}{
		{annotationsv1.Role_EDITOR, "comuni/marsala", nil, of(local, ""), true},
		{annotationsv1.Role_EDITOR, "comuni/marsala", nil, of(network, ""), false},
		{annotationsv1.Role_EDITOR, "comuni/marsala", nil, of(0, ""), false}, // not said is PUBLIC
		{annotationsv1.Role_EDITOR, "comuni/marsala", of(public, ""), of(public, ""), true},
		{annotationsv1.Role_EDITOR, "comuni/marsala", of(network, ""), of(public, ""), false},
		{annotationsv1.Role_EDITOR, "comuni/marsala", of(public, ""), of(local, ""), true},
		{annotationsv1.Role_PUBLISHER, "comuni/marsala", of(local, ""), of(public, ""), true},
		{annotationsv1.Role_PUBLISHER, "comuni/marsala", nil, of(public, ""), true},
		{annotationsv1.Role_EDITOR, aias, nil, of(local, aias), true},
		{annotationsv1.Role_EDITOR, aias, nil, of(local, other), false},
		{annotationsv1.Role_EDITOR, aias, nil, of(local, ""), false},
		{annotationsv1.Role_EDITOR, aias, of(public, other), of(public, aias), false},
		{annotationsv1.Role_EDITOR, aias, of(public, aias), of(public, other), false},
		{annotationsv1.Role_EDITOR, aias, nil, of(public, aias), false},
		{annotationsv1.Role_PUBLISHER, aias, nil, of(public, aias), true},
		{annotationsv1.Role_PUBLISHER, aias, nil, of(public, other), false},
	} {
		caller, err := w.node.Authenticate(from("gateway", w.person(t, test.role, test.scope)))
		if err != nil {
			t.Fatal(err)
		}
		rule, _ := w.node.Rule(registryv1.ServiceService_UpdateService_FullMethodName)
		request := &registryv1.UpdateServiceRequest{Service: &registryv1.Service{Name: "comuni/marsala/services/s1"}}
		if err := w.node.Decide(caller, rule, request); err != nil {
			t.Fatal(err)
		}
		if err := caller.MayChange(test.before, test.after); (err == nil) != test.may {
			t.Errorf("%s over %s, from %v to %v: %v", test.role, test.scope, test.before, test.after, err)
		}
	}
}
