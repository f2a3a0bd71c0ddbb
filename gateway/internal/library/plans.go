package library

import (
	"cmp"
	"slices"
	"strconv"

	"google.golang.org/protobuf/proto"

	"cidsistem.example/gateway/internal/record"
	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/proto/gen/registryv1"
)

// actionsOnPage is how many actions of a plan one page shows.
const actionsOnPage = 100

func (l *Library) findPlans(r *site.Request) (*site.Page, error) {
	return l.find(r, l.plans, "plans", "/v1/comuni/-/plans?pageSize=1000")
}

type plan struct {
	*registryv1.Plan
	Mark                    site.Mark
	Source                  record.Source
	Organization, Documents []record.Link
	// Stages that actions are in, from planned to done; empty ones are left out.
	Stages []stage
	// Money of all actions, by year and source.
	Money   money
	Actions []action
	// Total is how many actions there are on all pages.
	Total          int
	Before, After  int
	IndicatorTable []indicator
}

// A stage is what actions in it have in common: financed is not active.
type stage struct {
	// ID of the message that names it.
	ID    string
	Count int
	// Cents that are planned for them.
	Cents int64
}

// stages of actions, in their order.
var stages = []struct {
	id     string
	states []registryv1.Action_State
}{
	{"active", []registryv1.Action_State{registryv1.Action_ACTIVE_ACTION}},
	{"financed", []registryv1.Action_State{registryv1.Action_FINANCED, registryv1.Action_TENDERING, registryv1.Action_AWARDED}},
	{"planned", []registryv1.Action_State{registryv1.Action_PLANNED}},
	{"suspended", []registryv1.Action_State{registryv1.Action_SUSPENDED_ACTION}},
	{"completed", []registryv1.Action_State{registryv1.Action_COMPLETED}},
	{"defunded", []registryv1.Action_State{registryv1.Action_DEFUNDED}},
}

// An action with what it refers to.
type action struct {
	*registryv1.Action
	ID                                          string
	Stage                                       string
	Organization, Partners, Services, Documents []record.Link
	Money                                       money
	IndicatorTable                              []indicator
}

// Money by year and source, to the cent. What is 0 is not known: the contract cannot tell it from nothing.
type money struct {
	Lines []*registryv1.BudgetLine
	Total *registryv1.BudgetLine
}

// Known tells whether there is any.
func (m money) Known() bool { return len(m.Lines) > 0 }

// PaidPercent is how much of what is planned is paid; -1 when that is not known.
func (m money) PaidPercent() int {
	if m.Total.GetPlannedCents() == 0 || m.Total.GetPaidCents() == 0 {
		return -1
	}
	return int(m.Total.GetPaidCents() * 100 / m.Total.GetPlannedCents())
}

// moneyOf adds lines of the same year and source up.
func moneyOf(lines ...*registryv1.BudgetLine) money {
	m := money{Total: &registryv1.BudgetLine{}}
	for _, line := range lines {
		at := slices.IndexFunc(m.Lines, func(l *registryv1.BudgetLine) bool {
			return l.GetYear() == line.GetYear() && l.GetSource() == line.GetSource()
		})
		if at < 0 {
			m.Lines = append(m.Lines, proto.CloneOf(line))
		} else {
			add(m.Lines[at], line)
		}
		add(m.Total, line)
	}
	slices.SortFunc(m.Lines, func(a, b *registryv1.BudgetLine) int {
		return cmp.Or(cmp.Compare(a.GetYear(), b.GetYear()), cmp.Compare(a.GetSource(), b.GetSource()))
	})
	return m
}

func add(to, line *registryv1.BudgetLine) {
	to.PlannedCents += line.GetPlannedCents()
	to.CommittedCents += line.GetCommittedCents()
	to.PaidCents += line.GetPaidCents()
	to.ReportedCents += line.GetReportedCents()
}

// An indicator, with its figures as the language writes them; empty ones are not known.
type indicator struct {
	*registryv1.Indicator
	From, To, Last string
	// When the last value was taken.
	When *registryv1.Period
}

func indicatorsOf(r *site.Request, all []*registryv1.Indicator) []indicator {
	shown := make([]indicator, len(all))
	for i, one := range all {
		shown[i] = indicator{Indicator: one}
		if one.Baseline != nil {
			shown[i].From = record.Number(r.Language, one.GetBaseline())
		}
		if one.Target != nil {
			shown[i].To = record.Number(r.Language, one.GetTarget())
		}
		if values := one.GetValues(); len(values) > 0 {
			last := values[len(values)-1]
			shown[i].Last, shown[i].When = record.Number(r.Language, last.GetValue()), last.GetPeriod()
		}
	}
	return shown
}

