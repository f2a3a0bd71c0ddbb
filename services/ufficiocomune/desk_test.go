package ufficiocomune_test

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/auditv1"
	"cidsistem.example/proto/gen/deskv1"
	"cidsistem.example/proto/gen/registryv1"
)

// Who asks through the office asks the comune's node: with files, following the
// request by its code, to its end. The desk's side is not at the office.
func TestRequestsThroughTheOffice(t *testing.T) {
	f := start(t)
	const parent = "comuni/pantelleria"
	office, node := deskv1.NewRequestServiceClient(f.conn), deskv1.NewRequestServiceClient(f.nodes[pantelleria].Conn(t))
	anyone := as(t.Context(), registryv1.Visibility_PUBLIC)
	// As much as a call can have.
	large := append([]byte("%PDF-1.7\n"), bytes.Repeat([]byte("x"), 2<<20-9)...)
	call := &deskv1.CreateRequestRequest{
		Parent: parent, RequestId: uuid.NewString(), Request: &deskv1.Request{Text: "Il pulmino non passa"},
		Attachments: []*deskv1.AttachedFile{{FileName: "uno.pdf", Data: large}, {FileName: "due.pdf", Data: large[:1<<20]}},
	}
	made, err := office.CreateRequest(anyone, call)
	must(t, err)
	again, err := office.CreateRequest(anyone, call)
	must(t, err)
	same(t, again, made)
	name, code := made.GetRequest().GetName(), made.GetCode()

	attachment := made.GetRequest().GetAttachments()[0].GetName()
	byCode, err := office.LookUpRequestAttachment(anyone, &deskv1.LookUpRequestAttachmentRequest{Parent: parent, Code: code, Attachment: attachment})
	must(t, err)
	if !bytes.Equal(byCode.GetData(), large) {
		t.Errorf("%d bytes came back", len(byCode.GetData()))
	}
	_, err = office.AddMessage(anyone, &deskv1.AddMessageRequest{Parent: parent, Code: code, Text: "Nemmeno oggi"})
	must(t, err)
	desk, err := node.GetRequestAttachment(t.Context(), &deskv1.GetRequestAttachmentRequest{Name: attachment})
	must(t, err)
	same(t, desk, byCode)
	_, err = node.AnswerRequest(t.Context(), &deskv1.AnswerRequestRequest{Name: name, Text: "Passa di nuovo", Final: true, Outcome: deskv1.Request_DISRUPTION_RESOLVED})
	must(t, err)
	_, err = office.RateRequest(anyone, &deskv1.RateRequestRequest{Parent: parent, Code: code, Score: 5})
	must(t, err)
	closed, err := office.CloseRequest(anyone, &deskv1.CloseRequestRequest{Parent: parent, Code: code})
	must(t, err)
	seen, err := office.LookUpRequest(anyone, &deskv1.LookUpRequestRequest{Parent: parent, Code: code})
	must(t, err)
	same(t, seen, closed)
	if seen.GetState() != deskv1.Request_CLOSED || len(seen.GetMessages()) != 2 || seen.GetRating().GetScore() != 5 || seen.GetOutcome() != deskv1.Request_DISRUPTION_RESOLVED {
		t.Errorf("in the end it is %v", seen)
	}

	// The desk's reading of a file is in the log.
	read := 0
	log, err := auditv1.NewAuditServiceClient(f.nodes[pantelleria].Conn(t)).ListAuditEntries(t.Context(), &auditv1.ListAuditEntriesRequest{Parent: "nodes/pantelleria"})
	must(t, err)
	for _, entry := range log.GetEntries() {
		if entry.GetAction() == "cidsistem.desk.v1.RequestService/GetRequestAttachment" && entry.GetResource() == attachment {
			read++
		}
	}
	if read != 1 {
		t.Errorf("the log has %d readings of the attachment", read)
	}

	for method, err := range map[string]error{
		"get":        second(office.GetRequest(t.Context(), &deskv1.GetRequestRequest{Name: name})),
		"list":       second(office.ListRequests(t.Context(), &deskv1.ListRequestsRequest{Parent: parent})),
		"answer":     second(office.AnswerRequest(t.Context(), &deskv1.AnswerRequestRequest{Name: name, Text: "x"})),
		"attachment": second(office.GetRequestAttachment(t.Context(), &deskv1.GetRequestAttachmentRequest{Name: attachment})),
	} {
		if reason := apierror.Reason(err); reason != registryv1.ErrorReason_NOT_SUPPORTED_HERE {
			t.Errorf("%s at the office: %v", method, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

// While the node is away, who asks is told at once, whatever they ask.
func TestRequestsWhileTheNodeIsAway(t *testing.T) {
	f := start(t)
	f.away(t, pantelleria)
	const parent, code = "comuni/pantelleria", "AAAA-AAAA-AAAA-AAAA"
	office := deskv1.NewRequestServiceClient(f.conn)
	ctx, cancel := context.WithTimeout(as(t.Context(), registryv1.Visibility_PUBLIC), time.Minute)
	defer cancel()
	for name, ask := range map[string]func() error{
		"CreateRequest": func() error {
			return second(office.CreateRequest(ctx, &deskv1.CreateRequestRequest{Parent: parent, Request: &deskv1.Request{Text: "x"}}))
		},
		"LookUpRequest": func() error {
			return second(office.LookUpRequest(ctx, &deskv1.LookUpRequestRequest{Parent: parent, Code: code}))
		},
		"LookUpRequestAttachment": func() error {
			return second(office.LookUpRequestAttachment(ctx, &deskv1.LookUpRequestAttachmentRequest{Parent: parent, Code: code, Attachment: parent + "/requests/rx/attachments/a1"}))
		},
		"AddMessage": func() error {
			return second(office.AddMessage(ctx, &deskv1.AddMessageRequest{Parent: parent, Code: code, Text: "x"}))
		},
		"CloseRequest": func() error {
			return second(office.CloseRequest(ctx, &deskv1.CloseRequestRequest{Parent: parent, Code: code}))
		},
		"RateRequest": func() error {
			return second(office.RateRequest(ctx, &deskv1.RateRequestRequest{Parent: parent, Code: code, Score: 1}))
		},
	} {
		began := time.Now()
		err := ask()
		refused(t, err, registryv1.ErrorReason_OWNER_UNREACHABLE, "comune", pantelleria)
		if took := time.Since(began); status.Code(err) != codes.Unavailable || took > 3*time.Second || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: after %s, %v", name, took, err)
		}
	}
}
