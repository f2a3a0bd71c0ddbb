package deskhome

import (
	"cmp"
	"context"
	"slices"
	"time"

	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/gateway/internal/workbench"
	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/adminv1"
	"cidsistem.example/proto/gen/deskv1"
	"cidsistem.example/proto/gen/federationv1"
	"cidsistem.example/proto/gen/registryv1"
)

// waitingRequests are requests that the desk must answer: what is overdue first, then what is due first, and nobody's before a
// colleague's.
func (h *Home) waitingRequests(ctx context.Context, v *workbench.Visit, p *pile) error {
	var all []*deskv1.Request
	seen := map[string]bool{}
	for _, asked := range []*deskv1.ListRequestsRequest{
		{Overdue: true}, {State: deskv1.Request_RECEIVED}, {State: deskv1.Request_TAKEN},
	} {
		asked.Parent, asked.PageSize = v.Comune, counted
		answer, err := h.requests.ListRequests(ctx, asked)
		if err != nil {
			return err
		}
		p.More = p.More || answer.GetNextPageToken() != ""
		for _, request := range answer.GetRequests() {
			if !seen[request.GetName()] {
				seen[request.GetName()] = true
				all = append(all, request)
			}
		}
	}
	overdue, mine, nobodys := 0, 0, 0
	for _, request := range all {
		if request.GetOverdue() {
			overdue++
		}
		switch request.GetAssignee() {
		case "":
			nobodys++
		case v.Account.GetName():
			mine++
		}
	}
	slices.SortStableFunc(all, func(a, b *deskv1.Request) int {
		return cmp.Or(first(a.GetOverdue(), b.GetOverdue()), lastDay(a).Compare(lastDay(b)), cmp.Compare(rank(v, a), rank(v, b)))
	})
	p.Count, p.Late = len(all), overdue > 0
	if overdue > 0 {
		p.Facts = append(p.Facts, v.Count("deskhome.requests.late", overdue))
	}
	if mine > 0 {
		p.Facts = append(p.Facts, v.Count("deskhome.requests.mine", mine))
	}
	if nobodys > 0 {
		p.Facts = append(p.Facts, v.Count("deskhome.requests.nobodys", nobodys))
	}
	for _, request := range all {
		p.Items = append(p.Items, h.requestItem(v, request))
	}
	p.cut()
	return nil
}

func (h *Home) requestItem(v *workbench.Visit, request *deskv1.Request) item {
	kind := v.Say("deskwork_kinds." + lower(request.GetKind().String()))
	one := item{Title: cmp.Or(request.GetExcerpt(), kind), Path: workbench.Root + "sportello/richieste/" + idOf(request.GetName()), Note: kind, Late: request.GetOverdue()}
	if due := request.GetDueDate(); due != nil {
		last := afterDate(due)
		if one.Late {
			one.When = h.overdue(v, last)
		} else {
			one.When = h.until(v, last.AddDate(0, 0, -1))
		}
	}
	switch request.GetAssignee() {
	case "":
		one.Note += " · " + v.Say("deskwork.is.nessuno")
		one.Act, one.Named = actTake, request.GetName()
	case v.Account.GetName():
		one.Note += " · " + v.Say("deskwork.is.mia")
	default:
		one.Note += " · " + v.Say("deskwork.is.altri")
	}
	return one
}

