package store

import (
	"errors"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"cidsistem.example/services/internal/boltkit"
)

// ErrOlderSchema says that an older program wrote the file, and no server has
// opened it since.
var ErrOlderSchema = errors.New("the data file was written by an older version of the program")

// ViewFile reads the data file of a server that does not run, a copy or a
// backup, and changes nothing in it. The read gets the id of the server that the
// file belongs to. It answers boltkit.ErrLocked when the server runs, ErrNoStore
// when the file is no server's, and boltkit.ErrDamaged when it cannot be read.
func ViewFile(path string, read func(server string, r Reader) error) error {
	return boltkit.ViewFile(path, func(tx *bolt.Tx) error {
		schema, err := schemaOf(tx)
		if err != nil {
			return fmt.Errorf("open %s: %w", path, err)
		}
		if schema == 0 {
			return fmt.Errorf("open %s: %w", path, ErrNoStore)
		}
		if schema < SchemaVersion() {
			return fmt.Errorf("open %s: %w: layout %d, this program reads %d; start the server once to bring it up to date", path, ErrOlderSchema, schema, SchemaVersion())
		}
		for _, name := range Buckets() {
			if tx.Bucket([]byte(name)) == nil {
				return fmt.Errorf("open %s: %w: it has no %q", path, boltkit.ErrDamaged, name)
			}
		}
		return read(string(tx.Bucket(bucketMeta).Get(metaServer)), Reader{tx})
	})
}
