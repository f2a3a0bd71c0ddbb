package editorial

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/registryv1"
)

// A part of a path: a field, and a place in its list where it has one.
type part struct {
	field protoreflect.FieldDescriptor
	place int // -1 for none
}

// partForm is one part of a path: a JSON name, and an index.
var partForm = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9]{0,60})(?:\[([0-9]{1,4})\])?$`)

// parsePath reads a path with JSON names below a record, such as
// "contacts[0].value". What only the server writes is no field.
func parsePath(kind *catalog.Kind, path string) ([]part, error) {
	var parts []part
	md := kind.Descriptor()
	for text := range strings.SplitSeq(path, ".") {
		match := partForm.FindStringSubmatch(text)
		if match == nil || md == nil {
			return nil, fmt.Errorf("%.100q is not a field of the record", path)
		}
		fd := md.Fields().ByJSONName(match[1])
		if fd == nil || len(parts) == 0 && slices.Contains(kind.ServerFields(), fd) {
			return nil, fmt.Errorf("%.100q is not a field of the record that can be changed", path)
		}
		p := part{field: fd, place: -1}
		if match[2] != "" {
			if !fd.IsList() {
				return nil, fmt.Errorf("%.100q: %s is not a list", path, match[1])
			}
			p.place, _ = strconv.Atoi(match[2])
		}
		if md = fd.Message(); fd.IsMap() || fd.IsList() && p.place < 0 {
			md = nil // all of it, or nothing
		}
		parts = append(parts, p)
	}
	return parts, nil
}

// inWhole turns a path into what somebody sees of a record into the path of the
// same in the whole record: of its contacts they see only some, so that the
// places differ.
func inWhole(path string, seen, whole proto.Message) string {
	first, rest, _ := strings.Cut(path, ".")
	match := partForm.FindStringSubmatch(first)
	if match == nil || match[2] == "" {
		return path
	}
	fd := seen.ProtoReflect().Descriptor().Fields().ByJSONName(match[1])
	if fd == nil || !fd.IsList() {
		return path
	}
	some, all := seen.ProtoReflect().Get(fd).List(), whole.ProtoReflect().Get(fd).List()
	place, _ := strconv.Atoi(match[2])
	if some.Len() == all.Len() || place >= some.Len() {
		return path
	}
	at := 0
	for i := range place + 1 { // what is seen is there in the same order
		for ; at < all.Len() && !all.Get(at).Equal(some.Get(i)); at++ {
		}
		if i < place {
			at++
		}
	}
	if at >= all.Len() {
		return path
	}
	path = fmt.Sprintf("%s[%d]", match[1], at)
	if rest != "" {
		path += "." + rest
	}
	return path
}

// localizedText is the message in which texts of a record stand.
var localizedText = (&registryv1.LocalizedText{}).ProtoReflect().Descriptor().FullName()

// setPath writes a value into a record: text as it is, where the field has text;
// anything else as JSON. At a list's end it adds to the list.
func setPath(record proto.Message, path, value string) error {
	parts, err := parsePath(catalog.Of(record), path)
	if err != nil {
		return err
	}
	m := record.ProtoReflect()
	for _, p := range parts[:len(parts)-1] {
		if p.place < 0 {
			m = m.Mutable(p.field).Message()
			continue
		}
		list := m.Mutable(p.field).List()
		if p.place >= list.Len() {
			return fmt.Errorf("%.100q: there are only %d", path, list.Len())
		}
		m = list.Get(p.place).Message()
	}
	last := parts[len(parts)-1]
	parsed, err := parseValue(m, last, value)
	if err != nil {
		return fmt.Errorf("%.100q: %w", path, err)
	}
	switch {
	case last.place < 0:
		if parsed.IsValid() {
			m.Set(last.field, parsed)
		} else {
			m.Clear(last.field)
		}
	case last.place < m.Get(last.field).List().Len():
		m.Mutable(last.field).List().Set(last.place, parsed.List().Get(0))
	case last.place == m.Get(last.field).List().Len():
		m.Mutable(last.field).List().Append(parsed.List().Get(0))
	default:
		return fmt.Errorf("%.100q: there are only %d", path, m.Get(last.field).List().Len())
	}
	return nil
}

// parseValue reads the value of a field by way of JSON; invalid for one that is
// the same as nothing.
func parseValue(m protoreflect.Message, p part, value string) (protoreflect.Value, error) {
	fd := p.field
	if fd.Message() != nil && fd.Message().FullName() == localizedText && (!fd.IsList() || p.place >= 0) && !json.Valid([]byte(value)) {
		// The Italian of a text; its translations stay.
		text := &registryv1.LocalizedText{}
		if p.place < 0 {
			proto.Merge(text, m.Get(fd).Message().Interface())
		} else if list := m.Get(fd).List(); p.place < list.Len() {
			proto.Merge(text, list.Get(p.place).Message().Interface())
		}
		text.It = value
		if p.place < 0 {
			return protoreflect.ValueOfMessage(text.ProtoReflect()), nil
		}
		one := m.New().Mutable(fd).List()
		one.Append(protoreflect.ValueOfMessage(text.ProtoReflect()))
		return protoreflect.ValueOfList(one), nil
	}
	written := json.RawMessage(value)
	textual := fd.Kind() == protoreflect.StringKind || fd.Kind() == protoreflect.EnumKind && !json.Valid(written)
	if (!fd.IsList() || p.place >= 0) && (textual || !json.Valid(written)) {
		quoted, err := json.Marshal(value)
		if err != nil {
			return protoreflect.Value{}, err
		}
		written = quoted
	}
	if p.place >= 0 {
		written = slices.Concat([]byte("["), written, []byte("]"))
	}
	whole, err := json.Marshal(map[string]json.RawMessage{fd.JSONName(): written})
	if err != nil {
		return protoreflect.Value{}, fmt.Errorf("%.100q is not a value of this field", value)
	}
	parsed := m.New()
	if err := protojson.Unmarshal(whole, parsed.Interface()); err != nil {
		return protoreflect.Value{}, fmt.Errorf("%.100q is not a value of this field", value)
	}
	if p.place >= 0 && parsed.Get(fd).List().Len() != 1 {
		return protoreflect.Value{}, fmt.Errorf("%.100q is not one value of this field", value)
	}
	if !parsed.Has(fd) {
		return protoreflect.Value{}, nil
	}
	return parsed.Get(fd), nil
}

// textAt is what stands at a path of a record, as text or as JSON; empty for
// nothing.
func textAt(record proto.Message, path string) string {
	parts, err := parsePath(catalog.Of(record), path)
	if err != nil {
		return ""
	}
	m := record.ProtoReflect()
	for i, p := range parts {
		if !m.Has(p.field) {
			return ""
		}
		v := m.Get(p.field)
		if p.place >= 0 {
			if p.place >= v.List().Len() {
				return ""
			}
			v = v.List().Get(p.place)
		}
		if i < len(parts)-1 {
			m = v.Message()
			continue
		}
		return textOf(m, p, v)
	}
	return ""
}

func textOf(m protoreflect.Message, p part, v protoreflect.Value) string {
	fd := p.field
	one := !fd.IsList() && !fd.IsMap() || p.place >= 0
	switch {
	case one && fd.Kind() == protoreflect.StringKind:
		return v.String()
	case one && fd.Kind() == protoreflect.EnumKind:
		if value := fd.Enum().Values().ByNumber(v.Enum()); value != nil {
			return string(value.Name())
		}
		return ""
	case one && fd.Message() != nil:
		if text, ok := v.Message().Interface().(*registryv1.LocalizedText); ok {
			return text.GetIt()
		}
		body, err := protojson.Marshal(v.Message().Interface())
		if err != nil {
			return ""
		}
		return string(body)
	case one:
		return v.String()
	}
	alone := m.New()
	alone.Set(fd, v)
	body, err := protojson.Marshal(alone.Interface())
	if err != nil {
		return ""
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil {
		return ""
	}
	return string(fields[fd.JSONName()])
}

// plainPath is a path in the form that sources of fields have: places in lists
// are parts of their own.
func plainPath(path string) string {
	return strings.NewReplacer("[", ".", "]", "").Replace(path)
}
