package accounts_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/descope/virtualwebauthn"
	"github.com/google/go-cmp/cmp"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/auditv1"
	"cidsistem.example/proto/gen/identityv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/accounts"
)

// challenge signs in with the password and returns what is asked then.
func (s *server) challenge(login string) *identityv1.Challenge {
	s.t.Helper()
	response := got[*identityv1.SignInResponse](s.t)(s.signIn(s.home(), login, secret))
	if response.GetChallenge() == nil {
		s.t.Fatalf("signed in without a second factor: %v", response)
	}
	return response.GetChallenge()
}

func TestTOTP(t *testing.T) {
	s := open(t, nil)
	session := s.person("chi")
	begin := func(password string) (*identityv1.BeginFactorResponse, error) {
		return s.BeginFactor(s.as(session), &identityv1.BeginFactorRequest{Parent: node, Kind: identityv1.Factor_TOTP, Password: password})
	}
	_, err := begin("not the password")
	refused(t, err, registryv1.ErrorReason_SIGN_IN_REFUSED)
	begun := got[*identityv1.BeginFactorResponse](t)(begin(secret))
	if !strings.HasPrefix(begun.GetTotpUri(), "otpauth://totp/") || !strings.Contains(begun.GetTotpUri(), "issuer=") {
		t.Errorf("the key is %s", begun.GetTotpUri())
	}
	_, err = s.FinishFactor(s.as(session), &identityv1.FinishFactorRequest{Parent: node, Token: begun.GetToken(), TotpCode: "000000"})
	refused(t, err, registryv1.ErrorReason_INVALID_FIELDS)
	got[*identityv1.SignInResponse](t)(s.signIn(s.home(), "chi", secret)) // a factor that was not shown to work is none
	bystander := s.person("altri")
	_, err = s.FinishFactor(s.as(bystander), &identityv1.FinishFactorRequest{Parent: node, Token: begun.GetToken(), TotpCode: "000000"})
	refused(t, err, registryv1.ErrorReason_INVALID_FIELDS)
	key := s.addTOTP(session)

	challenge := s.challenge("chi")
	if !cmp.Equal(challenge.GetKinds(), []identityv1.Factor_Kind{identityv1.Factor_TOTP}) || challenge.GetPasskeyOptions() != "" {
		t.Errorf("asked for %v", challenge)
	}
	in := got[*identityv1.Session](t)(s.answerTOTP(s.home(), challenge.GetToken(), s.code(key)))
	if !cmp.Equal(in.GetMethods(), []string{"pwd", "otp"}) {
		t.Errorf("proven by %v", in.GetMethods())
	}
	// Neither the challenge nor the code is good twice.
	_, err = s.answerTOTP(s.home(), challenge.GetToken(), s.code(key))
	refused(t, err, registryv1.ErrorReason_SIGN_IN_REFUSED)
	_, err = s.answerTOTP(s.home(), s.challenge("chi").GetToken(), s.code(key))
	refused(t, err, registryv1.ErrorReason_SIGN_IN_REFUSED)

	// One step too early or too late is near enough, two are not.
	for steps, near := range map[int]bool{-2: false, -1: true, 1: true, 2: false} {
		s.clock.pass(10 * time.Minute)
		ahead := time.Duration(steps) * 30 * time.Second
		s.clock.pass(ahead)
		code := s.code(key)
		s.clock.pass(-ahead)
		_, err := s.answerTOTP(s.home(), s.challenge("chi").GetToken(), code)
		if (err == nil) != near {
			t.Errorf("a code that is %d steps off: %v", steps, err)
		}
	}

	// A challenge takes five answers and five minutes.
	s.clock.pass(2 * time.Hour)
	challenge = s.challenge("chi")
	for i := range 5 {
		_, err := s.answerTOTP(s.from(network(i)), challenge.GetToken(), "000000")
		refused(t, err, registryv1.ErrorReason_SIGN_IN_REFUSED)
	}
	_, err = s.answerTOTP(s.home(), challenge.GetToken(), s.code(key))
	refused(t, err, registryv1.ErrorReason_SIGN_IN_REFUSED)
	challenge = s.challenge("chi")
	s.clock.pass(5 * time.Minute)
	_, err = s.answerTOTP(s.home(), challenge.GetToken(), s.code(key))
	refused(t, err, registryv1.ErrorReason_SIGN_IN_REFUSED)
	// One for a factor is none for a sign-in.
	_, err = s.answerTOTP(s.home(), begun.GetToken(), s.code(key))
	refused(t, err, registryv1.ErrorReason_SIGN_IN_REFUSED)
	// One that began before an administrator changed the account is over.
	challenge = s.challenge("chi")
	_, err = s.UpdateAccount(t.Context(), &identityv1.UpdateAccountRequest{Account: &identityv1.Account{Name: session.GetAccount(), DisplayName: "Altro nome"}})
	must(t, err)
	_, err = s.answerTOTP(s.home(), challenge.GetToken(), s.code(key))
	refused(t, err, registryv1.ErrorReason_SIGN_IN_REFUSED)
	if got := s.noted(session.GetAccount(), "AnswerChallenge", auditv1.AuditEntry_DONE); got != 3 {
		t.Errorf("the audit log has %d sign-ins", got)
	}
}

