package asking

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"cidsistem.example/gateway/internal/edge"
	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/gateway/internal/wording"
)

// Fields of the form that nobody types into.
const (
	// hiddenRequest is the id of the request: sent twice, it is one request.
	hiddenRequest = "richiesta"
	// hiddenShown says when the form was first shown.
	hiddenShown = "mostrato"
	// hiddenStep is the question that was answered, buttonGo where to go from there.
	hiddenStep, buttonGo = "passo", "vai"
	// fieldSearch narrows the list of services and places.
	fieldSearch = "cerca"
	// fieldTrap is seen by programs alone.
	fieldTrap = "sito"
)

// Where a button leads, besides to a question.
const (
	goBack, goSearch, goSend, goAnew = "indietro", "cerca", "invia", "nuova"
)

// A visit is one request for a page of the form.
type visit struct {
	checker
	asking  *Asking
	answers answers
	comuni  site.Comuni
	// request and shown are hidden in the form.
	request, shown string
	// words narrow the list of services and places, of which more are not shown.
	words string
	more  int
	alert *alert
	// filesAgain tells that files were sent, and must be chosen again.
	filesAgain bool
}

// An alert is what is wrong with none of the fields.
type alert struct {
	Title, Text string
	// Phone of the comune, to be called instead.
	Phone string
	// Anew offers to send as another request.
	Anew   bool
	status int
}

func (v *visit) notice(id string) {
	v.alert = &alert{Title: v.Say(id + "Title"), Text: v.Say(id), status: http.StatusOK}
}

// stepPage is what a question shows.
type stepPage struct {
	visitPage
	Step, Question, Lead string
	Fields               []Field
	Back                 bool
	// Searching shows the field to find a service or a place with.
	Searching bool
	Words     string
	More      int
}

// visitPage is what all pages of the form show.
type visitPage struct {
	Hidden   []Hidden
	Problems []Problem
	Alert    *alert
	Number   int
	Total    int
	Trap     string
}

// Hidden is a hidden field.
type Hidden struct{ Name, Value string }

// ask shows the form, and does what its buttons say.
func (a *Asking) ask(r *site.Request) (*site.Page, error) {
	v := &visit{checker: checker{Request: r}, asking: a, comuni: r.Comuni()}
	if len(v.comuni.All) == 0 {
		return nil, errNoComuni
	}
	sent := edge.SentBy(r.Context())
	if sent == nil {
		v.answers = answersFrom(r, v.comuni)
		v.begin()
		return v.show(v.next()), nil
	}
	v.answers, v.words = answersOf(sent.Values), clean(sent.Values.Get(fieldSearch))
	v.request, v.shown = sent.Values.Get(hiddenRequest), sent.Values.Get(hiddenShown)
	v.begin()
	at, target := sent.Values.Get(hiddenStep), sent.Values.Get(buttonGo)
	switch {
	case target == goSend || target == goAnew:
		return v.send(sent, target == goAnew)
	case target == goBack:
		return v.show(v.before(at)), nil
	case target == goSearch:
		return v.show(stepSubject), nil
	case target == stepCheck || indexOf(target) >= 0:
		v.filesAgain = hasFiles(sent)
		return v.show(target), nil
	case indexOf(at) < 0:
		return v.show(v.next()), nil
	}
	if at == stepSubject && v.answers[fieldSubject] == unlisted && v.answers[fieldKind] != askDisruption {
		delete(v.answers, fieldSubject)
	} else {
		v.check(at, v.answers, v.comuni)
	}
	if len(v.found) > 0 {
		return v.show(at), nil
	}
	return v.show(v.next()), nil
}

// begin sets what a form has from its first page on.
func (v *visit) begin() {
	if len(v.comuni.All) == 1 {
		v.answers[fieldComune] = v.comuni.All[0].Slug
	}
	if id, err := uuid.Parse(v.request); err != nil || id.Version() != 4 {
		v.request = uuid.NewString()
		v.shown = ""
	}
	if v.shown == "" {
		v.shown = v.asking.clock.Mark(v.request, time.Now())
	}
}

// path are the questions that are asked, in order.
func (v *visit) path() []string {
	var path []string
	for _, s := range steps {
		if asked(s.id, v.answers, v.comuni) {
			path = append(path, s.id)
		}
	}
	return append(path, stepCheck)
}

// next is the first question without a good answer.
func (v *visit) next() string {
	for _, id := range v.path() {
		c := checker{Request: v.Request}
		if c.check(id, v.answers, v.comuni); len(c.found) > 0 {
			return id
		}
	}
	return stepCheck
}

// before is the question before another.
func (v *visit) before(id string) string {
	path := v.path()
	return path[max(slices.Index(path, id)-1, 0)]
}

func indexOf(id string) int {
	return slices.IndexFunc(steps, func(s step) bool { return s.id == id })
}

// show makes the page of a question.
func (v *visit) show(id string) *site.Page {
	if id == stepCheck {
		return v.showCheck()
	}
	s := steps[indexOf(id)]
	page := stepPage{
		Step: id, Question: v.question(id), Fields: v.fields(s), Words: v.words, Searching: id == stepSubject,
		Back: slices.Index(v.path(), id) != 0,
	}
	page.More = v.more
	if lead := v.variant("ask.lead." + id); lead != "" {
		page.Lead = v.Say(lead)
	}
	page.visitPage = v.page(id, shownFields(s, v.answers))
	return v.finish("step", page.Question, page)
}

// question asks, in words that suit what is asked for.
func (v *visit) question(id string) string { return v.Say(v.variant("ask.question." + id)) }

