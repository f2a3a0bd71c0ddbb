package editing

import (
	"context"
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/gateway/internal/editing/fields"
	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/gateway/internal/workbench"
	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/editorialv1"
	"cidsistem.example/proto/gen/registryv1"
)

// Fields of the form of a draft beside those of its record.
const (
	// own is what their names begin with.
	own         = "_"
	fieldEtag   = "_etag"
	fieldNote   = "_nota"
	fieldFrom   = "_da"
	fieldUntil  = "_fino"
	fieldPick   = "_prendi."
	buttonDo    = "_fai"
	buttonRow   = "_riga"
	buttonFind  = "_cerca"
	buttonTake  = "_scegli"
	doSave      = "salva"
	doSubmit    = "invia"
	doPublish   = "pubblica"
	doPreview   = "anteprima"
	doTranslate = "traduci"
	doDiscard   = "butta"
)

// clockForm is how browsers write a moment.
const clockForm = "2006-01-02T15:04"

// A draftPage is the form of a draft.
type draftPage struct {
	Draft *editorialv1.Draft
	Path  string
	Kind  *catalog.Kind
	// Sections of the form.
	Sections []fields.Section
	// Lists of records to choose from, by collection.
	Lists map[string][]fields.Option
	// Titles of the records that are chosen, by name.
	Titles map[string]string
	// Finding is the field for which records were searched, Found what was.
	Finding string
	Found   []fields.Option
	// Missing is what is still missing or wrong.
	Missing []missing
	// Note, From and Until are said beside the record.
	Note, From, Until string
	Etag              string
	// Publishes tells that the person may publish it.
	Publishes bool
	// Editable tells that it is in hand.
	Editable bool
	// Fresh is the row that was added.
	Fresh string
	// Clashes are what somebody else has changed meanwhile.
	Clashes []fields.Difference
	// Files tells that records of the kind have files; Most is how large one may be, in MiB.
	Files bool
	Most  int64
}

// missing is a problem of the content, said in the form.
type missing struct {
	ID      string `json:"id"`
	Label   string `json:"label"`
	Text    string `json:"text"`
	Missing bool   `json:"missing"`
}

// edit shows the form of a draft, and keeps what was typed.
func (e *Editing) edit(v *workbench.Visit) (*site.Page, error) {
	ctx, cancel := context.WithTimeout(v.Upstream(), callWithin)
	defer cancel()
	draft, content, err := e.draft(ctx, v)
	if err != nil {
		return nil, err
	}
	data := &draftPage{
		Draft: draft, Path: draftPath(draft.GetName()), Kind: catalog.Of(content), Note: draft.GetNote(), Etag: draft.GetEtag(),
		From: clockText(draft.GetPublishTime()), Until: clockText(draft.GetExpireTime()),
		Editable: draft.GetState() == editorialv1.Draft_DRAFT || draft.GetState() == editorialv1.Draft_RETURNED,
	}
	data.Publishes = publishes(v, data.Kind)
	data.Files, data.Most = data.Kind.Descriptor().Fields().ByName(fileList) != nil, e.largest>>20
	values := fields.Write(content)
	sent := v.Sent()
	if sent == nil {
		if !data.Editable {
			return v.Go(data.Path+"/revisione", ""), nil
		}
		return e.form(ctx, v, data, values, nil), nil
	}
	values = typedInto(sent.Values)
	data.Note, data.From, data.Until = sent.Values.Get(fieldNote), sent.Values.Get(fieldFrom), sent.Values.Get(fieldUntil)
	e.attach(ctx, v, sent, values)
	if row := sent.Values.Get(buttonRow); row != "" {
		data.Etag = sent.Values.Get(fieldEtag)
		data.Fresh, _ = fields.Move(values, row)
		return e.form(ctx, v, data, values, nil), nil
	}
	if path := sent.Values.Get(buttonFind); path != "" {
		data.Etag = sent.Values.Get(fieldEtag)
		data.Finding = path
		data.Found = e.find(ctx, v, data.Kind, path, sent.Values.Get(path))
		return e.form(ctx, v, data, values, nil), nil
	}
	if path, name, found := strings.Cut(sent.Values.Get(buttonTake), " "); found {
		values.Set(path, name)
	}
	if sent.Values.Get(buttonDo) == doDiscard {
		if _, err := e.drafts.DiscardDraft(ctx, &editorialv1.DiscardDraftRequest{Name: draft.GetName()}); err != nil {
			v.Refused(err, nil)
			return e.form(ctx, v, data, values, nil), nil
		}
		return v.Go(draftsHome, "discarded"), nil
	}
	saved, problems, err := e.save(ctx, v, draft, content, values, sent.Values)
	switch {
	case apierror.Reason(err) == registryv1.ErrorReason_ETAG_MISMATCH:
		// Somebody else saved meanwhile: both are shown, and the person chooses field by field.
		mine := proto.Clone(content)
		problems = fields.Read(values, mine, e.now())
		data.Clashes = e.differences(ctx, v, content, mine)
		if len(data.Clashes) == 0 {
			return v.Go(data.Path, "saved"), nil
		}
		v.Alert = &site.Alert{Title: v.Say("lavoro_schede.clash"), Text: v.Say("lavoro_schede.clashText")}
		return e.form(ctx, v, data, values, problems), nil
	case err != nil:
		data.Etag = sent.Values.Get(fieldEtag)
		v.Refused(err, map[string]string{"draft.note": "nota", "draft.publishTime": "da", "draft.expireTime": "fino"})
		return e.form(ctx, v, data, values, problems), nil
	}
	data.Draft, data.Etag = saved, saved.GetEtag()
	if len(problems) > 0 || len(v.Found) > 0 || v.Alert != nil {
		return e.form(ctx, v, data, values, problems), nil
	}
	return e.after(ctx, v, data, values, sent.Values.Get(buttonDo))
}

