package deskhome

import (
	"cmp"
	"context"
	"net/url"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/gateway/internal/workbench"
	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/editorialv1"
	"cidsistem.example/proto/gen/exchangev1"
	"cidsistem.example/proto/gen/registryv1"
)

// dueRecords are records that must be verified again, the most overdue first.
func (h *Home) dueRecords(ctx context.Context, v *workbench.Visit, p *pile) error {
	answer, err := h.records.ListDueRecords(ctx, &editorialv1.ListDueRecordsRequest{Parent: v.Comune, PageSize: shown})
	if err != nil {
		return err
	}
	p.Count, p.Late = int(answer.GetTotalSize()), true
	for _, due := range answer.GetRecords() {
		p.Items = append(p.Items, item{
			Title: cmp.Or(due.GetTitle(), due.GetRecord()), Path: recordPath(due.GetRecord()), Note: v.Say("kinds." + collectionOf(due.GetRecord())),
			When: h.overdue(v, due.GetDueTime().AsTime()), Late: true, Act: actConfirm, Named: due.GetRecord(), Etag: due.GetEtag(),
		})
	}
	return nil
}

// ownDrafts are drafts of the person: first what came back.
func (h *Home) ownDrafts(ctx context.Context, v *workbench.Visit, p *pile) error {
	for _, state := range []editorialv1.Draft_State{editorialv1.Draft_RETURNED, editorialv1.Draft_DRAFT} {
		drafts, more, err := h.listDrafts(ctx, &editorialv1.ListDraftsRequest{Parent: v.Comune, State: state, Mine: true, PageSize: counted})
		if err != nil {
			return err
		}
		p.Count, p.More = p.Count+len(drafts), p.More || more
		returned := state == editorialv1.Draft_RETURNED
		if returned && len(drafts) > 0 {
			p.Late = true
			p.Facts = append(p.Facts, v.Count("deskhome.returned", len(drafts)))
		}
		for _, draft := range drafts {
			p.Items = append(p.Items, h.draftItem(v, draft, returned))
		}
	}
	p.cut()
	return nil
}

// draftsToReview are drafts that wait for somebody who publishes, the one that waits longest first.
func (h *Home) draftsToReview(ctx context.Context, v *workbench.Visit, p *pile) error {
	drafts, more, err := h.listDrafts(ctx, &editorialv1.ListDraftsRequest{Parent: v.Comune, State: editorialv1.Draft_IN_REVIEW, PageSize: counted})
	if err != nil {
		return err
	}
	slices.Reverse(drafts) // the server lists the one that changed last first
	p.Count, p.More = len(drafts), more
	for _, draft := range drafts {
		p.Items = append(p.Items, h.draftItem(v, draft, false))
	}
	p.cut()
	return nil
}

func (h *Home) listDrafts(ctx context.Context, request *editorialv1.ListDraftsRequest) ([]*editorialv1.Draft, bool, error) {
	answer, err := h.drafts.ListDrafts(ctx, request)
	return answer.GetDrafts(), answer.GetNextPageToken() != "", err
}

func (h *Home) draftItem(v *workbench.Visit, draft *editorialv1.Draft, returned bool) item {
	one := item{
		Title: cmp.Or(draft.GetTitle(), v.Say("deskhome.untitled")), Path: workbench.Root + "bozze/" + idOf(draft.GetName()), Note: draft.GetNote(),
		When: h.days(v, draft.GetUpdateTime().AsTime()), Late: returned,
	}
	if returned {
		one.When = v.Say("deskhome.cameBack", "When", one.When)
	}
	return one
}

// openCorrections are corrections that nobody decided on, the oldest first.
func (h *Home) openCorrections(ctx context.Context, v *workbench.Visit, p *pile) error {
	answer, err := h.corrections.ListCorrections(ctx, &editorialv1.ListCorrectionsRequest{Parent: v.Comune, State: editorialv1.Correction_OPEN, PageSize: counted})
	if err != nil {
		return err
	}
	p.Count, p.More = len(answer.GetCorrections()), answer.GetNextPageToken() != ""
	for _, correction := range answer.GetCorrections() {
		p.Items = append(p.Items, item{
			Title: cmp.Or(correction.GetTitle(), correction.GetRecord()), Path: workbench.Root + "correzioni/" + idOf(correction.GetName()),
			Note: v.Count("deskhome.changes", len(correction.GetChanges())), When: h.days(v, correction.GetCreateTime().AsTime()),
		})
	}
	p.cut()
	return nil
}

