package audit_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"cidsistem.example/proto/gen/auditv1"
	"cidsistem.example/services/internal/audit"
	"cidsistem.example/services/internal/boltkit"
	"cidsistem.example/services/internal/store"
)

const (
	written = 30 // entries of the file
	every   = 10 // and a head after so many
)

// dataFile makes the data file of a node whose log has 30 entries, a minute
// apart, and a head after every ten; it returns the newest head.
func dataFile(t *testing.T, c *clock) (path string, head *auditv1.AuditHead) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "registry.db")
	s := open(t, options(path, c))
	r := audit.NewRecorder(s, signer(key('a')), quiet())
	for i := range written {
		must(t, r.Record(t.Context(), person("a1").Entry("/s/Update", fmt.Sprintf("comuni/marsala/services/s-%d", i), auditv1.AuditEntry_DONE)))
		if (i+1)%every == 0 {
			must(t, r.Flush(t.Context()))
		}
		c.pass(time.Minute)
	}
	head = lastHead(t, s)
	must(t, s.Close())
	return path, head
}

// A forger edits a data file with what it has: the file, not the server's key.
type forger struct {
	t  *testing.T
	tx *bolt.Tx
}

func number(n int) []byte { return binary.BigEndian.AppendUint64(nil, uint64(n)) }

func (f forger) log() *bolt.Bucket   { return f.tx.Bucket([]byte("audit")) }
func (f forger) heads() *bolt.Bucket { return f.tx.Bucket([]byte("audit_heads")) }

// change rewrites the value of an entry.
func (f forger) change(sequence int, edit func(value []byte)) {
	value := bytes.Clone(f.log().Get(number(sequence)))
	edit(value)
	must(f.t, f.log().Put(number(sequence), value))
}

// rewrite changes what an entry says.
func (f forger) rewrite(sequence int) {
	value := f.log().Get(number(sequence))
	entry := &auditv1.AuditEntry{}
	must(f.t, proto.Unmarshal(value[33:], entry))
	entry.Actor = "nodes/marsala/accounts/a9"
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(entry)
	must(f.t, err)
	must(f.t, f.log().Put(number(sequence), append(bytes.Clone(value[:33]), body...)))
}

// reseal numbers all entries anew, makes every hash fit, and ends the chain with
// the last one.
func (f forger) reseal() {
	var bodies [][]byte
	var keys [][]byte
	must(f.t, f.log().ForEach(func(k, v []byte) error {
		bodies, keys = append(bodies, bytes.Clone(v[33:])), append(keys, bytes.Clone(k))
		return nil
	}))
	for _, k := range keys {
		must(f.t, f.log().Delete(k))
	}
	hash := make([]byte, sha256.Size)
	for i, body := range bodies {
		entry := &auditv1.AuditEntry{}
		must(f.t, proto.Unmarshal(body, entry))
		entry.Sequence = int64(i + 1)
		body, err := proto.MarshalOptions{Deterministic: true}.Marshal(entry)
		must(f.t, err)
		sum := sha256.Sum256(append(bytes.Clone(hash), body...))
		hash = sum[:]
		must(f.t, f.log().Put(number(i+1), append(append([]byte{1}, hash...), body...)))
	}
	must(f.t, f.tx.Bucket([]byte("meta")).Put([]byte("audit"), append(number(len(bodies)), hash...)))
}

// cut removes the entries after one.
func (f forger) cut(after int) {
	for i := after + 1; i <= written; i++ {
		must(f.t, f.log().Delete(number(i)))
	}
}

// cutHeads removes the heads after an entry.
func (f forger) cutHeads(after int) {
	for i := after + 1; i <= written; i++ {
		must(f.t, f.heads().Delete(number(i)))
	}
}

// resign signs all heads over what the chain is now, with a key of the forger's.
func (f forger) resign() {
	for at := every; at <= written; at += every {
		value := f.log().Get(number(at))
		if value == nil {
			continue
		}
		end := store.AuditPlace{Sequence: int64(at), Hash: bytes.Clone(value[1:33])}
		body, err := proto.Marshal(audit.SignHead(key('f'), node, end, store.Stamp{Time: newClock().now}))
		must(f.t, err)
		must(f.t, f.heads().Put(number(at), body))
	}
}

