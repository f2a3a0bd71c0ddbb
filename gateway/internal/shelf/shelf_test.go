package shelf_test

import (
	"context"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/gateway/internal/portaltest"
	"cidsistem.example/gateway/internal/site"
	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/annotationsv1"
	"cidsistem.example/proto/gen/editorialv1"
	"cidsistem.example/proto/gen/registryv1"
)

const (
	editor, publisher, reader = annotationsv1.Role_EDITOR, annotationsv1.Role_PUBLISHER, annotationsv1.Role_READER
	transport                 = "comuni/marsala/services/trasporto"
	canteen                   = "comuni/marsala/services/mensa"
)

// An office changes records as a comune's node does: none of those that it was told to refuse.
type office struct {
	editorialv1.UnimplementedRecordServiceServer
	mu      sync.Mutex
	asked   []*editorialv1.ChangeRecordsRequest
	undone  []string
	acts    []string
	refused string
	fail    error
}

func (o *office) ChangeRecords(_ context.Context, request *editorialv1.ChangeRecordsRequest) (*editorialv1.ChangeRecordsResponse, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.fail != nil {
		return nil, o.fail
	}
	o.asked = append(o.asked, request)
	answer, failed := &editorialv1.ChangeRecordsResponse{}, false
	values, err := request.GetValues().UnmarshalNew()
	if err != nil {
		return nil, err
	}
	after, err := protojson.Marshal(values)
	if err != nil {
		return nil, err
	}
	for _, name := range request.GetRecords() {
		result := &editorialv1.ChangeRecordsResponse_Result{Record: name, Title: "Scheda " + name[strings.LastIndexByte(name, '/')+1:], Changed: true, Before: `{"status":{"state":"ACTIVE"}}`, After: string(after)}
		if name == o.refused {
			result.Changed, result.Problem, failed = false, "è di un altro ente", true
		}
		answer.Results = append(answer.Results, result)
	}
	if !request.GetValidateOnly() && !failed {
		answer.Change = "c1"
	}
	return answer, nil
}

func (o *office) UndoChange(_ context.Context, request *editorialv1.UndoChangeRequest) (*editorialv1.ChangeRecordsResponse, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if slices.Contains(o.undone, request.GetChange()) {
		return nil, apierror.New(registryv1.ErrorReason_RESOURCE_NOT_FOUND, "there is no such change")
	}
	o.undone = append(o.undone, request.GetChange())
	return &editorialv1.ChangeRecordsResponse{Results: []*editorialv1.ChangeRecordsResponse_Result{
		{Record: transport, Title: "Trasporto", Changed: true}, {Record: canteen, Title: "Mensa", Problem: "la scheda è cambiata dopo"},
	}}, nil
}

func (o *office) SuspendRecord(_ context.Context, request *editorialv1.SuspendRecordRequest) (*editorialv1.RecordVersion, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.fail != nil {
		return nil, o.fail
	}
	o.acts = append(o.acts, "suspend "+request.GetRecord())
	return &editorialv1.RecordVersion{}, nil
}

func (o *office) ResumeRecord(_ context.Context, request *editorialv1.ResumeRecordRequest) (*editorialv1.RecordVersion, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.acts = append(o.acts, "resume "+request.GetRecord())
	return &editorialv1.RecordVersion{}, nil
}

func records() []proto.Message {
	now := time.Now()
	return []proto.Message{
		portaltest.Marsala(),
		&registryv1.Service{
			Name: transport, Title: portaltest.Text(portaltest.Injection + "Trasporto"), Status: &registryv1.Status{State: registryv1.Status_ACTIVE}, Visibility: registryv1.Visibility_PUBLIC,
			Provenance: &registryv1.Provenance{VerifyTime: timestamppb.New(now.AddDate(-1, 0, 0)), VerifyByTime: timestamppb.New(now.AddDate(0, 0, -12))},
		},
		&registryv1.Service{
			Name: canteen, Title: portaltest.Text("Mensa"), Status: &registryv1.Status{State: registryv1.Status_CLOSED}, Visibility: registryv1.Visibility_LOCAL,
			Provenance: &registryv1.Provenance{VerifyByTime: timestamppb.New(now.AddDate(1, 0, 0))},
		},
		&registryv1.Service{
			Name: "comuni/marsala/services/via", Title: portaltest.Text("Servizio tolto"), Status: &registryv1.Status{State: registryv1.Status_ACTIVE}, DeleteTime: timestamppb.New(now),
		},
		&registryv1.Organization{Name: "comuni/marsala/organizations/anffas", Title: portaltest.Text("Anffas")},
		&registryv1.Service{Name: "comuni/mazara/services/altro", Title: portaltest.Text("Di un altro comune")},
	}
}

