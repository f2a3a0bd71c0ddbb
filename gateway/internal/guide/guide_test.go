package guide_test

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"cidsistem.example/gateway/internal/portaltest"
	"cidsistem.example/proto/gen/registryv1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	asacom = "comuni/marsala/services/asacom"
	desk   = "comuni/marsala/locations/sportello"
	office = "comuni/marsala/organizations/servizi-sociali"
)

func text(italian string, easy ...string) *registryv1.LocalizedText {
	t := portaltest.Text(italian)
	if len(easy) > 0 {
		t.EasyRead = &registryv1.Translation{Text: easy[0], ReviewTime: portaltest.Changed}
	}
	return t
}

func records() []proto.Message {
	rome, _ := time.LoadLocation("Europe/Rome")
	today := registryv1.Weekday((int(time.Now().In(rome).Weekday())+6)%7 + 1)
	return []proto.Message{
		portaltest.Marsala(),
		&registryv1.Organization{Name: office, Title: text("Settore Servizi alla Persona"), Kind: registryv1.Organization_PUBLIC_BODY},
		&registryv1.Location{
			Name: desk, Title: text("Sportello"), Address: &registryv1.Address{Street: "via Falcone 5", PostalCode: "91025", Municipality: "Marsala"},
			Opening:       &registryv1.Schedule{Weekly: []*registryv1.WeeklyHours{{Days: []registryv1.Weekday{today}, Hours: []*registryv1.TimeRange{{Opens: "00:00", Closes: "24:00"}}}}},
			Accessibility: &registryv1.PlaceAccessibility{Wheelchair: registryv1.PlaceAccessibility_FULL, DoorWidthMm: proto.Int32(785), Lift: proto.Bool(false)},
		},
		&registryv1.Service{
			Name: asacom, Summary: text("Un assistente a scuola.", "Un assistente ti aiuta."),
			Title: &registryv1.LocalizedText{It: "ASACOM", Translations: map[string]*registryv1.Translation{
				"ar": {Text: "المساعدة في المدرسة", ReviewTime: portaltest.Changed},
				"fr": {Text: "Aide à l'école", ReviewTime: portaltest.Changed, SourceDigest: strings.Repeat("0", 64)},
			}},
			Categories:  []*registryv1.CodedValue{{Scheme: "inps-prestazioni-isee", Code: "A2.11", Label: "Sostegno scolastico"}},
			Topics:      []*registryv1.CodedValue{{Scheme: "eurovoc", Code: "2836", Label: "protezione sociale"}},
			Status:      &registryv1.Status{State: registryv1.Status_SUSPENDED, Reason: text("Manca il personale.")},
			AddressedTo: text("Agli alunni."), TargetGroups: []registryv1.TargetGroup{registryv1.TargetGroup_PUPILS},
			Eligibility: []*registryv1.EligibilityCriterion{
				{Statement: text("Comma 3"), AlternativeGroup: 1, Condition: &registryv1.EligibilityCriterion_Certification{Certification: &registryv1.Certification{AnyOf: []registryv1.Certification_Kind{registryv1.Certification_LAW_104_ART3_C3}}}},
				{Statement: text("Comma 1 con il PEI"), AlternativeGroup: 1, Rule: &registryv1.LegalReference{Label: "Tribunale di Marsala, 2025", Version: "marzo 2025"}, Condition: &registryv1.EligibilityCriterion_Certification{Certification: &registryv1.Certification{AnyOf: []registryv1.Certification_Kind{registryv1.Certification_LAW_104_ART3_C1}}}},
			},
			HowTo: text("Parla con la scuola."), Needed: []*registryv1.RequiredItem{{Title: text("Verbale")}}, Obtained: []*registryv1.ObtainedItem{{Title: text("Ore di assistenza")}},
			TimesNote: text("Segue l'anno di scuola."), Deadlines: []*registryv1.Deadline{{Kind: registryv1.Deadline_PEREMPTORY, Title: text("Domanda"), Date: &registryv1.PartialDate{Year: 2027, Month: 1, Day: 31}}},
			Access:     []*registryv1.AccessChannel{{Kind: registryv1.AccessChannel_DESK, Location: desk}, {Kind: registryv1.AccessChannel_ONLINE, Uri: "https://www.example.org/domanda"}},
			Conditions: text("Nessuna."), Costs: []*registryv1.CostOption{{Kind: registryv1.CostOption_FREE}},
			Places: []*registryv1.ServicePlace{{Location: desk}}, ResponsibleOrganization: office, AreasServed: []*registryv1.Area{{Kind: registryv1.Area_MUNICIPALITY, Code: "081011", Label: "Marsala"}},
			Contacts:   []*registryv1.ContactPoint{{Kind: registryv1.ContactPoint_PHONE, Value: "0923 993111"}},
			Provenance: &registryv1.Provenance{SourceLabel: "TP24", AsOf: &registryv1.PartialDate{Year: 2016}}, UpdateTime: portaltest.Changed,
		},
		&registryv1.Service{
			Name: "comuni/marsala/services/trasporto", Title: text("Trasporto"), Summary: text("Un pulmino."), TargetGroups: []registryv1.TargetGroup{registryv1.TargetGroup_ELDERLY},
			Status: &registryv1.Status{State: registryv1.Status_ACTIVE}, Provenance: &registryv1.Provenance{VerifyTime: portaltest.Changed, VerifyByTime: nil, Verifier: "Ufficio"}, UpdateTime: portaltest.Changed,
		},
	}
}

