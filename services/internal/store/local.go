package store

import (
	"bytes"
	"fmt"
	"iter"
	"strings"

	bolt "go.etcd.io/bbolt"
)

// A LocalKey names an entry of the data that never leave their server: accounts,
// sessions, requests of the public, keys. The store does not know what they
// mean; whoever keeps them seals the values, see package vault. Area and ID say
// nothing of a person, have no byte 0 and are not empty.
type LocalKey struct{ Area, ID string }

// A LocalPut replaces a local entry, or removes it when the value is nil.
type LocalPut struct {
	Key   LocalKey
	Value []byte
}

func (k LocalKey) encode() []byte { return pairKey(k.Area, k.ID) }

func (k LocalKey) valid() error {
	if k.Area == "" || k.ID == "" || len(k.Area)+len(k.ID) > maxTarget ||
		strings.IndexByte(k.Area, separator) >= 0 || strings.IndexByte(k.ID, separator) >= 0 {
		return fmt.Errorf("%q in %q cannot be the key of a local entry", k.ID, k.Area)
	}
	return nil
}

// Local returns a copy of the value of a local entry, nil when there is none.
func (r Reader) Local(key LocalKey) []byte {
	return bytes.Clone(r.tx.Bucket(bucketLocal).Get(key.encode()))
}

// LocalEntries walks through an area in the order of the ids, after one of them.
// Keys and values are copies.
func (r Reader) LocalEntries(area, after string) iter.Seq2[LocalKey, []byte] {
	return func(yield func(LocalKey, []byte) bool) {
		prefix := pairKey(area, "")
		c := r.tx.Bucket(bucketLocal).Cursor()
		k, v := c.Seek(pairKey(area, after))
		if after != "" && bytes.Equal(k, pairKey(area, after)) {
			k, v = c.Next()
		}
		for ; k != nil && bytes.HasPrefix(k, prefix); k, v = c.Next() {
			if !yield(LocalKey{Area: area, ID: string(k[len(prefix):])}, bytes.Clone(v)) {
				return
			}
		}
	}
}

// LocalEntriesDown walks through an area against the order of the ids, before
// one of them, or from the last one when it is empty. Keys and values are copies.
func (r Reader) LocalEntriesDown(area, before string) iter.Seq2[LocalKey, []byte] {
	return func(yield func(LocalKey, []byte) bool) {
		prefix := pairKey(area, "")
		end := pairKey(area, before)
		if before == "" {
			end[len(end)-1]++ // after every key of the area
		}
		c := r.tx.Bucket(bucketLocal).Cursor()
		step := c.Prev
		if k, _ := c.Seek(end); k == nil {
			step = c.Last
		}
		for k, v := step(); k != nil && bytes.HasPrefix(k, prefix); k, v = c.Prev() {
			if !yield(LocalKey{Area: area, ID: string(k[len(prefix):])}, bytes.Clone(v)) {
				return
			}
		}
	}
}

// LocalKeys walks through the keys of an area in the order of the ids, and
// touches no values.
func (r Reader) LocalKeys(area string) iter.Seq[LocalKey] {
	return func(yield func(LocalKey) bool) {
		prefix := pairKey(area, "")
		c := r.tx.Bucket(bucketLocal).Cursor()
		for k, _ := c.Seek(prefix); k != nil && bytes.HasPrefix(k, prefix); k, _ = c.Next() {
			if !yield(LocalKey{Area: area, ID: string(k[len(prefix):])}) {
				return
			}
		}
	}
}

// LocalBytes is how many bytes the values of an area have together.
func (r Reader) LocalBytes(area string) (total int64) {
	prefix := pairKey(area, "")
	c := r.tx.Bucket(bucketLocal).Cursor()
	for k, v := c.Seek(prefix); k != nil && bytes.HasPrefix(k, prefix); k, v = c.Next() {
		total += int64(len(v))
	}
	return total
}

// AllLocalEntries walks through the entries of all areas, after one of them.
func (r Reader) AllLocalEntries(after LocalKey) iter.Seq2[LocalKey, []byte] {
	return func(yield func(LocalKey, []byte) bool) {
		c := r.tx.Bucket(bucketLocal).Cursor()
		k, v := c.Seek(after.encode())
		if bytes.Equal(k, after.encode()) {
			k, v = c.Next()
		}
		for ; k != nil; k, v = c.Next() {
			area, id, err := decodePairKey(k)
			if err != nil {
				continue // not made by this program
			}
			if !yield(LocalKey{Area: area, ID: id}, bytes.Clone(v)) {
				return
			}
		}
	}
}

func putLocal(tx *bolt.Tx, puts []LocalPut) error {
	bucket := tx.Bucket(bucketLocal)
	for _, put := range puts {
		if err := put.Key.valid(); err != nil {
			return err
		}
		change := bucket.Delete
		if put.Value != nil {
			change = func(key []byte) error { return bucket.Put(key, put.Value) }
		}
		if err := change(put.Key.encode()); err != nil {
			return fmt.Errorf("local entry of %s: %w", put.Key.Area, err)
		}
	}
	return nil
}
