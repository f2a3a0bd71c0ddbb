package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"cidsistem.example/proto/gen/adminv1"
)

// backupsCommand looks after the backups that a server keeps.
func backupsCommand(link *connection) *cobra.Command {
	command := &cobra.Command{
		Use: "backups", Short: "Take backups into the folder of a server's settings, and find out whether they are good",
		Long: `The folder is named in the server's settings (backups.dir), best on another disk.
A backup has the data file and the files of documents. The master key is not in it:
keep a copy of that apart. To put one back, stop the server and use
registryd restore --from with the data.db of the backup.`,
	}
	list := &cobra.Command{
		Use: "list NODE", Short: "List the backups that are there, the newest first", Args: cobra.ExactArgs(1), Example: "  cidctl backups list nodes/marsala",
	}
	list.RunE = link.call(func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
		call := &adminv1.ListBackupsRequest{Parent: args[0], PageSize: 1000}
		rows := [][]string{{"BACKUP", "TAKEN", "BYTES", "REVISION", "VERIFIED", "REHEARSED", "PROBLEMS"}}
		for more := true; more; more = call.GetPageToken() != "" {
			page, err := adminv1.NewBackupServiceClient(conn).ListBackups(ctx, call)
			if err != nil {
				return err
			}
			for _, b := range page.GetBackups() {
				rows = append(rows, []string{
					b.GetName(), clock(b.GetCreateTime()), fmt.Sprint(b.GetSizeBytes()), fmt.Sprint(b.GetRevision()), clock(b.GetVerifyTime()), clock(b.GetRehearseTime()), fmt.Sprint(len(b.GetProblems())),
				})
			}
			call.PageToken = page.GetNextPageToken()
		}
		return table(list.OutOrStdout(), rows)
	})
	command.AddCommand(list,
		oneBackup(link, "create NODE", "Take a backup now; the oldest goes when there are too many", "  cidctl backups create nodes/marsala --timeout 10m",
			func(ctx context.Context, client adminv1.BackupServiceClient, name string) (*adminv1.Backup, error) {
				return client.CreateBackup(ctx, &adminv1.CreateBackupRequest{Parent: name})
			}),
		oneBackup(link, "verify BACKUP", "Read a backup from end to end", "  cidctl backups verify nodes/marsala/backups/20261124-030000-4f1c2a --timeout 10m",
			func(ctx context.Context, client adminv1.BackupServiceClient, name string) (*adminv1.Backup, error) {
				return client.VerifyBackup(ctx, &adminv1.VerifyBackupRequest{Name: name})
			}),
		oneBackup(link, "rehearse BACKUP", "Restore a backup beside the server, open it as a start would, and throw it away", "  cidctl backups rehearse nodes/marsala/backups/20261124-030000-4f1c2a --timeout 10m",
			func(ctx context.Context, client adminv1.BackupServiceClient, name string) (*adminv1.Backup, error) {
				return client.RehearseRestore(ctx, &adminv1.RehearseRestoreRequest{Name: name})
			}),
	)
	return command
}

// oneBackup makes a command that answers with a backup; one with problems is a
// failure.
func oneBackup(link *connection, use, short, example string, call func(ctx context.Context, client adminv1.BackupServiceClient, name string) (*adminv1.Backup, error)) *cobra.Command {
	command := &cobra.Command{Use: use, Short: short, Args: cobra.ExactArgs(1), Example: example}
	command.RunE = link.call(func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
		backup, err := call(ctx, adminv1.NewBackupServiceClient(conn), args[0])
		if err != nil {
			return err
		}
		if n := len(backup.GetProblems()); n > 0 {
			return fmt.Errorf("%s is not good: %d problems:\n  %s", backup.GetName(), n, strings.Join(backup.GetProblems(), "\n  "))
		}
		return printMessage(command.OutOrStdout(), backup)
	})
	return command
}
