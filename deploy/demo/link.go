package demo

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
)

// A Link forwards connections from the ufficio comune to a node; it can be cut
// and healed, as the link to an island is.
type Link struct {
	address string // of the link itself, HOST:PORT
	target  string // of the node

	mu       sync.Mutex
	listener net.Listener // nil while the link is cut
	open     map[net.Conn]struct{}
	forwards sync.WaitGroup
}

// newLink opens a link at an address; port 0 means any free one.
func newLink(ctx context.Context, address, target string) (*Link, error) {
	l := &Link{address: address, target: target, open: map[net.Conn]struct{}{}}
	return l, l.Heal(ctx)
}

// Address is where the link begins.
func (l *Link) Address() string { return l.address }

// Down tells whether the link is cut.
func (l *Link) Down() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.listener == nil
}

// Cut breaks all connections and refuses new ones.
func (l *Link) Cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.listener == nil {
		return
	}
	_ = l.listener.Close()
	l.listener = nil
	for conn := range l.open {
		_ = conn.Close()
	}
}

// Close cuts the link and waits for what it forwards to end.
func (l *Link) Close() {
	l.Cut()
	l.forwards.Wait()
}

// Heal takes connections again.
func (l *Link) Heal(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.listener != nil {
		return nil
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", l.address)
	if err != nil {
		return err
	}
	l.listener, l.address = listener, listener.Addr().String()
	l.forwards.Go(func() { l.accept(context.WithoutCancel(ctx), listener) })
	return nil
}

func (l *Link) accept(ctx context.Context, listener net.Listener) {
	for {
		from, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			l.forwards.Go(func() { l.forward(ctx, listener, from) })
		}
	}
}

// forward copies both ways until one side ends.
func (l *Link) forward(ctx context.Context, listener net.Listener, from net.Conn) {
	defer func() { _ = from.Close() }()
	to, err := new(net.Dialer).DialContext(ctx, "tcp", l.target)
	if err != nil {
		return
	}
	defer func() { _ = to.Close() }()
	if !l.track(listener, from, to) {
		return
	}
	defer l.forget(from, to)
	ended := make(chan struct{}, 2)
	for _, pair := range [][2]net.Conn{{from, to}, {to, from}} {
		go func() {
			_, _ = io.Copy(pair[1], pair[0])
			ended <- struct{}{}
		}()
	}
	<-ended
	_, _ = from.Close(), to.Close()
	<-ended
}

// track remembers connections so that a cut can break them; false when the link
// was cut meanwhile.
func (l *Link) track(listener net.Listener, conns ...net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.listener != listener {
		return false
	}
	for _, conn := range conns {
		l.open[conn] = struct{}{}
	}
	return true
}

func (l *Link) forget(conns ...net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, conn := range conns {
		delete(l.open, conn)
	}
}
