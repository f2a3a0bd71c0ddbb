package seed_test

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"cidsistem.example/deploy/seed"
	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/registryv1"
)

const lists = `
areas:
  marsala: {kind: MUNICIPALITY, code: "081011", label: Marsala}
acts:
  l104: {label: L. 104/1992, urn: "urn:nir:stato:legge:1992-02-05;104"}
codes:
  istat-spesa-sociale:
    version: 2011-2022
    source: https://www.istat.it
    labels: {DAYC: Centro diurno}
`

const head = `
sources:
  gazzetta: {sourceKind: PRESS, sourceUri: "https://example.org/1", sourceLabel: La Gazzetta, asOf: 2024-03}
comune: {title: Marsala, istatCode: "081011", provenance: gazzetta}
`

func files(marsala string) fstest.MapFS {
	return fstest.MapFS{
		"lists.yaml":      {Data: []byte(lists)},
		"marsala.yaml":    {Data: []byte(marsala)},
		"files/guida.txt": {Data: []byte("ciao")},
	}
}

func TestLoadReadsEveryShorthand(t *testing.T) {
	comuni, err := seed.Load(files(head + `
organizations:
  - id: anffas
    title: Anffas
    kind: ASSOCIATION
    provenance: gazzetta
services:
  - id: centro
    title: {it: Centro, translations: {fr: Centre}, easyRead: Il centro}
    categories: [istat-spesa-sociale/DAYC]
    status: {state: TO_BE_VERIFIED, since: 2020, reason: Fonte vecchia}
    rules: [l104]
    areasServed: [marsala]
    provisions: [{mode: DIRECT, organization: organizations/anffas, validity: 2019/2020-06}]
    places: []
    hours: {weekly: [{days: [MONDAY], hours: ["09:00-12:30"]}]}
    costs: [{kind: FIXED, amountCents: 1_234_56}]
    provenance: gazzetta
documents:
  - id: guida
    title: Guida
    kind: SERVICE_CHARTER
    files: [{fileName: guida.txt, mediaType: text/plain}]
    provenance: gazzetta
plans:
  - {id: piano, title: Piano, state: DRAFT, firstYear: 2020, lastYear: 2021, provenance: gazzetta}
actions:
  - {id: azione, plan: piano, title: Azione, state: PLANNED, services: [services/centro], provenance: gazzetta}
`))
	if err != nil {
		t.Fatal(err)
	}
	names := []string{}
	var service *registryv1.Service
	var document *registryv1.Document
	for _, record := range comuni[0].Records {
		names = append(names, catalog.RecordOf(record.Message).Name())
		switch m := record.Message.(type) {
		case *registryv1.Service:
			service = m
		case *registryv1.Document:
			document = m
		}
	}
	if diff := cmp.Diff([]string{
		"comuni/marsala", "comuni/marsala/organizations/anffas", "comuni/marsala/services/centro",
		"comuni/marsala/documents/guida", "comuni/marsala/plans/piano", "comuni/marsala/plans/piano/actions/azione",
	}, names); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	want := &registryv1.Service{
		Name: "comuni/marsala/services/centro",
		Title: &registryv1.LocalizedText{
			It: "Centro", Translations: map[string]*registryv1.Translation{"fr": {Text: "Centre"}}, EasyRead: &registryv1.Translation{Text: "Il centro"},
		},
		Categories:  []*registryv1.CodedValue{{Scheme: "istat-spesa-sociale", Version: "2011-2022", Code: "DAYC", Label: "Centro diurno"}},
		Status:      &registryv1.Status{State: registryv1.Status_TO_BE_VERIFIED, Since: &registryv1.PartialDate{Year: 2020}, Reason: &registryv1.LocalizedText{It: "Fonte vecchia"}},
		Rules:       []*registryv1.LegalReference{{Label: "L. 104/1992", Urn: "urn:nir:stato:legge:1992-02-05;104"}},
		AreasServed: []*registryv1.Area{{Kind: registryv1.Area_MUNICIPALITY, Code: "081011", Label: "Marsala"}},
		Provisions: []*registryv1.Provision{{
			Mode: registryv1.Provision_DIRECT, Organization: "comuni/marsala/organizations/anffas",
			Validity: &registryv1.Period{Start: &registryv1.PartialDate{Year: 2019}, End: &registryv1.PartialDate{Year: 2020, Month: 6}},
		}},
		Hours: &registryv1.Schedule{Weekly: []*registryv1.WeeklyHours{{
			Days: []registryv1.Weekday{registryv1.Weekday_MONDAY}, Hours: []*registryv1.TimeRange{{Opens: "09:00", Closes: "12:30"}},
		}}},
		Costs: []*registryv1.CostOption{{Kind: registryv1.CostOption_FIXED, AmountCents: 123456}},
		Provenance: &registryv1.Provenance{
			SourceKind: registryv1.Provenance_PRESS, SourceUri: "https://example.org/1", SourceLabel: "La Gazzetta",
			AsOf: &registryv1.PartialDate{Year: 2024, Month: 3}, Sample: true,
		},
	}
	if diff := cmp.Diff(want, service, protocmp.Transform(),
		protocmp.IgnoreFields(&registryv1.Translation{}, "source_digest"), protocmp.IgnoreFields(&registryv1.Provenance{}, "verify_by_time")); diff != "" {
		t.Errorf("service (-want +got):\n%s", diff)
	}
	if got := service.GetProvenance().GetVerifyByTime().AsTime().Format("2006-01-02"); got != "2025-10-01" {
		t.Errorf("a source of March 2024 holds until %s", got)
	}
	file := document.GetFiles()[0]
	const ciao = "b133a0c0e9bee3be20163d2ad31d6248db292aa6dcb1ee087a2aa50e0fc75ae2"
	if file.GetSha256() != ciao || file.GetSizeBytes() != 4 || len(comuni[0].Files) != 1 || comuni[0].Files[0].SHA256 != ciao {
		t.Errorf("file is %v, files are %v", file, comuni[0].Files)
	}
}

