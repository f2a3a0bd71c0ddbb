package accounts

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"

	"github.com/pquerna/otp/totp"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/auditv1"
	"cidsistem.example/proto/gen/identityv1"
	"cidsistem.example/services/internal/policy"
	"cidsistem.example/services/internal/store"
	"cidsistem.example/services/internal/tokens"
)

const (
	// maxFactors is how many factors an account has at most.
	maxFactors = 10
	// recoveryCodes are made at once.
	recoveryCodes = 10
)

// GetOwnAccount gets the caller's own account.
func (a *Accounts) GetOwnAccount(ctx context.Context, request *identityv1.GetOwnAccountRequest) (*identityv1.Account, error) {
	person, id, err := a.person(ctx, request.GetParent())
	if err != nil {
		return nil, err
	}
	acc, err := a.lookUp(func(r store.Reader) (*account, error) { return a.account(r, id) })
	if err != nil {
		return nil, err
	}
	if acc == nil {
		return nil, apierror.NotFound(person.Account)
	}
	return a.message(acc), nil
}

// proven is the caller's own account, once the password was given once more.
// Failures count for the session, so that nobody else's do.
func (a *Accounts) proven(ctx context.Context, parent, action, password string) (*account, *tokens.Claims, error) {
	person, id, err := a.person(ctx, parent)
	if err != nil {
		return nil, nil, err
	}
	acc, err := a.lookUp(func(r store.Reader) (*account, error) { return a.account(r, id) })
	if err != nil {
		return nil, nil, err
	}
	if acc == nil {
		return nil, nil, apierror.NotFound(person.Account)
	}
	attempt, err := a.throttle.admit(a.throttle.pair(id, person.Session))
	if err != nil {
		return nil, nil, err
	}
	phc := ""
	if acc.hasPassword() {
		phc = acc.Password
	}
	right, _, err := a.hasher.verify(ctx, phc, password)
	if err != nil {
		return nil, nil, err
	}
	if !right || acc.State != identityv1.Account_ACTIVE {
		return nil, nil, a.refuse(ctx, action, acc, whyPassword)
	}
	attempt.succeed()
	return acc, person, nil
}

// changeOwn changes the caller's own account with an audit entry, unless the
// password was changed since it was given. When apply refuses, the account stays
// as it is and nil is returned.
func (a *Accounts) changeOwn(ctx context.Context, action string, before *account, reason string, apply func(*change, *account) (bool, error)) (*account, error) {
	var after *account
	err := a.commit(ctx, func(c *change) error {
		acc, err := a.account(c.Reader, before.ID)
		if err != nil {
			return err
		}
		if acc == nil || acc.State != identityv1.Account_ACTIVE || acc.Password != before.Password {
			return errRefused()
		}
		applied, err := apply(c, acc)
		if err != nil {
			return err
		}
		if !applied {
			return c.refuse(ctx, action, acc, whyCode)
		}
		acc.touch(c.now)
		entry := policy.Of(ctx).Entry(action, a.accountName(acc.ID), auditv1.AuditEntry_DONE)
		entry.Reason = reason
		c.audit(entry)
		after = acc
		return c.putAccount(acc)
	})
	if err != nil {
		return nil, err
	}
	return after, nil
}

// ChangePassword changes the caller's password and ends the other sessions.
func (a *Accounts) ChangePassword(ctx context.Context, request *identityv1.ChangePasswordRequest) (*identityv1.ChangePasswordResponse, error) {
	acc, person, err := a.proven(ctx, request.GetParent(), changePassword, request.GetCurrentPassword())
	if err != nil {
		return nil, err
	}
	if err := a.checkPassword(request.GetPassword(), acc.Login); err != nil {
		return nil, err
	}
	if request.GetPassword() == request.GetCurrentPassword() {
		return nil, apierror.Invalid("password", "is the one that there is")
	}
	phc, err := a.hasher.hash(ctx, request.GetPassword())
	if err != nil {
		return nil, err
	}
	_, err = a.changeOwn(ctx, changePassword, acc, "", func(c *change, acc *account) (bool, error) {
		acc.Password = phc
		return true, c.endSessions(acc.ID, person.Session)
	})
	if err != nil {
		return nil, err
	}
	return &identityv1.ChangePasswordResponse{}, nil
}

