package record

import (
	"cmp"
	"html"
	"html/template"
	"net/url"
	"slices"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/gateway/internal/wording"
	"cidsistem.example/proto/gen/registryv1"
)

const (
	// onePage is how many hits a page has.
	onePage = 20
	// longestWords is how many characters a search takes.
	longestWords = 300
	// lookedAt is how many of the best hits are looked at for tests.
	lookedAt = 100
	// mostChosen is how many values of a filter a search takes.
	mostChosen = 20
)

// A Finder is what a page finds records with: words, and filters over closed lists.
type Finder struct {
	// Path of the page.
	Path string
	// Kinds of records, by collection. With several of them the page offers the choice.
	Kinds []string
	// Filters by the name that the address of the page gives them, in the order of the page.
	Filters []Filter
	// Tests narrow by what no index knows.
	Tests []Test

	search registryv1.SearchServiceClient
	reader Reader
}

// A Filter narrows by a field of the search.
type Filter struct {
	// Name in the address of the page.
	Name string
	// Facet is the field of the search: "document_kinds". Its values are said by messages of that list.
	Facet string
}

// A Test narrows by what the search does not know, such as what is open now: the best hits are looked at one by one.
type Test struct {
	// Name in the address of the page; find.NAME says it.
	Name string
	// Passing keeps the hits that pass.
	Passing func(*site.Request, []*registryv1.SearchHit) []*registryv1.SearchHit
}

// On gives the finder the connection to search over.
func (f Finder) On(conn grpc.ClientConnInterface) Finder {
	f.search, f.reader = registryv1.NewSearchServiceClient(conn), NewReader(conn)
	f.Filters = append([]Filter{{"comune", "comuni"}}, f.Filters...)
	if len(f.Kinds) > 1 {
		f.Filters = append([]Filter{{"tipo", "kinds"}}, f.Filters...)
	}
	return f
}

// Found is what the shared part "finder" shows.
type Found struct {
	Path, Words string
	Kinds       []string
	Filters     []Offered
	Tests       []Choice
	Hits        []Hit
	Total       int
	// Looked is how many of the best hits were looked at for a test; 0: none is chosen.
	Looked int
	// Also are other words that mean the same.
	Also []string
	// Relaxed: nothing has all the words.
	Relaxed bool
	// Narrowed is whether a filter is chosen.
	Narrowed bool
	// Missing are comuni that could not be searched.
	Missing []site.Comune
	// Query is the part of the address that says what was looked for.
	Query string
	// First leads to the first page, Next to more; Wider has the same words alone.
	First, Next, Wider template.URL
	// Later is whether this is not the first page.
	Later bool
	// Several is whether hits are of several kinds.
	Several bool
}

// Offered is a filter with the values that occur.
type Offered struct {
	Name    string
	Label   string
	Choices []Choice
}

// A Choice is a value of a filter.
type Choice struct {
	Value, Label string
	Count        int
	Chosen       bool
}

// A Hit is a record that was found.
type Hit struct {
	Name, Path, Kind, Comune string
	Title                    *registryv1.LocalizedText
	Summary                  template.HTML
	// Language of the summary.
	Language wording.Language
	// Codes of its facets, by facet.
	Codes map[string][]string
}

// Find searches for what the address of a page asks.
func (f Finder) Find(r *site.Request) (*Found, error) {
	asked := r.URL.Query()
	known := r.Comuni()
	request := &registryv1.SearchRequest{
		Q: clip(strings.TrimSpace(asked.Get("q")), longestWords), Kinds: f.Kinds, Facets: true, PageSize: onePage, PageToken: asked.Get("da"),
	}
	found := &Found{Path: f.Path, Words: request.GetQ(), Kinds: f.Kinds, Later: request.GetPageToken() != "", Several: len(f.Kinds) > 1}
	query := url.Values{}
	if request.GetQ() != "" {
		query.Set("q", request.GetQ())
		found.Wider = escaped(query)
	}
	for _, filter := range f.Filters {
		chosen, err := f.chosen(filter, asked[filter.Name], known)
		if err != nil {
			return nil, err
		}
		if len(chosen) > 0 {
			query[filter.Name], found.Narrowed = chosen, true
			narrow(request, filter.Facet, chosen)
		}
	}
	var tests []Test
	for _, test := range f.Tests {
		chosen := asked.Get(test.Name) != ""
		found.Tests = append(found.Tests, Choice{Value: test.Name, Label: r.Say("find." + test.Name), Chosen: chosen})
		if chosen {
			query.Set(test.Name, "1")
			found.Narrowed = true
			tests = append(tests, test)
		}
	}
	if len(tests) > 0 {
		request.PageSize, request.PageToken = lookedAt, ""
	}
	answer, err := f.search.Search(r.Upstream(), request)
	if err != nil {
		return nil, err
	}
	if len(tests) > 0 {
		found.Looked = len(answer.GetHits())
		for _, test := range tests {
			answer.Hits = test.Passing(r, answer.GetHits())
		}
		// Counts are of all that was found, not of what passes.
		answer.TotalSize, answer.NextPageToken, answer.Facets = int32(len(answer.GetHits())), "", nil
	}
	found.Total, found.Also, found.Relaxed = int(answer.GetTotalSize()), answer.GetAlsoSearched(), answer.GetRelaxed()
	found.Query, found.First = query.Encode(), escaped(query)
	found.Filters = f.offer(r, query, answer, known)
	found.Hits = f.hits(r, answer.GetHits(), known)
	for _, name := range answer.GetUnreachable() {
		if comune, ok := known.Of(strings.TrimPrefix(name, "comuni/")); ok {
			found.Missing = append(found.Missing, comune)
		}
	}
	if answer.GetNextPageToken() != "" {
		query.Set("da", answer.GetNextPageToken())
		found.Next = escaped(query)
	}
	return found, nil
}

