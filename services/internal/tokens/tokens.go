// Package tokens makes and believes access tokens: short-lived, signed with
// EdDSA by the server that keeps the person's account, good at that server and
// at the one through which the person signed in (RFC 9068, RFC 8037).
package tokens

import (
	"crypto"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"cidsistem.example/proto/gen/annotationsv1"
	"cidsistem.example/proto/gen/identityv1"
)

const (
	// Lifetime of an access token.
	Lifetime = 5 * time.Minute
	// leeway is by how much the clocks of two servers may differ.
	leeway = 30 * time.Second
	// typ is the media type of an access token.
	typ = "at+jwt"
)

// Claims are what a token says of a person.
type Claims struct {
	// Issuer is the server that keeps the account: "nodes/{node}".
	Issuer string
	// Account is the person's account: "nodes/{node}/accounts/{account}".
	Account string
	// Audience are the servers at which the token is good, by id.
	Audience []string
	// Session is the id of the person's session.
	Session string
	// Grants are the person's roles and their scopes.
	Grants []*identityv1.Grant
	// Methods are how the person was proven (RFC 8176).
	Methods []string
	// IssueTime and ExpireTime bound its life.
	IssueTime, ExpireTime time.Time
}

// private are the claims beyond those of RFC 7519.
type private struct {
	Session string   `json:"sid"`
	Grants  []string `json:"grants,omitempty"` // "EDITOR comuni/marsala"
	Methods []string `json:"amr,omitempty"`
}

// KeyID is the id of a key: its RFC 7638 thumbprint with SHA-256.
func KeyID(public ed25519.PublicKey) (string, error) {
	sum, err := (&jose.JSONWebKey{Key: public}).Thumbprint(crypto.SHA256)
	if err != nil {
		return "", fmt.Errorf("thumbprint of a key: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(sum), nil
}

// Sign makes a token with a key.
func Sign(key ed25519.PrivateKey, keyID string, claims Claims) (string, error) {
	options := (&jose.SignerOptions{}).WithType(typ)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: jose.JSONWebKey{Key: key, KeyID: keyID}}, options)
	if err != nil {
		return "", fmt.Errorf("use the signing key: %w", err)
	}
	own := private{Session: claims.Session, Methods: claims.Methods}
	for _, grant := range claims.Grants {
		own.Grants = append(own.Grants, grant.GetRole().String()+" "+grant.GetScope())
	}
	return jwt.Signed(signer).Claims(jwt.Claims{
		Issuer: claims.Issuer, Subject: claims.Account, Audience: claims.Audience,
		IssuedAt: jwt.NewNumericDate(claims.IssueTime), NotBefore: jwt.NewNumericDate(claims.IssueTime),
		Expiry: jwt.NewNumericDate(claims.ExpireTime),
	}).Claims(own).Serialize()
}

var (
	// ErrInvalid says that a token is none that this server believes.
	ErrInvalid = errors.New("the access token is not valid")
	// ErrExpired says that a token was good and is so no longer.
	ErrExpired = errors.New("the access token has expired")
)

// A Verifier believes the tokens of the issuers whose keys it was given. It is
// safe for concurrent use.
type Verifier struct {
	server string
	now    func() time.Time

	mu      sync.RWMutex
	issuers map[string]issuer
}

type issuer struct {
	keys  map[string]ed25519.PublicKey
	ended map[string]bool
}

// NewVerifier makes a verifier of a server, by its id.
func NewVerifier(server string, now func() time.Time) *Verifier {
	return &Verifier{server: server, now: now, issuers: map[string]issuer{}}
}

