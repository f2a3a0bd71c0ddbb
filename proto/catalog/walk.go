package catalog

import (
	"slices"
	"strconv"
	"time"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/proto/gen/annotationsv1"
	"cidsistem.example/proto/gen/registryv1"
)

// A step is a field that is annotated, or leads to one that is; walking the
// steps of a kind visits what matters and nothing else.
type step struct {
	field     protoreflect.FieldDescriptor
	search    *annotationsv1.SearchOptions
	reference string // resource type
	due       bool
	keeper    bool // of an organisation, whose own card the record is
	contact   bool // the field holds ContactPoints
	address   bool // the field holds an Address
	next      []step
}

var (
	contactPoint = (&registryv1.ContactPoint{}).ProtoReflect().Descriptor().FullName()
	address      = (&registryv1.Address{}).ProtoReflect().Descriptor().FullName()
)

func compile(md protoreflect.MessageDescriptor) []step {
	var steps []step
	for i := range md.Fields().Len() {
		fd := md.Fields().Get(i)
		s := step{field: fd}
		s.search, _ = proto.GetExtension(fd.Options(), annotationsv1.E_Search).(*annotationsv1.SearchOptions)
		s.due, _ = proto.GetExtension(fd.Options(), annotationsv1.E_Due).(bool)
		s.keeper, _ = proto.GetExtension(fd.Options(), annotationsv1.E_Keeper).(bool)
		if ref, _ := proto.GetExtension(fd.Options(), annotations.E_ResourceReference).(*annotations.ResourceReference); ref != nil {
			s.reference = ref.GetType()
		}
		if fd.Message() != nil && !fd.IsMap() && s.search == nil {
			s.contact = fd.Message().FullName() == contactPoint
			s.address = fd.Message().FullName() == address
			if fd.Message().ParentFile().Package() == md.ParentFile().Package() {
				s.next = compile(fd.Message())
			}
		}
		if s.search != nil || s.due || s.reference != "" || s.contact || s.address || len(s.next) > 0 {
			steps = append(steps, s)
		}
	}
	return steps
}

// visit calls f for every value of an annotated field; the path has JSON names,
// and indices in lists.
func visit(m protoreflect.Message, steps []step, path string, f func(path string, s *step, v protoreflect.Value)) {
	for i := range steps {
		s := &steps[i]
		if !m.Has(s.field) {
			continue
		}
		at := s.field.JSONName()
		if path != "" {
			at = path + "." + at
		}
		if !s.field.IsList() {
			visitValue(m.Get(s.field), at, s, f)
			continue
		}
		list := m.Get(s.field).List()
		for j := range list.Len() {
			visitValue(list.Get(j), at+"["+strconv.Itoa(j)+"]", s, f)
		}
	}
}

func visitValue(v protoreflect.Value, path string, s *step, f func(string, *step, protoreflect.Value)) {
	if s.search != nil || s.due || s.reference != "" {
		f(path, s, v)
	}
	if len(s.next) > 0 && (!s.address || !withheld(v.Message())) {
		visit(v.Message(), s.next, path, f)
	}
}

// withheld tells whether an address is kept from the public: nobody finds the
// record by it either.
func withheld(m protoreflect.Message) bool {
	a, ok := m.Interface().(*registryv1.Address)
	return ok && a.GetWithheldReason() != ""
}

// shownOf is what everybody may see of an address that is withheld: the comune,
// and why there is no more.
func shownOf(a *registryv1.Address) *registryv1.Address {
	return &registryv1.Address{Municipality: a.GetMunicipality(), IstatCode: a.GetIstatCode(), WithheldReason: a.GetWithheldReason()}
}

// A Reference is a field of a record that names another record.
type Reference struct {
	// Field is its path, with JSON names.
	Field string
	// Type is the resource type that it must name.
	Type string
	// Target is the name.
	Target string
}

// References lists the records that a record points to, empty names left out.
func References(record proto.Message) []Reference {
	var refs []Reference
	visit(record.ProtoReflect(), Of(record).steps, "", func(path string, s *step, v protoreflect.Value) {
		if s.reference != "" && v.String() != "" {
			refs = append(refs, Reference{Field: path, Type: s.reference, Target: v.String()})
		}
	})
	return refs
}

// DueTime tells when a record needs attention again; ok is false when nothing
// says so.
func DueTime(record proto.Message) (due time.Time, ok bool) {
	visit(record.ProtoReflect(), Of(record).steps, "", func(_ string, s *step, v protoreflect.Value) {
		if !s.due {
			return
		}
		t := v.Message().Interface().(*timestamppb.Timestamp).AsTime()
		if !ok || t.Before(due) {
			due, ok = t, true
		}
	})
	return due, ok
}

