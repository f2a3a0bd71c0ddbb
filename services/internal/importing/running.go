package importing

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/auditv1"
	"cidsistem.example/proto/gen/exchangev1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/policy"
	"cidsistem.example/services/internal/records"
	"cidsistem.example/services/internal/references"
	"cidsistem.example/services/internal/store"
)

const (
	// batchLines is how many lines one commit takes: others who write wait so long.
	batchLines = 250
	// mostVanished bounds the vanished records that are named.
	mostVanished = 1000
	// maxRecordBytes of an imported record leaves room for what the server adds.
	maxRecordBytes = store.MaxRecordBytes - 4096
)

// errStopped says that an import does not run any more.
var errStopped = errors.New("the import was stopped")

// Run goes on with imports that run, one after the other, until the context
// ends: also with those that ran when the node stopped.
func (s *Server) Run(ctx context.Context) error {
	for {
		name, err := s.next()
		if err == nil && name != "" {
			err = s.runOne(ctx, name)
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && !errors.Is(err, errStopped):
			s.Logger.Error("import failed", "import", name, "error", err)
			if err := s.failed(ctx, name, err); err != nil {
				return fmt.Errorf("note that an import failed: %w", err)
			}
		case name != "":
			continue
		}
		if name != "" {
			continue
		}
		select {
		case <-s.wake:
		case <-ctx.Done():
			return nil
		}
	}
}

// next finds the oldest import that runs, empty for none.
func (s *Server) next() (name string, err error) {
	err = s.Store.View(func(r store.Reader) error {
		for key := range r.LocalKeys(areaImports) {
			one, err := s.load(r, key.ID)
			if err != nil {
				return err
			}
			if one.GetState() == exchangev1.Import_RUNNING {
				name = one.GetName()
				return nil
			}
		}
		return nil
	})
	return name, err
}

// failed notes why an import could not go on.
func (s *Server) failed(ctx context.Context, name string, cause error) error {
	if name == "" {
		return cause
	}
	_, err := s.Store.Commit(ctx, store.Request{}, nil, func(r store.Reader, stamp store.Stamp) (store.Outcome, error) {
		one, err := s.load(r, name)
		if err != nil || one.GetState() != exchangev1.Import_RUNNING {
			return store.Outcome{}, err
		}
		one.State, one.Error = exchangev1.Import_FAILED, shortened(cause.Error(), 1000)
		puts := s.writer()
		puts.save(one, stamp)
		return puts.outcome()
	})
	return err
}

// A before is where a record of the file was said first.
type before struct {
	line   int64
	digest string
}

// A run is an import while it goes on.
type run struct {
	server *Server
	about  *exchangev1.Import
	work   job
	// inFile are the records that a file of whole records speaks of.
	inFile map[string]bool
	// seen are the records of which the lines so far speak.
	seen map[string]before
}

func (s *Server) runOne(ctx context.Context, name string) error {
	w := &run{server: s}
	err := s.Store.View(func(r store.Reader) (err error) {
		if w.about, err = s.load(r, name); err != nil {
			return err
		}
		known, err := s.openJob(r, name, &w.work)
		if err == nil && !known {
			err = errDamaged
		}
		return err
	})
	if err != nil {
		return err
	}
	data, err := s.read(w.about)
	if err != nil {
		return err
	}
	for {
		again, err := w.phase(ctx, data)
		if err != nil || !again {
			return err
		}
	}
}

// phase goes through the file once.
func (w *run) phase(ctx context.Context, data []byte) (again bool, err error) {
	source, err := w.server.source(w.about, data)
	if err != nil {
		return false, err
	}
	if w.inFile == nil && !spreadsheet(w.about.GetFormat()) {
		w.inFile = map[string]bool{}
		for c, err := range source {
			if err != nil {
				return false, err
			}
			if c.name.Kind != nil {
				w.inFile[c.name.String()] = true
			}
		}
	}
	w.seen = map[string]before{}
	batch := make([]*candidate, 0, batchLines)
	for c, err := range source {
		if err != nil {
			return false, err
		}
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		w.look(c)
		if c.line <= w.work.Cursor {
			continue
		}
		if batch = append(batch, c); len(batch) == batchLines {
			if err := w.commit(ctx, batch); err != nil {
				return false, err
			}
			batch = batch[:0]
		}
	}
	if len(batch) > 0 {
		if err := w.commit(ctx, batch); err != nil {
			return false, err
		}
	}
	return w.finish(ctx)
}

