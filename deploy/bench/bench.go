// Package bench measures a federation from outside: real processes on one
// machine, asked over the network, beside what the libraries below them can do.
package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"cidsistem.example/deploy/seed"
)

// Options of Run.
type Options struct {
	// Bin is the folder of the programs, cid-bench among them.
	Bin string
	// Dir is the folder below which data are kept while it runs; empty: that of
	// the system for temporary files.
	Dir string
	// Keep is a folder that keeps loaded nodes, so that the next run need not load
	// them again; empty: they are thrown away.
	Keep string
	// Only are the Parts to measure; none: all.
	Only []string
	// Records is how many each node gets, for each size to be measured.
	Records []int
	// Duration of one measurement.
	Duration time.Duration
	// Runs is how often each measurement is repeated; the median counts.
	Runs int
	// Out gets the Markdown, part by part.
	Out io.Writer
	// Progress gets a line a step.
	Progress io.Writer
}

// Parts that can be measured.
var Parts = []string{"writes", "import", "sync", "reads", "lists", "searches", "visible", "pages", "start"}

// Seed of the synthetic records.
const Seed = 1

// Validate tells what is wrong with the options.
func (o Options) Validate() error {
	var problems []error
	for _, part := range o.Only {
		if !slices.Contains(Parts, part) {
			problems = append(problems, fmt.Errorf("there is no part %q; the parts are %s", part, strings.Join(Parts, ", ")))
		}
	}
	if len(o.Records) == 0 || slices.Min(o.Records) < 1 || slices.Max(o.Records) > 1_000_000 {
		problems = append(problems, errors.New("records: give one or more numbers from 1 to 1000000"))
	}
	if o.Duration < time.Millisecond || o.Duration > time.Minute {
		problems = append(problems, errors.New("duration: from 1ms to 1m"))
	}
	if o.Runs < 1 || o.Runs > 100 {
		problems = append(problems, errors.New("runs: from 1 to 100"))
	}
	return errors.Join(problems...)
}

// A bench is one run of Run.
type bench struct {
	Options
	dir      string
	sample   []seed.Comune
	document document
	progress *progress
}

