package shelf

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/gateway/internal/workbench"
	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/registryv1"
)

// What can be changed in many records at once. Groups and keywords are added to those that a record has.
const (
	changeStatus       = "stato"
	changeVisibility   = "visibilita"
	changeGroups       = "gruppi"
	changeKeywords     = "parole"
	changeOrganization = "ente"
	changeDue          = "scadenza"
)

// Fields of a value, which are the ids of their elements too.
const (
	valueState        = "v-stato"
	valueReason       = "v-motivo"
	valueSince        = "v-dal"
	valueUntil        = "v-al"
	valueVisibility   = "v-vede"
	valueGroups       = "v-gruppi"
	valueKeywords     = "v-parole"
	valueOrganization = "v-ente"
	valueDue          = "v-scadenza"
)

// A value is what many records shall have, as it was typed.
type value struct {
	Field, Note, State, Reason, Since, Until, Visibility, Keywords, Organization, Due string
	Groups                                                                            []string
}

func valueOf(q url.Values) value {
	return value{
		Field: q.Get(fieldField), Note: strings.TrimSpace(q.Get(fieldNote)), State: q.Get(valueState), Reason: strings.TrimSpace(q.Get(valueReason)),
		Since: q.Get(valueSince), Until: q.Get(valueUntil), Visibility: q.Get(valueVisibility), Keywords: q.Get(valueKeywords),
		Organization: q.Get(valueOrganization), Due: q.Get(valueDue), Groups: q[valueGroups],
	}
}

// Has tells whether a group is chosen.
func (x value) Has(group string) bool { return slices.Contains(x.Groups, group) }

// hidden carries the value through a form.
func (x value) hidden() []hidden {
	all := []hidden{
		{fieldField, x.Field},
		{fieldNote, x.Note},
		{valueState, x.State},
		{valueReason, x.Reason},
		{valueSince, x.Since},
		{valueUntil, x.Until},
		{valueVisibility, x.Visibility},
		{valueKeywords, x.Keywords},
		{valueOrganization, x.Organization},
		{valueDue, x.Due},
	}
	for _, group := range x.Groups {
		all = append(all, hidden{valueGroups, group})
	}
	return slices.DeleteFunc(all, func(h hidden) bool { return h.Value == "" })
}

// elements are the fields of the form by the paths of the request.
func (x value) elements() map[string]string {
	return map[string]string{"note": fieldNote, "values": map[string]string{
		changeStatus: valueState, changeVisibility: valueVisibility, changeGroups: valueGroups, changeKeywords: valueKeywords,
		changeOrganization: valueOrganization, changeDue: valueDue,
	}[x.Field]}
}

// changeable are what the person can change in many records of a kind.
func changeable(v *workbench.Visit, kind *catalog.Kind) []string {
	if !writes(v, kind) {
		return nil
	}
	has := func(field protoreflect.Name) bool { return kind.Descriptor().Fields().ByName(field) != nil }
	var all []string
	if (filter{Kind: kind}).StatusList() != "" {
		all = append(all, changeStatus)
	}
	all = append(all, changeVisibility, changeDue)
	if has("target_groups") {
		all = append(all, changeGroups)
	}
	if has("keywords") && kind.Descriptor().Fields().ByName("keywords").Kind() == protoreflect.StringKind {
		all = append(all, changeKeywords)
	}
	if organizationField(kind) != "" {
		all = append(all, changeOrganization)
	}
	return all
}

// organizationField of a kind is the body that answers for a record; empty: it has none.
func organizationField(kind *catalog.Kind) protoreflect.Name {
	for _, name := range []protoreflect.Name{"responsible_organization", "organization"} {
		if kind.Descriptor().Fields().ByName(name) != nil {
			return name
		}
	}
	return ""
}

// offers are what a value can be chosen from.
type offers struct {
	StatusList   string
	States       []string
	Groups       []string
	Visibilities []string
	Bodies       []chosen
}

// mostBodies bounds how many pages of 1,000 bodies are offered.
const mostBodies = 1

