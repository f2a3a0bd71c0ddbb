package e2e

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"cidsistem.example/deploy/demo"
	"cidsistem.example/deploy/pki"
	"cidsistem.example/proto/gen/feedv1"
	"cidsistem.example/proto/gen/identityv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/platform/identity"
)

// authority is what signs a rogue's certificate.
type authority struct {
	cert *x509.Certificate
	key  any
}

func readAuthority(t *testing.T, of *pki.Authority) authority {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(of.CertFile(), strings.TrimSuffix(of.CertFile(), ".crt")+".key")
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	return authority{cert, pair.PrivateKey}
}

// certificate makes one for the node of a comune; nil: it signs itself.
func certificate(t *testing.T, by *authority, name string, from, until time.Time) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	id, err := url.Parse(identity.ID{TrustDomain: demo.TrustDomain, Role: identity.RoleUfficio, Name: name}.String())
	if err != nil {
		t.Fatal(err)
	}
	wanted := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, URIs: []*url.URL{id},
		NotBefore: from, NotAfter: until, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true,
	}
	parent, signer := wanted, any(key)
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, wanted, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// TestRoguePeers proves that who is not of the federation is refused at the door
// of every server, that who is can only speak for itself, and that the log tells.
func TestRoguePeers(t *testing.T) {
	f := start(t, demo.Options{})
	before := f.everything(t)
	genuine := readAuthority(t, f.Authority())
	elsewhere, err := pki.Init(filepath.Join(t.TempDir(), "pki"), demo.TrustDomain)
	if err != nil {
		t.Fatal(err)
	}
	other := readAuthority(t, elsewhere)
	now := time.Now()
	door := map[string]credentials.TransportCredentials{"plain text": insecure.NewCredentials()}
	for name, cert := range map[string]tls.Certificate{
		"an expired certificate":          certificate(t, &genuine, "cid-trapani", now.Add(-48*time.Hour), now.Add(-time.Hour)),
		"one that is not yet valid":       certificate(t, &genuine, "cid-trapani", now.Add(time.Hour), now.Add(48*time.Hour)),
		"one of another authority":        certificate(t, &other, "cid-trapani", now.Add(-time.Hour), now.Add(time.Hour)),
		"one that it signed itself":       certificate(t, nil, "cid-trapani", now.Add(-time.Hour), now.Add(time.Hour)),
		"none":                            {},
		"one of another federation's key": {Certificate: certificate(t, &genuine, "x", now.Add(-time.Hour), now.Add(time.Hour)).Certificate, PrivateKey: other.key},
	} {
		config := &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13} // the rogue does not care whom it speaks to
		if cert.Certificate != nil {
			config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &cert, nil }
		}
		door[name] = credentials.NewTLS(config)
	}
	valid := certificate(t, &genuine, "cid-trapani", now.Add(-time.Hour), now.Add(time.Hour))
	door["TLS 1.2"] = credentials.NewTLS(&tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12, Certificates: []tls.Certificate{valid}})
	for _, server := range []string{"marsala", demo.Office} {
		for name, creds := range door {
			if err := knock(t, f.Address(server), creds); status.Code(err) != codes.Unavailable {
				t.Errorf("%s with %s: %v, want no connection", server, name, err)
			}
		}
		// The same knock with a good certificate is answered, so the doors were real.
		good := credentials.NewTLS(&tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{valid}})
		if err := knock(t, f.Address(server), good); err != nil {
			t.Errorf("%s with a good certificate: %v", server, err)
		}
		refused := 0
		soon(t, 5*time.Second, func(context.Context) error {
			text, err := os.ReadFile(filepath.Join(f.dir, "logs", server+".log"))
			refused = strings.Count(string(text), `"msg":"connection refused"`)
			if err == nil && refused < len(door)-1 {
				return os.ErrNotExist
			}
			return err
		})
		t.Logf("%s: %d knocks, %d in the log", server, len(door), refused)
	}

	// A comune's own, valid certificate opens no other comune's feed, accounts or records.
	peer, err := f.connAs(identity.RoleComune, "marsala")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = peer.Close() }()
	_, err = feedv1.NewFeedServiceClient(peer).GetFeedState(t.Context(), &feedv1.GetFeedStateRequest{})
	denied(t, "the feed", err)
	_, err = registryv1.NewServiceServiceClient(peer).DeleteService(t.Context(), &registryv1.DeleteServiceRequest{Name: "comuni/marsala/services/x1"})
	denied(t, "a deletion", err)
	_, err = identityv1.NewAccountServiceClient(peer).ListAccounts(t.Context(), &identityv1.ListAccountsRequest{Parent: "nodes/marsala"})
	denied(t, "the accounts", err)
	if after := f.everything(t); after != before {
		t.Errorf("a rogue changed something; before:\n%s\nafter:\n%s", before, after)
	}
}

func denied(t *testing.T, what string, err error) {
	t.Helper()
	if status.Code(err) != codes.PermissionDenied {
		t.Errorf("another comune's server and %s: %v", what, err)
	}
}

// knock asks for what every member may read.
func knock(t *testing.T, address string, creds credentials.TransportCredentials) error {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(creds))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	_, err = registryv1.NewComuneServiceClient(conn).ListComuni(ctx, &registryv1.ListComuniRequest{})
	return err
}