// look notes which record a line speaks of, and whether one before it did.
func (w *run) look(c *candidate) {
	if c.empty || c.name.Kind == nil {
		return
	}
	name := c.name.String()
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(c.content)
	digest := string(body)
	if err == nil && len(digest) > 16 {
		digest = recordID("x", "", digest)
	}
	first, known := w.seen[name]
	switch {
	case !known:
		w.seen[name] = before{c.line, digest}
	case first.digest == digest:
		c.repeats = first.line
	default:
		c.repeats = first.line
		c.wrong("", "", fmt.Sprintf("la riga %d parla della stessa scheda, ma dice altro", first.line))
	}
}

// commit accounts for a batch of lines in one transaction.
func (w *run) commit(ctx context.Context, batch []*candidate) error {
	s := w.server
	var one *exchangev1.Import
	var work job
	_, err := s.Store.Commit(ctx, store.Request{}, nil, func(r store.Reader, stamp store.Stamp) (store.Outcome, error) {
		var err error
		if one, err = s.load(r, w.about.GetName()); err != nil {
			return store.Outcome{}, err
		}
		if one.GetState() != exchangev1.Import_RUNNING {
			return store.Outcome{}, errStopped
		}
		work = w.work
		change := s.Records.Begin(r, stamp, policy.System())
		puts := s.writer()
		key := store.LocalKey{Area: areaRows(one.GetName()), ID: fmt.Sprintf("%012d", batch[0].line)}
		report := &exchangev1.ListImportRowsResponse{}
		if work.Phase == phaseLinks {
			if _, err := s.open(r, key, report); err != nil {
				return store.Outcome{}, err
			}
		}
		if one.Counts == nil {
			one.Counts = &exchangev1.Import_Counts{}
		}
		for _, c := range batch {
			if c.empty {
				if work.Phase != phaseLinks {
					one.Counts.Empty++
				}
				continue
			}
			row, err := w.decide(change, c, &work, stamp)
			if err != nil {
				return store.Outcome{}, err
			}
			if work.Phase != phaseLinks {
				count(one.GetCounts(), row)
				report.Rows = append(report.Rows, row)
			} else {
				for _, told := range report.GetRows() {
					if told.GetLine() == row.GetLine() && row.GetOutcome() == exchangev1.ImportRow_QUARANTINED {
						told.Remarks = append(told.Remarks, row.GetRemarks()...)
					}
				}
			}
		}
		work.Cursor = batch[len(batch)-1].line
		if work.Phase != phaseLinks {
			one.LinesDone = work.Cursor
		}
		puts.message(key, report)
		puts.saveJob(one.GetName(), work)
		puts.save(one, stamp)
		outcome, err := puts.outcome()
		if !work.DryRun && work.Phase != phaseCheck {
			outcome.Put = change.Put()
			outcome.Why = store.Why{Actor: work.Actor, Cause: one.GetName()}
		}
		if len(outcome.Put) > 0 {
			entry := policy.System().Entry(exchangev1.ImportService_RunImport_FullMethodName, one.GetName(), auditv1.AuditEntry_DONE)
			if work.Actor != "" {
				entry.Actor = work.Actor
			}
			entry.Count = int64(len(outcome.Put))
			outcome.Audit = append(outcome.Audit, entry)
		}
		return outcome, err
	})
	if err != nil {
		return err
	}
	w.about, w.work = one, work
	return nil
}

func count(counts *exchangev1.Import_Counts, row *exchangev1.ImportRow) {
	counts.Rows++
	switch row.GetOutcome() {
	case exchangev1.ImportRow_CREATED:
		counts.Created++
	case exchangev1.ImportRow_UPDATED:
		counts.Updated++
	case exchangev1.ImportRow_UNCHANGED:
		counts.Unchanged++
	case exchangev1.ImportRow_REPEATED:
		counts.Repeated++
	default:
		counts.Quarantined++
	}
	if (row.GetOutcome() == exchangev1.ImportRow_CREATED || row.GetOutcome() == exchangev1.ImportRow_UPDATED) && len(row.GetRemarks()) > 0 {
		counts.Repaired++
	}
}

