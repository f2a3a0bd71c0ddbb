package edge

import (
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"cidsistem.example/proto/gen/registryv1"
)

// routeOf finds a route of the contract.
func routeOf(t testing.TB, method, pattern string) *route {
	t.Helper()
	all, err := newRoutes(services)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range all {
		if r.httpMethod == method && r.pattern == pattern {
			return r
		}
	}
	t.Fatalf("there is no route %s %s", method, pattern)
	return nil
}

func TestParseTemplate(t *testing.T) {
	for _, test := range []struct {
		text, segments, verb, variables string
		wrong                           bool
	}{
		{text: "/v1/comuni", segments: "v1 comuni"},
		{text: "/v1/nodes:watch", segments: "v1 nodes", verb: "watch"},
		{text: "/v1/{name=comuni/*/services/*}:undelete", segments: "v1 comuni * services *", verb: "undelete", variables: "name"},
		{text: "/v1/{parent=comuni/*}/services", segments: "v1 comuni * services", variables: "parent"},
		{text: "/v1/{id}/x/{other}", segments: "v1 * x *", variables: "id other"},
		{text: "v1", wrong: true},
		{text: "/v1/{path=**}", wrong: true},
		{text: "/v1/{name=a/*", wrong: true},
		{text: "/v1/{=a}", wrong: true},
		{text: "/v1//x", wrong: true},
		{text: "/v1/{a}b", wrong: true},
	} {
		got, err := parseTemplate(test.text)
		if test.wrong {
			if err == nil {
				t.Errorf("%s: is taken as %+v", test.text, got)
			}
			continue
		}
		var variables []string
		for _, v := range got.variables {
			variables = append(variables, v.path)
		}
		if err != nil || strings.Join(got.segments, " ") != test.segments || got.verb != test.verb || strings.Join(variables, " ") != test.variables {
			t.Errorf("%s: %+v, %v", test.text, got, err)
		}
	}
}

func TestParseTags(t *testing.T) {
	for _, test := range []struct {
		header string
		want   []string
		any    bool
		wrong  bool
	}{
		{header: `*`, any: true},
		{header: `"a"`, want: []string{`"a"`}},
		{header: `W/"a"`, want: []string{`W/"a"`}},
		{header: ` "a" , W/"b","c" `, want: []string{`"a"`, `W/"b"`, `"c"`}},
		{header: `"a,b"`, want: []string{`"a,b"`}},
		{header: `""`, want: []string{`""`}},
		{header: `"a.gzip"`, want: []string{`"a"`}},
		{header: `W/"a.zstd"`, want: []string{`W/"a"`}},
		{header: `"a.br"`, want: []string{`"a.br"`}},
		{header: ``, wrong: true},
		{header: `a`, wrong: true},
		{header: `"a`, wrong: true},
		{header: `"a" "b"`, wrong: true},
		{header: `"a",`, wrong: true},
		{header: `*, "a"`, wrong: true},
		{header: `w/"a"`, wrong: true},
		{header: "\"a\x00\"", wrong: true},
		{header: `"è"`, wrong: true},
	} {
		tags, any, ok := parseTags(test.header)
		var got []string
		for _, tag := range tags {
			text := tag.bare()
			if tag.weak {
				text = "W/" + text
			}
			got = append(got, text)
		}
		if ok == test.wrong || ok && (any != test.any || !slices.Equal(got, test.want)) {
			t.Errorf("%s: %v, any %v, ok %v", test.header, got, any, ok)
		}
	}
}

func TestChooseType(t *testing.T) {
	for accept, want := range map[string]string{
		"":                                   typeLines,
		"*/*":                                typeLines,
		"text/event-stream":                  typeEvents,
		"text/event-stream, */*":             typeLines, // both are welcome
		"text/event-stream, */*;q=0.1":       typeEvents,
		"application/*":                      typeLines,
		"TEXT/*":                             typeEvents,
		"application/x-ndjson;q=0, */*":      typeEvents,
		"text/html":                          "",
		"application/json":                   "",
		"*/*;q=0":                            "",
		"text/event-stream;q=2":              "",
		"text/event-stream;q=NaN":            "",
		"nonsense, application/x-ndjson;q=1": typeLines,
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Accept", accept)
		got, err := chooseType(r, typeLines, typeEvents)
		if got != want || (err != nil) != (want == "") {
			t.Errorf("Accept %q: %q, %v; want %q", accept, got, err, want)
		}
	}
}

