package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"cidsistem.example/proto/gen/adminv1"
)

// messagesCommand looks after the e-mail messages of a node.
func messagesCommand(link *connection) *cobra.Command {
	command := &cobra.Command{
		Use: "messages", Short: "See what became of a node's e-mail messages, and send some anew",
		Long: `A node hands its messages to the mail server of its settings, each once. What the
mail server does not take is tried again for three days. When a connection broke
before the mail server said whether it took a message, the message is UNKNOWN, and
is not sent again unless you say so: look first whether it came.`,
	}
	command.AddCommand(messagesList(link), messagesRetry(link))
	return command
}

func messagesList(link *connection) *cobra.Command {
	var state string
	command := &cobra.Command{
		Use: "list NODE", Short: "List messages, the newest first, without their text", Args: cobra.ExactArgs(1),
		Example: "  cidctl messages list nodes/marsala --state FAILED",
	}
	command.RunE = link.call(func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
		number, err := valueOf("--state", state, adminv1.OutboundMessage_State_value)
		if err != nil {
			return err
		}
		call := &adminv1.ListMessagesRequest{Parent: args[0], State: adminv1.OutboundMessage_State(number), PageSize: 1000}
		rows := [][]string{{"MESSAGE", "STATE", "TO", "TRIES", "MADE", "SENT OR NEXT", "ABOUT", "ERROR"}}
		for more := true; more; more = call.GetPageToken() != "" {
			page, err := adminv1.NewMessageServiceClient(conn).ListMessages(ctx, call)
			if err != nil {
				return err
			}
			for _, m := range page.GetMessages() {
				then := clock(m.GetSendTime())
				if m.GetSendTime() == nil {
					then = clock(m.GetNextAttemptTime())
				}
				rows = append(rows, []string{m.GetName(), m.GetState().String(), m.GetRecipientHint(), fmt.Sprint(m.GetAttemptCount()), clock(m.GetCreateTime()), then, m.GetAbout(), m.GetError()})
			}
			call.PageToken = page.GetNextPageToken()
		}
		return table(command.OutOrStdout(), rows)
	})
	command.Flags().StringVar(&state, "state", "", "only those that stand here: "+values(adminv1.OutboundMessage_State_value))
	return command
}

func messagesRetry(link *connection) *cobra.Command {
	command := &cobra.Command{
		Use: "retry MESSAGE", Short: "Send a message anew that was given up, or of which it is not known whether it went", Args: cobra.ExactArgs(1),
		Example: "  cidctl messages retry nodes/marsala/messages/m7c2",
	}
	command.RunE = link.call(func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
		message, err := adminv1.NewMessageServiceClient(conn).RetryMessage(ctx, &adminv1.RetryMessageRequest{Name: args[0]})
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(command.OutOrStdout(), "%s is %s\n", args[0], message.GetState())
		return err
	})
	return command
}
