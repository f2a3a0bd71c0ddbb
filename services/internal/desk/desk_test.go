package desk_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/auditv1"
	"cidsistem.example/proto/gen/deskv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/desk"
	"cidsistem.example/services/internal/mail"
	"cidsistem.example/services/internal/policy"
	"cidsistem.example/services/internal/store"
	"cidsistem.example/services/internal/tokens"
	"cidsistem.example/services/internal/vault"
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

// A clock that only a test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// An office is the desk of Marsala with all that it stands on.
type office struct {
	*desk.Desk
	t     testing.TB
	clock *clock
	store *store.Store
	vault *vault.Vault
	dir   string
	// lose makes the next commit fail, as when the process is killed in it.
	lose atomic.Bool
	// outbox has the e-mail messages; they wait.
	outbox *mail.Outbox
	// peers are other desks.
	peers peers
}

const (
	parent = "comuni/marsala"
	day    = 24 * time.Hour
)

func open(t testing.TB) *office {
	t.Helper()
	return openWith(t, desk.Settings{HourlyPerNetwork: 10_000, Hourly: 10_000})
}

// openWith opens the desk on a Monday morning.
func openWith(t testing.TB, settings desk.Settings) *office {
	t.Helper()
	return openIn(t, t.TempDir(), &clock{now: time.Date(2026, 11, 23, 8, 0, 0, 5e8, time.UTC)}, settings)
}

func openIn(t testing.TB, dir string, c *clock, settings desk.Settings) *office {
	t.Helper()
	return openAt(t, "marsala", dir, c, settings)
}

// openAt opens the desk of a comune.
func openAt(t testing.TB, comune, dir string, c *clock, settings desk.Settings) *office {
	t.Helper()
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	o := &office{t: t, clock: c, dir: dir}
	s, err := store.Open(store.Options{
		Path: filepath.Join(dir, "registry.db"), ServerID: comune, Comune: comune, Now: c.Now, NoSync: true, Logger: log,
		BeforeCommit: func() error {
			if o.lose.Load() {
				return errors.New("killed")
			}
			return nil
		},
	})
	must(t, err)
	t.Cleanup(func() { _ = s.Close() })
	v, err := vault.Open(t.Context(), s, filepath.Join(dir, "master.key"))
	must(t, err)
	o.outbox, err = mail.New(mail.Options{Store: s, Vault: v, Logger: log})
	must(t, err)
	o.peers = peers{}
	d, err := desk.Open(t.Context(), desk.Options{
		Store: s, Vault: v, Comune: comune, Logger: log, Settings: settings, Portal: "https://cid.comune.example", Outbox: o.outbox, Peers: o.peers,
		Accounts: colleagues{account, colleague},
	})
	must(t, err)
	o.Desk, o.store, o.vault = d, s, v
	return o
}

// anyone and clerk are the contexts of calls.
func anyone(t testing.TB) context.Context {
	return policy.With(t.Context(), &policy.Caller{})
}

const account = "nodes/marsala/accounts/a1"

func clerk(t testing.TB) context.Context {
	return policy.With(t.Context(), &policy.Caller{Person: &tokens.Claims{Issuer: "nodes/marsala", Account: account}})
}

func question() *deskv1.Request {
	return &deskv1.Request{
		Text: "Come chiedo il trasporto per la visita?", Category: "transport", Language: "it",
		Contact: &deskv1.Contact{FullName: "Nome Cognome", Telephone: "+39 0923 123 456", Email: "posta@example.org"},
	}
}

func (o *office) create(request *deskv1.Request, requestID string) *deskv1.CreateRequestResponse {
	o.t.Helper()
	made, err := o.CreateRequest(anyone(o.t), &deskv1.CreateRequestRequest{Parent: parent, Request: request, RequestId: requestID})
	must(o.t, err)
	return made
}

func (o *office) lookUp(code string) (*deskv1.Request, error) {
	return o.LookUpRequest(anyone(o.t), &deskv1.LookUpRequestRequest{Parent: parent, Code: code})
}

