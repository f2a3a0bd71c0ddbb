package portaltest

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/annotationsv1"
	"cidsistem.example/proto/gen/federationv1"
	"cidsistem.example/proto/gen/registryv1"
)

// Registry keeps records of any kind, and answers for them with the contract's standard methods.
type Registry struct {
	mu      sync.Mutex
	records []proto.Message
	// Nodes of the network.
	nodes []*federationv1.Node
	// away are comuni that do not answer, stale those of which only older records are known.
	away, stale []string
}

// SetNodes says what the network looks like.
func (r *Registry) SetNodes(nodes ...*federationv1.Node) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.nodes = nodes
}

// Put lets a record be as it is given; one that is not there is added.
func (r *Registry) Put(record proto.Message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	name := catalog.RecordOf(record).Name()
	r.records = slices.DeleteFunc(slices.Clone(r.records), func(one proto.Message) bool { return catalog.RecordOf(one).Name() == name })
	r.records = append(r.records, record)
}

// SetAway lets comuni, by slug, be unreachable: nothing is known of them.
func (r *Registry) SetAway(slugs ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.away = slugs
}

// SetStale lets comuni, by slug, be away, with their last known records still there.
func (r *Registry) SetStale(slugs ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stale = slugs
}

// answer is Get and List of every kind.
func (r *Registry) answer(_ any, stream grpc.ServerStream) error {
	full, _ := grpc.MethodFromServerStream(stream)
	for _, kind := range catalog.Kinds() {
		for _, method := range kind.Methods() {
			if method.Full != full {
				continue
			}
			request := method.NewRequest()
			if err := stream.RecvMsg(request); err != nil {
				return err
			}
			r.mu.Lock()
			defer r.mu.Unlock()
			switch method.Verb {
			case catalog.Get:
				return r.get(stream, field(request, "name").String())
			case catalog.List:
				return r.list(stream, method, request)
			}
		}
	}
	return status.Errorf(codes.Unimplemented, "the tests need no %s", full)
}

func (r *Registry) get(stream grpc.ServerStream, name string) error {
	parsed, err := catalog.ParseName(name)
	if err != nil {
		return status.Error(codes.InvalidArgument, err.Error())
	}
	if slices.Contains(r.away, parsed.Comune()) {
		return status.Errorf(codes.Unavailable, "%s is away", parsed.Comune())
	}
	for _, record := range r.records {
		if catalog.RecordOf(record).Name() == name {
			return stream.SendMsg(record)
		}
	}
	return status.Errorf(codes.NotFound, "there is no %s", name)
}

func (r *Registry) list(stream grpc.ServerStream, method catalog.Method, request proto.Message) error {
	parent := ""
	if method.Kind.Parent != nil {
		parent = field(request, "parent").String()
	}
	refersTo := field(request, "refers_to").String()
	var found []proto.Message
	for _, record := range r.records {
		of := catalog.RecordOf(record)
		if of.Kind() != method.Kind || r.isAway(of.Name()) || !below(of.Name(), parent) || refersTo != "" && !mentions(record, refersTo) {
			continue
		}
		found = append(found, record)
	}
	page, next := paged(found, field(request, "page_token").String(), int(field(request, "page_size").Int()))
	answer := method.NewResponse().ProtoReflect()
	list := answer.NewField(answer.Descriptor().Fields().ByName(protoreflect.Name(method.Kind.Collection)))
	for _, record := range page {
		list.List().Append(protoreflect.ValueOfMessage(record.ProtoReflect()))
	}
	answer.Set(answer.Descriptor().Fields().ByName(protoreflect.Name(method.Kind.Collection)), list)
	answer.Set(answer.Descriptor().Fields().ByName("next_page_token"), protoreflect.ValueOfString(next))
	missing := answer.NewField(answer.Descriptor().Fields().ByName("unreachable"))
	for _, slug := range r.away {
		missing.List().Append(protoreflect.ValueOfString(catalog.ComuneName(slug)))
	}
	answer.Set(answer.Descriptor().Fields().ByName("unreachable"), missing)
	if comuni, ok := answer.Interface().(*registryv1.ListComuniResponse); ok {
		for _, slug := range r.stale {
			comuni.Coverage = append(comuni.Coverage, &registryv1.Coverage{Comune: catalog.ComuneName(slug), State: registryv1.Coverage_STALE})
		}
	}
	return stream.SendMsg(answer.Interface())
}

func (r *Registry) isAway(name string) bool {
	parsed, err := catalog.ParseName(name)
	return err == nil && slices.Contains(r.away, parsed.Comune())
}

// below tells whether a record is below a parent, which may have wildcards.
func below(name, parent string) bool {
	segments := strings.Split(name, "/")
	for i, want := range strings.Split(parent, "/") {
		if parent != "" && want != catalog.Wildcard && (i >= len(segments) || segments[i] != want) {
			return false
		}
	}
	return true
}

// mentions tells whether a record refers to another.
func mentions(record proto.Message, name string) bool {
	text, err := protojson.Marshal(record)
	return err == nil && strings.Contains(string(text), `"`+name+`"`) && catalog.RecordOf(record).Name() != name
}

func paged[T any](all []T, token string, size int) ([]T, string) {
	from, _ := strconv.Atoi(token)
	from = min(from, len(all))
	if size <= 0 {
		size = 50
	}
	end := min(from+size, len(all))
	if end == len(all) {
		return all[from:end], ""
	}
	return all[from:end], strconv.Itoa(end)
}

