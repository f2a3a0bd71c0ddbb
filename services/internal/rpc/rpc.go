// Package rpc is what every server of the contract does with a call before and
// after its own work: refuse bytes that are no message, check the rules that
// the contract states, tell who reads, and answer with the contract's errors.
package rpc

import (
	"context"
	"errors"
	"log/slog"
	"regexp"
	"strings"
	"time"

	"buf.build/go/protovalidate"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"cidsistem.example/proto/access"
	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/annotationsv1"
	"cidsistem.example/proto/gen/auditv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/boltkit"
	"cidsistem.example/services/internal/policy"
	"cidsistem.example/services/internal/store"
	"cidsistem.example/services/platform/grpcserver"
)

// An Audit takes entries of the audit log.
type Audit interface {
	// Record writes entries, durably when it returns.
	Record(ctx context.Context, entries ...*auditv1.AuditEntry) error
	// Refused notes a refusal, soon.
	Refused(caller *policy.Caller, method, about, reason string)
}

// A Guard holds the interceptors: they find out who calls, refuse who may not,
// check what comes in, and note what must be noted.
type Guard struct {
	validator protovalidate.Validator
	policy    *policy.Policy
	audit     Audit
	log       *slog.Logger
}

// NewGuard compiles the rules of all kinds, so that a bad rule stops the
// program at its start.
func NewGuard(rules *policy.Policy, audit Audit, log *slog.Logger) (*Guard, error) {
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
	return &Guard{validator: validator, policy: rules, audit: audit, log: log}, nil
}

// A visit is a call on its way in.
type visit struct {
	guard  *Guard
	rule   access.Rule
	ruled  bool
	caller *policy.Caller
}

// enter finds out who calls, and refuses who could never make such a call.
func (g *Guard) enter(ctx context.Context, method string) (context.Context, *visit, error) {
	v := &visit{guard: g, caller: &policy.Caller{}}
	if v.rule, v.ruled = g.policy.Rule(method); !v.ruled {
		return ctx, v, nil // health, reflection
	}
	caller, err := g.policy.Authenticate(ctx)
	if err != nil {
		return ctx, v, v.refused(method, err)
	}
	v.caller = caller
	if err := g.policy.Admit(caller, v.rule); err != nil {
		return ctx, v, v.refused(method, err)
	}
	return policy.With(ctx, caller), v, nil
}

// request checks a message that came in, and whether the caller may do what it
// asks. Who may not is told so before anything else of the message; only a name
// that is none cannot be decided about.
func (v *visit) request(method string, message any) error {
	m, ok := message.(proto.Message)
	if !ok {
		return nil
	}
	if about := v.rule.AboutOf(m); !v.ruled || !nameForm.MatchString(about) || (about == "" && v.rule.GetAbout() != "") {
		if err := v.guard.Validate(m, ""); err != nil || !v.ruled {
			return err
		}
	}
	if err := v.guard.policy.Decide(v.caller, v.rule, m); err != nil {
		return v.refused(method, err)
	}
	return v.guard.Validate(m, "")
}

// nameForm is that of a name, or of nothing.
var nameForm = regexp.MustCompile(`^([a-z]{2,40}/[a-z][a-z0-9-]{1,62}(/|$))*$`)

// refused notes a refusal, whoever decided it.
func (v *visit) refused(method string, err error) error {
	switch reason := apierror.Reason(err); reason {
	case registryv1.ErrorReason_NOT_ALLOWED, registryv1.ErrorReason_NOT_SIGNED_IN:
		v.guard.audit.Refused(v.caller, method, v.caller.About(), reason.String())
	}
	return err
}

// note leaves the audit entry that the rule asks for.
func (v *visit) note(ctx context.Context, method string) error {
	if v.rule.GetAudit() != annotationsv1.AuditRule_EVERY_CALL {
		return nil
	}
	return v.guard.audit.Record(ctx, v.caller.Entry(method, v.caller.About(), auditv1.AuditEntry_DONE))
}

// Unary is the interceptor of unary calls.
func (g *Guard) Unary(ctx context.Context, request any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	ctx, v, err := g.enter(ctx, info.FullMethod)
	if err != nil {
		return nil, err
	}
	if err := v.request(info.FullMethod, request); err != nil {
		return nil, err
	}
	answer, err := handle(ctx, request)
	if err != nil {
		return nil, g.answer(info.FullMethod, v.refused(info.FullMethod, err))
	}
	// What is not noted is not answered.
	if err := v.note(ctx, info.FullMethod); err != nil {
		return nil, g.answer(info.FullMethod, err)
	}
	return answer, nil
}

// Stream is the interceptor of streams: every message that comes in is checked;
// the first one says what the call is about.
func (g *Guard) Stream(server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
	ctx, v, err := g.enter(stream.Context(), info.FullMethod)
	if err != nil {
		return err
	}
	return g.answer(info.FullMethod, handle(server, &checkedStream{ServerStream: stream, ctx: ctx, method: info.FullMethod, visit: v}))
}

type checkedStream struct {
	grpc.ServerStream
	ctx    context.Context
	method string
	visit  *visit
	begun  bool
}

func (s *checkedStream) Context() context.Context { return s.ctx }

func (s *checkedStream) RecvMsg(message any) error {
	if err := receive(s.ServerStream.RecvMsg, message); err != nil {
		return err
	}
	if s.begun {
		if m, ok := message.(proto.Message); ok {
			return s.visit.guard.Validate(m, "")
		}
		return nil
	}
	s.begun = true
	if err := s.visit.request(s.method, message); err != nil {
		return err
	}
	return s.visit.note(s.ctx, s.method)
}

// Violations lists the rules of the contract that a message breaks.
func (g *Guard) Violations(message proto.Message) ([]*protovalidate.Violation, error) {
	err := g.validator.Validate(message)
	var invalid *protovalidate.ValidationError
	if errors.As(err, &invalid) {
		return invalid.Violations, nil
	}
	return nil, err
}

// Validate checks a message against the rules of the contract; the path stands
// before each field that the error names.
func (g *Guard) Validate(message proto.Message, path string) error {
	violations, err := g.Violations(message)
	if err != nil || len(violations) == 0 {
		return err
	}
	var fields []apierror.Detail
	var problems []string
	for _, violation := range violations {
		at := join(path, JSONPath(violation))
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

// JSONPath is the path of a violation in the words of REST clients.
func JSONPath(violation *protovalidate.Violation) string {
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
