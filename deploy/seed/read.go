package seed

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/registryv1"
)

// A reader turns the file of one comune into records. It notes every problem
// and goes on, so that one run shows them all.
type reader struct {
	file, slug string
	lists      *lists
	sources    map[string]*registryv1.Provenance
	records    []Record
	problems   []*Problem
	lines      map[string]map[string]int // record name -> field path -> line
	fields     map[string]int            // lines of the record being read
	record     string                    // its short name, for problems
}

func (r *reader) problem(line int, format string, args ...any) {
	r.problems = append(r.problems, &Problem{File: r.file, Line: line, Record: r.record, Text: fmt.Sprintf(format, args...)})
}

func (r *reader) read(text []byte) {
	var document, more yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	switch err := decoder.Decode(&document); {
	case errors.Is(err, io.EOF):
		r.problem(0, "is empty; the README says what belongs in it")
		return
	case err != nil:
		r.problem(0, "is not YAML: %v", err)
		return
	}
	if !errors.Is(decoder.Decode(&more), io.EOF) {
		r.problem(0, "holds more than one YAML document; put everything into one")
		return
	}
	top := r.mapping(document.Content[0])
	r.readSources(top["sources"])
	delete(top, "sources")

	if comune, ok := top["comune"]; ok {
		r.readRecord(catalog.ByCollection("comuni"), comune)
		delete(top, "comune")
	} else {
		r.problem(0, "the record of the comune itself is missing; add comune: at the head of the file")
	}
	keys := slices.SortedFunc(maps.Keys(top), func(a, b string) int { return top[a].Line - top[b].Line })
	for _, key := range keys {
		kind := catalog.ByCollection(key)
		if kind == nil || kind.Singleton {
			r.problem(top[key].Line, "%q is no collection of records", key)
			continue
		}
		if top[key].Kind != yaml.SequenceNode {
			r.problem(top[key].Line, "%s must be a list of records", key)
			continue
		}
		for _, node := range top[key].Content {
			r.readRecord(kind, node)
		}
	}
}

// mapping gives the entries of a node that must be a mapping.
func (r *reader) mapping(node *yaml.Node) map[string]*yaml.Node {
	if node.Kind != yaml.MappingNode {
		r.problem(node.Line, "fields are expected here, written as name: value")
		return nil
	}
	entries := make(map[string]*yaml.Node, len(node.Content)/2)
	for i := 0; i < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		if _, twice := entries[key.Value]; twice {
			r.problem(key.Line, "%q is given twice", key.Value)
		}
		if value.Kind == yaml.AliasNode {
			r.problem(value.Line, "aliases are not used here; write the value out")
			continue
		}
		entries[key.Value] = value
	}
	return entries
}

func (r *reader) readSources(node *yaml.Node) {
	r.sources = map[string]*registryv1.Provenance{}
	if node == nil {
		r.problem(0, "has no sources; add sources: at the head of the file")
		return
	}
	for id, value := range r.mapping(node) {
		source := &registryv1.Provenance{}
		r.readMessage(source.ProtoReflect(), value, "sources."+id)
		switch {
		case source.GetSourceKind() == registryv1.Provenance_SOURCE_KIND_UNSPECIFIED || source.GetSourceLabel() == "":
			r.problem(value.Line, "source %q needs sourceKind and sourceLabel", id)
		case source.GetSourceUri() == "" && source.GetSourceKind() != registryv1.Provenance_OWN:
			r.problem(value.Line, "source %q needs sourceUri, the address where it can be read", id)
		case source.GetVerifyTime() != nil || source.GetVerifier() != "":
			r.problem(value.Line, "source %q says that it was verified; only the comune can say so, on its node", id)
		}
		source.Sample = true
		r.sources[id] = source
	}
}

