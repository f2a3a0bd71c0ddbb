package edge

import (
	"net/http"
	"strings"
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

// Document answers with bytes that are the same as long as the process lives.
func Document(mediaType string, body []byte) http.Handler {
	etag := strings.TrimPrefix(weakTag(body), "W/")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("ETag", etag)
		header.Set("Cache-Control", "public, max-age=0, must-revalidate")
		if known, unchanged := noneMatch(r.Header.Values("If-None-Match"), etag); unchanged {
			header.Set("ETag", known)
			w.WriteHeader(http.StatusNotModified)
			return
		}
		header.Set("Content-Type", mediaType)
		write(w, http.StatusOK, body)
	})
}
