package federationtest

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/store"
)

// defaultHistories is how many histories a run tries that does not say.
const defaultHistories = 300

// histories is how many histories to try: HISTORIES, or the default.
func histories(t *testing.T, otherwise int) int {
	n := otherwise
	if asked := os.Getenv("HISTORIES"); asked != "" {
		var err error
		if n, err = strconv.Atoi(asked); err != nil || n < 1 {
			t.Fatalf("HISTORIES=%q is not a number of histories", asked)
		}
	}
	return n
}

// TestHistories tries random histories of small federations and holds every
// moment of them against the truth. See README.md for what is in them and how
// to replay one.
func TestHistories(t *testing.T) {
	n := histories(t, defaultHistories/raceFactor)
	shards := min(runtime.GOMAXPROCS(0), n)
	checks(t, max(n/shards, 1))
	for shard := range shards {
		t.Run(fmt.Sprintf("part%d", shard), func(t *testing.T) {
			t.Parallel()
			tell := new(sync.Once)
			rapid.Check(t, func(rt *rapid.T) { feeds.play(t, rt, tell) })
		})
	}
}

// checks sets how many histories rapid tries, unless the command line says.
func checks(t *testing.T, n int) {
	if checksAsked() {
		return
	}
	if err := flag.Set("rapid.checks", strconv.Itoa(n)); err != nil {
		t.Fatal(err)
	}
}

// checksAsked tells whether the command line says how many: it must be asked
// before the flag is set.
var checksAsked = sync.OnceValue(func() (asked bool) {
	flag.Visit(func(f *flag.Flag) { asked = asked || f.Name == "rapid.checks" })
	return asked
})

// A game says what histories are played with.
type game struct {
	open        opener
	federations []string
	operations  func(*player) operations
	large       bool                // some have much data
	begin       func() (end func()) // what a bubble needs
	converge    func(*world) error
}

// operations are what can happen, and how often each does.
type operations map[string]struct {
	weight int
	do     func() error
}

var feeds = game{
	open:        openFeedServer,
	federations: []string{"two levels", "loop", "neighbours", "two ways"},
	operations:  (*player).feedOperations,
	large:       true,
	begin:       func() func() { return func() {} },
	converge:    (*world).converge,
}

// play plays one history in a bubble of its own time. What it finds is carried
// out of the bubble once all in it has ended. The first find is told at once:
// looking for a shorter history may find another, or none.
func (g *game) play(t *testing.T, rt *rapid.T, tell *sync.Once) {
	p := &player{T: rt}
	var ended any
	synctest.Test(t, func(*testing.T) {
		defer func() { ended = recover() }()
		defer g.begin()()
		w, err := newWorld(g.open)
		if err != nil {
			rt.Fatal(err)
		}
		defer func() { p.found = cmp.Or(p.found, w.close()) }()
		p.world = w
		p.play(g)
	})
	if p.found != nil {
		tell.Do(func() { t.Logf("first found: %v", p.found) })
		// The promise alone is the same each time that the history is played.
		if promise, is := errors.AsType[Promise](p.found); is {
			rt.Fatal(promise)
		}
		rt.Fatal(p.found)
	}
	if ended != nil {
		panic(ended)
	}
}

// A player draws what happens in a history.
type player struct {
	*rapid.T
	*world
	found    error
	large    bool // records and revisions may be more than fit into two messages
	requests int
	titles   int
}

// play makes a federation, does random things to it, and sees it heal.
func (p *player) play(g *game) {
	p.federation(g.federations)
	p.must(p.run())
	p.large = g.large && rapid.IntRange(0, 11).Draw(p.T, "large") == 0
	if p.large {
		p.must(p.anyNode().putsMany("molti"))
	}
	actions := map[string]func(*rapid.T){"": func(*rapid.T) { p.must(p.check()) }}
	for name, operation := range g.operations(p) {
		for i := range operation.weight {
			actions[fmt.Sprint(name, i)] = func(*rapid.T) {
				p.must(operation.do())
				p.pass()
			}
		}
	}
	p.Repeat(actions)
	p.Log("converge")
	p.must(g.converge(p.world))
}

