package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cidsistem.example/proto/gen/deskv1"
	"cidsistem.example/services/platform/cli"
)

func TestRequestsCommands(t *testing.T) {
	n := startNode(t)
	attachment := n.requestName + "/attachments/a1"
	file := filepath.Join(t.TempDir(), "foglio.txt")
	for _, test := range []struct {
		input string
		args  []string
		code  int
		want  []string // in what is written
	}{
		{"", []string{"list", "comuni/marsala"}, cli.ExitOK, []string{"REQUEST", n.requestName, "INFORMATION", "RECEIVED"}},
		{"", []string{"list", "comuni/marsala", "--state", "taken"}, cli.ExitOK, []string{"REQUEST"}},
		{"", []string{"list", "comuni/marsala", "--state", "gone"}, cli.ExitUsage, []string{"--state", "RECEIVED, TAKEN, ANSWERED, WAITING_FOR_PERSON, CLOSED, WITHDRAWN"}},
		{"", []string{"list", "comuni/marsala", "--kind", "gone"}, cli.ExitUsage, []string{"--kind", "INFORMATION, DISRUPTION"}},
		{"", []string{"list", "comuni/pantelleria"}, cli.ExitFailure, []string{"NOT_THE_OWNER"}},
		{"", []string{"show", n.requestName}, cli.ExitOK, []string{"text: Chiedo un pulmino", "state: TAKEN", "fullName: Nome Cognome", "fileName: foglio.txt"}},
		{"", []string{"show", n.requestName + "x"}, cli.ExitFailure, []string{"RESOURCE_NOT_FOUND"}},
		{"Quando?\n", []string{"answer", n.requestName, "--wait"}, cli.ExitOK, []string{"is WAITING_FOR_PERSON now"}},
		{"", []string{"list", "comuni/marsala"}, cli.ExitOK, []string{"5 days left"}},
		{"", []string{"answer", n.requestName}, cli.ExitFailure, []string{"text: is empty"}},
		{"x", []string{"answer", n.requestName, "--outcome", "gone"}, cli.ExitUsage, []string{"--outcome", "TOO_FAR"}},
		{"x", []string{"answer", n.requestName, "--outcome", "TOO_FAR", "--wait"}, cli.ExitUsage, []string{"outcome", "wait"}},
		{"Ecco", []string{"answer", n.requestName, "--outcome", "TOO_FAR"}, cli.ExitOK, []string{"is ANSWERED now"}},
		{"", []string{"show", n.requestName}, cli.ExitOK, []string{"outcome: TOO_FAR", "text: Quando?", "side: DESK"}},
		{"", []string{"attachment", attachment}, cli.ExitUsage, []string{`"to"`}},
		{"", []string{"attachment", attachment, "--to", file}, cli.ExitOK, []string{file, "9 bytes", "text/plain", `"foglio.txt"`}},
		{"", []string{"attachment", attachment, "--to", file}, cli.ExitFailure, []string{"exists"}},
		{"", []string{"attachment", n.requestName + "/attachments/a2", "--to", file + "2"}, cli.ExitFailure, []string{"RESOURCE_NOT_FOUND"}},
	} {
		code, out, errOut := n.run(test.input, append([]string{"requests"}, test.args...)...)
		if code != test.code {
			t.Errorf("%v: exit code %d, wrote %q, %q", test.args, code, out, errOut)
		}
		for _, want := range test.want {
			if !strings.Contains(out+errOut, want) {
				t.Errorf("%v: wrote %q, %q, without %q", test.args, out, errOut, want)
			}
		}
		if test.args[0] == "list" && (strings.Contains(out, "pulmino") || strings.Contains(out, "Cognome")) {
			t.Errorf("a list tells of a person: %q", out)
		}
	}
	if content, err := os.ReadFile(file); err != nil || string(content) != "un foglio" {
		t.Errorf("the file has %q (%v)", content, err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file is %v (%v)", info.Mode(), err)
	}
}

// What somebody writes cannot command the terminal of who reads it.
func TestShownTextHasNoControls(t *testing.T) {
	n := startNode(t)
	_, err := n.desk.AddMessage(t.Context(), &deskv1.AddMessageRequest{Parent: "comuni/marsala", Code: n.requestCode, Text: "a\x1b[2Jb\x07"})
	must(t, err)
	code, out, _ := n.run("", "requests", "show", n.requestName)
	if code != cli.ExitOK || strings.ContainsAny(out, "\x1b\x07") || !strings.Contains(out, "[2Jb") {
		t.Errorf("exit code %d, wrote %q", code, out)
	}
}
