package importing

import (
	"archive/zip"
	"bytes"
	"cmp"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"path"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/genproto/googleapis/type/latlng"
	"google.golang.org/protobuf/proto"

	"cidsistem.example/proto/gen/exchangev1"
	"cidsistem.example/proto/gen/registryv1"
)

// What is taken over from HSDS 3. Fields that the registry has no place for are
// left.
type (
	hsdsService struct {
		ID                     string            `json:"id"`
		OrganizationID         string            `json:"organization_id"`
		Name                   string            `json:"name"`
		AlternateName          string            `json:"alternate_name"`
		Description            string            `json:"description"`
		URL                    string            `json:"url"`
		Email                  string            `json:"email"`
		Status                 string            `json:"status"`
		ApplicationProcess     string            `json:"application_process"`
		FeesDescription        string            `json:"fees_description"`
		EligibilityDescription string            `json:"eligibility_description"`
		AssuredDate            string            `json:"assured_date"`
		Organization           *hsdsOrganization `json:"organization"`
		Phones                 []hsdsPhone       `json:"phones"`
		Schedules              []hsdsSchedule    `json:"schedules"`
		CostOptions            []hsdsCost        `json:"cost_options"`
		ServiceAtLocations     []hsdsAtLocation  `json:"service_at_locations"`
		Languages              []hsdsLanguage    `json:"languages"`
	}
	hsdsOrganization struct {
		ID            string           `json:"id"`
		Name          string           `json:"name"`
		AlternateName string           `json:"alternate_name"`
		Description   string           `json:"description"`
		Email         string           `json:"email"`
		Website       string           `json:"website"`
		LegalStatus   string           `json:"legal_status"`
		Phones        []hsdsPhone      `json:"phones"`
		Identifiers   []hsdsIdentifier `json:"organization_identifiers"`
		Locations     []hsdsLocation   `json:"locations"`
		Services      []hsdsService    `json:"services"`
	}
	hsdsIdentifier struct {
		Scheme     string `json:"identifier_scheme"`
		Type       string `json:"identifier_type"`
		Identifier string `json:"identifier"`
	}
	hsdsLocation struct {
		ID             string         `json:"id"`
		OrganizationID string         `json:"organization_id"`
		Name           string         `json:"name"`
		Description    string         `json:"description"`
		Transportation string         `json:"transportation"`
		Latitude       float64        `json:"latitude"`
		Longitude      float64        `json:"longitude"`
		Addresses      []hsdsAddress  `json:"addresses"`
		Phones         []hsdsPhone    `json:"phones"`
		Schedules      []hsdsSchedule `json:"schedules"`
	}
	hsdsAddress struct {
		Address1   string `json:"address_1"`
		Address2   string `json:"address_2"`
		City       string `json:"city"`
		PostalCode string `json:"postal_code"`
	}
	hsdsPhone struct {
		Number      string `json:"number"`
		Type        string `json:"type"`
		Description string `json:"description"`
	}
	hsdsSchedule struct {
		ByDay       string `json:"byday"`
		Freq        string `json:"freq"`
		OpensAt     string `json:"opens_at"`
		ClosesAt    string `json:"closes_at"`
		Description string `json:"description"`
	}
	hsdsCost struct {
		Option            string  `json:"option"`
		Amount            float64 `json:"amount"`
		AmountDescription string  `json:"amount_description"`
	}
	hsdsAtLocation struct {
		LocationID  string         `json:"location_id"`
		Description string         `json:"description"`
		Location    *hsdsLocation  `json:"location"`
		Schedules   []hsdsSchedule `json:"schedules"`
	}
	hsdsLanguage struct {
		Code string `json:"code"`
	}
)

// An hsdsReader makes candidates of what HSDS says, each record once.
type hsdsReader struct {
	comune, source string
	line           int64
	done           map[string]bool
	yield          func(*candidate, error) bool
	stopped        bool
}

func (h *hsdsReader) give(collection, id string, content, defaults proto.Message, check func(*candidate)) {
	if h.stopped || h.done[collection+id] {
		return
	}
	h.done[collection+id] = true
	h.line++
	c := &candidate{line: h.line, content: content, defaults: defaults}
	if id == "" {
		c.wrong("id", "", "manca l'identificativo")
	} else {
		c.name = recordName(h.comune, h.source, collection, id)
		add(content, "identifiers", &registryv1.Identifier{Scheme: scheme(h.source), Value: shortened(id, 200)})
	}
	check(c)
	h.stopped = !h.yield(c, nil)
}

