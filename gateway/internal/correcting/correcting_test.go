package correcting_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/gateway/internal/correcting"
	"cidsistem.example/gateway/internal/portaltest"
	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/editorialv1"
	"cidsistem.example/proto/gen/registryv1"
)

const (
	cardPath = "/correggi/marsala/services/trasporto"
	linkPath = "/conferma/marsala?c=buono"
)

// An office takes corrections as a comune's node does.
type office struct {
	editorialv1.UnimplementedCorrectionServiceServer
	mu      sync.Mutex
	made    map[string]*editorialv1.CreateCorrectionRequest
	answers []*editorialv1.AnswerConfirmationRequest
	fail    error
	cards   []proto.Message
}

func (o *office) CreateCorrection(_ context.Context, request *editorialv1.CreateCorrectionRequest) (*editorialv1.Correction, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.fail != nil {
		return nil, o.fail
	}
	before, known := o.made[request.GetRequestId()]
	if known && !proto.Equal(before, request) {
		return nil, apierror.New(registryv1.ErrorReason_REQUEST_ID_REUSED, "another correction came with this id")
	}
	o.made[request.GetRequestId()] = request
	return &editorialv1.Correction{PurgeTime: timestamppb.New(time.Date(2027, 11, 24, 8, 0, 0, 0, time.UTC))}, nil
}

func (o *office) LookUpConfirmation(_ context.Context, request *editorialv1.LookUpConfirmationRequest) (*editorialv1.LookUpConfirmationResponse, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.fail != nil {
		return nil, o.fail
	}
	if request.GetCode() != "buono" || len(o.answers) > 0 {
		return nil, apierror.New(registryv1.ErrorReason_RESOURCE_NOT_FOUND, "the link is not valid")
	}
	answer := &editorialv1.LookUpConfirmationResponse{Title: "Anffas", ExpireTime: timestamppb.New(time.Date(2026, 12, 24, 8, 0, 0, 0, time.UTC))}
	for _, card := range o.cards {
		packed, err := anypb.New(card)
		if err != nil {
			return nil, err
		}
		answer.Records = append(answer.Records, packed)
	}
	return answer, nil
}

func (o *office) AnswerConfirmation(_ context.Context, request *editorialv1.AnswerConfirmationRequest) (*editorialv1.AnswerConfirmationResponse, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.answers) > 0 {
		return nil, apierror.New(registryv1.ErrorReason_RESOURCE_NOT_FOUND, "the link is not valid")
	}
	o.answers = append(o.answers, request)
	return &editorialv1.AnswerConfirmationResponse{VerifiedCount: int32(len(request.GetConfirmed())), CorrectionCount: int32(len(request.GetCorrections()))}, nil
}

func (o *office) breaks(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.fail = err
}

func service() *registryv1.Service {
	return &registryv1.Service{
		Name: "comuni/marsala/services/trasporto", Title: portaltest.Text("Trasporto con pulmino"), Summary: portaltest.Text("Porta ai centri"), Status: &registryv1.Status{State: registryv1.Status_ACTIVE},
		Contacts: []*registryv1.ContactPoint{{Kind: registryv1.ContactPoint_PHONE, Value: "0923 993111", Label: "ufficio"}},
		Hours: &registryv1.Schedule{Weekly: []*registryv1.WeeklyHours{{
			Days: []registryv1.Weekday{registryv1.Weekday_MONDAY}, Hours: []*registryv1.TimeRange{{Opens: "09:00", Closes: "13:00"}},
		}}},
	}
}

func anffas() *registryv1.Organization {
	return &registryv1.Organization{
		Name: "comuni/marsala/organizations/anffas", Title: portaltest.Text("Anffas"), Summary: portaltest.Text("Famiglie"),
		Seat: &registryv1.Address{Street: "via Trapani 33", Municipality: "Marsala"},
	}
}

func start(t *testing.T, records ...proto.Message) (*portaltest.Portal, *office) {
	t.Helper()
	before := *correcting.Shortest
	*correcting.Shortest = -time.Hour // tests answer quicker than people
	t.Cleanup(func() { *correcting.Shortest = before })
	o := &office{made: map[string]*editorialv1.CreateCorrectionRequest{}, cards: []proto.Message{anffas(), service()}}
	if len(records) == 0 {
		records = []proto.Message{service(), anffas()}
	}
	return portaltest.Start(t, append(records, portaltest.Marsala()), func(s *grpc.Server) { editorialv1.RegisterCorrectionServiceServer(s, o) }), o
}

