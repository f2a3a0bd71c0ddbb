package federationtest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/store"
)

// inWorld plays a story in a bubble of its own time.
func inWorld(t *testing.T, g *game, play func(t *testing.T, w *world) error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		defer g.begin()()
		w, err := newWorld(g.open)
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := w.close(); err != nil {
				t.Error(err)
			}
		}()
		if err := play(t, w); err != nil {
			t.Fatal(err)
		}
	})
}

// levels makes a node, an office over it, and an office over that.
func (w *world) levels() (node, office, top *site) {
	node = w.node("primo")
	office = w.office("ufficio", node)
	return node, office, w.office("sopra", office)
}

// puts writes a public location, in a write of its own for each title.
func (s *site) puts(id string, titles ...string) error {
	for _, title := range titles {
		if err := s.write(store.Request{}, []edit{{id: id, title: title, visibility: registryv1.Visibility_PUBLIC}}); err != nil {
			return err
		}
	}
	return nil
}

// putsMany writes locations that fill more than two pages of a snapshot.
func (s *site) putsMany(title string) error {
	var edits []edit
	for i := range 760 {
		edits = append(edits, edit{id: fmt.Sprintf("m%03d", i), title: title, visibility: registryv1.Visibility_PUBLIC})
	}
	return errors.Join(s.write(store.Request{}, edits[:380]), s.write(store.Request{}, edits[380:]))
}

// flood makes more revisions than a message of the feed holds.
func (s *site) flood(title string) error {
	var writes [][]edit
	for i := range 300 {
		writes = append(writes, []edit{{id: fmt.Sprintf("m%03d", i), title: title, visibility: registryv1.Visibility_PUBLIC}})
	}
	return s.crowd(writes)
}

// forgetAll trims everything that a feed has.
func (s *site) forgetAll() error {
	err := s.observe()
	_, trimmed := s.store.Trim(context.Background(), store.Retention{})
	return errors.Join(err, trimmed)
}

// taken tells how often an office took the copy of a member anew.
func taken(t *testing.T, office, member *site) int64 {
	t.Helper()
	u, err := office.store.Upstream(member.id)
	if err != nil {
		t.Fatal(err)
	}
	return u.Snapshots
}

func TestDeletionReachesBothLevelsAfterLongerThanRetention(t *testing.T) {
	for _, away := range []string{"office", "top", "both"} {
		t.Run(away+" away", func(t *testing.T) {
			inWorld(t, &feeds, func(t *testing.T, w *world) error {
				node, office, top := w.levels()
				if err := errors.Join(w.run(), node.puts("la", "resta"), node.puts("lb", "sparisce"), w.converge()); err != nil {
					return err
				}
				if away != "top" {
					office.members[0].link.Cut()
				}
				if away != "office" {
					top.members[0].link.Cut()
				}
				err := node.write(store.Request{}, []edit{{id: "lb", verb: remove}})
				for _, s := range w.sites {
					s.clock.jump(40 * 24 * time.Hour)
				}
				elapse(time.Second)
				err = errors.Join(err, node.tidy(node.clock.now()), node.forgetAll())
				office.members[0].link.Heal()
				elapse(convergeWithin)
				err = errors.Join(err, office.forgetAll(), w.converge())
				if away != "top" && taken(t, office, node) != 2 {
					t.Errorf("the office took %d copies of the node, want a second one: the feed did not reach back", taken(t, office, node))
				}
				if away != "office" && taken(t, top, office) != 2 {
					t.Errorf("the top took %d copies of the office, want a second one: the feed did not reach back", taken(t, top, office))
				}
				return err
			})
		})
	}
}

func TestFilePutBackIsNoticed(t *testing.T) {
	for name, variant := range map[string]struct {
		byRestore bool
		writes    int // after the file is back; the reader had seen three more than it has
	}{
		"behind the reader":              {},
		"written up to the reader":       {writes: 3},
		"written past the reader":        {writes: 6},
		"restored as it should be":       {byRestore: true},
		"restored, then written as well": {byRestore: true, writes: 3},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, &feeds, func(t *testing.T, w *world) error {
				node, office, _ := w.levels()
				err := errors.Join(w.run(), node.puts("la", "prima"), node.backUp(), node.puts("lb", "uno", "due", "tre"), w.converge())
				if err != nil {
					return err
				}
				// As in life, nobody listens while the file is exchanged.
				node.readsOver.Cut()
				office.members[0].link.Cut()
				if err := errors.Join(node.observe(), node.stop()); err != nil {
					return err
				}
				if variant.byRestore {
					err = node.restore(node.backups[0])
				} else {
					err = node.copyBack(node.backups[0])
				}
				if err := errors.Join(err, node.start()); err != nil {
					return err
				}
				for i := range variant.writes {
					if err := node.puts("lc", fmt.Sprint("dopo ", i)); err != nil {
						return err
					}
				}
				err = w.converge()
				if taken(t, office, node) != 2 {
					t.Errorf("the office took %d copies of the node, want a second one", taken(t, office, node))
				}
				return err
			})
		})
	}
}

// snapshotUntil waits until the snapshot that an office takes of a member has
// come to a point, and cuts the link there.
func snapshotUntil(office *site, m *member, point func(store.Snapshot) bool) error {
	// Pieces take longer than the steps of this loop, so that the cut comes
	// before what follows the point.
	m.link.Heal()
	m.link.Delay(50 * time.Millisecond)
	defer m.link.Cut()
	for range 60_000 {
		elapse(time.Millisecond)
		synctest.Wait()
		u, err := office.store.Upstream(m.id)
		if err != nil {
			return err
		}
		if u.Snapshot != nil && point(*u.Snapshot) {
			return nil
		}
	}
	return errors.New("the snapshot did not come to the point in a minute")
}

