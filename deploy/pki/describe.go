package pki

import (
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"io"
	"strings"
	"time"
)

// Describe writes for a person what each certificate says, and how long it still lasts seen from now.
func Describe(w io.Writer, certs []*x509.Certificate, now time.Time) error {
	var text strings.Builder
	for i, cert := range certs {
		if i > 0 {
			text.WriteByte('\n')
		}
		describe(&text, cert, now)
	}
	if _, err := io.WriteString(w, text.String()); err != nil {
		return fmt.Errorf("describe certificates: %w", err)
	}
	return nil
}

func describe(text *strings.Builder, cert *x509.Certificate, now time.Time) {
	line := func(label, value string) {
		if value != "" {
			fmt.Fprintf(text, "%-12s %s\n", label, value)
		}
	}
	kind := "process"
	if cert.IsCA {
		kind = "authority"
	}
	line("kind", kind)
	line("identity", join(cert.URIs))
	line("dns", strings.Join(cert.DNSNames, " "))
	line("ip", join(cert.IPAddresses))
	line("issued by", cert.Issuer.CommonName)
	line("valid from", cert.NotBefore.UTC().Format(time.RFC3339))
	line("valid until", cert.NotAfter.UTC().Format(time.RFC3339)+" ("+remaining(cert, now)+")")
	line("serial", fmt.Sprintf("%x", cert.SerialNumber))
	line("sha256", fmt.Sprintf("%x", sha256.Sum256(cert.Raw)))
}

func remaining(cert *x509.Certificate, now time.Time) string {
	switch left := cert.NotAfter.Sub(now); {
	case left <= 0:
		return "EXPIRED: issue a new one"
	case now.Before(cert.NotBefore):
		return "not valid yet: check the clock"
	case left < 24*time.Hour:
		return "less than a day left: issue a new one"
	default:
		return fmt.Sprintf("%d days left", int(left/(24*time.Hour)))
	}
}

func join[T fmt.Stringer](values []T) string {
	texts := make([]string, len(values))
	for i, value := range values {
		texts[i] = value.String()
	}
	return strings.Join(texts, " ")
}