func TestClientAddress(t *testing.T) {
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	for _, test := range []struct{ name, remote, forwarded, want string }{
		{"direct", "203.0.113.7:1234", "", "203.0.113.7/32"},
		{"a stranger's header", "203.0.113.7:1234", "198.51.100.1", "203.0.113.7/32"},
		{"one proxy", "10.0.0.1:1234", "198.51.100.1", "198.51.100.1/32"},
		{"two proxies", "10.0.0.1:1234", "198.51.100.1, 10.0.0.2", "198.51.100.1/32"},
		{"an invented hop", "10.0.0.1:1234", "192.0.2.1, 198.51.100.1, 10.0.0.2", "198.51.100.1/32"},
		{"nonsense from the proxy", "10.0.0.1:1234", "198.51.100.1, unknown", "10.0.0.1/32"},
		{"no header from the proxy", "10.0.0.1:1234", "", "10.0.0.1/32"},
		{"IPv6", "[2001:db8:1:2:3::4]:1234", "", "2001:db8:1:2::/64"},
		{"IPv4 in IPv6", "[::ffff:10.0.0.1]:1234", "::ffff:198.51.100.1", "198.51.100.1/32"},
		{"a zone", "[fd00::1]:1234", "fe80::1%eth0", "fe80::/64"},
		{"a Unix socket", "@", "198.51.100.1", "invalid Prefix"},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = test.remote
		r.Header.Set("X-Forwarded-For", test.forwarded)
		if got := network(clientAddress(r, proxies)).String(); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}

func TestParseTraceparent(t *testing.T) {
	const good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	if header, id := parseTraceparent(good); header != good || id != "0af7651916cd43dd8448eb211c80319c" {
		t.Errorf("%q, %q", header, id)
	}
	for _, bad := range []string{"", "00", strings.ToUpper(good), good + "-x", strings.Replace(good, "0af7651916cd43dd8448eb211c80319c", strings.Repeat("0", 32), 1)} {
		if header, id := parseTraceparent(bad); header != "" || id != "" {
			t.Errorf("%q is taken as %q", bad, id)
		}
	}
}

func TestHTTPFields(t *testing.T) {
	create := routeOf(t, "POST", "/v1/{parent=comuni/*}/organizations")
	get := routeOf(t, "GET", "/v1/{name=comuni/*/organizations/*}")
	for _, test := range []struct {
		r          *route
		path, want string
	}{
		{create, "organization.alternative_names[2]", "alternativeNames[2]"},
		{create, "organization.areas_served[0].not_there", "areasServed[0].not_there"},
		{create, "organization.title.translations[\"ar\"].review_time", "title.translations[\"ar\"].reviewTime"},
		{create, "organization_id", "organizationId"},
		{create, "organization", "organization"},
		{get, "max_staleness", "maxStaleness"},
		{get, "not_there.at_all", "not_there.at_all"},
		{nil, "max_staleness", "max_staleness"},
	} {
		if got := test.r.httpField(test.path); got != test.want {
			t.Errorf("%s: %s, want %s", test.path, got, test.want)
		}
	}
}

func FuzzParseTags(f *testing.F) {
	for _, seed := range []string{`*`, `"a"`, `W/"a", "b.gzip"`, `"`, `W/`, `"a",`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		tags, any, ok := parseTags(header)
		if !ok && len(tags) > 0 && any || ok && !any && len(tags) == 0 {
			t.Fatalf("%q: %v, %v, %v", header, tags, any, ok)
		}
		if !ok || any {
			return
		}
		// Written out again, a list means the same.
		var texts []string
		for _, tag := range tags {
			text := tag.value
			if tag.weak {
				text = "W/" + text
			}
			texts = append(texts, text)
			if bare := tag.bare(); !strings.HasPrefix(bare, `"`) || !strings.HasSuffix(bare, `"`) || len(bare) < 2 {
				t.Fatalf("%q: the tag %q is bare as %q", header, tag.value, bare)
			}
		}
		again, _, ok := parseTags(strings.Join(texts, ", "))
		if !ok || !slices.Equal(again, tags) {
			t.Fatalf("%q: %v, then %v", header, tags, again)
		}
	})
}

