package federationtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing/synctest"
	"time"

	"cidsistem.example/services/internal/store"
	"cidsistem.example/services/registry"
	"cidsistem.example/services/ufficiocomune"
)

// elapse moves the clock of the bubble that a history runs in: time in which the
// servers do what they do, and none of ours. It synchronises nothing: what a
// history waits for it awaits with synctest.Wait, or asks for.
func elapse(d time.Duration) { time.Sleep(d) }

// A site is a node or an office of a history, with the truth about it.
type site struct {
	id     string
	comune string // empty: an office
	open   opener
	dir    string
	clock  clock
	disk   disk

	members []*member
	links   []*Link // all that lead here

	server  siteServer
	store   *store.Store
	process *Process // nil: not running

	reader    *reader
	readsOver *Link

	journal *journal
	owned   *owned // nil: an office owns nothing
	tidies  bool   // the server purges by itself
	wrote   int    // revisions that the journal must find
	acked   []acked
	rewound time.Time // when the history became another
	backups []backup
	// restored is true until the new epoch of a restore is seen.
	restored bool
	seen     string // what the last examination looked at
}

// An opener opens the server of a site, on its data file.
type opener func(*site) (siteServer, error)

// A siteServer is what a node and an office have in common.
type siteServer interface {
	server
	Store() *store.Store
	Resync(ctx context.Context, member string) error
}

// A member is a site that an office follows.
type member struct {
	*site
	link   *Link
	comuni []string // that the settings say it answers for; none: whatever it offers
	out    bool     // not in the settings at present
	// scope is what the copy may hold by all of the settings, and rescoped is true
	// until a copy under a new scope is there.
	scope    store.Scope
	rescoped bool
}

// A backup is a copy of a data file, and the truth at its time.
type backup struct {
	path  string
	at    store.Position
	owned *owned
}

// acked is up to where writes were acknowledged at a time of the test.
type acked struct {
	time     time.Time
	revision int64
}

// A clock is that of one site: the time of the test, and an error.
type clock struct{ wrong atomic.Int64 }

func (c *clock) now() time.Time { return time.Now().Add(time.Duration(c.wrong.Load())) }

func (c *clock) jump(d time.Duration) { c.wrong.Add(int64(d)) }

// A disk decides what commits of a site meet.
type disk struct {
	mu    sync.Mutex
	delay time.Duration
	fault error
	held  chan struct{} // commits wait for it, and then never happen
}

var (
	errDisk   = errors.New("the disk failed")
	errKilled = errors.New("the process was killed")
)

func (d *disk) change(edit func(*disk)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	edit(d)
}

func (d *disk) beforeCommit() error {
	d.mu.Lock()
	delay, held := d.delay, d.held
	d.mu.Unlock()
	if held != nil {
		<-held
		return errKilled
	}
	elapse(delay)
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.fault
}

// slowest is the longest that a commit takes.
const slowest = 18 * time.Second

// settleDisk makes commits quick again, and waits for those under way.
func (s *site) settleDisk() {
	slow := false
	s.disk.change(func(d *disk) { slow, d.delay = d.delay > 0, 0 })
	if slow {
		elapse(slowest + time.Second)
	}
}

func (s *site) folder() string { return filepath.Join(s.dir, s.id) }

func (s *site) file() string {
	if s.comune != "" {
		return registry.DataFile(s.folder())
	}
	return ufficiocomune.DataFile(s.folder())
}

func (s *site) options() store.Options {
	return store.Options{
		Path: s.file(), ServerID: s.id, Comune: s.comune, Now: s.clock.now,
		Logger: Quiet(), NoSync: true, BeforeCommit: s.disk.beforeCommit,
	}
}

// scopes works out what each copy of an office may hold: what other members are
// said to answer for is not taken from those that offer whatever they have.
func (s *site) scopes() map[string]store.Scope {
	scopes := map[string]store.Scope{}
	for _, m := range s.members {
		scope := store.Scope{Comuni: m.comuni}
		for _, other := range s.members {
			if len(m.comuni) == 0 && !other.out {
				scope.Except = append(scope.Except, other.comuni...)
			}
		}
		slices.Sort(scope.Except)
		m.rescoped = m.rescoped || !slices.Equal(scope.Except, m.scope.Except) || !slices.Equal(scope.Comuni, m.scope.Comuni)
		m.scope = scope
		if !m.out {
			scopes[m.id] = scope
		}
	}
	return scopes
}

