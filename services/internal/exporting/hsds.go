package exporting

import (
	"cmp"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/registryv1"
)

// An entity is a row of a table of HSDS. Its keys are written in order.
type entity = map[string]any

// A table of the tabular package: its file, and the columns that are written.
type table struct {
	name, file string
	columns    []string
	// keys lead to other tables.
	keys map[string]string
}

var hsdsTables = []table{
	{"address", "addresses.csv", []string{"id", "location_id", "address_1", "address_2", "city", "region", "state_province", "postal_code", "country", "address_type"}, map[string]string{"location_id": "location"}},
	{"cost_option", "cost_options.csv", []string{"id", "service_id", "option", "currency", "amount", "amount_description"}, map[string]string{"service_id": "service"}},
	{"language", "languages.csv", []string{"id", "service_id", "code"}, map[string]string{"service_id": "service"}},
	{"location", "locations.csv", []string{"id", "location_type", "organization_id", "name", "description", "transportation", "latitude", "longitude"}, map[string]string{"organization_id": "organization"}},
	{"organization_identifier", "organization_identifiers.csv", []string{"id", "organization_id", "identifier_scheme", "identifier_type", "identifier"}, map[string]string{"organization_id": "organization"}},
	{"organization", "organizations.csv", []string{"id", "name", "alternate_name", "description", "email", "website", "legal_status"}, nil},
	{"phone", "phones.csv", []string{"id", "location_id", "service_id", "organization_id", "number", "type", "description"}, map[string]string{"location_id": "location", "service_id": "service", "organization_id": "organization"}},
	{"schedule", "schedules.csv", []string{"id", "service_id", "location_id", "service_at_location_id", "freq", "byday", "opens_at", "closes_at", "description"}, map[string]string{"service_id": "service", "location_id": "location", "service_at_location_id": "service_at_location"}},
	{"service_area", "service_areas.csv", []string{"id", "service_id", "name"}, map[string]string{"service_id": "service"}},
	{"service_at_location", "service_at_location.csv", []string{"id", "service_id", "location_id", "description"}, map[string]string{"service_id": "service", "location_id": "location"}},
	{"service", "services.csv", []string{"id", "organization_id", "name", "alternate_name", "description", "url", "email", "status", "application_process", "fees_description", "wait_time", "eligibility_description", "assured_date", "alert"}, map[string]string{"organization_id": "organization"}},
}

// hsds holds the tables, in the order of the records.
type hsds map[string][]entity

// idOf is the UUID of a record, or of a part of it: always the same.
func idOf(parts ...string) string {
	return uuid.NewSHA1(uuid.NameSpaceURL, []byte("cid-sistem:"+strings.Join(parts, "#"))).String()
}

// row is an entity without what is empty.
func row(pairs ...any) entity {
	e := entity{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if text, isText := pairs[i+1].(string); !isText || text != "" {
			e[pairs[i].(string)] = pairs[i+1]
		}
	}
	return e
}

func (h hsds) add(table string, e entity) { h[table] = append(h[table], e) }

// toHSDS makes the tables of the records of a snapshot.
func toHSDS(shot *snapshot) hsds {
	h := hsds{}
	comuni := map[string]bool{} // those that answer for services of which no body does
	for _, record := range shot.records["organizations"] {
		h.organization(record.(*registryv1.Organization))
	}
	for _, record := range shot.records["locations"] {
		h.location(record.(*registryv1.Location))
	}
	for _, record := range shot.records["services"] {
		h.service(record.(*registryv1.Service), comuni)
	}
	for table := range h {
		slices.SortStableFunc(h[table], func(a, b entity) int { return cmp.Compare(a["id"].(string), b["id"].(string)) })
	}
	return h
}

func (h hsds) organization(o *registryv1.Organization) {
	id := idOf(o.GetName())
	email, web := h.contacts("organization_id", id, o.GetName(), o.GetContacts())
	h.add("organization", row(
		"id", id, "name", o.GetTitle().GetIt(), "alternate_name", strings.Join(o.GetAlternativeNames(), ", "),
		"description", cmp.Or(o.GetSummary().GetIt(), o.GetTitle().GetIt()), "email", email, "website", web, "legal_status", o.GetLegalStatus().GetLabel(),
	))
	for i, identifier := range o.GetIdentifiers() {
		h.add("organization_identifier", row(
			"id", idOf(o.GetName(), "identifier", strconv.Itoa(i)), "organization_id", id, "identifier_scheme", identifier.GetScheme(),
			"identifier_type", identifier.GetScheme(), "identifier", identifier.GetValue(),
		))
	}
}

