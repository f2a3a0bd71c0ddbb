package desk_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"cidsistem.example/proto/gen/adminv1"
	"cidsistem.example/proto/gen/deskv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/store"
)

const colleague = "nodes/marsala/accounts/a2"

// colleagues are the accounts of a node.
type colleagues []string

func (c colleagues) Holds(_ store.Reader, name string) (bool, error) {
	return slices.Contains(c, name), nil
}

func date(year, month, d int32) *registryv1.PartialDate {
	return &registryv1.PartialDate{Year: year, Month: month, Day: d}
}

func TestEnteredAtTheDesk(t *testing.T) {
	o := open(t)
	call := &deskv1.EnterRequestRequest{Parent: parent, Request: question(), Way: deskv1.Entry_TELEPHONE, RequestId: "0f6f0a1c-8f0a-4a38-9a64-2f6b9f3f8f11"}
	made, err := o.EnterRequest(clerk(t), call)
	must(t, err)
	again, err := o.EnterRequest(clerk(t), call)
	must(t, err)
	if diff := cmp.Diff(made, again, protocmp.Transform()); diff != "" {
		t.Errorf("a repetition makes another one:\n%s", diff)
	}
	if entry := made.GetRequest().GetEntry(); entry.GetWay() != deskv1.Entry_TELEPHONE || entry.GetAuthor() != account || made.GetRequest().GetState() != deskv1.Request_TAKEN {
		t.Errorf("it is %v", made.GetRequest())
	}
	seen, err := o.lookUp(made.GetCode())
	must(t, err)
	if seen.GetEntry().GetWay() != deskv1.Entry_TELEPHONE || seen.GetEntry().GetAuthor() != "" {
		t.Errorf("the person sees %v", seen.GetEntry())
	}
	for _, way := range []deskv1.Entry_Way{deskv1.Entry_PORTAL, deskv1.Entry_OTHER_COMUNE} {
		_, err := o.EnterRequest(clerk(t), &deskv1.EnterRequestRequest{Parent: parent, Request: question(), Way: way})
		refused(t, err, registryv1.ErrorReason_INVALID_FIELDS)
	}
}

// What is of the desk alone is nowhere where the person's code reads.
func TestWhatOnlyTheDeskSees(t *testing.T) {
	o := open(t)
	made := o.create(question(), "")
	name := made.GetRequest().GetName()
	for range 2 {
		_, err := o.AssignRequest(clerk(t), &deskv1.AssignRequestRequest{Name: name})
		must(t, err)
		_, err = o.AddNote(clerk(t), &deskv1.AddNoteRequest{Name: name, Text: "Ha chiamato la sorella"})
		must(t, err)
	}
	_, err := o.AssignRequest(clerk(t), &deskv1.AssignRequestRequest{Name: name, Assignee: "nodes/marsala/accounts/nessuno"})
	refused(t, err, registryv1.ErrorReason_DANGLING_REFERENCE)
	got, err := o.AssignRequest(clerk(t), &deskv1.AssignRequestRequest{Name: name, Assignee: colleague})
	must(t, err)
	if got.GetAssignee() != colleague || len(got.GetNotes()) != 1 || got.GetNotes()[0].GetAuthor() != account || got.GetState() != deskv1.Request_RECEIVED {
		t.Errorf("it is %v", got)
	}
	_, err = o.answer(name, "Sì", false)
	must(t, err)
	read := func(call string, seen *deskv1.Request, err error) {
		t.Helper()
		must(t, err)
		text := fmt.Sprint(seen)
		for _, secret := range []string{account, colleague, "sorella", "notes", "assignee", "excerpt"} {
			if strings.Contains(text, secret) {
				t.Errorf("%s tells the person %q: %s", call, secret, text)
			}
		}
	}
	code := made.GetCode()
	seen, err := o.lookUp(code)
	read("LookUpRequest", seen, err)
	seen, err = o.AddMessage(anyone(t), &deskv1.AddMessageRequest{Parent: parent, Code: code, Text: "grazie"})
	read("AddMessage", seen, err)
	_, err = o.answer(name, "Ecco", true)
	must(t, err)
	seen, err = o.RateRequest(anyone(t), &deskv1.RateRequestRequest{Parent: parent, Code: code, Score: 5})
	read("RateRequest", seen, err)
	seen, err = o.CloseRequest(anyone(t), &deskv1.CloseRequestRequest{Parent: parent, Code: code})
	read("CloseRequest", seen, err)
	_, err = o.AddNote(clerk(t), &deskv1.AddNoteRequest{Name: name, Text: "x"})
	refused(t, err, registryv1.ErrorReason_NOT_SUPPORTED_HERE)
}

