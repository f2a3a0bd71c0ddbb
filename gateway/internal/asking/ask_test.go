package asking_test

import (
	"bytes"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/testing/protocmp"

	"cidsistem.example/gateway/internal/portaltest"
	"cidsistem.example/gateway/internal/wording"
	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/deskv1"
	"cidsistem.example/proto/gen/registryv1"
)

// send submits the form of a page, with what is typed into it.
func (p *page) send(typed ...string) *page {
	p.t.Helper()
	action, fields := p.fields()
	values := url.Values{}
	for name, value := range fields {
		values.Set(name, value)
	}
	for i := 0; i+1 < len(typed); i += 2 {
		values.Set(typed[i], typed[i+1])
	}
	return open(p.t, p.portal, p.portal.Post(action, values.Encode()))
}

type file struct{ name, data string }

// sendFiles submits the form of a page with files.
func (p *page) sendFiles(files []file, typed ...string) *page {
	p.t.Helper()
	action, fields := p.fields()
	for i := 0; i+1 < len(typed); i += 2 {
		fields[typed[i]] = typed[i+1]
	}
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for name, value := range fields {
		if err := form.WriteField(name, value); err != nil {
			p.t.Fatal(err)
		}
	}
	for _, f := range files {
		part, err := form.CreateFormFile("allegati", f.name)
		if err == nil {
			_, err = part.Write([]byte(f.data))
		}
		if err != nil {
			p.t.Fatal(err)
		}
	}
	if err := form.Close(); err != nil {
		p.t.Fatal(err)
	}
	return open(p.t, p.portal, p.portal.PostAs(action, form.FormDataContentType(), body.Bytes()))
}

func get(t *testing.T, p *portaltest.Portal, path string) *page {
	t.Helper()
	return open(t, p, p.Get(path))
}

// whole are good answers to all questions, in the order in which they are asked.
var whole = [][]string{
	{"comune", "marsala"},
	{"tipo", "informazioni"},
	{"testo", "Mio figlio va a scuola.\nChi lo accompagna?", "categoria", "school"},
	{"per", "altro"},
	{"ruolo", "parent", "base", "Sono il padre", "scadenza", "2100-01-31"},
	{"canale", "phone"},
	{"telefono", "0923 993111", "nome", "Chi chiede", "orari", "dopo le 16"},
}

// answered goes through all questions to the page on which everything is checked.
func answered(t *testing.T, p *portaltest.Portal, path string, answers ...[]string) *page {
	t.Helper()
	at := get(t, p, path)
	for _, typed := range answers {
		if at = at.send(typed...); at.Status != http.StatusOK {
			t.Fatalf("after %v: status %d: %s", typed, at.Status, at.Text())
		}
	}
	if !strings.Contains(at.Body, `value="invia"`) {
		t.Fatalf("the questions do not lead to the end: %s", at.Text())
	}
	return at
}

