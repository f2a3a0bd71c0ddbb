package correcting

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"cidsistem.example/gateway/internal/correctable"
	"cidsistem.example/gateway/internal/edge"
	"cidsistem.example/gateway/internal/record"
	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/contact"
	"cidsistem.example/proto/gen/editorialv1"
	"cidsistem.example/proto/gen/registryv1"
)

// Fields of the forms, besides those of the card.
const (
	fieldOther, fieldNote, fieldContact = "altro", "come", "contatto"
	// hiddenRequest is the id of the correction: sent twice, it is one. hiddenShown says when the form was first shown, hiddenTitle
	// what the card is called.
	hiddenRequest, hiddenShown, hiddenTitle = "richiesta", "mostrato", "titolo"
	// fieldTrap is seen by programs alone.
	fieldTrap = "sito"
	buttonGo  = "vai"
	goAnew    = "nuova"

	maxNote, maxContact = 2000, 254
)

// cardPage is a card with what somebody thinks is wrong on it.
type cardPage struct {
	Comune         site.Comune
	Path, Kind     string
	Title          *registryv1.LocalizedText
	Fields         []correctable.Field
	Other, Note    string
	Contact        string
	Problems       []site.Problem
	Alert          *alert
	Trap           string
	Request, Shown string
}

// Said are the fields in which the card says something; Unsaid the others.
func (p cardPage) Said() []correctable.Field   { return pick(p.Fields, true) }
func (p cardPage) Unsaid() []correctable.Field { return pick(p.Fields, false) }

func pick(fields []correctable.Field, said bool) []correctable.Field {
	var picked []correctable.Field
	for _, f := range fields {
		if (f.Value != "") == said {
			picked = append(picked, f)
		}
	}
	return picked
}

// thanks says what happens next.
type thanks struct {
	Comune     site.Comune
	Path       string
	Contact    bool
	Correction *editorialv1.Correction
}

// card shows what a card says with room for what it should say, and hands that to the comune.
func (c *Correcting) card(r *site.Request) (*site.Page, error) {
	slug, collection, id := r.PathValue("comune"), r.PathValue("collection"), r.PathValue("id")
	name := "comuni/" + slug + "/" + collection + "/" + id
	if _, err := catalog.ParseName(name); err != nil || !isSlug(slug) || !isSlug(id) || !correctable.Has(collection) {
		return nil, site.ErrNoPage
	}
	comune, known := r.Comuni().Of(slug)
	if !known {
		return nil, site.ErrNoPage
	}
	v := &visit{Request: r, comune: comune}
	one, err := c.records.Get(r.Upstream(), name)
	sent := edge.SentBy(r.Context())
	if sent == nil {
		if err != nil {
			return nil, err
		}
		page := cardPage{Fields: correctable.Of(r, r.Language, one), Request: uuid.NewString()}
		page.Shown = c.clock.Mark(page.Request, time.Now())
		return v.cardForm(name, one, page), nil
	}
	values := sent.Values
	page := cardPage{
		Fields: correctable.Read(r, r.Language, one, values, ""), Other: correctable.Clean(values.Get(fieldOther)),
		Note: correctable.Clean(values.Get(fieldNote)), Contact: line(values.Get(fieldContact)),
		Title:   &registryv1.LocalizedText{It: line(values.Get(hiddenTitle))},
		Request: values.Get(hiddenRequest), Shown: values.Get(hiddenShown),
	}
	if id, err := uuid.Parse(page.Request); err != nil || id.Version() != 4 {
		page.Request, page.Shown = uuid.NewString(), ""
	}
	if status.Code(err) == codes.NotFound {
		_ = v.failed(err) // says it
		return v.cardForm(name, nil, page), nil
	}
	human := c.clock.Human(page.Shown, page.Request, time.Now(), shortest)
	if !c.clock.Ours(page.Shown, page.Request) { // of a process that has ended
		page.Shown = c.clock.Mark(page.Request, time.Now())
	}
	if human && values.Get(buttonGo) == goAnew {
		page.Request = uuid.NewString()
		page.Shown = c.clock.Mark(page.Request, time.Now().Add(-shortest))
	}
	changes, places := correctable.Changes(r, page.Fields, page.Other)
	v.check(page, len(changes))
	if len(v.found) == 0 && values.Get(fieldTrap) != "" {
		v.refuse(http.StatusBadRequest, "trapped")
	} else if len(v.found) == 0 && !human {
		v.refuse(http.StatusBadRequest, "tooFast")
	}
	if len(v.found) > 0 || v.alert != nil {
		return v.cardForm(name, one, page), nil
	}
	ctx, cancel := context.WithTimeout(r.Upstream(), sendWithin)
	defer cancel()
	made, err := c.corrections.CreateCorrection(ctx, &editorialv1.CreateCorrectionRequest{
		Parent: "comuni/" + slug, RequestId: page.Request,
		Correction: &editorialv1.Correction{Record: name, Changes: changes, Note: page.Note, Contact: page.Contact},
	})
	if err != nil {
		if v.refusedFields("correction.", err, page.Fields, places, ""); len(v.found) == 0 {
			if err := v.failed(err); err != nil {
				return nil, err
			}
		}
		return v.cardForm(name, one, page), nil
	}
	return &site.Page{
		Template: "thanks", Title: r.Say("correct.thanks.title"), Hidden: true,
		Data: thanks{Comune: comune, Path: record.Path(name), Contact: page.Contact != "", Correction: made},
	}, nil
}

