package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// controlSocket is where a running demo takes orders.
func controlSocket(dir string) string { return filepath.Join(dir, "demo.sock") }

// Control takes orders to cut and heal links until ctx ends.
func (f *Federation) Control(ctx context.Context) error {
	path := controlSocket(f.options.Dir)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "unix", path)
	if err != nil {
		return fmt.Errorf("take orders: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /cut", f.order(func(_ context.Context, l *Link) error { l.Cut(); return nil }))
	mux.HandleFunc("POST /heal", f.order(func(ctx context.Context, l *Link) error { return l.Heal(ctx) }))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: time.Second}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return server.Close()
	}
}

func (f *Federation) order(do func(context.Context, *Link) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		comune := r.FormValue("comune")
		link := f.Links[comune]
		if link == nil {
			http.Error(w, fmt.Sprintf("there is no comune %q in the demo", comune), http.StatusNotFound)
			return
		}
		// The link outlives the request that healed it.
		if err := do(context.WithoutCancel(r.Context()), link); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	}
}

// ErrNotRunning says that no demo runs in a folder.
var ErrNotRunning = errors.New("no demo runs here; start it with: make demo")

// Order tells the demo that runs in a folder to "cut" or "heal" the link of a
// comune.
func Order(ctx context.Context, dir, what, comune string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", controlSocket(dir))
		},
	}}
	body := strings.NewReader(url.Values{"comune": {comune}}.Encode())
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://demo/"+what, body)
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("%w (%s)", ErrNotRunning, dir)
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(answer.Body, 1000))
		return errors.New(strings.TrimSpace(string(text)))
	}
	return nil
}
