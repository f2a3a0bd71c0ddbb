// Package identity says who a process is to the others of its federation: mutual TLS with one SPIFFE ID per certificate, read from
// files that may be replaced while the process runs.
package identity

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
)

// The roles a process can have in a federation.
const (
	RoleComune  = "comune"  // a municipality's registry node
	RoleUfficio = "ufficio" // the office that federates the nodes
	RoleGateway = "gateway" // an HTTP edge
	RoleAdmin   = "admin"   // an administrator's command line
)

// Roles returns every role, in the order of the constants.
func Roles() []string {
	return []string{RoleComune, RoleUfficio, RoleGateway, RoleAdmin}
}

// ID names one process of a federation: spiffe://TRUST-DOMAIN/ROLE/NAME.
type ID struct {
	TrustDomain string // for example "cidsistem.example"
	Role        string // one of [Roles]
	Name        string // for example "pantelleria": letters, digits, dot, dash and underscore
}

// ParseID reads an ID from its text form. The error says which part is wrong.
func ParseID(text string) (ID, error) {
	parsed, err := spiffeid.FromString(text)
	if err != nil {
		return ID{}, fmt.Errorf("identity %q is not spiffe://TRUST-DOMAIN/ROLE/NAME: %w", text, err)
	}
	return fromSPIFFE(parsed)
}

// String returns the ID in the form that [ParseID] reads.
func (id ID) String() string {
	return "spiffe://" + id.TrustDomain + "/" + id.Role + "/" + id.Name
}

// Validate reports the part of the ID that is wrong, if any.
func (id ID) Validate() error {
	parsed, err := ParseID(id.String())
	if err != nil {
		return err
	}
	if parsed != id {
		return fmt.Errorf("identity %q has a separator inside one of its parts", id.String())
	}
	return nil
}

func fromSPIFFE(parsed spiffeid.ID) (ID, error) {
	role, name, found := strings.Cut(strings.TrimPrefix(parsed.Path(), "/"), "/")
	if !found || strings.Contains(name, "/") {
		return ID{}, fmt.Errorf("identity %q has not the two parts ROLE/NAME after its trust domain", parsed)
	}
	if !slices.Contains(Roles(), role) {
		return ID{}, fmt.Errorf("identity %q has the unknown role %q: the roles are %s", parsed, role, strings.Join(Roles(), ", "))
	}
	return ID{TrustDomain: parsed.TrustDomain().Name(), Role: role, Name: name}, nil
}

// PeerID returns who is at the other end of the gRPC call that ctx belongs to. It is false when the connection carries no
// certificate: in-process, a Unix socket, or plain text on loopback. A connection accepted by [Source.ServerTLS] always has one.
func PeerID(ctx context.Context) (ID, bool) {
	connected, ok := peer.FromContext(ctx)
	if !ok {
		return ID{}, false
	}
	info, ok := connected.AuthInfo.(credentials.TLSInfo)
	if !ok || len(info.State.PeerCertificates) == 0 {
		return ID{}, false
	}
	parsed, err := x509svid.IDFromCert(info.State.PeerCertificates[0])
	if err != nil {
		return ID{}, false
	}
	id, err := fromSPIFFE(parsed)
	return id, err == nil
}
