package editorial

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/auditv1"
	"cidsistem.example/proto/gen/editorialv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/pagetoken"
	"cidsistem.example/services/internal/policy"
	"cidsistem.example/services/internal/records"
	"cidsistem.example/services/internal/standard"
	"cidsistem.example/services/internal/store"
)

// draftServer serves DraftService.
type draftServer struct {
	editorialv1.UnimplementedDraftServiceServer
	*Office
}

// GetDraft reads one draft.
func (s draftServer) GetDraft(ctx context.Context, call *editorialv1.GetDraftRequest) (draft *editorialv1.Draft, err error) {
	caller := policy.Of(ctx)
	err = s.store.View(func(r store.Reader) error {
		h, err := s.draftFor(r, caller, call.GetName())
		if err == nil {
			draft, err = s.shown(r, caller, h)
		}
		return err
	})
	return draft, err
}

// maxScan bounds what one page of a list looks at.
const maxScan = 2000

// ListDrafts lists drafts, the one that changed last first.
func (s draftServer) ListDrafts(ctx context.Context, call *editorialv1.ListDraftsRequest) (*editorialv1.ListDraftsResponse, error) {
	if err := s.owns(call.GetParent()); err != nil {
		return nil, err
	}
	token, err := pagetoken.Decode(call, call.GetPageToken())
	if err != nil {
		return nil, err
	}
	size, caller := pagetoken.Size(call.GetPageSize(), 50, 1000), policy.Of(ctx)
	answer, last, scanned := &editorialv1.ListDraftsResponse{}, string(token.Key), 0
	err = s.store.View(func(r store.Reader) error {
		for key, sealed := range r.LocalEntriesDown(areaDraftTimes, last) {
			if len(answer.GetDrafts()) == size || scanned == maxScan {
				answer.NextPageToken = pagetoken.Encode(call, pagetoken.Token{Key: []byte(last)})
				return nil
			}
			scanned++
			last = key.ID
			value, err := s.options.Vault.Open(key, sealed)
			if err != nil {
				return err
			}
			h, err := decodeHeld(value)
			if err != nil {
				return err
			}
			if !h.seenBy(caller) || call.GetState() != 0 && h.GetState() != call.GetState() ||
				call.GetRecord() != "" && h.GetRecord() != call.GetRecord() || call.GetMine() && h.GetAuthor() != caller.Actor() {
				continue
			}
			name, err := catalog.ParseName(h.GetRecord())
			if err != nil {
				return errDamaged
			}
			if h.Outdated, err = outdated(r, name, h); err != nil {
				return err
			}
			answer.Drafts = append(answer.Drafts, h.Draft)
		}
		return nil
	})
	return answer, err
}

// CreateDraft begins a draft.
func (s draftServer) CreateDraft(ctx context.Context, call *editorialv1.CreateDraftRequest) (*editorialv1.Draft, error) {
	if err := s.owns(call.GetParent()); err != nil {
		return nil, err
	}
	request, err := standard.Repeatable(editorialv1.DraftService_CreateDraft_FullMethodName, call)
	if err != nil {
		return nil, err
	}
	asked, caller := call.GetDraft(), policy.Of(ctx)
	if asked == nil {
		return nil, apierror.Invalid("draft", "is missing")
	}
	id := standard.NewID("draft")
	// Only the name is kept for repetitions: what is in a draft stays sealed.
	answer, err := s.commit(ctx, request, call.GetRequestId(), &editorialv1.Draft{}, func(r store.Reader, stamp store.Stamp) (store.Outcome, error) {
		if err := s.room(r); err != nil {
			return store.Outcome{}, err
		}
		name, base, content, err := s.asked(r, caller, asked)
		if err != nil {
			return store.Outcome{}, err
		}
		h := &held{Draft: &editorialv1.Draft{
			Name: s.parent + "/drafts/" + id, State: editorialv1.Draft_DRAFT, Author: caller.Actor(), Correction: asked.GetCorrection(),
			CreateTime: timestamppb.New(stamp.Time),
		}}
		if err := h.begin(name, base, content); err != nil {
			return store.Outcome{}, err
		}
		if err := s.say(h, asked); err != nil {
			return store.Outcome{}, err
		}
		if _, err := s.mayDraft(caller, h, name); err != nil {
			return store.Outcome{}, err
		}
		w := writer{office: s.Office}
		w.saveDraft(nil, h, stamp.Time)
		return store.Outcome{
			Local: w.local, Answer: &editorialv1.Draft{Name: h.GetName()},
			Audit: []*auditv1.AuditEntry{entry(caller, editorialv1.DraftService_CreateDraft_FullMethodName, h.GetName())},
		}, w.err
	})
	if err != nil {
		return nil, err
	}
	return s.GetDraft(ctx, &editorialv1.GetDraftRequest{Name: answer.(*editorialv1.Draft).GetName()})
}