func (l *Library) plan(r *site.Request) (*site.Page, error) {
	p, err := l.planService.GetPlan(r.Upstream(), &registryv1.GetPlanRequest{Name: name(r, "plans")})
	if err != nil {
		return nil, err
	}
	if other := p.GetReplacedBy(); other != "" {
		return &site.Page{Redirect: record.Path(other), Moved: true}, nil
	}
	ctx := r.Upstream()
	var actions []*registryv1.Action
	err = l.reader.Walk(ctx, "actions", p.GetName(), walked, func(one proto.Message) {
		if a, ok := one.(*registryv1.Action); ok {
			actions = append(actions, a)
		}
	})
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(actions, func(a, b *registryv1.Action) int { return cmp.Compare(a.GetNumber(), b.GetNumber()) })
	from, before, after, err := onPage(r, len(actions), actionsOnPage)
	if err != nil {
		return nil, err
	}
	data := plan{
		Plan: p, Source: record.SourceOf(p.GetName(), p.GetProvenance(), p.GetUpdateTime(), l.now()), Total: len(actions), Before: before, After: after,
		Organization: l.reader.Links(ctx, p.GetOrganization()), Documents: l.reader.Links(ctx, p.GetDocuments()...),
		Stages: stagesOf(actions), Money: moneyOf(budgets(actions)...), IndicatorTable: indicatorsOf(r, p.GetIndicators()),
	}
	data.Actions = l.actions(r, actions[from:min(from+actionsOnPage, len(actions))])
	data.Mark = site.Translated(r.Language, append(p.GetObjectives(), p.GetTitle(), p.GetSummary())...)
	return &site.Page{
		Template: "plan", Title: site.In(r.Language, p.GetTitle()).Text, Description: site.In(r.Language, p.GetSummary()).Text,
		Crumbs: crumbs(r, plansHome, "nav.plans"), Data: data,
	}, nil
}

func budgets(actions []*registryv1.Action) []*registryv1.BudgetLine {
	var lines []*registryv1.BudgetLine
	for _, a := range actions {
		lines = append(lines, a.GetBudget()...)
	}
	return lines
}

func stagesOf(actions []*registryv1.Action) []stage {
	var all []stage
	for _, s := range stages {
		one := stage{ID: s.id}
		for _, a := range actions {
			if slices.Contains(s.states, a.GetState()) {
				one.Count++
				one.Cents += moneyOf(a.GetBudget()...).Total.GetPlannedCents()
			}
		}
		if one.Count > 0 {
			all = append(all, one)
		}
	}
	return all
}

func stageOf(state registryv1.Action_State) string {
	for _, s := range stages {
		if slices.Contains(s.states, state) {
			return s.id
		}
	}
	return ""
}

// actions with the titles of all they refer to, which are read together.
func (l *Library) actions(r *site.Request, all []*registryv1.Action) []action {
	var names []string
	for _, a := range all {
		names = slices.Concat(names, []string{a.GetOrganization()}, a.GetPartners(), a.GetServices(), a.GetDocuments())
	}
	links := map[string]record.Link{}
	for _, link := range l.reader.Links(r.Upstream(), names...) {
		links[link.Name] = link
	}
	known := func(names ...string) []record.Link {
		var some []record.Link
		for _, name := range names {
			if link, ok := links[name]; ok {
				some = append(some, link)
			}
		}
		return some
	}
	shown := make([]action, len(all))
	for i, a := range all {
		shown[i] = action{
			Action: a, ID: lastSegment(a.GetName()), Stage: stageOf(a.GetState()), Organization: known(a.GetOrganization()), Partners: known(a.GetPartners()...),
			Services: known(a.GetServices()...), Documents: known(a.GetDocuments()...), Money: moneyOf(a.GetBudget()...), IndicatorTable: indicatorsOf(r, a.GetIndicators()),
		}
	}
	return shown
}

// onPage reads which page of a list is asked for: the first record on it, and the pages before and after it, 0 for none.
func onPage(r *site.Request, total, size int) (from, before, after int, err error) {
	page := 1
	if asked := r.URL.Query().Get("pagina"); asked != "" {
		if page, err = strconv.Atoi(asked); err != nil || page < 1 || page > 1 && (page-1)*size >= total {
			return 0, 0, 0, site.ErrNoPage
		}
	}
	if page*size < total {
		after = page + 1
	}
	return (page - 1) * size, page - 1, after, nil
}
