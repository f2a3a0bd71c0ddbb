package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/auditv1"
	"cidsistem.example/proto/gen/feedv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/boltkit"
)

// ErrRequestReused says that a request id came back with another request.
var ErrRequestReused = errors.New("the request id was used for another request")

// MaxRecordBytes bounds a serialised record, so that pages and revisions always
// fit into a message.
const MaxRecordBytes = 1 << 20

// ErrTooLarge says that a record has more than MaxRecordBytes.
var ErrTooLarge = fmt.Errorf("the record has more than %d bytes", MaxRecordBytes)

// A Request makes a write safe to repeat.
type Request struct {
	// ID is a UUID, 16 bytes; nil: the write is not safe to repeat.
	ID []byte
	// Digest tells requests apart.
	Digest [sha256.Size]byte
}

// A Stamp is what a write will be, when it is made.
type Stamp struct {
	// Revision is the number of the feed's next revision.
	Revision int64
	// Time is the time of the write.
	Time time.Time
}

// An Outcome is what a write decided.
type Outcome struct {
	// Put are records as they shall be. The store sets their revision, update
	// time and etag.
	Put []proto.Message
	// Why they change, for their history.
	Why Why
	// Purge are records that go for good.
	Purge []catalog.Name
	// Local are entries of data that never leave the server.
	Local []LocalPut
	// Audit are entries for the audit log; the store numbers, dates and seals them.
	Audit []*auditv1.AuditEntry
	// Answer is what a repetition of the request gets; often one of Put.
	Answer proto.Message
	// DryRun makes no change; Put is stamped all the same.
	DryRun bool
}

// Commit makes a write of the server's own records: records, indices, one
// revision of the feed and the answer for repetitions, all in one transaction,
// durable when it returns. The decision runs inside the transaction and must
// change nothing but the messages that it returns. When the request was made
// before, its answer is unmarshalled into replay and nothing is decided.
func (s *Store) Commit(ctx context.Context, request Request, replay proto.Message, decide func(Reader, Stamp) (Outcome, error)) (proto.Message, error) {
	// Read only once the write is acknowledged: the writer may still be at it
	// when the caller has given up.
	var answer proto.Message
	err := s.db.Write(ctx, func(tx *bolt.Tx) (boltkit.Apply, error) {
		if request.ID != nil {
			found, err := findAnswer(tx, request, replay)
			if found || err != nil {
				answer = replay
				return nil, err
			}
		}
		head, err := readPlace(tx, metaHead)
		if err != nil {
			return nil, err
		}
		stamp := Stamp{Revision: head.Revision + 1, Time: s.now().UTC()}
		outcome, err := decide(Reader{tx}, stamp)
		if err != nil {
			return nil, err
		}
		for _, record := range outcome.Put {
			if err := seal(record, stamp); err != nil {
				return nil, err
			}
		}
		answer = outcome.Answer
		if outcome.DryRun || (outcome.empty() && request.ID == nil) {
			return nil, nil
		}
		return func(tx *bolt.Tx) error { return s.apply(tx, request, stamp, outcome) }, nil
	})
	if err != nil {
		return nil, err
	}
	return answer, nil
}

// empty tells whether there is nothing to write.
func (o Outcome) empty() bool {
	return len(o.Put)+len(o.Purge)+len(o.Local)+len(o.Audit) == 0
}

// seal stamps a record and gives it its etag: a digest of all the rest, so that
// no two states ever share one, whatever backup is put back.
func seal(record proto.Message, stamp Stamp) error {
	r := catalog.RecordOf(record)
	if _, err := catalog.ParseName(r.Name()); err != nil {
		return err
	}
	r.SetRevision(stamp.Revision)
	r.SetUpdateTime(stamp.Time)
	r.SetEtag("")
	body, err := deterministic.Marshal(record)
	if err != nil {
		return fmt.Errorf("serialise %s: %w", r.Name(), err)
	}
	if len(body) > MaxRecordBytes {
		return ErrTooLarge
	}
	digest := sha256.Sum256(body)
	r.SetEtag(`"` + base64.RawURLEncoding.EncodeToString(digest[:12]) + `"`)
	return nil
}

