package ufficiocomune

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"

	"google.golang.org/protobuf/proto"

	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/policy"
	"cidsistem.example/services/internal/searching"
	"cidsistem.example/services/internal/standard"
)

// searchServer serves SearchService of an office.
type searchServer struct {
	registryv1.UnimplementedSearchServiceServer
	office *Office
}

// Search finds records by words in the copies, and at the owners of copies that
// are not fresh enough.
func (s searchServer) Search(ctx context.Context, request *registryv1.SearchRequest) (*registryv1.SearchResponse, error) {
	page, err := searching.PageOf(request)
	if err != nil {
		return nil, err
	}
	holders, err := s.office.holders()
	if err != nil {
		return nil, err
	}
	f := standard.FreshnessOf(request.GetReadPreference(), request.GetMaxStaleness())
	asked := searching.Comuni(request.GetComuni(), comuni(holders))

	var copies, owners []standing
	for _, comune := range asked {
		standing := s.office.standing(comune, holders[comune])
		if s.office.askOwner(standing, f) {
			owners = append(owners, standing)
		} else {
			copies = append(copies, standing)
		}
	}
	response := &registryv1.SearchResponse{}
	parts, silent := s.askOwners(ctx, request, owners, page, f)
	for _, part := range parts {
		response.Coverage = append(response.Coverage, part.GetCoverage()...)
	}
	now := s.office.store.Now()
	for _, standing := range silent {
		if standing.usable(now, f) {
			copies = append(copies, standing)
			continue
		}
		response.Coverage = append(response.Coverage, missing(standing.comune))
	}
	local := searching.Scope{Reader: policy.Of(ctx).Reads()}
	var coverage []*registryv1.Coverage
	for _, standing := range copies {
		coverage = append(coverage, standing.coverage(now, f.Limit))
		if !standing.missing {
			local.Comuni = append(local.Comuni, standing.comune)
		}
	}
	response.Coverage = append(response.Coverage, s.office.search.Freshness(ctx, coverage)...)
	from, size := page.From, page.Size
	if len(parts) > 0 {
		// Hits of several answers are merged: each must be whole up to the end of
		// the page.
		from, size = 0, page.From+page.Size
	}
	own, err := s.office.search.Search(ctx, request, local, from, size)
	if err != nil {
		return nil, err
	}
	merge(response, append(parts, own), request.GetOrder())
	if len(parts) > 0 {
		response.Hits = cut(response.GetHits(), page)
	}
	s.finish(request, response, page)
	return response, nil
}

// finish sorts what the answer says of comuni, and names those that the
// federation does not know.
func (s searchServer) finish(request *registryv1.SearchRequest, response *registryv1.SearchResponse, page searching.Page) {
	for _, slug := range request.GetComuni() {
		name := catalog.ComuneName(slug)
		if !slices.ContainsFunc(response.GetCoverage(), func(c *registryv1.Coverage) bool { return c.GetComune() == name }) {
			response.Coverage = append(response.Coverage, missing(slug))
		}
	}
	slices.SortFunc(response.GetCoverage(), func(a, b *registryv1.Coverage) int { return strings.Compare(a.GetComune(), b.GetComune()) })
	for _, c := range response.GetCoverage() {
		if c.GetState() == registryv1.Coverage_MISSING {
			response.Unreachable = append(response.Unreachable, c.GetComune())
		}
	}
	response.NextPageToken = page.Next(request, int(response.GetTotalSize()))
}

// askOwners searches at the owners of several comuni at the same time. silent
// are those that did not answer.
func (s searchServer) askOwners(ctx context.Context, request *registryv1.SearchRequest, owners []standing, page searching.Page, f standard.Freshness) (parts []*registryv1.SearchResponse, silent []standing) {
	var mu sync.Mutex
	var wait sync.WaitGroup
	for _, owner := range owners {
		wait.Go(func() {
			part, err := s.askOwner(ctx, request, owner, page, f)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				silent = append(silent, owner)
				return
			}
			parts = append(parts, part)
		})
	}
	wait.Wait()
	return parts, silent
}

