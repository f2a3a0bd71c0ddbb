package editing

import (
	"context"
	"strings"

	"cidsistem.example/gateway/internal/editing/fields"
	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/gateway/internal/workbench"
	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/editorialv1"
	"cidsistem.example/proto/gen/registryv1"
)

// Fields of the review.
const (
	fieldText = "testo"
	doReturn  = "rimanda"
	doComment = "commenta"
)

// A reviewPage shows what a draft changes, and asks what becomes of it.
type reviewPage struct {
	Draft       *editorialv1.Draft
	Path        string
	Kind        *catalog.Kind
	Differences []fields.Difference
	Missing     []missing
	Text        string
	// Publishes tells that the person decides; Waits that the draft waits for it.
	Publishes, Waits bool
	// New tells that there is no record yet.
	New bool
}

// review shows what a draft changes, field by field, and takes what who publishes decides.
func (e *Editing) review(v *workbench.Visit) (*site.Page, error) {
	ctx, cancel := context.WithTimeout(v.Upstream(), callWithin)
	defer cancel()
	draft, content, err := e.draft(ctx, v)
	if err != nil {
		return nil, err
	}
	base, err := opened(draft.GetBase())
	if err != nil {
		return nil, err
	}
	data := reviewPage{Draft: draft, Path: draftPath(draft.GetName()), Kind: catalog.Of(content), New: base == nil}
	data.Publishes = publishes(v, data.Kind)
	if sent := v.Sent(); sent != nil {
		data.Text = strings.TrimSpace(sent.Values.Get(fieldText))
		page, err := e.decide(ctx, v, draft, sent.Values.Get(buttonDo), data.Text)
		if err == nil && page != nil {
			return page, nil
		}
		if apierror.Reason(err) == registryv1.ErrorReason_ETAG_MISMATCH {
			return v.Go(data.Path+"/confronto", ""), nil
		}
		if err != nil {
			v.Refused(err, map[string]string{"text": fieldText, "comment.text": fieldText})
		}
	}
	data.Waits = draft.GetState() == editorialv1.Draft_IN_REVIEW
	if base == nil {
		base = data.Kind.New()
	}
	data.Differences = e.differences(ctx, v, base, content)
	data.Missing = missingOf(v, data.Kind, draft.GetProblems())
	return &site.Page{
		Template: "review", Title: v.Say("lavoro_schede.reviewOf", "Title", draft.GetTitle()), Data: data,
		Crumbs: []site.Link{crumb(v, draftsHome, "lavoro.nav.drafts")},
	}, nil
}

// decide does with a draft what a button says; no page and no error: something is missing in the form.
func (e *Editing) decide(ctx context.Context, v *workbench.Visit, draft *editorialv1.Draft, what, text string) (*site.Page, error) {
	name, path := draft.GetName(), draftPath(draft.GetName())
	switch what {
	case doPublish:
		published, err := e.drafts.PublishDraft(ctx, &editorialv1.PublishDraftRequest{Name: name, Etag: draft.GetEtag()})
		if err != nil {
			return nil, err
		}
		return e.published(v, published), nil
	case doReturn, doComment:
		if text == "" {
			v.Add(fieldText, v.Say("lavoro_schede.textMissing"))
			return nil, nil
		}
		if what == doComment {
			_, err := e.drafts.CommentDraft(ctx, &editorialv1.CommentDraftRequest{Name: name, Comment: &editorialv1.Comment{Text: text}})
			return v.Go(path+"/revisione", "commented"), err
		}
		_, err := e.drafts.ReturnDraft(ctx, &editorialv1.ReturnDraftRequest{Name: name, Etag: draft.GetEtag(), Text: text})
		return v.Go(path+"/revisione", "returned"), err
	}
	return nil, nil
}

// A comparePage shows a draft beside the record that has changed since it began.
type comparePage struct {
	Draft *editorialv1.Draft
	Path  string
	// Etag of the record that it is compared with.
	Etag string
	// Clashes are fields that both have changed; Theirs those that the record alone has.
	Clashes, Theirs []fields.Difference
}

// compare puts a draft beside the record as it is now: where both have changed a field the person chooses, what the record alone has
// changed is taken over.
func (e *Editing) compare(v *workbench.Visit) (*site.Page, error) {
	ctx, cancel := context.WithTimeout(v.Upstream(), callWithin)
	defer cancel()
	draft, content, err := e.draft(ctx, v)
	if err != nil {
		return nil, err
	}
	base, err := opened(draft.GetBase())
	if err != nil {
		return nil, err
	}
	now, err := e.reader.Get(ctx, draft.GetRecord())
	if err != nil {
		return nil, err
	}
	if base == nil {
		base = catalog.Of(content).New()
	}
	data := comparePage{Draft: draft, Path: draftPath(draft.GetName()), Etag: catalog.RecordOf(now).Etag()}
	mine, theirs := fields.Changed(base, content), fields.Changed(base, now)
	for _, one := range e.differences(ctx, v, now, content) {
		if mine[one.Field] && theirs[one.Field] {
			data.Clashes = append(data.Clashes, one)
		}
	}
	for _, one := range e.differences(ctx, v, base, now) {
		if !mine[one.Field] {
			data.Theirs = append(data.Theirs, one)
		}
	}
	if sent := v.Sent(); sent != nil {
		for field := range theirs {
			if !mine[field] || sent.Values.Get(fieldPick+field) == "theirs" {
				fields.Take(content, now, field)
			}
		}
		_, err := e.drafts.RebaseDraft(ctx, &editorialv1.RebaseDraftRequest{
			Name: draft.GetName(), Etag: draft.GetEtag(), RecordEtag: sent.Values.Get(fieldEtag), Content: sealed(content),
		})
		if err == nil {
			return v.Go(data.Path, "rebased"), nil
		}
		v.Refused(err, nil)
	}
	return &site.Page{
		Template: "compare", Title: v.Say("lavoro_schede.compareTitle"), Data: data,
		Crumbs: []site.Link{crumb(v, draftsHome, "lavoro.nav.drafts"), {Path: data.Path, Text: draft.GetTitle()}},
	}, nil
}
