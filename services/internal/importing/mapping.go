package importing

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"slices"
	"strings"

	"google.golang.org/genproto/googleapis/type/latlng"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/exchangev1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/tables"
)

// A mapper makes candidates of the rows of a spreadsheet.
type mapper struct {
	comune, source, collection string
	columns                    []*exchangev1.Import_Column
	bodies, places             directory
}

// row says what a row of the table says.
func (m *mapper) row(row tables.Row) *candidate {
	kind := catalog.ByCollection(m.collection)
	c := &candidate{line: row.Line, empty: row.Empty(), content: kind.New(), defaults: kind.New()}
	if c.empty {
		return c
	}
	external := ""
	for _, column := range m.columns {
		if int(column.GetIndex()) >= len(row.Cells) || column.GetTarget() == "" {
			continue
		}
		value := row.Cells[column.GetIndex()]
		if value == "" || value == "-" || value == "--" || strings.EqualFold(value, "n.d.") || strings.EqualFold(value, "n/a") {
			continue
		}
		if column.GetTarget() == externalID.name {
			external = oneLine(value)
			continue
		}
		m.cell(c, column, value)
	}
	name := textOf(c.content, "title")
	if name == "" {
		c.wrong("", "", "manca il titolo")
	}
	m.complete(c, name)
	if external == "" {
		external = m.naturalKey(c, name)
	}
	c.name = recordName(m.comune, m.source, m.collection, external)
	add(c.content, "identifiers", &registryv1.Identifier{Scheme: scheme(m.source), Value: shortened(external, 200)})
	return c
}

// naturalKey is what tells a record of a source without codes from others.
func (m *mapper) naturalKey(c *candidate, name string) string {
	for _, s := range []string{"codice-fiscale-ente", "runts", "ipa", "partita-iva"} {
		if value := identifier(c.content, s); value != "" {
			return s + " " + value
		}
	}
	key := plain(name)
	switch record := c.content.(type) {
	case *registryv1.Service:
		key += "\x00" + record.GetResponsibleOrganization()
	case *registryv1.Organization:
		key += "\x00" + plain(record.GetSeat().GetStreet()) + "\x00" + plain(record.GetSeat().GetMunicipality())
	case *registryv1.Location:
		key += "\x00" + plain(record.GetAddress().GetStreet()) + "\x00" + plain(record.GetAddress().GetMunicipality())
	case *registryv1.Operator:
		key += "\x00" + record.GetOrganization() + "\x00" + record.GetProfession().String()
	}
	digest := sha256.Sum256([]byte(key))
	return "senza-codice-" + hex.EncodeToString(digest[:8])
}

// complete adds what a record needs and the row does not say outright.
func (m *mapper) complete(c *candidate, name string) {
	active := &registryv1.Status{State: registryv1.Status_ACTIVE}
	switch record := c.content.(type) {
	case *registryv1.Service:
		c.defaults.(*registryv1.Service).Status = active // who lists a service offers it
	case *registryv1.Organization:
		if record.GetKind() == 0 {
			if kinds := meant(name, organizationKinds); len(kinds) > 0 {
				c.defaults.(*registryv1.Organization).Kind = kinds[0]
			} else {
				c.wrong("", name, "manca il tipo di ente (associazione, cooperativa, scuola …) e il nome non lo dice")
			}
		}
	case *registryv1.Operator:
		if record.GetProfession() == 0 {
			if found := meant(name+" "+record.GetRole(), professions); len(found) > 0 {
				c.defaults.(*registryv1.Operator).Profession = found[0]
			} else {
				c.wrong("", name, "manca il profilo professionale")
			}
		}
	}
}

func textOf(record proto.Message, field protoreflect.Name) string {
	m := record.ProtoReflect()
	text, _ := m.Get(m.Descriptor().Fields().ByName(field)).Message().Interface().(*registryv1.LocalizedText)
	return text.GetIt()
}

var (
	inpsCode  = regexp.MustCompile(`^[AZ]\d\.\d{2}$`)
	istatCode = regexp.MustCompile(`^(PSW|HOMECARE|HOMEHEALTH|HEALTHV|OTHERHOME|REMASS|PROXIM|DAYC|RICSOC|AGGRC|SUMDAYC|WSRESID|EMPLOY|CONTEMP)$`)
	digits11  = regexp.MustCompile(`^\d{11}$`)
	cfPerson  = regexp.MustCompile(`^[A-Z]{6}\d{2}[A-Z]\d{2}[A-Z]\d{3}[A-Z]$`)
	postal    = regexp.MustCompile(`^\d{5}$`)
)

