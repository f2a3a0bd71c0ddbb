package fields

import (
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/proto/gen/registryv1"
)

// A Leaf is one thing that a record says, to be read.
type Leaf struct {
	// Path of the field; Field is the first name of it.
	Path, Field string
	// Label says where in the record it stands: "Contatti 2 · Numero".
	Label string
	// Text is what it says, Italian.
	Text string
}

// Leaves are what a record says, field by field.
func Leaves(words Words, m proto.Message) []Leaf {
	if m == nil {
		return nil
	}
	w := walker{words: words}
	w.message("", "", m.ProtoReflect())
	return w.leaves
}

type walker struct {
	words  Words
	leaves []Leaf
}

func (w *walker) add(path, label, text string) {
	if text == "" {
		return
	}
	field, _, _ := strings.Cut(path, ".")
	field, _, _ = strings.Cut(field, "[")
	w.leaves = append(w.leaves, Leaf{path, field, label, text})
}

func (w *walker) message(prefix, label string, m protoreflect.Message) {
	if label != "" {
		label += " · "
	}
	for i := range m.Descriptor().Fields().Len() {
		fd := m.Descriptor().Fields().Get(i)
		if Kept(fd) || !m.Has(fd) {
			continue
		}
		path, name := prefix+fd.JSONName(), label+Label(w.words, fd)
		switch shapeOf(fd, false) {
		case checks, lines:
			var all []string
			for i := range m.Get(fd).List().Len() {
				all = append(all, w.text(fd, m.Get(fd).List().Get(i)))
			}
			w.add(path, name, strings.Join(all, ", "))
		case rows:
			for i := range m.Get(fd).List().Len() {
				w.value(fmt.Sprintf("%s[%d]", path, i), fmt.Sprintf("%s %d", name, i+1), fd, m.Get(fd).List().Get(i))
			}
		default:
			w.value(path, name, fd, m.Get(fd))
		}
	}
}

func (w *walker) value(path, label string, fd protoreflect.FieldDescriptor, value protoreflect.Value) {
	switch shapeOf(fd, true) {
	case localized:
		t := value.Message().Interface().(*registryv1.LocalizedText)
		w.add(path, label, t.GetIt())
		w.add(path+easyName, label+" · "+w.words.Say("campi.LocalizedText_easy_read"), t.GetEasyRead().GetText())
		for _, l := range Languages {
			w.add(path+translationsName+"."+l, label+" · "+w.words.Say("language."+l), t.GetTranslations()[l].GetText())
		}
	case group:
		switch m := value.Message().Interface().(type) {
		case *registryv1.Period:
			w.add(path, label, period(m))
		default:
			w.message(path+".", label, value.Message())
		}
	default:
		w.add(path, label, w.text(fd, value))
	}
}

// Languages that texts are translated into, in the order of the pages.
var Languages = []string{"en", "fr", "ar"}

func period(p *registryv1.Period) string {
	var said []string
	if p.GetStart() != nil {
		said = append(said, "dal "+dateText(p.GetStart()))
	}
	if p.GetEnd() != nil {
		said = append(said, "al "+dateText(p.GetEnd()))
	}
	return strings.Join(said, " ")
}

// text of a value that is one thing.
func (w *walker) text(fd protoreflect.FieldDescriptor, value protoreflect.Value) string {
	switch shapeOf(fd, true) {
	case checks, choice:
		if known := fd.Enum().Values().ByNumber(value.Enum()); known != nil {
			return w.words.Say(EnumID(fd.Enum(), known))
		}
		return fmt.Sprint(value.Enum())
	case flag, tri:
		return w.words.Say(fmt.Sprint("campi_si.is_", value.Bool()))
	case date:
		return dateText(value.Message().Interface().(*registryv1.PartialDate))
	case moment:
		return value.Message().Interface().(*timestamppb.Timestamp).AsTime().In(site.Rome).Format("2/1/2006 15:04")
	case hundredth:
		return hundredthText(value.Int())
	case decimal:
		return strings.ReplaceAll(fmt.Sprint(value.Float()), ".", ",")
	}
	return value.String()
}

// A Difference is a field of which two records say something else.
type Difference struct {
	// Field is its JSON name, Label what it is called.
	Field, Label string
	// Lines are what differs in it.
	Lines []Line
}

// A Line is one thing before and after; empty: it was not said.
type Line struct{ Label, Before, After string }

