package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"cidsistem.example/services/platform/identity"
)

// The days a certificate can be valid.
const (
	DefaultDays = 90
	MaxDays     = 365
)

// Request says what certificate is wanted.
type Request struct {
	Role string // one of identity.Roles
	Name string // for example "pantelleria"
	DNS  []string
	IP   []netip.Addr
	Days int    // 1 to MaxDays; 0: DefaultDays
	Out  string // folder for the files; empty: issued/ROLE/NAME in the authority's folder
}

// Issue makes a new key and a certificate for it, and writes tls.crt, tls.key and ca.crt into the request's folder. Files that are
// there already are replaced one by one, each atomically: a running process takes the new ones once all of them fit together.
func (a *Authority) Issue(request Request) (identity.Files, error) {
	id := identity.ID{TrustDomain: a.trustDomain, Role: request.Role, Name: request.Name}
	if err := id.Validate(); err != nil {
		return identity.Files{}, err
	}
	if request.Days == 0 {
		request.Days = DefaultDays
	}
	now := time.Now()
	end := now.AddDate(0, 0, request.Days)
	switch {
	case request.Days < 1 || request.Days > MaxDays:
		return identity.Files{}, fmt.Errorf("a certificate of %d days is not issued: choose 1 to %d", request.Days, MaxDays)
	case end.After(a.cert.NotAfter):
		return identity.Files{}, fmt.Errorf("the authority ends on %s, before the certificate would: issue fewer days, and make a new authority",
			a.cert.NotAfter.Format(time.DateOnly))
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return identity.Files{}, fmt.Errorf("make the key of %s: %w", id, err)
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: request.Role + " " + request.Name},
		URIs:                  []*url.URL{{Scheme: "spiffe", Host: id.TrustDomain, Path: "/" + id.Role + "/" + id.Name}},
		DNSNames:              request.DNS,
		IPAddresses:           addresses(request.IP),
		NotBefore:             now.Add(-clockSkew),
		NotAfter:              end,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		return identity.Files{}, fmt.Errorf("sign the certificate of %s: %w", id, err)
	}
	if request.Out == "" {
		request.Out = filepath.Join(a.dir, "issued", id.Role, id.Name)
	}
	files := identity.Files{
		Cert: filepath.Join(request.Out, "tls.crt"),
		Key:  filepath.Join(request.Out, "tls.key"),
		CA:   filepath.Join(request.Out, "ca.crt"),
	}
	if err := os.MkdirAll(request.Out, 0o700); err != nil {
		return identity.Files{}, fmt.Errorf("make the folder of %s: %w", id, err)
	}
	keyPEM, err := encodeKey(key)
	if err != nil {
		return identity.Files{}, err
	}
	for _, file := range []struct {
		path string
		text []byte
		mode os.FileMode
	}{
		{files.CA, encodeCert(a.cert.Raw), 0o644},
		{files.Key, keyPEM, 0o600},
		{files.Cert, encodeCert(der), 0o644},
	} {
		if err := writeFile(file.path, file.text, file.mode); err != nil {
			return identity.Files{}, err
		}
	}
	return files, syncDir(request.Out)
}

func addresses(list []netip.Addr) []net.IP {
	var slices []net.IP
	for _, address := range list {
		slices = append(slices, address.AsSlice())
	}
	return slices
}
