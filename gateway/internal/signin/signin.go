// Package signin has the pages with which a person signs in and out: plain
// forms, which need no script.
package signin

import (
	"cmp"
	"context"
	"embed"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"

	"cidsistem.example/gateway/internal/edge"
	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/federationv1"
	"cidsistem.example/proto/gen/identityv1"
	"cidsistem.example/proto/gen/registryv1"
)

//go:embed templates/*.html
var files embed.FS

// Within this time a page must be ready.
const answerWithin = 10 * time.Second

// maxForm bounds what a form sends, in bytes.
const maxForm = 16 << 10

// Pages answers everything below /accesso/.
type Pages struct {
	sessions *edge.Sessions
	client   identityv1.SessionServiceClient
	nodes    federationv1.FederationServiceClient
	comuni   registryv1.ComuneServiceClient
	pages    *site.Section
}

// New makes the pages over a connection to the server behind the gateway.
func New(s *site.Site, conn grpc.ClientConnInterface, sessions *edge.Sessions) (*Pages, error) {
	parsed, err := s.Section(files, "templates")
	if err != nil {
		return nil, fmt.Errorf("pages of signing in: %w", err)
	}
	return &Pages{
		sessions: sessions, client: identityv1.NewSessionServiceClient(conn), nodes: federationv1.NewFederationServiceClient(conn),
		comuni: registryv1.NewComuneServiceClient(conn), pages: parsed,
	}, nil
}

// Handlers are the pages by their path.
func (p *Pages) Handlers() map[string]http.Handler {
	return map[string]http.Handler{
		"/accesso/{$}":    p.form(p.show("signin"), p.signIn),
		"/accesso/codice": p.form(p.show("signin"), p.answer),
		// A comune's issuer, such as its proxy of SPID and CIE, sends the browser back to the second of these.
		"/accesso/identita": p.form(p.beginOIDC, p.refusePost),
		"/accesso/ritorno":  p.form(p.finishOIDC, p.refusePost),
		"/accesso/invito":   p.form(p.show("invitation"), p.redeem),
		"/accesso/esci":     p.form(p.show("signin"), p.signOut),
	}
}

// A node is where one can have an account.
type node struct{ ID, Title string }

// A view is what a page shows.
type view struct {
	Page  string
	Nodes []node
	// Node, Login and Code are what was typed, or came with the link.
	Node, Login, Code string
	// Token is that of a challenge.
	Token string
	// Problem and Remedy are what went wrong, Italian.
	Problem, Remedy string
	// Name is that of who is signed in.
	Name   string
	status int
	// carrying is what the form carries along; see [Pages.Admit].
	carrying
	// next is where the browser goes, without a page; empty: to the first one.
	next string
}

type handler func(w http.ResponseWriter, r *http.Request) view

// form shows a page on GET, and does what a form asks on POST.
func (p *Pages) form(get, post handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), answerWithin)
		defer cancel()
		r = r.WithContext(ctx)
		handle := get
		switch r.Method {
		case http.MethodGet, http.MethodHead:
		case http.MethodPost:
			r.Body = http.MaxBytesReader(w, r.Body, maxForm)
			handle = post
		default:
			w.Header().Set("Allow", "GET, HEAD, POST")
			http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
			return
		}
		v := handle(w, r)
		if v.Page == "" {
			http.Redirect(w, r, cmp.Or(v.next, "/accesso/"), http.StatusSeeOther)
			return
		}
		p.render(w, r, v)
	})
}

func (p *Pages) render(w http.ResponseWriter, r *http.Request, v view) {
	v.Nodes = p.known(r.Context(), v.Node)
	if account, err := p.sessions.Account(r.Context()); err == nil && account != nil {
		v.Name = account.GetDisplayName()
	}
	page, title := v.Page, "Accesso"
	switch {
	case v.Page == "invitation":
		title = "Scelga la password"
	case v.Page == "code":
		title = "Ancora un passo"
	case v.Name != "":
		page, title = "signed", "Accesso effettuato"
	}
	w.Header().Set("Cache-Control", "no-store")
	p.pages.Show(w, r, &site.Page{Template: page, Title: title, Data: v, Status: v.status, Hidden: true})
}

