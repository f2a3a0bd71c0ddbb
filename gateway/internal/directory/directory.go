// Package directory has the pages about who works in the field and where: finding them, and the page of an organisation, of a place
// and of an operator as far as these are public.
package directory

import (
	"embed"
	"net/http"
	"time"

	"google.golang.org/grpc"

	"cidsistem.example/gateway/internal/record"
	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/proto/gen/registryv1"
)

//go:embed templates/*.html
var files embed.FS

// home is where the directory begins.
const home = "/chi-opera/"

// Directory makes the pages.
type Directory struct {
	pages         *site.Section
	finder        record.Finder
	reader        record.Reader
	organizations registryv1.OrganizationServiceClient
	locations     registryv1.LocationServiceClient
	operators     registryv1.OperatorServiceClient
	now           func() time.Time
}

// New makes the pages over a connection to the server behind the gateway.
func New(s *site.Site, conn grpc.ClientConnInterface) (*Directory, error) {
	pages, err := s.Section(files, "templates")
	if err != nil {
		return nil, err
	}
	finder := record.Finder{
		Path: home, Kinds: []string{"organizations", "locations", "operators"},
		Filters: []record.Filter{{Name: "ente", Facet: "organization_kinds"}, {Name: "professione", Facet: "professions"}, {Name: "lingua", Facet: "languages"}},
	}
	return &Directory{
		pages: pages, finder: finder.On(conn), reader: record.NewReader(conn), now: time.Now,
		organizations: registryv1.NewOrganizationServiceClient(conn), locations: registryv1.NewLocationServiceClient(conn),
		operators: registryv1.NewOperatorServiceClient(conn),
	}, nil
}

// Handlers are the pages by their pattern.
func (d *Directory) Handlers() map[string]http.Handler {
	return map[string]http.Handler{
		home + "{$}":               d.pages.Handle(d.find),
		"/enti/{comune}/{id}":      d.pages.Handle(d.organization),
		"/luoghi/{comune}/{id}":    d.pages.Handle(d.location),
		"/operatori/{comune}/{id}": d.pages.Handle(d.operator),
	}
}

func (d *Directory) find(r *site.Request) (*site.Page, error) {
	found, err := d.finder.Find(r)
	if err != nil {
		return nil, err
	}
	return &site.Page{
		Template: "find", Title: r.Say("nav.people"), Description: r.Say("directory.about"), Data: found, Query: found.Query,
		Crumbs: []site.Link{},
	}, nil
}

// crumbs lead from the directory to what stands in a comune.
func crumbs(r *site.Request) []site.Link {
	comune := r.PathValue("comune")
	return []site.Link{{Path: home, Text: r.Say("nav.people")}, {Path: home + "?comune=" + comune, Text: r.Comuni().Name(comune)}}
}

// name of the record that the address of a page means.
func name(r *site.Request, collection string) string {
	return "comuni/" + r.PathValue("comune") + "/" + collection + "/" + r.PathValue("id")
}

// texts of links, for what a page says of its translations.
func texts(links ...record.Links) []*registryv1.LocalizedText {
	var all []*registryv1.LocalizedText
	for _, some := range links {
		for _, link := range some.All {
			all = append(all, link.Title)
		}
	}
	return all
}
