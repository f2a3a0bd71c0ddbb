package exporting

import (
	"archive/zip"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"google.golang.org/protobuf/proto"

	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/files"
)

// An archive is a zip file whose bytes depend on nothing but its content.
type archive struct{ zip *zip.Writer }

func newArchive(out io.Writer) *archive { return &archive{zip.NewWriter(out)} }

// add writes an entry; entries come in the order of their names.
func (a *archive) add(name string, write func(io.Writer) error) error {
	entry, err := a.zip.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate})
	if err != nil {
		return err
	}
	if err := write(entry); err != nil {
		return fmt.Errorf("pack %s: %w", name, err)
	}
	return nil
}

// repack writes a zip file anew, sorted and without times.
func repack(data []byte, out io.Writer) error {
	packed, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return err
	}
	slices.SortFunc(packed.File, func(a, b *zip.File) int { return cmp.Compare(a.Name, b.Name) })
	a := newArchive(out)
	for _, entry := range packed.File {
		err := a.add(entry.Name, func(w io.Writer) error {
			from, err := entry.Open()
			if err != nil {
				return err
			}
			_, err = io.Copy(w, io.LimitReader(from, int64(entry.UncompressedSize64)))
			return errors.Join(err, from.Close())
		})
		if err != nil {
			return err
		}
	}
	return a.zip.Close()
}

// A resource of a package, as Frictionless describes it.
type resource struct {
	Name      string         `json:"name"`
	Path      string         `json:"path"`
	Title     string         `json:"title,omitempty"`
	Format    string         `json:"format"`
	MediaType string         `json:"mediatype"`
	Encoding  string         `json:"encoding,omitempty"`
	Dialect   map[string]any `json:"dialect,omitempty"`
	Schema    map[string]any `json:"schema,omitempty"`
}

func jsonText(value any) func(io.Writer) error {
	return func(out io.Writer) error {
		text, err := json.MarshalIndent(value, "", "  ")
		if err != nil {
			return err
		}
		_, err = out.Write(append(text, '\n'))
		return err
	}
}

// license of what is given out: CC BY 4.0, as public bodies use it.
const (
	licenseName = "CC-BY-4.0"
	licenseURI  = "https://creativecommons.org/licenses/by/4.0/"
)

// titleOf names what a package is of.
func (s *snapshot) titleOf() string {
	if s.comune == "" {
		return "Servizi sociali: tutti i comuni di CID SISTEM"
	}
	for _, record := range s.records["comuni"] {
		return "Servizi sociali: " + catalog.RecordOf(record).Title()
	}
	return "Servizi sociali: " + s.comune
}

