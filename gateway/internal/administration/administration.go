// Package administration has the pages with which a node is looked after: people and what they may do, messages, backups, the audit log,
// the federation, and how the node is.
package administration

import (
	"context"
	"embed"
	"net/http"
	"time"

	"google.golang.org/grpc"

	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/gateway/internal/workbench"
	"cidsistem.example/proto/gen/adminv1"
	"cidsistem.example/proto/gen/annotationsv1"
	"cidsistem.example/proto/gen/auditv1"
	"cidsistem.example/proto/gen/federationv1"
	"cidsistem.example/proto/gen/identityv1"
	"cidsistem.example/proto/gen/registryv1"
)

//go:embed templates/*.html
var files embed.FS

const (
	// root is where the pages begin.
	root = workbench.Root + "amministrazione/"
	// callWithin is how long the node may take for one thing that a person does.
	callWithin = 8 * time.Second
	// listed is how many things a page lists.
	listed = 50

	fieldPage = "pagina"
	buttonAct = "azione"
)

// Administration makes the pages.
type Administration struct {
	bench         *workbench.Bench
	pages         *site.Section
	conn          grpc.ClientConnInterface
	accounts      identityv1.AccountServiceClient
	messages      adminv1.MessageServiceClient
	backups       adminv1.BackupServiceClient
	audit         auditv1.AuditServiceClient
	federation    federationv1.FederationServiceClient
	organizations registryv1.OrganizationServiceClient
	services      registryv1.ServiceServiceClient
}

// New makes the pages over a connection to the server behind the gateway.
func New(s *site.Site, conn grpc.ClientConnInterface, bench *workbench.Bench) (*Administration, error) {
	pages, err := s.Section(files, "templates")
	if err != nil {
		return nil, err
	}
	return &Administration{
		bench: bench, pages: pages, conn: conn, accounts: identityv1.NewAccountServiceClient(conn), messages: adminv1.NewMessageServiceClient(conn),
		backups: adminv1.NewBackupServiceClient(conn), audit: auditv1.NewAuditServiceClient(conn), federation: federationv1.NewFederationServiceClient(conn),
		organizations: registryv1.NewOrganizationServiceClient(conn), services: registryv1.NewServiceServiceClient(conn),
	}, nil
}

// Handlers are the pages by their pattern. They take forms.
func (a *Administration) Handlers() map[string]http.Handler {
	page := func(h workbench.Handler, roles ...annotationsv1.Role) http.Handler {
		return a.bench.Page(a.pages, h, roles...)
	}
	const administrator, auditor = annotationsv1.Role_NODE_ADMINISTRATOR, annotationsv1.Role_AUDITOR
	return map[string]http.Handler{
		root + "{$}":           page(a.home, administrator, auditor),
		root + "persone":       page(a.people, administrator),
		root + "persone/nuova": page(a.newcomer, administrator),
		root + "persone/{id}":  page(a.person, administrator),
		root + "messaggi":      page(a.outbox, administrator, annotationsv1.Role_SUPPORT_DESK, annotationsv1.Role_PUBLISHER),
		root + "copie":         page(a.copies, administrator),
		root + "registro":      page(a.log, auditor),
		root + "rete":          page(a.board),
		root + "nodo":          page(a.node),
		root + "vocabolari":    page(a.vocabularies),
	}
}

// show makes a page of the administration.
func show(v *workbench.Visit, template, title string, data any) *site.Page {
	page := &site.Page{Template: template, Title: title, Data: data}
	if template != "home" {
		page.Crumbs = []site.Link{{Path: workbench.Root, Text: v.Say("lavoro.nav.home")}, {Path: root, Text: v.Say("administration.title")}}
	}
	return page
}

// within is the context of what a person does.
func within(v *workbench.Visit) (context.Context, context.CancelFunc) {
	return context.WithTimeout(v.Upstream(), callWithin)
}

// A tile of the first page.
type tile struct{ Path, ID string }

// home leads to the pages that the person may use.
func (a *Administration) home(v *workbench.Visit) (*site.Page, error) {
	var tiles []tile
	if v.Has(annotationsv1.Role_NODE_ADMINISTRATOR) {
		tiles = append(tiles, tile{root + "persone", "people"}, tile{root + "copie", "copies"}, tile{root + "messaggi", "outbox"})
	}
	if v.Has(annotationsv1.Role_AUDITOR) {
		tiles = append(tiles, tile{root + "registro", "log"})
	}
	tiles = append(tiles, tile{root + "rete", "board"}, tile{root + "nodo", "node"}, tile{root + "vocabolari", "vocabularies"})
	return show(v, "home", v.Say("administration.title"), tiles), nil
}
