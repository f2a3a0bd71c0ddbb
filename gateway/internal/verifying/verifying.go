// Package verifying has the pages with which a comune's people keep its cards true: those that must be checked again, one tap each; the
// links with which bodies confirm their own; and what others propose to put right.
package verifying

import (
	"embed"
	"net/http"
	"net/url"
	"strings"
	"time"

	"google.golang.org/grpc"

	"cidsistem.example/gateway/internal/correctable"
	"cidsistem.example/gateway/internal/record"
	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/gateway/internal/workbench"
	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/annotationsv1"
	"cidsistem.example/proto/gen/editorialv1"
	"cidsistem.example/proto/gen/registryv1"
)

//go:embed templates/*.html
var files embed.FS

const (
	// Where the pages begin.
	dueRoot, linksRoot, correctionsRoot = workbench.Root + "verifiche/", workbench.Root + "verifiche/conferme", workbench.Root + "correzioni/"
	// listed is how many things a page lists.
	listed = 50
	// callWithin is how long the node may take to take something.
	callWithin = 8 * time.Second

	fieldPage = "pagina"
	buttonAct = "azione"
)

// Verifying makes the pages.
type Verifying struct {
	pages         *site.Section
	bench         *workbench.Bench
	kept          editorialv1.RecordServiceClient
	corrections   editorialv1.CorrectionServiceClient
	organizations registryv1.OrganizationServiceClient
	search        registryv1.SearchServiceClient
	records       record.Reader
}

// New makes the pages over a connection to the server behind the gateway.
func New(s *site.Site, conn grpc.ClientConnInterface, bench *workbench.Bench) (*Verifying, error) {
	pages, err := s.Section(files, "templates")
	if err != nil {
		return nil, err
	}
	return &Verifying{
		pages: pages, bench: bench, kept: editorialv1.NewRecordServiceClient(conn), corrections: editorialv1.NewCorrectionServiceClient(conn),
		organizations: registryv1.NewOrganizationServiceClient(conn), search: registryv1.NewSearchServiceClient(conn), records: record.NewReader(conn),
	}, nil
}

// Handlers are the pages by their pattern. They take forms; see [edge.Form].
func (c *Verifying) Handlers() map[string]http.Handler {
	const editor, publisher, planner = annotationsv1.Role_EDITOR, annotationsv1.Role_PUBLISHER, annotationsv1.Role_PLANNER
	return map[string]http.Handler{
		dueRoot + "{$}":          c.bench.Page(c.pages, c.due, editor, publisher, planner),
		linksRoot:                c.bench.Page(c.pages, c.links, editor, publisher),
		correctionsRoot + "{$}":  c.bench.Page(c.pages, c.list, editor, publisher),
		correctionsRoot + "{id}": c.bench.Page(c.pages, c.correction, editor, publisher),
	}
}

// editPath is where a record is changed.
func editPath(name string) string {
	return workbench.Root + "schede/scheda?" + url.Values{"nome": {name}}.Encode()
}

// collectionOf a record, by its name.
func collectionOf(name string) string {
	parsed, err := catalog.ParseName(name)
	if err != nil {
		return ""
	}
	return parsed.Kind.Collection
}

// elementID of a record, by its name.
func elementID(name string) string {
	parts := strings.Split(name, "/")
	return "scheda-" + strings.Join(parts[min(2, len(parts)):], "-")
}

// line is a text without breaks.
func line(text string) string { return strings.Join(strings.Fields(correctable.Clean(text)), " ") }
