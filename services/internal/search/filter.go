package search

import (
	"context"

	"github.com/blevesearch/bleve/v2/mapping"
	"github.com/blevesearch/bleve/v2/search"
	"github.com/blevesearch/bleve/v2/search/query"
	index "github.com/blevesearch/bleve_index_api"
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

func (f filter) terms() []string {
	var terms []string
	for _, code := range f.codes {
		terms = append(terms, facetTerm(f.facet, code))
	}
	return terms
}

func (f filter) query() query.Query {
	var any []query.Query
	for _, t := range f.terms() {
		any = append(any, term(facetField, t))
	}
	return query.NewDisjunctionQuery(any)
}

// reader is the visibility of the scope, as readerField has it.
func (s Scope) reader() string { return max(s.Visibility, registryv1.Visibility_PUBLIC).String() }

// query is for the records of the scope that pass the filters.
func (s Scope) query(filters []filter) query.Query {
	all := []query.Query{term(readerField, s.reader())}
	if len(s.Comuni) > 0 {
		all = append(all, filter{comuniFacet, s.Comuni}.query())
	}
	for _, f := range filters {
		all = append(all, f.query())
	}
	return unscored{query.NewConjunctionQuery(all)}
}

// records are those of the scope.
func (s Scope) records(in snapshot) (records, error) {
	set, err := in.havingAny(readerField, s.reader())
	if err != nil || len(s.Comuni) == 0 {
		return set, err
	}
	comuni, err := in.havingAny(facetField, filter{comuniFacet, s.Comuni}.terms()...)
	if err != nil {
		return nil, err
	}
	set.narrow(comuni)
	return set, nil
}

func term(field, value string) query.Query {
	q := query.NewTermQuery(value)
	q.SetField(field)
	return q
}

// unscored decides whether a record is a hit, and not how good a one.
type unscored struct{ query.Query }

// Searcher is that of the query, told not to score.
func (q unscored) Searcher(ctx context.Context, reader index.IndexReader, m mapping.IndexMapping, options search.SearcherOptions) (search.Searcher, error) {
	options.Score = "none"
	return q.Query.Searcher(ctx, reader, m, options)
}
