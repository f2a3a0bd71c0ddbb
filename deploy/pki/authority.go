// Package pki makes what a federation trusts: its certificate authority, kept in a folder, and the certificates of its processes.
package pki

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
)

const (
	authorityYears = 10
	// Clocks of machines differ: a certificate is valid from a little before it was made.
	clockSkew = 5 * time.Minute

	authorityFolder = "ca"
	authorityCert   = "ca.crt"
	authorityKey    = "ca.key"
)

// Authority signs the certificates of one federation. Its private key is in its folder and never leaves it.
type Authority struct {
	dir         string
	trustDomain string
	cert        *x509.Certificate
	key         crypto.Signer
}

// Init makes the authority of a trust domain in dir/ca, valid for ten years: ECDSA P-256, signing no further authorities, and no
// identities outside the trust domain. It refuses a dir that has an authority already.
func Init(dir, trustDomain string) (*Authority, error) {
	domain, err := spiffeid.TrustDomainFromString(trustDomain)
	if err != nil || domain.Name() != trustDomain {
		return nil, fmt.Errorf("trust domain %q is not a name like cidsistem.example: use lower-case letters, digits, dots and dashes", trustDomain)
	}
	folder := filepath.Join(dir, authorityFolder)
	if _, err := os.Lstat(folder); err == nil {
		return nil, alreadyThere(folder)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the authority's key: %w", err)
	}
	now := time.Now()
	template := &x509.Certificate{
		Subject:                     pkix.Name{CommonName: "Authority of " + trustDomain},
		URIs:                        []*url.URL{domain.ID().URL()},
		NotBefore:                   now.Add(-clockSkew),
		NotAfter:                    now.AddDate(authorityYears, 0, 0),
		KeyUsage:                    x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid:       true,
		IsCA:                        true,
		MaxPathLenZero:              true,
		PermittedURIDomains:         []string{trustDomain},
		PermittedDNSDomainsCritical: true, // of all name constraints, in spite of its name
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make the authority's certificate: %w", err)
	}
	if err := writeAuthority(dir, der, key); err != nil {
		return nil, err
	}
	return Open(dir)
}

// writeAuthority makes the folder under another name and renames it, so that certificate and key appear together or not at all,
// and never over an existing pair.
func writeAuthority(dir string, der []byte, key crypto.Signer) (err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the authority's folder: %w", err)
	}
	unfinished, err := os.MkdirTemp(dir, ".ca-")
	if err != nil {
		return fmt.Errorf("make the authority's folder: %w", err)
	}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(unfinished) // the error at hand says more
		}
	}()
	keyPEM, err := encodeKey(key)
	if err != nil {
		return err
	}
	if err := writeFile(filepath.Join(unfinished, authorityKey), keyPEM, 0o600); err != nil {
		return err
	}
	if err := writeFile(filepath.Join(unfinished, authorityCert), encodeCert(der), 0o644); err != nil {
		return err
	}
	folder := filepath.Join(dir, authorityFolder)
	if err := os.Rename(unfinished, folder); err != nil {
		if _, statErr := os.Lstat(folder); statErr == nil {
			return alreadyThere(folder)
		}
		return fmt.Errorf("put the authority in place: %w", err)
	}
	return syncDir(dir)
}

func alreadyThere(folder string) error {
	return fmt.Errorf("there is an authority in %s already, it was left as it is: issue certificates with it, or choose another --dir", folder)
}

// Open reads the authority that [Init] made in dir. A key that others on the machine can read is refused.
func Open(dir string) (*Authority, error) {
	certPath := filepath.Join(dir, authorityFolder, authorityCert)
	keyPath := filepath.Join(dir, authorityFolder, authorityKey)
	certs, err := ReadCertificates(certPath)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no authority in %s: make one with cid-pki init, or correct --dir: %w", dir, err)
	}
	if err != nil {
		return nil, fmt.Errorf("open the authority: %w", err)
	}
	key, err := readKey(keyPath)
	if err != nil {
		return nil, fmt.Errorf("open the authority: %w", err)
	}
	cert := certs[0]
	if !cert.IsCA || len(cert.URIs) != 1 {
		return nil, fmt.Errorf("open the authority: %s is not the certificate of a federation's authority", certPath)
	}
	if !samePublicKey(cert, key) {
		return nil, fmt.Errorf("open the authority: %s is not the key of %s: restore both from one backup", keyPath, certPath)
	}
	return &Authority{dir: dir, trustDomain: cert.URIs[0].Host, cert: cert, key: key}, nil
}

// TrustDomain is the name that all identities of the federation begin with.
func (a *Authority) TrustDomain() string { return a.trustDomain }

// CertFile is the path of the authority's certificate: the one file of its folder that may be given away.
func (a *Authority) CertFile() string { return filepath.Join(a.dir, authorityFolder, authorityCert) }

// Expires is when the authority and everything it signed ends.
func (a *Authority) Expires() time.Time { return a.cert.NotAfter }

func samePublicKey(cert *x509.Certificate, key crypto.Signer) bool {
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	return err == nil && bytes.Equal(public, cert.RawSubjectPublicKeyInfo)
}
