// Package opendata has the public page of what can be downloaded, the downloads, and their description for catalogues of open data
// (DCAT-AP_IT).
package opendata

import (
	"embed"
	"net/http"
	"time"

	"google.golang.org/grpc"

	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/exchangev1"
)

//go:embed templates/*.html
var files embed.FS

const (
	// root is where the pages begin.
	root = "/dati/"
	// all stands for all comuni in addresses.
	all = "tutti"
	// catalogue is the description of the data for catalogues.
	catalogue = root + "catalogo.jsonld"
	// downloadWithin is how long a file may take until it is all there.
	downloadWithin = 50 * time.Second
)

// Data makes the page and the files.
type Data struct {
	pages   *site.Section
	exports *exports
}

// New makes the pages over a connection to the server behind the gateway.
func New(s *site.Site, conn grpc.ClientConnInterface) (*Data, error) {
	pages, err := s.Section(files, "templates")
	if err != nil {
		return nil, err
	}
	return &Data{pages: pages, exports: newExports(exchangev1.NewExportServiceClient(conn))}, nil
}

// Handlers are the pages by their pattern.
func (d *Data) Handlers() map[string]http.Handler {
	return map[string]http.Handler{
		root + "{$}":             d.pages.Handle(d.page),
		root + "{comune}/{file}": d.pages.Download(downloadWithin, d.download),
		catalogue:                d.pages.Serve(d.catalogue),
	}
}

// A shelf is the files of a comune, or of all.
type shelf struct {
	// Slug of the comune in addresses.
	Slug string
	// Title of the comune; empty: all of them.
	Title                      string
	Tables, Packages, Extracts []offer
}

// An offer is a file to download.
type offer struct {
	file
	Path string
}

// page says what there is.
func (d *Data) page(r *site.Request) (*site.Page, error) {
	var shelves []shelf
	if known := r.Comuni().All; len(known) > 1 {
		shelves = append(shelves, shelfOf(all, ""))
	}
	for _, comune := range r.Comuni().All {
		shelves = append(shelves, shelfOf(comune.Slug, comune.Title))
	}
	return &site.Page{
		Template: "data", Title: r.Say("opendata.title"), Description: r.Say("opendata.lead"), Data: shelves, Crumbs: []site.Link{},
		Feeds: []site.Feed{{Path: catalogue, Type: "application/ld+json", Title: r.Say("opendata.catalogue")}},
	}, nil
}

func shelfOf(slug, title string) shelf {
	s := shelf{Slug: slug, Title: title}
	for _, one := range offered {
		offer := offer{one, root + slug + "/" + one.Name}
		switch one.use {
		case table:
			s.Tables = append(s.Tables, offer)
		case whole:
			s.Packages = append(s.Packages, offer)
		case extract:
			s.Extracts = append(s.Extracts, offer)
		}
	}
	return s
}

// download gives out a file.
func (d *Data) download(r *site.Request) (*site.Download, error) {
	slug := r.PathValue("comune")
	comune := catalog.Wildcard
	if slug != all {
		if _, known := r.Comuni().Of(slug); !known {
			return nil, site.ErrNoPage
		}
		comune = slug
	}
	wanted, known := offeredAs(r.PathValue("file"))
	if !known {
		return nil, site.ErrNoPage
	}
	made, err := d.exports.open(r.Context(), key{comune, wanted.Name})
	if err != nil {
		return nil, err
	}
	download := &site.Download{FileName: slug + "-" + wanted.Name, Close: func() { d.exports.close(made) }}
	download.MediaType, download.Digest, download.Size, download.Content = wanted.MediaType, made.digest, made.size, made.reader()
	return download, nil
}
