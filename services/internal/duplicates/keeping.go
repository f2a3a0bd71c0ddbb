package duplicates

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"cidsistem.example/services/internal/store"
)

// keepMerge writes a merge down, in the place of an older one of the same name.
func (s *Server) keepMerge(r store.Reader, name string, m *merge) ([]store.LocalPut, error) {
	var puts []store.LocalPut
	older, err := s.readMerge(r, name)
	if err != nil {
		return nil, err
	}
	if older != nil {
		puts = forgotten(name, older)
	}
	body, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	for key, value := range map[store.LocalKey][]byte{mergeKey(name): body, mergeDueKey(m.Time.Add(mergesKept), name): nil} {
		sealed, err := s.vault.Seal(key, value)
		if err != nil {
			return nil, err
		}
		puts = append(puts, store.LocalPut{Key: key, Value: sealed})
	}
	return puts, nil
}

// readMerge reads the merge by which a record went; nil for none.
func (s *Server) readMerge(r store.Reader, name string) (*merge, error) {
	sealed := r.Local(mergeKey(name))
	if sealed == nil {
		return nil, nil
	}
	body, err := s.vault.Open(mergeKey(name), sealed)
	if err != nil {
		return nil, err
	}
	m := &merge{}
	if err := json.Unmarshal(body, m); err != nil {
		return nil, fmt.Errorf("the merge of %s is damaged: %w", name, err)
	}
	return m, nil
}

// forgotten removes a merge.
func forgotten(name string, m *merge) []store.LocalPut {
	return []store.LocalPut{{Key: mergeKey(name)}, {Key: mergeDueKey(m.Time.Add(mergesKept), name)}}
}

// purgeBatch is how many merges one transaction forgets.
const purgeBatch = 100

// Purge forgets the merges that cannot be taken back any more, and returns how
// many.
func (s *Server) Purge(ctx context.Context) (int, error) {
	total := 0
	for {
		gone := 0
		_, err := s.store.Commit(ctx, store.Request{}, nil, func(r store.Reader, stamp store.Stamp) (store.Outcome, error) {
			gone = 0
			var outcome store.Outcome
			for key := range r.LocalEntries(areaMergesDue, "") {
				if len(key.ID) < 17 {
					return store.Outcome{}, fmt.Errorf("an entry of %s is damaged", areaMergesDue)
				}
				nanoseconds, err := strconv.ParseInt(key.ID[:16], 16, 64)
				if err != nil {
					return store.Outcome{}, fmt.Errorf("an entry of %s is damaged: %w", areaMergesDue, err)
				}
				if gone == purgeBatch || time.Unix(0, nanoseconds).After(stamp.Time) {
					break
				}
				outcome.Local = append(outcome.Local, store.LocalPut{Key: key}, store.LocalPut{Key: mergeKey(key.ID[16:])})
				gone++
			}
			return outcome, nil
		})
		if err != nil {
			return total, fmt.Errorf("forget merges: %w", err)
		}
		total += gone
		if gone < purgeBatch {
			return total, nil
		}
	}
}
