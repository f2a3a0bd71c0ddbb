package correcting

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"unicode/utf8"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/gateway/internal/correctable"
	"cidsistem.example/gateway/internal/edge"
	"cidsistem.example/gateway/internal/record"
	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/editorialv1"
	"cidsistem.example/proto/gen/registryv1"
)

// Fields of the form of a body's link.
const (
	fieldCode    = "c"
	hiddenName   = "scheda"
	fieldVerdict = "esito"
	right, wrong = "giusto", "correggi"
	// goAll says that all cards are right.
	goAll = "tutte"
	// mostCards is how many cards a link has.
	mostCards = 50
	maxCode   = 100
)

// A confirmCard is one of the body's cards, and what it says of it.
type confirmCard struct {
	// Prefix of the names of its fields, "0.".
	Prefix     string
	Name, Kind string
	Title      *registryv1.LocalizedText
	// Path of its page.
	Path string
	// Verdict is right, wrong, or empty until somebody says.
	Verdict string
	Fields  []correctable.Field
	Other   string
}

// Said are the fields in which the card says something; Unsaid the others.
func (c confirmCard) Said() []correctable.Field   { return pick(c.Fields, true) }
func (c confirmCard) Unsaid() []correctable.Field { return pick(c.Fields, false) }

// More tells whether something was typed about what the card does not say, or is wrong with it.
func (c confirmCard) More(problems []site.Problem) bool {
	return c.Other != "" || slices.ContainsFunc(c.Unsaid(), correctable.Field.Changed) || slices.ContainsFunc(problems, func(p site.Problem) bool {
		return p.Field == c.Prefix+fieldOther || slices.ContainsFunc(c.Unsaid(), func(f correctable.Field) bool { return f.ID(c.Prefix) == p.Field })
	})
}

// confirmPage is all the cards of a body.
type confirmPage struct {
	Comune   site.Comune
	Code     string
	Title    string
	Expires  *timestamppb.Timestamp
	Cards    []confirmCard
	Note     string
	Problems []site.Problem
	Alert    *alert
}

// confirmed says what came of an answer.
type confirmed struct {
	Comune              site.Comune
	Verified, Corrected int32
}

// confirm shows a body its cards, by the code of its link, and takes its answer once.
func (c *Correcting) confirm(r *site.Request) (*site.Page, error) {
	comune, known := r.Comuni().Of(r.PathValue("comune"))
	if !known {
		return nil, site.ErrNoPage
	}
	v := &visit{Request: r, comune: comune}
	code, sent := line(r.URL.Query().Get(fieldCode)), edge.SentBy(r.Context())
	if sent != nil {
		code = line(sent.Values.Get(fieldCode))
	}
	if code == "" || utf8.RuneCountInString(code) > maxCode {
		return v.over(), nil
	}
	ctx, cancel := context.WithTimeout(r.Upstream(), sendWithin)
	defer cancel()
	link, err := c.corrections.LookUpConfirmation(ctx, &editorialv1.LookUpConfirmationRequest{Parent: "comuni/" + comune.Slug, Code: code})
	switch code := status.Code(err); {
	case code == codes.NotFound || code == codes.InvalidArgument:
		return v.over(), nil
	case err != nil && sent == nil:
		return nil, err
	}
	page := confirmPage{Comune: comune, Code: code, Title: link.GetTitle(), Expires: link.GetExpireTime()}
	if sent == nil {
		for i, one := range opened(link) {
			page.Cards = append(page.Cards, v.confirmCard(i, one, nil))
		}
		return v.confirmForm(page), nil
	}
	page.Note = correctable.Clean(sent.Values.Get(fieldNote))
	if err != nil { // away: the form has all that it needs
		page.Title = line(sent.Values.Get(hiddenTitle))
		page.Cards = v.cardsOf(sent.Values)
		if err := v.failed(err); err != nil {
			return nil, err
		}
		return v.confirmForm(page), nil
	}
	for i, one := range opened(link) {
		page.Cards = append(page.Cards, v.confirmCard(i, one, sent.Values))
	}
	return c.answer(ctx, v, page, sent.Values.Get(buttonGo) == goAll)
}

