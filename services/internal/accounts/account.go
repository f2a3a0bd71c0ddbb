package accounts

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-webauthn/webauthn/webauthn"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/annotationsv1"
	"cidsistem.example/proto/gen/identityv1"
	"cidsistem.example/services/internal/store"
	"cidsistem.example/services/internal/tokens"
)

// An account is what is kept of a person, with the secrets.
type account struct {
	ID          string
	Login       string
	DisplayName string
	Grants      []grant
	State       identityv1.Account_State
	Subject     string    `json:",omitzero"` // at the OIDC issuer
	Password    string    `json:",omitzero"` // PHC string
	Factors     []factor  `json:",omitzero"`
	Invitation  string    `json:",omitzero"` // the id of the one that is good
	Created     time.Time `json:",omitzero"`
	Updated     time.Time `json:",omitzero"`
	SignedIn    time.Time `json:",omitzero"`
	Etag        string
}

type grant struct {
	Role  annotationsv1.Role
	Scope string
}

// A factor is what proves a person beside the password.
type factor struct {
	ID      string
	Kind    identityv1.Factor_Kind
	Label   string
	Created time.Time
	Used    time.Time `json:",omitzero"`
	// Secret of a TOTP, base32, and the last time step whose code was used.
	Secret string `json:",omitzero"`
	Step   int64  `json:",omitzero"`
	// Passkey is a WebAuthn credential.
	Passkey *webauthn.Credential `json:",omitzero"`
	// Recovery are the SHA-256 of the codes that were not yet used.
	Recovery [][]byte `json:",omitzero"`
}

func accountKey(id string) store.LocalKey { return store.LocalKey{Area: areaAccounts, ID: id} }

// newID makes an id that says nothing.
func newID(prefix string) string {
	random := make([]byte, 13)
	_, _ = rand.Read(random) // never fails
	return prefix + strings.ToLower(base32.StdEncoding.EncodeToString(random))[:20]
}

// loginKey is where a login is looked up, without regard to case. It says
// nothing of the login to who does not have the secret.
func (a *Accounts) loginKey(login string) store.LocalKey {
	return store.LocalKey{Area: areaLogins, ID: a.blind(areaLogins, strings.ToLower(login))}
}

func (a *Accounts) subjectKey(subject string) store.LocalKey {
	return store.LocalKey{Area: areaSubjects, ID: a.blind(areaSubjects, subject)}
}

func (a *Accounts) blind(area, text string) string {
	sum := hmac.New(sha256.New, a.index)
	_, _ = sum.Write([]byte(area + "\x00" + text)) // never fails
	return hex.EncodeToString(sum.Sum(nil))
}

// account reads an account by its id, nil when there is none.
func (a *Accounts) account(r store.Reader, id string) (*account, error) {
	if id == "" {
		return nil, nil
	}
	return get[account](a, r, accountKey(id))
}

// accountAt reads the account to which an index leads.
func (a *Accounts) accountAt(r store.Reader, index store.LocalKey) (*account, error) {
	id, err := get[string](a, r, index)
	if err != nil || id == nil {
		return nil, err
	}
	return a.account(r, *id)
}

// touch notes a change that readers of the account see.
func (acc *account) touch(now time.Time) {
	acc.Updated = now
	random := make([]byte, 12)
	_, _ = rand.Read(random) // never fails
	acc.Etag = `"` + base64.RawURLEncoding.EncodeToString(random) + `"`
}

func (c *change) putAccount(acc *account) error { return c.put(accountKey(acc.ID), acc) }

// claim makes a login or a subject lead to an account, and no longer the one
// before; both are empty for none. It refuses one that leads to another account.
func (c *change) claim(key func(string) store.LocalKey, field, before, after string, acc *account) error {
	if after != "" {
		owner, err := get[string](c.a, c.Reader, key(after))
		if err != nil {
			return err
		}
		if owner != nil && *owner != acc.ID {
			return exists(field, c.a.accountName(*owner))
		}
	}
	if before != "" {
		c.remove(key(before))
	}
	if after != "" {
		return c.put(key(after), acc.ID)
	}
	return nil
}

// message is the account as callers see it.
func (a *Accounts) message(acc *account) *identityv1.Account {
	m := &identityv1.Account{
		Name: a.accountName(acc.ID), Login: acc.Login, DisplayName: acc.DisplayName, Grants: grantMessages(acc.Grants), State: acc.State,
		OidcSubject: acc.Subject, CreateTime: stamp(acc.Created), UpdateTime: stamp(acc.Updated), SignInTime: stamp(acc.SignedIn), Etag: acc.Etag,
	}
	for _, f := range acc.Factors {
		m.Factors = append(m.Factors, &identityv1.Factor{Id: f.ID, Kind: f.Kind, Label: f.Label, CreateTime: stamp(f.Created), UseTime: stamp(f.Used)})
	}
	return m
}

func stamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

func grantMessages(grants []grant) []*identityv1.Grant {
	var list []*identityv1.Grant
	for _, g := range grants {
		list = append(list, &identityv1.Grant{Role: g.Role, Scope: g.Scope})
	}
	return list
}

// grantsOf reads grants, and refuses those that this server cannot give.
func (a *Accounts) grantsOf(messages []*identityv1.Grant) ([]grant, error) {
	var list []grant
	for i, m := range messages {
		if !tokens.Grantable(a.name(), m) {
			return nil, apierror.Invalid(fmt.Sprintf("account.grants[%d]", i),
				fmt.Sprintf("%s over %s is not for %s to give: it gives roles over its own comune and itself, and reading roles over comuni/-", m.GetRole(), m.GetScope(), a.name()))
		}
		if g := (grant{m.GetRole(), m.GetScope()}); !slices.Contains(list, g) {
			list = append(list, g)
		}
	}
	return list, nil
}

// administers tells whether the account has the role that looks after accounts.
func (a *Accounts) administers(acc *account) bool {
	return slices.Contains(acc.Grants, grant{annotationsv1.Role_NODE_ADMINISTRATOR, a.name()})
}

// secondFactor tells whether the account has something beside the password that
// is asked for at every sign-in. Recovery codes alone are not.
func (acc *account) secondFactor() bool {
	return acc.has(identityv1.Factor_TOTP) || acc.has(identityv1.Factor_PASSKEY)
}

func (acc *account) has(kind identityv1.Factor_Kind) bool {
	return slices.ContainsFunc(acc.Factors, func(f factor) bool { return f.Kind == kind })
}

// hasPassword tells whether the person signs in here with a password: one who
// has a subject at the OIDC issuer does not.
func (acc *account) hasPassword() bool { return acc.Password != "" && acc.Subject == "" }
