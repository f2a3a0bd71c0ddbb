package main

import (
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// manCommand writes the manual pages of all commands.
func manCommand(root *cobra.Command) *cobra.Command {
	var dir string
	command := &cobra.Command{
		Use: "man", Short: "Write the manual pages of all commands into a folder", Args: cobra.NoArgs,
		Example: "  cidctl man --dir /usr/local/share/man/man1",
		RunE: func(*cobra.Command, []string) error {
			if err := os.MkdirAll(dir, 0o750); err != nil {
				return err
			}
			root.DisableAutoGenTag = true // the same pages whenever they are written
			return doc.GenManTree(root, &doc.GenManHeader{Title: "CIDCTL", Section: "1", Source: "CID SISTEM", Manual: "CID SISTEM"}, dir)
		},
	}
	command.Flags().StringVar(&dir, "dir", "man", "the folder; it is made when it is not there")
	return command
}
