package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"cidsistem.example/proto/gen/deskv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/platform/cli"
)

// requestsWork are the commands of the desk's own work.
func requestsWork(link *connection) []*cobra.Command {
	return []*cobra.Command{
		requestsEnter(link), requestsAssign(link), requestsNote(link), requestsRegister(link), requestsSuspend(link), requestsResume(link),
		requestsTransfer(link), requestsTemplates(link),
	}
}

func requestsEnter(link *connection) *cobra.Command {
	var way, file string
	command := &cobra.Command{
		Use: "enter COMUNE --way WAY --from FILE", Short: "Write down what a person asks at the desk or on the telephone", Args: cobra.ExactArgs(1),
		Long: `enter reads the request from a YAML or JSON file, "-" for standard input: text,
contact, preferredChannel and whatever else the person says. It prints the private
code, once: give it to the person.`,
		Example: "  cidctl requests enter comuni/marsala --way TELEPHONE --from richiesta.yaml",
	}
	command.RunE = link.call(func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
		number, err := valueOf("--way", way, deskv1.Entry_Way_value)
		if err != nil {
			return err
		}
		request := &deskv1.Request{}
		if err := readFrom(command.InOrStdin(), file, request); err != nil {
			return err
		}
		made, err := deskv1.NewRequestServiceClient(conn).EnterRequest(ctx, &deskv1.EnterRequestRequest{Parent: args[0], Request: request, Way: deskv1.Entry_Way(number)})
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(command.OutOrStdout(), "%s\ncode: %s\n", made.GetRequest().GetName(), made.GetCode())
		return err
	})
	command.Flags().StringVar(&way, "way", "", "how it came in: TELEPHONE, AT_THE_DESK, IN_WRITING")
	command.Flags().StringVar(&file, "from", "-", `the file with the request; "-": standard input`)
	required(command, "way")
	return command
}

// required makes flags of a command necessary.
func required(command *cobra.Command, flags ...string) {
	for _, flag := range flags {
		if err := command.MarkFlagRequired(flag); err != nil {
			panic(err) // the flag is in a line above
		}
	}
}

// arranged runs a call about a request, and says how the request stands then.
func arranged(link *connection, command *cobra.Command, call func(ctx context.Context, client deskv1.RequestServiceClient, name string) (*deskv1.Request, error), say func(*deskv1.Request) string) {
	command.Args = cobra.ExactArgs(1)
	command.RunE = link.call(func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
		request, err := call(ctx, deskv1.NewRequestServiceClient(conn), args[0])
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(command.OutOrStdout(), "%s %s\n", args[0], say(request))
		return err
	})
}

func requestsAssign(link *connection) *cobra.Command {
	var to string
	var release bool
	command := &cobra.Command{
		Use: "assign REQUEST", Short: "Say who of the desk looks after a request; without --to it is who calls",
		Example: "  cidctl requests assign comuni/marsala/requests/rq7c2 --to nodes/marsala/accounts/a1\n  cidctl requests assign comuni/marsala/requests/rq7c2 --release",
	}
	arranged(link, command, func(ctx context.Context, client deskv1.RequestServiceClient, name string) (*deskv1.Request, error) {
		return client.AssignRequest(ctx, &deskv1.AssignRequestRequest{Name: name, Assignee: to, Release: release})
	}, func(r *deskv1.Request) string {
		if r.GetAssignee() == "" {
			return "is nobody's now"
		}
		return "is looked after by " + r.GetAssignee()
	})
	command.Flags().StringVar(&to, "to", "", "the account")
	command.Flags().BoolVar(&release, "release", false, "make it nobody's")
	command.MarkFlagsMutuallyExclusive("to", "release")
	return command
}

