package store

import (
	"bytes"
	"fmt"
	"iter"
	"time"

	bolt "go.etcd.io/bbolt"
	"google.golang.org/protobuf/proto"

	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/registryv1"
)

// A Reader reads records inside one transaction: what it sees does not change.
type Reader struct {
	tx *bolt.Tx
}

// View runs a read. It must not wait for anything but memory and disk.
func (s *Store) View(read func(Reader) error) error {
	return s.db.View(func(tx *bolt.Tx) error { return read(Reader{tx}) })
}

// Get reads a record, nil when it is not there. A deleted record is there until
// it is purged.
func (r Reader) Get(name catalog.Name) (proto.Message, error) {
	v := r.tx.Bucket(bucketRecords).Get(recordKey(name))
	if v == nil {
		return nil, nil
	}
	return decodeRecord(name, v)
}

// Has tells whether a record is there, deleted or not.
func (r Reader) Has(name catalog.Name) bool {
	return r.tx.Bucket(bucketRecords).Get(recordKey(name)) != nil
}

// Raw returns a copy of the serialised record, nil when it is not there.
func (r Reader) Raw(name catalog.Name) ([]byte, error) {
	v := r.tx.Bucket(bucketRecords).Get(recordKey(name))
	if v == nil {
		return nil, nil
	}
	stored, err := decodeStored(v)
	return bytes.Clone(stored.body), err
}

func decodeRecord(name catalog.Name, v []byte) (proto.Message, error) {
	stored, err := decodeStored(v)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	record := name.Kind.New()
	if err := proto.Unmarshal(stored.body, record); err != nil {
		return nil, fmt.Errorf("%s: %w: %w", name, errDamaged, err)
	}
	return record, nil
}

// Head is the position of the feed that the read sees.
func (r Reader) Head() (Position, error) { return readPlace(r.tx, metaHead) }

// A Query is a list of records of one kind, by name.
type Query struct {
	// Kind of the records.
	Kind *catalog.Kind
	// Within are ids from the comune inwards: at least the comune's.
	Within []string
	// After is the key that an earlier page ended with; empty for the first page.
	After []byte
	// Limit is the number of records of a page, at least 1.
	Limit int
	// ShowDeleted lists deleted records too.
	ShowDeleted bool
	// RefersTo lists only records that point to this one; empty for all.
	RefersTo string
	// DueBefore lists only living records that need attention before this time; in
	// the order of that time unless RefersTo is set. Zero for all.
	DueBefore time.Time
	// Sight is what who asks may see; everything else is left out.
	Sight catalog.Sight
}

// maxScan bounds what one page looks at, so that a read never lasts: a page may
// be short, or empty, and still have a next one.
const maxScan = 5000

// maxPageBytes is how many bytes of records make a page full: with one more
// record it still fits into a message.
const maxPageBytes = 1 << 20

// List reads a page. The key is nil after the last page.
func (r Reader) List(q Query) (records []proto.Message, after []byte, err error) {
	scanned, size := 0, 0
	for at, err := range r.candidates(q) {
		if err != nil {
			return nil, nil, err
		}
		if len(records) == q.Limit || scanned == maxScan || size >= maxPageBytes {
			return records, after, nil
		}
		scanned++
		after = bytes.Clone(at.key)
		if !q.about(at.name) {
			continue
		}
		record, err := r.Get(at.name)
		if err != nil {
			return nil, nil, err
		}
		if record == nil || !q.wants(record) {
			continue
		}
		if record = q.Sight.Of(record); record != nil {
			records = append(records, record)
			size += proto.Size(record)
		}
	}
	return records, nil, nil
}

// about tells whether a record can be in the list, by its name.
func (q Query) about(name catalog.Name) bool {
	return name.Kind == q.Kind && bytes.HasPrefix(recordKey(name), recordPrefix(q.Kind, q.Within))
}

// wants tells whether a record is in the list, by what is in it.
func (q Query) wants(record proto.Message) bool {
	deleted := catalog.RecordOf(record).Deleted()
	if q.DueBefore.IsZero() {
		return q.ShowDeleted || !deleted
	}
	due, ok := catalog.DueTime(record)
	return ok && !deleted && due.Before(q.DueBefore)
}

// A candidate is a record that a query may list, and its key in the index that
// found it.
type candidate struct {
	key  []byte
	name catalog.Name
}

