package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"cidsistem.example/proto/gen/editorialv1"
)

// correctionsCommand is what others propose to put right.
func correctionsCommand(link *connection) *cobra.Command {
	command := &cobra.Command{
		Use: "corrections", Short: "See what others propose to put right, and decide on it",
		Long: `corrections works at the comune's node: on its local socket, or with the token of
somebody who writes the records. An ufficio comune has no corrections.`,
	}
	command.AddCommand(correctionsList(link), correctionsShow(link), correctionsDecide(link))
	return command
}

func correctionsList(link *connection) *cobra.Command {
	var state, record string
	command := &cobra.Command{
		Use: "list COMUNE", Short: "List corrections, the oldest first, without who proposed them", Args: cobra.ExactArgs(1),
		Example: "  cidctl corrections list comuni/marsala --state OPEN",
	}
	command.RunE = link.call(func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
		number, err := valueOf("--state", state, editorialv1.Correction_State_value)
		if err != nil {
			return err
		}
		call := &editorialv1.ListCorrectionsRequest{Parent: args[0], State: editorialv1.Correction_State(number), Record: record, PageSize: 1000}
		rows := [][]string{{"CORRECTION", "STATE", "FROM", "RECEIVED", "RECORD", "FIELDS"}}
		for more := true; more; more = call.GetPageToken() != "" {
			page, err := editorialv1.NewCorrectionServiceClient(conn).ListCorrections(ctx, call)
			if err != nil {
				return err
			}
			for _, c := range page.GetCorrections() {
				var fields []string
				for _, change := range c.GetChanges() {
					fields = append(fields, change.GetField())
				}
				rows = append(rows, []string{c.GetName(), c.GetState().String(), c.GetOrigin().String(), clock(c.GetCreateTime()), c.GetRecord(), strings.Join(fields, ", ")})
			}
			call.PageToken = page.GetNextPageToken()
		}
		return table(command.OutOrStdout(), rows)
	})
	command.Flags().StringVar(&state, "state", "", "only those that stand here: "+values(editorialv1.Correction_State_value))
	command.Flags().StringVar(&record, "record", "", "only those of this record")
	return command
}

func correctionsShow(link *connection) *cobra.Command {
	command := &cobra.Command{
		Use: "show CORRECTION", Short: "Show a correction, as YAML; leaves an entry in the audit log", Args: cobra.ExactArgs(1),
		Example: "  cidctl corrections show comuni/marsala/corrections/c06rt",
	}
	command.RunE = link.call(func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
		correction, err := editorialv1.NewCorrectionServiceClient(conn).GetCorrection(ctx, &editorialv1.GetCorrectionRequest{Name: args[0]})
		if err != nil {
			return err
		}
		return printMessage(command.OutOrStdout(), correction)
	})
	return command
}

func correctionsDecide(link *connection) *cobra.Command {
	var accept []int32
	var answer string
	command := &cobra.Command{
		Use: "decide CORRECTION", Short: "Take over some changes of a correction, or none of them", Args: cobra.ExactArgs(1),
		Long: `decide takes over the changes whose places, from 0, are in --accept, and rejects
the rest. Without --accept the whole correction is rejected.`,
		Example: "  cidctl corrections decide comuni/marsala/corrections/c06rt --accept 0,2 --answer 'Grazie'",
	}
	command.RunE = link.call(func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
		correction, err := editorialv1.NewCorrectionServiceClient(conn).DecideCorrection(ctx, &editorialv1.DecideCorrectionRequest{Name: args[0], Accepted: accept, Answer: answer})
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(command.OutOrStdout(), "%s is %s\n", args[0], correction.GetState())
		return err
	})
	command.Flags().Int32SliceVar(&accept, "accept", nil, "the places of the changes to take over, from 0")
	command.Flags().StringVar(&answer, "answer", "", "what the comune answers, for the history")
	return command
}

// confirmationsCommand is about the links with which organisations confirm their
// cards.
func confirmationsCommand(link *connection) *cobra.Command {
	command := &cobra.Command{
		Use: "confirmations", Short: "Send organisations links with which they confirm or correct their cards",
		Long: `confirmations works at the comune's node: on its local socket, or with the token
of somebody who writes the records. A link works once, for 30 days, and goes by
e-mail.`,
	}
	command.AddCommand(confirmationsList(link), confirmationsCreate(link))
	return command
}

func confirmationsList(link *connection) *cobra.Command {
	command := &cobra.Command{
		Use: "list COMUNE", Short: "List the links that were sent, the newest first", Args: cobra.ExactArgs(1),
		Example: "  cidctl confirmations list comuni/marsala",
	}
	command.RunE = link.call(func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
		call := &editorialv1.ListConfirmationsRequest{Parent: args[0], PageSize: 1000}
		rows := [][]string{{"CONFIRMATION", "STATE", "ORGANISATION", "CARDS", "SENT", "ANSWERED"}}
		for more := true; more; more = call.GetPageToken() != "" {
			page, err := editorialv1.NewCorrectionServiceClient(conn).ListConfirmations(ctx, call)
			if err != nil {
				return err
			}
			for _, c := range page.GetConfirmations() {
				rows = append(rows, []string{
					c.GetName(), c.GetState().String(), c.GetOrganization(), strconv.Itoa(len(c.GetRecords())), clock(c.GetCreateTime()), clock(c.GetAnswerTime()),
				})
			}
			call.PageToken = page.GetNextPageToken()
		}
		return table(command.OutOrStdout(), rows)
	})
	return command
}

func confirmationsCreate(link *connection) *cobra.Command {
	var email string
	var records []string
	command := &cobra.Command{
		Use: "create ORGANISATION --to E-MAIL", Short: "Send an organisation a link to its cards", Args: cobra.ExactArgs(1),
		Example: "  cidctl confirmations create comuni/marsala/organizations/aias --to info@aias.example",
	}
	command.RunE = link.call(func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
		parent, err := comuneOf(args[0])
		if err != nil {
			return err
		}
		made, err := editorialv1.NewCorrectionServiceClient(conn).CreateConfirmation(ctx, &editorialv1.CreateConfirmationRequest{
			Parent: parent, Confirmation: &editorialv1.Confirmation{Organization: args[0], Email: email, Records: records},
		})
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(command.OutOrStdout(), "%s for %d cards, in the message %s\n", made.GetName(), len(made.GetRecords()), made.GetMessage())
		return err
	})
	command.Flags().StringVar(&email, "to", "", "the address of the organisation")
	command.Flags().StringSliceVar(&records, "card", nil, "only these cards, by name")
	if err := command.MarkFlagRequired("to"); err != nil {
		panic(err) // the flag is a few lines above
	}
	return command
}
