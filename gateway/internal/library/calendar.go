package library

import (
	"bytes"
	"fmt"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	ical "github.com/emersion/go-ical"

	"cidsistem.example/gateway/internal/record"
	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/proto/gen/registryv1"
)

const (
	calendarType = "text/calendar; charset=utf-8"
	// remembered is for how many days past events stay in the calendar.
	remembered = 365
	// longestLine is how many octets a line of a calendar has at most, without its end (RFC 5545, 3.1).
	longestLine = 75
	// refresh is how often calendars should ask again.
	refresh = "PT6H"
)

// calendar has all events that are coming or were in the last year, of one comune where that is asked for.
func (l *Library) calendar(r *site.Request) (*site.Document, error) {
	comune := r.URL.Query().Get("comune")
	if _, ok := r.Comuni().Of(comune); comune != "" && !ok {
		return nil, site.ErrNoPage
	}
	all, err := l.events.Get(r.Context())
	if err != nil {
		return nil, err
	}
	since := l.now().AddDate(0, 0, -remembered)
	var wanted []*registryv1.Event
	for _, one := range all {
		if coming(one, since) && (comune == "" || strings.HasPrefix(one.GetName(), "comuni/"+comune+"/")) {
			wanted = append(wanted, one)
		}
	}
	body, err := writeCalendar(r, wanted...)
	return &site.Document{MediaType: calendarType, Body: body}, err
}

// eventCalendar has one event.
func (l *Library) eventCalendar(r *site.Request) (*site.Document, error) {
	e, err := l.eventService.GetEvent(r.Upstream(), &registryv1.GetEventRequest{Name: name(r, "events")})
	if err != nil {
		return nil, err
	}
	if e.GetStartDate().GetDay() == 0 {
		return nil, site.ErrNoPage
	}
	body, err := writeCalendar(r, e)
	return &site.Document{MediaType: calendarType, FileName: r.PathValue("id") + ".ics", Body: body}, err
}

// writeCalendar writes events as RFC 5545 says; those without a day are left out.
func writeCalendar(r *site.Request, events ...*registryv1.Event) ([]byte, error) {
	calendar := ical.NewCalendar()
	calendar.Props.SetText(ical.PropVersion, "2.0")
	calendar.Props.SetText(ical.PropProductID, "-//CID SISTEM//Agenda//IT")
	calendar.Props.SetText(ical.PropName, r.Say("library.calendar"))
	interval := ical.NewProp(ical.PropRefreshInterval)
	interval.Params.Set(ical.ParamValue, string(ical.ValueDuration)) // RFC 7986, 5.7 wants it said
	interval.Value = refresh
	calendar.Props.Set(interval)
	calendar.Children = append(calendar.Children, rome())
	for _, event := range events {
		if component := calendarEvent(r, event); component != nil {
			calendar.Children = append(calendar.Children, component)
		}
	}
	var out bytes.Buffer
	if err := ical.NewEncoder(&out).Encode(calendar); err != nil {
		return nil, fmt.Errorf("write the calendar: %w", err)
	}
	return fold(out.Bytes()), nil
}

func calendarEvent(r *site.Request, e *registryv1.Event) *ical.Component {
	start, ok := moment(e.GetStartDate(), e.GetStartClock())
	if !ok {
		return nil
	}
	segments := strings.Split(e.GetName(), "/")
	event := ical.NewComponent(ical.CompEvent)
	event.Props.SetText(ical.PropUID, segments[3]+"."+segments[1]+"@events.cidsistem.example")
	event.Props.SetDateTime(ical.PropDateTimeStamp, e.GetUpdateTime().AsTime())
	event.Props.SetDateTime(ical.PropLastModified, e.GetUpdateTime().AsTime())
	event.Props.SetText(ical.PropSummary, clean(site.In(r.Language, e.GetTitle()).Text))
	if text := site.In(r.Language, e.GetSummary()).Text; text != "" {
		event.Props.SetText(ical.PropDescription, clean(text))
	}
	if e.GetPlaceNote() != "" {
		event.Props.SetText(ical.PropLocation, clean(e.GetPlaceNote()))
	}
	if page, err := url.Parse(r.Address(record.Path(e.GetName()))); err == nil {
		event.Props.SetURI(ical.PropURL, page)
	}
	if status := statusOf(e); status != "" {
		event.Props.SetText(ical.PropStatus, string(status))
	}
	end, ends := moment(lastDay(e), e.GetEndClock())
	if e.GetStartClock() == "" {
		event.Props.SetDate(ical.PropDateTimeStart, start)
		if ends {
			event.Props.SetDate(ical.PropDateTimeEnd, end.AddDate(0, 0, 1)) // the end is the first day that is not meant
		}
		return event
	}
	event.Props.SetDateTime(ical.PropDateTimeStart, start)
	if ends && e.GetEndClock() != "" && end.After(start) {
		event.Props.SetDateTime(ical.PropDateTimeEnd, end)
	}
	return event
}

// statusOf an event: what was called off is cancelled, what is put off is not certain.
func statusOf(e *registryv1.Event) ical.EventStatus {
	switch e.GetStatus().GetState() {
	case registryv1.Status_SUSPENDED:
		return ical.EventCancelled
	case registryv1.Status_TO_BE_VERIFIED:
		return ical.EventTentative
	case registryv1.Status_ACTIVE, registryv1.Status_STARTING:
		return ical.EventConfirmed
	default:
		return ""
	}
}

// rome describes the time zone: since 1996 clocks change on the last Sundays of March and October.
func rome() *ical.Component {
	zone := ical.NewComponent(ical.CompTimezone)
	zone.Props.SetText(ical.PropTimezoneID, site.Rome.String())
	for _, half := range []struct{ name, start, from, to, rule string }{
		{ical.CompTimezoneDaylight, "19960331T020000", "+0100", "+0200", "FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU"},
		{ical.CompTimezoneStandard, "19961027T030000", "+0200", "+0100", "FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU"},
	} {
		rule := ical.NewComponent(half.name)
		for name, value := range map[string]string{
			ical.PropDateTimeStart: half.start, ical.PropTimezoneOffsetFrom: half.from, ical.PropTimezoneOffsetTo: half.to, ical.PropRecurrenceRule: half.rule,
		} {
			prop := ical.NewProp(name)
			prop.Value = value
			rule.Props.Set(prop)
		}
		zone.Children = append(zone.Children, rule)
	}
	return zone
}

// clean leaves out what a text of a calendar cannot have.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, ""))
}

// fold breaks long lines between characters; the library writes them whole.
func fold(calendar []byte) []byte {
	var out bytes.Buffer
	for line := range bytes.Lines(calendar) {
		line = bytes.TrimSuffix(line, []byte("\r\n"))
		for room := longestLine; len(line) > room; room = longestLine - 1 {
			cut := room
			for cut > 0 && !utf8.RuneStart(line[cut]) {
				cut--
			}
			out.Write(line[:cut])
			out.WriteString("\r\n ")
			line = line[cut:]
		}
		out.Write(line)
		out.WriteString("\r\n")
	}
	return out.Bytes()
}
