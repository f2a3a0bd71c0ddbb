package editing_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/gateway/internal/editing/fields"
	"cidsistem.example/gateway/internal/portaltest"
	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/annotationsv1"
	"cidsistem.example/proto/gen/editorialv1"
	"cidsistem.example/proto/gen/registryv1"
)

// office keeps one draft, and says no when it is told to.
type office struct {
	editorialv1.UnimplementedDraftServiceServer
	editorialv1.UnimplementedRecordServiceServer
	mu      sync.Mutex
	draft   *editorialv1.Draft
	saves   int
	refuse  error
	rebased *editorialv1.RebaseDraftRequest
}

func (o *office) register(s *grpc.Server) {
	editorialv1.RegisterDraftServiceServer(s, o)
	editorialv1.RegisterRecordServiceServer(s, o)
}

func (o *office) GetDraft(_ context.Context, r *editorialv1.GetDraftRequest) (*editorialv1.Draft, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if r.GetName() != o.draft.GetName() {
		return nil, apierror.NotFound(r.GetName())
	}
	return proto.CloneOf(o.draft), nil
}

func (o *office) UpdateDraft(_ context.Context, r *editorialv1.UpdateDraftRequest) (*editorialv1.Draft, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.refuse != nil {
		return nil, o.refuse
	}
	if etag := r.GetDraft().GetEtag(); etag != "" && etag != o.draft.GetEtag() {
		return nil, apierror.New(registryv1.ErrorReason_ETAG_MISMATCH, "the draft has changed")
	}
	o.saves++
	o.draft.Content, o.draft.Note, o.draft.Etag = r.GetDraft().GetContent(), r.GetDraft().GetNote(), fmt.Sprint("e", o.saves)
	return proto.CloneOf(o.draft), nil
}

func (o *office) SubmitDraft(context.Context, *editorialv1.SubmitDraftRequest) (*editorialv1.Draft, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.draft.State = editorialv1.Draft_IN_REVIEW
	return proto.CloneOf(o.draft), nil
}

func (o *office) RebaseDraft(_ context.Context, r *editorialv1.RebaseDraftRequest) (*editorialv1.Draft, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.rebased = r
	return proto.CloneOf(o.draft), nil
}

// says is the content of the draft now.
func (o *office) says(t *testing.T) *registryv1.Service {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	return opened(t, o.draft.GetContent())
}

func opened(t *testing.T, sealed *anypb.Any) *registryv1.Service {
	t.Helper()
	s := &registryv1.Service{}
	if err := sealed.UnmarshalTo(s); err != nil {
		t.Fatal(err)
	}
	return s
}

func sealed(t *testing.T, m proto.Message) *anypb.Any {
	t.Helper()
	inside, err := anypb.New(m)
	if err != nil {
		t.Fatal(err)
	}
	return inside
}

const page = "/lavoro/bozze/d1"

func service() *registryv1.Service {
	return &registryv1.Service{
		Name: "comuni/marsala/services/pulmino", Etag: `"r1"`, Title: portaltest.Text("Pulmino"), Summary: portaltest.Text("Un pulmino."),
		Status:                  &registryv1.Status{State: registryv1.Status_ACTIVE},
		ResponsibleOrganization: "comuni/marsala/organizations/ufficio",
		Contacts: []*registryv1.ContactPoint{
			{Kind: registryv1.ContactPoint_PHONE, Value: "0923 1"}, {Kind: registryv1.ContactPoint_EMAIL, Value: "uno@example.org"},
		},
		UpdateTime: portaltest.Changed,
	}
}

func start(t *testing.T, change func(*registryv1.Service)) (*portaltest.Portal, *office) {
	t.Helper()
	record := service()
	content := proto.CloneOf(record)
	if change != nil {
		change(content)
	}
	o := &office{draft: &editorialv1.Draft{
		Name: "comuni/marsala/drafts/d1", Record: record.GetName(), Content: sealed(t, content), Base: sealed(t, record), BaseEtag: `"r1"`,
		State: editorialv1.Draft_DRAFT, Title: "Pulmino", Etag: "e0", UpdateTime: timestamppb.Now(),
		Problems: []*editorialv1.Problem{{Field: "addressedTo", Description: "manca", Missing: true}},
	}}
	p := portaltest.Start(t, []proto.Message{
		portaltest.Marsala(), record,
		&registryv1.Organization{Name: "comuni/marsala/organizations/ufficio", Title: portaltest.Text("Ufficio disabili")},
		&registryv1.Organization{Name: "comuni/marsala/organizations/altro", Title: portaltest.Text("Altro ufficio")},
	}, o.register, portaltest.Person(annotationsv1.Role_EDITOR))
	return p.SignedIn(), o
}