// known lists the nodes at which one can have an account, by the names of their comuni. One that a link names is among them: an
// ufficio comune has people too, and is no member of itself.
func (p *Pages) known(ctx context.Context, linked string) []node {
	answer, err := p.nodes.ListNodes(edge.Outgoing(ctx), &federationv1.ListNodesRequest{PageSize: 1000})
	if err != nil {
		return nil // the page has a field to type the name into
	}
	titles := map[string]string{}
	if comuni, err := p.comuni.ListComuni(edge.Outgoing(ctx), &registryv1.ListComuniRequest{PageSize: 1000}); err == nil {
		for _, comune := range comuni.GetComuni() {
			titles[strings.TrimPrefix(comune.GetName(), "comuni/")] = comune.GetTitle().GetIt()
		}
	}
	var nodes []node
	for _, n := range answer.GetNodes() {
		id := strings.TrimPrefix(n.GetName(), "nodes/")
		nodes = append(nodes, node{id, cmp.Or(titles[id], id)})
	}
	if linked != "" && !slices.ContainsFunc(nodes, func(n node) bool { return n.ID == linked }) {
		nodes = append(nodes, node{linked, linked})
	}
	slices.SortFunc(nodes, func(a, b node) int { return strings.Compare(a.Title, b.Title) })
	return nodes
}

func (p *Pages) show(page string) handler {
	return func(_ http.ResponseWriter, r *http.Request) view {
		return view{Page: page, Node: r.URL.Query().Get("nodo"), Code: r.URL.Query().Get("codice")}
	}
}

func (p *Pages) signIn(w http.ResponseWriter, r *http.Request) view {
	v, answer, err := p.password(r.Context(), r.PostFormValue)
	return p.next(w, v, answer, err)
}

// password tries the password that was typed into a form.
func (p *Pages) password(ctx context.Context, typed func(string) string) (view, *identityv1.SignInResponse, error) {
	v := view{Page: "signin", Node: typed("nodo"), Login: typed("utente")}
	answer, err := p.client.SignIn(edge.Outgoing(ctx), &identityv1.SignInRequest{
		Parent: "nodes/" + v.Node, Login: v.Login, Password: typed("password"),
	})
	return v, answer, err
}

// next goes on after a password was taken.
func (p *Pages) next(w http.ResponseWriter, v view, answer *identityv1.SignInResponse, err error) view {
	if err != nil {
		return v.failed(err)
	}
	if challenge := answer.GetChallenge(); challenge != nil {
		return view{Page: "code", Node: v.Node, Token: challenge.GetToken()}
	}
	p.sessions.Begin(w, answer.GetSession())
	return view{}
}

func (p *Pages) answer(w http.ResponseWriter, r *http.Request) view {
	v, session, err := p.secondFactor(r.Context(), r.PostFormValue)
	if err != nil {
		return v.failed(err)
	}
	p.sessions.Begin(w, session)
	return view{}
}

// secondFactor tries the code that was typed into a form.
func (p *Pages) secondFactor(ctx context.Context, typed func(string) string) (view, *identityv1.Session, error) {
	v := view{Page: "code", Node: typed("nodo"), Token: typed("token")}
	request := &identityv1.AnswerChallengeRequest{Parent: "nodes/" + v.Node, Token: v.Token}
	code := strings.ReplaceAll(typed("codice"), " ", "")
	request.Answer = &identityv1.AnswerChallengeRequest_TotpCode{TotpCode: code}
	if len(code) != 6 {
		request.Answer = &identityv1.AnswerChallengeRequest_RecoveryCode{RecoveryCode: code}
	}
	session, err := p.client.AnswerChallenge(edge.Outgoing(ctx), request)
	return v, session, err
}

func (p *Pages) redeem(w http.ResponseWriter, r *http.Request) view {
	v := view{Page: "invitation", Node: r.PostFormValue("nodo"), Code: r.PostFormValue("codice")}
	if r.PostFormValue("password") != r.PostFormValue("ancora") {
		v.Problem, v.Remedy, v.status = "Le due password non sono uguali", "Le scriva di nuovo.", http.StatusBadRequest
		return v
	}
	answer, err := p.client.RedeemInvitation(edge.Outgoing(r.Context()), &identityv1.RedeemInvitationRequest{
		Parent: "nodes/" + v.Node, Code: strings.TrimSpace(v.Code), Password: r.PostFormValue("password"),
	})
	return p.next(w, v, answer, err)
}

func (p *Pages) signOut(w http.ResponseWriter, r *http.Request) view {
	p.sessions.End(w, r)
	return view{}
}

// failed says what went wrong.
func (v view) failed(err error) view {
	reason := apierror.Reason(err)
	if reason == registryv1.ErrorReason_ERROR_REASON_UNSPECIFIED {
		reason = registryv1.ErrorReason_NOT_READY
	}
	for _, known := range edge.Reasons() {
		if known.Name == reason.String() {
			v.Problem, v.Remedy, v.status = known.Title, known.Remedy, known.Status
		}
	}
	if v.Page == "invitation" && reason == registryv1.ErrorReason_INVALID_FIELDS {
		v.Problem, v.Remedy = "La password non va bene", "Almeno 12 caratteri, non il nome utente, niente sequenze come 123456."
	}
	return v
}
