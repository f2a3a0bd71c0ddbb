package gateway_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/federationv1"
	"cidsistem.example/proto/gen/registryv1"
)

// organizations is a registry in memory, as small as the tests need it.
type organizations struct {
	registryv1.UnimplementedOrganizationServiceServer

	mu       sync.Mutex
	records  map[string]*registryv1.Organization
	requests map[string]*registryv1.Organization // answers by request id
	revision int64
	metadata []metadata.MD // of every call
	waiting  chan struct{} // a call of the record "slow" has come
	gaveUp   chan error    // why it ended
}

func newOrganizations() *organizations {
	return &organizations{
		records:  map[string]*registryv1.Organization{},
		requests: map[string]*registryv1.Organization{},
		waiting:  make(chan struct{}, 10),
		gaveUp:   make(chan error, 10),
	}
}

func (o *organizations) note(ctx context.Context) {
	md, _ := metadata.FromIncomingContext(ctx)
	o.metadata = append(o.metadata, md)
}

// commit stores a new state.
func (o *organizations) commit(record *registryv1.Organization) *registryv1.Organization {
	o.revision++
	record.Revision = o.revision
	record.Etag = fmt.Sprintf(`"r%d"`, o.revision)
	record.UpdateTime = timestamppb.New(time.Date(2026, 3, 1, 8, 0, int(o.revision), 0, time.UTC))
	o.records[record.GetName()] = record
	return proto.CloneOf(record)
}

func (o *organizations) GetOrganization(ctx context.Context, r *registryv1.GetOrganizationRequest) (*registryv1.Organization, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.note(ctx)
	switch r.GetName() {
	case "comuni/marsala/organizations/slow":
		o.mu.Unlock()
		o.waiting <- struct{}{}
		<-ctx.Done()
		o.gaveUp <- ctx.Err()
		o.mu.Lock()
		return nil, status.FromContextError(ctx.Err()).Err()
	case "comuni/marsala/organizations/silent":
		return nil, apierror.New(registryv1.ErrorReason_OWNER_UNREACHABLE, "the node of marsala does not answer",
			apierror.With("comune", "marsala"), apierror.RetryAfter(2500*time.Millisecond))
	case "comuni/marsala/organizations/broken":
		return nil, status.Error(codes.Internal, "pq: connection to 10.1.2.3 refused")
	case "comuni/marsala/organizations/locked":
		return nil, status.Error(codes.Unauthenticated, "bearer token is missing")
	case "comuni/marsala/organizations/tomorrow":
		return nil, status.Error(codes.Aborted, "a reason\u00a0that  this gateway does not know")
	}
	record := o.records[r.GetName()]
	if record == nil {
		return nil, apierror.NotFound(r.GetName())
	}
	_ = grpc.SetHeader(ctx, metadata.Pairs("cid-coverage", "current", "cid-as-of", "2026-03-01T08:00:00Z", "etag", `"wrong"`, "x-internal", "secret"))
	return proto.CloneOf(record), nil
}

func (o *organizations) ListOrganizations(ctx context.Context, r *registryv1.ListOrganizationsRequest) (*registryv1.ListOrganizationsResponse, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.note(ctx)
	answer := &registryv1.ListOrganizationsResponse{}
	for _, name := range slices.Sorted(maps.Keys(o.records)) {
		if strings.HasPrefix(name, r.GetParent()+"/") || r.GetParent() == "comuni/-" {
			answer.Organizations = append(answer.Organizations, proto.CloneOf(o.records[name]))
		}
	}
	if r.GetPageToken() != "" {
		return nil, apierror.New(registryv1.ErrorReason_INVALID_PAGE_TOKEN, "the page token is damaged")
	}
	answer.Coverage = []*registryv1.Coverage{{Comune: "comuni/marsala", State: registryv1.Coverage_CURRENT}}
	return answer, nil
}

