package aiprules

import (
	"iter"
	"slices"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/reflect/protoreflect"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/annotationsv1"
	"cidsistem.example/proto/gen/registryv1"
)

// facetsOf finds the facets of a message and of what is in it.
func facetsOf(md protoreflect.MessageDescriptor, seen map[protoreflect.FullName]bool) iter.Seq[string] {
	return func(yield func(string) bool) {
		if seen[md.FullName()] {
			return
		}
		seen[md.FullName()] = true
		for i := range md.Fields().Len() {
			fd := md.Fields().Get(i)
			if facet := option[*annotationsv1.SearchOptions](fd, annotationsv1.E_Search).GetFacet(); facet != "" && !yield(facet) {
				return
			}
			if fd.Message() != nil && !fd.IsMap() {
				for facet := range facetsOf(fd.Message(), seen) {
					if !yield(facet) {
						return
					}
				}
			}
		}
	}
}

// binding is an HTTP rule as one line.
func binding(rule *annotations.HttpRule) string {
	var verb, path string
	switch pattern := rule.GetPattern().(type) {
	case *annotations.HttpRule_Get:
		verb, path = "GET", pattern.Get
	case *annotations.HttpRule_Post:
		verb, path = "POST", pattern.Post
	case *annotations.HttpRule_Patch:
		verb, path = "PATCH", pattern.Patch
	case *annotations.HttpRule_Delete:
		verb, path = "DELETE", pattern.Delete
	default:
		return ""
	}
	return strings.TrimSpace(verb + " " + path + " " + rule.GetBody())
}

func TestStandardMethods(t *testing.T) {
	for _, kind := range catalog.Kinds() {
		// comuni/*/plans/*/actions/*, and comuni/*/plans/* before it
		var name, parent string
		for k := kind; k != nil; k = k.Parent {
			name = strings.TrimSuffix(k.Collection+"/*/"+name, "/")
			if k != kind {
				parent = strings.TrimSuffix(k.Collection+"/*/"+parent, "/")
			}
		}
		collection := "/v1/" + kind.Collection
		if kind.Parent != nil {
			collection = "/v1/{parent=" + parent + "}/" + kind.Collection
		}
		want := map[catalog.Verb]string{
			catalog.Get:      "GET /v1/{name=" + name + "}",
			catalog.List:     "GET " + collection,
			catalog.Create:   "POST " + collection + " " + kind.Singular,
			catalog.Update:   "PATCH /v1/{" + kind.Singular + ".name=" + name + "} " + kind.Singular,
			catalog.Delete:   "DELETE /v1/{name=" + name + "}",
			catalog.Undelete: "POST /v1/{name=" + name + "}:undelete *",
		}
		if kind.Singleton {
			for _, verb := range []catalog.Verb{catalog.Create, catalog.Delete, catalog.Undelete} {
				delete(want, verb)
			}
		}
		if got := kind.Service.Methods().Len(); got != len(want) {
			t.Errorf("%s has %d methods, %d are standard", kind.Service.FullName(), got, len(want))
		}
		for verb, rule := range want {
			method, ok := kind.Method(verb)
			if !ok {
				t.Errorf("%s has no method %s", kind.Service.FullName(), verb)
				continue
			}
			md := kind.Service.Methods().ByName(protoreflect.FullName(strings.ReplaceAll(method.Full[1:], "/", ".")).Name())
			if got := binding(http(md)); got != rule {
				t.Errorf("%s is %q, not %q", md.FullName(), got, rule)
			}
			if md.IsStreamingClient() || md.IsStreamingServer() || md.Input().Name() != md.Name()+"Request" {
				t.Errorf("%s takes %s", md.FullName(), md.Input().Name())
			}
			output := kind.Descriptor().FullName()
			if verb == catalog.List {
				output = md.FullName().Parent().Parent().Append(md.Name() + "Response")
			}
			if md.Output().FullName() != output {
				t.Errorf("%s answers with %s", md.FullName(), md.Output().FullName())
			}
			request(t, kind, verb, md.Input())
			if verb == catalog.List {
				response(t, kind, md.Output())
			}
		}
	}
}

// has checks that a message has a field of a type.
func has(t *testing.T, md protoreflect.MessageDescriptor, name, want string) protoreflect.FieldDescriptor {
	t.Helper()
	fd := md.Fields().ByName(protoreflect.Name(name))
	if fd == nil || describe(fd) != want {
		t.Errorf("%s has no field %s of type %s", md.FullName(), name, want)
		return nil
	}
	return fd
}

