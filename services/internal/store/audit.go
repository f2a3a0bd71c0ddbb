package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"

	bolt "go.etcd.io/bbolt"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/proto/gen/auditv1"
	"cidsistem.example/services/internal/boltkit"
)

// An AuditPlace is a place in the chain of the audit log: the number of an entry
// and its hash, 32 bytes. The beginning is 0, and so are the bytes.
type AuditPlace struct {
	Sequence int64
	Hash     []byte
}

// noAudit is the place before the first entry.
var noAudit = AuditPlace{Hash: make([]byte, sha256.Size)}

func (p AuditPlace) encode() []byte { return append(encodeNumber(p.Sequence), p.Hash...) }

// auditFormat is the first byte of an audit entry's value.
const auditFormat = 1

// next seals an entry at the place after p: hash over the hash before it and the
// entry without its own.
func (p AuditPlace) next(body []byte) AuditPlace {
	sum := sha256.New()
	sum.Write(p.Hash)
	sum.Write(body)
	return AuditPlace{Sequence: p.Sequence + 1, Hash: sum.Sum(nil)}
}

func encodeAuditEntry(hash, body []byte) []byte {
	out := make([]byte, 0, 1+len(hash)+len(body))
	return append(append(append(out, auditFormat), hash...), body...)
}

// decodeAuditEntry does not copy.
func decodeAuditEntry(v []byte) (hash, body []byte, err error) {
	if len(v) < 1+sha256.Size || v[0] != auditFormat {
		return nil, nil, fmt.Errorf("%w: an audit entry", errDamaged)
	}
	return v[1 : 1+sha256.Size], v[1+sha256.Size:], nil
}

func readAuditEnd(tx *bolt.Tx) (AuditPlace, error) {
	v := tx.Bucket(bucketMeta).Get(metaAudit)
	if len(v) != 8+sha256.Size {
		return AuditPlace{}, fmt.Errorf("%w: the end of the audit log", errDamaged)
	}
	sequence, err := decodeNumber(v[:8])
	return AuditPlace{Sequence: sequence, Hash: bytes.Clone(v[8:])}, err
}

// appendAudit puts entries at the end of the chain.
func appendAudit(tx *bolt.Tx, stamp Stamp, entries []*auditv1.AuditEntry) error {
	if len(entries) == 0 {
		return nil
	}
	end, err := readAuditEnd(tx)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		sealed := proto.CloneOf(entry)
		sealed.Sequence, sealed.Hash = end.Sequence+1, nil
		sealed.Time = timestamppb.New(stamp.Time)
		sealed.Count = max(1, sealed.GetCount())
		body, err := deterministic.Marshal(sealed)
		if err != nil {
			return fmt.Errorf("serialise an audit entry: %w", err)
		}
		end = end.next(body)
		if err := tx.Bucket(bucketAudit).Put(encodeNumber(end.Sequence), encodeAuditEntry(end.Hash, body)); err != nil {
			return err
		}
	}
	return tx.Bucket(bucketMeta).Put(metaAudit, end.encode())
}

// AuditEnd is the end of the audit log's chain.
func (r Reader) AuditEnd() (AuditPlace, error) { return readAuditEnd(r.tx) }

// AuditEntries walks through the audit log from an entry on, forwards, or
// backwards from the one before it.
func (r Reader) AuditEntries(from int64, backwards bool) iter.Seq2[*auditv1.AuditEntry, error] {
	return func(yield func(*auditv1.AuditEntry, error) bool) {
		c := r.tx.Bucket(bucketAudit).Cursor()
		k, v := c.Seek(encodeNumber(max(from, 0)))
		step := c.Next
		if backwards {
			step = c.Prev
			if k == nil {
				k, v = c.Last()
			} else {
				k, v = c.Prev()
			}
		}
		for ; k != nil; k, v = step() {
			entry, err := readAuditEntry(v)
			if !yield(entry, err) || err != nil {
				return
			}
		}
	}
}

func readAuditEntry(v []byte) (*auditv1.AuditEntry, error) {
	hash, body, err := decodeAuditEntry(v)
	if err != nil {
		return nil, err
	}
	entry := &auditv1.AuditEntry{}
	if err := proto.Unmarshal(body, entry); err != nil {
		return nil, fmt.Errorf("%w: an audit entry: %w", errDamaged, err)
	}
	entry.Hash = bytes.Clone(hash)
	return entry, nil
}

