package main

import (
	"errors"
	"fmt"
	"net/netip"

	"cidsistem.example/gateway"
	"cidsistem.example/gateway/internal/edge"
	"cidsistem.example/services/platform/config"
	"cidsistem.example/services/platform/identity"
)

// Settings of the gateway, read from its YAML file.
type Settings struct {
	// Listen is the address of the HTTP server, HOST:PORT.
	Listen string `yaml:"listen" env:"CID_HTTP_ADDR"`
	// Admin is the address of health, metrics and profiles, HOST:PORT; empty: none.
	Admin string `yaml:"admin" env:"CID_ADMIN_ADDR"`
	// HTTPS are certificate and key of the HTTP server, PEM; both empty: plain HTTP.
	HTTPS struct {
		Cert string `yaml:"cert" env:"CID_HTTP_CERT"`
		Key  string `yaml:"key" env:"CID_HTTP_KEY"`
	} `yaml:"https"`
	// Upstream is the registry or ufficio comune behind the gateway.
	Upstream Upstream `yaml:"upstream"`
	// TLS are the gateway's own certificate, key and authority, shown to the upstream.
	TLS identity.Files `yaml:"tls"`
	// Portal says who publishes the portal.
	Portal Portal `yaml:"portal"`
	// AllowedOrigins are sites whose pages may use the API, as https://host.
	AllowedOrigins []string `yaml:"allowed_origins"`
	// TrustedProxies are networks whose X-Forwarded-For is believed, as 10.0.0.0/8.
	TrustedProxies []netip.Prefix `yaml:"trusted_proxies"`
	// Limits bound what clients can ask for.
	Limits Limits `yaml:"limits"`
	// Log says how much is logged, and how.
	Log struct {
		// Level is debug, info, warn or error.
		Level string `yaml:"level" env:"CID_LOG_LEVEL"`
		// Format is json or text.
		Format string `yaml:"format" env:"CID_LOG_FORMAT"`
	} `yaml:"log"`
}

// Upstream says where the registry is and who it must be.
type Upstream struct {
	// Address of its gRPC server: HOST:PORT or unix:PATH.
	Address string `yaml:"address" env:"CID_UPSTREAM_ADDR"`
	// Identity is its SPIFFE ID, for example "spiffe://cidsistem.example/ufficio/cid-trapani".
	Identity string `yaml:"identity" env:"CID_UPSTREAM_ID"`
	// Insecure speaks plain text, which only a Unix socket and loopback allow.
	Insecure bool `yaml:"insecure" env:"CID_UPSTREAM_INSECURE"`
}

// Portal says who publishes the portal.
type Portal struct {
	// Name of the portal; empty: that of its comune, else "CID SISTEM".
	Name string `yaml:"name" env:"CID_PORTAL_NAME"`
	// Owner is the body that answers for the portal; empty: "I comuni della rete CID".
	Owner string `yaml:"owner" env:"CID_PORTAL_OWNER"`
	// Email of the owner, for accessibility and privacy; empty: the contacts of the comuni are shown.
	Email string `yaml:"email" env:"CID_PORTAL_EMAIL"`
	// BaseURL is https://host without a slash at the end, for feeds, printed addresses and search engines; empty: the host that each
	// request names.
	BaseURL string `yaml:"base_url" env:"CID_PORTAL_URL"`
}

// Limits as they are written in the file.
type Limits struct {
	// BodyBytes of a JSON request.
	BodyBytes int64 `yaml:"body_bytes"`
	// FileBytes of an uploaded file.
	FileBytes int64 `yaml:"file_bytes"`
	// Timeout of a request; the deadline goes upstream too.
	Timeout config.Duration `yaml:"timeout"`
	// FileTimeout of an upload or a download.
	FileTimeout config.Duration `yaml:"file_timeout"`
	// Streams that are open at the same time.
	Streams int `yaml:"streams"`
	// Rate is how many requests per second one client address may make in the long run; 0 switches the limit off.
	Rate float64 `yaml:"rate"`
	// Burst is how many it may make at once.
	Burst int `yaml:"burst"`
}

// Defaults are the settings that a file need not name.
func Defaults() *Settings {
	limits := gateway.DefaultLimits()
	s := &Settings{
		Listen:   "127.0.0.1:8080",
		Upstream: Upstream{Address: "127.0.0.1:7200"},
		Limits: Limits{
			BodyBytes:   limits.BodyBytes,
			FileBytes:   limits.FileBytes,
			Timeout:     config.Duration(limits.Timeout),
			FileTimeout: config.Duration(limits.FileTimeout),
			Streams:     limits.Streams,
			Rate:        limits.Rate,
			Burst:       limits.Burst,
		},
	}
	s.Log.Level, s.Log.Format = "info", "json"
	return s
}

// Validate tells what is missing or wrong.
func (s *Settings) Validate() error {
	var problems []error
	if s.Listen == "" {
		problems = append(problems, errors.New("listen: the address of the HTTP server is missing"))
	}
	if (s.HTTPS.Cert == "") != (s.HTTPS.Key == "") {
		problems = append(problems, errors.New("https: cert and key go together"))
	}
	if s.Upstream.Address == "" {
		problems = append(problems, errors.New("upstream.address: the registry's address is missing"))
	}
	if !s.Upstream.Insecure {
		if _, err := identity.ParseID(s.Upstream.Identity); err != nil {
			problems = append(problems, fmt.Errorf("upstream.identity: %w", err))
		}
	}
	if s.Portal.BaseURL != "" {
		if err := edge.ValidOrigin(s.Portal.BaseURL); err != nil {
			problems = append(problems, fmt.Errorf("portal.base_url: %w", err))
		}
	}
	for _, origin := range s.AllowedOrigins {
		if err := edge.ValidOrigin(origin); err != nil {
			problems = append(problems, fmt.Errorf("allowed_origins: %w", err))
		}
	}
	l := s.Limits
	if l.BodyBytes < 1 || l.FileBytes < 1 || l.Timeout <= 0 || l.FileTimeout <= 0 || l.Streams < 0 || l.Rate < 0 {
		problems = append(problems, errors.New("limits: bytes and timeouts must be positive, streams and rate not negative"))
	}
	if l.Rate > 0 && l.Burst < 1 {
		problems = append(problems, errors.New("limits.burst: must be at least 1 when there is a rate"))
	}
	return errors.Join(problems...)
}
