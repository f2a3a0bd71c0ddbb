// Package telemetry is what a process tells its operators: structured logs, and a second port with health, metrics and profiles.
package telemetry

import (
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"
)

// NewLogger makes a logger that writes to w. Level is debug, info, warn or error; format is json or text.
func NewLogger(w io.Writer, level, format string) (*slog.Logger, error) {
	var lowest slog.Level
	if err := lowest.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("log level %q is unknown: use debug, info, warn or error", level)
	}
	options := &slog.HandlerOptions{Level: lowest}
	switch format {
	case "json":
		return slog.New(slog.NewJSONHandler(w, options)), nil
	case "text":
		return slog.New(slog.NewTextHandler(w, options)), nil
	}
	return nil, fmt.Errorf("log format %q is unknown: use json or text", format)
}

// BuildVersion returns the version the running program was built as: the module's version, else the commit with "+changes" if the
// tree was not clean, else "unknown".
func BuildVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if version := info.Main.Version; version != "" && version != "(devel)" {
		return version
	}
	settings := map[string]string{}
	for _, setting := range info.Settings {
		settings[setting.Key] = setting.Value
	}
	commit := settings["vcs.revision"]
	if commit == "" {
		return "unknown"
	}
	if settings["vcs.modified"] == "true" {
		return commit + "+changes"
	}
	return commit
}
