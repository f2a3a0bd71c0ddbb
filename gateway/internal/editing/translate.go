package editing

import (
	"context"

	"cidsistem.example/gateway/internal/editing/fields"
	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/gateway/internal/workbench"
	"cidsistem.example/proto/gen/editorialv1"
)

// fieldFits says that a translation fits the Italian text as it is now.
const fieldFits = "_vale."

// A translatePage shows the texts of a draft beside their translations.
type translatePage struct {
	Draft     *editorialv1.Draft
	Path      string
	Languages []string
	Language  string
	Etag      string
	Texts     []translation
	Done, Old int
}

// A translation of one text.
type translation struct {
	Name, ID, Label, Italian, Written string
	// Old: the Italian text has changed since.
	Old bool
	// Long texts have more room.
	Rows int
}

// translate shows and keeps the translations of a draft's texts into one language.
func (e *Editing) translate(v *workbench.Visit) (*site.Page, error) {
	ctx, cancel := context.WithTimeout(v.Upstream(), callWithin)
	defer cancel()
	draft, content, err := e.draft(ctx, v)
	if err != nil {
		return nil, err
	}
	data := translatePage{Draft: draft, Path: draftPath(draft.GetName()), Languages: fields.Languages, Language: fields.Languages[0], Etag: draft.GetEtag()}
	for _, l := range fields.Languages {
		if v.URL.Query().Get("lingua") == l {
			data.Language = l
		}
	}
	texts := fields.Texts(v, content)
	sent := v.Sent()
	if sent != nil {
		for _, text := range texts {
			if sent.Values.Has(text.Path) {
				fields.Translate(text.LocalizedText, data.Language, sent.Values.Get(text.Path), sent.Values.Has(fieldFits+text.Path), e.now())
			}
		}
		data.Etag = sent.Values.Get(fieldEtag)
		saved, err := e.drafts.UpdateDraft(ctx, &editorialv1.UpdateDraftRequest{Draft: &editorialv1.Draft{
			Name: draft.GetName(), Etag: data.Etag, Content: sealed(content), Note: draft.GetNote(), PublishTime: draft.GetPublishTime(), ExpireTime: draft.GetExpireTime(),
		}})
		if err != nil {
			v.Refused(err, nil)
		} else {
			data.Etag, v.Done = saved.GetEtag(), v.Say("lavoro.done.saved")
		}
	}
	for _, text := range texts {
		said := text.GetTranslations()[data.Language]
		one := translation{
			Name: text.Path, ID: fields.ID(text.Path), Label: text.Label, Italian: text.GetIt(), Written: said.GetText(),
			Old: said != nil && fields.Outdated(text.GetIt(), said), Rows: 2 + len(text.GetIt())/80,
		}
		if one.Written != "" {
			data.Done++
		}
		if one.Old {
			data.Old++
		}
		data.Texts = append(data.Texts, one)
	}
	return &site.Page{
		Template: "translate", Title: v.Say("lavoro_schede.translationsOf", "Title", draft.GetTitle()), Data: data,
		Crumbs: []site.Link{crumb(v, draftsHome, "lavoro.nav.drafts"), {Path: data.Path, Text: draft.GetTitle()}},
	}, nil
}
