// Package mail keeps the e-mail messages that a server has to send, sealed in
// its local data, and sends them: each once, or it says that it did not, or that
// it does not know.
package mail

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/grpc"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/contact"
	"cidsistem.example/proto/gen/adminv1"
	"cidsistem.example/services/internal/rpc"
	"cidsistem.example/services/internal/store"
	"cidsistem.example/services/internal/vault"
)

const (
	// Retention is how long a message is kept after it was made; its text goes as
	// soon as it is sent.
	Retention = 90 * 24 * time.Hour
	// giveUpAfter is for how long a message is tried that the mail server does not
	// take.
	giveUpAfter = 3 * 24 * time.Hour
	// firstPause is that after the first attempt; it doubles until longestPause.
	firstPause   = time.Minute
	longestPause = 4 * time.Hour
)

// A Message is what has to be said to somebody.
type Message struct {
	// To is the address.
	To string
	// Subject and Text, plain, in the language of who reads them.
	Subject, Text string
	// Language of both, BCP 47; empty: Italian.
	Language string
	// About names what the message is about: a request, a confirmation, an account.
	About string
}

// Options of New.
type Options struct {
	// Store of the server, and the Vault of its local data.
	Store *store.Store
	Vault *vault.Vault
	// Settings of the mail server; nil: messages wait.
	Settings *Settings
	// Logger; nil means slog.Default.
	Logger *slog.Logger
}

// An Outbox keeps messages and sends them. It is safe for concurrent use.
type Outbox struct {
	adminv1.UnimplementedMessageServiceServer
	store    *store.Store
	vault    *vault.Vault
	parent   string
	settings *Settings
	log      *slog.Logger
	bell     chan struct{} // has one place: something may be due

	mu      sync.Mutex
	sending string // the id of the message that is being sent; empty for none
}

// New makes the outbox of a server.
func New(options Options) (*Outbox, error) {
	if options.Logger == nil {
		options.Logger = slog.Default()
	}
	if options.Settings != nil {
		if err := options.Settings.Validate(); err != nil {
			return nil, fmt.Errorf("settings of mail: %w", err)
		}
		settings := options.Settings.withDefaults()
		options.Settings = &settings
	}
	return &Outbox{
		store: options.Store, vault: options.Vault, parent: "nodes/" + options.Store.ServerID(),
		settings: options.Settings, log: options.Logger, bell: make(chan struct{}, 1),
	}, nil
}

// Register registers MessageService.
func (o *Outbox) Register(registrar grpc.ServiceRegistrar) {
	rpc.Register(registrar, &adminv1.MessageService_ServiceDesc, o)
}

// Put returns what puts a message into the outbox, for the commit of what it is
// about: it is there exactly when that is. It also returns the message's name.
// What cannot be sent because its address is none is put there as failed, so
// that nobody's work depends on it.
func (o *Outbox) Put(message Message, stamp store.Stamp) (name string, puts []store.LocalPut, err error) {
	id, err := newID(stamp.Time)
	if err != nil {
		return "", nil, err
	}
	k := &kept{
		ID: id, Message: message, Hint: hint(message.To), State: adminv1.OutboundMessage_WAITING,
		Created: stamp.Time, Since: stamp.Time, Next: stamp.Time,
	}
	if !contact.IsEmail(message.To) {
		k.State, k.Error, k.Next = adminv1.OutboundMessage_FAILED, errAddress, time.Time{}
	}
	w := writer{outbox: o}
	w.save(nil, k)
	// The sender looks by a commit of its own, which is after this one.
	o.ring()
	return o.name(id), w.puts, w.err
}

// errAddress is why a message without a good address is not sent.
const errAddress = "the recipient's address is not an e-mail address"

// ring tells the sender that something may be due.
func (o *Outbox) ring() {
	select {
	case o.bell <- struct{}{}:
	default:
	}
}

func (o *Outbox) name(id string) string { return o.parent + "/messages/" + id }

func (o *Outbox) owns(parent string) error {
	if parent == o.parent {
		return nil
	}
	return apierror.NotFound(parent)
}

// Purge forgets the messages whose time is over, and returns how many.
func (o *Outbox) Purge(ctx context.Context) (int, error) {
	total := 0
	for {
		gone := 0
		_, err := o.store.Commit(ctx, store.Request{}, nil, func(r store.Reader, stamp store.Stamp) (store.Outcome, error) {
			gone = 0
			w := writer{outbox: o}
			for key, sealed := range r.LocalEntries(area, idAt(stamp.Time.Add(-Retention))) {
				if gone == purgeBatch {
					break
				}
				k, err := o.open(key, sealed)
				if err != nil {
					return store.Outcome{}, err
				}
				w.erase(k)
				gone++
			}
			return store.Outcome{Local: w.puts}, w.err
		})
		if err != nil {
			return total, fmt.Errorf("forget messages whose time is over: %w", err)
		}
		total += gone
		if gone < purgeBatch {
			return total, nil
		}
	}
}

// purgeBatch is how many messages one transaction forgets.
const purgeBatch = 200