func (o *office) get(name string) (*deskv1.Request, error) {
	return o.GetRequest(clerk(o.t), &deskv1.GetRequestRequest{Name: name})
}

func (o *office) answer(name, text string, final bool) (*deskv1.Request, error) {
	call := &deskv1.AnswerRequestRequest{Name: name, Text: text, Final: final}
	if final {
		call.Outcome = deskv1.Request_INFORMATION_GIVEN
	}
	return o.AnswerRequest(clerk(o.t), call)
}

// told is what the audit log says, an entry a line.
func (o *office) told() []string {
	o.t.Helper()
	var lines []string
	must(o.t, o.store.View(func(r store.Reader) error {
		for e, err := range r.AuditEntries(0, false) {
			if err != nil {
				return err
			}
			lines = append(lines, fmt.Sprintf("%s %s %s %d", e.GetActor(), e.GetAction(), e.GetResource(), e.GetCount()))
		}
		return nil
	}))
	return lines
}

// localEntries are all that is stored of requests: key to value.
func (o *office) localEntries() map[string]string {
	o.t.Helper()
	all := map[string]string{}
	must(o.t, o.store.View(func(r store.Reader) error {
		for key, value := range r.AllLocalEntries(store.LocalKey{}) {
			all[key.Area+"/"+key.ID] = string(value)
		}
		return nil
	}))
	return all
}

func TestARequestsLife(t *testing.T) {
	o := open(t)
	made := o.create(question(), "")
	name, began := made.GetRequest().GetName(), o.clock.Now()
	if !regexp.MustCompile(`^comuni/marsala/requests/r[a-z2-7]{24}$`).MatchString(name) {
		t.Errorf("the name is %s", name)
	}
	if !regexp.MustCompile(`^[A-HJ-NP-Z2-9]{4}(-[A-HJ-NP-Z2-9]{4}){3}$`).MatchString(made.GetCode()) {
		t.Errorf("the code is %s", made.GetCode())
	}
	want := question()
	want.Name, want.State = name, deskv1.Request_RECEIVED
	want.Kind, want.PreferredChannel = deskv1.Request_INFORMATION, deskv1.Request_CODE_ONLY
	want.DueDate = &registryv1.PartialDate{Year: 2026, Month: 11, Day: 30}
	want.Entry = &deskv1.Entry{Way: deskv1.Entry_PORTAL}
	same := func(when string, got *deskv1.Request) {
		t.Helper()
		times := protocmp.IgnoreFields(&deskv1.Request{}, "create_time", "update_time", "purge_time")
		if diff := cmp.Diff(want, got, protocmp.Transform(), times, protocmp.IgnoreFields(&deskv1.Answer{}, "create_time"), protocmp.IgnoreFields(&deskv1.Message{}, "create_time")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", when, diff)
		}
		if !got.GetCreateTime().AsTime().Equal(began) || got.GetPurgeTime().AsTime().Sub(got.GetUpdateTime().AsTime()) != 730*day {
			t.Errorf("%s its times are %v %v %v", when, got.GetCreateTime(), got.GetUpdateTime(), got.GetPurgeTime())
		}
	}
	same("made", made.GetRequest())
	for _, code := range []string{made.GetCode(), strings.ToLower(made.GetCode()), strings.ReplaceAll(made.GetCode(), "-", " "), " " + strings.ReplaceAll(made.GetCode(), "-", "") + "\n"} {
		got, err := o.lookUp(code)
		must(t, err)
		same("looked up", got)
	}

	o.clock.pass(time.Hour)
	want.State = deskv1.Request_TAKEN
	for range 2 {
		got, err := o.get(name)
		must(t, err)
		same("taken", got)
		if !got.GetUpdateTime().AsTime().Equal(began.Add(time.Hour)) {
			t.Errorf("it changed at %v", got.GetUpdateTime())
		}
		o.clock.pass(time.Hour)
	}
	answered := func(text string) {
		want.Answers = append(want.Answers, &deskv1.Answer{Text: text, Author: account})
		want.Messages = append(want.Messages, &deskv1.Message{Side: deskv1.Message_DESK, Text: text, Author: account})
	}
	answered("Ci servono due giorni.")
	for range 2 { // a repetition adds nothing
		got, err := o.answer(name, "Ci servono due giorni.", false)
		must(t, err)
		same("answered", got)
	}
	want.State, want.Outcome = deskv1.Request_ANSWERED, deskv1.Request_INFORMATION_GIVEN
	answered("Chiami il numero del servizio.")
	got, err := o.answer(name, "Chiami il numero del servizio.", true)
	must(t, err)
	same("closed", got)
	got, err = o.get(name)
	must(t, err)
	same("read", got)
	got, err = o.lookUp(made.GetCode())
	must(t, err)
	for _, answer := range want.GetAnswers() {
		answer.Author = "" // who asked does not learn who answered
	}
	for _, message := range want.GetMessages() {
		message.Author = ""
	}
	same("looked up in the end", got)

	const service = "cidsistem.desk.v1.RequestService/"
	wanted := []string{
		"anyone " + service + "CreateRequest " + name + " 1",
		account + " " + service + "AnswerRequest " + name + " 1",
		account + " " + service + "AnswerRequest " + name + " 1",
	}
	if diff := cmp.Diff(wanted, o.told()); diff != "" {
		t.Errorf("the audit log:\n%s", diff)
	}
}

