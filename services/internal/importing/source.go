package importing

import (
	"archive/zip"
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/exchangev1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/store"
	"cidsistem.example/services/internal/tables"
)

const (
	// packageRecords and packageFiles are where the records and the files of
	// documents are in a package.
	packageRecords = "data/records.jsonl"
	packageFiles   = "files/"
	// maxLine bounds a line of JSON, maxUnpackedBytes all lines of a package.
	maxLine          = 4 << 20
	maxUnpackedBytes = 512 << 20
)

// source gives what the lines of a file say, from the first; it can be read
// again.
func (s *Server) source(one *exchangev1.Import, data []byte) (iter.Seq2[*candidate, error], error) {
	switch one.GetFormat() {
	case exchangev1.Import_JSON_LINES:
		return s.jsonLines(func() (io.Reader, error) { return bytes.NewReader(data), nil }), nil
	case exchangev1.Import_PACKAGE:
		return s.packaged(data)
	case exchangev1.Import_HSDS_JSON:
		return s.hsdsJSON(one, data), nil
	case exchangev1.Import_HSDS_TABULAR:
		return s.hsdsTabular(one, data)
	default:
		return s.rows(one, data)
	}
}

// rows reads a spreadsheet.
func (s *Server) rows(one *exchangev1.Import, data []byte) (iter.Seq2[*candidate, error], error) {
	m := &mapper{comune: s.Comune, source: one.GetSource(), collection: one.GetCollection(), columns: one.GetColumns()}
	var err error
	if m.bodies, err = s.directory("organizations", "l'ente"); err == nil && one.GetCollection() == "services" {
		m.places, err = s.directory("locations", "il luogo")
	}
	if err != nil {
		return nil, err
	}
	return func(yield func(*candidate, error) bool) {
		file, err := tables.Open(data)
		if err != nil {
			yield(nil, err)
			return
		}
		defer func() { _ = file.Close() }()
		for row, err := range file.Rows(one.GetTable()) {
			if err != nil {
				yield(nil, err)
				return
			}
			if row.Line > one.GetHeadingLine() && !yield(m.row(row), nil) {
				return
			}
		}
	}, nil
}

// directory knows the living records of a collection by what they are called.
func (s *Server) directory(collection, what string) (directory, error) {
	d := directory{what: what, names: map[string]string{}}
	query := store.Query{
		Kind: catalog.ByCollection(collection), Within: []string{s.Comune}, Limit: 500, Sight: catalog.Sight{Reads: registryv1.Visibility_LOCAL},
	}
	for {
		err := s.Store.View(func(r store.Reader) error {
			page, after, err := r.List(query)
			query.After = after
			for _, record := range page {
				d.learn(record)
			}
			return err
		})
		if err != nil || query.After == nil {
			return d, err
		}
	}
}

// jsonLines reads records as they were exported, one a line.
func (s *Server) jsonLines(open func() (io.Reader, error)) iter.Seq2[*candidate, error] {
	return func(yield func(*candidate, error) bool) {
		from, err := open()
		if err != nil {
			yield(nil, err)
			return
		}
		scanner := bufio.NewScanner(from)
		scanner.Buffer(make([]byte, 64<<10), maxLine)
		for line := int64(1); scanner.Scan(); line++ {
			if !yield(wholeRecord(line, scanner.Bytes()), nil) {
				return
			}
		}
		if err := scanner.Err(); err != nil {
			yield(nil, fmt.Errorf("read the lines: %w", err))
		}
	}
}

// wholeRecord reads a line of JSON.
func wholeRecord(line int64, text []byte) *candidate {
	c := &candidate{line: line, whole: true}
	if text = bytes.TrimSpace(text); len(text) == 0 {
		c.empty = true
		return c
	}
	var head struct {
		Name string `json:"name"`
	}
	if err := json.Unmarshal(text, &head); err != nil {
		c.wrong("", "", "la riga non è JSON")
		return c
	}
	name, err := catalog.ParseName(head.Name)
	if err != nil {
		c.wrong("name", head.Name, "non è il nome di una scheda")
		return c
	}
	c.name, c.content = name, name.Kind.New()
	if err := protojson.Unmarshal(text, c.content); err != nil {
		c.content = nil
		c.wrong("", "", "la scheda ha campi che il registro non conosce, o valori di un'altra forma: "+strings.ReplaceAll(err.Error(), "\u00a0", " "))
		return c
	}
	catalog.RecordOf(c.content).CopyServerFields(catalog.RecordOf(name.Kind.New()))
	catalog.RecordOf(c.content).SetName(name.String())
	return c
}

// packaged reads an open-data package: the files of documents first.
func (s *Server) packaged(data []byte) (iter.Seq2[*candidate, error], error) {
	packed, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, fmt.Errorf("open the package: %w", err)
	}
	var lines *zip.File
	for _, entry := range packed.File {
		switch sum, isFile := strings.CutPrefix(entry.Name, packageFiles); {
		case entry.Name == packageRecords:
			lines = entry
		case isFile && len(sum) == 64:
			if err := s.keepFile(entry, sum); err != nil {
				return nil, fmt.Errorf("take %s out of the package: %w", entry.Name, err)
			}
		}
	}
	if lines == nil {
		return nil, errors.New("the package has no " + packageRecords)
	}
	return s.jsonLines(func() (io.Reader, error) {
		from, err := lines.Open()
		if err != nil {
			return nil, err
		}
		return io.LimitReader(from, maxUnpackedBytes), nil
	}), nil
}

func (s *Server) keepFile(entry *zip.File, sum string) error {
	if _, err := s.Files.Stat(sum); err == nil {
		return nil
	}
	from, err := entry.Open()
	if err != nil {
		return err
	}
	_, err = s.Files.Put(context.Background(), from, sum)
	return errors.Join(err, from.Close())
}

// cutField takes the first part of a path apart, without the place in a list.
func cutField(path string) (first, rest string, ok bool) {
	first, rest, ok = strings.Cut(path, ".")
	first, _, _ = strings.Cut(first, "[")
	// JSON names have no underscores.
	for i := strings.IndexByte(first, '_'); i >= 0 && i+1 < len(first); i = strings.IndexByte(first, '_') {
		first = first[:i] + strings.ToUpper(first[i+1:i+2]) + first[i+2:]
	}
	return first, rest, ok
}

func setVisibility(record proto.Message, v registryv1.Visibility) {
	m := record.ProtoReflect()
	if fd := m.Descriptor().Fields().ByName("visibility"); fd != nil {
		m.Set(fd, protoreflect.ValueOfEnum(v.Number()))
	}
}
