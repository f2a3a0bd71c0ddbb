package grpcclient_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"cidsistem.example/services/platform/grpcclient"
	"cidsistem.example/services/platform/grpcserver"
)

func TestDialRefuses(t *testing.T) {
	for _, test := range []struct {
		target   string
		tls      *tls.Config
		insecure bool
		wantErr  string
	}{
		{target: "127.0.0.1:1", insecure: true},
		{target: "[::1]:1", insecure: true},
		{target: "localhost:1", insecure: true},
		{target: "unix:/run/cid/admin.sock", insecure: true},
		{target: "comune.example:1", tls: &tls.Config{MinVersion: tls.VersionTLS13}},
		{target: "comune.example:1", insecure: true, wantErr: "plain text is only for"},
		{target: "192.0.2.1:1", insecure: true, wantErr: "plain text is only for"},
		{target: "localhost.example:1", insecure: true, wantErr: "plain text is only for"},
		{target: "127.0.0.1:1", wantErr: "exactly one of TLS and Insecure"},
		{target: "127.0.0.1:1", insecure: true, tls: &tls.Config{MinVersion: tls.VersionTLS13}, wantErr: "exactly one of TLS and Insecure"},
	} {
		t.Run(fmt.Sprintf("%s insecure=%v tls=%v", test.target, test.insecure, test.tls != nil), func(t *testing.T) {
			connection, err := grpcclient.Dial(test.target, grpcclient.Options{TLS: test.tls, Insecure: test.insecure})
			if test.wantErr == "" {
				if err != nil {
					t.Fatal(err)
				}
				if err := connection.Close(); err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), test.wantErr) || !strings.Contains(err.Error(), test.target) {
				t.Errorf("Dial: %v, want an error with %q and the target", err, test.wantErr)
			}
		})
	}
}

// However long a link was cut, and whether it refused or swallowed packets, it is usable 2 seconds after it healed.
func TestHealedLinkIsUsableWithinTwoSeconds(t *testing.T) {
	errRefused := errors.New("connection refused")
	links := map[string]func(ctx context.Context, open func() bool) error{
		"refusing": func(_ context.Context, open func() bool) error {
			if open() {
				return nil
			}
			return errRefused
		},
		"swallowing": func(ctx context.Context, open func() bool) error { // a SYN is sent again after 1 s and 2 s more
			for wait := time.Second; !open(); wait *= 2 {
				select {
				case <-ctx.Done():
					return ctx.Err()
				case <-time.After(wait):
				}
			}
			return nil
		},
	}
	for name, connect := range links {
		t.Run(name, func(t *testing.T) {
			for cut := time.Duration(0); cut < 40*time.Second; cut += 770 * time.Millisecond {
				synctest.Test(t, func(t *testing.T) {
					listener := bufconn.Listen(1 << 16)
					server := grpcserver.New(grpcserver.Options{Insecure: true, Logger: slog.New(slog.DiscardHandler)})
					ctx, stop := context.WithCancel(context.Background())
					ended := make(chan error, 1)
					go func() { ended <- server.Serve(ctx, listener) }()
					defer func() {
						stop()
						if err := <-ended; err != nil {
							t.Errorf("Serve: %v", err)
						}
					}()
					healed := time.Now().Add(cut)
					open := func() bool { return !time.Now().Before(healed) }
					connection, err := grpcclient.Dial("comune.example:1", grpcclient.Options{
						Insecure: true,
						Dialer: func(ctx context.Context, _ string) (net.Conn, error) {
							if err := connect(ctx, open); err != nil {
								return nil, err
							}
							return listener.DialContext(ctx)
						},
					})
					if err != nil {
						t.Fatal(err)
					}
					defer connection.Close()
					client := grpc_health_v1.NewHealthClient(connection)
					for {
						call, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
						_, err := client.Check(call, &grpc_health_v1.HealthCheckRequest{})
						cancel()
						if err == nil {
							break
						}
						if since := time.Since(healed); since > 2*time.Second {
							t.Fatalf("cut for %v: not usable %v after it healed: %v", cut, since, err)
						}
						<-time.After(10 * time.Millisecond)
					}
				})
			}
		})
	}
}

func TestFailedCallIsNotRepeated(t *testing.T) {
	var calls atomic.Int32
	listener := bufconn.Listen(1 << 16)
	server := grpcserver.New(grpcserver.Options{
		Insecure: true,
		Logger:   slog.New(slog.DiscardHandler),
		Unary: []grpc.UnaryServerInterceptor{
			func(context.Context, any, *grpc.UnaryServerInfo, grpc.UnaryHandler) (any, error) {
				calls.Add(1)
				return nil, status.Error(codes.Unavailable, "not now")
			},
		},
	})
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx, listener) }()
	connection, err := grpcclient.Dial("bufconn", grpcclient.Options{
		Insecure: true,
		Dialer:   func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) },
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = grpc_health_v1.NewHealthClient(connection).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{})
	if status.Code(err) != codes.Unavailable || calls.Load() != 1 {
		t.Errorf("the call ended with %v after %d attempts, want UNAVAILABLE after one", err, calls.Load())
	}
	if err := connection.Close(); err != nil {
		t.Error(err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("Serve: %v", err)
	}
}
