package search

// meanings is the table of everyday words. See the README for how to add one.
var meanings = []meaning{
	// Getting around.
	{
		words:      []string{"trasporto", "accompagnamento", "pulmino", "navetta", "scuolabus", "bus", "autobus", "mobilità assistita"},
		understood: []string{"pullmino", "pulmini", "pullman", "pulman", "corriera", "taxi sociale", "transport", "navette", "accompagnement", "minibus", "shuttle", "نقل", "مواصلات", "حافلة", "باص"},
	},
	{
		words:      []string{"tessera di libera circolazione", "tessera bus", "tessera AST", "abbonamento gratuito", "AST"},
		understood: []string{"tesserino autobus", "carte de bus", "بطاقة الحافلة"},
		also:       []string{"agevolazione trasporto", "libera circolazione", "trasporto gratuito"},
	},
	{
		words:      []string{"contrassegno", "CUDE", "parcheggio disabili", "posto auto disabili", "tagliando disabili", "pass disabili"},
		understood: []string{"contrassegno invalidi", "tagliando arancione", "parcheggio invalidi", "strisce gialle", "carte de stationnement", "موقف سيارات"},
		also:       []string{"stallo riservato", "contrassegno unificato disabili europeo"},
	},
	{
		words:      []string{"barriere architettoniche", "rampa", "montascale", "ascensore", "accessibilità"},
		understood: []string{"servoscala", "scivolo", "monta scale", "elevatore"},
	},
	{
		words:      []string{"carrozzina", "sedia a rotelle", "carrozzella"},
		understood: []string{"sedia rotelle", "fauteuil roulant", "كرسي متحرك"},
		also:       []string{"ausili", "mobilità ridotta"},
	},

	// Help at home.
	{
		words:      []string{"assistenza domiciliare", "badante", "assistente familiare", "aiuto a casa", "assistenza a casa", "SAD", "ADI"},
		understood: []string{"assistente domiciliare", "aiuto domestico", "aiuto domiciliare", "cure domiciliari", "cure a casa", "colf", "aiutu a casa", "aide à domicile", "soins à domicile", "auxiliaire de vie", "مساعدة منزلية", "رعاية منزلية"},
		also:       []string{"domiciliarità", "assistenza domiciliare integrata", "home care premium"},
	},
	{
		words:      []string{"caregiver", "chi assiste un familiare", "familiare che assiste"},
		understood: []string{"care giver", "assistere un familiare", "accudire", "aidant", "aidant familial", "مقدم الرعاية"},
		also:       []string{"sostegno alle famiglie", "assegno di cura"},
	},
	{
		words:      []string{"sollievo", "pausa per la famiglia"},
		understood: []string{"ricovero di sollievo", "répit"},
	},
	{
		words:      []string{"pasti a domicilio", "pasto a casa"},
		understood: []string{"consegna pasti", "repas à domicile", "وجبات منزلية"},
	},
	{
		words:      []string{"telesoccorso", "salvavita", "teleassistenza"},
		understood: []string{"tele soccorso", "bottone salvavita"},
	},
	{
		words:      []string{"dimissioni protette", "dimissione dall'ospedale", "uscita dall'ospedale"},
		understood: []string{"dimesso dall'ospedale", "ritorno a casa dall'ospedale"},
		also:       []string{"convalescente"},
	},

	// Disability and its certificates.
	{
		words:      []string{"disabile", "disabilità", "invalido", "invalidità", "handicap", "diversamente abile"},
		understood: []string{"handicappato", "andicap", "hadicap", "andicappato", "portatore di handicap", "persona con disabilità", "malatu", "handicapé", "handicapée", "invalide", "disabled", "disability", "إعاقة", "معاق", "معوق", "ذوي الاحتياجات الخاصة"},
	},
	{
		words:      []string{"legge 104", "104", "disabilità grave", "handicap grave"},
		understood: []string{"L. 104", "centoquattro", "cento quattro", "art. 3 comma 3", "articolo 3 comma 3", "loi 104", "قانون 104"},
		also:       []string{"disabilità gravissima", "handicap in situazione di gravità"},
	},
	{
		words:      []string{"invalidità civile", "invalido civile", "verbale di invalidità", "commissione medica"},
		understood: []string{"visita di invalidità", "domanda di invalidità", "pension d'invalidité"},
		idioms:     []string{"commissione medica"},
	},
	{
		words:      []string{"indennità di accompagnamento", "accompagno"},
		understood: []string{"assegno di accompagnamento", "soldi accompagnamento", "accumpagnu", "accompagnatoria", "indennità accompagnatoria", "allocation d'accompagnement"},
		also:       []string{"invalidità totale"},
		idioms:     []string{"indennità di accompagnamento", "assegno di accompagnamento", "soldi accompagnamento", "allocation d'accompagnement"},
	},
	{
		words:      []string{"assegno di cura", "patto di cura", "disabilità gravissima"},
		understood: []string{"disabile gravissimo", "gravissimi", "assegno gravissimi"},
	},
	{
		words:      []string{"non autosufficiente", "non autosufficienza"},
		understood: []string{"allettato", "a letto", "dipendenza vitale", "perte d'autonomie"},
		idioms:     []string{"dipendenza vitale"},
	},
	{
		words:      []string{"sordo", "LIS", "lingua dei segni", "non udente", "sordità", "ipoacusico"},
		understood: []string{"sordomuto", "surdu", "interprete LIS", "disabilità uditiva", "sourd", "langue des signes", "deaf", "sign language", "أصم", "صم", "لغة الإشارة"},
	},
	{
		words:      []string{"cieco", "ipovedente", "non vedente", "cecità"},
		understood: []string{"orbu", "orbo", "vista bassa", "disabilità visiva", "braille", "aveugle", "malvoyant", "blind", "أعمى", "كفيف", "مكفوف"},
	},
	{
		words:      []string{"autismo", "autistico", "spettro autistico"},
		understood: []string{"asperger", "autisme", "autiste", "autism", "توحد", "التوحد"},
		also:       []string{"neurosviluppo", "disturbi pervasivi"},
	},
	{
		words:      []string{"disabilità intellettiva", "ritardo mentale", "sindrome di Down"},
		understood: []string{"trisomia 21", "ritardo cognitivo", "trisomie"},
		also:       []string{"disabilità psichica", "neurosviluppo"},
	},
	{
		words:      []string{"salute mentale", "disagio psichico", "malattia mentale", "depressione"},
		understood: []string{"psichiatra", "psichiatria", "esaurimento", "pazzia", "santé mentale", "الصحة النفسية"},
		also:       []string{"CSM"},
	},
	{
		words:      []string{"Alzheimer", "demenza", "perdita di memoria"},
		understood: []string{"alzaimer", "alzeimer", "demenza senile", "démence", "خرف", "زهايمر"},
	},
	{
		words:      []string{"dipendenze", "SerD", "droga", "alcolismo", "gioco d'azzardo"},
		understood: []string{"sert", "tossicodipendenza", "tossicodipendente", "ludopatia", "alcol", "drogue", "مخدرات"},
	},

	// Health and rehabilitation.
	{
		words:      []string{"riabilitazione", "fisioterapia", "logopedia", "fisioterapista", "logopedista", "terapia riabilitativa"},
		understood: []string{"psicomotricità", "neuropsicomotricità", "fisiatra", "ginnastica riabilitativa", "massaggi", "rééducation", "kinésithérapeute", "orthophoniste", "physiotherapy", "إعادة التأهيل", "علاج طبيعي", "علاج النطق"},
		also:       []string{"AIAS", "CSR", "socio-riabilitativo"},
	},
	{
		words:      []string{"psicologo", "psicologa", "sostegno psicologico", "supporto psicologico", "psicoterapia"},
		understood: []string{"aiuto psicologico", "sportello d'ascolto", "psychologue", "psychologist", "طبيب نفسي", "نفساني"},
		also:       []string{"ascolto"},
	},
	{
		words:      []string{"neuropsichiatria infantile", "NPI", "neuropsichiatra"},
		understood: []string{"neuro psichiatria infantile"},
	},
	{
		words:      []string{"ausili", "protesi", "protesi e ausili"},
		understood: []string{"ortopedia", "tutore ortopedico", "apparecchio acustico", "prothèse"},
		idioms:     []string{"tutore ortopedico"},
	},
	{
		words:      []string{"medico", "dottore", "ambulatorio", "poliambulatorio"},
		understood: []string{"dutturi", "guardia medica", "médecin", "doctor", "طبيب", "عيادة"},
	},
	{
		words:      []string{"punto unico di accesso", "PUA", "casa della comunità"},
		understood: []string{"casa di comunità", "porta unitaria di accesso"},
	},

	// School and children.
	{
		words:      []string{"ASACOM", "assistente all'autonomia e alla comunicazione", "assistente alla comunicazione", "maestra di sostegno", "insegnante di sostegno", "sostegno scolastico"},
		understood: []string{"assistenza all'autonomia e alla comunicazione", "assistenza alla comunicazione", "assistente scolastico", "assistenza scolastica", "asacom a scuola", "aiuto a scuola", "maestra sostegno", "assistente igienico personale", "AEC", "AVS", "aide scolaire", "auxiliaire scolaire", "معلمة الدعم", "دعم مدرسي", "مساعد مدرسي"},
		also:       []string{"alunni con disabilità", "sostegno socio-educativo scolastico"},
	},
	{
		words:      []string{"asilo nido", "nido", "asilo", "baby parking"},
		understood: []string{"micronido", "asilu", "crèche", "garderie", "nursery", "حضانة", "روضة"},
		also:       []string{"prima infanzia", "spazio gioco"},
	},
	{
		words:      []string{"scuola dell'infanzia", "scuola materna"},
		understood: []string{"asilo materno", "école maternelle", "مدرسة الحضانة"},
	},
	{
		words:      []string{"doposcuola", "aiuto compiti", "sostegno allo studio"},
		understood: []string{"dopo scuola", "dopu scola", "recupero scolastico", "ripetizioni", "soutien scolaire", "aide aux devoirs", "دروس الدعم", "مساعدة في الواجبات"},
		also:       []string{"centro di aggregazione", "educativa territoriale"},
	},
	{
		words:      []string{"mensa scolastica", "refezione scolastica", "mensa"},
		understood: []string{"mangiare a scuola", "cantine scolaire", "مطعم مدرسي"},
	},
	{
		words:      []string{"centro estivo", "campo estivo", "colonia estiva", "grest"},
		understood: []string{"campeggio estivo", "attività estive", "centre de vacances", "مخيم صيفي"},
	},
	{
		words:      []string{"picciriddi", "bambini", "minori"},
		understood: []string{"picciliddi", "carusi", "figghi", "ragazzini", "enfants", "children", "أطفال"},
	},
	{
		words:      []string{"affido familiare", "affidamento familiare"},
		understood: []string{"affidamento minori", "famiglia affidataria"},
	},

	// Money.
	{
		words:      []string{"contributo", "bonus", "sussidio", "soldi", "aiuto economico"},
		understood: []string{"picciuli", "denaro", "rimborso", "buono spesa", "voucher", "assegno", "agevolazione", "aide financière", "argent", "allocation", "مساعدة مالية", "منحة", "مال"},
		also:       []string{"trasferimento economico", "integrazione al reddito", "indennità", "indennità di accompagnamento", "assegno di accompagnamento"},
	},
	{
		words:      []string{"assegno di inclusione", "reddito di cittadinanza", "ADI assegno di inclusione", "povertà"},
		understood: []string{"reddito di inclusione", "social card", "carta acquisti", "revenu minimum"},
		idioms:     []string{"ADI assegno di inclusione"},
	},
	{
		words:      []string{"ISEE", "attestazione ISEE", "dichiarazione sostitutiva unica"},
		understood: []string{"ise", "calcolo isee", "DSU"},
	},
	{
		words:      []string{"pensione", "pensione di invalidità", "assegno sociale"},
		understood: []string{"pinsioni", "pension", "retraite", "معاش"},
	},
	{
		words:      []string{"bollette", "bonus energia", "bonus idrico", "bonus sociale"},
		understood: []string{"bolletta della luce", "bolletta dell'acqua", "bolletta del gas", "facture", "فاتورة"},
	},
	{
		words:      []string{"gratuito", "gratis", "senza pagare"},
		understood: []string{"a gratis", "gratuit", "free", "مجاني"},
		also:       []string{"esenzione"},
	},

	// Living, day care, independence.
	{
		words:      []string{"casa famiglia", "comunità alloggio", "gruppo appartamento", "struttura residenziale", "ricovero", "casa di riposo"},
		understood: []string{"ospizio", "RSA", "residenza sanitaria assistita", "casa protetta", "foyer", "maison de retraite", "دار رعاية", "دار المسنين"},
		also:       []string{"residenzialità", "abitare assistito", "dopo di noi"},
		idioms:     []string{"maison de retraite"},
	},
	{
		words:      []string{"dopo di noi", "durante noi", "quando non ci saremo più"},
		understood: []string{"dopu di nuatri", "legge 112", "après nous", "بعدنا"},
		also:       []string{"casa famiglia", "gruppo appartamento", "abitare autonomo"},
	},
	{
		words:      []string{"vita indipendente", "abitare autonomo", "autonomia abitativa"},
		understood: []string{"vivere da solo", "vie autonome", "حياة مستقلة"},
	},
	{
		words:      []string{"centro diurno", "centro socio-ricreativo", "centro aggregativo", "centro di aggregazione"},
		understood: []string{"centro sociale", "centro polivalente", "centre de jour", "مركز نهاري"},
		also:       []string{"semiresidenziale"},
	},
	{
		words:      []string{"casa popolare", "alloggio popolare", "emergenza abitativa", "senza casa"},
		understood: []string{"case popolari", "sfratto", "senzatetto", "senza dimora", "senza tetto", "logement social", "sans-abri", "سكن"},
	},
	{
		words:      []string{"anziano", "terza età", "vecchiaia"},
		understood: []string{"vecchio", "vecchiu", "nonni", "over 65", "personne âgée", "elderly", "مسن", "كبار السن"},
	},

	// Work.
	{
		words:      []string{"collocamento mirato", "inserimento lavorativo", "categorie protette", "lavoro per disabili"},
		understood: []string{"legge 68", "lavoro disabili", "liste speciali", "travailleur handicapé", "عمل ذوي الإعاقة"},
		also:       []string{"tirocinio di inclusione", "borsa lavoro"},
	},
	{
		words:      []string{"lavoro", "centro per l'impiego", "tirocinio", "borsa lavoro", "disoccupato"},
		understood: []string{"travagghiu", "ufficio di collocamento", "disoccupazione", "emploi", "travail", "job", "عمل", "شغل"},
	},

	// Rights, offices, protection.
	{
		words:      []string{"assistente sociale", "servizio sociale professionale", "servizi sociali", "segretariato sociale"},
		understood: []string{"assistenza sociale", "assistenti sociali", "assistante sociale", "service social", "social worker", "مساعدة اجتماعية", "الخدمات الاجتماعية"},
	},
	{
		words:      []string{"amministratore di sostegno", "tutore", "tutela giuridica", "interdizione"},
		understood: []string{"curatore", "tutelle", "tuteur", "وصي"},
	},
	{
		words:      []string{"garante della persona disabile", "garante dei disabili", "difensore dei diritti"},
		understood: []string{"garante disabilità", "discriminazione", "défenseur des droits"},
	},
	{
		words:      []string{"sportello informativo", "sportello", "sportello H"},
		understood: []string{"sportello handicap", "ufficio informazioni", "guichet", "renseignements", "مكتب الاستعلامات", "شباك"},
	},
	{
		words:      []string{"modulo", "modulistica", "domanda", "istanza"},
		understood: []string{"formulario", "moduli", "formulaire", "استمارة", "طلب"},
	},
	{
		words:      []string{"violenza", "maltrattamenti", "centro antiviolenza"},
		understood: []string{"anti violenza", "stalking", "violences", "casa rifugio", "العنف"},
	},
	{
		words:      []string{"straniero", "immigrato", "migrante", "mediatore culturale"},
		understood: []string{"extracomunitario", "rifugiato", "richiedente asilo", "asilo politico", "diritto d'asilo", "permesso di soggiorno", "immigré", "étranger", "médiateur culturel", "مهاجر", "أجنبي", "لاجئ", "وسيط ثقافي"},
		also:       []string{"protezione internazionale"},
		idioms:     []string{"richiedente asilo", "asilo politico", "diritto d'asilo"},
	},
	{
		words:      []string{"associazione", "volontariato", "ente del terzo settore", "ETS", "onlus"},
		understood: []string{"no profit", "volontari", "association", "bénévolat", "جمعية", "متطوع"},
	},
	{
		words:      []string{"cooperativa", "cooperativa sociale"},
		understood: []string{"coop", "coop. sociale", "coopérative", "تعاونية"},
	},
}