func field(m proto.Message, name protoreflect.Name) protoreflect.Value {
	r := m.ProtoReflect()
	return r.Get(r.Descriptor().Fields().ByName(name))
}

type searching struct {
	registryv1.UnimplementedSearchServiceServer
	*Registry
}

func (r *Registry) searching() registryv1.SearchServiceServer { return searching{Registry: r} }

// Search finds the records whose text has all the words.
func (s searching) Search(_ context.Context, request *registryv1.SearchRequest) (*registryv1.SearchResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	answer := &registryv1.SearchResponse{}
	counts := map[string]map[string]int32{}
	var hits []*registryv1.SearchHit
	for _, record := range s.records {
		hit := hitOf(record)
		if hit == nil || s.isAway(hit.GetName()) || !s.wanted(record, hit, request) {
			continue
		}
		for facet, codes := range hit.GetFacets() {
			for _, code := range codes.GetCodes() {
				if counts[facet] == nil {
					counts[facet] = map[string]int32{}
				}
				counts[facet][code]++
			}
		}
		hits = append(hits, hit)
	}
	if request.GetOrder() == registryv1.SearchRequest_NEWEST_FIRST {
		slices.SortStableFunc(hits, func(a, b *registryv1.SearchHit) int {
			return b.GetUpdateTime().AsTime().Compare(a.GetUpdateTime().AsTime())
		})
	}
	answer.TotalSize = int32(len(hits))
	answer.Hits, answer.NextPageToken = paged(hits, request.GetPageToken(), int(request.GetPageSize()))
	for facet, codes := range counts {
		one := &registryv1.Facet{Facet: facet}
		for code, count := range codes {
			one.Counts = append(one.Counts, &registryv1.FacetCount{Code: code, Count: count})
		}
		slices.SortFunc(one.GetCounts(), func(a, b *registryv1.FacetCount) int { return strings.Compare(a.GetCode(), b.GetCode()) })
		answer.Facets = append(answer.Facets, one)
	}
	for _, slug := range s.away {
		answer.Unreachable = append(answer.Unreachable, catalog.ComuneName(slug))
	}
	return answer, nil
}

func (s searching) wanted(record proto.Message, hit *registryv1.SearchHit, request *registryv1.SearchRequest) bool {
	text, _ := protojson.Marshal(record)
	for word := range strings.FieldsSeq(strings.ToLower(request.GetQ())) {
		if !strings.Contains(strings.ToLower(string(text)), word) {
			return false
		}
	}
	wanted := true
	request.ProtoReflect().Range(func(fd protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		if !fd.IsList() {
			return true
		}
		any := false
		for i := range value.List().Len() {
			any = any || slices.Contains(hit.GetFacets()[string(fd.Name())].GetCodes(), value.List().Get(i).String())
		}
		wanted = wanted && any
		return wanted
	})
	return wanted
}

// hitOf a record: its enumerations and lists of texts are facets, as the contract's annotations say.
func hitOf(record proto.Message) *registryv1.SearchHit {
	of := catalog.RecordOf(record)
	parsed, err := catalog.ParseName(of.Name())
	if err != nil || of.Kind().Singleton {
		return nil
	}
	hit := &registryv1.SearchHit{
		Name: of.Name(), Kind: of.Kind().Collection, Comune: parsed.Comune(), UpdateTime: timestamppb.New(of.UpdateTime()),
		Facets: map[string]*registryv1.FacetCodes{"kinds": {Codes: []string{of.Kind().Collection}}, "comuni": {Codes: []string{parsed.Comune()}}},
	}
	catalog.SearchValues(record, func(v catalog.SearchValue) {
		code := ""
		switch v.Field.Kind() {
		case protoreflect.StringKind:
			code = v.Value.String()
		case protoreflect.EnumKind:
			if v.Value.Enum() != 0 {
				code = strings.ToLower(string(v.Field.Enum().Values().ByNumber(v.Value.Enum()).Name()))
			}
		case protoreflect.MessageKind:
			switch m := v.Value.Message().Interface().(type) {
			case *registryv1.CodedValue:
				code = m.GetScheme() + ":" + m.GetCode()
			case *registryv1.LocalizedText:
				switch v.Role {
				case annotationsv1.SearchRole_TITLE:
					hit.Title = cmp.Or(hit.Title, m.GetIt())
				case annotationsv1.SearchRole_SUMMARY:
					hit.Summary = cmp.Or(hit.Summary, m.GetIt())
				}
			}
		}
		if v.Facet == "" || code == "" {
			return
		}
		codes := hit.GetFacets()[v.Facet]
		if codes == nil {
			codes = &registryv1.FacetCodes{}
			hit.Facets[v.Facet] = codes
		}
		if !slices.Contains(codes.GetCodes(), code) {
			codes.Codes = append(codes.Codes, code)
		}
	})
	return hit
}

type network struct {
	federationv1.UnimplementedFederationServiceServer
	*Registry
}

func (r *Registry) network() federationv1.FederationServiceServer { return network{Registry: r} }

// ListNodes lists what SetNodes said.
func (n network) ListNodes(context.Context, *federationv1.ListNodesRequest) (*federationv1.ListNodesResponse, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return &federationv1.ListNodesResponse{Nodes: n.nodes}, nil
}
