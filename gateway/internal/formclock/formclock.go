// Package formclock tells forms that people fill in from those that programs do, by the time that it takes: people are slower.
package formclock

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Shortest is the time in which nobody reads a form and fills it in.
const Shortest = 3 * time.Second

// A Clock writes into a form when it was first shown, so that nobody else can. Its key lasts as long as the process; whoever comes
// with an older mark is asked to send once more.
type Clock struct{ key []byte }

// New makes a clock with a key of its own.
func New() (Clock, error) {
	key := make([]byte, sha256.Size)
	if _, err := rand.Read(key); err != nil {
		return Clock{}, fmt.Errorf("make the key of the forms: %w", err)
	}
	return Clock{key}, nil
}

// Mark says when the form of a request, by its id, was shown.
func (c Clock) Mark(request string, at time.Time) string {
	seconds := strconv.FormatInt(at.Unix(), 10)
	return seconds + "." + c.sum(request, seconds)
}

// Ours tells whether a mark was made by this clock, for this request.
func (c Clock) Ours(mark, request string) bool {
	seconds, sum, _ := strings.Cut(mark, ".")
	return hmac.Equal([]byte(sum), []byte(c.sum(request, seconds)))
}

// Human tells whether a mark is ours, and at least so old.
func (c Clock) Human(mark, request string, now time.Time, least time.Duration) bool {
	seconds, _, _ := strings.Cut(mark, ".")
	at, err := strconv.ParseInt(seconds, 10, 64)
	return c.Ours(mark, request) && err == nil && now.Sub(time.Unix(at, 0)) >= least
}

func (c Clock) sum(request, seconds string) string {
	mac := hmac.New(sha256.New, c.key)
	mac.Write([]byte(seconds + " " + request))
	return hex.EncodeToString(mac.Sum(nil))
}
