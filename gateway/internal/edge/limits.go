package edge

import (
	"net/http"
	"time"
)

// Limits bound what one client, and all of them together, can ask for.
type Limits struct {
	// BodyBytes of a JSON request.
	BodyBytes int64
	// FileBytes of an uploaded file.
	FileBytes int64
	// AddressBytes of a path with its query.
	AddressBytes int
	// Timeout of a request until its answer is ready; the deadline goes upstream too.
	Timeout time.Duration
	// FileTimeout of an upload or a download.
	FileTimeout time.Duration
	// Streams that are open at the same time.
	Streams int
	// Heartbeat is how often an idle event stream shows that it is alive.
	Heartbeat time.Duration
	// Rate is how many requests per second one client address may make in the long run; 0: as many as it likes.
	Rate float64
	// Burst is how many it may make at once.
	Burst int
	// Clients is how many addresses are remembered for Rate.
	Clients int
}

// DefaultLimits suit a federation of a few comuni.
func DefaultLimits() Limits {
	return Limits{
		BodyBytes:    1 << 20,
		FileBytes:    25 << 20,
		AddressBytes: 8 << 10,
		Timeout:      10 * time.Second,
		FileTimeout:  5 * time.Minute,
		Streams:      200,
		Heartbeat:    15 * time.Second,
		Rate:         50,
		Burst:        200,
		Clients:      20_000,
	}
}

// answerWithin is how long a client may take to accept an answer that is ready, over the slowest of lines.
const answerWithin = time.Minute

// allowWriting gives the client that long from now on.
func allowWriting(w http.ResponseWriter) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(answerWithin)) // not every connection can
}
