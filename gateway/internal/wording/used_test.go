package wording_test

import (
	"io/fs"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"

	"cidsistem.example/gateway/internal/wording"
)

var (
	// action of a template.
	action = regexp.MustCompile(`(?s){{.*?}}`)
	// said and counted in an action: t "ID", n "ID"; counted has 2 groups, the function and the ID.
	said = regexp.MustCompile(`(?:{{-?\s*|[\s(])([tn]) "([^"]+)"`)
	// composed in an action: t (print "PREFIX" .Rest), code "LIST" .Value; one of the 2 groups is there.
	composed = regexp.MustCompile(`[tn] \(print "([^"]+)"|code "([^"]+)"`)
	// inGo is r.Say("ID"), r.Count("ID") with or without a language before.
	inGo = regexp.MustCompile(`\.([Ss]ay|[Cc]ount)\((?:[\w.]+, )?"(\w+\.[\w.-]+)"[,)]`)
)

// A message that a page says and the files lack would be found by a reader; here a test finds it.
func TestPagesSayWhatThereIs(t *testing.T) {
	messages := read(t, wording.Italian)
	exact := func(t *testing.T, id string, counted bool) {
		t.Helper()
		if m, ok := messages[id]; !ok {
			t.Errorf("no message is called %q", id)
		} else if m.plural != counted {
			t.Errorf("%q: plural is %t, said with a number %t", id, m.plural, counted)
		}
	}
	begins := func(t *testing.T, prefix string) {
		t.Helper()
		for id := range messages {
			if strings.HasPrefix(id, prefix) {
				return
			}
		}
		t.Errorf("no message begins with %q", prefix)
	}
	found := 0
	err := fs.WalkDir(os.DirFS(".."), ".", func(name string, entry fs.DirEntry, err error) error {
		template := path.Ext(name) == ".html" && path.Base(path.Dir(name)) == "templates"
		program := path.Ext(name) == ".go" && !strings.HasSuffix(name, "_test.go")
		if err != nil || entry.IsDir() || !template && !program {
			return err
		}
		text, err := fs.ReadFile(os.DirFS(".."), name)
		if err != nil {
			return err
		}
		t.Run(name, func(t *testing.T) {
			if program {
				for _, call := range inGo.FindAllStringSubmatch(string(text), -1) {
					found++
					exact(t, call[2], strings.EqualFold(call[1], "count"))
				}
				return
			}
			for _, a := range action.FindAllString(string(text), -1) {
				for _, call := range said.FindAllStringSubmatch(a, -1) {
					found++
					exact(t, call[2], call[1] == "n")
				}
				for _, call := range composed.FindAllStringSubmatch(a, -1) {
					found++
					if call[2] != "" {
						call[1] = call[2] + "."
					}
					begins(t, call[1])
				}
			}
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if found < 100 {
		t.Errorf("only %d messages found in pages: do the expressions above still fit?", found)
	}
}
