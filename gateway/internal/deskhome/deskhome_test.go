package deskhome_test

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/gateway/internal/portaltest"
	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/adminv1"
	"cidsistem.example/proto/gen/annotationsv1"
	"cidsistem.example/proto/gen/deskv1"
	"cidsistem.example/proto/gen/editorialv1"
	"cidsistem.example/proto/gen/federationv1"
	"cidsistem.example/proto/gen/registryv1"
)

const (
	editor, publisher, planner = annotationsv1.Role_EDITOR, annotationsv1.Role_PUBLISHER, annotationsv1.Role_PLANNER
	desk, administrator        = annotationsv1.Role_SUPPORT_DESK, annotationsv1.Role_NODE_ADMINISTRATOR
)

// A node answers as that of a comune does; it has no imports at all.
type node struct {
	editorialv1.UnimplementedRecordServiceServer
	editorialv1.UnimplementedDraftServiceServer
	editorialv1.UnimplementedCorrectionServiceServer
	editorialv1.UnimplementedDuplicateServiceServer
	deskv1.UnimplementedRequestServiceServer
	adminv1.UnimplementedMessageServiceServer
	adminv1.UnimplementedBackupServiceServer

	mu       sync.Mutex
	asked    []string
	verified []*editorialv1.VerifyRecordRequest
	taken    []string
	fail     error
}

func (n *node) register(s *grpc.Server) {
	editorialv1.RegisterRecordServiceServer(s, n)
	editorialv1.RegisterDraftServiceServer(s, n)
	editorialv1.RegisterCorrectionServiceServer(s, n)
	editorialv1.RegisterDuplicateServiceServer(s, n)
	deskv1.RegisterRequestServiceServer(s, n)
	adminv1.RegisterMessageServiceServer(s, n)
	adminv1.RegisterBackupServiceServer(s, n)
}

func (n *node) note(what string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asked = append(n.asked, what)
}

func ago(days int) *timestamppb.Timestamp {
	return timestamppb.New(time.Now().In(site.Rome).AddDate(0, 0, -days))
}

func (n *node) ListDueRecords(context.Context, *editorialv1.ListDueRecordsRequest) (*editorialv1.ListDueRecordsResponse, error) {
	n.note("due")
	return &editorialv1.ListDueRecordsResponse{TotalSize: 81, Records: []*editorialv1.ListDueRecordsResponse_DueRecord{
		{Record: "comuni/marsala/services/trasporto", Title: portaltest.Injection + "Trasporto", Etag: "e7", DueTime: ago(12)},
	}}, nil
}

func (n *node) VerifyRecord(_ context.Context, request *editorialv1.VerifyRecordRequest) (*editorialv1.RecordVersion, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.fail != nil {
		return nil, n.fail
	}
	n.verified = append(n.verified, request)
	return &editorialv1.RecordVersion{}, nil
}

func (n *node) ListDrafts(_ context.Context, request *editorialv1.ListDraftsRequest) (*editorialv1.ListDraftsResponse, error) {
	n.note("drafts " + request.GetState().String())
	switch request.GetState() {
	case editorialv1.Draft_RETURNED:
		return &editorialv1.ListDraftsResponse{Drafts: []*editorialv1.Draft{{Name: "comuni/marsala/drafts/d1", Title: "Mensa", UpdateTime: ago(3)}}}, nil
	case editorialv1.Draft_IN_REVIEW:
		return &editorialv1.ListDraftsResponse{Drafts: []*editorialv1.Draft{
			{Name: "comuni/marsala/drafts/d3", Title: "Da poco", UpdateTime: ago(1)}, {Name: "comuni/marsala/drafts/d2", Title: "Da tanto", UpdateTime: ago(90)},
		}}, nil
	}
	return &editorialv1.ListDraftsResponse{}, nil
}

func (n *node) ListCorrections(context.Context, *editorialv1.ListCorrectionsRequest) (*editorialv1.ListCorrectionsResponse, error) {
	return nil, status.Error(codes.Unavailable, "away")
}

func (n *node) ListDuplicates(context.Context, *editorialv1.ListDuplicatesRequest) (*editorialv1.ListDuplicatesResponse, error) {
	return &editorialv1.ListDuplicatesResponse{}, nil
}

func date(t time.Time) *registryv1.PartialDate {
	t = t.In(site.Rome)
	return &registryv1.PartialDate{Year: int32(t.Year()), Month: int32(t.Month()), Day: int32(t.Day())}
}

