package editing

import (
	"context"
	"net/url"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"cidsistem.example/gateway/internal/editing/fields"
	"cidsistem.example/gateway/internal/record"
	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/gateway/internal/workbench"
	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/editorialv1"
	"cidsistem.example/proto/gen/registryv1"
)

// What can be done with a record.
const (
	doEdit     = "modifica"
	doVerify   = "conferma"
	doSuspend  = "sospendi"
	doResume   = "riprendi"
	doWithdraw = "ritira"
	doUndelete = "ripristina"
	doRestore  = "torna"
	fieldMeans = "mezzo"
	fieldWhy   = "motivo"
)

// A recordPage shows a record to who works on it.
type recordPage struct {
	Name, Kind, Etag string
	Title            string
	// Public is its page on the portal, empty: none.
	Public string
	Said   []saidPart
	// Due is when it must be verified again, Late that this is over.
	Due  time.Time
	Late bool
	// Seen is who sees it.
	Seen string
	// Deleted, Hidden: only this comune sees it; Mine: it is of the person's comune and they may write it.
	Deleted, Hidden, Mine, Publishes, Single bool
	Drafts                                   []draftRow
	Means                                    []editorialv1.VerificationMeans
	Why                                      string
	// Deeper are the kinds of records that it has of its own: the actions of a plan.
	Deeper []*catalog.Kind
}

// means of finding out that a record is true.
var means = []editorialv1.VerificationMeans{
	editorialv1.VerificationMeans_BY_PHONE, editorialv1.VerificationMeans_BY_VISIT, editorialv1.VerificationMeans_BY_WEB_SITE,
	editorialv1.VerificationMeans_BY_ACT, editorialv1.VerificationMeans_BY_PROVIDER, editorialv1.VerificationMeans_OWN_KNOWLEDGE,
}

// record shows one record, and does what is asked with it.
func (e *Editing) record(v *workbench.Visit) (*site.Page, error) {
	ctx, cancel := context.WithTimeout(v.Upstream(), callWithin)
	defer cancel()
	parsed, err := catalog.ParseName(v.URL.Query().Get("nome"))
	if err != nil {
		return nil, site.ErrNoPage
	}
	name := parsed.String()
	mine := v.Comune != "" && parsed.Comune() == v.Slug() && writes(v, parsed.Kind)
	why := ""
	if sent := v.Sent(); sent != nil && mine {
		why = sent.Values.Get(fieldWhy)
		page, err := e.act(ctx, v, parsed, sent.Values)
		if err == nil && page != nil {
			return page, nil
		}
		if err != nil {
			v.Refused(err, map[string]string{"note": fieldWhy})
		}
	}
	m, err := e.reader.Get(ctx, name)
	if err != nil {
		return nil, err
	}
	of := catalog.RecordOf(m)
	data := recordPage{
		Name: name, Kind: parsed.Kind.Label, Title: of.Title(), Etag: of.Etag(), Public: record.Path(name), Said: e.said(ctx, v, m),
		Deleted: of.Deleted(), Hidden: of.Visibility() == registryv1.Visibility_LOCAL, Seen: of.Visibility().String(), Mine: mine,
		Publishes: mine && publishes(v, parsed.Kind), Single: parsed.Kind.Singleton, Means: means, Why: why,
	}
	if due, ok := catalog.DueTime(m); ok {
		data.Due, data.Late = due, due.Before(e.now())
	}
	if mine {
		if answer, err := e.drafts.ListDrafts(ctx, &editorialv1.ListDraftsRequest{Parent: v.Comune, Record: name, PageSize: 20}); err == nil {
			for _, one := range answer.GetDrafts() {
				if one.GetState() != editorialv1.Draft_PUBLISHED && one.GetState() != editorialv1.Draft_DISCARDED {
					data.Drafts = append(data.Drafts, draftRow{Draft: one, Path: draftPath(one.GetName())})
				}
			}
		}
		for _, kind := range catalog.Kinds() {
			if kind.Parent == parsed.Kind && !parsed.Kind.Singleton {
				data.Deeper = append(data.Deeper, kind)
			}
		}
	}
	return &site.Page{
		Template: "record", Title: data.Title, Data: data,
		Crumbs: []site.Link{crumb(v, recordsHome, "lavoro.nav.records"), {Path: recordsHome + "?tipo=" + parsed.Kind.Collection, Text: parsed.Kind.LabelPlural}},
	}, nil
}

