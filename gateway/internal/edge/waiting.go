package edge

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"

	"google.golang.org/grpc"
)

// waiting adds up how long a request waits for the server behind the gateway: the time in which at least one call is under way.
type waiting struct {
	mu      sync.Mutex
	calls   int
	since   time.Time
	waited  time.Duration
	counted int
}

func (w *waiting) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.calls == 0 {
		w.since = time.Now()
	}
	w.calls++
	w.counted++
}

func (w *waiting) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.calls--; w.calls == 0 {
		w.waited += time.Since(w.since)
	}
}

// took is the time so far, and how many calls there were.
func (w *waiting) took() (time.Duration, int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.calls > 0 {
		return w.waited + time.Since(w.since), w.counted
	}
	return w.waited, w.counted
}

// Timed is a connection whose calls count as waiting of the requests that they are made for.
func Timed(conn grpc.ClientConnInterface) grpc.ClientConnInterface { return timed{conn} }

type timed struct{ grpc.ClientConnInterface }

func (t timed) Invoke(ctx context.Context, method string, request, reply any, options ...grpc.CallOption) error {
	if x, ok := ctx.Value(exchangeKey{}).(*exchange); ok {
		x.waiting.begin()
		defer x.waiting.end()
	}
	return t.ClientConnInterface.Invoke(ctx, method, request, reply, options...)
}

// setTiming says in Server-Timing how much of an answer's time went into calls upstream, and how much into all of it.
func setTiming(header http.Header, x *exchange) {
	waited, _ := x.waiting.took()
	header.Set("Server-Timing", "upstream;dur="+milliseconds(waited)+", total;dur="+milliseconds(time.Since(x.began)))
}

func milliseconds(d time.Duration) string {
	return strconv.FormatFloat(float64(d)/float64(time.Millisecond), 'f', 3, 64)
}
