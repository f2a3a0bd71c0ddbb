package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"cidsistem.example/deploy/demo"
	"cidsistem.example/proto/gen/adminv1"
	"cidsistem.example/proto/gen/federationv1"
	"cidsistem.example/proto/gen/registryv1"
)

// TestRestoredBackup proves that a node which goes back in time is noticed,
// whoever put the old data in place and however: the ufficio comune takes its
// copy anew, and shows neither what the backup has not nor what it missed.
func TestRestoredBackup(t *testing.T) {
	const comune = "marsala"
	f := start(t, demo.Options{})
	node := f.Nodes[comune]
	r := &restored{t: t, federation: f, comune: comune, services: registryv1.NewServiceServiceClient(f.conn(t, comune))}
	dataFile := filepath.Join(f.DataDir(comune), "registry.db")

	t.Run("by the program, from a backup taken while it worked", func(t *testing.T) {
		r.t = t
		r.write("prima")
		backup := filepath.Join(f.dir, "marsala.backup")
		r.backup(backup)
		r.write("persa")
		f.settle(t)
		before := r.snapshots()
		r.stop(node)
		if err := node.Run(t.Context(), "restore", "--from", backup); err != nil {
			t.Fatal(err)
		}
		r.resume()
		r.noticed(before)
		r.has("prima", true)
		r.has("persa", false)
		r.write("dopo")
		r.has("dopo", true)
	})

	t.Run("by hand, from a copy that is behind its reader", func(t *testing.T) {
		r.t = t
		r.stop(node)
		old := r.read(dataFile)
		r.resume()
		for i := range 5 {
			r.write(fmt.Sprintf("smarrita-%d", i))
		}
		f.settle(t)
		before := r.snapshots()
		r.stop(node)
		r.put(dataFile, old)
		r.resume()
		r.noticed(before)
		r.has("dopo", true)
		r.has("smarrita-4", false)
	})

	t.Run("by hand, from a copy that was written past its reader", func(t *testing.T) {
		r.t = t
		r.stop(node)
		old := r.read(dataFile)
		r.resume()
		r.write("svanita")
		f.settle(t)
		before := r.snapshots()
		// The reader is away while the other history grows beyond what it knows.
		f.Links[comune].Cut()
		r.stop(node)
		r.put(dataFile, old)
		r.resume()
		for i := range 10 {
			r.write(fmt.Sprintf("altra-%d", i))
		}
		if err := f.Links[comune].Heal(t.Context()); err != nil {
			t.Fatal(err)
		}
		r.noticed(before)
		r.has("altra-9", true)
		r.has("svanita", false)
	})
}

// restored does what the cases have in common.
type restored struct {
	*federation
	t        *testing.T
	comune   string
	services registryv1.ServiceServiceClient
}

func (r *restored) write(id string) {
	r.t.Helper()
	_, err := r.services.CreateService(r.t.Context(), &registryv1.CreateServiceRequest{
		Parent: "comuni/" + r.comune, ServiceId: id,
		Service: &registryv1.Service{
			Title: &registryv1.LocalizedText{It: "Servizio " + id}, Status: &registryv1.Status{State: registryv1.Status_ACTIVE},
		},
	})
	if err != nil {
		r.t.Fatal(err)
	}
}

// backup writes what StreamBackup sends into a file.
func (r *restored) backup(path string) {
	r.t.Helper()
	stream, err := adminv1.NewStoreServiceClient(r.local(r.t, r.comune)).StreamBackup(r.t.Context(), &adminv1.StreamBackupRequest{})
	if err != nil {
		r.t.Fatal(err)
	}
	var content bytes.Buffer
	for {
		piece, err := stream.Recv()
		if err != nil {
			r.t.Fatal(err)
		}
		content.Write(piece.GetData())
		if sum := piece.GetSha256(); len(sum) > 0 {
			if want := sha256.Sum256(content.Bytes()); !bytes.Equal(sum, want[:]) {
				r.t.Fatal("the sum of the backup is not that of its bytes")
			}
			break
		}
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		r.t.Fatalf("the backup goes on after its sum: %v", err)
	}
	r.put(path, content.Bytes())
}

func (r *restored) stop(node *demo.Process) {
	r.t.Helper()
	if err := node.Stop(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
}

func (r *restored) resume() {
	r.t.Helper()
	if err := r.Resume(r.t.Context(), r.comune); err != nil {
		r.t.Fatal(err)
	}
}

func (r *restored) read(path string) []byte {
	r.t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		r.t.Fatal(err)
	}
	return content
}

func (r *restored) put(path string, content []byte) {
	r.t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// snapshots is how often the ufficio comune took its copy anew.
func (r *restored) snapshots() int64 {
	r.t.Helper()
	node, err := federationv1.NewFederationServiceClient(r.conn(r.t, demo.Office)).GetNode(r.t.Context(), &federationv1.GetNodeRequest{Name: "nodes/" + r.comune})
	if err != nil {
		r.t.Fatal(err)
	}
	return node.GetSnapshots()
}

// noticed waits until the ufficio comune has taken its copy anew, once, and then
// compares all there is.
func (r *restored) noticed(before int64) {
	r.t.Helper()
	took := soon(r.t, 15*time.Second, func(context.Context) error {
		if now := r.snapshots(); now <= before {
			return fmt.Errorf("snapshots: %d, before the restore %d", now, before)
		}
		return nil
	})
	r.settle(r.t)
	if now := r.snapshots(); now != before+1 {
		r.t.Errorf("the copy was taken anew %d times, want once", now-before)
	}
	r.t.Logf("noticed, and copied anew, within %s", took.Round(time.Millisecond))
	r.sound(r.t, r.comune)
	r.sound(r.t, demo.Office)
	r.sameCopy(r.t, r.comune, demo.Office)
}

// has looks for a service at the node, at the ufficio comune, and by search at
// both.
func (r *restored) has(id string, want bool) {
	r.t.Helper()
	r.settle(r.t)
	name := "comuni/" + r.comune + "/services/" + id
	for _, server := range []string{r.comune, demo.Office} {
		over := grpcTransport{r.conn(r.t, server), nil}
		got, err := attempt(r.t.Context(), over, "ServiceService.GetService", &registryv1.GetServiceRequest{Name: name})
		switch {
		case want && err != nil:
			r.t.Errorf("%s: %v", server, err)
		case !want && (got.failure == nil || got.failure.reason != "RESOURCE_NOT_FOUND"):
			r.t.Errorf("%s still has %s: %v", server, name, err)
		}
		soon(r.t, 10*time.Second, func(ctx context.Context) error {
			got, err := attempt(ctx, over, "SearchService.Search", &registryv1.SearchRequest{Q: "servizio " + id, PageSize: 100})
			if err != nil {
				return err
			}
			found := len(match("", map[string]any{"hits": map[string]any{"<includes>": []any{map[string]any{"name": name}}}}, got.body)) == 0
			if found != want {
				return fmt.Errorf("search at %s finds %s: %t, want %t", server, name, found, want)
			}
			return nil
		})
	}
}
