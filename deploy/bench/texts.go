package bench

import (
	"math/rand/v2"
	"strings"
	"unicode"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"cidsistem.example/deploy/seed"
	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/annotationsv1"
	"cidsistem.example/proto/gen/registryv1"
)

// texts varies what records say: the words of the sample stay as frequent as
// they are there, and rare words come on top.
type texts struct {
	// sentences of the sample by the field that they stand in.
	sentences map[protoreflect.FullName][]string
}

func newTexts(sample []seed.Comune) *texts {
	t := &texts{sentences: map[protoreflect.FullName][]string{}}
	for _, comune := range sample {
		for _, record := range comune.Records {
			eachText(record.Message, func(text *registryv1.LocalizedText, v catalog.SearchValue) {
				if v.Role != annotationsv1.SearchRole_TITLE {
					t.sentences[v.Field.FullName()] = append(t.sentences[v.Field.FullName()], sentencesOf(text.GetIt())...)
				}
			})
		}
	}
	return t
}

// eachText visits the texts of a record that people search in.
func eachText(record proto.Message, f func(*registryv1.LocalizedText, catalog.SearchValue)) {
	catalog.SearchValues(record, func(v catalog.SearchValue) {
		if m, ok := v.Value.Interface().(protoreflect.Message); ok {
			if text, ok := m.Interface().(*registryv1.LocalizedText); ok {
				f(text, v)
			}
		}
	})
}

func sentencesOf(text string) []string { return strings.SplitAfter(text, ". ") }

// vary adds the name of a place to a title, and exchanges about half of the
// sentences for others that stand in the same field of other records.
func (t *texts) vary(record proto.Message, random *rand.Rand) {
	eachText(record, func(text *registryv1.LocalizedText, v catalog.SearchValue) {
		if v.Role == annotationsv1.SearchRole_TITLE {
			text.It += ", " + place(random)
			return
		}
		var out strings.Builder
		for _, sentence := range sentencesOf(text.GetIt()) {
			if pool := t.sentences[v.Field.FullName()]; random.IntN(2) == 0 {
				sentence = pool[random.IntN(len(pool))]
			}
			out.WriteString(sentence)
			if !strings.HasSuffix(sentence, " ") {
				out.WriteByte(' ')
			}
		}
		text.It = strings.TrimSpace(out.String())
	})
}

const (
	places    = 20_000
	consonant = "bcdfglmnprstvz"
	vowel     = "aeio"
)

// place invents the name of a place. As in life few places are named often and
// many seldom.
func place(random *rand.Rand) string {
	rank := rand.NewZipf(random, 1.1, 4, places-1).Uint64()
	spelling := rand.New(rand.NewPCG(rank, 0))
	name := word(spelling, 2+spelling.IntN(3))
	first, size := utf8.DecodeRuneInString(name)
	return string(unicode.ToUpper(first)) + name[size:]
}

// word makes a word that can be spoken.
func word(random *rand.Rand, syllables int) string {
	var out strings.Builder
	for range syllables {
		out.WriteByte(consonant[random.IntN(len(consonant))])
		out.WriteByte(vowel[random.IntN(len(vowel))])
	}
	return out.String()
}
