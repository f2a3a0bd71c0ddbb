package portaltest

import (
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/proto/gen/registryv1"
)

// Text is an Italian text.
func Text(italian string) *registryv1.LocalizedText { return &registryv1.LocalizedText{It: italian} }

// Changed is when the records of the tests last changed.
var Changed = timestamppb.New(time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC))

// Marsala is a comune with a desk.
func Marsala() *registryv1.Comune {
	return &registryv1.Comune{
		Name: "comuni/marsala", Title: Text("Marsala"), IstatCode: "081011",
		Contacts: []*registryv1.ContactPoint{{Kind: registryv1.ContactPoint_PHONE, Value: "0923 993111"}, {Kind: registryv1.ContactPoint_EMAIL, Value: "sociale@example.org"}},
		Address:  &registryv1.Address{Street: "via Giovanni Falcone 5", PostalCode: "91025", Municipality: "Marsala"},
	}
}

// Injection is what every text of an Injected record begins with.
const Injection = `<script>alert("x")</script>`

// Injected fills every text of a record that admits any characters with a script, as deep as the record goes. Names, links, codes
// and what is set already stay as they are.
func Injected[T proto.Message](record T) T {
	inject(record.ProtoReflect(), 0)
	return record
}

func inject(m protoreflect.Message, depth int) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		fd := fields.Get(i)
		switch {
		case m.Has(fd) && fd.Message() == nil:
		case fd.IsMap() || fd.ContainingOneof() != nil:
		case fd.Kind() == protoreflect.StringKind && free(string(fd.Name())):
			value := protoreflect.ValueOfString(Injection + string(fd.Name()))
			if fd.IsList() {
				m.Mutable(fd).List().Append(value)
				continue
			}
			m.Set(fd, value)
		case fd.Message() == nil || depth > 3 || strings.HasPrefix(string(fd.Message().FullName()), "google.") || fd.Message().Name() == "PartialDate":
		case fd.IsList():
			list := m.Mutable(fd).List()
			if list.Len() == 0 {
				list.Append(list.NewElement())
			}
			for j := range list.Len() {
				inject(list.Get(j).Message(), depth+1)
			}
		default:
			inject(m.Mutable(fd).Message(), depth+1)
		}
	}
}

// free tells whether a field holds words rather than a name, a code or a time.
func free(name string) bool {
	switch name {
	case "name", "replaced_by", "same_as", "related_services", "form", "responsible_organization", "organization", "parent_organization", "location", "temporary_location", "replaces", "locations", "services", "documents", "partners",
		"pictures", "opens", "closes", "start_clock", "end_clock", "sha256", "etag", "field", "comune_id", "scheme", "code", "uri", "urn", "source_uri",
		"withheld_reason", "istat_code", "postal_code", "languages", "language":
		return false
	}
	return true
}
