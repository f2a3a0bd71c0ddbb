package mail

import (
	"context"
	"fmt"
	"strings"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/adminv1"
	"cidsistem.example/proto/gen/auditv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/pagetoken"
	"cidsistem.example/services/internal/policy"
	"cidsistem.example/services/internal/store"
)

// maxScan bounds what one page looks at.
const maxScan = 2000

// ListMessages lists messages, the newest first.
func (o *Outbox) ListMessages(_ context.Context, call *adminv1.ListMessagesRequest) (*adminv1.ListMessagesResponse, error) {
	if err := o.owns(call.GetParent()); err != nil {
		return nil, err
	}
	token, err := pagetoken.Decode(call, call.GetPageToken())
	if err != nil {
		return nil, err
	}
	size := pagetoken.Size(call.GetPageSize(), 50, 1000)
	answer, after, scanned := &adminv1.ListMessagesResponse{}, string(token.Key), 0
	err = o.store.View(func(r store.Reader) error {
		for key, sealed := range r.LocalEntries(area, after) {
			if len(answer.GetMessages()) == size || scanned == maxScan {
				answer.NextPageToken = pagetoken.Encode(call, pagetoken.Token{Key: []byte(after)})
				return nil
			}
			k, err := o.open(key, sealed)
			if err != nil {
				return err
			}
			scanned, after = scanned+1, key.ID
			if call.GetState() == 0 || call.GetState() == k.State {
				answer.Messages = append(answer.Messages, o.shown(k))
			}
		}
		return nil
	})
	return answer, err
}

// RetryMessage sends a message anew that was given up, or of which it is not
// known whether it went.
func (o *Outbox) RetryMessage(ctx context.Context, call *adminv1.RetryMessageRequest) (*adminv1.OutboundMessage, error) {
	parent, id, _ := strings.Cut(call.GetName(), "/messages/")
	if err := o.owns(parent); err != nil {
		return nil, err
	}
	caller := policy.Of(ctx)
	var after kept
	_, err := o.store.Commit(ctx, store.Request{}, nil, func(r store.Reader, stamp store.Stamp) (store.Outcome, error) {
		before, err := o.read(r, id)
		if err != nil {
			return store.Outcome{}, err
		}
		if before == nil {
			return store.Outcome{}, apierror.NotFound(call.GetName())
		}
		after = *before
		switch {
		case before.State == adminv1.OutboundMessage_WAITING && !before.Next.After(stamp.Time):
			return store.Outcome{}, nil // it is its turn already
		case before.State == adminv1.OutboundMessage_SENT, o.isSending(id):
			return store.Outcome{}, apierror.New(registryv1.ErrorReason_NOT_SUPPORTED_HERE,
				fmt.Sprintf("the message is %s, or on its way: it is not sent again", before.State), apierror.With("state", before.State.String()))
		}
		after.State, after.Since, after.Next = adminv1.OutboundMessage_WAITING, stamp.Time, stamp.Time
		w := writer{outbox: o}
		w.save(before, &after)
		entry := caller.Entry(adminv1.MessageService_RetryMessage_FullMethodName, call.GetName(), auditv1.AuditEntry_DONE)
		return store.Outcome{Local: w.puts, Audit: []*auditv1.AuditEntry{entry}}, w.err
	})
	if err != nil {
		return nil, err
	}
	o.ring()
	return o.shown(&after), nil
}
