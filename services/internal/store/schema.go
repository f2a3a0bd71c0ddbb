// Package store keeps records, their indices and the feed in one bbolt file,
// for a comune's node and for an ufficio comune alike. It is the only place
// that knows the layout:
//
//	meta              schema, server, epoch, kinds, head, floor, audit
//	records           collection 00 comune 00 id (00 id)  ->  hops, record
//	referrers         target name 00 source name          ->  ""
//	due               unix seconds (8), name              ->  ""
//	purges            unix seconds (8), name              ->  ""
//	history           name 00 revision (8)                ->  number (8), change, record before it
//	revisions         revision (8)                        ->  digest (32), body
//	requests          request id (16)                     ->  answer
//	requests_by_time  unix seconds (8), request id (16)   ->  ""
//	upstreams         server id                           ->  state of the copy
//	origins           comune                              ->  server id
//	staging           server id (bucket): as records
//	local             area 00 id                          ->  sealed value
//	audit             sequence (8)                        ->  hash (32), entry
//	audit_heads       sequence (8)                        ->  signed head
//
// A write changes records, indices, feed and answers in one transaction.
// Integers are big endian; ids have no byte 0; values begin with a format byte.
// A change of the layout is a new migration, with a test that opens the old one
// from stored bytes.
package store

import (
	"bytes"
	"errors"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"cidsistem.example/proto/catalog"
)

var (
	bucketMeta           = []byte("meta")
	bucketRecords        = []byte("records")
	bucketReferrers      = []byte("referrers")
	bucketDue            = []byte("due")
	bucketPurges         = []byte("purges")
	bucketHistory        = []byte("history")
	bucketRevisions      = []byte("revisions")
	bucketRequests       = []byte("requests")
	bucketRequestsByTime = []byte("requests_by_time")
	bucketUpstreams      = []byte("upstreams")
	bucketOrigins        = []byte("origins")
	bucketStaging        = []byte("staging")
	bucketLocal          = []byte("local")
	bucketAudit          = []byte("audit")
	bucketAuditHeads     = []byte("audit_heads")

	metaSchema = []byte("schema")
	metaServer = []byte("server")
	metaEpoch  = []byte("epoch")
	metaKinds  = []byte("kinds")
	metaHead   = []byte("head")
	metaFloor  = []byte("floor")
	metaAudit  = []byte("audit")
)

// Buckets lists the top-level buckets in the order of the drawing above.
func Buckets() []string {
	var names []string
	for _, b := range [][]byte{
		bucketMeta, bucketRecords, bucketReferrers, bucketDue, bucketPurges, bucketHistory, bucketRevisions,
		bucketRequests, bucketRequestsByTime, bucketUpstreams, bucketOrigins, bucketStaging,
		bucketLocal, bucketAudit, bucketAuditHeads,
	} {
		names = append(names, string(b))
	}
	return names
}

// migrations in order; the number of a migration is its place, from 1.
var migrations = []struct {
	name string
	run  func(tx *bolt.Tx) error
}{
	{"first layout", func(tx *bolt.Tx) error {
		return makeBuckets(tx,
			bucketMeta, bucketRecords, bucketReferrers, bucketDue, bucketPurges, bucketRevisions,
			bucketRequests, bucketRequestsByTime, bucketUpstreams, bucketOrigins, bucketStaging,
		)
	}},
	{"local data and audit log", func(tx *bolt.Tx) error {
		return errors.Join(
			makeBuckets(tx, bucketLocal, bucketAudit, bucketAuditHeads),
			tx.Bucket(bucketMeta).Put(metaAudit, noAudit.encode()),
			indexFiles(tx),
		)
	}},
	{"history of records", func(tx *bolt.Tx) error { return makeBuckets(tx, bucketHistory) }},
}

// indexFiles makes the entries of documents by their files, which the first
// layout did not have.
func indexFiles(tx *bolt.Tx) error {
	indices := indexChanges{}
	prefix := recordPrefix(catalog.ByCollection("documents"), nil)
	c := tx.Bucket(bucketRecords).Cursor()
	for k, v := c.Seek(prefix); k != nil && bytes.HasPrefix(k, prefix); k, v = c.Next() {
		name, err := decodeRecordKey(k)
		if err != nil {
			return err
		}
		record, err := decodeRecord(name, v)
		if err != nil {
			return err
		}
		for entry := range indexEntries(record) {
			indices[entry] = true
		}
	}
	return indices.apply(tx)
}

func makeBuckets(tx *bolt.Tx, names ...[]byte) error {
	for _, name := range names {
		if _, err := tx.CreateBucketIfNotExists(name); err != nil {
			return err
		}
	}
	return nil
}

// SchemaVersion is the layout that this program writes.
func SchemaVersion() int { return len(migrations) }

// ErrNewerSchema says that a newer program wrote the file.
var ErrNewerSchema = errors.New("the data file was written by a newer version of the program")

// schemaOf tells the layout of a file, 0 for an empty one.
func schemaOf(tx *bolt.Tx) (int, error) {
	meta := tx.Bucket(bucketMeta)
	if meta == nil {
		return 0, nil
	}
	v := meta.Get(metaSchema)
	if v == nil {
		return 0, nil
	}
	n, err := decodeNumber(v)
	if err != nil {
		return 0, fmt.Errorf("schema version: %w", err)
	}
	if int(n) > len(migrations) {
		return 0, fmt.Errorf("%w: layout %d, this program knows %d", ErrNewerSchema, n, len(migrations))
	}
	return int(n), nil
}

// migrate brings a file from a layout to the newest, inside one transaction.
func migrate(tx *bolt.Tx, from int) error {
	for i := from; i < len(migrations); i++ {
		if err := migrations[i].run(tx); err != nil {
			return fmt.Errorf("migration %d, %s: %w", i+1, migrations[i].name, err)
		}
	}
	return tx.Bucket(bucketMeta).Put(metaSchema, encodeNumber(int64(len(migrations))))
}
