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

// SnapshotPage reads the records after a key as readers of the feed may see
// them. last is nil after the last page; at is where the feed stood at the
// moment of the read.
func (s *Store) SnapshotPage(after []byte) (records []*feedv1.Change, last []byte, at Position, err error) {
	err = s.db.View(func(tx *bolt.Tx) error {
		if at, err = readPlace(tx, metaHead); err != nil {
			return err
		}
		last, err = (Reader{tx}).Walk(after, snapshotPage, func(name catalog.Name, record proto.Message, hops []string) error {
			seen := catalog.Narrow(record, registryv1.Visibility_NETWORK)
			if seen == nil {
				return nil
			}
			if name.Comune() != s.comune {
				hops = append(slices.Clone(hops), s.server)
			}
			change, err := s.asStored(tx, name, record, seen, hops)
			records = append(records, change)
			return err
		})
		return err
	})
	return records, last, at, err
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
