package verifying

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"cidsistem.example/gateway/internal/correctable"
	"cidsistem.example/gateway/internal/record"
	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/gateway/internal/wording"
	"cidsistem.example/gateway/internal/workbench"
	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/editorialv1"
)

// Fields of the pages of corrections.
const (
	fieldState, stateAll     = "stato", "tutte"
	fieldTake, fieldAnswer   = "prendi", "risposta"
	actTake, actReject       = "applica", "rifiuta"
	maxAnswer, mostChanges   = 2000, 50
	correctionsPath, changes = "/corrections/", "correction.changes"
)

// states of corrections, in the order of the filter.
var states = []editorialv1.Correction_State{editorialv1.Correction_OPEN, editorialv1.Correction_ACCEPTED, editorialv1.Correction_REJECTED}

// A listedCorrection is a correction in the list.
type listedCorrection struct {
	*editorialv1.Correction
	Path, Kind string
	// Labels of what it would change.
	Labels []string
}

type listPage struct {
	Corrections []listedCorrection
	State       string
	States      []editorialv1.Correction_State
	Next        string
	Later       bool
}

// list shows the corrections that wait, or those of another state.
func (c *Verifying) list(v *workbench.Visit) (*site.Page, error) {
	q := v.URL.Query()
	data := listPage{State: q.Get(fieldState), States: states, Later: q.Get(fieldPage) != ""}
	state := editorialv1.Correction_OPEN
	if data.State == stateAll {
		state = editorialv1.Correction_STATE_UNSPECIFIED
	} else if data.State != "" {
		if state = editorialv1.Correction_State(editorialv1.Correction_State_value[strings.ToUpper(data.State)]); state == 0 {
			return nil, site.ErrNoPage
		}
	}
	answer, err := c.corrections.ListCorrections(v.Upstream(), &editorialv1.ListCorrectionsRequest{
		Parent: v.Comune, State: state, PageSize: listed, PageToken: q.Get(fieldPage),
	})
	if err != nil {
		return nil, err
	}
	for _, one := range answer.GetCorrections() {
		l := listedCorrection{Correction: one, Path: correctionsRoot + one.GetName()[strings.LastIndexByte(one.GetName(), '/')+1:], Kind: collectionOf(one.GetRecord())}
		for _, change := range one.GetChanges() {
			if label := labelOf(v, change); !slices.Contains(l.Labels, label) {
				l.Labels = append(l.Labels, label)
			}
		}
		data.Corrections = append(data.Corrections, l)
	}
	if next := answer.GetNextPageToken(); next != "" {
		query := url.Values{fieldPage: {next}}
		if data.State != "" {
			query.Set(fieldState, data.State)
		}
		data.Next = correctionsRoot + "?" + query.Encode()
	}
	return &site.Page{Template: "corrections", Title: v.Say("verifying.corrections.title"), Data: data}, nil
}

func labelOf(v *workbench.Visit, change *editorialv1.Correction_Change) string {
	if change.GetField() == "" {
		return v.Say("verifying.corrections.words")
	}
	return correctable.Label(v, wording.Italian, change.GetField())
}

// A proposal is one change of a correction, beside what the card says now.
type proposal struct {
	*editorialv1.Correction_Change
	Place int
	Label string
	// Now is what the card says.
	Now string
	// Moved: the card says something else than the proposer saw. Done: it says already what is proposed. Words: it fits no field.
	Moved, Done, Words bool
	// Chosen to be taken over.
	Chosen bool
}

// ID of the element that chooses it.
func (p proposal) ID() string { return fieldTake + "-" + strconv.Itoa(p.Place) }

type correctionPage struct {
	*editorialv1.Correction
	Kind, Path, Edit string
	Proposals        []proposal
	// Etag of the card, Gone when there is none, Unread when it cannot be read now.
	Etag         string
	Gone, Unread bool
	Answered     string
	Open         bool
}

