package accounts

import (
	"context"
	"errors"

	"cidsistem.example/proto/gen/auditv1"
	"cidsistem.example/proto/gen/identityv1"
	"cidsistem.example/services/internal/network"
	"cidsistem.example/services/internal/store"
)

// SignIn signs in with a password, or asks for a second factor.
func (a *Accounts) SignIn(ctx context.Context, request *identityv1.SignInRequest) (*identityv1.SignInResponse, error) {
	if err := a.own(request.GetParent()); err != nil {
		return nil, err
	}
	login := a.loginKey(request.GetLogin())
	acc, err := a.lookUp(func(r store.Reader) (*account, error) { return a.accountAt(r, login) })
	if err != nil {
		return nil, err
	}
	attempt, err := a.throttle.admit(a.passwordCharges(ctx, login.ID, acc)...)
	if err != nil {
		return nil, err
	}
	phc := ""
	if acc != nil && acc.hasPassword() {
		phc = acc.Password
	}
	right, stale, err := a.hasher.verify(ctx, phc, request.GetPassword())
	switch {
	case err != nil:
		return nil, err
	case !right:
		return nil, a.refuse(ctx, signIn, acc, whyPassword)
	}
	renewed := phc
	if stale {
		if renewed, err = a.hasher.hash(ctx, request.GetPassword()); err != nil {
			return nil, err
		}
	}
	response, err := a.passwordProven(ctx, signIn, acc.ID, phc, renewed)
	if err != nil {
		return nil, err
	}
	if response.GetSession() != nil {
		attempt.succeed()
	} else {
		attempt.undo() // what went wrong before counts until the second factor is right
	}
	return response, nil
}

// passwordCharges are where a wrong password counts. An account that a second
// factor protects is never closed by what others do; whether a login that does
// not exist looks like one is decided by its key, so that nothing can be told
// from it.
func (a *Accounts) passwordCharges(ctx context.Context, login string, acc *account) []charge {
	from := network.Of(ctx)
	charges := []charge{a.throttle.from(from), a.throttle.pair(login, from)}
	protected := login[0] < '8'
	if acc != nil && acc.hasPassword() {
		protected = acc.secondFactor()
	}
	if !protected {
		charges = append(charges, charge{ledger: a.throttle.passwords, key: login})
	}
	return charges
}

// lookUp reads an account as it is now.
func (a *Accounts) lookUp(find func(store.Reader) (*account, error)) (acc *account, err error) {
	err = a.store.View(func(r store.Reader) error {
		acc, err = find(r)
		return err
	})
	return acc, err
}

// passwordProven signs a person in who gave the right password, or asks for a
// second factor. It refuses an account that is not active or has changed
// meanwhile; renewed takes the place of the password's hash.
func (a *Accounts) passwordProven(ctx context.Context, action, id, phc, renewed string) (*identityv1.SignInResponse, error) {
	var in *signedIn
	var asked *account
	err := a.commit(ctx, func(c *change) error {
		acc, err := a.account(c.Reader, id)
		if err != nil {
			return err
		}
		switch {
		case acc == nil || acc.Password != phc || !acc.hasPassword():
			return c.refuse(ctx, action, acc, whyChanged)
		case acc.State != identityv1.Account_ACTIVE:
			return c.refuse(ctx, action, acc, whyState)
		}
		acc.Password = renewed
		if !acc.secondFactor() {
			in, err = c.signIn(ctx, action, acc, []string{byPassword})
			return err
		}
		asked = acc
		if renewed != phc {
			return c.putAccount(acc)
		}
		return nil
	})
	switch {
	case err != nil:
		return nil, err
	case asked != nil:
		challenge, err := a.challenge(asked, []string{byPassword})
		return &identityv1.SignInResponse{Next: &identityv1.SignInResponse_Challenge{Challenge: challenge}}, err
	case in != nil:
		session, err := a.tokens(in)
		return &identityv1.SignInResponse{Next: &identityv1.SignInResponse_Session{Session: session}}, err
	default:
		return nil, errRefused()
	}
}

// challenge asks for a second factor.
func (a *Accounts) challenge(acc *account, methods []string) (*identityv1.Challenge, error) {
	t := ticket{Account: acc.ID, Etag: acc.Etag, Login: a.loginKey(acc.Login).ID, Methods: methods}
	c := &identityv1.Challenge{}
	for _, kind := range []identityv1.Factor_Kind{identityv1.Factor_TOTP, identityv1.Factor_PASSKEY, identityv1.Factor_RECOVERY_CODES} {
		if acc.has(kind) {
			c.Kinds = append(c.Kinds, kind)
		}
	}
	var err error
	if acc.has(identityv1.Factor_PASSKEY) && a.passkeys != nil {
		if c.PasskeyOptions, t.Challenge, err = a.askPasskey(acc); err != nil {
			return nil, err
		}
	}
	c.Token, err = a.issue(forChallenge, challengeLifetime, t)
	return c, err
}

