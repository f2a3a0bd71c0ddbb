// Package standard serves the standard methods of every kind of record from one
// implementation: the services are read from the contract, requests are reached
// by the field names that all kinds share.
package standard

import (
	"crypto/sha256"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/pagetoken"
	"cidsistem.example/services/internal/store"
)

// A Request is the request of a standard method of any kind.
type Request struct {
	Method  catalog.Method
	Message proto.Message
}

func (r Request) get(name protoreflect.Name) (protoreflect.Value, bool) {
	m := r.Message.ProtoReflect()
	fd := m.Descriptor().Fields().ByName(name)
	if fd == nil || !m.Has(fd) {
		return protoreflect.Value{}, false
	}
	return m.Get(fd), true
}

func (r Request) text(name protoreflect.Name) string {
	if v, ok := r.get(name); ok {
		return v.String()
	}
	return ""
}

func (r Request) flag(name protoreflect.Name) bool {
	v, ok := r.get(name)
	return ok && v.Bool()
}

func field[T any](r Request, name protoreflect.Name) (found T) {
	if v, ok := r.get(name); ok {
		found, _ = v.Message().Interface().(T)
	}
	return found
}

// Name is the record that the request is about; of an update, the name inside
// the record.
func (r Request) Name() (catalog.Name, error) {
	text, at := r.text("name"), "name"
	if r.Method.Verb == catalog.Update {
		text, at = catalog.RecordOf(r.Record()).Name(), r.Method.Kind.Singular+".name"
	}
	name, err := catalog.ParseName(text)
	if err == nil && name.Kind == r.Method.Kind {
		return name, nil
	}
	return catalog.Name{}, apierror.Invalid(at, "is not the name of "+indefinite(r.Method.Kind.Singular))
}

func indefinite(noun string) string {
	if strings.ContainsRune("aeiou", rune(noun[0])) {
		return "an " + noun
	}
	return "a " + noun
}

// Parent are the ids of the parent; nil for a kind without one.
func (r Request) Parent() ([]string, error) {
	if r.Method.Kind.Parent == nil {
		return nil, nil
	}
	ids, err := r.Method.Kind.ParseParent(r.text("parent"))
	if err != nil {
		return nil, apierror.Invalid("parent", "is not where "+r.Method.Kind.Collection+" can be")
	}
	return ids, nil
}

// Record is the record of a create or update; never nil.
func (r Request) Record() proto.Message {
	if v, ok := r.get(protoreflect.Name(r.Method.Kind.Singular)); ok {
		return v.Message().Interface()
	}
	return r.Method.Kind.New()
}

// ID is the id that a create asks for, empty for any.
func (r Request) ID() string { return r.text(protoreflect.Name(r.Method.Kind.Singular + "_id")) }

// Etag is the condition of a change, empty for none.
func (r Request) Etag() string {
	if r.Method.Verb == catalog.Update {
		return catalog.RecordOf(r.Record()).Etag()
	}
	return r.text("etag")
}

// AllowMissing tells whether a missing record is no mistake.
func (r Request) AllowMissing() bool { return r.flag("allow_missing") }

// ValidateOnly tells whether nothing shall be changed.
func (r Request) ValidateOnly() bool { return r.flag("validate_only") }

// ShowDeleted tells whether a list shall have deleted records too.
func (r Request) ShowDeleted() bool { return r.flag("show_deleted") }

// RefersTo is the record that those listed must point to, empty for any.
func (r Request) RefersTo() string { return r.text("refers_to") }

// DueBefore bounds the due time of a list, zero for none.
func (r Request) DueBefore() time.Time {
	if t := field[*timestamppb.Timestamp](r, "due_before_time"); t != nil {
		return t.AsTime()
	}
	return time.Time{}
}

// PageSize is the page size that was asked for.
func (r Request) PageSize() int32 {
	if v, ok := r.get("page_size"); ok {
		return int32(v.Int())
	}
	return 0
}

// RequestID makes the write safe to repeat, empty for none.
func (r Request) RequestID() string { return r.text("request_id") }

// PageToken is the token of the page that was asked for.
func (r Request) PageToken() string { return r.text("page_token") }

// UpdateMask is the mask of an update, nil for none.
func (r Request) UpdateMask() *fieldmaskpb.FieldMask {
	return field[*fieldmaskpb.FieldMask](r, "update_mask")
}

