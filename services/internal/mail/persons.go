package mail

import (
	"strings"

	"google.golang.org/protobuf/encoding/protojson"

	"cidsistem.example/services/internal/persons"
	"cidsistem.example/services/internal/store"
)

// Persons is what an outbox keeps of persons: what was not sent yet.
func (o *Outbox) Persons() persons.Holder { return holder{o} }

type holder struct{ outbox *Outbox }

// Kind names the messages.
func (holder) Kind() string { return "message" }

// Holds tells whether a name is that of a message of this outbox.
func (h holder) Holds(name string) bool {
	id, found := strings.CutPrefix(name, h.outbox.parent+"/messages/")
	return found && id != "" && !strings.Contains(id, "/")
}

// Find opens all messages.
func (h holder) Find(r store.Reader, query persons.Query, found func(string, []string) bool) error {
	for key, sealed := range r.LocalEntries(area, "") {
		k, err := h.outbox.open(key, sealed)
		if err != nil {
			return err
		}
		paths := query.In(persons.Field{Path: "to", Text: k.To}, persons.Field{Path: "subject", Text: k.Subject}, persons.Field{Path: "text", Text: k.Text})
		if paths != nil && !found(h.outbox.name(k.ID), paths) {
			return nil
		}
	}
	return nil
}

// Export returns a message as it is shown.
func (h holder) Export(r store.Reader, name string) ([]byte, error) {
	k, err := h.outbox.read(r, name[strings.LastIndexByte(name, '/')+1:])
	if k == nil || err != nil {
		return nil, err
	}
	return protojson.Marshal(h.outbox.shown(k))
}

// Erase removes a message; what was not sent yet is not sent any more.
func (h holder) Erase(r store.Reader, name string) ([]store.LocalPut, error) {
	k, err := h.outbox.read(r, name[strings.LastIndexByte(name, '/')+1:])
	if k == nil || err != nil {
		return nil, err
	}
	w := writer{outbox: h.outbox}
	w.erase(k)
	return w.puts, w.err
}
