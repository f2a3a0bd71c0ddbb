package verifying

import (
	"context"
	"net/url"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	"cidsistem.example/gateway/internal/correctable"
	"cidsistem.example/gateway/internal/record"
	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/gateway/internal/workbench"
	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/editorialv1"
)

// Fields of the list of what is due.
const (
	fieldRecord, fieldEtag, fieldTitle = "scheda", "versione", "titolo"
	fieldMeans, fieldNote, fieldNext   = "mezzo", "nota", "seguente"
	fieldView, viewBodies              = "vista", "enti"

	maxNote = 500
)

// means are how somebody finds out that a card is true.
var means = []editorialv1.VerificationMeans{
	editorialv1.VerificationMeans_BY_PHONE, editorialv1.VerificationMeans_BY_VISIT, editorialv1.VerificationMeans_BY_WEB_SITE,
	editorialv1.VerificationMeans_BY_ACT, editorialv1.VerificationMeans_BY_PROVIDER, editorialv1.VerificationMeans_OWN_KNOWLEDGE,
}

// An item is a card that must be checked again.
type item struct {
	*editorialv1.ListDueRecordsResponse_DueRecord
	// ID of its element, Next that of the one after it.
	ID, Next         string
	Kind, Path, Edit string
	// Keeper is the body whose card it is; nil: the comune's.
	Keeper *record.Link
	// Note that was typed.
	Note string
}

// A group is the cards of a body.
type group struct {
	Keeper *record.Link
	Items  []item
}

type duePage struct {
	// Groups by body; a single one when they are not asked for.
	Groups []group
	Bodies bool
	Total  int32
	// Means that were chosen last, for the next card too.
	Means   string
	All     []editorialv1.VerificationMeans
	Writes  bool
	Token   string
	Next    string
	Other   string
	Refresh string
}

// due lists the cards that must be checked again, and takes the word of who checked one.
func (c *Verifying) due(v *workbench.Visit) (*site.Page, error) {
	ctx, cancel := context.WithTimeout(v.Upstream(), callWithin)
	defer cancel()
	asked := v.URL.Query()
	var typed *item
	if sent := v.Sent(); sent != nil {
		asked = sent.Values
		one := itemOf(&editorialv1.ListDueRecordsResponse_DueRecord{
			Record: line(asked.Get(fieldRecord)), Title: line(asked.Get(fieldTitle)), Etag: line(asked.Get(fieldEtag)),
		})
		one.Note = correctable.Clean(asked.Get(fieldNote))
		if page := c.verify(ctx, v, one, asked); page != nil {
			return page, nil
		}
		typed = &one
	}
	list, err := c.kept.ListDueRecords(ctx, &editorialv1.ListDueRecordsRequest{Parent: v.Comune, PageSize: listed, PageToken: asked.Get(fieldPage)})
	if err != nil && typed == nil {
		return nil, err
	}
	data := duePage{
		Bodies: asked.Get(fieldView) == viewBodies, Total: list.GetTotalSize(), Means: strings.ToLower(chosenMeans(asked.Get(fieldMeans)).String()),
		All: means, Token: asked.Get(fieldPage),
	}
	data.Groups = c.grouped(v, list.GetRecords(), typed, data.Bodies)
	if next := list.GetNextPageToken(); next != "" {
		data.Next = dueAddress(data.Bodies, next, data.Means)
	}
	data.Other = dueAddress(!data.Bodies, data.Token, data.Means)
	data.Refresh = dueAddress(data.Bodies, "", data.Means)
	return &site.Page{Template: "due", Title: v.Say("verifying.title"), Data: data}, nil
}

// dueAddress is where a page of the list is.
func dueAddress(bodies bool, token, means string) string {
	q := url.Values{}
	if bodies {
		q.Set(fieldView, viewBodies)
	}
	if token != "" {
		q.Set(fieldPage, token)
	}
	if chosenMeans(means) != 0 {
		q.Set(fieldMeans, means)
	}
	if len(q) == 0 {
		return dueRoot
	}
	return dueRoot + "?" + q.Encode()
}

