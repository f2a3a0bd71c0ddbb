package boltkit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"

	bolt "go.etcd.io/bbolt"
)

// Sizes tell how much room the file takes.
type Sizes struct {
	// File is the length of the file, bytes.
	File int64
	// Free is what its free pages take, bytes.
	Free int64
}

// Sizes measures the file.
func (db *DB) Sizes() (Sizes, error) {
	if err := db.Err(); err != nil {
		return Sizes{}, err
	}
	info, err := os.Stat(db.path)
	if err != nil {
		return Sizes{}, fmt.Errorf("measure the data file: %w", err)
	}
	stats := db.bolt.Stats()
	return Sizes{File: info.Size(), Free: int64(stats.FreePageN+stats.PendingPageN) * int64(db.bolt.Info().PageSize)}, nil
}

// Backup writes a consistent copy of the file, taken while the DB works, to a
// new file on the same disk: a read transaction must never wait for a slow
// reader.
func (db *DB) Backup(path string) error {
	temporary := path + ".new"
	out, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("make backup file: %w", err)
	}
	err = db.View(func(tx *bolt.Tx) error {
		_, err := tx.WriteTo(out)
		return err
	})
	if err := errors.Join(err, out.Close()); err != nil {
		return errors.Join(fmt.Errorf("write backup: %w", err), os.Remove(temporary))
	}
	return replace(temporary, path)
}

// CheckPages looks for damage in the structure of the file. Writes wait
// meanwhile: bbolt compares what is used with what is free, and both must stand
// still.
func (db *DB) CheckPages(ctx context.Context) ([]string, error) {
	var problems []string
	checked := make(chan error, 1)
	check := func() {
		checked <- db.View(func(tx *bolt.Tx) error {
			for err := range tx.Check() {
				if len(problems) < 100 {
					problems = append(problems, err.Error())
				}
			}
			return nil
		})
	}
	select {
	case db.quiet <- check:
	case <-db.stopped:
		return nil, ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	select {
	case err := <-checked:
		return problems, err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Compact writes what a closed file holds into a fresh file and puts it in its
// place. bbolt never gives pages back to the disk by itself. It answers
// ErrLocked when a process has the file open.
func Compact(path string) (before, after int64, err error) {
	if err := whole(path); err != nil {
		return 0, 0, fmt.Errorf("open %s: %w", path, err)
	}
	from, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: lockWait, ReadOnly: true})
	if err != nil {
		return 0, 0, fmt.Errorf("open %s: %w", path, refusal(err))
	}
	temporary := path + ".compact"
	if err := os.Remove(temporary); err != nil && !errors.Is(err, os.ErrNotExist) {
		return 0, 0, errors.Join(err, from.Close())
	}
	to, err := bolt.Open(temporary, 0o600, &bolt.Options{NoFreelistSync: true, FreelistType: bolt.FreelistMapType, NoSync: true})
	if err != nil {
		return 0, 0, errors.Join(fmt.Errorf("make %s: %w", temporary, err), from.Close())
	}
	before = size(path)
	err = bolt.Compact(to, from, 1<<20)
	if err := errors.Join(err, to.Close()); err != nil {
		return before, 0, errors.Join(fmt.Errorf("compact %s: %w", path, err), from.Close(), os.Remove(temporary))
	}
	// The old file stays locked until the new one is in its place: nobody may
	// write into it any more.
	if err := errors.Join(replace(temporary, path), from.Close()); err != nil {
		return before, 0, fmt.Errorf("put the compacted file in place: %w", err)
	}
	return before, size(path), nil
}

func size(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// Install puts a file, complete and checked, in the place of a closed DB. It
// answers ErrLocked when a process has the old one open.
func Install(from, to string) error {
	old, err := os.Open(to)
	if errors.Is(err, os.ErrNotExist) {
		return replace(from, to)
	}
	if err != nil {
		return err
	}
	defer func() { _ = old.Close() }()
	if err := syscall.Flock(int(old.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return ErrLocked
	}
	return replace(from, to)
}
