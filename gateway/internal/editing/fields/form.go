package fields

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"cidsistem.example/proto/gen/registryv1"
)

// Words are what a form says. A [site.Request] has them.
type Words interface {
	Say(id string, values ...any) string
	Knows(id string) bool
}

// A Section of a form: fields that are understood together.
type Section struct {
	ID, Title string
	Controls  []*Control
	// Open: it has something in it, or something wrong.
	Open bool
	// Filled counts its fields that have something.
	Filled int
}

// A Control is a field as the form shows it; its words are Italian.
type Control struct {
	// Shape is which control it is.
	Shape string
	// Name of the form's field, ID of its element.
	Name, ID string
	// Label and Help; Help can be empty.
	Label, Help string
	// Value that was typed; Values of several.
	Value  string
	Values []string
	// Options of a closed list.
	Options []Option
	// Controls of a group, and of the text of a localised one.
	Controls []*Control
	// Rows of a list.
	Rows []Row
	// Kept are hidden fields that belong to it.
	Kept []Hidden
	// Of is the collection that a reference leads to.
	Of string
	// Most characters; 0: not said.
	Most int
	// Required: a record is not whole without it.
	Required bool
	// Open: a group that has something in it.
	Open bool

	Problems []string
	// Translated has the languages of the translations of a text.
	Translated []string
	// Easy is the easy-to-read version of a text, Outdated that the Italian has changed since.
	Easy, EasyName string
	Outdated       bool
}

// An Option of a closed list.
type Option struct {
	Value, Text string
	Chosen      bool
}

// A Hidden field.
type Hidden struct{ Name, Value string }

// A Row of a list.
type Row struct {
	// Name of the row, "contacts[0]"; ID of its element.
	Name, ID string
	// Title says which it is, in a few words.
	Title    string
	Control  *Control
	First    bool
	Last     bool
	Position int
}

// ID of the element of a field, by its path.
func ID(path string) string {
	path = strings.TrimSuffix(path, italianName)
	return "c-" + strings.NewReplacer("[", "-", "]", "", ".", "-").Replace(path)
}

// A Form shows what was typed into a record's fields.
type Form struct {
	words    Words
	values   url.Values
	lists    map[string][]int
	problems map[string][]string
}

// NewForm makes the form of a kind with values, and says problems beside their fields, by path.
func NewForm(words Words, values url.Values, problems map[string][]string) *Form {
	return &Form{words: words, values: values, lists: rowsOf(values), problems: problems}
}

// Sections of the form of a kind.
func (f *Form) Sections(md protoreflect.MessageDescriptor) []Section {
	var all []Section
	taken := map[protoreflect.Name]bool{}
	take := func(id string, names []protoreflect.Name) {
		section := Section{ID: "s-" + id, Title: f.words.Say("campi_parti." + id)}
		for _, name := range names {
			fd := md.Fields().ByName(name)
			if fd == nil || taken[name] || Kept(fd) {
				continue
			}
			taken[name] = true
			control := f.field("", fd)
			section.Controls = append(section.Controls, control)
			if f.filled(fd.JSONName()) {
				section.Filled++
			}
			section.Open = section.Open || f.troubled(fd.JSONName())
		}
		if len(section.Controls) > 0 {
			all = append(all, section)
		}
	}
	for _, part := range parts[md.Name()] {
		take(part.id, part.fields)
	}
	var rest []protoreflect.Name
	for i := range md.Fields().Len() {
		if name := md.Fields().Get(i).Name(); !slices.Contains(origin, name) {
			rest = append(rest, name)
		}
	}
	take("more", rest)
	take("record", origin)
	if len(all) > 0 {
		all[0].Open = true
	}
	return all
}

// Of shows one field of a message.
func (f *Form) Of(fd protoreflect.FieldDescriptor) *Control { return f.field("", fd) }

// filled tells whether anything is typed at a path or below it.
func (f *Form) filled(path string) bool {
	for name, values := range f.values {
		if rest, ok := strings.CutPrefix(name, path); ok && (rest == "" || rest[0] == '.' || rest[0] == '[') && len(values) > 0 && values[0] != "" {
			return true
		}
	}
	return false
}

