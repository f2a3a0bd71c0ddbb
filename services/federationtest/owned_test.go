package federationtest

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/store"
)

// owned is what a node's store must hold.
type owned struct {
	records map[string]proto.Message
	answers map[string]answered // by request id
}

// answered is a request that was made.
type answered struct {
	request store.Request
	answer  proto.Message
	time    time.Time
}

func (o *owned) clone() *owned {
	return &owned{records: maps.Clone(o.records), answers: maps.Clone(o.answers)}
}

// raw are the bytes that the node must hold, by name.
func (o *owned) raw() contents {
	all := contents{}
	for name, record := range o.records {
		all[name] = version{body: serialised(record)}
	}
	return all
}

// visible is what must travel.
func (o *owned) visible() contents {
	some := contents{}
	for name, record := range o.records {
		if seen := catalog.Narrow(record, registryv1.Visibility_NETWORK); seen != nil {
			some[name] = version{body: serialised(seen)}
		}
	}
	return some
}

func serialised(record proto.Message) string {
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(record)
	if err != nil {
		panic(err)
	}
	return string(body)
}

// An edit is one change of a write.
type edit struct {
	id   string
	verb verb
	// What put writes.
	title      string
	visibility registryv1.Visibility
	phone      registryv1.Visibility // who may see the telephone; 0: there is none
	due        bool
	refers     bool
}

type verb int

const (
	put verb = iota
	remove
	bringBack
	purge
)

func (e edit) String() string {
	switch e.verb {
	case remove:
		return "delete " + e.id
	case bringBack:
		return "undelete " + e.id
	case purge:
		return "purge " + e.id
	default:
		return fmt.Sprintf("put %s %.12q %s, phone %s", e.id, e.title, e.visibility, e.phone)
	}
}

// purgeAfter is for how long deleted records stay.
const purgeAfter = 30 * 24 * time.Hour

// record makes what an edit puts.
func (e edit) record(name string, before proto.Message, at time.Time) proto.Message {
	record := &registryv1.Location{
		Name: name, Title: &registryv1.LocalizedText{It: e.title}, Visibility: e.visibility,
		CreateTime: timestamppb.New(at),
	}
	if before != nil {
		record.CreateTime = timestamppb.New(catalog.RecordOf(before).CreateTime())
	}
	if e.phone != 0 {
		record.Contacts = []*registryv1.ContactPoint{
			{Kind: registryv1.ContactPoint_PHONE, Value: "0923 000000", Visibility: e.phone},
			{Kind: registryv1.ContactPoint_WEB, Value: "https://luogo.example"},
		}
	}
	if e.due {
		record.Provenance = &registryv1.Provenance{VerifyByTime: timestamppb.New(at.Add(90 * 24 * time.Hour))}
	}
	if e.refers {
		record.Organization = name[:strings.Index(name, "/locations/")] + "/organizations/ente"
	}
	return record
}

// outcome is what a write of some edits decides; what cannot be done is left.
func (o *owned) outcome(comune string, edits []edit, at time.Time) store.Outcome {
	var outcome store.Outcome
	for _, e := range edits {
		name := catalog.ComuneName(comune) + "/locations/" + e.id
		before := o.records[name]
		deleted := before != nil && catalog.RecordOf(before).Deleted()
		switch e.verb {
		case put:
			if !deleted {
				outcome.Put = append(outcome.Put, e.record(name, before, at))
			}
		case remove, bringBack:
			if before == nil || deleted != (e.verb == bringBack) {
				continue
			}
			after := catalog.RecordOf(proto.Clone(before))
			if e.verb == remove {
				after.SetDeleteTime(at)
				after.SetPurgeTime(at.Add(purgeAfter))
			} else {
				after.SetDeleteTime(time.Time{})
				after.SetPurgeTime(time.Time{})
			}
			outcome.Put = append(outcome.Put, after.Message())
		case purge:
			if before != nil {
				parsed, err := catalog.ParseName(name)
				if err != nil {
					panic(err)
				}
				outcome.Purge = append(outcome.Purge, parsed)
			}
		}
	}
	outcome.Answer = &registryv1.Location{Title: &registryv1.LocalizedText{It: fmt.Sprint(edits)}}
	if len(outcome.Put) > 0 {
		outcome.Answer = outcome.Put[0]
	}
	return outcome
}

// take makes the truth what a write made of it.
func (o *owned) take(outcome store.Outcome) {
	for _, record := range outcome.Put {
		o.records[catalog.RecordOf(record).Name()] = record
	}
	for _, name := range outcome.Purge {
		delete(o.records, name.String())
	}
}

// request makes a request id and a digest from two numbers.
func request(id, digest int) store.Request {
	r := store.Request{ID: make([]byte, 16)}
	binary.BigEndian.PutUint64(r.ID, uint64(id))
	r.Digest = sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(digest)))
	return r
}