// contacts adds telephones, and returns an address of mail and one of a page.
func (h hsds) contacts(key, id, name string, contacts []*registryv1.ContactPoint) (email, web string) {
	for i, c := range contacts {
		kind := map[registryv1.ContactPoint_Kind]string{
			registryv1.ContactPoint_PHONE: "voice", registryv1.ContactPoint_MOBILE: "cell", registryv1.ContactPoint_TEXT_MESSAGE: "text", registryv1.ContactPoint_RELAY: "textphone",
		}[c.GetKind()]
		switch {
		case kind != "":
			h.add("phone", row("id", idOf(name, "phone", strconv.Itoa(i)), key, id, "number", c.GetValue(), "type", kind, "description", c.GetLabel()))
		case c.GetKind() == registryv1.ContactPoint_EMAIL && strings.Contains(c.GetValue(), "@"):
			email = cmp.Or(email, c.GetValue())
		case c.GetKind() == registryv1.ContactPoint_WEB:
			web = cmp.Or(web, httpOnly(c.GetValue()))
		}
	}
	return email, web
}

func httpOnly(uri string) string {
	if strings.HasPrefix(uri, "https://") || strings.HasPrefix(uri, "http://") {
		return uri
	}
	return ""
}

// provinces by the first three digits of an ISTAT code of a comune.
var provinces = map[string]string{"081": "TP"}

func (h hsds) location(l *registryv1.Location) {
	id := idOf(l.GetName())
	h.contacts("location_id", id, l.GetName(), l.GetContacts())
	e := row("id", id, "location_type", "physical", "name", l.GetTitle().GetIt(), "description", l.GetDescription().GetIt(), "transportation", l.GetDirections().GetIt())
	if l.GetOrganization() != "" {
		e["organization_id"] = idOf(l.GetOrganization())
	}
	a := l.GetAddress()
	if at := a.GetPosition(); at != nil && a.GetWithheldReason() == "" {
		e["latitude"], e["longitude"] = at.GetLatitude(), at.GetLongitude()
	}
	h.add("location", e)
	h.schedule("location_id", id, l.GetName(), l.GetOpening())
	province := ""
	if len(a.GetIstatCode()) == 6 {
		province = provinces[a.GetIstatCode()[:3]]
	}
	// HSDS wants an address whole.
	if a.GetStreet() != "" && a.GetPostalCode() != "" && a.GetMunicipality() != "" && province != "" && a.GetWithheldReason() == "" {
		h.add("address", row(
			"id", idOf(l.GetName(), "address"), "location_id", id, "address_1", a.GetStreet(), "address_2", a.GetDetail(), "city", a.GetMunicipality(),
			"region", "Sicilia", "state_province", province, "postal_code", a.GetPostalCode(), "country", "IT", "address_type", "physical",
		))
	}
}

var dayCodes = []string{"", "MO", "TU", "WE", "TH", "FR", "SA", "SU"}

// schedule adds weekly and monthly hours, and what is said in words.
func (h hsds) schedule(key, id, name string, s *registryv1.Schedule) {
	n := 0
	put := func(freq, days, note string, hours []*registryv1.TimeRange) {
		for _, span := range hours {
			n++
			closes := span.GetCloses()
			if closes == "24:00" {
				closes = "23:59"
			}
			h.add("schedule", row("id", idOf(name, key, "schedule", strconv.Itoa(n)), key, id, "freq", freq, "byday", days, "opens_at", span.GetOpens(), "closes_at", closes, "description", note))
		}
	}
	for _, w := range s.GetWeekly() {
		var days []string
		for _, d := range w.GetDays() {
			days = append(days, dayCodes[d])
		}
		put("WEEKLY", strings.Join(days, ","), w.GetNote(), w.GetHours())
	}
	for _, m := range s.GetMonthly() {
		put("MONTHLY", strconv.Itoa(int(m.GetOrdinal()))+dayCodes[m.GetDay()], m.GetNote(), m.GetHours())
	}
	if note := s.GetNote().GetIt(); note != "" {
		h.add("schedule", row("id", idOf(name, key, "schedule", "note"), key, id, "description", note))
	}
}

