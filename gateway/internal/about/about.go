// Package about has the pages about the portal itself: the state of the network, the accessibility statement, privacy, legal notes,
// contacts, frequent questions; and what search engines read.
package about

import (
	"embed"
	"net/http"
	"time"

	"google.golang.org/grpc"

	"cidsistem.example/gateway/internal/record"
	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/proto/gen/federationv1"
)

//go:embed templates/*.html
var files embed.FS

// About makes the pages.
type About struct {
	pages   *site.Section
	network federationv1.FederationServiceClient
	maps    *siteMaps
	now     func() time.Time
}

// New makes the pages over a connection to the server behind the gateway.
func New(s *site.Site, conn grpc.ClientConnInterface) (*About, error) {
	pages, err := s.Section(files, "templates")
	if err != nil {
		return nil, err
	}
	return &About{pages: pages, network: federationv1.NewFederationServiceClient(conn), maps: newSiteMaps(record.NewReader(conn)), now: time.Now}, nil
}

// Handlers are the pages by their pattern.
func (a *About) Handlers() map[string]http.Handler {
	return map[string]http.Handler{
		"/rete/{$}":              a.pages.Handle(a.nodes),
		"/accessibilita/{$}":     a.pages.Handle(a.text(accessibility)),
		"/privacy/{$}":           a.pages.Handle(a.text(privacy)),
		"/note-legali/{$}":       a.pages.Handle(a.text(legal)),
		"/contatti/{$}":          a.pages.Handle(a.contacts),
		"/domande-frequenti/{$}": a.pages.Handle(a.questions),
		"/robots.txt":            a.pages.Serve(a.robots),
		"/sitemap.xml":           a.pages.Serve(a.siteIndex),
		"/sitemap/{part}":        a.pages.Serve(a.sitePages),
		"/sitemap/{comune}/{of}": a.pages.Serve(a.siteRecords),
	}
}

// A statement is a page of texts of our own.
type statement struct {
	// ID of the page's messages.
	ID    string
	Title string
	Parts []part
}

// A part of a statement: a heading, paragraphs, and where to go from there.
type part struct {
	ID    string
	Links []outward
	// Reach lists how to reach the comuni.
	Reach bool
}

// An outward link, to the portal where it begins with a stroke, else to another site.
type outward struct{ Address, ID string }

var accessibility = statement{ID: "accessibility", Title: "frame.accessibility", Parts: []part{
	{ID: "state"},
	{ID: "lacking"},
	{ID: "checked"},
	{ID: "feedback", Links: []outward{{"/chiedi/?tipo=disservizio", "frame.disruption"}}, Reach: true},
	{ID: "enforcement", Links: []outward{{"https://www.agid.gov.it/it/agenzia/difensore-civico-il-digitale", "accessibility.ombudsman"}}},
	{ID: "site"},
}}

var privacy = statement{ID: "privacy", Title: "frame.privacy", Parts: []part{
	{ID: "reading"},
	{ID: "asking"},
	{ID: "rating"},
	{ID: "basis"},
	{ID: "keeping"},
	{ID: "seeing"},
	{ID: "accounts"},
	{ID: "rights", Links: []outward{{"https://www.garanteprivacy.it/", "privacy.authority"}}, Reach: true},
}}

var legal = statement{ID: "legal", Title: "frame.legal", Parts: []part{
	{ID: "sample"},
	{ID: "data", Links: []outward{{"https://creativecommons.org/licenses/by/4.0/", "legal.ccby"}}},
	{ID: "software", Links: []outward{{"https://interoperable-europe.ec.europa.eu/collection/eupl/eupl-text-eupl-12", "legal.eupl"}}},
	{ID: "value"},
	{ID: "links"},
}}

func (a *About) text(s statement) site.Handler {
	return func(r *site.Request) (*site.Page, error) {
		return &site.Page{Template: "statement", Title: r.Say(s.Title), Description: r.Say(s.ID + ".lead"), Data: s, Crumbs: []site.Link{}}, nil
	}
}

type office struct {
	site.Comune
	Opening record.Opening
	Source  record.Source
}

func (a *About) contacts(r *site.Request) (*site.Page, error) {
	var offices []office
	for _, one := range r.Comuni().All {
		offices = append(offices, office{
			Comune: one, Opening: record.OpeningOf(one.Record.GetOpening(), a.now()),
			Source: record.SourceOf(one.Record.GetName(), one.Record.GetProvenance(), one.Record.GetUpdateTime(), a.now()),
		})
	}
	return &site.Page{Template: "contacts", Title: r.Say("frame.contacts"), Description: r.Say("contacts.lead"), Data: offices, Crumbs: []site.Link{}}, nil
}

// asked are the frequent questions, in the order of the page.
var asked = []struct{ ID, Path, Link string }{
	{"start", "/servizi/", "nav.services"},
	{"law104", "/servizi/?q=legge+104+invalidit%C3%A0", "faq.law104Link"},
	{"school", "/servizi/?q=assistenza+scuola", "faq.schoolLink"},
	{"ride", "/servizi/?q=trasporto+accompagnamento", "faq.rideLink"},
	{"cost", "/servizi/?q=contributo+assegno+di+cura", "faq.costLink"},
	{"refused", "/servizi/?q=sportello+informazioni+diritti", "faq.refusedLink"},
	{"anonymous", "/chiedi/", "frame.ask"},
	{"code", "/segui/", "frame.follow"},
	{"others", "/chiedi/", "frame.ask"},
	{"later", "/servizi/?q=dopo+di+noi", "faq.laterLink"},
	{"wrong", "/chiedi/?tipo=correzione", "faq.wrongLink"},
	{"away", "/rete/", "frame.network"},
}

func (a *About) questions(r *site.Request) (*site.Page, error) {
	var questions []map[string]any
	for _, one := range asked {
		questions = append(questions, map[string]any{
			"@type": "Question", "name": r.Say("faq." + one.ID), "acceptedAnswer": map[string]any{"@type": "Answer", "text": r.Say("faq." + one.ID + "Answer")},
		})
	}
	return &site.Page{
		Template: "questions", Title: r.Say("frame.faq"), Description: r.Say("faq.lead"), Data: asked, Crumbs: []site.Link{},
		Linked: map[string]any{"@context": "https://schema.org", "@type": "FAQPage", "mainEntity": questions},
	}, nil
}
