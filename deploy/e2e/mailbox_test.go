package e2e

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
)

// A mailbox is a mail server on loopback that keeps what it is handed.
type mailbox struct {
	// address is that of the mail server; http where what it took can be read.
	address, http string

	mu    sync.Mutex
	taken []letter
}

// A letter as it came.
type letter struct {
	To   []string
	Text string
}

// startMailbox runs a mail server until the test ends. GET ?to=ADDRESS at its HTTP address answers with what came for somebody.
func startMailbox(t *testing.T) *mailbox {
	t.Helper()
	m := &mailbox{}
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := smtp.NewServer(m)
	server.Domain, server.ReadTimeout, server.WriteTimeout, server.MaxMessageBytes = "localhost", 10*time.Second, 10*time.Second, 1<<20
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	readable := httptest.NewServer(http.HandlerFunc(m.read))
	t.Cleanup(func() {
		readable.Close()
		_ = server.Close()
		<-ended
	})
	m.address, m.http = listener.Addr().String(), readable.URL
	return m
}

func (m *mailbox) read(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	defer m.mu.Unlock()
	found := []letter{}
	for _, one := range m.taken {
		for _, to := range one.To {
			if strings.EqualFold(to, r.FormValue("to")) {
				found = append(found, one)
			}
		}
	}
	_ = json.NewEncoder(w).Encode(found)
}

// NewSession begins to take letters.
func (m *mailbox) NewSession(*smtp.Conn) (smtp.Session, error) { return &delivery{box: m}, nil }

// A delivery is one letter on its way in.
type delivery struct {
	box *mailbox
	to  []string
}

// Mail names the sender.
func (d *delivery) Mail(string, *smtp.MailOptions) error { return nil }

// Rcpt names who the letter is for.
func (d *delivery) Rcpt(to string, _ *smtp.RcptOptions) error {
	d.to = append(d.to, to)
	return nil
}

// Data takes the letter.
func (d *delivery) Data(text io.Reader) error {
	all, err := io.ReadAll(text)
	if err != nil {
		return err
	}
	d.box.mu.Lock()
	defer d.box.mu.Unlock()
	d.box.taken = append(d.box.taken, letter{d.to, string(all)})
	return nil
}

// Reset forgets a letter that was begun.
func (d *delivery) Reset() { d.to = nil }

// Logout ends the session.
func (d *delivery) Logout() error { return nil }
