package registry_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/registry"
)

// blockers are the records that an error says are in the way.
func blockers(err error) []string {
	var names []string
	for _, detail := range status.Convert(err).Details() {
		if failure, ok := detail.(*errdetails.PreconditionFailure); ok {
			for _, violation := range failure.GetViolations() {
				names = append(names, violation.GetSubject())
			}
		}
	}
	return names
}

func (n *node) delete(t testing.TB, name string) *registryv1.Service {
	t.Helper()
	deleted, err := n.services.DeleteService(t.Context(), &registryv1.DeleteServiceRequest{Name: name})
	must(t, err)
	return deleted
}

func (n *node) list(t testing.TB, request *registryv1.ListServicesRequest) []string {
	t.Helper()
	var names []string
	for request.Parent = "comuni/marsala"; ; {
		page, err := n.services.ListServices(t.Context(), request)
		must(t, err)
		for _, s := range page.GetServices() {
			names = append(names, s.GetName()[len("comuni/marsala/services/"):])
		}
		if request.PageToken = page.GetNextPageToken(); request.GetPageToken() == "" {
			return names
		}
	}
}

func TestDeleteAndUndelete(t *testing.T) {
	n := marsala(t, registry.Options{})
	record := n.create(t, "trasporto")
	n.pass(time.Hour)
	deleted := n.delete(t, record.GetName())
	if !deleted.GetDeleteTime().AsTime().Equal(n.Now()) || !deleted.GetPurgeTime().AsTime().Equal(n.Now().Add(30*24*time.Hour)) {
		t.Errorf("deleted %v", deleted)
	}
	same(t, n.read(t, record.GetName()), deleted)
	if got := n.list(t, &registryv1.ListServicesRequest{}); len(got) != 0 {
		t.Errorf("a list has %v", got)
	}
	if got := n.list(t, &registryv1.ListServicesRequest{ShowDeleted: true}); len(got) != 1 {
		t.Errorf("a list of deleted ones too has %v", got)
	}
	n.unchanged(t, func() {
		_, err := n.services.DeleteService(t.Context(), &registryv1.DeleteServiceRequest{Name: record.GetName()})
		refused(t, err, registryv1.ErrorReason_RESOURCE_DELETED)
		again, err := n.services.DeleteService(t.Context(), &registryv1.DeleteServiceRequest{Name: record.GetName(), AllowMissing: true})
		must(t, err)
		same(t, again, deleted)
	})
	n.pass(time.Hour)
	back, err := n.services.UndeleteService(t.Context(), &registryv1.UndeleteServiceRequest{Name: record.GetName()})
	must(t, err)
	want := proto.CloneOf(record)
	want.Etag, want.Revision, want.UpdateTime = back.GetEtag(), back.GetRevision(), back.GetUpdateTime()
	same(t, back, want)
	n.unchanged(t, func() {
		_, err = n.services.UndeleteService(t.Context(), &registryv1.UndeleteServiceRequest{Name: record.GetName()})
		refused(t, err, registryv1.ErrorReason_NOT_DELETED)
	})
}

func TestDeleteOfWhatIsNotThere(t *testing.T) {
	n := marsala(t, registry.Options{})
	n.unchanged(t, func() {
		const none = "comuni/marsala/services/none"
		_, err := n.services.DeleteService(t.Context(), &registryv1.DeleteServiceRequest{Name: none})
		refused(t, err, registryv1.ErrorReason_RESOURCE_NOT_FOUND)
		gone, err := n.services.DeleteService(t.Context(), &registryv1.DeleteServiceRequest{Name: none, AllowMissing: true})
		must(t, err)
		same(t, gone, &registryv1.Service{Name: none})
		_, err = n.services.UndeleteService(t.Context(), &registryv1.UndeleteServiceRequest{Name: none})
		refused(t, err, registryv1.ErrorReason_RESOURCE_NOT_FOUND)
		_, err = n.services.DeleteService(t.Context(), &registryv1.DeleteServiceRequest{Name: "comuni/pantelleria/services/none", AllowMissing: true})
		refused(t, err, registryv1.ErrorReason_NOT_THE_OWNER)
		_, err = n.services.DeleteService(t.Context(), &registryv1.DeleteServiceRequest{Name: "comuni/marsala/plans/none"})
		refused(t, err, registryv1.ErrorReason_INVALID_FIELDS, "name")
	})
}

func TestDeletedRecordsGoForGood(t *testing.T) {
	n := marsala(t, registry.Options{})
	record := n.create(t, "trasporto")
	n.delete(t, record.GetName())
	n.pass(30*24*time.Hour - time.Second)
	must(t, n.Node.Node.Tidy(t.Context()))
	n.read(t, record.GetName())
	n.pass(2 * time.Second)
	must(t, n.Node.Node.Tidy(t.Context()))
	_, err := n.services.GetService(t.Context(), &registryv1.GetServiceRequest{Name: record.GetName()})
	refused(t, err, registryv1.ErrorReason_RESOURCE_NOT_FOUND)
	_, err = n.services.UndeleteService(t.Context(), &registryv1.UndeleteServiceRequest{Name: record.GetName()})
	refused(t, err, registryv1.ErrorReason_RESOURCE_NOT_FOUND)
	n.create(t, "trasporto") // the name is free again
}

