package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"cidsistem.example/services/internal/store"
)

// positions reads where the feed stood after each revision; positions[0] is the
// beginning.
func positions(t failer, s *store.Store) []store.Position {
	t.Helper()
	all := []store.Position{beginning(s)}
	for _, revision := range revisions(t, s, beginning(s)) {
		all = append(all, store.PositionFrom(revision.GetPosition()))
	}
	return all
}

func TestPositionsThatAreRefused(t *testing.T) {
	c := newClock()
	s := marsala(t, c)
	for i := range 10 {
		write(t, s, service(fmt.Sprintf("s-%d", i)))
	}
	at := positions(t, s)
	c.pass(time.Hour)
	if _, err := s.Trim(t.Context(), store.Retention{Revisions: 6}); err != nil {
		t.Fatal(err)
	}
	other := func(p store.Position, edit func(*store.Position)) store.Position {
		p.Epoch, p.Digest = bytes.Clone(p.Epoch), bytes.Clone(p.Digest)
		edit(&p)
		return p
	}
	for name, test := range map[string]struct {
		after store.Position
		want  error
		then  int64 // the first revision that follows
	}{
		"floor":            {after: at[4], then: 5},
		"middle":           {after: at[7], then: 8},
		"head":             {after: at[10]},
		"another epoch":    {after: other(at[7], func(p *store.Position) { p.Epoch[0]++ }), want: store.ErrEpochChanged},
		"no epoch":         {after: store.Position{}, want: store.ErrEpochChanged},
		"below the floor":  {after: at[3], want: store.ErrTrimmed},
		"the beginning":    {after: at[0], want: store.ErrTrimmed},
		"negative":         {after: other(at[7], func(p *store.Position) { p.Revision = -1 }), want: store.ErrTrimmed},
		"beyond the head":  {after: other(at[10], func(p *store.Position) { p.Revision++ }), want: store.ErrAhead},
		"far beyond":       {after: other(at[10], func(p *store.Position) { p.Revision = 1<<63 - 1 }), want: store.ErrAhead},
		"digest at floor":  {after: other(at[4], func(p *store.Position) { p.Digest[0]++ }), want: store.ErrDiverged},
		"digest in middle": {after: other(at[7], func(p *store.Position) { p.Digest[31]++ }), want: store.ErrDiverged},
		"digest at head":   {after: other(at[10], func(p *store.Position) { p.Digest[31]++ }), want: store.ErrDiverged},
		"digest of before": {after: other(at[7], func(p *store.Position) { p.Digest = at[6].Digest }), want: store.ErrDiverged},
		"no digest":        {after: other(at[7], func(p *store.Position) { p.Digest = nil }), want: store.ErrDiverged},
	} {
		t.Run(name, func(t *testing.T) {
			got, head, err := s.Revisions(test.after)
			if !errors.Is(err, test.want) {
				t.Fatalf("answered %v, want %v", err, test.want)
			}
			if err != nil {
				return
			}
			if !head.Equal(s.Head()) {
				t.Errorf("head %s", head)
			}
			if test.then == 0 && len(got) > 0 || test.then > 0 && (len(got) == 0 || got[0].GetPosition().GetRevision() != test.then) {
				t.Errorf("followed by %v", got)
			}
		})
	}
}

func TestRevisionsComeInBoundedParts(t *testing.T) {
	s := marsala(t, newClock())
	if got, head, err := s.Revisions(beginning(s)); len(got) != 0 || err != nil || head.Revision != 0 {
		t.Errorf("an empty feed: %v %s %v", got, head, err)
	}
	for i := range 600 {
		write(t, s, service(fmt.Sprintf("s-%d", i)))
	}
	some, head, err := s.Revisions(beginning(s))
	must(t, err)
	if len(some) == 0 || len(some) > 256 || head.Revision != 600 {
		t.Errorf("%d revisions at once, head %s", len(some), head)
	}
	if got := len(revisions(t, s, beginning(s))); got != 600 {
		t.Errorf("%d revisions in all", got)
	}
}

func TestTrim(t *testing.T) {
	for name, test := range map[string]struct {
		keep  store.Retention
		floor int64
	}{
		"all that is young":            {store.Retention{Revisions: 0, Age: 90 * time.Minute}, 9},
		"so many":                      {store.Retention{Revisions: 3, Age: 0}, 7},
		"so many, though they are old": {store.Retention{Revisions: 3, Age: 30 * time.Minute}, 7},
		"the young, though too many":   {store.Retention{Revisions: 1, Age: 150 * time.Minute}, 8},
		"nothing":                      {store.Retention{}, 10},
		"more than there are":          {store.Retention{Revisions: 100}, 0},
		"older than all":               {store.Retention{Age: 24 * time.Hour}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			c := newClock()
			s := marsala(t, c)
			// In the end revision n is 11-n hours old.
			for i := range 10 {
				write(t, s, service(fmt.Sprintf("s-%d", i)))
				c.pass(time.Hour)
			}
			at := positions(t, s)
			trimmed, err := s.Trim(t.Context(), test.keep)
			must(t, err)
			floor, err := s.Floor()
			must(t, err)
			if trimmed != test.floor || !floor.Equal(at[test.floor]) {
				t.Errorf("trimmed %d, the floor is %s, want %s", trimmed, floor, at[test.floor])
			}
			if got := len(revisions(t, s, floor)); int64(got) != 10-test.floor {
				t.Errorf("%d revisions are left", got)
			}
			if _, _, err := s.Revisions(at[10]); err != nil {
				t.Errorf("a reader at the head: %v", err)
			}
			sound(t, s)
			again, err := s.Trim(t.Context(), test.keep)
			if again != 0 || err != nil {
				t.Errorf("trimming again: %d %v", again, err)
			}
			write(t, s, service("after"))
			sound(t, s)
		})
	}
}

func TestTrimOfMany(t *testing.T) {
	s := marsala(t, newClock())
	for i := range 1300 {
		write(t, s, service(fmt.Sprintf("s-%d", i)))
	}
	trimmed, err := s.Trim(t.Context(), store.Retention{Revisions: 100})
	if trimmed != 1200 || err != nil {
		t.Errorf("trimmed %d, %v", trimmed, err)
	}
	if report := sound(t, s); report.Revisions != 100 {
		t.Errorf("%d revisions are left", report.Revisions)
	}
}

func TestDoorbell(t *testing.T) {
	s := marsala(t, newClock())
	bell := s.After(0)
	select {
	case <-bell:
		t.Fatal("rings before anything happened")
	default:
	}
	write(t, s, service("one"))
	<-bell
	<-s.After(0)
	select {
	case <-s.After(1):
		t.Error("rings for what has not happened")
	default:
	}
}
