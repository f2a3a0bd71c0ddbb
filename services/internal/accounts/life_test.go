package accounts_test

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"cidsistem.example/proto/gen/annotationsv1"
	"cidsistem.example/proto/gen/auditv1"
	"cidsistem.example/proto/gen/identityv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/accounts"
	"cidsistem.example/services/internal/audit"
	"cidsistem.example/services/internal/policy"
	"cidsistem.example/services/internal/store"
	"cidsistem.example/services/platform/identity"
)

func TestLifeOfAnAccount(t *testing.T) {
	s := open(t, nil)
	admin := s.administrator()
	ctx := s.as(admin)
	made := got[*identityv1.Account](t)(s.CreateAccount(ctx, &identityv1.CreateAccountRequest{Parent: node, Account: &identityv1.Account{
		Name: "nodes/marsala/accounts/mine", Login: "Sportello.1", DisplayName: "Chi sta allo sportello", State: identityv1.Account_ACTIVE,
		Grants: []*identityv1.Grant{editor, editor},
	}}))
	want := &identityv1.Account{Login: "Sportello.1", DisplayName: "Chi sta allo sportello", State: identityv1.Account_INVITED, Grants: []*identityv1.Grant{editor}}
	if diff := cmp.Diff(want, made, protocmp.Transform(), protocmp.IgnoreFields(&identityv1.Account{}, "name", "etag", "create_time", "update_time")); diff != "" {
		t.Fatal(diff)
	}
	if strings.Contains(made.GetName(), "mine") || !strings.HasPrefix(made.GetName(), node+"/accounts/a") {
		t.Errorf("the account is called %s", made.GetName())
	}
	_, err := s.CreateAccount(ctx, &identityv1.CreateAccountRequest{Parent: node, Account: &identityv1.Account{Login: "SPORTELLO.1", DisplayName: "Un altro"}})
	refused(t, err, registryv1.ErrorReason_RESOURCE_EXISTS)

	// Nobody gets in before the invitation, and an earlier code ends.
	_, err = s.signIn(s.home(), "sportello.1", secret)
	refused(t, err, registryv1.ErrorReason_SIGN_IN_REFUSED)
	first, code := s.invite(made), s.invite(made)
	redeem := func(code, password string) error {
		_, err := s.RedeemInvitation(s.home(), &identityv1.RedeemInvitationRequest{Parent: node, Code: code, Password: password})
		return err
	}
	refused(t, redeem(first, secret), registryv1.ErrorReason_SIGN_IN_REFUSED)
	refused(t, redeem(code, "il mio sportello.1 preferito"), registryv1.ErrorReason_INVALID_FIELDS)
	must(t, redeem(strings.ToLower(strings.ReplaceAll(code, "-", " ")), secret))
	refused(t, redeem(code, secret), registryv1.ErrorReason_SIGN_IN_REFUSED)

	// The person signs in, whatever the case of the login, and is who they are.
	session := got[*identityv1.SignInResponse](t)(s.signIn(s.home(), "SPORTELLO.1", secret)).GetSession()
	claims, err := s.verifier.Verify(session.GetAccessToken())
	must(t, err)
	if claims.Account != made.GetName() || !cmp.Equal(claims.Methods, []string{"pwd"}) || !cmp.Equal(claims.Audience, []string{"marsala"}) {
		t.Errorf("the token says %+v", claims)
	}
	if got := session.GetAccessExpireTime().AsTime().Sub(s.clock.Now()); got != 5*time.Minute {
		t.Errorf("the token lives %s", got)
	}
	own := got[*identityv1.Account](t)(s.GetOwnAccount(s.as(session), &identityv1.GetOwnAccountRequest{Parent: node}))
	if own.GetState() != identityv1.Account_ACTIVE || own.GetSignInTime() == nil {
		t.Errorf("the own account is %v", own)
	}

	// A change of the password ends the other sessions only.
	second := got[*identityv1.SignInResponse](t)(s.signIn(s.home(), "sportello.1", secret)).GetSession()
	change := func(current, password string) error {
		_, err := s.ChangePassword(s.as(session), &identityv1.ChangePasswordRequest{Parent: node, CurrentPassword: current, Password: password})
		return err
	}
	refused(t, change(other, other), registryv1.ErrorReason_SIGN_IN_REFUSED)
	refused(t, change(secret, "aaaaaaaaaaaaaaaa"), registryv1.ErrorReason_INVALID_FIELDS)
	must(t, change(secret, other))
	if _, err := s.verifier.Verify(second.GetAccessToken()); err == nil {
		t.Error("the other session's token is still good")
	}
	_, err = s.refresh(second.GetRefreshToken())
	refused(t, err, registryv1.ErrorReason_NOT_SIGNED_IN)
	session = got[*identityv1.Session](t)(s.refresh(session.GetRefreshToken()))
	_, err = s.signIn(s.home(), "sportello.1", secret)
	refused(t, err, registryv1.ErrorReason_SIGN_IN_REFUSED)

	// Suspended: out at once, and not in again; then active again.
	update := func(m *identityv1.Account, paths ...string) (*identityv1.Account, error) {
		m.Name = made.GetName()
		return s.UpdateAccount(ctx, &identityv1.UpdateAccountRequest{Account: m, UpdateMask: &fieldmaskpb.FieldMask{Paths: paths}})
	}
	_, err = update(&identityv1.Account{State: identityv1.Account_SUSPENDED, Etag: made.GetEtag()})
	refused(t, err, registryv1.ErrorReason_ETAG_MISMATCH)
	_, err = update(&identityv1.Account{State: identityv1.Account_SUSPENDED}, "state")
	must(t, err)
	if _, err := s.verifier.Verify(session.GetAccessToken()); err == nil {
		t.Error("the token of a suspended account is still good")
	}
	_, suspended := s.signIn(s.home(), "sportello.1", other)
	_, wrong := s.signIn(s.home(), "sportello.1", "wrong, quite wrong")
	_, unknown := s.signIn(s.home(), "nessuno", "wrong, quite wrong")
	for _, err := range []error{suspended, wrong, unknown} {
		refused(t, err, registryv1.ErrorReason_SIGN_IN_REFUSED)
		if err.Error() != wrong.Error() {
			t.Errorf("refusals differ: %v, %v", err, wrong)
		}
	}
	_, err = update(&identityv1.Account{State: identityv1.Account_ACTIVE})
	must(t, err)
	session = got[*identityv1.SignInResponse](t)(s.signIn(s.home(), "sportello.1", other)).GetSession()

	// Other grants end the sessions too; another name does not, and another login
	// is the only one from then on.
	_, err = update(&identityv1.Account{DisplayName: "Un nome nuovo", Login: "banco"})
	must(t, err)
	if _, err := s.verifier.Verify(session.GetAccessToken()); err != nil {
		t.Error("another name ended the session")
	}
	reader := &identityv1.Grant{Role: annotationsv1.Role_READER, Scope: "comuni/-"}
	updated, err := update(&identityv1.Account{Grants: []*identityv1.Grant{reader}})
	must(t, err)
	if _, err := s.verifier.Verify(session.GetAccessToken()); err == nil {
		t.Error("the token with the grants of before is still good")
	}
	_, err = s.signIn(s.home(), "sportello.1", other)
	refused(t, err, registryv1.ErrorReason_SIGN_IN_REFUSED)
	session = got[*identityv1.SignInResponse](t)(s.signIn(s.home(), "banco", other)).GetSession()
	if !proto.Equal(session.GetGrants()[0], reader) || session.GetDisplayName() != "Un nome nuovo" {
		t.Errorf("the session is %v", session)
	}
	for _, m := range []*identityv1.Account{
		{Grants: []*identityv1.Grant{{Role: annotationsv1.Role_EDITOR, Scope: "comuni/trapani"}}},
		{Grants: []*identityv1.Grant{{Role: annotationsv1.Role_EDITOR, Scope: "comuni/-"}}},
		{Grants: []*identityv1.Grant{{Role: annotationsv1.Role_NODE_ADMINISTRATOR, Scope: "nodes/trapani"}}},
		{Login: "due parole"},
		{State: identityv1.Account_INVITED},
	} {
		_, err := update(m)
		refused(t, err, registryv1.ErrorReason_INVALID_FIELDS)
	}
	_, err = update(&identityv1.Account{}, "name")
	refused(t, err, registryv1.ErrorReason_INVALID_FIELDS)
	if again := got[*identityv1.Account](t)(s.GetAccount(ctx, &identityv1.GetAccountRequest{Name: made.GetName()})); again.GetEtag() != updated.GetEtag() {
		t.Error("a refused change, or a sign-in, changed the etag")
	}

	// Gone for good.
	_, err = s.DeleteAccount(ctx, &identityv1.DeleteAccountRequest{Name: made.GetName()})
	must(t, err)
	if _, err := s.verifier.Verify(session.GetAccessToken()); err == nil {
		t.Error("the token of a deleted account is still good")
	}
	_, err = s.GetAccount(ctx, &identityv1.GetAccountRequest{Name: made.GetName()})
	refused(t, err, registryv1.ErrorReason_RESOURCE_NOT_FOUND)
	_, err = s.signIn(s.home(), "banco", other)
	refused(t, err, registryv1.ErrorReason_SIGN_IN_REFUSED)
	s.create("banco") // the login is free

	s.clock.pass(2 * time.Minute)
	must(t, s.Tend(t.Context()))
	done, no := auditv1.AuditEntry_DONE, auditv1.AuditEntry_REFUSED
	for _, c := range []struct {
		actor, action string
		outcome       auditv1.AuditEntry_Outcome
		times         int64
	}{
		{admin.GetAccount(), "CreateAccount", done, 1},
		{admin.GetAccount(), "UpdateAccount", done, 4},
		{admin.GetAccount(), "DeleteAccount", done, 1},
		{"local", "InviteAccount", done, 3},           // the administrator, and twice the person
		{made.GetName(), "RedeemInvitation", done, 2}, // the password, and the sign-in
		{made.GetName(), "SessionService/SignIn", done, 4},
		{made.GetName(), "SessionService/SignIn", no, 4},
		{made.GetName(), "ChangePassword", done, 1},
		{made.GetName(), "ChangePassword", no, 1},
		{"anyone", "SessionService/SignIn", no, 3},
		{"anyone", "RedeemInvitation", no, 2},
	} {
		if got := s.noted(c.actor, c.action, c.outcome); got != c.times {
			t.Errorf("the audit log has %d × %s %s by %s, not %d", got, c.action, c.outcome, c.actor, c.times)
		}
	}
}

