package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"cidsistem.example/proto/gen/deskv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/platform/cli"
)

// requestsCommand is the desk on the command line.
func requestsCommand(link *connection) *cobra.Command {
	command := &cobra.Command{
		Use: "requests", Short: "Read and answer what people ask the desk of a comune",
		Long: `requests works at the comune's node: on its local socket, or with the token of
somebody of the desk. Every reading and every answer leaves an entry in the audit
log. An ufficio comune has no requests.`,
	}
	command.AddCommand(requestsList(link), requestsShow(link), requestsAnswer(link), requestsAttachment(link))
	command.AddCommand(requestsWork(link)...)
	return command
}

func requestsList(link *connection) *cobra.Command {
	var state, kind, assignee string
	var overdue bool
	command := &cobra.Command{
		Use: "list COMUNE", Short: "List requests, the oldest first; nothing in the list tells of a person", Args: cobra.ExactArgs(1),
		Example: "  cidctl requests list comuni/marsala --overdue\n  cidctl requests list comuni/marsala --state RECEIVED",
	}
	command.RunE = link.call(func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
		call := &deskv1.ListRequestsRequest{Parent: args[0], Overdue: overdue, Assignee: assignee, PageSize: 1000}
		number, err := valueOf("--state", state, deskv1.Request_State_value)
		if err != nil {
			return err
		}
		call.State = deskv1.Request_State(number)
		if number, err = valueOf("--kind", kind, deskv1.Request_Kind_value); err != nil {
			return err
		}
		call.Kind = deskv1.Request_Kind(number)
		rows := [][]string{{"REQUEST", "KIND", "STATE", "RECEIVED", "DUE", "ASSIGNEE", "ABOUT"}}
		for more := true; more; more = call.GetPageToken() != "" {
			page, err := deskv1.NewRequestServiceClient(conn).ListRequests(ctx, call)
			if err != nil {
				return err
			}
			for _, r := range page.GetRequests() {
				rows = append(rows, requestRow(r))
			}
			call.PageToken = page.GetNextPageToken()
		}
		return table(command.OutOrStdout(), rows)
	})
	command.Flags().StringVar(&state, "state", "", "only those that stand here: "+values(deskv1.Request_State_value))
	command.Flags().StringVar(&kind, "kind", "", "only those of this kind: "+values(deskv1.Request_Kind_value))
	command.Flags().StringVar(&assignee, "assignee", "", `only those of this account; "-": those of nobody`)
	command.Flags().BoolVar(&overdue, "overdue", false, "only those whose last day is over")
	return command
}

func requestRow(r *deskv1.Request) []string {
	due := dateText(r.GetDueDate())
	switch {
	case r.GetOverdue():
		due += " (late)"
	case r.GetState() == deskv1.Request_WAITING_FOR_PERSON || len(r.GetSuspensions()) > 0:
		due = fmt.Sprintf("%d days left", r.GetWorkingDaysLeft())
	}
	about := r.GetService()
	if about == "" {
		about = r.GetLocation()
	}
	return []string{r.GetName(), r.GetKind().String(), r.GetState().String(), r.GetCreateTime().AsTime().Local().Format("2006-01-02 15:04"), due, r.GetAssignee(), about}
}

func dateText(d *registryv1.PartialDate) string {
	if d == nil {
		return ""
	}
	return fmt.Sprintf("%04d-%02d-%02d", d.GetYear(), d.GetMonth(), d.GetDay())
}

// values lists those of an enum, without "not set".
func values(known map[string]int32) string {
	names := slices.SortedFunc(maps.Keys(known), func(a, b string) int { return int(known[a] - known[b]) })
	return strings.Join(names[1:], ", ")
}

// valueOf reads a value of an enum from a flag; 0 when the flag is empty.
func valueOf(flag, text string, known map[string]int32) (int32, error) {
	number := known[strings.ToUpper(text)]
	if number == 0 && text != "" {
		return 0, cli.UsageError(fmt.Errorf("%s %q: write one of %s", flag, text, values(known)))
	}
	return number, nil
}

