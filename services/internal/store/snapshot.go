package store

import (
	"slices"

	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/feedv1"
	"cidsistem.example/proto/gen/registryv1"

	bolt "go.etcd.io/bbolt"
	"google.golang.org/protobuf/proto"
)

// snapshotPage is the number of records that one read of a snapshot looks at.
const snapshotPage = 256

// A Page is a part of a snapshot.
type Page struct {
	// Records as readers of the feed may see them.
	Records []*feedv1.Change
	// LastKey is the key of the last of Records; a reader whose snapshot broke goes
	// on after it. Empty when there are none.
	LastKey []byte
	// Next is where the next page begins, nil after the last one. It may name a
	// record that does not travel, and is not for readers of the feed.
	Next []byte
	// At is where the feed stood at the moment of the read.
	At Position
}

// SnapshotPage reads the records after a key.
func (s *Store) SnapshotPage(after []byte) (Page, error) {
	var page Page
	err := s.db.View(func(tx *bolt.Tx) (err error) {
		if page.At, err = readPlace(tx, metaHead); err != nil {
			return err
		}
		size, full := 0, false
		last, err := (Reader{tx}).Walk(after, snapshotPage, func(name catalog.Name, record proto.Message, hops []string) error {
			if full = size >= maxPageBytes; full {
				return nil
			}
			page.Next = recordKey(name)
			seen := catalog.Narrow(record, registryv1.Visibility_NETWORK)
			if seen == nil {
				return nil
			}
			if name.Comune() != s.comune {
				hops = append(slices.Clone(hops), s.server)
			}
			change, err := s.asStored(tx, name, record, seen, hops)
			page.Records, page.LastKey = append(page.Records, change), page.Next
			size += len(change.GetRecord().GetValue())
			return err
		})
		if last == nil && !full {
			page.Next = nil
		}
		return err
	})
	return page, err
}

// asStored sends the stored bytes where all of the record travels, so that
// copies are equal byte for byte whatever version serialised it.
func (s *Store) asStored(tx *bolt.Tx, name catalog.Name, record, seen proto.Message, hops []string) (*feedv1.Change, error) {
	if seen != record {
		return recordChange(name.String(), seen, hops)
	}
	raw, err := (Reader{tx}).Raw(name)
	return rawChange(name.String(), name.Kind.Descriptor().FullName(), raw, hops), err
}
