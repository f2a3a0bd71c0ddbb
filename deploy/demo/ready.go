package demo

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health/grpc_health_v1"

	"cidsistem.example/deploy/seed"
	"cidsistem.example/proto/gen/federationv1"
	"cidsistem.example/proto/gen/feedv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/platform/grpcclient"
)

// readyWithin is how long a process may take to answer.
const readyWithin = 30 * time.Second

// serving waits until a gRPC server says that it serves.
func (f *Federation) serving(ctx context.Context, id string) error {
	server := f.server(id)
	conn, err := grpcclient.Dial(server.address, grpcclient.Options{TLS: f.admin.ClientTLS(server.id)})
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	answered := make(chan error, 1)
	go func() { answered <- healthy(ctx, conn) }()
	select {
	case err := <-answered:
		if err != nil {
			return fmt.Errorf("%s does not answer: %w", id, err)
		}
		return nil
	case <-server.process.Ended():
		return server.process.failure()
	}
}

// healthy waits until a server answers over a connection.
func healthy(ctx context.Context, conn *grpc.ClientConn) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	_, err := grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{}, grpc.WaitForReady(true))
	return err
}

// answering waits until a gateway serves.
func (f *Federation) answering(ctx context.Context, p *Process, address string) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/status", http.NoBody)
		if err != nil {
			return err
		}
		answer, err := http.DefaultClient.Do(request)
		if err == nil {
			_ = answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-tick.C:
		case <-p.Ended():
			return p.failure()
		case <-ctx.Done():
			return fmt.Errorf("the gateway does not answer: %w", errors.Join(ctx.Err(), err))
		}
	}
}

// importSample writes the sample data into registries that are empty.
func (f *Federation) importSample(ctx context.Context) error {
	data, err := seed.Load(seed.Sample())
	if err != nil {
		return fmt.Errorf("read the sample data: %w", err)
	}
	for _, comune := range data {
		conn, err := f.Conn(comune.Slug)
		if err != nil {
			return err
		}
		empty, err := seed.Empty(ctx, conn, comune.Slug)
		if err != nil {
			return fmt.Errorf("look into the registry of %s: %w", comune.Slug, err)
		}
		if !empty {
			f.say("Registry of %s keeps the data that it has", comune.Slug)
			continue
		}
		count := &progress{out: f.options.Out, comune: comune.Slug, total: len(comune.Records)}
		report, err := seed.Import(ctx, conn, comune, count)
		if err != nil {
			return fmt.Errorf("import the sample data of %s: %w", comune.Slug, err)
		}
		count.done(report)
	}
	return nil
}

// A progress shows how far an import is: one line, written over on a terminal.
type progress struct {
	out    interface{ Write([]byte) (int, error) }
	comune string
	total  int
	lines  int
}

func (p *progress) Write(text []byte) (int, error) {
	for _, b := range text {
		if b == '\n' {
			p.lines++
		}
	}
	if terminal(p.out) {
		_, _ = fmt.Fprintf(p.out, "\r  Sample data of %s: %d of %d", p.comune, min(p.lines, p.total), p.total)
	}
	return len(text), nil
}

func (p *progress) done(report seed.Report) {
	if terminal(p.out) {
		_, _ = fmt.Fprint(p.out, "\r\x1b[K")
	}
	_, _ = fmt.Fprintf(p.out, "  Sample data of %s: %s\n", p.comune, report)
}

// settleAll waits until the ufficio comune has what the nodes have, and finds
// it; then the same of the one above.
func (f *Federation) settleAll(ctx context.Context) error {
	var nodes []string
	for _, comune := range Comuni {
		nodes = append(nodes, comune.ID)
	}
	if err := f.Settle(ctx, Office, nodes...); err != nil {
		return err
	}
	if f.Above != nil {
		if err := f.Settle(ctx, f.options.Above, Office); err != nil {
			return err
		}
	}
	conn, err := f.Conn(Office)
	if err != nil {
		return err
	}
	found, err := registryv1.NewSearchServiceClient(conn).Search(ctx, &registryv1.SearchRequest{})
	if err != nil {
		return fmt.Errorf("search does not answer: %w", err)
	}
	f.say("Ufficio comune in sync, %d records to find", found.GetTotalSize())
	return nil
}

// Settle waits until the copies of an ufficio comune have everything that these
// of its members have now.
func (f *Federation) Settle(ctx context.Context, office string, members ...string) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	heads := map[string]*feedv1.FeedPosition{}
	for _, id := range members {
		conn, err := f.Conn(id)
		if err != nil {
			return err
		}
		state, err := feedv1.NewFeedServiceClient(conn).GetFeedState(ctx, &feedv1.GetFeedStateRequest{})
		if err != nil {
			return fmt.Errorf("ask %s for its feed: %w", id, err)
		}
		heads["nodes/"+id] = state.GetHead()
	}
	conn, err := f.Conn(office)
	if err != nil {
		return err
	}
	board, err := federationv1.NewFederationServiceClient(conn).WatchNodes(ctx, &federationv1.WatchNodesRequest{})
	if err != nil {
		return err
	}
	for len(heads) > 0 {
		news, err := board.Recv()
		if err != nil {
			return fmt.Errorf("%s does not catch up with %s: %w", office, strings.Join(slices.Sorted(maps.Keys(heads)), ", "), err)
		}
		for _, node := range news.GetNodes() {
			if head := heads[node.GetName()]; node.GetState() == federationv1.Node_IN_SYNC && node.GetRevision() >= head.GetRevision() {
				delete(heads, node.GetName())
			}
		}
	}
	return nil
}
