package importing

import (
	"slices"
	"strconv"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"cidsistem.example/gateway/internal/edge"
	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/gateway/internal/workbench"
	"cidsistem.example/proto/gen/annotationsv1"
	"cidsistem.example/proto/gen/exchangev1"
	"cidsistem.example/proto/gen/registryv1"
)

// Fields of the form of an import; that of a column has its number behind.
const (
	fieldAction     = "azione"
	fieldTable      = "tabella"
	fieldHeading    = "intestazione"
	fieldVisibility = "visibile"
	fieldAll        = "tutto"
	fieldEtag       = "etag"
	fieldColumn     = "colonna-"
)

// What the buttons do.
const (
	actionReread = "rileggi"
	actionSave   = "salva"
	actionTry    = "prova"
	actionRun    = "importa"
	actionResume = "riprendi"
	actionStop   = "ferma"
	actionDelete = "cancella"
)

// refreshAfter is after how many seconds a page without scripts looks again how far an import is.
const refreshAfter = 5

// A column as the table of columns shows it.
type column struct {
	*exchangev1.Import_Column
	Field string
	// Letter is how spreadsheets call it: "A".
	Letter string
	// Sure is how sure the guess is: "chosen", "sure", "likely", "unsure" or "unknown".
	Sure string
}

// A count is how many rows had an outcome.
type count struct {
	ID     string
	Number int64
	// Path of the rows; empty: they are not listed.
	Path string
}

type importPage struct {
	*exchangev1.Import
	Path string
	// State in lower case; Editable: the columns can be changed.
	State    string
	Editable bool
	Columns  []column
	// Lacking are targets without which no record can be made, and that no column fills.
	Lacking []string
	Counts  []count
	// Percent of the lines that are done; -1: not known.
	Percent int64
	// Publishes: the person may show records to others.
	Publishes   bool
	Collections []string
	Visible     string
	Visibles    []registryv1.Visibility
	// Asks whether the import shall really be forgotten.
	Asks bool
}

// show shows an import, and does what its buttons say.
func (i *Imports) show(v *workbench.Visit) (*site.Page, error) {
	one, err := i.imports.GetImport(v.Upstream(), &exchangev1.GetImportRequest{Name: nameOf(v)})
	if err != nil {
		if status.Code(err) == codes.InvalidArgument {
			return nil, site.ErrNoPage
		}
		return nil, err
	}
	if sent := v.Sent(); sent != nil {
		done, err := i.act(v, one, sent)
		if done != nil || err != nil {
			return done, err
		}
	}
	data := i.pageOf(v, one)
	data.Asks = v.URL.Query().Get(fieldAction) == actionDelete
	page := &site.Page{Template: "import", Title: v.Say("importing.of", "Name", nameShown(one)), Data: data, Crumbs: crumbs(v)}
	if one.GetState() == exchangev1.Import_RUNNING {
		page.Refresh, page.Scripts = refreshAfter, []string{"import.js"}
	}
	return page, nil
}

