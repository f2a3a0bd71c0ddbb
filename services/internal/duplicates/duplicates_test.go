package duplicates_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/editorialv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/federationtest"
	"cidsistem.example/services/internal/store"
	"cidsistem.example/services/registry"
	"cidsistem.example/services/ufficiocomune"
)

const (
	marsala = "comuni/marsala"

	taxCode   = editorialv1.Duplicate_Reason_SAME_TAX_CODE
	ipaCode   = editorialv1.Duplicate_Reason_SAME_IPA_CODE
	runts     = editorialv1.Duplicate_Reason_SAME_RUNTS_NUMBER
	samePhone = editorialv1.Duplicate_Reason_SAME_PHONE
	contact   = editorialv1.Duplicate_Reason_SAME_CONTACT
	address   = editorialv1.Duplicate_Reason_SAME_ADDRESS
	nameLike  = editorialv1.Duplicate_Reason_SIMILAR_NAME
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func refused(t testing.TB, err error, reason registryv1.ErrorReason) {
	t.Helper()
	if apierror.Reason(err) != reason {
		t.Errorf("got %v, want %s", err, reason)
	}
}

func italian(text string) *registryv1.LocalizedText { return &registryv1.LocalizedText{It: text} }

// A node and what is called on it.
type node struct {
	*federationtest.Node
	t             testing.TB
	comune        string
	duplicates    editorialv1.DuplicateServiceClient
	organizations registryv1.OrganizationServiceClient
	services      registryv1.ServiceServiceClient
}

func start(t testing.TB, comune string) *node {
	t.Helper()
	return startAt(t, comune, nil)
}

// startAt starts a node with a clock of the test's own.
func startAt(t testing.TB, comune string, now func() time.Time) *node {
	t.Helper()
	started := federationtest.StartNode(t, federationtest.NodeSettings(comune, filepath.Join(t.TempDir(), comune)), registry.Options{Now: now})
	conn := started.Conn(t)
	return &node{
		Node: started, t: t, comune: "comuni/" + comune, duplicates: editorialv1.NewDuplicateServiceClient(conn),
		organizations: registryv1.NewOrganizationServiceClient(conn), services: registryv1.NewServiceServiceClient(conn),
	}
}

type edit func(*registryv1.Organization)

func numbered(scheme, value string) edit {
	return func(o *registryv1.Organization) {
		o.Identifiers = append(o.Identifiers, &registryv1.Identifier{Scheme: scheme, Value: value})
	}
}

func reached(kind registryv1.ContactPoint_Kind, value string) edit {
	return func(o *registryv1.Organization) {
		o.Contacts = append(o.Contacts, &registryv1.ContactPoint{Kind: kind, Value: value})
	}
}

func phone(value string) edit { return reached(registryv1.ContactPoint_PHONE, value) }

func at(street string) edit {
	return func(o *registryv1.Organization) {
		o.Seat = &registryv1.Address{Street: street, Municipality: "Marsala"}
	}
}

func partOf(id string) edit {
	return func(o *registryv1.Organization) { o.ParentOrganization = marsala + "/organizations/" + id }
}

func (n *node) organization(id, title string, edits ...edit) *registryv1.Organization {
	n.t.Helper()
	o := &registryv1.Organization{Title: italian(title), Kind: registryv1.Organization_ASSOCIATION, Status: &registryv1.Status{State: registryv1.Status_ACTIVE}}
	for _, edit := range edits {
		edit(o)
	}
	made, err := n.organizations.CreateOrganization(n.t.Context(), &registryv1.CreateOrganizationRequest{Parent: n.comune, OrganizationId: id, Organization: o})
	must(n.t, err)
	return made
}

func (n *node) service(id, title, provider string) *registryv1.Service {
	n.t.Helper()
	s := &registryv1.Service{Title: italian(title), Status: &registryv1.Status{State: registryv1.Status_ACTIVE}, ResponsibleOrganization: provider}
	made, err := n.services.CreateService(n.t.Context(), &registryv1.CreateServiceRequest{Parent: n.comune, ServiceId: id, Service: s})
	must(n.t, err)
	return made
}

func (n *node) list(call *editorialv1.ListDuplicatesRequest) *editorialv1.ListDuplicatesResponse {
	n.t.Helper()
	if call.GetParent() == "" {
		call.Parent = n.comune
	}
	answer, err := n.duplicates.ListDuplicates(n.t.Context(), call)
	must(n.t, err)
	return answer
}

func TestWhatLooksAlike(t *testing.T) {
	type two struct {
		first, second     string
		firstIs, secondIs []edit
	}
	const mail, web = registryv1.ContactPoint_EMAIL, registryv1.ContactPoint_WEB
	for what, c := range map[string]struct {
		two  two
		want []editorialv1.Duplicate_Reason_Kind // nil: nothing looks alike
	}{
		"the same codice fiscale, written otherwise": {two{"Arca", "Associazione Mare", []edit{numbered("codice-fiscale-ente", "IT 8100 2345")}, []edit{numbered("codice-fiscale-ente", "it81002345")}}, []editorialv1.Duplicate_Reason_Kind{taxCode}},
		"the same code of IPA":                       {two{"Arca", "Mare", []edit{numbered("ipa", "c_e974")}, []edit{numbered("ipa", "C_E974")}}, []editorialv1.Duplicate_Reason_Kind{ipaCode}},
		"the same number of RUNTS":                   {two{"Arca", "Mare", []edit{numbered("runts", "77")}, []edit{numbered("runts", "77")}}, []editorialv1.Duplicate_Reason_Kind{runts}},
		"the same name in other words":               {two{"Associazione Arcobaleno ODV", "L'arcobaleno", nil, nil}, []editorialv1.Duplicate_Reason_Kind{nameLike}},
		"a name with a mistake, and the telephone":   {two{"Arcobaleno insieme", "Arcobalebo insieme", []edit{phone("+39 0923 123456")}, []edit{phone("0923/123456")}}, []editorialv1.Duplicate_Reason_Kind{samePhone, nameLike}},
		"an acronym with telephone and e-mail":       {two{"AIAS", "Assistenza spastici", []edit{phone("0923123456"), reached(mail, "a@aias.example")}, []edit{phone("0923123456"), reached(mail, "A@aias.example")}}, []editorialv1.Duplicate_Reason_Kind{samePhone, contact}},
		"a page and an address":                      {two{"AIAS", "Assistenza spastici", []edit{reached(web, "https://www.aias.example/"), at("Via Roma, 12")}, []edit{reached(web, "aias.example"), at("via Roma n. 12")}}, []editorialv1.Duplicate_Reason_Kind{contact, address}},
		"the telephone alone":                        {two{"Arca", "Mare", []edit{phone("0923123456")}, []edit{phone("0923123456")}}, nil},
		"the same street without a number":           {two{"Arca", "Mare", []edit{at("Contrada Amabilina")}, []edit{at("Contrada Amabilina")}}, nil},
		"another number of the same list":            {two{"Arcobaleno", "Arcobaleno", []edit{numbered("runts", "77"), phone("0923123456")}, []edit{numbered("runts", "78"), phone("0923123456")}}, nil},
		"another number, and the same of another":    {two{"Arcobaleno", "Arcobaleno", []edit{numbered("runts", "77"), numbered("ipa", "x")}, []edit{numbered("runts", "78"), numbered("ipa", "x")}}, nil},
		"other rows of a file":                       {two{"Arcobaleno", "Arcobaleno", []edit{numbered("import.elenco", "77")}, []edit{numbered("import.elenco", "78")}}, []editorialv1.Duplicate_Reason_Kind{nameLike}},
		"the first and the second of a row":          {two{"Istituto comprensivo 1", "Istituto comprensivo 2", nil, nil}, nil},
		"other names":                                {two{"Casa Aurora", "Casa Tramonto", nil, nil}, nil},
		"a body and its office":                      {two{"Arcobaleno", "Arcobaleno sede", []edit{numbered("codice-fiscale-ente", "1234567")}, []edit{numbered("codice-fiscale-ente", "1234567"), partOf("xx")}}, nil},
	} {
		t.Run(what, func(t *testing.T) {
			n := start(t, "marsala")
			n.organization("xx", c.two.first, c.two.firstIs...)
			n.organization("yy", c.two.second, c.two.secondIs...)
			n.organization("zz", "Ente di tutt'altro genere")
			answer := n.list(&editorialv1.ListDuplicatesRequest{})
			var got []editorialv1.Duplicate_Reason_Kind
			for _, d := range answer.GetDuplicates() {
				if d.GetFirst() != marsala+"/organizations/xx" || d.GetSecond() != marsala+"/organizations/yy" || d.GetScore() < 50 || d.GetScore() > 100 || d.GetFirstTitle() != c.two.first {
					t.Errorf("found %v", d)
				}
				for _, reason := range d.GetReasons() {
					got = append(got, reason.GetKind())
					if reason.GetValue() == "" {
						t.Errorf("%s has no value", reason.GetKind())
					}
				}
			}
			if !slices.Equal(got, c.want) || int(answer.GetTotalSize()) != len(answer.GetDuplicates()) {
				t.Errorf("the reasons are %v, want %v", got, c.want)
			}
		})
	}
}

func TestTheSurestComeFirstPageByPage(t *testing.T) {
	n := start(t, "marsala")
	n.organization("a1", "Arcobaleno insieme")
	n.organization("a2", "Arcobaleno insieme")
	n.organization("b1", "Bosco", numbered("runts", "5"), phone("0923111111"))
	n.organization("b2", "Bosco", numbered("runts", "5"), phone("0923111111"))
	n.organization("c1", "Cavallo", numbered("ipa", "5"))
	n.organization("c2", "Destriero", numbered("ipa", "5"))
	var firsts []string
	for call := (&editorialv1.ListDuplicatesRequest{PageSize: 2}); ; {
		page := n.list(call)
		if page.GetTotalSize() != 3 {
			t.Errorf("there are %d", page.GetTotalSize())
		}
		for _, d := range page.GetDuplicates() {
			firsts = append(firsts, d.GetFirst()[len(marsala+"/organizations/"):])
		}
		if call.PageToken = page.GetNextPageToken(); call.GetPageToken() == "" {
			break
		}
	}
	if want := []string{"b1", "c1", "a1"}; !slices.Equal(firsts, want) {
		t.Errorf("the order is %v, want %v", firsts, want)
	}
	if one := n.list(&editorialv1.ListDuplicatesRequest{Record: marsala + "/organizations/c2"}); len(one.GetDuplicates()) != 1 || one.GetDuplicates()[0].GetFirst() != marsala+"/organizations/c1" {
		t.Errorf("with c2 there are %v", one)
	}
	_, err := n.duplicates.ListDuplicates(t.Context(), &editorialv1.ListDuplicatesRequest{Parent: "comuni/trapani"})
	refused(t, err, registryv1.ErrorReason_NOT_THE_OWNER)
}

func TestDecidedDifferent(t *testing.T) {
	n := start(t, "marsala")
	a, b := n.organization("aa", "Arcobaleno").GetName(), n.organization("bb", "Arcobaleno").GetName()
	decide := func(first, second string, different bool) {
		t.Helper()
		_, err := n.duplicates.DecideDuplicate(t.Context(), &editorialv1.DecideDuplicateRequest{Parent: marsala, First: first, Second: second, Different: different})
		must(t, err)
	}
	for range 2 {
		decide(b, a, true)
	}
	n.Halt(t)
	n.Start(t)
	conn := n.Conn(t)
	n.duplicates = editorialv1.NewDuplicateServiceClient(conn)
	if answer := n.list(&editorialv1.ListDuplicatesRequest{}); answer.GetTotalSize() != 0 {
		t.Errorf("it is shown: %v", answer)
	}
	if answer := n.list(&editorialv1.ListDuplicatesRequest{ShowDecided: true}); answer.GetTotalSize() != 1 || !answer.GetDuplicates()[0].GetDecidedDifferent() {
		t.Errorf("it is shown as %v", answer)
	}
	decide(a, b, false)
	if answer := n.list(&editorialv1.ListDuplicatesRequest{}); answer.GetTotalSize() != 1 {
		t.Error("it is not shown again")
	}
	for _, wrong := range [][2]string{{a, a}, {a, marsala + "/services/xx"}, {a, marsala + "/organizations/nessuno"}, {a, "comuni/trapani/organizations/bb"}} {
		if _, err := n.duplicates.DecideDuplicate(t.Context(), &editorialv1.DecideDuplicateRequest{Parent: marsala, First: wrong[0], Second: wrong[1], Different: true}); err == nil {
			t.Errorf("%v is taken", wrong)
		}
	}
}

// merging is two organisations, and what points to them.
func merging(t *testing.T) (n *node, keep, drop *registryv1.Organization) {
	t.Helper()
	n = start(t, "marsala")
	keep, drop = n.organization("keep", "Arcobaleno"), n.organization("drop", "L'Arcobaleno ODV", phone("0923123456"))
	n.service("own", "Trasporto", keep.GetName())
	n.service("moved", "Assistenza", drop.GetName())
	return n, keep, drop
}

func (n *node) get(name string) *registryv1.Organization {
	n.t.Helper()
	o, err := n.organizations.GetOrganization(n.t.Context(), &registryv1.GetOrganizationRequest{Name: name})
	must(n.t, err)
	return o
}

func (n *node) provider(service string) string {
	n.t.Helper()
	s, err := n.services.GetService(n.t.Context(), &registryv1.GetServiceRequest{Name: n.comune + "/services/" + service})
	must(n.t, err)
	return s.GetResponsibleOrganization()
}

func (n *node) actions(name string) (actions []editorialv1.RecordChange_Action) {
	n.t.Helper()
	answer, err := editorialv1.NewRecordServiceClient(n.Conn(n.t)).ListRecordChanges(n.t.Context(), &editorialv1.ListRecordChangesRequest{Parent: n.comune, Record: name})
	must(n.t, err)
	for _, change := range answer.GetChanges() {
		actions = append(actions, change.GetAction())
	}
	return actions
}

func TestMergedAndTakenBack(t *testing.T) {
	n, keep, drop := merging(t)
	merged := proto.CloneOf(keep)
	merged.Contacts, merged.AlternativeNames = drop.GetContacts(), []string{"L'Arcobaleno ODV"}
	packed, err := anypb.New(merged)
	must(t, err)
	call := &editorialv1.MergeRecordsRequest{Parent: marsala, Keep: keep.GetName(), Drop: drop.GetName(), Merged: packed, KeepEtag: keep.GetEtag(), DropEtag: drop.GetEtag(), ValidateOnly: true}
	tried, err := n.duplicates.MergeRecords(t.Context(), call)
	must(t, err)
	if n.provider("moved") != drop.GetName() || len(n.get(keep.GetName()).GetContacts()) != 0 {
		t.Error("to try a merge changes something")
	}
	call.ValidateOnly = false
	done, err := n.duplicates.MergeRecords(t.Context(), call)
	must(t, err)
	for _, answer := range []*editorialv1.MergeRecordsResponse{tried, done} {
		if !slices.Equal(answer.GetReferrers(), []string{marsala + "/services/moved"}) || len(answer.GetRecords()) != 1 {
			t.Errorf("it is answered %v", answer)
		}
	}
	if got := n.get(keep.GetName()); len(got.GetContacts()) != 1 || got.GetCreateTime().AsTime() != keep.GetCreateTime().AsTime() {
		t.Errorf("what stays is %v", got)
	}
	// Who knows the other one is led on.
	gone := n.get(drop.GetName())
	if gone.GetReplacedBy() != keep.GetName() || gone.GetDeleteTime() == nil {
		t.Errorf("what went is %v", gone)
	}
	if n.provider("moved") != keep.GetName() || n.provider("own") != keep.GetName() {
		t.Error("what pointed to it points nowhere")
	}
	if actions := n.actions(keep.GetName()); actions[0] != editorialv1.RecordChange_MERGED {
		t.Errorf("the history is %v", actions)
	}
	if answer := n.list(&editorialv1.ListDuplicatesRequest{}); answer.GetTotalSize() != 0 {
		t.Errorf("what went looks like %v", answer)
	}

	undone, err := n.duplicates.UndoMerge(t.Context(), &editorialv1.UndoMergeRequest{Parent: marsala, Record: drop.GetName()})
	must(t, err)
	if len(undone.GetRecords()) != 2 || !slices.Equal(undone.GetReferrers(), []string{marsala + "/services/moved"}) {
		t.Errorf("it is answered %v", undone)
	}
	for _, before := range []*registryv1.Organization{keep, drop} {
		after := n.get(before.GetName())
		after.UpdateTime, after.Revision, after.Etag = before.GetUpdateTime(), before.GetRevision(), before.GetEtag()
		if !proto.Equal(before, after) {
			t.Errorf("after it was taken back:\n%v\nwant\n%v", after, before)
		}
	}
	if n.provider("moved") != drop.GetName() {
		t.Error("what pointed to it does not again")
	}
	_, err = n.duplicates.UndoMerge(t.Context(), &editorialv1.UndoMergeRequest{Parent: marsala, Record: drop.GetName()})
	refused(t, err, registryv1.ErrorReason_RESOURCE_NOT_FOUND)
}

// Whoever could see what went is led on, at the ufficio comune too.
func TestLedOnEverywhere(t *testing.T) {
	n, keep, drop := merging(t)
	office := federationtest.StartOffice(t, "ufficio", ufficiocomune.Options{}, n.Member())
	_, err := n.duplicates.MergeRecords(t.Context(), &editorialv1.MergeRecordsRequest{Parent: marsala, Keep: keep.GetName(), Drop: drop.GetName()})
	must(t, err)
	ctx := metadata.AppendToOutgoingContext(t.Context(), "cid-reader", "PUBLIC")
	for where, client := range map[string]registryv1.OrganizationServiceClient{"node": n.organizations, "office": registryv1.NewOrganizationServiceClient(office.Conn(t))} {
		got, err := client.GetOrganization(ctx, &registryv1.GetOrganizationRequest{Name: drop.GetName()})
		must(t, err)
		if got.GetReplacedBy() != keep.GetName() || got.GetDeleteTime() == nil {
			t.Errorf("at the %s it is %v", where, got)
		}
	}
}

// What somebody changed since the merge stays as it is.
func TestTakenBackAfterAChange(t *testing.T) {
	n, keep, drop := merging(t)
	_, err := n.duplicates.MergeRecords(t.Context(), &editorialv1.MergeRecordsRequest{Parent: marsala, Keep: keep.GetName(), Drop: drop.GetName()})
	must(t, err)
	_, err = n.services.UpdateService(t.Context(), &registryv1.UpdateServiceRequest{
		Service: &registryv1.Service{Name: marsala + "/services/moved", Title: italian("Assistenza a casa")}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"title"}},
	})
	must(t, err)
	undone, err := n.duplicates.UndoMerge(t.Context(), &editorialv1.UndoMergeRequest{Parent: marsala, Record: drop.GetName()})
	must(t, err)
	if len(undone.GetReferrers()) != 0 || n.provider("moved") != keep.GetName() || n.get(drop.GetName()).GetDeleteTime() != nil {
		t.Errorf("it is answered %v", undone)
	}
}

