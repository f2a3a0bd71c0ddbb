package main

// about is the information that is not in the contract: who offers the API, on
// which terms. Catalogues of Italian public administrations show it, so it is
// in Italian.
var about = info{
	Title:   "CID SISTEM – API",
	Version: "1.0.0",
	Summary: aboutSummary,
	Description: `Il registro comune dei servizi, delle organizzazioni, degli operatori, dei documenti, delle buone pratiche e dei piani per le persone con disabilità.

**Chi risponde.** Ogni comune ha il suo nodo e resta padrone dei suoi dati; l'ufficio comune risponde per tutti. L'interfaccia è la stessa: sul nodo di un comune ci sono le schede di quel comune, sull'ufficio comune quelle di tutti, e ` + "`-`" + ` al posto di un id vuol dire «tutti».

**Quanto è aggiornata la risposta.** Un nodo che non risponde non fa fallire la lettura: gli elenchi portano ` + "`coverage` e `unreachable`" + `, le singole schede le intestazioni ` + "`Cid-Coverage` e `Cid-As-Of`" + `.

**Leggere e scrivere.** Ogni scheda ha un ` + "`ETag`" + `: con ` + "`If-None-Match`" + ` si rilegge solo ciò che è cambiato, con ` + "`If-Match`" + ` si modifica solo ciò che si è letto. Una scrittura con ` + "`Idempotency-Key`" + ` si può ripetere senza rischi.

**Valori.** I campi assenti hanno il valore zero del loro tipo; gli interi a 64 bit sono stringhe; i tempi seguono RFC 3339; i campi sconosciuti sono rifiutati.

**Errori.** Sempre ` + "`application/problem+json`" + ` (RFC 9457), con il motivo in ` + "`reason`" + ` e ogni campo sbagliato in ` + "`errors`" + `.

**Licenze.** I dati pubblici sono CC BY 4.0; il software è EUPL-1.2.`,
	TermsOfService: "https://www.cidsistem.example/note-legali",
	Contact:        contact{Name: "CID SISTEM – ufficio comune", URL: "https://www.cidsistem.example/contatti"},
	License:        license{Name: "CC BY 4.0", Identifier: "CC-BY-4.0"},
	XSummary:       aboutSummary,
	XAPIID:         "7471c12c-ce77-438b-9e42-d6fa20830a97",
}

const aboutSummary = "Servizi, organizzazioni, operatori, documenti, buone pratiche e piani per le persone con disabilità nei comuni federati."
