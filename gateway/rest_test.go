package gateway_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestProblems(t *testing.T) {
	s := start(t)
	s.create("aurora", "Aurora")
	s.create("used", "Serve ad altri")
	const aurora = "/v1/comuni/marsala/organizations/aurora"
	const key = "3f0c5e1e-8f4e-4c63-9a5e-2f6f3f1d7a10"

	for _, test := range []struct {
		name    string
		request string // method and path
		body    string
		headers []string
		status  int
		reason  string
		field   string // the first wrong field
		message string // part of what is said about it, or of the detail
		header  map[string]string
	}{
		// Routing.
		{name: "unknown path", request: "GET /v2/comuni", status: 404, reason: "NO_SUCH_PATH"},
		{name: "unknown collection", request: "GET /v1/comuni/marsala/cats", status: 404, reason: "NO_SUCH_PATH"},
		{name: "trailing slash", request: "GET /v1/comuni/", status: 404, reason: "NO_SUCH_PATH"},
		{name: "empty segment", request: "GET /v1//comuni", status: 404, reason: "NO_SUCH_PATH"},
		{name: "slash in an escape", request: "GET /v1/comuni/marsala%2Forganizations%2Faurora", status: 404, reason: "NO_SUCH_PATH"},
		{name: "colon in an escape", request: "GET " + aurora + "%3Aundelete", status: 404, reason: "NO_SUCH_PATH"},
		{name: "not UTF-8", request: "GET /v1/comuni/%ff", status: 404, reason: "NO_SUCH_PATH"},
		{name: "unknown custom method", request: "POST " + aurora + ":publish", body: "{}", status: 404, reason: "NO_SUCH_PATH"},
		{
			name: "method of a record", request: "PUT " + aurora, body: "{}", status: 405, reason: "METHOD_NOT_ALLOWED",
			header: map[string]string{"Allow": "GET, HEAD, PATCH, DELETE, OPTIONS"},
		},
		{
			name: "method of a collection", request: "DELETE /v1/comuni/marsala/organizations", status: 405, reason: "METHOD_NOT_ALLOWED",
			header: map[string]string{"Allow": "GET, HEAD, POST, OPTIONS"},
		},
		{
			name: "method of a custom method", request: "GET " + aurora + ":undelete", status: 405, reason: "METHOD_NOT_ALLOWED",
			header: map[string]string{"Allow": "POST, OPTIONS"},
		},
		{
			name: "method of files", request: "GET /v1/comuni/marsala/files", status: 405, reason: "METHOD_NOT_ALLOWED",
			header: map[string]string{"Allow": "POST, OPTIONS"},
		},
		{
			name: "method of a page", request: "POST /status", status: 405, reason: "METHOD_NOT_ALLOWED",
			header: map[string]string{"Allow": "GET, HEAD, OPTIONS"},
		},
		{name: "a stream has no HEAD", request: "HEAD /v1/nodes:watch", status: 405},
		{name: "method override", request: "POST " + aurora, body: "{}", headers: []string{"X-HTTP-Method-Override: DELETE"}, status: 405, reason: "METHOD_NOT_ALLOWED"},
		{name: "address too long", request: "GET /v1/search?q=" + strings.Repeat("a", 9000), status: 414, reason: "ADDRESS_TOO_LONG"},

		// Formats.
		{name: "XML wanted", request: "GET " + aurora, headers: []string{"Accept: application/xml"}, status: 406, reason: "NOT_ACCEPTABLE", message: "application/json"},
		{name: "JSON refused", request: "GET " + aurora, headers: []string{"Accept: application/json;q=0, text/html"}, status: 406, reason: "NOT_ACCEPTABLE"},
		{name: "JSON wanted of a stream", request: "GET /v1/nodes:watch", headers: []string{"Accept: application/json"}, status: 406, reason: "NOT_ACCEPTABLE", message: "text/event-stream"},
		{name: "a form", request: "POST /v1/comuni/marsala/organizations", body: "a=b", headers: []string{"Content-Type: application/x-www-form-urlencoded"}, status: 415, reason: "UNSUPPORTED_MEDIA_TYPE", header: map[string]string{"Accept": "application/json"}},
		{name: "no media type", request: "PATCH " + aurora, body: "{}", headers: []string{"Content-Type: "}, status: 415, reason: "UNSUPPORTED_MEDIA_TYPE"},
		{name: "Latin 1", request: "PATCH " + aurora, body: "{}", headers: []string{"Content-Type: application/json; charset=iso-8859-1"}, status: 415, reason: "UNSUPPORTED_MEDIA_TYPE"},
		{name: "compressed body", request: "PATCH " + aurora, body: "{}", headers: []string{"Content-Encoding: gzip"}, status: 415, reason: "UNSUPPORTED_MEDIA_TYPE"},
		{name: "body too large", request: "PATCH " + aurora, body: `{"runtsSection":"` + strings.Repeat("a", 1<<20) + `"}`, status: 413, reason: "TOO_LARGE", message: "1048576"},

		// Bodies.
		{name: "not JSON", request: "PATCH " + aurora, body: "{\"title\": {\n  \"it\": }", status: 400, reason: "INVALID_FIELDS", message: "line 2, column 9"},
		{name: "ends early", request: "PATCH " + aurora, body: `{"title": {`, status: 400, reason: "INVALID_FIELDS", message: "ends too early"},
		{name: "two documents", request: "PATCH " + aurora, body: `{} {}`, status: 400, reason: "INVALID_FIELDS", message: "column 4"},
		{name: "a list", request: "PATCH " + aurora, body: `[]`, status: 400, reason: "INVALID_FIELDS", message: "must be a JSON object"},
		{name: "unknown field", request: "PATCH " + aurora, body: `{"titel": {"it": "x"}}`, status: 400, reason: "INVALID_FIELDS", field: "titel", message: "is not a field of this request"},
		{name: "unknown field inside", request: "PATCH " + aurora, body: `{"summary": {"it": "è", "de": "x"}}`, status: 400, reason: "INVALID_FIELDS", field: "summary.de", message: "is not a field"},
		{name: "number for text", request: "PATCH " + aurora, body: `{"title": {"it": 5}}`, status: 400, reason: "INVALID_FIELDS", field: "title.it", message: "must be a text"},
		{name: "in the second of a list", request: "PATCH " + aurora, body: `{"contacts": [{"label": "a"}, {"labels": 1}]}`, status: 400, reason: "INVALID_FIELDS", field: "contacts[1].labels", message: "is not a field"},
		{name: "wrong element", request: "PATCH " + aurora, body: `{"alternativeNames": ["a", {"b": 1}]}`, status: 400, reason: "INVALID_FIELDS", field: "alternativeNames[1]", message: "must be a text"},
		{name: "text for a list", request: "PATCH " + aurora, body: `{"alternativeNames": "a"}`, status: 400, reason: "INVALID_FIELDS", field: "alternativeNames", message: "must be a list"},
		{name: "text for a message", request: "PATCH " + aurora, body: `{"title": "Aurora"}`, status: 400, reason: "INVALID_FIELDS", field: "title", message: "must be an object"},
		{name: "unknown value", request: "PATCH " + aurora, body: `{"kind": "CLUB"}`, status: 400, reason: "INVALID_FIELDS", field: "kind", message: "PUBLIC_BODY, "},
		{name: "no time", request: "PATCH " + aurora, body: `{"createTime": "ieri"}`, status: 400, reason: "INVALID_FIELDS", field: "createTime", message: "RFC 3339"},
		{name: "twice", request: "PATCH " + aurora, body: `{"kind": "SCHOOL", "kind": "SCHOOL"}`, status: 400, reason: "INVALID_FIELDS", field: "kind", message: "twice"},
		{name: "in a map", request: "PATCH " + aurora, body: `{"title": {"translations": {"ar": {"testo": ""}}}}`, status: 400, reason: "INVALID_FIELDS", field: "title.translations.ar.testo", message: "is not a field"},
		{name: "other name", request: "PATCH " + aurora, body: `{"name": "comuni/marsala/organizations/other"}`, status: 400, reason: "INVALID_FIELDS", field: "name", message: "differs"},
		{name: "other name in a custom method", request: "POST " + aurora + ":undelete", body: `{"name": "comuni/marsala/organizations/other"}`, status: 400, reason: "INVALID_FIELDS", field: "name"},
		{name: "no body", request: "POST /v1/comuni/marsala/organizations", status: 400, reason: "INVALID_FIELDS", field: "title"},
		{name: "field of the record", request: "POST /v1/comuni/marsala/organizations", body: `{"kind": "SCHOOL"}`, status: 400, reason: "INVALID_FIELDS", field: "title", message: "required"},

		// Parameters.
		{name: "unknown parameter", request: "GET /v1/comuni/marsala/organizations?pagesize=5", status: 400, reason: "INVALID_FIELDS", field: "pagesize", message: "is not a parameter"},
		{name: "unknown parameter of a change", request: "DELETE " + aurora + "?force=true", status: 400, reason: "INVALID_FIELDS", field: "force"},
		{name: "unknown nested parameter", request: "GET /v1/comuni/marsala/organizations?maxStaleness.seconds=5", status: 400, reason: "INVALID_FIELDS", field: "maxStaleness.seconds"},
		{name: "index", request: "GET /v1/search?kinds[0]=services", status: 400, reason: "INVALID_FIELDS", field: "kinds[0]"},
		{name: "parameter in the path", request: "GET /v1/comuni/marsala/organizations?parent=comuni/other", status: 400, reason: "INVALID_FIELDS", field: "parent", message: "in the path"},
		{name: "parameter in the body", request: "PATCH " + aurora + "?organization.etag=x", body: "{}", status: 400, reason: "INVALID_FIELDS", field: "organization.etag", message: "body"},
		{name: "parameter of a custom method", request: "POST " + aurora + ":undelete?validateOnly=true", body: "{}", status: 400, reason: "INVALID_FIELDS", field: "validateOnly", message: "body"},
		{name: "parameter of a stream", request: "GET /v1/nodes:watch?since=1", status: 400, reason: "INVALID_FIELDS", field: "since"},
		{name: "no number", request: "GET /v1/comuni/marsala/organizations?pageSize=many", status: 400, reason: "INVALID_FIELDS", field: "pageSize", message: "whole number"},
		{name: "no truth", request: "GET /v1/comuni/marsala/organizations?show_deleted=ja", status: 400, reason: "INVALID_FIELDS", field: "show_deleted", message: "true or false"},
		{name: "no duration", request: "GET " + aurora + "?maxStaleness=10", status: 400, reason: "INVALID_FIELDS", field: "maxStaleness", message: "10s"},
		{name: "unknown enum value", request: "GET " + aurora + "?readPreference=FAST", status: 400, reason: "INVALID_FIELDS", field: "readPreference", message: "LIVE_ONLY"},
		{name: "parameter twice", request: "GET /v1/comuni/marsala/organizations?pageSize=1&pageSize=2", status: 400, reason: "INVALID_FIELDS", field: "pageSize", message: "twice"},
		{name: "parameter by both names", request: "GET /v1/comuni/marsala/organizations?pageSize=1&page_size=1", status: 400, reason: "INVALID_FIELDS", field: "page_size", message: "twice"},
		{name: "parameter not UTF-8", request: "GET /v1/search?q=%ff", status: 400, reason: "INVALID_FIELDS", field: "q", message: "UTF-8"},
		{name: "damaged query", request: "GET /v1/search?q=%zz", status: 400, reason: "INVALID_FIELDS", message: "damaged"},

		// Conditions and retries.
		{name: "If-Match of another state", request: "PATCH " + aurora, body: `{"title":{"it":"X"}}`, headers: []string{`If-Match: "r99"`}, status: 412, reason: "ETAG_MISMATCH"},
		{name: "If-Match on DELETE", request: "DELETE " + aurora, headers: []string{`If-Match: "r99"`}, status: 412, reason: "ETAG_MISMATCH"},
		{name: "If-Match on a custom method", request: "POST " + aurora + ":undelete", headers: []string{`If-Match: "r99"`}, status: 412, reason: "ETAG_MISMATCH"},
		{name: "If-Match on GET", request: "GET " + aurora, headers: []string{`If-Match: "r99"`}, status: 412, reason: "ETAG_MISMATCH"},
		{name: "etag in the body", request: "PATCH " + aurora, body: `{"title":{"it":"X"},"etag":"\"r99\""}`, status: 409, reason: "ETAG_MISMATCH"},
		{name: "etag in the query", request: "DELETE " + aurora + "?etag=%22r99%22", status: 409, reason: "ETAG_MISMATCH"},
		{name: "two etags", request: "PATCH " + aurora, body: `{"etag":"\"r98\""}`, headers: []string{`If-Match: "r99"`}, status: 400, reason: "INVALID_FIELDS", field: "etag", message: "If-Match"},
		{name: "no etag", request: "PATCH " + aurora, body: `{}`, headers: []string{`If-Match: r1`}, status: 400, reason: "INVALID_FIELDS", field: "If-Match"},
		{name: "weak etag", request: "PATCH " + aurora, body: `{}`, headers: []string{`If-Match: W/"r1"`}, status: 400, reason: "INVALID_FIELDS", field: "If-Match"},
		{name: "two alternatives", request: "PATCH " + aurora, body: `{}`, headers: []string{`If-Match: "r1", "r2"`}, status: 400, reason: "INVALID_FIELDS", field: "If-Match"},
		{name: "If-Match where nothing is compared", request: "POST /v1/comuni/marsala/organizations", body: `{"title":{"it":"X"}}`, headers: []string{`If-Match: "r1"`}, status: 400, reason: "INVALID_FIELDS", field: "If-Match"},
		{name: "If-None-Match on a change", request: "PATCH " + aurora, body: `{}`, headers: []string{`If-None-Match: *`}, status: 400, reason: "INVALID_FIELDS", field: "If-None-Match"},
		{name: "must exist", request: "PATCH /v1/comuni/marsala/organizations/none", body: `{}`, headers: []string{`If-Match: *`}, status: 404, reason: "RESOURCE_NOT_FOUND"},
		{name: "must exist, may be missing", request: "PATCH /v1/comuni/marsala/organizations/none?allowMissing=true", body: `{}`, headers: []string{`If-Match: *`}, status: 412, reason: "RESOURCE_NOT_FOUND"},
		{name: "key is no UUID", request: "DELETE " + aurora, headers: []string{"Idempotency-Key: again"}, status: 400, reason: "INVALID_FIELDS", field: "Idempotency-Key"},
		{name: "key is UUID of version 1", request: "DELETE " + aurora, headers: []string{"Idempotency-Key: 2f6f3f1d-8f4e-11ee-9a5e-3f0c5e1e7a10"}, status: 400, reason: "INVALID_FIELDS", field: "Idempotency-Key"},
		{name: "two keys", request: "DELETE " + aurora + "?requestId=0f0c5e1e-8f4e-4c63-9a5e-2f6f3f1d7a10", headers: []string{"Idempotency-Key: " + key}, status: 400, reason: "INVALID_FIELDS", field: "Idempotency-Key"},

		// What the registry answers.
		{name: "not found", request: "GET /v1/comuni/marsala/organizations/none", status: 404, reason: "RESOURCE_NOT_FOUND"},
		{name: "exists", request: "POST /v1/comuni/marsala/organizations?organizationId=aurora", body: `{"title":{"it":"X"}}`, status: 409, reason: "RESOURCE_EXISTS"},
		{name: "page token", request: "GET /v1/comuni/marsala/organizations?pageToken=x", status: 400, reason: "INVALID_PAGE_TOKEN"},
		{name: "owner away", request: "GET /v1/comuni/marsala/organizations/silent", status: 503, reason: "OWNER_UNREACHABLE", header: map[string]string{"Retry-After": "3"}},
		{name: "defect", request: "GET /v1/comuni/marsala/organizations/broken", status: 500, reason: "INTERNAL_ERROR", message: "its log has the cause"},
		{name: "not signed in", request: "GET /v1/comuni/marsala/organizations/locked", status: 403, reason: "NOT_ALLOWED", header: map[string]string{"Www-Authenticate": ""}},
		{name: "no reason", request: "GET /v1/comuni/marsala/organizations/tomorrow", status: 409, reason: "ETAG_MISMATCH", message: "a reason that this gateway does not know"},
		{name: "not there yet", request: "GET /v1/comuni/marsala/services", status: 501, reason: "UNKNOWN_METHOD"},
		{name: "foreign file", request: "POST /v1/comuni/pantelleria/files", body: "x", status: 421, reason: "NOT_THE_OWNER"},
		{name: "file with another digest", request: "POST /v1/comuni/marsala/files?sha256=" + strings.Repeat("0", 64), body: "x", status: 400, reason: "INVALID_FIELDS", field: "sha256"},
		{name: "unknown parameter of an upload", request: "POST /v1/comuni/marsala/files?name=x", body: "x", status: 400, reason: "INVALID_FIELDS", field: "name"},
		{name: "unknown file", request: "GET /v1/comuni/marsala/files/" + strings.Repeat("0", 64) + ":download", status: 404, reason: "RESOURCE_NOT_FOUND"},
	} {
		t.Run(test.name, func(t *testing.T) {
			method, path, _ := strings.Cut(test.request, " ")
			got := s.send(method, path, test.body, test.headers...)
			if got.status != test.status {
				t.Fatalf("status %d, want %d: %s", got.status, test.status, got.body)
			}
			for name, want := range test.header {
				if value := got.header.Get(name); value != want {
					t.Errorf("%s: %q, want %q", name, value, want)
				}
			}
			if got.header.Get("Cache-Control") != "no-store" || got.header.Get("ETag") != "" {
				t.Errorf("an error may be kept: %v", got.header)
			}
			if method == "HEAD" {
				return
			}
			p := got.problem(t)
			if p.Reason != test.reason || p.Status != test.status || p.Title == "" || p.Detail == "" {
				t.Errorf("problem %s, want reason %s and status %d", got.body, test.reason, test.status)
			}
			if want := "urn:uuid:" + got.header.Get("X-Request-Id"); p.Instance != want {
				t.Errorf("instance %q, want %q", p.Instance, want)
			}
			said := p.Detail
			if test.field != "" {
				if len(p.Errors) == 0 || p.Errors[0].Field != test.field {
					t.Fatalf("errors %+v, want the field %q", p.Errors, test.field)
				}
				said = p.Errors[0].Message
			}
			if !strings.Contains(said, test.message) {
				t.Errorf("said %q, want it to say %q", said, test.message)
			}
			if page := s.send("GET", p.Type, ""); page.status != http.StatusOK || !strings.Contains(string(page.body), test.reason) {
				t.Errorf("the page %s does not explain %s: %d", p.Type, test.reason, page.status)
			}
		})
	}
}

