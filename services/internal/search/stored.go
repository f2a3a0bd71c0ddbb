package search

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/blevesearch/bleve/v2"
	"github.com/blevesearch/bleve/v2/index/scorch"
	"github.com/blevesearch/bleve/v2/mapping"
	"github.com/blevesearch/bleve/v2/util"
	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

var versionKey = []byte("version")

// lockWait is how long to wait for another process to let go of the index.
const lockWait = 5 * time.Second

// options are those of bleve's scorch. Batches are not waited for until they are
// on the disk: Index sees to it that few are on the way.
func options() map[string]any {
	return map[string]any{"bolt_timeout": lockWait.String(), "unsafe_batch": true}
}

// openStored opens the index of a folder, or makes a new one where that one is
// of no use.
func openStored(dir string, logger *slog.Logger) (bleve.Index, error) {
	if dir == "" {
		return makeStored(dir)
	}
	if missing(pathIn(dir)) {
		return makeStored(dir)
	}
	opened, err := openSound(pathIn(dir))
	switch {
	case err == nil:
		return opened, nil
	case errors.Is(err, bolterrors.ErrTimeout), errors.Is(err, os.ErrPermission):
		return nil, fmt.Errorf("%s is not free: %w", pathIn(dir), err)
	default:
		logger.Warn("the search index is discarded and will be rebuilt", "reason", err)
	}
	return makeStored(dir)
}

func missing(path string) bool {
	_, err := os.Stat(path)
	return errors.Is(err, os.ErrNotExist)
}

// pathIn is the folder of the index alone, so that discarding it can never take
// anything else along.
func pathIn(dir string) string { return filepath.Join(dir, "bleve") }

func makeStored(dir string) (bleve.Index, error) {
	path := ""
	if dir != "" {
		path = pathIn(dir)
		if err := os.RemoveAll(path); err != nil {
			return nil, err
		}
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
	}
	made, err := bleve.NewUsing(path, mapping.NewIndexMapping(), scorch.Name, scorch.Name, options())
	if err != nil {
		return nil, err
	}
	if err := made.SetInternal(versionKey, []byte(version)); err != nil {
		return nil, errors.Join(err, made.Close())
	}
	return made, nil
}

// openSound opens an index and checks it; what is left of a damaged one may
// also make the libraries panic.
func openSound(path string) (opened bleve.Index, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("damaged: %v", r)
		}
	}()
	if err := checkFiles(filepath.Join(path, "store")); err != nil {
		return nil, err
	}
	opened, err = bleve.OpenUsing(path, options())
	if err != nil {
		return nil, err
	}
	got, err := opened.GetInternal(versionKey)
	if err == nil && string(got) != version {
		err = fmt.Errorf("made by version %.40q, this is %q", got, version)
	}
	if err != nil {
		return nil, errors.Join(err, opened.Close())
	}
	return opened, nil
}

// checkFiles looks whether the segments of the newest state are whole: bleve
// would quietly go back to an older one, and trip over the newer later.
func checkFiles(store string) error {
	root, err := bolt.Open(filepath.Join(store, "root.bolt"), 0o600, &bolt.Options{ReadOnly: true, Timeout: lockWait})
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	return root.View(func(tx *bolt.Tx) error {
		states := tx.Bucket(util.BoltSnapshotsBucket)
		if states == nil {
			return errors.New("no state")
		}
		newest, _ := states.Cursor().Last()
		state := states.Bucket(newest)
		if state == nil {
			return errors.New("no state")
		}
		return state.ForEachBucket(func(key []byte) error {
			if name := state.Bucket(key).Get(util.BoltPathKey); name != nil {
				return checkFile(filepath.Join(store, string(name)))
			}
			return nil
		})
	})
}

// checkFile compares a segment file with the CRC-32 at its end.
func checkFile(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	const sumBytes = 4
	sum := crc32.NewIEEE()
	if _, err := io.CopyN(sum, file, info.Size()-sumBytes); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	var want uint32
	if err := binary.Read(file, binary.BigEndian, &want); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	if sum.Sum32() != want {
		return fmt.Errorf("%s is damaged", path)
	}
	return nil
}
