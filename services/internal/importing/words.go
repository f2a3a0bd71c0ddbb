package importing

import (
	"regexp"
	"slices"
	"strings"

	"cidsistem.example/proto/gen/registryv1"
)

// A meaning is a value and the beginnings of the Italian words that say it.
type meaning[T any] struct {
	value T
	says  []string
}

// meant finds the values that a text speaks of, in the order of the list.
func meant[T comparable](text string, meanings []meaning[T]) (found []T) {
	text = " " + plain(text)
	for _, m := range meanings {
		for _, word := range m.says {
			if strings.Contains(text, " "+word) && !slices.Contains(found, m.value) {
				found = append(found, m.value)
			}
		}
	}
	return found
}

var groups = []meaning[registryv1.TargetGroup]{
	{registryv1.TargetGroup_EVERYONE, []string{"tutti", "tutta la cittadinanza", "cittadini", "chiunque"}},
	{registryv1.TargetGroup_VERY_SEVERE_DISABILITY, []string{"disabilita gravissim", "disabili gravissim", "gravissim"}},
	{registryv1.TargetGroup_SEVERE_DISABILITY, []string{"disabilita grave", "disabilita gravi ", "disabili gravi ", "handicap grave"}},
	{registryv1.TargetGroup_DISABILITY, []string{"disabil", "handicap", "invalid"}},
	{registryv1.TargetGroup_MINORS, []string{"minor", "bambin", "ragazz", "adolescent", "infanzia", "giovan"}},
	{registryv1.TargetGroup_FAMILIES, []string{"famigli", "nuclei familiari", "genitor"}},
	{registryv1.TargetGroup_ELDERLY, []string{"anzian", "terza eta"}},
	{registryv1.TargetGroup_NOT_SELF_SUFFICIENT, []string{"non autosufficien"}},
	{registryv1.TargetGroup_AUTISM, []string{"autis"}},
	{registryv1.TargetGroup_MENTAL_HEALTH, []string{"salute mentale", "disagio psichico", "psichiatric", "disagio mentale"}},
	{registryv1.TargetGroup_ADDICTION, []string{"dipendenz", "tossicodipenden", "alcol", "ludopat"}},
	{registryv1.TargetGroup_IMMIGRANTS, []string{"immigrat", "migrant", "stranier", "rom ", "richiedenti asilo"}},
	{registryv1.TargetGroup_POVERTY, []string{"poverta", "indigen", "disagio economico", "senza dimora", "adulti in difficolta"}},
	{registryv1.TargetGroup_PUPILS, []string{"alunn", "student", "scolar"}},
	{registryv1.TargetGroup_CAREGIVERS, []string{"caregiver", "chi assiste"}},
	{registryv1.TargetGroup_OPERATORS, []string{"operatori", "enti del terzo settore"}},
}

var states = []meaning[registryv1.Status_State]{
	{registryv1.Status_FINANCED_NOT_ACTIVE, []string{"finanziat"}},
	{registryv1.Status_STARTING, []string{"in attivazione", "in avvio", "di prossima"}},
	{registryv1.Status_TO_BE_VERIFIED, []string{"da verificare", "non verificat", "dubbi"}},
	{registryv1.Status_SUSPENDED, []string{"sospes", "temporaneamente chius", "interrott"}},
	{registryv1.Status_TEMPORARILY_MOVED, []string{"trasferit", "spostat"}},
	{registryv1.Status_CLOSED, []string{"chius", "cessat", "non attiv", "non piu attiv", "terminat", "no ", "soppress"}},
	{registryv1.Status_SEASONAL, []string{"stagional", "estiv"}},
	{registryv1.Status_ACTIVE, []string{"attiv", "si ", "apert", "operativ", "in corso", "in funzione", "x "}},
}