// send posts the form of a page, with what is typed into it.
func send(p *portaltest.Portal, page portaltest.Answer, typed ...string) portaltest.Answer {
	action, values := page.Form(0)
	for i := 0; i+1 < len(typed); i += 2 {
		values.Set(typed[i], typed[i+1])
	}
	return p.Post(action, values.Encode())
}

func (o *office) only(t *testing.T) *editorialv1.Correction {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.made) != 1 {
		t.Fatalf("%d corrections came, want 1", len(o.made))
	}
	for _, one := range o.made {
		return one.GetCorrection()
	}
	return nil
}

func TestCorrection(t *testing.T) {
	hours := "Orari: lunedì: 09:00–13:00"
	for _, test := range []struct {
		name, path string
		typed      []string
		want       *editorialv1.Correction
	}{
		{"a telephone", cardPath, []string{"nuovo.contacts[0].value", " 0923  111222 ", "come", "Ho chiamato", "contatto", "io@example.org"}, &editorialv1.Correction{
			Changes: []*editorialv1.Correction_Change{{Field: "contacts[0].value", Current: "0923 993111", Proposed: "0923  111222"}}, Note: "Ho chiamato", Contact: "io@example.org",
		}},
		{"words on a topic, and others", cardPath, []string{"nuovo.@orari", "Anche il martedì", "altro", "Il portone è rotto\r\nda ieri"}, &editorialv1.Correction{
			Changes: []*editorialv1.Correction_Change{{Current: hours, Proposed: "Anche il martedì"}, {Proposed: "Il portone è rotto\nda ieri"}},
		}},
		{"a value that goes", cardPath, []string{"nuovo.summary", ""}, &editorialv1.Correction{
			Changes: []*editorialv1.Correction_Change{{Current: "In breve: Porta ai centri", Proposed: "Da togliere: In breve"}},
		}},
		{"what is not said, in Arabic", "/ar" + cardPath, []string{"nuovo.howTo", "اتصل"}, &editorialv1.Correction{
			Changes: []*editorialv1.Correction_Change{{Field: "howTo", Proposed: "اتصل"}},
		}},
		{"an address", "/fr/correggi/marsala/organizations/anffas", []string{"nuovo.seat.street", "via Turati 8"}, &editorialv1.Correction{
			Changes: []*editorialv1.Correction_Change{{Field: "seat.street", Current: "via Trapani 33", Proposed: "via Turati 8"}},
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, o := start(t)
			page := p.Get(test.path)
			if page.Status != http.StatusOK {
				t.Fatalf("status %d", page.Status)
			}
			thanks := send(p, page, test.typed...)
			if thanks.Status != http.StatusOK || !strings.Contains(thanks.Body, "alert-success") {
				t.Fatalf("status %d: %s", thanks.Status, thanks.Text())
			}
			parts := strings.Split(strings.TrimPrefix(test.path[strings.Index(test.path, "/correggi"):], "/correggi/"), "/")
			test.want.Record = "comuni/" + strings.Join(parts, "/")
			if diff := cmp.Diff(test.want, o.only(t), protocmp.Transform()); diff != "" {
				t.Errorf("correction (-want +got):\n%s", diff)
			}
			send(p, page, test.typed...) // the button pressed twice
			o.only(t)
		})
	}
}

func TestCardSaysWhatIsThere(t *testing.T) {
	p, _ := start(t)
	text := p.Get(cardPath).Text()
	for _, want := range []string{"Trasporto con pulmino", "Telefono (ufficio) 0923 993111", "Orari lunedì: 09:00–13:00", "Che cosa serve La scheda non lo dice."} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q: %s", want, text)
		}
	}
	if card := p.Get("/servizi/marsala/trasporto"); !strings.Contains(card.Body, `href="`+cardPath+`"`) {
		t.Errorf("the card does not lead to its correction: %d %s", card.Status, card.Text())
	}
	for _, path := range []string{"/correggi/marsala/services/altro", "/correggi/marsala/nulla/trasporto", "/correggi/altrove/services/trasporto", "/correggi/marsala/services/A..B"} {
		if got := p.Get(path).Status; got != http.StatusNotFound {
			t.Errorf("%s: status %d", path, got)
		}
	}
}

