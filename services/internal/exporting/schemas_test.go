package exporting_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"cidsistem.example/proto/gen/exchangev1"
)

// TestHSDSFollowsThePublishedSchemas checks exports against the schemas of HSDS
// 3.1 as they are published, in the folder that CID_HSDS_SCHEMAS names: they are
// not part of the project.
func TestHSDSFollowsThePublishedSchemas(t *testing.T) {
	folder := os.Getenv("CID_HSDS_SCHEMAS")
	if folder == "" {
		t.Skip("CID_HSDS_SCHEMAS names no folder with the schemas of HSDS 3.1")
	}
	n := start(t)
	n.fill()
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	schema, err := compiler.Compile(filepath.Join(folder, "compiled-dev", "service_with_definitions.json"))
	must(t, err)
	var page struct {
		Contents []json.RawMessage `json:"contents"`
	}
	must(t, json.Unmarshal(n.export(exchangev1.ExportFormat_HSDS_JSON), &page))
	if len(page.Contents) == 0 {
		t.Fatal("there is no service")
	}
	for _, text := range page.Contents {
		service, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		must(t, err)
		if err := schema.Validate(service); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
	}

	// The tables: each column is one of the published table, and what must be there
	// is there.
	text, err := os.ReadFile(filepath.Join(folder, "datapackage-dev.json"))
	must(t, err)
	var published struct {
		Resources []struct {
			Path   string `json:"path"`
			Schema struct {
				Fields []struct {
					Name        string `json:"name"`
					Constraints struct {
						Required bool     `json:"required"`
						Enum     []string `json:"enum"`
					} `json:"constraints"`
				} `json:"fields"`
			} `json:"schema"`
		} `json:"resources"`
	}
	must(t, json.Unmarshal(text, &published))
	found := tabular(t, n.export(exchangev1.ExportFormat_HSDS_TABULAR))
	for _, resource := range published.Resources {
		name := strings.TrimSuffix(resource.Path, ".csv")
		rows, ours := found[name]
		if !ours {
			continue
		}
		delete(found, name)
		for _, row := range rows {
			known := map[string]bool{}
			for _, field := range resource.Schema.Fields {
				known[field.Name] = true
				value := row[field.Name]
				if field.Constraints.Required && value == "" {
					t.Errorf("%s: %s is missing: %v", name, field.Name, row)
				}
				if value != "" && len(field.Constraints.Enum) > 0 && !slices.Contains(field.Constraints.Enum, value) {
					t.Errorf("%s: %s is %q", name, field.Name, value)
				}
			}
			for column := range row {
				if !known[column] {
					t.Errorf("%s has no column %s", name, column)
				}
			}
		}
	}
	for name := range found {
		t.Errorf("%s is no published table", name)
	}
}