func (f forger) editHead(at int, edit func(*auditv1.AuditHead)) {
	head := &auditv1.AuditHead{}
	must(f.t, proto.Unmarshal(f.heads().Get(number(at)), head))
	edit(head)
	body, err := proto.Marshal(head)
	must(f.t, err)
	must(f.t, f.heads().Put(number(at), body))
}

func TestVerifyFindsTampering(t *testing.T) {
	public := func(letter byte) ed25519.PublicKey { return key(letter).Public().(ed25519.PublicKey) }
	for _, test := range []struct {
		name    string
		tamper  func(forger)
		witness bool
		keys    []ed25519.PublicKey
		want    string // in a finding; empty: none
	}{
		{name: "nothing", tamper: func(forger) {}},
		{name: "nothing, before a witness", tamper: func(forger) {}, witness: true},
		{name: "nothing, with the key", tamper: func(forger) {}, keys: []ed25519.PublicKey{public('b'), public('a')}},
		{name: "another key is expected", tamper: func(forger) {}, keys: []ed25519.PublicKey{public('b')}, want: "not known to be the server's"},
		{name: "a flipped byte", tamper: func(f forger) { f.change(7, func(v []byte) { v[len(v)-1] ^= 1 }) }, want: "entry 7"},
		{name: "a flipped byte of a hash", tamper: func(f forger) { f.change(7, func(v []byte) { v[5] ^= 1 }) }, want: "the hash of entry 7"},
		{name: "a flipped format", tamper: func(f forger) { f.change(7, func(v []byte) { v[0] ^= 1 }) }, want: "entry 7 of the audit log cannot be read"},
		{name: "a rewritten entry", tamper: func(f forger) { f.rewrite(7) }, want: "the hash of entry 7"},
		{name: "a rewritten entry, all resealed", tamper: func(f forger) { f.rewrite(7); f.reseal() }, want: "the head at entry 10 is of another entry"},
		{name: "a removed entry", tamper: func(f forger) { must(f.t, f.log().Delete(number(7))) }, want: "entry 8 after 6"},
		{name: "a removed entry, all resealed", tamper: func(f forger) { must(f.t, f.log().Delete(number(7))); f.reseal() }, want: "the head at entry 30 is of an entry that is not there"},
		{name: "the first entry removed", tamper: func(f forger) { must(f.t, f.log().Delete(number(1))) }, want: "entry 2 after 0"},
		{name: "a swapped pair", tamper: swap, want: "entry 7 of the audit log is not the one"},
		{name: "a swapped pair, all resealed", tamper: func(f forger) { swap(f); f.reseal() }, want: "the head at entry 10 is of another entry"},
		{name: "an entry added", tamper: func(f forger) {
			must(f.t, f.log().Put(number(31), bytes.Clone(f.log().Get(number(30)))))
		}, want: "entry 31"},
		{name: "a cut", tamper: func(f forger) { f.cut(15) }, want: "it should end with entry 30"},
		{name: "a cut, with the end adjusted", tamper: func(f forger) { f.cut(15); f.reseal() }, want: "the head at entry 20 is of an entry that is not there: the log was cut off"},
		{name: "a cut, with its heads, cannot be seen from inside", tamper: func(f forger) { f.cut(15); f.reseal(); f.cutHeads(15) }},
		{name: "a cut, with its heads, before a witness", tamper: func(f forger) { f.cut(15); f.reseal(); f.cutHeads(15) }, witness: true, want: "the witness at entry 30 is of an entry that is not there"},
		{name: "everything cut", tamper: func(f forger) { f.cut(0); f.reseal(); f.cutHeads(0) }, witness: true, want: "the witness at entry 30"},
		{name: "rewritten and signed anew", tamper: func(f forger) { f.rewrite(7); f.reseal(); f.resign() }, keys: []ed25519.PublicKey{public('a')}, want: "not known to be the server's"},
		{name: "rewritten and signed anew, before a witness", tamper: func(f forger) { f.rewrite(7); f.reseal(); f.resign() }, witness: true, want: "the witness at entry 30 is of another entry"},
		{name: "one head forged with another key", tamper: func(f forger) {
			f.editHead(20, func(h *auditv1.AuditHead) {
				forged := audit.SignHead(key('f'), node, store.AuditPlace{Sequence: h.GetSequence(), Hash: h.GetHash()}, store.Stamp{})
				proto.Reset(h)
				proto.Merge(h, forged)
			})
		}, want: "the head at entry 20 is signed with the key"},
		{name: "a head with the key of the server and no signature of it", tamper: func(f forger) {
			f.editHead(20, func(h *auditv1.AuditHead) { h.SignTime = timestamppb.New(time.Unix(1, 0)) })
		}, want: "the signature of the head at entry 20 is wrong"},
		{name: "a head of another server", tamper: func(f forger) {
			f.editHead(20, func(h *auditv1.AuditHead) { h.Node = "nodes/pantelleria" })
		}, want: "is of nodes/pantelleria"},
		{name: "a key that is none", tamper: func(f forger) {
			f.editHead(20, func(h *auditv1.AuditHead) { h.PublicKey = []byte("short") })
		}, want: "the signature of the head at entry 20 is wrong"},
		{name: "a head that is no message", tamper: func(f forger) {
			must(f.t, f.heads().Put(number(20), []byte{0xff}))
		}, want: "a signed head cannot be read"},
		{name: "the end is not where it was", tamper: func(f forger) {
			must(f.t, f.tx.Bucket([]byte("meta")).Put([]byte("audit"), []byte("short")))
		}, want: "the end of the audit log"},
		{name: "the data of another server", tamper: func(f forger) {
			must(f.t, f.tx.Bucket([]byte("meta")).Put([]byte("server"), []byte("pantelleria")))
		}, want: "is of nodes/marsala, the file is of nodes/pantelleria"},
	} {
		t.Run(test.name, func(t *testing.T) {
			path, head := dataFile(t, newClock())
			db, err := bolt.Open(path, 0o600, nil)
			must(t, err)
			must(t, db.Update(func(tx *bolt.Tx) error { test.tamper(forger{t, tx}); return nil }))
			must(t, db.Close())
			against := audit.Against{Keys: test.keys}
			if test.witness {
				against.Witnesses = []*auditv1.AuditHead{head}
			}
			report, err := audit.Verify(t.Context(), path, against)
			must(t, err)
			found := strings.Join(report.Findings, "\n")
			if test.want == "" && found != "" || !strings.Contains(found, test.want) {
				t.Errorf("found %q, want %q", found, test.want)
			}
			if report.Node == "" || test.want == "" && report.Signed != min(report.Entries/every*every, written) {
				t.Errorf("report %+v", report)
			}
		})
	}
}

