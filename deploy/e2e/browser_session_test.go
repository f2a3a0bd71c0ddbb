package e2e

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"cidsistem.example/deploy/demo"
)

// A browser keeps the session cookie as browsers do, but sends it over plain HTTP
// on loopback too.
type browser struct {
	t       *testing.T
	address string
	cookie  *http.Cookie
}

// send makes a request and takes the cookie of the answer.
func (b *browser) send(method, path, contentType, body string, header ...string) (*http.Response, string) {
	b.t.Helper()
	request, err := http.NewRequestWithContext(b.t.Context(), method, "http://"+b.address+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		request.Header.Set(name, value)
	}
	if b.cookie != nil {
		request.Header.Set("Cookie", b.cookie.Name+"="+b.cookie.Value)
	}
	response, err := http.DefaultTransport.RoundTrip(request) // follows no redirect
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, cookie := range response.Cookies() {
		b.cookie = cookie
		if cookie.MaxAge < 0 {
			b.cookie = nil
		}
	}
	return response, string(text)
}

// TestSessionOfABrowser proves that a browser is signed in by a cookie which no
// script can read and no other site can use, and is signed out for good.
func TestSessionOfABrowser(t *testing.T) {
	f, _ := sharedFederation(t)
	person := f.People()["marsala"]
	b := &browser{t: t, address: f.HTTP()}
	signIn, err := json.Marshal(map[string]string{"login": person.Login, "password": person.Password})
	if err != nil {
		t.Fatal(err)
	}

	// Over the API, the tokens go into the cookie and nowhere else.
	response, body := b.send(http.MethodPost, "/v1/nodes/marsala:signIn", "application/json", string(signIn), "Cid-Session: cookie")
	if response.StatusCode != http.StatusOK || strings.Contains(body, "oken\":\"") || !strings.Contains(body, "comuni/marsala") {
		t.Fatalf("sign in: %d %s", response.StatusCode, body)
	}
	c := b.cookie
	if c == nil || !strings.HasPrefix(c.Name, "__Host-") || !c.HttpOnly || !c.Secure || c.Path != "/" || c.Domain != "" || c.SameSite != http.SameSiteLaxMode {
		t.Fatalf("the cookie is %v", c)
	}
	write := func(header ...string) int {
		service := `{"title": {"it": "` + unique("scritto") + `"}, "status": {"state": "ACTIVE"}}`
		response, _ := b.send(http.MethodPost, "/v1/comuni/marsala/services", "application/json", service, header...)
		return response.StatusCode
	}
	if got := write("Sec-Fetch-Site: same-origin"); got != http.StatusCreated {
		t.Errorf("a write with the cookie: %d", got)
	}
	for _, foreign := range [][]string{{"Sec-Fetch-Site: cross-site"}, {"Sec-Fetch-Site: same-site"}, {"Origin: https://altrove.example"}} {
		if got := write(foreign...); got != http.StatusForbidden {
			t.Errorf("a write by a page of another site, %v: %d", foreign, got)
		}
	}
	response, body = b.send(http.MethodGet, "/v1/nodes/marsala:ownAccount", "", "")
	if response.StatusCode != http.StatusOK || !strings.Contains(body, person.Login) || response.Header.Get("Cache-Control") != "private, no-store" {
		t.Errorf("the own account: %d %v %s", response.StatusCode, response.Header, body)
	}
	if vary := strings.Join(response.Header.Values("Vary"), ", "); !strings.Contains(vary, "Cookie") {
		t.Errorf("answers may be taken for others': Vary is %q", vary)
	}

	// After signing out the cookie of before is worth nothing.
	if response, body := b.send(http.MethodPost, "/v1/nodes/marsala:signOut", "application/json", "{}"); response.StatusCode != http.StatusOK || b.cookie != nil {
		t.Errorf("sign out: %d %s, cookie %v", response.StatusCode, body, b.cookie)
	}
	b.cookie = c
	if got := write(); got != http.StatusUnauthorized || b.cookie != nil {
		t.Errorf("a write with a session that has ended: %d, cookie %v", got, b.cookie)
	}
	b.cookie = &http.Cookie{Name: c.Name, Value: "nonsense"}
	if response, _ := b.send(http.MethodGet, "/v1/comuni/marsala", "", ""); response.StatusCode != http.StatusOK || b.cookie != nil {
		t.Errorf("reading with a cookie that is none: %d, cookie %v", response.StatusCode, b.cookie)
	}
}

