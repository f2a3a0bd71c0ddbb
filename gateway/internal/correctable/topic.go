package correctable

import (
	"strings"

	"google.golang.org/protobuf/proto"

	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/gateway/internal/wording"
	"cidsistem.example/proto/gen/registryv1"
)

// topic is what a record says about a topic, in words.
func topic(w Words, l wording.Language, key string, record proto.Message) string {
	switch key {
	case topicState:
		if of, ok := record.(interface{ GetStatus() *registryv1.Status }); ok {
			return state(w, l, of.GetStatus())
		}
	case topicHours:
		return hours(w, l, scheduleOf(record))
	case topicCosts:
		if of, ok := record.(interface {
			GetCosts() []*registryv1.CostOption
		}); ok {
			return costs(w, l, of.GetCosts())
		}
	}
	return ""
}

func state(w Words, l wording.Language, s *registryv1.Status) string {
	id := "statuses." + strings.ToLower(s.GetState().String())
	if s == nil || !w.Knows(id) {
		return ""
	}
	said := w.In(l, id)
	if reason := s.GetReason(); reason.GetIt() != "" {
		said += "\n" + site.In(l, reason).Text
	}
	return said
}

func scheduleOf(record proto.Message) *registryv1.Schedule {
	switch r := record.(type) {
	case interface{ GetHours() *registryv1.Schedule }:
		return r.GetHours()
	case interface{ GetOpening() *registryv1.Schedule }:
		return r.GetOpening()
	case interface{ GetReception() *registryv1.Schedule }:
		return r.GetReception()
	}
	return nil
}

// hours writes a line for each rule of a schedule.
func hours(w Words, l wording.Language, s *registryv1.Schedule) string {
	var lines []string
	ranges := func(all []*registryv1.TimeRange) string {
		var said []string
		for _, r := range all {
			said = append(said, r.GetOpens()+"–"+r.GetCloses())
		}
		return strings.Join(said, ", ")
	}
	for _, weekly := range s.GetWeekly() {
		var days []string
		for _, day := range weekly.GetDays() {
			days = append(days, weekday(w, l, day))
		}
		lines = append(lines, strings.Join(days, ", ")+": "+ranges(weekly.GetHours())+after(weekly.GetNote()))
	}
	for _, monthly := range s.GetMonthly() {
		which := w.In(l, "correct.monthly", "Number", monthly.GetOrdinal(), "Weekday", weekday(w, l, monthly.GetDay()))
		if monthly.GetOrdinal() < 0 {
			which = w.In(l, "correct.monthlyLast", "Weekday", weekday(w, l, monthly.GetDay()))
		}
		lines = append(lines, which+": "+ranges(monthly.GetHours())+after(monthly.GetNote()))
	}
	if s.GetAppointmentOnly() {
		lines = append(lines, w.In(l, "record.appointment"))
	}
	if note := s.GetNote(); note.GetIt() != "" {
		lines = append(lines, site.In(l, note).Text)
	}
	return strings.Join(lines, "\n")
}

func weekday(w Words, l wording.Language, day registryv1.Weekday) string {
	id := "weekday." + string('0'+rune(day))
	if !w.Knows(id) {
		return ""
	}
	return w.In(l, id)
}

func after(note string) string {
	if note == "" {
		return ""
	}
	return " (" + note + ")"
}

func costs(w Words, l wording.Language, all []*registryv1.CostOption) string {
	var lines []string
	for _, cost := range all {
		var said []string
		if id := "costs." + strings.ToLower(cost.GetKind().String()); w.Knows(id) {
			said = append(said, w.In(l, id))
		}
		if title := cost.GetTitle(); title.GetIt() != "" {
			said = append(said, site.In(l, title).Text)
		}
		if cost.GetAmountCents() > 0 {
			amount := site.Euro(l, cost.GetAmountCents())
			if cost.GetUnit() != "" {
				amount += " / " + cost.GetUnit()
			}
			said = append(said, amount)
		}
		lines = append(lines, strings.Join(said, " – "))
	}
	return strings.Join(lines, "\n")
}
