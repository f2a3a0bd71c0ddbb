// Command cid-seed checks the sample data and writes them to the node of a comune.
package main

import (
	"cmp"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"cidsistem.example/deploy/seed"
	"cidsistem.example/gateway/gulpease"
	"cidsistem.example/services/platform/cli"
	"cidsistem.example/services/platform/grpcclient"
	"cidsistem.example/services/platform/identity"
)

func main() {
	cli.Main(command())
}

func command() *cobra.Command {
	root := cli.Root("cid-seed", "Check the sample data of the comuni and write them to a node")
	var dir string
	root.PersistentFlags().StringVar(&dir, "data", "", "folder with the data (default: those that come with the program)")
	data := func() fs.FS {
		if dir == "" {
			return seed.Sample()
		}
		return os.DirFS(dir)
	}
	root.AddCommand(checkCommand(data), importCommand(data))
	return root
}

func checkCommand(data func() fs.FS) *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "Check the data without a node: rules of the contract, sources, references, plain language",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			comuni, err := seed.Load(data())
			if err != nil {
				return err
			}
			return describe(command.OutOrStdout(), comuni)
		},
	}
}

// describe counts records and measures how plain their texts are.
func describe(out io.Writer, comuni []seed.Comune) error {
	for _, comune := range comuni {
		texts := comune.Texts()
		slices.SortFunc(texts, func(a, b seed.Text) int { return cmp.Compare(a.Gulpease, b.Gulpease) })
		mean, hard := 0.0, 0
		for _, text := range texts {
			mean += text.Gulpease / float64(len(texts))
			if text.Gulpease < gulpease.Plain {
				hard++
			}
		}
		if _, err := fmt.Fprintf(out, "%s: %d records, %d files, %d texts with a mean Gulpease index of %.0f, %d below %d\n",
			comune.Slug, len(comune.Records), len(comune.Files), len(texts), mean, hard, gulpease.Plain); err != nil {
			return err
		}
		for _, text := range texts[:hard] {
			if _, err := fmt.Fprintf(out, "  %.0f %s %s: %s\n", text.Gulpease, text.Record, text.Field, text.Text); err != nil {
				return err
			}
		}
	}
	return nil
}

func importCommand(data func() fs.FS) *cobra.Command {
	var slug, address, server string
	var onlyEmpty bool
	var files identity.Files
	command := &cobra.Command{
		Use:   "import --comune ID --address HOST:PORT --cert FILE --key FILE --ca FILE --server-id spiffe://…",
		Short: "Write the data of a comune to its node; may be repeated",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			comuni, err := seed.Load(data())
			if err != nil {
				return err
			}
			i := slices.IndexFunc(comuni, func(c seed.Comune) bool { return c.Slug == slug })
			if i < 0 {
				return cli.UsageError(fmt.Errorf("--comune %q: there are data of %s", slug, slugs(comuni)))
			}
			want, err := identity.ParseID(server)
			if err != nil {
				return cli.UsageError(fmt.Errorf("--server-id: %w", err))
			}
			source, err := identity.Load(files)
			if err != nil {
				return err
			}
			conn, err := grpcclient.Dial(address, grpcclient.Options{TLS: source.ClientTLS(want)})
			if err != nil {
				return err
			}
			defer func() { _ = conn.Close() }() // nothing is under way any more
			if onlyEmpty {
				empty, err := seed.Empty(command.Context(), conn, slug)
				if err != nil {
					return err
				}
				if !empty {
					_, err = fmt.Fprintf(command.OutOrStdout(), "%s: the node has services already; nothing was changed\n", slug)
					return err
				}
			}
			report, err := seed.Import(command.Context(), conn, comuni[i], command.OutOrStdout())
			if err != nil {
				return fmt.Errorf("%w (before that: %s; run the import again when the cause is gone)", err, report)
			}
			_, err = fmt.Fprintf(command.OutOrStdout(), "%s: %s\n", slug, report)
			return err
		},
	}
	flags := command.Flags()
	flags.StringVar(&slug, "comune", "", "comune to import, as marsala")
	flags.StringVar(&address, "address", "", "address of its node, as 127.0.0.1:9443")
	flags.StringVar(&server, "server-id", "", "identity that the node must prove, as spiffe://cidsistem.example/comune/marsala")
	flags.StringVar(&files.Cert, "cert", "", "file of your certificate")
	flags.StringVar(&files.Key, "key", "", "file of your private key")
	flags.StringVar(&files.CA, "ca", "", "file of the federation's authorities")
	flags.BoolVar(&onlyEmpty, "only-empty", false, "change nothing when the node has services already")
	for _, flag := range []string{"comune", "address", "server-id", "cert", "key", "ca"} {
		if err := command.MarkFlagRequired(flag); err != nil {
			panic(err) // the flag is defined above
		}
	}
	return command
}

func slugs(comuni []seed.Comune) string {
	var all []string
	for _, c := range comuni {
		all = append(all, c.Slug)
	}
	return strings.Join(all, ", ")
}
