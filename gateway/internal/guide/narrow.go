package guide

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"cidsistem.example/gateway/internal/hours"
	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/proto/gen/registryv1"
)

const (
	// lookedAt is how many of the best results are looked at one by one, when hours or places decide.
	lookedAt = 100
	// atOnce is how many records are read at the same time.
	atOnce = 16
)

// narrow finds services that are open now, or that happen at a place which a wheelchair can enter. Neither is in the search index:
// the best results are read, with their places.
func (g *Guide) narrow(r *site.Request, a asked, request *registryv1.SearchRequest) (*registryv1.SearchResponse, int, error) {
	request.PageSize, request.PageToken = lookedAt, ""
	answer, err := g.search.Search(r.Upstream(), request)
	if err != nil {
		return nil, 0, err
	}
	looked := len(answer.GetHits())
	names := make([]string, 0, looked)
	for _, hit := range answer.GetHits() {
		names = append(names, hit.GetName())
	}
	services := g.read(r, names)
	var wanted []string
	for _, service := range services {
		for _, place := range service.GetPlaces() {
			wanted = append(wanted, place.GetLocation())
		}
	}
	places := readAll(r.Upstream(), wanted, func(ctx context.Context, name string) (*registryv1.Location, error) {
		return g.locations.GetLocation(ctx, &registryv1.GetLocationRequest{Name: name})
	})
	now := time.Now().In(site.Rome)
	var kept []*registryv1.SearchHit
	for _, hit := range answer.GetHits() {
		service := services[hit.GetName()]
		if a.open && !openNow(service, places, now) || a.access && !enterable(service, places) {
			continue
		}
		kept = append(kept, hit)
	}
	answer.Hits, answer.TotalSize, answer.NextPageToken = kept, int32(len(kept)), "" //nolint:gosec // at most lookedAt
	answer.Facets = nil
	return answer, looked, nil
}

// openNow tells whether a service says that it is open: at one of its places, or by its own hours.
func openNow(service *registryv1.Service, places map[string]*registryv1.Location, now time.Time) bool {
	if _, open := hours.Open(service.GetHours(), now); open {
		return true
	}
	for _, place := range service.GetPlaces() {
		schedule := place.GetHours()
		if !hours.Known(schedule) {
			schedule = places[place.GetLocation()].GetOpening()
		}
		if _, open := hours.Open(schedule, now); open && hours.Holds(place.GetValidity(), now) {
			return true
		}
	}
	return false
}

func enterable(service *registryv1.Service, places map[string]*registryv1.Location) bool {
	for _, place := range service.GetPlaces() {
		grade := places[place.GetLocation()].GetAccessibility().GetWheelchair()
		if grade == registryv1.PlaceAccessibility_FULL || grade == registryv1.PlaceAccessibility_PARTIAL {
			return true
		}
	}
	return false
}

// read reads services; those that cannot be read are left out.
func (g *Guide) read(r *site.Request, names []string) map[string]*registryv1.Service {
	return readAll(r.Upstream(), names, func(ctx context.Context, name string) (*registryv1.Service, error) {
		return g.services.GetService(ctx, &registryv1.GetServiceRequest{Name: name})
	})
}

// readAll reads records side by side, each once. What cannot be read is left out: a page says what it knows.
func readAll[T any](ctx context.Context, names []string, get func(context.Context, string) (T, error)) map[string]T {
	var (
		mu    sync.Mutex
		found = map[string]T{}
		group errgroup.Group
		seen  = map[string]bool{}
	)
	group.SetLimit(atOnce)
	for _, name := range names {
		if name == "" || seen[name] {
			continue
		}
		seen[name] = true
		group.Go(func() error {
			if record, err := get(ctx, name); err == nil {
				mu.Lock()
				found[name] = record
				mu.Unlock()
			}
			return nil
		})
	}
	_ = group.Wait() // no function fails
	return found
}
