// Package lifecycle runs the parts of a process together: one failure or one signal stops them all, and none is waited for without
// end.
package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

// stopWithin is how long the tasks have to end once they are told to. It is longer than a server's own drain.
const stopWithin = 15 * time.Second

// Task is a part of a process that runs until its context ends.
type Task struct {
	Name string // names the task in logs and errors
	// Run returns nil when its work is done or its context ended. Only an error stops the other tasks.
	Run func(ctx context.Context) error
}

type result struct {
	task int
	err  error
}

// Run starts every task, and returns when all have ended. The first error, SIGINT, SIGTERM or the end of ctx cancels the context of
// all tasks; those that have not ended 15 seconds later are named in the error and left behind. Otherwise the error is the first
// one returned by a task, with the task's name; a stop that was asked for is no error. A second signal ends the process at once.
func Run(ctx context.Context, logger *slog.Logger, tasks ...Task) error {
	signalled, restore := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer restore()
	running, cancel := context.WithCancelCause(signalled)
	defer cancel(nil)

	ended := make(chan result, len(tasks))
	for i, task := range tasks {
		go func() { ended <- result{task: i, err: task.Run(running)} }()
	}

	var first error
	alive := make([]bool, len(tasks))
	for i := range alive {
		alive[i] = true
	}
	stopping := running.Done()
	var overdue <-chan time.Time
	for slices.Contains(alive, true) {
		select {
		case one := <-ended:
			alive[one.task] = false
			name := tasks[one.task].Name
			if one.err == nil || errors.Is(one.err, context.Canceled) && running.Err() != nil {
				logger.Debug("task ended", "task", name)
				continue
			}
			logger.Error("task failed", "task", name, "error", one.err)
			if first == nil {
				first = fmt.Errorf("%s: %w", name, one.err)
			}
			cancel(first)
		case <-stopping:
			stopping = nil
			restore() // from now on a signal has its usual effect
			logger.Info("stopping", "cause", context.Cause(running))
			timer := time.NewTimer(stopWithin)
			defer timer.Stop()
			overdue = timer.C
		case <-overdue:
			late := fmt.Errorf("not ended %v after the stop: %s", stopWithin, strings.Join(names(tasks, alive), ", "))
			return errors.Join(first, late)
		}
	}
	return first
}

func names(tasks []Task, alive []bool) []string {
	var list []string
	for i, task := range tasks {
		if alive[i] {
			list = append(list, task.Name)
		}
	}
	return list
}