func TestAccountsAreListedByName(t *testing.T) {
	s := open(t, nil)
	for _, login := range []string{"uno", "due", "tre", "quattro", "cinque"} {
		s.create(login)
	}
	var names []string
	request := &identityv1.ListAccountsRequest{Parent: node, PageSize: 2}
	for pages := 1; ; pages++ {
		page := got[*identityv1.ListAccountsResponse](t)(s.ListAccounts(t.Context(), request))
		for _, account := range page.GetAccounts() {
			names = append(names, account.GetName())
		}
		if request.PageToken = page.GetNextPageToken(); request.GetPageToken() == "" {
			if pages != 3 {
				t.Errorf("there are %d pages", pages)
			}
			break
		}
	}
	if len(names) != 5 {
		t.Errorf("listed %v", names)
	}
	for i := 1; i < len(names); i++ {
		if names[i-1] >= names[i] {
			t.Errorf("listed %v", names)
		}
	}
	_, err := s.ListAccounts(t.Context(), &identityv1.ListAccountsRequest{Parent: "nodes/trapani"})
	refused(t, err, registryv1.ErrorReason_RESOURCE_NOT_FOUND)
}

func TestSessionsAreRefreshedOnce(t *testing.T) {
	s := open(t, nil)
	first := s.person("chi")
	second := got[*identityv1.Session](t)(s.refresh(first.GetRefreshToken()))
	if first.GetRefreshToken() == second.GetRefreshToken() {
		t.Fatal("the refresh token stays the same")
	}
	s.clock.pass(4 * time.Minute)
	third := got[*identityv1.Session](t)(s.refresh(second.GetRefreshToken()))

	// One that never was a token of the session does it no harm.
	parts := strings.Split(third.GetRefreshToken(), ".")
	_, err := s.refresh(parts[0] + "." + parts[2] + "." + parts[2])
	refused(t, err, registryv1.ErrorReason_NOT_SIGNED_IN)
	must(t, func() error { _, err := s.verifier.Verify(third.GetAccessToken()); return err }())

	// One that was used before ends it at once, for whoever has the newest too.
	_, err = s.refresh(second.GetRefreshToken())
	refused(t, err, registryv1.ErrorReason_NOT_SIGNED_IN)
	if _, err := s.verifier.Verify(third.GetAccessToken()); err == nil {
		t.Error("the session's token is still good")
	}
	_, err = s.refresh(third.GetRefreshToken())
	refused(t, err, registryv1.ErrorReason_NOT_SIGNED_IN)
	if got := s.noted(first.GetAccount(), "RefreshSession", auditv1.AuditEntry_REFUSED); got != 1 {
		t.Errorf("the audit log has the reuse %d times", got)
	}
}

