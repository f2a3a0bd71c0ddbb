package mail_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"mime/quotedprintable"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/gen/adminv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/mail"
	"cidsistem.example/services/internal/persons"
	"cidsistem.example/services/internal/store"
	"cidsistem.example/services/platform/config"
)

const (
	waiting = adminv1.OutboundMessage_WAITING
	sent    = adminv1.OutboundMessage_SENT
	unknown = adminv1.OutboundMessage_UNKNOWN
	failed  = adminv1.OutboundMessage_FAILED
)

func newText(body []byte) io.Reader { return quotedprintable.NewReader(bytes.NewReader(body)) }

func TestAMessageIsSentOnceAndItsTextGoes(t *testing.T) {
	m := serve(t, "127.0.0.1:0", nil, false)
	o := open(t, settings(m.address))
	name := o.write("ada@example.org", "Perché è così:\n.\nhttps://portale.example/domande/segui\n")
	before := o.stands(name, waiting)
	if before.GetRecipientHint() != "a…@example.org" || before.GetAbout() != "comuni/marsala/requests/r1" || before.GetAttemptCount() != 0 {
		t.Errorf("it is shown as %v", before)
	}
	o.clock.pass(time.Second)
	must(t, o.SendDue(soon(t)))
	must(t, o.SendDue(soon(t)))
	after := o.stands(name, sent)
	if after.GetAttemptCount() != 1 || !after.GetSendTime().AsTime().Equal(o.clock.Now()) || after.GetNextAttemptTime() != nil || after.GetError() != "" {
		t.Errorf("it is shown as %v", after)
	}
	got := m.messages()
	if len(got) != 1 {
		t.Fatalf("the mail server took %d messages", len(got))
	}
	body, err := io.ReadAll(got[0].Body)
	must(t, err)
	subject, err := new(mime.WordDecoder).DecodeHeader(got[0].Header.Get("Subject"))
	must(t, err)
	if text := strings.ReplaceAll(string(body), "\r\n", "\n"); text != "Perché è così:\n.\nhttps://portale.example/domande/segui\n" || subject != "C'è una risposta" {
		t.Errorf("subject %q, text %q", subject, text)
	}
	for header, want := range map[string]string{
		"To": "<ada@example.org>", "From": `"Sportello di Marsala" <sportello@comune.example>`, "Auto-Submitted": "auto-generated", "Content-Language": "it",
		"Message-Id": "<" + name[strings.LastIndexByte(name, '/')+1:] + "@comune.example>",
	} {
		if got := got[0].Header.Get(header); got != want {
			t.Errorf("%s is %q, want %q", header, got, want)
		}
	}
	_, err = o.RetryMessage(t.Context(), &adminv1.RetryMessageRequest{Name: name})
	if apierror.Reason(err) != registryv1.ErrorReason_NOT_SUPPORTED_HERE {
		t.Errorf("a message that was sent can be sent again: %v", err)
	}
	if found := find(t, o, "ada@example.org"); len(found) != 0 {
		t.Errorf("the address stays in %v", found)
	}
}

// find looks a person up in the outbox.
func find(t *testing.T, o *office, text string) (names []string) {
	t.Helper()
	must(t, o.store.View(func(r store.Reader) error {
		return o.Persons().Find(r, persons.NewQuery(text), func(name string, _ []string) bool { names = append(names, name); return true })
	}))
	return names
}

func TestWithoutAMailServerMessagesWaitAndAreShown(t *testing.T) {
	o := open(t, nil)
	name := o.write("ada@example.org", "x")
	must(t, o.Run(soon(t)))
	o.clock.pass(10 * 24 * time.Hour)
	o.stands(name, waiting)
	m := serve(t, "127.0.0.1:0", nil, false)
	o = o.again(settings(m.address))
	must(t, o.SendDue(soon(t)))
	o.stands(name, sent)
}

