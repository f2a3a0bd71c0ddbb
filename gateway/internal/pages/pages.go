// Package pages has the few pages that the gateway itself shows to people: the way in, and what each error means.
package pages

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"

	"cidsistem.example/gateway/internal/edge"
	"cidsistem.example/proto/access"
)

//go:embed templates/*.html style.css icon.svg
var files embed.FS

const mediaTypeHTML = "text/html; charset=utf-8"

// Handlers makes the handler of every page, by its path. The pages are rendered here, once.
func Handlers() (map[string]http.Handler, error) {
	shown := edge.Reasons()
	all := map[string]http.Handler{}
	add := func(path, name string, data any) error {
		body, err := render(name, data)
		if err != nil {
			return fmt.Errorf("page %s: %w", path, err)
		}
		all[path] = edge.Document(mediaTypeHTML, body)
		return nil
	}
	if err := add("/problems/", "problems.html", shown); err != nil {
		return nil, err
	}
	rules, err := access.Table()
	if err != nil {
		return nil, fmt.Errorf("who may call what: %w", err)
	}
	if err := add("/permessi/", "access.html", rules); err != nil {
		return nil, err
	}
	for _, reason := range shown {
		if err := add("/problems/"+reason.Slug, "problem.html", reason); err != nil {
			return nil, err
		}
	}
	for name, mediaType := range map[string]string{"style.css": "text/css; charset=utf-8", "icon.svg": "image/svg+xml"} {
		file, err := files.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("file %s: %w", name, err)
		}
		all["/"+name] = edge.Document(mediaType, file)
	}
	return all, nil
}

// Frame parses pages of another package inside the frame that all pages have.
func Frame(from fs.FS, patterns ...string) (*template.Template, error) {
	frame, err := template.ParseFS(files, "templates/frame.html")
	if err != nil {
		return nil, err
	}
	return frame.ParseFS(from, patterns...)
}

func render(name string, data any) ([]byte, error) {
	page, err := template.ParseFS(files, "templates/frame.html", "templates/"+name)
	if err != nil {
		return nil, err
	}
	var body bytes.Buffer
	if err := page.ExecuteTemplate(&body, "frame", data); err != nil {
		return nil, err
	}
	return body.Bytes(), nil
}
