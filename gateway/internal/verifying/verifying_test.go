package verifying_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
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
	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/gateway/internal/portaltest"
	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/annotationsv1"
	"cidsistem.example/proto/gen/editorialv1"
	"cidsistem.example/proto/gen/registryv1"
)

const (
	due         = "/lavoro/verifiche/"
	links       = "/lavoro/verifiche/conferme"
	corrections = "/lavoro/correzioni/"
	body        = "comuni/marsala/organizations/anffas"
)

// An office is a comune's node, as far as these pages ask it.
type office struct {
	mu          sync.Mutex
	due         []*editorialv1.ListDueRecordsResponse_DueRecord
	verified    []*editorialv1.VerifyRecordRequest
	links       map[string]*editorialv1.CreateConfirmationRequest
	correction  *editorialv1.Correction
	decided     []*editorialv1.DecideCorrectionRequest
	fail, reads error
}

type recordOffice struct {
	editorialv1.UnimplementedRecordServiceServer
	*office
}

type correctionOffice struct {
	editorialv1.UnimplementedCorrectionServiceServer
	*office
}

func (o *office) set(change func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	change()
}

func (o recordOffice) ListDueRecords(_ context.Context, request *editorialv1.ListDueRecordsRequest) (*editorialv1.ListDueRecordsResponse, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.reads != nil {
		return nil, o.reads
	}
	from := 0
	_, _ = fmt.Sscanf(request.GetPageToken(), "dopo%d", &from)
	end := min(from+int(request.GetPageSize()), len(o.due))
	answer := &editorialv1.ListDueRecordsResponse{Records: o.due[from:end], TotalSize: int32(len(o.due))}
	if end < len(o.due) {
		answer.NextPageToken = fmt.Sprintf("dopo%d", end)
	}
	return answer, nil
}

func (o recordOffice) VerifyRecord(_ context.Context, request *editorialv1.VerifyRecordRequest) (*editorialv1.RecordVersion, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.fail != nil {
		return nil, o.fail
	}
	o.verified = append(o.verified, request)
	o.due = slices.DeleteFunc(o.due, func(one *editorialv1.ListDueRecordsResponse_DueRecord) bool {
		return one.GetRecord() == request.GetRecord()
	})
	return &editorialv1.RecordVersion{}, nil
}

func (o correctionOffice) ListConfirmations(context.Context, *editorialv1.ListConfirmationsRequest) (*editorialv1.ListConfirmationsResponse, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	answer := &editorialv1.ListConfirmationsResponse{}
	for _, one := range o.links {
		sent := proto.CloneOf(one.GetConfirmation())
		sent.State, sent.Records = editorialv1.Confirmation_SENT, []string{body}
		answer.Confirmations = append(answer.Confirmations, sent)
	}
	return answer, o.reads
}

func (o correctionOffice) CreateConfirmation(_ context.Context, request *editorialv1.CreateConfirmationRequest) (*editorialv1.Confirmation, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.fail != nil {
		return nil, o.fail
	}
	o.links[request.GetRequestId()] = request
	return request.GetConfirmation(), nil
}

func (o correctionOffice) ListCorrections(_ context.Context, request *editorialv1.ListCorrectionsRequest) (*editorialv1.ListCorrectionsResponse, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	answer := &editorialv1.ListCorrectionsResponse{}
	if request.GetState() == 0 || request.GetState() == o.correction.GetState() {
		answer.Corrections = append(answer.Corrections, o.correction)
	}
	return answer, o.reads
}

func (o correctionOffice) GetCorrection(_ context.Context, request *editorialv1.GetCorrectionRequest) (*editorialv1.Correction, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if request.GetName() != o.correction.GetName() {
		return nil, apierror.NotFound(request.GetName())
	}
	return o.correction, o.reads
}

func (o correctionOffice) DecideCorrection(_ context.Context, request *editorialv1.DecideCorrectionRequest) (*editorialv1.Correction, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.fail != nil {
		return nil, o.fail
	}
	o.decided = append(o.decided, request)
	return o.correction, nil
}

