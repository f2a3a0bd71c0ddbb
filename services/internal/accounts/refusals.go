package accounts

import (
	"context"
	"time"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/auditv1"
	"cidsistem.example/proto/gen/identityv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/policy"
	"cidsistem.example/services/internal/store"
)

// errRefused is the one answer to whoever does not get in.
func errRefused() error {
	return apierror.New(registryv1.ErrorReason_SIGN_IN_REFUSED,
		"the login, the password or the code is not right, or the account cannot be used")
}

// Why somebody did not get in, in the audit log.
const (
	whyPassword   = "wrong password"
	whyCode       = "wrong code"
	whyPasskey    = "wrong passkey"
	whyState      = "the account is not active"
	whyChanged    = "the account changed meanwhile"
	whyTicket     = "the challenge was used, answered wrongly too often, or has expired"
	whyReused     = "the refresh token was used before: the session is ended"
	whyInvitation = "the invitation has ended"
)

// entry is an audit entry of a person who signs in, and so is the actor.
func (a *Accounts) entry(ctx context.Context, action string, acc *account, outcome auditv1.AuditEntry_Outcome, reason string) *auditv1.AuditEntry {
	entry := policy.Of(ctx).Entry(action, a.accountName(acc.ID), outcome)
	entry.Actor = entry.GetResource()
	entry.Reason = reason
	return entry
}

// refuse notes that somebody did not get in: for a known account at once, for a
// stranger counted. Both take one commit, so that time tells nothing.
func (a *Accounts) refuse(ctx context.Context, action string, acc *account, reason string) error {
	err := a.commit(ctx, func(c *change) error { return c.refuse(ctx, action, acc, reason) })
	if err != nil {
		return err
	}
	return errRefused()
}

func (c *change) refuse(ctx context.Context, action string, acc *account, reason string) error {
	if acc != nil {
		c.audit(c.a.entry(ctx, action, acc, auditv1.AuditEntry_REFUSED, reason))
		return nil
	}
	return c.refuseStranger(policy.Of(ctx).Entry(action, c.a.name(), auditv1.AuditEntry_REFUSED))
}

// refusals are those of strangers that are counted in one entry.
type refusals struct {
	ID                  string
	Since               time.Time
	Actor, Via          string
	Action, Resource, R string
	Count               int64
}

// countFor is for how long refusals of strangers are counted in one entry.
const countFor = time.Minute

func (c *change) refuseStranger(entry *auditv1.AuditEntry) error {
	entry.Reason = "unknown account, or a code or token that was never good"
	id := entry.GetAction() + " " + entry.GetActor() + " " + entry.GetVia()
	key := store.LocalKey{Area: areaRefusals, ID: id}
	r, err := get[refusals](c.a, c.Reader, key)
	if err != nil {
		return err
	}
	if r != nil && c.now.Sub(r.Since) >= countFor {
		c.audit(r.entry())
		r = nil
	}
	if r == nil {
		r = &refusals{ID: id, Since: c.now, Actor: entry.GetActor(), Via: entry.GetVia(), Action: entry.GetAction(), Resource: entry.GetResource(), R: entry.GetReason()}
	}
	r.Count++
	return c.put(key, r)
}

// countRefusals writes the entries whose time of counting is over.
func (c *change) countRefusals() error {
	for r, err := range entries[refusals](c.a, c.Reader, areaRefusals, "") {
		if err != nil {
			return err
		}
		if c.now.Sub(r.Since) >= countFor {
			c.audit(r.entry())
			c.remove(store.LocalKey{Area: areaRefusals, ID: r.ID})
		}
	}
	return nil
}

func (r *refusals) entry() *auditv1.AuditEntry {
	return &auditv1.AuditEntry{
		Actor: r.Actor, Via: r.Via, Action: r.Action, Resource: r.Resource, Reason: r.R, Count: r.Count, Outcome: auditv1.AuditEntry_REFUSED,
	}
}

// The full names of the methods that leave entries.
const (
	createAccount  = identityv1.AccountService_CreateAccount_FullMethodName
	updateAccount  = identityv1.AccountService_UpdateAccount_FullMethodName
	deleteAccount  = identityv1.AccountService_DeleteAccount_FullMethodName
	inviteAccount  = identityv1.AccountService_InviteAccount_FullMethodName
	signIn         = identityv1.SessionService_SignIn_FullMethodName
	answer         = identityv1.SessionService_AnswerChallenge_FullMethodName
	finishOIDC     = identityv1.SessionService_FinishOidcSignIn_FullMethodName
	redeem         = identityv1.SessionService_RedeemInvitation_FullMethodName
	refreshSession = identityv1.SessionService_RefreshSession_FullMethodName
	signOut        = identityv1.SessionService_SignOut_FullMethodName
	changePassword = identityv1.SessionService_ChangePassword_FullMethodName
	beginFactor    = identityv1.SessionService_BeginFactor_FullMethodName
	finishFactor   = identityv1.SessionService_FinishFactor_FullMethodName
	removeFactor   = identityv1.SessionService_RemoveFactor_FullMethodName
)
