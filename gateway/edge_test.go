package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health/grpc_health_v1"

	"cidsistem.example/gateway"
)

func TestProblemDocument(t *testing.T) {
	s := start(t)
	got := s.send("GET", "/v1/comuni/marsala/organizations/silent", "", "Traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	golden, err := os.ReadFile("testdata/owner_unreachable.json")
	if err != nil {
		t.Fatal(err)
	}
	golden = bytes.ReplaceAll(golden, []byte("REQUEST"), []byte(got.header.Get("X-Request-Id")))
	var have, want any
	if err := errors.Join(json.Unmarshal(got.body, &have), json.Unmarshal(golden, &want)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, have); diff != "" {
		t.Errorf("problem document (-want +got):\n%s", diff)
	}
}

func TestDeadlineGoesUpstream(t *testing.T) {
	s := start(t, func(o *gateway.Options) { o.Limits.Timeout = 500 * time.Millisecond })
	s.send("GET", "/v1/nodes", "") // now the gateway is connected, and the deadline is for the call alone
	got := s.send("GET", "/v1/comuni/marsala/organizations/slow", "")
	if got.status != 504 || got.problem(t).Reason != "DEADLINE" {
		t.Errorf("%d %s", got.status, got.body)
	}
	if err := wait(t, s.organizations.gaveUp); !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
		t.Errorf("the registry gave up because of %v", err)
	}
}

func TestClientThatLeavesEndsTheCall(t *testing.T) {
	s := start(t)
	ctx, leave := context.WithCancel(t.Context())
	request, err := http.NewRequestWithContext(ctx, "GET", s.base+"/v1/comuni/marsala/organizations/slow", nil)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		<-s.organizations.waiting
		leave()
	}()
	if response, err := s.client.Do(request); err == nil {
		response.Body.Close()
		t.Fatalf("answered with %d", response.StatusCode)
	}
	if err := wait(t, s.organizations.gaveUp); !errors.Is(err, context.Canceled) {
		t.Errorf("the registry gave up because of %v", err)
	}
	if line := wait(t, s.log); !strings.Contains(line, `"status":499`) {
		t.Errorf("log: %s", line)
	}
}

func TestSlowBodyIsNotWaitedFor(t *testing.T) {
	s := start(t, func(o *gateway.Options) { o.Limits.Timeout = 50 * time.Millisecond })
	body, writer := io.Pipe()
	defer writer.Close()
	request, err := http.NewRequestWithContext(t.Context(), "POST", s.base+"/v1/search", body)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	go func() { _, _ = writer.Write([]byte(`{"q":`)) }()
	got := s.do(request)
	if got.status != 408 || got.problem(t).Reason != "BODY_TOO_SLOW" {
		t.Errorf("%d %s", got.status, got.body)
	}
}

// panicking is a registry whose client has a defect.
type panicking struct{ grpc.ClientConnInterface }

func (panicking) Invoke(context.Context, string, any, any, ...grpc.CallOption) error {
	panic("index out of range")
}

func TestPanicIsAProblem(t *testing.T) {
	s := start(t, func(o *gateway.Options) { o.Upstream = panicking{o.Upstream} })
	got := s.send("GET", "/v1/comuni/marsala/organizations/aurora", "")
	if got.status != 500 || got.problem(t).Reason != "INTERNAL_ERROR" || strings.Contains(string(got.body), "index") {
		t.Errorf("%d %s", got.status, got.body)
	}
	if line := wait(t, s.log); !strings.Contains(line, "index out of range") || !strings.Contains(line, "edge_test.go") {
		t.Errorf("the log does not tell where: %s", line)
	}
}