func start(t *testing.T, all []proto.Message, roles ...annotationsv1.Role) (*portaltest.Portal, *office) {
	t.Helper()
	o := &office{}
	p := portaltest.Start(t, all, portaltest.Person(roles...), func(s *grpc.Server) { editorialv1.RegisterRecordServiceServer(s, o) })
	return p.SignedIn(), o
}

func TestLists(t *testing.T) {
	for _, test := range []struct {
		name, query string
		roles       []annotationsv1.Role
		status      int
		has, lacks  []string
	}{
		{"services first", "", []annotationsv1.Role{publisher}, 200, []string{"Trasporto", "Attivo", "Tutti", "scaduta il", "Mensa", "Solo il tuo comune", "Modifica", "Cambia, in quelle scelte"}, []string{"Di un altro comune", "Anffas"}},
		{"another kind", "?tipo=organizations", []annotationsv1.Role{publisher}, 200, []string{"Anffas"}, []string{"Trasporto"}},
		{"all kinds", "?tipo=tutte", []annotationsv1.Role{publisher}, 200, []string{"Trasporto", "Servizio", "Anffas", "Ente"}, []string{"Di un altro comune", "Cambia, in quelle scelte"}},
		{"by words", "?q=mensa", []annotationsv1.Role{publisher}, 200, []string{"Mensa"}, []string{"Trasporto"}},
		{"by state", "?stato=closed", []annotationsv1.Role{publisher}, 200, []string{"Mensa"}, []string{"Trasporto"}},
		{"the state of another kind is no filter", "?tipo=organizations&stato=in_progress", []annotationsv1.Role{publisher}, 200, []string{"Anffas"}, nil},
		{"by who sees it", "?vede=local", []annotationsv1.Role{publisher}, 200, []string{"Mensa", "guardate"}, []string{"Trasporto"}},
		{"by words and who sees it", "?vede=local&q=MENSA", []annotationsv1.Role{publisher}, 200, []string{"Mensa"}, []string{"Trasporto"}},
		{"by state and who sees it", "?vede=local&stato=active", []annotationsv1.Role{publisher}, 200, []string{"Nessuna scheda così"}, []string{"Mensa"}},
		{"of all kinds, by who sees it", "?tipo=tutte&vede=local", []annotationsv1.Role{publisher}, 200, []string{"Mensa", "Servizio"}, []string{"Trasporto", "Anffas"}},
		{"overdue", "?verifica=scadute&q=t", []annotationsv1.Role{publisher}, 200, []string{"Trasporto"}, []string{"Mensa"}},
		{"not overdue", "?verifica=in-regola", []annotationsv1.Role{publisher}, 200, []string{"Mensa"}, []string{"Trasporto"}},
		{"withdrawn", "?cestino=1", []annotationsv1.Role{publisher}, 200, []string{"Servizio tolto", "Rimetti"}, []string{"Trasporto", "Mensa"}},
		{"nothing", "?q=zzz", []annotationsv1.Role{publisher}, 200, []string{"Nessuna scheda così"}, nil},
		{"a reader changes nothing", "", []annotationsv1.Role{reader}, 200, []string{"Trasporto", "Storia"}, []string{"Modifica", "Sospendi", "Cambia, in quelle scelte", "Nuova scheda"}},
		{"an editor shows nothing to more people", "", []annotationsv1.Role{editor}, 200, []string{"Modifica", "Sospendi"}, []string{"Mostra di nuovo"}},
		{"no such kind", "?tipo=boh", []annotationsv1.Role{publisher}, 404, nil, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, _ := start(t, records(), test.roles...)
			answer := p.Get("/lavoro/schede/" + test.query)
			if answer.Status != test.status {
				t.Fatalf("status %d, want %d: %s", answer.Status, test.status, answer.Text())
			}
			_, text, _ := strings.Cut(answer.Text(), "Mostra ") // after the filters
			for _, part := range test.has {
				if !strings.Contains(answer.Text(), part) {
					t.Errorf("%q is missing: %s", part, answer.Text())
				}
			}
			for _, part := range test.lacks {
				if strings.Contains(text, part) {
					t.Errorf("%q is there: %s", part, text)
				}
			}
			if answer.Scripts() != 0 {
				t.Error("the page has a script of its own")
			}
		})
	}
}