// Differences between two records of a kind, field by field.
func Differences(words Words, before, after proto.Message) []Difference {
	var all []Difference
	old := map[string]Leaf{}
	for _, leaf := range Leaves(words, before) {
		old[leaf.Path] = leaf
	}
	md := after.ProtoReflect().Descriptor()
	at := map[string]int{}
	add := func(field string, line Line) {
		i, there := at[field]
		if !there {
			i = len(all)
			at[field] = i
			all = append(all, Difference{Field: field, Label: Label(words, md.Fields().ByJSONName(field))})
		}
		all[i].Lines = append(all[i].Lines, line)
	}
	for _, leaf := range Leaves(words, after) {
		was := old[leaf.Path]
		delete(old, leaf.Path)
		if was.Text != leaf.Text {
			add(leaf.Field, Line{leaf.Label, was.Text, leaf.Text})
		}
	}
	for _, leaf := range Leaves(words, before) {
		if _, gone := old[leaf.Path]; gone {
			add(leaf.Field, Line{leaf.Label, leaf.Text, ""})
		}
	}
	// What no text says, such as the order of a list or when something was looked at.
	for i := range md.Fields().Len() {
		fd := md.Fields().Get(i)
		if _, there := at[fd.JSONName()]; !there && !Kept(fd) && before != nil && !same(before, after, fd) {
			add(fd.JSONName(), Line{})
		}
	}
	return all
}

func same(a, b proto.Message, fd protoreflect.FieldDescriptor) bool {
	return a.ProtoReflect().Get(fd).Equal(b.ProtoReflect().Get(fd)) && a.ProtoReflect().Has(fd) == b.ProtoReflect().Has(fd)
}

// Changed are the fields, by JSON name, of which two records of a kind say something else.
func Changed(a, b proto.Message) map[string]bool {
	changed := map[string]bool{}
	md := a.ProtoReflect().Descriptor()
	for i := range md.Fields().Len() {
		if fd := md.Fields().Get(i); !Kept(fd) && !same(a, b, fd) {
			changed[fd.JSONName()] = true
		}
	}
	return changed
}

// Take lets a record say of a field, by JSON name, what another says.
func Take(into, from proto.Message, field string) {
	fd := into.ProtoReflect().Descriptor().Fields().ByJSONName(field)
	if fd == nil || Kept(fd) {
		return
	}
	if !from.ProtoReflect().Has(fd) {
		into.ProtoReflect().Clear(fd)
		return
	}
	into.ProtoReflect().Set(fd, proto.Clone(from).ProtoReflect().Get(fd))
}

// A Text is a localised text of a record, where it stands.
type Text struct {
	Path, Label string
	*registryv1.LocalizedText
}

// Texts are the localised texts of a record that say something in Italian. They are the record's own: who changes one changes the record.
func Texts(words Words, m proto.Message) []Text {
	var all []Text
	var walk func(prefix, label string, m protoreflect.Message)
	one := func(path, label string, value protoreflect.Message) {
		if t, ok := value.Interface().(*registryv1.LocalizedText); ok {
			if t.GetIt() != "" {
				all = append(all, Text{path, label, t})
			}
			return
		}
		walk(path+".", label+" · ", value)
	}
	walk = func(prefix, label string, m protoreflect.Message) {
		for i := range m.Descriptor().Fields().Len() {
			fd := m.Descriptor().Fields().Get(i)
			if fd.Message() == nil || fd.IsMap() || Kept(fd) || !m.Has(fd) || strings.HasPrefix(string(fd.Message().FullName()), "google.") {
				continue
			}
			path, name := prefix+fd.JSONName(), label+Label(words, fd)
			if !fd.IsList() {
				one(path, name, m.Get(fd).Message())
				continue
			}
			for j := range m.Get(fd).List().Len() {
				one(fmt.Sprintf("%s[%d]", path, j), fmt.Sprintf("%s %d", name, j+1), m.Get(fd).List().Get(j).Message())
			}
		}
	}
	walk("", "", m.ProtoReflect())
	return all
}

// Translate says a text in another language as somebody wrote it now. What was not touched stays as it was looked at last, unless who
// writes says that it still fits.
func Translate(t *registryv1.LocalizedText, language, written string, fits bool, now time.Time) {
	written = cleaned(written)
	was := t.GetTranslations()[language]
	switch {
	case strings.TrimSpace(written) == "":
		delete(t.Translations, language)
	case was.GetText() == written && !fits:
	default:
		if t.Translations == nil {
			t.Translations = map[string]*registryv1.Translation{}
		}
		t.Translations[language] = Rendition(t.GetIt(), written, now)
	}
}
