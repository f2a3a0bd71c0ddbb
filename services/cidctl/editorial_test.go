package main

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/anypb"

	"cidsistem.example/proto/gen/editorialv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/platform/cli"
	"cidsistem.example/services/platform/grpcserver"
	"cidsistem.example/services/registry"
)

// wholeNode starts a node on a local socket, and returns the socket with a
// connection to it.
func wholeNode(t *testing.T, edits ...func(*registry.Settings)) (socket string, conn *grpc.ClientConn) {
	t.Helper()
	dir, err := os.MkdirTemp("", "cidctl") // short enough for a socket
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	settings := *registry.Defaults()
	settings.Comune = registry.Comune{ID: "marsala", Title: "Marsala", IstatCode: "081011"}
	settings.DataDir, settings.PortalURL = filepath.Join(dir, "data"), "https://cid.example.it"
	for _, edit := range edits {
		edit(&settings)
	}
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	node, err := registry.Open(t.Context(), settings, registry.Options{Logger: log, NoSync: true})
	must(t, err)
	unary, stream := node.Interceptors()
	g := grpcserver.New(grpcserver.Options{Insecure: true, Unary: unary, Stream: stream, Logger: log})
	node.RegisterLocal(g.Registrar())
	socket = filepath.Join(dir, "admin.sock")
	listener, err := new(net.ListenConfig).Listen(t.Context(), "unix", socket)
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.Serve(ctx, listener) }()
	link := &connection{socket: socket}
	conn, err = link.dial()
	must(t, err)
	t.Cleanup(func() {
		_ = conn.Close()
		cancel()
		must(t, <-ended)
		must(t, node.Close())
	})
	return socket, conn
}

func TestEditorialCommands(t *testing.T) {
	socket, conn := wholeNode(t)
	const record, parent = "comuni/marsala/services/bus", "comuni/marsala"
	title := &registryv1.LocalizedText{It: "Bus"}
	services := registryv1.NewServiceServiceClient(conn)
	made, err := services.CreateService(t.Context(), &registryv1.CreateServiceRequest{Parent: parent, ServiceId: "bus", Service: &registryv1.Service{
		Title: title, Status: &registryv1.Status{State: registryv1.Status_ACTIVE},
	}})
	must(t, err)
	_, err = registryv1.NewOrganizationServiceClient(conn).CreateOrganization(t.Context(), &registryv1.CreateOrganizationRequest{
		Parent: parent, OrganizationId: "aias", Organization: &registryv1.Organization{Title: title, Kind: registryv1.Organization_ASSOCIATION},
	})
	must(t, err)
	content, err := anypb.New(made)
	must(t, err)
	draft := func() string {
		one, err := editorialv1.NewDraftServiceClient(conn).CreateDraft(t.Context(), &editorialv1.CreateDraftRequest{Parent: parent, Draft: &editorialv1.Draft{Record: record, Content: content}})
		must(t, err)
		return one.GetName()
	}
	first, second := draft(), draft()
	correction, err := editorialv1.NewCorrectionServiceClient(conn).CreateCorrection(t.Context(), &editorialv1.CreateCorrectionRequest{Parent: parent, Correction: &editorialv1.Correction{
		Record: record, Contact: "rosa@posta.example", Changes: []*editorialv1.Correction_Change{{Field: "title", Proposed: "Bus\x1b[2J"}},
	}})
	must(t, err)
	for _, test := range []struct {
		input string
		args  string
		code  int
		want  string // in what is written, a regular expression
	}{
		{"", "records history " + record, cli.ExitOK, `2 +CREATED .* nodes/marsala`},
		{"", "records history nothing", cli.ExitUsage, `comuni/marsala/services/asacom`},
		{"", "records version " + record + " 2", cli.ExitOK, `it: Bus`},
		{"", "records version " + record + " two", cli.ExitUsage, `is not a revision`},
		{"", "records verify " + record + " --by BY_VISIT --note visto", cli.ExitOK, `VERIFIED at revision 4`},
		{"", "records verify " + record, cli.ExitUsage, `"by"`},
		{"", "records verify " + record + " --by CROW", cli.ExitUsage, `BY_PHONE, BY_VISIT`},
		{"", "records verify " + record + " --by BY_VISIT --until tomorrow", cli.ExitUsage, `2027-06-30`},
		{"", "records due " + parent, cli.ExitOK, `^NAME +TITLE +DUE +VERIFIED +KEPT BY\n$`},
		{"", "records due " + parent + " --before 2199-01-01", cli.ExitOK, record + ` +Bus`},
		{"", "records suspend " + record, cli.ExitOK, `SUSPENDED`},
		{"", "records resume " + record, cli.ExitOK, `RESUMED`},
		{"", "records resume " + record, cli.ExitFailure, `NOT_SUPPORTED_HERE`},
		{"", "records restore " + record + " 2", cli.ExitOK, `RESTORED at revision 7`},
		{"", "drafts list " + parent, cli.ExitOK, first + ` +DRAFT \(outdated\) +Bus +` + record},
		{"", "drafts show " + first, cli.ExitOK, `state: DRAFT`},
		{"", "drafts submit " + first, cli.ExitOK, `is IN_REVIEW`},
		{"Manca il telefono", "drafts return " + first, cli.ExitOK, `is RETURNED`},
		{"", "drafts publish " + first, cli.ExitFailure, `RETURNED`},
		{"", "drafts submit " + second, cli.ExitOK, `is IN_REVIEW`},
		{"", "drafts publish " + second, cli.ExitFailure, `ETAG_MISMATCH`},
		{"", "drafts discard " + second, cli.ExitOK, `is DISCARDED`},
		{"", "drafts list " + parent + " --state GONE", cli.ExitUsage, `IN_REVIEW`},
		{"", "corrections list " + parent + " --state open", cli.ExitOK, correction.GetName() + ` +OPEN +PUBLIC_PERSON .* title`},
		{"", "corrections show " + correction.GetName(), cli.ExitOK, `contact: rosa@posta.example`},
		{"", "corrections decide " + correction.GetName() + " --accept 4", cli.ExitFailure, `accepted`},
		{"", "corrections decide " + correction.GetName(), cli.ExitOK, `is REJECTED`},
		{"", "confirmations create comuni/marsala/organizations/aias --to info@aias.example", cli.ExitOK, `for 1 cards, in the message nodes/marsala/messages/`},
		{"", "confirmations list " + parent, cli.ExitOK, `SENT +comuni/marsala/organizations/aias +1`},
	} {
		link := &connection{socket: socket, timeout: 10 * time.Second}
		root := cli.Root("cidctl", "")
		root.AddCommand(recordsCommand(link), draftsCommand(link), correctionsCommand(link), confirmationsCommand(link))
		var out bytes.Buffer
		root.SetIn(strings.NewReader(test.input))
		root.SetOut(&out)
		root.SetErr(&out)
		root.SetArgs(strings.Fields(test.args))
		if code := cli.Run(t.Context(), root); code != test.code || !regexp.MustCompile(test.want).MatchString(out.String()) {
			t.Errorf("%s: exit code %d, wrote\n%s\nwithout %s", test.args, code, out.String(), test.want)
		}
		if strings.Contains(out.String(), "\x1b") {
			t.Errorf("%s: commands the terminal", test.args)
		}
	}
}
