package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"cidsistem.example/proto/gen/exchangev1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/platform/cli"
)

// importPoll is how often the progress of an import is asked for.
const importPoll = 500 * time.Millisecond

func importCommand(link *connection) *cobra.Command {
	var in, resume, visibility string
	var dry, report bool
	var maps []string
	asked := &exchangev1.Import{}
	command := &cobra.Command{
		Use: "import [FILE]", Short: "Take records over from a file", Args: cobra.MaximumNArgs(1),
		Long: `import uploads a CSV, XLSX or ODS spreadsheet, HSDS, or an export of another node,
guesses what its columns mean, and takes the records over. The progress goes to
standard error, the report to standard output. An import that was broken off goes
on with --resume. It ends with an error when rows could not be taken.`,
		Example: `  cidctl import servizi.xlsx --in comuni/marsala --source elenco-servizi --collection services --dry-run
  cidctl import --resume comuni/marsala/imports/i18c3`,
		RunE: link.call(func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
			imports := exchangev1.NewImportServiceClient(conn)
			name := resume
			switch {
			case resume == "" && len(args) == 1:
				if in == "" || asked.GetSource() == "" {
					return cli.UsageError(errors.New("say --in comuni/… and --source"))
				}
				asked.Visibility = registryv1.Visibility(registryv1.Visibility_value[strings.ToUpper(visibility)])
				made, err := createImport(ctx, conn, in, args[0], asked, maps)
				if err != nil {
					return err
				}
				name = made.GetName()
			case resume == "" || len(args) > 0:
				return cli.UsageError(errors.New("give a file, or --resume and the name of an import"))
			}
			standing, err := imports.GetImport(ctx, &exchangev1.GetImportRequest{Name: name})
			if err != nil {
				return err
			}
			if standing.GetState() != exchangev1.Import_RUNNING {
				if _, err := imports.RunImport(ctx, &exchangev1.RunImportRequest{Name: name, DryRun: dry}); err != nil {
					return err
				}
			}
			done, err := follow(ctx, imports, name)
			if err != nil {
				return err
			}
			if report {
				if err := printReport(ctx, imports, name); err != nil {
					return err
				}
			}
			if err := printCounts(done); err != nil {
				return err
			}
			switch {
			case done.GetError() != "":
				return errors.New(done.GetError())
			case done.GetCounts().GetQuarantined() > 0:
				return fmt.Errorf("%d rows could not be taken; see --report", done.GetCounts().GetQuarantined())
			}
			return nil
		}),
	}
	flags := command.Flags()
	flags.StringVar(&in, "in", "", `the comune, "comuni/marsala"`)
	flags.StringVar(&asked.Source, "source", "", "the source, a short name that stays the same from one file to the next")
	flags.StringVar(&asked.Collection, "collection", "", "the kind of the records of a spreadsheet: services, organizations, locations, operators")
	flags.StringVar(&asked.Table, "table", "", "the sheet of a workbook (the first with content)")
	flags.Int64Var(&asked.HeadingLine, "heading", 0, "the line of the last heading (guessed)")
	flags.StringSliceVar(&maps, "column", nil, `what a column means, "HEADING=TARGET"; "HEADING=" leaves it out`)
	flags.StringVar(&visibility, "visibility", "LOCAL", "who may see new records: PUBLIC, NETWORK, LOCAL")
	flags.BoolVar(&asked.AllOrNothing, "all-or-nothing", false, "write nothing when a row cannot be taken")
	flags.BoolVar(&dry, "dry-run", false, "only tell what would happen")
	flags.BoolVar(&report, "report", false, "print what became of each row")
	flags.StringVar(&resume, "resume", "", "go on with an import that was stopped, by its name")
	return command
}

// createImport uploads a file and says what its columns mean.
func createImport(ctx context.Context, conn *grpc.ClientConn, in, path string, asked *exchangev1.Import, maps []string) (*exchangev1.Import, error) {
	uploaded, err := upload(ctx, conn, in, path)
	if err != nil {
		return nil, err
	}
	imports := exchangev1.NewImportServiceClient(conn)
	asked.File, asked.FileName = uploaded.GetName(), filepath.Base(path)
	made, err := imports.CreateImport(ctx, &exchangev1.CreateImportRequest{Parent: in, Import: asked})
	if err != nil {
		return nil, err
	}
	for _, m := range maps {
		heading, target, ok := strings.Cut(m, "=")
		found := false
		for _, column := range made.GetColumns() {
			if ok && strings.EqualFold(column.GetHeading(), strings.TrimSpace(heading)) {
				column.Target, found = strings.TrimSpace(target), true
			}
		}
		if !found {
			return nil, cli.UsageError(fmt.Errorf("--column %q: the file has no such heading", m))
		}
	}
	if len(maps) > 0 {
		if made, err = imports.UpdateImport(ctx, &exchangev1.UpdateImportRequest{Import: made}); err != nil {
			return nil, err
		}
	}
	for _, column := range made.GetColumns() {
		target := column.GetTarget()
		if target == "" {
			target = "(not imported)"
		}
		fmt.Fprintf(os.Stderr, "%-40s %s\n", column.GetHeading(), target)
	}
	return made, nil
}