// BeginPasskeySignIn begins to sign in with a passkey alone.
func (a *Accounts) BeginPasskeySignIn(_ context.Context, request *identityv1.BeginPasskeySignInRequest) (*identityv1.Challenge, error) {
	if err := a.own(request.GetParent()); err != nil {
		return nil, err
	}
	if a.passkeys == nil {
		return nil, errNoPasskeys()
	}
	options, challenge, err := a.askAnyPasskey()
	if err != nil {
		return nil, err
	}
	token, err := a.issue(forPasskey, challengeLifetime, ticket{Challenge: challenge})
	return &identityv1.Challenge{Token: token, PasskeyOptions: options}, err
}

// AnswerChallenge signs a person in who answers with a second factor or with a
// passkey.
func (a *Accounts) AnswerChallenge(ctx context.Context, request *identityv1.AnswerChallengeRequest) (*identityv1.Session, error) {
	if err := a.own(request.GetParent()); err != nil {
		return nil, err
	}
	from := network.Of(ctx)
	charges := []charge{a.throttle.from(from)}
	t, alone := a.open(forChallenge, request.GetToken()), false
	if t == nil {
		t, alone = a.open(forPasskey, request.GetToken()), true
	}
	if t != nil && !alone {
		charges = append(charges, a.throttle.pair(t.Login, from))
		if _, otp := request.GetAnswer().(*identityv1.AnswerChallengeRequest_TotpCode); otp {
			charges = append(charges, charge{ledger: a.throttle.otpCodes, key: t.Login})
		}
	}
	attempt, err := a.throttle.admit(charges...)
	if err != nil {
		return nil, err
	}
	if t == nil {
		return nil, a.refuse(ctx, answer, nil, "")
	}
	proof, err := a.proof(t, alone, request)
	if err != nil {
		return nil, err
	}
	var in *signedIn
	err = a.commit(ctx, func(c *change) error {
		acc, err := a.account(c.Reader, proof.account)
		if err != nil {
			return err
		}
		use, good, err := c.use(t)
		if err != nil {
			return err
		}
		switch {
		case !good:
			return c.refuse(ctx, answer, acc, whyTicket)
		case acc == nil:
			return c.refuse(ctx, answer, nil, "")
		case acc.State != identityv1.Account_ACTIVE || acc.Subject != "":
			return c.refuse(ctx, answer, acc, whyState)
		case !alone && acc.Etag != t.Etag:
			return c.refuse(ctx, answer, acc, whyChanged)
		case !proof.check(acc, c.now):
			if err := c.wrong(use); err != nil {
				return err
			}
			return c.refuse(ctx, answer, acc, proof.why)
		}
		if err := c.done(use); err != nil {
			return err
		}
		in, err = c.signIn(ctx, answer, acc, methodsOf(t.Methods, proof.method))
		return err
	})
	if err != nil {
		return nil, err
	}
	if in == nil {
		return nil, errRefused()
	}
	attempt.succeed()
	return a.tokens(in)
}

// RedeemInvitation chooses a password with the code of an invitation.
func (a *Accounts) RedeemInvitation(ctx context.Context, request *identityv1.RedeemInvitationRequest) (*identityv1.SignInResponse, error) {
	if err := a.own(request.GetParent()); err != nil {
		return nil, err
	}
	attempt, err := a.throttle.admit(a.throttle.from(network.Of(ctx)))
	if err != nil {
		return nil, err
	}
	key := invitationKey(request.GetCode())
	acc, err := a.lookUp(func(r store.Reader) (*account, error) { return a.invited(r, key, a.store.Now()) })
	if err != nil {
		return nil, err
	}
	if acc == nil {
		return nil, a.refuse(ctx, redeem, nil, "")
	}
	if err := a.checkPassword(request.GetPassword(), acc.Login); err != nil {
		attempt.undo()
		return nil, err
	}
	phc, err := a.hasher.hash(ctx, request.GetPassword())
	if err != nil {
		return nil, err
	}
	good := false
	err = a.commit(ctx, func(c *change) error {
		acc, err := a.invited(c.Reader, key, c.now)
		if err != nil {
			return err
		}
		if acc == nil || acc.State == identityv1.Account_SUSPENDED {
			return c.refuse(ctx, redeem, acc, whyInvitation)
		}
		acc.Password, acc.State, acc.Invitation = phc, identityv1.Account_ACTIVE, ""
		acc.touch(c.now)
		c.remove(key)
		c.audit(a.entry(ctx, redeem, acc, auditv1.AuditEntry_DONE, "a password was chosen"))
		good = true
		return errors.Join(c.putAccount(acc), c.endSessions(acc.ID, ""))
	})
	if err != nil {
		return nil, err
	}
	if !good {
		return nil, errRefused()
	}
	attempt.undo()
	return a.passwordProven(ctx, redeem, acc.ID, phc, phc)
}
