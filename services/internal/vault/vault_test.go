package vault_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"cidsistem.example/services/internal/store"
	"cidsistem.example/services/internal/vault"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A folder holds a data file and the master key that opens its local data.
type folder struct {
	t   testing.TB
	dir string
	// fails, when set, tells which commit fails.
	fails func() error
}

func newFolder(t testing.TB) *folder { return &folder{t: t, dir: t.TempDir()} }

func (f *folder) key() string  { return filepath.Join(f.dir, "master.key") }
func (f *folder) data() string { return filepath.Join(f.dir, "registry.db") }

func (f *folder) store() *store.Store {
	f.t.Helper()
	s, err := store.Open(store.Options{
		Path: f.data(), ServerID: "marsala", Comune: "marsala", NoSync: true, Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
		BeforeCommit: func() error {
			if f.fails != nil {
				return f.fails()
			}
			return nil
		},
	})
	must(f.t, err)
	f.t.Cleanup(func() { _ = s.Close() })
	return s
}

func (f *folder) open() (*store.Store, *vault.Vault) {
	f.t.Helper()
	s := f.store()
	v, err := vault.Open(f.t.Context(), s, f.key())
	must(f.t, err)
	return s, v
}

func (f *folder) copyKey() string {
	f.t.Helper()
	content, err := os.ReadFile(f.key())
	must(f.t, err)
	path := filepath.Join(f.t.TempDir(), "copy.key")
	must(f.t, os.WriteFile(path, content, 0o600))
	return path
}

func entry(i int) store.LocalKey {
	return store.LocalKey{Area: "requests", ID: fmt.Sprintf("r-%04d", i)}
}

func text(i int) string { return fmt.Sprintf("the secret of entry %d", i) }

// put seals entries and stores them.
func put(t testing.TB, s *store.Store, v *vault.Vault, from, to int) {
	t.Helper()
	_, err := s.Commit(t.Context(), store.Request{}, nil, func(store.Reader, store.Stamp) (store.Outcome, error) {
		var outcome store.Outcome
		for i := from; i < to; i++ {
			sealed, err := v.Seal(entry(i), []byte(text(i)))
			if err != nil {
				return outcome, err
			}
			outcome.Local = append(outcome.Local, store.LocalPut{Key: entry(i), Value: sealed})
		}
		return outcome, nil
	})
	must(t, err)
}

// holds fails the test unless the vault opens all entries.
func holds(t testing.TB, s *store.Store, v *vault.Vault, entries int) {
	t.Helper()
	must(t, s.View(func(r store.Reader) error {
		for i := range entries {
			value, err := v.Open(entry(i), r.Local(entry(i)))
			if err != nil {
				return err
			}
			if string(value) != text(i) {
				t.Errorf("entry %d opens as %q", i, value)
			}
		}
		return nil
	}))
}

func TestSealAndOpen(t *testing.T) {
	f := newFolder(t)
	s, v := f.open()
	put(t, s, v, 0, 3)
	holds(t, s, v, 3)
	sealed, err := v.Seal(entry(0), []byte(text(0)))
	must(t, err)
	again, err := v.Seal(entry(0), []byte(text(0)))
	must(t, err)
	if bytes.Equal(sealed, again) {
		t.Error("equal values are sealed equally")
	}
	for name, try := range map[string]func() ([]byte, error){
		"another entry": func() ([]byte, error) { return v.Open(entry(1), sealed) },
		"another area":  func() ([]byte, error) { return v.Open(store.LocalKey{Area: "accounts", ID: entry(0).ID}, sealed) },
		"a border moved": func() ([]byte, error) {
			return v.Open(store.LocalKey{Area: entry(0).Area + entry(0).ID[:1], ID: entry(0).ID[1:]}, sealed)
		},
		"a changed byte": func() ([]byte, error) {
			changed := bytes.Clone(sealed)
			changed[len(changed)-1] ^= 1
			return v.Open(entry(0), changed)
		},
		"nothing": func() ([]byte, error) { return v.Open(entry(0), nil) },
	} {
		if value, err := try(); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s opens as %q (%v)", name, value, err)
		}
	}
	if empty, err := v.Seal(entry(0), nil); err != nil || len(empty) == 0 {
		t.Errorf("nothing is sealed as %q (%v)", empty, err)
	}
	must(t, s.Close())
	s, v = f.open()
	holds(t, s, v, 3)
}

