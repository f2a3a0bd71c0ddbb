package pki_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"math/big"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cidsistem.example/deploy/pki"
	"cidsistem.example/services/platform/identity"
)

const domain = "cidsistem.example"

func TestInit(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "pki")
	authority, err := pki.Init(dir, domain)
	if err != nil {
		t.Fatal(err)
	}
	cert := read(t, authority.CertFile())
	type facts struct {
		IsCA, PathZero, Critical bool
		URIs, Permitted          []string
		Usage                    x509.KeyUsage
		Years                    int
	}
	got := facts{
		IsCA: cert.IsCA, PathZero: cert.MaxPathLen == 0 && cert.MaxPathLenZero, Critical: cert.PermittedDNSDomainsCritical,
		URIs: texts(cert.URIs), Permitted: cert.PermittedURIDomains, Usage: cert.KeyUsage, Years: cert.NotAfter.Year() - cert.NotBefore.Year(),
	}
	want := facts{
		IsCA: true, PathZero: true, Critical: true,
		URIs: []string{"spiffe://" + domain}, Permitted: []string{domain}, Usage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, Years: 10,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("authority (-want +got):\n%s", diff)
	}
	wantModes(t, dir, map[string]fs.FileMode{"ca": 0o700, "ca/ca.key": 0o600, "ca/ca.crt": 0o644})

	opened, err := pki.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if opened.TrustDomain() != domain || !opened.Expires().Equal(cert.NotAfter) {
		t.Errorf("Open: %q until %v", opened.TrustDomain(), opened.Expires())
	}
}

func TestInitNeverReplacesAnAuthority(t *testing.T) {
	dir := t.TempDir()
	var done sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		done.Go(func() { _, errs[i] = pki.Init(dir, domain) })
	}
	done.Wait()
	made := 0
	for _, err := range errs {
		switch {
		case err == nil:
			made++
		case !strings.Contains(err.Error(), "there is an authority in "):
			t.Errorf("Init: %v", err)
		}
	}
	if made != 1 {
		t.Errorf("%d of %d simultaneous calls made an authority, want 1", made, len(errs))
	}
	before, err := os.ReadFile(filepath.Join(dir, "ca", "ca.key"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pki.Init(dir, "altrove.example"); err == nil {
		t.Error("a second authority was made in the same folder")
	}
	after, err := os.ReadFile(filepath.Join(dir, "ca", "ca.key"))
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("the key was changed (%v)", err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, ".ca-*")); err != nil || len(left) > 0 {
		t.Errorf("unfinished folders were left: %v, %v", left, err)
	}
}

func TestInitRefusesTrustDomains(t *testing.T) {
	for _, name := range []string{"", "CIDSISTEM.example", "spiffe://cidsistem.example", "cidsistem.example/comune", "a b"} {
		dir := t.TempDir()
		if _, err := pki.Init(dir, name); err == nil || !strings.Contains(err.Error(), "trust domain") {
			t.Errorf("Init(%q): %v, want a refusal", name, err)
		}
		if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
			t.Errorf("Init(%q) left %v, %v", name, entries, err)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	other := newAuthority(t)
	for _, test := range []struct {
		name    string
		spoil   func(t *testing.T, dir string)
		wantErr string
	}{
		{"nothing there", func(t *testing.T, dir string) { must(t, os.RemoveAll(filepath.Join(dir, "ca"))) }, "make one with cid-pki init"},
		{"key for all to read", func(t *testing.T, dir string) { must(t, os.Chmod(filepath.Join(dir, "ca", "ca.key"), 0o640)) }, "chmod 600"},
		{"key of another authority", func(t *testing.T, dir string) {
			text, err := os.ReadFile(filepath.Join(filepath.Dir(other.CertFile()), "ca.key"))
			must(t, err)
			must(t, os.WriteFile(filepath.Join(dir, "ca", "ca.key"), text, 0o600))
		}, "is not the key of"},
		{"garbage for a key", func(t *testing.T, dir string) {
			must(t, os.WriteFile(filepath.Join(dir, "ca", "ca.key"), []byte("x"), 0o600))
		}, "no PEM private key"},
		{"garbage for a certificate", func(t *testing.T, dir string) {
			must(t, os.WriteFile(filepath.Join(dir, "ca", "ca.crt"), []byte("x"), 0o600))
		}, "no PEM certificate"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			if _, err := pki.Init(dir, domain); err != nil {
				t.Fatal(err)
			}
			test.spoil(t, dir)
			if _, err := pki.Open(dir); err == nil || !strings.Contains(err.Error(), test.wantErr) {
				t.Errorf("Open: %v, want an error with %q", err, test.wantErr)
			}
		})
	}
}