// A card says everything in the order of Modello Comuni (C.SI.1.3), with the attributes that its checker reads.
func TestCardFollowsModelloComuni(t *testing.T) {
	p := portaltest.Start(t, records())
	page := p.Get("/servizi/marsala/asacom")
	if page.Status != http.StatusOK {
		t.Fatal(page.Status)
	}
	want := []string{
		"metatag", "breadcrumb", "service-title", "service-status", "service-description", "service-addressed", "service-how-to", "service-needed", "service-achieved",
		"service-calendar-text", "service-calendar-list", "service-generic-access", "service-online-access", "service-area", "service-topic", "feedback",
		"report-inefficiency", "faq", "accessibility-link", "privacy-policy-link",
	}
	var got []string
	for _, match := range regexp.MustCompile(`data-element="([a-z-]+)"`).FindAllStringSubmatch(page.Body, -1) {
		if slices.Contains(want, match[1]) {
			got = append(got, match[1])
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("the page has\n%q, want\n%q", got, want)
	}
	linked := regexp.MustCompile(`(?s)<script type="application/ld\+json"[^>]*>(.*?)</script>`).FindStringSubmatch(page.Body)
	var service struct {
		Type            string `json:"@type"`
		Name            string
		ServiceType     string
		ServiceOperator struct{ Name string }
		AreaServed      []struct{ Name string }
		Audience        struct{ AudienceType string }
		Channels        []struct {
			ServiceURL      string `json:"serviceUrl"`
			ServiceLocation struct {
				Address struct{ StreetAddress string }
			}
		} `json:"availableChannel"`
	}
	if err := json.Unmarshal([]byte(linked[1]), &service); err != nil {
		t.Fatal(err)
	}
	if service.Type != "GovernmentService" || service.Name != "ASACOM" || service.ServiceType != "Sostegno scolastico" || service.ServiceOperator.Name != "Settore Servizi alla Persona" ||
		service.AreaServed[0].Name != "Marsala" || service.Audience.AudienceType != "Alunni" || service.Channels[0].ServiceLocation.Address.StreetAddress != "via Falcone 5" || service.Channels[1].ServiceURL == "" {
		t.Errorf("JSON-LD %s", linked[1])
	}
}

func TestPages(t *testing.T) {
	p := portaltest.Start(t, records())
	for _, test := range []struct {
		path      string
		has, lack []string
	}{
		{"/", []string{"Di che aiuto hai bisogno?", "Andare a una visita", "Novità"}, nil},
		{"/servizi/", []string{"2 risultati", "ASACOM", "Trasporto", "Sospeso", "Per chi", "Alunni (1)"}, nil},
		{"/servizi/?q=pulmino", []string{"1 risultato per «pulmino»", "Trasporto"}, []string{"ASACOM"}},
		{"/servizi/?per=pupils", []string{"1 risultato", "ASACOM", "Togli i filtri"}, []string{"Trasporto"}},
		{"/servizi/?aperto=1", []string{"1 risultato", "ASACOM", "Abbiamo guardato gli orari e i luoghi dei primi 2 servizi"}, []string{"Trasporto"}},
		{"/servizi/?accessibile=1", []string{"1 risultato", "ASACOM"}, []string{"Trasporto"}},
		{"/servizi/?q=xyzzy", []string{"Non ho trovato niente", "0923 993111", "Vedi tutto l"}, []string{"Trasporto"}},
		{"/servizi/?per=%3Cscript%3E", []string{"0 risultati"}, nil},
		{"/ar/servizi/", []string{"المساعدة في المدرسة", "Trasporto"}, []string{"ASACOM"}},
		{"/servizi/marsala/asacom", []string{
			"Sospeso", "Manca il personale.", "Basta una di queste", "Comma 1 con il PEI", "Tribunale di Marsala, 2025", "marzo 2025", "31 gennaio 2027", "Gratis", "via Falcone 5",
			"Queste informazioni sono vecchie", "Va controllata di nuovo", "Il comune non", "78,5 cm", "Leggi in modo facile",
		}, []string{"Alcune parti di questa pagina"}},
		{"/servizi/marsala/asacom?lettura=facile", []string{"Un assistente ti aiuta.", "Leggi la scheda intera"}, []string{"Parla con la scuola."}},
		{"/ar/servizi/marsala/asacom", []string{"المساعدة في المدرسة", "بعض أجزاء هذه الصفحة"}, nil},
		{"/servizi/marsala/trasporto", []string{"Attivo", "Ufficio", "1 marzo 2026"}, []string{"Basta una di queste"}},
		{"/la-mia-lista/?s=marsala/asacom&s=marsala/niente&s=..%2F..&s=marsala/asacom", []string{"ASACOM", "Un servizio della lista non c", "Togli dalla lista"}, nil},
		{"/la-mia-lista/", []string{"La lista è vuota"}, nil},
	} {
		t.Run(test.path, func(t *testing.T) {
			got := p.Get(test.path)
			if got.Status != http.StatusOK {
				t.Fatalf("status %d", got.Status)
			}
			for _, want := range test.has {
				if !strings.Contains(got.Text(), want) {
					t.Errorf("the page does not say %q:\n%s", want, got.Text())
				}
			}
			for _, lack := range test.lack {
				if strings.Contains(got.Text(), lack) {
					t.Errorf("the page says %q", lack)
				}
			}
		})
	}
	for _, path := range []string{"/servizi/?comune=..%2F", "/servizi/marsala/niente", "/servizi/marsala/NIENTE", "/servizi/-/asacom", "/servizi/marsala/asacom/"} {
		if got := p.Get(path); got.Status != http.StatusNotFound || !strings.Contains(got.Text(), "0923 993111") {
			t.Errorf("%s: %d", path, got.Status)
		}
	}
}

// A translation that is missing or old is marked, and what stays Italian says so to screen readers.
func TestTranslationsAreHonest(t *testing.T) {
	p := portaltest.Start(t, records())
	for path, want := range map[string][]string{
		"/ar/servizi/marsala/asacom": {`<h1 data-element="service-title">المساعدة في المدرسة</h1>`, `<p lang="it" dir="ltr">Un assistente a scuola.</p>`, "بعض أجزاء هذه الصفحة لم تُترجم"},
		"/en/servizi/marsala/asacom": {`<span lang="it" dir="ltr">ASACOM</span>`, "not translated yet"},
	} {
		body := p.Get(path).Body
		for _, one := range want {
			if !strings.Contains(body, one) {
				t.Errorf("%s has no %s", path, one)
			}
		}
	}
}

// The questions get everything that decides, and nothing is said of what nobody can decide.
func TestQuestions(t *testing.T) {
	p := portaltest.Start(t, records())
	data := regexp.MustCompile(`(?s)<script type="application/json" id="domande">(.*?)</script>`).FindStringSubmatch(p.Get("/servizi/marsala/asacom").Body)
	if data == nil {
		t.Fatal("no questions")
	}
	var questions struct {
		Criteria []struct {
			Group  int
			Effect string
			Papers []string
			Rule   *struct{ Label, Version string }
		}
		Words map[string]string
	}
	if err := json.Unmarshal([]byte(data[1]), &questions); err != nil {
		t.Fatal(err)
	}
	second := questions.Criteria[1]
	if len(questions.Criteria) != 2 || second.Group != 1 || second.Effect != "required_condition" || second.Papers[0] != "law_104_art3_c1" || second.Rule.Version != "marzo 2025" {
		t.Errorf("criteria %+v", questions.Criteria)
	}
	if questions.Words["maybe"] != "Forse: serve una valutazione" || questions.Words["paper.law_104_art3_c1"] == "" {
		t.Errorf("words %v", questions.Words)
	}
	if strings.Contains(p.Get("/servizi/marsala/trasporto").Body, `id="domande"`) {
		t.Error("questions about nothing")
	}
}

// A comune that is away is named, with what can be done; the rest of the page stands.
func TestComuneAway(t *testing.T) {
	p := portaltest.Start(t, append(records(), &registryv1.Comune{Name: "comuni/pantelleria", Title: text("Pantelleria"), Contacts: []*registryv1.ContactPoint{{Kind: registryv1.ContactPoint_PHONE, Value: "0923 695011"}}}))
	p.Get("/") // the names of the comuni are known before
	p.Registry.SetAway("pantelleria")
	page := p.Get("/servizi/")
	if page.Status != http.StatusOK || !strings.Contains(page.Text(), "ASACOM") || !strings.Contains(page.Text(), "Di Pantelleria ora non posso cercare: non risponde. 0923 695011") {
		t.Errorf("%d %s", page.Status, page.Text())
	}
	card := p.Get("/servizi/pantelleria/altro")
	if card.Status != http.StatusServiceUnavailable || card.Header.Get("Retry-After") == "" || !strings.Contains(card.Text(), "0923 993111") {
		t.Errorf("%d %s", card.Status, card.Text())
	}
}

// Texts of records are text, whatever they look like.
func TestInjections(t *testing.T) {
	var injected []proto.Message
	for _, record := range records() {
		injected = append(injected, portaltest.Injected(record))
	}
	p := portaltest.Start(t, injected)
	for _, path := range []string{"/", "/servizi/", "/servizi/?q=%3Cscript%3E", "/servizi/marsala/asacom", "/ar/servizi/marsala/asacom", "/servizi/marsala/asacom?lettura=facile", "/la-mia-lista/?s=marsala/asacom"} {
		got := p.Get(path)
		if got.Status != http.StatusOK || strings.Contains(got.Body, portaltest.Injection) || strings.Contains(got.Body, "<script>") {
			t.Errorf("%s: %d, or a script in it", path, got.Status)
		}
	}
	if !strings.Contains(p.Get("/servizi/marsala/asacom").Text(), portaltest.Injection) {
		t.Error("the text is not shown at all")
	}
}
