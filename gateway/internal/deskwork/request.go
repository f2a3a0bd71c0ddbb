package deskwork

import (
	"cmp"
	"context"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"cidsistem.example/gateway/internal/record"
	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/gateway/internal/workbench"
	"cidsistem.example/proto/gen/deskv1"
	"cidsistem.example/proto/gen/registryv1"
)

// Fields of the page of a request.
const (
	fieldText     = "testo"
	fieldKindOf   = "messaggio"
	fieldOutcome  = "esito"
	fieldService  = "servizio"
	fieldFind     = "cerca"
	fieldTemplate = "modello"
	fieldNote     = "nota"
	fieldNumber   = "protocollo"
	fieldDay      = "data"
	fieldOffice   = "ufficio"
	fieldTerm     = "termine"
	fieldReason   = "motivo"
	fieldWhy      = "spiegazione"
	fieldComune   = "comune"
	fieldConsent  = "consenso"
	// buttonAct is what to do.
	buttonAct = "azione"
)

// What a message of the desk is.
const (
	lastWord, question, update = "risposta", "domanda", "notizia"
)

const (
	// callWithin is how long the node may take for one thing that a person does.
	callWithin = 8 * time.Second
	// usualTerm is the statutory term where nothing else says one, days (L. 241/1990, art. 2).
	usualTerm = 30
	// offered is how many services a search in an answer finds.
	offered = 8

	maxAnswer, maxNote = 10000, 5000
)

// typed is what was typed into the forms of the page.
type typed struct {
	Text, Message, Outcome, Find, Template string
	Note                                   string
	Number, Day, Office, Term              string
	Reason, Why                            string
	Comune, Consent                        string
	Services                               []string
}

type requestPage struct {
	Request *deskv1.Request
	Path    string
	// Whose is "mia", "altri" or "nessuno".
	Whose string
	Me    string
	typed
	Outcomes  []deskv1.Request_Outcome
	Reasons   []deskv1.Suspension_Reason
	Templates []*deskv1.CannedAnswer
	// Linked are the services that the answer points to, Found those that a search offers.
	Linked, Found []*registryv1.SearchHit
	// Searched tells that a search was made.
	Searched bool
	// Subject is what it is about, SubjectPath its page.
	Subject, SubjectPath string
	// Suspended is why the clock stands still now, nil: it runs.
	Suspended *deskv1.Suspension
	// Open: it can be worked on; Answerable: also answered.
	Open bool
	// Transferred is the comune that has it now.
	Transferred string
}

// request shows a request, and does what the desk wants with it.
func (d *Desk) request(v *workbench.Visit) (*site.Page, error) {
	name := v.Comune + "/requests/" + v.PathValue("id")
	ctx, cancel := context.WithTimeout(v.Upstream(), callWithin)
	defer cancel()
	sent := v.Sent()
	t := typed{Term: strconv.Itoa(usualTerm), Day: time.Now().In(site.Rome).Format(time.DateOnly)}
	if sent == nil {
		request, err := d.requests.GetRequest(ctx, &deskv1.GetRequestRequest{Name: name})
		if err != nil {
			return nil, err
		}
		return d.showRequest(ctx, v, request, t), nil
	}
	t = typedOf(sent.Values)
	act := sent.Values.Get(buttonAct)
	if act != fieldFind && act != fieldTemplate {
		err := d.do(ctx, v, name, act, t)
		if err == nil && len(v.Found) == 0 {
			return v.Go(pathOf(name), "desk_"+act), nil
		}
		if err != nil {
			v.Refused(err, map[string]string{
				"text": map[bool]string{true: fieldNote, false: fieldText}[act == "annota"], "outcome": fieldOutcome, "services": fieldService,
				"registration.protocol_number": fieldNumber, "registration.date": fieldDay, "registration.term_days": fieldTerm,
				"registration.responsible_office": fieldOffice, "reason": fieldReason, "note": fieldWhy, "comune": fieldComune, "consent": fieldConsent,
			})
		}
	}
	request, err := d.requests.GetRequest(ctx, &deskv1.GetRequestRequest{Name: name})
	if err != nil {
		if v.Alert == nil {
			v.Refused(err, nil)
		}
		// The node is away: the form comes back with all that was typed.
		request = &deskv1.Request{Name: name, State: deskv1.Request_TAKEN}
	}
	if act == fieldTemplate {
		t.Text = strings.TrimSpace(t.Text + "\n\n" + d.filled(ctx, v, request, t.Template))
	}
	return d.showRequest(ctx, v, request, t), nil
}