func TestCreateRefuses(t *testing.T) {
	o := open(t)
	put := func(id string, edit func(*registryv1.Service)) string {
		record := &registryv1.Service{Name: parent + "/services/" + id}
		edit(record)
		_, err := o.store.Commit(t.Context(), store.Request{}, nil, func(store.Reader, store.Stamp) (store.Outcome, error) {
			return store.Outcome{Put: []proto.Message{record}}, nil
		})
		must(t, err)
		return record.GetName()
	}
	public := put("public", func(s *registryv1.Service) { s.Visibility = registryv1.Visibility_PUBLIC })
	local := put("local", func(s *registryv1.Service) { s.Visibility = registryv1.Visibility_LOCAL })
	about := func(service string) *deskv1.Request {
		r := question()
		r.Service = service
		return r
	}
	for name, test := range map[string]struct {
		parent  string
		request *deskv1.Request
		want    registryv1.ErrorReason
	}{
		"another comune":              {"comuni/pantelleria", question(), registryv1.ErrorReason_NOT_THE_OWNER},
		"blanks":                      {parent, &deskv1.Request{Text: " \n"}, registryv1.ErrorReason_INVALID_FIELDS},
		"a service that is not there": {parent, about(parent + "/services/none"), registryv1.ErrorReason_DANGLING_REFERENCE},
		"a service that is not shown": {parent, about(local), registryv1.ErrorReason_DANGLING_REFERENCE},
		"a service of another comune": {parent, about("comuni/pantelleria/services/public"), registryv1.ErrorReason_DANGLING_REFERENCE},
		"what is no service":          {parent, about(parent), registryv1.ErrorReason_DANGLING_REFERENCE},
		"what is no name":             {parent, about("public"), registryv1.ErrorReason_DANGLING_REFERENCE},
	} {
		_, err := o.CreateRequest(anyone(t), &deskv1.CreateRequestRequest{Parent: test.parent, Request: test.request})
		if apierror.Reason(err) != test.want {
			t.Errorf("%s: %v", name, err)
		}
	}
	// What a client may not set is not taken over.
	sly := &deskv1.Request{Text: "x", Name: "comuni/marsala/requests/mine", State: deskv1.Request_ANSWERED, Answers: []*deskv1.Answer{{Text: "y"}}}
	got := o.create(sly, "").GetRequest()
	if got.GetName() == sly.GetName() || got.GetState() != deskv1.Request_RECEIVED || len(got.GetAnswers()) > 0 {
		t.Errorf("made %v", got)
	}
	// A reader of everything, the local socket, may be told of the local one.
	if _, err := o.CreateRequest(t.Context(), &deskv1.CreateRequestRequest{Parent: parent, Request: about(local)}); err != nil {
		t.Error(err)
	}
	if _, err := o.CreateRequest(t.Context(), &deskv1.CreateRequestRequest{Parent: parent, Request: about(public)}); err != nil {
		t.Error(err)
	}
}