// form is the form of the draft as a browser has it.
func form(t *testing.T, answer portaltest.Answer) url.Values {
	t.Helper()
	for number := range 8 {
		if action, values := answer.Form(number); action == page {
			return values
		}
	}
	t.Fatalf("no form of the draft: %d %s", answer.Status, answer.Text())
	return nil
}

func TestTheFormSavesWhatWasTypedAndNothingElse(t *testing.T) {
	p, o := start(t, nil)
	answer := p.Get(page)
	if !strings.Contains(answer.Text(), "A chi è rivolto: manca") {
		t.Error("what is missing is not said")
	}
	values := form(t, answer)
	values.Set("title.it", "Il pulmino <b>del</b> comune")
	values.Set("_fai", "salva")
	if answer = p.Post(page, values.Encode()); answer.Status != http.StatusOK || !strings.Contains(answer.Text(), "Salvata.") {
		t.Fatalf("%d %s", answer.Status, answer.Text())
	}
	if strings.Contains(answer.Body, "<b>del</b>") {
		t.Error("what was typed is markup")
	}
	want := service()
	want.Title = portaltest.Text("Il pulmino <b>del</b> comune")
	if got := o.says(t); !proto.Equal(want, got) {
		t.Errorf("the draft says\n%v, want\n%v", got, want)
	}
}

func TestRowsMoveWithoutScripts(t *testing.T) {
	p, o := start(t, nil)
	values := form(t, p.Get(page))
	for _, button := range []string{"up contacts[1]", "add contacts"} {
		values.Set("_riga", button)
		values = form(t, p.Post(page, values.Encode()))
		values.Del("_riga")
	}
	values.Set("contacts[2].kind", "MOBILE")
	values.Set("contacts[2].value", "333")
	values.Set("_riga", "drop contacts[1]")
	values = form(t, p.Post(page, values.Encode()))
	values.Del("_riga")
	values.Set("_fai", "salva")
	p.Post(page, values.Encode())
	var said []string
	for _, c := range o.says(t).GetContacts() {
		said = append(said, c.GetKind().String()+" "+c.GetValue())
	}
	if want := []string{"EMAIL uno@example.org", "MOBILE 333"}; !slices.Equal(said, want) {
		t.Errorf("contacts %v, want %v", said, want)
	}
}

func TestARecordIsChosenByItsTitle(t *testing.T) {
	p, o := start(t, nil)
	values := form(t, p.Get(page))
	if got := values.Get("responsibleOrganization"); got != "Ufficio disabili" {
		t.Fatalf("the form shows %q", got)
	}
	values.Set("responsibleOrganization", "altro ufficio")
	values.Set("_cerca", "responsibleOrganization")
	answer := p.Post(page, values.Encode())
	if !strings.Contains(answer.Body, `value="responsibleOrganization comuni/marsala/organizations/altro"`) {
		t.Error("the search does not offer it")
	}
	values.Del("_cerca")
	values.Set("_fai", "salva")
	p.Post(page, values.Encode())
	if got := o.says(t).GetResponsibleOrganization(); got != "comuni/marsala/organizations/altro" {
		t.Errorf("the draft names %q", got)
	}
	values = form(t, p.Get(page))
	values.Set("responsibleOrganization", "Nessuno")
	values.Set("_fai", "salva")
	if answer = p.Post(page, values.Encode()); answer.Status != http.StatusBadRequest || form(t, answer).Get("responsibleOrganization") != "Nessuno" {
		t.Errorf("%d: a title of nothing: %s", answer.Status, answer.Text())
	}
}

func TestNothingTypedIsLost(t *testing.T) {
	p, o := start(t, nil)
	values := form(t, p.Get(page))
	values.Set("summary.it", "Riga uno\r\nriga <due>")
	values.Set("maximumResponseDays", "trenta")
	values.Set("_fai", "salva")
	for name, refuse := range map[string]error{"a number that is none": nil, "a node that is away": status.Error(codes.Unavailable, "away")} {
		t.Run(name, func(t *testing.T) {
			o.refuse = refuse
			values.Set("_etag", o.draft.GetEtag())
			answer := p.Post(page, values.Encode())
			again := form(t, answer)
			if answer.Status < 400 || again.Get("maximumResponseDays") != "trenta" || !strings.Contains(again.Get("summary.it"), "riga <due>") {
				t.Errorf("%d, %q, %q", answer.Status, again.Get("maximumResponseDays"), again.Get("summary.it"))
			}
		})
	}
}