// cell takes a cell over into the content of a candidate.
func (m *mapper) cell(c *candidate, column *exchangev1.Import_Column, value string) {
	head, said := column.GetHeading(), column.GetTarget()
	record := c.content
	bad := func(description string) { c.wrong(head, value, description) }
	fixed := func(repaired, description string) { c.remark(head, value, repaired, description) }
	field, part, _ := strings.Cut(said, ".")
	switch {
	case said == "title":
		name := oneLine(value)
		if calm := calmed(name); calm != name {
			fixed(calm, "era tutto in maiuscolo")
			name = calm
		} else if name != value {
			fixed(name, "spazi di troppo")
		}
		set(record, "title", &registryv1.LocalizedText{It: name})
	case field == "contacts":
		m.contact(c, head, part, value)
	case field == "identifiers":
		m.identifier(c, head, part, value)
	case field == "seat" || field == "address":
		m.address(c, head, protoreflect.Name(field), part, value)
	case said == "provenance.as_of":
		date, err := parseDate(value)
		if err != nil {
			bad(err.Error())
			return
		}
		set(record, "provenance", &registryv1.Provenance{AsOf: date})
	case said == "hours":
		schedule, understood := parseHours(value)
		if !understood {
			fixed(value, "orario tenuto in parole: non si lascia ridurre a giorni e ore")
		}
		fields := map[string]protoreflect.Name{"services": "hours", "locations": "opening", "operators": "reception"}
		set(record, fields[m.collection], schedule)
	case said == "status":
		found := meant(value+" ", states)
		if len(found) == 0 {
			fixed("da verificare", "stato non riconosciuto")
			found = []registryv1.Status_State{registryv1.Status_TO_BE_VERIFIED}
		}
		set(record, "status", &registryv1.Status{State: found[0]})
	case said == "target_groups":
		found := meant(value+" ", groups)
		if len(found) == 0 {
			fixed("", "gruppo di destinatari non riconosciuto")
		}
		fd := record.ProtoReflect().Descriptor().Fields().ByName("target_groups")
		list := record.ProtoReflect().Mutable(fd).List()
		for _, group := range found {
			list.Append(protoreflect.ValueOfEnum(group.Number()))
		}
		if service, ok := record.(*registryv1.Service); ok && service.GetAddressedTo() == nil {
			service.AddressedTo = &registryv1.LocalizedText{It: value}
		}
	case said == "organization":
		name, description := m.bodies.find(value)
		if description != "" {
			fixed("", description)
			return
		}
		fields := map[string]protoreflect.Name{"services": "responsible_organization", "locations": "organization", "operators": "organization"}
		record.ProtoReflect().Set(record.ProtoReflect().Descriptor().Fields().ByName(fields[m.collection]), protoreflect.ValueOfString(name))
	case said == "location":
		name, description := m.places.find(value)
		if description != "" {
			fixed("", description)
			return
		}
		record.(*registryv1.Service).Places = []*registryv1.ServicePlace{{Location: name}}
	case said == "categories":
		m.categories(c, head, value)
	case said == "keywords" || said == "alternative_names":
		fd := record.ProtoReflect().Descriptor().Fields().ByName(protoreflect.Name(said))
		list := record.ProtoReflect().Mutable(fd).List()
		for _, word := range listSplit.Split(value, -1) {
			if word = oneLine(word); word != "" && !contains(list, protoreflect.ValueOfString(word)) {
				list.Append(protoreflect.ValueOfString(word))
			}
		}
	case said == "costs":
		m.cost(c, head, value)
	case said == "kind":
		kinds := meant(value+" ", organizationKinds)
		if len(kinds) == 0 {
			fixed("", "tipo di ente non riconosciuto")
			return
		}
		record.(*registryv1.Organization).Kind = kinds[0]
	case said == "runts_section":
		section := strings.ToLower(strings.Trim(strings.TrimPrefix(plain(value), "sezione "), " )"))
		if len(section) != 1 || section < "a" || section > "g" {
			bad("la sezione del RUNTS è una lettera da a a g")
			return
		}
		record.(*registryv1.Organization).RuntsSection = section
	case said == "profession":
		found := meant(value+" ", professions)
		if len(found) == 0 {
			bad("profilo professionale non riconosciuto")
			return
		}
		record.(*registryv1.Operator).Profession = found[0]
	case said == "contract":
		found := meant(value+" ", contracts)
		if len(found) == 0 {
			fixed("", "tipo di contratto non riconosciuto")
			return
		}
		record.(*registryv1.Operator).Contract = found[0]
	case said == "fte":
		hundredths, err := parseDecimal(value)
		if err != nil || hundredths < 0 || hundredths > 100000 {
			bad("non è un numero di tempi pieni, come 0,5")
			return
		}
		record.(*registryv1.Operator).FteHundredths = int32(hundredths)
	case said == "role":
		record.(*registryv1.Operator).Role = oneLine(value)
	default:
		fd := record.ProtoReflect().Descriptor().Fields().ByName(protoreflect.Name(said))
		if fd == nil || fd.Message() == nil || fd.Message().Name() != "LocalizedText" {
			bad("la colonna non ha un significato per questo tipo di scheda")
			return
		}
		// Several columns with the same meaning are read one after the other.
		set(record, protoreflect.Name(said), &registryv1.LocalizedText{It: strings.TrimSpace(textOf(record, protoreflect.Name(said)) + "\n" + value)})
	}
}