// write commits edits on a node's store and compares the answer.
func (s *site) write(r store.Request, edits []edit) error {
	var outcome store.Outcome
	decided := false
	replay := &registryv1.Location{}
	answer, err := s.store.Commit(context.Background(), r, replay, func(_ store.Reader, stamp store.Stamp) (store.Outcome, error) {
		outcome, decided = s.owned.outcome(s.comune, edits, stamp.Time), true
		return outcome, nil
	})
	before, repeated := s.owned.answers[string(r.ID)]
	switch {
	case !repeated || r.ID == nil:
	case before.request.Digest != r.Digest:
		if !errors.Is(err, store.ErrRequestReused) || decided {
			return fmt.Errorf("%w: the id of a request was taken for another one: %v", ErrRepeatable, err)
		}
		return nil
	case decided || err != nil || !proto.Equal(answer, before.answer):
		return fmt.Errorf("%w: answered %v and %v, first was %v", ErrRepeatable, answer, err, before.answer)
	default:
		return nil
	}
	if err != nil {
		return fmt.Errorf("write at %s: %w", s.id, err)
	}
	s.acknowledge(outcome)
	if r.ID != nil {
		s.owned.answers[string(r.ID)] = answered{r, proto.Clone(answer), s.clock.now()}
	}
	return nil
}

// acknowledge makes the truth what an acknowledged write made of it.
func (s *site) acknowledge(outcome store.Outcome) {
	if len(outcome.Put)+len(outcome.Purge) > 0 {
		s.wrote++
	}
	s.owned.take(outcome)
	s.acked = append(s.acked, acked{time.Now(), s.store.Head().Revision})
}

// purged takes out of the truth what a server that tidies up by itself has
// purged, in its time, and tells how many records that were.
func (s *site) purged() (gone int, err error) {
	if !s.tidies {
		return 0, nil
	}
	err = s.store.View(func(r store.Reader) error {
		for name, record := range s.owned.records {
			due := catalog.RecordOf(record).PurgeTime()
			parsed, err := catalog.ParseName(name)
			if err != nil {
				return err
			}
			if !due.IsZero() && due.Before(s.clock.now()) && !r.Has(parsed) {
				delete(s.owned.records, name)
				gone++
			}
		}
		return nil
	})
	return gone, err
}

// attempt makes a write that may fail: then it must leave nothing.
func (s *site) attempt(edits []edit) error {
	var outcome store.Outcome
	_, err := s.store.Commit(context.Background(), store.Request{}, nil, func(_ store.Reader, stamp store.Stamp) (store.Outcome, error) {
		outcome = s.owned.outcome(s.comune, edits, stamp.Time)
		return outcome, nil
	})
	if err == nil {
		s.acknowledge(outcome)
	}
	return err
}

// crowd commits several writes at the same time.
func (s *site) crowd(writes [][]edit) error {
	type done struct {
		revision int64
		outcome  store.Outcome
		err      error
	}
	results := make(chan done)
	for _, edits := range writes {
		go func() {
			var d done
			_, d.err = s.store.Commit(context.Background(), store.Request{}, nil, func(_ store.Reader, stamp store.Stamp) (store.Outcome, error) {
				d.revision, d.outcome = stamp.Revision, s.owned.outcome(s.comune, edits, stamp.Time)
				return d.outcome, nil
			})
			results <- d
		}()
	}
	var all []done
	for range writes {
		all = append(all, <-results)
	}
	slices.SortFunc(all, func(a, b done) int { return int(a.revision - b.revision) })
	for _, d := range all {
		if d.err != nil {
			return fmt.Errorf("write at %s: %w", s.id, d.err)
		}
		s.acknowledge(d.outcome)
	}
	return nil
}

// tidy does a node's upkeep: what was deleted long ago goes, and old answers.
func (s *site) tidy(answersBefore time.Time) error {
	gone := 0
	for name, record := range s.owned.records {
		if due := catalog.RecordOf(record).PurgeTime(); !due.IsZero() && due.Unix() < s.clock.now().Unix() {
			delete(s.owned.records, name)
			gone++
		}
	}
	purged, err := s.store.Purge(context.Background())
	if err != nil || purged != gone {
		return errors.Join(err, fmt.Errorf("%w: %d records of %s were to go, %d went", ErrDurable, gone, s.id, purged))
	}
	if gone > 0 {
		s.wrote++
	}
	old := 0
	for id, a := range s.owned.answers {
		if a.time.Unix() < answersBefore.Unix() {
			delete(s.owned.answers, id)
			old++
		}
	}
	forgotten, err := s.store.ForgetRequests(context.Background(), answersBefore)
	if err != nil || forgotten != old {
		return errors.Join(err, fmt.Errorf("%w: %d answers of %s were to go, %d went", ErrRepeatable, old, s.id, forgotten))
	}
	return nil
}