func (h *hsdsReader) reference(collection, id string) string {
	if id == "" {
		return ""
	}
	return recordName(h.comune, h.source, collection, id).String()
}

func words1(text string) *registryv1.LocalizedText {
	if text = strings.TrimSpace(text); text == "" {
		return nil
	}
	return &registryv1.LocalizedText{It: text}
}

func contactsOf(c *candidate, phones []hsdsPhone, email, web string) (all []*registryv1.ContactPoint) {
	for _, p := range phones {
		numbers, bad := parsePhones(p.Number)
		for _, number := range numbers {
			kind := registryv1.ContactPoint_PHONE
			if isMobile(number) {
				kind = registryv1.ContactPoint_MOBILE
			}
			all = append(all, &registryv1.ContactPoint{Kind: kind, Value: number, Label: shortened(p.Description, 200)})
		}
		for _, one := range bad {
			c.remark("phones", one, "", "non è un numero di telefono")
		}
	}
	addresses, _ := parseEmails(email)
	for _, address := range addresses {
		all = append(all, &registryv1.ContactPoint{Kind: registryv1.ContactPoint_EMAIL, Value: address})
	}
	pages, _ := parseWeb(web)
	for _, page := range pages {
		all = append(all, &registryv1.ContactPoint{Kind: registryv1.ContactPoint_WEB, Value: page})
	}
	return all
}

var hsdsDays = map[string]registryv1.Weekday{
	"MO": registryv1.Weekday_MONDAY, "TU": registryv1.Weekday_TUESDAY, "WE": registryv1.Weekday_WEDNESDAY, "TH": registryv1.Weekday_THURSDAY,
	"FR": registryv1.Weekday_FRIDAY, "SA": registryv1.Weekday_SATURDAY, "SU": registryv1.Weekday_SUNDAY,
}

func scheduleOf(schedules []hsdsSchedule) *registryv1.Schedule {
	made := &registryv1.Schedule{}
	var notes []string
	for _, s := range schedules {
		week := &registryv1.WeeklyHours{}
		for day := range strings.SplitSeq(s.ByDay, ",") {
			if d := hsdsDays[strings.TrimSpace(day)]; d != 0 {
				week.Days = append(week.Days, d)
			}
		}
		if len(s.OpensAt) >= 5 && len(s.ClosesAt) >= 5 && len(week.GetDays()) > 0 && (s.Freq == "" || s.Freq == "WEEKLY") {
			week.Hours = []*registryv1.TimeRange{{Opens: s.OpensAt[:5], Closes: s.ClosesAt[:5]}}
			week.Note = shortened(s.Description, 300)
			made.Weekly = append(made.Weekly, week)
		} else if s.Description != "" {
			notes = append(notes, s.Description)
		}
	}
	made.Note = words1(strings.Join(notes, "\n"))
	if proto.Size(made) == 0 {
		return nil
	}
	return made
}

func (h *hsdsReader) organization(o *hsdsOrganization) {
	content, defaults := &registryv1.Organization{Title: words1(o.Name), Summary: words1(o.Description)}, &registryv1.Organization{}
	if o.AlternateName != "" {
		content.AlternativeNames = []string{shortened(o.AlternateName, 200)}
	}
	h.give("organizations", o.ID, content, defaults, func(c *candidate) {
		content.Contacts = contactsOf(c, o.Phones, o.Email, o.Website)
		for _, id := range o.Identifiers {
			s := strings.ReplaceAll(plain(cmp.Or(id.Scheme, id.Type)), " ", "-")
			if len(s) > 1 && len(s) < 60 && id.Identifier != "" {
				content.Identifiers = append(content.Identifiers, &registryv1.Identifier{Scheme: s, Value: shortened(id.Identifier, 200)})
			}
		}
		if kinds := meant(o.LegalStatus+" "+o.Name, organizationKinds); len(kinds) > 0 {
			defaults.Kind = kinds[0]
		} else {
			c.wrong("legal_status", o.LegalStatus, "manca il tipo di ente, e il nome non lo dice")
		}
	})
	for i := range o.Locations {
		o.Locations[i].OrganizationID = cmp.Or(o.Locations[i].OrganizationID, o.ID)
		h.location(&o.Locations[i])
	}
	for i := range o.Services {
		o.Services[i].OrganizationID = cmp.Or(o.Services[i].OrganizationID, o.ID)
		h.service(&o.Services[i])
	}
}