// answer hands the body's answer to the comune.
func (c *Correcting) answer(ctx context.Context, v *visit, page confirmPage, all bool) (*site.Page, error) {
	request := &editorialv1.AnswerConfirmationRequest{Parent: "comuni/" + v.comune.Slug, Code: page.Code}
	var places [][]int
	var of []int
	v.tooLong(fieldNote, utf8.RuneCountInString(page.Note)-maxNote, maxNote)
	for i := range page.Cards {
		card := &page.Cards[i]
		changes, at := correctable.Changes(v, card.Fields, card.Other)
		if all && len(changes) == 0 {
			card.Verdict = right
		}
		if len(changes) > 0 && card.Verdict == "" {
			card.Verdict = wrong // what was typed counts
		}
		v.checkFields(card.Fields, card.Prefix)
		v.tooLong(card.Prefix+fieldOther, utf8.RuneCountInString(card.Other)-correctable.Most, correctable.Most)
		switch {
		case card.Verdict == right && len(changes) > 0:
			v.add(card.Prefix+fieldVerdict, "both")
		case card.Verdict == right:
			request.Confirmed = append(request.Confirmed, card.Name)
		case card.Verdict == wrong && len(changes) == 0:
			v.add(card.Prefix+fieldOther, "nothing")
		case card.Verdict == wrong:
			request.Corrections = append(request.Corrections, &editorialv1.Correction{Record: card.Name, Changes: changes, Note: page.Note})
			places, of = append(places, at), append(of, i)
		}
	}
	if len(v.found) == 0 && len(request.GetConfirmed())+len(request.GetCorrections()) == 0 && len(page.Cards) > 0 {
		v.add(page.Cards[0].Prefix+fieldVerdict, "verdict")
	}
	if len(v.found) > 0 {
		return v.confirmForm(page), nil
	}
	made, err := c.corrections.AnswerConfirmation(ctx, request)
	switch {
	case status.Code(err) == codes.NotFound:
		return v.over(), nil
	case err != nil:
		for i, at := range places {
			card := page.Cards[of[i]]
			v.refusedFields("corrections["+strconv.Itoa(i)+"].", err, card.Fields, at, card.Prefix)
		}
		if len(v.found) == 0 {
			if err := v.failed(err); err != nil {
				return nil, err
			}
		}
		return v.confirmForm(page), nil
	}
	return &site.Page{
		Template: "confirmed", Title: v.Say("confirm.thanks.title"), Hidden: true,
		Data: confirmed{v.comune, made.GetVerifiedCount(), made.GetCorrectionCount()},
	}, nil
}

// opened are the records of a link, those of kinds that can be put right.
func opened(link *editorialv1.LookUpConfirmationResponse) []proto.Message {
	var records []proto.Message
	for _, packed := range link.GetRecords() {
		if one, err := packed.UnmarshalNew(); err == nil && catalog.Of(one) != nil && len(records) < mostCards {
			records = append(records, one)
		}
	}
	return records
}

// confirmCard is a card with what a form says of it. The form may have been made of another list of cards: it says which one it means.
func (v *visit) confirmCard(i int, one proto.Message, values url.Values) confirmCard {
	name := catalog.RecordOf(one).Name()
	card := confirmCard{
		Prefix: strconv.Itoa(i) + ".", Name: name, Kind: catalog.Of(one).Collection, Title: record.Text(one, "title"), Path: record.Path(name),
	}
	for j := range mostCards {
		if prefix := strconv.Itoa(j) + "."; values.Get(prefix+hiddenName) == name {
			v.typed(&card, one, values, prefix)
			return card
		}
	}
	card.Fields = correctable.Of(v, v.Language, one)
	return card
}

// cardsOf are the cards of a form, for the page that has nothing else.
func (v *visit) cardsOf(values url.Values) []confirmCard {
	var cards []confirmCard
	for i := range mostCards {
		prefix := strconv.Itoa(i) + "."
		name, err := catalog.ParseName(values.Get(prefix + hiddenName))
		if err != nil {
			continue
		}
		card := confirmCard{
			Prefix: prefix, Name: name.String(), Kind: name.Kind.Collection, Path: record.Path(name.String()),
			Title: &registryv1.LocalizedText{It: line(values.Get(prefix + hiddenTitle))},
		}
		v.typed(&card, nil, values, prefix)
		cards = append(cards, card)
	}
	return cards
}

func (v *visit) typed(card *confirmCard, one proto.Message, values url.Values, prefix string) {
	card.Fields = correctable.Read(v, v.Language, one, values, prefix)
	card.Other = correctable.Clean(values.Get(prefix + fieldOther))
	if verdict := values.Get(prefix + fieldVerdict); slices.Contains([]string{right, wrong}, verdict) {
		card.Verdict = verdict
	}
}

func (v *visit) confirmForm(page confirmPage) *site.Page {
	page.Problems, page.Alert = v.found, v.alert
	return v.shown(&site.Page{
		Template: "confirm", Title: v.Say("confirm.title"), Hidden: true, Data: page, Query: url.Values{fieldCode: {page.Code}}.Encode(),
	})
}

// over tells that a link does not work, or no longer.
func (v *visit) over() *site.Page {
	return &site.Page{Template: "over", Title: v.Say("confirm.over.title"), Hidden: true, Status: http.StatusNotFound, Data: v.comune}
}
