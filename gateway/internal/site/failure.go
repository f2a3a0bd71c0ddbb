package site

import (
	"context"
	"errors"
	"net/http"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"cidsistem.example/gateway/internal/edge"
)

// ErrNoPage says that there is nothing at an address.
var ErrNoPage = errors.New("no such page")

// NotFound answers that there is no such page.
func (s *Site) NotFound() http.Handler {
	return s.errors.Handle(func(*Request) (*Page, error) { return nil, ErrNoPage })
}

// A failure is what a page of an error says: keys of messages.
type failure struct {
	status               int
	title, meaning, what string
}

func explain(err error) failure {
	switch code := status.Code(err); {
	case errors.Is(err, ErrNoPage), code == codes.NotFound, code == codes.InvalidArgument:
		return failure{http.StatusNotFound, "error.missing", "error.missingMeaning", "error.missingRemedy"}
	case code == codes.PermissionDenied, code == codes.Unauthenticated:
		return failure{http.StatusForbidden, "error.denied", "error.deniedMeaning", "error.deniedRemedy"}
	case code == codes.ResourceExhausted:
		return failure{http.StatusTooManyRequests, "error.busy", "error.busyMeaning", "error.busyRemedy"}
	case code == codes.Unavailable, code == codes.DeadlineExceeded, errors.Is(err, context.DeadlineExceeded):
		return failure{http.StatusServiceUnavailable, "error.away", "error.awayMeaning", "error.awayRemedy"}
	default:
		return failure{http.StatusInternalServerError, "error.broken", "error.brokenMeaning", "error.brokenRemedy"}
	}
}

// failed answers with a page that says what is wrong and what to do: whom to call above all.
func (s *Site) failed(w http.ResponseWriter, r *Request, err error) {
	f := explain(err)
	if f.status >= http.StatusInternalServerError {
		edge.Cause(r.Request, err)
	}
	if f.status == http.StatusServiceUnavailable || f.status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", "10")
	}
	s.answer(w, r, s.errors, &Page{
		Template: "error", Title: r.Say(f.title), Status: f.status, Hidden: true,
		Data: map[string]string{"Meaning": r.Say(f.meaning), "Remedy": r.Say(f.what)},
	})
}
