// Package workdays counts the days on which a comune of Italy works: without
// Saturdays, Sundays, the holidays of the State and the day of the patron saint.
package workdays

import (
	"fmt"
	"time"
	_ "time/tzdata" // Europe/Rome, on machines that know no zones

	"github.com/rickar/cal/v2"
	"github.com/rickar/cal/v2/it"
)

// sanFrancesco is a holiday again since 2026, by law 151 of 2025.
var sanFrancesco = &cal.Holiday{
	Name: "San Francesco d'Assisi", Type: cal.ObservancePublic, StartYear: 2026,
	Month: time.October, Day: 4, Func: cal.CalcDayOfMonth,
}

// A Date is a day of the calendar, without a time.
type Date struct {
	Year  int
	Month time.Month
	Day   int
}

// Compare is negative when d is before other, 0 when it is the same day.
func (d Date) Compare(other Date) int { return d.midnight().Compare(other.midnight()) }

// Add is the day so many days of the calendar later.
func (d Date) Add(days int) Date { return dateOf(d.midnight().AddDate(0, 0, days)) }

// DaysUntil is how many days of the calendar lie between a day and a later one.
func (d Date) DaysUntil(later Date) int { return int(later.midnight().Sub(d.midnight()).Hours() / 24) }

// midnight is in UTC, where every day has 24 hours.
func (d Date) midnight() time.Time { return time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, time.UTC) }

func dateOf(t time.Time) Date {
	year, month, day := t.Date()
	return Date{year, month, day}
}

// A Calendar of a comune. It is safe for concurrent use.
type Calendar struct {
	days *cal.BusinessCalendar
	zone *time.Location
}

// New makes the calendar of a comune whose patron has a day, "MM-DD"; empty: it
// has none.
func New(patron string) (*Calendar, error) {
	zone, err := time.LoadLocation("Europe/Rome")
	if err != nil {
		return nil, err
	}
	days := cal.NewBusinessCalendar() // without its cache, which is not for concurrent use
	days.AddHoliday(it.Holidays...)
	days.AddHoliday(sanFrancesco)
	if patron != "" {
		day, err := time.Parse("01-02", patron)
		if err != nil {
			return nil, fmt.Errorf("the patron's day %q is not a month and a day such as 10-16", patron)
		}
		days.AddHoliday(&cal.Holiday{
			Name: "Patrono", Type: cal.ObservancePublic, Month: day.Month(), Day: day.Day(), Func: cal.CalcDayOfMonth,
		})
	}
	return &Calendar{days: days, zone: zone}, nil
}

// On is the day that it is in Italy at a time.
func (c *Calendar) On(t time.Time) Date { return dateOf(t.In(c.zone)) }

// IsWorkday tells whether the comune works on a day.
func (c *Calendar) IsWorkday(d Date) bool { return c.days.IsWorkday(d.midnight()) }

// OnOrAfter is a day, or the next working day when the comune does not work on it.
func (c *Calendar) OnOrAfter(d Date) Date {
	for !c.IsWorkday(d) {
		d = d.Add(1)
	}
	return d
}

// After is the nth working day after a day, which does not count itself; the day
// itself when n is 0.
func (c *Calendar) After(d Date, n int) Date { return dateOf(c.days.WorkdaysFrom(d.midnight(), n)) }

// Between counts the working days after one day up to another, that one
// included; 0 when it is not later.
func (c *Calendar) Between(after, until Date) int {
	if until.Compare(after) <= 0 {
		return 0
	}
	return c.days.WorkdaysInRange(after.midnight().AddDate(0, 0, 1), until.midnight())
}
