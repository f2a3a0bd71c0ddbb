package editorial

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/auditv1"
	"cidsistem.example/proto/gen/editorialv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/policy"
	"cidsistem.example/services/internal/records"
	"cidsistem.example/services/internal/standard"
	"cidsistem.example/services/internal/store"
)

const (
	// undoKept is for how long a change of many can be taken back.
	undoKept = 30 * 24 * time.Hour
	// mostTogether is how many bytes of records change together at most: a revision
	// of the feed must fit into a message.
	mostTogether = 2 << 20
)

// A keptChange is what is kept of a change of many records.
type keptChange struct {
	// Revision of the feed that made it.
	Revision int64
	// Records that changed, by name.
	Records []string
	// Due is when it cannot be taken back any more.
	Due time.Time
}

// ChangeRecords changes fields of many records at once, all or none of them.
func (s recordServer) ChangeRecords(ctx context.Context, call *editorialv1.ChangeRecordsRequest) (*editorialv1.ChangeRecordsResponse, error) {
	if err := s.owns(call.GetParent()); err != nil {
		return nil, err
	}
	values, err := recordIn("values", call.GetValues())
	if err != nil {
		return nil, err
	}
	kind := catalog.Of(values)
	mask, err := standard.MaskOf(kind, call.GetUpdateMask())
	if err != nil {
		return nil, err
	}
	if mask == nil {
		return nil, apierror.Invalid("updateMask", "is empty; name the fields to take")
	}
	names := make([]catalog.Name, len(call.GetRecords()))
	for i, text := range call.GetRecords() {
		if names[i], err = s.nameOf(fmt.Sprintf("records[%d]", i), text); err != nil {
			return nil, err
		}
		if names[i].Kind != kind {
			return nil, apierror.Invalid(fmt.Sprintf("records[%d]", i), "is not one of the "+kind.Collection)
		}
	}
	request, err := standard.Repeatable(editorialv1.RecordService_ChangeRecords_FullMethodName, call)
	if err != nil {
		return nil, err
	}
	caller, id := policy.Of(ctx), standard.NewID("change")
	decide := func(r store.Reader, stamp store.Stamp) (change *records.Change, answer *editorialv1.ChangeRecordsResponse, whole bool, err error) {
		change, answer, whole = s.records.Begin(r, stamp, caller), &editorialv1.ChangeRecordsResponse{}, true
		for _, name := range names {
			result, err := s.changeOne(r, change, caller, name, mask, func(after proto.Message) error {
				before := proto.Clone(after)
				standard.ApplyMask(mask, after, values)
				if call.GetAddToLists() {
					keepLists(before.ProtoReflect(), after.ProtoReflect(), mask)
				}
				return nil
			})
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				return nil, nil, false, err
			}
			whole = whole && result.GetProblem() == ""
			answer.Results = append(answer.Results, result)
		}
		return change, answer, whole, fits(change.Put())
	}
	if call.GetValidateOnly() {
		// Nobody has to wait for what writes nothing.
		var answer *editorialv1.ChangeRecordsResponse
		err := s.store.View(func(r store.Reader) (err error) {
			_, answer, _, err = decide(r, store.Stamp{Time: s.store.Now()})
			return err
		})
		return answer, err
	}
	answer, err := s.commit(ctx, request, call.GetRequestId(), &editorialv1.ChangeRecordsResponse{}, func(r store.Reader, stamp store.Stamp) (store.Outcome, error) {
		change, answer, whole, err := decide(r, stamp)
		if err != nil {
			return store.Outcome{}, err
		}
		if !whole || len(change.Put()) == 0 {
			return store.Outcome{Answer: answer, DryRun: true}, nil
		}
		answer.Change = id
		return s.together(caller, change, stamp, answer, editorialv1.RecordService_ChangeRecords_FullMethodName,
			store.Why{Action: editorialv1.RecordChange_CHANGED_TOGETHER, Note: call.GetNote(), Cause: id})
	})
	if err != nil {
		return nil, err
	}
	return answer.(*editorialv1.ChangeRecordsResponse), nil
}

// keepLists puts the values that lists of a mask had before what they have now;
// a value that they had is not there twice.
func keepLists(before, after protoreflect.Message, mask *fieldmaskpb.FieldMask) {
	for _, path := range mask.GetPaths() {
		fd := after.Descriptor().Fields().ByName(protoreflect.Name(path))
		if fd == nil || !fd.IsList() {
			continue
		}
		kept := after.NewField(fd).List()
		has := func(value protoreflect.Value) bool {
			for i := range kept.Len() {
				if kept.Get(i).Equal(value) {
					return true
				}
			}
			return false
		}
		for _, list := range []protoreflect.List{before.Get(fd).List(), after.Get(fd).List()} {
			for i := range list.Len() {
				if value := list.Get(i); !has(value) {
					kept.Append(value)
				}
			}
		}
		if kept.Len() > 0 {
			after.Set(fd, protoreflect.ValueOfList(kept))
		}
	}
}

// together writes what a change of many records decided, and what it takes to
// take it back.
func (s recordServer) together(caller *policy.Caller, change *records.Change, stamp store.Stamp, answer *editorialv1.ChangeRecordsResponse, method string, why store.Why) (store.Outcome, error) {
	put := change.Put()
	kept := keptChange{Revision: stamp.Revision, Due: stamp.Time.Add(undoKept)}
	for _, record := range put {
		kept.Records = append(kept.Records, catalog.RecordOf(record).Name())
	}
	body, err := json.Marshal(kept)
	if err != nil {
		return store.Outcome{}, err
	}
	w := writer{office: s.Office}
	w.put(changeKey(answer.GetChange()), body)
	w.put(dueKey(kept.Due, dueChange, answer.GetChange()), nil)
	why.Actor = records.Actor(caller)
	e := entry(caller, method, s.parent)
	e.Count = int64(len(put))
	return store.Outcome{Put: put, Why: why, Local: w.local, Answer: answer, Audit: []*auditv1.AuditEntry{e}}, w.err
}

