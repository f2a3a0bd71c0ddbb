package asking

import (
	"slices"

	"cidsistem.example/gateway/internal/record"
	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/gateway/internal/wording"
	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/deskv1"
	"cidsistem.example/proto/gen/registryv1"
)

// The questions, by the names that the form has for them, and the page to check everything on.
const (
	stepComune  = "comune"
	stepKind    = "tipo"
	stepSubject = "dove"
	stepWhen    = "quando"
	stepText    = "testo"
	stepFor     = "per"
	stepRole    = "ruolo"
	stepChannel = "risposta"
	stepContact = "contatto"
	stepCheck   = "controlla"
)

// A step is one question.
type step struct {
	id     string
	fields []string
}

var steps = []step{
	{stepComune, []string{fieldComune}},
	{stepKind, []string{fieldKind}},
	{stepSubject, []string{fieldSubject}},
	{stepWhen, []string{fieldProblem, fieldDate, fieldWhen}},
	{stepText, []string{fieldText, fieldCategory}},
	{stepFor, []string{fieldFor}},
	{stepRole, []string{fieldRole, fieldBasis, fieldExpiry}},
	{stepChannel, []string{fieldChannel}},
	{stepContact, []string{fieldPhone, fieldEmail, fieldName, fieldHours}},
}

// asked tells whether a question is asked at all, after the answers so far.
func asked(id string, a answers, comuni site.Comuni) bool {
	switch id {
	case stepComune:
		return len(comuni.All) != 1
	case stepSubject, stepWhen:
		return a[fieldKind] == askDisruption
	case stepRole:
		return a[fieldFor] == forAnother
	case stepChannel:
		return a[fieldKind] != askCallBack
	case stepContact:
		switch a.channel() {
		case deskv1.Request_PHONE, deskv1.Request_EMAIL, deskv1.Request_VIDEO_CALL_SIGN_LANGUAGE:
			return true
		}
		return false
	}
	return true
}

// shownFields are the fields that a question has, after the answers so far: no more than is needed.
func shownFields(s step, a answers) []string {
	return slices.DeleteFunc(slices.Clone(s.fields), func(name string) bool {
		switch name {
		case fieldPhone:
			return a.channel() == deskv1.Request_EMAIL
		case fieldEmail:
			return a.channel() == deskv1.Request_PHONE
		case fieldHours:
			return a.channel() == deskv1.Request_EMAIL
		case fieldCategory:
			return a[fieldKind] == askDisruption || a[fieldKind] == askCorrection
		}
		return false
	})
}

// needed are the answers that belong to the questions that are asked: what was typed for another kind of request stays out.
func needed(a answers, comuni site.Comuni) answers {
	kept := answers{fieldComune: a[fieldComune], fieldRecord: a.record()}
	if subject, ok := a.subject(); ok {
		kept[fieldSubject] = subject.String()
	}
	for _, s := range steps {
		if !asked(s.id, a, comuni) {
			continue
		}
		for _, name := range shownFields(s, a) {
			kept[name] = a[name]
		}
	}
	return kept
}

// A Field of a question.
type Field struct {
	Name, Type, Label, Hint, Value, Autocomplete, Problem string
	// Bare: the heading of the page is its label.
	Bare     bool
	Optional bool
	Choices  []Choice
}

// A Choice of a field.
type Choice struct {
	Value, Label, Hint string
	// Language of the label.
	Language wording.Language
	// Phone of a comune that does not answer.
	Phone  string
	Chosen bool
}

// fields of a question with what was typed.
func (v *visit) fields(s step) []Field {
	shown := shownFields(s, v.answers)
	fields := make([]Field, 0, len(shown))
	for _, name := range shown {
		field := Field{Name: name, Type: "text", Label: v.Say("ask.field." + name), Value: v.answers[name], Problem: v.of(name)}
		if hint := "ask.hint." + name; v.Knows(hint) {
			field.Hint = v.Say(hint)
		}
		if contact := name == fieldPhone || name == fieldEmail; contact && v.answers.channel() == deskv1.Request_VIDEO_CALL_SIGN_LANGUAGE {
			field.Hint = v.Say("ask.either")
		}
		field.Bare = len(shown) == 1
		switch name {
		case fieldComune, fieldKind, fieldSubject, fieldProblem, fieldFor, fieldRole, fieldChannel:
			field.Type, field.Choices = "radio", v.choices(name)
		case fieldCategory:
			field.Type, field.Choices, field.Optional = "select", v.choices(name), true
		case fieldText:
			field.Type, field.Bare = "textarea", false
		case fieldDate, fieldExpiry:
			field.Type, field.Optional = "date", true
		case fieldPhone:
			field.Type, field.Autocomplete = "tel", "tel"
		case fieldEmail:
			field.Type, field.Autocomplete = "email", "email"
		case fieldName:
			field.Autocomplete, field.Optional = "name", true
		case fieldWhen, fieldBasis, fieldHours:
			field.Optional = true
		}
		fields = append(fields, field)
	}
	return fields
}