// chosenMeans is that of a form, 0 for none.
func chosenMeans(text string) editorialv1.VerificationMeans {
	return editorialv1.VerificationMeans(editorialv1.VerificationMeans_value[strings.ToUpper(text)])
}

// verify says that a card is true; nil when it was not taken, and the list says why.
func (c *Verifying) verify(ctx context.Context, v *workbench.Visit, one item, sent url.Values) *site.Page {
	if chosenMeans(sent.Get(fieldMeans)) == 0 {
		v.Add(one.ID+"-"+fieldMeans, v.Say("verifying.problem.means"))
	}
	if over := utf8.RuneCountInString(one.Note) - maxNote; over > 0 {
		v.Add(one.ID+"-"+fieldNote, v.Say("verifying.problem.long", "Most", maxNote))
	}
	if len(v.Found) > 0 {
		return nil
	}
	_, err := c.kept.VerifyRecord(ctx, &editorialv1.VerifyRecordRequest{
		Parent: v.Comune, Record: one.GetRecord(), Etag: one.GetEtag(), Means: chosenMeans(sent.Get(fieldMeans)), Note: one.Note,
	})
	if err != nil {
		v.Refused(err, map[string]string{"note": one.ID + "-" + fieldNote, "means": one.ID + "-" + fieldMeans})
		return nil
	}
	path := dueAddress(sent.Get(fieldView) == viewBodies, sent.Get(fieldPage), sent.Get(fieldMeans))
	if next := line(sent.Get(fieldNext)); strings.HasPrefix(next, "scheda-") {
		path += "#" + url.PathEscape(next)
	}
	return v.Go(path, "verifica")
}

func itemOf(due *editorialv1.ListDueRecordsResponse_DueRecord) item {
	return item{
		ListDueRecordsResponse_DueRecord: due, ID: elementID(due.GetRecord()), Kind: collectionOf(due.GetRecord()), Path: record.Path(due.GetRecord()),
		Edit: editPath(due.GetRecord()),
	}
}

// grouped puts cards together by body, in the order of the first of each, or leaves all in one group. What was typed stays with its card.
func (c *Verifying) grouped(v *workbench.Visit, due []*editorialv1.ListDueRecordsResponse_DueRecord, typed *item, bodies bool) []group {
	var names []string
	for _, one := range due {
		names = append(names, one.GetKeeper())
	}
	keepers := c.records.All(v.Upstream(), names...)
	var groups []group
	at := map[string]int{}
	kept := typed == nil
	for _, one := range due {
		i := itemOf(one)
		if one.GetKeeper() != "" {
			i.Keeper = keeperOf(one.GetKeeper(), keepers)
		}
		if typed != nil && typed.GetRecord() == one.GetRecord() {
			i.Note, kept = typed.Note, true
		}
		key := ""
		if bodies {
			key = one.GetKeeper()
		}
		place, known := at[key]
		if !known {
			place, at[key] = len(groups), len(groups)
			groups = append(groups, group{})
			if bodies {
				groups[place].Keeper = i.Keeper
			}
		}
		groups[place].Items = append(groups[place].Items, i)
	}
	if !kept { // somebody else was quicker, or the node does not answer
		groups = append([]group{{Items: []item{*typed}}}, groups...)
	}
	link(groups)
	return groups
}

// keeperOf is a body by its name, also when its card cannot be read.
func keeperOf(name string, read map[string]proto.Message) *record.Link {
	keeper := &record.Link{Name: name, Path: record.Path(name)}
	if one := read[name]; one != nil {
		keeper.Title = record.Text(one, "title")
	}
	if keeper.Title.GetIt() == "" {
		parsed, _ := catalog.ParseName(name)
		keeper.Title = plainText(parsed.ID())
	}
	return keeper
}

// link tells each card which one comes after it.
func link(groups []group) {
	var before *item
	for g := range groups {
		for i := range groups[g].Items {
			one := &groups[g].Items[i]
			if before != nil {
				before.Next = one.ID
			}
			before = one
		}
	}
}
