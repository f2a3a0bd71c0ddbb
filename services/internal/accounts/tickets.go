package accounts

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"

	"cidsistem.example/proto/gen/identityv1"
	"cidsistem.example/services/internal/store"
)

// A ticket is what a caller keeps between the two halves of a ceremony, sealed.
// Nothing is stored when a ceremony begins, so strangers who begin many cost
// nothing; what is stored is that a ticket was used.
type ticket struct {
	ID      string
	Expires time.Time
	// Account and Etag are whose ceremony it is, and in which state of the account
	// it began; empty for one that begins with nobody.
	Account string `json:",omitzero"`
	Etag    string `json:",omitzero"`
	// Login is the key of the account's login, under which failures are counted.
	Login string `json:",omitzero"`
	// Methods are how the person was proven before.
	Methods []string `json:",omitzero"`
	// Kind and Secret are of a factor to be added: its kind, and a TOTP's key.
	Kind   identityv1.Factor_Kind `json:",omitzero"`
	Secret string                 `json:",omitzero"`
	// Challenge is that of a passkey.
	Challenge string `json:",omitzero"`
	// State, Nonce and Verifier (RFC 7636) are of a sign-in at an OIDC issuer.
	State    string `json:",omitzero"`
	Nonce    string `json:",omitzero"`
	Verifier string `json:",omitzero"`
}

// A purpose is what a ticket is good for.
type purpose string

const (
	forChallenge purpose = "challenge"
	forPasskey   purpose = "passkey sign-in"
	forFactor    purpose = "factor"
	forOIDC      purpose = "oidc"
)

// How long tickets are good.
const (
	challengeLifetime = 5 * time.Minute
	ceremonyLifetime  = 10 * time.Minute
)

// sealedAs ties a ticket to its purpose; there is no such entry.
func (p purpose) sealedAs() store.LocalKey { return store.LocalKey{Area: "tickets", ID: string(p)} }

// issue seals a ticket.
func (a *Accounts) issue(p purpose, lifetime time.Duration, t ticket) (string, error) {
	t.ID, t.Expires = newID("t"), a.store.Now().Add(lifetime)
	text, err := json.Marshal(t)
	if err != nil {
		return "", fmt.Errorf("write a ticket: %w", err)
	}
	sealed, err := a.vault.Seal(p.sealedAs(), text)
	if err != nil {
		return "", fmt.Errorf("seal a ticket: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(sealed), nil
}

// open reads a ticket that was sealed for a purpose and has not expired, nil for
// any other text.
func (a *Accounts) open(p purpose, text string) *ticket {
	sealed, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return nil
	}
	plain, err := a.vault.Open(p.sealedAs(), sealed)
	if err != nil {
		return nil
	}
	t := &ticket{}
	if json.Unmarshal(plain, t) != nil || !a.store.Now().Before(t.Expires) {
		return nil
	}
	return t
}

// maxTries is how many wrong answers a ticket takes.
const maxTries = 5

// A ticketUse is what is known of a ticket that was answered.
type ticketUse struct {
	ID      string
	Expires time.Time
	Wrong   int
	Done    bool
}

// use reads what is known of a ticket; good tells that it may be answered.
func (c *change) use(t *ticket) (use *ticketUse, good bool, err error) {
	use, err = get[ticketUse](c.a, c.Reader, store.LocalKey{Area: areaTickets, ID: t.ID})
	if err != nil {
		return nil, false, err
	}
	if use == nil {
		use = &ticketUse{ID: t.ID, Expires: t.Expires}
	}
	return use, !use.Done && use.Wrong < maxTries && c.now.Before(t.Expires), nil
}

func (c *change) putUse(use *ticketUse) error {
	return c.put(store.LocalKey{Area: areaTickets, ID: use.ID}, use)
}

func (c *change) wrong(use *ticketUse) error {
	use.Wrong++
	return c.putUse(use)
}

func (c *change) done(use *ticketUse) error {
	use.Done = true
	return c.putUse(use)
}
