package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"
	"google.golang.org/protobuf/proto"

	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/feedv1"
	"cidsistem.example/services/internal/boltkit"
)

// ErrBrokenChain says that revisions do not follow what the copy has: one is
// missing, or their digest does not fit.
var ErrBrokenChain = errors.New("the revisions do not continue the copy")

// Upstream is how far the copy of another server has come.
type Upstream struct {
	// Position that the copy equals, in the other server's feed.
	Position Position
	// AsOf is when the copy was last known to be complete, by this server's
	// clock, as last written down.
	AsOf time.Time
	// Snapshots counts how often the copy was taken anew.
	Snapshots int64
	// Snapshot is the one under way, nil for none.
	Snapshot *Snapshot `json:",omitempty"`
	// Scope under which the copy was taken.
	Scope Scope
	// Offers are the comuni that the other server last said it answers for; nil: it
	// never said so.
	Offers []string
}

// Snapshot is a copy that is being taken beside the one in use.
type Snapshot struct {
	// Began is where the other server's feed stood when it began.
	Began Position
	// At is how far the changes since then have been replayed onto it.
	At Position
	// LastKey is what the last page gave to resume a broken one.
	LastKey []byte
	// Ended is where the feed stood at the end; the snapshot is exact once At has
	// reached it. Zero while pages are still to come.
	Ended Position
}

// Complete tells whether the snapshot equals the other server at At.
func (p *Snapshot) Complete() bool { return !p.Ended.Zero() && p.At.Revision >= p.Ended.Revision }

// passes checks that revisions go through where the snapshot ended, if they go
// that far: the pages are of another history when an old file was put back since.
func (p *Snapshot) passes(revisions []*feedv1.Revision) error {
	for _, revision := range revisions {
		at := PositionFrom(revision.GetPosition())
		if at.Revision == p.Ended.Revision && !at.Equal(p.Ended) {
			return fmt.Errorf("%w: %s is not where the snapshot ended, %s", ErrBrokenChain, at, p.Ended)
		}
	}
	return nil
}

// Scope says which comuni a copy may hold.
type Scope struct {
	// Comuni that the other server answers for; none: whatever it offers and no
	// other server has.
	Comuni []string `json:",omitempty"`
	// Except are comuni that it may offer and that other servers answer for.
	Except []string `json:",omitempty"`
}

// holds tells whether a comune may be in the copy.
func (s Scope) holds(comune string) bool {
	return (len(s.Comuni) == 0 || slices.Contains(s.Comuni, comune)) && !slices.Contains(s.Except, comune)
}

func (s Scope) equal(other Scope) bool {
	return slices.Equal(s.Comuni, other.Comuni) && slices.Equal(s.Except, other.Except)
}

// Upstream reads the state of a copy.
func (s *Store) Upstream(server string) (Upstream, error) {
	var u Upstream
	err := s.db.View(func(tx *bolt.Tx) (err error) { u, err = readUpstream(tx, server); return err })
	return u, err
}

func readUpstream(tx *bolt.Tx, server string) (Upstream, error) {
	var u Upstream
	if v := tx.Bucket(bucketUpstreams).Get([]byte(server)); v != nil {
		if err := json.Unmarshal(v, &u); err != nil {
			return u, fmt.Errorf("%w: state of the copy of %s: %w", errDamaged, server, err)
		}
	}
	return u, nil
}

func writeUpstream(tx *bolt.Tx, server string, u Upstream) error {
	v, err := json.Marshal(u)
	if err != nil {
		return err
	}
	return tx.Bucket(bucketUpstreams).Put([]byte(server), v)
}

// forgetPositions makes every copy be taken anew.
func forgetPositions(tx *bolt.Tx) error {
	var servers []string
	err := tx.Bucket(bucketUpstreams).ForEach(func(k, _ []byte) error { servers = append(servers, string(k)); return nil })
	if err != nil {
		return err
	}
	for _, server := range servers {
		u, err := readUpstream(tx, server)
		if err != nil {
			return err
		}
		u.Position, u.Snapshot = Position{}, nil
		if err := writeUpstream(tx, server, u); err != nil {
			return err
		}
	}
	return nil
}