// must ends the history at an error.
func (p *player) must(err error) {
	if err == nil {
		return
	}
	p.found = err
	p.Logf("after %s: %v", time.Since(beginning), err)
	p.FailNow()
}

// beginning is when time begins in a bubble.
var beginning = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// federation draws one of two levels.
func (p *player) federation(kinds []string) {
	first, second := p.node("primo"), p.node("secondo")
	switch rapid.SampledFrom(kinds).Draw(p.T, "federation") {
	case "two levels":
		p.office("sopra", p.office("ufficio", first, second))
	case "loop":
		office := p.office("ufficio", first, second)
		office.follow(p.office("sopra", office))
	case "neighbours":
		a, b := p.office("ufficio-a", first), p.office("ufficio-b", second)
		a.follow(b)
		b.follow(a)
	case "two ways":
		a, b := p.office("ufficio-a", first), p.office("ufficio-b", first, second)
		p.office("sopra", a, b)
	}
}

// feedOperations are what can happen to stores, feeds and followers.
func (p *player) feedOperations() operations {
	return operations{
		"write":       {6, p.writeSome},
		"twins":       {2, p.writeTwins},
		"crowd":       {1, p.writeCrowd},
		"retry":       {1, p.retry},
		"tidy":        {3, p.tidySite},
		"kill":        {2, p.killSite},
		"restart":     {1, p.restartSite},
		"bad disk":    {1, p.failDisk},
		"slow disk":   {1, p.slowDisk},
		"link":        {5, p.troubleLink},
		"heal":        {2, p.healLink},
		"slow reader": {1, p.stallReader},
		"back up":     {2, p.backUpSite},
		"restore":     {1, p.restoreSite},
		"copy back":   {2, p.copyBackSite},
		"clock":       {2, p.jumpClock},
		"resync":      {1, p.resync},
		"members":     {2, p.changeMembers},
		"scope":       {1, p.changeScope},
		"snapshot":    {2, p.breakSnapshot},
		"wait":        {2, func() error { return nil }},
	}
}

// pass lets some time pass.
func (p *player) pass() {
	d := rapid.SampledFrom([]time.Duration{
		0, 0, time.Millisecond, 20 * time.Millisecond, 100 * time.Millisecond, 500 * time.Millisecond,
		2 * time.Second, 6 * time.Second, 20 * time.Second,
	}).Draw(p.T, "then")
	elapse(d)
}

func (p *player) anySite() *site { return rapid.SampledFrom(p.sites).Draw(p.T, "site") }
func (p *player) anyNode() *site { return rapid.SampledFrom(p.nodes()).Draw(p.T, "node") }

func (p *player) anyLink() *Link {
	s := p.anySite()
	return s.links[rapid.IntRange(0, len(s.links)-1).Draw(p.T, "link")]
}

// ids of the locations that are written.
var ids = []string{"la", "lb", "lc", "ld", "le", "lf"}

var visibilities = []registryv1.Visibility{
	registryv1.Visibility_PUBLIC, registryv1.Visibility_PUBLIC, registryv1.Visibility_NETWORK, registryv1.Visibility_LOCAL,
}

// edits draws changes of some records.
func (p *player) edits(ids []string) []edit {
	var edits []edit
	for _, id := range ids {
		e := edit{id: id, verb: rapid.SampledFrom([]verb{put, put, put, remove, bringBack, purge}).Draw(p.T, "verb")}
		if e.verb == put {
			p.titles++
			e.title = fmt.Sprint("luogo ", p.titles)
			e.visibility = rapid.SampledFrom(visibilities).Draw(p.T, "visibility")
			e.phone = registryv1.Visibility(rapid.IntRange(0, 3).Draw(p.T, "phone"))
			e.due, e.refers = rapid.Bool().Draw(p.T, "due"), rapid.Bool().Draw(p.T, "refers")
		}
		edits = append(edits, e)
	}
	p.Log(edits)
	return edits
}

