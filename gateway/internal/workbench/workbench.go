// Package workbench is the signed-in side of the portal, below /lavoro/: its frame, and who may see what.
//
// A package of pages of the signed-in side asks its [Bench] for each handler:
//
//	func New(s *site.Site, conn grpc.ClientConnInterface, bench *workbench.Bench) (*Desk, error)
//	"/lavoro/sportello/{$}": bench.Page(d.pages, d.queue, annotationsv1.Role_SUPPORT_DESK)
//
// where d.pages is its [site.Section] and queue is func(*workbench.Visit) (*site.Page, error). The handlers are mounted with
// [edge.Form]: [Visit.Sent] is the form of a POST, nil when the page is read. Requests of other sites are refused by the edge
// already; a form needs no token.
//
// The bench shows the navigation, who is signed in, and above each page what was done ([Visit.Done]), what went wrong ([Visit.Alert]) and
// what is wrong with fields ([Visit.Add]); a template says the latter beside each field with
//
//	{{template "beside" dict "Problems" .Found "Field" "oggetto"}}
//
// Nothing typed is lost. A POST of nobody's (the session ended while somebody typed) shows the form of signing in, which carries all
// fields through the second factor and then goes on with the POST as it was sent. A handler that the node refuses calls [Visit.Refused]
// and shows its form again with everything in it; one that returns the error instead, on a POST, gets a page that carries all fields and
// tries again.
package workbench

import (
	"context"
	"embed"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"cidsistem.example/gateway/internal/edge"
	"cidsistem.example/gateway/internal/signin"
	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/gateway/internal/wording"
	"cidsistem.example/proto/gen/annotationsv1"
)

//go:embed templates/*.html
var files embed.FS

// Root is where the signed-in side begins.
const Root = "/lavoro/"

// A Bench makes handlers of pages that somebody must be signed in for.
type Bench struct {
	sessions *edge.Sessions
	signin   *signin.Pages
	own      *site.Section
}

// New makes the bench of a site.
func New(s *site.Site, sessions *edge.Sessions, pages *signin.Pages) (*Bench, error) {
	own, err := s.Section(files, "templates")
	if err != nil {
		return nil, err
	}
	return &Bench{sessions: sessions, signin: pages, own: own}, nil
}

// A Handler makes a page for somebody, or says why not.
type Handler func(*Visit) (*site.Page, error)

// Page makes an HTTP handler of a page of a section, for persons with any of some roles over their comune, or over the node for its
// administrators; without roles for everybody who is signed in.
func (b *Bench) Page(section *site.Section, handle Handler, roles ...annotationsv1.Role) http.Handler {
	return b.admit(section.Handle(func(r *site.Request) (*site.Page, error) {
		v, err := b.visit(r)
		if err != nil {
			return b.instead(r, nil, err)
		}
		if len(roles) > 0 && !v.Has(roles...) {
			return b.instead(r, v, status.Error(codes.PermissionDenied, "the page is for other roles"))
		}
		page, err := handle(v)
		if err != nil {
			return b.instead(r, v, err)
		}
		return v.dress(page), nil
	}))
}

// Serve makes an HTTP handler of a document of a section: a download. Who may have it is as with [Bench.Page].
func (b *Bench) Serve(section *site.Section, handle func(*Visit) (*site.Document, error), roles ...annotationsv1.Role) http.Handler {
	return b.admit(section.Serve(func(r *site.Request) (*site.Document, error) {
		v, err := b.visit(r)
		if err != nil {
			return nil, err
		}
		if len(roles) > 0 && !v.Has(roles...) {
			return nil, status.Error(codes.PermissionDenied, "the document is for other roles")
		}
		return handle(v)
	}))
}

// accountKey is that of the account in the context of a request.
type accountKey struct{}

// admit lets requests pass that are somebody's; others sign in first.
func (b *Bench) admit(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		if site.LanguageOf(r.Context()) != wording.Italian { // the signed-in side has one language
			http.Redirect(w, r, (&url.URL{Path: "/" + strings.TrimLeft(r.URL.Path, "/"), RawQuery: r.URL.RawQuery}).String(), http.StatusSeeOther)
			return
		}
		account, err := b.sessions.Account(r.Context())
		if status.Code(err) == codes.Unauthenticated {
			b.sessions.Ended(w, r)
		} else if account != nil {
			r = r.WithContext(context.WithValue(r.Context(), accountKey{}, account))
		}
		if edge.SignedIn(r.Context()) || b.sessions.Away(r.Context()) || b.signin.Admit(w, r) {
			next.ServeHTTP(w, r)
		}
	})
}

// instead is the page that stands for one that could not be made. What a form brought travels in it.
func (b *Bench) instead(r *site.Request, v *Visit, err error) (*site.Page, error) {
	if v == nil {
		v = &Visit{Request: r}
	}
	sent := edge.SentBy(r.Context())
	code := status.Code(err)
	if sent == nil && code != codes.PermissionDenied && code != codes.Unimplemented && code != codes.Unavailable && code != codes.DeadlineExceeded {
		return nil, err
	}
	if errors.Is(err, context.Canceled) {
		return nil, err
	}
	v.Refused(err, nil)
	data := instead{Action: r.URL.RequestURI(), Denied: code == codes.PermissionDenied, Elsewhere: code == codes.Unimplemented, Posted: sent != nil}
	if sent != nil {
		for _, name := range slices.Sorted(maps.Keys(sent.Values)) {
			for _, value := range sent.Values[name] {
				data.Fields = append(data.Fields, typed{name, value})
			}
		}
	}
	page := v.dress(&site.Page{Template: "instead", Title: r.Say("lavoro.instead.title"), Data: data})
	// Whatever page the section has, this one is the bench's.
	page.Section = b.own
	return page, nil
}

// instead is a page that could not be made.
type instead struct {
	Action string
	Fields []typed
	// Denied: the person may not; Elsewhere: the server behind does not do it; Posted: something was sent.
	Denied, Elsewhere, Posted bool
}

type typed struct{ Name, Value string }
