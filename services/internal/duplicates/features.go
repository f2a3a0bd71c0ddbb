package duplicates

import (
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/unicode/norm"
	"google.golang.org/protobuf/proto"

	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/editorialv1"
	"cidsistem.example/proto/gen/registryv1"
)

// An identifier is a number of a list, in the form in which numbers are compared.
type identifier struct{ scheme, value string }

// features are what of a record is compared.
type features struct {
	name, comune, title, keeper, parent, sameAs string
	kind                                        *catalog.Kind
	created                                     time.Time
	visibility                                  registryv1.Visibility
	identifiers                                 []identifier
	phones, contacts                            []string
	address                                     string
	names                                       [][]string // title and other names, as words
}

// featuresOf reads what is compared of a record; nil for a record that is
// deleted, or of which there is only one.
func featuresOf(name catalog.Name, record proto.Message) *features {
	r := catalog.RecordOf(record)
	if r.Deleted() || name.Kind.Singleton {
		return nil
	}
	f := &features{
		name: name.String(), comune: name.Comune(), kind: name.Kind, title: r.Title(), created: r.CreateTime(), visibility: r.Visibility(),
		keeper: catalog.Keeper(record),
	}
	titles := []string{f.title}
	if with, ok := record.(interface {
		GetIdentifiers() []*registryv1.Identifier
	}); ok {
		for _, i := range with.GetIdentifiers() {
			if value := plain(i.GetValue()); value != "" {
				f.identifiers = append(f.identifiers, identifier{i.GetScheme(), value})
			}
		}
	}
	if with, ok := record.(interface {
		GetContacts() []*registryv1.ContactPoint
	}); ok {
		for _, c := range with.GetContacts() {
			f.contact(c)
		}
	}
	switch record := record.(type) {
	case *registryv1.Organization:
		f.address, f.parent, f.sameAs = addressOf(record.GetSeat()), record.GetParentOrganization(), record.GetSameAs()
		titles = append(titles, record.GetAlternativeNames()...)
	case *registryv1.Location:
		f.address = addressOf(record.GetAddress())
	}
	for _, title := range titles {
		if words := wordsOf(title); len(words) > 0 {
			f.names = append(f.names, words)
		}
	}
	slices.Sort(f.phones)
	slices.Sort(f.contacts)
	f.phones, f.contacts = slices.Compact(f.phones), slices.Compact(f.contacts)
	return f
}

func (f *features) contact(c *registryv1.ContactPoint) {
	switch c.GetKind() {
	case registryv1.ContactPoint_PHONE, registryv1.ContactPoint_MOBILE, registryv1.ContactPoint_TEXT_MESSAGE:
		if digits := phoneOf(c.GetValue()); digits != "" {
			f.phones = append(f.phones, digits)
		}
	case registryv1.ContactPoint_EMAIL, registryv1.ContactPoint_PEC:
		if address := strings.ToLower(strings.TrimSpace(c.GetValue())); strings.Contains(address, "@") {
			f.contacts = append(f.contacts, address)
		}
	case registryv1.ContactPoint_WEB:
		if page := pageOf(c.GetValue()); page != "" {
			f.contacts = append(f.contacts, page)
		}
	}
}

// plain is a number without what people put between its signs.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToUpper(r)
		}
		return -1
	}, text)
}

// phoneOf are the digits of a telephone number without the prefix of Italy; empty
// when they are too few to tell two apart.
func phoneOf(text string) string {
	digits := strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r == '+' {
			return r
		}
		return -1
	}, text)
	for _, prefix := range []string{"+39", "0039"} {
		digits = strings.TrimPrefix(digits, prefix)
	}
	if len(digits) < 6 {
		return ""
	}
	return digits
}

// pageOf is a web page without what does not tell two apart.
func pageOf(text string) string {
	if !strings.Contains(text, "://") {
		text = "https://" + text
	}
	page, err := url.Parse(strings.TrimSpace(text))
	if err != nil || page.Host == "" {
		return ""
	}
	return strings.TrimPrefix(strings.ToLower(page.Host), "www.") + strings.TrimSuffix(page.Path, "/")
}

// addressOf is a street with its number, and the comune.
func addressOf(address *registryv1.Address) string {
	words := wordsOf(address.GetStreet())
	if len(words) < 2 || !slices.ContainsFunc(words, func(w string) bool { return w[0] >= '0' && w[0] <= '9' }) {
		return "" // a street without a number is not one door
	}
	slices.Sort(words)
	return strings.Join(words, " ") + ", " + strings.Join(wordsOf(address.GetMunicipality()), " ")
}

// noise are words that do not tell two names apart.
var noise = map[string]bool{}

func init() {
	for word := range strings.FieldsSeq(`a ad al all alla alle agli ai con d da dal dall dalla de degli dei del dell della delle di e ed gli i il in l la le lo n nel
		nella o per s su sul sulla tra un una uno via viale piazza corso contrada strada aps associazione coop cooperativa ente ets fondazione odv onlus soc
		sociale sociali societa srl srls spa scs volontariato`) {
		noise[word] = true
	}
}

// wordsOf are the words of a text that tell it from others, without accents and
// case, each once.
func wordsOf(text string) []string {
	split := strings.FieldsFunc(norm.NFD.String(strings.ToLower(text)), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.Is(unicode.Mn, r)
	})
	var all, telling []string
	for _, word := range split {
		word = strings.Map(func(r rune) rune {
			if unicode.Is(unicode.Mn, r) {
				return -1
			}
			return r
		}, word)
		if word == "" || slices.Contains(all, word) {
			continue
		}
		all = append(all, word)
		if !noise[word] {
			telling = append(telling, word)
		}
	}
	if len(telling) == 0 {
		return all
	}
	return telling
}

// reasonOf tells which reason it is that two have the same number of a list.
func reasonOf(scheme string) editorialv1.Duplicate_Reason_Kind {
	switch {
	case strings.HasPrefix(scheme, "codice-fiscale"), strings.HasPrefix(scheme, "partita-iva"):
		return editorialv1.Duplicate_Reason_SAME_TAX_CODE
	case scheme == "ipa", strings.HasPrefix(scheme, "ipa-"), strings.HasPrefix(scheme, "ipa."):
		return editorialv1.Duplicate_Reason_SAME_IPA_CODE
	case strings.HasPrefix(scheme, "runts"):
		return editorialv1.Duplicate_Reason_SAME_RUNTS_NUMBER
	default:
		return editorialv1.Duplicate_Reason_SAME_IDENTIFIER
	}
}

// tells whether two different numbers of a scheme are of two different things:
// not where the numbers are those of the rows of a file.
func (i identifier) official() bool {
	for _, own := range []string{"import", "hsds", "riga", "foglio", "file"} {
		if strings.HasPrefix(i.scheme, own) {
			return false
		}
	}
	return true
}
