package accounts

import (
	"context"

	"cidsistem.example/services/internal/store"
)

// Cheap makes hashing of passwords cheap, but otherwise the same.
func Cheap(o Options) Options {
	o.hashing = hashing{memory: 64, passes: 1}
	return o
}

// Cheaper is another way of hashing.
func Cheaper(o Options) Options {
	o.hashing = hashing{memory: 32, passes: 1}
	return o
}

// Tend does what is due, as the task does it every minute.
func (a *Accounts) Tend(ctx context.Context) error { return a.tend(ctx) }

// Weakness says what is wrong with a password.
var Weakness = weakness

// HashedAs is how the password of a login is hashed.
func (a *Accounts) HashedAs(login string) (string, error) {
	acc, err := a.lookUp(func(r store.Reader) (*account, error) { return a.accountAt(r, a.loginKey(login)) })
	if err != nil || acc == nil {
		return "", err
	}
	return acc.Password, nil
}

// Hashing makes as many passwords be hashed as can be at once, and all wait in the
// queue but some, until release is called.
func (a *Accounts) Hashing(places int) (release func()) {
	running, queued := cap(a.hasher.running), cap(a.hasher.queue)-places
	for range running {
		a.hasher.running <- struct{}{}
	}
	for range queued {
		a.hasher.queue <- struct{}{}
	}
	return func() {
		for range running {
			<-a.hasher.running
		}
		for range queued {
			<-a.hasher.queue
		}
	}
}