func (o *organizations) CreateOrganization(ctx context.Context, r *registryv1.CreateOrganizationRequest) (*registryv1.Organization, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.note(ctx)
	record := r.GetOrganization()
	if record == nil {
		return nil, apierror.Invalid("organization", "is required")
	}
	if record.GetTitle().GetIt() == "" {
		return nil, apierror.New(registryv1.ErrorReason_INVALID_FIELDS, "organization.title: is required",
			apierror.Field("organization.title", "is required"), apierror.Field("organization.alternative_names[1]", "is too long"))
	}
	if before := o.requests[r.GetRequestId()]; before != nil {
		if !proto.Equal(before.GetTitle(), record.GetTitle()) {
			return nil, apierror.New(registryv1.ErrorReason_REQUEST_ID_REUSED, "the request id was used for another request", apierror.With("request_id", r.GetRequestId()))
		}
		return proto.CloneOf(before), nil
	}
	id := r.GetOrganizationId()
	if id == "" {
		id = fmt.Sprintf("o%d", len(o.records)+1)
	}
	record.Name = r.GetParent() + "/organizations/" + id
	if o.records[record.GetName()] != nil {
		return nil, apierror.New(registryv1.ErrorReason_RESOURCE_EXISTS, record.GetName()+" exists", apierror.With("name", record.GetName()))
	}
	if r.GetValidateOnly() {
		return record, nil
	}
	answer := o.commit(record)
	if r.GetRequestId() != "" {
		o.requests[r.GetRequestId()] = answer
	}
	return answer, nil
}

func (o *organizations) UpdateOrganization(ctx context.Context, r *registryv1.UpdateOrganizationRequest) (*registryv1.Organization, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.note(ctx)
	given := r.GetOrganization()
	record, err := o.current(given.GetName(), given.GetEtag(), r.GetAllowMissing())
	if err != nil {
		return nil, err
	}
	for _, path := range r.GetUpdateMask().GetPaths() {
		switch field, _, _ := strings.Cut(path, "."); field {
		case "title":
			record.Title = given.GetTitle()
		case "summary":
			record.Summary = given.GetSummary()
		}
	}
	return o.commit(record), nil
}

func (o *organizations) DeleteOrganization(ctx context.Context, r *registryv1.DeleteOrganizationRequest) (*registryv1.Organization, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.note(ctx)
	record, err := o.current(r.GetName(), r.GetEtag(), false)
	if err != nil {
		return nil, err
	}
	if strings.HasSuffix(r.GetName(), "/used") {
		return nil, apierror.New(registryv1.ErrorReason_STILL_REFERRED_TO, "other records use it", apierror.Blocker("comuni/marsala/services/trasporto", "is provided by it"))
	}
	record.DeleteTime = timestamppb.New(time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC))
	return o.commit(record), nil
}

func (o *organizations) UndeleteOrganization(ctx context.Context, r *registryv1.UndeleteOrganizationRequest) (*registryv1.Organization, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.note(ctx)
	record, err := o.current(r.GetName(), r.GetEtag(), false)
	if err != nil {
		return nil, err
	}
	record.DeleteTime = nil
	return o.commit(record), nil
}

// current finds a record and compares its etag, if one is asked for.
func (o *organizations) current(name, etag string, allowMissing bool) (*registryv1.Organization, error) {
	record := o.records[name]
	switch {
	case record == nil && allowMissing:
		return &registryv1.Organization{Name: name}, nil
	case record == nil:
		return nil, apierror.NotFound(name)
	case etag != "" && etag != record.GetEtag():
		return nil, apierror.New(registryv1.ErrorReason_ETAG_MISMATCH, "the record has changed", apierror.With("current_etag", record.GetEtag()))
	}
	return proto.CloneOf(record), nil
}

// search finds nothing, and answers at length.
type search struct {
	registryv1.UnimplementedSearchServiceServer
	mu   sync.Mutex
	last *registryv1.SearchRequest
}

