package boltkit_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"

	bolt "go.etcd.io/bbolt"

	"cidsistem.example/services/internal/boltkit"
)

func TestViewFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := fresh(t, options())
		must(t, db.Write(t.Context(), change(put("k", "v"))))
		read := func(path string) (got string, err error) {
			err = boltkit.ViewFile(path, func(tx *bolt.Tx) error {
				return tx.ForEach(func(_ []byte, b *bolt.Bucket) error {
					return b.ForEach(func(_, v []byte) error { got += string(v); return nil })
				})
			})
			return got, err
		}
		if _, err := read(db.Path()); !errors.Is(err, boltkit.ErrLocked) {
			t.Errorf("a file in use: %v", err)
		}
		must(t, db.Close())
		before, err := os.ReadFile(db.Path())
		must(t, err)
		if got, err := read(db.Path()); got != "v" || err != nil {
			t.Errorf("a closed file: %q %v", got, err)
		}
		after, err := os.ReadFile(db.Path())
		must(t, err)
		if string(before) != string(after) {
			t.Error("a read changed the file")
		}
		missing := filepath.Join(t.TempDir(), "none.db")
		if _, err := read(missing); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("a file that is not there: %v", err)
		}
		if _, err := os.Stat(missing); !errors.Is(err, os.ErrNotExist) {
			t.Error("a read made a file")
		}
		cause := errors.New("the reader's own")
		if err := boltkit.ViewFile(db.Path(), func(*bolt.Tx) error { return cause }); !errors.Is(err, cause) {
			t.Errorf("a reader's error became %v", err)
		}
	})
}

func TestViewFileOfDamagedPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := fresh(t, options())
		must(t, db.Write(t.Context(), change(put("k", "v"))))
		must(t, db.Close())
		sound, err := os.ReadFile(db.Path())
		must(t, err)
		broken := append([]byte{}, sound...)
		for at := 2 * os.Getpagesize(); at < len(broken); at += os.Getpagesize() {
			broken[at] ^= 0xff // the number of the page, in it
		}
		for name, content := range map[string][]byte{"pages that are others": broken, "part of a file": sound[:3*os.Getpagesize()], "another file": []byte("text")} {
			must(t, os.WriteFile(db.Path(), content, 0o600))
			err := boltkit.ViewFile(db.Path(), func(tx *bolt.Tx) error {
				return tx.ForEach(func(_ []byte, b *bolt.Bucket) error { return b.ForEach(func(_, _ []byte) error { return nil }) })
			})
			if !errors.Is(err, boltkit.ErrDamaged) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}