// Run measures, and writes what it found. When ctx ends it stops early; it
// leaves nothing behind in either case.
func Run(ctx context.Context, options Options) (err error) {
	if err := options.Validate(); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(options.Dir, "cid-bench-")
	if err != nil {
		return fmt.Errorf("make a folder for the data: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	b := &bench{
		Options: options, dir: dir,
		document: document{options.Out}, progress: &progress{out: options.Progress, began: time.Now()},
	}
	if b.sample, err = seed.Load(seed.Sample()); err != nil {
		return fmt.Errorf("read the sample data: %w", err)
	}
	if err := b.head(); err != nil {
		return err
	}
	if b.wants("writes") {
		if err := b.writes(ctx); err != nil {
			return fmt.Errorf("writes: %w", err)
		}
	}
	if b.wants("import") {
		if err := b.imports(ctx, slices.Max(options.Records)); err != nil {
			return fmt.Errorf("import: %w", err)
		}
	}
	if !b.wants("sync", "reads", "lists", "searches", "visible", "pages", "start") {
		return nil
	}
	for _, count := range options.Records {
		if err := b.size(ctx, count); err != nil {
			return fmt.Errorf("with %d records a node: %w", count, err)
		}
	}
	return nil
}

// wants tells whether any of some parts is to be measured.
func (b *bench) wants(parts ...string) bool {
	return len(b.Only) == 0 || slices.ContainsFunc(parts, func(part string) bool { return slices.Contains(b.Only, part) })
}

// head writes what was measured on, and how.
func (b *bench) head() error {
	facts, err := machine(b.dir)
	if err != nil {
		return err
	}
	return errors.Join(
		b.document.heading(1, "Measurements of the federation"),
		b.document.table([]string{"machine", ""}, facts),
		b.document.paragraph("Three nodes, their ufficio comune and the gateway run as processes of their own, with mutual TLS on loopback; "+
			"the gateway itself is asked over plain HTTP. The load generator runs on the same cores and takes its part of them: the columns CPU tell how much. "+
			"Medians of %d runs of %s, targets in turn within each run. Times in milliseconds.", b.Runs, b.Duration),
	)
}

// grow makes the synthetic records of every comune.
func (b *bench) grow(count int) (map[string]*Records, error) {
	all := map[string]*Records{}
	for _, comune := range comuni() {
		records, err := Grow(b.sample, comune, count, Seed)
		if err != nil {
			return nil, err
		}
		all[comune] = records
	}
	return all, nil
}

// size measures everything that depends on how many records there are.
func (b *bench) size(ctx context.Context, count int) (err error) {
	records, err := b.grow(count)
	if err != nil {
		return err
	}
	b.progress.say("3 x %d records: start", count)
	f, err := startFederation(ctx, filepath.Join(b.dir, strconv.Itoa(count)), b.Bin, records, b.progress)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.stop(ctx)) }()
	// The office begins when the nodes have their records.
	if err := f.Office.Stop(ctx); err != nil {
		return err
	}
	if err := b.document.heading(2, fmt.Sprintf("3 × %s records", whole(float64(count)))); err != nil {
		return err
	}
	kept, err := b.keptAs(count, records)
	if err != nil {
		return err
	}
	if err := b.load(ctx, f, kept); err != nil {
		return err
	}
	if err := b.sync(ctx, f, kept); err != nil {
		return fmt.Errorf("sync: %w", err)
	}
	for _, part := range []struct {
		name    string
		measure func(context.Context, *federation) error
	}{
		{"reads", b.reads}, {"lists", b.lists}, {"searches", b.searches}, {"visible", b.visible}, {"pages", b.pages}, {"start", b.start},
	} {
		if b.wants(part.name) {
			if err := part.measure(ctx, f); err != nil {
				return fmt.Errorf("%s: %w", part.name, err)
			}
		}
	}
	return nil
}

// load fills the nodes, through the contract or with what was kept.
func (b *bench) load(ctx context.Context, f *federation, kept string) error {
	if kept != "" {
		if err := f.stopNodes(ctx); err != nil {
			return err
		}
		taken, err := f.takeKept(kept, comuni()...)
		if err := errors.Join(err, f.startNodes(ctx)); err != nil || taken {
			return err
		}
	}
	began := time.Now()
	if err := f.load(ctx, comuni()...); err != nil {
		return err
	}
	took, total := time.Since(began), 0
	for _, comune := range comuni() {
		total += f.records[comune].Total()
		if err := f.finds(ctx, comune, f.total(comune)); err != nil {
			return err
		}
	}
	err := b.document.paragraph("Loaded through the contract, %d clients a node, in %s s: %s records/s over all nodes, generator included; the nodes' own search had them all after %s s.",
		loaders, seconds(took), whole(float64(total)/took.Seconds()), seconds(time.Since(began)))
	if err != nil || kept == "" {
		return err
	}
	return errors.Join(f.stopNodes(ctx), f.keep(kept, comuni()...), f.startNodes(ctx))
}

// compare measures a comparison and writes its table.
func (b *bench) compare(ctx context.Context, title string, clients int, targets []target) error {
	c := comparison{targets: targets, clients: []int{1, clients}, runs: b.Runs, duration: b.Duration}
	began, err := busy()
	if err != nil {
		return err
	}
	ours, err := family()
	if err != nil {
		return err
	}
	clock := time.Now()
	found, err := c.measure(ctx, b.progress)
	if err != nil {
		return err
	}
	ended, err := busy()
	if err != nil {
		return err
	}
	oursEnded, err := family()
	if err != nil {
		return err
	}
	others := max(0, (ended-began)-(oursEnded-ours))
	return errors.Join(
		b.document.heading(3, title),
		b.document.comparison(c, found),
		b.document.paragraph("Other processes of the machine used %s cores meanwhile.", decimals(others.Seconds()/time.Since(clock).Seconds())),
	)
}