func (r *reader) readRecord(kind *catalog.Kind, node *yaml.Node) {
	r.record, r.fields = kind.Collection, map[string]int{}
	defer func() { r.record, r.fields = "", nil }()
	entries := r.mapping(node)
	if entries == nil {
		return
	}
	name, ok := r.recordName(kind, node, entries)
	if !ok {
		return
	}
	r.record = strings.TrimPrefix(name, catalog.ComuneName(r.slug)+"/")
	if _, twice := r.lines[name]; twice {
		r.problem(node.Line, "this id is used twice; give one of the two another id")
		return
	}
	r.lines[name] = r.fields
	record := kind.New()
	r.readFields(record.ProtoReflect(), entries, "")
	catalog.RecordOf(record).SetName(name)
	r.records = append(r.records, Record{Message: record, File: r.file, Line: node.Line})
}

// recordName takes id, and for records inside a record its parent, from the
// entries and makes the name of them.
func (r *reader) recordName(kind *catalog.Kind, node *yaml.Node, entries map[string]*yaml.Node) (string, bool) {
	take := func(key string) (string, bool) {
		value, ok := entries[key]
		delete(entries, key)
		if !ok || value.Kind != yaml.ScalarNode || !catalog.ValidID(value.Value) {
			r.problem(node.Line, "a record needs %s: with 2 to 63 lower-case letters, digits and hyphens, beginning with a letter", key)
			return "", false
		}
		return value.Value, true
	}
	name := catalog.Name{Kind: catalog.ByCollection("comuni"), IDs: []string{r.slug}}
	if kind.Singleton {
		return name.String(), true
	}
	path := []*catalog.Kind{kind}
	for p := kind.Parent; p != nil && !p.Singleton; p = p.Parent {
		path = append([]*catalog.Kind{p}, path...)
	}
	for i, k := range path {
		key := "id"
		if i < len(path)-1 {
			key = k.Singular
		}
		id, ok := take(key)
		if !ok {
			return "", false
		}
		child, err := name.Child(k, id)
		if err != nil {
			r.problem(node.Line, "%v", err)
			return "", false
		}
		name = child
	}
	return name.String(), true
}

func (r *reader) readMessage(m protoreflect.Message, node *yaml.Node, path string) {
	if node.Kind != yaml.ScalarNode {
		r.readFields(m, r.mapping(node), path)
		return
	}
	if t, ok := m.Interface().(*timestamppb.Timestamp); ok {
		at, err := time.Parse(time.RFC3339, node.Value)
		if err != nil {
			r.problem(node.Line, "%s: %q is no time; write it as 2026-11-01T00:00:00Z", path, node.Value)
			return
		}
		proto.Merge(t, timestamppb.New(at))
		return
	}
	value, err := r.shorthand(m.Descriptor(), node.Value)
	if err != nil {
		r.problem(node.Line, "%s: %v", path, err)
		return
	}
	proto.Merge(m.Interface(), value)
}

func (r *reader) readFields(m protoreflect.Message, entries map[string]*yaml.Node, path string) {
	for key, node := range entries {
		fd := m.Descriptor().Fields().ByJSONName(key)
		if fd == nil {
			fd = m.Descriptor().Fields().ByTextName(key)
		}
		if fd == nil || isOutput(fd) {
			r.problem(node.Line, "unknown field %q of %s; its fields are %s", key, m.Descriptor().Name(), fieldNames(m.Descriptor()))
			continue
		}
		if m.Has(fd) {
			r.problem(node.Line, "%q is given twice, under both of its names", key)
			continue
		}
		if one := fd.ContainingOneof(); one != nil && !one.IsSynthetic() && m.WhichOneof(one) != nil {
			r.problem(node.Line, "%q and %q exclude each other", key, m.WhichOneof(one).JSONName())
			continue
		}
		r.readField(m, fd, node, join(path, fd.JSONName()))
	}
}

