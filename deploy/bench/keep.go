package bench

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
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

// takeKept gives the nodes the data that were kept; false when there are none.
func (f *federation) takeKept(ctx context.Context, kept string) (bool, error) {
	if kept == "" {
		return false, nil
	}
	if _, err := os.Stat(kept); errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	f.progress.say("taking the nodes from %s", kept)
	return true, f.whileDown(ctx, func(comune, data string) error {
		if err := os.RemoveAll(data); err != nil {
			return err
		}
		return os.CopyFS(data, os.DirFS(filepath.Join(kept, comune)))
	})
}

// keep copies the data of the nodes.
func (f *federation) keep(ctx context.Context, kept string) error {
	if kept == "" {
		return nil
	}
	f.progress.say("keeping the nodes in %s", kept)
	work := kept + ".new"
	if err := os.RemoveAll(work); err != nil {
		return err
	}
	err := f.whileDown(ctx, func(comune, data string) error {
		return os.CopyFS(filepath.Join(work, comune), os.DirFS(data))
	})
	if err != nil {
		return err
	}
	return os.Rename(work, kept)
}

// whileDown does something with the data of each node while it does not run.
func (f *federation) whileDown(ctx context.Context, do func(comune, data string) error) error {
	for _, comune := range comuni() {
		if err := f.Nodes[comune].Stop(ctx); err != nil {
			return err
		}
		if err := do(comune, filepath.Join(f.dir, comune)); err != nil {
			return fmt.Errorf("copy the data of %s: %w", comune, err)
		}
		if err := f.Nodes[comune].Start(); err != nil {
			return err
		}
		if err := f.serving(ctx, comune); err != nil {
			return err
		}
	}
	return nil
}