func (m *mapper) contact(c *candidate, head, kind, value string) {
	put := func(kind registryv1.ContactPoint_Kind, address string) {
		fd := c.content.ProtoReflect().Descriptor().Fields().ByName("contacts")
		contact := &registryv1.ContactPoint{Kind: kind, Value: address}
		list := c.content.ProtoReflect().Mutable(fd).List()
		if !contains(list, protoreflect.ValueOfMessage(contact.ProtoReflect())) {
			list.Append(protoreflect.ValueOfMessage(contact.ProtoReflect()))
		}
	}
	var found, bad []string
	what := ""
	switch kind {
	case "phone":
		found, bad = parsePhones(value)
		what = "non è un numero di telefono"
		for _, number := range found {
			if isMobile(number) {
				put(registryv1.ContactPoint_MOBILE, number)
			} else {
				put(registryv1.ContactPoint_PHONE, number)
			}
		}
	case "email", "pec":
		found, bad = parseEmails(value)
		what = "non è un indirizzo di posta elettronica"
		for _, address := range found {
			if kind == "pec" {
				put(registryv1.ContactPoint_PEC, address)
			} else {
				put(registryv1.ContactPoint_EMAIL, address)
			}
		}
	case "web":
		found, bad = parseWeb(value)
		what = "non è l'indirizzo di una pagina"
		for _, address := range found {
			put(registryv1.ContactPoint_WEB, address)
		}
	default:
		c.wrong(head, value, "la colonna non ha un significato per questo tipo di scheda")
		return
	}
	if repaired := strings.Join(found, ", "); repaired != value && len(found) > 0 {
		c.remark(head, value, repaired, "scritto in una sola forma")
	}
	for _, one := range bad {
		c.wrong(head, one, what)
	}
}

func (m *mapper) identifier(c *candidate, head, scheme, value string) {
	code := strings.ToUpper(strings.ReplaceAll(oneLine(value), " ", ""))
	code = strings.TrimPrefix(strings.TrimPrefix(code, "CF:"), "P.IVA:")
	switch scheme {
	case "codice-fiscale-ente", "partita-iva":
		code = strings.TrimPrefix(code, "IT")
		if len(code) < 11 && len(code) > 6 && strings.Trim(code, "0123456789") == "" { // spreadsheets drop zeros in front
			code = strings.Repeat("0", 11-len(code)) + code
		}
		switch {
		case cfPerson.MatchString(code):
			c.remark(head, "", "", "è il codice fiscale di una persona: non viene preso")
			return
		case !digits11.MatchString(code) || !checkDigit(code):
			c.wrong(head, value, "non è un codice fiscale o una partita IVA di un ente: undici cifre, l'ultima di controllo")
			return
		}
	}
	if code != value {
		c.remark(head, value, code, "scritto in una sola forma")
	}
	add(c.content, "identifiers", &registryv1.Identifier{Scheme: scheme, Value: shortened(code, 200)})
}

