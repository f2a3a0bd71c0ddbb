package registry

import (
	"context"

	"google.golang.org/protobuf/proto"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/auditv1"
	"cidsistem.example/services/internal/policy"
	"cidsistem.example/services/internal/records"
	"cidsistem.example/services/internal/standard"
	"cidsistem.example/services/internal/store"
)

// Write makes a change. Everything that depends on what is stored is decided
// inside the transaction that makes it.
func (n *Node) Write(ctx context.Context, r standard.Request) (proto.Message, error) {
	repeatable, err := r.Repeatable()
	if err != nil {
		return nil, err
	}
	name, err := n.target(r)
	if err != nil {
		return nil, err
	}
	caller := policy.Of(ctx)
	answer, err := n.store.Commit(ctx, repeatable, r.Method.Kind.New(), func(reader store.Reader, stamp store.Stamp) (store.Outcome, error) {
		change := n.records.Begin(reader, stamp, caller)
		answer, err := decide(change, r, name, caller.Sight())
		outcome := store.Outcome{Put: change.Put(), Answer: answer, DryRun: r.ValidateOnly(), Why: store.Why{Actor: records.Actor(caller)}}
		if len(outcome.Put) > 0 {
			outcome.Audit = []*auditv1.AuditEntry{caller.Entry(r.Method.Full, name.String(), auditv1.AuditEntry_DONE)}
		}
		return outcome, err
	})
	if err != nil {
		return nil, records.Answer(err, r.RequestID())
	}
	if seen := caller.Sight().Of(answer); seen != nil {
		return seen, nil
	}
	// Written for readers other than the caller: only what is needed to go on.
	bare := r.Method.Kind.New()
	catalog.RecordOf(bare).SetName(catalog.RecordOf(answer).Name())
	catalog.RecordOf(bare).SetEtag(catalog.RecordOf(answer).Etag())
	return bare, nil
}

// decide makes of a request what it changes, and its answer.
func decide(change *records.Change, r standard.Request, name catalog.Name, sight catalog.Sight) (proto.Message, error) {
	before, err := change.Get(name)
	if err != nil {
		return nil, err
	}
	switch r.Method.Verb {
	case catalog.Create:
		return change.Create(name, r.Record())
	case catalog.Update:
		if before == nil && r.AllowMissing() {
			return change.Create(name, r.Record())
		}
		mask, err := standard.Mask(r)
		if err != nil {
			return nil, err
		}
		return change.Update(name, r.Etag(), func(after proto.Message) error {
			standard.ApplyMask(mask, after, r.Record())
			return nil
		})
	case catalog.Delete:
		if r.AllowMissing() && (before == nil || sight.Of(before) == nil) {
			nothing := name.Kind.New()
			catalog.RecordOf(nothing).SetName(name.String())
			return nothing, nil
		}
		if r.AllowMissing() && catalog.RecordOf(before).Deleted() {
			return before, nil
		}
		return change.Delete(name, r.Etag(), "")
	default:
		return change.Undelete(name, r.Etag())
	}
}

// target is the name of the record that a write is about; a create makes it.
func (n *Node) target(r standard.Request) (catalog.Name, error) {
	if r.Method.Verb != catalog.Create {
		name, err := r.Name()
		if err != nil {
			return catalog.Name{}, err
		}
		return name, n.records.Owns(name.Comune())
	}
	ids, err := r.Parent()
	if err != nil {
		return catalog.Name{}, err
	}
	if err := n.records.Owns(ids[0]); err != nil {
		return catalog.Name{}, err
	}
	id := r.ID()
	if id == "" {
		id = standard.NewID(r.Method.Kind.Singular)
	}
	name, err := catalog.Name{Kind: r.Method.Kind.Parent, IDs: ids}.Child(r.Method.Kind, id)
	if err != nil {
		return catalog.Name{}, apierror.Invalid("parent", err.Error())
	}
	return name, nil
}
