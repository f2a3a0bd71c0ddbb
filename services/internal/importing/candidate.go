package importing

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/exchangev1"
	"cidsistem.example/proto/gen/registryv1"
)

// A candidate is what a line of a file says of one record.
type candidate struct {
	// line in the table, from 1.
	line int64
	// empty lines carry nothing.
	empty bool
	// name of the record that it makes or changes.
	name catalog.Name
	// content is what the line says of the record.
	content proto.Message
	// whole: the content is all of the record, not only what the line knows.
	whole bool
	// defaults are for a new record only, where the content does not say.
	defaults proto.Message
	// remarks are repairs, and what is wrong when bad is set.
	remarks []*exchangev1.ImportRow_Remark
	bad     bool
	// repeats is the line that spoke of the record before, 0 for none.
	repeats int64
}

func (c *candidate) remark(column, value, repaired, description string) {
	c.remarks = append(c.remarks, &exchangev1.ImportRow_Remark{
		Column: column, Value: shortened(value, 300), Repaired: shortened(repaired, 300), Description: description,
	})
}

// wrong puts the row aside.
func (c *candidate) wrong(column, value, description string) {
	c.bad = true
	c.remark(column, value, "", description)
}

// scheme is the identifier scheme of the records of a source.
func scheme(source string) string { return "import-" + source }

// recordID is the same for the same key of a source, for ever.
func recordID(source, collection, key string) string {
	digest := sha256.Sum256([]byte(collection + "\x00" + key))
	return source + "-" + hex.EncodeToString(digest[:8])
}

// recordName names the record of a key of a source.
func recordName(comune, source, collection, key string) catalog.Name {
	return catalog.Name{Kind: catalog.ByCollection(collection), IDs: []string{comune, recordID(source, collection, key)}}
}

// identifiersOf are those of a record of any kind.
func identifiersOf(record proto.Message) []*registryv1.Identifier {
	if has, ok := record.(interface {
		GetIdentifiers() []*registryv1.Identifier
	}); ok {
		return has.GetIdentifiers()
	}
	return nil
}

// identifier of a scheme, empty for none.
func identifier(record proto.Message, scheme string) string {
	for _, id := range identifiersOf(record) {
		if id.GetScheme() == scheme {
			return id.GetValue()
		}
	}
	return ""
}

// set sets a field of a record of any kind by its name.
func set[T proto.Message](record proto.Message, field protoreflect.Name, value T) {
	m := record.ProtoReflect()
	if fd := m.Descriptor().Fields().ByName(field); fd != nil {
		m.Set(fd, protoreflect.ValueOfMessage(value.ProtoReflect()))
	}
}

// add appends to a list of messages of a record of any kind.
func add[T proto.Message](record proto.Message, field protoreflect.Name, value T) {
	m := record.ProtoReflect()
	if fd := m.Descriptor().Fields().ByName(field); fd != nil {
		m.Mutable(fd).List().Append(protoreflect.ValueOfMessage(value.ProtoReflect()))
	}
}

// overlay writes what a source says over what a record says. What the source
// does not speak of stays: translations, contacts of other kinds, identifiers of
// other schemes.
func overlay(record, content protoreflect.Message) {
	content.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case fd.IsMap():
		case fd.IsList() && fd.Message() != nil && fd.Message().Name() == "ContactPoint":
			overlayContacts(record.Mutable(fd).List(), v.List())
		case fd.IsList() && fd.Message() != nil && fd.Message().Name() == "Identifier":
			for i := range v.List().Len() {
				overlayIdentifier(record.Mutable(fd).List(), v.List().Get(i))
			}
		case fd.IsList() && fd.Message() != nil && fd.Message().Name() == "CostOption":
			record.Set(fd, v)
		case fd.IsList():
			list := record.Mutable(fd).List()
			for i := range v.List().Len() {
				if !contains(list, v.List().Get(i)) {
					list.Append(v.List().Get(i))
				}
			}
		case fd.Message() != nil && fd.Message().Name() == "Schedule":
			record.Set(fd, v)
		case fd.Message() != nil && (fd.Message().Name() == "PartialDate" || fd.Message().Name() == "Provenance" || fd.Message().Name() == "LatLng"):
			if fd.Message().Name() == "Provenance" {
				overlay(record.Mutable(fd).Message(), v.Message())
			} else {
				record.Set(fd, v)
			}
		case fd.Message() != nil:
			overlay(record.Mutable(fd).Message(), v.Message())
		default:
			record.Set(fd, v)
		}
		return true
	})
}

func contains(list protoreflect.List, value protoreflect.Value) bool {
	for i := range list.Len() {
		if list.Get(i).Equal(value) {
			return true
		}
	}
	return false
}

// overlayContacts replaces the contacts of those kinds of which the source
// knows any; one that is there already stays as it is.
func overlayContacts(have, said protoreflect.List) {
	phone := func(c *registryv1.ContactPoint) registryv1.ContactPoint_Kind {
		if c.GetKind() == registryv1.ContactPoint_MOBILE {
			return registryv1.ContactPoint_PHONE
		}
		return c.GetKind()
	}
	contacts := func(list protoreflect.List) (all []*registryv1.ContactPoint) {
		for i := range list.Len() {
			all = append(all, list.Get(i).Message().Interface().(*registryv1.ContactPoint))
		}
		return all
	}
	before, source := contacts(have), contacts(said)
	kept := slices.DeleteFunc(slices.Clone(before), func(c *registryv1.ContactPoint) bool {
		known, same := false, false
		for _, s := range source {
			known = known || phone(s) == phone(c)
			same = same || s.GetValue() == c.GetValue()
		}
		return known && !same
	})
	for _, s := range source {
		if !slices.ContainsFunc(kept, func(c *registryv1.ContactPoint) bool {
			return phone(c) == phone(s) && c.GetValue() == s.GetValue()
		}) {
			kept = append(kept, s)
		}
	}
	have.Truncate(0)
	for _, c := range kept {
		have.Append(protoreflect.ValueOfMessage(c.ProtoReflect()))
	}
}

func overlayIdentifier(list protoreflect.List, said protoreflect.Value) {
	id := said.Message().Interface().(*registryv1.Identifier)
	for i := range list.Len() {
		if have := list.Get(i).Message().Interface().(*registryv1.Identifier); have.GetScheme() == id.GetScheme() {
			list.Set(i, said)
			return
		}
	}
	list.Append(said)
}
