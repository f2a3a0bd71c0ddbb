package desk_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"cidsistem.example/proto/gen/deskv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/desk"
	"cidsistem.example/services/internal/policy"
	"cidsistem.example/services/internal/store"
	"cidsistem.example/services/platform/identity"
)

var desk0 = desk.Settings{HourlyPerNetwork: 10_000, Hourly: 10_000}

// peers are the desks of other comuni.
type peers map[string]deskv1.TransferServiceClient

func (p peers) Transfer(comune string) (deskv1.TransferServiceClient, error) {
	if client, known := p[comune]; known {
		return client, nil
	}
	return nil, nil
}

// callerOf makes a server see its callers as those of a comune.
type callerStream struct {
	grpc.ServerStream
	ctx context.Context
}

func (s callerStream) Context() context.Context { return s.ctx }

// serve serves a desk over gRPC for the node of a comune.
func (o *office) serve(comune string) *grpc.ClientConn {
	o.t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(o.t, err)
	server := grpc.NewServer(grpc.StreamInterceptor(func(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
		caller := &policy.Caller{Server: &identity.ID{TrustDomain: "cidsistem.example", Role: identity.RoleComune, Name: comune}}
		return handle(srv, callerStream{stream, policy.With(stream.Context(), caller)})
	}))
	o.Register(server)
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(listener) }()
	o.t.Cleanup(func() { server.Stop(); <-done })
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	must(o.t, err)
	o.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// two are the desks of Marsala and of Mazara, which know one another.
func two(t *testing.T) (marsala, mazara *office) {
	t.Helper()
	marsala = open(t)
	mazara = openAt(t, "mazara-del-vallo", t.TempDir(), marsala.clock, desk0)
	marsala.peers["mazara-del-vallo"] = deskv1.NewTransferServiceClient(mazara.serve("marsala"))
	mazara.peers["marsala"] = deskv1.NewTransferServiceClient(marsala.serve("mazara-del-vallo"))
	return marsala, mazara
}

const elsewhere = "comuni/mazara-del-vallo"

func (o *office) transfer(name, comune string) (*deskv1.Request, error) {
	return o.TransferRequest(clerk(o.t), &deskv1.TransferRequestRequest{Name: name, Comune: comune, Consent: "per telefono il 23/11/2026"})
}

func (o *office) follow(comune, code string) (*deskv1.Request, error) {
	return o.LookUpRequest(anyone(o.t), &deskv1.LookUpRequestRequest{Parent: comune, Code: code})
}