func TestLoadNamesFileLineRecordAndRemedy(t *testing.T) {
	tests := map[string]struct {
		data fs.FS
		want []string
	}{
		"no lists":              {fstest.MapFS{"marsala.yaml": {Data: []byte(head)}}, []string{"lists.yaml:", "cannot be read"}},
		"strange lists":         {fstest.MapFS{"lists.yaml": {Data: []byte("aree: {}")}}, []string{"lists.yaml:", "aree"}},
		"list without source":   {fstest.MapFS{"lists.yaml": {Data: []byte("codes: {x: {labels: {a: b}}}")}}, []string{"lists.yaml:", "version and the source"}},
		"area of no kind":       {fstest.MapFS{"lists.yaml": {Data: []byte("areas: {x: {label: X}}")}}, []string{"lists.yaml:", "kind of area"}},
		"no comune":             {fstest.MapFS{"lists.yaml": {Data: []byte(lists)}}, []string{"no file of a comune"}},
		"bad slug":              {fstest.MapFS{"lists.yaml": {Data: []byte(lists)}, "Marsala!.yaml": {}}, []string{"Marsala!.yaml:", "slug"}},
		"empty":                 {files(""), []string{"marsala.yaml: is empty"}},
		"no YAML":               {files("a: b: c"), []string{"marsala.yaml: is not YAML"}},
		"two documents":         {files(head + "---\n" + head), []string{"more than one YAML document"}},
		"not a mapping":         {files("- 1"), []string{"marsala.yaml:1:", "fields are expected"}},
		"no comune's record":    {files("sources: {}"), []string{"comune itself is missing"}},
		"no sources":            {files("comune: {}"), []string{"has no sources"}},
		"unknown collection":    {files(head + "servizi: []"), []string{"marsala.yaml:5:", `"servizi" is no collection`}},
		"collection is no list": {files(head + "services: {}"), []string{"marsala.yaml:5:", "must be a list"}},
		"alias":                 {files(head + "services: &a []\nevents: *a"), []string{"marsala.yaml:6:", "aliases"}},
		"no id":                 {files(head + "services:\n  - title: X"), []string{"marsala.yaml:6: services:", "needs id:"}},
		"bad id":                {files(head + "services:\n  - {id: À}"), []string{"marsala.yaml:6: services:", "needs id:"}},
		"no plan":               {files(head + "actions:\n  - {id: azione}"), []string{"marsala.yaml:6: actions:", "needs plan:"}},
		"plan that is not there": {
			files(head + "actions:\n  - {id: az, plan: pi, title: T, state: PLANNED, provenance: gazzetta}"),
			[]string{"marsala.yaml:6: plans/pi/actions/az:", `no "plans/pi" in this file`},
		},
		"duplicate id": {
			files(head + "plans:\n  - {id: p1, title: A, state: DRAFT, provenance: gazzetta}\n  - {id: p1, title: B, state: DRAFT, provenance: gazzetta}"),
			[]string{"marsala.yaml:7: plans/p1:", "used twice"},
		},
		"field twice":            {files(head + "plans:\n  - id: p1\n    title: A\n    title: B"), []string{"marsala.yaml:8: plans:", `"title" is given twice`}},
		"both names":             {files(head + "plans:\n  - {id: p1, firstYear: 2001, first_year: 2002}"), []string{"plans/p1:", "both of its names"}},
		"unknown field":          {files(head + "plans:\n  - id: p1\n    titolo: A"), []string{"marsala.yaml:7: plans/p1:", `unknown field "titolo" of Plan`, "title"}},
		"field of the server":    {files(head + "plans:\n  - {id: p1, revision: 7}"), []string{`unknown field "revision"`}},
		"unknown value":          {files(head + "plans:\n  - {id: p1, state: BOZZA}"), []string{"state:", `"BOZZA" is none of DRAFT`}},
		"no number":              {files(head + "plans:\n  - {id: p1, firstYear: duemila}"), []string{"firstYear:", "duemila"}},
		"number too large":       {files(head + "plans:\n  - {id: p1, firstYear: 99999999999}"), []string{"firstYear:", "out of range"}},
		"no truth value":         {files(head + "events:\n  - {id: e1, freeOfCharge: yes}"), []string{"freeOfCharge:", "neither true nor false"}},
		"nothing given":          {files(head + "plans:\n  - {id: p1, planVersion: }"), []string{"planVersion: a single value is expected"}},
		"list expected":          {files(head + "services:\n  - {id: s1, keywords: bus}"), []string{"keywords must be a list"}},
		"text for a message":     {files(head + "services:\n  - {id: s1, status: attivo}"), []string{"status:", "fields of Status are expected"}},
		"bad date":               {files(head + "services:\n  - {id: s1, status: {since: 3 marzo}}"), []string{"status.since:", "2016-03-27"}},
		"bad month":              {files(head + "services:\n  - {id: s1, status: {since: 2020-00}}"), []string{"status.since:", "no date"}},
		"bad period":             {files(head + "services:\n  - {id: s1, validity: 2020}"), []string{"validity:", "no period"}},
		"bad hours":              {files(head + "services:\n  - {id: s1, hours: {weekly: [{hours: [mattina]}]}}"), []string{"hours.weekly[0].hours[0]:", "09:00-12:00"}},
		"unknown source":         {files(head + "plans:\n  - {id: p1, provenance: giornale}"), []string{"marsala.yaml:6: plans/p1:", `unknown source "giornale"`, "sources"}},
		"unknown code":           {files(head + "services:\n  - {id: s1, categories: [istat-spesa-sociale/X]}"), []string{"categories[0]:", `unknown code "X"`, "lists.yaml"}},
		"unknown list":           {files(head + "services:\n  - {id: s1, categories: [elenco/X]}"), []string{`unknown list "elenco"`}},
		"bare code":              {files(head + "services:\n  - {id: s1, categories: [DAYC]}"), []string{"list/code"}},
		"unknown area":           {files(head + "services:\n  - {id: s1, areasServed: [erice]}"), []string{`unknown area "erice"`}},
		"unknown act":            {files(head + "services:\n  - {id: s1, rules: [l68]}"), []string{`unknown act "l68"`}},
		"two conditions":         {files(head + "services:\n  - {id: s1, eligibility: [{statement: X, age: {}, isee: {}}]}"), []string{"exclude each other"}},
		"bad time":               {files("sources:\n  g: {sourceKind: OWN, sourceLabel: X, verifyByTime: domani}\ncomune: {}"), []string{"2026-11-01T00:00:00Z"}},
		"source without label":   {files("sources:\n  g: {sourceKind: PRESS}\ncomune: {}"), []string{"marsala.yaml:2:", "sourceKind and sourceLabel"}},
		"source without address": {files("sources:\n  g: {sourceKind: PRESS, sourceLabel: X}\ncomune: {}"), []string{"sourceUri"}},
		"verified source": {
			files("sources:\n  g: {sourceKind: OWN, sourceLabel: X, verifyTime: \"2026-01-01T00:00:00Z\"}\ncomune: {}"),
			[]string{"only the comune can say so"},
		},
		"no source":            {files(head + "plans:\n  - {id: p1, title: A, state: DRAFT}"), []string{"marsala.yaml:6: plans/p1: has no source"}},
		"rule of the contract": {files(head + "plans:\n  - id: p1\n    title: A\n    state: DRAFT\n    firstYear: 1\n    provenance: gazzetta"), []string{"marsala.yaml:9: plans/p1: firstYear:"}},
		"missing field":        {files(head + "plans:\n  - {id: p1, state: DRAFT, provenance: gazzetta}"), []string{"plans/p1: title:"}},
		"reference to nothing": {
			files(head + "plans:\n  - id: p1\n    title: A\n    state: DRAFT\n    provenance: gazzetta\n    organization: organizations/x1"),
			[]string{"marsala.yaml:10: plans/p1: organization:", `no "organizations/x1" in this file`},
		},
		"reference to another kind": {
			files(head + "plans:\n  - {id: p1, title: A, state: DRAFT, provenance: gazzetta, organization: plans/p1}"),
			[]string{"organization:", "another kind of record"},
		},
		"reference to no kind": {
			files(head + "plans:\n  - {id: p1, title: A, state: DRAFT, provenance: gazzetta, organization: enti/x}"),
			[]string{"organization:", "collection/id"},
		},
		"reference to another comune": {
			files(head + "plans:\n  - {id: p1, title: A, state: DRAFT, provenance: gazzetta, organization: comuni/erice/organizations/x1}"),
			[]string{"organization:", "no \"comuni/erice/organizations/x1\""},
		},
		"source of an unknown field": {
			files(head + "plans:\n  - {id: p1, title: A, state: DRAFT, provenance: gazzetta, fieldSources: [{field: titolo.it, provenance: gazzetta}]}"),
			[]string{"plans/p1: fieldSources:", `no field "titolo.it"`},
		},
		"missing file": {
			files(head + "documents:\n  - {id: d1, title: A, kind: FORM, provenance: gazzetta, files: [{fileName: x.txt, mediaType: text/plain}]}"),
			[]string{"marsala.yaml:6: documents/d1:", "put it into files"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := seed.Load(test.data)
			if err == nil {
				t.Fatal("accepted")
			}
			var problem *seed.Problem
			if !errors.As(err, &problem) {
				t.Errorf("%v is no Problem", err)
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error is\n%v\nwithout %q", err, want)
				}
			}
		})
	}
}

