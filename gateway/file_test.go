package gateway_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"cidsistem.example/gateway"
)

// upload sends bytes as a file; of unknown length when chunked.
func (s *setup) upload(query string, content io.Reader) reply {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), "POST", s.base+"/v1/comuni/marsala/files"+query, content)
	if err != nil {
		s.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/pdf")
	return s.do(request)
}

func sum(content []byte) string {
	digest := sha256.Sum256(content)
	return hex.EncodeToString(digest[:])
}

func TestUploadAndDownload(t *testing.T) {
	s := start(t)
	content := bytes.Repeat([]byte("Piano di zona. "), 50_000) // 750,000 bytes
	name := "comuni/marsala/files/" + sum(content)

	for _, test := range []struct {
		kind string
		body io.Reader
	}{
		{"with a length", bytes.NewReader(content)},
		{"in chunks", struct{ io.Reader }{bytes.NewReader(content)}},
	} {
		got := s.upload("?sha256="+sum(content), test.body)
		if got.status != 201 || got.header.Get("Location") != "/v1/"+name || got.json(t)["sizeBytes"] != "750000" {
			t.Fatalf("%s: %d %s", test.kind, got.status, got.body)
		}
		if want := []int{256 << 10, 256 << 10, 750_000 - 512<<10}; !slices.Equal(s.files.pieces, want) {
			t.Errorf("%s: the registry got pieces of %v bytes, want %v", test.kind, s.files.pieces, want)
		}
	}

	got := s.send("GET", "/v1/"+name+":download?filename=Piano+2026+%C3%A8%22+..%2Fx.pdf", "")
	if got.status != 200 || !bytes.Equal(got.body, content) {
		t.Fatalf("download: %d, %d bytes", got.status, len(got.body))
	}
	for header, want := range map[string]string{
		"Content-Type":            "application/pdf",
		"Content-Length":          "750000",
		"Content-Disposition":     "attachment; filename*=utf-8''Piano%202026%20%C3%A8%22%20.._x.pdf",
		"ETag":                    `"` + sum(content) + `"`,
		"Cache-Control":           "public, max-age=31536000, immutable",
		"Accept-Ranges":           "bytes",
		"X-Content-Type-Options":  "nosniff",
		"Content-Security-Policy": "default-src 'none'; sandbox; frame-ancestors 'none'",
		"Content-Encoding":        "",
	} {
		if value := got.header.Get(header); value != want {
			t.Errorf("%s: %q, want %q", header, value, want)
		}
	}
	if head := s.send("HEAD", "/v1/"+name+":download", ""); head.status != 200 || head.header.Get("Content-Length") != "750000" || len(head.body) != 0 {
		t.Errorf("HEAD: %d %v", head.status, head.header)
	}
	if same := s.send("GET", "/v1/"+name+":download", "", `If-None-Match: "`+sum(content)+`"`); same.status != 304 {
		t.Errorf("what the client has already: %d", same.status)
	}
	if info := s.send("GET", "/v1/"+name, ""); info.status != 200 || info.json(t)["sizeBytes"] != "750000" {
		t.Errorf("file: %d %s", info.status, info.body)
	}
}

