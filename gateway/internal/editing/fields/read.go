package fields

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/proto/gen/registryv1"
)

// A Problem is something typed that cannot be read.
type Problem struct {
	// Path of the field.
	Path string
	// Message is the key of what to say.
	Message string
}

// mostRows bounds the rows of one list.
const mostRows = 1000

// Read reads a form into a record: what the form has not is not there afterwards, what nobody types stays as it is. Now is when
// an easy-to-read text that was typed is said to have been looked at. What cannot be read is left out, and told.
func Read(v url.Values, into proto.Message, now time.Time) []Problem {
	r := &reader{values: v, lists: rowsOf(v), now: now}
	r.message("", into.ProtoReflect())
	return r.problems
}

type reader struct {
	values   url.Values
	lists    map[string][]int
	now      time.Time
	problems []Problem
}

func (r *reader) wrong(path, message string) {
	r.problems = append(r.problems, Problem{path, message})
}

// get is what was typed into a field, as the contract has texts.
func (r *reader) get(path string) string {
	return cleaned(r.values.Get(path))
}

// cleaned makes a text that the contract admits of whatever a browser sent.
func cleaned(s string) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\r\n", "\n")
	return strings.Map(func(c rune) rune {
		if c < ' ' && c != '\n' && c != '\t' || c == 0x7f {
			return -1
		}
		return c
	}, s)
}

// message reads a message, and tells whether anything of it was typed.
func (r *reader) message(prefix string, m protoreflect.Message) bool {
	any := false
	for i := range m.Descriptor().Fields().Len() {
		fd := m.Descriptor().Fields().Get(i)
		if Kept(fd) {
			continue
		}
		path := prefix + fd.JSONName()
		if one := sibling(fd); one != nil {
			if r.get(prefix+string(one.Name())) != fd.JSONName() {
				m.Clear(fd)
				continue
			}
			value := m.NewField(fd)
			r.message(path+".", value.Message())
			m.Set(fd, value)
			any = true
			continue
		}
		if fd.IsList() {
			list := m.NewField(fd)
			r.list(path, fd, list.List())
			m.Clear(fd)
			if list.List().Len() > 0 {
				m.Set(fd, list)
				any = true
			}
			continue
		}
		value, there := r.value(path, fd, func() protoreflect.Value { return m.NewField(fd) })
		m.Clear(fd)
		if there {
			m.Set(fd, value)
			any = true
		}
	}
	return any
}

func (r *reader) list(path string, fd protoreflect.FieldDescriptor, list protoreflect.List) {
	switch shapeOf(fd, false) {
	case checks:
		given := r.values[path]
		order := strings.Fields(r.get(path + orderName))
		slices.SortStableFunc(given, func(a, b string) int { return place(order, a) - place(order, b) })
		for _, name := range given {
			if number, ok := enumNumber(fd, name); ok {
				list.Append(protoreflect.ValueOfEnum(number))
			}
		}
	case lines:
		for line := range strings.SplitSeq(r.get(path), "\n") {
			if line = strings.TrimSpace(line); line != "" {
				list.Append(protoreflect.ValueOfString(line))
			}
		}
	default:
		for _, i := range r.lists[path] {
			row := fmt.Sprintf("%s[%d]", path, i)
			if value, there := r.value(row, fd, list.NewElement); there {
				list.Append(value)
			}
		}
	}
}

// place of a name in an order; names that are not in it come last.
func place(order []string, name string) int {
	if i := slices.Index(order, name); i >= 0 {
		return i
	}
	return len(order)
}

func enumNumber(fd protoreflect.FieldDescriptor, name string) (protoreflect.EnumNumber, bool) {
	if value := fd.Enum().Values().ByName(protoreflect.Name(name)); value != nil {
		return value.Number(), value.Number() != 0
	}
	number, err := strconv.ParseInt(name, 10, 32) // a value of a newer contract
	return protoreflect.EnumNumber(number), err == nil && number != 0
}

// value reads one value, and tells whether there is one.
func (r *reader) value(path string, fd protoreflect.FieldDescriptor, make func() protoreflect.Value) (protoreflect.Value, bool) {
	typed := r.get(path)
	var none protoreflect.Value
	switch shapeOf(fd, true) {
	case localized:
		value := make()
		return value, r.localized(path, value.Message().Interface().(*registryv1.LocalizedText))
	case group:
		value := make()
		return value, r.message(path+".", value.Message())
	case date:
		value := make()
		return value, r.date(path, value.Message().Interface().(*registryv1.PartialDate))
	case moment:
		value := make()
		return value, r.moment(path, value.Message().Interface().(*timestamppb.Timestamp))
	case area:
		return protoreflect.ValueOfString(typed), strings.TrimSpace(typed) != "" && (!fd.IsList() || typed != rowMark)
	}
	if typed = strings.TrimSpace(typed); typed == "" {
		return none, false
	}
	switch shapeOf(fd, true) {
	case choice:
		number, ok := enumNumber(fd, typed)
		return protoreflect.ValueOfEnum(number), ok
	case flag, tri:
		return protoreflect.ValueOfBool(typed == "true"), typed == "true" || fd.HasPresence()
	case whole:
		bits := 64
		if fd.Kind() == protoreflect.Int32Kind {
			bits = 32
		}
		n, err := strconv.ParseInt(strings.ReplaceAll(typed, ".", ""), 10, bits)
		if err != nil {
			r.wrong(path, "number")
			return none, false
		}
		return number(fd, n)
	case hundredth:
		n, ok := parseHundredth(typed)
		if !ok || fd.Kind() == protoreflect.Int32Kind && int64(int32(n)) != n {
			r.wrong(path, "amount")
			return none, false
		}
		return number(fd, n)
	case decimal:
		f, err := strconv.ParseFloat(strings.ReplaceAll(typed, ",", "."), 64)
		if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
			r.wrong(path, "decimal")
			return none, false
		}
		return protoreflect.ValueOfFloat64(f), f != 0 || fd.HasPresence()
	case reference:
		if fd.IsList() && typed == rowMark {
			return none, false // a row that is still empty
		}
		if !strings.HasPrefix(typed, "comuni/") {
			r.wrong(path, "reference")
			return none, false
		}
	}
	return protoreflect.ValueOfString(typed), true
}

