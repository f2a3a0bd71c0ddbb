package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"

	"cidsistem.example/proto/catalog"
	"cidsistem.example/services/internal/boltkit"
)

// Options of Open.
type Options struct {
	// Path of the data file; its folder must exist.
	Path string
	// ServerID names the server in the federation, for example "marsala".
	ServerID string
	// Comune is the slug of the comune that the server owns; empty for an ufficio
	// comune, which owns none.
	Comune string
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Logger; nil means slog.Default.
	Logger *slog.Logger
	// MaxBytes bounds the data file; 0 means no bound.
	MaxBytes int
	// NoSync leaves flushing to the kernel: for tests only.
	NoSync bool
	// BeforeCommit can make a commit fail: for tests of the fence.
	BeforeCommit func() error

	// existing refuses a file that no server has claimed.
	existing bool
}

// Store is an open data file. It is safe for concurrent use.
type Store struct {
	db     *boltkit.DB
	server string
	comune string
	now    func() time.Time
	log    *slog.Logger

	mu   sync.Mutex
	head Position
	bell chan struct{} // closed and replaced when head moves
}

var (
	// ErrWrongServer says that the file belongs to another server.
	ErrWrongServer = errors.New("the data file belongs to another server")
	// ErrNoStore says that the file belongs to no server.
	ErrNoStore = errors.New("the file is not the data file of a server")
)

// Open opens the data file of a server, makes it when it is not there, and
// brings an older layout up to date after copying the file aside.
func Open(options Options) (*Store, error) {
	if options.Now == nil {
		options.Now = time.Now
	}
	if options.Logger == nil {
		options.Logger = slog.Default()
	}
	db, err := boltkit.Open(options.Path, boltkit.Options{
		MaxBytes: options.MaxBytes, NoSync: options.NoSync, Logger: options.Logger, BeforeCommit: options.BeforeCommit,
	})
	if err != nil {
		return nil, err
	}
	s := &Store{db: db, server: options.ServerID, comune: options.Comune, now: options.Now, log: options.Logger, bell: make(chan struct{})}
	if err := s.prepare(options.existing); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", options.Path, err), db.Close())
	}
	return s, nil
}

// prepare migrates, claims the file for the server, and reads the head.
func (s *Store) prepare(existing bool) error {
	var schema int
	var server, kinds string
	err := s.db.View(func(tx *bolt.Tx) (err error) {
		if schema, err = schemaOf(tx); err != nil || schema == 0 {
			return err
		}
		server = string(tx.Bucket(bucketMeta).Get(metaServer))
		kinds = string(tx.Bucket(bucketMeta).Get(metaKinds))
		return nil
	})
	if err != nil {
		return err
	}
	if existing && server == "" {
		return ErrNoStore
	}
	if server != "" && server != s.server {
		return fmt.Errorf("%w: %s, not %s", ErrWrongServer, server, s.server)
	}
	if schema > 0 && schema < SchemaVersion() {
		if err := s.db.Backup(fmt.Sprintf("%s.layout-%d", s.db.Path(), schema)); err != nil {
			return fmt.Errorf("copy the file aside before migrating: %w", err)
		}
	}
	if schema < SchemaVersion() || kinds != knownKinds() {
		err := s.db.Write(context.Background(), func(*bolt.Tx) (boltkit.Apply, error) {
			return func(tx *bolt.Tx) error { return s.initialise(tx, schema) }, nil
		})
		if err != nil {
			return err
		}
	}
	return s.db.View(func(tx *bolt.Tx) error {
		head, err := readPlace(tx, metaHead)
		s.head = head
		return err
	})
}

func (s *Store) initialise(tx *bolt.Tx, schema int) error {
	if err := migrate(tx, schema); err != nil {
		return err
	}
	meta := tx.Bucket(bucketMeta)
	if meta.Get(metaEpoch) == nil {
		epoch := make([]byte, 16)
		if _, err := rand.Read(epoch); err != nil {
			return err
		}
		err := errors.Join(
			meta.Put(metaServer, []byte(s.server)), meta.Put(metaEpoch, epoch),
			meta.Put(metaHead, encodePlace(Position{})), meta.Put(metaFloor, encodePlace(Position{})),
		)
		if err != nil {
			return err
		}
	}
	// An older program may have passed over records of kinds that it did not
	// know: copies are taken anew.
	if before := meta.Get(metaKinds); before != nil && string(before) != knownKinds() {
		if err := forgetPositions(tx); err != nil {
			return err
		}
	}
	return meta.Put(metaKinds, []byte(knownKinds()))
}

