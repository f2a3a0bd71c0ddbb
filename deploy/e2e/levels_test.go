package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"

	"cidsistem.example/deploy/demo"
	"cidsistem.example/proto/gen/registryv1"
)

// TestTwoLevels proves that an ufficio comune above another needs nothing but
// the one below: it answers for all comuni, passes writes down, and what is
// changed, deleted and purged at a node comes up to it.
func TestTwoLevels(t *testing.T) {
	const (
		above  = "regione"
		comune = "mazara-del-vallo"
		name   = "comuni/mazara-del-vallo/services/barca"
	)
	f := start(t, demo.Options{Above: above, PurgeAfter: time.Millisecond})
	top := grpcTransport{f.conn(t, above), nil}

	// A write through the office goes down to the node and comes up two levels.
	created := succeeds(t, grpcTransport{f.conn(t, demo.Office), f}, "ServiceService.CreateService", &registryv1.CreateServiceRequest{
		Parent: "comuni/" + comune, ServiceId: "barca",
		Service: &registryv1.Service{
			Title: &registryv1.LocalizedText{It: "Barca a vela"}, Status: &registryv1.Status{State: registryv1.Status_SEASONAL},
		},
	})
	own := succeeds(t, grpcTransport{f.conn(t, comune), nil}, "ServiceService.GetService", &registryv1.GetServiceRequest{Name: name})
	if a, b := find(created.body, "etag"), find(own.body, "etag"); a != b {
		t.Errorf("the top wrote %v, the node has %v", a, b)
	}
	everywhere := func(check func(answer, error) error) {
		t.Helper()
		for _, server := range []string{demo.Office, above} {
			took := soon(t, 10*time.Second, func(ctx context.Context) error {
				got, err := attempt(ctx, grpcTransport{f.conn(t, server), nil}, "ServiceService.GetService",
					&registryv1.GetServiceRequest{Name: name, ReadPreference: registryv1.ReadPreference_REPLICA_ONLY})
				if err := check(got, err); err != nil {
					return fmt.Errorf("at %s: %w", server, err)
				}
				return nil
			})
			t.Logf("at %s after %s", server, took.Round(time.Millisecond))
		}
	}
	everywhere(func(_ answer, err error) error { return err })
	f.sameCopy(t, comune, above)

	// One list and one search over all comuni, each with its freshness.
	list := succeeds(t, top, "ServiceService.ListServices", &registryv1.ListServicesRequest{Parent: "comuni/-"})
	for _, problem := range match("", map[string]any{
		"services": []any{map[string]any{"name": name}}, "unreachable": "<absent>",
		"coverage": []any{
			map[string]any{"comune": "comuni/marsala", "state": "CURRENT"},
			map[string]any{"comune": "comuni/mazara-del-vallo", "state": "CURRENT"},
			map[string]any{"comune": "comuni/pantelleria", "state": "CURRENT"},
		},
	}, list.body) {
		t.Error(problem)
	}
	soonFound(t, top, &registryv1.SearchRequest{Q: "barca a vela"}, "CURRENT")

	// A comune that is cut off below is stale above.
	f.Links["pantelleria"].Cut()
	soonFound(t, top, &registryv1.SearchRequest{Q: "barca a vela"}, "STALE")
	if err := f.Links["pantelleria"].Heal(t.Context()); err != nil {
		t.Fatal(err)
	}
	soonFound(t, top, &registryv1.SearchRequest{Q: "barca a vela"}, "CURRENT")

	// What is deleted is deleted everywhere, what is purged is gone everywhere.
	succeeds(t, grpcTransport{f.conn(t, comune), nil}, "ServiceService.DeleteService", &registryv1.DeleteServiceRequest{Name: name})
	everywhere(func(got answer, err error) error {
		if err == nil && find(got.body, "deleteTime") == nil {
			return fmt.Errorf("the record still lives")
		}
		return err
	})
	// A node purges when it starts, what is due by the second.
	pause(t, time.Second)
	if err := f.Nodes[comune].Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := f.Resume(t.Context(), comune); err != nil {
		t.Fatal(err)
	}
	everywhere(func(got answer, err error) error {
		if err == nil || got.failure == nil || got.failure.reason != "RESOURCE_NOT_FOUND" {
			return fmt.Errorf("the record is still there: %v, %w", got.body, err)
		}
		return nil
	})
	f.settle(t)
	f.sameCopy(t, comune, demo.Office)
	f.sameCopy(t, comune, above)
	for _, server := range []string{comune, demo.Office, above} {
		f.sound(t, server)
	}
}
