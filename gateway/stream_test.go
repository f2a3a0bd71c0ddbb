package gateway_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"cidsistem.example/gateway"
	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/federationv1"
	"cidsistem.example/proto/gen/registryv1"
)

// A watch is an open stream.
type watch struct {
	t        *testing.T
	response *http.Response
	lines    *bufio.Reader
	cancel   context.CancelFunc
}

// watch opens the stream of nodes while the registry sends the first message.
func (s *setup) watch(t *testing.T, accept string) *watch {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	request, err := http.NewRequestWithContext(ctx, "GET", s.base+"/v1/nodes:watch", nil)
	if err != nil {
		t.Fatal(err)
	}
	if accept != "" {
		request.Header.Set("Accept", accept)
	}
	go func() {
		select {
		case s.federation.events <- &federationv1.WatchNodesResponse{Nodes: []*federationv1.Node{{Name: "nodes/marsala"}}}:
		case <-ctx.Done():
		}
	}()
	response, err := s.client.Do(request)
	if err != nil {
		t.Fatalf("open the stream: %v", err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	return &watch{t, response, bufio.NewReader(response.Body), cancel}
}

func (w *watch) line() string {
	w.t.Helper()
	line, err := w.lines.ReadString('\n')
	if err != nil {
		w.t.Fatalf("read the stream: %v (after %q)", err, line)
	}
	return strings.TrimSuffix(line, "\n")
}

func (w *watch) wantEnd() {
	w.t.Helper()
	if rest, err := io.ReadAll(w.lines); err != nil || len(rest) > 0 {
		w.t.Errorf("the stream goes on: %q, %v", rest, err)
	}
}

// nodesOf reads a message of the stream.
func nodesOf(t *testing.T, text string) []string {
	t.Helper()
	var message struct {
		Nodes []struct{ Name string }
	}
	if err := json.Unmarshal([]byte(text), &message); err != nil {
		t.Fatalf("message %q: %v", text, err)
	}
	var names []string
	for _, node := range message.Nodes {
		names = append(names, node.Name)
	}
	return names
}

func TestServerSentEvents(t *testing.T) {
	s := start(t)
	w := s.watch(t, "text/event-stream")
	for name, want := range map[string]string{"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no", "Content-Encoding": ""} {
		if got := w.response.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	data, found := strings.CutPrefix(w.line(), "data: ")
	if names := nodesOf(t, data); !found || len(names) != 1 || names[0] != "nodes/marsala" {
		t.Errorf("the first event has the nodes %v", names)
	}
	if empty := w.line(); empty != "" {
		t.Errorf("an event ends with %q", empty)
	}
	s.federation.events <- &federationv1.WatchNodesResponse{Nodes: []*federationv1.Node{{Name: "nodes/pantelleria"}}}
	data, _ = strings.CutPrefix(w.line(), "data: ")
	if names := nodesOf(t, data); len(names) != 1 || names[0] != "nodes/pantelleria" {
		t.Errorf("the second event has the nodes %v", names)
	}
	w.line()
	s.federation.fail <- apierror.New(registryv1.ErrorReason_NOT_READY, "the server is stopping")
	if name := w.line(); name != "event: error" {
		t.Errorf("an error comes as %q", name)
	}
	data, _ = strings.CutPrefix(w.line(), "data: ")
	var p problem
	if err := json.Unmarshal([]byte(data), &p); err != nil || p.Reason != "NOT_READY" || p.Status != 503 {
		t.Errorf("the error is %s: %v", data, err)
	}
	w.line()
	w.wantEnd()
}

func TestLinesOfJSON(t *testing.T) {
	s := start(t)
	for _, accept := range []string{"", "*/*", "application/x-ndjson"} {
		w := s.watch(t, accept)
		if got := w.response.Header.Get("Content-Type"); got != "application/x-ndjson" {
			t.Errorf("Accept %q: Content-Type %q", accept, got)
		}
		if names := nodesOf(t, w.line()); len(names) != 1 {
			t.Errorf("the first line has the nodes %v", names)
		}
		s.federation.fail <- apierror.New(registryv1.ErrorReason_NOT_READY, "the server is stopping")
		var last struct{ Error problem }
		if err := json.Unmarshal([]byte(w.line()), &last); err != nil || last.Error.Reason != "NOT_READY" {
			t.Errorf("the error is %+v: %v", last, err)
		}
		w.wantEnd()
	}
}

func TestStreamThatFailsAtOnceIsAProblem(t *testing.T) {
	s := start(t)
	go func() { s.federation.fail <- apierror.New(registryv1.ErrorReason_NOT_ALLOWED, "not for you") }()
	got := s.send("GET", "/v1/nodes:watch", "", "Accept: text/event-stream")
	if got.status != 403 || got.problem(t).Reason != "NOT_ALLOWED" {
		t.Errorf("%d %s", got.status, got.body)
	}
}

func TestIdleStreamShowsThatItLives(t *testing.T) {
	s := start(t, func(o *gateway.Options) { o.Limits.Heartbeat = 20 * time.Millisecond })
	w := s.watch(t, "text/event-stream")
	for comments := 0; comments < 2; {
		switch line := w.line(); {
		case strings.HasPrefix(line, ":"):
			comments++
		case line != "" && !strings.HasPrefix(line, "data: "):
			t.Fatalf("the stream has the line %q", line)
		}
	}
}

func TestStreamsAreLimited(t *testing.T) {
	s := start(t, func(o *gateway.Options) { o.Limits.Streams = 1 })
	w := s.watch(t, "text/event-stream")
	wait(t, s.federation.began)
	got := s.send("GET", "/v1/nodes:watch", "")
	if got.status != 503 || got.problem(t).Reason != "TOO_MANY_STREAMS" || got.header.Get("Retry-After") == "" {
		t.Errorf("one too many: %d %v", got.status, got.header)
	}
	w.cancel()
	wait(t, s.federation.ended) // the registry learns that the client has gone
	for !strings.Contains(wait(t, s.log), `"status":200`) {
		// the refused request; after the other one the gateway has let go of the stream
	}
	s.watch(t, "text/event-stream").line()
}

func TestShutdownEndsStreams(t *testing.T) {
	s := start(t)
	w := s.watch(t, "text/event-stream")
	w.line()
	w.line()
	if err := s.server.Shutdown(t.Context()); err != nil {
		t.Fatalf("shut down: %v", err)
	}
	w.wantEnd()
	wait(t, s.federation.ended)
}