// correction shows a correction beside its card, and decides on it.
func (c *Verifying) correction(v *workbench.Visit) (*site.Page, error) {
	ctx, cancel := context.WithTimeout(v.Upstream(), callWithin)
	defer cancel()
	name := v.Comune + correctionsPath + v.PathValue("id")
	var chosen []int32
	answer, sent := "", v.Sent()
	if sent != nil {
		chosen, answer = placesOf(sent.Values[fieldTake]), correctable.Clean(sent.Values.Get(fieldAnswer))
		if page := c.decide(ctx, v, name, sent.Values, chosen, answer); page != nil {
			return page, nil
		}
	}
	one, err := c.corrections.GetCorrection(ctx, &editorialv1.GetCorrectionRequest{Name: name})
	if err != nil {
		return nil, err
	}
	if sent != nil && one.GetState() != editorialv1.Correction_OPEN {
		v.Found, v.Alert = nil, &site.Alert{Title: v.Say("verifying.corrections.decided"), Text: v.Say("verifying.corrections.decidedText")}
	}
	card, err := c.records.Get(ctx, one.GetRecord())
	data := correctionPage{
		Correction: one, Kind: collectionOf(one.GetRecord()), Path: record.Path(one.GetRecord()), Edit: editPath(one.GetRecord()), Answered: answer,
		Open: one.GetState() == editorialv1.Correction_OPEN, Gone: status.Code(err) == codes.NotFound,
	}
	data.Unread = err != nil && !data.Gone
	if err == nil {
		data.Etag = catalog.RecordOf(card).Etag()
		data.Gone = catalog.RecordOf(card).Deleted()
	}
	for i, change := range one.GetChanges() {
		p := proposed(v, i, change, card)
		p.Chosen = slices.Contains(chosen, int32(i)) || sent == nil && !p.Moved && !p.Done
		data.Proposals = append(data.Proposals, p)
	}
	return &site.Page{
		Template: "correction", Title: v.Say("verifying.corrections.single", "Title", one.GetTitle()), Data: data,
		Crumbs: crumbs(v, correctionsRoot, "verifying.corrections.title"),
	}, nil
}

// proposed is a change beside what a card says now; nil: it cannot be read.
func proposed(v *workbench.Visit, place int, change *editorialv1.Correction_Change, card proto.Message) proposal {
	p := proposal{Correction_Change: change, Place: place, Label: labelOf(v, change), Words: change.GetField() == ""}
	if card == nil || p.Words {
		return p
	}
	p.Label = correctable.LabelOf(v, wording.Italian, card, change.GetField())
	p.Now, _ = correctable.Value(card, change.GetField())
	same := func(a, b string) bool {
		return strings.Join(strings.Fields(a), " ") == strings.Join(strings.Fields(b), " ")
	}
	p.Done = same(p.Now, change.GetProposed())
	p.Moved = !p.Done && !same(correctable.Shortened(p.Now), change.GetCurrent())
	return p
}

// placesOf are the numbers of the changes that a form chooses.
func placesOf(values []string) []int32 {
	var places []int32
	for _, value := range values {
		if n, err := strconv.ParseInt(value, 10, 32); err == nil && n >= 0 && n < mostChanges && !slices.Contains(places, int32(n)) {
			places = append(places, int32(n))
		}
	}
	return places
}

// decide takes over what was chosen, or nothing; nil when the node did not take it, and the page says why.
func (c *Verifying) decide(ctx context.Context, v *workbench.Visit, name string, sent url.Values, chosen []int32, answer string) *site.Page {
	done := "correzione_presa"
	switch sent.Get(buttonAct) {
	case actReject:
		chosen, done = nil, "correzione_rifiutata"
	case actTake:
		if len(chosen) == 0 {
			v.Add(fieldTake+"-0", v.Say("verifying.problem.nothing"))
		}
	default:
		v.Add(fieldTake+"-0", v.Say("verifying.problem.nothing"))
	}
	if utf8.RuneCountInString(answer) > maxAnswer {
		v.Add(fieldAnswer, v.Say("verifying.problem.long", "Most", maxAnswer))
	}
	if len(v.Found) > 0 {
		return nil
	}
	_, err := c.corrections.DecideCorrection(ctx, &editorialv1.DecideCorrectionRequest{
		Name: name, Accepted: chosen, Answer: answer, RecordEtag: line(sent.Get(fieldEtag)),
	})
	if err != nil {
		fields := map[string]string{"answer": fieldAnswer}
		for i := range mostChanges {
			fields[fmt.Sprintf("%s[%d]", changes, i)] = fmt.Sprintf("%s-%d", fieldTake, i)
		}
		v.Refused(err, fields)
		return nil
	}
	return v.Go(correctionsRoot, done)
}
