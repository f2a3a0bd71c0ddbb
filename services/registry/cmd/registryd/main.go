// Command registryd runs the registry node of one comune, and looks after its
// data file while it is stopped.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"cidsistem.example/services/internal/boltkit"
	"cidsistem.example/services/internal/daemon"
	"cidsistem.example/services/internal/store"
	"cidsistem.example/services/platform/cli"
	"cidsistem.example/services/platform/config"
	"cidsistem.example/services/platform/grpcclient"
	"cidsistem.example/services/platform/identity"
	"cidsistem.example/services/platform/telemetry"
	"cidsistem.example/services/registry"
)

func main() {
	settings := registry.Defaults()
	command := cli.Daemon("registryd", "The registry node of one comune", settings, func(ctx context.Context) error {
		return serve(ctx, *settings)
	})
	command.AddCommand(
		offline("check", "Check the data file of a stopped node: pages, indices, references, feed", check),
		offline("compact", "Give free pages of a stopped node's data file back to the disk", compact),
		restore(),
	)
	cli.Main(command)
}

func serve(ctx context.Context, settings registry.Settings) (err error) {
	logger, err := telemetry.NewLogger(os.Stdout, settings.Log.Level, settings.Log.Format)
	if err != nil {
		return cli.UsageError(err)
	}
	source, err := identity.Load(settings.TLS)
	if err != nil {
		return cli.UsageError(fmt.Errorf("tls: %w", err))
	}
	if id := source.ID(); id.Role != identity.RoleComune || id.Name != settings.Comune.ID {
		return cli.UsageError(fmt.Errorf("tls: the certificate is that of %s, not of comune %s", id, settings.Comune.ID))
	}
	node, err := registry.Open(ctx, settings, registry.Options{Logger: logger, DialPeer: func(comune, address string) (*grpc.ClientConn, error) {
		peer := identity.ID{TrustDomain: source.ID().TrustDomain, Role: identity.RoleComune, Name: comune}
		return grpcclient.Dial(address, grpcclient.Options{TLS: source.ClientTLS(peer)})
	}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, node.Close()) }()
	return daemon.Run(ctx, node, daemon.Options{
		Listen: settings.Listen, Admin: settings.Admin, DataDir: settings.DataDir, Identity: source, Logger: logger,
	})
}

// offline makes a subcommand that works on the data file of a stopped node.
func offline(use, short string, run func(ctx context.Context, settings registry.Settings) error) *cobra.Command {
	var file string
	command := &cobra.Command{
		Use: use, Short: short, Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			settings := registry.Defaults()
			if err := config.Load(file, settings); err != nil {
				return cli.UsageError(err)
			}
			return run(command.Context(), *settings)
		},
	}
	command.Flags().StringVar(&file, "config", "", "the node's configuration file")
	return command
}

func check(ctx context.Context, settings registry.Settings) error {
	s, err := store.Open(settings.StoreOptions(registry.Options{}))
	if err != nil {
		return err
	}
	report, err := s.Check(ctx)
	if err := errors.Join(err, s.Close()); err != nil {
		return err
	}
	if len(report.Problems) > 0 {
		return fmt.Errorf("%d problems:\n  %s\nrestore a backup with: registryd restore", len(report.Problems), strings.Join(report.Problems, "\n  "))
	}
	fmt.Printf("sound: %d records, %d revisions\n", report.Records, report.Revisions)
	return nil
}

func compact(_ context.Context, settings registry.Settings) error {
	before, after, err := boltkit.Compact(registry.DataFile(settings.DataDir))
	if err != nil {
		return err
	}
	fmt.Printf("compacted: %d bytes before, %d after\n", before, after)
	return nil
}

func restore() *cobra.Command {
	var backup string
	command := offline("restore", "Put a backup in the place of a stopped node's data file; every copy notices", func(ctx context.Context, settings registry.Settings) error {
		if backup == "" {
			return cli.UsageError(errors.New("--from: the backup file is missing"))
		}
		if err := os.MkdirAll(settings.DataDir, 0o700); err != nil {
			return err
		}
		if err := store.Restore(ctx, backup, settings.StoreOptions(registry.Options{})); err != nil {
			return err
		}
		fmt.Println("restored; start the node: the ufficio comune takes its copy anew by itself")
		return nil
	})
	command.Flags().StringVar(&backup, "from", "", "the backup file")
	return command
}