func TestWrongKeys(t *testing.T) {
	f := newFolder(t)
	s, v := f.open()
	put(t, s, v, 0, 1)
	info, err := os.Stat(f.key())
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the key file has the mode %o", info.Mode().Perm())
	}
	good := f.copyKey()
	otherFolder := newFolder(t)
	otherFolder.open()
	other := otherFolder.copyKey()
	replace := func(with string) {
		content, err := os.ReadFile(with)
		must(t, err)
		must(t, os.WriteFile(f.key(), content, 0o600))
	}
	for _, test := range []struct {
		name string
		make func()
		want error  // nil: any
		says string // in the error
	}{
		{"no key file", func() { must(t, os.Remove(f.key())) }, vault.ErrWrongKey, "put it back"},
		{"the key of another server", func() { replace(other) }, vault.ErrWrongKey, f.key()},
		{"what is no key", func() { must(t, os.WriteFile(f.key(), []byte("{}"), 0o600)) }, nil, "not a key file"},
		{"an empty file", func() { must(t, os.WriteFile(f.key(), nil, 0o600)) }, nil, "not a key file"},
		{"a key that others can read", func() { replace(good); must(t, os.Chmod(f.key(), 0o640)) }, nil, "0600"},
	} {
		test.make()
		before, _ := os.ReadFile(f.key())
		_, err := vault.Open(t.Context(), s, f.key())
		if err == nil || test.want != nil && !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v", test.name, err)
		}
		after, statErr := os.ReadFile(f.key())
		if !bytes.Equal(before, after) || test.name == "no key file" && !errors.Is(statErr, fs.ErrNotExist) {
			t.Errorf("%s: a key was made over data that it does not open", test.name)
		}
		_ = os.Remove(f.key())
	}
	replace(good)
	v, err = vault.Open(t.Context(), s, f.key())
	must(t, err)
	holds(t, s, v, 1)
}

// The master key file is made before the data key: when the commit fails, the
// next start takes it.
func TestFirstStartBrokenOff(t *testing.T) {
	f := newFolder(t)
	s := f.store()
	f.fails = func() error { return errors.New("disk fault") }
	if _, err := vault.Open(t.Context(), s, f.key()); err == nil {
		t.Fatal("a vault without a data key opened")
	}
	must(t, s.Close())
	f.fails = nil
	s, v := f.open()
	put(t, s, v, 0, 1)
	holds(t, s, v, 1)
}

func TestRotation(t *testing.T) {
	const entries = 450 // more than two transactions
	f := newFolder(t)
	s, v := f.open()
	put(t, s, v, 0, entries)
	oldKey := f.copyKey()
	before := sealed(t, s)
	backup := filepath.Join(t.TempDir(), "before.db")
	must(t, s.Backup(backup))
	n, err := v.Rotate(t.Context())
	if err != nil || n != entries {
		t.Fatalf("%d entries have new keys (%v)", n, err)
	}
	holds(t, s, v, entries)
	for key, value := range sealed(t, s) {
		if before[key] == value {
			t.Errorf("entry %s is sealed as before", key)
		}
	}
	put(t, s, v, entries, entries+1)
	must(t, s.Close())
	s, v = f.open()
	holds(t, s, v, entries+1)
	if _, err := vault.Open(t.Context(), s, oldKey); !errors.Is(err, vault.ErrWrongKey) {
		t.Errorf("the old key opens the new data: %v", err)
	}
	newKey := f.copyKey()
	must(t, s.Close())

	// An older backup needs the older key.
	old := &folder{t: t, dir: t.TempDir()}
	content, err := os.ReadFile(backup)
	must(t, err)
	must(t, os.WriteFile(old.data(), content, 0o600))
	aside := old.store()
	if _, err := vault.Open(t.Context(), aside, newKey); !errors.Is(err, vault.ErrWrongKey) {
		t.Errorf("the new key opens the old data: %v", err)
	}
	v, err = vault.Open(t.Context(), aside, oldKey)
	must(t, err)
	holds(t, aside, v, entries)
}

// sealed are all local entries as they are stored.
func sealed(t testing.TB, s *store.Store) map[string]string {
	t.Helper()
	all := map[string]string{}
	must(t, s.View(func(r store.Reader) error {
		for key, value := range r.AllLocalEntries(store.LocalKey{}) {
			all[key.Area+"/"+key.ID] = string(value)
		}
		return nil
	}))
	return all
}

