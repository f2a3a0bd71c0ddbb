package editorial

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"cidsistem.example/services/internal/store"
)

// The local entries of the office. Every value is sealed; the keys say when
// something was made or is due, and which record is suspended, which the audit
// log says as well.
const (
	// areaDrafts: id -> draft with what the office keeps beside it
	areaDrafts = "drafts"
	// areaDraftTimes: time of the last change, id -> the draft for lists
	areaDraftTimes = "drafts-by-time"
	// areaSuspended: name of the record -> its visibility before
	areaSuspended = "suspended"
	// areaExpiries: name of the record -> when it is suspended by itself
	areaExpiries = "expiries"
	// areaChanges: id -> which records a change of many changed
	areaChanges = "changes"
	// areaCorrections: id, which sorts by time -> correction
	areaCorrections = "corrections"
	// areaConfirmations: id, which sorts by time -> confirmation and its code's hash
	areaConfirmations = "confirmations"
	// areaConfirmationCodes: hash of the code -> id of the confirmation
	areaConfirmationCodes = "confirmation-codes"
	// areaReminders: name of an organisation that was reminded this month -> nothing
	areaReminders = "reminders"
	// areaDue: time, one of the letters below, id or name -> nothing
	areaDue = "editorial-due"
)

// What is due at a time.
const (
	duePublish      = 'p' // a draft is published
	dueSuspend      = 's' // a record is suspended
	dueDraft        = 'd' // a draft is erased
	dueCorrection   = 'c' // a correction is erased
	dueConfirmation = 'k' // a confirmation is erased
	dueReminder     = 'm' // an organisation may be reminded again
	dueChange       = 'u' // a change of many cannot be taken back any more
)

var errDamaged = errors.New("an entry of the editorial office is damaged")

// timed is a key that sorts by time.
func timed(area string, at time.Time, rest string) store.LocalKey {
	return store.LocalKey{Area: area, ID: fmt.Sprintf("%016x", max(at.UnixNano(), 0)) + rest}
}

// splitTimed takes a timed key apart.
func splitTimed(key store.LocalKey) (at time.Time, rest string, err error) {
	if len(key.ID) < 17 {
		return time.Time{}, "", errDamaged
	}
	nanoseconds, err := strconv.ParseInt(key.ID[:16], 16, 64)
	if err != nil {
		return time.Time{}, "", errDamaged
	}
	return time.Unix(0, nanoseconds).UTC(), key.ID[16:], nil
}

func dueKey(at time.Time, letter byte, rest string) store.LocalKey {
	return timed(areaDue, at, string(letter)+rest)
}

func changeKey(id string) store.LocalKey     { return store.LocalKey{Area: areaChanges, ID: id} }
func correctionKey(id string) store.LocalKey { return store.LocalKey{Area: areaCorrections, ID: id} }

func suspendedKey(record string) store.LocalKey {
	return store.LocalKey{Area: areaSuspended, ID: record}
}

func expiryKey(record string) store.LocalKey { return store.LocalKey{Area: areaExpiries, ID: record} }

// A writer collects sealed entries: also where the key is all that matters, for
// an entry without a value is one that is removed.
type writer struct {
	office *Office
	local  []store.LocalPut
	erased int
	err    error
}

func (w *writer) put(key store.LocalKey, value []byte) {
	sealed, err := w.office.options.Vault.Seal(key, value)
	w.err = errors.Join(w.err, err)
	w.local = append(w.local, store.LocalPut{Key: key, Value: sealed})
}

func (w *writer) putMessage(key store.LocalKey, message proto.Message) {
	body, err := proto.Marshal(message)
	w.err = errors.Join(w.err, err)
	w.put(key, body)
}

func (w *writer) remove(key store.LocalKey) { w.local = append(w.local, store.LocalPut{Key: key}) }

// local opens an entry, nil when it is not there.
func (o *Office) local(r store.Reader, key store.LocalKey) ([]byte, error) {
	sealed := r.Local(key)
	if sealed == nil {
		return nil, nil
	}
	return o.options.Vault.Open(key, sealed)
}

// message opens an entry that is a message; found is false when it is not there.
func (o *Office) message(r store.Reader, key store.LocalKey, into proto.Message) (found bool, err error) {
	value, err := o.local(r, key)
	if err != nil || value == nil {
		return false, err
	}
	if err := proto.Unmarshal(value, into); err != nil {
		return false, fmt.Errorf("%w: %w", errDamaged, err)
	}
	return true, nil
}

// packed puts a record into an answer; nil stays nil.
func packed(record proto.Message) (*anypb.Any, error) {
	if record == nil {
		return nil, nil
	}
	return anypb.New(record)
}
