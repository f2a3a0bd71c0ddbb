package edge

import (
	"context"
	"crypto/sha256"
	"net/http"
	"strings"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/sync/singleflight"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"cidsistem.example/proto/gen/identityv1"
)

const (
	// sessionCookie holds the node that keeps the account and the refresh token. The prefix makes browsers insist on Secure, on
	// this host alone, and on the whole of it.
	sessionCookie = "__Host-cid-session"
	// refreshBefore is how long before its end an access token is replaced.
	refreshBefore = 30 * time.Second
	// refreshWithin is how long a node may take to give a new one.
	refreshWithin = 5 * time.Second
	// rememberMost is how many answers to refresh tokens are remembered, old ones too: a browser whose answer was lost on the line
	// comes back with the cookie that it has. What is forgotten is asked for again, from the node.
	rememberMost = 10_000
)

// Sessions keeps browsers signed in. Who is signed in is known by the nodes alone: the browser has the refresh token, in a
// cookie that no script can read, and the gateway remembers for minutes what it got for it.
type Sessions struct {
	client identityv1.SessionServiceClient
	recent *lru.Cache[[sha256.Size]byte, *identityv1.Session]
	flight singleflight.Group
}

// NewSessions makes sessions over a connection to the server behind the gateway.
func NewSessions(conn grpc.ClientConnInterface) *Sessions {
	recent, err := lru.New[[sha256.Size]byte, *identityv1.Session](rememberMost)
	if err != nil {
		panic(err) // the size is positive
	}
	return &Sessions{client: identityv1.NewSessionServiceClient(conn), recent: recent}
}

// Identify finds out for whom a request is made: by its Authorization, else by the session cookie.
func (s *Sessions) Identify(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := exchangeOf(r.Context())
		w.Header().Add("Vary", "Authorization, Cookie")
		x.purpose = r.Header.Get("Cid-Purpose")
		if x.authorization = r.Header.Get("Authorization"); x.authorization == "" {
			if cookie, err := r.Cookie(sessionCookie); err == nil {
				s.resume(w, r, cookie.Value)
			}
		}
		next.ServeHTTP(w, r)
	})
}

// resume signs a request in with the session of its cookie. A session that has ended goes, and the request is made by nobody; a
// node that does not answer now may do so later, and the cookie stays.
func (s *Sessions) resume(w http.ResponseWriter, r *http.Request, cookie string) {
	node, token, found := strings.Cut(cookie, ".")
	if !found {
		clearSession(w)
		return
	}
	session, err := s.current(r.Context(), "nodes/"+node, token)
	if err != nil {
		if code := status.Code(err); code == codes.Unauthenticated || code == codes.InvalidArgument || code == codes.NotFound {
			clearSession(w)
		} else {
			exchangeOf(r.Context()).sessionAway = err
		}
		return
	}
	exchangeOf(r.Context()).signIn("nodes/"+node, session)
	if session.GetRefreshToken() != token {
		setSession(w, session)
	}
}

// Begin signs a browser in.
func (s *Sessions) Begin(w http.ResponseWriter, session *identityv1.Session) {
	s.remember("", session)
	setSession(w, session)
}

// Adopt signs a browser in, and lets the rest of the request be made for who signed in.
func (s *Sessions) Adopt(w http.ResponseWriter, r *http.Request, session *identityv1.Session) {
	s.Begin(w, session)
	exchangeOf(r.Context()).signIn(nodeOf(session), session)
}

// End signs a browser out, here and at the node that keeps the account.
func (s *Sessions) End(w http.ResponseWriter, r *http.Request) {
	x := exchangeOf(r.Context())
	if cookie, err := r.Cookie(sessionCookie); err == nil && x.cookie {
		node, _, _ := strings.Cut(cookie.Value, ".")
		// A node that is away ends the session when it has been idle for long enough; the browser forgets it now.
		_, _ = s.client.SignOut(outgoing(r.Context()), &identityv1.SignOutRequest{Parent: "nodes/" + node})
	}
	s.forget(r)
	clearSession(w)
}

// Ended lets the rest of a request be made for nobody, whose session has ended at its node while it was still remembered here.
func (s *Sessions) Ended(w http.ResponseWriter, r *http.Request) {
	s.forget(r)
	clearSession(w)
	x := exchangeOf(r.Context())
	x.authorization, x.cookie, x.node = "", false, ""
}

