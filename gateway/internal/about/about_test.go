package about_test

import (
	"encoding/xml"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/gateway/internal/portaltest"
	"cidsistem.example/proto/gen/federationv1"
	"cidsistem.example/proto/gen/registryv1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func records() []proto.Message {
	return []proto.Message{
		portaltest.Marsala(),
		&registryv1.Comune{Name: "comuni/pantelleria", Title: portaltest.Text("Pantelleria"), IstatCode: "081014"},
		&registryv1.Service{Name: "comuni/marsala/services/asacom", Title: portaltest.Text("ASACOM"), Status: &registryv1.Status{State: registryv1.Status_ACTIVE}, UpdateTime: portaltest.Changed},
	}
}

func TestPages(t *testing.T) {
	p := portaltest.Start(t, records())
	tests := []struct {
		path string
		has  []string
	}{
		{"/accessibilita/", []string{"parzialmente conforme", "EN 301549", "autovalutazione", "30 giorni", "Difensore civico per il digitale", "0923 993111"}},
		{"/privacy/", []string{"articolo 6, paragrafo 1, lettera e", "articolo 9, paragrafo 2", "2-sexies", "24 mesi", "Non ci sono cookie", "Garante"}},
		{"/note-legali/", []string{"CC BY 4.0", "EUPL-1.2", "di prova"}},
		{"/contatti/", []string{"Marsala", "0923 993111", "sociale@example.org", "via Giovanni Falcone 5", "Pantelleria", "Non abbiamo ancora i contatti"}},
		{"/domande-frequenti/", []string{"legge 104", "dopo di noi", "Ho perso il codice", "senza dire chi sono"}},
		{"/en/accessibilita/", []string{"partially conforms"}},
		{"/fr/privacy/", []string{"24 mois"}},
		{"/ar/domande-frequenti/", []string{"القانون 104"}},
	}
	for _, test := range tests {
		t.Run(test.path, func(t *testing.T) {
			got := p.Get(test.path)
			if got.Status != http.StatusOK || got.Scripts() != 0 {
				t.Fatalf("status %d, %d scripts", got.Status, got.Scripts())
			}
			for _, want := range test.has {
				if !strings.Contains(got.Text(), want) {
					t.Errorf("the page does not say %q:\n%s", want, got.Text())
				}
			}
		})
	}
	if got := p.Get("/contatti/").Body; !strings.Contains(got, `id="marsala"`) || !strings.Contains(got, `href="tel:0923 993111"`) && !strings.Contains(got, `href="tel:0923%20993111"`) {
		t.Error("a comune has no place on the page, or cannot be called")
	}
	if got := strings.Count(p.Get("/domande-frequenti/").Body, "<summary>"); got < 8 {
		t.Errorf("%d questions", got)
	}
}

func TestNetwork(t *testing.T) {
	since := time.Date(2026, 3, 3, 9, 5, 0, 0, time.UTC)
	node := func(slug string, state federationv1.Node_State, known bool) *federationv1.Node {
		n := &federationv1.Node{Name: "nodes/" + slug, Comuni: []string{slug}, State: state, StateTime: timestamppb.New(since)}
		if known {
			n.AsOfTime = timestamppb.New(since.Add(-time.Hour))
		}
		return n
	}
	tests := []struct {
		name      string
		node      *federationv1.Node
		has, lack []string
	}{
		{"in sync", node("marsala", federationv1.Node_IN_SYNC, true), []string{"Rispondono 2 comuni su 2", "i dati sono aggiornati"}, []string{"Non risponde"}},
		{"away", node("marsala", federationv1.Node_UNREACHABLE, true), []string{
			"Risponde 1 comune su 2", "Non risponde", "È così dal 3 marzo 2026, ore 10:05", "I dati che leggi sono del 3 marzo 2026, ore 09:05", "0923 993111",
		}, []string{"ora mancano"}},
		{"never seen", node("marsala", federationv1.Node_UNREACHABLE, false), []string{"Le sue schede ora mancano"}, []string{"I dati che leggi sono del"}},
		{"catching up", node("marsala", federationv1.Node_CATCHING_UP, true), []string{"i dati stanno arrivando"}, nil},
		{"refused", node("marsala", federationv1.Node_REFUSED, true), []string{"i suoi dati non arrivano"}, nil},
		{"nothing said", nil, []string{"Rispondono 2 comuni su 2"}, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := portaltest.Start(t, records())
			if test.node != nil {
				p.Registry.SetNodes(test.node, node("pantelleria", federationv1.Node_IN_SYNC, true))
			}
			text := p.Get("/rete/").Text()
			for _, want := range test.has {
				if !strings.Contains(text, want) {
					t.Errorf("the page does not say %q:\n%s", want, text)
				}
			}
			for _, no := range test.lack {
				if strings.Contains(text, no) {
					t.Errorf("the page says %q:\n%s", no, text)
				}
			}
		})
	}
}

