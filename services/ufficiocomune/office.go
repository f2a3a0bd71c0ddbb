// Package ufficiocomune is the aggregator: it keeps a copy of what its members
// have, answers for all comuni in one contract, asks the owner where the copy
// is not fresh enough, and passes writes on to it. It owns nothing.
package ufficiocomune

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"

	"cidsistem.example/proto/gen/adminv1"
	"cidsistem.example/proto/gen/auditv1"
	"cidsistem.example/proto/gen/deskv1"
	"cidsistem.example/proto/gen/editorialv1"
	"cidsistem.example/proto/gen/exchangev1"
	"cidsistem.example/proto/gen/federationv1"
	"cidsistem.example/proto/gen/feedv1"
	"cidsistem.example/proto/gen/identityv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/audit"
	"cidsistem.example/services/internal/backups"
	"cidsistem.example/services/internal/duplicates"
	"cidsistem.example/services/internal/exporting"
	"cidsistem.example/services/internal/federation"
	"cidsistem.example/services/internal/feed"
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
	// Dial connects to a member.
	Dial func(Member) (*grpc.ClientConn, error)
	// Logger; nil means slog.Default.
	Logger *slog.Logger
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// NoSync leaves flushing to the kernel: for tests only.
	NoSync bool
	// Patience is how long an owner is waited for where a copy would do; 0 means
	// 800 ms.
	Patience time.Duration
}

// Office is an open ufficio comune.
type Office struct {
	settings   Settings
	store      *store.Store
	search     *searching.Searcher
	trust      *trust.Trust
	duplicates *duplicates.Server
	backups    *backups.Server
	log        *slog.Logger
	members    map[string]*member
	// configured has the members of the comuni that the settings name.
	configured map[string]*member
	writes     *recentWrites
	patience   time.Duration

	mu      sync.Mutex
	changed chan struct{} // closed and replaced when a member's state changes
}

// A member is a server that the office follows and asks.
type member struct {
	Member
	conn     *grpc.ClientConn
	follower *feed.Follower
}

// DataFile is where an office keeps its copies.
func DataFile(dir string) string { return filepath.Join(dir, "ufficio.db") }

// StoreOptions are those with which an office opens its data file.
func (s *Settings) StoreOptions(options Options) store.Options {
	return store.Options{
		Path: DataFile(s.DataDir), ServerID: s.ID, Now: options.Now, Logger: options.Logger,
		MaxBytes: s.MaxBytes, NoSync: options.NoSync,
	}
}

// Open opens an office and connects to its members.
func Open(ctx context.Context, settings Settings, options Options) (*Office, error) {
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
	o := &Office{
		settings: settings, store: s, log: options.Logger,
		members: map[string]*member{}, configured: map[string]*member{}, writes: newRecentWrites(), patience: cmp.Or(options.Patience, liveBudget), changed: make(chan struct{}),
	}
	o.trust, err = trust.Open(ctx, trust.Options{Settings: settings.People, DataDir: settings.DataDir, Store: s, Logger: options.Logger})
	if err == nil {
		o.backups = backups.New(backups.Options{
			Settings: settings.Backups, Store: s, StoreOptions: settings.StoreOptions(options),
			KeyFile: settings.People.KeyPath(settings.DataDir), Logger: options.Logger,
		})
		o.duplicates = duplicates.New(duplicates.Options{Store: s, Vault: o.trust.Vault})
		o.search, err = searching.Open(filepath.Join(settings.DataDir, "search"), s, options.Logger)
	}
	if err == nil {
		err = o.join(ctx, options)
	}
	if err != nil {
		return nil, errors.Join(err, o.Close())
	}
	return o, nil
}

// join drops copies of servers that are no members any more, and makes a
// follower for each that is.
func (o *Office) join(ctx context.Context, options Options) error {
	scopes := map[string]store.Scope{}
	for _, m := range o.settings.Members {
		scopes[m.ID] = o.settings.scope(m)
	}
	if err := o.store.Keep(ctx, scopes); err != nil {
		return fmt.Errorf("drop the copies of former members: %w", err)
	}
	for _, m := range o.settings.Members {
		conn, err := options.Dial(m)
		if err != nil {
			return fmt.Errorf("member %s: %w", m.ID, err)
		}
		follower, err := feed.NewFollower(o.store, m.ID, scopes[m.ID], feedv1.NewFeedServiceClient(conn), o.log, o.ring)
		if err != nil {
			return errors.Join(fmt.Errorf("member %s: %w", m.ID, err), conn.Close())
		}
		joined := &member{Member: m, conn: conn, follower: follower}
		o.members[m.ID] = joined
		for _, comune := range m.scope().Comuni {
			o.configured[comune] = joined
		}
	}
	return nil
}

// Close closes the office's files and connections.
func (o *Office) Close() error {
	var problems []error
	for _, m := range o.members {
		problems = append(problems, m.conn.Close())
	}
	if o.search != nil {
		problems = append(problems, o.search.Close())
	}
	if o.trust != nil {
		problems = append(problems, o.trust.Close())
	}
	return errors.Join(append(problems, o.store.Close())...)
}

// Interceptors are those that a server of the office must run.
func (o *Office) Interceptors() ([]grpc.UnaryServerInterceptor, []grpc.StreamServerInterceptor) {
	unary, stream := o.trust.Interceptors()
	return append(unary, o.signedOut), stream
}

