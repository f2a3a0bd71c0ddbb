// Package pages has the pages for people who write programs: what each error means, and who may call what.
package pages

import (
	"embed"
	"fmt"
	"net/http"

	"cidsistem.example/gateway/internal/edge"
	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/proto/access"
)

//go:embed templates/*.html icon.svg
var files embed.FS

// Handlers makes the handler of every page, by its pattern.
func Handlers(s *site.Site) (map[string]http.Handler, error) {
	section, err := s.Section(files, "templates")
	if err != nil {
		return nil, err
	}
	rules, err := access.Table()
	if err != nil {
		return nil, fmt.Errorf("who may call what: %w", err)
	}
	reasons := edge.Reasons()
	errors := site.Link{Path: "/problems/", Text: "Errori spiegati"}
	all := map[string]http.Handler{
		"/problems/{$}": section.Handle(func(*site.Request) (*site.Page, error) {
			return &site.Page{Template: "problems", Title: errors.Text, Data: reasons, Crumbs: []site.Link{}}, nil
		}),
		"/problems/{reason}": section.Handle(func(r *site.Request) (*site.Page, error) {
			for _, reason := range reasons {
				if reason.Slug == r.PathValue("reason") {
					return &site.Page{Template: "problem", Title: reason.Title, Data: reason, Crumbs: []site.Link{errors}}, nil
				}
			}
			return nil, site.ErrNoPage
		}),
		"/permessi/{$}": section.Handle(func(*site.Request) (*site.Page, error) {
			return &site.Page{Template: "access", Title: "Chi può fare che cosa", Data: rules}, nil
		}),
	}
	icon, err := files.ReadFile("icon.svg")
	if err != nil {
		return nil, fmt.Errorf("icon: %w", err)
	}
	all["/icon.svg"] = edge.Document("image/svg+xml", icon)
	return all, nil
}
