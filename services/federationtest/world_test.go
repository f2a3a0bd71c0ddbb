package federationtest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/store"
	"cidsistem.example/services/ufficiocomune"
)

// A world is a federation with faults, and the truth about all of it.
type world struct {
	dir   string
	sites []*site
	ctx   context.Context
	end   context.CancelFunc
	open  opener
}

// scratch is where data files are quickest: nothing here is synced anyway.
func scratch() string {
	const memory = "/dev/shm"
	if info, err := os.Stat(memory); err == nil && info.IsDir() {
		return memory
	}
	return ""
}

func newWorld(open opener) (*world, error) {
	dir, err := os.MkdirTemp(scratch(), "federation-*")
	if err != nil {
		return nil, err
	}
	w := &world{dir: dir, open: open}
	w.ctx, w.end = context.WithCancel(context.Background())
	return w, nil
}

// close stops all that runs.
func (w *world) close() error {
	w.end()
	var problems []error
	for _, s := range w.sites {
		for _, l := range s.links {
			l.Lead(nil)
		}
	}
	for _, s := range w.sites {
		if s.process != nil {
			problems = append(problems, s.process.halt())
		}
	}
	elapse(time.Minute) // for whatever still waits for the time: it stands once the bubble's first goroutine ends
	return errors.Join(append(problems, os.RemoveAll(w.dir))...)
}

func (w *world) add(s *site) *site {
	s.open, s.dir, s.journal = w.open, w.dir, newJournal()
	s.readsOver = &Link{}
	s.links = append(s.links, s.readsOver)
	w.sites = append(w.sites, s)
	return s
}

// node adds a comune's node.
func (w *world) node(comune string) *site {
	return w.add(&site{id: comune, comune: comune, owned: &owned{records: map[string]proto.Message{}, answers: map[string]answered{}}})
}

// office adds an office that follows others.
func (w *world) office(id string, below ...*site) *site {
	s := w.add(&site{id: id})
	for _, b := range below {
		s.follow(b)
	}
	return s
}

// follow makes an office follow another site.
func (s *site) follow(other *site) {
	m := &member{site: other, link: &Link{}}
	if other.comune != "" {
		m.comuni = []string{other.comune}
	}
	other.links = append(other.links, m.link)
	s.members = append(s.members, m)
}

// run starts all sites, and a reader at each feed.
func (w *world) run() error {
	for _, s := range w.sites {
		if err := s.start(); err != nil {
			return err
		}
		if s.owned != nil {
			if err := s.adoptOwn(); err != nil {
				return err
			}
		}
		conn, err := dialOver(s.readsOver)
		if err != nil {
			return err
		}
		s.reader = newReader(conn)
		go func() {
			s.reader.run(w.ctx)
			_ = conn.Close()
		}()
	}
	return nil
}

// adoptOwn takes what a node makes by itself into the truth, and the records
// that others refer to.
func (s *site) adoptOwn() error {
	s.wrote = int(s.store.Head().Revision)
	err := s.store.View(func(r store.Reader) error {
		_, err := r.Walk(nil, -1, func(name catalog.Name, record proto.Message, _ []string) error {
			s.owned.records[name.String()] = record
			return nil
		})
		return err
	})
	if err != nil {
		return err
	}
	entity := &registryv1.Organization{Name: catalog.ComuneName(s.comune) + "/organizations/ente"}
	_, err = s.store.Commit(context.Background(), store.Request{}, nil, func(store.Reader, store.Stamp) (store.Outcome, error) {
		return store.Outcome{Put: []proto.Message{entity}}, nil
	})
	s.acknowledge(store.Outcome{Put: []proto.Message{entity}})
	return err
}

// nodes and offices of the world.
func (w *world) nodes() []*site {
	return slices.DeleteFunc(slices.Clone(w.sites), func(s *site) bool { return s.comune == "" })
}

func (w *world) offices() []*site {
	return slices.DeleteFunc(slices.Clone(w.sites), func(s *site) bool { return s.comune != "" })
}

// check holds everything against the truth at this moment.
func (w *world) check() error {
	synctest.Wait()
	for _, s := range w.sites {
		if err := s.observe(); err != nil {
			return err
		}
	}
	for _, s := range w.sites {
		if err := s.examine(); err != nil {
			return err
		}
		floor, err := s.store.Floor()
		if err != nil {
			return err
		}
		if err := s.reader.verdict(s.journal, floor); err != nil {
			return fmt.Errorf("feed of %s: %w", s.id, err)
		}
		if s.answers() {
			if err := w.honest(s); err != nil {
				return err
			}
		}
	}
	return nil
}

