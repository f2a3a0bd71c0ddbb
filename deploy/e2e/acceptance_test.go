package e2e

import (
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"cidsistem.example/deploy/demo"
	"cidsistem.example/proto/catalog"
)

// TestAcceptance proves that a node and the ufficio comune keep one contract,
// over gRPC and over REST alike: the same files of cases, four times.
func TestAcceptance(t *testing.T) {
	f, nodeGateway := sharedFederation(t)
	all := examples(t)
	files, err := filepath.Glob(filepath.Join("acceptance", "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []run{
		{name: "grpc-node", comune: "marsala", transport: grpcTransport{f.conn(t, "marsala"), nil}, vars: variables{"word": unique("alfa")}},
		{name: "grpc-office", comune: "pantelleria", transport: grpcTransport{f.conn(t, demo.Office), f}, vars: variables{"word": unique("bravo")}},
		{name: "rest-office", comune: "mazara-del-vallo", transport: restTransport{address: f.HTTP(), people: f}, vars: variables{"word": unique("como")}},
		{name: "rest-node", comune: "marsala", transport: restTransport{address: nodeGateway, inHeaders: true, people: f}, vars: variables{"word": unique("domodossola")}},
	} {
		t.Run(r.name, func(t *testing.T) {
			for _, path := range files {
				if filepath.Base(path) == "records.yaml" {
					continue
				}
				t.Run(strings.TrimSuffix(filepath.Base(path), ".yaml"), func(t *testing.T) { r.file(t, path, all) })
			}
		})
	}
}

// file runs the scenarios of a file, each with ids of its own.
func (r run) file(t *testing.T, path string, all map[string]example) {
	var scenarios []scenario
	if err := readYAML(path, &scenarios); err != nil {
		t.Fatal(err)
	}
	for i, s := range scenarios {
		if len(s.Over) > 0 && !slices.Contains(s.Over, r.name) {
			continue
		}
		id := r.vars["word"].(string) + "-" + strings.ReplaceAll(strings.TrimSuffix(filepath.Base(path), ".yaml"), "_", "-") + "-" + strconv.Itoa(i+1)
		if s.Each == "" {
			t.Run(s.Name, func(t *testing.T) { r.scenario(t, s, id, nil) })
			continue
		}
		for _, kind := range catalog.Kinds() {
			if !kind.Singleton {
				t.Run(s.Name+"/"+kind.Collection, func(t *testing.T) { r.scenario(t, s, id, kind, all[kind.Collection]) })
			}
		}
	}
}

func (r run) scenario(t *testing.T, s scenario, id string, kind *catalog.Kind, of ...example) {
	vars := variables{"comune": r.comune, "id": id}
	maps.Copy(vars, r.vars)
	r.vars, r.failed = vars, t.Fatalf
	for _, name := range slices.Sorted(maps.Keys(s.Vars)) {
		value, err := vars.expand(s.Vars[name])
		if err != nil {
			t.Fatal(err)
		}
		vars[name] = value
	}
	for _, example := range of {
		r.play(t.Context(), example.Given)
		if err := vars.describe(kind, example); err != nil {
			t.Fatal(err)
		}
	}
	r.play(t.Context(), s.Steps)
}

// describe sets the variables of a scenario that is about a kind of record.
func (v variables) describe(kind *catalog.Kind, e example) error {
	v["kind"], v["collection"], v["singular"] = string(kind.Descriptor().Name()), kind.Collection, kind.Singular
	list, _ := kind.Method(catalog.List)
	v["kinds"] = strings.TrimPrefix(list.Full[strings.LastIndexByte(list.Full, '/')+1:], string(catalog.List))
	v["parent"] = "comuni/" + v["comune"].(string)
	if e.Parent != "" {
		parent, err := v.expandText(e.Parent)
		if err != nil {
			return err
		}
		v["parent"] = parent
	}
	record, err := v.expand(e.Record)
	v["record"] = record
	return err
}