func start(t *testing.T, roles ...annotationsv1.Role) (*portaltest.Portal, *office) {
	t.Helper()
	if len(roles) == 0 {
		roles = []annotationsv1.Role{annotationsv1.Role_EDITOR}
	}
	day := timestamppb.New(time.Date(2026, 1, 2, 8, 0, 0, 0, time.UTC))
	o := &office{
		links: map[string]*editorialv1.CreateConfirmationRequest{},
		correction: &editorialv1.Correction{
			Name: "comuni/marsala/corrections/c1", Record: body, Title: "Anffas", State: editorialv1.Correction_OPEN, CreateTime: day,
			Origin: editorialv1.Correction_PUBLIC_PERSON, Note: "<script>nota</script>", Contact: "io@example.org",
			Changes: []*editorialv1.Correction_Change{
				{Field: "contacts[0].value", Current: "0923 1", Proposed: "0923 111222"},
				{Field: "title", Current: "Anfas", Proposed: "Anffas onlus"},
				{Proposed: "Il portone è <b>rotto</b>"},
			},
		},
	}
	for _, name := range []string{"services/a", "services/b", "organizations/anffas"} {
		one := &editorialv1.ListDueRecordsResponse_DueRecord{Record: "comuni/marsala/" + name, Title: "Scheda <i>" + name, Etag: "e-" + name, DueTime: day}
		if name != "services/b" {
			one.Keeper = body
		}
		o.due = append(o.due, one)
	}
	records := []proto.Message{portaltest.Marsala(), &registryv1.Organization{
		Name: body, Title: portaltest.Text("Anffas"), Etag: "e7", Contacts: []*registryv1.ContactPoint{
			{Kind: registryv1.ContactPoint_PHONE, Value: "0923 1"}, {Kind: registryv1.ContactPoint_EMAIL, Value: "anffas@example.org"},
		},
	}}
	p := portaltest.Start(t, records, portaltest.Person(roles...), func(s *grpc.Server) {
		editorialv1.RegisterRecordServiceServer(s, recordOffice{office: o})
		editorialv1.RegisterCorrectionServiceServer(s, correctionOffice{office: o})
	})
	return p.SignedIn(), o
}

// send posts a form of a page, with what is typed into it.
func send(p *portaltest.Portal, page portaltest.Answer, form int, typed ...string) portaltest.Answer {
	action, values := page.Form(form)
	values.Del("")
	for i := 0; i+1 < len(typed); i += 2 {
		values.Del(typed[i])
		for value := range strings.SplitSeq(typed[i+1], "|") {
			if value != "" {
				values.Add(typed[i], value)
			}
		}
	}
	return p.Post(action, values.Encode())
}

// The first form of a page of the bench signs out.
const first = 1

func TestVerify(t *testing.T) {
	p, o := start(t)
	page := p.Get(due)
	if page.Status != http.StatusOK || page.Scripts() != 0 || !strings.Contains(page.Text(), "3 schede") || !strings.Contains(page.Text(), "Scheda <i>services/a") {
		t.Fatalf("status %d: %s", page.Status, page.Text())
	}
	next := send(p, page, first, "mezzo", "by_phone", "nota", "Ho parlato con l'ufficio")
	if want := due + "?mezzo=by_phone&fatto=verifica#scheda-services-b"; next.Status != http.StatusSeeOther || next.Header.Get("Location") != want {
		t.Fatalf("status %d to %q, want %q", next.Status, next.Header.Get("Location"), want)
	}
	want := &editorialv1.VerifyRecordRequest{
		Parent: "comuni/marsala", Record: "comuni/marsala/services/a", Etag: "e-services/a", Means: editorialv1.VerificationMeans_BY_PHONE, Note: "Ho parlato con l'ufficio",
	}
	if diff := cmp.Diff(want, o.verified[0], protocmp.Transform()); diff != "" {
		t.Errorf("verified (-want +got):\n%s", diff)
	}
	page = p.Get(due + "?mezzo=by_phone&fatto=verifica")
	if _, values := page.Form(first); values.Get("scheda") != "comuni/marsala/services/b" || values.Get("mezzo") != "by_phone" {
		t.Errorf("the next one is %v", values)
	}
	if !strings.Contains(page.Text(), "Scheda controllata") {
		t.Error("nobody says that it is done")
	}
}

