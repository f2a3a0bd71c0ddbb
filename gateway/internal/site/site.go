// Package site is what all pages of the portal share: the frame, the languages and their addresses, the comuni behind it, and what a
// page says when something is wrong.
package site

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"

	"cidsistem.example/gateway/internal/edge"
	"cidsistem.example/gateway/internal/web"
	"cidsistem.example/gateway/internal/wording"
)

//go:embed templates/*.html
var files embed.FS

// answerWithin is how long a page may take.
const answerWithin = 10 * time.Second

// Identity is who publishes the portal.
type Identity struct {
	// Name of the portal; empty: that of its comune, else "CID SISTEM".
	Name string
	// Owner is the body that answers for the portal; empty: not shown.
	Owner string
	// Email of the owner, for accessibility and privacy too; empty: the contacts of the comuni are shown.
	Email string
	// BaseURL is https://host, for feeds, printed addresses and search engines; empty: the host that the request names.
	BaseURL string
}

// Site makes pages.
type Site struct {
	identity Identity
	files    *web.Files
	words    *wording.Words
	logger   *slog.Logger
	comuni   *comuni
	errors   *Section
	// frames by language, parsed when the language is asked for first.
	frames map[wording.Language]func() (*template.Template, error)
}

// New makes a site over a connection to the server behind the gateway.
func New(identity Identity, upstream grpc.ClientConnInterface, logger *slog.Logger) (*Site, error) {
	assets, err := web.Load()
	if err != nil {
		return nil, err
	}
	words, err := wording.Load()
	if err != nil {
		return nil, err
	}
	s := &Site{identity: identity, files: assets, words: words, logger: logger, comuni: newComuni(upstream)}
	s.frames = map[wording.Language]func() (*template.Template, error){}
	for _, l := range wording.Languages() {
		s.frames[l] = sync.OnceValues(func() (*template.Template, error) {
			return template.New("").Funcs(s.functions(l)).ParseFS(files, "templates/_*.html")
		})
	}
	if s.errors, err = s.Section(files, "templates"); err != nil {
		return nil, err
	}
	return s, nil
}

// A Section is the pages of one package.
type Section struct {
	site *Site
	// pages by language and name, each parsed when it is asked for first.
	pages map[wording.Language]map[string]func() (*template.Template, error)
}

// Section takes the pages in a folder, each inside the frame, for each language: their words are bound to it. A page's file
// defines "body"; files that begin with _ are parts that all of them may use. It fails when a page cannot be parsed.
func (s *Site) Section(from fs.FS, folder string) (*Section, error) {
	names, err := fs.Glob(from, folder+"/*.html")
	if err != nil {
		return nil, err
	}
	var parts []string
	for _, name := range names {
		if strings.HasPrefix(path.Base(name), "_") {
			parts = append(parts, name)
		}
	}
	section := &Section{site: s, pages: map[wording.Language]map[string]func() (*template.Template, error){}}
	for _, l := range wording.Languages() {
		shared := sync.OnceValues(func() (*template.Template, error) { return s.inFrame(l, from, parts) })
		section.pages[l] = map[string]func() (*template.Template, error){}
		for _, name := range names {
			if base := path.Base(name); !strings.HasPrefix(base, "_") {
				section.pages[l][strings.TrimSuffix(base, ".html")] = sync.OnceValues(func() (*template.Template, error) { return parse(shared, from, name) })
			}
		}
	}
	// What parses in one language parses in all, only the words differ; and by itself as inside the frame.
	if _, err := template.New("").Funcs(s.functions(wording.Italian)).ParseFS(from, names...); err != nil && len(names) > 0 {
		return nil, fmt.Errorf("page: %w", err)
	}
	return section, nil
}

// inFrame is the frame in a language with the parts of a section.
func (s *Site) inFrame(l wording.Language, from fs.FS, parts []string) (*template.Template, error) {
	frame, err := s.frames[l]()
	if err != nil {
		return nil, err
	}
	shared, err := frame.Clone()
	if err == nil && len(parts) > 0 {
		shared, err = shared.ParseFS(from, parts...)
	}
	if err != nil {
		return nil, fmt.Errorf("parts of pages: %w", err)
	}
	return shared, nil
}

// parse makes a page out of what it shares with others.
func parse(shared func() (*template.Template, error), from fs.FS, name string) (*template.Template, error) {
	common, err := shared()
	if err != nil {
		return nil, err
	}
	page, err := common.Clone()
	if err == nil {
		page, err = page.ParseFS(from, name)
	}
	if err != nil {
		return nil, fmt.Errorf("page: %w", err)
	}
	return page, nil
}

// A Page is what a handler shows.
type Page struct {
	// Template is the name of the file with the page's body, without .html.
	Template string
	// Title is the heading, and what the browser's tab says.
	Title string
	// Description is for search engines.
	Description string
	// Crumbs lead from the home page here; without the page itself.
	Crumbs []Link
	// Data is what the template shows.
	Data any
	// Status of the answer; 0: 200.
	Status int
	// Scripts that make the page better, by name.
	Scripts []string
	// Linked is the JSON-LD of the page.
	Linked any
	// Feeds that belong to the page.
	Feeds []Feed
	// Hidden keeps search engines away.
	Hidden bool
	// Query is the part of the address that other languages keep.
	Query string
	// Bench is what the signed-in side shows around its pages, nil on those of the public.
	Bench *Bench
	// Section that has the template; nil: the one whose handler made the page.
	Section *Section
	// Refresh is after how many seconds a browser without scripts asks for the page again; 0: never.
	Refresh int
	// Redirect leads to another path of the portal instead; Moved says that it is for good.
	Redirect string
	Moved    bool
}

