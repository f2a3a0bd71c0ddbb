package e2e

import (
	"context"
	"fmt"
	"html"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/metadata"

	"cidsistem.example/deploy/demo"
	"cidsistem.example/proto/gen/deskv1"
)

// A form of the portal, as a browser without scripts has it.
type form struct {
	address string
	fields  url.Values
	// page is what the last answer was, in words.
	page   string
	status int
}

var (
	hiddenField = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`)
	privateCode = regexp.MustCompile(`id="codice" dir="ltr">([^<]+)<`)
)

// load asks for a page, or posts what the form has and what is typed.
func (f *form) load(ctx context.Context, typed ...string) error {
	var body io.Reader
	method, kind := http.MethodGet, ""
	if f.fields != nil {
		for i := 0; i+1 < len(typed); i += 2 {
			f.fields.Set(typed[i], typed[i+1])
		}
		method, kind, body = http.MethodPost, "application/x-www-form-urlencoded", strings.NewReader(f.fields.Encode())
	}
	request, err := http.NewRequestWithContext(ctx, method, f.address, body)
	if err != nil {
		return err
	}
	request.Header.Set("Accept", "text/html")
	if kind != "" {
		request.Header.Set("Content-Type", kind)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	f.page, f.status = string(text), answer.StatusCode
	f.address, _, _ = strings.Cut(f.address, "?")
	f.fields = url.Values{}
	for _, field := range hiddenField.FindAllStringSubmatch(f.page, -1) {
		f.fields.Set(field[1], html.UnescapeString(field[2]))
	}
	return nil
}

// code is the private code on a receipt, empty on any other page.
func (f *form) code() string {
	if found := privateCode.FindStringSubmatch(f.page); found != nil && f.status == http.StatusOK {
		return found[1]
	}
	return ""
}

// sent sends a filled form. Whatever the answer is, it is a receipt or says that nothing was taken, with all that was typed.
func (f *form) sent(ctx context.Context, text string) (code string, err error) {
	again := url.Values{}
	for name, values := range f.fields {
		again[name] = values
	}
	if err := f.load(ctx, "vai", "invia"); err != nil {
		return "", err
	}
	if code := f.code(); code != "" {
		f.fields = again // a double tap, a reload: the same form once more
		return code, nil
	}
	if !strings.Contains(f.page, html.EscapeString(text)) || f.fields.Get("richiesta") != again.Get("richiesta") {
		return "", fmt.Errorf("status %d, and what was typed is lost:\n%s", f.status, f.page)
	}
	notTaken := strings.Contains(f.page, "conta come non presa") || strings.Contains(f.page, "La richiesta non è ancora partita")
	if !notTaken || !strings.Contains(f.page, ">Riprova<") {
		return "", fmt.Errorf("status %d, neither taken nor not:\n%s", f.status, f.page)
	}
	return "", nil
}

// filled goes through the questions up to the page that sends.
func filled(ctx context.Context, portal, text string) (*form, error) {
	f := &form{address: "http://" + portal + "/chiedi/?comune=marsala&tipo=informazioni"}
	for _, typed := range [][]string{nil, {"testo", text}, {"per", "me"}, {"canale", "code_only"}} {
		if err := f.load(ctx, typed...); err != nil {
			return nil, err
		}
	}
	if !strings.Contains(f.page, `value="invia"`) {
		return nil, fmt.Errorf("the questions do not lead to the end:\n%s", f.page)
	}
	return f, nil
}

// TestAskedWhileKilled proves that a request which is sent from the portal through the ufficio comune, while the comune's node is
// killed before it arrives, while it is written or after it was, is there exactly once with the code that the page shows; and that
// every other answer says that it was not taken and keeps what was typed.
func TestAskedWhileKilled(t *testing.T) {
	const comune, during = "marsala", 30
	f := start(t, demo.Options{})
	node, ctx := f.Nodes[comune], t.Context()
	type question struct {
		*form
		text, kill string
	}
	var all []question
	for i := range during + 4 {
		kill := "during"
		switch {
		case i < 2:
			kill = "before"
		case i < 4:
			kill = "after"
		}
		text := fmt.Sprintf("Domanda %d: chi accompagna mio figlio a scuola?", i)
		asked, err := filled(ctx, f.HTTP(), text)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, question{asked, text, kill})
	}

	codes := map[string]string{}
	refused := 0
	for _, q := range all {
		send := func() string {
			bounded, cancel := context.WithTimeout(ctx, 15*time.Second)
			defer cancel()
			code, err := q.sent(bounded, q.text)
			if err != nil {
				t.Fatalf("%s (killed %s): %v", q.text, q.kill, err)
			}
			return code
		}
		var code string
		switch q.kill {
		case "before":
			node.Kill()
			if code = send(); code != "" {
				t.Errorf("%s: taken by a node that is dead", q.text)
			}
		case "during":
			dead := make(chan struct{})
			go func() {
				defer close(dead)
				pause(t, rand.N(6*time.Millisecond))
				node.Kill()
			}()
			code = send()
			<-dead
		case "after":
			soon(t, 10*time.Second, func(context.Context) error {
				if code = send(); code == "" {
					return fmt.Errorf("status %d", q.status)
				}
				return nil
			})
			node.Kill()
		}
		if code == "" {
			refused++
		}
		if err := f.Resume(ctx, comune); err != nil {
			t.Fatal(err)
		}
		// The person tries again until there is a receipt, and once more by mistake.
		var again string
		soon(t, 20*time.Second, func(context.Context) error {
			if again = send(); again == "" {
				return fmt.Errorf("status %d", q.status)
			}
			return nil
		})
		if code != "" && again != code {
			t.Errorf("%s: the code was %s, and is %s", q.text, code, again)
		}
		if repeated := send(); repeated != again {
			t.Errorf("%s: the code was %s, and is %q", q.text, again, repeated)
		}
		codes[q.text] = again
	}

	// Each is there once, and its code leads to it.
	token, err := f.Token(ctx, comune)
	if err != nil {
		t.Fatal(err)
	}
	desk := deskv1.NewRequestServiceClient(f.local(t, comune))
	list, err := desk.ListRequests(metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token), &deskv1.ListRequestsRequest{Parent: "comuni/" + comune, PageSize: 1000})
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]int{}
	for _, request := range list.GetRequests() {
		there[request.GetName()]++
	}
	if len(there) != len(all) || len(list.GetRequests()) != len(all) {
		t.Errorf("%d requests are there, %d were made", len(list.GetRequests()), len(all))
	}
	for _, q := range all {
		found, err := desk.LookUpRequest(ctx, &deskv1.LookUpRequestRequest{Parent: "comuni/" + comune, Code: codes[q.text]})
		if err != nil || found.GetText() != q.text || there[found.GetName()] != 1 {
			t.Errorf("the code of %q leads to %q, which is there %d times (%v)", q.text, found.GetText(), there[found.GetName()], err)
		}
	}
	t.Logf("%d requests, each with a kill: %d answers said first that nothing was taken", len(all), refused)
}