// TestCodesAreNotGuessed has somebody guess codes who knows the password, from
// many networks.
func TestCodesAreNotGuessed(t *testing.T) {
	s := open(t, nil)
	session := s.person("chi")
	key := s.addTOTP(session)
	codes := s.addRecoveryCodes(session)
	answers := map[registryv1.ErrorReason]int{}
	for i := range 1000 {
		response, err := s.signIn(s.from(network(i)), "chi", secret)
		must(t, err)
		_, err = s.answerTOTP(s.from(network(i)), response.GetChallenge().GetToken(), "000000")
		answers[apierror.Reason(err)]++
		s.clock.pass(100 * time.Millisecond)
	}
	t.Logf("codes from 1,000 networks: %v", answers)
	if n := answers[registryv1.ErrorReason_SIGN_IN_REFUSED]; n > 30 {
		t.Errorf("%d codes were tried in 100 seconds", n)
	}
	// The rightful user gets in with a recovery code at once, and with a code after
	// a minute at most.
	_, err := s.answerRecovery(s.home(), s.challenge("chi").GetToken(), codes[0])
	must(t, err)
	s.clock.pass(time.Minute)
	got[*identityv1.Session](t)(s.answerTOTP(s.home(), s.challenge("chi").GetToken(), s.code(key)))
}

func (s *server) addRecoveryCodes(session *identityv1.Session) []string {
	s.t.Helper()
	begun := got[*identityv1.BeginFactorResponse](s.t)(s.BeginFactor(s.as(session), &identityv1.BeginFactorRequest{Parent: node, Kind: identityv1.Factor_RECOVERY_CODES, Password: secret}))
	return got[*identityv1.FinishFactorResponse](s.t)(s.FinishFactor(s.as(session), &identityv1.FinishFactorRequest{Parent: node, Token: begun.GetToken()})).GetRecoveryCodes()
}

func (s *server) answerRecovery(ctx context.Context, token, code string) (*identityv1.Session, error) {
	return s.AnswerChallenge(ctx, &identityv1.AnswerChallengeRequest{Parent: node, Token: token, Answer: &identityv1.AnswerChallengeRequest_RecoveryCode{RecoveryCode: code}})
}

func TestRecoveryCodes(t *testing.T) {
	s := open(t, nil)
	session := s.person("chi")
	first := s.addRecoveryCodes(session)
	got[*identityv1.SignInResponse](t)(s.signIn(s.home(), "chi", secret)) // alone they are no second factor
	s.addTOTP(session)
	codes := s.addRecoveryCodes(session)
	if len(codes) != 10 {
		t.Fatalf("there are %d codes", len(codes))
	}
	_, err := s.answerRecovery(s.home(), s.challenge("chi").GetToken(), first[0])
	refused(t, err, registryv1.ErrorReason_SIGN_IN_REFUSED)
	for _, code := range codes {
		_, err := s.answerRecovery(s.home(), s.challenge("chi").GetToken(), strings.ToLower(code))
		must(t, err)
		_, err = s.answerRecovery(s.home(), s.challenge("chi").GetToken(), code)
		refused(t, err, registryv1.ErrorReason_SIGN_IN_REFUSED)
	}
}

