package guide

import (
	"html/template"
	"strings"
	"time"

	"cidsistem.example/gateway/internal/hours"
	"cidsistem.example/gateway/internal/record"
	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/gateway/internal/wording"
	"cidsistem.example/proto/gen/registryv1"
)

// A card is what the page of a service shows.
type card struct {
	*registryv1.Service
	Comune site.Comune
	ID     string
	// Easy is whether the easy-to-read version is shown, HasEasy whether there is one.
	Easy, HasEasy bool
	EasyParts     []easyPart
	Mark          site.Mark
	// State in lower case, as messages have it.
	State string
	// Office answers for the service.
	Office *registryv1.Organization
	// Places with their hours.
	Places []place
	// Hours of the service itself.
	Hours record.Opening
	// Source of the card.
	Source record.Source
	// Temporary is where it works meanwhile.
	Temporary *registryv1.Location
	Providers []provider
	Documents []*registryv1.Document
	Related   []*registryv1.Service
	// Questions that tell whether the service fits; nil when no criterion can be asked.
	Questions *questions
	// Criteria are grouped: those of one group are alternatives.
	Criteria [][]criterion
	// QR is the address of the page, to be printed.
	QR template.HTML
	// Address of the page.
	Address string
}

type easyPart struct{ Title, Text string }

// A place of a service.
type place struct {
	*registryv1.Location
	Path   string
	Hours  record.Opening
	Note   *registryv1.LocalizedText
	Access record.Access
}

type provider struct {
	*registryv1.Provision
	Organization *registryv1.Organization
	Path         string
}

func (g *Guide) card(r *site.Request) (*site.Page, error) {
	comune, id := r.PathValue("comune"), r.PathValue("id")
	if !isSlug(comune) || !isSlug(id) {
		return nil, site.ErrNoPage
	}
	service, err := g.services.GetService(r.Upstream(), &registryv1.GetServiceRequest{Name: "comuni/" + comune + "/services/" + id})
	if err != nil {
		return nil, err
	}
	if other := service.GetReplacedBy(); other != "" {
		return &site.Page{Redirect: record.Path(other), Moved: true}, nil
	}
	c := g.fill(r, service)
	c.Easy = c.HasEasy && r.URL.Query().Get("lettura") == "facile"
	query := ""
	if c.Easy {
		query = "lettura=facile"
	}
	return &site.Page{
		Template: "card", Title: site.In(r.Language, service.GetTitle()).Text, Description: site.In(r.Language, service.GetSummary()).Text,
		Crumbs: []site.Link{{Path: "/servizi/", Text: r.Say("nav.services")}, {Path: "/servizi/?comune=" + comune, Text: c.Comune.Title}},
		Data:   c, Linked: c.linked(r), Scripts: []string{"eligibility.js", "list.js"}, Query: query,
	}, nil
}

