package gateway_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/test/bufconn"

	"cidsistem.example/gateway"
	"cidsistem.example/proto/gen/federationv1"
	"cidsistem.example/proto/gen/registryv1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A setup is a gateway over HTTP in front of a registry over gRPC.
type setup struct {
	t             testing.TB
	base          string
	server        *http.Server
	gateway       *gateway.Gateway
	client        *http.Client
	metrics       *prometheus.Registry
	log           logLines
	organizations *organizations
	search        *search
	federation    *federation
	files         *files
	health        *health.Server
}

// start runs both for as long as the test. Changes are made to the options before.
func start(t testing.TB, change ...func(*gateway.Options)) *setup {
	t.Helper()
	s := &setup{
		t:             t,
		metrics:       prometheus.NewRegistry(),
		log:           make(logLines, 1000),
		organizations: newOrganizations(),
		search:        &search{},
		federation:    newFederation(),
		files:         &files{content: map[string][]byte{}},
		health:        health.NewServer(),
	}
	listener := bufconn.Listen(1 << 20)
	registry := grpc.NewServer(grpc.WaitForHandlers(true))
	registryv1.RegisterOrganizationServiceServer(registry, s.organizations)
	registryv1.RegisterSearchServiceServer(registry, s.search)
	registryv1.RegisterFileServiceServer(registry, s.files)
	federationv1.RegisterFederationServiceServer(registry, s.federation)
	grpc_health_v1.RegisterHealthServer(registry, s.health)
	served := make(chan error, 1)
	go func() { served <- registry.Serve(listener) }()
	conn, err := grpc.NewClient("passthrough:///registry",
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		t.Fatalf("dial the registry: %v", err)
	}
	options := gateway.Options{
		Upstream: conn,
		Limits:   gateway.DefaultLimits(),
		Metrics:  s.metrics,
		Logger:   slog.New(slog.NewJSONHandler(s.log, nil)),
	}
	for _, one := range change {
		one(&options)
	}
	if s.gateway, err = gateway.New(options); err != nil {
		t.Fatalf("make the gateway: %v", err)
	}
	s.server = gateway.NewServer(s.gateway)
	edge := httptest.NewUnstartedServer(nil)
	edge.Config = s.server
	edge.Start()
	s.base, s.client = edge.URL, edge.Client()
	s.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	t.Cleanup(func() {
		s.gateway.EndStreams()
		edge.Close()
		_ = conn.Close()
		registry.Stop()
		if err := <-served; err != nil {
			t.Errorf("serve the registry: %v", err)
		}
	})
	return s
}

// A reply is an answer that has been read.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// send makes a request. Headers are "Name: value" lines.
func (s *setup) send(method, path, body string, headers ...string) reply {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), method, s.base+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		request.Header.Set(name, value)
	}
	return s.do(request)
}

func (s *setup) do(request *http.Request) reply {
	s.t.Helper()
	response, err := s.client.Do(request)
	if err != nil {
		s.t.Fatalf("%s %s: %v", request.Method, request.URL.Path, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatalf("%s %s: read the answer: %v", request.Method, request.URL.Path, err)
	}
	return reply{response.StatusCode, response.Header, body}
}

// create puts an organization into the registry over HTTP.
func (s *setup) create(id, title string) reply {
	s.t.Helper()
	got := s.send("POST", "/v1/comuni/marsala/organizations?organizationId="+id, `{"title":{"it":"`+title+`"},"kind":"ASSOCIATION"}`)
	if got.status != http.StatusCreated {
		s.t.Fatalf("create %s: %d %s", id, got.status, got.body)
	}
	return got
}

// A problem is what tests look at in a problem document.
type problem struct {
	Type     string
	Title    string
	Status   int
	Detail   string
	Instance string
	Reason   string
	Metadata map[string]string
	Errors   []struct{ Field, Message string }
	Blockers []struct{ Name, Message string }
	TraceID  string
}

func (r reply) problem(t testing.TB) problem {
	t.Helper()
	if got := r.header.Get("Content-Type"); got != "application/problem+json" {
		t.Fatalf("Content-Type %q with status %d: %s", got, r.status, r.body)
	}
	var p problem
	if err := json.Unmarshal(r.body, &p); err != nil {
		t.Fatalf("problem %s: %v", r.body, err)
	}
	return p
}

func (r reply) json(t testing.TB) map[string]any {
	t.Helper()
	if got := r.header.Get("Content-Type"); got != "application/json" {
		t.Fatalf("Content-Type %q with status %d: %s", got, r.status, r.body)
	}
	var document map[string]any
	if err := json.Unmarshal(r.body, &document); err != nil {
		t.Fatalf("answer %s: %v", r.body, err)
	}
	return document
}

// logLines receives the log, a line for each request.
type logLines chan string

func (l logLines) Write(line []byte) (int, error) {
	l <- string(line)
	return len(line), nil
}

// wait receives what must come soon; a test that has lost its way fails instead of hanging.
func wait[T any](t testing.TB, from <-chan T) T {
	t.Helper()
	select {
	case value := <-from:
		return value
	case <-time.After(20 * time.Second):
		t.Fatal("waited for 20 seconds in vain")
		panic("unreachable")
	}
}
