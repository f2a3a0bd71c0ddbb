package desk

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/auditv1"
	"cidsistem.example/proto/gen/deskv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/network"
	"cidsistem.example/services/internal/policy"
	"cidsistem.example/services/internal/store"
)

// CreateRequest keeps a request and gives out its code.
func (d *Desk) CreateRequest(ctx context.Context, call *deskv1.CreateRequestRequest) (*deskv1.CreateRequestResponse, error) {
	caller := policy.Of(ctx)
	return d.create(ctx, call, creation{
		method: deskv1.RequestService_CreateRequest_FullMethodName, files: call.GetAttachments(), state: received,
		entry: &deskv1.Entry{Way: deskv1.Entry_PORTAL},
		// The people of the desk write down what they are told, all from one network.
		counted: caller.Person == nil && !caller.Local, shown: d.forPublic,
	})
}

// EnterRequest keeps what somebody of the desk was told.
func (d *Desk) EnterRequest(ctx context.Context, call *deskv1.EnterRequestRequest) (*deskv1.CreateRequestResponse, error) {
	switch call.GetWay() {
	case deskv1.Entry_TELEPHONE, deskv1.Entry_AT_THE_DESK, deskv1.Entry_IN_WRITING:
	default:
		return nil, apierror.Invalid("way", "is TELEPHONE, AT_THE_DESK or IN_WRITING for what the desk writes down")
	}
	return d.create(ctx, call, creation{
		method: deskv1.RequestService_EnterRequest_FullMethodName, state: taken, shown: d.forDesk,
		entry: &deskv1.Entry{Way: call.GetWay(), Author: authorOf(policy.Of(ctx))},
	})
}

// authorOf names the person who calls; empty for the local socket.
func authorOf(caller *policy.Caller) string {
	if caller.Person == nil {
		return ""
	}
	return caller.Actor()
}

// A creation is how a request comes in.
type creation struct {
	method  string
	files   []*deskv1.AttachedFile
	state   deskv1.Request_State
	entry   *deskv1.Entry
	counted bool // among those of the public
	shown   func(*deskv1.Request) *deskv1.Request
}

// create keeps a request.
func (d *Desk) create(ctx context.Context, call interface {
	GetParent() string
	GetRequest() *deskv1.Request
	GetRequestId() string
}, how creation,
) (*deskv1.CreateRequestResponse, error) {
	if err := d.owns(call.GetParent()); err != nil {
		return nil, err
	}
	content := contentOf(call.GetRequest())
	if err := check(content, d.calendar.On(d.store.Now())); err != nil {
		return nil, err
	}
	files, err := checkFiles(how.files)
	if err != nil {
		return nil, err
	}
	digest, err := digestOf(content, files)
	if err != nil {
		return nil, err
	}
	var requestID uuid.UUID
	if text := call.GetRequestId(); text != "" {
		if requestID, err = uuid.Parse(text); err != nil {
			return nil, apierror.Invalid("requestId", "is not a UUID")
		}
	}
	id, err := newID()
	if err != nil {
		return nil, err
	}
	caller := policy.Of(ctx)
	var made *deskv1.Request
	_, err = d.store.Commit(ctx, store.Request{}, nil, func(r store.Reader, stamp store.Stamp) (store.Outcome, error) {
		before, err := d.repeated(r, requestID, digest)
		if err != nil {
			return store.Outcome{}, err
		}
		if before != nil {
			made = how.shown(before.Request)
			return store.Outcome{}, nil
		}
		if err := d.checkSubject(r, caller, content); err != nil {
			return store.Outcome{}, err
		}
		if err := d.checkRoom(files); err != nil {
			return store.Outcome{}, err
		}
		// Last, so that what is refused does not count.
		if how.counted {
			if err := d.gate.Admit(network.Of(ctx), stamp.Time); err != nil {
				return store.Outcome{}, err
			}
		}
		fresh := &held{Request: proto.CloneOf(content), requestID: requestID}
		fresh.Name, fresh.State, fresh.Entry, fresh.CreateTime = d.parent+"/requests/"+id, how.state, how.entry, timestamppb.New(stamp.Time)
		d.complete(fresh)
		p := puts{desk: d, reader: r}
		p.attach(fresh, files, stamp.Time)
		p.begin(fresh, d.codes.of(fresh.GetName()), stamp.Time)
		if requestID != uuid.Nil {
			p.put(idKey(requestID), append(digest[:], id...))
			p.put(timed(areaDue, stamp.Time.Add(idsKept), "i"+requestID.String()), nil)
		}
		made = how.shown(fresh.Request)
		entry := caller.Entry(how.method, fresh.GetName(), auditv1.AuditEntry_DONE)
		entry.Reason = "" // the words of who asks stay out of the log
		return d.outcome(p, entry)
	})
	if err != nil {
		return nil, err
	}
	d.kept.Add(bytesOf(files))
	return &deskv1.CreateRequestResponse{Request: made, Code: d.codes.of(made.GetName())}, nil
}

// outcome writes entries with what the audit log says of them.
func (d *Desk) outcome(p puts, entries ...*auditv1.AuditEntry) (store.Outcome, error) {
	return store.Outcome{Local: p.all, Audit: entries}, p.err
}

// contentOf is what a person may say of a request.
func contentOf(asked *deskv1.Request) *deskv1.Request {
	return &deskv1.Request{
		Text: asked.GetText(), Category: asked.GetCategory(), Service: asked.GetService(), Location: asked.GetLocation(),
		Contact: asked.GetContact(), Language: asked.GetLanguage(), Kind: asked.GetKind(), Disruption: asked.GetDisruption(),
		Representation: asked.GetRepresentation(), PreferredChannel: asked.GetPreferredChannel(), ContactHours: asked.GetContactHours(),
	}
}

func digestOf(content *deskv1.Request, files []file) ([sha256.Size]byte, error) {
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(content)
	for _, f := range files {
		body = fmt.Appendf(body, "%s %q\n", f.GetSha256(), f.GetFileName())
	}
	return sha256.Sum256(body), err
}

// repeated finds the request that was made with a request id before; nil for
// none.
func (d *Desk) repeated(r store.Reader, requestID uuid.UUID, digest [sha256.Size]byte) (*held, error) {
	if requestID == uuid.Nil {
		return nil, nil
	}
	sealed := r.Local(idKey(requestID))
	if sealed == nil {
		return nil, nil
	}
	value, err := d.vault.Open(idKey(requestID), sealed)
	if err != nil {
		return nil, err
	}
	if len(value) <= sha256.Size {
		return nil, errDamaged
	}
	if subtle.ConstantTimeCompare(value[:sha256.Size], digest[:]) == 0 {
		return nil, apierror.New(registryv1.ErrorReason_REQUEST_ID_REUSED, "request_id was used for another request",
			apierror.Field("requestId", "was used for another request"), apierror.With("request_id", requestID.String()))
	}
	return d.read(r, string(value[sha256.Size:]))
}
