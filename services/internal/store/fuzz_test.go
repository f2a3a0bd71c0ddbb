package store_test

import (
	"errors"
	"flag"
	"os"
	"testing"

	"google.golang.org/protobuf/proto"

	"cidsistem.example/proto/gen/feedv1"
	"cidsistem.example/services/internal/store"
)

func TestMain(m *testing.M) {
	// A history costs a few files; more of them with -rapid.checks.
	if err := flag.Set("rapid.checks", "30"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// FuzzFeed gives a copy whatever another server may send. It may refuse, it may
// not stop, and what it keeps must be sound.
func FuzzFeed(f *testing.F) {
	c := newClock()
	seed := func(changes ...*feedv1.Change) {
		body, err := proto.Marshal(&feedv1.RevisionBody{Changes: changes})
		must(f, err)
		f.Add(body, []byte("0123456789abcdef"), int64(0), []byte{}, []byte("key"))
	}
	seed(packed(f, "comuni/marsala/services/one", service("one", provided("aias"))), ended("comuni/marsala/services/two"))
	seed(packed(f, "comuni/marsala/services/one", strange(), "cid-trapani", "regione"))
	seed(packed(f, "comuni/marsala/services/one", service("two")))
	seed(&feedv1.Change{Name: "comuni/marsala"})
	seed()
	s := office(f, "ufficio", c)
	f.Fuzz(func(t *testing.T, body, epoch []byte, revision int64, digest, lastKey []byte) {
		at := store.PositionFrom(&feedv1.FeedPosition{Epoch: epoch, Revision: revision, Digest: digest})
		var parsed feedv1.RevisionBody
		_ = proto.Unmarshal(body, &parsed)
		next := at.Next(body)
		refused := func(err error) {
			if err != nil && !errors.Is(err, store.ErrBrokenChain) {
				t.Errorf("refused by another error: %v", err)
			}
		}
		refused(s.ApplyRevisions(t.Context(), "other", store.Scope{}, []*feedv1.Revision{{Position: at.Message(), Body: body}}, c.Now()))
		must(t, s.BeginSnapshot(t.Context(), "other", at))
		refused(s.StagePage(t.Context(), "other", store.Scope{}, parsed.GetChanges(), lastKey, at))
		refused(s.ApplyRevisions(t.Context(), "other", store.Scope{}, []*feedv1.Revision{{Position: next.Message(), Body: body}}, c.Now()))
		must(t, s.StagePage(t.Context(), "other", store.Scope{}, nil, lastKey, next))
		_ = s.FinishSnapshot(t.Context(), "other", c.Now())
		refused(s.ApplyRevisions(t.Context(), "other", store.Scope{}, []*feedv1.Revision{{Position: next.Next(body).Message(), Body: body}}, c.Now()))
		_, _ = s.SnapshotPage(lastKey)
		_, _, _ = s.Revisions(at)
		if err := s.Err(); err != nil {
			t.Fatalf("the store is fenced: %v", err)
		}
		report, err := s.Check(t.Context())
		must(t, err)
		if len(report.Problems) > 0 {
			t.Errorf("check: %q", report.Problems)
		}
		// Room for the next.
		must(t, s.Keep(t.Context(), nil))
		_, err = s.Trim(t.Context(), store.Retention{})
		must(t, err)
		if got := len(holdings(t, s)); got > 0 {
			t.Errorf("%d records of a former member are left", got)
		}
	})
}
