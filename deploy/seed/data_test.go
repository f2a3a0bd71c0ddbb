package seed_test

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protopath"
	"google.golang.org/protobuf/reflect/protorange"
	"google.golang.org/protobuf/reflect/protoreflect"

	"cidsistem.example/deploy/seed"
	"cidsistem.example/gateway/gulpease"
	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/registryv1"
)

// load reads the sample data once; the tests do not change them.
var load = sync.OnceValues(func() ([]seed.Comune, error) { return seed.Load(seed.Sample()) })

func sample(t testing.TB) []seed.Comune {
	t.Helper()
	comuni, err := load()
	if err != nil {
		t.Fatal(err)
	}
	return comuni
}

// each calls f for every record of the sample data.
func each(t testing.TB, f func(name string, r catalog.Record)) {
	for _, comune := range sample(t) {
		for _, record := range comune.Records {
			r := catalog.RecordOf(record.Message)
			f(r.Name(), r)
		}
	}
}

// parts calls f for every message of a type inside a record.
func parts[M proto.Message](record proto.Message, f func(path string, part M)) {
	_ = protorange.Range(record.ProtoReflect(), func(values protopath.Values) error {
		if m, ok := values.Index(-1).Value.Interface().(protoreflect.Message); ok {
			if part, ok := m.Interface().(M); ok {
				f(values.Path[1:].String(), part)
			}
		}
		return nil
	})
}

func find[M proto.Message](t testing.TB, name string) M {
	t.Helper()
	var found M
	ok := false
	each(t, func(n string, r catalog.Record) {
		if n == name {
			found, ok = r.Message().(M)
		}
	})
	if !ok {
		t.Fatalf("no record %s", name)
	}
	return found
}

func TestEveryComuneHasEveryKindOfRecord(t *testing.T) {
	comuni := sample(t)
	slugs := []string{}
	offered := 0
	for _, comune := range comuni {
		slugs = append(slugs, comune.Slug)
		count := map[string]int{}
		for _, record := range comune.Records {
			count[catalog.Of(record.Message).Collection]++
		}
		for _, kind := range catalog.Kinds() {
			if count[kind.Collection] == 0 {
				t.Errorf("%s has no %s", comune.Slug, kind.Collection)
			}
		}
		if count["comuni"] != 1 {
			t.Errorf("%s has %d records of itself", comune.Slug, count["comuni"])
		}
		if len(comune.Files) == 0 {
			t.Errorf("%s has no document with a file", comune.Slug)
		}
		offered += count["services"] + count["organizations"]
	}
	if want := []string{"marsala", "mazara-del-vallo", "pantelleria"}; !slices.Equal(slugs, want) {
		t.Errorf("comuni are %v, want %v", slugs, want)
	}
	if offered < 60 {
		t.Errorf("%d services and organisations; the sources have at least 60", offered)
	}
}

func TestEveryRecordSaysWhereItComesFrom(t *testing.T) {
	each(t, func(name string, r catalog.Record) {
		p := r.Provenance()
		if p.GetSourceKind() == 0 || p.GetSourceLabel() == "" {
			t.Errorf("%s: source without a kind or a label", name)
		}
		if p.GetSourceUri() == "" && p.GetSourceKind() != registryv1.Provenance_OWN {
			t.Errorf("%s: source without an address", name)
		}
		if !p.GetSample() {
			t.Errorf("%s is not marked as sample data", name)
		}
		if p.GetVerifyTime() != nil || p.GetVerifier() != "" {
			t.Errorf("%s claims to be verified", name)
		}
		if p.GetVerifyByTime() == nil {
			t.Errorf("%s never becomes due", name)
		}
	})
}

// today is when the sample data were put together; what is older than May 2025,
// 18 months before, or has no date, is not known to hold.
var today = time.Date(2026, time.November, 1, 0, 0, 0, 0, time.UTC)

