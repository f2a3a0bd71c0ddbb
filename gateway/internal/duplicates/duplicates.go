// Package duplicates has the pages on which records that may describe the same thing are looked at side by side: within a comune they
// are made one, or said to be different; of two comuni one card can point to the other.
package duplicates

import (
	"cmp"
	"embed"
	"net/http"
	"net/url"
	"strings"

	"google.golang.org/grpc"

	"cidsistem.example/gateway/internal/record"
	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/gateway/internal/workbench"
	"cidsistem.example/proto/gen/annotationsv1"
	"cidsistem.example/proto/gen/editorialv1"
	"cidsistem.example/proto/gen/registryv1"
)

//go:embed templates/*.html
var files embed.FS

const (
	// root is where the pages begin.
	root = workbench.Root + "doppioni/"
	// listed is how many pairs a page lists.
	listed = 50

	fieldPage    = "pagina"
	fieldDecided = "anche"
	fieldRecord  = "scheda"
	fieldFirst   = "prima"
	fieldSecond  = "seconda"
	fieldMerged  = "unita"
	buttonAct    = "azione"
)

// Duplicates makes the pages.
type Duplicates struct {
	pages         *site.Section
	bench         *workbench.Bench
	duplicates    editorialv1.DuplicateServiceClient
	organizations registryv1.OrganizationServiceClient
	records       record.Reader
}

// New makes the pages over a connection to the server behind the gateway.
func New(s *site.Site, conn grpc.ClientConnInterface, bench *workbench.Bench) (*Duplicates, error) {
	pages, err := s.Section(files, "templates")
	if err != nil {
		return nil, err
	}
	return &Duplicates{
		pages: pages, bench: bench, duplicates: editorialv1.NewDuplicateServiceClient(conn),
		organizations: registryv1.NewOrganizationServiceClient(conn), records: record.NewReader(conn),
	}, nil
}

// Handlers are the pages by their pattern. They take forms.
func (d *Duplicates) Handlers() map[string]http.Handler {
	page := func(h workbench.Handler, roles ...annotationsv1.Role) http.Handler {
		return d.bench.Page(d.pages, h, roles...)
	}
	const editor, publisher = annotationsv1.Role_EDITOR, annotationsv1.Role_PUBLISHER
	return map[string]http.Handler{
		root + "{$}":    page(d.list, editor, publisher, annotationsv1.Role_PLANNER, annotationsv1.Role_READER),
		root + "coppia": page(d.pair, editor, publisher, annotationsv1.Role_PLANNER, annotationsv1.Role_READER),
	}
}

type listPage struct {
	Pairs []*editorialv1.Duplicate
	Total int32
	// Decided: also those that were said to be different.
	Decided bool
	// Across: the pairs are of different comuni.
	Across bool
	Next   string
	// Merged is the record that has just gone into another one; the merge can be undone.
	Merged string
}

// list shows pairs that look alike, and takes a merge back.
func (d *Duplicates) list(v *workbench.Visit) (*site.Page, error) {
	q := v.URL.Query()
	data := listPage{Decided: q.Get(fieldDecided) != "", Across: len(v.Comuni().All) > 1, Merged: q.Get(fieldMerged)}
	if sent := v.Sent(); sent != nil {
		_, err := d.duplicates.UndoMerge(v.Upstream(), &editorialv1.UndoMergeRequest{Parent: v.Comune, Record: sent.Values.Get(fieldRecord)})
		if err == nil {
			return v.Go(root, "merge_undone"), nil
		}
		v.Refused(err, nil)
		data.Merged = sent.Values.Get(fieldRecord)
	}
	parent := cmp.Or(v.Comune, "comuni/-")
	answer, err := d.duplicates.ListDuplicates(v.Upstream(), &editorialv1.ListDuplicatesRequest{
		Parent: parent, PageSize: listed, PageToken: q.Get(fieldPage), ShowDecided: data.Decided,
	})
	if err != nil {
		return nil, err
	}
	data.Pairs, data.Total = answer.GetDuplicates(), answer.GetTotalSize()
	if token := answer.GetNextPageToken(); token != "" {
		query := url.Values{fieldPage: {token}}
		if data.Decided {
			query.Set(fieldDecided, "1")
		}
		data.Next = root + "?" + query.Encode()
	}
	return &site.Page{Template: "list", Title: v.Say("duplicates.title"), Data: data}, nil
}

// comuneOf is the slug of the comune of a record.
func comuneOf(name string) string {
	parts := strings.Split(name, "/")
	if len(parts) < 2 {
		return ""
	}
	return parts[1]
}
