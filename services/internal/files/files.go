// Package files keeps the files of documents in a folder, by content: a file is
// named by the SHA-256 of its bytes, so it never changes and is never twice.
package files

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"time"
)

// MaxBytes is the largest file that is taken.
const MaxBytes = 25 << 20

// Errors of a Folder.
var (
	// ErrTooLarge says that a file has more than MaxBytes.
	ErrTooLarge = fmt.Errorf("the file has more than %d bytes", MaxBytes)
	// ErrOtherContent says that the bytes are not those that were announced.
	ErrOtherContent = errors.New("the bytes are not those of the announced sha256")
	// ErrNotFound says that there is no such file.
	ErrNotFound = errors.New("no such file")
)

var sumPattern = regexp.MustCompile(`^[0-9a-f]{64}$`)

// A Folder of files.
type Folder struct{ path string }

// Open opens a folder, and makes it when it is not there.
func Open(path string) (*Folder, error) {
	if err := os.MkdirAll(filepath.Join(path, "incoming"), 0o700); err != nil {
		return nil, fmt.Errorf("open the folder of files: %w", err)
	}
	return &Folder{path: path}, nil
}

// Info tells of one file.
type Info struct {
	SHA256 string
	Size   int64
	Time   time.Time
}

// pathOf spreads files over 256 folders.
func (f *Folder) pathOf(sum string) (string, error) {
	if !sumPattern.MatchString(sum) {
		return "", ErrNotFound
	}
	return filepath.Join(f.path, sum[:2], sum), nil
}

// Put stores bytes, durable when it returns. want is the sum that the sender
// announced, empty for none.
func (f *Folder) Put(ctx context.Context, from io.Reader, want string) (Info, error) {
	incoming, err := os.CreateTemp(filepath.Join(f.path, "incoming"), "*")
	if err != nil {
		return Info{}, fmt.Errorf("store a file: %w", err)
	}
	defer func() { _ = os.Remove(incoming.Name()) }()
	sum := sha256.New()
	size, err := io.Copy(io.MultiWriter(incoming, sum), io.LimitReader(from, MaxBytes+1))
	err = errors.Join(err, incoming.Sync(), incoming.Close(), ctx.Err())
	if err != nil {
		return Info{}, fmt.Errorf("store a file: %w", err)
	}
	if size > MaxBytes {
		return Info{}, ErrTooLarge
	}
	name := hex.EncodeToString(sum.Sum(nil))
	if want != "" && want != name {
		return Info{}, ErrOtherContent
	}
	path, err := f.pathOf(name)
	if err != nil {
		return Info{}, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return Info{}, fmt.Errorf("store a file: %w", err)
	}
	if err := os.Rename(incoming.Name(), path); err != nil {
		return Info{}, fmt.Errorf("store a file: %w", err)
	}
	// The file's folder may be new, too.
	if err := errors.Join(syncFolder(filepath.Dir(path)), syncFolder(f.path)); err != nil {
		return Info{}, fmt.Errorf("store a file: %w", err)
	}
	return f.Stat(name)
}

func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// Stat tells whether a file is there.
func (f *Folder) Stat(sum string) (Info, error) {
	path, err := f.pathOf(sum)
	if err != nil {
		return Info{}, err
	}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Info{}, ErrNotFound
	}
	if err != nil {
		return Info{}, err
	}
	return Info{SHA256: sum, Size: info.Size(), Time: info.ModTime()}, nil
}

// Read opens a file for reading from an offset. The caller closes it.
func (f *Folder) Read(sum string, offset int64) (io.ReadCloser, error) {
	path, err := f.pathOf(sum)
	if err != nil {
		return nil, err
	}
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	if _, err := file.Seek(offset, io.SeekStart); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// Sweep removes files that nobody uses and that are older than a time, and what
// was left of uploads that broke off.
func (f *Folder) Sweep(ctx context.Context, before time.Time, used func(sum string) bool) (removed int, err error) {
	err = f.walk(ctx, func(path string, entry fs.DirEntry) error {
		info, err := entry.Info()
		if err != nil || !info.ModTime().Before(before) {
			return err
		}
		if sumPattern.MatchString(entry.Name()) && used(entry.Name()) {
			return nil
		}
		if err := os.Remove(path); err != nil {
			return err
		}
		removed++
		return nil
	})
	return removed, err
}

// walk visits all files. Those that go away meanwhile, as uploads do when they
// end, are passed over.
func (f *Folder) walk(ctx context.Context, visit func(path string, entry fs.DirEntry) error) error {
	return filepath.WalkDir(f.path, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && ctx.Err() == nil && !entry.IsDir() {
			err = visit(path, entry)
		}
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return errors.Join(err, ctx.Err())
	})
}

// Check recomputes every sum and lists the files whose bytes have changed.
func (f *Folder) Check(ctx context.Context) (damaged []string, err error) {
	err = f.walk(ctx, func(path string, entry fs.DirEntry) error {
		if !sumPattern.MatchString(entry.Name()) {
			return nil
		}
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		sum := sha256.New()
		_, err = io.Copy(sum, file)
		if hex.EncodeToString(sum.Sum(nil)) != entry.Name() {
			damaged = append(damaged, entry.Name())
		}
		return errors.Join(err, file.Close())
	})
	return damaged, err
}
