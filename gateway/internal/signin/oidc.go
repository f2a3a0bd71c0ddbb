package signin

import (
	"net/http"
	"strings"
	"time"

	"cidsistem.example/gateway/internal/edge"
	"cidsistem.example/proto/gen/identityv1"
)

// oidcCookie holds the node and the token of a sign-in that has begun at an issuer: only the browser that began it can end it.
const oidcCookie = "__Host-cid-oidc"

// oidcWithin is how long the person has at the issuer.
const oidcWithin = 10 * time.Minute

// beginOIDC sends the browser to the issuer of a node.
func (p *Pages) beginOIDC(w http.ResponseWriter, r *http.Request) view {
	v := view{Page: "signin", Node: r.URL.Query().Get("nodo")}
	begun, err := p.client.BeginOidcSignIn(edge.Outgoing(r.Context()), &identityv1.BeginOidcSignInRequest{Parent: "nodes/" + v.Node})
	if err != nil {
		return v.failed(err)
	}
	setOIDC(w, v.Node+"."+begun.GetToken(), int(oidcWithin.Seconds()))
	return view{next: begun.GetAuthorizationUrl()}
}

// finishOIDC takes the browser back from the issuer.
func (p *Pages) finishOIDC(w http.ResponseWriter, r *http.Request) view {
	cookie, err := r.Cookie(oidcCookie)
	setOIDC(w, "", -1)
	if err != nil {
		return view{Page: "signin", Problem: "L'accesso è durato troppo", Remedy: "Ricominci da qui.", status: http.StatusBadRequest}
	}
	node, token, _ := strings.Cut(cookie.Value, ".")
	v := view{Page: "signin", Node: node}
	query := r.URL.Query()
	if query.Get("error") != "" {
		v.Problem, v.Remedy, v.status = "L'accesso non è riuscito", "Riprovi, oppure entri con nome utente e password.", http.StatusUnauthorized
		return v
	}
	session, err := p.client.FinishOidcSignIn(edge.Outgoing(r.Context()), &identityv1.FinishOidcSignInRequest{
		Parent: "nodes/" + node, Token: token, State: query.Get("state"), Code: query.Get("code"),
	})
	if err != nil {
		return v.failed(err)
	}
	p.sessions.Begin(w, session)
	return view{}
}

func (p *Pages) refusePost(http.ResponseWriter, *http.Request) view {
	return view{Page: "signin", Problem: "Questa pagina non riceve moduli", Remedy: "Ricominci da qui.", status: http.StatusMethodNotAllowed}
}

func setOIDC(w http.ResponseWriter, value string, seconds int) {
	http.SetCookie(w, &http.Cookie{
		Name: oidcCookie, Value: value, Path: "/", MaxAge: seconds, Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}
