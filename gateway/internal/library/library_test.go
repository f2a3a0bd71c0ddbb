package library_test

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	ical "github.com/emersion/go-ical"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"cidsistem.example/gateway/internal/portaltest"
	"cidsistem.example/proto/gen/registryv1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	form     = "comuni/marsala/documents/modulo"
	oldForm  = "comuni/marsala/documents/modulo-2024"
	ended    = "comuni/marsala/documents/bando"
	practice = "comuni/marsala/practices/elenco"
	plan     = "comuni/marsala/plans/zona"
	meeting  = "comuni/marsala/events/incontro"
	sha      = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
)

func date(t time.Time) *registryv1.PartialDate {
	return &registryv1.PartialDate{Year: int32(t.Year()), Month: int32(t.Month()), Day: int32(t.Day())}
}

func year(y int32) *registryv1.PartialDate { return &registryv1.PartialDate{Year: y} }

func records() []proto.Message {
	soon := time.Now().AddDate(0, 0, 10)
	files := []*registryv1.FileReference{{Sha256: sha, FileName: "modulo & allegati.pdf", MediaType: "application/pdf", SizeBytes: 1_240_000, Accessible: proto.Bool(false)}}
	return []proto.Message{
		portaltest.Marsala(),
		&registryv1.Document{
			Name: form, Title: portaltest.Text("Modulo trasporto"), Kind: registryv1.Document_FORM, Replaces: oldForm, Files: files,
			Validity: &registryv1.Period{Start: year(2020)}, UpdateTime: portaltest.Changed,
		},
		&registryv1.Document{Name: oldForm, Title: portaltest.Text("Modulo trasporto 2024"), Kind: registryv1.Document_FORM, Files: files, UpdateTime: portaltest.Changed},
		&registryv1.Document{
			Name: ended, Title: portaltest.Text("Bando casa"), Kind: registryv1.Document_NOTICE, Files: files, Validity: &registryv1.Period{End: year(2020)}, UpdateTime: portaltest.Changed,
		},
		&registryv1.Practice{
			Name: practice, Title: portaltest.Text("Elenco dei luoghi"), Problem: portaltest.Text("Nessuno sa"), Lessons: portaltest.Text("Invecchia"), CostCents: 30_700_050,
			Evidence: registryv1.Practice_EVALUATED, Adoptions: []*registryv1.Adoption{{Adopter: "Comune di Salemi", Changes: portaltest.Text("Lo fa a mano")}},
			MeasuredResults: []*registryv1.PracticeResult{{Indicator: "luoghi visti", Before: "0", After: "120"}}, Documents: []string{form}, UpdateTime: portaltest.Changed,
		},
		&registryv1.Plan{
			Name: plan, Title: portaltest.Text("Piano di zona"), State: registryv1.Plan_IN_PROGRESS, FirstYear: 2024, LastYear: 2026,
			Indicators: []*registryv1.Indicator{{Title: "persone seguite", Target: proto.Float64(1250.5), Values: []*registryv1.IndicatorValue{{Value: 40}}}},
		},
		&registryv1.Action{
			Name: plan + "/actions/casa", Number: "2", Title: portaltest.Text("Casa"), State: registryv1.Action_FINANCED,
			Budget: []*registryv1.BudgetLine{{Year: 2025, Source: "PNRR", PlannedCents: 10_000_001}},
		},
		&registryv1.Action{
			Name: plan + "/actions/pulmino", Number: "1", Title: portaltest.Text("Pulmino"), State: registryv1.Action_ACTIVE_ACTION,
			Budget: []*registryv1.BudgetLine{{Year: 2025, Source: "PNRR", PlannedCents: 10_000_001, PaidCents: 5_000_000}, {Year: 2024, Source: "FNPS", PlannedCents: 98}},
		},
		&registryv1.Event{
			Name: meeting, Title: portaltest.Text("Incontro, con; segni\\ e à lungo " + strings.Repeat("parola è ", 20)), Summary: portaltest.Text("Prima riga\nSeconda riga"),
			StartDate: date(soon), StartClock: "10:30", EndClock: "12:00", PlaceNote: "Sala Giunta", UpdateTime: portaltest.Changed,
		},
		&registryv1.Event{Name: "comuni/marsala/events/giornata", Title: portaltest.Text("Giornata aperta"), StartDate: date(soon), EndDate: date(soon.AddDate(0, 0, 1)), UpdateTime: portaltest.Changed},
		&registryv1.Event{Name: "comuni/marsala/events/convegno", Title: portaltest.Text("Convegno passato"), StartDate: &registryv1.PartialDate{Year: 2013, Month: 11}, UpdateTime: portaltest.Changed},
	}
}

