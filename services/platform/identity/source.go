package identity

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
)

const (
	checkEvery = time.Second    // how often the files are looked at, at most
	remindIn   = 24 * time.Hour // how often a certificate near its end is mentioned
)

// Files says where a process finds its certificate, the private key of it, and the certificates of its federation's
// authorities. All three are PEM; CA may hold several certificates, so that an authority can be replaced without a gap.
type Files struct {
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
	CA   string `yaml:"ca"`
}

// Source is a process's identity, kept as new as the files it was loaded from. It is safe for concurrent use.
type Source struct {
	files Files
	id    ID
	every time.Duration

	mu         sync.Mutex
	pair       pair
	tried      [3]os.FileInfo // the files as they were at the last attempt to read them
	checkedAt  time.Time
	remindedAt time.Time
}

// pair is one consistent reading of the three files.
type pair struct {
	svid   *x509svid.SVID
	bundle *x509bundle.Bundle
}

// Load reads the files and checks that they belong together: the key is the certificate's, and the certificate was signed by one
// of the authorities for a well-formed [ID]. A certificate that has expired is loaded and logged as an error: the clock may be
// what is wrong, and a process that others refuse can still serve its Unix socket.
func Load(files Files) (*Source, error) {
	tried, err := stat(files)
	if err != nil {
		return nil, err
	}
	read, id, err := readPair(files)
	if err != nil {
		return nil, err
	}
	s := &Source{files: files, id: id, every: checkEvery, pair: read, tried: tried, checkedAt: time.Now()}
	s.remind(s.checkedAt)
	return s, nil
}

// ID returns the identity in the certificate. It never changes: files with another identity are refused.
func (s *Source) ID() ID { return s.id }

// Expires returns when the certificate now in use ends.
func (s *Source) Expires() time.Time {
	return s.current().svid.Certificates[0].NotAfter
}

// ServerTLS returns the configuration of a server that speaks TLS 1.3 only and demands a client certificate with an [ID] in its
// own trust domain.
func (s *Source) ServerTLS() *tls.Config {
	config := tlsconfig.MTLSServerConfig(source{s}, source{s}, s.member)
	config.MinVersion = tls.VersionTLS13
	// A resumed session would skip the verification of the client's certificate, and so outlive its end or its authority's.
	config.SessionTicketsDisabled = true
	return config
}

// ClientTLS returns the configuration of a client that speaks TLS 1.3 only, presents its own certificate, and accepts only the
// server whose ID is exactly want. Host names don't matter: the ID is the name.
func (s *Source) ClientTLS(want ID) *tls.Config {
	config := tlsconfig.MTLSClientConfig(source{s}, source{s}, func(got spiffeid.ID, _ [][]*x509.Certificate) error {
		if got.String() != want.String() {
			return fmt.Errorf("the server is %q, wanted was %q: check the address and the server's certificate", got, want)
		}
		return nil
	})
	config.MinVersion = tls.VersionTLS13
	return config
}

// member refuses a client whose identity has not our form, so that every accepted connection has a [PeerID].
func (s *Source) member(got spiffeid.ID, _ [][]*x509.Certificate) error {
	_, err := fromSPIFFE(got)
	return err
}

// current returns the newest pair, looking at the files first if the last look is old enough.
func (s *Source) current() pair {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if now.Sub(s.checkedAt) >= s.every {
		s.checkedAt = now
		s.refresh()
		s.remind(now)
	}
	return s.pair
}

// refresh reads the files again if they changed since the last attempt, so a broken set is reported once and not at each look.
func (s *Source) refresh() {
	found, err := stat(s.files)
	if err == nil && sameFiles(found, s.tried) {
		return
	}
	if err != nil && s.tried == [3]os.FileInfo{} {
		return // a file is still missing, as reported
	}
	s.tried = found
	var read pair
	var id ID
	if err == nil {
		read, id, err = readPair(s.files)
	}
	if err == nil && id != s.id {
		err = fmt.Errorf("%s is for %q, this process runs as %q: restart it to change its identity", s.files.Cert, id, s.id)
	}
	if err != nil {
		slog.Error("new certificate files refused, the previous ones stay in use", "error", err,
			"expires", s.pair.svid.Certificates[0].NotAfter)
		return
	}
	s.pair = read
	s.remindedAt = time.Time{}
	slog.Info("certificate replaced", "id", s.id.String(), "expires", read.svid.Certificates[0].NotAfter)
}

