package importing_test

import (
	"bytes"
	"fmt"
	"testing"

	"google.golang.org/protobuf/proto"

	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/exchangev1"
	"cidsistem.example/services/internal/store"
)

// large is a spreadsheet with many rows, some of them empty, wrong or twice.
func large(rows int) []byte {
	var text bytes.Buffer
	text.WriteString("Codice;Servizio;Telefono;Stato\n")
	for i := range rows {
		switch {
		case i%97 == 50:
			text.WriteString(";;;\n")
		case i%101 == 60:
			fmt.Fprintf(&text, "C%d;;0923 1;attivo\n", i)
		case i%103 == 70:
			text.WriteString("C0;Servizio numero 0;0923 000000;attivo\n")
		default:
			fmt.Fprintf(&text, "C%d;Servizio numero %d;0923 %06d;attivo\n", i, i, i)
		}
	}
	return text.Bytes()
}

// contents are the records of the node as they are, without what only their
// server knows.
func (n *node) contents() map[string]string {
	n.t.Helper()
	all := map[string]string{}
	must(n.t, n.Node.Node.Store().View(func(r store.Reader) error {
		_, err := r.Walk(nil, -1, func(name catalog.Name, record proto.Message, _ []string) error {
			bare := proto.Clone(record)
			made := catalog.RecordOf(bare)
			made.CopyServerFields(catalog.RecordOf(name.Kind.New()))
			made.SetEtag("")
			body, err := proto.MarshalOptions{Deterministic: true}.Marshal(bare)
			all[name.String()] = string(body)
			return err
		})
		return err
	}))
	return all
}

// TestAnImportThatWasBrokenOffGoesOn cancels an import, goes on with it, stops
// the node under it, and starts the node again: the records and the report are
// those of an import that nobody disturbed.
func TestAnImportThatWasBrokenOffGoesOn(t *testing.T) {
	data := large(5000)
	calm := start(t)
	undisturbed := calm.run(calm.create(data).GetName(), false)
	calm.accounted(undisturbed)

	n := start(t)
	made := n.create(data)
	beyond := func(lines int64) func(*exchangev1.Import) bool {
		return func(i *exchangev1.Import) bool {
			return i.GetLinesDone() > lines || i.GetState() != exchangev1.Import_RUNNING
		}
	}
	call := &exchangev1.RunImportRequest{Name: made.GetName()}
	_, err := n.imports.RunImport(t.Context(), call)
	must(t, err)
	n.wait(made.GetName(), beyond(500))
	_, err = n.imports.CancelImport(t.Context(), &exchangev1.CancelImportRequest{Name: made.GetName()})
	must(t, err)
	cancelled := n.wait(made.GetName(), func(*exchangev1.Import) bool { return true })
	if cancelled.GetState() != exchangev1.Import_CANCELLED || cancelled.GetLinesDone() >= cancelled.GetLinesTotal() {
		t.Fatalf("after it was cancelled it is %s, at line %d", cancelled.GetState(), cancelled.GetLinesDone())
	}
	_, err = n.imports.RunImport(t.Context(), call)
	must(t, err)
	at := n.wait(made.GetName(), beyond(cancelled.GetLinesDone()+500))
	if at.GetState() != exchangev1.Import_RUNNING {
		t.Fatalf("it was over before the node was stopped: %v", at)
	}
	n.Halt(t)
	n.Start(t)
	n.connect()
	done := n.wait(made.GetName(), func(i *exchangev1.Import) bool { return i.GetState() != exchangev1.Import_RUNNING })
	n.accounted(done)
	if !proto.Equal(done.GetCounts(), undisturbed.GetCounts()) {
		t.Errorf("it counts %v, undisturbed %v", done.GetCounts(), undisturbed.GetCounts())
	}
	want, got := calm.contents(), n.contents()
	for name := range want {
		if want[name] != got[name] {
			t.Errorf("%s is another", name)
			break
		}
	}
	if len(want) != len(got) {
		t.Errorf("there are %d records, undisturbed %d", len(got), len(want))
	}
	again := n.run(made.GetName(), false)
	n.accounted(again)
	if c := again.GetCounts(); c.GetCreated()+c.GetUpdated() != 0 || c.GetUnchanged() != undisturbed.GetCounts().GetCreated() {
		t.Errorf("the second time: %v", c)
	}
	report, err := n.Node.Node.Store().Check(t.Context())
	must(t, err)
	for _, problem := range report.Problems {
		t.Errorf("check: %s", problem)
	}
}