// decide decides what becomes of a line.
func (w *run) decide(change *records.Change, c *candidate, work *job, stamp store.Stamp) (*exchangev1.ImportRow, error) {
	row := &exchangev1.ImportRow{Line: c.line, Outcome: exchangev1.ImportRow_QUARANTINED, Remarks: slices.Clone(c.remarks)}
	if c.content != nil {
		row.Title = shortened(catalog.RecordOf(c.content).Title(), 200)
	}
	if c.name.Kind != nil {
		row.Record = c.name.String()
	}
	add := func(column, description string) {
		row.Remarks = append(row.Remarks, &exchangev1.ImportRow_Remark{Column: column, Description: description})
	}
	switch {
	case c.bad:
		return row, nil
	case c.repeats > 0:
		row.Outcome = exchangev1.ImportRow_REPEATED
		add("", fmt.Sprintf("come la riga %d", c.repeats))
		return row, nil
	case c.name.Comune() != w.server.Comune:
		add("", "è una scheda di un altro comune")
		return row, nil
	case !slices.Contains(work.Kinds, c.name.Kind.Collection):
		add("", "chi importa non può scrivere: "+c.name.Kind.LabelPlural)
		return row, nil
	}
	before, err := change.Get(c.name)
	if err != nil {
		return nil, err
	}
	if before != nil && catalog.RecordOf(before).Deleted() {
		if merged := replacedBy(before); merged != "" {
			row.Outcome = exchangev1.ImportRow_UNCHANGED
			add("", "la scheda è stata unita a "+merged+": la riga non la cambia")
		} else {
			add("", "la scheda è stata ritirata: va ripristinata prima di importarla di nuovo")
		}
		return row, nil
	}
	if before == nil && c.name.Kind.Singleton {
		add("", "la scheda non c'è e non si può creare")
		return row, nil
	}
	content := proto.Clone(c.content)
	if !spreadsheet(w.about.GetFormat()) {
		if err := w.prune(change, content, c, work, row); err != nil {
			return nil, err
		}
	}
	asked, err := w.write(change, c, before, content, work, stamp, row)
	if err != nil && apierror.Reason(err) == registryv1.ErrorReason_ERROR_REASON_UNSPECIFIED {
		return nil, fmt.Errorf("line %d: %w", c.line, err)
	}
	if err != nil {
		return row, w.explain(change, c, before, asked, row, err)
	}
	return row, nil
}

func replacedBy(record proto.Message) string {
	if has, ok := record.(interface{ GetReplacedBy() string }); ok {
		return has.GetReplacedBy()
	}
	return ""
}

// prune takes references out that lead nowhere: those to records further on in
// the file come back in a later phase.
func (w *run) prune(change *records.Change, content proto.Message, c *candidate, work *job, row *exchangev1.ImportRow) error {
	var failed error
	dropped := references.Keep(content, func(target string) bool {
		name, err := catalog.ParseName(target)
		if err != nil {
			return true // the checks of records tell
		}
		record, err := change.Get(name)
		if err != nil {
			failed = err
			return true
		}
		return record != nil && !catalog.RecordOf(record).Deleted()
	})
	for _, target := range dropped {
		if w.inFile[target] && work.Phase != phaseLinks {
			work.Links = true
			continue
		}
		if work.Phase == phaseLinks && !w.inFile[target] {
			continue // told before
		}
		row.Remarks = append(row.Remarks, &exchangev1.ImportRow_Remark{Value: target, Description: "rimanda a una scheda che non c'è: il rimando è tolto"})
	}
	return failed
}

