package guide

import (
	"html/template"
	"net/url"
	"strings"

	"cidsistem.example/gateway/internal/record"
	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/proto/gen/registryv1"
)

// mostListed is how many services a list may have.
const mostListed = 30

type chosen struct {
	Cards []*card
	// Gone are entries that lead to nothing any more.
	Gone int
	// Address of the list, to be shared, and the same to be scanned.
	Address string
	QR      template.HTML
	// Without is the query of the list without each card.
	Without map[string]string
}

// list shows services that a person chose. The address says which: it can be kept, sent and printed.
func (g *Guide) list(r *site.Request) (*site.Page, error) {
	entries := wanted(r.URL.Query()["s"])
	names := make([]string, 0, len(entries))
	for _, entry := range entries {
		comune, id, _ := strings.Cut(entry, "/")
		names = append(names, "comuni/"+comune+"/services/"+id)
	}
	found := record.Read[*registryv1.Service](r.Upstream(), g.reader, names...)
	data := chosen{Without: map[string]string{}}
	for i, name := range names {
		service := found[name]
		if service == nil {
			data.Gone++
			continue
		}
		data.Cards = append(data.Cards, g.fill(r, service))
		rest := url.Values{}
		for j, entry := range entries {
			if i != j {
				rest.Add("s", entry)
			}
		}
		data.Without[entries[i]] = rest.Encode()
	}
	query := url.Values{"s": entries}.Encode()
	if len(entries) > 0 {
		data.Address = r.BaseURL() + "/la-mia-lista/?" + query
		data.QR = qrCode(data.Address)
	}
	return &site.Page{
		Template: "list", Title: r.Say("list.title"), Data: data, Query: query, Scripts: []string{"list.js"}, Hidden: true,
		Crumbs: []site.Link{{Path: "/servizi/", Text: r.Say("nav.services")}},
	}, nil
}

// wanted keeps entries that can be services, each once.
func wanted(entries []string) []string {
	var kept []string
	seen := map[string]bool{}
	for _, entry := range entries {
		comune, id, _ := strings.Cut(entry, "/")
		if isSlug(comune) && isSlug(id) && !seen[entry] && len(kept) < mostListed {
			seen[entry] = true
			kept = append(kept, entry)
		}
	}
	return kept
}
