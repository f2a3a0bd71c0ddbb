// Package accounts keeps the accounts of one server, signs their persons in, and
// tells other servers which tokens to believe.
package accounts

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/go-webauthn/webauthn/webauthn"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/identityv1"
	"cidsistem.example/services/internal/rpc"
	"cidsistem.example/services/internal/store"
	"cidsistem.example/services/internal/tokens"
	"cidsistem.example/services/internal/vault"
	"cidsistem.example/services/platform/lifecycle"
)

// Options of Open.
type Options struct {
	// Store keeps everything, sealed by the vault.
	Store *store.Store
	Vault *vault.Vault
	// Verifier is told the server's own keys and which sessions ended.
	Verifier *tokens.Verifier
	// Server is the server's id, for example "marsala".
	Server string
	// RelyingParty is the site for which passkeys are made; without an ID there are
	// no passkeys.
	RelyingParty RelyingParty
	// OIDC is the issuer at which persons can sign in; nil for none.
	OIDC *OIDC
	// Validate checks a message against the rules of the contract; the path stands
	// before each field that its error names.
	Validate func(message proto.Message, path string) error
	// Logger; nil means slog.Default.
	Logger *slog.Logger

	// hashing of passwords; the zero value is the standard.
	hashing hashing
}

// Accounts answers AccountService, SessionService and KeyService of one server.
// It is safe for concurrent use.
type Accounts struct {
	identityv1.UnimplementedAccountServiceServer
	identityv1.UnimplementedSessionServiceServer
	identityv1.UnimplementedKeyServiceServer

	store    *store.Store
	vault    *vault.Vault
	verifier *tokens.Verifier
	server   string
	validate func(proto.Message, string) error
	log      *slog.Logger

	index    []byte // the secret under which logins are looked up
	hasher   *hasher
	throttle *throttle
	passkeys *webauthn.WebAuthn // nil: there are none
	oidc     *oidcClient        // nil: there is none

	publishing sync.Mutex
	mu         sync.RWMutex
	standing   standing
}

// Open prepares the accounts of a server: the first signing key is made, and the
// verifier told, before it returns.
func Open(ctx context.Context, options Options) (*Accounts, error) {
	if options.Logger == nil {
		options.Logger = slog.Default()
	}
	if options.hashing == (hashing{}) {
		options.hashing = standardHashing
	}
	a := &Accounts{
		store: options.Store, vault: options.Vault, verifier: options.Verifier, server: options.Server,
		validate: options.Validate, log: options.Logger,
		throttle: newThrottle(options.Store.Now),
		standing: standing{changed: make(chan struct{})},
	}
	var err error
	a.hasher = newHasher(options.hashing)
	if a.passkeys, err = options.RelyingParty.open(); err != nil {
		return nil, fmt.Errorf("relying party of passkeys: %w", err)
	}
	if options.OIDC != nil {
		if a.oidc, err = options.OIDC.open(a.name(), options.Store.Now); err != nil {
			return nil, fmt.Errorf("OIDC settings: %w", err)
		}
	}
	if err := a.openIndex(ctx); err != nil {
		return nil, fmt.Errorf("secret of the index of logins: %w", err)
	}
	if err := a.tend(ctx); err != nil {
		return nil, err
	}
	return a, a.publish()
}

// indexSecret is the sealed entry with the secret of the index of logins.
var indexSecret = store.LocalKey{Area: "secrets", ID: "index"}

// openIndex reads the secret of the index of logins, and makes it the first time.
func (a *Accounts) openIndex(ctx context.Context) error {
	fresh := make([]byte, 32)
	_, _ = rand.Read(fresh) // never fails
	return a.commit(ctx, func(c *change) error {
		known, err := get[[]byte](a, c.Reader, indexSecret)
		if err != nil {
			return err
		}
		if known != nil {
			a.index = *known
			return nil
		}
		a.index = fresh
		return c.put(indexSecret, fresh)
	})
}

// Register registers the three services.
func (a *Accounts) Register(registrar grpc.ServiceRegistrar) {
	rpc.Register(registrar, &identityv1.AccountService_ServiceDesc, a)
	rpc.Register(registrar, &identityv1.SessionService_ServiceDesc, a)
	rpc.Register(registrar, &identityv1.KeyService_ServiceDesc, a)
}

// tendEvery is how often the tasks look for what is due.
const tendEvery = time.Minute

// Tasks are what runs beside the calls: keys are made anew, and what is over is
// purged.
func (a *Accounts) Tasks() []lifecycle.Task {
	return []lifecycle.Task{{Name: "accounts", Run: func(ctx context.Context) error {
		ticker := time.NewTicker(tendEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-ticker.C:
			}
			// A call that ended before its commit was acknowledged may have left
			// something to be published.
			if err := errors.Join(a.tend(ctx), a.publish()); err != nil && ctx.Err() == nil {
				a.log.Error("looking after accounts failed", "error", err)
			}
		}
	}}}
}

// name is the server's name: the issuer of its tokens, the parent of its
// accounts.
func (a *Accounts) name() string { return "nodes/" + a.server }

// accountName is the name of an account.
func (a *Accounts) accountName(id string) string { return a.name() + "/accounts/" + id }

// accountID finds the id in a name of this server's accounts.
func (a *Accounts) accountID(name string) (string, error) {
	id, own := strings.CutPrefix(name, a.name()+"/accounts/")
	if !own || id == "" || strings.ContainsAny(id, "/\x00") {
		return "", apierror.NotFound(name)
	}
	return id, nil
}

// Holds tells whether there is an account of a name.
func (a *Accounts) Holds(r store.Reader, name string) (bool, error) {
	id, err := a.accountID(name)
	if err != nil {
		return false, nil
	}
	acc, err := a.account(r, id)
	return acc != nil, err
}

// own refuses a parent that is another server.
func (a *Accounts) own(parent string) error {
	if parent != a.name() {
		return apierror.NotFound(parent)
	}
	return nil
}
