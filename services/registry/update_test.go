package registry_test

import (
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/registry"
)

// full is a service with something in many fields.
func full(s *registryv1.Service) {
	s.Summary = italian("In città")
	s.Title.Translations = map[string]*registryv1.Translation{"ar": {Text: "نقل"}}
	s.MaximumResponseDays = 30
	s.Contacts = []*registryv1.ContactPoint{phone("0923 1", registryv1.Visibility_PUBLIC), phone("0923 2", registryv1.Visibility_NETWORK)}
	s.Keywords = []string{"pulmino", "carrozzina"}
	s.Status.Reason = italian("perché sì")
}

func TestMasks(t *testing.T) {
	n := marsala(t, registry.Options{})
	paths := func(p ...string) []string { return p }
	change := service(func(s *registryv1.Service) {
		s.Title, s.Summary, s.MaximumResponseDays, s.Keywords = italian("Nuovo"), italian("Altrove"), 5, []string{"bus"}
		s.Status = &registryv1.Status{State: registryv1.Status_SUSPENDED}
		s.Etag, s.CreateTime, s.Revision, s.DeleteTime = "", timestamppb.Now(), 1000, timestamppb.Now()
	})
	title := &registryv1.LocalizedText{It: "Nuovo", Translations: map[string]*registryv1.Translation{"ar": {Text: "نقل"}}}
	for name, test := range map[string]struct {
		mask   []string
		change *registryv1.Service
		want   func(s *registryv1.Service) // nil: refused
		fields []string
	}{
		"what is set": {
			nil, service(func(s *registryv1.Service) {
				s.Title, s.Status, s.Summary, s.MaximumResponseDays = nil, nil, italian("Altrove"), 5
			}),
			func(s *registryv1.Service) { s.Summary, s.MaximumResponseDays = italian("Altrove"), 5 }, nil,
		},
		"one field":              {paths("summary"), change, func(s *registryv1.Service) { s.Summary = italian("Altrove") }, nil},
		"snake_case":             {paths("maximum_response_days"), change, func(s *registryv1.Service) { s.MaximumResponseDays = 5 }, nil},
		"JSON names":             {paths("maximumResponseDays"), change, func(s *registryv1.Service) { s.MaximumResponseDays = 5 }, nil},
		"both":                   {paths("maximumResponseDays", "maximum_response_days", "keywords"), change, func(s *registryv1.Service) { s.MaximumResponseDays, s.Keywords = 5, []string{"bus"} }, nil},
		"nested":                 {paths("title.it"), change, func(s *registryv1.Service) { s.Title = title }, nil},
		"nested, deep":           {paths("status.state"), change, func(s *registryv1.Service) { s.Status.State = registryv1.Status_SUSPENDED }, nil},
		"nested, made":           {paths("description.it"), service(func(s *registryv1.Service) { s.Description = italian("Di più") }), func(s *registryv1.Service) { s.Description = italian("Di più") }, nil},
		"whole message":          {paths("title"), change, func(s *registryv1.Service) { s.Title = italian("Nuovo") }, nil},
		"whole list":             {paths("contacts"), change, func(s *registryv1.Service) { s.Contacts = nil }, nil},
		"cleared":                {paths("summary", "maximum_response_days"), service(), func(s *registryv1.Service) { s.Summary, s.MaximumResponseDays = nil, 0 }, nil},
		"everything":             {paths("*"), change, func(s *registryv1.Service) { proto.Reset(s); proto.Merge(s, change) }, nil},
		"server's own":           {paths("name", "etag", "create_time", "updateTime", "delete_time", "purgeTime", "revision"), change, func(*registryv1.Service) {}, nil},
		"server's too":           {paths("revision", "summary"), change, func(s *registryv1.Service) { s.Summary = italian("Altrove") }, nil},
		"not alone":              {paths("*", "title"), change, nil, paths("updateMask")},
		"unknown":                {paths("nonsense"), change, nil, paths("updateMask")},
		"unknown inside":         {paths("title.nonsense"), change, nil, paths("updateMask")},
		"in a list":              {paths("contacts.value"), change, nil, paths("updateMask")},
		"in a map":               {paths("title.translations.ar"), change, nil, paths("updateMask")},
		"in a number":            {paths("maximum_response_days.x"), change, nil, paths("updateMask")},
		"empty path":             {paths(""), change, nil, paths("updateMask")},
		"what is needed":         {paths("title"), service(func(s *registryv1.Service) { s.Title = nil }), nil, paths("service.title")},
		"needed, inside":         {paths("title.it"), service(func(s *registryv1.Service) { s.Title = nil }), nil, paths("service.title.it")},
		"everything, too little": {paths("*"), &registryv1.Service{Title: italian("x")}, nil, paths("service.status")},
	} {
		t.Run(name, func(t *testing.T) {
			before := n.create(t, "", full)
			asked := proto.CloneOf(test.change)
			asked.Name = before.GetName()
			request := &registryv1.UpdateServiceRequest{Service: asked}
			if test.mask != nil {
				request.UpdateMask = &fieldmaskpb.FieldMask{Paths: test.mask}
			}
			n.pass(1)
			if test.want == nil {
				n.unchanged(t, func() {
					_, err := n.services.UpdateService(t.Context(), request)
					refused(t, err, registryv1.ErrorReason_INVALID_FIELDS, test.fields...)
				})
				return
			}
			after, err := n.services.UpdateService(t.Context(), request)
			must(t, err)
			want := proto.CloneOf(before)
			test.want(want)
			if changed := !proto.Equal(want, before); changed != (after.GetEtag() != before.GetEtag()) || changed != (after.GetRevision() > before.GetRevision()) {
				t.Errorf("changed: %t; etag %s after %s, revision %d after %d", changed, after.GetEtag(), before.GetEtag(), after.GetRevision(), before.GetRevision())
			}
			want.Etag, want.Revision, want.UpdateTime = after.GetEtag(), after.GetRevision(), after.GetUpdateTime()
			want.CreateTime, want.Name, want.DeleteTime = before.GetCreateTime(), before.GetName(), nil
			same(t, after, want)
			same(t, n.read(t, before.GetName()), after)
		})
	}
}

