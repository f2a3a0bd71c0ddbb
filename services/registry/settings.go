package registry

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"

	"cidsistem.example/proto/catalog"
	"cidsistem.example/services/internal/backups"
	"cidsistem.example/services/internal/desk"
	"cidsistem.example/services/internal/editorial"
	"cidsistem.example/services/internal/mail"
	"cidsistem.example/services/internal/trust"
	"cidsistem.example/services/platform/config"
	"cidsistem.example/services/platform/identity"
)

// Settings of a comune's node, read from its YAML file.
type Settings struct {
	// Comune is what the node owns.
	Comune Comune `yaml:"comune"`
	// DataDir holds everything that the node keeps: registry.db, files, search.
	DataDir string `yaml:"data_dir" env:"CID_DATA_DIR"`
	// Listen is the address of the gRPC server, HOST:PORT.
	Listen string `yaml:"listen" env:"CID_GRPC_ADDR"`
	// Admin is the address of health, metrics and profiles, HOST:PORT; empty: none.
	Admin string `yaml:"admin" env:"CID_ADMIN_ADDR"`
	// TLS are the node's certificate, key and authority.
	TLS identity.Files `yaml:"tls"`
	// MaxBytes bounds the data file; 0 means no bound.
	MaxBytes int `yaml:"max_bytes"`
	// Retention says what of the feed is kept: a revision goes when it is beyond
	// both.
	Retention struct {
		Revisions int64           `yaml:"revisions"`
		Age       config.Duration `yaml:"age"`
	} `yaml:"retention"`
	// PurgeAfter is for how long a deleted record can be undeleted.
	PurgeAfter config.Duration `yaml:"purge_after"`
	// Backups are the settings of the backups that the server takes.
	Backups backups.Settings `yaml:"backups"`
	// People are the settings about accounts and local data.
	People trust.Settings `yaml:"people"`
	// Desk are the settings of the desk.
	Desk desk.Settings `yaml:"desk"`
	// Peers are the nodes of other comuni by slug, HOST:PORT, to which the desk hands
	// requests over; their certificates say that they are.
	Peers map[string]string `yaml:"peers"`
	// Mail is the mail server to which messages are handed; nil: they wait.
	Mail *mail.Settings `yaml:"mail"`
	// Editorial are the settings of the editorial office.
	Editorial editorial.Settings `yaml:"editorial"`
	// PortalURL is where people read the comune's pages, "https://…": messages have
	// links to it. Empty: no links are sent.
	PortalURL string `yaml:"portal_url" env:"CID_PORTAL_URL"`
	// Log says how much is logged, and how.
	Log Log `yaml:"log"`
}

// Log settings.
type Log struct {
	// Level is debug, info, warn or error.
	Level string `yaml:"level" env:"CID_LOG_LEVEL"`
	// Format is json or text.
	Format string `yaml:"format" env:"CID_LOG_FORMAT"`
}

// Comune names the owner of a node.
type Comune struct {
	// ID is its slug in names, for example "mazara-del-vallo".
	ID string `yaml:"id" env:"CID_COMUNE"`
	// Title is its name, for example "Mazara del Vallo".
	Title string `yaml:"title"`
	// IstatCode has six digits.
	IstatCode string `yaml:"istat_code"`
}

// Defaults are the settings that a file need not name.
func Defaults() *Settings {
	s := &Settings{
		DataDir: "/var/lib/cid-sistem",
		Listen:  "127.0.0.1:7100",
		Log:     Log{Level: "info", Format: "json"},
	}
	s.Retention.Revisions = 100_000
	s.Retention.Age = config.Duration(30 * 24 * time.Hour)
	s.PurgeAfter = config.Duration(30 * 24 * time.Hour)
	s.Desk = desk.DefaultSettings()
	return s
}

// Validate tells what is missing or wrong.
func (s *Settings) Validate() error {
	var problems []error
	if !catalog.ValidID(s.Comune.ID) {
		problems = append(problems, fmt.Errorf("comune.id: %q is not a slug such as mazara-del-vallo", s.Comune.ID))
	}
	if s.Comune.Title == "" {
		problems = append(problems, errors.New("comune.title: the name of the comune is missing"))
	}
	if len(s.Comune.IstatCode) != 6 {
		problems = append(problems, fmt.Errorf("comune.istat_code: %q is not six digits", s.Comune.IstatCode))
	}
	if s.DataDir == "" {
		problems = append(problems, errors.New("data_dir: the folder for the data is missing"))
	}
	if s.Retention.Revisions < 1 || s.Retention.Age < 0 || s.PurgeAfter < 0 {
		problems = append(problems, errors.New("retention and purge_after must not be negative"))
	}
	if at, err := url.Parse(s.PortalURL); err != nil || s.PortalURL != "" && (at.Host == "" || at.Scheme != "https" && at.Scheme != "http") {
		problems = append(problems, fmt.Errorf("portal_url: %q is not the address of a site such as https://cid.example.it", s.PortalURL))
	}
	if err := s.Desk.Validate(); err != nil {
		problems = append(problems, fmt.Errorf("desk: %w", err))
	}
	for comune, address := range s.Peers {
		if _, _, err := net.SplitHostPort(address); err != nil || !catalog.ValidID(comune) || comune == s.Comune.ID {
			problems = append(problems, fmt.Errorf("peers: %q: %q is not the slug of another comune with HOST:PORT of its node", comune, address))
		}
	}
	if s.Mail != nil {
		if err := s.Mail.Validate(); err != nil {
			problems = append(problems, fmt.Errorf("mail: %w", err))
		}
	}
	if err := s.Backups.Validate(); err != nil {
		problems = append(problems, fmt.Errorf("backups: %w", err))
	}
	return errors.Join(problems...)
}
