// Command protodeps writes the third-party .proto files that the contract
// imports, printed from the Go descriptors that the generated code links, so
// that the sources of a dependency cannot drift from its Go code.
package main

import (
	"bytes"
	"flag"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/jhump/protoreflect/v2/protoprint"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	_ "buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	_ "google.golang.org/genproto/googleapis/api/annotations"
	_ "google.golang.org/genproto/googleapis/api/httpbody"
	_ "google.golang.org/genproto/googleapis/rpc/errdetails"
	_ "google.golang.org/genproto/googleapis/type/latlng"
)

// prefixes are the folders of files that the contract may import.
var prefixes = []string{"buf/", "google/api/", "google/rpc/", "google/type/"}

func main() {
	out := flag.String("out", "", "folder to write to; it is created")
	flag.Parse()
	if *out == "" {
		log.Fatal("protodeps: -out is required")
	}
	var files []protoreflect.FileDescriptor
	protoregistry.GlobalFiles.RangeFiles(func(fd protoreflect.FileDescriptor) bool {
		for _, prefix := range prefixes {
			if strings.HasPrefix(fd.Path(), prefix) {
				files = append(files, fd)
			}
		}
		return true
	})
	for _, fd := range files {
		var text bytes.Buffer
		printer := protoprint.Printer{}
		if err := printer.PrintProtoFile(fd, &text); err != nil {
			log.Fatalf("protodeps: print %s: %v", fd.Path(), err)
		}
		path := filepath.Join(*out, fd.Path())
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			log.Fatalf("protodeps: %v", err)
		}
		if err := os.WriteFile(path, text.Bytes(), 0o644); err != nil {
			log.Fatalf("protodeps: %v", err)
		}
	}
}
