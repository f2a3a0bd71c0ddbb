package federationtest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/blevesearch/bleve/v2"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/store"
	"cidsistem.example/services/platform/config"
	"cidsistem.example/services/platform/grpcclient"
	"cidsistem.example/services/registry"
	"cidsistem.example/services/ufficiocomune"
)

var wholes = game{
	open:        openWhole,
	federations: []string{"two levels", "loop"},
	operations:  (*player).wholeOperations,
	begin:       ownAnalysis,
	converge:    (*world).convergeWhole,
}

// TestWholeHistories is TestHistories with whole nodes and offices: their
// standard methods over gRPC, their upkeep, their search index. A history takes
// some ten times as long, so there are fewer.
func TestWholeHistories(t *testing.T) {
	checks(t, max(histories(t, defaultHistories)/(25*raceFactor), 1))
	tell := new(sync.Once)
	rapid.Check(t, func(rt *rapid.T) { wholes.play(t, rt, tell) })
}

// wholeOperations are what can happen to whole servers.
func (p *player) wholeOperations() operations {
	return operations{
		"call":      {8, p.call},
		"kill":      {1, p.killSite},
		"restart":   {1, p.restartSite},
		"link":      {3, p.troubleLink},
		"heal":      {2, p.healLink},
		"back up":   {1, p.backUpSite},
		"restore":   {1, p.restoreSite},
		"copy back": {1, p.copyBackSite},
		"clock":     {1, p.jumpNodeClock},
		"resync":    {1, p.resync},
		"members":   {1, p.changeMembers},
		"upkeep":    {1, func() error { elapse(time.Minute); return nil }},
	}
}

// ownAnalysis gives the search indices of a bubble workers of their own: those
// that all share are outside of it. The returned function ends them.
func ownAnalysis() (end func()) {
	config := reflect.ValueOf(&bleve.Config).Elem()
	shared := reflect.ValueOf(bleve.Config)
	own := reflect.New(shared.Elem().Type())
	for i := range own.Elem().NumField() {
		if field := own.Elem().Field(i); field.CanSet() {
			field.Set(shared.Elem().Field(i))
		}
	}
	config.Set(own)
	bleve.Config.SetAnalysisQueueSize(1)
	return func() {
		bleve.Config.SetAnalysisQueueSize(0)
		config.Set(shared)
	}
}

func openWhole(s *site) (siteServer, error) {
	if s.comune == "" {
		return s.openOffice()
	}
	s.tidies = true
	settings := NodeSettings(s.comune, s.folder())
	settings.Retention.Revisions, settings.Retention.Age = keptRevisions, config.Duration(keptAge)
	return registry.Open(context.Background(), settings, registry.Options{
		Logger: Quiet(), Now: s.clock.now, NoSync: true, BeforeCommit: s.disk.beforeCommit,
	})
}

// What the upkeep of whole servers keeps of their feeds.
const (
	keptRevisions = 3
	keptAge       = time.Hour
)

func (s *site) openOffice() (siteServer, error) {
	settings := ufficiocomune.Defaults()
	settings.ID, settings.DataDir = s.id, s.folder()
	settings.Retention.Revisions, settings.Retention.Age = keptRevisions, config.Duration(keptAge)
	s.scopes()
	links := map[string]*Link{}
	for _, m := range s.members {
		if m.out {
			continue
		}
		entry := ufficiocomune.Member{ID: m.id, Address: m.id + ":1", Comuni: m.comuni, Identity: "spiffe://cidsistem.example/ufficio/" + m.id}
		if m.comune != "" {
			entry.Comuni, entry.Identity = nil, "spiffe://cidsistem.example/comune/"+m.id
		}
		settings.Members = append(settings.Members, entry)
		links[m.id] = m.link
	}
	return ufficiocomune.Open(context.Background(), *settings, ufficiocomune.Options{
		Dial: func(m ufficiocomune.Member) (*grpc.ClientConn, error) {
			return grpcclient.Dial(m.Address, grpcclient.Options{Insecure: true, Dialer: links[m.ID].Dial})
		},
		Logger: Quiet(), Now: s.clock.now, NoSync: true,
	})
}

