package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"cidsistem.example/proto/gen/editorialv1"
)

// draftsCommand is the editorial office on the command line.
func draftsCommand(link *connection) *cobra.Command {
	command := &cobra.Command{
		Use: "drafts", Short: "See drafts of records, hand them on, publish them",
		Long: `drafts works at the comune's node: on its local socket, or with the token of
somebody of the editorial office. Drafts are written in the workbench.`,
	}
	command.AddCommand(draftsList(link), draftsShow(link), draftsSubmit(link), draftsReturn(link), draftsPublish(link), draftsDiscard(link))
	return command
}

func draftsList(link *connection) *cobra.Command {
	var state, record string
	command := &cobra.Command{
		Use: "list COMUNE", Short: "List drafts, the one that changed last first", Args: cobra.ExactArgs(1),
		Example: "  cidctl drafts list comuni/marsala --state IN_REVIEW",
	}
	command.RunE = link.call(func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
		number, err := valueOf("--state", state, editorialv1.Draft_State_value)
		if err != nil {
			return err
		}
		call := &editorialv1.ListDraftsRequest{Parent: args[0], State: editorialv1.Draft_State(number), Record: record, PageSize: 1000}
		rows := [][]string{{"DRAFT", "STATE", "TITLE", "RECORD", "BEGUN BY", "CHANGED"}}
		for more := true; more; more = call.GetPageToken() != "" {
			page, err := editorialv1.NewDraftServiceClient(conn).ListDrafts(ctx, call)
			if err != nil {
				return err
			}
			for _, d := range page.GetDrafts() {
				stands := d.GetState().String()
				if d.GetOutdated() {
					stands += " (outdated)"
				}
				rows = append(rows, []string{d.GetName(), stands, d.GetTitle(), d.GetRecord(), d.GetAuthor(), clock(d.GetUpdateTime())})
			}
			call.PageToken = page.GetNextPageToken()
		}
		return table(command.OutOrStdout(), rows)
	})
	command.Flags().StringVar(&state, "state", "", "only those that stand here: "+values(editorialv1.Draft_State_value))
	command.Flags().StringVar(&record, "record", "", "only those of this record")
	return command
}

func draftsShow(link *connection) *cobra.Command {
	command := &cobra.Command{
		Use: "show DRAFT", Short: "Show a draft with its comments and what is missing in it, as YAML", Args: cobra.ExactArgs(1),
		Example: "  cidctl drafts show comuni/marsala/drafts/d06rt",
	}
	command.RunE = link.call(func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
		draft, err := editorialv1.NewDraftServiceClient(conn).GetDraft(ctx, &editorialv1.GetDraftRequest{Name: args[0]})
		if err != nil {
			return err
		}
		draft.Base = nil // cidctl records history has it
		return printMessage(command.OutOrStdout(), draft)
	})
	return command
}

// oneDraft makes a command that does something to one draft.
func oneDraft(link *connection, use, short string, do func(ctx context.Context, drafts editorialv1.DraftServiceClient, name string) (*editorialv1.Draft, error)) *cobra.Command {
	command := &cobra.Command{Use: use + " DRAFT", Short: short, Args: cobra.ExactArgs(1), Example: "  cidctl drafts " + use + " comuni/marsala/drafts/d06rt"}
	command.RunE = link.call(func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
		draft, err := do(ctx, editorialv1.NewDraftServiceClient(conn), args[0])
		if err != nil {
			return err
		}
		said := draft.GetState().String()
		if draft.GetState() == editorialv1.Draft_SCHEDULED {
			said += ", to be published at " + clock(draft.GetPublishTime())
		}
		_, err = fmt.Fprintf(command.OutOrStdout(), "%s is %s\n", args[0], said)
		return err
	})
	return command
}

func draftsSubmit(link *connection) *cobra.Command {
	return oneDraft(link, "submit", "Hand a draft to whoever publishes", func(ctx context.Context, drafts editorialv1.DraftServiceClient, name string) (*editorialv1.Draft, error) {
		return drafts.SubmitDraft(ctx, &editorialv1.SubmitDraftRequest{Name: name})
	})
}

func draftsPublish(link *connection) *cobra.Command {
	return oneDraft(link, "publish", "Write the record as a draft in review says, now or at the draft's time", func(ctx context.Context, drafts editorialv1.DraftServiceClient, name string) (*editorialv1.Draft, error) {
		return drafts.PublishDraft(ctx, &editorialv1.PublishDraftRequest{Name: name})
	})
}

func draftsDiscard(link *connection) *cobra.Command {
	return oneDraft(link, "discard", "Give a draft up; it stays readable for 30 days", func(ctx context.Context, drafts editorialv1.DraftServiceClient, name string) (*editorialv1.Draft, error) {
		return drafts.DiscardDraft(ctx, &editorialv1.DiscardDraftRequest{Name: name})
	})
}

func draftsReturn(link *connection) *cobra.Command {
	var command *cobra.Command
	command = oneDraft(link, "return", "Hand a draft back to its author", func(ctx context.Context, drafts editorialv1.DraftServiceClient, name string) (*editorialv1.Draft, error) {
		text, err := io.ReadAll(command.InOrStdin())
		if err != nil {
			return nil, err
		}
		return drafts.ReturnDraft(ctx, &editorialv1.ReturnDraftRequest{Name: name, Text: strings.TrimSpace(string(text))})
	})
	command.Long = "return reads from standard input what the author should do."
	command.Example = "  echo 'Manca il telefono' | cidctl drafts return comuni/marsala/drafts/d06rt"
	return command
}
