package grpcserver_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"cidsistem.example/services/platform/grpcclient"
	"cidsistem.example/services/platform/grpcserver"
)

type health = grpc_health_v1.HealthClient

var everything = &grpc_health_v1.HealthCheckRequest{}

// serve runs a server in this process; the returned function stops it and returns what Serve did.
func serve(t *testing.T, options grpcserver.Options) (server *grpcserver.Server, dial func() health, stop func() error) {
	t.Helper()
	options.Insecure = true
	if options.Logger == nil {
		options.Logger = slog.New(slog.DiscardHandler)
	}
	server = grpcserver.New(options)
	listener := bufconn.Listen(1 << 16)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx, listener) }()
	dial = func() health {
		connection, err := grpcclient.Dial("bufconn", grpcclient.Options{
			Insecure: true,
			Dialer:   func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) },
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = connection.Close() })
		return grpc_health_v1.NewHealthClient(connection)
	}
	stop = func() error {
		cancel()
		return <-ended
	}
	return server, dial, stop
}

// intercept makes options whose unary calls all end in do.
func intercept(do func(ctx context.Context) error) grpcserver.Options {
	return grpcserver.Options{Unary: []grpc.UnaryServerInterceptor{
		func(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
			if err := do(ctx); err != nil {
				return nil, err
			}
			return handler(ctx, request)
		},
	}}
}

func TestDrainLetsACallInFlightComplete(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	_, dial, stop := serve(t, intercept(func(context.Context) error {
		select {
		case entered <- struct{}{}:
			<-release
		default: // not the call the test waits for
		}
		return nil
	}))
	inFlight := make(chan error, 1)
	client := dial()
	go func() {
		_, err := client.Check(context.Background(), everything)
		inFlight <- err
	}()
	<-entered
	watcher, err := dial().Watch(t.Context(), everything)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := watcher.Recv(); err != nil {
		t.Fatal(err)
	}

	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	for err == nil {
		_, err = watcher.Recv() // NOT_SERVING, or the end at once
	}
	if errors.Is(err, io.EOF) {
		t.Errorf("the health watcher ended without a status")
	}
	for deadline := time.Now().Add(5 * time.Second); ; {
		_, err := dial().Check(t.Context(), everything)
		if status.Code(err) == codes.Unavailable {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("a draining server still answers new calls: %v", err)
		}
	}
	select {
	case err := <-inFlight:
		t.Fatalf("the call in flight ended before it was done: %v", err)
	case err := <-stopped:
		t.Fatalf("Serve returned with a call in flight: %v", err)
	default:
	}
	close(release)
	if err := <-inFlight; err != nil {
		t.Errorf("the call in flight: %v", err)
	}
	if err := <-stopped; err != nil {
		t.Errorf("Serve: %v", err)
	}
}

func TestDrainEndsAfterTenSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		entered, returned := make(chan struct{}), false
		_, dial, stop := serve(t, intercept(func(ctx context.Context) error {
			close(entered)
			<-ctx.Done()
			<-time.After(time.Second) // what a handler still does after its context ended
			returned = true
			return ctx.Err()
		}))
		client := dial()
		inFlight := make(chan error, 1)
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
			defer cancel()
			_, err := client.Check(ctx, everything)
			inFlight <- err
		}()
		<-entered
		start := time.Now()
		if err := stop(); err != nil {
			t.Errorf("Serve: %v", err)
		}
		if took := time.Since(start); took != 11*time.Second {
			t.Errorf("the server ended after %v, want its limit of 10 s and the handler's second", took)
		}
		if !returned {
			t.Error("Serve returned before the handler did")
		}
		if err := <-inFlight; status.Code(err) != codes.Unavailable {
			t.Errorf("the cancelled call got %v, want UNAVAILABLE", err)
		}
	})
}

func TestNoHandlerOutlivesAFailedListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		entered, returned := make(chan struct{}), false
		options := intercept(func(ctx context.Context) error {
			close(entered)
			<-ctx.Done()
			<-time.After(time.Second) // what a handler still does after its context ended
			returned = true
			return ctx.Err()
		})
		options.Insecure = true
		options.Logger = slog.New(slog.DiscardHandler)
		listener := bufconn.Listen(1 << 16)
		ended := make(chan error, 1)
		go func() { ended <- grpcserver.New(options).Serve(context.Background(), listener) }()
		connection, err := grpcclient.Dial("bufconn", grpcclient.Options{
			Insecure: true,
			Dialer:   func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) },
		})
		if err != nil {
			t.Fatal(err)
		}
		defer connection.Close()
		called := make(chan error, 1)
		go func() {
			_, err := grpc_health_v1.NewHealthClient(connection).Check(context.Background(), everything)
			called <- err
		}()
		<-entered
		if err := listener.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; err == nil {
			t.Error("Serve hid the failure of its listener")
		}
		if !returned {
			t.Error("Serve returned before the handler did")
		}
		if err := <-called; status.Code(err) != codes.Unavailable {
			t.Errorf("the call got %v, want UNAVAILABLE", err)
		}
	})
}

func TestDrainingTellsEndlessStreams(t *testing.T) {
	options := grpcserver.Options{Stream: []grpc.StreamServerInterceptor{
		func(_ any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, _ grpc.StreamHandler) error {
			if err := stream.SendMsg(&grpc_health_v1.HealthCheckResponse{}); err != nil {
				return err
			}
			<-grpcserver.Draining(stream.Context())
			return status.Error(codes.Unavailable, "the server stops")
		},
	}}
	_, dial, stop := serve(t, options)
	stream, err := dial().Watch(t.Context(), everything)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	if err := stop(); err != nil {
		t.Errorf("Serve: %v", err)
	}
	if _, err := stream.Recv(); status.Code(err) != codes.Unavailable {
		t.Errorf("the stream ended with %v, want UNAVAILABLE", err)
	}
}

func TestPanicBecomesTheGivenStatus(t *testing.T) {
	for _, test := range []struct {
		name    string
		toError func(any) error
		want    *status.Status
	}{
		{"given", func(recovered any) error { return status.Errorf(codes.DataLoss, "given %v", recovered) }, status.New(codes.DataLoss, "given surprise")},
		{"default", nil, status.New(codes.Internal, "internal error")},
	} {
		t.Run(test.name, func(t *testing.T) {
			var logs bytes.Buffer
			options := intercept(func(context.Context) error { panic("surprise") })
			options.Stream = []grpc.StreamServerInterceptor{
				func(any, grpc.ServerStream, *grpc.StreamServerInfo, grpc.StreamHandler) error { panic("surprise") },
			}
			options.Panic = test.toError
			options.Logger = slog.New(slog.NewTextHandler(&logs, nil))
			_, dial, stop := serve(t, options)
			client := dial()
			_, err := client.Check(t.Context(), everything)
			if diff := cmp.Diff(test.want.String(), status.Convert(err).String()); diff != "" {
				t.Errorf("unary (-want +got):\n%s", diff)
			}
			stream, err := client.Watch(t.Context(), everything)
			if err != nil {
				t.Fatal(err)
			}
			_, err = stream.Recv()
			if diff := cmp.Diff(test.want.String(), status.Convert(err).String()); diff != "" {
				t.Errorf("stream (-want +got):\n%s", diff)
			}
			if err := stop(); err != nil {
				t.Fatal(err)
			}
			for _, want := range []string{"panic=surprise", "/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch", "server_test.go"} {
				if !strings.Contains(logs.String(), want) {
					t.Errorf("the log misses %q", want)
				}
			}
		})
	}
}

