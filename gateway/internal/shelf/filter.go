package shelf

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"cidsistem.example/gateway/internal/workbench"
	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/registryv1"
)

// Fields of the address of a list.
const (
	fieldKind       = "tipo"
	fieldWords      = "q"
	fieldStatus     = "stato"
	fieldVisibility = "vede"
	fieldChecked    = "verifica"
	fieldLanguage   = "lingua"
	fieldDeleted    = "cestino"
	fieldRows       = "righe"
	fieldAll        = "tutte"
	fieldPage       = "pagina"
)

const (
	// anyKind is the value of fieldKind for all kinds together.
	anyKind = "tutte"
	// late and checked are the values of fieldChecked.
	late, checked = "scadute", "in-regola"
	// onlyHere is the value of fieldVisibility for records that only the comune sees.
	onlyHere = "local"
	// longest is how many characters a search takes.
	longest = 200
)

// sizes are how many rows a page can have.
var sizes = []int{50, 100, 200}

// A filter is which records a list has.
type filter struct {
	// Kind of the records, nil for all kinds.
	Kind                                         *catalog.Kind
	Words, Status, Visibility, Checked, Language string
	Deleted                                      bool
	Rows                                         int
}

// filterOf the address of a page; false when there are no such records.
func filterOf(q url.Values) (filter, bool) {
	f := filter{
		Words: short(strings.TrimSpace(q.Get(fieldWords))), Status: q.Get(fieldStatus), Visibility: q.Get(fieldVisibility), Checked: q.Get(fieldChecked),
		Language: q.Get(fieldLanguage), Deleted: q.Get(fieldDeleted) != "", Rows: sizes[0],
	}
	if n, err := strconv.Atoi(q.Get(fieldRows)); err == nil && slices.Contains(sizes, n) {
		f.Rows = n
	}
	collection := q.Get(fieldKind)
	if collection == "" {
		collection = kinds[0]
	}
	if collection != anyKind {
		if !slices.Contains(kinds, collection) {
			return filter{}, false
		}
		f.Kind = catalog.ByCollection(collection)
	}
	f.Deleted = f.Deleted && f.Kind != nil // the search knows none that are deleted
	if !slices.Contains(f.statuses(), f.Status) {
		f.Status = "" // that of another kind
	}
	return f, true
}

func short(words string) string {
	if runes := []rune(words); len(runes) > longest {
		return string(runes[:longest])
	}
	return words
}

// Collection is the value of fieldKind.
func (f filter) Collection() string {
	if f.Kind == nil {
		return anyKind
	}
	return f.Kind.Collection
}

// Query writes the filter into an address.
func (f filter) Query() url.Values {
	q := url.Values{fieldKind: {f.Collection()}}
	for name, value := range map[string]string{fieldWords: f.Words, fieldStatus: f.Status, fieldVisibility: f.Visibility, fieldChecked: f.Checked, fieldLanguage: f.Language} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if f.Deleted {
		q.Set(fieldDeleted, "1")
	}
	if f.Rows != sizes[0] {
		q.Set(fieldRows, strconv.Itoa(f.Rows))
	}
	return q
}

// Narrowed tells whether the filter leaves anything out.
func (f filter) Narrowed() bool {
	return f.Words+f.Status+f.Visibility+f.Checked+f.Language != "" || f.Deleted
}

// StatusList is the list of words of the states that records of the kind have; empty: they have none.
func (f filter) StatusList() string {
	switch {
	case f.Kind == nil:
		return "statuses"
	case f.Kind.Collection == "plans":
		return "plan_states"
	case f.Kind.Collection == "actions":
		return "action_states"
	case f.Kind.Descriptor().Fields().ByName("status") != nil:
		return "statuses"
	}
	return ""
}

// statuses that records of the kind can have, as codes of the search.
func (f filter) statuses() []string {
	values := registryv1.Status_STATE_UNSPECIFIED.Descriptor().Values()
	switch f.StatusList() {
	case "":
		return nil
	case "plan_states":
		values = registryv1.Plan_STATE_UNSPECIFIED.Descriptor().Values()
	case "action_states":
		values = registryv1.Action_STATE_UNSPECIFIED.Descriptor().Values()
	}
	var codes []string
	for i := range values.Len() {
		if values.Get(i).Number() != 0 {
			codes = append(codes, strings.ToLower(string(values.Get(i).Name())))
		}
	}
	return codes
}

// searched tells whether the search finds the records: it knows words, states and languages; all else is in the lists of a kind. It
// knows nothing of records that only the comune sees.
func (f filter) searched() bool {
	return !f.Deleted && (f.Kind == nil || f.Visibility != onlyHere && f.Words+f.Status+f.Language != "")
}

// search is the request for what the search knows of the filter.
func (f filter) search(v *workbench.Visit) *registryv1.SearchRequest {
	request := &registryv1.SearchRequest{Q: f.Words, PageSize: int32(min(f.Rows, 100))}
	if v.Comune != "" {
		request.Comuni = []string{v.Slug()}
	}
	if f.Kind != nil {
		request.Kinds = []string{f.Kind.Collection}
	}
	if f.Status != "" {
		switch f.StatusList() {
		case "plan_states":
			request.PlanStates = []string{f.Status}
		case "action_states":
			request.ActionStates = []string{f.Status}
		default:
			request.Statuses = []string{f.Status}
		}
	}
	if f.Language != "" {
		request.Languages = []string{f.Language}
	}
	return request
}