func TestAMailServerThatIsDownIsTriedAgainForThreeDays(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	address := listener.Addr().String()
	must(t, listener.Close())
	o := open(t, settings(address))
	first := o.write("ada@example.org", "prima")
	o.clock.pass(time.Second)
	second := o.write("bea@example.org", "seconda")
	if err := o.SendDue(soon(t)); err == nil {
		t.Fatal("a mail server that is not there takes messages")
	}
	tried := o.stands(first, waiting)
	if tried.GetAttemptCount() != 1 || tried.GetError() == "" || !tried.GetNextAttemptTime().AsTime().Equal(o.clock.Now().Add(time.Minute)) {
		t.Errorf("it is shown as %v", tried)
	}
	if o.find(second).GetAttemptCount() != 0 {
		t.Error("a mail server that is away is asked for every message")
	}
	// Back again: each goes once.
	m := serve(t, address, nil, false)
	o.clock.pass(time.Minute)
	must(t, o.SendDue(soon(t)))
	o.stands(first, sent)
	o.stands(second, sent)
	must(t, m.server.Close())

	third := o.write("cia@example.org", "terza")
	var pauses []time.Duration
	for range 60 {
		if err := o.SendDue(soon(t)); err == nil {
			t.Fatal("a mail server that is not there takes messages")
		}
		message := o.find(third)
		if message.GetState() != waiting {
			break
		}
		pause := message.GetNextAttemptTime().AsTime().Sub(o.clock.Now())
		pauses = append(pauses, pause)
		o.clock.pass(pause)
	}
	o.stands(third, failed)
	var total time.Duration
	for i, pause := range pauses {
		if total += pause; i > 0 && pause < pauses[i-1] {
			t.Errorf("pauses shrink: %v", pauses)
		}
	}
	if total > 72*time.Hour || total < 60*time.Hour {
		t.Errorf("it was tried for %v", total)
	}
	if got := len(m.messages()); got != 2 {
		t.Errorf("the mail server took %d messages", got)
	}
	// Somebody says that it shall be sent all the same.
	serve(t, address, nil, false)
	_, err = o.RetryMessage(t.Context(), &adminv1.RetryMessageRequest{Name: third})
	must(t, err)
	must(t, o.SendDue(soon(t)))
	o.stands(third, sent)
}

func TestWhatTheMailServerAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		rcpt, data func(*smtp.Conn) error
		want       adminv1.OutboundMessage_State
	}{
		"a recipient that is none":      {rcpt: answering(550), want: failed},
		"a recipient that is busy":      {rcpt: answering(450), want: waiting},
		"a message that is not wanted":  {data: answering(554), want: failed},
		"a message that has to wait":    {data: answering(451), want: waiting},
		"a line that breaks before":     {rcpt: breaking, want: waiting},
		"a line that breaks afterwards": {data: breaking, want: unknown},
	} {
		t.Run(name, func(t *testing.T) {
			m := serve(t, "127.0.0.1:0", nil, false)
			m.set(func() { m.rcpt, m.data = c.rcpt, c.data })
			o := open(t, settings(m.address))
			message := o.write("ada@example.org", "x")
			broken := o.SendDue(soon(t))
			got := o.stands(message, c.want)
			if strings.Contains(got.GetError(), "ada@example.org") {
				t.Errorf("the error tells the address: %s", got.GetError())
			}
			if got.GetError() == "" || got.GetAttemptCount() != 1 || (got.GetNextAttemptTime() != nil) != (c.want == waiting) {
				t.Errorf("it is shown as %v after %v", got, broken)
			}
			// The mail server is well again: what waits is sent, nothing else is.
			m.set(func() { m.rcpt, m.data = nil, nil })
			o.clock.pass(5 * time.Hour)
			must(t, o.SendDue(soon(t)))
			want := 0
			if c.want == waiting {
				want = 1
				o.stands(message, sent)
			} else {
				o.stands(message, c.want)
			}
			if len(m.messages()) != want {
				t.Errorf("the mail server took %d messages, want %d", len(m.messages()), want)
			}
			if c.want == waiting {
				return
			}
			_, err := o.RetryMessage(t.Context(), &adminv1.RetryMessageRequest{Name: message})
			must(t, err)
			must(t, o.SendDue(soon(t)))
			o.stands(message, sent)
			if len(m.messages()) != 1 {
				t.Errorf("the mail server took %d messages", len(m.messages()))
			}
		})
	}
}

func answering(code int) func(*smtp.Conn) error {
	return func(*smtp.Conn) error { return &smtp.SMTPError{Code: code, Message: "<ada@example.org>: no"} }
}

func breaking(c *smtp.Conn) error {
	_ = c.Conn().Close()
	return errors.New("broken")
}