func swap(f forger) {
	one, two := bytes.Clone(f.log().Get(number(7))), bytes.Clone(f.log().Get(number(8)))
	must(f.t, errors.Join(f.log().Put(number(7), two), f.log().Put(number(8), one)))
}

// Every single byte of every entry counts.
func TestVerifyFindsEveryFlippedByte(t *testing.T) {
	path, _ := dataFile(t, newClock())
	db, err := bolt.Open(path, 0o600, &bolt.Options{NoSync: true})
	must(t, err)
	defer func() { _ = db.Close() }()
	var length int
	must(t, db.View(func(tx *bolt.Tx) error { length = len(forger{t, tx}.log().Get(number(12))); return nil }))
	flip := func(at int) {
		must(t, db.Update(func(tx *bolt.Tx) error {
			forger{t, tx}.change(12, func(v []byte) { v[at] ^= 0x20 })
			return nil
		}))
	}
	for at := range length {
		flip(at)
		copied := filepath.Join(t.TempDir(), "copy.db")
		must(t, db.View(func(tx *bolt.Tx) error { return tx.CopyFile(copied, 0o600) }))
		if report, err := audit.Verify(t.Context(), copied, audit.Against{}); err != nil || len(report.Findings) == 0 {
			t.Errorf("byte %d of %d was changed unnoticed (%v)", at, length, err)
		}
		flip(at)
	}
}

