// Command cid-demo runs a whole federation with sample data on this machine,
// and cuts and heals the links of the one that runs.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"cidsistem.example/deploy/demo"
	"cidsistem.example/services/platform/cli"
)

func main() {
	var options demo.Options
	root := cli.Root("cid-demo", "Run a whole federation with sample data on this machine")
	root.Args = cobra.NoArgs
	root.RunE = func(command *cobra.Command, _ []string) error { return run(command.Context(), options) }
	flags := root.PersistentFlags()
	flags.StringVar(&options.Dir, "data", "", "folder for data, certificates and logs (CID_DATA_DIR, else .demo)")
	root.Flags().StringVar(&options.HTTP, "http", "", "address of the gateway (CID_HTTP_ADDR, else 127.0.0.1:8080)")
	root.Flags().IntVar(&options.BasePort, "base-port", 0, "first of the ports of the gRPC servers (CID_BASE_PORT, else 7100)")
	root.Flags().BoolVar(&options.Empty, "empty", false, "without the sample data")
	root.Flags().StringVar(&options.Mail, "mail", "", "SMTP server on this machine that takes the e-mail of the nodes, HOST:PORT; empty: messages wait")
	root.Flags().IntVar(&options.Rate, "rate", 50, "requests per second that the gateway takes from one client; 0: no limit")
	root.AddCommand(order(&options, "cut", "Cut the link between the ufficio comune and the node of a comune"),
		order(&options, "heal", "Heal the link between the ufficio comune and the node of a comune"), tokenCommand(&options))
	cli.Main(root)
}

func order(options *demo.Options, what, short string) *cobra.Command {
	var ids []string
	for _, comune := range demo.Comuni {
		ids = append(ids, comune.ID)
	}
	return &cobra.Command{
		Use: what + " COMUNE", Short: short, Args: cobra.ExactArgs(1), ValidArgs: ids,
		RunE: func(command *cobra.Command, args []string) error {
			filled, err := options.FromEnvironment()
			if err != nil {
				return cli.UsageError(err)
			}
			if err := demo.Order(command.Context(), filled.Dir, what, args[0]); err != nil {
				return err
			}
			done := map[string]string{"cut": "is cut off", "heal": "is connected again"}[what]
			fmt.Printf("%s %s\n", args[0], done)
			return nil
		},
	}
}

// tokenCommand signs in at the gateway of the demo that runs.
func tokenCommand(options *demo.Options) *cobra.Command {
	var ids []string
	for _, comune := range demo.Comuni {
		ids = append(ids, comune.ID)
	}
	return &cobra.Command{
		Use: "token COMUNE", Short: "Print an access token of the comune's office in the demo that runs, good for five minutes",
		Example: "  curl -H \"Authorization: Bearer $(bin/cid-demo token marsala)\" …", Args: cobra.ExactArgs(1), ValidArgs: ids,
		RunE: func(command *cobra.Command, args []string) error {
			filled, err := options.FromEnvironment()
			if err != nil {
				return cli.UsageError(err)
			}
			token, err := demo.SignIn(command.Context(), filled, args[0])
			if err != nil {
				return err
			}
			fmt.Println(token)
			return nil
		},
	}
}

func run(ctx context.Context, options demo.Options) error {
	options, err := options.FromEnvironment()
	if err != nil {
		return cli.UsageError(err)
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	options.Bin, options.Out, options.Workbench = filepath.Dir(program), os.Stdout, true

	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	began := time.Now()
	fmt.Printf("CID SISTEM, demo federation in %s\n", options.Dir)
	f, err := demo.Start(ctx, options)
	if err != nil {
		if ctx.Err() != nil {
			fmt.Println("stopped before it was ready")
			return nil
		}
		return err
	}
	show(f, options, time.Since(began))

	control := make(chan error, 1)
	go func() { control <- f.Control(ctx) }()
	err = f.Wait(ctx)
	stop()
	fmt.Println("\nStopping …")
	err = errors.Join(err, f.Stop(context.WithoutCancel(ctx)), <-control)
	if err == nil {
		fmt.Println("Stopped; the data stay in " + options.Dir)
	}
	return err
}

func show(f *demo.Federation, options demo.Options, took time.Duration) {
	base := "http://" + f.HTTP()
	fmt.Printf("\nReady in %.1f s. Look at\n", took.Seconds())
	for _, line := range [][2]string{
		{base + "/", "the first page"},
		{base + "/v1/search?q=trasporto+disabili", "a search over all comuni"},
		{base + "/v1/comuni/-/services", "all services"},
		{base + "/v1/nodes", "the members and how fresh their copies are"},
		{base + "/docs/", "the API, to read"},
		{base + "/openapi.json", "the API, for programs"},
	} {
		fmt.Printf("  %-62s %s\n", line[0], line[1])
	}
	fmt.Println("gRPC, mutual TLS (client certificate: " + filepath.Join(options.Dir, "pki/issued/admin/demo") + ")")
	for _, comune := range demo.Comuni {
		fmt.Printf("  %-62s %s\n", f.Address(comune.ID), "node of "+comune.Title)
	}
	fmt.Printf("  %-62s %s\n", f.Address(demo.Office), "ufficio comune")
	for _, comune := range demo.Comuni {
		fmt.Printf("Portale e scrivania di %s: http://%s/\n", comune.Title, f.DeskHTTP(comune.ID))
	}
	fmt.Println("  Si entra da /accesso/; utenti, ruoli e password sono in " + demo.PeopleFile(options.Dir))
	fmt.Println("To write: curl -H \"Authorization: Bearer $(bin/cid-demo token marsala)\" …")
	fmt.Println("Try   make demo-cut COMUNE=pantelleria   and   make demo-heal COMUNE=pantelleria")
	fmt.Println("Stop with Ctrl-C")
}