// A Freshness says where a read takes its data from, and how old they may be.
type Freshness struct {
	Preference registryv1.ReadPreference
	// Strict is true when the caller set a limit; a copy older than Limit is then
	// not used at all.
	Strict bool
	// Limit is how old a copy may be without asking its owner.
	Limit time.Duration
}

// defaultLimit is how old a copy may be where the caller does not say.
const defaultLimit = 10 * time.Second

// FreshnessOf reads the two fields that all reads have.
func FreshnessOf(preference registryv1.ReadPreference, staleness *durationpb.Duration) Freshness {
	if staleness == nil {
		return Freshness{Preference: preference, Limit: defaultLimit}
	}
	return Freshness{Preference: preference, Limit: staleness.AsDuration(), Strict: true}
}

// Freshness says where the read takes its data from.
func (r Request) Freshness() Freshness {
	preference := registryv1.ReadPreference_READ_PREFERENCE_UNSPECIFIED
	if v, ok := r.get("read_preference"); ok {
		preference = registryv1.ReadPreference(v.Enum())
	}
	return FreshnessOf(preference, field[*durationpb.Duration](r, "max_staleness"))
}

// Repeatable makes the write safe to repeat when it has a request id.
func (r Request) Repeatable() (store.Request, error) { return Repeatable(r.Method.Full, r.Message) }

// Repeatable makes a call of any method safe to repeat when its request has a
// request id.
func Repeatable(method string, request proto.Message) (store.Request, error) {
	m := request.ProtoReflect()
	fd := m.Descriptor().Fields().ByName("request_id")
	if fd == nil || m.Get(fd).String() == "" {
		return store.Request{}, nil
	}
	raw, err := parseUUID(m.Get(fd).String())
	if err != nil {
		return store.Request{}, apierror.Invalid("requestId", "is not a UUID")
	}
	bare := proto.Clone(request).ProtoReflect()
	bare.Clear(fd)
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(bare.Interface())
	if err != nil {
		return store.Request{}, err
	}
	return store.Request{ID: raw, Digest: sha256.Sum256(append([]byte(method), body...))}, nil
}

// WithRequestID returns the request with a request id: its own, or a new one, so
// that passing it on is safe to repeat.
func (r Request) WithRequestID() Request {
	if r.RequestID() != "" {
		return r
	}
	message := proto.Clone(r.Message)
	fd := message.ProtoReflect().Descriptor().Fields().ByName("request_id")
	message.ProtoReflect().Set(fd, protoreflect.ValueOfString(newUUID()))
	return Request{Method: r.Method, Message: message}
}

// Query makes the query of a list in one comune. ok is false when the list is
// not about that comune.
func (r Request) Query(comune string, within []string, sight catalog.Sight) (query store.Query, ok bool) {
	query = store.Query{
		Kind: r.Method.Kind, Within: []string{comune},
		Limit:       pagetoken.Size(r.PageSize(), 50, 1000),
		ShowDeleted: r.ShowDeleted(), RefersTo: r.RefersTo(), DueBefore: r.DueBefore(), Sight: sight,
	}
	if len(within) == 0 {
		return query, true
	}
	if within[0] != catalog.Wildcard && within[0] != comune {
		return store.Query{}, false
	}
	if len(within) > 1 && within[1] != catalog.Wildcard {
		query.Within = append(query.Within, within[1:]...)
	}
	return query, true
}

// ForComune narrows a list to one comune, a page size and a page token, for
// asking the comune's node.
func (r Request) ForComune(comune string, pageSize int, pageToken string) Request {
	message := proto.Clone(r.Message)
	m := message.ProtoReflect()
	fields := m.Descriptor().Fields()
	if fd := fields.ByName("parent"); fd != nil {
		segments := strings.Split(m.Get(fd).String(), "/")
		segments[1] = comune
		m.Set(fd, protoreflect.ValueOfString(strings.Join(segments, "/")))
	}
	m.Set(fields.ByName("page_size"), protoreflect.ValueOfInt32(int32(pageSize)))
	m.Set(fields.ByName("page_token"), protoreflect.ValueOfString(pageToken))
	return Request{Method: r.Method, Message: message}
}

// Comune is the slug of the comune that a read of one record or a write is
// about.
func (r Request) Comune() (string, error) {
	if r.Method.Verb == catalog.Create {
		ids, err := r.Parent()
		if err != nil {
			return "", err
		}
		return ids[0], nil
	}
	name, err := r.Name()
	if err != nil {
		return "", err
	}
	return name.Comune(), nil
}
