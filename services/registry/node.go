// Package registry is a comune's node: it owns the comune's records, answers
// for them over gRPC, and offers its feed to the ufficio comune. It needs
// nobody else to work.
package registry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/adminv1"
	"cidsistem.example/proto/gen/auditv1"
	"cidsistem.example/proto/gen/federationv1"
	"cidsistem.example/proto/gen/feedv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/audit"
	"cidsistem.example/services/internal/backups"
	"cidsistem.example/services/internal/desk"
	"cidsistem.example/services/internal/duplicates"
	"cidsistem.example/services/internal/editorial"
	"cidsistem.example/services/internal/exporting"
	"cidsistem.example/services/internal/federation"
	"cidsistem.example/services/internal/feed"
	"cidsistem.example/services/internal/feedback"
	"cidsistem.example/services/internal/files"
	"cidsistem.example/services/internal/importing"
	"cidsistem.example/services/internal/mail"
	"cidsistem.example/services/internal/persons"
	"cidsistem.example/services/internal/records"
	"cidsistem.example/services/internal/rpc"
	"cidsistem.example/services/internal/searching"
	"cidsistem.example/services/internal/standard"
	"cidsistem.example/services/internal/store"
	"cidsistem.example/services/internal/storeadmin"
	"cidsistem.example/services/internal/trust"
	"cidsistem.example/services/platform/lifecycle"
)

// Options of Open beyond the settings.
type Options struct {
	// DialPeer connects to the node of another comune; nil: no request can be handed
	// over.
	DialPeer func(comune, address string) (*grpc.ClientConn, error)
	// Logger; nil means slog.Default.
	Logger *slog.Logger
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// NoSync leaves flushing to the kernel: for tests only.
	NoSync bool
	// BeforeCommit can make a commit fail: for tests of the fence.
	BeforeCommit func() error
}

// Node is an open node.
type Node struct {
	settings   Settings
	store      *store.Store
	files      *files.Folder
	search     *searching.Searcher
	trust      *trust.Trust
	mail       *mail.Outbox
	peers      peers
	desk       *desk.Desk
	feedback   *feedback.Box
	records    *records.Records
	editors    *editorial.Office
	duplicates *duplicates.Server
	imports    *importing.Server
	backups    *backups.Server
	log        *slog.Logger
	never      chan struct{}
}

// DataFile is where a node keeps its records.
func DataFile(dir string) string { return filepath.Join(dir, "registry.db") }

// StoreOptions are those with which a node opens its data file.
func (s *Settings) StoreOptions(options Options) store.Options {
	return store.Options{
		Path: DataFile(s.DataDir), ServerID: s.Comune.ID, Comune: s.Comune.ID,
		Now: options.Now, Logger: options.Logger, MaxBytes: s.MaxBytes,
		NoSync: options.NoSync, BeforeCommit: options.BeforeCommit,
	}
}