func (p *player) someIDs(from []string) []string {
	return rapid.SliceOfNDistinct(rapid.SampledFrom(from), 1, min(4, len(from)), rapid.ID[string]).Draw(p.T, "records")
}

func (p *player) writeSome() error {
	node := p.anyNode()
	var r store.Request
	if rapid.Bool().Draw(p.T, "repeatable") {
		p.requests++
		r = request(p.requests, p.requests)
	}
	return node.write(r, p.edits(p.someIDs(ids)))
}

// writeTwins writes two records that must never be seen apart.
func (p *player) writeTwins() error {
	twins := p.edits([]string{"twin-a"})
	other := twins[0]
	other.id = "twin-b"
	return p.anyNode().write(store.Request{}, append(twins, other))
}

// writeCrowd writes at the same time, so that writes share a commit; where data
// are large, more than one message of the feed holds.
func (p *player) writeCrowd() error {
	var writes [][]edit
	for i := 0; i+2 <= len(ids); i += 2 {
		writes = append(writes, p.edits(ids[i:i+2]))
	}
	node := p.anyNode()
	if p.large {
		p.titles++
		return errors.Join(node.crowd(writes), node.flood(fmt.Sprint("luogo ", p.titles)))
	}
	return node.crowd(writes)
}

// retry repeats a request, or uses its id for another one.
func (p *player) retry() error {
	if p.requests == 0 {
		return p.writeSome()
	}
	id := rapid.IntRange(1, p.requests).Draw(p.T, "request")
	digest := id + rapid.IntRange(0, 1).Draw(p.T, "changed")*1000
	return p.anyNode().write(request(id, digest), p.edits(p.someIDs(ids)))
}

// tidySite trims a feed, and purges at a node.
func (p *player) tidySite() error {
	s := p.anySite()
	s.settleDisk() // so that nothing is trimmed before the journal has it
	if s.owned != nil {
		before := s.clock.now().Add(-rapid.SampledFrom([]time.Duration{0, time.Minute, 7 * 24 * time.Hour}).Draw(p.T, "answers"))
		if err := s.tidy(before); err != nil {
			return err
		}
	}
	if err := s.observe(); err != nil {
		return err
	}
	keep := store.Retention{
		Revisions: rapid.SampledFrom([]int64{0, 1, 3, 10}).Draw(p.T, "revisions"),
		Age:       rapid.SampledFrom([]time.Duration{0, time.Second, time.Hour, 30 * 24 * time.Hour}).Draw(p.T, "age"),
	}
	n, err := s.store.Trim(p.ctx, keep)
	p.Logf("%s forgets %d revisions", s.id, n)
	return err
}

// down draws for how long a site is away.
func (p *player) down() {
	elapse(rapid.SampledFrom([]time.Duration{0, time.Second, 20 * time.Second}).Draw(p.T, "down"))
}

// killSite kills a site, perhaps in the middle of a commit.
func (p *player) killSite() error {
	s := p.anySite()
	p.Log("kill ", s.id)
	if err := s.observe(); err != nil {
		return err
	}
	if rapid.Bool().Draw(p.T, "in a commit") {
		s.disk.change(func(d *disk) { d.held = make(chan struct{}) })
		if s.owned != nil {
			lost := p.edits(p.someIDs(ids))
			go func() { _ = s.attempt(lost) }()
		} else {
			elapse(time.Second)
		}
	}
	if err := s.kill(); err != nil && !errors.Is(err, errKilled) {
		return err
	}
	p.down()
	return s.start()
}

