package edge

import (
	"context"
	"net/http"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/identityv1"
	"cidsistem.example/proto/gen/registryv1"
)

// A call is a request on a route: what its headers ask for, and what came back.
type call struct {
	route     *route
	variables map[string]string // of the path, by field

	ifMatch   ifMatch
	requestID string // from Idempotency-Key

	// Set while the call is made.
	mustExist    bool // If-Match: * took allow_missing away
	validateOnly bool // nothing was changed
	reply        proto.Message
	browser      bool                // the tokens of a session go into the cookie
	session      *identityv1.Session // to be set as the cookie
	err          error
}

type callKey struct{}

func withCall(ctx context.Context, c *call) context.Context {
	return context.WithValue(ctx, callKey{}, c)
}

// callOf returns the call that a context belongs to, nil when there is none.
func callOf(ctx context.Context) *call {
	c, _ := ctx.Value(callKey{}).(*call)
	return c
}

// newCall reads the headers that change what is asked of the server.
func newCall(r *http.Request, rt *route, variables map[string]string) (*call, error) {
	c := &call{route: rt, variables: variables}
	var err error
	if c.requestID, err = parseIdempotencyKey(r.Header.Values("Idempotency-Key")); err != nil {
		return nil, err
	}
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return c, nil
	}
	c.browser = r.Header.Get("Cid-Session") == "cookie"
	if r.Header.Get("If-None-Match") != "" {
		return nil, invalid(fieldError{"If-None-Match", "is for reading only; changes are made conditional by If-Match"})
	}
	if c.ifMatch, err = parseIfMatch(r.Header.Values("If-Match")); err != nil {
		return nil, err
	}
	if c.ifMatch.given() && rt.etagField() == nil {
		return nil, invalid(fieldError{"If-Match", "cannot make this request conditional"})
	}
	return c, nil
}

// received keeps an answer. The tokens of a browser's session are taken out before anything is written.
func (c *call) received(reply proto.Message) {
	if c.browser {
		c.session = takeSession(reply)
	}
	c.reply = reply
}

// complete puts what came in headers into the request.
func (c *call) complete(request proto.Message) error {
	m := request.ProtoReflect()
	c.validateOnly = boolField(m, "validate_only")
	if c.requestID != "" {
		if err := setOrCompare(m, c.route.requestIDField(), c.requestID, "requestId", "differs from the header Idempotency-Key"); err != nil {
			return err
		}
	}
	if c.ifMatch.any && boolField(m, "allow_missing") {
		m.Clear(m.Descriptor().Fields().ByName("allow_missing"))
		c.mustExist = true
	}
	if c.ifMatch.tag != "" {
		return setOrCompare(m, c.route.etagField(), c.ifMatch.tag, "etag", "differs from the header If-Match")
	}
	return nil
}

// setOrCompare sets a text field; a value that is there already must be the same.
func setOrCompare(m protoreflect.Message, path []protoreflect.FieldDescriptor, value, name, problem string) error {
	if path == nil {
		return nil
	}
	for _, fd := range path[:len(path)-1] {
		m = m.Mutable(fd).Message()
	}
	fd := path[len(path)-1]
	if given := m.Get(fd).String(); given != "" && given != value {
		return apierror.Invalid(name, problem)
	}
	m.Set(fd, protoreflect.ValueOfString(value))
	return nil
}

func boolField(m protoreflect.Message, name protoreflect.Name) bool {
	fd := m.Descriptor().Fields().ByName(name)
	return fd != nil && fd.Kind() == protoreflect.BoolKind && m.Get(fd).Bool()
}

// etagField is the path to the etag that makes a request conditional: in the request itself, or in the record that it carries.
// It is nil when there is none; a new record has nothing to compare with.
func (r *route) etagField() []protoreflect.FieldDescriptor {
	if r.creates {
		return nil
	}
	return r.textField("etag")
}

// requestIDField is the path to the field that makes a retry safe, nil when there is none.
func (r *route) requestIDField() []protoreflect.FieldDescriptor { return r.textField("request_id") }

func (r *route) textField(name protoreflect.Name) []protoreflect.FieldDescriptor {
	fields := r.input.Descriptor().Fields()
	if fd := fields.ByName(name); isText(fd) {
		return []protoreflect.FieldDescriptor{fd}
	}
	record := fields.ByName(protoreflect.Name(r.body))
	if record == nil || record.Message() == nil {
		return nil
	}
	if fd := record.Message().Fields().ByName(name); isText(fd) {
		return []protoreflect.FieldDescriptor{record, fd}
	}
	return nil
}

func isText(fd protoreflect.FieldDescriptor) bool {
	return fd != nil && fd.Kind() == protoreflect.StringKind && fd.Cardinality() != protoreflect.Repeated
}

// failed tells the problem of a call that went wrong, in the terms of its conditions.
func (c *call) failed(err error) *problem {
	p := problemOf(err, c.route)
	switch {
	case p.Reason == registryv1.ErrorReason_ETAG_MISMATCH.String() && c.ifMatch.given(),
		p.Reason == registryv1.ErrorReason_RESOURCE_NOT_FOUND.String() && c.mustExist:
		p.Status = http.StatusPreconditionFailed
	case p.Reason == registryv1.ErrorReason_INVALID_FIELDS.String() && c.requestID != "":
		for i := range slices.All(p.Errors) {
			if p.Errors[i].Field == "requestId" {
				p.Errors[i].Field = "Idempotency-Key"
			}
		}
	}
	return p
}