func TestSearchEngines(t *testing.T) {
	p := portaltest.Start(t, records())
	if got := p.Get("/robots.txt"); got.Status != http.StatusOK || !strings.Contains(got.Body, "Sitemap: "+p.Base()+"/sitemap.xml\n") {
		t.Fatalf("robots.txt: %d %s", got.Status, got.Body)
	}
	var index struct {
		XMLName xml.Name `xml:"http://www.sitemaps.org/schemas/sitemap/0.9 sitemapindex"`
		Maps    []string `xml:"sitemap>loc"`
	}
	if err := xml.Unmarshal([]byte(p.Get("/sitemap.xml").Body), &index); err != nil {
		t.Fatal(err)
	}
	pages := map[string]bool{}
	for _, address := range index.Maps {
		var places struct {
			XMLName xml.Name `xml:"http://www.sitemaps.org/schemas/sitemap/0.9 urlset"`
			Pages   []struct {
				Address string `xml:"loc"`
				Changed string `xml:"lastmod"`
				Others  []struct {
					Language string `xml:"hreflang,attr"`
				} `xml:"http://www.w3.org/1999/xhtml link"`
			} `xml:"url"`
		}
		if err := xml.Unmarshal([]byte(p.Get(strings.TrimPrefix(address, p.Base())).Body), &places); err != nil {
			t.Fatalf("%s: %v", address, err)
		}
		for _, page := range places.Pages {
			pages[strings.TrimPrefix(page.Address, p.Base())] = true
			if len(page.Others) != 4 {
				t.Errorf("%s has %d languages", page.Address, len(page.Others))
			}
		}
	}
	for _, want := range []string{"/", "/ar/", "/privacy/", "/servizi/marsala/asacom", "/fr/servizi/marsala/asacom"} {
		if !pages[want] {
			t.Errorf("%s is on no map", want)
		}
	}
	for page := range pages {
		if got := p.Get(page); got.Status == http.StatusNotFound {
			t.Errorf("a map has %s, which is not there", page)
		}
	}
	for _, path := range []string{"/sitemap/altro.xml", "/sitemap/palermo/services.xml", "/sitemap/marsala/requests.xml", "/sitemap/marsala/services"} {
		if got := p.Get(path); got.Status != http.StatusNotFound {
			t.Errorf("%s: status %d", path, got.Status)
		}
	}
}

func TestInjection(t *testing.T) {
	comune := portaltest.Injected(&registryv1.Comune{Name: "comuni/marsala", IstatCode: "081011"})
	p := portaltest.Start(t, []proto.Message{comune})
	for _, path := range []string{"/contatti/", "/rete/", "/ar/contatti/"} {
		got := p.Get(path)
		if got.Status != http.StatusOK || got.Scripts() != 0 || !strings.Contains(got.Text(), portaltest.Injection) {
			t.Errorf("%s: status %d, %d scripts:\n%s", path, got.Status, got.Scripts(), got.Text())
		}
	}
}