func TestAsk(t *testing.T) {
	p, desk := start(t)
	for _, test := range []struct {
		name    string
		path    string
		answers [][]string
		want    *deskv1.Request
	}{
		{"information for another person", "/chiedi/", whole, &deskv1.Request{
			Text: "Mio figlio va a scuola.\nChi lo accompagna?", Category: "school", Kind: deskv1.Request_INFORMATION, Language: "it",
			PreferredChannel: deskv1.Request_PHONE, ContactHours: "dopo le 16", Contact: &deskv1.Contact{FullName: "Chi chiede", Telephone: "0923 993111"},
			Representation: &deskv1.Representation{Role: deskv1.Representation_PARENT, Basis: "Sono il padre", ExpiryDate: &registryv1.PartialDate{Year: 2100, Month: 1, Day: 31}},
		}},
		{"nothing but the question, in Arabic", "/ar/chiedi/?comune=marsala&tipo=informazioni", [][]string{
			{"testo", "أين المكتب؟"}, {"per", "me"}, {},
		}, &deskv1.Request{Text: "أين المكتب؟", Kind: deskv1.Request_INFORMATION, Language: "ar", PreferredChannel: deskv1.Request_CODE_ONLY}},
		{"disruption from a service's card", "/chiedi/?tipo=disservizio&servizio=comuni/marsala/services/trasporto", [][]string{
			{"problema", "late", "data", "3/5/2026", "quando", "alle 8"}, {"testo", "Il pulmino non arriva"}, {"per", "me"}, {"canale", "code_only"},
		}, &deskv1.Request{
			Text: "Il pulmino non arriva", Kind: deskv1.Request_DISRUPTION, Language: "it", Service: "comuni/marsala/services/trasporto",
			Disruption:       &deskv1.Disruption{Problem: deskv1.Disruption_LATE, Date: &registryv1.PartialDate{Year: 2026, Month: 5, Day: 3}, When: "alle 8"},
			PreferredChannel: deskv1.Request_CODE_ONLY,
		}},
		{"disruption at a place that is looked for", "/chiedi/?tipo=disservizio", [][]string{
			{"comune", "marsala"},
			{"cerca", "Falcone", "vai", "cerca"},
			{"soggetto", "comuni/marsala/locations/sportello"},
			{"problema", "something_else"},
			{"testo", "Rumore"},
			{"per", "me"},
			{"canale", "visit"},
		}, &deskv1.Request{
			Text: "Rumore", Kind: deskv1.Request_DISRUPTION, Language: "it", Location: "comuni/marsala/locations/sportello",
			Disruption: &deskv1.Disruption{Problem: deskv1.Disruption_OTHER}, PreferredChannel: deskv1.Request_VISIT,
		}},
		{"disruption of what is not listed", "/chiedi/?tipo=disservizio&comune=marsala", [][]string{
			{"soggetto", "altro"}, {"problema", "not_provided"}, {"testo", "Chiuso"}, {"per", "me"}, {"canale", "code_only"},
		}, &deskv1.Request{
			Text: "Disservizio di un servizio o luogo che non è nell'elenco. Il servizio non c'è stato, o era chiuso. Quando: \n\nChiuso",
			Kind: deskv1.Request_INFORMATION, Language: "it", PreferredChannel: deskv1.Request_CODE_ONLY,
		}},
		{"to be called", "/chiedi/?tipo=richiamata&comune=marsala", [][]string{
			{"testo", "Il bando"}, {"per", "me"}, {"telefono", "+39 320 1234567"},
		}, &deskv1.Request{
			Text: "Il bando", Kind: deskv1.Request_CALL_BACK, Language: "it", PreferredChannel: deskv1.Request_PHONE,
			Contact: &deskv1.Contact{Telephone: "+39 320 1234567"},
		}},
		{"to correct a record that is no service", "/chiedi/?tipo=correzione&scheda=comuni/marsala/organizations/anffas", [][]string{
			{"testo", "Il telefono è cambiato"}, {"per", "me"}, {"canale", "code_only"},
		}, &deskv1.Request{
			Text: "Scheda: comuni/marsala/organizations/anffas\n\nIl telefono è cambiato", Kind: deskv1.Request_CORRECTION, Language: "it", PreferredChannel: deskv1.Request_CODE_ONLY,
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			desk.reset()
			at := answered(t, p, test.path, test.answers...)
			for range 2 { // a double tap, a reload, a lost answer
				got := at.sendFiles([]file{{"foto.txt", "ciao"}}, "vai", "invia")
				if got.Status != http.StatusOK || !strings.Contains(got.Body, `id="codice" dir="ltr">`+code+"<") {
					t.Fatalf("status %d, no receipt: %s", got.Status, got.Text())
				}
				if got.Header.Get("Cache-Control") != "no-store" {
					t.Errorf("a receipt may be kept: %v", got.Header)
				}
			}
			sent := desk.sent(t)
			if diff := cmp.Diff(test.want, sent.GetRequest(), protocmp.Transform()); diff != "" {
				t.Errorf("the desk was asked something else (-want +got):\n%s", diff)
			}
			files := []*deskv1.AttachedFile{{FileName: "foto.txt", Data: []byte("ciao")}}
			if diff := cmp.Diff(files, sent.GetAttachments(), protocmp.Transform()); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
		})
	}
}

