package editorial_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/proto/gen/editorialv1"
	"cidsistem.example/proto/gen/identityv1"
	"cidsistem.example/proto/gen/registryv1"
)

func (n *node) draft(draft *editorialv1.Draft) *editorialv1.Draft {
	n.t.Helper()
	return got(n.drafts.CreateDraft(n.anna(), &editorialv1.CreateDraftRequest{Parent: parent, Draft: draft}))(n.t)
}

func problems(draft *editorialv1.Draft) (fields []string) {
	for _, problem := range draft.GetProblems() {
		field := problem.GetField()
		if problem.GetMissing() {
			field += " (manca)"
		}
		fields = append(fields, field)
	}
	return fields
}

// An editor drafts, a publisher returns it with a comment, the editor puts it
// right, the publisher publishes.
func TestDraftBecomesARecord(t *testing.T) {
	n := start(t)
	draft := n.draft(&editorialv1.Draft{Content: packed(t, &registryv1.Service{Description: italian("Accompagna a scuola")}), Note: "nuovo servizio"})
	if got := problems(draft); !slices.Contains(got, "title (manca)") {
		t.Errorf("problems %v", draft.GetProblems())
	}
	for _, problem := range draft.GetProblems() {
		if problem.GetMissing() && problem.GetDescription() != "manca" {
			t.Errorf("says %q", problem.GetDescription())
		}
	}
	if draft.GetAuthor() != account("anna") || draft.GetState() != editorialv1.Draft_DRAFT || !strings.HasPrefix(draft.GetRecord(), parent+"/services/") {
		t.Errorf("began %v", draft)
	}
	_, err := n.drafts.SubmitDraft(n.anna(), &editorialv1.SubmitDraftRequest{Name: draft.GetName()})
	refused(t, err, registryv1.ErrorReason_INVALID_FIELDS)

	etag := draft.GetEtag()
	draft.Content = packed(t, service("Trasporto scolastico"))
	draft = got(n.drafts.UpdateDraft(n.anna(), &editorialv1.UpdateDraftRequest{Draft: draft}))(t)
	if len(draft.GetProblems()) != 0 || draft.GetTitle() != "Trasporto scolastico" {
		t.Errorf("typed %v", draft)
	}
	_, err = n.drafts.UpdateDraft(n.anna(), &editorialv1.UpdateDraftRequest{Draft: &editorialv1.Draft{Name: draft.GetName(), Etag: etag, Content: draft.GetContent()}})
	refused(t, err, registryv1.ErrorReason_ETAG_MISMATCH)
	draft = got(n.drafts.SubmitDraft(n.anna(), &editorialv1.SubmitDraftRequest{Name: draft.GetName()}))(t)
	_, err = n.drafts.UpdateDraft(n.anna(), &editorialv1.UpdateDraftRequest{Draft: draft})
	refused(t, err, registryv1.ErrorReason_NOT_SUPPORTED_HERE)

	_, err = n.drafts.ReturnDraft(n.anna(), &editorialv1.ReturnDraftRequest{Name: draft.GetName(), Text: "no"})
	refused(t, err, registryv1.ErrorReason_NOT_ALLOWED)
	draft = got(n.drafts.ReturnDraft(n.paola(), &editorialv1.ReturnDraftRequest{Name: draft.GetName(), Text: "Manca il telefono"}))(t)
	if draft.GetState() != editorialv1.Draft_RETURNED || draft.GetComments()[0].GetAuthor() != account("paola") {
		t.Errorf("returned %v", draft)
	}
	draft = got(n.drafts.CommentDraft(n.anna(), &editorialv1.CommentDraftRequest{Name: draft.GetName(), Comment: &editorialv1.Comment{Text: "Lo chiedo", Field: "contacts"}}))(t)
	draft = got(n.drafts.SubmitDraft(n.anna(), &editorialv1.SubmitDraftRequest{Name: draft.GetName(), Etag: draft.GetEtag()}))(t)
	_, err = n.drafts.PublishDraft(n.anna(), &editorialv1.PublishDraftRequest{Name: draft.GetName()})
	refused(t, err, registryv1.ErrorReason_NOT_ALLOWED)
	_, err = n.drafts.PublishDraft(n.piero(), &editorialv1.PublishDraftRequest{Name: draft.GetName()})
	refused(t, err, registryv1.ErrorReason_NOT_ALLOWED)
	draft = got(n.drafts.PublishDraft(n.paola(), &editorialv1.PublishDraftRequest{Name: draft.GetName()}))(t)
	if draft.GetState() != editorialv1.Draft_PUBLISHED || len(draft.GetComments()) != 2 || draft.GetOutdated() {
		t.Errorf("published %v", draft)
	}
	record := n.read(draft.GetRecord())
	if record.GetTitle().GetIt() != "Trasporto scolastico" {
		t.Errorf("the record is %v", record)
	}
	changes := n.history(draft.GetRecord())
	wantActions(t, changes, "PUBLISHED")
	if c := changes[0]; c.GetActor() != account("paola") || c.GetNote() != "nuovo servizio" || c.GetCause() != draft.GetName() {
		t.Errorf("the history says %v", c)
	}

	// It is erased when its time is over.
	n.pass(30*day + time.Minute)
	must(t, n.Node.Node.Tidy(t.Context()))
	_, err = n.drafts.GetDraft(n.anna(), &editorialv1.GetDraftRequest{Name: draft.GetName()})
	refused(t, err, registryv1.ErrorReason_RESOURCE_NOT_FOUND)
	for _, area := range []string{"drafts", "drafts-by-time", "editorial-due"} {
		if left := n.local(area); left != 0 {
			t.Errorf("%d entries of %s are left", left, area)
		}
	}
	n.sound()
}

