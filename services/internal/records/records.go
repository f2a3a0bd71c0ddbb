// Package records decides on changes of a comune's own records. Whatever writes
// them asks here, inside the transaction that writes: the standard methods, the
// editorial office, an import, a merge.
package records

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/proto"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/files"
	"cidsistem.example/services/internal/policy"
	"cidsistem.example/services/internal/store"
)

// Rules are those of the contract about messages.
type Rules interface {
	// Validate checks a message; the path stands before each field that the error
	// names.
	Validate(message proto.Message, path string) error
	// Violations lists the rules that a message breaks.
	Violations(message proto.Message) ([]*protovalidate.Violation, error)
}

// Options of New.
type Options struct {
	// Comune is the id of the comune that owns the records.
	Comune string
	// Files are those that documents have.
	Files *files.Folder
	// Rules of the contract, and the Policy of the server.
	Rules  Rules
	Policy *policy.Policy
	// PurgeAfter is for how long a deleted record can be undeleted.
	PurgeAfter time.Duration
}

// Records are those of one comune. It is safe for concurrent use.
type Records struct{ options Options }

// New makes the records of a comune.
func New(options Options) *Records { return &Records{options: options} }

// Owns refuses what belongs to another comune, by its id.
func (r *Records) Owns(comune string) error {
	if comune == r.options.Comune {
		return nil
	}
	return apierror.New(registryv1.ErrorReason_NOT_THE_OWNER,
		fmt.Sprintf("this node owns comuni/%s, not comuni/%s; write to the node of that comune or to the ufficio comune", r.options.Comune, comune),
		apierror.With("comune", comune))
}

// Begin begins to decide on changes inside a transaction, on behalf of a caller,
// who needs the rights of the standard methods that do the same.
func (r *Records) Begin(reader store.Reader, stamp store.Stamp, caller *policy.Caller) *Change {
	return &Change{records: r, reader: reader, stamp: stamp, caller: caller, sight: caller.Sight(), decided: map[string]proto.Message{}}
}

// Rights is the caller as of the standard method of a kind, about a record, or
// about what a new one is inside of. It refuses who may not call it.
func (r *Records) Rights(caller *policy.Caller, verb catalog.Verb, name catalog.Name) (*policy.Caller, error) {
	method, ok := name.Kind.Method(verb)
	if !ok {
		return nil, apierror.New(registryv1.ErrorReason_NOT_SUPPORTED_HERE, name.Kind.Collection+" cannot be created, deleted or undeleted")
	}
	about := name.String()
	if parent, inside := name.Parent(); inside && verb == catalog.Create {
		about = parent.String()
	}
	return r.options.Policy.For(caller, method.Full, about)
}

// Actor names a caller for the history of a record; empty for the server itself.
func Actor(caller *policy.Caller) string {
	if caller.Local {
		return ""
	}
	return caller.Actor()
}

// Answer turns an error of a commit, made with a request id, into one of the
// contract.
func Answer(err error, requestID string) error {
	switch {
	case errors.Is(err, store.ErrRequestReused):
		return apierror.New(registryv1.ErrorReason_REQUEST_ID_REUSED, err.Error()+"; take a new one",
			apierror.With("request_id", requestID), apierror.Field("requestId", err.Error()))
	case errors.Is(err, store.ErrTooLarge):
		return apierror.New(registryv1.ErrorReason_TOO_LARGE, err.Error(), apierror.With("limit_bytes", strconv.Itoa(store.MaxRecordBytes)))
	default:
		return err
	}
}

// Mismatch says that a record is not the one that was read before.
func Mismatch(name, current string) error {
	return apierror.New(registryv1.ErrorReason_ETAG_MISMATCH, name+" changed since it was read; read it again and repeat the change",
		apierror.With("name", name), apierror.With("current_etag", current))
}

func deleted(name catalog.Name) error {
	return apierror.New(registryv1.ErrorReason_RESOURCE_DELETED, name.String()+" is deleted; undelete it first", apierror.With("name", name.String()))
}
