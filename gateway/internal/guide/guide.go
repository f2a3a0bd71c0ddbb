// Package guide has the pages with which a person finds a service and understands it: the home page, the results of a search, the
// card of a service, and a list of one's own.
package guide

import (
	"embed"
	"net/http"

	"google.golang.org/grpc"

	"cidsistem.example/gateway/internal/record"
	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/proto/gen/registryv1"
)

//go:embed templates/*.html
var files embed.FS

// Guide makes the pages.
type Guide struct {
	pages    *site.Section
	search   record.Finder
	reader   record.Reader
	services registryv1.ServiceServiceClient
	news     registryv1.SearchServiceClient
}

// New makes the pages over a connection to the server behind the gateway.
func New(s *site.Site, conn grpc.ClientConnInterface) (*Guide, error) {
	pages, err := s.Section(files, "templates")
	if err != nil {
		return nil, err
	}
	g := &Guide{pages: pages, reader: record.NewReader(conn), services: registryv1.NewServiceServiceClient(conn), news: registryv1.NewSearchServiceClient(conn)}
	g.search = g.finder().On(conn)
	return g, nil
}

// Handlers are the pages by their pattern.
func (g *Guide) Handlers() map[string]http.Handler {
	return map[string]http.Handler{
		"/{$}":                   g.pages.Handle(g.home),
		"/servizi/{$}":           g.pages.Handle(g.results),
		"/servizi/{comune}/{id}": g.pages.Handle(g.card),
		"/la-mia-lista/{$}":      g.pages.Handle(g.list),
	}
}
