package accounts_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/identityv1"
	"cidsistem.example/proto/gen/registryv1"
)

// atOnce makes a call many times at once and counts the answers; UNSPECIFIED is
// success.
func atOnce(times int, call func(i int) error) map[registryv1.ErrorReason]int {
	var wait sync.WaitGroup
	var mu sync.Mutex
	answers := map[registryv1.ErrorReason]int{}
	for i := range times {
		wait.Go(func() {
			reason := apierror.Reason(call(i))
			mu.Lock()
			defer mu.Unlock()
			answers[reason]++
		})
	}
	wait.Wait()
	return answers
}

const success = registryv1.ErrorReason_ERROR_REASON_UNSPECIFIED

func TestWhatIsGoodOnceIsGoodOnceAtOnce(t *testing.T) {
	s := open(t, nil)
	session := s.person("chi")
	key := s.addTOTP(session)
	token := s.challenge("chi").GetToken()
	code := s.code(key)
	if answers := atOnce(20, func(i int) error { _, err := s.answerTOTP(s.from(network(i)), token, code); return err }); answers[success] != 1 {
		t.Errorf("a code signs in %v", answers)
	}
	invited := s.invite(s.create("altri"))
	if answers := atOnce(20, func(i int) error {
		_, err := s.RedeemInvitation(s.from(network(i)), &identityv1.RedeemInvitationRequest{Parent: node, Code: invited, Password: secret})
		return err
	}); answers[success] != 1 {
		t.Errorf("an invitation is redeemed %v", answers)
	}
	refresh := s.person("terzi").GetRefreshToken()
	if answers := atOnce(20, func(int) error { _, err := s.refresh(refresh); return err }); answers[success] != 1 {
		t.Errorf("a session is refreshed %v", answers)
	}
}

func TestManyGuessesAtOnceAreNotLetThrough(t *testing.T) {
	s := open(t, nil)
	s.person("chi")
	answers := atOnce(60, func(int) error { _, err := s.signIn(s.home(), "chi", "a guess that is wrong"); return err })
	t.Logf("60 guesses at once: %v", answers)
	if n := answers[registryv1.ErrorReason_SIGN_IN_REFUSED]; n > 6 {
		t.Errorf("%d passwords were tried", n)
	}
	// Those who only come in at once, as in the morning, all do.
	s.clock.pass(2 * time.Hour)
	answers = atOnce(4, func(int) error { _, err := s.signIn(s.home(), "chi", secret); return err })
	if answers[success] != 4 {
		t.Errorf("of four at once came in %v", answers)
	}
}

func TestAFloodOfSignInsTakesBoundedMemory(t *testing.T) {
	s := open(t, nil)
	s.person("chi")
	for places, want := range map[int]func(context.Context, error) bool{
		0: func(ctx context.Context, err error) bool {
			return ctx.Err() == nil && apierror.Reason(err) == registryv1.ErrorReason_TOO_MANY_REQUESTS && apierror.Retry(err) > 0
		},
		1: func(_ context.Context, err error) bool { return errors.Is(err, context.DeadlineExceeded) },
	} {
		release := s.Hashing(places)
		ctx, stop := context.WithTimeout(s.home(), 50*time.Millisecond)
		if _, err := s.signIn(ctx, "chi", secret); !want(ctx, err) {
			t.Errorf("with %d places in the queue: %v", places, err)
		}
		stop()
		release()
	}
	got[*identityv1.SignInResponse](t)(s.signIn(s.home(), "chi", secret))
}
