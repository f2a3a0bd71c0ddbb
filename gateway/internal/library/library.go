// Package library has the pages of the documentation centre: documents, good practices, plans with their actions, and the agenda;
// and the feeds with which people and programs follow them.
package library

import (
	"context"
	"embed"
	"net/http"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"cidsistem.example/gateway/internal/record"
	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/proto/gen/registryv1"
)

//go:embed templates/*.html
var files embed.FS

// Where the parts of the library begin.
const (
	documentsHome = "/documenti/"
	practicesHome = "/buone-pratiche/"
	plansHome     = "/programmazione/"
	eventsHome    = "/agenda/"
)

const (
	// keep is how long lists over all comuni are used before they are made anew.
	keep = 30 * time.Second
	// walked is how many pages of 1,000 records such a list is made from at most.
	walked = 20
)

// Library makes the pages.
type Library struct {
	search                      registryv1.SearchServiceClient
	pages                       *site.Section
	documents, practices, plans record.Finder
	reader                      record.Reader
	documentService             registryv1.DocumentServiceClient
	practiceService             registryv1.PracticeServiceClient
	planService                 registryv1.PlanServiceClient
	eventService                registryv1.EventServiceClient
	newDocuments, newPractices  *record.Shelf[[]proto.Message]
	newEvents                   *record.Shelf[[]proto.Message]
	events                      *record.Shelf[[]*registryv1.Event]
	now                         func() time.Time
}

// New makes the pages over a connection to the server behind the gateway.
func New(s *site.Site, conn grpc.ClientConnInterface) (*Library, error) {
	pages, err := s.Section(files, "templates")
	if err != nil {
		return nil, err
	}
	l := &Library{
		pages: pages, reader: record.NewReader(conn), now: time.Now,
		documents:       record.Finder{Path: documentsHome, Kinds: []string{"documents"}, Filters: []record.Filter{{Name: "documento", Facet: "document_kinds"}}}.On(conn),
		practices:       record.Finder{Path: practicesHome, Kinds: []string{"practices"}, Filters: []record.Filter{{Name: "per", Facet: "target_groups"}, {Name: "prove", Facet: "evidence"}}}.On(conn),
		plans:           record.Finder{Path: plansHome, Kinds: []string{"plans"}, Filters: []record.Filter{{Name: "stato", Facet: "plan_states"}}}.On(conn),
		search:          registryv1.NewSearchServiceClient(conn),
		documentService: registryv1.NewDocumentServiceClient(conn), practiceService: registryv1.NewPracticeServiceClient(conn),
		planService: registryv1.NewPlanServiceClient(conn), eventService: registryv1.NewEventServiceClient(conn),
	}
	l.newDocuments, l.newPractices, l.newEvents = l.newest("documents"), l.newest("practices"), l.newest("events")
	l.events = &record.Shelf[[]*registryv1.Event]{Keep: keep, Gather: func(ctx context.Context) ([]*registryv1.Event, error) { return l.allEvents(ctx) }}
	return l, nil
}

// Handlers are the pages by their pattern.
func (l *Library) Handlers() map[string]http.Handler {
	return map[string]http.Handler{
		documentsHome + "{$}":           l.pages.Handle(l.findDocuments),
		documentsHome + "novita.atom":   l.pages.Serve(l.feed("library.newDocuments", documentsHome, l.newDocuments)),
		documentsHome + "{comune}/{id}": l.pages.Handle(l.document),
		practicesHome + "{$}":           l.pages.Handle(l.findPractices),
		practicesHome + "novita.atom":   l.pages.Serve(l.feed("library.newPractices", practicesHome, l.newPractices)),
		practicesHome + "{comune}/{id}": l.pages.Handle(l.practice),
		plansHome + "{$}":               l.pages.Handle(l.findPlans),
		plansHome + "{comune}/{id}":     l.pages.Handle(l.plan),
		eventsHome + "{$}":              l.pages.Handle(l.agenda),
		eventsHome + "novita.atom":      l.pages.Serve(l.feed("library.newEvents", eventsHome, l.newEvents)),
		eventsHome + "agenda.ics":       l.pages.Serve(l.calendar),
		eventsHome + "{comune}/{id}":    l.eventOrCalendar(),
	}
}

// A list is a page that finds records.
type list struct {
	*record.Found
	Lead, Hint string
	// Feeds of the page, and Data for programs.
	Feeds []site.Feed
	Data  string
}

func (l *Library) find(r *site.Request, finder record.Finder, id, data string, feeds ...site.Feed) (*site.Page, error) {
	found, err := finder.Find(r)
	if err != nil {
		return nil, err
	}
	return &site.Page{
		Template: "find", Title: r.Say("nav." + id), Description: r.Say("library." + id + "Lead"), Query: found.Query, Feeds: feeds, Crumbs: []site.Link{},
		Data: list{Found: found, Lead: r.Say("library." + id + "Lead"), Hint: r.Say("library." + id + "Hint"), Feeds: feeds, Data: data},
	}, nil
}

func atom(r *site.Request, path, title string) site.Feed {
	return site.Feed{Path: path + "novita.atom", Type: "application/atom+xml", Title: r.Say(title)}
}

// crumbs lead from the beginning of a part to what stands in a comune.
func crumbs(r *site.Request, path, id string) []site.Link {
	comune := r.PathValue("comune")
	return []site.Link{{Path: path, Text: r.Say(id)}, {Path: path + "?comune=" + comune, Text: r.Comuni().Name(comune)}}
}

// name of the record that the address of a page means.
func name(r *site.Request, collection string) string {
	return "comuni/" + r.PathValue("comune") + "/" + collection + "/" + r.PathValue("id")
}
