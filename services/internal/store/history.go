package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	bolt "go.etcd.io/bbolt"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/editorialv1"
)

// Why says what the history of an outcome's records tells of the change. It is
// kept beside the records of their owner, and never in the feed.
type Why struct {
	// Action; unspecified: CREATED, CHANGED, DELETED or UNDELETED, as it is.
	Action editorialv1.RecordChange_Action
	// Actor who made the change; empty: the server itself.
	Actor string
	// Note of the actor, empty for none.
	Note string
	// Means by which the record was verified, for VERIFIED.
	Means editorialv1.VerificationMeans
	// Cause is the draft, the import or the change of many behind it; empty: none.
	Cause string
}

const (
	// HistoryKept is how many changes of a record are kept.
	HistoryKept = 100
	// historyFormat is the first byte of an entry's value.
	historyFormat = 1
	// historyHeader is its format, its number and how long the change is.
	historyHeader = 1 + 8 + 4
	// maxFields bounds the fields that an entry names.
	maxFields = 100
)

// A pastChange is an entry of a record's history.
type pastChange struct {
	// number of the change of this record, from 1.
	number int64
	// change is a serialised editorialv1.RecordChange.
	change []byte
	// before is the record as it was, serialised; empty for a new one.
	before []byte
}

func encodePast(p pastChange) []byte {
	out := make([]byte, 0, historyHeader+len(p.change)+len(p.before))
	out = append(out, historyFormat)
	out = append(out, encodeNumber(p.number)...)
	out = binary.BigEndian.AppendUint32(out, uint32(len(p.change)))
	return append(append(out, p.change...), p.before...)
}

// decodePast does not copy: the result is good as long as v is.
func decodePast(v []byte) (pastChange, error) {
	if len(v) < historyHeader || v[0] != historyFormat {
		return pastChange{}, fmt.Errorf("%w: an entry of a record's history", errDamaged)
	}
	number, err := decodeNumber(v[1:9])
	if err != nil {
		return pastChange{}, err
	}
	length := int64(binary.BigEndian.Uint32(v[9:historyHeader]))
	if int64(len(v)-historyHeader) < length {
		return pastChange{}, fmt.Errorf("%w: an entry of a record's history", errDamaged)
	}
	rest := v[historyHeader:]
	return pastChange{number: number, change: rest[:length], before: rest[length:]}, nil
}

// historyKey sorts the changes of a record by their revision.
func historyKey(name string, revision int64) []byte {
	return append(pairKey(name, ""), encodeNumber(revision)...)
}

func decodeHistoryKey(key []byte) (name string, revision int64, err error) {
	if len(key) < 10 || key[len(key)-9] != separator {
		return "", 0, fmt.Errorf("%w: history key %q", errDamaged, key)
	}
	revision, err = decodeNumber(key[len(key)-8:])
	return string(key[:len(key)-9]), revision, err
}

// remember writes what a change does to a record into the record's history, and
// forgets the oldest change when there are too many. It runs before the change.
func (s *Store) remember(tx *bolt.Tx, name catalog.Name, after proto.Message, stamp Stamp, why Why) error {
	var before proto.Message
	past := pastChange{number: 1}
	if v := tx.Bucket(bucketRecords).Get(recordKey(name)); v != nil {
		stored, err := decodeStored(v)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if before, err = decodeRecord(name, v); err != nil {
			return err
		}
		past.before = stored.body
	}
	change := &editorialv1.RecordChange{
		Revision: stamp.Revision, Action: why.Action, ChangeTime: timestamppb.New(stamp.Time), Actor: why.Actor,
		Note: why.Note, Means: why.Means, Cause: why.Cause,
	}
	if change.GetAction() == editorialv1.RecordChange_ACTION_UNSPECIFIED {
		change.Action = actionOf(before, after)
	}
	if change.GetActor() == "" {
		change.Actor = "nodes/" + s.server
	}
	if before != nil {
		change.Fields = ChangedFields(before, after)
	}
	var err error
	if past.change, err = deterministic.Marshal(change); err != nil {
		return fmt.Errorf("serialise a change of %s: %w", name, err)
	}
	bucket, key := tx.Bucket(bucketHistory), name.String()
	c := bucket.Cursor()
	oldest, first, last, err := ends(c, key)
	if err != nil {
		return err
	}
	if last > 0 {
		past.number = last + 1
	}
	if err := bucket.Put(historyKey(key, stamp.Revision), encodePast(past)); err != nil {
		return fmt.Errorf("history of %s: %w", name, err)
	}
	if last > 0 && past.number-first >= HistoryKept {
		return bucket.Delete(oldest)
	}
	return nil
}