// TestSignInPages proves the same with forms, which need no script.
func TestSignInPages(t *testing.T) {
	f, _ := sharedFederation(t)
	person := f.People()["pantelleria"]
	b := &browser{t: t, address: f.HTTP()}
	const form = "application/x-www-form-urlencoded"
	for _, page := range []string{"/accesso/", "/accesso/invito?nodo=marsala&codice=ABCD", "/permessi/"} {
		response, body := b.send(http.MethodGet, page, "", "")
		if response.StatusCode != http.StatusOK || !strings.Contains(body, `lang="it"`) || strings.Contains(body, "<script>") { // scripts are files of ours, and forms work without
			t.Errorf("%s: %d", page, response.StatusCode)
		}
	}
	// Comuni have their names; who comes with a link finds what it names.
	_, page := b.send(http.MethodGet, "/accesso/?nodo="+demo.Office, "", "")
	for _, option := range []string{`value="mazara-del-vallo">Mazara del Vallo<`, `value="` + demo.Office + `" selected>`} {
		if !strings.Contains(page, option) {
			t.Errorf("the page lacks %s", option)
		}
	}
	fields := url.Values{"nodo": {"pantelleria"}, "utente": {person.Login}, "password": {"sbagliata"}}
	response, body := b.send(http.MethodPost, "/accesso/", form, fields.Encode())
	if response.StatusCode != http.StatusUnauthorized || !strings.Contains(body, `role="alert"`) || strings.Contains(body, "sbagliata") || b.cookie != nil {
		t.Errorf("a wrong password: %d", response.StatusCode)
	}
	fields.Set("password", person.Password)
	if response, _ := b.send(http.MethodPost, "/accesso/", form, fields.Encode(), "Sec-Fetch-Site: cross-site"); response.StatusCode != http.StatusForbidden {
		t.Errorf("a form of another site: %d", response.StatusCode)
	}
	if response, _ := b.send(http.MethodPost, "/accesso/", form, fields.Encode()); response.StatusCode != http.StatusSeeOther || b.cookie == nil {
		t.Fatalf("sign in: %d", response.StatusCode)
	}
	if _, body := b.send(http.MethodGet, "/accesso/", "", ""); !strings.Contains(body, "Redazione di Pantelleria") {
		t.Error("the page does not say who is signed in")
	}
	if response, _ := b.send(http.MethodPost, "/accesso/esci", form, ""); response.StatusCode != http.StatusSeeOther || b.cookie != nil {
		t.Errorf("sign out: %d, cookie %v", response.StatusCode, b.cookie)
	}
	if _, body := b.send(http.MethodGet, "/accesso/", "", ""); !strings.Contains(body, `name="password"`) {
		t.Error("after signing out nobody can sign in")
	}
}

// TestNothingSecretIsLogged looks for what tests of this run sent in the logs of
// all processes.
func TestNothingSecretIsLogged(t *testing.T) {
	f, _ := sharedFederation(t)
	var secrets []string
	for _, comune := range demo.Comuni {
		token, err := f.Token(t.Context(), comune.ID)
		if err != nil {
			t.Fatal(err)
		}
		secrets = append(secrets, f.People()[comune.ID].Password, token)
	}
	logs := f.logs(t)
	if len(logs) == 0 {
		t.Fatal("there are no logs")
	}
	for name, text := range logs {
		if i := slices.IndexFunc(secrets, func(secret string) bool { return bytes.Contains(text, []byte(secret)) }); i >= 0 {
			t.Errorf("the log of %s has a secret", name)
		}
	}
}
