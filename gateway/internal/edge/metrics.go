package edge

import (
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics of the edge. Labels come from closed sets: the routes of the contract and the names of pages, known HTTP methods, status
// codes.
type Metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	inFlight prometheus.Gauge
	streams  prometheus.Gauge
	limited  prometheus.Counter
}

// NewMetrics makes the metrics and registers them. Two gateways in one process need a registry each.
func NewMetrics(registry prometheus.Registerer) (*Metrics, error) {
	m := &Metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "cid_http_requests_total",
			Help: "HTTP requests answered, by route, method and status code.",
		}, []string{"route", "method", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "cid_http_request_seconds",
			Help:    "Time from the headers of a request to the end of its answer, by route and method; of a stream, its length.",
			Buckets: []float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10},
		}, []string{"route", "method"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "cid_http_requests_in_flight",
			Help: "HTTP requests being answered, streams too.",
		}),
		streams: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "cid_http_streams_open",
			Help: "Streams being sent.",
		}),
		limited: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "cid_http_rate_limited_total",
			Help: "Requests refused because their address had made too many.",
		}),
	}
	for _, c := range []prometheus.Collector{m.requests, m.seconds, m.inFlight, m.streams, m.limited} {
		if err := registry.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *Metrics) observe(route, method string, code int, took time.Duration) {
	method = methodLabel(method)
	m.requests.WithLabelValues(route, method, strconv.Itoa(code)).Inc()
	m.seconds.WithLabelValues(route, method).Observe(took.Seconds())
}

// methodLabel keeps invented methods out of logs and metrics.
func methodLabel(method string) string {
	known := []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions}
	if slices.Contains(known, method) {
		return method
	}
	return "other"
}
