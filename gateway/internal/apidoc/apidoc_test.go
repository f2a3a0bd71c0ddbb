package apidoc_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/net/html"

	"cidsistem.example/gateway/internal/apidoc"
	"cidsistem.example/gateway/internal/edge"
	"cidsistem.example/gateway/openapi"
)

// site is the handler as the gateway runs it.
var site = sync.OnceValue(func() http.Handler {
	metrics, err := edge.NewMetrics(prometheus.NewRegistry())
	if err != nil {
		panic(err)
	}
	return edge.Observe(slog.New(slog.DiscardHandler), metrics, edge.Secure(edge.DefaultLimits(), apidoc.Handler()))
})

func ask(t *testing.T, method, path string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	site().ServeHTTP(w, r)
	return w
}

func TestServes(t *testing.T) {
	for _, test := range []struct{ path, mediaType string }{
		{"/openapi.json", "application/json"},
		{"/docs/", "text/html; charset=utf-8"},
		{"/docs/style.css", "text/css; charset=utf-8"},
	} {
		t.Run(test.path, func(t *testing.T) {
			first := ask(t, http.MethodGet, test.path)
			if first.Code != http.StatusOK || first.Header().Get("Content-Type") != test.mediaType || first.Body.Len() == 0 {
				t.Fatalf("answered %d, %s, %d bytes", first.Code, first.Header().Get("Content-Type"), first.Body.Len())
			}
			again := ask(t, http.MethodGet, test.path, "If-None-Match", first.Header().Get("ETag"))
			if again.Code != http.StatusNotModified || again.Body.Len() != 0 {
				t.Errorf("to who has it already: answered %d, %d bytes", again.Code, again.Body.Len())
			}
			if refused := ask(t, http.MethodPost, test.path); refused.Code != http.StatusMethodNotAllowed {
				t.Errorf("POST was answered %d", refused.Code)
			}
		})
	}
	if diff := cmp.Diff(openapi.JSON, ask(t, http.MethodGet, "/openapi.json").Body.Bytes()); diff != "" {
		t.Error("/openapi.json is not the document")
	}
	if missing := ask(t, http.MethodGet, "/docs/nothing"); missing.Code != http.StatusNotFound || missing.Header().Get("Content-Type") != "application/problem+json" {
		t.Errorf("an unknown address was answered %d, %s", missing.Code, missing.Header().Get("Content-Type"))
	}
}

func page(t *testing.T) *html.Node {
	t.Helper()
	root, err := html.Parse(ask(t, http.MethodGet, "/docs/").Body)
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func text(n *html.Node) string {
	var out strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			out.WriteString(d.Data)
		}
	}
	return strings.TrimSpace(out.String())
}

// operations lists the operations of the document by id.
func operations(t *testing.T) map[string]string {
	t.Helper()
	var doc struct {
		Paths map[string]map[string]struct {
			ID string `json:"operationId"`
		} `json:"paths"`
	}
	if err := json.Unmarshal(openapi.JSON, &doc); err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for path, item := range doc.Paths {
		for method, op := range item {
			all[op.ID] = strings.ToUpper(method) + " " + path
		}
	}
	return all
}

func TestPageShowsEveryOperation(t *testing.T) {
	shown := map[string]string{}
	for n := range page(t).Descendants() {
		if n.Data != "article" || strings.HasPrefix(attribute(n, "id"), "schema-") {
			continue
		}
		for d := range n.Descendants() {
			switch {
			case attribute(d, "class") == "address":
				shown[attribute(n, "id")] = text(d)
			case d.Data == "pre" && !strings.HasPrefix(text(d), `curl "$CID/`):
				t.Errorf("%s has the example %q", attribute(n, "id"), text(d))
			}
		}
	}
	if diff := cmp.Diff(operations(t), shown); diff != "" {
		t.Errorf("operations of the document (-) and of the page (+):\n%s", diff)
	}
}

