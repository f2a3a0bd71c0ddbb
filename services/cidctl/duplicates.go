package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"cidsistem.example/proto/gen/editorialv1"
)

// duplicatesCommand looks after records that may be the same.
func duplicatesCommand(link *connection) *cobra.Command {
	command := &cobra.Command{
		Use: "duplicates", Short: "See which records may be the same, decide about them, make one of two",
		Long: `At a comune's node both records are of the comune; at an ufficio comune they are of
different comuni, and can be decided about, not merged.`,
	}
	command.AddCommand(duplicatesList(link), duplicatesDecide(link, "different", "Say that two records are not the same", true),
		duplicatesDecide(link, "undecide", "Look at two records again", false), duplicatesMerge(link), duplicatesUndo(link))
	return command
}

func duplicatesList(link *connection) *cobra.Command {
	var record string
	var decided bool
	command := &cobra.Command{
		Use: "list COMUNE", Short: `List pairs that look alike, the surest first; "comuni/-" for all`, Args: cobra.ExactArgs(1),
		Example: "  cidctl duplicates list comuni/marsala",
	}
	command.RunE = link.call(func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
		call := &editorialv1.ListDuplicatesRequest{Parent: args[0], Record: record, ShowDecided: decided, PageSize: 1000}
		rows := [][]string{{"SCORE", "FIRST", "SECOND", "TITLES", "REASONS"}}
		for more := true; more; more = call.GetPageToken() != "" {
			page, err := editorialv1.NewDuplicateServiceClient(conn).ListDuplicates(ctx, call)
			if err != nil {
				return err
			}
			for _, d := range page.GetDuplicates() {
				var reasons []string
				for _, reason := range d.GetReasons() {
					reasons = append(reasons, strings.TrimSpace(reason.GetKind().String()+" "+reason.GetValue()))
				}
				score := fmt.Sprint(d.GetScore())
				if d.GetDecidedDifferent() {
					score += " (different)"
				}
				rows = append(rows, []string{score, d.GetFirst(), d.GetSecond(), d.GetFirstTitle() + " / " + d.GetSecondTitle(), strings.Join(reasons, "; ")})
			}
			call.PageToken = page.GetNextPageToken()
		}
		return table(command.OutOrStdout(), rows)
	})
	command.Flags().StringVar(&record, "record", "", "only pairs with this record")
	command.Flags().BoolVar(&decided, "decided", false, "also pairs that were said to be different")
	return command
}

// comuneIn is the comune of a record by its name.
func comuneIn(record string) string {
	parts := strings.SplitN(record, "/", 3)
	return strings.Join(parts[:min(2, len(parts))], "/")
}

func duplicatesDecide(link *connection, use, short string, different bool) *cobra.Command {
	command := &cobra.Command{
		Use: use + " FIRST SECOND", Short: short, Args: cobra.ExactArgs(2),
		Example: "  cidctl duplicates " + use + " comuni/marsala/organizations/aias comuni/marsala/organizations/aias-2",
	}
	command.RunE = link.call(func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
		_, err := editorialv1.NewDuplicateServiceClient(conn).DecideDuplicate(ctx, &editorialv1.DecideDuplicateRequest{
			Parent: comuneIn(args[0]), First: args[0], Second: args[1], Different: different,
		})
		return err
	})
	return command
}

func duplicatesMerge(link *connection) *cobra.Command {
	var dryRun bool
	command := &cobra.Command{
		Use: "merge KEEP DROP", Short: "Let one record go, and all that pointed to it point to the other", Args: cobra.ExactArgs(2),
		Long: `merge keeps the first record as it is. All that pointed to the second points to the
first; the second is deleted and leads to the first. It can be taken back for 90
days with cidctl duplicates undo.`,
		Example: "  cidctl duplicates merge comuni/marsala/organizations/aias comuni/marsala/organizations/aias-2 --dry-run",
	}
	command.RunE = link.call(func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
		answer, err := editorialv1.NewDuplicateServiceClient(conn).MergeRecords(ctx, &editorialv1.MergeRecordsRequest{
			Parent: comuneIn(args[0]), Keep: args[0], Drop: args[1], ValidateOnly: dryRun,
		})
		if err != nil {
			return err
		}
		said := "leads"
		if dryRun {
			said = "would lead"
		}
		_, err = fmt.Fprintf(command.OutOrStdout(), "%s %s to %s; %d records point there instead\n%s", args[1], said, args[0], len(answer.GetReferrers()), lines(answer.GetReferrers()))
		return err
	})
	command.Flags().BoolVar(&dryRun, "dry-run", false, "tell what would change, and change nothing")
	return command
}

func duplicatesUndo(link *connection) *cobra.Command {
	command := &cobra.Command{
		Use: "undo DROPPED", Short: "Take a merge back, by the record that went", Args: cobra.ExactArgs(1),
		Example: "  cidctl duplicates undo comuni/marsala/organizations/aias-2",
	}
	command.RunE = link.call(func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
		answer, err := editorialv1.NewDuplicateServiceClient(conn).UndoMerge(ctx, &editorialv1.UndoMergeRequest{Parent: comuneIn(args[0]), Record: args[0]})
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(command.OutOrStdout(), "%s is back; %d records point to it again\n%s", args[0], len(answer.GetReferrers()), lines(answer.GetReferrers()))
		return err
	})
	return command
}

func lines(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return "  " + strings.Join(names, "\n  ") + "\n"
}