// callWithin bounds one call.
const callWithin = 5 * time.Second

// call changes a location by the standard methods, at its node or through an
// office. Whatever the office answered, the same request at the node tells.
func (p *player) call() error {
	node, through := p.anyNode(), p.anySite()
	e := p.edits([]string{rapid.SampledFrom(ids).Draw(p.T, "id")})[0]
	request := p.requestFor(node, e)
	if request == nil {
		return nil
	}
	if through.owned == nil {
		_, err := through.send(request)
		p.Logf("through %s: %v", through.id, err)
	}
	answer, err := node.send(request)
	if err != nil {
		return fmt.Errorf("%s: %w", e, err)
	}
	again, err := node.send(request)
	if err != nil || !proto.Equal(answer, again) {
		return fmt.Errorf("%w: answered %v, then %v and %v", ErrRepeatable, answer, again, err)
	}
	node.acknowledge(store.Outcome{Put: []proto.Message{answer}})
	return nil
}

// requestFor makes the request for an edit, nil when it cannot be done.
func (p *player) requestFor(node *site, e edit) proto.Message {
	name := catalog.ComuneName(node.comune) + "/locations/" + e.id
	before := node.owned.records[name]
	id := uuid.New().String()
	deleted := before != nil && catalog.RecordOf(before).Deleted()
	switch {
	case e.verb == put && before == nil:
		record := e.record(name, nil, node.clock.now()).(*registryv1.Location)
		return &registryv1.CreateLocationRequest{Parent: catalog.ComuneName(node.comune), LocationId: e.id, Location: record, RequestId: id}
	case e.verb == put && !deleted:
		record := e.record(name, before, node.clock.now()).(*registryv1.Location)
		return &registryv1.UpdateLocationRequest{Location: record, RequestId: id}
	case e.verb == remove && before != nil && !deleted:
		return &registryv1.DeleteLocationRequest{Name: name, RequestId: id}
	case e.verb == bringBack && deleted:
		return &registryv1.UndeleteLocationRequest{Name: name, RequestId: id}
	}
	return nil
}

// send makes a call at a site, past all links.
func (s *site) send(request proto.Message) (*registryv1.Location, error) {
	conn, err := s.process.dial()
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	ctx, cancel := context.WithTimeout(context.Background(), callWithin)
	defer cancel()
	client := registryv1.NewLocationServiceClient(conn)
	switch r := request.(type) {
	case *registryv1.CreateLocationRequest:
		return client.CreateLocation(ctx, r)
	case *registryv1.UpdateLocationRequest:
		return client.UpdateLocation(ctx, r)
	case *registryv1.DeleteLocationRequest:
		return client.DeleteLocation(ctx, r)
	case *registryv1.UndeleteLocationRequest:
		return client.UndeleteLocation(ctx, r)
	}
	return nil, fmt.Errorf("no method takes %T", request)
}

func (p *player) jumpNodeClock() error {
	node := p.anyNode()
	node.clock.jump(rapid.SampledFrom([]time.Duration{-time.Hour, 31 * 24 * time.Hour}).Draw(p.T, "jump"))
	return nil
}

// lag is how much older than it says an answer may be: messages take time, and
// each office counts a member that spoke in the last ten seconds as fresh.
const lag = 12 * time.Second

// honest checks that an office's answers are as fresh as they say.
func (w *world) honest(office *site) error {
	list, err := office.list(registryv1.ReadPreference_REPLICA_ONLY)
	if err != nil {
		return nil // it knows of no comune
	}
	for _, node := range w.nodes() {
		for _, c := range list.GetCoverage() {
			if c.GetComune() != catalog.ComuneName(node.comune) || c.GetState() == registryv1.Coverage_MISSING {
				continue
			}
			asOf := c.GetAsOfTime().AsTime()
			if asOf.After(time.Now()) {
				return fmt.Errorf("%w: %s is of the future at %s", ErrHonest, c.GetComune(), office.id)
			}
			got := contents{}
			for _, location := range list.GetLocations() {
				if comuneOf(location.GetName()) == node.comune {
					got[location.GetName()] = version{body: serialised(location)}
				}
			}
			if !node.was(got, asOf.Add(-lag)) {
				return fmt.Errorf("%w: %s says that its records of %s are as of %s, and they are older", ErrHonest, office.id, node.comune, asOf.Sub(beginning))
			}
		}
	}
	return nil
}

