package fields_test

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/gateway/internal/editing/fields"
	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/registryv1"
)

// maker fills messages with whatever the contract admits of their types.
type maker struct{ *rand.Rand }

func (m maker) text() string {
	pieces := []string{"Ufficio", "<script>alert(1)</script>", "è più facile", "riga\nsotto", "\"doppie\"", "a & b", "العربية", "1.234,50 €", "[0].it"}
	var out []string
	for range 1 + m.IntN(3) {
		out = append(out, pieces[m.IntN(len(pieces))])
	}
	return strings.Join(out, " ")
}

func (m maker) fill(message protoreflect.Message) {
	for i := range message.Descriptor().Fields().Len() {
		fd := message.Descriptor().Fields().Get(i)
		if m.IntN(4) == 0 {
			continue
		}
		switch {
		case fd.IsMap():
			for _, tag := range []string{"en", "ar"} {
				value := message.Mutable(fd).Map().NewValue()
				proto.Merge(value.Message().Interface(), &registryv1.Translation{Text: m.text(), SourceDigest: fields.Digest("x")})
				message.Mutable(fd).Map().Set(protoreflect.ValueOfString(tag).MapKey(), value)
			}
		case fd.IsList():
			for range m.IntN(4) {
				value, ok := m.value(fd, message.Mutable(fd).List().NewElement)
				if ok && (fd.Enum() == nil || !has(message.Get(fd).List(), value)) { // no list names a value twice
					message.Mutable(fd).List().Append(value)
				}
			}
		default:
			if value, ok := m.value(fd, func() protoreflect.Value { return message.NewField(fd) }); ok {
				message.Set(fd, value)
			}
		}
	}
}

func has(list protoreflect.List, value protoreflect.Value) bool {
	for i := range list.Len() {
		if list.Get(i).Equal(value) {
			return true
		}
	}
	return false
}

func (m maker) value(fd protoreflect.FieldDescriptor, make func() protoreflect.Value) (protoreflect.Value, bool) {
	switch fd.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(m.IntN(2) == 0), true
	case protoreflect.EnumKind:
		values := fd.Enum().Values()
		return protoreflect.ValueOfEnum(values.Get(m.IntN(values.Len()-1) + 1).Number()), true
	case protoreflect.Int32Kind:
		return protoreflect.ValueOfInt32(m.Int32() >> m.IntN(31)), true
	case protoreflect.Int64Kind:
		return protoreflect.ValueOfInt64(m.Int64N(1<<50) - 1<<49), true
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(m.NormFloat64() * 1000), true
	case protoreflect.StringKind:
		if fields.Refers(fd) != "" {
			return protoreflect.ValueOfString(fmt.Sprintf("comuni/marsala/locations/l-%d", m.IntN(100))), true
		}
		text := m.text()
		if fd.IsList() { // one a line
			text = strings.ReplaceAll(text, "\n", " ")
		}
		return protoreflect.ValueOfString(text), true
	}
	value := make()
	switch inner := value.Message().Interface().(type) {
	case *timestamppb.Timestamp:
		inner.Seconds, inner.Nanos = int64(1_700_000_000+m.IntN(100_000_000)), m.Int32N(1_000_000_000)
	case *registryv1.PartialDate:
		inner.Year = 1800 + m.Int32N(400)
		if m.IntN(2) == 0 {
			inner.Month = 1 + m.Int32N(12)
			inner.Day = m.Int32N(29)
		}
	case *registryv1.Translation: // one without a text says nothing
		m.fill(value.Message())
		inner.Text = m.text()
	default:
		m.fill(value.Message())
		// What has nothing in it is as good as not there, and a form does not tell the two apart.
		return value, proto.Size(inner) > 0
	}
	return value, true
}

// Whatever the server has of a record, its form gives it back when nobody has typed anything.
func TestEveryRecordComesBackFromItsForm(t *testing.T) {
	for _, kind := range catalog.Kinds() {
		t.Run(kind.Collection, func(t *testing.T) {
			for seed := range uint64(60) {
				record := kind.New()
				maker{rand.New(rand.NewPCG(seed, 7))}.fill(record.ProtoReflect())
				sent := asBrowsersSend(fields.Write(record))
				back := proto.Clone(record)
				if problems := fields.Read(sent, back, time.Now()); len(problems) > 0 {
					t.Fatalf("seed %d: %v", seed, problems)
				}
				if diff := cmp.Diff(record, back, protocmp.Transform()); diff != "" {
					t.Fatalf("seed %d (-record +from its form):\n%s", seed, diff)
				}
			}
		})
	}
}

// asBrowsersSend a form: line breaks are CR LF.
func asBrowsersSend(v url.Values) url.Values {
	sent := url.Values{}
	for name, values := range v {
		for _, value := range values {
			sent.Add(name, strings.ReplaceAll(value, "\n", "\r\n"))
		}
	}
	return sent
}
