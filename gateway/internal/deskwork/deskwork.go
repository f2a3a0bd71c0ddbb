// Package deskwork has the pages with which the people of a comune's desk work: the queue of requests, a request from its first reading
// to its last word, what comes in by telephone, the answers that are kept ready, and what the public thinks of it all.
package deskwork

import (
	"embed"
	"net/http"

	"google.golang.org/grpc"

	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/gateway/internal/workbench"
	"cidsistem.example/proto/gen/annotationsv1"
	"cidsistem.example/proto/gen/deskv1"
	"cidsistem.example/proto/gen/registryv1"
)

//go:embed templates/*.html
var files embed.FS

// root is where the pages begin.
const root = workbench.Root + "sportello/"

// Desk makes the pages.
type Desk struct {
	bench    *workbench.Bench
	pages    *site.Section
	requests deskv1.RequestServiceClient
	feedback deskv1.FeedbackServiceClient
	search   registryv1.SearchServiceClient
	services registryv1.ServiceServiceClient
}

// New makes the pages over a connection to the server behind the gateway.
func New(s *site.Site, conn grpc.ClientConnInterface, bench *workbench.Bench) (*Desk, error) {
	pages, err := s.Section(files, "templates")
	if err != nil {
		return nil, err
	}
	return &Desk{
		bench: bench, pages: pages, requests: deskv1.NewRequestServiceClient(conn), feedback: deskv1.NewFeedbackServiceClient(conn),
		search: registryv1.NewSearchServiceClient(conn), services: registryv1.NewServiceServiceClient(conn),
	}, nil
}

// Handlers are the pages by their pattern. They take forms; see [edge.Form].
func (d *Desk) Handlers() map[string]http.Handler {
	page := func(h workbench.Handler) http.Handler {
		return d.bench.Page(d.pages, h, annotationsv1.Role_SUPPORT_DESK)
	}
	return map[string]http.Handler{
		root + "{$}":            page(d.queue),
		root + "richieste/{id}": page(d.request),
		root + "richieste/{id}/allegati/{attached}": d.bench.Serve(d.pages, d.attachment, annotationsv1.Role_SUPPORT_DESK),
		root + "nuova":    page(d.enter),
		root + "risposte": page(d.canned),
		root + "giudizi":  d.bench.Page(d.pages, d.ratings, annotationsv1.Role_SUPPORT_DESK, annotationsv1.Role_PUBLISHER),
	}
}

// show makes a page of the desk.
func show(v *workbench.Visit, template, title string, data any) *site.Page {
	page := &site.Page{Template: template, Title: title, Data: data}
	if template != "queue" {
		page.Crumbs = []site.Link{{Path: workbench.Root, Text: v.Say("lavoro.nav.home")}, {Path: root, Text: v.Say("deskwork.title")}}
	}
	return page
}

// wrong says what is wrong with a field.
func wrong(v *workbench.Visit, field, id string, values ...any) {
	v.Add(field, v.Say("deskwork.problem."+id, values...))
}
