package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"cidsistem.example/proto/gen/adminv1"
)

// storeCommand looks after the store of the server on this machine.
func storeCommand(link *connection) *cobra.Command {
	command := &cobra.Command{Use: "store", Short: "Look after the store of the server on this machine (--socket)"}
	command.AddCommand(
		&cobra.Command{
			Use: "stats", Short: "Show how the store is", Args: cobra.NoArgs,
			RunE: link.call(func(ctx context.Context, conn *grpc.ClientConn, _ []string) error {
				stats, err := adminv1.NewStoreServiceClient(conn).GetStoreStats(ctx, &adminv1.GetStoreStatsRequest{})
				if err != nil {
					return err
				}
				return printMessage(os.Stdout, stats)
			}),
		},
		&cobra.Command{
			Use: "check", Short: "Check pages, indices, references, feed and files", Args: cobra.NoArgs,
			RunE: link.call(func(ctx context.Context, conn *grpc.ClientConn, _ []string) error {
				report, err := adminv1.NewStoreServiceClient(conn).CheckStore(ctx, &adminv1.CheckStoreRequest{})
				if err != nil {
					return err
				}
				if n := len(report.GetProblems()); n > 0 {
					return fmt.Errorf("%d problems:\n  %s", n, strings.Join(report.GetProblems(), "\n  "))
				}
				_, err = fmt.Printf("sound: %d records, %d revisions\n", report.GetRecords(), report.GetRevisions())
				return err
			}),
		},
		&cobra.Command{
			Use: "backup FILE", Short: "Write a consistent copy of the store to a new file", Args: cobra.ExactArgs(1),
			RunE: link.call(func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
				return backup(ctx, conn, args[0])
			}),
		},
		&cobra.Command{
			Use: "rotate-keys", Short: "Make new keys for accounts, sessions and requests, and encrypt all of them anew", Args: cobra.NoArgs,
			Long: `rotate-keys replaces the master key in the server's key file and the data key in
its data file. Keep a copy of the new key file apart from the backups; the old one
opens the backups made before, and nothing else. What was broken off is begun
again by calling it again.`,
			Example: "  cidctl store rotate-keys --socket /var/lib/cid-sistem/registry/admin.sock --timeout 10m",
			RunE: link.call(func(ctx context.Context, conn *grpc.ClientConn, _ []string) error {
				answer, err := adminv1.NewStoreServiceClient(conn).RotateKeys(ctx, &adminv1.RotateKeysRequest{})
				if err != nil {
					return err
				}
				_, err = fmt.Printf("%d entries have new keys; keep a copy of the new key file apart from the backups\n", answer.GetEntries())
				return err
			}),
		},
	)
	return command
}

// backup writes the copy beside its place first: a broken one never looks
// whole.
func backup(ctx context.Context, conn *grpc.ClientConn, path string) (err error) {
	if _, err := os.Stat(path); err == nil {
		return fmt.Errorf("%s is there already; a backup is never written over", path)
	}
	stream, err := adminv1.NewStoreServiceClient(conn).StreamBackup(ctx, &adminv1.StreamBackupRequest{})
	if err != nil {
		return err
	}
	part := path + ".part"
	out, err := os.OpenFile(part, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(part))
		}
	}()
	size, err := receive(stream, out)
	if err := errors.Join(err, out.Sync(), out.Close()); err != nil {
		return err
	}
	if err := os.Rename(part, path); err != nil {
		return err
	}
	_, err = fmt.Printf("%s: %d bytes, checked; prove it with: registryd restore on another machine\n", path, size)
	return err
}

func receive(stream grpc.ServerStreamingClient[adminv1.StreamBackupResponse], out io.Writer) (size int64, err error) {
	sum := sha256.New()
	for {
		piece, err := stream.Recv()
		if err != nil {
			return size, err
		}
		n, err := io.MultiWriter(out, sum).Write(piece.GetData())
		size += int64(n)
		if err != nil {
			return size, err
		}
		if want := piece.GetSha256(); want != nil {
			if !bytes.Equal(want, sum.Sum(nil)) {
				return size, errors.New("the copy arrived damaged; try again")
			}
			return size, nil
		}
	}
}