func (s *search) Search(_ context.Context, r *registryv1.SearchRequest) (*registryv1.SearchResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = r
	return &registryv1.SearchResponse{TotalSize: 0, AlsoSearched: slices.Repeat([]string{"accompagnamento"}, len(r.GetQ())*10)}, nil
}

// federation has nodes that tests change.
type federation struct {
	federationv1.UnimplementedFederationServiceServer
	events chan *federationv1.WatchNodesResponse
	fail   chan error
	began  chan struct{} // one for each watch that has begun
	ended  chan struct{} // one for each watch that has ended
}

func newFederation() *federation {
	return &federation{events: make(chan *federationv1.WatchNodesResponse), fail: make(chan error), began: make(chan struct{}, 100), ended: make(chan struct{}, 100)}
}

func (f *federation) ListNodes(context.Context, *federationv1.ListNodesRequest) (*federationv1.ListNodesResponse, error) {
	return &federationv1.ListNodesResponse{Nodes: []*federationv1.Node{{Name: "nodes/marsala"}}}, nil
}

func (f *federation) WatchNodes(_ *federationv1.WatchNodesRequest, stream grpc.ServerStreamingServer[federationv1.WatchNodesResponse]) error {
	f.began <- struct{}{}
	defer func() { f.ended <- struct{}{} }()
	for {
		select {
		case event := <-f.events:
			if err := stream.Send(event); err != nil {
				return err
			}
		case err := <-f.fail:
			return err
		case <-stream.Context().Done():
			return stream.Context().Err()
		}
	}
}

// files keeps files in memory and notes how they arrived.
type files struct {
	registryv1.UnimplementedFileServiceServer
	mu      sync.Mutex
	content map[string][]byte
	pieces  []int
	broken  bool // a download ends in the middle
}

func (f *files) GetFile(_ context.Context, r *registryv1.GetFileRequest) (*registryv1.File, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	content, known := f.content[r.GetName()]
	if !known {
		return nil, apierror.NotFound(r.GetName())
	}
	return &registryv1.File{Name: r.GetName(), SizeBytes: int64(len(content))}, nil
}

func (f *files) DownloadFile(r *registryv1.DownloadFileRequest, stream grpc.ServerStreamingServer[httpbody.HttpBody]) error {
	if r.GetOffset() < 0 {
		return apierror.Invalid("offset", "must not be negative")
	}
	f.mu.Lock()
	content, broken := f.content[r.GetName()], f.broken
	f.mu.Unlock()
	content = content[min(int(r.GetOffset()), len(content)):]
	for piece := range slices.Chunk(content, 1000) {
		if err := stream.Send(&httpbody.HttpBody{ContentType: "application/pdf", Data: piece}); err != nil {
			return err
		}
		if broken {
			return status.Error(codes.DataLoss, "the disk is gone")
		}
	}
	return nil
}

func (f *files) UploadFile(stream grpc.ClientStreamingServer[registryv1.UploadFileRequest, registryv1.File]) error {
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	if first.GetHeader().GetParent() == "comuni/pantelleria" {
		return apierror.New(registryv1.ErrorReason_NOT_THE_OWNER, "this node is that of marsala", apierror.With("comune", "pantelleria"))
	}
	var content []byte
	var pieces []int
	for {
		message, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		content = append(content, message.GetData()...)
		pieces = append(pieces, len(message.GetData()))
	}
	digest := sha256.Sum256(content)
	sum := hex.EncodeToString(digest[:])
	if want := first.GetHeader().GetSha256(); want != "" && want != sum {
		return apierror.Invalid("header.sha256", "is not that of the bytes")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	name := first.GetHeader().GetParent() + "/files/" + sum
	f.content[name], f.pieces = content, pieces
	return stream.SendAndClose(&registryv1.File{Name: name, Sha256: sum, SizeBytes: int64(len(content))})
}