// fill gathers what belongs to a service. What cannot be read is left out.
func (g *Guide) fill(r *site.Request, service *registryv1.Service) *card {
	ctx, now := r.Upstream(), time.Now().In(site.Rome)
	slug, _, _ := strings.Cut(strings.TrimPrefix(service.GetName(), "comuni/"), "/")
	c := &card{
		Service: service, ID: listed(service.GetName()), State: strings.ToLower(service.GetStatus().GetState().String()),
		Hours:  record.OpeningOf(service.GetHours(), now),
		Source: record.SourceOf(service.GetName(), service.GetProvenance(), service.GetUpdateTime(), now),
		Mark:   site.Translated(r.Language, texts(service)...), Address: r.BaseURL() + record.Path(service.GetName()),
	}
	if comune, ok := r.Comuni().Of(slug); ok {
		c.Comune = comune
	} else {
		c.Comune = site.Comune{Slug: slug, Title: slug}
	}
	c.QR = qrCode(c.Address)
	c.EasyParts = easyParts(r, service)
	c.HasEasy = len(c.EasyParts) > 0
	c.Criteria, c.Questions = criteria(r, service)

	organizations := []string{service.GetResponsibleOrganization()}
	for _, provision := range service.GetProvisions() {
		organizations = append(organizations, provision.GetOrganization())
	}
	bodies := record.Read[*registryv1.Organization](ctx, g.reader, organizations...)
	locations := []string{service.GetStatus().GetTemporaryLocation()}
	for _, one := range service.GetPlaces() {
		locations = append(locations, one.GetLocation())
	}
	for _, channel := range service.GetAccess() {
		locations = append(locations, channel.GetLocation())
	}
	spots := record.Read[*registryv1.Location](ctx, g.reader, locations...)
	c.Office = bodies[service.GetResponsibleOrganization()]
	c.Temporary = spots[service.GetStatus().GetTemporaryLocation()]
	for _, provision := range service.GetProvisions() {
		c.Providers = append(c.Providers, provider{provision, bodies[provision.GetOrganization()], record.Path(provision.GetOrganization())})
	}
	shown := map[string]bool{}
	for _, one := range service.GetPlaces() {
		location := spots[one.GetLocation()]
		if location == nil || !hours.Holds(one.GetValidity(), now) {
			continue
		}
		shown[location.GetName()] = true
		timetable := record.OpeningOf(one.GetHours(), now)
		if !timetable.Known {
			timetable = record.OpeningOf(location.GetOpening(), now)
		}
		c.Places = append(c.Places, place{location, record.Path(location.GetName()), timetable, one.GetNote(), record.AccessOf(r.Language, location.GetAccessibility())})
	}
	for _, channel := range service.GetAccess() {
		if location := spots[channel.GetLocation()]; location != nil && !shown[location.GetName()] {
			shown[location.GetName()] = true
			c.Places = append(c.Places, place{location, record.Path(location.GetName()), record.OpeningOf(location.GetOpening(), now), nil, record.AccessOf(r.Language, location.GetAccessibility())})
		}
	}
	papers := record.Read[*registryv1.Document](ctx, g.reader, service.GetDocuments()...)
	for _, name := range service.GetDocuments() {
		if paper := papers[name]; paper != nil {
			c.Documents = append(c.Documents, paper)
		}
	}
	others := record.Read[*registryv1.Service](ctx, g.reader, service.GetRelatedServices()...)
	for _, name := range service.GetRelatedServices() {
		if other := others[name]; other != nil {
			c.Related = append(c.Related, other)
		}
	}
	return c
}

// texts of a card, to say how much of it is translated.
func texts(s *registryv1.Service) []*registryv1.LocalizedText {
	all := []*registryv1.LocalizedText{
		s.GetTitle(), s.GetSummary(), s.GetDescription(), s.GetAddressedTo(), s.GetHowTo(), s.GetNeededNote(), s.GetObtainedNote(), s.GetTimesNote(),
		s.GetConditions(), s.GetStatus().GetReason(),
	}
	for _, item := range s.GetNeeded() {
		all = append(all, item.GetTitle())
	}
	for _, item := range s.GetObtained() {
		all = append(all, item.GetTitle())
	}
	for _, criterion := range s.GetEligibility() {
		all = append(all, criterion.GetStatement())
	}
	return all
}

// easyParts are the parts of a card that have an easy-to-read version of their present text. It is Italian.
func easyParts(r *site.Request, s *registryv1.Service) []easyPart {
	var parts []easyPart
	for _, one := range []struct {
		id   string
		text *registryv1.LocalizedText
	}{
		{"easy.what", s.GetSummary()},
		{"easy.more", s.GetDescription()},
		{"easy.who", s.GetAddressedTo()},
		{"easy.how", s.GetHowTo()},
		{"easy.needed", s.GetNeededNote()},
		{"easy.obtained", s.GetObtainedNote()},
		{"easy.times", s.GetTimesNote()},
		{"easy.rules", s.GetConditions()},
	} {
		if text, ok := site.Easy(one.text); ok {
			parts = append(parts, easyPart{r.In(wording.Italian, one.id), text})
		}
	}
	return parts
}

func isSlug(v string) bool {
	if len(v) < 2 || len(v) > 63 || v[0] < 'a' || v[0] > 'z' {
		return false
	}
	return !strings.ContainsFunc(v, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' })
}

// listed is how a list names a service: marsala/asacom.
func listed(name string) string {
	return strings.TrimPrefix(record.Path(name), "/servizi/")
}