func TestDownloadGoesOn(t *testing.T) {
	s := start(t)
	content := []byte(strings.Repeat("0123456789", 500))
	name := "comuni/marsala/files/" + sum(content)
	s.files.content[name] = content
	etag := `"` + sum(content) + `"`
	for _, test := range []struct {
		kind, query  string
		headers      []string
		status       int
		contentRange string
		from         int
	}{
		{kind: "the rest", headers: []string{"Range: bytes=4990-"}, status: 206, contentRange: "bytes 4990-4999/5000", from: 4990},
		{kind: "the rest of the same file", headers: []string{"Range: bytes=1-", "If-Range: " + etag}, status: 206, contentRange: "bytes 1-4999/5000", from: 1},
		{kind: "the rest of another file", headers: []string{"Range: bytes=1-", `If-Range: "other"`}, status: 200},
		{kind: "a part in the middle", headers: []string{"Range: bytes=1-5"}, status: 200},
		{kind: "the last bytes", headers: []string{"Range: bytes=-5"}, status: 200},
		{kind: "two parts", headers: []string{"Range: bytes=1-2,5-"}, status: 200},
		{kind: "another unit", headers: []string{"Range: lines=1-"}, status: 200},
		{kind: "beyond the end", headers: []string{"Range: bytes=5000-"}, status: 416, contentRange: "bytes */5000"},
		{kind: "far beyond the end", headers: []string{"Range: bytes=99999999999999999999-"}, status: 200},
		{kind: "by parameter", query: "?offset=4000", status: 200, from: 4000},
	} {
		t.Run(test.kind, func(t *testing.T) {
			got := s.send("GET", "/v1/"+name+":download"+test.query, "", test.headers...)
			if got.status != test.status || got.header.Get("Content-Range") != test.contentRange {
				t.Fatalf("%d with Content-Range %q, want %d with %q", got.status, got.header.Get("Content-Range"), test.status, test.contentRange)
			}
			if test.status == 416 {
				if p := got.problem(t); p.Reason != "RANGE_NOT_SATISFIABLE" {
					t.Errorf("reason %s", p.Reason)
				}
				return
			}
			if !bytes.Equal(got.body, content[test.from:]) {
				t.Errorf("%d bytes, want those from %d", len(got.body), test.from)
			}
		})
	}
	if got := s.send("GET", "/v1/"+name+":download?offset=-1", ""); got.status != 400 || got.header.Get("ETag") != "" || got.problem(t).Errors[0].Field != "offset" {
		t.Errorf("a negative offset: %d %v %s", got.status, got.header, got.body)
	}
}

func TestBrokenDownloadIsNotTakenForTheWhole(t *testing.T) {
	s := start(t)
	content := []byte(strings.Repeat("0123456789", 500))
	name := "comuni/marsala/files/" + sum(content)
	s.files.content[name], s.files.broken = content, true
	response, err := s.client.Get(s.base + "/v1/" + name + ":download")
	if err != nil {
		return // broken off before the first byte was on its way
	}
	defer response.Body.Close()
	if body, err := io.ReadAll(response.Body); err == nil {
		t.Errorf("%d bytes arrived as if they were the file", len(body))
	}
}

func TestUploadIsLimited(t *testing.T) {
	s := start(t, func(o *gateway.Options) { o.Limits.FileBytes = 300 << 10 })
	for kind, body := range map[string]io.Reader{
		"with a length": bytes.NewReader(make([]byte, 300<<10+1)),
		"in chunks":     struct{ io.Reader }{bytes.NewReader(make([]byte, 300<<10+1))},
	} {
		got := s.upload("", body)
		if p := got.problem(t); got.status != 413 || p.Reason != "TOO_LARGE" || p.Metadata["limit_bytes"] != fmt.Sprint(300<<10) {
			t.Errorf("%s: %d %s", kind, got.status, got.body)
		}
	}
	if len(s.files.content) != 0 {
		t.Error("a part of a file that is too large was kept")
	}
	if got := s.upload("", bytes.NewReader(make([]byte, 300<<10))); got.status != 201 {
		t.Errorf("a file of exactly the limit: %d %s", got.status, got.body)
	}
}

func TestUploadThatBreaksOffIsNotKept(t *testing.T) {
	s := start(t)
	broken, writer := io.Pipe()
	go func() {
		_, _ = writer.Write(make([]byte, 600<<10))
		writer.CloseWithError(io.ErrClosedPipe)
	}()
	request, err := http.NewRequestWithContext(t.Context(), "POST", s.base+"/v1/comuni/marsala/files", broken)
	if err != nil {
		t.Fatal(err)
	}
	if response, err := s.client.Do(request); err == nil {
		response.Body.Close()
		t.Fatalf("the broken upload was answered with %d", response.StatusCode)
	}
	wait(t, s.log)
	s.files.mu.Lock()
	defer s.files.mu.Unlock()
	if len(s.files.content) != 0 {
		t.Error("a part of a file was kept")
	}
}
