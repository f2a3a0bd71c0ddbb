package edge

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// A Ready is a file that was made for an answer, and is all there.
type Ready struct {
	// MediaType with its parameters.
	MediaType string
	// Digest of the bytes: as long as it stays the same, so do they.
	Digest string
	Size   int64
	// Content are the bytes, from the first one.
	Content io.Reader
}

// Send answers with a file that everybody may have, piece by piece, each of which a client may take its time for. A client that has
// the bytes already gets a 304. What breaks off after the beginning breaks the connection off, so that nobody takes a part for the whole.
func Send(w http.ResponseWriter, r *http.Request, file Ready) {
	allowWriting(w) // making the file has taken some of the time
	header := w.Header()
	header.Set("Cache-Control", "public, max-age=0, must-revalidate")
	if Unchanged(w, r, `"`+file.Digest+`"`) {
		return
	}
	header.Set("Content-Type", file.MediaType)
	header.Set("Content-Length", strconv.FormatInt(file.Size, 10))
	header.Set("Content-Security-Policy", "default-src 'none'; sandbox; frame-ancestors 'none'")
	if !strings.HasPrefix(file.MediaType, "text/") && !strings.Contains(file.MediaType, "json") {
		header.Set("No-Gzip-Compression", "1") // packages and workbooks are compressed; the header goes no further
	}
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return
	}
	connection := http.NewResponseController(w)
	piece := make([]byte, pieceBytes)
	for {
		n, err := fill(file.Content, piece)
		if n > 0 {
			_ = connection.SetWriteDeadline(time.Now().Add(pieceWithin)) // not every connection can
			if _, failed := w.Write(piece[:n]); failed != nil {
				err = failed
			}
		}
		if err == io.EOF { //nolint:errorlint // readers return it bare
			return
		}
		if err != nil {
			exchangeOf(r.Context()).cause = err
			panic(http.ErrAbortHandler)
		}
	}
}
