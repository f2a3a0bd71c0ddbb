package asking_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/html"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/gateway/internal/asking"
	"cidsistem.example/gateway/internal/portaltest"
	"cidsistem.example/gateway/internal/wording"
	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/deskv1"
	"cidsistem.example/proto/gen/registryv1"
)

const code = "ABCD-EFGH-JKLM-NPQR"

// desk keeps the requests of one comune in memory, as the contract says, or answers with a failure.
type desk struct {
	deskv1.UnimplementedRequestServiceServer
	mu       sync.Mutex
	failure  error
	created  map[string]*deskv1.CreateRequestRequest
	calls    int
	request  *deskv1.Request
	messages []*deskv1.AddMessageRequest
}

func (d *desk) fail(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.failure = err
}

// reset forgets everything.
func (d *desk) reset() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.failure, d.created, d.calls, d.request, d.messages = nil, map[string]*deskv1.CreateRequestRequest{}, 0, nil, nil
}

func (d *desk) hold(request *deskv1.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.request = request
}

func (d *desk) CreateRequest(_ context.Context, call *deskv1.CreateRequestRequest) (*deskv1.CreateRequestResponse, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls++
	if d.failure != nil {
		return nil, d.failure
	}
	if before := d.created[call.GetRequestId()]; before != nil && !proto.Equal(before, call) {
		return nil, apierror.New(registryv1.ErrorReason_REQUEST_ID_REUSED, "used")
	}
	d.created[call.GetRequestId()] = proto.CloneOf(call)
	d.request = proto.CloneOf(call.GetRequest())
	d.request.Name, d.request.State = call.GetParent()+"/requests/r1", deskv1.Request_RECEIVED
	d.request.DueDate = &registryv1.PartialDate{Year: 2026, Month: 5, Day: 29}
	return &deskv1.CreateRequestResponse{Request: d.request, Code: code}, nil
}

func (d *desk) find(parent, given string) (*deskv1.Request, error) {
	if d.failure != nil {
		return nil, d.failure
	}
	if d.request == nil || parent != "comuni/marsala" || strings.ToUpper(given) != code {
		return nil, apierror.New(registryv1.ErrorReason_RESOURCE_NOT_FOUND, "no such code")
	}
	return d.request, nil
}

func (d *desk) LookUpRequest(_ context.Context, call *deskv1.LookUpRequestRequest) (*deskv1.Request, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.find(call.GetParent(), call.GetCode())
}

func (d *desk) LookUpRequestAttachment(_ context.Context, call *deskv1.LookUpRequestAttachmentRequest) (*deskv1.Attachment, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, err := d.find(call.GetParent(), call.GetCode()); err != nil {
		return nil, err
	}
	return &deskv1.Attachment{Name: call.GetAttachment(), FileName: `perché "no".pdf`, MediaType: "application/pdf", Data: []byte("%PDF-1.7")}, nil
}

func (d *desk) AddMessage(_ context.Context, call *deskv1.AddMessageRequest) (*deskv1.Request, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	request, err := d.find(call.GetParent(), call.GetCode())
	if err != nil {
		return nil, err
	}
	d.messages = append(d.messages, call)
	request.Messages = append(request.Messages, &deskv1.Message{Side: deskv1.Message_PERSON, Text: call.GetText(), CreateTime: timestamppb.Now()})
	return request, nil
}

func (d *desk) CloseRequest(_ context.Context, call *deskv1.CloseRequestRequest) (*deskv1.Request, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	request, err := d.find(call.GetParent(), call.GetCode())
	if err != nil {
		return nil, err
	}
	request.State = deskv1.Request_WITHDRAWN
	return request, nil
}

func (d *desk) RateRequest(_ context.Context, call *deskv1.RateRequestRequest) (*deskv1.Request, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	request, err := d.find(call.GetParent(), call.GetCode())
	if err != nil {
		return nil, err
	}
	if request.GetState() != deskv1.Request_ANSWERED {
		return nil, apierror.New(registryv1.ErrorReason_NOT_SUPPORTED_HERE, "no answer yet")
	}
	request.Rating = &deskv1.Rating{Score: call.GetScore(), Text: call.GetText()}
	return request, nil
}

