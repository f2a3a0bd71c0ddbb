// Package gateway is the HTTP edge of a registry or an ufficio comune: REST, its documentation, and a page to begin with.
package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"path"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"

	"cidsistem.example/gateway/internal/about"
	"cidsistem.example/gateway/internal/administration"
	"cidsistem.example/gateway/internal/apidoc"
	"cidsistem.example/gateway/internal/asking"
	"cidsistem.example/gateway/internal/correcting"
	"cidsistem.example/gateway/internal/deskhome"
	"cidsistem.example/gateway/internal/deskwork"
	"cidsistem.example/gateway/internal/directory"
	"cidsistem.example/gateway/internal/duplicates"
	"cidsistem.example/gateway/internal/edge"
	"cidsistem.example/gateway/internal/editing"
	"cidsistem.example/gateway/internal/guide"
	"cidsistem.example/gateway/internal/importing"
	"cidsistem.example/gateway/internal/library"
	"cidsistem.example/gateway/internal/opendata"
	"cidsistem.example/gateway/internal/pages"
	"cidsistem.example/gateway/internal/rating"
	"cidsistem.example/gateway/internal/shelf"
	"cidsistem.example/gateway/internal/signin"
	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/gateway/internal/verifying"
	"cidsistem.example/gateway/internal/web"
	"cidsistem.example/gateway/internal/workbench"
)

// Limits bound what clients can ask for.
type Limits = edge.Limits

// DefaultLimits suit a federation of a few comuni.
func DefaultLimits() Limits { return edge.DefaultLimits() }

// Identity is who publishes the portal.
type Identity = site.Identity

// Options of a gateway.
type Options struct {
	// Identity of the portal.
	Identity Identity

	// Upstream is the connection to a registry or an ufficio comune. The caller closes it, after the gateway is no longer used.
	Upstream grpc.ClientConnInterface
	// Limits; see DefaultLimits.
	Limits Limits
	// AllowedOrigins are the sites whose pages may use the API, as https://host; empty: only this one.
	AllowedOrigins []string
	// TrustedProxies are believed when they say in X-Forwarded-For where a request comes from.
	TrustedProxies []netip.Prefix
	// Logger; nil: slog.Default().
	Logger *slog.Logger
	// Metrics; nil: none are kept.
	Metrics prometheus.Registerer
}

// A Gateway answers HTTP.
type Gateway struct {
	handler  http.Handler
	api      *edge.API
	upstream grpc.ClientConnInterface
	limits   Limits
}

// New assembles a gateway.
func New(options Options) (*Gateway, error) {
	if options.Upstream == nil {
		return nil, errors.New("gateway: Upstream is needed")
	}
	options.Upstream = editing.Overlay(edge.Timed(options.Upstream))
	if options.Logger == nil {
		options.Logger = slog.Default()
	}
	if options.Metrics == nil {
		options.Metrics = prometheus.NewRegistry()
	}
	metrics, err := edge.NewMetrics(options.Metrics)
	if err != nil {
		return nil, fmt.Errorf("gateway: register metrics: %w", err)
	}
	g := &Gateway{upstream: options.Upstream, limits: options.Limits}
	sessions := edge.NewSessions(options.Upstream)
	if g.api, err = edge.NewAPI(options.Upstream, sessions, options.Limits, metrics); err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	site, err := g.site(options, sessions)
	if err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}

	// From the innermost handler outwards.
	handler := sessions.Identify(g.route(site))
	if handler, err = edge.LimitRate(options.Limits, options.TrustedProxies, metrics, handler); err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	if handler, err = edge.Origins(options.AllowedOrigins, handler); err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	handler = edge.Secure(options.Limits, handler)
	g.handler = edge.Observe(options.Logger, metrics, handler)
	return g, nil
}

// ServeHTTP answers a request.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) { g.handler.ServeHTTP(w, r) }

// Ready returns nil when the registry behind the gateway serves, else what is wrong.
func (g *Gateway) Ready(ctx context.Context) error { return edge.Health(ctx, g.upstream) }

// EndStreams ends all open streams and refuses new ones. A server that shuts down calls it, since streams do not end by themselves.
func (g *Gateway) EndStreams() { g.api.EndStreams() }

// route tells the API from the pages.
func (g *Gateway) route(site http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.Path, "/v1/"):
			g.api.ServeHTTP(w, r)
		case canonical(r.URL.Path):
			site.ServeHTTP(w, r)
		default:
			edge.NotFound(w, r)
		}
	})
}

// canonical tells whether a path is spelt as ours are. The mux would answer others with a redirect, which is no problem document
// and carries a change to another address.
func canonical(p string) bool {
	clean := path.Clean(p)
	return p == clean || clean != "/" && p == clean+"/"
}

