package federationtest

import (
	"context"
	"errors"
	"slices"
	"time"

	"google.golang.org/grpc"

	"cidsistem.example/proto/gen/auditv1"
	"cidsistem.example/proto/gen/feedv1"
	"cidsistem.example/services/internal/feed"
	"cidsistem.example/services/internal/policy"
	"cidsistem.example/services/internal/rpc"
	"cidsistem.example/services/internal/store"
	"cidsistem.example/services/internal/tokens"
	"cidsistem.example/services/platform/grpcclient"
	"cidsistem.example/services/platform/lifecycle"
)

// A feedServer is the part of a node or office that histories are about: the
// real store, feed and followers, without the standard methods and the search
// index, which cost a hundred times as much.
type feedServer struct {
	site      *site
	store     *store.Store
	members   []*member
	followers map[string]*feed.Follower
	conns     []*grpc.ClientConn
}

func openFeedServer(s *site) (siteServer, error) {
	opened, err := store.Open(s.options())
	if err != nil {
		return nil, err
	}
	f := &feedServer{site: s, store: opened, followers: map[string]*feed.Follower{}}
	if s.comune == "" {
		err = f.join(s)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// join does what an office does when it opens.
func (f *feedServer) join(s *site) error {
	if err := f.store.Keep(context.Background(), s.scopes()); err != nil {
		return err
	}
	for _, m := range s.members {
		if m.out {
			continue
		}
		conn, err := dialOver(m.link)
		if err != nil {
			return err
		}
		f.conns = append(f.conns, conn)
		follower, err := feed.NewFollower(f.store, m.id, m.scope, feedv1.NewFeedServiceClient(conn), Quiet(), func() {})
		if err != nil {
			return err
		}
		f.followers[m.id], f.members = follower, append(f.members, m)
	}
	return nil
}

func dialOver(l *Link) (*grpc.ClientConn, error) {
	return grpcclient.Dial("over-a-link:1", grpcclient.Options{Insecure: true, Dialer: l.Dial})
}

// Interceptors are those of feeds.
func (f *feedServer) Interceptors() ([]grpc.UnaryServerInterceptor, []grpc.StreamServerInterceptor) {
	return nil, []grpc.StreamServerInterceptor{guard.Stream}
}

// guard has no state; making one takes longer than a history.
var guard = func() *rpc.Guard {
	rules, err := policy.New("any", "", tokens.NewVerifier("any", time.Now))
	if err != nil {
		panic(err)
	}
	g, err := rpc.NewGuard(rules, unaudited{}, Quiet())
	if err != nil {
		panic(err)
	}
	return g
}()

// unaudited is for servers without an audit log of their own.
type unaudited struct{}

func (unaudited) Record(context.Context, ...*auditv1.AuditEntry) error { return nil }

func (unaudited) Refused(*policy.Caller, string, string, string) {}

func (f *feedServer) RegisterLocal(registrar grpc.ServiceRegistrar) {
	rpc.Register(registrar, &feedv1.FeedService_ServiceDesc, feed.NewServer(f.store, f.origins))
}

// origins says which comuni the server answers for: its own, or those that the
// settings name and those that members offer.
func (f *feedServer) origins() []*feedv1.OriginStatus {
	comuni := map[string]bool{}
	if f.site.comune != "" {
		comuni[f.site.comune] = true
	}
	holders, err := f.store.Holders()
	if err != nil {
		return nil
	}
	for comune, id := range holders {
		if offers := f.followers[id].Status().Offers; offers == nil || slices.Contains(offers, comune) {
			comuni[comune] = true
		}
	}
	for _, m := range f.members {
		for _, comune := range m.comuni {
			comuni[comune] = true
		}
	}
	var origins []*feedv1.OriginStatus
	for comune := range comuni {
		origins = append(origins, &feedv1.OriginStatus{Comune: comune})
	}
	return origins
}

func (f *feedServer) Tasks() []lifecycle.Task {
	var tasks []lifecycle.Task
	for id, follower := range f.followers {
		tasks = append(tasks, lifecycle.Task{Name: id, Run: follower.Run})
	}
	return tasks
}

func (f *feedServer) Store() *store.Store { return f.store }

func (f *feedServer) Resync(ctx context.Context, member string) error {
	return f.followers[member].Resync(ctx)
}

func (f *feedServer) Close() error {
	var problems []error
	for _, conn := range f.conns {
		problems = append(problems, conn.Close())
	}
	return errors.Join(append(problems, f.store.Close())...)
}
