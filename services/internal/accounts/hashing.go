package accounts

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/crypto/argon2"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/registryv1"
)

// hashing says how passwords are hashed, with argon2id and one lane.
type hashing struct {
	memory uint32 // KiB
	passes uint32
}

// standardHashing is above the least that OWASP asks for (19 MiB, 2 passes).
var standardHashing = hashing{memory: 64 << 10, passes: 2}

const (
	saltBytes, hashBytes = 16, 32
	// atOnce and waiting bound the memory that a flood of sign-ins takes.
	atOnce, waiting = 2, 64
)

// A hasher hashes passwords, a few at once.
type hasher struct {
	hashing
	running, queue chan struct{}
	// decoy is the hash of nothing that anybody knows: what a login that does not
	// exist is compared with.
	decoy string
}

func newHasher(h hashing) *hasher {
	out := &hasher{hashing: h, running: make(chan struct{}, atOnce), queue: make(chan struct{}, waiting)}
	salt, sum := make([]byte, saltBytes), make([]byte, hashBytes)
	_, _ = rand.Read(salt) // never fails
	_, _ = rand.Read(sum)
	out.decoy = h.phc(salt, sum)
	return out
}

// phc writes the PHC string of a hash.
func (h hashing) phc(salt, sum []byte) string {
	encode := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=1$%s$%s", argon2.Version, h.memory, h.passes, encode(salt), encode(sum))
}

// hash makes the PHC string of a password.
func (h *hasher) hash(ctx context.Context, password string) (string, error) {
	salt := make([]byte, saltBytes)
	_, _ = rand.Read(salt) // never fails
	sum, err := h.work(ctx, password, salt, h.hashing)
	if err != nil {
		return "", err
	}
	return h.phc(salt, sum), nil
}

// verify compares a password with a PHC string; stale tells that it was made in
// another way than passwords are hashed today. An empty PHC string is one that no
// password fits, with the same work.
func (h *hasher) verify(ctx context.Context, phc, password string) (right, stale bool, err error) {
	known := phc != ""
	if !known {
		phc = h.decoy
	}
	made, salt, want, err := parsePHC(phc)
	if err != nil {
		return false, false, err
	}
	sum, err := h.work(ctx, password, salt, made)
	if err != nil {
		return false, false, err
	}
	return subtle.ConstantTimeCompare(sum, want) == 1 && known, made != h.hashing, nil
}

// work waits for its turn, within bounds.
func (h *hasher) work(ctx context.Context, password string, salt []byte, as hashing) ([]byte, error) {
	select {
	case h.queue <- struct{}{}:
	default:
		return nil, apierror.New(registryv1.ErrorReason_TOO_MANY_REQUESTS, "too many people are signing in; try again", apierror.RetryAfter(2*time.Second))
	}
	defer func() { <-h.queue }()
	select {
	case h.running <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-h.running }()
	return argon2.IDKey([]byte(password), salt, as.passes, as.memory, 1, hashBytes), nil
}

var errPHC = errors.New("a stored password hash cannot be read")

func parsePHC(text string) (made hashing, salt, sum []byte, err error) {
	parts := strings.Split(text, "$")
	if len(parts) != 6 || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return made, nil, nil, errPHC
	}
	if n, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=1", &made.memory, &made.passes); n != 2 || err != nil || made.passes == 0 {
		return made, nil, nil, errPHC
	}
	if salt, err = base64.RawStdEncoding.DecodeString(parts[4]); err != nil {
		return made, nil, nil, errPHC
	}
	if sum, err = base64.RawStdEncoding.DecodeString(parts[5]); err != nil || len(sum) != hashBytes {
		return made, nil, nil, errPHC
	}
	return made, salt, sum, nil
}