// room refuses another draft when there are too many.
func (o *Office) room(r store.Reader) error {
	n := 0
	for range r.LocalKeys(areaDrafts) {
		n++
	}
	if n >= mostDrafts || r.LocalBytes(areaDrafts) > mostDraftBytes {
		return noRoom()
	}
	return nil
}

func noRoom() error {
	return apierror.New(registryv1.ErrorReason_TOO_LARGE, "there are as many drafts as there can be; publish or discard some")
}

// asked finds what a new draft is about: the record's name, the record as it is,
// nil for a new one, and the content.
func (o *Office) asked(r store.Reader, caller *policy.Caller, draft *editorialv1.Draft) (name catalog.Name, base, content proto.Message, err error) {
	if draft.GetContent() != nil {
		if content, err = recordIn("draft.content", draft.GetContent()); err != nil {
			return name, nil, nil, err
		}
	}
	text := draft.GetRecord()
	switch {
	case text == "" && content == nil:
		return name, nil, nil, apierror.Invalid("draft.content", "is missing; it is needed for a new record")
	case text == "" && catalog.RecordOf(content).Name() != "":
		text = catalog.RecordOf(content).Name()
	case text == "":
		if name, err = o.newName(catalog.Of(content)); err != nil {
			return name, nil, nil, err
		}
		return name, nil, content, nil
	}
	if name, err = o.nameOf("draft.record", text); err != nil {
		return name, nil, nil, err
	}
	if base, err = r.Get(name); err != nil {
		return name, nil, nil, err
	}
	if base != nil {
		if base, err = o.draftable(caller, base); err != nil {
			return name, nil, nil, err
		}
	}
	switch {
	case content == nil && base == nil:
		return name, nil, nil, apierror.NotFound(text)
	case content == nil:
		content = base
	case catalog.Of(content) != name.Kind:
		return name, nil, nil, apierror.Invalid("draft.content", "is not one of the "+name.Kind.Collection)
	}
	return name, base, content, nil
}

// newName makes a name for a new record.
func (o *Office) newName(kind *catalog.Kind) (catalog.Name, error) {
	if kind.Parent == nil || !kind.Parent.Singleton {
		return catalog.Name{}, apierror.Invalid("draft.record", "is missing: one of the "+kind.Collection+" has its place in another record, so its name must be said")
	}
	return catalog.Name{Kind: kind, IDs: []string{o.options.Comune, standard.NewID(kind.Singular)}}, nil
}

// recordIn opens a record that somebody sent.
func recordIn(field string, sent *anypb.Any) (proto.Message, error) {
	record, err := sent.UnmarshalNew()
	if err != nil || catalog.Of(record) == nil {
		return nil, apierror.Invalid(field, "is not a record of a kind that is known here")
	}
	return record, nil
}