func TestRepetition(t *testing.T) {
	o := open(t)
	id := uuid.NewString()
	first := o.create(question(), id)
	_, err := o.get(first.GetRequest().GetName())
	must(t, err)
	o.clock.pass(7*day - time.Minute)
	_, err = o.Purge(t.Context())
	must(t, err)
	again := o.create(question(), id)
	if again.GetCode() != first.GetCode() || again.GetRequest().GetName() != first.GetRequest().GetName() || again.GetRequest().GetState() != deskv1.Request_TAKEN {
		t.Errorf("first %v, then %v", first, again)
	}
	other := question()
	other.Text = "Un'altra cosa"
	_, err = o.CreateRequest(anyone(t), &deskv1.CreateRequestRequest{Parent: parent, Request: other, RequestId: id})
	refused(t, err, registryv1.ErrorReason_REQUEST_ID_REUSED)
	if n := len(o.told()); n != 1 {
		t.Errorf("the audit log has %d entries", n)
	}
	o.clock.pass(time.Hour)
	_, err = o.Purge(t.Context())
	must(t, err)
	if fresh := o.create(other, id); fresh.GetCode() == first.GetCode() {
		t.Error("a request id is remembered for more than seven days")
	}
	// Without an id, the same words are another request.
	if a, b := o.create(question(), ""), o.create(question(), ""); a.GetCode() == b.GetCode() {
		t.Error("two requests have one code")
	}
}

// At once, one of many equal calls makes the request, and all get its code.
func TestRepetitionAtOnce(t *testing.T) {
	o := open(t)
	id := uuid.NewString()
	codes := make([]string, 20)
	var all sync.WaitGroup
	for i := range codes {
		all.Go(func() { codes[i] = o.create(question(), id).GetCode() })
	}
	all.Wait()
	if slices.Sort(codes); codes[0] != codes[len(codes)-1] || len(o.told()) != 1 {
		t.Errorf("codes %v, %d made", codes, len(o.told()))
	}
}

// Whatever is wrong with a code, the answer is the same.
func TestWrongCodes(t *testing.T) {
	o := open(t)
	made := o.create(question(), "")
	var texts []string
	for _, code := range []string{"AAAA-AAAA-AAAA-AAAA", "x", strings.Repeat("A", 100), "----", made.GetCode() + "A", made.GetCode()[1:], made.GetRequest().GetName()} {
		_, err := o.lookUp(code)
		refused(t, err, registryv1.ErrorReason_RESOURCE_NOT_FOUND)
		texts = append(texts, err.Error())
		if strings.Contains(err.Error(), code) {
			t.Errorf("the answer repeats the code: %v", err)
		}
	}
	if slices.Sort(texts); texts[0] != texts[len(texts)-1] {
		t.Errorf("answers differ: %q", texts)
	}
	_, err := o.LookUpRequest(anyone(t), &deskv1.LookUpRequestRequest{Parent: "comuni/pantelleria", Code: made.GetCode()})
	refused(t, err, registryv1.ErrorReason_NOT_THE_OWNER)
	for _, name := range []string{parent + "/requests/none", "comuni/pantelleria/requests/none"} {
		want := registryv1.ErrorReason_RESOURCE_NOT_FOUND
		if !strings.HasPrefix(name, parent) {
			want = registryv1.ErrorReason_NOT_THE_OWNER
		}
		_, err := o.get(name)
		refused(t, err, want)
		_, err = o.answer(name, "x", true)
		refused(t, err, want)
	}
}