func TestVerifyRefused(t *testing.T) {
	for _, test := range []struct {
		name   string
		fail   error
		reads  error
		means  string
		note   string
		status int
	}{
		{"no means", nil, nil, "", "Nota", http.StatusBadRequest},
		{"means that there are not", nil, nil, "by_magic", "Nota", http.StatusBadRequest},
		{"a long note", nil, nil, "by_visit", strings.Repeat("n", 501), http.StatusBadRequest},
		{"changed meanwhile", apierror.New(registryv1.ErrorReason_ETAG_MISMATCH, "changed"), nil, "by_visit", "Nota", 0},
		{"the node is away", status.Error(codes.Unavailable, "away"), status.Error(codes.Unavailable, "away"), "by_visit", "Nota <b>", http.StatusServiceUnavailable},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, o := start(t)
			page := p.Get(due)
			o.set(func() { o.fail, o.reads = test.fail, test.reads })
			again := send(p, page, first, "mezzo", test.means, "nota", test.note)
			if again.Status < 400 || test.status != 0 && again.Status != test.status {
				t.Fatalf("status %d: %s", again.Status, again.Text())
			}
			_, values := again.Form(first)
			if values.Get("nota") != test.note || values.Get("scheda") != "comuni/marsala/services/a" || len(o.verified) != 0 {
				t.Errorf("the form has %v, %d verified", values, len(o.verified))
			}
		})
	}
}

func TestDueByBodyAndPage(t *testing.T) {
	p, o := start(t)
	text := p.Get(due + "?vista=enti").Text()
	at := func(what string) int { return strings.Index(text, what) }
	if !slices.IsSorted([]int{at("Manda un link all'ente"), at("services/a"), at("organizations/anffas"), at("Schede del comune")}) {
		t.Errorf("not by body: %s", text)
	}
	o.set(func() {
		for i := range 10_000 {
			o.due = append(o.due, &editorialv1.ListDueRecordsResponse_DueRecord{Record: fmt.Sprintf("comuni/marsala/services/s%d", i), Title: "Una", Keeper: body})
		}
	})
	page := p.Get(due)
	if strings.Count(page.Body, `class="due-form"`) != 50 || !strings.Contains(page.Body, "pagina=dopo50") {
		t.Errorf("a page has %d, or does not lead on", strings.Count(page.Body, `class="due-form"`))
	}
	next := p.Get(due + "?pagina=dopo50")
	done := send(p, next, first, "mezzo", "by_visit")
	if !strings.HasPrefix(done.Header.Get("Location"), due+"?mezzo=by_visit&pagina=dopo50&fatto=verifica#scheda-") {
		t.Errorf("leads to %q", done.Header.Get("Location"))
	}
}

func TestSendLink(t *testing.T) {
	p, o := start(t)
	if found := p.Get(links + "?cerca=anffas"); !strings.Contains(found.Body, "ente=comuni%2fmarsala%2forganizations%2fanffas") && !strings.Contains(found.Body, "ente=comuni%2Fmarsala%2Forganizations%2Fanffas") {
		t.Errorf("the search leads to no body: %s", found.Text())
	}
	page := p.Get(links + "?ente=" + body)
	if bad := send(p, page, first, "email", "altra", "altra", "boh <"); bad.Status != http.StatusBadRequest || !strings.Contains(bad.Body, `value="boh &lt;"`) {
		t.Errorf("a bad address: status %d: %s", bad.Status, bad.Text())
	}
	o.set(func() { o.fail = status.Error(codes.Unavailable, "away") })
	away := send(p, page, first, "email", "altra", "altra", "nuova@example.org")
	if away.Status != http.StatusServiceUnavailable || !strings.Contains(away.Body, "nuova@example.org") {
		t.Errorf("away: status %d: %s", away.Status, away.Text())
	}
	o.set(func() { o.fail = nil })
	for range 2 { // the button pressed twice
		if done := send(p, page, first); done.Status != http.StatusSeeOther {
			t.Fatalf("status %d: %s", done.Status, done.Text())
		}
	}
	if len(o.links) != 1 {
		t.Fatalf("%d links", len(o.links))
	}
	for _, one := range o.links {
		if one.GetConfirmation().GetEmail() != "anffas@example.org" || one.GetConfirmation().GetOrganization() != body {
			t.Errorf("sent %v", one)
		}
	}
	if text := p.Get(links).Text(); !strings.Contains(text, "Anffas Aspetta la risposta") && !strings.Contains(text, "Aspetta la risposta") {
		t.Errorf("the list: %s", text)
	}
	if other := p.Get(links + "?ente=comuni/altrove/organizations/x"); other.Status != http.StatusNotFound {
		t.Errorf("a body of another comune: status %d", other.Status)
	}
}