// site is everything outside the API.
func (g *Gateway) site(options Options, sessions *edge.Sessions) (http.Handler, error) {
	portal, err := site.New(options.Identity, g.upstream, options.Logger)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	missing := edge.Page("unmatched", portal.NotFound())
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if site.Wants(r) {
			missing.ServeHTTP(w, r)
			return
		}
		edge.NotFound(w, r)
	})
	if err := g.portal(mux, portal); err != nil {
		return nil, err
	}
	mux.Handle("/status", edge.Page("/status", edge.Status(g.Ready)))
	docs := apidoc.Handler()
	mux.Handle("/openapi.json", docs)
	mux.Handle("/docs/", docs)
	all, err := pages.Handlers(portal)
	if err != nil {
		return nil, err
	}
	for pattern, page := range all {
		mux.Handle(pattern, edge.Page(named(pattern), page))
	}
	forms, err := signin.New(portal, g.upstream, sessions)
	if err != nil {
		return nil, err
	}
	for pattern, page := range forms.Handlers() {
		mux.Handle(pattern, edge.Named(named(pattern), page))
	}
	if err := g.workbench(mux, portal, sessions, forms); err != nil {
		return nil, err
	}
	return site.InLanguage(mux), nil
}

// portal adds the pages for the public.
func (g *Gateway) portal(mux *http.ServeMux, portal *site.Site) error {
	files, err := web.Load()
	if err != nil {
		return err
	}
	served, err := files.Handlers()
	if err != nil {
		return err
	}
	for path, file := range served {
		mux.Handle(path, edge.Page(web.Root, file))
	}
	services, err := guide.New(portal, g.upstream)
	if err != nil {
		return err
	}
	people, err := directory.New(portal, g.upstream)
	if err != nil {
		return err
	}
	shelves, err := library.New(portal, g.upstream)
	if err != nil {
		return err
	}
	own, err := about.New(portal, g.upstream)
	if err != nil {
		return err
	}
	data, err := opendata.New(portal, g.upstream)
	if err != nil {
		return err
	}
	for _, handlers := range []map[string]http.Handler{services.Handlers(), people.Handlers(), shelves.Handlers(), own.Handlers(), data.Handlers()} {
		for pattern, page := range handlers {
			mux.Handle(pattern, edge.Page(named(pattern), page))
		}
	}
	questions, err := asking.New(portal, g.upstream)
	if err != nil {
		return err
	}
	ratings, err := rating.New(portal, g.upstream)
	if err != nil {
		return err
	}
	corrections, err := correcting.New(portal, g.upstream)
	if err != nil {
		return err
	}
	for _, handlers := range []map[string]http.Handler{questions.Handlers(), ratings.Handlers(), corrections.Handlers()} {
		for pattern, page := range handlers {
			mux.Handle(pattern, edge.Form(named(pattern), page))
		}
	}
	return nil
}

// workbench adds the pages for operators.
func (g *Gateway) workbench(mux *http.ServeMux, portal *site.Site, sessions *edge.Sessions, forms *signin.Pages) error {
	bench, err := workbench.New(portal, sessions, forms)
	if err != nil {
		return err
	}
	home, err := deskhome.New(portal, g.upstream, bench)
	if err != nil {
		return err
	}
	pairs, err := duplicates.New(portal, g.upstream, bench)
	if err != nil {
		return err
	}
	keepers, err := administration.New(portal, g.upstream, bench)
	if err != nil {
		return err
	}
	requests, err := deskwork.New(portal, g.upstream, bench)
	if err != nil {
		return err
	}
	checks, err := verifying.New(portal, g.upstream, bench)
	if err != nil {
		return err
	}
	records, err := editing.New(portal, g.upstream, bench, mux, g.limits.FileBytes)
	if err != nil {
		return err
	}
	lists, err := shelf.New(portal, g.upstream, bench)
	if err != nil {
		return err
	}
	for _, handlers := range []map[string]http.Handler{home.Handlers(), lists.Handlers(), requests.Handlers(), keepers.Handlers(), pairs.Handlers(), checks.Handlers()} {
		for pattern, page := range handlers {
			mux.Handle(pattern, edge.Form(named(pattern), page))
		}
	}
	imports, err := importing.New(portal, g.upstream, bench, g.limits.FileBytes)
	if err != nil {
		return err
	}
	imports.Mount(mux.Handle)
	records.Mount(mux.Handle)
	return nil
}

// named is how logs and metrics call what a pattern matches.
func named(pattern string) string {
	pattern = strings.TrimSuffix(pattern, "{$}")
	return strings.TrimSuffix(pattern, "{reason}")
}

// NewServer makes the HTTP server of a gateway, with the limits that only a server can keep. Its Shutdown ends streams too.
func NewServer(g *Gateway) *http.Server {
	server := &http.Server{
		Handler:           g,
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
	}
	server.RegisterOnShutdown(g.EndStreams)
	return server
}
