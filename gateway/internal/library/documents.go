package library

import (
	"fmt"
	"mime"
	"path"
	"slices"
	"strings"
	"time"

	"cidsistem.example/gateway/internal/hours"
	"cidsistem.example/gateway/internal/record"
	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/gateway/internal/wording"
	"cidsistem.example/proto/gen/registryv1"
)

func (l *Library) findDocuments(r *site.Request) (*site.Page, error) {
	return l.find(r, l.documents, "documents", "/v1/comuni/-/documents?pageSize=1000", atom(r, documentsHome, "library.newDocuments"))
}

type document struct {
	*registryv1.Document
	Mark   site.Mark
	Source record.Source
	// Force is "inForce", "notYet", "expired", "replaced" or "unknown".
	Force string
	Files []file
	// Older and Newer are the versions before and after this one.
	Older, Newer, Organization          []record.Link
	Services, Practices, Plans, Actions record.Links
}

// Past tells that the document is no longer to be used.
func (d document) Past() bool { return d.Force == "expired" || d.Force == "replaced" }

// A file of a document, as a page offers it.
type file struct {
	*registryv1.FileReference
	// Comune that keeps it, Kind and Size in words.
	Comune, Kind, Size string
}

func (l *Library) document(r *site.Request) (*site.Page, error) {
	d, err := l.documentService.GetDocument(r.Upstream(), &registryv1.GetDocumentRequest{Name: name(r, "documents")})
	if err != nil {
		return nil, err
	}
	if other := d.GetReplacedBy(); other != "" {
		return &site.Page{Redirect: record.Path(other), Moved: true}, nil
	}
	ctx := r.Upstream()
	lists := l.reader.ReferringAll(ctx, d.GetName(), "documents", "services", "practices", "plans", "actions")
	data := document{
		Document: d, Source: record.SourceOf(d.GetName(), d.GetProvenance(), d.GetUpdateTime(), l.now()),
		Older: l.reader.Links(ctx, d.GetReplaces()), Newer: lists["documents"].All, Organization: l.reader.Links(ctx, d.GetOrganization()),
		Services: lists["services"], Practices: lists["practices"], Plans: lists["plans"], Actions: lists["actions"],
	}
	data.Force = force(d.GetValidity(), len(data.Newer) > 0, l.now())
	for _, one := range d.GetFiles() {
		data.Files = append(data.Files, file{one, r.PathValue("comune"), kindOf(one), size(r.Language, one.GetSizeBytes())})
	}
	data.Mark = site.Translated(r.Language, d.GetTitle(), d.GetSummary())
	return &site.Page{
		Template: "document", Title: site.In(r.Language, d.GetTitle()).Text, Description: site.In(r.Language, d.GetSummary()).Text,
		Crumbs: crumbs(r, documentsHome, "nav.documents"), Data: data, Feeds: []site.Feed{atom(r, documentsHome, "library.newDocuments")},
		Linked: map[string]any{
			"@context": "https://schema.org", "@type": "DigitalDocument", "name": site.In(r.Language, d.GetTitle()).Text, "inLanguage": d.GetLanguages(),
			"url": r.Address(record.Path(d.GetName())), "abstract": site.In(r.Language, d.GetSummary()).Text,
		},
	}, nil
}

// force says whether a document counts at a moment.
func force(validity *registryv1.Period, replaced bool, now time.Time) string {
	now = now.In(site.Rome)
	switch {
	case replaced:
		return "replaced"
	case validity.GetStart() == nil && validity.GetEnd() == nil:
		return "unknown"
	case hours.Holds(validity, now):
		return "inForce"
	case hours.Holds(&registryv1.Period{End: validity.GetEnd()}, now):
		return "notYet"
	default:
		return "expired"
	}
}

// kindOf names a type of file as people do: PDF, DOCX.
func kindOf(f *registryv1.FileReference) string {
	if extension := strings.TrimPrefix(path.Ext(f.GetFileName()), "."); extension != "" && len(extension) <= 5 {
		return strings.ToUpper(extension)
	}
	if extensions, err := mime.ExtensionsByType(f.GetMediaType()); err == nil && len(extensions) > 0 {
		slices.Sort(extensions)
		return strings.ToUpper(strings.TrimPrefix(extensions[0], "."))
	}
	return f.GetMediaType()
}

// size in bytes, kB or MB, as the language writes decimals.
func size(l wording.Language, bytes int64) string {
	switch {
	case bytes < 1000:
		return fmt.Sprintf("%d B", bytes)
	case bytes < 1_000_000:
		return fmt.Sprintf("%d kB", (bytes+500)/1000)
	default:
		return record.Number(l, float64((bytes+50_000)/100_000)/10) + " MB"
	}
}
