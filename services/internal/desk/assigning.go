package desk

import (
	"context"
	"fmt"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/deskv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/policy"
	"cidsistem.example/services/internal/store"
)

// AssignRequest says who looks after a request.
func (d *Desk) AssignRequest(ctx context.Context, call *deskv1.AssignRequestRequest) (*deskv1.Request, error) {
	to := call.GetAssignee()
	switch {
	case call.GetRelease() && to != "":
		return nil, apierror.Invalid("assignee", "is not for a request that is nobody's any more")
	case !call.GetRelease() && to == "":
		if to = authorOf(policy.Of(ctx)); to == "" {
			return nil, apierror.Invalid("assignee", "is missing; say whose it is")
		}
	}
	return d.arrange(ctx, call.GetName(), deskv1.RequestService_AssignRequest_FullMethodName, func(p *puts, h *held, _ store.Stamp) (bool, error) {
		if to == h.GetAssignee() {
			return false, nil
		}
		if to != "" && d.accounts != nil {
			there, err := d.accounts.Holds(p.reader, to)
			if err != nil {
				return false, err
			}
			if !there {
				problem := fmt.Sprintf("%.100q is not an account of this node", to)
				return false, apierror.New(registryv1.ErrorReason_DANGLING_REFERENCE, "assignee: "+problem, apierror.Field("assignee", problem))
			}
		}
		h.Assignee = to
		return true, nil
	})
}

// maxNotes bounds those of a request.
const maxNotes = 100

// AddNote adds a note of the desk. One that is the last already is not added
// again, so that a call can be repeated.
func (d *Desk) AddNote(ctx context.Context, call *deskv1.AddNoteRequest) (*deskv1.Request, error) {
	if strings.TrimSpace(call.GetText()) == "" {
		return nil, apierror.Invalid("text", "is empty; write something")
	}
	author := authorOf(policy.Of(ctx))
	return d.arrange(ctx, call.GetName(), deskv1.RequestService_AddNote_FullMethodName, func(_ *puts, h *held, stamp store.Stamp) (bool, error) {
		notes := h.GetNotes()
		if n := len(notes); n > 0 && notes[n-1].GetText() == call.GetText() && notes[n-1].GetAuthor() == author {
			return false, nil
		}
		if len(notes) == maxNotes {
			return false, apierror.New(registryv1.ErrorReason_TOO_LARGE, fmt.Sprintf("the request has %d notes, which is all that it can have", maxNotes))
		}
		h.Notes = append(notes, &deskv1.Note{Author: author, Text: call.GetText(), CreateTime: timestamppb.New(stamp.Time)})
		return true, h.fits()
	})
}