// answers tells whether a site is an office that answers reads.
func (s *site) answers() bool {
	_, whole := s.server.(*ufficiocomune.Office)
	return whole
}

// examine compares the records of a site with the truth.
func (s *site) examine() error {
	stands := map[*member]store.Upstream{}
	look := s.store.Head().String()
	for _, m := range s.members {
		u, err := s.store.Upstream(m.id)
		if err != nil {
			return err
		}
		stands[m] = u
		look += " " + u.Position.String()
	}
	if look == s.seen {
		return nil
	}
	s.seen = look
	all, err := s.contents()
	if err != nil {
		return err
	}
	if s.owned != nil {
		if differs := all.differs(s.owned.raw()); differs != "" {
			return fmt.Errorf("%w: %s %s", ErrDurable, s.id, differs)
		}
		if differs := s.journal.now().differs(s.owned.visible()); differs != "" {
			return fmt.Errorf("%w: the feed of %s %s", ErrVisible, s.id, differs)
		}
		return nil
	}
	passedOn := contents{}
	for name, v := range all {
		v.hops = strings.TrimSpace(v.hops + " " + s.id)
		passedOn[name] = v
	}
	if differs := s.journal.now().differs(passedOn); differs != "" {
		return fmt.Errorf("%w: the feed of %s %s", ErrVisible, s.id, differs)
	}
	return s.compareCopies(all, stands)
}

// contents reads all records of a site.
func (s *site) contents() (contents, error) {
	all := contents{}
	err := s.store.View(func(r store.Reader) error {
		_, err := r.Walk(nil, -1, func(name catalog.Name, _ proto.Message, hops []string) error {
			raw, err := r.Raw(name)
			all[name.String()] = version{string(raw), strings.Join(hops, " ")}
			return err
		})
		return err
	})
	return all, err
}

// compareCopies compares the copy of each member with what the member was at
// the revision where the copy stands.
func (s *site) compareCopies(all contents, stands map[*member]store.Upstream) error {
	holders, err := s.store.Holders()
	if err != nil {
		return err
	}
	rest := maps.Clone(all)
	for _, m := range s.members {
		copied := contents{}
		for name, v := range all {
			if holders[comuneOf(name)] == m.id {
				copied[name] = v
				delete(rest, name)
			}
		}
		if m.out {
			continue // what is left has no member: below
		}
		at := stands[m].Position
		if at.Zero() {
			// A new copy is under way; the old one in use is of some revision.
			if !m.rescoped && !m.everOffered(s, copied, holders) {
				return fmt.Errorf("%w: the copy of %s at %s, which is taken anew, never was", ErrEqual, m.id, s.id)
			}
			continue
		}
		m.rescoped = false
		state, known := m.journal.states[string(at.Digest)]
		if !known {
			return fmt.Errorf("%w: the copy of %s at %s stands at %s, which never was", ErrReliable, m.id, s.id, at)
		}
		if differs := copied.differs(m.offer(s, state, holders, "")); differs != "" {
			return fmt.Errorf("%w: the copy of %s at %s, revision %d, %s", ErrEqual, m.id, s.id, at.Revision, differs)
		}
	}
	for name := range rest {
		return fmt.Errorf("%w: %s has %s, which no member offers", ErrEqual, s.id, name)
	}
	for _, m := range s.members {
		if m.out && slices.Contains(slices.Collect(maps.Values(holders)), m.id) {
			return fmt.Errorf("%w: %s still takes records from %s", ErrEqual, s.id, m.id)
		}
	}
	return nil
}

// offer is what of a member's records belongs into an office's copy: comuni
// that the copy has, or that have no holder yet and may be taken from anyone.
func (m *member) offer(office *site, state contents, holders map[string]string, free string) contents {
	some := contents{}
	for name, v := range state {
		holder, held := holders[comuneOf(name)]
		if !held {
			holder = free
		}
		if (holder == m.id || holder == "") && !slices.Contains(strings.Fields(v.hops), office.id) && m.covers(comuneOf(name)) {
			some[name] = v
		}
	}
	return some
}