func TestReceipt(t *testing.T) {
	p, _ := start(t)
	got := answered(t, p, "/chiedi/", whole...).send("vai", "invia")
	for _, want := range []string{"entro il 29 maggio 2026", "Lo sportello di Marsala", "0923 993111", "Copia il codice"} {
		if !strings.Contains(got.Text(), want) {
			t.Errorf("the receipt does not say %q: %s", want, got.Text())
		}
	}
	for n := range got.document.Descendants() {
		for _, name := range []string{"href", "action", "src"} {
			if strings.Contains(attribute(n, name), code) {
				t.Errorf("the code is in an address: %s", attribute(n, name))
			}
		}
	}
}

func TestGoingBackAndChanging(t *testing.T) {
	p, desk := start(t)
	at := get(t, p, "/chiedi/?comune=marsala&tipo=informazioni").send("testo", "Primo testo", "categoria", "work")
	at = at.send("vai", "indietro")
	if _, fields := at.fields(); fields["testo"] != "Primo testo" || fields["categoria"] != "work" {
		t.Errorf("going back loses what was typed: %v", fields)
	}
	at = at.send("testo", "Secondo testo").send("per", "altro").send("ruolo", "guardian").send("canale", "email").send("email", "io@example.org")
	if !strings.Contains(at.Text(), "Secondo testo") || !strings.Contains(at.Text(), "Sono il tutore") {
		t.Errorf("the last page does not show everything: %s", at.Text())
	}
	at = at.send("vai", "per").send("per", "me")
	if strings.Contains(at.Text(), "tutore") {
		t.Error("what is not needed any more is still shown")
	}
	at.send("vai", "invia")
	if got := desk.sent(t).GetRequest(); got.GetRepresentation() != nil || got.GetContact().GetEmail() != "io@example.org" {
		t.Errorf("the desk was asked %v", got)
	}
}

