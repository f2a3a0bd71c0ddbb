package boltkit

import (
	"errors"
	"fmt"
	"runtime/debug"

	bolt "go.etcd.io/bbolt"
)

// ViewFile runs a read of a file that no process has open to write: that of a
// stopped server, a copy, a backup. The file is not changed. It answers
// ErrLocked when a process writes to it, and ErrDamaged when a part of the file
// is missing or the read stumbles over broken pages.
func ViewFile(path string, read func(tx *bolt.Tx) error) (err error) {
	// bbolt follows what a page says of itself; in a broken one that leads into
	// memory that is not there.
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("open %s: %w: %v", path, ErrDamaged, cause)
		}
	}()
	if err := whole(path); err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	b, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: lockWait, ReadOnly: true})
	if err != nil {
		return fmt.Errorf("open %s: %w", path, refusal(err))
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	return b.View(read)
}
