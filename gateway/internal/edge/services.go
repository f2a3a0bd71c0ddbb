package edge

import (
	"context"
	"fmt"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc"

	"cidsistem.example/proto/gen/adminv1"
	"cidsistem.example/proto/gen/auditv1"
	"cidsistem.example/proto/gen/deskv1"
	"cidsistem.example/proto/gen/editorialv1"
	"cidsistem.example/proto/gen/exchangev1"
	"cidsistem.example/proto/gen/federationv1"
	"cidsistem.example/proto/gen/identityv1"
	"cidsistem.example/proto/gen/registryv1"
)

// A service of the contract that is reached over HTTP.
type service struct {
	name     string
	register func(context.Context, *runtime.ServeMux, grpc.ClientConnInterface) error
}

// services is the one list of what the edge serves. A test compares it with the HTTP annotations of the contract.
var services = []service{
	serve(registryv1.ActionService_ServiceDesc, registryv1.NewActionServiceClient, registryv1.RegisterActionServiceHandlerClient),
	serve(registryv1.ComuneService_ServiceDesc, registryv1.NewComuneServiceClient, registryv1.RegisterComuneServiceHandlerClient),
	serve(registryv1.DocumentService_ServiceDesc, registryv1.NewDocumentServiceClient, registryv1.RegisterDocumentServiceHandlerClient),
	serve(registryv1.EventService_ServiceDesc, registryv1.NewEventServiceClient, registryv1.RegisterEventServiceHandlerClient),
	serve(registryv1.FileService_ServiceDesc, registryv1.NewFileServiceClient, registryv1.RegisterFileServiceHandlerClient),
	serve(registryv1.LocationService_ServiceDesc, registryv1.NewLocationServiceClient, registryv1.RegisterLocationServiceHandlerClient),
	serve(registryv1.OperatorService_ServiceDesc, registryv1.NewOperatorServiceClient, registryv1.RegisterOperatorServiceHandlerClient),
	serve(registryv1.OrganizationService_ServiceDesc, registryv1.NewOrganizationServiceClient, registryv1.RegisterOrganizationServiceHandlerClient),
	serve(registryv1.PlanService_ServiceDesc, registryv1.NewPlanServiceClient, registryv1.RegisterPlanServiceHandlerClient),
	serve(registryv1.PracticeService_ServiceDesc, registryv1.NewPracticeServiceClient, registryv1.RegisterPracticeServiceHandlerClient),
	serve(registryv1.SearchService_ServiceDesc, registryv1.NewSearchServiceClient, registryv1.RegisterSearchServiceHandlerClient),
	serve(registryv1.ServiceService_ServiceDesc, registryv1.NewServiceServiceClient, registryv1.RegisterServiceServiceHandlerClient),
	serve(federationv1.FederationService_ServiceDesc, federationv1.NewFederationServiceClient, federationv1.RegisterFederationServiceHandlerClient),
	serve(auditv1.AuditService_ServiceDesc, auditv1.NewAuditServiceClient, auditv1.RegisterAuditServiceHandlerClient),
	serve(deskv1.FeedbackService_ServiceDesc, deskv1.NewFeedbackServiceClient, deskv1.RegisterFeedbackServiceHandlerClient),
	serve(deskv1.RequestService_ServiceDesc, deskv1.NewRequestServiceClient, deskv1.RegisterRequestServiceHandlerClient),
	serve(editorialv1.CorrectionService_ServiceDesc, editorialv1.NewCorrectionServiceClient, editorialv1.RegisterCorrectionServiceHandlerClient),
	serve(editorialv1.DraftService_ServiceDesc, editorialv1.NewDraftServiceClient, editorialv1.RegisterDraftServiceHandlerClient),
	serve(editorialv1.DuplicateService_ServiceDesc, editorialv1.NewDuplicateServiceClient, editorialv1.RegisterDuplicateServiceHandlerClient),
	serve(editorialv1.RecordService_ServiceDesc, editorialv1.NewRecordServiceClient, editorialv1.RegisterRecordServiceHandlerClient),
	serve(exchangev1.ImportService_ServiceDesc, exchangev1.NewImportServiceClient, exchangev1.RegisterImportServiceHandlerClient),
	serve(adminv1.BackupService_ServiceDesc, adminv1.NewBackupServiceClient, adminv1.RegisterBackupServiceHandlerClient),
	serve(adminv1.MessageService_ServiceDesc, adminv1.NewMessageServiceClient, adminv1.RegisterMessageServiceHandlerClient),
	serve(identityv1.AccountService_ServiceDesc, identityv1.NewAccountServiceClient, identityv1.RegisterAccountServiceHandlerClient),
	serve(identityv1.SessionService_ServiceDesc, identityv1.NewSessionServiceClient, identityv1.RegisterSessionServiceHandlerClient),
}

// serve ties the generated client of a service to its generated HTTP handlers.
func serve[Client any](desc grpc.ServiceDesc, client func(grpc.ClientConnInterface) Client, register func(context.Context, *runtime.ServeMux, Client) error) service {
	return service{desc.ServiceName, func(ctx context.Context, mux *runtime.ServeMux, conn grpc.ClientConnInterface) error {
		if err := register(ctx, mux, client(conn)); err != nil {
			return fmt.Errorf("register %s: %w", desc.ServiceName, err)
		}
		return nil
	}}
}