// Register registers what members of the federation may call.
func (o *Office) Register(registrar grpc.ServiceRegistrar) {
	standard.Register(registrar, o)
	rpc.Register(registrar, &registryv1.SearchService_ServiceDesc, searchServer{office: o})
	rpc.Register(registrar, &registryv1.FileService_ServiceDesc, fileServer{office: o})
	rpc.Register(registrar, &federationv1.FederationService_ServiceDesc, federation.NewServer(o))
	rpc.Register(registrar, &feedv1.FeedService_ServiceDesc, feed.NewServer(o.store, o.origins))
	rpc.Register(registrar, &auditv1.AuditService_ServiceDesc, audit.NewServer(o.store, o.trust.Node()))
	rpc.Register(registrar, &identityv1.AccountService_ServiceDesc, o.trust.Accounts)
	rpc.Register(registrar, &identityv1.KeyService_ServiceDesc, o.trust.Accounts)
	rpc.Register(registrar, passing(identityv1.SessionService_ServiceDesc, o.accountHolder), o.trust.Accounts)
	rpc.Register(registrar, passing(deskv1.RequestService_ServiceDesc, o.desk), deskv1.UnimplementedRequestServiceServer{})
	o.duplicates.Register(registrar)
	exporting.New(o.store, nil).Register(registrar)
	o.backups.Register(registrar)
	rpc.Register(registrar, passing(deskv1.FeedbackService_ServiceDesc, o.desk), deskv1.UnimplementedFeedbackServiceServer{})
	rpc.Register(registrar, passing(editorialv1.CorrectionService_ServiceDesc, o.desk), editorialv1.UnimplementedCorrectionServiceServer{})
	rpc.Register(registrar, passing(adminv1.MessageService_ServiceDesc, o.elsewhere), adminv1.UnimplementedMessageServiceServer{})
	rpc.Register(registrar, passing(exchangev1.ImportService_ServiceDesc, o.elsewhere), exchangev1.UnimplementedImportServiceServer{})
	rpc.Register(registrar, passing(editorialv1.DraftService_ServiceDesc, o.elsewhere), editorialv1.UnimplementedDraftServiceServer{})
	rpc.Register(registrar, passing(editorialv1.RecordService_ServiceDesc, o.elsewhere), editorialv1.UnimplementedRecordServiceServer{})
}

// RegisterLocal registers what is answered on the local socket only.
func (o *Office) RegisterLocal(registrar grpc.ServiceRegistrar) {
	o.Register(registrar)
	rpc.Register(registrar, &adminv1.StoreService_ServiceDesc, storeadmin.NewServer(o.store, DataFile(o.settings.DataDir), nil).WithVault(o.trust.Vault))
}

// Tasks are what the office does by itself while it runs.
func (o *Office) Tasks() []lifecycle.Task {
	tasks := append(o.trust.Tasks(),
		lifecycle.Task{Name: "search index", Run: o.search.Run},
		lifecycle.Task{Name: "upkeep", Run: o.upkeep},
		lifecycle.Task{Name: "fence", Run: o.watchFence},
	)
	for _, m := range o.members {
		tasks = append(tasks, lifecycle.Task{Name: "keys of " + m.ID, Run: func(ctx context.Context) error { return o.watchKeys(ctx, m) }})
		tasks = append(tasks, lifecycle.Task{Name: "copy of " + m.ID, Run: m.follower.Run})
	}
	return tasks
}

// Ready tells why the office cannot serve, nil when it can.
func (o *Office) Ready() error { return o.store.Err() }

// Store is the office's store: for tests and benchmarks of the whole.
func (o *Office) Store() *store.Store { return o.store }

// Trust is what the office knows of its people and those of its members: for the
// commands that run beside the servers, and for tests.
func (o *Office) Trust() *trust.Trust { return o.trust }

func (o *Office) watchFence(ctx context.Context) error {
	select {
	case <-o.store.Fenced():
		return o.store.Err()
	case <-ctx.Done():
		return nil
	}
}

// upkeep trims the office's own feed.
func (o *Office) upkeep(ctx context.Context) error {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		if err := o.Tidy(ctx); err != nil && ctx.Err() == nil {
			o.log.Error("upkeep failed", "error", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// Tidy trims the office's own feed. It runs by itself every minute.
func (o *Office) Tidy(ctx context.Context) error {
	_, err := o.store.Trim(ctx, store.Retention{Revisions: o.settings.Retention.Revisions, Age: time.Duration(o.settings.Retention.Age)})
	return err
}

// ring tells watchers that a member's state changed.
func (o *Office) ring() {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.changed)
	o.changed = make(chan struct{})
}

// Changed is closed at the next change of a member's state.
func (o *Office) Changed() <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.changed
}

// holders tells which member answers for each comune: by configuration, and for
// the rest from whom the copy came first, until that member gives it up.
func (o *Office) holders() (map[string]*member, error) {
	copies, err := o.store.Holders()
	if err != nil {
		return nil, err
	}
	holders := map[string]*member{}
	for comune, id := range copies {
		if m := o.members[id]; m != nil && !gaveUp(m.follower.Status(), comune) {
			holders[comune] = m
		}
	}
	maps.Copy(holders, o.configured)
	return holders, nil
}

// comuni lists the slugs of a set of holders in order.
func comuni(holders map[string]*member) []string {
	var slugs []string
	for slug := range holders {
		slugs = append(slugs, slug)
	}
	slices.Sort(slugs)
	return slugs
}