// A merge can be taken back for 90 days, also when what went is gone for good.
func TestTakenBackLater(t *testing.T) {
	for days, want := range map[int]registryv1.ErrorReason{60: registryv1.ErrorReason_ERROR_REASON_UNSPECIFIED, 91: registryv1.ErrorReason_RESOURCE_NOT_FOUND} {
		t.Run(fmt.Sprint(days, " days"), func(t *testing.T) {
			var passed atomic.Int64
			n := startAt(t, "marsala", func() time.Time {
				return time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC).Add(time.Duration(passed.Load()))
			})
			keep, drop := n.organization("keep", "Arcobaleno"), n.organization("drop", "Arcobaleno")
			n.service("moved", "Assistenza", drop.GetName())
			_, err := n.duplicates.MergeRecords(t.Context(), &editorialv1.MergeRecordsRequest{Parent: marsala, Keep: keep.GetName(), Drop: drop.GetName()})
			must(t, err)
			passed.Store(int64(time.Duration(days) * 24 * time.Hour))
			must(t, n.Node.Node.Tidy(t.Context()))
			_, err = n.organizations.GetOrganization(t.Context(), &registryv1.GetOrganizationRequest{Name: drop.GetName()})
			refused(t, err, registryv1.ErrorReason_RESOURCE_NOT_FOUND)
			_, err = n.duplicates.UndoMerge(t.Context(), &editorialv1.UndoMergeRequest{Parent: marsala, Record: drop.GetName()})
			refused(t, err, want)
			if want == 0 && (n.provider("moved") != drop.GetName() || n.get(drop.GetName()).GetTitle().GetIt() != "Arcobaleno") {
				t.Error("it is not back")
			}
		})
	}
}

