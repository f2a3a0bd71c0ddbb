package desk

import (
	"context"
	"strings"
	"unicode"

	"google.golang.org/protobuf/proto"

	"cidsistem.example/proto/gen/deskv1"
	"cidsistem.example/services/internal/pagetoken"
	"cidsistem.example/services/internal/store"
	"cidsistem.example/services/internal/workdays"
)

// maxScan bounds what one page looks at.
const maxScan = 2000

// forDesk is what the desk sees of a request: all of it.
func (d *Desk) forDesk(request *deskv1.Request) *deskv1.Request {
	seen := proto.CloneOf(request)
	for _, m := range seen.GetMessages() {
		if m.GetSide() == deskv1.Message_DESK {
			seen.Answers = append(seen.Answers, &deskv1.Answer{Text: m.GetText(), Author: m.GetAuthor(), CreateTime: m.GetCreateTime()})
		}
	}
	seen.Overdue = overdue(seen, d.calendar.On(d.store.Now()))
	d.setTerm(seen)
	return seen
}

// forPublic is what who asked sees of a request: all but what is of the desk
// alone.
func (d *Desk) forPublic(request *deskv1.Request) *deskv1.Request {
	seen := d.forDesk(request)
	for _, answer := range seen.GetAnswers() {
		answer.Author = ""
	}
	for _, message := range seen.GetMessages() {
		message.Author = ""
	}
	seen.Assignee, seen.Notes, seen.Excerpt = "", nil, ""
	if seen.GetEntry() != nil {
		seen.Entry.Author = ""
	}
	if seen.GetTransfer() != nil {
		seen.Transfer.Author = ""
	}
	return seen
}

// forList is what a list shows of a request: nothing that tells of a person but
// its first words.
func (d *Desk) forList(request *deskv1.Request, today workdays.Date) *deskv1.Request {
	listed := &deskv1.Request{
		Name: request.GetName(), Kind: request.GetKind(), Category: request.GetCategory(), Service: request.GetService(), Location: request.GetLocation(),
		Language: request.GetLanguage(), PreferredChannel: request.GetPreferredChannel(), State: request.GetState(), Outcome: request.GetOutcome(),
		DueDate: request.GetDueDate(), WorkingDaysLeft: request.GetWorkingDaysLeft(), Overdue: overdue(request, today),
		CreateTime: request.GetCreateTime(), UpdateTime: request.GetUpdateTime(), PurgeTime: request.GetPurgeTime(),
		Assignee: request.GetAssignee(), Entry: request.GetEntry(), Excerpt: excerptOf(request),
		Registration: proto.CloneOf(request.GetRegistration()), Suspensions: request.GetSuspensions(),
	}
	d.setTerm(listed)
	for _, suspension := range listed.GetSuspensions() {
		if suspension.GetEndTime() == nil {
			listed.Suspensions = []*deskv1.Suspension{{Reason: suspension.GetReason(), StartTime: suspension.GetStartTime()}}
			return listed
		}
	}
	listed.Suspensions = nil
	return listed
}

// excerptLength is how many characters of a request a list shows.
const excerptLength = 80

// excerptOf are the first words of a request, without those that look like a
// number or an address of somebody.
func excerptOf(request *deskv1.Request) string {
	var out []rune
	for word := range strings.FieldsSeq(request.GetText()) {
		digits := 0
		for _, r := range word {
			if unicode.IsDigit(r) {
				digits++
			}
		}
		if digits > 4 || strings.Contains(word, "@") {
			word = "…"
		}
		if len(out) > 0 {
			out = append(out, ' ')
		}
		out = append(out, []rune(word)...)
		if len(out) > excerptLength {
			return string(out[:excerptLength-1]) + "…"
		}
	}
	return string(out)
}

// GetRequest reads a request at the desk; the first reader takes it on.
func (d *Desk) GetRequest(ctx context.Context, call *deskv1.GetRequestRequest) (*deskv1.Request, error) {
	id, err := d.idIn(call.GetName())
	if err != nil {
		return nil, err
	}
	find := d.named(call.GetName(), id)
	var found *held
	if err := d.store.View(func(r store.Reader) (err error) { found, err = find(r); return err }); err != nil {
		return nil, err
	}
	if transitions[found.GetState()][read] == found.GetState() {
		return d.forDesk(found.Request), nil
	}
	after, err := d.change(ctx, find, func(_ *puts, h *held, stamp store.Stamp) (bool, error) {
		to, err := h.after(read, "it cannot be read")
		if err != nil || to == h.GetState() {
			return false, err
		}
		d.move(h, to, stamp.Time)
		return true, nil
	}, nil)
	if err != nil {
		return nil, err
	}
	return d.forDesk(after), nil
}

// idIn is the id in the name of a request of this desk.
func (d *Desk) idIn(name string) (string, error) {
	id := idOf(name)
	if err := d.owns(name[:max(len(name)-len("/requests/"+id), 0)]); err != nil {
		return "", err
	}
	return id, nil
}

// assigned tells whether a request is of somebody; "-" is nobody, and empty
// anybody.
func assigned(request *deskv1.Request, to string) bool {
	return to == "" || to == request.GetAssignee() || to == "-" && request.GetAssignee() == ""
}

// ListRequests lists requests, the oldest first.
func (d *Desk) ListRequests(_ context.Context, call *deskv1.ListRequestsRequest) (*deskv1.ListRequestsResponse, error) {
	if err := d.owns(call.GetParent()); err != nil {
		return nil, err
	}
	token, err := pagetoken.Decode(call, call.GetPageToken())
	if err != nil {
		return nil, err
	}
	size := pagetoken.Size(call.GetPageSize(), 50, 1000)
	answer, after, today := &deskv1.ListRequestsResponse{}, string(token.Key), d.calendar.On(d.store.Now())
	err = d.store.View(func(r store.Reader) error {
		scanned := 0
		for key := range r.LocalEntries(areaTimes, after) {
			if len(answer.GetRequests()) == size || scanned == maxScan {
				answer.NextPageToken = pagetoken.Encode(call, pagetoken.Token{Key: []byte(after)})
				return nil
			}
			scanned, after = scanned+1, key.ID
			_, id, err := splitTimed(key)
			if err != nil {
				return err
			}
			h, err := d.read(r, id)
			if err != nil {
				return err
			}
			if h != nil && (call.GetState() == 0 || h.GetState() == call.GetState()) && (call.GetKind() == 0 || h.GetKind() == call.GetKind()) &&
				(!call.GetOverdue() || overdue(h.Request, today)) && assigned(h.Request, call.GetAssignee()) {
				answer.Requests = append(answer.Requests, d.forList(h.Request, today))
			}
		}
		return nil
	})
	return answer, err
}
