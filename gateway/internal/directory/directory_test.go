package directory_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/genproto/googleapis/type/latlng"
	"google.golang.org/protobuf/proto"

	"cidsistem.example/gateway/internal/portaltest"
	"cidsistem.example/proto/gen/registryv1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	body   = "comuni/marsala/organizations/anffas"
	place  = "comuni/marsala/locations/centro"
	person = "comuni/marsala/operators/logopedista"
)

func records() []proto.Message {
	rome, _ := time.LoadLocation("Europe/Rome")
	today := registryv1.Weekday((int(time.Now().In(rome).Weekday())+6)%7 + 1)
	return []proto.Message{
		portaltest.Marsala(),
		&registryv1.Organization{
			Name: body, Title: portaltest.Text("Anffas"), Kind: registryv1.Organization_ASSOCIATION, Locations: []string{place},
			Contacts: []*registryv1.ContactPoint{{Kind: registryv1.ContactPoint_WEB, Value: "javascript:alert(1)"}},
		},
		&registryv1.Location{
			Name: place, Title: portaltest.Text("Centro"), Organization: body,
			Address: &registryv1.Address{Street: "via Roma 1", Municipality: "Marsala", Position: &latlng.LatLng{Latitude: 37.79829, Longitude: 12.43713}},
			Accessibility: &registryv1.PlaceAccessibility{
				Wheelchair: registryv1.PlaceAccessibility_PARTIAL, DoorWidthMm: proto.Int32(785), Ramp: proto.Bool(true), RampSlopePercent: proto.Float64(6), Lift: proto.Bool(false),
			},
			Opening: &registryv1.Schedule{Weekly: []*registryv1.WeeklyHours{{Days: []registryv1.Weekday{today}, Hours: []*registryv1.TimeRange{{Opens: "00:00", Closes: "24:00"}}}}},
		},
		&registryv1.Location{Name: "comuni/marsala/locations/casa-rifugio", Title: portaltest.Text("Casa rifugio"), Address: &registryv1.Address{WithheldReason: "chiama il 1522"}},
		&registryv1.Operator{
			Name: person, Title: portaltest.Text("Logopedista del centro"), Profession: registryv1.Operator_SPEECH_THERAPIST, Organization: body,
			Locations: []string{place}, Languages: []string{"it", "ar"},
		},
		&registryv1.Service{
			Name: "comuni/marsala/services/logopedia", ResponsibleOrganization: body,
			Title:  &registryv1.LocalizedText{It: "Logopedia", Translations: map[string]*registryv1.Translation{"fr": {Text: "Orthophonie"}}},
			Places: []*registryv1.ServicePlace{{Location: place}},
		},
	}
}

func TestPages(t *testing.T) {
	p := portaltest.Start(t, records())
	tests := []struct {
		path      string
		has, lack []string
	}{
		{"/chi-opera/", []string{"4 risultati", "Anffas", "Casa rifugio", "Logopedista del centro", "Associazione ·"}, []string{"Logopedia"}},
		{"/chi-opera/?tipo=operators", []string{"1 risultato", "Logopedista"}, []string{"Casa rifugio", "Anffas"}},
		{"/chi-opera/?professione=speech_therapist&lingua=ar", []string{"1 risultato", "Logopedista"}, nil},
		{"/chi-opera/?q=rifugio", []string{"1 risultato per «rifugio»", "Casa rifugio"}, []string{"Anffas"}},
		{"/chi-opera/?q=niente", []string{"Non ho trovato niente.", "0923 993111"}, nil},
		{"/enti/marsala/anffas", []string{"Anffas", "Logopedia", "Centro", "Logopedista del centro"}, []string{"Casa rifugio"}},
		{"/fr/enti/marsala/anffas", []string{"Orthophonie", "Services qu'il donne"}, nil},
		{"/luoghi/marsala/centro", []string{
			"via Roma 1", "Ora è aperto, fino alle 24:00", "78,5 cm", "È stretta", "6 %", "Va bene", "Ascensore no", "Rampa sì", "Bagno per chi usa la carrozzina non si sa", "Logopedia", "con un aiuto",
		}, nil},
		{"/en/luoghi/marsala/centro", []string{"78.5 cm", "Lift no", "not known"}, nil},
		{"/luoghi/marsala/casa-rifugio", []string{"L'indirizzo non è pubblico: chiama il 1522", "Nessuno ha ancora guardato", "Non sappiamo gli orari"}, []string{"91025"}},
		{"/operatori/marsala/logopedista", []string{"Logopedista del centro", "Anffas", "arabo", "non ha contatti pubblici"}, nil},
		{"/ar/operatori/marsala/logopedista", []string{"أخصائي نطق", "العربية"}, nil},
	}
	for _, test := range tests {
		t.Run(test.path, func(t *testing.T) {
			got := p.Get(test.path)
			if got.Status != http.StatusOK {
				t.Fatalf("status %d", got.Status)
			}
			text := got.Text()
			for _, want := range test.has {
				if !strings.Contains(text, want) {
					t.Errorf("the page does not say %q:\n%s", want, text)
				}
			}
			for _, no := range test.lack {
				if strings.Contains(text, no) {
					t.Errorf("the page says %q", no)
				}
			}
		})
	}
}