// pairs are records that look alike.
func (h *Home) pairs(ctx context.Context, v *workbench.Visit, p *pile) error {
	answer, err := h.duplicates.ListDuplicates(ctx, &editorialv1.ListDuplicatesRequest{Parent: v.Comune, PageSize: shown})
	if err != nil {
		return err
	}
	p.Count = int(answer.GetTotalSize())
	for _, pair := range answer.GetDuplicates() {
		p.Items = append(p.Items, item{
			Title: v.Say("deskhome.pair", "First", pair.GetFirstTitle(), "Second", pair.GetSecondTitle()),
			Path:  workbench.Root + "doppioni/coppia?" + url.Values{"prima": {pair.GetFirst()}, "seconda": {pair.GetSecond()}}.Encode(),
			Note:  v.Say("deskhome.alike", "Percent", pair.GetScore()),
		})
	}
	return nil
}

// unfinishedImports are files that are not in the registry yet.
func (h *Home) unfinishedImports(ctx context.Context, v *workbench.Visit, p *pile) error {
	answer, err := h.imports.ListImports(ctx, &exchangev1.ListImportsRequest{Parent: v.Comune, PageSize: counted})
	if err != nil {
		return err
	}
	p.More = answer.GetNextPageToken() != ""
	for _, one := range answer.GetImports() {
		if one.GetState() == exchangev1.Import_DONE {
			continue
		}
		failed := one.GetState() == exchangev1.Import_FAILED
		p.Late = p.Late || failed
		p.Items = append(p.Items, item{
			Title: cmp.Or(one.GetFileName(), one.GetSource()), Path: workbench.Root + "importazioni/" + idOf(one.GetName()),
			Note: stateOf(v, one.GetState().String()), When: h.days(v, one.GetUpdateTime().AsTime()), Late: failed,
		})
	}
	p.Count = len(p.Items)
	p.cut()
	return nil
}

// stateOf says how an import stands.
func stateOf(v *workbench.Visit, state string) string {
	switch state {
	case exchangev1.Import_READY.String():
		return v.Say("deskhome.imports.ready")
	case exchangev1.Import_RUNNING.String():
		return v.Say("deskhome.imports.running")
	case exchangev1.Import_CHECKED.String():
		return v.Say("deskhome.imports.checked")
	case exchangev1.Import_CANCELLED.String():
		return v.Say("deskhome.imports.cancelled")
	}
	return v.Say("deskhome.imports.failed")
}

// walked is how many pages of 1,000 plans and actions are looked at.
const walked = 2

// latePlans are plans and actions that should be over, the one that is late for longest first. Those that must be verified again are
// among the records that are due.
func (h *Home) latePlans(ctx context.Context, v *workbench.Visit, p *pile) error {
	type late struct {
		item
		since time.Time
	}
	var all []late
	now := h.now()
	look := func(m proto.Message) {
		r := catalog.RecordOf(m)
		one := late{item: item{Title: r.Title(), Path: recordPath(r.Name()), Note: v.Say("kinds." + r.Kind().Collection), Late: true}}
		end, goesOn := endOf(m)
		if !goesOn || !end.Before(now) {
			return
		}
		one.since, one.When = end, v.Say("deskhome.shouldBeOver", "When", h.days(v, end))
		all = append(all, one)
	}
	for collection, parent := range map[string]string{"plans": v.Comune, "actions": v.Comune + "/plans/" + catalog.Wildcard} {
		if err := h.reader.Walk(ctx, collection, parent, walked, look); err != nil {
			return err
		}
	}
	slices.SortFunc(all, func(a, b late) int { return cmp.Or(a.since.Compare(b.since), cmp.Compare(a.Path, b.Path)) })
	p.Count, p.Late = len(all), true
	for _, one := range all {
		p.Items = append(p.Items, one.item)
	}
	p.cut()
	return nil
}

// endOf is when a plan or an action that goes on should be over; false: it is over, or nobody said when.
func endOf(m proto.Message) (time.Time, bool) {
	switch m := m.(type) {
	case *registryv1.Plan:
		if m.GetState() == registryv1.Plan_ENDED || m.GetLastYear() == 0 {
			return time.Time{}, false
		}
		return time.Date(int(m.GetLastYear())+1, time.January, 1, 0, 0, 0, 0, site.Rome), true
	case *registryv1.Action:
		end := m.GetPlannedPeriod().GetEnd()
		if m.GetState() == registryv1.Action_COMPLETED || m.GetState() == registryv1.Action_DEFUNDED || end.GetYear() == 0 {
			return time.Time{}, false
		}
		return afterDate(end), true
	}
	return time.Time{}, false
}

// afterDate is the moment at which a day, a month or a year is over.
func afterDate(d *registryv1.PartialDate) time.Time {
	year, month, day := int(d.GetYear()), time.Month(d.GetMonth()), int(d.GetDay())
	switch {
	case month == 0:
		year, month, day = year+1, time.January, 1
	case day == 0:
		month, day = month+1, 1
	default:
		day++
	}
	return time.Date(year, month, day, 0, 0, 0, 0, site.Rome)
}
