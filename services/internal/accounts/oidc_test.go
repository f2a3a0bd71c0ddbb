package accounts_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	provided "github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"cidsistem.example/proto/gen/annotationsv1"
	"cidsistem.example/proto/gen/auditv1"
	"cidsistem.example/proto/gen/identityv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/accounts"
)

const portal = "https://portal.example/rientro"

// An issuer is a real OIDC provider over loopback HTTP, at which the same person
// always signs in.
type issuer struct {
	*provided.Storage
	server *httptest.Server

	mu    sync.Mutex
	roles []string // in the claim "ruoli"
}

func (i *issuer) GetUserByID(id string) *provided.User {
	return &provided.User{ID: id, Username: id, Password: id}
}
func (i *issuer) GetUserByUsername(name string) *provided.User { return i.GetUserByID(name) }
func (i *issuer) ExampleClientID() string                      { return "" }

func (i *issuer) SetUserinfoFromRequest(ctx context.Context, info *oidc.UserInfo, token op.IDTokenRequest, scopes []string) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	info.AppendClaims("ruoli", i.roles)
	return i.Storage.SetUserinfoFromRequest(ctx, info, token, scopes)
}

func (i *issuer) says(roles ...string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.roles = roles
}

// newIssuer starts one at which a person with a subject signs in.
func newIssuer(t *testing.T, subject string) *issuer {
	t.Helper()
	i := &issuer{}
	i.Storage = provided.NewStorage(i)
	provided.RegisterClients(provided.WebClient("marsala", "the secret of the client", portal))
	mux := http.NewServeMux()
	i.server = httptest.NewServer(mux)
	t.Cleanup(i.server.Close)
	config := &op.Config{CryptoKey: [32]byte{1}, CryptoKeyId: "one", CodeMethodS256: true}
	provider := got[*op.Provider](t)(op.NewProvider(config, i, op.StaticIssuer(i.server.URL), op.WithAllowInsecure()))
	mux.Handle("/", provider)
	mux.Handle("/login/username", op.NewIssuerInterceptor(provider.IssuerFromRequest).HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.FormValue("authRequestID")
		if err := i.CheckUsernamePassword(subject, subject, id); err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		http.Redirect(w, r, op.AuthCallbackURL(provider)(r.Context(), id), http.StatusFound)
	}))
	return i
}

// comesBack goes where a browser is sent, until it is sent to the portal.
func comesBack(t *testing.T, address string) url.Values {
	t.Helper()
	client := &http.Client{Timeout: 10 * time.Second, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), portal) {
			return http.ErrUseLastResponse
		}
		return nil
	}}
	response, err := client.Get(address)
	must(t, err)
	defer func() { _ = response.Body.Close() }()
	at, err := response.Location()
	if err != nil {
		t.Fatalf("the issuer answers %s", response.Status)
	}
	return at.Query()
}

// withIssuer opens a server that lets people sign in at an issuer.
func withIssuer(t *testing.T, i *issuer, change func(*accounts.OIDC)) *server {
	t.Helper()
	folder := t.TempDir()
	file := filepath.Join(folder, "client-secret")
	must(t, os.WriteFile(file, []byte("the secret of the client\n"), 0o600))
	settings := &accounts.OIDC{Issuer: i.server.URL, ClientID: "marsala", ClientSecretFile: file, RedirectURL: portal}
	if change != nil {
		change(settings)
	}
	return openAt(t, folder, newClock(), time.Now, func(o accounts.Options) accounts.Options { o.OIDC = settings; return o })
}

func (s *server) beginOIDC() *identityv1.BeginOidcSignInResponse {
	s.t.Helper()
	return got[*identityv1.BeginOidcSignInResponse](s.t)(s.BeginOidcSignIn(s.home(), &identityv1.BeginOidcSignInRequest{Parent: node}))
}