// draftable refuses a base that the caller does not see all of, or that is
// deleted.
func (o *Office) draftable(caller *policy.Caller, base proto.Message) (proto.Message, error) {
	r := catalog.RecordOf(base)
	switch seen := caller.Sight().Of(base); {
	case seen == nil:
		return nil, apierror.NotFound(r.Name())
	case seen != base:
		return nil, apierror.New(registryv1.ErrorReason_NOT_ALLOWED, r.Name()+" has contacts that the caller may not see; draft it where they can be seen, so that none is lost")
	case r.Deleted():
		return nil, apierror.New(registryv1.ErrorReason_RESOURCE_DELETED, r.Name()+" is deleted; undelete it first", apierror.With("name", r.Name()))
	}
	return base, nil
}

// say takes over what a person says about a draft beside its content.
func (o *Office) say(h *held, asked *editorialv1.Draft) error {
	h.Note, h.PublishTime, h.ExpireTime = strings.TrimSpace(asked.GetNote()), asked.GetPublishTime(), asked.GetExpireTime()
	// What is missing in the content is told, not refused.
	if err := o.options.Rules.Validate(h.Draft, "draft"); err != nil {
		return err
	}
	if expires := h.GetExpireTime(); expires != nil && !expires.AsTime().After(h.GetPublishTime().AsTime()) {
		return apierror.Invalid("draft.expireTime", "is not after publishTime")
	}
	return nil
}

// mayDraft refuses who may not write the record of a draft, and returns the
// caller with the rights over it.
func (o *Office) mayDraft(caller *policy.Caller, h *held, name catalog.Name) (*policy.Caller, error) {
	verb := catalog.Update
	if h.GetBase() == nil {
		verb = catalog.Create
	}
	rights, err := o.records.Rights(caller, verb, name)
	if err != nil {
		return nil, err
	}
	if !h.seenBy(rights) {
		return nil, apierror.New(registryv1.ErrorReason_NOT_ALLOWED, "this is not a card of the organisation to which the caller is limited")
	}
	return rights, nil
}

// A step is a change of a draft: it gets the draft as it shall be, and may write
// records.
type step struct {
	office *Office
	reader store.Reader
	stamp  store.Stamp
	caller *policy.Caller
	// rights is the caller as of writing the record.
	rights  *policy.Caller
	name    catalog.Name
	draft   *held
	writer  *writer
	outcome *store.Outcome
}

// change makes a step of a draft, on condition of its etag, where its state is
// one of those.
func (s draftServer) change(ctx context.Context, method, name, etag string, states []editorialv1.Draft_State, do func(*step) error) (*editorialv1.Draft, error) {
	caller := policy.Of(ctx)
	_, err := s.commit(ctx, store.Request{}, "", nil, func(r store.Reader, stamp store.Stamp) (store.Outcome, error) {
		before, err := s.draftFor(r, caller, name)
		if err != nil {
			return store.Outcome{}, err
		}
		if etag != "" && etag != before.GetEtag() {
			return store.Outcome{}, records.Mismatch(name, before.GetEtag())
		}
		if !slices.Contains(states, before.GetState()) {
			return store.Outcome{}, standing(before)
		}
		w := writer{office: s.Office}
		outcome := store.Outcome{Audit: []*auditv1.AuditEntry{entry(caller, method, name)}}
		one := &step{office: s.Office, reader: r, stamp: stamp, caller: caller, draft: before.copied(), writer: &w, outcome: &outcome}
		if one.name, err = catalog.ParseName(before.GetRecord()); err != nil {
			return store.Outcome{}, errDamaged
		}
		if one.rights, err = s.mayDraft(caller, before, one.name); err != nil {
			return store.Outcome{}, err
		}
		if err := do(one); err != nil {
			return store.Outcome{}, err
		}
		w.saveDraft(before, one.draft, stamp.Time)
		outcome.Local = w.local
		return outcome, w.err
	})
	if err != nil {
		return nil, err
	}
	return s.GetDraft(ctx, &editorialv1.GetDraftRequest{Name: name})
}

func standing(h *held) error {
	return apierror.New(registryv1.ErrorReason_NOT_SUPPORTED_HERE, fmt.Sprintf("the draft is %s: this cannot be done with it", h.GetState()),
		apierror.With("name", h.GetName()), apierror.With("state", h.GetState().String()))
}