// TestProblems gives every field a bad value: what is wrong stands beside the field and in the summary that gets the focus, in the
// page's language, and what was typed is still there.
func TestProblems(t *testing.T) {
	long := func(n int) string { return strings.Repeat("è", n) }
	disruption := "tipo=disservizio&servizio=comuni/marsala/services/trasporto&comune=marsala"
	tests := []struct {
		query   string
		before  [][]string
		typed   []string
		field   string
		message string
	}{
		{"", nil, nil, "comune", "comune"},
		{"", nil, []string{"comune", "palermo"}, "comune", "comune"},
		{"comune=marsala", nil, nil, "tipo", "kind"},
		{"comune=marsala", nil, []string{"tipo", "altro"}, "tipo", "kind"},
		{"comune=marsala&tipo=disservizio", nil, nil, "soggetto", "subject"},
		{"comune=marsala&tipo=disservizio", nil, []string{"soggetto", "comuni/pantelleria/services/xx"}, "soggetto", "subject"},
		{disruption, nil, []string{"quando", "ieri"}, "problema", "problem"},
		{disruption, nil, []string{"problema", "late", "data", "31/2/2026"}, "data", "date"},
		{disruption, nil, []string{"problema", "late", "data", "2199-01-01"}, "data", "future"},
		{disruption, nil, []string{"problema", "late", "quando", long(201)}, "quando", "tooLong"},
		{"comune=marsala&tipo=informazioni", nil, []string{"testo", " \n", "categoria", "work"}, "testo", "text"},
		{"comune=marsala&tipo=informazioni", nil, []string{"testo", long(5001)}, "testo", "tooLong"},
		{"comune=marsala&tipo=informazioni", nil, []string{"testo", "x", "categoria", "nessuna"}, "categoria", "category"},
		{"comune=marsala&tipo=informazioni", [][]string{{"testo", "x"}}, nil, "per", "for"},
		{"comune=marsala&tipo=informazioni", [][]string{{"testo", "x"}, {"per", "altro"}}, []string{"base", "delega"}, "ruolo", "role"},
		{"comune=marsala&tipo=informazioni", [][]string{{"testo", "x"}, {"per", "altro"}}, []string{"ruolo", "parent", "base", long(501)}, "base", "tooLong"},
		{"comune=marsala&tipo=informazioni", [][]string{{"testo", "x"}, {"per", "altro"}}, []string{"ruolo", "parent", "scadenza", "domani"}, "scadenza", "date"},
		{"comune=marsala&tipo=informazioni", [][]string{{"testo", "x"}, {"per", "altro"}}, []string{"ruolo", "parent", "scadenza", "2020-01-01"}, "scadenza", "expired"},
		{"comune=marsala&tipo=informazioni", [][]string{{"testo", "x"}, {"per", "me"}}, []string{"canale", "piccione"}, "canale", "channel"},
		{"comune=marsala&tipo=richiamata", [][]string{{"testo", "x"}, {"per", "me"}}, []string{"nome", "Qualcuno"}, "telefono", "phoneMissing"},
		{"comune=marsala&tipo=richiamata", [][]string{{"testo", "x"}, {"per", "me"}}, []string{"telefono", "12345"}, "telefono", "phone"},
		{"comune=marsala&tipo=richiamata", [][]string{{"testo", "x"}, {"per", "me"}}, []string{"telefono", "0923993111", "orari", long(201)}, "orari", "tooLong"},
		{"comune=marsala&tipo=richiamata", [][]string{{"testo", "x"}, {"per", "me"}}, []string{"telefono", "0923993111", "nome", long(201)}, "nome", "tooLong"},
		{"comune=marsala&tipo=informazioni", [][]string{{"testo", "x"}, {"per", "me"}, {"canale", "email"}}, nil, "email", "emailMissing"},
		{"comune=marsala&tipo=informazioni", [][]string{{"testo", "x"}, {"per", "me"}, {"canale", "email"}}, []string{"email", "io chiocciola"}, "email", "email"},
		{"comune=marsala&tipo=informazioni", [][]string{{"testo", "x"}, {"per", "me"}, {"canale", "video_call_sign_language"}}, []string{"nome", "Io"}, "email", "eitherMissing"},
	}
	for _, l := range []wording.Language{wording.Italian, wording.Arabic} {
		prefix := ""
		if l != wording.Italian {
			prefix = "/" + string(l)
		}
		p, desk := start(t)
		for _, test := range tests {
			t.Run(fmt.Sprintf("%s/%s/%s", l, test.field, test.message), func(t *testing.T) {
				at := get(t, p, prefix+"/chiedi/?"+test.query)
				for _, typed := range test.before {
					at = at.send(typed...)
				}
				got := at.send(test.typed...)
				got.wrong(l, test.field, test.message)
				_, fields := got.fields()
				for i := 0; i+1 < len(test.typed); i += 2 {
					name, value := test.typed[i], test.typed[i+1]
					kept := fields[name]
					if choice := name == "comune" || name == "tipo" || name == "soggetto" || name == "canale" || name == "categoria"; !choice && strings.TrimSpace(kept) != strings.TrimSpace(value) {
						t.Errorf("%s is now %.40q, typed was %.40q", name, kept, value)
					}
				}
			})
		}
		if desk.calls != 0 {
			t.Errorf("%d bad requests were sent on", desk.calls)
		}
	}
}

