// Command ufficiod runs an ufficio comune: the one place that answers for all
// comuni of a federation.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"google.golang.org/grpc"

	"cidsistem.example/services/internal/daemon"
	"cidsistem.example/services/platform/cli"
	"cidsistem.example/services/platform/grpcclient"
	"cidsistem.example/services/platform/identity"
	"cidsistem.example/services/platform/telemetry"
	"cidsistem.example/services/ufficiocomune"
)

func main() {
	settings := ufficiocomune.Defaults()
	cli.Main(cli.Daemon("ufficiod", "The ufficio comune of a federation", settings, func(ctx context.Context) error {
		return serve(ctx, *settings)
	}))
}

func serve(ctx context.Context, settings ufficiocomune.Settings) (err error) {
	logger, err := telemetry.NewLogger(os.Stdout, settings.Log.Level, settings.Log.Format)
	if err != nil {
		return cli.UsageError(err)
	}
	source, err := identity.Load(settings.TLS)
	if err != nil {
		return cli.UsageError(fmt.Errorf("tls: %w", err))
	}
	if id := source.ID(); id.Role != identity.RoleUfficio || id.Name != settings.ID {
		return cli.UsageError(fmt.Errorf("tls: the certificate is that of %s, not of ufficio %s", id, settings.ID))
	}
	dial := func(m ufficiocomune.Member) (*grpc.ClientConn, error) {
		id, err := identity.ParseID(m.Identity)
		if err != nil {
			return nil, err
		}
		return grpcclient.Dial(m.Address, grpcclient.Options{TLS: source.ClientTLS(id)})
	}
	office, err := ufficiocomune.Open(ctx, settings, ufficiocomune.Options{Dial: dial, Logger: logger})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, office.Close()) }()
	return daemon.Run(ctx, office, daemon.Options{
		Listen: settings.Listen, Admin: settings.Admin, DataDir: settings.DataDir, Identity: source, Logger: logger,
	})
}