func TestDecide(t *testing.T) {
	for _, test := range []struct {
		name     string
		typed    []string
		location string
		want     *editorialv1.DecideCorrectionRequest
	}{
		{
			"what is chosen",
			[]string{"prendi", "0|2", "risposta", "Grazie", "azione", "applica"},
			corrections + "?fatto=correzione_presa",
			&editorialv1.DecideCorrectionRequest{Accepted: []int32{0, 2}, Answer: "Grazie"},
		},
		{"as it is chosen for you", []string{"azione", "applica"}, corrections + "?fatto=correzione_presa", &editorialv1.DecideCorrectionRequest{Accepted: []int32{0, 2}}},
		{"nothing of it", []string{"azione", "rifiuta"}, corrections + "?fatto=correzione_rifiutata", &editorialv1.DecideCorrectionRequest{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, o := start(t)
			page := p.Get(corrections + "c1")
			text := page.Text()
			for _, want := range []string{"Telefono", "0923 111222", "Chi propone ha visto", "Anfas", "La scheda ora dice altro", "Il portone è <b>rotto</b>", "<script>nota</script>", "io@example.org"} {
				if !strings.Contains(text, want) {
					t.Errorf("the page lacks %q: %s", want, text)
				}
			}
			if page.Scripts() != 0 {
				t.Error("a text became a script")
			}
			done := send(p, page, first, test.typed...)
			if done.Status != http.StatusSeeOther || done.Header.Get("Location") != test.location {
				t.Fatalf("status %d to %q: %s", done.Status, done.Header.Get("Location"), done.Text())
			}
			test.want.Name, test.want.RecordEtag = "comuni/marsala/corrections/c1", "e7"
			if diff := cmp.Diff(test.want, o.decided[0], protocmp.Transform()); diff != "" {
				t.Errorf("decided (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDecideRefused(t *testing.T) {
	for _, test := range []struct {
		name   string
		fail   error
		typed  []string
		status int
		says   string
	}{
		{"nothing chosen", nil, []string{"prendi", "", "azione", "applica"}, http.StatusBadRequest, "Scegli che cosa prendere"},
		{"no button", nil, nil, http.StatusBadRequest, "Scegli che cosa prendere"},
		{"changed meanwhile", apierror.New(registryv1.ErrorReason_ETAG_MISMATCH, "changed"), []string{"azione", "applica"}, 0, ""},
		{"a value that does not fit", apierror.Invalid("correction.changes[0].proposed", "no telephone"), []string{"azione", "applica"}, http.StatusBadRequest, "no telephone"},
		{"the node is away", status.Error(codes.Unavailable, "away"), []string{"azione", "applica"}, http.StatusServiceUnavailable, "Il nodo non risponde"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, o := start(t)
			o.set(func() { o.fail = test.fail })
			again := send(p, p.Get(corrections+"c1"), first, append([]string{"risposta", "Grazie <b>"}, test.typed...)...)
			if again.Status < 400 || test.status != 0 && again.Status != test.status || !strings.Contains(again.Text(), test.says) {
				t.Fatalf("status %d: %s", again.Status, again.Text())
			}
			if _, values := again.Form(first); values.Get("risposta") != "Grazie <b>" || values.Get("versione") != "e7" {
				t.Errorf("the form has %v", values)
			}
			if len(o.decided) != 0 {
				t.Error("it was decided")
			}
		})
	}
}

func TestDecidedMeanwhile(t *testing.T) {
	p, o := start(t)
	page := p.Get(corrections + "c1")
	o.set(func() {
		o.correction = proto.CloneOf(o.correction)
		o.correction.State, o.correction.Answer = editorialv1.Correction_REJECTED, "Non risulta"
		o.fail = apierror.New(registryv1.ErrorReason_NOT_SUPPORTED_HERE, "decided already")
	})
	told := send(p, page, first, "azione", "applica")
	if told.Status < 400 || !strings.Contains(told.Text(), "già decisa") || !strings.Contains(told.Text(), "Non risulta") {
		t.Errorf("status %d: %s", told.Status, told.Text())
	}
	if list := p.Get(corrections); strings.Contains(list.Body, corrections+"c1") {
		t.Error("it is still among those to decide")
	}
	if list := p.Get(corrections + "?stato=tutte"); !strings.Contains(list.Body, corrections+"c1") {
		t.Error("it is nowhere")
	}
}

func TestWhoMay(t *testing.T) {
	desk, _ := start(t, annotationsv1.Role_SUPPORT_DESK)
	for _, path := range []string{due, links, corrections, corrections + "c1"} {
		if got := desk.Get(path).Status; got != http.StatusForbidden {
			t.Errorf("the desk at %s: status %d", path, got)
		}
	}
	p, _ := start(t)
	for _, path := range []string{corrections + "nessuna", corrections + "?stato=boh"} {
		if got := p.Get(path).Status; got != http.StatusNotFound {
			t.Errorf("%s: status %d", path, got)
		}
	}
}
