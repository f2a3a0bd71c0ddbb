package main

import "strings"

// example makes the smallest value that a schema allows, for people to start
// from.
func (g *generator) example(s *schema) any {
	if name, is := strings.CutPrefix(s.Ref, ref("schemas", "")); is {
		return g.example(g.doc.Components.Schemas.members[name])
	}
	switch {
	case len(s.Examples) > 0:
		return s.Examples[0]
	case len(s.Enum) > 0:
		return s.Enum[0]
	case s.Const != nil:
		return s.Const
	}
	switch s.Type {
	case "object":
		o := object[any]{}
		for _, name := range s.Required {
			o.set(name, g.example(s.Properties.members[name]))
		}
		return o
	case "array":
		if s.MinItems == nil {
			return []any{}
		}
		return []any{g.example(s.Items)}
	case "string":
		return exampleText(s)
	case "boolean":
		return true
	default:
		if s.Minimum != nil {
			return s.Minimum
		}
		return 1
	}
}

func exampleText(s *schema) string {
	switch {
	case s.Format == "uri":
		return "https://www.cidsistem.example/"
	case s.Format == "date-time":
		return "2026-01-31T09:00:00Z"
	case s.Format == "uuid":
		return "018f3b5e-7c1a-4d2b-9e6f-0a1b2c3d4e5f"
	case s.Pattern != "":
		return shortest(s.Pattern)
	default:
		text := "testo"
		for s.MinLength != nil && len(text) < int(*s.MinLength) {
			text += " testo"
		}
		return text
	}
}
