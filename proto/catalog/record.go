package catalog

import (
	"fmt"
	"slices"
	"time"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/proto/gen/registryv1"
)

// standardFields are the fields that every kind has, see values.proto.
type standardFields struct {
	name, visibility, provenance       protoreflect.FieldDescriptor
	created, updated, deleted, purging protoreflect.FieldDescriptor
	revision, etag                     protoreflect.FieldDescriptor
}

func standardFieldsOf(md protoreflect.MessageDescriptor) standardFields {
	field := func(name protoreflect.Name, number protoreflect.FieldNumber) protoreflect.FieldDescriptor {
		fd := md.Fields().ByName(name)
		if fd == nil || fd.Number() != number {
			panic(fmt.Sprintf("catalog: %s has no field %s = %d", md.FullName(), name, number))
		}
		return fd
	}
	return standardFields{
		name:       field("name", 1),
		visibility: field("visibility", 80),
		provenance: field("provenance", 81),
		created:    field("create_time", 90),
		updated:    field("update_time", 91),
		deleted:    field("delete_time", 92),
		purging:    field("purge_time", 93),
		revision:   field("revision", 94),
		etag:       field("etag", 95),
	}
}

// A Record gives access to the standard fields of a message of any kind.
type Record struct {
	kind *Kind
	m    protoreflect.Message
}

// RecordOf wraps a message; it panics when the message is no record, which is a
// defect of the caller.
func RecordOf(message proto.Message) Record {
	kind := Of(message)
	if kind == nil {
		panic(fmt.Sprintf("catalog: %T is not a record", message))
	}
	return Record{kind, message.ProtoReflect()}
}

// Kind of the record.
func (r Record) Kind() *Kind { return r.kind }

// Message is the record itself.
func (r Record) Message() proto.Message { return r.m.Interface() }

// Name is the resource name.
func (r Record) Name() string { return r.m.Get(r.kind.fields.name).String() }

// SetName sets the resource name.
func (r Record) SetName(name string) { r.m.Set(r.kind.fields.name, protoreflect.ValueOfString(name)) }

// Etag is the record's validator.
func (r Record) Etag() string { return r.m.Get(r.kind.fields.etag).String() }

// SetEtag sets the record's validator.
func (r Record) SetEtag(etag string) { r.m.Set(r.kind.fields.etag, protoreflect.ValueOfString(etag)) }

// Revision is the owner's revision that wrote the record.
func (r Record) Revision() int64 { return r.m.Get(r.kind.fields.revision).Int() }

// SetRevision sets it.
func (r Record) SetRevision(n int64) {
	r.m.Set(r.kind.fields.revision, protoreflect.ValueOfInt64(n))
}

// Visibility of the record; never unspecified.
func (r Record) Visibility() registryv1.Visibility {
	v := registryv1.Visibility(r.m.Get(r.kind.fields.visibility).Enum())
	if v == registryv1.Visibility_VISIBILITY_UNSPECIFIED {
		return registryv1.Visibility_PUBLIC
	}
	return v
}

// Provenance of the record, nil when it has none.
func (r Record) Provenance() *registryv1.Provenance {
	if !r.m.Has(r.kind.fields.provenance) {
		return nil
	}
	return r.m.Get(r.kind.fields.provenance).Message().Interface().(*registryv1.Provenance)
}

// Title is the record's title in Italian, empty when it has none.
func (r Record) Title() string {
	fd := r.m.Descriptor().Fields().ByName("title")
	if fd == nil || !r.m.Has(fd) {
		return ""
	}
	title, _ := r.m.Get(fd).Message().Interface().(*registryv1.LocalizedText)
	return title.GetIt()
}

// CreateTime is when the record was created.
func (r Record) CreateTime() time.Time { return r.time(r.kind.fields.created) }

// SetCreateTime sets it; the zero time clears it.
func (r Record) SetCreateTime(t time.Time) { r.setTime(r.kind.fields.created, t) }

// UpdateTime is when the record last changed.
func (r Record) UpdateTime() time.Time { return r.time(r.kind.fields.updated) }

// SetUpdateTime sets it; the zero time clears it.
func (r Record) SetUpdateTime(t time.Time) { r.setTime(r.kind.fields.updated, t) }

// DeleteTime is when the record was deleted, zero while it lives.
func (r Record) DeleteTime() time.Time { return r.time(r.kind.fields.deleted) }

// SetDeleteTime sets it; the zero time clears it.
func (r Record) SetDeleteTime(t time.Time) { r.setTime(r.kind.fields.deleted, t) }

// PurgeTime is when a deleted record goes for good.
func (r Record) PurgeTime() time.Time { return r.time(r.kind.fields.purging) }

// SetPurgeTime sets it; the zero time clears it.
func (r Record) SetPurgeTime(t time.Time) { r.setTime(r.kind.fields.purging, t) }

// Deleted tells whether the record is deleted.
func (r Record) Deleted() bool { return r.m.Has(r.kind.fields.deleted) }

func (r Record) time(fd protoreflect.FieldDescriptor) time.Time {
	if !r.m.Has(fd) {
		return time.Time{}
	}
	return r.m.Get(fd).Message().Interface().(*timestamppb.Timestamp).AsTime()
}

func (r Record) setTime(fd protoreflect.FieldDescriptor, t time.Time) {
	if t.IsZero() {
		r.m.Clear(fd)
		return
	}
	r.m.Set(fd, protoreflect.ValueOfMessage(timestamppb.New(t).ProtoReflect()))
}

// ServerFields lists the fields of a kind that only the server writes: callers
// change nothing by setting them.
func (k *Kind) ServerFields() []protoreflect.FieldDescriptor { return slices.Clone(k.serverFields) }

// CopyServerFields sets the fields that only the server writes to those of
// another record of the same kind.
func (r Record) CopyServerFields(from Record) {
	for _, fd := range r.kind.serverFields {
		if from.m.Has(fd) {
			r.m.Set(fd, from.m.Get(fd))
		} else {
			r.m.Clear(fd)
		}
	}
}

// serverFieldsOf reads from the contract what only the server writes.
func serverFieldsOf(md protoreflect.MessageDescriptor) []protoreflect.FieldDescriptor {
	var found []protoreflect.FieldDescriptor
	for i := range md.Fields().Len() {
		fd := md.Fields().Get(i)
		behaviors, _ := proto.GetExtension(fd.Options(), annotations.E_FieldBehavior).([]annotations.FieldBehavior)
		if fd.Name() == "etag" || slices.Contains(behaviors, annotations.FieldBehavior_OUTPUT_ONLY) || slices.Contains(behaviors, annotations.FieldBehavior_IDENTIFIER) {
			found = append(found, fd)
		}
	}
	return found
}
