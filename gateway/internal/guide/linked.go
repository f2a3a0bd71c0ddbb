package guide

import (
	"cmp"
	"net/url"
	"strings"

	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/gateway/internal/wording"
	"cidsistem.example/proto/gen/registryv1"
)

// linked is the card as JSON-LD: schema.org GovernmentService, with the fields that Modello Comuni asks for.
func (c *card) linked(r *site.Request) any {
	text := func(t *registryv1.LocalizedText) string { return site.In(r.Language, t).Text }
	service := map[string]any{
		"@context": "https://schema.org", "@type": "GovernmentService", "@id": c.Address, "url": c.Address, "name": text(c.GetTitle()),
		"inLanguage": string(site.In(r.Language, c.GetTitle()).Language),
	}
	set := func(in map[string]any, name string, value any) {
		switch v := value.(type) {
		case string:
			if v == "" {
				return
			}
		case []any:
			if len(v) == 0 {
				return
			}
		}
		in[name] = value
	}
	set(service, "description", text(c.GetSummary()))
	var categories []string
	for _, category := range c.GetCategories() {
		categories = append(categories, cmp.Or(category.GetLabel(), category.GetCode()))
	}
	set(service, "serviceType", cmp.Or(strings.Join(categories, ", "), r.In(wording.Italian, "card.serviceType")))
	operator := map[string]any{"@type": "GovernmentOrganization", "name": c.Comune.Title}
	if c.Office != nil {
		operator["name"] = text(c.Office.GetTitle())
	}
	service["serviceOperator"] = operator
	var areas []any
	for _, area := range c.GetAreasServed() {
		areas = append(areas, map[string]any{"@type": "AdministrativeArea", "name": area.GetLabel()})
	}
	set(service, "areaServed", areas)
	var groups []string
	for _, group := range c.GetTargetGroups() {
		groups = append(groups, r.Code("target_groups", group.String()))
	}
	set(service, "audience", map[string]any{"@type": "Audience", "audienceType": cmp.Or(strings.Join(groups, ", "), text(c.GetAddressedTo()))})
	var channels []any
	for _, access := range c.GetAccess() {
		channel := map[string]any{"@type": "ServiceChannel", "name": r.Code("access", access.GetKind().String())}
		set(channel, "serviceUrl", access.GetUri())
		if len(c.GetLanguages()) > 0 {
			channel["availableLanguage"] = c.GetLanguages()
		}
		for _, one := range c.Places {
			if one.GetName() == access.GetLocation() {
				channel["serviceLocation"] = spot(one.Location, text)
			}
		}
		channels = append(channels, channel)
	}
	if len(channels) == 0 {
		for _, one := range c.Places {
			channels = append(channels, map[string]any{"@type": "ServiceChannel", "serviceLocation": spot(one.Location, text)})
		}
	}
	// Where nothing is said of how to get to it, people ask at the comune's desk.
	if len(channels) == 0 {
		desk := map[string]any{"@type": "ServiceChannel", "name": c.Comune.Title, "serviceUrl": r.Address("/chiedi/?" + url.Values{"comune": {c.Comune.Slug}, "servizio": {c.GetName()}}.Encode())}
		set(desk, "servicePhone", c.Comune.Phone())
		channels = append(channels, desk)
	}
	set(service, "availableChannel", channels)
	return service
}

// spot is a place with its postal address; a withheld address stays withheld.
func spot(location *registryv1.Location, text func(*registryv1.LocalizedText) string) map[string]any {
	where := map[string]any{"@type": "Place", "name": text(location.GetTitle())}
	address := location.GetAddress()
	if address.GetWithheldReason() != "" || address == nil {
		return where
	}
	where["address"] = map[string]any{
		"@type": "PostalAddress", "streetAddress": address.GetStreet(), "postalCode": address.GetPostalCode(),
		"addressLocality": address.GetMunicipality(), "addressCountry": "IT",
	}
	return where
}