func TestProblemHidesInternals(t *testing.T) {
	s := start(t)
	got := s.send("GET", "/v1/comuni/marsala/organizations/broken", "")
	if strings.Contains(string(got.body), "10.1.2.3") {
		t.Errorf("the client learns of internals: %s", got.body)
	}
	if line := wait(t, s.log); !strings.Contains(line, "10.1.2.3") || !strings.Contains(line, got.header.Get("X-Request-Id")) {
		t.Errorf("the log does not have the cause: %s", line)
	}
}

func TestProblemListsFieldsAndBlockers(t *testing.T) {
	s := start(t)
	p := s.send("POST", "/v1/comuni/marsala/organizations", `{"kind":"SCHOOL"}`).problem(t)
	want := []struct{ Field, Message string }{{"title", "is required"}, {"alternativeNames[1]", "is too long"}}
	if diff := cmp.Diff(want, p.Errors); diff != "" {
		t.Errorf("errors (-want +got):\n%s", diff)
	}
	if p.Detail != "title: is required; alternativeNames[1]: is too long" {
		t.Errorf("detail %q has other names of the fields", p.Detail)
	}
	s.create("used", "Serve ad altri")
	p = s.send("DELETE", "/v1/comuni/marsala/organizations/used", "").problem(t)
	blockers := []struct{ Name, Message string }{{"comuni/marsala/services/trasporto", "is provided by it"}}
	if diff := cmp.Diff(blockers, p.Blockers); diff != "" || p.Reason != "STILL_REFERRED_TO" {
		t.Errorf("%s: blockers (-want +got):\n%s", p.Reason, diff)
	}
	p = s.send("GET", "/v1/comuni/marsala/organizations/silent", "", "Traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").problem(t)
	if p.TraceID != "0af7651916cd43dd8448eb211c80319c" || p.Metadata["comune"] != "marsala" {
		t.Errorf("trace %q and metadata %v are not those of the error", p.TraceID, p.Metadata)
	}
}

