package editorial

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/editorialv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/policy"
	"cidsistem.example/services/internal/records"
	"cidsistem.example/services/internal/store"
)

const (
	// doneKept and openKept are how long a draft stays once it is published or
	// discarded, and after its last change otherwise.
	doneKept = 30 * 24 * time.Hour
	openKept = 365 * 24 * time.Hour
	// mostDrafts and mostDraftBytes bound the drafts of a comune.
	mostDrafts, mostDraftBytes = 10_000, 512 << 20
	// mostComments of a draft.
	mostComments = 200
)

// A held draft is what stands under its id.
type held struct {
	*editorialv1.Draft
	beside
}

// beside is what the office keeps beside a draft.
type beside struct {
	// Publisher is who scheduled it, empty for nobody.
	Publisher string
	// Keepers are the organisations of its base and content, empty for none; who is
	// limited to the cards of some sees only their drafts.
	Keepers []string
}

func (h *held) id() string { return idOf(h.GetName()) }

func idOf(name string) string { return name[strings.LastIndexByte(name, '/')+1:] }

func draftKey(id string) store.LocalKey { return store.LocalKey{Area: areaDrafts, ID: id} }

// encodeHeld writes what is beside the draft, with its length before it, and the
// draft.
func encodeHeld(h *held) ([]byte, error) {
	head, err := json.Marshal(h.beside)
	if err != nil {
		return nil, err
	}
	body := append([]byte{byte(len(head) >> 8), byte(len(head))}, head...)
	return proto.MarshalOptions{Deterministic: true}.MarshalAppend(body, h.Draft)
}

func decodeHeld(value []byte) (*held, error) {
	if len(value) < 2 {
		return nil, errDamaged
	}
	length := int(value[0])<<8 | int(value[1])
	if len(value) < 2+length {
		return nil, errDamaged
	}
	h := &held{Draft: &editorialv1.Draft{}}
	if err := json.Unmarshal(value[2:2+length], &h.beside); err != nil {
		return nil, fmt.Errorf("%w: %w", errDamaged, err)
	}
	if err := proto.Unmarshal(value[2+length:], h.Draft); err != nil {
		return nil, fmt.Errorf("%w: %w", errDamaged, err)
	}
	return h, nil
}

// draft opens a draft, nil when it is not there.
func (o *Office) draft(r store.Reader, id string) (*held, error) {
	value, err := o.local(r, draftKey(id))
	if err != nil || value == nil {
		return nil, err
	}
	return decodeHeld(value)
}

// draftFor opens a draft for a caller; one that they may not see is not there.
func (o *Office) draftFor(r store.Reader, caller *policy.Caller, name string) (*held, error) {
	if err := o.owns(name); err != nil {
		return nil, err
	}
	h, err := o.draft(r, idOf(name))
	if err != nil {
		return nil, err
	}
	if h == nil || !h.seenBy(caller) {
		return nil, apierror.New(registryv1.ErrorReason_RESOURCE_NOT_FOUND, fmt.Sprintf("%q does not exist", name), apierror.With("name", name))
	}
	return h, nil
}

func (b *beside) seenBy(caller *policy.Caller) bool {
	return !slices.ContainsFunc(b.Keepers, func(keeper string) bool { return !caller.WorksOn(keeper) })
}

// saveDraft writes a draft that changed now; before is as it was, nil for a new
// one.
func (w *writer) saveDraft(before, h *held, now time.Time) {
	if before != nil {
		w.removeDraft(before)
	}
	h.Outdated, h.Problems = false, nil
	kept := openKept
	if h.GetState() == editorialv1.Draft_PUBLISHED || h.GetState() == editorialv1.Draft_DISCARDED {
		kept = doneKept
	}
	h.UpdateTime, h.PurgeTime, h.Etag = timestamppb.New(now), timestamppb.New(now.Add(kept)), ""
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(h.Draft)
	if err != nil {
		w.err = err
		return
	}
	digest := sha256.Sum256(body)
	h.Etag = `"` + base64.RawURLEncoding.EncodeToString(digest[:12]) + `"`
	value, err := encodeHeld(h)
	if err != nil {
		w.err = err
		return
	}
	w.put(draftKey(h.id()), value)
	listed := &held{Draft: proto.CloneOf(h.Draft), beside: h.beside}
	listed.Content, listed.Base, listed.Comments = nil, nil, nil
	if value, err = encodeHeld(listed); err != nil {
		w.err = err
		return
	}
	w.put(timed(areaDraftTimes, now, h.id()), value)
	w.put(dueKey(h.GetPurgeTime().AsTime(), dueDraft, h.id()), nil)
	if h.GetState() == editorialv1.Draft_SCHEDULED {
		w.put(dueKey(h.GetPublishTime().AsTime(), duePublish, h.id()), nil)
	}
}