func TestNothingTypedIsLost(t *testing.T) {
	const typed = `0923 "111" <i>222</i>`
	for _, test := range []struct {
		name   string
		fail   error
		more   []string
		least  time.Duration
		status int
		says   string
	}{
		{"the node is away", status.Error(codes.Unavailable, "away"), nil, -time.Hour, http.StatusServiceUnavailable, "in questo momento non risponde"},
		{"too many", apierror.New(registryv1.ErrorReason_TOO_MANY_REQUESTS, "too many"), nil, -time.Hour, http.StatusTooManyRequests, "Troppe correzioni"},
		{"the node refuses the field", apierror.Invalid("correction.changes[0].proposed", "no"), nil, -time.Hour, http.StatusBadRequest, "non accetta questo testo"},
		{"the card is gone", apierror.NotFound("comuni/marsala/services/trasporto"), nil, -time.Hour, http.StatusNotFound, "non c'è più"},
		{"nobody takes corrections", status.Error(codes.Unimplemented, "no"), nil, -time.Hour, http.StatusNotImplemented, "non si possono inviare"},
		{"a bad contact", nil, []string{"contatto", "boh"}, -time.Hour, http.StatusBadRequest, "Scrivi un indirizzo e-mail"},
		{"too long", nil, []string{"altro", strings.Repeat("è", 4001)}, -time.Hour, http.StatusBadRequest, "C'è un carattere di troppo"},
		{"a program filled everything in", nil, []string{"sito", "x"}, -time.Hour, http.StatusBadRequest, "campo nascosto"},
		{"quicker than a person", nil, nil, time.Hour, http.StatusBadRequest, "molto in fretta"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, o := start(t)
			*correcting.Shortest = test.least
			o.breaks(test.fail)
			page := p.Get(cardPath)
			again := send(p, page, append([]string{"nuovo.contacts[0].value", typed, "come", "Lo so"}, test.more...)...)
			if again.Status != test.status || !strings.Contains(again.Text(), test.says) {
				t.Fatalf("status %d, want %d and %q: %s", again.Status, test.status, test.says, again.Text())
			}
			_, values := again.Form(0)
			if values.Get("nuovo.contacts[0].value") != typed || values.Get("come") != "Lo so" {
				t.Errorf("the form has %v", values)
			}
			if again.Scripts() != 0 {
				t.Error("the page has scripts of its own")
			}
			// The same form, once what was wrong is over.
			*correcting.Shortest = -time.Hour
			o.breaks(nil)
			if sent := send(p, again, "contatto", "", "sito", "", "altro", ""); sent.Status != http.StatusOK {
				t.Fatalf("again: status %d: %s", sent.Status, sent.Text())
			}
			if got := o.only(t).GetChanges()[0].GetProposed(); got != typed {
				t.Errorf("proposed %q", got)
			}
		})
	}
}

func TestNothingIsNoCorrection(t *testing.T) {
	p, o := start(t)
	again := send(p, p.Get(cardPath), "come", "Mah")
	if again.Status != http.StatusBadRequest || len(o.made) != 0 {
		t.Errorf("status %d, %d corrections: %s", again.Status, len(o.made), again.Text())
	}
}

func TestFormOfRubbish(t *testing.T) {
	p, o := start(t)
	for _, form := range []string{
		"nuovo.title=%ff%00x&ora.title=%fe", "ora.[=1&nuovo.[=2", "richiesta=x&mostrato=y", "ora.a.b.c[99]=x&nuovo.a.b.c[99]=<script>alert(1)</script>",
	} {
		page := p.Post(cardPath, form)
		if page.Status >= http.StatusInternalServerError || page.Scripts() != 0 {
			t.Errorf("%s: status %d, %d scripts", form, page.Status, page.Scripts())
		}
	}
	if len(o.made) != 0 {
		t.Errorf("%d corrections were made of rubbish", len(o.made))
	}
}

func TestTextsOfRecordsAreText(t *testing.T) {
	p, o := start(t, portaltest.Injected(service()), portaltest.Injected(anffas()))
	o.cards = []proto.Message{portaltest.Injected(anffas()), portaltest.Injected(service())}
	for _, path := range []string{cardPath, "/ar" + cardPath, "/correggi/marsala/organizations/anffas", linkPath, "/ar" + linkPath} {
		page := p.Get(path)
		if page.Status != http.StatusOK || page.Scripts() != 0 || !strings.Contains(page.Text(), portaltest.Injection) {
			t.Errorf("%s: status %d, %d scripts", path, page.Status, page.Scripts())
		}
	}
}