func TestSessionsEnd(t *testing.T) {
	s := open(t, nil)
	session := s.person("chi")
	s.clock.pass(12*time.Hour + time.Second)
	_, err := s.refresh(session.GetRefreshToken())
	refused(t, err, registryv1.ErrorReason_NOT_SIGNED_IN)

	session = got[*identityv1.SignInResponse](t)(s.signIn(s.home(), "chi", secret)).GetSession()
	end := session.GetExpireTime().AsTime()
	for s.clock.Now().Add(10 * time.Hour).Before(end) {
		s.clock.pass(10 * time.Hour)
		must(t, s.Tend(t.Context()))
		session = got[*identityv1.Session](t)(s.refresh(session.GetRefreshToken()))
	}
	s.clock.pass(end.Sub(s.clock.Now()) - time.Minute)
	session = got[*identityv1.Session](t)(s.refresh(session.GetRefreshToken()))
	if !session.GetAccessExpireTime().AsTime().Equal(end) || !session.GetIdleExpireTime().AsTime().Equal(end) {
		t.Errorf("the last tokens outlive the session: %v", session)
	}
	s.clock.pass(time.Minute)
	_, err = s.refresh(session.GetRefreshToken())
	refused(t, err, registryv1.ErrorReason_NOT_SIGNED_IN)
}

