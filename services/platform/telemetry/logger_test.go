package telemetry_test

import (
	"bytes"
	"strings"
	"testing"

	"cidsistem.example/services/platform/telemetry"
)

func TestNewLogger(t *testing.T) {
	for _, test := range []struct {
		level, format string
		want          []string // what a debug and a warn line leave in the log, in order
		wantErr       string
	}{
		{level: "debug", format: "text", want: []string{"level=DEBUG msg=fine n=1", "level=WARN msg=odd n=2"}},
		{level: "warn", format: "text", want: []string{"level=WARN msg=odd n=2"}},
		{level: "info", format: "json", want: []string{`"level":"WARN","msg":"odd","n":2}`}},
		{level: "error", format: "json"},
		{level: "loud", format: "json", wantErr: `log level "loud" is unknown`},
		{level: "", format: "json", wantErr: `log level "" is unknown`},
		{level: "info", format: "xml", wantErr: `log format "xml" is unknown`},
	} {
		t.Run(test.level+" "+test.format, func(t *testing.T) {
			var written bytes.Buffer
			logger, err := telemetry.NewLogger(&written, test.level, test.format)
			if test.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), test.wantErr) {
					t.Fatalf("NewLogger: %v, want an error with %q", err, test.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			logger.Debug("fine", "n", 1)
			logger.Warn("odd", "n", 2)
			lines := strings.FieldsFunc(written.String(), func(r rune) bool { return r == '\n' })
			if len(lines) != len(test.want) {
				t.Fatalf("%d lines, want %d:\n%s", len(lines), len(test.want), written.String())
			}
			for i, want := range test.want {
				if !strings.HasSuffix(lines[i], want) {
					t.Errorf("line %d is %q, want the end %q", i, lines[i], want)
				}
			}
		})
	}
}
