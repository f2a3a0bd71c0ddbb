package directory

import (
	"cidsistem.example/gateway/internal/record"
	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/proto/gen/registryv1"
)

type location struct {
	*registryv1.Location
	Mark    site.Mark
	Source  record.Source
	Opening record.Opening
	// Moved is where it is for a time.
	Moved, Organization           []record.Link
	Services, Operators, Meetings record.Links
	Access                        record.Access
}

func (d *Directory) location(r *site.Request) (*site.Page, error) {
	l, err := d.locations.GetLocation(r.Upstream(), &registryv1.GetLocationRequest{Name: name(r, "locations")})
	if err != nil {
		return nil, err
	}
	if other := l.GetReplacedBy(); other != "" {
		return &site.Page{Redirect: record.Path(other), Moved: true}, nil
	}
	ctx := r.Upstream()
	lists := d.reader.ReferringAll(ctx, l.GetName(), "services", "operators", "events")
	data := location{
		Location: l, Source: record.SourceOf(l.GetName(), l.GetProvenance(), l.GetUpdateTime(), d.now()), Opening: record.OpeningOf(l.GetOpening(), d.now()),
		Moved: d.reader.Links(ctx, l.GetStatus().GetTemporaryLocation()), Organization: d.reader.Links(ctx, l.GetOrganization()),
		Services: lists["services"], Operators: lists["operators"], Meetings: lists["events"], Access: record.AccessOf(r.Language, l.GetAccessibility()),
	}
	data.Mark = site.Translated(r.Language, append(texts(data.Services), l.GetTitle(), l.GetDescription(), l.GetDirections(), l.GetAccessibility().GetNote(),
		l.GetAccessibility().GetHelpOnArrival(), l.GetStatus().GetReason(), l.GetOpening().GetNote())...)
	title := site.In(r.Language, l.GetTitle()).Text
	return &site.Page{
		Template: "location", Title: title, Description: site.In(r.Language, l.GetDescription()).Text, Crumbs: crumbs(r), Data: data,
		Linked: map[string]any{
			"@context": "https://schema.org", "@type": "Place", "name": title, "description": site.In(r.Language, l.GetDescription()).Text,
			"url": r.Address(record.Path(l.GetName())), "address": postal(l.GetAddress()),
		},
	}, nil
}
