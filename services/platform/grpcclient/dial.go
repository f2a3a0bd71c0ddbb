// Package grpcclient connects to the other processes of a federation in the one way that suits links which fail and heal.
package grpcclient

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	_ "google.golang.org/grpc/encoding/gzip" // lets a call ask for gzip, and reads answers in it
	"google.golang.org/grpc/keepalive"
)

const defaultMaxMessageBytes = 4 << 20

// A healed link must be usable within 2 seconds. In the worst case the last failing attempt loses its SYN's second copy, sent after
// 1 s, just before the link heals; what is left of that attempt and the wait after it are then 1 s each.
const (
	attemptTimeout = 2 * time.Second
	firstWait      = 100 * time.Millisecond
	longestWait    = 800 * time.Millisecond // with a fifth of jitter just under 1 s
)

// Options of a connection. The zero value of each field has the meaning given beside it.
type Options struct {
	TLS      *tls.Config // as made by identity.Source.ClientTLS; nil only together with Insecure
	Insecure bool        // plain text, only to a Unix socket, to loopback or through Dialer

	MaxMessageBytes int // of one message, received or sent; 0: 4 MiB
	Unary           []grpc.UnaryClientInterceptor
	Stream          []grpc.StreamClientInterceptor

	// Dialer opens the connections in place of TCP or the Unix socket; nil: the usual way.
	Dialer func(ctx context.Context, address string) (net.Conn, error)
}

// Dial makes a connection to HOST:PORT or unix:PATH. It returns at once; the link is made at the first call, and made again
// whenever it was lost, with waits of at most 1 second. A call over a broken link fails with UNAVAILABLE and is never repeated
// on its own, since it may be a write. Close the connection when done.
func Dial(target string, options Options) (*grpc.ClientConn, error) {
	transport, err := transportCredentials(target, options)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", target, err)
	}
	if options.MaxMessageBytes == 0 {
		options.MaxMessageBytes = defaultMaxMessageBytes
	}
	waits := backoff.DefaultConfig
	waits.BaseDelay, waits.MaxDelay = firstWait, longestWait
	grpcOptions := []grpc.DialOption{
		grpc.WithTransportCredentials(transport),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: waits, MinConnectTimeout: attemptTimeout}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 20 * time.Second, Timeout: 5 * time.Second, PermitWithoutStream: true}),
		grpc.WithIdleTimeout(0),
		grpc.WithDisableRetry(),
		grpc.WithDisableServiceConfig(),
		grpc.WithDefaultCallOptions(
			grpc.MaxCallRecvMsgSize(options.MaxMessageBytes),
			grpc.MaxCallSendMsgSize(options.MaxMessageBytes),
		),
		grpc.WithChainUnaryInterceptor(options.Unary...),
		grpc.WithChainStreamInterceptor(options.Stream...),
	}
	if options.Dialer != nil {
		grpcOptions = append(grpcOptions, grpc.WithContextDialer(options.Dialer))
	}
	connection, err := grpc.NewClient(resolvedWhenDialled(target), grpcOptions...)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", target, err)
	}
	return connection, nil
}

// resolvedWhenDialled keeps gRPC's own name resolver out of the way: it waits up to two minutes after a failed look-up, while
// the system's is asked again at every attempt.
func resolvedWhenDialled(target string) string {
	if onUnixSocket(target) {
		return target
	}
	return "passthrough:///" + target
}

func transportCredentials(target string, options Options) (credentials.TransportCredentials, error) {
	if (options.TLS == nil) != options.Insecure {
		return nil, errors.New("exactly one of TLS and Insecure must be given")
	}
	if options.TLS != nil {
		return credentials.NewTLS(options.TLS), nil
	}
	if options.Dialer == nil && !onUnixSocket(target) && !onLoopback(target) {
		return nil, errors.New("plain text is only for a Unix socket or loopback: give certificate files or another address")
	}
	return insecure.NewCredentials(), nil
}

func onUnixSocket(target string) bool { return strings.HasPrefix(target, "unix:") }

func onLoopback(target string) bool {
	host, _, err := net.SplitHostPort(target)
	if err != nil {
		return false
	}
	address, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && address.IsLoopback()
}
