package e2e

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"cidsistem.example/deploy/demo"
	"cidsistem.example/proto/access"
	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/annotationsv1"
	"cidsistem.example/proto/gen/identityv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/platform/identity"
)

// A caller is one way to come to a server: with a certificate, and perhaps as
// somebody.
type caller struct {
	name string
	// role is that of the certificate; empty: the local socket.
	role string
	// issuer keeps the account of a person; empty: nobody.
	issuer string
	grant  *identityv1.Grant
	token  string
}

// callers are one of each kind: every role over the comune of Marsala, over
// another comune, at the office, over an organisation, and every certificate.
func (f *federation) callers(t *testing.T) []caller {
	t.Helper()
	all := []caller{
		{name: "the local socket"},
		{name: "an administrator's certificate", role: identity.RoleAdmin},
		{name: "another comune's server", role: identity.RoleComune},
		{name: "an ufficio comune", role: identity.RoleUfficio},
		{name: "nobody", role: identity.RoleGateway},
	}
	person := func(node string, role annotationsv1.Role, scope string) {
		c := caller{
			name: role.String() + " of " + node + " over " + scope, role: identity.RoleGateway, issuer: "nodes/" + node,
			grant: &identityv1.Grant{Role: role, Scope: scope},
		}
		c.token = f.enrol(t, node, c.grant)
		all = append(all, c)
	}
	for _, number := range slices.Sorted(maps.Keys(annotationsv1.Role_name)) {
		role := annotationsv1.Role(number)
		switch role {
		case annotationsv1.Role_ROLE_UNSPECIFIED:
		case annotationsv1.Role_NODE_ADMINISTRATOR, annotationsv1.Role_AUDITOR:
			for _, node := range []string{"marsala", "pantelleria", demo.Office} {
				person(node, role, "nodes/"+node)
			}
		case annotationsv1.Role_READER:
			person("marsala", role, "comuni/-")
			person(demo.Office, role, "comuni/-")
		default:
			person("marsala", role, "comuni/marsala")
			person("pantelleria", role, "comuni/pantelleria")
		}
	}
	person("marsala", annotationsv1.Role_EDITOR, "comuni/marsala/organizations/aias")
	person(demo.Office, annotationsv1.Role_PLANNER, "comuni/-")
	return all
}