func TestCompression(t *testing.T) {
	s := start(t)
	const long, short = "/v1/search?q=trasporto", "/v1/nodes"
	plain := s.send("GET", long, "", "Accept-Encoding: identity")
	if plain.header.Get("Content-Encoding") != "" || len(plain.body) < 1024 {
		t.Fatalf("%d bytes, %v", len(plain.body), plain.header)
	}
	for encoding, read := range map[string]func([]byte) ([]byte, error){
		"gzip": func(data []byte) ([]byte, error) {
			reader, err := gzip.NewReader(bytes.NewReader(data))
			if err != nil {
				return nil, err
			}
			return io.ReadAll(reader)
		},
		"zstd": func(data []byte) ([]byte, error) {
			decoder, err := zstd.NewReader(nil)
			if err != nil {
				return nil, err
			}
			defer decoder.Close()
			return decoder.DecodeAll(data, nil)
		},
	} {
		got := s.send("GET", long, "", "Accept-Encoding: "+encoding)
		if got.header.Get("Content-Encoding") != encoding || got.header.Get("Vary") == "" || len(got.body) >= len(plain.body) {
			t.Fatalf("%s: %d bytes, %v", encoding, len(got.body), got.header)
		}
		if body, err := read(got.body); err != nil || !bytes.Equal(body, plain.body) {
			t.Errorf("%s: it is not the same answer: %v", encoding, err)
		}
		etag := got.header.Get("ETag")
		if etag == plain.header.Get("ETag") {
			t.Errorf("%s: another representation has the same ETag %s", encoding, etag)
		}
		if again := s.send("GET", long, "", "Accept-Encoding: "+encoding, "If-None-Match: "+etag); again.status != 304 || again.header.Get("ETag") != etag {
			t.Errorf("%s: what the client has already: %d with %s", encoding, again.status, again.header.Get("ETag"))
		}
		if got := s.send("GET", short, "", "Accept-Encoding: "+encoding); got.header.Get("Content-Encoding") != "" {
			t.Errorf("%s: %d bytes are compressed", encoding, len(got.body))
		}
	}

	s.create("aurora", strings.Repeat("Aurora ", 500))
	const path = "/v1/comuni/marsala/organizations/aurora"
	read := s.send("GET", path, "", "Accept-Encoding: gzip")
	if got := s.send("PATCH", path, `{"title":{"it":"Aurora"}}`, "If-Match: "+read.header.Get("ETag")); got.status != 200 {
		t.Errorf("a change with the ETag %s of a compressed record: %d %s", read.header.Get("ETag"), got.status, got.body)
	}
}

func TestRateLimit(t *testing.T) {
	s := start(t, func(o *gateway.Options) {
		o.Limits.Rate, o.Limits.Burst = 0.5, 2
		o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8")}
	})
	ask := func(forwardedFor string) reply {
		return s.send("GET", "/v1/nodes", "", "X-Forwarded-For: "+forwardedFor)
	}
	for i, want := range []string{"1", "0"} {
		got := ask("203.0.113.7, 10.1.1.1")
		if got.status != 200 || got.header.Get("X-RateLimit-Limit") != "2" || got.header.Get("X-RateLimit-Remaining") != want || got.header.Get("X-RateLimit-Reset") == "" {
			t.Errorf("request %d: %d %v", i+1, got.status, got.header)
		}
	}
	refused := ask("198.51.100.1, 203.0.113.7") // the client invents a hop before itself
	if refused.status != 429 || refused.problem(t).Reason != "TOO_MANY_REQUESTS" || refused.header.Get("X-RateLimit-Remaining") != "0" {
		t.Errorf("one too many: %d %v", refused.status, refused.header)
	}
	if wait := refused.header.Get("Retry-After"); wait != "2" {
		t.Errorf("Retry-After %q, want 2: one request in two seconds", wait)
	}
	if got := ask("203.0.113.8"); got.status != 200 {
		t.Errorf("another client: %d", got.status)
	}
	want := `
# HELP cid_http_rate_limited_total Requests refused because their address had made too many.
# TYPE cid_http_rate_limited_total counter
cid_http_rate_limited_total 1
`
	if err := testutil.GatherAndCompare(s.metrics, strings.NewReader(want), "cid_http_rate_limited_total"); err != nil {
		t.Error(err)
	}
}

func TestRateLimitForgetsOldClients(t *testing.T) {
	s := start(t, func(o *gateway.Options) {
		o.Limits.Rate, o.Limits.Burst, o.Limits.Clients = 0.001, 1, 2
		o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	})
	ask := func(client string) int { return s.send("GET", "/v1/nodes", "", "X-Forwarded-For: "+client).status }
	got := []int{ask("203.0.113.1"), ask("203.0.113.1"), ask("2001:db8::1"), ask("2001:db8::2"), ask("203.0.113.3"), ask("203.0.113.1")}
	want := []int{200, 429, 200, 429, 200, 200} // one subscriber has a whole IPv6 /64; the third client pushes the first out
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
}

func TestRateLimitCanBeSwitchedOff(t *testing.T) {
	s := start(t, func(o *gateway.Options) { o.Limits.Rate = 0 })
	if got := s.send("GET", "/v1/nodes", ""); got.status != 200 || got.header.Get("X-RateLimit-Limit") != "" {
		t.Errorf("%d %v", got.status, got.header)
	}
}

