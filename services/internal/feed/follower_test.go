package feed_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	"cidsistem.example/proto/gen/federationv1"
	"cidsistem.example/proto/gen/feedv1"
	"cidsistem.example/services/internal/store"
)

const (
	inSync      = federationv1.Node_IN_SYNC
	unreachable = federationv1.Node_UNREACHABLE
)

func TestFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(t)
		s.fill(t, 400)
		c := s.follow(t)
		c.wants(t, 3*time.Second, unreachable)
		s.serve()
		status := c.wants(t, 2*time.Second, inSync)
		c.equals(t, s)
		if status.Snapshots != 1 || status.Revision != 400 || status.Head != 400 || status.LastError != "" || len(status.Origins) != 1 {
			t.Errorf("status %+v", status)
		}
		for range 5 {
			s.fill(t, 7)
			if status := c.wants(t, time.Millisecond, inSync); status.Revision != s.store.Head().Revision || !status.AsOf.Equal(time.Now().Add(-time.Millisecond)) {
				t.Errorf("a moment after a write: %+v", status)
			}
			c.equals(t, s)
		}
		// While nothing happens the copy stays fresh.
		for range 10 {
			if status := c.wants(t, 7*time.Second, inSync); time.Since(status.AsOf) > 5*time.Second {
				t.Errorf("as of %s ago", time.Since(status.AsOf))
			}
		}
	})
}

func TestAsOfIsWrittenDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(t)
		s.fill(t, 1)
		s.serve()
		c := s.follow(t)
		c.wants(t, 10*time.Minute, inSync)
		u, err := c.store.Upstream("marsala")
		must(t, err)
		if old := time.Since(u.AsOf); old > time.Minute+5*time.Second {
			t.Errorf("after ten quiet minutes it says that the copy was complete %s ago", old)
		}
	})
}

func TestSilenceIsAFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(t)
		s.fill(t, 3)
		s.serve()
		c := s.follow(t)
		c.wants(t, 12*time.Second, inSync)
		var silent atomic.Bool
		silent.Store(true)
		release := make(chan struct{})
		s.meanwhile(func(string, any) error {
			if silent.Load() {
				<-release
			}
			return nil
		})
		last := c.follower.Status().AsOf
		status := c.wants(t, 16*time.Second, unreachable)
		if !strings.Contains(status.LastError, "silent for 15s") || !status.AsOf.Equal(last) || status.LastErrorTime.Sub(last) != 15*time.Second {
			t.Errorf("status %+v, last heard at %s", status, last)
		}
		silent.Store(false)
		close(release)
		c.wants(t, 18*time.Second, inSync)
	})
}

// What this server takes over a message is not the other's silence.
func TestSlowDiskIsNoSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(t)
		s.fill(t, 600)
		s.serve()
		c := s.follow(t)
		c.slow.Store(int64(20 * time.Second))
		status := c.wants(t, 5*time.Minute, inSync)
		if status.Snapshots != 1 || status.LastError != "" {
			t.Errorf("status %+v", status)
		}
		c.equals(t, s)
		s.fill(t, 3)
		c.wants(t, 2*time.Minute, inSync)
		c.equals(t, s)
		c.slow.Store(0)
	})
}

func TestLinkThatHeals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(t)
		s.fill(t, 3)
		s.serve()
		c := s.follow(t)
		c.wants(t, time.Second, inSync)
		for _, outage := range []time.Duration{time.Second, time.Minute, 24 * time.Hour} {
			s.stop()
			s.fill(t, 5)
			status := c.wants(t, outage, unreachable)
			if status.LastError == "" || status.Snapshots != 1 {
				t.Errorf("during an outage of %s: %+v", outage, status)
			}
			s.serve()
			if status := c.wants(t, 2*time.Second, inSync); status.Snapshots != 1 || status.LastError != "" {
				t.Errorf("after an outage of %s: %+v", outage, status)
			}
			c.equals(t, s)
		}
	})
}

func TestRefusedFollower(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(t)
		s.fill(t, 3)
		s.meanwhile(func(string, any) error { return denied })
		s.serve()
		c := s.follow(t)
		status := c.wants(t, time.Second, federationv1.Node_REFUSED)
		if !strings.Contains(status.LastError, "not a member") {
			t.Errorf("status %+v", status)
		}
		s.meanwhile(nil)
		c.wants(t, 2*time.Second, inSync)
	})
}

func copyTo(t *testing.T, from, to string) {
	t.Helper()
	bytes, err := os.ReadFile(from)
	must(t, err)
	must(t, os.WriteFile(to, bytes, 0o600))
}