func TestSignOut(t *testing.T) {
	s := open(t, nil)
	one := s.person("chi")
	two := got[*identityv1.SignInResponse](t)(s.signIn(s.home(), "chi", secret)).GetSession()
	three := got[*identityv1.SignInResponse](t)(s.signIn(s.home(), "chi", secret)).GetSession()
	bystander := s.person("altri")
	good := func(session *identityv1.Session) bool {
		_, err := s.verifier.Verify(session.GetAccessToken())
		return err == nil
	}
	_, err := s.SignOut(s.as(one), &identityv1.SignOutRequest{Parent: node})
	must(t, err)
	if good(one) || !good(two) || !good(three) {
		t.Errorf("after signing out, good are %t %t %t", good(one), good(two), good(three))
	}
	_, err = s.SignOut(s.as(two), &identityv1.SignOutRequest{Parent: node, Everywhere: true})
	must(t, err)
	if good(two) || good(three) || !good(bystander) {
		t.Errorf("after signing out everywhere, good are %t %t, and of somebody else %t", good(two), good(three), good(bystander))
	}
	_, err = s.SignOut(s.as(bystander), &identityv1.SignOutRequest{Parent: "nodes/trapani"})
	refused(t, err, registryv1.ErrorReason_RESOURCE_NOT_FOUND)
	_, err = s.SignOut(s.home(), &identityv1.SignOutRequest{Parent: node})
	refused(t, err, registryv1.ErrorReason_NOT_SIGNED_IN)
}

func TestTokensAreGoodAtTheOfficeThroughWhichOneSignedIn(t *testing.T) {
	s := open(t, nil)
	s.person("chi")
	ctx := policy.With(s.home(), &policy.Caller{Via: &identity.ID{TrustDomain: "cidsistem.example", Role: identity.RoleUfficio, Name: "cid-trapani"}})
	session := got[*identityv1.SignInResponse](t)(s.signIn(ctx, "chi", secret)).GetSession()
	for range 2 {
		claims, err := s.verifier.Verify(session.GetAccessToken())
		must(t, err)
		if !cmp.Equal(claims.Audience, []string{"marsala", "cid-trapani"}) {
			t.Errorf("the token is good at %v", claims.Audience)
		}
		session = got[*identityv1.Session](t)(s.refresh(session.GetRefreshToken()))
	}
}