func TestUpdateIsConditional(t *testing.T) {
	n := marsala(t, registry.Options{})
	first := n.create(t, "trasporto")
	change := proto.CloneOf(first)
	change.Summary = italian("uno")
	second, err := n.services.UpdateService(t.Context(), &registryv1.UpdateServiceRequest{Service: change})
	must(t, err)

	n.unchanged(t, func() {
		change.Summary = italian("due")
		_, err = n.services.UpdateService(t.Context(), &registryv1.UpdateServiceRequest{Service: change})
		refused(t, err, registryv1.ErrorReason_ETAG_MISMATCH)
		if got := apierror.Info(err).GetMetadata(); got["current_etag"] != second.GetEtag() || got["name"] != first.GetName() {
			t.Errorf("metadata %v", got)
		}
		_, err = n.services.DeleteService(t.Context(), &registryv1.DeleteServiceRequest{Name: first.GetName(), Etag: first.GetEtag()})
		refused(t, err, registryv1.ErrorReason_ETAG_MISMATCH)
	})
	deleted, err := n.services.DeleteService(t.Context(), &registryv1.DeleteServiceRequest{Name: first.GetName(), Etag: second.GetEtag()})
	must(t, err)
	_, err = n.services.UndeleteService(t.Context(), &registryv1.UndeleteServiceRequest{Name: first.GetName(), Etag: second.GetEtag()})
	refused(t, err, registryv1.ErrorReason_ETAG_MISMATCH)
	_, err = n.services.UndeleteService(t.Context(), &registryv1.UndeleteServiceRequest{Name: first.GetName(), Etag: deleted.GetEtag()})
	must(t, err)
}

func TestUpdateOfWhatIsNotThere(t *testing.T) {
	n := marsala(t, registry.Options{})
	update := func(name string, missing bool, edits ...func(*registryv1.Service)) (*registryv1.Service, error) {
		s := service(edits...)
		s.Name = name
		return n.services.UpdateService(t.Context(), &registryv1.UpdateServiceRequest{Service: s, AllowMissing: missing})
	}
	n.unchanged(t, func() {
		_, err := update("comuni/marsala/services/none", false)
		refused(t, err, registryv1.ErrorReason_RESOURCE_NOT_FOUND)
		if got := apierror.Info(err).GetMetadata()["name"]; got != "comuni/marsala/services/none" {
			t.Errorf("metadata name %q", got)
		}
		_, err = update("comuni/pantelleria/services/none", true)
		refused(t, err, registryv1.ErrorReason_NOT_THE_OWNER)
		for _, wrong := range []string{"", "none", "comuni/marsala", "comuni/marsala/services", "comuni/marsala/plans/p1", "comuni/-/services/x1", "comuni/marsala/services/X"} {
			_, err = update(wrong, true)
			refused(t, err, registryv1.ErrorReason_INVALID_FIELDS, "service.name")
		}
		_, err = update("comuni/marsala/services/none", true, func(s *registryv1.Service) { s.Title = nil })
		refused(t, err, registryv1.ErrorReason_INVALID_FIELDS, "service.title")
	})
	made, err := update("comuni/marsala/services/none", true)
	must(t, err)
	if !made.GetCreateTime().AsTime().Equal(n.Now()) || made.GetName() != "comuni/marsala/services/none" {
		t.Errorf("made %v", made)
	}
	_, err = n.services.DeleteService(t.Context(), &registryv1.DeleteServiceRequest{Name: made.GetName()})
	must(t, err)
	for _, missing := range []bool{false, true} {
		_, err = update(made.GetName(), missing)
		refused(t, err, registryv1.ErrorReason_RESOURCE_DELETED)
	}
}