// changeUpstream writes the state of a copy, together with what else edit does.
// What the other server sent is refused by check, before anything changes.
func (s *Store) changeUpstream(ctx context.Context, server string, check func(Upstream) error, edit func(tx *bolt.Tx, u *Upstream) error) error {
	return s.db.Write(ctx, func(tx *bolt.Tx) (boltkit.Apply, error) {
		u, err := readUpstream(tx, server)
		if err != nil {
			return nil, err
		}
		if check != nil {
			if err := check(u); err != nil {
				return nil, err
			}
		}
		return func(tx *bolt.Tx) error {
			if err := edit(tx, &u); err != nil {
				return err
			}
			return writeUpstream(tx, server, u)
		}, nil
	})
}

// NoteAsOf writes down when the copy was last complete.
func (s *Store) NoteAsOf(ctx context.Context, server string, asOf time.Time) error {
	return s.changeUpstream(ctx, server, nil, func(_ *bolt.Tx, u *Upstream) error { u.AsOf = asOf; return nil })
}

// NoteOffers writes down which comuni the other server says it answers for.
func (s *Store) NoteOffers(ctx context.Context, server string, comuni []string) error {
	return s.changeUpstream(ctx, server, nil, func(_ *bolt.Tx, u *Upstream) error { u.Offers = comuni; return nil })
}

