package bench

import (
	"context"
	"fmt"
	"net/url"

	"google.golang.org/protobuf/proto"

	"cidsistem.example/deploy/demo"
	"cidsistem.example/proto/gen/registryv1"
)

// What people look for: words of the sample, so that something is found.
var (
	twoWords = []string{
		"trasporto disabili", "assistenza domiciliare", "sportello informazioni", "centro diurno", "contributo affitto",
		"trasporto scuola", "anziani casa", "invalidità domanda", "autismo famiglie", "lavoro disabilità", "servizio sociale", "persone disabilità",
	}
	// One letter is wrong, missing or in the wrong place.
	mistyped = []string{
		"trasprto disabili", "assistenza domicilare", "sportelo informazioni", "centro diunro", "contribto affitto",
		"trasporto scuolla", "anzinai casa", "invalidta domanda", "autsmo famiglie", "lavoro disabiltà", "servzio sociale", "persone disabilta",
	}
	beginnings = []string{"tra", "assis", "sport", "cen", "contri", "scuo", "anzi", "inval", "aut", "lav", "serviz", "disab"}
)

// searches measures searches and suggestions over all comuni.
func (b *bench) searches(ctx context.Context, f *federation) error {
	for _, kind := range []struct {
		title    string
		words    []string
		question func(q string) (method string, request proto.Message, path string)
	}{
		{"Searches of two words", twoWords, func(q string) (string, proto.Message, string) {
			return searching(&registryv1.SearchRequest{Q: q}, nil)
		}},
		{"Searches of two words with a filter and all facets", twoWords, func(q string) (string, proto.Message, string) {
			return searching(&registryv1.SearchRequest{Q: q, Kinds: []string{"services"}, Facets: true}, url.Values{"kinds": {"services"}, "facets": {"true"}})
		}},
		{"Searches of two words, one mistyped", mistyped, func(q string) (string, proto.Message, string) {
			return searching(&registryv1.SearchRequest{Q: q}, nil)
		}},
		{"Suggestions", beginnings, func(q string) (string, proto.Message, string) {
			return registryv1.SearchService_Suggest_FullMethodName, &registryv1.SuggestRequest{Q: q}, "/v1/suggest?" + url.Values{"q": {q}}.Encode()
		}},
	} {
		var questions []question
		var paths []string
		found := 0
		for _, words := range kind.words {
			method, request, path := kind.question(words)
			body, err := proto.Marshal(request)
			if err != nil {
				return err
			}
			questions = append(questions, question{method: method, request: body})
			paths = append(paths, path)
			n, err := f.hits(ctx, request)
			if err != nil {
				return err
			}
			found += n
		}
		if found == 0 {
			return fmt.Errorf("%s find nothing", kind.title)
		}
		targets, err := f.targets(nil, inTurn(questions), inTurn(paths))
		if err != nil {
			return err
		}
		title := fmt.Sprintf("%s (%s found, on average)", kind.title, decimals(float64(found)/float64(len(kind.words))))
		if err := b.compare(ctx, title, readers, targets[1:]); err != nil {
			return err
		}
	}
	return nil
}

func searching(request *registryv1.SearchRequest, more url.Values) (method string, message proto.Message, path string) {
	query := url.Values{"q": {request.GetQ()}}
	for key, values := range more {
		query[key] = values
	}
	return registryv1.SearchService_Search_FullMethodName, request, "/v1/search?" + query.Encode()
}

// hits is how much the ufficio comune finds.
func (f *federation) hits(ctx context.Context, request proto.Message) (int, error) {
	client := registryv1.NewSearchServiceClient(f.conns[demo.Office])
	if request, ok := request.(*registryv1.SuggestRequest); ok {
		found, err := client.Suggest(ctx, request)
		return len(found.GetSuggestions()), err
	}
	found, err := client.Search(ctx, request.(*registryv1.SearchRequest))
	return int(found.GetTotalSize()), err
}