func TestFactorsAreRemovedAndReset(t *testing.T) {
	s := open(t, nil)
	session := s.person("chi")
	s.addTOTP(session)
	s.addRecoveryCodes(session)
	session = got[*identityv1.Session](t)(s.refresh(session.GetRefreshToken()))
	own := got[*identityv1.Account](t)(s.GetOwnAccount(s.as(session), &identityv1.GetOwnAccountRequest{Parent: node}))
	remove := func(id, password string) (*identityv1.Account, error) {
		return s.RemoveFactor(s.as(session), &identityv1.RemoveFactorRequest{Parent: node, Id: id, Password: password})
	}
	_, err := remove(own.GetFactors()[0].GetId(), "not the password")
	refused(t, err, registryv1.ErrorReason_SIGN_IN_REFUSED)
	_, err = remove("another", secret)
	refused(t, err, registryv1.ErrorReason_INVALID_FIELDS)
	if after := got[*identityv1.Account](t)(remove(own.GetFactors()[0].GetId(), secret)); len(after.GetFactors()) != 0 {
		t.Errorf("left are %v", after.GetFactors())
	}
	if response := got[*identityv1.SignInResponse](t)(s.signIn(s.home(), "chi", secret)); response.GetSession() == nil {
		t.Error("a factor that was removed is asked for")
	}
	// Who lost everything is invited anew.
	s.addTOTP(session)
	session = got[*identityv1.Session](t)(s.refresh(session.GetRefreshToken()))
	invited := got[*identityv1.InviteAccountResponse](t)(s.InviteAccount(t.Context(), &identityv1.InviteAccountRequest{Name: session.GetAccount(), ResetFactors: true}))
	if _, err := s.verifier.Verify(session.GetAccessToken()); err == nil {
		t.Error("the session of before is still good")
	}
	if s.redeem(invited.GetCode()).GetSession() == nil {
		t.Error("the second factor that was lost is asked for")
	}
	// Without a reset, the factor stays.
	session = got[*identityv1.SignInResponse](t)(s.signIn(s.home(), "chi", secret)).GetSession()
	s.addTOTP(session)
	if s.redeem(s.invite(&identityv1.Account{Name: session.GetAccount()})).GetChallenge() == nil {
		t.Error("an invitation goes past the second factor")
	}
}

// A browser has an authenticator with one passkey.
type browser struct {
	rp            virtualwebauthn.RelyingParty
	authenticator virtualwebauthn.Authenticator
	credential    virtualwebauthn.Credential
}

// wholeKey are the bytes of a P-256 key in COSE.
const wholeKey = 77

func newBrowser(account string, options virtualwebauthn.AuthenticatorOptions) *browser {
	options.UserHandle = []byte(strings.TrimPrefix(account, node+"/accounts/"))
	// The virtual authenticator leaves out the zeros with which one key in 128
	// begins a coordinate, which real ones must not (RFC 9053, 7.1.1).
	credential := virtualwebauthn.NewCredential(virtualwebauthn.KeyTypeEC2)
	for len(credential.Key.AttestationData()) != wholeKey {
		credential = virtualwebauthn.NewCredential(virtualwebauthn.KeyTypeEC2)
	}
	return &browser{
		rp:            virtualwebauthn.RelyingParty{Name: "CID SISTEM", ID: "cid.example", Origin: site},
		authenticator: virtualwebauthn.NewAuthenticatorWithOptions(options),
		credential:    credential,
	}
}

