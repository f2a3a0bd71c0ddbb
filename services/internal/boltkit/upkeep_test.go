package boltkit_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"

	bolt "go.etcd.io/bbolt"

	"cidsistem.example/services/internal/boltkit"
)

func TestFileInUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := fresh(t, options())
		_, err := boltkit.Open(db.Path(), options())
		if !errors.Is(err, boltkit.ErrLocked) || !strings.Contains(err.Error(), db.Path()) || !strings.Contains(err.Error(), "in use by another process") {
			t.Errorf("a second opener got %v", err)
		}
		if _, _, err := boltkit.Compact(db.Path()); !errors.Is(err, boltkit.ErrLocked) {
			t.Errorf("compacting a file in use: %v", err)
		}
		other := filepath.Join(t.TempDir(), "other.db")
		must(t, db.Backup(other))
		if err := boltkit.Install(other, db.Path()); !errors.Is(err, boltkit.ErrLocked) {
			t.Errorf("replacing a file in use: %v", err)
		}
		must(t, db.Write(t.Context(), change(put("k", "v"))))
		must(t, db.Close())
		if got := content(t, open(t, db.Path(), options())); got["k"] != "v" {
			t.Errorf("the file lost a write: %v", got)
		}
	})
}

// Who waits for the lock while the file is replaced must not work on the old
// one: nobody would ever see those writes again.
func TestOpenFollowsAReplacedFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "data.db")
		for _, file := range []string{path, path + ".better"} {
			db := open(t, file, options())
			must(t, db.Write(t.Context(), change(func(tx *bolt.Tx) error {
				b, err := tx.CreateBucket(bucket)
				if err != nil {
					return err
				}
				return b.Put([]byte("file"), []byte(file))
			})))
			must(t, db.Close())
		}
		locked, err := os.Open(path)
		must(t, err)
		must(t, syscall.Flock(int(locked.Fd()), syscall.LOCK_SH)) // as Compact does
		opened := make(chan *boltkit.DB, 1)
		go func() {
			db, err := boltkit.Open(path, options())
			if err != nil {
				t.Error(err)
			}
			opened <- db
		}()
		synctest.Wait()
		must(t, os.Rename(path+".better", path))
		must(t, locked.Close())
		db := <-opened
		if db == nil {
			return
		}
		defer func() { _ = db.Close() }()
		if got := content(t, db)["file"]; got != path+".better" {
			t.Errorf("opened %s", got)
		}
	})
}

func TestFirstCreationIsAtomic(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data.db")
	var opened atomic.Int32
	var running sync.WaitGroup
	for i := range 6 {
		running.Go(func() {
			db, err := boltkit.Open(path, options())
			for errors.Is(err, boltkit.ErrLocked) {
				db, err = boltkit.Open(path, options())
			}
			if err != nil {
				t.Error(err)
				return
			}
			opened.Add(1)
			err = db.Write(context.Background(), change(func(tx *bolt.Tx) error {
				b, err := tx.CreateBucketIfNotExists(bucket)
				if err != nil {
					return err
				}
				return b.Put([]byte(fmt.Sprint(i)), nil)
			}))
			if err := errors.Join(err, db.Close()); err != nil {
				t.Error(err)
			}
		})
	}
	running.Wait()
	if got := len(content(t, open(t, path, options()))); got != int(opened.Load()) {
		t.Errorf("%d made the file at the same time, %d writes are there", opened.Load(), got)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	must(t, err)
	if len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
}

func TestCreationThatBrokeOff(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data.db")
	must(t, os.WriteFile(path+".new-1", []byte("half a file"), 0o600))
	db := open(t, path, options())
	must(t, db.Write(t.Context(), change(func(tx *bolt.Tx) error { _, err := tx.CreateBucket(bucket); return err })))
	if _, err := boltkit.Open(filepath.Join(t.TempDir(), "no such folder", "data.db"), options()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file in a folder that is not there: %v", err)
	}
}

func TestDamagedFilesAreRefused(t *testing.T) {
	db := fresh(t, options())
	for i := range 100 {
		must(t, db.Write(t.Context(), change(put(fmt.Sprint(i), strings.Repeat("x", 2000)))))
	}
	copied := filepath.Join(t.TempDir(), "copy.db")
	must(t, db.Backup(copied))
	sound, err := os.ReadFile(copied)
	must(t, err)
	for name, bytes := range map[string][]byte{
		"empty":      {},
		"text":       []byte("this is no data file"),
		"one page":   sound[:4096],
		"cut short":  sound[:len(sound)-1],
		"half of it": sound[:len(sound)/2],
		"zeros":      make([]byte, len(sound)),
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "data.db")
			must(t, os.WriteFile(path, bytes, 0o600))
			if db, err := boltkit.Open(path, options()); !errors.Is(err, boltkit.ErrDamaged) {
				t.Errorf("opened: %v, %v", db, err)
			}
			if _, _, err := boltkit.Compact(path); !errors.Is(err, boltkit.ErrDamaged) {
				t.Errorf("compacted: %v", err)
			}
			after, err := os.ReadFile(path)
			must(t, err)
			if string(after) != string(bytes) {
				t.Error("the refused file was changed")
			}
		})
	}
}

