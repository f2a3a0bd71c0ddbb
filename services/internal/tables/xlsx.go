package tables

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"regexp"
	"strconv"

	"github.com/xuri/excelize/v2"
)

func openXLSX(data []byte) (*File, error) {
	book, err := excelize.OpenReader(bytes.NewReader(data), excelize.Options{
		UnzipSizeLimit: maxUnpacked, UnzipXMLSizeLimit: maxInMemory, ShortDatePattern: "dd/mm/yyyy", LongDatePattern: "dd/mm/yyyy",
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	var names []string
	for _, name := range book.GetSheetList() {
		if visible, err := book.GetSheetVisible(name); err == nil && visible && len(names) < MaxTables {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil, errors.Join(fmt.Errorf("%w: it has no sheet", ErrFormat), book.Close())
	}
	return &File{
		Format: XLSX, Encoding: "utf-8", Tables: names,
		rows:  func(table string) iter.Seq2[Row, error] { return xlsxRows(book, table) },
		close: book.Close,
	}, nil
}

// xlsxRows reads what people see and what is stored side by side: dates are
// taken as they are shown, numbers as they are stored.
func xlsxRows(book *excelize.File, table string) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		fail := func(err error) { yield(Row{}, fmt.Errorf("%w: %w", ErrFormat, err)) }
		shown, err := book.Rows(table)
		if err != nil {
			fail(err)
			return
		}
		defer func() { _ = shown.Close() }()
		stored, err := book.Rows(table)
		if err != nil {
			fail(err)
			return
		}
		defer func() { _ = stored.Close() }()
		for line := int64(1); shown.Next() && stored.Next(); line++ {
			cells, err := shown.Columns()
			if err != nil {
				fail(err)
				return
			}
			raw, err := stored.Columns(excelize.Options{RawCellValue: true})
			if err != nil {
				fail(err)
				return
			}
			cells = cells[:min(len(cells), MaxColumns)]
			for i, cell := range cells {
				if i < len(raw) && raw[i] != cell && !dateLike.MatchString(cell) {
					if _, err := strconv.ParseFloat(raw[i], 64); err == nil {
						cell = raw[i]
					}
				}
				cells[i] = tidy(cell)
			}
			if !yield(Row{Line: line, Cells: cells}, nil) {
				return
			}
		}
		if err := errors.Join(shown.Error(), stored.Error()); err != nil {
			fail(err)
		}
	}
}

// dateLike is the look of a date.
var dateLike = regexp.MustCompile(`\d{1,4}[/.-](\d{1,2}|\pL{3,})[/.-]\d{1,4}|\pL{3,}.*\d|\d:\d\d`)
