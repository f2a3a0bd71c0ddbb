package edge

import (
	"fmt"
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"

	"cidsistem.example/proto/gen/registryv1"
)

// LimitRate lets each client address make requests at the rate of the limits, and says in headers how much of it is left. The
// table of addresses is bounded; who has not been seen for longest is forgotten, and begins anew with a full allowance.
func LimitRate(limits Limits, proxies []netip.Prefix, metrics *Metrics, next http.Handler) (http.Handler, error) {
	if limits.Rate == 0 {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			exchangeOf(r.Context()).client = network(clientAddress(r, proxies)).String()
			next.ServeHTTP(w, r)
		}), nil
	}
	clients, err := lru.New[netip.Prefix, *rate.Limiter](limits.Clients)
	if err != nil {
		return nil, fmt.Errorf("rate limit: %w", err)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		client := network(clientAddress(r, proxies))
		exchangeOf(r.Context()).client = client.String()
		allowance, known := clients.Get(client)
		if !known {
			allowance = rate.NewLimiter(rate.Limit(limits.Rate), limits.Burst)
			if first, raced, _ := clients.PeekOrAdd(client, allowance); raced {
				allowance = first
			}
		}
		now := time.Now()
		allowed := allowance.AllowN(now, 1)
		left := allowance.TokensAt(now)
		header := w.Header()
		header.Set("X-RateLimit-Limit", strconv.Itoa(limits.Burst))
		header.Set("X-RateLimit-Remaining", strconv.Itoa(max(0, int(left))))
		header.Set("X-RateLimit-Reset", strconv.Itoa(int(math.Ceil((float64(limits.Burst)-left)/limits.Rate))))
		if !allowed {
			metrics.limited.Inc()
			p := newProblem(registryv1.ErrorReason_TOO_MANY_REQUESTS.String(), "there were too many requests from this address; wait as long as Retry-After says")
			p.retryAfter(time.Duration((1 - left) / limits.Rate * float64(time.Second)))
			writeProblem(w, r, p)
			return
		}
		next.ServeHTTP(w, r)
	}), nil
}