// Every record is on one page, and on one alone, whatever filter narrows the list.
func TestPagesHaveEveryRecordOnce(t *testing.T) {
	all := []proto.Message{portaltest.Marsala()}
	for i := range 130 {
		visibility := registryv1.Visibility_PUBLIC
		if i%13 == 0 {
			visibility = registryv1.Visibility_LOCAL
		}
		all = append(all, &registryv1.Service{Name: fmt.Sprintf("comuni/marsala/services/s%03d", i), Title: portaltest.Text(fmt.Sprintf("Servizio %03d.", i)), Visibility: visibility})
	}
	for query, want := range map[string]int{"?": 130, "?q=servizio&": 130, "?vede=local&": 10, "?righe=100&": 130} {
		t.Run(query, func(t *testing.T) {
			p, _ := start(t, all, publisher)
			seen, path := map[string]int{}, "/lavoro/schede/"+strings.TrimSuffix(query, "&")
			for range 10 {
				answer := p.Get(path)
				for part := range strings.SplitSeq(answer.Body, `name="scheda" value="`) {
					if name, _, _ := strings.Cut(part, `"`); strings.HasPrefix(name, "comuni/marsala/services/") {
						seen[name]++
					}
				}
				_, next, found := strings.Cut(answer.Body, `rel="next" href="`)
				if !found {
					break
				}
				next, _, _ = strings.Cut(next, `"`)
				path = html.UnescapeString(next)
			}
			if len(seen) != want {
				t.Errorf("%d records, want %d", len(seen), want)
			}
			for name, times := range seen {
				if times != 1 {
					t.Errorf("%s is there %d times", name, times)
				}
			}
		})
	}
}

func TestAllOfAPageAreChosenWithoutScripts(t *testing.T) {
	p, _ := start(t, records(), publisher)
	_, none := p.Get("/lavoro/schede/").Form(1)
	_, all := p.Get("/lavoro/schede/?tutte=1").Form(1)
	if len(none["scheda"]) != 0 || len(all["scheda"]) < 2 {
		t.Errorf("chosen: %v, then %v", none["scheda"], all["scheda"])
	}
}

func TestOneRecordIsTakenOutOfSightAndPutBack(t *testing.T) {
	p, o := start(t, records(), publisher)
	path := "/lavoro/schede/?tipo=services"
	for button, want := range map[string]string{"sospendi": "suspend " + transport, "riprendi": "resume " + transport} {
		answer := p.Post(path, url.Values{button: {transport}}.Encode())
		if answer.Status != http.StatusSeeOther || answer.Header.Get("Location") != path+"&fatto=shelf_"+button {
			t.Errorf("%s: %d to %s", button, answer.Status, answer.Header.Get("Location"))
		}
		if !slices.Contains(o.acts, want) {
			t.Errorf("%s: the node was asked %v", button, o.acts)
		}
	}
	o.fail = apierror.New(registryv1.ErrorReason_NOT_ALLOWED, "not yours")
	refused := p.Post(path, url.Values{"sospendi": {transport}, "scheda": {canteen}, "campo": {"gruppi"}}.Encode())
	_, form := refused.Form(1)
	if refused.Status < 400 || !strings.Contains(refused.Body, `role="alert"`) || !slices.Equal(form["scheda"], []string{canteen}) || form.Get("campo") != "gruppi" {
		t.Errorf("refused: %d, what was chosen is %v", refused.Status, form)
	}
}

// What was typed for a change of two services.
func typed(more ...string) url.Values {
	values := url.Values{"tipo": {"services"}, "da": {"/lavoro/schede/?q=centro&tipo=services"}, "scheda": {transport, canteen}}
	for i := 0; i+1 < len(more); i += 2 {
		values.Add(more[i], more[i+1])
	}
	return values
}

