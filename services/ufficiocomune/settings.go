package ufficiocomune

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"cidsistem.example/proto/catalog"
	"cidsistem.example/services/internal/backups"
	"cidsistem.example/services/internal/store"
	"cidsistem.example/services/internal/trust"
	"cidsistem.example/services/platform/config"
	"cidsistem.example/services/platform/identity"
)

// Settings of an ufficio comune, read from its YAML file.
type Settings struct {
	// ID names the office in the federation, for example "cid-trapani".
	ID string `yaml:"id" env:"CID_UFFICIO"`
	// DataDir holds everything that the office keeps: its copies can be taken
	// anew at any time.
	DataDir string `yaml:"data_dir" env:"CID_DATA_DIR"`
	// Listen is the address of the gRPC server, HOST:PORT.
	Listen string `yaml:"listen" env:"CID_GRPC_ADDR"`
	// Admin is the address of health, metrics and profiles, HOST:PORT; empty: none.
	Admin string `yaml:"admin" env:"CID_ADMIN_ADDR"`
	// TLS are the office's certificate, key and authority.
	TLS identity.Files `yaml:"tls"`
	// MaxBytes bounds the data file; 0 means no bound.
	MaxBytes int `yaml:"max_bytes"`
	// Retention says what of the office's own feed is kept.
	Retention struct {
		Revisions int64           `yaml:"revisions"`
		Age       config.Duration `yaml:"age"`
	} `yaml:"retention"`
	// Members are the servers that the office federates.
	Members []Member `yaml:"members"`
	// Backups are the settings of the backups that the server takes.
	Backups backups.Settings `yaml:"backups"`
	// People are the settings about accounts and local data.
	People trust.Settings `yaml:"people"`
	// Log says how much is logged, and how.
	Log struct {
		Level  string `yaml:"level" env:"CID_LOG_LEVEL"`
		Format string `yaml:"format" env:"CID_LOG_FORMAT"`
	} `yaml:"log"`
}

// A Member of the federation: a comune's node, or an ufficio comune below.
type Member struct {
	// ID names the member, as its own settings do.
	ID string `yaml:"id"`
	// Address of its gRPC server, HOST:PORT.
	Address string `yaml:"address"`
	// Identity is its SPIFFE ID, for example
	// "spiffe://cidsistem.example/comune/marsala".
	Identity string `yaml:"identity"`
	// Comuni that it answers for, by slug. A comune's node answers for itself; an
	// ufficio comune that does not say answers for what it offers and no other
	// member has.
	Comuni []string `yaml:"comuni,omitempty"`
}

// Defaults are the settings that a file need not name.
func Defaults() *Settings {
	s := &Settings{DataDir: "/var/lib/cid-ufficio", Listen: "127.0.0.1:7200"}
	s.Retention.Revisions = 100_000
	s.Retention.Age = config.Duration(30 * 24 * time.Hour)
	s.Log.Level, s.Log.Format = "info", "json"
	return s
}

// Validate tells what is missing or wrong.
func (s *Settings) Validate() error {
	var problems []error
	if !catalog.ValidID(s.ID) {
		problems = append(problems, fmt.Errorf("id: %q is not an id such as cid-trapani", s.ID))
	}
	if s.DataDir == "" {
		problems = append(problems, errors.New("data_dir: the folder for the data is missing"))
	}
	if s.Retention.Revisions < 1 || s.Retention.Age < 0 {
		problems = append(problems, errors.New("retention must not be negative"))
	}
	if err := s.Backups.Validate(); err != nil {
		problems = append(problems, fmt.Errorf("backups: %w", err))
	}
	ids, holders := map[string]bool{}, map[string]string{}
	for i, m := range s.Members {
		if err := m.validate(); err != nil {
			problems = append(problems, fmt.Errorf("members[%d]: %w", i, err))
			continue
		}
		if ids[m.ID] || m.ID == s.ID {
			problems = append(problems, fmt.Errorf("members[%d].id: %s is there already", i, m.ID))
		}
		ids[m.ID] = true
		for _, comune := range m.scope().Comuni {
			if other, taken := holders[comune]; taken {
				problems = append(problems, fmt.Errorf("members[%d].comuni: %s is already with %s", i, comune, other))
			}
			holders[comune] = m.ID
		}
	}
	return errors.Join(problems...)
}

func (m Member) validate() error {
	id, err := identity.ParseID(m.Identity)
	switch {
	case !catalog.ValidID(m.ID):
		return fmt.Errorf("id: %q is not an id such as marsala", m.ID)
	case m.Address == "":
		return errors.New("address: HOST:PORT is missing")
	case err != nil:
		return fmt.Errorf("identity: %w", err)
	case id.Role == identity.RoleComune && len(m.Comuni) > 0 && !slices.Equal(m.Comuni, []string{id.Name}):
		return fmt.Errorf("comuni: the node of %s answers for itself alone", id.Name)
	}
	for _, comune := range m.Comuni {
		if !catalog.ValidID(comune) {
			return fmt.Errorf("comuni: %q is not a slug", comune)
		}
	}
	return nil
}

// scope says which comuni the copy of a member may hold: never one that another
// member answers for by name.
func (s *Settings) scope(m Member) store.Scope {
	scope := m.scope()
	if len(scope.Comuni) > 0 {
		return scope
	}
	for _, other := range s.Members {
		scope.Except = append(scope.Except, other.scope().Comuni...)
	}
	slices.Sort(scope.Except)
	return scope
}

// scope has the comuni that the member answers for by name.
func (m Member) scope() store.Scope {
	if id, err := identity.ParseID(m.Identity); err == nil && id.Role == identity.RoleComune {
		return store.Scope{Comuni: []string{id.Name}}
	}
	return store.Scope{Comuni: m.Comuni}
}
