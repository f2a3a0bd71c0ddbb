package records

import (
	"fmt"
	"slices"
	"strings"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/editorialv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/rpc"
)

// Problems lists all that would keep a record from being written as it is,
// Italian, for who writes it; what is missing comes first. Before is the record
// as it was, nil for a new one, whose name need not have its last id.
func (c *Change) Problems(name catalog.Name, before, record proto.Message) ([]*editorialv1.Problem, error) {
	violations, err := c.records.options.Rules.Violations(record)
	if err != nil {
		return nil, err
	}
	var problems []*editorialv1.Problem
	add := func(field, description string, missing bool) {
		for _, known := range problems {
			if known.GetField() == field && (known.GetMissing() || known.GetDescription() == description) {
				return
			}
		}
		problems = append(problems, &editorialv1.Problem{Field: field, Description: description, Missing: missing})
	}
	for _, violation := range violations {
		description, missing := italian(violation)
		add(rpc.JSONPath(violation), description, missing)
	}
	if err := c.checkParent(name); err != nil {
		if apierror.Reason(err) == registryv1.ErrorReason_ERROR_REASON_UNSPECIFIED {
			return nil, err
		}
		parent, _ := name.Parent()
		add("", "la scheda in cui si trova, "+parent.String()+", non c'è o è ritirata", false)
	}
	dangling, err := c.dangling(name, before, record)
	if err != nil {
		return nil, err
	}
	for _, d := range dangling {
		add(d.field, d.italian, false)
	}
	if document, ok := record.(*registryv1.Document); ok {
		if err := c.checkFiles(document); err != nil {
			fields := apierror.Fields(err)
			if len(fields) == 0 {
				return nil, err
			}
			for _, field := range fields {
				add(strings.TrimPrefix(field.GetField(), "document."), "il file non è stato caricato, o non è quello indicato", false)
			}
		}
	}
	slices.SortStableFunc(problems, func(a, b *editorialv1.Problem) int {
		switch {
		case a.GetMissing() == b.GetMissing():
			return 0
		case a.GetMissing():
			return -1
		default:
			return 1
		}
	})
	return problems, nil
}

// italian says what a violation is, and whether the field is only missing.
func italian(v *protovalidate.Violation) (description string, missing bool) {
	rule := v.Proto.GetRuleId()
	if rule == "required" || emptied(v) {
		return "manca", true
	}
	bound := fmt.Sprint(v.RuleValue.Interface())
	switch rule[strings.LastIndexByte(rule, '.')+1:] {
	case "min_len":
		return "è troppo corto: almeno " + bound + " caratteri", false
	case "max_len", "max_bytes":
		return "è troppo lungo: al massimo " + bound + " caratteri", false
	case "pattern":
		return "non ha la forma richiesta", false
	case "uri", "uri_ref":
		return "non è un indirizzo di pagina: deve cominciare con https:// o http://", false
	case "email":
		return "non è un indirizzo di posta elettronica", false
	case "min_items":
		return "ha troppe poche voci: almeno " + bound, false
	case "max_items":
		return "ha troppe voci: al massimo " + bound, false
	case "unique":
		return "ha una voce ripetuta", false
	case "defined_only", "not_in", "in", "const":
		return "non è uno dei valori previsti", false
	case "gt":
		return "deve essere più di " + bound, false
	case "gte":
		return "deve essere almeno " + bound, false
	case "lt":
		return "deve essere meno di " + bound, false
	case "lte":
		return "deve essere al massimo " + bound, false
	case "gte_lte", "gt_lt", "gte_lt", "gt_lte":
		return "non sta tra i valori ammessi", false
	case "finite":
		return "non è un numero", false
	case "day_needs_month":
		return "ha il giorno ma non il mese", false
	case "order":
		return "finisce prima di cominciare", false
	}
	return "non è valido", false
}

// emptied tells whether the rule is broken only because nothing is there.
func emptied(v *protovalidate.Violation) bool {
	fd := v.FieldDescriptor
	if fd == nil {
		return false
	}
	if !v.FieldValue.IsValid() {
		return true
	}
	switch {
	case fd.IsList():
		list, ok := v.FieldValue.Interface().(protoreflect.List)
		return ok && list.Len() == 0
	case fd.Kind() == protoreflect.StringKind:
		text, ok := v.FieldValue.Interface().(string)
		return ok && text == ""
	case fd.Kind() == protoreflect.EnumKind:
		number, ok := v.FieldValue.Interface().(protoreflect.EnumNumber)
		return ok && number == 0
	}
	return false
}
