package lifecycle_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"cidsistem.example/services/platform/lifecycle"
)

// The first use of signals starts a goroutine that never ends, which must not happen inside a test with fake time.
func TestMain(m *testing.M) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGUSR1)
	signal.Stop(signals)
	os.Exit(m.Run())
}

var quiet = slog.New(slog.DiscardHandler)

func untilStopped(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestFirstFailureStopsTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		errDisk := errors.New("disk full")
		closed := false
		err := lifecycle.Run(t.Context(), quiet,
			lifecycle.Task{Name: "gRPC", Run: func(ctx context.Context) error {
				<-ctx.Done()
				<-time.After(3 * time.Second) // its own drain
				closed = true
				return nil
			}},
			lifecycle.Task{Name: "store", Run: func(context.Context) error { return errDisk }},
			lifecycle.Task{Name: "follower", Run: func(ctx context.Context) error {
				<-ctx.Done()
				return errors.New("a later failure")
			}},
		)
		if !errors.Is(err, errDisk) || err.Error() != "store: disk full" {
			t.Errorf("Run: %v, want the first failure with its task's name", err)
		}
		if !closed {
			t.Error("Run returned before the slowest task had ended")
		}
	})
}

func TestAskedStopIsNoError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		time.AfterFunc(time.Minute, stop)
		if err := lifecycle.Run(ctx, quiet, lifecycle.Task{Name: "gRPC", Run: untilStopped}); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

func TestFailureWhileStoppingIsReturned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		time.AfterFunc(time.Minute, stop)
		err := lifecycle.Run(ctx, quiet,
			lifecycle.Task{Name: "gRPC", Run: untilStopped},
			lifecycle.Task{Name: "store", Run: func(ctx context.Context) error {
				<-ctx.Done()
				return errors.New("last write failed")
			}},
		)
		if err == nil || err.Error() != "store: last write failed" {
			t.Errorf("Run: %v, want the store's failure", err)
		}
	})
}

func TestDoneTaskLeavesTheOthersRunning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lasted time.Duration
		start := time.Now()
		err := lifecycle.Run(t.Context(), quiet,
			lifecycle.Task{Name: "migration", Run: func(context.Context) error { return nil }},
			lifecycle.Task{Name: "import", Run: func(ctx context.Context) error {
				select {
				case <-ctx.Done():
				case <-time.After(time.Hour):
				}
				lasted = time.Since(start)
				return nil
			}},
		)
		if err != nil || lasted != time.Hour {
			t.Errorf("Run: %v, and the other task lasted %v, want its hour", err, lasted)
		}
	})
}

func TestStuckTaskIsNamedAndLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		defer close(release)
		errDisk := errors.New("disk full")
		start := time.Now()
		err := lifecycle.Run(t.Context(), quiet,
			lifecycle.Task{Name: "stuck", Run: func(context.Context) error { <-release; return nil }},
			lifecycle.Task{Name: "store", Run: func(context.Context) error { return errDisk }},
		)
		if took := time.Since(start); took != 15*time.Second {
			t.Errorf("Run took %v, want 15 s", took)
		}
		if !errors.Is(err, errDisk) || !strings.Contains(err.Error(), "not ended 15s after the stop: stuck") {
			t.Errorf("Run: %v, want the first failure and the stuck task", err)
		}
	})
}

func TestSignalStops(t *testing.T) {
	for _, number := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(number.String(), func(t *testing.T) {
			err := lifecycle.Run(t.Context(), quiet,
				lifecycle.Task{Name: "gRPC", Run: untilStopped},
				lifecycle.Task{Name: "sender", Run: func(context.Context) error { return syscall.Kill(os.Getpid(), number) }},
			)
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		})
	}
}
