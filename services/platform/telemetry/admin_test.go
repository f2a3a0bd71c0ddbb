package telemetry_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"cidsistem.example/services/platform/telemetry"
)

func TestAdminHandler(t *testing.T) {
	var notReady error
	handler := telemetry.AdminHandler(telemetry.NewRegistry(), func() error { return notReady })
	for _, test := range []struct {
		path, caller string
		notReady     error
		wantStatus   int
		wantText     string
	}{
		{path: "/livez", wantStatus: 200, wantText: "ok"},
		{path: "/livez", notReady: errors.New("store is closed"), wantStatus: 200, wantText: "ok"},
		{path: "/readyz", wantStatus: 200, wantText: "ok"},
		{path: "/readyz", notReady: errors.New("store is closed"), wantStatus: 503, wantText: "store is closed"},
		{path: "/metrics", wantStatus: 200, wantText: "cid_build_info{version="},
		{path: "/metrics", wantStatus: 200, wantText: "go_goroutines"},
		{path: "/debug/pprof/", caller: "127.0.0.1:5", wantStatus: 200, wantText: "goroutine"},
		{path: "/debug/pprof/heap?debug=1", caller: "[::1]:5", wantStatus: 200, wantText: "heap profile"},
		{path: "/debug/pprof/heap", caller: "192.0.2.7:5", wantStatus: 403, wantText: "this machine only"},
		{path: "/debug/pprof/profile", caller: "192.0.2.7:5", wantStatus: 403, wantText: "this machine only"},
		{path: "/debug/pprof/trace", caller: "192.0.2.7:5", wantStatus: 403, wantText: "this machine only"},
		{path: "/debug/pprof/cmdline", caller: "192.0.2.7:5", wantStatus: 403, wantText: "this machine only"},
		{path: "/", wantStatus: 404},
	} {
		t.Run(fmt.Sprintf("%s from %q, ready: %v", test.path, test.caller, test.notReady), func(t *testing.T) {
			notReady = test.notReady
			request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, test.path, nil)
			if test.caller != "" {
				request.RemoteAddr = test.caller
			}
			recorder := httptest.NewRecorder()
			handler.ServeHTTP(recorder, request)
			if recorder.Code != test.wantStatus || !strings.Contains(recorder.Body.String(), test.wantText) {
				t.Errorf("%d %q, want %d with %q", recorder.Code, recorder.Body, test.wantStatus, test.wantText)
			}
		})
	}
}

func TestAdminServesUntilStopped(t *testing.T) {
	address := freeAddress(t)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- telemetry.Admin(address, telemetry.NewRegistry(), func() error { return nil }).Run(ctx)
	}()
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	get := func() (string, error) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/livez", nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := client.Do(request)
		if err != nil {
			return "", err
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		return string(body), err
	}
	for deadline := time.Now().Add(5 * time.Second); ; {
		text, err := get()
		if err == nil && text == "ok\n" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("not served: %q, %v", text, err)
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("Run: %v", err)
	}
	if text, err := get(); err == nil {
		t.Errorf("still served after the stop: %q", text)
	}
}

func TestAdminNamesTheAddressItCannotHave(t *testing.T) {
	taken, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	address := taken.Addr().String()
	err = telemetry.Admin(address, telemetry.NewRegistry(), func() error { return nil }).Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "listen on "+address) {
		t.Errorf("Run: %v, want an error that names %s", err, address)
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}
