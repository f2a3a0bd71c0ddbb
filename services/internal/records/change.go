package records

import (
	"maps"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"cidsistem.example/proto/apierror"
	"cidsistem.example/proto/catalog"
	"cidsistem.example/proto/gen/registryv1"
	"cidsistem.example/services/internal/policy"
	"cidsistem.example/services/internal/store"
)

// A Change is a set of changes while they are decided on, in one transaction.
// Each sees the ones before it.
type Change struct {
	records *Records
	reader  store.Reader
	stamp   store.Stamp
	caller  *policy.Caller
	sight   catalog.Sight
	// decided are the records as they shall be, by name; put the same in order.
	decided map[string]proto.Message
	put     []string
}

// Put are the records as they shall be.
func (c *Change) Put() []proto.Message {
	records := make([]proto.Message, len(c.put))
	for i, name := range c.put {
		records[i] = c.decided[name]
	}
	return records
}

// Get reads a record as it shall be, whoever may see it; nil when it is not
// there.
func (c *Change) Get(name catalog.Name) (proto.Message, error) {
	if record := c.decided[name.String()]; record != nil {
		return record, nil
	}
	return c.reader.Get(name)
}

// seen is what the caller sees of a record, nil for nothing.
func (c *Change) seen(name catalog.Name) (proto.Message, error) {
	record, err := c.Get(name)
	if err != nil || record == nil {
		return nil, err
	}
	return c.sight.Of(record), nil
}

func (c *Change) decide(name catalog.Name, after proto.Message) proto.Message {
	if c.decided[name.String()] == nil {
		c.put = append(c.put, name.String())
	}
	c.decided[name.String()] = after
	return after
}

// Create decides on a new record; what only the server writes is of no account
// in what is asked for.
func (c *Change) Create(name catalog.Name, asked proto.Message) (proto.Message, error) {
	if err := c.records.Owns(name.Comune()); err != nil {
		return nil, err
	}
	if name.Kind.Singleton {
		return nil, apierror.NotFound(name.String())
	}
	rights, err := c.records.Rights(c.caller, catalog.Create, name)
	if err != nil {
		return nil, err
	}
	record := c.records.Fresh(name, asked, c.stamp.Time)
	if err := rights.MayChange(nil, record); err != nil {
		return nil, err
	}
	before, err := c.Get(name)
	if err != nil {
		return nil, err
	}
	if before != nil {
		return nil, apierror.New(registryv1.ErrorReason_RESOURCE_EXISTS, name.String()+" exists", apierror.With("name", name.String()))
	}
	if err := c.check(name, nil, record); err != nil {
		return nil, err
	}
	return c.decide(name, record), nil
}

// Fresh is the new record that somebody asks for.
func (r *Records) Fresh(name catalog.Name, asked proto.Message, now time.Time) proto.Message {
	record := proto.Clone(asked)
	made := catalog.RecordOf(record)
	made.CopyServerFields(catalog.RecordOf(name.Kind.New()))
	made.SetName(name.String())
	made.SetCreateTime(now)
	return record
}

// existing reads a record that is to change, and refuses when the caller does
// not see it, or asks for another state of it.
func (c *Change) existing(name catalog.Name, etag string) (proto.Message, error) {
	if err := c.records.Owns(name.Comune()); err != nil {
		return nil, err
	}
	before, err := c.Get(name)
	if err != nil {
		return nil, err
	}
	if before == nil || c.sight.Of(before) == nil {
		return nil, apierror.NotFound(name.String())
	}
	if current := catalog.RecordOf(before).Etag(); etag != "" && etag != current {
		return nil, Mismatch(name.String(), current)
	}
	return before, nil
}

// Update decides that a living record becomes what edit makes of a copy of it.
// An etag that is not empty must be the record's. It returns the record as it is
// when nothing changes.
func (c *Change) Update(name catalog.Name, etag string, edit func(after proto.Message) error) (proto.Message, error) {
	before, err := c.existing(name, etag)
	if err != nil {
		return nil, err
	}
	if catalog.RecordOf(before).Deleted() {
		return nil, deleted(name)
	}
	if c.sight.Of(before) != before {
		return nil, apierror.New(registryv1.ErrorReason_NOT_ALLOWED,
			name.String()+" has contacts that the caller may not see; change it where they can be seen, so that none is lost")
	}
	rights, err := c.records.Rights(c.caller, catalog.Update, name)
	if err != nil {
		return nil, err
	}
	after := proto.Clone(before)
	if err := edit(after); err != nil {
		return nil, err
	}
	catalog.RecordOf(after).CopyServerFields(catalog.RecordOf(before))
	if proto.Equal(before, after) {
		return before, nil
	}
	if err := c.check(name, before, after); err != nil {
		return nil, err
	}
	if err := rights.MayChange(before, after); err != nil {
		return nil, err
	}
	return c.decide(name, after), nil
}