func TestForwardedForOfStrangersIsIgnored(t *testing.T) {
	s := start(t, func(o *gateway.Options) { o.Limits.Rate, o.Limits.Burst = 0.001, 1 })
	for i, want := range []int{200, 429} {
		if got := s.send("GET", "/v1/nodes", "", fmt.Sprintf("X-Forwarded-For: 203.0.113.%d", i)); got.status != want {
			t.Errorf("request %d: %d, want %d", i+1, got.status, want)
		}
	}
}

func TestOrigins(t *testing.T) {
	const friend, stranger = "https://www.comune.example", "https://evil.example"
	s := start(t, func(o *gateway.Options) { o.AllowedOrigins = []string{friend} })
	for _, test := range []struct {
		name    string
		method  string
		origin  string
		headers []string
		status  int
		allowed string
	}{
		{name: "read by a friend", method: "GET", origin: friend, status: 200, allowed: friend},
		{name: "read by a stranger", method: "GET", origin: stranger, status: 200},
		{name: "search by a friend", method: "POST", origin: friend, headers: []string{"Sec-Fetch-Site: cross-site"}, status: 200, allowed: friend},
		{name: "search by a stranger", method: "POST", origin: stranger, headers: []string{"Sec-Fetch-Site: cross-site"}, status: 403},
		{name: "search by an old browser of a stranger", method: "POST", origin: stranger, status: 403},
		{name: "search by our own page", method: "POST", origin: s.base, headers: []string{"Sec-Fetch-Site: same-origin"}, status: 200},
		{name: "preflight of a friend", method: "OPTIONS", origin: friend, headers: []string{"Access-Control-Request-Method: POST"}, status: 204, allowed: friend},
		{name: "preflight of a stranger", method: "OPTIONS", origin: stranger, headers: []string{"Access-Control-Request-Method: POST"}, status: 204},
	} {
		t.Run(test.name, func(t *testing.T) {
			body := ""
			if test.method == "POST" {
				body = `{"q":"x"}`
			}
			got := s.send(test.method, "/v1/search", body, append(test.headers, "Origin: "+test.origin)...)
			if got.status != test.status || got.header.Get("Access-Control-Allow-Origin") != test.allowed {
				t.Errorf("%d for %q: %s", got.status, got.header.Get("Access-Control-Allow-Origin"), got.body)
			}
			if !strings.Contains(strings.Join(got.header.Values("Vary"), ","), "Origin") {
				t.Errorf("Vary: %v", got.header.Values("Vary"))
			}
			if got.header.Get("Access-Control-Allow-Credentials") != "" {
				t.Error("cookies are asked for")
			}
			if test.status == 403 && got.problem(t).Reason != "FOREIGN_ORIGIN" {
				t.Errorf("%s", got.body)
			}
			if preflight := got.header.Get("Access-Control-Allow-Methods"); (preflight != "") != (test.method == "OPTIONS" && test.allowed != "") {
				t.Errorf("Access-Control-Allow-Methods: %q", preflight)
			}
		})
	}
}

func TestNoOriginsNoHeaders(t *testing.T) {
	s := start(t)
	got := s.send("GET", "/v1/nodes", "", "Origin: https://www.comune.example")
	for name := range got.header {
		if strings.HasPrefix(name, "Access-Control-") {
			t.Errorf("the header %s went out", name)
		}
	}
}

func TestHeadersAreLimited(t *testing.T) {
	s := start(t)
	if got := s.send("GET", "/v1/nodes", "", "X-Long: "+strings.Repeat("a", 40<<10)); got.status != 431 {
		t.Errorf("40 kB of headers: %d", got.status)
	}
}

func TestStatus(t *testing.T) {
	s := start(t)
	got := s.send("GET", "/status", "")
	if p := got.problem(t); got.status != 200 || p.Status != 200 || p.Title != "Servizio attivo" || p.Reason != "" {
		t.Errorf("%d %s", got.status, got.body)
	}
	if err := s.gateway.Ready(t.Context()); err != nil {
		t.Errorf("ready: %v", err)
	}
	s.health.SetServingStatus("", grpc_health_v1.HealthCheckResponse_NOT_SERVING)
	got = s.send("GET", "/status", "")
	if p := got.problem(t); got.status != 503 || p.Reason != "NOT_READY" || got.header.Get("Retry-After") == "" {
		t.Errorf("%d %s", got.status, got.body)
	}
	if err := s.gateway.Ready(t.Context()); err == nil {
		t.Error("ready while the registry does not serve")
	}
}

