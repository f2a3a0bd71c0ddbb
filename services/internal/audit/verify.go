package audit

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"fmt"
	"math"
	"time"

	"cidsistem.example/proto/gen/auditv1"
	"cidsistem.example/services/internal/store"
)

// unsignedFor is over how long entries may lie that no head covers. A server
// signs every minute that has an entry, and what a killed process left when it
// starts.
const unsignedFor = time.Hour

// maxFindings bounds a report.
const maxFindings = 1000

// Against is what somebody outside knows of a chain.
type Against struct {
	// Keys are the public keys with which its heads may be signed, besides those of
	// the witnesses. When there are neither, the key of the first head is believed.
	Keys []ed25519.PublicKey
	// Witnesses are heads that were taken from the server earlier.
	Witnesses []*auditv1.AuditHead
}

// A Report is what Verify found.
type Report struct {
	// Node is the server that the file belongs to: "nodes/{node}".
	Node string
	// Entries and Heads that were looked at.
	Entries, Heads int64
	// Signed is the last entry that a good head covers, 0 for none.
	Signed int64
	// Key signed that head.
	Key ed25519.PublicKey
	// Findings say what was tampered with, each in a sentence; none: nothing.
	Findings []string
}

// Verify proves the audit log in a data file that no server has open: that the
// chain is whole, that it is the one whose ends the server signed, and the one
// that witnesses saw. It changes nothing. What it cannot notice without a
// witness is a log cut off together with the newest heads.
//
// A key is believed when it was given, is that of a witness, or was announced in
// the part of the chain that a head of a believed key covers; see KeyEntry.
func Verify(ctx context.Context, path string, against Against) (Report, error) {
	v := verification{believed: map[string]bool{}}
	for _, key := range against.Keys {
		v.believed[string(key)] = true
	}
	for _, witness := range against.Witnesses {
		v.believed[string(witness.GetPublicKey())] = true
	}
	err := store.ViewFile(path, func(server string, r store.Reader) error {
		v.reader, v.report.Node = r, "nodes/"+server
		problems, entries, err := r.CheckAudit(ctx)
		if err != nil {
			return err
		}
		v.report.Entries = entries
		for _, problem := range problems {
			v.found("%s", problem)
		}
		if err := v.readHeads(ctx); err != nil {
			return err
		}
		for _, witness := range against.Witnesses {
			v.look("the witness", witness)
		}
		if err := v.readAnnouncements(ctx); err != nil {
			return err
		}
		v.believe()
		v.tail()
		return nil
	})
	return v.report, err
}

type verification struct {
	reader    store.Reader
	report    Report
	believed  map[string]bool
	seen      []seen
	announced []announcement
}

// seen is a head, once it was looked at.
type seen struct {
	what     string
	sequence int64
	key      string
	fits     bool // to the chain, and its signature to its key
}

// An announcement is the key that an entry of the chain announces.
type announcement struct {
	sequence int64
	key      string
}

func (v *verification) found(format string, args ...any) {
	if len(v.report.Findings) < maxFindings {
		v.report.Findings = append(v.report.Findings, fmt.Sprintf(format, args...))
	}
}

// hashOf is the hash of an entry, nil when it is not there.
func (v *verification) hashOf(sequence int64) []byte {
	for entry, err := range v.reader.AuditEntries(sequence, false) {
		if err == nil && entry.GetSequence() == sequence {
			return entry.GetHash()
		}
		break
	}
	return nil
}

func (v *verification) readHeads(ctx context.Context) error {
	believeFirst := len(v.believed) == 0
	for head, err := range v.reader.AuditHeads() {
		if err != nil {
			v.found("a signed head cannot be read, nor those after it: %v", err)
			break
		}
		v.report.Heads++
		if believeFirst {
			v.believed[string(head.GetPublicKey())] = true
			believeFirst = false
		}
		v.look("the head", head)
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}

// look holds a head against the chain.
func (v *verification) look(what string, head *auditv1.AuditHead) {
	before := len(v.report.Findings)
	what = fmt.Sprintf("%s at entry %d", what, head.GetSequence())
	if head.GetNode() != v.report.Node {
		v.found("%s is of %s, the file is of %s", what, head.GetNode(), v.report.Node)
	}
	if !soundHead(head) {
		v.found("the signature of %s is wrong", what)
	}
	switch hash := v.hashOf(head.GetSequence()); {
	case hash == nil:
		v.found("%s is of an entry that is not there: the log was cut off", what)
	case !bytes.Equal(hash, head.GetHash()):
		v.found("%s is of another entry than the one that is there: the log was rewritten", what)
	}
	v.seen = append(v.seen, seen{what, head.GetSequence(), string(head.GetPublicKey()), len(v.report.Findings) == before})
}

func (v *verification) readAnnouncements(ctx context.Context) error {
	for entry, err := range v.reader.AuditEntries(0, false) {
		if err != nil {
			break // CheckAudit has said so
		}
		if key := announcedKey(entry, v.report.Node); key != nil {
			v.announced = append(v.announced, announcement{entry.GetSequence(), string(key)})
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}

// believe finds out which keys are the server's, and how far the chain is
// covered by them; heads with other keys are forged.
func (v *verification) believe() {
	for more := true; more; {
		more = false
		covered := int64(0)
		for _, head := range v.seen {
			if head.fits && v.believed[head.key] {
				covered = max(covered, head.sequence)
			}
		}
		for _, a := range v.announced {
			if a.sequence <= covered && !v.believed[a.key] {
				v.believed[a.key], more = true, true
			}
		}
	}
	for _, head := range v.seen {
		switch {
		case !v.believed[head.key]:
			v.found("%s is signed with the key %x, which is not known to be the server's", head.what, head.key)
		case head.fits && head.sequence >= v.report.Signed:
			v.report.Signed, v.report.Key = head.sequence, ed25519.PublicKey(head.key)
		}
	}
}

// tail looks at the entries after the last good head.
func (v *verification) tail() {
	first, last := v.timeOf(v.report.Signed+1, false), v.timeOf(math.MaxInt64, true)
	if first.IsZero() {
		return
	}
	if lasted := last.Sub(first); lasted > unsignedFor {
		v.found("no head covers the entries after %d, of %s: heads were removed, or the server did not sign", v.report.Signed, lasted)
	}
}

// timeOf is the time of the entry at a sequence or after it, or of the last one
// before it; zero when there is none.
func (v *verification) timeOf(sequence int64, backwards bool) time.Time {
	for entry, err := range v.reader.AuditEntries(sequence, backwards) {
		if err == nil {
			return entry.GetTime().AsTime()
		}
		break
	}
	return time.Time{}
}