var (
	// worked on are drafts that their author has in hand; open are all that are not
	// done with.
	inHand = []editorialv1.Draft_State{editorialv1.Draft_DRAFT, editorialv1.Draft_RETURNED}
	open   = []editorialv1.Draft_State{editorialv1.Draft_DRAFT, editorialv1.Draft_RETURNED, editorialv1.Draft_IN_REVIEW, editorialv1.Draft_SCHEDULED}
)

// UpdateDraft keeps what was typed.
func (s draftServer) UpdateDraft(ctx context.Context, call *editorialv1.UpdateDraftRequest) (*editorialv1.Draft, error) {
	asked := call.GetDraft()
	content, err := recordIn("draft.content", asked.GetContent())
	if err != nil {
		return nil, err
	}
	return s.change(ctx, editorialv1.DraftService_UpdateDraft_FullMethodName, asked.GetName(), asked.GetEtag(), inHand, func(one *step) error {
		before := proto.Size(one.draft.Draft)
		if err := one.write(content); err != nil {
			return err
		}
		if proto.Size(one.draft.Draft) > before && one.reader.LocalBytes(areaDrafts) > mostDraftBytes {
			return noRoom()
		}
		return s.say(one.draft, asked)
	})
}

// write puts another content into the draft, which the caller must have the
// right to write.
func (one *step) write(content proto.Message) error {
	if catalog.Of(content) != one.name.Kind {
		return apierror.Invalid("draft.content", "is not one of the "+one.name.Kind.Collection)
	}
	base, err := one.draft.base()
	if err != nil {
		return err
	}
	if err := one.draft.write(one.name, base, content); err != nil {
		return err
	}
	_, err = one.office.mayDraft(one.caller, one.draft, one.name)
	return err
}

// SubmitDraft hands a draft to whoever publishes.
func (s draftServer) SubmitDraft(ctx context.Context, call *editorialv1.SubmitDraftRequest) (*editorialv1.Draft, error) {
	return s.change(ctx, editorialv1.DraftService_SubmitDraft_FullMethodName, call.GetName(), call.GetEtag(), inHand, func(one *step) error {
		shown, err := s.shown(one.reader, one.caller, one.draft)
		if err != nil {
			return err
		}
		if err := incomplete(shown.GetProblems()); err != nil {
			return err
		}
		one.draft.State = editorialv1.Draft_IN_REVIEW
		return nil
	})
}

// incomplete refuses a draft with problems, which it names.
func incomplete(problems []*editorialv1.Problem) error {
	if len(problems) == 0 {
		return nil
	}
	var details []apierror.Detail
	var words []string
	for _, problem := range problems {
		details = append(details, apierror.Field("draft.content."+problem.GetField(), problem.GetDescription()))
		words = append(words, problem.GetField()+": "+problem.GetDescription())
	}
	if len(words) > 5 {
		words = append(words[:5], "…")
	}
	return apierror.New(registryv1.ErrorReason_INVALID_FIELDS, strings.Join(words, "; "), details...)
}

// ReturnDraft hands a draft back to its author.
func (s draftServer) ReturnDraft(ctx context.Context, call *editorialv1.ReturnDraftRequest) (*editorialv1.Draft, error) {
	text := strings.TrimSpace(call.GetText())
	if text == "" {
		return nil, apierror.Invalid("text", "is empty; say what the author should do")
	}
	states := []editorialv1.Draft_State{editorialv1.Draft_IN_REVIEW, editorialv1.Draft_SCHEDULED}
	return s.change(ctx, editorialv1.DraftService_ReturnDraft_FullMethodName, call.GetName(), call.GetEtag(), states, func(one *step) error {
		content, err := one.draft.content()
		if err != nil {
			return err
		}
		if err := one.rights.MayPublish(content); err != nil {
			return err
		}
		one.draft.State, one.draft.Publisher = editorialv1.Draft_RETURNED, ""
		return one.comment(&editorialv1.Comment{Text: text})
	})
}