// Open opens a node, with an empty registry where there is none.
func Open(ctx context.Context, settings Settings, options Options) (*Node, error) {
	if err := settings.Validate(); err != nil {
		return nil, err
	}
	if options.Logger == nil {
		options.Logger = slog.Default()
	}
	if err := os.MkdirAll(settings.DataDir, 0o700); err != nil {
		return nil, fmt.Errorf("make the data folder: %w", err)
	}
	s, err := store.Open(settings.StoreOptions(options))
	if err != nil {
		return nil, err
	}
	n := &Node{settings: settings, store: s, log: options.Logger, never: make(chan struct{})}
	n.trust, err = trust.Open(ctx, trust.Options{Settings: settings.People, DataDir: settings.DataDir, Store: s, Logger: options.Logger})
	if err == nil {
		n.mail, err = mail.New(mail.Options{Store: s, Vault: n.trust.Vault, Settings: settings.Mail, Logger: options.Logger})
	}
	if err == nil {
		n.peers, err = dialPeers(settings.Peers, options.DialPeer)
	}
	if err == nil {
		n.desk, err = desk.Open(ctx, desk.Options{
			Store: s, Vault: n.trust.Vault, Comune: settings.Comune.ID, Settings: settings.Desk, Accounts: n.trust.Accounts,
			Outbox: n.mail, Portal: settings.PortalURL, Peers: n.peers, Logger: options.Logger,
		})
	}
	if err == nil {
		n.feedback = feedback.New(s, n.trust.Vault, settings.Comune.ID)
		n.files, err = files.Open(filepath.Join(settings.DataDir, "files"))
	}
	if err == nil {
		n.records = records.New(records.Options{
			Comune: settings.Comune.ID, Files: n.files, Rules: n.trust.Guard, Policy: n.trust.Policy,
			PurgeAfter: time.Duration(settings.PurgeAfter),
		})
		n.editors = editorial.New(editorial.Options{
			Store: s, Vault: n.trust.Vault, Records: n.records, Rules: n.trust.Guard, Outbox: n.mail,
			Comune: settings.Comune.ID, Title: settings.Comune.Title, PortalURL: settings.PortalURL,
			Settings: settings.Editorial, Logger: options.Logger,
		})
	}
	if err == nil {
		n.backups = backups.New(backups.Options{
			Settings: settings.Backups, Store: s, StoreOptions: settings.StoreOptions(options), Files: n.files,
			KeyFile: settings.People.KeyPath(settings.DataDir), Logger: options.Logger,
		})
		n.duplicates = duplicates.New(duplicates.Options{Store: s, Vault: n.trust.Vault, Records: n.records})
	}
	if err == nil {
		n.imports = importing.New(importing.Options{
			Store: s, Vault: n.trust.Vault, Records: n.records, Rules: n.trust.Guard, Files: n.files, Comune: settings.Comune.ID, Logger: options.Logger,
		})
	}
	if err == nil {
		n.search, err = searching.Open(filepath.Join(settings.DataDir, "search"), s, options.Logger)
	}
	if err == nil {
		err = n.ownRecord(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

// Close closes the node's files.
func (n *Node) Close() error {
	err := n.peers.Close()
	if n.search != nil {
		err = errors.Join(err, n.search.Close())
	}
	if n.trust != nil {
		err = errors.Join(err, n.trust.Close())
	}
	return errors.Join(err, n.store.Close())
}

// ownRecord makes the comune's own record, once.
func (n *Node) ownRecord(ctx context.Context) error {
	kind := catalog.ByCollection("comuni")
	name := catalog.Name{Kind: kind, IDs: []string{n.settings.Comune.ID}}
	_, err := n.store.Commit(ctx, store.Request{}, nil, func(r store.Reader, stamp store.Stamp) (store.Outcome, error) {
		if r.Has(name) {
			return store.Outcome{}, nil
		}
		record := &registryv1.Comune{
			Name: name.String(), IstatCode: n.settings.Comune.IstatCode,
			Title: &registryv1.LocalizedText{It: n.settings.Comune.Title},
		}
		catalog.RecordOf(record).SetCreateTime(stamp.Time)
		return store.Outcome{Put: []proto.Message{record}}, nil
	})
	if err != nil {
		return fmt.Errorf("make the record of %s: %w", name, err)
	}
	return nil
}

// Interceptors are those that a server of the node must run.
func (n *Node) Interceptors() ([]grpc.UnaryServerInterceptor, []grpc.StreamServerInterceptor) {
	return n.trust.Interceptors()
}

// Register registers what members of the federation may call.
func (n *Node) Register(registrar grpc.ServiceRegistrar) {
	standard.Register(registrar, n)
	rpc.Register(registrar, &registryv1.SearchService_ServiceDesc, searchServer{node: n})
	rpc.Register(registrar, &registryv1.FileService_ServiceDesc, fileServer{node: n})
	rpc.Register(registrar, &federationv1.FederationService_ServiceDesc, federation.NewServer(n))
	rpc.Register(registrar, &feedv1.FeedService_ServiceDesc, feed.NewServer(n.store, n.origins))
	rpc.Register(registrar, &auditv1.AuditService_ServiceDesc, audit.NewServer(n.store, n.trust.Node()))
	n.trust.Accounts.Register(registrar)
	n.mail.Register(registrar)
	n.desk.Register(registrar)
	n.feedback.Register(registrar)
	n.duplicates.Register(registrar)
	n.backups.Register(registrar)
	n.editors.Register(registrar)
	n.imports.Register(registrar)
	exporting.New(n.store, n.files).Register(registrar)
}

// RegisterLocal registers what is answered on the local socket only.
func (n *Node) RegisterLocal(registrar grpc.ServiceRegistrar) {
	n.Register(registrar)
	rpc.Register(registrar, &adminv1.StoreService_ServiceDesc, storeadmin.NewServer(n.store, DataFile(n.settings.DataDir), n.files).WithVault(n.trust.Vault))
	rpc.Register(registrar, &adminv1.PersonService_ServiceDesc, persons.NewServer(n.store, append(n.editors.Persons(), n.desk.Persons(), n.mail.Persons())...))
}

// Tasks are what the node does by itself while it runs.
func (n *Node) Tasks() []lifecycle.Task {
	return append(n.trust.Tasks(),
		lifecycle.Task{Name: "search index", Run: n.search.Run},
		lifecycle.Task{Name: "mail", Run: n.mail.Run},
		lifecycle.Task{Name: "imports", Run: n.imports.Run},
		lifecycle.Task{Name: "upkeep", Run: n.upkeep},
		lifecycle.Task{Name: "fence", Run: n.watchFence},
	)
}

// Ready tells why the node cannot serve, nil when it can.
func (n *Node) Ready() error { return n.store.Err() }

// Store is the node's store: for tests and benchmarks of the whole.
func (n *Node) Store() *store.Store { return n.store }

// Trust is what the node knows of its people: for the commands that run beside
// the servers, and for tests.
func (n *Node) Trust() *trust.Trust { return n.trust }

// watchFence ends the process after a failed commit: what is on the disk must
// be found out by opening it again.
func (n *Node) watchFence(ctx context.Context) error {
	select {
	case <-n.store.Fenced():
		return n.store.Err()
	case <-ctx.Done():
		return nil
	}
}

// origins tells readers of the feed how fresh the node is: always.
func (n *Node) origins() []*feedv1.OriginStatus {
	return []*feedv1.OriginStatus{{Comune: n.settings.Comune.ID, Revision: n.store.Head().Revision}}
}

// coverage is that of every answer of the node: current.
func (n *Node) coverage() []*registryv1.Coverage {
	return []*registryv1.Coverage{{
		Comune: catalog.ComuneName(n.settings.Comune.ID), State: registryv1.Coverage_CURRENT,
		AsOfTime: timestamppb.New(n.store.Now()), Revision: n.store.Head().Revision, Live: true,
	}}
}
