package audit_test

import (
	"bytes"
	"crypto/ed25519"
	"io"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"cidsistem.example/proto/gen/auditv1"
	"cidsistem.example/services/internal/audit"
	"cidsistem.example/services/internal/policy"
	"cidsistem.example/services/internal/store"
	"cidsistem.example/services/internal/tokens"
	"cidsistem.example/services/platform/identity"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A clock that only a test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// key makes the key of a letter, always the same.
func key(letter byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{letter}, ed25519.SeedSize))
}

const node = "nodes/marsala"

func signer(k ed25519.PrivateKey) audit.Sign {
	return func(end store.AuditPlace, stamp store.Stamp) (*auditv1.AuditHead, error) {
		return audit.SignHead(k, node, end, stamp), nil
	}
}

func options(path string, c *clock) store.Options {
	return store.Options{Path: path, ServerID: "marsala", Comune: "marsala", Now: c.Now, NoSync: true, Logger: quiet()}
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func open(t testing.TB, o store.Options) *store.Store {
	t.Helper()
	s, err := store.Open(o)
	must(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func fresh(t testing.TB, c *clock) *store.Store {
	t.Helper()
	return open(t, options(filepath.Join(t.TempDir(), "registry.db"), c))
}

func entries(t testing.TB, s *store.Store) []*auditv1.AuditEntry {
	t.Helper()
	var all []*auditv1.AuditEntry
	must(t, s.View(func(r store.Reader) error {
		for entry, err := range r.AuditEntries(0, false) {
			if err != nil {
				return err
			}
			all = append(all, entry)
		}
		return nil
	}))
	return all
}

func lastHead(t testing.TB, s *store.Store) *auditv1.AuditHead {
	t.Helper()
	var head *auditv1.AuditHead
	must(t, s.View(func(r store.Reader) (err error) { head, err = r.LastAuditHead(); return err }))
	return head
}

func person(account string) *policy.Caller {
	return &policy.Caller{Person: &tokens.Claims{Account: node + "/accounts/" + account}}
}

var (
	stranger = &policy.Caller{Via: &identity.ID{Role: identity.RoleGateway, Name: "web"}}
	server   = &policy.Caller{Server: &identity.ID{Role: identity.RoleComune, Name: "pantelleria"}}
)