func (s *server) finishOIDC(token, state, code string) (*identityv1.Session, error) {
	return s.FinishOidcSignIn(s.home(), &identityv1.FinishOidcSignInRequest{Parent: node, Token: token, State: state, Code: code})
}

func (s *server) viaIssuer(t *testing.T) (*identityv1.Session, error) {
	t.Helper()
	begun := s.beginOIDC()
	back := comesBack(t, begun.GetAuthorizationUrl())
	return s.finishOIDC(begun.GetToken(), back.Get("state"), back.Get("code"))
}

func TestSigningInAtAnIssuer(t *testing.T) {
	i := newIssuer(t, "soggetto-1")
	s := withIssuer(t, i, nil)
	_, err := s.viaIssuer(t)
	refused(t, err, registryv1.ErrorReason_SIGN_IN_REFUSED) // nobody has the subject

	known := got[*identityv1.Account](t)(s.CreateAccount(t.Context(), &identityv1.CreateAccountRequest{Parent: node, Account: &identityv1.Account{
		Login: "chi", DisplayName: "Chi", OidcSubject: "soggetto-1", Grants: []*identityv1.Grant{editor},
	}}))
	session := got[*identityv1.Session](t)(s.viaIssuer(t))
	claims, err := s.verifier.Verify(session.GetAccessToken())
	must(t, err)
	if claims.Account != known.GetName() || !cmp.Equal(claims.Methods, []string{"oidc"}) || len(claims.Grants) != 1 {
		t.Errorf("the token says %+v", claims)
	}
	if got := s.noted(known.GetName(), "FinishOidcSignIn", auditv1.AuditEntry_DONE); got != 1 {
		t.Errorf("the audit log has %d sign-ins", got)
	}

	// What came back is good once, for the one who began, in one piece.
	begun, another := s.beginOIDC(), s.beginOIDC()
	at := got[*url.URL](t)(url.Parse(begun.GetAuthorizationUrl())).Query()
	if at.Get("code_challenge_method") != "S256" || len(at.Get("code_challenge")) != 43 || at.Get("nonce") == "" || at.Get("state") == "" {
		t.Errorf("the browser is sent with %v", at)
	}
	back := comesBack(t, begun.GetAuthorizationUrl())
	for what, c := range map[string][3]string{
		"another state":                   {begun.GetToken(), "another", back.Get("code")},
		"the token of another sign-in":    {another.GetToken(), back.Get("state"), back.Get("code")},
		"a token of another kind":         {s.askPasskey().GetToken(), back.Get("state"), back.Get("code")},
		"another's verifier and the code": {another.GetToken(), got[*url.URL](t)(url.Parse(another.GetAuthorizationUrl())).Query().Get("state"), back.Get("code")},
	} {
		_, err := s.finishOIDC(c[0], c[1], c[2])
		if err == nil {
			t.Errorf("%s was taken", what)
			continue
		}
		refused(t, err, registryv1.ErrorReason_SIGN_IN_REFUSED)
	}
	begun = s.beginOIDC()
	back = comesBack(t, begun.GetAuthorizationUrl())
	got[*identityv1.Session](t)(s.finishOIDC(begun.GetToken(), back.Get("state"), back.Get("code")))
	_, err = s.finishOIDC(begun.GetToken(), back.Get("state"), back.Get("code"))
	refused(t, err, registryv1.ErrorReason_SIGN_IN_REFUSED)

	// Who signs in there does not sign in here, and a suspended account nowhere.
	_, err = s.InviteAccount(t.Context(), &identityv1.InviteAccountRequest{Name: known.GetName()})
	refused(t, err, registryv1.ErrorReason_INVALID_FIELDS)
	_, err = s.UpdateAccount(t.Context(), &identityv1.UpdateAccountRequest{Account: &identityv1.Account{Name: known.GetName(), State: identityv1.Account_SUSPENDED}})
	must(t, err)
	_, err = s.viaIssuer(t)
	refused(t, err, registryv1.ErrorReason_SIGN_IN_REFUSED)
}

