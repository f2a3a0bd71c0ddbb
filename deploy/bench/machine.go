package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// machine tells on what was measured, for the head of the output.
func machine(dir string) ([][]string, error) {
	disk, err := fileSystem(dir)
	if err != nil {
		return nil, err
	}
	flush, err := flushTime(dir)
	if err != nil {
		return nil, fmt.Errorf("try the disk: %w", err)
	}
	load, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return nil, err
	}
	return [][]string{
		{"processor", procField("/proc/cpuinfo", "model name") + ", " + strconv.Itoa(runtime.NumCPU()) + " cores"},
		{"memory", memoryTotal()},
		{"kernel", firstLine("/proc/sys/kernel/osrelease")},
		{"disk", fmt.Sprintf("%s; a 4 KiB write with fdatasync takes %s (median of %d)", disk, milliseconds(flush), flushes)},
		{"Go", runtime.Version()},
		{"commit", commit()},
		{"date", time.Now().UTC().Format("2006-01-02 15:04 MST")},
		{"load before", strings.Join(strings.Fields(string(load))[:3], ", ") + " (1, 5 and 15 minutes)"},
	}, nil
}

func firstLine(path string) string {
	text, err := os.ReadFile(filepath.Clean(path))
	if err != nil {
		return "not known"
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return line
}

// procField reads "key : value" lines.
func procField(path, key string) string {
	text, err := os.ReadFile(filepath.Clean(path))
	if err != nil {
		return "not known"
	}
	for line := range strings.Lines(string(text)) {
		if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == key {
			return strings.TrimSpace(v)
		}
	}
	return "not known"
}

func memoryTotal() string {
	kilobytes, err := strconv.ParseInt(strings.TrimSuffix(procField("/proc/meminfo", "MemTotal"), " kB"), 10, 64)
	if err != nil {
		return "not known"
	}
	return mebibytes(kilobytes << 10)
}

// commit is the version of the sources that the program was built from.
func commit() string {
	info, _ := debug.ReadBuildInfo()
	settings := map[string]string{}
	if info != nil {
		for _, s := range info.Settings {
			settings[s.Key] = s.Value
		}
	}
	revision := settings["vcs.revision"]
	if revision == "" {
		return "not known: not built in a clone"
	}
	if settings["vcs.modified"] == "true" {
		return revision[:12] + " with changes"
	}
	return revision[:12]
}

// fileSystem names the kind of file system that a folder is on.
func fileSystem(dir string) (string, error) {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return "", err
	}
	kind, longest := "not known", -1
	for line := range strings.Lines(string(mounts)) {
		fields := strings.Fields(line)
		if len(fields) < 3 {
			continue
		}
		if rest, within := strings.CutPrefix(dir, strings.TrimSuffix(fields[1], "/")); within && (rest == "" || rest[0] == '/') && len(fields[1]) >= longest {
			kind, longest = fields[2], len(fields[1])
		}
	}
	if slices.Contains([]string{"tmpfs", "ramfs"}, kind) {
		kind += ", WHICH IS MEMORY: writes are not durable here, choose another folder with --dir"
	}
	return kind, nil
}

const flushes = 50

// flushTime is how long the disk takes to make a small write durable.
func flushTime(dir string) (time.Duration, error) {
	f, err := os.CreateTemp(dir, "flush")
	if err != nil {
		return 0, err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	defer func() { _ = f.Close() }()
	var all []time.Duration
	for range flushes {
		began := time.Now()
		if _, err := f.Write(make([]byte, 4096)); err != nil {
			return 0, err
		}
		if err := syscall.Fdatasync(int(f.Fd())); err != nil {
			return 0, err
		}
		all = append(all, time.Since(began))
	}
	return median(all), nil
}