func FuzzParseRange(f *testing.F) {
	for _, seed := range []string{"bytes=0-", "bytes=12-", "bytes=1-2", "bytes=-5", "bytes=99999999999999999999-", "bytes=+1-"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		if offset, asked := parseRange(header); offset < 0 || asked && !strings.Contains(header, "bytes=") {
			t.Fatalf("%q: %d, %v", header, offset, asked)
		}
	})
}

func FuzzReadQuery(f *testing.F) {
	for _, seed := range []string{
		"pageSize=5", "page_size=5&pageSize=5", "maxStaleness=10s", "due_before_time=2026-03-01T08:30:00Z", "readPreference=LIVE_ONLY", "parent=x",
		"a.b.c=1", "pageSize[]=1", "=", "%zz", "q=%ff", "showDeleted=1&showDeleted=2", "maxStaleness.seconds=1", ".=1",
	} {
		f.Add(seed)
	}
	list := routeOf(f, "GET", "/v1/{parent=comuni/*}/organizations")
	f.Fuzz(func(t *testing.T, query string) {
		into := &registryv1.ListOrganizationsRequest{}
		err := list.readQuery(query, into)
		if into.GetParent() != "" {
			t.Fatalf("%q set the parent, which is in the path", query)
		}
		if err != nil {
			p := problemOf(err, list)
			if p.Status != 400 || len(p.Errors) == 0 || p.document(&exchange{}) == nil {
				t.Fatalf("%q: %+v", query, p)
			}
			return
		}
		if _, err := proto.Marshal(into); err != nil {
			t.Fatalf("%q is taken, and cannot be sent: %v", query, err)
		}
	})
}

func FuzzParsePath(f *testing.F) {
	for _, seed := range []string{"/v1/comuni/marsala", "/v1/comuni/a:b", "/v1/%2F", "//", "/v1/x%3Ay", "/v1/comuni/:undelete", "/%"} {
		f.Add(seed)
	}
	all, err := newRoutes(services)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, escaped string) {
		path, ok := parsePath(escaped)
		if !ok {
			return
		}
		if slices.ContainsFunc(path.segments, func(s string) bool { return s == "" || strings.ContainsAny(s, "/:\x00") }) {
			t.Fatalf("%q: %q", escaped, path.segments)
		}
		for _, method := range all.allowed(path) {
			if r, _ := all.find(method, path); r == nil && method != "OPTIONS" {
				t.Fatalf("%q: %s is allowed and not found", escaped, method)
			}
		}
	})
}

func FuzzDecodeBody(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"title":{"it":5}}`, "{\n\"a\": [1, {\"b\": \"\xc3\xa8\"}]}", `[]`, `null`, `{"title":{"translations":{"ar":{"text":1}}}}`, `{"kind":"x"}`,
		`{"alternativeNames":[[]]}`, `{"createTime":{}}`, `{"contacts":[{},{"visibility":9}]}`, "\xff", `{"a":1} x`, `{"title":null,"title":null}`,
		`{"title":{"it":"\ud800"}}`, `{"seat":{"":{}}}`, `{"contacts":[{"kind":"PHONE"},{"visibility":"x"}]}`, `{"contacts":[{},[]]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		err := decodeBody(body, &registryv1.Organization{})
		if err == nil {
			return
		}
		p := problemOf(err, nil)
		if p.Status != 400 || len(p.Errors) != 1 || p.Errors[0].Message == "" || strings.Contains(p.Detail, "proto:") || len(p.Errors[0].Field) > 300 {
			t.Fatalf("%q: %+v", body, p)
		}
	})
}
