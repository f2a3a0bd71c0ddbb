package asking

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"cidsistem.example/gateway/internal/edge"
	"cidsistem.example/gateway/internal/formclock"
	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/deskv1"
	"cidsistem.example/proto/gen/registryv1"
)

// sendWithin is how long a comune's node may take: a person who waits longer gives up, and may send once more.
const sendWithin = 8 * time.Second

// shortest is the time in which nobody answers all the questions.
var shortest = formclock.Shortest

// errNoComuni says that no comune is known: none of them has ever answered.
var errNoComuni = status.Error(codes.Unavailable, "no comune is known yet")

// receipt is what a person keeps.
type receipt struct {
	Request *deskv1.Request
	Code    string
	Comune  site.Comune
}

// send hands the request to the comune's node.
func (v *visit) send(sent *edge.Sent, anew bool) (*site.Page, error) {
	clock, now := v.asking.clock, time.Now()
	human := clock.Human(v.shown, v.request, now, shortest)
	if !clock.Ours(v.shown, v.request) { // of a process that has ended
		v.shown = clock.Mark(v.request, now)
	}
	if anew && human {
		v.request = uuid.NewString()
		v.shown = clock.Mark(v.request, now.Add(-shortest))
	}
	v.filesAgain = hasFiles(sent)
	if id := v.next(); id != stepCheck {
		v.check(id, v.answers, v.comuni)
		return v.show(id), nil
	}
	switch {
	case sent.Values.Get(fieldTrap) != "":
		v.refuse(http.StatusBadRequest, "ask.trapped")
		return v.show(stepCheck), nil
	case !human:
		v.refuse(http.StatusBadRequest, "ask.tooFast")
		return v.show(stepCheck), nil
	}
	attached := v.takeFiles(sent)
	if len(v.found) > 0 {
		return v.show(stepCheck), nil
	}
	ctx, cancel := context.WithTimeout(v.Upstream(), sendWithin)
	defer cancel()
	comune, _ := v.comuni.Of(v.answers[fieldComune])
	made, err := v.asking.desk.CreateRequest(ctx, &deskv1.CreateRequestRequest{
		Parent: "comuni/" + comune.Slug, Request: v.content(), RequestId: v.request, Attachments: attached,
	})
	if err != nil {
		return v.failed(comune, err)
	}
	return &site.Page{
		Template: "receipt", Title: v.Say("receipt.title"), Hidden: true, Scripts: []string{"draft.js", "copy.js"},
		Crumbs: []site.Link{{Path: "/chiedi/", Text: v.Say("ask.title")}}, Data: receipt{made.GetRequest(), made.GetCode(), comune},
	}, nil
}

// content is the request as the contract has it.
func (v *visit) content() *deskv1.Request {
	a := needed(v.answers, v.comuni)
	request := &deskv1.Request{
		Text: a.text(v.Request), Category: a[fieldCategory], Kind: kindOf[a[fieldKind]], Language: string(v.Language),
		PreferredChannel: a.channel(), ContactHours: a[fieldHours],
	}
	if subject, ok := a.subject(); ok && subject.Kind.Collection == "services" {
		request.Service = subject.String()
	} else if ok {
		request.Location = subject.String()
	} else if request.GetKind() == deskv1.Request_DISRUPTION {
		request.Kind = deskv1.Request_INFORMATION // a disruption is of something that the catalogue has; this one is in the text
	}
	if request.GetKind() == deskv1.Request_DISRUPTION {
		request.Disruption = &deskv1.Disruption{Problem: chosen(a[fieldProblem], problems), When: a[fieldWhen]}
		if day, ok := dateOf(a[fieldDate]); ok {
			request.Disruption.Date = partial(day)
		}
	}
	if a[fieldFor] == forAnother {
		request.Representation = &deskv1.Representation{Role: chosen(a[fieldRole], roles), Basis: a[fieldBasis]}
		if day, ok := dateOf(a[fieldExpiry]); ok {
			request.Representation.ExpiryDate = partial(day)
		}
	}
	if a[fieldPhone] != "" || a[fieldEmail] != "" || a[fieldName] != "" {
		request.Contact = &deskv1.Contact{FullName: a[fieldName], Telephone: a[fieldPhone], Email: a[fieldEmail]}
	}
	return request
}

