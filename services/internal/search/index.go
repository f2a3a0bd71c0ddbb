// Package search is the full-text index over records of all kinds. It is a
// derived model: it can be thrown away at any time and is rebuilt from the
// store's feed.
package search

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/blevesearch/bleve/v2"
	"google.golang.org/protobuf/proto"

	"cidsistem.example/proto/catalog"
)

// Index finds records by words. All methods may be called at the same time.
type Index struct {
	dir    string // empty: in memory
	logger *slog.Logger

	// open guards the bleve index itself, which Reset replaces: searches read,
	// Reset and Close write.
	open  sync.RWMutex
	bleve bleve.Index // nil: closed

	apply sync.Mutex // one writer at a time

	// unsaved has an entry for each batch on its way to the disk.
	unsaved chan struct{}

	state    sync.Mutex
	position Position
}

// Position is where in the store's feed the index stands. The zero position
// says that the index is empty and must be rebuilt.
type Position struct {
	// Epoch of the store.
	Epoch []byte
	// Revision up to which, included, the index has everything.
	Revision int64
	// Digest of the store at that revision.
	Digest []byte
}

// Change is a record's latest state.
type Change struct {
	// Name of the record.
	Name string
	// Record is its content; nil, or a record with a delete time: it is taken
	// out of the index.
	Record proto.Message
}

// ErrClosed says that the index was closed.
var ErrClosed = errors.New("the search index is closed")

// maxUnsaved is how many batches may be on their way to the disk.
const maxUnsaved = 8

// saveWait is how long Close waits for the disk.
const saveWait = 30 * time.Second

var positionKey = []byte("position")

// Open opens the index in a folder of its own, which it makes where there is
// none; no folder means an index in memory, which is never compacted and is
// meant for tests and for little that changes. An index that is damaged, or was
// made by another version of this package, is discarded and made anew, at
// position zero. An index that another process holds is an error.
func Open(dir string, logger *slog.Logger) (*Index, error) {
	x := &Index{dir: dir, logger: logger, unsaved: make(chan struct{}, maxUnsaved)}
	opened, err := openStored(dir, logger)
	if err != nil {
		return nil, fmt.Errorf("open the search index: %w", err)
	}
	x.bleve = opened
	if err := x.loadPosition(); err != nil {
		return nil, errors.Join(fmt.Errorf("open the search index: %w", err), opened.Close())
	}
	return x, nil
}

func (x *Index) loadPosition() error {
	encoded, err := x.bleve.GetInternal(positionKey)
	if err != nil {
		return fmt.Errorf("read the position: %w", err)
	}
	var position Position
	if encoded != nil {
		if err := json.Unmarshal(encoded, &position); err != nil {
			return fmt.Errorf("read the position: %w", err)
		}
	}
	x.moved(position)
	return nil
}

func (x *Index) moved(to Position) {
	x.state.Lock()
	defer x.state.Unlock()
	x.position = to
}

// Position is where the index stands.
func (x *Index) Position() Position {
	x.state.Lock()
	defer x.state.Unlock()
	return x.position
}

// Apply takes changes into the index and moves it to a position, both or
// neither. Of several changes of one record the last one counts; applying the
// same changes again changes nothing.
func (x *Index) Apply(ctx context.Context, changes []Change, upTo Position) error {
	x.apply.Lock()
	defer x.apply.Unlock()
	x.open.RLock()
	defer x.open.RUnlock()
	if x.bleve == nil {
		return ErrClosed
	}
	documents, err := documentsOf(ctx, changes)
	if err != nil {
		return fmt.Errorf("index %d changes: %w", len(changes), err)
	}
	batch := x.bleve.NewBatch()
	for i, change := range changes {
		if documents[i] == nil {
			batch.Delete(change.Name)
			continue
		}
		if err := batch.IndexAdvanced(documents[i]); err != nil {
			return fmt.Errorf("index %s: %w", change.Name, err)
		}
	}
	encoded, err := json.Marshal(upTo)
	if err != nil {
		return fmt.Errorf("write the position: %w", err)
	}
	batch.SetInternal(positionKey, encoded)
	if err := x.save(ctx, batch); err != nil {
		return fmt.Errorf("index %d changes: %w", len(changes), err)
	}
	x.moved(upTo)
	return nil
}

// save hands a batch to bleve, which brings it to the disk a little later. A
// crash before that takes the index back to an older position.
func (x *Index) save(ctx context.Context, batch *bleve.Batch) error {
	if x.dir == "" {
		return x.bleve.Batch(batch)
	}
	unsaved := x.unsaved
	select {
	case unsaved <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("wait for the disk: %w", ctx.Err())
	}
	batch.SetPersistedCallback(func(err error) {
		if err != nil {
			x.logger.Error("the search index did not reach the disk", "error", err)
		}
		<-unsaved
	})
	if err := x.bleve.Batch(batch); err != nil {
		<-unsaved
		return err
	}
	return nil
}

// settle waits until all batches are on the disk; no more can follow.
func (x *Index) settle() error {
	timeout := time.NewTimer(saveWait)
	defer timeout.Stop()
	for range maxUnsaved {
		select {
		case x.unsaved <- struct{}{}:
		case <-timeout.C:
			return errors.New("the disk is too slow: the last changes will be indexed again")
		}
	}
	return nil
}

// Reset empties the index and sets it to position zero, for a rebuild.
func (x *Index) Reset() error {
	x.apply.Lock()
	defer x.apply.Unlock()
	x.open.Lock()
	defer x.open.Unlock()
	if x.bleve == nil {
		return ErrClosed
	}
	if err := x.bleve.Close(); err != nil {
		x.logger.Warn("the old search index did not close", "error", err)
	}
	x.bleve = nil
	made, err := makeStored(x.dir)
	if err != nil {
		return fmt.Errorf("empty the search index: %w", err)
	}
	x.bleve, x.unsaved = made, make(chan struct{}, maxUnsaved)
	x.moved(Position{})
	return nil
}

// Close ends the use of the index, after the calls under way and when all is on
// the disk.
func (x *Index) Close() error {
	x.open.Lock()
	defer x.open.Unlock()
	if x.bleve == nil {
		return nil
	}
	err := errors.Join(x.settle(), x.bleve.Close())
	x.bleve = nil
	if err != nil {
		return fmt.Errorf("close the search index: %w", err)
	}
	return nil
}

// read calls f with the present state of the index.
func (x *Index) read(f func(snapshot) error) error {
	x.open.RLock()
	defer x.open.RUnlock()
	if x.bleve == nil {
		return ErrClosed
	}
	present, err := snapshotOf(x.bleve)
	if err != nil {
		return err
	}
	return errors.Join(f(present), present.Close())
}

// living is true for a record that belongs in the index.
func living(record proto.Message) bool {
	return record != nil && !catalog.RecordOf(record).Deleted()
}
