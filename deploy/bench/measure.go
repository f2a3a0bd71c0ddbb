package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"
)

const (
	// maxOperations bounds what one client does in one measurement.
	maxOperations = 1_000_000
	// grace is how long after a measurement its last operations may take.
	grace = 30 * time.Second
)

// A target is something that can be asked the same thing over and over.
type target struct {
	// name in the table.
	name string
	// processes that work for it; none: the generator itself.
	processes []int
	// client makes one client, which asks its number-th question; stop may be nil.
	// A client is used by one goroutine.
	client func(ctx context.Context) (ask func(number int) error, stop func(), err error)
	// against names the target, of the same comparison, that this one is held
	// against; empty: none.
	against []string
}

// A run is what one measurement of a target found.
type run struct {
	perSecond    float64
	p50, p99     time.Duration
	serversCPU   time.Duration // for one operation
	generatorCPU time.Duration
}

// measure lets clients ask a target, each its next question as soon as the last
// one was answered, for the given time.
func measure(ctx context.Context, t target, clients int, duration time.Duration) (run, error) {
	ctx, cancel := context.WithTimeout(ctx, duration+duration/10+grace)
	defer cancel()
	asks := make([]func(int) error, clients)
	for i := range clients {
		ask, stop, err := t.client(ctx)
		if err != nil {
			return run{}, fmt.Errorf("%s: %w", t.name, err)
		}
		if stop != nil {
			defer stop()
		}
		asks[i] = ask
	}
	// The warm-up fills caches and opens connections, and is not counted.
	first, _, err := askAll(ctx, asks, 0, duration/10)
	if err != nil {
		return run{}, fmt.Errorf("%s: %w", t.name, err)
	}
	serversBefore, generatorBefore, err := cpus(t)
	if err != nil {
		return run{}, err
	}
	began := time.Now()
	_, latencies, err := askAll(ctx, asks, first, duration)
	took := time.Since(began)
	if err != nil {
		return run{}, fmt.Errorf("%s: %w", t.name, err)
	}
	servers, generator, err := cpus(t)
	if err != nil {
		return run{}, err
	}
	slices.Sort(latencies)
	n := time.Duration(max(len(latencies), 1))
	return run{
		perSecond: float64(len(latencies)) / took.Seconds(),
		p50:       percentile(latencies, 0.5), p99: percentile(latencies, 0.99),
		serversCPU: (servers - serversBefore) / n, generatorCPU: (generator - generatorBefore) / n,
	}, nil
}

func cpus(t target) (servers, generator time.Duration, err error) {
	servers, err = cpuOf(t.processes)
	own, ownErr := cpuOf([]int{os.Getpid()})
	return servers, own, errors.Join(err, ownErr)
}

// askAll runs the clients for a time. Questions are numbered from first on, and
// no two clients get the same number.
func askAll(ctx context.Context, asks []func(int) error, first int, duration time.Duration) (next int, latencies []time.Duration, err error) {
	var mu sync.Mutex
	var wait sync.WaitGroup
	until := time.Now().Add(duration)
	next = first
	for client, ask := range asks {
		wait.Go(func() {
			mine := make([]time.Duration, 0, 1<<14)
			number := first + client
			var failed error
			for now := time.Now(); now.Before(until) && len(mine) < maxOperations && failed == nil; number += len(asks) {
				failed = errors.Join(ctx.Err(), ask(number))
				answered := time.Now()
				mine = append(mine, answered.Sub(now))
				now = answered
			}
			mu.Lock()
			defer mu.Unlock()
			latencies = append(latencies, mine...)
			next = max(next, number)
			if err == nil {
				err = failed
			}
		})
	}
	wait.Wait()
	return next, latencies, err
}

// A comparison measures several targets in turn, run by run, so that what else
// happens on the machine falls on all of them.
type comparison struct {
	targets []target
	// clients at the same time: one series for each number.
	clients  []int
	runs     int
	duration time.Duration
}

// results of a comparison: by target, by number of clients, run by run.
type results map[string]map[int][]run

func (c comparison) measure(ctx context.Context, progress *progress) (results, error) {
	found := results{}
	for number := range c.runs {
		for _, t := range c.targets {
			if found[t.name] == nil {
				found[t.name] = map[int][]run{}
			}
			for _, clients := range c.clients {
				r, err := measure(ctx, t, clients, c.duration)
				if err != nil {
					return nil, err
				}
				found[t.name][clients] = append(found[t.name][clients], r)
				progress.say("run %d of %d: %s, %d at a time: %.0f/s, p50 %s, p99 %s",
					number+1, c.runs, t.name, clients, r.perSecond, milliseconds(r.p50), milliseconds(r.p99))
			}
		}
	}
	return found, nil
}

// ratio is the median of the ratios of two series, run by run.
func ratio(these, those []run, of func(run) float64) float64 {
	var all []float64
	for i := range min(len(these), len(those)) {
		if d := of(those[i]); d > 0 {
			all = append(all, of(these[i])/d)
		}
	}
	return median(all)
}

func medianOf[T ~int64 | ~float64](runs []run, of func(run) T) T {
	var all []T
	for _, r := range runs {
		all = append(all, of(r))
	}
	return median(all)
}