func TestDraftOfARecordThatChanges(t *testing.T) {
	n := start(t)
	before := n.service("trasporto")
	draft := n.draft(&editorialv1.Draft{Record: before.GetName()})
	if base := unpacked[*registryv1.Service](t, draft.GetBase()); !proto.Equal(base, before) || draft.GetBaseEtag() != before.GetEtag() {
		t.Errorf("began from %v", draft)
	}
	typed := unpacked[*registryv1.Service](t, draft.GetContent())
	typed.Title = italian("Trasporto disabili")
	typed.Revision, typed.Etag, typed.CreateTime = 77, `"x"`, nil
	draft.Content = packed(t, typed)
	draft = got(n.drafts.UpdateDraft(n.anna(), &editorialv1.UpdateDraftRequest{Draft: draft}))(t)

	meanwhile := proto.CloneOf(before)
	meanwhile.Description = italian("Su chiamata")
	now := got(n.services.UpdateService(t.Context(), &registryv1.UpdateServiceRequest{Service: meanwhile}))(t)
	draft = got(n.drafts.SubmitDraft(n.anna(), &editorialv1.SubmitDraftRequest{Name: draft.GetName()}))(t)
	if !draft.GetOutdated() {
		t.Error("the draft is not outdated")
	}
	_, err := n.drafts.PublishDraft(n.paola(), &editorialv1.PublishDraftRequest{Name: draft.GetName()})
	refused(t, err, registryv1.ErrorReason_ETAG_MISMATCH)
	both := proto.CloneOf(now)
	both.Title = italian("Trasporto disabili")
	_, err = n.drafts.RebaseDraft(n.anna(), &editorialv1.RebaseDraftRequest{Name: draft.GetName(), RecordEtag: before.GetEtag(), Content: packed(t, both)})
	refused(t, err, registryv1.ErrorReason_ETAG_MISMATCH)
	draft = got(n.drafts.RebaseDraft(n.anna(), &editorialv1.RebaseDraftRequest{Name: draft.GetName(), RecordEtag: now.GetEtag(), Content: packed(t, both)}))(t)
	if draft.GetOutdated() || draft.GetState() != editorialv1.Draft_IN_REVIEW {
		t.Errorf("rebased %v", draft)
	}
	got(n.drafts.PublishDraft(n.paola(), &editorialv1.PublishDraftRequest{Name: draft.GetName()}))(t)
	after := n.read(before.GetName())
	if after.GetTitle().GetIt() != "Trasporto disabili" || after.GetDescription().GetIt() != "Su chiamata" || !after.GetCreateTime().AsTime().Equal(before.GetCreateTime().AsTime()) {
		t.Errorf("published %v", after)
	}
}