// enrol makes an account with a grant and signs it in through the office.
func (f *federation) enrol(t *testing.T, node string, grant *identityv1.Grant) string {
	t.Helper()
	ctx, parent := t.Context(), "nodes/"+node
	accounts, sessions := identityv1.NewAccountServiceClient(f.local(t, node)), identityv1.NewSessionServiceClient(f.local(t, node))
	login, password := strings.ToLower(rand.Text()), rand.Text()
	account, err := accounts.CreateAccount(ctx, &identityv1.CreateAccountRequest{Parent: parent, Account: &identityv1.Account{
		Login: login, DisplayName: "Ufficio di prova", Grants: []*identityv1.Grant{grant},
	}})
	if err != nil {
		t.Fatal(err)
	}
	invitation, err := accounts.InviteAccount(ctx, &identityv1.InviteAccountRequest{Name: account.GetName()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sessions.RedeemInvitation(ctx, &identityv1.RedeemInvitationRequest{Parent: parent, Code: invitation.GetCode(), Password: password}); err != nil {
		t.Fatal(err)
	}
	through := identityv1.NewSessionServiceClient(f.conn(t, demo.Office))
	answer, err := through.SignIn(ctx, &identityv1.SignInRequest{Parent: parent, Login: login, Password: password})
	if err != nil {
		t.Fatal(err)
	}
	return answer.GetSession().GetAccessToken()
}

// A verdict is what became of a call, as far as the caller's rights go.
type verdict string

const (
	allowed   verdict = "allowed" // whatever else was wrong with it
	forbidden verdict = "NOT_ALLOWED"
	stranger  verdict = "NOT_SIGNED_IN"
)

func verdictOf(reason string) verdict {
	if v := verdict(reason); v == forbidden || v == stranger {
		return v
	}
	return allowed
}

// declared is what the rule says, read once more and independently: of a caller
// at a server, "marsala" or the office, about a comune or a node.
func declared(rule access.Rule, c caller, server, about string) verdict {
	if c.issuer != "" && server != demo.Office && c.issuer != "nodes/"+server {
		return stranger // a node believes its own people alone
	}
	ownPower := ownPower(rule, server, about)
	switch {
	case rule.GetAnyone():
		return allowed
	case c.role == "" && ownPower:
		return allowed
	case c.role == "":
		return stranger
	case rule.GetLocalOnly():
		return forbidden
	}
	if c.grant == nil {
		for _, role := range rule.GetServers() {
			if strings.EqualFold(role.String(), c.role) {
				if ownPower {
					return allowed
				}
				return stranger
			}
		}
		if c.role == identity.RoleGateway && (rule.GetSelf() || len(rule.GetRoles()) > 0) {
			return stranger
		}
		return forbidden
	}
	if rule.GetSelf() && about == c.issuer {
		return allowed
	}
	scope := c.grant.GetScope()
	if comune, _, kept := access.ComuneOf(scope); kept && rule.GetWhole() {
		return forbidden
	} else if kept {
		scope = comune // decided about the record, once it is known
	}
	if slices.Contains(rule.GetRoles(), c.grant.GetRole()) && access.Covers(scope, about) {
		return allowed
	}
	return forbidden
}

// ownPower tells whether a server answers a call by itself: the ufficio comune
// has no power of its own over a comune's records.
func ownPower(rule access.Rule, server, about string) bool {
	return server != demo.Office || !strings.HasPrefix(about, "comuni/") || !strings.HasPrefix(rule.Method, "/cidsistem.registry.")
}

// incomplete tells whether a request with nothing but a name lacks something.
func incomplete(m method) bool { return strings.HasPrefix(string(m.descriptor.Name()), "Create") }

// about makes the name that a call shall be about: something that is not there,
// inside a comune or a node, in the form that the method wants.
func about(rule access.Rule, m method, comune string) string {
	if rule.GetAbout() == "" {
		return ""
	}
	form := "comuni/*"
	for _, http := range m.rules() {
		for _, text := range []string{http.GetGet(), http.GetPost(), http.GetPatch(), http.GetDelete()} {
			if _, rest, found := strings.Cut(text, "{"+rule.GetAbout()+"="); found {
				form, _, _ = strings.Cut(rest, "}")
			}
		}
	}
	name := strings.Replace(form, "*", comune, 1)
	return strings.ReplaceAll(name, "*", "non-esiste")
}

// asking makes a request about a name, with nothing else in it.
func asking(rule access.Rule, m method, name string) proto.Message {
	request := m.input.New()
	if name == "" {
		return request.Interface()
	}
	at := request
	path := strings.Split(rule.GetAbout(), ".")
	for _, field := range path[:len(path)-1] {
		at = at.Mutable(at.Descriptor().Fields().ByName(protoreflect.Name(field))).Message()
	}
	at.Set(at.Descriptor().Fields().ByName(protoreflect.Name(path[len(path)-1])), protoreflect.ValueOfString(name))
	return request.Interface()
}

// patience is how long a stream may keep a caller waiting who was let in.
const patience = 3 * time.Second

// over makes a call over gRPC.
func (c caller) over(ctx context.Context, conn grpc.ClientConnInterface, m method, request proto.Message) (verdict, error) {
	if c.token != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+c.token)
	}
	var err error
	if m.descriptor.IsStreamingServer() || m.descriptor.IsStreamingClient() {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		var stream grpc.ClientStream
		stream, err = conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: m.descriptor.IsStreamingServer(), ClientStreams: m.descriptor.IsStreamingClient()}, m.full())
		if err == nil {
			if err = errors.Join(stream.SendMsg(request), stream.CloseSend()); err == nil || errors.Is(err, io.EOF) {
				err = stream.RecvMsg(m.output.New().Interface())
			}
		}
	} else {
		err = conn.Invoke(ctx, m.full(), request, m.output.New().Interface())
	}
	return verdictOf(apierror.Reason(err).String()), nil
}

