package access_test

import (
	"strings"
	"testing"

	"cidsistem.example/proto/access"
	"cidsistem.example/proto/gen/annotationsv1"
	"cidsistem.example/proto/gen/registryv1"
)

// Every method has a rule that makes sense, and every rule that asks for a role
// says over what.
func TestEveryMethodHasARule(t *testing.T) {
	rules, err := access.Rules()
	if err != nil {
		t.Fatal(err)
	}
	if len(rules) < 80 {
		t.Errorf("the contract has %d methods", len(rules))
	}
	for _, rule := range rules {
		if rule.GetAnyone() && len(rule.GetRoles()) > 0 {
			t.Errorf("%s is for anyone, and for roles", rule.Method)
		}
		if rule.GetLocalOnly() && (rule.GetAnyone() || rule.GetSelf() || len(rule.GetRoles())+len(rule.GetServers()) > 0) {
			t.Errorf("%s is for the local socket, and for others", rule.Method)
		}
	}
}

func TestAboutOf(t *testing.T) {
	rules, err := access.Rules()
	if err != nil {
		t.Fatal(err)
	}
	const update = "/cidsistem.registry.v1.ServiceService/UpdateService"
	for _, rule := range rules {
		if rule.Method != update {
			continue
		}
		request := &registryv1.UpdateServiceRequest{Service: &registryv1.Service{Name: "comuni/marsala/services/x1"}}
		if got := rule.AboutOf(request); got != "comuni/marsala/services/x1" {
			t.Errorf("an update is about %q", got)
		}
		if got := rule.AboutOf(&registryv1.UpdateServiceRequest{}); got != "" {
			t.Errorf("an empty update is about %q", got)
		}
		return
	}
	t.Errorf("no rule of %s", update)
}

func TestCovers(t *testing.T) {
	for _, test := range []struct {
		scope, about string
		covers       bool
	}{
		{"comuni/marsala", "comuni/marsala", true},
		{"comuni/marsala", "comuni/marsala/services/x", true},
		{"comuni/marsala", "comuni/marsala-nord", false},
		{"comuni/marsala", "comuni/mazara-del-vallo", false},
		{"comuni/marsala", "comuni/-", false},
		{"comuni/marsala", "", false},
		{"comuni/-", "comuni/marsala/services/x", false},
		{"comuni/-", "comuni/-", true},
		{"comuni/-", "nodes/marsala", false},
		{"comuni/marsala/organizations/aias", "comuni/marsala/organizations/aias", true},
		{"comuni/marsala/organizations/aias", "comuni/marsala/organizations/aias-2", false},
		{"comuni/marsala/organizations/aias", "comuni/marsala", false},
		{"nodes/marsala", "nodes/marsala/accounts/a1", true},
		{"nodes/marsala", "nodes/marsala", true},
		{"comuni/marsala", "nodes/marsala", true},
		{"comuni/marsala", "nodes/marsala/messages/m1", true},
		{"comuni/marsala", "nodes/marsala-nord", false},
		{"comuni/marsala/organizations/aias", "nodes/marsala", false},
		{"", "nodes/marsala", false},
		{"", "", false},
		{"", "/x", false},
	} {
		if got := access.Covers(test.scope, test.about); got != test.covers {
			t.Errorf("%q covers %q: %t", test.scope, test.about, got)
		}
	}
}

func TestTableHasWordsForEverything(t *testing.T) {
	rows, err := access.Table()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		if row.Service == "" || row.Method == "" || row.Who == "" || strings.Contains(row.Who, ", ,") || strings.HasSuffix(row.Who, ", ") {
			t.Errorf("a row lacks words: %+v", row)
		}
	}
	for number, name := range annotationsv1.Role_name {
		if role := annotationsv1.Role(number); role != 0 && access.Label(role) == "" {
			t.Errorf("%s has no label", name)
		}
	}
}
