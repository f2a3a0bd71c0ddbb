package edge

import (
	"net/http"
	"strconv"
)

// pagePolicy is the content security policy of everything that does not set its own: only what this site serves.
const pagePolicy = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"

// Secure sets the security headers of every answer, and refuses addresses that are too long to be meant well.
func Secure(limits Limits, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", pagePolicy)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("Cross-Origin-Opener-Policy", "same-origin")
		header.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
		if r.TLS != nil {
			header.Set("Strict-Transport-Security", "max-age=31536000")
		}
		if len(r.RequestURI) > limits.AddressBytes {
			writeProblem(w, r, newProblem(reasonAddressTooLong, "the address is longer than "+strconv.Itoa(limits.AddressBytes)+" bytes"))
			return
		}
		next.ServeHTTP(w, r)
	})
}
