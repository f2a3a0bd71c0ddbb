package accounts

import (
	"container/list"
	"sync"
	"time"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/registryv1"
)

// A limit says after how many failures each further one makes the next attempt
// wait, twice as long each time, and when failures are forgotten.
type limit struct {
	free        int
	first, most time.Duration
}

const (
	// memory is how long failures count.
	memory = time.Hour
	// remembered is how many sources, accounts and pairs of both are known at most;
	// those that were quiet for the longest are forgotten first.
	remembered = 50_000
)

var (
	// pairLimit is for one account from one source.
	pairLimit = limit{free: 5, first: time.Second, most: 15 * time.Minute}
	// sourceLimit is for one source; many people may share it.
	sourceLimit = limit{free: 50, first: time.Second, most: time.Minute}
	// passwordLimit is for one account whatever the source, when its password is all
	// it takes.
	passwordLimit = limit{free: 20, first: time.Second, most: 5 * time.Minute}
	// codeLimit is for the TOTP codes of one account whatever the source: whoever
	// gets there has the password.
	codeLimit = limit{free: 20, first: time.Second, most: time.Minute}
)

// A throttle makes those wait who fail often. What one source does never makes
// another wait, but for accounts that a password alone opens, and for TOTP codes
// once the password is known: passkeys and recovery codes always work.
type throttle struct {
	now func() time.Time

	mu                                  sync.Mutex
	sources, pairs, passwords, otpCodes *ledger
}

func newThrottle(now func() time.Time) *throttle {
	return &throttle{
		now: now, sources: newLedger(sourceLimit), pairs: newLedger(pairLimit),
		passwords: newLedger(passwordLimit), otpCodes: newLedger(codeLimit),
	}
}

// An attempt is one that is under way; it counts as failed until it is not, so
// that many at once are not let through.
type attempt struct {
	throttle *throttle
	charged  []charge
}

type charge struct {
	ledger *ledger
	key    string
	// until is how long the attempt makes the next one wait if it fails, before how
	// long earlier ones do.
	until, before time.Time
}

// from counts for one source.
func (t *throttle) from(source string) charge { return charge{ledger: t.sources, key: source} }

// pair counts for one login from one source.
func (t *throttle) pair(login, source string) charge {
	return charge{ledger: t.pairs, key: login + " " + source}
}

// admit begins an attempt, or refuses it for a while.
func (t *throttle) admit(charges ...charge) (*attempt, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	var wait time.Duration
	for _, c := range charges {
		wait = max(wait, c.ledger.wait(c.key, now))
	}
	if wait > 0 {
		return nil, apierror.New(registryv1.ErrorReason_TOO_MANY_REQUESTS, "too many attempts failed; wait before the next one", apierror.RetryAfter(wait))
	}
	for i, c := range charges {
		charges[i].before, charges[i].until = c.ledger.fail(c.key, now)
	}
	return &attempt{throttle: t, charged: charges}, nil
}

// undo takes the attempt back: it was not refused.
func (a *attempt) undo() { a.settle(func(charge) bool { return false }) }

// succeed takes the attempt back, and forgets earlier failures for the account;
// those of the source stay, for it may succeed with an account of its own.
func (a *attempt) succeed() {
	a.settle(func(c charge) bool { return c.ledger != a.throttle.sources })
}

func (a *attempt) settle(forget func(charge) bool) {
	a.throttle.mu.Lock()
	defer a.throttle.mu.Unlock()
	for _, c := range a.charged {
		c.ledger.settle(c, forget(c))
	}
	a.charged = nil
}

// A ledger counts failures by key, of the keys that were used last.
type ledger struct {
	limit
	keys  map[string]*list.Element
	order *list.List // the last used first
}

type failures struct {
	key        string
	count      int
	last, free time.Time // of the last failure; until when to wait
}

func newLedger(l limit) *ledger {
	return &ledger{limit: l, keys: map[string]*list.Element{}, order: list.New()}
}

func (l *ledger) wait(key string, now time.Time) time.Duration {
	if e, ok := l.keys[key]; ok {
		return e.Value.(*failures).free.Sub(now)
	}
	return 0
}

func (l *ledger) fail(key string, now time.Time) (before, until time.Time) {
	e, ok := l.keys[key]
	if !ok {
		if len(l.keys) >= remembered {
			l.forget(l.order.Back())
		}
		e = l.order.PushFront(&failures{key: key})
		l.keys[key] = e
	}
	l.order.MoveToFront(e)
	f := e.Value.(*failures)
	if now.Sub(f.last) > memory {
		f.count = 0
	}
	f.count++
	f.last = now
	before = f.free
	if over := f.count - l.free; over > 0 {
		f.free = now.Add(min(l.most, l.first<<min(over-1, 30)))
	}
	return before, f.free
}

func (l *ledger) settle(c charge, forget bool) {
	e, ok := l.keys[c.key]
	if !ok {
		return
	}
	f := e.Value.(*failures)
	f.count--
	if f.free.Equal(c.until) {
		f.free = c.before
	}
	if forget || f.count <= 0 {
		l.forget(e)
	}
}

func (l *ledger) forget(e *list.Element) {
	l.order.Remove(e)
	delete(l.keys, e.Value.(*failures).key)
}
