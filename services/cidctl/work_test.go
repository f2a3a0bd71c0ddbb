package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"cidsistem.example/proto/gen/adminv1"
	"cidsistem.example/proto/gen/deskv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/platform/cli"
	"cidsistem.example/services/registry"
)

func TestWorkCommands(t *testing.T) {
	socket, conn := wholeNode(t, func(s *registry.Settings) { s.Backups.Dir = filepath.Join(filepath.Dir(s.DataDir), "copie") })
	const parent, one, other = "comuni/marsala", "comuni/marsala/organizations/aias", "comuni/marsala/organizations/aias-2"
	for _, id := range []string{"aias", "aias-2"} {
		_, err := registryv1.NewOrganizationServiceClient(conn).CreateOrganization(t.Context(), &registryv1.CreateOrganizationRequest{
			Parent: parent, OrganizationId: id, Organization: &registryv1.Organization{Title: &registryv1.LocalizedText{It: "AIAS"}, Kind: registryv1.Organization_ASSOCIATION},
		})
		must(t, err)
	}
	run := func(input string, args ...string) (int, string) {
		link := &connection{socket: socket, timeout: 10 * time.Second}
		root := cli.Root("cidctl", "")
		root.AddCommand(requestsCommand(link), duplicatesCommand(link), messagesCommand(link), backupsCommand(link))
		var out bytes.Buffer
		root.SetIn(strings.NewReader(input))
		root.SetOut(&out)
		root.SetErr(&out)
		root.SetArgs(args)
		return cli.Run(t.Context(), root), out.String()
	}
	file := filepath.Join(t.TempDir(), "richiesta.yaml")
	must(t, os.WriteFile(file, []byte("text: Serve un pulmino\npreferredChannel: EMAIL\ncontact: {email: ada@example.org}\n"), 0o600))
	code, out := run("", "requests", "enter", parent, "--way", "TELEPHONE", "--from", file)
	entered := regexp.MustCompile(`^(comuni/marsala/requests/r\S+)\ncode: (\S{19})\n$`).FindStringSubmatch(out)
	if code != cli.ExitOK || entered == nil {
		t.Fatalf("exit code %d, wrote %q", code, out)
	}
	name := entered[1]
	_, err := deskv1.NewRequestServiceClient(conn).LookUpRequest(t.Context(), &deskv1.LookUpRequestRequest{Parent: parent, Code: entered[2]})
	must(t, err)
	code, out = run("Ecco", "requests", "answer", name)
	if code != cli.ExitOK {
		t.Fatalf("exit code %d, wrote %q", code, out)
	}
	sent, err := adminv1.NewMessageServiceClient(conn).ListMessages(t.Context(), &adminv1.ListMessagesRequest{Parent: "nodes/marsala"})
	must(t, err)
	message := sent.GetMessages()[0].GetName()
	backup := ""
	for _, test := range []struct {
		input string
		args  []string
		code  int
		want  string
	}{
		{"", []string{"requests", "enter", parent, "--way", "PORTAL", "--from", file}, cli.ExitFailure, `way: is TELEPHONE`},
		{"", []string{"requests", "enter", parent, "--way", "CROW", "--from", file}, cli.ExitUsage, `AT_THE_DESK`},
		{"", []string{"requests", "assign", name, "--to", "nodes/marsala/accounts/nessuno"}, cli.ExitFailure, `DANGLING_REFERENCE`},
		{"", []string{"requests", "assign", name, "--release"}, cli.ExitOK, `is nobody's now`},
		{"", []string{"requests", "list", parent, "--assignee", "-"}, cli.ExitOK, name},
		{"Ha chiamato\n", []string{"requests", "note", name}, cli.ExitOK, `has 1 notes`},
		{"", []string{"requests", "register", name, "--number", "2026/1", "--date", "2020-01-07", "--days", "30"}, cli.ExitOK, `the term ends on 2020-02-06`},
		{"", []string{"requests", "register", name, "--number", "2026/1", "--date", "today"}, cli.ExitUsage, `2026-11-23`},
		{"", []string{"requests", "suspend", name, "--reason", "WAITING_FOR_ASSESSMENT", "--note", "UVM"}, cli.ExitOK, `stands still; 5 working days`},
		{"", []string{"requests", "suspend", name, "--reason", "RAIN"}, cli.ExitUsage, `REFUSAL_ANNOUNCED`},
		{"", []string{"requests", "list", parent}, cli.ExitOK, `5 days left`},
		{"", []string{"requests", "resume", name}, cli.ExitOK, `is due on 20`},
		{"", []string{"requests", "transfer", name, "--to", "comuni/pantelleria", "--consent", "sì"}, cli.ExitFailure, `NOT_SUPPORTED_HERE`},
		{"Siamo aperti", []string{"requests", "templates", "keep", parent + "/templates/orari", "--title", "Orari"}, cli.ExitOK, `title: Orari`},
		{"", []string{"requests", "templates", "list", parent}, cli.ExitOK, `text: Siamo aperti`},
		{"", []string{"requests", "templates", "remove", parent + "/templates/orari"}, cli.ExitOK, `is gone`},
		{"", []string{"messages", "list", "nodes/marsala", "--state", "WAITING"}, cli.ExitOK, message + ` +WAITING +a…@example.org +0`},
		{"", []string{"messages", "list", "nodes/marsala", "--state", "SENT"}, cli.ExitOK, `^MESSAGE[^\n]*\n$`},
		{"", []string{"messages", "retry", message}, cli.ExitOK, `is WAITING`},
		{"", []string{"duplicates", "list", parent}, cli.ExitOK, one + ` +` + other + ` +AIAS / AIAS +SIMILAR_NAME AIAS`},
		{"", []string{"duplicates", "different", one, other}, cli.ExitOK, `^$`},
		{"", []string{"duplicates", "list", parent}, cli.ExitOK, `^SCORE[^\n]*\n$`},
		{"", []string{"duplicates", "list", parent, "--decided"}, cli.ExitOK, `\(different\)`},
		{"", []string{"duplicates", "undecide", one, other}, cli.ExitOK, `^$`},
		{"", []string{"duplicates", "merge", one, other, "--dry-run"}, cli.ExitOK, `would lead to`},
		{"", []string{"duplicates", "merge", one, other}, cli.ExitOK, `aias-2 leads to ` + one + `; 0 records`},
		{"", []string{"duplicates", "undo", other}, cli.ExitOK, `is back`},
		{"", []string{"backups", "create", "nodes/marsala"}, cli.ExitOK, `name: nodes/marsala/backups/20`},
		{"", []string{"backups", "list", "nodes/marsala"}, cli.ExitOK, `nodes/marsala/backups/20\S+ `},
		{"", []string{"backups", "verify", "BACKUP"}, cli.ExitOK, `verifyTime:`},
		{"", []string{"backups", "rehearse", "BACKUP"}, cli.ExitOK, `rehearseTime:`},
	} {
		for i, arg := range test.args {
			if arg == "BACKUP" {
				test.args[i] = backup
			}
		}
		code, out := run(test.input, test.args...)
		if code != test.code || !regexp.MustCompile(test.want).MatchString(out) {
			t.Errorf("%v: exit code %d, wrote\n%s\nwithout %s", test.args, code, out, test.want)
		}
		if found := regexp.MustCompile(`nodes/marsala/backups/\S+`).FindString(out); found != "" {
			backup = found
		}
	}
	// A backup that is not good is a failure.
	copies, err := filepath.Glob(filepath.Join(filepath.Dir(socket), "copie", "20*", "data.db"))
	must(t, err)
	must(t, os.Truncate(copies[0], 10))
	if code, out := run("", "backups", "verify", backup); code != cli.ExitFailure || !strings.Contains(out, "is not good") {
		t.Errorf("exit code %d, wrote %q", code, out)
	}
}