// variant is the message for what is asked for, else the one for everything, empty when there is none.
func (v *visit) variant(id string) string {
	for _, variant := range []string{id + "_" + v.answers[fieldKind], id} {
		if v.Knows(variant) {
			return variant
		}
	}
	return ""
}

// page has what was typed elsewhere in hidden fields.
func (v *visit) page(id string, visible []string) visitPage {
	path := v.path()
	p := visitPage{Problems: v.found, Alert: v.alert, Number: slices.Index(path, id) + 1, Total: len(path), Trap: fieldTrap}
	p.Hidden = []Hidden{{hiddenRequest, v.request}, {hiddenShown, v.shown}, {hiddenStep, id}}
	for _, name := range slices.Sorted(maps.Keys(v.answers)) {
		if !slices.Contains(visible, name) {
			p.Hidden = append(p.Hidden, Hidden{name, v.answers[name]})
		}
	}
	if comune, _ := v.comuni.Of(v.answers[fieldComune]); p.Alert == nil && comune.Away() && id != stepComune {
		p.Alert = v.away(comune, "ask.away.before")
	}
	return p
}

func (v *visit) away(comune site.Comune, id string) *alert {
	return &alert{
		Title: v.Say("ask.away.title", "Comune", comune.Title), Text: v.Say(id, "Comune", comune.Title), Phone: comune.Phone(),
	}
}

func (v *visit) finish(template, title string, data any) *site.Page {
	page := &site.Page{
		Template: template, Title: title, Data: data, Hidden: v.Method == http.MethodPost, Scripts: []string{"draft.js"},
		Description: v.Say("ask.about"), Crumbs: []site.Link{{Path: "/chiedi/", Text: v.Say("ask.title")}},
	}
	if v.Method != http.MethodPost {
		page.Query = v.URL.RawQuery
	}
	if v.alert != nil {
		page.Status = v.alert.status
	}
	if len(v.found) > 0 {
		page.Title, page.Status = v.Say("ask.errorTitle", "Title", title), max(page.Status, http.StatusBadRequest)
	}
	return page
}

// checkPage shows everything once more.
type checkPage struct {
	visitPage
	Rows    []Row
	Comune  site.Comune
	Retry   bool
	Problem string
	// FilesAgain tells that files were sent, and must be chosen again.
	FilesAgain bool
}

// A Row is an answer, and the question to change it with.
type Row struct {
	Label, Value, Step string
	Language           wording.Language
	// Date instead of the value, where it is one.
	Date time.Time
	// Typed: in the person's own words, in whatever language.
	Typed bool
	// Number: written from left to right.
	Number bool
}

func (v *visit) showCheck() *site.Page {
	comune, _ := v.comuni.Of(v.answers[fieldComune])
	page := checkPage{visitPage: v.page(stepCheck, nil), Rows: v.rows(), Comune: comune, Problem: v.of(fieldFiles), FilesAgain: v.filesAgain}
	page.Retry = page.Alert != nil
	return v.finish("check", v.Say("ask.question."+stepCheck), page)
}

func (v *visit) rows() []Row {
	var rows []Row
	kept := needed(v.answers, v.comuni)
	if record := v.answers.record(); record != "" {
		rows = append(rows, Row{Label: v.Say("ask.field.scheda"), Value: record, Language: wording.Italian, Number: true})
	}
	for _, s := range steps {
		for _, name := range s.fields {
			if value := kept[name]; value != "" {
				rows = append(rows, v.row(s.id, name, value))
			}
		}
	}
	return rows
}

func (v *visit) row(id, name, value string) Row {
	row := Row{Label: v.Say("ask.field." + name), Value: value, Step: id, Language: v.Language}
	switch name {
	case fieldComune:
		row.Value = v.comuni.Name(value)
		if len(v.comuni.All) == 1 {
			row.Step = ""
		}
	case fieldKind:
		row.Value = v.Code("ask.kind", value)
	case fieldSubject:
		if subject, ok := v.answers.subject(); ok {
			title := site.In(v.Language, v.titleOf(subject))
			row.Value, row.Language = title.Text, title.Language
		} else {
			row.Value = v.Say("ask.unlisted")
		}
	case fieldProblem:
		row.Value = v.Code("ask.wrong", value)
	case fieldCategory:
		row.Value = v.Say("need." + value)
	case fieldFor:
		row.Value = v.Code("ask.person", value)
	case fieldRole:
		row.Value = v.Code("ask.role", value)
	case fieldChannel:
		row.Value = v.Code("ask.channel", value)
	case fieldDate, fieldExpiry:
		if day, ok := dateOf(value); ok {
			row.Date = day
		}
	case fieldPhone, fieldEmail:
		row.Number = true
	default:
		row.Typed = true
	}
	return row
}

// text is what the desk reads. The contract binds requests to services and places that there are; everything else is said here.
func (a answers) text(r *site.Request) string {
	text := strings.TrimSpace(a[fieldText])
	if record := a.record(); record != "" && text != "" {
		text = r.In(wording.Italian, "ask.aboutRecord", "Name", record) + "\n\n" + text
	}
	if a[fieldKind] == askDisruption && a[fieldSubject] == unlisted && text != "" {
		when := strings.Join(strings.Fields(a[fieldDate]+" "+a[fieldWhen]), " ")
		text = r.In(wording.Italian, "ask.unlistedText", "Problem", r.In(wording.Italian, "ask.wrong."+a[fieldProblem]), "When", when) + "\n\n" + text
	}
	return text
}

func hasFiles(sent *edge.Sent) bool {
	return sent.TooLarge || slices.ContainsFunc(sent.Files, func(f edge.SentFile) bool { return f.Name != "" })
}
