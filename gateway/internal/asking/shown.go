package asking

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

// shortest is the time in which nobody answers all the questions.
var shortest = 3 * time.Second

// A shownClock writes into a form when it was first shown, so that nobody else can: programs that fill in forms are quicker than
// people. Its key lasts as long as the process; whoever comes with an older mark is asked to send once more.
type shownClock struct{ key []byte }

func newShownClock() (shownClock, error) {
	key := make([]byte, sha256.Size)
	if _, err := rand.Read(key); err != nil {
		return shownClock{}, fmt.Errorf("make the key of the forms: %w", err)
	}
	return shownClock{key}, nil
}

// mark says when the form of a request was shown.
func (c shownClock) mark(request string, at time.Time) string {
	seconds := strconv.FormatInt(at.Unix(), 10)
	return seconds + "." + c.sum(request, seconds)
}

// ours tells whether a mark was made by this process, for this request.
func (c shownClock) ours(mark, request string) bool {
	seconds, sum, _ := strings.Cut(mark, ".")
	return hmac.Equal([]byte(sum), []byte(c.sum(request, seconds)))
}

// human tells whether a mark is ours and old enough.
func (c shownClock) human(mark, request string, now time.Time) bool {
	seconds, _, _ := strings.Cut(mark, ".")
	at, err := strconv.ParseInt(seconds, 10, 64)
	return c.ours(mark, request) && err == nil && now.Sub(time.Unix(at, 0)) >= shortest
}

func (c shownClock) sum(request, seconds string) string {
	mac := hmac.New(sha256.New, c.key)
	mac.Write([]byte(seconds + " " + request))
	return hex.EncodeToString(mac.Sum(nil))
}
