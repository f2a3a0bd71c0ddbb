package workbench

import (
	"net/http"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"cidsistem.example/gateway/internal/edge"
	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/annotationsv1"
	"cidsistem.example/proto/gen/identityv1"
)

// doneField of an address says what was just done.
const doneField = "fatto"

// A Visit is a request of somebody who is signed in.
type Visit struct {
	*site.Request
	// Account of the person.
	Account *identityv1.Account
	// Comune for which the person works, "comuni/marsala"; empty: none.
	Comune string
	// Found is what is wrong with fields, Alert what went wrong with none of them.
	Found []site.Problem
	Alert *site.Alert
	// Done is what was just done, for a page that does not lead elsewhere; see [Visit.Go].
	Done   string
	status int
}

// Visit finds out who makes a request that no page of the bench answers.
func (b *Bench) Visit(r *http.Request) (*Visit, error) { return b.visit(b.own.Request(r)) }

// visit finds out who makes a request.
func (b *Bench) visit(r *site.Request) (*Visit, error) {
	account, known := r.Context().Value(accountKey{}).(*identityv1.Account)
	if !known {
		var err error
		if account, err = b.sessions.Account(r.Context()); err != nil {
			return nil, err
		}
	}
	if account == nil {
		return nil, status.Error(codes.PermissionDenied, "the pages are for persons with a session")
	}
	v := &Visit{Request: r, Account: account}
	for _, grant := range account.GetGrants() {
		if parts := strings.Split(grant.GetScope(), "/"); parts[0] == "comuni" && parts[1] != "-" {
			v.Comune = "comuni/" + parts[1]
			break
		}
	}
	if v.Comune == "" {
		if _, known := r.Comuni().Of(strings.TrimPrefix(v.Node(), "nodes/")); known {
			v.Comune = "comuni/" + strings.TrimPrefix(v.Node(), "nodes/")
		}
	}
	return v, nil
}

// Node that keeps the person's account, "nodes/marsala".
func (v *Visit) Node() string {
	node, _, _ := strings.Cut(v.Account.GetName(), "/accounts/")
	return node
}

// Slug of the comune, "marsala"; empty: none.
func (v *Visit) Slug() string { return strings.TrimPrefix(v.Comune, "comuni/") }

// Has tells whether the person has any of some roles, over the comune, a body of it, or the node.
func (v *Visit) Has(roles ...annotationsv1.Role) bool {
	return slices.ContainsFunc(v.Account.GetGrants(), func(g *identityv1.Grant) bool { return slices.Contains(roles, g.GetRole()) })
}

// Over tells whether the person has any of some roles over all of the comune, not over cards of one body alone.
func (v *Visit) Over(roles ...annotationsv1.Role) bool {
	return slices.ContainsFunc(v.Account.GetGrants(), func(g *identityv1.Grant) bool {
		return slices.Contains(roles, g.GetRole()) && g.GetScope() == v.Comune
	})
}

// Sent is the form of a POST, nil when the page is read.
func (v *Visit) Sent() *edge.Sent { return edge.SentBy(v.Context()) }

// Go leads to another page, which says with the message "lavoro.done." and the id what was done; an empty id says nothing.
func (v *Visit) Go(path, id string) *site.Page {
	if id == "" {
		return &site.Page{Redirect: path}
	}
	mark := "?"
	if strings.Contains(path, "?") {
		mark = "&"
	}
	path, fragment, found := strings.Cut(path, "#")
	path += mark + doneField + "=" + id
	if found {
		path += "#" + fragment
	}
	return &site.Page{Redirect: path}
}

// Add says that something is wrong with a field, by the id of its element.
func (v *Visit) Add(field, message string) {
	v.Found = append(v.Found, site.Problem{Field: field, Message: message})
}