func typedOf(q url.Values) typed {
	long := func(name string) string { return strings.TrimSpace(strings.ReplaceAll(q.Get(name), "\r\n", "\n")) }
	line := func(name string) string { return strings.Join(strings.Fields(q.Get(name)), " ") }
	return typed{
		Text: long(fieldText), Message: line(fieldKindOf), Outcome: line(fieldOutcome), Find: line(fieldFind), Template: line(fieldTemplate),
		Note: long(fieldNote), Number: line(fieldNumber), Day: cmp.Or(line(fieldDay), time.Now().In(site.Rome).Format(time.DateOnly)),
		Office: line(fieldOffice), Term: cmp.Or(line(fieldTerm), strconv.Itoa(usualTerm)), Reason: line(fieldReason), Why: line(fieldWhy),
		Comune: line(fieldComune), Consent: line(fieldConsent), Services: q[fieldService],
	}
}

// do asks the comune's node for one thing; what was typed wrong is kept in the visit, and nothing is asked then.
func (d *Desk) do(ctx context.Context, v *workbench.Visit, name, act string, t typed) (err error) {
	switch act {
	case "prendi", "lascia":
		_, err = d.requests.AssignRequest(ctx, &deskv1.AssignRequestRequest{Name: name, Release: act == "lascia"})
	case "annota":
		needed(v, fieldNote, t.Note, maxNote)
		if len(v.Found) == 0 {
			_, err = d.requests.AddNote(ctx, &deskv1.AddNoteRequest{Name: name, Text: t.Note})
		}
	case "rispondi":
		err = d.answer(ctx, v, name, t)
	case "protocolla":
		err = d.register(ctx, v, name, t)
	case "sospendi":
		reason := deskv1.Suspension_Reason(deskv1.Suspension_Reason_value[strings.ToUpper(t.Reason)])
		if reason == deskv1.Suspension_REASON_UNSPECIFIED {
			wrong(v, fieldReason, "choose")
			return nil
		}
		_, err = d.requests.SuspendRequest(ctx, &deskv1.SuspendRequestRequest{Name: name, Reason: reason, Note: t.Why})
	case "riprendi":
		_, err = d.requests.SuspendRequest(ctx, &deskv1.SuspendRequestRequest{Name: name, Resume: true})
	case "trasferisci":
		if slugOf(t.Comune) == "" {
			wrong(v, fieldComune, "comune")
		}
		needed(v, fieldConsent, t.Consent, 500)
		if len(v.Found) == 0 {
			_, err = d.requests.TransferRequest(ctx, &deskv1.TransferRequestRequest{Name: name, Comune: "comuni/" + slugOf(t.Comune), Consent: t.Consent})
		}
	default:
		return site.ErrNoPage
	}
	return err
}

func (d *Desk) answer(ctx context.Context, v *workbench.Visit, name string, t typed) error {
	needed(v, fieldText, t.Text, maxAnswer)
	request := &deskv1.AnswerRequestRequest{Name: name, Text: t.Text, Services: t.Services}
	switch t.Message {
	case lastWord:
		request.Final, request.Outcome = true, deskv1.Request_Outcome(deskv1.Request_Outcome_value[strings.ToUpper(t.Outcome)])
		if request.GetOutcome() == deskv1.Request_OUTCOME_UNSPECIFIED {
			wrong(v, fieldOutcome, "outcome")
		}
	case question:
		request.WaitingForPerson = true
	case update:
	default:
		wrong(v, fieldKindOf, "message")
	}
	if len(v.Found) > 0 {
		return nil
	}
	_, err := d.requests.AnswerRequest(ctx, request)
	return err
}

func (d *Desk) register(ctx context.Context, v *workbench.Visit, name string, t typed) error {
	needed(v, fieldNumber, t.Number, 60)
	day, err := time.Parse(time.DateOnly, t.Day)
	if err != nil {
		wrong(v, fieldDay, "day")
	}
	term, err := strconv.ParseInt(t.Term, 10, 32)
	if err != nil || term < 1 || term > 180 {
		wrong(v, fieldTerm, "term")
	}
	if len(v.Found) > 0 {
		return nil
	}
	_, err = d.requests.RegisterRequest(ctx, &deskv1.RegisterRequestRequest{Name: name, Registration: &deskv1.Registration{
		ProtocolNumber: t.Number, ResponsibleOffice: t.Office, TermDays: int32(term),
		Date: &registryv1.PartialDate{Year: int32(day.Year()), Month: int32(day.Month()), Day: int32(day.Day())},
	}})
	return err
}

// needed tells that a text is missing, or too long.
func needed(v *workbench.Visit, field, text string, most int) {
	switch over := utf8.RuneCountInString(text) - most; {
	case text == "":
		wrong(v, field, "missing")
	case over > 0:
		wrong(v, field, "long", "Most", most, "Over", over)
	}
}

