package standard

import (
	"encoding/base32"
	"strings"

	"github.com/google/uuid"
)

func parseUUID(text string) ([]byte, error) {
	id, err := uuid.Parse(text)
	if err != nil {
		return nil, err
	}
	return id[:], nil
}

func newUUID() string { return uuid.NewString() }

// idAlphabet sorts as bytes do, so that ids sort by the time they were made.
var idAlphabet = base32.NewEncoding("0123456789abcdefghijklmnopqrstuv").WithPadding(base32.NoPadding)

// NewID makes an id for a record: time-ordered (RFC 9562, version 7), beginning
// with the letter of its kind.
func NewID(singular string) string {
	id := uuid.Must(uuid.NewV7())
	return strings.ToLower(singular[:1]) + idAlphabet.EncodeToString(id[:])
}
