package desk_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/deskv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/desk"
)

// A matter is a request of the public and its code.
type matter struct {
	*office
	name, code string
}

func (o *office) ask(request *deskv1.Request) *matter {
	o.t.Helper()
	made := o.create(request, "")
	return &matter{o, made.GetRequest().GetName(), made.GetCode()}
}

func (m *matter) write(text string, files ...*deskv1.AttachedFile) (*deskv1.Request, error) {
	return m.AddMessage(anyone(m.t), &deskv1.AddMessageRequest{Parent: parent, Code: m.code, Text: text, Attachments: files})
}

func (m *matter) close() (*deskv1.Request, error) {
	return m.CloseRequest(anyone(m.t), &deskv1.CloseRequestRequest{Parent: parent, Code: m.code})
}

func (m *matter) rate(score int32, text string) (*deskv1.Request, error) {
	return m.RateRequest(anyone(m.t), &deskv1.RateRequestRequest{Parent: parent, Code: m.code, Score: score, Text: text})
}

func (m *matter) wait(text string) (*deskv1.Request, error) {
	return m.AnswerRequest(clerk(m.t), &deskv1.AnswerRequestRequest{Name: m.name, Text: text, WaitingForPerson: true})
}

// Every act in every state: where it leads, or that it is refused.
func TestTransitions(t *testing.T) {
	const (
		received, taken, waiting   = deskv1.Request_RECEIVED, deskv1.Request_TAKEN, deskv1.Request_WAITING_FOR_PERSON
		answered, closed, withdraw = deskv1.Request_ANSWERED, deskv1.Request_CLOSED, deskv1.Request_WITHDRAWN
		no                         = deskv1.Request_STATE_UNSPECIFIED
	)
	ways := map[deskv1.Request_State]func(*matter) error{
		received: func(*matter) error { return nil },
		taken:    func(m *matter) error { _, err := m.get(m.name); return err },
		waiting:  func(m *matter) error { _, err := m.wait("Quale visita?"); return err },
		answered: func(m *matter) error { _, err := m.answer(m.name, "Chiami il servizio.", true); return err },
		closed: func(m *matter) error {
			_, err := m.answer(m.name, "Chiami il servizio.", true)
			must(m.t, err)
			_, err = m.close()
			return err
		},
		withdraw: func(m *matter) error { _, err := m.close(); return err },
	}
	acts := map[string]struct {
		do func(*matter) (*deskv1.Request, error)
		// to is where it leads from each state, in the order of the states above.
		to [6]deskv1.Request_State
	}{
		"read":     {func(m *matter) (*deskv1.Request, error) { return m.get(m.name) }, [6]deskv1.Request_State{taken, taken, waiting, answered, closed, withdraw}},
		"reply":    {func(m *matter) (*deskv1.Request, error) { return m.answer(m.name, "Ancora un momento.", false) }, [6]deskv1.Request_State{taken, taken, taken, taken, no, no}},
		"ask":      {func(m *matter) (*deskv1.Request, error) { return m.wait("Quando?") }, [6]deskv1.Request_State{waiting, waiting, waiting, waiting, no, no}},
		"conclude": {func(m *matter) (*deskv1.Request, error) { return m.answer(m.name, "Ecco.", true) }, [6]deskv1.Request_State{answered, answered, answered, answered, no, no}},
		"write":    {func(m *matter) (*deskv1.Request, error) { return m.write("Giovedì") }, [6]deskv1.Request_State{received, taken, taken, taken, no, no}},
		"end":      {func(m *matter) (*deskv1.Request, error) { return m.close() }, [6]deskv1.Request_State{withdraw, withdraw, withdraw, closed, closed, withdraw}},
		"rate":     {func(m *matter) (*deskv1.Request, error) { return m.rate(4, "") }, [6]deskv1.Request_State{no, no, no, answered, closed, no}},
	}
	o := open(t)
	for name, act := range acts {
		for i, from := range []deskv1.Request_State{received, taken, waiting, answered, closed, withdraw} {
			m := o.ask(question())
			must(t, ways[from](m))
			before, err := m.lookUp(m.code)
			must(t, err)
			if before.GetState() != from {
				t.Fatalf("the way to %s leads to %s", from, before.GetState())
			}
			got, err := act.do(m)
			if want := act.to[i]; want != no {
				if err != nil || got.GetState() != want {
					t.Errorf("%s when %s leads to %s, want %s (%v)", name, from, got.GetState(), want, err)
				}
				continue
			}
			if apierror.Reason(err) != registryv1.ErrorReason_NOT_SUPPORTED_HERE || apierror.Info(err).GetMetadata()["state"] != from.String() {
				t.Errorf("%s when %s is not refused: %v", name, from, err)
			}
			after, err := m.lookUp(m.code)
			must(t, err)
			if diff := cmp.Diff(before, after, protocmp.Transform()); diff != "" {
				t.Errorf("%s when %s is refused, and changes:\n%s", name, from, diff)
			}
		}
	}
}

