package desk

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"cidsistem.example/proto/gen/auditv1"
	"cidsistem.example/services/internal/policy"
	"cidsistem.example/services/internal/store"
)

// purgeBatch is how many due entries one transaction handles.
const purgeBatch = 200

// Purge erases the requests whose purge time has come, whatever their state, and
// forgets old request ids. It returns how many requests it erased.
func (d *Desk) Purge(ctx context.Context) (int, error) {
	total := 0
	for {
		erased, handled, err := d.purgeSome(ctx)
		if err != nil {
			return total, fmt.Errorf("erase requests whose time is over: %w", err)
		}
		total += erased
		if handled < purgeBatch {
			return total, d.measure()
		}
	}
}

func (d *Desk) purgeSome(ctx context.Context) (int, int, error) {
	var erased, handled int
	_, err := d.store.Commit(ctx, store.Request{}, nil, func(r store.Reader, stamp store.Stamp) (store.Outcome, error) {
		erased, handled = 0, 0
		p := puts{desk: d, reader: r}
		for key := range r.LocalEntries(areaDue, "") {
			due, rest, err := splitTimed(key)
			if err != nil {
				return store.Outcome{}, err
			}
			if handled == purgeBatch || !due.Before(stamp.Time) {
				break
			}
			handled++
			p.remove(key)
			if rest[0] == 'i' {
				id, err := uuid.Parse(rest[1:])
				if err != nil {
					return store.Outcome{}, errDamaged
				}
				p.remove(idKey(id))
				continue
			}
			h, err := d.read(r, rest[1:])
			if err != nil {
				return store.Outcome{}, err
			}
			if h != nil {
				p.erase(h)
				erased++
			}
		}
		if erased == 0 {
			return d.outcome(p)
		}
		entry := (&policy.Caller{Local: true}).Entry("retention", d.parent+"/requests", auditv1.AuditEntry_DONE)
		entry.Count = int64(erased)
		return d.outcome(p, entry)
	})
	if err != nil {
		return 0, 0, err
	}
	return erased, handled, nil
}
