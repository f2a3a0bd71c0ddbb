package guide

import (
	"fmt"
	"strings"

	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/gateway/internal/wording"
	"cidsistem.example/proto/gen/registryv1"
)

// A criterion of who may use a service, as the page shows it and as its script decides it. The script runs in the browser: what a
// person answers is sent nowhere.
type criterion struct {
	ID        int              `json:"id"`
	Statement string           `json:"statement"`
	Language  wording.Language `json:"language"`
	Effect    string           `json:"effect"`
	Group     int32            `json:"group,omitempty"`
	Kind      string           `json:"kind,omitempty"`
	Rule      *rule            `json:"rule,omitempty"`
	Age       *ageRange        `json:"age,omitempty"`
	Residence *residence       `json:"residence,omitempty"`
	Papers    []string         `json:"papers,omitempty"`
	Percent   int32            `json:"percent,omitempty"`
	Isee      *iseeThreshold   `json:"isee,omitempty"`
	Schools   []string         `json:"schools,omitempty"`
	Enrolment string           `json:"enrolment,omitempty"`
}

type rule struct {
	Label   string `json:"label"`
	URI     string `json:"uri,omitempty"`
	Version string `json:"version,omitempty"`
}

type ageRange struct {
	Minimum *int32 `json:"minimum,omitempty"`
	Maximum *int32 `json:"maximum,omitempty"`
}

type residence struct {
	Areas  []area `json:"areas"`
	Months int32  `json:"months,omitempty"`
}

type area struct {
	Code  string `json:"code"`
	Label string `json:"label"`
}

type iseeThreshold struct {
	Cents        int64 `json:"cents"`
	MinorsExempt bool  `json:"minorsExempt,omitempty"`
}

// questions are what a page needs to ask: the criteria, and words in its language.
type questions struct {
	Criteria []criterion       `json:"criteria"`
	Words    map[string]string `json:"words"`
}

// The words of the questions; each is the message fit.NAME.
var questionWords = []string{
	"start", "age", "residence", "elsewhere", "months", "papers", "noPapers", "percent", "isee", "school", "noSchool", "enrolment", "yes", "no", "unknown", "fits",
	"fitsText", "maybe", "maybeText", "unlikely", "unlikelyText", "holds", "fails", "open", "assessed", "priority", "rule", "private", "number", "askAnyway",
}

// criteria makes the criteria of a service, and the questions when at least one of them can be asked.
func criteria(r *site.Request, service *registryv1.Service) ([][]criterion, *questions) {
	all := make([]criterion, 0, len(service.GetEligibility()))
	asked := false
	papers := map[string]string{}
	for i, one := range service.GetEligibility() {
		statement := site.In(r.Language, one.GetStatement())
		c := criterion{
			ID: i, Statement: statement.Text, Language: statement.Language, Effect: effect(one.GetEffect()), Group: one.GetAlternativeGroup(),
		}
		if one.GetRule() != nil {
			c.Rule = &rule{one.GetRule().GetLabel(), one.GetRule().GetUri(), one.GetRule().GetVersion()}
		}
		c.condition(r, one, papers)
		asked = asked || c.Kind != ""
		all = append(all, c)
	}
	if !asked {
		return grouped(all), nil
	}
	words := map[string]string{}
	for _, name := range questionWords {
		words[name] = r.Say("fit." + name)
	}
	for kind, label := range papers {
		words["paper."+kind] = label
	}
	for number, school := range registryv1.SchoolOrder_Kind_name {
		if number != 0 {
			words["school."+strings.ToLower(school)] = r.Code("school", school)
		}
	}
	return grouped(all), &questions{all, words}
}

// grouped puts alternatives together, where the first of them stands.
func grouped(all []criterion) [][]criterion {
	var groups [][]criterion
	at := map[int32]int{}
	for _, c := range all {
		if i, known := at[c.Group]; known && c.Group != 0 {
			groups[i] = append(groups[i], c)
			continue
		}
		at[c.Group] = len(groups)
		groups = append(groups, []criterion{c})
	}
	return groups
}

// condition takes over what a machine can decide.
func (c *criterion) condition(r *site.Request, from *registryv1.EligibilityCriterion, papers map[string]string) {
	switch condition := from.GetCondition().(type) {
	case *registryv1.EligibilityCriterion_Age:
		c.Kind, c.Age = "age", &ageRange{condition.Age.MinimumYears, condition.Age.MaximumYears}
	case *registryv1.EligibilityCriterion_Residence:
		c.Kind, c.Residence = "residence", &residence{Months: condition.Residence.GetMinimumMonths()}
		for _, one := range condition.Residence.GetAreas() {
			c.Residence.Areas = append(c.Residence.Areas, area{fmt.Sprintf("%d:%s:%s", one.GetKind(), one.GetCode(), one.GetLabel()), one.GetLabel()})
		}
	case *registryv1.EligibilityCriterion_Certification:
		c.Kind, c.Percent = "papers", condition.Certification.GetMinimumPercent()
		for _, kind := range condition.Certification.GetAnyOf() {
			name := strings.ToLower(kind.String())
			c.Papers = append(c.Papers, name)
			papers[name] = r.Code("certification", name)
		}
	case *registryv1.EligibilityCriterion_Isee:
		c.Kind, c.Isee = "isee", &iseeThreshold{condition.Isee.GetMaximumCents(), condition.Isee.GetMinorsExempt()}
	case *registryv1.EligibilityCriterion_School:
		c.Kind = "school"
		for _, kind := range condition.School.GetAnyOf() {
			c.Schools = append(c.Schools, strings.ToLower(kind.String()))
		}
	case *registryv1.EligibilityCriterion_Enrolment:
		c.Kind, c.Enrolment = "enrolment", condition.Enrolment.GetLabel()
	}
}

func effect(e registryv1.EligibilityCriterion_Effect) string {
	if e == registryv1.EligibilityCriterion_EFFECT_UNSPECIFIED {
		e = registryv1.EligibilityCriterion_REQUIRED_CONDITION
	}
	return strings.ToLower(e.String())
}
