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

// maxAnswers bounds a request, so that it always fits into a message.
const maxAnswers = 50

// AnswerRequest adds an answer. One that is the last already is not added again,
// so that a call can be repeated.
func (d *Desk) AnswerRequest(ctx context.Context, call *deskv1.AnswerRequestRequest) (*deskv1.Request, error) {
	id, err := d.idIn(call.GetName())
	if err != nil {
		return nil, err
	}
	if strings.TrimSpace(call.GetText()) == "" {
		return nil, apierror.Invalid("text", "is empty; say what the answer is")
	}
	state := deskv1.Request_TAKEN
	if call.GetFinal() {
		state = deskv1.Request_ANSWERED
	}
	caller, author := policy.Of(ctx), ""
	if caller.Person != nil {
		author = caller.Actor()
	}
	entry := caller.Entry(deskv1.RequestService_AnswerRequest_FullMethodName, call.GetName(), auditv1.AuditEntry_DONE)
	return d.change(ctx, call.GetName(), id, func(h *held, stamp store.Stamp) (bool, error) {
		n := len(h.GetAnswers())
		if n > 0 && h.GetState() == state {
			if last := h.GetAnswers()[n-1]; last.GetText() == call.GetText() && last.GetAuthor() == author {
				return false, nil
			}
		}
		if n == maxAnswers {
			return false, apierror.New(registryv1.ErrorReason_TOO_LARGE, fmt.Sprintf("%s has %d answers, which is all that it can have", call.GetName(), n))
		}
		h.Answers = append(h.Answers, &deskv1.Answer{Text: call.GetText(), Author: author, CreateTime: timestamppb.New(stamp.Time)})
		h.State = state
		return true, nil
	}, entry)
}

// change changes a request, if edit says so, and writes audit entries with it.
func (d *Desk) change(ctx context.Context, name, id string, edit func(*held, store.Stamp) (bool, error), entries ...*auditv1.AuditEntry) (*deskv1.Request, error) {
	var after *deskv1.Request
	_, err := d.store.Commit(ctx, store.Request{}, nil, func(r store.Reader, stamp store.Stamp) (store.Outcome, error) {
		h, err := d.read(r, id)
		if err != nil {
			return store.Outcome{}, err
		}
		if h == nil {
			return store.Outcome{}, apierror.NotFound(name)
		}
		changed, err := edit(h, stamp)
		if after = h.Request; err != nil || !changed {
			return store.Outcome{}, err
		}
		p := puts{desk: d}
		p.save(h, stamp.Time)
		return d.outcome(p, entries...)
	})
	if err != nil {
		return nil, err
	}
	return after, nil
}