func knownKinds() string {
	var names []string
	for _, kind := range catalog.Kinds() {
		names = append(names, kind.Collection)
	}
	return strings.Join(names, ",")
}

func readPlace(tx *bolt.Tx, key []byte) (Position, error) {
	meta := tx.Bucket(bucketMeta)
	return decodePlace(meta.Get(key), meta.Get(metaEpoch))
}

// Close closes the file after the writes that are under way.
func (s *Store) Close() error { return s.db.Close() }

// Fenced is closed when a commit has failed; see boltkit.
func (s *Store) Fenced() <-chan struct{} { return s.db.Fenced() }

// Err tells why the store takes no calls, nil while it does.
func (s *Store) Err() error { return s.db.Err() }

// ServerID names the server in the federation.
func (s *Store) ServerID() string { return s.server }

// Comune is the slug that the server owns, empty for none.
func (s *Store) Comune() string { return s.comune }

// Now reads the store's clock.
func (s *Store) Now() time.Time { return s.now() }

// Head is the newest position of the feed.
func (s *Store) Head() Position {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.head
}

// After returns a channel that is closed once the feed has gone past a
// revision.
func (s *Store) After(revision int64) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.head.Revision > revision {
		done := make(chan struct{})
		close(done)
		return done
	}
	return s.bell
}

// advance is called in commit order: there is one writer.
func (s *Store) advance(head Position) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.head = head
	close(s.bell)
	s.bell = make(chan struct{})
}

// Floor is the oldest position from which a reader can go on.
func (s *Store) Floor() (Position, error) {
	var floor Position
	err := s.db.View(func(tx *bolt.Tx) (err error) {
		floor, err = readPlace(tx, metaFloor)
		return err
	})
	return floor, err
}

// Backup writes a consistent copy of the data file, made while the store works.
func (s *Store) Backup(path string) error { return s.db.Backup(path) }

// Restore puts a backup in the place of a closed store's data file, after
// checking it, and begins a new epoch, so that every reader notices.
func Restore(ctx context.Context, backup string, options Options) error {
	work := options.Path + ".restore"
	if err := copyFile(backup, work); err != nil {
		return fmt.Errorf("copy the backup: %w", err)
	}
	defer func() { _ = os.Remove(work) }()
	aside := options
	aside.Path, aside.existing = work, true
	s, err := Open(aside)
	if err != nil {
		return err
	}
	report, err := s.Check(ctx)
	if err == nil && len(report.Problems) > 0 {
		err = fmt.Errorf("the backup is damaged: %s", strings.Join(report.Problems, "; "))
	}
	if err == nil {
		err = s.beginEpoch(ctx)
	}
	if err := errors.Join(err, s.Close()); err != nil {
		return err
	}
	if err := boltkit.Install(work, options.Path); err != nil {
		return fmt.Errorf("put the backup in place: %w", err)
	}
	return nil
}

// beginEpoch starts a new life of the feed, with a first revision that has no
// change.
func (s *Store) beginEpoch(ctx context.Context) error {
	return s.db.Write(ctx, func(*bolt.Tx) (boltkit.Apply, error) {
		return func(tx *bolt.Tx) error {
			epoch := make([]byte, 16)
			if _, err := rand.Read(epoch); err != nil {
				return err
			}
			if err := tx.Bucket(bucketMeta).Put(metaEpoch, epoch); err != nil {
				return err
			}
			return s.appendRevision(tx, nil)
		}, nil
	})
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	out, err := os.OpenFile(filepath.Clean(to), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = out.ReadFrom(in)
	return errors.Join(err, out.Sync(), out.Close())
}

// Sizes tells how much room the data file takes.
func (s *Store) Sizes() (boltkit.Sizes, error) { return s.db.Sizes() }
