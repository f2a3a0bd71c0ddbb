package tables_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/xuri/excelize/v2"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"

	"cidsistem.example/services/internal/tables"
)

// all reads a table as lines "number|cell|cell".
func all(t testing.TB, data []byte, table string) (*tables.File, []string) {
	t.Helper()
	file, err := tables.Open(data)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	if table == "" {
		table = file.Tables[0]
	}
	var lines []string
	for row, err := range file.Rows(table) {
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, strings.TrimRight(fmt.Sprintf("%d|%s", row.Line, strings.Join(row.Cells, "|")), "|"))
	}
	return file, lines
}

func encoded(t testing.TB, text string, encode func([]byte) ([]byte, error)) []byte {
	t.Helper()
	data, err := encode([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestCSVOfEveryKind(t *testing.T) {
	want := []string{"1|Nome|Città", "2|Alfa|Mazara", "3", "4|\"Beta\"|due\nrighe", "6|Perché|è"}
	text := "Nome;Città\r\n Alfa ;Mazara\r\n\r\n\"\"\"Beta\"\"\";\"due\nrighe\"\r\nPerché;è\r\n"
	tests := map[string]struct {
		data     []byte
		encoding string
	}{
		"utf-8":               {[]byte(text), "utf-8"},
		"with a mark":         {[]byte("\xef\xbb\xbf" + text), "utf-8"},
		"windows-1252":        {encoded(t, text, charmap.Windows1252.NewEncoder().Bytes), "windows-1252"},
		"utf-16":              {encoded(t, text, unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewEncoder().Bytes), "utf-16"},
		"utf-16, no mark":     {encoded(t, text, unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM).NewEncoder().Bytes), "utf-16"},
		"tabs":                {[]byte(strings.ReplaceAll(text, ";", "\t")), "utf-8"},
		"commas":              {[]byte(strings.ReplaceAll(text, ";", ",")), "utf-8"},
		"bars":                {[]byte(strings.ReplaceAll(text, ";", "|")), "utf-8"},
		"no carriage returns": {[]byte(strings.ReplaceAll(text, "\r", "")), "utf-8"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			file, got := all(t, test.data, "")
			if file.Format != tables.CSV || file.Encoding != test.encoding {
				t.Errorf("it is %v, %s", file.Format, file.Encoding)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	if _, got := all(t, []byte("sep=|\na;b|c\n\nd|e\n"), ""); !slices.Equal(got, []string{"1", "2|a;b|c", "3", "4|d|e"}) {
		t.Errorf("with the separator said: %q", got)
	}
}

func TestXLSX(t *testing.T) {
	book := excelize.NewFile()
	day, err := book.NewStyle(&excelize.Style{NumFmt: 14})
	if err != nil {
		t.Fatal(err)
	}
	money, err := book.NewStyle(&excelize.Style{NumFmt: 4})
	if err != nil {
		t.Fatal(err)
	}
	for at, value := range map[string]any{"A1": "Nome", "B1": "Data", "C1": "Costo", "A3": " Alfa ", "B3": 46022, "C3": 1234.5} {
		if err := book.SetCellValue("Sheet1", at, value); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(book.SetCellStyle("Sheet1", "B3", "B3", day), book.SetCellStyle("Sheet1", "C3", "C3", money)); err != nil {
		t.Fatal(err)
	}
	if _, err := book.NewSheet("Altro"); err != nil {
		t.Fatal(err)
	}
	packed, err := book.WriteToBuffer()
	if err != nil {
		t.Fatal(err)
	}
	file, got := all(t, packed.Bytes(), "")
	if diff := cmp.Diff([]string{"1|Nome|Data|Costo", "2", "3|Alfa|31/12/2025|1234.5"}, got); diff != "" {
		t.Error(diff)
	}
	if !slices.Equal(file.Tables, []string{"Sheet1", "Altro"}) || file.Format != tables.XLSX {
		t.Errorf("it has %q", file.Tables)
	}
}

// ods packs the tables of an OpenDocument spreadsheet.
func ods(t testing.TB, body string) []byte {
	t.Helper()
	var packed bytes.Buffer
	w := zip.NewWriter(&packed)
	content, err := w.Create("content.xml")
	if err == nil {
		_, err = fmt.Fprintf(content, `<?xml version="1.0"?><office:document-content xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0" xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0"><office:body><office:spreadsheet>%s</office:spreadsheet></office:body></office:document-content>`, body)
	}
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return packed.Bytes()
}

func TestODS(t *testing.T) {
	data := ods(t, `<table:table table:name="Uno"><table:table-column/>
<table:table-row><table:table-cell table:number-columns-spanned="2"><text:p>Nome</text:p></table:table-cell><table:covered-table-cell/><table:table-cell><text:p>Data</text:p></table:table-cell></table:table-row>
<table:table-row table:number-rows-repeated="2"><table:table-cell table:number-columns-repeated="16384"/></table:table-row>
<table:table-row table:number-rows-repeated="2"><table:table-cell><text:p>Alfa<text:s text:c="2"/>e</text:p><text:p>Beta</text:p></table:table-cell><table:table-cell office:value-type="float" office:value="12.5"><text:p>12,50</text:p></table:table-cell><table:table-cell office:value-type="date" office:date-value="2025-12-31T00:00:00"><text:p>31/12/25</text:p></table:table-cell></table:table-row>
<table:table-row table:number-rows-repeated="1048570"><table:table-cell/></table:table-row></table:table><table:table table:name="Due"/>`)
	file, got := all(t, data, "")
	if diff := cmp.Diff([]string{"1|Nome||Data", "2", "3", "4|Alfa  e\nBeta|12.5|2025-12-31", "5|Alfa  e\nBeta|12.5|2025-12-31"}, got); diff != "" {
		t.Error(diff)
	}
	if !slices.Equal(file.Tables, []string{"Uno", "Due"}) || file.Format != tables.ODS {
		t.Errorf("it has %q", file.Tables)
	}
}

func TestWhatIsTooLargeIsRefused(t *testing.T) {
	row := `<table:table-row table:number-rows-repeated="900000"><table:table-cell><text:p>x</text:p></table:table-cell></table:table-row>`
	file, err := tables.Open(ods(t, `<table:table table:name="Uno">`+row+`</table:table>`))
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range file.Rows("Uno") {
		if !errors.Is(err, tables.ErrTooLarge) {
			t.Errorf("it says %v", err)
		}
		break
	}
	for name, data := range map[string][]byte{"no spreadsheet": []byte("PK\x03\x04 nothing"), "zeros": make([]byte, 2000)} {
		if _, err := tables.Open(data); !errors.Is(err, tables.ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzOpen reads anything: it ends, within bounds, with lines that rise.
func FuzzOpen(f *testing.F) {
	f.Add([]byte("a;b\n\"c\nd\";e\n\n"))
	f.Add([]byte("sep=,\r\na,b\r\n"))
	f.Add([]byte("\xff\xfea\x00;\x00b\x00"))
	f.Add(ods(f, `<table:table table:name="x"><table:table-row table:number-rows-repeated="3"><table:table-cell><text:p>x</text:p></table:table-cell></table:table-row></table:table>`))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := tables.Open(data)
		if err != nil {
			return
		}
		defer func() { _ = file.Close() }()
		for _, table := range file.Tables {
			last, n := int64(0), 0
			for row, err := range file.Rows(table) {
				if err != nil {
					break
				}
				if row.Line <= last || len(row.Cells) > tables.MaxColumns {
					t.Fatalf("line %d after %d, %d cells", row.Line, last, len(row.Cells))
				}
				if last, n = row.Line, n+1; n > 20_000 {
					break
				}
			}
		}
	})
}
