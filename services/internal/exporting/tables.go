package exporting

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/xuri/excelize/v2"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/registryv1"
)

// bom tells spreadsheet programs that a CSV file is UTF-8.
const bom = "\ufeff"

// columnsOf are the fields of a kind that a table shows, as JSON names.
func columnsOf(kind *catalog.Kind) (columns []protoreflect.FieldDescriptor) {
	fields := kind.Descriptor().Fields()
	for i := range fields.Len() {
		if fd := fields.Get(i); fd.Number() < 82 || fd.Name() == "identifiers" {
			columns = append(columns, fd)
		}
	}
	return columns
}

func heads(columns []protoreflect.FieldDescriptor) []string {
	all := make([]string, len(columns))
	for i, fd := range columns {
		all[i] = fd.JSONName()
	}
	return all
}

func cells(record proto.Message, columns []protoreflect.FieldDescriptor) ([]string, error) {
	m := record.ProtoReflect()
	all := make([]string, len(columns))
	for i, fd := range columns {
		if !m.Has(fd) {
			continue
		}
		text, err := cell(fd, m.Get(fd))
		if err != nil {
			return nil, fmt.Errorf("%s, %s: %w", catalog.RecordOf(record).Name(), fd.JSONName(), err)
		}
		all[i] = text
	}
	return all, nil
}

// cell is a value as people read it in a table; what has no plain form is JSON.
func cell(fd protoreflect.FieldDescriptor, v protoreflect.Value) (string, error) {
	if fd.IsList() {
		var parts []string
		for i := range v.List().Len() {
			part, err := single(fd, v.List().Get(i))
			if err != nil {
				return "", err
			}
			parts = append(parts, part)
		}
		return strings.Join(parts, "\n"), nil
	}
	return single(fd, v)
}

func single(fd protoreflect.FieldDescriptor, v protoreflect.Value) (string, error) {
	switch {
	case fd.Enum() != nil:
		if value := fd.Enum().Values().ByNumber(v.Enum()); value != nil {
			return string(value.Name()), nil
		}
		return strconv.Itoa(int(v.Enum())), nil
	case fd.Message() == nil:
		return v.String(), nil
	}
	switch m := v.Message().Interface().(type) {
	case *registryv1.LocalizedText:
		return m.GetIt(), nil
	case *registryv1.CodedValue:
		return strings.TrimSpace(m.GetScheme() + ":" + m.GetCode() + " " + m.GetLabel()), nil
	case *registryv1.Identifier:
		return m.GetScheme() + ":" + m.GetValue(), nil
	case *registryv1.ContactPoint:
		return strings.TrimSpace(m.GetKind().String() + " " + m.GetValue() + " " + m.GetLabel()), nil
	case *registryv1.PartialDate:
		return dateText(m), nil
	case *registryv1.Status:
		return strings.TrimSpace(m.GetState().String() + " " + m.GetReason().GetIt()), nil
	case *timestamppb.Timestamp:
		return m.AsTime().UTC().Format(time.RFC3339), nil
	case *registryv1.Address:
		return addressText(m), nil
	default:
		text, err := recordJSON(v.Message().Interface())
		return string(text), err
	}
}

func dateText(d *registryv1.PartialDate) string {
	switch {
	case d.GetYear() == 0:
		return ""
	case d.GetMonth() == 0:
		return fmt.Sprintf("%04d", d.GetYear())
	case d.GetDay() == 0:
		return fmt.Sprintf("%04d-%02d", d.GetYear(), d.GetMonth())
	}
	return fmt.Sprintf("%04d-%02d-%02d", d.GetYear(), d.GetMonth(), d.GetDay())
}

func addressText(a *registryv1.Address) string {
	if a.GetWithheldReason() != "" {
		return a.GetWithheldReason()
	}
	var parts []string
	for _, part := range []string{a.GetStreet(), a.GetDetail(), strings.TrimSpace(a.GetPostalCode() + " " + a.GetMunicipality())} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, ", ")
}

// defused keeps a spreadsheet program from taking a text for a formula.
func defused(text string) string {
	if text != "" && strings.ContainsRune("=+-@\t\r", rune(text[0])) {
		return "'" + text
	}
	return text
}

// writeTable writes a CSV file as Italian spreadsheet programs open it.
func writeTable(out io.Writer, rows func(yield func([]string) error) error) error {
	if _, err := io.WriteString(out, bom); err != nil {
		return err
	}
	w := csv.NewWriter(out)
	w.Comma, w.UseCRLF = ';', true
	err := rows(func(row []string) error {
		for i := range row {
			row[i] = defused(row[i])
		}
		return w.Write(row)
	})
	w.Flush()
	return errors.Join(err, w.Error())
}

func recordRows(records []proto.Message, kind *catalog.Kind) func(yield func([]string) error) error {
	return func(yield func([]string) error) error {
		columns := columnsOf(kind)
		if err := yield(heads(columns)); err != nil {
			return err
		}
		for _, record := range records {
			row, err := cells(record, columns)
			if err == nil {
				err = yield(row)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
}

// writeCSV writes one collection.
func writeCSV(_ context.Context, _ *Server, shot *snapshot, asked []string, out io.Writer) error {
	return writeTable(out, recordRows(shot.records[asked[0]], catalog.ByCollection(asked[0])))
}

// maxCell is how much a cell of a workbook holds, in characters.
const maxCell = excelize.TotalCellChars

// writeXLSX writes a workbook with a sheet for each collection.
func writeXLSX(_ context.Context, _ *Server, shot *snapshot, asked []string, out io.Writer) (err error) {
	book := excelize.NewFile()
	defer func() { err = errors.Join(err, book.Close()) }()
	for i, collection := range asked {
		kind := catalog.ByCollection(collection)
		sheet := kind.LabelPlural
		if runes := []rune(sheet); len(runes) > excelize.MaxSheetNameLength {
			sheet = string(runes[:excelize.MaxSheetNameLength])
		}
		if i == 0 {
			err = book.SetSheetName("Sheet1", sheet)
		} else {
			_, err = book.NewSheet(sheet)
		}
		if err != nil {
			return err
		}
		stream, err := book.NewStreamWriter(sheet)
		if err != nil {
			return err
		}
		line := 0
		err = recordRows(shot.records[collection], kind)(func(row []string) error {
			line++
			values := make([]any, len(row))
			for i, text := range row {
				if runes := []rune(text); len(runes) > maxCell {
					text = string(runes[:maxCell-1]) + "…"
				}
				values[i] = text
			}
			return stream.SetRow("A"+strconv.Itoa(line), values)
		})
		if err := errors.Join(err, stream.Flush()); err != nil {
			return err
		}
	}
	if err := book.SetDocProps(&excelize.DocProperties{Creator: "CID SISTEM", Title: "CID SISTEM", Created: fixedTime, Modified: fixedTime}); err != nil {
		return err
	}
	packed, err := book.WriteToBuffer()
	if err != nil {
		return err
	}
	return repack(packed.Bytes(), out)
}

// fixedTime stands where a format wants a time that no record has.
const fixedTime = "2000-01-01T00:00:00Z"