func (h *hsdsReader) location(l *hsdsLocation) {
	content := &registryv1.Location{
		Title: words1(l.Name), Description: words1(l.Description), Directions: words1(l.Transportation),
		Organization: h.reference("organizations", l.OrganizationID), Opening: scheduleOf(l.Schedules),
	}
	if len(l.Addresses) > 0 {
		a := l.Addresses[0]
		content.Address = &registryv1.Address{Street: shortened(a.Address1, 200), Detail: shortened(a.Address2, 300), Municipality: shortened(a.City, 100)}
		if postal.MatchString(a.PostalCode) {
			content.Address.PostalCode = a.PostalCode
		}
		if content.Title == nil {
			content.Title = words1(a.Address1)
		}
	}
	if l.Latitude != 0 || l.Longitude != 0 {
		if content.Address == nil {
			content.Address = &registryv1.Address{}
		}
		content.Address.Position = &latlng.LatLng{Latitude: l.Latitude, Longitude: l.Longitude}
	}
	h.give("locations", l.ID, content, &registryv1.Location{}, func(c *candidate) { content.Contacts = contactsOf(c, l.Phones, "", "") })
}

func (h *hsdsReader) service(s *hsdsService) {
	if s.Organization != nil {
		s.OrganizationID = cmp.Or(s.OrganizationID, s.Organization.ID)
		h.organization(s.Organization)
	}
	content := &registryv1.Service{
		Title: words1(s.Name), Description: words1(s.Description), HowTo: words1(s.ApplicationProcess), AddressedTo: words1(s.EligibilityDescription),
		ResponsibleOrganization: h.reference("organizations", s.OrganizationID), Hours: scheduleOf(s.Schedules),
	}
	if s.AlternateName != "" {
		content.Keywords = []string{shortened(s.AlternateName, 100)}
	}
	for i := range s.ServiceAtLocations {
		at := &s.ServiceAtLocations[i]
		if at.Location != nil {
			at.LocationID = cmp.Or(at.LocationID, at.Location.ID)
			h.location(at.Location)
		}
		if at.LocationID != "" {
			content.Places = append(content.Places, &registryv1.ServicePlace{Location: h.reference("locations", at.LocationID), Note: words1(at.Description), Hours: scheduleOf(at.Schedules)})
		}
	}
	for _, language := range s.Languages {
		if len(language.Code) >= 2 && len(language.Code) <= 35 && !slices.Contains(content.Languages, language.Code) {
			content.Languages = append(content.Languages, language.Code)
		}
	}
	for _, cost := range s.CostOptions {
		option := &registryv1.CostOption{Kind: registryv1.CostOption_UNKNOWN, Title: words1(cmp.Or(cost.Option, cost.AmountDescription))}
		if cost.Amount > 0 {
			option.Kind, option.AmountCents = registryv1.CostOption_FIXED, int64(cost.Amount*100+0.5)
		}
		content.Costs = append(content.Costs, option)
	}
	if len(content.GetCosts()) == 0 && strings.TrimSpace(s.FeesDescription) != "" {
		content.Costs = []*registryv1.CostOption{{Kind: registryv1.CostOption_UNKNOWN, Title: words1(s.FeesDescription)}}
	}
	switch s.Status {
	case "active":
		content.Status = &registryv1.Status{State: registryv1.Status_ACTIVE}
	case "inactive", "temporarily closed":
		content.Status = &registryv1.Status{State: registryv1.Status_SUSPENDED}
	case "defunct":
		content.Status = &registryv1.Status{State: registryv1.Status_CLOSED}
	}
	if date, err := parseDate(s.AssuredDate); err == nil {
		content.Provenance = &registryv1.Provenance{AsOf: date}
	}
	defaults := &registryv1.Service{Status: &registryv1.Status{State: registryv1.Status_TO_BE_VERIFIED}}
	h.give("services", s.ID, content, defaults, func(c *candidate) { content.Contacts = contactsOf(c, s.Phones, s.Email, s.URL) })
}