func (n *node) ListRequests(_ context.Context, request *deskv1.ListRequestsRequest) (*deskv1.ListRequestsResponse, error) {
	n.note("requests")
	late := &deskv1.Request{Name: "comuni/marsala/requests/r1", Excerpt: "In ritardo", Overdue: true, Assignee: "nodes/marsala/accounts/altri", DueDate: date(time.Now().AddDate(0, 0, -5))}
	soon := &deskv1.Request{Name: "comuni/marsala/requests/r2", Excerpt: "Presto", DueDate: date(time.Now().AddDate(0, 0, 4))}
	sooner := &deskv1.Request{Name: "comuni/marsala/requests/r3", Excerpt: "Prima", DueDate: date(time.Now().AddDate(0, 0, 2)), Assignee: "nodes/marsala/accounts/redazione"}
	switch {
	case request.GetOverdue():
		return &deskv1.ListRequestsResponse{Requests: []*deskv1.Request{late}}, nil
	case request.GetState() == deskv1.Request_RECEIVED:
		return &deskv1.ListRequestsResponse{Requests: []*deskv1.Request{soon}}, nil
	}
	return &deskv1.ListRequestsResponse{Requests: []*deskv1.Request{late, sooner}}, nil
}

func (n *node) AssignRequest(_ context.Context, request *deskv1.AssignRequestRequest) (*deskv1.Request, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.taken = append(n.taken, request.GetName())
	return &deskv1.Request{}, nil
}

func (n *node) ListMessages(_ context.Context, request *adminv1.ListMessagesRequest) (*adminv1.ListMessagesResponse, error) {
	n.note("messages")
	if request.GetState() != adminv1.OutboundMessage_UNKNOWN {
		return &adminv1.ListMessagesResponse{}, nil
	}
	return &adminv1.ListMessagesResponse{Messages: []*adminv1.OutboundMessage{{Name: "nodes/marsala/messages/m1", RecipientHint: "a…@example.org", CreateTime: ago(2)}}}, nil
}

func (n *node) ListBackups(context.Context, *adminv1.ListBackupsRequest) (*adminv1.ListBackupsResponse, error) {
	return &adminv1.ListBackupsResponse{Backups: []*adminv1.Backup{
		{Name: "nodes/marsala/backups/b2", CreateTime: ago(1), Problems: []string{"damaged"}}, {Name: "nodes/marsala/backups/b1", CreateTime: ago(8)},
	}}, nil
}

func start(t *testing.T, records []proto.Message, roles ...annotationsv1.Role) (*portaltest.Portal, *node) {
	t.Helper()
	n := &node{}
	p := portaltest.Start(t, append(records, portaltest.Marsala()), portaltest.Person(roles...), n.register)
	return p.SignedIn(), n
}

// says checks that a text has some parts, in that order.
func says(t *testing.T, text string, parts ...string) {
	t.Helper()
	rest := text
	for _, part := range parts {
		_, after, found := strings.Cut(rest, part)
		if !found {
			t.Errorf("%q is missing, or not in its place, in: %s", part, text)
			return
		}
		rest = after
	}
}

