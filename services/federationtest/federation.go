// Package federationtest runs nodes and offices in one process, connected by
// links that a test can cut and heal, with a clock that it can set: for tests
// of the whole that must be quick and repeatable. Only tests import it.
package federationtest

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"

	"cidsistem.example/services/platform/grpcclient"
	"cidsistem.example/services/registry"
	"cidsistem.example/services/ufficiocomune"
)

// A Node is a comune's node of a test, with the link that its office uses.
type Node struct {
	*Process
	Link     *Link
	Node     *registry.Node
	Settings registry.Settings
	options  registry.Options
}

// istat are the codes of the comuni that tests use.
var istat = map[string]string{"pantelleria": "081014", "marsala": "081011", "mazara-del-vallo": "081012"}

// NodeSettings are the settings of a comune's node with its data in a folder.
func NodeSettings(comune, dir string) registry.Settings {
	s := registry.Defaults()
	code := istat[comune]
	if code == "" {
		code = "999999"
	}
	words := strings.Split(comune, "-")
	for i, w := range words {
		words[i] = strings.ToUpper(w[:1]) + w[1:]
	}
	s.Comune = registry.Comune{ID: comune, Title: strings.Join(words, " "), IstatCode: code}
	s.DataDir = dir
	return *s
}

// StartNode starts the node of a comune; it stops with the test.
func StartNode(t testing.TB, settings registry.Settings, options registry.Options) *Node {
	t.Helper()
	n := &Node{Link: &Link{}, Settings: settings, options: options}
	n.Start(t)
	t.Cleanup(func() {
		if n.Process != nil {
			n.Halt(t)
		}
	})
	return n
}

// Start starts a halted node again, on the same data.
func (n *Node) Start(t testing.TB) {
	t.Helper()
	n.options.NoSync = true
	if n.options.Logger == nil {
		n.options.Logger = Quiet()
	}
	node, err := registry.Open(t.Context(), n.Settings, n.options)
	if err != nil {
		t.Fatalf("open the node of %s: %v", n.Settings.Comune.ID, err)
	}
	n.Node, n.Process = node, start(node)
	n.Link.Lead(n.Process)
}

// Halt stops the node; its link is cut.
func (n *Node) Halt(t testing.TB) {
	t.Helper()
	n.Link.Lead(nil)
	n.Stop(t)
	n.Process = nil
}

// An Office is an ufficio comune of a test.
type Office struct {
	*Process
	Link     *Link
	Office   *ufficiocomune.Office
	Settings ufficiocomune.Settings
	options  ufficiocomune.Options
}

// A Below is what an office federates: its id, and the link that leads to it.
type Below struct {
	ID, Role string
	Link     *Link
	Comuni   []string
}

// Member makes the entry of a node.
func (n *Node) Member() Below { return Below{ID: n.Settings.Comune.ID, Role: "comune", Link: n.Link} }

// Member makes the entry of an office below another.
func (o *Office) Member() Below { return Below{ID: o.Settings.ID, Role: "ufficio", Link: o.Link} }

// StartOffice starts an office over members; it stops with the test.
func StartOffice(t testing.TB, id string, options ufficiocomune.Options, below ...Below) *Office {
	t.Helper()
	settings := ufficiocomune.Defaults()
	settings.ID, settings.DataDir = id, filepath.Join(t.TempDir(), id)
	o := &Office{Link: &Link{}, Settings: *settings, options: options}
	links := map[string]*Link{}
	for _, b := range below {
		links[b.ID] = b.Link
		o.Settings.Members = append(o.Settings.Members, ufficiocomune.Member{
			ID: b.ID, Address: b.ID + ":1", Identity: "spiffe://cidsistem.example/" + b.Role + "/" + b.ID, Comuni: b.Comuni,
		})
	}
	o.options.Dial = func(m ufficiocomune.Member) (*grpc.ClientConn, error) {
		return grpcclient.Dial(m.Address, grpcclient.Options{Insecure: true, Dialer: links[m.ID].Dial})
	}
	o.Start(t)
	t.Cleanup(func() {
		if o.Process != nil {
			o.Halt(t)
		}
	})
	return o
}

// Start starts a halted office again, on the same data.
func (o *Office) Start(t testing.TB) {
	t.Helper()
	o.options.NoSync = true
	if o.options.Logger == nil {
		o.options.Logger = Quiet()
	}
	office, err := ufficiocomune.Open(t.Context(), o.Settings, o.options)
	if err != nil {
		t.Fatalf("open the office %s: %v", o.Settings.ID, err)
	}
	o.Office, o.Process = office, start(office)
	o.Link.Lead(o.Process)
}

// Halt stops the office; its link is cut.
func (o *Office) Halt(t testing.TB) {
	t.Helper()
	o.Link.Lead(nil)
	o.Stop(t)
	o.Process = nil
}

// WithoutMember drops a member from the settings of a halted office.
func (o *Office) WithoutMember(id string) {
	o.Settings.Members = slices.DeleteFunc(o.Settings.Members, func(m ufficiocomune.Member) bool { return m.ID == id })
}

// Eventually waits until a condition holds, checking it whenever something may
// have changed; it fails the test after 20 seconds.
func Eventually(t testing.TB, what string, changed func() <-chan struct{}, holds func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		bell := changed()
		if holds() {
			return
		}
		select {
		case <-bell:
		case <-deadline:
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}