func TestWhatIsOldIsDueAndNotCalledActive(t *testing.T) {
	each(t, func(name string, r catalog.Record) {
		p := r.Provenance()
		asOf := p.GetAsOf()
		old := asOf.GetYear()*12+asOf.GetMonth() < 2025*12+5
		if due := !p.GetVerifyByTime().AsTime().After(today); due != old {
			t.Errorf("%s: as of %v it is due %v", name, asOf, p.GetVerifyByTime().AsTime())
		}
		fd := r.Message().ProtoReflect().Descriptor().Fields().ByName("status")
		if fd == nil || !r.Message().ProtoReflect().Has(fd) {
			return
		}
		status := r.Message().ProtoReflect().Get(fd).Message().Interface().(*registryv1.Status)
		if old && status.GetState() == registryv1.Status_ACTIVE {
			t.Errorf("%s is called active by a source as of %v", name, asOf)
		}
		if status.GetState() != registryv1.Status_ACTIVE && status.GetReason().GetIt() == "" {
			t.Errorf("%s is %v without a reason", name, status.GetState())
		}
	})
}

func TestEveryCodeComesFromAVersionOfAList(t *testing.T) {
	labels := map[string]string{}
	each(t, func(name string, r catalog.Record) {
		parts(r.Message(), func(path string, code *registryv1.CodedValue) {
			if code.GetScheme() == "" || code.GetVersion() == "" || code.GetCode() == "" || code.GetLabel() == "" {
				t.Errorf("%s%s: incomplete code %v", name, path, code)
			}
			key := code.GetScheme() + "/" + code.GetCode()
			if labels[key] == "" {
				labels[key] = code.GetLabel()
			}
			if labels[key] != code.GetLabel() {
				t.Errorf("%s%s: %s is called %q and %q", name, path, key, labels[key], code.GetLabel())
			}
		})
	})
}

func TestTextsArePlainItalian(t *testing.T) {
	avoided := regexp.MustCompile(`(?i)portator[ei] di handicap|diversamente abil|handicappat|affett[oi] da|costrett[oi] su|normodotat`)
	for _, comune := range sample(t) {
		sum := 0.0
		for _, text := range comune.Texts() {
			sum += text.Gulpease
			if text.Gulpease < gulpease.Plain {
				t.Errorf("%s %s: Gulpease %.0f, want %d: %s", text.Record, text.Field, text.Gulpease, gulpease.Plain, text.Text)
			}
			if found := avoided.FindString(text.Text); found != "" {
				t.Errorf("%s %s says %q", text.Record, text.Field, found)
			}
		}
		if mean := sum / float64(len(comune.Texts())); mean < 75 {
			t.Errorf("%s: mean Gulpease %.0f, want at least 75", comune.Slug, mean)
		}
	}
}

func TestTranslationsRenderTheTextAndAreNotReviewed(t *testing.T) {
	each(t, func(name string, r catalog.Record) {
		parts(r.Message(), func(path string, text *registryv1.LocalizedText) {
			sum := sha256.Sum256([]byte(text.GetIt()))
			renditions := map[string]*registryv1.Translation{"easy to read": text.GetEasyRead()}
			for language, translation := range text.GetTranslations() {
				renditions[language] = translation
				if language == "ar" && !regexp.MustCompile(`\p{Arabic}`).MatchString(translation.GetText()) {
					t.Errorf("%s%s: no Arabic in %q", name, path, translation.GetText())
				}
			}
			for language, rendition := range renditions {
				if rendition == nil {
					continue
				}
				if rendition.GetText() == "" || rendition.GetReviewTime() != nil || rendition.GetSourceDigest() != hex.EncodeToString(sum[:]) {
					t.Errorf("%s%s: %s version is %v", name, path, language, rendition)
				}
			}
		})
	})
}