// checkDigit tells whether the last of eleven digits is that of the others.
func checkDigit(code string) bool {
	sum := 0
	for i, r := range code {
		d := int(r - '0')
		if i%2 == 1 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return sum%10 == 0
}

func (m *mapper) address(c *candidate, head string, field protoreflect.Name, part, value string) {
	fd := c.content.ProtoReflect().Descriptor().Fields().ByName(field)
	address := c.content.ProtoReflect().Mutable(fd).Message().Interface().(*registryv1.Address)
	switch part {
	case "street":
		street := oneLine(value)
		if calm := calmed(street); calm != value {
			c.remark(head, value, calm, "scritto in una sola forma")
			street = calm
		}
		address.Street = street
	case "detail":
		address.Detail = oneLine(value)
	case "municipality":
		address.Municipality = oneLine(value)
		if strings.ToUpper(value) == value {
			var parts []string
			for _, word := range strings.Fields(strings.ToLower(value)) {
				if !small[word] || len(parts) == 0 {
					word = capital(word)
				}
				parts = append(parts, word)
			}
			address.Municipality = strings.Join(parts, " ")
			c.remark(head, value, address.GetMunicipality(), "era tutto in maiuscolo")
		}
	case "postal_code":
		code := strings.TrimSuffix(strings.ReplaceAll(value, " ", ""), ".0")
		if !postal.MatchString(code) {
			c.wrong(head, value, "il CAP ha cinque cifre")
			return
		}
		address.PostalCode = code
	case "latitude", "longitude":
		most := map[string]float64{"latitude": 90, "longitude": 180}[part]
		degrees, err := parseCoordinate(value, most)
		if err != nil {
			c.wrong(head, value, err.Error())
			return
		}
		if address.Position == nil {
			address.Position = &latlng.LatLng{}
		}
		if part == "latitude" {
			address.Position.Latitude = degrees
		} else {
			address.Position.Longitude = degrees
		}
	}
}

func (m *mapper) categories(c *candidate, head, value string) {
	service := c.content.(*registryv1.Service)
	for _, part := range listSplit.Split(value, -1) {
		code, label, _ := strings.Cut(part, " ")
		label = strings.Trim(label, " -–:")
		switch {
		case inpsCode.MatchString(code):
			service.Categories = append(service.Categories, &registryv1.CodedValue{Scheme: "inps-prestazioni-isee", Code: code, Label: label})
		case istatCode.MatchString(code):
			service.Categories = append(service.Categories, &registryv1.CodedValue{Scheme: "istat-spesa-sociale", Code: code, Label: label})
		case oneLine(part) != "":
			word := shortened(oneLine(part), 100)
			if !slices.Contains(service.Keywords, word) {
				service.Keywords = append(service.Keywords, word)
			}
			c.remark(head, part, word, "non è un codice di una classificazione: tenuto tra le parole per cercarlo")
		}
	}
}

func (m *mapper) cost(c *candidate, head, value string) {
	words := plain(value)
	option := &registryv1.CostOption{Title: &registryv1.LocalizedText{It: value}}
	amount := numeral.FindString(value)
	switch {
	case strings.Contains(words, "gratuit") || strings.Contains(words, "gratis") || words == "nessuno" || words == "no" || words == "0" || words == "0 00":
		option.Kind, option.Title = registryv1.CostOption_FREE, nil
	case strings.Contains(words, "isee"):
		option.Kind = registryv1.CostOption_ISEE_BANDS
	case strings.Contains(words, "compartecip") || strings.Contains(words, "quota"):
		option.Kind = registryv1.CostOption_SHARE
	case amount != "":
		cents, err := parseDecimal(strings.TrimRight(strings.TrimSpace(amount), ".,'"))
		if err != nil || cents < 0 {
			c.wrong(head, value, "non è un importo")
			return
		}
		option.Kind, option.AmountCents, option.Title = registryv1.CostOption_FIXED, cents, nil
		for _, unit := range []struct{ says, unit string }{{"mes", "mese"}, {"mensil", "mese"}, {"ann", "anno"}, {"or", "ora"}, {"cors", "corsa"}, {"giorn", "giorno"}, {"settiman", "settimana"}} {
			for word := range strings.FieldsSeq(words) {
				if strings.HasPrefix(word, unit.says) {
					option.Unit = unit.unit
				}
			}
		}
	default:
		option.Kind = registryv1.CostOption_UNKNOWN
		c.remark(head, value, value, "costo tenuto in parole")
	}
	c.content.(*registryv1.Service).Costs = append(c.content.(*registryv1.Service).GetCosts(), option)
}

// A directory finds records by what people write for them.
type directory struct {
	what  string
	names map[string]string // a name or a code -> the record, empty: several
}

func (d directory) add(written, name string) {
	key := plain(written)
	if key == "" {
		return
	}
	if have, known := d.names[key]; known && have != name {
		name = ""
	}
	d.names[key] = name
}

// find finds a record, or says why it cannot.
func (d directory) find(written string) (name, problem string) {
	name, known := d.names[plain(written)]
	switch {
	case !known:
		return "", d.what + " non si trova nel registro: la scheda resta senza"
	case name == "":
		return "", "più schede hanno questo nome: la scheda resta senza"
	}
	return name, ""
}

// learn adds a record under all that it is called.
func (d directory) learn(record proto.Message) {
	name := catalog.RecordOf(record).Name()
	d.add(catalog.RecordOf(record).Title(), name)
	for _, id := range identifiersOf(record) {
		d.add(id.GetValue(), name)
	}
	if body, ok := record.(*registryv1.Organization); ok {
		for _, other := range body.GetAlternativeNames() {
			d.add(other, name)
		}
	}
}