func TestListOfOneColleague(t *testing.T) {
	o := open(t)
	first := o.create(question(), "")
	o.clock.pass(day)
	second := o.create(&deskv1.Request{Text: "Chiamatemi al 0923123456 oppure posta@example.org: " + strings.Repeat("servizi ", 30)}, "")
	_, err := o.AssignRequest(clerk(t), &deskv1.AssignRequestRequest{Name: first.GetRequest().GetName()})
	must(t, err)
	for to, want := range map[string][]*deskv1.CreateRequestResponse{account: {first}, "-": {second}, colleague: nil, "": {first, second}} {
		answer, err := o.ListRequests(clerk(t), &deskv1.ListRequestsRequest{Parent: parent, Assignee: to})
		must(t, err)
		var names, wanted []string
		for _, r := range answer.GetRequests() {
			names = append(names, r.GetName())
		}
		for _, r := range want {
			wanted = append(wanted, r.GetRequest().GetName())
		}
		if !slices.Equal(names, wanted) {
			t.Errorf("of %q are %v, want %v", to, names, wanted)
		}
	}
	answer, err := o.ListRequests(clerk(t), &deskv1.ListRequestsRequest{Parent: parent, Assignee: "-"})
	must(t, err)
	excerpt := answer.GetRequests()[0].GetExcerpt()
	if !strings.HasPrefix(excerpt, "Chiamatemi al … oppure … servizi") || len([]rune(excerpt)) != 80 {
		t.Errorf("the list shows %q", excerpt)
	}
	_, err = o.AssignRequest(clerk(t), &deskv1.AssignRequestRequest{Name: first.GetRequest().GetName(), Release: true})
	must(t, err)
	answer, err = o.ListRequests(clerk(t), &deskv1.ListRequestsRequest{Parent: parent, Assignee: "-"})
	must(t, err)
	if len(answer.GetRequests()) != 2 {
		t.Error("a request that was given back is still somebody's")
	}
}

// The statutory term counts days of the calendar, stands still with the clock,
// and never ends on a holiday.
func TestStatutoryTerm(t *testing.T) {
	o := open(t) // Monday 23 November 2026
	made := o.create(question(), "")
	name := made.GetRequest().GetName()
	register := func(days int32) *deskv1.Request {
		t.Helper()
		got, err := o.RegisterRequest(clerk(t), &deskv1.RegisterRequestRequest{Name: name, Registration: &deskv1.Registration{
			ProtocolNumber: "2026/0012345", Date: date(2026, 11, 23), TermDays: days, ResponsibleOffice: "Servizi sociali", TermDate: date(2020, 1, 1),
		}})
		must(t, err)
		return got
	}
	term := func(when string, got *deskv1.Request, want *registryv1.PartialDate) {
		t.Helper()
		if !proto.Equal(got.GetRegistration().GetTermDate(), want) {
			t.Errorf("%s the term ends on %v, want %v", when, got.GetRegistration().GetTermDate(), want)
		}
	}
	term("of 30 days,", register(30), date(2026, 12, 23))
	term("of 32 days, at Christmas,", register(32), date(2026, 12, 28)) // Friday and Saturday are holidays, then comes Sunday
	term("of 30 days,", register(30), date(2026, 12, 23))
	o.clock.pass(2 * day) // Wednesday 25
	stopped, err := o.SuspendRequest(clerk(t), &deskv1.SuspendRequestRequest{Name: name, Reason: deskv1.Suspension_WAITING_FOR_ASSESSMENT, Note: "UVM"})
	must(t, err)
	term("while the clock stands still", stopped, nil)
	if stopped.GetDueDate() != nil || stopped.GetWorkingDaysLeft() != 3 || stopped.GetState() != deskv1.Request_TAKEN {
		t.Errorf("while the clock stands still it is %v", stopped)
	}
	o.clock.pass(7 * day) // Wednesday 2 December
	// The person writes meanwhile: the assessment is still to come.
	seen, err := o.AddMessage(anyone(t), &deskv1.AddMessageRequest{Parent: parent, Code: made.GetCode(), Text: "Novità?"})
	must(t, err)
	term("while the clock stands still", seen, nil)
	if seen.GetDueDate() != nil || seen.GetRegistration().GetProtocolNumber() != "2026/0012345" {
		t.Errorf("the person sees %v", seen)
	}
	run, err := o.SuspendRequest(clerk(t), &deskv1.SuspendRequestRequest{Name: name, Resume: true})
	must(t, err)
	term("after seven days", run, date(2026, 12, 30))
	if !proto.Equal(run.GetDueDate(), date(2026, 12, 7)) || run.GetWorkingDaysLeft() != 0 {
		t.Errorf("the answer is due on %v", run.GetDueDate())
	}
	// To ask the person something stops both clocks as well.
	asked, err := o.AnswerRequest(clerk(t), &deskv1.AnswerRequestRequest{Name: name, Text: "Quale giorno?", WaitingForPerson: true})
	must(t, err)
	term("while the person is waited for", asked, nil)
	o.clock.pass(day)
	seen, err = o.AddMessage(anyone(t), &deskv1.AddMessageRequest{Parent: parent, Code: made.GetCode(), Text: "Giovedì"})
	must(t, err)
	term("a day later", seen, date(2026, 12, 31))
	reasons := []deskv1.Suspension_Reason{}
	for _, s := range seen.GetSuspensions() {
		reasons = append(reasons, s.GetReason())
		if s.GetEndTime() == nil {
			t.Error("the clock stands still")
		}
	}
	if !slices.Equal(reasons, []deskv1.Suspension_Reason{deskv1.Suspension_WAITING_FOR_ASSESSMENT, deskv1.Suspension_WAITING_FOR_PERSON}) {
		t.Errorf("the clock stood still for %v", reasons)
	}
	for _, wrong := range []*registryv1.PartialDate{date(2026, 12, 25), date(2026, 11, 0), date(2026, 2, 30)} {
		_, err := o.RegisterRequest(clerk(t), &deskv1.RegisterRequestRequest{Name: name, Registration: &deskv1.Registration{ProtocolNumber: "x", Date: wrong, TermDays: 30}})
		refused(t, err, registryv1.ErrorReason_INVALID_FIELDS)
	}
}

