package standard

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/rpc"
)

// A Page is the answer of a list.
type Page struct {
	Records       []proto.Message
	NextPageToken string
	// Unreachable are names of comuni of which nothing could be returned.
	Unreachable []string
	Coverage    []*registryv1.Coverage
}

// A Backend does the standard methods of all kinds.
type Backend interface {
	// Get reads one record.
	Get(ctx context.Context, r Request) (proto.Message, error)
	// List reads one page of records.
	List(ctx context.Context, r Request) (Page, error)
	// Write makes a change and returns the record after it.
	Write(ctx context.Context, r Request) (proto.Message, error)
}

// Register serves the standard methods of all kinds.
func Register(registrar grpc.ServiceRegistrar, backend Backend) {
	for _, kind := range catalog.Kinds() {
		desc := &grpc.ServiceDesc{
			ServiceName: string(kind.Service.FullName()),
			HandlerType: (*Backend)(nil),
			Metadata:    kind.Service.ParentFile().Path(),
		}
		for _, method := range kind.Methods() {
			desc.Methods = append(desc.Methods, grpc.MethodDesc{
				MethodName: string(protoreflect.FullName(method.Full[1:])[len(desc.ServiceName)+1:]),
				Handler:    handler(method),
			})
		}
		rpc.Register(registrar, desc, backend)
	}
}

func handler(method catalog.Method) grpc.MethodHandler {
	return func(server any, ctx context.Context, decode func(any) error, interceptor grpc.UnaryServerInterceptor) (any, error) {
		message := method.NewRequest()
		if err := decode(message); err != nil {
			return nil, err
		}
		call := func(ctx context.Context, message any) (any, error) {
			return serve(ctx, server.(Backend), Request{Method: method, Message: message.(proto.Message)})
		}
		if interceptor == nil {
			return call(ctx, message)
		}
		return interceptor(ctx, message, &grpc.UnaryServerInfo{Server: server, FullMethod: method.Full}, call)
	}
}

func serve(ctx context.Context, backend Backend, r Request) (any, error) {
	switch r.Method.Verb {
	case catalog.Get:
		return backend.Get(ctx, r)
	case catalog.List:
		page, err := backend.List(ctx, r)
		if err != nil {
			return nil, err
		}
		return r.response(page), nil
	default:
		return backend.Write(ctx, r)
	}
}

// response makes the response message of a list.
func (r Request) response(page Page) proto.Message {
	response := r.Method.NewResponse()
	m := response.ProtoReflect()
	fields := m.Descriptor().Fields()
	records := m.Mutable(fields.ByName(protoreflect.Name(r.Method.Kind.Collection))).List()
	for _, record := range page.Records {
		records.Append(protoreflect.ValueOfMessage(record.ProtoReflect()))
	}
	m.Set(fields.ByName("next_page_token"), protoreflect.ValueOfString(page.NextPageToken))
	unreachable := m.Mutable(fields.ByName("unreachable")).List()
	for _, name := range page.Unreachable {
		unreachable.Append(protoreflect.ValueOfString(name))
	}
	coverage := m.Mutable(fields.ByName("coverage")).List()
	for _, c := range page.Coverage {
		coverage.Append(protoreflect.ValueOfMessage(c.ProtoReflect()))
	}
	return response
}

// PageOf reads a list's response message: records, next page, coverage.
func PageOf(r Request, response proto.Message) Page {
	m := response.ProtoReflect()
	fields := m.Descriptor().Fields()
	page := Page{NextPageToken: m.Get(fields.ByName("next_page_token")).String()}
	coverage := m.Get(fields.ByName("coverage")).List()
	for i := range coverage.Len() {
		page.Coverage = append(page.Coverage, coverage.Get(i).Message().Interface().(*registryv1.Coverage))
	}
	records := m.Get(fields.ByName(protoreflect.Name(r.Method.Kind.Collection))).List()
	for i := range records.Len() {
		page.Records = append(page.Records, records.Get(i).Message().Interface())
	}
	return page
}
