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

func (f filter) query() query.Query {
	var any []query.Query
	for _, code := range f.codes {
		any = append(any, term(facetField, facetTerm(f.facet, code)))
	}
	return query.NewDisjunctionQuery(any)
}

// narrowed is for the records of a scope that pass all filters but that of one
// facet.
func narrowed(scope Scope, filters []filter, but string) query.Query {
	reader := max(scope.Visibility, registryv1.Visibility_PUBLIC)
	all := []query.Query{term(readerField, reader.String())}
	if len(scope.Comuni) > 0 {
		all = append(all, filter{comuniFacet, scope.Comuni}.query())
	}
	for _, f := range filters {
		if f.facet != but {
			all = append(all, f.query())
		}
	}
	return unscored{query.NewConjunctionQuery(all)}
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
