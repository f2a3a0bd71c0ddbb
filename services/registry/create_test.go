package registry_test

import (
	"strconv"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/registry"
)

func TestCreate(t *testing.T) {
	n := marsala(t, registry.Options{})
	created := n.create(t, "trasporto", func(s *registryv1.Service) {
		// What only the server writes is not taken from the caller.
		s.Name, s.Etag, s.Revision = "comuni/marsala/services/altro", `"x"`, 99
		s.CreateTime, s.UpdateTime, s.DeleteTime, s.PurgeTime = timestamppb.New(n.Now().AddDate(-1, 0, 0)), timestamppb.New(n.Now().AddDate(-1, 0, 0)), timestamppb.Now(), timestamppb.Now()
	})
	if created.GetName() != "comuni/marsala/services/trasporto" || created.GetRevision() != n.Node.Node.Store().Head().Revision {
		t.Errorf("created %s at %d", created.GetName(), created.GetRevision())
	}
	if len(created.GetEtag()) < 10 || created.GetEtag() == `"x"` {
		t.Errorf("etag %s", created.GetEtag())
	}
	if !created.GetCreateTime().AsTime().Equal(n.Now()) || !created.GetUpdateTime().AsTime().Equal(n.Now()) || created.GetDeleteTime() != nil || created.GetPurgeTime() != nil {
		t.Errorf("times of %v", created)
	}
	same(t, n.read(t, created.GetName()), created)

	var last string
	for range 20 {
		made := n.create(t, "")
		name, err := catalog.ParseName(made.GetName())
		must(t, err)
		if !strings.HasPrefix(name.ID(), "s") || name.ID() <= last {
			t.Errorf("the server made the id %s after %s", name.ID(), last)
		}
		last = name.ID()
	}
}

func TestCreateIsRefused(t *testing.T) {
	n := marsala(t, registry.Options{})
	n.create(t, "there")
	deleted := n.create(t, "deleted")
	_, err := n.services.DeleteService(t.Context(), &registryv1.DeleteServiceRequest{Name: deleted.GetName()})
	must(t, err)
	const invalid = registryv1.ErrorReason_INVALID_FIELDS
	for name, test := range map[string]struct {
		edit   func(*registryv1.CreateServiceRequest)
		reason registryv1.ErrorReason
		fields []string
		key    string // of the metadata
		value  string
	}{
		"exists": {
			func(r *registryv1.CreateServiceRequest) { r.ServiceId = "there" },
			registryv1.ErrorReason_RESOURCE_EXISTS, nil, "name", "comuni/marsala/services/there",
		},
		"exists, deleted": {
			func(r *registryv1.CreateServiceRequest) { r.ServiceId = "deleted" },
			registryv1.ErrorReason_RESOURCE_EXISTS, nil, "name", "comuni/marsala/services/deleted",
		},
		"another comune": {
			func(r *registryv1.CreateServiceRequest) { r.Parent = "comuni/pantelleria" },
			registryv1.ErrorReason_NOT_THE_OWNER, nil, "comune", "pantelleria",
		},
		"no parent":     {func(r *registryv1.CreateServiceRequest) { r.Parent = "" }, invalid, []string{"parent"}, "", ""},
		"any parent":    {func(r *registryv1.CreateServiceRequest) { r.Parent = "comuni/-" }, invalid, []string{"parent"}, "", ""},
		"other parent":  {func(r *registryv1.CreateServiceRequest) { r.Parent = "comuni/marsala/plans/p1" }, invalid, []string{"parent"}, "", ""},
		"bad id":        {func(r *registryv1.CreateServiceRequest) { r.ServiceId = "Größe" }, invalid, []string{"serviceId"}, "", ""},
		"one letter":    {func(r *registryv1.CreateServiceRequest) { r.ServiceId = "a" }, invalid, []string{"serviceId"}, "", ""},
		"no record":     {func(r *registryv1.CreateServiceRequest) { r.Service = nil }, invalid, []string{"service"}, "", ""},
		"no title":      {func(r *registryv1.CreateServiceRequest) { r.Service.Title = nil }, invalid, []string{"service.title"}, "", ""},
		"empty title":   {func(r *registryv1.CreateServiceRequest) { r.Service.Title = italian("") }, invalid, []string{"service.title.it"}, "", ""},
		"long title":    {func(r *registryv1.CreateServiceRequest) { r.Service.Title.It = strings.Repeat("x", 20_001) }, invalid, []string{"service.title.it"}, "", ""},
		"no state":      {func(r *registryv1.CreateServiceRequest) { r.Service.Status = &registryv1.Status{} }, invalid, []string{"service.status.state"}, "", ""},
		"unknown state": {func(r *registryv1.CreateServiceRequest) { r.Service.Status.State = 99 }, invalid, []string{"service.status.state"}, "", ""},
		"negative days": {func(r *registryv1.CreateServiceRequest) { r.Service.MaximumResponseDays = -1 }, invalid, []string{"service.maximumResponseDays"}, "", ""},
		"second contact": {func(r *registryv1.CreateServiceRequest) {
			r.Service.Contacts = []*registryv1.ContactPoint{phone("0923 1", 0), {Value: "0923 2"}}
		}, invalid, []string{"service.contacts[1].kind"}, "", ""},
		"two mistakes": {func(r *registryv1.CreateServiceRequest) { r.ServiceId, r.Service.Title = "X", nil }, invalid, []string{"serviceId", "service.title"}, "", ""},
		"bad date": {func(r *registryv1.CreateServiceRequest) {
			r.Service.Validity = &registryv1.Period{Start: &registryv1.PartialDate{Year: 2026, Day: 3}}
		}, invalid, []string{"service.validity.start"}, "", ""},
		"request id": {func(r *registryv1.CreateServiceRequest) { r.RequestId = "no uuid" }, invalid, []string{"requestId"}, "", ""},
		"too large": {func(r *registryv1.CreateServiceRequest) {
			long := italian(strings.Repeat("x", 20_000))
			for range 50 {
				r.Service.Eligibility = append(r.Service.Eligibility, &registryv1.EligibilityCriterion{Statement: long})
			}
			r.Service.Conditions, r.Service.Description, r.Service.HowTo = long, long, long
		}, registryv1.ErrorReason_TOO_LARGE, nil, "limit_bytes", strconv.Itoa(1 << 20)},
	} {
		t.Run(name, func(t *testing.T) {
			request := &registryv1.CreateServiceRequest{Parent: "comuni/marsala", ServiceId: "new", Service: service()}
			test.edit(request)
			n.unchanged(t, func() {
				_, err := n.services.CreateService(t.Context(), request)
				refused(t, err, test.reason, test.fields...)
				if got := apierror.Info(err).GetMetadata()[test.key]; test.key != "" && got != test.value {
					t.Errorf("metadata %v", apierror.Info(err).GetMetadata())
				}
				request.ValidateOnly = true
				_, err = n.services.CreateService(t.Context(), request)
				refused(t, err, test.reason, test.fields...)
			})
		})
	}
}