func (v *visit) refuse(code int, id string) {
	v.alert = &alert{Title: v.Say(id + "Title"), Text: v.Say(id), status: code}
}

// violated are the fields of the form for those of the contract.
var violated = []struct{ path, field, message string }{
	{"request.text", fieldText, "text"},
	{"request.category", fieldCategory, "category"},
	{"request.service", fieldSubject, "subjectGone"},
	{"request.location", fieldSubject, "subjectGone"},
	{"request.disruption.date", fieldDate, "date"},
	{"request.disruption.when", fieldWhen, "refused"},
	{"request.disruption", fieldProblem, "problem"},
	{"request.representation.expiryDate", fieldExpiry, "expired"},
	{"request.representation.basis", fieldBasis, "refused"},
	{"request.representation", fieldRole, "role"},
	{"request.preferredChannel", fieldChannel, "channel"},
	{"request.contactHours", fieldHours, "refused"},
	{"request.contact.telephone", fieldPhone, "phone"},
	{"request.contact.email", fieldEmail, "email"},
	{"request.contact.fullName", fieldName, "refused"},
	{"attachments", fieldFiles, "fileRefused"},
	{"parent", fieldComune, "comune"},
}

// fieldsOf gathers what a server says of fields, in the words of the page.
func (c *checker) fieldsOf(err error) {
	for _, violation := range apierror.Fields(err) {
		for _, known := range violated {
			if strings.HasPrefix(violation.GetField(), known.path) {
				c.add(known.field, known.message)
				break
			}
		}
	}
}

// failed tells the person what became of what they sent, and keeps all of it in the form.
func (v *visit) failed(comune site.Comune, err error) (*site.Page, error) {
	switch reason := apierror.Reason(err); {
	case reason == registryv1.ErrorReason_INVALID_FIELDS, reason == registryv1.ErrorReason_DANGLING_REFERENCE,
		reason == registryv1.ErrorReason_STORE_FULL && len(apierror.Fields(err)) > 0:
		if v.fieldsOf(err); len(v.found) == 0 {
			return nil, err
		}
		if reason == registryv1.ErrorReason_STORE_FULL {
			v.found = nil
			v.add(fieldFiles, "noRoomForFiles")
		}
		return v.show(v.stepOf(v.found[0].Field)), nil
	case reason == registryv1.ErrorReason_REQUEST_ID_REUSED:
		v.refuse(http.StatusConflict, "ask.before")
		v.alert.Anew = true
	case reason == registryv1.ErrorReason_TOO_MANY_REQUESTS:
		v.refuse(http.StatusTooManyRequests, "ask.busy")
	case reason == registryv1.ErrorReason_STORE_FULL:
		v.refuse(http.StatusServiceUnavailable, "ask.full")
	case reason == registryv1.ErrorReason_TOO_LARGE:
		v.add(fieldFiles, "filesTooLarge")
		return v.show(stepCheck), nil
	case isAway(err):
		edge.Cause(v.Request.Request, err)
		v.alert = v.away(comune, "ask.away.after")
		v.alert.status = http.StatusServiceUnavailable
	default:
		return nil, err
	}
	v.alert.Phone = comune.Phone()
	return v.show(stepCheck), nil
}

// isAway tells whether a node did not answer, so that nobody knows whether it has what was sent.
func isAway(err error) bool {
	code := status.Code(err)
	return code == codes.Unavailable || code == codes.DeadlineExceeded || code == codes.Canceled || errors.Is(err, context.DeadlineExceeded)
}

func (v *visit) stepOf(field string) string {
	at := slices.IndexFunc(steps, func(s step) bool { return slices.Contains(s.fields, field) })
	if at < 0 {
		return stepCheck
	}
	return steps[at].id
}