// comment adds a comment of the caller.
func (one *step) comment(comment *editorialv1.Comment) error {
	if len(one.draft.GetComments()) >= mostComments {
		return apierror.New(registryv1.ErrorReason_TOO_LARGE, "the draft has as many comments as it can have")
	}
	one.draft.Comments = append(one.draft.Comments, &editorialv1.Comment{
		Author: one.caller.Actor(), Text: comment.GetText(), Field: comment.GetField(), CreateTime: timestamppb.New(one.stamp.Time),
	})
	return nil
}

// CommentDraft adds a comment to a draft.
func (s draftServer) CommentDraft(ctx context.Context, call *editorialv1.CommentDraftRequest) (*editorialv1.Draft, error) {
	return s.change(ctx, editorialv1.DraftService_CommentDraft_FullMethodName, call.GetName(), "", open, func(one *step) error {
		return one.comment(call.GetComment())
	})
}

// DiscardDraft gives a draft up.
func (s draftServer) DiscardDraft(ctx context.Context, call *editorialv1.DiscardDraftRequest) (*editorialv1.Draft, error) {
	return s.change(ctx, editorialv1.DraftService_DiscardDraft_FullMethodName, call.GetName(), call.GetEtag(), open, func(one *step) error {
		one.draft.State = editorialv1.Draft_DISCARDED
		return nil
	})
}

// RebaseDraft goes on from the record as it is now.
func (s draftServer) RebaseDraft(ctx context.Context, call *editorialv1.RebaseDraftRequest) (*editorialv1.Draft, error) {
	content, err := recordIn("content", call.GetContent())
	if err != nil {
		return nil, err
	}
	states := append([]editorialv1.Draft_State{editorialv1.Draft_IN_REVIEW}, inHand...)
	return s.change(ctx, editorialv1.DraftService_RebaseDraft_FullMethodName, call.GetName(), call.GetEtag(), states, func(one *step) error {
		base, err := one.reader.Get(one.name)
		if err != nil {
			return err
		}
		if base == nil {
			return apierror.NotFound(one.name.String())
		}
		if base, err = s.draftable(one.caller, base); err != nil {
			return err
		}
		if current := catalog.RecordOf(base).Etag(); call.GetRecordEtag() != current {
			return records.Mismatch(one.name.String(), current)
		}
		if catalog.Of(content) != one.name.Kind {
			return apierror.Invalid("content", "is not one of the "+one.name.Kind.Collection)
		}
		if err := one.draft.begin(one.name, base, content); err != nil {
			return err
		}
		_, err = s.mayDraft(one.caller, one.draft, one.name)
		return err
	})
}

// CheckContent tells what is missing or wrong in a record.
func (s draftServer) CheckContent(ctx context.Context, call *editorialv1.CheckContentRequest) (*editorialv1.CheckContentResponse, error) {
	if err := s.owns(call.GetParent()); err != nil {
		return nil, err
	}
	content, err := recordIn("content", call.GetContent())
	if err != nil {
		return nil, err
	}
	name := catalog.Name{Kind: catalog.Of(content), IDs: []string{s.options.Comune}}
	if text := catalog.RecordOf(content).Name(); text != "" {
		if name, err = s.nameOf("content.name", text); err != nil {
			return nil, err
		}
		if name.Kind != catalog.Of(content) {
			return nil, apierror.Invalid("content.name", "is not the name of one of the "+catalog.Of(content).Collection)
		}
	}
	caller, answer := policy.Of(ctx), &editorialv1.CheckContentResponse{}
	err = s.store.View(func(r store.Reader) error {
		var base proto.Message
		if len(name.IDs) == name.Kind.Depth() {
			if base, err = r.Get(name); err != nil {
				return err
			}
			if base != nil && caller.Sight().Of(base) == nil {
				base = nil
			}
		}
		answer.Problems, err = s.records.Begin(r, store.Stamp{Time: s.store.Now()}, caller).Problems(name, base, content)
		return err
	})
	return answer, err
}
