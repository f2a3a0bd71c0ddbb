package files_test

import (
	"slices"
	"strings"
	"testing"

	"cidsistem.example/services/internal/files"
)

func TestCheckType(t *testing.T) {
	folder, err := files.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		content, declared string
		good              bool
	}{
		"text":                    {"Guida ai servizi\n", "text/plain", true},
		"text as a table":         {"comune;servizio\nmarsala;trasporto\n", "text/csv", true},
		"text as a calendar":      {"qualcosa", "text/calendar", true},
		"a page":                  {"<!doctype html><html lang=it><title>Guida</title>", "text/html", true},
		"a page as text":          {"<!doctype html><html lang=it><title>Guida</title>", "text/plain", true},
		"text as a page":          {"Guida ai servizi\n", "text/html", false},
		"a PDF":                   {"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "application/pdf", true},
		"a page as a PDF":         {"<!doctype html><html><script>alert(1)</script>", "application/pdf", false},
		"a picture":               {"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "image/png", true},
		"a picture as another":    {"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "image/jpeg", false},
		"a program":               {"\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 60), "application/x-elf", false},
		"a program as bytes":      {"\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 60), "application/octet-stream", false},
		"a Windows program":       {"MZ" + strings.Repeat("\x00", 100), "application/octet-stream", false},
		"a script":                {"#!/bin/sh\nrm -rf /\n", "text/plain", false},
		"declared to be a script": {"alert(1)", "text/javascript", false},
		"nothing":                 {"", "text/plain", true},
	} {
		info, err := folder.Put(t.Context(), strings.NewReader(test.content), "")
		if err != nil {
			t.Fatal(err)
		}
		problem, err := folder.CheckType(info.SHA256, test.declared)
		if err != nil || (problem == "") != test.good {
			t.Errorf("%s: %q, %v", name, problem, err)
		}
	}
}

func TestTypeAmong(t *testing.T) {
	types := []string{"text/plain", "image/png", "application/pdf"}
	for content, want := range map[string]string{
		"Guida ai servizi":                          "text/plain",
		"uno;due\ntre;quattro\n":                    "text/plain",
		"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR":       "image/png",
		"%PDF-1.7\n":                                "application/pdf",
		"<!doctype html><title>x":                   "",
		"<svg xmlns='http://www.w3.org/2000/svg'/>": "",
		`{"a": 1}`:                                  "",
		"#!/bin/sh\nls\n":                           "",
		"GIF89a\x01\x00\x01\x00":                    "",
		"\x00\x01":                                  "",
	} {
		if got := files.TypeAmong([]byte(content), types); got != want {
			t.Errorf("%q is %q, not %q", content, got, want)
		}
	}
}

// Whatever the bytes are, the answer is one of the types, and the same for what
// comes after the beginning.
func FuzzTypeAmong(f *testing.F) {
	types := []string{"text/plain", "image/png", "application/pdf", "application/vnd.oasis.opendocument.text"}
	for _, seed := range []string{"", "testo", "%PDF-1.7", "PK\x03\x04", "\x89PNG\r\n\x1a\n", "<svg/>"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got := files.TypeAmong(data, types)
		if got != "" && !slices.Contains(types, got) {
			t.Errorf("%q", got)
		}
		if len(data) > 4096 && got != files.TypeAmong(append(data, "more"...), types) {
			t.Error("the end of a file tells its type")
		}
	})
}
