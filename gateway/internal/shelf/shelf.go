// Package shelf has the lists of all records of a comune, for those who keep them true: found by words and filters, taken out of sight
// and put back one by one, and changed many at a time with a look before and a way back after.
package shelf

import (
	"context"
	"embed"
	"net/http"
	"net/url"
	"time"

	"google.golang.org/grpc"

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
	// root is where the pages begin, together where many records are changed, changes where a change of many is taken back.
	root     = workbench.Root + "schede/"
	together = root + "insieme"
	changes  = root + "modifiche/"
	// callWithin is how long the server may take for one thing that a person does.
	callWithin = 8 * time.Second
)

// Shelf makes the pages.
type Shelf struct {
	pages   *site.Section
	bench   *workbench.Bench
	conn    grpc.ClientConnInterface
	records editorialv1.RecordServiceClient
	search  registryv1.SearchServiceClient
	reader  record.Reader
	now     func() time.Time
}

// New makes the pages over a connection to the server behind the gateway.
func New(s *site.Site, conn grpc.ClientConnInterface, bench *workbench.Bench) (*Shelf, error) {
	pages, err := s.Section(files, "templates")
	if err != nil {
		return nil, err
	}
	return &Shelf{
		pages: pages, bench: bench, conn: conn, records: editorialv1.NewRecordServiceClient(conn), search: registryv1.NewSearchServiceClient(conn),
		reader: record.NewReader(conn), now: time.Now,
	}, nil
}

// Handlers are the pages by their pattern. They take forms; see [edge.Form].
func (s *Shelf) Handlers() map[string]http.Handler {
	writers := []annotationsv1.Role{annotationsv1.Role_EDITOR, annotationsv1.Role_PUBLISHER, annotationsv1.Role_PLANNER}
	return map[string]http.Handler{
		root + "{$}":     s.bench.Page(s.pages, s.list),
		together:         s.bench.Page(s.pages, s.together, writers...),
		changes + "{id}": s.bench.Page(s.pages, s.undo, writers...),
	}
}

// kinds of records in the order in which the page offers them, by collection.
var kinds = []string{"services", "organizations", "locations", "operators", "documents", "practices", "plans", "actions", "events"}

// writes tells whether the person writes records of a kind.
func writes(v *workbench.Visit, kind *catalog.Kind) bool {
	if v.Comune == "" {
		return false
	}
	if kind.Collection == "plans" || kind.Collection == "actions" {
		return v.Has(annotationsv1.Role_PLANNER)
	}
	return v.Has(annotationsv1.Role_EDITOR, annotationsv1.Role_PUBLISHER)
}

// publishes tells whether the person decides who sees records of a kind.
func publishes(v *workbench.Visit, kind *catalog.Kind) bool {
	if kind.Collection == "plans" || kind.Collection == "actions" {
		return v.Has(annotationsv1.Role_PLANNER)
	}
	return v.Has(annotationsv1.Role_PUBLISHER)
}

// parentOf is where the records of a kind are: in the person's comune, or in all of them for a person of none.
func parentOf(v *workbench.Visit, kind *catalog.Kind) string {
	if v.Comune == "" {
		return kind.AnyParent()
	}
	if kind.Depth() > 2 {
		return v.Comune + "/" + kind.Parent.Collection + "/" + catalog.Wildcard
	}
	return v.Comune
}

// Pages of a record on the signed-in side.
func cardPath(name string) string { return root + "scheda?" + url.Values{"nome": {name}}.Encode() }

func historyPath(name string) string { return root + "storia?" + url.Values{"nome": {name}}.Encode() }

// within is the context of what a person does.
func within(v *workbench.Visit) (context.Context, context.CancelFunc) {
	return context.WithTimeout(v.Upstream(), callWithin)
}
