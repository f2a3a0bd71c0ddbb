package library

import (
	"context"
	"encoding/xml"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"cidsistem.example/gateway/internal/edge"
	"cidsistem.example/gateway/internal/record"
	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/registryv1"
)

const (
	atomType = "application/atom+xml; charset=utf-8"
	// inFeed is how many entries a feed has.
	inFeed = 50
)

// newest keeps the records of a collection, of all comuni, that changed last.
func (l *Library) newest(collection string) *record.Shelf[[]proto.Message] {
	return &record.Shelf[[]proto.Message]{Keep: keep, Gather: func(ctx context.Context) ([]proto.Message, error) {
		ctx = edge.Anonymous(ctx)
		answer, err := l.search.Search(ctx, &registryv1.SearchRequest{Kinds: []string{collection}, PageSize: inFeed, Order: registryv1.SearchRequest_NEWEST_FIRST})
		if err != nil {
			return nil, err
		}
		names := make([]string, 0, inFeed)
		for _, hit := range answer.GetHits() {
			names = append(names, hit.GetName())
		}
		return l.reader.InOrder(ctx, names...), nil
	}}
}

// The feed in the words of RFC 4287.
type feed struct {
	XMLName xml.Name `xml:"http://www.w3.org/2005/Atom feed"`
	Lang    string   `xml:"xml:lang,attr"`
	ID      string   `xml:"id"`
	Title   string   `xml:"title"`
	Updated string   `xml:"updated"`
	Author  author   `xml:"author"`
	Links   []link   `xml:"link"`
	Rights  string   `xml:"rights"`
	Entries []entry  `xml:"entry"`
}

type author struct {
	Name string `xml:"name"`
}

type link struct {
	Rel  string `xml:"rel,attr"`
	Type string `xml:"type,attr,omitempty"`
	Href string `xml:"href,attr"`
}

type entry struct {
	ID        string `xml:"id"`
	Title     text   `xml:"title"`
	Published string `xml:"published,omitempty"`
	Updated   string `xml:"updated"`
	Author    author `xml:"author"`
	Links     []link `xml:"link"`
	Summary   *text  `xml:"summary"`
}

type text struct {
	Lang string `xml:"xml:lang,attr,omitempty"`
	Text string `xml:",chardata"`
}

// feed serves what changed last of a part of the library.
func (l *Library) feed(title, path string, shelf *record.Shelf[[]proto.Message]) func(*site.Request) (*site.Document, error) {
	return func(r *site.Request) (*site.Document, error) {
		records, err := shelf.Get(r.Context())
		if err != nil {
			return nil, err
		}
		page, self := r.Address(path), r.Address(path+"novita.atom")
		f := feed{
			Lang: string(r.Language), ID: self, Title: r.Say(title), Author: author{"CID SISTEM"}, Rights: "CC BY 4.0",
			Links: []link{{"self", "application/atom+xml", self}, {"alternate", "text/html", page}},
		}
		known := r.Comuni()
		var updated time.Time
		for _, one := range records {
			of := catalog.RecordOf(one)
			parsed, err := catalog.ParseName(of.Name())
			if err != nil {
				continue
			}
			if of.UpdateTime().After(updated) {
				updated = of.UpdateTime()
			}
			address := r.Address(record.Path(of.Name()))
			title, summary := site.In(r.Language, record.Text(one, "title")), site.In(r.Language, record.Text(one, "summary"))
			e := entry{
				ID: address, Title: text{string(title.Language), title.Text}, Updated: stamp(of.UpdateTime()), Published: stamp(of.CreateTime()),
				Author: author{known.Name(parsed.Comune())}, Links: []link{{"alternate", "text/html", address}},
			}
			if summary.Text != "" {
				e.Summary = &text{string(summary.Language), summary.Text}
			}
			f.Entries = append(f.Entries, e)
		}
		f.Updated = stamp(updated)
		body, err := xml.MarshalIndent(f, "", " ")
		if err != nil {
			return nil, fmt.Errorf("write the feed: %w", err)
		}
		return &site.Document{MediaType: atomType, Body: append([]byte(xml.Header), body...)}, nil
	}
}

// stamp writes a time as RFC 3339; one that is not known is the beginning of 1970, since a feed must have one.
func stamp(t time.Time) string {
	if t.IsZero() {
		t = time.Unix(0, 0)
	}
	return t.UTC().Format(time.RFC3339)
}