// SignedIn tells whether a request is made for somebody.
func SignedIn(ctx context.Context) bool { return exchangeOf(ctx).authorization != "" }

// Account is that of the person for whom a request is made by cookie, nil for nobody. It fails when the node that knows whose session
// it is does not answer.
func (s *Sessions) Account(ctx context.Context) (*identityv1.Account, error) {
	x := exchangeOf(ctx)
	if !x.cookie {
		return nil, x.sessionAway
	}
	return s.client.GetOwnAccount(outgoing(ctx), &identityv1.GetOwnAccountRequest{Parent: x.node})
}

// Away tells that a request came with a session whose node does not answer.
func (s *Sessions) Away(ctx context.Context) bool { return exchangeOf(ctx).sessionAway != nil }

// current finds the session that a refresh token leads to, and renews it in time.
func (s *Sessions) current(ctx context.Context, node, token string) (*identityv1.Session, error) {
	for range 8 { // old cookies lead on to newer tokens
		known, ok := s.recent.Get(sha256.Sum256([]byte(token)))
		if !ok {
			return s.renew(ctx, node, token)
		}
		if time.Until(known.GetAccessExpireTime().AsTime()) > refreshBefore {
			return known, nil
		}
		if token == known.GetRefreshToken() {
			return s.renew(ctx, node, token)
		}
		token = known.GetRefreshToken()
	}
	return nil, status.Error(codes.Unauthenticated, "the session is too old")
}

// renew gets new tokens, once for all requests that come with the old one at the same time.
func (s *Sessions) renew(ctx context.Context, node, token string) (*identityv1.Session, error) {
	got, err, _ := s.flight.Do(token, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), refreshWithin)
		defer cancel()
		session, err := s.client.RefreshSession(outgoing(ctx), &identityv1.RefreshSessionRequest{Parent: node, RefreshToken: token})
		if err != nil {
			return nil, err
		}
		s.remember(token, session)
		return session, nil
	})
	if err != nil {
		return nil, err
	}
	return got.(*identityv1.Session), nil
}

// remember keeps what a refresh token led to, under that token and under the new one.
func (s *Sessions) remember(token string, session *identityv1.Session) {
	if token != "" {
		s.recent.Add(sha256.Sum256([]byte(token)), session)
	}
	s.recent.Add(sha256.Sum256([]byte(session.GetRefreshToken())), session)
}

// forget drops what is remembered of a cookie's session.
func (s *Sessions) forget(r *http.Request) {
	cookie, err := r.Cookie(sessionCookie)
	if err != nil {
		return
	}
	_, token, _ := strings.Cut(cookie.Value, ".")
	for range 8 {
		known, ok := s.recent.Peek(sha256.Sum256([]byte(token)))
		if !ok {
			return
		}
		s.recent.Remove(sha256.Sum256([]byte(token)))
		token = known.GetRefreshToken()
	}
}

// signIn lets the rest of a request be made for whose session it is.
func (x *exchange) signIn(node string, session *identityv1.Session) {
	x.authorization, x.cookie, x.node, x.sessionAway = "Bearer "+session.GetAccessToken(), true, node, nil
}

// nodeOf is the name of the node that keeps a session's account.
func nodeOf(session *identityv1.Session) string {
	node, _, _ := strings.Cut(strings.TrimPrefix(session.GetAccount(), "nodes/"), "/")
	return "nodes/" + node
}

func setSession(w http.ResponseWriter, session *identityv1.Session) {
	node := strings.TrimPrefix(nodeOf(session), "nodes/")
	http.SetCookie(w, &http.Cookie{
		Name: sessionCookie, Value: node + "." + session.GetRefreshToken(), Path: "/", Expires: session.GetExpireTime().AsTime(),
		Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

func clearSession(w http.ResponseWriter) {
	http.SetCookie(w, &http.Cookie{Name: sessionCookie, Path: "/", MaxAge: -1, Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode})
}

// takeSession takes the tokens out of an answer that signs somebody in, for the cookie; nil when it does not.
func takeSession(reply proto.Message) *identityv1.Session {
	var session *identityv1.Session
	switch m := reply.(type) {
	case *identityv1.Session:
		session = m
	case *identityv1.SignInResponse:
		session = m.GetSession()
	}
	if session == nil {
		return nil
	}
	taken := proto.CloneOf(session)
	session.AccessToken, session.RefreshToken = "", ""
	return taken
}