// after does what the button asked for once the draft is saved.
func (e *Editing) after(ctx context.Context, v *workbench.Visit, data *draftPage, values url.Values, what string) (*site.Page, error) {
	name, etag := data.Draft.GetName(), data.Draft.GetEtag()
	var err error
	switch what {
	case doPreview:
		return v.Go(data.Path+"/anteprima", ""), nil
	case doTranslate:
		return v.Go(data.Path+"/traduzioni", ""), nil
	case doSubmit, doPublish:
		var submitted *editorialv1.Draft
		submitted, err = e.drafts.SubmitDraft(ctx, &editorialv1.SubmitDraftRequest{Name: name, Etag: etag})
		if err == nil && what == doSubmit {
			return v.Go(data.Path+"/revisione", "submitted"), nil
		}
		if err == nil {
			submitted, err = e.drafts.PublishDraft(ctx, &editorialv1.PublishDraftRequest{Name: name, Etag: submitted.GetEtag()})
			if err != nil {
				// It waits in review, where it is said why it cannot be published.
				return v.Go(data.Path+"/revisione", "submitted"), nil
			}
			return e.published(v, submitted), nil
		}
	default:
		v.Done = v.Say("lavoro.done.saved")
		return e.form(ctx, v, data, values, nil), nil
	}
	v.Refused(err, nil)
	if len(data.Draft.GetProblems()) > 0 {
		v.Alert = &site.Alert{Title: v.Say("lavoro_schede.notYet"), Text: v.Say("lavoro_schede.notYetText")}
	}
	return e.form(ctx, v, data, values, nil), nil
}

// published leads to what was published.
func (e *Editing) published(v *workbench.Visit, draft *editorialv1.Draft) *site.Page {
	if draft.GetState() == editorialv1.Draft_SCHEDULED {
		return v.Go(draftPath(draft.GetName())+"/revisione", "scheduled")
	}
	return v.Go(recordPath(draft.GetRecord()), "published")
}

// shownName and keptName are what a form shows of a record that is chosen, and what it is called.
const shownName, keptName = ".shown", ".kept"

// typedInto a form of a record, without what is beside it. Where the title of the chosen record still stands, it is that record.
func typedInto(sent url.Values) url.Values {
	values := maps.Clone(sent)
	maps.DeleteFunc(values, func(name string, _ []string) bool { return strings.HasPrefix(name, own) })
	for name, shown := range sent {
		path, found := strings.CutSuffix(name, shownName)
		if !found {
			continue
		}
		if values.Get(path) == shown[0] {
			values.Set(path, values.Get(path+keptName))
		}
		values.Del(name)
		values.Del(path + keptName)
	}
	return values
}

