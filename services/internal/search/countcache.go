package search

import (
	"fmt"
	"sync"

	"google.golang.org/protobuf/proto"

	"cidsistem.example/proto/gen/registryv1"
)

// maxCounts is how many different counts are kept.
const maxCounts = 256

// countCache keeps the facets of searches without words until the index
// changes: with every record a hit they are slow to count, and it is what the
// first page asks for.
type countCache struct {
	mu     sync.Mutex
	counts *knownCounts
}

// knownCounts are those of one state of the index.
type knownCounts struct {
	mu      sync.Mutex
	entries map[string][]*registryv1.Facet
}

// now gives the counts of the present state. To be called before the index is
// read: what is counted then is at least as new.
func (c *countCache) now() *knownCounts {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counts == nil {
		c.counts = &knownCounts{entries: map[string][]*registryv1.Facet{}}
	}
	return c.counts
}

// clear is to be called after every change of the index.
func (c *countCache) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts = nil
}

// facets are those of a search, counted where they are not known.
func (k *knownCounts) facets(s *searching) ([]*registryv1.Facet, error) {
	key := fmt.Sprintf("%d %q %q", s.scope.Visibility, s.scope.Comuni, s.filters)
	k.mu.Lock()
	facets, ok := k.entries[key]
	k.mu.Unlock()
	if !ok {
		var err error
		if facets, err = s.facets(); err != nil {
			return nil, err
		}
		k.mu.Lock()
		if len(k.entries) < maxCounts {
			k.entries[key] = facets
		}
		k.mu.Unlock()
	}
	return cloneAll(facets), nil
}

func cloneAll(facets []*registryv1.Facet) []*registryv1.Facet {
	var clones []*registryv1.Facet
	for _, f := range facets {
		clones = append(clones, proto.CloneOf(f))
	}
	return clones
}