// SearchValue is a value of a record that search uses.
type SearchValue struct {
	// Role is its weight class; unspecified for a facet without text.
	Role annotationsv1.SearchRole
	// Facet that it feeds, empty for none.
	Facet string
	// Field describes it.
	Field protoreflect.FieldDescriptor
	// Value is a string, an enum number, or a LocalizedText or CodedValue.
	Value protoreflect.Value
}

// SearchValues calls f for every value of a record that search uses.
func SearchValues(record proto.Message, f func(SearchValue)) {
	visit(record.ProtoReflect(), Of(record).steps, "", func(_ string, s *step, v protoreflect.Value) {
		if s.search != nil {
			f(SearchValue{Role: s.search.GetRole(), Facet: s.search.GetFacet(), Field: s.field, Value: v})
		}
	})
}

// Keeper is the organisation whose own card a record is: that of a field marked
// so, or the record itself for an organisation; empty for none.
func Keeper(record proto.Message) string {
	kind, keeper := Of(record), ""
	if kind.Collection == "organizations" {
		return RecordOf(record).Name()
	}
	for i := range kind.steps {
		if s := &kind.steps[i]; s.keeper {
			keeper = record.ProtoReflect().Get(s.field).String()
		}
	}
	return keeper
}

// A Sight is what somebody may see of records.
type Sight struct {
	// Reads bounds the visibility of what is seen.
	Reads registryv1.Visibility
	// Keeps are organisations whose cards are seen whatever their visibility.
	Keeps []string
}

// Of returns what is seen of a record, nil for nothing, the record itself for
// all of it; see Narrow.
func (s Sight) Of(record proto.Message) proto.Message {
	if len(s.Keeps) > 0 && slices.Contains(s.Keeps, Keeper(record)) {
		return record
	}
	return Narrow(record, s.Reads)
}

// Narrow returns what readers of a visibility may see of a record: nil when
// they may not see it at all, the record itself when they may see all of it,
// else a copy without the contacts that are not for them, and without the street
// of addresses that are withheld. A reader PUBLIC sees PUBLIC; NETWORK sees
// PUBLIC and NETWORK; LOCAL sees everything, withheld addresses too.
func Narrow(record proto.Message, reader registryv1.Visibility) proto.Message {
	if RecordOf(record).Visibility() > reader {
		return nil
	}
	kind := Of(record)
	if !hides(record.ProtoReflect(), kind.steps, reader) {
		return record
	}
	narrowed := proto.Clone(record)
	dropHidden(narrowed.ProtoReflect(), kind.steps, reader)
	return narrowed
}

func hides(m protoreflect.Message, steps []step, reader registryv1.Visibility) bool {
	for i := range steps {
		s := &steps[i]
		if (!s.contact && !s.address && len(s.next) == 0) || !m.Has(s.field) {
			continue
		}
		if !s.field.IsList() {
			if s.hidesAddress(m.Get(s.field).Message(), reader) {
				return true
			}
			if hides(m.Get(s.field).Message(), s.next, reader) {
				return true
			}
			continue
		}
		list := m.Get(s.field).List()
		for j := range list.Len() {
			item := list.Get(j).Message()
			if s.contact && item.Interface().(*registryv1.ContactPoint).GetVisibility() > reader || s.hidesAddress(item, reader) {
				return true
			}
			if hides(item, s.next, reader) {
				return true
			}
		}
	}
	return false
}

// hidesAddress tells whether more of an address is there than a reader may see.
func (s *step) hidesAddress(m protoreflect.Message, reader registryv1.Visibility) bool {
	if !s.address || reader >= registryv1.Visibility_LOCAL || !withheld(m) {
		return false
	}
	return !proto.Equal(m.Interface(), shownOf(m.Interface().(*registryv1.Address)))
}

func dropHidden(m protoreflect.Message, steps []step, reader registryv1.Visibility) {
	for i := range steps {
		s := &steps[i]
		if (!s.contact && !s.address && len(s.next) == 0) || !m.Has(s.field) {
			continue
		}
		if !s.field.IsList() {
			if held := m.Get(s.field).Message(); s.hidesAddress(held, reader) {
				m.Set(s.field, protoreflect.ValueOfMessage(shownOf(held.Interface().(*registryv1.Address)).ProtoReflect()))
				continue
			}
			dropHidden(m.Get(s.field).Message(), s.next, reader)
			continue
		}
		list := m.Mutable(s.field).List()
		kept := 0
		for j := range list.Len() {
			item := list.Get(j).Message()
			if s.contact && item.Interface().(*registryv1.ContactPoint).GetVisibility() > reader {
				continue
			}
			if s.hidesAddress(item, reader) {
				list.Set(kept, protoreflect.ValueOfMessage(shownOf(item.Interface().(*registryv1.Address)).ProtoReflect()))
				kept++
				continue
			}
			dropHidden(item, s.next, reader)
			list.Set(kept, list.Get(j))
			kept++
		}
		list.Truncate(kept)
	}
}