// upload sends a file to a comune.
func upload(ctx context.Context, conn *grpc.ClientConn, in, path string) (*registryv1.File, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, cli.UsageError(err)
	}
	stream, err := registryv1.NewFileServiceClient(conn).UploadFile(ctx)
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256(data)
	header := &registryv1.UploadFileRequest_Header{Parent: in, Sha256: hex.EncodeToString(digest[:])}
	err = stream.Send(&registryv1.UploadFileRequest{Part: &registryv1.UploadFileRequest_Header_{Header: header}})
	for err == nil && len(data) > 0 {
		n := min(len(data), 256<<10)
		err = stream.Send(&registryv1.UploadFileRequest{Part: &registryv1.UploadFileRequest_Data{Data: data[:n]}})
		data = data[n:]
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return stream.CloseAndRecv()
}

// follow waits for the end of an import and tells how far it is.
func follow(ctx context.Context, imports exchangev1.ImportServiceClient, name string) (*exchangev1.Import, error) {
	tick := time.NewTicker(importPoll)
	defer tick.Stop()
	for {
		now, err := imports.GetImport(ctx, &exchangev1.GetImportRequest{Name: name})
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(os.Stderr, "\r%s %d of %d lines ", strings.ToLower(now.GetState().String()), now.GetLinesDone(), now.GetLinesTotal())
		if now.GetState() != exchangev1.Import_RUNNING {
			fmt.Fprintln(os.Stderr)
			return now, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			fmt.Fprintf(os.Stderr, "\nthe import goes on at the node; follow it with: cidctl import --resume %s\n", name)
			return nil, ctx.Err()
		}
	}
}

func printCounts(done *exchangev1.Import) error {
	c := done.GetCounts()
	return table(os.Stdout, [][]string{
		{"IMPORT", "STATE", "ROWS", "CREATED", "UPDATED", "UNCHANGED", "QUARANTINED", "REPEATED", "EMPTY", "REPAIRED", "VANISHED"},
		{
			done.GetName(), done.GetState().String(), fmt.Sprint(c.GetRows()), fmt.Sprint(c.GetCreated()), fmt.Sprint(c.GetUpdated()), fmt.Sprint(c.GetUnchanged()),
			fmt.Sprint(c.GetQuarantined()), fmt.Sprint(c.GetRepeated()), fmt.Sprint(c.GetEmpty()), fmt.Sprint(c.GetRepaired()), fmt.Sprint(c.GetVanished()),
		},
	})
}

func printReport(ctx context.Context, imports exchangev1.ImportServiceClient, name string) error {
	rows := [][]string{{"LINE", "OUTCOME", "RECORD", "REMARKS"}}
	call := &exchangev1.ListImportRowsRequest{Name: name, PageSize: 1000}
	for {
		page, err := imports.ListImportRows(ctx, call)
		if err != nil {
			return err
		}
		for _, row := range page.GetRows() {
			var remarks []string
			for _, r := range row.GetRemarks() {
				remarks = append(remarks, strings.Join(strings.Fields(r.GetColumn()+": "+r.GetDescription()+" "+r.GetValue()), " "))
			}
			rows = append(rows, []string{fmt.Sprint(row.GetLine()), row.GetOutcome().String(), row.GetRecord(), strings.Join(remarks, "; ")})
		}
		if call.PageToken = page.GetNextPageToken(); call.PageToken == "" {
			return table(os.Stdout, rows)
		}
	}
}

func exportCommand(link *connection) *cobra.Command {
	var in, format, to string
	call := &exchangev1.ExportRecordsRequest{}
	command := &cobra.Command{
		Use: "export", Short: "Write the public catalogue as a file", Args: cobra.NoArgs,
		Example: "  cidctl export --in comuni/marsala --format package --to marsala.zip",
		RunE: link.call(func(ctx context.Context, conn *grpc.ClientConn, _ []string) error {
			call.Parent = in
			call.Format = exchangev1.ExportFormat(exchangev1.ExportFormat_value[strings.ToUpper(strings.ReplaceAll(format, "-", "_"))])
			if call.GetFormat() == 0 {
				return cli.UsageError(fmt.Errorf("--format %q: one of csv, xlsx, hsds-json, hsds-tabular, json-lines, package, sioss, istat", format))
			}
			stream, err := exchangev1.NewExportServiceClient(conn).ExportRecords(ctx, call)
			if err != nil {
				return err
			}
			out := os.Stdout
			if to != "" {
				if out, err = os.Create(filepath.Clean(to)); err != nil {
					return err
				}
			}
			for {
				piece, err := stream.Recv()
				if errors.Is(err, io.EOF) {
					break
				}
				if err == nil {
					_, err = out.Write(piece.GetData())
				}
				if err != nil {
					if to != "" {
						err = errors.Join(err, out.Close(), os.Remove(filepath.Clean(to))) // half a file is none
					}
					return err
				}
			}
			if to == "" {
				return nil
			}
			return errors.Join(out.Sync(), out.Close())
		}),
	}
	flags := command.Flags()
	flags.StringVar(&in, "in", "comuni/-", `what: "comuni/marsala", or "comuni/-" for all comuni`)
	flags.StringVar(&format, "format", "json-lines", "csv, xlsx, hsds-json, hsds-tabular, json-lines, package, sioss, istat")
	flags.StringVar(&to, "to", "", "the file to write (standard output)")
	flags.StringSliceVar(&call.Collections, "collection", nil, "only these collections; CSV takes one")
	return command
}