func TestRecordLife(t *testing.T) {
	s := start(t)
	const path = "/v1/comuni/marsala/organizations/aurora"

	created := s.create("aurora", "Aurora")
	if got := created.header.Get("Location"); got != path {
		t.Errorf("Location %q, want %q", got, path)
	}
	if got := created.header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control of a change %q", got)
	}
	etag := created.header.Get("ETag")
	if etag != created.json(t)["etag"] || etag == "" {
		t.Errorf("ETag %q is not that of the record %s", etag, created.body)
	}

	read := s.send("GET", path, "")
	if read.status != 200 || read.header.Get("ETag") != etag || read.header.Get("Cache-Control") != "public, max-age=0, must-revalidate" {
		t.Errorf("read: %d %v", read.status, read.header)
	}
	if _, present := read.json(t)["alternativeNames"]; present {
		t.Errorf("empty fields are sent: %s", read.body)
	}
	head := s.send("HEAD", path, "")
	if head.status != 200 || head.header.Get("ETag") != etag || len(head.body) != 0 {
		t.Errorf("HEAD: %d %v", head.status, head.header)
	}
	for _, condition := range []string{etag, "*", `"other", ` + etag, "W/" + etag} {
		got := s.send("GET", path, "", "If-None-Match: "+condition)
		if got.status != http.StatusNotModified || len(got.body) != 0 || got.header.Get("ETag") == "" {
			t.Errorf("If-None-Match %s: %d", condition, got.status)
		}
	}
	if got := s.send("GET", path, "", `If-None-Match: "other"`); got.status != 200 {
		t.Errorf("If-None-Match of another state: %d", got.status)
	}

	changed := s.send("PATCH", path, `{"title":{"it":"Aurora nuova"}}`, "If-Match: "+etag)
	if changed.status != 200 || changed.header.Get("ETag") == etag || changed.header.Get("Location") != "" {
		t.Errorf("PATCH: %d %s", changed.status, changed.body)
	}
	if again := s.send("PATCH", path, `{"title":{"it":"Altro"}}`, "If-Match: "+etag); again.status != http.StatusPreconditionFailed {
		t.Errorf("PATCH with an old etag: %d", again.status)
	}
	if held := s.send("PATCH", path, `{"summary":{"it":"Breve"}}`, "If-Match: *"); held.status != 200 {
		t.Errorf("PATCH with If-Match: *: %d %s", held.status, held.body)
	}
	deleted := s.send("DELETE", path, "")
	if deleted.status != 200 || deleted.json(t)["deleteTime"] == nil {
		t.Errorf("DELETE: %d %s", deleted.status, deleted.body)
	}
	restored := s.send("POST", path+":undelete", "", "If-Match: "+deleted.header.Get("ETag"))
	if restored.status != 200 || restored.json(t)["deleteTime"] != nil || restored.header.Get("ETag") == "" {
		t.Errorf("undelete: %d %s", restored.status, restored.body)
	}
	if title := restored.json(t)["title"].(map[string]any)["it"]; title != "Aurora nuova" {
		t.Errorf("the title is %v", title)
	}
}