// TestEveryoneAtEveryDoor walks through every RPC of every server and every REST
// path, as everybody, about the own comune and another one, and compares with
// what the contract declares.
func TestEveryoneAtEveryDoor(t *testing.T) {
	f := start(t, demo.Options{})
	gateway, err := f.AddGateway(t.Context(), "marsala")
	if err != nil {
		t.Fatal(err)
	}
	rules, err := access.Rules()
	if err != nil {
		t.Fatal(err)
	}
	everybody := f.callers(t)
	servers := map[string]string{"marsala": gateway, demo.Office: f.HTTP()} // by gateway
	tried := map[string]int{}
	for _, rule := range rules {
		m := fullMethod(t, rule.Method)
		if ending(rule.Method) {
			continue // ends the caller's session: last
		}
		for server, address := range servers {
			for _, c := range everybody {
				if rule.GetSelf() && c.role == "" {
					continue // the socket is nobody's own
				}
				for _, comune := range []string{"marsala", "pantelleria"} {
					name := about(rule, m, comune)
					if comune != "marsala" && name == about(rule, m, "marsala") {
						continue
					}
					want := declared(rule, c, server, orItself(name, server))
					got, err := c.over(t.Context(), f.as(t, c.role, server), m, asking(rule, m, name))
					tried["gRPC"]++
					if got == allowed && incomplete(m) && c.grant == nil && !ownPower(rule, server, name) {
						continue // refused by the office for what it lacks, before the owner could say whose it is
					}
					if err != nil || got != want {
						t.Errorf("%s at %s, %s about %q: %s, declared is %s (%v)", c.name, server, rule.Method, name, got, want, err)
					}
					if c.role != identity.RoleGateway {
						continue
					}
					for _, http := range m.rules() {
						if name == "" && strings.Contains(http.String(), "{") {
							continue // its path names something, which the rule is not about
						}
						tried["REST"]++
						if got, err := c.overREST(t.Context(), address, http, asking(rule, m, name)); err != nil || got != want {
							t.Errorf("%s at the gateway of %s, %s about %q: %s, declared is %s (%v)", c.name, server, rule.Method, name, got, want, err)
						}
					}
				}
			}
		}
	}
	tried["records"] = f.everyRecord(t, everybody)
	f.everybodyLeaves(t, everybody)
	t.Logf("%d RPCs × %d callers × own and other comune × 2 servers: %d calls over gRPC, %d over REST; %d readings of records of three visibilities",
		len(rules), len(everybody), tried["gRPC"], tried["REST"], tried["records"])
}

// everybodyLeaves signs out all persons through the office; their tokens are good
// no longer, at once, where they signed out and where the account is.
func (f *federation) everybodyLeaves(t *testing.T, everybody []caller) {
	t.Helper()
	out, own := fullMethod(t, identityv1.SessionService_SignOut_FullMethodName), fullMethod(t, identityv1.SessionService_GetOwnAccount_FullMethodName)
	for _, c := range everybody {
		if c.issuer == "" {
			continue
		}
		ask := func(server string, m method) verdict {
			request := m.input.New()
			request.Set(request.Descriptor().Fields().ByName("parent"), protoreflect.ValueOfString(c.issuer))
			got, err := c.over(t.Context(), f.as(t, identity.RoleGateway, server), m, request.Interface())
			if err != nil {
				t.Fatal(err)
			}
			return got
		}
		if got := ask(demo.Office, out); got != allowed {
			t.Errorf("%s signs out: %s", c.name, got)
		}
		for _, server := range []string{demo.Office, strings.TrimPrefix(c.issuer, "nodes/")} {
			if got := ask(server, own); got != stranger {
				t.Errorf("%s after signing out, at %s: %s", c.name, server, got)
			}
		}
	}
}

// ending tells whether a method ends the caller's own session when it succeeds.
func ending(full string) bool { return full == identityv1.SessionService_SignOut_FullMethodName }

func orItself(name, server string) string {
	if name == "" {
		return "nodes/" + server
	}
	return name
}

