// Package portaltest runs the portal over HTTP in front of a registry in memory, for the tests of the packages of pages.
package portaltest

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"golang.org/x/net/html"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"

	"cidsistem.example/gateway"
	"cidsistem.example/proto/gen/federationv1"
	"cidsistem.example/proto/gen/registryv1"
)

// A Portal under test.
type Portal struct {
	t    testing.TB
	base string
	// Registry behind it.
	Registry *Registry
	server   *grpc.Server
	client   *http.Client
	// cookie of who is signed in; empty: nobody.
	cookie string
}

// Start runs a portal over records for as long as the test. Services of the registry that are not about records are registered by
// more.
func Start(t testing.TB, records []proto.Message, more ...func(*grpc.Server)) *Portal {
	t.Helper()
	registry := &Registry{records: records}
	listener := bufconn.Listen(1 << 20)
	server := grpc.NewServer(grpc.UnknownServiceHandler(registry.answer), grpc.WaitForHandlers(true))
	registryv1.RegisterSearchServiceServer(server, registry.searching())
	federationv1.RegisterFederationServiceServer(server, registry.network())
	for _, register := range more {
		register(server)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	conn, err := grpc.NewClient("passthrough:///registry", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		t.Fatalf("dial the registry: %v", err)
	}
	g, err := gateway.New(gateway.Options{Upstream: conn, Limits: gateway.DefaultLimits(), Logger: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))})
	if err != nil {
		t.Fatalf("make the gateway: %v", err)
	}
	edge := httptest.NewServer(g)
	p := &Portal{t: t, base: edge.URL, Registry: registry, server: server, client: edge.Client()}
	p.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	t.Cleanup(func() {
		g.EndStreams()
		edge.Close()
		_ = conn.Close()
		server.Stop()
		if err := <-served; err != nil {
			t.Errorf("serve the registry: %v", err)
		}
	})
	return p
}

// An Answer of the portal.
type Answer struct {
	Status int
	Header http.Header
	Body   string
}

// Get asks for a page, or whatever else stands at a path.
func (p *Portal) Get(path string) Answer {
	p.t.Helper()
	return p.send(http.MethodGet, path, "")
}

// Post sends a form.
func (p *Portal) Post(path, form string) Answer {
	p.t.Helper()
	return p.send(http.MethodPost, path, form)
}

// PostAs sends a body of a media type.
func (p *Portal) PostAs(path, mediaType string, body []byte) Answer {
	p.t.Helper()
	return p.exchange(http.MethodPost, path, mediaType, bytes.NewReader(body))
}

// Base is http://host of the portal.
func (p *Portal) Base() string { return p.base }

func (p *Portal) send(method, path, form string) Answer {
	p.t.Helper()
	mediaType := ""
	if form != "" {
		mediaType = "application/x-www-form-urlencoded"
	}
	return p.exchange(method, path, mediaType, strings.NewReader(form))
}

func (p *Portal) exchange(method, path, mediaType string, content io.Reader) Answer {
	p.t.Helper()
	request, err := http.NewRequestWithContext(p.t.Context(), method, p.base+path, content)
	if err != nil {
		p.t.Fatalf("%s %s: %v", method, path, err)
	}
	request.Header.Set("Accept", "text/html")
	if mediaType != "" {
		request.Header.Set("Content-Type", mediaType)
	}
	if p.cookie != "" {
		request.Header.Set("Cookie", p.cookie)
	}
	response, err := p.client.Do(request)
	if err != nil {
		p.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		p.t.Fatalf("%s %s: read the answer: %v", method, path, err)
	}
	return Answer{response.StatusCode, response.Header, string(body)}
}

// Text of a page's main part, as a person reads it.
func (a Answer) Text() string {
	document, err := html.Parse(strings.NewReader(a.Body))
	if err != nil {
		return ""
	}
	var out strings.Builder
	var walk func(*html.Node, bool)
	walk = func(n *html.Node, inside bool) {
		inside = inside || n.Type == html.ElementNode && n.Data == "main"
		if n.Type == html.TextNode && inside {
			out.WriteString(n.Data)
		}
		if n.Type == html.ElementNode && (n.Data == "td" || n.Data == "dd" || n.Data == "br") {
			out.WriteByte(' ')
		}
		for child := range n.ChildNodes() {
			walk(child, inside)
		}
	}
	walk(document, false)
	return strings.Join(strings.Fields(out.String()), " ")
}

// Scripts counts the script elements of a page that hold anything but JSON-LD or that are not served by the portal.
func (a Answer) Scripts() int {
	document, err := html.Parse(strings.NewReader(a.Body))
	if err != nil {
		return -1
	}
	count := 0
	for n := range document.Descendants() {
		if n.Type != html.ElementNode || n.Data != "script" {
			continue
		}
		attributes := map[string]string{}
		for _, attribute := range n.Attr {
			attributes[attribute.Key] = attribute.Val
		}
		if attributes["type"] != "application/ld+json" && !strings.HasPrefix(attributes["src"], "/") {
			count++
		}
	}
	return count
}
