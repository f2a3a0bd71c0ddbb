package telemetry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"cidsistem.example/services/platform/lifecycle"
)

// NewRegistry makes a metrics registry that already has the Go runtime's and the process's own metrics, and the build version.
func NewRegistry() *prometheus.Registry {
	registry := prometheus.NewRegistry()
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name:        "cid_build_info",
		Help:        "Always 1; the label is the version of the running program.",
		ConstLabels: prometheus.Labels{"version": BuildVersion()},
	})
	build.Set(1)
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), build)
	return registry
}

// Admin returns the task that serves [AdminHandler] on addr, HOST:PORT, until its context ends.
func Admin(addr string, registry *prometheus.Registry, ready func() error) lifecycle.Task {
	return lifecycle.Task{Name: "admin HTTP", Run: func(ctx context.Context) error {
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
		if err != nil {
			return fmt.Errorf("listen on %s: %w", addr, err)
		}
		slog.InfoContext(ctx, "serving health and metrics", "address", listener.Addr().String())
		return serve(ctx, listener, AdminHandler(registry, ready))
	}}
}

func serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      2 * time.Minute, // a profile takes its time
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serve health and metrics on %s: %w", listener.Addr(), err)
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if err := server.Shutdown(drain); err != nil {
		_ = server.Close() // a profile under way is not worth waiting for
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve health and metrics on %s: %w", listener.Addr(), err)
	}
	return nil
}

// AdminHandler answers /livez (the process runs), /readyz (200 when ready returns nil, else 503 with its error), /metrics, and
// /debug/pprof to callers on loopback only: a heap dump holds what the process holds in memory.
func AdminHandler(registry *prometheus.Registry, ready func() error) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := ready(); err != nil {
			answer(w, http.StatusServiceUnavailable, err.Error())
			return
		}
		answer(w, http.StatusOK, "ok")
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{Timeout: 10 * time.Second}))
	mux.Handle("GET /debug/pprof/", onLoopback(http.HandlerFunc(pprof.Index)))
	mux.Handle("GET /debug/pprof/profile", onLoopback(http.HandlerFunc(pprof.Profile)))
	mux.Handle("GET /debug/pprof/trace", onLoopback(http.HandlerFunc(pprof.Trace)))
	return mux
}

func onLoopback(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller, err := netip.ParseAddrPort(r.RemoteAddr)
		if err != nil || !caller.Addr().Unmap().IsLoopback() {
			answer(w, http.StatusForbidden, "profiles are served to this machine only")
			return
		}
		next.ServeHTTP(w, r)
	})
}

func answer(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text+"\n") // the prober may be gone
}