func TestAnswerRefuses(t *testing.T) {
	o := open(t)
	name := o.create(question(), "").GetRequest().GetName()
	_, err := o.answer(name, " ", true)
	refused(t, err, registryv1.ErrorReason_INVALID_FIELDS)
	for i := range 50 {
		_, err := o.answer(name, fmt.Sprintf("Risposta %d", i), false)
		must(t, err)
	}
	_, err = o.answer(name, "Una di troppo", true)
	refused(t, err, registryv1.ErrorReason_TOO_LARGE)
}

func TestListRequests(t *testing.T) {
	o := open(t)
	var names []string
	for i := range 7 {
		r := question()
		r.Text = fmt.Sprintf("Domanda %d", i)
		names = append(names, o.create(r, "").GetRequest().GetName())
		o.clock.pass(time.Second / 4) // within a second, the order holds
	}
	_, err := o.get(names[2])
	must(t, err)
	_, err = o.answer(names[4], "Nome Cognome, ecco", true)
	must(t, err)
	for state, want := range map[deskv1.Request_State][]string{
		deskv1.Request_STATE_UNSPECIFIED: names,
		deskv1.Request_RECEIVED:          {names[0], names[1], names[3], names[5], names[6]},
		deskv1.Request_TAKEN:             {names[2]},
		deskv1.Request_ANSWERED:          {names[4]},
	} {
		for _, size := range []int32{0, 1, 3, 7} {
			var got []string
			request := &deskv1.ListRequestsRequest{Parent: parent, State: state, PageSize: size}
			for more := true; more; more = request.GetPageToken() != "" {
				page, err := o.ListRequests(clerk(t), request)
				must(t, err)
				for _, r := range page.GetRequests() {
					got = append(got, r.GetName())
					if r.GetText() != "" || r.GetContact() != nil || r.GetAnswers() != nil {
						t.Errorf("a list tells of a person: %v", r)
					}
					if r.GetCategory() != "transport" || r.GetState() == 0 || r.GetCreateTime() == nil || r.GetPurgeTime() == nil {
						t.Errorf("a list lacks what it is for: %v", r)
					}
				}
				request.PageToken = page.GetNextPageToken()
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s, in pages of %d: %v, want %v", state, size, got, want)
			}
		}
	}
	_, err = o.ListRequests(clerk(t), &deskv1.ListRequestsRequest{Parent: "comuni/pantelleria"})
	refused(t, err, registryv1.ErrorReason_NOT_THE_OWNER)
	_, err = o.ListRequests(clerk(t), &deskv1.ListRequestsRequest{Parent: parent, PageToken: "token"})
	refused(t, err, registryv1.ErrorReason_INVALID_PAGE_TOKEN)
}

func TestPurge(t *testing.T) {
	o := open(t)
	empty := o.localEntries()
	code := o.create(question(), uuid.NewString()).GetCode()
	later := o.create(question(), uuid.NewString())
	for range 500 {
		o.create(question(), "")
	}
	purge := func(want int) {
		t.Helper()
		got, err := o.Purge(t.Context())
		if err != nil || got != want {
			t.Errorf("erased %d, want %d (%v)", got, want, err)
		}
	}
	purge(0)
	o.clock.pass(300 * day)
	_, err := o.answer(later.GetRequest().GetName(), "Ecco", true)
	must(t, err)
	before := len(o.told())
	o.clock.pass(430*day - time.Nanosecond)
	purge(0)
	o.clock.pass(2)
	purge(501)
	purge(0)
	_, err = o.lookUp(code)
	refused(t, err, registryv1.ErrorReason_RESOURCE_NOT_FOUND)
	_, err = o.lookUp(later.GetCode())
	must(t, err)
	var erased int64
	must(t, o.store.View(func(r store.Reader) error {
		for e, err := range r.AuditEntries(int64(before)+1, false) {
			if err != nil {
				return err
			}
			if e.GetAction() != "retention" || e.GetActor() != "local" || e.GetResource() != parent+"/requests" || e.GetOutcome() != auditv1.AuditEntry_DONE {
				t.Errorf("the audit log has %v", e)
			}
			erased += e.GetCount()
		}
		return nil
	}))
	if erased != 501 {
		t.Errorf("the audit log tells of %d", erased)
	}
	o.clock.pass(301 * day)
	purge(1)
	if diff := cmp.Diff(empty, o.localEntries()); diff != "" {
		t.Errorf("something stays:\n%s", diff)
	}
}

