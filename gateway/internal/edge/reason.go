package edge

import (
	"cmp"
	"maps"
	"net/http"
	"slices"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/registryv1"
)

// A Reason says why a request was not answered as it was asked. The texts are Italian.
type Reason struct {
	// Name as in problem documents, for example "ETAG_MISMATCH".
	Name string
	// Slug is the last segment of the problem's type, for example "etag-mismatch".
	Slug string
	// Status is the HTTP status.
	Status int
	// Title says what happened in a few words.
	Title string
	// Meaning says what happened.
	Meaning string
	// Remedy says what to do.
	Remedy string
}

// The reasons that exist in HTTP only.
const (
	reasonNoSuchPath       = "NO_SUCH_PATH"
	reasonMethodNotAllowed = "METHOD_NOT_ALLOWED"
	reasonNotAcceptable    = "NOT_ACCEPTABLE"
	reasonMediaType        = "UNSUPPORTED_MEDIA_TYPE"
	reasonAddressTooLong   = "ADDRESS_TOO_LONG"
	reasonRange            = "RANGE_NOT_SATISFIABLE"
	reasonForeignOrigin    = "FOREIGN_ORIGIN"
	reasonBodyTooSlow      = "BODY_TOO_SLOW"
	reasonTooManyStreams   = "TOO_MANY_STREAMS"
)

// reasons has every reason: those of the contract and those of HTTP.
var reasons = allReasons()

// Reasons lists all reasons by name.
func Reasons() []Reason {
	return slices.SortedFunc(maps.Values(reasons), func(a, b Reason) int { return cmp.Compare(a.Name, b.Name) })
}

func allReasons() map[string]Reason {
	all := map[string]Reason{}
	for reason, row := range apierror.Table {
		all[reason.String()] = Reason{
			Name: reason.String(), Slug: slugOf(reason.String()), Status: row.HTTP, Title: row.Title,
			Meaning: explained[reason].meaning, Remedy: explained[reason].remedy,
		}
	}
	for _, r := range []Reason{
		{
			Name: reasonNoSuchPath, Status: http.StatusNotFound, Title: "Indirizzo sconosciuto",
			Meaning: "A questo indirizzo non c'è nulla.",
			Remedy:  "Controlli l'indirizzo. La documentazione elenca tutti quelli che esistono.",
		},
		{
			Name: reasonMethodNotAllowed, Status: http.StatusMethodNotAllowed, Title: "Metodo non previsto",
			Meaning: "L'indirizzo esiste, ma non con questo metodo HTTP.",
			Remedy:  "Usi uno dei metodi elencati nell'intestazione Allow della risposta.",
		},
		{
			Name: reasonNotAcceptable, Status: http.StatusNotAcceptable, Title: "Formato di risposta non disponibile",
			Meaning: "La richiesta accetta solo formati che il servizio non produce.",
			Remedy:  "Chieda application/json con l'intestazione Accept, oppure la tolga.",
		},
		{
			Name: reasonMediaType, Status: http.StatusUnsupportedMediaType, Title: "Formato del contenuto non accettato",
			Meaning: "Il contenuto della richiesta non è dichiarato come JSON in UTF-8, oppure è compresso.",
			Remedy:  "Invii JSON non compresso, con l'intestazione Content-Type: application/json.",
		},
		{
			Name: reasonAddressTooLong, Status: http.StatusRequestURITooLong, Title: "Indirizzo troppo lungo",
			Meaning: "L'indirizzo, parametri compresi, supera la lunghezza che il servizio accetta.",
			Remedy:  "Riduca i parametri. La ricerca si può fare anche con POST, con i parametri nel contenuto.",
		},
		{
			Name: reasonRange, Status: http.StatusRequestedRangeNotSatisfiable, Title: "Intervallo fuori dal file",
			Meaning: "L'intervallo di byte richiesto comincia dopo la fine del file.",
			Remedy:  "L'intestazione Content-Range della risposta dice quanto è lungo il file.",
		},
		{
			Name: reasonForeignOrigin, Status: http.StatusForbidden, Title: "Richiesta da un altro sito",
			Meaning: "Un browser ha inviato una modifica per conto di una pagina di un altro sito, che non è tra quelli ammessi.",
			Remedy:  "Se il sito deve poter scrivere, chi gestisce il servizio lo aggiunge agli indirizzi ammessi.",
		},
		{
			Name: reasonBodyTooSlow, Status: http.StatusRequestTimeout, Title: "Invio troppo lento",
			Meaning: "Il contenuto della richiesta non è arrivato in tempo.",
			Remedy:  "Riprovi. Se la linea è lenta, invii meno dati per volta.",
		},
		{
			Name: reasonTooManyStreams, Status: http.StatusServiceUnavailable, Title: "Troppi aggiornamenti in corso",
			Meaning: "Il servizio sta già inviando aggiornamenti continui a quanti più lettori può servire.",
			Remedy:  "Riprovi dopo i secondi indicati nell'intestazione Retry-After.",
		},
	} {
		r.Slug = slugOf(r.Name)
		all[r.Name] = r
	}
	return all
}

