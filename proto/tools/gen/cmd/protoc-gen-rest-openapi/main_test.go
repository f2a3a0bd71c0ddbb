package main

import (
	"bytes"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/bufbuild/protocompile"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/pluginpb"
)

const protoRoot = "../../../.."

// contractFiles lists the .proto files of the contract.
func contractFiles(t *testing.T) []string {
	t.Helper()
	var files []string
	err := fs.WalkDir(os.DirFS(protoRoot), "cidsistem", func(path string, _ fs.DirEntry, err error) error {
		if filepath.Ext(path) == ".proto" {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// run compiles files and gives them to the plugin, as buf does. Sources stand
// for files that are not in the contract.
func run(t *testing.T, sources map[string]string, files ...string) (*pluginpb.CodeGeneratorResponse, error) {
	t.Helper()
	compiler := protocompile.Compiler{
		SourceInfoMode: protocompile.SourceInfoStandard,
		Resolver: protocompile.CompositeResolver{
			&protocompile.SourceResolver{
				ImportPaths: []string{protoRoot},
				Accessor: func(path string) (io.ReadCloser, error) {
					if text, is := sources[filepath.Base(path)]; is {
						return io.NopCloser(strings.NewReader(text)), nil
					}
					return os.Open(path)
				},
			},
			protocompile.ResolverFunc(func(path string) (protocompile.SearchResult, error) {
				linked, err := protoregistry.GlobalFiles.FindFileByPath(path)
				return protocompile.SearchResult{Desc: linked}, err
			}),
		},
	}
	compiled, err := compiler.Compile(t.Context(), files...)
	if err != nil {
		t.Fatal(err)
	}
	request := &pluginpb.CodeGeneratorRequest{FileToGenerate: files}
	added := map[string]bool{}
	var add func(file protoreflect.FileDescriptor)
	add = func(file protoreflect.FileDescriptor) {
		if added[file.Path()] {
			return
		}
		added[file.Path()] = true
		for i := range file.Imports().Len() {
			add(file.Imports().Get(i).FileDescriptor)
		}
		request.ProtoFile = append(request.ProtoFile, protodesc.ToFileDescriptorProto(file))
	}
	for _, file := range compiled {
		add(file)
	}
	// Over the wire, so that options arrive as the linked extensions.
	wire, err := proto.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	received := &pluginpb.CodeGeneratorRequest{}
	if err := proto.Unmarshal(wire, received); err != nil {
		t.Fatal(err)
	}
	plugin, err := protogen.Options{}.New(received)
	if err != nil {
		t.Fatal(err)
	}
	err = generate(plugin)
	return plugin.Response(), err
}

func generated(t *testing.T) string {
	t.Helper()
	response, err := run(t, nil, contractFiles(t)...)
	if err != nil {
		t.Fatal(err)
	}
	if len(response.GetFile()) != 1 || response.GetFile()[0].GetName() != "openapi.json" {
		t.Fatalf("the plugin wrote %d files, want openapi.json alone", len(response.GetFile()))
	}
	return response.GetFile()[0].GetContent()
}

func TestCommittedDocumentIsThatOfTheContract(t *testing.T) {
	committed, err := os.ReadFile(filepath.Join(protoRoot, "..", "gateway", "openapi", "openapi.json"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(committed), "\n"), strings.Split(generated(t), "\n")); diff != "" {
		t.Errorf("run proto/tools/generate.sh: the committed document (-) is not that of the contract (+):\n%s", diff)
	}
}

func TestSameBytesEveryTime(t *testing.T) {
	if first, second := generated(t), generated(t); first != second {
		t.Errorf("two runs differ:\n%s", cmp.Diff(strings.Split(first, "\n"), strings.Split(second, "\n")))
	}
}

// A contract of one kind; what a test changes of it comes in place of a marker.
const small = `syntax = "proto3";
package test.v1;
import "buf/validate/validate.proto";
import "cidsistem/annotations/v1/annotations.proto";
import "cidsistem/registry/v1/error_reason.proto";
import "google/api/annotations.proto";
import "google/api/resource.proto";
option go_package = "cidsistem.example/test/testv1;testv1";
service ThingService {
  // Gets a thing: the one that is named. Nothing else.
  rpc GetThing(GetThingRequest) returns (Thing) {
    option (google.api.http) = {get: "/v1/{name=things/*}"};
  }
  // METHODS
}
// A thing, with <b>no</b> markup; see in_words.
message Thing {
  option (google.api.resource) = {type: "test.example/Thing" pattern: "things/{thing}" singular: "thing" plural: "things"};
  option (cidsistem.annotations.v1.kind) = {label: "cosa" label_plural: "cose"};
  // Its name.
  string name = 1;
  // In words.
  string in_words = 2;
  // FIELDS
}
// Request message for GetThing.
message GetThingRequest {
  // The thing.
  string name = 1 [(buf.validate.field).string.pattern = "^things/[a-z]{2,5}$"];
  // FILTERS
}
`

func TestRefuses(t *testing.T) {
	for _, test := range []struct {
		name, marker, text, want string
	}{
		{
			"a rule that JSON Schema cannot say", "// FIELDS",
			`string code = 3 [(buf.validate.field).string.prefix = "x"];`,
			`code: rule buf\.validate\.StringRules\.prefix has no counterpart`,
		},
		{
			"two methods at one place", "// METHODS",
			`rpc TakeThing(GetThingRequest) returns (Thing) { option (google.api.http) = {get: "/v1/{name=things/*}"}; }`,
			`GET /v1/things/\{thing\} is both getThing and takeThing`,
		},
		{
			"a path of no resource", "// METHODS",
			`rpc TakeThing(GetThingRequest) returns (Thing) { option (google.api.http) = {get: "/v1/{name=stuff/*}"}; }`,
			`TakeThing: the pattern .* does not follow the path "stuff/\*"`,
		},
		{
			"a verb without a place in the document", "// METHODS",
			`rpc TakeThing(GetThingRequest) returns (Thing) { option (google.api.http) = {custom: {kind: "LOCK" path: "/v1/{name=things/*}"}}; }`,
			`no place for the verb LOCK`,
		},
		{
			"a type without a schema", "// FIELDS",
			`fixed32 count = 3;`,
			`count: no schema is known for the type fixed32`,
		},
		{
			"a service without a label", "service ThingService {",
			`message Else {}
			 service ElseService { rpc GetElse(GetThingRequest) returns (Else) { option (google.api.http) = {get: "/v1/else/{name=things/*}"}; } }
			 service ThingService {`,
			`test\.v1\.ElseService serves no kind of record: give it an Italian label`,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			source := strings.Replace(small, test.marker, test.text, 1)
			_, err := run(t, map[string]string{"small.proto": source}, "small.proto")
			if err == nil || !regexp.MustCompile(test.want).MatchString(err.Error()) {
				t.Errorf("error %v, want one that matches %q", err, test.want)
			}
		})
	}
}

func TestDescribes(t *testing.T) {
	filters := `
  // Only these.
  repeated string words = 2 [(buf.validate.field).repeated = {max_items: 3 items: {string: {min_len: 1 max_len: 7}}}];
  // How many.
  int64 how_many = 3 [(buf.validate.field).int64 = {gte: 5 lte: 12345}];
  // A range.
  Span span = 4;
  // Itself.
  GetThingRequest inner = 5;
}
// A range.
message Span {
  // From.
  int32 from = 1 [(buf.validate.field).int32.gt = 2];`
	source := strings.Replace(small, "// FILTERS", filters, 1)
	response, err := run(t, map[string]string{"small.proto": source}, "small.proto")
	if err != nil {
		t.Fatal(err)
	}
	document := response.GetFile()[0].GetContent()
	for _, want := range []string{
		`"/v1/things/{thing}"`,
		`"summary": "Gets a thing"`,
		`"description": "A thing, with \\<b>no\\</b> markup; see inWords."`,
		`"name":"thing","in":"path","description":"Id of the thing.","required":true,"schema":{"type":"string","maxLength":5,"pattern":"^[a-z]{2,5}$"},"example":"cosa-1"`,
		`"name":"words","in":"query","description":"Only these.","style":"form","explode":true,"schema":{"type":"array","maxItems":3,"items":{"type":"string","minLength":1,"maxLength":7}}`,
		`"name":"howMany","in":"query","description":"How many. From 5 to 12345.","required":true,"schema":{"type":"string","format":"int64","maxLength":5,"pattern":"^[0-9]{1,5}$"}`,
		`"name":"span.from","in":"query","description":"From.","required":true,"schema":{"type":"integer","format":"int32","exclusiveMinimum":2,"maximum":2147483647}`,
		`"inWords":{"type":"string","description":"In words.","maxLength":20000}`,
	} {
		if !strings.Contains(squeeze(document), squeeze(want)) {
			t.Errorf("the document lacks %s", want)
		}
	}
	if strings.Contains(document, `"inner.inner.`) {
		t.Error("a message within itself is followed without end")
	}
}

// squeeze takes the indentation out of JSON.
func squeeze(text string) string {
	var out bytes.Buffer
	for line := range strings.Lines(text) {
		out.WriteString(strings.TrimSpace(line))
	}
	return strings.ReplaceAll(out.String(), `": `, `":`)
}