func TestTwoPeopleAtOneDraft(t *testing.T) {
	p, o := start(t, nil)
	values := form(t, p.Get(page))
	other := service()
	other.Title, other.Summary = portaltest.Text("Titolo di un'altra persona"), portaltest.Text("Testo di un'altra persona")
	o.draft.Content, o.draft.Etag = sealed(t, other), "e9"
	values.Set("title.it", "Titolo mio")
	values.Set("summary.it", "Testo mio")
	values.Set("_fai", "salva")
	answer := p.Post(page, values.Encode())
	for _, text := range []string{"Titolo mio", "Titolo di un'altra persona", "Testo mio", "Testo di un'altra persona"} {
		if !strings.Contains(answer.Text(), text) {
			t.Errorf("the page does not show %q", text)
		}
	}
	values = form(t, answer)
	values.Set("_prendi.summary", "theirs")
	values.Set("_fai", "salva")
	p.Post(page, values.Encode())
	if got := o.says(t); got.GetTitle().GetIt() != "Titolo mio" || got.GetSummary().GetIt() != "Testo di un'altra persona" {
		t.Errorf("the draft says %v", got)
	}
}

func TestADraftIsPutUponTheRecordOfToday(t *testing.T) {
	p, o := start(t, func(s *registryv1.Service) {
		s.Title, s.Summary = portaltest.Text("Pulmino nuovo"), portaltest.Text("Testo della bozza")
	})
	now := service()
	now.Title, now.Summary, now.HowTo = portaltest.Text("Pulmino di oggi"), portaltest.Text("Testo di oggi"), portaltest.Text("Chiama.")
	now.Etag = `"r2"`
	base := service()
	o.draft.Base = sealed(t, base)
	p.Registry.Put(now)
	answer := p.Get(page + "/confronto")
	action, values := "", url.Values(nil)
	for number := range 8 {
		if action, values = answer.Form(number); action == page+"/confronto" {
			break
		}
	}
	values.Set("_prendi.summary", "theirs")
	if answer = p.Post(page+"/confronto", values.Encode()); answer.Status != http.StatusSeeOther {
		t.Fatalf("%d %s", answer.Status, answer.Text())
	}
	got := opened(t, o.rebased.GetContent())
	if o.rebased.GetRecordEtag() != `"r2"` || got.GetTitle().GetIt() != "Pulmino nuovo" || got.GetSummary().GetIt() != "Testo di oggi" || got.GetHowTo().GetIt() != "Chiama." {
		t.Errorf("put upon %s: %v", o.rebased.GetRecordEtag(), got)
	}
}

func TestTranslations(t *testing.T) {
	p, o := start(t, nil)
	values := url.Values{"_etag": {"e0"}, "title": {"La navette"}}
	if answer := p.Post(page+"/traduzioni?lingua=fr", values.Encode()); answer.Status != http.StatusOK {
		t.Fatalf("%d %s", answer.Status, answer.Text())
	}
	if got := o.says(t).GetTitle().GetTranslations()["fr"]; got.GetText() != "La navette" || got.GetSourceDigest() == "" || got.GetReviewTime() == nil {
		t.Fatalf("translation %v", got)
	}
	values = form(t, p.Get(page))
	values.Set("title.it", "Il pulmino")
	values.Set("_fai", "salva")
	p.Post(page, values.Encode())
	if answer := p.Get(page + "/traduzioni?lingua=fr"); !strings.Contains(answer.Text(), "L'italiano è cambiato") {
		t.Error("an old translation is not marked")
	}
	p.Post(page+"/traduzioni?lingua=fr", url.Values{"title": {"La navette"}, "_vale.title": {"1"}}.Encode())
	if answer := p.Get(page + "/traduzioni?lingua=fr"); strings.Contains(answer.Text(), "L'italiano è cambiato") {
		t.Error("a translation that still fits is marked")
	}
}

func TestThePreviewIsThePageOfThePublic(t *testing.T) {
	p, _ := start(t, func(s *registryv1.Service) { portaltest.Injected(s).Title = portaltest.Text("Solo nella bozza") })
	if answer := p.Get(page + "/anteprima"); answer.Status != http.StatusOK || !strings.Contains(answer.Body, "Solo nella bozza") ||
		!strings.Contains(answer.Body, "non è pubblicata") || answer.Scripts() != 0 {
		t.Errorf("%d %s", answer.Status, answer.Text())
	}
	if answer := p.Get("/servizi/marsala/pulmino"); strings.Contains(answer.Body, "Solo nella bozza") {
		t.Error("the public reads a draft")
	}
}

