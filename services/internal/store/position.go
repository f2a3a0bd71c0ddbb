package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"cidsistem.example/proto/gen/feedv1"
)

// Why a reader cannot go on from its position. All have one cure: a snapshot.
var (
	// ErrEpochChanged: the store was restored from a backup.
	ErrEpochChanged = errors.New("the store began a new life since")
	// ErrTrimmed: what follows the position is no longer kept.
	ErrTrimmed = errors.New("what follows the position is no longer kept")
	// ErrAhead: the store is older than the reader; its file was put back.
	ErrAhead = errors.New("the position is newer than the store")
	// ErrDiverged: the store's history is not the one that the reader saw.
	ErrDiverged = errors.New("the history before the position is another")
)

// A Position is a place in a feed.
type Position struct {
	// Epoch is the life of the store, 16 bytes.
	Epoch []byte
	// Revision is the last one seen, 0 before the first.
	Revision int64
	// Digest chains everything up to Revision; empty at 0.
	Digest []byte
}

// Message is the position for the wire.
func (p Position) Message() *feedv1.FeedPosition {
	return &feedv1.FeedPosition{Epoch: p.Epoch, Revision: p.Revision, Digest: p.Digest}
}

// PositionFrom reads a position from the wire.
func PositionFrom(m *feedv1.FeedPosition) Position {
	return Position{Epoch: m.GetEpoch(), Revision: m.GetRevision(), Digest: m.GetDigest()}
}

// Equal compares two positions.
func (p Position) Equal(q Position) bool {
	return p.Revision == q.Revision && bytes.Equal(p.Epoch, q.Epoch) && bytes.Equal(p.Digest, q.Digest)
}

// Zero tells whether nothing was ever seen.
func (p Position) Zero() bool { return len(p.Epoch) == 0 }

// String is for logs.
func (p Position) String() string {
	return fmt.Sprintf("%x@%d/%x", p.Epoch[:min(4, len(p.Epoch))], p.Revision, p.Digest[:min(4, len(p.Digest))])
}

// Next is the position after a revision with this body.
func (p Position) Next(body []byte) Position {
	h := sha256.New()
	h.Write(p.Digest)
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(p.Revision+1)))
	h.Write(body)
	return Position{Epoch: p.Epoch, Revision: p.Revision + 1, Digest: h.Sum(nil)}
}

// encodePlace stores revision and digest; the epoch has a key of its own.
func encodePlace(p Position) []byte { return append(encodeNumber(p.Revision), p.Digest...) }

func decodePlace(b, epoch []byte) (Position, error) {
	if len(b) != 8 && len(b) != 8+sha256.Size {
		return Position{}, fmt.Errorf("%w: a position of %d bytes", errDamaged, len(b))
	}
	revision, err := decodeNumber(b[:8])
	if err != nil {
		return Position{}, err
	}
	return Position{Epoch: bytes.Clone(epoch), Revision: revision, Digest: bytes.Clone(b[8:])}, nil
}
