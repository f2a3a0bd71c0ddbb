package grpcserver

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"time"

	"golang.org/x/time/rate"
	"google.golang.org/grpc/credentials"
)

// reporting are credentials that tell the log who was not let in: gRPC itself drops such a connection without a word.
type reporting struct {
	credentials.TransportCredentials
	logger *slog.Logger
	// Whoever knocks again and again fills no disk.
	often *rate.Limiter
}

func newReporting(inner credentials.TransportCredentials, logger *slog.Logger) credentials.TransportCredentials {
	return &reporting{TransportCredentials: inner, logger: logger, often: rate.NewLimiter(rate.Every(time.Second), 20)}
}

func (r *reporting) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	secured, info, err := r.TransportCredentials.ServerHandshake(conn)
	// A connection that is closed at once is a look whether somebody listens.
	if err != nil && !errors.Is(err, io.EOF) && r.often.Allow() {
		r.logger.Warn("connection refused", "from", conn.RemoteAddr().String(), "error", err)
	}
	return secured, info, err
}

func (r *reporting) Clone() credentials.TransportCredentials {
	return &reporting{TransportCredentials: r.TransportCredentials.Clone(), logger: r.logger, often: r.often}
}