// removeDraft removes a draft and everything that leads to it.
func (w *writer) removeDraft(h *held) {
	w.remove(draftKey(h.id()))
	w.remove(timed(areaDraftTimes, h.GetUpdateTime().AsTime(), h.id()))
	w.remove(dueKey(h.GetPurgeTime().AsTime(), dueDraft, h.id()))
	if h.GetState() == editorialv1.Draft_SCHEDULED {
		w.remove(dueKey(h.GetPublishTime().AsTime(), duePublish, h.id()))
	}
}

func (o *Office) eraseDraft(r store.Reader, w *writer, id string, at time.Time) error {
	h, err := o.draft(r, id)
	if err != nil || h == nil || h.GetPurgeTime().AsTime().After(at) {
		return err
	}
	w.removeDraft(h)
	w.erased++
	return nil
}

// copied is the same draft again, to be changed.
func (h *held) copied() *held {
	return &held{Draft: proto.CloneOf(h.Draft), beside: beside{Publisher: h.Publisher, Keepers: slices.Clone(h.Keepers)}}
}

// content is the record as it shall become.
func (h *held) content() (proto.Message, error) {
	record, err := h.GetContent().UnmarshalNew()
	if err != nil || catalog.Of(record) == nil {
		return nil, fmt.Errorf("%w: the content of %s", errDamaged, h.GetName())
	}
	return record, nil
}

func (h *held) base() (proto.Message, error) {
	if h.GetBase() == nil {
		return nil, nil
	}
	record, err := h.GetBase().UnmarshalNew()
	if err != nil {
		return nil, fmt.Errorf("%w: the base of %s", errDamaged, h.GetName())
	}
	return record, nil
}

// begin makes a draft begin from a record as it is, nil for a new one, with a
// content.
func (h *held) begin(name catalog.Name, base, content proto.Message) error {
	var err error
	h.Record, h.Base, h.BaseEtag = name.String(), nil, ""
	if base != nil {
		h.BaseEtag = catalog.RecordOf(base).Etag()
		if h.Base, err = anypb.New(base); err != nil {
			return err
		}
	}
	return h.write(name, base, content)
}

// write puts another content into a draft.
func (h *held) write(name catalog.Name, base, content proto.Message) error {
	from := base
	if from == nil {
		from = name.Kind.New()
		catalog.RecordOf(from).SetName(name.String())
	}
	content = proto.Clone(content)
	r := catalog.RecordOf(content)
	r.CopyServerFields(catalog.RecordOf(from))
	if proto.Size(content) > store.MaxRecordBytes {
		return records.Answer(store.ErrTooLarge, "")
	}
	h.Title, h.Keepers = r.Title(), []string{catalog.Keeper(content)}
	if base != nil {
		h.Keepers = append(h.Keepers, catalog.Keeper(base))
		if h.GetTitle() == "" {
			h.Title = catalog.RecordOf(base).Title()
		}
	}
	slices.Sort(h.Keepers)
	h.Keepers = slices.Compact(h.Keepers)
	var err error
	h.Content, err = anypb.New(content)
	return err
}

// shown is a draft as it is answered with: with what is missing in it, and
// whether the record is another by now.
func (o *Office) shown(r store.Reader, caller *policy.Caller, h *held) (*editorialv1.Draft, error) {
	draft := proto.CloneOf(h.Draft)
	name, err := catalog.ParseName(h.GetRecord())
	if err != nil {
		return nil, errDamaged
	}
	if draft.Outdated, err = outdated(r, name, h); err != nil {
		return nil, err
	}
	if draft.GetState() == editorialv1.Draft_PUBLISHED || draft.GetState() == editorialv1.Draft_DISCARDED {
		return draft, nil
	}
	content, err := h.content()
	if err != nil {
		return nil, err
	}
	base, err := h.base()
	if err != nil {
		return nil, err
	}
	draft.Problems, err = o.records.Begin(r, store.Stamp{Time: o.store.Now()}, caller).Problems(name, base, content)
	return draft, err
}

// outdated tells whether a record is not the one that a draft began from.
func outdated(r store.Reader, name catalog.Name, h *held) (bool, error) {
	if h.GetState() == editorialv1.Draft_PUBLISHED || h.GetState() == editorialv1.Draft_DISCARDED {
		return false, nil
	}
	record, err := r.Get(name)
	if err != nil {
		return false, err
	}
	if record == nil {
		return h.GetBaseEtag() != "", nil
	}
	return catalog.RecordOf(record).Etag() != h.GetBaseEtag(), nil
}
