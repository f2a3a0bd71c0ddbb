package edge

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

const (
	corsMethods = "GET, HEAD, POST, PATCH, DELETE"
	corsHeaders = "Accept, Authorization, Cid-Purpose, Content-Type, Idempotency-Key, If-Match, If-None-Match, Range, If-Range, Traceparent"
	corsExposed = "Cid-As-Of, Cid-Coverage, Content-Disposition, Content-Range, ETag, Location, Retry-After, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, X-Request-Id"
)

// Origins lets pages of other sites use the API: those on the list, written as https://host, may read answers and make changes;
// no other page can. With an empty list no header is sent at all. Cookies are never asked for.
func Origins(allowed []string, next http.Handler) (http.Handler, error) {
	protection := http.NewCrossOriginProtection()
	for _, origin := range allowed {
		if err := protection.AddTrustedOrigin(origin); err != nil {
			return nil, fmt.Errorf("allowed origin %q: %w", origin, err)
		}
	}
	protection.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		writeProblem(w, r, newProblem(reasonForeignOrigin, "a page of another site may not make changes here"))
	}))
	protected := protection.Handler(next)
	if len(allowed) == 0 {
		return protected, nil
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Add("Vary", "Origin")
		if origin := r.Header.Get("Origin"); slices.Contains(allowed, origin) {
			header.Set("Access-Control-Allow-Origin", origin)
			header.Set("Access-Control-Expose-Headers", corsExposed)
			if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
				header.Add("Vary", "Access-Control-Request-Method")
				header.Set("Access-Control-Allow-Methods", corsMethods)
				header.Set("Access-Control-Allow-Headers", corsHeaders)
				header.Set("Access-Control-Max-Age", "600")
				w.WriteHeader(http.StatusNoContent)
				return
			}
		}
		protected.ServeHTTP(w, r)
	}), nil
}

// ValidOrigin reports what is wrong with an entry of the list of origins, if anything.
func ValidOrigin(origin string) error {
	if strings.HasSuffix(origin, "/") {
		return fmt.Errorf("allowed origin %q: leave the slash at the end out", origin)
	}
	if err := http.NewCrossOriginProtection().AddTrustedOrigin(origin); err != nil {
		return fmt.Errorf("allowed origin %q: %w", origin, err)
	}
	return nil
}
