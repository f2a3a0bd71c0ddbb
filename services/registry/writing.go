package registry

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"google.golang.org/protobuf/proto"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/auditv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/policy"
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
	w := change{node: n, request: r, name: name, caller: caller, sight: caller.Sight()}
	answer, err := n.store.Commit(ctx, repeatable, r.Method.Kind.New(), func(reader store.Reader, stamp store.Stamp) (store.Outcome, error) {
		w.reader, w.stamp = reader, stamp
		outcome, err := w.decide()
		outcome.DryRun = r.ValidateOnly()
		if len(outcome.Put) > 0 {
			outcome.Audit = append(outcome.Audit, caller.Entry(r.Method.Full, name.String(), auditv1.AuditEntry_DONE))
		}
		return outcome, err
	})
	switch {
	case errors.Is(err, store.ErrRequestReused):
		return nil, apierror.New(registryv1.ErrorReason_REQUEST_ID_REUSED, err.Error()+"; take a new one",
			apierror.With("request_id", r.RequestID()), apierror.Field("requestId", err.Error()))
	case errors.Is(err, store.ErrTooLarge):
		return nil, apierror.New(registryv1.ErrorReason_TOO_LARGE, err.Error(), apierror.With("limit_bytes", strconv.Itoa(store.MaxRecordBytes)))
	case err != nil:
		return nil, err
	}
	if seen := w.sight.Of(answer); seen != nil {
		return seen, nil
	}
	// Written for readers other than the caller: only what is needed to go on.
	bare := r.Method.Kind.New()
	catalog.RecordOf(bare).SetName(catalog.RecordOf(answer).Name())
	catalog.RecordOf(bare).SetEtag(catalog.RecordOf(answer).Etag())
	return bare, nil
}

