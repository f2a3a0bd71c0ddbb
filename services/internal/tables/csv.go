package tables

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
)

// The only table of a CSV file has no name.
const onlyTable = ""

func openCSV(data []byte) (*File, error) {
	text, encoding, err := decode(data)
	if err != nil {
		return nil, err
	}
	if bytes.IndexByte(text, 0) >= 0 {
		return nil, fmt.Errorf("%w: it is not text", ErrFormat)
	}
	comma, skip := separator(text)
	return &File{
		Format: CSV, Encoding: encoding, Tables: []string{onlyTable},
		rows: func(string) iter.Seq2[Row, error] { return csvRows(text, comma, skip) },
	}, nil
}

// decode finds the encoding of a text out and makes UTF-8 of it.
func decode(data []byte) ([]byte, string, error) {
	utf16 := func(order unicode.Endianness) ([]byte, string, error) {
		text, err := unicode.UTF16(order, unicode.UseBOM).NewDecoder().Bytes(data)
		return text, "utf-16", err
	}
	start := data[:min(len(data), 512)]
	switch {
	case bytes.HasPrefix(data, []byte("\xef\xbb\xbf")):
		data = data[3:]
	case bytes.HasPrefix(data, []byte("\xff\xfe")):
		return utf16(unicode.LittleEndian)
	case bytes.HasPrefix(data, []byte("\xfe\xff")):
		return utf16(unicode.BigEndian)
	case len(start) > 3 && zeros(start, 1)*4 > len(start):
		return utf16(unicode.LittleEndian)
	case len(start) > 3 && zeros(start, 0)*4 > len(start):
		return utf16(unicode.BigEndian)
	}
	if utf8.Valid(data) {
		return data, "utf-8", nil
	}
	text, err := charmap.Windows1252.NewDecoder().Bytes(data)
	return text, "windows-1252", err
}

// zeros counts the zero bytes at even (0) or odd (1) places.
func zeros(data []byte, from int) (n int) {
	for i := from; i < len(data); i += 2 {
		if data[i] == 0 {
			n++
		}
	}
	return n
}

// sniffed is how much of a text says what separates its cells.
const sniffed = 64 << 10

// separator finds out what separates the cells: what splits most lines into the
// same number of cells, more than one. skip is how many bytes of a first line
// only say so, as Excel writes it.
func separator(text []byte) (comma rune, skip int) {
	first, _, _ := bytes.Cut(text, []byte("\n"))
	if said := strings.TrimRight(string(first), "\r"); len(said) == len("sep=;") && strings.HasPrefix(strings.ToLower(said), "sep=") {
		if c := rune(said[4]); strings.ContainsRune(";,\t|", c) {
			return c, len(first)
		}
	}
	start := text
	if len(start) > sniffed {
		start = start[:sniffed]
	}
	comma, best := ';', 0
	for _, candidate := range []rune{';', '\t', '|', ','} {
		var counts []int
		reader := csv.NewReader(bytes.NewReader(start))
		reader.Comma, reader.LazyQuotes, reader.FieldsPerRecord, reader.ReuseRecord = candidate, true, -1, true
		for {
			record, err := reader.Read()
			if err != nil {
				break
			}
			counts = append(counts, len(record))
		}
		slices.Sort(counts)
		score := 0
		for i := 0; i < len(counts); {
			j := i
			for j < len(counts) && counts[j] == counts[i] {
				j++
			}
			if counts[i] > 1 {
				score = max(score, (j-i)*min(counts[i], 20))
			}
			i = j
		}
		if score > best {
			comma, best = candidate, score
		}
	}
	return comma, 0
}

func csvRows(text []byte, comma rune, skip int) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		rest := text[skip:]
		reader := csv.NewReader(bytes.NewReader(rest))
		reader.Comma, reader.LazyQuotes, reader.FieldsPerRecord, reader.ReuseRecord = comma, true, -1, true
		line, offset := int64(1), int64(0)
		if skip > 0 && !yield(Row{Line: 1}, nil) {
			return
		}
		for {
			record, err := reader.Read()
			if err != nil && !errors.Is(err, io.EOF) {
				yield(Row{}, fmt.Errorf("%w: %w", ErrFormat, err))
				return
			}
			// The reader passes over empty lines.
			end := reader.InputOffset()
			for piece := rest[offset:end]; ; line++ {
				if after, ok := bytes.CutPrefix(piece, []byte("\r\n")); ok {
					piece = after
				} else if piece, ok = bytes.CutPrefix(piece, []byte("\n")); !ok {
					line += int64(bytes.Count(piece, []byte("\n")))
					break
				}
				if (skip == 0 || line > 1) && !yield(Row{Line: line}, nil) {
					return
				}
			}
			if err != nil {
				return
			}
			first, _ := reader.FieldPos(0)
			cells := make([]string, min(len(record), MaxColumns))
			for i := range cells {
				cells[i] = tidy(record[i])
			}
			if !yield(Row{Line: int64(first), Cells: cells}, nil) {
				return
			}
			offset = end
		}
	}
}
