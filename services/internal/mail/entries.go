package mail

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/proto/gen/adminv1"
	"cidsistem.example/services/internal/store"
)

// The local entries of an outbox. Every value is sealed; the keys say when a
// message was made and when it is tried.
const (
	// area: id of the message -> message. Ids sort by time, the newest first.
	area = "mail"
	// areaDue: time of the next attempt, id of the message -> nothing
	areaDue = "mail-due"
)

var errDamaged = errors.New("an entry of the outbox is damaged")

// A kept message is what stands under its id.
type kept struct {
	ID string
	Message
	Hint     string
	State    adminv1.OutboundMessage_State
	Attempts int32
	Error    string
	// Created is when it was made, Since from when on it is tried: anew when
	// somebody says so. Next is zero where there is no next attempt.
	Created, Since, Next, Sent time.Time
}

// newID makes an id that sorts the newest first, and says nothing else.
func newID(at time.Time) (string, error) {
	random := make([]byte, 10)
	if _, err := rand.Read(random); err != nil {
		return "", err
	}
	return idAt(at) + strings.ToLower(base32.StdEncoding.EncodeToString(random)), nil
}

// idAt is before the ids of the messages of a moment, and after all newer ones.
func idAt(at time.Time) string { return fmt.Sprintf("m%016x", math.MaxInt64-max(at.UnixNano(), 0)) }

func messageKey(id string) store.LocalKey { return store.LocalKey{Area: area, ID: id} }

func dueKey(at time.Time, id string) store.LocalKey {
	return store.LocalKey{Area: areaDue, ID: fmt.Sprintf("%016x", max(at.UnixNano(), 0)) + id}
}

// splitDue takes the key of an attempt apart.
func splitDue(key store.LocalKey) (at time.Time, id string, err error) {
	if len(key.ID) < 17 {
		return time.Time{}, "", errDamaged
	}
	nanoseconds, err := strconv.ParseInt(key.ID[:16], 16, 64)
	if err != nil {
		return time.Time{}, "", errDamaged
	}
	return time.Unix(0, nanoseconds), key.ID[16:], nil
}

// read opens a message, nil when it is not there.
func (o *Outbox) read(r store.Reader, id string) (*kept, error) {
	sealed := r.Local(messageKey(id))
	if sealed == nil {
		return nil, nil
	}
	return o.open(messageKey(id), sealed)
}

func (o *Outbox) open(key store.LocalKey, sealed []byte) (*kept, error) {
	body, err := o.vault.Open(key, sealed)
	if err != nil {
		return nil, err
	}
	k := &kept{}
	if err := json.Unmarshal(body, k); err != nil {
		return nil, fmt.Errorf("%w: %w", errDamaged, err)
	}
	return k, nil
}

// A writer collects sealed entries.
type writer struct {
	outbox *Outbox
	puts   []store.LocalPut
	err    error
}

func (w *writer) put(key store.LocalKey, value []byte) {
	sealed, err := w.outbox.vault.Seal(key, value)
	w.err = errors.Join(w.err, err)
	w.puts = append(w.puts, store.LocalPut{Key: key, Value: sealed})
}

// save writes a message in the place of an earlier state; nil for none.
func (w *writer) save(before, after *kept) {
	if before != nil && !before.Next.IsZero() {
		w.puts = append(w.puts, store.LocalPut{Key: dueKey(before.Next, before.ID)})
	}
	if !after.Next.IsZero() {
		w.put(dueKey(after.Next, after.ID), nil)
	}
	body, err := json.Marshal(after)
	w.err = errors.Join(w.err, err)
	w.put(messageKey(after.ID), body)
}

func (w *writer) erase(k *kept) {
	w.puts = append(w.puts, store.LocalPut{Key: messageKey(k.ID)})
	if !k.Next.IsZero() {
		w.puts = append(w.puts, store.LocalPut{Key: dueKey(k.Next, k.ID)})
	}
}

// hint shows of an address its first letter and its domain.
func hint(address string) string {
	local, domain, found := strings.Cut(address, "@")
	if !found || local == "" {
		return "…"
	}
	first := []rune(local)[:1]
	return string(first) + "…@" + domain
}

// shown is a message as people see it.
func (o *Outbox) shown(k *kept) *adminv1.OutboundMessage {
	return &adminv1.OutboundMessage{
		Name: o.name(k.ID), About: k.About, RecipientHint: k.Hint, State: k.State, AttemptCount: k.Attempts, Error: k.Error,
		NextAttemptTime: timestamp(k.Next), CreateTime: timestamp(k.Created), SendTime: timestamp(k.Sent),
	}
}

func timestamp(at time.Time) *timestamppb.Timestamp {
	if at.IsZero() {
		return nil
	}
	return timestamppb.New(at)
}
