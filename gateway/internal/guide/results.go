package guide

import (
	"cmp"
	"html"
	"html/template"
	"net/url"
	"slices"
	"strings"

	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/gateway/internal/wording"
	"cidsistem.example/proto/gen/registryv1"
)

// onePage is how many results a page has.
const onePage = 20

// A filter of the results: the name in the address, the facet of the search, and how many choices are shown at once.
type filter struct {
	Name, Facet string
	// Choices are the values that occur.
	Choices []choice
	// Chosen is whether one of them is.
	Chosen bool
}

type choice struct {
	Value, Label string
	Count        int
	Chosen       bool
}

// A result is a service that was found.
type result struct {
	Name, Path, ID string
	Comune         string
	Title          *registryv1.LocalizedText
	Summary        template.HTML
	State          string
	Verified       any
	For            []string
}

type results struct {
	Words   string
	Comune  string
	Filters []filter
	Open    bool
	Access  bool
	Results []result
	Total   int
	// Looked is how many of the best results were looked at, when hours or places had to be; 0: all count.
	Looked int
	// Also are other words that mean the same.
	Also    []string
	Relaxed bool
	// Narrowed is whether anything but words narrows the search.
	Narrowed bool
	// Missing are comuni that could not be searched.
	Missing []site.Comune
	// Next is the query of the next page.
	Next string
	// Away from filters: the same words alone.
	Wider string
}

// asked is what the address of a search says.
type asked struct {
	words, token string
	values       map[string][]string
	open, access bool
	query        url.Values
}

// The filters, in the order of the page.
var filters = []struct{ name, facet string }{
	{"comune", "comuni"},
	{"per", "target_groups"},
	{"aiuto", "activity_needs"},
	{"costo", "costs"},
	{"come", "access"},
	{"stato", "statuses"},
}

func readAsked(query url.Values) asked {
	a := asked{words: clip(strings.TrimSpace(query.Get("q")), 300), token: query.Get("pagina"), values: map[string][]string{}, query: url.Values{}}
	if a.words != "" {
		a.query.Set("q", a.words)
	}
	for _, f := range filters {
		for _, value := range query[f.name] {
			if value != "" && len(value) <= 100 && len(a.values[f.name]) < 20 {
				a.values[f.name] = append(a.values[f.name], value)
				a.query.Add(f.name, value)
			}
		}
	}
	if a.open = query.Get("aperto") != ""; a.open {
		a.query.Set("aperto", "1")
	}
	if a.access = query.Get("accessibile") != ""; a.access {
		a.query.Set("accessibile", "1")
	}
	return a
}

// clip cuts a text to at most so many characters.
func clip(text string, most int) string {
	runes := []rune(text)
	return string(runes[:min(len(runes), most)])
}

func (a asked) request() *registryv1.SearchRequest {
	return &registryv1.SearchRequest{
		Q: a.words, Kinds: []string{"services"}, Facets: true, PageSize: onePage, PageToken: a.token,
		Comuni: slugs(a.values["comune"]), TargetGroups: a.values["per"], ActivityNeeds: a.values["aiuto"], Costs: a.values["costo"],
		Access: a.values["come"], Statuses: a.values["stato"],
	}
}

// slugs leaves out what cannot be one.
func slugs(values []string) []string {
	return slices.DeleteFunc(slices.Clone(values), func(v string) bool { return !isSlug(v) })
}

