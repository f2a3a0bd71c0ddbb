// Package rpc is what every server of the contract does with a call before and
// after its own work: refuse bytes that are no message, check the rules that
// the contract states, tell who reads, and answer with the contract's errors.
package rpc

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"buf.build/go/protovalidate"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/boltkit"
	"cidsistem.example/services/internal/store"
	"cidsistem.example/services/platform/grpcserver"
)

// A Guard holds the interceptors.
type Guard struct {
	validator protovalidate.Validator
	log       *slog.Logger
}

// NewGuard compiles the rules of all kinds, so that a bad rule stops the
// program at its start.
func NewGuard(log *slog.Logger) (*Guard, error) {
	var messages []proto.Message
	for _, kind := range catalog.Kinds() {
		messages = append(messages, kind.New())
		for _, method := range kind.Methods() {
			messages = append(messages, method.NewRequest())
		}
	}
	validator, err := protovalidate.New(protovalidate.WithMessages(messages...))
	if err != nil {
		return nil, err
	}
	return &Guard{validator: validator, log: log}, nil
}

// Unary is the interceptor of unary calls.
func (g *Guard) Unary(ctx context.Context, request any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	if message, ok := request.(proto.Message); ok {
		if err := g.Validate(message, ""); err != nil {
			return nil, err
		}
	}
	answer, err := handle(ctx, request)
	return answer, g.answer(info.FullMethod, err)
}

// Stream is the interceptor of streams: every message that comes in is checked.
func (g *Guard) Stream(server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
	return g.answer(info.FullMethod, handle(server, &checkedStream{stream, g}))
}

type checkedStream struct {
	grpc.ServerStream
	guard *Guard
}

func (s *checkedStream) RecvMsg(message any) error {
	if err := receive(s.ServerStream.RecvMsg, message); err != nil {
		return err
	}
	if m, ok := message.(proto.Message); ok {
		return s.guard.Validate(m, "")
	}
	return nil
}

// Validate checks a message against the rules of the contract; the path stands
// before each field that the error names.
func (g *Guard) Validate(message proto.Message, path string) error {
	err := g.validator.Validate(message)
	if err == nil {
		return nil
	}
	var invalid *protovalidate.ValidationError
	if !errors.As(err, &invalid) {
		return err
	}
	var fields []apierror.Detail
	var problems []string
	for _, violation := range invalid.Violations {
		at := join(path, jsonPath(violation))
		problem := violation.Proto.GetMessage()
		fields = append(fields, apierror.Field(at, problem))
		problems = append(problems, strings.TrimPrefix(at+": "+problem, ": "))
	}
	if len(problems) > 5 {
		problems = append(problems[:5], "…")
	}
	return apierror.New(registryv1.ErrorReason_INVALID_FIELDS, strings.Join(problems, "; "), fields...)
}

func join(path, field string) string {
	if path == "" || field == "" {
		return path + field
	}
	return path + "." + field
}

// jsonPath is the path of a violation in the words of REST clients.
func jsonPath(violation *protovalidate.Violation) string {
	path := protovalidate.FieldPathString(violation.Proto.GetField())
	var out strings.Builder
	upper := false
	for _, r := range path {
		switch {
		case r == '_':
			upper = true
		case upper:
			out.WriteString(strings.ToUpper(string(r)))
			upper = false
		default:
			out.WriteRune(r)
		}
	}
	return out.String()
}

// receive takes a message, and refuses bytes that are none as the caller's
// mistake.
func receive(take func(any) error, message any) error {
	received := &grpcserver.Received{Message: message}
	if err := take(received); err != nil || received.Err == nil {
		return err
	}
	const problem = "is not a valid message: damaged bytes, or text that is not UTF-8"
	return apierror.New(registryv1.ErrorReason_INVALID_FIELDS, "the request "+problem, apierror.Field("", problem))
}

// Register registers a service so that undecodable requests are refused as the
// caller's mistake.
func Register(registrar grpc.ServiceRegistrar, desc *grpc.ServiceDesc, implementation any) {
	guarded := *desc
	guarded.Methods = make([]grpc.MethodDesc, len(desc.Methods))
	for i, method := range desc.Methods {
		handler := method.Handler
		guarded.Methods[i] = grpc.MethodDesc{
			MethodName: method.MethodName,
			Handler: func(server any, ctx context.Context, decode func(any) error, interceptor grpc.UnaryServerInterceptor) (any, error) {
				return handler(server, ctx, func(message any) error { return receive(decode, message) }, interceptor)
			},
		}
	}
	registrar.RegisterService(&guarded, implementation)
}

// answer makes sure that a caller gets an error of the contract. What is not
// one is a defect, or the end of the caller's patience; the log gets its cause.
func (g *Guard) answer(method string, err error) error {
	if err == nil || apierror.Info(err) != nil {
		return err
	}
	switch {
	case errors.Is(err, context.Canceled), status.Code(err) == codes.Canceled:
		return status.Error(codes.Canceled, "the caller went away")
	case errors.Is(err, context.DeadlineExceeded), status.Code(err) == codes.DeadlineExceeded:
		return apierror.New(registryv1.ErrorReason_DEADLINE, "the answer was not ready in time; whether a write was made, the same request_id tells")
	case errors.Is(err, boltkit.ErrFenced):
		return apierror.New(registryv1.ErrorReason_STORE_FENCED, "the store stopped after a failed commit; repeat with the same request_id when the server is back", apierror.RetryAfter(5*time.Second))
	case errors.Is(err, boltkit.ErrFull):
		return apierror.New(registryv1.ErrorReason_STORE_FULL, "the store holds as much as its configuration allows; nothing was changed")
	case errors.Is(err, boltkit.ErrBusy):
		return apierror.New(registryv1.ErrorReason_TOO_MANY_REQUESTS, "too many writes are waiting; nothing was changed", apierror.RetryAfter(time.Second))
	case errors.Is(err, boltkit.ErrClosed):
		return apierror.New(registryv1.ErrorReason_NOT_READY, "the server is stopping", apierror.RetryAfter(5*time.Second))
	case errors.Is(err, store.ErrRequestReused):
		return apierror.New(registryv1.ErrorReason_REQUEST_ID_REUSED, "request_id was used for another request", apierror.Field("requestId", "was used for another request"))
	}
	g.log.Error("call failed", "method", method, "error", err)
	return apierror.New(registryv1.ErrorReason_INTERNAL_ERROR, "the server has a defect; its log has the cause")
}
