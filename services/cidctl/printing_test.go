package main

import (
	"strings"
	"testing"

	"cidsistem.example/proto/gen/registryv1"
)

// Answers say the same in every format.
func TestFormats(t *testing.T) {
	rows := [][]string{{"NODE", "LAST ERROR"}, {"nodes/marsala", "away"}}
	record := &registryv1.Organization{Name: "comuni/marsala/organizations/a", Title: &registryv1.LocalizedText{It: "A"}}
	for _, test := range []struct {
		format        format
		list, message string
	}{
		{"", "nodes/marsala  away", "name: comuni/marsala/organizations/a"},
		{asTable, "nodes/marsala  away", "name   comuni/marsala/organizations/a"},
		{asYAML, "lastError: away", "name: comuni/marsala/organizations/a"},
		{asJSON, `"lastError": "away"`, `"name": "comuni/marsala/organizations/a"`},
	} {
		t.Run(string("as "+test.format), func(t *testing.T) {
			output = test.format
			t.Cleanup(func() { output = "" })
			var list, message strings.Builder
			if err := table(&list, rows); err != nil {
				t.Fatal(err)
			}
			if err := printMessage(&message, record); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(list.String(), test.list) || !strings.Contains(squeeze(message.String()), squeeze(test.message)) {
				t.Errorf("a list:\n%s\na record:\n%s", list.String(), message.String())
			}
		})
	}
	var unknown format
	if err := unknown.Set("xml"); err == nil {
		t.Error("there is no such format")
	}
}

// squeeze makes one blank of several; JSON may have one more or less after a colon.
func squeeze(text string) string {
	return strings.Join(strings.Fields(strings.ReplaceAll(text, ":", ": ")), " ")
}