func TestLoadReportsEverythingAtOnce(t *testing.T) {
	_, err := seed.Load(files(head + "plans:\n  - {id: p1, titolo: A}\n  - {id: p1}\nevents:\n  - {id: e1, quando: oggi}"))
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != 3 || !strings.HasPrefix(lines[0], "marsala.yaml:6:") || !strings.HasPrefix(lines[2], "marsala.yaml:9:") {
		t.Errorf("problems are\n%v", err)
	}
}

func FuzzLoad(f *testing.F) {
	f.Add(head)
	f.Add(head + "services:\n  - {id: s1, title: A, status: {state: ACTIVE}, provenance: gazzetta}")
	f.Add(head + "services: &a\n  - *a")
	f.Add("sources: {a: {asOf: 2016-02-30, verifyByTime: 1}}\ncomune: [~]\nactions: [{id: x, plan: y}]")
	f.Add("? {a: b}\n: c\n!!binary x: <<")
	f.Fuzz(func(t *testing.T, text string) {
		comuni, err := seed.Load(files(text))
		if err != nil {
			return
		}
		for _, comune := range comuni {
			for _, record := range comune.Records {
				if name := catalog.RecordOf(record.Message).Name(); !strings.HasPrefix(name, "comuni/marsala") {
					t.Errorf("a record of %s in the file of marsala", name)
				}
			}
			comune.Texts()
		}
	})
}
