// Package identitytest makes certificates for tests of what runs over mutual TLS.
package identitytest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"cidsistem.example/services/platform/identity"
)

// CA is an authority that lives as long as a test.
type CA struct {
	trustDomain string
	cert        *x509.Certificate
	key         *ecdsa.PrivateKey
}

// NewCA makes an authority for a trust domain.
func NewCA(t testing.TB, trustDomain string) *CA {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "test authority of " + trustDomain},
		URIs:                  []*url.URL{{Scheme: "spiffe", Host: trustDomain}},
		NotBefore:             time.Now().Add(-48 * time.Hour),
		NotAfter:              time.Now().Add(48 * time.Hour),
		KeyUsage:              x509.KeyUsageCertSign,
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatalf("make the test authority: %v", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatalf("read the test authority: %v", err)
	}
	return &CA{trustDomain: trustDomain, cert: cert, key: key}
}

// Files issues a certificate for spiffe://TRUST-DOMAIN/ROLE/NAME, valid for an hour, into a new folder of the test.
func (ca *CA) Files(t testing.TB, role, name string) identity.Files {
	t.Helper()
	dir := t.TempDir()
	files := identity.Files{Cert: filepath.Join(dir, "tls.crt"), Key: filepath.Join(dir, "tls.key"), CA: filepath.Join(dir, "ca.crt")}
	ca.Write(t, files, "/"+role+"/"+name, time.Now().Add(time.Hour))
	return files
}

// Source issues a certificate as [CA.Files] does, and loads it.
func (ca *CA) Source(t testing.TB, role, name string) *identity.Source {
	t.Helper()
	source, err := identity.Load(ca.Files(t, role, name))
	if err != nil {
		t.Fatalf("load the test identity: %v", err)
	}
	return source
}

// Write issues a certificate for any SPIFFE path and end, over the files that may be there.
func (ca *CA) Write(t testing.TB, files identity.Files, path string, end time.Time) {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{
		URIs:        []*url.URL{{Scheme: "spiffe", Host: ca.trustDomain, Path: path}},
		NotBefore:   end.Add(-2 * time.Hour),
		NotAfter:    end,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.cert, key.Public(), ca.key)
	if err != nil {
		t.Fatalf("issue a test certificate: %v", err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatalf("write a test key: %v", err)
	}
	writePEM(t, files.Cert, "CERTIFICATE", der)
	writePEM(t, files.Key, "PRIVATE KEY", pkcs8)
	writePEM(t, files.CA, "CERTIFICATE", ca.cert.Raw)
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatalf("make a test key: %v", err)
	}
	return key
}

func writePEM(t testing.TB, path, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatalf("write a test file: %v", err)
	}
}
