package search

import (
	"google.golang.org/protobuf/reflect/protoreflect"

	"cidsistem.example/proto/gen/registryv1"
)

// facetNames are the facets: the fields of SearchRequest that take several
// texts, each a filter on the facet of its name.
var facetNames = func() (names []string) {
	fields := (&registryv1.SearchRequest{}).ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		if fd := fields.Get(i); fd.IsList() && fd.Kind() == protoreflect.StringKind {
			names = append(names, string(fd.Name()))
		}
	}
	return names
}()

// A filter lets the records through that have one of the codes.
type filter struct {
	facet string
	codes []string
}

func filtersOf(req *registryv1.SearchRequest) (filters []filter) {
	m := req.ProtoReflect()
	for _, facet := range facetNames {
		list := m.Get(m.Descriptor().Fields().ByName(protoreflect.Name(facet))).List()
		if list.Len() == 0 {
			continue
		}
		f := filter{facet: facet}
		for i := range list.Len() {
			f.codes = append(f.codes, list.Get(i).String())
		}
		filters = append(filters, f)
	}
	return filters
}

// passing are the records that a filter lets through.
func (s snapshot) passing(f filter) (records, error) {
	var terms []string
	for _, code := range f.codes {
		terms = append(terms, facetTerm(f.facet, code))
	}
	return s.havingAny(facetField, terms...)
}

// inScope are the records that a scope has.
func (s snapshot) inScope(scope Scope) (records, error) {
	reader := max(scope.Visibility, registryv1.Visibility_PUBLIC)
	set, err := s.havingAny(readerField, reader.String())
	if err != nil || len(scope.Comuni) == 0 {
		return set, err
	}
	comuni, err := s.passing(filter{comuniFacet, scope.Comuni})
	if err != nil {
		return nil, err
	}
	set.narrow(comuni)
	return set, nil
}
