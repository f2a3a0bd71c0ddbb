// Package hours works out when something is open from the schedule of its record: on a day, in a week, at a moment. All hours are
// those of Europe/Rome.
package hours

import (
	"cmp"
	"slices"
	"time"

	"cidsistem.example/proto/gen/registryv1"
)

// A Day is what a schedule says about one day.
type Day struct {
	// Date is midnight of the day.
	Date time.Time
	// Ranges are the hours, in order; none: closed.
	Ranges []*registryv1.TimeRange
	// Notes say what happens in them.
	Notes []string
	// Exception is the reason when the day is no usual one; it may have no text.
	Exception *registryv1.ScheduleException
}

// On tells what a schedule says about the day of a moment. Exceptions win over rules.
func On(s *registryv1.Schedule, moment time.Time) Day {
	day := Day{Date: time.Date(moment.Year(), moment.Month(), moment.Day(), 0, 0, 0, 0, moment.Location())}
	for _, exception := range s.GetExceptions() {
		if Holds(exception.GetPeriod(), day.Date) {
			day.Exception = exception
			day.Ranges = sorted(exception.GetHours())
			return day
		}
	}
	weekday := registryv1.Weekday((int(day.Date.Weekday())+6)%7 + 1)
	for _, weekly := range s.GetWeekly() {
		if slices.Contains(weekly.GetDays(), weekday) && Holds(weekly.GetValidity(), day.Date) {
			day.add(weekly.GetHours(), weekly.GetNote())
		}
	}
	for _, monthly := range s.GetMonthly() {
		if monthly.GetDay() == weekday && isOrdinal(day.Date, int(monthly.GetOrdinal())) && Holds(monthly.GetValidity(), day.Date) {
			day.add(monthly.GetHours(), monthly.GetNote())
		}
	}
	day.Ranges = sorted(day.Ranges)
	return day
}

func (d *Day) add(ranges []*registryv1.TimeRange, note string) {
	d.Ranges = append(d.Ranges, ranges...)
	if note != "" {
		d.Notes = append(d.Notes, note)
	}
}

func sorted(ranges []*registryv1.TimeRange) []*registryv1.TimeRange {
	ranges = slices.Clone(ranges)
	slices.SortFunc(ranges, func(a, b *registryv1.TimeRange) int { return cmp.Compare(a.GetOpens(), b.GetOpens()) })
	return ranges
}

// isOrdinal tells whether a day is the n-th of its weekday in its month; -1 is the last.
func isOrdinal(day time.Time, n int) bool {
	if n < 0 {
		return day.AddDate(0, 0, 7).Month() != day.Month()
	}
	return (day.Day()-1)/7+1 == n
}

// Week is seven days from the day of a moment on.
func Week(s *registryv1.Schedule, moment time.Time) []Day {
	days := make([]Day, 7)
	for i := range days {
		days[i] = On(s, moment.AddDate(0, 0, i))
	}
	return days
}

// Known tells whether a schedule says any hours.
func Known(s *registryv1.Schedule) bool {
	return len(s.GetWeekly())+len(s.GetMonthly())+len(s.GetExceptions()) > 0
}

// Open tells whether a schedule says that it is open at a moment, and until when.
func Open(s *registryv1.Schedule, moment time.Time) (until string, open bool) {
	now := moment.Format("15:04")
	for _, r := range On(s, moment).Ranges {
		if r.GetOpens() <= now && now < r.GetCloses() {
			return r.GetCloses(), true
		}
	}
	return "", false
}

// Next is the next day with hours that have not passed, within five weeks of a moment: rules of a month come back in that time.
func Next(s *registryv1.Schedule, moment time.Time) (Day, bool) {
	now := moment.Format("15:04")
	for i := range 36 {
		day := On(s, moment.AddDate(0, 0, i))
		if i == 0 {
			day.Ranges = slices.DeleteFunc(day.Ranges, func(r *registryv1.TimeRange) bool { return r.GetCloses() <= now })
		}
		if len(day.Ranges) > 0 {
			return day, true
		}
	}
	return Day{}, false
}

// Holds tells whether a day is in a period. Months and days that a date leaves out are all meant.
func Holds(p *registryv1.Period, day time.Time) bool {
	day = time.Date(day.Year(), day.Month(), day.Day(), 0, 0, 0, 0, time.UTC) // a calendar day, wherever midnight is
	if start := p.GetStart(); start != nil && first(start).After(day) {
		return false
	}
	if end := p.GetEnd(); end != nil && !day.Before(after(end)) {
		return false
	}
	return true
}

// first is the first day that a date may mean.
func first(d *registryv1.PartialDate) time.Time {
	return time.Date(int(d.GetYear()), time.Month(max(d.GetMonth(), 1)), int(max(d.GetDay(), 1)), 0, 0, 0, 0, time.UTC)
}

// after is the day after the last one that a date may mean.
func after(d *registryv1.PartialDate) time.Time {
	switch {
	case d.GetMonth() == 0:
		return first(d).AddDate(1, 0, 0)
	case d.GetDay() == 0:
		return first(d).AddDate(0, 1, 0)
	default:
		return first(d).AddDate(0, 0, 1)
	}
}
