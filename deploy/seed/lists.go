package seed

import (
	"errors"
	"fmt"
	"io/fs"

	"go.yaml.in/yaml/v3"

	"cidsistem.example/proto/gen/registryv1"
)

// lists are the codes, areas and acts that the files of all comuni name.
type lists struct {
	Areas map[string]area   `yaml:"areas"`
	Acts  map[string]act    `yaml:"acts"`
	Codes map[string]scheme `yaml:"codes"`
}

type area struct {
	Kind  string `yaml:"kind"`
	Code  string `yaml:"code"`
	Label string `yaml:"label"`
}

type act struct {
	Label   string `yaml:"label"`
	URN     string `yaml:"urn"`
	URI     string `yaml:"uri"`
	Version string `yaml:"version"`
}

// scheme is a published list of codes, as far as the data use it.
type scheme struct {
	Version string            `yaml:"version"`
	Source  string            `yaml:"source"`
	Labels  map[string]string `yaml:"labels"`
}

func loadLists(data fs.FS) (*lists, error) {
	file, err := data.Open(listsFile)
	if err != nil {
		return nil, &Problem{File: listsFile, Text: fmt.Sprintf("cannot be read: %v", err)}
	}
	defer func() { _ = file.Close() }() // opened for reading
	decoder := yaml.NewDecoder(file)
	decoder.KnownFields(true)
	var l lists
	if err := decoder.Decode(&l); err != nil {
		return nil, &Problem{File: listsFile, Text: fmt.Sprintf("is not as the README says: %v", err)}
	}
	var problems []error
	for name, s := range l.Codes {
		if s.Version == "" || s.Source == "" {
			problems = append(problems, &Problem{File: listsFile, Text: fmt.Sprintf("codes.%s: give the version and the source of the list", name)})
		}
	}
	for name, a := range l.Areas {
		if registryv1.Area_Kind_value[a.Kind] == 0 {
			problems = append(problems, &Problem{File: listsFile, Text: fmt.Sprintf("areas.%s: %q is no kind of area", name, a.Kind)})
		}
	}
	return &l, errors.Join(problems...)
}

func (l *lists) area(name string) (*registryv1.Area, error) {
	a, ok := l.Areas[name]
	if !ok {
		return nil, fmt.Errorf("unknown area %q; add it to areas in %s", name, listsFile)
	}
	return &registryv1.Area{
		Kind:  registryv1.Area_Kind(registryv1.Area_Kind_value[a.Kind]),
		Code:  a.Code,
		Label: a.Label,
	}, nil
}

func (l *lists) act(name string) (*registryv1.LegalReference, error) {
	a, ok := l.Acts[name]
	if !ok {
		return nil, fmt.Errorf("unknown act %q; add it to acts in %s", name, listsFile)
	}
	return &registryv1.LegalReference{Label: a.Label, Urn: a.URN, Uri: a.URI, Version: a.Version}, nil
}

func (l *lists) code(list, code string) (*registryv1.CodedValue, error) {
	s, ok := l.Codes[list]
	if !ok {
		return nil, fmt.Errorf("unknown list %q; add it to codes in %s with version and source", list, listsFile)
	}
	label, ok := s.Labels[code]
	if !ok {
		return nil, fmt.Errorf("unknown code %q of %s; add it with its label to %s", code, list, listsFile)
	}
	return &registryv1.CodedValue{Scheme: list, Version: s.Version, Code: code, Label: label}, nil
}