func TestChangeOfMany(t *testing.T) {
	p, o := start(t, records(), publisher)
	const path = "/lavoro/schede/insieme"

	form := p.Post(path, typed("campo", "stato").Encode())
	if form.Status != http.StatusOK || !strings.Contains(form.Text(), "2 schede scelte") || !strings.Contains(form.Text(), "Nuovo stato") {
		t.Fatalf("the form: %d: %s", form.Status, form.Text())
	}
	wrong := p.Post(path, typed("campo", "stato", "azione", "guarda", "v-stato", "suspended", "perche", "agosto", "v-dal", "presto").Encode())
	_, kept := wrong.Form(1)
	if wrong.Status != http.StatusBadRequest || !strings.Contains(wrong.Text(), "Perché: questo campo serve") || !strings.Contains(wrong.Text(), "Da quando: scrivi un giorno") {
		t.Errorf("without a reason: %d: %s", wrong.Status, wrong.Text())
	}
	if kept.Get("v-stato") != "suspended" || kept.Get("perche") != "agosto" || kept.Get("v-dal") != "presto" || !slices.Equal(kept["scheda"], []string{transport, canteen}) {
		t.Errorf("what was typed is %v", kept)
	}
	if len(o.asked) != 0 {
		t.Error("the node was asked for something that was typed wrong")
	}

	o.refused = canteen
	value := []string{"campo", "stato", "azione", "guarda", "v-stato", "suspended", "v-motivo", "Chiuso ad agosto", "v-al", "2027-09-01", "perche", "ferie"}
	look := p.Post(path, typed(value...).Encode())
	for _, part := range []string{"Cambia una scheda.", "Una non si può cambiare.", "Attivo", "Sospeso · Chiuso ad agosto · fino al 01/09/2027", "è di un altro ente"} {
		if !strings.Contains(look.Text(), part) {
			t.Errorf("the look before lacks %q: %s", part, look.Text())
		}
	}
	if len(o.asked) != 1 || !o.asked[0].GetValidateOnly() {
		t.Fatalf("the look before asked %v", o.asked)
	}

	action, values := look.Form(1)
	values.Set("azione", "cambia")
	done := p.Post(action, values.Encode())
	location := done.Header.Get("Location")
	if done.Status != http.StatusSeeOther || !strings.HasPrefix(location, "/lavoro/schede/modifiche/c1?") {
		t.Fatalf("the change: %d to %q: %s", done.Status, location, done.Text())
	}
	want := &editorialv1.ChangeRecordsRequest{
		Parent: "comuni/marsala", Records: []string{transport}, Note: "ferie", RequestId: values.Get("richiesta"), UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"status"}},
		Values: o.asked[0].GetValues(),
	}
	if diff := cmp.Diff(want, o.asked[1], protocmp.Transform()); diff != "" || want.GetRequestId() == "" {
		t.Errorf("the node was asked (-want +got):\n%s", diff)
	}
	inside, err := want.GetValues().UnmarshalNew()
	if err != nil {
		t.Fatal(err)
	}
	status := &registryv1.Status{State: registryv1.Status_SUSPENDED, Reason: portaltest.Text("Chiuso ad agosto"), Until: &registryv1.PartialDate{Year: 2027, Month: 9, Day: 1}}
	if diff := cmp.Diff(&registryv1.Service{Status: status}, inside, protocmp.Transform()); diff != "" {
		t.Errorf("the values are (-want +got):\n%s", diff)
	}

	after := p.Get(location)
	if !strings.Contains(after.Text(), "Una scheda è cambiata.") || !strings.Contains(after.Body, "/lavoro/schede/?q=centro&amp;tipo=services") {
		t.Errorf("after the change: %s", after.Text())
	}
	back, undo := after.Form(1)
	undo.Set("azione", "annulla")
	undone := p.Post(back, undo.Encode())
	for _, part := range []string{"Il cambio è annullato.", "Una scheda è cambiata dopo", "Trasporto: com'era prima", "Mensa: Resta com'è. la scheda è cambiata dopo"} {
		if !strings.Contains(undone.Text(), part) {
			t.Errorf("taken back: %q is missing: %s", part, undone.Text())
		}
	}
	if again := p.Post(back, undo.Encode()); again.Status < 400 || !slices.Equal(o.undone, []string{"c1"}) {
		t.Errorf("taken back twice: %d, %v", again.Status, o.undone)
	}
}

