package accounts

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/auditv1"
	"cidsistem.example/proto/gen/identityv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/policy"
	"cidsistem.example/services/internal/store"
	"cidsistem.example/services/internal/tokens"
	"cidsistem.example/services/platform/identity"
)

const (
	// idle is how long a session lasts that nobody uses.
	idle = 12 * time.Hour
	// longest is how long any session lasts.
	longest = 7 * 24 * time.Hour
)

// A session is a person's, from signing in to signing out.
type session struct {
	// ID begins with that of the account.
	ID       string
	Account  string
	Audience []string
	Methods  []string
	// Family and Secret are the SHA-256 of the two halves of the refresh token: the
	// first stays, and shows that one that is not good any more once was; the second
	// is good once.
	Family, Secret []byte
	Created, Used  time.Time
}

func sessionKey(id string) store.LocalKey { return store.LocalKey{Area: areaSessions, ID: id} }

// end is when the session is over if it is not used before.
func (s *session) end() time.Time {
	end := s.Created.Add(longest)
	if unused := s.Used.Add(idle); unused.Before(end) {
		end = unused
	}
	return end
}

// A refreshToken gets the next access token. As text it is the three parts with
// dots between them.
type refreshToken struct {
	session        string
	family, secret string
}

const tokenHalf = 32 // bytes

func (t refreshToken) String() string { return t.session + "." + t.family + "." + t.secret }

func parseRefreshToken(text string) (refreshToken, bool) {
	parts := strings.Split(text, ".")
	if len(parts) != 3 || parts[0] == "" || len(parts[0]) > 100 || strings.Contains(parts[0], "\x00") {
		return refreshToken{}, false
	}
	return refreshToken{parts[0], parts[1], parts[2]}, true
}

func randomToken() string {
	random := make([]byte, tokenHalf)
	_, _ = rand.Read(random) // never fails
	return base64.RawURLEncoding.EncodeToString(random)
}

func digest(text string) []byte {
	sum := sha256.Sum256([]byte(text))
	return sum[:]
}

// A signedIn is a session with what its person gets.
type signedIn struct {
	session session
	account account
	refresh refreshToken
}

// signIn begins a session, as the last step of every way to sign in.
func (c *change) signIn(ctx context.Context, action string, acc *account, methods []string) (*signedIn, error) {
	s := session{
		ID: acc.ID + "-" + newID("s"), Account: acc.ID, Audience: []string{c.a.server}, Methods: methods, Created: c.now, Used: c.now,
	}
	if via := policy.Of(ctx).Via; via != nil && via.Role == identity.RoleUfficio && via.Name != c.a.server {
		s.Audience = append(s.Audience, via.Name)
	}
	refresh := refreshToken{session: s.ID, family: randomToken(), secret: randomToken()}
	s.Family, s.Secret = digest(refresh.family), digest(refresh.secret)
	acc.SignedIn = c.now
	if err := c.put(sessionKey(s.ID), s); err != nil {
		return nil, err
	}
	if err := c.putAccount(acc); err != nil {
		return nil, err
	}
	c.audit(c.a.entry(ctx, action, acc, auditv1.AuditEntry_DONE, "by "+strings.Join(methods, ", ")))
	return &signedIn{session: s, account: *acc, refresh: refresh}, nil
}

// tokens are what the person gets.
func (a *Accounts) tokens(in *signedIn) (*identityv1.Session, error) {
	s := in.session
	key, err := a.signingKey(s.Used)
	if err != nil {
		return nil, err
	}
	end := s.Created.Add(longest)
	expire := s.Used.Add(tokens.Lifetime)
	if expire.After(end) {
		expire = end
	}
	answer := &identityv1.Session{
		Account: a.accountName(in.account.ID), DisplayName: in.account.DisplayName, Grants: grantMessages(in.account.Grants), Methods: s.Methods,
		RefreshToken: in.refresh.String(), AccessExpireTime: timestamppb.New(expire), IdleExpireTime: timestamppb.New(s.end()), ExpireTime: timestamppb.New(end),
	}
	answer.AccessToken, err = tokens.Sign(key.private(), key.ID, tokens.Claims{
		Issuer: a.name(), Account: answer.GetAccount(), Audience: s.Audience, Session: s.ID, Grants: answer.GetGrants(), Methods: s.Methods,
		IssueTime: s.Used, ExpireTime: expire,
	})
	return answer, err
}

