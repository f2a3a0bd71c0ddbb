package importing

import (
	"bytes"
	"encoding/csv"
	"net/url"
	"strconv"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/gateway/internal/workbench"
	"cidsistem.example/proto/gen/exchangev1"
)

// Fields of the filters of rows.
const (
	fieldOutcome  = "esito"
	fieldRemarked = "note"
)

const (
	// rowsListed is how many rows a page has, rowsAtOnce how many the report asks for at a time.
	rowsListed, rowsAtOnce = 50, 1000
	// reportBytes bounds the report as a file.
	reportBytes = 64 << 20
)

// outcomes of rows, in the order of the filter.
var outcomes = []exchangev1.ImportRow_Outcome{
	exchangev1.ImportRow_QUARANTINED, exchangev1.ImportRow_CREATED, exchangev1.ImportRow_UPDATED, exchangev1.ImportRow_UNCHANGED, exchangev1.ImportRow_REPEATED,
}

type rowsPage struct {
	*exchangev1.Import
	Path     string
	Rows     []*exchangev1.ImportRow
	Outcomes []exchangev1.ImportRow_Outcome
	Outcome  string
	Remarked bool
	// Next leads to the next page; Later says that this is not the first one, First leads there.
	Next, First string
	Later       bool
}

// rows shows what became of the rows.
func (i *Imports) rows(v *workbench.Visit) (*site.Page, error) {
	q := v.URL.Query()
	outcome, ok := outcomeOf(q.Get(fieldOutcome))
	if !ok {
		return nil, site.ErrNoPage
	}
	one, err := i.imports.GetImport(v.Upstream(), &exchangev1.GetImportRequest{Name: nameOf(v)})
	if err != nil {
		return nil, err
	}
	data := rowsPage{
		Import: one, Path: pathOf(one.GetName()), Outcomes: outcomes, Outcome: q.Get(fieldOutcome), Remarked: q.Get(fieldRemarked) != "", Later: q.Get(fieldPage) != "",
	}
	answer, err := i.imports.ListImportRows(v.Upstream(), &exchangev1.ListImportRowsRequest{
		Name: one.GetName(), PageSize: rowsListed, PageToken: q.Get(fieldPage), Outcome: outcome, Remarked: data.Remarked,
	})
	if err != nil {
		return nil, err
	}
	data.Rows = answer.GetRows()
	kept := url.Values{}
	if data.Outcome != "" {
		kept.Set(fieldOutcome, data.Outcome)
	}
	if data.Remarked {
		kept.Set(fieldRemarked, "1")
	}
	data.First = data.Path + "/righe?" + kept.Encode()
	if next := answer.GetNextPageToken(); next != "" {
		kept.Set(fieldPage, next)
		data.Next = data.Path + "/righe?" + kept.Encode()
	}
	return &site.Page{
		Template: "rows", Title: v.Say("importing.report"), Data: data, Crumbs: crumbs(v, site.Link{Path: data.Path, Text: nameShown(one)}),
	}, nil
}

func outcomeOf(text string) (exchangev1.ImportRow_Outcome, bool) {
	value, known := exchangev1.ImportRow_Outcome_value[strings.ToUpper(text)]
	return exchangev1.ImportRow_Outcome(value), known || text == ""
}

// report is what became of all rows, as a table for a spreadsheet: a line for each remark, and for each row without any.
func (i *Imports) report(v *workbench.Visit) (*site.Document, error) {
	if v.Comune == "" {
		return nil, status.Error(codes.Unimplemented, "imports are made at the node of a comune")
	}
	ctx, cancel := longer(v)
	defer cancel()
	one, err := i.imports.GetImport(ctx, &exchangev1.GetImportRequest{Name: nameOf(v)})
	if err != nil {
		return nil, err
	}
	var body bytes.Buffer
	body.WriteString("\ufeff") // by which spreadsheets know UTF-8
	table := csv.NewWriter(&body)
	table.Comma, table.UseCRLF = ';', true
	heading := []string{}
	for _, id := range []string{"line", "outcome", "record", "name", "column", "value", "repaired", "why"} {
		heading = append(heading, v.Say("importing.table."+id))
	}
	_ = table.Write(heading) // fails with the buffer alone, which never does
	request := &exchangev1.ListImportRowsRequest{Name: one.GetName(), PageSize: rowsAtOnce}
	for {
		answer, err := i.imports.ListImportRows(ctx, request)
		if err != nil {
			return nil, err
		}
		for _, row := range answer.GetRows() {
			first := []string{strconv.FormatInt(row.GetLine(), 10), v.Code("importing_outcomes", row.GetOutcome().String()), row.GetTitle(), row.GetRecord()}
			remarks := row.GetRemarks()
			if len(remarks) == 0 {
				remarks = []*exchangev1.ImportRow_Remark{{}}
			}
			for _, remark := range remarks {
				cells := append(first[:4:4], remark.GetColumn(), remark.GetValue(), remark.GetRepaired(), remark.GetDescription())
				for at, cell := range cells {
					cells[at] = harmless(cell)
				}
				_ = table.Write(cells)
			}
		}
		if table.Flush(); body.Len() > reportBytes {
			return nil, status.Errorf(codes.ResourceExhausted, "the report has more than %d bytes", reportBytes)
		}
		if request.PageToken = answer.GetNextPageToken(); request.PageToken == "" {
			break
		}
	}
	name := "rapporto-" + one.GetSource() + ".csv"
	return &site.Document{MediaType: "text/csv; charset=utf-8; header=present", FileName: name, Body: body.Bytes()}, nil
}

// harmless keeps spreadsheets from taking a text for a formula.
func harmless(cell string) string {
	if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
		return "'" + cell
	}
	return cell
}
