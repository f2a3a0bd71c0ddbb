// Package asking has the pages with which a person asks the desk of a comune something, one question a page, and follows what they
// asked by its private code. Nothing is kept here: what was typed travels with the form until the comune's node has taken it.
package asking

import (
	"embed"
	"net/http"

	"google.golang.org/grpc"

	"cidsistem.example/gateway/internal/formclock"
	"cidsistem.example/gateway/internal/record"
	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/proto/gen/deskv1"
	"cidsistem.example/proto/gen/registryv1"
)

//go:embed templates/*.html
var files embed.FS

// Asking makes the pages.
type Asking struct {
	pages   *site.Section
	desk    deskv1.RequestServiceClient
	search  registryv1.SearchServiceClient
	records record.Reader
	clock   formclock.Clock
}

// New makes the pages over a connection to the server behind the gateway.
func New(s *site.Site, conn grpc.ClientConnInterface) (*Asking, error) {
	pages, err := s.Section(files, "templates")
	if err != nil {
		return nil, err
	}
	clock, err := formclock.New()
	if err != nil {
		return nil, err
	}
	return &Asking{
		pages: pages, desk: deskv1.NewRequestServiceClient(conn), search: registryv1.NewSearchServiceClient(conn),
		records: record.NewReader(conn), clock: clock,
	}, nil
}

// Handlers are the pages by their pattern. They take forms; see [edge.Form].
func (a *Asking) Handlers() map[string]http.Handler {
	return map[string]http.Handler{
		"/chiedi/{$}":     a.pages.Handle(a.ask),
		"/segui/{$}":      a.pages.Handle(a.follow),
		"/segui/allegato": a.pages.Serve(a.attachment),
	}
}