// hsdsJSON reads a service or an organisation, a list of them, or a page of the
// API.
func (s *Server) hsdsJSON(one *exchangev1.Import, data []byte) iter.Seq2[*candidate, error] {
	return func(yield func(*candidate, error) bool) {
		h := &hsdsReader{comune: s.Comune, source: one.GetSource(), done: map[string]bool{}, yield: yield}
		data := bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
		decoder := json.NewDecoder(bytes.NewReader(data))
		fail := func(err error) { yield(nil, fmt.Errorf("read the HSDS: %w", err)) }
		var whole json.RawMessage
		if bytes.HasPrefix(bytes.TrimSpace(data), []byte("{")) {
			if err := decoder.Decode(&whole); err != nil {
				fail(err)
				return
			}
			var page struct {
				Contents []json.RawMessage `json:"contents"`
			}
			if err := json.Unmarshal(whole, &page); err != nil {
				fail(err)
				return
			}
			if page.Contents == nil {
				page.Contents = []json.RawMessage{whole}
			}
			for _, entry := range page.Contents {
				if err := h.entry(entry); err != nil || h.stopped {
					if err != nil {
						fail(err)
					}
					return
				}
			}
			return
		}
		if _, err := decoder.Token(); err != nil {
			fail(err)
			return
		}
		for decoder.More() && !h.stopped {
			err := decoder.Decode(&whole)
			if err == nil {
				err = h.entry(whole)
			}
			if err != nil {
				fail(err)
				return
			}
		}
	}
}

// entry is an organisation when it says what only one says, else a service.
func (h *hsdsReader) entry(text []byte) error {
	var shape struct {
		Services, Website, LegalStatus json.RawMessage
		Identifiers                    json.RawMessage `json:"organization_identifiers"`
		Status                         json.RawMessage `json:"status"`
	}
	if err := json.Unmarshal(text, &shape); err != nil {
		return err
	}
	if shape.Status == nil && (shape.Services != nil || shape.Website != nil || shape.Identifiers != nil) {
		o := &hsdsOrganization{}
		if err := json.Unmarshal(text, o); err != nil {
			return err
		}
		h.organization(o)
		return nil
	}
	service := &hsdsService{}
	if err := json.Unmarshal(text, service); err != nil {
		return err
	}
	h.service(service)
	return nil
}

