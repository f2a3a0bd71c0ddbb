// Package cli holds the few lines of command line that every program of ours shares: settings, version and exit codes.
package cli

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"cidsistem.example/services/platform/config"
	"cidsistem.example/services/platform/telemetry"
)

// The exit codes of our programs.
const (
	ExitOK      = 0
	ExitFailure = 1 // it was tried and failed
	ExitUsage   = 2 // the command line or the settings are wrong: another try without a change would fail too
)

// Daemon makes the command of a program that runs until it is stopped: use is its name, short one sentence about it. The
// settings start as the defaults that settings points to; --config names the YAML file laid over them, as [config.Load] does;
// --print-config prints the result and ends. Otherwise run is called, with the settings now in place.
func Daemon(use, short string, settings any, run func(ctx context.Context) error) *cobra.Command {
	var file string
	var printOnly bool
	command := Root(use, short)
	command.Args = cobra.NoArgs
	command.RunE = func(command *cobra.Command, _ []string) error {
		if err := config.Load(file, settings); err != nil {
			return UsageError(err)
		}
		if printOnly {
			return config.Print(command.OutOrStdout(), settings)
		}
		return run(command.Context())
	}
	command.Flags().StringVarP(&file, "config", "c", "", "YAML file with the settings")
	command.Flags().BoolVar(&printOnly, "print-config", false, "print the settings in effect and exit")
	if err := command.MarkFlagFilename("config", "yaml", "yml"); err != nil {
		panic(err) // the flag is defined above
	}
	return command
}

// Root makes the command of a program, with --version and the subcommand version; an error prints no usage text.
func Root(use, short string) *cobra.Command {
	command := &cobra.Command{
		Use:           use,
		Short:         short,
		Version:       telemetry.BuildVersion(),
		SilenceUsage:  true,
		SilenceErrors: true, // Run prints them
	}
	command.AddCommand(&cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(version *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(version.OutOrStdout(), command.Version)
			return err
		},
	})
	return command
}

// Main runs the command with the program's arguments and ends the process with one of the exit codes.
func Main(command *cobra.Command) {
	os.Exit(Run(context.Background(), command))
}

// Run runs the command and returns its exit code; an error goes to the command's error stream as one line.
func Run(ctx context.Context, command *cobra.Command) int {
	started := false
	noteStart(command, &started)
	err := command.ExecuteContext(ctx)
	if err == nil {
		return ExitOK
	}
	command.PrintErrln(command.Name() + ": " + err.Error())
	if _, ok := errors.AsType[usageError](err); ok || !started {
		command.PrintErrln("See '" + command.Name() + " --help'.")
		return ExitUsage
	}
	return ExitFailure
}

// UsageError marks an error as one of the command line or the settings, for [ExitUsage].
func UsageError(err error) error { return usageError{err} }

type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// noteStart tells apart what cobra refuses (flags, arguments, an unknown subcommand) from what a command ran into.
func noteStart(command *cobra.Command, started *bool) {
	if run := command.RunE; run != nil {
		command.RunE = func(command *cobra.Command, args []string) error {
			*started = true
			return run(command, args)
		}
	}
	for _, child := range command.Commands() {
		noteStart(child, started)
	}
}