// askOwner takes the hits of one owner up to the end of the page.
func (s searchServer) askOwner(ctx context.Context, request *registryv1.SearchRequest, owner standing, page searching.Page, f standard.Freshness) (*registryv1.SearchResponse, error) {
	bounded, cancel := s.office.budget(ctx, owner, f)
	defer cancel()
	client := registryv1.NewSearchServiceClient(owner.member.conn)
	ask := proto.CloneOf(request)
	ask.Comuni, ask.PageToken = []string{owner.comune}, ""
	var whole *registryv1.SearchResponse
	for need := page.From + page.Size; ; {
		ask.PageSize = int32(need)
		part, err := client.Search(policy.OnBehalf(bounded, owner.member.ID), ask)
		if err != nil {
			return nil, err
		}
		need -= len(part.GetHits())
		if whole == nil {
			whole = part
		} else {
			whole.Hits = append(whole.Hits, part.GetHits()...)
		}
		if ask.PageToken = part.GetNextPageToken(); ask.PageToken == "" || need <= 0 {
			coverage := s.office.answered(owner, coverageOf(part.GetCoverage(), owner.comune))
			if coverage == nil {
				return nil, unreachable(owner.comune)
			}
			whole.Coverage = []*registryv1.Coverage{coverage}
			return whole, nil
		}
	}
}

// merge adds up several answers: hits in the order that is wanted, counts by sum.
func merge(into *registryv1.SearchResponse, parts []*registryv1.SearchResponse, by registryv1.SearchRequest_Order) {
	counts := map[string]map[string]int32{}
	var order []string
	into.Relaxed = true
	for _, part := range parts {
		into.Hits = append(into.Hits, part.GetHits()...)
		into.TotalSize += part.GetTotalSize()
		into.Relaxed = into.GetRelaxed() && (part.GetRelaxed() || part.GetTotalSize() == 0)
		for _, word := range part.GetAlsoSearched() {
			if !slices.Contains(into.GetAlsoSearched(), word) {
				into.AlsoSearched = append(into.AlsoSearched, word)
			}
		}
		for _, facet := range part.GetFacets() {
			if counts[facet.GetFacet()] == nil {
				counts[facet.GetFacet()] = map[string]int32{}
				order = append(order, facet.GetFacet())
			}
			for _, c := range facet.GetCounts() {
				counts[facet.GetFacet()][c.GetCode()] += c.GetCount()
			}
		}
	}
	into.Relaxed = into.GetRelaxed() && into.GetTotalSize() > 0
	if len(parts) > 1 {
		slices.SortStableFunc(into.GetHits(), func(a, b *registryv1.SearchHit) int {
			if by == registryv1.SearchRequest_NEWEST_FIRST {
				return cmp.Or(b.GetUpdateTime().AsTime().Compare(a.GetUpdateTime().AsTime()), strings.Compare(a.GetName(), b.GetName()))
			}
			return cmp.Or(cmp.Compare(b.GetScore(), a.GetScore()), strings.Compare(a.GetName(), b.GetName()))
		})
	}
	for _, name := range order {
		facet := &registryv1.Facet{Facet: name}
		for code, count := range counts[name] {
			facet.Counts = append(facet.Counts, &registryv1.FacetCount{Code: code, Count: count})
		}
		slices.SortFunc(facet.GetCounts(), func(a, b *registryv1.FacetCount) int {
			return cmp.Or(cmp.Compare(b.GetCount(), a.GetCount()), strings.Compare(a.GetCode(), b.GetCode()))
		})
		into.Facets = append(into.Facets, facet)
	}
}

// cut takes a page out of merged hits.
func cut(hits []*registryv1.SearchHit, page searching.Page) []*registryv1.SearchHit {
	from := min(page.From, len(hits))
	return hits[from:min(page.From+page.Size, len(hits))]
}

// Suggest completes what a person types, from the copies.
func (s searchServer) Suggest(ctx context.Context, request *registryv1.SuggestRequest) (*registryv1.SuggestResponse, error) {
	holders, err := s.office.holders()
	if err != nil {
		return nil, err
	}
	scope := searching.Scope{Comuni: searching.Comuni(request.GetComuni(), comuni(holders)), Reader: policy.Of(ctx).Reads()}
	return s.office.search.Suggest(ctx, request, scope)
}
