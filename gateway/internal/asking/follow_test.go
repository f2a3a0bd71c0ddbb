package asking_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/gateway/internal/portaltest"
	"cidsistem.example/gateway/internal/wording"
	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/deskv1"
	"cidsistem.example/proto/gen/registryv1"
)

func request(state deskv1.Request_State) *deskv1.Request {
	at := timestamppb.New(time.Date(2026, 5, 4, 8, 30, 0, 0, time.UTC))
	return &deskv1.Request{
		Name: "comuni/marsala/requests/r1", Text: "Chi accompagna mio figlio?", State: state, Kind: deskv1.Request_INFORMATION,
		Service: "comuni/marsala/services/trasporto", PreferredChannel: deskv1.Request_CODE_ONLY, CreateTime: at, WorkingDaysLeft: 3,
		DueDate:     &registryv1.PartialDate{Year: 2026, Month: 6, Day: 3},
		Messages:    []*deskv1.Message{{Side: deskv1.Message_DESK, Text: "Il pulmino del comune.", CreateTime: at}},
		Attachments: []*deskv1.Attachment{{Name: "comuni/marsala/requests/r1/attachments/a1", FileName: "perché.pdf"}},
	}
}

// follow opens a request by its code.
func follow(t *testing.T, p *portaltest.Portal, prefix string) *page {
	t.Helper()
	return get(t, p, prefix+"/segui/").send("azione", "apri", "comune", "marsala", "codice", strings.ToLower(code))
}

func TestFollow(t *testing.T) {
	p, desk := start(t)
	for _, test := range []struct {
		state         deskv1.Request_State
		want          []string
		write, rating bool
		end           string
	}{
		{deskv1.Request_RECEIVED, []string{"Nessuno l'ha ancora letta", "3 giugno 2026"}, true, false, "ritira la richiesta"},
		{deskv1.Request_TAKEN, []string{"l'ha letta e ci lavora", "3 giugno 2026"}, true, false, "ritira la richiesta"},
		{deskv1.Request_WAITING_FOR_PERSON, []string{"ti ha fatto una domanda", "ha 3 giorni di lavoro"}, true, false, "ritira la richiesta"},
		{deskv1.Request_ANSWERED, []string{"C'è la risposta", "Se scrivi, la richiesta si riapre"}, true, true, "chiudi la richiesta"},
		{deskv1.Request_CLOSED, []string{"La richiesta è chiusa"}, false, true, ""},
		{deskv1.Request_WITHDRAWN, []string{"Hai ritirato la richiesta"}, false, false, ""},
	} {
		t.Run(test.state.String(), func(t *testing.T) {
			desk.hold(request(test.state))
			got := follow(t, p, "")
			if got.Status != http.StatusOK || got.Header.Get("Cache-Control") != "no-store" {
				t.Fatalf("status %d, %v", got.Status, got.Header)
			}
			for _, want := range append(test.want, "Chi accompagna mio figlio?", "Il pulmino del comune.", "Sportello di Marsala, 4 maggio 2026, ore 10:30", "Trasporto con pulmino", "perché.pdf") {
				if !strings.Contains(got.Text(), want) {
					t.Errorf("the page does not say %q: %s", want, got.Text())
				}
			}
			if has := got.element("value", "scrivi") != nil; has != test.write {
				t.Errorf("one can write: %t", has)
			}
			if has := got.element("value", "valuta") != nil; has != test.rating {
				t.Errorf("one can rate: %t", has)
			}
			if has := got.element("value", "chiudi") != nil; has != (test.end != "") || !strings.Contains(got.Text(), test.end) {
				t.Errorf("one can end it: %t", has)
			}
			if step := got.element("aria-current", "step"); step == nil {
				t.Error("no step is the current one")
			}
			for n := range got.document.Descendants() {
				for _, name := range []string{"href", "action", "src"} {
					if n.Type == html.ElementNode && strings.Contains(strings.ToUpper(attribute(n, name)), code) {
						t.Errorf("the code is in an address: %s", attribute(n, name))
					}
				}
			}
		})
	}
}

