package importing

import (
	"cidsistem.example/proto/gen/exchangev1"
)

// A target is what a column can fill.
type target struct {
	name, label string
	// heads are headings under which it is found, as plain gives them.
	heads []string
	// several columns may fill it.
	several  bool
	required bool
}

// Targets that many kinds have.
var (
	externalID   = target{name: "external_id", label: "Codice nella fonte", heads: []string{"id", "codice", "cod", "codice scheda", "id scheda", "codice servizio", "codice ente", "id ente", "id servizio", "progressivo", "n scheda"}}
	asOf         = target{name: "provenance.as_of", label: "Aggiornato al", heads: []string{"aggiornato al", "data aggiornamento", "ultimo aggiornamento", "aggiornamento", "data verifica", "data", "aggiornato"}}
	phone        = target{name: "contacts.phone", label: "Telefono", several: true, heads: []string{"telefono", "tel", "telefoni", "recapito telefonico", "recapiti telefonici", "cellulare", "numero di telefono", "recapiti", "tel cell", "telefono fisso", "numero verde"}}
	email        = target{name: "contacts.email", label: "Posta elettronica", several: true, heads: []string{"email", "e mail", "mail", "posta elettronica", "indirizzo email", "indirizzo e mail"}}
	pec          = target{name: "contacts.pec", label: "Posta certificata (PEC)", several: true, heads: []string{"pec", "posta certificata", "posta elettronica certificata", "indirizzo pec", "email pec"}}
	web          = target{name: "contacts.web", label: "Sito web", several: true, heads: []string{"sito", "sito web", "web", "sito internet", "pagina web", "url", "link", "indirizzo web"}}
	hours        = target{name: "hours", label: "Orari", heads: []string{"orari", "orario", "orario di apertura", "orari di apertura", "giorni e orari", "apertura", "orario di ricevimento", "ricevimento", "orario al pubblico"}}
	status       = target{name: "status", label: "Stato", heads: []string{"stato", "stato del servizio", "attivo", "in attivita", "operativo", "stato servizio"}}
	targetGroups = target{name: "target_groups", label: "Destinatari (gruppi)", heads: []string{"destinatari", "utenza", "tipo di utenza", "tipologia utenza", "target", "beneficiari", "area di utenza", "area utenza"}}
	keeper       = target{name: "organization", label: "Ente responsabile", heads: []string{"ente", "ente gestore", "gestore", "ente responsabile", "responsabile", "organizzazione", "soggetto gestore", "ente erogatore", "ufficio responsabile", "ufficio", "ente titolare", "ente di appartenenza"}}
)

func address(prefix string) []target {
	return []target{
		{name: prefix + ".street", label: "Via e numero", heads: []string{"indirizzo", "via", "sede", "via e numero", "ubicazione", "sede legale", "indirizzo sede", "sede operativa"}},
		{name: prefix + ".postal_code", label: "CAP", heads: []string{"cap", "codice postale"}},
		{name: prefix + ".municipality", label: "Comune", heads: []string{"comune", "citta", "localita", "comune sede"}},
		{name: prefix + ".detail", label: "Piano, ingresso", heads: []string{"piano", "ingresso", "interno", "scala"}},
		{name: prefix + ".latitude", label: "Latitudine", heads: []string{"latitudine", "lat"}},
		{name: prefix + ".longitude", label: "Longitudine", heads: []string{"longitudine", "lon", "lng", "long"}},
	}
}

func title(heads ...string) target {
	return target{name: "title", label: "Titolo", required: true, heads: append([]string{"titolo", "denominazione", "nome", "nominativo"}, heads...)}
}