func TestIdempotencyKey(t *testing.T) {
	s := start(t)
	const key = "Idempotency-Key: 3f0c5e1e-8f4e-4c63-9a5e-2f6f3f1d7a10"
	const body = `{"title":{"it":"Aurora"}}`
	first := s.send("POST", "/v1/comuni/marsala/organizations", body, key)
	second := s.send("POST", "/v1/comuni/marsala/organizations", body, key)
	if first.status != 201 || second.status != 201 || first.header.Get("Location") != second.header.Get("Location") {
		t.Errorf("the same key made two records: %s, %s", first.header.Get("Location"), second.header.Get("Location"))
	}
	reused := s.send("POST", "/v1/comuni/marsala/organizations", `{"title":{"it":"Altra"}}`, key)
	if p := reused.problem(t); reused.status != 422 || p.Reason != "REQUEST_ID_REUSED" {
		t.Errorf("the key of another request: %d %s", reused.status, reused.body)
	}
}

func TestValidateOnlyCreatesNothing(t *testing.T) {
	s := start(t)
	got := s.send("POST", "/v1/comuni/marsala/organizations?validateOnly=true", `{"title":{"it":"Aurora"}}`)
	if got.status != 200 || got.header.Get("Location") != "" {
		t.Errorf("a dry run answers %d with Location %q", got.status, got.header.Get("Location"))
	}
}

