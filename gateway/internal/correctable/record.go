package correctable

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/gateway/internal/wording"
	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/registryv1"
)

// Topics are what a card says in several fields together, on which people write a sentence.
const (
	topicState = topicMark + "stato"
	topicHours = topicMark + "orari"
	topicCosts = topicMark + "costi"
)

// offered are the fields of each kind, in the order of its page.
var offered = map[string][]string{
	"services": {
		"title", topicState, "summary", "description", "addressedTo", "howTo", "neededNote", "obtainedNote", "timesNote", topicCosts, topicHours,
		"conditions", "contacts",
	},
	"organizations": {"title", topicState, "summary", "contacts", "seat"},
	"locations":     {"title", topicState, "description", "address", "directions", topicHours, "contacts"},
	"operators":     {"title", topicState, "summary", "role", topicHours, "contacts"},
	"documents":     {"title", "summary", "publisher", "uri"},
	"practices":     {"title", "summary", "problem", "context", "actionsTaken", "results", "transferConditions", "lessons", "staffNote", "contacts"},
	"plans":         {"title", "summary", "planVersion"},
	"actions":       {"title", "summary", "stateReason"},
	"events":        {"title", topicState, "summary", "startClock", "endClock", "placeNote", "uri", "howToTakePart", "accessibilityNote"},
	"comuni":        {"title", "summary", "contacts", "address", topicHours},
}

// Has tells whether records of a collection can be put right by others.
func Has(collection string) bool { return offered[collection] != nil }

// Of are the fields of a record, with what it says.
func Of(w Words, l wording.Language, record proto.Message) []Field {
	var fields []Field
	add := func(key, value string) *Field {
		fields = append(fields, newField(w, l, key, value))
		return &fields[len(fields)-1]
	}
	for _, key := range offered[catalog.Of(record).Collection] {
		switch key {
		case topicState, topicHours, topicCosts:
			f := add(key, topic(w, wording.Italian, key, record))
			f.Shown, f.Language, f.Typed = topic(w, l, key, record), l, ""
		case "contacts":
			for i, contact := range contactsOf(record) {
				key := "contacts[" + strconv.Itoa(i) + "].value"
				f := add(key, contact.GetValue())
				f.Label, f.italian = LabelOf(w, l, record, key), LabelOf(w, wording.Italian, record, key)
			}
		case "seat", "address":
			if withheld, _ := Value(record, key+".withheldReason"); withheld != "" {
				continue
			}
			for _, part := range []string{".street", ".detail", ".postalCode", ".municipality"} {
				value, _ := Value(record, key+part)
				add(key+part, value)
			}
		default:
			value, text := Value(record, key)
			f := add(key, value)
			if text != nil {
				said := site.In(l, text)
				f.Shown, f.Language = said.Text, said.Language
				f.Long = f.Long || key != "title"
			}
		}
	}
	return fields
}

func newField(w Words, l wording.Language, key, value string) Field {
	f := Field{Key: key, Label: Label(w, l, key), Shown: value, Value: value, Language: wording.Italian, Typed: value, italian: Label(w, wording.Italian, key), Long: isLong(value)}
	if f.Topic() {
		f.Typed, f.Long = "", true
	}
	f.Code = strings.HasPrefix(key, "contacts[") || strings.HasSuffix(key, "ostalCode") || strings.HasSuffix(key, "Clock") || key == "uri"
	return f
}

// place is the index of a list in a path.
var place = regexp.MustCompile(`\[[0-9]+\]`)

// Label says how a field is called, by its path; the path itself where nobody has a word for it.
func Label(w Words, l wording.Language, path string) string {
	path = strings.TrimPrefix(path, topicMark)
	bare := place.ReplaceAllString(path, "")
	for _, name := range []string{strings.ReplaceAll(bare, ".", "_"), bare[strings.LastIndexByte(bare, '.')+1:]} {
		if id := "correct_fields." + name; w.Knows(id) {
			return w.In(l, id)
		}
	}
	return path
}

// contactForm is the path of a way to reach somebody.
var contactForm = regexp.MustCompile(`^contacts\[([0-9]{1,4})\]\.value$`)

// LabelOf is Label for a field of a record: a way to reach somebody is called what it is, a telephone, with the words beside it.
func LabelOf(w Words, l wording.Language, record proto.Message, path string) string {
	match := contactForm.FindStringSubmatch(path)
	if match == nil {
		return Label(w, l, path)
	}
	at, _ := strconv.Atoi(match[1])
	contacts := contactsOf(record)
	if at >= len(contacts) {
		return Label(w, l, path)
	}
	said := Label(w, l, path)
	if id := "contact_kinds." + strings.ToLower(contacts[at].GetKind().String()); w.Knows(id) {
		said = w.In(l, id)
	}
	return said + after(contacts[at].GetLabel())
}

// part is one part of a path.
var part = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9]*)(?:\[([0-9]{1,4})\])?$`)

// Value is what stands at a path of a record, as the contract has it in corrections: text as it is, anything else as JSON; empty for
// nothing. For a localised text it is the Italian one, and comes with all of it.
func Value(record proto.Message, path string) (string, *registryv1.LocalizedText) {
	m := record.ProtoReflect()
	parts := strings.Split(path, ".")
	for i, name := range parts {
		match := part.FindStringSubmatch(name)
		if match == nil {
			return "", nil
		}
		fd := m.Descriptor().Fields().ByJSONName(match[1])
		if fd == nil || !m.Has(fd) {
			return "", nil
		}
		value, single := m.Get(fd), !fd.IsList() && !fd.IsMap()
		if match[2] != "" {
			at, _ := strconv.Atoi(match[2])
			if !fd.IsList() || at >= value.List().Len() {
				return "", nil
			}
			value, single = value.List().Get(at), true
		}
		switch {
		case i == len(parts)-1 && single:
			return one(fd, value)
		case i == len(parts)-1:
			return whole(m, fd), nil
		case !single || fd.Message() == nil:
			return "", nil
		}
		m = value.Message()
	}
	return "", nil
}

func one(fd protoreflect.FieldDescriptor, value protoreflect.Value) (string, *registryv1.LocalizedText) {
	if fd.Kind() == protoreflect.EnumKind {
		if named := fd.Enum().Values().ByNumber(value.Enum()); named != nil {
			return string(named.Name()), nil
		}
		return "", nil
	}
	if fd.Message() == nil {
		return value.String(), nil
	}
	if text, ok := value.Message().Interface().(*registryv1.LocalizedText); ok {
		return text.GetIt(), text
	}
	body, err := protojson.Marshal(value.Message().Interface())
	if err != nil {
		return "", nil
	}
	return string(body), nil
}

// whole is a list or a map as JSON.
func whole(m protoreflect.Message, fd protoreflect.FieldDescriptor) string {
	alone := m.New()
	alone.Set(fd, m.Get(fd))
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

func contactsOf(record proto.Message) []*registryv1.ContactPoint {
	if of, ok := record.(interface {
		GetContacts() []*registryv1.ContactPoint
	}); ok {
		return of.GetContacts()
	}
	return nil
}
