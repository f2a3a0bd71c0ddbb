package federationtest

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"cidsistem.example/proto/gen/feedv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/store"
)

// A version is a record as it travels.
type version struct {
	// body is the serialised record.
	body string
	// hops are the servers that passed it on, joined by spaces.
	hops string
}

// contents are records as they travel, by name.
type contents map[string]version

// next checks that a revision continues a position, with an own calculation of
// the digest, and returns where the feed stands after it.
func next(at store.Position, revision *feedv1.Revision) (store.Position, []*feedv1.Change, error) {
	to := store.PositionFrom(revision.GetPosition())
	switch {
	case to.Revision == at.Revision:
		return at, nil, fmt.Errorf("%w: %s comes a second time", ErrUnique, to)
	case to.Revision < at.Revision:
		return at, nil, fmt.Errorf("%w: %s after %s", ErrOrdered, to, at)
	case to.Revision > at.Revision+1:
		return at, nil, fmt.Errorf("%w: %s after %s", ErrReliable, to, at)
	}
	h := sha256.New()
	h.Write(at.Digest)
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(to.Revision)))
	h.Write(revision.GetBody())
	if string(h.Sum(nil)) != string(to.Digest) || string(to.Epoch) != string(at.Epoch) {
		return at, nil, fmt.Errorf("%w: %s does not continue %s", ErrReliable, to, at)
	}
	var body feedv1.RevisionBody
	if err := proto.Unmarshal(revision.GetBody(), &body); err != nil {
		return at, nil, fmt.Errorf("%w: %s: %w", ErrReliable, to, err)
	}
	return to, body.GetChanges(), nil
}

// after is what contents become by the changes of one revision.
func (c contents) after(changes []*feedv1.Change) (contents, error) {
	result := maps.Clone(c)
	seen := map[string]bool{}
	for _, change := range changes {
		name := change.GetName()
		if seen[name] {
			return nil, fmt.Errorf("%w: %s twice in one revision", ErrUnique, name)
		}
		seen[name] = true
		if hops := slices.Sorted(slices.Values(change.GetHops())); len(slices.Compact(hops)) < len(change.GetHops()) {
			return nil, fmt.Errorf("%w: %s came by %v", ErrLoop, name, change.GetHops())
		}
		if change.GetRecord() != nil {
			result[name] = version{string(change.GetRecord().GetValue()), strings.Join(change.GetHops(), " ")}
			continue
		}
		if _, was := c[name]; !was {
			return nil, fmt.Errorf("%w: %s ends, by %v, and was not there", ErrVisible, name, change.GetHops())
		}
		delete(result, name)
	}
	return result, result.whole()
}

// twins are two locations of a comune that are always written together, with
// the same title.
const twinA, twinB = "/locations/twin-a", "/locations/twin-b"

// whole tells whether each comune's twins are of one write.
func (c contents) whole() error {
	for name := range c {
		comune, isA := strings.CutSuffix(name, twinA)
		if !isA {
			var isB bool
			if comune, isB = strings.CutSuffix(name, twinB); !isB {
				continue
			}
		}
		if a, b := titleOf(c[comune+twinA].body), titleOf(c[comune+twinB].body); a != b {
			return fmt.Errorf("%w: the twins of %s are %q and %q", ErrAtomic, comune, a, b)
		}
	}
	return nil
}

// titleOf is the Italian title of a serialised location.
func titleOf(body string) string {
	var location registryv1.Location
	if err := proto.Unmarshal([]byte(body), &location); err != nil {
		return err.Error()
	}
	title := location.GetTitle().GetIt()
	return title[:min(len(title), 40)]
}

// differs tells the first difference between two contents, empty for none.
func (c contents) differs(want contents) string {
	for _, name := range slices.Sorted(maps.Keys(want)) {
		got, there := c[name]
		switch {
		case !there:
			return "lacks " + name
		case got.hops != want[name].hops:
			return fmt.Sprintf("has %s by [%s], not by [%s]", name, got.hops, want[name].hops)
		case got.body != want[name].body:
			return fmt.Sprintf("has %s as of %q, not of %q", name, titleOf(got.body), titleOf(want[name].body))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c)) {
		if _, there := want[name]; !there {
			return "has " + name
		}
	}
	return ""
}

// A journal is the truth about a feed: every revision that there was, read from
// the store itself, and what the records were after it.
type journal struct {
	at store.Position
	// digests of the present history, by revision.
	digests []string
	// states after each revision of every history, present and lost, by digest.
	states map[string]contents
}

func newJournal() *journal {
	return &journal{digests: []string{""}, states: map[string]contents{"": {}}}
}

// extend reads what the store has written since, and tells how many revisions
// that was.
func (j *journal) extend(s *store.Store) (revisions int, err error) {
	j.at.Epoch = s.Head().Epoch
	for s.Head().Revision > j.at.Revision {
		found, _, err := s.Revisions(j.at)
		if err != nil {
			return revisions, fmt.Errorf("%w: the store refuses its own position %s: %w", ErrReliable, j.at, err)
		}
		for _, revision := range found {
			to, changes, err := next(j.at, revision)
			if err != nil {
				return revisions, err
			}
			state, err := j.now().after(changes)
			if err != nil {
				return revisions, fmt.Errorf("revision %s: %w", to, err)
			}
			j.at = to
			j.digests = append(j.digests, string(to.Digest))
			j.states[string(to.Digest)] = state
			revisions++
		}
	}
	if !j.at.Equal(s.Head()) {
		return revisions, fmt.Errorf("%w: the feed ends at %s, its head is %s", ErrReliable, j.at, s.Head())
	}
	return revisions, nil
}

// now is what the records are at the end of the journal.
func (j *journal) now() contents { return j.states[string(j.at.Digest)] }

// back forgets what came after a revision: the file of that time is back.
func (j *journal) back(to store.Position) {
	j.at = to
	j.digests = slices.Clone(j.digests[:to.Revision+1])
}

// holds tells whether a position is part of the present history.
func (j *journal) holds(p store.Position) bool {
	return string(p.Epoch) == string(j.at.Epoch) && p.Revision <= j.at.Revision && j.digests[p.Revision] == string(p.Digest)
}

// reasons are those for which a position cannot be continued.
func (j *journal) reasons(p, floor store.Position) (reasons []registryv1.ErrorReason) {
	if string(p.Epoch) != string(j.at.Epoch) {
		return []registryv1.ErrorReason{registryv1.ErrorReason_FEED_EPOCH_CHANGED}
	}
	if p.Revision < floor.Revision {
		reasons = append(reasons, registryv1.ErrorReason_FEED_POSITION_TRIMMED)
	}
	if !j.holds(p) {
		// Since the refusal the feed may have gone past the position.
		reasons = append(reasons, registryv1.ErrorReason_FEED_POSITION_AHEAD, registryv1.ErrorReason_FEED_DIVERGED)
	}
	return reasons
}
