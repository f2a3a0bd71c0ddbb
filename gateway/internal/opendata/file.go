package opendata

import "cidsistem.example/proto/gen/exchangev1"

// A use is what a file is good for.
type use int

const (
	// table is for people who work with spreadsheets.
	table use = iota
	// whole is for programs: all records, with all that belongs to them.
	whole
	// extract is for the state's own surveys.
	extract
)

// A file that is offered of each comune.
type file struct {
	// Name is the last segment of its address.
	Name string
	// ID of the messages that say what it is.
	ID string
	// MediaType with its parameters.
	MediaType string
	// format and collections are what the server is asked for.
	format      exchangev1.ExportFormat
	collections []string
	use         use
	// kind is its type in the European list of file types.
	kind string
}

// Short is how people call the format.
func (f file) Short() string {
	switch f.kind {
	case "JSON":
		return "JSON"
	case "XLSX", "ZIP":
		return f.kind
	}
	return "CSV"
}

const (
	typeCSV   = "text/csv; charset=utf-8; header=present"
	typeXLSX  = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
	typeJSON  = "application/json"
	typeLines = "application/x-ndjson"
	typeZIP   = "application/zip"
)

// offered are the files, in the order of the page.
var offered = []file{
	{"servizi.csv", "services", typeCSV, exchangev1.ExportFormat_CSV, []string{"services"}, table, "CSV"},
	{"enti.csv", "organizations", typeCSV, exchangev1.ExportFormat_CSV, []string{"organizations"}, table, "CSV"},
	{"luoghi.csv", "locations", typeCSV, exchangev1.ExportFormat_CSV, []string{"locations"}, table, "CSV"},
	{"operatori.csv", "operators", typeCSV, exchangev1.ExportFormat_CSV, []string{"operators"}, table, "CSV"},
	{"documenti.csv", "documents", typeCSV, exchangev1.ExportFormat_CSV, []string{"documents"}, table, "CSV"},
	{"buone-pratiche.csv", "practices", typeCSV, exchangev1.ExportFormat_CSV, []string{"practices"}, table, "CSV"},
	{"piani.csv", "plans", typeCSV, exchangev1.ExportFormat_CSV, []string{"plans"}, table, "CSV"},
	{"azioni.csv", "actions", typeCSV, exchangev1.ExportFormat_CSV, []string{"actions"}, table, "CSV"},
	{"agenda.csv", "events", typeCSV, exchangev1.ExportFormat_CSV, []string{"events"}, table, "CSV"},
	{"registro.xlsx", "workbook", typeXLSX, exchangev1.ExportFormat_XLSX, nil, table, "XLSX"},
	{"hsds.json", "hsds", typeJSON, exchangev1.ExportFormat_HSDS_JSON, nil, whole, "JSON"},
	{"hsds.zip", "hsdsTabular", typeZIP, exchangev1.ExportFormat_HSDS_TABULAR, nil, whole, "ZIP"},
	{"registro.jsonl", "lines", typeLines, exchangev1.ExportFormat_JSON_LINES, nil, whole, "JSON"},
	{"registro.zip", "package", typeZIP, exchangev1.ExportFormat_PACKAGE, nil, whole, "ZIP"},
	{"sioss.csv", "sioss", typeCSV, exchangev1.ExportFormat_SIOSS, nil, extract, "CSV"},
	{"istat.csv", "istat", typeCSV, exchangev1.ExportFormat_ISTAT, nil, extract, "CSV"},
}

func offeredAs(name string) (file, bool) {
	for _, one := range offered {
		if one.Name == name {
			return one, true
		}
	}
	return file{}, false
}
