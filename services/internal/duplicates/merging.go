package duplicates

import (
	"context"
	"fmt"
	"slices"
	"time"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/auditv1"
	"cidsistem.example/proto/gen/editorialv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/policy"
	"cidsistem.example/services/internal/records"
	"cidsistem.example/services/internal/store"
)

// maxReferrers bounds the records that one merge points to another one.
const maxReferrers = 1000

// elsewhere says that an ufficio comune writes no records.
func elsewhere() error {
	return apierror.New(registryv1.ErrorReason_NOT_SUPPORTED_HERE,
		"records are merged at the node of their comune; of two that different comuni keep, one can point to the other as the same")
}

// MergeRecords makes one record of two.
func (s *Server) MergeRecords(ctx context.Context, call *editorialv1.MergeRecordsRequest) (*editorialv1.MergeRecordsResponse, error) {
	if s.records == nil {
		return nil, elsewhere()
	}
	if err := s.inside(call.GetParent()); err != nil {
		return nil, err
	}
	keep, drop, err := s.two(call.GetParent(), call.GetKeep(), call.GetDrop(), "keep", "drop")
	if err != nil {
		return nil, err
	}
	merged, err := mergedRecord(call.GetMerged(), keep)
	if err != nil {
		return nil, err
	}
	caller := policy.Of(ctx)
	answer := &editorialv1.MergeRecordsResponse{}
	var kept proto.Message
	_, err = s.store.Commit(ctx, store.Request{}, nil, func(r store.Reader, stamp store.Stamp) (store.Outcome, error) {
		answer = &editorialv1.MergeRecordsResponse{}
		change := s.records.Begin(r, stamp, caller)
		undo := &merge{Keep: keep.String(), Revision: stamp.Revision, Time: stamp.Time}
		if err := undo.remember(r, keep, drop); err != nil {
			return store.Outcome{}, err
		}
		kept, err = change.Update(keep, call.GetKeepEtag(), func(after proto.Message) error {
			if merged != nil {
				proto.Reset(after)
				proto.Merge(after, merged)
			}
			point(after, drop.String(), "")
			return nil
		})
		if err != nil {
			return store.Outcome{}, err
		}
		if answer.Referrers, err = s.pointReferrers(r, change, undo, drop, keep); err != nil {
			return store.Outcome{}, err
		}
		if _, err := change.Delete(drop, call.GetDropEtag(), keep.String()); err != nil {
			return store.Outcome{}, err
		}
		puts, err := s.keepMerge(r, drop.String(), undo)
		if err != nil {
			return store.Outcome{}, err
		}
		entry := caller.Entry(editorialv1.DuplicateService_MergeRecords_FullMethodName, keep.String(), auditv1.AuditEntry_DONE)
		return store.Outcome{
			Put: change.Put(), Local: puts, Audit: []*auditv1.AuditEntry{entry}, DryRun: call.GetValidateOnly(),
			Why: store.Why{Action: editorialv1.RecordChange_MERGED, Actor: records.Actor(caller), Note: drop.String()},
		}, nil
	})
	if err != nil {
		return nil, records.Answer(err, "")
	}
	return answer, answerWith(answer, caller, kept)
}

// mergedRecord is the record that is to stay, as it was sent; nil for as it is.
func mergedRecord(sent *anypb.Any, keep catalog.Name) (proto.Message, error) {
	if sent == nil {
		return nil, nil
	}
	record := keep.Kind.New()
	if err := sent.UnmarshalTo(record); err != nil {
		return nil, apierror.Invalid("merged", "is not one of the "+keep.Kind.Collection)
	}
	return record, nil
}

