package seed

import (
	"strings"

	"google.golang.org/protobuf/reflect/protopath"
	"google.golang.org/protobuf/reflect/protorange"
	"google.golang.org/protobuf/reflect/protoreflect"

	"cidsistem.example/gateway/gulpease"
	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/registryv1"
)

// shortestText is the number of words from which the Gulpease index means something.
const shortestText = 10

// A Text of a record, measured.
type Text struct {
	// Record and Field say where it is.
	Record, Field string
	// Text in Italian.
	Text string
	// Gulpease index.
	Gulpease float64
	// Words in it.
	Words int
}

// Texts measures the Italian texts of a comune that are long enough for it.
func (c Comune) Texts() []Text {
	var texts []Text
	for _, record := range c.Records {
		name := catalog.RecordOf(record.Message).Name()
		_ = protorange.Range(record.Message.ProtoReflect(), func(values protopath.Values) error {
			m, ok := values.Index(-1).Value.Interface().(protoreflect.Message)
			if !ok {
				return nil
			}
			localized, ok := m.Interface().(*registryv1.LocalizedText)
			if !ok {
				return nil
			}
			if counts := gulpease.Count(localized.GetIt()); counts.Words >= shortestText {
				texts = append(texts, Text{
					Record: name, Field: strings.TrimPrefix(values.Path[1:].String(), "."),
					Text: localized.GetIt(), Gulpease: counts.Index(), Words: counts.Words,
				})
			}
			return nil
		})
	}
	return texts
}