func TestMergesThatAreRefused(t *testing.T) {
	n, keep, drop := merging(t)
	wrong, err := anypb.New(&registryv1.Organization{})
	must(t, err)
	other, err := anypb.New(&registryv1.Service{})
	must(t, err)
	for what, c := range map[string]struct {
		edit   func(*editorialv1.MergeRecordsRequest)
		reason registryv1.ErrorReason
	}{
		"itself":                    {func(m *editorialv1.MergeRecordsRequest) { m.Drop = m.Keep }, registryv1.ErrorReason_INVALID_FIELDS},
		"of another kind":           {func(m *editorialv1.MergeRecordsRequest) { m.Drop = marsala + "/services/own" }, registryv1.ErrorReason_INVALID_FIELDS},
		"one that is not there":     {func(m *editorialv1.MergeRecordsRequest) { m.Drop = marsala + "/organizations/nessuno" }, registryv1.ErrorReason_RESOURCE_NOT_FOUND},
		"one of another comune":     {func(m *editorialv1.MergeRecordsRequest) { m.Drop = "comuni/trapani/organizations/xx" }, registryv1.ErrorReason_NOT_SUPPORTED_HERE},
		"one that changed":          {func(m *editorialv1.MergeRecordsRequest) { m.KeepEtag = `"x"` }, registryv1.ErrorReason_ETAG_MISMATCH},
		"the other one changed":     {func(m *editorialv1.MergeRecordsRequest) { m.DropEtag = `"x"` }, registryv1.ErrorReason_ETAG_MISMATCH},
		"a result that is not good": {func(m *editorialv1.MergeRecordsRequest) { m.Merged = wrong }, registryv1.ErrorReason_INVALID_FIELDS},
		"a result of another kind":  {func(m *editorialv1.MergeRecordsRequest) { m.Merged = other }, registryv1.ErrorReason_INVALID_FIELDS},
	} {
		t.Run(what, func(t *testing.T) {
			call := &editorialv1.MergeRecordsRequest{Parent: marsala, Keep: keep.GetName(), Drop: drop.GetName()}
			c.edit(call)
			before := n.Node.Node.Store().Head()
			_, err := n.duplicates.MergeRecords(t.Context(), call)
			refused(t, err, c.reason)
			if !n.Node.Node.Store().Head().Equal(before) {
				t.Error("something was written")
			}
		})
	}
}

