package edge

import (
	"net/http"
	"strings"

	"cidsistem.example/proto/gen/registryv1"
)

// Page makes a handler of pages into one that answers GET and HEAD only, compressed, and that logs and metrics know by its name.
func Page(name string, next http.Handler) http.Handler {
	next = Compress(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		exchangeOf(r.Context()).route = name
		switch r.Method {
		case http.MethodGet, http.MethodHead:
			allowWriting(w)
			next.ServeHTTP(w, r)
		case http.MethodOptions:
			w.Header().Set("Allow", "GET, HEAD, OPTIONS")
			w.WriteHeader(http.StatusNoContent)
		default:
			writeProblem(w, r, methodNotAllowed(r, []string{http.MethodGet, http.MethodHead, http.MethodOptions}))
		}
	})
}

// Named lets logs and metrics know a handler by a name, and gives its answers time to be written.
func Named(name string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		exchangeOf(r.Context()).route = name
		allowWriting(w)
		next.ServeHTTP(w, r)
	})
}

// NotFound answers that there is nothing at an address.
func NotFound(w http.ResponseWriter, r *http.Request) {
	writeProblem(w, r, newProblem(reasonNoSuchPath, "there is nothing at this address"))
}

// Document answers with bytes that are the same as long as the process lives. Clients ask every time whether they still are.
func Document(mediaType string, body []byte) http.Handler {
	return document(mediaType, "public, max-age=0, must-revalidate", body)
}

// Immutable answers with bytes that never change at their address. Clients may keep them for a year.
func Immutable(mediaType string, body []byte) http.Handler {
	return document(mediaType, "public, max-age=31536000, immutable", body)
}

func document(mediaType, cacheControl string, body []byte) http.Handler {
	etag := strings.TrimPrefix(weakTag(body), "W/")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Cache-Control", cacheControl)
		if Unchanged(w, r, etag) {
			return
		}
		header.Set("Content-Type", mediaType)
		write(w, http.StatusOK, body)
	})
}

// noStore is the Cache-Control of what nobody may keep.
const noStore = "no-store"

// Rendered answers with a page that was made for this request. One that nobody had to sign in for may be kept as long as it is
// the same; others are kept by nobody, nor is one whose handler has said so in Cache-Control.
func Rendered(w http.ResponseWriter, r *http.Request, status int, mediaType string, body []byte) {
	header := w.Header()
	header.Set("Content-Type", mediaType)
	setTiming(header, exchangeOf(r.Context()))
	signedIn := exchangeOf(r.Context()).authorization != ""
	if header.Get("Cache-Control") == noStore || signedIn || status >= http.StatusBadRequest || r.Method == http.MethodPost {
		header.Set("Cache-Control", noStore)
		write(w, status, body)
		return
	}
	header.Set("Cache-Control", "public, max-age=0, must-revalidate")
	if status == http.StatusOK && Unchanged(w, r, strings.TrimPrefix(weakTag(body), "W/")) {
		return
	}
	write(w, status, body)
}

// Unchanged sets the ETag of an answer, and answers 304 when the client has it already.
func Unchanged(w http.ResponseWriter, r *http.Request, etag string) bool {
	w.Header().Set("ETag", etag)
	known, unchanged := noneMatch(r.Header.Values("If-None-Match"), etag)
	if unchanged {
		w.Header().Set("ETag", known)
		w.Header().Del("Content-Type")
		w.WriteHeader(http.StatusNotModified)
	}
	return unchanged
}

// Cause keeps for the log what lies behind an answer.
func Cause(r *http.Request, err error) { exchangeOf(r.Context()).cause = err }

// Broken answers that the service has a defect.
func Broken(w http.ResponseWriter, r *http.Request, err error) {
	p := newProblem(registryv1.ErrorReason_INTERNAL_ERROR.String(), "a defect of the service; its log has the cause under the request id in instance")
	p.cause = err
	writeProblem(w, r, p)
}