func TestDeadline(t *testing.T) {
	for _, test := range []struct {
		name          string
		option, asked time.Duration
		wantLeft      time.Duration
	}{
		{name: "none given: 10 seconds", wantLeft: 10 * time.Second},
		{name: "none given: as configured", option: 3 * time.Second, wantLeft: 3 * time.Second},
		{name: "the caller's", asked: time.Minute, wantLeft: time.Minute},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				options := intercept(func(ctx context.Context) error {
					<-ctx.Done()
					return ctx.Err()
				})
				options.DefaultTimeout = test.option
				_, dial, stop := serve(t, options)
				ctx := context.Background()
				if test.asked > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, test.asked)
					defer cancel()
				}
				start := time.Now()
				_, err := dial().Check(ctx, everything)
				if status.Code(err) != codes.DeadlineExceeded {
					t.Errorf("the call ended with %v, want DEADLINE_EXCEEDED", err)
				}
				if took := time.Since(start); took != test.wantLeft {
					t.Errorf("the call ended after %v, want %v", took, test.wantLeft)
				}
				if err := stop(); err != nil {
					t.Errorf("Serve: %v", err)
				}
			})
		})
	}
}

func TestHealth(t *testing.T) {
	server, dial, stop := serve(t, grpcserver.Options{})
	client := dial()
	for _, want := range []bool{true, false, true} {
		server.SetServing(want)
		response, err := client.Check(t.Context(), everything)
		if err != nil {
			t.Fatal(err)
		}
		if got := response.Status == grpc_health_v1.HealthCheckResponse_SERVING; got != want {
			t.Errorf("after SetServing(%v) health says %v", want, response.Status)
		}
	}
	if err := stop(); err != nil {
		t.Errorf("Serve: %v", err)
	}
}

func TestLogsAndMetricsNameMethodAndCodeOnly(t *testing.T) {
	var logs bytes.Buffer
	registry := prometheus.NewRegistry()
	options := intercept(func(context.Context) error { return status.Error(codes.NotFound, "Rossi is not there") })
	options.Metrics = registry
	options.Logger = slog.New(slog.NewTextHandler(&logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	grpcserver.New(grpcserver.Options{Insecure: true, Metrics: registry}) // a second server of the process shares the metrics
	_, dial, stop := serve(t, options)
	if _, err := dial().Check(t.Context(), everything); status.Code(err) != codes.NotFound {
		t.Fatal(err)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if text := logs.String(); !strings.Contains(text, "method=/grpc.health.v1.Health/Check code=NotFound duration=") || strings.Contains(text, "Rossi") {
		t.Errorf("the log is\n%s", text)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var handled float64
	for _, family := range families {
		if family.GetName() != "grpc_server_handled_total" {
			continue
		}
		for _, metric := range family.GetMetric() {
			labels := map[string]string{}
			for _, label := range metric.GetLabel() {
				labels[label.GetName()] = label.GetValue()
			}
			if labels["grpc_method"] == "Check" && labels["grpc_code"] == "NotFound" {
				handled += metric.GetCounter().GetValue()
			}
		}
	}
	if handled != 1 {
		t.Errorf("grpc_server_handled_total counts %v calls, want 1", handled)
	}
}

func TestPlainTextStaysOnTheMachine(t *testing.T) {
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpcserver.New(grpcserver.Options{Insecure: true, Logger: slog.New(slog.DiscardHandler)})
	err = server.Serve(t.Context(), seenFromOutside{listener})
	if err == nil || !strings.Contains(err.Error(), "plain text is only for") {
		t.Errorf("Serve: %v, want a refusal", err)
	}
	if _, err := listener.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the refused listener is still open: %v", err)
	}
}

// seenFromOutside is a loopback listener that says it listens on a network.
type seenFromOutside struct{ net.Listener }

func (seenFromOutside) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4zero, Port: 1} }

func TestProtectionMustBeDecided(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("New accepted options with neither TLS nor Insecure")
		}
	}()
	grpcserver.New(grpcserver.Options{})
}
