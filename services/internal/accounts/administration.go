package accounts

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/auditv1"
	"cidsistem.example/proto/gen/identityv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/pagetoken"
	"cidsistem.example/services/internal/policy"
	"cidsistem.example/services/internal/store"
)

// invitationLifetime is for how long a code of an invitation is good.
const invitationLifetime = 7 * 24 * time.Hour

// An invitation lets a person choose a password once.
type invitation struct {
	ID      string
	Account string
	Expires time.Time
}

// invitationKey is where the invitation of a code is: only who has the code finds
// it.
func invitationKey(code string) store.LocalKey {
	sum := sha256.Sum256([]byte(plainCode(code)))
	return store.LocalKey{Area: areaInvitations, ID: hex.EncodeToString(sum[:])}
}

// invited is the account that an invitation is for, nil when it is not good.
func (a *Accounts) invited(r store.Reader, key store.LocalKey, now time.Time) (*account, error) {
	i, err := get[invitation](a, r, key)
	if err != nil || i == nil || !now.Before(i.Expires) {
		return nil, err
	}
	acc, err := a.account(r, i.Account)
	if err != nil || acc == nil || acc.Invitation != key.ID || acc.Subject != "" {
		return nil, err
	}
	return acc, nil
}

// invite makes a code for an account, and ends the one before. The caller writes
// the account.
func (c *change) invite(acc *account) (code string, expires time.Time, err error) {
	c.withdraw(acc)
	code = grouped(rand.Text()[:24]) // 120 bits
	key := invitationKey(code)
	acc.Invitation, expires = key.ID, c.now.Add(invitationLifetime)
	return code, expires, c.put(key, invitation{ID: key.ID, Account: acc.ID, Expires: expires})
}

// withdraw ends the invitation of an account.
func (c *change) withdraw(acc *account) {
	if acc.Invitation != "" {
		c.remove(store.LocalKey{Area: areaInvitations, ID: acc.Invitation})
		acc.Invitation = ""
	}
}

func exists(field, name string) error {
	return apierror.New(registryv1.ErrorReason_RESOURCE_EXISTS, field+": belongs to another account", apierror.With("name", name), apierror.Field(field, "belongs to another account"))
}

// GetAccount gets an account.
func (a *Accounts) GetAccount(_ context.Context, request *identityv1.GetAccountRequest) (*identityv1.Account, error) {
	id, err := a.accountID(request.GetName())
	if err != nil {
		return nil, err
	}
	acc, err := a.lookUp(func(r store.Reader) (*account, error) { return a.account(r, id) })
	if err != nil {
		return nil, err
	}
	if acc == nil {
		return nil, apierror.NotFound(request.GetName())
	}
	return a.message(acc), nil
}

// ListAccounts lists accounts by name.
func (a *Accounts) ListAccounts(_ context.Context, request *identityv1.ListAccountsRequest) (*identityv1.ListAccountsResponse, error) {
	if err := a.own(request.GetParent()); err != nil {
		return nil, err
	}
	token, err := pagetoken.Decode(request, request.GetPageToken())
	if err != nil {
		return nil, err
	}
	size := pagetoken.Size(request.GetPageSize(), 50, 1000)
	response := &identityv1.ListAccountsResponse{}
	err = a.store.View(func(r store.Reader) error {
		last := ""
		for acc, err := range entries[account](a, r, areaAccounts, string(token.Key)) {
			if err != nil {
				return err
			}
			if len(response.GetAccounts()) == size {
				response.NextPageToken = pagetoken.Encode(request, pagetoken.Token{Key: []byte(last)})
				return nil
			}
			response.Accounts = append(response.Accounts, a.message(acc))
			last = acc.ID
		}
		return nil
	})
	return response, err
}