// What a stranger gives as a purpose is not taken into the audit log, where
// nothing is ever erased.
func TestStrangersDoNotWriteTheLog(t *testing.T) {
	o := open(t)
	p, err := policy.New("marsala", "marsala", tokens.NewVerifier("marsala", o.clock.Now))
	must(t, err)
	ctx := metadata.NewIncomingContext(t.Context(), metadata.Pairs("cid-reader", "PUBLIC", "cid-purpose", "per Nome Cognome"))
	caller, err := p.Authenticate(ctx)
	must(t, err)
	if caller.Entry("x", "", auditv1.AuditEntry_DONE).GetReason() == "" {
		t.Fatal("the caller has no purpose")
	}
	_, err = o.CreateRequest(policy.With(t.Context(), caller), &deskv1.CreateRequestRequest{Parent: parent, Request: question()})
	must(t, err)
	must(t, o.store.View(func(r store.Reader) error {
		for entry, err := range r.AuditEntries(0, false) {
			if err != nil || entry.GetReason() != "" {
				t.Errorf("the audit log has %v (%v)", entry, err)
			}
		}
		return nil
	}))
}

// Codes outlive a restart and a rotation of the keys.
func TestCodesLast(t *testing.T) {
	dir, c := t.TempDir(), &clock{now: time.Now()}
	o := openIn(t, dir, c, desk.Settings{})
	id := uuid.NewString()
	made := o.create(question(), id)
	_, err := o.vault.Rotate(t.Context())
	must(t, err)
	must(t, o.store.Close())
	o = openIn(t, dir, c, desk.Settings{})
	if _, err := o.lookUp(made.GetCode()); err != nil {
		t.Error(err)
	}
	if again := o.create(question(), id); again.GetCode() != made.GetCode() {
		t.Error("a repetition got another code")
	}
}

// Nothing that a person wrote, and no code, is in the files in clear: not in the
// data file and not in a backup, byte for byte.
func TestFilesTellNothing(t *testing.T) {
	o := open(t)
	r := question()
	r.Category, r.Service, r.Language = "category-in-clear", "", "scn"
	id := uuid.NewString()
	made := o.create(r, id)
	_, err := o.answer(made.GetRequest().GetName(), "La risposta riservata", true)
	must(t, err)
	backup := filepath.Join(t.TempDir(), "backup.db")
	must(t, o.store.Backup(backup))
	rotated := filepath.Join(t.TempDir(), "rotated.db")
	_, err = o.vault.Rotate(t.Context())
	must(t, err)
	must(t, o.store.Backup(rotated))
	must(t, o.store.Close())
	plain := strings.ReplaceAll(made.GetCode(), "-", "")
	secrets := []string{
		r.GetText(), "visita", r.GetContact().GetFullName(), "Cognome", r.GetContact().GetTelephone(), "0923", r.GetContact().GetEmail(),
		"example.org", "category-in-clear", "risposta riservata", made.GetCode(), plain, strings.ToLower(plain),
	}
	for _, path := range []string{filepath.Join(o.dir, "registry.db"), backup, rotated} {
		content, err := os.ReadFile(path)
		must(t, err)
		for _, secret := range secrets {
			if bytes.Contains(content, []byte(secret)) {
				t.Errorf("%s has %q in clear", filepath.Base(path), secret)
			}
		}
		// The search itself works.
		if !bytes.Contains(content, []byte(made.GetRequest().GetName())) {
			t.Errorf("%s lacks the audit entry", filepath.Base(path))
		}
	}
}

