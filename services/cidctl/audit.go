package main

import (
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/proto/gen/auditv1"
	"cidsistem.example/services/internal/audit"
	"cidsistem.example/services/platform/cli"
)

// auditCommand reads the audit log of a server, and proves it.
func auditCommand(link *connection) *cobra.Command {
	command := &cobra.Command{Use: "audit", Short: "Read the audit log of a server, and prove that nobody changed it"}
	command.AddCommand(auditList(link), auditExport(link), auditHead(link), auditVerify())
	return command
}

func auditList(link *connection) *cobra.Command {
	request := &auditv1.ListAuditEntriesRequest{}
	var refused bool
	var most int
	var from, to moment
	command := &cobra.Command{
		Use: "list NODE", Short: "List entries of the audit log, the newest first", Args: cobra.ExactArgs(1),
		Example: "  cidctl audit list nodes/marsala --action UpdateService --from 2026-11-01\n" +
			"  cidctl audit list nodes/marsala --resource comuni/marsala/services --refused",
	}
	command.RunE = link.call(func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
		request.Parent, request.StartTime, request.EndTime = args[0], from.at, to.at
		if refused {
			request.Outcome = auditv1.AuditEntry_REFUSED
		}
		rows := [][]string{{"ENTRY", "TIME", "ACTOR", "ACTION", "RESOURCE", "OUTCOME", "REASON", "TIMES"}}
		for more := true; more && len(rows) <= most; more = request.GetPageToken() != "" {
			request.PageSize = int32(min(most+1-len(rows), 1000))
			page, err := auditv1.NewAuditServiceClient(conn).ListAuditEntries(ctx, request)
			if err != nil {
				return err
			}
			for _, e := range page.GetEntries() {
				rows = append(rows, []string{
					strconv.FormatInt(e.GetSequence(), 10), e.GetTime().AsTime().Local().Format(time.DateTime), actor(e), e.GetAction(),
					e.GetResource(), e.GetOutcome().String(), e.GetReason(), strconv.FormatInt(e.GetCount(), 10),
				})
			}
			request.PageToken = page.GetNextPageToken()
		}
		return table(command.OutOrStdout(), rows)
	})
	flags := command.Flags()
	flags.StringVar(&request.Actor, "actor", "", "only what this account or server did, or anyone, or local")
	flags.StringVar(&request.Resource, "resource", "", "only what was done to this record, or inside it")
	flags.StringVar(&request.Action, "action", "", "only actions that contain this text")
	flags.BoolVar(&refused, "refused", false, "only refusals")
	flags.Var(&from, "from", "only from this time on: 2026-11-23, or 2026-11-23T08:30:00+01:00")
	flags.Var(&to, "to", "only before this time")
	flags.IntVar(&most, "most", 100, "at most this many")
	return command
}

func actor(e *auditv1.AuditEntry) string {
	if e.GetVia() == "" {
		return e.GetActor()
	}
	return e.GetActor() + " via " + e.GetVia()
}

// A moment is a flag that takes a date or a time.
type moment struct{ at *timestamppb.Timestamp }

func (m *moment) Set(text string) error {
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		at, err = time.ParseInLocation(time.DateOnly, text, time.Local)
	}
	if err != nil {
		return errors.New("is neither a date such as 2026-11-23 nor a time such as 2026-11-23T08:30:00+01:00")
	}
	m.at = timestamppb.New(at)
	return nil
}

func (m *moment) String() string {
	if m.at == nil {
		return ""
	}
	return m.at.AsTime().Local().Format(time.RFC3339)
}

func (m *moment) Type() string { return "time" }

func auditExport(link *connection) *cobra.Command {
	var from, to moment
	command := &cobra.Command{
		Use: "export NODE", Short: "Write all entries as JSON, a line each, and the newest signed head on the last line", Args: cobra.ExactArgs(1),
		Example: "  cidctl audit export nodes/marsala --from 2026-01-01 --to 2027-01-01 --timeout 10m > audit-2026.jsonl",
	}
	command.RunE = link.call(func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
		stream, err := auditv1.NewAuditServiceClient(conn).ExportAuditEntries(ctx, &auditv1.ExportAuditEntriesRequest{Parent: args[0], StartTime: from.at, EndTime: to.at})
		if err != nil {
			return err
		}
		for {
			message, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
			lines := make([]proto.Message, 0, len(message.GetEntries())+1)
			for _, entry := range message.GetEntries() {
				lines = append(lines, entry)
			}
			if message.GetHead() != nil {
				lines = append(lines, &auditv1.ExportAuditEntriesResponse{Head: message.GetHead()})
			}
			for _, line := range lines {
				if err := printJSON(command.OutOrStdout(), line); err != nil {
					return err
				}
			}
		}
	})
	command.Flags().Var(&from, "from", "only from this time on: 2026-11-23, or 2026-11-23T08:30:00+01:00")
	command.Flags().Var(&to, "to", "only before this time")
	return command
}

