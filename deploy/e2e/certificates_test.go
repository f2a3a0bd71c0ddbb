package e2e

import (
	"context"
	"crypto/tls"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"testing"
	"time"

	"cidsistem.example/deploy/demo"
	"cidsistem.example/deploy/pki"
	"cidsistem.example/proto/gen/federationv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/platform/identity"
)

// TestCertificateRotation proves that new certificates are taken into use by the
// next connection, while connections and streams that are open go on and no
// process is started again.
func TestCertificateRotation(t *testing.T) {
	f := start(t, demo.Options{})
	servers := map[string]string{"marsala": identity.RoleComune, demo.Office: identity.RoleUfficio}
	processes := map[string]*demo.Process{"marsala": f.Nodes["marsala"], demo.Office: f.Office}
	pids, serials := map[string]int{}, map[string]*big.Int{}
	for id := range servers {
		pids[id], serials[id] = processes[id].PID(), serialOf(t, f.Address(id))
	}
	board, err := federationv1.NewFederationServiceClient(f.conn(t, demo.Office)).WatchNodes(t.Context(), &federationv1.WatchNodesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := board.Recv(); err != nil {
		t.Fatal(err)
	}

	for id, role := range servers {
		if _, err := f.Authority().Issue(pki.Request{Role: role, Name: id, IP: []netip.Addr{netip.MustParseAddr("127.0.0.1")}}); err != nil {
			t.Fatal(err)
		}
	}
	for id := range servers {
		took := soon(t, 10*time.Second, func(context.Context) error {
			if now := serialOf(t, f.Address(id)); now.Cmp(serials[id]) == 0 {
				return fmt.Errorf("%s still shows certificate %x", id, now)
			}
			return nil
		})
		t.Logf("%s shows its new certificate after %s", id, took.Round(time.Millisecond))
	}

	// What was open goes on.
	succeeds(t, grpcTransport{f.conn(t, "marsala"), nil}, "ComuneService.GetComune", &registryv1.GetComuneRequest{Name: "comuni/marsala"})
	// What is opened anew is trusted both ways: the ufficio comune comes back to
	// the node with its new certificate, and the live board tells so.
	f.Links["marsala"].Cut()
	stateOf(t, board, federationv1.Node_UNREACHABLE)
	if err := f.Links["marsala"].Heal(t.Context()); err != nil {
		t.Fatal(err)
	}
	stateOf(t, board, federationv1.Node_IN_SYNC)
	succeeds(t, restTransport{address: f.HTTP(), people: f}, "ServiceService.CreateService", &registryv1.CreateServiceRequest{
		Parent: "comuni/marsala",
		Service: &registryv1.Service{
			Title: &registryv1.LocalizedText{It: "Dopo il cambio"}, Status: &registryv1.Status{State: registryv1.Status_ACTIVE},
		},
	})
	for id, process := range processes {
		if now := process.PID(); now != pids[id] {
			t.Errorf("%s was process %d and is %d", id, pids[id], now)
		}
	}
}

// serialOf is the serial number of the certificate that a server shows now.
func serialOf(t *testing.T, address string) *big.Int {
	t.Helper()
	// Only looked at: the server refuses the connection, which shows no
	// certificate of its own.
	dialer := &tls.Dialer{NetDialer: &net.Dialer{}, Config: &tls.Config{InsecureSkipVerify: true}}
	conn, err := dialer.DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	return conn.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber
}

// stateOf reads the board until the node of Marsala is in a state.
func stateOf(t *testing.T, board federationv1.FederationService_WatchNodesClient, want federationv1.Node_State) {
	t.Helper()
	for {
		news, err := board.Recv()
		if err != nil {
			t.Fatalf("waiting for %s: %v", want, err)
		}
		for _, node := range news.GetNodes() {
			if node.GetName() == "nodes/marsala" && node.GetState() == want {
				return
			}
		}
	}
}