// lastDay is when an answer is due; far ahead while the clock stands still.
func lastDay(request *deskv1.Request) time.Time {
	if request.GetDueDate() == nil {
		return time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	return afterDate(request.GetDueDate())
}

// rank puts the person's own requests before nobody's, and those before a colleague's.
func rank(v *workbench.Visit, request *deskv1.Request) int {
	switch request.GetAssignee() {
	case v.Account.GetName():
		return 0
	case "":
		return 1
	}
	return 2
}

// first puts what is true before what is not.
func first(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

// unsentMessages are messages of which it is known that they did not go out, or not known that they did.
func (h *Home) unsentMessages(ctx context.Context, v *workbench.Visit, p *pile) error {
	for _, state := range []adminv1.OutboundMessage_State{adminv1.OutboundMessage_FAILED, adminv1.OutboundMessage_UNKNOWN} {
		answer, err := h.messages.ListMessages(ctx, &adminv1.ListMessagesRequest{Parent: v.Node(), State: state, PageSize: counted})
		if err != nil {
			return err
		}
		p.Count, p.More = p.Count+len(answer.GetMessages()), p.More || answer.GetNextPageToken() != ""
		for _, message := range answer.GetMessages() {
			said := v.Say("deskhome.messages.unknown")
			if state == adminv1.OutboundMessage_FAILED {
				said = v.Say("deskhome.messages.failed")
			}
			p.Items = append(p.Items, item{
				Title: message.GetRecipientHint(), Path: workbench.Root + "amministrazione/messaggi?stato=" + lower(state.String()), Note: said,
				When: h.days(v, message.GetCreateTime().AsTime()), Late: true, Act: actResend, Named: message.GetName(),
			})
		}
	}
	p.Late = p.Count > 0
	p.cut()
	return nil
}

// backupEvery is how old the last good backup may be.
const backupEvery = 48 * time.Hour

// lastBackup says how old the last good backup is, where it is too old.
func (h *Home) lastBackup(ctx context.Context, v *workbench.Visit, p *pile) error {
	answer, err := h.backups.ListBackups(ctx, &adminv1.ListBackupsRequest{Parent: v.Node(), PageSize: counted})
	if apierror.Reason(err) == registryv1.ErrorReason_NOT_SUPPORTED_HERE {
		p.Items, p.Count, p.Late = []item{{Title: v.Say("deskhome.backups.off"), Path: p.Path, Late: true}}, 1, true
		return nil
	}
	if err != nil {
		return err
	}
	var last time.Time
	for _, backup := range answer.GetBackups() {
		if made := backup.GetCreateTime().AsTime(); len(backup.GetProblems()) == 0 && made.After(last) {
			last = made
		}
	}
	one := item{Title: v.Say("deskhome.backups.none"), Path: p.Path, Late: true}
	if !last.IsZero() {
		p.Facts = []string{v.Say("deskhome.backups.fresh")}
		if days := daysFrom(last, h.now()); days > 0 {
			p.Facts = []string{v.Count("deskhome.backups.last", days)}
		}
		one.Title, one.When = v.Say("deskhome.backups.old"), h.days(v, last)
		if h.now().Sub(last) <= backupEvery {
			return nil
		}
	}
	p.Items, p.Count, p.Late = []item{one}, 1, true
	return nil
}

// awayNodes are members of the federation that do not answer, or may not be followed.
func (h *Home) awayNodes(ctx context.Context, v *workbench.Visit, p *pile) error {
	answer, err := h.federation.ListNodes(ctx, &federationv1.ListNodesRequest{PageSize: 1000})
	if err != nil {
		return err
	}
	for _, node := range answer.GetNodes() {
		said := v.Say("deskhome.network.away")
		switch node.GetState() {
		case federationv1.Node_UNREACHABLE:
		case federationv1.Node_REFUSED:
			said = v.Say("deskhome.network.refused")
		default:
			continue
		}
		slug := idOf(node.GetName())
		title := slug
		if _, known := v.Comuni().Of(slug); known {
			title = v.Comuni().Name(slug)
		}
		one := item{Title: title, Path: p.Path, Note: said, Late: true}
		if since := node.GetStateTime(); since != nil {
			one.When = h.days(v, since.AsTime())
		}
		p.Items = append(p.Items, one)
	}
	p.Count, p.Late = len(p.Items), len(p.Items) > 0
	return nil
}

// today is the calendar day of a moment, in Rome.
func today(t time.Time) time.Time {
	t = t.In(site.Rome)
	return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)
}

// daysFrom is how many days of the calendar lie between two moments.
func daysFrom(from, to time.Time) int { return int(today(to).Sub(today(from)).Hours() / 24) }

// Dates are told in days up to two months, in months up to two years.
const (
	inDays   = 60
	inMonths = 730
	month    = 30
	year     = 365
)

// days says since when something is so: "da oggi", "da 12 giorni".
func (h *Home) days(v *workbench.Visit, t time.Time) string {
	n := daysFrom(t, h.now())
	switch {
	case n <= 0:
		return v.Say("deskhome.today")
	case n <= inDays:
		return v.Count("deskhome.days", n)
	case n <= inMonths:
		return v.Count("deskhome.months", n/month)
	}
	return v.Count("deskhome.years", n/year)
}

// overdue says for how long something is overdue: "scaduta da 12 giorni".
func (h *Home) overdue(v *workbench.Visit, t time.Time) string {
	if daysFrom(t, h.now()) <= 0 {
		return v.Say("deskhome.dueToday")
	}
	return v.Say("deskhome.overdue", "When", h.days(v, t))
}

// until says when something is due: "entro 3 giorni".
func (h *Home) until(v *workbench.Visit, day time.Time) string {
	if n := daysFrom(h.now(), day); n > 0 {
		return v.Count("deskhome.until", n)
	}
	return v.Say("deskhome.dueToday")
}

// cut keeps what the page shows of a pile.
func (p *pile) cut() { p.Items = p.Items[:min(len(p.Items), shown)] }
