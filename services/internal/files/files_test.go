package files_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"cidsistem.example/services/internal/files"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func open(t testing.TB) (*files.Folder, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "files")
	folder, err := files.Open(path)
	must(t, err)
	return folder, path
}

func sumOf(content string) string {
	sum := sha256.Sum256([]byte(content))
	return hex.EncodeToString(sum[:])
}

func put(t testing.TB, f *files.Folder, content string) files.Info {
	t.Helper()
	info, err := f.Put(t.Context(), strings.NewReader(content), sumOf(content))
	must(t, err)
	return info
}

func read(t testing.TB, f *files.Folder, sum string, offset int64) string {
	t.Helper()
	file, err := f.Read(sum, offset)
	must(t, err)
	bytes, err := io.ReadAll(file)
	must(t, errors.Join(err, file.Close()))
	return string(bytes)
}

// all lists what is in a folder, by path.
func all(t testing.TB, path string) (found []string) {
	t.Helper()
	must(t, filepath.WalkDir(path, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			found = append(found, path)
		}
		return err
	}))
	return found
}

func TestPutAndRead(t *testing.T) {
	f, path := open(t)
	for _, content := range []string{"", "a", strings.Repeat("Regolamento ", 100_000)} {
		info := put(t, f, content)
		if info.SHA256 != sumOf(content) || info.Size != int64(len(content)) || time.Since(info.Time) > time.Minute {
			t.Errorf("stored %+v", info)
		}
		if again, err := f.Stat(info.SHA256); err != nil || again != info {
			t.Errorf("stat %+v, %v", again, err)
		}
		for _, offset := range []int64{0, 1, int64(len(content)), int64(len(content)) + 10} {
			if got := read(t, f, info.SHA256, offset); got != content[min(int(offset), len(content)):] {
				t.Errorf("from %d come %d bytes of %d", offset, len(got), len(content))
			}
		}
	}
	put(t, f, "a")
	if got := all(t, path); len(got) != 3 {
		t.Errorf("three files are %v", got)
	}
}

func TestPutIsAllOrNothing(t *testing.T) {
	f, path := open(t)
	broken := errors.New("the upload broke off")
	for name, test := range map[string]struct {
		from io.Reader
		sum  string
		ctx  func() context.Context
		want error
	}{
		"another sum":  {strings.NewReader("sent"), sumOf("announced"), t.Context, files.ErrOtherContent},
		"broken off":   {io.MultiReader(strings.NewReader("half"), iotest.ErrReader(broken)), "", t.Context, broken},
		"too large":    {io.LimitReader(zeros{}, files.MaxBytes+1), "", t.Context, files.ErrTooLarge},
		"caller left":  {strings.NewReader("sent"), "", func() context.Context { ctx, cancel := context.WithCancel(t.Context()); cancel(); return ctx }, context.Canceled},
		"endless file": {zeros{}, "", t.Context, files.ErrTooLarge},
	} {
		if info, err := f.Put(test.ctx(), test.from, test.sum); !errors.Is(err, test.want) {
			t.Errorf("%s: %+v, %v", name, info, err)
		}
		if left := all(t, path); len(left) > 0 {
			t.Errorf("%s left %v", name, left)
		}
	}
	info, err := f.Put(t.Context(), io.LimitReader(zeros{}, files.MaxBytes), "")
	if err != nil || info.Size != files.MaxBytes {
		t.Errorf("the largest file: %+v, %v", info, err)
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

func TestSweep(t *testing.T) {
	f, path := open(t)
	used, unused, young := put(t, f, "used"), put(t, f, "unused"), put(t, f, "young")
	left := filepath.Join(path, "incoming", "broken-off")
	must(t, os.WriteFile(left, []byte("half"), 0o600))
	old := time.Now().Add(-8 * 24 * time.Hour)
	for _, p := range all(t, path) {
		if !strings.HasSuffix(p, young.SHA256) {
			must(t, os.Chtimes(p, old, old))
		}
	}
	removed, err := f.Sweep(t.Context(), time.Now().Add(-7*24*time.Hour), func(sum string) bool { return sum == used.SHA256 })
	must(t, err)
	if removed != 2 {
		t.Errorf("removed %d files", removed)
	}
	for info, there := range map[files.Info]bool{used: true, unused: false, young: true} {
		if _, err := f.Stat(info.SHA256); (err == nil) != there || (!there && !errors.Is(err, files.ErrNotFound)) {
			t.Errorf("%s is there: %v", info.SHA256, err)
		}
	}
	if _, err := os.Stat(left); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what was left of an upload: %v", err)
	}
	// A file that is uploaded again is young again.
	must(t, os.Chtimes(all(t, path)[0], old, old))
	put(t, f, "used")
	put(t, f, "young")
	if removed, err := f.Sweep(t.Context(), time.Now().Add(-7*24*time.Hour), func(string) bool { return false }); removed != 0 || err != nil {
		t.Errorf("removed %d files that were just uploaded, %v", removed, err)
	}
}

// Uploads come and go while the folder is swept and checked.
func TestSweepUnderUploads(t *testing.T) {
	f, _ := open(t)
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	for w := range 6 {
		running.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				if _, err := f.Put(context.Background(), bytes.NewReader([]byte{byte(w), byte(i % 3)}), ""); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 200 {
		if _, err := f.Sweep(t.Context(), time.Now().Add(-time.Hour), func(string) bool { return false }); err != nil {
			t.Errorf("sweep: %v", err)
		}
		if damaged, err := f.Check(t.Context()); err != nil || len(damaged) > 0 {
			t.Errorf("check: %v %v", damaged, err)
		}
	}
	stop()
	running.Wait()
}

func TestCheckFindsDamage(t *testing.T) {
	f, path := open(t)
	good, bad := put(t, f, "good"), put(t, f, "bad")
	for _, p := range all(t, path) {
		if strings.HasSuffix(p, bad.SHA256) {
			must(t, os.WriteFile(p, []byte("baD"), 0o600))
		}
	}
	damaged, err := f.Check(t.Context())
	if err != nil || !slices.Equal(damaged, []string{bad.SHA256}) {
		t.Errorf("damaged: %v, %v; good is %s", damaged, err, good.SHA256)
	}
}

// No name leads anywhere but to a file of the folder.
func FuzzName(f *testing.F) {
	folder, path := open(f)
	info := put(f, folder, "content")
	must(f, os.WriteFile(filepath.Join(filepath.Dir(path), "outside"), []byte("secret"), 0o600))
	for _, name := range []string{info.SHA256, "", "../outside", "../../outside", strings.Repeat("0", 64), strings.ToUpper(info.SHA256), info.SHA256 + "\x00", "incoming"} {
		f.Add(name, int64(0))
	}
	f.Fuzz(func(t *testing.T, name string, offset int64) {
		_, statErr := folder.Stat(name)
		file, err := folder.Read(name, max(offset, 0))
		if (err == nil) != (statErr == nil) || (err == nil) != (name == info.SHA256) {
			t.Fatalf("%q: %v, %v", name, statErr, err)
		}
		if err == nil {
			must(t, file.Close())
		} else if !errors.Is(err, files.ErrNotFound) {
			t.Errorf("%q is refused with %v", name, err)
		}
	})
}
