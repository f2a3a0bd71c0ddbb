package fields

import (
	"fmt"
	"net/url"
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

// Names below a field's own, for what is not typed but belongs to it.
const (
	// keptName has what a field said when the form was made, translationsName the translations of a text.
	keptName, translationsName = ".kept", ".translations"
	// italianName and easyName are the texts of a localised one.
	italianName, easyName = ".it", ".easyRead"
	// orderName is in which order the values of a list were.
	orderName = ".order"
)

// momentForm is how browsers write a moment, in the time of Rome.
const momentForm = "2006-01-02T15:04"

// Write writes a record, or a part of one, into the fields of a form.
func Write(m proto.Message) url.Values {
	v := url.Values{}
	writeMessage(v, "", m.ProtoReflect())
	return v
}

func writeMessage(v url.Values, prefix string, m protoreflect.Message) {
	for i := range m.Descriptor().Fields().Len() {
		fd := m.Descriptor().Fields().Get(i)
		if Kept(fd) || !m.Has(fd) {
			continue
		}
		path := prefix + fd.JSONName()
		if one := sibling(fd); one != nil {
			v.Set(prefix+string(one.Name()), fd.JSONName())
		}
		switch shapeOf(fd, false) {
		case checks:
			var order []string
			for i := range m.Get(fd).List().Len() {
				name := enumName(fd, m.Get(fd).List().Get(i).Enum())
				order = append(order, name)
				v.Add(path, name)
			}
			v.Set(path+orderName, strings.Join(order, " "))
		case lines:
			var all []string
			for i := range m.Get(fd).List().Len() {
				all = append(all, m.Get(fd).List().Get(i).String())
			}
			v.Set(path, strings.Join(all, "\n"))
		case rows:
			for i := range m.Get(fd).List().Len() {
				row := fmt.Sprintf("%s[%d]", path, i)
				v.Set(row, rowMark)
				writeValue(v, row, fd, m.Get(fd).List().Get(i))
			}
		default:
			writeValue(v, path, fd, m.Get(fd))
		}
	}
}

// rowMark says that there is a row, whatever it has in it.
const rowMark = "1"

func enumName(fd protoreflect.FieldDescriptor, number protoreflect.EnumNumber) string {
	if value := fd.Enum().Values().ByNumber(number); value != nil {
		return string(value.Name())
	}
	return strconv.Itoa(int(number))
}

func writeValue(v url.Values, path string, fd protoreflect.FieldDescriptor, value protoreflect.Value) {
	switch shapeOf(fd, true) {
	case localized:
		writeLocalized(v, path, value.Message().Interface().(*registryv1.LocalizedText))
	case group:
		writeMessage(v, path+".", value.Message())
	case date:
		v.Set(path, dateText(value.Message().Interface().(*registryv1.PartialDate)))
	case moment:
		at := value.Message().Interface().(*timestamppb.Timestamp).AsTime()
		v.Set(path, at.In(site.Rome).Format(momentForm))
		v.Set(path+keptName, at.Format(time.RFC3339Nano))
	case choice:
		v.Set(path, enumName(fd, value.Enum()))
	case flag, tri:
		v.Set(path, strconv.FormatBool(value.Bool()))
	case whole:
		v.Set(path, strconv.FormatInt(value.Int(), 10))
	case hundredth:
		v.Set(path, hundredthText(value.Int()))
	case decimal:
		v.Set(path, strings.ReplaceAll(strconv.FormatFloat(value.Float(), 'g', -1, 64), ".", ","))
	default:
		v.Set(path, value.String())
	}
}

func writeLocalized(v url.Values, path string, t *registryv1.LocalizedText) {
	v.Set(path+italianName, t.GetIt())
	if len(t.GetTranslations()) > 0 {
		v.Set(path+translationsName, compact(&registryv1.LocalizedText{Translations: t.GetTranslations()}))
	}
	if t.GetEasyRead() != nil {
		v.Set(path+easyName, t.GetEasyRead().GetText())
		v.Set(path+easyName+keptName, compact(t.GetEasyRead()))
	}
}

// compact is a message as a hidden field has it.
func compact(m proto.Message) string {
	out, err := protojson.Marshal(m)
	if err != nil {
		return "" // a text that is not UTF-8: the server has not let it in
	}
	return string(out)
}

// dateText writes 15/3/2026, 3/2026 or 2026.
func dateText(d *registryv1.PartialDate) string {
	switch {
	case d.GetDay() != 0:
		return fmt.Sprintf("%d/%d/%d", d.GetDay(), d.GetMonth(), d.GetYear())
	case d.GetMonth() != 0:
		return fmt.Sprintf("%d/%d", d.GetMonth(), d.GetYear())
	}
	return strconv.Itoa(int(d.GetYear()))
}

func hundredthText(n int64) string {
	sign, rest := "", uint64(n)
	if n < 0 {
		sign, rest = "-", uint64(-n)
	}
	return fmt.Sprintf("%s%d,%02d", sign, rest/100, rest%100)
}
