package seed

import (
	"errors"
	"regexp"
	"strings"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/reflect/protoreflect"

	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/registryv1"
)

// check finds what is wrong with records that can be read.
func (r *reader) check() {
	for _, record := range r.records {
		if catalog.RecordOf(record.Message).Provenance() == nil {
			r.problemAt(record, "", "has no source; add provenance: with an id of sources")
		}
		r.checkRules(record)
		r.checkReferences(record)
		r.checkFieldSources(record)
	}
}

// checkRules holds a record against the rules of the contract.
func (r *reader) checkRules(record Record) {
	err := protovalidate.Validate(record.Message)
	var invalid *protovalidate.ValidationError
	if errors.As(err, &invalid) {
		for _, v := range invalid.Violations {
			at := jsonPath(protovalidate.FieldPathString(v.Proto.GetField()))
			r.problemAt(record, at, "%s: %s", at, v.Proto.GetMessage())
		}
	} else if err != nil {
		r.problemAt(record, "", "%v", err)
	}
}

// checkReferences finds references to nothing. Records refer to records of
// their own comune only: a node knows no others.
func (r *reader) checkReferences(record Record) {
	if name, err := catalog.ParseName(catalog.RecordOf(record.Message).Name()); err == nil {
		if parent, ok := name.Parent(); ok && r.lines[parent.String()] == nil {
			short := strings.TrimPrefix(parent.String(), catalog.ComuneName(r.slug)+"/")
			r.problemAt(record, "", "there is no %q in this file to contain it; add it or correct the id", short)
		}
	}
	for _, reference := range catalog.References(record.Message) {
		short := strings.TrimPrefix(reference.Target, catalog.ComuneName(r.slug)+"/")
		name, err := catalog.ParseName(reference.Target)
		switch {
		case err != nil:
			r.problemAt(record, reference.Field, "%s: %q names nothing; write collection/id", reference.Field, short)
		case name.Kind.Type != reference.Type:
			r.problemAt(record, reference.Field, "%s: %q is one of the %s, another kind of record belongs here", reference.Field, short, name.Kind.Collection)
		case r.lines[reference.Target] == nil:
			r.problemAt(record, reference.Field, "%s: there is no %q in this file; add it or correct the id", reference.Field, short)
		}
	}
}

// checkFieldSources finds sources of fields that do not exist.
func (r *reader) checkFieldSources(record Record) {
	m := record.Message.ProtoReflect()
	sources := m.Get(m.Descriptor().Fields().ByName("field_sources")).List()
	for i := range sources.Len() {
		source := sources.Get(i).Message().Interface().(*registryv1.FieldSource)
		if !hasPath(m.Descriptor(), source.GetField()) {
			r.problemAt(record, "fieldSources", "fieldSources: %s has no field %q", m.Descriptor().Name(), source.GetField())
		}
	}
}

// hasPath tells whether a message has a field at a path of JSON names, in
// which numbers stand for the items of lists.
func hasPath(md protoreflect.MessageDescriptor, path string) bool {
	var field protoreflect.FieldDescriptor
	for part := range strings.SplitSeq(path, ".") {
		if field != nil && field.IsList() && strings.Trim(part, "0123456789") == "" {
			continue
		}
		if md == nil {
			return false
		}
		if field = md.Fields().ByJSONName(part); field == nil {
			return false
		}
		md = field.Message()
	}
	return true
}

// problemAt notes a problem of a record at the line of a field, or of the
// nearest thing around it that has a line.
func (r *reader) problemAt(record Record, field, format string, args ...any) {
	name := catalog.RecordOf(record.Message).Name()
	r.record = strings.TrimPrefix(name, catalog.ComuneName(r.slug)+"/")
	defer func() { r.record = "" }()
	line := record.Line
	for at := field; at != ""; {
		if l, ok := r.lines[name][at]; ok {
			line = l
			break
		}
		at = at[:max(strings.LastIndexAny(at, ".["), 0)]
	}
	r.problem(line, format, args...)
}

var afterUnderscore = regexp.MustCompile(`_[a-z0-9]`)

// jsonPath turns the names in a path into JSON names.
func jsonPath(path string) string {
	return afterUnderscore.ReplaceAllStringFunc(path, func(s string) string { return strings.ToUpper(s[1:]) })
}