// Release ends the claim of a server to comuni that it says it does not answer
// for any more, once their records have ended. Another server may bring them
// then: copies of those that offer them are taken anew. done tells that no such
// claim is left.
func (s *Store) Release(ctx context.Context, server string) (done bool, err error) {
	// Read only once the write is acknowledged, see Commit.
	var none bool
	err = s.db.Write(ctx, func(tx *bolt.Tx) (boltkit.Apply, error) {
		freed, err := givenUp(tx, server)
		none = true
		freed = slices.DeleteFunc(freed, func(comune string) bool {
			left := hasRecords(tx, comune)
			none = none && !left
			return left
		})
		if err != nil || len(freed) == 0 {
			return nil, err
		}
		anew := map[string]Upstream{}
		err = tx.Bucket(bucketUpstreams).ForEach(func(k, _ []byte) error {
			u, err := readUpstream(tx, string(k))
			if slices.ContainsFunc(freed, func(c string) bool { return u.Scope.holds(c) && slices.Contains(u.Offers, c) }) {
				u.Position, u.Snapshot = Position{}, nil
				anew[string(k)] = u
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		return func(tx *bolt.Tx) error {
			for _, comune := range freed {
				if err := tx.Bucket(bucketOrigins).Delete([]byte(comune)); err != nil {
					return err
				}
			}
			for other, u := range anew {
				if err := writeUpstream(tx, other, u); err != nil {
					return err
				}
			}
			return nil
		}, nil
	})
	return err == nil && none, err
}

// givenUp lists the comuni that a server still has the claim to, although it says
// that it does not answer for them.
func givenUp(tx *bolt.Tx, server string) ([]string, error) {
	u, err := readUpstream(tx, server)
	if err != nil || u.Offers == nil {
		return nil, err
	}
	var comuni []string
	err = tx.Bucket(bucketOrigins).ForEach(func(comune, holder []byte) error {
		if string(holder) == server && !slices.Contains(u.Offers, string(comune)) {
			comuni = append(comuni, string(comune))
		}
		return nil
	})
	return comuni, err
}

func hasRecords(tx *bolt.Tx, comune string) bool {
	c := tx.Bucket(bucketRecords).Cursor()
	for _, kind := range catalog.Kinds() {
		prefix := recordPrefix(kind, []string{comune})
		k, _ := c.Seek(prefix)
		if kind.Depth() == 1 && bytes.Equal(k, prefix) || kind.Depth() > 1 && bytes.HasPrefix(k, prefix) {
			return true
		}
	}
	return false
}

// ForgetCopy makes the next connection take the copy anew; the old copy is kept
// in use meanwhile.
func (s *Store) ForgetCopy(ctx context.Context, server string) error {
	return s.changeUpstream(ctx, server, nil, func(_ *bolt.Tx, u *Upstream) error {
		u.Position, u.Snapshot = Position{}, nil
		return nil
	})
}

// BeginSnapshot starts a copy beside the one in use.
func (s *Store) BeginSnapshot(ctx context.Context, server string, began Position) error {
	return s.changeUpstream(ctx, server, nil, func(tx *bolt.Tx, u *Upstream) error {
		if err := clearStaging(tx, server); err != nil {
			return err
		}
		u.Snapshot = &Snapshot{Began: began, At: began}
		_, err := tx.Bucket(bucketStaging).CreateBucketIfNotExists([]byte(server))
		return err
	})
}

func clearStaging(tx *bolt.Tx, server string) error {
	err := tx.Bucket(bucketStaging).DeleteBucket([]byte(server))
	if err != nil && tx.Bucket(bucketStaging).Bucket([]byte(server)) == nil {
		return nil
	}
	return err
}

// errNoSnapshot says that pages came without a snapshot under way.
var errNoSnapshot = errors.New("no snapshot is under way")

// StagePage adds a page of records to the snapshot; ended is set on the last.
func (s *Store) StagePage(ctx context.Context, server string, scope Scope, records []*feedv1.Change, lastKey []byte, ended Position) error {
	check := func(u Upstream) error {
		if u.Snapshot == nil {
			return errNoSnapshot
		}
		return readable(records)
	}
	return s.changeUpstream(ctx, server, check, func(tx *bolt.Tx, u *Upstream) error {
		for _, change := range records {
			if err := s.stage(tx, server, scope, change); err != nil {
				return err
			}
		}
		if len(lastKey) > 0 {
			u.Snapshot.LastKey = lastKey
		}
		u.Snapshot.Ended = ended
		return nil
	})
}

func (s *Store) stage(tx *bolt.Tx, server string, scope Scope, change *feedv1.Change) error {
	name, ok, err := s.admit(tx, server, scope, change)
	if !ok || err != nil {
		return err
	}
	staging := tx.Bucket(bucketStaging).Bucket([]byte(server))
	if change.GetRecord() == nil {
		return staging.Delete(recordKey(name))
	}
	return staging.Put(recordKey(name), encodeStored(storedRecord{hops: change.GetHops(), body: change.GetRecord().GetValue()}))
}

// admit decides whether a change from another server belongs into its copy: not
// when it has been here before (loops end), not when its comune is this
// server's own or another server's, not when its kind is not known here.
func (s *Store) admit(tx *bolt.Tx, server string, scope Scope, change *feedv1.Change) (catalog.Name, bool, error) {
	name, err := catalog.ParseName(change.GetName())
	if err != nil {
		s.log.Warn("change of an unknown kind passed over", "server", server, "error", err)
		return name, false, nil
	}
	comune := name.Comune()
	if comune == s.comune || slices.Contains(change.GetHops(), s.server) {
		return name, false, nil
	}
	if !scope.holds(comune) {
		return name, false, nil
	}
	origins := tx.Bucket(bucketOrigins)
	holder := string(origins.Get([]byte(comune)))
	if holder == "" && change.GetRecord() != nil {
		return name, true, origins.Put([]byte(comune), []byte(server))
	}
	return name, holder == server, nil
}

// ApplyRevisions continues a copy, or the snapshot beside it, with revisions of
// the other server's feed: all of them in one transaction, with the new
// position. Each becomes a revision of this server's own feed.
func (s *Store) ApplyRevisions(ctx context.Context, server string, scope Scope, revisions []*feedv1.Revision, asOf time.Time) error {
	var bodies []*feedv1.RevisionBody
	var end Position
	check := func(u Upstream) (err error) {
		if bodies, end, err = follow(u.At(), revisions); err == nil && u.Snapshot != nil {
			err = u.Snapshot.passes(revisions)
		}
		return err
	}
	return s.changeUpstream(ctx, server, check, func(tx *bolt.Tx, u *Upstream) error {
		for _, body := range bodies {
			if u.Snapshot == nil {
				if err := s.adopt(tx, server, scope, body.GetChanges()); err != nil {
					return err
				}
				continue
			}
			for _, change := range body.GetChanges() {
				if err := s.stage(tx, server, scope, change); err != nil {
					return err
				}
			}
		}
		if u.Snapshot != nil {
			u.Snapshot.At = end
		} else {
			u.Position = end
		}
		if !asOf.IsZero() && u.Snapshot == nil {
			u.AsOf = asOf
		}
		return nil
	})
}

// At is the position that revisions continue: that of the snapshot while one is
// under way.
func (u Upstream) At() Position {
	if u.Snapshot != nil {
		return u.Snapshot.At
	}
	return u.Position
}

// follow checks that revisions continue a position, digest by digest, and that
// every record in them can be read.
func follow(at Position, revisions []*feedv1.Revision) ([]*feedv1.RevisionBody, Position, error) {
	var bodies []*feedv1.RevisionBody
	for _, revision := range revisions {
		next := at.Next(revision.GetBody())
		if !next.Equal(PositionFrom(revision.GetPosition())) {
			return nil, at, fmt.Errorf("%w: %s after %s", ErrBrokenChain, PositionFrom(revision.GetPosition()), at)
		}
		body := &feedv1.RevisionBody{}
		if err := proto.Unmarshal(revision.GetBody(), body); err != nil {
			return nil, at, fmt.Errorf("%w: revision %d: %w", ErrBrokenChain, next.Revision, err)
		}
		if err := readable(body.GetChanges()); err != nil {
			return nil, at, err
		}
		bodies = append(bodies, body)
		at = next
	}
	return bodies, at, nil
}

// readable tells whether the records of kinds that are known here can be read,
// carry the names that their changes give, and came by servers that can be.
func readable(changes []*feedv1.Change) error {
	for _, change := range changes {
		name, err := catalog.ParseName(change.GetName())
		if err != nil {
			continue
		}
		if len(change.GetHops()) > maxHops {
			return fmt.Errorf("%w: %s passed through more than %d servers", ErrBrokenChain, name, maxHops)
		}
		for _, hop := range change.GetHops() {
			if !catalog.ValidID(hop) {
				return fmt.Errorf("%w: %s passed through %.100q, which is no server", ErrBrokenChain, name, hop)
			}
		}
		if change.GetRecord() == nil {
			continue
		}
		record := name.Kind.New()
		if err := proto.Unmarshal(change.GetRecord().GetValue(), record); err != nil {
			return fmt.Errorf("%w: %s: %w", ErrBrokenChain, name, err)
		}
		if got := catalog.RecordOf(record).Name(); got != name.String() {
			return fmt.Errorf("%w: %s carries the name %.200q", ErrBrokenChain, name, got)
		}
	}
	return nil
}

// maxHops bounds the levels of a federation.
const maxHops = 16

// adopt makes the changes of one revision in the copy and passes them on in one
// revision of the own feed.
func (s *Store) adopt(tx *bolt.Tx, server string, scope Scope, changes []*feedv1.Change) error {
	var passed []*feedv1.Change
	indices := indexChanges{}
	for _, change := range changes {
		name, ok, err := s.admit(tx, server, scope, change)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		onward, err := s.take(tx, name, change, indices)
		if err != nil {
			return err
		}
		passed = append(passed, onward)
	}
	if len(passed) == 0 {
		return nil
	}
	return errors.Join(indices.apply(tx), s.appendRevision(tx, passed))
}

// take makes one change in the copy, byte for byte, and returns it as it is
// passed on. The indices are left to the caller.
func (s *Store) take(tx *bolt.Tx, name catalog.Name, change *feedv1.Change, indices indexChanges) (*feedv1.Change, error) {
	onward := append(slices.Clone(change.GetHops()), s.server)
	if change.GetRecord() == nil {
		return tombstone(name.String(), change.GetTombstone().GetRevision(), onward), putRecord(tx, name, nil, nil, indices)
	}
	body := change.GetRecord().GetValue()
	record := name.Kind.New()
	if err := proto.Unmarshal(body, record); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrBrokenChain, name, err)
	}
	err := putRecord(tx, name, record, &storedRecord{hops: change.GetHops(), body: body}, indices)
	return rawChange(name.String(), record.ProtoReflect().Descriptor().FullName(), body, onward), err
}

// maxChanges bounds the changes of one revision.
const maxChanges = 500

// revisions splits changes into parts that fit into a revision each.
func revisions(changes []*feedv1.Change) iter.Seq[[]*feedv1.Change] {
	return func(yield func([]*feedv1.Change) bool) {
		from, size := 0, 0
		for i, change := range changes {
			if i-from == maxChanges || (i > from && size+proto.Size(change) > maxRevisionBytes) {
				if !yield(changes[from:i]) {
					return
				}
				from, size = i, 0
			}
			size += proto.Size(change)
		}
		if from < len(changes) {
			yield(changes[from:])
		}
	}
}

// FinishSnapshot puts a complete snapshot in the place of the copy: only what
// differs is changed and passed on, and what is not in it any more ends. asOf is
// zero when the other server has gone on since.
func (s *Store) FinishSnapshot(ctx context.Context, server string, asOf time.Time) error {
	check := func(u Upstream) error {
		if u.Snapshot == nil || !u.Snapshot.Complete() {
			return errNoSnapshot
		}
		return nil
	}
	return s.changeUpstream(ctx, server, check, func(tx *bolt.Tx, u *Upstream) error {
		changes, err := s.difference(tx, server)
		if err != nil {
			return err
		}
		indices := indexChanges{}
		for part := range revisions(changes) {
			var passed []*feedv1.Change
			for _, change := range part {
				name, err := catalog.ParseName(change.GetName())
				if err != nil {
					return err
				}
				onward, err := s.take(tx, name, change, indices)
				if err != nil {
					return err
				}
				passed = append(passed, onward)
			}
			if err := s.appendRevision(tx, passed); err != nil {
				return err
			}
		}
		if err := indices.apply(tx); err != nil {
			return err
		}
		u.Position, u.Snapshot = u.Snapshot.At, nil
		u.Snapshots++
		if !asOf.IsZero() {
			u.AsOf = asOf
		}
		return clearStaging(tx, server)
	})
}

// difference merges copy and snapshot, both in key order, and lists what must
// change in the copy.
func (s *Store) difference(tx *bolt.Tx, server string) ([]*feedv1.Change, error) {
	var changes []*feedv1.Change
	live, staged := tx.Bucket(bucketRecords).Cursor(), tx.Bucket(bucketStaging).Bucket([]byte(server)).Cursor()
	lk, lv := live.First()
	sk, sv := staged.First()
	for lk != nil || sk != nil {
		order := bytes.Compare(lk, sk)
		if lk == nil {
			order = 1
		} else if sk == nil {
			order = -1
		}
		switch {
		case order < 0:
			name, err := decodeRecordKey(lk)
			if err != nil {
				return nil, err
			}
			if string(tx.Bucket(bucketOrigins).Get([]byte(name.Comune()))) == server {
				stored, err := decodeStored(lv)
				if err != nil {
					return nil, err
				}
				changes = append(changes, tombstone(name.String(), 0, slices.Clone(stored.hops)))
			}
			lk, lv = live.Next()
		default:
			if order > 0 || !bytes.Equal(lv, sv) {
				name, err := decodeRecordKey(sk)
				if err != nil {
					return nil, err
				}
				stored, err := decodeStored(sv)
				if err != nil {
					return nil, err
				}
				changes = append(changes, rawChange(name.String(), name.Kind.Descriptor().FullName(), bytes.Clone(stored.body), slices.Clone(stored.hops)))
			}
			if order == 0 {
				lk, lv = live.Next()
			}
			sk, sv = staged.Next()
		}
	}
	return changes, nil
}

// Holder tells from which server the copy of a comune comes, empty for none.
func (s *Store) Holder(comune string) (string, error) {
	var server string
	err := s.db.View(func(tx *bolt.Tx) error {
		server = string(tx.Bucket(bucketOrigins).Get([]byte(comune)))
		return nil
	})
	return server, err
}

// Holders tells from which server the copy of each comune comes.
func (s *Store) Holders() (map[string]string, error) {
	holders := map[string]string{}
	err := s.db.View(func(tx *bolt.Tx) error {
		return tx.Bucket(bucketOrigins).ForEach(func(k, v []byte) error { holders[string(k)] = string(v); return nil })
	})
	return holders, err
}

// Keep sets the members: copies of servers that are not in scopes any more, and
// of comuni that a server no longer answers for, end here and at every reader.
// Where a server's copy may now hold what it did not before, it is taken anew.
func (s *Store) Keep(ctx context.Context, scopes map[string]Scope) error {
	return s.db.Write(ctx, func(tx *bolt.Tx) (boltkit.Apply, error) {
		gone := map[string]bool{}
		err := tx.Bucket(bucketOrigins).ForEach(func(comune, server []byte) error {
			scope, member := scopes[string(server)]
			if !member || !scope.holds(string(comune)) {
				gone[string(comune)] = true
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		var former []string
		err = tx.Bucket(bucketUpstreams).ForEach(func(server, _ []byte) error {
			if _, member := scopes[string(server)]; !member {
				former = append(former, string(server))
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		anew := map[string]Upstream{}
		for server, scope := range scopes {
			u, err := readUpstream(tx, server)
			if err != nil {
				return nil, err
			}
			freed := len(gone) > 0 && len(scope.Comuni) == 0
			if freed || !u.Scope.equal(scope) {
				u.Position, u.Snapshot, u.Scope = Position{}, nil, scope
				anew[server] = u
			}
		}
		if len(gone)+len(former)+len(anew) == 0 {
			return nil, nil
		}
		return func(tx *bolt.Tx) error {
			if err := s.drop(tx, gone); err != nil {
				return err
			}
			for _, server := range former {
				if err := errors.Join(tx.Bucket(bucketUpstreams).Delete([]byte(server)), clearStaging(tx, server)); err != nil {
					return err
				}
			}
			for server, u := range anew {
				if err := writeUpstream(tx, server, u); err != nil {
					return err
				}
			}
			return nil
		}, nil
	})
}

// drop ends all records of some comuni.
func (s *Store) drop(tx *bolt.Tx, gone map[string]bool) error {
	if len(gone) == 0 {
		return nil
	}
	var names []catalog.Name
	c := tx.Bucket(bucketRecords).Cursor()
	for k, _ := c.First(); k != nil; k, _ = c.Next() {
		name, err := decodeRecordKey(k)
		if err != nil {
			return err
		}
		if gone[name.Comune()] {
			names = append(names, name)
		}
	}
	for chunk := range slices.Chunk(names, maxChanges) {
		var changes []*feedv1.Change
		for _, name := range chunk {
			if err := put(tx, name, nil, nil); err != nil {
				return err
			}
			changes = append(changes, tombstone(name.String(), 0, []string{s.server}))
		}
		if err := s.appendRevision(tx, changes); err != nil {
			return err
		}
	}
	for comune := range gone {
		if err := tx.Bucket(bucketOrigins).Delete([]byte(comune)); err != nil {
			return err
		}
	}
	return nil
}
