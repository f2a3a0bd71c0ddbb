package rpc

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/adminv1"
	"cidsistem.example/proto/gen/feedv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/platform/identity"
)

// readerKey is the metadata with which a server says for whom it asks.
const readerKey = "cid-reader"

// Reader tells what the caller may see, by who its certificate says it is: the
// web sees what is public, servers of the federation see what its operators do,
// an administrator sees everything. A connection without a certificate is the
// server's own local socket. A caller who asks for somebody else can only see
// less for it.
func Reader(ctx context.Context) registryv1.Visibility {
	own := readerByRole(ctx)
	for _, name := range metadata.ValueFromIncomingContext(ctx, readerKey) {
		if v, known := registryv1.Visibility_value[name]; known && v > 0 {
			own = min(own, registryv1.Visibility(v))
		}
	}
	return own
}

// OnBehalf is the context in which a server passes a call on for its caller.
func OnBehalf(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(ctx, readerKey, Reader(ctx).String())
}

func readerByRole(ctx context.Context) registryv1.Visibility {
	peer, known := identity.PeerID(ctx)
	switch {
	case !known, peer.Role == identity.RoleAdmin:
		return registryv1.Visibility_LOCAL
	case peer.Role == identity.RoleComune, peer.Role == identity.RoleUfficio:
		return registryv1.Visibility_NETWORK
	default:
		return registryv1.Visibility_PUBLIC
	}
}

// onlyFor lists the roles that may call a service; services that are not listed
// are for every member of the federation. The store is looked after on the
// local socket alone.
var onlyFor = map[string][]string{
	feedv1.FeedService_ServiceDesc.ServiceName:   {identity.RoleUfficio, identity.RoleAdmin},
	adminv1.StoreService_ServiceDesc.ServiceName: {},
}

// allowed tells whether the caller may use the service of a method.
func allowed(ctx context.Context, service string) error {
	roles, limited := onlyFor[service]
	peer, known := identity.PeerID(ctx)
	if !limited || !known {
		return nil
	}
	for _, role := range roles {
		if peer.Role == role {
			return nil
		}
	}
	return apierror.New(registryv1.ErrorReason_NOT_ALLOWED, service+" is not for "+peer.String())
}

// Access is the interceptor that refuses unary calls to callers who may not
// make them.
func Access(ctx context.Context, request any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	if err := allowed(ctx, serviceOf(info.FullMethod)); err != nil {
		return nil, err
	}
	return handle(ctx, request)
}

// AccessStream is Access for streams.
func AccessStream(server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
	if err := allowed(stream.Context(), serviceOf(info.FullMethod)); err != nil {
		return err
	}
	return handle(server, stream)
}

// serviceOf finds the service in "/service/Method".
func serviceOf(method string) string {
	for i := len(method) - 1; i > 0; i-- {
		if method[i] == '/' {
			return method[1:i]
		}
	}
	return method
}
