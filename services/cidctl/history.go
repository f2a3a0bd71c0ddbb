package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/editorialv1"
	"cidsistem.example/services/platform/cli"
)

// recordsCommand is what the people of a comune do with records beyond writing
// them.
func recordsCommand(link *connection) *cobra.Command {
	command := &cobra.Command{
		Use: "records", Short: "See what happened to records, verify, suspend and restore them",
		Long: `records works at the comune's node: on its local socket, or with the token of
somebody who writes the records.`,
	}
	command.AddCommand(recordsHistory(link), recordsVersion(link), recordsRestore(link), recordsVerify(link), recordsDue(link), recordsSuspend(link), recordsResume(link))
	return command
}

// comuneOf is the comune of a record's name, as a parent.
func comuneOf(record string) (string, error) {
	name, err := named(record)
	if err != nil {
		return "", err
	}
	return catalog.ComuneName(name.Comune()), nil
}

func clock(t *timestamppb.Timestamp) string {
	if t == nil {
		return ""
	}
	return t.AsTime().Local().Format("2006-01-02 15:04")
}

func recordsHistory(link *connection) *cobra.Command {
	command := &cobra.Command{
		Use: "history NAME", Short: "List what happened to a record, the newest first", Args: cobra.ExactArgs(1),
		Example: "  cidctl records history comuni/marsala/services/asacom",
	}
	command.RunE = link.call(func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
		parent, err := comuneOf(args[0])
		if err != nil {
			return err
		}
		call := &editorialv1.ListRecordChangesRequest{Parent: parent, Record: args[0], PageSize: 1000}
		rows := [][]string{{"REVISION", "WHAT", "WHEN", "WHO", "FIELDS", "NOTE"}}
		for more := true; more; more = call.GetPageToken() != "" {
			page, err := editorialv1.NewRecordServiceClient(conn).ListRecordChanges(ctx, call)
			if err != nil {
				return err
			}
			for _, change := range page.GetChanges() {
				what := change.GetAction().String()
				if change.GetMeans() != 0 {
					what += " " + change.GetMeans().String()
				}
				rows = append(rows, []string{
					strconv.FormatInt(change.GetRevision(), 10), what, clock(change.GetChangeTime()), change.GetActor(), strings.Join(change.GetFields(), ", "), change.GetNote(),
				})
			}
			call.PageToken = page.GetNextPageToken()
		}
		return table(command.OutOrStdout(), rows)
	})
	return command
}

// revisionOf reads a revision from the command line.
func revisionOf(text string) (int64, error) {
	revision, err := strconv.ParseInt(text, 10, 64)
	if err != nil || revision < 1 {
		return 0, cli.UsageError(fmt.Errorf("%q is not a revision; see: cidctl records history", text))
	}
	return revision, nil
}

func recordsVersion(link *connection) *cobra.Command {
	command := &cobra.Command{
		Use: "version NAME REVISION", Short: "Show a record as it was after a change, as YAML", Args: cobra.ExactArgs(2),
		Example: "  cidctl records version comuni/marsala/services/asacom 417",
	}
	command.RunE = link.call(func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
		parent, err := comuneOf(args[0])
		if err != nil {
			return err
		}
		revision, err := revisionOf(args[1])
		if err != nil {
			return err
		}
		version, err := editorialv1.NewRecordServiceClient(conn).GetRecordVersion(ctx, &editorialv1.GetRecordVersionRequest{Parent: parent, Record: args[0], Revision: revision})
		if err != nil {
			return err
		}
		record, err := version.GetRecord().UnmarshalNew()
		if err != nil {
			return fmt.Errorf("a record of a kind that this program does not know: %w", err)
		}
		return printMessage(command.OutOrStdout(), record)
	})
	return command
}

// changed says what became of a record.
func changed(command *cobra.Command, name string, version *editorialv1.RecordVersion, err error) error {
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(command.OutOrStdout(), "%s: %s at revision %d\n", name, version.GetChange().GetAction(), version.GetChange().GetRevision())
	return err
}

func recordsRestore(link *connection) *cobra.Command {
	var note string
	command := &cobra.Command{
		Use: "restore NAME REVISION", Short: "Write a record anew as it was after a change", Args: cobra.ExactArgs(2),
		Example: "  cidctl records restore comuni/marsala/services/asacom 417 --note 'cancellato per errore'",
	}
	command.RunE = link.call(func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
		parent, err := comuneOf(args[0])
		if err != nil {
			return err
		}
		revision, err := revisionOf(args[1])
		if err != nil {
			return err
		}
		version, err := editorialv1.NewRecordServiceClient(conn).RestoreRecord(ctx, &editorialv1.RestoreRecordRequest{Parent: parent, Record: args[0], Revision: revision, Note: note})
		return changed(command, args[0], version, err)
	})
	command.Flags().StringVar(&note, "note", "", "why, for the history")
	return command
}