// endSession ends a session whose tokens may still live.
func (c *change) endSession(id string) error {
	c.remove(sessionKey(id))
	c.publish = true
	return c.put(store.LocalKey{Area: areaEnded, ID: id}, endedSession{ID: id, Until: c.now.Add(tokens.Lifetime + margin)})
}

// endSessions ends the sessions of an account but one; empty: all.
func (c *change) endSessions(account, except string) error {
	prefix := account + "-"
	for key := range c.LocalEntries(areaSessions, prefix) {
		if !strings.HasPrefix(key.ID, prefix) {
			break
		}
		if key.ID == except {
			continue
		}
		if err := c.endSession(key.ID); err != nil {
			return err
		}
	}
	return nil
}

// RefreshSession gives new tokens for a refresh token. Nobody is made to wait:
// refresh tokens cannot be guessed, and many browsers whose sessions ended
// overnight may come from one network.
func (a *Accounts) RefreshSession(ctx context.Context, request *identityv1.RefreshSessionRequest) (*identityv1.Session, error) {
	if err := a.own(request.GetParent()); err != nil {
		return nil, err
	}
	token, ok := parseRefreshToken(request.GetRefreshToken())
	if !ok {
		return nil, errNoSession()
	}
	var in *signedIn
	err := a.commit(ctx, func(c *change) error {
		s, err := get[session](a, c.Reader, sessionKey(token.session))
		if err != nil {
			return err
		}
		if s == nil || !c.now.Before(s.end()) || subtle.ConstantTimeCompare(s.Family, digest(token.family)) != 1 {
			return errNoSession()
		}
		acc, err := a.account(c.Reader, s.Account)
		if err != nil {
			return err
		}
		if acc == nil || acc.State != identityv1.Account_ACTIVE {
			return errNoSession()
		}
		if subtle.ConstantTimeCompare(s.Secret, digest(token.secret)) != 1 {
			c.audit(a.entry(ctx, refreshSession, acc, auditv1.AuditEntry_REFUSED, whyReused))
			return c.endSession(s.ID)
		}
		refresh := refreshToken{session: s.ID, family: token.family, secret: randomToken()}
		s.Secret, s.Used = digest(refresh.secret), c.now
		in = &signedIn{session: *s, account: *acc, refresh: refresh}
		return c.put(sessionKey(s.ID), s)
	})
	if err != nil {
		return nil, err
	}
	if in == nil {
		return nil, errNoSession()
	}
	return a.tokens(in)
}

func errNoSession() error {
	return apierror.New(registryv1.ErrorReason_NOT_SIGNED_IN, "the session has ended; sign in again")
}

// SignOut ends the caller's session, or all of them.
func (a *Accounts) SignOut(ctx context.Context, request *identityv1.SignOutRequest) (*identityv1.SignOutResponse, error) {
	person, id, err := a.person(ctx, request.GetParent())
	if err != nil {
		return nil, err
	}
	err = a.commit(ctx, func(c *change) error {
		entry := policy.Of(ctx).Entry(signOut, person.Account, auditv1.AuditEntry_DONE)
		if request.GetEverywhere() {
			entry.Reason = "everywhere"
			if err := c.endSessions(id, person.Session); err != nil {
				return err
			}
		}
		c.audit(entry)
		return c.endSession(person.Session)
	})
	if err != nil {
		return nil, err
	}
	return &identityv1.SignOutResponse{}, nil
}

// person is who is signed in, and the id of the account.
func (a *Accounts) person(ctx context.Context, parent string) (*tokens.Claims, string, error) {
	person := policy.Of(ctx).Person
	if person == nil {
		return nil, "", apierror.New(registryv1.ErrorReason_NOT_SIGNED_IN, "sign in to do this")
	}
	if err := a.own(parent); err != nil {
		return nil, "", err
	}
	id, err := a.accountID(person.Account)
	return person, id, err
}

// methodsOf adds how a person was proven, once each.
func methodsOf(before []string, method string) []string {
	if slices.Contains(before, method) {
		return before
	}
	return append(slices.Clone(before), method)
}

// The ways of proving a person (RFC 8176).
const (
	byPassword = "pwd"
	byCode     = "otp"
	byPasskey  = "hwk"
	byOIDC     = "oidc"
)
