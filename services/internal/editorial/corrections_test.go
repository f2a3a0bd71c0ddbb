package editorial_test

import (
	"context"
	"net"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/proto/gen/adminv1"
	"cidsistem.example/proto/gen/editorialv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/federationtest"
	"cidsistem.example/services/internal/editorial"
	"cidsistem.example/services/internal/policy"
	"cidsistem.example/services/internal/records"
	"cidsistem.example/services/internal/store"
	"cidsistem.example/services/platform/grpcclient"
	"cidsistem.example/services/platform/grpcserver"
	"cidsistem.example/services/registry"
)

func (n *node) propose(record string, changes ...*editorialv1.Correction_Change) (*editorialv1.Correction, error) {
	n.t.Helper()
	return n.corrections.CreateCorrection(n.public(), &editorialv1.CreateCorrectionRequest{Parent: parent, Correction: &editorialv1.Correction{
		Record: record, Changes: changes, Note: "ci sono stata ieri", Contact: "rosa@posta.example",
	}})
}

func change(field, proposed string) *editorialv1.Correction_Change {
	return &editorialv1.Correction_Change{Field: field, Proposed: proposed}
}

func phone(value string) *registryv1.ContactPoint {
	return &registryv1.ContactPoint{Kind: registryv1.ContactPoint_PHONE, Value: value}
}

func TestCorrectionIsTakenOver(t *testing.T) {
	n := start(t)
	made := n.service("trasporto", func(s *registryv1.Service) {
		s.Title.Translations = map[string]*registryv1.Translation{"en": {Text: "Transport"}}
		s.Contacts = []*registryv1.ContactPoint{phone("0923 111111"), phone("0923 222222")}
	})
	one := got(n.propose(made.GetName(),
		change("title", "Trasporto disabili"), change("contacts[1].value", "0923 333333"), change("status.state", "SUSPENDED"),
		change("contacts[2]", `{"kind":"EMAIL","value":"info@ente.example"}`), change("", "Il cancello è chiuso")))(t)
	if one.GetState() != editorialv1.Correction_OPEN || one.GetOrigin() != editorialv1.Correction_PUBLIC_PERSON {
		t.Errorf("proposed %v", one)
	}
	if n.read(made.GetName()).GetEtag() != made.GetEtag() {
		t.Error("a proposal changed the record")
	}
	listed := got(n.corrections.ListCorrections(n.anna(), &editorialv1.ListCorrectionsRequest{Parent: parent, State: editorialv1.Correction_OPEN}))(t)
	if len(listed.GetCorrections()) != 1 || listed.GetCorrections()[0].GetContact() != "" || listed.GetCorrections()[0].GetTitle() != "Servizio trasporto" {
		t.Errorf("listed %v", listed.GetCorrections())
	}
	if read := got(n.corrections.GetCorrection(n.anna(), &editorialv1.GetCorrectionRequest{Name: one.GetName()}))(t); read.GetContact() != "rosa@posta.example" {
		t.Errorf("read %v", read)
	}
	decide := &editorialv1.DecideCorrectionRequest{Name: one.GetName(), Accepted: []int32{0, 1, 2, 3}, Answer: "Grazie", RecordEtag: `"old"`}
	_, err := n.corrections.DecideCorrection(n.anna(), decide)
	refused(t, err, registryv1.ErrorReason_ETAG_MISMATCH)
	decide.RecordEtag = made.GetEtag()
	decided := got(n.corrections.DecideCorrection(n.anna(), decide))(t)
	if decided.GetState() != editorialv1.Correction_ACCEPTED || decided.GetAnswer() != "Grazie" || !decided.GetChanges()[3].GetAccepted() || decided.GetChanges()[4].GetAccepted() {
		t.Errorf("decided %v", decided)
	}
	record := n.read(made.GetName())
	if record.GetTitle().GetIt() != "Trasporto disabili" || record.GetTitle().GetTranslations()["en"].GetText() != "Transport" || record.GetStatus().GetState() != registryv1.Status_SUSPENDED {
		t.Errorf("the record is %v", record)
	}
	if c := record.GetContacts(); len(c) != 3 || c[0].GetValue() != "0923 111111" || c[1].GetValue() != "0923 333333" || c[2].GetKind() != registryv1.ContactPoint_EMAIL {
		t.Errorf("contacts %v", c)
	}
	said := map[string]bool{}
	for _, source := range record.GetFieldSources() {
		said[source.GetField()+"="+source.GetValue()] = source.GetInForce()
		if source.GetInForce() && source.GetProvenance().GetSourceKind() != registryv1.Provenance_CITIZEN {
			t.Errorf("source %v", source)
		}
	}
	for what, inForce := range map[string]bool{"contacts.1.value=0923 333333": true, "contacts.1.value=0923 222222": false, "title=Trasporto disabili": true, "title=Servizio trasporto": false} {
		if is, there := said[what]; !there || is != inForce {
			t.Errorf("sources say %v; of %s they should say %v", said, what, inForce)
		}
	}
	if c := n.history(made.GetName())[0]; c.GetCause() != one.GetName() || c.GetActor() != account("anna") || c.GetNote() != "Grazie" {
		t.Errorf("the history says %v", c)
	}
	_, err = n.corrections.DecideCorrection(n.anna(), decide)
	refused(t, err, registryv1.ErrorReason_NOT_SUPPORTED_HERE)
	n.pass(366 * day)
	must(t, n.Node.Node.Tidy(t.Context()))
	if n.local("corrections") != 0 {
		t.Error("an old correction stays")
	}
	n.sound()
}