func TestMostNeededServicesCanBeReadByMany(t *testing.T) {
	for _, name := range []string{
		"comuni/marsala/services/trasporto-disabili", "comuni/marsala/services/asacom", "comuni/marsala/services/cid-marsala",
		"comuni/mazara-del-vallo/services/trasporto-csr-aias", "comuni/mazara-del-vallo/services/asacom", "comuni/mazara-del-vallo/services/sportello-h",
		"comuni/pantelleria/services/cid-pantelleria", "comuni/pantelleria/services/sportello-busy",
	} {
		service := find[*registryv1.Service](t, name)
		for _, language := range []string{"ar", "fr"} {
			if service.GetTitle().GetTranslations()[language].GetText() == "" || service.GetSummary().GetTranslations()[language].GetText() == "" {
				t.Errorf("%s is not translated into %s", name, language)
			}
		}
		if service.GetSummary().GetEasyRead().GetText() == "" {
			t.Errorf("%s has no easy-to-read summary", name)
		}
	}
}

// The contract has no field for names of persons, and texts must not smuggle
// them in: nobody is addressed with a title, no e-mail address is given.
func TestNobodyIsNamed(t *testing.T) {
	personal := regexp.MustCompile(`(?i)(first|last|given|family|sur|birth|person).?name|nominative|birth|fiscal_code|gender`)
	titled := regexp.MustCompile(`\b([Dd]ott\.|[Dd]ott\.ssa|[Ss]ig\.|[Ss]ig\.ra|[Aa]vv\.|[Pp]rof\.|[Dd]on|[Mm]onsignor|[Ss]indac[oa]|[Aa]ssessor[ea]?|[Gg]iudice) \p{Lu}`)
	mail := regexp.MustCompile(`\w@\w`)
	each(t, func(name string, r catalog.Record) {
		fields := r.Message().ProtoReflect().Descriptor().Fields()
		for i := range fields.Len() {
			if personal.MatchString(string(fields.Get(i).Name())) {
				t.Errorf("%s has the field %s", name, fields.Get(i).Name())
			}
		}
		_ = protorange.Range(r.Message().ProtoReflect(), func(values protopath.Values) error {
			text, ok := values.Index(-1).Value.Interface().(string)
			if ok && (titled.MatchString(text) || mail.MatchString(text)) {
				t.Errorf("%s%s may name a person: %q", name, values.Path[1:], text)
			}
			return nil
		})
	})
}

func TestSeatPlaceAndAreaAreThreeThings(t *testing.T) {
	for name, seat := range map[string]string{
		"comuni/mazara-del-vallo/organizations/nido-d-argento":    "Partinico",
		"comuni/mazara-del-vallo/organizations/lc-social-service": "Catania",
		"comuni/mazara-del-vallo/organizations/amanthea":          "Caccamo",
		"comuni/mazara-del-vallo/organizations/socioculturale":    "Mira",
		"comuni/pantelleria/organizations/cooperativa-agora":      "Castelfranco Veneto",
	} {
		organization := find[*registryv1.Organization](t, name)
		if organization.GetSeat().GetMunicipality() != seat {
			t.Errorf("%s has its seat in %q, want %q", name, organization.GetSeat().GetMunicipality(), seat)
		}
		comune := strings.Split(name, "/")[1]
		if area := organization.GetAreasServed(); len(area) != 1 || !strings.HasPrefix(comune, strings.ToLower(area[0].GetLabel()[:6])) {
			t.Errorf("%s serves %v", name, area)
		}
	}
}

// The case that a court decided: art. 3 c. 1 is an alternative to c. 3.
func TestAsacomIsForArticle3Comma1Too(t *testing.T) {
	var rules []string
	group := map[registryv1.Certification_Kind]int32{}
	for _, criterion := range find[*registryv1.Service](t, "comuni/marsala/services/asacom").GetEligibility() {
		for _, kind := range criterion.GetCertification().GetAnyOf() {
			group[kind] = criterion.GetAlternativeGroup()
			if kind == registryv1.Certification_LAW_104_ART3_C1 {
				rules = append(rules, criterion.GetRule().GetLabel())
			}
		}
	}
	c1, c3 := group[registryv1.Certification_LAW_104_ART3_C1], group[registryv1.Certification_LAW_104_ART3_C3]
	if c1 == 0 || c1 != c3 {
		t.Errorf("comma 1 is in group %d and comma 3 in group %d; they must be alternatives", c1, c3)
	}
	if len(rules) != 1 || !strings.Contains(rules[0], "Tribunale di Marsala") {
		t.Errorf("the rule for comma 1 is %q, want the court's", rules)
	}
}

