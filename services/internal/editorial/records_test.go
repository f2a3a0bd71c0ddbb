package editorial_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/editorialv1"
	"cidsistem.example/proto/gen/registryv1"
)

func (n *node) version(name string, revision int64) *editorialv1.RecordVersion {
	n.t.Helper()
	return got(n.records.GetRecordVersion(n.anna(), &editorialv1.GetRecordVersionRequest{Parent: parent, Record: name, Revision: revision}))(n.t)
}

// Whatever happens to a record, each of its versions can be read and restored,
// and is then the record of that time but for what the server writes.
func TestEveryVersionCanBeRestored(t *testing.T) {
	n := start(t)
	random := rand.New(rand.NewPCG(5, 11))
	n.organization("aias")
	made := n.service("trasporto")
	name, versions := made.GetName(), []*registryv1.Service{made}
	for range 60 {
		n.pass(time.Minute)
		before, err := n.services.GetService(t.Context(), &registryv1.GetServiceRequest{Name: name})
		must(t, err)
		switch after := proto.CloneOf(before); random.IntN(5) {
		case 0:
			after.Title = italian(fmt.Sprint("Titolo ", random.IntN(9)))
			got(n.services.UpdateService(t.Context(), &registryv1.UpdateServiceRequest{Service: after, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"*"}}}))(t)
		case 1:
			after.Provisions = nil
			for range random.IntN(3) {
				after.Provisions = append(after.Provisions, &registryv1.Provision{Organization: aias, Mode: registryv1.Provision_DIRECT})
			}
			got(n.services.UpdateService(t.Context(), &registryv1.UpdateServiceRequest{Service: after, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"*"}}}))(t)
		case 2:
			got(n.records.VerifyRecord(n.anna(), &editorialv1.VerifyRecordRequest{Parent: parent, Record: name, Means: editorialv1.VerificationMeans_BY_PHONE}))(t)
		case 3:
			got(n.records.SuspendRecord(n.anna(), &editorialv1.SuspendRecordRequest{Parent: parent, Record: name}))(t)
		case 4:
			_, err := n.records.ResumeRecord(n.paola(), &editorialv1.ResumeRecordRequest{Parent: parent, Record: name})
			if err != nil {
				refused(t, err, registryv1.ErrorReason_NOT_SUPPORTED_HERE)
			}
		}
		if now := n.read(name); now.GetRevision() != before.GetRevision() {
			versions = append(versions, now)
		}
	}
	if len(versions) < 20 {
		t.Fatalf("only %d versions", len(versions))
	}
	for _, want := range versions {
		version := n.version(name, want.GetRevision())
		if d := cmp.Diff(want, unpacked[*registryv1.Service](t, version.GetRecord()), protocmp.Transform()); d != "" {
			t.Fatalf("the version of %d:\n%s", want.GetRevision(), d)
		}
	}
	for _, i := range random.Perm(len(versions)) {
		want := versions[i]
		got(n.records.RestoreRecord(n.paola(), &editorialv1.RestoreRecordRequest{Parent: parent, Record: name, Revision: want.GetRevision()}))(t)
		now := n.read(name)
		catalog.RecordOf(now).CopyServerFields(catalog.RecordOf(want))
		if d := cmp.Diff(want, now, protocmp.Transform()); d != "" {
			t.Fatalf("restored from %d:\n%s", want.GetRevision(), d)
		}
	}
	n.sound()
}