func requestsNote(link *connection) *cobra.Command {
	command := &cobra.Command{
		Use: "note REQUEST", Short: "Add a note that the desk alone reads, from standard input",
		Example: "  cidctl requests note comuni/marsala/requests/rq7c2 < nota.txt",
	}
	arranged(link, command, func(ctx context.Context, client deskv1.RequestServiceClient, name string) (*deskv1.Request, error) {
		text, err := io.ReadAll(command.InOrStdin())
		if err != nil {
			return nil, err
		}
		return client.AddNote(ctx, &deskv1.AddNoteRequest{Name: name, Text: strings.TrimSpace(string(text))})
	}, func(r *deskv1.Request) string { return fmt.Sprintf("has %d notes", len(r.GetNotes())) })
	return command
}

func requestsRegister(link *connection) *cobra.Command {
	var number, date, office string
	var days int32
	command := &cobra.Command{
		Use: "register REQUEST --number NUMBER --date DATE", Short: "Record the number of the protocollo; the statutory term runs from its day",
		Example: "  cidctl requests register comuni/marsala/requests/rq7c2 --number 2026/0012345 --date 2026-11-23 --days 30",
	}
	arranged(link, command, func(ctx context.Context, client deskv1.RequestServiceClient, name string) (*deskv1.Request, error) {
		day, err := time.Parse(time.DateOnly, date)
		if err != nil {
			return nil, cli.UsageError(fmt.Errorf("--date %q is not a date such as 2026-11-23", date))
		}
		return client.RegisterRequest(ctx, &deskv1.RegisterRequestRequest{Name: name, Registration: &deskv1.Registration{
			ProtocolNumber: number, ResponsibleOffice: office, TermDays: days,
			Date: &registryv1.PartialDate{Year: int32(day.Year()), Month: int32(day.Month()), Day: int32(day.Day())},
		}})
	}, func(r *deskv1.Request) string {
		if term := r.GetRegistration().GetTermDate(); term != nil {
			return "is registered; the term ends on " + dateText(term)
		}
		return "is registered; its clock stands still"
	})
	command.Flags().StringVar(&number, "number", "", "the number with its year")
	command.Flags().StringVar(&date, "date", "", "the day of the protocollo, YYYY-MM-DD")
	command.Flags().StringVar(&office, "office", "", "the office in charge")
	command.Flags().Int32Var(&days, "days", 30, "the statutory term, days of the calendar")
	required(command, "number", "date")
	return command
}

func requestsSuspend(link *connection) *cobra.Command {
	var reason, note string
	command := &cobra.Command{
		Use: "suspend REQUEST --reason REASON", Short: "Stop the clock of a request",
		Example: "  cidctl requests suspend comuni/marsala/requests/rq7c2 --reason WAITING_FOR_ASSESSMENT --note UVM",
	}
	arranged(link, command, func(ctx context.Context, client deskv1.RequestServiceClient, name string) (*deskv1.Request, error) {
		number, err := valueOf("--reason", reason, deskv1.Suspension_Reason_value)
		if err != nil {
			return nil, err
		}
		return client.SuspendRequest(ctx, &deskv1.SuspendRequestRequest{Name: name, Reason: deskv1.Suspension_Reason(number), Note: note})
	}, func(r *deskv1.Request) string {
		return fmt.Sprintf("stands still; %d working days are left", r.GetWorkingDaysLeft())
	})
	command.Flags().StringVar(&reason, "reason", "", "why: "+values(deskv1.Suspension_Reason_value))
	command.Flags().StringVar(&note, "note", "", "in words")
	required(command, "reason")
	return command
}

func requestsResume(link *connection) *cobra.Command {
	command := &cobra.Command{Use: "resume REQUEST", Short: "Let the clock of a request run again", Example: "  cidctl requests resume comuni/marsala/requests/rq7c2"}
	arranged(link, command, func(ctx context.Context, client deskv1.RequestServiceClient, name string) (*deskv1.Request, error) {
		return client.SuspendRequest(ctx, &deskv1.SuspendRequestRequest{Name: name, Resume: true})
	}, func(r *deskv1.Request) string { return "is due on " + dateText(r.GetDueDate()) })
	return command
}