func TestFilePutBackUnderASnapshotIsNoticed(t *testing.T) {
	first := func(s store.Snapshot) bool { return len(s.LastKey) > 0 && s.Ended.Zero() }
	last := func(s store.Snapshot) bool { return !s.Ended.Zero() }
	for _, between := range []string{"pages", "pages and feed"} {
		for _, writes := range []int{0, 1, 8} {
			t.Run(fmt.Sprintf("between %s, then written %d times", between, writes), func(t *testing.T) {
				inWorld(t, &feeds, func(t *testing.T, w *world) error {
					node, office, _ := w.levels()
					m := office.members[0]
					err := errors.Join(w.run(), node.putsMany("prima"), w.converge(), node.backUp(),
						office.server.Resync(w.ctx, node.id), snapshotUntil(office, m, first))
					if err != nil {
						return err
					}
					// The pages that follow are of a time that the backup does not know.
					var one []byte
					second := func(s store.Snapshot) bool { return first(s) && string(s.LastKey) != string(one) }
					u, err := office.store.Upstream(node.id)
					one = u.Snapshot.LastKey
					point := second
					if between == "pages and feed" {
						point = last
					}
					err = errors.Join(err, node.puts("m300", "dopo"), node.puts("m301x", "dopo"), node.puts("zz", "dopo"),
						snapshotUntil(office, m, point), node.observe(), node.stop(), node.copyBack(node.backups[0]), node.start())
					for i := range writes {
						err = errors.Join(err, node.puts("la", fmt.Sprint("altra storia ", i)))
					}
					return errors.Join(err, w.converge())
				})
			})
		}
	}
}

func TestLoopOfTwoOfficesEnds(t *testing.T) {
	inWorld(t, &feeds, func(_ *testing.T, w *world) error {
		first, second := w.node("primo"), w.node("secondo")
		a, b := w.office("ufficio-a", first), w.office("ufficio-b", second)
		a.follow(b)
		b.follow(a)
		err := errors.Join(w.run(), w.converge(), first.puts("la", "uno", "due"), second.puts("lb", "tre"), w.converge(),
			first.write(store.Request{}, []edit{{id: "la", verb: purge}}), w.converge(),
			a.server.Resync(w.ctx, b.id), b.server.Resync(w.ctx, a.id), w.converge())
		// Each passed on the entities of both comuni, three states and one end.
		for _, office := range []*site{a, b} {
			if head := office.store.Head().Revision; head != 6 {
				err = errors.Join(err, fmt.Errorf("%w: %s made %d revisions of 6", ErrLoop, office.id, head))
			}
		}
		return err
	})
}

func TestMemberRemovedDropsItsRecordsAtBothLevels(t *testing.T) {
	inWorld(t, &feeds, func(t *testing.T, w *world) error {
		first, second := w.node("primo"), w.node("secondo")
		office := w.office("ufficio", first, second)
		top := w.office("sopra", office)
		if err := errors.Join(w.run(), first.puts("la", "uno"), second.puts("lb", "due"), w.converge()); err != nil {
			return err
		}
		for _, out := range []bool{true, false} {
			if err := office.stop(); err != nil {
				return err
			}
			office.members[0].out = out
			if err := errors.Join(first.puts("lc", "nel frattempo"), office.start(), w.converge()); err != nil {
				return err
			}
			for _, s := range []*site{office, top} {
				all, err := s.contents()
				if _, there := all["comuni/primo/locations/la"]; there == out || err != nil {
					t.Errorf("member out: %v, its record at %s: %v, %v", out, s.id, there, err)
				}
			}
		}
		return nil
	})
}

func TestComuneComesFromTheOtherMemberOnceTheFirstIsRemoved(t *testing.T) {
	inWorld(t, &feeds, func(t *testing.T, w *world) error {
		node := w.node("primo")
		a, b := w.office("ufficio-a", node), w.office("ufficio-b", node)
		top := w.office("sopra", a, b)
		if err := errors.Join(w.run(), node.puts("la", "uno"), w.converge()); err != nil {
			return err
		}
		holders, err := top.store.Holders()
		if err := errors.Join(err, top.observe(), top.stop()); err != nil {
			return err
		}
		for _, m := range top.members {
			m.out = m.id == holders["primo"]
		}
		return errors.Join(top.start(), w.converge())
	})
}

func TestComuneMovesFromOneOfficeToAnother(t *testing.T) {
	inWorld(t, &feeds, func(_ *testing.T, w *world) error {
		node := w.node("primo")
		a, b := w.office("ufficio-a", node), w.office("ufficio-b", node)
		w.office("sopra", a, b)
		b.members[0].out = true
		if err := errors.Join(w.run(), node.puts("la", "uno"), w.converge()); err != nil {
			return err
		}
		for _, office := range []*site{a, b} {
			if err := office.stop(); err != nil {
				return err
			}
			office.members[0].out = !office.members[0].out
			if err := errors.Join(office.start(), w.converge()); err != nil {
				return err
			}
		}
		return nil
	})
}

func TestProgressIsToldMessageByMessage(t *testing.T) {
	inWorld(t, &feeds, func(_ *testing.T, w *world) error {
		node, office, _ := w.levels()
		if err := errors.Join(w.run(), w.converge()); err != nil {
			return err
		}
		node.readsOver.Cut()
		office.members[0].link.Cut()
		return errors.Join(node.flood("uno"), node.flood("due"), w.converge())
	})
}
