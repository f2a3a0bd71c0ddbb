package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"cidsistem.example/deploy/demo"
	"cidsistem.example/proto/access"
)

// A transport makes calls of the contract.
type transport interface {
	// call makes a call; of a stream of the server, the answer is its first
	// message, or all the bytes of a file. content is what a file upload sends.
	call(ctx context.Context, m method, request proto.Message, content []byte) (answer, error)
	// expect turns what a case expects over gRPC into what this transport gives.
	expect(m method, want expectation) expectation
}

// people gives an access token of somebody of a comune.
type people interface {
	Token(ctx context.Context, comune string) (string, error)
}

// authorization is what says who makes a call: somebody of the comune that it is
// about, for whoever has people and where nobody in particular may not call.
func authorization(ctx context.Context, p people, m method, request proto.Message) (string, error) {
	rules, err := access.Rules()
	if err != nil || p == nil {
		return "", err
	}
	for _, rule := range rules {
		if rule.Method != m.full() || rule.GetAnyone() {
			continue
		}
		parts := strings.Split(rule.AboutOf(request), "/")
		if !strings.HasPrefix(rule.Method, "/cidsistem.registry.") {
			return "", nil
		}
		comune := demo.Comuni[0].ID
		if len(parts) > 1 && slices.ContainsFunc(demo.Comuni, func(c demo.Comune) bool { return c.ID == parts[1] }) {
			comune = parts[1]
		}
		token, err := p.Token(ctx, comune)
		return "Bearer " + token, err
	}
	return "", nil
}

// An expectation is how a call shall fail.
type expectation struct {
	reason, code string
	http         int
	fields       []string
}

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