func TestPageIsWellMade(t *testing.T) {
	root := page(t)
	ids, targets := map[string]bool{}, map[string]bool{}
	headings, level := 0, 0
	for n := range root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		if id := attribute(n, "id"); id != "" {
			if ids[id] {
				t.Errorf("the id %s is there twice", id)
			}
			ids[id] = true
		}
		switch n.Data {
		case "html":
			if attribute(n, "lang") != "it" {
				t.Error("the page is not marked as Italian")
			}
		case "h1":
			headings, level = headings+1, 1
		case "h2", "h3", "h4":
			if next := int(n.Data[1] - '0'); n.Parent.Data != "nav" {
				if next > level+1 {
					t.Errorf("the heading %q skips a level", text(n))
				}
				level = next
			}
		case "a":
			if fragment, local := strings.CutPrefix(attribute(n, "href"), "#"); local {
				targets[fragment] = true
			}
		case "script", "style", "iframe", "img", "object":
			t.Errorf("the page has the element %s", n.Data)
		}
		if attribute(n, "style") != "" {
			t.Errorf("%s has a style of its own, which the content security policy forbids", n.Data)
		}
	}
	if headings != 1 {
		t.Errorf("the page has %d h1", headings)
	}
	for target := range targets {
		if !ids[target] {
			t.Errorf("#%s leads nowhere", target)
		}
	}
}

func TestPageLoadsNothingFromElsewhere(t *testing.T) {
	for n := range page(t).Descendants() {
		if n.Type != html.ElementNode || n.Data == "a" {
			continue
		}
		for _, a := range n.Attr {
			if a.Key != "href" && a.Key != "src" && a.Key != "srcset" && a.Key != "action" && a.Key != "data" {
				continue
			}
			if address, err := url.Parse(a.Val); err != nil || address.IsAbs() || address.Host != "" {
				t.Errorf("%s loads %s", n.Data, a.Val)
			}
		}
	}
	if style := ask(t, http.MethodGet, "/docs/style.css").Body.String(); strings.Contains(style, "url(") || strings.Contains(style, "@import") {
		t.Error("the style sheet loads something")
	}
}

// The descriptions come from the contract, which is in English.
func TestPageMarksEnglish(t *testing.T) {
	english := func(n *html.Node) bool {
		for ; n != nil; n = n.Parent {
			if lang := attribute(n, "lang"); lang != "" {
				return lang == "en"
			}
		}
		return false
	}
	for _, test := range []struct {
		text string
		want bool
	}{
		{"Changes one service", true},
		{"Strong validator; send it back to make a change conditional.", true},
		{"Corpo della richiesta", false},
		{"obbligatorio", false},
	} {
		found := false
		for n := range page(t).Descendants() {
			if n.Type == html.TextNode && strings.TrimSpace(n.Data) == test.text {
				found = true
				if english(n) != test.want {
					t.Errorf("%q: English is %t, want %t", test.text, !test.want, test.want)
					break
				}
			}
		}
		if !found {
			t.Errorf("%q is not on the page", test.text)
		}
	}
}

func TestExamples(t *testing.T) {
	for id, want := range map[string]string{
		"getService":   `curl "$CID/v1/comuni/marsala/services/servizio-1"`,
		"suggest":      `curl "$CID/v1/suggest?q=testo"`,
		"watchNodes":   "curl \"$CID/v1/nodes:watch\" \\\n  -N \\\n  -H 'Accept: text/event-stream'",
		"uploadFile":   "curl \"$CID/v1/comuni/marsala/files\" \\\n  -X POST \\\n  -H 'Content-Type: application/octet-stream' \\\n  --data-binary @file",
		"downloadFile": "curl \"$CID/v1/comuni/marsala/files/" + strings.Repeat("0", 64) + ":download\" \\\n  -o file",
		"updateService": "curl \"$CID/v1/comuni/marsala/services/servizio-1\" \\\n  -X PATCH \\\n  -H \"If-Match: $ETAG\" \\\n" +
			"  -H \"Idempotency-Key: $(uuidgen -r)\" \\\n  -H 'Content-Type: application/json' \\\n  --data '{\"title\":{\"it\":\"testo\"},\"status\":{\"state\":\"ACTIVE\"}}'",
	} {
		t.Run(id, func(t *testing.T) {
			for n := range page(t).Descendants() {
				if n.Data != "article" || attribute(n, "id") != id {
					continue
				}
				for d := range n.Descendants() {
					if d.Data == "pre" {
						if diff := cmp.Diff(want, text(d)); diff != "" {
							t.Errorf("example (-want +got):\n%s", diff)
						}
						return
					}
				}
			}
			t.Error("there is no example")
		})
	}
}