func TestIssue(t *testing.T) {
	dir := t.TempDir()
	authority, err := pki.Init(dir, domain)
	if err != nil {
		t.Fatal(err)
	}
	files, err := authority.Issue(pki.Request{
		Role: identity.RoleComune, Name: "pantelleria", Days: 30,
		DNS: []string{"nodo.pantelleria.example"}, IP: []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")},
	})
	if err != nil {
		t.Fatal(err)
	}
	cert := read(t, files.Cert)
	type facts struct {
		IsCA         bool
		URIs, DNS    []string
		IPs          []string
		Usage        x509.KeyUsage
		Extended     []x509.ExtKeyUsage
		DaysValid    int
		SerialLength bool
	}
	got := facts{
		IsCA: cert.IsCA, URIs: texts(cert.URIs), DNS: cert.DNSNames, IPs: texts(cert.IPAddresses), Usage: cert.KeyUsage, Extended: cert.ExtKeyUsage,
		DaysValid: int(cert.NotAfter.Sub(cert.NotBefore) / (24 * time.Hour)), SerialLength: cert.SerialNumber.BitLen() > 64,
	}
	want := facts{
		URIs: []string{"spiffe://cidsistem.example/comune/pantelleria"}, DNS: []string{"nodo.pantelleria.example"}, IPs: []string{"192.0.2.1", "2001:db8::1"},
		Usage: x509.KeyUsageDigitalSignature, Extended: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		DaysValid: 30, SerialLength: true,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("certificate (-want +got):\n%s", diff)
	}
	wantModes(t, filepath.Dir(files.Cert), map[string]fs.FileMode{".": 0o700, "tls.key": 0o600, "tls.crt": 0o644, "ca.crt": 0o644})
	if want := filepath.Join(dir, "issued", "comune", "pantelleria", "tls.crt"); files.Cert != want {
		t.Errorf("the certificate is in %s, want %s", files.Cert, want)
	}
}

func TestIssuedProcessesTalkToEachOther(t *testing.T) {
	authority := newAuthority(t)
	node, office := issue(t, authority, identity.RoleComune, "pantelleria"), issue(t, authority, identity.RoleUfficio, "centrale")
	if err := handshake(t, node.ServerTLS(), office.ClientTLS(node.ID())); err != nil {
		t.Errorf("office to node: %v", err)
	}
	if err := handshake(t, office.ServerTLS(), node.ClientTLS(office.ID())); err != nil {
		t.Errorf("node to office: %v", err)
	}
	stranger := issue(t, newAuthority(t), identity.RoleUfficio, "centrale")
	if err := handshake(t, node.ServerTLS(), stranger.ClientTLS(node.ID())); err == nil {
		t.Error("a process of another authority was accepted")
	}
}