func TestHandedOver(t *testing.T) {
	marsala, mazara := two(t)
	before := marsala.entries()
	files := []*deskv1.AttachedFile{{FileName: "foglio.txt", Data: []byte("un foglio")}, {FileName: "verbale.txt", Data: []byte(strings.Repeat("verbale ", 100_000))}}
	made, err := marsala.CreateRequest(anyone(t), &deskv1.CreateRequestRequest{Parent: parent, Request: question(), Attachments: files, RequestId: "0f6f0a1c-8f0a-4a38-9a64-2f6b9f3f8f11"})
	must(t, err)
	name, code := made.GetRequest().GetName(), made.GetCode()
	for i := range 3 {
		_, err = marsala.AddMessage(anyone(t), &deskv1.AddMessageRequest{Parent: parent, Code: code, Text: fmt.Sprint("ancora ", i), Attachments: []*deskv1.AttachedFile{
			{FileName: "grande.txt", Data: []byte(strings.Repeat(fmt.Sprint(i), 2<<20))},
		}})
		must(t, err)
	}
	_, err = marsala.AddNote(clerk(t), &deskv1.AddNoteRequest{Name: name, Text: "solo per noi"})
	must(t, err)
	_, err = marsala.answer(name, "Lo chiediamo a Mazara", false)
	must(t, err)

	stub, err := marsala.transfer(name, elsewhere)
	must(t, err)
	receipt := stub.GetTransfer().GetReceipt()
	if stub.GetState() != deskv1.Request_TRANSFERRED || !strings.HasPrefix(receipt, elsewhere+"/requests/r") || stub.GetTransfer().GetConsent() != "per telefono il 23/11/2026" ||
		stub.GetTransfer().GetComune() != elsewhere || stub.GetTransfer().GetAuthor() != account || !stub.GetTransfer().GetTransferTime().AsTime().Equal(marsala.clock.Now()) {
		t.Errorf("here stays %v", stub)
	}
	// A repetition is answered with the same receipt.
	again, err := marsala.transfer(name, elsewhere)
	must(t, err)
	if again.GetTransfer().GetReceipt() != receipt {
		t.Errorf("the second receipt is %s", again.GetTransfer().GetReceipt())
	}

	// The person's code leads there, and tells at the old place where to go.
	old, err := marsala.lookUp(code)
	must(t, err)
	if old.GetState() != deskv1.Request_TRANSFERRED || old.GetTransfer().GetComune() != elsewhere || old.GetTransfer().GetAuthor() != "" || old.GetText() != "" {
		t.Errorf("at the old place the person sees %v", old)
	}
	seen, err := mazara.follow(elsewhere, code)
	must(t, err)
	if seen.GetName() != receipt || seen.GetText() != question().GetText() || seen.GetState() != deskv1.Request_RECEIVED || len(seen.GetMessages()) != 4 || len(seen.GetAttachments()) != 5 ||
		seen.GetEntry().GetWay() != deskv1.Entry_OTHER_COMUNE || seen.GetEntry().GetComune() != parent {
		t.Errorf("at the new place the person sees %v", seen)
	}
	if last := seen.GetMessages()[3]; last.GetSide() != deskv1.Message_DESK || last.GetText() != "Lo chiediamo a Mazara" {
		t.Errorf("the last message is %v", last)
	}
	for i, a := range seen.GetAttachments() {
		got, err := mazara.LookUpRequestAttachment(anyone(t), &deskv1.LookUpRequestAttachmentRequest{Parent: elsewhere, Code: code, Attachment: a.GetName()})
		must(t, err)
		if i == 0 && string(got.GetData()) != "un foglio" || int64(len(got.GetData())) != a.GetSizeBytes() {
			t.Errorf("%s has %d bytes", a.GetName(), len(got.GetData()))
		}
	}
	if named := seen.GetMessages()[0].GetAttachments(); len(named) != 1 || !strings.HasPrefix(named[0], receipt+"/attachments/") {
		t.Errorf("the first message came with %v", named)
	}
	held, err := mazara.GetRequest(clerk(t), &deskv1.GetRequestRequest{Name: receipt})
	must(t, err)
	if len(held.GetNotes()) != 0 || strings.Contains(fmt.Sprint(held), account) {
		t.Errorf("what was of the desk of Marsala alone is at Mazara: %v", held)
	}
	_, err = mazara.AddMessage(anyone(t), &deskv1.AddMessageRequest{Parent: elsewhere, Code: code, Text: "Grazie"})
	must(t, err)

	// Nothing of what it says is left here: the stub, and what leads to it.
	after := marsala.entries()
	for area, want := range map[string]int{"requests": 1, "requests-by-time": 1, "request-codes": 1, "requests-due": 1} {
		if got := after[area] - before[area]; got != want {
			t.Errorf("%d entries are left of %s, want %d", got, area, want)
		}
		delete(after, area)
	}
	for area, n := range after {
		if n != before[area] {
			t.Errorf("%d entries are left of %s", n-before[area], area)
		}
	}
	text := fmt.Sprint(marsala.opened("requests"))
	for _, secret := range []string{"trasporto", "Nome Cognome", "ancora", "solo per noi", "transport", "posta@", "foglio"} {
		if strings.Contains(text, secret) {
			t.Errorf("%q is left", secret)
		}
	}
	for _, err := range []error{
		second(marsala.AddMessage(anyone(t), &deskv1.AddMessageRequest{Parent: parent, Code: code, Text: "x"})),
		second(marsala.answer(name, "x", false)), second(marsala.transfer(name, "comuni/pantelleria")),
	} {
		if err == nil {
			t.Error("something is done about a request that was handed over")
		}
	}
	// Both go when their time is over.
	marsala.clock.pass(1000 * day)
	for _, o := range []*office{marsala, mazara} {
		_, err := o.Purge(t.Context())
		must(t, err)
		for area, n := range o.entries() {
			if strings.HasPrefix(area, "request") && area != "request-secret" && n != 0 {
				t.Errorf("%d entries of %s are left", n, area)
			}
		}
	}
}