func TestMetricsNameRoutes(t *testing.T) {
	s := start(t)
	s.send("GET", "/v1/comuni/marsala/organizations/none", "")
	s.send("GET", "/v1/comuni/pantelleria/organizations/none", "")
	s.send("BREW", "/v1/coffee", "")
	s.send("GET", "/problems/deadline", "")
	for range 4 {
		wait(t, s.log) // a request is counted before it is logged
	}
	want := `
# HELP cid_http_requests_total HTTP requests answered, by route, method and status code.
# TYPE cid_http_requests_total counter
cid_http_requests_total{code="200",method="GET",route="/problems/"} 1
cid_http_requests_total{code="404",method="GET",route="/v1/{name=comuni/*/organizations/*}"} 2
cid_http_requests_total{code="404",method="other",route="unmatched"} 1
`
	if err := testutil.GatherAndCompare(s.metrics, strings.NewReader(want), "cid_http_requests_total"); err != nil {
		t.Error(err)
	}
}

func TestLogHasNoPersonalData(t *testing.T) {
	s := start(t)
	s.send("GET", "/v1/search?q=mario+rossi", "", "X-Forwarded-For: 203.0.113.7")
	line := wait(t, s.log)
	if strings.Contains(line, "rossi") || strings.Contains(line, "127.0.0.1") || strings.Contains(line, "203.0.113.7") || !strings.Contains(line, `"route":"/v1/search"`) {
		t.Errorf("log: %s", line)
	}
}

func TestPages(t *testing.T) {
	s := start(t)
	home := s.send("GET", "/", "")
	if home.status != 200 || home.header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Fatalf("%d %v", home.status, home.header)
	}
	for _, want := range []string{`<html lang="it" dir="ltr">`, `href="/docs/"`, `action="/servizi/"`, `href="/ar/"`, `rel="canonical" href="` + s.base + `/"`} {
		if !strings.Contains(string(home.body), want) {
			t.Errorf("the page has no %s", want)
		}
	}
	if others := strings.Count(string(home.body), "://") - strings.Count(string(home.body), s.base+"/"); others != 0 {
		t.Errorf("the page names other sites %d times", others)
	}
	if again := s.send("GET", "/", "", "If-None-Match: "+home.header.Get("ETag")); again.status != 304 {
		t.Errorf("the same page again: %d", again.status)
	}
	for _, file := range regexp.MustCompile(`/risorse/[a-z0-9.-]+`).FindAllString(string(home.body), -1) {
		if got := s.send("GET", file, ""); got.status != 200 || !strings.Contains(got.header.Get("Cache-Control"), "immutable") {
			t.Errorf("%s: %d %v", file, got.status, got.header)
		}
	}
	arabic := s.send("GET", "/ar/servizi/", "", "Accept: text/html")
	if arabic.status != 200 || !strings.Contains(string(arabic.body), `<html lang="ar" dir="rtl">`) || arabic.header.Get("Content-Language") != "ar" {
		t.Errorf("in Arabic: %d %v", arabic.status, arabic.header)
	}
	if missing := s.send("GET", "/fr/nulla", "", "Accept: text/html"); missing.status != 404 || !strings.Contains(string(missing.body), `<html lang="fr"`) || missing.header.Get("Cache-Control") != "no-store" {
		t.Errorf("a page that is not there: %d %v", missing.status, missing.header)
	}
	if missing := s.send("GET", "/nulla", ""); missing.header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("for a program: %v", missing.header)
	}
	if icon := s.send("GET", "/icon.svg", ""); icon.status != 200 || icon.header.Get("Content-Type") != "image/svg+xml" {
		t.Errorf("icon: %d %v", icon.status, icon.header)
	}
	if list := s.send("GET", "/problems/", ""); list.status != 200 || !strings.Contains(string(list.body), `href="/problems/etag-mismatch"`) {
		t.Errorf("list of problems: %d", list.status)
	}
	for _, path := range []string{"/docs/", "/openapi.json"} {
		if got := s.send("GET", path, ""); got.status != 200 || got.header.Get("ETag") == "" {
			t.Errorf("%s: %d %v", path, got.status, got.header)
		}
	}
	if unknown := s.send("GET", "/problems/unknown", ""); unknown.status != 404 {
		t.Errorf("unknown problem: %d", unknown.status)
	}
}
