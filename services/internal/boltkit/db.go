// Package boltkit opens a bbolt file the way our servers need it: one writer
// with group commit, reads that cannot pin pages for long, a fence after a
// failed commit, and hot backup, check and compaction.
//
// What may be claimed: an acknowledged write survives a crash of the process
// and of the machine, and a power cut, provided that the disk honours flush.
package boltkit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// Errors of a DB.
var (
	// ErrFenced: a commit failed, so nobody knows what is on the disk; the file
	// must be opened again.
	ErrFenced = errors.New("the store stopped after a failed commit and must be opened again")
	// ErrFull: the file may not grow any further; nothing was changed.
	ErrFull = errors.New("the store holds as much as it may")
	// ErrBusy: too many writes are waiting; nothing was changed.
	ErrBusy = errors.New("too many writes are waiting")
	// ErrClosed: the store is closed.
	ErrClosed = errors.New("the store is closed")
	// ErrLocked: another process has the file open.
	ErrLocked = errors.New("the data file is in use by another process")
	// ErrDamaged: the file is no data file, or a part of it is missing.
	ErrDamaged = errors.New("the data file is damaged; restore a backup")
)

const (
	// maxBatch is the largest number of writes in one commit.
	maxBatch = 256
	// queueLength bounds the writes that wait.
	queueLength = 1024
	// slowRead is how long a read may keep a transaction open unremarked.
	slowRead = 100 * time.Millisecond
)

// Options of Open.
type Options struct {
	// InitialMmapBytes is address space, not memory; a roomy map never has to be
	// made anew, which would wait for all readers. 0 means 1 GiB.
	InitialMmapBytes int
	// MaxBytes bounds the file; 0 means no bound.
	MaxBytes int
	// NoSync leaves flushing to the kernel: for tests and scratch files only.
	NoSync bool
	// Logger gets slow reads and failures; nil means slog.Default.
	Logger *slog.Logger
	// BeforeCommit, when set, can make a commit fail: for tests of the fence.
	BeforeCommit func() error
}

// DB is an open file. It is safe for concurrent use.
type DB struct {
	bolt    *bolt.DB
	path    string
	log     *slog.Logger
	options Options

	queue   chan *write
	quiet   chan func() // run between two commits
	stop    chan struct{}
	stopped chan struct{}
	closing sync.Once
	fenced  chan struct{}
	cause   atomic.Pointer[error]
}

// Open opens the file, and makes it when it does not exist.
func Open(path string, options Options) (*DB, error) {
	if options.InitialMmapBytes == 0 {
		options.InitialMmapBytes = 1 << 30
	}
	if options.Logger == nil {
		options.Logger = slog.Default()
	}
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		if err := create(path); err != nil {
			return nil, fmt.Errorf("make data file %s: %w", path, err)
		}
	}
	b, err := open(path, options)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	db := &DB{
		bolt: b, path: path, log: options.Logger, options: options,
		queue:   make(chan *write, queueLength),
		quiet:   make(chan func()),
		stop:    make(chan struct{}),
		stopped: make(chan struct{}),
		fenced:  make(chan struct{}),
	}
	go db.writer()
	return db, nil
}

// lockWait is how long another process may take to let go of the file.
const lockWait = 2 * time.Second

// open opens a file that is there and whole. Whoever waits for the lock may get
// that of a file that was replaced meanwhile, by Install or Compact: then the
// new one is opened.
func open(path string, options Options) (*bolt.DB, error) {
	for {
		if err := whole(path); err != nil {
			return nil, err
		}
		var file *os.File
		b, err := bolt.Open(path, 0o600, &bolt.Options{
			Timeout:         lockWait,
			NoFreelistSync:  true,
			FreelistType:    bolt.FreelistMapType,
			InitialMmapSize: options.InitialMmapBytes,
			MaxSize:         options.MaxBytes,
			NoSync:          options.NoSync,
			OpenFile: func(name string, flag int, mode os.FileMode) (opened *os.File, err error) {
				file, err = os.OpenFile(name, flag, mode)
				return file, err
			},
		})
		if err != nil {
			return nil, refusal(err)
		}
		current, err := isAt(file, path)
		if current {
			if options.MaxBytes > 0 {
				// A file grows by this much at a time, so the bound must leave room for it.
				b.AllocSize = min(b.AllocSize, options.MaxBytes/8)
			}
			return b, nil
		}
		if err := errors.Join(err, b.Close()); err != nil {
			return nil, err
		}
	}
}