func second[T any](_ T, err error) error { return err }

// entries counts the local entries of each area.
func (o *office) entries() map[string]int {
	counts := map[string]int{}
	for key := range o.localEntries() {
		area, _, _ := strings.Cut(key, "/")
		counts[area]++
	}
	return counts
}

// opened are the values of an area, as they are inside.
func (o *office) opened(area string) (values []string) {
	o.t.Helper()
	must(o.t, o.store.View(func(r store.Reader) error {
		for key, sealed := range r.LocalEntries(area, "") {
			value, err := o.vault.Open(key, sealed)
			if err != nil {
				return err
			}
			values = append(values, string(value))
		}
		return nil
	}))
	return values
}

// A request can go on, and come back: the code leads to where it is.
func TestHandedOverAndBack(t *testing.T) {
	marsala, mazara := two(t)
	made := marsala.create(question(), "")
	stub, err := marsala.transfer(made.GetRequest().GetName(), elsewhere)
	must(t, err)
	back, err := mazara.transfer(stub.GetTransfer().GetReceipt(), parent)
	must(t, err)
	seen, err := marsala.lookUp(made.GetCode())
	must(t, err)
	if seen.GetName() != back.GetTransfer().GetReceipt() || seen.GetText() != question().GetText() {
		t.Errorf("the code leads to %v", seen)
	}
	old, err := mazara.follow(elsewhere, made.GetCode())
	must(t, err)
	if old.GetState() != deskv1.Request_TRANSFERRED || old.GetTransfer().GetComune() != parent {
		t.Errorf("at Mazara the person sees %v", old)
	}
	// The first stub goes; the code goes on to lead to the request.
	must(t, marsala.store.View(func(r store.Reader) error {
		puts, err := marsala.Persons().Erase(r, made.GetRequest().GetName())
		must(t, err)
		for _, put := range puts {
			if put.Key.Area == "request-codes" {
				t.Error("the code would lead nowhere")
			}
		}
		return nil
	}))
}

// losing loses the answers of a node, once.
type losing struct {
	deskv1.TransferServiceClient
	lost *int
}

func (l losing) ReceiveRequest(ctx context.Context, options ...grpc.CallOption) (grpc.ClientStreamingClient[deskv1.ReceiveRequestRequest, deskv1.ReceiveRequestResponse], error) {
	stream, err := l.TransferServiceClient.ReceiveRequest(ctx, options...)
	return losingStream{stream, l.lost}, err
}

type losingStream struct {
	grpc.ClientStreamingClient[deskv1.ReceiveRequestRequest, deskv1.ReceiveRequestResponse]
	lost *int
}

func (s losingStream) CloseAndRecv() (*deskv1.ReceiveRequestResponse, error) {
	answer, err := s.ClientStreamingClient.CloseAndRecv()
	if *s.lost++; *s.lost == 1 {
		return nil, errors.New("the line broke")
	}
	return answer, err
}

