package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"cidsistem.example/proto/gen/adminv1"
	"cidsistem.example/services/platform/cli"
)

// personsCommand serves the rights of persons over their data.
func personsCommand(link *connection) *cobra.Command {
	command := &cobra.Command{
		Use: "persons", Short: "Find, give out and erase what the server keeps of a person (--socket)",
		Long: `persons serves the rights of persons over what the server on this machine keeps
of them in requests to the desk; for an account see cidctl accounts. Every command leaves an entry in the
audit log, which does not say what was looked for. Backups made before keep what
is erased until they are deleted.`,
	}
	command.AddCommand(personsFind(link), personsExport(link), personsErase(link))
	return command
}

func personsFind(link *connection) *cobra.Command {
	command := &cobra.Command{
		Use: "find", Short: "Find data of a person by words of a name, a telephone number, an e-mail address", Args: cobra.NoArgs,
		Long: `find reads a line from standard input, so that nothing of a person stays in the
history of the shell, and lists where all of its words are.`,
		Example: "  cidctl persons find --socket /var/lib/cid-sistem/registry/admin.sock",
	}
	command.RunE = link.call(func(ctx context.Context, conn *grpc.ClientConn, _ []string) error {
		lines := bufio.NewScanner(command.InOrStdin())
		if !lines.Scan() {
			return cli.UsageError(errors.Join(errors.New("write what is to be found, on a line of standard input"), lines.Err()))
		}
		answer, err := adminv1.NewPersonServiceClient(conn).FindPersonalData(ctx, &adminv1.FindPersonalDataRequest{Query: lines.Text()})
		if err != nil {
			return err
		}
		rows := [][]string{{"NAME", "KIND", "FIELDS"}}
		for _, found := range answer.GetFound() {
			rows = append(rows, []string{found.GetName(), found.GetKind(), strings.Join(found.GetFields(), ", ")})
		}
		if answer.GetMore() {
			rows = append(rows, []string{"and more: write more words"})
		}
		return table(command.OutOrStdout(), rows)
	})
	return command
}

func personsExport(link *connection) *cobra.Command {
	command := &cobra.Command{
		Use: "export NAME…", Short: "Write what is kept under names, as JSON, a line each", Args: cobra.MinimumNArgs(1),
		Example: "  cidctl persons export comuni/marsala/requests/rq7c2 > data.jsonl",
	}
	command.RunE = link.call(func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
		answer, err := adminv1.NewPersonServiceClient(conn).ExportPersonalData(ctx, &adminv1.ExportPersonalDataRequest{Names: args})
		if err != nil {
			return err
		}
		for _, document := range answer.GetDocuments() {
			if _, err := fmt.Fprintln(command.OutOrStdout(), document.GetJson()); err != nil {
				return err
			}
		}
		return nil
	})
	return command
}

func personsErase(link *connection) *cobra.Command {
	var sure bool
	command := &cobra.Command{
		Use: "erase NAME… --yes", Short: "Erase what is kept under names, for good: all of it or nothing", Args: cobra.MinimumNArgs(1),
		Example: "  cidctl persons erase comuni/marsala/requests/rq7c2 --yes",
	}
	erase := link.call(func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
		answer, err := adminv1.NewPersonServiceClient(conn).ErasePersonalData(ctx, &adminv1.ErasePersonalDataRequest{Names: args})
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(command.OutOrStdout(), "%d erased; backups keep them until they are deleted\n", answer.GetErased())
		return err
	})
	command.RunE = func(command *cobra.Command, args []string) error {
		if !sure {
			return cli.UsageError(fmt.Errorf("nothing was erased: this cannot be taken back; say --yes to erase %s", strings.Join(args, ", ")))
		}
		return erase(command, args)
	}
	command.Flags().BoolVar(&sure, "yes", false, "erase, without a way back")
	return command
}