func TestLists(t *testing.T) {
	s := start(t)
	s.create("aurora", "Aurora")
	first := s.send("GET", "/v1/comuni/marsala/organizations?pageSize=10&show_deleted=false", "")
	etag := first.header.Get("ETag")
	if first.status != 200 || !strings.HasPrefix(etag, `W/"`) || first.header.Get("Cache-Control") != "no-cache" {
		t.Fatalf("list: %d %v", first.status, first.header)
	}
	if got := s.send("GET", "/v1/comuni/marsala/organizations?pageSize=10&show_deleted=false", "", "If-None-Match: "+etag); got.status != 304 {
		t.Errorf("the unchanged list: %d", got.status)
	}
	s.create("borea", "Borea")
	if got := s.send("GET", "/v1/comuni/marsala/organizations?pageSize=10&show_deleted=false", "", "If-None-Match: "+etag); got.status != 200 || got.header.Get("ETag") == etag {
		t.Errorf("the changed list: %d", got.status)
	}
	if got := s.send("GET", "/v1/comuni/-/organizations", ""); got.status != 200 || len(got.json(t)["organizations"].([]any)) != 2 {
		t.Errorf("all comuni: %d %s", got.status, got.body)
	}
	if got := s.send("GET", "/v1/nodes", "", "Accept: text/html, */*;q=0.1"); got.status != 200 {
		t.Errorf("nodes: %d %s", got.status, got.body)
	}
}