var organizationKinds = []meaning[registryv1.Organization_Kind]{
	{registryv1.Organization_CONSORTIUM, []string{"consorzio"}},
	{registryv1.Organization_SOCIAL_COOPERATIVE, []string{"cooperativa", "coop ", "soc coop", "impresa sociale"}},
	{registryv1.Organization_FOUNDATION, []string{"fondazione"}},
	{registryv1.Organization_UNION_OR_PATRONATO, []string{"patronato", "caf ", "cgil", "cisl", "uil ", "acli", "sindacat"}},
	{registryv1.Organization_SCHOOL, []string{"istituto comprensivo", "scuola", "liceo", "direzione didattica", "circolo didattico", "istituto tecnico", "istituto superiore"}},
	{registryv1.Organization_HEALTH_SERVICE, []string{"asp ", "asl ", "azienda sanitaria", "ospedale", "distretto sanitario", "servizio sanitario"}},
	{registryv1.Organization_CHURCH_BODY, []string{"parrocchia", "diocesi", "caritas", "ente ecclesiastico", "ente religioso", "confraternita"}},
	{registryv1.Organization_ASSOCIATION, []string{"associazion", "odv", "aps ", "onlus", "volontariato", "promozione sociale"}},
	{registryv1.Organization_NETWORK_OF_BODIES, []string{"rete ", "tavolo "}},
	{registryv1.Organization_PUBLIC_BODY, []string{"comune di", "comune ", "distretto", "regione", "ente pubblico", "pubblica amministrazione", "prefettura", "libero consorzio"}},
	{registryv1.Organization_PRIVATE_COMPANY, []string{"srl", "s r l", "spa ", "s p a", "societa", "ditta", "privat", "studio "}},
}

var professions = []meaning[registryv1.Operator_Profession]{
	{registryv1.Operator_SOCIAL_WORKER, []string{"assistente sociale", "assistenti sociali"}},
	{registryv1.Operator_EDUCATOR, []string{"educator", "pedagogist"}},
	{registryv1.Operator_PSYCHOLOGIST, []string{"psicolog"}},
	{registryv1.Operator_CARE_WORKER, []string{"oss ", "osa ", "operatore socio", "operatori socio"}},
	{registryv1.Operator_AUTONOMY_COMMUNICATION_ASSISTANT, []string{"asacom", "assistente all autonomia", "assistenti all autonomia"}},
	{registryv1.Operator_HOME_HELPER, []string{"assistente domiciliare", "assistenti domiciliari"}},
	{registryv1.Operator_COMMUNITY_WORKER, []string{"animator"}},
	{registryv1.Operator_CULTURAL_MEDIATOR, []string{"mediator"}},
	{registryv1.Operator_SOCIOLOGIST, []string{"sociolog"}},
	{registryv1.Operator_LEGAL_ADVISER, []string{"avvocat", "consulente legale"}},
	{registryv1.Operator_DESK_OPERATOR, []string{"sportell", "front office"}},
	{registryv1.Operator_COORDINATOR, []string{"coordinat"}},
	{registryv1.Operator_SIGN_LANGUAGE_INTERPRETER, []string{"interprete"}},
	{registryv1.Operator_COMMUNITY_NURSE, []string{"infermier"}},
	{registryv1.Operator_PHYSICIAN, []string{"medic", "fisiatra"}},
	{registryv1.Operator_SPEECH_THERAPIST, []string{"logopedist"}},
	{registryv1.Operator_PHYSIOTHERAPIST, []string{"psicomotricist", "fisioterapist"}},
	{registryv1.Operator_ADMINISTRATIVE, []string{"amministrativ", "istruttor"}},
	{registryv1.Operator_DRIVER, []string{"autist", "accompagnator"}},
	{registryv1.Operator_VOLUNTEER, []string{"volontar"}},
	{registryv1.Operator_OMBUDSMAN, []string{"garante", "tutor"}},
}

