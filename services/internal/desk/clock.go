package desk

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/auditv1"
	"cidsistem.example/proto/gen/deskv1"
	"cidsistem.example/services/internal/policy"
	"cidsistem.example/services/internal/store"
)

// suspended is the time during which the clock stands still now; nil when it
// runs.
func (h *held) suspended() *deskv1.Suspension {
	if n := len(h.GetSuspensions()); n > 0 && h.GetSuspensions()[n-1].GetEndTime() == nil {
		return h.GetSuspensions()[n-1]
	}
	return nil
}

// beginClock gives the desk all its days for a request that is taken up again.
func (d *Desk) beginClock(h *held, now time.Time) {
	h.Outcome = deskv1.Request_OUTCOME_UNSPECIFIED
	h.DueDate = partial(d.calendar.After(d.calendar.On(now), d.settings.AnswerDays))
}

// stopClock stops the clock, or says another reason why it stands still.
func (d *Desk) stopClock(h *held, reason deskv1.Suspension_Reason, note string, now time.Time) {
	if open := h.suspended(); open != nil {
		open.EndTime = timestamppb.New(now)
	}
	if h.GetDueDate() != nil {
		h.WorkingDaysLeft = int32(d.calendar.Between(d.calendar.On(now), whole(h.GetDueDate())))
		h.DueDate = nil
	}
	h.Suspensions = append(h.Suspensions, &deskv1.Suspension{Reason: reason, Note: note, StartTime: timestamppb.New(now)})
}

// runClock lets the clock run again. However late the desk was, it has a day to
// read what it waited for.
func (d *Desk) runClock(h *held, now time.Time) {
	if open := h.suspended(); open != nil {
		open.EndTime = timestamppb.New(now)
	}
	h.DueDate = partial(d.calendar.After(d.calendar.On(now), max(int(h.GetWorkingDaysLeft()), 1)))
	h.WorkingDaysLeft = 0
}

// setTerm finds the last day of the statutory term: that many days of the
// calendar after the day of the protocollo, and as many as the clock stood still
// meanwhile; there is none while it stands still.
func (d *Desk) setTerm(request *deskv1.Request) {
	registration := request.GetRegistration()
	if registration == nil {
		return
	}
	registration.TermDate = nil
	begin := whole(registration.GetDate())
	last := begin.Add(int(registration.GetTermDays()))
	for _, s := range request.GetSuspensions() {
		from := d.calendar.On(s.GetStartTime().AsTime())
		if from.Compare(last) > 0 {
			break // the term was over
		}
		if s.GetEndTime() == nil {
			return
		}
		if until := d.calendar.On(s.GetEndTime().AsTime()); until.Compare(begin) > 0 {
			if from.Compare(begin) < 0 {
				from = begin
			}
			last = last.Add(from.DaysUntil(until))
		}
	}
	registration.TermDate = partial(d.calendar.OnOrAfter(last))
}

// RegisterRequest records the registration of a request in the protocollo, or
// puts one right.
func (d *Desk) RegisterRequest(ctx context.Context, call *deskv1.RegisterRequestRequest) (*deskv1.Request, error) {
	registration := proto.CloneOf(call.GetRegistration())
	registration.TermDate = nil
	date := registration.GetDate()
	if _, last, ok := span(date); !ok || date.GetMonth() == 0 || date.GetDay() == 0 {
		return nil, apierror.Invalid("registration.date", "is not a day of the calendar")
	} else if last.Compare(d.calendar.On(d.store.Now())) > 0 {
		return nil, apierror.Invalid("registration.date", "is in the future")
	}
	return d.arrange(ctx, call.GetName(), deskv1.RequestService_RegisterRequest_FullMethodName, func(_ *puts, h *held, _ store.Stamp) (bool, error) {
		if proto.Equal(h.GetRegistration(), registration) {
			return false, nil
		}
		h.Registration = registration
		return true, nil
	})
}

// maxSuspensions bounds how often the clock of a request stands still.
const maxSuspensions = 100

// SuspendRequest stops the clock of a request, or lets it run again.
func (d *Desk) SuspendRequest(ctx context.Context, call *deskv1.SuspendRequestRequest) (*deskv1.Request, error) {
	switch said := call.GetReason() != deskv1.Suspension_REASON_UNSPECIFIED; {
	case call.GetResume() && (said || call.GetNote() != ""):
		return nil, apierror.Invalid("reason", "is not for a clock that runs again")
	case !call.GetResume() && !said:
		return nil, apierror.Invalid("reason", "is missing; say why the clock stands still")
	}
	return d.arrange(ctx, call.GetName(), deskv1.RequestService_SuspendRequest_FullMethodName, func(_ *puts, h *held, stamp store.Stamp) (bool, error) {
		open := h.suspended()
		switch {
		case h.GetState() == answered:
			return false, h.refuse("its clock does not run")
		case call.GetResume() && open == nil && h.GetState() != waiting:
			return false, nil
		case call.GetResume():
			if h.State == waiting {
				h.State = taken
			}
			d.runClock(h, stamp.Time)
			return true, nil
		case open != nil && open.GetReason() == call.GetReason() && open.GetNote() == call.GetNote():
			return false, nil
		case len(h.GetSuspensions()) == maxSuspensions:
			return false, h.refuse(fmt.Sprintf("its clock stood still %d times, which is all that it can", maxSuspensions))
		}
		d.stopClock(h, call.GetReason(), call.GetNote(), stamp.Time)
		switch {
		case call.GetReason() == deskv1.Suspension_WAITING_FOR_PERSON:
			h.State = waiting
		case h.State == waiting, h.State == received:
			h.State = taken
		}
		return true, nil
	})
}

// arrange changes what the desk has to arrange about a request that has not
// ended.
func (d *Desk) arrange(ctx context.Context, name, method string, edit func(*puts, *held, store.Stamp) (bool, error)) (*deskv1.Request, error) {
	id, err := d.idIn(name)
	if err != nil {
		return nil, err
	}
	after, err := d.change(ctx, d.named(name, id), func(p *puts, h *held, stamp store.Stamp) (bool, error) {
		if _, err := h.after(arrange, "nothing is arranged about it any more"); err != nil {
			return false, err
		}
		return edit(p, h, stamp)
	}, func(*held) *auditv1.AuditEntry {
		return policy.Of(ctx).Entry(method, name, auditv1.AuditEntry_DONE)
	})
	if err != nil {
		return nil, err
	}
	return d.forDesk(after), nil
}
