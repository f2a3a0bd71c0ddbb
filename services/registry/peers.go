package registry

import (
	"errors"
	"fmt"

	"google.golang.org/grpc"

	"cidsistem.example/proto/gen/deskv1"
)

// peers are the nodes of other comuni, to which requests can be handed over.
type peers map[string]*grpc.ClientConn

// dialPeers connects to the nodes that the settings name; each link is made at
// its first call.
func dialPeers(addresses map[string]string, dial func(comune, address string) (*grpc.ClientConn, error)) (peers, error) {
	all := peers{}
	if dial == nil {
		return all, nil
	}
	for comune, address := range addresses {
		conn, err := dial(comune, address)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("peer %s: %w", comune, err), all.Close())
		}
		all[comune] = conn
	}
	return all, nil
}

// Transfer connects to the node of a comune; nil for one that is not known.
func (p peers) Transfer(comune string) (deskv1.TransferServiceClient, error) {
	if conn := p[comune]; conn != nil {
		return deskv1.NewTransferServiceClient(conn), nil
	}
	return nil, nil
}

// Close closes the connections.
func (p peers) Close() error {
	var problems []error
	for _, conn := range p {
		problems = append(problems, conn.Close())
	}
	return errors.Join(problems...)
}
