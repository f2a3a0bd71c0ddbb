package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"cidsistem.example/deploy/demo"
	"cidsistem.example/proto/gen/feedv1"
	"cidsistem.example/proto/gen/registryv1"
)

// kills is how many times TestKills kills: KILLS, else 200, or 20 with -short.
func kills(t *testing.T) int {
	if text := os.Getenv("KILLS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			t.Fatalf("KILLS=%s is not a number of kills", text)
		}
		return n
	}
	if testing.Short() {
		return 20
	}
	return 200
}

// TestKills proves that a node which is killed at any moment loses no write that
// it acknowledged, makes none twice, and that its copy at the ufficio comune
// follows: 16 clients write without a break, over gRPC to the node and to the
// ufficio comune and over REST, and repeat with the same request id what was
// not answered.
func TestKills(t *testing.T) {
	const (
		comune     = "marsala"
		clients    = 16
		checkEvery = 20
	)
	f := start(t, demo.Options{})
	node := f.Nodes[comune]
	var storm storm
	transports := []transport{
		grpcTransport{f.conn(t, comune), nil},
		grpcTransport{f.conn(t, comune), nil},
		grpcTransport{f.conn(t, demo.Office), f},
		restTransport{address: f.HTTP(), inHeaders: true, people: f},
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	for i := range clients {
		c := &client{storm: &storm, comune: comune, transport: transports[i%len(transports)]}
		storm.clients = append(storm.clients, c)
		running.Go(func() { c.run(ctx) })
	}
	defer running.Wait()
	defer cancel()

	began := time.Now()
	var feed chain
	var downtime time.Duration
	total, nextCheck := kills(t), checkEvery
	for n := 1; n <= total; n++ {
		pause(t, uptime())
		node.Kill()
		down := time.Now()
		if rand.N(10) == 0 && n < total {
			// Killed again while it starts.
			if err := node.Start(); err != nil {
				t.Fatal(err)
			}
			pause(t, rand.N(100*time.Millisecond))
			node.Kill()
			n++
		}
		if err := f.Resume(t.Context(), comune); err != nil {
			t.Fatal(err)
		}
		downtime += time.Since(down)
		if n >= nextCheck || n == total {
			nextCheck += checkEvery
			storm.check(t, f, comune, &feed)
			t.Logf("%d kills, %s: %d writes acknowledged, %d of them only when repeated; feed at %d",
				n, time.Since(began).Round(time.Second), storm.acknowledged.Load(), storm.repeated.Load(), feed.at.GetRevision())
		}
		if t.Failed() {
			return
		}
	}
	took := time.Since(began)
	t.Logf("%d kills in %s, down for %s on average", total, took.Round(time.Second), (downtime / time.Duration(total)).Round(time.Millisecond))
	if acknowledged := storm.acknowledged.Load(); acknowledged < int64(total) {
		t.Errorf("only %d writes in %d kills: this was no storm", acknowledged, total)
	}
}

// uptime is how long the node lives next: mostly too short for all links to come
// back, sometimes long enough.
func uptime() time.Duration {
	if rand.N(10) == 0 {
		return rand.N(1200 * time.Millisecond)
	}
	return rand.N(250 * time.Millisecond)
}

// pause lets the storm go on for a while.
func pause(t *testing.T, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
	}
}

// A storm is what clients write all at once.
type storm struct {
	// calm is held by clients for reading while they write, and by a check.
	calm    sync.RWMutex
	clients []*client

	acknowledged, repeated atomic.Int64
}

// A client writes records of its own, and remembers what it was told.
type client struct {
	storm     *storm
	comune    string
	transport transport
	records   []*written
	err       error // why it gave up
}

// written is a record as the last acknowledged write left it.
type written struct {
	name, etag string
	deleted    bool
}

const (
	// maxOwn bounds the records of a client.
	maxOwn = 50
	// writeEvery is the pace of a client.
	writeEvery = 15 * time.Millisecond
)