func TestReferences(t *testing.T) {
	n := marsala(t, registry.Options{})
	n.organization(t, "aias")
	gone := n.organization(t, "gone")
	_, err := n.organizations.DeleteOrganization(t.Context(), &registryv1.DeleteOrganizationRequest{Name: gone.GetName()})
	must(t, err)
	location, err := n.locations.CreateLocation(t.Context(), &registryv1.CreateLocationRequest{
		Parent: "comuni/marsala", LocationId: "sede", Location: &registryv1.Location{Title: italian("Sede"), Organization: "comuni/marsala/organizations/aias"},
	})
	must(t, err)
	for name, test := range map[string]struct {
		edit   func(*registryv1.Service)
		fields []string // none: accepted
	}{
		"good": {edit: func(s *registryv1.Service) {
			s.ResponsibleOrganization = "comuni/marsala/organizations/aias"
			s.Places = []*registryv1.ServicePlace{{Location: location.GetName()}}
		}},
		"not there": {
			func(s *registryv1.Service) { s.ResponsibleOrganization = "comuni/marsala/organizations/none" },
			[]string{"service.responsibleOrganization"},
		},
		"deleted": {
			func(s *registryv1.Service) { s.ResponsibleOrganization = gone.GetName() },
			[]string{"service.responsibleOrganization"},
		},
		"another comune's": {
			func(s *registryv1.Service) { s.ResponsibleOrganization = "comuni/pantelleria/organizations/aias" },
			[]string{"service.responsibleOrganization"},
		},
		"of another kind": {
			func(s *registryv1.Service) { s.ResponsibleOrganization = location.GetName() },
			[]string{"service.responsibleOrganization"},
		},
		"no name at all": {
			func(s *registryv1.Service) { s.ResponsibleOrganization = "AIAS" },
			[]string{"service.responsibleOrganization"},
		},
		"inside others": {func(s *registryv1.Service) {
			s.Provisions = []*registryv1.Provision{
				{Mode: registryv1.Provision_DIRECT, Organization: "comuni/marsala/organizations/aias"},
				{Mode: registryv1.Provision_VOUCHER, Organization: "comuni/marsala/organizations/none"},
			}
			s.Places = []*registryv1.ServicePlace{{Location: "comuni/marsala/locations/none"}}
			s.Documents = []string{"comuni/marsala/documents/none"}
			s.Status.TemporaryLocation = "comuni/marsala/locations/none"
			s.Needed = []*registryv1.RequiredItem{{Title: italian("Modulo"), Form: "comuni/marsala/documents/none"}}
		}, []string{
			"service.documents[0]", "service.needed[0].form", "service.places[0].location", "service.provisions[1].organization", "service.status.temporaryLocation",
		}},
		"itself": {edit: func(s *registryv1.Service) { s.RelatedServices = []string{"comuni/marsala/services/itself"} }, fields: []string{"service.relatedServices[0]"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := n.services.CreateService(t.Context(), &registryv1.CreateServiceRequest{Parent: "comuni/marsala", ServiceId: "itself", Service: service(test.edit), ValidateOnly: true})
			base := n.create(t, "")
			changed := proto.CloneOf(base)
			test.edit(changed)
			_, updating := n.services.UpdateService(t.Context(), &registryv1.UpdateServiceRequest{Service: changed})
			if test.fields == nil {
				must(t, err)
				must(t, updating)
				return
			}
			for _, err := range []error{err, updating} {
				if got := apierror.Reason(err); got != registryv1.ErrorReason_DANGLING_REFERENCE {
					t.Fatalf("answered %v", err)
				}
				var named []string
				for _, field := range apierror.Fields(err) {
					named = append(named, field.GetField())
				}
				if slices.Sort(named); !slices.Equal(named, test.fields) {
					t.Errorf("names %q, not %q", named, test.fields)
				}
			}
		})
	}
	// A record may point to itself once it is there, and that is not in the way of
	// its deletion.
	own := n.create(t, "own")
	own.RelatedServices = []string{own.GetName()}
	_, err = n.services.UpdateService(t.Context(), &registryv1.UpdateServiceRequest{Service: own})
	must(t, err)
	n.delete(t, own.GetName())
}