func TestWhatWaits(t *testing.T) {
	year := int32(time.Now().Year())
	plans := []proto.Message{
		&registryv1.Plan{Name: "comuni/marsala/plans/vecchio", Title: portaltest.Text("Piano finito"), State: registryv1.Plan_ENDED, LastYear: 2010},
		&registryv1.Plan{Name: "comuni/marsala/plans/corrente", Title: portaltest.Text("Piano in corso"), State: registryv1.Plan_IN_PROGRESS, LastYear: year},
		&registryv1.Action{
			Name: "comuni/marsala/plans/corrente/actions/a1", Title: portaltest.Text("Azione in ritardo"), State: registryv1.Action_ACTIVE_ACTION,
			PlannedPeriod: &registryv1.Period{End: date(time.Now().AddDate(0, 0, -11))},
		},
	}
	for _, test := range []struct {
		name       string
		roles      []annotationsv1.Role
		says, hush []string
	}{
		{
			"editor",
			[]annotationsv1.Role{editor},
			[]string{"Le tue bozze", "una", "è tornata indietro", "Mensa", "tornata indietro da 3 giorni", "Schede da verificare", "81", "Trasporto", "scaduta da 12 giorni", "Servizio"},
			[]string{"Da tanto", "Richieste", "Messaggi"},
		},
		{"a part that is away", []annotationsv1.Role{editor}, []string{"Mensa", "Correzioni proposte", "Il nodo non ha risposto in tempo"}, nil},
		{"a part that is not there", []annotationsv1.Role{editor}, []string{"Mensa", "Qui non si fa", "apri il portale del tuo comune", "Importazioni da finire"}, nil},
		{"a part with nothing", []annotationsv1.Role{editor}, []string{"In pari", "Forse doppioni"}, nil},
		{"publisher: what waits longest first", []annotationsv1.Role{publisher}, []string{"Bozze da rivedere", "2", "Da tanto", "da 3 mesi", "Da poco", "da ieri"}, nil},
		{
			"desk: what is late first, then what is due first",
			[]annotationsv1.Role{desk},
			[]string{"Richieste a cui rispondere", "3", "Una è in ritardo", "Una è tua", "Una non è di nessuno", "In ritardo", "scaduta da 4 giorni", "Prima", "entro 2 giorni", "Presto", "entro 4 giorni", "La prendo io"},
			[]string{"bozze", "Bozze"},
		},
		{"planner", []annotationsv1.Role{planner}, []string{"Piani e azioni in ritardo", "una", "Azione in ritardo", "in ritardo da 10 giorni"}, []string{"Piano finito", "Piano in corso"}},
		{
			"administrator",
			[]annotationsv1.Role{administrator},
			[]string{"Messaggi non partiti", "a…@example.org", "non si sa se è partito", "Copie di sicurezza", "8 giorni fa", "è vecchia", "Nodi che mancano", "pantelleria", "non risponde"},
			[]string{"bozze"},
		},
		{"nobody in particular", []annotationsv1.Role{annotationsv1.Role_READER}, []string{"non c'è niente da fare"}, []string{"In pari"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, n := start(t, plans, test.roles...)
			p.Registry.SetNodes(&federationv1.Node{Name: "nodes/pantelleria", State: federationv1.Node_UNREACHABLE}, &federationv1.Node{Name: "nodes/marsala", State: federationv1.Node_IN_SYNC})
			answer := p.Get("/lavoro/")
			if answer.Status != http.StatusOK {
				t.Fatalf("status %d: %s", answer.Status, answer.Text())
			}
			says(t, answer.Text(), test.says...)
			for _, part := range test.hush {
				if strings.Contains(answer.Text(), part) {
					t.Errorf("%q is not for these roles: %s", part, answer.Text())
				}
			}
			if answer.Scripts() != 0 {
				t.Error("the page has a script of its own")
			}
			if !strings.Contains(answer.Header.Get("Server-Timing"), "upstream") {
				t.Error("the page does not say what took how long")
			}
			if slices.Equal(test.roles, []annotationsv1.Role{desk}) && !slices.Equal(slices.Compact(n.asked), []string{"requests"}) {
				t.Errorf("the node was asked for %v", n.asked)
			}
		})
	}
}

func TestOneTap(t *testing.T) {
	p, n := start(t, nil, editor, desk)
	confirm := url.Values{"scheda": {"comuni/marsala/services/trasporto"}, "versione": {"e7"}, "come": {"by_phone"}, "azione": {"conferma"}}
	answer := p.Post("/lavoro/", confirm.Encode())
	if answer.Status != http.StatusSeeOther || answer.Header.Get("Location") != "/lavoro/?fatto=home_conferma" {
		t.Fatalf("confirmed: %d to %s", answer.Status, answer.Header.Get("Location"))
	}
	want := &editorialv1.VerifyRecordRequest{Parent: "comuni/marsala", Record: "comuni/marsala/services/trasporto", Etag: "e7", Means: editorialv1.VerificationMeans_BY_PHONE}
	if len(n.verified) != 1 || !proto.Equal(n.verified[0], want) {
		t.Errorf("the node was asked %v, want %v", n.verified, want)
	}
	says(t, p.Get("/lavoro/?fatto=home_conferma").Text(), "La scheda è verificata")

	n.fail = apierror.New(registryv1.ErrorReason_ETAG_MISMATCH, "it has changed")
	refused := p.Post("/lavoro/", confirm.Encode())
	if refused.Status < 400 || refused.Status >= 500 || !strings.Contains(refused.Body, `role="alert"`) {
		t.Errorf("refused: %d: %s", refused.Status, refused.Text())
	}
	says(t, refused.Text(), "Schede da verificare", "Trasporto")

	take := p.Post("/lavoro/", url.Values{"nome": {"comuni/marsala/requests/r2"}, "azione": {"prendi"}}.Encode())
	if take.Status != http.StatusSeeOther || !slices.Equal(n.taken, []string{"comuni/marsala/requests/r2"}) {
		t.Errorf("taken: %d, %v", take.Status, n.taken)
	}
}

func TestTheButtonOfTheListConfirmsWhatItShows(t *testing.T) {
	p, n := start(t, nil, editor)
	action, form := p.Get("/lavoro/").Form(1) // after that of signing out
	form.Set("azione", "conferma")
	if answer := p.Post(action, form.Encode()); answer.Status != http.StatusSeeOther {
		t.Fatalf("status %d: %s", answer.Status, answer.Text())
	}
	if len(n.verified) != 1 || n.verified[0].GetEtag() != "e7" || n.verified[0].GetMeans() == 0 {
		t.Errorf("the node was asked %v", n.verified)
	}
}
