package federationtest

import (
	"os"
	"runtime/debug"
	"testing"
)

func TestMain(m *testing.M) {
	// Histories make much garbage and keep little.
	debug.SetGCPercent(400)
	os.Exit(m.Run())
}