// Heads cannot be taken away in silence when much follows.
func TestVerifyMissesHeads(t *testing.T) {
	c := newClock()
	path := filepath.Join(t.TempDir(), "registry.db")
	s := open(t, options(path, c))
	r := audit.NewRecorder(s, signer(key('a')), quiet())
	for range 3 {
		must(t, r.Record(t.Context(), &auditv1.AuditEntry{Action: "x"}))
		c.pass(50 * time.Minute)
	}
	must(t, s.Close())
	report, err := audit.Verify(t.Context(), path, audit.Against{})
	must(t, err)
	if len(report.Findings) != 1 || !strings.Contains(report.Findings[0], "no head covers the entries after 0") {
		t.Errorf("found %q", report.Findings)
	}
}

// A new key is believed when the old one covers its announcement, or when
// somebody outside knows it.
func TestVerifyAfterAChangeOfKeys(t *testing.T) {
	for _, announced := range []bool{false, true} {
		c := newClock()
		path, first := dataFile(t, c)
		s := open(t, options(path, c))
		old, fresh := audit.NewRecorder(s, signer(key('a')), quiet()), audit.NewRecorder(s, signer(key('b')), quiet())
		announce := func(letter byte) {
			must(t, old.Record(t.Context(), audit.KeyEntry(node, key(letter).Public().(ed25519.PublicKey))))
		}
		if announced {
			announce('b')
			must(t, old.Flush(t.Context()))
		}
		must(t, fresh.Record(t.Context(), &auditv1.AuditEntry{Action: "x"}))
		must(t, fresh.Flush(t.Context()))
		second := lastHead(t, s)
		// An announcement that only the announced key itself covers is worth nothing.
		late := filepath.Join(t.TempDir(), "late.db")
		announce('f')
		must(t, audit.NewRecorder(s, signer(key('f')), quiet()).Flush(t.Context()))
		must(t, s.Backup(late))
		must(t, s.Close())
		prove := func(against audit.Against) string {
			t.Helper()
			report, err := audit.Verify(t.Context(), late, against)
			must(t, err)
			return strings.Join(report.Findings, "\n")
		}
		forged := fmt.Sprintf("%x", key('f').Public())
		renewed := fmt.Sprintf("%x", key('b').Public())
		for name, test := range map[string]struct {
			against audit.Against
			sound   bool // the new key is believed
		}{
			"the first key":  {audit.Against{}, announced},
			"the old key":    {audit.Against{Keys: []ed25519.PublicKey{first.GetPublicKey()}}, announced},
			"both keys":      {audit.Against{Keys: []ed25519.PublicKey{first.GetPublicKey(), second.GetPublicKey()}}, true},
			"both witnesses": {audit.Against{Witnesses: []*auditv1.AuditHead{first, second}}, true},
		} {
			found := prove(test.against)
			if !strings.Contains(found, forged) || strings.Contains(found, renewed) == test.sound {
				t.Errorf("announced %v, against %s found %q", announced, name, found)
			}
		}
	}
}

func TestVerifyOtherFiles(t *testing.T) {
	c := newClock()
	path, head := dataFile(t, c)
	s := open(t, options(path, c))
	if _, err := audit.Verify(t.Context(), path, audit.Against{}); !errors.Is(err, boltkit.ErrLocked) {
		t.Errorf("the file of a running server: %v", err)
	}
	backup := filepath.Join(t.TempDir(), "backup.db")
	must(t, s.Backup(backup))
	report, err := audit.Verify(t.Context(), backup, audit.Against{Witnesses: []*auditv1.AuditHead{head}})
	if err != nil || len(report.Findings) > 0 || report.Entries != written || report.Heads != written/every || report.Node != node {
		t.Errorf("a backup: %+v %v", report, err)
	}
	must(t, s.Close())
	text := filepath.Join(t.TempDir(), "text")
	must(t, os.WriteFile(text, []byte("no data file"), 0o600))
	for path, want := range map[string]error{text: boltkit.ErrDamaged, text + "x": os.ErrNotExist} {
		if _, err := audit.Verify(t.Context(), path, audit.Against{}); !errors.Is(err, want) {
			t.Errorf("%s: %v", path, err)
		}
	}
}
