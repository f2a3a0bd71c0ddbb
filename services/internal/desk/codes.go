package desk

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"strings"
)

// codes makes the private codes of requests from their names, with a secret:
// nothing of a code is stored, and a repetition gives the same one.
type codes struct{ secret []byte }

const (
	codeLength = 16 // characters, of 5 bits each
	codeGroup  = 4
)

// alphabet has no character that is taken for another one: no 0 and O, no 1 and
// I.
var alphabet = base32.NewEncoding("ABCDEFGHJKLMNPQRSTUVWXYZ23456789").WithPadding(base32.NoPadding)

func (c codes) mac(use, text string) []byte {
	mac := hmac.New(sha256.New, c.secret)
	mac.Write([]byte(use + "\x00" + text))
	return mac.Sum(nil)
}

// of is the code of a request, in groups.
func (c codes) of(name string) string {
	text := alphabet.EncodeToString(c.mac("code", name))[:codeLength]
	var groups []string
	for ; text != ""; text = text[codeGroup:] {
		groups = append(groups, text[:codeGroup])
	}
	return strings.Join(groups, "-")
}

// index is where the request of a code is found. It says nothing of the code to
// who does not know the secret. What is between the letters and digits of a code
// does not matter, nor does their case.
func (c codes) index(code string) string {
	var plain strings.Builder
	for _, r := range strings.ToUpper(code) {
		if 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' {
			plain.WriteRune(r)
		}
	}
	return hex.EncodeToString(c.mac("index", plain.String()))
}