// remind logs, at most once in remindIn, that the last quarter of the certificate's life has begun or that it has ended.
func (s *Source) remind(now time.Time) {
	leaf := s.pair.svid.Certificates[0]
	left := leaf.NotAfter.Sub(now)
	if left > leaf.NotAfter.Sub(leaf.NotBefore)/4 || now.Sub(s.remindedAt) < remindIn {
		return
	}
	s.remindedAt = now
	if left <= 0 {
		slog.Error("certificate has expired, peers refuse it: issue a new one", "file", s.files.Cert, "expired", leaf.NotAfter)
		return
	}
	slog.Warn("certificate expires soon: issue a new one", "file", s.files.Cert, "expires", leaf.NotAfter)
}

func stat(files Files) ([3]os.FileInfo, error) {
	var found [3]os.FileInfo
	for i, file := range []struct{ what, path string }{{"certificate", files.Cert}, {"key", files.Key}, {"authorities", files.CA}} {
		if file.path == "" {
			return [3]os.FileInfo{}, fmt.Errorf("no file of the %s is given: mutual TLS needs cert, key and ca", file.what)
		}
		info, err := os.Stat(file.path)
		if err != nil {
			return [3]os.FileInfo{}, fmt.Errorf("find the file of the %s: %w", file.what, err)
		}
		found[i] = info
	}
	return found, nil
}

// sameFiles compares inodes too: two writes can fall into one tick of the file system's clock.
func sameFiles(a, b [3]os.FileInfo) bool {
	for i := range a {
		if a[i] == nil || b[i] == nil || !os.SameFile(a[i], b[i]) || !a[i].ModTime().Equal(b[i].ModTime()) || a[i].Size() != b[i].Size() {
			return false
		}
	}
	return true
}

func readPair(files Files) (pair, ID, error) {
	svid, err := x509svid.Load(files.Cert, files.Key)
	if err != nil {
		return pair{}, ID{}, fmt.Errorf("read certificate %s with key %s: %w", files.Cert, files.Key, err)
	}
	id, err := fromSPIFFE(svid.ID)
	if err != nil {
		return pair{}, ID{}, fmt.Errorf("read certificate %s: %w", files.Cert, err)
	}
	bundle, err := x509bundle.Load(svid.ID.TrustDomain(), files.CA)
	if err != nil {
		return pair{}, ID{}, fmt.Errorf("read authorities %s: %w", files.CA, err)
	}
	if bundle.Empty() {
		return pair{}, ID{}, fmt.Errorf("read authorities %s: %w", files.CA, errors.New("the file is empty"))
	}
	if _, _, err := x509svid.Verify(svid.Certificates, bundle, x509svid.WithTime(withinLife(svid.Certificates[0], time.Now()))); err != nil {
		return pair{}, ID{}, fmt.Errorf("certificate %s was not signed by an authority of %s: %w", files.Cert, files.CA, err)
	}
	return pair{svid: svid, bundle: bundle}, id, nil
}

// withinLife moves now into the certificate's life: whether the files belong together does not depend on the clock.
func withinLife(leaf *x509.Certificate, now time.Time) time.Time {
	if now.Before(leaf.NotBefore) {
		return leaf.NotBefore
	}
	if now.After(leaf.NotAfter) {
		return leaf.NotAfter
	}
	return now
}

// source gives go-spiffe what it asks for at each handshake, without showing it in Source's own methods.
type source struct{ *Source }

func (s source) GetX509SVID() (*x509svid.SVID, error) { return s.current().svid, nil }

func (s source) GetX509BundleForTrustDomain(domain spiffeid.TrustDomain) (*x509bundle.Bundle, error) {
	if domain.Name() != s.id.TrustDomain {
		return nil, fmt.Errorf("the peer's trust domain is %q, ours is %q", domain, s.id.TrustDomain)
	}
	return s.current().bundle, nil
}
