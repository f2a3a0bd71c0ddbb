package fields

import (
	"iter"
	"maps"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// part of a kind's form; the title of one is the message "campi_parti." and its id.
type part struct {
	id     string
	fields []protoreflect.Name
}

// parts of the kinds' forms: those of a service in the order of the scheda servizio of the Modello Comuni. What no part has comes
// after them.
var parts = map[protoreflect.Name][]part{
	"Service": {
		{"essentials", []protoreflect.Name{"title", "summary", "description", "status", "categories", "topics"}},
		{"people", []protoreflect.Name{"addressed_to", "target_groups", "eligibility", "areas_served", "languages"}},
		{"how", []protoreflect.Name{"how_to", "access"}},
		{"needed", []protoreflect.Name{"needed_note", "needed"}},
		{"obtained", []protoreflect.Name{"obtained_note", "obtained"}},
		{"times", []protoreflect.Name{"times_note", "deadlines", "maximum_response_days", "validity", "hours"}},
		{"costs", []protoreflect.Name{"costs"}},
		{"places", []protoreflect.Name{"places"}},
		{"contacts", []protoreflect.Name{"responsible_organization", "contacts", "provisions"}},
		{"conditions", []protoreflect.Name{"conditions", "documents", "rules"}},
	},
	"Organization": {
		{"essentials", []protoreflect.Name{"title", "summary", "kind", "status", "alternative_names"}},
		{"contacts", []protoreflect.Name{"contacts", "seat", "locations"}},
		{"people", []protoreflect.Name{"target_groups", "areas_served", "languages", "activities"}},
	},
	"Location": {
		{"essentials", []protoreflect.Name{"title", "description", "status", "category", "organization"}},
		{"places", []protoreflect.Name{"address", "directions"}},
		{"contacts", []protoreflect.Name{"contacts", "opening"}},
		{"accessibility", []protoreflect.Name{"accessibility"}},
	},
	"Operator": {
		{"essentials", []protoreflect.Name{"title", "summary", "profession", "role", "organization", "status"}},
		{"contacts", []protoreflect.Name{"contacts", "reception", "locations"}},
		{"people", []protoreflect.Name{"services", "target_groups", "areas_served", "languages"}},
	},
	"Document": {
		{"essentials", []protoreflect.Name{"title", "summary", "kind", "files", "uri"}},
		{"times", []protoreflect.Name{"issue_date", "validity"}},
		{"people", []protoreflect.Name{"organization", "creator", "publisher", "languages", "keywords"}},
	},
	"Practice": {
		{"essentials", []protoreflect.Name{"title", "summary", "problem", "context", "actions_taken", "results", "status"}},
		{"results", []protoreflect.Name{"measured_results", "evidence", "cost_cents", "staff_note", "period"}},
		{"transfer", []protoreflect.Name{"transfer_conditions", "lessons", "adoptions"}},
		{"contacts", []protoreflect.Name{"organization", "contacts"}},
		{"people", []protoreflect.Name{"target_groups", "topics", "services", "documents"}},
	},
	"Event": {
		{"essentials", []protoreflect.Name{"title", "summary", "type", "status"}},
		{"times", []protoreflect.Name{"start_date", "start_clock", "end_date", "end_clock"}},
		{"places", []protoreflect.Name{"location", "place_note", "uri"}},
		{"people", []protoreflect.Name{"how_to_take_part", "free_of_charge", "accessibility_note", "target_groups", "organization", "services"}},
	},
	"Plan": {
		{"essentials", []protoreflect.Name{"title", "summary", "state", "area", "first_year", "last_year", "plan_version"}},
		{"results", []protoreflect.Name{"objectives", "indicators"}},
		{"conditions", []protoreflect.Name{"act", "documents", "organization"}},
	},
	"Action": {
		{"essentials", []protoreflect.Name{"title", "summary", "number", "state", "state_reason"}},
		{"times", []protoreflect.Name{"planned_period", "actual_period"}},
		{"people", []protoreflect.Name{"target_groups", "categories", "essential_levels", "organization", "partners", "services", "mode"}},
		{"costs", []protoreflect.Name{"budget", "cup", "cig"}},
		{"results", []protoreflect.Name{"indicators", "quotas", "staff"}},
	},
	"Comune": {
		{"essentials", []protoreflect.Name{"title", "summary"}},
		{"contacts", []protoreflect.Name{"contacts", "address", "opening"}},
	},
}

// origin are the fields of every kind that say where a record comes from and who sees it.
var origin = []protoreflect.Name{"visibility", "provenance", "identifiers", "field_sources"}

// lists are the names of the closed lists in the words of the portal.
var enumLists = map[protoreflect.FullName]string{
	"cidsistem.registry.v1.Visibility":                  "visibilities",
	"cidsistem.registry.v1.Weekday":                     "weekdays",
	"cidsistem.registry.v1.EssentialLevel":              "essential_levels",
	"cidsistem.registry.v1.TargetGroup":                 "target_groups",
	"cidsistem.registry.v1.Provenance.SourceKind":       "source_kinds",
	"cidsistem.registry.v1.ContactPoint.Kind":           "contact_kinds",
	"cidsistem.registry.v1.Area.Kind":                   "area_kinds",
	"cidsistem.registry.v1.Status.State":                "statuses",
	"cidsistem.registry.v1.Organization.Kind":           "organization_kinds",
	"cidsistem.registry.v1.Operator.Profession":         "professions",
	"cidsistem.registry.v1.Operator.Contract":           "contracts",
	"cidsistem.registry.v1.PlaceAccessibility.Grade":    "grades",
	"cidsistem.registry.v1.EligibilityCriterion.Effect": "effect",
	"cidsistem.registry.v1.Certification.Kind":          "certification",
	"cidsistem.registry.v1.IseeThreshold.Kind":          "isee_kinds",
	"cidsistem.registry.v1.SchoolOrder.Kind":            "school",
	"cidsistem.registry.v1.Deadline.Kind":               "deadline",
	"cidsistem.registry.v1.AccessChannel.Kind":          "access",
	"cidsistem.registry.v1.Provision.Mode":              "provision",
	"cidsistem.registry.v1.CostOption.Kind":             "costs",
	"cidsistem.registry.v1.Capacity.Accessibility":      "capacity",
	"cidsistem.registry.v1.Document.Kind":               "document_kinds",
	"cidsistem.registry.v1.Plan.State":                  "plan_states",
	"cidsistem.registry.v1.Action.State":                "action_states",
	"cidsistem.registry.v1.Indicator.Type":              "indicator_types",
	"cidsistem.registry.v1.Practice.Evidence":           "evidence",
}

// EnumID is the key of what a value of a closed list is called.
func EnumID(ed protoreflect.EnumDescriptor, value protoreflect.EnumValueDescriptor) string {
	return enumLists[ed.FullName()] + "." + strings.ToLower(string(value.Name()))
}

func mapKeys[V any](m map[string]V) iter.Seq[string] { return maps.Keys(m) }
