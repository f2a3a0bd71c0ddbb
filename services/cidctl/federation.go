package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	"cidsistem.example/proto/gen/federationv1"
	"cidsistem.example/proto/gen/registryv1"
)

func searchCommand(link *connection) *cobra.Command {
	request := &registryv1.SearchRequest{}
	command := &cobra.Command{
		Use: "search WORDS…", Short: "Find records by words", Args: cobra.MinimumNArgs(1),
		Example: "  cidctl search pulmino disabili --comune marsala",
		RunE: link.call(func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
			request.Q = strings.Join(args, " ")
			found, err := registryv1.NewSearchServiceClient(conn).Search(ctx, request)
			if err != nil {
				return err
			}
			rows := [][]string{{"NAME", "TITLE"}}
			for _, hit := range found.GetHits() {
				rows = append(rows, []string{hit.GetName(), hit.GetTitle()})
			}
			if err := table(os.Stdout, rows); err != nil {
				return err
			}
			_, err = fmt.Printf("%d of %d\n", len(found.GetHits()), found.GetTotalSize())
			return err
		}),
	}
	command.Flags().StringSliceVar(&request.Comuni, "comune", nil, "only these comuni")
	command.Flags().StringSliceVar(&request.Kinds, "kind", nil, "only these collections")
	command.Flags().Int32Var(&request.PageSize, "most", 20, "at most this many, up to 100")
	return command
}

func nodesCommand(link *connection) *cobra.Command {
	command := &cobra.Command{
		Use: "nodes", Short: "Show the members of the federation and how fresh their copies are", Args: cobra.NoArgs,
		RunE: link.call(func(ctx context.Context, conn *grpc.ClientConn, _ []string) error {
			answer, err := federationv1.NewFederationServiceClient(conn).ListNodes(ctx, &federationv1.ListNodesRequest{PageSize: 1000})
			if err != nil {
				return err
			}
			rows := [][]string{{"NODE", "STATE", "AS OF", "REVISION", "BEHIND", "LAST ERROR"}}
			for _, node := range answer.GetNodes() {
				asOf := "never"
				if node.GetAsOfTime() != nil {
					asOf = node.GetAsOfTime().AsTime().Local().Format("2006-01-02 15:04:05")
				}
				rows = append(rows, []string{
					strings.TrimPrefix(node.GetName(), "nodes/"), node.GetState().String(), asOf,
					strconv.FormatInt(node.GetRevision(), 10), strconv.FormatInt(node.GetLagRevisions(), 10), node.GetLastError(),
				})
			}
			return table(os.Stdout, rows)
		}),
	}
	command.AddCommand(&cobra.Command{
		Use: "resync NODE", Short: "Take the copy of a member anew; the old one answers meanwhile", Args: cobra.ExactArgs(1),
		RunE: link.call(func(ctx context.Context, conn *grpc.ClientConn, args []string) error {
			_, err := federationv1.NewFederationServiceClient(conn).ResyncNode(ctx, &federationv1.ResyncNodeRequest{Name: "nodes/" + args[0]})
			if err != nil {
				return err
			}
			_, err = fmt.Println("the copy of " + args[0] + " is taken anew; follow it with: cidctl nodes")
			return err
		}),
	})
	return command
}
