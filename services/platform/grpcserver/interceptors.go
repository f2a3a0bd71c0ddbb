package grpcserver

import (
	"context"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/recovery"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

func (s *Server) interceptors(options Options) ([]grpc.UnaryServerInterceptor, []grpc.StreamServerInterceptor) {
	var unary []grpc.UnaryServerInterceptor
	var stream []grpc.StreamServerInterceptor
	if options.Metrics != nil {
		collector := metrics(options.Metrics)
		unary = append(unary, collector.UnaryServerInterceptor())
		stream = append(stream, collector.StreamServerInterceptor())
	}
	recovered := recovery.WithRecoveryHandlerContext(afterPanic(options.Logger, options.Panic))
	unary = append(unary, s.logUnary, recovery.UnaryServerInterceptor(recovered), withDeadline(options.DefaultTimeout))
	stream = append(stream, s.logStream, recovery.StreamServerInterceptor(recovered), s.announceDrain)
	return append(unary, options.Unary...), append(stream, options.Stream...)
}

func afterPanic(logger *slog.Logger, toError func(any) error) recovery.RecoveryHandlerFuncContext {
	return func(ctx context.Context, recovered any) error {
		method, _ := grpc.Method(ctx)
		logger.ErrorContext(ctx, "handler panicked", "method", method, "panic", recovered, "stack", string(debug.Stack()))
		if toError == nil {
			return status.Error(codes.Internal, "internal error")
		}
		return toError(recovered)
	}
}

func (s *Server) logUnary(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	start := time.Now()
	response, err := handler(ctx, request)
	s.logCall(ctx, info.FullMethod, err, start)
	return response, err
}

func (s *Server) logStream(server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	start := time.Now()
	err := handler(server, stream)
	s.logCall(stream.Context(), info.FullMethod, err, start)
	return err
}

// logCall leaves messages out, of the call and of its error: they may hold personal data.
func (s *Server) logCall(ctx context.Context, method string, err error, start time.Time) {
	if !s.logger.Enabled(ctx, slog.LevelDebug) {
		return
	}
	s.logger.DebugContext(ctx, "call ended", "method", method, "code", code(err).String(), "duration", time.Since(start))
}

// code is the status that gRPC sends for the error: a handler may return its context's error as it is.
func code(err error) codes.Code {
	if ended, ok := status.FromError(err); ok {
		return ended.Code()
	}
	return status.FromContextError(err).Code()
}

func withDeadline(timeout time.Duration) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		if _, ok := ctx.Deadline(); ok {
			return handler(ctx, request)
		}
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		return handler(ctx, request)
	}
}

type drainingKey struct{}

// Draining returns a channel that is closed when the server that runs the stream of ctx begins to drain. The handler of a stream
// without end should then return UNAVAILABLE, so that the client goes on elsewhere. Outside a stream the channel is nil.
func Draining(ctx context.Context) <-chan struct{} {
	draining, _ := ctx.Value(drainingKey{}).(<-chan struct{})
	return draining
}

// announceDrain gives the handlers [Draining], and ends the streams of health watchers, whose handler does not know of it.
func (s *Server) announceDrain(server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	ctx, cancel := context.WithCancel(context.WithValue(stream.Context(), drainingKey{}, (<-chan struct{})(s.draining)))
	defer cancel()
	if info.FullMethod == grpc_health_v1.Health_Watch_FullMethodName {
		go func() {
			select {
			case <-s.draining:
				cancel()
			case <-ctx.Done():
			}
		}()
	}
	return handler(server, &streamWithContext{ServerStream: stream, ctx: ctx})
}

type streamWithContext struct {
	grpc.ServerStream
	ctx context.Context
}

func (s *streamWithContext) Context() context.Context { return s.ctx }
