package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	bolt "go.etcd.io/bbolt"
)

// A bareStore is bbolt with nothing around it: what a node's writes are held
// against. A write puts the same bytes twice, as a record and as an entry of an
// ordered log, and is durable when it returns.
type bareStore struct {
	db    *bolt.DB
	queue chan bareWrite
	ended chan struct{}
}

type bareWrite struct {
	key, value []byte
	done       chan error
}

var (
	bareRecords = []byte("records")
	bareLog     = []byte("log")
)

func openBareStore(path string) (*bareStore, error) {
	db, err := bolt.Open(path, 0o600, &bolt.Options{FreelistType: bolt.FreelistMapType, NoFreelistSync: true, InitialMmapSize: 1 << 30})
	if err != nil {
		return nil, fmt.Errorf("open a bare store: %w", err)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		_, recordsErr := tx.CreateBucketIfNotExists(bareRecords)
		_, logErr := tx.CreateBucketIfNotExists(bareLog)
		return errors.Join(recordsErr, logErr)
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open a bare store: %w", err), db.Close())
	}
	s := &bareStore{db: db, queue: make(chan bareWrite, 1024), ended: make(chan struct{})}
	go s.group()
	return s, nil
}

func (s *bareStore) close() error {
	close(s.queue)
	<-s.ended
	return s.db.Close()
}

func (s *bareStore) put(tx *bolt.Tx, key, value []byte) error {
	log := tx.Bucket(bareLog)
	number, err := log.NextSequence()
	if err != nil {
		return err
	}
	log.FillPercent = 0.95 // it only grows at its end
	return errors.Join(
		tx.Bucket(bareRecords).Put(key, value),
		log.Put(binary.BigEndian.AppendUint64(nil, number), value),
	)
}

// alone makes a transaction for one write.
func (s *bareStore) alone(key, value []byte) error {
	return s.db.Update(func(tx *bolt.Tx) error { return s.put(tx, key, value) })
}

// grouped shares a transaction with the writes that wait at the same time.
func (s *bareStore) grouped(key, value []byte) error {
	w := bareWrite{key: key, value: value, done: make(chan error, 1)}
	s.queue <- w
	return <-w.done
}

// maxGroup is the largest number of writes in one transaction.
const maxGroup = 256

func (s *bareStore) group() {
	defer close(s.ended)
	for first := range s.queue {
		group := []bareWrite{first}
		for len(s.queue) > 0 && len(group) < maxGroup {
			group = append(group, <-s.queue)
		}
		err := s.db.Update(func(tx *bolt.Tx) error {
			for _, w := range group {
				if err := s.put(tx, w.key, w.value); err != nil {
					return err
				}
			}
			return nil
		})
		for _, w := range group {
			w.done <- err
		}
	}
}

// client makes clients of the store that write what next returns.
func (s *bareStore) client(write func(key, value []byte) error, next func(number int) (key, value []byte)) func(context.Context) (func(int) error, func(), error) {
	return func(context.Context) (func(int) error, func(), error) {
		return func(number int) error { return write(next(number)) }, nil, nil
	}
}
