package opendata

import (
	"encoding/json"
	"mime"
	"net/url"
	"strings"
	"time"

	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/gateway/internal/wording"
	"cidsistem.example/proto/gen/registryv1"
)

// Vocabularies of the European Union and of DCAT-AP_IT that catalogues go by.
const (
	licence   = "https://creativecommons.org/licenses/by/4.0/"
	authority = "http://publications.europa.eu/resource/authority/"
	society   = authority + "data-theme/SOCI"
	italian   = authority + "language/ITA"
	always    = authority + "frequency/CONT"
)

// A node of the description, by the names of its properties.
type node = map[string]any

// prefixes of the names in the description.
var prefixes = node{
	"dcat": "http://www.w3.org/ns/dcat#", "dct": "http://purl.org/dc/terms/", "foaf": "http://xmlns.com/foaf/0.1/",
	"vcard": "http://www.w3.org/2006/vcard/ns#", "xsd": "http://www.w3.org/2001/XMLSchema#", "owl": "http://www.w3.org/2002/07/owl#",
	"dcatapit": "http://dati.gov.it/onto/dcatapit#",
}

// catalogue describes the files as DCAT-AP_IT asks for, in Italian.
func (d *Data) catalogue(r *site.Request) (*site.Document, error) {
	base := r.BaseURL()
	say := func(id string, values ...any) node {
		return node{"@value": r.In(wording.Italian, id, values...), "@language": "it"}
	}
	var sets, references []node
	var newest time.Time
	for _, comune := range r.Comuni().All {
		publisher := agent(base, comune)
		set := dataset(r, comune.Slug, say("opendata.of", "Comune", comune.Title), publisher)
		if code := comune.Record.GetIstatCode(); code != "" {
			set["dct:spatial"] = node{"@type": "dct:Location", "dct:identifier": code, "dcatapit:geographicalIdentifier": id("https://w3id.org/italia/controlled-vocabulary/territorial-classifications/cities/" + code)}
		}
		changed := changedAt(comune)
		if !changed.IsZero() {
			set["dct:modified"] = moment(changed)
		}
		if changed.After(newest) {
			newest = changed
		}
		sets = append(sets, set)
		references = append(references, node{"@id": set["@id"]})
	}
	publisher := node{"@id": base + "/#portale", "@type": []string{"foaf:Agent", "dcatapit:Agent"}, "foaf:name": r.In(wording.Italian, "opendata.portal"), "dct:identifier": host(base)}
	if len(r.Comuni().All) == 1 {
		publisher = agent(base, r.Comuni().All[0])
	}
	if len(sets) > 1 {
		set := dataset(r, all, say("opendata.ofAll"), publisher)
		if !newest.IsZero() {
			set["dct:modified"] = moment(newest)
		}
		sets = append([]node{set}, sets...)
		references = append([]node{{"@id": set["@id"]}}, references...)
	}
	description := node{
		"@id": base + root, "@type": []string{"dcat:Catalog", "dcatapit:Catalog"}, "dct:title": say("opendata.title"), "dct:description": say("opendata.lead"),
		"dct:publisher": publisher, "dct:language": id(italian), "foaf:homepage": id(base + root), "dcat:themeTaxonomy": id(authority + "data-theme"),
		"dcat:dataset": references,
		"dcat:service": node{
			"@id": base + "/v1/", "@type": "dcat:DataService", "dct:title": say("opendata.rest"), "dcat:endpointURL": id(base + "/v1/"),
			"dcat:endpointDescription": id(base + "/openapi.json"), "dct:license": license(), "dcat:servesDataset": references,
		},
	}
	if !newest.IsZero() {
		description["dct:modified"] = moment(newest)
	}
	body, err := json.MarshalIndent(node{"@context": prefixes, "@graph": append([]node{description}, sets...)}, "", " ")
	if err != nil {
		return nil, err
	}
	return &site.Document{MediaType: "application/ld+json", Body: append(body, '\n')}, nil
}

// dataset is the files of one comune, or of all.
func dataset(r *site.Request, slug string, title, publisher node) node {
	base := r.BaseURL()
	var distributions []node
	for _, one := range offered {
		address := base + root + slug + "/" + one.Name
		kind, _, _ := mime.ParseMediaType(one.MediaType)
		distributions = append(distributions, node{
			"@id": address + "#file", "@type": []string{"dcat:Distribution", "dcatapit:Distribution"},
			"dct:title":      node{"@value": r.In(wording.Italian, "opendata.file."+one.ID), "@language": "it"},
			"dcat:accessURL": id(base + root), "dcat:downloadURL": id(address), "dct:format": id(authority + "file-type/" + one.kind),
			"dcat:mediaType": id("https://www.iana.org/assignments/media-types/" + kind), "dct:license": license(),
		})
	}
	return node{
		"@id": base + root + "#" + slug, "@type": []string{"dcat:Dataset", "dcatapit:Dataset"}, "dct:identifier": host(base) + ":" + slug,
		"dct:title": title, "dct:description": node{"@value": r.In(wording.Italian, "opendata.about"), "@language": "it"},
		"dct:publisher": publisher, "dct:rightsHolder": publisher, "dct:language": id(italian), "dcat:theme": id(society), "dct:accrualPeriodicity": id(always),
		"dcat:landingPage": id(base + root + "#" + slug), "dcat:distribution": distributions,
		"dcat:keyword": []node{{"@value": "disabilità", "@language": "it"}, {"@value": "servizi sociali", "@language": "it"}, {"@value": "HSDS"}},
		"dcat:contactPoint": node{
			"@id": base + root + "#contatti", "@type": []string{"vcard:Organization", "vcard:Kind", "dcatapit:Organization"},
			"vcard:fn": publisher["foaf:name"], "vcard:hasURL": id(base + "/contatti/"),
		},
	}
}

// agent is a comune as the publisher of its data: by its code in the index of public administrations where it has one.
func agent(base string, comune site.Comune) node {
	code := comune.Record.GetIpaCode()
	if code == "" {
		code = comune.Slug
	}
	return node{"@id": base + "/#" + comune.Slug, "@type": []string{"foaf:Agent", "dcatapit:Agent"}, "foaf:name": "Comune di " + comune.Title, "dct:identifier": code}
}

func license() node {
	return node{"@id": licence, "@type": []string{"dct:LicenseDocument", "dcatapit:LicenseDocument"}, "foaf:name": "CC BY 4.0", "dct:type": id("http://purl.org/adms/licencetype/Attribution"), "owl:versionInfo": "4.0"}
}

func id(address string) node { return node{"@id": address} }

func moment(t time.Time) node {
	return node{"@value": t.In(site.Rome).Format(time.DateOnly), "@type": "xsd:date"}
}

// changedAt is up to when a comune's data are known, else when it last changed what it says of itself.
func changedAt(comune site.Comune) time.Time {
	if comune.Coverage.GetState() != registryv1.Coverage_STATE_UNSPECIFIED && !comune.AsOf().IsZero() {
		return comune.AsOf()
	}
	if changed := comune.Record.GetUpdateTime(); changed != nil {
		return changed.AsTime()
	}
	return time.Time{}
}

func host(base string) string {
	address, err := url.Parse(base)
	if err != nil {
		return strings.TrimPrefix(base, "https://")
	}
	return address.Host
}
