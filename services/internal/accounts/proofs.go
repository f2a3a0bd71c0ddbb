package accounts

import (
	"bytes"
	"slices"
	"strings"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"
	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"

	"cidsistem.example/proto/gen/identityv1"
	"cidsistem.example/services/internal/store"
)

// A proof is an answer to a challenge.
type proof struct {
	account string
	method  string // how the person is proven if it is right
	why     string // it is refused if it is wrong
	// check tells whether the answer is right for the account as it is now, and notes
	// on the account that it was used. It is quick.
	check func(acc *account, now time.Time) bool
}

// proof reads the answer to a challenge.
func (a *Accounts) proof(t *ticket, alone bool, request *identityv1.AnswerChallengeRequest) (*proof, error) {
	switch answer := request.GetAnswer().(type) {
	case *identityv1.AnswerChallengeRequest_TotpCode:
		return &proof{account: t.Account, method: byCode, why: whyCode, check: func(acc *account, now time.Time) bool {
			return acc.useTOTP(answer.TotpCode, now)
		}}, nil
	case *identityv1.AnswerChallengeRequest_RecoveryCode:
		return &proof{account: t.Account, method: byCode, why: whyCode, check: func(acc *account, now time.Time) bool {
			return acc.useRecoveryCode(answer.RecoveryCode, now)
		}}, nil
	case *identityv1.AnswerChallengeRequest_Passkey:
		return a.passkeyProof(t, alone, answer.Passkey)
	default:
		return &proof{account: t.Account, why: whyCode, check: func(*account, time.Time) bool { return false }}, nil
	}
}

// totpStep is for how long a code is shown.
const totpStep = 30 * time.Second

// totpOptions are what every authenticator app can do (RFC 6238).
var totpOptions = hotp.ValidateOpts{Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1}

// stepOf finds the time step whose code this is, of the one of now and its
// neighbours, after one that was used; 0 for none.
func stepOf(code, secret string, used int64, now time.Time) int64 {
	current := now.Unix() / int64(totpStep.Seconds())
	for step := max(current-1, used+1); step <= current+1; step++ {
		if right, err := hotp.ValidateCustom(code, uint64(step), secret, totpOptions); err == nil && right {
			return step
		}
	}
	return 0
}

// useTOTP takes the code of a TOTP, each code once.
func (acc *account) useTOTP(code string, now time.Time) bool {
	for i := range acc.Factors {
		f := &acc.Factors[i]
		if f.Kind != identityv1.Factor_TOTP {
			continue
		}
		if step := stepOf(code, f.Secret, f.Step, now); step > 0 {
			f.Step, f.Used = step, now
			return true
		}
	}
	return false
}

// useRecoveryCode takes a recovery code, each once.
func (acc *account) useRecoveryCode(code string, now time.Time) bool {
	sum := digest(plainCode(code))
	for i := range acc.Factors {
		f := &acc.Factors[i]
		// The sums of codes of 100 bits tell nothing, so neither does the time that it
		// takes to compare them.
		at := slices.IndexFunc(f.Recovery, func(known []byte) bool { return bytes.Equal(known, sum) })
		if f.Kind == identityv1.Factor_RECOVERY_CODES && at >= 0 {
			f.Recovery, f.Used = slices.Delete(f.Recovery, at, at+1), now
			return true
		}
	}
	return false
}

// plainCode is a code as it was made, however it was typed.
func plainCode(code string) string {
	return strings.NewReplacer("-", "", " ", "").Replace(strings.ToUpper(code))
}

// passkeyProof verifies an assertion. The signature is checked here; whether the
// account still has the passkey is, later.
func (a *Accounts) passkeyProof(t *ticket, alone bool, answer string) (*proof, error) {
	p := &proof{account: t.Account, method: byPasskey, why: whyPasskey, check: func(*account, time.Time) bool { return false }}
	response, err := protocol.ParseCredentialRequestResponseBytes([]byte(answer))
	if err != nil || a.passkeys == nil || t.Challenge == "" {
		return p, nil
	}
	if alone {
		p.account = string(response.Response.UserHandle)
		if strings.Contains(p.account, "\x00") || len(p.account) > 100 {
			p.account = ""
		}
	}
	acc, err := a.lookUp(func(r store.Reader) (*account, error) { return a.account(r, p.account) })
	if err != nil {
		return nil, err
	}
	if acc == nil {
		p.account = ""
		return p, nil
	}
	begun := webauthn.SessionData{Challenge: t.Challenge, RelyingPartyID: a.passkeys.Config.RPID, UserID: []byte(acc.ID), UserVerification: protocol.VerificationPreferred}
	if alone {
		begun.UserVerification = protocol.VerificationRequired
	}
	used, err := a.passkeys.ValidateLogin(passkeyUser{acc}, begun, response)
	if err != nil || used.Authenticator.CloneWarning {
		return p, nil //nolint:nilerr // a wrong answer is no failure
	}
	seen := acc.passkey(used.ID).Passkey.Authenticator.SignCount
	p.check = func(acc *account, now time.Time) bool {
		f := acc.passkey(used.ID)
		if f == nil || f.Passkey.Authenticator.SignCount != seen {
			return false
		}
		f.Passkey, f.Used = used, now
		return true
	}
	return p, nil
}

// passkey finds the factor of a credential.
func (acc *account) passkey(id []byte) *factor {
	for i := range acc.Factors {
		if f := &acc.Factors[i]; f.Passkey != nil && bytes.Equal(f.Passkey.ID, id) {
			return f
		}
	}
	return nil
}