func (p *player) restartSite() error {
	s := p.anySite()
	p.Log("restart ", s.id)
	if err := s.stop(); err != nil {
		return err
	}
	p.down()
	return s.start()
}

// failDisk makes a commit fail: the store must stop, and the file is opened
// again.
func (p *player) failDisk() error {
	s := p.anySite()
	p.Log("the disk fails at ", s.id)
	if err := s.observe(); err != nil {
		return err
	}
	s.disk.change(func(d *disk) { d.fault = errDisk })
	if s.owned != nil {
		if err := s.attempt(p.edits([]string{"la"})); err != nil && !errors.Is(err, errDisk) {
			return err
		}
	}
	p.down()
	s.disk.change(func(d *disk) { d.fault = nil })
	if s.store.Err() == nil {
		return nil
	}
	if err := s.stop(); err != nil {
		return err
	}
	return s.start()
}

// slowDisk makes the commits of an office slow.
func (p *player) slowDisk() error {
	s := rapid.SampledFrom(p.offices()).Draw(p.T, "office")
	delay := rapid.SampledFrom([]time.Duration{0, 200 * time.Millisecond, 4 * time.Second, slowest}).Draw(p.T, "each")
	p.Logf("a commit takes %s at %s", delay, s.id)
	s.disk.change(func(d *disk) { d.delay = delay })
	return nil
}

func (p *player) troubleLink() error {
	l := p.anyLink()
	trouble := rapid.SampledFrom([]string{"cut", "cut after", "half open", "stall", "delay"}).Draw(p.T, "trouble")
	switch trouble {
	case "cut":
		l.Cut()
	case "cut after":
		l.CutAfter(rapid.SampledFrom([]int{0, 100, 1000, 30_000, 60_000}).Draw(p.T, "bytes"))
	case "half open":
		l.HalfOpen()
	case "stall":
		l.Stall()
	case "delay":
		l.Delay(rapid.SampledFrom([]time.Duration{5 * time.Millisecond, 300 * time.Millisecond}).Draw(p.T, "each"))
	}
	return nil
}

func (p *player) healLink() error {
	p.anyLink().Heal()
	return nil
}

// stallReader makes a reader take nothing for longer than the server waits,
// while more is written than lies in between.
func (p *player) stallReader() error {
	node := p.anyNode()
	node.reader.stall(40 * time.Second)
	for range 3 {
		p.titles++
		long := edit{id: "lx", title: fmt.Sprintf("luogo %d %0150000d", p.titles, 0), visibility: registryv1.Visibility_PUBLIC}
		if err := node.write(store.Request{}, []edit{long}); err != nil {
			return err
		}
		elapse(time.Second)
	}
	elapse(35 * time.Second)
	return node.write(store.Request{}, []edit{{id: "lx", verb: purge}})
}

func (p *player) backUpSite() error {
	s := p.anySite()
	p.Log("back up ", s.id)
	return s.backUp()
}

// anyBackup draws a backup of a site; where there is none, it makes one.
func (p *player) anyBackup() (*site, backup, error) {
	s := p.anySite()
	if len(s.backups) == 0 {
		if err := s.backUp(); err != nil {
			return nil, backup{}, err
		}
	}
	return s, rapid.SampledFrom(s.backups).Draw(p.T, "backup"), s.observe()
}

func (p *player) restoreSite() error {
	s, b, err := p.anyBackup()
	if err != nil {
		return err
	}
	p.Logf("restore %s from revision %d", s.id, b.at.Revision)
	if err := s.stop(); err != nil {
		return err
	}
	p.down()
	if err := s.restore(b); err != nil {
		return err
	}
	return s.start()
}

// copyBackSite puts an old file back by hand, and perhaps writes on at once, so
// that readers find it behind them, or past them.
func (p *player) copyBackSite() error {
	s, b, err := p.anyBackup()
	if err != nil {
		return err
	}
	return p.putBack(s, b)
}

