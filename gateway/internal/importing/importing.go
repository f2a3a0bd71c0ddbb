// Package importing has the pages with which a comune takes records over from files: the file, what its columns mean, what would happen,
// and what became of each row.
package importing

import (
	"context"
	"embed"
	"net/http"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"cidsistem.example/gateway/internal/edge"
	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/gateway/internal/workbench"
	"cidsistem.example/proto/gen/annotationsv1"
	"cidsistem.example/proto/gen/exchangev1"
	"cidsistem.example/proto/gen/registryv1"
)

//go:embed templates/*.html
var files embed.FS

const (
	// root is where the pages begin.
	root = workbench.Root + "importazioni/"
	// workWithin is how long the node may take to store a file and look at it, or to write the report.
	workWithin = 50 * time.Second
)

// collections are the kinds that a spreadsheet can have.
var collections = []string{"services", "organizations", "locations", "operators"}

// Imports makes the pages.
type Imports struct {
	bench   *workbench.Bench
	pages   *site.Section
	imports exchangev1.ImportServiceClient
	files   registryv1.FileServiceClient
	// largest is how many bytes a file may have.
	largest int64
}

// New makes the pages over a connection to the server behind the gateway, for files of at most so many bytes.
func New(s *site.Site, conn grpc.ClientConnInterface, bench *workbench.Bench, largest int64) (*Imports, error) {
	pages, err := s.Section(files, "templates")
	if err != nil {
		return nil, err
	}
	return &Imports{
		bench: bench, pages: pages, largest: largest,
		imports: exchangev1.NewImportServiceClient(conn), files: registryv1.NewFileServiceClient(conn),
	}, nil
}

// Mount gives the pages to a mux by their patterns.
func (i *Imports) Mount(handle func(pattern string, handler http.Handler)) {
	roles := []annotationsv1.Role{annotationsv1.Role_EDITOR, annotationsv1.Role_PUBLISHER}
	page := func(h workbench.Handler) http.Handler { return i.bench.Page(i.pages, atComune(h), roles...) }
	handle(root+"{$}", edge.FileForm(root, i.largest, page(i.list)))
	for pattern, handler := range map[string]http.Handler{
		root + "{id}":              page(i.show),
		root + "{id}/righe":        page(i.rows),
		root + "{id}/rapporto.csv": i.bench.Serve(i.pages, i.report, roles...),
	} {
		handle(pattern, edge.Form(pattern, handler))
	}
}

// atComune admits persons of a comune alone: an ufficio comune has no records of its own.
func atComune(h workbench.Handler) workbench.Handler {
	return func(v *workbench.Visit) (*site.Page, error) {
		if v.Comune == "" {
			return nil, status.Error(codes.Unimplemented, "imports are made at the node of a comune")
		}
		return h(v)
	}
}

// longer is the context of a call that may take longer than pages do.
func longer(v *workbench.Visit) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(v.Upstream()), workWithin)
}

// pathOf is the page of an import: comuni/marsala/imports/i1 is at /lavoro/importazioni/i1.
func pathOf(name string) string { return root + name[strings.LastIndexByte(name, '/')+1:] }

// nameOf is the import that an address means.
func nameOf(v *workbench.Visit) string { return v.Comune + "/imports/" + v.PathValue("id") }

// wrong says what is wrong with a field.
func wrong(v *workbench.Visit, field, id string, values ...any) {
	v.Add(field, v.Say("importing.problem."+id, values...))
}

// crumbs lead to the list of imports.
func crumbs(v *workbench.Visit, more ...site.Link) []site.Link {
	return append([]site.Link{{Path: workbench.Root, Text: v.Say("lavoro.nav.home")}, {Path: root, Text: v.Say("importing.title")}}, more...)
}