// troubled tells whether something is wrong at a path or below it.
func (f *Form) troubled(path string) bool {
	for at := range f.problems {
		if rest, ok := strings.CutPrefix(at, path); ok && (rest == "" || rest[0] == '.' || rest[0] == '[') {
			return true
		}
	}
	return false
}

// Label of a field, Italian.
func Label(words Words, fd protoreflect.FieldDescriptor) string { return words.Say(LabelID(words, fd)) }

// LabelID is the key of a field's label: of the field of its message, or of the field that all kinds of record share.
func LabelID(words Words, fd protoreflect.FieldDescriptor) string {
	own := fmt.Sprintf("campi.%s_%s", fd.Parent().Name(), fd.Name())
	if common := "campi.record_" + string(fd.Name()); !words.Knows(own) && words.Knows(common) {
		return common
	}
	return own
}

func (f *Form) field(prefix string, fd protoreflect.FieldDescriptor) *Control {
	path := prefix + fd.JSONName()
	if fd.IsList() && shapeOf(fd, false) == rows {
		c := f.control(path, fd, rows)
		for i, number := range f.lists[path] {
			row := fmt.Sprintf("%s[%d]", path, number)
			inside := f.value(row, fd)
			inside.Help = ""
			c.Rows = append(c.Rows, Row{
				Name: row, ID: ID(row), Control: inside, First: i == 0, Last: i == len(f.lists[path])-1, Position: i + 1, Title: f.title(row, fd),
			})
		}
		c.Open = len(c.Rows) > 0 || f.troubled(path)
		return c
	}
	return f.value(path, fd)
}

// title says in a few words which row it is: its first text.
func (f *Form) title(row string, fd protoreflect.FieldDescriptor) string {
	if fd.Message() == nil {
		return ""
	}
	for _, name := range []string{".title.it", ".statement.it", ".label", ".value", ".source", ".organization", ".field"} {
		if said := f.values.Get(row + name); said != "" {
			if runes := []rune(said); len(runes) > 60 {
				said = string(runes[:60]) + "…"
			}
			return said
		}
	}
	return ""
}

func (f *Form) control(path string, fd protoreflect.FieldDescriptor, s shape) *Control {
	c := &Control{
		Shape: string(s), Name: path, ID: ID(path), Label: Label(f.words, fd), Required: required(fd), Value: f.values.Get(path),
		Problems: f.problems[path], Of: Refers(fd), Most: int(constraints(fd).GetString().GetMaxLen()),
	}
	if help := "campi_aiuto" + strings.TrimPrefix(LabelID(f.words, fd), "campi"); f.words.Knows(help) {
		c.Help = f.words.Say(help)
	} else if id := "campi_forma." + string(s); f.words.Knows(id) {
		c.Help = f.words.Say(id)
	}
	return c
}

func (f *Form) value(path string, fd protoreflect.FieldDescriptor) *Control {
	s := shapeOf(fd, true)
	if fd.IsList() && shapeOf(fd, false) != rows {
		s = shapeOf(fd, false)
	}
	c := f.control(path, fd, s)
	switch s {
	case localized:
		f.localized(c, fd)
	case group:
		f.group(c, fd.Message())
	case choice:
		c.Options = f.options(fd, []string{c.Value})
	case checks:
		c.Values = f.values[path]
		c.Options = f.options(fd, c.Values)[1:]
		c.Kept = f.hidden(path + orderName)
	case moment:
		c.Kept = f.hidden(path + keptName)
	case tri:
		for _, value := range []string{"", "true", "false"} {
			c.Options = append(c.Options, Option{value, f.words.Say("campi_si.is_" + value), c.Value == value})
		}
	case reference:
		if c.Value == rowMark {
			c.Value = ""
		}
	case text:
		if strings.Contains(c.Value, "\n") {
			c.Shape = string(area)
		}
	}
	return c
}

func (f *Form) hidden(name string) []Hidden {
	if value := f.values.Get(name); value != "" {
		return []Hidden{{name, value}}
	}
	return nil
}

