package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A Process is one server of the federation, run as a process of its own.
type Process struct {
	name     string
	binary   string
	settings string // path of its configuration file
	log      string // path

	mu      sync.Mutex
	command *exec.Cmd
	ended   chan struct{} // closed when the running process has ended
	wanted  bool          // false once it was told to end
	killed  bool
	err     error
}

// Start runs the process; its output goes to its log file.
func (p *Process) Start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	out, err := os.OpenFile(p.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	command := exec.Command(p.binary, "--config", p.settings)
	command.Env = environment()
	command.Stdout, command.Stderr = out, out
	// Ctrl-C reaches the whole group of the terminal; the servers are stopped in
	// order by us instead.
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := command.Start(); err != nil {
		return errors.Join(fmt.Errorf("start %s: %w", p.name, err), out.Close())
	}
	p.command, p.wanted, p.killed, p.err = command, true, false, nil
	ended := make(chan struct{})
	p.ended = ended
	go func() {
		err := errors.Join(command.Wait(), out.Close())
		p.mu.Lock()
		p.err = err
		p.mu.Unlock()
		close(ended)
	}()
	return nil
}

// Ended is closed when the process has ended.
func (p *Process) Ended() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ended
}

// PID is the number of the process that runs, or ran last.
func (p *Process) PID() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.command.Process.Pid
}

// Run runs one of the program's other commands to its end, with the settings of
// the process, for example Run(ctx, "restore", "--from", file).
func (p *Process) Run(ctx context.Context, arguments ...string) error {
	command := exec.CommandContext(ctx, p.binary, append(arguments, "--config", p.settings)...)
	command.Env = environment()
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", p.name, strings.Join(arguments, " "), err, out)
	}
	return nil
}

// Kill ends the process at once, as a crash does.
func (p *Process) Kill() {
	p.send(syscall.SIGKILL)
	<-p.Ended()
}

// stopWithin is how long a process may take to end in order.
const stopWithin = 20 * time.Second

// Stop ends the process in order; one that does not end is killed.
func (p *Process) Stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stopWithin)
	defer cancel()
	p.send(syscall.SIGTERM)
	select {
	case <-p.Ended():
		return p.failure()
	case <-ctx.Done():
		p.Kill()
		return fmt.Errorf("%s did not end by itself and was killed", p.name)
	}
}

func (p *Process) send(signal syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wanted = false
	p.killed = p.killed || signal == syscall.SIGKILL
	if p.command != nil {
		_ = p.command.Process.Signal(signal)
	}
}

// failure tells why the process ended, with the last lines that it said; nil
// when it ended as it was told to.
func (p *Process) failure() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.wanted && (p.err == nil || p.killed) {
		return nil
	}
	reason := "ended by itself"
	if p.err != nil {
		reason = p.err.Error()
	}
	return fmt.Errorf("%s: %s; the end of %s:\n%s", p.name, reason, p.log, tail(p.log, 12))
}

// tail reads the last lines of a file.
func tail(path string, lines int) string {
	text, err := os.ReadFile(filepath.Clean(path))
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	return "  " + strings.Join(all[max(0, len(all)-lines):], "\n  ")
}

// handedOn are the settings of the environment that are for every process of the
// demo; all others, such as CID_DATA_DIR, are for the demo alone.
var handedOn = []string{"CID_ADMIN_ADDR", "CID_LOG_LEVEL", "CID_LOG_FORMAT"}

func environment() []string {
	return slices.DeleteFunc(os.Environ(), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return strings.HasPrefix(name, "CID_") && !slices.Contains(handedOn, name)
	})
}
