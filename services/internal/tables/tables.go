// Package tables reads the tables of spreadsheets, a row at a time: CSV of any
// usual separator and encoding, Excel workbooks and OpenDocument spreadsheets.
package tables

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
)

// Bounds of what is read.
const (
	// MaxRows of a table.
	MaxRows = 1_000_000
	// MaxColumns of a table; what lies to the right of them is not read.
	MaxColumns = 500
	// MaxTables of a file.
	MaxTables = 200
	// maxUnpacked bounds what is unpacked from a file, in bytes.
	maxUnpacked = 512 << 20
	// maxInMemory bounds the part of a workbook that is unpacked in memory.
	maxInMemory = 32 << 20
)

var (
	// ErrFormat says that the bytes are no spreadsheet.
	ErrFormat = errors.New("the file is no spreadsheet that can be read")
	// ErrTooLarge says that a file holds more than can be read.
	ErrTooLarge = errors.New("the file unpacks to more than can be read")
	// ErrNoTable says that the file has no table of a name.
	ErrNoTable = errors.New("the file has no such table")
)

// A Format is how a spreadsheet is written.
type Format int

// The formats.
const (
	CSV Format = iota + 1
	XLSX
	ODS
)

// A Row is a line of a table.
type Row struct {
	// Line in the table, from 1. In a CSV file a row may go over several lines; this
	// is its first.
	Line int64
	// Cells from the left, spaces around them removed; empty ones at the end may be
	// left out.
	Cells []string
}

// Empty tells whether nothing is in the row.
func (r Row) Empty() bool {
	for _, cell := range r.Cells {
		if cell != "" {
			return false
		}
	}
	return true
}

// A File is an open spreadsheet.
type File struct {
	// Format of the file.
	Format Format
	// Encoding of the text: "utf-8", "utf-16", "windows-1252".
	Encoding string
	// Tables are the names of the tables, at least one.
	Tables []string

	rows  func(table string) iter.Seq2[Row, error]
	close func() error
}

// Open opens a spreadsheet. The bytes must not change until it is closed.
func Open(data []byte) (*File, error) {
	if !bytes.HasPrefix(data, []byte("PK\x03\x04")) {
		return openCSV(data)
	}
	packed, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	for _, entry := range packed.File {
		switch entry.Name {
		case "xl/workbook.xml":
			return openXLSX(data)
		case "content.xml":
			return openODS(entry)
		}
	}
	return nil, ErrFormat
}

// Rows reads a table, empty lines between others included. An error ends it.
func (f *File) Rows(table string) iter.Seq2[Row, error] {
	for _, known := range f.Tables {
		if known == table {
			return bounded(f.rows(table))
		}
	}
	return func(yield func(Row, error) bool) { yield(Row{}, fmt.Errorf("%w: %q", ErrNoTable, table)) }
}

func bounded(rows iter.Seq2[Row, error]) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		n := 0
		for row, err := range rows {
			if n++; err == nil && n > MaxRows {
				err = fmt.Errorf("%w: more than %d rows", ErrTooLarge, MaxRows)
			}
			if err != nil {
				yield(Row{}, err)
				return
			}
			if !yield(row, nil) {
				return
			}
		}
	}
}

// Close closes the file.
func (f *File) Close() error {
	if f.close == nil {
		return nil
	}
	return f.close()
}

// tidy removes what nobody means from a cell: spaces around it, non-breaking
// ones, characters that nobody sees.
func tidy(cell string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		switch {
		case r == '\u00a0' || r == '\t' || r == '\u2007' || r == '\u202f':
			return ' '
		case r == '\r' || r == '\u200b' || r == '\ufeff' || r == '\u00ad' || (r < ' ' && r != '\n'):
			return -1
		}
		return r
	}, cell))
}

// limited fails, unlike io.LimitReader, when there is more.
type limited struct {
	from io.Reader
	left int64
}

func (l *limited) Read(into []byte) (int, error) {
	if l.left <= 0 {
		return 0, ErrTooLarge
	}
	n, err := l.from.Read(into[:min(int64(len(into)), l.left)])
	l.left -= int64(n)
	return n, err
}