// A Bench is what stands around a page of the signed-in side.
type Bench struct {
	// Links are the main navigation, instead of that of the public pages.
	Links []Link
	// Who is signed in, and the Comune for which, by its title; empty: none.
	Who, Comune string
	// Done is what was just done; Alert what went wrong with none of the fields.
	Done  string
	Alert *Alert
	// Problems are what is wrong with fields.
	Problems []Problem
}

// A Problem is something wrong with a field, by the id of its element.
type Problem struct{ Field, Message string }

// An Alert says what went wrong, and what to do.
type Alert struct{ Title, Text string }

// A Link leads somewhere in the portal; its path has no language.
type Link struct{ Path, Text string }

// A Feed is an address that programs follow.
type Feed struct{ Path, Type, Title string }

// A Request is for a page in a language.
type Request struct {
	*http.Request
	Language wording.Language
	site     *Site
}

// Say says a message in the language of the request.
func (r *Request) Say(id string, values ...any) string { return r.site.say(r.Language, id, values...) }

// Count says a message about a number of things in the language of the request.
func (r *Request) Count(id string, count int, values ...any) string {
	return r.site.count(r.Language, id, count, values...)
}

// Upstream is the context of a call to the server behind the gateway.
func (r *Request) Upstream() context.Context { return edge.Outgoing(r.Context()) }

// BaseURL is https://host of the portal.
func (r *Request) BaseURL() string { return r.site.base(r.Request) }

// Comuni are those of the portal.
func (r *Request) Comuni() Comuni { return r.site.comuni.get(r.Context()) }

// Request makes the request of a page of a plain one.
func (c *Section) Request(r *http.Request) *Request {
	return &Request{Request: r, Language: languageOf(r.Context()), site: c.site}
}

// A Handler makes a page, or says why not.
type Handler func(*Request) (*Page, error)

// Show answers with a page.
func (c *Section) Show(w http.ResponseWriter, r *http.Request, page *Page) {
	c.site.answer(w, c.Request(r), c, page)
}

// Handle makes an HTTP handler that answers with a page, and with an understandable one when something is wrong.
func (c *Section) Handle(h Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, plain *http.Request) {
		ctx, cancel := context.WithTimeout(plain.Context(), answerWithin)
		defer cancel()
		r := &Request{Request: plain.WithContext(ctx), Language: languageOf(ctx), site: c.site}
		page, err := h(r)
		if err != nil {
			c.site.failed(w, r, err)
			return
		}
		if page.Redirect != "" {
			status := http.StatusSeeOther
			if page.Moved {
				status = http.StatusMovedPermanently
			}
			http.Redirect(w, plain, address(r.Language, page.Redirect), status)
			return
		}
		c.site.answer(w, r, c, page)
	})
}

// answer renders a page whole before anything of it is sent.
func (s *Site) answer(w http.ResponseWriter, r *Request, section *Section, page *Page) {
	var body bytes.Buffer
	if page.Section != nil {
		section = page.Section
	}
	parsed, ok := section.pages[r.Language][page.Template]
	if !ok {
		edge.Broken(w, r.Request, fmt.Errorf("page %s: there is no such template", page.Template))
		return
	}
	template, err := parsed()
	if err != nil {
		edge.Broken(w, r.Request, err)
		return
	}
	if err := template.ExecuteTemplate(&body, "frame", s.view(r, page)); err != nil {
		edge.Broken(w, r.Request, fmt.Errorf("page %s: %w", page.Template, err))
		return
	}
	w.Header().Set("Content-Language", string(r.Language))
	edge.Rendered(w, r.Request, max(page.Status, http.StatusOK), "text/html; charset=utf-8", body.Bytes())
}

func (s *Site) base(r *http.Request) string {
	if s.identity.BaseURL != "" {
		return s.identity.BaseURL
	}
	scheme := "http://"
	if r.TLS != nil {
		scheme = "https://"
	}
	return scheme + r.Host
}

func (s *Site) say(l wording.Language, id string, values ...any) string {
	text, err := s.words.Say(l, id, values...)
	if err != nil {
		s.logger.Error("a message of the portal cannot be said", "id", id, "error", err)
	}
	return text
}

func (s *Site) count(l wording.Language, id string, count int, values ...any) string {
	text, err := s.words.Count(l, id, count, values...)
	if err != nil {
		s.logger.Error("a message of the portal cannot be said", "id", id, "error", err)
	}
	return text
}

// title of the portal.
func (s *Site) title(l wording.Language, known Comuni) string {
	if s.identity.Name != "" {
		return s.identity.Name
	}
	if len(known.All) == 1 {
		return s.say(l, "site.ofComune", "Comune", known.All[0].Title)
	}
	return "CID SISTEM"
}

// Wants tells whether a client asks for a page rather than for data.
func Wants(r *http.Request) bool { return strings.Contains(r.Header.Get("Accept"), "text/html") }

// Knows tells whether a message exists.
func (r *Request) Knows(id string) bool { return r.site.words.Has(id) }

// Code says a value of a closed list in the language of the request.
func (r *Request) Code(list, code string) string { return r.site.code(r.Language, list, code) }

// In says a message in a language of its own: an easy-to-read text is Italian on every page.
func (r *Request) In(l wording.Language, id string, values ...any) string {
	return r.site.say(l, id, values...)
}