func (v *visit) choices(name string) []Choice {
	var choices []Choice
	add := func(value, label, hint string) {
		choices = append(choices, Choice{Value: value, Label: label, Hint: hint, Language: v.Language, Chosen: v.answers[name] == value})
	}
	coded := func(list string, values []string) {
		for _, value := range values {
			hint := ""
			if id := list + "." + value + "Hint"; v.Knows(id) {
				hint = v.Say(id)
			}
			add(value, v.Code(list, value), hint)
		}
	}
	switch name {
	case fieldComune:
		for _, comune := range v.comuni.All {
			add(comune.Slug, comune.Title, "")
			if comune.Away() {
				last := &choices[len(choices)-1]
				last.Hint, last.Phone = v.Say("ask.away.choice"), comune.Phone()
			}
		}
	case fieldKind:
		coded("ask.kind", kinds)
	case fieldSubject:
		return v.subjects()
	case fieldProblem:
		coded("ask.wrong", slugs(problems))
	case fieldCategory:
		for _, code := range categories {
			add(code, v.Say("need."+code), "")
		}
	case fieldFor:
		coded("ask.person", []string{forMe, forAnother})
	case fieldRole:
		coded("ask.role", slugs(roles))
	case fieldChannel:
		coded("ask.channel", slugs(channels))
		if v.answers[fieldChannel] == "" {
			choices[0].Chosen = true
		}
	}
	return choices
}

// mostSubjects is how many services, and how many places, are offered at once.
const mostSubjects = 12

// subjects are the services and places of the comune that match what was typed to find them, the chosen one first.
func (v *visit) subjects() []Choice {
	var choices []Choice
	chosen := ""
	if name, ok := v.answers.subject(); ok {
		chosen = name.String()
		title := site.In(v.Language, v.titleOf(name))
		choices = append(choices, Choice{Value: chosen, Label: title.Text, Language: title.Language, Chosen: true, Hint: v.Code("kinds", name.Kind.Collection)})
	}
	for _, kind := range []string{"services", "locations"} {
		found, err := v.asking.search.Search(v.Upstream(), &registryv1.SearchRequest{
			Q: v.words, Comuni: []string{v.answers[fieldComune]}, Kinds: []string{kind}, PageSize: mostSubjects,
		})
		if err != nil {
			v.notice("ask.away.subjects")
			break
		}
		v.more += int(found.GetTotalSize()) - len(found.GetHits())
		for _, hit := range found.GetHits() {
			if hit.GetName() != chosen {
				choices = append(choices, Choice{Value: hit.GetName(), Label: hit.GetTitle(), Language: wording.Italian, Hint: v.Code("kinds", hit.GetKind())})
			}
		}
	}
	none := "ask.unlisted"
	if v.answers[fieldKind] != askDisruption {
		none = "ask.noSubject"
	}
	return append(choices, Choice{Value: unlisted, Label: v.Say(none), Language: v.Language, Chosen: v.answers[fieldSubject] == unlisted})
}

func (v *visit) titleOf(name catalog.Name) *registryv1.LocalizedText {
	return v.asking.titleOf(v.Request, name)
}

// titleOf a record, the end of its name when it cannot be read.
func (a *Asking) titleOf(r *site.Request, name catalog.Name) *registryv1.LocalizedText {
	if found, err := a.records.Get(r.Upstream(), name.String()); err == nil {
		if title := record.Text(found, "title"); title.GetIt() != "" {
			return title
		}
	}
	return &registryv1.LocalizedText{It: name.ID()}
}