func TestVisibilityDecidesWhoMayKeep(t *testing.T) {
	s := start(t)
	got := s.send("POST", "/v1/comuni/marsala/organizations?organizationId=rete", `{"title":{"it":"Rete"},"visibility":"NETWORK"}`)
	if got.status != 201 {
		t.Fatalf("create: %d %s", got.status, got.body)
	}
	if got := s.send("GET", "/v1/comuni/marsala/organizations/rete", "").header.Get("Cache-Control"); got != "private, no-store" {
		t.Errorf("a record that is not for everyone may be kept: %q", got)
	}
}

func TestSearchByPostAndGet(t *testing.T) {
	s := start(t)
	if got := s.send("POST", "/v1/search", `{"q":"trasporto","kinds":["services"],"facets":true}`); got.status != 200 {
		t.Fatalf("POST: %d %s", got.status, got.body)
	}
	if q := s.search.last; q.GetQ() != "trasporto" || !q.GetFacets() || len(q.GetKinds()) != 1 {
		t.Errorf("the registry was asked %v", q)
	}
	if got := s.send("GET", "/v1/search?q=nido&kinds=services&kinds=practices&target_groups=minors&readPreference=LIVE_ONLY&maxStaleness=5s", ""); got.status != 200 {
		t.Fatalf("GET: %d %s", got.status, got.body)
	}
	if q := s.search.last; q.GetQ() != "nido" || len(q.GetKinds()) != 2 || len(q.GetTargetGroups()) != 1 || q.GetReadPreference() != 2 || q.GetMaxStaleness().GetSeconds() != 5 {
		t.Errorf("the registry was asked %v", q)
	}
}

