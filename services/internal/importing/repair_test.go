package importing

import (
	"fmt"
	"testing"
)

func TestNumbersAndDatesAsItaliansWriteThem(t *testing.T) {
	for text, want := range map[string]int64{"1.234,50": 123450, "1.234": 123400, "12.5": 1250, "€ 3,5": 350, "1,234.50": 123450, "0": 0} {
		if got, err := parseDecimal(text); err != nil || got != want {
			t.Errorf("%q is %d, %v, want %d", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"31/12/2025": "2025 12 31", "1.2.26": "2026 2 1", "dicembre 2025": "2025 12 0", "3 marzo 2024": "2024 3 3", "2025-06-01": "2025 6 1", "2016": "2016 0 0", "31/02/2025": "", "ieri": "", "13/2025": "",
	} {
		date, err := parseDate(text)
		got := ""
		if err == nil {
			got = spell(date.GetYear(), date.GetMonth(), date.GetDay())
		}
		if got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}

func FuzzRepairs(f *testing.F) {
	f.Add("0923 111111 - 320/1111111")
	f.Add("lun-ven 9-13; mar e gio 15:30-17:30")
	f.Fuzz(func(t *testing.T, text string) {
		_, _ = parseDate(text)
		_, _ = parseDecimal(text)
		numbers, _ := parsePhones(text)
		for _, number := range numbers {
			if !digits.MatchString(number) {
				t.Fatalf("%q became the number %q", text, number)
			}
		}
		if schedule, understood := parseHours(text); understood != (len(schedule.GetWeekly()) > 0) {
			t.Fatalf("%q: %v, %t", text, schedule, understood)
		}
		_ = calmed(text)
	})
}

func spell(year, month, day int32) string { return fmt.Sprint(year, " ", month, " ", day) }
