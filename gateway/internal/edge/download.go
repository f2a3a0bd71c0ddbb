package edge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"
	"unicode"

	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/grpc"

	"cidsistem.example/proto/gen/registryv1"
)

// serveDownload answers with the bytes of a file, from an offset when that is asked for. A file is named by its content, so it
// never changes.
func (a *API) serveDownload(w http.ResponseWriter, r *http.Request) {
	c := callOf(r.Context())
	request := &registryv1.DownloadFileRequest{}
	if err := c.route.readQuery(r.URL.RawQuery, request); err != nil {
		a.fail(w, r, c, err)
		return
	}
	request.Name = c.variables["name"]
	etag := `"` + path.Base(request.GetName()) + `"`
	header := w.Header()
	if known, unchanged := noneMatch(r.Header.Values("If-None-Match"), etag); unchanged {
		header.Set("ETag", known)
		header.Set("Cache-Control", immutable)
		w.WriteHeader(http.StatusNotModified)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), a.limits.FileTimeout)
	defer cancel()
	file, err := a.files.GetFile(ctx, &registryv1.GetFileRequest{Name: request.GetName()})
	if err != nil {
		a.fail(w, r, c, err)
		return
	}
	size := file.GetSizeBytes()
	code := http.StatusOK
	if offset, asked := parseRange(r.Header.Get("Range")); asked && request.GetOffset() == 0 && sameFile(r.Header.Get("If-Range"), etag) {
		if offset >= size {
			p := newProblem(reasonRange, fmt.Sprintf("the file has %d bytes, so there is nothing from byte %d on", size, offset))
			p.header.Set("Content-Range", fmt.Sprintf("bytes */%d", size))
			a.fail(w, r, c, p)
			return
		}
		request.Offset, code = offset, http.StatusPartialContent
		header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", offset, size-1, size))
	}
	header.Set("Cache-Control", "no-store")
	if request.GetOffset() == 0 || code == http.StatusPartialContent {
		header.Set("ETag", etag)
		header.Set("Cache-Control", immutable)
		header.Set("Accept-Ranges", "bytes")
	}
	header.Set("Content-Length", strconv.FormatInt(max(0, size-request.GetOffset()), 10))
	header.Set("Content-Disposition", disposition(r.URL.Query().Get("filename")))
	header.Set("Content-Security-Policy", "default-src 'none'; sandbox; frame-ancestors 'none'")
	if r.Method == http.MethodHead {
		header.Set("Content-Type", "application/octet-stream")
		w.WriteHeader(code)
		return
	}
	a.sendFile(ctx, w, r, c, request, code)
}

// immutable is the cache policy of what is named by its content.
const immutable = "public, max-age=31536000, immutable"

// sendFile streams the file. Until its first piece is there, an error is still answered as a problem; after that the connection is
// broken off, so that nobody takes a part for the whole.
func (a *API) sendFile(ctx context.Context, w http.ResponseWriter, r *http.Request, c *call, request *registryv1.DownloadFileRequest, code int) {
	stream, err := a.files.DownloadFile(ctx, request)
	var piece *httpbody.HttpBody
	if err == nil {
		piece, err = stream.Recv()
	}
	if err != nil && !errors.Is(err, io.EOF) {
		for _, name := range []string{"ETag", "Content-Range", "Accept-Ranges", "Content-Disposition"} {
			w.Header().Del(name)
		}
		a.fail(w, r, c, err)
		return
	}
	w.Header().Set("Content-Type", mediaType(piece.GetContentType()))
	w.WriteHeader(code)
	if err := copyPieces(w, stream, piece, err); err != nil {
		exchangeOf(r.Context()).cause = err
		panic(http.ErrAbortHandler)
	}
}

// copyPieces writes the first piece and all that follow, until the stream ends.
func copyPieces(w http.ResponseWriter, stream grpc.ServerStreamingClient[httpbody.HttpBody], piece *httpbody.HttpBody, err error) error {
	connection := http.NewResponseController(w)
	for ; err == nil; piece, err = stream.Recv() {
		_ = connection.SetWriteDeadline(time.Now().Add(pieceWithin)) // not every connection can; FileTimeout holds anyway
		if _, err := w.Write(piece.GetData()); err != nil {
			return err
		}
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// parseRange reads the one form of Range that is worth resuming a download for: bytes=N- . All others are answered with the whole
// file, as RFC 9110, 14.2 allows.
func parseRange(header string) (offset int64, asked bool) {
	digits, found := strings.CutPrefix(strings.TrimSpace(header), "bytes=")
	if !found {
		return 0, false
	}
	digits, found = strings.CutSuffix(digits, "-")
	if !found || digits == "" || strings.ContainsFunc(digits, func(r rune) bool { return r < '0' || r > '9' }) {
		return 0, false
	}
	offset, err := strconv.ParseInt(digits, 10, 64)
	return offset, err == nil
}

// sameFile evaluates If-Range: without it, or with the tag of this file, a part may be sent.
func sameFile(ifRange, etag string) bool { return ifRange == "" || ifRange == etag }

// disposition makes a browser save a file, under a name if one is given.
func disposition(name string) string {
	name = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || strings.ContainsRune(`/\`, r) {
			return '_'
		}
		return r
	}, strings.ToValidUTF8(name, ""))
	if name = shown(strings.TrimSpace(name)); name == "" {
		return "attachment"
	}
	return mime.FormatMediaType("attachment", map[string]string{"filename": name})
}

// mediaType lets a well-formed media type pass.
func mediaType(text string) string {
	if kind, parameters, err := mime.ParseMediaType(text); err == nil {
		if text = mime.FormatMediaType(kind, parameters); text != "" {
			return text
		}
	}
	return "application/octet-stream"
}