// An update by somebody who does not see all of a record would lose the rest.
func TestUpdateByAReaderOfLess(t *testing.T) {
	n := marsala(t, registry.Options{})
	record := n.create(t, "trasporto", func(s *registryv1.Service) {
		s.Contacts = []*registryv1.ContactPoint{phone("0923 1", registryv1.Visibility_PUBLIC), phone("0923 2", registryv1.Visibility_LOCAL)}
	})
	network := as(t.Context(), registryv1.Visibility_NETWORK)
	seen, err := n.services.GetService(network, &registryv1.GetServiceRequest{Name: record.GetName()})
	must(t, err)
	if len(seen.GetContacts()) != 1 || seen.GetEtag() != record.GetEtag() {
		t.Errorf("operators of the federation see %v", seen)
	}
	seen.Summary = italian("nuovo")
	n.unchanged(t, func() {
		_, err = n.services.UpdateService(network, &registryv1.UpdateServiceRequest{Service: seen})
		refused(t, err, registryv1.ErrorReason_NOT_ALLOWED)
	})
	if got := n.read(t, record.GetName()).GetContacts(); len(got) != 2 {
		t.Errorf("contacts %v", got)
	}
}

// The answer to a write that makes a record invisible for its writer has what is
// needed to go on, and nothing else.
func TestAnswerToAWriterWhoSeesLess(t *testing.T) {
	n := marsala(t, registry.Options{})
	made, err := n.services.CreateService(as(t.Context(), registryv1.Visibility_PUBLIC), &registryv1.CreateServiceRequest{
		Parent: "comuni/marsala", ServiceId: "riservato", Service: service(func(s *registryv1.Service) { s.Visibility = registryv1.Visibility_NETWORK }),
	})
	must(t, err)
	same(t, made, &registryv1.Service{Name: "comuni/marsala/services/riservato", Etag: made.GetEtag()})
	if made.GetEtag() != n.read(t, made.GetName()).GetEtag() {
		t.Errorf("etag %q", made.GetEtag())
	}
}

func TestOwnComune(t *testing.T) {
	n := marsala(t, registry.Options{})
	own, err := n.comuni.GetComune(t.Context(), &registryv1.GetComuneRequest{Name: "comuni/marsala"})
	must(t, err)
	if own.GetTitle().GetIt() != "Marsala" || own.GetIstatCode() != "081011" || own.GetEtag() == "" {
		t.Errorf("the node's comune is %v", own)
	}
	list, err := n.comuni.ListComuni(t.Context(), &registryv1.ListComuniRequest{})
	must(t, err)
	if len(list.GetComuni()) != 1 {
		t.Errorf("it lists %v", list.GetComuni())
	}
	_, err = n.comuni.GetComune(t.Context(), &registryv1.GetComuneRequest{Name: "comuni/pantelleria"})
	refused(t, err, registryv1.ErrorReason_RESOURCE_NOT_FOUND)
	own.Population = 80_000
	own, err = n.comuni.UpdateComune(t.Context(), &registryv1.UpdateComuneRequest{Comune: own})
	must(t, err)
	_, err = n.comuni.UpdateComune(t.Context(), &registryv1.UpdateComuneRequest{Comune: &registryv1.Comune{Name: "comuni/pantelleria", Population: 1}})
	refused(t, err, registryv1.ErrorReason_NOT_THE_OWNER)

	// It is made once: a restart leaves what was written.
	n.Halt(t)
	n.Start(t)
	n.connect(t)
	again, err := n.comuni.GetComune(t.Context(), &registryv1.GetComuneRequest{Name: "comuni/marsala"})
	must(t, err)
	same(t, again, own)
}
