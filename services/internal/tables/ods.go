package tables

import (
	"archive/zip"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"
)

// openODS reads the part of an OpenDocument file in which the tables are.
func openODS(content *zip.File) (*File, error) {
	if content.UncompressedSize64 > maxUnpacked {
		return nil, ErrTooLarge
	}
	f := &File{Format: ODS, Encoding: "utf-8", rows: func(table string) iter.Seq2[Row, error] { return odsRows(content, table) }}
	seen := map[string]bool{}
	err := readODS(content, func(d *xml.Decoder, table xml.StartElement) error {
		if name := attribute(table, "name"); !seen[name] && len(f.Tables) < MaxTables {
			seen[name] = true
			f.Tables = append(f.Tables, name)
		}
		return d.Skip()
	})
	if err != nil {
		return nil, err
	}
	if len(f.Tables) == 0 {
		return nil, fmt.Errorf("%w: it has no table", ErrFormat)
	}
	return f, nil
}

// errStop ends a reading early.
var errStop = errors.New("enough")

// readODS calls f at the start of each table.
func readODS(content *zip.File, f func(*xml.Decoder, xml.StartElement) error) error {
	unpacked, err := content.Open()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrFormat, err)
	}
	defer func() { _ = unpacked.Close() }()
	decoder := xml.NewDecoder(&limited{from: unpacked, left: maxUnpacked})
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if start, ok := token.(xml.StartElement); err == nil && ok && start.Name.Local == "table" && strings.Contains(start.Name.Space, "table") {
			err = f(decoder, start)
		}
		switch {
		case err == nil:
		case errors.Is(err, errStop), errors.Is(err, ErrTooLarge):
			return err
		default:
			return fmt.Errorf("%w: %w", ErrFormat, err)
		}
	}
}

func attribute(element xml.StartElement, name string) string {
	for _, a := range element.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// repeated is how many times a row or a cell is there.
func repeated(element xml.StartElement, name string) int64 {
	n, err := strconv.ParseInt(attribute(element, name), 10, 64)
	if err != nil || n < 1 {
		return 1
	}
	return n
}

// maxRepeated bounds how many times a row with content is repeated: nobody
// repeats one more often but by mistake, or to do harm.
const maxRepeated = 10_000

func odsRows(content *zip.File, table string) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		err := readODS(content, func(d *xml.Decoder, start xml.StartElement) error {
			if attribute(start, "name") != table {
				return d.Skip()
			}
			if err := odsTable(d, func(row Row) bool { return yield(row, nil) }); err != nil {
				return err
			}
			return errStop
		})
		if err != nil && !errors.Is(err, errStop) {
			yield(Row{}, err)
		}
	}
}

// odsTable reads the rows of a table up to its end. Empty rows are given only
// when others follow: a sheet has a million of them.
func odsTable(d *xml.Decoder, yield func(Row) bool) error {
	line, empty := int64(1), int64(0)
	for depth := 0; ; {
		token, err := d.Token()
		if err != nil {
			return err
		}
		switch element := token.(type) {
		case xml.EndElement:
			if depth == 0 {
				return nil
			}
			depth--
		case xml.StartElement:
			if element.Name.Local != "table-row" {
				if element.Name.Local == "table" || strings.HasPrefix(element.Name.Local, "shapes") {
					if err := d.Skip(); err != nil { // a drawing, or a table in it
						return err
					}
					continue
				}
				depth++ // groups of rows, columns
				continue
			}
			times := repeated(element, "number-rows-repeated")
			cells, err := odsCells(d)
			if err != nil {
				return err
			}
			if (Row{Cells: cells}).Empty() {
				empty += times
				continue
			}
			if empty > MaxRows || times > maxRepeated {
				return ErrTooLarge
			}
			for ; empty > 0; empty-- {
				if !yield(Row{Line: line}) {
					return errStop
				}
				line++
			}
			for ; times > 0; times-- {
				if !yield(Row{Line: line, Cells: cells}) {
					return errStop
				}
				line++
			}
		}
	}
}

// odsCells reads the cells of a row up to its end.
func odsCells(d *xml.Decoder) ([]string, error) {
	var cells []string
	for {
		token, err := d.Token()
		if err != nil {
			return nil, err
		}
		switch element := token.(type) {
		case xml.EndElement:
			return cells, nil
		case xml.StartElement:
			times := repeated(element, "number-columns-repeated")
			cell, err := odsCell(d, element)
			if err != nil {
				return nil, err
			}
			for ; times > 0 && len(cells) < MaxColumns; times-- {
				cells = append(cells, cell)
			}
		}
	}
}

// odsCell reads a cell up to its end: dates and numbers as they are stored, else
// the text that people see, without notes.
func odsCell(d *xml.Decoder, cell xml.StartElement) (string, error) {
	var text strings.Builder
	for depth := 0; ; {
		token, err := d.Token()
		if err != nil {
			return "", err
		}
		switch element := token.(type) {
		case xml.StartElement:
			switch element.Name.Local {
			case "annotation", "frame", "custom-shape", "shapes":
				if err := d.Skip(); err != nil {
					return "", err
				}
				continue
			case "p":
				if text.Len() > 0 {
					text.WriteByte('\n')
				}
			case "line-break":
				text.WriteByte('\n')
			case "s":
				text.WriteString(strings.Repeat(" ", int(min(repeated(element, "c"), 100))))
			case "tab":
				text.WriteByte(' ')
			}
			depth++
		case xml.CharData:
			if depth > 0 {
				text.Write(element)
			}
		case xml.EndElement:
			if depth > 0 {
				depth--
				continue
			}
			switch attribute(cell, "value-type") {
			case "float", "currency":
				return tidy(attribute(cell, "value")), nil
			case "date":
				if day, _, _ := strings.Cut(attribute(cell, "date-value"), "T"); day != "" {
					return day, nil
				}
			}
			return tidy(text.String()), nil
		}
	}
}