func TestWhatAChangeOfManyAsksFor(t *testing.T) {
	day := timestamppb.New(time.Date(2027, 3, 1, 0, 0, 0, 0, site.Rome))
	for _, test := range []struct {
		field, name string
		values      []string
		paths       []string
		adds        bool
		want        *registryv1.Service
	}{
		{"visibilita", "who sees it", []string{"v-vede", "network"}, []string{"visibility"}, false, &registryv1.Service{Visibility: registryv1.Visibility_NETWORK}},
		{"scadenza", "when it is due", []string{"v-scadenza", "1/3/2027"}, []string{"provenance.verify_by_time"}, false, &registryv1.Service{Provenance: &registryv1.Provenance{VerifyByTime: day}}},
		{
			"gruppi", "for whom, in addition",
			[]string{"v-gruppi", "elderly", "v-gruppi", "minors"},
			[]string{"target_groups"},
			true,
			&registryv1.Service{TargetGroups: []registryv1.TargetGroup{registryv1.TargetGroup_ELDERLY, registryv1.TargetGroup_MINORS}},
		},
		{"parole", "keywords, in addition", []string{"v-parole", "pulmino\r\n\r\n accompagno "}, []string{"keywords"}, true, &registryv1.Service{Keywords: []string{"pulmino", "accompagno"}}},
		{"ente", "the body", []string{"v-ente", "comuni/marsala/organizations/anffas"}, []string{"responsible_organization"}, false, &registryv1.Service{ResponsibleOrganization: "comuni/marsala/organizations/anffas"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, o := start(t, records(), publisher)
			if empty := p.Post("/lavoro/schede/insieme", typed("campo", test.field, "azione", "guarda").Encode()); empty.Status != http.StatusBadRequest || len(o.asked) != 0 {
				t.Errorf("without a value: %d, the node was asked %v", empty.Status, o.asked)
			}
			look := p.Post("/lavoro/schede/insieme", typed(append([]string{"campo", test.field, "azione", "guarda"}, test.values...)...).Encode())
			if look.Status != http.StatusOK || len(o.asked) != 1 {
				t.Fatalf("status %d: %s", look.Status, look.Text())
			}
			got, err := o.asked[0].GetValues().UnmarshalNew()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got, protocmp.Transform()); diff != "" {
				t.Errorf("values (-want +got):\n%s", diff)
			}
			if !slices.Equal(o.asked[0].GetUpdateMask().GetPaths(), test.paths) || o.asked[0].GetAddToLists() != test.adds {
				t.Errorf("takes %v, adds %v", o.asked[0].GetUpdateMask().GetPaths(), o.asked[0].GetAddToLists())
			}
			_, values := look.Form(1)
			values.Set("azione", "cambia")
			p.Post("/lavoro/schede/insieme", values.Encode())
			if len(o.asked) != 2 || !proto.Equal(o.asked[0].GetValues(), o.asked[1].GetValues()) || o.asked[0].GetAddToLists() != o.asked[1].GetAddToLists() {
				t.Error("the change is not the one that was looked at")
			}
		})
	}
}

func TestChangeOfManyThatCannotBe(t *testing.T) {
	p, o := start(t, records(), publisher)
	none := typed("campo", "stato")
	none.Del("scheda")
	if answer := p.Post("/lavoro/schede/insieme", none.Encode()); !strings.Contains(answer.Text(), "Nessuna scheda scelta") || !strings.Contains(answer.Text(), "Torna all'elenco") {
		t.Errorf("none chosen: %s", answer.Text())
	}
	o.fail = apierror.New(registryv1.ErrorReason_TOO_LARGE, "too many")
	refused := p.Post("/lavoro/schede/insieme", typed("campo", "visibilita", "v-vede", "local", "azione", "guarda", "perche", "ferie").Encode())
	_, kept := refused.Form(1)
	if refused.Status < 400 || !strings.Contains(refused.Body, `role="alert"`) || kept.Get("v-vede") != "local" || kept.Get("perche") != "ferie" || len(kept["scheda"]) != 2 {
		t.Errorf("refused: %d, kept %v", refused.Status, kept)
	}
	if answer := p.Get("/lavoro/schede/insieme"); answer.Status != http.StatusSeeOther {
		t.Errorf("read: %d", answer.Status)
	}
	elsewhere := typed("campo", "stato")
	elsewhere.Set("da", "https://example.org/")
	if answer := p.Post("/lavoro/schede/insieme", elsewhere.Encode()); strings.Contains(answer.Body, "example.org/\"") && strings.Contains(answer.Body, `href="https://example.org/"`) {
		t.Error("a form led back to another site")
	}
	other, _ := start(t, records(), reader)
	if answer := other.Post("/lavoro/schede/insieme", typed().Encode()); answer.Status != http.StatusForbidden {
		t.Errorf("a reader: %d", answer.Status)
	}
}
