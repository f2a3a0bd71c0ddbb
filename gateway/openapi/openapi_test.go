package openapi_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"cidsistem.example/gateway/openapi"

	// The methods that the document describes.
	_ "cidsistem.example/proto/gen/adminv1"
	_ "cidsistem.example/proto/gen/federationv1"
	_ "cidsistem.example/proto/gen/feedv1"
	_ "cidsistem.example/proto/gen/registryv1"
)

var update = flag.Bool("update", false, "write the golden file anew")

var loaded = sync.OnceValues(func() (*openapi3.T, error) { return openapi3.NewLoader().LoadFromData(openapi.JSON) })

func load(t *testing.T) *openapi3.T {
	t.Helper()
	doc, err := loaded()
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestIsValid(t *testing.T) {
	doc := load(t)
	if doc.OpenAPI != "3.1.0" {
		t.Errorf("the document says OpenAPI %s", doc.OpenAPI)
	}
	if err := doc.Validate(t.Context(), openapi3.IsOpenAPI31OrLater(), openapi3.EnableExamplesValidation(), openapi3.EnableMultiError()); err != nil {
		t.Error(err)
	}
}

func TestSaysWhoOffersIt(t *testing.T) {
	info := load(t).Info
	for what, text := range map[string]string{
		"title": info.Title, "description": info.Description, "version": info.Version, "termsOfService": info.TermsOfService,
		"contact.name": info.Contact.Name, "contact.url": info.Contact.URL, "license.name": info.License.Name,
	} {
		if text == "" {
			t.Errorf("info.%s is empty", what)
		}
	}
	for _, extension := range []string{"x-summary", "x-api-id"} {
		if text, _ := info.Extensions[extension].(string); text == "" {
			t.Errorf("info.%s is empty", extension)
		}
	}
}

// A place is a method and a path in which every id is "*".
type place struct{ method, path string }

var id = regexp.MustCompile(`\{[^}]*\}`)

// described lists the operations by place.
func described(t *testing.T) map[place]*openapi3.Operation {
	t.Helper()
	all := map[place]*openapi3.Operation{}
	for path, item := range load(t).Paths.Map() {
		for method, op := range item.Operations() {
			at := place{method, id.ReplaceAllString(path, "*")}
			if all[at] != nil {
				t.Errorf("%s %s is described twice", method, at.path)
			}
			all[at] = op
		}
	}
	return all
}

func TestDescribesEveryHTTPRule(t *testing.T) {
	missing := described(t)
	delete(missing, place{"GET", "/status"})
	delete(missing, place{"POST", "/v1/comuni/*/files"}) // no rule can say it
	variable := regexp.MustCompile(`\{[a-z_.]+=([^}]*)\}`)
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			methods := file.Services().Get(i).Methods()
			for j := range methods.Len() {
				name := []rune(methods.Get(j).Name())
				name[0] = unicode.ToLower(name[0])
				for _, rule := range rules(methods.Get(j)) {
					at := place{path: variable.ReplaceAllString(rulePath(rule), "$1")}
					at.method = map[bool]string{rule.GetGet() != "": "GET", rule.GetPost() != "": "POST", rule.GetPatch() != "": "PATCH", rule.GetDelete() != "": "DELETE"}[true]
					op := missing[at]
					if op == nil {
						t.Errorf("%s: %s %s is not described", methods.Get(j).FullName(), at.method, at.path)
						continue
					}
					if !strings.HasPrefix(op.OperationID, string(name)) {
						t.Errorf("%s %s is described as %s, want %s", at.method, at.path, op.OperationID, string(name))
					}
					delete(missing, at)
				}
			}
		}
		return true
	})
	for at := range missing {
		t.Errorf("%s %s is described, but no rule has it", at.method, at.path)
	}
}

func rules(method protoreflect.MethodDescriptor) []*annotations.HttpRule {
	rule, _ := proto.GetExtension(method.Options(), annotations.E_Http).(*annotations.HttpRule)
	if rule == nil {
		return nil
	}
	return append([]*annotations.HttpRule{rule}, rule.GetAdditionalBindings()...)
}

func rulePath(rule *annotations.HttpRule) string {
	return rule.GetGet() + rule.GetPost() + rule.GetPatch() + rule.GetDelete()
}