func (c *client) run(ctx context.Context) {
	pace := time.NewTicker(writeEvery)
	defer pace.Stop()
	for {
		select {
		case <-pace.C:
			c.storm.calm.RLock()
			c.err = c.write(ctx)
			failed := c.err != nil
			c.storm.calm.RUnlock()
			if failed {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// write makes one change and repeats it until it is acknowledged.
func (c *client) write(ctx context.Context) error {
	call, request, at := c.draw()
	m, err := methodOf("ServiceService." + call)
	if err != nil {
		return err
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for attempt := 1; ; attempt++ {
		bounded, cancel := context.WithTimeout(ctx, 5*time.Second)
		got, err := c.transport.call(bounded, m, request, nil)
		cancel()
		if err == nil && got.failure == nil {
			c.storm.acknowledged.Add(1)
			if attempt > 1 {
				c.storm.repeated.Add(1)
			}
			at.note(got.body)
			return nil
		}
		if err == nil && !got.failure.passing() {
			return fmt.Errorf("%s, attempt %d: %+v", call, attempt, *got.failure)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		}
	}
}

// passing tells whether the same request can succeed later.
func (f *failure) passing() bool {
	switch f.reason {
	case "OWNER_UNREACHABLE", "NOT_READY", "STORE_FENCED", "DEADLINE", "TOO_MANY_REQUESTS":
		return true
	}
	return f.code == "UNAVAILABLE" || f.code == "CANCELLED" || f.code == "DEADLINE_EXCEEDED"
}

// draw decides what to write next.
func (c *client) draw() (call string, request proto.Message, at *written) {
	id := uuid.NewString()
	title := &registryv1.LocalizedText{It: "Servizio " + id + strings.Repeat(" e ancora", rand.N(50))}
	if len(c.records) == 0 || (len(c.records) < maxOwn && rand.N(4) == 0) {
		at = &written{}
		c.records = append(c.records, at)
		// The server chooses the id: a repetition that was taken for a new request
		// would make a second record.
		return "CreateService", &registryv1.CreateServiceRequest{
			Parent: "comuni/" + c.comune, RequestId: id,
			Service: &registryv1.Service{Title: title, Status: &registryv1.Status{State: registryv1.Status_ACTIVE}},
		}, at
	}
	at = c.records[rand.N(len(c.records))]
	switch {
	case at.deleted:
		return "UndeleteService", &registryv1.UndeleteServiceRequest{Name: at.name, Etag: at.etag, RequestId: id}, at
	case rand.N(8) == 0:
		return "DeleteService", &registryv1.DeleteServiceRequest{Name: at.name, Etag: at.etag, RequestId: id}, at
	default:
		return "UpdateService", &registryv1.UpdateServiceRequest{
			Service:    &registryv1.Service{Name: at.name, Etag: at.etag, Title: title},
			UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"title"}}, RequestId: id,
		}, at
	}
}

// note remembers an acknowledged state.
func (w *written) note(body any) {
	w.name, _ = find(body, "name").(string)
	w.etag, _ = find(body, "etag").(string)
	w.deleted = find(body, "deleteTime") != nil
}

// check stops the storm for a moment and compares what was acknowledged with
// what there is.
func (s *storm) check(t *testing.T, f *federation, comune string, feed *chain) {
	t.Helper()
	s.calm.Lock()
	defer s.calm.Unlock()
	acknowledged := map[string]*written{}
	for _, c := range s.clients {
		if c.err != nil {
			t.Fatalf("a client gave up: %v", c.err)
		}
		for _, w := range c.records {
			acknowledged[w.name] = w
		}
	}

	changed := map[string]bool{}
	err := feed.follow(t.Context(), f.conn(t, comune), func(body *feedv1.RevisionBody) {
		for _, change := range body.GetChanges() {
			changed[change.GetName()] = true
		}
	})
	if err != nil {
		t.Fatalf("the feed is broken: %v", err)
	}
	for name := range changed {
		if strings.Contains(name, "/services/") && acknowledged[name] == nil {
			t.Errorf("%s is in the feed, but no client was told of it", name)
		}
	}

	services := 0
	for name, bytes := range snapshot(t, f.conn(t, comune)) {
		if !strings.Contains(name, "/services/") {
			continue
		}
		services++
		record := &registryv1.Service{}
		if err := proto.Unmarshal(bytes, record); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		w := acknowledged[name]
		if w == nil {
			t.Errorf("%s is there, but no client was told of it: a write was made twice", name)
			continue
		}
		if record.GetEtag() != w.etag || (record.GetDeleteTime() != nil) != w.deleted {
			t.Errorf("%s is in state %s (deleted: %t), the last acknowledged is %s (deleted: %t)",
				name, record.GetEtag(), record.GetDeleteTime() != nil, w.etag, w.deleted)
		}
	}
	if services != len(acknowledged) {
		t.Errorf("%d records are there, %d were acknowledged", services, len(acknowledged))
	}

	f.sound(t, comune)
	if err := f.Settle(t.Context(), demo.Office, comune); err != nil {
		t.Fatal(err)
	}
	f.sameCopy(t, comune, demo.Office)
}
