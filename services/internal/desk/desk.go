// Package desk keeps what people ask the desk of a comune, on the comune's own
// node: sealed, found again by a private code that nobody can guess, erased when
// its time is over.
package desk

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/deskv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/flood"
	"cidsistem.example/services/internal/mail"
	"cidsistem.example/services/internal/rpc"
	"cidsistem.example/services/internal/store"
	"cidsistem.example/services/internal/vault"
	"cidsistem.example/services/internal/workdays"
)

const (
	// retention is how long a request stays after its last change.
	retention = 2 * 365 * 24 * time.Hour
	// idsKept is for how long a request id is remembered (the contract says seven
	// days).
	idsKept = 7 * 24 * time.Hour
)

// Options of Open.
type Options struct {
	// Store of the node, and the Vault of its local data.
	Store *store.Store
	Vault *vault.Vault
	// Comune is the id of the comune that the node owns.
	Comune string
	// Settings from the node's file.
	Settings Settings
	// Accounts of the node's people; nil: requests are assigned to nobody.
	Accounts Accounts
	// Outbox for what is said by e-mail; nil: nothing is.
	Outbox Outbox
	// Portal is the address of the comune's portal, "https://…"; empty: it has none,
	// and nothing that is written has links.
	Portal string
	// Peers hands requests over to the nodes of other comuni; nil: none can be.
	Peers Peers
	// Retention is how long a request stays after its last change; 0: 24 months.
	Retention time.Duration
	// Logger; nil means slog.Default.
	Logger *slog.Logger
}

// Accounts of the people of a node.
type Accounts interface {
	// Holds tells whether there is an account of a name.
	Holds(r store.Reader, name string) (bool, error)
}

// An Outbox takes e-mail messages.
type Outbox interface {
	// Put returns what puts a message into it, in the commit of what it is about.
	Put(message mail.Message, stamp store.Stamp) (name string, puts []store.LocalPut, err error)
}

// Peers are the nodes of other comuni.
type Peers interface {
	// Transfer connects to the node of a comune by its slug; nil for one that is not
	// known.
	Transfer(comune string) (deskv1.TransferServiceClient, error)
}

// Desk serves RequestService and TransferService for one comune. It is safe for
// concurrent use.
type Desk struct {
	deskv1.UnimplementedRequestServiceServer
	deskv1.UnimplementedTransferServiceServer
	store     *store.Store
	vault     *vault.Vault
	parent    string
	retention time.Duration
	log       *slog.Logger
	codes     codes
	settings  Settings
	calendar  *workdays.Calendar
	gate      *flood.Gate
	accounts  Accounts
	outbox    Outbox
	portal    string
	peers     Peers
	// leaving are the ids of the requests that are being handed over, which stand
	// still meanwhile.
	mu      sync.Mutex
	leaving map[string]bool
	// kept is how many bytes requests and attachments have, about.
	kept atomic.Int64
}

// Open opens the desk of a comune, and makes the secret of its codes when there
// is none.
func Open(ctx context.Context, options Options) (*Desk, error) {
	if options.Retention < 0 {
		return nil, errors.New("the retention of requests cannot be negative")
	}
	if options.Retention == 0 {
		options.Retention = retention
	}
	if options.Logger == nil {
		options.Logger = slog.Default()
	}
	if err := options.Settings.Validate(); err != nil {
		return nil, fmt.Errorf("settings of the desk: %w", err)
	}
	settings := options.Settings.withDefaults()
	calendar, err := workdays.New(settings.Patron)
	if err != nil {
		return nil, err
	}
	d := &Desk{
		settings: settings, calendar: calendar, gate: flood.New(settings.HourlyPerNetwork, settings.Hourly),
		store: options.Store, vault: options.Vault, parent: "comuni/" + options.Comune,
		retention: options.Retention, log: options.Logger,
		accounts: options.Accounts, outbox: options.Outbox, portal: strings.TrimSuffix(options.Portal, "/"), peers: options.Peers, leaving: map[string]bool{},
	}
	if err := d.openCodes(ctx); err != nil {
		return nil, fmt.Errorf("open the secret of the requests' codes: %w", err)
	}
	if err := d.measure(); err != nil {
		return nil, fmt.Errorf("measure the requests: %w", err)
	}
	return d, nil
}

func (d *Desk) openCodes(ctx context.Context) error {
	fresh := make([]byte, 32)
	if _, err := rand.Read(fresh); err != nil {
		return err
	}
	_, err := d.store.Commit(ctx, store.Request{}, nil, func(r store.Reader, _ store.Stamp) (store.Outcome, error) {
		if sealed := r.Local(secretKey); sealed != nil {
			secret, err := d.vault.Open(secretKey, sealed)
			d.codes = codes{secret}
			return store.Outcome{}, err
		}
		sealed, err := d.vault.Seal(secretKey, fresh)
		d.codes = codes{fresh}
		return store.Outcome{Local: []store.LocalPut{{Key: secretKey, Value: sealed}}}, err
	})
	return err
}

// Register registers the services.
func (d *Desk) Register(registrar grpc.ServiceRegistrar) {
	rpc.Register(registrar, &deskv1.RequestService_ServiceDesc, d)
	rpc.Register(registrar, &deskv1.TransferService_ServiceDesc, d)
}

func (d *Desk) owns(parent string) error {
	if parent == d.parent {
		return nil
	}
	return apierror.New(registryv1.ErrorReason_NOT_THE_OWNER,
		fmt.Sprintf("this node has the desk of %s, not of %s; ask the node of that comune or the ufficio comune", d.parent, parent),
		apierror.With("comune", idOf(parent)))
}