// Refused keeps why the server did not take what was sent, for the page that shows it all again: problems of fields where those are to
// blame, by the beginnings of their paths, else an alert.
func (v *Visit) Refused(err error, fields map[string]string) {
	for _, violation := range apierror.Fields(err) {
		for path, field := range fields {
			if strings.HasPrefix(violation.GetField(), path) {
				v.Add(field, v.Say("lavoro.refused", "Why", violation.GetDescription()))
				break
			}
		}
	}
	if len(v.Found) > 0 {
		return
	}
	v.Alert, v.status = v.explain(err)
	if v.status >= http.StatusInternalServerError {
		edge.Cause(v.Request.Request, err)
	}
}

// explain says what an error of the server means, and the status of a page that says it.
func (v *Visit) explain(err error) (*site.Alert, int) {
	name := apierror.Reason(err).String()
	for _, known := range edge.Reasons() {
		if known.Name != name {
			continue
		}
		alert := &site.Alert{Title: known.Title, Text: known.Meaning + " " + known.Remedy}
		for _, violation := range apierror.Fields(err) {
			alert.Text += " " + violation.GetField() + ": " + violation.GetDescription() + "."
		}
		return alert, known.Status
	}
	if status.Code(err) == codes.Unimplemented {
		return &site.Alert{Title: v.Say("lavoro.elsewhere"), Text: v.Say("lavoro.elsewhereText")}, http.StatusNotImplemented
	}
	if status.Code(err) == codes.PermissionDenied {
		return &site.Alert{Title: v.Say("lavoro.denied"), Text: v.Say("lavoro.deniedText")}, http.StatusForbidden
	}
	return &site.Alert{Title: v.Say("lavoro.away"), Text: v.Say("lavoro.awayText")}, http.StatusServiceUnavailable
}

// Explain says in a sentence why something could not be read, for a page that shows the rest.
func (v *Visit) Explain(err error) string {
	alert, _ := v.explain(err)
	return alert.Title + ". " + alert.Text
}

// dress puts the frame of the bench around a page.
func (v *Visit) dress(page *site.Page) *site.Page {
	if page.Redirect != "" {
		return page
	}
	page.Hidden = true
	page.Bench = &site.Bench{
		Links: v.links(), Who: v.Account.GetDisplayName(), Done: v.Done, Alert: v.Alert, Problems: v.Found,
	}
	if v.Comune != "" {
		page.Bench.Comune = v.Comuni().Name(v.Slug())
	}
	if id := "lavoro.done." + v.URL.Query().Get(doneField); v.Sent() == nil && v.Knows(id) {
		page.Bench.Done = v.Say(id)
	}
	switch {
	case page.Status != 0:
	case v.status != 0:
		page.Status = v.status
	case len(v.Found) > 0:
		page.Status = http.StatusBadRequest
	}
	return page
}

// areas of the signed-in side, in the order of the navigation, with the roles that have something to do there; none: everybody.
var areas = []struct {
	path, id string
	roles    []annotationsv1.Role
}{
	{Root, "lavoro.nav.home", nil},
	{Root + "schede/", "lavoro.nav.records", nil},
	{Root + "bozze/", "lavoro.nav.drafts", writers},
	{Root + "verifiche/", "lavoro.nav.due", writers},
	{Root + "correzioni/", "lavoro.nav.corrections", writers[:2]},
	{Root + "sportello/", "lavoro.nav.desk", []annotationsv1.Role{annotationsv1.Role_SUPPORT_DESK}},
	{Root + "importazioni/", "lavoro.nav.imports", writers},
	{Root + "doppioni/", "lavoro.nav.duplicates", writers[:2]},
	{Root + "amministrazione/", "lavoro.nav.administration", []annotationsv1.Role{annotationsv1.Role_NODE_ADMINISTRATOR, annotationsv1.Role_AUDITOR}},
}

// writers may change records: the first two all but plans, the last plans.
var writers = []annotationsv1.Role{annotationsv1.Role_EDITOR, annotationsv1.Role_PUBLISHER, annotationsv1.Role_PLANNER}

func (v *Visit) links() []site.Link {
	var links []site.Link
	for _, area := range areas {
		if len(area.roles) == 0 || v.Has(area.roles...) {
			links = append(links, site.Link{Path: area.path, Text: v.Say(area.id)})
		}
	}
	return links
}
