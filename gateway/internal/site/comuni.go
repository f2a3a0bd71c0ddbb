package site

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
	"google.golang.org/grpc"

	"cidsistem.example/gateway/internal/edge"
	"cidsistem.example/proto/gen/registryv1"
)

const (
	// keepComuni is how long the list of comuni is used before it is asked for again.
	keepComuni = 10 * time.Second
	// askComuni is how long the answer may take; the last one known stands when it does not come.
	askComuni = 3 * time.Second
)

// A Comune of the portal.
type Comune struct {
	// Slug is the second segment of its records' names.
	Slug string
	// Title is its name.
	Title string
	// Record is what the comune says of itself.
	Record *registryv1.Comune
	// Coverage is how fresh its data are; nil: not known.
	Coverage *registryv1.Coverage
}

// Phone is the first telephone number of its social services, empty when it has none.
func (c Comune) Phone() string {
	for _, contact := range c.Record.GetContacts() {
		if contact.GetKind() == registryv1.ContactPoint_PHONE || contact.GetKind() == registryv1.ContactPoint_MOBILE {
			return contact.GetValue()
		}
	}
	return ""
}

// AsOf is up to when its data are known; the zero time when nothing is.
func (c Comune) AsOf() time.Time {
	if c.Coverage.GetAsOfTime() == nil {
		return time.Time{}
	}
	return c.Coverage.GetAsOfTime().AsTime()
}

// Away tells that its node does not answer, and the data shown are older ones, or none.
func (c Comune) Away() bool {
	state := c.Coverage.GetState()
	return state == registryv1.Coverage_STALE || state == registryv1.Coverage_MISSING
}

// Comuni are those of the portal, by their titles.
type Comuni struct{ All []Comune }

// Missing are those whose nodes do not answer.
func (c Comuni) Missing() []Comune {
	var away []Comune
	for _, comune := range c.All {
		if comune.Away() {
			away = append(away, comune)
		}
	}
	return away
}

// Of finds one by its slug.
func (c Comuni) Of(slug string) (Comune, bool) {
	for _, comune := range c.All {
		if comune.Slug == slug {
			return comune, true
		}
	}
	return Comune{}, false
}

// Name of the comune with a slug, the slug itself when it is not known.
func (c Comuni) Name(slug string) string {
	comune, _ := c.Of(slug)
	return cmp.Or(comune.Title, slug)
}

// comuni asks for the list now and then.
type comuni struct {
	client registryv1.ComuneServiceClient
	flight singleflight.Group
	mu     sync.Mutex
	last   Comuni
	taken  time.Time
}

func newComuni(conn grpc.ClientConnInterface) *comuni {
	return &comuni{client: registryv1.NewComuneServiceClient(conn)}
}

// get returns the list; the last known one when the server does not answer.
func (c *comuni) get(ctx context.Context) Comuni {
	c.mu.Lock()
	last, fresh := c.last, time.Since(c.taken) < keepComuni
	c.mu.Unlock()
	if fresh {
		return last
	}
	got, _, _ := c.flight.Do("", func() (any, error) { return c.ask(context.WithoutCancel(ctx)), nil })
	return got.(Comuni)
}

func (c *comuni) ask(ctx context.Context) Comuni {
	ctx, cancel := context.WithTimeout(ctx, askComuni)
	defer cancel()
	answer, err := c.client.ListComuni(edge.Anonymous(ctx), &registryv1.ListComuniRequest{PageSize: 1000})
	c.mu.Lock()
	defer c.mu.Unlock()
	c.taken = time.Now()
	if err != nil {
		return c.last
	}
	coverage := map[string]*registryv1.Coverage{}
	for _, one := range answer.GetCoverage() {
		coverage[one.GetComune()] = one
	}
	var list Comuni
	for _, record := range answer.GetComuni() {
		slug := strings.TrimPrefix(record.GetName(), "comuni/")
		list.All = append(list.All, Comune{
			Slug: slug, Title: cmp.Or(record.GetTitle().GetIt(), slug), Record: record, Coverage: coverage[record.GetName()],
		})
	}
	// A comune of which nothing is known yet is not left out.
	for _, name := range answer.GetUnreachable() {
		slug := strings.TrimPrefix(name, "comuni/")
		if known, ok := c.last.Of(slug); ok {
			known.Coverage = coverage[name]
			list.All = append(list.All, known)
			continue
		}
		list.All = append(list.All, Comune{Slug: slug, Title: slug, Coverage: coverage[name]})
	}
	slices.SortFunc(list.All, func(a, b Comune) int { return strings.Compare(a.Title, b.Title) })
	c.last = list
	return list
}
