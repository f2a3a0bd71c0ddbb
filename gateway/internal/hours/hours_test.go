package hours_test

import (
	"testing"
	"time"

	"cidsistem.example/gateway/internal/hours"
	"cidsistem.example/proto/gen/registryv1"
)

func date(y, m, d int32) *registryv1.PartialDate {
	return &registryv1.PartialDate{Year: y, Month: m, Day: d}
}

func TestOn(t *testing.T) {
	rome, err := time.LoadLocation("Europe/Rome")
	if err != nil {
		t.Fatal(err)
	}
	morning := []*registryv1.TimeRange{{Opens: "09:00", Closes: "12:00"}}
	schedule := &registryv1.Schedule{
		Weekly: []*registryv1.WeeklyHours{
			{Days: []registryv1.Weekday{registryv1.Weekday_TUESDAY, registryv1.Weekday_THURSDAY}, Hours: append([]*registryv1.TimeRange{{Opens: "16:00", Closes: "18:00"}}, morning...)},
			{Days: []registryv1.Weekday{registryv1.Weekday_FRIDAY}, Hours: morning, Validity: &registryv1.Period{Start: date(2026, 6, 0), End: date(2026, 8, 0)}},
			{Days: []registryv1.Weekday{registryv1.Weekday_SUNDAY}, Hours: morning},
		},
		Monthly: []*registryv1.MonthlyHours{
			{Ordinal: 2, Day: registryv1.Weekday_WEDNESDAY, Hours: morning},
			{Ordinal: -1, Day: registryv1.Weekday_MONDAY, Hours: morning},
		},
		Exceptions: []*registryv1.ScheduleException{{Period: &registryv1.Period{Start: date(2026, 12, 24), End: date(2026, 12, 26)}}},
	}
	tests := []struct {
		name, at string
		ranges   int
		open     bool
	}{
		{"a Tuesday morning", "2026-11-24 10:00", 2, true},
		{"at closing time", "2026-11-24 12:00", 2, false},
		{"in the afternoon", "2026-11-24 17:59", 2, true},
		{"a Monday", "2026-11-23 10:00", 0, false},
		{"the last Monday of the month", "2026-11-30 10:00", 1, true},
		{"the second Wednesday", "2026-11-11 09:00", 1, true},
		{"the third Wednesday", "2026-11-18 09:00", 0, false},
		{"the first day of a validity", "2026-06-05 09:30", 1, true},
		{"the last Friday of a validity", "2026-08-28 09:30", 1, true},
		{"a Friday after it", "2026-09-04 09:30", 0, false},
		{"the first day of a closure", "2026-12-24 10:00", 0, false},
		{"the day after a closure", "2026-12-29 10:00", 2, true},
		{"the day when clocks go back", "2026-10-25 09:00", 1, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			at, err := time.ParseInLocation("2006-01-02 15:04", test.at, rome)
			if err != nil {
				t.Fatal(err)
			}
			if got := len(hours.On(schedule, at).Ranges); got != test.ranges {
				t.Errorf("%d ranges, want %d", got, test.ranges)
			}
			if _, open := hours.Open(schedule, at); open != test.open {
				t.Errorf("open is %v", open)
			}
		})
	}
	at := time.Date(2026, 11, 24, 19, 0, 0, 0, rome)
	if next, ok := hours.Next(schedule, at); !ok || next.Date.Day() != 26 {
		t.Errorf("after a Tuesday evening the next hours are on %v", next.Date)
	}
	if week := hours.Week(schedule, at); len(week) != 7 || week[0].Date.Day() != 24 || week[0].Ranges[0].GetOpens() != "09:00" {
		t.Errorf("week %v", week)
	}
}