// targets of a spreadsheet, by collection.
var targets = map[string][]target{
	"services": {
		externalID, title("servizio", "nome servizio", "denominazione servizio", "nome del servizio", "prestazione", "denominazione del servizio", "intervento"),
		{name: "summary", label: "Descrizione breve", heads: []string{"descrizione breve", "sintesi", "in breve", "descrizione sintetica", "oggetto"}},
		{name: "description", label: "Descrizione", heads: []string{"descrizione", "descrizione estesa", "attivita", "descrizione del servizio", "note", "descrizione servizio"}},
		{name: "addressed_to", label: "A chi è rivolto", heads: []string{"a chi e rivolto", "a chi si rivolge", "rivolto a", "requisiti"}},
		{name: "how_to", label: "Come fare", heads: []string{"come fare", "modalita di accesso", "accesso", "come si accede", "come accedere"}},
		{name: "needed_note", label: "Cosa serve", heads: []string{"cosa serve", "documentazione", "documenti necessari", "documenti", "documentazione richiesta"}},
		{name: "obtained_note", label: "Cosa si ottiene", heads: []string{"cosa si ottiene", "prestazioni offerte", "prestazioni erogate"}},
		{name: "times_note", label: "Tempi e scadenze", heads: []string{"tempi", "scadenze", "tempi e scadenze", "tempi di attesa", "termini"}},
		{name: "conditions", label: "Condizioni di servizio", heads: []string{"condizioni", "condizioni di servizio"}},
		targetGroups, status,
		{name: "categories", label: "Categoria (codice)", heads: []string{"categoria", "categorie", "codice inps", "codice prestazione", "classificazione", "tipologia", "area", "settore", "tipo di servizio"}},
		keeper,
		{name: "location", label: "Luogo", heads: []string{"luogo", "struttura", "presso", "sede del servizio", "sede di erogazione", "sede"}},
		phone, email, pec, web, hours,
		{name: "costs", label: "Costo", heads: []string{"costo", "costi", "tariffa", "prezzo", "quota", "compartecipazione", "contributo", "retta", "costo mensile"}},
		{name: "keywords", label: "Parole per cercarlo", several: true, heads: []string{"parole chiave", "keywords", "tag"}},
		asOf,
	},
	"organizations": append([]target{
		externalID, title("ente", "ragione sociale", "denominazione ente", "nome ente", "organizzazione", "associazione", "denominazione sociale"),
		{name: "summary", label: "Che cosa fa", heads: []string{"descrizione", "attivita", "che cosa fa", "attivita svolta", "attivita svolte", "finalita", "note"}},
		{name: "alternative_names", label: "Sigla, altri nomi", several: true, heads: []string{"sigla", "acronimo", "altri nomi", "nome breve"}},
		{name: "kind", label: "Tipo di ente", heads: []string{"tipo", "tipologia", "tipo ente", "tipo di ente", "natura giuridica", "forma giuridica", "tipologia ente"}},
		{name: "runts_section", label: "Sezione RUNTS", heads: []string{"sezione runts", "sezione", "sez runts"}},
		{name: "identifiers.codice-fiscale-ente", label: "Codice fiscale", heads: []string{"codice fiscale", "cf", "c f", "cod fiscale", "codice fiscale ente"}},
		{name: "identifiers.partita-iva", label: "Partita IVA", heads: []string{"partita iva", "p iva", "piva", "p i", "iva"}},
		{name: "identifiers.runts", label: "Numero RUNTS", heads: []string{"runts", "numero runts", "n runts", "repertorio runts", "iscrizione runts", "numero repertorio"}},
		{name: "identifiers.ipa", label: "Codice IPA", heads: []string{"ipa", "codice ipa", "cod ipa"}},
		phone, email, pec, web, targetGroups, status, asOf,
	}, address("seat")...),
	"locations": append([]target{
		externalID, title("luogo", "struttura", "nome struttura", "denominazione struttura", "sede"),
		{name: "description", label: "Che cosa c'è", heads: []string{"descrizione", "note", "che cosa c e"}},
		{name: "directions", label: "Come arrivare", heads: []string{"come arrivare", "indicazioni", "mezzi pubblici"}},
		keeper, phone, email, pec, web, hours, status, asOf,
	}, address("address")...),
	"operators": {
		externalID, title("operatore", "incarico", "posto"),
		{name: "summary", label: "Per che cosa rivolgersi", heads: []string{"descrizione", "attivita", "note", "si occupa di", "competenze"}},
		{name: "profession", label: "Profilo professionale", heads: []string{"profilo", "profilo professionale", "professione", "qualifica", "figura professionale", "figura"}},
		{name: "role", label: "Ruolo", heads: []string{"ruolo", "funzione", "mansione"}},
		{name: "contract", label: "Rapporto di lavoro", heads: []string{"contratto", "rapporto di lavoro", "tipo di contratto", "tipologia contratto"}},
		{name: "fte", label: "Tempo pieno equivalente", heads: []string{"fte", "tempo pieno equivalente", "equivalenti a tempo pieno", "etp"}},
		keeper, phone, email, pec, web, hours, targetGroups, status, asOf,
	},
}

// described are the targets of a kind, for people.
func described(collection string) []*exchangev1.Import_Target {
	var all []*exchangev1.Import_Target
	for _, t := range targets[collection] {
		all = append(all, &exchangev1.Import_Target{Target: t.name, Label: t.label, Required: t.required})
	}
	return all
}

// targetNamed finds a target of a kind.
func targetNamed(collection, name string) (target, bool) {
	for _, t := range targets[collection] {
		if t.name == name {
			return t, true
		}
	}
	return target{}, false
}