// italian has the limits of an Italian text.
var italian = (&registryv1.LocalizedText{}).ProtoReflect().Descriptor().Fields().ByName("it")

func (f *Form) localized(c *Control, fd protoreflect.FieldDescriptor) {
	path := c.Name
	c.Problems = append(slices.Clone(c.Problems), f.problems[path+italianName]...)
	c.Problems = append(c.Problems, f.problems[path+easyName]...)
	c.Name, c.Value = path+italianName, f.values.Get(path+italianName)
	c.Most = int(constraints(italian).GetString().GetMaxLen())
	c.Kept = append(f.hidden(path+translationsName), f.hidden(path+easyName+keptName)...)
	c.Easy, c.EasyName = f.values.Get(path+easyName), path+easyName
	var m registryv1.LocalizedText
	r := &reader{values: f.values}
	r.localized(path, &m)
	for _, tag := range slices.Sorted(mapKeys(m.GetTranslations())) {
		c.Translated = append(c.Translated, tag)
		c.Outdated = c.Outdated || Outdated(m.GetIt(), m.GetTranslations()[tag])
	}
	c.Outdated = c.Outdated || m.GetEasyRead() != nil && Outdated(m.GetIt(), m.GetEasyRead())
	// A title is a line; a text has room.
	if fd.Name() == "title" {
		c.Open = true
	}
}

// Outdated tells that an Italian text has changed since a rendition of it was written.
func Outdated(italian string, rendition *registryv1.Translation) bool {
	return rendition.GetSourceDigest() != "" && rendition.GetSourceDigest() != Digest(italian)
}

func (f *Form) group(c *Control, md protoreflect.MessageDescriptor) {
	path := c.Name
	done := map[protoreflect.Name]bool{}
	for i := range md.Fields().Len() {
		fd := md.Fields().Get(i)
		if Kept(fd) {
			continue
		}
		one := sibling(fd)
		if one == nil {
			c.Controls = append(c.Controls, f.field(path+".", fd))
			continue
		}
		if !done[one.Name()] {
			done[one.Name()] = true
			c.Controls = append(c.Controls, f.alternatives(path+".", one))
		}
		inside := f.field(path+".", fd)
		inside.Open = f.values.Get(path+"."+string(one.Name())) == fd.JSONName() || f.troubled(path+"."+fd.JSONName())
		c.Controls = append(c.Controls, inside)
	}
	c.Open = c.Required || f.filled(path) || f.troubled(path)
}

// alternatives is the choice among the cases of a oneof.
func (f *Form) alternatives(prefix string, one protoreflect.OneofDescriptor) *Control {
	path := prefix + string(one.Name())
	id := fmt.Sprintf("%s_%s", one.Parent().Name(), one.Name())
	c := &Control{Shape: string(choice), Name: path, ID: ID(path), Label: f.words.Say("campi." + id), Value: f.values.Get(path)}
	c.Options = []Option{{"", f.words.Say("campi_si.is_none"), c.Value == ""}}
	for i := range one.Fields().Len() {
		fd := one.Fields().Get(i)
		c.Options = append(c.Options, Option{fd.JSONName(), Label(f.words, fd), c.Value == fd.JSONName()})
	}
	return c
}

// options of a closed list, the value that is not set first.
func (f *Form) options(fd protoreflect.FieldDescriptor, chosen []string) []Option {
	none := Option{"", f.words.Say("campi_si.is_none"), len(chosen) == 0 || chosen[0] == ""}
	if id := EnumID(fd.Enum(), fd.Enum().Values().Get(0)); f.words.Knows(id) {
		none.Text = f.words.Say(id)
	}
	all := []Option{none}
	for i := range fd.Enum().Values().Len() {
		value := fd.Enum().Values().Get(i)
		if value.Number() == 0 {
			continue
		}
		all = append(all, Option{string(value.Name()), f.words.Say(EnumID(fd.Enum(), value)), slices.Contains(chosen, string(value.Name()))})
	}
	for _, value := range chosen {
		if !slices.ContainsFunc(all, func(o Option) bool { return o.Value == value }) {
			all = append(all, Option{value, value, true}) // of a newer contract
		}
	}
	return all
}