func requestsShow(link *connection) *cobra.Command {
	command := &cobra.Command{
		Use: "show REQUEST", Short: "Show a request with all that was written, as YAML; the first reader takes it on", Args: cobra.ExactArgs(1),
		Example: "  cidctl requests show comuni/marsala/requests/rq7c2",
	}
	command.RunE = link.call(func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
		request, err := deskv1.NewRequestServiceClient(conn).GetRequest(ctx, &deskv1.GetRequestRequest{Name: args[0]})
		if err != nil {
			return err
		}
		request.Answers = nil // once more in the messages
		return printMessage(command.OutOrStdout(), request)
	})
	return command
}

func requestsAnswer(link *connection) *cobra.Command {
	var outcome string
	var services []string
	var wait bool
	command := &cobra.Command{
		Use: "answer REQUEST", Short: "Write to who asked; with --outcome it is the final answer", Args: cobra.ExactArgs(1),
		Long: `answer reads the text from standard input, so that nothing of a person stays in
the history of the shell. With --outcome it is the final answer, and says what
became of the request; with --wait the desk waits for the person, and its clock
stands still.`,
		Example: "  cidctl requests answer comuni/marsala/requests/rq7c2 --outcome INFORMATION_GIVEN < answer.txt\n" +
			"  echo 'Per quale giorno?' | cidctl requests answer comuni/marsala/requests/rq7c2 --wait",
	}
	command.RunE = link.call(func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
		number, err := valueOf("--outcome", outcome, deskv1.Request_Outcome_value)
		if err != nil {
			return err
		}
		text, err := io.ReadAll(command.InOrStdin())
		if err != nil {
			return err
		}
		request, err := deskv1.NewRequestServiceClient(conn).AnswerRequest(ctx, &deskv1.AnswerRequestRequest{
			Name: args[0], Text: strings.TrimSpace(string(text)), Final: number != 0, Outcome: deskv1.Request_Outcome(number), WaitingForPerson: wait, Services: services,
		})
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(command.OutOrStdout(), "%s is %s now\n", args[0], request.GetState())
		return err
	})
	command.Flags().StringVar(&outcome, "outcome", "", "what became of it, for the final answer: "+values(deskv1.Request_Outcome_value))
	command.Flags().StringArrayVar(&services, "service", nil, "a service to point to, below the text; more than once for more")
	command.Flags().BoolVar(&wait, "wait", false, "wait for the person now")
	command.MarkFlagsMutuallyExclusive("outcome", "wait")
	return command
}

func requestsAttachment(link *connection) *cobra.Command {
	var path string
	command := &cobra.Command{
		Use: "attachment NAME --to FILE", Short: "Write a file that came with a request to a new file", Args: cobra.ExactArgs(1),
		Long: `attachment writes to a new file that only its owner can read. What a person sent
can be anything: open it as you would open an unknown file.`,
		Example: "  cidctl requests attachment comuni/marsala/requests/rq7c2/attachments/a1 --to certificato.pdf",
	}
	command.RunE = link.call(func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
		attachment, err := deskv1.NewRequestServiceClient(conn).GetRequestAttachment(ctx, &deskv1.GetRequestAttachmentRequest{Name: args[0]})
		if err != nil {
			return err
		}
		out, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
		if err != nil {
			return err
		}
		_, err = out.Write(attachment.GetData())
		if err = errors.Join(err, out.Close()); err != nil {
			return errors.Join(err, os.Remove(path))
		}
		_, err = fmt.Fprintf(command.OutOrStdout(), "%s: %d bytes, %s, sent as %q\n", path, attachment.GetSizeBytes(), attachment.GetMediaType(), attachment.GetFileName())
		return err
	})
	command.Flags().StringVar(&path, "to", "", "the new file")
	if err := command.MarkFlagRequired("to"); err != nil {
		panic(err) // the flag is in the line above
	}
	return command
}
