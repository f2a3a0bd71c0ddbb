package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/platform/cli"
)

// recordCommands work on records of every kind: what a kind is, the contract
// says.
func recordCommands(link *connection) []*cobra.Command {
	return []*cobra.Command{kindsCommand(), getCommand(link), listCommand(link), applyCommand(link), deleteCommand(link), undeleteCommand(link)}
}

func kindsCommand() *cobra.Command {
	return &cobra.Command{
		Use: "kinds", Short: "List the kinds of record", Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			rows := [][]string{{"COLLECTION", "ITALIAN", "INSIDE"}}
			for _, kind := range catalog.Kinds() {
				inside := ""
				if kind.Parent != nil {
					inside = kind.Parent.Collection
				}
				rows = append(rows, []string{kind.Collection, kind.LabelPlural, inside})
			}
			return table(command.OutOrStdout(), rows)
		},
	}
}

// invoke calls a standard method; fields are set in the request by name.
func invoke(ctx context.Context, conn *grpc.ClientConn, kind *catalog.Kind, verb catalog.Verb, fields map[string]any) (proto.Message, error) {
	method, ok := kind.Method(verb)
	if !ok {
		return nil, cli.UsageError(fmt.Errorf("%s have no %s", kind.Collection, strings.ToLower(string(verb))))
	}
	request := method.NewRequest().ProtoReflect()
	for name, value := range fields {
		fd := request.Descriptor().Fields().ByName(protoreflect.Name(name))
		if record, ok := value.(proto.Message); ok {
			request.Set(fd, protoreflect.ValueOfMessage(record.ProtoReflect()))
		} else {
			request.Set(fd, protoreflect.ValueOf(value))
		}
	}
	answer := method.NewResponse()
	return answer, conn.Invoke(ctx, method.Full, request.Interface(), answer)
}

// named finds the kind of a name given on the command line.
func named(name string) (catalog.Name, error) {
	parsed, err := catalog.ParseName(name)
	if err != nil {
		return catalog.Name{}, cli.UsageError(fmt.Errorf("%w; a name is such as comuni/marsala/services/asacom", err))
	}
	return parsed, nil
}

func getCommand(link *connection) *cobra.Command {
	return &cobra.Command{
		Use: "get NAME", Short: "Show a record as YAML", Args: cobra.ExactArgs(1),
		Example: "  cidctl get comuni/marsala/services/trasporto-disabili",
		RunE: link.call(func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
			name, err := named(args[0])
			if err != nil {
				return err
			}
			record, err := invoke(ctx, conn, name.Kind, catalog.Get, map[string]any{"name": args[0]})
			if err != nil {
				return err
			}
			return printMessage(os.Stdout, record)
		}),
	}
}

func listCommand(link *connection) *cobra.Command {
	var parent string
	var deleted bool
	command := &cobra.Command{
		Use: "list COLLECTION", Short: "List records, a line each", Args: cobra.ExactArgs(1), ValidArgs: collections(),
		Example: "  cidctl list services --in comuni/marsala",
		RunE: link.call(func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
			kind := catalog.ByCollection(args[0])
			if kind == nil {
				return cli.UsageError(fmt.Errorf("there are no %q; see: cidctl kinds", args[0]))
			}
			return list(ctx, conn, kind, parent, deleted)
		}),
	}
	command.Flags().StringVar(&parent, "in", "", `where: "comuni/marsala", or "comuni/-" for all comuni (the default)`)
	command.Flags().BoolVar(&deleted, "deleted", false, "deleted records too")
	return command
}

func collections() []string {
	var names []string
	for _, kind := range catalog.Kinds() {
		names = append(names, kind.Collection)
	}
	return names
}