// pointReferrers lets all that points to one record point to another.
func (s *Server) pointReferrers(r store.Reader, change *records.Change, undo *merge, from, to catalog.Name) ([]string, error) {
	referrers, err := r.Referrers(from.String(), maxReferrers+1)
	if err != nil {
		return nil, err
	}
	if len(referrers) > maxReferrers {
		return nil, apierror.New(registryv1.ErrorReason_TOO_LARGE, fmt.Sprintf("more than %d records point to %s; let them point to %s first", maxReferrers, from, to))
	}
	var changed []string
	for _, text := range referrers {
		name, err := catalog.ParseName(text)
		if err != nil {
			return nil, err
		}
		if text == to.String() || text == from.String() {
			continue
		}
		if err := undo.remember(r, name); err != nil {
			return nil, err
		}
		_, err = change.Update(name, "", func(after proto.Message) error {
			point(after, from.String(), to.String())
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("%s points to it: %w", text, err)
		}
		changed = append(changed, text)
	}
	return changed, nil
}

// point lets every reference of a record to one name be to another; without
// another, it goes. A list has no element twice.
func point(record proto.Message, from, to string) { pointIn(record.ProtoReflect(), from, to) }

func pointIn(m protoreflect.Message, from, to string) {
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		refers := proto.HasExtension(fd.Options(), annotations.E_ResourceReference)
		switch {
		case fd.IsMap():
			if fd.MapValue().Message() != nil {
				v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool { pointIn(v.Message(), from, to); return true })
			}
		case fd.Kind() == protoreflect.StringKind && refers && fd.IsList():
			var names []string
			hit := false
			for i := range v.List().Len() {
				name := v.List().Get(i).String()
				if name == from {
					name, hit = to, true
				}
				if name != "" && !slices.Contains(names, name) {
					names = append(names, name)
				}
			}
			if hit {
				list := m.Mutable(fd).List()
				list.Truncate(0)
				for _, name := range names {
					list.Append(protoreflect.ValueOfString(name))
				}
			}
		case fd.Kind() == protoreflect.StringKind && refers && v.String() == from:
			m.Set(fd, protoreflect.ValueOfString(to))
		case fd.Message() != nil && fd.IsList():
			list := m.Mutable(fd).List()
			for i := range list.Len() {
				pointIn(list.Get(i).Message(), from, to)
			}
		case fd.Message() != nil:
			pointIn(v.Message(), from, to)
		}
		return true
	})
}

// UndoMerge takes a merge back.
func (s *Server) UndoMerge(ctx context.Context, call *editorialv1.UndoMergeRequest) (*editorialv1.MergeRecordsResponse, error) {
	if s.records == nil {
		return nil, elsewhere()
	}
	if err := s.inside(call.GetParent()); err != nil {
		return nil, err
	}
	drop, err := catalog.ParseName(call.GetRecord())
	if err != nil {
		return nil, apierror.Invalid("record", "is not the name of a record")
	}
	caller := policy.Of(ctx)
	answer := &editorialv1.MergeRecordsResponse{}
	var both []proto.Message
	_, err = s.store.Commit(ctx, store.Request{}, nil, func(r store.Reader, stamp store.Stamp) (store.Outcome, error) {
		answer, both = &editorialv1.MergeRecordsResponse{}, nil
		undo, err := s.readMerge(r, drop.String())
		if err != nil {
			return store.Outcome{}, err
		}
		if undo == nil {
			return store.Outcome{}, apierror.New(registryv1.ErrorReason_RESOURCE_NOT_FOUND,
				fmt.Sprintf("no merge is known by which %s went; one is kept for %d days", drop, int(mergesKept.Hours()/24)), apierror.With("name", drop.String()))
		}
		change := s.records.Begin(r, stamp, caller)
		// The record that went comes first: the others point to it again.
		for _, text := range undo.order(drop.String()) {
			after, err := undo.restore(change, r, text, text == drop.String())
			if err != nil {
				return store.Outcome{}, err
			}
			switch {
			case text == drop.String() || text == undo.Keep:
				both = append(both, after)
			case after != nil:
				answer.Referrers = append(answer.Referrers, text)
			}
		}
		entry := caller.Entry(editorialv1.DuplicateService_UndoMerge_FullMethodName, drop.String(), auditv1.AuditEntry_DONE)
		return store.Outcome{
			Put: change.Put(), Local: forgotten(drop.String(), undo), Audit: []*auditv1.AuditEntry{entry},
			Why: store.Why{Action: editorialv1.RecordChange_UNDONE, Actor: records.Actor(caller), Note: undo.Keep},
		}, nil
	})
	if err != nil {
		return nil, records.Answer(err, "")
	}
	for _, record := range both {
		if err := answerWith(answer, caller, record); err != nil {
			return nil, err
		}
	}
	return answer, nil
}

