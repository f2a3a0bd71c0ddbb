// Package apidoc serves the description of the API: the OpenAPI document for
// programs, and the same as a page for people.
package apidoc

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"strings"
	"sync"

	"cidsistem.example/gateway/internal/edge"
	"cidsistem.example/gateway/openapi"
)

//go:embed page.html style.css
var files embed.FS

// Handler serves /openapi.json and /docs/, GET and HEAD only, each with an
// ETag. The page is rendered here, once. It must be called inside
// [edge.Observe]. It panics when the embedded document cannot be shown, which
// only a wrong build can bring about.
func Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/", edge.NotFound)
	for path, document := range map[string]http.Handler{
		"/openapi.json":   edge.Document("application/json", openapi.JSON),
		"/docs/":          edge.Document("text/html; charset=utf-8", page()),
		"/docs/style.css": edge.Document("text/css; charset=utf-8", must(files.ReadFile("style.css"))),
	} {
		pattern := path
		if strings.HasSuffix(path, "/") {
			pattern += "{$}"
		}
		mux.Handle(pattern, edge.Page(path, document))
	}
	return mux
}

// page is made once, however many gateways a process has.
var page = sync.OnceValue(func() []byte { return must(render(openapi.JSON)) })

func must(text []byte, err error) []byte {
	if err != nil {
		panic(fmt.Errorf("page of the API: %w", err))
	}
	return text
}

// render makes the page of an OpenAPI document.
func render(document []byte) ([]byte, error) {
	doc, err := read(document)
	if err != nil {
		return nil, err
	}
	v, err := viewOf(doc)
	if err != nil {
		return nil, err
	}
	page, err := template.ParseFS(files, "page.html")
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := page.Execute(&out, v); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