func TestBackupUnderWrites(t *testing.T) {
	db := fresh(t, options())
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	for w := range 4 {
		running.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				err := db.Write(ctx, change(func(tx *bolt.Tx) error {
					return errors.Join(put(fmt.Sprintf("%d a %06d", w, i), "x")(tx), put(fmt.Sprintf("%d b %06d", w, i), "x")(tx))
				}))
				if err != nil && ctx.Err() == nil {
					t.Error(err)
				}
			}
		})
	}
	for n := range 5 {
		path := filepath.Join(t.TempDir(), fmt.Sprintf("backup-%d.db", n))
		must(t, db.Backup(path))
		backup := open(t, path, options())
		problems, err := backup.CheckPages(t.Context())
		if err != nil || len(problems) > 0 {
			t.Errorf("backup %d: %v %v", n, problems, err)
		}
		// Each writer's part has no gap, and no write is there by half.
		all := content(t, backup)
		for w := range 4 {
			i := 0
			for ; all[fmt.Sprintf("%d a %06d", w, i)] != ""; i++ {
				delete(all, fmt.Sprintf("%d a %06d", w, i))
				if all[fmt.Sprintf("%d b %06d", w, i)] == "" {
					t.Errorf("backup %d has half of write %d of writer %d", n, i, w)
				}
				delete(all, fmt.Sprintf("%d b %06d", w, i))
			}
		}
		if len(all) > 0 {
			t.Errorf("backup %d has gaps before %d entries", n, len(all))
		}
	}
	stop()
	running.Wait()
	if err := db.Backup(filepath.Join(t.TempDir(), "no such folder", "b.db")); err == nil {
		t.Error("a backup into a folder that is not there")
	}
}

func TestCompactKeepsEverything(t *testing.T) {
	db := fresh(t, options())
	for i := range 200 {
		must(t, db.Write(t.Context(), change(put(fmt.Sprintf("%03d", i), strings.Repeat("x", 5000)))))
	}
	must(t, db.Write(t.Context(), change(func(tx *bolt.Tx) error {
		nested, err := tx.Bucket(bucket).CreateBucket([]byte("nested"))
		if err != nil {
			return err
		}
		for i := range 190 {
			if err := tx.Bucket(bucket).Delete(fmt.Appendf(nil, "%03d", i)); err != nil {
				return err
			}
		}
		return nested.Put([]byte("k"), []byte("v"))
	})))
	want := content(t, db)
	sizes, err := db.Sizes()
	must(t, err)
	if sizes.Free < 500_000 || sizes.File < sizes.Free {
		t.Errorf("190 values of 5 kB were removed, sizes say %+v", sizes)
	}
	must(t, db.Close())

	before, after, err := boltkit.Compact(db.Path())
	must(t, err)
	info, err := os.Stat(db.Path())
	must(t, err)
	if before != sizes.File || after != info.Size() || after > before/2 {
		t.Errorf("compacted from %d to %d bytes; the file had %d, has %d", before, after, sizes.File, info.Size())
	}
	again := open(t, db.Path(), options())
	if got := content(t, again); !maps.Equal(got, want) {
		t.Errorf("after compaction %d entries, before %d", len(got), len(want))
	}
	must(t, again.View(func(tx *bolt.Tx) error {
		if got := tx.Bucket(bucket).Bucket([]byte("nested")).Get([]byte("k")); string(got) != "v" {
			t.Errorf("the nested bucket has %q", got)
		}
		return nil
	}))
	if _, _, err := boltkit.Compact(filepath.Join(t.TempDir(), "none.db")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("compacting a file that is not there: %v", err)
	}
}

func TestInstall(t *testing.T) {
	db := fresh(t, options())
	must(t, db.Write(t.Context(), change(put("k", "v"))))
	for _, target := range []string{"new.db", "old.db"} {
		from, to := filepath.Join(t.TempDir(), "backup.db"), filepath.Join(t.TempDir(), target)
		must(t, db.Backup(from))
		if target == "old.db" {
			must(t, open(t, to, options()).Close())
		}
		must(t, boltkit.Install(from, to))
		if got := content(t, open(t, to, options())); got["k"] != "v" {
			t.Errorf("%s has %v", target, got)
		}
		if _, err := os.Stat(from); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the installed file is still at its old place: %v", err)
		}
	}
}