func TestHeadersBothWays(t *testing.T) {
	s := start(t)
	s.create("aurora", "Aurora")
	s.organizations.metadata = nil
	got := s.send("GET", "/v1/comuni/marsala/organizations/aurora", "",
		"Authorization: Bearer secret", "Cookie: a=b", "Grpc-Metadata-X-Role: admin", "X-Forwarded-For: 1.2.3.4", "X-Role: admin", "Cid-Purpose: verifica è annuale",
		"X-Request-Id: mine", "Grpc-Timeout: 1n", "TE: trailers", "Traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	if got.status != 200 {
		t.Fatalf("read: %d %s", got.status, got.body)
	}
	sent := s.organizations.metadata[0]
	for key, values := range sent {
		switch key {
		case ":authority", "content-type", "user-agent", "grpc-accept-encoding": // of gRPC itself
		case "x-request-id":
			if values[0] != got.header.Get("X-Request-Id") || values[0] == "mine" {
				t.Errorf("the request id upstream is %v", values)
			}
		case "traceparent":
		case "authorization", "cid-client", "cid-purpose":
			want := map[string]string{"authorization": "Bearer secret", "cid-client": "127.0.0.1/32", "cid-purpose": "verifica ? annuale"}[key]
			if len(values) != 1 || values[0] != want {
				t.Errorf("metadata %s is %q, want %q", key, values, want)
			}
		default:
			t.Errorf("metadata %s: %v was sent upstream", key, values)
		}
	}
	if sent.Get("authorization") == nil || sent.Get("cid-client") == nil || sent.Get("cid-purpose") == nil {
		t.Errorf("who asks, from where and why is not told: %v", sent)
	}
	if got.header.Get("Cache-Control") != "private, no-store" || got.header.Get("Vary") == "" {
		t.Errorf("an answer to somebody in particular may be kept: %v", got.header)
	}
	if sent.Get("traceparent") == nil {
		t.Error("the trace ends at the edge")
	}
	if got.header.Get("Cid-Coverage") != "current" || got.header.Get("Cid-As-Of") != "2026-03-01T08:00:00Z" {
		t.Errorf("freshness: %v", got.header)
	}
	for name := range got.header {
		if name == "Age" || name == "X-Internal" || strings.HasPrefix(name, "Grpc-") {
			t.Errorf("the header %s went out", name)
		}
	}
	for name, want := range map[string]string{
		"Content-Security-Policy": "frame-ancestors 'none'",
		"X-Content-Type-Options":  "nosniff",
		"Referrer-Policy":         "no-referrer",
	} {
		if !strings.Contains(got.header.Get(name), want) {
			t.Errorf("%s: %q", name, got.header.Get(name))
		}
	}
}

func TestOptions(t *testing.T) {
	s := start(t)
	got := s.send("OPTIONS", "/v1/comuni/marsala/organizations", "")
	if got.status != 204 || got.header.Get("Allow") != "GET, HEAD, POST, OPTIONS" {
		t.Errorf("OPTIONS: %d %v", got.status, got.header)
	}
}
