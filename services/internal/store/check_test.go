package store_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/proto/gen/registryv1"
)

func number(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

func TestCheckFindsDamage(t *testing.T) {
	c := newClock()
	const one, aias = "comuni/marsala/services/one", "comuni/marsala/organizations/aias"
	due := c.Now().Add(time.Hour)
	purge := c.Now().Add(2 * time.Hour)
	bucketOf := func(tx *bolt.Tx, name string) *bolt.Bucket { return tx.Bucket([]byte(name)) }
	flip := func(tx *bolt.Tx, bucket string, key []byte, at int) error {
		v := append([]byte{}, bucketOf(tx, bucket).Get(key)...)
		v[(at+len(v))%len(v)] ^= 1
		return bucketOf(tx, bucket).Put(key, v)
	}
	record := []byte("services\x00marsala\x00one")
	for name, test := range map[string]struct {
		damage func(tx *bolt.Tx) error
		says   string
	}{
		"none":                 {func(*bolt.Tx) error { return nil }, ""},
		"referrer is missing":  {func(tx *bolt.Tx) error { return bucketOf(tx, "referrers").Delete([]byte(aias + "\x00" + one)) }, "index referrers lacks"},
		"referrer too many":    {func(tx *bolt.Tx) error { return bucketOf(tx, "referrers").Put([]byte(one+"\x00"+aias), nil) }, "index referrers has an entry"},
		"due entry is missing": {func(tx *bolt.Tx) error { return bucketOf(tx, "due").Delete(append(number(uint64(due.Unix())), one...)) }, "index due lacks"},
		"due entry too many":   {func(tx *bolt.Tx) error { return bucketOf(tx, "due").Put(append(number(1), one...), nil) }, "index due has an entry"},
		"purge entry missing": {func(tx *bolt.Tx) error {
			return bucketOf(tx, "purges").Delete(append(number(uint64(purge.Unix())), "comuni/marsala/services/gone"...))
		}, "index purges lacks"},
		"purge entry too many": {func(tx *bolt.Tx) error { return bucketOf(tx, "purges").Put(append(number(1), one...), nil) }, "index purges has an entry"},
		"digest flipped":       {func(tx *bolt.Tx) error { return flip(tx, "revisions", number(2), 3) }, "the digest of revision 2 does not fit"},
		"body flipped":         {func(tx *bolt.Tx) error { return flip(tx, "revisions", number(2), -1) }, "the digest of revision 2 does not fit"},
		"revision cut":         {func(tx *bolt.Tx) error { return bucketOf(tx, "revisions").Put(number(2), []byte("short")) }, "the feed has a damaged entry"},
		"revision is missing":  {func(tx *bolt.Tx) error { return bucketOf(tx, "revisions").Delete(number(2)) }, "the feed has 3 after 1"},
		"first is missing":     {func(tx *bolt.Tx) error { return bucketOf(tx, "revisions").Delete(number(1)) }, "the feed has 2 after 0"},
		"last is missing":      {func(tx *bolt.Tx) error { return bucketOf(tx, "revisions").Delete(number(4)) }, "the feed ends at"},
		"head is another":      {func(tx *bolt.Tx) error { return flip(tx, "meta", []byte("head"), -1) }, "the feed ends at"},
		"floor is another":     {func(tx *bolt.Tx) error { return flip(tx, "meta", []byte("floor"), 7) }, "the feed has 1 after 1"},
		"target is missing": {func(tx *bolt.Tx) error {
			return bucketOf(tx, "records").Delete([]byte("organizations\x00marsala\x00aias"))
		}, "comuni/marsala/organizations/aias is not there"},
		"record cannot be read": {func(tx *bolt.Tx) error { return bucketOf(tx, "records").Put(record, []byte("\x01\x00garbage")) }, "a record cannot be read: comuni/marsala/services/one"},
		"record of no format":   {func(tx *bolt.Tx) error { return flip(tx, "records", record, 0) }, "a record cannot be read: comuni/marsala/services/one"},
		"key of no kind": {func(tx *bolt.Tx) error {
			return bucketOf(tx, "records").Put([]byte("nothing\x00marsala\x00one"), []byte{1, 0})
		}, "a record cannot be read"},
		"under another name": {func(tx *bolt.Tx) error {
			v := append([]byte{}, bucketOf(tx, "records").Get(record)...)
			return bucketOf(tx, "records").Put([]byte("services\x00marsala\x00two"), v)
		}, "record comuni/marsala/services/two carries the name comuni/marsala/services/one"},
	} {
		t.Run(name, func(t *testing.T) {
			o := options(filepath.Join(t.TempDir(), "registry.db"), "marsala", "marsala", c)
			s := open(t, o)
			write(t, s, organization("aias"))
			write(t, s, service("one", provided("aias"), func(s *registryv1.Service) {
				s.Provenance = &registryv1.Provenance{VerifyByTime: timestamppb.New(due)}
			}))
			write(t, s, service("gone", provided("never-there"), func(s *registryv1.Service) {
				s.DeleteTime, s.PurgeTime = timestamppb.New(c.Now()), timestamppb.New(purge)
			}))
			write(t, s, service("last"))
			must(t, s.Close())
			inspect(t, o.Path, test.damage)

			report, err := open(t, o).Check(t.Context())
			must(t, err)
			problems := strings.Join(report.Problems, "\n")
			if (test.says == "") != (problems == "") || !strings.Contains(problems, test.says) {
				t.Errorf("check says:\n%s\nit should say: %s", problems, test.says)
			}
		})
	}
}

func TestCheckNamesABoundedNumberOfProblems(t *testing.T) {
	c := newClock()
	o := options(filepath.Join(t.TempDir(), "registry.db"), "marsala", "marsala", c)
	must(t, open(t, o).Close())
	inspect(t, o.Path, func(tx *bolt.Tx) error {
		var err error
		for i := range 1000 {
			err = errors.Join(err, tx.Bucket([]byte("due")).Put(append(number(1), fmt.Sprint(i)...), nil))
		}
		return err
	})
	report, err := open(t, o).Check(t.Context())
	if len(report.Problems) != 100 || err != nil {
		t.Errorf("%d problems, %v", len(report.Problems), err)
	}
}
