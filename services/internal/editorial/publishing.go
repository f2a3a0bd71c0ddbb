package editorial

import (
	"context"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/auditv1"
	"cidsistem.example/proto/gen/editorialv1"
	"cidsistem.example/services/internal/policy"
	"cidsistem.example/services/internal/records"
	"cidsistem.example/services/internal/store"
)

// PublishDraft writes the record as the draft says, now or at its time.
func (s draftServer) PublishDraft(ctx context.Context, call *editorialv1.PublishDraftRequest) (*editorialv1.Draft, error) {
	states := []editorialv1.Draft_State{editorialv1.Draft_IN_REVIEW}
	return s.change(ctx, editorialv1.DraftService_PublishDraft_FullMethodName, call.GetName(), call.GetEtag(), states, func(one *step) error {
		content, err := one.draft.content()
		if err != nil {
			return err
		}
		if err := one.rights.MayPublish(content); err != nil {
			return err
		}
		if expires := one.draft.GetExpireTime(); expires != nil && !expires.AsTime().After(one.stamp.Time) {
			return apierror.Invalid("draft.expireTime", "is over already")
		}
		change := s.records.Begin(one.reader, one.stamp, one.caller)
		if err := one.draft.publish(change, one.name, content); err != nil {
			return err
		}
		if at := one.draft.GetPublishTime(); at != nil && at.AsTime().After(one.stamp.Time) {
			// It could be written now; nothing is.
			one.draft.State, one.draft.Publisher = editorialv1.Draft_SCHEDULED, one.caller.Actor()
			return nil
		}
		one.office.published(one.draft, change, one.writer, one.outcome, records.Actor(one.caller))
		return nil
	})
}

// publish decides that the record becomes as the draft says.
func (h *held) publish(change *records.Change, name catalog.Name, content proto.Message) error {
	if h.GetBaseEtag() != "" {
		_, err := change.Update(name, h.GetBaseEtag(), records.Replace(content))
		return err
	}
	existing, err := change.Get(name)
	if err != nil {
		return err
	}
	if existing != nil {
		return records.Mismatch(name.String(), catalog.RecordOf(existing).Etag())
	}
	_, err = change.Create(name, content)
	return err
}

// published notes what follows from a draft that is the record now.
func (o *Office) published(h *held, change *records.Change, w *writer, outcome *store.Outcome, actor string) {
	h.State = editorialv1.Draft_PUBLISHED
	outcome.Put = change.Put()
	outcome.Why = store.Why{Action: editorialv1.RecordChange_PUBLISHED, Actor: actor, Note: h.GetNote(), Cause: h.GetName()}
	w.remove(expiryKey(h.GetRecord()))
	if at := h.GetExpireTime(); at != nil {
		w.put(expiryKey(h.GetRecord()), []byte(at.AsTime().Format(time.RFC3339Nano)))
		w.put(dueKey(at.AsTime(), dueSuspend, h.GetRecord()), nil)
	}
}

// publishScheduled writes a draft whose time has come. Who scheduled it had the
// right to; when it cannot be written any more it goes back to its author.
func (o *Office) publishScheduled(r store.Reader, stamp store.Stamp, w *writer, outcome *store.Outcome, id string, at time.Time, done *Tidied) error {
	before, err := o.draft(r, id)
	if err != nil || before == nil || before.GetState() != editorialv1.Draft_SCHEDULED || !before.GetPublishTime().AsTime().Equal(at) {
		return err
	}
	name, err := catalog.ParseName(before.GetRecord())
	if err != nil {
		return errDamaged
	}
	h := before.copied()
	content, err := h.content()
	if err != nil {
		return err
	}
	change := o.records.Begin(r, stamp, policy.System())
	switch err := h.publish(change, name, content); {
	case err == nil:
		o.published(h, change, w, outcome, h.Publisher)
		done.Published++
	case refusal(err):
		h.State, h.Publisher = editorialv1.Draft_RETURNED, ""
		h.Comments = append(h.Comments, &editorialv1.Comment{
			Author: "nodes/" + o.store.ServerID(), CreateTime: timestamppb.New(stamp.Time),
			Text: "Non è stato possibile pubblicare all'ora fissata. " + inItalian(err),
		})
	default:
		return err
	}
	w.saveDraft(before, h, stamp.Time)
	outcome.Audit = append(outcome.Audit, policy.System().Entry("scheduled publication", h.GetName(), auditv1.AuditEntry_DONE))
	return nil
}
