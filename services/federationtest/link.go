package federationtest

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"
)

// A Link leads from a reader to a server, and fails the ways links do: cut at
// once or in the middle of a message, half-open, stalled, slow. The server
// behind it can be exchanged. The zero Link leads nowhere.
type Link struct {
	mu    sync.Mutex
	bell  *sync.Cond // rung at every change
	to    *Process
	fault fault
	left  int // bytes until a link that is to break does; below 0: it is not to
	delay time.Duration
	wires map[*wire]bool
	tap   func([]byte) // gets all bytes, of both directions
}

type fault int

const (
	none fault = iota
	cut
	halfOpen
	stalled
)

// errCut is what a cut link answers.
var errCut = errors.New("the link is cut")

// Cut breaks the link and everything that goes over it.
func (l *Link) Cut() { l.set(func() { l.fault = cut; l.hangUp() }) }

// CutAfter breaks the link once some more bytes have come from the server.
func (l *Link) CutAfter(bytes int) { l.set(func() { l.left = bytes }) }

// HalfOpen loses whatever is sent from now on, in both directions, and tells
// nobody: connections that there are stay dead after healing, as those whose
// address translation was forgotten.
func (l *Link) HalfOpen() {
	l.set(func() {
		l.fault = halfOpen
		for w := range l.wires {
			w.dead = true
		}
	})
}

// Stall holds back what comes from the server; healing lets it through.
func (l *Link) Stall() { l.set(func() { l.fault = stalled }) }

// Delay makes every piece that comes from the server take some time.
func (l *Link) Delay(each time.Duration) { l.set(func() { l.delay = each }) }

// Heal ends every fault.
func (l *Link) Heal() { l.set(func() { l.fault, l.left, l.delay = none, -1, 0 }) }

// Tap lets somebody listen to all that goes over the link from now on. The bytes
// are good during the call only.
func (l *Link) Tap(listen func([]byte)) { l.set(func() { l.tap = listen }) }

func (l *Link) overhear(bytes []byte) {
	l.mu.Lock()
	listen := l.tap
	l.mu.Unlock()
	if listen != nil {
		listen(bytes)
	}
}

// Lead makes the link lead to another process, nil for none; what goes over it
// breaks.
func (l *Link) Lead(to *Process) { l.set(func() { l.to = to; l.hangUp() }) }

func (l *Link) set(change func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.prepare()
	change()
	l.bell.Broadcast()
}

func (l *Link) prepare() {
	if l.bell == nil {
		l.bell, l.wires, l.left = sync.NewCond(&l.mu), map[*wire]bool{}, -1
	}
}

func (l *Link) hangUp() {
	for w := range l.wires {
		_ = w.Conn.Close()
	}
	clear(l.wires)
}

// Dial connects over the link.
func (l *Link) Dial(ctx context.Context, _ string) (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.prepare()
	defer context.AfterFunc(ctx, func() { l.set(func() {}) })()
	for (l.fault == halfOpen || l.fault == stalled) && ctx.Err() == nil {
		l.bell.Wait()
	}
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case l.fault == cut || l.to == nil:
		return nil, errCut
	}
	conn, err := l.to.listener.DialContext(ctx)
	if err != nil {
		return nil, err
	}
	w := &wire{Conn: conn, link: l}
	l.wires[w] = true
	return w, nil
}

// A wire is a connection over a link.
type wire struct {
	net.Conn
	link *Link
	dead bool
}

func (w *wire) Close() error {
	w.link.set(func() { delete(w.link.wires, w) })
	return w.Conn.Close()
}

func (w *wire) Read(b []byte) (int, error) {
	for {
		n, err := w.Conn.Read(b)
		w.link.overhear(b[:n])
		if err != nil || w.deliver(n) {
			return n, err
		}
	}
}

// deliver waits for as long as the link takes; false: the bytes are lost.
func (w *wire) deliver(n int) bool {
	l := w.link
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.delay > 0 {
		l.mu.Unlock()
		time.Sleep(l.delay)
		l.mu.Lock()
	}
	for l.fault == stalled && l.wires[w] {
		l.bell.Wait()
	}
	if l.left >= 0 {
		if l.left -= n; l.left < 0 {
			l.fault, l.left = cut, -1
			l.hangUp()
		}
	}
	return l.wires[w] && !w.dead
}

func (w *wire) Write(b []byte) (int, error) {
	w.link.mu.Lock()
	dead := w.dead
	w.link.mu.Unlock()
	if dead {
		return len(b), nil
	}
	w.link.overhear(b)
	return w.Conn.Write(b)
}
