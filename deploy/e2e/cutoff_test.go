package e2e

import (
	"context"
	"fmt"
	"strconv"
	"testing"
	"time"

	"cidsistem.example/deploy/demo"
	"cidsistem.example/proto/gen/registryv1"
)

// visibleWithin is what the contract promises: a change of a node that was away
// is at the ufficio comune this soon after its link is healed.
const visibleWithin = 2 * time.Second

// TestCutOffComune proves what people and operators meet when the link to the
// island breaks: its last known services are still found, with their age; a
// write is refused with the time to try again and nothing is lost; and all is
// well at once when the link heals.
func TestCutOffComune(t *testing.T) {
	f := start(t, demo.Options{})
	const island = "comuni/pantelleria"
	rest := restTransport{address: f.HTTP(), inHeaders: true, people: f}
	own := registryv1.NewServiceServiceClient(f.conn(t, "pantelleria"))

	create := func(id, title string) *registryv1.CreateServiceRequest {
		return &registryv1.CreateServiceRequest{Parent: island, ServiceId: id, Service: &registryv1.Service{
			Title: &registryv1.LocalizedText{It: title}, Status: &registryv1.Status{State: registryv1.Status_ACTIVE},
		}}
	}
	succeeds(t, rest, "ServiceService.CreateService", create("trasporto", "Trasporto a chiamata"))
	search := &registryv1.SearchRequest{Q: "trasporto chiamata"}
	before := soonFound(t, rest, search, "CURRENT")
	if size := fmt.Sprint(find(before, "totalSize")); size != "1" {
		t.Fatalf("found %s, want 1: %v", size, before)
	}

	cut := time.Now()
	f.Links["pantelleria"].Cut()
	// The last known services are found; the answer says since when.
	stale := soonFound(t, rest, search, "STALE")
	asOf := coverageOf(t, stale, island)["asOfTime"]
	since, err := time.Parse(time.RFC3339Nano, fmt.Sprint(asOf))
	if err != nil || since.After(time.Now()) || since.Before(cut.Add(-time.Minute)) || since.After(cut.Add(time.Second)) {
		t.Errorf("the copy is as of %v, the link was cut at %v (%v)", asOf, cut, err)
	}
	for _, problem := range match("", map[string]any{
		"totalSize": 1, "unreachable": "<absent>",
		"hits":     []any{map[string]any{"name": island + "/services/trasporto", "title": "Trasporto a chiamata"}},
		"coverage": []any{map[string]any{"state": "CURRENT"}, map[string]any{"state": "CURRENT"}, map[string]any{"state": "STALE"}},
	}, stale) {
		t.Error(problem)
	}
	// A single record says it in headers.
	record := succeeds(t, rest, "ServiceService.GetService", &registryv1.GetServiceRequest{Name: island + "/services/trasporto"})
	recordAsOf, err := time.Parse(time.RFC3339Nano, record.meta["cid-as-of"])
	if record.meta["cid-coverage"] != "stale" || err != nil || !recordAsOf.Equal(since) {
		t.Errorf("the record is %q as of %q, want stale as of %v", record.meta["cid-coverage"], record.meta["cid-as-of"], asOf)
	}
	// Who wants nothing stale is told that there is nothing.
	unreachable(t, rest, "ServiceService.ListServices", &registryv1.ListServicesRequest{Parent: island, ReadPreference: registryv1.ReadPreference_LIVE_ONLY})

	// A write is refused, on every attempt; the other comuni do not notice.
	lost := create("sportello", "Sportello disabilità")
	lost.RequestId = "5f0c5e1e-8f4e-4c63-9a5e-2f6f3f1d7a10"
	for range 2 {
		got := unreachable(t, rest, "ServiceService.CreateService", lost)
		if wait, err := strconv.Atoi(got.meta["retry-after"]); err != nil || wait < 1 {
			t.Errorf("Retry-After is %q, want seconds", got.meta["retry-after"])
		}
	}
	elsewhere := create("sportello", "Sportello disabilità")
	elsewhere.Parent = "comuni/marsala"
	succeeds(t, rest, "ServiceService.CreateService", elsewhere)

	// Meanwhile the island's own node works.
	alone, err := own.CreateService(t.Context(), create("ambulatorio", "Ambulatorio mobile"))
	if err != nil {
		t.Fatalf("the node of the island does not work alone: %v", err)
	}
	if late := coverageOf(t, soonFound(t, rest, search, "STALE"), island)["asOfTime"]; late != asOf {
		t.Errorf("the copy is as of %v, later as of %v, though the link is cut", asOf, late)
	}

	f.healed(t, rest, alone.GetName())
	soonFound(t, rest, &registryv1.SearchRequest{Q: "ambulatorio mobile"}, "CURRENT")

	// The refused write, sent once more, is made once.
	first := succeeds(t, rest, "ServiceService.CreateService", lost)
	second := succeeds(t, rest, "ServiceService.CreateService", lost)
	if a, b := find(first.body, "etag"), find(second.body, "etag"); a != b {
		t.Errorf("the repeated write is another: %v, then %v", a, b)
	}
	list := succeeds(t, rest, "ServiceService.ListServices", &registryv1.ListServicesRequest{Parent: island})
	for _, problem := range match("", map[string]any{"services": []any{
		map[string]any{"name": island + "/services/ambulatorio"},
		map[string]any{"name": island + "/services/sportello"},
		map[string]any{"name": island + "/services/trasporto"},
	}}, list.body) {
		t.Error(problem)
	}
	f.settle(t)
	f.sameCopy(t, "pantelleria", demo.Office)

	// However long the link was cut: waits between attempts grow meanwhile.
	for i, away := range []time.Duration{0, 500 * time.Millisecond, 2 * time.Second} {
		f.Links["pantelleria"].Cut()
		pause(t, away)
		again, err := own.CreateService(t.Context(), create(fmt.Sprintf("ancora-%d", i), "Ancora"))
		if err != nil {
			t.Fatal(err)
		}
		f.healed(t, rest, again.GetName())
	}
}