// Two comuni that keep one body see both, until one points to the other.
func TestAcrossComuni(t *testing.T) {
	one, other := start(t, "marsala"), start(t, "pantelleria")
	first := one.organization("aias", "AIAS", numbered("codice-fiscale-ente", "81002345"), phone("0923123456"))
	second := other.organization("aias", "Assistenza spastici", numbered("codice-fiscale-ente", "81002345"), phone("0923123456"))
	one.organization("locale", "Arcobaleno")
	one.organization("locale-2", "Arcobaleno") // one comune's own affair
	one.service("assistenza", "Assistenza domiciliare", "")
	other.service("assistenza", "Assistenza domiciliare", "") // each comune has its own
	office := federationtest.StartOffice(t, "ufficio", ufficiocomune.Options{}, one.Member(), other.Member())
	client := editorialv1.NewDuplicateServiceClient(office.Conn(t))
	list := func(want int) (answer *editorialv1.ListDuplicatesResponse) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		for {
			next := office.Office.Store().After(office.Office.Store().Head().Revision)
			var err error
			answer, err = client.ListDuplicates(ctx, &editorialv1.ListDuplicatesRequest{Parent: "comuni/-"})
			must(t, err)
			if int(answer.GetTotalSize()) == want && copied(office, one, other) {
				return answer
			}
			select {
			case <-next:
			case <-ctx.Done():
				t.Fatalf("found %v", answer)
			}
		}
	}
	found := list(1).GetDuplicates()[0]
	if names := []string{found.GetFirst(), found.GetSecond()}; !slices.Contains(names, first.GetName()) || !slices.Contains(names, second.GetName()) {
		t.Errorf("found %v", found)
	}
	for parent, want := range map[string]int32{"comuni/pantelleria": 1, "comuni/trapani": 0} {
		answer, err := client.ListDuplicates(t.Context(), &editorialv1.ListDuplicatesRequest{Parent: parent})
		must(t, err)
		if answer.GetTotalSize() != want {
			t.Errorf("with %s there are %d", parent, answer.GetTotalSize())
		}
	}
	_, err := client.MergeRecords(t.Context(), &editorialv1.MergeRecordsRequest{Parent: marsala, Keep: first.GetName(), Drop: second.GetName()})
	refused(t, err, registryv1.ErrorReason_NOT_SUPPORTED_HERE)
	point := func(sameAs string) error {
		_, err := other.organizations.UpdateOrganization(t.Context(), &registryv1.UpdateOrganizationRequest{
			Organization: &registryv1.Organization{Name: second.GetName(), SameAs: sameAs}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"same_as"}},
		})
		return err
	}
	refused(t, point("comuni/pantelleria/organizations/xx"), registryv1.ErrorReason_DANGLING_REFERENCE)
	must(t, point(first.GetName()))
	list(0)
}