// save keeps what was typed into the form of a draft. The values change where a record was called by its title.
func (e *Editing) save(ctx context.Context, v *workbench.Visit, draft *editorialv1.Draft, content proto.Message, values, sent url.Values) (*editorialv1.Draft, []fields.Problem, error) {
	e.resolve(ctx, v, content, values)
	typed := proto.Clone(content)
	problems := fields.Read(values, typed, e.now())
	for name, from := range sent {
		if field, found := strings.CutPrefix(name, fieldPick); found && from[0] == "theirs" {
			fields.Take(typed, content, field)
		}
	}
	asked := &editorialv1.Draft{Name: draft.GetName(), Etag: sent.Get(fieldEtag), Content: sealed(typed), Note: sent.Get(fieldNote)}
	for path, into := range map[string]**timestamppb.Timestamp{fieldFrom: &asked.PublishTime, fieldUntil: &asked.ExpireTime} {
		if text := sent.Get(path); text != "" {
			at, err := time.ParseInLocation(clockForm, text, site.Rome)
			if err != nil {
				problems = append(problems, fields.Problem{Path: path, Message: "moment"})
				continue
			}
			*into = timestamppb.New(at)
		}
	}
	saved, err := e.drafts.UpdateDraft(ctx, &editorialv1.UpdateDraftRequest{Draft: asked})
	if err == nil {
		for name := range fields.Write(typed) { // what was taken of others is shown from now on
			if field, _, _ := strings.Cut(name, "."); sent.Get(fieldPick+field) == "theirs" {
				maps.DeleteFunc(values, func(one string, _ []string) bool {
					return one == field || strings.HasPrefix(one, field+".") || strings.HasPrefix(one, field+"[")
				})
			}
		}
		for name, said := range fields.Write(typed) {
			if _, there := values[name]; !there {
				values[name] = said
			}
		}
	}
	return saved, problems, err
}

// form makes the page.
func (e *Editing) form(ctx context.Context, v *workbench.Visit, data *draftPage, values url.Values, unread []fields.Problem) *site.Page {
	problems := map[string][]string{}
	for _, one := range unread {
		problems[one.Path] = append(problems[one.Path], v.Say("lavoro_schede.unread."+one.Message))
		v.Add(fields.ID(one.Path), v.Say("lavoro_schede.unread."+one.Message))
	}
	md := data.Kind.Descriptor()
	for _, one := range data.Draft.GetProblems() {
		if !one.GetMissing() {
			problems[one.GetField()] = append(problems[one.GetField()], one.GetDescription())
		}
	}
	data.Missing = missingOf(v, data.Kind, data.Draft.GetProblems())
	form := fields.NewForm(v, values, problems)
	data.Sections = form.Sections(md)
	for i := range data.Sections {
		if data.Fresh != "" && slices.ContainsFunc(data.Sections[i].Controls, func(c *fields.Control) bool { return strings.HasPrefix(data.Fresh, strings.TrimSuffix(c.Name, ".it")) }) {
			data.Sections[i].Open = true
		}
		if data.Finding != "" && slices.ContainsFunc(data.Sections[i].Controls, func(c *fields.Control) bool { return strings.HasPrefix(data.Finding, c.Name) }) {
			data.Sections[i].Open = true
		}
	}
	e.references(ctx, v, data)
	title := data.Draft.GetTitle()
	if title == "" {
		title = v.Say("lavoro_schede.untitled")
	}
	return &site.Page{
		Template: "draft", Title: title, Data: data, Crumbs: []site.Link{crumb(v, draftsHome, "lavoro.nav.drafts")}, Scripts: []string{"editing.js"},
	}
}

// missingOf says the problems of a draft with links to the fields.
func missingOf(words fields.Words, kind *catalog.Kind, problems []*editorialv1.Problem) []missing {
	all := []missing{}
	for _, one := range problems {
		label := one.GetField()
		name, _, _ := strings.Cut(label, ".")
		name, _, _ = strings.Cut(name, "[")
		if fd := kind.Descriptor().Fields().ByJSONName(name); fd != nil {
			label = fields.Label(words, fd)
		}
		all = append(all, missing{fields.ID(one.GetField()), label, one.GetDescription(), one.GetMissing()})
	}
	return all
}

// autosave keeps what was typed while somebody types, for the script of the form.
func (e *Editing) autosave(v *workbench.Visit) (*site.Document, error) {
	ctx, cancel := context.WithTimeout(v.Upstream(), callWithin)
	defer cancel()
	sent := v.Sent()
	if sent == nil {
		return nil, site.ErrNoPage
	}
	draft, content, err := e.draft(ctx, v)
	if err != nil {
		return nil, err
	}
	saved, _, err := e.save(ctx, v, draft, content, typedInto(sent.Values), sent.Values)
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(map[string]any{
		"etag": saved.GetEtag(), "missing": missingOf(v, catalog.Of(content), saved.GetProblems()),
		"saved": v.Say("lavoro_schede.savedAt", "Time", e.now().In(site.Rome).Format("15:04")),
	})
	return &site.Document{MediaType: "application/json", Body: body}, err
}

func clockText(at *timestamppb.Timestamp) string {
	if at == nil {
		return ""
	}
	return at.AsTime().In(site.Rome).Format(clockForm)
}
