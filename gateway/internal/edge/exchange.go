package edge

import (
	"context"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/google/uuid"
)

// An exchange is what the edge knows of one request while it answers it.
type exchange struct {
	id          string // of the request: a UUID, in X-Request-Id, in problems, in logs and upstream
	traceparent string // the client's, when it is well-formed (W3C Trace Context)
	traceID     string // the part of traceparent that problems name
	client      string // the network that the request comes from, for limits upstream
	route       string // what logs and metrics call the request; never its path
	reason      string // of the problem that was the answer
	cause       error  // what lay behind it
	began       time.Time
	waiting     waiting // for the server behind the gateway

	authorization string // for whom the request is made: "Bearer " and an access token, or empty for nobody
	cookie        bool   // it comes from the session cookie
	node          string // that keeps the account, when it comes from the cookie
	sessionAway   error  // why it is not known whose cookie it is: the node does not answer
	purpose       string // why, in the words of the client
}

type exchangeKey struct{}

// begin makes the exchange of a request and ties it to the request's context.
func begin(r *http.Request) (*exchange, *http.Request) {
	x := &exchange{id: uuid.NewString(), route: "unmatched", began: time.Now()}
	x.traceparent, x.traceID = parseTraceparent(r.Header.Get("Traceparent"))
	return x, r.WithContext(context.WithValue(r.Context(), exchangeKey{}, x))
}

// exchangeOf returns the exchange that a context belongs to; [Observe] has begun it.
func exchangeOf(ctx context.Context) *exchange {
	return ctx.Value(exchangeKey{}).(*exchange)
}

var traceparentForm = regexp.MustCompile(`^00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}$`)

// parseTraceparent returns the header and the trace id in it, both empty when the header is not well-formed.
func parseTraceparent(header string) (traceparent, traceID string) {
	parts := traceparentForm.FindStringSubmatch(header)
	if parts == nil || strings.Trim(parts[1], "0") == "" || strings.Trim(parts[2], "0") == "" {
		return "", ""
	}
	return header, parts[1]
}
