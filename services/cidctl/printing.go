package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"sigs.k8s.io/yaml"

	"cidsistem.example/proto/apierror"
)

// A format is how answers are written. It is the value of --output.
type format string

// The formats; empty: lists as a table, everything else as YAML.
const (
	asTable format = "table"
	asYAML  format = "yaml"
	asJSON  format = "json"
)

// output is the format that was asked for.
var output format

// String is the format's name.
func (f *format) String() string { return string(*f) }

// Set takes a format by its name.
func (f *format) Set(name string) error {
	switch format(name) {
	case asTable, asYAML, asJSON:
		*f = format(name)
		return nil
	}
	return errors.New("must be table, yaml or json")
}

// Type says what the flag takes.
func (f *format) Type() string { return "table|yaml|json" }

// printMessage writes a message, in the words of the REST edge.
func printMessage(out io.Writer, message proto.Message) error {
	text, err := protojson.Marshal(message)
	if err != nil {
		return err
	}
	switch output {
	case asJSON:
		var indented bytes.Buffer
		if err := json.Indent(&indented, text, "", "  "); err != nil {
			return err
		}
		_, err = fmt.Fprintln(out, indented.String())
		return err
	case asTable:
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(text, &fields); err != nil {
			return err
		}
		rows := [][]string{{"FIELD", "VALUE"}}
		for _, name := range slices.Sorted(maps.Keys(fields)) {
			value := string(fields[name])
			if plain, err := strconv.Unquote(value); err == nil {
				value = plain
			}
			rows = append(rows, []string{name, strings.ReplaceAll(value, "\n", " ")})
		}
		return table(out, rows)
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

// table writes rows in columns, the first has the headings; in another format, a list of what each row says under its headings, such as
// lastError under LAST ERROR.
func table(out io.Writer, rows [][]string) error {
	if output == asJSON || output == asYAML {
		return objects(out, rows)
	}
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	for _, row := range rows {
		if _, err := fmt.Fprintln(w, strings.Join(row, "\t")); err != nil {
			return err
		}
	}
	return w.Flush()
}

func objects(out io.Writer, rows [][]string) error {
	all := []map[string]string{}
	for i, row := range rows {
		if i == 0 {
			continue
		}
		one := map[string]string{}
		for column, value := range row {
			one[camel(rows[0][column])] = value
		}
		all = append(all, one)
	}
	text, err := json.MarshalIndent(all, "", "  ")
	if err == nil && output == asYAML {
		text, err = yaml.JSONToYAML(text)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, strings.TrimRight(string(text), "\n"))
	return err
}

// camel writes LAST ERROR as lastError.
func camel(heading string) string {
	words := strings.Fields(strings.ToLower(heading))
	for i, word := range words {
		if i > 0 {
			words[i] = strings.ToUpper(word[:1]) + word[1:]
		}
	}
	return strings.Join(words, "")
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