func recordsVerify(link *connection) *cobra.Command {
	var note, means, until string
	command := &cobra.Command{
		Use: "verify NAME --by MEANS", Short: "Say that a record was checked and is true as it stands", Args: cobra.ExactArgs(1),
		Example: "  cidctl records verify comuni/marsala/services/asacom --by BY_PHONE --note 'sentito il centralino'",
	}
	command.RunE = link.call(func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
		parent, err := comuneOf(args[0])
		if err != nil {
			return err
		}
		number, err := valueOf("--by", means, editorialv1.VerificationMeans_value)
		if err != nil {
			return err
		}
		call := &editorialv1.VerifyRecordRequest{Parent: parent, Record: args[0], Means: editorialv1.VerificationMeans(number), Note: note}
		if until != "" {
			day, err := time.ParseInLocation(time.DateOnly, until, time.Local)
			if err != nil {
				return cli.UsageError(fmt.Errorf("--until %q: write a day such as 2027-06-30", until))
			}
			call.VerifyByTime = timestamppb.New(day)
		}
		version, err := editorialv1.NewRecordServiceClient(conn).VerifyRecord(ctx, call)
		return changed(command, args[0], version, err)
	})
	command.Flags().StringVar(&means, "by", "", "how it was checked: "+values(editorialv1.VerificationMeans_value))
	command.Flags().StringVar(&until, "until", "", "the day by which it must be verified again; by default after the time of its kind")
	command.Flags().StringVar(&note, "note", "", "what the office noted; no person's data")
	if err := command.MarkFlagRequired("by"); err != nil {
		panic(err) // the flag is a few lines above
	}
	return command
}

func recordsDue(link *connection) *cobra.Command {
	var before string
	command := &cobra.Command{
		Use: "due COMUNE", Short: "List the records that must be verified again, the most overdue first", Args: cobra.ExactArgs(1),
		Example: "  cidctl records due comuni/marsala\n  cidctl records due comuni/marsala --before 2027-03-01",
	}
	command.RunE = link.call(func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
		call := &editorialv1.ListDueRecordsRequest{Parent: args[0], PageSize: 1000}
		if before != "" {
			day, err := time.ParseInLocation(time.DateOnly, before, time.Local)
			if err != nil {
				return cli.UsageError(fmt.Errorf("--before %q: write a day such as 2027-06-30", before))
			}
			call.DueBeforeTime = timestamppb.New(day)
		}
		rows := [][]string{{"NAME", "TITLE", "DUE", "VERIFIED", "KEPT BY"}}
		for more := true; more; more = call.GetPageToken() != "" {
			page, err := editorialv1.NewRecordServiceClient(conn).ListDueRecords(ctx, call)
			if err != nil {
				return err
			}
			for _, r := range page.GetRecords() {
				rows = append(rows, []string{r.GetRecord(), r.GetTitle(), clock(r.GetDueTime()), clock(r.GetVerifyTime()), r.GetKeeper()})
			}
			call.PageToken = page.GetNextPageToken()
		}
		return table(command.OutOrStdout(), rows)
	})
	command.Flags().StringVar(&before, "before", "", "those that are due before a day; by default those that are due now")
	return command
}

func recordsSuspend(link *connection) *cobra.Command {
	var note string
	command := &cobra.Command{
		Use: "suspend NAME", Short: "Take a record out of sight; it stays on the node", Args: cobra.ExactArgs(1),
		Example: "  cidctl records suspend comuni/marsala/services/asacom --note 'chiuso per lavori'",
	}
	command.RunE = link.call(func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
		parent, err := comuneOf(args[0])
		if err != nil {
			return err
		}
		version, err := editorialv1.NewRecordServiceClient(conn).SuspendRecord(ctx, &editorialv1.SuspendRecordRequest{Parent: parent, Record: args[0], Note: note})
		return changed(command, args[0], version, err)
	})
	command.Flags().StringVar(&note, "note", "", "why, for the history")
	return command
}

func recordsResume(link *connection) *cobra.Command {
	var note string
	command := &cobra.Command{
		Use: "resume NAME", Short: "Show a suspended record again, to those who saw it before", Args: cobra.ExactArgs(1),
		Example: "  cidctl records resume comuni/marsala/services/asacom",
	}
	command.RunE = link.call(func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
		parent, err := comuneOf(args[0])
		if err != nil {
			return err
		}
		version, err := editorialv1.NewRecordServiceClient(conn).ResumeRecord(ctx, &editorialv1.ResumeRecordRequest{Parent: parent, Record: args[0], Note: note})
		return changed(command, args[0], version, err)
	})
	command.Flags().StringVar(&note, "note", "", "why, for the history")
	return command
}