func TestTheIssuerGivesRoles(t *testing.T) {
	i := newIssuer(t, "soggetto-2")
	s := withIssuer(t, i, func(o *accounts.OIDC) {
		o.RoleClaim = "ruoli"
		o.Roles = []accounts.ClaimedRole{
			{Value: "redazione", Role: "EDITOR", Scope: comune}, {Value: "redazione", Role: "READER", Scope: "comuni/-"}, {Value: "capi", Role: "PUBLISHER", Scope: comune},
		}
	})
	s.CreateAccount(t.Context(), &identityv1.CreateAccountRequest{Parent: node, Account: &identityv1.Account{
		Login: "chi", DisplayName: "Chi", OidcSubject: "soggetto-2", Grants: []*identityv1.Grant{{Role: annotationsv1.Role_AUDITOR, Scope: node}},
	}})
	roles := func(session *identityv1.Session) (list []string) {
		for _, g := range session.GetGrants() {
			list = append(list, g.GetRole().String()+" "+g.GetScope())
		}
		return list
	}
	i.says("redazione", "mensa")
	first := got[*identityv1.Session](t)(s.viaIssuer(t))
	if want := []string{"EDITOR " + comune, "READER comuni/-"}; !cmp.Equal(roles(first), want) {
		t.Errorf("the roles are %v", roles(first))
	}
	i.says("capi")
	second := got[*identityv1.Session](t)(s.viaIssuer(t))
	if want := []string{"PUBLISHER " + comune}; !cmp.Equal(roles(second), want) {
		t.Errorf("the roles are %v", roles(second))
	}
	if _, err := s.verifier.Verify(first.GetAccessToken()); err == nil {
		t.Error("the token with the roles of before is still good")
	}
	i.says()
	if none := got[*identityv1.Session](t)(s.viaIssuer(t)); len(none.GetGrants()) != 0 {
		t.Errorf("the roles are %v", roles(none))
	}
}

func TestAnIssuerThatDoesNotAnswer(t *testing.T) {
	i := newIssuer(t, "soggetto-3")
	s := withIssuer(t, i, nil)
	i.server.Close()
	_, err := s.BeginOidcSignIn(s.home(), &identityv1.BeginOidcSignInRequest{Parent: node})
	refused(t, err, registryv1.ErrorReason_NOT_READY)
	none := open(t, nil)
	_, err = none.BeginOidcSignIn(none.home(), &identityv1.BeginOidcSignInRequest{Parent: node})
	refused(t, err, registryv1.ErrorReason_NOT_SUPPORTED_HERE)
}

func TestSettingsOfTheIssuerAreChecked(t *testing.T) {
	good := accounts.OIDC{Issuer: "https://accesso.example", ClientID: "marsala", RedirectURL: portal}
	s := open(t, func(o accounts.Options) accounts.Options { o.OIDC = &good; return o }) // reached later
	_ = s
	for what, change := range map[string]func(*accounts.OIDC){
		"in the clear":          func(o *accounts.OIDC) { o.Issuer = "http://accesso.example" },
		"no client":             func(o *accounts.OIDC) { o.ClientID = "" },
		"a secret not there":    func(o *accounts.OIDC) { o.ClientSecretFile = filepath.Join(t.TempDir(), "none") },
		"a role that is none":   func(o *accounts.OIDC) { o.Roles = []accounts.ClaimedRole{{"a", "BOSS", comune}} },
		"a role over another's": func(o *accounts.OIDC) { o.Roles = []accounts.ClaimedRole{{"a", "EDITOR", "comuni/trapani"}} },
	} {
		settings := good
		change(&settings)
		if _, err := accounts.Open(t.Context(), accounts.Options{Store: s.store, OIDC: &settings, Server: "marsala"}); err == nil || !strings.Contains(err.Error(), "OIDC") {
			t.Errorf("%s: %v", what, err)
		}
	}
}