func TestHistoryIsForWhoWorksOnTheRecord(t *testing.T) {
	n := start(t)
	n.organization("aias")
	other := n.service("altro")
	history := func(record string) *editorialv1.ListRecordChangesRequest {
		return &editorialv1.ListRecordChangesRequest{Parent: parent, Record: record}
	}
	if own := got(n.records.ListRecordChanges(n.dora(), history(aias)))(t); len(own.GetChanges()) != 1 {
		t.Errorf("the delegate sees %v", own.GetChanges())
	}
	_, err := n.records.ListRecordChanges(n.dora(), history(other.GetName()))
	refused(t, err, registryv1.ErrorReason_RESOURCE_NOT_FOUND)
	_, err = n.records.ListRecordChanges(n.anna(), history("comuni/mazara-del-vallo/services/x1"))
	refused(t, err, registryv1.ErrorReason_NOT_THE_OWNER)
	_, err = n.records.GetRecordVersion(n.anna(), &editorialv1.GetRecordVersionRequest{Parent: parent, Record: other.GetName(), Revision: other.GetRevision() + 1})
	refused(t, err, registryv1.ErrorReason_RESOURCE_NOT_FOUND)
	if own := got(n.records.ListRecordChanges(n.anna(), history(parent)))(t); len(own.GetChanges()) != 1 {
		t.Errorf("the comune's own record has the history %v", own.GetChanges())
	}
	for i := range 5 {
		other.Description = italian(fmt.Sprint(i))
		got(n.services.UpdateService(n.anna(), &registryv1.UpdateServiceRequest{Service: &registryv1.Service{Name: other.GetName(), Description: other.GetDescription()}}))(t)
	}
	call, listed := history(other.GetName()), []string(nil)
	call.PageSize = 2
	for more := true; more; more = call.GetPageToken() != "" {
		page := got(n.records.ListRecordChanges(n.anna(), call))(t)
		for _, change := range page.GetChanges() {
			listed = append(listed, change.GetAction().String()+" "+strings.Join(change.GetFields(), ","))
		}
		call.PageToken = page.GetNextPageToken()
	}
	if len(listed) != 6 || listed[0] != "CHANGED description.it" || listed[5] != "CREATED " {
		t.Errorf("listed %q", listed)
	}
}

func TestVerification(t *testing.T) {
	n := start(t)
	n.organization("aias")
	sample := n.service("trasporto", func(s *registryv1.Service) {
		s.Provenance = &registryv1.Provenance{Sample: true, VerifyByTime: timestamppb.New(n.Now().Add(-day))}
	})
	later := n.service("sportello", func(s *registryv1.Service) {
		s.Provenance = &registryv1.Provenance{VerifyByTime: timestamppb.New(n.Now().Add(10 * day))}
	})
	got(n.organizations.UpdateOrganization(t.Context(), &registryv1.UpdateOrganizationRequest{Organization: &registryv1.Organization{
		Name: aias, Provenance: &registryv1.Provenance{VerifyByTime: timestamppb.New(n.Now().Add(-2 * day))},
	}}))(t)
	due := func(call *editorialv1.ListDueRecordsRequest, who string) (names []string) {
		call.Parent = parent
		ctx := n.anna()
		switch who {
		case "dora":
			ctx = n.dora()
		case "piero":
			ctx = n.piero()
		}
		answer := got(n.records.ListDueRecords(ctx, call))(t)
		for _, r := range answer.GetRecords() {
			names = append(names, r.GetRecord())
		}
		if call.GetPageSize() == 0 && int(answer.GetTotalSize()) != len(names) {
			t.Errorf("%s: counted %d of %v", who, answer.GetTotalSize(), names)
		}
		return names
	}
	if got := due(&editorialv1.ListDueRecordsRequest{}, "anna"); !slices.Equal(got, []string{aias, sample.GetName()}) {
		t.Errorf("due %v", got)
	}
	if got := due(&editorialv1.ListDueRecordsRequest{DueBeforeTime: timestamppb.New(n.Now().Add(11 * day)), PageSize: 1}, "anna"); len(got) != 1 {
		t.Errorf("a page of one has %v", got)
	}
	if got := due(&editorialv1.ListDueRecordsRequest{}, "dora"); !slices.Equal(got, []string{aias}) {
		t.Errorf("due for the delegate %v", got)
	}
	if got := due(&editorialv1.ListDueRecordsRequest{}, "piero"); len(got) != 0 {
		t.Errorf("due for the planner %v", got)
	}

	verify := &editorialv1.VerifyRecordRequest{Parent: parent, Record: sample.GetName(), Means: editorialv1.VerificationMeans_BY_PHONE, Note: "ha risposto il centralino"}
	version := got(n.records.VerifyRecord(n.anna(), verify))(t)
	if c := version.GetChange(); c.GetAction() != editorialv1.RecordChange_VERIFIED || c.GetMeans() != editorialv1.VerificationMeans_BY_PHONE || c.GetNote() != verify.GetNote() || c.GetActor() != account("anna") {
		t.Errorf("verified: %v", c)
	}
	p := n.read(sample.GetName()).GetProvenance()
	if p.GetVerifier() != "Comune di Marsala" || p.GetSample() || !p.GetVerifyTime().AsTime().Equal(n.Now()) || !p.GetVerifyByTime().AsTime().Equal(n.Now().Add(180*day)) {
		t.Errorf("provenance %v", p)
	}
	verify = &editorialv1.VerifyRecordRequest{Parent: parent, Record: aias, Means: editorialv1.VerificationMeans_OWN_KNOWLEDGE}
	own := unpacked[*registryv1.Organization](t, got(n.records.VerifyRecord(n.dora(), verify))(t).GetRecord())
	if p := own.GetProvenance(); p.GetVerifier() != "Ente aias" || !p.GetVerifyByTime().AsTime().Equal(n.Now().Add(365*day)) {
		t.Errorf("provenance %v", p)
	}
	verify.Record = later.GetName()
	_, err := n.records.VerifyRecord(n.dora(), verify)
	refused(t, err, registryv1.ErrorReason_RESOURCE_NOT_FOUND)
	_, err = n.records.VerifyRecord(n.piero(), verify)
	refused(t, err, registryv1.ErrorReason_NOT_ALLOWED)
	verify.Etag = `"other"`
	_, err = n.records.VerifyRecord(n.anna(), verify)
	refused(t, err, registryv1.ErrorReason_ETAG_MISMATCH)
	if got := due(&editorialv1.ListDueRecordsRequest{}, "anna"); len(got) != 0 {
		t.Errorf("still due %v", got)
	}
}