func TestPublicationAtATime(t *testing.T) {
	n := start(t)
	tomorrow, later := n.Now().Add(day), n.Now().Add(10*day)
	submit := func(record string, edit func(*registryv1.Service)) *editorialv1.Draft {
		draft := n.draft(&editorialv1.Draft{Record: record})
		typed := unpacked[*registryv1.Service](t, draft.GetContent())
		edit(typed)
		draft.Content, draft.PublishTime, draft.ExpireTime = packed(t, typed), timestamppb.New(tomorrow), timestamppb.New(later)
		draft = got(n.drafts.UpdateDraft(n.anna(), &editorialv1.UpdateDraftRequest{Draft: draft}))(t)
		draft = got(n.drafts.SubmitDraft(n.anna(), &editorialv1.SubmitDraftRequest{Name: draft.GetName()}))(t)
		return got(n.drafts.PublishDraft(n.paola(), &editorialv1.PublishDraftRequest{Name: draft.GetName()}))(t)
	}
	first, second := n.service("uno"), n.service("due")
	good := submit(first.GetName(), func(s *registryv1.Service) { s.Title = italian("Domani") })
	bad := submit(second.GetName(), func(s *registryv1.Service) { s.Title = italian("Mai") })
	taken := submit(first.GetName(), func(s *registryv1.Service) { s.Title = italian("Ritirato") })
	got(n.drafts.ReturnDraft(n.paola(), &editorialv1.ReturnDraftRequest{Name: taken.GetName(), Text: "ripensato"}))(t)
	if good.GetState() != editorialv1.Draft_SCHEDULED || n.read(first.GetName()).GetTitle().GetIt() != "Servizio uno" {
		t.Errorf("scheduled %v", good)
	}
	changed := proto.CloneOf(second)
	changed.Description = italian("nel frattempo")
	got(n.services.UpdateService(t.Context(), &registryv1.UpdateServiceRequest{Service: changed}))(t)

	over := n.draft(&editorialv1.Draft{Record: second.GetName(), ExpireTime: timestamppb.New(n.Now().Add(-day))})
	got(n.drafts.SubmitDraft(n.anna(), &editorialv1.SubmitDraftRequest{Name: over.GetName()}))(t)
	_, err := n.drafts.PublishDraft(n.paola(), &editorialv1.PublishDraftRequest{Name: over.GetName()})
	refused(t, err, registryv1.ErrorReason_INVALID_FIELDS)

	n.pass(day - time.Minute)
	must(t, n.Node.Node.Tidy(t.Context()))
	if n.read(first.GetName()).GetTitle().GetIt() != "Servizio uno" {
		t.Error("published before its time")
	}
	n.pass(2 * time.Minute)
	must(t, n.Node.Node.Tidy(t.Context()))
	if n.read(first.GetName()).GetTitle().GetIt() != "Domani" {
		t.Error("not published at its time")
	}
	if c := n.history(first.GetName())[0]; c.GetActor() != account("paola") || c.GetCause() != good.GetName() {
		t.Errorf("the history says %v", c)
	}
	bad = got(n.drafts.GetDraft(n.anna(), &editorialv1.GetDraftRequest{Name: bad.GetName()}))(t)
	if bad.GetState() != editorialv1.Draft_RETURNED || !strings.Contains(bad.GetComments()[0].GetText(), "cambiata") {
		t.Errorf("what could not be written is %v", bad)
	}
	n.pass(9 * day)
	must(t, n.Node.Node.Tidy(t.Context()))
	if v := n.read(first.GetName()).GetVisibility(); v != registryv1.Visibility_LOCAL {
		t.Errorf("after its time it is %s", v)
	}
	if v := n.read(second.GetName()).GetVisibility(); v == registryv1.Visibility_LOCAL {
		t.Error("the record of a draft that was not published is suspended")
	}
	wantActions(t, n.history(first.GetName()), "SUSPENDED", "PUBLISHED", "CREATED")
	n.sound()
}

// Who publishes plans and writes services publishes no services, though they are
// public already.
func TestRolesDoNotAddUp(t *testing.T) {
	n := start(t)
	draft := n.draft(&editorialv1.Draft{Record: n.service("trasporto").GetName()})
	got(n.drafts.SubmitDraft(n.anna(), &editorialv1.SubmitDraftRequest{Name: draft.GetName()}))(t)
	both := n.with("maria", &identityv1.Grant{Role: planner, Scope: parent}, &identityv1.Grant{Role: editor, Scope: parent})
	_, err := n.drafts.PublishDraft(both, &editorialv1.PublishDraftRequest{Name: draft.GetName()})
	refused(t, err, registryv1.ErrorReason_NOT_ALLOWED)
	_, err = n.drafts.ReturnDraft(both, &editorialv1.ReturnDraftRequest{Name: draft.GetName(), Text: "no"})
	refused(t, err, registryv1.ErrorReason_NOT_ALLOWED)
	limited := n.with("maria", &identityv1.Grant{Role: planner, Scope: parent}, &identityv1.Grant{Role: editor, Scope: aias})
	_, err = n.drafts.CommentDraft(limited, &editorialv1.CommentDraftRequest{Name: draft.GetName(), Comment: &editorialv1.Comment{Text: "x"}})
	refused(t, err, registryv1.ErrorReason_NOT_ALLOWED)
}