func slugOf(reason string) string { return typeOf(reason)[len("/problems/"):] }

type explanation struct{ meaning, remedy string }

// explained says of each reason of the contract what happened and what to do.
var explained = map[registryv1.ErrorReason]explanation{
	registryv1.ErrorReason_INVALID_FIELDS: {
		"Uno o più campi della richiesta non sono validi, oppure un parametro non esiste.",
		"L'elenco errors dice, campo per campo, che cosa non va. Corregga quei campi e invii di nuovo.",
	},
	registryv1.ErrorReason_INVALID_PAGE_TOKEN: {
		"Il segno di pagina è rovinato, oppure viene da un elenco diverso.",
		"Ricominci dalla prima pagina, e non cambi i filtri tra una pagina e la successiva.",
	},
	registryv1.ErrorReason_RESOURCE_NOT_FOUND: {
		"La scheda richiesta non esiste, o non esiste più.",
		"Controlli il nome. Con la ricerca si trovano le schede che esistono.",
	},
	registryv1.ErrorReason_RESOURCE_EXISTS: {
		"Esiste già una scheda con questo nome.",
		"Scelga un altro identificativo, oppure modifichi la scheda che c'è.",
	},
	registryv1.ErrorReason_ETAG_MISMATCH: {
		"Qualcuno ha modificato la scheda dopo che è stata letta. Nulla è stato cambiato.",
		"Legga di nuovo la scheda, riporti le modifiche e invii con il nuovo ETag.",
	},
	registryv1.ErrorReason_REQUEST_ID_REUSED: {
		"La stessa chiave di richiesta (Idempotency-Key) è già servita per una richiesta diversa.",
		"Usi una chiave nuova per ogni operazione. La stessa chiave serve solo per ripetere la stessa richiesta.",
	},
	registryv1.ErrorReason_NOT_THE_OWNER: {
		"Il nodo che ha ricevuto la richiesta non è quello del comune indicato.",
		"Si rivolga all'ufficio comune, che conosce il nodo di ogni comune.",
	},
	registryv1.ErrorReason_OWNER_UNREACHABLE: {
		"Il nodo del comune che custodisce questi dati in questo momento non risponde. Nulla è andato perso.",
		"Riprovi dopo i secondi indicati nell'intestazione Retry-After. Con la stessa Idempotency-Key si può ripetere senza rischi.",
	},
	registryv1.ErrorReason_RESOURCE_DELETED: {
		"La scheda è stata cancellata.",
		"Fino alla data di eliminazione si può ripristinare con :undelete.",
	},
	registryv1.ErrorReason_STILL_REFERRED_TO: {
		"Altre schede rimandano a questa, che perciò non si può cancellare.",
		"L'elenco blockers le nomina. Tolga prima quei rimandi.",
	},
	registryv1.ErrorReason_DANGLING_REFERENCE: {
		"Un campo rimanda a una scheda che non esiste.",
		"L'elenco errors dice quale campo. Crei prima la scheda indicata, oppure corregga il nome.",
	},
	registryv1.ErrorReason_NOT_SUPPORTED_HERE: {
		"Questo servizio non prevede l'operazione: per esempio, il nodo di un comune non ha altri nodi da riallineare.",
		"Rivolga la richiesta al servizio che la prevede.",
	},
	registryv1.ErrorReason_TOO_LARGE: {
		"La richiesta supera la dimensione massima.",
		"Il dato limit_bytes dice quanti byte si accettano. Divida il contenuto, oppure lo riduca.",
	},
	registryv1.ErrorReason_UNKNOWN_METHOD: {
		"Il servizio che risponde non conosce questa operazione: forse è di una versione precedente.",
		"Lo segnali a chi gestisce il servizio.",
	},
	registryv1.ErrorReason_NOT_ALLOWED: {
		"Chi fa la richiesta non è riconosciuto, o non può fare questa operazione.",
		"Acceda con un profilo che può farla, oppure chieda l'autorizzazione.",
	},
	registryv1.ErrorReason_DEADLINE: {
		"La risposta non era pronta in tempo utile.",
		"Riprovi, oppure chieda meno dati per volta.",
	},
	registryv1.ErrorReason_TOO_MANY_REQUESTS: {
		"Dallo stesso indirizzo sono arrivate troppe richieste in poco tempo.",
		"Aspetti i secondi indicati nell'intestazione Retry-After, poi riprovi.",
	},
	registryv1.ErrorReason_NOT_DELETED: {
		"La scheda non è cancellata, perciò non c'è nulla da ripristinare.",
		"Non serve fare altro.",
	},
	registryv1.ErrorReason_FEED_EPOCH_CHANGED: {
		"L'archivio è stato ripristinato da una copia: la posizione del lettore non vale più.",
		"Il lettore prende una copia nuova e riparte da lì.",
	},
	registryv1.ErrorReason_FEED_POSITION_TRIMMED: {
		"Le modifiche successive alla posizione del lettore non sono più conservate.",
		"Il lettore prende una copia nuova e riparte da lì.",
	},
	registryv1.ErrorReason_FEED_POSITION_AHEAD: {
		"La posizione del lettore è più avanti dell'archivio, che è tornato indietro nel tempo.",
		"Il lettore prende una copia nuova e riparte da lì.",
	},
	registryv1.ErrorReason_FEED_DIVERGED: {
		"La storia dell'archivio non è quella che il lettore ha visto.",
		"Il lettore prende una copia nuova e riparte da lì.",
	},
	registryv1.ErrorReason_FEED_READER_TOO_SLOW: {
		"Il lettore non ha tenuto il passo con le modifiche.",
		"Il lettore riprende dalla sua ultima posizione.",
	},
	registryv1.ErrorReason_STORE_FENCED: {
		"L'archivio si è fermato dopo una scrittura non riuscita, per non rischiare i dati. Riparte da solo dopo un controllo.",
		"Riprovi tra poco. Con la stessa Idempotency-Key si può ripetere senza rischi.",
	},
	registryv1.ErrorReason_STORE_FULL: {
		"L'archivio ha raggiunto la dimensione massima stabilita.",
		"Chi gestisce il nodo deve liberare o aumentare lo spazio.",
	},
	registryv1.ErrorReason_INTERNAL_ERROR: {
		"C'è stato un errore nel servizio. Non dipende dalla richiesta.",
		"Se si ripete, lo segnali a chi gestisce il servizio, con il codice che si trova in instance.",
	},
	registryv1.ErrorReason_NOT_READY: {
		"Il servizio si sta avviando o fermando, oppure in questo momento non risponde.",
		"Riprovi dopo i secondi indicati nell'intestazione Retry-After.",
	},
	registryv1.ErrorReason_NOT_SIGNED_IN: {
		"Per questa operazione bisogna avere effettuato l'accesso, oppure l'accesso è scaduto.",
		"Acceda di nuovo; un programma chieda un nuovo token con quello di rinnovo.",
	},
	registryv1.ErrorReason_SIGN_IN_REFUSED: {
		"Le credenziali non corrispondono, oppure l'utenza non può accedere. Non diciamo quale delle due cose.",
		"Controlli nome utente e password, oppure chieda un nuovo invito a chi amministra il nodo.",
	},
}
