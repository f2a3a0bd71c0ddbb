package site

import (
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strings"
	"time"

	"cidsistem.example/gateway/internal/edge"
	"cidsistem.example/gateway/internal/wording"
	"cidsistem.example/proto/gen/registryv1"
)

// A view is what the frame shows around a page.
type view struct {
	*Page
	Language wording.Language
	// Site is the portal's name, Owner and Email who publishes it.
	Site, Owner, Email string
	// Path of the page, without language and query.
	Path string
	// Others are the same page in the other languages.
	Others []other
	// Sections are the main navigation.
	Sections []section
	// Base is https://host.
	Base string
	// Comuni behind the portal.
	Comuni Comuni
	// Preview is the path that a page that is not published leads back to, empty on all others.
	Preview string
	// SignedIn is whether the request is made for somebody.
	SignedIn bool
}

type other struct {
	Language wording.Language
	Address  string
	Current  bool
}

type section struct {
	Link
	Current bool
}

// sections of the portal, in the order of the navigation.
var sections = []struct{ path, id string }{
	{"/servizi/", "nav.services"},
	{"/chi-opera/", "nav.people"},
	{"/documenti/", "nav.documents"},
	{"/buone-pratiche/", "nav.practices"},
	{"/programmazione/", "nav.plans"},
	{"/agenda/", "nav.events"},
	{"/chiedi/", "nav.ask"},
}

func (s *Site) view(r *Request, page *Page) *view {
	known := r.Comuni()
	v := &view{
		Page: page, Language: r.Language, Site: s.title(r.Language, known), Owner: s.identity.Owner, Email: s.identity.Email,
		Path: r.URL.Path, Base: s.base(r.Request), Comuni: known, SignedIn: edge.SignedIn(r.Context()),
	}
	v.Preview, _ = r.Context().Value(previewKey{}).(string)
	suffix := ""
	if page.Query != "" {
		suffix = "?" + page.Query
	}
	for _, l := range wording.Languages() {
		v.Others = append(v.Others, other{l, address(l, r.URL.Path) + suffix, l == r.Language})
	}
	if page.Bench != nil {
		for i, link := range page.Bench.Links {
			// The first is the home of all, and is current alone.
			v.Sections = append(v.Sections, section{link, r.URL.Path == link.Path || i > 0 && within(r.URL.Path, link.Path)})
		}
		return v
	}
	for _, one := range sections {
		v.Sections = append(v.Sections, section{Link{one.path, s.say(r.Language, one.id)}, within(r.URL.Path, one.path)})
	}
	return v
}

func within(path, section string) bool {
	return len(path) >= len(section) && path[:len(section)] == section
}

// Canonical is the address by which search engines know the page.
func (v *view) Canonical() string { return v.Base + address(v.Language, v.Path) }

// Rated tells whether the page asks how good it is: every page does, but for those that say what went wrong and that of the rating.
func (v *view) Rated() bool {
	return v.Bench == nil && v.Status < http.StatusBadRequest && !within(v.Path, "/valuta/")
}

// LinkedJSON is the JSON-LD of the page, fit to stand inside a script element.
func (v *view) LinkedJSON() (template.JS, error) {
	text, err := json.Marshal(v.Linked) // escapes <, > and &
	return template.JS(text), err       //nolint:gosec // json.Marshal escapes what could end the element
}

// functions are what templates can call; words and addresses are in the language.
func (s *Site) functions(l wording.Language) template.FuncMap {
	return template.FuncMap{
		"t": func(id string, values ...any) (string, error) { return s.words.Say(l, id, values...) },
		"n": func(id string, count any, values ...any) (string, error) {
			return s.words.Count(l, id, whole(count), values...)
		},
		"has":   s.words.Has,
		"lang":  func() wording.Language { return l },
		"dir":   l.Direction,
		"path":  func(path string) string { return address(l, path) },
		"asset": s.files.Path,
		"icon":  s.icon,
		"query": query,
		"list":  func(values ...any) []any { return values },
		"dict":  dict,
		"lower": func(value any) string { return strings.ToLower(fmt.Sprint(value)) },
		// The last segment of a name.
		"last":  func(name string) string { return name[strings.LastIndexByte(name, '/')+1:] },
		"lines": func(text string) []string { return strings.Split(text, "\n") },
		// Pages of records, by their names.
		"servicePath":  func(name string) string { return recordPath("/servizi/", name) },
		"bodyPath":     func(name string) string { return recordPath("/enti/", name) },
		"placePath":    func(name string) string { return recordPath("/luoghi/", name) },
		"documentPath": func(name string) string { return recordPath("/documenti/", name) },
		// Where something is said to be wrong with a record.
		"correctPath": func(name string) string { return "/correggi/" + strings.TrimPrefix(name, "comuni/") },
		"listed":      func(name string) string { return strings.TrimPrefix(recordPath("", name), "/") },
		"weekday":     func(day registryv1.Weekday) int { return int(day) },
		"loc":         func(text any) template.HTML { return Inline(l, localized(text)) },
		"prose":       func(text any) template.HTML { return Prose(l, localized(text)) },
		"plain":       func(text any) string { return In(l, localized(text)).Text },
		"date":        func(value any) string { return s.date(l, value) },
		"day":         func(value any) string { return s.day(l, value) },
		"moment": func(t time.Time) string {
			return s.say(l, "date.moment", "Date", s.date(l, t), "Time", t.In(Rome).Format("15:04"))
		},
		"clock": Clock,
		"euro":  func(cents any) string { return Euro(l, int64(whole(cents))) },
		"code":  func(list, code any) string { return s.code(l, fmt.Sprint(list), fmt.Sprint(code)) },
		"tag":   func(tag string) string { return s.languageName(l, tag) },
	}
}

// recordPath is the page of a record: comuni/marsala/services/asacom is at /servizi/marsala/asacom.
func recordPath(section, name string) string {
	parts := strings.Split(name, "/")
	if len(parts) != 4 {
		return section
	}
	return section + parts[1] + "/" + parts[3]
}

func whole(value any) int {
	switch v := value.(type) {
	case int:
		return v
	case int32:
		return int(v)
	case int64:
		return int(v)
	}
	return 0
}

// icon draws an icon of Bootstrap Italia; it says nothing that the text beside it does not.
func (s *Site) icon(name string, classes ...string) (template.HTML, error) {
	sprites, err := s.files.Path("icons.svg")
	if err != nil {
		return "", err
	}
	class := "icon"
	for _, more := range classes {
		class += " " + more
	}
	//nolint:gosec // names and classes come from templates alone
	return template.HTML(`<svg class="` + class + `" aria-hidden="true" focusable="false"><use href="` + sprites + `#it-` + name + `"></use></svg>`), nil
}

// query writes the query of an address: name, value, name, value.
func query(values ...any) template.URL {
	q := url.Values{}
	for i := 0; i+1 < len(values); i += 2 {
		q.Add(fmt.Sprint(values[i]), fmt.Sprint(values[i+1]))
	}
	return template.URL(q.Encode()) //nolint:gosec // Encode escapes
}

// dict gives a template several values by name.
func dict(values ...any) map[string]any {
	d := map[string]any{}
	for i := 0; i+1 < len(values); i += 2 {
		d[fmt.Sprint(values[i])] = values[i+1]
	}
	return d
}