func (h hsds) service(s *registryv1.Service, comuni map[string]bool) {
	id := idOf(s.GetName())
	body := s.GetResponsibleOrganization()
	if body == "" {
		name, err := catalog.ParseName(s.GetName())
		if err == nil {
			body = catalog.ComuneName(name.Comune())
		}
		if !comuni[body] {
			comuni[body] = true
			h.add("organization", row("id", idOf(body), "name", "Comune: "+name.Comune(), "description", "Il comune, per i servizi di cui non è detto chi risponde"))
		}
	}
	email, web := h.contacts("service_id", id, s.GetName(), s.GetContacts())
	state := s.GetStatus().GetState()
	status := map[registryv1.Status_State]string{
		registryv1.Status_SUSPENDED: "temporarily closed", registryv1.Status_STARTING: "inactive", registryv1.Status_FINANCED_NOT_ACTIVE: "inactive", registryv1.Status_CLOSED: "defunct",
	}[state]
	alert := s.GetStatus().GetReason().GetIt()
	if state == registryv1.Status_TO_BE_VERIFIED && alert == "" {
		alert = "Da verificare: la fonte è vecchia"
	}
	e := row(
		"id", id, "organization_id", idOf(body), "name", s.GetTitle().GetIt(), "description", cmp.Or(s.GetDescription().GetIt(), s.GetSummary().GetIt()),
		"url", web, "email", email, "status", cmp.Or(status, "active"), "application_process", s.GetHowTo().GetIt(), "wait_time", s.GetTimesNote().GetIt(),
		"eligibility_description", s.GetAddressedTo().GetIt(), "alert", alert,
	)
	if at := s.GetProvenance().GetVerifyTime(); at != nil {
		e["assured_date"] = at.AsTime().UTC().Format("2006-01-02")
	}
	h.schedule("service_id", id, s.GetName(), s.GetHours())
	for i, c := range s.GetCosts() {
		cost := row("id", idOf(s.GetName(), "cost", strconv.Itoa(i)), "service_id", id, "option", c.GetTitle().GetIt(), "amount_description", c.GetUnit())
		if c.GetKind() == registryv1.CostOption_FIXED || c.GetKind() == registryv1.CostOption_FREE {
			cost["amount"], cost["currency"] = float64(c.GetAmountCents())/100, "EUR"
		}
		h.add("cost_option", cost)
		if c.GetKind() == registryv1.CostOption_FREE {
			e["fees_description"] = "Gratuito"
		}
	}
	h.add("service", e)
	for i, language := range s.GetLanguages() {
		h.add("language", row("id", idOf(s.GetName(), "language", strconv.Itoa(i)), "service_id", id, "code", language))
	}
	for i, area := range s.GetAreasServed() {
		h.add("service_area", row("id", idOf(s.GetName(), "area", strconv.Itoa(i)), "service_id", id, "name", area.GetLabel()))
	}
	for i, place := range s.GetPlaces() {
		at := idOf(s.GetName(), "place", strconv.Itoa(i))
		h.add("service_at_location", row("id", at, "service_id", id, "location_id", idOf(place.GetLocation()), "description", place.GetNote().GetIt()))
		h.schedule("service_at_location_id", at, s.GetName()+"#"+strconv.Itoa(i), place.GetHours())
	}
}

// by groups a table by a key.
func (h hsds) by(table, key string) map[string][]entity {
	grouped := map[string][]entity{}
	for _, e := range h[table] {
		if id, ok := e[key].(string); ok {
			grouped[id] = append(grouped[id], e)
		}
	}
	return grouped
}

// with is an entity with what belongs to it.
func with(e entity, parts map[string][]entity) entity {
	whole := entity{}
	for key, value := range e {
		whole[key] = value
	}
	for key, list := range parts {
		if len(list) > 0 {
			whole[key] = list
		}
	}
	return whole
}

