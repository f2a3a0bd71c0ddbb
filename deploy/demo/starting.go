package demo

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"

	"go.yaml.in/yaml/v3"

	"cidsistem.example/deploy/pki"
	"cidsistem.example/services/platform/identity"
)

// openAuthority makes the authority of the demo, once.
func (f *Federation) openAuthority() (err error) {
	dir := filepath.Join(f.options.Dir, "pki")
	f.authority, err = pki.Open(dir)
	if errors.Is(err, os.ErrNotExist) {
		f.authority, err = pki.Init(dir, TrustDomain)
	}
	if err != nil {
		return err
	}
	certificate, err := f.issue(idOf(identity.RoleAdmin, "demo"))
	if err != nil {
		return err
	}
	f.admin, err = identity.Load(certificate)
	return err
}

// issue makes a certificate for a process, a new one at every start.
func (f *Federation) issue(id identity.ID) (identity.Files, error) {
	return f.authority.Issue(pki.Request{Role: id.Role, Name: id.Name, IP: []netip.Addr{netip.MustParseAddr("127.0.0.1")}})
}

func idOf(role, name string) identity.ID {
	return identity.ID{TrustDomain: TrustDomain, Role: role, Name: name}
}

func (f *Federation) startNodes(ctx context.Context) (err error) {
	// Nodes know one another, and where their pages are, before they start.
	nodes, pages := map[string]string{}, map[string]string{}
	for i, comune := range Comuni {
		if nodes[comune.ID], err = f.pick(ctx, 1+i); err != nil {
			return err
		}
		if f.options.Workbench {
			if pages[comune.ID], err = f.pick(ctx, 21+i); err != nil {
				return err
			}
			f.desks[comune.ID] = pages[comune.ID]
		}
	}
	for i, comune := range Comuni {
		peers := maps.Clone(nodes)
		delete(peers, comune.ID)
		settings := map[string]any{
			"comune": map[string]string{"id": comune.ID, "title": comune.Title, "istat_code": comune.IstatCode},
			// All who try the demo come from one network.
			"desk":  map[string]any{"patron": comune.Patron, "hourly_per_network": 1000, "hourly": 3000},
			"peers": peers, "backups": map[string]any{"dir": filepath.Join(f.options.Dir, "backups", comune.ID)},
		}
		if page := pages[comune.ID]; page != "" {
			settings["portal_url"] = "http://" + page
		}
		if f.options.Mail != "" {
			host, port, err := net.SplitHostPort(f.options.Mail)
			if err != nil {
				return fmt.Errorf("address of the mail server: %w", err)
			}
			number, err := strconv.Atoi(port)
			if err != nil {
				return fmt.Errorf("port of the mail server: %w", err)
			}
			settings["mail"] = map[string]any{
				"host": host, "port": number, "tls": "none", "from": "Sportello di " + comune.Title + " <sportello@" + comune.ID + ".example>", "every": "1s",
			}
		}
		if f.options.PurgeAfter > 0 {
			settings["purge_after"] = f.options.PurgeAfter.String()
		}
		process, err := f.startServer(idOf(identity.RoleComune, comune.ID), "registryd", nodes[comune.ID], settings)
		if err != nil {
			return err
		}
		f.Nodes[comune.ID] = process
		linkAddress, err := f.pick(ctx, 11+i)
		if err != nil {
			return err
		}
		if f.Links[comune.ID], err = newLink(ctx, linkAddress, f.Address(comune.ID)); err != nil {
			return fmt.Errorf("open the link to %s: %w", comune.ID, err)
		}
	}
	for _, comune := range Comuni {
		if err := f.serving(ctx, comune.ID); err != nil {
			return err
		}
		f.say("Node of %s at %s", comune.Title, f.Address(comune.ID))
	}
	return nil
}

func (f *Federation) startOffices(ctx context.Context) (err error) {
	var members []map[string]string
	for _, comune := range Comuni {
		members = append(members, map[string]string{
			"id": comune.ID, "address": f.Links[comune.ID].Address(), "identity": f.server(comune.ID).id.String(),
		})
	}
	if f.Office, err = f.startOffice(ctx, Office, 0, members); err != nil || f.options.Above == "" {
		return err
	}
	f.Above, err = f.startOffice(ctx, f.options.Above, 4, []map[string]string{
		{"id": Office, "address": f.Address(Office), "identity": f.server(Office).id.String()},
	})
	return err
}