// start opens the site's data file and serves it.
func (s *site) start() error {
	if err := os.MkdirAll(s.folder(), 0o700); err != nil {
		return err
	}
	opened, err := s.open(s)
	if err != nil {
		return fmt.Errorf("open %s: %w", s.id, err)
	}
	s.server, s.store, s.process, s.seen = opened, opened.Store(), start(opened), ""
	for _, l := range s.links {
		l.Lead(s.process)
	}
	return nil
}

// stop ends the site in an orderly way.
func (s *site) stop() error {
	err := s.process.halt()
	for _, l := range s.links {
		l.Lead(nil)
	}
	s.process = nil
	return err
}

// kill ends the site as SIGKILL does: connections break, and the next start
// finds the file as it is at this moment. What is left of the process goes on
// with a file that nobody reads again.
func (s *site) kill() error {
	synctest.Wait() // commits are over, or held before their first byte
	left := s.file() + ".left"
	if err := copyFile(s.file(), left); err != nil {
		return err
	}
	for _, l := range s.links {
		l.Lead(nil)
	}
	s.disk.change(func(d *disk) {
		if d.held != nil {
			close(d.held)
		}
	})
	err := s.process.halt()
	s.disk.change(func(d *disk) { d.delay, d.fault, d.held = 0, nil, nil })
	s.process = nil
	return errors.Join(err, os.Rename(left, s.file()))
}

// Places in a file where data and holes begin, for seeking.
const (
	nextData = 3
	nextHole = 4
)

// copyFile copies a file with its holes: most of a young data file is one.
func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	err = out.Truncate(info.Size())
	for at := int64(0); err == nil && at < info.Size(); {
		begin, none := in.Seek(at, nextData)
		if errors.Is(none, syscall.ENXIO) {
			break
		}
		if at, err = in.Seek(begin, nextHole); err == nil {
			_, err = io.Copy(io.NewOffsetWriter(out, begin), io.NewSectionReader(in, begin, at-begin))
		}
	}
	return errors.Join(err, out.Close())
}

// backUp makes a backup of the running site.
func (s *site) backUp() error {
	if err := s.observe(); err != nil {
		return err
	}
	b := backup{path: filepath.Join(s.dir, fmt.Sprintf("%s-backup-%d", s.id, len(s.backups))), at: s.journal.at}
	if s.owned != nil {
		b.owned = s.owned.clone()
	}
	s.backups = append(s.backups, b)
	return s.store.Backup(b.path)
}

// restore puts a backup of the stopped site in place as its administrator
// does: a new epoch begins.
func (s *site) restore(b backup) error {
	s.back(b)
	s.restored = true
	s.wrote++ // the revision that begins the epoch
	return store.Restore(context.Background(), b.path, s.options())
}

// copyBack puts a backup of the stopped site in place by hand.
func (s *site) copyBack(b backup) error {
	s.back(b)
	return copyFile(b.path, s.file())
}

// back makes the truth that of a backup.
func (s *site) back(b backup) {
	s.journal.back(b.at)
	if b.owned != nil {
		s.owned = b.owned.clone()
	}
	s.reader.forget()
	s.rewound = time.Now()
	s.acked = []acked{{s.rewound, b.at.Revision}}
	s.backups = slices.DeleteFunc(s.backups, func(other backup) bool { return other.at.Revision > b.at.Revision })
}

// observe brings the journal up to date. A write of a node is one revision, and
// a restore begins an epoch, which nothing else does.
func (s *site) observe() error {
	synctest.Wait()
	if begins := string(s.store.Head().Epoch) != string(s.journal.at.Epoch); begins != s.restored && s.journal.at.Revision > 0 {
		return fmt.Errorf("%w: restored %v, new epoch %v at %s", ErrResumable, s.restored, begins, s.id)
	}
	s.restored = false
	n, err := s.journal.extend(s.store)
	if err != nil {
		return fmt.Errorf("feed of %s: %w", s.id, err)
	}
	purges, err := s.purged()
	if err != nil {
		return err
	}
	if s.owned != nil && (n < s.wrote+min(purges, 1) || n > s.wrote+purges) {
		return fmt.Errorf("%w: %d writes and %d purges of %s became %d revisions", ErrAtomic, s.wrote, purges, s.id, n)
	}
	s.wrote = 0
	return nil
}

// GoString is for the trace of a history.
func (s *site) GoString() string { return s.id }

// GoString is for the trace of a history.
func (b backup) GoString() string { return fmt.Sprint("revision ", b.at.Revision) }
