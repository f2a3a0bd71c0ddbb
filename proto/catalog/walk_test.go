package catalog_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/type/latlng"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/registryv1"
)

func italian(text string) *registryv1.LocalizedText { return &registryv1.LocalizedText{It: text} }

func phone(value string, v registryv1.Visibility) *registryv1.ContactPoint {
	return &registryv1.ContactPoint{Value: value, Visibility: v}
}

func TestReferences(t *testing.T) {
	record := &registryv1.Service{
		Name: "comuni/marsala/services/one", ResponsibleOrganization: "comuni/marsala/organizations/o1",
		Documents:  []string{"comuni/marsala/documents/d1", "", "comuni/marsala/documents/d2"},
		Provisions: []*registryv1.Provision{{}, {Organization: "comuni/marsala/organizations/o2"}},
		Places:     []*registryv1.ServicePlace{{Location: "comuni/marsala/locations/l1"}},
		Status:     &registryv1.Status{TemporaryLocation: "anything"},
	}
	got := map[string]string{}
	for _, ref := range catalog.References(record) {
		got[ref.Field] = ref.Target
		if catalog.ByType(ref.Type) == nil {
			t.Errorf("%s must name a %s, which is no kind", ref.Field, ref.Type)
		}
	}
	want := map[string]string{
		"responsibleOrganization": "comuni/marsala/organizations/o1", "documents[0]": "comuni/marsala/documents/d1", "documents[2]": "comuni/marsala/documents/d2",
		"provisions[1].organization": "comuni/marsala/organizations/o2", "places[0].location": "comuni/marsala/locations/l1", "status.temporaryLocation": "anything",
	}
	if !maps.Equal(got, want) {
		t.Errorf("it points to %v", got)
	}
	if refs := catalog.References(&registryv1.Service{}); len(refs) > 0 {
		t.Errorf("an empty record points to %v", refs)
	}
}

func TestDueTime(t *testing.T) {
	if due, ok := catalog.DueTime(&registryv1.Service{}); ok {
		t.Errorf("an empty record is due at %s", due)
	}
	early, late := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	record := &registryv1.Service{
		Provenance:   &registryv1.Provenance{VerifyByTime: timestamppb.New(late), VerifyTime: timestamppb.New(early.AddDate(-1, 0, 0))},
		FieldSources: []*registryv1.FieldSource{{Provenance: &registryv1.Provenance{VerifyByTime: timestamppb.New(early)}}},
	}
	if due, ok := catalog.DueTime(record); !ok || !due.Equal(early) {
		t.Errorf("due at %s, %t", due, ok)
	}
}

func TestNarrow(t *testing.T) {
	contacts := func(level registryv1.Visibility) []*registryv1.ContactPoint {
		var list []*registryv1.ContactPoint
		for v := range registryv1.Visibility(4) {
			if v <= level {
				list = append(list, phone(fmt.Sprint("phone ", int(v)), v))
			}
		}
		return list
	}
	for recordLevel := range registryv1.Visibility(4) {
		for reader := registryv1.Visibility_PUBLIC; reader <= registryv1.Visibility_LOCAL; reader++ {
			record := &registryv1.Organization{
				Name: "comuni/marsala/organizations/o1", Visibility: recordLevel, Contacts: contacts(registryv1.Visibility_LOCAL), Etag: "x",
			}
			before := proto.CloneOf(record)
			seen := catalog.Narrow(record, reader)
			if !proto.Equal(record, before) {
				t.Fatalf("the record itself was changed: %v", record)
			}
			if hidden := max(recordLevel, registryv1.Visibility_PUBLIC) > reader; hidden != (seen == nil) {
				t.Errorf("a %s reader sees of a %s record: %v", reader, recordLevel, seen)
				continue
			}
			if seen == nil {
				continue
			}
			want := proto.CloneOf(record)
			want.Contacts = contacts(reader)
			if !proto.Equal(seen, want) {
				t.Errorf("a %s reader sees %v", reader, seen)
			}
			if whole := reader == registryv1.Visibility_LOCAL; whole != (seen == proto.Message(record)) {
				t.Errorf("a %s reader gets the record itself: %t", reader, !whole)
			}
		}
	}
	public := &registryv1.Service{Contacts: contacts(registryv1.Visibility_PUBLIC)}
	if catalog.Narrow(public, registryv1.Visibility_PUBLIC) != proto.Message(public) {
		t.Error("a record with nothing to hide is copied")
	}
}

