package accounts

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/auditv1"
	"cidsistem.example/proto/gen/identityv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/audit"
	"cidsistem.example/services/internal/store"
	"cidsistem.example/services/internal/tokens"
	"cidsistem.example/services/platform/grpcserver"
)

const (
	// keyLifetime is how old a signing key gets before there is a new one.
	keyLifetime = 30 * 24 * time.Hour
	// announced is how long a key is published before tokens are signed with it, so
	// that every server knows it by then.
	announced = time.Hour
	// margin is by how much what ends tokens outlives them.
	margin = time.Minute
)

// A signingKey signs tokens and heads of the audit log.
type signingKey struct {
	ID      string
	Seed    []byte
	Created time.Time
}

func (k signingKey) private() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(k.Seed) }

func (k signingKey) public() ed25519.PublicKey { return k.private().Public().(ed25519.PublicKey) }

// An endedSession is one whose tokens are no good although they have not expired.
type endedSession struct {
	ID    string
	Until time.Time
}

// standing is what holds now for those who believe the server's tokens.
type standing struct {
	keys    []signingKey // the oldest first
	message *identityv1.WatchKeysResponse
	changed chan struct{} // closed when it is replaced
}

// newKey makes a signing key.
func newKey(now time.Time) (signingKey, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return signingKey{}, fmt.Errorf("make a signing key: %w", err)
	}
	id, err := tokens.KeyID(public)
	return signingKey{ID: id, Seed: private.Seed(), Created: now}, err
}

// readKeys reads the signing keys, the oldest first.
func (a *Accounts) readKeys(r store.Reader) ([]signingKey, error) {
	var keys []signingKey
	for key, err := range entries[signingKey](a, r, areaKeys, "") {
		if err != nil {
			return nil, err
		}
		keys = append(keys, *key)
	}
	slices.SortFunc(keys, func(a, b signingKey) int { return a.Created.Compare(b.Created) })
	return keys, nil
}

// renewKeys makes a key when there is none that is young enough, and forgets those
// whose last token has expired.
func (c *change) renewKeys() error {
	keys, err := c.a.readKeys(c.Reader)
	if err != nil {
		return err
	}
	for i := range len(keys) - 1 {
		if c.now.After(keys[i+1].Created.Add(announced + tokens.Lifetime + margin)) {
			c.remove(store.LocalKey{Area: areaKeys, ID: keys[i].ID})
			c.publish = true
		}
	}
	if n := len(keys); n > 0 && c.now.Before(keys[n-1].Created.Add(keyLifetime)) {
		return nil
	}
	key, err := newKey(c.now)
	if err != nil {
		return err
	}
	c.publish = true
	c.audit(audit.KeyEntry(c.a.name(), key.public())) // which signs the log's heads from now on
	return c.put(store.LocalKey{Area: areaKeys, ID: key.ID}, key)
}

// publish takes what the store says of keys and ended sessions, and tells it to
// the verifier and to those who watch. Of several at once the last one reads
// last.
func (a *Accounts) publish() error {
	a.publishing.Lock()
	defer a.publishing.Unlock()
	next := standing{changed: make(chan struct{}), message: &identityv1.WatchKeysResponse{Issuer: a.name()}}
	err := a.store.View(func(r store.Reader) (err error) {
		if next.keys, err = a.readKeys(r); err != nil {
			return err
		}
		for ended, err := range entries[endedSession](a, r, areaEnded, "") {
			if err != nil {
				return err
			}
			next.message.EndedSessions = append(next.message.EndedSessions, ended.ID)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("publish keys and ended sessions: %w", err)
	}
	for _, key := range next.keys {
		next.message.Keys = append(next.message.Keys, &identityv1.SigningKey{Id: key.ID, PublicKey: key.public(), CreateTime: timestamppb.New(key.Created)})
	}
	if err := a.verifier.Believe(a.name(), next.message.GetKeys(), next.message.GetEndedSessions()); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if proto.Equal(a.standing.message, next.message) {
		return nil
	}
	close(a.standing.changed)
	a.standing = next
	return nil
}

func (a *Accounts) stands() standing {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.standing
}

var errNoKey = errors.New("there is no signing key")

// signingKey is the key to sign with: the newest that was announced long enough.
func (a *Accounts) signingKey(now time.Time) (signingKey, error) {
	keys := a.stands().keys
	if len(keys) == 0 {
		return signingKey{}, errNoKey
	}
	for _, key := range slices.Backward(keys) {
		if !now.Before(key.Created.Add(announced)) {
			return key, nil
		}
	}
	return keys[0], nil
}

// SignHead signs an end of the audit log's chain.
func (a *Accounts) SignHead(place store.AuditPlace, when store.Stamp) (*auditv1.AuditHead, error) {
	key, err := a.signingKey(when.Time)
	if err != nil {
		return nil, err
	}
	return audit.SignHead(key.private(), a.name(), place, when), nil
}

// WatchKeys sends the keys and the ended sessions, and again when they change.
func (a *Accounts) WatchKeys(_ *identityv1.WatchKeysRequest, stream grpc.ServerStreamingServer[identityv1.WatchKeysResponse]) error {
	for {
		now := a.stands()
		if err := stream.Send(now.message); err != nil {
			return err
		}
		select {
		case <-now.changed:
		case <-grpcserver.Draining(stream.Context()):
			return apierror.New(registryv1.ErrorReason_NOT_READY, "the server is stopping")
		case <-stream.Context().Done():
			return stream.Context().Err()
		}
	}
}

// tend does what is due: keys, entries that are over, refusals to be counted.
func (a *Accounts) tend(ctx context.Context) error {
	var over []store.LocalKey
	err := a.store.View(func(r store.Reader) (err error) {
		over, err = a.over(r, a.store.Now())
		return err
	})
	if err != nil {
		return fmt.Errorf("look for what is over: %w", err)
	}
	err = a.commit(ctx, func(c *change) error {
		for _, key := range over {
			// A session that was used since is over no more.
			if key.Area == areaSessions {
				s, err := get[session](a, c.Reader, key)
				if err != nil {
					return err
				}
				if s == nil || c.now.Before(s.end()) {
					continue
				}
			}
			c.publish = c.publish || key.Area == areaEnded
			c.remove(key)
		}
		return errors.Join(c.renewKeys(), c.countRefusals())
	})
	if err != nil {
		return fmt.Errorf("purge what is over: %w", err)
	}
	return nil
}

// over finds the entries whose time has passed.
func (a *Accounts) over(r store.Reader, now time.Time) ([]store.LocalKey, error) {
	var keys []store.LocalKey
	add := func(area, id string, until time.Time) {
		if now.After(until) {
			keys = append(keys, store.LocalKey{Area: area, ID: id})
		}
	}
	for s, err := range entries[session](a, r, areaSessions, "") {
		if err != nil {
			return nil, err
		}
		add(areaSessions, s.ID, s.end())
	}
	for s, err := range entries[endedSession](a, r, areaEnded, "") {
		if err != nil {
			return nil, err
		}
		add(areaEnded, s.ID, s.Until)
	}
	for i, err := range entries[invitation](a, r, areaInvitations, "") {
		if err != nil {
			return nil, err
		}
		add(areaInvitations, i.ID, i.Expires)
	}
	for u, err := range entries[ticketUse](a, r, areaTickets, "") {
		if err != nil {
			return nil, err
		}
		add(areaTickets, u.ID, u.Expires)
	}
	return keys, nil
}
