package exporting

import (
	"cmp"
	"context"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"cidsistem.example/proto/catalog"
	"cidsistem.example/services/internal/references"
	"cidsistem.example/services/internal/store"
)

// A snapshot is what a reader may see of the catalogue at one moment, by
// collection; inside a collection by name.
type snapshot struct {
	comune  string // empty for all
	records map[string][]proto.Message
}

// page is how many records are read at a time.
const page = 500

// take reads the records of some collections in one transaction. References to
// records that are not among them are taken out.
func take(ctx context.Context, s *store.Store, comune string, collections []string, sight catalog.Sight) (*snapshot, error) {
	shot := &snapshot{comune: comune, records: map[string][]proto.Message{}}
	err := s.View(func(r store.Reader) error {
		for _, collection := range collections {
			kind := catalog.ByCollection(collection)
			query := store.Query{Kind: kind, Limit: page, Sight: sight}
			if comune != "" {
				query.Within = []string{comune}
			}
			for {
				if err := ctx.Err(); err != nil {
					return err
				}
				found, after, err := r.List(query)
				if err != nil {
					return err
				}
				shot.records[collection] = append(shot.records[collection], found...)
				if query.After = after; after == nil {
					break
				}
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	shot.close()
	return shot, nil
}

// close takes out of the records what only their server knows, and references
// that lead nowhere.
func (s *snapshot) close() {
	here := map[string]bool{}
	for _, records := range s.records {
		for _, record := range records {
			here[catalog.RecordOf(record).Name()] = true
		}
	}
	for _, records := range s.records {
		for i, record := range records {
			kind := catalog.Of(record)
			name := catalog.RecordOf(record).Name()
			bare := proto.Clone(record)
			for _, fd := range kind.ServerFields() {
				bare.ProtoReflect().Clear(fd)
			}
			for _, field := range []protoreflect.Name{"etag", "revision", "create_time", "update_time"} {
				if fd := bare.ProtoReflect().Descriptor().Fields().ByName(field); fd != nil {
					bare.ProtoReflect().Clear(fd)
				}
			}
			catalog.RecordOf(bare).SetName(name)
			references.Keep(bare, func(target string) bool { return here[target] })
			records[i] = bare
		}
		slices.SortFunc(records, func(a, b proto.Message) int {
			return cmp.Compare(catalog.RecordOf(a).Name(), catalog.RecordOf(b).Name())
		})
	}
}

// all are the records of all collections, by name: what is inside a record comes
// after it.
func (s *snapshot) all() []proto.Message {
	var all []proto.Message
	for _, records := range s.records {
		all = append(all, records...)
	}
	slices.SortFunc(all, func(a, b proto.Message) int {
		return cmp.Compare(catalog.RecordOf(a).Name(), catalog.RecordOf(b).Name())
	})
	return all
}