// The public sees some of the contacts: what they propose is about those.
func TestCorrectionOfWhatIsSeen(t *testing.T) {
	n := start(t)
	made := n.service("trasporto", func(s *registryv1.Service) {
		inside := phone("0923 000000")
		inside.Visibility = registryv1.Visibility_LOCAL
		s.Contacts = []*registryv1.ContactPoint{inside, phone("0923 111111"), phone("0923 222222")}
	})
	one := got(n.propose(made.GetName(), change("contacts[1].value", "0923 333333")))(t)
	if field := one.GetChanges(); len(field) > 0 {
		t.Errorf("told who proposed: %v", field)
	}
	read := got(n.corrections.GetCorrection(n.anna(), &editorialv1.GetCorrectionRequest{Name: one.GetName()}))(t)
	if field := read.GetChanges()[0].GetField(); field != "contacts[2].value" {
		t.Errorf("the second that is seen is %s", field)
	}
}

func TestWhatCannotBeCorrected(t *testing.T) {
	n := start(t)
	n.organization("aias")
	made := n.service("trasporto", func(s *registryv1.Service) { s.Contacts = []*registryv1.ContactPoint{phone("0923 111111")} })
	hidden := n.service("nascosto", func(s *registryv1.Service) { s.Visibility = registryv1.Visibility_NETWORK })
	_, err := n.propose(hidden.GetName(), change("title", "x"))
	refused(t, err, registryv1.ErrorReason_RESOURCE_NOT_FOUND)
	for _, field := range []string{"etag", "name", "revision", "none", "title.none", "contacts[0].kind.x", "title[0]", "contacts.value", "createTime", "contacts[0", "[0]", "contacts[-1].value"} {
		_, err := n.propose(made.GetName(), change(field, "x"))
		refused(t, err, registryv1.ErrorReason_INVALID_FIELDS)
	}
	for _, wrong := range []*editorialv1.Correction_Change{
		change("contacts[4].value", "0923 1"), change("contacts[0].kind", "FAX"), change("contacts[0].visibility", "7"), change("status.state", "{}"),
		change("contacts", `[{"kind":"PHONE"}]`), change("contacts[0].value", "1"), change("provenance", "x"), change("contacts[0]", "null"), change("contacts[0]", `{"kind":"PHONE"},{}`),
		change("provenance.verifyTime", "domani"), change("provisions", `[{"organization":"comuni/marsala/organizations/nessuna","mode":"DIRECT"}]`),
	} {
		one := got(n.propose(made.GetName(), wrong))(t)
		_, err := n.corrections.DecideCorrection(n.anna(), &editorialv1.DecideCorrectionRequest{Name: one.GetName(), Accepted: []int32{0}})
		if err == nil {
			t.Errorf("%v was taken over: %v", wrong, n.read(made.GetName()))
		}
		if n.read(made.GetName()).GetEtag() != made.GetEtag() {
			t.Fatalf("%v changed the record", wrong)
		}
		got(n.corrections.DecideCorrection(n.anna(), &editorialv1.DecideCorrectionRequest{Name: one.GetName()}))(t)
	}
	one := got(n.propose(made.GetName(), change("title", "x")))(t)
	_, err = n.corrections.DecideCorrection(n.dora(), &editorialv1.DecideCorrectionRequest{Name: one.GetName()})
	refused(t, err, registryv1.ErrorReason_RESOURCE_NOT_FOUND)
	own := got(n.propose(aias, change("title", "AIAS")))(t)
	got(n.corrections.DecideCorrection(n.dora(), &editorialv1.DecideCorrectionRequest{Name: own.GetName(), Accepted: []int32{0}}))(t)
	rejected := got(n.corrections.ListCorrections(n.anna(), &editorialv1.ListCorrectionsRequest{Parent: parent, State: editorialv1.Correction_REJECTED}))(t)
	if len(rejected.GetCorrections()) != 11 {
		t.Errorf("%d are rejected", len(rejected.GetCorrections()))
	}
}