var contracts = []meaning[registryv1.Operator_Contract]{
	{registryv1.Operator_PERMANENT, []string{"tempo indeterminato", "indeterminato", "di ruolo"}},
	{registryv1.Operator_FIXED_TERM, []string{"tempo determinato", "determinato"}},
	{registryv1.Operator_OUTSOURCED, []string{"appalto", "esternalizzat", "cooperativa"}},
	{registryv1.Operator_FREELANCE, []string{"incarico", "libero professionista", "partita iva", "consulen"}},
	{registryv1.Operator_VOLUNTARY, []string{"volontari"}},
}

var (
	weekdayNames = []string{"lun", "mar", "mer", "gio", "ven", "sab", "dom"}
	hoursForm    = regexp.MustCompile(`^(\d{1,2})(?:[:.,h](\d{2}))?\s*[-–]\s*(\d{1,2})(?:[:.,h](\d{2}))?$`)
	hoursWords   = strings.NewReplacer(
		"dalle ore ", "", "dalle ", "", "alle ore ", "-", "alle ", "-", " ore ", " ", "dal ", "", " al ", "-", "–", "-", "tutti i giorni", "lun-dom", " e ", ",", "/", ",", ": ", " ",
	)
	daysForm = regexp.MustCompile(`^((?:lun|mar|mer|gio|ven|sab|dom)[a-zì]*(?:\s*[-,]\s*(?:lun|mar|mer|gio|ven|sab|dom)[a-zì]*)*)\s*[,]?\s*(.+)$`)
)

// parseHours reads weekly hours such as "lun-ven 9-13; mar e gio 15.30-17.30".
// What rules cannot say stays in words.
func parseHours(text string) (schedule *registryv1.Schedule, understood bool) {
	schedule = &registryv1.Schedule{}
	for part := range strings.FieldsFuncSeq(strings.ToLower(text), func(r rune) bool { return r == ';' || r == '\n' }) {
		part = strings.TrimSpace(oneLine(hoursWords.Replace(" " + oneLine(part) + " ")))
		m := daysForm.FindStringSubmatch(part)
		if m == nil {
			return &registryv1.Schedule{Note: &registryv1.LocalizedText{It: text}}, false
		}
		week := &registryv1.WeeklyHours{Days: parseDays(m[1])}
		for span := range strings.SplitSeq(m[2], ",") {
			h := hoursForm.FindStringSubmatch(strings.TrimSpace(span))
			if h == nil {
				return &registryv1.Schedule{Note: &registryv1.LocalizedText{It: text}}, false
			}
			r := &registryv1.TimeRange{Opens: clock(h[1], h[2]), Closes: clock(h[3], h[4])}
			if r.GetOpens() >= r.GetCloses() || r.GetOpens() > "23:59" || r.GetCloses() > "24:00" {
				return &registryv1.Schedule{Note: &registryv1.LocalizedText{It: text}}, false
			}
			week.Hours = append(week.Hours, r)
		}
		if len(week.GetDays()) == 0 || len(week.GetHours()) == 0 {
			return &registryv1.Schedule{Note: &registryv1.LocalizedText{It: text}}, false
		}
		schedule.Weekly = append(schedule.Weekly, week)
	}
	return schedule, len(schedule.GetWeekly()) > 0
}

func clock(hour, minute string) string {
	if minute == "" {
		minute = "00"
	}
	if len(hour) == 1 {
		hour = "0" + hour
	}
	return hour + ":" + minute
}

func parseDays(text string) (days []registryv1.Weekday) {
	for part := range strings.SplitSeq(text, ",") {
		from, to, isSpan := strings.Cut(part, "-")
		first := weekday(from)
		last := first
		if isSpan {
			last = weekday(to)
		}
		if first == 0 || last < first {
			return nil
		}
		for d := first; d <= last; d++ {
			if !slices.Contains(days, d) {
				days = append(days, d)
			}
		}
	}
	return days
}

func weekday(text string) registryv1.Weekday {
	text = strings.TrimSpace(text)
	for i, name := range weekdayNames {
		if strings.HasPrefix(text, name) {
			return registryv1.Weekday(i + 1)
		}
	}
	return 0
}
