package library

import (
	"cmp"
	"context"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"cidsistem.example/gateway/internal/edge"
	"cidsistem.example/gateway/internal/hours"
	"cidsistem.example/gateway/internal/record"
	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/proto/gen/registryv1"
)

// eventsOnPage is how many events a page of the agenda has.
const eventsOnPage = 20

// lastSegment of a name is the record's id.
func lastSegment(name string) string { return path.Base(name) }

// allEvents lists what is public of all comuni, by time.
func (l *Library) allEvents(ctx context.Context) ([]*registryv1.Event, error) {
	var all []*registryv1.Event
	err := l.reader.Walk(edge.Anonymous(ctx), "events", "comuni/-", walked, func(one proto.Message) {
		if event, ok := one.(*registryv1.Event); ok {
			all = append(all, event)
		}
	})
	slices.SortFunc(all, byTime)
	return all, err
}

func byTime(a, b *registryv1.Event) int {
	x, y := a.GetStartDate(), b.GetStartDate()
	return cmp.Or(cmp.Compare(x.GetYear(), y.GetYear()), cmp.Compare(x.GetMonth(), y.GetMonth()), cmp.Compare(x.GetDay(), y.GetDay()),
		cmp.Compare(a.GetStartClock(), b.GetStartClock()), cmp.Compare(a.GetName(), b.GetName()))
}

// lastDay of an event.
func lastDay(e *registryv1.Event) *registryv1.PartialDate {
	return cmp.Or(e.GetEndDate(), e.GetStartDate())
}

// coming tells whether an event may not be over yet.
func coming(e *registryv1.Event, now time.Time) bool {
	return hours.Holds(&registryv1.Period{End: lastDay(e)}, now.In(site.Rome))
}

type agenda struct {
	// Past is whether past events are shown, instead of coming ones.
	Past   bool
	Comune string
	Total  int
	Months []month
	// Before and After are pages; 0: none.
	Before, After int
}

// A month of the agenda.
type month struct {
	Date   *registryv1.PartialDate
	Events []listed
}

type listed struct {
	*registryv1.Event
	Path, Comune string
}

func (l *Library) agenda(r *site.Request) (*site.Page, error) {
	comune := r.URL.Query().Get("comune")
	known := r.Comuni()
	if _, ok := known.Of(comune); comune != "" && !ok {
		return nil, site.ErrNoPage
	}
	all, err := l.events.Get(r.Context())
	if err != nil {
		return nil, err
	}
	data := agenda{Past: r.URL.Query().Get("passati") != "", Comune: comune}
	var wanted []*registryv1.Event
	for _, event := range all {
		if coming(event, l.now()) != data.Past && (comune == "" || strings.HasPrefix(event.GetName(), "comuni/"+comune+"/")) {
			wanted = append(wanted, event)
		}
	}
	if data.Past {
		slices.Reverse(wanted)
	}
	data.Total = len(wanted)
	var from int
	if from, data.Before, data.After, err = onPage(r, len(wanted), eventsOnPage); err != nil {
		return nil, err
	}
	for _, event := range wanted[from:min(from+eventsOnPage, len(wanted))] {
		start := event.GetStartDate()
		if last := len(data.Months) - 1; last < 0 || data.Months[last].Date.GetYear() != start.GetYear() || data.Months[last].Date.GetMonth() != start.GetMonth() {
			data.Months = append(data.Months, month{Date: &registryv1.PartialDate{Year: start.GetYear(), Month: start.GetMonth()}})
		}
		last := &data.Months[len(data.Months)-1]
		last.Events = append(last.Events, listed{event, record.Path(event.GetName()), known.Name(strings.Split(event.GetName(), "/")[1])})
	}
	query := ""
	if comune != "" {
		query = "comune=" + comune
	}
	return &site.Page{
		Template: "agenda", Title: r.Say("nav.events"), Description: r.Say("library.eventsLead"), Data: data, Query: query, Crumbs: []site.Link{},
		Feeds: []site.Feed{
			{Path: eventsHome + "agenda.ics", Type: "text/calendar", Title: r.Say("library.calendar")}, atom(r, eventsHome, "library.newEvents"),
		},
	}, nil
}

type event struct {
	*registryv1.Event
	Mark   site.Mark
	Source record.Source
	// Over is whether it has passed.
	Over bool
	// Calendar is whether it has a day, so that a calendar can take it.
	Calendar                                 bool
	Place, Organization, Services, Documents []record.Link
	ICS                                      string
}

// eventOrCalendar shows an event, or sends it to a calendar when the address ends in .ics.
func (l *Library) eventOrCalendar() http.Handler {
	page, calendar := l.pages.Handle(l.event), l.pages.Serve(l.eventCalendar)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if id, found := strings.CutSuffix(r.PathValue("id"), ".ics"); found {
			r.SetPathValue("id", id)
			calendar.ServeHTTP(w, r)
			return
		}
		page.ServeHTTP(w, r)
	})
}

func (l *Library) event(r *site.Request) (*site.Page, error) {
	e, err := l.eventService.GetEvent(r.Upstream(), &registryv1.GetEventRequest{Name: name(r, "events")})
	if err != nil {
		return nil, err
	}
	if other := e.GetReplacedBy(); other != "" {
		return &site.Page{Redirect: record.Path(other), Moved: true}, nil
	}
	ctx := r.Upstream()
	data := event{
		Event: e, Source: record.SourceOf(e.GetName(), e.GetProvenance(), e.GetUpdateTime(), l.now()), Over: !coming(e, l.now()),
		Calendar: e.GetStartDate().GetDay() != 0, ICS: record.Path(e.GetName()) + ".ics",
		Place: l.reader.Links(ctx, e.GetLocation()), Organization: l.reader.Links(ctx, e.GetOrganization()),
		Services: l.reader.Links(ctx, e.GetServices()...), Documents: l.reader.Links(ctx, e.GetDocuments()...),
	}
	data.Mark = site.Translated(r.Language, e.GetTitle(), e.GetSummary(), e.GetHowToTakePart(), e.GetAccessibilityNote(), e.GetStatus().GetReason())
	linked := map[string]any{
		"@context": "https://schema.org", "@type": "Event", "name": site.In(r.Language, e.GetTitle()).Text, "description": site.In(r.Language, e.GetSummary()).Text,
		"url": r.Address(record.Path(e.GetName())), "isAccessibleForFree": e.GetFreeOfCharge(),
	}
	if start, ok := moment(e.GetStartDate(), e.GetStartClock()); ok {
		linked["startDate"] = start.Format(time.RFC3339)
		if e.GetStartClock() == "" {
			linked["startDate"] = start.Format(time.DateOnly)
		}
	}
	return &site.Page{
		Template: "event", Title: site.In(r.Language, e.GetTitle()).Text, Description: site.In(r.Language, e.GetSummary()).Text,
		Crumbs: crumbs(r, eventsHome, "nav.events"), Data: data, Linked: linked,
	}, nil
}

// moment is a date with a clock in Rome; false for a date without a day.
func moment(d *registryv1.PartialDate, clock string) (time.Time, bool) {
	if d.GetDay() == 0 {
		return time.Time{}, false
	}
	hour, err := time.Parse("15:04", cmp.Or(clock, "00:00"))
	if err != nil {
		return time.Time{}, false
	}
	return time.Date(int(d.GetYear()), time.Month(d.GetMonth()), int(d.GetDay()), hour.Hour(), hour.Minute(), 0, 0, site.Rome), true
}
