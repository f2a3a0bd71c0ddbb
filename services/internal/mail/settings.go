package mail

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	netmail "net/mail"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"cidsistem.example/services/platform/config"
)

// Settings of the mail server to which messages are handed, from the server's
// file.
type Settings struct {
	// Host and Port of the mail server; 0: 465 with TLS from the start, else 587.
	Host string `yaml:"host"`
	Port int    `yaml:"port"`
	// TLS is how the connection is encrypted: starttls, implicit, or none, which is
	// for a mail server on the same machine only; empty: starttls.
	TLS string `yaml:"tls"`
	// CAFile has the authorities, PEM, that the mail server's certificate may be
	// from; empty: those of the system.
	CAFile string `yaml:"ca_file"`
	// User and the file with the password; empty: the mail server asks for none.
	User         string `yaml:"user"`
	PasswordFile string `yaml:"password_file"`
	// From is the sender, for example "Sportello di Marsala <sportello@comune.example>".
	From string `yaml:"from"`
	// Timeout of each step with the mail server; 0: 1 minute. For the answer to a
	// whole message it is five times as long.
	Timeout config.Duration `yaml:"timeout"`
	// Every is how long the sender waits before it tries a mail server again that
	// did not answer; 0: 30 s.
	Every config.Duration `yaml:"every"`
}

// The ways in which a connection is encrypted.
const (
	startTLS    = "starttls"
	implicitTLS = "implicit"
	noTLS       = "none"
)

// Validate tells what is missing or wrong.
func (s Settings) Validate() error {
	var problems []error
	if s.Host == "" {
		problems = append(problems, errors.New("host: the mail server is missing"))
	}
	if s.Port < 0 || s.Port > 65535 {
		problems = append(problems, fmt.Errorf("port: %d is not a port", s.Port))
	}
	switch s.TLS {
	case "", startTLS, implicitTLS:
	case noTLS:
		if !loopback(s.Host) {
			problems = append(problems, fmt.Errorf("tls: none is for a mail server on this machine only, not for %s", s.Host))
		}
	default:
		problems = append(problems, fmt.Errorf("tls: %q is not starttls, implicit or none", s.TLS))
	}
	if (s.User == "") != (s.PasswordFile == "") {
		problems = append(problems, errors.New("user and password_file: one is missing"))
	}
	if _, err := netmail.ParseAddress(s.From); err != nil {
		problems = append(problems, fmt.Errorf("from: %q is not an e-mail address", s.From))
	}
	if s.Timeout < 0 || s.Every < 0 {
		problems = append(problems, errors.New("timeout and every must not be negative"))
	}
	return errors.Join(problems...)
}

func (s Settings) withDefaults() Settings {
	s.TLS = cmp.Or(s.TLS, startTLS)
	s.Timeout, s.Every = cmp.Or(s.Timeout, config.Duration(time.Minute)), cmp.Or(s.Every, config.Duration(30*time.Second))
	if s.Port == 0 {
		s.Port = 587
		if s.TLS == implicitTLS {
			s.Port = 465
		}
	}
	return s
}

func (s Settings) address() string { return net.JoinHostPort(s.Host, strconv.Itoa(s.Port)) }

// sender is the address of From, and its domain.
func (s Settings) sender() (address *netmail.Address, domain string, err error) {
	if address, err = netmail.ParseAddress(s.From); err != nil {
		return nil, "", fmt.Errorf("from: %w", err)
	}
	return address, address.Address[strings.LastIndexByte(address.Address, '@')+1:], nil
}

// password is read at each attempt, so that it can be changed.
func (s Settings) password() (string, error) {
	text, err := os.ReadFile(s.PasswordFile)
	if err != nil {
		return "", fmt.Errorf("password_file: %w", err)
	}
	return strings.TrimRight(string(text), "\r\n"), nil
}

func (s Settings) tlsConfig() (*tls.Config, error) {
	with := &tls.Config{ServerName: s.Host, MinVersion: tls.VersionTLS12}
	if s.CAFile == "" {
		return with, nil
	}
	text, err := os.ReadFile(s.CAFile)
	if err != nil {
		return nil, fmt.Errorf("ca_file: %w", err)
	}
	with.RootCAs = x509.NewCertPool()
	if !with.RootCAs.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("ca_file: %s has no certificate", s.CAFile)
	}
	return with, nil
}

func loopback(host string) bool {
	address, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && address.IsLoopback()
}