func (s *server) addPasskey(session *identityv1.Session, b *browser) (*identityv1.FinishFactorResponse, error) {
	s.t.Helper()
	begun := got[*identityv1.BeginFactorResponse](s.t)(s.BeginFactor(s.as(session), &identityv1.BeginFactorRequest{Parent: node, Kind: identityv1.Factor_PASSKEY, Password: secret}))
	options := got[*virtualwebauthn.AttestationOptions](s.t)(virtualwebauthn.ParseAttestationOptions(begun.GetPasskeyOptions()))
	made := virtualwebauthn.CreateAttestationResponse(b.rp, b.authenticator, b.credential, *options)
	return s.FinishFactor(s.as(session), &identityv1.FinishFactorRequest{Parent: node, Token: begun.GetToken(), Label: "chiavetta", Passkey: made})
}

func (s *server) answerPasskey(challenge *identityv1.Challenge, b *browser) (*identityv1.Session, error) {
	s.t.Helper()
	options := got[*virtualwebauthn.AssertionOptions](s.t)(virtualwebauthn.ParseAssertionOptions(challenge.GetPasskeyOptions()))
	b.credential.Counter++
	answer := virtualwebauthn.CreateAssertionResponse(b.rp, b.authenticator, b.credential, *options)
	return s.AnswerChallenge(s.home(), &identityv1.AnswerChallengeRequest{Parent: node, Token: challenge.GetToken(), Answer: &identityv1.AnswerChallengeRequest_Passkey{Passkey: answer}})
}

func (s *server) askPasskey() *identityv1.Challenge {
	s.t.Helper()
	return got[*identityv1.Challenge](s.t)(s.BeginPasskeySignIn(s.home(), &identityv1.BeginPasskeySignInRequest{Parent: node}))
}

func TestPasskeys(t *testing.T) {
	s := open(t, nil)
	session := s.person("chi")
	b := newBrowser(session.GetAccount(), virtualwebauthn.AuthenticatorOptions{})
	added := got[*identityv1.FinishFactorResponse](t)(s.addPasskey(session, b))
	if f := added.GetAccount().GetFactors(); len(f) != 1 || f[0].GetKind() != identityv1.Factor_PASSKEY || f[0].GetLabel() != "chiavetta" {
		t.Errorf("the factors are %v", f)
	}

	// As a second factor.
	challenge := s.challenge("chi")
	in := got[*identityv1.Session](t)(s.answerPasskey(challenge, b))
	if !cmp.Equal(in.GetMethods(), []string{"pwd", "hwk"}) {
		t.Errorf("proven by %v", in.GetMethods())
	}
	_, err := s.answerPasskey(challenge, b)
	refused(t, err, registryv1.ErrorReason_SIGN_IN_REFUSED)

	// Alone.
	alone := s.askPasskey()
	if len(alone.GetKinds()) != 0 {
		t.Errorf("asked for %v", alone.GetKinds())
	}
	in = got[*identityv1.Session](t)(s.answerPasskey(alone, b))
	if in.GetAccount() != session.GetAccount() || !cmp.Equal(in.GetMethods(), []string{"hwk"}) {
		t.Errorf("signed in as %v", in)
	}
	_, err = s.answerPasskey(alone, b)
	refused(t, err, registryv1.ErrorReason_SIGN_IN_REFUSED)

	stranger := newBrowser(session.GetAccount(), virtualwebauthn.AuthenticatorOptions{})
	elsewhere := *b
	elsewhere.rp.Origin = "https://cid.example.org"
	unseen := *b
	unseen.authenticator.Options.UserNotVerified = true
	nobody := *b
	nobody.authenticator.Options.UserHandle = []byte("a-nobody")
	copied := *b
	copied.credential.Counter = 0 // an older state of the authenticator
	for what, c := range map[string]struct {
		browser *browser
		begin   func() *identityv1.Challenge
	}{
		"a passkey that was never added":          {stranger, s.askPasskey},
		"a page of another site":                  {&elsewhere, s.askPasskey},
		"a person whom the device did not verify": {&unseen, s.askPasskey},
		"an account that does not exist":          {&nobody, s.askPasskey},
		"a copy of the authenticator":             {&copied, s.askPasskey},
		"a stranger's as second factor":           {stranger, func() *identityv1.Challenge { return s.challenge("chi") }},
	} {
		if _, err := s.answerPasskey(c.begin(), c.browser); apierror.Reason(err) != registryv1.ErrorReason_SIGN_IN_REFUSED {
			t.Errorf("%s: %v", what, err)
		}
		s.clock.pass(time.Minute)
	}
	// A device that does not verify its user is a second factor all the same.
	unseen.credential.Counter = b.credential.Counter + 10
	got[*identityv1.Session](t)(s.answerPasskey(s.challenge("chi"), &unseen))

	// The passkeys of a suspended account do not sign in.
	_, err = s.UpdateAccount(t.Context(), &identityv1.UpdateAccountRequest{Account: &identityv1.Account{Name: session.GetAccount(), State: identityv1.Account_SUSPENDED}})
	must(t, err)
	b.credential.Counter += 20
	_, err = s.answerPasskey(s.askPasskey(), b)
	refused(t, err, registryv1.ErrorReason_SIGN_IN_REFUSED)

	none := open(t, func(o accounts.Options) accounts.Options { o.RelyingParty = accounts.RelyingParty{}; return o })
	_, err = none.BeginPasskeySignIn(none.home(), &identityv1.BeginPasskeySignInRequest{Parent: node})
	refused(t, err, registryv1.ErrorReason_NOT_SUPPORTED_HERE)
}