// writeHSDS writes services with what belongs to them, as a page of the API that
// holds all.
func writeHSDS(ctx context.Context, _ *Server, shot *snapshot, _ []string, out io.Writer) error {
	h := toHSDS(shot)
	organizations, locations := map[string]entity{}, map[string]entity{}
	bodyPhones, identifiers := h.by("phone", "organization_id"), h.by("organization_identifier", "organization_id")
	for _, o := range h["organization"] {
		id := o["id"].(string)
		organizations[id] = with(o, map[string][]entity{"phones": bodyPhones[id], "organization_identifiers": identifiers[id]})
	}
	placePhones, addresses, opening := h.by("phone", "location_id"), h.by("address", "location_id"), h.by("schedule", "location_id")
	for _, l := range h["location"] {
		id := l["id"].(string)
		locations[id] = with(l, map[string][]entity{"phones": placePhones[id], "addresses": addresses[id], "schedules": opening[id]})
	}
	phones, schedules, costs := h.by("phone", "service_id"), h.by("schedule", "service_id"), h.by("cost_option", "service_id")
	areas, languages, places, placeHours := h.by("service_area", "service_id"), h.by("language", "service_id"), h.by("service_at_location", "service_id"), h.by("schedule", "service_at_location_id")
	n := len(h["service"])
	_, err := fmt.Fprintf(out, `{"total_items":%d,"total_pages":1,"page_number":1,"size":%d,"first_page":true,"last_page":true,"empty":%t,"contents":[`, n, n, n == 0)
	for i, s := range h["service"] {
		if err := errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		id := s["id"].(string)
		var at []entity
		for _, place := range places[id] {
			whole := with(place, map[string][]entity{"schedules": placeHours[place["id"].(string)]})
			whole["location"] = locations[place["location_id"].(string)]
			at = append(at, whole)
		}
		service := with(s, map[string][]entity{
			"phones": phones[id], "schedules": schedules[id], "cost_options": costs[id], "service_areas": areas[id], "languages": languages[id], "service_at_locations": at,
		})
		service["organization"] = organizations[s["organization_id"].(string)]
		text, err := json.Marshal(service)
		if err != nil {
			return err
		}
		if i > 0 {
			text = append([]byte(","), text...)
		}
		if _, err := out.Write(append([]byte("\n"), text...)); err != nil {
			return err
		}
	}
	_, last := io.WriteString(out, "\n]}\n")
	return errors.Join(err, last)
}

// writeTabular writes the tables as a tabular data package.
func writeTabular(ctx context.Context, _ *Server, shot *snapshot, _ []string, out io.Writer) error {
	h := toHSDS(shot)
	a := newArchive(out)
	var resources []map[string]any
	sorted := slices.Clone(hsdsTables)
	slices.SortFunc(sorted, func(a, b table) int { return cmp.Compare(a.file, b.file) })
	for _, t := range sorted {
		var fields, foreign []map[string]any
		for _, column := range t.columns {
			kind := "string"
			if column == "latitude" || column == "longitude" || column == "amount" {
				kind = "number"
			}
			fields = append(fields, map[string]any{"name": column, "type": kind})
			if to := t.keys[column]; to != "" {
				foreign = append(foreign, map[string]any{"fields": column, "reference": map[string]string{"resource": to, "fields": "id"}})
			}
		}
		schema := map[string]any{"fields": fields, "primaryKey": "id"}
		if foreign != nil {
			schema["foreignKeys"] = foreign
		}
		resources = append(resources, map[string]any{
			"name": t.name, "path": t.file, "format": "csv", "mediatype": "text/csv", "profile": "tabular-data-resource", "schema": schema,
		})
	}
	description := map[string]any{
		"name": "cid-sistem-hsds-" + cmp.Or(shot.comune, "tutti"), "title": shot.titleOf(), "profile": "tabular-data-package", "version": "3.1",
		"licenses": []map[string]string{{"name": licenseName, "path": licenseURI}}, "resources": resources,
	}
	write := func(t table) func(io.Writer) error {
		return func(w io.Writer) error {
			out := csv.NewWriter(w)
			err := out.Write(t.columns)
			for _, e := range h[t.name] {
				record := make([]string, len(t.columns))
				for i, column := range t.columns {
					if value, ok := e[column]; ok {
						record[i] = fmt.Sprint(value)
					}
				}
				err = errors.Join(err, out.Write(record))
			}
			out.Flush()
			return errors.Join(err, out.Error())
		}
	}
	written := false
	for _, t := range sorted {
		if !written && t.file > "datapackage.json" {
			written = true
			if err := a.add("datapackage.json", jsonText(description)); err != nil {
				return err
			}
		}
		if err := errors.Join(ctx.Err(), a.add(t.file, write(t))); err != nil {
			return err
		}
	}
	return a.zip.Close()
}