func TestValidateOnlyChangesNothing(t *testing.T) {
	n := marsala(t, registry.Options{})
	there := n.create(t, "there")
	deleted := n.create(t, "deleted")
	_, err := n.services.DeleteService(t.Context(), &registryv1.DeleteServiceRequest{Name: deleted.GetName()})
	must(t, err)
	n.unchanged(t, func() {
		would, err := n.services.CreateService(t.Context(), &registryv1.CreateServiceRequest{Parent: "comuni/marsala", ServiceId: "new", Service: service(), ValidateOnly: true})
		must(t, err)
		if would.GetName() != "comuni/marsala/services/new" || would.GetTitle().GetIt() != "Trasporto" {
			t.Errorf("it would create %v", would)
		}
		_, err = n.services.GetService(t.Context(), &registryv1.GetServiceRequest{Name: would.GetName()})
		refused(t, err, registryv1.ErrorReason_RESOURCE_NOT_FOUND)

		changed := proto.CloneOf(there)
		changed.Summary = italian("nuovo")
		would, err = n.services.UpdateService(t.Context(), &registryv1.UpdateServiceRequest{Service: changed, ValidateOnly: true})
		must(t, err)
		if would.GetSummary().GetIt() != "nuovo" {
			t.Errorf("it would update to %v", would)
		}
		would, err = n.services.DeleteService(t.Context(), &registryv1.DeleteServiceRequest{Name: there.GetName(), ValidateOnly: true})
		must(t, err)
		if would.GetDeleteTime() == nil {
			t.Errorf("it would delete %v", would)
		}
		would, err = n.services.UndeleteService(t.Context(), &registryv1.UndeleteServiceRequest{Name: deleted.GetName(), ValidateOnly: true})
		must(t, err)
		if would.GetDeleteTime() != nil {
			t.Errorf("it would undelete %v", would)
		}
		same(t, n.read(t, there.GetName()), there)
	})
	// A check does not use the request id up.
	const id = "7f0f1fd4-9d3c-4f43-9b6b-1c5d0f7a3c11"
	request := &registryv1.CreateServiceRequest{Parent: "comuni/marsala", ServiceId: "new", Service: service(), RequestId: id, ValidateOnly: true}
	_, err = n.services.CreateService(t.Context(), request)
	must(t, err)
	request.ValidateOnly = false
	_, err = n.services.CreateService(t.Context(), request)
	must(t, err)
	n.read(t, "comuni/marsala/services/new")
}
