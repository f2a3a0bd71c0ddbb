package ufficiocomune

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/deskv1"
	"cidsistem.example/proto/gen/editorialv1"
	"cidsistem.example/proto/gen/identityv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/policy"
)

// clientKey is the metadata that says from which network a person comes, so
// that a node can slow down who guesses passwords through the office.
const clientKey = "cid-client"

// A destination says which member a call is for; nil for the office itself.
type destination func(method string, request proto.Message) (*member, error)

// passing makes a service whose calls are passed on to a member, or answered by
// the office's own implementation. The office keeps nothing of them.
func passing(desc grpc.ServiceDesc, to destination) *grpc.ServiceDesc {
	passed := desc
	passed.Methods = make([]grpc.MethodDesc, len(desc.Methods))
	for i, method := range desc.Methods {
		full := "/" + desc.ServiceName + "/" + method.MethodName
		passed.Methods[i] = grpc.MethodDesc{
			MethodName: method.MethodName,
			Handler: func(server any, ctx context.Context, decode func(any) error, interceptor grpc.UnaryServerInterceptor) (any, error) {
				return method.Handler(server, ctx, decode, func(ctx context.Context, request any, info *grpc.UnaryServerInfo, own grpc.UnaryHandler) (any, error) {
					handle := func(ctx context.Context, request any) (any, error) {
						m, err := to(full, request.(proto.Message))
						if err != nil {
							return nil, err
						}
						if m == nil {
							return own(ctx, request)
						}
						return m.pass(ctx, full, request.(proto.Message))
					}
					if interceptor == nil {
						return handle(ctx, request)
					}
					return interceptor(ctx, request, info, handle)
				})
			},
		}
	}
	return &passed
}

// pass asks a member on behalf of the caller.
func (m *member) pass(ctx context.Context, method string, request proto.Message) (proto.Message, error) {
	answer, err := answerOf(method)
	if err != nil {
		return nil, err
	}
	out := policy.OnBehalf(ctx, m.ID)
	if client := metadata.ValueFromIncomingContext(ctx, clientKey); len(client) == 1 {
		out = metadata.AppendToOutgoingContext(out, clientKey, client[0])
	}
	if err := m.conn.Invoke(out, method, request, answer); err != nil {
		if silent(err) {
			return nil, unreachable(m.ID)
		}
		return nil, err
	}
	return answer, nil
}

// answerOf makes an empty answer of a method, by its gRPC name.
func answerOf(method string) (proto.Message, error) {
	name := protoreflect.FullName(strings.ReplaceAll(strings.TrimPrefix(method, "/"), "/", "."))
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(name)
	if err != nil {
		return nil, err
	}
	md, ok := found.(protoreflect.MethodDescriptor)
	if !ok {
		return nil, fmt.Errorf("%s is not a method", name)
	}
	kind, err := protoregistry.GlobalTypes.FindMessageByName(md.Output().FullName())
	if err != nil {
		return nil, err
	}
	return kind.New().Interface(), nil
}

// accountHolder finds the member that keeps the accounts of a node.
func (o *Office) accountHolder(method string, request proto.Message) (*member, error) {
	parent := request.(interface{ GetParent() string }).GetParent()
	id := strings.TrimPrefix(parent, "nodes/")
	if id == o.settings.ID {
		return nil, nil
	}
	m := o.members[id]
	if m == nil {
		return nil, apierror.NotFound(parent)
	}
	return m, nil
}

// signedOut makes the tokens of a session that was ended through the office no
// good here at once, before the node says so.
func (o *Office) signedOut(ctx context.Context, request any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	answer, err := handle(ctx, request)
	if person := policy.Of(ctx).Person; err == nil && person != nil && info.FullMethod == identityv1.SessionService_SignOut_FullMethodName {
		o.trust.Verifier.End(person.Issuer, person.Session)
	}
	return answer, err
}

// desk finds the member to which a request of the public goes, a rating, or what
// somebody proposes to put right. What is there is read at the comune alone:
// requests do not leave it but to who asked.
func (o *Office) desk(method string, request proto.Message) (*member, error) {
	switch method {
	case deskv1.RequestService_CreateRequest_FullMethodName, deskv1.RequestService_LookUpRequest_FullMethodName,
		deskv1.RequestService_LookUpRequestAttachment_FullMethodName, deskv1.RequestService_AddMessage_FullMethodName,
		deskv1.RequestService_CloseRequest_FullMethodName, deskv1.RequestService_RateRequest_FullMethodName,
		deskv1.FeedbackService_CreateFeedback_FullMethodName,
		editorialv1.CorrectionService_CreateCorrection_FullMethodName, editorialv1.CorrectionService_LookUpConfirmation_FullMethodName,
		editorialv1.CorrectionService_AnswerConfirmation_FullMethodName:
		return o.holder(strings.TrimPrefix(request.(interface{ GetParent() string }).GetParent(), "comuni/"))
	default:
		return nil, apierror.New(registryv1.ErrorReason_NOT_SUPPORTED_HERE, "requests, ratings and corrections are read at the comune's own gateway, and leave it for nobody")
	}
}

// elsewhere answers for what is done at the comune alone.
func (o *Office) elsewhere(string, proto.Message) (*member, error) {
	return nil, apierror.New(registryv1.ErrorReason_NOT_SUPPORTED_HERE, "this is done at the comune's own gateway: what is not published leaves the comune for nobody")
}

// watchKeys keeps the keys of a member's people, as long as ctx lasts. A member
// speaks for itself alone.
func (o *Office) watchKeys(ctx context.Context, m *member) error {
	const again = 2 * time.Second
	for {
		if err := o.readKeys(ctx, m); err != nil && ctx.Err() == nil {
			o.log.Debug("the keys of a member's people cannot be read", "member", m.ID, "error", err)
		}
		select {
		case <-time.After(again):
		case <-ctx.Done():
			return nil
		}
	}
}

func (o *Office) readKeys(ctx context.Context, m *member) error {
	stream, err := identityv1.NewKeyServiceClient(m.conn).WatchKeys(ctx, &identityv1.WatchKeysRequest{})
	if err != nil {
		return err
	}
	for {
		message, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if message.GetIssuer() != "nodes/"+m.ID {
			o.log.Error("a member speaks for another server; its keys are not believed", "member", m.ID)
			return fmt.Errorf("%s is not the issuer of %s", message.GetIssuer(), catalog.ComuneName(m.ID))
		}
		if err := o.trust.Verifier.Believe(message.GetIssuer(), message.GetKeys(), message.GetEndedSessions()); err != nil {
			return err
		}
	}
}
