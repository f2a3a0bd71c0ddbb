package editorial

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"cidsistem.example/proto/gen/editorialv1"
	"cidsistem.example/services/internal/persons"
	"cidsistem.example/services/internal/store"
)

// Persons are what the office keeps of persons: corrections with who proposed
// them, links with the addresses to which they went, and drafts.
func (o *Office) Persons() []persons.Holder {
	return []persons.Holder{
		holder{office: o, kind: "correction", area: areaCorrections, read: o.correctionKept},
		holder{office: o, kind: "confirmation", area: areaConfirmations, read: o.confirmationKept},
		holder{office: o, kind: "draft", area: areaDrafts, read: o.draftKept},
	}
}

// A holder of one of the areas.
type holder struct {
	office     *Office
	kind, area string
	// read takes the value of an entry apart: what is shown of it, its texts, and
	// what removes it.
	read func(r store.Reader, id string, value []byte) (shown proto.Message, texts []persons.Field, erase func(*writer) error, err error)
}

// Kind names what is kept.
func (h holder) Kind() string { return h.kind }

// Holds tells whether a name is one of the area.
func (h holder) Holds(name string) bool {
	id, found := strings.CutPrefix(name, h.prefix())
	return found && id != "" && !strings.Contains(id, "/")
}

func (h holder) prefix() string { return h.office.parent + "/" + h.kind + "s/" }

// Find opens all entries of the area.
func (h holder) Find(r store.Reader, query persons.Query, found func(string, []string) bool) error {
	for key, sealed := range r.LocalEntries(h.area, "") {
		value, err := h.office.options.Vault.Open(key, sealed)
		if err != nil {
			return err
		}
		_, texts, _, err := h.read(r, key.ID, value)
		if err != nil {
			return err
		}
		if paths := query.In(texts...); paths != nil && !found(h.prefix()+key.ID, paths) {
			return nil
		}
	}
	return nil
}

// Export returns an entry as JSON.
func (h holder) Export(r store.Reader, name string) ([]byte, error) {
	value, err := h.office.local(r, store.LocalKey{Area: h.area, ID: idOf(name)})
	if err != nil || value == nil {
		return nil, err
	}
	shown, _, _, err := h.read(r, idOf(name), value)
	if err != nil {
		return nil, err
	}
	return protojson.Marshal(shown)
}

// Erase removes an entry and everything that leads to it.
func (h holder) Erase(r store.Reader, name string) ([]store.LocalPut, error) {
	value, err := h.office.local(r, store.LocalKey{Area: h.area, ID: idOf(name)})
	if err != nil || value == nil {
		return nil, err
	}
	_, _, erase, err := h.read(r, idOf(name), value)
	if err != nil {
		return nil, err
	}
	w := writer{office: h.office}
	err = erase(&w)
	if err == nil {
		err = w.err
	}
	return w.local, err
}

func (o *Office) correctionKept(_ store.Reader, id string, value []byte) (proto.Message, []persons.Field, func(*writer) error, error) {
	one := &editorialv1.Correction{}
	if err := proto.Unmarshal(value, one); err != nil {
		return nil, nil, nil, fmt.Errorf("%w: %w", errDamaged, err)
	}
	texts := []persons.Field{{Path: "contact", Text: one.GetContact()}, {Path: "note", Text: one.GetNote()}, {Path: "answer", Text: one.GetAnswer()}}
	for i, change := range one.GetChanges() {
		texts = append(texts, persons.Field{Path: fmt.Sprintf("changes[%d].proposed", i), Text: change.GetProposed()}, persons.Field{Path: fmt.Sprintf("changes[%d].current", i), Text: change.GetCurrent()})
	}
	return one, texts, func(w *writer) error {
		w.remove(correctionKey(id))
		w.remove(dueKey(one.GetPurgeTime().AsTime(), dueCorrection, id))
		return nil
	}, nil
}

func (o *Office) confirmationKept(r store.Reader, id string, value []byte) (proto.Message, []persons.Field, func(*writer) error, error) {
	l, err := o.decodeLink(value)
	if err != nil {
		return nil, nil, nil, err
	}
	return l.Confirmation, []persons.Field{{Path: "email", Text: l.GetEmail()}}, func(w *writer) error {
		w.remove(dueKey(l.GetCreateTime().AsTime().Add(confirmationKept), dueConfirmation, id))
		return o.eraseConfirmation(r, w, id)
	}, nil
}

func (o *Office) draftKept(_ store.Reader, _ string, value []byte) (proto.Message, []persons.Field, func(*writer) error, error) {
	h, err := decodeHeld(value)
	if err != nil {
		return nil, nil, nil, err
	}
	texts := []persons.Field{{Path: "note", Text: h.GetNote()}}
	if content, err := h.content(); err == nil {
		if body, err := protojson.Marshal(content); err == nil {
			texts = append(texts, persons.Field{Path: "content", Text: string(body)})
		}
	}
	for i, comment := range h.GetComments() {
		texts = append(texts, persons.Field{Path: fmt.Sprintf("comments[%d].text", i), Text: comment.GetText()})
	}
	return h.Draft, texts, func(w *writer) error {
		w.removeDraft(h)
		return nil
	}, nil
}
