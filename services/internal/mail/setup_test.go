package mail_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	netmail "net/mail"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"cidsistem.example/proto/gen/adminv1"
	"cidsistem.example/services/internal/mail"
	"cidsistem.example/services/internal/store"
	"cidsistem.example/services/internal/vault"
	"cidsistem.example/services/platform/config"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A mailServer is a real SMTP server that a test can make refuse, hang or break.
type mailServer struct {
	t       testing.TB
	address string
	server  *smtp.Server

	mu    sync.Mutex
	taken []*netmail.Message
	// rcpt and data, when set, are asked at those commands; data after the whole
	// message came.
	rcpt, data func(*smtp.Conn) error
	// wants is the password that it asks for; empty: none.
	wants string
}

// serve starts a mail server; TLS is that of the settings.
func serve(t testing.TB, address string, with *tls.Config, implicit bool) *mailServer {
	t.Helper()
	m := &mailServer{t: t}
	m.server = smtp.NewServer(m)
	m.server.Domain, m.server.TLSConfig, m.server.ErrorLog = "posta.test", with, slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	m.server.AllowInsecureAuth = with == nil
	listener, err := net.Listen("tcp", address)
	must(t, err)
	m.address = listener.Addr().String()
	if implicit {
		listener = tls.NewListener(listener, with)
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = m.server.Serve(listener) }()
	t.Cleanup(func() { _ = m.server.Close(); <-done })
	return m
}

func (m *mailServer) messages() []*netmail.Message {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.taken
}

func (m *mailServer) set(change func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change()
}

func (m *mailServer) NewSession(c *smtp.Conn) (smtp.Session, error) { return &session{m, c}, nil }

type session struct {
	m *mailServer
	c *smtp.Conn
}

func (s *session) AuthMechanisms() []string {
	if s.m.wants == "" {
		return nil
	}
	return []string{sasl.Plain}
}

func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != "sportello" || password != s.m.wants {
			return smtp.ErrAuthFailed
		}
		return nil
	}), nil
}

func (s *session) Reset()                               {}
func (s *session) Logout() error                        { return nil }
func (s *session) Mail(string, *smtp.MailOptions) error { return nil }
func (s *session) Rcpt(_ string, _ *smtp.RcptOptions) error {
	s.m.mu.Lock()
	ask := s.m.rcpt
	s.m.mu.Unlock()
	if ask != nil {
		return ask(s.c)
	}
	return nil
}

func (s *session) Data(r io.Reader) error {
	message, err := netmail.ReadMessage(r)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(message.Body)
	if err != nil {
		return err // the client went before the end: nothing was taken
	}
	s.m.mu.Lock()
	ask := s.m.data
	s.m.mu.Unlock()
	if ask != nil {
		if err := ask(s.c); err != nil {
			return err
		}
	}
	message.Body = newText(body)
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	s.m.taken = append(s.m.taken, message)
	return nil
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

const node = "nodes/marsala"

// An office has an outbox and what it stands on.
type office struct {
	*mail.Outbox
	t     testing.TB
	dir   string
	clock *clock
	store *store.Store
	vault *vault.Vault
	lose  atomic.Bool // the process is killed at its next write
}

func settings(address string) *mail.Settings {
	host, port, _ := net.SplitHostPort(address)
	number, _ := strconv.Atoi(port)
	return &mail.Settings{
		Host: host, Port: number, TLS: "none", From: "Sportello di Marsala <sportello@comune.example>",
		Timeout: config.Duration(10 * time.Second), Every: config.Duration(time.Hour),
	}
}

func open(t testing.TB, with *mail.Settings) *office {
	t.Helper()
	return openIn(t, t.TempDir(), &clock{now: time.Date(2026, 11, 23, 8, 0, 0, 5e8, time.UTC)}, with)
}

func openIn(t testing.TB, dir string, c *clock, with *mail.Settings) *office {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	o := &office{t: t, dir: dir, clock: c}
	s, err := store.Open(store.Options{
		Path: filepath.Join(dir, "registry.db"), ServerID: "marsala", Comune: "marsala", Now: c.Now, NoSync: true, Logger: log,
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
	o.store, o.vault = s, v
	o.Outbox, err = mail.New(mail.Options{Store: s, Vault: v, Settings: with, Logger: log})
	must(t, err)
	return o
}

// again opens the files of an office once more, as after a kill.
func (o *office) again(with *mail.Settings) *office {
	o.t.Helper()
	_ = o.store.Close()
	return openIn(o.t, o.dir, o.clock, with)
}

// write puts a message into the outbox, and returns its name.
func (o *office) write(to, text string) string {
	o.t.Helper()
	var name string
	_, err := o.store.Commit(o.t.Context(), store.Request{}, nil, func(_ store.Reader, stamp store.Stamp) (store.Outcome, error) {
		var puts []store.LocalPut
		var err error
		name, puts, err = o.Put(mail.Message{To: to, Subject: "C'è una risposta", Text: text, About: "comuni/marsala/requests/r1"}, stamp)
		return store.Outcome{Local: puts}, err
	})
	must(o.t, err)
	return name
}

// find reads a message as people see it.
func (o *office) find(name string) *adminv1.OutboundMessage {
	o.t.Helper()
	for token := ""; ; {
		answer, err := o.ListMessages(o.t.Context(), &adminv1.ListMessagesRequest{Parent: node, PageToken: token})
		must(o.t, err)
		for _, message := range answer.GetMessages() {
			if message.GetName() == name {
				return message
			}
		}
		if token = answer.GetNextPageToken(); token == "" {
			o.t.Fatalf("%s is not there", name)
		}
	}
}

// stands fails unless a message is in a state.
func (o *office) stands(name string, want adminv1.OutboundMessage_State) *adminv1.OutboundMessage {
	o.t.Helper()
	got := o.find(name)
	if got.GetState() != want {
		o.t.Errorf("the message is %s (%s), want %s", got.GetState(), got.GetError(), want)
	}
	return got
}

// certificate makes one for 127.0.0.1, and writes it to a file.
func certificate(t testing.TB) (*tls.Config, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "posta.test"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	must(t, err)
	path := filepath.Join(t.TempDir(), "ca.crt")
	must(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12}, path
}

func soon(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}
