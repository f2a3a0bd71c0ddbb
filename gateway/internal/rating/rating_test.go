package rating_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"cidsistem.example/gateway/internal/portaltest"
	"cidsistem.example/proto/gen/deskv1"
	"cidsistem.example/proto/gen/registryv1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// box keeps ratings in memory.
type box struct {
	deskv1.UnimplementedFeedbackServiceServer
	mu   sync.Mutex
	kept []*deskv1.CreateFeedbackRequest
	fail error
}

func (b *box) CreateFeedback(_ context.Context, call *deskv1.CreateFeedbackRequest) (*deskv1.Feedback, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fail != nil {
		return nil, b.fail
	}
	b.kept = append(b.kept, call)
	return call.GetFeedback(), nil
}

func start(t *testing.T) (*portaltest.Portal, *box) {
	b := &box{}
	p := portaltest.Start(t, []proto.Message{
		portaltest.Marsala(), &registryv1.Comune{Name: "comuni/pantelleria", Title: portaltest.Text("Pantelleria"), IstatCode: "081014"},
	}, func(s *grpc.Server) { deskv1.RegisterFeedbackServiceServer(s, b) })
	return p, b
}

func TestQuestionsFollowTheRating(t *testing.T) {
	p, _ := start(t)
	for rating, question := range map[string]string{
		"1": "Dove hai incontrato le maggiori difficoltà?", "3": "Dove hai incontrato le maggiori difficoltà?",
		"4": "Quali sono stati gli aspetti che hai preferito?", "5": "Quali sono stati gli aspetti che hai preferito?",
	} {
		got := p.Get("/valuta/?pagina=/servizi/marsala/asacom&voto=" + rating)
		if got.Status != http.StatusOK || !strings.Contains(got.Text(), question) || strings.Count(got.Body, `name="aspetto"`) != 5 {
			t.Errorf("rating %s: status %d: %s", rating, got.Status, got.Text())
		}
		if strings.Contains(got.Body, "<select") {
			t.Errorf("rating %s: the comune is asked for, and the page is Marsala's", rating)
		}
	}
	if got := p.Get("/ar/valuta/?pagina=/privacy/&voto=2"); !strings.Contains(got.Body, "<select") || !strings.Contains(got.Text(), "أين وجدت أكبر الصعوبات؟") {
		t.Errorf("%s", got.Text())
	}
}

func TestRatingIsKept(t *testing.T) {
	p, b := start(t)
	got := p.Post("/fr/valuta/", url.Values{"pagina": {"/privacy/"}, "voto": {"2"}, "aspetto": {"chiare", "tecnica", "inventato"}, "testo": {" Trop long "}, "comune": {"pantelleria"}}.Encode())
	if got.Status != http.StatusSeeOther || got.Header.Get("Location") != "/fr/valuta/grazie/?pagina=%2Fprivacy%2F" {
		t.Fatalf("status %d to %q: %s", got.Status, got.Header.Get("Location"), got.Text())
	}
	want := []*deskv1.CreateFeedbackRequest{{Parent: "comuni/pantelleria", Feedback: &deskv1.Feedback{
		Page: "/privacy/", Rating: 2, Aspects: []deskv1.Feedback_Aspect{deskv1.Feedback_CLARITY, deskv1.Feedback_TECHNICAL}, Text: "Trop long", Language: "fr",
	}}}
	if diff := cmp.Diff(want, b.kept, protocmp.Transform()); diff != "" {
		t.Errorf("kept (-want +got):\n%s", diff)
	}
	if thanks := p.Get(got.Header.Get("Location")); thanks.Status != http.StatusOK || !strings.Contains(thanks.Text(), "La note est arrivée") || !strings.Contains(thanks.Body, `href="/fr/privacy/"`) {
		t.Errorf("status %d: %s", thanks.Status, thanks.Text())
	}
}

func TestNothingIsLostWhenItIsNotKept(t *testing.T) {
	const words = `parole "mie" <script>alert(1)</script>`
	tests := []struct {
		name   string
		change url.Values
		fail   error
		status int
		says   string
	}{
		{"no comune", url.Values{"comune": nil}, nil, http.StatusUnprocessableEntity, "Scegli un comune"},
		{"unknown comune", url.Values{"comune": {"palermo"}}, nil, http.StatusUnprocessableEntity, "Scegli un comune"},
		{"too long", url.Values{"testo": {words + strings.Repeat("è", 200)}}, nil, http.StatusUnprocessableEntity, "al massimo 200 caratteri"},
		{"away", nil, status.Error(codes.Unavailable, "silent"), http.StatusServiceUnavailable, "Marsala ora non risponde. Il voto non è stato salvato."},
		{"flood", nil, status.Error(codes.ResourceExhausted, "many"), http.StatusTooManyRequests, "Il tuo non è stato salvato"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p, b := start(t)
			b.fail = test.fail
			sent := url.Values{"pagina": {"/privacy/"}, "voto": {"5"}, "aspetto": {"complete"}, "testo": {words}, "comune": {"marsala"}}
			for name, values := range test.change {
				sent[name] = values
			}
			got := p.Post("/valuta/", sent.Encode())
			if got.Status != test.status || !strings.Contains(got.Text(), test.says) || len(b.kept) != 0 {
				t.Errorf("status %d, %d kept: %s", got.Status, len(b.kept), got.Text())
			}
			if !strings.Contains(got.Text(), words) || !strings.Contains(got.Body, `value="complete" checked`) || got.Scripts() != 0 || !strings.Contains(got.Body, `id="problemi"`) {
				t.Errorf("what was typed is lost, or runs: %s", got.Body)
			}
		})
	}
}

func TestWhatCannotBeRated(t *testing.T) {
	p, b := start(t)
	for _, query := range []string{"", "pagina=/&voto=0", "pagina=/&voto=6", "pagina=/&voto=x", "voto=3", "pagina=https://altrove.example/&voto=3", "pagina=//altrove.example&voto=3", "pagina=/%3Cscript%3E&voto=3"} {
		if got := p.Get("/valuta/?" + query); got.Status != http.StatusNotFound {
			t.Errorf("%q: status %d", query, got.Status)
		}
		if query == "" {
			continue
		}
		if got := p.Post("/valuta/", query+"&comune=marsala"); got.Status != http.StatusNotFound || len(b.kept) != 0 {
			t.Errorf("%q sent: status %d", query, got.Status)
		}
	}
	if got := p.Get("/valuta/grazie/?pagina=//altrove.example"); strings.Contains(got.Body, "altrove.example") {
		t.Error("the page of thanks leads elsewhere")
	}
}

// The form of every page leads here.
func TestFrame(t *testing.T) {
	p, _ := start(t)
	got := p.Get("/privacy/")
	if !strings.Contains(got.Body, `action="/valuta/"`) || !strings.Contains(got.Body, `name="pagina" value="/privacy/"`) || strings.Count(got.Body, `name="voto"`) != 5 {
		t.Error("a page cannot be rated")
	}
}