func (s *Store) apply(tx *bolt.Tx, request Request, stamp Stamp, outcome Outcome) error {
	var changes []*feedv1.Change
	for _, record := range outcome.Put {
		name, err := catalog.ParseName(catalog.RecordOf(record).Name())
		if err != nil {
			return err
		}
		body, err := deterministic.Marshal(record)
		if err != nil {
			return fmt.Errorf("serialise %s: %w", name, err)
		}
		change, err := s.travelling(tx, name, record, stamp)
		if err != nil {
			return err
		}
		if err := s.remember(tx, name, record, stamp, outcome.Why); err != nil {
			return err
		}
		if err := put(tx, name, record, &storedRecord{body: body}); err != nil {
			return err
		}
		if change != nil {
			changes = append(changes, change)
		}
	}
	for _, name := range outcome.Purge {
		travelled, err := travels(tx, name)
		if err != nil {
			return err
		}
		if err := errors.Join(put(tx, name, nil, nil), forget(tx, name.String())); err != nil {
			return err
		}
		if travelled {
			changes = append(changes, tombstone(name.String(), stamp.Revision, nil))
		}
	}
	if len(outcome.Put)+len(outcome.Purge) > 0 {
		if err := s.appendRevision(tx, changes); err != nil {
			return err
		}
	}
	if err := errors.Join(putLocal(tx, outcome.Local), appendAudit(tx, stamp, outcome.Audit)); err != nil {
		return err
	}
	if request.ID == nil {
		return nil
	}
	return saveAnswer(tx, request, stamp.Time, outcome.Answer)
}

// travelling makes the change that readers of the feed get for a record's new
// state: what operators of the federation may see of it. A record that ceases
// to travel ends at every copy; one that never did is not mentioned.
func (s *Store) travelling(tx *bolt.Tx, name catalog.Name, record proto.Message, stamp Stamp) (*feedv1.Change, error) {
	seen := catalog.Narrow(record, registryv1.Visibility_NETWORK)
	if seen != nil {
		return recordChange(name.String(), seen, nil)
	}
	travelled, err := travels(tx, name)
	if err != nil || !travelled {
		return nil, err
	}
	return tombstone(name.String(), stamp.Revision, nil), nil
}

// travels tells whether readers of the feed know of a record as it is stored.
func travels(tx *bolt.Tx, name catalog.Name) (bool, error) {
	record, err := (Reader{tx}).Get(name)
	return err == nil && record != nil && catalog.Narrow(record, registryv1.Visibility_NETWORK) != nil, err
}

func recordChange(name string, record proto.Message, hops []string) (*feedv1.Change, error) {
	body, err := deterministic.Marshal(record)
	if err != nil {
		return nil, fmt.Errorf("serialise %s: %w", name, err)
	}
	return rawChange(name, record.ProtoReflect().Descriptor().FullName(), body, hops), nil
}

func rawChange[T ~string](name string, message T, body []byte, hops []string) *feedv1.Change {
	return &feedv1.Change{Name: name, Hops: hops, State: &feedv1.Change_Record{
		Record: &anypb.Any{TypeUrl: "type.googleapis.com/" + string(message), Value: body},
	}}
}

func tombstone(name string, revision int64, hops []string) *feedv1.Change {
	return &feedv1.Change{Name: name, Hops: hops, State: &feedv1.Change_Tombstone{Tombstone: &feedv1.Tombstone{Revision: revision}}}
}

// answerFormat is the first byte of an answer's value.
const answerFormat = 1

// findAnswer looks a request up; found is true when it was made before.
func findAnswer(tx *bolt.Tx, request Request, into proto.Message) (found bool, err error) {
	v := tx.Bucket(bucketRequests).Get(request.ID)
	if v == nil {
		return false, nil
	}
	digest, body, err := decodeAnswer(v)
	if err != nil {
		return false, err
	}
	if digest != request.Digest {
		return false, ErrRequestReused
	}
	return true, proto.Unmarshal(body, into)
}