// act does what a button says; a nil page: something is wrong, and the form is shown again with what it had, in the import.
func (i *Imports) act(v *workbench.Visit, one *exchangev1.Import, sent *edge.Sent) (*site.Page, error) {
	name, path := one.GetName(), pathOf(one.GetName())
	ctx, cancel := longer(v)
	defer cancel()
	var err error
	done := path
	said := ""
	switch action := sent.Values.Get(fieldAction); action {
	case actionStop:
		_, err = i.imports.CancelImport(ctx, &exchangev1.CancelImportRequest{Name: name})
		said = "importStopped"
	case actionResume:
		_, err = i.imports.RunImport(ctx, &exchangev1.RunImportRequest{Name: name, DryRun: one.GetDryRun()})
	case actionDelete:
		_, err = i.imports.DeleteImport(ctx, &exchangev1.DeleteImportRequest{Name: name})
		done, said = root, "importDeleted"
	case actionReread, actionSave, actionTry, actionRun:
		reread := fill(v, one, sent) || action == actionReread
		if lacks := lacking(one); len(lacks) > 0 && !reread && (action == actionTry || action == actionRun) {
			wrong(v, "colonne", "lacking", "Targets", strings.Join(lacks, ", "))
		}
		if len(v.Found) > 0 {
			return nil, nil
		}
		changed := &exchangev1.UpdateImportRequest{Import: &exchangev1.Import{
			Name: name, Source: one.GetSource(), File: one.GetFile(), FileName: one.GetFileName(), Format: one.GetFormat(), Collection: one.GetCollection(), Table: one.GetTable(), HeadingLine: one.GetHeadingLine(),
			AllOrNothing: one.GetAllOrNothing(), Visibility: one.GetVisibility(), Etag: sent.Values.Get(fieldEtag),
		}}
		if !reread { // else the columns are others, and guessed anew
			for _, column := range one.GetColumns() {
				changed.Import.Columns = append(changed.Import.Columns, &exchangev1.Import_Column{Index: column.GetIndex(), Heading: column.GetHeading(), Target: column.GetTarget()})
			}
		}
		_, err = i.imports.UpdateImport(ctx, changed)
		said = "importSaved"
		switch {
		case err != nil:
		case reread:
			said = "importReread"
			done += "#colonne"
		case action == actionTry, action == actionRun:
			said = ""
			_, err = i.imports.RunImport(ctx, &exchangev1.RunImportRequest{Name: name, DryRun: action == actionTry})
		}
	default:
		return nil, status.Error(codes.InvalidArgument, "the form has no such button")
	}
	if err != nil {
		v.Refused(err, map[string]string{
			"import.columns": "colonne", "import.source": fieldSource, "import.collection": fieldCollection, "import.table": fieldTable,
			"import.heading_line": fieldHeading, "import.visibility": fieldVisibility,
		})
		return nil, nil
	}
	return v.Go(done, said), nil
}

// fill puts what was typed into an import. It tells whether other columns are meant than those of the form.
func fill(v *workbench.Visit, one *exchangev1.Import, sent *edge.Sent) (reread bool) {
	values := sent.Values
	if source := strings.TrimSpace(values.Get(fieldSource)); source != one.GetSource() {
		one.Source = source
	}
	if !sourceForm.MatchString(one.GetSource()) {
		wrong(v, fieldSource, "source")
	}
	if values.Has(fieldCollection) && values.Get(fieldCollection) != one.GetCollection() {
		one.Collection, reread = values.Get(fieldCollection), true
		if !slices.Contains(collections, one.GetCollection()) {
			wrong(v, fieldCollection, "collection")
		}
	}
	if values.Has(fieldTable) && values.Get(fieldTable) != one.GetTable() {
		one.Table, one.HeadingLine, reread = values.Get(fieldTable), 0, true
	} else if text := strings.TrimSpace(values.Get(fieldHeading)); values.Has(fieldHeading) && text != strconv.FormatInt(one.GetHeadingLine(), 10) {
		line, err := strconv.ParseInt(text, 10, 32)
		if text == "" {
			line, err = 0, nil
		}
		if err != nil || line < 0 {
			wrong(v, fieldHeading, "heading")
		} else {
			one.HeadingLine, reread = line, true
		}
	}
	one.AllOrNothing = values.Get(fieldAll) != ""
	visible := registryv1.Visibility(registryv1.Visibility_value[strings.ToUpper(values.Get(fieldVisibility))])
	one.Visibility = visible
	for _, column := range one.GetColumns() {
		field := fieldColumn + strconv.Itoa(int(column.GetIndex()))
		if !values.Has(field) {
			continue
		}
		target := values.Get(field)
		if target != "" && !slices.ContainsFunc(one.GetTargets(), func(t *exchangev1.Import_Target) bool { return t.GetTarget() == target }) {
			wrong(v, field, "target")
			continue
		}
		if target != column.GetTarget() {
			column.Target, column.Confidence = target, 100
		}
	}
	return reread
}

