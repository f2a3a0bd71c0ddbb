package fields_test

import (
	"net/url"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"cidsistem.example/gateway/internal/editing/fields"
	"cidsistem.example/gateway/internal/portaltest"
	"cidsistem.example/proto/gen/registryv1"
)

// Whatever comes as a form is read without a panic, what was read has a form that says the same, and its rows can be moved.
func FuzzRead(f *testing.F) {
	f.Add(fields.Write(portaltest.Injected(&registryv1.Service{})).Encode(), "down contacts[0]")
	f.Add("title.it=a&contacts[0]=1&contacts[7].value=b&contacts[99999999999]=c&eligibility[0].condition=age", "drop contacts[7]")
	f.Add("costs[0].amountCents=-1.234,5&status.since=31/2/2026&provenance.verifyTime=2026-13-01T00:00&places[0][1].note.it=x", "add costs[0].bands")
	f.Add("title.translations={&title.easyRead.kept=}&title.easyRead=a&targetGroups=99&targetGroups=PEOPLE&hours.weekly[0].days=MONDAY", "up [")
	f.Fuzz(func(t *testing.T, form, button string) {
		values, err := url.ParseQuery(form)
		if err != nil {
			t.Skip()
		}
		now := time.Unix(1_800_000_000, 0)
		fields.Move(values, button)
		first, second := &registryv1.Service{}, &registryv1.Service{}
		fields.Read(values, first, now)
		fields.Read(fields.Write(first), second, now)
		if !proto.Equal(first, second) {
			t.Errorf("read as\n%v\nfrom its own form\n%v", first, second)
		}
	})
}
