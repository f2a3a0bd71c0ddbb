package search_test

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/search"
)

// public is a scope that sees what everyone sees.
var public = search.Scope{Visibility: registryv1.Visibility_PUBLIC, Size: 20}

func it(text string) *registryv1.LocalizedText { return &registryv1.LocalizedText{It: text} }

// service makes a service of Marsala, changed as the test wants it.
func service(id, title string, change ...func(*registryv1.Service)) *registryv1.Service {
	s := &registryv1.Service{Name: "comuni/marsala/services/" + id, Title: it(title), Visibility: registryv1.Visibility_PUBLIC}
	for _, f := range change {
		f(s)
	}
	return s
}

func described(text string) func(*registryv1.Service) {
	return func(s *registryv1.Service) { s.Description = it(text) }
}

func summed(text string) func(*registryv1.Service) {
	return func(s *registryv1.Service) { s.Summary = it(text) }
}

func called(words ...string) func(*registryv1.Service) {
	return func(s *registryv1.Service) { s.Keywords = words }
}

func seenBy(v registryv1.Visibility) func(*registryv1.Service) {
	return func(s *registryv1.Service) { s.Visibility = v }
}

func in(comune string) func(*registryv1.Service) {
	return func(s *registryv1.Service) {
		s.Name = strings.Replace(s.Name, "comuni/marsala/", "comuni/"+comune+"/", 1)
	}
}

func stated(state registryv1.Status_State) func(*registryv1.Service) {
	return func(s *registryv1.Service) { s.Status = &registryv1.Status{State: state} }
}

func forGroups(groups ...registryv1.TargetGroup) func(*registryv1.Service) {
	return func(s *registryv1.Service) { s.TargetGroups = groups }
}

func changesOf(records ...proto.Message) []search.Change {
	var changes []search.Change
	for _, r := range records {
		changes = append(changes, search.Change{Name: catalog.RecordOf(r).Name(), Record: r})
	}
	return changes
}

