// Package edge decides what HTTP means for the contract: routes, conditions, limits, streams, files and errors. The services behind
// it know nothing of HTTP.
package edge

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc"

	"cidsistem.example/proto/gen/identityv1"
	"cidsistem.example/proto/gen/registryv1"
)

// An API answers the paths of the contract, all below /v1/.
type API struct {
	routes   routes
	mux      *runtime.ServeMux
	upstream upstream
	files    registryv1.FileServiceClient
	sessions *Sessions
	limits   Limits
	metrics  *Metrics

	unary   http.Handler // compressed
	streams chan struct{}
	ending  chan struct{}
	endOnce sync.Once
}

// NewAPI makes the API over a connection to a node or an ufficio comune.
func NewAPI(conn grpc.ClientConnInterface, sessions *Sessions, limits Limits, metrics *Metrics) (*API, error) {
	all, err := newRoutes(services)
	if err != nil {
		return nil, err
	}
	a := &API{
		routes:   all,
		mux:      newMux(),
		upstream: upstream{conn},
		files:    registryv1.NewFileServiceClient(upstream{conn}),
		sessions: sessions,
		limits:   limits,
		metrics:  metrics,
		streams:  make(chan struct{}, limits.Streams),
		ending:   make(chan struct{}),
	}
	for _, s := range services {
		if err := s.register(context.Background(), a.mux, a.upstream); err != nil {
			return nil, err
		}
	}
	a.unary = Compress(http.HandlerFunc(a.serveUnary))
	return a, nil
}

// EndStreams ends all open streams and refuses new ones, so that a server can shut down.
func (a *API) EndStreams() { a.endOnce.Do(func() { close(a.ending) }) }

// ServeHTTP finds the route of a request and answers it.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path, ok := parsePath(r.URL.EscapedPath())
	if !ok {
		writeProblem(w, r, newProblem(reasonNoSuchPath, "there is nothing at this address"))
		return
	}
	rt, variables := a.routes.find(r.Method, path)
	if rt == nil {
		a.serveUnrouted(w, r, path)
		return
	}
	exchangeOf(r.Context()).route = rt.pattern
	c, err := newCall(r, rt, variables)
	if err == nil {
		err = rt.readQuery(r.URL.RawQuery, rt.input.New().Interface())
	}
	if err != nil {
		a.fail(w, r, &call{route: rt}, err)
		return
	}
	r = r.WithContext(withCall(r.Context(), c))
	switch rt.answer {
	case answerStream:
		a.serveStream(w, r)
	case answerDownload:
		a.serveDownload(w, r)
	case answerUpload:
		a.serveUpload(w, r)
	default:
		a.unary.ServeHTTP(w, r)
	}
}

// serveUnrouted answers a request that no route takes: 404, 405, or what OPTIONS asks.
func (a *API) serveUnrouted(w http.ResponseWriter, r *http.Request, path requestPath) {
	allowed := a.routes.allowed(path)
	if allowed == nil {
		writeProblem(w, r, newProblem(reasonNoSuchPath, "there is nothing at this address"))
		return
	}
	if r.Method == http.MethodOptions {
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		w.WriteHeader(http.StatusNoContent)
		return
	}
	writeProblem(w, r, methodNotAllowed(r, allowed))
}

func methodNotAllowed(r *http.Request, allowed []string) *problem {
	list := strings.Join(allowed, ", ")
	p := newProblem(reasonMethodNotAllowed, shown(r.Method)+" is not possible here; there are "+list)
	p.header.Set("Allow", list)
	return p
}

// fail answers with the problem of an error, unless the call ended because the client has gone and nobody listens.
func (a *API) fail(w http.ResponseWriter, r *http.Request, c *call, err error) {
	// The server ends the context also when a body does not arrive in time; that client is still there, and what is wrong with a
	// request is a problem already.
	if _, decided := errors.AsType[*problem](err); !decided && r.Context().Err() != nil {
		exchangeOf(r.Context()).reason = "CLIENT_GONE"
		w.WriteHeader(statusClientGone)
		return
	}
	writeProblem(w, r, c.failed(err))
}

// statusClientGone is what logs and metrics show of a request whose client did not wait; nobody receives it.
const statusClientGone = 499

// serveUnary answers a request with one JSON document.
func (a *API) serveUnary(w http.ResponseWriter, r *http.Request) {
	c := callOf(r.Context())
	answer, err := a.callUnary(w, r, c)
	allowWriting(w)
	if err != nil {
		a.fail(w, r, c, err)
		return
	}
	if c.session != nil {
		a.sessions.Begin(w, c.session)
	}
	if c.route.grpcMethod == identityv1.SessionService_SignOut_FullMethodName && exchangeOf(r.Context()).cookie {
		a.sessions.forget(r)
		clearSession(w)
	}
	c.finish(w, r, answer)
}

// callUnary lets the generated handler make the call, and returns the JSON and the headers that it answered with.
func (a *API) callUnary(w http.ResponseWriter, r *http.Request, c *call) (*answer, error) {
	if _, err := chooseType(r, typeJSON); err != nil {
		return nil, err
	}
	if err := checkMediaType(r); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), a.limits.Timeout)
	defer cancel()
	var body []byte
	if hasBody(r) {
		var err error
		if body, err = readBody(w, r, a.limits.BodyBytes, a.limits.Timeout); err != nil {
			return nil, err
		}
	}
	if err := c.checkBody(body); err != nil {
		return nil, err
	}
	inner := r.Clone(ctx)
	inner.Header = http.Header{"Content-Type": {typeJSON}} // the rest has been dealt with
	inner.Body = io.NopCloser(bytes.NewReader(body))
	inner.ContentLength = int64(len(body))
	if r.Method == http.MethodHead {
		inner.Method = http.MethodGet
	}
	got := &answer{header: http.Header{}}
	a.mux.ServeHTTP(got, inner)
	if c.err == nil && c.reply == nil {
		c.err = errors.New("the generated handlers do not know the route " + c.route.pattern)
	}
	return got, c.err
}
