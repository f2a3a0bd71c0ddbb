package desk

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"

	"cidsistem.example/proto/gen/deskv1"
	"cidsistem.example/services/internal/persons"
	"cidsistem.example/services/internal/store"
)

// Persons is what a desk keeps of persons: their requests.
func (d *Desk) Persons() persons.Holder { return holder{d} }

type holder struct{ desk *Desk }

// Kind names the requests.
func (holder) Kind() string { return "request" }

// Holds tells whether a name is that of a request of this desk.
func (h holder) Holds(name string) bool {
	id, found := strings.CutPrefix(name, h.desk.parent+"/requests/")
	return found && id != "" && !strings.Contains(id, "/")
}

// Find opens all requests: nothing of a person stands in an index.
func (h holder) Find(r store.Reader, query persons.Query, found func(string, []string) bool) error {
	for key, sealed := range r.LocalEntries(areaRequests, "") {
		request, err := h.desk.open(key, sealed)
		if err != nil {
			return err
		}
		contact := request.GetContact()
		fields := []persons.Field{
			{Path: "contact.fullName", Text: contact.GetFullName()},
			{Path: "contact.telephone", Text: contact.GetTelephone()},
			{Path: "contact.email", Text: contact.GetEmail()},
			{Path: "contactHours", Text: request.GetContactHours()},
			{Path: "text", Text: request.GetText()},
			{Path: "representation.basis", Text: request.GetRepresentation().GetBasis()},
			{Path: "disruption.when", Text: request.GetDisruption().GetWhen()},
			{Path: "rating.text", Text: request.GetRating().GetText()},
			{Path: "transfer.consent", Text: request.GetTransfer().GetConsent()},
		}
		for i, note := range request.GetNotes() {
			fields = append(fields, persons.Field{Path: fmt.Sprintf("notes[%d].text", i), Text: note.GetText()})
		}
		for i, suspension := range request.GetSuspensions() {
			fields = append(fields, persons.Field{Path: fmt.Sprintf("suspensions[%d].note", i), Text: suspension.GetNote()})
		}
		for i, message := range request.GetMessages() {
			fields = append(fields, persons.Field{Path: fmt.Sprintf("messages[%d].text", i), Text: message.GetText()})
		}
		for i, attachment := range request.GetAttachments() {
			fields = append(fields, persons.Field{Path: fmt.Sprintf("attachments[%d].fileName", i), Text: attachment.GetFileName()})
		}
		if paths := query.In(fields...); paths != nil && !found(request.GetName(), paths) {
			return nil
		}
	}
	return nil
}

// Export returns a request as who asked sees it, with the notes about them and
// the bytes of its attachments.
func (h holder) Export(r store.Reader, name string) ([]byte, error) {
	request, err := h.desk.read(r, idOf(name))
	if request == nil || err != nil {
		return nil, err
	}
	seen := h.desk.forPublic(request.Request)
	for _, note := range request.GetNotes() {
		seen.Notes = append(seen.Notes, &deskv1.Note{Text: note.GetText(), CreateTime: note.GetCreateTime()})
	}
	for i, a := range seen.GetAttachments() {
		if seen.Attachments[i], err = h.desk.attachment(r, request, a.GetName()); err != nil {
			return nil, err
		}
	}
	return protojson.Marshal(seen)
}

// Erase removes a request and everything that leads to it.
func (h holder) Erase(r store.Reader, name string) ([]store.LocalPut, error) {
	request, err := h.desk.read(r, idOf(name))
	if request == nil || err != nil {
		return nil, err
	}
	p := puts{desk: h.desk, reader: r}
	p.erase(request)
	return p.all, p.err
}