// healed heals the link to the island, and measures how long it takes for a
// record to be at the ufficio comune.
func (f *federation) healed(t *testing.T, over transport, name string) {
	t.Helper()
	began := time.Now()
	if err := f.Links["pantelleria"].Heal(t.Context()); err != nil {
		t.Fatal(err)
	}
	soon(t, 10*time.Second, func(ctx context.Context) error {
		_, err := attempt(ctx, over, "ServiceService.GetService", &registryv1.GetServiceRequest{Name: name, ReadPreference: registryv1.ReadPreference_REPLICA_ONLY})
		return err
	})
	took := time.Since(began)
	t.Logf("a change of the cut-off node was at the ufficio comune %s after healing", took.Round(time.Millisecond))
	if took > visibleWithin {
		t.Errorf("it took %s, the contract says %s", took, visibleWithin)
	}
}

// coverageOf is what an answer says of one comune.
func coverageOf(t *testing.T, document any, comune string) map[string]any {
	t.Helper()
	list, _ := find(document, "coverage").([]any)
	for _, one := range list {
		if find(one, "comune") == comune {
			return one.(map[string]any)
		}
	}
	t.Fatalf("the answer does not cover %s: %v", comune, document)
	return nil
}

// soonFound searches until the answer has a hit and the island is in a state.
func soonFound(t *testing.T, over transport, request *registryv1.SearchRequest, state string) any {
	t.Helper()
	var found any
	soon(t, 10*time.Second, func(ctx context.Context) error {
		got, err := attempt(ctx, over, "SearchService.Search", request)
		if err != nil {
			return err
		}
		found = got.body
		if is := coverageOf(t, found, "comuni/pantelleria")["state"]; is != state || find(found, "hits") == nil {
			return fmt.Errorf("pantelleria is %v, want %s: %v", is, state, found)
		}
		return nil
	})
	return found
}