// write creates or changes the record of a line. It returns what was asked for.
func (w *run) write(change *records.Change, c *candidate, before, content proto.Message, work *job, stamp store.Stamp, row *exchangev1.ImportRow) (proto.Message, error) {
	if before == nil {
		asked := content
		if !c.whole {
			asked = proto.Clone(c.defaults)
			overlay(asked.ProtoReflect(), content.ProtoReflect())
			setVisibility(asked, work.Visibility)
			w.provenance(asked, stamp)
		} else if work.Visibility > catalog.RecordOf(asked).Visibility() {
			setVisibility(asked, work.Visibility)
		}
		catalog.RecordOf(asked).SetName(c.name.String())
		if proto.Size(asked) > maxRecordBytes {
			return asked, apierror.New(registryv1.ErrorReason_TOO_LARGE, "the record is too large")
		}
		if w.tellsOnly(work) && w.parentInFile(change, c.name) {
			row.Outcome = exchangev1.ImportRow_CREATED
			return asked, w.server.Rules.Validate(asked, c.name.Kind.Singular)
		}
		_, err := change.Create(c.name, asked)
		if err == nil {
			row.Outcome = exchangev1.ImportRow_CREATED
		}
		return asked, err
	}
	var asked proto.Message
	after, err := change.Update(c.name, "", func(after proto.Message) error {
		asked = after
		if c.whole {
			visibility := visibilityOf(after)
			proto.Reset(after)
			proto.Merge(after, content)
			if work.Visibility != registryv1.Visibility_PUBLIC {
				setVisibility(after, visibility)
			}
			return nil
		}
		overlay(after.ProtoReflect(), content.ProtoReflect())
		if !proto.Equal(before, after) {
			w.provenance(after, stamp)
		}
		return nil
	})
	switch {
	case err != nil:
		return asked, err
	case proto.Equal(after, before):
		row.Outcome = exchangev1.ImportRow_UNCHANGED
	case proto.Size(after) > maxRecordBytes:
		return asked, apierror.New(registryv1.ErrorReason_TOO_LARGE, "the record is too large")
	default:
		row.Outcome = exchangev1.ImportRow_UPDATED
	}
	return asked, nil
}

// tellsOnly tells whether the phase writes no records.
func (w *run) tellsOnly(work *job) bool { return work.DryRun || work.Phase == phaseCheck }

// parentInFile tells whether a record is inside one that the file brings.
func (w *run) parentInFile(change *records.Change, name catalog.Name) bool {
	parent, ok := name.Parent()
	if !ok || parent.Kind.Singleton || !w.inFile[parent.String()] {
		return false
	}
	there, err := change.Get(parent)
	return err == nil && there == nil
}

func visibilityOf(record proto.Message) registryv1.Visibility {
	if has, ok := record.(interface{ GetVisibility() registryv1.Visibility }); ok {
		return has.GetVisibility()
	}
	return registryv1.Visibility_VISIBILITY_UNSPECIFIED
}

// rome is where dates are.
var rome = func() *time.Location {
	place, err := time.LoadLocation("Europe/Rome")
	if err != nil {
		return time.UTC
	}
	return place
}()

// provenance says that a record comes from the import, as of the day that the
// file gives, or of today.
func (w *run) provenance(record proto.Message, stamp store.Stamp) {
	label := "Importazione «" + w.about.GetSource() + "»"
	if name := w.about.GetFileName(); name != "" {
		label += ", file " + name
	}
	today := stamp.Time.In(rome)
	from := &registryv1.Provenance{SourceKind: registryv1.Provenance_IMPORT, SourceLabel: label, AsOf: &registryv1.PartialDate{
		Year: int32(today.Year()), Month: int32(today.Month()), Day: int32(today.Day()),
	}}
	if have := catalog.RecordOf(record).Provenance(); have != nil {
		if have.GetAsOf() != nil {
			from.AsOf = have.GetAsOf()
		}
		// When it was verified stays.
		from.VerifyTime, from.Verifier, from.VerifyByTime = have.GetVerifyTime(), have.GetVerifier(), have.GetVerifyByTime()
	}
	set(record, "provenance", from)
}

