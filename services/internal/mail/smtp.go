package mail

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"
)

// errUnanswered says that a message was handed over whole, and that the mail
// server did not say whether it took it.
var errUnanswered = errors.New("the mail server did not say whether it took the message")

// A refusal is what is wrong with a message itself: no fault of the connection.
type refusal struct {
	text string
	// permanent tells that it is no use to try again.
	permanent bool
}

func (r *refusal) Error() string { return r.text }

// ofMessage makes a refusal of what the mail server answered about a message.
func ofMessage(err error) error {
	var answered *textproto.Error
	if errors.As(err, &answered) && answered.Code >= 400 {
		return &refusal{text: fmt.Sprintf("the mail server answered: %.300s", strings.ToValidUTF8(answered.Error(), "")), permanent: answered.Code >= 500}
	}
	return err
}

// grace is how long the answer to a whole message is waited for when the server
// stops.
const grace = 3 * time.Second

// A link is a connection to a mail server of which each step has its deadline.
type link struct {
	ctx     context.Context
	conn    net.Conn
	timeout time.Duration
}

// step begins a step.
func (l link) step(steps time.Duration) error {
	if err := l.ctx.Err(); err != nil {
		return err
	}
	return l.conn.SetDeadline(time.Now().Add(l.timeout * steps))
}

// hand hands a message to the mail server. Just before the end of the message,
// which the mail server may take, it calls last; when that fails, the mail
// server gets no end.
func (o *Outbox) hand(ctx context.Context, k *kept, last func() error) error {
	text, from, err := o.compose(k)
	if err != nil {
		return err
	}
	l, client, err := o.connect(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = l.conn.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = l.conn.SetDeadline(time.Now()) })
	defer stop()
	if err := o.greet(l, client); err != nil {
		return err
	}
	for _, do := range []func() error{
		func() error { return client.Mail("<" + from + ">") },
		func() error { return client.Rcpt("<" + k.To + ">") },
	} {
		if err := l.step(1); err != nil {
			return err
		}
		if err := do(); err != nil {
			return ofMessage(err)
		}
	}
	if err := l.step(1); err != nil {
		return err
	}
	body, err := client.Data()
	if err != nil {
		return ofMessage(err)
	}
	if _, err = io.WriteString(body, text); err == nil {
		err = client.Text.W.Flush()
	}
	if err != nil {
		return fmt.Errorf("hand over the text: %w", err)
	}
	if !stop() {
		return ctx.Err()
	}
	if err := last(); err != nil {
		return err
	}
	// A server that stops waits a little for the answer.
	_ = l.conn.SetDeadline(time.Now().Add(5 * l.timeout))
	stop = context.AfterFunc(ctx, func() { _ = l.conn.SetDeadline(time.Now().Add(grace)) })
	defer stop()
	if err := ofMessage(body.Close()); err != nil {
		var refused *refusal
		if errors.As(err, &refused) {
			return err
		}
		return fmt.Errorf("%w: %w", errUnanswered, err)
	}
	_ = l.conn.SetDeadline(time.Now().Add(grace))
	_ = client.Quit() // the message is taken, whatever becomes of this
	return nil
}

// connect reaches the mail server.
func (o *Outbox) connect(ctx context.Context) (link, *smtp.Client, error) {
	timeout := time.Duration(o.settings.Timeout)
	dialling, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(dialling, "tcp", o.settings.address())
	if err != nil {
		return link{}, nil, fmt.Errorf("reach the mail server: %w", err)
	}
	if o.settings.TLS == implicitTLS {
		with, err := o.settings.tlsConfig()
		if err != nil {
			return link{}, nil, errors.Join(err, conn.Close())
		}
		encrypted := tls.Client(conn, with)
		if err := encrypted.HandshakeContext(dialling); err != nil {
			return link{}, nil, errors.Join(fmt.Errorf("encrypt the connection to the mail server: %w", err), conn.Close())
		}
		conn = encrypted
	}
	l := link{ctx: ctx, conn: conn, timeout: timeout}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now()) })
	defer stop()
	if err := l.step(1); err != nil {
		return link{}, nil, errors.Join(err, conn.Close())
	}
	client, err := smtp.NewClient(conn, o.settings.Host)
	if err != nil {
		return link{}, nil, errors.Join(fmt.Errorf("the mail server does not greet: %w", err), conn.Close())
	}
	return l, client, nil
}

// greet says who the server is, encrypts the connection and signs in. What goes
// wrong here is no fault of a message.
func (o *Outbox) greet(l link, client *smtp.Client) error {
	_, domain, err := o.settings.sender()
	if err != nil {
		return err
	}
	if err := l.step(1); err != nil {
		return err
	}
	if err := client.Hello(domain); err != nil {
		return fmt.Errorf("the mail server does not take the greeting: %w", err)
	}
	if o.settings.TLS == startTLS {
		if offered, _ := client.Extension("STARTTLS"); !offered {
			return errors.New("the mail server does not offer STARTTLS, which the settings ask for")
		}
		with, err := o.settings.tlsConfig()
		if err != nil {
			return err
		}
		if err := l.step(1); err != nil {
			return err
		}
		if err := client.StartTLS(with); err != nil {
			return fmt.Errorf("encrypt the connection to the mail server: %w", err)
		}
	}
	if o.settings.User == "" {
		return nil
	}
	password, err := o.settings.password()
	if err != nil {
		return err
	}
	if err := l.step(1); err != nil {
		return err
	}
	auth := smtp.PlainAuth("", o.settings.User, password, o.settings.Host, false)
	if _, ways := client.Extension("AUTH"); !strings.Contains(" "+ways+" ", " PLAIN ") && strings.Contains(ways, "LOGIN") {
		auth = smtp.LoginAuth(o.settings.User, password, o.settings.Host, false)
	}
	if err := client.Auth(auth); err != nil {
		return fmt.Errorf("sign in at the mail server: %w", err)
	}
	return nil
}

// compose writes a message out, and tells the address that it is from. It is the
// same at every attempt.
func (o *Outbox) compose(k *kept) (text, from string, err error) {
	sender, domain, err := o.settings.sender()
	if err != nil {
		return "", "", err
	}
	language := k.Language
	if language == "" {
		language = "it"
	}
	m := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	if err := m.FromFormat(sender.Name, sender.Address); err != nil {
		return "", "", fmt.Errorf("compose a message: %w", err)
	}
	if err := m.To(k.To); err != nil {
		return "", "", &refusal{text: errAddress, permanent: true}
	}
	m.Subject(k.Subject)
	m.SetDateWithValue(k.Created)
	m.SetMessageIDWithValue(k.ID + "@" + domain)
	m.SetGenHeader("Auto-Submitted", "auto-generated")
	m.SetGenHeader("Content-Language", language)
	m.SetBodyString(gomail.TypeTextPlain, k.Text)
	var out strings.Builder
	if _, err := m.WriteTo(&out); err != nil {
		return "", "", fmt.Errorf("compose a message: %w", err)
	}
	return out.String(), sender.Address, nil
}
