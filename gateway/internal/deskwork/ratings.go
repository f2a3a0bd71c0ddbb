package deskwork

import (
	"cmp"
	"fmt"
	"slices"

	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/gateway/internal/workbench"
	"cidsistem.example/proto/gen/annotationsv1"
	"cidsistem.example/proto/gen/deskv1"
)

// rated is how many requests with an answer are looked at for their ratings.
const rated = 1000

// A page and what the public thinks of it.
type page struct {
	*deskv1.SummarizeFeedbackResponse_Page
	// Mean is that of the ratings, as "4,25".
	Mean string
}

type ratingsPage struct {
	// Total is how many ratings of pages there are; Pages has those with most low ones first.
	Total int32
	Pages []page
	// Words are ratings with a text, the newest first.
	Words []*deskv1.Feedback
	// Answers counts the ratings of answers by their score, from 1 to 5; Answered has those with a text.
	Answers  [5]int
	Given    int
	Mean     string
	Answered []item
}

// ratings shows what the public thinks of the pages, and of the answers.
func (d *Desk) ratings(v *workbench.Visit) (*site.Page, error) {
	var data ratingsPage
	summary, err := d.feedback.SummarizeFeedback(v.Upstream(), &deskv1.SummarizeFeedbackRequest{Parent: v.Comune})
	if err != nil {
		return nil, err
	}
	data.Total = summary.GetTotalCount()
	for _, one := range summary.GetPages() {
		if len(data.Pages) < listed {
			data.Pages = append(data.Pages, page{one, hundredths(one.GetMeanHundredths())})
		}
	}
	words, err := d.feedback.ListFeedback(v.Upstream(), &deskv1.ListFeedbackRequest{Parent: v.Comune, PageSize: rated})
	if err != nil {
		return nil, err
	}
	for _, one := range slices.Backward(words.GetFeedback()) {
		if one.GetText() != "" && len(data.Words) < listed {
			data.Words = append(data.Words, one)
		}
	}
	if !v.Has(annotationsv1.Role_SUPPORT_DESK) {
		return show(v, "ratings", v.Say("deskwork.ratings.title"), data), nil
	}
	sum := 0
	for _, state := range []deskv1.Request_State{deskv1.Request_ANSWERED, deskv1.Request_CLOSED} {
		answer, err := d.requests.ListRequests(v.Upstream(), &deskv1.ListRequestsRequest{Parent: v.Comune, State: state, PageSize: rated})
		if err != nil {
			return nil, err
		}
		for _, one := range answer.GetRequests() {
			if score := int(one.GetRating().GetScore()); score >= 1 && score <= len(data.Answers) {
				data.Answers[score-1]++
				data.Given++
				sum += score
				data.Answered = append(data.Answered, itemOf(v, one))
			}
		}
	}
	if data.Given > 0 {
		data.Mean = hundredths(int32(100 * sum / data.Given))
	}
	slices.SortStableFunc(data.Answered, func(a, b item) int { return cmp.Compare(a.GetRating().GetScore(), b.GetRating().GetScore()) })
	if len(data.Answered) > listed {
		data.Answered = data.Answered[:listed]
	}
	return show(v, "ratings", v.Say("deskwork.ratings.title"), data), nil
}

// hundredths writes 425 as 4,25.
func hundredths(n int32) string { return fmt.Sprintf("%d,%02d", n/100, n%100) }
