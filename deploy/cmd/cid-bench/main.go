// Command cid-bench measures a federation of real processes on this machine and
// prints what it found as Markdown tables.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"cidsistem.example/deploy/bench"
	"cidsistem.example/services/platform/cli"
)

func main() {
	var options bench.Options
	var file string
	root := cli.Root("cid-bench", "Measure a federation of real processes on this machine")
	root.Args = cobra.NoArgs
	root.RunE = func(command *cobra.Command, _ []string) error { return run(command.Context(), options, file) }
	flags := root.Flags()
	flags.StringSliceVar(&options.Only, "only", nil, "parts to measure: "+strings.Join(bench.Parts, ", "))
	flags.IntSliceVar(&options.Records, "records", []int{10_000, 100_000}, "records of each of the three nodes, one number for each size")
	flags.DurationVar(&options.Duration, "duration", 5*time.Second, "length of one measurement")
	flags.IntVar(&options.Runs, "runs", 5, "how often each measurement is repeated; the median counts")
	flags.StringVar(&file, "out", "", "file to write the tables to as well")
	flags.StringVar(&options.Keep, "keep", "", "folder that keeps loaded nodes for the next run")
	flags.StringVar(&options.Dir, "dir", "", "folder for the data while it runs, on a disk (else that for temporary files)")
	root.AddCommand(&cobra.Command{
		Use: "bare FILE", Short: "Serve ready answers, to hold ours against", Hidden: true, Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return bench.Serve(args[0], os.Stdin, os.Stdout) },
	})
	cli.Main(root)
}

func run(ctx context.Context, options bench.Options, file string) error {
	if err := options.Validate(); err != nil {
		return cli.UsageError(err)
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	var tables bytes.Buffer
	options.Bin, options.Out, options.Progress = filepath.Dir(program), io.MultiWriter(os.Stdout, &tables), os.Stderr
	err = bench.Run(ctx, options)
	if ctx.Err() != nil {
		err = errors.New("stopped before the end")
	}
	if file != "" && err == nil {
		err = os.WriteFile(file, tables.Bytes(), 0o644)
	}
	if err != nil {
		return fmt.Errorf("measure: %w", err)
	}
	return nil
}
