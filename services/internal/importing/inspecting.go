package importing

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"slices"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/exchangev1"
	"cidsistem.example/services/internal/store"
	"cidsistem.example/services/internal/tables"
)

func spreadsheet(format exchangev1.Import_Format) bool {
	return format == exchangev1.Import_CSV || format == exchangev1.Import_XLSX || format == exchangev1.Import_ODS
}

// formatOf finds out what a file is.
func formatOf(data []byte) exchangev1.Import_Format {
	if bytes.HasPrefix(data, []byte("PK\x03\x04")) {
		packed, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return exchangev1.Import_FORMAT_UNSPECIFIED
		}
		format := exchangev1.Import_FORMAT_UNSPECIFIED
		for _, entry := range packed.File {
			switch entry.Name {
			case packageRecords:
				return exchangev1.Import_PACKAGE
			case "xl/workbook.xml":
				return exchangev1.Import_XLSX
			case "content.xml":
				return exchangev1.Import_ODS
			case "services.csv", "organizations.csv", "datapackage.json":
				format = exchangev1.Import_HSDS_TABULAR
			}
		}
		return format
	}
	text := bytes.TrimSpace(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")))
	if len(text) > 0 && (text[0] == '{' || text[0] == '[') {
		first, _, _ := bytes.Cut(text, []byte("\n"))
		var record struct {
			Name string `json:"name"`
		}
		if json.Unmarshal(first, &record) == nil && bytes.HasPrefix([]byte(record.Name), []byte("comuni/")) {
			return exchangev1.Import_JSON_LINES
		}
		return exchangev1.Import_HSDS_JSON
	}
	return exchangev1.Import_CSV
}

// inspect looks at the file of an import: what it is, its tables, and, when
// asked to guess, what the columns mean.
func (s *Server) inspect(one *exchangev1.Import, guess bool) error {
	data, err := s.read(one)
	if err != nil {
		return err
	}
	found := formatOf(data)
	if found == exchangev1.Import_FORMAT_UNSPECIFIED || one.GetFormat() != 0 && one.GetFormat() != found {
		return apierror.Invalid("import.format", "the file is none that can be imported, or not of this format: it looks like "+found.String())
	}
	one.Format = found
	if spreadsheet(found) {
		return s.inspectTables(one, data, guess)
	}
	one.Encoding, one.Columns, one.Targets, one.Tables = "utf-8", nil, nil, nil
	source, err := s.source(one, data)
	if err != nil {
		return apierror.Invalid("import.file", "cannot be read: "+err.Error())
	}
	total := int64(0)
	for c, err := range source {
		if err != nil {
			return apierror.Invalid("import.file", "cannot be read: "+err.Error())
		}
		total = c.line
	}
	one.LinesTotal = total
	return nil
}

func (s *Server) inspectTables(one *exchangev1.Import, data []byte, guess bool) error {
	if targets[one.GetCollection()] == nil {
		return apierror.Invalid("import.collection", `must be "services", "organizations", "locations" or "operators" for a spreadsheet`)
	}
	file, err := tables.Open(data)
	if err != nil {
		return apierror.Invalid("import.file", "cannot be read: "+err.Error())
	}
	defer func() { _ = file.Close() }()
	one.Encoding, one.Tables, one.Targets = file.Encoding, nil, described(one.GetCollection())
	if one.GetTable() != "" && !slices.Contains(file.Tables, one.GetTable()) {
		return apierror.Invalid("import.table", "the file has no such table")
	}
	wanted := one.GetTable()
	chosen := false
	for _, name := range file.Tables {
		table := &exchangev1.Import_Table{Name: name}
		var start []tables.Row
		content := false
		for row, err := range file.Rows(name) {
			if err != nil {
				return apierror.Invalid("import.file", "cannot be read: "+err.Error())
			}
			table.LineCount = row.Line
			content = content || !row.Empty()
			if len(start) < looked+sampled {
				start = append(start, row)
			}
		}
		table.HeadingLine = guessHeading(start[:min(len(start), looked)], one.GetCollection())
		one.Tables = append(one.Tables, table)
		if chosen || wanted != "" && name != wanted || wanted == "" && !content {
			continue
		}
		chosen, one.Table, one.LinesTotal = true, name, table.GetLineCount()
		if one.GetHeadingLine() != 0 {
			table.HeadingLine = one.GetHeadingLine()
		}
		one.HeadingLine = table.GetHeadingLine()
		s.inspectColumns(one, start, guess)
	}
	if !chosen {
		return apierror.Invalid("import.file", "there is nothing in it")
	}
	for _, column := range one.GetColumns() {
		if _, known := targetNamed(one.GetCollection(), column.GetTarget()); column.GetTarget() != "" && !known {
			return apierror.Invalid("import.columns", "no column can fill "+column.GetTarget()+", see import.targets")
		}
	}
	return s.recall(one, guess)
}

// inspectColumns sets the headings and samples of the columns; what they mean is
// guessed, or stays as somebody said it.
func (s *Server) inspectColumns(one *exchangev1.Import, start []tables.Row, guess bool) {
	heads := headings(start, one.GetHeadingLine())
	body := slices.DeleteFunc(slices.Clone(start), func(r tables.Row) bool { return r.Line <= one.GetHeadingLine() })
	guessed := guessColumns(heads, body, one.GetCollection())
	if !guess {
		for _, column := range guessed {
			said := slices.IndexFunc(one.GetColumns(), func(c *exchangev1.Import_Column) bool { return c.GetIndex() == column.GetIndex() })
			column.Target, column.Confidence = "", 100
			if said >= 0 {
				column.Target = one.GetColumns()[said].GetTarget()
			}
		}
	}
	one.Columns = guessed
}

// recall uses what was said of an earlier file of the source with the same
// headings.
func (s *Server) recall(one *exchangev1.Import, guess bool) error {
	if !guess {
		return nil
	}
	known := &exchangev1.Import{}
	return s.Store.View(func(r store.Reader) error {
		ok, err := s.open(r, mappingKey(one), known)
		if err != nil || !ok {
			return errors.Join(err)
		}
		for _, column := range one.GetColumns() {
			column.Target, column.Confidence = "", 100
			for _, before := range known.GetColumns() {
				if before.GetIndex() == column.GetIndex() {
					column.Target = before.GetTarget()
				}
			}
		}
		return nil
	})
}