func TestAssegnoDiCuraIsCutByThirtyPercent(t *testing.T) {
	for _, comune := range []string{"marsala", "mazara-del-vallo", "pantelleria"} {
		bands := find[*registryv1.Service](t, "comuni/"+comune+"/services/assegno-di-cura").GetCosts()[0].GetBands()
		if len(bands) != 2 || bands[0].GetToCents() != 25_000_00 || bands[1].GetFromCents() != 25_000_00 ||
			bands[1].GetAmountCents()*10 != bands[0].GetAmountCents()*7 {
			t.Errorf("%s: bands are %v", comune, bands)
		}
	}
}

func TestStatesOfRealServices(t *testing.T) {
	for name, want := range map[string]registryv1.Status_State{
		"comuni/mazara-del-vallo/services/centro-per-l-impiego":   registryv1.Status_TEMPORARILY_MOVED,
		"comuni/mazara-del-vallo/services/trasporto-csr-aias":     registryv1.Status_ACTIVE,
		"comuni/marsala/services/dopo-di-noi":                     registryv1.Status_FINANCED_NOT_ACTIVE,
		"comuni/pantelleria/services/serd":                        registryv1.Status_SUSPENDED,
		"comuni/pantelleria/services/campo-estivo":                registryv1.Status_SEASONAL,
		"comuni/marsala/services/cid-marsala":                     registryv1.Status_TO_BE_VERIFIED,
		"comuni/pantelleria/services/contributo-cure-fuori-isola": registryv1.Status_CLOSED,
	} {
		status := find[*registryv1.Service](t, name).GetStatus()
		if status.GetState() != want || status.GetReason().GetIt() == "" {
			t.Errorf("%s is %v because %q, want %v and a reason", name, status.GetState(), status.GetReason().GetIt(), want)
		}
	}
}

func TestSportelloHCirculatesAmongFourTownHalls(t *testing.T) {
	places := find[*registryv1.Service](t, "comuni/mazara-del-vallo/services/sportello-h").GetPlaces()
	if len(places) != 4 {
		t.Fatalf("%d places, want 4", len(places))
	}
	weekly := places[0].GetHours().GetWeekly()
	if len(weekly) != 1 || !slices.Equal(weekly[0].GetDays(), []registryv1.Weekday{registryv1.Weekday_TUESDAY, registryv1.Weekday_THURSDAY}) ||
		weekly[0].GetHours()[0].GetOpens() != "09:00" || weekly[0].GetHours()[0].GetCloses() != "12:00" {
		t.Errorf("in Mazara it is open %v", weekly)
	}
	for _, place := range places[1:] {
		monthly := place.GetHours().GetMonthly()
		if len(monthly) != 1 || monthly[0].GetOrdinal() != 2 || monthly[0].GetDay() != registryv1.Weekday_WEDNESDAY {
			t.Errorf("%s is open %v", place.GetLocation(), monthly)
		}
	}
}

// The figures of single projects are those of one source; they are exact.
func TestMoneyIsExact(t *testing.T) {
	action := find[*registryv1.Action](t, "comuni/mazara-del-vallo/plans/metro-plus-2025/actions/cid")
	if got := action.GetBudget()[0].GetPlannedCents(); got != 609_469_00 {
		t.Errorf("the CID of Mazara has %d cents", got)
	}
	if got := find[*registryv1.Practice](t, "comuni/pantelleria/practices/cid-sistem").GetCostCents(); got != 468_997_68 {
		t.Errorf("CID SISTEM cost %d cents", got)
	}
}