// ends finds the key of the oldest change of a record that is kept, and the
// numbers of the oldest and the newest; 0 for none.
func ends(c *bolt.Cursor, name string) (oldest []byte, first, last int64, err error) {
	prefix := pairKey(name, "")
	k, v := c.Seek(prefix)
	if k == nil || !bytes.HasPrefix(k, prefix) {
		return nil, 0, 0, nil
	}
	past, err := decodePast(v)
	if err != nil {
		return nil, 0, 0, err
	}
	oldest, first = bytes.Clone(k), past.number
	if k, _ = c.Seek(historyKey(name, math.MaxInt64)); k == nil {
		_, v = c.Last()
	} else {
		_, v = c.Prev()
	}
	past, err = decodePast(v)
	return oldest, first, past.number, err
}

// forget removes the history of a record that goes for good.
func forget(tx *bolt.Tx, name string) error {
	bucket, prefix := tx.Bucket(bucketHistory), pairKey(name, "")
	var doomed [][]byte
	c := bucket.Cursor()
	for k, _ := c.Seek(prefix); k != nil && bytes.HasPrefix(k, prefix); k, _ = c.Next() {
		doomed = append(doomed, bytes.Clone(k))
	}
	for _, k := range doomed {
		if err := bucket.Delete(k); err != nil {
			return fmt.Errorf("history of %s: %w", name, err)
		}
	}
	return nil
}

// actionOf tells what a change is by the states before and after it.
func actionOf(before, after proto.Message) editorialv1.RecordChange_Action {
	if before == nil {
		return editorialv1.RecordChange_CREATED
	}
	was, is := catalog.RecordOf(before).Deleted(), catalog.RecordOf(after).Deleted()
	switch {
	case is && !was:
		return editorialv1.RecordChange_DELETED
	case was && !is:
		return editorialv1.RecordChange_UNDELETED
	default:
		return editorialv1.RecordChange_CHANGED
	}
}

// ChangedFields lists the fields in which two states of a record differ, paths
// with JSON names, at most 100; what only the server writes is left out.
func ChangedFields(before, after proto.Message) []string {
	server := catalog.Of(before).ServerFields()
	var paths []string
	a, b := before.ProtoReflect(), after.ProtoReflect()
	for i := range a.Descriptor().Fields().Len() {
		fd := a.Descriptor().Fields().Get(i)
		if !slices.Contains(server, fd) {
			paths = differences(paths, fd.JSONName(), fd, a, b)
		}
	}
	return paths[:min(len(paths), maxFields)]
}

// differences adds the paths at and below a field in which two messages differ.
// A list differs as a whole.
func differences(paths []string, at string, fd protoreflect.FieldDescriptor, a, b protoreflect.Message) []string {
	if a.Has(fd) == b.Has(fd) && (!a.Has(fd) || a.Get(fd).Equal(b.Get(fd))) {
		return paths
	}
	if fd.IsList() || fd.IsMap() || fd.Message() == nil || !a.Has(fd) || !b.Has(fd) || fd.Message().ParentFile().Package() != a.Descriptor().ParentFile().Package() {
		return append(paths, at)
	}
	inside := fd.Message().Fields()
	for i := range inside.Len() {
		paths = differences(paths, at+"."+inside.Get(i).JSONName(), inside.Get(i), a.Get(fd).Message(), b.Get(fd).Message())
	}
	return paths
}

// History lists changes of a record, the newest first, from before a revision
// on, 0 for the newest; at most limit. More tells whether there are others.
func (r Reader) History(name catalog.Name, before int64, limit int) (changes []*editorialv1.RecordChange, more bool, err error) {
	key, prefix := name.String(), pairKey(name.String(), "")
	if before <= 0 {
		before = math.MaxInt64
	}
	c := r.tx.Bucket(bucketHistory).Cursor()
	step := c.Prev
	if k, _ := c.Seek(historyKey(key, before)); k == nil {
		step = c.Last
	}
	for k, v := step(); k != nil && bytes.HasPrefix(k, prefix); k, v = c.Prev() {
		if len(changes) == limit {
			return changes, true, nil
		}
		past, err := decodePast(v)
		if err != nil {
			return nil, false, err
		}
		change, err := past.decode()
		if err != nil {
			return nil, false, err
		}
		changes = append(changes, change)
	}
	return changes, false, nil
}