func TestSuspension(t *testing.T) {
	n := start(t)
	made := n.service("trasporto", func(s *registryv1.Service) { s.Visibility = registryv1.Visibility_NETWORK })
	about := &editorialv1.SuspendRecordRequest{Parent: parent, Record: made.GetName(), Note: "chiuso per lavori"}
	resume := &editorialv1.ResumeRecordRequest{Parent: parent, Record: made.GetName()}
	_, err := n.records.ResumeRecord(n.paola(), resume)
	refused(t, err, registryv1.ErrorReason_NOT_SUPPORTED_HERE)
	got(n.records.SuspendRecord(n.anna(), about))(t)
	got(n.records.SuspendRecord(n.anna(), about))(t)
	if v := n.read(made.GetName()).GetVisibility(); v != registryv1.Visibility_LOCAL {
		t.Errorf("suspended it is %s", v)
	}
	_, err = n.records.ResumeRecord(n.anna(), resume)
	refused(t, err, registryv1.ErrorReason_NOT_ALLOWED)
	got(n.records.ResumeRecord(n.paola(), resume))(t)
	if v := n.read(made.GetName()).GetVisibility(); v != registryv1.Visibility_NETWORK {
		t.Errorf("resumed it is %s", v)
	}
	wantActions(t, n.history(made.GetName()), "RESUMED", "SUSPENDED", "CREATED")
	if n.local("suspended") != 0 {
		t.Error("it is still remembered as suspended")
	}
}

// Each record keeps what its lists had, in their order, and nothing is there twice.
func TestChangeOfManyAddsToLists(t *testing.T) {
	n := start(t)
	groups := func(groups ...registryv1.TargetGroup) func(*registryv1.Service) {
		return func(s *registryv1.Service) { s.TargetGroups = groups }
	}
	const elderly, minors = registryv1.TargetGroup_ELDERLY, registryv1.TargetGroup_MINORS
	wanted := map[string][]registryv1.TargetGroup{
		n.service("nessuno", groups()).GetName():            {elderly},
		n.service("altri", groups(minors)).GetName():        {minors, elderly},
		n.service("anche", groups(elderly)).GetName():       {elderly},
		n.service("due", groups(elderly, minors)).GetName(): {elderly, minors},
	}
	got(n.records.ChangeRecords(n.anna(), &editorialv1.ChangeRecordsRequest{
		Parent: parent, Records: slices.Sorted(maps.Keys(wanted)), Values: packed(t, &registryv1.Service{TargetGroups: []registryv1.TargetGroup{elderly}}),
		UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"targetGroups"}}, AddToLists: true,
	}))(t)
	for name, want := range wanted {
		if have := n.read(name).GetTargetGroups(); !slices.Equal(have, want) {
			t.Errorf("%s is for %v, want %v", name, have, want)
		}
	}
}

