package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"cidsistem.example/proto/catalog"
)

// errDamaged marks bytes that no version of this program wrote.
var errDamaged = errors.New("damaged entry in the store")

// separator stands between the parts of a key; no id or name contains it.
const separator = 0

func encodeNumber(n int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(n)) }

func decodeNumber(b []byte) (int64, error) {
	if len(b) != 8 {
		return 0, fmt.Errorf("%w: a number of %d bytes", errDamaged, len(b))
	}
	n := binary.BigEndian.Uint64(b)
	if n > math.MaxInt64 {
		return 0, fmt.Errorf("%w: a number too large", errDamaged)
	}
	return int64(n), nil
}

// recordKey is the key of a record: names of a kind and comune sort together.
func recordKey(name catalog.Name) []byte {
	return recordPrefix(name.Kind, name.IDs)
}

// recordPrefix is the beginning that the keys of all records of a kind inside
// some ids share.
func recordPrefix(kind *catalog.Kind, ids []string) []byte {
	key := []byte(kind.Collection)
	for _, id := range ids {
		key = append(key, separator)
		key = append(key, id...)
	}
	if len(ids) < kind.Depth() {
		key = append(key, separator)
	}
	return key
}

// decodeRecordKey finds the name of the record of a key.
func decodeRecordKey(key []byte) (catalog.Name, error) {
	parts := strings.Split(string(key), "\x00")
	kind := catalog.ByCollection(parts[0])
	if kind == nil || len(parts) != kind.Depth()+1 {
		return catalog.Name{}, fmt.Errorf("%w: record key %q", errDamaged, key)
	}
	for _, id := range parts[1:] {
		if !catalog.ValidID(id) {
			return catalog.Name{}, fmt.Errorf("%w: record key %q", errDamaged, key)
		}
	}
	return catalog.Name{Kind: kind, IDs: parts[1:]}, nil
}

// recordFormat is the first byte of a record's value.
const recordFormat = 1

// A storedRecord is what stands under a record's key.
type storedRecord struct {
	// hops are the servers that passed the record on; none for an own record.
	hops []string
	// body is the serialised record, the bytes that the owner made.
	body []byte
}

func encodeStored(r storedRecord) []byte {
	out := make([]byte, 0, 2+len(r.body)+16*len(r.hops))
	out = append(out, recordFormat, byte(len(r.hops)))
	for _, hop := range r.hops {
		out = append(out, byte(len(hop)))
		out = append(out, hop...)
	}
	return append(out, r.body...)
}

// decodeStored does not copy: the result is good as long as b is.
func decodeStored(b []byte) (storedRecord, error) {
	if len(b) < 2 || b[0] != recordFormat {
		return storedRecord{}, fmt.Errorf("%w: a record's value", errDamaged)
	}
	var r storedRecord
	rest := b[2:]
	for range b[1] {
		if len(rest) < 1 || len(rest) < 1+int(rest[0]) {
			return storedRecord{}, fmt.Errorf("%w: the hops of a record", errDamaged)
		}
		// An int: 1+255 does not fit in the byte that holds the length.
		end := 1 + int(rest[0])
		r.hops = append(r.hops, string(rest[1:end]))
		rest = rest[end:]
	}
	r.body = rest
	return r, nil
}

// pairKey joins two names; the first sorts first.
func pairKey(first, second string) []byte {
	key := make([]byte, 0, len(first)+1+len(second))
	key = append(key, first...)
	key = append(key, separator)
	return append(key, second...)
}

func decodePairKey(key []byte) (first, second string, err error) {
	a, b, found := bytes.Cut(key, []byte{separator})
	if !found || len(a) == 0 || len(b) == 0 {
		return "", "", fmt.Errorf("%w: pair key %q", errDamaged, key)
	}
	return string(a), string(b), nil
}

// timeKey sorts by time, then by what follows. Times before 1970 sort as 1970.
func timeKey(t time.Time, rest string) []byte {
	return append(encodeNumber(max(t.Unix(), 0)), rest...)
}

func decodeTimeKey(key []byte) (t time.Time, rest string, err error) {
	if len(key) < 9 {
		return time.Time{}, "", fmt.Errorf("%w: time key of %d bytes", errDamaged, len(key))
	}
	seconds, err := decodeNumber(key[:8])
	if err != nil {
		return time.Time{}, "", err
	}
	return time.Unix(seconds, 0).UTC(), string(key[8:]), nil
}

// deterministic serialises so that the same message gives the same bytes within
// one version of the program. The bytes are stored and hashed, never made again.
var deterministic = proto.MarshalOptions{Deterministic: true}
