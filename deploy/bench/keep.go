package bench

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"google.golang.org/protobuf/proto"
)

// keptAs is the folder that keeps the nodes with the given records, empty when
// nothing shall be kept. Its name follows from what they are made of.
func (b *bench) keptAs(count int, records map[string]*Records) (string, error) {
	if b.Keep == "" {
		return "", nil
	}
	sum := sha256.New()
	for _, comune := range comuni() {
		for _, l := range records[comune].levels {
			for i := range len(l.templates) {
				body, err := proto.MarshalOptions{Deterministic: true}.Marshal(records[comune].at(l, i))
				if err != nil {
					return "", err
				}
				_, _ = sum.Write(body) // never fails
			}
		}
	}
	return filepath.Join(b.Keep, fmt.Sprintf("%d-records-%s", count, hex.EncodeToString(sum.Sum(nil)[:6]))), nil
}

// takeKept gives servers, which do not run, the data that were kept of them;
// false when there are none.
func (f *federation) takeKept(kept string, ids ...string) (bool, error) {
	for _, id := range ids {
		from := filepath.Join(kept, id)
		if _, err := os.Stat(from); kept == "" || errors.Is(err, os.ErrNotExist) {
			return false, nil
		}
		f.progress.say("taking the data of %s from %s", id, kept)
		to := filepath.Join(f.dir, id)
		if err := errors.Join(os.RemoveAll(to), copyData(to, from)); err != nil {
			return false, fmt.Errorf("take the kept data of %s: %w", id, err)
		}
	}
	return true, nil
}

// keep copies the data of servers, which do not run.
func (f *federation) keep(kept string, ids ...string) error {
	if kept == "" {
		return nil
	}
	for _, id := range ids {
		to := filepath.Join(kept, id)
		f.progress.say("keeping the data of %s in %s", id, kept)
		err := errors.Join(os.RemoveAll(to+".new"), copyData(to+".new", filepath.Join(f.dir, id)), os.RemoveAll(to))
		if err == nil {
			err = os.Rename(to+".new", to)
		}
		if err != nil {
			return fmt.Errorf("keep the data of %s: %w", id, err)
		}
	}
	return nil
}

// stopNodes and startNodes end and begin what the nodes do with their data.
func (f *federation) stopNodes(ctx context.Context) error {
	for _, comune := range comuni() {
		if err := f.Nodes[comune].Stop(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (f *federation) startNodes(ctx context.Context) error {
	for _, comune := range comuni() {
		if err := f.Nodes[comune].Start(); err != nil {
			return err
		}
		if err := f.serving(ctx, comune); err != nil {
			return err
		}
	}
	return nil
}

// copyData copies a folder with the modes of its files: a node does not start with a master key that others can read.
func copyData(to, from string) error {
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		return err
	}
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		return os.Chmod(filepath.Join(to, relative), info.Mode().Perm())
	})
}
