package deskwork

import (
	"context"
	"crypto/rand"
	"strings"

	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/gateway/internal/workbench"
	"cidsistem.example/proto/gen/deskv1"
)

// fieldTitle is what an answer that is kept ready is called at the desk.
const fieldTitle = "titolo"

type cannedPage struct {
	Answers []*deskv1.CannedAnswer
	// Next is the token of the next page.
	Next string
	// ID is that of the answer that is being changed, empty for a new one.
	ID, Title, Text, Outcome string
	Outcomes                 []deskv1.Request_Outcome
	// Fields are what is filled in when an answer is used.
	Fields string
}

// filledIn are the fields of an answer that is kept ready; see [Desk.filled].
const filledIn = "{{service}}, {{telephone}}, {{due_date}}, {{comune}}, {{name}}, {{protocol}}"

// canned shows the answers that the desk keeps ready, and changes them.
func (d *Desk) canned(v *workbench.Visit) (*site.Page, error) {
	ctx, cancel := context.WithTimeout(v.Upstream(), callWithin)
	defer cancel()
	data := cannedPage{ID: v.URL.Query().Get("risposta"), Outcomes: outcomes(), Fields: filledIn}
	sent := v.Sent()
	if sent != nil {
		line := func(name string) string { return strings.Join(strings.Fields(sent.Values.Get(name)), " ") }
		data.ID, data.Title, data.Outcome = line("risposta"), line(fieldTitle), line(fieldOutcome)
		data.Text = strings.TrimSpace(strings.ReplaceAll(sent.Values.Get(fieldText), "\r\n", "\n"))
		act := line(buttonAct)
		err := d.keep(ctx, v, act, data)
		if err == nil && len(v.Found) == 0 {
			return v.Go(root+"risposte", "desk_"+act), nil
		}
		if err != nil {
			v.Refused(err, map[string]string{"canned_answer.title": fieldTitle, "canned_answer.text": fieldText, "canned_answer.outcome": fieldOutcome})
		}
	}
	answer, err := d.requests.ListCannedAnswers(ctx, &deskv1.ListCannedAnswersRequest{
		Parent: v.Comune, PageSize: listed, PageToken: v.URL.Query().Get(fieldPage),
	})
	if err != nil && sent == nil {
		return nil, err
	}
	data.Answers, data.Next = answer.GetCannedAnswers(), answer.GetNextPageToken()
	if sent == nil && data.ID != "" {
		for _, one := range data.Answers {
			if strings.HasSuffix(one.GetName(), "/"+data.ID) {
				data.Title, data.Text, data.Outcome = one.GetTitle(), one.GetText(), strings.ToLower(one.GetOutcome().String())
			}
		}
	}
	return show(v, "canned", v.Say("deskwork.canned.title"), data), nil
}

func (d *Desk) keep(ctx context.Context, v *workbench.Visit, act string, data cannedPage) error {
	id := data.ID
	if id == "" {
		id = "r" + strings.ToLower(rand.Text())
	}
	name := v.Comune + "/templates/" + id
	if act == "togli" {
		_, err := d.requests.DeleteCannedAnswer(ctx, &deskv1.DeleteCannedAnswerRequest{Name: name})
		return err
	}
	needed(v, fieldTitle, data.Title, 200)
	needed(v, fieldText, data.Text, maxAnswer)
	if len(v.Found) > 0 {
		return nil
	}
	_, err := d.requests.UpdateCannedAnswer(ctx, &deskv1.UpdateCannedAnswerRequest{CannedAnswer: &deskv1.CannedAnswer{
		Name: name, Title: data.Title, Text: data.Text, Outcome: deskv1.Request_Outcome(deskv1.Request_Outcome_value[strings.ToUpper(data.Outcome)]),
	}})
	return err
}
