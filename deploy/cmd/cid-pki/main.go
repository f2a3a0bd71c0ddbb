// Command cid-pki makes the certificate authority of a federation, and the certificates of its processes.
package main

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"cidsistem.example/deploy/pki"
	"cidsistem.example/services/platform/cli"
	"cidsistem.example/services/platform/identity"
)

func main() {
	cli.Main(command())
}

func command() *cobra.Command {
	root := cli.Root("cid-pki", "Make the certificate authority of a federation, and the certificates of its processes")
	root.AddCommand(initCommand(), issueCommand(), showCommand())
	return root
}

func initCommand() *cobra.Command {
	var dir, trustDomain string
	command := &cobra.Command{
		Use:   "init --dir DIR --trust-domain NAME",
		Short: "Make the authority of a new federation",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			authority, err := pki.Init(dir, trustDomain)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(command.OutOrStdout(), `The authority of %s is in %s, valid until %s.
Its key is not encrypted: keep the folder on a machine that few can enter, and a copy of it offline.
Next: cid-pki issue --dir %s --role comune --name NAME
`, authority.TrustDomain(), dir, authority.Expires().Format(time.DateOnly), dir)
			return err
		},
	}
	command.Flags().StringVar(&dir, "dir", "", "folder of the authority, made if it is not there")
	command.Flags().StringVar(&trustDomain, "trust-domain", "", "name that all identities of the federation begin with, as cidsistem.example")
	require(command, "dir", "trust-domain")
	return command
}

func issueCommand() *cobra.Command {
	var dir string
	var ips []string
	var request pki.Request
	command := &cobra.Command{
		Use:   "issue --dir DIR --role ROLE --name NAME",
		Short: "Make a key and a certificate for one process, or renew them",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			for _, text := range ips {
				address, err := netip.ParseAddr(text)
				if err != nil {
					return cli.UsageError(fmt.Errorf("--ip %q is not an IP address", text))
				}
				request.IP = append(request.IP, address)
			}
			authority, err := pki.Open(dir)
			if err != nil {
				return err
			}
			files, err := authority.Issue(request)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(command.OutOrStdout(), `Issued spiffe://%s/%s/%s for %d days:
  cert: %s
  key:  %s
  ca:   %s
Next: copy the folder %s to the process's machine, the key readable by its user only.
A process that runs with these paths takes the new files within a second, at its next connection.
`, authority.TrustDomain(), request.Role, request.Name, request.Days, files.Cert, files.Key, files.CA, filepath.Dir(files.Cert))
			return err
		},
	}
	flags := command.Flags()
	flags.StringVar(&dir, "dir", "", "folder of the authority")
	flags.StringVar(&request.Role, "role", "", "what the process is: "+strings.Join(identity.Roles(), ", "))
	flags.StringVar(&request.Name, "name", "", "which one it is, as pantelleria")
	flags.StringArrayVar(&request.DNS, "dns", nil, "DNS name, for programs that check it; can be repeated")
	flags.StringArrayVar(&ips, "ip", nil, "IP address, for programs that check it; can be repeated")
	flags.IntVar(&request.Days, "days", pki.DefaultDays, fmt.Sprintf("days of validity, 1 to %d", pki.MaxDays))
	flags.StringVar(&request.Out, "out", "", "folder for the files (default DIR/issued/ROLE/NAME)")
	require(command, "dir", "role", "name")
	return command
}

func showCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show FILE",
		Short: "Show what the certificates in a file say",
		Args:  cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			certs, err := pki.ReadCertificates(args[0])
			if err != nil {
				return err
			}
			return pki.Describe(command.OutOrStdout(), certs, time.Now())
		},
	}
}

func require(command *cobra.Command, flags ...string) {
	for _, flag := range flags {
		if err := command.MarkFlagRequired(flag); err != nil {
			panic(err) // the flag is defined by the caller
		}
	}
}