func indexOf(t testing.TB, records ...proto.Message) *search.Index {
	t.Helper()
	x, err := search.Open("", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := x.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := x.Apply(t.Context(), changesOf(records...), search.Position{Revision: 1}); err != nil {
		t.Fatal(err)
	}
	return x
}

func find(t testing.TB, x *search.Index, req *registryv1.SearchRequest, scope search.Scope) *search.Result {
	t.Helper()
	result, err := x.Search(t.Context(), req, scope)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func ids(result *search.Result) []string {
	var ids []string
	for _, hit := range result.Hits {
		ids = append(ids, hit.Name[strings.LastIndex(hit.Name, "/")+1:])
	}
	return ids
}

func translated(text *registryv1.LocalizedText, language, translation string) *registryv1.LocalizedText {
	if text.Translations == nil {
		text.Translations = map[string]*registryv1.Translation{}
	}
	text.Translations[language] = &registryv1.Translation{Text: translation}
	return text
}

func TestSearchFindsByWords(t *testing.T) {
	for _, test := range []struct {
		name    string
		records []proto.Message
		q       string
		want    []string // ids in order
	}{
		{
			"title before keyword before summary before text, however often",
			[]proto.Message{
				service("a-text", "Uno", described(strings.Repeat("logopedia ", 40))),
				service("b-summary", "Due", summed("Ciclo di logopedia")),
				service("c-keyword", "Tre", called("logopedia")),
				service("d-title", "Logopedia"),
			},
			"logopedia",
			[]string{"d-title", "c-keyword", "b-summary", "a-text"},
		},
		{"accents in the text", []proto.Message{service("one", "La città accessibile")}, "citta", []string{"one"}},
		{"accents in the query", []proto.Message{service("one", "La citta accessibile")}, "CITTÀ", []string{"one"}},
		{"decomposed accents", []proto.Message{service("one", "La città accessibile")}, "citta\u0300", []string{"one"}},
		{"apostrophe as an accent", []proto.Message{service("one", "La citta' accessibile")}, "città", []string{"one"}},
		{"elision in the text", []proto.Message{service("one", "Scuola dell’infanzia")}, "infanzia", []string{"one"}},
		{"elision in the query", []proto.Message{service("one", "Infanzia")}, "dell'infanzia", []string{"one"}},
		{"plural", []proto.Message{service("one", "Asilo per cani")}, "cane", []string{"one"}},
		{"plural of a short word", []proto.Message{service("one", "Nidi comunali")}, "nido", []string{"one"}},
		{"disabile finds disabilità", []proto.Message{service("one", "Disabilità sensoriali")}, "disabili", []string{"one"}},
		{"disabilità finds disabile", []proto.Message{service("one", "Corso per il disabile")}, "disabilità", []string{"one"}},
		{
			"the same form before another one",
			[]proto.Message{service("other", "Disabile"), service("same", "Disabili")},
			"disabili",
			[]string{"same", "other"},
		},
		{"acronyms with stops in the text", []proto.Message{service("one", "Bando dell'A.S.P. di Trapani")}, "asp", []string{"one"}},
		{"acronyms with stops in the query", []proto.Message{service("one", "Bando ASP")}, "a.s.p.", []string{"one"}},
		{"one wrong letter from five on", []proto.Message{service("one", "Teatro")}, "teatto", []string{"one"}},
		{"two swapped letters", []proto.Message{service("one", "Teatro")}, "taetro", []string{"one"}},
		{"no wrong letter in four", []proto.Message{service("one", "Gita")}, "gite gota", nil},
		{"two wrong letters from nine on", []proto.Message{service("one", "Laboratorio teatrale")}, "labratoryo", []string{"one"}},
		{"no wrong digits", []proto.Message{service("one", "Bando 20231")}, "20232", nil},
		{
			"words as written before misspelt ones",
			[]proto.Message{service("like", "Teatri Teatro Teatrino", called("teatro"), summed("teatro")), service("written", "Gita", described("Una sera a teatpo"))},
			"teatpo",
			[]string{"written", "like"},
		},
		{
			"both words as written before one misspelt",
			[]proto.Message{service("like", "Corso teatro", called("corso", "teatro")), service("written", "Varie", described("Un corso, e poi una sera teatpo"))},
			"corso teatpo",
			[]string{"written", "like"},
		},
		{"last word as a beginning", []proto.Message{service("one", "Laboratorio di ceramica")}, "laboratorio cera", []string{"one"}},
		{"only the last word", []proto.Message{service("one", "Laboratorio di ceramica")}, "labora ceramica zzz", nil},
		{"a long beginning", []proto.Message{service("one", "Assistenza domiciliare")}, "domiciliar", []string{"one"}},
		{"stop words do not count", []proto.Message{service("one", "Corso cucina")}, "il corso della cucina", []string{"one"}},
		{"stop words alone are found", []proto.Message{service("one", "Noi e voi"), service("two", "Altro")}, "noi", []string{"one"}},
		{
			"all words before anything",
			[]proto.Message{service("both", "Corso", described("ceramica")), service("one", "Corso corso", called("corso"))},
			"corso ceramica",
			[]string{"both"},
		},
		{"Arabic translation", []proto.Message{service("one", "Corso", func(s *registryv1.Service) { translated(s.Title, "ar", "دَوْرَةُ الخَزَف") })}, "خزف", []string{"one"}},
		{"French translation", []proto.Message{service("one", "Corso", func(s *registryv1.Service) { translated(s.Title, "fr", "Atelier de céramique") })}, "ceramique", []string{"one"}},
		{"easy reading", []proto.Message{service("one", "Corso", func(s *registryv1.Service) {
			s.Title.EasyRead = &registryv1.Translation{Text: "Qui impari a fare vasi"}
		})}, "vasi", []string{"one"}},
		{"label of a code", []proto.Message{service("one", "Corso", func(s *registryv1.Service) {
			s.Categories = []*registryv1.CodedValue{{Scheme: "istat-spesa-sociale", Code: "DAYC", Label: "Laboratori protetti"}}
		})}, "protetti", []string{"one"}},
		{"a code itself", []proto.Message{service("one", "Corso", func(s *registryv1.Service) {
			s.Categories = []*registryv1.CodedValue{{Scheme: "inps-prestazioni-isee", Code: "A2.08"}}
		})}, "A2.08", []string{"one"}},
		{"criteria inside a record", []proto.Message{service("one", "Corso", func(s *registryv1.Service) {
			s.Eligibility = []*registryv1.EligibilityCriterion{{Statement: it("Residenti nelle contrade")}}
		})}, "contrade", []string{"one"}},
		{"contacts are not text", []proto.Message{service("one", "Corso", func(s *registryv1.Service) {
			s.Contacts = []*registryv1.ContactPoint{{Kind: registryv1.ContactPoint_EMAIL, Value: "ufficio@marsala.example", Label: "Riservatissimo"}}
		})}, "riservatissimo", nil},
		{"deleted records are not there", []proto.Message{service("one", "Ceramica", func(s *registryv1.Service) { s.DeleteTime = timestamppb.Now() }), service("two", "Ceramica")}, "ceramica", []string{"two"}},
		{"records of all kinds", []proto.Message{
			&registryv1.Operator{Name: "comuni/marsala/operators/op", Title: it("Ceramista"), Role: "mastro vasaio"},
			&registryv1.Document{Name: "comuni/marsala/documents/doc", Title: it("Atto"), Summary: it("Elenco del vasaio")},
			&registryv1.Comune{Name: "comuni/marsala", Title: it("Città del vasaio")},
		}, "vasaio", []string{"marsala", "doc", "op"}},
		{"equals by name", []proto.Message{service("cc", "Gita"), service("aa", "Gita"), service("bb", "Gita")}, "gita", []string{"aa", "bb", "cc"}},
		{"without words by name", []proto.Message{service("cc", "Gita"), service("aa", "Corso"), service("bb", "Mare")}, "", []string{"aa", "bb", "cc"}},
		{"signs only are no words", []proto.Message{service("aa", "Gita")}, "?! *", []string{"aa"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			x := indexOf(t, test.records...)
			result := find(t, x, &registryv1.SearchRequest{Q: test.q}, public)
			if result.Relaxed {
				result.Hits, result.Total = nil, 0 // only what has all words
			}
			if diff := cmp.Diff(test.want, ids(result)); diff != "" {
				t.Errorf("hits of %q (-want +got):\n%s", test.q, diff)
			}
			if result.Total != len(test.want) {
				t.Errorf("total %d, want %d", result.Total, len(test.want))
			}
		})
	}
}

func TestSearchRelaxes(t *testing.T) {
	x := indexOf(t, service("one", "Corso"), service("two", "Corso di ceramica"), service("none", "Gita"))
	for _, test := range []struct {
		q       string
		want    []string
		relaxed bool
	}{
		{"corso ceramica", []string{"two"}, false},
		{"corso ceramica subacquea", []string{"two", "one"}, true},
		{"subacquea archeologia", nil, false},
		{"subacquea", nil, false},
	} {
		result := find(t, x, &registryv1.SearchRequest{Q: test.q}, public)
		if diff := cmp.Diff(test.want, ids(result)); diff != "" || result.Relaxed != test.relaxed {
			t.Errorf("%q: relaxed %v, hits (-want +got):\n%s", test.q, result.Relaxed, diff)
		}
	}
}

func TestSearchUnderstandsEverydayWords(t *testing.T) {
	x := indexOf(t,
		service("trasporto", "Trasporto sociale"),
		service("domiciliare", "Assistenza domiciliare integrata"),
		service("gravi", "Progetti", described("Riservato alla disabilità grave")),
		service("asacom", "ASACOM", described("assistenza per l'autonomia e la comunicazione degli alunni")),
		service("accompagno", "Indennità di accompagnamento"),
		service("contributi", "Contributi alle famiglie"),
		service("nido", "Nido comunale"),
		service("dopodinoi", "Dopo di noi"),
		service("psicologo", "Sostegno psicologico"),
		service("riabilitazione", "Centro di riabilitazione"),
		service("invalidi", "Sussidi per invalidi"),
		service("caregiver", "Gruppo dei caregiver"),
		service("tessera", "Tessera di libera circolazione AST"),
		service("cude", "Contrassegno unificato"),
		service("lis", "Interprete di lingua dei segni"),
		service("ciechi", "Biblioteca per non vedenti"),
		service("autismo", "Spettro autistico"),
		service("doposcuola", "Doposcuola"),
	)
	for q, want := range map[string]string{
		"pulmino": "trasporto", "pullmino": "trasporto", "navetta": "trasporto", "bus": "trasporto",
		"transport": "trasporto", "نقل": "trasporto", "النقل": "trasporto",
		"badante": "domiciliare", "badanti": "domiciliare", "aiuto a casa": "domiciliare", "assistente familiare": "domiciliare",
		"aide à domicile": "domiciliare", "مساعدة منزلية": "domiciliare",
		"104": "gravi", "legge 104": "gravi", "L.104": "gravi",
		"maestra di sostegno": "asacom", "assistente alla comunicazione": "asacom",
		"accompagno": "accompagno", "accumpagnu": "accompagno",
		"bonus": "contributi", "soldi": "contributi", "picciuli": "contributi",
		"asilo": "nido", "crèche": "nido",
		"ricovero": "dopodinoi", "casa famiglia": "dopodinoi",
		"psicologo": "psicologo", "logopedia": "riabilitazione", "fisioterapia": "riabilitazione",
		"disabile": "invalidi", "handicapé": "invalidi", "إعاقة": "invalidi", "invalidità": "invalidi",
		"care giver": "caregiver", "tessera bus": "tessera", "CUDE": "cude", "C.U.D.E.": "cude", "parcheggio disabili": "cude",
		"sordo": "lis", "LIS": "lis", "cieco": "ciechi", "ipovedente": "ciechi", "autistico": "autismo", "autisme": "autismo",
		"aiuto compiti": "doposcuola", "dopu scola": "doposcuola",
	} {
		t.Run(q, func(t *testing.T) {
			result := find(t, x, &registryv1.SearchRequest{Q: q}, public)
			if !slices.Contains(ids(result), want) || result.Relaxed {
				t.Errorf("%q finds %v (relaxed %v), want %s among them", q, ids(result), result.Relaxed, want)
			}
		})
	}
}

func TestSearchTellsWhatItAlsoSearched(t *testing.T) {
	x := indexOf(t, service("one", "Trasporto sociale"), service("two", "Gita"))
	result := find(t, x, &registryv1.SearchRequest{Q: "pulmino"}, public)
	if !slices.Contains(result.AlsoSearched, "trasporto") || slices.Contains(result.AlsoSearched, "pulmino") {
		t.Errorf("also searched %q, want trasporto and not pulmino", result.AlsoSearched)
	}
	if result := find(t, x, &registryv1.SearchRequest{Q: "gita"}, public); len(result.AlsoSearched) > 0 {
		t.Errorf("gita also searched %q, want nothing", result.AlsoSearched)
	}
	// The longer phrase decides what is asked for.
	result = find(t, x, &registryv1.SearchRequest{Q: "indennità di accompagnamento"}, public)
	if slices.Contains(result.AlsoSearched, "navetta") || !slices.Contains(result.AlsoSearched, "accompagno") {
		t.Errorf("indennità di accompagnamento also searched %q", result.AlsoSearched)
	}
}

func TestIdiomsMeanOneThing(t *testing.T) {
	x := indexOf(t, service("idiom", "Indennità di accompagnamento"), service("word", "Accompagnamento a scuola"), service("both", "Invalidità civile"))
	for q, want := range map[string][]string{"navetta": {"word"}, "accompagno": {"idiom"}, "handicap": {"both"}} {
		if diff := cmp.Diff(want, ids(find(t, x, &registryv1.SearchRequest{Q: q}, public))); diff != "" {
			t.Errorf("%q (-want +got):\n%s", q, diff)
		}
	}
}

func TestSearchPutsWordsBeforeSynonyms(t *testing.T) {
	x := indexOf(t, service("synonym", "Trasporto", described("una volta")), service("word", "Pulmino"))
	if diff := cmp.Diff([]string{"word", "synonym"}, ids(find(t, x, &registryv1.SearchRequest{Q: "pulmino"}, public))); diff != "" {
		t.Error(diff)
	}
}

func TestSearchFilters(t *testing.T) {
	minors, adults := registryv1.TargetGroup(1), registryv1.TargetGroup(2)
	minorsCode := strings.ToLower(minors.String())
	adultsCode := strings.ToLower(adults.String())
	x := indexOf(t,
		service("aa", "Gita", forGroups(minors), stated(registryv1.Status_ACTIVE)),
		service("bb", "Gita", forGroups(minors, adults), stated(registryv1.Status_SUSPENDED), in("pantelleria")),
		service("cc", "Gita", forGroups(adults), stated(registryv1.Status_ACTIVE), func(s *registryv1.Service) {
			s.Categories = []*registryv1.CodedValue{{Scheme: "inps", Code: "A1.16", Label: "Trasporto"}}
			s.Languages = []string{"sgn-IT"}
			s.Access = []*registryv1.AccessChannel{{Kind: registryv1.AccessChannel_HOME_VISIT}}
		}),
		&registryv1.Event{Name: "comuni/marsala/events/dd", Title: it("Gita")},
	)
	for name, test := range map[string]struct {
		req   *registryv1.SearchRequest
		scope search.Scope
		want  []string
	}{
		"one code":             {&registryv1.SearchRequest{TargetGroups: []string{minorsCode}}, public, []string{"aa", "bb"}},
		"codes are choices":    {&registryv1.SearchRequest{TargetGroups: []string{minorsCode, adultsCode}}, public, []string{"aa", "cc", "bb"}},
		"filters narrow":       {&registryv1.SearchRequest{TargetGroups: []string{adultsCode}, Statuses: []string{"active"}}, public, []string{"cc"}},
		"comuni":               {&registryv1.SearchRequest{Comuni: []string{"pantelleria"}}, public, []string{"bb"}},
		"kinds":                {&registryv1.SearchRequest{Kinds: []string{"events"}}, public, []string{"dd"}},
		"coded value":          {&registryv1.SearchRequest{Categories: []string{"inps:A1.16"}}, public, []string{"cc"}},
		"text":                 {&registryv1.SearchRequest{Languages: []string{"sgn-IT"}}, public, []string{"cc"}},
		"inside a list":        {&registryv1.SearchRequest{Access: []string{"home_visit"}}, public, []string{"cc"}},
		"unknown code":         {&registryv1.SearchRequest{Statuses: []string{"no_such"}}, public, nil},
		"unknown among known":  {&registryv1.SearchRequest{Statuses: []string{"no_such", "suspended"}}, public, []string{"bb"}},
		"with words":           {&registryv1.SearchRequest{Q: "gite", Statuses: []string{"active"}}, public, []string{"aa", "cc"}},
		"a scope of comuni":    {&registryv1.SearchRequest{}, search.Scope{Comuni: []string{"pantelleria"}, Size: 9}, []string{"bb"}},
		"scope and filter":     {&registryv1.SearchRequest{Comuni: []string{"marsala"}}, search.Scope{Comuni: []string{"pantelleria"}, Size: 9}, nil},
		"a code with an equal": {&registryv1.SearchRequest{Statuses: []string{"active=", "=", ""}}, public, nil},
	} {
		t.Run(name, func(t *testing.T) {
			result := find(t, x, test.req, test.scope)
			if diff := cmp.Diff(test.want, ids(result)); diff != "" {
				t.Errorf("hits (-want +got):\n%s", diff)
			}
			if result.Total != len(test.want) {
				t.Errorf("total %d, want %d", result.Total, len(test.want))
			}
		})
	}
}

// countsOf gives the counts of one facet as text, in their order.
func countsOf(result *search.Result, facet string) []string {
	var counts []string
	for _, f := range result.Facets {
		if f.Facet == facet {
			for _, c := range f.Counts {
				counts = append(counts, fmt.Sprintf("%s %d", c.Code, c.Count))
			}
		}
	}
	return counts
}

func TestSearchCountsFacets(t *testing.T) {
	x := indexOf(t,
		service("aa", "Gita al mare", stated(registryv1.Status_ACTIVE)),
		service("bb", "Gita ai monti", stated(registryv1.Status_ACTIVE), in("pantelleria")),
		service("cc", "Gita al lago", stated(registryv1.Status_CLOSED)),
		service("dd", "Corso", stated(registryv1.Status_SEASONAL)),
		&registryv1.Event{Name: "comuni/marsala/events/ee", Title: it("Gita in barca")},
	)
	for _, test := range []struct {
		name string
		req  *registryv1.SearchRequest
		want map[string][]string
	}{
		{"of a word", &registryv1.SearchRequest{Q: "gita"}, map[string][]string{
			"statuses": {"active 2", "closed 1"}, "comuni": {"marsala 3", "pantelleria 1"}, "kinds": {"services 3", "events 1"},
		}},
		{"of everything", &registryv1.SearchRequest{}, map[string][]string{
			"statuses": {"active 2", "closed 1", "seasonal 1"}, "comuni": {"marsala 4", "pantelleria 1"}, "kinds": {"services 4", "events 1"},
		}},
		{"a filter does not narrow its own facet", &registryv1.SearchRequest{Q: "gita", Statuses: []string{"active"}}, map[string][]string{
			"statuses": {"active 2", "closed 1"}, "comuni": {"marsala 1", "pantelleria 1"}, "kinds": {"services 2"},
		}},
		{"other filters do", &registryv1.SearchRequest{Q: "gita", Statuses: []string{"active"}, Comuni: []string{"pantelleria"}}, map[string][]string{
			"statuses": {"active 1"}, "comuni": {"marsala 1", "pantelleria 1"}, "kinds": {"services 1"},
		}},
		{"without words too", &registryv1.SearchRequest{Statuses: []string{"closed"}}, map[string][]string{
			"statuses": {"active 2", "closed 1", "seasonal 1"}, "comuni": {"marsala 1"}, "kinds": {"services 1"},
		}},
		{"of relaxed hits", &registryv1.SearchRequest{Q: "corso astronomia"}, map[string][]string{
			"statuses": {"seasonal 1"}, "comuni": {"marsala 1"}, "kinds": {"services 1"},
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.req.Facets = true
			result := find(t, x, test.req, search.Scope{Visibility: registryv1.Visibility_PUBLIC})
			got := map[string][]string{}
			for _, f := range result.Facets {
				got[f.Facet] = countsOf(result, f.Facet)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("facets (-want +got):\n%s", diff)
			}
		})
	}
	if result := find(t, x, &registryv1.SearchRequest{Q: "gita"}, public); result.Facets != nil {
		t.Errorf("facets %v without being asked", result.Facets)
	}
}

func TestSearchCountsAtMostFiftyCodes(t *testing.T) {
	var records []proto.Message
	for i := range 60 {
		records = append(records, service(fmt.Sprintf("s%02d", i), "Gita", func(s *registryv1.Service) {
			s.Categories = []*registryv1.CodedValue{{Scheme: "inps", Code: fmt.Sprintf("A%02d", i)}}
		}))
	}
	result := find(t, indexOf(t, records...), &registryv1.SearchRequest{Facets: true}, public)
	if counts := countsOf(result, "categories"); len(counts) != 50 || counts[0] != "inps:A00 1" {
		t.Errorf("%d codes, the first %v; want 50 from inps:A00 on", len(counts), counts[:1])
	}
}

func TestHitHasWhatAListShows(t *testing.T) {
	updated, verified := timestamppb.New(time.Unix(1_700_000_000, 0)), timestamppb.New(time.Unix(1_600_000_000, 0))
	s := service("gita", "Gita", stated(registryv1.Status_ACTIVE), summed("Un giorno <fuori> città"))
	s.UpdateTime, s.Provenance = updated, &registryv1.Provenance{VerifyTime: verified}
	result := find(t, indexOf(t, s), &registryv1.SearchRequest{Q: "giorno"}, public)
	want := []*registryv1.SearchHit{{
		Name: "comuni/marsala/services/gita", Kind: "services", Comune: "marsala",
		Title: "Gita", Summary: "Un giorno <fuori> città",
		Snippet:    "Un <mark>giorno</mark> &lt;fuori&gt; città",
		Facets:     map[string]*registryv1.FacetCodes{"statuses": {Codes: []string{"active"}}},
		UpdateTime: updated, VerifyTime: verified,
	}}
	if diff := cmp.Diff(want, result.Hits, protocmp.Transform(), protocmp.IgnoreFields(&registryv1.SearchHit{}, "score")); diff != "" {
		t.Errorf("hit (-want +got):\n%s", diff)
	}
	if result.Hits[0].Score <= 0 {
		t.Errorf("score %v, want more than 0", result.Hits[0].Score)
	}
}

func TestSnippet(t *testing.T) {
	long := strings.Repeat("parole senza peso ", 40) + "poi la ceramica & il tornio, " + strings.Repeat("e altro ancora ", 40)
	for _, test := range []struct {
		name, q, want string // want: a part of the snippet
		record        *registryv1.Service
	}{
		{"marks what is asked", "gita", "Una <mark>gita</mark> breve", service("one", "Uscita", summed("Una gita breve"))},
		{"marks other forms", "gite", "Una <mark>gita</mark> breve", service("one", "Uscita", summed("Una gita breve"))},
		{"marks misspelt words", "cermica", "la <mark>ceramica</mark>", service("one", "Corso", described("Con la ceramica"))},
		{"marks words that are begun", "ceram", "la <mark>ceramica</mark>", service("one", "Corso", described("Con la ceramica"))},
		{"marks synonyms", "badante", "offre <mark>assistenza domiciliare</mark> a tutti", service("one", "Uno", described("Si offre assistenza domiciliare a tutti"))},
		{"keeps accents", "citta", "la <mark>città</mark> bella", service("one", "Uno", described("la città bella"))},
		{"escapes", "gita", "&lt;script&gt; <mark>gita</mark> &amp;", service("one", "Uno", described("<script> gita & altro"))},
		{"takes the best text", "corso ceramica", "<mark>corso</mark> di <mark>ceramica</mark>", service("one", "Corso", summed("Un corso"), described("Il corso di ceramica"))},
		{"cuts long texts", "ceramica", "… parole", service("one", "Corso", described(long))},
		{"shows the part that matches", "ceramica", "<mark>ceramica</mark> &amp; il tornio", service("one", "Corso", described(long))},
		{"shows translations", "atelier", "<mark>Atelier</mark> &lt;b&gt;", service("one", "Corso", func(s *registryv1.Service) { translated(s.Title, "fr", "Atelier <b>") })},
	} {
		t.Run(test.name, func(t *testing.T) {
			result := find(t, indexOf(t, test.record), &registryv1.SearchRequest{Q: test.q}, public)
			if len(result.Hits) != 1 {
				t.Fatalf("%d hits", len(result.Hits))
			}
			got := strings.ReplaceAll(result.Hits[0].Snippet, "…", "… ")
			if !strings.Contains(got, test.want) && !strings.Contains(result.Hits[0].Snippet, test.want) {
				t.Errorf("snippet %q, want %q in it", result.Hits[0].Snippet, test.want)
			}
			if len(got) > 700 {
				t.Errorf("snippet of %d bytes", len(got))
			}
		})
	}
}

func TestSearchPages(t *testing.T) {
	var records []proto.Message
	var want []string
	for i := range 30 {
		id := fmt.Sprintf("s%02d", i)
		records = append(records, service(id, "Gita"))
		want = append(want, id)
	}
	x := indexOf(t)
	for i, r := range records { // many segments, in another order than the names
		if err := x.Apply(t.Context(), changesOf(r, records[len(records)-1-i]), search.Position{Revision: int64(i)}); err != nil {
			t.Fatal(err)
		}
	}
	for _, q := range []string{"gita", ""} {
		var got []string
		for from := 0; from < 35; from += 7 {
			result := find(t, x, &registryv1.SearchRequest{Q: q}, search.Scope{From: from, Size: 7})
			if result.Total != 30 {
				t.Errorf("total %d on the page from %d", result.Total, from)
			}
			got = append(got, ids(result)...)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("pages of %q (-want +got):\n%s", q, diff)
		}
	}
	for _, scope := range []search.Scope{{From: 1000, Size: 10}, {From: 5000, Size: 10}, {From: -3, Size: -1}, {}} {
		if result := find(t, x, &registryv1.SearchRequest{Q: "gita"}, scope); len(result.Hits) != 0 || result.Total != 30 {
			t.Errorf("%+v: %d hits of %d", scope, len(result.Hits), result.Total)
		}
	}
}

// A few of many by name: the index walks its names, or sorts those of the hits
// when the first ones are too far away.
func TestSearchListsTheFirstOfMany(t *testing.T) {
	x := indexOf(t)
	var names []string
	for round := range 4 { // every record is replaced three times
		for first := 0; first < 200; first += 50 {
			var records []proto.Message
			for i := range 50 {
				comune := []string{"marsala", "pantelleria"}[(first+i)%2]
				records = append(records, service(fmt.Sprintf("s%03d", first+i), fmt.Sprintf("Gita %d", round), in(comune)))
			}
			apply(t, x, changesOf(records...), search.Position{Revision: int64(round)})
		}
	}
	for i := range 200 {
		names = append(names, fmt.Sprintf("s%03d", i))
	}
	var marsala, pantelleria []string
	for i, name := range names {
		if i%2 == 0 {
			marsala = append(marsala, name)
		} else {
			pantelleria = append(pantelleria, name)
		}
	}
	for comune, all := range map[string][]string{"": slices.Concat(marsala, pantelleria), "marsala": marsala, "pantelleria": pantelleria} {
		req := &registryv1.SearchRequest{}
		if comune != "" {
			req.Comuni = []string{comune}
		}
		for from := range 12 {
			result := find(t, x, req, search.Scope{From: from, Size: 3})
			if diff := cmp.Diff(all[from:from+3], ids(result)); diff != "" || result.Total != len(all) {
				t.Errorf("%q from %d: total %d, hits (-want +got):\n%s", comune, from, result.Total, diff)
			}
		}
	}
}

func TestVisibility(t *testing.T) {
	x := indexOf(t,
		service("public", "Gita manifesta", called("rosso")),
		service("unset", "Gita", seenBy(registryv1.Visibility_VISIBILITY_UNSPECIFIED)),
		service("network", "Gita segreta", called("verdone"), stated(registryv1.Status_SUSPENDED), seenBy(registryv1.Visibility_NETWORK), in("pantelleria")),
		service("local", "Gita intima", called("azzurro"), stated(registryv1.Status_CLOSED), seenBy(registryv1.Visibility_LOCAL), in("pantelleria")),
	)
	for reader, want := range map[registryv1.Visibility][]string{
		registryv1.Visibility_VISIBILITY_UNSPECIFIED: {"public", "unset"},
		registryv1.Visibility_PUBLIC:                 {"public", "unset"},
		registryv1.Visibility_NETWORK:                {"network", "public", "unset"},
		registryv1.Visibility_LOCAL:                  {"local", "network", "public", "unset"},
	} {
		scope := search.Scope{Visibility: reader, Size: 20}
		for _, q := range []string{"gita", "gite", "gitta", "", "gita segretissima"} {
			result := find(t, x, &registryv1.SearchRequest{Q: q, Facets: true}, scope)
			got := ids(result)
			slices.Sort(got)
			if diff := cmp.Diff(want, got); q != "gitta" && diff != "" {
				t.Errorf("%v, %q: hits (-want +got):\n%s", reader, q, diff)
			}
			if result.Total != len(got) {
				t.Errorf("%v, %q: total %d of %d hits", reader, q, result.Total, len(got))
			}
			counted := 0
			for _, f := range result.Facets {
				if f.Facet == "comuni" {
					for _, c := range f.Counts {
						counted += int(c.Count)
					}
				}
			}
			if counted != len(got) {
				t.Errorf("%v, %q: facets count %d of %d hits", reader, q, counted, len(got))
			}
		}
		for id, typed := range map[string][]string{"network": {"segr", "segreta", "sefreta", "verd"}, "local": {"inti", "azz"}} {
			for _, q := range typed {
				suggestions, err := x.Suggest(t.Context(), &registryv1.SuggestRequest{Q: q}, scope)
				if err != nil {
					t.Fatal(err)
				}
				if sees := slices.Contains(want, id); (len(suggestions) > 0) != sees {
					t.Errorf("%v: %q suggests %v", reader, q, suggestions)
				}
			}
		}
	}
}

// What changed last comes first, whichever segment of the index it is in, and pages fit together.
func TestNewestFirst(t *testing.T) {
	changed := func(day int) func(*registryv1.Service) {
		return func(s *registryv1.Service) {
			s.UpdateTime = timestamppb.New(time.Date(2026, 11, day, 8, 0, 0, 0, time.UTC))
		}
	}
	x := indexOf(t, service("old", "Trasporto", changed(1)), service("new", "Trasporto scolastico", changed(20)), service("none", "Trasporto"))
	later := changesOf(service("middle", "Trasporto sociale", changed(10)), service("same", "Trasporto gratuito", changed(10)), service("other", "Mensa", changed(21)),
		service("hidden", "Trasporto", changed(22), seenBy(registryv1.Visibility_NETWORK)), service("old", "Trasporto", changed(23)))
	if err := x.Apply(t.Context(), later, search.Position{Revision: 2}); err != nil {
		t.Fatal(err)
	}
	// "middle" and "same" changed at the same moment: names decide.
	newest := &registryv1.SearchRequest{Q: "trasporto", Order: registryv1.SearchRequest_NEWEST_FIRST}
	all := ids(find(t, x, newest, public))
	if want := []string{"old", "new", "middle", "same", "none"}; !cmp.Equal(all, want) {
		t.Errorf("found %q, want %q", all, want)
	}
	var pages []string
	for from := 0; from < len(all); from += 2 {
		pages = append(pages, ids(find(t, x, newest, search.Scope{Visibility: registryv1.Visibility_PUBLIC, From: from, Size: 2}))...)
	}
	if !cmp.Equal(pages, all) {
		t.Errorf("in pages %q, in one %q", pages, all)
	}
	if first := ids(find(t, x, &registryv1.SearchRequest{Order: registryv1.SearchRequest_NEWEST_FIRST}, search.Scope{Size: 1})); !cmp.Equal(first, []string{"old"}) {
		t.Errorf("without words %q", first)
	}
}