func escaped(query url.Values) template.URL { return template.URL(query.Encode()) } //nolint:gosec // Encode escapes

// chosen values of a filter. A comune that the portal does not have is no page; a kind that the finder does not have is nothing.
func (f Finder) chosen(filter Filter, values []string, known site.Comuni) ([]string, error) {
	var chosen []string
	for _, value := range values {
		if value == "" || len(value) > 100 || len(chosen) == mostChosen || slices.Contains(chosen, value) {
			continue
		}
		if _, ok := known.Of(value); filter.Facet == "comuni" && !ok {
			return nil, site.ErrNoPage
		}
		if filter.Facet == "kinds" && !slices.Contains(f.Kinds, value) {
			continue
		}
		chosen = append(chosen, value)
	}
	return chosen, nil
}

// narrow sets a filter of a search: facets are called as the fields that narrow by them.
func narrow(request *registryv1.SearchRequest, facet string, values []string) {
	m := request.ProtoReflect()
	list := m.NewField(m.Descriptor().Fields().ByName(protoreflect.Name(facet)))
	for _, value := range values {
		list.List().Append(protoreflect.ValueOfString(value))
	}
	m.Set(m.Descriptor().Fields().ByName(protoreflect.Name(facet)), list)
}

// offer lists the values that occur among the hits, and those that are chosen already. A filter with one value narrows nothing.
func (f Finder) offer(r *site.Request, query url.Values, answer *registryv1.SearchResponse, known site.Comuni) []Offered {
	var offers []Offered
	for _, filter := range f.Filters {
		offered := Offered{Name: filter.Name, Label: r.Say("find." + filter.Name)}
		say := func(code string) string {
			if filter.Facet == "comuni" {
				return known.Name(code)
			}
			return r.Code(filter.Facet, code)
		}
		for _, facet := range answer.GetFacets() {
			if facet.GetFacet() != filter.Facet {
				continue
			}
			for _, count := range facet.GetCounts() {
				if filter.Facet == "kinds" && !slices.Contains(f.Kinds, count.GetCode()) {
					continue
				}
				offered.Choices = append(offered.Choices, Choice{
					Value: count.GetCode(), Label: say(count.GetCode()), Count: int(count.GetCount()), Chosen: slices.Contains(query[filter.Name], count.GetCode()),
				})
			}
		}
		for _, value := range query[filter.Name] {
			if !slices.ContainsFunc(offered.Choices, func(c Choice) bool { return c.Value == value }) {
				offered.Choices = append(offered.Choices, Choice{Value: value, Label: say(value), Chosen: true})
			}
		}
		if len(offered.Choices) > 1 || len(query[filter.Name]) > 0 {
			offers = append(offers, offered)
		}
	}
	return offers
}

// hits of a page. A search knows Italian titles; for other languages the records are read.
func (f Finder) hits(r *site.Request, found []*registryv1.SearchHit, known site.Comuni) []Hit {
	records := map[string]proto.Message{}
	if r.Language != wording.Italian {
		names := make([]string, len(found))
		for i, hit := range found {
			names[i] = hit.GetName()
		}
		records = f.reader.All(r.Upstream(), names...)
	}
	hits := make([]Hit, len(found))
	for i, one := range found {
		hit := Hit{
			Name: one.GetName(), Path: Path(one.GetName()), Kind: one.GetKind(), Comune: known.Name(one.GetComune()), Language: wording.Italian,
			Title: &registryv1.LocalizedText{It: one.GetTitle()}, Summary: snippet(cmp.Or(one.GetSnippet(), html.EscapeString(one.GetSummary()))),
			Codes: map[string][]string{},
		}
		for facet, codes := range one.GetFacets() {
			hit.Codes[facet] = codes.GetCodes()
		}
		if record := records[hit.Name]; record != nil {
			hit.Title = Text(record, "title")
			summary := cmp.Or(Text(record, "summary"), Text(record, "description"))
			if chosen := site.In(r.Language, summary); chosen.Language == r.Language {
				hit.Summary, hit.Language = template.HTML(html.EscapeString(chosen.Text)), r.Language //nolint:gosec // escaped
			}
		}
		hits[i] = hit
	}
	return hits
}

// clip cuts a text to at most so many characters.
func clip(text string, most int) string {
	runes := []rune(text)
	return string(runes[:min(len(runes), most)])
}

// snippet lets nothing of a matched text through but the marks that the search set: those stand unescaped, all else is escaped.
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