func TestThread(t *testing.T) {
	o := open(t)
	m := o.ask(question())
	_, err := m.write("Dimenticavo: uso la sedia a rotelle.")
	must(t, err)
	_, err = m.wait("Per quale giorno?")
	must(t, err)
	for range 2 { // a repetition adds nothing
		o.clock.pass(time.Minute)
		_, err = m.write("Per giovedì.")
		must(t, err)
	}
	got, err := m.answer(m.name, "Il pulmino passa alle 8.", true)
	must(t, err)
	type line struct {
		Side         deskv1.Message_Side
		Text, Author string
	}
	lines := func(r *deskv1.Request) (all []line) {
		for _, message := range r.GetMessages() {
			all = append(all, line{message.GetSide(), message.GetText(), message.GetAuthor()})
		}
		return all
	}
	want := []line{
		{deskv1.Message_PERSON, "Dimenticavo: uso la sedia a rotelle.", ""},
		{deskv1.Message_DESK, "Per quale giorno?", account},
		{deskv1.Message_PERSON, "Per giovedì.", ""},
		{deskv1.Message_DESK, "Il pulmino passa alle 8.", account},
	}
	if diff := cmp.Diff(want, lines(got)); diff != "" {
		t.Errorf("the desk sees:\n%s", diff)
	}
	if len(got.GetAnswers()) != 2 || got.GetAnswers()[1].GetText() != "Il pulmino passa alle 8." {
		t.Errorf("the answers are %v", got.GetAnswers())
	}
	got, err = m.lookUp(m.code)
	must(t, err)
	for i := range want {
		want[i].Author = ""
	}
	if diff := cmp.Diff(want, lines(got)); diff != "" {
		t.Errorf("who asked sees:\n%s", diff)
	}
	if log := o.told(); log[1] != "anyone cidsistem.desk.v1.RequestService/AddMessage "+m.name+" 1" || len(log) != 5 {
		t.Errorf("the audit log has %q", log)
	}
	_, err = m.write(" \n")
	refused(t, err, registryv1.ErrorReason_INVALID_FIELDS)
	for i := range 48 {
		_, err = m.write(fmt.Sprint("Ancora ", i))
		must(t, err)
	}
	_, err = m.write("Uno di troppo")
	refused(t, err, registryv1.ErrorReason_TOO_LARGE)
}

func TestFinalAnswersHaveAnOutcome(t *testing.T) {
	o := open(t)
	m := o.ask(question())
	for field, call := range map[string]*deskv1.AnswerRequestRequest{
		"outcome":          {Final: true},
		"outcome ":         {Outcome: deskv1.Request_TOO_FAR},
		"waitingForPerson": {Final: true, Outcome: deskv1.Request_TOO_FAR, WaitingForPerson: true},
	} {
		call.Name, call.Text = m.name, "Ecco"
		_, err := o.AnswerRequest(clerk(t), call)
		if fields := apierror.Fields(err); len(fields) != 1 || fields[0].GetField() != field[:len(fields[0].GetField())] {
			t.Errorf("%s: %v", field, err)
		}
	}
	got, err := o.AnswerRequest(clerk(t), &deskv1.AnswerRequestRequest{Name: m.name, Text: "Non c'è posto.", Final: true, Outcome: deskv1.Request_NO_CAPACITY})
	must(t, err)
	if got.GetOutcome() != deskv1.Request_NO_CAPACITY {
		t.Errorf("the outcome is %s", got.GetOutcome())
	}
	// What is taken up again has no outcome.
	got, err = m.write("E il mese prossimo?")
	must(t, err)
	if got.GetOutcome() != 0 || got.GetState() != deskv1.Request_TAKEN {
		t.Errorf("taken up again: %s %s", got.GetOutcome(), got.GetState())
	}
}