// messages are those that wait to be sent, the oldest first, as they are kept.
func (n *node) messages() (all []string) {
	n.t.Helper()
	must(n.t, n.Node.Node.Store().View(func(r store.Reader) error {
		for key, sealed := range r.LocalEntries("mail", "") {
			text, err := n.Node.Node.Trust().Vault.Open(key, sealed)
			if err != nil {
				return err
			}
			all = append([]string{string(text)}, all...)
		}
		return nil
	}))
	return all
}

var code = regexp.MustCompile(`https://cid\.example\.it/conferma/marsala\?c=([a-z0-9]{26})\\n`)

func TestOrganisationConfirmsByLink(t *testing.T) {
	n := start(t)
	n.organization("aias")
	operator := got(n.operators.CreateOperator(t.Context(), &registryv1.CreateOperatorRequest{Parent: parent, OperatorId: "sportello", Operator: &registryv1.Operator{
		Title: italian("Sportello"), Organization: aias, Profession: registryv1.Operator_SOCIAL_WORKER,
	}}))(t)
	other := n.service("altro")
	ask := &editorialv1.CreateConfirmationRequest{Parent: parent, Confirmation: &editorialv1.Confirmation{
		Organization: aias, Email: "info@aias.example", Records: []string{other.GetName()},
	}}
	_, err := n.corrections.CreateConfirmation(n.anna(), ask)
	refused(t, err, registryv1.ErrorReason_INVALID_FIELDS)
	ask.Confirmation.Records = nil
	made := got(n.corrections.CreateConfirmation(n.anna(), ask))(t)
	if want := []string{aias, operator.GetName()}; !slices.Equal(made.GetRecords(), want) || made.GetState() != editorialv1.Confirmation_SENT {
		t.Errorf("made %v", made)
	}
	match := code.FindStringSubmatch(n.messages()[0])
	if match == nil || !strings.Contains(n.messages()[0], "info@aias.example") {
		t.Fatalf("sent %q", n.messages())
	}
	look := &editorialv1.LookUpConfirmationRequest{Parent: parent, Code: match[1]}
	seen := got(n.corrections.LookUpConfirmation(n.public(), look))(t)
	if len(seen.GetRecords()) != 2 || seen.GetTitle() != "Ente aias" {
		t.Errorf("seen %v", seen)
	}
	_, err = n.corrections.LookUpConfirmation(n.public(), &editorialv1.LookUpConfirmationRequest{Parent: parent, Code: "abc"})
	refused(t, err, registryv1.ErrorReason_RESOURCE_NOT_FOUND)
	answer := &editorialv1.AnswerConfirmationRequest{Parent: parent, Code: match[1], Confirmed: []string{other.GetName()}}
	_, err = n.corrections.AnswerConfirmation(n.public(), answer)
	refused(t, err, registryv1.ErrorReason_INVALID_FIELDS)
	answer.Confirmed = []string{aias}
	answer.Corrections = []*editorialv1.Correction{{Record: operator.GetName(), Changes: []*editorialv1.Correction_Change{change("title", "Sportello sociale")}}}
	counts := got(n.corrections.AnswerConfirmation(n.public(), answer))(t)
	if counts.GetVerifiedCount() != 1 || counts.GetCorrectionCount() != 1 {
		t.Errorf("counted %v", counts)
	}
	organization := got(n.organizations.GetOrganization(t.Context(), &registryv1.GetOrganizationRequest{Name: aias}))(t)
	if p := organization.GetProvenance(); p.GetVerifier() != "Ente aias" || !p.GetVerifyByTime().AsTime().Equal(n.Now().Add(365*day)) {
		t.Errorf("provenance %v", p)
	}
	if c := n.history(aias)[0]; c.GetAction() != editorialv1.RecordChange_VERIFIED || c.GetMeans() != editorialv1.VerificationMeans_BY_PROVIDER || c.GetCause() != made.GetName() || c.GetActor() != "nodes/marsala" {
		t.Errorf("the history says %v", c)
	}
	waiting := got(n.corrections.ListCorrections(n.anna(), &editorialv1.ListCorrectionsRequest{Parent: parent}))(t).GetCorrections()
	if len(waiting) != 1 || waiting[0].GetOrigin() != editorialv1.Correction_PROVIDER_LINK {
		t.Errorf("waiting %v", waiting)
	}
	for _, again := range []error{
		func() error { _, err := n.corrections.LookUpConfirmation(n.public(), look); return err }(),
		func() error { _, err := n.corrections.AnswerConfirmation(n.public(), answer); return err }(),
	} {
		refused(t, again, registryv1.ErrorReason_RESOURCE_NOT_FOUND)
	}
	got(n.corrections.CreateConfirmation(n.dora(), ask))(t)
	n.pass(31 * day)
	_, err = n.corrections.LookUpConfirmation(n.public(), &editorialv1.LookUpConfirmationRequest{Parent: parent, Code: code.FindStringSubmatch(n.messages()[1])[1]})
	refused(t, err, registryv1.ErrorReason_RESOURCE_NOT_FOUND)
	var states []editorialv1.Confirmation_State
	for _, c := range got(n.corrections.ListConfirmations(n.anna(), &editorialv1.ListConfirmationsRequest{Parent: parent}))(t).GetConfirmations() {
		states = append(states, c.GetState())
	}
	if !slices.Equal(states, []editorialv1.Confirmation_State{editorialv1.Confirmation_EXPIRED, editorialv1.Confirmation_ANSWERED}) {
		t.Errorf("states %v", states)
	}
	n.pass(31 * day)
	must(t, n.Node.Node.Tidy(t.Context()))
	if n.local("confirmations")+n.local("confirmation-codes") != 0 {
		t.Error("old links stay")
	}
	n.sound()
}