func TestWritingRatingEnding(t *testing.T) {
	p, desk := start(t)
	desk.hold(request(deskv1.Request_ANSWERED))
	got := follow(t, p, "").sendFiles([]file{{`C:\cartella\foto.png`, "png"}}, "azione", "scrivi", "testo", "Grazie.\r\nE il sabato?")
	if got.Status != http.StatusOK || !strings.Contains(got.Text(), "Il messaggio è arrivato allo sportello") || !strings.Contains(got.Text(), "E il sabato?") {
		t.Fatalf("status %d: %s", got.Status, got.Text())
	}
	sent := desk.messages[0]
	if sent.GetText() != "Grazie.\nE il sabato?" || len(sent.GetAttachments()) != 1 || sent.GetAttachments()[0].GetFileName() != "foto.png" {
		t.Errorf("the desk got %v", sent)
	}
	if _, fields := got.fields(); fields["testo"] != "" {
		t.Errorf("the message is still in its field: %v", fields)
	}
	if got = got.send("azione", "valuta", "voto", "4", "commento", "Gentili"); !strings.Contains(got.Text(), "Il tuo voto è arrivato") {
		t.Errorf("status %d: %s", got.Status, got.Text())
	}
	if rating := desk.request.GetRating(); rating.GetScore() != 4 || rating.GetText() != "Gentili" {
		t.Errorf("the rating is %v", rating)
	}
	if got = got.send("azione", "chiudi"); !strings.Contains(got.Text(), "Fatto. La richiesta è chiusa.") {
		t.Errorf("status %d: %s", got.Status, got.Text())
	}
}

func TestAttachment(t *testing.T) {
	p, desk := start(t)
	desk.hold(request(deskv1.Request_TAKEN))
	got := p.Post("/segui/allegato", "comune=marsala&codice="+code+"&allegato=comuni/marsala/requests/r1/attachments/a1")
	if got.Status != http.StatusOK || got.Body != "%PDF-1.7" || got.Header.Get("Content-Type") != "application/pdf" {
		t.Errorf("status %d, %v", got.Status, got.Header)
	}
	if d := got.Header.Get("Content-Disposition"); d != `attachment; filename*=utf-8''perch%C3%A9%20%22no%22.pdf` || got.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%v", got.Header)
	}
	if got = p.Post("/segui/allegato", "comune=marsala&codice=altro&allegato=comuni/marsala/requests/r1/attachments/a1"); got.Status != http.StatusNotFound {
		t.Errorf("status %d", got.Status)
	}
}

// TestFollowProblems: what is wrong stands beside its field in the page's language, and what was typed is still there.
func TestFollowProblems(t *testing.T) {
	p, desk := start(t)
	for _, l := range []wording.Language{wording.Italian, wording.Arabic} {
		prefix := map[wording.Language]string{wording.Italian: "", wording.Arabic: "/ar"}[l]
		first := func(typed ...string) func(*testing.T) *page {
			return func(t *testing.T) *page {
				return get(t, p, prefix+"/segui/").send(append([]string{"azione", "apri"}, typed...)...)
			}
		}
		open := func(typed ...string) func(*testing.T) *page {
			return func(t *testing.T) *page { return follow(t, p, prefix).send(typed...) }
		}
		long := strings.Repeat("è", 5001)
		for _, test := range []struct {
			name           string
			send           func(*testing.T) *page
			field, message string
			kept           string
		}{
			{"no comune", first("codice", code), "comune", "comune", code},
			{"no code", first("comune", "marsala"), "codice", "codeMissing", ""},
			{"wrong code", first("comune", "marsala", "codice", "ZZZZ"), "codice", "code", "ZZZZ"},
			{"long code", first("comune", "marsala", "codice", strings.Repeat("Z", 200)), "codice", "code", strings.Repeat("Z", 200)},
			{"another comune", first("comune", "pantelleria", "codice", code), "codice", "code", code},
			{"no message", open("azione", "scrivi", "testo", " \n"), "testo", "message", ""},
			{"long message", open("azione", "scrivi", "testo", long), "testo", "tooLong", long},
			{"no score", open("azione", "valuta", "commento", "Bene"), "voto", "score", "Bene"},
			{"long comment", open("azione", "valuta", "voto", "3", "commento", long), "commento", "tooLong", long},
		} {
			t.Run(string(l)+"/"+test.name, func(t *testing.T) {
				desk.reset()
				desk.hold(request(deskv1.Request_ANSWERED))
				got := test.send(t)
				got.wrong(l, test.field, test.message)
				if !strings.Contains(got.Body, test.kept) {
					t.Error("what was typed is lost")
				}
			})
		}
	}
}

