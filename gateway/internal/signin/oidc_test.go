package signin_test

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/gateway"
	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/identityv1"
	"cidsistem.example/proto/gen/registryv1"
)

// issuer is a node whose people sign in elsewhere.
type issuer struct {
	identityv1.UnimplementedSessionServiceServer
}

func (issuer) BeginOidcSignIn(_ context.Context, r *identityv1.BeginOidcSignInRequest) (*identityv1.BeginOidcSignInResponse, error) {
	if r.GetParent() != "nodes/marsala" {
		return nil, apierror.New(registryv1.ErrorReason_NOT_SUPPORTED_HERE, "there is no issuer")
	}
	return &identityv1.BeginOidcSignInResponse{AuthorizationUrl: "https://proxy.example/authorize?state=s1", Token: "t1"}, nil
}

func (issuer) FinishOidcSignIn(_ context.Context, r *identityv1.FinishOidcSignInRequest) (*identityv1.Session, error) {
	if r.GetParent() != "nodes/marsala" || r.GetToken() != "t1" || r.GetState() != "s1" || r.GetCode() != "c1" {
		return nil, apierror.New(registryv1.ErrorReason_SIGN_IN_REFUSED, "refused")
	}
	return &identityv1.Session{
		Account: "nodes/marsala/accounts/a1", AccessToken: "access", RefreshToken: "refresh",
		AccessExpireTime: timestamppb.New(time.Now().Add(time.Minute)), ExpireTime: timestamppb.New(time.Now().Add(time.Hour)),
	}, nil
}

func start(t *testing.T) *gateway.Gateway {
	t.Helper()
	listener := bufconn.Listen(64 << 10)
	server := grpc.NewServer()
	identityv1.RegisterSessionServiceServer(server, issuer{})
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	conn, err := grpc.NewClient("passthrough:///node", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		server.Stop()
		<-served
	})
	g, err := gateway.New(gateway.Options{Upstream: conn, Limits: gateway.DefaultLimits(), Logger: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// visit asks for a page with cookies and returns the answer.
func visit(t *testing.T, g *gateway.Gateway, path string, cookies ...*http.Cookie) *http.Response {
	t.Helper()
	request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody)
	for _, cookie := range cookies {
		request.AddCookie(cookie)
	}
	answer := httptest.NewRecorder()
	g.ServeHTTP(answer, request)
	return answer.Result()
}

func named(cookies []*http.Cookie, name string) *http.Cookie {
	for _, cookie := range cookies {
		if cookie.Name == name {
			return cookie
		}
	}
	return nil
}

// A person goes to the issuer and comes back signed in; only the browser that
// went can come back.
func TestSignInAtAnIssuer(t *testing.T) {
	g := start(t)
	away := visit(t, g, "/accesso/identita?nodo=marsala")
	begun := named(away.Cookies(), "__Host-cid-oidc")
	if away.StatusCode != http.StatusSeeOther || away.Header.Get("Location") != "https://proxy.example/authorize?state=s1" || begun == nil || !begun.HttpOnly || !begun.Secure {
		t.Fatalf("on the way to the issuer: %d %v", away.StatusCode, away.Header)
	}
	back := visit(t, g, "/accesso/ritorno?state=s1&code=c1", begun)
	session := named(back.Cookies(), "__Host-cid-session")
	if back.StatusCode != http.StatusSeeOther || session == nil || !strings.HasPrefix(session.Value, "marsala.") {
		t.Errorf("back from the issuer: %d %v", back.StatusCode, back.Header)
	}
	if ended := named(back.Cookies(), "__Host-cid-oidc"); ended == nil || ended.MaxAge >= 0 {
		t.Errorf("what was begun does not end: %v", ended)
	}
	for path, want := range map[string]int{
		"/accesso/ritorno?state=s2&code=c1":      http.StatusUnauthorized,
		"/accesso/ritorno?state=s1&code=c2":      http.StatusUnauthorized,
		"/accesso/ritorno?error=access_denied":   http.StatusUnauthorized,
		"/accesso/ritorno?error=<script>&code=x": http.StatusUnauthorized,
	} {
		if got := visit(t, g, path, begun); got.StatusCode != want || named(got.Cookies(), "__Host-cid-session") != nil {
			t.Errorf("%s: %d %v", path, got.StatusCode, got.Cookies())
		}
	}
	if got := visit(t, g, "/accesso/ritorno?state=s1&code=c1"); got.StatusCode != http.StatusBadRequest || named(got.Cookies(), "__Host-cid-session") != nil {
		t.Errorf("another browser comes back: %d", got.StatusCode)
	}
	if got := visit(t, g, "/accesso/identita?nodo=pantelleria"); got.StatusCode != http.StatusConflict || got.Header.Get("Location") != "" {
		t.Errorf("a node without an issuer: %d %v", got.StatusCode, got.Header)
	}
}