// BeginFactor begins to add a second factor.
func (a *Accounts) BeginFactor(ctx context.Context, request *identityv1.BeginFactorRequest) (*identityv1.BeginFactorResponse, error) {
	if request.GetKind() == identityv1.Factor_PASSKEY && a.passkeys == nil {
		return nil, errNoPasskeys()
	}
	acc, _, err := a.proven(ctx, request.GetParent(), beginFactor, request.GetPassword())
	if err != nil {
		return nil, err
	}
	if request.GetKind() != identityv1.Factor_RECOVERY_CODES && len(acc.Factors) >= maxFactors {
		return nil, tooManyFactors()
	}
	t := ticket{Account: acc.ID, Kind: request.GetKind()}
	response := &identityv1.BeginFactorResponse{}
	switch request.GetKind() {
	case identityv1.Factor_TOTP:
		key, err := totp.Generate(totp.GenerateOpts{Issuer: product + " " + a.server, AccountName: acc.Login, SecretSize: 20})
		if err != nil {
			return nil, fmt.Errorf("make the key of a TOTP: %w", err)
		}
		t.Secret, response.TotpUri = key.Secret(), key.URL()
	case identityv1.Factor_PASSKEY:
		if response.PasskeyOptions, t.Challenge, err = a.askNewPasskey(acc); err != nil {
			return nil, err
		}
	}
	response.Token, err = a.issue(forFactor, ceremonyLifetime, t)
	return response, err
}

func tooManyFactors() error {
	return apierror.Invalid("kind", fmt.Sprintf("the account has %d factors; remove one first", maxFactors))
}

// FinishFactor adds the factor, once the caller has shown that it works.
func (a *Accounts) FinishFactor(ctx context.Context, request *identityv1.FinishFactorRequest) (*identityv1.FinishFactorResponse, error) {
	_, id, err := a.person(ctx, request.GetParent())
	if err != nil {
		return nil, err
	}
	t := a.open(forFactor, request.GetToken())
	if t == nil || t.Account != id {
		return nil, apierror.Invalid("token", "has expired or is not one of this account; begin again")
	}
	acc, err := a.lookUp(func(r store.Reader) (*account, error) { return a.account(r, id) })
	if err != nil {
		return nil, err
	}
	if acc == nil {
		return nil, apierror.NotFound(a.accountName(id))
	}
	added := factor{ID: newID("f"), Kind: t.Kind, Label: request.GetLabel(), Secret: t.Secret}
	var codes []string
	switch t.Kind {
	case identityv1.Factor_PASSKEY:
		if added.Passkey, err = a.newPasskey(acc, t.Challenge, request.GetPasskey()); err != nil {
			return nil, apierror.Invalid("passkey", "is not what the browser was asked for; begin again")
		}
	case identityv1.Factor_RECOVERY_CODES:
		for range recoveryCodes {
			code := rand.Text()[:20] // 100 bits
			codes = append(codes, grouped(code))
			added.Recovery = append(added.Recovery, digest(code))
		}
	}
	after, err := a.changeOwn(ctx, finishFactor, acc, t.Kind.String(), func(c *change, acc *account) (bool, error) {
		use, good, err := c.use(t)
		if err != nil {
			return false, err
		}
		if !good {
			return false, apierror.Invalid("token", "was used or answered wrongly too often; begin again")
		}
		if t.Kind == identityv1.Factor_TOTP {
			if added.Step = stepOf(request.GetTotpCode(), added.Secret, 0, c.now); added.Step == 0 {
				return false, c.wrong(use)
			}
		}
		added.Created = c.now
		return true, errors.Join(acc.add(added), c.done(use))
	})
	if err != nil {
		return nil, err
	}
	if after == nil {
		return nil, apierror.Invalid("totpCode", "is not the code of now; is the clock of the device right?")
	}
	return &identityv1.FinishFactorResponse{Account: a.message(after), RecoveryCodes: codes}, nil
}

// add adds a factor; recovery codes take the place of those before.
func (acc *account) add(f factor) error {
	if f.Kind == identityv1.Factor_RECOVERY_CODES {
		acc.Factors = slices.DeleteFunc(acc.Factors, func(other factor) bool { return other.Kind == f.Kind })
	} else if len(acc.Factors) >= maxFactors {
		return tooManyFactors()
	}
	if f.Passkey != nil && acc.passkey(f.Passkey.ID) != nil {
		return apierror.Invalid("passkey", "is one of this account already")
	}
	acc.Factors = append(acc.Factors, f)
	return nil
}

// grouped writes a code so that it can be read.
func grouped(code string) string {
	var out []byte
	for i := range len(code) {
		if i > 0 && i%4 == 0 {
			out = append(out, '-')
		}
		out = append(out, code[i])
	}
	return string(out)
}

// RemoveFactor removes a factor; with the last one go the recovery codes.
func (a *Accounts) RemoveFactor(ctx context.Context, request *identityv1.RemoveFactorRequest) (*identityv1.Account, error) {
	acc, _, err := a.proven(ctx, request.GetParent(), removeFactor, request.GetPassword())
	if err != nil {
		return nil, err
	}
	after, err := a.changeOwn(ctx, removeFactor, acc, "", func(_ *change, acc *account) (bool, error) {
		before := len(acc.Factors)
		acc.Factors = slices.DeleteFunc(acc.Factors, func(f factor) bool { return f.ID == request.GetId() })
		if len(acc.Factors) == before {
			return false, apierror.Invalid("id", "is not a factor of this account")
		}
		if !acc.secondFactor() {
			acc.Factors = nil
		}
		return true, nil
	})
	if err != nil {
		return nil, err
	}
	return a.message(after), nil
}
