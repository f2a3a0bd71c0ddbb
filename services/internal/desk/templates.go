package desk

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/auditv1"
	"cidsistem.example/proto/gen/deskv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/pagetoken"
	"cidsistem.example/services/internal/policy"
	"cidsistem.example/services/internal/store"
)

// maxTemplates bounds the answers that a desk keeps ready.
const maxTemplates = 500

// templateKey is the entry of an answer that is kept ready, by its name.
func (d *Desk) templateKey(name string) (store.LocalKey, error) {
	parent, id, found := strings.Cut(name, "/templates/")
	if !found {
		return store.LocalKey{}, apierror.Invalid("cannedAnswer.name", "is not of the form comuni/{comune}/templates/{canned_answer}")
	}
	if err := d.owns(parent); err != nil {
		return store.LocalKey{}, err
	}
	if !catalog.ValidID(id) {
		return store.LocalKey{}, apierror.Invalid("cannedAnswer.name", fmt.Sprintf("%.70q is not an id: small letters, digits and dashes", id))
	}
	return store.LocalKey{Area: areaTemplates, ID: id}, nil
}

// ListCannedAnswers lists the answers that the desk keeps ready, by title.
func (d *Desk) ListCannedAnswers(_ context.Context, call *deskv1.ListCannedAnswersRequest) (*deskv1.ListCannedAnswersResponse, error) {
	if err := d.owns(call.GetParent()); err != nil {
		return nil, err
	}
	token, err := pagetoken.Decode(call, call.GetPageToken())
	if err != nil {
		return nil, err
	}
	var all []*deskv1.CannedAnswer
	err = d.store.View(func(r store.Reader) (err error) {
		all, err = d.templates(r)
		return err
	})
	if err != nil {
		return nil, err
	}
	place := func(c *deskv1.CannedAnswer) string { return strings.ToLower(c.GetTitle()) + "\x00" + c.GetName() }
	slices.SortFunc(all, func(a, b *deskv1.CannedAnswer) int { return cmp.Compare(place(a), place(b)) })
	from := slices.IndexFunc(all, func(c *deskv1.CannedAnswer) bool { return len(token.Key) == 0 || place(c) > string(token.Key) })
	if from < 0 {
		from = len(all)
	}
	answer := &deskv1.ListCannedAnswersResponse{CannedAnswers: all[from:]}
	if size := pagetoken.Size(call.GetPageSize(), 50, 1000); len(answer.CannedAnswers) > size {
		answer.CannedAnswers = answer.CannedAnswers[:size]
		answer.NextPageToken = pagetoken.Encode(call, pagetoken.Token{Key: []byte(place(answer.CannedAnswers[size-1]))})
	}
	return answer, nil
}

func (d *Desk) templates(r store.Reader) ([]*deskv1.CannedAnswer, error) {
	var all []*deskv1.CannedAnswer
	for key, sealed := range r.LocalEntries(areaTemplates, "") {
		body, err := d.vault.Open(key, sealed)
		if err != nil {
			return nil, err
		}
		one := &deskv1.CannedAnswer{}
		if err := proto.Unmarshal(body, one); err != nil {
			return nil, fmt.Errorf("%w: %w", errDamaged, err)
		}
		all = append(all, one)
	}
	return all, nil
}

// UpdateCannedAnswer keeps an answer ready, or changes one.
func (d *Desk) UpdateCannedAnswer(ctx context.Context, call *deskv1.UpdateCannedAnswerRequest) (*deskv1.CannedAnswer, error) {
	asked := call.GetCannedAnswer()
	key, err := d.templateKey(asked.GetName())
	if err != nil {
		return nil, err
	}
	if strings.TrimSpace(asked.GetTitle()) == "" || strings.TrimSpace(asked.GetText()) == "" {
		return nil, apierror.Invalid("cannedAnswer", "needs a title and a text")
	}
	kept := &deskv1.CannedAnswer{Name: asked.GetName(), Title: strings.TrimSpace(asked.GetTitle()), Text: asked.GetText(), Outcome: asked.GetOutcome()}
	_, err = d.store.Commit(ctx, store.Request{}, nil, func(r store.Reader, stamp store.Stamp) (store.Outcome, error) {
		if r.Local(key) == nil {
			all, err := d.templates(r)
			if err != nil {
				return store.Outcome{}, err
			}
			if len(all) >= maxTemplates {
				return store.Outcome{}, apierror.New(registryv1.ErrorReason_TOO_LARGE, fmt.Sprintf("the desk keeps %d answers ready, which is all that it can; throw one away", maxTemplates))
			}
		}
		kept.UpdateTime = timestamppb.New(stamp.Time)
		body, err := proto.Marshal(kept)
		if err != nil {
			return store.Outcome{}, err
		}
		p := puts{desk: d, reader: r}
		p.put(key, body)
		return d.outcome(p, policy.Of(ctx).Entry(deskv1.RequestService_UpdateCannedAnswer_FullMethodName, kept.GetName(), auditv1.AuditEntry_DONE))
	})
	if err != nil {
		return nil, err
	}
	return kept, nil
}

// DeleteCannedAnswer throws an answer away that was kept ready.
func (d *Desk) DeleteCannedAnswer(ctx context.Context, call *deskv1.DeleteCannedAnswerRequest) (*deskv1.DeleteCannedAnswerResponse, error) {
	key, err := d.templateKey(call.GetName())
	if err != nil {
		return nil, err
	}
	_, err = d.store.Commit(ctx, store.Request{}, nil, func(r store.Reader, _ store.Stamp) (store.Outcome, error) {
		if r.Local(key) == nil {
			return store.Outcome{}, apierror.NotFound(call.GetName())
		}
		p := puts{desk: d, reader: r}
		p.remove(key)
		return d.outcome(p, policy.Of(ctx).Entry(deskv1.RequestService_DeleteCannedAnswer_FullMethodName, call.GetName(), auditv1.AuditEntry_DONE))
	})
	if err != nil {
		return nil, err
	}
	return &deskv1.DeleteCannedAnswerResponse{}, nil
}