func TestRetentionSetting(t *testing.T) {
	o := open(t)
	if _, err := desk.Open(t.Context(), desk.Options{Store: o.store, Vault: o.vault, Comune: "marsala", Retention: -1}); err == nil {
		t.Error("a negative retention is accepted")
	}
	short, err := desk.Open(t.Context(), desk.Options{Store: o.store, Vault: o.vault, Comune: "marsala", Retention: day})
	must(t, err)
	made, err := short.CreateRequest(anyone(t), &deskv1.CreateRequestRequest{Parent: parent, Request: question(), RequestId: uuid.NewString()})
	must(t, err)
	o.clock.pass(day + 1)
	if n, err := short.Purge(t.Context()); n != 1 || err != nil {
		t.Errorf("erased %d (%v)", n, err)
	}
	_, err = o.lookUp(made.GetCode())
	refused(t, err, registryv1.ErrorReason_RESOURCE_NOT_FOUND)
}

// Requests that were kept before there were threads, kinds and times have them.
func TestRequestsOfBefore(t *testing.T) {
	o := open(t)
	m := o.ask(question())
	key := store.LocalKey{Area: "requests", ID: m.name[strings.LastIndexByte(m.name, '/')+1:]}
	_, err := o.store.Commit(t.Context(), store.Request{}, nil, func(r store.Reader, _ store.Stamp) (store.Outcome, error) {
		value, err := o.vault.Open(key, r.Local(key))
		must(t, err)
		request := &deskv1.Request{}
		must(t, proto.Unmarshal(value[16:], request))
		request.Kind, request.PreferredChannel, request.DueDate = 0, 0, nil
		request.State, request.Answers = deskv1.Request_TAKEN, []*deskv1.Answer{{Text: "Ci servono due giorni.", Author: account, CreateTime: request.GetCreateTime()}}
		body, err := proto.Marshal(request)
		must(t, err)
		sealed, err := o.vault.Seal(key, append(value[:16:16], body...))
		return store.Outcome{Local: []store.LocalPut{{Key: key, Value: sealed}}}, err
	})
	must(t, err)
	got, err := m.write("Va bene.")
	must(t, err)
	if len(got.GetMessages()) != 2 || got.GetMessages()[0].GetSide() != deskv1.Message_DESK || len(got.GetAnswers()) != 1 ||
		got.GetKind() != deskv1.Request_INFORMATION || got.GetPreferredChannel() != deskv1.Request_CODE_ONLY || got.GetDueDate().GetDay() != 30 {
		t.Errorf("it is %v", got)
	}
}

// Killed before the request is on the disk, it is not there, and asking again
// makes it; killed after that, asking again finds it, with its code and files.
func TestKilledWhileAsked(t *testing.T) {
	dir, c := t.TempDir(), &clock{now: time.Now()}
	call := &deskv1.CreateRequestRequest{
		Parent: parent, Request: question(), RequestId: uuid.NewString(),
		Attachments: []*deskv1.AttachedFile{{FileName: "foglio", Data: []byte("un foglio")}},
	}
	o := openIn(t, dir, c, desk.Settings{})
	empty := o.localEntries()
	o.lose.Store(true)
	if _, err := o.CreateRequest(anyone(t), call); err == nil {
		t.Fatal("a request that is not on the disk was acknowledged")
	}
	_ = o.store.Close() // says what is wrong with it
	var codes []string
	for range 3 {
		o = openIn(t, dir, c, desk.Settings{})
		if len(codes) == 0 {
			if diff := cmp.Diff(empty, o.localEntries()); diff != "" {
				t.Errorf("something was kept:\n%s", diff)
			}
		}
		made, err := o.CreateRequest(anyone(t), call)
		must(t, err)
		codes = append(codes, made.GetCode())
		name := made.GetRequest().GetAttachments()[0].GetName()
		file, err := o.LookUpRequestAttachment(anyone(t), &deskv1.LookUpRequestAttachmentRequest{Parent: parent, Code: made.GetCode(), Attachment: name})
		must(t, err)
		if string(file.GetData()) != "un foglio" || len(o.told()) != 1 {
			t.Errorf("the file has %q, the log %d entries", file.GetData(), len(o.told()))
		}
		must(t, o.store.Close())
	}
	if codes[0] != codes[1] || codes[1] != codes[2] {
		t.Errorf("the codes are %v", codes)
	}
}