func number(fd protoreflect.FieldDescriptor, n int64) (protoreflect.Value, bool) {
	if fd.Kind() == protoreflect.Int32Kind {
		return protoreflect.ValueOfInt32(int32(n)), n != 0 || fd.HasPresence()
	}
	return protoreflect.ValueOfInt64(n), n != 0 || fd.HasPresence()
}

func (r *reader) localized(path string, t *registryv1.LocalizedText) bool {
	t.It = r.get(path + italianName)
	if strings.TrimSpace(t.GetIt()) == "" {
		t.It = ""
	}
	if kept := r.values.Get(path + translationsName); kept != "" {
		var other registryv1.LocalizedText
		if err := protojson.Unmarshal([]byte(kept), &other); err == nil {
			t.Translations = other.GetTranslations()
		}
	}
	if easy := r.get(path + easyName); strings.TrimSpace(easy) != "" {
		var kept registryv1.Translation
		if err := protojson.Unmarshal([]byte(r.values.Get(path+easyName+keptName)), &kept); err == nil && kept.GetText() == easy {
			t.EasyRead = &kept
		} else {
			t.EasyRead = Rendition(t.GetIt(), easy, r.now)
		}
	}
	return t.GetIt() != "" || len(t.GetTranslations()) > 0 || t.GetEasyRead() != nil
}

// Rendition is a text that somebody wrote now for an Italian one: a translation, or its easy version.
func Rendition(italian, written string, now time.Time) *registryv1.Translation {
	return &registryv1.Translation{Text: written, ReviewTime: timestamppb.New(now.Truncate(time.Second)), SourceDigest: Digest(italian)}
}

// Digest is the source_digest of an Italian text.
func Digest(italian string) string {
	sum := sha256.Sum256([]byte(italian))
	return hex.EncodeToString(sum[:])
}

func (r *reader) date(path string, d *registryv1.PartialDate) bool {
	typed := strings.TrimSpace(r.get(path))
	if typed == "" || typed == rowMark {
		return false
	}
	var numbers []int32
	for part := range strings.SplitSeq(strings.NewReplacer("-", "/", ".", "/", " ", "/").Replace(typed), "/") {
		n, err := strconv.ParseInt(part, 10, 32)
		if err != nil || n < 0 {
			r.wrong(path, "date")
			return false
		}
		numbers = append(numbers, int32(n))
	}
	if len(numbers) == 3 && numbers[0] > 31 { // 2026-03-15
		slices.Reverse(numbers)
	}
	switch len(numbers) {
	case 1:
		d.Year = numbers[0]
	case 2:
		d.Month, d.Year = numbers[0], numbers[1]
	case 3:
		d.Day, d.Month, d.Year = numbers[0], numbers[1], numbers[2]
	default:
		r.wrong(path, "date")
		return false
	}
	return true
}

func (r *reader) moment(path string, at *timestamppb.Timestamp) bool {
	typed := strings.TrimSpace(r.get(path))
	if typed == "" {
		return false
	}
	if kept, err := time.Parse(time.RFC3339Nano, r.get(path+keptName)); err == nil && kept.In(site.Rome).Format(momentForm) == typed {
		proto.Merge(at, timestamppb.New(kept))
		return true
	}
	for _, form := range []string{momentForm, "2006-01-02T15:04:05", "2006-01-02"} {
		if t, err := time.ParseInLocation(form, typed, site.Rome); err == nil {
			proto.Merge(at, timestamppb.New(t))
			return true
		}
	}
	r.wrong(path, "moment")
	return false
}

// parseHundredth reads 1.234,50 and 1234.5 and 1234.
func parseHundredth(typed string) (int64, bool) {
	typed = strings.TrimSpace(strings.TrimSuffix(strings.NewReplacer(" ", "", "\u00a0", "").Replace(typed), "€"))
	if i := strings.LastIndexByte(typed, '.'); !strings.Contains(typed, ",") && i >= 0 && len(typed)-i <= 3 {
		typed = typed[:i] + "," + typed[i+1:]
	}
	units, cents, _ := strings.Cut(strings.ReplaceAll(typed, ".", ""), ",")
	negative := strings.HasPrefix(units, "-")
	units = strings.TrimPrefix(units, "-")
	if len(cents) > 2 || len(units) > 16 || units == "" {
		return 0, false
	}
	n, err := strconv.ParseUint(units+(cents + "00")[:2], 10, 63)
	if err != nil {
		return 0, false
	}
	if negative {
		return -int64(n), true
	}
	return int64(n), true
}