func TestSuspendedForThePersonIsWaiting(t *testing.T) {
	o := open(t)
	made := o.create(question(), "")
	name := made.GetRequest().GetName()
	for range 2 {
		got, err := o.SuspendRequest(clerk(t), &deskv1.SuspendRequestRequest{Name: name, Reason: deskv1.Suspension_WAITING_FOR_PERSON})
		must(t, err)
		if got.GetState() != deskv1.Request_WAITING_FOR_PERSON || len(got.GetSuspensions()) != 1 {
			t.Errorf("it is %v", got)
		}
	}
	for _, wrong := range []*deskv1.SuspendRequestRequest{{Name: name}, {Name: name, Resume: true, Reason: deskv1.Suspension_REFUSAL_ANNOUNCED}} {
		_, err := o.SuspendRequest(clerk(t), wrong)
		refused(t, err, registryv1.ErrorReason_INVALID_FIELDS)
	}
	got, err := o.answer(name, "Ecco", true)
	must(t, err)
	if got.GetSuspensions()[0].GetEndTime() == nil || got.GetState() != deskv1.Request_ANSWERED {
		t.Errorf("it is %v", got)
	}
	_, err = o.SuspendRequest(clerk(t), &deskv1.SuspendRequestRequest{Name: name, Reason: deskv1.Suspension_REFUSAL_ANNOUNCED})
	refused(t, err, registryv1.ErrorReason_NOT_SUPPORTED_HERE)
}

func TestAnswersThatPointToServices(t *testing.T) {
	o := open(t)
	const service, hidden = parent + "/services/asacom", parent + "/services/interno"
	o.put(&registryv1.Service{Name: service, Title: &registryv1.LocalizedText{It: "Assistenza a scuola", Translations: map[string]*registryv1.Translation{"fr": {Text: "Aide à l'école"}}}, Visibility: registryv1.Visibility_PUBLIC})
	o.put(&registryv1.Service{Name: hidden, Title: &registryv1.LocalizedText{It: "Bozza"}, Visibility: registryv1.Visibility_NETWORK})
	for language, want := range map[string]string{
		"":   "Ecco.\n\n– Assistenza a scuola\n  https://cid.comune.example/servizi/marsala/asacom",
		"fr": "Ecco.\n\n– Aide à l'école\n  https://cid.comune.example/fr/servizi/marsala/asacom",
	} {
		asked := question()
		asked.Language = language
		made := o.create(asked, "")
		for range 2 {
			got, err := o.AnswerRequest(clerk(t), &deskv1.AnswerRequestRequest{Name: made.GetRequest().GetName(), Text: "Ecco.\n", Services: []string{service}})
			must(t, err)
			if len(got.GetMessages()) != 1 || got.GetMessages()[0].GetText() != want {
				t.Errorf("the answer is %v", got.GetMessages())
			}
		}
		for _, wrong := range []string{hidden, parent + "/services/nessuno", parent + "/locations/asacom", "comuni/pantelleria/services/asacom", "x"} {
			_, err := o.AnswerRequest(clerk(t), &deskv1.AnswerRequestRequest{Name: made.GetRequest().GetName(), Text: "x", Services: []string{wrong}})
			refused(t, err, registryv1.ErrorReason_DANGLING_REFERENCE)
		}
	}
}