func encodeAnswer(digest [sha256.Size]byte, body []byte) []byte {
	return slices.Concat([]byte{answerFormat}, digest[:], body)
}

// decodeAnswer does not copy: the body is good as long as v is.
func decodeAnswer(v []byte) (digest [sha256.Size]byte, body []byte, err error) {
	if len(v) < 1+sha256.Size || v[0] != answerFormat {
		return digest, nil, fmt.Errorf("%w: the answer of a request", errDamaged)
	}
	return [sha256.Size]byte(v[1 : 1+sha256.Size]), v[1+sha256.Size:], nil
}

func saveAnswer(tx *bolt.Tx, request Request, when time.Time, answer proto.Message) error {
	body, err := deterministic.Marshal(answer)
	if err != nil {
		return fmt.Errorf("serialise an answer: %w", err)
	}
	if err := tx.Bucket(bucketRequests).Put(request.ID, encodeAnswer(request.Digest, body)); err != nil {
		return err
	}
	return tx.Bucket(bucketRequestsByTime).Put(timeKey(when, string(request.ID)), nil)
}

// ForgetRequests drops the answers older than a time; their requests are no
// longer safe to repeat.
func (s *Store) ForgetRequests(ctx context.Context, before time.Time) (forgotten int, err error) {
	for {
		n, err := s.forgetSome(ctx, before)
		forgotten += n
		if err != nil || n < trimBatch {
			return forgotten, err
		}
	}
}

func (s *Store) forgetSome(ctx context.Context, before time.Time) (int, error) {
	var doomed [][]byte
	err := s.db.Write(ctx, func(tx *bolt.Tx) (boltkit.Apply, error) {
		end := timeKey(before, "")
		c := tx.Bucket(bucketRequestsByTime).Cursor()
		for k, _ := c.First(); k != nil && bytes.Compare(k, end) < 0 && len(doomed) < trimBatch; k, _ = c.Next() {
			doomed = append(doomed, bytes.Clone(k))
		}
		if len(doomed) == 0 {
			return nil, nil
		}
		return func(tx *bolt.Tx) error {
			for _, k := range doomed {
				_, id, err := decodeTimeKey(k)
				if err != nil {
					return err
				}
				if err := errors.Join(tx.Bucket(bucketRequests).Delete([]byte(id)), tx.Bucket(bucketRequestsByTime).Delete(k)); err != nil {
					return err
				}
			}
			return nil
		}, nil
	})
	if err != nil {
		return 0, fmt.Errorf("forget old requests: %w", err)
	}
	return len(doomed), nil
}

// Expired lists records whose purge time has come, at most limit.
func (r Reader) Expired(now time.Time, limit int) ([]catalog.Name, error) {
	var names []catalog.Name
	end := timeKey(now, "")
	c := r.tx.Bucket(bucketPurges).Cursor()
	for k, _ := c.First(); k != nil && bytes.Compare(k, end) < 0 && len(names) < limit; k, _ = c.Next() {
		_, text, err := decodeTimeKey(k)
		if err != nil {
			return nil, err
		}
		name, err := catalog.ParseName(text)
		if err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, nil
}

// Purge removes the server's own records whose purge time has come, and tells
// every copy.
func (s *Store) Purge(ctx context.Context) (purged int, err error) {
	for {
		var names []catalog.Name
		_, err := s.Commit(ctx, Request{}, nil, func(r Reader, stamp Stamp) (Outcome, error) {
			var err error
			names, err = r.Expired(stamp.Time, trimBatch)
			outcome := Outcome{Purge: names}
			if len(names) > 0 {
				outcome.Audit = []*auditv1.AuditEntry{{
					Actor: "local", Action: "retention", Resource: catalog.ComuneName(s.comune),
					Outcome: auditv1.AuditEntry_DONE, Count: int64(len(names)),
				}}
			}
			return outcome, err
		})
		if err != nil {
			return purged, fmt.Errorf("purge deleted records: %w", err)
		}
		purged += len(names)
		if len(names) < trimBatch {
			return purged, nil
		}
	}
}