// A mail server that says nothing is not waited for beyond the deadline.
func TestASlowMailServer(t *testing.T) {
	for name, want := range map[string]adminv1.OutboundMessage_State{"before": waiting, "afterwards": unknown} {
		t.Run(name, func(t *testing.T) {
			m := serve(t, "127.0.0.1:0", nil, false)
			over := make(chan struct{})
			hang := func(*smtp.Conn) error { <-over; return errors.New("too late") }
			m.set(func() {
				if m.data = hang; want == waiting {
					m.rcpt, m.data = hang, nil
				}
			})
			s := settings(m.address)
			s.Timeout = config.Duration(40 * time.Millisecond)
			o := open(t, s)
			message := o.write("ada@example.org", "x")
			err := o.SendDue(soon(t))
			close(over)
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("got %v", err)
			}
			o.stands(message, want)
		})
	}
}

// Whenever the process is killed, a message is sent once, or waits, or it is
// said that nobody knows.
func TestKilledWhileSending(t *testing.T) {
	for name, c := range map[string]struct {
		afterwards bool
		want       adminv1.OutboundMessage_State
		then       adminv1.OutboundMessage_State
	}{
		"before the end of the message": {afterwards: false, want: waiting, then: sent},
		"after the end of the message":  {afterwards: true, want: unknown, then: unknown},
	} {
		t.Run(name, func(t *testing.T) {
			m := serve(t, "127.0.0.1:0", nil, false)
			o := open(t, settings(m.address))
			message := o.write("ada@example.org", "x")
			kill := func(*smtp.Conn) error { o.lose.Store(true); return nil }
			m.set(func() {
				if m.data = kill; !c.afterwards {
					m.rcpt, m.data = kill, nil
				}
			})
			if err := o.SendDue(soon(t)); err == nil {
				t.Fatal("nothing was killed")
			}
			m.set(func() { m.rcpt, m.data = nil, nil })
			o = o.again(settings(m.address))
			must(t, o.SendDue(soon(t))) // a start that is killed again and again does not hammer
			o.stands(message, c.want)
			o.clock.pass(24 * time.Hour)
			must(t, o.SendDue(soon(t)))
			o.stands(message, c.then)
			if len(m.messages()) != 1 {
				t.Errorf("the mail server took %d messages", len(m.messages()))
			}
		})
	}
}

// A server that stops while a message is on its way waits for the answer, and
// begins nothing new.
func TestStoppedWhileSending(t *testing.T) {
	m := serve(t, "127.0.0.1:0", nil, false)
	o := open(t, settings(m.address))
	first := o.write("ada@example.org", "x")
	o.clock.pass(time.Second)
	second := o.write("bea@example.org", "y")
	ctx, stop := context.WithCancel(t.Context())
	m.set(func() { m.data = func(*smtp.Conn) error { stop(); return nil } })
	must(t, o.Run(ctx))
	o.stands(first, sent)
	o.stands(second, waiting)
}

// The sender notices what is put into the outbox while it runs.
func TestTheSenderIsRung(t *testing.T) {
	m := serve(t, "127.0.0.1:0", nil, false)
	taken := make(chan struct{}, 3)
	m.set(func() { m.data = func(*smtp.Conn) error { taken <- struct{}{}; return nil } })
	o := open(t, settings(m.address))
	ctx, stop := context.WithCancel(soon(t))
	ended := make(chan error)
	go func() { ended <- o.Run(ctx) }()
	for range 3 {
		o.write("ada@example.org", "x")
		select {
		case <-taken:
		case <-ctx.Done():
			t.Fatal("nothing is sent")
		}
	}
	stop()
	must(t, <-ended)
}