func list(ctx context.Context, conn *grpc.ClientConn, kind *catalog.Kind, parent string, deleted bool) error {
	rows := [][]string{{"NAME", "TITLE", "CHANGED"}}
	fields := map[string]any{"page_size": int32(500), "show_deleted": deleted}
	if kind.Parent != nil {
		if parent == "" {
			parent = kind.AnyParent()
		}
		fields["parent"] = parent
	}
	var coverage protoreflect.List
	for token := "first"; token != ""; {
		page, err := invoke(ctx, conn, kind, catalog.List, fields)
		if err != nil {
			return err
		}
		m := page.ProtoReflect()
		of := m.Descriptor().Fields()
		records := m.Get(of.ByName(protoreflect.Name(kind.Collection))).List()
		for i := range records.Len() {
			rows = append(rows, row(records.Get(i).Message().Interface()))
		}
		coverage = m.Get(of.ByName("coverage")).List()
		token = m.Get(of.ByName("next_page_token")).String()
		fields["page_token"] = token
	}
	if err := table(os.Stdout, rows); err != nil {
		return err
	}
	return warnCoverage(coverage)
}

func row(record proto.Message) []string {
	r := catalog.RecordOf(record)
	title := ""
	catalog.SearchValues(record, func(v catalog.SearchValue) {
		if text, ok := v.Value.Interface().(protoreflect.Message); ok && title == "" {
			if t, ok := text.Interface().(*registryv1.LocalizedText); ok {
				title = t.GetIt()
			}
		}
	})
	changed := r.UpdateTime().Local().Format("2006-01-02 15:04")
	if r.Deleted() {
		changed += " (deleted)"
	}
	return []string{r.Name(), title, changed}
}

// warnCoverage says on the terminal what the list does not have, or has of
// another time.
func warnCoverage(coverage protoreflect.List) error {
	for i := range coverage.Len() {
		c, ok := coverage.Get(i).Message().Interface().(*registryv1.Coverage)
		if !ok || c.GetState() == registryv1.Coverage_CURRENT {
			continue
		}
		said := "nothing is known of it"
		if c.GetAsOfTime() != nil {
			said = "its node is away; as of " + c.GetAsOfTime().AsTime().Local().Format("2006-01-02 15:04:05")
		}
		if _, err := fmt.Fprintf(os.Stderr, "%s: %s\n", c.GetComune(), said); err != nil {
			return err
		}
	}
	return nil
}

func applyCommand(link *connection) *cobra.Command {
	var file string
	var check bool
	command := &cobra.Command{
		Use: "apply NAME --file FILE", Short: "Create a record, or change the fields that the file has", Args: cobra.ExactArgs(1),
		Example: "  cidctl apply comuni/marsala/services/asacom --file asacom.yaml",
		RunE: link.call(func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
			name, err := named(args[0])
			if err != nil {
				return err
			}
			record := name.Kind.New()
			if err := readMessage(file, record); err != nil {
				return cli.UsageError(err)
			}
			catalog.RecordOf(record).SetName(args[0])
			fields := map[string]any{name.Kind.Singular: record, "validate_only": check}
			if !name.Kind.Singleton {
				fields["allow_missing"] = true
			}
			after, err := invoke(ctx, conn, name.Kind, catalog.Update, fields)
			if err != nil {
				return err
			}
			return printMessage(os.Stdout, after)
		}),
	}
	command.Flags().StringVarP(&file, "file", "f", "-", "YAML or JSON with the record's fields; - reads standard input")
	command.Flags().BoolVar(&check, "check", false, "check only, change nothing")
	return command
}

// oneRecord makes a command that does a standard method to one record.
func oneRecord(link *connection, use, short string, verb catalog.Verb, done string) *cobra.Command {
	return &cobra.Command{
		Use: use + " NAME", Short: short, Args: cobra.ExactArgs(1),
		RunE: link.call(func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
			name, err := named(args[0])
			if err != nil {
				return err
			}
			if _, err := invoke(ctx, conn, name.Kind, verb, map[string]any{"name": args[0]}); err != nil {
				return err
			}
			_, err = fmt.Println(args[0] + " " + done)
			return err
		}),
	}
}

func deleteCommand(link *connection) *cobra.Command {
	return oneRecord(link, "delete", "Delete a record; it can be undeleted for 30 days", catalog.Delete, "is deleted; bring it back with: cidctl undelete")
}

func undeleteCommand(link *connection) *cobra.Command {
	return oneRecord(link, "undelete", "Bring a deleted record back", catalog.Undelete, "is back")
}