// Texts with markup are texts, in the form, in the review and on the record's page.
func TestTextsAreShownAsText(t *testing.T) {
	for _, path := range []string{page, page + "/revisione", page + "/traduzioni", page + "/confronto"} {
		t.Run(path, func(t *testing.T) {
			p, _ := start(t, func(s *registryv1.Service) { portaltest.Injected(s) })
			p.Registry.Put(portaltest.Injected(&registryv1.Service{Name: service().GetName(), Etag: `"r2"`}))
			answer := p.Get(path)
			if answer.Status != http.StatusOK || !strings.Contains(answer.Body, "&lt;script&gt;") || answer.Scripts() != 0 {
				t.Errorf("%d, %d scripts", answer.Status, answer.Scripts())
			}
		})
	}
}

// Every kind has a form, and what nobody touched in it is saved as it was.
func TestEveryKindHasAForm(t *testing.T) {
	for _, kind := range catalog.Kinds() {
		t.Run(kind.Collection, func(t *testing.T) {
			p, o := start(t, nil)
			record := portaltest.Injected(kind.New())
			o.draft.Content = sealed(t, record)
			values := form(t, p.Get(page))
			values.Set("_fai", "salva")
			if answer := p.Post(page, values.Encode()); answer.Status != http.StatusOK {
				t.Fatalf("%d %s", answer.Status, answer.Text())
			}
			want := proto.Clone(record) // but for parts with nothing in them
			fields.Read(fields.Write(record), want, time.Now())
			saved, err := o.draft.GetContent().UnmarshalNew()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, saved, protocmp.Transform()); diff != "" {
				t.Errorf("saved (-as it was +now):\n%s", diff)
			}
		})
	}
}

// archive takes files, and refuses what is not sent in order.
type archive struct {
	registryv1.UnimplementedFileServiceServer
	got []byte
}

func (a *archive) UploadFile(stream registryv1.FileService_UploadFileServer) error {
	first, err := stream.Recv()
	if err != nil || first.GetHeader().GetParent() != "comuni/marsala" {
		return apierror.Invalid("header", "is not there")
	}
	for {
		piece, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return stream.SendAndClose(&registryv1.File{Sha256: strings.Repeat("a", 64), SizeBytes: int64(len(a.got))})
		}
		if err != nil {
			return err
		}
		a.got = append(a.got, piece.GetData()...)
	}
}

func TestAFileComesIntoADocument(t *testing.T) {
	kept := &archive{}
	o := &office{draft: &editorialv1.Draft{
		Name: "comuni/marsala/drafts/d1", Record: "comuni/marsala/documents/carta", State: editorialv1.Draft_DRAFT, Etag: "e0",
		Content: sealed(t, &registryv1.Document{Name: "comuni/marsala/documents/carta", Title: portaltest.Text("Carta")}),
	}}
	p := portaltest.Start(t, []proto.Message{portaltest.Marsala()}, o.register, portaltest.Person(annotationsv1.Role_EDITOR), func(s *grpc.Server) {
		registryv1.RegisterFileServiceServer(s, kept)
	}).SignedIn()
	content := strings.Repeat("carta dei servizi ", 40_000)
	var body bytes.Buffer
	parts := multipart.NewWriter(&body)
	for name, values := range form(t, p.Get(page)) {
		if name == "_file" {
			continue
		}
		for _, value := range values {
			if err := parts.WriteField(name, value); err != nil {
				t.Fatal(err)
			}
		}
	}
	part, err := parts.CreateFormFile("_file", "Carta.pdf")
	if err == nil {
		_, err = part.Write([]byte(content))
	}
	if err = errors.Join(err, parts.Close()); err != nil {
		t.Fatal(err)
	}
	if answer := p.PostAs(page, parts.FormDataContentType(), body.Bytes()); answer.Status != http.StatusOK {
		t.Fatalf("%d %s", answer.Status, answer.Text())
	}
	saved, err := o.draft.GetContent().UnmarshalNew()
	want := []*registryv1.FileReference{{Sha256: strings.Repeat("a", 64), FileName: "Carta.pdf", MediaType: "application/pdf", SizeBytes: int64(len(content))}}
	if diff := cmp.Diff(want, saved.(*registryv1.Document).GetFiles(), protocmp.Transform()); err != nil || diff != "" {
		t.Errorf("files (-want +got):\n%s%v", diff, err)
	}
	if string(kept.got) != content {
		t.Errorf("%d bytes are kept of %d", len(kept.got), len(content))
	}
}
