package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// root is the path that all of our packages begin with.
const root = "cidsistem.example/"

// A rule says who may import a package. The package and the importers stand for
// everything below them too.
type rule struct {
	imported string
	only     []string // importers that may
	never    []string // importers that must not; without only, all others may
	tests    bool     // the rule is for tests too
	because  string
}

// rules are the directions of design.md, "Imports run one way", and what follows
// from it inside the modules.
var rules = []rule{
	{
		imported: root + "deploy", only: []string{root + "deploy"}, tests: true,
		because: "deploy puts the pieces together; no piece knows how it is deployed",
	},
	{
		imported: root + "gateway", only: []string{root + "gateway", root + "deploy"}, tests: true,
		because: "the edge is a client of the contract; nothing behind it knows of HTTP",
	},
	{
		imported: root + "services", only: []string{root + "services", root + "deploy"}, tests: true,
		because: "the contract and the edge know nothing of the servers",
	},
	{
		imported: root + "services/platform", only: []string{root + "services", root + "gateway", root + "deploy"}, tests: true,
		because: "the contract has no processes",
	},
	{
		imported: root + "proto", never: []string{root + "services/platform", root + "services/internal/boltkit"}, tests: true,
		because: "how processes run, and how bytes reach the disk, does not depend on what they are",
	},
	{
		imported: root + "services/registry", only: []string{root + "services/registry", root + "services/federationtest", root + "deploy"},
		because: "an ufficio comune knows nodes by their contract alone, and so does everyone else",
	},
	{
		imported: root + "services/ufficiocomune", only: []string{root + "services/ufficiocomune", root + "services/federationtest", root + "deploy"},
		because: "a node works without an ufficio comune",
	},
	{
		imported: root + "services/internal", only: []string{root + "services/internal", root + "services/registry", root + "services/ufficiocomune", root + "services/federationtest", root + "deploy"},
		because: "the administrator's command line is a client of the contract",
	},
	{
		imported: root + "services/internal/audit",
		only:     []string{root + "services/internal", root + "services/registry", root + "services/ufficiocomune", root + "services/cidctl"},
		because:  "an audit log is verified where no server runs",
	},
	{
		imported: root + "services/federationtest", only: []string{root + "services/federationtest"},
		because: "it is for tests of servers, not a part of them",
	},
	{
		imported: root + "gateway/internal/pages", never: []string{root + "gateway/internal/edge"},
		because: "the edge decides what HTTP means, pages only use it",
	},
	{
		imported: "go.etcd.io/bbolt",
		only:     []string{root + "services/internal/boltkit", root + "services/internal/store", root + "services/internal/search", root + "deploy/bench"},
		because:  "only the store speaks to bbolt, the search index about its own file, and what is measured against it",
	},
	{
		imported: "google.golang.org/grpc",
		never:    []string{root + "services/internal/boltkit", root + "services/internal/store", root + "services/internal/search", root + "services/internal/files", root + "proto/catalog"},
		because:  "what is kept and found does not depend on how it is asked for",
	},
	{
		imported: "net/http",
		only:     []string{root + "services/internal/accounts", root + "services/platform", root + "gateway", root + "deploy", root + "proto"},
		because:  "services never learn about HTTP; but an OIDC issuer, where people sign in, speaks it",
	},
	{
		imported: "github.com/grpc-ecosystem/grpc-gateway", only: []string{root + "proto/gen", root + "gateway/internal/edge", root + "proto/tools"},
		because: "the edge owns HTTP",
	},
	{
		imported: "google.golang.org/protobuf/encoding/protojson", only: []string{
			root + "gateway", root + "services/cidctl", root + "deploy", root + "proto/tools",
			root + "services/internal/desk", root + "services/internal/mail", root + "services/internal/editorial",
			root + "services/internal/exporting", root + "services/internal/importing",
		},
		because: "servers speak protobuf; JSON is for the edge, for files, for people who propose and compare values, and for what persons get of their data",
	},
	{
		imported: "testing", only: []string{root + "services/federationtest", root + "services/platform/identity/identitytest", root + "gateway/internal/portaltest", "testing"},
		because: "programs carry no test code",
	},
}

// TestImportsRunOneWay proves the order of the modules and of the packages in
// them.
func TestImportsRunOneWay(t *testing.T) {
	command := exec.CommandContext(t.Context(), "go", "list", "-deps", "-json=ImportPath,Imports,TestImports,XTestImports", "work")
	command.Dir = filepath.Join("..", "..")
	out, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	packages := 0
	used := map[string]bool{} // rules that watch over something
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			ImportPath                         string
			Imports, TestImports, XTestImports []string
		}
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if !within(p.ImportPath, []string{strings.TrimSuffix(root, "/")}) {
			continue
		}
		packages++
		for _, r := range rules {
			for i, imported := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
				if !within(imported, []string{r.imported}) {
					continue
				}
				used[r.imported] = true
				byTest := i >= len(p.Imports)
				if (r.tests || !byTest) && !r.allows(p.ImportPath, imported) {
					t.Errorf("%s imports %s: %s", p.ImportPath, imported, r.because)
				}
			}
		}
	}
	if packages < 20 {
		t.Errorf("only %d packages were looked at", packages)
	}
	for _, r := range rules {
		if !used[r.imported] {
			t.Errorf("nobody imports %s: its rule watches over nothing", r.imported)
		}
	}
}

// allows tells whether a package may import another. A rule for a package that
// lies within the module of another rule is the narrower one and decides.
func (r rule) allows(importer, imported string) bool {
	if within(importer, r.never) {
		return false
	}
	if r.only == nil || within(importer, r.only) {
		return true
	}
	for _, narrower := range rules {
		if len(narrower.imported) > len(r.imported) && within(narrower.imported, []string{r.imported}) && within(imported, []string{narrower.imported}) {
			return true // judged by that rule
		}
	}
	return false
}

// within tells whether a package is one of these or below one of them.
func within(path string, of []string) bool {
	return slices.ContainsFunc(of, func(parent string) bool { return path == parent || strings.HasPrefix(path, parent+"/") })
}
