package portaltest

import (
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/html"
)

// Form is what a browser would send with a form of a page as it stands, by the number of the form among those that are posted: fields
// and what is chosen, but no button.
func (a Answer) Form(number int) (action string, values url.Values) {
	document, err := html.Parse(strings.NewReader(a.Body))
	if err != nil {
		return "", nil
	}
	for n := range document.Descendants() {
		if n.Type != html.ElementNode || n.Data != "form" || attribute(n, "method") != "post" {
			continue
		}
		if number > 0 {
			number--
			continue
		}
		values = url.Values{}
		for field := range n.Descendants() {
			take(field, values)
		}
		return attribute(n, "action"), values
	}
	return "", nil
}

func take(field *html.Node, values url.Values) {
	name := attribute(field, "name")
	if field.Type != html.ElementNode || name == "" {
		return
	}
	switch kind := attribute(field, "type"); {
	case field.Data == "textarea":
		text := ""
		for child := range field.ChildNodes() {
			text += child.Data
		}
		values.Add(name, text)
	case field.Data == "select":
		chosen, first := "", true
		for option := range field.Descendants() {
			if option.Type == html.ElementNode && option.Data == "option" && (first || has(option, "selected")) {
				chosen, first = attribute(option, "value"), false
			}
		}
		values.Add(name, chosen)
	case field.Data != "input" || (kind == "radio" || kind == "checkbox") && !has(field, "checked"):
	default:
		values.Add(name, attribute(field, "value"))
	}
}

func attribute(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

func has(n *html.Node, key string) bool {
	return slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == key })
}