// The last draft that was published says when a record expires.
func TestLaterDraftChangesTheExpiry(t *testing.T) {
	n := start(t)
	made := n.service("trasporto")
	publish := func(expires time.Time) {
		t.Helper()
		draft := n.draft(&editorialv1.Draft{Record: made.GetName(), Note: "periodo"})
		typed := unpacked[*registryv1.Service](t, draft.GetContent())
		typed.Description = italian(expires.String())
		draft.Content = packed(t, typed)
		if !expires.IsZero() {
			draft.ExpireTime = timestamppb.New(expires)
		}
		got(n.drafts.UpdateDraft(n.anna(), &editorialv1.UpdateDraftRequest{Draft: draft}))(t)
		got(n.drafts.SubmitDraft(n.anna(), &editorialv1.SubmitDraftRequest{Name: draft.GetName()}))(t)
		got(n.drafts.PublishDraft(n.paola(), &editorialv1.PublishDraftRequest{Name: draft.GetName()}))(t)
	}
	suspended := func(wait time.Duration) bool {
		t.Helper()
		n.pass(wait)
		must(t, n.Node.Node.Tidy(t.Context()))
		return n.read(made.GetName()).GetVisibility() == registryv1.Visibility_LOCAL
	}
	publish(n.Now().Add(5 * day))
	publish(n.Now().Add(10 * day))
	if suspended(6 * day) {
		t.Error("suspended at the time of an earlier draft")
	}
	if !suspended(5 * day) {
		t.Error("not suspended at the time of the last draft")
	}
	got(n.records.ResumeRecord(n.paola(), &editorialv1.ResumeRecordRequest{Parent: parent, Record: made.GetName()}))(t)
	publish(n.Now().Add(5 * day))
	publish(time.Time{})
	if suspended(6 * day) {
		t.Error("suspended though the last draft says nothing of it")
	}
}

func TestDelegatesDraftTheirOwnCards(t *testing.T) {
	n := start(t)
	n.organization("aias")
	other := n.organization("altra")
	own := got(n.drafts.CreateDraft(n.dora(), &editorialv1.CreateDraftRequest{Parent: parent, Draft: &editorialv1.Draft{Record: aias}}))(t)
	_, err := n.drafts.CreateDraft(n.dora(), &editorialv1.CreateDraftRequest{Parent: parent, Draft: &editorialv1.Draft{Record: other.GetName()}})
	refused(t, err, registryv1.ErrorReason_NOT_ALLOWED)
	_, err = n.drafts.CreateDraft(n.dora(), &editorialv1.CreateDraftRequest{Parent: parent, Draft: &editorialv1.Draft{Content: packed(t, service("nuovo"))}})
	refused(t, err, registryv1.ErrorReason_NOT_ALLOWED)
	_, err = n.drafts.CreateDraft(n.piero(), &editorialv1.CreateDraftRequest{Parent: parent, Draft: &editorialv1.Draft{Content: packed(t, service("nuovo"))}})
	refused(t, err, registryv1.ErrorReason_NOT_ALLOWED)
	foreign := n.draft(&editorialv1.Draft{Record: other.GetName()})
	_, err = n.drafts.GetDraft(n.dora(), &editorialv1.GetDraftRequest{Name: foreign.GetName()})
	refused(t, err, registryv1.ErrorReason_RESOURCE_NOT_FOUND)
	_, err = n.drafts.DiscardDraft(n.dora(), &editorialv1.DiscardDraftRequest{Name: foreign.GetName()})
	refused(t, err, registryv1.ErrorReason_RESOURCE_NOT_FOUND)
	mine := got(n.drafts.ListDrafts(n.dora(), &editorialv1.ListDraftsRequest{Parent: parent}))(t)
	if len(mine.GetDrafts()) != 1 || mine.GetDrafts()[0].GetName() != own.GetName() || mine.GetDrafts()[0].GetContent() != nil {
		t.Errorf("the delegate sees %v", mine.GetDrafts())
	}
	all := got(n.drafts.ListDrafts(n.anna(), &editorialv1.ListDraftsRequest{Parent: parent}))(t)
	if len(all.GetDrafts()) != 2 || all.GetDrafts()[0].GetName() != foreign.GetName() {
		t.Errorf("the editor sees %v", all.GetDrafts())
	}
	plan := &registryv1.Plan{Title: italian("Piano"), State: registryv1.Plan_DRAFT, FirstYear: 2025, LastYear: 2027}
	got(n.drafts.CreateDraft(n.piero(), &editorialv1.CreateDraftRequest{Parent: parent, Draft: &editorialv1.Draft{Content: packed(t, plan)}}))(t)
}

