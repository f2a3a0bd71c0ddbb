package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/proto/gen/feedv1"
	"cidsistem.example/services/internal/boltkit"
)

// revisionFill packs the log tightly: it is only ever appended to.
const revisionFill = 0.95

// appendRevision writes the next revision of the feed.
func (s *Store) appendRevision(tx *bolt.Tx, changes []*feedv1.Change) error {
	head, err := readPlace(tx, metaHead)
	if err != nil {
		return err
	}
	body, err := deterministic.Marshal(&feedv1.RevisionBody{CommitTime: timestamppb.New(s.now()), Changes: changes})
	if err != nil {
		return fmt.Errorf("serialise a revision: %w", err)
	}
	head = head.Next(body)
	revisions := tx.Bucket(bucketRevisions)
	revisions.FillPercent = revisionFill
	value := make([]byte, 0, len(head.Digest)+len(body))
	if err := revisions.Put(encodeNumber(head.Revision), append(append(value, head.Digest...), body...)); err != nil {
		return err
	}
	if err := tx.Bucket(bucketMeta).Put(metaHead, encodePlace(head)); err != nil {
		return err
	}
	tx.OnCommit(func() { s.advance(head) })
	return nil
}

// decodeRevision takes an entry of the log apart, copying it.
func decodeRevision(epoch, key, value []byte) (*feedv1.Revision, error) {
	n, err := decodeNumber(key)
	if err != nil {
		return nil, err
	}
	if len(value) < sha256.Size {
		return nil, fmt.Errorf("%w: revision %d", errDamaged, n)
	}
	return &feedv1.Revision{
		Position: &feedv1.FeedPosition{Epoch: epoch, Revision: n, Digest: bytes.Clone(value[:sha256.Size])},
		Body:     bytes.Clone(value[sha256.Size:]),
	}, nil
}

// Bounds of one read of the feed.
const (
	maxRevisions     = 256
	maxRevisionBytes = 1 << 20
)

// Revisions reads what follows a position: whole revisions, at least one when
// there is one, and the head at that moment. It refuses a position that is not
// part of this store's history with one of the errors of position.go.
func (s *Store) Revisions(after Position) ([]*feedv1.Revision, Position, error) {
	var found []*feedv1.Revision
	var head Position
	err := s.db.View(func(tx *bolt.Tx) (err error) {
		if head, err = readPlace(tx, metaHead); err != nil {
			return err
		}
		if err := accept(tx, after, head); err != nil {
			return err
		}
		size := 0
		c := tx.Bucket(bucketRevisions).Cursor()
		for k, v := c.Seek(encodeNumber(after.Revision + 1)); k != nil && len(found) < maxRevisions && size < maxRevisionBytes; k, v = c.Next() {
			r, err := decodeRevision(head.Epoch, k, v)
			if err != nil {
				return err
			}
			found = append(found, r)
			size += len(v)
		}
		return nil
	})
	return found, head, err
}

// accept tells whether a position is part of the history.
func accept(tx *bolt.Tx, p, head Position) error {
	floor, err := readPlace(tx, metaFloor)
	if err != nil {
		return err
	}
	switch {
	case !bytes.Equal(p.Epoch, head.Epoch):
		return ErrEpochChanged
	case p.Revision > head.Revision:
		return ErrAhead
	case p.Revision < floor.Revision:
		return ErrTrimmed
	}
	digest := floor.Digest
	if p.Revision > floor.Revision {
		v := tx.Bucket(bucketRevisions).Get(encodeNumber(p.Revision))
		if len(v) < sha256.Size {
			return fmt.Errorf("%w: revision %d is missing", errDamaged, p.Revision)
		}
		digest = v[:sha256.Size]
	}
	if !bytes.Equal(p.Digest, digest) {
		return ErrDiverged
	}
	return nil
}

// Retention says what of the feed is kept: a revision goes when it is beyond
// both.
type Retention struct {
	// Revisions is how many are kept at least.
	Revisions int64
	// Age is for how long they are kept at least.
	Age time.Duration
}

// trimBatch bounds one transaction of Trim, so that writes are not held up.
const trimBatch = 500

// Trim forgets the oldest revisions that retention does not ask for.
func (s *Store) Trim(ctx context.Context, keep Retention) (trimmed int64, err error) {
	for {
		n, err := s.trimSome(ctx, keep)
		trimmed += n
		if err != nil || n < trimBatch {
			return trimmed, err
		}
	}
}

func (s *Store) trimSome(ctx context.Context, keep Retention) (int64, error) {
	var doomed [][]byte
	err := s.db.Write(ctx, func(tx *bolt.Tx) (boltkit.Apply, error) {
		head, err := readPlace(tx, metaHead)
		if err != nil {
			return nil, err
		}
		floor := Position{}
		oldest := s.now().Add(-keep.Age)
		// Keys are collected first: deleting under a moving cursor skips entries.
		c := tx.Bucket(bucketRevisions).Cursor()
		for k, v := c.First(); k != nil && len(doomed) < trimBatch; k, v = c.Next() {
			r, err := decodeRevision(head.Epoch, k, v)
			if err != nil {
				return nil, err
			}
			var body feedv1.RevisionBody
			if err := proto.Unmarshal(r.GetBody(), &body); err != nil {
				return nil, fmt.Errorf("%w: revision %d: %w", errDamaged, r.GetPosition().GetRevision(), err)
			}
			if r.GetPosition().GetRevision() > head.Revision-keep.Revisions || body.GetCommitTime().AsTime().After(oldest) {
				break
			}
			doomed = append(doomed, slices.Clone(k))
			floor = PositionFrom(r.GetPosition())
		}
		if len(doomed) == 0 {
			return nil, nil
		}
		return func(tx *bolt.Tx) error {
			revisions := tx.Bucket(bucketRevisions)
			for _, k := range doomed {
				if err := revisions.Delete(k); err != nil {
					return err
				}
			}
			return tx.Bucket(bucketMeta).Put(metaFloor, encodePlace(floor))
		}, nil
	})
	if err != nil {
		return 0, fmt.Errorf("trim the feed: %w", err)
	}
	return int64(len(doomed)), nil
}