func TestAnAccountHasTenFactorsAtMost(t *testing.T) {
	s := open(t, nil)
	session := s.person("chi")
	for i := range 10 {
		_, err := s.addPasskey(session, newBrowser(session.GetAccount(), virtualwebauthn.AuthenticatorOptions{}))
		if err != nil {
			t.Fatalf("passkey %d: %v", i, err)
		}
	}
	if n := len(s.challenge("chi").GetToken()); n > 4096 {
		t.Errorf("the token of a challenge has %d characters, the contract takes 4096", n)
	}
	_, err := s.BeginFactor(s.as(session), &identityv1.BeginFactorRequest{Parent: node, Kind: identityv1.Factor_TOTP, Password: secret})
	refused(t, err, registryv1.ErrorReason_INVALID_FIELDS)
}

// FuzzTextFromOutside answers with codes and tokens that nobody gave out.
func FuzzTextFromOutside(f *testing.F) {
	s := open(f, nil)
	session := s.person("chi")
	f.Add(session.GetRefreshToken()[1:])
	f.Add("a.b.c")
	f.Add("AAAA-BBBB")
	f.Add(`{"id":"","rawId":"","type":"public-key","response":{}}`)
	f.Fuzz(func(t *testing.T, text string) {
		s := *s
		s.t = t
		if text == session.GetRefreshToken() {
			return
		}
		s.clock.pass(time.Hour + time.Minute) // earlier failures are forgotten
		challenge := s.askPasskey().GetToken()
		ctx := s.home()
		calls := map[string]func() error{
			"token": func() error { _, err := s.answerTOTP(ctx, text, "123456"); return err },
			"passkey": func() error {
				_, err := s.AnswerChallenge(ctx, &identityv1.AnswerChallengeRequest{Parent: node, Token: challenge, Answer: &identityv1.AnswerChallengeRequest_Passkey{Passkey: text}})
				return err
			},
			"refresh": func() error { _, err := s.refresh(text); return err },
			"redeem": func() error {
				_, err := s.RedeemInvitation(ctx, &identityv1.RedeemInvitationRequest{Parent: node, Code: text, Password: secret})
				return err
			},
		}
		for what, call := range calls {
			switch reason := apierror.Reason(call()); reason {
			case registryv1.ErrorReason_SIGN_IN_REFUSED, registryv1.ErrorReason_NOT_SIGNED_IN:
			default:
				t.Errorf("%s %q: %s", what, text, reason)
			}
		}
	})
}