// Believe takes the keys of an issuer, and the sessions that it ended, in the
// place of those that were known.
func (v *Verifier) Believe(name string, keys []*identityv1.SigningKey, ended []string) error {
	known := issuer{keys: map[string]ed25519.PublicKey{}, ended: map[string]bool{}}
	for _, key := range keys {
		if len(key.GetPublicKey()) != ed25519.PublicKeySize || key.GetId() == "" {
			return fmt.Errorf("key %q of %s is not an Ed25519 key", key.GetId(), name)
		}
		known.keys[key.GetId()] = ed25519.PublicKey(key.GetPublicKey())
	}
	for _, session := range ended {
		known.ended[session] = true
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.issuers[name] = known
	return nil
}

// End makes the tokens of a session no good at this server from now on.
func (v *Verifier) End(name, session string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if known, ok := v.issuers[name]; ok {
		known.ended[session] = true
	}
}

// Verify reads a token. An error wraps ErrInvalid or ErrExpired, and says
// nothing of the token's contents.
func (v *Verifier) Verify(token string) (*Claims, error) {
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.EdDSA})
	if err != nil || len(parsed.Headers) != 1 {
		return nil, fmt.Errorf("%w: it cannot be read", ErrInvalid)
	}
	header := parsed.Headers[0]
	if named, _ := header.ExtraHeaders[jose.HeaderType].(string); !strings.EqualFold(named, typ) {
		return nil, fmt.Errorf("%w: it is of another type", ErrInvalid)
	}
	var unverified jwt.Claims
	if err := parsed.UnsafeClaimsWithoutVerification(&unverified); err != nil {
		return nil, fmt.Errorf("%w: it cannot be read", ErrInvalid)
	}
	v.mu.RLock()
	known, believed := v.issuers[unverified.Issuer]
	key, has := known.keys[header.KeyID]
	v.mu.RUnlock()
	if !believed || !has {
		return nil, fmt.Errorf("%w: its issuer or its key is not known here", ErrInvalid)
	}
	var public jwt.Claims
	var own private
	if err := parsed.Claims(key, &public, &own); err != nil {
		return nil, fmt.Errorf("%w: its signature is wrong", ErrInvalid)
	}
	return v.check(public, own)
}

// check applies what a verified token says of itself.
func (v *Verifier) check(public jwt.Claims, own private) (*Claims, error) {
	if public.Expiry == nil || public.IssuedAt == nil || public.NotBefore == nil {
		return nil, fmt.Errorf("%w: it has no times", ErrInvalid)
	}
	err := public.ValidateWithLeeway(jwt.Expected{AnyAudience: jwt.Audience{v.server}, Time: v.now()}, leeway)
	switch {
	case errors.Is(err, jwt.ErrExpired):
		return nil, ErrExpired
	case err != nil:
		return nil, fmt.Errorf("%w: it is not for this server, or not for now", ErrInvalid)
	}
	if public.Expiry.Time().Sub(public.IssuedAt.Time()) > Lifetime {
		return nil, fmt.Errorf("%w: it lives too long", ErrInvalid)
	}
	if !strings.HasPrefix(public.Subject, public.Issuer+"/accounts/") || own.Session == "" {
		return nil, fmt.Errorf("%w: its issuer does not keep the account", ErrInvalid)
	}
	v.mu.RLock()
	ended := v.issuers[public.Issuer].ended[own.Session]
	v.mu.RUnlock()
	if ended {
		return nil, fmt.Errorf("%w: its session was ended", ErrInvalid)
	}
	claims := &Claims{
		Issuer: public.Issuer, Account: public.Subject, Audience: public.Audience, Session: own.Session, Methods: own.Methods,
		IssueTime: public.IssuedAt.Time(), ExpireTime: public.Expiry.Time(),
	}
	for _, text := range own.Grants {
		role, scope, _ := strings.Cut(text, " ")
		grant := &identityv1.Grant{Role: annotationsv1.Role(annotationsv1.Role_value[role]), Scope: scope}
		if Grantable(public.Issuer, grant) {
			claims.Grants = append(claims.Grants, grant)
		}
	}
	return claims, nil
}

// reading are the roles that reach beyond the comune of the issuer.
var reading = []annotationsv1.Role{annotationsv1.Role_READER, annotationsv1.Role_PLANNER}

// Grantable tells whether an issuer can give a role over a scope: any role over
// its own comune and itself, reading roles over the federation. Whatever else a
// token says is not heard.
func Grantable(issuer string, grant *identityv1.Grant) bool {
	comune := "comuni/" + strings.TrimPrefix(issuer, "nodes/")
	scope := grant.GetScope()
	switch {
	case scope == "comuni/-":
		return slices.Contains(reading, grant.GetRole())
	case scope == issuer, scope == comune, strings.HasPrefix(scope, comune+"/organizations/"):
		return grant.GetRole() != annotationsv1.Role_ROLE_UNSPECIFIED
	default:
		return false
	}
}