// pageOf is what the page says of an import.
func (i *Imports) pageOf(v *workbench.Visit, one *exchangev1.Import) importPage {
	path := pathOf(one.GetName())
	state := one.GetState()
	data := importPage{
		Import: one, Path: path, State: strings.ToLower(state.String()), Percent: -1, Collections: collections,
		Editable:  state != exchangev1.Import_RUNNING,
		Publishes: v.Over(annotationsv1.Role_PUBLISHER), Visible: strings.ToLower(one.GetVisibility().String()),
		Visibles: []registryv1.Visibility{registryv1.Visibility_LOCAL, registryv1.Visibility_NETWORK, registryv1.Visibility_PUBLIC},
	}
	if one.GetVisibility() == registryv1.Visibility_VISIBILITY_UNSPECIFIED {
		data.Visible = "local"
	}
	for _, one := range one.GetColumns() {
		data.Columns = append(data.Columns, column{one, fieldColumn + strconv.Itoa(int(one.GetIndex())), letter(int(one.GetIndex())), sure(one)})
	}
	data.Lacking = lacking(one)
	if total := one.GetLinesTotal(); total > 0 {
		data.Percent = min(100, 100*one.GetLinesDone()/total)
	}
	data.Counts = countsOf(one, path)
	return data
}

// lacking are the labels of what every record needs and no column fills.
func lacking(one *exchangev1.Import) []string {
	var labels []string
	for _, target := range one.GetTargets() {
		fills := func(c *exchangev1.Import_Column) bool { return c.GetTarget() == target.GetTarget() }
		if target.GetRequired() && !slices.ContainsFunc(one.GetColumns(), fills) {
			labels = append(labels, target.GetLabel())
		}
	}
	return labels
}

// letter is how spreadsheets call a column: A to Z, AA and so on.
func letter(index int) string {
	if index < 26 {
		return string(rune('A' + index))
	}
	return letter(index/26-1) + letter(index%26)
}

// sure says in a word how sure it is what a column means.
func sure(c *exchangev1.Import_Column) string {
	switch confidence := c.GetConfidence(); {
	case c.GetTarget() == "" && confidence < 100:
		return "unknown"
	case confidence >= 100:
		return "chosen"
	case confidence >= 85:
		return "sure"
	case confidence >= 60:
		return "likely"
	}
	return "unsure"
}

// countsOf is what became of the rows, empty before anything has.
func countsOf(one *exchangev1.Import, path string) []count {
	c := one.GetCounts()
	if c == nil || one.GetState() == exchangev1.Import_READY {
		return nil
	}
	rows := path + "/righe"
	of := func(outcome exchangev1.ImportRow_Outcome) string {
		return rows + "?" + fieldOutcome + "=" + strings.ToLower(outcome.String())
	}
	return []count{
		{"rows", c.GetRows(), rows},
		{"created", c.GetCreated(), of(exchangev1.ImportRow_CREATED)},
		{"updated", c.GetUpdated(), of(exchangev1.ImportRow_UPDATED)},
		{"unchanged", c.GetUnchanged(), of(exchangev1.ImportRow_UNCHANGED)},
		{"quarantined", c.GetQuarantined(), of(exchangev1.ImportRow_QUARANTINED)},
		{"repeated", c.GetRepeated(), of(exchangev1.ImportRow_REPEATED)},
		{"repaired", c.GetRepaired(), rows + "?" + fieldRemarked + "=1"},
		{"empty", c.GetEmpty(), ""},
		{"vanished", c.GetVanished(), ""},
	}
}

// nameShown is how the page calls an import.
func nameShown(one *exchangev1.Import) string {
	if name := one.GetFileName(); name != "" {
		return name
	}
	return one.GetSource()
}
