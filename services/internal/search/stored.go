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

	"github.com/blevesearch/bleve/v2"
	"github.com/blevesearch/bleve/v2/index/scorch"
	"github.com/blevesearch/bleve/v2/mapping"
	segment "github.com/blevesearch/scorch_segment_api/v2"
	bolterrors "go.etcd.io/bbolt/errors"
)

var versionKey = []byte("version")

// options are those of bleve's scorch.
func options() map[string]any {
	return map[string]any{
		"bolt_timeout": "5s", // how long to wait for another process to let go
		"unsafe_batch": os.Getenv("SAFE") == "",
	}
}

// openStored opens the index of a folder, or makes a new one where that one is
// of no use.
func openStored(dir string, logger *slog.Logger) (bleve.Index, error) {
	if dir == "" {
		return makeStored(dir)
	}
	opened, err := openSound(pathIn(dir))
	switch {
	case err == nil:
		return opened, nil
	case errors.Is(err, bleve.ErrorIndexPathDoesNotExist):
	case errors.Is(err, bolterrors.ErrTimeout), errors.Is(err, os.ErrPermission):
		return nil, fmt.Errorf("%s is not free: %w", pathIn(dir), err)
	default:
		logger.Warn("the search index is discarded and will be rebuilt", "reason", err)
	}
	return makeStored(dir)
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
// also make the library panic.
func openSound(path string) (opened bleve.Index, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("damaged: %v", r)
		}
	}()
	opened, err = bleve.OpenUsing(path, options())
	if err != nil {
		return nil, err
	}
	if err := check(opened); err != nil {
		return nil, errors.Join(err, opened.Close())
	}
	return opened, nil
}

func check(opened bleve.Index) error {
	got, err := opened.GetInternal(versionKey)
	if err != nil {
		return err
	}
	if string(got) != version {
		return fmt.Errorf("made by version %.40q, this is %q", got, version)
	}
	present, err := snapshotOf(opened)
	if err != nil {
		return err
	}
	defer present.Close()
	for _, part := range present.Segments() {
		if persisted, ok := part.Segment().(segment.PersistedSegment); ok {
			if err := checkFile(persisted.Path()); err != nil {
				return err
			}
		}
	}
	return nil
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
