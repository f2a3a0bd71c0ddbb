package seed_test

import (
	"archive/zip"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"cidsistem.example/deploy/seed"
	"cidsistem.example/proto/gen/exchangev1"
)

// TestSampleDataAsHSDS exports the sample data of each comune as HSDS: every
// reference of a table leads to a row. Where CID_HSDS_SCHEMAS names a folder with
// the published schemas of HSDS 3.1, every service follows them.
func TestSampleDataAsHSDS(t *testing.T) {
	var schema *jsonschema.Schema
	if folder := os.Getenv("CID_HSDS_SCHEMAS"); folder != "" {
		compiler := jsonschema.NewCompiler()
		compiler.AssertFormat()
		var err error
		if schema, err = compiler.Compile(filepath.Join(folder, "compiled-dev", "service_with_definitions.json")); err != nil {
			t.Fatal(err)
		}
	}
	for _, comune := range sample(t) {
		t.Run(comune.Slug, func(t *testing.T) {
			t.Parallel()
			n := node(t, comune.Slug)
			if _, err := seed.Import(t.Context(), n.Conn(t), comune, io.Discard); err != nil {
				t.Fatal(err)
			}
			var page struct {
				Contents []json.RawMessage `json:"contents"`
			}
			if err := json.Unmarshal(export(t, n, exchangev1.ExportFormat_HSDS_JSON), &page); err != nil || len(page.Contents) == 0 {
				t.Fatalf("%d services, %v", len(page.Contents), err)
			}
			for _, text := range page.Contents {
				service, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
				if err == nil && schema != nil {
					err = schema.Validate(service)
				}
				if err != nil {
					t.Errorf("%v\n%.300s", err, text)
				}
			}
			orphans(t, tables(t, export(t, n, exchangev1.ExportFormat_HSDS_TABULAR)))
		})
	}
}

// tables reads the tables of a package: rows by column.
func tables(t *testing.T, data []byte) map[string][]map[string]string {
	t.Helper()
	archive, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]map[string]string{}
	for _, file := range archive.File {
		name, is := strings.CutSuffix(filepath.Base(file.Name), ".csv")
		if !is {
			continue
		}
		opened, err := file.Open()
		if err != nil {
			t.Fatal(err)
		}
		lines, err := csv.NewReader(opened).ReadAll()
		if err != nil || len(lines) == 0 {
			t.Fatalf("%s: %d lines, %v", file.Name, len(lines), err)
		}
		for _, line := range lines[1:] {
			row := map[string]string{}
			for i, column := range lines[0] {
				row[strings.TrimPrefix(column, "\ufeff")] = line[i]
			}
			all[name] = append(all[name], row)
		}
	}
	return all
}

// orphans names every reference that leads nowhere: in HSDS the column service_id
// names a row of the table services, and so on; only service_at_location has no
// plural.
func orphans(t *testing.T, all map[string][]map[string]string) {
	t.Helper()
	there := map[string]map[string]bool{}
	for table, rows := range all {
		there[table] = map[string]bool{}
		for _, row := range rows {
			there[table][row["id"]] = true
		}
	}
	references := 0
	for table, rows := range all {
		for _, row := range rows {
			for column, value := range row {
				target, is := strings.CutSuffix(column, "_id")
				if !is || value == "" {
					continue
				}
				references++
				if target != "service_at_location" {
					target += "s"
				}
				if !there[target][value] {
					t.Errorf("%s.%s: %s is nowhere", table, column, value)
				}
			}
		}
	}
	if references == 0 {
		t.Error("no table refers to another")
	}
}
