package desk

import (
	"context"
	"fmt"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/auditv1"
	"cidsistem.example/proto/gen/deskv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/policy"
	"cidsistem.example/services/internal/store"
)

// errNoSuchCode is the answer to every code that is none.
var errNoSuchCode = apierror.New(registryv1.ErrorReason_RESOURCE_NOT_FOUND, "there is no request with this code; look whether it is complete")

// readByCode finds a request by its code.
func (d *Desk) readByCode(r store.Reader, code string) (*held, error) {
	key := d.codeKey(code)
	sealed := r.Local(key)
	if sealed == nil {
		return nil, errNoSuchCode
	}
	id, err := d.vault.Open(key, sealed)
	if err != nil {
		return nil, err
	}
	h, err := d.read(r, string(id))
	if err == nil && h == nil {
		err = errNoSuchCode
	}
	return h, err
}

// LookUpRequest finds a request by its code.
func (d *Desk) LookUpRequest(_ context.Context, call *deskv1.LookUpRequestRequest) (*deskv1.Request, error) {
	if err := d.owns(call.GetParent()); err != nil {
		return nil, err
	}
	var found *held
	err := d.store.View(func(r store.Reader) (err error) {
		found, err = d.readByCode(r, call.GetCode())
		return err
	})
	if err != nil {
		return nil, err
	}
	return d.forPublic(found.Request), nil
}

// AddMessage adds what the person writes. A message that is the last already is
// not added again, so that a call can be repeated.
func (d *Desk) AddMessage(ctx context.Context, call *deskv1.AddMessageRequest) (*deskv1.Request, error) {
	if strings.TrimSpace(call.GetText()) == "" {
		return nil, apierror.Invalid("text", "is empty; write something")
	}
	files, err := checkFiles(call.GetAttachments())
	if err != nil {
		return nil, err
	}
	after, err := d.follow(ctx, call, deskv1.RequestService_AddMessage_FullMethodName, func(p *puts, h *held, stamp store.Stamp) (bool, error) {
		if last := h.last(); last.GetSide() == deskv1.Message_PERSON && last.GetText() == call.GetText() && same(h.attached(last), files) {
			return false, nil
		}
		to, err := h.after(write, "nothing is added to it any more; ask anew")
		if err != nil {
			return false, err
		}
		if len(h.GetAttachments())+len(files) > maxAttachments {
			return false, apierror.Invalid("attachments", fmt.Sprintf("are too many: a request has at most %d", maxAttachments))
		}
		if err := d.checkRoom(files); err != nil {
			return false, err
		}
		message := &deskv1.Message{Side: deskv1.Message_PERSON, Text: call.GetText(), CreateTime: timestamppb.New(stamp.Time)}
		message.Attachments = p.attach(h, files, stamp.Time)
		d.move(h, to, stamp.Time)
		return true, h.add(message)
	})
	if err == nil {
		d.kept.Add(bytesOf(files))
	}
	return after, err
}

// CloseRequest ends a request as the person wishes.
func (d *Desk) CloseRequest(ctx context.Context, call *deskv1.CloseRequestRequest) (*deskv1.Request, error) {
	return d.follow(ctx, call, deskv1.RequestService_CloseRequest_FullMethodName, func(_ *puts, h *held, stamp store.Stamp) (bool, error) {
		to, err := h.after(end, "it cannot be closed")
		if err != nil || to == h.GetState() {
			return false, err
		}
		d.move(h, to, stamp.Time)
		return true, nil
	})
}

// RateRequest keeps what the person thinks of the answer.
func (d *Desk) RateRequest(ctx context.Context, call *deskv1.RateRequestRequest) (*deskv1.Request, error) {
	if call.GetScore() < 1 || call.GetScore() > 5 {
		return nil, apierror.Invalid("score", "is not a number from 1 to 5")
	}
	return d.follow(ctx, call, deskv1.RequestService_RateRequest_FullMethodName, func(_ *puts, h *held, stamp store.Stamp) (bool, error) {
		if _, err := h.after(rateReply, "only a request with a final answer is rated"); err != nil {
			return false, err
		}
		before := h.GetRating()
		if before.GetScore() == call.GetScore() && before.GetText() == call.GetText() {
			return false, nil
		}
		if before != nil && h.GetState() == closed {
			return false, h.refuse("its rating stays as it is")
		}
		h.Rating = &deskv1.Rating{Score: call.GetScore(), Text: call.GetText(), CreateTime: timestamppb.New(stamp.Time)}
		return true, nil
	})
}

// follow changes a request for who has its code.
func (d *Desk) follow(ctx context.Context, call interface {
	GetParent() string
	GetCode() string
}, method string, edit func(*puts, *held, store.Stamp) (bool, error),
) (*deskv1.Request, error) {
	if err := d.owns(call.GetParent()); err != nil {
		return nil, err
	}
	find := func(r store.Reader) (*held, error) { return d.readByCode(r, call.GetCode()) }
	after, err := d.change(ctx, find, edit, func(h *held) *auditv1.AuditEntry {
		entry := policy.Of(ctx).Entry(method, h.GetName(), auditv1.AuditEntry_DONE)
		entry.Reason = "" // the words of who asks stay out of the log
		return entry
	})
	if err != nil {
		return nil, err
	}
	return d.forPublic(after), nil
}
