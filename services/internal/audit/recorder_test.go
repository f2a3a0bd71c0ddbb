package audit_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cidsistem.example/proto/gen/auditv1"
	"cidsistem.example/services/internal/audit"
	"cidsistem.example/services/internal/policy"
)

const read = "/cidsistem.desk.v1.RequestService/GetRequest"

// told is what an entry says, without its place in the chain.
func told(e *auditv1.AuditEntry) string {
	return fmt.Sprintf("%s %s %s %v %s %d", e.GetActor(), e.GetAction(), e.GetResource(), e.GetOutcome(), e.GetReason(), e.GetCount())
}

func TestRefusals(t *testing.T) {
	s := fresh(t, newClock())
	r := audit.NewRecorder(s, signer(key('a')), quiet())
	r.Refused(person("a1"), read, "comuni/marsala/requests/r1", "NOT_ALLOWED")
	r.Refused(server, read, "comuni/marsala/requests/r2", "NOT_ALLOWED")
	for range 3 {
		r.Refused(stranger, read, "comuni/marsala/requests/r3", "NOT_SIGNED_IN")
	}
	r.Refused(nil, read, "", "NOT_SIGNED_IN")
	r.Refused(&policy.Caller{}, read, "", "NOT_ALLOWED")
	action := strings.TrimPrefix(read, "/")
	known := []string{
		"nodes/marsala/accounts/a1 " + action + " comuni/marsala/requests/r1 REFUSED NOT_ALLOWED 1",
		server.Actor() + " " + action + " comuni/marsala/requests/r2 REFUSED NOT_ALLOWED 1",
	}
	check := func(when string, want ...string) {
		t.Helper()
		var got []string
		for _, entry := range entries(t, s) {
			got = append(got, told(entry))
		}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%s the log has\n%s\nwant\n%s", when, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	check("at once", known...)
	must(t, r.Flush(t.Context()))
	all := append(known, "anyone "+action+"  REFUSED NOT_ALLOWED 1", "anyone "+action+"  REFUSED NOT_SIGNED_IN 4")
	check("after a minute", all...)
	must(t, r.Flush(t.Context()))
	check("when nothing happened since", all...)
}

// However many kinds of refusal strangers think of, memory and log are bounded
// and no refusal goes uncounted.
func TestRefusalsAreBounded(t *testing.T) {
	s := fresh(t, newClock())
	r := audit.NewRecorder(s, signer(key('a')), quiet())
	const kinds = 5000
	for i := range kinds {
		r.Refused(stranger, fmt.Sprintf("/s/M%d", i), "", "NOT_SIGNED_IN")
	}
	must(t, r.Flush(t.Context()))
	got := entries(t, s)
	var total int64
	for _, entry := range got {
		total += entry.GetCount()
	}
	if len(got) > 1001 || total != kinds {
		t.Errorf("%d entries tell of %d refusals, want %d", len(got), total, kinds)
	}
}

// Texts from outside cannot break the log, whatever they are.
func TestTextsAreBounded(t *testing.T) {
	s := fresh(t, newClock())
	r := audit.NewRecorder(s, signer(key('a')), quiet())
	r.Refused(person("a1"), read, strings.Repeat("è", 4000)+"\xff", "NOT_ALLOWED")
	must(t, r.Record(t.Context(), &auditv1.AuditEntry{Action: "x", Reason: "\xff\xfe"}))
	must(t, s.Err())
	got := entries(t, s)
	if len(got) != 2 || len(got[0].GetResource()) > 300 || got[1].GetReason() != "" {
		t.Errorf("the log has %v", got)
	}
}

// What cannot be written at once is written later.
func TestRefusalsOutliveAFault(t *testing.T) {
	c := newClock()
	s := fresh(t, c)
	r := audit.NewRecorder(s, signer(key('a')), quiet())
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	r.Refused(stranger, read, "", "NOT_SIGNED_IN")
	if err := r.Flush(gone); err == nil {
		t.Fatal("a flush that nobody waits for succeeded")
	}
	must(t, r.Flush(t.Context()))
	if got := entries(t, s); len(got) != 1 || got[0].GetCount() != 1 {
		t.Errorf("the log has %v", got)
	}
	must(t, s.Close())
	r.Refused(person("a1"), read, "", "NOT_ALLOWED") // returns
	if err := r.Record(t.Context(), &auditv1.AuditEntry{}); err == nil {
		t.Error("an entry was recorded in a closed store")
	}
}

func TestTaskSigns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClock()
		s := fresh(t, c)
		r := audit.NewRecorder(s, signer(key('a')), quiet())
		must(t, r.Record(t.Context(), &auditv1.AuditEntry{Action: "left by a killed process"}))
		ctx, stop := context.WithCancel(t.Context())
		var ended sync.WaitGroup
		for _, task := range r.Tasks() {
			ended.Go(func() { must(t, task.Run(ctx)) })
		}
		signed := func(when string, want int64) {
			t.Helper()
			if head := lastHead(t, s); head.GetSequence() != want {
				t.Errorf("%s the newest head is of entry %d, want %d", when, head.GetSequence(), want)
			}
		}
		synctest.Wait()
		signed("at the start", 1)
		r.Refused(stranger, read, "", "NOT_SIGNED_IN")
		time.Sleep(61 * time.Second) // of the bubble: no real time passes
		synctest.Wait()
		signed("after a minute", 2)
		must(t, r.Record(t.Context(), &auditv1.AuditEntry{Action: "x"}))
		r.Refused(stranger, read, "", "NOT_SIGNED_IN")
		stop()
		ended.Wait()
		signed("at the stop", 4)
		must(t, s.Close())
	})
}

func TestConcurrentRecording(t *testing.T) {
	s := fresh(t, newClock())
	r := audit.NewRecorder(s, signer(key('a')), quiet())
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for range 20 {
				r.Refused(person(fmt.Sprintf("a%d", i)), read, "", "NOT_ALLOWED")
				r.Refused(stranger, read, "", "NOT_SIGNED_IN")
				must(t, r.Flush(t.Context()))
			}
		})
	}
	all.Wait()
	must(t, r.Flush(t.Context()))
	var total int64
	for _, entry := range entries(t, s) {
		total += entry.GetCount()
	}
	if total != 8*20*2 {
		t.Errorf("%d refusals are told, want %d", total, 8*20*2)
	}
}
