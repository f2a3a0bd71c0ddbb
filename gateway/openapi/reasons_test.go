package openapi_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cidsistem.example/gateway/internal/edge"
)

func TestReasonsAreThoseOfTheEdge(t *testing.T) {
	schema := load(t).Components.Schemas["ErrorReason"].Value
	described := map[string]bool{}
	for _, value := range schema.Enum {
		described[value.(string)] = true
	}
	answered := map[string]bool{}
	for _, reason := range edge.Reasons() {
		answered[reason.Name] = true
		if line := fmt.Sprintf("- `%s`, %d: ", reason.Name, reason.Status); !strings.Contains(schema.Description, line) {
			t.Errorf("the document does not say %q", line)
		}
	}
	if diff := cmp.Diff(answered, described); diff != "" {
		t.Errorf("reasons of the edge (-) and of the document (+):\n%s", diff)
	}
}
