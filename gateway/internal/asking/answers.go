package asking

import (
	"net/url"
	"strings"
	"time"

	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/deskv1"
	"cidsistem.example/proto/gen/registryv1"
)

// Fields of the form.
const (
	fieldComune   = "comune"
	fieldKind     = "tipo"
	fieldSubject  = "soggetto"
	fieldProblem  = "problema"
	fieldDate     = "data"
	fieldWhen     = "quando"
	fieldText     = "testo"
	fieldCategory = "categoria"
	fieldFor      = "per"
	fieldRole     = "ruolo"
	fieldBasis    = "base"
	fieldExpiry   = "scadenza"
	fieldChannel  = "canale"
	fieldPhone    = "telefono"
	fieldEmail    = "email"
	fieldName     = "nome"
	fieldHours    = "orari"
	fieldFiles    = "allegati"
	// fieldRecord is the record that a link was on, when it is no service and no place.
	fieldRecord = "scheda"
)

// typed are the fields that a person fills in, in their order.
var typed = []string{
	fieldComune, fieldKind, fieldSubject, fieldProblem, fieldDate, fieldWhen, fieldText, fieldCategory,
	fieldFor, fieldRole, fieldBasis, fieldExpiry, fieldChannel, fieldPhone, fieldEmail, fieldName, fieldHours, fieldRecord,
}

// What somebody asks for, as the form calls it.
const (
	askInformation = "informazioni"
	askDisruption  = "disservizio"
	askCallBack    = "richiamata"
	askAppointment = "appuntamento"
	askCorrection  = "correzione"
)

var kinds = []string{askInformation, askDisruption, askCallBack, askAppointment, askCorrection}

var kindOf = map[string]deskv1.Request_Kind{
	askInformation: deskv1.Request_INFORMATION, askDisruption: deskv1.Request_DISRUPTION, askCallBack: deskv1.Request_CALL_BACK,
	askAppointment: deskv1.Request_APPOINTMENT, askCorrection: deskv1.Request_CORRECTION,
}

const (
	forMe      = "me"
	forAnother = "altro"
	// unlisted is the subject that is not among those shown.
	unlisted = "altro"
)

// categories are codes of "cid-needs": what people come with.
var categories = []string{"transport", "school", "home", "money", "certificate", "day", "work", "therapy", "later", "rights"}

var (
	problems = []deskv1.Disruption_Problem{
		deskv1.Disruption_NOT_PROVIDED, deskv1.Disruption_LATE, deskv1.Disruption_NOT_ACCESSIBLE, deskv1.Disruption_NOT_AS_DESCRIBED,
		deskv1.Disruption_TREATMENT, deskv1.Disruption_OTHER,
	}
	roles = []deskv1.Representation_Role{
		deskv1.Representation_PARENT, deskv1.Representation_FAMILY_MEMBER, deskv1.Representation_CAREGIVER, deskv1.Representation_GUARDIAN,
		deskv1.Representation_SUPPORT_ADMINISTRATOR, deskv1.Representation_PROFESSIONAL, deskv1.Representation_NEIGHBOUR_OR_FRIEND,
		deskv1.Representation_OTHER,
	}
	// The private code comes first: it needs nothing of the person.
	channels = []deskv1.Request_Channel{
		deskv1.Request_CODE_ONLY, deskv1.Request_PHONE, deskv1.Request_EMAIL, deskv1.Request_VISIT, deskv1.Request_VIDEO_CALL_SIGN_LANGUAGE,
	}
)

// slugs are values of an enumeration as the form writes them.
func slugs[E interface{ String() string }](values []E) []string {
	all := make([]string, len(values))
	for i, value := range values {
		all[i] = slug(value)
	}
	return all
}

// slug of a value. Messages cannot be called "other".
func slug(value interface{ String() string }) string {
	if value.String() == "OTHER" {
		return "something_else"
	}
	return strings.ToLower(value.String())
}

// chosen is the value among some that a slug stands for, the one that is not set when there is none.
func chosen[E interface{ String() string }](text string, among []E) E {
	var none E
	for _, value := range among {
		if slug(value) == text {
			return value
		}
	}
	return none
}

// channel is how the person wants the answer. Who wants to be called says so by that alone.
func (a answers) channel() deskv1.Request_Channel {
	if a[fieldKind] == askCallBack {
		return deskv1.Request_PHONE
	}
	return chosen(a[fieldChannel], channels)
}

// answers are what was typed so far, by field.
type answers map[string]string

// answersOf a form. Whatever comes is text: control characters that no field has are taken out.
func answersOf(values url.Values) answers {
	a := answers{}
	for _, name := range typed {
		text := clean(values.Get(name))
		if name != fieldText {
			text = strings.Join(strings.Fields(text), " ")
		}
		if text != "" {
			a[name] = text
		}
	}
	return a
}

// clean makes a text that the contract admits of whatever a browser sent.
func clean(text string) string {
	text = strings.ToValidUTF8(strings.ReplaceAll(text, "\r\n", "\n"), "\uFFFD")
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r == 0x7f {
			return -1
		}
		return r
	}, text)
}

// answersFrom the address of a link: which comune, what for, about which record.
func answersFrom(r *site.Request, comuni site.Comuni) answers {
	a, query := answers{}, r.URL.Query()
	if kind := query.Get(fieldKind); kindOf[kind] != 0 {
		a[fieldKind] = kind
	}
	comune := query.Get(fieldComune)
	for _, name := range []string{"servizio", "luogo", fieldRecord} {
		parsed, err := catalog.ParseName(query.Get(name))
		if err != nil || parsed.Comune() == "" {
			continue
		}
		comune = parsed.Comune()
		if isSubject(parsed) {
			a[fieldSubject] = parsed.String()
		} else {
			a[fieldRecord] = parsed.String()
		}
	}
	if _, known := comuni.Of(comune); known {
		a[fieldComune] = comune
	} else {
		delete(a, fieldSubject)
		delete(a, fieldRecord)
	}
	return a
}

// record is that of the link, empty when there is none.
func (a answers) record() string {
	name, err := catalog.ParseName(a[fieldRecord])
	if err != nil || name.Comune() != a[fieldComune] {
		return ""
	}
	return name.String()
}

func isSubject(name catalog.Name) bool {
	return name.Kind.Collection == "services" || name.Kind.Collection == "locations"
}

// subject is the record that the request is about; false when there is none.
func (a answers) subject() (catalog.Name, bool) {
	name, err := catalog.ParseName(a[fieldSubject])
	return name, err == nil && isSubject(name) && name.Comune() == a[fieldComune]
}

// dateOf reads a day as browsers send it, or as people write it.
func dateOf(text string) (time.Time, bool) {
	for _, layout := range []string{"2006-01-02", "2/1/2006", "2.1.2006", "2-1-2006"} {
		if day, err := time.ParseInLocation(layout, text, site.Rome); err == nil && day.Year() >= 1900 && day.Year() <= 2200 {
			return day, true
		}
	}
	return time.Time{}, false
}

func partial(day time.Time) *registryv1.PartialDate {
	return &registryv1.PartialDate{Year: int32(day.Year()), Month: int32(day.Month()), Day: int32(day.Day())}
}