// CreateAccount makes an account, which its person enters with an invitation or
// at the OIDC issuer.
func (a *Accounts) CreateAccount(ctx context.Context, request *identityv1.CreateAccountRequest) (*identityv1.Account, error) {
	if err := a.own(request.GetParent()); err != nil {
		return nil, err
	}
	m := request.GetAccount()
	if err := a.validate(m, "account"); err != nil {
		return nil, err
	}
	grants, err := a.grantsOf(m.GetGrants())
	if err != nil {
		return nil, err
	}
	var created *account
	err = a.commit(ctx, func(c *change) error {
		acc := &account{
			ID: newID("a"), Login: m.GetLogin(), DisplayName: m.GetDisplayName(), Grants: grants, Subject: m.GetOidcSubject(),
			State: identityv1.Account_INVITED, Created: c.now,
		}
		acc.touch(c.now)
		created = acc
		c.audit(policy.Of(ctx).Entry(createAccount, a.accountName(acc.ID), auditv1.AuditEntry_DONE))
		return errors.Join(c.index(acc, "", ""), c.putAccount(acc))
	})
	if err != nil {
		return nil, err
	}
	return a.message(created), nil
}

// index makes an account's login and subject lead to it.
func (c *change) index(acc *account, login, subject string) error {
	if err := c.claim(c.a.loginKey, "account.login", login, acc.Login, acc); err != nil {
		return err
	}
	return c.claim(c.a.subjectKey, "account.oidcSubject", subject, acc.Subject, acc)
}

// UpdateAccount changes an account.
func (a *Accounts) UpdateAccount(ctx context.Context, request *identityv1.UpdateAccountRequest) (*identityv1.Account, error) {
	id, err := a.accountID(request.GetAccount().GetName())
	if err != nil {
		return nil, err
	}
	paths, err := changedPaths(request)
	if err != nil {
		return nil, err
	}
	var updated *account
	err = a.commit(ctx, func(c *change) error {
		acc, err := a.account(c.Reader, id)
		if err != nil {
			return err
		}
		if acc == nil {
			return apierror.NotFound(request.GetAccount().GetName())
		}
		if etag := request.GetAccount().GetEtag(); etag != "" && etag != acc.Etag {
			return apierror.New(registryv1.ErrorReason_ETAG_MISMATCH, "the account was changed meanwhile; read it again", apierror.With("etag", acc.Etag))
		}
		before := *acc
		if err := a.apply(acc, request.GetAccount(), paths); err != nil {
			return err
		}
		if err := a.validate(a.message(acc), "account"); err != nil {
			return err
		}
		if err := c.keepAdministrator(&before, acc); err != nil {
			return err
		}
		if err := c.index(acc, before.Login, before.Subject); err != nil {
			return err
		}
		if acc.State != before.State || acc.Subject != before.Subject || !slices.Equal(acc.Grants, before.Grants) {
			if err := c.endSessions(acc.ID, ""); err != nil {
				return err
			}
		}
		if acc.Subject != "" {
			c.withdraw(acc)
		}
		acc.touch(c.now)
		entry := policy.Of(ctx).Entry(updateAccount, a.accountName(acc.ID), auditv1.AuditEntry_DONE)
		if entry.GetReason() == "" {
			entry.Reason = strings.Join(paths, ", ")
		}
		c.audit(entry)
		updated = acc
		return c.putAccount(acc)
	})
	if err != nil {
		return nil, err
	}
	return a.message(updated), nil
}

// changedPaths are the fields to change.
func changedPaths(request *identityv1.UpdateAccountRequest) ([]string, error) {
	known := []string{"login", "display_name", "grants", "state", "oidc_subject"}
	m := request.GetAccount().ProtoReflect()
	paths := request.GetUpdateMask().GetPaths()
	if len(paths) == 0 {
		for _, path := range known {
			if m.Has(m.Descriptor().Fields().ByTextName(path)) {
				paths = append(paths, path)
			}
		}
		return paths, nil
	}
	for _, path := range paths {
		if !slices.Contains(known, path) {
			return nil, apierror.Invalid("updateMask", fmt.Sprintf("%q cannot be changed; it takes %s", path, strings.Join(known, ", ")))
		}
	}
	return paths, nil
}

func (a *Accounts) apply(acc *account, m *identityv1.Account, paths []string) (err error) {
	for _, path := range paths {
		switch path {
		case "login":
			acc.Login = m.GetLogin()
		case "display_name":
			acc.DisplayName = m.GetDisplayName()
		case "oidc_subject":
			acc.Subject = m.GetOidcSubject()
		case "grants":
			if acc.Grants, err = a.grantsOf(m.GetGrants()); err != nil {
				return err
			}
		case "state":
			if acc.State, err = nextState(acc, m.GetState()); err != nil {
				return err
			}
		}
	}
	return nil
}