func (d *desk) sent(t *testing.T) *deskv1.CreateRequestRequest {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.created) != 1 {
		t.Fatalf("the desk has %d requests, not one", len(d.created))
	}
	for _, call := range d.created {
		return call
	}
	return nil
}

// start runs the portal in front of two comuni, one of them with a desk.
func start(t *testing.T, more ...proto.Message) (*portaltest.Portal, *desk) {
	t.Helper()
	// Tests answer quicker than people; the limit has a test of its own.
	set(t, -time.Hour)
	d := &desk{}
	d.reset()
	records := append([]proto.Message{
		portaltest.Marsala(),
		&registryv1.Comune{Name: "comuni/pantelleria", Title: portaltest.Text("Pantelleria"), IstatCode: "081014"},
		&registryv1.Service{Name: "comuni/marsala/services/trasporto", Title: portaltest.Text("Trasporto con pulmino")},
		&registryv1.Location{Name: "comuni/marsala/locations/sportello", Title: portaltest.Text("Sportello di via Falcone")},
	}, more...)
	return portaltest.Start(t, records, func(s *grpc.Server) { deskv1.RegisterRequestServiceServer(s, d) }), d
}

// startOne runs the portal of one comune.
func startOne(t *testing.T, d *desk) *portaltest.Portal {
	t.Helper()
	return portaltest.Start(t, []proto.Message{portaltest.Marsala()}, func(s *grpc.Server) { deskv1.RegisterRequestServiceServer(s, d) })
}

func set(t *testing.T, shortest time.Duration) {
	before := *asking.Shortest
	*asking.Shortest = shortest
	t.Cleanup(func() { *asking.Shortest = before })
}

// say is a message of the pages in a language.
func say(t *testing.T, l wording.Language, id string, values ...any) string {
	t.Helper()
	words, err := wording.Load()
	if err != nil {
		t.Fatal(err)
	}
	text, err := words.Say(l, id, values...)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// A page as a browser has it.
type page struct {
	t      *testing.T
	portal *portaltest.Portal
	portaltest.Answer
	document *html.Node
}

func open(t *testing.T, p *portaltest.Portal, answer portaltest.Answer) *page {
	t.Helper()
	document, err := html.Parse(strings.NewReader(answer.Body))
	if err != nil {
		t.Fatal(err)
	}
	return &page{t, p, answer, document}
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func has(n *html.Node, name string) bool {
	return slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == name })
}

func text(n *html.Node) string {
	var out strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			out.WriteString(d.Data)
		}
	}
	return out.String()
}

// element finds the first element with an attribute of a value, nil when there is none.
func (p *page) element(name, value string) *html.Node {
	for n := range p.document.Descendants() {
		if n.Type == html.ElementNode && attribute(n, name) == value {
			return n
		}
	}
	return nil
}

// fields of the form that posts to a path, as a browser would send them without a button.
func (p *page) fields() (action string, fields map[string]string) {
	p.t.Helper()
	fields = map[string]string{}
	for form := range p.document.Descendants() {
		if form.Type != html.ElementNode || form.Data != "form" || !strings.Contains(attribute(form, "class"), "ask") {
			continue
		}
		for n := range form.Descendants() {
			name := attribute(n, "name")
			switch {
			case n.Type != html.ElementNode || name == "":
			case n.Data == "textarea":
				fields[name] = strings.TrimPrefix(text(n), "\n")
			case n.Data == "select":
				for option := range n.Descendants() {
					if option.Data == "option" && has(option, "selected") {
						fields[name] = attribute(option, "value")
					}
				}
			case n.Data == "input" && attribute(n, "type") == "radio":
				if has(n, "checked") {
					fields[name] = attribute(n, "value")
				}
			case n.Data == "input" && attribute(n, "type") != "file":
				fields[name] = attribute(n, "value")
			}
		}
		return attribute(form, "action"), fields
	}
	p.t.Fatalf("the page has no form: %.300s", p.Text())
	return "", nil
}
