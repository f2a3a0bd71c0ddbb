package editorial

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/auditv1"
	"cidsistem.example/proto/gen/editorialv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/policy"
	"cidsistem.example/services/internal/store"
)

// SuspendRecord takes a record out of sight. One that nobody else sees stays as
// it is.
func (s recordServer) SuspendRecord(ctx context.Context, call *editorialv1.SuspendRecordRequest) (*editorialv1.RecordVersion, error) {
	name, err := s.about(call.GetParent(), call.GetRecord())
	if err != nil {
		return nil, err
	}
	if name.Kind.Singleton {
		return nil, apierror.New(registryv1.ErrorReason_NOT_SUPPORTED_HERE, name.String()+" cannot be suspended")
	}
	why := store.Why{Action: editorialv1.RecordChange_SUSPENDED, Note: call.GetNote()}
	return s.write(ctx, editorialv1.RecordService_SuspendRecord_FullMethodName, name, call.GetEtag(), why,
		func(_ store.Reader, _ store.Stamp, w *writer, after proto.Message) error {
			w.suspend(name, after)
			return nil
		})
}

// suspend takes a record out of sight and remembers who saw it.
func (w *writer) suspend(name catalog.Name, record proto.Message) {
	seen := catalog.RecordOf(record).Visibility()
	if seen == registryv1.Visibility_LOCAL {
		return
	}
	w.put(suspendedKey(name.String()), []byte(seen.String()))
	w.remove(expiryKey(name.String()))
	setVisibility(record, registryv1.Visibility_LOCAL)
}

// ResumeRecord shows a suspended record again.
func (s recordServer) ResumeRecord(ctx context.Context, call *editorialv1.ResumeRecordRequest) (*editorialv1.RecordVersion, error) {
	name, err := s.about(call.GetParent(), call.GetRecord())
	if err != nil {
		return nil, err
	}
	why := store.Why{Action: editorialv1.RecordChange_RESUMED, Note: call.GetNote()}
	return s.write(ctx, editorialv1.RecordService_ResumeRecord_FullMethodName, name, call.GetEtag(), why,
		func(r store.Reader, _ store.Stamp, w *writer, after proto.Message) error {
			seen, err := s.local(r, suspendedKey(name.String()))
			if err != nil {
				return err
			}
			if seen == nil || catalog.RecordOf(after).Visibility() != registryv1.Visibility_LOCAL {
				return apierror.New(registryv1.ErrorReason_NOT_SUPPORTED_HERE, name.String()+" is not suspended", apierror.With("name", name.String()))
			}
			w.remove(suspendedKey(name.String()))
			setVisibility(after, registryv1.Visibility(registryv1.Visibility_value[string(seen)]))
			return nil
		})
}

// suspendExpired suspends a record whose time is over, unless another draft gave
// it another time.
func (o *Office) suspendExpired(r store.Reader, stamp store.Stamp, w *writer, outcome *store.Outcome, record string, at time.Time, done *Tidied) error {
	until, err := o.local(r, expiryKey(record))
	if err != nil || string(until) != at.UTC().Format(time.RFC3339Nano) {
		return err
	}
	w.remove(expiryKey(record))
	name, err := catalog.ParseName(record)
	if err != nil {
		return errDamaged
	}
	change := o.records.Begin(r, stamp, policy.System())
	_, err = change.Update(name, "", func(after proto.Message) error {
		w.suspend(name, after)
		return nil
	})
	if err != nil && refusal(err) {
		return nil // deleted, or gone: nobody sees it
	}
	if outcome.Put = change.Put(); len(outcome.Put) > 0 {
		outcome.Why = store.Why{Action: editorialv1.RecordChange_SUSPENDED, Note: "scadenza"}
		outcome.Audit = append(outcome.Audit, policy.System().Entry("expiry", record, auditv1.AuditEntry_DONE))
		done.Suspended++
	}
	return err
}

// forgetGone forgets that records were suspended, or would be, that are gone for
// good.
func (o *Office) forgetGone(ctx context.Context) error {
	_, err := o.store.Commit(ctx, store.Request{}, nil, func(r store.Reader, _ store.Stamp) (store.Outcome, error) {
		w := writer{office: o}
		for _, area := range []string{areaSuspended, areaExpiries} {
			for key := range r.LocalKeys(area) {
				if name, err := catalog.ParseName(key.ID); err != nil || !r.Has(name) {
					w.remove(key)
				}
			}
		}
		return store.Outcome{Local: w.local}, nil
	})
	if err != nil {
		return fmt.Errorf("forget suspensions of records that are gone: %w", err)
	}
	return nil
}
