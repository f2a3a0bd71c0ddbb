// Package trust puts together what a server needs to know whom it deals with:
// the vault of its local data, the accounts of its people, the policy, the audit
// log, and the guard before every call.
package trust

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"cidsistem.example/proto/gen/auditv1"
	"cidsistem.example/services/internal/accounts"
	"cidsistem.example/services/internal/audit"
	"cidsistem.example/services/internal/policy"
	"cidsistem.example/services/internal/rpc"
	"cidsistem.example/services/internal/store"
	"cidsistem.example/services/internal/tokens"
	"cidsistem.example/services/internal/vault"
	"cidsistem.example/services/platform/lifecycle"
)

// Settings of a server about its people.
type Settings struct {
	// KeyFile holds the master key of the local data; empty: master.key in the data
	// folder. It belongs into another backup than the data.
	KeyFile string `yaml:"key_file" env:"CID_KEY_FILE"`
	// Passkeys say for which site passkeys are made; empty: there are none.
	Passkeys accounts.RelyingParty `yaml:"passkeys"`
	// OIDC is an issuer at which people sign in, such as the comune's proxy of SPID
	// and CIE; nil: there is none.
	OIDC *accounts.OIDC `yaml:"oidc"`
}

// KeyPath is where the master key of a server is.
func (s Settings) KeyPath(dataDir string) string {
	return cmp.Or(s.KeyFile, filepath.Join(dataDir, "master.key"))
}

// Options of Open.
type Options struct {
	// Settings from the file.
	Settings Settings
	// DataDir is the folder of the server's data.
	DataDir string
	// Store of the server.
	Store *store.Store
	// Logger gets no personal data.
	Logger *slog.Logger
}

// Trust is what a server knows of people.
type Trust struct {
	Vault    *vault.Vault
	Verifier *tokens.Verifier
	Policy   *policy.Policy
	Audit    *audit.Recorder
	Guard    *rpc.Guard
	Accounts *accounts.Accounts

	store *store.Store
}

// Open opens all of it for a server.
func Open(ctx context.Context, options Options) (*Trust, error) {
	t := &Trust{store: options.Store, Verifier: tokens.NewVerifier(options.Store.ServerID(), options.Store.Now)}
	var err error
	if t.Vault, err = vault.Open(ctx, options.Store, options.Settings.KeyPath(options.DataDir)); err != nil {
		return nil, err
	}
	if t.Policy, err = policy.New(options.Store.ServerID(), options.Store.Comune(), t.Verifier); err != nil {
		return nil, fmt.Errorf("read who may call what: %w", err)
	}
	t.Audit = audit.NewRecorder(options.Store, t.sign, options.Logger)
	if t.Guard, err = rpc.NewGuard(t.Policy, t.Audit, options.Logger); err != nil {
		return nil, fmt.Errorf("compile the rules of the contract: %w", err)
	}
	t.Accounts, err = accounts.Open(ctx, accounts.Options{
		Store: options.Store, Vault: t.Vault, Verifier: t.Verifier, Server: options.Store.ServerID(),
		RelyingParty: options.Settings.Passkeys, OIDC: options.Settings.OIDC, Validate: t.Guard.Validate, Logger: options.Logger,
	})
	if err != nil {
		return nil, fmt.Errorf("open the accounts: %w", err)
	}
	return t, nil
}

func (t *Trust) sign(end store.AuditPlace, stamp store.Stamp) (*auditv1.AuditHead, error) {
	if t.Accounts == nil {
		return nil, errors.New("the accounts are not open yet")
	}
	return t.Accounts.SignHead(end, stamp)
}

// Interceptors are those that every server must run.
func (t *Trust) Interceptors() ([]grpc.UnaryServerInterceptor, []grpc.StreamServerInterceptor) {
	return []grpc.UnaryServerInterceptor{t.Guard.Unary}, []grpc.StreamServerInterceptor{t.Guard.Stream}
}

// Validate checks a message against the rules of the contract.
func (t *Trust) Validate(message proto.Message, path string) error {
	return t.Guard.Validate(message, path)
}

// Node names the server where accounts and audit entries stand: "nodes/{node}".
func (t *Trust) Node() string { return "nodes/" + t.store.ServerID() }

// Close writes and signs what the audit log still lacks, when no call is under
// way any more and before the store is closed.
func (t *Trust) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeWithin)
	defer cancel()
	if err := t.store.Err(); err != nil {
		return nil // fenced: what is there is told by the next start
	}
	return t.Audit.Flush(ctx)
}

// closeWithin is how long the last entries may take.
const closeWithin = 5 * time.Second

// Tasks are what it does by itself while the server runs.
func (t *Trust) Tasks() []lifecycle.Task { return append(t.Audit.Tasks(), t.Accounts.Tasks()...) }
