package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"

	"cidsistem.example/proto/gen/federationv1"
	"cidsistem.example/services/platform/config"
	"cidsistem.example/services/platform/grpcserver"
	"cidsistem.example/services/platform/identity"
	"cidsistem.example/services/platform/identity/identitytest"
)

// nodes is a registry that has one node.
type nodes struct {
	federationv1.UnimplementedFederationServiceServer
}

func (nodes) ListNodes(ctx context.Context, _ *federationv1.ListNodesRequest) (*federationv1.ListNodesResponse, error) {
	caller, _ := identity.PeerID(ctx)
	return &federationv1.ListNodesResponse{Nodes: []*federationv1.Node{{Name: "nodes/marsala", LastError: "asked by " + caller.String()}}}, nil
}

func (nodes) WatchNodes(_ *federationv1.WatchNodesRequest, stream grpc.ServerStreamingServer[federationv1.WatchNodesResponse]) error {
	if err := stream.Send(&federationv1.WatchNodesResponse{}); err != nil {
		return err
	}
	<-stream.Context().Done()
	return stream.Context().Err()
}

// office runs a registry with mutual TLS and returns its address.
func office(t *testing.T, ca *identitytest.CA) string {
	t.Helper()
	server := grpcserver.New(grpcserver.Options{TLS: ca.Source(t, identity.RoleUfficio, "cid-trapani").ServerTLS(), Logger: slog.New(slog.DiscardHandler)})
	federationv1.RegisterFederationServiceServer(server.Registrar(), nodes{})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx, listener) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("serve the office: %v", err)
		}
	})
	return listener.Addr().String()
}

// freeAddress is one that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// website issues a certificate of an HTTPS server into two files.
func website(t *testing.T, certFile, keyFile string, serial int64) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial),
		Subject:      pkix.Name{CommonName: "gateway"},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	text, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for path, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: text}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestServesOverHTTPSWithMutualTLSBehind(t *testing.T) {
	ca := identitytest.NewCA(t, "cidsistem.example")
	settings := Defaults()
	settings.Listen, settings.Admin = freeAddress(t), freeAddress(t)
	settings.Upstream = Upstream{Address: office(t, ca), Identity: "spiffe://cidsistem.example/ufficio/cid-trapani"}
	settings.TLS = ca.Files(t, identity.RoleGateway, "portale")
	settings.HTTPS.Cert, settings.HTTPS.Key = filepath.Join(t.TempDir(), "web.crt"), filepath.Join(t.TempDir(), "web.key")
	settings.Log.Level = "error"
	website(t, settings.HTTPS.Cert, settings.HTTPS.Key, 1)
	if err := settings.Validate(); err != nil {
		t.Fatal(err)
	}

	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, *settings) }()
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}

	response := eventually(t, client, "https://"+settings.Listen+"/v1/nodes")
	body, err := io.ReadAll(response.Body)
	response.Body.Close()
	if err != nil || !strings.Contains(string(body), "asked by spiffe://cidsistem.example/gateway/portale") {
		t.Errorf("%d %s, %v", response.StatusCode, body, err)
	}
	if response.ProtoMajor != 2 || response.Header.Get("Strict-Transport-Security") == "" {
		t.Errorf("%s with %v", response.Proto, response.Header)
	}
	ready := eventually(t, client, "http://"+settings.Admin+"/readyz")
	ready.Body.Close()
	if ready.StatusCode != http.StatusOK {
		t.Errorf("/readyz: %d", ready.StatusCode)
	}

	stream := eventually(t, client, "https://"+settings.Listen+"/v1/nodes:watch")
	defer stream.Body.Close()
	stop()
	if _, err := io.ReadAll(stream.Body); err != nil {
		t.Errorf("the stream was broken off: %v", err)
	}
	if err := <-ended; err != nil {
		t.Errorf("the gateway ended with %v", err)
	}
}

// eventually asks until somebody answers.
func eventually(t *testing.T, client *http.Client, url string) *http.Response {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for until := time.After(10 * time.Second); ; {
		response, err := client.Get(url)
		if err == nil {
			return response
		}
		select {
		case <-tick.C:
		case <-until:
			t.Fatalf("nobody answers: %v", err)
		}
	}
}