// Replace is an edit that puts content in the place of a record.
func Replace(content proto.Message) func(after proto.Message) error {
	return func(after proto.Message) error {
		proto.Reset(after)
		proto.Merge(after, content)
		return nil
	}
}

// Delete decides that a record is deleted, as one that was merged into another
// when replacedBy is a name. It is refused while living records refer to it.
func (c *Change) Delete(name catalog.Name, etag, replacedBy string) (proto.Message, error) {
	before, err := c.existing(name, etag)
	if err != nil {
		return nil, err
	}
	if name.Kind.Singleton {
		return nil, apierror.New(registryv1.ErrorReason_NOT_SUPPORTED_HERE, name.String()+" cannot be deleted")
	}
	rights, err := c.records.Rights(c.caller, catalog.Delete, name)
	if err != nil {
		return nil, err
	}
	if catalog.RecordOf(before).Deleted() {
		return nil, deleted(name)
	}
	if err := c.unused(name); err != nil {
		return nil, err
	}
	after := proto.Clone(before)
	r := catalog.RecordOf(after)
	r.SetDeleteTime(c.stamp.Time)
	r.SetPurgeTime(c.stamp.Time.Add(c.records.options.PurgeAfter))
	setReplacedBy(after, replacedBy)
	if err := rights.MayChange(before, after); err != nil {
		return nil, err
	}
	return c.decide(name, after), nil
}

// Undelete decides that a deleted record is back.
func (c *Change) Undelete(name catalog.Name, etag string) (proto.Message, error) {
	before, err := c.existing(name, etag)
	if err != nil {
		return nil, err
	}
	rights, err := c.records.Rights(c.caller, catalog.Undelete, name)
	if err != nil {
		return nil, err
	}
	if !catalog.RecordOf(before).Deleted() {
		return nil, apierror.New(registryv1.ErrorReason_NOT_DELETED, name.String()+" is not deleted", apierror.With("name", name.String()))
	}
	after := proto.Clone(before)
	r := catalog.RecordOf(after)
	r.SetDeleteTime(time.Time{})
	r.SetPurgeTime(time.Time{})
	setReplacedBy(after, "")
	if err := c.check(name, before, after); err != nil {
		return nil, err
	}
	if err := rights.MayChange(before, after); err != nil {
		return nil, err
	}
	return c.decide(name, after), nil
}

func setReplacedBy(record proto.Message, name string) {
	m := record.ProtoReflect()
	if fd := m.Descriptor().Fields().ByName("replaced_by"); fd != nil {
		m.Set(fd, protoreflect.ValueOfString(name))
	}
}

// maxBlockers is how many records in the way an error names.
const maxBlockers = 10

// unused refuses to delete a record that living ones point to or are inside of.
func (c *Change) unused(name catalog.Name) error {
	most := maxBlockers + len(c.decided)
	referrers, err := c.reader.Referrers(name.String(), most)
	if err != nil {
		return err
	}
	inside, err := c.reader.Inside(name, most)
	if err != nil {
		return err
	}
	problems := map[string]string{}
	for _, referrer := range referrers {
		problems[referrer] = "refers to it"
	}
	for _, child := range inside {
		problems[child] = "is inside it"
	}
	for text, record := range c.decided {
		delete(problems, text)
		if catalog.RecordOf(record).Deleted() {
			continue
		}
		if slices.ContainsFunc(catalog.References(record), func(r catalog.Reference) bool { return r.Target == name.String() }) {
			problems[text] = "refers to it"
		}
		if slices.Contains(inside, text) {
			problems[text] = "is inside it"
		}
	}
	delete(problems, name.String())
	if len(problems) == 0 {
		return nil
	}
	message := name.String() + " is still in use; change or delete the records that refer to it first"
	var blockers []apierror.Detail
	hidden := false
	for _, text := range slices.Sorted(maps.Keys(problems)) {
		blocker, err := catalog.ParseName(text)
		if err != nil {
			return err
		}
		seen, err := c.seen(blocker)
		if err != nil {
			return err
		}
		if seen != nil && len(blockers) < 2*maxBlockers {
			blockers = append(blockers, apierror.Blocker(text, problems[text]))
		} else if !hidden && seen == nil {
			hidden = true
			message += "; some are not for the caller to see"
		}
	}
	return apierror.New(registryv1.ErrorReason_STILL_REFERRED_TO, message, blockers...)
}