// copied tells whether an office has all that nodes have.
func copied(office *federationtest.Office, nodes ...*node) bool {
	ok := true
	for _, n := range nodes {
		_ = n.Node.Node.Store().View(func(r store.Reader) error {
			want, err := r.Counts(strings.TrimPrefix(n.comune, "comuni/"))
			if err != nil {
				return err
			}
			return office.Office.Store().View(func(r store.Reader) error {
				got, err := r.Counts(strings.TrimPrefix(n.comune, "comuni/"))
				for kind, count := range want {
					ok = ok && got[kind] == count
				}
				return err
			})
		})
	}
	return ok
}

// Who does not see all of a comune is not told how both are reached.
func TestReasonsTellNoMoreThanTheReaderSees(t *testing.T) {
	n := start(t, "marsala")
	n.organization("aa", "Arcobaleno insieme", phone("0923123456"))
	n.organization("bb", "Arcobaleno insieme", phone("0923123456"))
	n.organization("cc", "Arcobaleno insieme", func(o *registryv1.Organization) { o.Visibility = registryv1.Visibility_LOCAL })
	if answer := n.list(&editorialv1.ListDuplicatesRequest{}); answer.GetTotalSize() != 3 {
		t.Fatalf("who sees everything is shown %d", answer.GetTotalSize())
	}
	ctx := metadata.AppendToOutgoingContext(t.Context(), "cid-reader", "NETWORK")
	answer, err := n.duplicates.ListDuplicates(ctx, &editorialv1.ListDuplicatesRequest{Parent: marsala})
	must(t, err)
	if answer.GetTotalSize() != 1 {
		t.Errorf("somebody of the federation is shown %v", answer)
	}
	for _, reason := range answer.GetDuplicates()[0].GetReasons() {
		if (reason.GetKind() == samePhone) != (reason.GetValue() == "") {
			t.Errorf("somebody of the federation is told %v", reason)
		}
	}
}

