package site

import (
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/gateway/internal/wording"
	"cidsistem.example/proto/gen/registryv1"
)

// Rome is where all dates and hours are meant.
var Rome = mustLoad("Europe/Rome")

func mustLoad(name string) *time.Location {
	location, err := time.LoadLocation(name)
	if err != nil {
		panic(err) // the programs carry the time zones
	}
	return location
}

// date writes a day in words: "3 marzo 2026". It takes times, timestamps and partial dates; a date that is not set is empty.
func (s *Site) date(l wording.Language, value any) string {
	switch v := value.(type) {
	case *timestamppb.Timestamp:
		if v == nil {
			return ""
		}
		return s.date(l, v.AsTime())
	case time.Time:
		v = v.In(Rome)
		return s.written(l, v.Year(), int(v.Month()), v.Day())
	case *registryv1.PartialDate:
		return s.written(l, int(v.GetYear()), int(v.GetMonth()), int(v.GetDay()))
	}
	return ""
}

func (s *Site) written(l wording.Language, year, month, day int) string {
	switch {
	case year == 0:
		return ""
	case month == 0:
		return fmt.Sprint(year)
	}
	name := s.say(l, fmt.Sprintf("month.%d", month))
	if day == 0 {
		return s.say(l, "date.month", "Month", name, "Year", year)
	}
	return s.say(l, "date.day", "Day", day, "Month", name, "Year", year)
}

// day writes a day with its weekday: "martedì 3 marzo".
func (s *Site) day(l wording.Language, value any) string {
	t, ok := value.(time.Time)
	if !ok {
		return ""
	}
	t = t.In(Rome)
	return s.say(l, "date.weekday", "Weekday", s.say(l, fmt.Sprintf("weekday.%d", isoWeekday(t))), "Day", t.Day(), "Month", s.say(l, fmt.Sprintf("month.%d", t.Month())))
}

// isoWeekday counts from Monday, 1, to Sunday, 7.
func isoWeekday(t time.Time) int { return (int(t.Weekday())+6)%7 + 1 }

// Clock writes minutes since midnight as 09:30.
func Clock(minutes int32) string { return fmt.Sprintf("%02d:%02d", minutes/60, minutes%60) }

// Euro writes an amount: 1.234,50 € in Italian; whole euros without cents.
func Euro(l wording.Language, cents int64) string {
	thousands, decimal := ".", ","
	if l == wording.English {
		thousands, decimal = ",", "."
	}
	if l == wording.French {
		thousands = "\u202f"
	}
	digits := fmt.Sprint(cents / 100)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + thousands + digits[i:]
	}
	if cents%100 != 0 {
		digits += decimal + fmt.Sprintf("%02d", cents%100)
	}
	return digits + "\u00a0€"
}

// code says a value of a closed list in words: messages are called LIST.VALUE, with the value in lower case.
func (s *Site) code(l wording.Language, list, value string) string {
	id := list + "." + strings.ToLower(value)
	if !s.words.Has(id) {
		return value
	}
	return s.say(l, id)
}

// languageName says the name of a language by its tag.
func (s *Site) languageName(l wording.Language, tag string) string {
	return s.code(l, "language", tag)
}