func requestsTransfer(link *connection) *cobra.Command {
	var comune, consent string
	command := &cobra.Command{
		Use: "transfer REQUEST --to COMUNE --consent HOW", Short: "Hand a request over to the desk of another comune, with the person's consent",
		Long: `transfer sends a request with its messages and files to the node of another
comune, which must be among the peers of the node's settings. Once that node says
that it has the request, nothing of what it says is left here: only that it was
handed over. The person's code leads there. Repeat the command when the line broke.`,
		Example: `  cidctl requests transfer comuni/marsala/requests/rq7c2 --to comuni/mazara-del-vallo --consent "per telefono il 12/03/2026"`,
	}
	arranged(link, command, func(ctx context.Context, client deskv1.RequestServiceClient, name string) (*deskv1.Request, error) {
		return client.TransferRequest(ctx, &deskv1.TransferRequestRequest{Name: name, Comune: comune, Consent: consent})
	}, func(r *deskv1.Request) string { return "is " + r.GetTransfer().GetReceipt() + " now" })
	command.Flags().StringVar(&comune, "to", "", "the comune")
	command.Flags().StringVar(&consent, "consent", "", "how the person consented")
	required(command, "to", "consent")
	return command
}

func requestsTemplates(link *connection) *cobra.Command {
	command := &cobra.Command{Use: "templates", Short: "Look after the answers that the desk keeps ready"}
	list := &cobra.Command{
		Use: "list COMUNE", Short: "List them with their texts, as YAML", Args: cobra.ExactArgs(1), Example: "  cidctl requests templates list comuni/marsala",
	}
	list.RunE = link.call(func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
		call, all := &deskv1.ListCannedAnswersRequest{Parent: args[0], PageSize: 1000}, &deskv1.ListCannedAnswersResponse{}
		for more := true; more; more = call.GetPageToken() != "" {
			page, err := deskv1.NewRequestServiceClient(conn).ListCannedAnswers(ctx, call)
			if err != nil {
				return err
			}
			all.CannedAnswers, call.PageToken = append(all.GetCannedAnswers(), page.GetCannedAnswers()...), page.GetNextPageToken()
		}
		return printMessage(list.OutOrStdout(), all)
	})
	var title, outcome string
	keep := &cobra.Command{
		Use: "keep NAME --title TITLE", Short: "Keep an answer ready, or change one; the text comes from standard input", Args: cobra.ExactArgs(1),
		Example: `  cidctl requests templates keep comuni/marsala/templates/orari --title "Orari" < orari.txt`,
	}
	keep.RunE = link.call(func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
		number, err := valueOf("--outcome", outcome, deskv1.Request_Outcome_value)
		if err != nil {
			return err
		}
		text, err := io.ReadAll(keep.InOrStdin())
		if err != nil {
			return err
		}
		kept, err := deskv1.NewRequestServiceClient(conn).UpdateCannedAnswer(ctx, &deskv1.UpdateCannedAnswerRequest{CannedAnswer: &deskv1.CannedAnswer{
			Name: args[0], Title: title, Text: strings.TrimSpace(string(text)), Outcome: deskv1.Request_Outcome(number),
		}})
		if err != nil {
			return err
		}
		return printMessage(keep.OutOrStdout(), kept)
	})
	keep.Flags().StringVar(&title, "title", "", "what it is called at the desk")
	keep.Flags().StringVar(&outcome, "outcome", "", "the outcome that goes with it: "+values(deskv1.Request_Outcome_value))
	required(keep, "title")
	remove := &cobra.Command{
		Use: "remove NAME", Short: "Throw one away", Args: cobra.ExactArgs(1), Example: "  cidctl requests templates remove comuni/marsala/templates/orari",
	}
	remove.RunE = link.call(func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
		if _, err := deskv1.NewRequestServiceClient(conn).DeleteCannedAnswer(ctx, &deskv1.DeleteCannedAnswerRequest{Name: args[0]}); err != nil {
			return err
		}
		_, err := fmt.Fprintf(remove.OutOrStdout(), "%s is gone\n", args[0])
		return err
	})
	command.AddCommand(list, keep, remove)
	return command
}
