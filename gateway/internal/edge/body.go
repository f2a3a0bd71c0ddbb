package edge

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"strings"
	"time"
)

// hasBody tells whether a request comes with a body.
func hasBody(r *http.Request) bool {
	return r.ContentLength != 0 && r.Body != nil && r.Body != http.NoBody
}

// checkMediaType refuses a body that is not declared as plain JSON in UTF-8.
func checkMediaType(r *http.Request) error {
	if !hasBody(r) {
		return nil
	}
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return newProblem(reasonMediaType, "the body is encoded as "+shown(encoding)+"; send it without Content-Encoding")
	}
	kind, parameters, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		p := newProblem(reasonMediaType, "the body must come with Content-Type: application/json")
		p.header.Set("Accept", "application/json") // RFC 9110, 15.5.16
		return p
	}
	if charset := parameters["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") {
		return newProblem(reasonMediaType, "the body must be in UTF-8, not in "+shown(charset))
	}
	return nil
}

// readBody reads a whole body of at most limit bytes, which must arrive within the given time.
func readBody(w http.ResponseWriter, r *http.Request, limit int64, within time.Duration) ([]byte, error) {
	if r.ContentLength > limit {
		return nil, tooLarge(limit)
	}
	connection := http.NewResponseController(w)
	_ = connection.SetReadDeadline(time.Now().Add(within)) // not every connection can; the limit on size holds anyway
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if err != nil {
		return nil, bodyProblem(err, limit)
	}
	// The server goes on reading to notice that the client leaves, for as long as the answer takes.
	_ = connection.SetReadDeadline(time.Time{})
	return data, nil
}

// bodyProblem tells what went wrong while a body was read.
func bodyProblem(err error, limit int64) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return tooLarge(limit)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		p := newProblem(reasonBodyTooSlow, "the body did not arrive in time")
		p.header.Set("Connection", "close")
		return p
	}
	return invalid(fieldError{"", "the body ended early or is damaged"})
}
