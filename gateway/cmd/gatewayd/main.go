// Command gatewayd serves a registry or an ufficio comune over HTTP.
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"google.golang.org/grpc"

	"cidsistem.example/gateway"
	"cidsistem.example/services/platform/cli"
	"cidsistem.example/services/platform/grpcclient"
	"cidsistem.example/services/platform/identity"
	"cidsistem.example/services/platform/lifecycle"
	"cidsistem.example/services/platform/telemetry"
)

// drainWithin is how long requests in flight have to complete once the process is told to stop.
const drainWithin = 10 * time.Second

func main() {
	settings := Defaults()
	cli.Main(cli.Daemon("gatewayd", "The HTTP edge of a registry or an ufficio comune", settings, func(ctx context.Context) error {
		return run(ctx, *settings)
	}))
}

func run(ctx context.Context, settings Settings) (err error) {
	logger, err := telemetry.NewLogger(os.Stdout, settings.Log.Level, settings.Log.Format)
	if err != nil {
		return cli.UsageError(err)
	}
	conn, err := dial(settings)
	if err != nil {
		return cli.UsageError(err)
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	registry := telemetry.NewRegistry()
	g, err := gateway.New(gateway.Options{
		Identity:       gateway.Identity(settings.Portal),
		Upstream:       conn,
		Limits:         settings.Limits.laid(gateway.DefaultLimits()),
		AllowedOrigins: settings.AllowedOrigins,
		TrustedProxies: settings.TrustedProxies,
		Logger:         logger,
		Metrics:        registry,
	})
	if err != nil {
		return err
	}
	var secure *tls.Config
	if settings.HTTPS.Cert != "" {
		certificate, err := loadCertificate(settings.HTTPS.Cert, settings.HTTPS.Key, logger)
		if err != nil {
			return cli.UsageError(err)
		}
		secure = certificate.serverTLS()
	}
	tasks := []lifecycle.Task{{Name: "HTTP", Run: func(ctx context.Context) error {
		return serve(ctx, settings.Listen, gateway.NewServer(g), secure, logger)
	}}}
	if settings.Admin != "" {
		tasks = append(tasks, telemetry.Admin(settings.Admin, registry, func() error { return g.Ready(ctx) }))
	}
	return lifecycle.Run(ctx, logger, tasks...)
}

// dial connects to the registry; the connection is made when it is first needed.
func dial(settings Settings) (*grpc.ClientConn, error) {
	options := grpcclient.Options{Insecure: settings.Upstream.Insecure}
	if !options.Insecure {
		want, err := identity.ParseID(settings.Upstream.Identity)
		if err != nil {
			return nil, fmt.Errorf("upstream: %w", err)
		}
		source, err := identity.Load(settings.TLS)
		if err != nil {
			return nil, fmt.Errorf("tls: %w", err)
		}
		options.TLS = source.ClientTLS(want)
	}
	conn, err := grpcclient.Dial(settings.Upstream.Address, options)
	if err != nil {
		return nil, fmt.Errorf("upstream: %w", err)
	}
	return conn, nil
}

// laid puts the limits of the file over those that it does not name.
func (l Limits) laid(over gateway.Limits) gateway.Limits {
	over.BodyBytes, over.FileBytes = l.BodyBytes, l.FileBytes
	over.Timeout, over.FileTimeout = time.Duration(l.Timeout), time.Duration(l.FileTimeout)
	over.Streams, over.Rate, over.Burst = l.Streams, l.Rate, l.Burst
	return over
}

// serve answers HTTP until the context ends, then lets requests in flight complete.
func serve(ctx context.Context, address string, server *http.Server, secure *tls.Config, logger *slog.Logger) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", address, err)
	}
	logger.InfoContext(ctx, "serving HTTP", "address", listener.Addr().String(), "https", secure != nil)
	server.ErrorLog = slog.NewLogLogger(logger.Handler(), slog.LevelDebug) // it names addresses of clients
	ended := make(chan error, 1)
	go func() {
		if secure == nil {
			ended <- server.Serve(listener)
			return
		}
		server.TLSConfig = secure
		ended <- server.ServeTLS(listener, "", "")
	}()
	select {
	case err := <-ended:
		return fmt.Errorf("serve HTTP on %s: %w", address, err)
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainWithin)
	defer cancel()
	if err := server.Shutdown(drain); err != nil {
		logger.WarnContext(ctx, "requests still in flight are broken off", "after", drainWithin)
		_ = server.Close()
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve HTTP on %s: %w", address, err)
	}
	return nil
}