func TestWrongUpstreamIsNotTrusted(t *testing.T) {
	ca := identitytest.NewCA(t, "cidsistem.example")
	settings := Defaults()
	settings.Upstream = Upstream{Address: office(t, ca), Identity: "spiffe://cidsistem.example/ufficio/another"}
	settings.TLS = ca.Files(t, identity.RoleGateway, "portale")
	conn, err := dial(*settings)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if _, err := federationv1.NewFederationServiceClient(conn).ListNodes(ctx, &federationv1.ListNodesRequest{}); err == nil {
		t.Error("another server than the one in the settings was believed")
	}
}

func TestCertificateIsReadAgain(t *testing.T) {
	certFile, keyFile := filepath.Join(t.TempDir(), "web.crt"), filepath.Join(t.TempDir(), "web.key")
	website(t, certFile, keyFile, 1)
	c, err := loadCertificate(certFile, keyFile, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	serial := func() int64 {
		now = now.Add(lookEvery)
		leaf, err := x509.ParseCertificate(c.newest(now).Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		return leaf.SerialNumber.Int64()
	}
	touch := func(age time.Duration) {
		for _, file := range []string{certFile, keyFile} {
			if err := os.Chtimes(file, time.Time{}, now.Add(age)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := serial(); got != 1 {
		t.Errorf("certificate %d, want 1", got)
	}
	website(t, certFile, keyFile, 2)
	touch(time.Hour)
	if got := serial(); got != 2 {
		t.Errorf("certificate %d, want the new one", got)
	}
	if err := os.WriteFile(certFile, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	touch(2 * time.Hour)
	if got := serial(); got != 2 {
		t.Errorf("certificate %d, want the last good one", got)
	}
	website(t, certFile, keyFile, 3)
	touch(3 * time.Hour)
	if got := serial(); got != 3 {
		t.Errorf("certificate %d, want the repaired one", got)
	}
	if _, err := loadCertificate(filepath.Join(t.TempDir(), "none"), keyFile, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("a missing certificate is no error")
	}
}

func TestSettings(t *testing.T) {
	for _, test := range []struct{ name, yaml, wrong string }{
		{"loopback without certificates", "upstream: {insecure: true}", ""},
		{"everything", `
listen: 0.0.0.0:443
admin: 127.0.0.1:9000
https: {cert: web.crt, key: web.key}
upstream: {address: "unix:/run/cid/office.sock", identity: "spiffe://cidsistem.example/ufficio/cid-trapani"}
tls: {cert: a, key: b, ca: c}
allowed_origins: ["https://www.comune.example"]
trusted_proxies: [10.0.0.0/8, "fd00::/8"]
limits: {body_bytes: 1000, file_bytes: 1000, timeout: 1s, file_timeout: 1m, streams: 0, rate: 0, burst: 0}
log: {level: debug, format: text}`, ""},
		{"no identity", "upstream: {address: 127.0.0.1:1}", "upstream.identity"},
		{"unknown key", "upstream: {insecure: true, adress: x}", "adress"},
		{"certificate without key", "upstream: {insecure: true}\nhttps: {cert: a}", "https"},
		{"origin with a path", "upstream: {insecure: true}\nallowed_origins: [\"https://www.comune.example/\"]", "allowed_origins"},
		{"origin without a scheme", "upstream: {insecure: true}\nallowed_origins: [www.comune.example]", "allowed_origins"},
		{"proxy that is no network", "upstream: {insecure: true}\ntrusted_proxies: [proxy]", "proxy"},
		{"time without a unit", "upstream: {insecure: true}\nlimits: {timeout: 10}", "10s"},
		{"no time", "upstream: {insecure: true}\nlimits: {timeout: 0s}", "limits"},
		{"rate without burst", "upstream: {insecure: true}\nlimits: {rate: 1, burst: 0}", "burst"},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "gateway.yaml")
			if err := os.WriteFile(path, []byte(test.yaml), 0o600); err != nil {
				t.Fatal(err)
			}
			err := config.Load(path, Defaults())
			if test.wrong == "" && err != nil || test.wrong != "" && (err == nil || !strings.Contains(err.Error(), test.wrong)) {
				t.Errorf("error %v, want one about %q", err, test.wrong)
			}
		})
	}
}