func TestManyRecords(t *testing.T) {
	n := start(t, "marsala")
	random := rand.New(rand.NewPCG(1, 2))
	syllables := strings.Fields("ba be bi bo bu ca ce ci co cu da de di do du fa fe fi fo fu ga ge gi go gu la le li lo lu ma me mi mo mu na ne ni no nu")
	word := func() string {
		return syllables[random.IntN(40)] + syllables[random.IntN(40)] + syllables[random.IntN(40)]
	}
	const total, batch = 10_000, 5_000
	for from := 0; from < total; from += batch {
		_, err := n.Node.Node.Store().Commit(t.Context(), store.Request{}, nil, func(store.Reader, store.Stamp) (store.Outcome, error) {
			var outcome store.Outcome
			for i := range batch {
				outcome.Put = append(outcome.Put, &registryv1.Organization{
					Name: fmt.Sprintf("%s/organizations/o%d", marsala, from+i), Title: italian("Centro " + word() + " " + word() + " " + word()), Kind: registryv1.Organization_ASSOCIATION,
					Contacts:    []*registryv1.ContactPoint{{Kind: registryv1.ContactPoint_PHONE, Value: fmt.Sprintf("0923 %06d", (from+i)%(total-1000))}},
					Identifiers: []*registryv1.Identifier{{Scheme: "runts", Value: fmt.Sprint((from + i) % (total - 1000))}},
				})
			}
			return outcome, nil
		})
		must(t, err)
	}
	answer := n.list(&editorialv1.ListDuplicatesRequest{})
	if answer.GetTotalSize() != 1000 {
		t.Errorf("found %d pairs", answer.GetTotalSize())
	}
}