func TestListsOfDrafts(t *testing.T) {
	n := start(t)
	var names []string
	for range 7 {
		names = append(names, n.draft(&editorialv1.Draft{Content: packed(t, service("uno"))}).GetName())
		n.pass(time.Second)
	}
	got(n.drafts.DiscardDraft(n.anna(), &editorialv1.DiscardDraftRequest{Name: names[2]}))(t)
	names = append(slices.Delete(slices.Clone(names), 2, 3), names[2])
	slices.Reverse(names)
	var listed []string
	call := &editorialv1.ListDraftsRequest{Parent: parent, PageSize: 3}
	for more := true; more; more = call.GetPageToken() != "" {
		page := got(n.drafts.ListDrafts(n.paola(), call))(t)
		for _, draft := range page.GetDrafts() {
			listed = append(listed, draft.GetName())
		}
		call.PageToken = page.GetNextPageToken()
	}
	if !slices.Equal(listed, names) {
		t.Errorf("listed %v\nwant   %v", listed, names)
	}
	discarded := got(n.drafts.ListDrafts(n.paola(), &editorialv1.ListDraftsRequest{Parent: parent, State: editorialv1.Draft_DISCARDED}))(t)
	if len(discarded.GetDrafts()) != 1 || discarded.GetDrafts()[0].GetName() != listed[0] {
		t.Errorf("discarded %v", discarded.GetDrafts())
	}
	if none := got(n.drafts.ListDrafts(n.paola(), &editorialv1.ListDraftsRequest{Parent: parent, Mine: true}))(t); len(none.GetDrafts()) != 0 {
		t.Errorf("of the publisher: %v", none.GetDrafts())
	}
}

func TestRepeatedDraft(t *testing.T) {
	n := start(t)
	call := &editorialv1.CreateDraftRequest{Parent: parent, RequestId: uuid.NewString(), Draft: &editorialv1.Draft{Content: packed(t, service("uno"))}}
	first, second := got(n.drafts.CreateDraft(n.anna(), call))(t), got(n.drafts.CreateDraft(n.anna(), call))(t)
	if first.GetName() != second.GetName() || n.local("drafts") != 1 {
		t.Errorf("made %s and %s", first.GetName(), second.GetName())
	}
	call.Draft.Note = "altra"
	_, err := n.drafts.CreateDraft(n.anna(), call)
	refused(t, err, registryv1.ErrorReason_REQUEST_ID_REUSED)
}

func TestProblemsAreToldInItalian(t *testing.T) {
	n := start(t)
	record := service("x", func(s *registryv1.Service) {
		s.Provisions = []*registryv1.Provision{{Organization: parent + "/organizations/nessuna"}}
		s.Contacts = []*registryv1.ContactPoint{{Value: "1", Label: strings.Repeat("lungo ", 200)}}
	})
	checked := got(n.drafts.CheckContent(n.anna(), &editorialv1.CheckContentRequest{Parent: parent, Content: packed(t, record)}))(t)
	said := map[string]string{}
	for _, problem := range checked.GetProblems() {
		said[problem.GetField()] = problem.GetDescription()
	}
	for field, words := range map[string]string{
		"provisions[0].organization": "non c'è", "contacts[0].kind": "manca", "contacts[0].value": "corto", "contacts[0].label": "lungo",
	} {
		if !strings.Contains(said[field], words) {
			t.Errorf("of %s it says %q, not %q (all: %v)", field, said[field], words, said)
		}
	}
}
