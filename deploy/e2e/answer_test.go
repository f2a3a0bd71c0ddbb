package e2e

import (
	"bytes"
	"encoding/json"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// An answer is what came back over whatever transport.
type answer struct {
	body    any               // decoded JSON
	meta    map[string]string // metadata or headers, lower-case
	failure *failure          // nil when the call succeeded
}

// A failure is an error of the contract as the caller sees it.
type failure struct {
	code     string // gRPC code in upper case, empty over REST
	http     int    // HTTP status, 0 over gRPC
	reason   string
	fields   []string // wrong fields
	blockers []string // records in the way
	retry    bool     // says when to try again
	message  string
}

// documentOf turns a message into decoded JSON.
func documentOf(m proto.Message) (any, error) {
	text, err := protojson.Marshal(m)
	if err != nil {
		return nil, err
	}
	return decodeJSON(text)
}

// decodeJSON keeps numbers as they were written.
func decodeJSON(text []byte) (document any, err error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	err = decoder.Decode(&document)
	return document, err
}