// explain tells, field by field, why a line could not be taken.
func (w *run) explain(change *records.Change, c *candidate, before, asked proto.Message, row *exchangev1.ImportRow, refused error) error {
	row.Outcome = exchangev1.ImportRow_QUARANTINED
	if asked == nil {
		asked = c.content
	}
	problems, err := change.Problems(c.name, before, asked)
	if err != nil {
		return err
	}
	for _, problem := range problems {
		row.Remarks = append(row.Remarks, &exchangev1.ImportRow_Remark{Column: w.column(problem.GetField()), Description: problem.GetDescription()})
	}
	if len(problems) == 0 {
		row.Remarks = append(row.Remarks, &exchangev1.ImportRow_Remark{Description: apierror.Table[apierror.Reason(refused)].Title})
	}
	return nil
}

// column is the heading of the column that fills a field, else the field.
func (w *run) column(field string) string {
	for _, column := range w.about.GetColumns() {
		target, _, _ := cutField(column.GetTarget())
		if at, _, _ := cutField(field); target != "" && at == target {
			return column.GetHeading()
		}
	}
	return field
}

// finish ends a phase, and tells whether another one follows.
func (w *run) finish(ctx context.Context) (again bool, err error) {
	s := w.server
	vanished, err := w.vanished(ctx)
	if err != nil {
		return false, err
	}
	var one *exchangev1.Import
	work := w.work
	_, err = s.Store.Commit(ctx, store.Request{}, nil, func(r store.Reader, stamp store.Stamp) (store.Outcome, error) {
		var err error
		if one, err = s.load(r, w.about.GetName()); err != nil {
			return store.Outcome{}, err
		}
		if one.GetState() != exchangev1.Import_RUNNING {
			return store.Outcome{}, errStopped
		}
		puts := s.writer()
		puts.reader = r
		work, again = w.work, false
		if one.Counts == nil {
			one.Counts = &exchangev1.Import_Counts{}
		}
		one.Counts.Vanished, one.VanishedRecords = int64(len(vanished)), vanished[:min(len(vanished), mostVanished)]
		one.LinesDone = one.GetLinesTotal()
		switch {
		case work.DryRun:
			one.State = exchangev1.Import_CHECKED
		case work.Phase == phaseCheck && one.GetCounts().GetQuarantined() > 0:
			one.State = exchangev1.Import_CHECKED
			one.Error = fmt.Sprintf("non è stato scritto nulla: %d righe non si possono importare, ed era chiesto di importare tutto o niente", one.GetCounts().GetQuarantined())
		case work.Phase == phaseCheck:
			work.Phase, work.Cursor, again = phaseWrite, 0, true
			one.Counts, one.LinesDone = &exchangev1.Import_Counts{}, 0
			puts.forgetRows(one.GetName())
		case work.Phase == phaseWrite && work.Links:
			work.Phase, work.Cursor, again = phaseLinks, 0, true
		default:
			one.State = exchangev1.Import_DONE
		}
		puts.saveJob(one.GetName(), work)
		puts.save(one, stamp)
		return puts.outcome()
	})
	if err != nil {
		return false, err
	}
	w.about, w.work = one, work
	return again, nil
}

// vanished lists the records of the source of which the file does not speak any
// more.
func (w *run) vanished(ctx context.Context) (names []string, err error) {
	var collections []string
	switch {
	case spreadsheet(w.about.GetFormat()):
		collections = []string{w.about.GetCollection()}
	case w.about.GetFormat() == exchangev1.Import_HSDS_JSON, w.about.GetFormat() == exchangev1.Import_HSDS_TABULAR:
		collections = []string{"locations", "organizations", "services"}
	}
	mark := scheme(w.about.GetSource())
	for _, collection := range collections {
		query := store.Query{
			Kind: catalog.ByCollection(collection), Within: []string{w.server.Comune}, Limit: 500,
			Sight: catalog.Sight{Reads: registryv1.Visibility_LOCAL},
		}
		for {
			err := w.server.Store.View(func(r store.Reader) error {
				page, after, err := r.List(query)
				query.After = after
				for _, record := range page {
					name := catalog.RecordOf(record).Name()
					if _, seen := w.seen[name]; !seen && identifier(record, mark) != "" {
						names = append(names, name)
					}
				}
				return err
			})
			if err != nil || ctx.Err() != nil {
				return nil, errors.Join(err, ctx.Err())
			}
			if query.After == nil {
				break
			}
		}
	}
	return names, nil
}
