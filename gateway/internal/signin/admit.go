package signin

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"cidsistem.example/gateway/internal/edge"
)

const (
	// prefix of the fields of signing in, where they stand beside carried ones.
	prefix = "accesso."
	// stepField says which form of signing in was sent, readField that a page was asked for and no form sent.
	stepField, readField = prefix + "passo", prefix + "leggi"
)

// carrying is a form that is carried through signing in.
type carrying struct {
	// Action is where the form goes; empty: signing in carries nothing.
	Action string
	// Fields are what was typed.
	Fields []carried
	// Reads tells that a page was asked for, and there is nothing to carry.
	Reads bool
	// Lost tells that files do not come along.
	Lost bool
}

type carried struct{ Name, Value string }

// Prefix is what the names of the fields of signing in begin with.
func (c carrying) Prefix() string {
	if c.Action == "" {
		return ""
	}
	return prefix
}

// Admit lets a request of nobody's go on once its person has signed in on the page that stands instead of it: what was typed travels
// in that page as hidden fields, through the second factor too. It returns true when the person is signed in now and the request is
// as it was sent at first; with false it has answered.
func (p *Pages) Admit(w http.ResponseWriter, r *http.Request) bool {
	sent := edge.SentBy(r.Context())
	c := carrying{Action: r.URL.RequestURI(), Reads: sent == nil}
	typed := func(string) string { return "" }
	if sent != nil {
		own := maps.Clone(sent.Values)
		typed = func(name string) string { return own.Get(prefix + name) }
		maps.DeleteFunc(sent.Values, func(name string, _ []string) bool { return strings.HasPrefix(name, prefix) })
		for _, name := range slices.Sorted(maps.Keys(sent.Values)) {
			for _, value := range sent.Values[name] {
				c.Fields = append(c.Fields, carried{name, value})
			}
		}
		c.Reads, c.Lost = own.Has(readField), len(sent.Files) > 0
	}
	v := view{Page: "signin"}
	switch typed("passo") {
	case "password":
		tried, answer, err := p.password(r.Context(), typed)
		switch {
		case err != nil:
			v = tried.failed(err)
		case answer.GetChallenge() != nil:
			v = view{Page: "code", Node: tried.Node, Token: answer.GetChallenge().GetToken()}
		default:
			p.sessions.Adopt(w, r, answer.GetSession())
		}
	case "codice":
		tried, session, err := p.secondFactor(r.Context(), typed)
		if err != nil {
			v = tried.failed(err)
			break
		}
		p.sessions.Adopt(w, r, session)
	}
	if edge.SignedIn(r.Context()) {
		if c.Reads && sent != nil {
			http.Redirect(w, r, c.Action, http.StatusSeeOther)
			return false
		}
		return true
	}
	if v.status == 0 {
		v.status = http.StatusForbidden
	}
	v.carrying = c
	p.render(w, r, v)
	return false
}
