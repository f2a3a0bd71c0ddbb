package guide

import (
	"time"

	"cidsistem.example/gateway/internal/hours"
	"cidsistem.example/gateway/internal/record"
	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/proto/gen/registryv1"
)

// finder of services. Hours and places are in no index: the best hits are read, with their places.
func (g *Guide) finder() record.Finder {
	return record.Finder{
		Path: "/servizi/", Kinds: []string{"services"},
		Filters: []record.Filter{
			{Name: "per", Facet: "target_groups"},
			{Name: "aiuto", Facet: "activity_needs"},
			{Name: "costo", Facet: "costs"},
			{Name: "come", Facet: "access"},
			{Name: "stato", Facet: "statuses"},
		},
		Tests: []record.Test{
			{Name: "aperto", Passing: func(r *site.Request, hits []*registryv1.SearchHit) []*registryv1.SearchHit {
				now := time.Now().In(site.Rome)
				return g.passing(r, hits, func(s *registryv1.Service, places places) bool { return openNow(s, places, now) })
			}},
			{Name: "accessibile", Passing: func(r *site.Request, hits []*registryv1.SearchHit) []*registryv1.SearchHit {
				return g.passing(r, hits, enterable)
			}},
		},
	}
}

func (g *Guide) results(r *site.Request) (*site.Page, error) {
	found, err := g.search.Find(r)
	if err != nil {
		return nil, err
	}
	title := r.Say("results.title")
	if found.Words != "" {
		title = r.Say("results.titleFor", "Words", found.Words)
	}
	return &site.Page{
		Template: "results", Title: title, Description: r.Say("results.about"), Data: found, Query: found.Query,
		Scripts: []string{"suggest.js", "list.js"},
	}, nil
}

// places by their names.
type places map[string]*registryv1.Location

// passing keeps the services that pass a test, with their places at hand.
func (g *Guide) passing(r *site.Request, hits []*registryv1.SearchHit, test func(*registryv1.Service, places) bool) []*registryv1.SearchHit {
	names := make([]string, 0, len(hits))
	for _, hit := range hits {
		names = append(names, hit.GetName())
	}
	services := record.Read[*registryv1.Service](r.Upstream(), g.reader, names...)
	var wanted []string
	for _, service := range services {
		for _, place := range service.GetPlaces() {
			wanted = append(wanted, place.GetLocation())
		}
	}
	spots := record.Read[*registryv1.Location](r.Upstream(), g.reader, wanted...)
	var kept []*registryv1.SearchHit
	for _, hit := range hits {
		if service := services[hit.GetName()]; service != nil && test(service, spots) {
			kept = append(kept, hit)
		}
	}
	return kept
}

// openNow tells whether a service says that it is open: at one of its places, or by its own hours.
func openNow(service *registryv1.Service, at places, now time.Time) bool {
	if _, open := hours.Open(service.GetHours(), now); open {
		return true
	}
	for _, place := range service.GetPlaces() {
		schedule := place.GetHours()
		if !hours.Known(schedule) {
			schedule = at[place.GetLocation()].GetOpening()
		}
		if _, open := hours.Open(schedule, now); open && hours.Holds(place.GetValidity(), now) {
			return true
		}
	}
	return false
}

// enterable tells whether a service happens at a place that a wheelchair can enter.
func enterable(service *registryv1.Service, at places) bool {
	for _, place := range service.GetPlaces() {
		grade := at[place.GetLocation()].GetAccessibility().GetWheelchair()
		if grade == registryv1.PlaceAccessibility_FULL || grade == registryv1.PlaceAccessibility_PARTIAL {
			return true
		}
	}
	return false
}