// wrong asserts that a page says in its language what is wrong with a field, beside it and in the summary.
func (p *page) wrong(l wording.Language, field, message string) {
	p.t.Helper()
	if p.Status != http.StatusBadRequest {
		p.t.Fatalf("status %d: %s", p.Status, p.Text())
	}
	summary, beside := p.element("id", "problemi"), p.element("id", field+"-problema")
	if summary == nil || beside == nil || !has(summary, "data-focus") || attribute(summary, "tabindex") != "-1" {
		p.t.Fatalf("no summary with the focus, or nothing beside %s: %s", field, p.Text())
	}
	if p.element("href", "#"+field) == nil || p.element("id", field) == nil {
		p.t.Errorf("the summary does not lead to %s", field)
	}
	described := slices.Collect(func(yield func(string) bool) {
		for n := range p.document.Descendants() {
			if n.Type == html.ElementNode && !yield(attribute(n, "aria-describedby")) {
				return
			}
		}
	})
	if !slices.ContainsFunc(described, func(ids string) bool { return slices.Contains(strings.Fields(ids), field+"-problema") }) {
		p.t.Errorf("%s does not refer to what is wrong", field)
	}
	want := ""
	if message != "tooLong" {
		want = say(p.t, l, "ask.problem."+message)
	}
	if got := strings.TrimSpace(text(beside)); got == "" || want != "" && got != want {
		p.t.Errorf("beside %s stands %q, want %q", field, got, want)
	}
	if !strings.Contains(text(summary), strings.TrimSpace(text(beside))) {
		p.t.Errorf("the summary says %q", text(summary))
	}
	prefix, _, _ := strings.Cut(say(p.t, l, "ask.errorTitle", "Title", "|"), "|")
	if !strings.Contains(p.Body, "<title>"+prefix) {
		p.t.Error("the title does not say that there is something to correct")
	}
}

func TestFiles(t *testing.T) {
	p, desk := start(t)
	big := strings.Repeat("x", 2<<20+1)
	for _, test := range []struct {
		name  string
		files []file
		want  string
	}{
		{"too large", []file{{"foto.jpg", big}}, say(t, "it", "ask.problem.fileTooLarge", "File", "foto.jpg")},
		{"too large together", []file{{"a.txt", big[:2<<20]}, {"b.txt", big[:2<<20]}}, say(t, "it", "ask.problem.filesTooLarge")},
		{"too many", []file{{"a", "a"}, {"b", "b"}, {"c", "c"}, {"d", "d"}}, say(t, "it", "ask.problem.tooManyFiles")},
		{"empty", []file{{"vuoto.txt", ""}}, say(t, "it", "ask.problem.fileEmpty", "File", "vuoto.txt")},
		{"more than is read", []file{{"a", strings.Repeat("x", 33<<20)}}, say(t, "it", "ask.problem.filesTooLarge")},
	} {
		t.Run(test.name, func(t *testing.T) {
			desk.reset()
			got := answered(t, p, "/chiedi/", whole...).sendFiles(test.files, "vai", "invia")
			beside := got.element("id", "allegati-problema")
			if got.Status != http.StatusBadRequest || beside == nil || strings.TrimSpace(text(beside)) != test.want {
				t.Fatalf("status %d: %s", got.Status, got.Text())
			}
			if !strings.Contains(got.Text(), "Mio figlio va a scuola") || !strings.Contains(got.Text(), say(t, "it", "ask.filesAgain")) {
				t.Errorf("something is lost, or not said: %s", got.Text())
			}
			if again := got.send("vai", "invia"); again.Status != http.StatusOK || len(desk.sent(t).GetAttachments()) != 0 {
				t.Errorf("it cannot be sent without files: %d %s", again.Status, again.Text())
			}
		})
	}
}

// TestRefused is what the comune's node says, in the words of the page.
func TestRefused(t *testing.T) {
	p, desk := start(t)
	for _, l := range []wording.Language{wording.Italian, wording.Arabic} {
		for _, test := range []struct{ path, field, message string }{
			{"request.text", "testo", "text"},
			{"request.representation.expiryDate", "scadenza", "expired"},
			{"request.contact.telephone", "telefono", "phone"},
			{"request.contactHours", "orari", "refused"},
			{"attachments[0].data", "allegati", "fileRefused"},
		} {
			t.Run(fmt.Sprintf("%s/%s", l, test.path), func(t *testing.T) {
				desk.reset()
				path := map[wording.Language]string{wording.Italian: "/chiedi/", wording.Arabic: "/ar/chiedi/"}[l]
				desk.fail(apierror.Invalid(test.path, "is wrong"))
				got := answered(t, p, path, whole...).send("vai", "invia")
				got.wrong(l, test.field, test.message)
				desk.fail(nil)
				if _, fields := got.fields(); fields["testo"] != whole[2][1] || fields["telefono"] != "0923 993111" {
					t.Errorf("something typed is lost: %v", fields)
				}
			})
		}
	}
}