// hsdsTabular reads a package of CSV files.
func (s *Server) hsdsTabular(one *exchangev1.Import, data []byte) (iter.Seq2[*candidate, error], error) {
	packed, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, fmt.Errorf("open the package: %w", err)
	}
	parts := map[string][]map[string]string{}
	left := int64(maxUnpackedBytes / 4)
	for _, entry := range packed.File {
		name := strings.TrimSuffix(path.Base(entry.Name), ".csv")
		switch name {
		case "organizations", "organization_identifiers", "locations", "addresses", "phones", "services", "service_at_location", "service_at_locations", "schedules", "cost_options", "languages":
			rows, size, err := csvPart(entry, left)
			if err != nil {
				return nil, fmt.Errorf("read %s: %w", entry.Name, err)
			}
			left -= size
			parts[strings.Replace(name, "at_locations", "at_location", 1)] = rows
		}
	}
	phones, schedules := map[string][]hsdsPhone{}, map[string][]hsdsSchedule{}
	owner := func(row map[string]string) string {
		for _, field := range []string{"service_at_location_id", "service_id", "location_id", "organization_id"} {
			if row[field] != "" {
				return field + row[field]
			}
		}
		return ""
	}
	for _, row := range parts["phones"] {
		phones[owner(row)] = append(phones[owner(row)], hsdsPhone{Number: row["number"], Type: row["type"], Description: row["description"]})
	}
	for _, row := range parts["schedules"] {
		schedules[owner(row)] = append(schedules[owner(row)], hsdsSchedule{ByDay: row["byday"], Freq: row["freq"], OpensAt: row["opens_at"], ClosesAt: row["closes_at"], Description: row["description"]})
	}
	return func(yield func(*candidate, error) bool) {
		h := &hsdsReader{comune: s.Comune, source: one.GetSource(), done: map[string]bool{}, yield: yield}
		identifiers := group(parts["organization_identifiers"], "organization_id")
		addresses := group(parts["addresses"], "location_id")
		costs, places, languages := group(parts["cost_options"], "service_id"), group(parts["service_at_location"], "service_id"), group(parts["languages"], "service_id")
		for _, row := range parts["organizations"] {
			o := &hsdsOrganization{
				ID: row["id"], Name: row["name"], AlternateName: row["alternate_name"], Description: row["description"], Email: row["email"],
				Website: row["website"], LegalStatus: row["legal_status"], Phones: phones["organization_id"+row["id"]],
			}
			for _, id := range identifiers[row["id"]] {
				o.Identifiers = append(o.Identifiers, hsdsIdentifier{Scheme: id["identifier_scheme"], Type: id["identifier_type"], Identifier: id["identifier"]})
			}
			h.organization(o)
		}
		for _, row := range parts["locations"] {
			l := &hsdsLocation{
				ID: row["id"], OrganizationID: row["organization_id"], Name: row["name"], Description: row["description"], Transportation: row["transportation"],
				Latitude: decimal(row["latitude"]), Longitude: decimal(row["longitude"]), Phones: phones["location_id"+row["id"]], Schedules: schedules["location_id"+row["id"]],
			}
			for _, a := range addresses[row["id"]] {
				l.Addresses = append(l.Addresses, hsdsAddress{Address1: a["address_1"], Address2: a["address_2"], City: a["city"], PostalCode: a["postal_code"]})
			}
			h.location(l)
		}
		for _, row := range parts["services"] {
			service := &hsdsService{
				ID: row["id"], OrganizationID: row["organization_id"], Name: row["name"], AlternateName: row["alternate_name"], Description: row["description"],
				URL: row["url"], Email: row["email"], Status: row["status"], ApplicationProcess: row["application_process"], FeesDescription: row["fees_description"],
				EligibilityDescription: row["eligibility_description"], AssuredDate: row["assured_date"],
				Phones: phones["service_id"+row["id"]], Schedules: schedules["service_id"+row["id"]],
			}
			for _, cost := range costs[row["id"]] {
				service.CostOptions = append(service.CostOptions, hsdsCost{Option: cost["option"], Amount: decimal(cost["amount"]), AmountDescription: cost["amount_description"]})
			}
			for _, at := range places[row["id"]] {
				service.ServiceAtLocations = append(service.ServiceAtLocations, hsdsAtLocation{LocationID: at["location_id"], Description: at["description"], Schedules: schedules["service_at_location_id"+at["id"]]})
			}
			for _, language := range languages[row["id"]] {
				service.Languages = append(service.Languages, hsdsLanguage{Code: language["code"]})
			}
			h.service(service)
		}
	}, nil
}

func group(rows []map[string]string, by string) map[string][]map[string]string {
	grouped := map[string][]map[string]string{}
	for _, row := range rows {
		grouped[row[by]] = append(grouped[row[by]], row)
	}
	return grouped
}

func decimal(text string) float64 {
	n, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return 0
	}
	return n
}

// csvPart reads a file of a package as rows by their headings.
func csvPart(entry *zip.File, most int64) (rows []map[string]string, size int64, err error) {
	if most < 0 || entry.UncompressedSize64 > uint64(most) {
		return nil, 0, errors.New("it unpacks to too much")
	}
	from, err := entry.Open()
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = from.Close() }()
	text, err := io.ReadAll(io.LimitReader(from, most))
	if err != nil {
		return nil, 0, err
	}
	reader := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))))
	reader.FieldsPerRecord, reader.LazyQuotes = -1, true
	heads, err := reader.Read()
	if errors.Is(err, io.EOF) {
		return nil, 0, nil
	}
	for err == nil {
		var record []string
		if record, err = reader.Read(); err == nil {
			row := map[string]string{}
			for i, value := range record {
				if i < len(heads) && value != "" {
					row[heads[i]] = value
				}
			}
			rows = append(rows, row)
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return rows, int64(len(text)), err
}
