package accounts

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/annotationsv1"
	"cidsistem.example/proto/gen/identityv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/network"
	"cidsistem.example/services/internal/store"
	"cidsistem.example/services/internal/tokens"
)

// OIDC says at which issuer persons can sign in, and what it says of them.
type OIDC struct {
	// Issuer is its address, under which its metadata are: https, or loopback.
	Issuer string `yaml:"issuer"`
	// ClientID is this server's there, ClientSecretFile the file with its secret;
	// empty for a client that has none.
	ClientID         string `yaml:"client_id"`
	ClientSecretFile string `yaml:"client_secret_file"`
	// RedirectURL is the page of the portal to which the browser comes back.
	RedirectURL string `yaml:"redirect_url"`
	// Scopes besides "openid".
	Scopes []string `yaml:"scopes"`
	// RoleClaim is the claim of the ID token, a text or a list of texts, whose
	// values give the person's grants, in the place of those of the account; empty:
	// the account's grants stay.
	RoleClaim string `yaml:"role_claim"`
	// Roles are the grants by value of the claim.
	Roles []ClaimedRole `yaml:"roles"`
}

// A ClaimedRole is a grant for a value of the role claim.
type ClaimedRole struct {
	Value string `yaml:"value"`
	// Role by its name in the contract, for example "EDITOR".
	Role string `yaml:"role"`
	// Scope of the role, for example "comuni/marsala".
	Scope string `yaml:"scope"`
}

func (r ClaimedRole) grant() *identityv1.Grant {
	return &identityv1.Grant{Role: annotationsv1.Role(annotationsv1.Role_value[r.Role]), Scope: r.Scope}
}

// patience is how long the issuer has for an answer.
const patience = 10 * time.Second

// An oidcClient talks to the issuer.
type oidcClient struct {
	settings OIDC
	secret   string
	now      func() time.Time
	http     *http.Client

	mu       sync.Mutex
	provider *oidc.Provider // nil until the issuer was reached
	failure  error          // of the last attempt to reach it
	failed   time.Time
}

func (o OIDC) open(server string, now func() time.Time) (*oidcClient, error) {
	for _, r := range o.Roles {
		if !tokens.Grantable(server, r.grant()) {
			return nil, fmt.Errorf("the value %q of the claim gives the role %q over %q, which is not for %s to give", r.Value, r.Role, r.Scope, server)
		}
	}
	if o.ClientID == "" || o.RedirectURL == "" {
		return nil, errors.New("the client id and the redirect address are needed")
	}
	address, err := url.Parse(o.Issuer)
	if err != nil || address.Scheme != "https" && !loopback(address.Hostname()) {
		return nil, fmt.Errorf("the issuer %q is not an https address", o.Issuer)
	}
	client := &oidcClient{settings: o, now: now, http: &http.Client{Timeout: patience}}
	if o.ClientSecretFile != "" {
		secret, err := os.ReadFile(o.ClientSecretFile)
		if err != nil {
			return nil, fmt.Errorf("read the client secret: %w", err)
		}
		client.secret = strings.TrimSpace(string(secret))
	}
	return client, nil
}

func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback() || host == "localhost"
}

// discover reads the issuer's metadata, once.
func (o *oidcClient) discover() (*oidc.Provider, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.provider != nil {
		return o.provider, nil
	}
	// Those who waited for an attempt that failed do not make another each.
	if o.failure != nil && o.now().Sub(o.failed) < patience {
		return nil, o.failure
	}
	// The provider keeps the context to fetch keys later, so it must not be that of
	// a call; the client's patience bounds each request.
	provider, err := oidc.NewProvider(oidc.ClientContext(context.Background(), o.http), o.settings.Issuer)
	o.provider, o.failure, o.failed = provider, err, o.now()
	return provider, err
}

func (o *oidcClient) config(provider *oidc.Provider) *oauth2.Config {
	return &oauth2.Config{
		ClientID: o.settings.ClientID, ClientSecret: o.secret, Endpoint: provider.Endpoint(), RedirectURL: o.settings.RedirectURL,
		Scopes: append([]string{oidc.ScopeOpenID}, o.settings.Scopes...),
	}
}

// grants are what the claims of an ID token give; replaced is false when the
// settings leave that to the account.
func (o *oidcClient) grants(claims map[string]any) (grants []grant, replaced bool) {
	if o.settings.RoleClaim == "" {
		return nil, false
	}
	var values []string
	switch claim := claims[o.settings.RoleClaim].(type) {
	case string:
		values = []string{claim}
	case []any:
		for _, one := range claim {
			if text, ok := one.(string); ok {
				values = append(values, text)
			}
		}
	}
	for _, value := range values {
		for _, r := range o.settings.Roles {
			m := r.grant()
			if g := (grant{m.GetRole(), m.GetScope()}); r.Value == value && !slices.Contains(grants, g) {
				grants = append(grants, g)
			}
		}
	}
	return grants, true
}

// issuerReached finds the issuer, for a caller.
func (a *Accounts) issuerReached(parent string) (*oidc.Provider, error) {
	if err := a.own(parent); err != nil {
		return nil, err
	}
	if a.oidc == nil {
		return nil, apierror.New(registryv1.ErrorReason_NOT_SUPPORTED_HERE, "the settings of this server name no OIDC issuer")
	}
	provider, err := a.oidc.discover()
	if err != nil {
		a.log.Error("the OIDC issuer does not answer", "issuer", a.oidc.settings.Issuer, "error", err)
		return nil, errIssuer()
	}
	return provider, nil
}

