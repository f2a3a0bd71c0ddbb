package bench

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of processor time in /proc: USER_HZ is 100 on Linux.
const tick = time.Second / 100

// children lists the processes that this one started and that run.
func children() ([]int, error) {
	paths, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, path := range paths {
		pid, err := strconv.Atoi(filepath.Base(path))
		if err != nil {
			continue
		}
		if fields, err := stat(pid); err == nil && fields[statParent] == strconv.Itoa(os.Getpid()) {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// childWith finds the running child process that has a word among its
// arguments.
func childWith(word string) (pid int, err error) {
	pids, err := children()
	if err != nil {
		return 0, err
	}
	for _, pid := range pids {
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err == nil && bytes.Contains(line, []byte(word)) {
			return pid, nil
		}
	}
	return 0, fmt.Errorf("no process that was started has %q among its arguments", word)
}

// family is the processor time of this process and of those that it started.
func family() (time.Duration, error) {
	pids, err := children()
	if err != nil {
		return 0, err
	}
	return cpuOf(append(pids, os.Getpid()))
}

// Fields of /proc/PID/stat after the name of the program, see proc(5).
const (
	statParent = 1
	statUser   = 11
	statSystem = 12
)

func stat(pid int) ([]string, error) {
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil, err
	}
	fields := strings.Fields(string(line[bytes.LastIndexByte(line, ')')+1:]))
	if len(fields) <= statSystem {
		return nil, fmt.Errorf("/proc/%d/stat has only %d fields", pid, len(fields))
	}
	return fields, nil
}

// cpuOf adds up the processor time that processes have used.
func cpuOf(pids []int) (time.Duration, error) {
	var total time.Duration
	for _, pid := range pids {
		fields, err := stat(pid)
		if err != nil {
			return 0, fmt.Errorf("read the processor time: %w", err)
		}
		for _, at := range []int{statUser, statSystem} {
			ticks, err := strconv.ParseInt(fields[at], 10, 64)
			if err != nil {
				return 0, fmt.Errorf("read the processor time: %w", err)
			}
			total += time.Duration(ticks) * tick
		}
	}
	return total, nil
}

// busy is the processor time that the whole machine has used since it started,
// on all cores.
func busy() (time.Duration, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	fields := strings.Fields(line) // cpu user nice system idle iowait irq softirq steal ...
	if len(fields) < 9 {
		return 0, fmt.Errorf("/proc/stat begins with %q", line)
	}
	var total time.Duration
	for _, at := range []int{1, 2, 3, 6, 7, 8} {
		ticks, err := strconv.ParseInt(fields[at], 10, 64)
		if err != nil {
			return 0, err
		}
		total += time.Duration(ticks) * tick
	}
	return total, nil
}

// A memory is what a process has of it, in bytes.
type memory struct{ own, mapped, peak int64 }

// memoryOf reads the resident memory of a process: its own, that of mapped
// files, and the most that both ever were.
func memoryOf(pid int) (memory, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return memory{}, fmt.Errorf("read the memory: %w", err)
	}
	var m memory
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(line, ":")
		into := map[string]*int64{"RssAnon": &m.own, "RssFile": &m.mapped, "VmHWM": &m.peak}[key]
		if into == nil {
			continue
		}
		kilobytes, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		if err != nil {
			return memory{}, fmt.Errorf("read the memory: %w", err)
		}
		*into = kilobytes << 10
	}
	return m, nil
}

// sizeOf adds up the files of a folder, or of one file.
func sizeOf(path string) (int64, error) {
	var total int64
	err := filepath.WalkDir(path, func(_ string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		total += info.Size()
		return nil
	})
	return total, err
}
