// Package audit keeps the audit log of a server: who did what, when and why. It
// writes entries, signs the end of their chain, serves the log to auditors, and
// proves of a data file that nobody changed it behind the server's back.
package audit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"cidsistem.example/proto/gen/auditv1"
	"cidsistem.example/services/internal/policy"
	"cidsistem.example/services/internal/store"
	"cidsistem.example/services/platform/lifecycle"
)

const (
	// flushEvery is how often counted refusals are written and the end is signed.
	flushEvery = time.Minute
	// writeWithin is how long a refusal waits for its entry.
	writeWithin = 2 * time.Second
	// stopWithin is how long the last flush may take.
	stopWithin = 5 * time.Second
	// maxCounted is how many kinds of refusal are counted apart in a minute.
	maxCounted = 1000
	// maxText bounds each text of an entry, in bytes.
	maxText = 300
)

// Sign signs the end of the chain.
type Sign func(store.AuditPlace, store.Stamp) (*auditv1.AuditHead, error)

// A Recorder writes the audit log of a server. It is safe for concurrent use.
type Recorder struct {
	store *store.Store
	sign  Sign
	log   *slog.Logger

	mu      sync.Mutex
	counted map[refusal]int64
}

// A refusal is what is the same in all that are counted together.
type refusal struct{ actor, via, action, resource, reason string }

// others counts the refusals that are too many to be counted apart.
var others = refusal{actor: "anyone", action: "others", reason: "TOO_MANY_TO_TELL_APART"}

// NewRecorder writes into a store and signs with sign; a nil logger means
// slog.Default.
func NewRecorder(s *store.Store, sign Sign, log *slog.Logger) *Recorder {
	if log == nil {
		log = slog.Default()
	}
	return &Recorder{store: s, sign: sign, log: log, counted: map[refusal]int64{}}
}

// Record writes entries, durably when it returns. What changes the store as well
// belongs into the Outcome of that change instead.
func (r *Recorder) Record(ctx context.Context, entries ...*auditv1.AuditEntry) error {
	storable := make([]*auditv1.AuditEntry, len(entries))
	for i, entry := range entries {
		storable[i] = bounded(entry)
	}
	_, err := r.store.Commit(ctx, store.Request{}, nil, func(store.Reader, store.Stamp) (store.Outcome, error) {
		return store.Outcome{Audit: storable}, nil
	})
	if err != nil {
		return fmt.Errorf("write to the audit log: %w", err)
	}
	return nil
}

// bounded is a copy of an entry that can be stored whatever was put into it.
func bounded(entry *auditv1.AuditEntry) *auditv1.AuditEntry {
	entry = proto.CloneOf(entry)
	for _, text := range []*string{&entry.Actor, &entry.Via, &entry.Action, &entry.Resource, &entry.Reason} {
		if len(*text) > maxText {
			*text = (*text)[:maxText]
		}
		*text = strings.ToValidUTF8(*text, "")
	}
	return entry
}

// Refused notes that a call was refused: at once for somebody who is known,
// within a minute, and counted with others like it, for strangers. What cannot
// be written now is counted as well.
func (r *Recorder) Refused(caller *policy.Caller, method, about, reason string) {
	if caller == nil || caller.Person == nil && caller.Server == nil && !caller.Local {
		r.count(refusal{actor: "anyone", action: strings.TrimPrefix(method, "/"), reason: reason}, 1)
		return
	}
	entry := caller.Entry(method, about, auditv1.AuditEntry_REFUSED)
	entry.Reason = reason
	// The caller may be gone; the refusal is told all the same.
	ctx, cancel := context.WithTimeout(context.Background(), writeWithin)
	defer cancel()
	if err := r.Record(ctx, entry); err != nil {
		r.log.Warn("refusal not written yet", "action", entry.GetAction(), "error", err)
		r.count(refusal{entry.GetActor(), entry.GetVia(), entry.GetAction(), entry.GetResource(), entry.GetReason()}, 1)
	}
}

func (r *Recorder) count(what refusal, times int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, known := r.counted[what]; !known && len(r.counted) >= maxCounted {
		what = others
	}
	r.counted[what] += times
}

// Flush writes the counted refusals and signs the end of the chain. Whoever
// closes the store calls it once more before, when no call is under way.
func (r *Recorder) Flush(ctx context.Context) error {
	return errors.Join(r.writeCounted(ctx), r.signEnd(ctx))
}

func (r *Recorder) writeCounted(ctx context.Context) error {
	r.mu.Lock()
	counted := r.counted
	r.counted = map[refusal]int64{}
	r.mu.Unlock()
	if len(counted) == 0 {
		return nil
	}
	var entries []*auditv1.AuditEntry
	for _, what := range slices.SortedFunc(maps.Keys(counted), refusal.compare) {
		entries = append(entries, &auditv1.AuditEntry{
			Actor: what.actor, Via: what.via, Action: what.action, Resource: what.resource,
			Outcome: auditv1.AuditEntry_REFUSED, Reason: what.reason, Count: counted[what],
		})
	}
	err := r.Record(ctx, entries...)
	if err != nil {
		for what, times := range counted {
			r.count(what, times)
		}
	}
	return err
}

func (a refusal) compare(b refusal) int {
	return cmp.Or(
		cmp.Compare(a.actor, b.actor), cmp.Compare(a.via, b.via), cmp.Compare(a.action, b.action),
		cmp.Compare(a.resource, b.resource), cmp.Compare(a.reason, b.reason),
	)
}

func (r *Recorder) signEnd(ctx context.Context) error {
	if err := r.store.SignAudit(ctx, r.sign); err != nil {
		return fmt.Errorf("sign the end of the audit log: %w", err)
	}
	return nil
}

// Tasks are what the recorder does by itself: a flush at the start, for what a
// killed process left, every minute, and at the stop.
func (r *Recorder) Tasks() []lifecycle.Task {
	return []lifecycle.Task{{Name: "audit log", Run: r.run}}
}

func (r *Recorder) run(ctx context.Context) error {
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		if err := r.Flush(ctx); err != nil && ctx.Err() == nil {
			r.log.Error("audit log not flushed", "error", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
			defer cancel()
			if err := r.Flush(last); err != nil {
				r.log.Error("audit log not flushed", "error", err)
			}
			return nil
		}
	}
}
