package accounts_test

import (
	"fmt"
	"testing"
	"time"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/auditv1"
	"cidsistem.example/proto/gen/identityv1"
	"cidsistem.example/proto/gen/registryv1"
)

// network is one of many.
func network(i int) string { return fmt.Sprintf("198.51.%d.%d", i/250, i%250+1) }

// TestAThousandGuessesForOneAccount has them come from a thousand networks, and
// then from one.
func TestAThousandGuessesForOneAccount(t *testing.T) {
	s := open(t, nil)
	protected := s.addTOTP(s.person("protetta"))
	s.person("sola")
	answers := map[string]map[registryv1.ErrorReason]int{}
	guess := func(login, from string) {
		_, err := s.signIn(s.from(from), login, "a guess that is wrong")
		if answers[login] == nil {
			answers[login] = map[registryv1.ErrorReason]int{}
		}
		answers[login][apierror.Reason(err)]++
	}
	for i := range 1000 {
		guess("protetta", network(i))
		guess("sola", network(i))
		s.clock.pass(100 * time.Millisecond)
	}
	t.Logf("from 1,000 networks, an account with a second factor: %v", answers["protetta"])
	t.Logf("from 1,000 networks, an account with a password only: %v", answers["sola"])
	if n := answers["sola"][registryv1.ErrorReason_SIGN_IN_REFUSED]; n > 30 {
		t.Errorf("%d passwords were tried in 100 seconds on an account that a password alone opens", n)
	}

	// The rightful user of the one that a password opens waits as long as the answer says, and then gets in.
	_, err := s.signIn(s.home(), "sola", secret)
	refused(t, err, registryv1.ErrorReason_TOO_MANY_REQUESTS)
	wait := apierror.Retry(err)
	t.Logf("the rightful user of that one waits for %s", wait)
	if wait <= 0 || wait > 5*time.Minute {
		t.Errorf("the wait is %s", wait)
	}
	s.clock.pass(wait)
	got[*identityv1.SignInResponse](t)(s.signIn(s.home(), "sola", secret))

	// The rightful user of the protected one gets in at once, from anywhere.
	for _, from := range []string{"192.0.2.1", network(0)} {
		response := got[*identityv1.SignInResponse](t)(s.signIn(s.from(from), "protetta", secret))
		s.clock.pass(time.Minute)
		got[*identityv1.Session](t)(s.answerTOTP(s.from(from), response.GetChallenge().GetToken(), s.code(protected)))
	}
	// From one network there are few guesses, and a colleague elsewhere is not held up.
	clear(answers)
	for range 1000 {
		guess("protetta", "203.0.113.9")
		s.clock.pass(100 * time.Millisecond)
	}
	t.Logf("from one network, an account with a second factor: %v", answers["protetta"])
	if n := answers["protetta"][registryv1.ErrorReason_SIGN_IN_REFUSED]; n > 15 {
		t.Errorf("%d passwords were tried in 100 seconds from one network", n)
	}
	got[*identityv1.SignInResponse](t)(s.signIn(s.home(), "protetta", secret))
}

// TestAThousandGuessesForManyAccounts come from one network.
func TestAThousandGuessesForManyAccounts(t *testing.T) {
	s := open(t, nil)
	s.person("sola")
	answers := map[registryv1.ErrorReason]int{}
	for i := range 1000 {
		_, err := s.signIn(s.from("203.0.113.9"), fmt.Sprintf("login-%d", i), "a guess that is wrong")
		answers[apierror.Reason(err)]++
		s.clock.pass(100 * time.Millisecond)
	}
	t.Logf("from one network, for 1,000 logins: %v", answers)
	if n := answers[registryv1.ErrorReason_SIGN_IN_REFUSED]; n > 60 {
		t.Errorf("%d passwords were tried in 100 seconds from one network", n)
	}
	got[*identityv1.SignInResponse](t)(s.signIn(s.home(), "sola", secret))
	must(t, s.Tend(t.Context()))
	s.clock.pass(time.Hour)
	must(t, s.Tend(t.Context()))
	refusals := 0
	for _, entry := range s.audited() {
		if entry.GetActor() == "anyone" {
			refusals++
		}
	}
	noted := s.noted("anyone", "SignIn", auditv1.AuditEntry_REFUSED)
	t.Logf("%d refusals of strangers are counted in %d entries", noted, refusals)
	if int(noted) != answers[registryv1.ErrorReason_SIGN_IN_REFUSED] || refusals > 3 {
		t.Errorf("the audit log counts %d refusals in %d entries", noted, refusals)
	}
	// The network's own people get in again after a minute at most.
	s.clock.pass(time.Minute)
	got[*identityv1.SignInResponse](t)(s.signIn(s.from("203.0.113.9"), "sola", secret))
}

// TestUnknownLoginsLookLikeKnownOnes floods logins that do not exist: some make
// wait as accounts with a password only do, some answer as protected ones do.
func TestUnknownLoginsLookLikeKnownOnes(t *testing.T) {
	s := open(t, nil)
	looks := map[string]int{}
	for i := range 20 {
		waits := false
		for j := range 40 {
			_, err := s.signIn(s.from(network(i*40+j)), fmt.Sprintf("nessuno-%d", i), "a guess that is wrong")
			waits = waits || apierror.Reason(err) == registryv1.ErrorReason_TOO_MANY_REQUESTS
		}
		looks[map[bool]string{true: "password only", false: "protected"}[waits]]++
	}
	t.Logf("of 20 logins that do not exist, %v", looks)
	if len(looks) != 2 {
		t.Error("logins that do not exist can be told from those that do")
	}
}

func TestOneNetworkIsOneWhateverTheAddress(t *testing.T) {
	s := open(t, nil)
	for i := range 6 {
		_, err := s.signIn(s.from(fmt.Sprintf("2001:db8:1:2::%x", i)), "chi", "a guess that is wrong")
		refused(t, err, registryv1.ErrorReason_SIGN_IN_REFUSED)
	}
	_, err := s.signIn(s.from("2001:db8:1:2:ffff::/64"), "chi", "a guess that is wrong")
	refused(t, err, registryv1.ErrorReason_TOO_MANY_REQUESTS)
	_, err = s.signIn(s.from("2001:db8:1:3::1"), "chi", "a guess that is wrong")
	refused(t, err, registryv1.ErrorReason_SIGN_IN_REFUSED)
	// Who says nothing sensible of the client is the source.
	for range 6 {
		_, err = s.signIn(s.from("somewhere"), "altri", "a guess that is wrong")
	}
	refused(t, err, registryv1.ErrorReason_SIGN_IN_REFUSED)
	_, err = s.signIn(s.from("elsewhere"), "altri", "a guess that is wrong")
	refused(t, err, registryv1.ErrorReason_TOO_MANY_REQUESTS)
}

// TestWhoStealsASessionGuessesNoPassword guesses it with a session's token.
func TestWhoStealsASessionGuessesNoPassword(t *testing.T) {
	s := open(t, nil)
	session := s.person("chi")
	tried := 0
	for range 100 {
		_, err := s.ChangePassword(s.as(session), &identityv1.ChangePasswordRequest{Parent: node, CurrentPassword: "a guess that is wrong", Password: other})
		if apierror.Reason(err) == registryv1.ErrorReason_SIGN_IN_REFUSED {
			tried++
		}
	}
	if tried > 6 {
		t.Errorf("%d passwords were tried", tried)
	}
	got[*identityv1.SignInResponse](t)(s.signIn(s.home(), "chi", secret)) // holds nobody up
}