// Contacts are found wherever a kind has them.
func TestContactsOfAllKinds(t *testing.T) {
	checked := 0
	for _, kind := range catalog.Kinds() {
		fd := kind.Descriptor().Fields().ByName("contacts")
		if fd == nil {
			continue
		}
		checked++
		record := kind.New()
		list := record.ProtoReflect().Mutable(fd).List()
		list.Append(list.NewElement())
		list.Get(0).Message().Interface().(*registryv1.ContactPoint).Visibility = registryv1.Visibility_LOCAL
		seen := catalog.Narrow(record, registryv1.Visibility_NETWORK)
		if seen.ProtoReflect().Get(fd).List().Len() > 0 {
			t.Errorf("operators of the federation see local contacts of %s", kind.Collection)
		}
	}
	if checked < 5 {
		t.Errorf("only %d kinds have contacts", checked)
	}
}

func TestRecordOfEveryKind(t *testing.T) {
	now := time.Date(2026, 11, 23, 8, 0, 0, 5, time.UTC)
	for _, kind := range catalog.Kinds() {
		r := catalog.RecordOf(kind.New())
		if r.Kind() != kind || r.Visibility() != registryv1.Visibility_PUBLIC || r.Deleted() || r.Provenance() != nil {
			t.Errorf("an empty record of %s: %v", kind.Collection, r.Message())
		}
		r.SetName("n")
		r.SetEtag("e")
		r.SetRevision(7)
		r.SetCreateTime(now)
		r.SetUpdateTime(now.Add(1))
		r.SetDeleteTime(now.Add(2))
		r.SetPurgeTime(now.Add(3))
		if r.Name() != "n" || r.Etag() != "e" || r.Revision() != 7 || !r.Deleted() || !r.CreateTime().Equal(now) ||
			!r.UpdateTime().Equal(now.Add(1)) || !r.DeleteTime().Equal(now.Add(2)) || !r.PurgeTime().Equal(now.Add(3)) {
			t.Errorf("%s comes back as %v", kind.Collection, r.Message())
		}
		r.SetDeleteTime(time.Time{})
		if r.Deleted() || !r.DeleteTime().IsZero() {
			t.Errorf("%s is still deleted", kind.Collection)
		}
		if catalog.Of(r.Message()) != kind || catalog.ByCollection(kind.Collection) != kind || catalog.ByType(kind.Type) != kind {
			t.Errorf("%s is not found", kind.Collection)
		}
	}
	if catalog.Of(timestamppb.Now()) != nil {
		t.Error("a time is a record")
	}
}

func TestSearchValues(t *testing.T) {
	record := &registryv1.Service{
		Title: italian("Trasporto"), Keywords: []string{"bus", "pulmino"}, TargetGroups: []registryv1.TargetGroup{registryv1.TargetGroup_AUTISM},
		Status: &registryv1.Status{State: registryv1.Status_ACTIVE},
		Costs:  []*registryv1.CostOption{{Kind: registryv1.CostOption_FREE}},
	}
	var got []string
	catalog.SearchValues(record, func(v catalog.SearchValue) {
		got = append(got, fmt.Sprintf("%s %s %s", v.Field.Name(), v.Role, v.Facet))
	})
	want := []string{
		"title TITLE ", "state SEARCH_ROLE_UNSPECIFIED statuses", "target_groups SEARCH_ROLE_UNSPECIFIED target_groups", "kind SEARCH_ROLE_UNSPECIFIED costs",
		"keywords KEYWORD ", "keywords KEYWORD ",
	}
	if !slices.Equal(got, want) {
		t.Errorf("search gets %q", got)
	}
}

// A withheld address is not shown and not found, and says why.
func TestWithheldAddresses(t *testing.T) {
	record := &registryv1.Location{Name: "comuni/marsala/locations/l1", Address: &registryv1.Address{
		Street: "Via Nascosta 1", Detail: "interno 2", PostalCode: "91025", Municipality: "Marsala", IstatCode: "081011",
		Position: &latlng.LatLng{Latitude: 37.8}, WithheldReason: "indirizzo riservato",
	}}
	want := &registryv1.Location{Name: record.GetName(), Address: &registryv1.Address{Municipality: "Marsala", IstatCode: "081011", WithheldReason: "indirizzo riservato"}}
	for _, reader := range []registryv1.Visibility{registryv1.Visibility_PUBLIC, registryv1.Visibility_NETWORK} {
		if seen := catalog.Narrow(record, reader); !proto.Equal(seen, want) {
			t.Errorf("a %s reader sees %v", reader, seen)
		}
	}
	if catalog.Narrow(record, registryv1.Visibility_LOCAL) != proto.Message(record) {
		t.Error("the comune does not see its own record")
	}
	if catalog.Narrow(want, registryv1.Visibility_PUBLIC) != proto.Message(want) {
		t.Error("an address with nothing to hide is copied")
	}
	catalog.SearchValues(record, func(v catalog.SearchValue) {
		if v.Field.Name() == "street" {
			t.Errorf("search uses the street %s", v.Value)
		}
	})
}
