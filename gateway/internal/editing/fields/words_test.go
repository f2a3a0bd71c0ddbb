package fields_test

import (
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"

	"cidsistem.example/gateway/internal/editing/fields"
	"cidsistem.example/gateway/internal/wording"
	"cidsistem.example/proto/catalog"
)

// italian says messages, and fails the test for one that is not there.
type italian struct {
	t     testing.TB
	words *wording.Words
}

func newItalian(t testing.TB) italian {
	words, err := wording.Load()
	if err != nil {
		t.Fatal(err)
	}
	return italian{t, words}
}

func (i italian) Say(id string, values ...any) string {
	text, err := i.words.Say(wording.Italian, id, values...)
	if err != nil {
		i.t.Error(err)
	}
	return text
}

func (i italian) Knows(id string) bool { return i.words.Has(id) }

// reached are all messages that the records are made of.
func reached(t *testing.T) []protoreflect.MessageDescriptor {
	t.Helper()
	var all []protoreflect.MessageDescriptor
	seen := map[protoreflect.FullName]bool{}
	var walk func(protoreflect.MessageDescriptor)
	walk = func(md protoreflect.MessageDescriptor) {
		if seen[md.FullName()] || md.IsMapEntry() {
			return
		}
		seen[md.FullName()] = true
		all = append(all, md)
		for i := range md.Fields().Len() {
			if inner := md.Fields().Get(i).Message(); inner != nil {
				walk(inner)
			}
		}
	}
	for _, kind := range catalog.Kinds() {
		walk(kind.Descriptor())
	}
	if len(all) < 40 {
		t.Fatalf("only %d messages", len(all))
	}
	return all
}

func TestEveryFieldAndEveryValueHasItalianWords(t *testing.T) {
	words := newItalian(t)
	for _, md := range reached(t) {
		for i := range md.Fields().Len() {
			fd := md.Fields().Get(i)
			if id := fields.LabelID(words, fd); !words.Knows(id) {
				t.Errorf("no message is called %q: a form needs the label of %s", id, fd.FullName())
			}
			if fd.Enum() == nil {
				continue
			}
			for j := range fd.Enum().Values().Len() {
				value := fd.Enum().Values().Get(j)
				if id := fields.EnumID(fd.Enum(), value); value.Number() != 0 && !words.Knows(id) {
					t.Errorf("no message is called %q: a form needs the words of %s", id, value.FullName())
				}
			}
		}
		for i := range md.Oneofs().Len() {
			if one := md.Oneofs().Get(i); !one.IsSynthetic() && !words.Knows("campi."+string(md.Name())+"_"+string(one.Name())) {
				t.Errorf("no label of %s", one.FullName())
			}
		}
	}
}