// act does with a record what a button says.
func (e *Editing) act(ctx context.Context, v *workbench.Visit, name catalog.Name, sent url.Values) (*site.Page, error) {
	record, etag, note := name.String(), sent.Get(fieldEtag), sent.Get(fieldWhy)
	var err error
	done := ""
	switch sent.Get(buttonDo) {
	case doEdit:
		draft, err := e.drafts.CreateDraft(ctx, &editorialv1.CreateDraftRequest{Parent: v.Comune, Draft: &editorialv1.Draft{Record: record}})
		if err != nil {
			return nil, err
		}
		return v.Go(draftPath(draft.GetName()), ""), nil
	case doVerify:
		done = "verified"
		by := editorialv1.VerificationMeans(editorialv1.VerificationMeans_value[sent.Get(fieldMeans)])
		if by == 0 {
			v.Add(fieldMeans, v.Say("lavoro_schede.meansMissing"))
			return nil, nil
		}
		_, err = e.records.VerifyRecord(ctx, &editorialv1.VerifyRecordRequest{Parent: v.Comune, Record: record, Etag: etag, Means: by, Note: note})
	case doSuspend:
		done = "suspended"
		_, err = e.records.SuspendRecord(ctx, &editorialv1.SuspendRecordRequest{Parent: v.Comune, Record: record, Etag: etag, Note: note})
	case doResume:
		done = "resumed"
		_, err = e.records.ResumeRecord(ctx, &editorialv1.ResumeRecordRequest{Parent: v.Comune, Record: record, Etag: etag, Note: note})
	case doWithdraw:
		done = "withdrawn"
		err = e.invoke(ctx, name.Kind, catalog.Delete, record)
	case doUndelete:
		done = "undeleted"
		err = e.invoke(ctx, name.Kind, catalog.Undelete, record)
	default:
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return v.Go(recordPath(record), done), nil
}

// invoke calls a standard method that needs a name alone.
func (e *Editing) invoke(ctx context.Context, kind *catalog.Kind, verb catalog.Verb, name string) error {
	method, ok := kind.Method(verb)
	if !ok {
		return site.ErrNoPage
	}
	request := method.NewRequest()
	request.ProtoReflect().Set(request.ProtoReflect().Descriptor().Fields().ByName("name"), protoreflect.ValueOfString(name))
	return e.conn.Invoke(ctx, method.Full, request, method.NewResponse())
}

// A beginPage asks what a new record is called.
type beginPage struct {
	Kinds                 []*catalog.Kind
	Kind, Parent, Written string
}

// begin starts the draft of a new record.
func (e *Editing) begin(v *workbench.Visit) (*site.Page, error) {
	ctx, cancel := context.WithTimeout(v.Upstream(), callWithin)
	defer cancel()
	q := v.URL.Query()
	data := beginPage{Kind: q.Get("tipo"), Parent: q.Get("in")}
	for _, kind := range catalog.Kinds() {
		if !kind.Singleton && writes(v, kind) && (kind.Parent.Singleton || data.Parent != "" && kind.Collection == data.Kind) {
			data.Kinds = append(data.Kinds, kind)
		}
	}
	if sent := v.Sent(); sent != nil {
		data.Kind, data.Parent, data.Written = sent.Values.Get("tipo"), sent.Values.Get("in"), strings.TrimSpace(sent.Values.Get("titolo"))
		kind := catalog.ByCollection(data.Kind)
		switch {
		case kind == nil || kind.Singleton:
			v.Add("tipo", v.Say("lavoro_schede.kindMissing"))
		case data.Written == "":
			v.Add("titolo", v.Say("lavoro_schede.titleMissing"))
		default:
			m := kind.New()
			values := url.Values{"title.it": {data.Written}}
			fields.Read(values, m, e.now())
			asked := &editorialv1.Draft{Content: sealed(m)}
			if data.Parent != "" && !kind.Parent.Singleton {
				asked.Record = data.Parent + "/" + kind.Collection + "/" + kind.Singular + "-" + strconv.FormatInt(e.now().UnixMilli(), 36)
			}
			draft, err := e.drafts.CreateDraft(ctx, &editorialv1.CreateDraftRequest{Parent: v.Comune, Draft: asked})
			if err == nil {
				return v.Go(draftPath(draft.GetName()), ""), nil
			}
			v.Refused(err, nil)
		}
	}
	return &site.Page{Template: "begin", Title: v.Say("lavoro_schede.newTitle"), Data: data, Crumbs: []site.Link{crumb(v, recordsHome, "lavoro.nav.records")}}, nil
}

// A historyPage shows what happened to a record.
type historyPage struct {
	Name, Path string
	Changes    []*editorialv1.RecordChange
	Next       string
	// Version is the one that is looked at, Differences what it changed, SinceThen what is different now.
	Version                *editorialv1.RecordVersion
	Differences, SinceThen []fields.Difference
	Etag                   string
	Restores               bool
	Labels                 map[string]string
}

// history shows what happened to a record, and brings back what it was.
func (e *Editing) history(v *workbench.Visit) (*site.Page, error) {
	ctx, cancel := context.WithTimeout(v.Upstream(), callWithin)
	defer cancel()
	q := v.URL.Query()
	parsed, err := catalog.ParseName(q.Get("nome"))
	if err != nil || parsed.Comune() != v.Slug() {
		return nil, site.ErrNoPage
	}
	name := parsed.String()
	data := historyPage{Name: name, Path: recordsHome + "storia?" + url.Values{"nome": {name}}.Encode(), Restores: publishes(v, parsed.Kind), Labels: map[string]string{}}
	revision, _ := strconv.ParseInt(q.Get("revisione"), 10, 64)
	now, gone := e.reader.Get(ctx, name)
	if gone == nil {
		data.Etag = catalog.RecordOf(now).Etag()
	}
	if sent := v.Sent(); sent != nil && sent.Values.Get(buttonDo) == doRestore {
		_, err := e.records.RestoreRecord(ctx, &editorialv1.RestoreRecordRequest{
			Parent: v.Comune, Record: name, Revision: revision, Etag: sent.Values.Get(fieldEtag), Note: sent.Values.Get(fieldWhy),
		})
		if err == nil {
			return v.Go(recordPath(name), "restored"), nil
		}
		v.Refused(err, nil)
	}
	answer, err := e.records.ListRecordChanges(ctx, &editorialv1.ListRecordChangesRequest{Parent: v.Comune, Record: name, PageSize: 50, PageToken: q.Get("pagina")})
	if err != nil {
		return nil, err
	}
	data.Changes = answer.GetChanges()
	if next := answer.GetNextPageToken(); next != "" {
		data.Next = data.Path + "&" + url.Values{"pagina": {next}}.Encode()
	}
	for _, change := range data.Changes {
		for _, field := range change.GetFields() {
			top, _, _ := strings.Cut(field, ".")
			if fd := parsed.Kind.Descriptor().Fields().ByJSONName(top); fd != nil {
				data.Labels[field] = fields.Label(v, fd)
			}
		}
	}
	if revision > 0 {
		if data.Version, err = e.records.GetRecordVersion(ctx, &editorialv1.GetRecordVersionRequest{Parent: v.Comune, Record: name, Revision: revision}); err != nil {
			return nil, err
		}
		after, err := opened(data.Version.GetRecord())
		if err != nil {
			return nil, err
		}
		before, err := opened(data.Version.GetBefore())
		if err != nil {
			return nil, err
		}
		if before == nil {
			before = parsed.Kind.New()
		}
		if after != nil {
			data.Differences = e.differences(ctx, v, before, after)
			if gone == nil {
				data.SinceThen = e.differences(ctx, v, now, after)
			}
		}
	}
	return &site.Page{
		Template: "history", Title: v.Say("lavoro_schede.historyTitle"), Data: data,
		Crumbs: []site.Link{crumb(v, recordsHome, "lavoro.nav.records"), {Path: recordPath(name), Text: titleOf(now, name)}},
	}, nil
}

func titleOf(m proto.Message, name string) string {
	if m != nil {
		return catalog.RecordOf(m).Title()
	}
	return name
}
