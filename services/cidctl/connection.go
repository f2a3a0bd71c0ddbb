package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"cidsistem.example/services/platform/cli"
	"cidsistem.example/services/platform/grpcclient"
	"cidsistem.example/services/platform/identity"
)

// localMessageBytes bounds a message from the local socket, where a person's
// data are given out with the files that came with them.
const localMessageBytes = 64 << 20

// A connection says which server to speak to.
type connection struct {
	address, serverID, socket string
	files                     identity.Files
	timeout                   time.Duration
}

func (c *connection) flags(flags *pflag.FlagSet) {
	flags.StringVar(&c.address, "address", os.Getenv("CID_ADDRESS"), "address of the server, HOST:PORT")
	flags.StringVar(&c.serverID, "server-id", os.Getenv("CID_SERVER_ID"), "SPIFFE ID that the server must have")
	flags.StringVar(&c.files.Cert, "cert", os.Getenv("CID_CERT"), "own certificate, PEM")
	flags.StringVar(&c.files.Key, "key", os.Getenv("CID_KEY"), "own key, PEM")
	flags.StringVar(&c.files.CA, "ca", os.Getenv("CID_CA"), "authority of the federation, PEM")
	flags.StringVar(&c.socket, "socket", os.Getenv("CID_SOCKET"), "local socket of the server, for example /var/lib/cid-sistem/registry/admin.sock")
	flags.DurationVar(&c.timeout, "timeout", 30*time.Second, "how long to wait for an answer")
}

// dial connects as the flags say.
func (c *connection) dial() (*grpc.ClientConn, error) {
	if c.socket != "" {
		return grpcclient.Dial("unix:"+c.socket, grpcclient.Options{Insecure: true, MaxMessageBytes: localMessageBytes})
	}
	if c.address == "" || c.serverID == "" {
		return nil, cli.UsageError(errors.New("say which server: --socket, or --address and --server-id with --cert, --key and --ca"))
	}
	want, err := identity.ParseID(c.serverID)
	if err != nil {
		return nil, cli.UsageError(fmt.Errorf("--server-id: %w", err))
	}
	source, err := identity.Load(c.files)
	if err != nil {
		return nil, cli.UsageError(err)
	}
	return grpcclient.Dial(c.address, grpcclient.Options{TLS: source.ClientTLS(want)})
}

// call runs a command with a connection, within the timeout.
func (c *connection) call(do func(ctx context.Context, conn *grpc.ClientConn, args []string) error) func(*cobra.Command, []string) error {
	return func(command *cobra.Command, args []string) error {
		conn, err := c.dial()
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(command.Context(), c.timeout)
		defer cancel()
		// A secret: in the environment, never among the arguments.
		if token := os.Getenv("CID_TOKEN"); token != "" {
			ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
		}
		return errors.Join(plain(do(ctx, conn, args)), conn.Close())
	}
}
