package editorial

import (
	"context"
	"maps"
	"time"

	"google.golang.org/protobuf/proto"

	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/contact"
	"cidsistem.example/proto/gen/auditv1"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/policy"
	"cidsistem.example/services/internal/store"
)

const (
	// remindEvery is how often an organisation is reminded at most.
	remindEvery = 30 * 24 * time.Hour
	// lookEvery is how often the office looks for overdue cards, and for what it
	// keeps of records that are gone.
	lookEvery = time.Hour
)

// looks tells whether it is time to look around again. The caller is tidying.
func (o *Office) looks() bool {
	now := o.store.Now()
	if now.Sub(o.looked) < lookEvery {
		return false
	}
	o.looked = now
	return true
}

// remind sends each organisation with an e-mail address a link to those of its
// cards that are overdue, at most once a month. It returns how many it sent.
func (o *Office) remind(ctx context.Context) (int, error) {
	now := o.store.Now()
	overdue, err := o.overdue(ctx, now)
	if err != nil {
		return 0, err
	}
	sent := 0
	for organization, cards := range overdue {
		done, err := o.remindOne(ctx, organization, cards)
		if err != nil {
			return sent, err
		}
		if done {
			sent++
		}
	}
	return sent, nil
}

// overdue finds the overdue cards of each organisation that was not reminded in
// the last month.
func (o *Office) overdue(ctx context.Context, now time.Time) (map[string][]string, error) {
	found := map[string][]string{}
	err := o.store.View(func(r store.Reader) error {
		for due, err := range r.Due(now, nil) {
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				return err
			}
			record, err := r.Get(due.Name)
			if err != nil {
				return err
			}
			if record == nil || catalog.Narrow(record, registryv1.Visibility_PUBLIC) == nil {
				continue // nobody reads it: nobody is misled
			}
			if keeper := catalog.Keeper(record); keeper != "" && len(found[keeper]) < mostConfirmed {
				found[keeper] = append(found[keeper], due.Name.String())
			}
		}
		maps.DeleteFunc(found, func(organization string, _ []string) bool { return r.Local(reminderKey(organization)) != nil })
		return nil
	})
	return found, err
}

func reminderKey(organization string) store.LocalKey {
	return store.LocalKey{Area: areaReminders, ID: organization}
}

func (o *Office) remindOne(ctx context.Context, organization string, cards []string) (done bool, err error) {
	name, err := catalog.ParseName(organization)
	if err != nil {
		return false, nil // a card of something that is no organisation
	}
	_, err = o.store.Commit(ctx, store.Request{}, nil, func(r store.Reader, stamp store.Stamp) (store.Outcome, error) {
		done = false
		if r.Local(reminderKey(organization)) != nil {
			return store.Outcome{}, nil
		}
		record, err := r.Get(name)
		if err != nil || record == nil || catalog.RecordOf(record).Deleted() {
			return store.Outcome{}, err
		}
		email := emailOf(record)
		if email == "" {
			return store.Outcome{}, nil
		}
		w := writer{office: o}
		l, err := o.send(r, &w, stamp, record, cards, email)
		if err != nil {
			return store.Outcome{}, err
		}
		w.put(reminderKey(organization), nil)
		w.put(dueKey(stamp.Time.Add(remindEvery), dueReminder, organization), nil)
		done = true
		return store.Outcome{Local: w.local, Audit: []*auditv1.AuditEntry{policy.System().Entry("reminder", l.GetName(), auditv1.AuditEntry_DONE)}}, w.err
	})
	return done && err == nil, err
}

// emailOf is the first e-mail address on the card of an organisation, empty for
// none.
func emailOf(record proto.Message) string {
	organization, ok := record.(*registryv1.Organization)
	if !ok {
		return ""
	}
	for _, point := range organization.GetContacts() {
		if point.GetKind() == registryv1.ContactPoint_EMAIL && contact.IsEmail(point.GetValue()) {
			return point.GetValue()
		}
	}
	return ""
}