func TestTheLastAdministratorStays(t *testing.T) {
	s := open(t, nil)
	first := s.administrator()
	name := first.GetAccount()
	attempts := map[string]func() error{
		"suspended": func() error {
			_, err := s.UpdateAccount(t.Context(), &identityv1.UpdateAccountRequest{Account: &identityv1.Account{Name: name, State: identityv1.Account_SUSPENDED}})
			return err
		},
		"without the role": func() error {
			_, err := s.UpdateAccount(t.Context(), &identityv1.UpdateAccountRequest{Account: &identityv1.Account{Name: name, Grants: []*identityv1.Grant{editor}}})
			return err
		},
		"deleted": func() error {
			_, err := s.DeleteAccount(t.Context(), &identityv1.DeleteAccountRequest{Name: name})
			return err
		},
	}
	// One who did not come in yet, or who looks after nothing, does not count.
	role := &identityv1.Grant{Role: annotationsv1.Role_NODE_ADMINISTRATOR, Scope: node}
	invited := s.create("vice", role)
	s.person("altri")
	for what, attempt := range attempts {
		if err := attempt(); err == nil {
			t.Errorf("the last administrator was %s", what)
		} else {
			refused(t, err, registryv1.ErrorReason_NOT_ALLOWED)
		}
	}
	s.redeem(s.invite(invited))
	must(t, attempts["deleted"]())
}

func TestPasswordsAreHashedAnewWhenTheWayChanged(t *testing.T) {
	s := open(t, accounts.Cheaper)
	s.person("chi")
	before := got[string](t)(s.HashedAs("chi"))
	must(t, s.store.Close())
	s = openAt(t, s.folder, s.clock, s.clock.Now, nil)
	got[*identityv1.SignInResponse](t)(s.signIn(s.home(), "chi", secret))
	after := got[string](t)(s.HashedAs("chi"))
	if !strings.Contains(before, "m=32,") || !strings.Contains(after, "m=64,") {
		t.Errorf("the hash was %s and is %s", before, after)
	}
	got[*identityv1.SignInResponse](t)(s.signIn(s.home(), "chi", secret))
	if again := got[string](t)(s.HashedAs("chi")); again != after {
		t.Error("the password was hashed anew for nothing")
	}
}

func TestEverythingOutlivesARestart(t *testing.T) {
	s := open(t, nil)
	session := s.person("chi")
	out := s.person("via")
	_, err := s.SignOut(s.as(out), &identityv1.SignOutRequest{Parent: node})
	must(t, err)
	must(t, s.store.Close())
	s = openAt(t, s.folder, s.clock, s.clock.Now, nil)
	if _, err := s.verifier.Verify(session.GetAccessToken()); err != nil {
		t.Errorf("a token of before: %v", err)
	}
	if _, err := s.verifier.Verify(out.GetAccessToken()); err == nil {
		t.Error("a session that was ended is back")
	}
	got[*identityv1.Session](t)(s.refresh(session.GetRefreshToken()))
}

