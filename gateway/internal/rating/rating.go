// Package rating asks readers what they think of a page, as AgID wants it of every page (Modello Comuni, criteria C.SI.2.5 and
// C.SI.2.6): how clear it was, what was good or hard about it, and a few words.
package rating

import (
	"embed"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"cidsistem.example/gateway/internal/edge"
	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/proto/gen/deskv1"
)

//go:embed templates/*.html
var files embed.FS

const (
	home = "/valuta/"
	// longest is how many characters a reader can add.
	longest = 200
	// best is the highest rating; up to hard the question is what was hard.
	best, hard = 5, 3
)

// pages that can be rated, by their paths.
var pages = regexp.MustCompile(`^/[A-Za-z0-9/._~-]{0,299}$`)

// aspects by the values of the form, in the order of the page.
var aspects = []struct {
	Value  string
	aspect deskv1.Feedback_Aspect
}{
	{"chiare", deskv1.Feedback_CLARITY},
	{"complete", deskv1.Feedback_COMPLETENESS},
	{"procedere", deskv1.Feedback_PROGRESS},
	{"tecnica", deskv1.Feedback_TECHNICAL},
	{"altro", deskv1.Feedback_OTHER},
}

// Rating makes the pages.
type Rating struct {
	pages  *site.Section
	client deskv1.FeedbackServiceClient
}

// New makes the pages over a connection to the server behind the gateway.
func New(s *site.Site, conn grpc.ClientConnInterface) (*Rating, error) {
	section, err := s.Section(files, "templates")
	if err != nil {
		return nil, err
	}
	return &Rating{pages: section, client: deskv1.NewFeedbackServiceClient(conn)}, nil
}

// Handlers are the pages by their pattern. They take forms; see [edge.Form].
func (h *Rating) Handlers() map[string]http.Handler {
	return map[string]http.Handler{
		home + "{$}":        h.pages.Handle(h.rate),
		home + "grazie/{$}": h.pages.Handle(h.thanks),
	}
}

// A form is what a reader has said so far.
type form struct {
	// Page that is rated, and the Stars it got.
	Page  string
	Stars int
	// Choices are what the rating may be about.
	Choices []choice
	Text    string
	// Comune that keeps the rating; Asked is whether the reader must say which.
	Comune string
	Asked  bool
	// Problems of what was sent, each with its field.
	Problems []problem
}

// Hard tells which question is asked: what was hard, or what was good.
func (f form) Hard() bool { return f.Stars <= hard }

// Wrong is what is wrong with a field; empty: nothing.
func (f form) Wrong(field string) string {
	for _, one := range f.Problems {
		if one.Field == field {
			return one.Message
		}
	}
	return ""
}

type choice struct {
	Value  string
	Chosen bool
}

type problem struct{ Field, Message string }

func (h *Rating) rate(r *site.Request) (*site.Page, error) {
	values := r.URL.Query()
	sent := edge.SentBy(r.Context())
	if sent != nil {
		values = sent.Values
	}
	f, err := read(r, values)
	if err != nil {
		return nil, err
	}
	code := http.StatusOK
	if sent != nil {
		if f.check(r); len(f.Problems) == 0 {
			err := h.keep(r, f)
			if err == nil {
				return &site.Page{Redirect: home + "grazie/?" + url.Values{"pagina": {f.Page}}.Encode()}, nil
			}
			if code = f.failed(r, err); code == 0 {
				return nil, err
			}
		} else {
			code = http.StatusUnprocessableEntity
		}
	}
	return &site.Page{Template: "rate", Title: r.Say("rating.title"), Data: f, Status: code, Hidden: true, Crumbs: []site.Link{}, Query: query(f)}, nil
}

func query(f form) string {
	return url.Values{"pagina": {f.Page}, "voto": {strconv.Itoa(f.Stars)}}.Encode()
}

// read takes what the address or the form says. A page or a rating that cannot be is no page.
func read(r *site.Request, values url.Values) (form, error) {
	f := form{Page: values.Get("pagina"), Text: strings.TrimSpace(values.Get("testo")), Comune: values.Get("comune")}
	stars, err := strconv.Atoi(values.Get("voto"))
	if err != nil || stars < 1 || stars > best || !local(f.Page) {
		return f, site.ErrNoPage
	}
	f.Stars = stars
	for _, one := range aspects {
		f.Choices = append(f.Choices, choice{one.Value, slices.Contains(values["aspetto"], one.Value)})
	}
	if slug, ok := comuneOf(r.Comuni(), f.Page); ok {
		f.Comune = slug
	} else {
		f.Asked = true
	}
	return f, nil
}

// local tells whether a path is one of this site.
func local(path string) bool { return pages.MatchString(path) && !strings.Contains(path, "//") }

// comuneOf is the comune whose page it is: the only one, or the one that the path names.
func comuneOf(known site.Comuni, page string) (string, bool) {
	if len(known.All) == 1 {
		return known.All[0].Slug, true
	}
	for segment := range strings.SplitSeq(page, "/") {
		if one, ok := known.Of(segment); ok {
			return one.Slug, true
		}
	}
	return "", false
}

func (f *form) check(r *site.Request) {
	if utf8.RuneCountInString(f.Text) > longest {
		f.Problems = append(f.Problems, problem{"testo", r.Say("rating.tooLong")})
	}
	if _, ok := r.Comuni().Of(f.Comune); !ok {
		f.Problems = append(f.Problems, problem{"comune", r.Say("rating.whichComune")})
	}
}

// failed says what is wrong when the rating was not kept, and the status of the page; 0 when a page of an error must say it.
func (f *form) failed(r *site.Request, err error) int {
	switch status.Code(err) {
	case codes.Unavailable, codes.DeadlineExceeded:
		f.Problems = append(f.Problems, problem{"manda", r.Say("rating.away", "Comune", r.Comuni().Name(f.Comune))})
		return http.StatusServiceUnavailable
	case codes.ResourceExhausted:
		f.Problems = append(f.Problems, problem{"manda", r.Say("rating.busy")})
		return http.StatusTooManyRequests
	default:
		return 0
	}
}

func (h *Rating) keep(r *site.Request, f form) error {
	said := &deskv1.Feedback{Page: f.Page, Rating: int32(f.Stars), Text: f.Text, Language: string(r.Language)}
	for i, one := range f.Choices {
		if one.Chosen {
			said.Aspects = append(said.Aspects, aspects[i].aspect)
		}
	}
	_, err := h.client.CreateFeedback(r.Upstream(), &deskv1.CreateFeedbackRequest{Parent: "comuni/" + f.Comune, Feedback: said})
	return err
}

func (h *Rating) thanks(r *site.Request) (*site.Page, error) {
	page := r.URL.Query().Get("pagina")
	if !local(page) {
		page = "/"
	}
	return &site.Page{Template: "thanks", Title: r.Say("rating.thanks"), Data: page, Hidden: true, Crumbs: []site.Link{}}, nil
}
