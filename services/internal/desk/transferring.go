package desk

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/deskv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/policy"
	"cidsistem.example/services/internal/store"
)

// transferWithin bounds the handing over of a request with its attachments.
const transferWithin = time.Minute

// TransferRequest hands a request over. What it says is erased here once the
// other node has said under which name it has it. When that answer is lost, the
// call can be repeated: the other node knows the request by its name here.
func (d *Desk) TransferRequest(ctx context.Context, call *deskv1.TransferRequestRequest) (*deskv1.Request, error) {
	id, err := d.idIn(call.GetName())
	if err != nil {
		return nil, err
	}
	peer, err := d.peer(call.GetComune())
	if err != nil {
		return nil, err
	}
	if !d.leave(id) {
		return nil, apierror.New(registryv1.ErrorReason_TOO_MANY_REQUESTS, "the request is being handed over already", apierror.RetryAfter(5*time.Second))
	}
	defer d.stay(id)
	var h *held
	var attachments []*deskv1.Attachment
	err = d.store.View(func(r store.Reader) (err error) {
		if h, err = d.named(call.GetName(), id)(r); err != nil {
			return err
		}
		for _, a := range h.GetAttachments() {
			attachment, err := d.attachment(r, h, a.GetName())
			if err != nil {
				return err
			}
			attachments = append(attachments, attachment)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if h.GetState() == transferred && h.GetTransfer().GetComune() == call.GetComune() {
		return d.forDesk(h.Request), nil // a repetition
	}
	if _, err := h.after(handOver, "it is not handed over any more"); err != nil {
		return nil, err
	}
	receipt, err := d.send(ctx, peer, call.GetComune(), h, attachments)
	if err != nil {
		return nil, err
	}
	author := authorOf(policy.Of(ctx))
	// The other node has it: here it goes, even if who asked for it went away.
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), transferWithin)
	defer cancel()
	var after *deskv1.Request
	_, err = d.store.Commit(last, store.Request{}, nil, func(r store.Reader, stamp store.Stamp) (store.Outcome, error) {
		before, err := d.named(call.GetName(), id)(r)
		if err != nil {
			return store.Outcome{}, err
		}
		p := puts{desk: d, reader: r}
		p.strip(before)
		stub := &held{origin: before.origin, Request: &deskv1.Request{
			Name: before.GetName(), State: transferred, CreateTime: before.GetCreateTime(), PurgeTime: before.GetPurgeTime(),
			Transfer: &deskv1.Transfer{
				Comune: call.GetComune(), Consent: call.GetConsent(), Receipt: receipt, Author: author, TransferTime: timestamppb.New(stamp.Time),
			},
		}}
		if before.origin != nil {
			stub.Entry = before.GetEntry() // by which its origin is found
		}
		p.save(stub, stamp.Time)
		after = stub.Request
		return d.outcome(p)
	})
	if err != nil {
		return nil, fmt.Errorf("erase a request that was handed over: %w", err)
	}
	return d.forDesk(after), nil
}

// peer connects to the desk of another comune.
func (d *Desk) peer(comune string) (deskv1.TransferServiceClient, error) {
	if comune == d.parent {
		return nil, apierror.Invalid("comune", "is this one")
	}
	var peer deskv1.TransferServiceClient
	var err error
	if d.peers != nil {
		peer, err = d.peers.Transfer(idOf(comune))
	}
	if err == nil && peer == nil {
		err = apierror.New(registryv1.ErrorReason_NOT_SUPPORTED_HERE, fmt.Sprintf("this node does not know the node of %s; it is not among the peers of its settings", comune), apierror.With("comune", idOf(comune)))
	}
	return peer, err
}

// send hands a request to another node, and returns its name there.
func (d *Desk) send(ctx context.Context, peer deskv1.TransferServiceClient, comune string, h *held, attachments []*deskv1.Attachment) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, transferWithin)
	defer cancel()
	receipt, err := func() (string, error) {
		stream, err := peer.ReceiveRequest(ctx)
		if err != nil {
			return "", err
		}
		parts := []*deskv1.ReceiveRequestRequest{{Part: &deskv1.ReceiveRequestRequest_Header_{Header: &deskv1.ReceiveRequestRequest_Header{
			Parent: comune, Request: travelling(h.Request), Code: d.codeOf(h),
		}}}}
		for _, a := range attachments {
			parts = append(parts, &deskv1.ReceiveRequestRequest{Part: &deskv1.ReceiveRequestRequest_Attachment{Attachment: a}})
		}
		for _, part := range parts {
			if stream.Send(part) != nil {
				break // what went wrong is in the answer
			}
		}
		answer, err := stream.CloseAndRecv()
		return answer.GetName(), err
	}()
	switch {
	case err == nil && receipt != "":
		return receipt, nil
	case apierror.Info(err) != nil:
		return "", err // in the words of the other node
	}
	d.log.Warn("a request cannot be handed over", "comune", comune, "error", err)
	return "", apierror.New(registryv1.ErrorReason_OWNER_UNREACHABLE,
		fmt.Sprintf("the node of %s did not say that it has the request; everything is here still, try again later", comune),
		apierror.With("comune", idOf(comune)), apierror.RetryAfter(time.Minute))
}

// travelling is what of a request goes to another comune: what the person said,
// and what both sides wrote. What is of this desk alone stays, and so does the
// procedure that began here.
func travelling(request *deskv1.Request) *deskv1.Request {
	out := contentOf(proto.CloneOf(request))
	out.Name, out.Attachments, out.CreateTime = request.GetName(), request.GetAttachments(), request.GetCreateTime()
	for _, m := range request.GetMessages() {
		out.Messages = append(out.Messages, &deskv1.Message{Side: m.GetSide(), Text: m.GetText(), Attachments: m.GetAttachments(), CreateTime: m.GetCreateTime()})
	}
	return out
}

// leave makes a request stand still while it is handed over; false when it does
// already.
func (d *Desk) leave(id string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.leaving[id] {
		return false
	}
	d.leaving[id] = true
	return true
}

func (d *Desk) stay(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.leaving, id)
}

func (d *Desk) isLeaving(id string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.leaving[id]
}