// everOffered tells whether a copy is what a member offered at some time.
func (m *member) everOffered(office *site, copied contents, holders map[string]string) bool {
	for _, state := range m.journal.states {
		if copied.differs(m.offer(office, state, holders, "nobody")) == "" {
			return true
		}
	}
	return false
}

// covers tells whether the settings let a comune come from a member.
func (m *member) covers(comune string) bool {
	return (len(m.scope.Comuni) == 0 || slices.Contains(m.scope.Comuni, comune)) && !slices.Contains(m.scope.Except, comune)
}

func comuneOf(name string) string { return strings.Split(name, "/")[1] }

// convergeWithin is how long copies may take after the last fault: fifteen
// seconds of silence are noticed first, then a level follows the other.
const convergeWithin = 45 * time.Second

// upkeepEvery is longer than whole servers leave their upkeep alone.
const upkeepEvery = 62 * time.Second

// heal ends all faults of links and disks.
func (w *world) heal() {
	for _, s := range w.sites {
		s.settleDisk()
		for _, l := range s.links {
			l.Heal()
		}
	}
}

// converge heals everything and checks that the federation becomes one again.
func (w *world) converge() error {
	w.heal()
	behind := ""
	for began := time.Now(); ; elapse(time.Second) {
		synctest.Wait()
		if behind = w.behind(); behind == "" {
			break
		}
		if time.Since(began) > convergeWithin {
			return errors.Join(fmt.Errorf("%w: %s", ErrConverged, behind), w.check())
		}
	}
	if err := w.check(); err != nil {
		return err
	}
	if slices.ContainsFunc(w.sites, func(s *site) bool { return s.tidies }) {
		elapse(upkeepEvery) // what is due is purged, and that travels
		if err := w.check(); err != nil {
			return err
		}
	}
	heads := map[*site]store.Position{}
	for _, s := range w.sites {
		heads[s] = s.store.Head()
		if err := w.complete(s); err != nil {
			return err
		}
		report, err := s.store.Check(context.Background())
		if err != nil {
			return err
		}
		if len(report.Problems) > 0 {
			return fmt.Errorf("%w: %s: %s", ErrSound, s.id, strings.Join(report.Problems, "; "))
		}
	}
	elapse(convergeWithin)
	for _, s := range w.sites {
		if !s.store.Head().Equal(heads[s]) {
			return fmt.Errorf("%w: %s went from %s to %s, and nobody wrote", ErrLoop, s.id, heads[s], s.store.Head())
		}
	}
	return w.check()
}

// behind tells who does not stand where its source does.
func (w *world) behind() string {
	for _, s := range w.sites {
		if at := s.reader.stands(); !at.Equal(s.store.Head()) {
			return fmt.Sprintf("the reader of %s stands at %s, the head is %s", s.id, at, s.store.Head())
		}
		for _, m := range s.members {
			if m.out {
				continue
			}
			u, err := s.store.Upstream(m.id)
			if err != nil {
				return err.Error()
			}
			if u.Snapshot != nil || !u.Position.Equal(m.store.Head()) {
				return fmt.Sprintf("the copy of %s at %s stands at %s, snapshot %v, the head is %s", m.id, s.id, u.Position, u.Snapshot != nil, m.store.Head())
			}
		}
	}
	return ""
}

// complete checks from end to end that a site has what every node shows that it
// federates, over however many levels, and nothing else.
func (w *world) complete(s *site) error {
	got, err := s.contents()
	if err != nil || s.owned != nil {
		return err
	}
	for name, v := range got {
		got[name] = version{body: v.body}
	}
	want := contents{}
	for _, n := range w.nodes() {
		if s.federates(n, nil) {
			maps.Copy(want, n.owned.visible())
		}
	}
	if differs := got.differs(want); differs != "" {
		return fmt.Errorf("%w: %s %s", ErrConverged, s.id, differs)
	}
	return nil
}

// federates tells whether an office gets the records of a node, past the
// offices that were passed already.
func (s *site) federates(n *site, passed []*site) bool {
	for _, m := range s.members {
		if m.out || slices.Contains(passed, m.site) || !m.covers(n.comune) {
			continue
		}
		if m.site == n || m.federates(n, append(slices.Clone(passed), s)) {
			return true
		}
	}
	return false
}
