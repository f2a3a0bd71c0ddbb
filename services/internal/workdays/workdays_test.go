package workdays_test

import (
	"strings"
	"testing"
	"time"

	"cidsistem.example/services/internal/workdays"
)

func calendar(t *testing.T, patron string) *workdays.Calendar {
	t.Helper()
	c, err := workdays.New(patron)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func date(t *testing.T, text string) workdays.Date {
	t.Helper()
	day, err := time.Parse(time.DateOnly, text)
	if err != nil {
		t.Fatal(err)
	}
	return workdays.Date{Year: day.Year(), Month: day.Month(), Day: day.Day()}
}

func TestIsWorkday(t *testing.T) {
	pantelleria, none := calendar(t, "10-16"), calendar(t, "")
	for _, test := range []struct {
		on   string
		c    *workdays.Calendar
		want bool
	}{
		{"2026-11-23", none, true}, // a Monday
		{"2026-11-21", none, false},
		{"2026-11-22", none, false},
		{"2026-01-01", none, false},
		{"2026-01-06", none, false},
		{"2026-04-06", none, false}, // Easter Mondays
		{"2027-03-29", none, false},
		{"2028-04-17", none, false},
		{"2038-04-26", none, false}, // the latest that there can be
		{"2026-04-07", none, true},
		{"2028-04-25", none, false},
		{"2026-05-01", none, false},
		{"2026-06-02", none, false},
		{"2028-08-15", none, false},
		{"2027-11-01", none, false},
		{"2026-12-08", none, false},
		{"2026-12-25", none, false},
		{"2028-12-26", none, false},
		{"2026-12-24", none, true},
		{"2024-10-04", none, true}, // a holiday since 2026 only
		{"2027-10-04", none, false},
		{"2026-10-16", none, true},
		{"2026-10-16", pantelleria, false},
		{"2029-10-16", pantelleria, false},
		{"2026-10-15", pantelleria, true},
	} {
		if got := test.c.IsWorkday(date(t, test.on)); got != test.want {
			t.Errorf("%s: %t", test.on, got)
		}
	}
}

func TestAfterAndBetween(t *testing.T) {
	c := calendar(t, "01-19") // Marsala's
	for _, test := range []struct {
		from string
		days int
		want string
	}{
		{"2026-11-23", 5, "2026-11-30"},
		{"2026-11-21", 5, "2026-11-27"}, // received on a Saturday
		{"2026-04-02", 1, "2026-04-03"}, // Good Friday is a working day
		{"2026-04-03", 1, "2026-04-07"}, // over Easter
		{"2026-12-22", 5, "2026-12-30"}, // Christmas on a Friday
		{"2026-12-31", 3, "2027-01-07"},
		{"2027-01-18", 1, "2027-01-20"}, // the patron
		{"2026-03-27", 1, "2026-03-30"}, // the clocks change in between, both ways
		{"2026-10-23", 1, "2026-10-26"},
		{"2026-11-23", 0, "2026-11-23"},
	} {
		from, want := date(t, test.from), date(t, test.want)
		if got := c.After(from, test.days); got != want {
			t.Errorf("%d days after %s: %v", test.days, test.from, got)
		}
		if got := c.Between(from, want); got != test.days {
			t.Errorf("from %s to %s: %d days", test.from, test.want, got)
		}
		if got := c.Between(want, from); got != 0 {
			t.Errorf("from %s back to %s: %d days", test.want, test.from, got)
		}
	}
}

// What day it is, is told by the clocks of Italy, in summer and in winter.
func TestOn(t *testing.T) {
	c := calendar(t, "")
	for at, want := range map[string]string{
		"2026-07-31T21:59:59Z": "2026-07-31", "2026-07-31T22:00:00Z": "2026-08-01",
		"2026-12-31T22:59:59Z": "2026-12-31", "2026-12-31T23:00:00Z": "2027-01-01",
		"2026-03-29T00:59:59Z": "2026-03-29", "2026-03-29T22:00:00Z": "2026-03-30",
	} {
		moment, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.On(moment); got != date(t, want) {
			t.Errorf("%s is on %v", at, got)
		}
	}
}

func TestPatronsDay(t *testing.T) {
	for _, wrong := range []string{"16-10", "10-32", "ottobre", "2026-10-16", "02-30"} {
		if _, err := workdays.New(wrong); err == nil || !strings.Contains(err.Error(), wrong) {
			t.Errorf("%s: %v", wrong, err)
		}
	}
}