// answerWith adds what the caller sees of a record to an answer.
func answerWith(answer *editorialv1.MergeRecordsResponse, caller *policy.Caller, record proto.Message) error {
	if record == nil {
		return nil
	}
	seen := caller.Sight().Of(record)
	if seen == nil {
		return nil
	}
	packed, err := anypb.New(seen)
	answer.Records = append(answer.Records, packed)
	return err
}

const (
	// areaMerges: name of the record that went -> the merge
	areaMerges = "merges"
	// areaMergesDue: time at which a merge is forgotten, name -> nothing
	areaMergesDue = "merges-due"
	// mergesKept is how long a merge can be taken back.
	mergesKept = 90 * 24 * time.Hour
)

// A merge is what is kept to take it back.
type merge struct {
	// Keep is the record that stays.
	Keep string
	// Revision and Time of the merge: a record with another revision changed since.
	Revision int64
	Time     time.Time
	// Before are the records as they were, serialised, by name.
	Before map[string][]byte
}

// remember keeps how records are before the merge.
func (m *merge) remember(r store.Reader, names ...catalog.Name) error {
	if m.Before == nil {
		m.Before = map[string][]byte{}
	}
	for _, name := range names {
		raw, err := r.Raw(name)
		if err != nil {
			return err
		}
		if raw == nil {
			return apierror.NotFound(name.String())
		}
		m.Before[name.String()] = raw
	}
	return nil
}

// order are the names of a merge's records, the one that went first.
func (m *merge) order(drop string) []string {
	names := []string{drop}
	for name := range m.Before {
		if name != drop {
			names = append(names, name)
		}
	}
	slices.Sort(names[1:])
	return names
}

// restore makes a record what it was before the merge, unless somebody changed
// it since: nil then.
func (m *merge) restore(change *records.Change, r store.Reader, text string, dropped bool) (proto.Message, error) {
	name, err := catalog.ParseName(text)
	if err != nil {
		return nil, err
	}
	before := name.Kind.New()
	if err := proto.Unmarshal(m.Before[text], before); err != nil {
		return nil, fmt.Errorf("%s as it was before the merge: %w", text, err)
	}
	now, err := r.Get(name)
	if err != nil {
		return nil, err
	}
	switch {
	case now == nil && dropped:
		return change.Create(name, before) // it was purged meanwhile
	case dropped && !catalog.RecordOf(now).Deleted():
		return nil, apierror.New(registryv1.ErrorReason_NOT_DELETED, text+" is there again already", apierror.With("name", text))
	case dropped:
		return change.Undelete(name, "")
	case now == nil || catalog.RecordOf(now).Revision() > m.Revision || catalog.RecordOf(now).Deleted():
		return nil, nil
	case catalog.RecordOf(now).Revision() < m.Revision:
		return now, nil // the merge did not change it
	}
	return change.Update(name, "", records.Replace(before))
}

func mergeKey(name string) store.LocalKey { return store.LocalKey{Area: areaMerges, ID: name} }

func mergeDueKey(at time.Time, name string) store.LocalKey {
	return store.LocalKey{Area: areaMergesDue, ID: fmt.Sprintf("%016x", max(at.UnixNano(), 0)) + name}
}