func (f *Federation) startOffice(ctx context.Context, id string, offset int, members []map[string]string) (*Process, error) {
	address, err := f.pick(ctx, offset)
	if err != nil {
		return nil, err
	}
	process, err := f.startServer(idOf(identity.RoleUfficio, id), "ufficiod", address, map[string]any{"id": id, "members": members})
	if err != nil {
		return nil, err
	}
	if err := f.serving(ctx, id); err != nil {
		return nil, err
	}
	f.say("Ufficio comune %s at %s", id, f.Address(id))
	return process, nil
}

// startServer runs a process that answers gRPC, with the settings that all of
// them have and those given.
func (f *Federation) startServer(id identity.ID, program, address string, settings map[string]any) (*Process, error) {
	certificate, err := f.issue(id)
	if err != nil {
		return nil, err
	}
	settings["data_dir"], settings["listen"], settings["tls"] = f.DataDir(id.Name), address, certificate
	process, err := f.start(id.Name, program, settings)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.servers[id.Name] = server{process: process, address: address, id: id}
	return process, nil
}

// startDesks starts a gateway at the node of each comune: its own portal, and
// where its people work.
func (f *Federation) startDesks(ctx context.Context) (err error) {
	for _, comune := range Comuni {
		if _, f.desks[comune.ID], err = f.startGateway(ctx, "gateway-"+comune.ID, "portale-"+comune.ID, comune.ID, f.desks[comune.ID]); err != nil {
			return err
		}
	}
	return nil
}

// AddGateway starts a further gateway, in front of the server of a comune, or
// of an ufficio comune, and returns its address.
func (f *Federation) AddGateway(ctx context.Context, id string) (address string, err error) {
	_, address, err = f.startGateway(ctx, "gateway-"+id, "portale-"+id, id, "127.0.0.1:0")
	return address, err
}

// startGateway runs a gateway in front of a server. Port 0 means any free one.
func (f *Federation) startGateway(ctx context.Context, name, certificateName, upstream, address string) (*Process, string, error) {
	certificate, err := f.issue(idOf(identity.RoleGateway, certificateName))
	if err != nil {
		return nil, "", err
	}
	if host, port, err := net.SplitHostPort(address); err == nil && port == "0" {
		if address, err = freeAddress(ctx, host); err != nil {
			return nil, "", err
		}
	}
	process, err := f.start(name, "gatewayd", map[string]any{
		"listen": address, "tls": certificate,
		"limits":   map[string]any{"rate": f.options.Rate, "burst": max(1, 4*f.options.Rate)},
		"upstream": map[string]string{"address": f.Address(upstream), "identity": f.server(upstream).id.String()},
	})
	if err != nil {
		return nil, "", err
	}
	if err := f.answering(ctx, process, address); err != nil {
		return nil, "", err
	}
	f.say("Gateway at http://%s", address)
	return process, address, nil
}

// start writes the settings of a process and runs it.
func (f *Federation) start(name, program string, settings map[string]any) (*Process, error) {
	text, err := yaml.Marshal(settings)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(f.options.Dir, "settings", name+".yaml")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return nil, fmt.Errorf("write the settings of %s: %w", name, err)
	}
	p := &Process{
		name: name, binary: filepath.Join(f.options.Bin, program), settings: path,
		log: filepath.Join(f.options.Dir, "logs", name+".log"),
	}
	if err := p.Start(); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.started = append(f.started, p)
	return p, nil
}

// pick chooses the address of a gRPC server.
func (f *Federation) pick(ctx context.Context, offset int) (string, error) {
	if f.options.BasePort == 0 {
		return freeAddress(ctx, "127.0.0.1")
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(f.options.BasePort+offset)), nil
}

// freeAddress finds a free port below those that the kernel gives to clients,
// so that a server that is down for a while finds its port free again.
func freeAddress(ctx context.Context, host string) (string, error) {
	const lowest, highest, attempts = 10_000, 30_000, 100
	var err error
	for range attempts {
		port := lowest + rand.N(highest-lowest)
		var listener net.Listener
		if listener, err = new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(port))); err == nil {
			return listener.Addr().String(), listener.Close()
		}
	}
	return "", fmt.Errorf("find a free port: %w", err)
}