func (r *reader) readField(m protoreflect.Message, fd protoreflect.FieldDescriptor, node *yaml.Node, path string) {
	if r.fields != nil {
		r.fields[path] = node.Line
	}
	switch {
	case fd.IsMap():
		entries := m.Mutable(fd).Map()
		for key, value := range r.mapping(node) {
			item := entries.NewValue()
			r.readMessage(item.Message(), value, path+"["+key+"]")
			entries.Set(protoreflect.ValueOfString(key).MapKey(), item)
		}
	case fd.IsList():
		if node.Kind != yaml.SequenceNode {
			r.problem(node.Line, "%s must be a list", path)
			return
		}
		items := m.Mutable(fd).List()
		for i, item := range node.Content {
			at := path + "[" + strconv.Itoa(i) + "]"
			if r.fields != nil {
				r.fields[at] = item.Line
			}
			if fd.Message() != nil {
				r.readMessage(items.AppendMutable().Message(), item, at)
			} else if value, ok := r.scalar(fd, item, at); ok {
				items.Append(value)
			}
		}
	case fd.Message() != nil:
		r.readMessage(m.Mutable(fd).Message(), node, path)
	default:
		if value, ok := r.scalar(fd, node, path); ok {
			m.Set(fd, value)
		}
	}
}

func (r *reader) scalar(fd protoreflect.FieldDescriptor, node *yaml.Node, path string) (value protoreflect.Value, ok bool) {
	if node.Kind != yaml.ScalarNode || node.Tag == "!!null" {
		r.problem(node.Line, "%s: a single value is expected", path)
		return value, false
	}
	text := node.Value
	plainNumber := strings.ReplaceAll(text, "_", "") // 609_469_00 reads better
	var err error
	switch fd.Kind() {
	case protoreflect.StringKind:
		value = protoreflect.ValueOfString(r.fullName(fd, text))
	case protoreflect.BoolKind:
		if text != "true" && text != "false" {
			err = fmt.Errorf("%q is neither true nor false", text)
		}
		value = protoreflect.ValueOfBool(text == "true")
	case protoreflect.Int32Kind:
		var n int64
		n, err = strconv.ParseInt(plainNumber, 10, 32)
		value = protoreflect.ValueOfInt32(int32(n))
	case protoreflect.Int64Kind:
		var n int64
		n, err = strconv.ParseInt(plainNumber, 10, 64)
		value = protoreflect.ValueOfInt64(n)
	case protoreflect.DoubleKind:
		var n float64
		n, err = strconv.ParseFloat(plainNumber, 64)
		value = protoreflect.ValueOfFloat64(n)
	case protoreflect.EnumKind:
		ev := fd.Enum().Values().ByName(protoreflect.Name(text))
		if ev == nil {
			r.problem(node.Line, "%s: %q is none of %s", path, text, enumNames(fd.Enum()))
			return value, false
		}
		value = protoreflect.ValueOfEnum(ev.Number())
	default:
		err = fmt.Errorf("fields of type %s cannot be written here", fd.Kind())
	}
	if err != nil {
		r.problem(node.Line, "%s: %v", path, err)
		return value, false
	}
	return value, true
}

// fullName completes a reference such as organizations/anffas-marsala.
func (r *reader) fullName(fd protoreflect.FieldDescriptor, text string) string {
	reference, _ := proto.GetExtension(fd.Options(), annotations.E_ResourceReference).(*annotations.ResourceReference)
	if reference == nil || text == "" || strings.HasPrefix(text, "comuni/") {
		return text
	}
	return catalog.ComuneName(r.slug) + "/" + text
}

// isOutput tells whether only a server, or Load, sets a field.
func isOutput(fd protoreflect.FieldDescriptor) bool {
	behaviors, _ := proto.GetExtension(fd.Options(), annotations.E_FieldBehavior).([]annotations.FieldBehavior)
	return fd.Name() == "etag" || slices.Contains(behaviors, annotations.FieldBehavior_OUTPUT_ONLY) ||
		slices.Contains(behaviors, annotations.FieldBehavior_IDENTIFIER)
}

func fieldNames(md protoreflect.MessageDescriptor) string {
	var names []string
	for i := range md.Fields().Len() {
		if fd := md.Fields().Get(i); !isOutput(fd) {
			names = append(names, fd.JSONName())
		}
	}
	return strings.Join(names, ", ")
}

func enumNames(ed protoreflect.EnumDescriptor) string {
	var names []string
	for i := range ed.Values().Len() {
		if v := ed.Values().Get(i); v.Number() != 0 {
			names = append(names, string(v.Name()))
		}
	}
	return strings.Join(names, ", ")
}

func join(path, field string) string {
	if path == "" {
		return field
	}
	return path + "." + field
}
