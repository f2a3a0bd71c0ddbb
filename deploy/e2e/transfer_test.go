package e2e

import (
	"strings"
	"testing"

	"cidsistem.example/deploy/demo"
	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/deskv1"
	"cidsistem.example/proto/gen/registryv1"
)

// TestHandedOverFromNodeToNode proves that a request goes from the node of one
// comune to that of another over mutual TLS, as the settings say, with files that
// together fit into no message; and that the person's code leads there, also
// through the ufficio comune.
func TestHandedOverFromNodeToNode(t *testing.T) {
	f, _ := sharedFederation(t)
	const from, to = "comuni/marsala", "comuni/mazara-del-vallo"
	here, office := deskv1.NewRequestServiceClient(f.local(t, "marsala")), deskv1.NewRequestServiceClient(f.conn(t, demo.Office))
	file := func(fill string) []*deskv1.AttachedFile {
		return []*deskv1.AttachedFile{{FileName: fill + ".txt", Data: []byte(strings.Repeat(fill, 2<<20))}}
	}
	made, err := here.CreateRequest(t.Context(), &deskv1.CreateRequestRequest{Parent: from, Request: &deskv1.Request{Text: "Chiedo il trasporto a Mazara"}, Attachments: file("a")})
	if err != nil {
		t.Fatal(err)
	}
	for _, fill := range []string{"b", "c"} {
		if _, err := here.AddMessage(t.Context(), &deskv1.AddMessageRequest{Parent: from, Code: made.GetCode(), Text: fill, Attachments: file(fill)}); err != nil {
			t.Fatal(err)
		}
	}
	done, err := here.TransferRequest(t.Context(), &deskv1.TransferRequestRequest{Name: made.GetRequest().GetName(), Comune: to, Consent: "allo sportello"})
	if err != nil {
		t.Fatal(err)
	}
	old, err := office.LookUpRequest(t.Context(), &deskv1.LookUpRequestRequest{Parent: from, Code: made.GetCode()})
	if err != nil {
		t.Fatal(err)
	}
	if old.GetState() != deskv1.Request_TRANSFERRED || old.GetTransfer().GetComune() != to || old.GetText() != "" {
		t.Errorf("at the old place the person sees %v", old)
	}
	seen, err := office.LookUpRequest(t.Context(), &deskv1.LookUpRequestRequest{Parent: to, Code: made.GetCode()})
	if err != nil {
		t.Fatal(err)
	}
	if seen.GetName() != done.GetTransfer().GetReceipt() || len(seen.GetAttachments()) != 3 || len(seen.GetMessages()) != 2 {
		t.Errorf("at the new place the person sees %v", seen)
	}
	_, err = here.TransferRequest(t.Context(), &deskv1.TransferRequestRequest{Name: made.GetRequest().GetName(), Comune: "comuni/trapani", Consent: "x"})
	if apierror.Reason(err) != registryv1.ErrorReason_NOT_SUPPORTED_HERE {
		t.Errorf("a node that nobody knows: %v", err)
	}
}