// TestFollowAway: what was typed is sent with one button once the comune answers again.
func TestFollowAway(t *testing.T) {
	p, desk := start(t)
	desk.hold(request(deskv1.Request_TAKEN))
	at := follow(t, p, "")
	desk.fail(apierror.New(registryv1.ErrorReason_OWNER_UNREACHABLE, "away"))
	got := at.send("azione", "scrivi", "testo", "Ancora una cosa")
	if got.Status != http.StatusServiceUnavailable || !strings.Contains(got.Text(), "Marsala in questo momento non risponde") || !strings.Contains(got.Text(), "0923 993111") {
		t.Fatalf("status %d: %s", got.Status, got.Text())
	}
	retry := got.element("value", "scrivi")
	if retry == nil || strings.TrimSpace(text(retry)) != "Riprova" {
		t.Fatalf("no button to try again with: %s", got.Text())
	}
	desk.fail(nil)
	if got = got.send("azione", "scrivi"); got.Status != http.StatusOK || len(desk.messages) != 1 || desk.messages[0].GetText() != "Ancora una cosa" {
		t.Errorf("status %d, %v: %s", got.Status, desk.messages, got.Text())
	}
}

func TestFollowOver(t *testing.T) {
	p, desk := start(t)
	desk.hold(request(deskv1.Request_TAKEN))
	at := follow(t, p, "")
	if got := at.send("azione", "valuta", "voto", "5"); got.Status != http.StatusConflict || !strings.Contains(got.Text(), "non si può più cambiare") || !strings.Contains(got.Text(), "Il pulmino del comune.") {
		t.Errorf("status %d: %s", got.Status, got.Text())
	}
}

func TestFollowInjection(t *testing.T) {
	p, desk := start(t)
	held := portaltest.Injected(&deskv1.Request{State: deskv1.Request_ANSWERED, Outcome: deskv1.Request_REFERRED, Rating: &deskv1.Rating{Score: 1}, Attachments: []*deskv1.Attachment{{}}})
	held.Messages = []*deskv1.Message{
		portaltest.Injected(&deskv1.Message{Side: deskv1.Message_DESK}),
		portaltest.Injected(&deskv1.Message{Side: deskv1.Message_PERSON}),
	}
	for _, prefix := range []string{"", "/ar"} {
		desk.hold(proto.CloneOf(held))
		got := follow(t, p, prefix)
		if got.Status != http.StatusOK || got.Scripts() != 0 || strings.Count(got.Text(), portaltest.Injection) < 4 {
			t.Errorf("status %d, %d scripts: %s", got.Status, got.Scripts(), got.Text())
		}
		if got = got.send("azione", "scrivi", "testo", portaltest.Injection); got.Scripts() != 0 {
			t.Errorf("%d scripts", got.Scripts())
		}
		if got = get(t, p, prefix+"/segui/").send("azione", "apri", "comune", portaltest.Injection, "codice", portaltest.Injection); got.Scripts() != 0 || !strings.Contains(got.Body, "&lt;script&gt;") {
			t.Errorf("%d scripts: %s", got.Scripts(), got.Body)
		}
	}
}

func TestOneComune(t *testing.T) {
	// A comune's own portal does not ask which comune.
	d := &desk{}
	d.reset()
	set(t, -time.Hour)
	p := startOne(t, d)
	at := get(t, p, "/chiedi/")
	if at.element("name", "comune") != nil && attribute(at.element("name", "comune"), "type") != "hidden" {
		t.Fatalf("it asks for the comune: %s", at.Text())
	}
	for _, typed := range whole[1:] {
		at = at.send(typed...)
	}
	if got := at.send("vai", "invia"); got.Status != http.StatusOK || d.sent(t).GetParent() != "comuni/marsala" {
		t.Errorf("status %d: %s", got.Status, got.Text())
	}
	if got := get(t, p, "/segui/").send("azione", "apri", "codice", code); got.Status != http.StatusOK {
		t.Errorf("status %d: %s", got.Status, got.Text())
	}
}