// put writes a record.
func (o *office) put(record proto.Message) {
	o.t.Helper()
	_, err := o.store.Commit(o.t.Context(), store.Request{}, nil, func(store.Reader, store.Stamp) (store.Outcome, error) {
		return store.Outcome{Put: []proto.Message{record}}, nil
	})
	must(o.t, err)
}

// One message for each answer, to who chose e-mail, with nothing of what it is
// about.
func TestAnswersAreToldByEmail(t *testing.T) {
	o := open(t)
	asked := question()
	asked.PreferredChannel, asked.Language = deskv1.Request_EMAIL, "fr"
	name := o.create(asked, "").GetRequest().GetName()
	other := o.create(question(), "").GetRequest().GetName()
	for range 2 {
		_, err := o.answer(name, "Serve il certificato di invalidità", false)
		must(t, err)
		_, err = o.answer(other, "Serve il certificato di invalidità", false)
		must(t, err)
	}
	o.lose.Store(true) // what is not kept is not told
	if _, err := o.answer(name, "Ecco", true); err == nil {
		t.Fatal("the process was not killed")
	}
	_ = o.store.Close()
	o = openIn(t, o.dir, o.clock, desk0)
	answer, err := o.outbox.ListMessages(clerk(t), &adminv1.ListMessagesRequest{Parent: "nodes/marsala"})
	must(t, err)
	if n := len(answer.GetMessages()); n != 1 {
		t.Fatalf("%d messages wait", n)
	}
	if got := answer.GetMessages()[0]; got.GetAbout() != name || got.GetRecipientHint() != "p…@example.org" {
		t.Errorf("the message is %v", got)
	}
	text := o.outboxText()
	for _, want := range []string{"posta@example.org", "Il y a une réponse pour vous", "https://cid.comune.example/fr/segui/"} {
		if !strings.Contains(text, want) {
			t.Errorf("the message lacks %q: %s", want, text)
		}
	}
	for _, secret := range []string{"certificato", "transport", "trasporto", "Nome"} {
		if strings.Contains(text, secret) {
			t.Errorf("the message tells %q: %s", secret, text)
		}
	}
}

// outboxText is what the outbox keeps.
func (o *office) outboxText() (text string) {
	o.t.Helper()
	must(o.t, o.store.View(func(r store.Reader) error {
		for key, sealed := range r.LocalEntries("mail", "") {
			body, err := o.vault.Open(key, sealed)
			if err != nil {
				return err
			}
			text += string(body)
		}
		return nil
	}))
	return text
}

func TestCannedAnswers(t *testing.T) {
	o := open(t)
	for i, title := range []string{"Zona", "appuntamento", "Orari"} {
		_, err := o.UpdateCannedAnswer(clerk(t), &deskv1.UpdateCannedAnswerRequest{CannedAnswer: &deskv1.CannedAnswer{
			Name: fmt.Sprintf("%s/templates/t%d", parent, i), Title: title, Text: "Gentile, {{service}}", Outcome: deskv1.Request_INFORMATION_GIVEN,
		}})
		must(t, err)
	}
	_, err := o.UpdateCannedAnswer(clerk(t), &deskv1.UpdateCannedAnswerRequest{CannedAnswer: &deskv1.CannedAnswer{Name: parent + "/templates/t0", Title: "Banda", Text: "x"}})
	must(t, err)
	var titles []string
	for call := (&deskv1.ListCannedAnswersRequest{Parent: parent, PageSize: 1}); ; {
		page, err := o.ListCannedAnswers(clerk(t), call)
		must(t, err)
		for _, c := range page.GetCannedAnswers() {
			titles = append(titles, c.GetTitle())
		}
		if call.PageToken = page.GetNextPageToken(); call.GetPageToken() == "" {
			break
		}
	}
	if want := []string{"appuntamento", "Banda", "Orari"}; !slices.Equal(titles, want) {
		t.Errorf("the titles are %v, want %v", titles, want)
	}
	for range 2 {
		_, err = o.DeleteCannedAnswer(clerk(t), &deskv1.DeleteCannedAnswerRequest{Name: parent + "/templates/t0"})
	}
	refused(t, err, registryv1.ErrorReason_RESOURCE_NOT_FOUND)
	for _, name := range []string{"", "x", "comuni/pantelleria/templates/t1", parent + "/templates/T 1"} {
		if _, err := o.UpdateCannedAnswer(clerk(t), &deskv1.UpdateCannedAnswerRequest{CannedAnswer: &deskv1.CannedAnswer{Name: name, Title: "x", Text: "x"}}); err == nil {
			t.Errorf("%q is taken", name)
		}
	}
}
