package edge

import (
	"bytes"
	"errors"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// formOf makes the parts of a form: fields and files as name and value, files with a name of their own in between.
func formOf(t testing.TB, fields [][2]string, files [][3]string) (string, []byte) {
	t.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	if err := w.SetBoundary("limite"); err != nil {
		t.Fatal(err)
	}
	for _, f := range fields {
		if err := w.WriteField(f[0], f[1]); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range files {
		part, err := w.CreateFormFile(f[0], f[1])
		if err == nil {
			_, err = part.Write([]byte(f[2]))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return w.FormDataContentType(), body.Bytes()
}

func TestForm(t *testing.T) {
	var got *Sent
	metrics, err := NewMetrics(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	handler := Observe(slog.New(slog.DiscardHandler), metrics, Form("/prova", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = SentBy(r.Context())
		Rendered(w, r, http.StatusOK, "text/html; charset=utf-8", []byte("ecco"))
	})))
	const urlencoded = "application/x-www-form-urlencoded"
	big := strings.Repeat("x", formFileBytes+1)
	mixed, mixedBody := formOf(t, [][2]string{{"testo", "è"}}, [][3]string{{"allegati", `C:\foto\a.png`, "png"}, {"allegati", "b.png", big}})
	many, manyBody := formOf(t, nil, make([][3]string, 0))
	_, wideBody := formOf(t, [][2]string{{"testo", strings.Repeat("x", formBytes+1)}}, nil)
	for _, test := range []struct {
		name, method, kind string
		body               []byte
		status             int
		want               string
	}{
		{"a page", http.MethodGet, "", nil, http.StatusOK, ""},
		{"typed", http.MethodPost, urlencoded, []byte("testo=%C3%A8&testo=b"), http.StatusOK, "è"},
		{"with files", http.MethodPost, mixed, mixedBody, http.StatusOK, "è a.png:3 b.png:large"},
		{"empty", http.MethodPost, many, manyBody, http.StatusOK, ""},
		{"too much typed", http.MethodPost, urlencoded, []byte("testo=" + strings.Repeat("x", formBytes)), http.StatusRequestEntityTooLarge, ""},
		{"too much typed, in parts", http.MethodPost, mixed, wideBody, http.StatusRequestEntityTooLarge, ""},
		{"damaged", http.MethodPost, urlencoded, []byte("testo=%zz"), http.StatusBadRequest, ""},
		{"cut off", http.MethodPost, mixed, mixedBody[:60], http.StatusBadRequest, ""},
		{"JSON", http.MethodPost, "application/json", []byte("{}"), http.StatusUnsupportedMediaType, ""},
		{"no boundary", http.MethodPost, "multipart/form-data", []byte("x"), http.StatusUnsupportedMediaType, ""},
		{"a change", http.MethodDelete, "", nil, http.StatusMethodNotAllowed, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			got = nil
			request := httptest.NewRequestWithContext(t.Context(), test.method, "/prova", bytes.NewReader(test.body))
			request.Header.Set("Content-Type", test.kind)
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, request)
			if w.Code != test.status {
				t.Fatalf("status %d, want %d: %s", w.Code, test.status, w.Body)
			}
			if w.Code == http.StatusOK && w.Header().Get("Cache-Control") != noStore {
				t.Errorf("the answer may be kept: %v", w.Header())
			}
			if has := got != nil; has != (test.method == http.MethodPost && test.status == http.StatusOK) {
				t.Fatalf("the handler has a form: %t", has)
			}
			if got == nil {
				return
			}
			said := got.Values.Get("testo")
			for _, f := range got.Files {
				said += " " + f.Name + ":"
				if f.TooLarge {
					said += "large"
				} else {
					said += string(rune('0' + len(f.Data)))
				}
			}
			if said != test.want {
				t.Errorf("read %q, want %q", said, test.want)
			}
		})
	}
}

// FuzzReadParts: whatever comes as a form is read within its bounds.
func FuzzReadParts(f *testing.F) {
	_, body := formOf(f, [][2]string{{"testo", "è"}}, [][3]string{{"allegati", "a.png", "png"}, {"allegati", "../b", ""}})
	f.Add(body)
	f.Add([]byte("--limite--"))
	f.Add([]byte("--limite\r\nContent-Disposition: form-data; name=x; filename=\"\\\\\"\r\n\r\n\r\n--limite--"))
	f.Fuzz(func(t *testing.T, body []byte) {
		sent, err := readParts(multipart.NewReader(bytes.NewReader(body), "limite"), inMemory{})
		if err != nil {
			if p, ok := errors.AsType[*problem](err); ok && p.Status == 0 {
				t.Errorf("a problem without a status: %v", p)
			}
			return
		}
		if len(sent.Files) > formFiles {
			t.Errorf("%d files are kept", len(sent.Files))
		}
		for _, file := range sent.Files {
			if len(file.Data) > formFileBytes || strings.ContainsAny(file.Name, `/\`) {
				t.Errorf("a file of %d bytes called %q", len(file.Data), file.Name)
			}
		}
	})
}