func TestDeletingWhatOthersUse(t *testing.T) {
	n := marsala(t, registry.Options{})
	aias := n.organization(t, "aias")
	del := func() error {
		_, err := n.organizations.DeleteOrganization(t.Context(), &registryv1.DeleteOrganizationRequest{Name: aias.GetName()})
		return err
	}
	uses := func(s *registryv1.Service) { s.ResponsibleOrganization = aias.GetName() }
	var users []string
	for i := range 12 {
		users = append(users, n.create(t, fmt.Sprintf("s-%02d", i), uses).GetName())
	}
	n.unchanged(t, func() {
		err := del()
		refused(t, err, registryv1.ErrorReason_STILL_REFERRED_TO)
		if got := blockers(err); !slices.Equal(got, users[:10]) {
			t.Errorf("in the way are %v", got)
		}
	})
	for _, user := range users[1:] {
		n.delete(t, user)
	}
	err := del()
	if got := blockers(err); !slices.Equal(got, users[:1]) {
		t.Errorf("in the way are %v, %v", got, err)
	}
	last := n.read(t, users[0])
	last.ResponsibleOrganization = ""
	_, err = n.services.UpdateService(t.Context(), &registryv1.UpdateServiceRequest{Service: last, UpdateMask: mask("responsible_organization")})
	must(t, err)
	must(t, del())

	// What used it cannot come back before it does.
	_, err = n.services.UndeleteService(t.Context(), &registryv1.UndeleteServiceRequest{Name: users[3]})
	refused(t, err, registryv1.ErrorReason_DANGLING_REFERENCE, "service.responsibleOrganization")
	_, err = n.organizations.UndeleteOrganization(t.Context(), &registryv1.UndeleteOrganizationRequest{Name: aias.GetName()})
	must(t, err)
	_, err = n.services.UndeleteService(t.Context(), &registryv1.UndeleteServiceRequest{Name: users[3]})
	must(t, err)
	report, err := n.Node.Node.Store().Check(t.Context())
	if err != nil || len(report.Problems) > 0 {
		t.Errorf("check: %v %v", report.Problems, err)
	}
}

func TestPlansAndTheirActions(t *testing.T) {
	n := marsala(t, registry.Options{})
	_, err := n.action(t, "pz", "a1")
	refused(t, err, registryv1.ErrorReason_RESOURCE_NOT_FOUND)
	plan := n.plan(t, "pz")
	other := n.plan(t, "pz-2")
	for _, id := range []string{"a1", "a2"} {
		action, err := n.action(t, "pz", id)
		must(t, err)
		if action.GetName() != plan.GetName()+"/actions/"+id {
			t.Errorf("made %s", action.GetName())
		}
	}
	_, err = n.action(t, "pz-2", "a1")
	must(t, err)
	for parent, want := range map[string]int{"comuni/marsala/plans/pz": 2, "comuni/marsala/plans/pz-2": 1, "comuni/marsala/plans/-": 3, "comuni/-/plans/-": 3, "comuni/-/plans/pz": 2} {
		list, err := n.actions.ListActions(t.Context(), &registryv1.ListActionsRequest{Parent: parent})
		must(t, err)
		if len(list.GetActions()) != want {
			t.Errorf("%s has %d actions", parent, len(list.GetActions()))
		}
	}
	_, err = n.actions.CreateAction(t.Context(), &registryv1.CreateActionRequest{Parent: "comuni/marsala/plans/-", Action: &registryv1.Action{}})
	if apierror.Reason(err) != registryv1.ErrorReason_INVALID_FIELDS {
		t.Errorf("an action of any plan: %v", err)
	}
	deletePlan := func(name string) error {
		_, err := n.plans.DeletePlan(t.Context(), &registryv1.DeletePlanRequest{Name: name})
		return err
	}
	err = deletePlan(plan.GetName())
	refused(t, err, registryv1.ErrorReason_STILL_REFERRED_TO)
	if got := blockers(err); !slices.Equal(got, []string{plan.GetName() + "/actions/a1", plan.GetName() + "/actions/a2"}) {
		t.Errorf("in the way are %v", got)
	}
	for _, id := range []string{"a1", "a2"} {
		_, err := n.actions.DeleteAction(t.Context(), &registryv1.DeleteActionRequest{Name: plan.GetName() + "/actions/" + id})
		must(t, err)
	}
	must(t, deletePlan(plan.GetName()))
	_, err = n.action(t, "pz", "a3")
	refused(t, err, registryv1.ErrorReason_RESOURCE_DELETED)
	_, err = n.actions.UndeleteAction(t.Context(), &registryv1.UndeleteActionRequest{Name: plan.GetName() + "/actions/a1"})
	refused(t, err, registryv1.ErrorReason_RESOURCE_DELETED)
	_, err = n.actions.GetAction(t.Context(), &registryv1.GetActionRequest{Name: other.GetName() + "/actions/a1"})
	must(t, err)
	_, err = n.plans.UndeletePlan(t.Context(), &registryv1.UndeletePlanRequest{Name: plan.GetName()})
	must(t, err)
	_, err = n.actions.UndeleteAction(t.Context(), &registryv1.UndeleteActionRequest{Name: plan.GetName() + "/actions/a1"})
	must(t, err)
}