func TestTheReceiptWasLost(t *testing.T) {
	for name, changed := range map[string]bool{"and nothing changed": false, "and the person wrote meanwhile": true} {
		t.Run(name, func(t *testing.T) {
			marsala, mazara := two(t)
			marsala.peers["mazara-del-vallo"] = losing{marsala.peers["mazara-del-vallo"], new(int)}
			made := marsala.create(question(), "")
			_, err := marsala.transfer(made.GetRequest().GetName(), elsewhere)
			refused(t, err, registryv1.ErrorReason_OWNER_UNREACHABLE)
			still, err := marsala.lookUp(made.GetCode())
			must(t, err)
			if still.GetState() == deskv1.Request_TRANSFERRED || still.GetText() == "" {
				t.Error("what was not said to have arrived was erased")
			}
			marsala.clock.pass(time.Hour)
			want := 0
			if changed {
				want = 1
				_, err = marsala.AddMessage(anyone(t), &deskv1.AddMessageRequest{Parent: parent, Code: made.GetCode(), Text: "Ancora una cosa"})
				must(t, err)
			}
			_, err = marsala.transfer(made.GetRequest().GetName(), elsewhere)
			must(t, err)
			list, err := mazara.ListRequests(clerk(t), &deskv1.ListRequestsRequest{Parent: elsewhere})
			must(t, err)
			if len(list.GetRequests()) != 1 {
				t.Errorf("Mazara has %d requests", len(list.GetRequests()))
			}
			seen, err := mazara.follow(elsewhere, made.GetCode())
			must(t, err)
			if len(seen.GetMessages()) != want {
				t.Errorf("Mazara has the messages %v", seen.GetMessages())
			}
		})
	}
}

func TestTransfersThatAreRefused(t *testing.T) {
	marsala, mazara := two(t)
	name := marsala.create(question(), "").GetRequest().GetName()
	for comune, reason := range map[string]registryv1.ErrorReason{
		parent: registryv1.ErrorReason_INVALID_FIELDS, "comuni/pantelleria": registryv1.ErrorReason_NOT_SUPPORTED_HERE,
	} {
		_, err := marsala.transfer(name, comune)
		refused(t, err, reason)
	}
	_, err := marsala.transfer(parent+"/requests/rnessuno", elsewhere)
	refused(t, err, registryv1.ErrorReason_RESOURCE_NOT_FOUND)

	client := deskv1.NewTransferServiceClient(mazara.serve("marsala"))
	send := func(request *deskv1.Request) error {
		stream, err := client.ReceiveRequest(t.Context())
		must(t, err)
		_ = stream.Send(&deskv1.ReceiveRequestRequest{Part: &deskv1.ReceiveRequestRequest_Header_{Header: &deskv1.ReceiveRequestRequest_Header{Parent: elsewhere, Request: request, Code: "x"}}})
		_, err = stream.CloseAndRecv()
		return err
	}
	for what, c := range map[string]struct {
		request *deskv1.Request
		reason  registryv1.ErrorReason
	}{
		"a request of a third comune": {&deskv1.Request{Name: "comuni/pantelleria/requests/r1", Text: "x"}, registryv1.ErrorReason_NOT_ALLOWED},
		"a request of its own":        {&deskv1.Request{Name: elsewhere + "/requests/r1", Text: "x"}, registryv1.ErrorReason_INVALID_FIELDS},
		"no name":                     {&deskv1.Request{Text: "x"}, registryv1.ErrorReason_INVALID_FIELDS},
		"no text":                     {&deskv1.Request{Name: parent + "/requests/r1"}, registryv1.ErrorReason_INVALID_FIELDS},
		"a file that does not come":   {&deskv1.Request{Name: parent + "/requests/r1", Text: "x", Attachments: []*deskv1.Attachment{{Name: "a"}}}, registryv1.ErrorReason_INVALID_FIELDS},
	} {
		t.Run(what, func(t *testing.T) { refused(t, send(c.request), c.reason) })
	}
	answer, err := marsala.answer(name, "Ecco", true)
	must(t, err)
	if answer.GetState() != deskv1.Request_ANSWERED {
		t.Errorf("it is %v", answer)
	}
	_, err = marsala.transfer(name, elsewhere)
	refused(t, err, registryv1.ErrorReason_NOT_SUPPORTED_HERE)
}
