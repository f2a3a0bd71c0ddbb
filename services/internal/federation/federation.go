// Package federation serves FederationService: the nodes that a server knows,
// as lists and as a live board.
package federation

import (
	"context"
	"slices"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/federationv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/pagetoken"
	"cidsistem.example/services/platform/grpcserver"
)

// Members is what a server knows of the nodes.
type Members interface {
	// Nodes lists all of them.
	Nodes() []*federationv1.Node
	// Changed is closed at the next change of any.
	Changed() <-chan struct{}
	// Resync makes the copy of a node, by its id, be taken anew.
	Resync(ctx context.Context, id string) error
}

// Server serves FederationService.
type Server struct {
	federationv1.UnimplementedFederationServiceServer
	members Members
}

// NewServer serves the nodes of a server.
func NewServer(members Members) *Server { return &Server{members: members} }

func (s *Server) sorted() []*federationv1.Node {
	nodes := s.members.Nodes()
	slices.SortFunc(nodes, func(a, b *federationv1.Node) int { return strings.Compare(a.GetName(), b.GetName()) })
	return nodes
}

// GetNode gets one node.
func (s *Server) GetNode(_ context.Context, request *federationv1.GetNodeRequest) (*federationv1.Node, error) {
	for _, node := range s.members.Nodes() {
		if node.GetName() == request.GetName() {
			return node, nil
		}
	}
	return nil, apierror.NotFound(request.GetName())
}

// ListNodes lists the nodes by name.
func (s *Server) ListNodes(_ context.Context, request *federationv1.ListNodesRequest) (*federationv1.ListNodesResponse, error) {
	token, err := pagetoken.Decode(request, request.GetPageToken())
	if err != nil {
		return nil, err
	}
	response := &federationv1.ListNodesResponse{}
	size := pagetoken.Size(request.GetPageSize(), 100, 1000)
	for _, node := range s.sorted() {
		if node.GetName() <= string(token.Key) {
			continue
		}
		if len(response.Nodes) == size {
			last := response.Nodes[size-1].GetName()
			response.NextPageToken = pagetoken.Encode(request, pagetoken.Token{Key: []byte(last)})
			break
		}
		response.Nodes = append(response.Nodes, node)
	}
	return response, nil
}

// WatchNodes sends all nodes, then those that change.
func (s *Server) WatchNodes(_ *federationv1.WatchNodesRequest, stream grpc.ServerStreamingServer[federationv1.WatchNodesResponse]) error {
	sent := map[string]*federationv1.Node{}
	for first := true; ; first = false {
		changed := s.members.Changed()
		message := &federationv1.WatchNodesResponse{}
		for _, node := range s.sorted() {
			if !proto.Equal(node, sent[node.GetName()]) {
				sent[node.GetName()] = node
				message.Nodes = append(message.Nodes, node)
			}
		}
		if first || len(message.GetNodes()) > 0 {
			if err := stream.Send(message); err != nil {
				return err
			}
		}
		select {
		case <-changed:
		case <-grpcserver.Draining(stream.Context()):
			return apierror.New(registryv1.ErrorReason_NOT_READY, "the server is stopping")
		case <-stream.Context().Done():
			return stream.Context().Err()
		}
	}
}

// ResyncNode makes the copy of a node be taken anew.
func (s *Server) ResyncNode(ctx context.Context, request *federationv1.ResyncNodeRequest) (*federationv1.Node, error) {
	node, err := s.GetNode(ctx, &federationv1.GetNodeRequest{Name: request.GetName()})
	if err != nil {
		return nil, err
	}
	if err := s.members.Resync(ctx, strings.TrimPrefix(node.GetName(), "nodes/")); err != nil {
		return nil, err
	}
	return s.GetNode(ctx, &federationv1.GetNodeRequest{Name: request.GetName()})
}
