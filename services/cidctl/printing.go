package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"sigs.k8s.io/yaml"

	"cidsistem.example/proto/apierror"
)

// printMessage writes a message as YAML, in the words of the REST edge.
func printMessage(out io.Writer, message proto.Message) error {
	text, err := protojson.Marshal(message)
	if err != nil {
		return err
	}
	if text, err = yaml.JSONToYAML(text); err != nil {
		return err
	}
	_, err = out.Write(text)
	return err
}

// readMessage reads a message from a YAML or JSON file, "-" for standard input.
func readMessage(path string, into proto.Message) error { return readFrom(os.Stdin, path, into) }

// readFrom reads a message from a YAML or JSON file, "-" for what comes in.
func readFrom(in io.Reader, path string, into proto.Message) error {
	var text []byte
	var err error
	if path == "-" {
		text, err = io.ReadAll(in)
	} else {
		text, err = os.ReadFile(path)
	}
	if err != nil {
		return err
	}
	if text, err = yaml.YAMLToJSONStrict(text); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if err := protojson.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%s: %s", path, strings.ReplaceAll(err.Error(), "\u00a0", " "))
	}
	return nil
}

// table writes rows in columns.
func table(out io.Writer, rows [][]string) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	for _, row := range rows {
		if _, err := fmt.Fprintln(w, strings.Join(row, "\t")); err != nil {
			return err
		}
	}
	return w.Flush()
}

// plain turns an answer of the server into words for a terminal.
func plain(err error) error {
	if err == nil {
		return nil
	}
	st, ok := status.FromError(err)
	if !ok {
		return err
	}
	lines := []string{st.Message()}
	if reason := apierror.Info(err).GetReason(); reason != "" {
		lines[0] += " (" + reason + ")"
	}
	for _, field := range apierror.Fields(err) {
		lines = append(lines, "  "+field.GetField()+": "+field.GetDescription())
	}
	for _, blocker := range apierror.Blockers(err) {
		lines = append(lines, "  "+blocker.GetSubject()+" "+blocker.GetDescription())
	}
	if wait := apierror.Retry(err); wait > 0 {
		lines = append(lines, "  try again in "+wait.String())
	}
	return fmt.Errorf("%s", strings.Join(lines, "\n"))
}
