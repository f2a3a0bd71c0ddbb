package apidoc

import (
	"encoding/json"
	"fmt"
	"strings"
)

// A typeText says in Italian what a value is: words around a link to a schema,
// or words alone.
type typeText struct {
	Before string
	Schema string // name of the schema, empty for none
}

func typeOf(s *schema) typeText {
	switch {
	case s == nil:
		return typeText{Before: "byte"}
	case s.Ref != "":
		return typeText{Schema: target(s.Ref)}
	case s.Type == "array":
		inner := typeOf(s.Items)
		return typeText{"elenco di " + plural(inner.Before), inner.Schema}
	case s.AdditionalProperties != nil:
		inner := typeOf(s.AdditionalProperties)
		return typeText{"mappa da testo a " + inner.Before, inner.Schema}
	default:
		return typeText{Before: plainType(s)}
	}
}

func plainType(s *schema) string {
	switch s.Type + " " + s.Format {
	case "string date-time":
		return "data e ora (RFC 3339)"
	case "string int64":
		return "intero a 64 bit, scritto come testo"
	case "string uuid":
		return "UUID"
	case "string uri":
		return "URI"
	case "string uri-reference":
		return "URI, anche relativo"
	}
	switch s.Type {
	case "string":
		return "testo"
	case "integer":
		return "intero"
	case "number":
		return "numero"
	case "boolean":
		return "vero o falso"
	default:
		return "oggetto"
	}
}

// plural of the types that lists have.
func plural(text string) string {
	switch text {
	case "testo":
		return "testi"
	case "intero":
		return "interi"
	case "numero":
		return "numeri"
	case "oggetto":
		return "oggetti"
	default:
		return text
	}
}

// Bounds that stand for "any": they are in the document so that nothing is
// without end, and would only be noise on the page.
var noBound = map[string]bool{"20000": true, "10000": true, "2147483647": true, "-2147483648": true}

// limitsOf says in Italian what bounds a value.
func limitsOf(s *schema) []string {
	if s == nil || s.Ref != "" {
		return nil
	}
	var said []string
	say := func(text string) {
		if text != "" {
			said = append(said, text)
		}
	}
	if s.Type == "string" && s.Format != "date-time" && s.Format != "int64" && s.Format != "uuid" {
		say(span(s.MinLength, s.MaxLength, "caratteri"))
	}
	if s.Type == "integer" || s.Type == "number" {
		say(span(s.Minimum, s.Maximum, ""))
	}
	if bounds(s.ExclusiveMinimum) {
		say("più di " + s.ExclusiveMinimum.String())
	}
	if bounds(s.ExclusiveMaximum) {
		say("meno di " + s.ExclusiveMaximum.String())
	}
	say(span(s.MinItems, s.MaxItems, "elementi"))
	say(span(nil, s.MaxProperties, "voci"))
	if s.UniqueItems {
		say("senza doppioni")
	}
	if s.Items != nil && s.Items.Ref == "" {
		for _, inner := range limitsOf(s.Items) {
			say("ogni elemento: " + inner)
		}
	}
	return said
}

func bounds(n *json.Number) bool { return n != nil && !noBound[n.String()] }

// span says from where to where, with a unit if there is one.
func span(low, high *json.Number, unit string) string {
	var text string
	switch hasLow := bounds(low) && (low.String() != "0" || unit == ""); {
	case hasLow && bounds(high) && low.String() == high.String():
		text = low.String()
	case hasLow && bounds(high):
		text = fmt.Sprintf("da %s a %s", low, high)
	case hasLow:
		text = fmt.Sprintf("almeno %s", low)
	case bounds(high):
		text = fmt.Sprintf("al massimo %s", high)
	default:
		return ""
	}
	return strings.TrimSpace(text + " " + unit)
}

// patternOf is the regular expression of a value or of its elements.
func patternOf(s *schema) string {
	switch {
	case s == nil || s.Ref != "" || s.Format == "int64":
		return ""
	case s.Items != nil:
		return patternOf(s.Items)
	default:
		return s.Pattern
	}
}

// valuesOf lists the only values there are; those of a schema of its own are
// told there.
func valuesOf(s *schema) []string {
	if s == nil {
		return nil
	}
	var values []string
	for _, value := range s.Enum {
		values = append(values, fmt.Sprint(value))
	}
	return values
}