func TestPages(t *testing.T) {
	p := portaltest.Start(t, records())
	tests := []struct {
		path      string
		has, lack []string
	}{
		{"/documenti/", []string{"3 risultati", "Modulo trasporto", "Bando casa", "Avviso o bando ·"}, []string{"Elenco dei luoghi"}},
		{"/documenti/?documento=notice", []string{"1 risultato", "Bando casa"}, []string{"Modulo trasporto"}},
		{"/documenti/marsala/modulo", []string{"È in vigore", "Modulo trasporto 2024", "PDF, 1,2 MB", "Non si legge bene", "Elenco dei luoghi"}, []string{"versione vecchia"}},
		{"/documenti/marsala/modulo-2024", []string{"È stato sostituito", "Usa quello nuovo", "Non usarla per una nuova domanda"}, []string{"È in vigore"}},
		{"/documenti/marsala/bando", []string{"È scaduto", "fino al 2020", "Mi serve lo stesso la versione vecchia"}, []string{"È in vigore", "Usa quello nuovo"}},
		{"/buone-pratiche/", []string{"1 risultato", "Elenco dei luoghi"}, []string{"Modulo"}},
		{"/buone-pratiche/marsala/elenco", []string{"Nessuno sa", "Invecchia", "307.000,50", "Comune di Salemi", "Lo fa a mano", "luoghi visti 0 120", "L'hanno valutato altri", "Modulo trasporto"}, nil},
		{"/programmazione/", []string{"1 risultato", "Piano di zona", "In corso ·"}, nil},
		{"/programmazione/marsala/zona", []string{
			"2024–2026", "2 azioni in questo piano", "Attive 1 100.000,99", "Finanziate, non ancora attive 1 100.000,01", "Finanziata, non ancora attiva",
			"2025 PNRR 200.000,02 € non indicato 50.000 €", "Totale 200.001 € non indicato 50.000 €", "1. Pulmino", "2. Casa", "1.250,5", "È stato pagato il 24 %",
		}, nil},
		{"/fr/programmazione/marsala/zona", []string{"1 250,5", "Financées, pas encore actives 1", "200 001"}, nil},
		{"/agenda/", []string{"2 prossimi appuntamenti", "Incontro, con", "ore 10:30", "Giornata aperta"}, []string{"Convegno passato"}},
		{"/agenda/?passati=1", []string{"1 appuntamento passato", "Convegno passato", "novembre 2013"}, []string{"Giornata aperta"}},
		{"/agenda/?comune=marsala", []string{"2 prossimi appuntamenti"}, nil},
		{"/agenda/marsala/incontro", []string{"Sala Giunta", "Seconda riga", "Aggiungi al tuo calendario"}, []string{"già passato"}},
		{"/agenda/marsala/convegno", []string{"Questo appuntamento è già passato."}, []string{"Aggiungi al tuo calendario"}},
	}
	for _, test := range tests {
		t.Run(test.path, func(t *testing.T) {
			got := p.Get(test.path)
			if got.Status != http.StatusOK {
				t.Fatalf("status %d", got.Status)
			}
			text := strings.ReplaceAll(got.Text(), "\u00a0", " ")
			for _, want := range test.has {
				if !strings.Contains(text, strings.ReplaceAll(want, "\u00a0", " ")) {
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

func TestActionsStandInTheirOrder(t *testing.T) {
	got := portaltest.Start(t, records()).Get("/programmazione/marsala/zona").Body
	first, second := strings.Index(got, `id="pulmino"`), strings.Index(got, `id="casa"`)
	if first < 0 || second < first {
		t.Errorf("action 1 stands at %d, action 2 at %d", first, second)
	}
}

func TestFiles(t *testing.T) {
	p := portaltest.Start(t, records())
	address := "/v1/comuni/marsala/files/" + sha + ":download?filename=modulo&#43;%26&#43;allegati.pdf"
	if got := p.Get("/documenti/marsala/modulo").Body; !strings.Contains(got, address) && !strings.Contains(got, "modulo+%26+allegati.pdf") {
		t.Error("the file cannot be downloaded")
	}
	// An expired form is there for who asks for it, and closed until then.
	for _, path := range []string{"/documenti/marsala/modulo-2024", "/documenti/marsala/bando"} {
		got := p.Get(path).Body
		download, closed := strings.Index(got, ":download"), strings.Index(got, "<details>")
		if closed < 0 || download < closed {
			t.Errorf("%s offers an old file at once", path)
		}
	}
}

func TestUnknown(t *testing.T) {
	p := portaltest.Start(t, records())
	for _, path := range []string{
		"/documenti/palermo/x", "/documenti/marsala/x", "/buone-pratiche/marsala/x", "/programmazione/palermo/x", "/agenda/marsala/x", "/agenda/marsala/x.ics", "/agenda/marsala/convegno.ics",
		"/agenda/?comune=palermo", "/agenda/agenda.ics?comune=palermo", "/agenda/?pagina=2", "/agenda/?pagina=x", "/programmazione/marsala/zona?pagina=0", "/documenti/?comune=palermo",
	} {
		if got := p.Get(path); got.Status != http.StatusNotFound {
			t.Errorf("%s: status %d", path, got.Status)
		}
	}
}

func TestAgendaPages(t *testing.T) {
	all := []proto.Message{portaltest.Marsala()}
	for i := range 45 {
		all = append(all, &registryv1.Event{Name: fmt.Sprintf("comuni/marsala/events/evento-%02d", i), Title: portaltest.Text("Evento"), StartDate: date(time.Now().AddDate(0, 0, 50-i))})
	}
	p := portaltest.Start(t, all)
	seen, last := 0, ""
	for page := 1; page <= 3; page++ {
		got := p.Get(fmt.Sprintf("/agenda/?comune=marsala&pagina=%d", page))
		if !strings.Contains(got.Text(), "45 prossimi appuntamenti") {
			t.Fatalf("page %d does not say how many there are", page)
		}
		for _, part := range strings.Split(got.Body, `href="/agenda/marsala/evento-`)[1:] {
			if id := part[:2]; last != "" && id >= last {
				t.Errorf("%s comes after %s", id, last)
			} else {
				last = id
			}
			seen++
		}
		if more := strings.Contains(got.Body, `rel="next"`); more != (page < 3) {
			t.Errorf("page %d leads on: %v", page, more)
		}
	}
	if seen != 45 {
		t.Errorf("the pages have %d events", seen)
	}
}

// atomFeed is what RFC 4287 requires of a feed.
type atomFeed struct {
	XMLName xml.Name `xml:"http://www.w3.org/2005/Atom feed"`
	ID      string   `xml:"id"`
	Title   string   `xml:"title"`
	Updated string   `xml:"updated"`
	Entries []struct {
		ID      string `xml:"id"`
		Title   string `xml:"title"`
		Updated string `xml:"updated"`
		Summary string `xml:"summary"`
		Links   []struct {
			Rel  string `xml:"rel,attr"`
			Href string `xml:"href,attr"`
		} `xml:"link"`
	} `xml:"entry"`
}

func readAtom(t *testing.T, got portaltest.Answer) atomFeed {
	t.Helper()
	if got.Status != http.StatusOK || !strings.HasPrefix(got.Header.Get("Content-Type"), "application/atom+xml") {
		t.Fatalf("status %d, %s", got.Status, got.Header.Get("Content-Type"))
	}
	var feed atomFeed
	decoder := xml.NewDecoder(strings.NewReader(got.Body))
	if err := decoder.Decode(&feed); err != nil {
		t.Fatalf("the feed is not well formed: %v", err)
	}
	if _, err := decoder.Token(); err != io.EOF {
		t.Fatalf("something follows the feed: %v", err)
	}
	ids := map[string]bool{}
	for _, times := range append([]string{feed.Updated}, feed.updates()...) {
		if _, err := time.Parse(time.RFC3339, times); err != nil {
			t.Errorf("time %q: %v", times, err)
		}
	}
	for _, entry := range feed.Entries {
		if entry.ID == "" || ids[entry.ID] || entry.Title == "" || len(entry.Links) == 0 {
			t.Errorf("entry %+v", entry)
		}
		ids[entry.ID] = true
	}
	return feed
}

func (f atomFeed) updates() []string {
	var all []string
	for _, entry := range f.Entries {
		all = append(all, entry.Updated)
	}
	return all
}

func TestAtom(t *testing.T) {
	p := portaltest.Start(t, records())
	for path, entries := range map[string]int{"/documenti/novita.atom": 3, "/buone-pratiche/novita.atom": 1, "/agenda/novita.atom": 3, "/ar/documenti/novita.atom": 3} {
		feed := readAtom(t, p.Get(path))
		if feed.ID != p.Base()+path || len(feed.Entries) != entries {
			t.Errorf("%s: id %s, %d entries", path, feed.ID, len(feed.Entries))
		}
		for _, entry := range feed.Entries {
			if got := p.Get(strings.TrimPrefix(entry.Links[0].Href, p.Base())); got.Status != http.StatusOK {
				t.Errorf("%s leads to %s: status %d", path, entry.Links[0].Href, got.Status)
			}
		}
	}
	if !strings.Contains(p.Get("/documenti/").Body, `href="/documenti/novita.atom"`) {
		t.Error("the page does not tell of its feed")
	}
}

func readCalendar(t *testing.T, got portaltest.Answer) *ical.Calendar {
	t.Helper()
	if got.Status != http.StatusOK || !strings.HasPrefix(got.Header.Get("Content-Type"), "text/calendar") {
		t.Fatalf("status %d, %s", got.Status, got.Header.Get("Content-Type"))
	}
	for line := range bytes.Lines([]byte(got.Body)) {
		if !bytes.HasSuffix(line, []byte("\r\n")) || len(line) > 77 {
			t.Errorf("line of %d octets: %q", len(line), line)
		}
	}
	calendar, err := ical.NewDecoder(strings.NewReader(got.Body)).Decode()
	if err != nil {
		t.Fatalf("the calendar cannot be read: %v", err)
	}
	return calendar
}

func TestCalendar(t *testing.T) {
	p := portaltest.Start(t, records())
	calendar := readCalendar(t, p.Get("/agenda/agenda.ics"))
	if got := len(calendar.Events()); got != 2 {
		t.Errorf("%d events", got)
	}
	rome, _ := time.LoadLocation("Europe/Rome")
	soon := time.Now().AddDate(0, 0, 10)
	one := readCalendar(t, p.Get("/agenda/marsala/incontro.ics")).Events()
	if len(one) != 1 {
		t.Fatalf("%d events", len(one))
	}
	start, err := one[0].DateTimeStart(rome)
	if err != nil || start.In(rome).Format("15:04") != "10:30" || start.In(rome).Day() != soon.Day() {
		t.Errorf("starts %v: %v", start, err)
	}
	if end, err := one[0].DateTimeEnd(rome); err != nil || end.Sub(start) != 90*time.Minute {
		t.Errorf("ends %v: %v", end, err)
	}
	if title, err := one[0].Props.Text(ical.PropSummary); err != nil || !strings.HasPrefix(title, "Incontro, con; segni\\ e à lungo parola è parola è") {
		t.Errorf("title %q: %v", title, err)
	}
	if text, err := one[0].Props.Text(ical.PropDescription); err != nil || text != "Prima riga\nSeconda riga" {
		t.Errorf("text %q: %v", text, err)
	}
	days := readCalendar(t, p.Get("/agenda/marsala/giornata.ics")).Events()[0]
	first, err1 := days.DateTimeStart(rome)
	last, err2 := days.DateTimeEnd(rome)
	if err1 != nil || err2 != nil || last.Sub(first).Round(24*time.Hour) != 48*time.Hour || days.Props.Get(ical.PropDateTimeStart).ValueType() != ical.ValueDate {
		t.Errorf("two whole days last from %v to %v (%v, %v)", first, last, err1, err2)
	}
	empty := readCalendar(t, portaltest.Start(t, []proto.Message{portaltest.Marsala()}).Get("/agenda/agenda.ics"))
	if len(empty.Events()) != 0 || len(empty.Children) != 1 {
		t.Errorf("an empty calendar has %d parts", len(empty.Children))
	}
}

func TestInjection(t *testing.T) {
	soon := time.Now().AddDate(0, 0, 3)
	action := &registryv1.Action{Name: plan + "/actions/casa", State: registryv1.Action_FINANCED, Budget: []*registryv1.BudgetLine{{Year: 2025}}}
	p := portaltest.Start(t, []proto.Message{
		portaltest.Marsala(),
		portaltest.Injected(&registryv1.Document{Name: form, Kind: registryv1.Document_FORM, Files: []*registryv1.FileReference{{Sha256: sha}}, UpdateTime: portaltest.Changed}),
		portaltest.Injected(&registryv1.Practice{Name: practice, UpdateTime: portaltest.Changed}),
		portaltest.Injected(&registryv1.Plan{Name: plan, State: registryv1.Plan_DRAFT, FirstYear: 2024, LastYear: 2026}),
		portaltest.Injected(action),
		portaltest.Injected(&registryv1.Event{Name: meeting, StartDate: date(soon), UpdateTime: portaltest.Changed}),
	})
	for _, path := range []string{
		"/documenti/", "/documenti/marsala/modulo", "/buone-pratiche/", "/buone-pratiche/marsala/elenco", "/programmazione/", "/programmazione/marsala/zona",
		"/agenda/", "/agenda/marsala/incontro", "/ar/documenti/marsala/modulo",
	} {
		got := p.Get(path)
		if got.Status != http.StatusOK || got.Scripts() != 0 {
			t.Errorf("%s: status %d, %d scripts", path, got.Status, got.Scripts())
		}
		if !strings.Contains(got.Text(), portaltest.Injection) {
			t.Errorf("%s does not show the script as text", path)
		}
	}
	for _, path := range []string{"/documenti/novita.atom", "/buone-pratiche/novita.atom", "/agenda/novita.atom"} {
		got := p.Get(path)
		if feed := readAtom(t, got); len(feed.Entries) != 1 || !strings.HasPrefix(feed.Entries[0].Title, portaltest.Injection) || strings.Contains(got.Body, "<script") {
			t.Errorf("%s: %s", path, got.Body)
		}
	}
	for _, path := range []string{"/agenda/agenda.ics", "/agenda/marsala/incontro.ics"} {
		event := readCalendar(t, p.Get(path)).Events()[0]
		if title, err := event.Props.Text(ical.PropSummary); err != nil || !strings.HasPrefix(title, portaltest.Injection) {
			t.Errorf("%s: title %q: %v", path, title, err)
		}
	}
}