// target is the name of the record that a write is about; a create makes it.
func (n *Node) target(r standard.Request) (catalog.Name, error) {
	if r.Method.Verb != catalog.Create {
		name, err := r.Name()
		if err != nil {
			return catalog.Name{}, err
		}
		return name, n.owns(name.Comune())
	}
	ids, err := r.Parent()
	if err != nil {
		return catalog.Name{}, err
	}
	if err := n.owns(ids[0]); err != nil {
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

func (n *Node) owns(comune string) error {
	if comune == n.settings.Comune.ID {
		return nil
	}
	return apierror.New(registryv1.ErrorReason_NOT_THE_OWNER,
		fmt.Sprintf("this node owns comuni/%s, not comuni/%s; write to the node of that comune or to the ufficio comune", n.settings.Comune.ID, comune),
		apierror.With("comune", comune))
}

// A change is one write while it is decided.
type change struct {
	node    *Node
	request standard.Request
	name    catalog.Name
	caller  *policy.Caller
	sight   catalog.Sight
	reader  store.Reader
	stamp   store.Stamp
	// referred are the names that the record pointed to before.
	referred map[string]bool
}

func (w *change) decide() (store.Outcome, error) {
	before, err := w.reader.Get(w.name)
	if err != nil {
		return store.Outcome{}, err
	}
	w.referred = map[string]bool{}
	if before != nil {
		for _, ref := range catalog.References(before) {
			w.referred[ref.Target] = true
		}
	}
	verb := w.request.Method.Verb
	if verb == catalog.Create || (verb == catalog.Update && before == nil && w.request.AllowMissing()) {
		return w.create(before)
	}
	if before == nil || w.sight.Of(before) == nil {
		if verb == catalog.Delete && w.request.AllowMissing() {
			return store.Outcome{Answer: w.nothing()}, nil
		}
		return store.Outcome{}, apierror.NotFound(w.name.String())
	}
	if err := w.condition(before); err != nil {
		return store.Outcome{}, err
	}
	var outcome store.Outcome
	switch verb {
	case catalog.Update:
		outcome, err = w.update(before)
	case catalog.Delete:
		outcome, err = w.remove(before)
	default:
		outcome, err = w.undelete(before)
	}
	for _, after := range outcome.Put {
		if err := w.caller.MayChange(before, after); err != nil {
			return store.Outcome{}, err
		}
	}
	return outcome, err
}

// nothing answers the deletion of a record that is not there.
func (w *change) nothing() proto.Message {
	record := w.name.Kind.New()
	catalog.RecordOf(record).SetName(w.name.String())
	return record
}

// condition compares the etag that the caller asks for.
func (w *change) condition(before proto.Message) error {
	asked, current := w.request.Etag(), catalog.RecordOf(before).Etag()
	if asked == "" || asked == current {
		return nil
	}
	return apierror.New(registryv1.ErrorReason_ETAG_MISMATCH,
		w.name.String()+" changed since it was read; read it again and repeat the change",
		apierror.With("name", w.name.String()), apierror.With("current_etag", current))
}

func (w *change) create(before proto.Message) (store.Outcome, error) {
	if err := w.caller.MayChange(nil, w.toBe()); err != nil {
		return store.Outcome{}, err
	}
	if before != nil {
		return store.Outcome{}, apierror.New(registryv1.ErrorReason_RESOURCE_EXISTS, w.name.String()+" exists", apierror.With("name", w.name.String()))
	}
	if w.name.Kind.Singleton {
		return store.Outcome{}, apierror.NotFound(w.name.String())
	}
	record := w.toBe()
	if err := w.check(record); err != nil {
		return store.Outcome{}, err
	}
	return store.Outcome{Put: []proto.Message{record}, Answer: record}, nil
}

// toBe is the record that a create asks for.
func (w *change) toBe() proto.Message {
	record := proto.Clone(w.request.Record())
	r := catalog.RecordOf(record)
	r.SetName(w.name.String())
	w.serverFields(r, catalog.RecordOf(w.name.Kind.New()))
	r.SetCreateTime(w.stamp.Time)
	return record
}

// serverFields sets the fields that only the server writes to those of another
// state.
func (w *change) serverFields(to, from catalog.Record) {
	to.SetCreateTime(from.CreateTime())
	to.SetUpdateTime(from.UpdateTime())
	to.SetDeleteTime(from.DeleteTime())
	to.SetPurgeTime(from.PurgeTime())
	to.SetRevision(from.Revision())
	to.SetEtag(from.Etag())
}

func (w *change) update(before proto.Message) (store.Outcome, error) {
	if catalog.RecordOf(before).Deleted() {
		return store.Outcome{}, deleted(w.name)
	}
	if w.sight.Of(before) != before {
		return store.Outcome{}, apierror.New(registryv1.ErrorReason_NOT_ALLOWED,
			w.name.String()+" has contacts that the caller may not see; change it where they can be seen, so that none is lost")
	}
	mask, err := standard.Mask(w.request)
	if err != nil {
		return store.Outcome{}, err
	}
	after := proto.Clone(before)
	standard.ApplyMask(mask, after, w.request.Record())
	r := catalog.RecordOf(after)
	r.SetName(w.name.String())
	w.serverFields(r, catalog.RecordOf(before))
	if proto.Equal(before, after) {
		return store.Outcome{Answer: before}, nil
	}
	if err := w.check(after); err != nil {
		return store.Outcome{}, err
	}
	return store.Outcome{Put: []proto.Message{after}, Answer: after}, nil
}

func deleted(name catalog.Name) error {
	return apierror.New(registryv1.ErrorReason_RESOURCE_DELETED, name.String()+" is deleted; undelete it first", apierror.With("name", name.String()))
}

func (w *change) remove(before proto.Message) (store.Outcome, error) {
	if w.name.Kind.Singleton {
		return store.Outcome{}, apierror.New(registryv1.ErrorReason_NOT_SUPPORTED_HERE, w.name.String()+" cannot be deleted")
	}
	if catalog.RecordOf(before).Deleted() {
		if w.request.AllowMissing() {
			return store.Outcome{Answer: before}, nil
		}
		return store.Outcome{}, deleted(w.name)
	}
	if err := w.unused(); err != nil {
		return store.Outcome{}, err
	}
	after := proto.Clone(before)
	r := catalog.RecordOf(after)
	r.SetDeleteTime(w.stamp.Time)
	r.SetPurgeTime(w.stamp.Time.Add(time.Duration(w.node.settings.PurgeAfter)))
	return store.Outcome{Put: []proto.Message{after}, Answer: after}, nil
}

// maxBlockers is how many records in the way an error names.
const maxBlockers = 10

// unused refuses to delete a record that living ones point to or are inside of.
func (w *change) unused() error {
	referrers, err := w.reader.Referrers(w.name.String(), maxBlockers)
	if err != nil {
		return err
	}
	inside, err := w.reader.Inside(w.name, maxBlockers)
	if err != nil {
		return err
	}
	problems := map[string]string{}
	for _, name := range referrers {
		problems[name] = "refers to it"
	}
	for _, name := range inside {
		problems[name] = "is inside it"
	}
	delete(problems, w.name.String())
	if len(problems) == 0 {
		return nil
	}
	message := w.name.String() + " is still in use; change or delete the records that refer to it first"
	var blockers []apierror.Detail
	hidden := false
	for _, text := range slices.Sorted(maps.Keys(problems)) {
		seen, err := w.sees(text)
		if err != nil {
			return err
		}
		if seen {
			blockers = append(blockers, apierror.Blocker(text, problems[text]))
		} else if !hidden {
			hidden = true
			message += "; some are not for the caller to see"
		}
	}
	return apierror.New(registryv1.ErrorReason_STILL_REFERRED_TO, message, blockers...)
}

// sees tells whether the caller may see a record.
func (w *change) sees(text string) (bool, error) {
	name, err := catalog.ParseName(text)
	if err != nil {
		return false, err
	}
	record, err := visible(w.reader, name, w.sight)
	return record != nil, err
}

func (w *change) undelete(before proto.Message) (store.Outcome, error) {
	if !catalog.RecordOf(before).Deleted() {
		return store.Outcome{}, apierror.New(registryv1.ErrorReason_NOT_DELETED, w.name.String()+" is not deleted", apierror.With("name", w.name.String()))
	}
	after := proto.Clone(before)
	r := catalog.RecordOf(after)
	r.SetDeleteTime(time.Time{})
	r.SetPurgeTime(time.Time{})
	if err := w.check(after); err != nil {
		return store.Outcome{}, err
	}
	return store.Outcome{Put: []proto.Message{after}, Answer: after}, nil
}
