// Package editing has the pages with which a comune writes its records: the page of each of them, the form of a draft, its way through
// review to publication, its translations, and what a record was before.
package editing

import (
	"context"
	"embed"
	"net/http"
	"net/url"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"cidsistem.example/gateway/internal/edge"
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

// Where the pages begin.
const (
	recordsHome = workbench.Root + "schede/"
	draftsHome  = workbench.Root + "bozze/"
)

// callWithin is how long the node may take for one thing that a person does.
const callWithin = 8 * time.Second

// Editing makes the pages.
type Editing struct {
	pages   *site.Section
	bench   *workbench.Bench
	conn    grpc.ClientConnInterface
	drafts  editorialv1.DraftServiceClient
	records editorialv1.RecordServiceClient
	search  registryv1.SearchServiceClient
	reader  record.Reader
	files   registryv1.FileServiceClient
	public  http.Handler
	largest int64
	now     func() time.Time
}

// New makes the pages over a connection to the server behind the gateway. Public has the pages of the portal: a draft is previewed as
// they show it, for which the connection must be one of [Overlay]. Largest is how many bytes a file of a record may have.
func New(s *site.Site, conn grpc.ClientConnInterface, bench *workbench.Bench, public http.Handler, largest int64) (*Editing, error) {
	pages, err := s.Section(files, "templates")
	if err != nil {
		return nil, err
	}
	return &Editing{
		pages: pages, bench: bench, conn: conn, drafts: editorialv1.NewDraftServiceClient(conn), records: editorialv1.NewRecordServiceClient(conn),
		search: registryv1.NewSearchServiceClient(conn), reader: record.NewReader(conn), files: registryv1.NewFileServiceClient(conn), public: public, largest: largest, now: time.Now,
	}, nil
}

// writers may change records of some kind.
var writers = []annotationsv1.Role{annotationsv1.Role_EDITOR, annotationsv1.Role_PUBLISHER, annotationsv1.Role_PLANNER}

// Mount lets a mux answer with the pages.
func (e *Editing) Mount(handle func(string, http.Handler)) {
	page := func(h workbench.Handler) http.Handler { return e.bench.Page(e.pages, h, writers...) }
	for pattern, handler := range map[string]http.Handler{
		recordsHome + "scheda":         e.bench.Page(e.pages, e.record),
		recordsHome + "storia":         page(e.history),
		recordsHome + "nuova":          page(e.begin),
		draftsHome + "{$}":             page(e.listDrafts),
		draftsHome + "{id}/salva":      e.bench.Serve(e.pages, e.autosave, writers...),
		draftsHome + "{id}/anteprima":  e.preview(page(e.noPreview)),
		draftsHome + "{id}/revisione":  page(e.review),
		draftsHome + "{id}/confronto":  page(e.compare),
		draftsHome + "{id}/traduzioni": page(e.translate),
	} {
		handle(pattern, edge.Form(strings.TrimSuffix(pattern, "{$}"), handler))
	}
	handle(draftsHome+"{id}", edge.FileForm(draftsHome+"{id}", e.largest, page(e.edit)))
}

// draftPath is the page of a draft: comuni/marsala/drafts/d1 is at /lavoro/bozze/d1.
func draftPath(name string) string { return draftsHome + name[strings.LastIndexByte(name, '/')+1:] }

// recordPath is the page of a record on the signed-in side.
func recordPath(name string) string {
	return recordsHome + "scheda?" + url.Values{"nome": {name}}.Encode()
}

// draft reads the draft that the address names.
func (e *Editing) draft(ctx context.Context, v *workbench.Visit) (*editorialv1.Draft, proto.Message, error) {
	if v.Comune == "" || !catalog.ValidID(v.PathValue("id")) {
		return nil, nil, site.ErrNoPage
	}
	draft, err := e.drafts.GetDraft(ctx, &editorialv1.GetDraftRequest{Name: v.Comune + "/drafts/" + v.PathValue("id")})
	if err != nil {
		return nil, nil, err
	}
	content, err := opened(draft.GetContent())
	return draft, content, err
}

// opened is the record inside.
func opened(sealed *anypb.Any) (proto.Message, error) {
	if sealed == nil {
		return nil, nil
	}
	return sealed.UnmarshalNew()
}

// sealed puts a record inside; records that were read can always be written.
func sealed(m proto.Message) *anypb.Any {
	inside, err := anypb.New(m)
	if err != nil {
		return nil
	}
	return inside
}

// publishes tells whether the person decides who sees records of a kind.
func publishes(v *workbench.Visit, kind *catalog.Kind) bool {
	if kind.Collection == "plans" || kind.Collection == "actions" {
		return v.Has(annotationsv1.Role_PLANNER)
	}
	return v.Has(annotationsv1.Role_PUBLISHER)
}

// writes tells whether the person writes records of a kind at all.
func writes(v *workbench.Visit, kind *catalog.Kind) bool {
	if kind.Collection == "plans" || kind.Collection == "actions" {
		return v.Has(annotationsv1.Role_PLANNER)
	}
	return v.Has(annotationsv1.Role_EDITOR, annotationsv1.Role_PUBLISHER)
}

// crumb leads back to a list.
func crumb(v *workbench.Visit, path, id string) site.Link {
	return site.Link{Path: path, Text: v.Say(id)}
}