// list asks a site for all locations of all comuni.
func (s *site) list(where registryv1.ReadPreference) (*registryv1.ListLocationsResponse, error) {
	conn, err := s.process.dial()
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	ctx, cancel := context.WithTimeout(context.Background(), callWithin)
	defer cancel()
	return registryv1.NewLocationServiceClient(conn).ListLocations(ctx, &registryv1.ListLocationsRequest{
		Parent: "comuni/-", PageSize: 1000, ShowDeleted: true, ReadPreference: where,
	})
}

// was tells whether the locations of a node were once these, at a time or
// later.
func (s *site) was(locations contents, since time.Time) bool {
	if since.Before(s.rewound) {
		return true // of a history that is gone
	}
	var oldest int64
	for _, a := range s.acked {
		if a.time.Before(since) {
			oldest = a.revision
		}
	}
	for _, digest := range s.journal.digests[min(oldest, s.journal.at.Revision):] {
		some := contents{}
		for name, v := range s.journal.states[digest] {
			if strings.Contains(name, "/locations/") {
				some[name] = v
			}
		}
		if locations.differs(some) == "" {
			return true
		}
	}
	return false
}

// searched checks that the search index of a site finds what its feed has.
func (w *world) searched(s *site) error {
	conn, err := s.process.dial()
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	ctx, cancel := context.WithTimeout(context.Background(), callWithin)
	defer cancel()
	for _, node := range w.nodes() {
		var want []string
		for name, v := range s.journal.now() {
			var location registryv1.Location
			if comuneOf(name) == node.comune && strings.Contains(name, "/locations/") && proto.Unmarshal([]byte(v.body), &location) == nil && location.GetDeleteTime() == nil {
				want = append(want, name)
			}
		}
		found, err := registryv1.NewSearchServiceClient(conn).Search(ctx, &registryv1.SearchRequest{Q: "luogo", Kinds: []string{"locations"}, Comuni: []string{node.comune}, PageSize: 100})
		if err != nil {
			return fmt.Errorf("search at %s: %w", s.id, err)
		}
		var got []string
		for _, hit := range found.GetHits() {
			got = append(got, hit.GetName())
		}
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			return fmt.Errorf("%w: a search at %s found %v, there are %v", ErrConverged, s.id, got, want)
		}
	}
	return nil
}

// convergeWhole is converge, and that every search index has what the feed has.
func (w *world) convergeWhole() error {
	if err := w.converge(); err != nil {
		return err
	}
	var problems []error
	for _, s := range w.sites {
		problems = append(problems, w.searched(s))
	}
	return errors.Join(problems...)
}

func TestAgeOfACopyIsRememberedOverARestart(t *testing.T) {
	inWorld(t, &wholes, func(_ *testing.T, w *world) error {
		node, office, top := w.levels()
		if err := errors.Join(w.run(), w.converge()); err != nil {
			return err
		}
		office.members[0].link.Cut()
		elapse(time.Hour)
		if err := errors.Join(node.puts("la", "luogo nel frattempo"), w.check()); err != nil {
			return err
		}
		elapse(time.Minute)
		top.members[0].link.Cut()
		return errors.Join(top.kill(), top.start(), w.check(), w.convergeWhole())
	})
}

func TestComuneGivenUpBelowIsNotShownAsEmpty(t *testing.T) {
	inWorld(t, &wholes, func(t *testing.T, w *world) error {
		node, office, top := w.levels()
		if err := errors.Join(w.run(), node.puts("la", "luogo"), w.converge(), office.stop()); err != nil {
			return err
		}
		office.members[0].out = true
		if err := errors.Join(office.start(), w.converge()); err != nil {
			return err
		}
		list, err := top.list(registryv1.ReadPreference_READ_PREFERENCE_UNSPECIFIED)
		if len(list.GetCoverage()) > 0 {
			t.Errorf("the top still answers for %v", list.GetCoverage())
		}
		return err
	})
}
