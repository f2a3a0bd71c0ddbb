package store

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	bolt "go.etcd.io/bbolt"
	"google.golang.org/protobuf/proto"

	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/registryv1"
)

// An indexEntry is a key in one of the index buckets; its value is empty.
type indexEntry struct {
	bucket string
	key    string
}

// indexEntries computes the entries of a record; none for nil. Nobody else
// decides what is indexed: put, check and tests all ask here.
func indexEntries(record proto.Message) map[indexEntry]bool {
	entries := map[indexEntry]bool{}
	if record == nil {
		return entries
	}
	r := catalog.RecordOf(record)
	for _, ref := range catalog.References(record) {
		if indexable(ref.Target) {
			entries[indexEntry{string(bucketReferrers), string(pairKey(ref.Target, r.Name()))}] = true
		}
	}
	if document, ok := record.(*registryv1.Document); ok {
		for _, file := range document.GetFiles() {
			target := FileName(r.Name(), file.GetSha256())
			if indexable(target) {
				entries[indexEntry{string(bucketReferrers), string(pairKey(target, r.Name()))}] = true
			}
		}
	}
	if due, ok := catalog.DueTime(record); ok && !r.Deleted() {
		entries[indexEntry{string(bucketDue), string(timeKey(due, r.Name()))}] = true
	}
	if purge := r.PurgeTime(); !purge.IsZero() {
		entries[indexEntry{string(bucketPurges), string(timeKey(purge, r.Name()))}] = true
	}
	return entries
}

// FileName is the name of a file of a document, by the document's name.
func FileName(document, sha256 string) string {
	comune, _, _ := strings.Cut(strings.TrimPrefix(document, "comuni/"), "/")
	return "comuni/" + comune + "/files/" + sha256
}

// maxTarget is longer than any name.
const maxTarget = 512

// indexable tells whether a name that a record points to can be part of a key.
// Copies may hold anything; what is no name is found by nobody.
func indexable(target string) bool {
	return len(target) <= maxTarget && strings.IndexByte(target, separator) < 0
}

// indexChanges are entries to be made, true, or removed, false.
type indexChanges map[indexEntry]bool

// apply makes the changes in the order of their keys: one transaction that puts
// many keys in any other order moves all that it has put before, over and over.
func (c indexChanges) apply(tx *bolt.Tx) error {
	for _, e := range slices.SortedFunc(maps.Keys(c), func(a, b indexEntry) int {
		return cmp.Or(strings.Compare(a.bucket, b.bucket), strings.Compare(a.key, b.key))
	}) {
		bucket, change := tx.Bucket([]byte(e.bucket)), error(nil)
		if c[e] {
			change = bucket.Put([]byte(e.key), nil)
		} else {
			change = bucket.Delete([]byte(e.key))
		}
		if change != nil {
			return fmt.Errorf("index %s: %w", e.bucket, change)
		}
	}
	return nil
}

// put replaces a record, or removes it when stored is nil, and changes the
// indices by the difference.
func put(tx *bolt.Tx, name catalog.Name, record proto.Message, stored *storedRecord) error {
	indices := indexChanges{}
	if err := putRecord(tx, name, record, stored, indices); err != nil {
		return err
	}
	return indices.apply(tx)
}

// putRecord is put for many records in one transaction: it only notes what
// changes in the indices. Nothing else writes records.
func putRecord(tx *bolt.Tx, name catalog.Name, record proto.Message, stored *storedRecord, indices indexChanges) error {
	records := tx.Bucket(bucketRecords)
	key := recordKey(name)
	var before proto.Message
	if v := records.Get(key); v != nil {
		var err error
		if before, err = decodeRecord(name, v); err != nil {
			return err
		}
	}
	was, is := indexEntries(before), indexEntries(record)
	for e := range was {
		if !is[e] {
			indices[e] = false
		}
	}
	for e := range is {
		if !was[e] {
			indices[e] = true
		}
	}
	if stored == nil {
		return records.Delete(key)
	}
	return records.Put(key, encodeStored(*stored))
}
