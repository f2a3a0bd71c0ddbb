// Package network tells from which network a call comes, for what is counted by
// network: nobody is named by it.
package network

import (
	"context"
	"net"
	"net/netip"

	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"cidsistem.example/services/internal/policy"
)

// clientKey is the metadata with which a server passes on where its caller is.
const clientKey = "cid-client"

// Of tells where a call comes from: the client's network as the server says that
// passed the call on, else the other end of the connection; "local" for the
// server itself.
func Of(ctx context.Context) string {
	via := policy.Of(ctx).Via
	if via != nil {
		if values := metadata.ValueFromIncomingContext(ctx, clientKey); len(values) == 1 {
			if network, ok := parse(values[0]); ok {
				return network
			}
		}
		return via.String()
	}
	if p, ok := peer.FromContext(ctx); ok && p.Addr != nil {
		if host, _, err := net.SplitHostPort(p.Addr.String()); err == nil {
			if network, ok := parse(host); ok {
				return network
			}
		}
	}
	return "local"
}

// parse reads an address or a network, and widens it to what one client can
// be expected to have: an IPv4 address, an IPv6 /64.
func parse(text string) (string, bool) {
	addr, err := netip.ParseAddr(text)
	if err != nil {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			return "", false
		}
		addr = prefix.Addr()
	}
	addr = addr.Unmap().WithZone("")
	bits := 32
	if addr.Is6() {
		bits = 64
	}
	prefix, err := addr.Prefix(bits)
	return prefix.String(), err == nil
}
