package registry

import (
	"context"
	"slices"

	"google.golang.org/protobuf/proto"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/pagetoken"
	"cidsistem.example/services/internal/policy"
	"cidsistem.example/services/internal/searching"
	"cidsistem.example/services/internal/standard"
	"cidsistem.example/services/internal/store"
)

// Get reads one record.
func (n *Node) Get(ctx context.Context, r standard.Request) (proto.Message, error) {
	name, err := r.Name()
	if err != nil {
		return nil, err
	}
	var record proto.Message
	err = n.store.View(func(reader store.Reader) error {
		record, err = visible(reader, name, policy.Of(ctx).Sight())
		return err
	})
	if err != nil {
		return nil, err
	}
	if record == nil {
		return nil, apierror.NotFound(name.String())
	}
	return record, standard.SetCoverage(ctx, n.coverage()[0])
}

// visible reads what a caller may see of a record, nil for nothing.
func visible(reader store.Reader, name catalog.Name, sight catalog.Sight) (proto.Message, error) {
	record, err := reader.Get(name)
	if err != nil || record == nil {
		return nil, err
	}
	return sight.Of(record), nil
}

// List reads one page.
func (n *Node) List(ctx context.Context, r standard.Request) (standard.Page, error) {
	within, err := r.Parent()
	if err != nil {
		return standard.Page{}, err
	}
	token, err := pagetoken.Decode(r.Message, r.PageToken())
	if err != nil {
		return standard.Page{}, err
	}
	page := standard.Page{Coverage: n.coverage()}
	query, own := r.Query(n.settings.Comune.ID, within, policy.Of(ctx).Sight())
	if !own {
		return standard.Page{}, apierror.NotFound(catalog.ComuneName(within[0]))
	}
	query.After = token.Key
	var after []byte
	err = n.store.View(func(reader store.Reader) (err error) {
		page.Records, after, err = reader.List(query)
		return err
	})
	if err != nil {
		return standard.Page{}, err
	}
	if after != nil {
		page.NextPageToken = pagetoken.Encode(r.Message, pagetoken.Token{Comune: n.settings.Comune.ID, Key: after})
	}
	return page, nil
}

// searchServer serves SearchService of a node.
type searchServer struct {
	registryv1.UnimplementedSearchServiceServer
	node *Node
}

func (s searchServer) scope(ctx context.Context, asked []string) searching.Scope {
	return searching.Scope{Comuni: searching.Comuni(asked, []string{s.node.settings.Comune.ID}), Reader: policy.Of(ctx).Reads()}
}

// Search finds records by words.
func (s searchServer) Search(ctx context.Context, request *registryv1.SearchRequest) (*registryv1.SearchResponse, error) {
	page, err := searching.PageOf(request)
	if err != nil {
		return nil, err
	}
	scope := s.scope(ctx, request.GetComuni())
	coverage := s.node.search.Freshness(ctx, s.node.coverage())
	response, err := s.node.search.Search(ctx, request, scope, page.From, page.Size)
	if err != nil {
		return nil, err
	}
	response.NextPageToken = page.Next(request, int(response.GetTotalSize()))
	response.Coverage = coverage
	for _, asked := range request.GetComuni() {
		if !slices.Contains(scope.Comuni, asked) {
			response.Unreachable = append(response.Unreachable, catalog.ComuneName(asked))
			response.Coverage = append(response.Coverage, &registryv1.Coverage{Comune: catalog.ComuneName(asked), State: registryv1.Coverage_MISSING})
		}
	}
	return response, nil
}

// Suggest completes what a person types.
func (s searchServer) Suggest(ctx context.Context, request *registryv1.SuggestRequest) (*registryv1.SuggestResponse, error) {
	return s.node.search.Suggest(ctx, request, s.scope(ctx, request.GetComuni()))
}
