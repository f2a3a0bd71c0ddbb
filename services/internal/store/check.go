package store

import (
	"context"
	"crypto/sha256"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"cidsistem.example/proto/catalog"
)

// A Report is what Check found.
type Report struct {
	// Problems, each in a sentence; at most 100.
	Problems []string
	// Records and Revisions that were looked at.
	Records, Revisions int64
}

func (r *Report) problem(format string, args ...any) {
	if len(r.Problems) < 100 {
		r.Problems = append(r.Problems, fmt.Sprintf(format, args...))
	}
}

// Check looks at everything: the pages of the file, that the indices are those
// of the records, that each record is as the last change of its history left it, that nothing points to a record that is not there, that the
// feed has no gap and its digests chain from floor to head, and that the audit
// log does from its beginning.
func (s *Store) Check(ctx context.Context) (Report, error) {
	var report Report
	pages, err := s.db.CheckPages(ctx)
	if err != nil {
		return report, err
	}
	report.Problems = pages
	err = s.db.View(func(tx *bolt.Tx) error {
		if err := s.checkRecords(ctx, tx, &report); err != nil {
			return err
		}
		if err := checkFeed(ctx, tx, &report); err != nil {
			return err
		}
		if err := checkHistory(tx, &report); err != nil {
			return err
		}
		problems, _, err := Reader{tx}.CheckAudit(ctx)
		for _, problem := range problems {
			report.problem("%s", problem)
		}
		return err
	})
	return report, err
}

func (s *Store) checkRecords(ctx context.Context, tx *bolt.Tx, report *Report) error {
	want := map[indexEntry]bool{}
	reader := Reader{tx}
	err := tx.Bucket(bucketRecords).ForEach(func(k, v []byte) error {
		report.Records++
		name, err := decodeRecordKey(k)
		if err != nil {
			report.problem("a record cannot be read: %v", err)
			return nil
		}
		record, err := decodeRecord(name, v)
		if err != nil {
			report.problem("a record cannot be read: %v", err)
			return nil
		}
		r := catalog.RecordOf(record)
		if r.Name() != name.String() {
			report.problem("record %s carries the name %s", name, r.Name())
		}
		for entry := range indexEntries(record) {
			want[entry] = true
		}
		if !r.Deleted() && name.Comune() == s.comune {
			for _, ref := range catalog.References(record) {
				if target, err := catalog.ParseName(ref.Target); err != nil || !reader.Has(target) {
					report.problem("record %s, %s: %s is not there", name, ref.Field, ref.Target)
				}
			}
		}
		return ctx.Err()
	})
	if err != nil {
		return err
	}
	for _, bucket := range [][]byte{bucketReferrers, bucketDue, bucketPurges} {
		err := tx.Bucket(bucket).ForEach(func(k, _ []byte) error {
			entry := indexEntry{string(bucket), string(k)}
			if !want[entry] {
				report.problem("index %s has an entry %q that no record explains", bucket, k)
			}
			delete(want, entry)
			return nil
		})
		if err != nil {
			return err
		}
	}
	for entry := range want {
		report.problem("index %s lacks the entry %q", entry.bucket, entry.key)
	}
	return nil
}

func checkFeed(ctx context.Context, tx *bolt.Tx, report *Report) error {
	head, err := readPlace(tx, metaHead)
	if err != nil {
		return err
	}
	at, err := readPlace(tx, metaFloor)
	if err != nil {
		return err
	}
	err = tx.Bucket(bucketRevisions).ForEach(func(k, v []byte) error {
		report.Revisions++
		revision, err := decodeNumber(k)
		if err != nil || len(v) < sha256.Size {
			report.problem("the feed has a damaged entry %x", k)
			return nil
		}
		if revision != at.Revision+1 {
			report.problem("the feed has %d after %d", revision, at.Revision)
		}
		at.Revision = revision - 1
		next := at.Next(v[sha256.Size:])
		if string(next.Digest) != string(v[:sha256.Size]) {
			report.problem("the digest of revision %d does not fit", revision)
		}
		at = Position{Epoch: at.Epoch, Revision: revision, Digest: append([]byte{}, v[:sha256.Size]...)}
		return ctx.Err()
	})
	if err != nil {
		return err
	}
	if !at.Equal(head) {
		report.problem("the feed ends at %s, its head says %s", at, head)
	}
	return nil
}