func fits(put []proto.Message) error {
	size := 0
	for _, record := range put {
		size += proto.Size(record)
	}
	if size > mostTogether {
		return apierror.New(registryv1.ErrorReason_TOO_LARGE, fmt.Sprintf("the records have more than %d bytes together; change fewer at a time", mostTogether))
	}
	return nil
}

// changeOne decides on one record, and tells what comes of it. What is refused
// is told in the result.
func (s recordServer) changeOne(r store.Reader, change *records.Change, caller *policy.Caller, name catalog.Name, mask *fieldmaskpb.FieldMask, edit func(after proto.Message) error) (*editorialv1.ChangeRecordsResponse_Result, error) {
	result := &editorialv1.ChangeRecordsResponse_Result{Record: name.String()}
	before, err := s.whole(r, caller, name)
	if err == nil {
		result.Title = catalog.RecordOf(before).Title()
		var after proto.Message
		if after, err = change.Update(name, "", edit); err == nil {
			result.Changed = after != before && !proto.Equal(after, before)
			if result.Before, err = fieldsOf(before, mask); err != nil {
				return nil, err
			}
			result.After, err = fieldsOf(after, mask)
			return result, err
		}
	}
	if !refusal(err) {
		return nil, err
	}
	result.Problem = inItalian(err)
	return result, nil
}

// fieldsOf are some fields of a record as JSON.
func fieldsOf(record proto.Message, mask *fieldmaskpb.FieldMask) (string, error) {
	part := catalog.Of(record).New()
	standard.ApplyMask(mask, part, record)
	text, err := protojson.Marshal(part)
	return string(text), err
}

// UndoChange takes a change of many records back, of those that are still as it
// left them.
func (s recordServer) UndoChange(ctx context.Context, call *editorialv1.UndoChangeRequest) (*editorialv1.ChangeRecordsResponse, error) {
	if err := s.owns(call.GetParent()); err != nil {
		return nil, err
	}
	caller := policy.Of(ctx)
	answer, err := s.commit(ctx, store.Request{}, "", nil, func(r store.Reader, stamp store.Stamp) (store.Outcome, error) {
		body, err := s.local(r, changeKey(call.GetChange()))
		if err != nil {
			return store.Outcome{}, err
		}
		if body == nil {
			return store.Outcome{}, apierror.New(registryv1.ErrorReason_RESOURCE_NOT_FOUND, "there is no such change, or it cannot be taken back any more", apierror.Field("change", "does not exist"))
		}
		var kept keptChange
		if err := json.Unmarshal(body, &kept); err != nil {
			return store.Outcome{}, fmt.Errorf("%w: %w", errDamaged, err)
		}
		change, answer := s.records.Begin(r, stamp, caller), &editorialv1.ChangeRecordsResponse{}
		for _, text := range kept.Records {
			result, err := s.undoOne(r, change, caller, text, kept.Revision)
			if err != nil {
				return store.Outcome{}, err
			}
			answer.Results = append(answer.Results, result)
		}
		if err := fits(change.Put()); err != nil || len(change.Put()) == 0 {
			return store.Outcome{Answer: answer}, err
		}
		w := writer{office: s.Office}
		w.remove(changeKey(call.GetChange()))
		w.remove(dueKey(kept.Due, dueChange, call.GetChange()))
		e := entry(caller, editorialv1.RecordService_UndoChange_FullMethodName, s.parent)
		e.Count = int64(len(change.Put()))
		return store.Outcome{
			Put: change.Put(), Local: w.local, Answer: answer, Audit: []*auditv1.AuditEntry{e},
			Why: store.Why{Action: editorialv1.RecordChange_UNDONE, Actor: records.Actor(caller), Cause: call.GetChange()},
		}, w.err
	})
	if err != nil {
		return nil, err
	}
	return answer.(*editorialv1.ChangeRecordsResponse), nil
}

// undoOne makes one record as it was before a revision.
func (s recordServer) undoOne(r store.Reader, change *records.Change, caller *policy.Caller, text string, revision int64) (*editorialv1.ChangeRecordsResponse_Result, error) {
	name, err := catalog.ParseName(text)
	if err != nil {
		return nil, errDamaged
	}
	version, err := r.Version(name, revision)
	if err != nil {
		return nil, err
	}
	now, err := r.Get(name)
	if err != nil {
		return nil, err
	}
	if version == nil || version.Before == nil || now == nil || catalog.RecordOf(now).Revision() != revision {
		result := &editorialv1.ChangeRecordsResponse_Result{Record: text, Problem: "la scheda è cambiata dopo"}
		if now != nil {
			result.Title = catalog.RecordOf(now).Title()
		}
		return result, nil
	}
	mask := &fieldmaskpb.FieldMask{}
	mask.Paths = append(mask.Paths, version.Change.GetFields()...)
	if mask, err = standard.MaskOf(name.Kind, mask); err != nil {
		return nil, err
	}
	return s.changeOne(r, change, caller, name, mask, records.Replace(version.Before))
}