func TestDirectionsNeedNoMap(t *testing.T) {
	p := portaltest.Start(t, records())
	if got := p.Get("/luoghi/marsala/centro"); !strings.Contains(got.Body, `href="geo:37.79829,12.43713"`) {
		t.Error("the page has no address for the telephone's maps")
	}
	if got := p.Get("/luoghi/marsala/casa-rifugio"); strings.Contains(got.Body, "geo:") {
		t.Error("the page leads to an address that is withheld")
	}
}

func TestUnknown(t *testing.T) {
	p := portaltest.Start(t, records())
	for _, path := range []string{
		"/enti/palermo/anffas", "/enti/marsala/nessuno", "/luoghi/marsala/UPPER", "/operatori/palermo/x", "/chi-opera/?comune=palermo", "/enti/marsala", "/enti/",
	} {
		if got := p.Get(path); got.Status != http.StatusNotFound {
			t.Errorf("%s: status %d", path, got.Status)
		}
	}
}

func TestAway(t *testing.T) {
	p := portaltest.Start(t, records())
	p.Get("/chi-opera/") // the comuni become known
	p.Registry.SetAway("marsala")
	if got := p.Get("/chi-opera/"); got.Status != http.StatusOK || !strings.Contains(got.Text(), "Di Marsala ora non posso cercare") {
		t.Errorf("status %d: %s", got.Status, got.Text())
	}
	if got := p.Get("/enti/marsala/anffas"); got.Status != http.StatusServiceUnavailable || got.Header.Get("Retry-After") == "" {
		t.Errorf("status %d", got.Status)
	}
}

func TestPaging(t *testing.T) {
	all := []proto.Message{portaltest.Marsala()}
	for i := range 45 {
		all = append(all, &registryv1.Organization{Name: fmt.Sprintf("comuni/marsala/organizations/ente-%02d", i), Title: portaltest.Text(fmt.Sprintf("Ente %02d", i)), Kind: registryv1.Organization_SCHOOL})
	}
	p := portaltest.Start(t, all)
	path, seen := "/chi-opera/?ente=school", 0
	for range 5 {
		got := p.Get(path)
		if !strings.Contains(got.Text(), "45 risultati") {
			t.Fatalf("%s does not say how many there are", path)
		}
		seen += strings.Count(got.Body, `<li class="result">`)
		_, next, found := strings.Cut(got.Body, `rel="next" href="`)
		if !found {
			break
		}
		path, _, _ = strings.Cut(next, `"`)
		path = strings.ReplaceAll(path, "&amp;", "&")
	}
	if seen != 45 {
		t.Errorf("the pages have %d results", seen)
	}
}

func TestInjection(t *testing.T) {
	p := portaltest.Start(t, []proto.Message{
		portaltest.Marsala(),
		portaltest.Injected(&registryv1.Organization{Name: body, Kind: registryv1.Organization_ASSOCIATION}),
		portaltest.Injected(&registryv1.Location{Name: place}),
		portaltest.Injected(&registryv1.Operator{Name: person, Profession: registryv1.Operator_EDUCATOR}),
	})
	for _, path := range []string{
		"/chi-opera/", "/en/chi-opera/", "/enti/marsala/anffas", "/ar/enti/marsala/anffas", "/luoghi/marsala/centro", "/operatori/marsala/logopedista",
		"/chi-opera/?q=%3Cscript%3E", "/chi-opera/?ente=%3Cscript%3E",
	} {
		got := p.Get(path)
		if got.Status != http.StatusOK || got.Scripts() != 0 {
			t.Errorf("%s: status %d, %d scripts", path, got.Status, got.Scripts())
		}
		if !strings.Contains(got.Text(), "<script>") {
			t.Errorf("%s does not show the script as text", path)
		}
	}
	p = portaltest.Start(t, records())
	if got := p.Get("/enti/marsala/anffas"); strings.Contains(got.Body, `href="javascript`) {
		t.Error("a contact runs a script")
	}
}