// printJSON writes a message on one line.
func printJSON(out io.Writer, message proto.Message) error {
	text, err := protojson.Marshal(message)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s\n", text)
	return err
}

func auditHead(link *connection) *cobra.Command {
	command := &cobra.Command{
		Use: "head NODE", Short: "Write the newest signed head as JSON: who keeps it can prove the log later", Args: cobra.ExactArgs(1),
		Example: "  cidctl audit head nodes/marsala > head-2026-11-23.json",
	}
	command.RunE = link.call(func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
		head, err := auditv1.NewAuditServiceClient(conn).GetAuditHead(ctx, &auditv1.GetAuditHeadRequest{Parent: args[0]})
		if err != nil {
			return err
		}
		return printJSON(command.OutOrStdout(), head)
	})
	return command
}

// auditVerify needs no server: it reads a data file.
func auditVerify() *cobra.Command {
	var data string
	var keys, witnesses []string
	command := &cobra.Command{
		Use: "verify --data FILE", Short: "Prove the audit log in a data file: of a stopped server, a copy, a backup", Args: cobra.NoArgs,
		Long: `verify reads a data file, without changing it, and proves its audit log: that
every entry seals the one before, that the chain is the one whose ends the server
signed and, with --witness, that it holds what was seen of it earlier. It ends
with the exit code 1 and a line for each sign of tampering.

A running server has its data file locked: take a backup, and prove that.

Without --key and --witness the key of the first signed head is believed. A log
that was cut off together with its newest heads shows only before a witness: keep
heads, from cidctl audit head, where the server's administrator cannot write.`,
		Example: "  cidctl store backup today.db && cidctl audit verify --data today.db --witness head-2026-11-23.json",
		RunE: func(command *cobra.Command, _ []string) error {
			if data == "" {
				return cli.UsageError(errors.New("say which data file: --data FILE"))
			}
			against, err := readAgainst(keys, witnesses)
			if err != nil {
				return cli.UsageError(err)
			}
			report, err := audit.Verify(command.Context(), data, against)
			if err != nil {
				return err
			}
			if n := len(report.Findings); n > 0 {
				return fmt.Errorf("the audit log of %s was tampered with, %d findings:\n  %s", report.Node, n, strings.Join(report.Findings, "\n  "))
			}
			_, err = fmt.Fprintf(command.OutOrStdout(), "sound: %s, %d entries, %d signed heads, the newest over entry %d", report.Node, report.Entries, report.Heads, report.Signed)
			if err == nil && report.Key != nil {
				_, err = fmt.Fprintf(command.OutOrStdout(), " with the key %x", report.Key)
			}
			if err == nil {
				_, err = fmt.Fprintln(command.OutOrStdout())
			}
			return err
		},
	}
	command.Flags().StringVar(&data, "data", "", "the data file")
	command.Flags().StringArrayVar(&keys, "key", nil, "a public key of the server, hexadecimal; may be given again")
	command.Flags().StringArrayVar(&witnesses, "witness", nil, "a head that was saved earlier, JSON; may be given again")
	return command
}

func readAgainst(keys, witnesses []string) (audit.Against, error) {
	var known audit.Against
	for _, text := range keys {
		key, err := hex.DecodeString(text)
		if err != nil || len(key) != ed25519.PublicKeySize {
			return known, fmt.Errorf("--key: %q is not a public key of %d hexadecimal digits", text, 2*ed25519.PublicKeySize)
		}
		known.Keys = append(known.Keys, key)
	}
	for _, path := range witnesses {
		head := &auditv1.AuditHead{}
		if err := readMessage(path, head); err != nil {
			return known, fmt.Errorf("--witness: %w", err)
		}
		known.Witnesses = append(known.Witnesses, head)
	}
	return known, nil
}
