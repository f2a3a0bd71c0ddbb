package e2e

import (
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"cidsistem.example/deploy/demo"
	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/annotationsv1"
	"cidsistem.example/proto/gen/identityv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/platform/identity"
)

// TestWhoShowsAndWhoKeeps proves at the node and through the ufficio comune what
// no interceptor can decide: an editor writes and shows nothing to more people
// than before, and a body of the third sector writes its own cards alone.
func TestWhoShowsAndWhoKeeps(t *testing.T) {
	f, _ := sharedFederation(t)
	grant := func(role annotationsv1.Role, scope string) string {
		return f.enrol(t, "marsala", &identityv1.Grant{Role: role, Scope: scope})
	}
	own, err := registryv1.NewOrganizationServiceClient(f.conn(t, "marsala")).CreateOrganization(t.Context(), &registryv1.CreateOrganizationRequest{
		Parent: "comuni/marsala", OrganizationId: unique("ente"),
		Organization: &registryv1.Organization{Title: &registryv1.LocalizedText{It: "Ente"}, Kind: registryv1.Organization_ASSOCIATION},
	})
	if err != nil {
		t.Fatal(err)
	}
	editor, publisher := grant(annotationsv1.Role_EDITOR, "comuni/marsala"), grant(annotationsv1.Role_PUBLISHER, "comuni/marsala")
	keeper, showing := grant(annotationsv1.Role_EDITOR, own.GetName()), grant(annotationsv1.Role_PUBLISHER, own.GetName())
	const (
		local, public = registryv1.Visibility_LOCAL, registryv1.Visibility_PUBLIC
		may           = registryv1.ErrorReason_ERROR_REASON_UNSPECIFIED
		mayNot        = registryv1.ErrorReason_NOT_ALLOWED
	)
	for _, server := range []string{"marsala", demo.Office} {
		services := registryv1.NewServiceServiceClient(f.as(t, identity.RoleGateway, server))
		for _, test := range []struct {
			who, token string
			visibility registryv1.Visibility
			of         string
			want       registryv1.ErrorReason
		}{
			{"an editor", editor, local, "", may},
			{"an editor", editor, registryv1.Visibility_NETWORK, "", mayNot},
			{"an editor", editor, public, "", mayNot},
			{"an editor", editor, registryv1.Visibility_VISIBILITY_UNSPECIFIED, "", mayNot}, // which is PUBLIC
			{"a publisher", publisher, public, "", may},
			{"a body", keeper, local, own.GetName(), may},
			{"a body", keeper, local, "", mayNot},
			{"a body", keeper, public, own.GetName(), mayNot},
			{"a body that publishes", showing, public, own.GetName(), may},
			{"a body that publishes", showing, public, "", mayNot},
		} {
			ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+test.token)
			record := &registryv1.Service{
				Title: &registryv1.LocalizedText{It: "Scheda"}, Status: &registryv1.Status{State: registryv1.Status_ACTIVE},
				Visibility: test.visibility, ResponsibleOrganization: test.of,
			}
			_, err := services.CreateService(ctx, &registryv1.CreateServiceRequest{Parent: "comuni/marsala", ServiceId: unique("scheda"), Service: record}, grpc.WaitForReady(true))
			if got := apierror.Reason(err); got != test.want {
				t.Errorf("%s at %s makes a %s card of %q: %v, want %s", test.who, server, test.visibility, test.of, err, test.want)
			}
		}
	}
}