func isSlug(v string) bool {
	if len(v) < 2 || len(v) > 63 || v[0] < 'a' || v[0] > 'z' {
		return false
	}
	return !strings.ContainsFunc(v, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' })
}

func (g *Guide) results(r *site.Request) (*site.Page, error) {
	a := readAsked(r.URL.Query())
	request := a.request()
	var (
		answer *registryv1.SearchResponse
		err    error
		looked int
	)
	if a.open || a.access {
		answer, looked, err = g.narrow(r, a, request)
	} else {
		answer, err = g.search.Search(r.Upstream(), request)
	}
	if err != nil {
		return nil, err
	}
	known := r.Comuni()
	data := results{
		Words: a.words, Filters: g.filters(r, a, answer), Open: a.open, Access: a.access, Total: int(answer.GetTotalSize()), Looked: looked,
		Also: answer.GetAlsoSearched(), Relaxed: answer.GetRelaxed(), Narrowed: len(a.query) > 1 || len(a.query) == 1 && a.words == "",
		Wider: url.Values{"q": {a.words}}.Encode(),
	}
	if chosen := a.values["comune"]; len(chosen) == 1 {
		data.Comune = chosen[0]
	}
	for _, name := range answer.GetUnreachable() {
		if comune, ok := known.Of(strings.TrimPrefix(name, "comuni/")); ok {
			data.Missing = append(data.Missing, comune)
		}
	}
	data.Results = g.shown(r, answer.GetHits(), known)
	if answer.GetNextPageToken() != "" {
		next := url.Values{}
		for name, values := range a.query {
			next[name] = values
		}
		next.Set("pagina", answer.GetNextPageToken())
		data.Next = next.Encode()
	}
	title := r.Say("results.title")
	if a.words != "" {
		title = r.Say("results.titleFor", "Words", a.words)
	}
	return &site.Page{
		Template: "results", Title: title, Description: r.Say("results.about"), Data: data, Query: a.query.Encode(),
		Scripts: []string{"suggest.js", "list.js"}, Crumbs: []site.Link{}, Hidden: false,
	}, nil
}

// filters offers the values that occur among the results, and those that are chosen already.
func (g *Guide) filters(r *site.Request, a asked, answer *registryv1.SearchResponse) []filter {
	var all []filter
	for _, f := range filters {
		one := filter{Name: f.name, Facet: f.facet, Chosen: len(a.values[f.name]) > 0}
		for _, facet := range answer.GetFacets() {
			if facet.GetFacet() != f.facet {
				continue
			}
			for _, count := range facet.GetCounts() {
				one.Choices = append(one.Choices, choice{
					Value: count.GetCode(), Label: label(r, f.facet, count.GetCode()), Count: int(count.GetCount()), Chosen: slices.Contains(a.values[f.name], count.GetCode()),
				})
			}
		}
		for _, value := range a.values[f.name] {
			if !slices.ContainsFunc(one.Choices, func(c choice) bool { return c.Value == value }) && r.Knows(f.facet+"."+value) {
				one.Choices = append(one.Choices, choice{Value: value, Label: label(r, f.facet, value), Chosen: true})
			}
		}
		if len(one.Choices) > 1 || one.Chosen {
			all = append(all, one)
		}
	}
	return all
}

func label(r *site.Request, facet, code string) string {
	if facet == "comuni" {
		return r.Comuni().Name(code)
	}
	return r.Code(facet, code)
}

// shown makes results of hits. A search knows Italian titles; for other languages the records are read.
func (g *Guide) shown(r *site.Request, hits []*registryv1.SearchHit, known site.Comuni) []result {
	records := map[string]*registryv1.Service{}
	if r.Language != wording.Italian {
		names := make([]string, 0, len(hits))
		for _, hit := range hits {
			names = append(names, hit.GetName())
		}
		records = g.read(r, names)
	}
	all := make([]result, 0, len(hits))
	for _, hit := range hits {
		one := result{
			Name: hit.GetName(), ID: listed(hit.GetName()), Path: cardPath(hit.GetName()), Comune: known.Name(hit.GetComune()),
			Title: &registryv1.LocalizedText{It: hit.GetTitle()}, Summary: snippet(cmp.Or(hit.GetSnippet(), html.EscapeString(hit.GetSummary()))),
			State: first(hit.GetFacets()["statuses"]), For: hit.GetFacets()["target_groups"].GetCodes(), Verified: hit.GetVerifyTime(),
		}
		if r.Language != wording.Italian && one.Summary != "" {
			one.Summary = `<span lang="it" dir="ltr">` + one.Summary + `</span>`
		}
		if record := records[hit.GetName()]; record != nil {
			one.Title = record.GetTitle()
			if site.In(r.Language, record.GetSummary()).Language == r.Language {
				one.Summary = site.Inline(r.Language, record.GetSummary())
			}
		}
		all = append(all, one)
	}
	return all
}

func first(codes *registryv1.FacetCodes) string {
	if all := codes.GetCodes(); len(all) > 0 {
		return all[0]
	}
	return ""
}

// snippet lets nothing through but marks.
func snippet(marked string) template.HTML {
	var out strings.Builder
	for i, part := range strings.Split(marked, "<mark>") {
		if i > 0 {
			out.WriteString("<mark>")
		}
		for j, piece := range strings.Split(part, "</mark>") {
			if j > 0 {
				out.WriteString("</mark>")
			}
			out.WriteString(html.EscapeString(html.UnescapeString(piece)))
		}
	}
	return template.HTML(out.String()) //nolint:gosec // escaped above
}

// cardPath is the page of a service: comuni/marsala/services/asacom is at /servizi/marsala/asacom.
func cardPath(name string) string {
	return "/servizi/" + listed(name)
}

// listed is how a list names a service: marsala/asacom.
func listed(name string) string {
	parts := strings.Split(name, "/")
	if len(parts) != 4 {
		return ""
	}
	return parts[1] + "/" + parts[3]
}
