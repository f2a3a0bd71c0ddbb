package store_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"

	"cidsistem.example/proto/catalog"
	"cidsistem.example/services/internal/boltkit"
	"cidsistem.example/services/internal/store"
)

// backedUp is a store with some records, and a backup of it.
func backedUp(t *testing.T, c *clock) (s *store.Store, o store.Options, backup string) {
	t.Helper()
	o = options(filepath.Join(t.TempDir(), "registry.db"), "marsala", "marsala", c)
	s = open(t, o)
	for i := range 5 {
		write(t, s, service(fmt.Sprintf("s-%d", i), provided("aias")), organization("aias"))
	}
	backup = filepath.Join(t.TempDir(), "backup.db")
	must(t, s.Backup(backup))
	return s, o, backup
}

func TestRestore(t *testing.T) {
	c := newClock()
	s, o, backup := backedUp(t, c)
	at := s.Head()
	write(t, s, service("lost"))
	etag := catalog.RecordOf(read(t, s, "comuni/marsala/services/s-1")).Etag()
	lost := catalog.RecordOf(read(t, s, "comuni/marsala/services/lost")).Etag()
	must(t, s.Close())

	must(t, store.Restore(t.Context(), backup, o))
	again := open(t, o)
	if read(t, again, "comuni/marsala/services/lost") != nil {
		t.Error("what came after the backup is still there")
	}
	if got := catalog.RecordOf(read(t, again, "comuni/marsala/services/s-1")).Etag(); got != etag {
		t.Errorf("an unchanged record has etag %s, had %s", got, etag)
	}
	if head := again.Head(); string(head.Epoch) == string(at.Epoch) || head.Revision != at.Revision+1 {
		t.Errorf("the head is %s, was %s at the backup", head, at)
	}
	for _, before := range []store.Position{at, s.Head(), beginning(s)} {
		if _, _, err := again.Revisions(before); !errors.Is(err, store.ErrEpochChanged) {
			t.Errorf("a reader at %s is answered %v", before, err)
		}
	}
	sound(t, again)
	// The same number is given once more, to another state with another etag.
	if got := catalog.RecordOf(write(t, again, service("other"))[0]).Etag(); got == lost {
		t.Errorf("etag %s of a lost state came back", got)
	}
	if got := len(replayed(t, again)); got != 7 {
		t.Errorf("the feed of the new life gives %d records", got)
	}
	if _, err := os.Stat(backup); err != nil {
		t.Errorf("the backup was used up: %v", err)
	}
}

func TestRestoreWhereThereIsNothing(t *testing.T) {
	c := newClock()
	_, _, backup := backedUp(t, c)
	o := options(filepath.Join(t.TempDir(), "registry.db"), "marsala", "marsala", c)
	must(t, store.Restore(t.Context(), backup, o))
	if read(t, open(t, o), "comuni/marsala/services/s-1") == nil {
		t.Error("nothing was restored")
	}
}

func TestBackupsThatAreRefused(t *testing.T) {
	c := newClock()
	for name, test := range map[string]struct {
		backup func(t *testing.T, good string) string
		want   error
		says   string
	}{
		"none": {backup: func(t *testing.T, _ string) string { return filepath.Join(t.TempDir(), "none.db") }, want: os.ErrNotExist},
		"empty file": {backup: func(t *testing.T, _ string) string {
			path := filepath.Join(t.TempDir(), "empty.db")
			must(t, os.WriteFile(path, nil, 0o600))
			return path
		}, want: boltkit.ErrDamaged},
		"cut short": {backup: func(t *testing.T, good string) string {
			bytes, err := os.ReadFile(good)
			must(t, err)
			path := filepath.Join(t.TempDir(), "half.db")
			must(t, os.WriteFile(path, bytes[:len(bytes)/2], 0o600))
			return path
		}, want: boltkit.ErrDamaged},
		"another server's": {backup: func(t *testing.T, _ string) string {
			s := open(t, options(filepath.Join(t.TempDir(), "p.db"), "pantelleria", "pantelleria", c))
			path := filepath.Join(t.TempDir(), "backup.db")
			must(t, s.Backup(path))
			return path
		}, want: store.ErrWrongServer},
		"no server's": {backup: func(t *testing.T, _ string) string {
			path := filepath.Join(t.TempDir(), "any.db")
			inspect(t, path, func(tx *bolt.Tx) error { _, err := tx.CreateBucket([]byte("something")); return err })
			return path
		}, want: store.ErrNoStore},
		"damaged inside": {backup: func(t *testing.T, good string) string {
			inspect(t, good, func(tx *bolt.Tx) error {
				return tx.Bucket([]byte("referrers")).Put([]byte("comuni/marsala/services/x\x00comuni/marsala/services/y"), nil)
			})
			return good
		}, says: "the backup is damaged"},
	} {
		t.Run(name, func(t *testing.T) {
			s, o, good := backedUp(t, c)
			must(t, s.Close())
			err := store.Restore(t.Context(), test.backup(t, good), o)
			if err == nil || (test.want != nil && !errors.Is(err, test.want)) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("answered %v", err)
			}
			again := open(t, o)
			if !again.Head().Equal(s.Head()) {
				t.Errorf("the refused backup changed the store: %s", again.Head())
			}
			sound(t, again)
			entries, err := os.ReadDir(filepath.Dir(o.Path))
			must(t, err)
			if len(entries) != 1 {
				t.Errorf("left behind: %v", entries)
			}
		})
	}
}

func TestRestoreOfAStoreInUse(t *testing.T) {
	c := newClock()
	s, o, backup := backedUp(t, c)
	write(t, s, service("after-the-backup"))
	if err := store.Restore(t.Context(), backup, o); !errors.Is(err, boltkit.ErrLocked) {
		t.Errorf("restored over a store in use: %v", err)
	}
	write(t, s, service("still-works"))
	sound(t, s)
}
