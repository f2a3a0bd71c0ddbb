package demo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health/grpc_health_v1"

	"cidsistem.example/deploy/seed"
	"cidsistem.example/proto/gen/federationv1"
	"cidsistem.example/proto/gen/registryv1"
)

// readyWithin is how long a process may take to answer.
const readyWithin = 30 * time.Second

// serving waits until a gRPC server says that it serves.
func (f *Federation) serving(ctx context.Context, id string, p *Process) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	conn, err := f.Conn(id)
	if err != nil {
		return err
	}
	answered := make(chan error, 1)
	go func() {
		_, err := grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{}, grpc.WaitForReady(true))
		answered <- err
	}()
	select {
	case err := <-answered:
		if err != nil {
			return fmt.Errorf("%s does not answer: %w", id, err)
		}
		return nil
	case <-p.Ended():
		return p.failure()
	}
}

// answering waits until the gateway serves.
func (f *Federation) answering(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+f.http+"/status", http.NoBody)
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
		case <-f.Gateway.Ended():
			return f.Gateway.failure()
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

// settle waits until the ufficio comune has what the nodes have, and finds it.
func (f *Federation) settle(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	conn, err := f.Conn(Office)
	if err != nil {
		return err
	}
	if err := inSync(ctx, conn); err != nil {
		return fmt.Errorf("the ufficio comune does not catch up: %w", err)
	}
	found, err := registryv1.NewSearchServiceClient(conn).Search(ctx, &registryv1.SearchRequest{})
	if err != nil {
		return fmt.Errorf("search does not answer: %w", err)
	}
	f.say("Ufficio comune in sync, %d records to find", found.GetTotalSize())
	return nil
}

// inSync watches the board of the ufficio comune until every copy is complete.
func inSync(ctx context.Context, conn grpc.ClientConnInterface) error {
	board, err := federationv1.NewFederationServiceClient(conn).WatchNodes(ctx, &federationv1.WatchNodesRequest{})
	if err != nil {
		return err
	}
	behind := map[string]bool{}
	for first := true; first || len(behind) > 0; first = false {
		news, err := board.Recv()
		if err != nil {
			return err
		}
		for _, node := range news.GetNodes() {
			delete(behind, node.GetName())
			if node.GetState() != federationv1.Node_IN_SYNC || node.GetLagRevisions() > 0 {
				behind[node.GetName()] = true
			}
		}
	}
	return nil
}
