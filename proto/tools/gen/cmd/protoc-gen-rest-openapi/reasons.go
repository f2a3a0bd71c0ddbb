package main

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/registryv1"
)

// A reason of an error, with the HTTP status that it has.
type reason struct {
	name    string
	status  int
	meaning string
}

// edgeReasons are those that exist on the web only, so the contract has none of
// them. A test of the edge compares.
var edgeReasons = []reason{
	{"NO_SUCH_PATH", http.StatusNotFound, "Nothing is at this address."},
	{"METHOD_NOT_ALLOWED", http.StatusMethodNotAllowed, "The address exists, but not with this method; `Allow` lists those that it has."},
	{"NOT_ACCEPTABLE", http.StatusNotAcceptable, "`Accept` leaves out every form that the answer has."},
	{"UNSUPPORTED_MEDIA_TYPE", http.StatusUnsupportedMediaType, "The body is not declared as what the operation takes, or it is compressed."},
	{"ADDRESS_TOO_LONG", http.StatusRequestURITooLong, "The address with its parameters is too long."},
	{"RANGE_NOT_SATISFIABLE", http.StatusRequestedRangeNotSatisfiable, "The range begins after the end of the file."},
	{"FOREIGN_ORIGIN", http.StatusForbidden, "A browser sent a change for a page of another site."},
	{"BODY_TOO_SLOW", http.StatusRequestTimeout, "The body did not arrive in time."},
	{"TOO_MANY_STREAMS", http.StatusServiceUnavailable, "As many streams are open as the service can feed."},
}

// reasons lists all reasons: those of the contract in its order, then those of
// the web.
func (g *generator) reasons() ([]reason, error) {
	e := g.enums[registryv1.ErrorReason(0).Descriptor().FullName()]
	if e == nil {
		return nil, fmt.Errorf("the request to the plugin lacks the reasons of errors")
	}
	var all []reason
	for _, value := range e.Values {
		number := registryv1.ErrorReason(value.Desc.Number())
		if number == registryv1.ErrorReason_ERROR_REASON_UNSPECIFIED {
			continue
		}
		row, known := apierror.Table[number]
		if !known {
			return nil, fmt.Errorf("the table of errors has no row for %s", value.Desc.Name())
		}
		all = append(all, reason{string(value.Desc.Name()), row.HTTP, plain(value.Comments)})
	}
	return append(all, edgeReasons...), nil
}

// reasonSchema lists the reasons with their HTTP status.
func reasonSchema(all []reason) *schema {
	s := &schema{Type: "string"}
	lines := []string{"Why a request failed, with the HTTP status.", ""}
	for _, r := range all {
		s.Enum = append(s.Enum, r.name)
		lines = append(lines, fmt.Sprintf("- `%s`, %d: %s", r.name, r.status, r.meaning))
	}
	s.Description = strings.Join(lines, "\n")
	return s
}

// listReasons names the reasons whose HTTP status is of a set, by status.
func listReasons(all []reason, in func(status int) bool) string {
	var found []reason
	for _, r := range all {
		// The feed is not on the web.
		if in(r.status) && !strings.HasPrefix(r.name, "FEED_") {
			found = append(found, r)
		}
	}
	slices.SortStableFunc(found, func(a, b reason) int { return cmp.Compare(a.status, b.status) })
	var names []string
	for _, r := range found {
		names = append(names, "`"+r.name+"`")
	}
	switch len(names) {
	case 0:
		return ""
	case 1:
		return "Reason: " + names[0] + "."
	default:
		return "Reasons: " + strings.Join(names, ", ") + "."
	}
}