func TestRenewal(t *testing.T) {
	authority := newAuthority(t)
	request := pki.Request{Role: identity.RoleGateway, Name: "portale", Out: filepath.Join(t.TempDir(), "tls")}
	files, err := authority.Issue(request)
	if err != nil {
		t.Fatal(err)
	}
	first := read(t, files.Cert)
	if days := int(time.Until(first.NotAfter).Round(time.Hour) / (24 * time.Hour)); days != pki.DefaultDays {
		t.Errorf("valid for %d days, want %d", days, pki.DefaultDays)
	}
	must(t, os.Chmod(files.Key, 0o644)) // an operator's mistake must not stick to the next key
	again, err := authority.Issue(request)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(files, again); diff != "" {
		t.Errorf("renewed in other files (-first +second):\n%s", diff)
	}
	if read(t, files.Cert).SerialNumber.Cmp(first.SerialNumber) == 0 {
		t.Error("the certificate is still the first")
	}
	wantModes(t, request.Out, map[string]fs.FileMode{"tls.key": 0o600})
	if _, err := identity.Load(again); err != nil {
		t.Errorf("the renewed files do not fit together: %v", err)
	}
	if entries, err := os.ReadDir(request.Out); err != nil || len(entries) != 3 {
		t.Errorf("the folder holds %v, %v, want three files", entries, err)
	}
}

func TestIssueRefuses(t *testing.T) {
	dir := t.TempDir()
	authority, err := pki.Init(dir, domain)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name    string
		request pki.Request
		wantErr string
	}{
		{"unknown role", pki.Request{Role: "regione", Name: "sicilia"}, "the roles are comune, ufficio, gateway, admin"},
		{"no name", pki.Request{Role: identity.RoleComune}, "not spiffe://"},
		{"name with a separator", pki.Request{Role: identity.RoleComune, Name: "a/b"}, "two parts"},
		{"name that leaves the folder", pki.Request{Role: identity.RoleComune, Name: ".."}, "not spiffe://"},
		{"negative days", pki.Request{Role: identity.RoleComune, Name: "a", Days: -1}, "choose 1 to 365"},
		{"too many days", pki.Request{Role: identity.RoleComune, Name: "a", Days: 366}, "choose 1 to 365"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, err := authority.Issue(test.request); err == nil || !strings.Contains(err.Error(), test.wantErr) {
				t.Errorf("Issue: %v, want an error with %q", err, test.wantErr)
			}
		})
	}
	if _, err := os.Stat(filepath.Join(dir, "issued")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a refused request left files: %v", err)
	}
}

// Whoever gets at the authority's key can still not speak for another federation that trusts this one, nor make authorities.
func TestAuthorityIsConfined(t *testing.T) {
	authority := newAuthority(t)
	ca := read(t, authority.CertFile())
	text, err := os.ReadFile(filepath.Join(filepath.Dir(authority.CertFile()), "ca.key"))
	must(t, err)
	block, _ := pem.Decode(text)
	caKey, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	must(t, err)
	roots := x509.NewCertPool()
	roots.AddCert(ca)

	sign := func(uri string, isCA bool, parent *x509.Certificate, parentKey any) (*x509.Certificate, *ecdsa.PrivateKey) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		must(t, err)
		parsed, err := url.Parse(uri)
		must(t, err)
		template := &x509.Certificate{
			SerialNumber: big.NewInt(1), URIs: []*url.URL{parsed}, NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
			BasicConstraintsValid: true, IsCA: isCA, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		}
		der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), parentKey)
		must(t, err)
		cert, err := x509.ParseCertificate(der)
		must(t, err)
		return cert, key
	}
	between, betweenKey := sign("spiffe://"+domain, true, ca, caKey)
	intermediates := x509.NewCertPool()
	intermediates.AddCert(between)
	for _, test := range []struct {
		name  string
		uri   string
		by    *x509.Certificate
		key   any
		valid bool
	}{
		{"own trust domain", "spiffe://cidsistem.example/comune/a", ca, caKey, true},
		{"other trust domain", "spiffe://altrove.example/comune/a", ca, caKey, false},
		{"by an authority below", "spiffe://cidsistem.example/comune/a", between, betweenKey, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			cert, _ := sign(test.uri, false, test.by, test.key)
			_, err := cert.Verify(x509.VerifyOptions{Roots: roots, Intermediates: intermediates, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
			if (err == nil) != test.valid {
				t.Errorf("Verify: %v, want valid %v", err, test.valid)
			}
		})
	}
}

