package desk

import (
	"fmt"
	"time"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/deskv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/workdays"
)

// An act is what somebody does to a request.
type act int

const (
	read      act = iota // the desk reads it
	reply                // the desk writes
	ask                  // the desk writes, and waits for the person
	conclude             // the desk gives the final answer
	write                // the person writes
	end                  // the person withdraws or closes it
	rateReply            // the person says how good the answer was
	arrange              // the desk assigns it, notes something, registers it, stops its clock
	handOver             // the desk hands it over to another comune
)

const (
	received    = deskv1.Request_RECEIVED
	taken       = deskv1.Request_TAKEN
	waiting     = deskv1.Request_WAITING_FOR_PERSON
	answered    = deskv1.Request_ANSWERED
	closed      = deskv1.Request_CLOSED
	withdrawn   = deskv1.Request_WITHDRAWN
	transferred = deskv1.Request_TRANSFERRED
)

// transitions say where a request stands after an act; what is not there is
// refused.
var transitions = map[deskv1.Request_State]map[act]deskv1.Request_State{
	received:    {read: taken, reply: taken, ask: waiting, conclude: answered, write: received, end: withdrawn, arrange: received, handOver: transferred},
	taken:       {read: taken, reply: taken, ask: waiting, conclude: answered, write: taken, end: withdrawn, arrange: taken, handOver: transferred},
	waiting:     {read: waiting, reply: taken, ask: waiting, conclude: answered, write: taken, end: withdrawn, arrange: waiting, handOver: transferred},
	answered:    {read: answered, reply: taken, ask: waiting, conclude: answered, write: taken, end: closed, rateReply: answered, arrange: answered},
	closed:      {read: closed, end: closed, rateReply: closed},
	withdrawn:   {read: withdrawn, end: withdrawn},
	transferred: {read: transferred},
}

// after tells where a request stands after an act, or refuses it.
func (h *held) after(a act, problem string) (deskv1.Request_State, error) {
	to, ok := transitions[h.GetState()][a]
	if !ok {
		return 0, h.refuse(problem)
	}
	return to, nil
}

// refuse says that a request does not stand where something can be done.
func (h *held) refuse(problem string) error {
	if to := h.GetTransfer().GetComune(); to != "" {
		return apierror.New(registryv1.ErrorReason_NOT_SUPPORTED_HERE, fmt.Sprintf("the request was handed over to %s: %s; the same code leads to it there", to, problem),
			apierror.With("name", h.GetName()), apierror.With("state", h.GetState().String()), apierror.With("comune", idOf(to)))
	}
	return apierror.New(registryv1.ErrorReason_NOT_SUPPORTED_HERE, fmt.Sprintf("the request is %s: %s", h.GetState(), problem),
		apierror.With("name", h.GetName()), apierror.With("state", h.GetState().String()))
}

// move puts a request where it stands from now on, and keeps the clock: it
// stands still while the desk waits for the person, and begins anew when a
// request is taken up again.
func (d *Desk) move(h *held, to deskv1.Request_State, now time.Time) {
	from := h.GetState()
	h.State = to
	open := h.suspended()
	switch {
	case from == to:
	case to == waiting && open == nil:
		if from == answered {
			d.beginClock(h, now)
		}
		d.stopClock(h, deskv1.Suspension_WAITING_FOR_PERSON, "", now)
	case from == answered && to != closed:
		d.beginClock(h, now)
	case from == waiting && (open == nil || open.GetReason() == deskv1.Suspension_WAITING_FOR_PERSON), open != nil && to != taken && to != waiting:
		d.runClock(h, now)
	}
}

// overdue tells whether a request should have its final answer, and has not.
func overdue(request *deskv1.Request, today workdays.Date) bool {
	open := request.GetState() == received || request.GetState() == taken
	return open && request.GetDueDate() != nil && today.Compare(whole(request.GetDueDate())) > 0
}

func partial(d workdays.Date) *registryv1.PartialDate {
	return &registryv1.PartialDate{Year: int32(d.Year), Month: int32(d.Month), Day: int32(d.Day)}
}

func whole(d *registryv1.PartialDate) workdays.Date {
	return workdays.Date{Year: int(d.GetYear()), Month: time.Month(d.GetMonth()), Day: int(d.GetDay())}
}
