package tokens_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"cidsistem.example/proto/gen/annotationsv1"
	"cidsistem.example/proto/gen/identityv1"
	"cidsistem.example/services/internal/tokens"
)

var now = time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)

// An issuer is a server that makes tokens.
type issuer struct {
	name string
	key  ed25519.PrivateKey
	id   string
}

func newIssuer(t testing.TB, server string, letter byte) issuer {
	t.Helper()
	key := ed25519.NewKeyFromSeed([]byte(strings.Repeat(string(letter), ed25519.SeedSize)))
	id, err := tokens.KeyID(key.Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	return issuer{"nodes/" + server, key, id}
}

func (i issuer) signingKey() *identityv1.SigningKey {
	return &identityv1.SigningKey{Id: i.id, PublicKey: i.key.Public().(ed25519.PublicKey)}
}

// claims are those of a good token at marsala and at the office of trapani.
func (i issuer) claims() tokens.Claims {
	return tokens.Claims{
		Issuer: i.name, Account: i.name + "/accounts/a1", Audience: []string{"marsala", "cid-trapani"}, Session: "s1", Methods: []string{"pwd", "otp"},
		Grants:    []*identityv1.Grant{{Role: annotationsv1.Role_EDITOR, Scope: "comuni/" + strings.TrimPrefix(i.name, "nodes/")}},
		IssueTime: now, ExpireTime: now.Add(tokens.Lifetime),
	}
}

func (i issuer) sign(t testing.TB, change func(*tokens.Claims)) string {
	t.Helper()
	claims := i.claims()
	if change != nil {
		change(&claims)
	}
	token, err := tokens.Sign(i.key, i.id, claims)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// forge signs claims as JSON with any algorithm and any header.
func forge(t testing.TB, algorithm jose.SignatureAlgorithm, key any, header, claims map[string]any) string {
	t.Helper()
	options := &jose.SignerOptions{}
	for name, value := range header {
		options = options.WithHeader(jose.HeaderKey(name), value)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: key}, options)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(text)
	if err != nil {
		t.Fatal(err)
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// part decodes a part of a token, 0 for the header and 1 for the claims.
func part(t testing.TB, token string, n int) map[string]any {
	t.Helper()
	text, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[n])
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]any{}
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// with is a token with another header or other claims and the signature of before.
func with(t testing.TB, token string, n int, name string, value any) string {
	t.Helper()
	changed := part(t, token, n)
	changed[name] = value
	text, err := json.Marshal(changed)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(token, ".")
	parts[n] = base64.RawURLEncoding.EncodeToString(text)
	return strings.Join(parts, ".")
}

// verifier is that of marsala, which knows its own keys and those of trapani.
func verifier(t testing.TB, ended ...string) *tokens.Verifier {
	t.Helper()
	v := tokens.NewVerifier("marsala", func() time.Time { return now })
	for _, i := range []issuer{newIssuer(t, "marsala", 'm'), newIssuer(t, "trapani", 't')} {
		if err := v.Believe(i.name, []*identityv1.SigningKey{i.signingKey()}, ended); err != nil {
			t.Fatal(err)
		}
	}
	return v
}

func TestAGoodToken(t *testing.T) {
	marsala, trapani := newIssuer(t, "marsala", 'm'), newIssuer(t, "trapani", 't')
	for _, i := range []issuer{marsala, trapani} {
		want := i.claims()
		read, err := verifier(t).Verify(i.sign(t, nil))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(&want, read, protocmp.Transform()); diff != "" {
			t.Error(diff)
		}
	}
	// A clock that is a little off is believed.
	for _, off := range []time.Duration{-20 * time.Second, 20 * time.Second} {
		if _, err := verifier(t).Verify(marsala.sign(t, func(c *tokens.Claims) { c.IssueTime, c.ExpireTime = now.Add(off), now.Add(off+tokens.Lifetime) })); err != nil {
			t.Errorf("a clock that is %s off: %v", off, err)
		}
	}
}

func TestAttacksOnTokens(t *testing.T) {
	marsala, trapani := newIssuer(t, "marsala", 'm'), newIssuer(t, "trapani", 't')
	good := marsala.sign(t, nil)
	claims, header := part(t, good, 1), map[string]any{"typ": "at+jwt", "kid": marsala.id}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	public := []byte(marsala.key.Public().(ed25519.PublicKey))
	changed := func(change map[string]any) map[string]any {
		out := maps.Clone(claims)
		for name, value := range change {
			if out[name] = value; value == nil {
				delete(out, name)
			}
		}
		return out
	}
	parts := strings.Split(good, ".")
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"at+jwt","kid":"` + marsala.id + `"}`))
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		t.Fatal(err)
	}
	signature[10] ^= 1

	attacks := map[string]struct {
		token string
		want  error
	}{
		"an issuer that is not known":          {newIssuer(t, "palermo", 'p').sign(t, nil), tokens.ErrInvalid},
		"another issuer's name":                {marsala.sign(t, func(c *tokens.Claims) { c.Issuer = "nodes/palermo" }), tokens.ErrInvalid},
		"no issuer":                            {forge(t, jose.EdDSA, marsala.key, header, changed(map[string]any{"iss": nil})), tokens.ErrInvalid},
		"for another server":                   {marsala.sign(t, func(c *tokens.Claims) { c.Audience = []string{"trapani"} }), tokens.ErrInvalid},
		"for nobody":                           {marsala.sign(t, func(c *tokens.Claims) { c.Audience = nil }), tokens.ErrInvalid},
		"another comune's key for this issuer": {forge(t, jose.EdDSA, trapani.key, header, claims), tokens.ErrInvalid},
		"another comune's key and its id":      {forge(t, jose.EdDSA, trapani.key, map[string]any{"typ": "at+jwt", "kid": trapani.id}, claims), tokens.ErrInvalid},
		"another comune's account":             {trapani.sign(t, func(c *tokens.Claims) { c.Account = "nodes/marsala/accounts/a1" }), tokens.ErrInvalid},
		"the beginning of another's name":      {marsala.sign(t, func(c *tokens.Claims) { c.Account = "nodes/marsala2/accounts/a1" }), tokens.ErrInvalid},
		"expired": {marsala.sign(t, func(c *tokens.Claims) {
			c.IssueTime, c.ExpireTime = now.Add(-time.Hour), now.Add(-time.Hour+tokens.Lifetime)
		}), tokens.ErrExpired},
		"expired by more than clocks may differ": {marsala.sign(t, func(c *tokens.Claims) { c.IssueTime, c.ExpireTime = now.Add(-6*time.Minute), now.Add(-time.Minute) }), tokens.ErrExpired},
		"not yet valid":                          {marsala.sign(t, func(c *tokens.Claims) { c.IssueTime, c.ExpireTime = now.Add(time.Minute), now.Add(2*time.Minute) }), tokens.ErrInvalid},
		"issued in the future":                   {forge(t, jose.EdDSA, marsala.key, header, changed(map[string]any{"iat": now.Add(time.Hour).Unix(), "exp": now.Add(time.Hour).Unix()})), tokens.ErrInvalid},
		"a life that is too long":                {marsala.sign(t, func(c *tokens.Claims) { c.ExpireTime = now.Add(tokens.Lifetime + time.Second) }), tokens.ErrInvalid},
		"without an end":                         {forge(t, jose.EdDSA, marsala.key, header, changed(map[string]any{"exp": nil})), tokens.ErrInvalid},
		"without a time of issue":                {forge(t, jose.EdDSA, marsala.key, header, changed(map[string]any{"iat": nil})), tokens.ErrInvalid},
		"without a beginning":                    {forge(t, jose.EdDSA, marsala.key, header, changed(map[string]any{"nbf": nil})), tokens.ErrInvalid},
		"without a session":                      {marsala.sign(t, func(c *tokens.Claims) { c.Session = "" }), tokens.ErrInvalid},
		"alg none":                               {none + "." + parts[1] + ".", tokens.ErrInvalid},
		"alg none with the signature":            {none + "." + parts[1] + "." + parts[2], tokens.ErrInvalid},
		"HS256 with the public key as secret":    {forge(t, jose.HS256, public, header, claims), tokens.ErrInvalid},
		"RS256":                                  {forge(t, jose.RS256, rsaKey, header, claims), tokens.ErrInvalid},
		"RS256 with its key in the header":       {forge(t, jose.RS256, rsaKey, map[string]any{"typ": "at+jwt", "kid": marsala.id, "jwk": jose.JSONWebKey{Key: rsaKey.Public()}}, claims), tokens.ErrInvalid},
		"EdDSA with its own key in the header":   {forge(t, jose.EdDSA, trapani.key, map[string]any{"typ": "at+jwt", "kid": marsala.id, "jwk": jose.JSONWebKey{Key: trapani.key.Public()}}, claims), tokens.ErrInvalid},
		"other claims under the signature":       {with(t, good, 1, "sub", "nodes/marsala/accounts/a2"), tokens.ErrInvalid},
		"other grants under the signature":       {with(t, good, 1, "grants", []string{"NODE_ADMINISTRATOR nodes/marsala"}), tokens.ErrInvalid},
		"another header under the signature":     {with(t, good, 0, "alg", "RS256"), tokens.ErrInvalid},
		"a damaged signature":                    {parts[0] + "." + parts[1] + "." + base64.RawURLEncoding.EncodeToString(signature), tokens.ErrInvalid},
		"no signature":                           {parts[0] + "." + parts[1] + ".", tokens.ErrInvalid},
		"another type":                           {forge(t, jose.EdDSA, marsala.key, map[string]any{"typ": "JWT", "kid": marsala.id}, claims), tokens.ErrInvalid},
		"no type":                                {forge(t, jose.EdDSA, marsala.key, map[string]any{"kid": marsala.id}, claims), tokens.ErrInvalid},
		"a key that is not known":                {forge(t, jose.EdDSA, marsala.key, map[string]any{"typ": "at+jwt", "kid": "another"}, claims), tokens.ErrInvalid},
		"no key":                                 {forge(t, jose.EdDSA, marsala.key, map[string]any{"typ": "at+jwt"}, claims), tokens.ErrInvalid},
		"nothing":                                {"", tokens.ErrInvalid},
		"something else":                         {"not.a.token", tokens.ErrInvalid},
	}
	for what, attack := range attacks {
		read, err := verifier(t).Verify(attack.token)
		if !errors.Is(err, attack.want) || read != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		if strings.Contains(err.Error(), "a1") || strings.Contains(err.Error(), "palermo") {
			t.Errorf("%s: the error says what is in the token: %v", what, err)
		}
	}
	t.Logf("%d attacks were refused", len(attacks))
	if _, err := verifier(t).Verify(forge(t, jose.EdDSA, marsala.key, header, claims)); err != nil {
		t.Errorf("a forged token without a fault is refused, so the others prove nothing: %v", err)
	}
}

func TestSessionsThatEndedAreNotBelieved(t *testing.T) {
	marsala, trapani := newIssuer(t, "marsala", 'm'), newIssuer(t, "trapani", 't')
	v := verifier(t)
	v.End(marsala.name, "s1")
	if _, err := v.Verify(marsala.sign(t, nil)); !errors.Is(err, tokens.ErrInvalid) {
		t.Errorf("replayed after signing out: %v", err)
	}
	if _, err := v.Verify(trapani.sign(t, nil)); err != nil {
		t.Errorf("another issuer's session of that name: %v", err)
	}
	if _, err := verifier(t, "s1").Verify(marsala.sign(t, nil)); !errors.Is(err, tokens.ErrInvalid) {
		t.Errorf("a session that its issuer ended: %v", err)
	}
	// A key that is believed no longer signs nothing.
	if err := v.Believe(trapani.name, nil, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Verify(trapani.sign(t, nil)); !errors.Is(err, tokens.ErrInvalid) {
		t.Errorf("a key of the past: %v", err)
	}
	if err := v.Believe(trapani.name, []*identityv1.SigningKey{{Id: "short", PublicKey: []byte{1}}}, nil); err == nil {
		t.Error("a key that is none was taken")
	}
}

func TestGrantsOutsideTheReachOfTheIssuerAreNotHeard(t *testing.T) {
	for _, c := range []struct {
		role  annotationsv1.Role
		scope string
		heard bool
	}{
		{annotationsv1.Role_EDITOR, "comuni/trapani", true},
		{annotationsv1.Role_EDITOR, "comuni/trapani/organizations/croce", true},
		{annotationsv1.Role_NODE_ADMINISTRATOR, "nodes/trapani", true},
		{annotationsv1.Role_READER, "comuni/-", true},
		{annotationsv1.Role_PLANNER, "comuni/-", true},
		{annotationsv1.Role_EDITOR, "comuni/-", false},
		{annotationsv1.Role_SUPPORT_DESK, "comuni/-", false},
		{annotationsv1.Role_EDITOR, "comuni/marsala", false},
		{annotationsv1.Role_READER, "comuni/marsala", false},
		{annotationsv1.Role_EDITOR, "comuni/trapani2", false},
		{annotationsv1.Role_EDITOR, "comuni/marsala/organizations/croce", false},
		{annotationsv1.Role_NODE_ADMINISTRATOR, "nodes/marsala", false},
		{annotationsv1.Role_ROLE_UNSPECIFIED, "comuni/trapani", false},
		{annotationsv1.Role_EDITOR, "", false},
	} {
		grant := &identityv1.Grant{Role: c.role, Scope: c.scope}
		read, err := verifier(t).Verify(newIssuer(t, "trapani", 't').sign(t, func(claims *tokens.Claims) { claims.Grants = []*identityv1.Grant{grant} }))
		if err != nil {
			t.Fatal(err)
		}
		if heard := len(read.Grants) == 1; heard != c.heard || tokens.Grantable("nodes/trapani", grant) != c.heard {
			t.Errorf("%s over %q by trapani is heard: %t", c.role, c.scope, heard)
		}
	}
}

func TestGrantsThatCannotBeReadAreNotHeard(t *testing.T) {
	marsala := newIssuer(t, "marsala", 'm')
	claims := part(t, marsala.sign(t, nil), 1)
	claims["grants"] = []string{"", "EDITOR", "BOSS comuni/marsala", "2 comuni/marsala", " comuni/marsala", "READER comuni/-"}
	read, err := verifier(t).Verify(forge(t, jose.EdDSA, marsala.key, map[string]any{"typ": "at+jwt", "kid": marsala.id}, claims))
	if err != nil {
		t.Fatal(err)
	}
	if len(read.Grants) != 1 || read.Grants[0].GetRole() != annotationsv1.Role_READER {
		t.Errorf("heard are %v", read.Grants)
	}
}

// The key of RFC 8037, appendix A.3.
func TestKeysHaveTheirThumbprintAsID(t *testing.T) {
	public, err := base64.RawURLEncoding.DecodeString("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")
	if err != nil {
		t.Fatal(err)
	}
	if id, err := tokens.KeyID(public); err != nil || id != "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k" {
		t.Errorf("the id is %s, %v", id, err)
	}
}

func FuzzVerify(f *testing.F) {
	good := newIssuer(f, "marsala", 'm').sign(f, nil)
	parts := strings.Split(good, ".")
	f.Add(good)
	f.Add(good[:len(good)-4])
	f.Add(parts[0] + "." + parts[1] + ".")
	f.Add("a.b.c")
	v := verifier(f)
	f.Fuzz(func(t *testing.T, token string) {
		claims, err := v.Verify(token)
		switch {
		case err == nil && strings.Join(strings.Split(token, ".")[:2], ".") != parts[0]+"."+parts[1]:
			t.Errorf("a token that nobody signed is believed: %q says %+v", token, claims)
		case err != nil && !errors.Is(err, tokens.ErrInvalid) && !errors.Is(err, tokens.ErrExpired):
			t.Errorf("%q: %v", token, err)
		}
	})
}