func TestNoTwoPathsAreTheSame(t *testing.T) {
	seen := map[string]string{}
	for path := range load(t).Paths.Map() {
		shape := id.ReplaceAllString(path, "*")
		if other := seen[shape]; other != "" {
			t.Errorf("%s and %s are the same path", path, other)
		}
		seen[shape] = path
	}
}

func TestEveryOperationIsComplete(t *testing.T) {
	tags := map[string]bool{}
	for _, tag := range load(t).Tags {
		if tag.Description == "" {
			t.Errorf("the tag %s has no description", tag.Name)
		}
		tags[tag.Name] = true
	}
	ids := map[string]bool{}
	for at, op := range described(t) {
		if op.OperationID == "" || ids[op.OperationID] {
			t.Errorf("%s %s: operationId %q is empty or used twice", at.method, at.path, op.OperationID)
		}
		ids[op.OperationID] = true
		if op.Summary == "" || op.Description == "" {
			t.Errorf("%s has no summary or description", op.OperationID)
		}
		if len(op.Tags) != 1 || !tags[op.Tags[0]] {
			t.Errorf("%s has the tags %q, want one that is described", op.OperationID, op.Tags)
		}
		for _, p := range op.Parameters {
			if p.Value.Description == "" {
				t.Errorf("%s: the parameter %s has no description", op.OperationID, p.Value.Name)
			}
		}
		problems := []string{"429", "503", "default"}
		if at.path != "/status" {
			problems = append(problems, "400")
		}
		if strings.Contains(at.path, "*") {
			problems = append(problems, "404")
		}
		if op.Parameters.GetByInAndName("header", "If-Match") != nil {
			problems = append(problems, "409", "412")
		}
		for _, status := range problems {
			answer := op.Responses.Value(status)
			if answer == nil || answer.Value.Content["application/problem+json"] == nil {
				t.Errorf("%s does not answer %s with a problem", op.OperationID, status)
				continue
			}
			if (status == "429" || status == "503") && answer.Value.Headers["Retry-After"] == nil {
				t.Errorf("%s answers %s without Retry-After", op.OperationID, status)
			}
		}
	}
}

