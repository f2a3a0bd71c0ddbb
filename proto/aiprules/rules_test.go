// Package aiprules checks the contract against the rules that it follows: our
// part of the API improvement proposals, and what servers and clients rely on.
// Each test is a rule; it names every field that breaks it.
package aiprules

import (
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"cidsistem.example/proto/catalog"
	// The contract itself.
	_ "cidsistem.example/proto/gen/adminv1"
	_ "cidsistem.example/proto/gen/deskv1"
	_ "cidsistem.example/proto/gen/editorialv1"
	_ "cidsistem.example/proto/gen/exchangev1"
	_ "cidsistem.example/proto/gen/federationv1"
	_ "cidsistem.example/proto/gen/feedv1"
	"cidsistem.example/proto/gen/registryv1"
)

// files are those of the contract.
func files() iter.Seq[protoreflect.FileDescriptor] {
	return func(yield func(protoreflect.FileDescriptor) bool) {
		protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
			return !strings.HasPrefix(string(file.Package()), "cidsistem.") || yield(file)
		})
	}
}

// messages are all of the contract, nested ones too, without those of maps.
func messages() iter.Seq[protoreflect.MessageDescriptor] {
	return func(yield func(protoreflect.MessageDescriptor) bool) {
		var walk func(list protoreflect.MessageDescriptors) bool
		walk = func(list protoreflect.MessageDescriptors) bool {
			for i := range list.Len() {
				if md := list.Get(i); !md.IsMapEntry() && (!yield(md) || !walk(md.Messages())) {
					return false
				}
			}
			return true
		}
		for file := range files() {
			if !walk(file.Messages()) {
				return
			}
		}
	}
}

func fields() iter.Seq[protoreflect.FieldDescriptor] {
	return func(yield func(protoreflect.FieldDescriptor) bool) {
		for md := range messages() {
			for i := range md.Fields().Len() {
				if !yield(md.Fields().Get(i)) {
					return
				}
			}
		}
	}
}

func methods() iter.Seq[protoreflect.MethodDescriptor] {
	return func(yield func(protoreflect.MethodDescriptor) bool) {
		for file := range files() {
			for i := range file.Services().Len() {
				service := file.Services().Get(i)
				for j := range service.Methods().Len() {
					if !yield(service.Methods().Get(j)) {
						return
					}
				}
			}
		}
	}
}

func option[T any](d protoreflect.Descriptor, extension protoreflect.ExtensionType) T {
	value, _ := proto.GetExtension(d.Options(), extension).(T)
	return value
}

func behaves(fd protoreflect.FieldDescriptor, behavior annotations.FieldBehavior) bool {
	return slices.Contains(option[[]annotations.FieldBehavior](fd, annotations.E_FieldBehavior), behavior)
}

func rules(fd protoreflect.FieldDescriptor) *validate.FieldRules {
	return option[*validate.FieldRules](fd, validate.E_Field)
}

func http(md protoreflect.MethodDescriptor) *annotations.HttpRule {
	return option[*annotations.HttpRule](md, annotations.E_Http)
}

// incoming are the messages that callers send: requests, and what is in them.
func incoming() map[protoreflect.FullName]protoreflect.MessageDescriptor {
	found := map[protoreflect.FullName]protoreflect.MessageDescriptor{}
	var add func(md protoreflect.MessageDescriptor)
	add = func(md protoreflect.MessageDescriptor) {
		if found[md.FullName()] != nil || !strings.HasPrefix(string(md.FullName()), "cidsistem.") {
			return
		}
		found[md.FullName()] = md
		for i := range md.Fields().Len() {
			fd := md.Fields().Get(i)
			if fd.IsMap() {
				fd = fd.MapValue()
			}
			if fd.Message() != nil {
				add(fd.Message())
			}
		}
	}
	for method := range methods() {
		add(method.Input())
	}
	return found
}

// describe tells the type of a field in words.
func describe(fd protoreflect.FieldDescriptor) string {
	text := fd.Kind().String()
	switch {
	case fd.Message() != nil:
		text = string(fd.Message().FullName())
	case fd.Enum() != nil:
		text = string(fd.Enum().FullName())
	}
	if fd.IsList() {
		text = "repeated " + text
	}
	return text
}

func TestKinds(t *testing.T) {
	if len(catalog.Kinds()) < 10 {
		t.Fatalf("only %d kinds", len(catalog.Kinds()))
	}
	for _, kind := range catalog.Kinds() {
		md := kind.Descriptor()
		name := md.Fields().ByNumber(1)
		if name == nil || name.Name() != "name" || name.Kind() != protoreflect.StringKind || !behaves(name, annotations.FieldBehavior_IDENTIFIER) {
			t.Errorf("%s: field 1 is not the name, an identifier", md.FullName())
		}
		resource := option[*annotations.ResourceDescriptor](md, annotations.E_Resource)
		want := kind.Collection + "/{" + kind.Singular + "}"
		if kind.Parent != nil {
			parent := option[*annotations.ResourceDescriptor](kind.Parent.Descriptor(), annotations.E_Resource)
			want = parent.GetPattern()[0] + "/" + want
		}
		if !slices.Equal(resource.GetPattern(), []string{want}) {
			t.Errorf("%s: pattern %v, not %s", md.FullName(), resource.GetPattern(), want)
		}
		if kind.Type != "registry.cidsistem.example/"+string(md.Name()) || strings.ToLower(string(md.Name())) != kind.Singular {
			t.Errorf("%s: type %s, singular %s", md.FullName(), kind.Type, kind.Singular)
		}
		if kind.Label == "" || kind.LabelPlural == "" {
			t.Errorf("%s has no Italian label", md.FullName())
		}
	}
}