func (s *Shelf) offers(v *workbench.Visit, kind *catalog.Kind, field string) offers {
	f := filter{Kind: kind}
	all := offers{StatusList: f.StatusList(), States: f.statuses(), Visibilities: visibilities}
	groups := registryv1.TargetGroup(0).Descriptor().Values()
	for i := range groups.Len() {
		if groups.Get(i).Number() != 0 {
			all.Groups = append(all.Groups, strings.ToLower(string(groups.Get(i).Name())))
		}
	}
	if field == changeOrganization {
		ctx, cancel := context.WithTimeout(v.Upstream(), callWithin)
		defer cancel()
		// Without the list the form says that there is no choice; what was typed stays.
		_ = s.reader.Walk(ctx, "organizations", v.Comune, mostBodies, func(m proto.Message) {
			all.Bodies = append(all.Bodies, chosen{catalog.RecordOf(m).Name(), titleOf(m)})
		})
		slices.SortFunc(all.Bodies, func(a, b chosen) int { return strings.Compare(strings.ToLower(a.Title), strings.ToLower(b.Title)) })
	}
	return all
}

// visibilities from the widest to the narrowest.
var visibilities = []string{"public", "network", "local"}

// A change is what the server is asked for.
type change struct {
	record proto.Message
	paths  []string
	// adds to lists.
	adds bool
}

// change makes a record with the value; what is wrong is said in the visit.
func (x value) change(v *workbench.Visit, kind *catalog.Kind) (change, bool) {
	m := kind.New()
	c := change{record: m}
	put := func(field protoreflect.Name, value protoreflect.Value) {
		set(m, field, value)
		c.paths = append(c.paths, string(field))
	}
	switch x.Field {
	case changeStatus:
		x.status(v, kind, put)
	case changeVisibility:
		code := registryv1.Visibility_value[strings.ToUpper(x.Visibility)]
		if code == 0 {
			v.Add(valueVisibility, v.Say("shelf.problem.choose", "Field", v.Say("shelf.newVisibility")))
		}
		put("visibility", protoreflect.ValueOfEnum(protoreflect.EnumNumber(code)))
	case changeDue:
		day, ok := parsedDay(x.Due)
		if !ok {
			v.Add(valueDue, v.Say("shelf.problem.day", "Field", v.Say("shelf.newDue")))
		}
		set(m, "provenance", protoreflect.ValueOfMessage((&registryv1.Provenance{VerifyByTime: timestamppb.New(day)}).ProtoReflect()))
		c.paths = []string{"provenance.verify_by_time"}
	case changeGroups:
		c.adds = true
		list := m.ProtoReflect().NewField(kind.Descriptor().Fields().ByName("target_groups")).List()
		for _, group := range x.Groups {
			if code := registryv1.TargetGroup_value[strings.ToUpper(group)]; code != 0 {
				list.Append(protoreflect.ValueOfEnum(protoreflect.EnumNumber(code)))
			}
		}
		if list.Len() == 0 {
			v.Add(valueGroups, v.Say("shelf.problem.choose", "Field", v.Say("shelf.newGroups")))
		}
		put("target_groups", protoreflect.ValueOfList(list))
	case changeKeywords:
		c.adds = true
		list := m.ProtoReflect().NewField(kind.Descriptor().Fields().ByName("keywords")).List()
		for line := range strings.SplitSeq(x.Keywords, "\n") {
			if word := strings.TrimSpace(line); word != "" {
				list.Append(protoreflect.ValueOfString(word))
			}
		}
		if list.Len() == 0 {
			v.Add(valueKeywords, v.Say("shelf.problem.missing", "Field", v.Say("shelf.newKeywords")))
		}
		put("keywords", protoreflect.ValueOfList(list))
	case changeOrganization:
		if name, err := catalog.ParseName(x.Organization); err != nil || name.Kind.Collection != "organizations" {
			v.Add(valueOrganization, v.Say("shelf.problem.choose", "Field", v.Say("shelf.newBody")))
		}
		put(organizationField(kind), protoreflect.ValueOfString(x.Organization))
	}
	return c, len(v.Found) == 0
}