// Large entries are sealed anew too, however few of them a transaction takes.
func TestRotationOfLargeEntries(t *testing.T) {
	f := newFolder(t)
	s, v := f.open()
	const entries = 7
	large := bytes.Repeat([]byte("parole "), 3<<20/7)
	_, err := s.Commit(t.Context(), store.Request{}, nil, func(store.Reader, store.Stamp) (store.Outcome, error) {
		var outcome store.Outcome
		for i := range entries {
			sealed, err := v.Seal(entry(i), large)
			if err != nil {
				return outcome, err
			}
			outcome.Local = append(outcome.Local, store.LocalPut{Key: entry(i), Value: sealed})
		}
		return outcome, nil
	})
	must(t, err)
	n, err := v.Rotate(t.Context())
	if err != nil || n != entries {
		t.Fatalf("%d entries have new keys (%v)", n, err)
	}
	must(t, s.Close())
	s, v = f.open()
	must(t, s.View(func(r store.Reader) error {
		for i := range entries {
			if value, err := v.Open(entry(i), r.Local(entry(i))); err != nil || !bytes.Equal(value, large) {
				t.Errorf("entry %d has %d bytes (%v)", i, len(value), err)
			}
		}
		return nil
	}))
}

// A rotation that breaks off at any of its commits loses nothing: the server
// starts again, and the next rotation goes all the way.
func TestRotationBrokenOff(t *testing.T) {
	const entries = 450
	commits := 0
	for broken := 1; ; broken++ {
		f := newFolder(t)
		s, v := f.open()
		put(t, s, v, 0, entries)
		oldKey := f.copyKey()
		var at atomic.Int64
		f.fails = func() error {
			if at.Add(1) == int64(broken) {
				return errors.New("disk fault")
			}
			return nil
		}
		_, err := v.Rotate(t.Context())
		if err == nil {
			commits = broken - 1
			break
		}
		must(t, s.Close())
		f.fails = nil
		s, v = f.open()
		holds(t, s, v, entries)
		if n, err := v.Rotate(t.Context()); err != nil || n != entries {
			t.Fatalf("after commit %d failed, another rotation sealed %d (%v)", broken, n, err)
		}
		holds(t, s, v, entries)
		must(t, s.Close())
		s, v = f.open()
		holds(t, s, v, entries)
		if _, err := vault.Open(t.Context(), s, oldKey); !errors.Is(err, vault.ErrWrongKey) {
			t.Errorf("after commit %d failed and another rotation, the old key opens the data: %v", broken, err)
		}
		must(t, s.Close())
	}
	if commits != 5 { // the new data key, three batches, the old one forgotten
		t.Errorf("a rotation has %d commits", commits)
	}
}

// A key file that cannot be written stops a rotation before anything changed.
func TestRotationWithoutAKeyFile(t *testing.T) {
	f := newFolder(t)
	s, v := f.open()
	put(t, s, v, 0, 1)
	saved := f.copyKey()
	must(t, os.Remove(f.key()))
	before := sealed(t, s)
	if _, err := v.Rotate(t.Context()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if len(before) != len(sealed(t, s)) {
		t.Error("something changed")
	}
	holds(t, s, v, 1)
	must(t, s.Close())
	content, err := os.ReadFile(saved)
	must(t, err)
	must(t, os.WriteFile(f.key(), content, 0o600))
	s, v = f.open()
	holds(t, s, v, 1)
}

// Writes and other rotations go on during a rotation, and none is lost.
func TestRotationUnderWrites(t *testing.T) {
	f := newFolder(t)
	s, v := f.open()
	put(t, s, v, 0, 450)
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() {
			_, err := v.Rotate(context.WithoutCancel(t.Context()))
			must(t, err)
		})
	}
	for worker := range 4 {
		all.Go(func() {
			for i := range 40 {
				n := 450 + worker*40 + i
				put(t, s, v, n, n+1)
			}
		})
	}
	all.Wait()
	holds(t, s, v, 450+160)
	must(t, s.Close())
	s, v = f.open()
	holds(t, s, v, 450+160)
	left, err := filepath.Glob(filepath.Join(f.dir, "master.key.*"))
	if err != nil || len(left) > 0 {
		t.Errorf("rotations left %v (%v)", left, err)
	}
}
