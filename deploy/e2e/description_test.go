package e2e

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	"cidsistem.example/deploy/demo"
	"cidsistem.example/proto/catalog"
)

// TestServersDescribeThemselves proves that a client needs nothing but a
// certificate to learn what a server offers, by reflection, and that it is well;
// and that what is for the local socket is offered there only.
func TestServersDescribeThemselves(t *testing.T) {
	f, _ := sharedFederation(t)
	network := []string{
		"cidsistem.audit.v1.AuditService", "cidsistem.desk.v1.FeedbackService", "cidsistem.desk.v1.RequestService",
		"cidsistem.federation.v1.FederationService", "cidsistem.feed.v1.FeedService",
		"cidsistem.identity.v1.AccountService", "cidsistem.identity.v1.KeyService", "cidsistem.identity.v1.SessionService",
		"cidsistem.registry.v1.FileService", "cidsistem.registry.v1.SearchService",
		"grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection",
	}
	for _, kind := range catalog.Kinds() {
		network = append(network, string(kind.Service.FullName()))
	}
	network = append(network, "cidsistem.admin.v1.BackupService", "cidsistem.admin.v1.MessageService", "cidsistem.editorial.v1.CorrectionService", "cidsistem.editorial.v1.DraftService",
		"cidsistem.editorial.v1.DuplicateService", "cidsistem.editorial.v1.RecordService", "cidsistem.exchange.v1.ExportService", "cidsistem.exchange.v1.ImportService")
	for _, server := range []string{"marsala", demo.Office} {
		network := slices.Clone(network)
		if server != demo.Office { // what is done at the comune alone
			network = append(network, "cidsistem.desk.v1.TransferService")
		}
		local := append([]string{"cidsistem.admin.v1.StoreService"}, network...)
		if server != demo.Office {
			local = append([]string{"cidsistem.admin.v1.PersonService"}, local...) // where there are persons' data
		}
		for _, at := range []struct {
			name string
			conn *grpc.ClientConn
			want []string
		}{
			{"network", f.conn(t, server), network},
			{"local socket", f.local(t, server), local},
		} {
			t.Run(server+"/"+at.name, func(t *testing.T) {
				health, err := grpc_health_v1.NewHealthClient(at.conn).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{})
				if err != nil || health.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
					t.Errorf("health: %v, %v", health, err)
				}
				ask := reflection(t, at.conn)
				var got []string
				services := ask(&grpc_reflection_v1.ServerReflectionRequest{
					MessageRequest: &grpc_reflection_v1.ServerReflectionRequest_ListServices{},
				}).GetListServicesResponse()
				for _, service := range services.GetService() {
					got = append(got, service.GetName())
				}
				slices.Sort(got)
				want := slices.Sorted(slices.Values(at.want))
				if !slices.Equal(got, want) {
					t.Errorf("offers\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
				}
				for _, service := range got {
					described(t, ask, service)
				}
			})
		}
	}
}

// reflection asks a server about itself.
func reflection(t *testing.T, conn *grpc.ClientConn) func(*grpc_reflection_v1.ServerReflectionRequest) *grpc_reflection_v1.ServerReflectionResponse {
	t.Helper()
	stream, err := grpc_reflection_v1.NewServerReflectionClient(conn).ServerReflectionInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return func(question *grpc_reflection_v1.ServerReflectionRequest) *grpc_reflection_v1.ServerReflectionResponse {
		t.Helper()
		if err := stream.Send(question); err != nil {
			t.Fatal(err)
		}
		answer, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
}

// described fails unless the server has the file in which a service is declared.
func described(t *testing.T, ask func(*grpc_reflection_v1.ServerReflectionRequest) *grpc_reflection_v1.ServerReflectionResponse, service string) {
	t.Helper()
	files := ask(&grpc_reflection_v1.ServerReflectionRequest{
		MessageRequest: &grpc_reflection_v1.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: service},
	}).GetFileDescriptorResponse().GetFileDescriptorProto()
	for _, text := range files {
		file := &descriptorpb.FileDescriptorProto{}
		if err := proto.Unmarshal(text, file); err != nil {
			t.Fatal(err)
		}
		for _, declared := range file.GetService() {
			if file.GetPackage()+"."+declared.GetName() == service && len(declared.GetMethod()) > 0 {
				return
			}
		}
	}
	t.Errorf("the server does not describe %s", service)
}