func (d *Desk) showRequest(ctx context.Context, v *workbench.Visit, request *deskv1.Request, t typed) *site.Page {
	data := requestPage{
		Request: request, Path: pathOf(request.GetName()), Whose: itemOf(v, request).Whose, Me: v.Account.GetName(),
		typed: t, Outcomes: outcomes(), Reasons: suspensionReasons(), Searched: t.Find != "",
	}
	switch request.GetState() {
	case deskv1.Request_CLOSED, deskv1.Request_WITHDRAWN, deskv1.Request_TRANSFERRED:
	default:
		data.Open = true
	}
	for _, one := range request.GetSuspensions() {
		if one.GetEndTime() == nil {
			data.Suspended = one
		}
	}
	data.Transferred = v.Comuni().Name(strings.TrimPrefix(request.GetTransfer().GetComune(), "comuni/"))
	if subject := cmp.Or(request.GetService(), request.GetLocation()); subject != "" {
		data.SubjectPath, data.Subject = record.Path(subject), d.titleOf(ctx, subject)
	}
	if data.Open {
		// What makes answering easier is not worth refusing the page for.
		if answer, err := d.requests.ListCannedAnswers(ctx, &deskv1.ListCannedAnswersRequest{Parent: v.Comune, PageSize: 200}); err == nil {
			data.Templates = answer.GetCannedAnswers()
		}
		for _, name := range t.Services {
			data.Linked = append(data.Linked, &registryv1.SearchHit{Name: name, Title: d.titleOf(ctx, name)})
		}
		if t.Find != "" {
			answer, err := d.search.Search(ctx, &registryv1.SearchRequest{Q: t.Find, Kinds: []string{"services"}, PageSize: offered})
			if err == nil {
				data.Found = slices.DeleteFunc(answer.GetHits(), func(hit *registryv1.SearchHit) bool { return slices.Contains(t.Services, hit.GetName()) })
			}
		}
	}
	return show(v, "request", v.Say("deskwork.request", "Date", request.GetCreateTime().AsTime().In(site.Rome).Format("02/01/2006")), data)
}

// titleOf is the Italian title of a service, or its name where it cannot be read.
func (d *Desk) titleOf(ctx context.Context, name string) string {
	if strings.Contains(name, "/services/") {
		if service, err := d.services.GetService(ctx, &registryv1.GetServiceRequest{Name: name}); err == nil {
			return service.GetTitle().GetIt()
		}
	}
	return name[strings.LastIndexByte(name, '/')+1:]
}

// filled is an answer that is kept ready, with its fields filled in for a request.
func (d *Desk) filled(ctx context.Context, v *workbench.Visit, request *deskv1.Request, template string) string {
	answer, err := d.requests.ListCannedAnswers(ctx, &deskv1.ListCannedAnswersRequest{Parent: v.Comune, PageSize: 200})
	if err != nil {
		return ""
	}
	comune, _ := v.Comuni().Of(v.Slug())
	due := ""
	if date := request.GetDueDate(); date.GetYear() > 0 {
		due = time.Date(int(date.GetYear()), time.Month(date.GetMonth()), int(date.GetDay()), 0, 0, 0, 0, time.UTC).Format("02/01/2006")
	}
	service := ""
	if request.GetService() != "" {
		service = d.titleOf(ctx, request.GetService())
	}
	fill := strings.NewReplacer(
		"{{service}}", service, "{{telephone}}", comune.Phone(), "{{due_date}}", due, "{{comune}}", comune.Title,
		"{{name}}", request.GetContact().GetFullName(), "{{protocol}}", request.GetRegistration().GetProtocolNumber(),
	)
	for _, one := range answer.GetCannedAnswers() {
		if one.GetName() == template {
			return fill.Replace(one.GetText())
		}
	}
	return ""
}

// slugOf is the id of a comune by its name: "Mazara del Vallo" is mazara-del-vallo.
func slugOf(name string) string {
	return strings.Join(strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return r < 'a' || r > 'z' }), "-")
}

// outcomes of a request, in the order of the contract.
func outcomes() []deskv1.Request_Outcome {
	return numbered(deskv1.Request_Outcome_name, deskv1.Request_Outcome(0))
}

func suspensionReasons() []deskv1.Suspension_Reason {
	return numbered(deskv1.Suspension_Reason_name, deskv1.Suspension_Reason(0))
}

// numbered are the values of an enum but for that which stands for none.
func numbered[E ~int32](names map[int32]string, _ E) []E {
	var all []E
	for number := range names {
		if number > 0 {
			all = append(all, E(number))
		}
	}
	slices.Sort(all)
	return all
}

// attachment gives out a file that came with a request.
func (d *Desk) attachment(v *workbench.Visit) (*site.Document, error) {
	file, err := d.requests.GetRequestAttachment(v.Upstream(), &deskv1.GetRequestAttachmentRequest{
		Name: v.Comune + "/requests/" + v.PathValue("id") + "/attachments/" + v.PathValue("attached"),
	})
	if err != nil {
		return nil, err
	}
	return &site.Document{MediaType: file.GetMediaType(), FileName: file.GetFileName(), Body: file.GetData()}, nil
}