// TestNotTaken: whatever keeps the comune from taking a request, the page says so with the telephone number, and the same form sent
// once more is the same request.
func TestNotTaken(t *testing.T) {
	p, desk := start(t)
	for _, test := range []struct {
		name   string
		err    error
		status int
		title  string
	}{
		{"away", apierror.New(registryv1.ErrorReason_OWNER_UNREACHABLE, "away"), http.StatusServiceUnavailable, "Marsala in questo momento non risponde"},
		{"killed", status.Error(codes.Unavailable, "connection reset"), http.StatusServiceUnavailable, "Marsala in questo momento non risponde"},
		{"too slow", status.Error(codes.DeadlineExceeded, "too slow"), http.StatusServiceUnavailable, "Marsala in questo momento non risponde"},
		{"fenced", apierror.New(registryv1.ErrorReason_STORE_FENCED, "stop"), http.StatusServiceUnavailable, "Marsala in questo momento non risponde"},
		{"flood", apierror.New(registryv1.ErrorReason_TOO_MANY_REQUESTS, "flood"), http.StatusTooManyRequests, "Troppe richieste in poco tempo"},
		{"full", apierror.New(registryv1.ErrorReason_STORE_FULL, "full"), http.StatusServiceUnavailable, "Lo sportello ora non può prendere richieste"},
	} {
		t.Run(test.name, func(t *testing.T) {
			desk.reset()
			at := answered(t, p, "/chiedi/", whole...)
			_, before := at.fields()
			desk.fail(test.err)
			got := at.send("vai", "invia")
			said := strings.Contains(got.Text(), test.title) && strings.Contains(got.Text(), "0923 993111") && strings.Contains(got.Text(), "Riprova")
			if got.Status != test.status || !said || !strings.Contains(got.Text(), "Mio figlio va a scuola") {
				t.Errorf("status %d: %s", got.Status, got.Text())
			}
			desk.fail(nil)
			if again := got.send("vai", "invia"); again.Status != http.StatusOK || !strings.Contains(again.Body, code) {
				t.Fatalf("status %d: %s", again.Status, again.Text())
			}
			if id := desk.sent(t).GetRequestId(); id != before["richiesta"] {
				t.Errorf("sent again it is another request: %s, then %s", before["richiesta"], id)
			}
		})
	}
}

func TestSentBeforeWithOtherWords(t *testing.T) {
	p, desk := start(t)
	at := answered(t, p, "/chiedi/", whole...)
	at.send("vai", "invia")
	got := at.send("vai", "testo").send("testo", "Altro").send("vai", "invia")
	if got.Status != http.StatusConflict || !strings.Contains(got.Text(), "Una richiesta da questo modulo è già arrivata") {
		t.Fatalf("status %d: %s", got.Status, got.Text())
	}
	if got = got.send("vai", "nuova"); got.Status != http.StatusOK || !strings.Contains(got.Body, code) || len(desk.created) != 2 {
		t.Errorf("status %d, %d requests: %s", got.Status, len(desk.created), got.Text())
	}
}

func TestAwayIsSaidAtOnce(t *testing.T) {
	p, _ := start(t)
	p.Registry.SetStale("marsala")
	at := get(t, p, "/chiedi/")
	if choice := at.element("id", "comune-nota-0"); choice == nil || !strings.Contains(text(choice), "0923 993111") {
		t.Errorf("choosing the comune does not say that it is away: %s", at.Text())
	}
	for _, typed := range whole {
		if at = at.send(typed...); !strings.Contains(at.Text(), "Marsala in questo momento non risponde") || at.Status != http.StatusOK {
			t.Fatalf("status %d: %s", at.Status, at.Text())
		}
	}
}