func TestLink(t *testing.T) {
	p, o := start(t)
	page := p.Get(linkPath)
	if page.Status != http.StatusOK || !strings.Contains(page.Text(), "24 dicembre 2026") {
		t.Fatalf("status %d: %s", page.Status, page.Text())
	}
	for header, want := range map[string]string{"Referrer-Policy": "no-referrer", "Cache-Control": "no-store", "X-Robots-Tag": "noindex"} {
		if got := page.Header.Get(header); !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %s", header, got, want)
		}
	}
	if !strings.Contains(page.Body, `<meta name="robots" content="noindex">`) {
		t.Error("search engines may keep the page")
	}
	if !strings.Contains(page.Body, `href="/ar/conferma/marsala?c=buono"`) {
		t.Error("the other languages lose the code")
	}
	if nothing := send(p, page); nothing.Status != http.StatusBadRequest {
		t.Errorf("an answer that says nothing: status %d", nothing.Status)
	}
	if both := send(p, page, "0.esito", "giusto", "0.nuovo.summary", "Altro"); both.Status != http.StatusBadRequest {
		t.Errorf("right and corrected: status %d", both.Status)
	}
	typed := []string{"0.esito", "giusto", "1.esito", "correggi", "1.nuovo.contacts[0].value", "0923 111222", "1.altro", "Chiuso ad agosto", "come", "La segreteria"}
	thanks := send(p, page, typed...)
	if thanks.Status != http.StatusOK || !strings.Contains(thanks.Text(), "Una scheda risulta controllata") || !strings.Contains(thanks.Text(), "Una correzione aspetta") {
		t.Fatalf("status %d: %s", thanks.Status, thanks.Text())
	}
	want := &editorialv1.AnswerConfirmationRequest{
		Parent: "comuni/marsala", Code: "buono", Confirmed: []string{"comuni/marsala/organizations/anffas"},
		Corrections: []*editorialv1.Correction{{Record: "comuni/marsala/services/trasporto", Note: "La segreteria", Changes: []*editorialv1.Correction_Change{
			{Field: "contacts[0].value", Current: "0923 993111", Proposed: "0923 111222"}, {Proposed: "Chiuso ad agosto"},
		}}},
	}
	if diff := cmp.Diff(want, o.answers[0], protocmp.Transform()); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
	for _, over := range []portaltest.Answer{send(p, page, typed...), p.Get(linkPath), p.Get("/conferma/marsala?c=altro"), p.Get("/conferma/marsala"), p.Get("/conferma/marsala?c=" + strings.Repeat("x", 101))} {
		if over.Status != http.StatusNotFound || !strings.Contains(over.Text(), "0923 993111") {
			t.Errorf("status %d: %s", over.Status, over.Text())
		}
	}
	if len(o.answers) != 1 {
		t.Errorf("%d answers were taken", len(o.answers))
	}
}

func TestAllIsRight(t *testing.T) {
	p, o := start(t)
	thanks := send(p, p.Get(linkPath), "vai", "tutte")
	want := []string{"comuni/marsala/organizations/anffas", "comuni/marsala/services/trasporto"}
	if thanks.Status != http.StatusOK || len(o.answers) != 1 {
		t.Fatalf("status %d: %s", thanks.Status, thanks.Text())
	}
	if diff := cmp.Diff(want, o.answers[0].GetConfirmed()); diff != "" {
		t.Errorf("confirmed (-want +got):\n%s", diff)
	}
}

func TestLinkWhileTheNodeIsAway(t *testing.T) {
	p, o := start(t)
	page := p.Get(linkPath)
	o.breaks(status.Error(codes.Unavailable, "away"))
	again := send(p, page, "1.esito", "correggi", "1.nuovo.title", "Il pulmino", "0.esito", "giusto")
	if again.Status != http.StatusServiceUnavailable {
		t.Fatalf("status %d: %s", again.Status, again.Text())
	}
	_, values := again.Form(0)
	for name, want := range map[string]string{"c": "buono", "1.esito": "correggi", "1.nuovo.title": "Il pulmino", "0.esito": "giusto", "0.scheda": anffas().GetName()} {
		if got := values.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	o.breaks(nil)
	if sent := send(p, again); sent.Status != http.StatusOK || len(o.answers) != 1 {
		t.Fatalf("again: status %d: %s", sent.Status, sent.Text())
	}
	if got := o.answers[0].GetCorrections()[0].GetChanges()[0]; got.GetField() != "title" || got.GetProposed() != "Il pulmino" {
		t.Errorf("change %v", got)
	}
}