func TestReminders(t *testing.T) {
	n := start(t, func(s *registry.Settings) { s.Editorial.Reminders = true })
	must(t, n.Node.Node.Tidy(t.Context())) // the upkeep has nothing to look for within the hour
	overdue := func(o *registryv1.Organization) {
		o.Provenance = &registryv1.Provenance{VerifyByTime: timestamppb.New(n.Now().Add(-day))}
	}
	mailed := func(o *registryv1.Organization) {
		o.Contacts = []*registryv1.ContactPoint{phone("0923 1111"), {Kind: registryv1.ContactPoint_EMAIL, Value: "info@aias.example", Visibility: registryv1.Visibility_LOCAL}}
	}
	n.organization("aias", overdue, mailed)
	n.organization("senza-posta", overdue)
	n.organization("in-regola", mailed)
	tidy := func(wait time.Duration, want int) {
		t.Helper()
		n.pass(wait)
		must(t, n.Node.Node.Tidy(t.Context()))
		sent := 0
		for _, c := range got(n.corrections.ListConfirmations(n.anna(), &editorialv1.ListConfirmationsRequest{Parent: parent}))(t).GetConfirmations() {
			if c.GetCreateTime().AsTime().Equal(n.Now()) {
				sent++
			}
		}
		if sent != want {
			t.Fatalf("%d reminders were sent, want %d", sent, want)
		}
	}
	tidy(2*time.Hour, 1)
	if sent := n.messages()[0]; !strings.Contains(sent, "Ente aias") || !strings.Contains(sent, "info@aias.example") {
		t.Errorf("sent %q", sent)
	}
	tidy(2*time.Hour, 0)
	tidy(29*day, 0)
	tidy(2*day, 1)
	verified := got(n.organizations.GetOrganization(t.Context(), &registryv1.GetOrganizationRequest{Name: aias}))(t)
	got(n.records.VerifyRecord(t.Context(), &editorialv1.VerifyRecordRequest{Parent: parent, Record: aias, Means: editorialv1.VerificationMeans_BY_VISIT, Etag: verified.GetEtag()}))(t)
	tidy(31*day, 0)
	if !proto.Equal(verified.GetProvenance().GetVerifyByTime(), timestamppb.New(time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC))) {
		t.Errorf("a reminder changed the record: %v", verified)
	}
}