func TestRating(t *testing.T) {
	o := open(t)
	m := o.ask(question())
	_, err := m.answer(m.name, "Ecco", true)
	must(t, err)
	for _, wrong := range []int32{0, 6, -1} {
		_, err := m.rate(wrong, "")
		refused(t, err, registryv1.ErrorReason_INVALID_FIELDS)
	}
	for score := range int32(5) {
		got, err := m.rate(score+1, "Chiaro")
		must(t, err)
		if got.GetRating().GetScore() != score+1 || got.GetRating().GetText() != "Chiaro" || got.GetRating().GetCreateTime() == nil {
			t.Errorf("rated %v", got.GetRating())
		}
	}
	_, err = m.close()
	must(t, err)
	_, err = m.rate(5, "Chiaro") // a repetition
	must(t, err)
	_, err = m.rate(1, "Ora no")
	refused(t, err, registryv1.ErrorReason_NOT_SUPPORTED_HERE)

	late := o.ask(question())
	_, err = late.answer(late.name, "Ecco", true)
	must(t, err)
	_, err = late.close()
	must(t, err)
	_, err = late.rate(2, "")
	must(t, err)
}

// The clock of a request counts the comune's working days, and stands still while
// the desk waits for the person.
func TestTimes(t *testing.T) {
	o := openWith(t, desk.Settings{AnswerDays: 3, Patron: "11-25"}) // it is Monday the 23rd
	m := o.ask(question())
	check := func(when string, want *registryv1.PartialDate, left int32, overdue bool) {
		t.Helper()
		got, err := m.lookUp(m.code)
		must(t, err)
		if diff := cmp.Diff(want, got.GetDueDate(), protocmp.Transform()); diff != "" || got.GetWorkingDaysLeft() != left || got.GetOverdue() != overdue {
			t.Errorf("%s: due %v, %d days left, overdue %t", when, got.GetDueDate(), got.GetWorkingDaysLeft(), got.GetOverdue())
		}
		late, err := o.ListRequests(clerk(t), &deskv1.ListRequestsRequest{Parent: parent, Overdue: true})
		must(t, err)
		if listed := len(late.GetRequests()) == 1; listed != overdue {
			t.Errorf("%s: listed as overdue: %t", when, listed)
		}
	}
	on := func(month, day int32) *registryv1.PartialDate {
		return &registryv1.PartialDate{Year: 2026, Month: month, Day: day}
	}
	check("on Monday", on(11, 27), 0, false) // Tuesday, Thursday, Friday
	o.clock.pass(day)
	_, err := m.wait("Per quale giorno?")
	must(t, err)
	check("waiting since Tuesday", nil, 2, false)
	o.clock.pass(30 * day)
	check("waiting for a month", nil, 2, false)
	_, err = m.write("Per giovedì.") // on 24 December, a Thursday
	must(t, err)
	check("written", on(12, 29), 0, false)
	o.clock.pass(5 * day) // the last day
	check("on the last day", on(12, 29), 0, false)
	o.clock.pass(day)
	check("after the last day", on(12, 29), 0, true)
	_, err = m.wait("Di mattina?")
	must(t, err)
	check("waiting, late", nil, 0, false)
	_, err = m.write("Sì.")
	must(t, err)
	check("a day to read it", on(12, 31), 0, false)
	o.clock.pass(2 * day)
	check("after that day", on(12, 31), 0, true)
	_, err = m.answer(m.name, "Ecco", true)
	must(t, err)
	check("answered", on(12, 31), 0, false)
	_, err = m.write("Grazie, e il ritorno?") // on 1 January, a Friday
	must(t, err)
	check("taken up again", &registryv1.PartialDate{Year: 2027, Month: 1, Day: 7}, 0, false)
}