func TestKeysAreRenewedAndWatched(t *testing.T) {
	s := open(t, nil)
	session := s.person("chi")
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	stream := got[identityv1.KeyService_WatchKeysClient](t)(identityv1.NewKeyServiceClient(s.dial()).WatchKeys(ctx, &identityv1.WatchKeysRequest{}))
	receive := func() *identityv1.WatchKeysResponse {
		t.Helper()
		return got[*identityv1.WatchKeysResponse](t)(stream.Recv())
	}
	first := receive()
	if first.GetIssuer() != node || len(first.GetKeys()) != 1 || len(first.GetEndedSessions()) != 0 {
		t.Fatalf("watched %v", first)
	}
	_, err := s.SignOut(s.as(session), &identityv1.SignOutRequest{Parent: node})
	must(t, err)
	if ended := receive(); len(ended.GetEndedSessions()) != 1 {
		t.Fatalf("watched %v", ended)
	}
	s.clock.pass(10 * time.Minute)
	must(t, s.Tend(t.Context()))
	if later := receive(); len(later.GetEndedSessions()) != 0 {
		t.Errorf("a session whose tokens have expired is still named: %v", later)
	}
	signedWith := func() []byte {
		t.Helper()
		head, err := s.SignHead(store.AuditPlace{Sequence: 7, Hash: bytes.Repeat([]byte{1}, 32)}, store.Stamp{Time: s.clock.Now()})
		must(t, err)
		return head.GetPublicKey()
	}
	s.clock.pass(30 * 24 * time.Hour)
	must(t, s.Tend(t.Context()))
	two := receive()
	if len(two.GetKeys()) != 2 {
		t.Fatalf("watched %v", two)
	}
	// The new key is known for an hour before it is used, the old one until its last
	// token has expired.
	if !bytes.Equal(signedWith(), first.GetKeys()[0].GetPublicKey()) {
		t.Error("a key is used that nobody knows yet")
	}
	s.clock.pass(time.Hour)
	old := got[*identityv1.SignInResponse](t)(s.signIn(s.home(), "chi", secret)).GetSession()
	if !bytes.Equal(signedWith(), two.GetKeys()[1].GetPublicKey()) {
		t.Error("the new key is not used")
	}
	s.clock.pass(4 * time.Minute)
	must(t, s.Tend(t.Context()))
	if _, err := s.verifier.Verify(old.GetAccessToken()); err != nil {
		t.Errorf("a good token: %v", err)
	}
	s.clock.pass(3 * time.Minute)
	must(t, s.Tend(t.Context()))
	if one := receive(); len(one.GetKeys()) != 1 || !proto.Equal(one.GetKeys()[0], two.GetKeys()[1]) {
		t.Errorf("watched %v", one)
	}
}

func TestHeadsOfTheAuditLogAreSigned(t *testing.T) {
	s := open(t, nil)
	s.person("chi")
	must(t, s.store.SignAudit(t.Context(), s.SignHead))
	must(t, s.store.Close())
	report, err := audit.Verify(t.Context(), s.path(), audit.Against{})
	must(t, err)
	if len(report.Findings) > 0 || report.Heads != 1 || report.Signed != report.Entries {
		t.Errorf("the audit log has %+v", report)
	}
}

func TestNothingSpeaksOfPersonsInTheClear(t *testing.T) {
	s := open(t, nil)
	session := s.person("rosalia.belice@example.org")
	key := s.addTOTP(session)
	_, _ = s.signIn(s.home(), "rosalia.belice@example.org", "not the password")
	_, _ = s.signIn(s.home(), "someone.else@example.org", "not the password")
	must(t, s.store.Close())
	data := s.bytes()
	for _, text := range []string{
		"rosalia", "belice", "someone.else", "Nome di", secret, "not the password", key, "argon2id", "telefono",
		session.GetRefreshToken(), strings.Split(session.GetRefreshToken(), ".")[2], "192.0.2.1",
	} {
		if bytes.Contains(bytes.ToLower(data), []byte(strings.ToLower(text))) {
			t.Errorf("%q stands in the data file or in the log", text)
		}
	}
	if !bytes.Contains(data, []byte("accounts")) {
		t.Error("nothing was read")
	}
}

func TestWeakPasswords(t *testing.T) {
	for _, c := range []struct {
		password string
		weak     bool
	}{
		{secret, false},
		{"correct horse battery", false},
		{"Kx7!pQ2#mZ9w", false},
		{"molto corta", true},
		{strings.Repeat("abcdefgh ", 112), true},
		{"aaaaaaaaaaaaaaaa", true},
		{"abababababababab", true},
		{"123456789012", true},
		{"qwertyuiop123456", true},
		{"Qwerty123456!", true},
		{"abcdefghijklmnop", true},
		{"passwordpassword", true},
		{"password1234", true},
		{"il mio Banco.2 bello", true},
		{"viva Marsala e il mare", true},
		{"petrosino-rosso-vivo", false},
		{strings.Repeat("gatti e cani ", 80), true},
		{"con\xff byte che non sono", true},
	} {
		if problem := accounts.Weakness(c.password, "banco.2@example.org", "marsala"); (problem != "") != c.weak {
			t.Errorf("%q: %q", c.password, problem)
		}
	}
}