func errIssuer() error {
	return apierror.New(registryv1.ErrorReason_NOT_READY, "the OIDC issuer does not answer; try again", apierror.RetryAfter(patience))
}

// BeginOidcSignIn begins to sign in at the OIDC issuer.
func (a *Accounts) BeginOidcSignIn(_ context.Context, request *identityv1.BeginOidcSignInRequest) (*identityv1.BeginOidcSignInResponse, error) {
	provider, err := a.issuerReached(request.GetParent())
	if err != nil {
		return nil, err
	}
	t := ticket{State: randomToken(), Nonce: randomToken(), Verifier: oauth2.GenerateVerifier()}
	token, err := a.issue(forOIDC, ceremonyLifetime, t)
	if err != nil {
		return nil, err
	}
	return &identityv1.BeginOidcSignInResponse{
		Token:            token,
		AuthorizationUrl: a.oidc.config(provider).AuthCodeURL(t.State, oidc.Nonce(t.Nonce), oauth2.S256ChallengeOption(t.Verifier)),
	}, nil
}

// FinishOidcSignIn signs in whom the OIDC issuer knows.
func (a *Accounts) FinishOidcSignIn(ctx context.Context, request *identityv1.FinishOidcSignInRequest) (*identityv1.Session, error) {
	provider, err := a.issuerReached(request.GetParent())
	if err != nil {
		return nil, err
	}
	attempt, err := a.throttle.admit(a.throttle.from(network.Of(ctx)))
	if err != nil {
		return nil, err
	}
	t := a.open(forOIDC, request.GetToken())
	if t == nil || subtle.ConstantTimeCompare([]byte(t.State), []byte(request.GetState())) != 1 {
		return nil, a.refuse(ctx, finishOIDC, nil, "")
	}
	// The code is used up by being exchanged, so a ticket that was used is refused
	// before.
	good := false
	err = a.store.View(func(r store.Reader) error {
		_, good, err = (&change{Reader: r, a: a, now: a.store.Now()}).use(t)
		return err
	})
	if err != nil {
		return nil, err
	}
	if !good {
		return nil, a.refuse(ctx, finishOIDC, nil, "")
	}
	subject, claims, err := a.oidc.redeem(ctx, provider, t, request.GetCode())
	if err != nil {
		a.log.Warn("the OIDC issuer did not confirm a sign-in", "issuer", a.oidc.settings.Issuer, "error", err)
		return nil, a.refuse(ctx, finishOIDC, nil, "")
	}
	grants, replaced := a.oidc.grants(claims)
	var in *signedIn
	err = a.commit(ctx, func(c *change) error {
		use, good, err := c.use(t)
		if err != nil {
			return err
		}
		acc, err := a.accountAt(c.Reader, a.subjectKey(subject))
		if err != nil {
			return err
		}
		switch {
		case !good:
			return c.refuse(ctx, finishOIDC, acc, whyTicket)
		case acc == nil:
			return errors.Join(c.done(use), c.refuse(ctx, finishOIDC, nil, ""))
		case acc.State == identityv1.Account_SUSPENDED:
			return errors.Join(c.done(use), c.refuse(ctx, finishOIDC, acc, whyState))
		}
		if acc.State != identityv1.Account_ACTIVE {
			acc.State = identityv1.Account_ACTIVE
			acc.touch(c.now)
		}
		if replaced && !slices.Equal(acc.Grants, grants) {
			acc.Grants = grants
			acc.touch(c.now)
			if err := c.endSessions(acc.ID, ""); err != nil {
				return err
			}
		}
		if err := c.done(use); err != nil {
			return err
		}
		in, err = c.signIn(ctx, finishOIDC, acc, []string{byOIDC})
		return err
	})
	if err != nil {
		return nil, err
	}
	if in == nil {
		return nil, errRefused()
	}
	attempt.undo()
	return a.tokens(in)
}

// redeem exchanges the code and verifies what it gives.
func (o *oidcClient) redeem(ctx context.Context, provider *oidc.Provider, t *ticket, code string) (subject string, claims map[string]any, err error) {
	ctx = oidc.ClientContext(ctx, o.http)
	token, err := o.config(provider).Exchange(ctx, code, oauth2.VerifierOption(t.Verifier))
	if err != nil {
		// The answer of the issuer may speak of the person.
		var answered *oauth2.RetrieveError
		if errors.As(err, &answered) {
			return "", nil, fmt.Errorf("exchange the code: the issuer answers %s", answered.ErrorCode)
		}
		return "", nil, fmt.Errorf("exchange the code: %w", err)
	}
	raw, ok := token.Extra("id_token").(string)
	if !ok {
		return "", nil, errors.New("the issuer gave no ID token")
	}
	id, err := provider.Verifier(&oidc.Config{ClientID: o.settings.ClientID, Now: o.now}).Verify(ctx, raw)
	if err != nil {
		return "", nil, fmt.Errorf("verify the ID token: %w", err)
	}
	if subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(t.Nonce)) != 1 {
		return "", nil, errors.New("the ID token is for another sign-in: its nonce is wrong")
	}
	claims = map[string]any{}
	return id.Subject, claims, id.Claims(&claims)
}