// candidates walks the index that fits the query best, from the key after
// q.After on.
func (r Reader) candidates(q Query) iter.Seq2[candidate, error] {
	bucket, from, nameOf := r.tx.Bucket(bucketRecords), recordPrefix(q.Kind, q.Within), decodeRecordKey
	until := func(key []byte) bool { return !bytes.HasPrefix(key, from) }
	switch {
	case q.RefersTo != "":
		bucket, from = r.tx.Bucket(bucketReferrers), append([]byte(q.RefersTo), separator)
		nameOf = func(key []byte) (catalog.Name, error) {
			_, source, err := decodePairKey(key)
			if err != nil {
				return catalog.Name{}, err
			}
			return catalog.ParseName(source)
		}
	case !q.DueBefore.IsZero():
		bucket, from = r.tx.Bucket(bucketDue), nil
		nameOf = func(key []byte) (catalog.Name, error) {
			_, name, err := decodeTimeKey(key)
			if err != nil {
				return catalog.Name{}, err
			}
			return catalog.ParseName(name)
		}
		end := timeKey(q.DueBefore.Add(time.Second-1), "")
		until = func(key []byte) bool { return bytes.Compare(key, end) >= 0 }
	}
	return func(yield func(candidate, error) bool) {
		c := bucket.Cursor()
		key, _ := c.Seek(from)
		if q.After != nil {
			if key, _ = c.Seek(q.After); bytes.Equal(key, q.After) {
				key, _ = c.Next()
			}
		}
		for ; key != nil && !until(key); key, _ = c.Next() {
			name, err := nameOf(key)
			if !yield(candidate{key, name}, err) {
				return
			}
		}
	}
}

// A DueRecord is a record that needs attention at a time.
type DueRecord struct {
	// Key after which a walk goes on.
	Key []byte
	// Name of the record.
	Name catalog.Name
	// Time at which it needs attention.
	Time time.Time
}

// Due walks through living records of all kinds that need attention before a
// time, in its order, after a key.
func (r Reader) Due(before time.Time, after []byte) iter.Seq2[DueRecord, error] {
	return func(yield func(DueRecord, error) bool) {
		c := r.tx.Bucket(bucketDue).Cursor()
		k, _ := c.First()
		if after != nil {
			if k, _ = c.Seek(after); bytes.Equal(k, after) {
				k, _ = c.Next()
			}
		}
		for ; k != nil; k, _ = c.Next() {
			due, text, err := decodeTimeKey(k)
			if err == nil && !due.Before(before) {
				return
			}
			found := DueRecord{Key: bytes.Clone(k), Time: due}
			if err == nil {
				found.Name, err = catalog.ParseName(text)
			}
			if !yield(found, err) {
				return
			}
		}
	}
}

// Referrers lists living records that point to a record, at most limit.
func (r Reader) Referrers(target string, limit int) ([]string, error) {
	prefix := append([]byte(target), separator)
	var found []string
	c := r.tx.Bucket(bucketReferrers).Cursor()
	for k, _ := c.Seek(prefix); k != nil && bytes.HasPrefix(k, prefix) && len(found) < limit; k, _ = c.Next() {
		_, source, err := decodePairKey(k)
		if err != nil {
			return nil, err
		}
		name, err := catalog.ParseName(source)
		if err != nil {
			return nil, err
		}
		record, err := r.Get(name)
		if err != nil {
			return nil, err
		}
		if record != nil && !catalog.RecordOf(record).Deleted() {
			found = append(found, source)
		}
	}
	return found, nil
}

// Inside lists living records inside a record, at most limit.
func (r Reader) Inside(parent catalog.Name, limit int) ([]string, error) {
	var found []string
	for _, kind := range catalog.Kinds() {
		if kind.Parent != parent.Kind {
			continue
		}
		records, _, err := r.List(Query{Kind: kind, Within: parent.IDs, Limit: limit, Sight: catalog.Sight{Reads: registryv1.Visibility_LOCAL}})
		if err != nil {
			return nil, err
		}
		for _, record := range records {
			found = append(found, catalog.RecordOf(record).Name())
		}
	}
	return found, nil
}

// Walk calls f for each record in key order, deleted ones too, starting after a
// key; at most limit. It returns the key of the last one, nil when the walk
// reached the end.
func (r Reader) Walk(after []byte, limit int, f func(name catalog.Name, record proto.Message, hops []string) error) ([]byte, error) {
	c := r.tx.Bucket(bucketRecords).Cursor()
	k, v := c.First()
	if after != nil {
		if k, v = c.Seek(after); bytes.Equal(k, after) {
			k, v = c.Next()
		}
	}
	var last []byte
	for n := 0; k != nil; k, v = c.Next() {
		if n == limit {
			return last, nil
		}
		name, err := decodeRecordKey(k)
		if err != nil {
			return nil, err
		}
		record, err := decodeRecord(name, v)
		if err != nil {
			return nil, err
		}
		stored, err := decodeStored(v)
		if err != nil {
			return nil, err
		}
		if err := f(name, record, stored.hops); err != nil {
			return nil, err
		}
		last = bytes.Clone(k)
		n++
	}
	return nil, nil
}

// Counts tells how many records there are, by collection, deleted ones left
// out, of one comune or, with an empty slug, of all.
func (r Reader) Counts(comune string) (map[string]int64, error) {
	counts := map[string]int64{}
	_, err := r.Walk(nil, -1, func(name catalog.Name, record proto.Message, _ []string) error {
		if !catalog.RecordOf(record).Deleted() && (comune == "" || name.Comune() == comune) {
			counts[name.Kind.Collection]++
		}
		return nil
	})
	return counts, err
}
