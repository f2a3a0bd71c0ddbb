package seed

import (
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"cidsistem.example/proto/catalog"
)

// A step writes one record. Where records refer to each other in a ring, one of
// them comes first without the fields that point ahead, and once more whole.
type step struct {
	record proto.Message
	ahead  []protoreflect.FieldDescriptor
}

// inOrder sorts records so that each comes after those that it is inside of or
// refers to.
func inOrder(records []Record) []step {
	byName := make(map[string]proto.Message, len(records))
	for _, r := range records {
		byName[catalog.RecordOf(r.Message).Name()] = r.Message
	}
	const (
		begun = iota + 1
		done
	)
	state := make(map[string]int, len(records))
	var steps []step
	var visit func(name string)
	visit = func(name string) {
		record := byName[name]
		if record == nil || state[name] != 0 {
			return
		}
		state[name] = begun
		if parsed, err := catalog.ParseName(name); err == nil {
			if parent, ok := parsed.Parent(); ok {
				visit(parent.String())
			}
		}
		s := step{record: record}
		for _, reference := range catalog.References(record) {
			visit(reference.Target)
			if state[reference.Target] == begun {
				s.ahead = append(s.ahead, topField(record, reference.Field))
			}
		}
		state[name] = done
		steps = append(steps, s)
	}
	for _, r := range records {
		visit(catalog.RecordOf(r.Message).Name())
	}
	return steps
}

// topField is the field of the record in which a path of JSON names begins.
func topField(record proto.Message, path string) protoreflect.FieldDescriptor {
	if end := strings.IndexAny(path, ".["); end >= 0 {
		path = path[:end]
	}
	return record.ProtoReflect().Descriptor().Fields().ByJSONName(path)
}

// first is the record as it is written first.
func (s step) first() proto.Message {
	if len(s.ahead) == 0 {
		return s.record
	}
	trimmed := proto.Clone(s.record)
	for _, fd := range s.ahead {
		trimmed.ProtoReflect().Clear(fd)
	}
	return trimmed
}
