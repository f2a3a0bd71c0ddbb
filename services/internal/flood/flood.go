// Package flood keeps the public from filling a node: so many things come in an hour from one network, and in all.
package flood

import (
	"maps"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/registryv1"
)

// A Gate lets so many things through in an hour, from one network and in all. It
// forgets with the process.
type Gate struct {
	perNetwork int

	mu       sync.Mutex
	all      *rate.Limiter
	networks map[string]*rate.Limiter
}

// New makes a gate.
func New(perNetwork, all int) *Gate {
	return &Gate{perNetwork: perNetwork, all: hourly(all), networks: map[string]*rate.Limiter{}}
}

func hourly(n int) *rate.Limiter {
	return rate.NewLimiter(rate.Limit(float64(n)/time.Hour.Seconds()), n)
}

// Admit counts one thing from a network, or refuses it for a while.
func (g *Gate) Admit(network string, now time.Time) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	// Those that are full again need not be remembered. Others are at most as many
	// as have been let through in the last hour.
	if len(g.networks) > 2*g.all.Burst() {
		maps.DeleteFunc(g.networks, func(_ string, l *rate.Limiter) bool { return l.TokensAt(now) >= float64(l.Burst()) })
	}
	own := g.networks[network]
	if own == nil {
		own = hourly(g.perNetwork)
	}
	if wait := take(own, now); wait > 0 {
		return tooMany("many requests came from this network in the last hour", wait)
	}
	if wait := take(g.all, now); wait > 0 {
		return tooMany("many requests came in the last hour", wait)
	}
	g.networks[network] = own
	return nil
}

// take takes one, or tells how long to wait for it.
func take(l *rate.Limiter, now time.Time) time.Duration {
	if l.AllowN(now, 1) {
		return 0
	}
	reserved := l.ReserveN(now, 1)
	defer reserved.CancelAt(now)
	return reserved.DelayFrom(now)
}

func tooMany(why string, wait time.Duration) error {
	return apierror.New(registryv1.ErrorReason_TOO_MANY_REQUESTS, why+"; wait before the next one, or call the desk", apierror.RetryAfter(wait))
}