// Whatever happened to the source's history, the copy is taken anew, and the old
// one is in use until the new one is complete.
func TestHistoryThatIsAnother(t *testing.T) {
	for name, happens := range map[string]func(t *testing.T, s *source, old string){
		"restored": func(t *testing.T, s *source, old string) {
			must(t, s.store.Close())
			must(t, store.Restore(context.Background(), old, s.options))
			s.open(t)
		},
		"trimmed": func(t *testing.T, s *source, _ string) {
			s.fill(t, 20)
			_, err := s.store.Trim(context.Background(), store.Retention{Revisions: 5})
			must(t, err)
		},
		"an old file put back": func(t *testing.T, s *source, old string) {
			must(t, s.store.Close())
			copyTo(t, old, s.options.Path)
			s.open(t)
		},
		"an old file put back, and written past the reader": func(t *testing.T, s *source, old string) {
			must(t, s.store.Close())
			copyTo(t, old, s.options.Path)
			s.open(t)
			for i := range 20 {
				s.write(t, service(fmt.Sprintf("other-%d", i)))
			}
		},
		"another store altogether": func(t *testing.T, s *source, _ string) {
			must(t, s.store.Close())
			must(t, os.Remove(s.options.Path))
			s.open(t)
			s.write(t, service("only"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSource(t)
				s.fill(t, 300)
				old := filepath.Join(t.TempDir(), "old.db")
				must(t, s.store.Backup(old))
				s.write(t, service("last"))
				s.serve()
				c := s.follow(t)
				c.wants(t, time.Second, inSync)
				before := holdings(t, c.store)

				s.stop()
				happens(t, s, old)
				pages := 0
				s.meanwhile(func(method string, _ any) error {
					if strings.HasSuffix(method, "StreamSnapshot") {
						pages++
						if got := holdings(t, c.store); !maps.Equal(got, before) {
							t.Errorf("before page %d of the new copy the old one has %d records, not %d", pages, len(got), len(before))
						}
					}
					return nil
				})
				s.serve()
				status := c.wants(t, 4*time.Second, inSync)
				if status.Snapshots != 2 || pages == 0 {
					t.Errorf("%d snapshots, %d pages", status.Snapshots, pages)
				}
				c.equals(t, s)
			})
		})
	}
}

func TestSnapshotThatBreaksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(t)
		s.fill(t, 1000)
		sent := 0
		s.meanwhile(func(method string, message any) error {
			if page, ok := message.(*feedv1.StreamSnapshotResponse); ok {
				if sent++; sent == 3 {
					return errors.New("the link breaks")
				}
				if (page.GetBeganAt() != nil) != (sent == 1) {
					t.Errorf("page %d begins at %v: what was there is sent again", sent, page.GetBeganAt())
				}
			}
			return nil
		})
		s.serve()
		c := s.follow(t)
		status := c.wants(t, 3*time.Second, inSync)
		if status.Snapshots != 1 || sent != 5 {
			t.Errorf("%d snapshots, %d pages of 256 records sent for 1000", status.Snapshots, sent)
		}
		c.equals(t, s)
	})
}

func TestResync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(t)
		s.fill(t, 300)
		s.serve()
		c := s.follow(t)
		c.wants(t, time.Second, inSync)
		for n := range 3 {
			c.passed = nil
			must(t, c.follower.Resync(context.Background()))
			status := c.wants(t, time.Second, inSync)
			if status.Snapshots != int64(n)+2 || status.LastError != "" {
				t.Errorf("after asking %d times: %+v", n+1, status)
			}
			if want := []federationv1.Node_State{federationv1.Node_SNAPSHOT, inSync}; !slices.Equal(c.passed, want) {
				t.Errorf("after asking %d times it passes through %v", n+1, c.passed)
			}
			c.equals(t, s)
		}
		// Asked for while the source is away it happens once it is back, once.
		s.stop()
		c.wants(t, time.Second, unreachable)
		must(t, c.follower.Resync(context.Background()))
		c.passed = nil
		s.serve()
		status := c.wants(t, 3*time.Second, inSync)
		if status.Snapshots != 5 || status.LastError != "" {
			t.Errorf("asked for during an outage: %+v", status)
		}
		if want := []federationv1.Node_State{unreachable, federationv1.Node_SNAPSHOT, inSync}; !slices.Equal(c.passed, want) && !slices.Equal(c.passed, want[1:]) {
			t.Errorf("after the outage it passes through %v", c.passed)
		}
		c.equals(t, s)
	})
}

// A server that says more than it sends is not believed.
func TestProgressThatIsALie(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(t)
		s.fill(t, 3)
		lies := 0
		s.meanwhile(func(_ string, message any) error {
			if changes, ok := message.(*feedv1.WatchChangesResponse); ok && len(changes.GetRevisions()) > 0 && lies < 3 {
				lies++
				changes.Revisions = changes.Revisions[:len(changes.Revisions)-1]
			}
			return nil
		})
		s.serve()
		c := s.follow(t)
		c.wants(t, time.Second, inSync)
		s.fill(t, 2)
		c.wants(t, 10*time.Second, inSync)
		c.equals(t, s)
		if lies == 0 || c.follower.Status().Snapshots < 2 {
			t.Errorf("%d lies, %d snapshots", lies, c.follower.Status().Snapshots)
		}
		// Damage on the way is noticed, too.
		damaged := false
		s.meanwhile(func(_ string, message any) error {
			if changes, ok := message.(*feedv1.WatchChangesResponse); ok && len(changes.GetRevisions()) > 0 && !damaged {
				damaged = true
				revision := proto.CloneOf(changes.GetRevisions()[0])
				revision.Body[len(revision.GetBody())-1]++
				changes.Revisions[0] = revision
			}
			return nil
		})
		s.fill(t, 2)
		c.wants(t, 10*time.Second, inSync)
		c.equals(t, s)
		if !damaged {
			t.Error("nothing was damaged")
		}
	})
}
