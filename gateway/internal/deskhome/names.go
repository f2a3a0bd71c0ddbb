package deskhome

import (
	"net/url"
	"strings"

	"cidsistem.example/gateway/internal/workbench"
	"cidsistem.example/proto/catalog"
)

// idOf is the last segment of a name.
func idOf(name string) string { return name[strings.LastIndexByte(name, '/')+1:] }

// collectionOf a record, by its name.
func collectionOf(name string) string {
	parsed, err := catalog.ParseName(name)
	if err != nil {
		return ""
	}
	return parsed.Kind.Collection
}

// recordPath is where somebody of the comune works on a record.
func recordPath(name string) string {
	return workbench.Root + "schede/scheda?" + url.Values{"nome": {name}}.Encode()
}

func lower(code string) string { return strings.ToLower(code) }
