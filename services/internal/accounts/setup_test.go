package accounts_test

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"buf.build/go/protovalidate"
	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/annotationsv1"
	"cidsistem.example/proto/gen/auditv1"
	"cidsistem.example/proto/gen/identityv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/accounts"
	"cidsistem.example/services/internal/policy"
	"cidsistem.example/services/internal/store"
	"cidsistem.example/services/internal/tokens"
	"cidsistem.example/services/internal/vault"
	"cidsistem.example/services/platform/identity"
)

const (
	node   = "nodes/marsala"
	comune = "comuni/marsala"
	site   = "https://cid.example"
	// secret is a password that nobody refuses.
	secret = "sette Gabbiani sul molo"
	other  = "tramonto, Saline e vento"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func got[T any](t testing.TB) func(value T, err error) T {
	return func(value T, err error) T {
		t.Helper()
		must(t, err)
		return value
	}
}

// refused fails unless a call was refused for a reason.
func refused(t testing.TB, err error, want registryv1.ErrorReason) {
	t.Helper()
	if got := apierror.Reason(err); got != want {
		t.Fatalf("refused with %s (%v), not %s", got, err, want)
	}
}

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

// A server is that of Marsala with its accounts.
type server struct {
	*accounts.Accounts
	t        testing.TB
	clock    *clock
	store    *store.Store
	folder   string
	verifier *tokens.Verifier
	log      *bytes.Buffer
}

func (s *server) path() string { return filepath.Join(s.folder, "registry.db") }

// open opens a server; change may change its options.
func open(t testing.TB, change func(accounts.Options) accounts.Options) *server {
	t.Helper()
	c := newClock()
	return openAt(t, t.TempDir(), c, c.Now, change)
}

func openAt(t testing.TB, folder string, c *clock, now func() time.Time, change func(accounts.Options) accounts.Options) *server {
	t.Helper()
	s := &server{t: t, clock: c, folder: folder, log: &bytes.Buffer{}, verifier: tokens.NewVerifier("marsala", now)}
	log := slog.New(slog.NewTextHandler(&guarded{w: s.log}, nil))
	var err error
	s.store, err = store.Open(store.Options{Path: s.path(), ServerID: "marsala", Comune: "marsala", Now: now, NoSync: true, Logger: log})
	must(t, err)
	t.Cleanup(func() { _ = s.store.Close() })
	v, err := vault.Open(t.Context(), s.store, filepath.Join(s.folder, "master.key"))
	must(t, err)
	options := accounts.Cheap(accounts.Options{
		Store: s.store, Vault: v, Verifier: s.verifier, Server: "marsala", Logger: log, Validate: validate,
		RelyingParty: accounts.RelyingParty{ID: "cid.example", Origins: []string{site}},
	})
	if change != nil {
		options = change(options)
	}
	s.Accounts, err = accounts.Open(t.Context(), options)
	must(t, err)
	return s
}

// guarded lets many write.
type guarded struct {
	mu sync.Mutex
	w  *bytes.Buffer
}

func (g *guarded) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.w.Write(p)
}

func validate(message proto.Message, path string) error {
	if err := protovalidate.Validate(message); err != nil {
		return apierror.Invalid(path, err.Error())
	}
	return nil
}

var gateway = &identity.ID{TrustDomain: "cidsistem.example", Role: identity.RoleGateway, Name: "edge"}

// from is a call of a stranger through the gateway, from a network.
func (s *server) from(network string) context.Context {
	ctx := metadata.NewIncomingContext(s.t.Context(), metadata.Pairs("cid-client", network))
	return policy.With(ctx, &policy.Caller{Via: gateway})
}

// home is where most people sit.
func (s *server) home() context.Context { return s.from("192.0.2.1") }

// as is a call of somebody who is signed in, as the interceptor makes it.
func (s *server) as(session *identityv1.Session) context.Context {
	s.t.Helper()
	claims, err := s.verifier.Verify(session.GetAccessToken())
	must(s.t, err)
	return policy.With(s.t.Context(), &policy.Caller{Person: claims, Via: gateway})
}

// administrator makes one and signs in.
func (s *server) administrator() *identityv1.Session {
	s.t.Helper()
	first := s.create("capo", &identityv1.Grant{Role: annotationsv1.Role_NODE_ADMINISTRATOR, Scope: node})
	return s.redeem(s.invite(first)).GetSession()
}