// Who proposed something can know what is kept, and have it erased.
func TestRightsOfWhoProposes(t *testing.T) {
	n := start(t)
	made := n.service("trasporto")
	one := got(n.propose(made.GetName(), change("title", "x")))(t)
	people := adminv1.NewPersonServiceClient(n.Conn(t))
	found := got(people.FindPersonalData(t.Context(), &adminv1.FindPersonalDataRequest{Query: "rosa@posta.example"}))(t)
	if len(found.GetFound()) != 1 || found.GetFound()[0].GetName() != one.GetName() || !slices.Equal(found.GetFound()[0].GetFields(), []string{"contact"}) {
		t.Fatalf("found %v", found)
	}
	got(people.ErasePersonalData(t.Context(), &adminv1.ErasePersonalDataRequest{Names: []string{one.GetName()}}))(t)
	_, err := n.corrections.GetCorrection(n.anna(), &editorialv1.GetCorrectionRequest{Name: one.GetName()})
	refused(t, err, registryv1.ErrorReason_RESOURCE_NOT_FOUND)
	if n.local("corrections")+n.local("editorial-due") != 0 {
		t.Error("something of it is left")
	}
}

// strangers connects to an editorial office over the node's data, as somebody
// whom nobody knows: the node's own server takes every call of a test for its
// own.
func (n *node) strangers(t *testing.T) editorialv1.CorrectionServiceClient {
	t.Helper()
	trust := n.Node.Node.Trust()
	office := editorial.New(editorial.Options{
		Store: n.Node.Node.Store(), Vault: trust.Vault, Rules: trust.Guard, Comune: "marsala",
		Records: records.New(records.Options{Comune: "marsala", Rules: trust.Guard, Policy: trust.Policy}),
	})
	asStranger := func(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
		stranger, err := trust.Policy.Authenticate(metadata.NewIncomingContext(ctx, metadata.Pairs("cid-reader", "PUBLIC")))
		if err != nil {
			return nil, err
		}
		stranger.Local = false
		return handle(policy.With(ctx, stranger), request)
	}
	g := grpcserver.New(grpcserver.Options{Insecure: true, Logger: federationtest.Quiet(), Unary: []grpc.UnaryServerInterceptor{asStranger}})
	office.Register(g.Registrar())
	listener := bufconn.Listen(1 << 16)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.Serve(ctx, listener) }()
	conn, err := grpcclient.Dial("strangers:1", grpcclient.Options{
		Insecure: true, Dialer: func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) },
	})
	must(t, err)
	t.Cleanup(func() {
		_ = conn.Close()
		stop()
		must(t, <-ended)
	})
	return editorialv1.NewCorrectionServiceClient(conn)
}

func TestFloodOfCorrectionsAndCodes(t *testing.T) {
	n := start(t)
	made := n.service("trasporto")
	strangers := n.strangers(t)
	call := &editorialv1.CreateCorrectionRequest{Parent: parent, Correction: &editorialv1.Correction{
		Record: made.GetName(), Changes: []*editorialv1.Correction_Change{change("title", "x")},
	}}
	wrong := proto.CloneOf(call)
	wrong.Correction.Changes[0].Field = "none"
	look := func() error {
		_, err := strangers.LookUpConfirmation(t.Context(), &editorialv1.LookUpConfirmationRequest{Parent: parent, Code: "none"})
		return err
	}
	for range 50 {
		_, err := strangers.CreateCorrection(t.Context(), wrong)
		refused(t, err, registryv1.ErrorReason_INVALID_FIELDS) // does not count
	}
	for range 30 {
		if one := got(strangers.CreateCorrection(t.Context(), call))(t); one.GetOrigin() != editorialv1.Correction_PUBLIC_PERSON {
			t.Fatalf("proposed %v", one)
		}
	}
	_, err := strangers.CreateCorrection(t.Context(), call)
	refused(t, err, registryv1.ErrorReason_TOO_MANY_REQUESTS)
	for range 60 {
		refused(t, look(), registryv1.ErrorReason_RESOURCE_NOT_FOUND)
	}
	refused(t, look(), registryv1.ErrorReason_TOO_MANY_REQUESTS)
	n.pass(time.Hour)
	got(strangers.CreateCorrection(t.Context(), call))(t)
	refused(t, look(), registryv1.ErrorReason_RESOURCE_NOT_FOUND)
	if n.local("corrections") != 31 {
		t.Errorf("%d corrections are kept", n.local("corrections"))
	}
}
