package desk

import (
	"context"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/auditv1"
	"cidsistem.example/proto/gen/deskv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/policy"
	"cidsistem.example/services/internal/store"
)

const (
	// maxMessages bounds what one side writes.
	maxMessages = 50
	// maxRequestBytes bounds a request, so that it always fits into a message.
	maxRequestBytes = 1 << 20
)

// AnswerRequest adds an answer. One that is the last already is not added again,
// so that a call can be repeated.
func (d *Desk) AnswerRequest(ctx context.Context, call *deskv1.AnswerRequestRequest) (*deskv1.Request, error) {
	id, err := d.idIn(call.GetName())
	if err != nil {
		return nil, err
	}
	doing, err := actOf(call)
	if err != nil {
		return nil, err
	}
	caller := policy.Of(ctx)
	author := authorOf(caller)
	after, err := d.change(ctx, d.named(call.GetName(), id), func(p *puts, h *held, stamp store.Stamp) (bool, error) {
		text, err := d.withServices(p.reader, call.GetText(), call.GetServices(), h.GetLanguage())
		if err != nil {
			return false, err
		}
		to, err := h.after(doing, "it is not answered any more")
		if err != nil {
			return false, err
		}
		if last := h.last(); last.GetSide() == deskv1.Message_DESK && last.GetText() == text && last.GetAuthor() == author &&
			h.GetState() == to && h.GetOutcome() == call.GetOutcome() {
			return false, nil
		}
		d.move(h, to, stamp.Time)
		h.Outcome = call.GetOutcome()
		d.notify(p, h, stamp)
		return true, h.add(&deskv1.Message{Side: deskv1.Message_DESK, Text: text, Author: author, CreateTime: timestamppb.New(stamp.Time)})
	}, func(*held) *auditv1.AuditEntry {
		return caller.Entry(deskv1.RequestService_AnswerRequest_FullMethodName, call.GetName(), auditv1.AuditEntry_DONE)
	})
	if err != nil {
		return nil, err
	}
	return d.forDesk(after), nil
}

// actOf tells what an answer does, and what is wrong with it.
func actOf(call *deskv1.AnswerRequestRequest) (act, error) {
	switch final, outcome := call.GetFinal(), call.GetOutcome() != deskv1.Request_OUTCOME_UNSPECIFIED; {
	case strings.TrimSpace(call.GetText()) == "":
		return 0, apierror.Invalid("text", "is empty; say what the answer is")
	case final && !outcome:
		return 0, apierror.Invalid("outcome", "is missing; say what became of the request with its final answer")
	case !final && outcome:
		return 0, apierror.Invalid("outcome", "is for the final answer; say final too")
	case final && call.GetWaitingForPerson():
		return 0, apierror.Invalid("waitingForPerson", "is not for the final answer")
	case final:
		return conclude, nil
	case call.GetWaitingForPerson():
		return ask, nil
	default:
		return reply, nil
	}
}

// last is the message that was written last; nil for none.
func (h *held) last() *deskv1.Message {
	if n := len(h.GetMessages()); n > 0 {
		return h.GetMessages()[n-1]
	}
	return nil
}

// attached are the attachments of a message.
func (h *held) attached(message *deskv1.Message) []*deskv1.Attachment {
	var all []*deskv1.Attachment
	for _, name := range message.GetAttachments() {
		for _, a := range h.GetAttachments() {
			if a.GetName() == name {
				all = append(all, a)
			}
		}
	}
	return all
}

// add adds a message, as long as there is room.
func (h *held) add(message *deskv1.Message) error {
	n := 0
	for _, m := range h.GetMessages() {
		if m.GetSide() == message.GetSide() {
			n++
		}
	}
	if n == maxMessages {
		return apierror.New(registryv1.ErrorReason_TOO_LARGE, fmt.Sprintf("the request has %d messages of this side, which is all that it can have", n))
	}
	h.Messages = append(h.Messages, message)
	return h.fits()
}

// fits refuses a request that is too long for a message.
func (h *held) fits() error {
	if proto.Size(h.Request) > maxRequestBytes {
		return apierror.New(registryv1.ErrorReason_TOO_LARGE, "the request is as long as it can be", apierror.With("limit_bytes", fmt.Sprint(maxRequestBytes)))
	}
	return nil
}

// named finds a request by its name.
func (d *Desk) named(name, id string) func(store.Reader) (*held, error) {
	return func(r store.Reader) (*held, error) {
		h, err := d.read(r, id)
		if err == nil && h == nil {
			err = apierror.NotFound(name)
		}
		return h, err
	}
}

// change changes a request, if edit says so, and writes an audit entry with it,
// if there is one to write.
func (d *Desk) change(ctx context.Context, find func(store.Reader) (*held, error), edit func(*puts, *held, store.Stamp) (bool, error),
	entry func(*held) *auditv1.AuditEntry,
) (*deskv1.Request, error) {
	var after *deskv1.Request
	_, err := d.store.Commit(ctx, store.Request{}, nil, func(r store.Reader, stamp store.Stamp) (store.Outcome, error) {
		h, err := find(r)
		if err != nil {
			return store.Outcome{}, err
		}
		if d.isLeaving(h.id()) {
			return store.Outcome{}, apierror.New(registryv1.ErrorReason_TOO_MANY_REQUESTS, "the request is being handed over to another comune", apierror.RetryAfter(5*time.Second))
		}
		p := puts{desk: d, reader: r}
		changed, err := edit(&p, h, stamp)
		if after = h.Request; err != nil || !changed {
			return store.Outcome{}, err
		}
		p.save(h, stamp.Time)
		if entry == nil {
			return d.outcome(p)
		}
		return d.outcome(p, entry(h))
	})
	if err != nil {
		return nil, err
	}
	return after, nil
}