func TestPrograms(t *testing.T) {
	p, desk := start(t)
	at := answered(t, p, "/chiedi/", whole...)
	got := at.send("vai", "invia", "sito", "https://example.org")
	if got.Status != http.StatusBadRequest || desk.calls != 0 || !strings.Contains(got.Text(), say(t, "it", "ask.trapped")) {
		t.Errorf("the trap: status %d, %d calls: %s", got.Status, desk.calls, got.Text())
	}
	for _, mark := range []string{"1", "1.00", "1.ff.x"} {
		if got := at.send("vai", "invia", "mostrato", mark); got.Status != http.StatusBadRequest || desk.calls != 0 {
			t.Errorf("mark %q: status %d", mark, got.Status)
		}
	}
	set(t, time.Hour)
	got = at.send("vai", "invia")
	if got.Status != http.StatusBadRequest || desk.calls != 0 || !strings.Contains(got.Text(), say(t, "it", "ask.tooFast")) {
		t.Errorf("too fast: status %d, %d calls: %s", got.Status, desk.calls, got.Text())
	}
	// Who tries again is let through, with all that was typed.
	set(t, -time.Hour)
	if got = got.send("vai", "invia"); got.Status != http.StatusOK || desk.sent(t).GetRequest().GetText() != whole[2][1] {
		t.Errorf("status %d: %s", got.Status, got.Text())
	}
}

func TestInjection(t *testing.T) {
	const script = portaltest.Injection
	p, desk := start(t, &registryv1.Service{Name: "comuni/marsala/services/xx", Title: portaltest.Text(script)})
	for _, path := range []string{"/chiedi/?comune=marsala&tipo=informazioni&servizio=comuni/marsala/services/xx", "/ar/chiedi/?comune=marsala&tipo=informazioni&servizio=comuni/marsala/services/xx"} {
		at := answered(t, p, path, []string{"testo", script}, []string{"per", "altro"}, []string{"ruolo", "parent", "base", script},
			[]string{"canale", "video_call_sign_language"}, []string{"email", `"><script>@example.org`, "telefono", script + "123456", "nome", script, "orari", script})
		if at.Scripts() != 0 || strings.Count(at.Text(), script) < 6 {
			t.Errorf("%s: %d scripts: %s", path, at.Scripts(), at.Text())
		}
		for _, target := range []string{"testo", "ruolo", "contatto", "dove"} {
			if got := at.send("vai", target); got.Scripts() != 0 || got.Status != http.StatusOK {
				t.Errorf("%s: status %d, %d scripts", target, got.Status, got.Scripts())
			}
		}
		if got := at.send("vai", "invia"); got.Status != http.StatusOK || got.Scripts() != 0 {
			t.Errorf("status %d, %d scripts", got.Status, got.Scripts())
		}
	}
	if len(desk.created) != 2 {
		t.Errorf("%d requests", len(desk.created))
	}
}

// TestNoMoreThanNeeded: each way to answer asks for what it needs alone.
func TestNoMoreThanNeeded(t *testing.T) {
	p, _ := start(t)
	for channel, want := range map[string][]string{
		"code_only": nil, "visit": nil,
		"phone": {"telefono", "nome", "orari"}, "email": {"email", "nome"}, "video_call_sign_language": {"telefono", "email", "nome", "orari"},
	} {
		at := get(t, p, "/chiedi/?comune=marsala&tipo=informazioni").send("testo", "x").send("per", "me").send("canale", channel)
		for _, name := range []string{"telefono", "email", "nome", "orari"} {
			if asked := at.element("id", name) != nil; asked != slices.Contains(want, name) {
				t.Errorf("%s: %s is asked for: %t", channel, name, asked)
			}
		}
		if both := strings.Count(at.Text(), say(t, "it", "ask.either")); channel == "video_call_sign_language" && both != 2 || channel == "phone" && both != 0 {
			t.Errorf("%s: says %d times that one of two is enough", channel, both)
		}
	}
}

func TestMethods(t *testing.T) {
	p, _ := start(t)
	if got := p.Get("/chiedi/"); got.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("a form with its own id may be kept: %v", got.Header)
	}
	if got := p.PostAs("/chiedi/", "application/json", []byte("{}")); got.Status != http.StatusUnsupportedMediaType {
		t.Errorf("status %d", got.Status)
	}
	if got := p.Get("/segui/allegato"); got.Status != http.StatusNotFound {
		t.Errorf("status %d", got.Status)
	}
}