func fullMethod(t *testing.T, full string) method {
	t.Helper()
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(strings.ReplaceAll(full[1:], "/", ".")))
	if err != nil {
		t.Fatal(err)
	}
	m := method{descriptor: d.(protoreflect.MethodDescriptor)}
	if m.input, err = protoregistry.GlobalTypes.FindMessageByName(m.descriptor.Input().FullName()); err == nil {
		m.output, err = protoregistry.GlobalTypes.FindMessageByName(m.descriptor.Output().FullName())
	}
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// as is a connection to a server with a certificate of a role, or to its local
// socket; made once.
func (f *federation) as(t *testing.T, role, server string) *grpc.ClientConn {
	t.Helper()
	if role == "" {
		return f.local(t, server)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	key := role + "@" + server
	if f.conns[key] == nil {
		conn, err := f.connAs(role, server)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		if f.conns == nil {
			f.conns = map[string]*grpc.ClientConn{}
		}
		f.conns[key] = conn
	}
	return f.conns[key]
}

// everyRecord reads records of each kind and visibility as everybody, by name and
// in lists, and returns how many readings there were.
func (f *federation) everyRecord(t *testing.T, everybody []caller) (readings int) {
	t.Helper()
	const comune = "marsala"
	for kind, e := range examples(t) {
		k := catalog.ByCollection(kind)
		r := run{transport: grpcTransport{conn: f.conn(t, comune)}, failed: t.Fatalf, vars: variables{"comune": comune, "id": "visto-" + k.Singular}}
		r.play(t.Context(), e.Given)
		if err := r.vars.describe(k, e); err != nil {
			t.Fatal(err)
		}
		names := map[registryv1.Visibility]string{}
		for _, v := range []registryv1.Visibility{registryv1.Visibility_PUBLIC, registryv1.Visibility_NETWORK, registryv1.Visibility_LOCAL} {
			record := maps.Clone(r.vars["record"].(map[string]any))
			record["visibility"] = v.String()
			id := strings.ToLower(v.String()) + "-" + k.Singular
			r.play(t.Context(), []step{{Call: "${kind}Service.Create${kind}", Request: map[string]any{"parent": r.vars["parent"], k.Singular: record, k.Singular + "Id": id}}})
			names[v] = r.vars["parent"].(string) + "/" + kind + "/" + id
		}
		f.settle(t)
		get, _ := k.Method(catalog.Get)
		for _, server := range []string{comune, demo.Office} {
			for _, c := range everybody {
				if c.issuer != "" && server != demo.Office && c.issuer != "nodes/"+server {
					continue // is not let in at all
				}
				for v, name := range names {
					readings++
					ctx := t.Context()
					if c.token != "" {
						ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+c.token)
					}
					request := get.NewRequest()
					request.ProtoReflect().Set(request.ProtoReflect().Descriptor().Fields().ByName("name"), protoreflect.ValueOfString(name))
					err := f.as(t, c.role, server).Invoke(ctx, get.Full, request, get.NewResponse())
					if got, want := err == nil, v <= sees(c, server, comune); got != want {
						t.Errorf("%s at %s reads %s: %v, want %t", c.name, server, name, err, want)
					}
				}
			}
		}
	}
	return readings
}

// sees is what the design says of whom: everybody what is public, those who work
// in the federation what is for it, those who work on a comune's records all of
// them, at its node and nowhere else.
func sees(c caller, server, comune string) registryv1.Visibility {
	most := registryv1.Visibility_LOCAL
	if server == demo.Office {
		most = registryv1.Visibility_NETWORK
	}
	if c.grant == nil {
		return min(most, map[string]registryv1.Visibility{
			"": registryv1.Visibility_LOCAL, identity.RoleAdmin: registryv1.Visibility_LOCAL, identity.RoleComune: registryv1.Visibility_NETWORK,
			identity.RoleUfficio: registryv1.Visibility_NETWORK, identity.RoleGateway: registryv1.Visibility_PUBLIC,
		}[c.role])
	}
	if strings.Contains(c.grant.GetScope(), "/organizations/") {
		return registryv1.Visibility_PUBLIC
	}
	switch c.grant.GetRole() {
	case annotationsv1.Role_EDITOR, annotationsv1.Role_PUBLISHER, annotationsv1.Role_PLANNER:
		if c.grant.GetScope() == "comuni/"+comune {
			return most
		}
		return registryv1.Visibility_NETWORK
	case annotationsv1.Role_READER, annotationsv1.Role_SUPPORT_DESK:
		return registryv1.Visibility_NETWORK
	default:
		return registryv1.Visibility_PUBLIC
	}
}

// overREST makes a call over REST.
func (c caller) overREST(ctx context.Context, address string, rule *annotations.HttpRule, request proto.Message) (verdict, error) {
	r, err := transcode(rule, request)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	r.header = http.Header{}
	if r.body != nil {
		r.header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		r.header.Set("Authorization", "Bearer "+c.token)
	}
	response, err := restTransport{address: address}.send(ctx, r)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	switch response.StatusCode {
	case http.StatusForbidden:
		return forbidden, nil
	case http.StatusUnauthorized:
		body, err := io.ReadAll(response.Body)
		if err != nil || response.Header.Get("WWW-Authenticate") == "" {
			return "", fmt.Errorf("401 without a challenge: %w", err)
		}
		p, err := problemOf(response, body)
		return verdictOf(p.Reason), err
	}
	return allowed, nil
}