func TestHeadersOfReadingAndWriting(t *testing.T) {
	for _, test := range []struct {
		at         place
		parameters []string
		status     string
		headers    []string
		mediaTypes []string
	}{
		{
			place{"GET", "/v1/comuni/*/services/*"},
			[]string{"If-None-Match"},
			"200",
			[]string{"Cid-As-Of", "Cid-Coverage", "ETag"},
			[]string{"application/json"},
		},
		{
			place{"GET", "/v1/comuni/*/services"},
			[]string{"If-None-Match"},
			"200",
			[]string{"ETag"},
			[]string{"application/json"},
		},
		{
			place{"POST", "/v1/comuni/*/services"},
			[]string{"Idempotency-Key"},
			"201",
			[]string{"ETag", "Location"},
			[]string{"application/json"},
		},
		{
			place{"PATCH", "/v1/comuni/*/services/*"},
			[]string{"Idempotency-Key", "If-Match"},
			"200",
			[]string{"ETag"},
			[]string{"application/json"},
		},
		{
			place{"POST", "/v1/comuni/*/services/*:undelete"},
			[]string{"Idempotency-Key", "If-Match"},
			"200",
			[]string{"ETag"},
			[]string{"application/json"},
		},
		{
			place{"GET", "/v1/nodes:watch"},
			nil,
			"200", nil,
			[]string{"application/x-ndjson", "text/event-stream"},
		},
		{
			place{"GET", "/v1/comuni/*/files/*:download"},
			[]string{"If-None-Match", "Range"},
			"200",
			[]string{"ETag"},
			[]string{"application/octet-stream"},
		},
		{
			place{"POST", "/v1/comuni/*/files"},
			nil,
			"201",
			[]string{"Location"},
			[]string{"application/json"},
		},
	} {
		t.Run(test.at.method+" "+test.at.path, func(t *testing.T) {
			op := described(t)[test.at]
			if op == nil {
				t.Fatal("not described")
			}
			var parameters []string
			for _, p := range op.Parameters {
				if p.Value.In == "header" {
					parameters = append(parameters, p.Value.Name)
				}
			}
			slices.Sort(parameters)
			if diff := cmp.Diff(test.parameters, parameters); diff != "" {
				t.Errorf("header parameters (-want +got):\n%s", diff)
			}
			answer := op.Responses.Value(test.status)
			if answer == nil {
				t.Fatalf("no answer %s", test.status)
			}
			want := append([]string{"X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"}, test.headers...)
			slices.Sort(want)
			if diff := cmp.Diff(want, sortedKeys(answer.Value.Headers)); diff != "" {
				t.Errorf("headers of the answer (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.mediaTypes, sortedKeys(answer.Value.Content)); diff != "" {
				t.Errorf("media types (-want +got):\n%s", diff)
			}
		})
	}
}

func sortedKeys[T any](m map[string]T) []string {
	var keys []string
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

func TestEverySchemaHasBounds(t *testing.T) {
	seen := 0
	err := load(t).WalkSchemas(func(at string, ref *openapi3.SchemaRef) error {
		s := ref.Value
		seen++
		closed := len(s.Enum) > 0 || s.Const != nil
		switch {
		case s.Type == nil:
			t.Errorf("%s has no type", at)
		case s.Type.Is("string") && !closed && s.MaxLength == nil:
			t.Errorf("%s: a string without maxLength", at)
		case s.Type.Is("array") && (s.MaxItems == nil || s.Items == nil):
			t.Errorf("%s: an array without maxItems or items", at)
		case s.Type.Is("integer") && !closed && (s.Min == nil && !s.ExclusiveMin.IsSet() || s.Max == nil && !s.ExclusiveMax.IsSet()):
			t.Errorf("%s: an integer without minimum or maximum", at)
		case s.Type.Is("object") && s.AdditionalProperties.Schema != nil && s.MaxProps == nil:
			t.Errorf("%s: a map without maxProperties", at)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen < 500 {
		t.Errorf("only %d schemas were looked at", seen)
	}
}

func TestLimitsOfTheContract(t *testing.T) {
	schemas := load(t).Components.Schemas
	service := schemas["Service"].Value
	if diff := cmp.Diff([]string{"title", "status"}, service.Required); diff != "" {
		t.Errorf("required of Service (-want +got):\n%s", diff)
	}
	for _, name := range []string{"name", "revision", "createTime"} {
		if !service.Properties[name].Value.ReadOnly {
			t.Errorf("Service.%s can be written", name)
		}
	}
	groups := service.Properties["targetGroups"].Value
	if *groups.MaxItems != 30 || !groups.UniqueItems {
		t.Errorf("Service.targetGroups: maxItems %d, uniqueItems %t", *groups.MaxItems, groups.UniqueItems)
	}
	if days := service.Properties["maximumResponseDays"].Value; *days.Min != 0 || *days.Max != 3650 {
		t.Errorf("Service.maximumResponseDays is from %v to %v", *days.Min, *days.Max)
	}
	patch := schemas["ServicePatch"].Value
	if len(patch.Required) != 0 || patch.Properties["revision"] != nil || patch.Properties["etag"] == nil {
		t.Error("ServicePatch is not the fields that a change may set, none of them required")
	}
	if revision := service.Properties["revision"].Value; !revision.Type.Is("string") || revision.Format != "int64" {
		t.Errorf("Service.revision is %v, %s", revision.Type, revision.Format)
	}
	if slices.Contains(schemas["Visibility"].Value.Enum, any("VISIBILITY_UNSPECIFIED")) {
		t.Error("Visibility lists the value that stands for none")
	}
}

func TestGolden(t *testing.T) {
	const path = "/v1/comuni/{comune}/services/{service}"
	var doc struct {
		Paths map[string]json.RawMessage `json:"paths"`
	}
	if err := json.Unmarshal(openapi.JSON, &doc); err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if err := json.Indent(&got, doc.Paths[path], "", "  "); err != nil {
		t.Fatal(err)
	}
	got.WriteByte('\n')
	golden := filepath.Join("testdata", "service.json")
	if *update {
		if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got.String(), "\n")); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}