func (p pastChange) decode() (*editorialv1.RecordChange, error) {
	change := &editorialv1.RecordChange{}
	if err := proto.Unmarshal(p.change, change); err != nil {
		return nil, fmt.Errorf("%w: an entry of a record's history: %w", errDamaged, err)
	}
	return change, nil
}

// A Version is a record as a change left it.
type Version struct {
	// Change that made it; only its revision for one that is not kept any more.
	Change *editorialv1.RecordChange
	// Record, and Before the same before the change; nil for its creation, or when
	// that is not kept any more.
	Record, Before proto.Message
}

// Version reads a record as it was after the change of a revision, nil when that
// is not kept.
func (r Reader) Version(name catalog.Name, revision int64) (*Version, error) {
	found := &Version{Change: &editorialv1.RecordChange{Revision: revision}}
	bucket, key, prefix := r.tx.Bucket(bucketHistory), name.String(), pairKey(name.String(), "")
	if v := bucket.Get(historyKey(key, revision)); v != nil {
		past, err := decodePast(v)
		if err != nil {
			return nil, err
		}
		if found.Change, err = past.decode(); err != nil {
			return nil, err
		}
		if found.Before, err = past.record(name); err != nil {
			return nil, err
		}
	}
	var err error
	if k, v := bucket.Cursor().Seek(historyKey(key, revision+1)); k != nil && bytes.HasPrefix(k, prefix) {
		past, err := decodePast(v)
		if err != nil {
			return nil, err
		}
		if found.Record, err = past.record(name); err != nil {
			return nil, err
		}
	} else if found.Record, err = r.Get(name); err != nil {
		return nil, err
	}
	if found.Record == nil || catalog.RecordOf(found.Record).Revision() != revision {
		return nil, nil
	}
	return found, nil
}

// record is the state before the change, nil for none.
func (p pastChange) record(name catalog.Name) (proto.Message, error) {
	if len(p.before) == 0 {
		return nil, nil
	}
	record := name.Kind.New()
	if err := proto.Unmarshal(p.before, record); err != nil {
		return nil, fmt.Errorf("%w: the history of %s: %w", errDamaged, name, err)
	}
	return record, nil
}

// checkHistory looks for entries that cannot be read, or are of no record, and
// for records that are not as their last change left them.
func checkHistory(tx *bolt.Tx, report *Report) error {
	lastOf, numbers := map[string]int64{}, map[string]int64{}
	err := tx.Bucket(bucketHistory).ForEach(func(k, v []byte) error {
		text, revision, err := decodeHistoryKey(k)
		if err != nil {
			report.problem("the history has a damaged key: %v", err)
			return nil
		}
		name, err := catalog.ParseName(text)
		if err != nil {
			report.problem("the history has an entry of no record, %q", text)
			return nil
		}
		past, err := decodePast(v)
		if err != nil {
			report.problem("the history of %s cannot be read at %d: %v", name, revision, err)
			return nil
		}
		change, err := past.decode()
		if err != nil || change.GetRevision() != revision {
			report.problem("the history of %s has a damaged change at %d", name, revision)
			return nil
		}
		before, err := past.record(name)
		if err != nil {
			report.problem("the history of %s cannot be read at %d: %v", name, revision, err)
			return nil
		}
		if before, seen := numbers[text]; seen && past.number != before+1 {
			report.problem("the history of %s lacks a change before %d", name, revision)
		}
		if was, seen := lastOf[text]; seen && (before == nil || catalog.RecordOf(before).Revision() != was) {
			report.problem("the history of %s says at %d that the record was another than the change before left", name, revision)
		}
		lastOf[text], numbers[text] = revision, past.number
		return nil
	})
	if err != nil {
		return err
	}
	for text, revision := range lastOf {
		name, err := catalog.ParseName(text)
		if err != nil {
			return err
		}
		v := tx.Bucket(bucketRecords).Get(recordKey(name))
		if v == nil {
			report.problem("%s has a history, and is not there", text)
			continue
		}
		record, err := decodeRecord(name, v)
		if err == nil && catalog.RecordOf(record).Revision() != revision {
			report.problem("%s is of revision %d, its history ends at %d", text, catalog.RecordOf(record).Revision(), revision)
		}
	}
	return nil
}