// writePackage writes JSON lines, tables, the files of documents and a
// description, as Frictionless and DCAT-AP_IT want it.
func writePackage(ctx context.Context, s *Server, shot *snapshot, asked []string, out io.Writer) error {
	a := newArchive(out)
	resources := []resource{{Name: "records", Path: "data/records.jsonl", Title: "Tutte le schede", Format: "jsonl", MediaType: "application/jsonl", Encoding: "utf-8"}}
	type part struct {
		name  string
		write func(io.Writer) error
	}
	var parts []part
	for _, collection := range asked {
		kind := catalog.ByCollection(collection)
		if len(shot.records[collection]) == 0 {
			continue
		}
		var fields []map[string]any
		for _, fd := range columnsOf(kind) {
			fields = append(fields, map[string]any{"name": fd.JSONName(), "type": "string"})
		}
		name := "data/" + collection + ".csv"
		resources = append(resources, resource{
			Name: collection, Path: name, Title: kind.LabelPlural, Format: "csv", MediaType: "text/csv", Encoding: "utf-8",
			Dialect: map[string]any{"delimiter": ";"}, Schema: map[string]any{"fields": fields, "primaryKey": "name"},
		})
		parts = append(parts, part{name, func(w io.Writer) error { return writeTable(w, recordRows(shot.records[collection], kind)) }})
	}
	parts = append(parts, part{"data/records.jsonl", func(w io.Writer) error { return writeLines(ctx, s, shot, asked, w) }})
	missing := 0
	for _, sum := range documentFiles(shot.records["documents"]) {
		if s.files == nil {
			missing++
			continue
		}
		if _, err := s.files.Stat(sum); errors.Is(err, files.ErrNotFound) {
			missing++
			continue
		} else if err != nil {
			return err
		}
		parts = append(parts, part{"files/" + sum, func(w io.Writer) error {
			from, err := s.files.Read(sum, 0)
			if err != nil {
				return err
			}
			_, err = io.Copy(w, from)
			return errors.Join(err, from.Close())
		}})
	}
	// How many references went is no part of the records: a copy of the package
	// would say another number.
	note := "I rimandi a schede non pubbliche sono tolti: ogni rimando porta a una scheda del pacchetto."
	if missing > 0 {
		note += fmt.Sprintf(" File di documenti non compresi: %d.", missing)
	}
	parts = append(parts,
		part{"datapackage.json", jsonText(map[string]any{
			"profile": "data-package", "name": "cid-sistem-" + cmp.Or(shot.comune, "tutti"), "title": shot.titleOf(), "description": note,
			"licenses": []map[string]string{{"name": licenseName, "path": licenseURI, "title": "Creative Commons Attribuzione 4.0"}}, "resources": resources,
			"omittedFiles": missing,
		})},
		part{"dcat-ap_it.jsonld", jsonText(shot.dcat(resources, note))},
	)
	slices.SortFunc(parts, func(a, b part) int { return cmp.Compare(a.name, b.name) })
	for _, p := range parts {
		if err := errors.Join(ctx.Err(), a.add(p.name, p.write)); err != nil {
			return err
		}
	}
	return a.zip.Close()
}

// dcat describes the package in DCAT-AP_IT.
func (s *snapshot) dcat(resources []resource, note string) map[string]any {
	var distributions []map[string]any
	for _, r := range resources {
		format := map[string]string{"csv": "CSV", "jsonl": "JSON"}[r.Format]
		distributions = append(distributions, map[string]any{
			"@type": []string{"dcatapit:Distribution", "dcat:Distribution"}, "dct:title": r.Title, "dcat:accessURL": map[string]string{"@id": r.Path},
			"dct:format": map[string]string{"@id": "http://publications.europa.eu/resource/authority/file-type/" + format}, "dct:license": map[string]string{"@id": licenseURI},
		})
	}
	return map[string]any{
		"@context": map[string]string{
			"dcat": "http://www.w3.org/ns/dcat#", "dct": "http://purl.org/dc/terms/", "dcatapit": "http://dati.gov.it/onto/dcatapit#", "foaf": "http://xmlns.com/foaf/0.1/",
		},
		"@type": []string{"dcatapit:Dataset", "dcat:Dataset"}, "dct:identifier": "cid-sistem-" + cmp.Or(s.comune, "tutti"),
		"dct:title": s.titleOf(), "dct:description": note, "dct:language": map[string]string{"@id": "http://publications.europa.eu/resource/authority/language/ITA"},
		"dct:accrualPeriodicity": map[string]string{"@id": "http://publications.europa.eu/resource/authority/frequency/CONT"},
		"dcat:theme":             map[string]string{"@id": "http://publications.europa.eu/resource/authority/data-theme/SOCI"},
		"dcat:distribution":      distributions,
	}
}

// documentFiles are the sums of the files that documents have, sorted.
func documentFiles(documents []proto.Message) (sums []string) {
	for _, record := range documents {
		if document, ok := record.(*registryv1.Document); ok {
			for _, file := range document.GetFiles() {
				sums = append(sums, file.GetSha256())
			}
		}
	}
	slices.Sort(sums)
	return slices.Compact(sums)
}