func (s *server) redeem(code string) *identityv1.SignInResponse {
	s.t.Helper()
	return got[*identityv1.SignInResponse](s.t)(s.RedeemInvitation(s.home(), &identityv1.RedeemInvitationRequest{Parent: node, Code: code, Password: secret}))
}

var editor = &identityv1.Grant{Role: annotationsv1.Role_EDITOR, Scope: comune}

func (s *server) create(login string, grants ...*identityv1.Grant) *identityv1.Account {
	s.t.Helper()
	if grants == nil {
		grants = []*identityv1.Grant{editor}
	}
	return got[*identityv1.Account](s.t)(s.CreateAccount(s.t.Context(), &identityv1.CreateAccountRequest{
		Parent: node, Account: &identityv1.Account{Login: login, DisplayName: "Nome di " + login, Grants: grants},
	}))
}

func (s *server) invite(account *identityv1.Account) string {
	s.t.Helper()
	return got[*identityv1.InviteAccountResponse](s.t)(s.InviteAccount(s.t.Context(), &identityv1.InviteAccountRequest{Name: account.GetName()})).GetCode()
}

// person makes an account that has chosen its password, and signs it in.
func (s *server) person(login string, grants ...*identityv1.Grant) *identityv1.Session {
	s.t.Helper()
	return s.redeem(s.invite(s.create(login, grants...))).GetSession()
}

func (s *server) signIn(ctx context.Context, login, password string) (*identityv1.SignInResponse, error) {
	return s.SignIn(ctx, &identityv1.SignInRequest{Parent: node, Login: login, Password: password})
}

// addTOTP adds a TOTP and returns its secret.
func (s *server) addTOTP(session *identityv1.Session) string {
	s.t.Helper()
	begun := got[*identityv1.BeginFactorResponse](s.t)(s.BeginFactor(s.as(session), &identityv1.BeginFactorRequest{Parent: node, Kind: identityv1.Factor_TOTP, Password: secret}))
	key := got[*otp.Key](s.t)(otp.NewKeyFromURL(begun.GetTotpUri()))
	_, err := s.FinishFactor(s.as(session), &identityv1.FinishFactorRequest{Parent: node, Token: begun.GetToken(), Label: "telefono", TotpCode: s.code(key.Secret())})
	must(s.t, err)
	s.clock.pass(time.Minute) // a code is good once, the one above too
	return key.Secret()
}

// code is what an authenticator shows now.
func (s *server) code(key string) string {
	s.t.Helper()
	return got[string](s.t)(totp.GenerateCode(key, s.clock.Now()))
}

func (s *server) answerTOTP(ctx context.Context, token, code string) (*identityv1.Session, error) {
	return s.AnswerChallenge(ctx, &identityv1.AnswerChallengeRequest{Parent: node, Token: token, Answer: &identityv1.AnswerChallengeRequest_TotpCode{TotpCode: code}})
}

func (s *server) refresh(token string) (*identityv1.Session, error) {
	return s.RefreshSession(s.home(), &identityv1.RefreshSessionRequest{Parent: node, RefreshToken: token})
}

// audited are the entries of the audit log as "outcome actor action resource (reason) × count".
func (s *server) audited() []*auditv1.AuditEntry {
	s.t.Helper()
	var list []*auditv1.AuditEntry
	must(s.t, s.store.View(func(r store.Reader) error {
		for entry, err := range r.AuditEntries(1, false) {
			if err != nil {
				return err
			}
			list = append(list, entry)
		}
		return nil
	}))
	return list
}

// noted tells how many times something stands in the audit log.
func (s *server) noted(actor, action string, outcome auditv1.AuditEntry_Outcome) (times int64) {
	s.t.Helper()
	for _, entry := range s.audited() {
		if entry.GetActor() == actor && strings.HasSuffix(entry.GetAction(), action) && entry.GetOutcome() == outcome {
			times += entry.GetCount()
		}
	}
	return times
}

// dial is a real connection to the services, without interceptors.
func (s *server) dial() *grpc.ClientConn {
	s.t.Helper()
	listener := bufconn.Listen(1 << 16)
	g := grpc.NewServer()
	s.Register(g)
	served := make(chan error, 1)
	go func() { served <- g.Serve(listener) }()
	s.t.Cleanup(func() { g.Stop(); <-served })
	conn, err := grpc.NewClient("passthrough:///marsala", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	must(s.t, err)
	s.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// everything that stands in the data file and in the log.
func (s *server) bytes() []byte {
	s.t.Helper()
	data, err := os.ReadFile(s.path())
	must(s.t, err)
	return append(data, s.log.Bytes()...)
}
