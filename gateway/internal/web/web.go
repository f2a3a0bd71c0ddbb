// Package web has what browsers get besides pages: styles, scripts, icons and fonts. `make assets` makes them from Bootstrap
// Italia and the sources in this folder.
package web

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"

	"cidsistem.example/gateway/internal/edge"
)

//go:embed all:dist
var dist embed.FS

// Root is the path below which the files are served.
const Root = "/risorse/"

// Files are all files, by name.
type Files struct {
	names map[string]string
}

// Load reads the list of files. It fails when they have not been made.
func Load() (*Files, error) {
	text, err := dist.ReadFile("dist/manifest.json")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errors.New("styles and scripts of the portal are missing: build with `make assets` first")
	}
	if err != nil {
		return nil, err
	}
	files := &Files{}
	if err := json.Unmarshal(text, &files.names); err != nil {
		return nil, fmt.Errorf("list of the portal's files: %w", err)
	}
	return files, nil
}

// Path is the address of a file, for example of "portal.css". It changes with the content.
func (f *Files) Path(name string) (string, error) {
	file, ok := f.names[name]
	if !ok {
		return "", fmt.Errorf("the portal has no file %q", name)
	}
	return Root + file, nil
}

// Handlers serve the files, by path. Browsers may keep them for a year: other content has another address.
func (f *Files) Handlers() (map[string]http.Handler, error) {
	all := map[string]http.Handler{}
	for _, file := range f.names {
		body, err := dist.ReadFile("dist/" + file)
		if err != nil {
			return nil, fmt.Errorf("file of the portal: %w", err)
		}
		mediaType := mime.TypeByExtension(path.Ext(file))
		if path.Ext(file) == ".woff2" {
			mediaType = "font/woff2"
		}
		all[Root+file] = edge.Immutable(mediaType, body)
	}
	return all, nil
}
