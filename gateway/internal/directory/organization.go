package directory

import (
	"cidsistem.example/gateway/internal/record"
	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/proto/gen/registryv1"
)

type organization struct {
	*registryv1.Organization
	Mark   site.Mark
	Source record.Source
	// Reference is the card of the same body that another comune keeps.
	Parent, Places, Reference               []record.Link
	Services, Operators, Practices, Actions record.Links
}

func (d *Directory) organization(r *site.Request) (*site.Page, error) {
	o, err := d.organizations.GetOrganization(r.Upstream(), &registryv1.GetOrganizationRequest{Name: name(r, "organizations")})
	if err != nil {
		return nil, err
	}
	if other := o.GetReplacedBy(); other != "" {
		return &site.Page{Redirect: record.Path(other), Moved: true}, nil
	}
	ctx := r.Upstream()
	data := organization{
		Organization: o, Source: record.SourceOf(o.GetName(), o.GetProvenance(), o.GetUpdateTime(), d.now()),
		Parent:    d.reader.Links(ctx, o.GetParentOrganization()),
		Reference: d.reader.Links(ctx, o.GetSameAs()),
	}
	lists := d.reader.ReferringAll(ctx, o.GetName(), "services", "operators", "practices", "actions", "locations")
	data.Services, data.Operators, data.Practices, data.Actions = lists["services"], lists["operators"], lists["practices"], lists["actions"]
	data.Places = places(d.reader.Links(ctx, o.GetLocations()...), lists["locations"].All)
	data.Mark = site.Translated(r.Language, append(texts(data.Services), o.GetTitle(), o.GetSummary(), o.GetStatus().GetReason())...)
	title := site.In(r.Language, o.GetTitle()).Text
	return &site.Page{
		Template: "organization", Title: title, Description: site.In(r.Language, o.GetSummary()).Text, Crumbs: crumbs(r), Data: data,
		Linked: map[string]any{
			"@context": "https://schema.org", "@type": "Organization", "name": title, "description": site.In(r.Language, o.GetSummary()).Text,
			"url": r.Address(record.Path(o.GetName())), "address": postal(o.GetSeat()), "contactPoint": reachable(o.GetContacts()),
		},
	}, nil
}

// places that an organisation names, then those that name it, each once.
func places(named, naming []record.Link) []record.Link {
	seen := map[string]bool{}
	var all []record.Link
	for _, link := range append(named, naming...) {
		if !seen[link.Name] {
			seen[link.Name] = true
			all = append(all, link)
		}
	}
	return all
}

// postal is an address in the words of schema.org.
func postal(a *registryv1.Address) map[string]any {
	if a == nil || a.GetWithheldReason() != "" {
		return nil
	}
	return map[string]any{
		"@type": "PostalAddress", "streetAddress": a.GetStreet(), "postalCode": a.GetPostalCode(), "addressLocality": a.GetMunicipality(), "addressCountry": "IT",
	}
}

// reachable are telephones and e-mail addresses in the words of schema.org.
func reachable(contacts []*registryv1.ContactPoint) []map[string]any {
	var all []map[string]any
	for _, contact := range contacts {
		point := map[string]any{"@type": "ContactPoint"}
		switch contact.GetKind() {
		case registryv1.ContactPoint_PHONE, registryv1.ContactPoint_MOBILE:
			point["telephone"] = contact.GetValue()
		case registryv1.ContactPoint_EMAIL, registryv1.ContactPoint_PEC:
			point["email"] = contact.GetValue()
		default:
			continue
		}
		all = append(all, point)
	}
	return all
}
