package seed

import (
	"regexp"
	"strings"
	"unicode"

	"google.golang.org/protobuf/reflect/protopath"
	"google.golang.org/protobuf/reflect/protorange"
	"google.golang.org/protobuf/reflect/protoreflect"

	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/registryv1"
)

// Plain is the Gulpease index that texts for the public should reach: easy for
// people with eight years of school.
const Plain = 60

// shortestText is the number of words from which the index means something.
const shortestText = 10

var sentenceEnd = regexp.MustCompile(`[.!?]["»)]?(\s+["«(]?\p{Lu}|\s*$|\s*\n)`)

// Gulpease measures how easy an Italian text is to read, from 0 to 100, and
// counts its words. Full stops within abbreviations and numbers do not count.
func Gulpease(text string) (index float64, words int) {
	letters := 0
	for _, word := range strings.FieldsFunc(text, func(c rune) bool { return !unicode.IsLetter(c) && !unicode.IsDigit(c) }) {
		words++
		letters += len([]rune(word))
	}
	if words == 0 {
		return 100, 0
	}
	sentences := max(len(sentenceEnd.FindAllString(strings.TrimSpace(text), -1)), 1)
	index = 89 + (300*float64(sentences)-10*float64(letters))/float64(words)
	return min(max(index, 0), 100), words
}

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
			if index, words := Gulpease(localized.GetIt()); words >= shortestText {
				texts = append(texts, Text{
					Record: name, Field: strings.TrimPrefix(values.Path[1:].String(), "."),
					Text: localized.GetIt(), Gulpease: index, Words: words,
				})
			}
			return nil
		})
	}
	return texts
}
