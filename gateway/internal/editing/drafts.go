package editing

import (
	"context"
	"net/url"
	"strings"

	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/gateway/internal/workbench"
	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/editorialv1"
)

// listed is how many drafts a page has.
const listed = 50

// A draftsPage lists drafts.
type draftsPage struct {
	Drafts []draftRow
	States []editorialv1.Draft_State
	State  string
	Mine   bool
	Next   string
	Later  bool
}

type draftRow struct {
	*editorialv1.Draft
	Path, Kind string
}

var draftStates = []editorialv1.Draft_State{
	editorialv1.Draft_DRAFT, editorialv1.Draft_RETURNED, editorialv1.Draft_IN_REVIEW, editorialv1.Draft_SCHEDULED, editorialv1.Draft_PUBLISHED, editorialv1.Draft_DISCARDED,
}

// listDrafts shows the drafts, the newest first.
func (e *Editing) listDrafts(v *workbench.Visit) (*site.Page, error) {
	ctx, cancel := context.WithTimeout(v.Upstream(), callWithin)
	defer cancel()
	q := v.URL.Query()
	data := draftsPage{States: draftStates, State: q.Get("stato"), Mine: q.Has("mie"), Later: q.Has("pagina")}
	if v.Comune == "" {
		v.Alert = &site.Alert{Title: v.Say("lavoro.elsewhere"), Text: v.Say("lavoro.elsewhereText")}
		return &site.Page{Template: "drafts", Title: v.Say("lavoro.nav.drafts"), Data: data}, nil
	}
	answer, err := e.drafts.ListDrafts(ctx, &editorialv1.ListDraftsRequest{
		Parent: v.Comune, PageSize: listed, PageToken: q.Get("pagina"), Mine: data.Mine,
		State: editorialv1.Draft_State(editorialv1.Draft_State_value[strings.ToUpper(data.State)]),
	})
	if err != nil {
		return nil, err
	}
	for _, draft := range answer.GetDrafts() {
		one := draftRow{Draft: draft, Path: draftPath(draft.GetName())}
		if name, err := catalog.ParseName(draft.GetRecord()); err == nil {
			one.Kind = name.Kind.Label
		}
		if draft.GetState() != editorialv1.Draft_DRAFT && draft.GetState() != editorialv1.Draft_RETURNED {
			one.Path += "/revisione"
		}
		data.Drafts = append(data.Drafts, one)
	}
	if next := answer.GetNextPageToken(); next != "" {
		data.Next = draftsHome + "?" + url.Values{"stato": {data.State}, "pagina": {next}}.Encode()
	}
	return &site.Page{Template: "drafts", Title: v.Say("lavoro.nav.drafts"), Data: data}, nil
}
