// Package seed holds the sample data of the three comuni: real services and
// bodies, each with its source, none of it verified by a comune. It reads the
// data strictly and writes it to a registry node through the contract.
package seed

import (
	"cmp"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"cidsistem.example/proto/catalog"
)

//go:embed *.yaml files
var sample embed.FS

// Sample is the sample data that comes with the program, as Load reads it.
func Sample() fs.FS { return sample }

// A Comune is the sample data of one comune.
type Comune struct {
	// Slug is the id of the comune, for example "marsala".
	Slug string
	// Records in the order of the file; the first is the comune's own.
	Records []Record
	// Files that the documents among the records refer to.
	Files []File
}

// A Record of the sample data, complete with its name.
type Record struct {
	// Message is a record of one of the kinds of package catalog.
	Message proto.Message
	// File and Line say where it is written.
	File string
	Line int
}

// A File of a document.
type File struct {
	// Name under which it is saved.
	Name string
	// SHA256 of the data, hexadecimal.
	SHA256 string
	// Data of the file.
	Data []byte
}

// A Problem is something wrong in the data, and where.
type Problem struct {
	// File in which it is.
	File string
	// Line in the file, from 1; 0 when it concerns the whole file.
	Line int
	// Record in which it is, for example "services/sportello-h"; may be empty.
	Record string
	// Text says what is wrong and what to do.
	Text string
}

// Error puts place and text in one line.
func (p *Problem) Error() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d", p.Line)
	}
	b.WriteString(": ")
	if p.Record != "" {
		b.WriteString(p.Record + ": ")
	}
	b.WriteString(p.Text)
	return b.String()
}

const (
	listsFile   = "lists.yaml"
	filesFolder = "files"
)

// Load reads lists.yaml, one file for each comune and the files of documents.
// It accepts nothing doubtful: an unknown field, source, code, area, act or
// reference, an id used twice, a record without a source and a record that
// breaks a rule of the contract are errors. All errors are returned, joined;
// each is a *Problem.
func Load(data fs.FS) ([]Comune, error) {
	names, err := fs.Glob(data, "*.yaml")
	if err != nil {
		return nil, fmt.Errorf("listing the sample data: %w", err)
	}
	lists, err := loadLists(data)
	if err != nil {
		return nil, err
	}
	var comuni []Comune
	var problems []error
	for _, name := range names {
		if name == listsFile {
			continue
		}
		comune, errs := loadComune(data, name, lists)
		comuni = append(comuni, comune)
		problems = append(problems, errs...)
	}
	if len(comuni) == 0 {
		problems = append(problems, &Problem{File: listsFile, Text: "no file of a comune beside it; add one, such as marsala.yaml"})
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return comuni, nil
}

func loadComune(data fs.FS, name string, lists *lists) (Comune, []error) {
	slug := strings.TrimSuffix(name, path.Ext(name))
	if !catalog.ValidID(slug) {
		return Comune{}, []error{&Problem{File: name, Text: "the name of the file is no slug of a comune; use lower-case letters, digits and hyphens"}}
	}
	text, err := fs.ReadFile(data, name)
	if err != nil {
		return Comune{}, []error{&Problem{File: name, Text: err.Error()}}
	}
	r := &reader{file: name, slug: slug, lists: lists, lines: map[string]map[string]int{}}
	r.read(text)
	comune := Comune{Slug: slug, Records: r.records}
	if len(r.problems) == 0 {
		comune.Files = r.complete(data)
		r.check()
	}
	slices.SortStableFunc(r.problems, func(a, b *Problem) int { return cmp.Compare(a.Line, b.Line) })
	var problems []error
	for _, p := range r.problems {
		problems = append(problems, p)
	}
	return comune, problems
}