func TestStandardFields(t *testing.T) {
	standard := map[protoreflect.FieldNumber]string{
		80: "visibility cidsistem.registry.v1.Visibility",
		81: "provenance cidsistem.registry.v1.Provenance",
		82: "identifiers repeated cidsistem.registry.v1.Identifier",
		83: "field_sources repeated cidsistem.registry.v1.FieldSource",
		84: "replaced_by string",
		90: "create_time google.protobuf.Timestamp",
		91: "update_time google.protobuf.Timestamp",
		92: "delete_time google.protobuf.Timestamp",
		93: "purge_time google.protobuf.Timestamp",
		94: "revision int64",
		95: "etag string",
	}
	for _, kind := range catalog.Kinds() {
		all := kind.Descriptor().Fields()
		for number, want := range standard {
			fd := all.ByNumber(number)
			if fd == nil || fmt.Sprint(fd.Name(), " ", describe(fd)) != want {
				t.Errorf("%s: field %d is not %s", kind.Descriptor().FullName(), number, want)
				continue
			}
			if server := number == 84 || number >= 90 && number <= 94; server != behaves(fd, annotations.FieldBehavior_OUTPUT_ONLY) {
				t.Errorf("%s: only the server writes it: %t", fd.FullName(), server)
			}
		}
		for i := range all.Len() {
			if fd := all.Get(i); fd.Number() >= 80 && standard[fd.Number()] == "" {
				t.Errorf("%s has a number that is kept for standard fields", fd.FullName())
			}
		}
		title := all.ByName("title")
		if title == nil || describe(title) != "cidsistem.registry.v1.LocalizedText" || !behaves(title, annotations.FieldBehavior_REQUIRED) {
			t.Errorf("%s has no title", kind.Descriptor().FullName())
		}
	}
}

func TestTimesAndEnums(t *testing.T) {
	for fd := range fields() {
		if isTime := fd.Message() != nil && fd.Message().FullName() == "google.protobuf.Timestamp"; isTime != strings.HasSuffix(string(fd.Name()), "_time") {
			t.Errorf("%s is %s", fd.FullName(), describe(fd))
		}
	}
	check := func(list protoreflect.EnumDescriptors) {
		for i := range list.Len() {
			zero := list.Get(i).Values().ByNumber(0)
			if zero == nil || !strings.HasSuffix(string(zero.Name()), "_UNSPECIFIED") {
				t.Errorf("%s: its zero is %s", list.Get(i).FullName(), zero.Name())
			}
		}
	}
	for file := range files() {
		if !strings.HasPrefix(string(file.Package()), "cidsistem.annotations.") {
			check(file.Enums())
		}
	}
	for md := range messages() {
		check(md.Enums())
	}
}

func TestReferencesNameKnownTypes(t *testing.T) {
	known := map[string]bool{}
	for md := range messages() {
		if resource := option[*annotations.ResourceDescriptor](md, annotations.E_Resource); resource != nil {
			known[resource.GetType()] = true
		}
	}
	for fd := range fields() {
		reference := option[*annotations.ResourceReference](fd, annotations.E_ResourceReference)
		if reference == nil {
			continue
		}
		if fd.Kind() != protoreflect.StringKind || reference.GetType() == "" == (reference.GetChildType() == "") {
			t.Errorf("%s refers to %v", fd.FullName(), reference)
		}
		for _, named := range []string{reference.GetType(), reference.GetChildType()} {
			if named != "" && named != "*" && !known[named] {
				t.Errorf("%s refers to the unknown type %s", fd.FullName(), named)
			}
		}
	}
}

// A filter of a search is a facet of some kind, and every facet can be filtered
// by.
func TestFiltersAreFacets(t *testing.T) {
	facets := map[string]bool{}
	for _, kind := range catalog.Kinds() {
		for facet := range facetsOf(kind.Descriptor(), map[protoreflect.FullName]bool{}) {
			facets[facet] = true
		}
	}
	others := []string{"q", "comuni", "kinds", "page_size", "page_token", "facets", "read_preference", "max_staleness", "order"}
	request := (&registryv1.SearchRequest{}).ProtoReflect().Descriptor().Fields()
	for i := range request.Len() {
		fd := request.Get(i)
		name := string(fd.Name())
		switch {
		case slices.Contains(others, name):
		case !facets[name]:
			t.Errorf("no kind has the facet %s", name)
		case !fd.IsList() || fd.Kind() != protoreflect.StringKind:
			t.Errorf("the filter %s is %s", name, describe(fd))
		}
		delete(facets, name)
	}
	for facet := range facets {
		t.Errorf("nobody can filter by the facet %s", facet)
	}
}
