// Package pagetoken makes and reads the tokens with which a list goes on. A
// token holds a key, not a count, and fits only the list that it was made for.
package pagetoken

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/registryv1"
)

// version is the first byte of a token.
const version = 1

// sumLength is how much of each digest a token carries.
const sumLength = 8

// A Token says where a list goes on.
type Token struct {
	// Comune that the next page begins with.
	Comune string
	// Live is true when the last page came from the comune's own node; Key is
	// then that node's token.
	Live bool
	// Key after which to go on; empty: from the beginning of the comune.
	Key []byte
}

// errInvalid is the answer to every token that was not made here for the list.
var errInvalid = errors.New("page token")

// Encode makes the token of a list request.
func Encode(request proto.Message, token Token) string {
	var b bytes.Buffer
	b.WriteByte(version)
	b.Write(listSum(request))
	flags := byte(0)
	if token.Live {
		flags = 1
	}
	b.WriteByte(flags)
	b.WriteByte(byte(len(token.Comune)))
	b.WriteString(token.Comune)
	b.Write(token.Key)
	sum := sha256.Sum256(b.Bytes())
	b.Write(sum[:sumLength])
	return base64.RawURLEncoding.EncodeToString(b.Bytes())
}

// Decode reads the token of a list request; an empty one is the first page. It
// answers INVALID_PAGE_TOKEN for any other token than one made for this list.
func Decode(request proto.Message, text string) (Token, error) {
	if text == "" {
		return Token{}, nil
	}
	token, err := decode(request, text)
	if err != nil {
		return Token{}, apierror.New(registryv1.ErrorReason_INVALID_PAGE_TOKEN,
			"page_token is damaged or belongs to another list; begin again without it",
			apierror.Field("pageToken", "is damaged or belongs to another list; begin again without it"))
	}
	return token, nil
}

func decode(request proto.Message, text string) (Token, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) < 1+sumLength+2+sumLength || b[0] != version {
		return Token{}, errInvalid
	}
	body, sum := b[:len(b)-sumLength], b[len(b)-sumLength:]
	if want := sha256.Sum256(body); !bytes.Equal(want[:sumLength], sum) {
		return Token{}, errInvalid
	}
	if !bytes.Equal(body[1:1+sumLength], listSum(request)) {
		return Token{}, errInvalid
	}
	rest := body[1+sumLength:]
	length := int(rest[1])
	if rest[0] > 1 || len(rest) < 2+length {
		return Token{}, errInvalid
	}
	token := Token{Live: rest[0] == 1, Comune: string(rest[2 : 2+length])}
	// An empty key is none, as in the token that was encoded: readers tell the
	// beginning of a comune by it.
	if key := rest[2+length:]; len(key) > 0 {
		token.Key = bytes.Clone(key)
	}
	return token, nil
}

// listSum tells lists apart: all fields of the request but the page's own.
func listSum(request proto.Message) []byte {
	same := proto.Clone(request).ProtoReflect()
	for _, name := range []protoreflect.Name{"page_token", "page_size"} {
		if fd := same.Descriptor().Fields().ByName(name); fd != nil {
			same.Clear(fd)
		}
	}
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(same.Interface())
	if err != nil {
		return make([]byte, sumLength)
	}
	sum := sha256.Sum256(append([]byte(same.Descriptor().FullName()), body...))
	return sum[:sumLength]
}

// Size bounds a page: the default for 0, at most the maximum.
func Size(asked int32, standard, most int) int {
	if asked <= 0 {
		return standard
	}
	return min(int(asked), most)
}