func TestDescribe(t *testing.T) {
	authority := newAuthority(t)
	files, err := authority.Issue(pki.Request{Role: identity.RoleComune, Name: "pantelleria", DNS: []string{"nodo.example"}, IP: []netip.Addr{netip.MustParseAddr("192.0.2.1")}})
	if err != nil {
		t.Fatal(err)
	}
	leaf := read(t, files.Cert)
	for _, test := range []struct {
		name  string
		certs []*x509.Certificate
		now   time.Time
		want  []string
	}{
		{"process", []*x509.Certificate{leaf}, leaf.NotAfter.Add(-49 * time.Hour), []string{
			"kind         process", "identity     spiffe://cidsistem.example/comune/pantelleria", "dns          nodo.example",
			"ip           192.0.2.1", "issued by    Authority of cidsistem.example", "(2 days left)",
		}},
		{"authority too", []*x509.Certificate{leaf, read(t, files.CA)}, time.Now(), []string{"kind         process", "\n\nkind         authority", "identity     spiffe://cidsistem.example\n"}},
		{"last day", []*x509.Certificate{leaf}, leaf.NotAfter.Add(-time.Hour), []string{"less than a day left: issue a new one"}},
		{"over", []*x509.Certificate{leaf}, leaf.NotAfter.Add(time.Hour), []string{"EXPIRED: issue a new one"}},
		{"early", []*x509.Certificate{leaf}, leaf.NotBefore.Add(-time.Hour), []string{"not valid yet: check the clock"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var text bytes.Buffer
			if err := pki.Describe(&text, test.certs, test.now); err != nil {
				t.Fatal(err)
			}
			for _, want := range test.want {
				if !strings.Contains(text.String(), want) {
					t.Errorf("%q is missing in\n%s", want, text.String())
				}
			}
		})
	}
}

func FuzzReadCertificates(f *testing.F) {
	path := filepath.Join(f.TempDir(), "seed")
	if _, err := pki.Init(path, domain); err != nil {
		f.Fatal(err)
	}
	seed, err := os.ReadFile(filepath.Join(path, "ca", "ca.crt"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add([]byte("-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		path := filepath.Join(t.TempDir(), "f.pem")
		must(t, os.WriteFile(path, text, 0o600))
		certs, err := pki.ReadCertificates(path)
		if (err == nil) != (len(certs) > 0) {
			t.Errorf("%d certificates and %v", len(certs), err)
		}
		if err := pki.Describe(new(bytes.Buffer), certs, time.Now()); err != nil {
			t.Error(err)
		}
	})
}

func newAuthority(t *testing.T) *pki.Authority {
	t.Helper()
	authority, err := pki.Init(t.TempDir(), domain)
	must(t, err)
	return authority
}

func issue(t *testing.T, authority *pki.Authority, role, name string) *identity.Source {
	t.Helper()
	files, err := authority.Issue(pki.Request{Role: role, Name: name})
	must(t, err)
	source, err := identity.Load(files)
	must(t, err)
	return source
}

// handshake returns what went wrong at either side; a byte is sent, since a client learns of its refusal only when it reads.
func handshake(t *testing.T, serverConfig, clientConfig *tls.Config) error {
	t.Helper()
	here, there := net.Pipe()
	server, client := tls.Server(here, serverConfig), tls.Client(there, clientConfig)
	served := make(chan error, 1)
	go func() {
		_, err := server.Write([]byte{1})
		served <- errors.Join(err, here.Close())
	}()
	_, err := client.Read(make([]byte, 1))
	return errors.Join(err, there.Close(), <-served)
}

func read(t *testing.T, path string) *x509.Certificate {
	t.Helper()
	certs, err := pki.ReadCertificates(path)
	must(t, err)
	return certs[0]
}

func wantModes(t *testing.T, dir string, modes map[string]fs.FileMode) {
	t.Helper()
	for name, want := range modes {
		info, err := os.Stat(filepath.Join(dir, name))
		must(t, err)
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %04o, want %04o", name, got, want)
		}
	}
}

func texts[T interface{ String() string }](values []T) []string {
	var list []string
	for _, value := range values {
		list = append(list, value.String())
	}
	return list
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
