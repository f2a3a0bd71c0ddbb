package about

import (
	"context"
	"encoding/xml"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"cidsistem.example/gateway/internal/edge"
	"cidsistem.example/gateway/internal/record"
	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/gateway/internal/wording"
	"cidsistem.example/proto/catalog"
)

const (
	xmlType = "application/xml; charset=utf-8"
	// mapped is for how long a list of records is used before it is made anew.
	mapped = 10 * time.Minute
	// mapPages bounds the pages of 1,000 records in one map: four languages make 48,000 addresses, and a map has 50,000 at most.
	mapPages = 12
)

// fixed are the pages that are no records.
var fixed = []string{
	"/", "/servizi/", "/chi-opera/", "/documenti/", "/buone-pratiche/", "/programmazione/", "/agenda/", "/chiedi/",
	"/rete/", "/accessibilita/", "/privacy/", "/note-legali/", "/contatti/", "/domande-frequenti/", "/dati/",
}

// siteMaps keeps the addresses of records by comune and collection.
type siteMaps struct {
	reader record.Reader
	mu     sync.Mutex
	known  map[string]*record.Shelf[[]place]
}

// A place on a map of the site.
type place struct {
	path    string
	changed time.Time
}

func newSiteMaps(reader record.Reader) *siteMaps {
	return &siteMaps{reader: reader, known: map[string]*record.Shelf[[]place]{}}
}

// of lists the pages of a comune's records of a collection; both must exist.
func (m *siteMaps) of(ctx context.Context, comune, collection string) ([]place, error) {
	m.mu.Lock()
	shelf := m.known[comune+"/"+collection]
	if shelf == nil {
		shelf = &record.Shelf[[]place]{Keep: mapped, Gather: func(ctx context.Context) ([]place, error) {
			var places []place
			err := m.reader.Walk(edge.Anonymous(ctx), collection, catalog.ComuneName(comune), mapPages, func(one proto.Message) {
				of := catalog.RecordOf(one)
				places = append(places, place{record.Path(of.Name()), of.UpdateTime()})
			})
			return places, err
		}}
		m.known[comune+"/"+collection] = shelf
	}
	m.mu.Unlock()
	return shelf.Get(ctx)
}

// The maps in the words of sitemaps.org, with the languages in those of XHTML.
type siteIndex struct {
	XMLName xml.Name  `xml:"http://www.sitemaps.org/schemas/sitemap/0.9 sitemapindex"`
	Maps    []siteMap `xml:"sitemap"`
}

type siteMap struct {
	Address string `xml:"loc"`
}

type addresses struct {
	XMLName xml.Name  `xml:"http://www.sitemaps.org/schemas/sitemap/0.9 urlset"`
	XHTML   string    `xml:"xmlns:xhtml,attr"`
	All     []address `xml:"url"`
}

type address struct {
	Address    string      `xml:"loc"`
	Changed    string      `xml:"lastmod,omitempty"`
	Alternates []alternate `xml:"xhtml:link"`
}

type alternate struct {
	Rel      string `xml:"rel,attr"`
	Language string `xml:"hreflang,attr"`
	Address  string `xml:"href,attr"`
}

func (a *About) robots(r *site.Request) (*site.Document, error) {
	text := "User-agent: *\nDisallow: /v1/\nDisallow: /accesso/\nSitemap: " + r.BaseURL() + "/sitemap.xml\n"
	return &site.Document{MediaType: "text/plain; charset=utf-8", Body: []byte(text)}, nil
}

func (a *About) siteIndex(r *site.Request) (*site.Document, error) {
	index := siteIndex{Maps: []siteMap{{r.BaseURL() + "/sitemap/pagine.xml"}}}
	for _, comune := range r.Comuni().All {
		for _, collection := range record.Collections() {
			index.Maps = append(index.Maps, siteMap{fmt.Sprintf("%s/sitemap/%s/%s.xml", r.BaseURL(), comune.Slug, collection)})
		}
	}
	return document(index)
}

func (a *About) sitePages(r *site.Request) (*site.Document, error) {
	if r.PathValue("part") != "pagine.xml" {
		return nil, site.ErrNoPage
	}
	all := make([]place, len(fixed))
	for i, path := range fixed {
		all[i].path = path
	}
	return document(addressesOf(r.BaseURL(), all))
}

func (a *About) siteRecords(r *site.Request) (*site.Document, error) {
	collection, isXML := strings.CutSuffix(r.PathValue("of"), ".xml")
	_, known := r.Comuni().Of(r.PathValue("comune"))
	if !isXML || !known || !slices.Contains(record.Collections(), collection) {
		return nil, site.ErrNoPage
	}
	places, err := a.maps.of(r.Context(), r.PathValue("comune"), collection)
	if err != nil {
		return nil, err
	}
	return document(addressesOf(r.BaseURL(), places))
}

func addressesOf(base string, places []place) addresses {
	all := addresses{XHTML: "http://www.w3.org/1999/xhtml"}
	for _, one := range places {
		var languages []alternate
		for _, l := range wording.Languages() {
			languages = append(languages, alternate{"alternate", string(l), base + site.Path(l, one.path)})
		}
		changed := ""
		if !one.changed.IsZero() {
			changed = one.changed.UTC().Format(time.RFC3339)
		}
		for _, l := range wording.Languages() {
			all.All = append(all.All, address{base + site.Path(l, one.path), changed, languages})
		}
	}
	return all
}

func document(content any) (*site.Document, error) {
	body, err := xml.Marshal(content)
	if err != nil {
		return nil, fmt.Errorf("write a map of the site: %w", err)
	}
	return &site.Document{MediaType: xmlType, Body: append([]byte(xml.Header), body...)}, nil
}
