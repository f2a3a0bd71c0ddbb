package accounts

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"time"

	"cidsistem.example/proto/gen/auditv1"
	"cidsistem.example/services/internal/store"
)

// The areas of local entries.
const (
	areaAccounts    = "accounts"
	areaLogins      = "logins"      // to accounts, by HMAC of the login
	areaSubjects    = "subjects"    // to accounts, by HMAC of the subject at the OIDC issuer
	areaInvitations = "invitations" // by SHA-256 of the code
	areaSessions    = "sessions"
	areaEnded       = "ended-sessions"
	areaTickets     = "used-tickets"
	areaKeys        = "signing-keys"
	areaRefusals    = "refusals"
)

// get reads a sealed entry, nil when there is none.
func get[T any](a *Accounts, r store.Reader, key store.LocalKey) (*T, error) {
	sealed := r.Local(key)
	if sealed == nil {
		return nil, nil
	}
	return unseal[T](a, key, sealed)
}

func unseal[T any](a *Accounts, key store.LocalKey, sealed []byte) (*T, error) {
	text, err := a.vault.Open(key, sealed)
	if err != nil {
		return nil, err
	}
	value := new(T)
	if err := json.Unmarshal(text, value); err != nil {
		return nil, fmt.Errorf("read local entry %s of %s: %w", key.ID, key.Area, err)
	}
	return value, nil
}

// entries walks through an area, after an id.
func entries[T any](a *Accounts, r store.Reader, area, after string) iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) {
		for key, sealed := range r.LocalEntries(area, after) {
			value, err := unseal[T](a, key, sealed)
			if !yield(value, err) || err != nil {
				return
			}
		}
	}
}

// A change is what one commit does.
type change struct {
	store.Reader
	a   *Accounts
	now time.Time
	out store.Outcome
	// publish tells that keys or ended sessions change.
	publish bool
}

// commit makes a change. Nothing but its own variables may be touched by decide,
// and they may be read only when there is no error.
func (a *Accounts) commit(ctx context.Context, decide func(*change) error) error {
	publish := false
	_, err := a.store.Commit(ctx, store.Request{}, nil, func(r store.Reader, stamp store.Stamp) (store.Outcome, error) {
		c := &change{Reader: r, a: a, now: stamp.Time}
		if err := decide(c); err != nil {
			return store.Outcome{}, err
		}
		publish = c.publish
		return c.out, nil
	})
	if err != nil || !publish {
		return err
	}
	return a.publish()
}

// put seals here, inside the one writer, so that a rotation of the vault's keys
// that is under way misses nothing.
func (c *change) put(key store.LocalKey, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("write local entry of %s: %w", key.Area, err)
	}
	sealed, err := c.a.vault.Seal(key, text)
	if err != nil {
		return fmt.Errorf("seal local entry of %s: %w", key.Area, err)
	}
	c.out.Local = append(c.out.Local, store.LocalPut{Key: key, Value: sealed})
	return nil
}

func (c *change) remove(key store.LocalKey) {
	c.out.Local = append(c.out.Local, store.LocalPut{Key: key})
}

func (c *change) audit(entry *auditv1.AuditEntry) { c.out.Audit = append(c.out.Audit, entry) }