func TestEncryptedAndSignedIn(t *testing.T) {
	with, ca := certificate(t)
	password := filepath.Join(t.TempDir(), "password")
	must(t, os.WriteFile(password, []byte("apriti\n"), 0o600))
	for _, way := range []string{"starttls", "implicit"} {
		for wants, want := range map[string]adminv1.OutboundMessage_State{"apriti": sent, "altro": waiting} {
			t.Run(way+"/"+wants, func(t *testing.T) {
				m := serve(t, "127.0.0.1:0", with, way == "implicit")
				m.wants = wants
				s := settings(m.address)
				s.TLS, s.CAFile, s.User, s.PasswordFile = way, ca, "sportello", password
				o := open(t, s)
				message := o.write("ada@example.org", "x")
				_ = o.SendDue(soon(t))
				o.stands(message, want)
			})
		}
		t.Run(way+"/somebody else's certificate", func(t *testing.T) {
			m := serve(t, "127.0.0.1:0", with, way == "implicit")
			s := settings(m.address)
			_, s.CAFile = certificate(t)
			s.TLS = way
			o := open(t, s)
			message := o.write("ada@example.org", "x")
			if err := o.SendDue(soon(t)); err == nil {
				t.Error("it is believed")
			}
			o.stands(message, waiting)
		})
	}
	t.Run("no STARTTLS on offer", func(t *testing.T) {
		m := serve(t, "127.0.0.1:0", nil, false)
		s := settings(m.address)
		s.TLS = "starttls"
		o := open(t, s)
		message := o.write("ada@example.org", "x")
		if err := o.SendDue(soon(t)); err == nil || len(m.messages()) != 0 {
			t.Errorf("sent in plain text: %v", err)
		}
		o.stands(message, waiting)
	})
}

func TestAnAddressThatIsNoneFailsAtOnce(t *testing.T) {
	o := open(t, nil)
	for _, to := range []string{"", "ada", "ada@", "ada@example.org\r\nBcc: x@example.org"} {
		o.stands(o.write(to, "x"), failed)
	}
}

func TestListAndPurge(t *testing.T) {
	o := open(t, nil)
	var names []string
	for range 5 {
		names = append(names, o.write("ada@example.org", "x"))
		o.clock.pass(time.Hour)
	}
	bad := o.write("nessuno", "x")
	answer, err := o.ListMessages(t.Context(), &adminv1.ListMessagesRequest{Parent: node, PageSize: 4, State: waiting})
	must(t, err)
	var got []string
	for _, m := range answer.GetMessages() {
		got = append(got, m.GetName())
	}
	answer, err = o.ListMessages(t.Context(), &adminv1.ListMessagesRequest{Parent: node, PageSize: 4, State: waiting, PageToken: answer.GetNextPageToken()})
	must(t, err)
	for _, m := range answer.GetMessages() {
		got = append(got, m.GetName())
	}
	if want := []string{names[4], names[3], names[2], names[1], names[0]}; strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("the list is\n%v\nwant\n%v", got, want)
	}
	if found := find(t, o, "ada@example.org"); len(found) != 5 {
		t.Errorf("the address is found in %v", found)
	}
	_, err = o.ListMessages(t.Context(), &adminv1.ListMessagesRequest{Parent: "nodes/trapani"})
	if apierror.Reason(err) != registryv1.ErrorReason_RESOURCE_NOT_FOUND {
		t.Errorf("another node's messages: %v", err)
	}
	o.clock.pass(mail.Retention - 2*time.Hour)
	gone, err := o.Purge(t.Context())
	must(t, err)
	if gone != 4 { // those of the first four hours; the fifth is an hour younger
		t.Errorf("%d messages went", gone)
	}
	o.clock.pass(3 * time.Hour)
	gone, err = o.Purge(t.Context())
	must(t, err)
	if gone != 2 {
		t.Errorf("%d messages went", gone)
	}
	for _, area := range []string{"mail", "mail-due"} {
		must(t, o.store.View(func(r store.Reader) error {
			for key := range r.LocalEntries(area, "") {
				t.Errorf("an entry of %s stays: %s", key.Area, key.ID)
			}
			return nil
		}))
	}
	_ = bad
}

func TestSettingsThatAreWrong(t *testing.T) {
	for name, change := range map[string]func(*mail.Settings){
		"no host":                     func(s *mail.Settings) { s.Host = "" },
		"plain text to another place": func(s *mail.Settings) { s.Host = "posta.example.org" },
		"a way that is none":          func(s *mail.Settings) { s.TLS = "ssl" },
		"a user without a password":   func(s *mail.Settings) { s.User = "x" },
		"a sender that is none":       func(s *mail.Settings) { s.From = "sportello" },
		"a port that is none":         func(s *mail.Settings) { s.Port = 70000 },
	} {
		s := settings("127.0.0.1:25")
		must(t, s.Validate())
		if change(s); s.Validate() == nil {
			t.Errorf("%s is taken", name)
		}
	}
}