func TestChangeOfManyAndItsUndoing(t *testing.T) {
	n := start(t)
	var names []string
	for i := range 5 {
		names = append(names, n.service(fmt.Sprintf("s%d", i)).GetName())
	}
	call := &editorialv1.ChangeRecordsRequest{
		Parent: parent, Records: names, Values: packed(t, &registryv1.Service{Description: italian("Sospeso ad agosto")}),
		UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"description"}}, ValidateOnly: true, Note: "ferie",
	}
	head := n.Node.Node.Store().Head()
	preview := got(n.records.ChangeRecords(n.anna(), call))(t)
	if len(preview.GetResults()) != 5 || preview.GetChange() != "" || !preview.GetResults()[0].GetChanged() ||
		!strings.Contains(preview.GetResults()[0].GetAfter(), "agosto") || strings.Contains(preview.GetResults()[0].GetBefore(), "agosto") {
		t.Errorf("preview %v", preview)
	}
	if !n.Node.Node.Store().Head().Equal(head) {
		t.Error("a preview changed something")
	}
	call.ValidateOnly, call.RequestId = false, uuid.NewString()
	call.Records = append(names, parent+"/services/none-such")
	failed := got(n.records.ChangeRecords(n.anna(), call))(t)
	if failed.GetResults()[5].GetProblem() == "" || failed.GetChange() != "" || !n.Node.Node.Store().Head().Equal(head) {
		t.Errorf("with one that is not there: %v", failed)
	}
	call.Records = names
	call.RequestId = uuid.NewString()
	done := got(n.records.ChangeRecords(n.anna(), call))(t)
	if again := got(n.records.ChangeRecords(n.anna(), call))(t); again.GetChange() != done.GetChange() || done.GetChange() == "" {
		t.Errorf("repeated: %v, first %v", again, done)
	}
	for _, name := range names {
		if n.read(name).GetDescription().GetIt() != "Sospeso ad agosto" {
			t.Errorf("%s did not change", name)
		}
	}
	if c := n.history(names[0])[0]; c.GetAction() != editorialv1.RecordChange_CHANGED_TOGETHER || c.GetCause() != done.GetChange() || c.GetNote() != "ferie" {
		t.Errorf("the history says %v", c)
	}
	got(n.services.UpdateService(t.Context(), &registryv1.UpdateServiceRequest{Service: &registryv1.Service{Name: names[2], Title: italian("Altro")}}))(t)
	undone := got(n.records.UndoChange(n.anna(), &editorialv1.UndoChangeRequest{Parent: parent, Change: done.GetChange()}))(t)
	for i, name := range names {
		is, told := n.read(name).GetDescription().GetIt() == "", undone.GetResults()[i].GetChanged()
		if is != (i != 2) || told != (i != 2) || (undone.GetResults()[i].GetProblem() == "") != (i != 2) {
			t.Errorf("%s: taken back %v, result %v", name, is, undone.GetResults()[i])
		}
	}
	wantActions(t, n.history(names[0]), "UNDONE", "CHANGED_TOGETHER", "CREATED")
	_, err := n.records.UndoChange(n.anna(), &editorialv1.UndoChangeRequest{Parent: parent, Change: done.GetChange()})
	refused(t, err, registryv1.ErrorReason_RESOURCE_NOT_FOUND)
	_, err = n.records.ChangeRecords(n.anna(), &editorialv1.ChangeRecordsRequest{
		Parent: parent, Records: []string{aias}, Values: call.GetValues(), UpdateMask: call.GetUpdateMask(),
	})
	refused(t, err, registryv1.ErrorReason_INVALID_FIELDS)
	show := got(n.records.ChangeRecords(n.anna(), &editorialv1.ChangeRecordsRequest{
		Parent: parent, Records: []string{n.service("nascosto", func(s *registryv1.Service) { s.Visibility = registryv1.Visibility_LOCAL }).GetName()},
		Values: packed(t, &registryv1.Service{Visibility: registryv1.Visibility_PUBLIC}), UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"visibility"}},
	}))(t)
	if show.GetChange() != "" || show.GetResults()[0].GetProblem() == "" {
		t.Errorf("an editor showed a record to more people: %v", show)
	}
	got(n.records.ChangeRecords(n.anna(), call))(t)
	n.pass(31 * day)
	must(t, n.Node.Node.Tidy(t.Context()))
	if n.local("changes") != 0 {
		t.Error("an old change can still be taken back")
	}
	n.sound()
}