func isAt(file *os.File, path string) (bool, error) {
	mine, err := file.Stat()
	if err != nil {
		return false, err
	}
	named, err := os.Stat(path)
	return err == nil && os.SameFile(mine, named), err
}

// whole refuses a file that ends before its pages do. bbolt would read on past
// the end through its memory map, which no program survives.
func whole(path string) error {
	b, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: lockWait, ReadOnly: true})
	if err != nil {
		return refusal(err)
	}
	var pages int64
	err = b.View(func(tx *bolt.Tx) error { pages = tx.Size(); return nil })
	if err := errors.Join(err, b.Close()); err != nil {
		return err
	}
	if length := size(path); length < pages {
		return fmt.Errorf("%w: it has %d bytes of %d", ErrDamaged, length, pages)
	}
	return nil
}

// refusal says why bbolt does not open a file.
func refusal(err error) error {
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return ErrLocked
	case errors.Is(err, os.ErrNotExist), errors.Is(err, os.ErrPermission):
		return err
	default:
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
}

// create makes an empty file under another name first: bbolt's own first
// initialisation is not safe against a power cut. It never replaces a file that
// another process made meanwhile.
func create(path string) error {
	scratch, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".new-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(scratch.Name()) }()
	if err := scratch.Close(); err != nil {
		return err
	}
	b, err := bolt.Open(scratch.Name(), 0o600, &bolt.Options{Timeout: lockWait})
	if err != nil {
		return err
	}
	if err := b.Close(); err != nil {
		return err
	}
	if err := os.Link(scratch.Name(), path); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// replace puts a complete file in the place of another, durably.
func replace(from, to string) error {
	file, err := os.OpenFile(from, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	if err := errors.Join(file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(to))
}

func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// Path is where the file is.
func (db *DB) Path() string { return db.path }

// Close waits for the writes that are under way and closes the file. Waiting
// writes are refused.
func (db *DB) Close() error {
	var err error
	db.closing.Do(func() {
		close(db.stop)
		<-db.stopped
		err = db.bolt.Close()
	})
	return err
}

// Fenced is closed when a commit has failed. The owner must stop the process:
// clients repeat their writes, with the same request id, after a restart.
func (db *DB) Fenced() <-chan struct{} { return db.fenced }

// Err tells why the DB takes no more calls, nil while it does.
func (db *DB) Err() error {
	if cause := db.cause.Load(); cause != nil {
		return fmt.Errorf("%w: %w", ErrFenced, *cause)
	}
	return nil
}

func (db *DB) fence(cause error) {
	if db.cause.CompareAndSwap(nil, &cause) {
		db.log.Error("commit failed, store fenced", "path", db.path, "error", cause)
		close(db.fenced)
	}
}

// View runs a read. It must not wait for anything but memory and disk: a read
// that stays open keeps every page that is freed meanwhile. Bytes of the
// transaction must not leave it.
func (db *DB) View(read func(tx *bolt.Tx) error) error {
	if err := db.Err(); err != nil {
		return err
	}
	began := time.Now()
	err := db.bolt.View(read)
	if took := time.Since(began); took > slowRead {
		db.log.Warn("slow read of the store", "took", took)
	}
	if errors.Is(err, berrors.ErrDatabaseNotOpen) {
		return ErrClosed
	}
	return err
}

// A Plan reads and decides, and changes nothing; the Apply that it returns does
// the change, and may fail only by a defect or a fault of the disk. A Plan sees
// what earlier writes of the same commit did. A nil Apply changes nothing.
type Plan func(tx *bolt.Tx) (Apply, error)

// Apply changes the store inside the transaction of its Plan.
type Apply func(tx *bolt.Tx) error

type write struct {
	ctx  context.Context
	plan Plan
	done chan error
}

// Write plans and applies a change and returns when it is durable. An error of
// the plan is returned as it is, and the store is as it was. When ctx ends
// before the commit is acknowledged, the change may or may not be made.
func (db *DB) Write(ctx context.Context, plan Plan) error {
	if err := db.Err(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	w := &write{ctx: ctx, plan: plan, done: make(chan error, 1)}
	select {
	case <-db.stop:
		return ErrClosed
	default:
	}
	select {
	case db.queue <- w:
	case <-db.stop:
		return ErrClosed
	default:
		return ErrBusy
	}
	select {
	case err := <-w.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-db.stopped:
		select {
		case err := <-w.done:
			return err
		default:
			return ErrClosed
		}
	}
}

// writer is the only goroutine that writes. It takes what waits and commits it
// together: the disk's own latency makes the batches, no timer does.
func (db *DB) writer() {
	defer close(db.stopped)
	batch := make([]*write, 0, maxBatch)
	for {
		select {
		case <-db.stop:
			return
		case look := <-db.quiet:
			look()
			continue
		case w := <-db.queue:
			batch = append(batch[:0], w)
		}
	drain:
		for len(batch) < maxBatch {
			select {
			case w := <-db.queue:
				batch = append(batch, w)
			default:
				break drain
			}
		}
		db.commit(batch)
	}
}

// commit runs a batch in one transaction and answers each of its writes.
func (db *DB) commit(batch []*write) {
	if err := db.Err(); err != nil {
		answer(batch, nil, err)
		return
	}
	refused := make([]error, len(batch))
	err := db.bolt.Update(func(tx *bolt.Tx) error {
		changed := false
		for i, w := range batch {
			if refused[i] = w.ctx.Err(); refused[i] != nil {
				continue
			}
			apply, err := db.decide(w.plan, tx)
			if refused[i] = err; err != nil || apply == nil {
				continue
			}
			changed = true
			if err := db.carryOut(apply, tx); err != nil {
				return fmt.Errorf("apply a write: %w", err)
			}
		}
		if !changed {
			return errNothingToDo
		}
		if db.options.BeforeCommit != nil {
			return db.options.BeforeCommit()
		}
		return nil
	})
	switch {
	case err == nil || errors.Is(err, errNothingToDo):
		answer(batch, refused, nil)
	case errors.Is(err, berrors.ErrMaxSizeReached):
		// Met while pages are allocated, before anything is written.
		answer(batch, refused, ErrFull)
	default:
		db.fence(err)
		answer(batch, refused, db.Err())
	}
}

// errNothingToDo rolls a transaction back that has no change, so that a refusal
// costs no flush of the disk.
var errNothingToDo = errors.New("nothing to do")

func answer(batch []*write, refused []error, err error) {
	for i, w := range batch {
		if err == nil || (refused != nil && refused[i] != nil) {
			w.done <- refused[i]
			continue
		}
		w.done <- err
	}
}

// decide runs a plan: a defect in one must not take its neighbours with it.
func (db *DB) decide(plan Plan, tx *bolt.Tx) (apply Apply, err error) {
	defer db.recovered(&err)
	return plan(tx)
}

// carryOut runs an apply. What one that panicked left behind is not known, so
// its error fences the store like any other.
func (db *DB) carryOut(apply Apply, tx *bolt.Tx) (err error) {
	defer db.recovered(&err)
	return apply(tx)
}

func (db *DB) recovered(err *error) {
	if cause := recover(); cause != nil {
		db.log.Error("write panicked", "panic", cause, "stack", string(debug.Stack()))
		*err = fmt.Errorf("%w: %v", ErrPanic, cause)
	}
}

// ErrPanic marks a write that panicked: in its plan, and the store is as it was;
// or in its apply, and the store is fenced.
var ErrPanic = errors.New("the write has a defect")
