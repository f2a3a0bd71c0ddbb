package record

import (
	"time"

	"golang.org/x/text/language"
	"golang.org/x/text/message"
	"golang.org/x/text/number"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/gateway/internal/hours"
	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/gateway/internal/wording"
	"cidsistem.example/proto/gen/registryv1"
)

// Source is where a record comes from and how well it is known, for the shared part "source".
type Source struct {
	*registryv1.Provenance
	// Name of the record, by which programs read it.
	Name string
	// Overdue: it should have been verified again by now.
	Overdue bool
	// Updated is when the record last changed.
	Updated *timestamppb.Timestamp
}

// SourceOf a record at a moment.
func SourceOf(name string, p *registryv1.Provenance, updated *timestamppb.Timestamp, now time.Time) Source {
	return Source{Provenance: p, Name: name, Overdue: overdue(p, now), Updated: updated}
}

// overdueAfter is the age of a source from which it is shown as old, where nobody has said when it must be verified: 18 months.
const overdueAfter = 18 * 30 * 24 * time.Hour

// overdue tells whether a record should have been verified again by now: its date says so, or its source is old.
func overdue(p *registryv1.Provenance, now time.Time) bool {
	if due := p.GetVerifyByTime(); due != nil {
		return due.AsTime().Before(now)
	}
	if verified := p.GetVerifyTime(); verified != nil {
		return now.Sub(verified.AsTime()) > overdueAfter
	}
	if as := p.GetAsOf(); as != nil {
		return now.Sub(time.Date(int(as.GetYear()), time.Month(max(as.GetMonth(), 1)), int(max(as.GetDay(), 1)), 0, 0, 0, 0, time.UTC)) > overdueAfter
	}
	return true
}

// Opening is what a schedule says at a moment, for the shared part "opening".
type Opening struct {
	*registryv1.Schedule
	// Known is whether it says any hours.
	Known bool
	// Open is whether it is open now, Until what time.
	Open  bool
	Until string
	// Next is the next day with hours, when it is closed now.
	Next *hours.Day
	// Week is today and the six days that follow.
	Week []hours.Day
}

// OpeningOf a schedule at a moment.
func OpeningOf(s *registryv1.Schedule, now time.Time) Opening {
	now = now.In(site.Rome)
	o := Opening{Schedule: s, Known: hours.Known(s)}
	if !o.Known {
		return o
	}
	o.Until, o.Open = hours.Open(s, now)
	if next, ok := hours.Next(s, now); ok && !o.Open {
		o.Next = &next
	}
	o.Week = hours.Week(s, now)
	return o
}

// printers write numbers; Arabic as Tunisia writes them, with European digits.
var printers = map[wording.Language]*message.Printer{
	wording.Italian: message.NewPrinter(language.Italian), wording.English: message.NewPrinter(language.BritishEnglish),
	wording.French: message.NewPrinter(language.French), wording.Arabic: message.NewPrinter(language.MustParse("ar-TN")),
}

// Number writes a number as the language does, with two decimals at most.
func Number(l wording.Language, value float64) string {
	return printers[l].Sprint(number.Decimal(value, number.MaxFractionDigits(2)))
}