// check tells what is wrong with what was typed.
func (v *visit) check(page cardPage, changes int) {
	v.checkFields(page.Fields, "")
	v.tooLong(fieldOther, utf8.RuneCountInString(page.Other)-correctable.Most, correctable.Most)
	v.tooLong(fieldNote, utf8.RuneCountInString(page.Note)-maxNote, maxNote)
	if changes == 0 {
		v.add(fieldOther, "nothing")
	}
	if page.Contact != "" && (utf8.RuneCountInString(page.Contact) > maxContact || !contact.IsEmail(page.Contact) && !contact.IsTelephone(page.Contact)) {
		v.add(fieldContact, "contact")
	}
}

func (v *visit) checkFields(fields []correctable.Field, prefix string) {
	for _, f := range fields {
		v.tooLong(f.ID(prefix), f.TooLong(), correctable.Most)
	}
}

// refusedFields takes over what a server says of the fields of a correction, whose paths in the call begin with at.
func (v *visit) refusedFields(at string, err error, fields []correctable.Field, places []int, prefix string) {
	for _, violation := range apierror.Fields(err) {
		path, ok := strings.CutPrefix(violation.GetField(), at)
		if !ok {
			continue
		}
		if field, ok := map[string]string{"note": fieldNote, "contact": fieldContact}[path]; ok {
			v.add(prefix+field, "refused")
			continue
		}
		i := -1
		if _, err := fmt.Sscanf(path, "changes[%d]", &i); err != nil || i < 0 || i >= len(places) {
			continue
		}
		if places[i] < 0 {
			v.add(prefix+fieldOther, "refused")
		} else {
			v.add(fields[places[i]].ID(prefix), "refused")
		}
	}
}

// cardForm makes the page of a card; without its record, from what the form brought along.
func (v *visit) cardForm(name string, one proto.Message, page cardPage) *site.Page {
	page.Comune, page.Path, page.Trap, page.Problems, page.Alert = v.comune, record.Path(name), fieldTrap, v.found, v.alert
	page.Kind = strings.Split(name, "/")[2]
	if one != nil {
		page.Title = record.Text(one, "title")
	}
	return v.shown(&site.Page{
		Template: "card", Title: v.Say("correct.title"), Hidden: true, Data: page,
		Crumbs: []site.Link{{Path: page.Path, Text: site.In(v.Language, page.Title).Text}},
	})
}

// line is a text without breaks.
func line(text string) string { return strings.Join(strings.Fields(correctable.Clean(text)), " ") }
