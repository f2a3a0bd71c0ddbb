package edge

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"cidsistem.example/proto/gen/registryv1"
)

// Observe is the outermost handler: it gives each request its id, counts and logs it by route, never by path or address, and turns
// a panic into a problem.
func Observe(logger *slog.Logger, metrics *Metrics, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x, r := begin(r)
		w.Header().Set("X-Request-Id", x.id)
		watched := &watchedWriter{ResponseWriter: w}
		metrics.inFlight.Inc()
		defer func() {
			metrics.inFlight.Dec()
			aborted := recovered(recover(), watched, r)
			took := time.Since(x.began)
			metrics.observe(x.route, r.Method, watched.status(), took)
			record(logger, r, watched, took)
			if aborted {
				panic(http.ErrAbortHandler) // the server closes the connection
			}
		}()
		next.ServeHTTP(watched, r)
	})
}

// recovered answers for a handler that panicked, as far as that is possible. It tells whether the connection must be broken off.
func recovered(panicked any, w *watchedWriter, r *http.Request) (abort bool) {
	if panicked == nil {
		return false
	}
	x := exchangeOf(r.Context())
	if err, ok := panicked.(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
		x.cause = fmt.Errorf("panic: %v\n%s", panicked, debug.Stack())
	}
	if w.code != 0 {
		return true
	}
	p := newProblem(registryv1.ErrorReason_INTERNAL_ERROR.String(), "a defect of the service; its log has the cause under the request id in instance")
	p.cause = x.cause
	writeProblem(w, r, p)
	return false
}

// record logs a request that has been answered.
func record(logger *slog.Logger, r *http.Request, w *watchedWriter, took time.Duration) {
	x := exchangeOf(r.Context())
	level := slog.LevelInfo
	attributes := []slog.Attr{
		slog.String("request_id", x.id),
		slog.String("route", x.route),
		slog.String("method", methodLabel(r.Method)),
		slog.Int("status", w.status()),
		slog.Int64("bytes", w.bytes),
		slog.Duration("took", took),
	}
	if waited, calls := x.waiting.took(); calls > 0 {
		attributes = append(attributes, slog.Int("calls", calls), slog.Duration("upstream", waited))
	}
	if x.traceID != "" {
		attributes = append(attributes, slog.String("trace_id", x.traceID))
	}
	if x.reason != "" {
		attributes = append(attributes, slog.String("reason", x.reason))
	}
	if w.status() >= http.StatusInternalServerError {
		level = slog.LevelWarn
	}
	// What a client got wrong is told to the client; only what is wrong on our side is worth a cause in the log.
	if x.cause != nil && (level > slog.LevelInfo || x.reason == "") {
		attributes = append(attributes, slog.String("error", x.cause.Error()))
	}
	logger.LogAttrs(r.Context(), level, "request", attributes...)
}

// A watchedWriter remembers what was answered.
type watchedWriter struct {
	http.ResponseWriter
	code  int
	bytes int64
}

func (w *watchedWriter) WriteHeader(code int) {
	if w.code == 0 && code >= http.StatusOK {
		w.code = code
	}
	w.ResponseWriter.WriteHeader(code)
}

func (w *watchedWriter) Write(data []byte) (int, error) {
	if w.code == 0 {
		w.code = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(data)
	w.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (w *watchedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// status is what the client got; a handler that wrote nothing has answered 200.
func (w *watchedWriter) status() int {
	if w.code == 0 {
		return http.StatusOK
	}
	return w.code
}