func (p *player) putBack(s *site, b backup) error {
	p.Logf("copy revision %d of %s back", b.at.Revision, s.id)
	if err := errors.Join(s.observe(), s.stop()); err != nil {
		return err
	}
	p.down()
	if err := s.copyBack(b); err != nil {
		return err
	}
	if err := s.start(); err != nil || s.owned == nil {
		return err
	}
	for range rapid.IntRange(0, 8).Draw(p.T, "writes") {
		if err := s.write(store.Request{}, p.edits(ids[:1])); err != nil {
			return err
		}
	}
	return nil
}

func (p *player) jumpClock() error {
	s := p.anySite()
	jump := rapid.SampledFrom([]time.Duration{
		-40 * 24 * time.Hour, -time.Hour, -time.Second, time.Second, time.Hour, 31 * 24 * time.Hour, 40 * 24 * time.Hour,
	}).Draw(p.T, "jump")
	p.Logf("the clock of %s jumps by %s", s.id, jump)
	s.clock.jump(jump)
	return nil
}

// anyMember draws an office and one of those that it follows.
func (p *player) anyMember() (*site, *member) {
	office := rapid.SampledFrom(p.offices()).Draw(p.T, "office")
	return office, rapid.SampledFrom(office.members).Draw(p.T, "member")
}

// resync asks for a new copy.
func (p *player) resync() error {
	office, m := p.anyMember()
	p.Logf("%s takes the copy of %s anew", office.id, m.id)
	if m.out {
		return nil
	}
	return office.server.Resync(p.ctx, m.id)
}

// changeMembers takes a member out of an office's settings or puts it back.
func (p *player) changeMembers() error {
	office, m := p.anyMember()
	p.Logf("%s at %s: out %v", m.id, office.id, !m.out)
	if err := errors.Join(office.observe(), office.stop()); err != nil {
		return err
	}
	m.out = !m.out
	return office.start()
}

// changeScope changes what an office lets come from another office.
func (p *player) changeScope() error {
	office, m := p.anyMember()
	if m.comune != "" {
		return nil
	}
	comuni := rapid.SampledFrom([]string{"", "primo", "secondo", "primo secondo"}).Draw(p.T, "comuni")
	p.Logf("%s says that %s answers for %q", office.id, m.id, comuni)
	if err := errors.Join(office.observe(), office.stop()); err != nil {
		return err
	}
	m.comuni = strings.Fields(comuni)
	for _, other := range office.members {
		// The settings may not say it twice: a node keeps its comune, of two
		// offices the one that was drawn has it.
		loses, has := other, m
		if other.comune != "" {
			loses, has = m, other
		}
		if loses != has {
			loses.comuni = slices.DeleteFunc(slices.Clone(loses.comuni), func(c string) bool { return slices.Contains(has.comuni, c) })
		}
	}
	return office.start()
}

// breakSnapshot asks for a new copy and breaks the link on the way, once or
// twice; perhaps an old file of the member is put back before it goes on.
func (p *player) breakSnapshot() error {
	office, m := p.anyMember()
	if m.out {
		return nil
	}
	p.Logf("%s takes the copy of %s anew; the link breaks", office.id, m.id)
	if err := errors.Join(m.backUp(), office.server.Resync(p.ctx, m.id)); err != nil {
		return err
	}
	for range rapid.IntRange(1, 2).Draw(p.T, "times") {
		m.link.Heal()
		m.link.CutAfter(rapid.SampledFrom([]int{500, 1000, 1500, 30_000, 60_000, 90_000, 130_000}).Draw(p.T, "bytes"))
		elapse(4 * time.Second)
		m.link.Cut()
		if m.owned != nil {
			if err := m.write(store.Request{}, p.edits(p.someIDs(ids))); err != nil {
				return err
			}
		}
	}
	if rapid.Bool().Draw(p.T, "put back") {
		return p.putBack(m.site, m.backups[len(m.backups)-1])
	}
	return nil
}
