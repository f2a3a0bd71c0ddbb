package desk

import (
	"errors"
	"fmt"
	"strings"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/deskv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/mail"
	"cidsistem.example/services/internal/store"
)

// A notice is what an e-mail message says of an answer: that there is one, and
// how it is read. It says nothing of what was asked.
type notice struct{ subject, text, link string }

// notices are in the languages of the portal.
var notices = map[string]notice{
	"it": {
		"C'è una risposta per te",
		"Buongiorno,\n\nlo sportello ha scritto una risposta alla tua richiesta.\n\nPer leggerla serve il codice che hai ricevuto quando hai scritto.%s\n\nSe non hai più il codice, chiedilo allo sportello.\n\nQuesto messaggio è automatico: non rispondere a questo indirizzo.\n",
		"\nApri questa pagina e scrivi il codice:\n%s",
	},
	"en": {
		"There is an answer for you",
		"Hello,\n\nthe help desk has answered your request.\n\nTo read the answer you need the code that you got when you wrote.%s\n\nIf you do not have the code any more, ask the help desk for it.\n\nThis is an automatic message: please do not reply to this address.\n",
		"\nOpen this page and type the code:\n%s",
	},
	"fr": {
		"Il y a une réponse pour vous",
		"Bonjour,\n\nle guichet a répondu à votre demande.\n\nPour lire la réponse, il faut le code que vous avez reçu quand vous avez écrit.%s\n\nSi vous n'avez plus le code, demandez-le au guichet.\n\nCe message est automatique : ne répondez pas à cette adresse.\n",
		"\nOuvrez cette page et écrivez le code :\n%s",
	},
	"ar": {
		"هناك رد لك",
		"مرحبا،\n\nكتب المكتب ردا على طلبك.\n\nلقراءة الرد تحتاج إلى الرمز الذي حصلت عليه عندما كتبت.%s\n\nإذا لم يعد الرمز لديك فاطلبه من المكتب.\n\nهذه رسالة آلية: لا ترد على هذا العنوان.\n",
		"\nافتح هذه الصفحة واكتب الرمز:\n%s",
	},
}

// languageOf is the portal's language for a person who reads another one: its
// own, or Italian.
func languageOf(tag string) string {
	base, _, _ := strings.Cut(tag, "-")
	if _, known := notices[base]; known {
		return base
	}
	return "it"
}

// page is the address of a page of the portal in a language, empty when there is
// no portal.
func (d *Desk) page(language, path string) string {
	switch {
	case d.portal == "":
		return ""
	case language == "it":
		return d.portal + path
	default:
		return d.portal + "/" + language + path
	}
}

// notify puts a message into the outbox for who wants to know by e-mail that
// there is an answer.
func (d *Desk) notify(p *puts, h *held, stamp store.Stamp) {
	if d.outbox == nil || h.GetPreferredChannel() != deskv1.Request_EMAIL || h.GetContact().GetEmail() == "" {
		return
	}
	language, link := languageOf(h.GetLanguage()), ""
	say := notices[language]
	if page := d.page(language, "/segui/"); page != "" {
		link = fmt.Sprintf(say.link, page)
	}
	_, puts, err := d.outbox.Put(mail.Message{
		To: h.GetContact().GetEmail(), Subject: say.subject, Text: fmt.Sprintf(say.text, link), Language: language, About: h.GetName(),
	}, stamp)
	p.all, p.err = append(p.all, puts...), errors.Join(p.err, err)
}

// withServices puts the titles of services below a text, and where their cards
// are on the portal.
func (d *Desk) withServices(r store.Reader, text string, services []string, language string) (string, error) {
	var lines []string
	for i, service := range services {
		field := fmt.Sprintf("services[%d]", i)
		dangling := func(problem string) error {
			return apierror.New(registryv1.ErrorReason_DANGLING_REFERENCE, field+": "+problem, apierror.Field(field, problem))
		}
		name, err := catalog.ParseName(service)
		if err != nil || name.Kind.Collection != "services" || "comuni/"+name.Comune() != d.parent {
			return "", dangling(fmt.Sprintf("%.100q is not the name of a service of %s", service, d.parent))
		}
		record, err := r.Get(name)
		if err != nil {
			return "", err
		}
		// The answer is for somebody of the public.
		if record == nil || catalog.RecordOf(record).Deleted() || catalog.RecordOf(record).Visibility() != registryv1.Visibility_PUBLIC {
			return "", dangling(service + " is nothing that the public sees")
		}
		l := languageOf(language)
		line := "– " + titleOf(record.(*registryv1.Service).GetTitle(), l)
		if page := d.page(l, "/servizi/"+name.Comune()+"/"+name.IDs[len(name.IDs)-1]); page != "" {
			line += "\n  " + page
		}
		lines = append(lines, line)
	}
	if len(lines) == 0 {
		return text, nil
	}
	return strings.TrimRight(text, "\n") + "\n\n" + strings.Join(lines, "\n"), nil
}

// titleOf is a title in a language, or in Italian.
func titleOf(text *registryv1.LocalizedText, language string) string {
	if translated := text.GetTranslations()[language].GetText(); translated != "" {
		return translated
	}
	return text.GetIt()
}