// status puts the state of a record, with the reason where its kind has one.
func (x value) status(v *workbench.Visit, kind *catalog.Kind, put func(protoreflect.Name, protoreflect.Value)) {
	var reason *registryv1.LocalizedText
	if x.Reason != "" {
		reason = &registryv1.LocalizedText{It: x.Reason}
	}
	code := strings.ToUpper(x.State)
	known := false
	switch kind.Collection {
	case "plans":
		state := registryv1.Plan_State_value[code]
		known = state != 0
		put("state", protoreflect.ValueOfEnum(protoreflect.EnumNumber(state)))
	case "actions":
		state := registryv1.Action_State_value[code]
		known = state != 0
		put("state", protoreflect.ValueOfEnum(protoreflect.EnumNumber(state)))
		put("state_reason", protoreflect.ValueOfMessage(reason.ProtoReflect()))
	default:
		status := &registryv1.Status{State: registryv1.Status_State(registryv1.Status_State_value[code]), Reason: reason}
		known = status.GetState() != 0
		if status.GetState() != registryv1.Status_ACTIVE && known && x.Reason == "" {
			v.Add(valueReason, v.Say("shelf.problem.missing", "Field", v.Say("shelf.reason")))
		}
		for _, day := range []struct {
			field, label, typed string
			to                  **registryv1.PartialDate
		}{{valueSince, v.Say("shelf.from"), x.Since, &status.Since}, {valueUntil, v.Say("shelf.to"), x.Until, &status.Until}} {
			if day.typed == "" {
				continue
			}
			t, ok := parsedDay(day.typed)
			if !ok {
				v.Add(day.field, v.Say("shelf.problem.day", "Field", day.label))
				continue
			}
			*day.to = &registryv1.PartialDate{Year: int32(t.Year()), Month: int32(t.Month()), Day: int32(t.Day())}
		}
		put("status", protoreflect.ValueOfMessage(status.ProtoReflect()))
	}
	if !known {
		v.Add(valueState, v.Say("shelf.problem.choose", "Field", v.Say("shelf.newStatus")))
	}
}

// parsedDay reads a day as browsers send it, or as people write it.
func parsedDay(typed string) (time.Time, bool) {
	for _, layout := range []string{time.DateOnly, "2/1/2006", "2.1.2006", "2-1-2006"} {
		if day, err := time.ParseInLocation(layout, strings.TrimSpace(typed), site.Rome); err == nil {
			return day, true
		}
	}
	return time.Time{}, false
}

// inWords says what a record has in a field that can be changed.
func inWords(v *workbench.Visit, field string, m proto.Message) string {
	r := m.ProtoReflect()
	fields := r.Descriptor().Fields()
	switch field {
	case changeStatus:
		switch m := m.(type) {
		case *registryv1.Plan:
			return coded(v, "plan_states", m.GetState().String())
		case *registryv1.Action:
			return joined(coded(v, "action_states", m.GetState().String()), m.GetStateReason().GetIt())
		case interface{ GetStatus() *registryv1.Status }:
			s := m.GetStatus()
			return joined(coded(v, "statuses", s.GetState().String()), s.GetReason().GetIt(), from(v, "shelf.since", s.GetSince()), from(v, "shelf.until", s.GetUntil()))
		}
	case changeVisibility:
		return coded(v, "visibilities", catalog.RecordOf(m).Visibility().String())
	case changeDue:
		if due := catalog.RecordOf(m).Provenance().GetVerifyByTime(); due != nil {
			return due.AsTime().In(site.Rome).Format("02/01/2006")
		}
	case changeGroups:
		fd := fields.ByName("target_groups")
		list := r.Get(fd).List()
		var words []string
		for i := range list.Len() {
			words = append(words, coded(v, "target_groups", string(fd.Enum().Values().ByNumber(list.Get(i).Enum()).Name())))
		}
		return strings.Join(words, ", ")
	case changeKeywords:
		list := r.Get(fields.ByName("keywords")).List()
		var words []string
		for i := range list.Len() {
			words = append(words, list.Get(i).String())
		}
		return strings.Join(words, ", ")
	case changeOrganization:
		return r.Get(fields.ByName(organizationField(catalog.Of(m)))).String()
	}
	return ""
}

// coded says a code of a closed list; empty: it is not set.
func coded(v *workbench.Visit, list, code string) string {
	id := list + "." + strings.ToLower(code)
	if !v.Knows(id) {
		return ""
	}
	return v.Say(id)
}

// from says a day of a state.
func from(v *workbench.Visit, id string, d *registryv1.PartialDate) string {
	if d.GetYear() == 0 {
		return ""
	}
	return v.Say(id, "Date", time.Date(int(d.GetYear()), time.Month(max(d.GetMonth(), 1)), int(max(d.GetDay(), 1)), 0, 0, 0, 0, site.Rome).Format("02/01/2006"))
}

func joined(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(part string) bool { return part == "" }), " · ")
}