func request(t *testing.T, kind *catalog.Kind, verb catalog.Verb, md protoreflect.MessageDescriptor) {
	t.Helper()
	record := string(kind.Descriptor().FullName())
	switch verb {
	case catalog.Get, catalog.Delete, catalog.Undelete:
		reference(t, has(t, md, "name", "string"), kind.Type, "")
	case catalog.Update:
		has(t, md, kind.Singular, record)
		has(t, md, "update_mask", "google.protobuf.FieldMask")
		if !kind.Singleton {
			has(t, md, "allow_missing", "bool")
		}
	case catalog.Create:
		has(t, md, kind.Singular, record)
		has(t, md, kind.Singular+"_id", "string")
	case catalog.List:
		has(t, md, "page_size", "int32")
		has(t, md, "page_token", "string")
		has(t, md, "show_deleted", "bool")
		has(t, md, "refers_to", "string")
		has(t, md, "due_before_time", "google.protobuf.Timestamp")
	}
	if (verb == catalog.List || verb == catalog.Create) && kind.Parent != nil {
		reference(t, has(t, md, "parent", "string"), "", kind.Type)
	}
	if verb == catalog.Delete || verb == catalog.Undelete {
		has(t, md, "etag", "string")
	}
	if !verb.Writes() {
		has(t, md, "read_preference", "cidsistem.registry.v1.ReadPreference")
		has(t, md, "max_staleness", "google.protobuf.Duration")
		return
	}
	has(t, md, "validate_only", "bool")
	id := has(t, md, "request_id", "string")
	if id != nil && (option[*annotations.FieldInfo](id, annotations.E_FieldInfo).GetFormat() != annotations.FieldInfo_UUID4 || !rules(id).GetString().GetUuid()) {
		t.Errorf("%s is not a UUID", id.FullName())
	}
}

func reference(t *testing.T, fd protoreflect.FieldDescriptor, named, child string) {
	t.Helper()
	if fd == nil {
		return
	}
	got := option[*annotations.ResourceReference](fd, annotations.E_ResourceReference)
	if got.GetType() != named || got.GetChildType() != child || !behaves(fd, annotations.FieldBehavior_REQUIRED) {
		t.Errorf("%s refers to %v", fd.FullName(), got)
	}
}

func response(t *testing.T, kind *catalog.Kind, md protoreflect.MessageDescriptor) {
	t.Helper()
	if first := md.Fields().ByNumber(1); first == nil || string(first.Name()) != kind.Collection || describe(first) != "repeated "+string(kind.Descriptor().FullName()) {
		t.Errorf("%s does not begin with its records", md.FullName())
	}
	has(t, md, "next_page_token", "string")
	for name, of := range map[string]string{"unreachable": "repeated string", "coverage": "repeated cidsistem.registry.v1.Coverage"} {
		if fd := has(t, md, name, of); fd != nil && !behaves(fd, annotations.FieldBehavior_UNORDERED_LIST) {
			t.Errorf("%s is not said to be unordered", fd.FullName())
		}
	}
}

// What is not for the web has no address there.
func TestWhatIsOnTheWeb(t *testing.T) {
	streams := []protoreflect.FullName{"cidsistem.federation.v1.FederationService.WatchNodes", "cidsistem.registry.v1.FileService.DownloadFile"}
	inside := []protoreflect.FullName{"cidsistem.feed.v1.FeedService", "cidsistem.admin.v1.StoreService", "cidsistem.admin.v1.PersonService", "cidsistem.desk.v1.TransferService"}
	seen := map[string]protoreflect.FullName{}
	for md := range methods() {
		rule := http(md)
		stream := md.IsStreamingClient() || md.IsStreamingServer()
		web := !slices.Contains(inside, md.Parent().FullName()) && (!stream || slices.Contains(streams, md.FullName()))
		if web != (rule != nil) {
			t.Errorf("%s is on the web: %t, should be: %t", md.FullName(), rule != nil, web)
		}
		if rule == nil {
			continue
		}
		for _, rule := range append([]*annotations.HttpRule{rule}, rule.GetAdditionalBindings()...) {
			line := binding(rule)
			if other := seen[line]; line == "" || other != "" {
				t.Errorf("%s and %s are both %q", md.FullName(), other, line)
			}
			seen[line] = md.FullName()
		}
	}
}

func TestReasonsHaveRows(t *testing.T) {
	for number, name := range registryv1.ErrorReason_name {
		row, ok := apierror.Table[registryv1.ErrorReason(number)]
		if ok == (number == 0) {
			t.Errorf("%s has a row in the table: %t", name, ok)
		}
		if ok && (row.Code == 0 || row.HTTP < 400 || row.HTTP > 599 || row.Title == "") {
			t.Errorf("%s: %+v", name, row)
		}
	}
	if len(apierror.Table) != len(registryv1.ErrorReason_name)-1 {
		t.Errorf("%d rows for %d reasons", len(apierror.Table), len(registryv1.ErrorReason_name)-1)
	}
}