// nextState suspends an account, or takes that back: who never chose a password
// is invited again.
func nextState(acc *account, asked identityv1.Account_State) (identityv1.Account_State, error) {
	switch {
	case asked == acc.State, asked == identityv1.Account_SUSPENDED:
		return asked, nil
	case acc.State == identityv1.Account_SUSPENDED && acc.Password == "" && acc.SignedIn.IsZero():
		return identityv1.Account_INVITED, nil
	case acc.State == identityv1.Account_SUSPENDED && asked == identityv1.Account_ACTIVE:
		return asked, nil
	default:
		return 0, apierror.Invalid("account.state", fmt.Sprintf("cannot become %s from %s; an account is suspended and made active again, and becomes active with its first sign-in", asked, acc.State))
	}
}

// keepAdministrator refuses a change after which nobody could look after
// accounts; after is nil for an account that goes.
func (c *change) keepAdministrator(before, after *account) error {
	active := func(acc *account) bool {
		return acc != nil && acc.State == identityv1.Account_ACTIVE && c.a.administers(acc)
	}
	if !active(before) || active(after) {
		return nil
	}
	for acc, err := range entries[account](c.a, c.Reader, areaAccounts, "") {
		if err != nil {
			return err
		}
		if acc.ID != before.ID && active(acc) {
			return nil
		}
	}
	return apierror.New(registryv1.ErrorReason_NOT_ALLOWED, "this is the last active administrator; make another one first")
}

// DeleteAccount erases an account with its secrets and sessions.
func (a *Accounts) DeleteAccount(ctx context.Context, request *identityv1.DeleteAccountRequest) (*identityv1.DeleteAccountResponse, error) {
	id, err := a.accountID(request.GetName())
	if err != nil {
		return nil, err
	}
	err = a.commit(ctx, func(c *change) error {
		acc, err := a.account(c.Reader, id)
		if err != nil {
			return err
		}
		if acc == nil {
			return apierror.NotFound(request.GetName())
		}
		if err := c.keepAdministrator(acc, nil); err != nil {
			return err
		}
		c.withdraw(acc)
		c.remove(a.loginKey(acc.Login))
		if acc.Subject != "" {
			c.remove(a.subjectKey(acc.Subject))
		}
		c.remove(accountKey(acc.ID))
		c.audit(policy.Of(ctx).Entry(deleteAccount, a.accountName(acc.ID), auditv1.AuditEntry_DONE))
		return c.endSessions(acc.ID, "")
	})
	if err != nil {
		return nil, err
	}
	return &identityv1.DeleteAccountResponse{}, nil
}

// InviteAccount makes a code with which the person chooses a password.
func (a *Accounts) InviteAccount(ctx context.Context, request *identityv1.InviteAccountRequest) (*identityv1.InviteAccountResponse, error) {
	id, err := a.accountID(request.GetName())
	if err != nil {
		return nil, err
	}
	var response *identityv1.InviteAccountResponse
	err = a.commit(ctx, func(c *change) error {
		acc, err := a.account(c.Reader, id)
		if err != nil {
			return err
		}
		switch {
		case acc == nil:
			return apierror.NotFound(request.GetName())
		case acc.Subject != "":
			return apierror.Invalid("name", "the person signs in at the OIDC issuer; empty oidcSubject first")
		case acc.State == identityv1.Account_SUSPENDED:
			return apierror.Invalid("name", "the account is suspended; make it active first")
		}
		entry := policy.Of(ctx).Entry(inviteAccount, a.accountName(acc.ID), auditv1.AuditEntry_DONE)
		if request.GetResetFactors() {
			acc.Factors = nil
			entry.Reason = strings.TrimPrefix(entry.GetReason()+"; the second factors were reset", "; ")
			if err := c.endSessions(acc.ID, ""); err != nil {
				return err
			}
		}
		code, expires, err := c.invite(acc)
		if err != nil {
			return err
		}
		acc.touch(c.now)
		c.audit(entry)
		response = &identityv1.InviteAccountResponse{Code: code, ExpireTime: timestamppb.New(expires)}
		return c.putAccount(acc)
	})
	if err != nil {
		return nil, err
	}
	return response, nil
}