// SignAudit signs the end of the chain and keeps the signed head; nothing
// happens when the newest head is of that end already.
func (s *Store) SignAudit(ctx context.Context, sign func(AuditPlace, Stamp) (*auditv1.AuditHead, error)) error {
	return s.db.Write(ctx, func(tx *bolt.Tx) (boltkit.Apply, error) {
		end, err := readAuditEnd(tx)
		if err != nil || end.Sequence == 0 || tx.Bucket(bucketAuditHeads).Get(encodeNumber(end.Sequence)) != nil {
			return nil, err
		}
		head, err := sign(end, Stamp{Time: s.now().UTC()})
		if err != nil {
			return nil, err
		}
		body, err := deterministic.Marshal(head)
		if err != nil {
			return nil, err
		}
		return func(tx *bolt.Tx) error {
			return tx.Bucket(bucketAuditHeads).Put(encodeNumber(end.Sequence), body)
		}, nil
	})
}

// AuditHeads walks through the signed heads, the oldest first.
func (r Reader) AuditHeads() iter.Seq2[*auditv1.AuditHead, error] {
	return func(yield func(*auditv1.AuditHead, error) bool) {
		c := r.tx.Bucket(bucketAuditHeads).Cursor()
		for k, v := c.First(); k != nil; k, v = c.Next() {
			head := &auditv1.AuditHead{}
			err := proto.Unmarshal(v, head)
			if err != nil {
				err = fmt.Errorf("%w: a signed head of the audit log: %w", errDamaged, err)
			}
			if !yield(head, err) || err != nil {
				return
			}
		}
	}
}

// LastAuditHead is the newest signed head, nil when there is none.
func (r Reader) LastAuditHead() (*auditv1.AuditHead, error) {
	k, v := r.tx.Bucket(bucketAuditHeads).Cursor().Last()
	if k == nil {
		return nil, nil
	}
	head := &auditv1.AuditHead{}
	return head, proto.Unmarshal(v, head)
}

// CheckAudit walks the whole chain and says what is wrong with it: entries that
// are missing, in another order or changed, an end that is not where it was.
func (r Reader) CheckAudit(ctx context.Context) (problems []string, entries int64, err error) {
	at := noAudit
	err = r.tx.Bucket(bucketAudit).ForEach(func(k, v []byte) error {
		entries++
		sequence, err := decodeNumber(k)
		if err != nil {
			problems = append(problems, fmt.Sprintf("the audit log has a damaged key %x", k))
			return ctx.Err()
		}
		if sequence != at.Sequence+1 {
			problems = append(problems, fmt.Sprintf("the audit log has entry %d after %d", sequence, at.Sequence))
		}
		hash, body, err := decodeAuditEntry(v)
		if err != nil {
			problems = append(problems, fmt.Sprintf("entry %d of the audit log cannot be read", sequence))
			at.Sequence = sequence
			return ctx.Err()
		}
		entry := &auditv1.AuditEntry{}
		at.Sequence = sequence - 1
		next := at.next(body)
		switch {
		case proto.Unmarshal(body, entry) != nil || entry.GetSequence() != sequence:
			problems = append(problems, fmt.Sprintf("entry %d of the audit log is not the one that was written there", sequence))
		case !bytes.Equal(next.Hash, hash):
			problems = append(problems, fmt.Sprintf("the hash of entry %d of the audit log does not fit", sequence))
		}
		at = AuditPlace{Sequence: sequence, Hash: bytes.Clone(hash)}
		return ctx.Err()
	})
	if err != nil {
		return problems, entries, err
	}
	end, err := readAuditEnd(r.tx)
	switch {
	case errors.Is(err, errDamaged):
		problems = append(problems, err.Error())
	case err != nil:
		return problems, entries, err
	case end.Sequence != at.Sequence || !bytes.Equal(end.Hash, at.Hash):
		problems = append(problems, fmt.Sprintf("the audit log ends with entry %d, it should end with entry %d", at.Sequence, end.Sequence))
	}
	return problems, entries, nil
}
