// Package correcting has the pages with which others than the comune say what is wrong on its cards: anybody, field by field and without
// an account; and a body about its own cards, once, with the link that the comune sent it. Nothing is kept here: what was typed
// travels with the form until the comune's node has taken it.
package correcting

import (
	"context"
	"embed"
	"errors"
	"net/http"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"cidsistem.example/gateway/internal/edge"
	"cidsistem.example/gateway/internal/formclock"
	"cidsistem.example/gateway/internal/record"
	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/editorialv1"
	"cidsistem.example/proto/gen/registryv1"
)

//go:embed templates/*.html
var files embed.FS

// sendWithin is how long a comune's node may take: a person who waits longer gives up, and may send once more.
const sendWithin = 8 * time.Second

// shortest is the time in which nobody reads a card and corrects it.
var shortest = formclock.Shortest

// Correcting makes the pages.
type Correcting struct {
	pages       *site.Section
	corrections editorialv1.CorrectionServiceClient
	records     record.Reader
	clock       formclock.Clock
}

// New makes the pages over a connection to the server behind the gateway.
func New(s *site.Site, conn grpc.ClientConnInterface) (*Correcting, error) {
	pages, err := s.Section(files, "templates")
	if err != nil {
		return nil, err
	}
	clock, err := formclock.New()
	if err != nil {
		return nil, err
	}
	return &Correcting{pages: pages, corrections: editorialv1.NewCorrectionServiceClient(conn), records: record.NewReader(conn), clock: clock}, nil
}

// Handlers are the pages by their pattern. They take forms; see [edge.Form].
func (c *Correcting) Handlers() map[string]http.Handler {
	return map[string]http.Handler{
		"/correggi/{comune}/{collection}/{id}": c.pages.Handle(c.card),
		"/conferma/{comune}":                   unlisted(c.pages.Handle(c.confirm)),
	}
}

// unlisted keeps search engines away, also where they do not read the page.
func unlisted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Robots-Tag", "noindex")
		next.ServeHTTP(w, r)
	})
}

// A visit is one request for a page with a form.
type visit struct {
	*site.Request
	comune site.Comune
	found  []site.Problem
	alert  *alert
}

// An alert is what is wrong with none of the fields.
type alert struct {
	Title, Text string
	// Phone of the comune, to be called instead.
	Phone string
	// Ask offers the comune's desk instead.
	Ask bool
	// Anew offers to send as another correction.
	Anew   bool
	status int
}

func (v *visit) add(field, id string, values ...any) {
	v.found = append(v.found, site.Problem{Field: field, Message: v.Say("correct.problem."+id, values...)})
}

func (v *visit) tooLong(field string, over, most int) {
	if over > 0 {
		v.found = append(v.found, site.Problem{Field: field, Message: v.Count("correct.problem.tooLong", over, "Most", most)})
	}
}

// refuse says what is wrong with none of the fields, by the id of a message and of its title.
func (v *visit) refuse(code int, id string) {
	v.alert = &alert{
		Title: v.Say("correct."+id+"Title", "Comune", v.comune.Title), Text: v.Say("correct."+id, "Comune", v.comune.Title), Phone: v.comune.Phone(), status: code,
	}
}

// failed tells the person what became of what they sent. It returns the error when there is nothing better to say.
func (v *visit) failed(err error) error {
	switch reason := apierror.Reason(err); {
	case reason == registryv1.ErrorReason_REQUEST_ID_REUSED:
		v.refuse(http.StatusConflict, "before")
		v.alert.Anew = true
	case reason == registryv1.ErrorReason_TOO_MANY_REQUESTS, reason == registryv1.ErrorReason_STORE_FULL:
		v.refuse(http.StatusTooManyRequests, "busy")
	case reason == registryv1.ErrorReason_TOO_LARGE:
		v.refuse(http.StatusRequestEntityTooLarge, "large")
	case status.Code(err) == codes.NotFound:
		v.refuse(http.StatusNotFound, "gone")
		v.alert.Ask = true
	case status.Code(err) == codes.Unimplemented:
		v.refuse(http.StatusNotImplemented, "elsewhere")
		v.alert.Ask = true
	case isAway(err):
		edge.Cause(v.Request.Request, err)
		v.refuse(http.StatusServiceUnavailable, "away")
	default:
		return err
	}
	return nil
}

// isAway tells whether a node did not answer, so that nobody knows whether it has what was sent.
func isAway(err error) bool {
	code := status.Code(err)
	return code == codes.Unavailable || code == codes.DeadlineExceeded || code == codes.Canceled || errors.Is(err, context.DeadlineExceeded)
}

// shown is the page of a form, with the status that its problems deserve.
func (v *visit) shown(page *site.Page) *site.Page {
	if v.alert != nil {
		page.Status = v.alert.status
	}
	if len(v.found) > 0 {
		page.Title, page.Status = v.Say("correct.errorTitle", "Title", page.Title), max(page.Status, http.StatusBadRequest)
	}
	return page
}

// isSlug tells whether a part of an address can be one of a name.
func isSlug(text string) bool {
	return text != "" && len(text) <= 63 && strings.Trim(text, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}
