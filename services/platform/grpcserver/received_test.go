package grpcserver_test

import (
	"context"
	"log/slog"
	"net"
	"slices"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"cidsistem.example/services/platform/grpcclient"
	"cidsistem.example/services/platform/grpcserver"
)

// raw sends bytes that need not be a message.
type raw struct{}

func (raw) Name() string                       { return "proto" }
func (raw) Marshal(v any) ([]byte, error)      { return *v.(*[]byte), nil }
func (raw) Unmarshal(data []byte, v any) error { *v.(*[]byte) = slices.Clone(data); return nil }

// TestHandlersAnswerForBytesThatAreNoMessage also shows what a server says of a method that it does not have.
func TestHandlersAnswerForBytesThatAreNoMessage(t *testing.T) {
	server := grpcserver.New(grpcserver.Options{
		Insecure: true, Logger: slog.New(slog.DiscardHandler),
		Unknown: func(method string) error { return status.Error(codes.Unimplemented, "no "+method) },
	})
	server.Registrar().RegisterService(&grpc.ServiceDesc{
		ServiceName: "test.Echo", HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{MethodName: "Echo", Handler: func(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			message := &grpc_health_v1.HealthCheckRequest{}
			received := &grpcserver.Received{Message: message}
			if err := decode(received); err != nil {
				return nil, err
			}
			if received.Err != nil {
				return nil, status.Error(codes.InvalidArgument, "damaged")
			}
			return message, nil
		}}},
	}, struct{}{})
	listener := bufconn.Listen(1 << 16)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx, listener) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	connection, err := grpcclient.Dial("bufconn", grpcclient.Options{
		Insecure: true,
		Dialer:   func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = connection.Close() }()
	for _, test := range []struct {
		what, method string
		bytes        []byte
		code         codes.Code
		message      string
	}{
		{"a message", "Echo", []byte("\x0a\x01x"), codes.OK, ""},
		{"a message that breaks off", "Echo", []byte("\x0a\x05x"), codes.InvalidArgument, "damaged"},
		{"text that is not UTF-8", "Echo", []byte("\x0a\x01\xff"), codes.InvalidArgument, "damaged"},
		{"a method that is not there", "Shout", nil, codes.Unimplemented, "no /test.Echo/Shout"},
	} {
		var answer []byte
		err := connection.Invoke(t.Context(), "/test.Echo/"+test.method, &test.bytes, &answer, grpc.ForceCodec(raw{}))
		if status.Code(err) != test.code || err != nil && status.Convert(err).Message() != test.message {
			t.Errorf("%s: %v, want %v %q", test.what, err, test.code, test.message)
		}
		if err == nil && string(answer) != string(test.bytes) {
			t.Errorf("%s: came back as %q", test.what, answer)
		}
	}
}
