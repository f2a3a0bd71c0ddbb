package mail

import (
	"context"
	"errors"
	"strings"
	"time"

	"cidsistem.example/proto/gen/adminv1"
	"cidsistem.example/services/internal/store"
)

// Run sends what is due until ctx ends. Without a mail server in the settings
// there is nothing to do: messages wait.
func (o *Outbox) Run(ctx context.Context) error {
	if o.settings == nil {
		return nil
	}
	for {
		err := o.SendDue(ctx)
		if ctx.Err() != nil {
			return nil
		}
		wait := time.Duration(o.settings.Every)
		if err != nil {
			o.log.Warn("messages cannot be sent", "error", err)
			// However many messages there are, a server that is away is not asked for
			// each of them.
			if !pause(ctx, wait, nil) {
				return nil
			}
			continue
		}
		if !pause(ctx, wait, o.bell) {
			return nil
		}
	}
}

// pause waits for a time, or for the bell; false when ctx ended.
func pause(ctx context.Context, wait time.Duration, bell <-chan struct{}) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-bell:
	case <-ctx.Done():
		return false
	}
	return true
}

// SendDue sends every message whose time has come, one after the other. It ends
// early, with the error, when the mail server cannot be reached or takes nobody:
// what is left waits.
func (o *Outbox) SendDue(ctx context.Context) error {
	for ctx.Err() == nil {
		k, err := o.begin(ctx)
		if k == nil || err != nil {
			return err
		}
		if err := o.attempt(ctx, k); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// begin takes the message that has waited longest, and writes down that it is
// tried now: whatever happens next, it is not tried again before its pause is
// over. Nil when nothing is due.
func (o *Outbox) begin(ctx context.Context) (*kept, error) {
	o.setSending("")
	var taken *kept
	_, err := o.store.Commit(ctx, store.Request{}, nil, func(r store.Reader, stamp store.Stamp) (store.Outcome, error) {
		taken = nil
		w := writer{outbox: o}
		for key := range r.LocalEntries(areaDue, "") {
			due, id, err := splitDue(key)
			if err != nil {
				return store.Outcome{}, err
			}
			if due.After(stamp.Time) {
				break
			}
			before, err := o.read(r, id)
			if err != nil {
				return store.Outcome{}, err
			}
			if before == nil {
				w.puts = append(w.puts, store.LocalPut{Key: key})
				continue
			}
			after := *before
			after.Attempts++
			after.Next = stamp.Time.Add(pauseAfter(int(after.Attempts)))
			w.save(before, &after)
			taken = &after
			break
		}
		return store.Outcome{Local: w.puts}, w.err
	})
	if err != nil || taken == nil {
		return nil, err
	}
	o.setSending(taken.ID)
	return taken, nil
}

// pauseAfter is how long a message rests after an attempt.
func pauseAfter(attempt int) time.Duration {
	pause := firstPause
	for range attempt - 1 {
		if pause *= 2; pause >= longestPause {
			return longestPause
		}
	}
	return pause
}

// attempt hands a message to the mail server, and writes down what became of it.
// The error is that of the connection, where it was no fault of the message.
func (o *Outbox) attempt(ctx context.Context, k *kept) error {
	defer o.setSending("")
	problem := o.hand(ctx, k, func() error {
		// From here on nobody but the mail server knows whether it took the message.
		return o.settle(ctx, k, func(after *kept, _ time.Time) {
			after.State, after.Next = adminv1.OutboundMessage_UNKNOWN, time.Time{}
			after.Error = "the connection ended before the mail server said whether it took the message"
		})
	})
	// What was found out is written down even while the server stops.
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWrite)
	defer cancel()
	var refused *refusal
	switch {
	case problem == nil:
		return o.settle(last, k, func(after *kept, now time.Time) {
			after.State, after.Sent, after.Next, after.Error = adminv1.OutboundMessage_SENT, now, time.Time{}, ""
			after.To, after.Subject, after.Text = "", "", ""
		})
	case errors.Is(problem, errUnanswered):
		o.log.Warn("it is not known whether a message was taken", "message", k.ID, "error", problem)
		return problem // it is written down as unknown already
	case errors.As(problem, &refused) && refused.permanent:
		o.log.Warn("a message was refused", "message", k.ID) // the answer may name the person
		return o.settle(last, k, func(after *kept, _ time.Time) {
			after.State, after.Next, after.Error = adminv1.OutboundMessage_FAILED, time.Time{}, k.told(problem)
		})
	}
	err := o.settle(last, k, func(after *kept, now time.Time) {
		after.State, after.Error = adminv1.OutboundMessage_WAITING, k.told(problem)
		if after.Next = now.Add(pauseAfter(int(after.Attempts))); after.Next.After(after.Since.Add(giveUpAfter)) {
			after.State, after.Next = adminv1.OutboundMessage_FAILED, time.Time{}
		}
	})
	if refused != nil || err != nil {
		return err
	}
	return problem
}

// told is what is said of a problem: mail servers like to repeat the address,
// which is not for everybody who sees messages.
func (k *kept) told(problem error) string {
	text := problem.Error()
	for _, address := range []string{k.To, strings.ToLower(k.To)} {
		if address != "" {
			text = strings.ReplaceAll(text, address, k.Hint)
		}
	}
	return text
}

// lastWrite bounds the writing down of what became of an attempt.
const lastWrite = 5 * time.Second

// settle changes a message as it is stored, if it is there still.
func (o *Outbox) settle(ctx context.Context, k *kept, change func(after *kept, now time.Time)) error {
	_, err := o.store.Commit(ctx, store.Request{}, nil, func(r store.Reader, stamp store.Stamp) (store.Outcome, error) {
		before, err := o.read(r, k.ID)
		if err != nil || before == nil {
			return store.Outcome{}, err
		}
		after := *before
		change(&after, stamp.Time)
		w := writer{outbox: o}
		w.save(before, &after)
		return store.Outcome{Local: w.puts}, w.err
	})
	return err
}

func (o *Outbox) setSending(id string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sending = id
}

func (o *Outbox) isSending(id string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.sending == id
}
