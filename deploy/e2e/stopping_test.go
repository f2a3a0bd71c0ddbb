package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"cidsistem.example/deploy/demo"
	"cidsistem.example/proto/gen/feedv1"
	"cidsistem.example/proto/gen/registryv1"
)

// TestGracefulStop proves that a server which is told to stop ends by itself, in
// order and soon: calls in flight are answered, streams are ended and say why,
// and the next start finds everything that was acknowledged.
func TestGracefulStop(t *testing.T) {
	const comune = "marsala"
	f := start(t, demo.Options{})
	t.Run("a node under a storm of writes", func(t *testing.T) {
		var storm storm
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var running sync.WaitGroup
		for range 8 {
			c := &client{storm: &storm, comune: comune, transport: grpcTransport{f.conn(t, comune), nil}}
			storm.clients = append(storm.clients, c)
			running.Go(func() { c.run(ctx) })
		}
		watch, err := feedv1.NewFeedServiceClient(f.conn(t, comune)).WatchChanges(ctx, &feedv1.WatchChangesRequest{After: headOf(t, f, comune)})
		if err != nil {
			t.Fatal(err)
		}
		health, err := grpc_health_v1.NewHealthClient(f.conn(t, comune)).Watch(ctx, &grpc_health_v1.HealthCheckRequest{})
		if err != nil {
			t.Fatal(err)
		}
		soon(t, 10*time.Second, func(context.Context) error {
			if storm.acknowledged.Load() < 50 {
				return fmt.Errorf("%d writes", storm.acknowledged.Load())
			}
			return nil
		})
		began := time.Now()
		if err := f.Nodes[comune].Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Logf("stopped in %s", time.Since(began).Round(time.Millisecond))
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("the stop took %s", took)
		}
		if err := ended(watch.Recv); status.Code(err) != codes.Unavailable {
			t.Errorf("the feed ended with %v, want UNAVAILABLE", err)
		}
		if err := ended(health.Recv); err == nil {
			t.Error("the watch of the health did not end")
		}
		if err := f.Resume(t.Context(), comune); err != nil {
			t.Fatal(err)
		}
		storm.check(t, f, comune, &chain{})
		cancel()
		running.Wait()
	})

	t.Run("a gateway with an upload and a live board", func(t *testing.T) {
		board, err := http.Get("http://" + f.HTTP() + "/v1/nodes:watch")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = board.Body.Close() }()
		// The upload is half sent when the gateway is told to stop.
		half, rest := io.Pipe()
		type uploaded struct {
			status int
			err    error
		}
		done := make(chan uploaded, 1)
		go func() {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+f.HTTP()+"/v1/comuni/marsala/files", half)
			if err != nil {
				done <- uploaded{err: err}
				return
			}
			token, err := f.Token(t.Context(), "marsala")
			if err != nil {
				done <- uploaded{err: err}
				return
			}
			request.Header.Set("Authorization", "Bearer "+token)
			// Nothing is sent before the gateway has begun to read.
			request.Header.Set("Expect", "100-continue")
			response, err := (&http.Transport{ExpectContinueTimeout: time.Minute}).RoundTrip(request)
			if err != nil {
				done <- uploaded{err: err}
				return
			}
			done <- uploaded{status: response.StatusCode, err: response.Body.Close()}
		}()
		if _, err := io.WriteString(rest, strings.Repeat("prima ", 100_000)); err != nil {
			t.Fatal(err)
		}
		stopped := make(chan error, 1)
		go func() { stopped <- f.Gateway.Stop(context.WithoutCancel(t.Context())) }()
		// No new connection is taken once the stop has begun.
		soon(t, 5*time.Second, func(ctx context.Context) error {
			if f.answers(ctx) == nil {
				return errors.New("the gateway still takes connections")
			}
			return nil
		})
		if _, err := io.WriteString(rest, "poi"); err != nil {
			t.Fatal(err)
		}
		if err := rest.Close(); err != nil {
			t.Fatal(err)
		}
		if got := <-done; got.err != nil || got.status != http.StatusCreated {
			t.Errorf("the upload in flight got %d, %v, want 201", got.status, got.err)
		}
		if err := <-stopped; err != nil {
			t.Error(err)
		}
		if _, err := io.ReadAll(board.Body); err != nil {
			t.Errorf("the live board broke off: %v", err)
		}
		if err := f.Gateway.Start(); err != nil {
			t.Fatal(err)
		}
		soon(t, 10*time.Second, f.answers)
	})

	t.Run("an ufficio comune that is being read", func(t *testing.T) {
		conn := f.conn(t, demo.Office)
		var reading sync.WaitGroup
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		wrong := make(chan error, 8)
		for range 8 {
			reading.Go(func() {
				for ctx.Err() == nil {
					_, err := registryv1.NewSearchServiceClient(conn).Search(ctx, &registryv1.SearchRequest{Q: "servizio"})
					switch status.Code(err) {
					case codes.OK, codes.Unavailable, codes.Canceled:
					default:
						wrong <- err
						return
					}
				}
			})
		}
		began := time.Now()
		if err := f.Office.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		t.Logf("stopped in %s", time.Since(began).Round(time.Millisecond))
		if err := f.Resume(t.Context(), demo.Office); err != nil {
			t.Fatal(err)
		}
		cancel()
		reading.Wait()
		close(wrong)
		for err := range wrong {
			t.Errorf("a reader got %v", err)
		}
		f.settle(t)
		f.sameCopy(t, comune, demo.Office)
	})
}

// answers asks the gateway for its status over a new connection.
func (f *federation) answers(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+f.HTTP()+"/status", http.NoBody)
	if err != nil {
		return err
	}
	request.Close = true
	response, err := new(http.Transport).RoundTrip(request)
	if err != nil {
		return err
	}
	if err := response.Body.Close(); err != nil || response.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d, %w", response.StatusCode, err)
	}
	return nil
}

// ended reads a stream to its end, and returns what ended it.
func ended[T any](recv func() (T, error)) error {
	for {
		if _, err := recv(); err != nil {
			return err
		}
	}
}

func headOf(t *testing.T, f *federation, id string) *feedv1.FeedPosition {
	t.Helper()
	state, err := feedv1.NewFeedServiceClient(f.conn(t, id)).GetFeedState(t.Context(), &feedv1.GetFeedStateRequest{})
	if err != nil {
		t.Fatal(err)
	}
	return state.GetHead()
}
